"""A token, and the keeper that gets it once for everybody and renews it in time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from ..words.clock import SYSTEM_CLOCK, Clock
from ..words.errors import EsriHttpError, TokenRequestError
from ..words.forks import watch_forks

if TYPE_CHECKING:
    from .base import Wire

# Renewed early, so that no token dies under way; scaled down for tokens that live for a minute only.
_EARLY_SECONDS = 300.0
_EARLY_SHARE = 0.1
_FLIGHT_SECONDS = 600.0


class Fetched(NamedTuple):
    """What a token service granted: the token, when it dies by the server's clock, and its life in seconds from now."""

    value: str
    expires_at: float | None = None
    lifetime_seconds: float | None = None
    ssl: bool | None = None


class Token:
    """A token with what is known of it. Immutable, so a reader never sees half an update; its repr does not show it.

    `expires_at` (epoch seconds by the server's clock) and `ssl` (use it over https only) are `None` when the server did
    not say; `renew_at` and `dies_at` are moments of the local monotonic clock, or `None` for never.
    """

    __slots__ = ("dies_at", "expires_at", "generation", "renew_at", "ssl", "value")

    def __init__(
        self,
        fetched: Fetched,
        clock: Clock,
        generation: int = 0,
    ) -> None:
        self.value = fetched.value
        self.expires_at = fetched.expires_at
        self.ssl = fetched.ssl
        self.generation = generation
        self.renew_at: float | None = None
        self.dies_at: float | None = None
        life = fetched.lifetime_seconds
        if life is not None:
            now = clock.monotonic()
            # Five minutes early, and for short lives a tenth of the life: a one-minute token is not renewed all the time.
            self.renew_at = now + max(life - min(_EARLY_SECONDS, life * _EARLY_SHARE), 0.0)
            self.dies_at = now + life

    def __repr__(self) -> str:
        return f"<Token, expires at {self.expires_at}>"


class _Flight:
    """One fetch under way: those who join it wait for its end."""

    __slots__ = ("done", "error", "token")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.token: Token | None = None
        self.error: BaseException | None = None


class TokenKeeper:
    """Holds one token for one server, and shares one fetch among all threads that need it.

    Readers take no lock while the token is fresh. While a token is renewed early one thread fetches and the others go on
    with the old one; when it is dead all wait for the one fetch. A failure reaches everyone who waits and is forgotten.
    """

    def __init__(self, fetch: Callable[[Wire], Fetched], clock: Clock = SYSTEM_CLOCK) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._flight: _Flight | None = None
        self._generation = 0
        watch_forks(self)

    @property
    def token(self) -> Token | None:
        """The token as it stands; `None` before the first fetch and after a refusal."""
        return self._token

    def current(self, wire: Wire) -> Token:
        """A token that should work; fetched through `wire` where there is none, or the one there is dead.

        Raises what the fetch raises.
        """
        token = self._token
        if token is not None and (token.renew_at is None or self._clock.monotonic() < token.renew_at):
            return token
        return self._renewed(wire, token)

    def renewed(self, wire: Wire, refused: Token) -> Token:
        """Another token than `refused`: one that another thread has got meanwhile, or a new one."""
        with self._lock:
            if self._token is not None and self._token.generation == refused.generation:
                self._token = None
        return self.current(wire)

    def put(self, fetched: Fetched) -> Token:
        """Take a token that came another way."""
        with self._lock:
            return self._store(fetched)

    def forget(self) -> None:
        """Drop the token; the next request fetches one."""
        with self._lock:
            self._token = None

    def _renewed(self, wire: Wire, stale: Token | None) -> Token:
        with self._lock:
            token, flight = self._token, self._flight
            if token is not None and token is not stale:
                return token
            mine = flight is None
            if flight is None:
                flight = self._flight = _Flight()
        if mine:
            return self._fly(flight, wire)
        if token is not None and self._still_lives(token):
            return token
        return self._join(flight)

    def _still_lives(self, token: Token) -> bool:
        """Whether a token past its early renewal can be used while another thread renews it."""
        return token.dies_at is not None and self._clock.monotonic() < token.dies_at

    def _fly(self, flight: _Flight, wire: Wire) -> Token:
        try:
            fetched = self._fetch(wire)
        except BaseException as error:
            flight.error = error
            raise
        else:
            with self._lock:
                flight.token = self._store(fetched)
            return flight.token
        finally:
            with self._lock:
                if self._flight is flight:
                    self._flight = None
            flight.done.set()

    def _join(self, flight: _Flight) -> Token:
        if not flight.done.wait(_FLIGHT_SECONDS):
            raise TokenRequestError("Another thread has been getting a token for ten minutes; it was not waited for longer.")
        if flight.token is not None:
            return flight.token
        error = flight.error
        if isinstance(error, EsriHttpError):
            # Each thread raises an error of its own: a shared one would collect every thread's traceback.
            rebuild, arguments = error.__reduce__()
            raise rebuild(*arguments) from error
        raise TokenRequestError("Getting a token was broken off in another thread.") from error

    def _store(self, fetched: Fetched) -> Token:
        self._generation += 1
        self._token = token = Token(fetched, self._clock, self._generation)
        return token

    def after_fork(self) -> None:
        """In a forked child: the fetch that was under way belongs to a thread that is not there."""
        self._lock = threading.Lock()
        self._flight = None

    def __getstate__(self) -> dict[str, object]:
        """A pickle keeps the token (it travels to workers), not the locks."""
        token = self._token
        fetched = None
        if token is not None:
            # The monotonic clock of another process means nothing there: what travels is the life that is left.
            left = None if token.dies_at is None else max(token.dies_at - self._clock.monotonic(), 0.0)
            fetched = Fetched(token.value, token.expires_at, left, token.ssl)
        return {"fetch": self._fetch, "clock": self._clock, "fetched": fetched}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["fetch"], state["clock"])  # type: ignore[misc]
        if state["fetched"] is not None:
            self.put(state["fetched"])
