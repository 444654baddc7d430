"""Time as something that can be handed in, so that a test never waits and a frozen machine can be played."""

from __future__ import annotations

from time import monotonic as _monotonic
from time import sleep as _sleep
from time import time as _time


class Clock:
    """The system's clock. Subclass it and hand it to a session to own time in a test."""

    __slots__ = ()

    # The functions themselves: they are asked several times per request.
    time = staticmethod(_time)
    """Seconds since the epoch, by the wall clock (it may jump)."""
    monotonic = staticmethod(_monotonic)
    """Seconds that only ever grow; for deadlines and intervals."""

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`; zero or less returns at once."""
        if seconds > 0:
            _sleep(seconds)


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
