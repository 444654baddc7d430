"""Time as something that can be handed in, so that a test never waits and a frozen machine can be played."""

from __future__ import annotations

import time


class Clock:
    """The system's clock. Subclass it and hand it to a session to own time in a test."""

    __slots__ = ()

    def time(self) -> float:
        """Seconds since the epoch, by the wall clock (it may jump)."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that only ever grow; for deadlines and intervals."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`; zero or less returns at once."""
        if seconds > 0:
            time.sleep(seconds)


SYSTEM_CLOCK = Clock()


class Deadline:
    """A moment after which nothing more is sent. One is made per call and covers redirects, retries and sign-in.

    Not shared between threads.
    """

    __slots__ = ("at", "clock", "seconds")

    def __init__(self, seconds: float | None, clock: Clock = SYSTEM_CLOCK) -> None:
        """`seconds` from now; `None` means never."""
        self.clock = clock
        self.seconds = seconds
        self.at = None if seconds is None else clock.monotonic() + seconds

    def remaining(self) -> float | None:
        """Seconds left (negative when over); `None` when there is no deadline."""
        return None if self.at is None else self.at - self.clock.monotonic()

    def allows(self, seconds: float) -> bool:
        """Whether a wait of `seconds` ends before the deadline does."""
        remaining = self.remaining()
        return remaining is None or seconds < remaining
