"""`EsriGenTokenAuth`: user name and password to a generateToken service (ArcGIS REST, section generateToken)."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, Callable

from ...words.errors import ConfigurationError
from ...words.redaction import redact_url
from ..flights import Flights
from .lifetimes import is_duration
from .portal_tokens import PortalTokens
from .site_auth import SiteAuth, expires_of, usable
from .token_auth import TokenAuth, check_texts
from .token_requests import ask_for_token, minutes_field
from .token_services import find_service

if TYPE_CHECKING:
    from ...words.origins import SplitUrl
    from ..base import Wire
    from .keeper import Fetched
    from .routing import TokenRouter
    from .token_services import TokenService

_CLIENTS = ("referer", "requestip", "ip")
# What a token is bound to for want of a better one; ArcGIS users know it.
REFERER = "http"


class GeneratedToken(str):
    """A token as text. Calling it gives the token for a server: ``auth.token`` and ``auth.token(server_url)`` both work."""

    _handler: EsriGenTokenAuth

    def __call__(self, server_url: str | None = None) -> str:
        return str(self) if server_url is None else self._handler.token_for(server_url)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)


class EsriGenTokenAuth(SiteAuth):
    """Signs in with user name and password at a portal, at a stand-alone ArcGIS Server, or at their token service.

    Safe to share between threads: however many need a token, one request gets it. The token goes to the site of
    `token_url`, to the servers federated with it (each gets a token of its own) and to `trusted_origins`; everything else
    is asked anonymously. A refused password is posted once; it is not tried again until `password` is set anew.

    `token_url`: the token service, or any URL of the site: what it is, is found out by `rest/info`. `referer`: what the
    token is bound to and what is sent with it; `None` for the session's. `portal_auth`: a handler of the portal that the
    server is federated with, in place of user name and password; its token is exchanged at that portal only. Neither: a
    handler to the left signs us in at the web tier, and the token is asked for without a password. `time_out`: minutes that
    the token should live (what was granted is in `expiration`). `client`: ``referer``, ``requestip`` or ``ip`` (then `ip`
    is that address). `legacy`: send ``token=`` instead of a header. `verify_sign_in`: have the portal say who we are.
    `service`: what the site was found to be already; `None`: it is asked.
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
        service: TokenService | None = None,
        **options: Any,
    ) -> None:
        self.username = username
        super().__init__(password=password, referer=referer, legacy=legacy, verify_cert=verify_cert, **options)
        if client not in _CLIENTS or (client == "ip") != (ip is not None):
            raise ConfigurationError("client= is 'referer', 'requestip', or 'ip' together with ip=.")
        check_texts(username=username, ip=ip)
        self.portal_auth = portal_auth
        self.client = client
        self.ip = ip
        self.time_out = time_out
        self._url = token_url
        self._finding = Flights()
        if portal_auth is not None:
            self._tokens = PortalTokens(portal_auth, self.clock)
        if service is not None:
            self._sign_in_at(service)

    # -- settings ----------------------------------------------------------------------------------------------------

    @property
    def time_out(self) -> float:
        """Minutes that a token should live; what the server allows may be less."""
        return self._minutes

    @time_out.setter
    def time_out(self, minutes: float) -> None:
        if not is_duration(minutes):
            raise ConfigurationError("time_out= takes minutes greater than zero.")
        self._minutes = minutes

    @property
    def expiration(self) -> datetime.datetime | None:
        """When the token dies by what the server granted (local time); `None` while there is none or it did not say."""
        expires = self.token_expires
        return None if expires is None else expires.astimezone().replace(tzinfo=None)

    @property
    def token_expires(self) -> datetime.datetime | None:
        """See `SiteAuth.token_expires`; with `portal_auth`, of the token that was exchanged."""
        router = self._router
        if self.portal_auth is None or router is None or router.site.server is None:
            return super().token_expires
        keeper = router.federation.keeper_of(router.site.server)
        return None if keeper is None else expires_of(keeper)

    @property
    def token(self) -> GeneratedToken:
        """The token (str), fetched if need be; also callable with the URL of a federated server."""
        wire = self.wire()
        router, source = self._routes(wire), self._tokens
        if self.portal_auth is not None and router.site.server is not None:
            source = usable(router.federation.source_for(router.site.server, wire))
        token = GeneratedToken(source.current(wire).value)
        token._handler = self
        return token

    def referer_to_send(self, wire: Wire) -> str | None:
        """See `TokenAuth.referer_to_send`: a token has to be bound to some referer even where the session has none."""
        return self.referer if self.referer or wire.referer or self.client != "referer" else REFERER

    # -- getting a token ---------------------------------------------------------------------------------------------

    def bind(self, open_wire: Callable[[], Wire]) -> None:
        """See `TokenAuth.bind`; a `portal_auth` that belongs to no session signs in through the same one."""
        super().bind(open_wire)
        if isinstance(self.portal_auth, TokenAuth) and not self.portal_auth.is_bound:
            self.portal_auth.bind(open_wire)

    def _routes(self, wire: Wire) -> TokenRouter:
        return self._router or self._finding.share(None, lambda: self._find(wire), wire)

    def _find(self, wire: Wire) -> TokenRouter:
        """Find out which site `token_url` is of, unless another thread has done so meanwhile."""
        if self._router is None:
            tokens = self._tokens
            portal = tokens.portal(wire) if isinstance(tokens, PortalTokens) else None
            return self._sign_in_at(find_service(self._url, wire, portal))
        return self._router

    def _fetch(self, wire: Wire) -> Fetched:
        service = self._routes(wire).site.url
        return self._remembering(lambda: self._ask(service, wire))

    def _ask(self, service: SplitUrl, wire: Wire) -> Fetched:
        referer = self.referer_to_send(wire) or wire.referer
        fields: dict[str, Any] = {"expiration": minutes_field(self._minutes), "client": self.client}
        if self.username is not None:
            fields.update(username=self.username, password=self._password)
        if self.client == "referer":
            fields["referer"] = referer
        elif self.client == "ip":
            fields["ip"] = self.ip
        return ask_for_token(service, fields, referer, wire, self.clock, self._minutes)

    def _check_password(self, password: object) -> None:
        super()._check_password(password)
        if (self.username is None) != (password is None) or self.username == "":
            raise ConfigurationError("EsriGenTokenAuth needs username= and password=, or portal_auth=, or neither.")

    def _expected_user(self) -> str | None:
        return self.username

    def __repr__(self) -> str:
        return f"EsriGenTokenAuth({self._router.site.root if self._router else redact_url(self._url)}, {self.username!r})"
