"""A clock that a test owns."""

from __future__ import annotations

import threading

from esri_http.words.clock import Clock


class FakeClock(Clock):
    """Time that moves only when it is told to, or when somebody sleeps.

    `sleeps` holds every wait that was asked for, in seconds. Safe to share between threads.
    """

    __slots__ = ("_lock", "_monotonic", "_time", "sleeps")

    def __init__(self, time: float = 1_700_000_000.0, monotonic: float = 1000.0) -> None:
        self._time = time
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self.sleeps: list[float] = []

    def time(self) -> float:
        """The wall clock, seconds since the epoch."""
        return self._time

    def monotonic(self) -> float:
        """The clock that only grows, seconds."""
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        """Record the wait and move both clocks on by it; returns at once."""
        with self._lock:
            self.sleeps.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move both clocks on; nothing is recorded."""
        with self._lock:
            self._time += max(0.0, seconds)
            self._monotonic += max(0.0, seconds)

    def set_time(self, time: float) -> None:
        """Let the wall clock jump, forwards or back; the monotonic one does not notice."""
        with self._lock:
            self._time = time
