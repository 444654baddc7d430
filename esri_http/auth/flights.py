"""Work that many threads want at the same moment: one does it, the others wait for what comes of it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Callable

from ..words.errors import DeadlineExceededError, EsriHttpError, TokenRequestError
from ..words.forks import watch_forks

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .base import Wire

_LONGEST_WAIT_SECONDS = 600.0


class _Flight:
    """One piece of work under way. `error` is what it ended with, if not with `result`."""

    __slots__ = ("done", "error", "result", "thread")

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.done = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None

    @property
    def was_given_up(self) -> bool:
        """Whether the thread that did the work stopped for a reason of its own: interrupted, or out of time."""
        error = self.error
        return error is not None and (isinstance(error, DeadlineExceededError) or not isinstance(error, Exception))

    def outcome(self) -> Any:
        """The result for one that waited, or the failure as an error of its own."""
        error = self.error
        if error is None:
            return self.result
        if isinstance(error, EsriHttpError):
            raise fresh(error) from error
        raise TokenRequestError(f"Getting a token failed in another thread: {type(error).__name__}.") from error


class Flights:
    """Shares work by its key. A failure reaches everyone who waits for it, and is forgotten.

    Work that its thread gives up (interrupted, out of time) is taken over by one of those who wait. Safe for threads; a
    forked child and a pickle begin with nothing under way.
    """

    def __init__(self) -> None:
        self.after_fork()
        watch_forks(self)

    def after_fork(self) -> None:
        """In a forked child: what was under way belongs to threads that are not there."""
        self._lock = threading.Lock()
        self._under_way: dict[Hashable, _Flight] = {}

    def share(self, key: Hashable, work: Callable[[], Any], wire: Wire | None, wait: bool = True) -> Any:
        """What `work()` returns, done by this thread or by another; `None` if another is at it and `wait` is false.

        Raises what the work raises, `DeadlineExceededError` when the call behind `wire` has no time to wait, or after ten
        minutes, and `TokenRequestError` where the work would wait for itself.
        """
        while True:
            with self._lock:
                flight = self._under_way.get(key)
                mine = flight is None
                if flight is None:
                    flight = self._under_way[key] = _Flight()
            if mine:
                return self._do(key, flight, work)
            if not wait:
                return None
            if flight.thread == threading.get_ident():
                raise TokenRequestError(
                    "A token was asked for by what is to get it: a callable such as renew= or on_token= sends through the"
                    " session that waits for it; give it a session of its own."
                )
            _await(flight, wire)
            if not flight.was_given_up:
                return flight.outcome()

    def _do(self, key: Hashable, flight: _Flight, work: Callable[[], Any]) -> Any:
        try:
            flight.result = work()
        except BaseException as error:
            flight.error = error
            raise
        finally:
            with self._lock:
                if self._under_way.get(key) is flight:
                    del self._under_way[key]
            flight.done.set()
        return flight.result

    def __reduce__(self) -> tuple[type[Flights], tuple[()]]:
        return Flights, ()


def fresh(error: EsriHttpError) -> EsriHttpError:
    """A copy of `error` to raise: one that several threads raised would collect every thread's traceback."""
    rebuild, arguments = error.__reduce__()
    return rebuild(*arguments)


def seconds_to_wait(wire: Wire | None, longest: float) -> float:
    """How long the call behind `wire` (`None`: of no call) can wait for another thread, at most `longest` seconds."""
    left = None if wire is None else wire.deadline.remaining()
    return longest if left is None else max(0.0, min(left, longest))


def _await(flight: _Flight, wire: Wire | None) -> None:
    seconds = seconds_to_wait(wire, _LONGEST_WAIT_SECONDS)
    if not flight.done.wait(seconds):
        is_cut = seconds < _LONGEST_WAIT_SECONDS
        why = "The time for the whole call is used up" if is_cut else f"It was waited for {seconds:.0f} s"
        raise DeadlineExceededError(f"{why}; another thread is still getting the token.")
