"""Turns: of many requests that would show the same credentials for the first time, one goes ahead and the others wait."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Callable

from ..words.errors import DeadlineExceededError
from ..words.forks import watch_forks

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .base import Wire

_LONGEST_WAIT_SECONDS = 600.0


class Turn:
    """The right to go ahead, until `end`."""

    __slots__ = ("_lock",)

    def __init__(self, lock: threading.Lock) -> None:
        self._lock: threading.Lock | None = lock

    def end(self) -> None:
        """Let the next one go; a second call does nothing."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()


class Turns:
    """One turn at a time for each key. Safe for threads; a forked child and a pickle begin with none taken."""

    def __init__(self) -> None:
        self.after_fork()
        watch_forks(self)

    def after_fork(self) -> None:
        """In a forked child: turns were taken by threads that are not there."""
        self._locks: dict[Hashable, threading.Lock] = {}

    def take(self, key: Hashable, is_settled: Callable[[], bool], wire: Wire) -> Turn | None:
        """The turn for `key`, as soon as it is free; `None` once `is_settled()`, when nobody has to wait any more.

        Raises what `is_settled` raises, and `DeadlineExceededError` when the call behind `wire` has no time to wait.
        """
        if is_settled():
            return None
        lock = self._locks.setdefault(key, threading.Lock())
        left = wire.deadline.remaining()
        if not lock.acquire(timeout=_LONGEST_WAIT_SECONDS if left is None else max(0.0, min(left, _LONGEST_WAIT_SECONDS))):
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
