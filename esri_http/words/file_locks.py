"""Locks on open files, which one process at a time holds; the system frees those of a process that died."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

if sys.platform == "win32":
    import msvcrt

    _FAR_BEHIND = 0x7FFFFFF0  # Windows locks bytes, and keeps others from reading them: one that nothing is written to

    def try_lock(descriptor: int) -> bool:
        """Lock an open file; false where somebody else has it. Raises `OSError` where its file system has no locks."""
        os.lseek(descriptor, _FAR_BEHIND, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

    def unlock(descriptor: int) -> None:
        """Free the lock, before the file is closed: a forked process may have it open as well. Never raises."""
        with suppress(OSError):
            os.lseek(descriptor, _FAR_BEHIND, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Lock an open file; false where somebody else has it. Raises `OSError` where its file system has no locks."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(descriptor: int) -> None:
        """Free the lock, before the file is closed: a forked process may have it open as well. Never raises."""
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
