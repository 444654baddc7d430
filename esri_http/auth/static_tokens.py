"""Tokens and keys that somebody else issued: `EsriUserTokenAuth` and `EsriAPIKeyAuth`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Callable

from ..words.clock import SYSTEM_CLOCK, Clock
from ..words.errors import ArcGISLoginError, ConfigurationError, EsriHttpError
from ..words.urls import split_url
from .base import INERT, Audience, AuthRun
from .callables import adopt
from .chain import ChainRun
from .sites import Root, portal_root
from .token_answers import check_token
from .token_auth import NoSource, TokenAuth, TokenRun
from .tokens import Fetched, Token

if TYPE_CHECKING:
    from ..messages.request import Request
    from .base import Wire
    from .token_auth import TokenSource


class GivenToken:
    """The source of a token that was handed to us: it is renewed only by the one who gave it."""

    def __init__(
        self, name: str, fetched: Fetched, renew: Callable[[], Any] | None = None, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._name = name
        self._renew = renew
        self._clock = clock
        self._lock = threading.Lock()
        self._token = Token(fetched, clock)

    @property
    def value(self) -> str:
        """The token as text."""
        return self._token.value

    def current(self, wire: Wire) -> Token:
        token = self._token
        if token.renew_at is None or self._clock.monotonic() < token.renew_at:
            return token
        if self._renew is not None:
            return self.renewed(wire, token)
        if token.dies_at is not None and self._clock.monotonic() >= token.dies_at:
            raise ArcGISLoginError(f"The {self._name} has expired; get a new one and make a new handler with it.")
        return token

    def renewed(self, wire: Wire, refused: Token) -> Token:
        if self._renew is None:
            raise ArcGISLoginError(
                f"The server refuses the {self._name} (expired, revoked, bound to another Referer, or not for this server); it"
                " cannot be renewed from here."
            )
        with self._lock:
            if self._token.generation == refused.generation:
                fetched = read_given(self._renew(), None, self._clock)
                if fetched.value == refused.value:
                    raise ArcGISLoginError(f"The renewed {self._name} is the refused one.")
                self._token = Token(fetched, self._clock, refused.generation + 1)
            return self._token

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()


def read_given(given: Any, expires: Any, clock: Clock) -> Fetched:
    """A token from text, or from a pair (token, expires); `expires` in epoch seconds, epoch ms, or a datetime."""
    if isinstance(given, (tuple, list)) and len(given) == 2:
        given, expires = given
    if not isinstance(given, str) or not given.strip():
        raise ConfigurationError("A token or key is text that is not empty.")
    value = given.strip()
    try:
        check_token(value)
    except EsriHttpError:
        raise ConfigurationError("The token or key holds characters that no token has.") from None
    if hasattr(expires, "timestamp"):
        expires = expires.timestamp()
    if expires is None:
        return Fetched(value)
    if isinstance(expires, bool) or not isinstance(expires, (int, float)):
        raise ConfigurationError("expires= takes epoch seconds, epoch milliseconds or a datetime.")
    seconds = expires / 1000.0 if expires > 1e11 else float(expires)
    return Fetched(value, seconds, seconds - clock.time())


class _GivenTokenAuth(TokenAuth):
    """A handler for a token that was given: it goes where the caller's own requests go, or only to the site `url`."""

    _name = "token"

    def __init__(
        self, given: Any, *, expires: Any, renew: Callable[[], Any] | None, url: str | None, clock: Clock, **options: Any
    ) -> None:
        super().__init__(**options)
        self._given = GivenToken(self._name, read_given(given, expires, clock), renew, clock)
        self._site: Root | None = None if url is None else portal_root(split_url(url))

    def begin(self, audience: Audience) -> AuthRun:
        return TokenRun(self, audience) if self._is_for(audience) else INERT

    def _is_for(self, audience: Audience) -> bool:
        if audience.is_trusted:
            return True
        return audience.own if self._site is None else audience.origin == self._site.origin

    def source_for(self, request: Request, audience: Audience, wire: Wire) -> TokenSource | NoSource | None:
        return self._given

    @property
    def token(self) -> str:
        """The token as it stands (str)."""
        return self._given.value

    @token.setter
    def token(self, value: str) -> None:
        old = self._given
        self._given = GivenToken(self._name, read_given(value, None, old._clock), old._renew, old._clock)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"


class EsriUserTokenAuth(_GivenTokenAuth):
    """A token that you have already. Safe to share between threads.

    `token`: text, or a pair (token, expires). `referer`: the one that the token is bound to; `None` for the session's.
    `expires`: epoch seconds, epoch ms or a datetime; `None` for unknown. `renew`: called with nothing when the token is
    about to expire or is refused; returns a new token, or a pair (token, expires). `url`: the only site that the token is
    for; `None` for wherever the caller's own requests go. `legacy`: send ``token=`` instead of a header.

    A refused token that cannot be renewed is an `ArcGISLoginError`, never a silent anonymous request.
    """

    def __init__(
        self,
        token: Any,
        referer: str | None = None,
        verify_cert: Any = True,
        *,
        legacy: bool = False,
        expires: Any = None,
        renew: Callable[[], Any] | None = None,
        url: str | None = None,
        session: Any = None,
        proxies: Any = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        super().__init__(
            token, expires=expires, renew=renew, url=url, clock=clock,
            referer=referer, verify_cert=verify_cert, legacy=legacy, session=session, proxies=proxies,
        )  # fmt: skip


class EsriAPIKeyAuth(_GivenTokenAuth):
    """An API key (``AAPK...``, ``AAPT...``). Safe to share between threads.

    `referer`: one of the key's allowed referrers, where it has such; `None` for the session's. `auth`: another handler
    that stands nearer the wire. The rest as for `EsriUserTokenAuth`.
    """

    _name = "API key"

    def __init__(
        self,
        api_key: Any,
        referer: str | None = None,
        verify_cert: Any = True,
        auth: Any = None,
        *,
        legacy: bool = False,
        expires: Any = None,
        renew: Callable[[], Any] | None = None,
        url: str | None = None,
        session: Any = None,
        proxies: Any = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        super().__init__(
            api_key, expires=expires, renew=renew, url=url, clock=clock,
            referer=referer, verify_cert=verify_cert, legacy=legacy, session=session, proxies=proxies,
        )  # fmt: skip
        self._inner = None if auth is None else adopt(auth)

    def begin(self, audience: Audience) -> AuthRun:
        run = super().begin(audience)
        return run if self._inner is None else ChainRun([self._inner.begin(audience), run])
