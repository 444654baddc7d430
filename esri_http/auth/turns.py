"""Turns: of many requests that would show the same credentials for the first time, one goes ahead and the others wait."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Callable

from ..words.errors import DeadlineExceededError
from ..words.forks import watch_forks
from .flights import seconds_to_wait

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .base import Wire


_MOST_KEYS = 1000


class Turn:
    """The right to go ahead, until `end`. Belongs to one thread, which may take it more than once."""

    __slots__ = ("_lock",)

    def __init__(self, lock: threading.RLock) -> None:
        self._lock: threading.RLock | None = lock

    def end(self) -> None:
        """Let the next one go; a second call does nothing."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()


class Turns:
    """One turn at a time for each of at most 1000 keys. Safe for threads; a forked child and a pickle have none taken."""

    def __init__(self) -> None:
        self.after_fork()
        watch_forks(self)

    def after_fork(self) -> None:
        """In a forked child: turns were taken by threads that are not there."""
        self._locks: dict[Hashable, threading.RLock] = {}

    def take(self, key: Hashable, is_settled: Callable[[], bool], wire: Wire) -> Turn | None:
        """The turn for `key`, as soon as it is free; `None` once `is_settled()`, when nobody has to wait any more.

        Raises what `is_settled` raises, and `DeadlineExceededError` when the call behind `wire` has no time to wait.
        """
        if is_settled():
            return None
        if len(self._locks) >= _MOST_KEYS:
            self._locks = {}  # at worst, two go ahead at once
        # Reentrant: a body may come from requests through the same session.
        lock = self._locks.setdefault(key, threading.RLock())
        if not lock.acquire(timeout=seconds_to_wait(wire)):
            raise DeadlineExceededError("The time for the whole call is used up; another thread is still signing in.")
        turn = Turn(lock)
        try:
            if not is_settled():
                return turn
        except BaseException:
            turn.end()
            raise
        turn.end()
        return None

    def __reduce__(self) -> tuple[type[Turns], tuple[()]]:
        return Turns, ()
