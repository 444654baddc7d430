"""A file that is not whole yet: where its bytes wait, and what is known of them.

``<target>.part`` holds the bytes that are there. ``<target>.part.json`` says of which state of which file they are: the
SHA-256 of the URL, the validator for `If-Range`, the size of the whole. It is also what is locked, for as long as a download
writes, so that two of them never mix their bytes. The target itself appears in one step, whole, and both others go.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..words.errors import LocalFileError
from ..words.file_locks import try_lock, unlock
from .local import local_trouble, put_in_place
from .names import NOTE_ENDING, PART_ENDING
from .ranges import is_validator

if TYPE_CHECKING:
    from io import FileIO

_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_LONGEST_NOTE = 16 * 1024
_MOST_OPENINGS = 10


class Part:
    """The bytes of `target` that are there. Belongs to one thread; `close()` it.

    `size` is how many bytes can be continued, or have been written; `total` those of the whole file (`None`: not known);
    `validator` is what the server knows them by (`None`: they cannot be continued).
    """

    def __init__(self, target: str, source: str, resume: bool = True) -> None:
        """`source` stands for the URL. Raises `LocalFileError`, also where another download writes to `target`."""
        self.target = target
        self._source = source
        self.size = 0
        self.total: int | None = None
        self.validator: str | None = None
        self._begun = False
        self._note = _opened_alone(target)
        try:
            self._file = _opened(target + PART_ENDING)
        except BaseException:
            _close_note(self._note, target + NOTE_ENDING, remove=True)
            raise
        if resume:
            self._take_up()

    def _take_up(self) -> None:
        """Take over what an earlier download left, if the note says what it is."""
        there, noted = os.fstat(self._file.fileno()).st_size, self._read_note()
        total, validator = noted.get("total"), noted.get("validator")
        if noted.get("url") != self._source or not is_validator(validator):
            return
        if type(total) is int and 0 < there <= total:
            # Of what is whole already the last byte is fetched again: so the server says that it is still the same file.
            self.size = min(there, total - 1)
        elif total is None:
            self.size = there
        else:
            return
        self.total, self.validator = total, validator

    def _read_note(self) -> dict[str, Any]:
        try:
            noted = json.loads(self._note.read(_LONGEST_NOTE) or b"{}")
        except (OSError, ValueError, RecursionError):
            return {}
        return noted if isinstance(noted, dict) else {}

    @property
    def can_continue(self) -> bool:
        """Whether the server can be asked for the rest."""
        return self.size > 0 and self.validator is not None

    def begin(self, total: int | None, validator: str | None) -> None:
        """Drop what is there: a file of `total` bytes, known by `validator`, begins."""
        self.size, self.total, self.validator, self._begun = 0, total, validator, True
        note = {"url": self._source, "validator": validator, "total": total}
        self._rewind(0)
        with local_trouble(self.target, "written"):
            self._note.seek(0)
            self._note.truncate()
            if validator is not None:
                self._note.write(json.dumps(note).encode("ascii"))

    def go_on(self, total: int) -> None:
        """The rest of a file of `total` bytes follows."""
        self.total, self._begun = total, True
        self._rewind(self.size)

    def _rewind(self, size: int) -> None:
        with local_trouble(self.target, "written"):
            self._file.truncate(size)
            self._file.seek(size)

    def forget(self) -> None:
        """What is there is not to be continued."""
        self.size, self.total, self.validator = 0, None, None

    def write(self, piece: bytes) -> None:
        """Add `piece`."""
        left = memoryview(piece)
        with local_trouble(self.target, "written"):
            while left:
                left = left[self._file.write(left) :]
        self.size += len(piece)

    def publish(self) -> None:
        """Put the whole file where it belongs, in the place of what was there."""
        with local_trouble(self.target, "written"):
            os.fsync(self._file.fileno())
            self._file.close()  # Windows moves no open file
            put_in_place(self.target + PART_ENDING, self.target)
        _close_note(self._note, self.target + NOTE_ENDING, remove=True)

    def close(self) -> None:
        """Let go. Bytes that can be continued stay; so do those of another file, if none of this one came. Twice is fine."""
        if self._note.closed:
            return
        self._file.close()
        keep = self._is_worth_keeping()
        if not keep:
            with suppress(OSError):
                os.remove(self.target + PART_ENDING)
        _close_note(self._note, self.target + NOTE_ENDING, remove=not keep)

    def _is_worth_keeping(self) -> bool:
        with suppress(OSError):
            there = os.stat(self.target + PART_ENDING).st_size > 0
            return there and (self.validator is not None or not self._begun)
        return False


def _opened(path: str) -> FileIO:
    """The ordinary file at `path`, made where there is none, for reading and writing."""
    with local_trouble(path, "written"):
        file: FileIO = os.fdopen(os.open(path, _FLAGS, 0o666), "r+b", buffering=0)
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise LocalFileError(f"{path} is there already and is no ordinary file.", path=path)
        return file


def _opened_alone(target: str) -> FileIO:
    """The note of `target`, locked."""
    path = target + NOTE_ENDING
    for _ in range(_MOST_OPENINGS):
        note = _opened(path)
        if not _lock(note.fileno()):
            note.close()
            break
        # Whoever had it before may have removed it in the meantime.
        with suppress(OSError):
            if os.path.samestat(os.stat(path), os.fstat(note.fileno())):
                return note
        note.close()
    raise LocalFileError(f"{target} is being written by another download; wait for it, or choose another path.", path=target)


def _close_note(note: FileIO, path: str, remove: bool) -> None:
    """Unlock the note, and remove it where asked to: while it is locked, or, where that cannot be, right after."""
    windows = sys.platform == "win32"
    with suppress(OSError):
        if remove and not windows:
            os.remove(path)
    unlock(note.fileno())
    note.close()
    with suppress(OSError):
        if remove and windows:
            os.remove(path)


def _lock(descriptor: int) -> bool:
    """Lock the note; false where another has it. A file system without locks is taken as it is."""
    try:
        return try_lock(descriptor)
    except OSError:
        return True
