"""A lock that one process, and one thread of it, holds at a time: what is read, changed and written stays together."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..words.clock import SYSTEM_CLOCK, Deadline
from ..words.errors import ProfileError
from ..words.file_locks import try_lock, unlock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..words.clock import Clock

LOCK_SECONDS = 10.0
"""How long somebody else may hold the lock before we give up."""

_POLL_SECONDS = 0.02


@contextmanager
def locked(path: str, clock: Clock = SYSTEM_CLOCK) -> Iterator[None]:
    """Hold the lock that belongs to the file at `path`; not to be used again inside of itself.

    It is another file beside that one, ``.lock`` added to its name, which is made where it is missing, never holds
    anything, and stays. The system frees the lock of a process that died. Raises `ProfileError` where the lock is not to be
    had in `LOCK_SECONDS`, or its file cannot be made.
    """
    path += ".lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except (OSError, ValueError) as error:
        raise _failure(path, error) from error
    try:
        _wait(descriptor, path, clock)
        try:
            yield
        finally:
            unlock(descriptor)
    finally:
        os.close(descriptor)


def _wait(descriptor: int, path: str, clock: Clock) -> None:
    deadline = Deadline(LOCK_SECONDS, clock)
    while not _taken(descriptor, path):
        if not deadline.allows(_POLL_SECONDS):
            raise ProfileError(
                f"Another process has held {path} for more than {LOCK_SECONDS:g} seconds, so nothing was changed. End that"
                " process (it may be waiting for somebody to unlock the keyring), or try again."
            )
        clock.sleep(_POLL_SECONDS)


def _taken(descriptor: int, path: str) -> bool:
    try:
        return try_lock(descriptor)
    except OSError as error:
        raise _failure(path, error) from error


def _failure(path: str, error: Exception) -> ProfileError:
    reason = getattr(error, "strerror", None) or "this is no path of a file"
    return ProfileError(f"Profiles cannot be changed: {path} cannot be opened and locked ({reason}). Nothing was changed.")

