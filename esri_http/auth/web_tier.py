"""What all sign-ins in front of ArcGIS share: whom the credentials are for, what was refused, and the tokens behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..words.errors import ArcGISLoginError, ConfigurationError, SignInError
from ..words.redaction import redact_url
from ..words.urls import origin_of
from .base import ACCEPT, BEGIN_ANEW, INERT, Audience, AuthRun, BaseEsriAuth
from .flights import fresh
from .probes import Probes
from .turns import Turn, Turns

if TYPE_CHECKING:
    from ..messages.request import Request
    from ..messages.response import Response
    from ..words.origins import Origin
    from .base import Answer, Verdict, Wire
    from .web_tier_tokens import WebTierTokens

_MOST_ORIGINS = 1000


class WebTierAuth(BaseEsriAuth):
    """Base of the handlers whose credentials a web server checks in front of ArcGIS. Safe to share between threads.

    `session` is there for compatibility and may be `None`. `url`: any URL of the portal whose web tier the credentials are
    for; they then go to its origin only, and the servers federated with it get tokens. `None`: they go wherever the
    caller's own requests go, and only federated servers on the portal's own origin get tokens. No redirect widens either.
    `referer`, `legacy`: for these tokens, see `TokenAuth`; `verify_cert`, `proxies` are taken for compatibility: the session's
    settings decide. Refused credentials are sent once, by however many threads: until `password` is set anew or `login` is
    called, further requests to that origin raise the same `ArcGISLoginError`.
    """

    def __init__(
        self,
        session: Any = None,
        *,
        url: str | None = None,
        referer: str | None = None,
        legacy: bool = False,
        verify_cert: Any = True,
        proxies: Any = None,
    ) -> None:
        self._url = url
        self._legacy = legacy
        self._origin: Origin | None = None if url is None else origin_of(url)
        self._referer = referer
        self._accepted: frozenset[Origin] = frozenset()
        self._refusals: dict[Any, SignInError] = {}  # by origin, by origin and path, or for everywhere (None)
        self._tokens: WebTierTokens | None = None
        self._turns = Turns()
        self.probes = Probes()
        self.generation = 0
        """Counts how often the credentials were changed: what is said of older ones is nothing to the new."""

    # -- for subclasses ----------------------------------------------------------------------------------------------

    def _begin(self, audience: Audience) -> AuthRun:
        """The run for one request to an origin that the credentials are for."""
        raise NotImplementedError

    def check_refusal(self, request: Request) -> None:
        """Raise the `ArcGISLoginError` with which these credentials were refused where `request` goes, or everywhere."""
        refusals = self._refusals
        if not refusals:
            return
        places = (None, request.origin, (request.origin, request.path))
        refusal = next((refusals[place] for place in places if place in refusals), None)
        if refusal is not None:
            raise fresh(refusal)

    def turn_at(self, request: Request, wire: Wire) -> Turn | None:
        """The turn to show a password, where it is neither accepted nor refused yet; `None` where it is accepted.

        With many threads it would else be refused as often as there are threads, and the account locked. The turn is over
        when the answer is known. Raises the `ArcGISLoginError` of a refusal.
        """

        def is_settled() -> bool:
            self.check_refusal(request)
            return request.origin in self._accepted

        return self._turns.take(request.origin, is_settled, wire)

    def accepted(self, request: Request, response: Response) -> None:
        """Take note that the credentials were shown with `request`, and not refused by `response`."""
        if response.status_code >= 500 or request.origin in self._accepted:
            return  # a server in trouble may not have looked at them
        accepted = self._accepted if len(self._accepted) < _MOST_ORIGINS else frozenset()
        self._accepted = accepted | {request.origin}

    def refused(self, request: Request, why: str) -> ArcGISLoginError:
        """The error for credentials that were refused. It is remembered for the origin.

        Where they were good, or not looked at, before, it may be about one resource only: then it is remembered for the path,
        and for the origin only if they are refused once more before they are good again.
        """
        error = ArcGISLoginError(f"{redact_url(request.url)} refuses the sign-in: {why}", url=request.url, code=401)
        place = (request.origin, request.path) if request.origin in self._accepted else request.origin
        self._accepted -= {request.origin}
        if len(self._refusals) >= _MOST_ORIGINS:
            self._refusals.pop(next(iter(self._refusals)), None)
        self._refusals[place] = error
        return error

    def refused_everywhere(self, error: SignInError) -> None:
        """Take note that the domain itself refused the credentials."""
        self._refusals[None] = error

    # -- which request is signed -------------------------------------------------------------------------------------

    def is_for(self, audience: Audience) -> bool:
        """Whether the credentials may go there."""
        return audience.is_trusted or (audience.own if self._origin is None else audience.origin == self._origin)

    def begin_inner(self, audience: Audience) -> AuthRun:
        return self._begin(audience) if self.is_for(audience) else INERT

    def begin(self, audience: Audience) -> AuthRun:
        run = self.begin_inner(audience)
        if run is INERT and (self._url is None or not audience.own):
            return INERT
        tokens = self._tokens
        if tokens is None:
            from .web_tier_tokens import WebTierTokens

            tokens = self._tokens = WebTierTokens(self._url, self._referer, self._legacy)
        return tokens.run_behind(self, run, audience)

    @property
    def token(self) -> Any:
        """Always `None`: who is signed in at the web tier needs no token at the portal."""
        return None

    # -- the end of a sign-in ----------------------------------------------------------------------------------------

    def login(self) -> None:
        """Forget what was refused, so that the next request signs in again."""
        self._refusals = {}

    def _forget(self) -> None:
        """Drop what is known of sites and tokens, for new credentials."""
        self.generation += 1
        self._accepted, self._refusals, self._tokens = frozenset(), {}, None

    def logout(self, afterwards: str = "anonymous") -> bool:
        """Forget the tokens of federated servers; a sign-in at the web tier has no end of its own. Always `False`."""
        self._tokens = None
        return False

    def __getstate__(self) -> dict[str, Any]:
        """A pickle keeps what is needed to sign in elsewhere."""
        return {**self.__dict__, "_tokens": None}


class PasswordAuth(WebTierAuth):
    """A `WebTierAuth` by user name and password."""

    def __init__(self, session: Any = None, username: str | None = None, password: str | None = None, **options: Any) -> None:
        super().__init__(session, **options)
        self.username = self._text("username", username)
        self._password = self._text("password", password)

    def _text(self, name: str, value: Any) -> Any:
        """`value`, which has to be text, or `None`."""
        if value is not None and not isinstance(value, str):
            raise ConfigurationError(f"{type(self).__name__} takes {name}= as text, not as {type(value).__name__}.")
        return value

    @property
    def password(self) -> None:
        """Write-only. Setting it forgets what was refused, so that the next request signs in anew."""
        return None

    @password.setter
    def password(self, password: str) -> None:
        self._password = self._text("password", password)
        self._forget()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.username!r}, ***)"


class PasswordRun(AuthRun):
    """One request that shows a password, and for the first time alone; see `WebTierAuth.turn_at`.

    Subclasses say whether the request that goes out shows it, and what its answer means (`judge`). The turn lasts until that
    answer: while a run holds one, it waits for nothing else.
    """

    _turn: Turn | None = None

    def __init__(self, handler: WebTierAuth) -> None:
        self._owner = handler
        self._generation = handler.generation

    def shows_password(self, request: Request) -> bool:
        """Whether `request` carries a proof of the password that this run has put there."""
        raise NotImplementedError

    @property
    def is_outdated(self) -> bool:
        """Whether the password was set anew since this run began."""
        return self._generation != self._owner.generation

    def about_to_send(self, request: Request, wire: Wire) -> Verdict:
        self.end()
        if self.shows_password(request):
            self._turn = self._owner.turn_at(request, wire)
            if self.is_outdated:
                self.end()
                return BEGIN_ANEW
        return ACCEPT

    def judge(self, request: Request, response: Response, wire: Wire) -> Answer:
        """What `on_response` is to others; the turn is over after it."""
        raise NotImplementedError

    def on_response(self, request: Request, response: Response, wire: Wire) -> Answer:
        try:
            if self.is_outdated and response.status_code == 401:
                return BEGIN_ANEW
            return self.judge(request, response, wire)
        finally:
            self.end()

    def end(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.end()
