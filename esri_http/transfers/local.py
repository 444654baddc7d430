"""Files of this machine: what can go wrong with them, in our words."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress
from io import FileIO
from typing import TYPE_CHECKING, Any

from ..words.errors import EsriHttpError, LocalFileError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def local_trouble(path: str, what: str) -> Iterator[None]:
    """Raise `LocalFileError` for what the system says against `path`; `what`, such as "written", was to be done with it."""
    try:
        yield
    except EsriHttpError:  # a time-out is an OSError, too
        raise
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise LocalFileError(f"The file {path} cannot be {what}: {why}.", path=path) from error


def path_text(path: Any) -> str:
    """A path as text; raises `LocalFileError` for what is none."""
    if not isinstance(path, (str, bytes, os.PathLike)) or not (text := os.fsdecode(path)):
        raise LocalFileError(f"A path is text or a pathlib.Path, not {path!r:.80}.")
    return text


def followed(path: str) -> str:
    """The file that is written for `path`: where a symbolic link leads, or `path` itself. Raises `LocalFileError`."""
    with local_trouble(path, "written"):
        return os.path.realpath(path) if os.path.islink(path) else path


def put_in_place(whole: str, path: str) -> None:
    """Have the file `whole` take the place of `path` in one step, with the permissions of the file that was there."""
    with suppress(OSError):  # there was none
        former = os.lstat(path).st_mode
        if stat.S_ISREG(former):
            os.chmod(whole, former & 0o777)
    os.replace(whole, path)


def is_folder(path: str) -> bool:
    """Whether `path` is a folder, or ends like one: a file goes into it, under a name that the server gives."""
    return os.path.isdir(path) or path.endswith(tuple(filter(None, (os.sep, os.altsep))))


def check_place(path: str, takes_name: bool) -> None:
    """Raise `LocalFileError` where no file can be put at the absolute `path`, or, with `takes_name`, into it."""
    if takes_name:
        _check_folder(path, path)
    else:
        check_target(followed(path))


def _check_folder(folder: str, path: str) -> None:
    if not os.path.isdir(folder):
        raise LocalFileError(f"There is no folder {folder}, where the file is to go; make it first.", path=path)


def check_target(path: str) -> None:
    """Raise `LocalFileError` where no file can be put at the absolute `path`: no folder, or something else in its place."""
    _check_folder(os.path.dirname(path), path)
    with local_trouble(path, "written"):
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return
    if stat.S_ISDIR(found.st_mode):
        raise LocalFileError(f"{path} is a folder, so no file can be written there.", path=path)
    if not stat.S_ISREG(found.st_mode):
        raise LocalFileError(f"{path} is there already and is no ordinary file, so it is not replaced.", path=path)


def open_source(path: str) -> tuple[FileIO, int]:
    """The file at `path`, opened in binary mode, and its size in bytes. Raises `LocalFileError`."""
    with local_trouble(path, "read"):
        if not stat.S_ISREG(os.stat(path).st_mode):  # to open a pipe would wait for its other end
            raise LocalFileError(f"{path} is not a file.", path=path)
        file = FileIO(path)
        return file, os.fstat(file.fileno()).st_size
