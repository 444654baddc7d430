"""Handlers that sign in at one site: which of its tokens goes where, and how the sign-in ends."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from ...messages.request import Request
from ...words.clock import SYSTEM_CLOCK, Clock
from ...words.errors import ArcGISLoginError, InteractionRequiredError, NoTokenError
from ...words.forks import ProcessLock
from ...words.urls import split_url
from ..flights import fresh
from .keeper import Fetched, TokenKeeper
from .routing import TokenRouter
from .token_answers import read_json
from .token_auth import TokenAuth, attach, check_texts

if TYPE_CHECKING:
    from ..base import Audience, BaseEsriAuth, Wire
    from ..sites import Root
    from .token_auth import TokenSource
    from .token_services import TokenService

_T = TypeVar("_T")

# A new password comes before the look whether there was one, or after the refusal of the old one.
_refusing = ProcessLock()


class SiteAuth(TokenAuth):
    """Base of the handlers that get their token from a portal or server themselves. Safe to share between threads.

    Subclasses say how (`_fetch`) and at which site (`_sign_in_at`).
    """

    def __init__(
        self,
        *,
        password: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
        verify_sign_in: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._check_password(password)
        self._password = password
        self._passwords_set = 0
        self.clock = clock
        self._keeper = TokenKeeper(self._checked_fetch, clock)
        self._tokens: TokenSource = self._keeper
        self._router: TokenRouter | None = None
        self._verify_sign_in = verify_sign_in

    # -- for subclasses ----------------------------------------------------------------------------------------------

    def _fetch(self, wire: Wire) -> Fetched:
        """Sign in and return a new token; called by one thread at a time. Raises `SignInError`."""
        raise NotImplementedError

    def _sign_in_at(self, site: TokenService) -> TokenRouter:
        """Take `site` as the one to sign in at, with `_tokens` as the source of its tokens; returns its router."""
        self._router = TokenRouter(site, self._tokens, self.referer_to_send, self.clock)
        return self._router

    def _routes(self, wire: Wire) -> TokenRouter:
        """The router of the site; overridden where the site has to be found out first."""
        if self._router is None:
            raise NotImplementedError
        return self._router

    def _check_password(self, password: object) -> None:
        """Raise `ConfigurationError` where `password` is none that one can sign in with; `None`: somebody is asked for it."""
        check_texts(password=password)

    def _expected_user(self) -> str | None:
        """Who the portal should say that we are; `None` for anybody."""
        return None

    def _expected_app(self) -> str | None:
        """The id of the app that we sign in as, in place of a user; `None` for a user."""
        return None

    # -- the password ------------------------------------------------------------------------------------------------

    @property
    def password(self) -> None:
        """Write-only. Setting it forgets the token and a refusal, so that the next request signs in anew."""
        return None

    @password.setter
    def password(self, password: str) -> None:
        self._check_password(password)
        with _refusing:
            self._password = password
            self._passwords_set += 1
            self._forget()
            self._keeper.begin_anew()

    def _remembering(self, attempt: Callable[[], _T]) -> _T:
        """What `attempt` returns; a refusal is remembered, and the password not posted again.

        A refused password is remembered until it is set anew, a step that a person has to take until `login` is called.
        """
        refusal = self._keeper.refusal
        if refusal is not None:
            raise fresh(refusal)
        before = self._passwords_set
        try:
            return attempt()
        except (ArcGISLoginError, InteractionRequiredError) as error:
            with _refusing:
                if self._passwords_set == before and not error.is_of_another:
                    self._keeper.refusal = fresh(error)
            raise

    def login(self) -> None:
        """See `TokenAuth.login`; call it, too, once a person has taken the step that was missing."""
        super().login()
        if isinstance(self._keeper.refusal, InteractionRequiredError):
            self._keeper.begin_anew()

    # -- which token for which request -------------------------------------------------------------------------------

    def source_for(self, request: Request, audience: Audience, wire: Wire) -> TokenSource | NoTokenError | None:
        return self._routes(wire).source_for(request, audience, wire)

    def site_tokens(self, wire: Wire) -> tuple[Root | None, TokenSource]:
        """See `TokenAuth.site_tokens`."""
        return self._routes(wire).site.root, self._tokens

    # -- for people --------------------------------------------------------------------------------------------------

    @property
    def token(self) -> Any:
        """The site's token (str), fetched if need be."""
        return self._tokens.current(self.wire()).value

    @property
    def token_expires(self) -> datetime.datetime | None:
        """When the token dies by what the server granted (UTC); `None` while there is none or it did not say."""
        return expires_of(self._keeper)

    def token_for(self, url: str) -> str:
        """The token that a request to `url`, the root of a server or any URL of it, would carry.

        Raises `SignInError` where that is none.
        """
        wire = self.wire()
        source = self._routes(wire).source_for_url(url, wire)
        if source is None:
            raise NoTokenError(f"No token of this session is for {split_url(url).origin}.", url=url)
        return usable(source).current(wire).value

    def _describe(self, url: str) -> str:
        wire = self.wire()
        return self._routes(wire).describe(url, wire, self._keeper.refusal)

    def for_workers(self) -> BaseEsriAuth:
        """See `BaseEsriAuth.for_workers`: the tokens as they stand, of the site and of the servers that are known so far."""
        from .travelling import TravellingAuth

        wire = self.wire()
        referer = self.referer_to_send(wire)
        return TravellingAuth(self._routes(wire), wire, clock=self.clock, referer=referer, legacy=self.legacy)

    def _forget(self) -> None:
        self._keeper.forget()
        if self._router is not None:
            self._router.forget()

    # -- a sign-in is what the portal says it is ---------------------------------------------------------------------

    def _checked_fetch(self, wire: Wire) -> Fetched:
        self.check_signed_in()
        return self._checked(self._fetch(wire), wire)

    def _checked(self, fetched: Fetched, wire: Wire) -> Fetched:
        """`fetched`, once the portal has said whose it is where that is wanted."""
        if self._verify_sign_in:
            site = self._routes(wire).site
            if site.is_portal:
                self._verify(fetched, site.root, wire)
                self._verify_sign_in = False
        return fetched

    def _verify(self, fetched: Fetched, root: Root, wire: Wire) -> None:
        """Ask the portal at `root` who we are (portals/self); raises `ArcGISLoginError` where it knows nobody, or another."""
        app = self._expected_app()
        request = Request("GET", root.origin, f"{root.path}/sharing/rest/portals/self?f=json", {"Accept": "*/*"})
        referer = fetched.referer or self.referer_to_send(wire)
        response = wire.send(attach(request, fetched.value, referer, legacy=False))
        answer = read_json(response, "The portal")
        name = _text_in(answer, "appInfo", "appId") if app is not None else _text_in(answer, "user", "username")
        if not name:
            words = f" {response.esri_error}" if response.esri_error is not None else ""
            raise ArcGISLoginError(f"{root} issued a token but does not say who is signed in with it.{words}", url=str(root))
        expected = app or self._expected_user()
        if expected is not None and not _same_user(name, expected):
            raise ArcGISLoginError(f"{root} says that {name!r:.100} is signed in, not {expected!r:.100}.", url=str(root))


def usable(source: TokenSource | NoTokenError) -> TokenSource:
    """`source`, unless it is the reason why there is none: that is raised."""
    if isinstance(source, NoTokenError):
        raise fresh(source)
    return source


def expires_of(keeper: TokenKeeper) -> datetime.datetime | None:
    """When the token that `keeper` holds dies (UTC); `None` while there is none or the server did not say."""
    token = keeper.token
    if token is None or token.expires_at is None:
        return None
    return datetime.datetime.fromtimestamp(token.expires_at, datetime.timezone.utc)


def _text_in(answer: dict[str, Any], part: str, name: str) -> str | None:
    """A text one floor down in an answer that may hold anything."""
    found = answer.get(part)
    text = found.get(name) if isinstance(found, dict) else None
    return text if isinstance(text, str) else None


def _same_user(one: str, other: str) -> bool:
    """Whether two names mean one account; ``DOMAIN\\user`` and ``user@DOMAIN`` are one."""
    return _plain_user(one) == _plain_user(other)


def _plain_user(name: str) -> tuple[str, str]:
    domain, slash, user = name.partition("\\")
    if slash:
        return user.lower(), domain.lower()
    user, _, domain = name.partition("@")
    return user.lower(), domain.lower()
