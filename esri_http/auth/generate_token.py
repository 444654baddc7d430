"""`EsriGenTokenAuth`: user name and password to a generateToken service (ArcGIS REST, section generateToken)."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, Callable

from ..words.clock import SYSTEM_CLOCK, Clock
from ..words.errors import ArcGISLoginError, ConfigurationError
from .base import Audience
from .federation import Federation
from .flights import Flights, fresh
from .portal_tokens import PortalTokens
from .sites import Root, is_online_site, server_root
from .token_auth import NoSource, TokenAuth
from .token_requests import ask_for_token
from .token_services import TokenService, find_service
from .tokens import Fetched, TokenKeeper

if TYPE_CHECKING:
    from ..messages.request import Request
    from .base import Wire
    from .token_auth import TokenSource

_CLIENTS = ("referer", "requestip", "ip")
# What a token is bound to for want of a better one; ArcGIS users know it.
_REFERER = "http"


class GeneratedToken(str):
    """A token as text. Calling it gives the token for a server: ``auth.token`` and ``auth.token(server_url)`` both work."""

    _handler: EsriGenTokenAuth

    def __call__(self, server_url: str | None = None) -> str:
        return str(self) if server_url is None else self._handler.token_for(server_url)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)


class EsriGenTokenAuth(TokenAuth):
    """Signs in with user name and password at a portal, at a stand-alone ArcGIS Server, or at their token service.

    Safe to share between threads: however many need a token, one request gets it. The token goes to the site of
    `token_url`, to the servers federated with it (each gets a token of its own) and to `trusted_origins`; everything else
    is asked anonymously. A refused password is posted once; it is not tried again until `password` is set anew.

    `token_url`: the token service, or any URL of the site: what it is, is found out by `rest/info`. `referer`: what the
    token is bound to and what is sent with it; `None` for the session's. `portal_auth`: a handler of the portal that the
    server is federated with, in place of user name and password; its token is exchanged at that portal only. `time_out`:
    minutes that the token should live (what was granted is in `expiration`). `client`: ``referer``, ``requestip`` or
    ``ip`` (then `ip` is that address). `legacy`: send ``token=`` instead of a header.
    """

    def __init__(
        self,
        token_url: str,
        referer: str | None = None,
        username: str | None = None,
        password: str | None = None,
        portal_auth: Any = None,
        time_out: float = 1440,
        verify_cert: Any = True,
        legacy: bool = False,
        *,
        client: str = "referer",
        ip: str | None = None,
        session: Any = None,
        proxies: Any = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        super().__init__(referer=referer, legacy=legacy, session=session, verify_cert=verify_cert, proxies=proxies)
        if client not in _CLIENTS or (client == "ip") != (ip is not None):
            raise ConfigurationError("client= is 'referer', 'requestip', or 'ip' together with ip=.")
        if portal_auth is None and (not username or password is None):
            raise ConfigurationError("EsriGenTokenAuth needs username= and password=, or portal_auth=.")
        self.username = username
        self._password = password
        self.portal_auth = portal_auth
        self.client = client
        self.ip = ip
        self.time_out = time_out
        self.clock = clock
        self._url = token_url
        self._service: TokenService | None = None
        self._federation: Federation | None = None
        self._refusal: ArcGISLoginError | None = None
        self._finding = Flights()
        self._keeper = TokenKeeper(self._fetch, clock)
        self._site_tokens: TokenSource = self._keeper if portal_auth is None else PortalTokens(portal_auth, clock)

    # -- settings ----------------------------------------------------------------------------------------------------

    @property
    def time_out(self) -> float:
        """Minutes that a token should live; what the server allows may be less."""
        return self._minutes

    @time_out.setter
    def time_out(self, minutes: float) -> None:
        if isinstance(minutes, bool) or not isinstance(minutes, (int, float)) or not minutes > 0:
            raise ConfigurationError("time_out= takes minutes greater than zero.")
        self._minutes = minutes

    @property
    def password(self) -> None:
        """Write-only. Setting it forgets the token and a refusal, so that the next request signs in anew."""
        return None

    @password.setter
    def password(self, password: str) -> None:
        self._password = password
        self._refusal = None
        self._keeper.forget()

    @property
    def expiration(self) -> datetime.datetime | None:
        """When the token dies by what the server granted (local time); `None` while there is none or it did not say."""
        keeper: TokenKeeper | None = self._keeper
        if self.portal_auth is not None:
            server = None if self._service is None else self._service.server
            keeper = None if self._federation is None or server is None else self._federation.keeper_of(server)
        token = None if keeper is None else keeper.token
        if token is None or token.expires_at is None:
            return None
        return datetime.datetime.fromtimestamp(token.expires_at)  # noqa: DTZ006 - naive, as users know it

    @property
    def token(self) -> GeneratedToken:
        """The token (str), fetched if need be; also callable with the URL of a federated server."""
        wire = self.wire()
        service = self._service or self._find_service(wire)
        source: TokenSource | NoSource = self._site_tokens
        if self.portal_auth is not None and service.server is not None and self._federation is not None:
            source = self._federation.source_for(service.server, wire)
        token = GeneratedToken(_usable(source).current(wire).value)
        token._handler = self
        return token

    def token_for(self, url: str) -> str:
        """The token that a request to `url`, the root of a server or any URL of it, would carry.

        Raises `SignInError` where that is none.
        """
        from ..messages.request import Request
        from ..words.urls import split_url

        split = split_url(url)
        wire = self.wire()
        service = self._service or self._find_service(wire)
        target = split.path
        if server_root(split.origin, target) is None and not service.root.holds(split.origin, target.rstrip("/")):
            target = target.rstrip("/") + "/rest/services"
        source = self.source_for(Request("GET", split.origin, target, {}), Audience(split.origin), wire)
        if source is None:
            raise NoSource(f"No token of this session is for {split.origin}.", url=url)
        return _usable(source).current(wire).value

    # -- which token for which request -------------------------------------------------------------------------------

    def source_for(self, request: Request, audience: Audience, wire: Wire) -> TokenSource | NoSource | None:
        service = self._service or self._find_service(wire)
        tokens, origin, path = self._site_tokens, request.origin, request.path
        inside = service.root.holds(origin, path)
        root = server_root(origin, path)
        if inside and (root is None or root == service.root or service.root.path or not service.is_portal):
            return tokens
        if service.is_portal and is_online_site(service.root, origin):
            return tokens
        if root is not None and service.is_portal and self._federation is not None:
            source = self._federation.source_for(root, wire)
            return tokens if isinstance(source, NoSource) and audience.is_trusted else source
        if origin == service.root.origin or origin in service.origins or audience.is_trusted:
            return tokens
        return (
            None
            if root is None
            else NoSource(f"{root} wants a token; this session's is for {service.root} only.", url=str(root))
        )

    def site_tokens(self, wire: Wire) -> tuple[Root | None, TokenSource]:
        """See `TokenAuth.site_tokens`."""
        return (self._service or self._find_service(wire)).root, self._site_tokens

    def referer_to_send(self, wire: Wire) -> str | None:
        """See `TokenAuth.referer_to_send`: a token has to be bound to some referer even where the session has none."""
        return self.referer if self.referer or wire.referer or self.client != "referer" else _REFERER

    def _find_service(self, wire: Wire) -> TokenService:
        def find() -> TokenService:
            if self._service is None:
                portal = self._site_tokens.portal(wire) if isinstance(self._site_tokens, PortalTokens) else None
                service = find_service(self._url, wire, portal)
                self._federation = Federation(service.root, self._site_tokens, self.referer_to_send, self.clock)
                self._service = service
            return self._service

        service: TokenService = self._finding.share(None, find, wire)
        return service

    # -- getting a token ---------------------------------------------------------------------------------------------

    def bind(self, open_wire: Callable[[], Wire]) -> None:
        """See `TokenAuth.bind`; a `portal_auth` that belongs to no session signs in through the same one."""
        super().bind(open_wire)
        if isinstance(self.portal_auth, TokenAuth) and not self.portal_auth.is_bound:
            self.portal_auth.bind(open_wire)

    def _fetch(self, wire: Wire) -> Fetched:
        if self._refusal is not None:
            raise fresh(self._refusal)
        service = self._service or self._find_service(wire)
        password = self._password
        referer = self.referer_to_send(wire) or wire.referer
        fields = {"username": self.username, "password": password, "expiration": f"{self._minutes:g}", "client": self.client}
        if self.client == "referer":
            fields["referer"] = referer
        elif self.client == "ip":
            fields["ip"] = self.ip
        try:
            return ask_for_token(service.url, fields, referer, wire, self.clock, self._minutes)
        except ArcGISLoginError as error:
            if self._password is password:
                self._refusal = fresh(error)  # type: ignore[assignment]
            raise

    def __repr__(self) -> str:
        return f"EsriGenTokenAuth({self._service.root if self._service else self._url_shown()}, {self.username!r})"

    def _url_shown(self) -> str:
        from ..words.redaction import redact_url

        return redact_url(self._url)


def _usable(source: TokenSource | NoSource) -> TokenSource:
    if isinstance(source, NoSource):
        raise fresh(source)
    return source
