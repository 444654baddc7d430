"""Telling the caller how far a transfer is: often enough to look smooth, seldom enough to cost nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..words.errors import ConfigurationError

if TYPE_CHECKING:
    from typing import Callable, Optional, TypeVar

    from ..words.clock import Clock

    ProgressCallback = Callable[[int, Optional[int]], Any]
    T = TypeVar("T")

_SECONDS_BETWEEN = 0.1


class Progress:
    """How far one transfer is. Calls back from the thread of the transfer, at most about ten times a second.

    `callback(done, total)` gets bytes, and `None` for a total that is not known; without a callback nothing is done. Raises
    `ConfigurationError` for one that is no function.
    """

    __slots__ = ("_callback", "_clock", "_next")

    def __init__(self, callback: ProgressCallback | None, clock: Clock) -> None:
        if callback is not None and not callable(callback):
            raise ConfigurationError(f"progress= takes a function, not {type(callback).__name__}.")
        self._callback = callback
        self._clock = clock
        self._next = 0.0

    def begin(self, done: int, total: int | None) -> None:
        """Tell where it begins, or begins again."""
        if self._callback is not None:
            self._tell(done, total)

    def advance(self, done: int, total: int | None) -> None:
        """Tell how far it is, unless that was told a moment ago. The end is left to `finish`."""
        if self._callback is not None and done != total and self._clock.monotonic() >= self._next:
            self._tell(done, total)

    def finish(self, size: int) -> None:
        """Tell that all of its `size` bytes are through."""
        if self._callback is not None:
            self._tell(size, size)

    def _tell(self, done: int, total: int | None) -> None:
        assert self._callback is not None
        try:
            self._callback(done, total)
        except Exception as error:
            raise Stopped(error) from error
        self._next = self._clock.monotonic() + _SECONDS_BETWEEN


class Stopped(BaseException):
    """The caller's progress function raised `reason`. Nothing on the way takes this one for a failure, of the file or else."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(reason)
        self.reason = reason


def passing_on(work: Callable[[], T]) -> T:
    """What `work()` gives; what a progress function raised in it comes out as it is."""
    try:
        return work()
    except Stopped as stopped:
        reason = stopped.reason
    raise reason
