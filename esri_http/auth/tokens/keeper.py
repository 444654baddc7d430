"""A token, and the keeper that gets it once for everybody and renews it in time."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Callable

from ...words.clock import SYSTEM_CLOCK, Clock
from ...words.errors import TokenRequestError
from ...words.values import Value
from .holdings import Holding, holding_named

if TYPE_CHECKING:
    from ...words.errors import EsriHttpError
    from ..base import Wire

log = logging.getLogger("esri_http.auth")

# Renewed early, so that no token dies under way; for short lives a tenth of them, else a minute's token were never used.
_EARLY_SECONDS = 300.0
_EARLY_SHARE = 0.1
# How long an old token is used on after a failed early renewal before the next try.
_NEXT_TRY_SECONDS = 30.0
_LONGEST_TOKEN = 16 * 1024


def check_token(token: object, url: str | None = None) -> str:
    """`token` if it is one: visible ASCII that fits a header field. Raises `TokenRequestError`."""
    if not isinstance(token, str) or not token:
        raise TokenRequestError("The token service answered with neither a token nor an error.", url=url)
    if len(token) > _LONGEST_TOKEN or not (token.isascii() and token.isprintable()) or " " in token:
        raise TokenRequestError("The token service answered with something that cannot be a token.", url=url)
    return token


class Fetched(Value):
    """What a token service granted: the token, when it dies by the server's clock, and its life in seconds from now.

    `referer`: what the token is bound to, where whoever issued it said so; `None` for that of the handler.
    """

    __slots__ = ("expires_at", "lifetime_seconds", "referer", "ssl", "value")

    def __init__(
        self,
        value: str,
        expires_at: float | None = None,
        lifetime_seconds: float | None = None,
        ssl: bool | None = None,
        referer: str | None = None,
    ) -> None:
        self.value = value
        self.expires_at = expires_at
        self.lifetime_seconds = lifetime_seconds
        self.ssl = ssl
        self.referer = referer

    def __repr__(self) -> str:
        return f"<Fetched, expires at {self.expires_at}>"


class Token:
    """A token with what is known of it. Immutable, so a reader never sees half an update; its repr does not show it.

    `expires_at` (epoch seconds by the server's clock) and `ssl` (use it over https only) are `None` when the server did
    not say; `renew_at` and `dies_at` are moments of the local monotonic clock, or `None` for never; `since` is when it was
    got, in epoch seconds.
    """

    __slots__ = ("dies_at", "expires_at", "generation", "referer", "renew_at", "since", "ssl", "value")

    def __init__(self, fetched: Fetched, clock: Clock, generation: int = 0, since: float | None = None) -> None:
        self.value = fetched.value
        self.expires_at = fetched.expires_at
        self.ssl = fetched.ssl
        self.referer = fetched.referer
        self.generation = generation
        self.since = clock.time() if since is None else since
        self.renew_at: float | None = None
        self.dies_at: float | None = None
        life = fetched.lifetime_seconds
        if life is not None:
            now = clock.monotonic()
            self.renew_at = now + max(life - min(_EARLY_SECONDS, life * _EARLY_SHARE), 0.0)
            self.dies_at = now + life

    def postponed(self, renew_at: float) -> Token:
        """The same token, to be renewed at another moment, though no later than it dies."""
        from copy import copy

        twin = copy(self)
        twin.renew_at = renew_at if self.dies_at is None else min(renew_at, self.dies_at)
        return twin

    def fetched(self, clock: Clock) -> Fetched:
        """What a keeper takes to hold it, too: the same token, with the life that it has left."""
        left = None if self.dies_at is None else max(self.dies_at - clock.monotonic(), 0.0)
        return Fetched(self.value, self.expires_at, left, self.ssl, self.referer)

    def __repr__(self) -> str:
        return f"<Token, expires at {self.expires_at}>"


class TokenKeeper:
    """Holds one token for one server, and shares one fetch among all threads that need it.

    Readers take no lock while the token is fresh. While a token is renewed early one thread fetches and the others go on
    with the old one, as does that thread if the fetch fails; when the token is dead all wait for the one fetch. A failure
    reaches everyone who waits and is forgotten.

    In the process that a pickle comes to, its copies hold one token together, however many they are: the newest that any of
    them brought or got; likewise what the next one is got with. A copy that is told to `forget` or to `begin_anew` goes on by
    itself.
    """

    def __init__(self, fetch: Callable[[Wire], Fetched], clock: Clock = SYSTEM_CLOCK) -> None:
        self._fetch = fetch
        self._clock = clock
        self._holding = Holding()

    @property
    def token(self) -> Token | None:
        """The token as it stands; `None` before the first fetch and after a refusal."""
        return self._holding.token

    @property
    def refusal(self) -> EsriHttpError | None:
        """Why there is no use in a further fetch, as whoever fetches has left it here; `None` while there is."""
        return self._holding.refusal

    @refusal.setter
    def refusal(self, error: EsriHttpError) -> None:
        self._holding.refusal = error

    @property
    def means(self) -> Any:
        """What the next token is got with, as whoever fetches has left it here; `None` for nothing that would change."""
        return self._holding.means

    @means.setter
    def means(self, means: Any) -> None:
        self._holding.means = means

    def current(self, wire: Wire) -> Token:
        """A token that should work; fetched through `wire` where there is none, or the one there is dead.

        Raises what the fetch raises.
        """
        token = self._holding.token
        if token is None:
            return self._new(wire, None)
        if token.renew_at is None or self._clock.monotonic() < token.renew_at:
            return token
        if token.dies_at is not None and self._clock.monotonic() >= token.dies_at:
            return self._new(wire, token)
        return self._renewed_early(wire, token)

    def renewed(self, wire: Wire, refused: Token) -> Token:
        """Another token than `refused`: one that another thread has got meanwhile, or a new one."""
        holding = self._holding
        with holding.lock:
            if holding.token is not None and holding.token.generation == refused.generation:
                holding.token = None
        return self.current(wire)

    def put(self, fetched: Fetched) -> Token:
        """Take a token that came another way."""
        return self._put(self._holding, fetched)

    def forget(self) -> None:
        """Drop the token; the next request fetches one, unless there was a `refusal`."""
        holding = self._holding
        self._holding = Holding(holding.generation, holding.refusal, holding.means)

    def begin_anew(self) -> None:
        """Drop the token and the `refusal`: what tokens are fetched with is not the same any more."""
        self._holding = Holding(self._holding.generation, means=self._holding.means)

    def _new(self, wire: Wire, stale: Token | None, wait: bool = True) -> Token:
        """Another token than `stale`; with `wait` false, `stale` itself while another thread is getting one."""
        holding = self._holding

        def fetch() -> Token:
            token = holding.token
            return token if token is not None and token is not stale else self._put(holding, self._fetch(wire))

        token: Token | None = holding.flights.share(None, fetch, wire, wait)
        return token or stale  # type: ignore[return-value]

    def _renewed_early(self, wire: Wire, token: Token) -> Token:
        """A new token, or for want of one `token`, which still lives."""
        try:
            return self._new(wire, token, wait=False)
        except Exception as error:  # also what comes out of a caller's own `renew`
            log.debug("a token could not be renewed early, the old one is used on: %s", type(error).__name__)
        holding = self._holding
        with holding.lock:
            if holding.token is token:
                holding.token = token.postponed(self._clock.monotonic() + _NEXT_TRY_SECONDS)
        return token

    def _put(self, holding: Holding, fetched: Fetched, since: float | None = None) -> Token:
        with holding.lock:
            return holding.store(Token(fetched, self._clock, holding.generation + 1, since))

    def __getstate__(self) -> dict[str, object]:
        """A pickle keeps the token (it travels to workers), not the locks."""
        holding, clock = self._holding, self._clock
        token = holding.token
        fetched = None if token is None else token.fetched(clock)
        if fetched is not None and fetched.lifetime_seconds is not None:
            # The monotonic clock of another process means nothing there: what travels is a moment of the wall clock.
            fetched = fetched.replace(lifetime_seconds=clock.time() + fetched.lifetime_seconds)
        return {
            "fetch": self._fetch, "clock": clock, "name": holding.name(), "refusal": holding.refusal,
            "fetched": fetched, "since": None if token is None else token.since, "means": holding.means,
        }  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._fetch, self._clock = state["fetch"], state["clock"]
        self._holding = holding = holding_named(state["name"])
        if state["refusal"] is not None:
            holding.refusal = state["refusal"]
        fetched = state["fetched"]
        brings_news = fetched is not None and state["since"] > holding.since
        if brings_news or (holding.since == 0.0 and holding.means is None):
            holding.means = state["means"]
        if brings_news:
            dies_at = fetched.lifetime_seconds
            left = None if dies_at is None else max(dies_at - self._clock.time(), 0.0)
            self._put(holding, fetched.replace(lifetime_seconds=left), state["since"])
