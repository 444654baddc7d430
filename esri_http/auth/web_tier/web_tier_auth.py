"""What all sign-ins in front of ArcGIS share: whom the credentials are for, what was refused, and the tokens behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...words.errors import ConfigurationError
from ...words.urls import origin_of
from ..base import ACCEPT, BEGIN_ANEW, INERT, Audience, AuthRun, BaseEsriAuth
from .probes import Probes
from .standing import Standing

if TYPE_CHECKING:
    import threading

    from ...messages.request import Request
    from ...messages.response import Response
    from ...words.origins import Origin
    from ..base import Answer, Verdict, Wire
    from .web_tier_tokens import WebTierTokens


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
        self._tokens = self._new_tokens()
        self.standing = Standing()
        """Of the credentials as they are: when they change there is a new one, and what is said of the old is nothing to it."""
        self.probes = Probes()

    # -- for subclasses ----------------------------------------------------------------------------------------------

    def _begin(self, audience: Audience) -> AuthRun:
        """The run for one request to an origin that the credentials are for."""
        raise NotImplementedError

    # -- which request is signed -------------------------------------------------------------------------------------

    def begin_inner(self, audience: Audience) -> AuthRun:
        mine = audience.own if self._origin is None else audience.origin == self._origin
        return self._begin(audience) if mine or audience.is_trusted else INERT

    def begin(self, audience: Audience) -> AuthRun:
        run = self.begin_inner(audience)
        if run is INERT and (self._url is None or not audience.own):
            return INERT
        return self._tokens.run_behind(self, run, audience)

    def _new_tokens(self) -> WebTierTokens:
        from .web_tier_tokens import WebTierTokens  # other users of this folder, such as a bare pair, need none

        return WebTierTokens(self._url, self._referer, self._legacy)

    @property
    def token(self) -> Any:
        """Always `None`: who is signed in at the web tier needs no token at the portal."""
        return None

    # -- the end of a sign-in ----------------------------------------------------------------------------------------

    def login(self) -> None:
        """Forget what was refused, so that the next request signs in again."""
        self.standing = Standing()

    def _forget(self) -> None:
        """Drop what is known of sites and tokens, for new credentials; the last thing that a change of them does."""
        self._tokens, self.standing = self._new_tokens(), Standing()

    def logout(self, afterwards: str = "anonymous") -> bool:
        """Forget the tokens of federated servers; a sign-in at the web tier has no end of its own. Always `False`."""
        self._tokens = self._new_tokens()
        return False

    def for_workers(self) -> BaseEsriAuth:
        """See `BaseEsriAuth.for_workers`; by the ticket, the user or the certificate that a worker has of its own."""
        from copy import copy

        return super().for_workers() if self.holds_secret else copy(self)

    @property
    def holds_secret(self) -> bool:
        """Whether this handler signs in by something that it was given and that nobody else should have."""
        return True

    def __getstate__(self) -> dict[str, Any]:
        """A pickle keeps what is needed to sign in elsewhere."""
        return {**self.__dict__, "_tokens": self._new_tokens()}


class PasswordAuth(WebTierAuth):
    """A `WebTierAuth` by user name and password."""

    def __init__(self, session: Any = None, username: str | None = None, password: str | None = None, **options: Any) -> None:
        super().__init__(session, **options)
        self.username = self._text_if_any("username", username)
        if any("\ud800" <= letter <= "\udfff" for letter in self.username or ""):
            raise ConfigurationError("The user name holds half a character (a lone surrogate), which no server knows.")
        self._password = self._text_if_any("password", password)

    def _text(self, name: str, value: Any) -> str:
        """`value`, which has to be text."""
        if not isinstance(value, str):
            raise ConfigurationError(f"{type(self).__name__} takes {name}= as text, not as {type(value).__name__}.")
        return value

    def _text_if_any(self, name: str, value: Any) -> str | None:
        """`value`, which has to be text or `None`."""
        return None if value is None else self._text(name, value)

    @property
    def holds_secret(self) -> bool:
        """See `WebTierAuth.holds_secret`."""
        return self._password is not None

    @property
    def password(self) -> None:
        """Write-only. Setting it forgets what was refused, so that the next request signs in anew."""
        return None

    @password.setter
    def password(self, password: str) -> None:
        self._password = self._checked(password)
        self._forget()

    def _checked(self, password: Any) -> str:
        """`password` as it is kept; raises `ConfigurationError` for one that cannot be sent, before anything is changed."""
        return self._text("password", password)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.username!r}, ***)"


def with_session(credentials: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, ...]:
    """`credentials` as `PasswordAuth` takes them, the session first; it may be left out, or be taken from `options`."""
    if credentials and isinstance(credentials[0], str):
        return (options.pop("session", None), *credentials)
    return credentials


class PasswordRun(AuthRun):
    """One request that shows a password, and for the first time alone; see `Standing`.

    Subclasses say whether the request that goes out shows it, and what its answer means (`judge`). The turn lasts until that
    answer: while a run holds one, it waits for nothing else.
    """

    _turn: threading.RLock | None = None

    def __init__(self, handler: WebTierAuth) -> None:
        self._owner = handler
        self.standing = handler.standing

    @property
    def is_outdated(self) -> bool:
        """Whether the credentials were changed since this run began."""
        return self.standing is not self._owner.standing

    def shows_password(self, request: Request) -> bool:
        """Whether `request` carries a proof of the password that this run has put there."""
        raise NotImplementedError

    def about_to_send(self, request: Request, wire: Wire) -> Verdict:
        self.end()
        if self.shows_password(request):
            self._turn = self.standing.turn_at(request, wire)
            if self.is_outdated:
                self.end()
                return BEGIN_ANEW
        return ACCEPT

    def judge(self, request: Request, response: Response, wire: Wire) -> Answer:
        """What the answer means, as for `on_response`; the turn ends after it."""
        raise NotImplementedError

    def on_response(self, request: Request, response: Response, wire: Wire) -> Answer:
        try:
            if response.status_code == 401 and self.is_outdated:
                return BEGIN_ANEW
            return self.judge(request, response, wire)
        finally:
            self.end()

    def end(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.release()
