"""The file that holds the profiles: read with care, and replaced as a whole or not at all."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..words.clock import SYSTEM_CLOCK
from ..words.errors import ProfileError
from .ini import IniError, sections, with_section, without_section
from .lock import locked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from ..words.clock import Clock
    from .ini import Sections

MODE = 0o600
"""Only the user reads the file: it has no password, but says who signs in where."""

_MOST_BYTES = 1 << 20
_BOM = b"\xef\xbb\xbf"
# Windows does not replace a file while somebody reads it, which is soon over; seconds.
_WAITS_FOR_READERS = (0.01, 0.05, 0.2, 1.0)


class ProfileFile:
    """The file at `path`, which need not be there yet. It keeps nothing in memory, so threads may share it.

    A symbolic link is written through: the file that it leads to is replaced, and the link stays, as people keep such files
    in a repository. The lock, and the temporary file, are beside the file itself.
    """

    __slots__ = ("_clock", "path")

    def __init__(self, path: str, clock: Clock = SYSTEM_CLOCK) -> None:
        self.path = path
        self._clock = clock

    @property
    def _target(self) -> str:
        try:
            return os.path.realpath(self.path)
        except (OSError, ValueError) as error:
            raise self._unusable("cannot be found", error) from error

    def lock(self) -> AbstractContextManager[None]:
        """What to hold from reading until writing; see `locked`."""
        return locked(self._target, self._clock)

    def sections(self) -> Sections:
        """The values of each profile by key; empty where there is no file. Raises `ProfileError`."""
        with self._explained():
            return sections(self._read()[1])

    def write_section(self, name: str, values: Mapping[str, str | None]) -> None:
        """Set `values` in the section `name` (made where it is missing); `None` removes one. Wants the lock held."""
        bom, text = self._read()
        with self._explained():
            text = with_section(text, name, values)
        self._write(bom + text.encode())

    def remove_section(self, name: str) -> None:
        """Take the section `name`, which is there, out. Wants the lock held."""
        bom, text = self._read()
        with self._explained():
            text = without_section(text, name)
        self._write(bom + text.encode())

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except IniError as error:
            problem = str(error)
        else:
            return
        raise ProfileError(f"The profiles in {self.path} cannot be used: {problem}. It was left as it is; correct it by hand.")

    def _read(self) -> tuple[bytes, str]:
        """The byte order mark, if there is one, and the text; nothing of either where there is no file."""
        try:
            content = _content(self._target)
        except FileNotFoundError:
            return b"", ""
        except (OSError, ValueError) as error:
            raise self._unusable("cannot be read", error) from error
        if len(content) > _MOST_BYTES:
            raise ProfileError(f"{self.path} is longer than {_MOST_BYTES} bytes: that is no file of profiles.")
        bom, content = (_BOM, content[len(_BOM) :]) if content.startswith(_BOM) else (b"", content)
        try:
            return bom, content.decode()
        except UnicodeDecodeError as error:
            position = len(bom) + error.start  # the error itself would show what is in the file
        raise ProfileError(
            f"{self.path} is not UTF-8 text (byte {position}). It was left as it is; save it as UTF-8, or rename it."
        )

    def _write(self, content: bytes) -> None:
        target = self._target
        try:
            _replace(target, content, self._clock)
        except (OSError, ValueError) as error:
            raise self._unusable("cannot be written", error) from error

    def _unusable(self, what: str, error: Exception) -> ProfileError:
        reason = getattr(error, "strerror", None) or str(error)
        return ProfileError(f"{self.path} {what}: {reason}. Nothing was changed.")


def _content(path: str) -> bytes:
    status = os.stat(path)
    # Asked first: opening a pipe would wait for somebody to write.
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is a folder" if stat.S_ISDIR(status.st_mode) else "it is no regular file")
    with open(path, "rb") as file:
        return file.read(_MOST_BYTES + 1)


def _replace(path: str, content: bytes, clock: Clock) -> None:
    """Put `content` where the file is, in one step; whatever happens, there is the old file or the new one."""
    import tempfile

    folder, name = os.path.split(path)
    descriptor, temporary = tempfile.mkstemp(prefix=f"{name}.", suffix=".tmp", dir=folder)
    try:
        with open(descriptor, "wb") as file:
            _protect(file.fileno(), path)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _rename(temporary, path, clock)
    except BaseException:
        os.unlink(temporary)
        raise


def _protect(descriptor: int, former: str) -> None:
    """For the user alone under any umask; root leaves a user's file to that user. Windows keeps to its folder's rights."""
    if not hasattr(os, "fchown"):
        return
    os.fchmod(descriptor, MODE)
    try:
        owner = os.stat(former)
        if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
    except OSError:
        pass  # a new file, or one that we may replace but not give away


def _rename(temporary: str, path: str, clock: Clock) -> None:
    waits = iter(_WAITS_FOR_READERS if os.name == "nt" else ())
    while True:
        try:
            os.replace(temporary, path)
            return
        except PermissionError:
            seconds = next(waits, None)
            if seconds is None:
                raise
        clock.sleep(seconds)
