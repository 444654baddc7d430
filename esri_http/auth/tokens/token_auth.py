"""What all token handlers share: attach the token, notice that it was refused, renew it once, send again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Protocol
from urllib.parse import quote

from ...words.errors import ArcGISLoginError, ConfigurationError, NoTokenError, SignInError
from ...words.headers import TOKEN_HEADER, lookup, text_value
from ...words.redaction import redact_url
from ..base import ACCEPT, INERT, REPLAY, Audience, AuthRun, BaseEsriAuth
from ..flights import fresh
from .keeper import Token

if TYPE_CHECKING:
    from ...messages.envelope import EsriError
    from ...messages.request import Request
    from ...messages.response import Response
    from ..base import Answer, Wire
    from ..sites import Root

    class TokenSource(Protocol):
        """Where the token for a request comes from."""

        def current(self, wire: Wire) -> Token:
            """A token that should work."""

        def renewed(self, wire: Wire, refused: Token) -> Token:
            """Another token than the refused one."""


# HTTP statuses under which ArcGIS says that a token is missing or dead.
_STATUSES_TO_READ = frozenset({200, 400, 401, 403, 498, 499, 500})
_TOKEN_STATUSES = frozenset({498, 499})


# What becomes of requests after `logout`.
ANONYMOUS = "anonymous"
ERROR = "error"


class TokenAuth(BaseEsriAuth):
    """Base of the handlers that sign requests with an ArcGIS token. Safe to share between threads.

    `referer`: the `Referer` that the token is bound to, sent wherever the token goes; `None` for the session's.
    `legacy`: put the token into the query or form as ``token=`` instead of into the header `X-Esri-Authorization`.
    """

    def __init__(
        self,
        *,
        referer: str | None = None,
        legacy: bool = False,
        session: Any = None,
        verify_cert: Any = True,
        proxies: Any = None,
    ) -> None:
        self.referer = referer
        self.legacy = legacy
        self.verify_cert = verify_cert
        self.proxies = proxies
        self._session = session
        self._open_wire: Callable[[], Wire] | None = None
        self._signed_out: str | None = None

    def begin(self, audience: Audience) -> AuthRun:
        """See `BaseEsriAuth.begin`."""
        return INERT if self._signed_out == ANONYMOUS else TokenRun(self, audience)

    def source_for(self, request: Request, audience: Audience, wire: Wire) -> TokenSource | NoTokenError | None:
        """Where the token for `request` comes from; `None` to send it without; `NoTokenError` with the reason why."""
        raise NotImplementedError

    def site_tokens(self, wire: Wire) -> tuple[Root | None, TokenSource]:
        """The portal or server that this handler's token is for (`None`: not known), and where the token comes from."""
        raise NotImplementedError

    def referer_to_send(self, wire: Wire) -> str | None:
        """The `Referer` that has to go with the token; `None` where the session's own will do."""
        return self.referer

    @property
    def referer(self) -> str | None:
        """The `Referer` that the token is bound to; `None` for the session's. Setting it raises `InvalidHeaderError`."""
        return self._referer

    @referer.setter
    def referer(self, referer: str | None) -> None:
        # An empty one is none: a token that is bound to the session's would go out with it in its place.
        self._referer = None if referer is None else text_value("Referer", referer) or None

    # -- outside of a request ----------------------------------------------------------------------------------------

    def bind(self, open_wire: Callable[[], Wire]) -> None:
        """Let the handler sign in on its own account through this session; called by a session that takes the handler."""
        self._open_wire = open_wire

    @property
    def is_bound(self) -> bool:
        """Whether the handler belongs to a session."""
        return self._open_wire is not None or self._session is not None

    def wire(self) -> Wire:
        """A wire for what is asked outside of any request, such as `token`. Raises `SignInError` after `logout`."""
        self.check_signed_in()
        if self._open_wire is None:
            if self._session is None:
                raise ConfigurationError(
                    f"{type(self).__name__} belongs to no session yet; give it to one: EsriSession(auth=...)."
                )
            self._open_wire = self._session.wire_opener(self)
        return self._open_wire()

    def describe(self, url: str) -> str:
        """Which token a request to `url` carries, and why; holds no secret. May ask the server whom it belongs to."""
        if self._signed_out:
            return f"{redact_url(url)}: no token; {type(self).__name__} is signed out"
        return self._describe(url)

    def _describe(self, url: str) -> str:
        """The same, while signed in."""
        return f"{redact_url(url)}: the token of {type(self).__name__}"

    # -- sign-out ----------------------------------------------------------------------------------------------------

    def logout(self, afterwards: str = ANONYMOUS) -> bool:
        """Sign out: have the site revoke what it can revoke, and forget the rest. Twice is fine.

        `afterwards`: requests go out ``anonymous``, or are a `SignInError` (``error``), until `login` is called. Returns
        whether the site confirmed a revocation; `False` also where there is nothing that it could revoke. What is known
        here is forgotten even where the site cannot be reached, which is then raised.
        """
        if afterwards not in (ANONYMOUS, ERROR):
            raise ConfigurationError(f"afterwards= is {ANONYMOUS!r} or {ERROR!r}.")
        try:
            return self._signed_out is None and self._revoke()
        finally:
            self._signed_out = afterwards
            self._forget()

    def login(self) -> None:
        """Let the handler sign in again, at the next request, after `logout`."""
        self._signed_out = None

    def check_signed_in(self) -> None:
        """Raise `SignInError` after `logout`."""
        if self._signed_out:
            raise SignInError(f"{type(self).__name__} is signed out; call login(), or take the handler away.")

    def _revoke(self) -> bool:
        """Tell the site that the sign-in is over; whether it took note. `False` where there is nothing to revoke."""
        return False

    def _forget(self) -> None:
        """Drop every token."""

    def __getstate__(self) -> dict[str, Any]:
        """A pickle keeps what is needed to sign in elsewhere, and no session."""
        return {**self.__dict__, "_open_wire": None, "_session": None}


class TokenRun(AuthRun):
    """One request with a token: at most one renewal."""

    def __init__(self, handler: TokenAuth, audience: Audience) -> None:
        self._handler = handler
        self._audience = audience
        self._source: TokenSource | NoTokenError | None = None
        self._token: Token | None = None
        self._refused: Token | None = None
        self._said: EsriError | None = None

    def before_request(self, request: Request, wire: Wire) -> Request:
        if lookup(request.headers, TOKEN_HEADER) is not None:
            return request  # the caller signed it himself
        source = self._source
        self._handler.check_signed_in()
        if source is None:
            source = self._source = self._handler.source_for(request, self._audience, wire)
        if source is None or isinstance(source, NoTokenError):
            return request
        self._token = token = source.current(wire) if self._refused is None else self._another(source, self._refused, wire)
        if token.ssl and request.origin.scheme != "https":
            raise SignInError("The portal allows its tokens over https only; ask for the https:// address.", url=request.url)
        referer = token.referer or self._handler.referer_to_send(wire)
        return attach(request, token.value, referer, self._handler.legacy)

    def on_response(self, request: Request, response: Response, wire: Wire) -> Answer:
        error = token_error(response)
        if error is None:
            return ACCEPT
        if isinstance(self._source, NoTokenError):
            raise fresh(self._source)
        if self._token is None:
            return ACCEPT
        if self._refused is not None:
            raise self._still_refused(response, error)
        self._refused, self._said = self._token, error
        return REPLAY

    def _another(self, source: TokenSource, refused: Token, wire: Wire) -> Token:
        """A token in place of the refused one; where there is none, an error with what the server said of that one."""
        try:
            return source.renewed(wire, refused)
        except ArcGISLoginError as error:
            said = self._said
            if said is None or error.code is not None:
                raise
            message = f"{error.message} The server said: {said}"
            raise ArcGISLoginError(message, url=error.url, code=said.code, details=list(said.details)) from error

    def _still_refused(self, response: Response, error: EsriError | None) -> ArcGISLoginError:
        message = (
            f"{redact_url(response.url)} refuses a fresh token too: {error} Tokens that are bound to a referer work only with"
            " that Referer header; a server may also not know the portal that issued them."
        )
        return ArcGISLoginError(
            message, url=response.url, code=error.code if error else None, details=list(error.details) if error else None
        )


def check_texts(**given: object) -> None:
    """Raise `ConfigurationError` where one of the options is neither text that can be sent nor `None`."""
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            raise ConfigurationError(f"{name}= takes text, not {type(value).__name__}.")
        if value is not None and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise ConfigurationError(f"{name}= holds half a character (a lone surrogate).")


def check_functions(**given: object) -> None:
    """Raise `ConfigurationError` where one of the options is neither a function nor `None`."""
    for name, value in given.items():
        if value is not None and not callable(value):
            raise ConfigurationError(f"{name}= takes a function, not {type(value).__name__}.")


def attach(request: Request, value: str, referer: str | None, legacy: bool) -> Request:
    """`request` with the token, in a header or in the `legacy` way, and with the `Referer` that it is bound to."""
    signed = _with_parameter(request, value) if legacy else request.with_header(TOKEN_HEADER, f"Bearer {value}")
    return signed if referer is None else signed.with_header("Referer", referer)


def _with_parameter(request: Request, value: str) -> Request:
    body = None if request.body is None else request.body.with_field("token", value)
    if body is not None:
        return request.replace(body=body)
    return request.replace(secret_query="token=" + quote(value, safe=""))


def token_error(response: Response) -> EsriError | None:
    """The error by which a server says that a token is missing (499) or dead (498), in any of its shapes; or `None`."""
    status = response.status_code
    if status not in _STATUSES_TO_READ:
        return None
    error = response.esri_error
    if error is not None:
        return error if error.is_token_error else None
    if status in _TOKEN_STATUSES:
        from ...messages.envelope import EsriError

        return EsriError(status, response.reason or "token refused")
    return None
