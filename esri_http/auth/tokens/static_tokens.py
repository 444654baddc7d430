"""Tokens and keys that somebody else issued: `EsriUserTokenAuth` and `EsriAPIKeyAuth`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from ...words.clock import SYSTEM_CLOCK, Clock
from ...words.errors import ArcGISLoginError, ConfigurationError, EsriHttpError, NoTokenError
from ...words.redaction import redact_url
from ..base import INERT, Audience, AuthRun
from .inner import InnerAuth
from .keeper import Fetched, TokenKeeper, check_token
from .lifetimes import END_OF_TIME, LONGEST_LIFE_SECONDS, epoch_seconds
from .token_auth import TokenAuth, check_functions

if TYPE_CHECKING:
    from ...messages.request import Request
    from ..base import BaseEsriAuth, Wire
    from ..sites import Root
    from .keeper import Token
    from .routing import TokenRouter
    from .token_auth import TokenSource


class GivenToken:
    """The source of a token that was handed to us: it is renewed only by the one who gave it."""

    def __init__(
        self, name: str, fetched: Fetched, renew: Callable[[], Any] | None = None, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._name = name
        self._renew = renew
        self.clock = clock
        self._refused: str | None = None
        self._keeper = TokenKeeper(self._fetch, clock)
        self._last = self._keeper.put(fetched)

    @property
    def value(self) -> str:
        """The token as text."""
        return (self._keeper.token or self._last).value

    def current(self, wire: Wire) -> Token:
        self._last = self._keeper.current(wire)
        return self._last

    def renewed(self, wire: Wire, refused: Token) -> Token:
        if self._renew is None:
            raise ArcGISLoginError(
                f"The server refuses the {self._name} (expired, revoked, bound to another Referer, or not for this server); it"
                " cannot be renewed from here."
            )
        self._refused = refused.value
        try:
            self._last = self._keeper.renewed(wire, refused)
        finally:
            self._refused = None  # the next request may find it good: once the server has come up, or with another Referer
        return self._last

    def _fetch(self, wire: Wire) -> Fetched:
        if self._renew is None:
            raise ArcGISLoginError(f"The {self._name} has expired; get a new one and make a new handler with it.")
        fetched = read_given(self._renew(), None, self.clock)
        if fetched.value == self._refused:
            raise ArcGISLoginError(f"The renewed {self._name} is the refused one.")
        return fetched

    def replace(self, fetched: Fetched) -> None:
        """Go on with another token, renewed in the same way."""
        self._keeper.begin_anew()
        self._last = self._keeper.put(fetched)

    def without_renewal(self, wire: Wire) -> GivenToken:
        """The source of the token as it stands, with no way to get another one."""
        return GivenToken(self._name, self.current(wire).fetched(self.clock), None, self.clock)


def read_given(given: Any, expires: Any, clock: Clock) -> Fetched:
    """A token from text, or from a pair (token, expires); `expires` in epoch seconds, epoch ms, or a datetime.

    An end that is too far off to be one, such as `datetime.max`, counts as not known.
    """
    if isinstance(given, (tuple, list)) and len(given) == 2:
        given, expires = given
    if not isinstance(given, str) or not given.strip():
        raise ConfigurationError("A token or key is text that is not empty.")
    value = given.strip()
    try:
        check_token(value)
    except EsriHttpError:
        raise ConfigurationError("The token or key holds characters that no token has.") from None
    seconds = None if expires is None else _end_of(expires)
    if seconds is None or seconds - clock.time() > LONGEST_LIFE_SECONDS:
        return Fetched(value)
    return Fetched(value, seconds, seconds - clock.time())


def _end_of(expires: Any) -> float:
    """The moment in epoch seconds, of a datetime or a number. Raises `ConfigurationError`."""
    moment = expires
    if hasattr(expires, "timestamp"):
        try:
            moment = expires.timestamp()
        except (ValueError, OverflowError, OSError):
            from datetime import timezone

            moment = expires.replace(tzinfo=timezone.utc).timestamp()  # at the ends of the calendar hours do not matter
    if isinstance(moment, bool) or not isinstance(moment, (int, float)) or not abs(moment) < END_OF_TIME:
        raise ConfigurationError("expires= takes epoch seconds, epoch milliseconds or a datetime.")
    return epoch_seconds(moment) if moment is expires else float(moment)  # a datetime is never milliseconds


class EsriUserTokenAuth(TokenAuth):
    """A token that you have already. Safe to share between threads.

    `token`: text, or a pair (token, expires). `referer`: the one that the token is bound to; `None` for the session's.
    `expires`: epoch seconds, epoch ms or a datetime; `None` for unknown. `renew`: called with nothing when the token is
    about to expire or is refused; returns a new token, or a pair (token, expires). `url`: the only site that the token is
    for; `None` for wherever the caller's own requests go. `legacy`: send ``token=`` instead of a header.

    A refused token that cannot be renewed is an `ArcGISLoginError`, never a silent anonymous request.
    """

    _name = "token"

    def __init__(
        self,
        token: Any,
        referer: str | None = None,
        verify_cert: Any = True,
        *,
        expires: Any = None,
        renew: Callable[[], Any] | None = None,
        url: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
        **options: Any,
    ) -> None:
        super().__init__(referer=referer, verify_cert=verify_cert, **options)
        check_functions(renew=renew)
        self._given = GivenToken(self._name, read_given(token, expires, clock), renew, clock)
        self._router = None if url is None else self._router_at(url)

    def _router_at(self, url: str) -> TokenRouter:
        from ...words.urls import split_url
        from ..sites import portal_root
        from .routing import TokenRouter
        from .token_services import portal_service

        return TokenRouter(portal_service(portal_root(split_url(url))), self._given, self.referer_to_send, self._given.clock)

    def begin(self, audience: Audience) -> AuthRun:
        is_for = audience.own or audience.is_trusted or self._router is not None
        return super().begin(audience) if is_for else INERT

    def source_for(self, request: Request, audience: Audience, wire: Wire) -> TokenSource | NoTokenError | None:
        return self._given if self._router is None else self._router.source_for(request, audience, wire)

    def site_tokens(self, wire: Wire) -> tuple[Root | None, TokenSource]:
        """See `TokenAuth.site_tokens`."""
        return None if self._router is None else self._router.site.root, self._given

    def _describe(self, url: str) -> str:
        if self._router is None:
            return f"{redact_url(url)}: the {self._name}; it goes wherever you send a request, and no redirect takes it along"
        return self._router.describe(url, self.wire())

    def _forget(self) -> None:
        if self._router is not None:
            self._router.forget()

    def for_workers(self) -> BaseEsriAuth:
        """See `BaseEsriAuth.for_workers`: the token as it stands, without `renew`."""
        wire = self.wire()
        if self._router is not None:
            from .travelling import TravellingAuth

            referer = self.referer_to_send(wire)
            return TravellingAuth(self._router, wire, clock=self._given.clock, referer=referer, legacy=self.legacy)
        from copy import copy

        twin = copy(self)
        twin._given = self._given.without_renewal(wire)
        return twin

    @property
    def token(self) -> str:
        """The token as it stands (str)."""
        return self._given.value

    @token.setter
    def token(self, value: str) -> None:
        self._given.replace(read_given(value, None, self._given.clock))
        self._forget()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"


class EsriAPIKeyAuth(InnerAuth, EsriUserTokenAuth):
    """An API key (``AAPK...``, ``AAPT...``). Safe to share between threads.

    `referer`: one of the key's allowed referrers, where it has such; `None` for the session's. `auth`: another handler
    that stands nearer the wire. The rest as for `EsriUserTokenAuth`.
    """

    _name = "API key"

    def __init__(
        self, api_key: Any, referer: str | None = None, verify_cert: Any = True, auth: Any = None, **options: Any
    ) -> None:
        super().__init__(api_key, referer, verify_cert, auth=auth, **options)
