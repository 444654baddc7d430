"""What must be thrown away in a forked child: sockets shared with the parent, locks that a lost thread holds."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class Forgetful(Protocol):
    """Something that can begin anew in a forked child."""

    def after_fork(self) -> None:
        """Begin anew."""


class ProcessLock:
    """A lock for what belongs to a whole module. Each process has its own, so that no child waits for a lost thread."""

    __slots__ = ("_locks",)

    def __init__(self) -> None:
        self._locks: dict[int, threading.Lock] = {}

    def __enter__(self) -> None:
        self._locks.setdefault(os.getpid(), threading.Lock()).acquire()

    def __exit__(self, *_: object) -> None:
        self._locks[os.getpid()].release()


_watched: weakref.WeakSet[Forgetful] = weakref.WeakSet()
_registering = ProcessLock()
_registered = False


def watch_forks(thing: Forgetful) -> None:
    """Have `thing.after_fork()` called in every forked child, for as long as `thing` lives."""
    global _registered
    if not _registered:
        with _registering:
            if not _registered and hasattr(os, "register_at_fork"):  # Windows has no fork
                os.register_at_fork(after_in_child=_tell_all)
            _registered = True
    _watched.add(thing)


def _tell_all() -> None:
    for thing in list(_watched):
        thing.after_fork()
