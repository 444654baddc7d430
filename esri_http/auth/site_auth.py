"""Handlers that sign in at one site: which of its tokens goes where, and how the sign-in ends."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from ..messages.request import Request
from ..words.clock import SYSTEM_CLOCK, Clock
from ..words.errors import ArcGISLoginError, EsriHttpError
from ..words.urls import split_url
from .base import Audience
from .flights import fresh
from .routing import TokenRouter
from .sites import Root, portal_root
from .token_answers import read_json
from .token_auth import NoSource, TokenAuth
from .token_services import TokenService, portal_service
from .tokens import Fetched, TokenKeeper

if TYPE_CHECKING:
    from .base import Wire
    from .token_auth import TokenSource

_T = TypeVar("_T")


class SiteAuth(TokenAuth):
    """Base of the handlers that get their token from a portal or server themselves. Safe to share between threads.

    Subclasses say how (`_fetch`) and, where it is not a portal, which site it is (`_site`).
    """

    def __init__(
        self,
        url: str,
        *,
        password: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
        verify_sign_in: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._password = password
        self._passwords_set = 0
        self._refusal: ArcGISLoginError | None = None
        self.clock = clock
        self._url = url
        self._keeper = TokenKeeper(self._checked_fetch, clock)
        self._router = TokenRouter(self._keeper, self.referer_to_send, clock)
        self._verify_sign_in = verify_sign_in

    # -- for subclasses ----------------------------------------------------------------------------------------------

    def _fetch(self, wire: Wire) -> Fetched:
        """Sign in and return a new token; called by one thread at a time. Raises `SignInError`."""
        raise NotImplementedError

    def _site(self, wire: Wire) -> TokenService:
        """The site that this handler signs in at."""
        raise NotImplementedError

    def _revoke_at_site(self, wire: Wire) -> bool:
        """Tell the site that the sign-in is over; whether it took note. Asked only where there is a token."""
        return False

    def _expected_user(self) -> str | None:
        """Who the portal should say that we are; `None` for anybody."""
        return None

    # -- the password ------------------------------------------------------------------------------------------------

    @property
    def password(self) -> None:
        """Write-only. Setting it forgets the token and a refusal, so that the next request signs in anew."""
        return None

    @password.setter
    def password(self, password: str) -> None:
        self._password = password
        self._passwords_set += 1
        self._refusal = None
        self._forget()

    def _remembering(self, attempt: Callable[[], _T]) -> _T:
        """What `attempt` returns; a refused password is remembered, and not posted again until it is set anew."""
        if self._refusal is not None:
            raise fresh(self._refusal)
        before = self._passwords_set
        try:
            return attempt()
        except ArcGISLoginError as error:
            if self._passwords_set == before:
                self._refusal = fresh(error)  # type: ignore[assignment]
            raise

    # -- which token for which request -------------------------------------------------------------------------------

    def source_for(self, request: Request, audience: Audience, wire: Wire) -> TokenSource | NoSource | None:
        return self._router.source_for(self._site(wire), request, audience, wire)

    def site_tokens(self, wire: Wire) -> tuple[Root | None, TokenSource]:
        """See `TokenAuth.site_tokens`."""
        return self._site(wire).root, self._router.tokens

    # -- for people --------------------------------------------------------------------------------------------------

    @property
    def token(self) -> Any:
        """The site's token (str), fetched if need be."""
        return self._router.tokens.current(self.wire()).value

    @property
    def token_expires(self) -> datetime.datetime | None:
        """When the token dies by what the server granted (UTC); `None` while there is none or it did not say."""
        return expires_of(self._keeper)

    def token_for(self, url: str) -> str:
        """The token that a request to `url`, the root of a server or any URL of it, would carry.

        Raises `SignInError` where that is none.
        """
        wire = self.wire()
        source = self._router.source_for_url(self._site(wire), url, wire)
        if source is None:
            raise NoSource(f"No token of this session is for {split_url(url).origin}.", url=url)
        return usable(source).current(wire).value

    def describe(self, url: str) -> str:
        """Which token a request to `url` carries, and why; holds no secret. May ask the server whom it belongs to."""
        wire = self.wire()
        return describe_source(self._site(wire), self._router, url, wire)

    def _revoke(self) -> bool:
        return self._keeper.token is not None and self._revoke_at_site(self.wire())

    def _forget(self) -> None:
        self._keeper.forget()
        self._router.forget()

    # -- a sign-in is what the portal says it is ---------------------------------------------------------------------

    def _checked_fetch(self, wire: Wire) -> Fetched:
        fetched = self._fetch(wire)
        if self._verify_sign_in:
            self._verify(fetched, wire)
            self._verify_sign_in = False
        return fetched

    def _verify(self, fetched: Fetched, wire: Wire) -> None:
        """Ask the portal who we are (community/self); raises `ArcGISLoginError` where it knows nobody, or another."""
        from .token_auth import attach

        root = self._site(wire).root
        request = Request("GET", root.origin, f"{root.path}/sharing/rest/community/self?f=json", {"Accept": "*/*"})
        answer = read_json(wire.send(attach(request, fetched.value, self.referer_to_send(wire), False)), "The portal")
        username, expected = answer.get("username"), self._expected_user()
        if not isinstance(username, str) or not username:
            raise ArcGISLoginError(f"{root} issued a token but does not say who is signed in with it.", url=str(root))
        if expected is not None and not _same_user(username, expected):
            raise ArcGISLoginError(f"{root} says that {username!r:.100} is signed in, not {expected!r:.100}.", url=str(root))


class PortalAuth(SiteAuth):
    """A `SiteAuth` whose site is known to be the portal that `url` points into."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self.portal = portal_root(split_url(url))
        self._portal_site = portal_service(self.portal)

    def _site(self, wire: Wire) -> TokenService:
        return self._portal_site

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.portal})"


def usable(source: TokenSource | NoSource) -> TokenSource:
    """`source`, unless it is the reason why there is none: that is raised."""
    if isinstance(source, NoSource):
        raise fresh(source)
    return source


def describe_source(site: TokenService, router: TokenRouter, url: str, wire: Wire) -> str:
    """One line on the token for `url`."""
    where = str(split_url(url).origin)
    try:
        source = router.source_for_url(site, url, wire)
    except EsriHttpError as error:
        return f"{where}: no token ({error})"
    if source is None:
        return f"{where}: no token; it is not part of {site.root}"
    if isinstance(source, NoSource):
        return f"{where}: no token, and an error if it wants one. {source}"
    if source is router.tokens:
        return f"{where}: the token of {site.root}"
    return f"{where}: a token of its own, for which that of {site.root} is exchanged"


def expires_of(keeper: TokenKeeper) -> datetime.datetime | None:
    """When the token that `keeper` holds dies (UTC); `None` while there is none or the server did not say."""
    token = keeper.token
    if token is None or token.expires_at is None:
        return None
    return datetime.datetime.fromtimestamp(token.expires_at, datetime.timezone.utc)


def _same_user(one: str, other: str) -> bool:
    """Whether two names mean one account; ``DOMAIN\\user`` and ``user@DOMAIN`` are one."""
    return _plain_user(one) == _plain_user(other)


def _plain_user(name: str) -> tuple[str, str]:
    domain, slash, user = name.partition("\\")
    if slash:
        return user.lower(), domain.lower()
    user, _, domain = name.partition("@")
    return user.lower(), domain.lower()
