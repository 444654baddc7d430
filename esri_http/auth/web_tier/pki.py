"""`EsriPKIAuth`: who we are by a TLS client certificate (PKI), at web servers in front of ArcGIS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...words.errors import ArcGISLoginError, ConfigurationError
from ...words.redaction import redact_url
from ...words.settings import read_certificate
from ..base import ACCEPT, REPLAY, Audience, AuthRun
from ..chain import AuthChain
from ..sites import web_adaptor
from .web_tier_auth import WebTierAuth

if TYPE_CHECKING:
    from ...messages.request import Request
    from ...messages.response import Response
    from ...words.settings import ClientCertificate
    from ..base import Answer, Wire
    from .probes import Probes

# Apache takes 128 KiB by default while it negotiates once more (SSLRenegBufferSize), IIS 48 KiB (uploadReadAheadSize).
_MOST_BYTES = 48 * 1024
_PEEKED_BYTES = 4096
# What servers say inside the TLS connection, instead of an alert: nginx, and IIS by its sub-status.
_WANTED = (b"no required ssl certificate was sent", b"403.7 ")
_REFUSED = (b"the ssl certificate error", b"403.13 ", b"403.16 ", b"403.17 ")


class EsriPKIAuth(WebTierAuth):
    """Shows a client certificate to web servers that ask for one. Safe to share between threads.

    `session` is there for compatibility and may be `None`. `cert`: any form that `EsriSession` takes as `cert=`; `key` and
    `password` may also be given here. Without `cert`, the session's certificate is shown. `url` and tokens as in
    `WebTierAuth`; `auth=other` is the same as ``EsriPKIAuth(...) + other``.

    Raises `ArcGISLoginError` where the server says that it wants a certificate, or another one; a server that says so in
    TLS raises `TlsError`. A request with a body over 48 KiB goes out after a small GET on the same connection, since servers
    that ask for certificates by path do not take larger ones before they know who asks.
    """

    def __new__(cls, *arguments: Any, auth: Any = None, **options: Any) -> Any:
        """With `auth`, a chain: this handler, and that one to its right."""
        if auth is None:
            return super().__new__(cls)
        return AuthChain(cls(*arguments, **options), auth)

    def __init__(
        self,
        session: Any = None,
        cert: Any = None,
        key: Any = None,
        password: Any = None,
        *,
        auth: None = None,
        **options: Any,
    ) -> None:
        super().__init__(session, **options)
        self._certificate = read_certificate(_joined(cert, key, password))

    def _begin(self, audience: Audience) -> AuthRun:
        if audience.origin.scheme != "https":
            return AuthRun()
        body = None if audience.request is None else audience.request.body
        has_large_body = body is not None and (body.length is None or body.length > _MOST_BYTES)
        return _PkiRun(self._certificate, has_large_body, self.probes)

    @property
    def holds_secret(self) -> bool:
        """See `WebTierAuth.holds_secret`; the path of a file is none."""
        return self._certificate is not None and self._certificate.holds_secret

    def __repr__(self) -> str:
        return f"EsriPKIAuth({'' if self._certificate is None else repr(self._certificate.name)})"


class _PkiRun(AuthRun):
    """One request: at most one small one ahead of it, where its own body would be in the way of a negotiation."""

    def __init__(self, certificate: ClientCertificate | None, has_large_body: bool, probes: Probes) -> None:
        self.client_certificate = certificate
        self._probes = probes
        self._goes_ahead = False
        self._may_go_ahead = has_large_body
        if has_large_body:
            self.lane_identity = ("client certificate", certificate)

    def before_request(self, request: Request, wire: Wire) -> Request:
        self._goes_ahead = self._may_go_ahead and not wire.memory.get(_place(request))
        if not self._goes_ahead:
            return request
        self._may_go_ahead = False
        return self._probes.probe(request)

    def on_response(self, request: Request, response: Response, wire: Wire) -> Answer:
        self._check(request, response)
        if not self._goes_ahead:
            return ACCEPT
        wire.memory[_place(request)] = True
        return REPLAY

    def _check(self, request: Request, response: Response) -> None:
        complaint = certificate_complaint(response)
        if complaint is not None:
            raise ArcGISLoginError(f"{redact_url(request.url)} {complaint}.", url=request.url, code=response.status_code)


def certificate_complaint(response: Response) -> str | None:
    """What a server has to say of our client certificate inside the TLS connection; `None` where it says nothing of it."""
    if response.status_code not in (400, 403):
        return None
    text = response.peek(_PEEKED_BYTES).lower()
    if any(word in text for word in _WANTED):
        return "wants a client certificate, and none was shown; give one by cert="
    if any(word in text for word in _REFUSED):
        return "does not accept our client certificate: its issuer is unknown there, or it has expired or is revoked"
    return None


def _place(request: Request) -> str:
    """Servers ask by path; those below one web adaptor are alike."""
    return f"certificate negotiated for /{web_adaptor(request.path)}"


def _joined(cert: Any, key: Any, password: Any) -> Any:
    """`cert`, and what of it was given by the other parameters."""
    if key is None and password is None:
        return cert
    if cert is None:
        raise ConfigurationError("EsriPKIAuth has no use for key= or password= without cert=.")
    if isinstance(cert, (tuple, list)):
        if key is not None:
            raise ConfigurationError("EsriPKIAuth was given a key in cert= and another one in key=.")
        cert, key = (*cert, None, None)[:2]
    return cert, key, password
