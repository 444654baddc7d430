"""What must be thrown away in a forked child: sockets shared with the parent, locks that a lost thread holds."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forgetful(Protocol):
    """Something that can begin anew in a forked child."""

    def after_fork(self) -> None:
        """Begin anew."""


_watched: weakref.WeakSet[Forgetful] | None = None


def watch_forks(thing: Forgetful) -> None:
    """Have `thing.after_fork()` called in every forked child, for as long as `thing` lives."""
    global _watched
    if _watched is None:
        _watched = weakref.WeakSet()
        if hasattr(os, "register_at_fork"):  # Windows has no fork
            os.register_at_fork(after_in_child=_tell_all)
    _watched.add(thing)


def _tell_all() -> None:
    for thing in list(_watched or ()):
        thing.after_fork()
