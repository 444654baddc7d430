"""`EsriGenTokenAuth`: user name and password to a generateToken service (ArcGIS REST, section generateToken)."""

from __future__ import annotations

import datetime
import threading
from typing import TYPE_CHECKING, Any

from ..words.clock import SYSTEM_CLOCK, Clock
from ..words.errors import ArcGISLoginError, ConfigurationError
from .base import Audience
from .federation import Federation
from .sites import server_root
from .token_answers import read_token
from .token_auth import NoSource, TokenAuth
from .token_requests import form_post
from .token_services import TokenService, find_service
from .tokens import Fetched, TokenKeeper

if TYPE_CHECKING:
    from ..messages.request import Request
    from .base import Wire
    from .token_auth import TokenSource

_CLIENTS = ("referer", "requestip", "ip")


class GeneratedToken(str):
    """A token as text. Calling it gives the token for a server: ``auth.token`` and ``auth.token(server_url)`` both work."""

    _handler: EsriGenTokenAuth

    def __call__(self, server_url: str | None = None) -> str:
        return str(self) if server_url is None else self._handler.token_for(server_url)


class EsriGenTokenAuth(TokenAuth):
    """Signs in with user name and password at a portal, at a stand-alone ArcGIS Server, or at their token service.

    Safe to share between threads: however many need a token, one request gets it. The token goes to the site of
    `token_url`, to the servers federated with it (each gets a token of its own) and to `trusted_origins`; everything else
    is asked anonymously. A refused password is posted once; it is not tried again until `password` is set anew.

    `token_url`: the token service, or any URL of the site: what it is, is found out by `rest/info`. `referer`: what the
    token is bound to and what is sent with it; `None` for the session's. `portal_auth`: a handler of the portal that the
    server is federated with, in place of user name and password. `time_out`: minutes that the token should live (what was
    granted is in `expiration`). `client`: ``referer``, ``requestip`` or ``ip`` (then `ip` is that address). `legacy`: send
    ``token=`` instead of a header.
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
        self._lock = threading.Lock()
        self._keeper = TokenKeeper(self._fetch, clock)

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
        token = self._keeper.token
        if token is None or token.expires_at is None:
            return None
        return datetime.datetime.fromtimestamp(token.expires_at)  # noqa: DTZ006 - naive, as users know it

    @property
    def token(self) -> GeneratedToken:
        """The token (str), fetched if need be; also callable with the URL of a federated server."""
        token = GeneratedToken(self._keeper.current(self.wire()).value)
        token._handler = self
        return token

    def token_for(self, url: str) -> str:
        """The token that a request to `url` would carry; raises `SignInError` where that is none."""
        from ..messages.request import Request
        from ..words.urls import split_url

        split = split_url(url)
        wire = self.wire()
        source = self.source_for(Request("GET", split.origin, split.target, {}), Audience(split.origin), wire)
        if source is None:
            raise NoSource(f"No token of this session is for {split.origin}.", url=url)
        if isinstance(source, NoSource):
            raise source
        return source.current(wire).value

    # -- which token for which request -------------------------------------------------------------------------------

    def source_for(self, request: Request, audience: Audience, wire: Wire) -> TokenSource | NoSource | None:
        service = self._service
        if service is None:
            service = self._find_service(wire)
        origin, path = request.origin, request.path
        if service.root.holds(origin, path):
            root = server_root(origin, path) if service.is_portal and not service.root.path else None
            if root is None or root == service.root:
                return self._keeper
        else:
            root = server_root(origin, path)
        if root is not None and service.is_portal and root not in service.own_roots:
            return self._federation_of(service).source_for(root, wire)
        if origin == service.root.origin or origin in service.origins or audience.is_trusted:
            return self._keeper
        return (
            None
            if root is None
            else NoSource(f"{root} wants a token; this session's is for {service.root} only.", url=str(root))
        )

    def _find_service(self, wire: Wire) -> TokenService:
        with self._lock:
            if self._service is None:
                self._service = find_service(self._url, wire, given=self.portal_auth is None)
            return self._service

    def _federation_of(self, service: TokenService) -> Federation:
        with self._lock:
            if self._federation is None:
                self._federation = Federation(service.root, self._keeper, self._own_referer, self.clock)
            return self._federation

    def _own_referer(self) -> str | None:
        return self.referer

    # -- getting a token ---------------------------------------------------------------------------------------------

    def _fetch(self, wire: Wire) -> Fetched:
        if self._refusal is not None:
            raise ArcGISLoginError(
                self._refusal.message, url=self._refusal.url, code=self._refusal.code, details=self._refusal.details
            )
        service = self._service or self._find_service(wire)
        fields = self._credentials(service)
        referer = self.referer or wire.referer
        fields.update(expiration=f"{self._minutes:g}", f="json", client=self.client)
        if self.client == "referer":
            fields["referer"] = referer or "http"
        elif self.client == "ip":
            fields["ip"] = self.ip
        response = wire.send(form_post(service.url.origin, service.url.target, fields, referer))
        try:
            return read_token(response, self.clock, self._minutes)
        except ArcGISLoginError as error:
            self._refusal = error
            raise

    def _credentials(self, service: TokenService) -> dict[str, Any]:
        if self.portal_auth is None:
            return {"username": self.username, "password": self._password}
        token = self.portal_auth.token
        return {"token": str(token), "serverUrl": str(service.server or service.root), "request": "getToken"}

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"EsriGenTokenAuth({self._service.root if self._service else self._url_shown()}, {self.username!r})"

    def _url_shown(self) -> str:
        from ..words.redaction import redact_url

        return redact_url(self._url)
