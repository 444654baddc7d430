"""`EsriKerberosAuth`: Kerberos over HTTP (RFC 4559)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...words.errors import ConfigurationError
from .handshake_auth import HandshakeAuth, Mutual, Offer
from .security import KERBEROS, Identity

if TYPE_CHECKING:
    from ...words.errors import EsriHttpError
    from ..base import Wire
    from ..challenges import Challenge

OFFER = Offer("negotiate", KERBEROS)


class EsriKerberosAuth(HandshakeAuth):
    """A Kerberos ticket of the current user, or one that `username` and `password` get. Never falls back to NTLM.

    Safe to share between threads. Where the ticket is taken for each request alone, each carries a fresh token; where the
    server says that it keeps the connection signed in (`Persistent-Auth: true`), only the first does.

    `username` (``user@REALM``) and `password`; without a password, the ticket of `username` (or `principal`) in the cache.
    `mutual_authentication`: ``REQUIRED`` (1), ``OPTIONAL`` (2, the default) or ``DISABLED`` (3); see `Mutual`. `service`:
    the first part of the service principal; `None` for ``HTTP``. `hostname_override`: its second part, where that is not
    the host of the URL. `delegate`: let the server act in our name. `force_preemptive`: send a token before the server
    asks; otherwise only its first answer to us is waited for. `send_cbt`: tie the sign-in to the TLS connection (RFC 5929).
    `sanitize_mutual_error_response` is taken for compatibility: with ``REQUIRED``, no unproven answer is ever handed on.
    `url`, `session`: see `WebTierAuth`. Needs the extra ``kerberos``, except on Windows.

    Requests raise `ArcGISLoginError` for credentials that are refused (sent once; see `WebTierAuth`),
    `InteractionRequiredError` for a password that has expired, and `SignInError` where there is no ticket, no KDC, no such
    service, or a clock that differs too much.
    """

    allow_ntlm = False

    def __init__(
        self,
        *,
        username: str | None = None,
        password: str | None = None,
        mutual_authentication: int | str = Mutual.OPTIONAL,
        service: str | None = None,
        delegate: bool = False,
        force_preemptive: bool = False,
        principal: str | None = None,
        hostname_override: str | None = None,
        sanitize_mutual_error_response: bool = True,
        send_cbt: bool = True,
        session: Any = None,
        **options: Any,
    ) -> None:
        name, colon, secret = (self._text_if_any("principal", principal) or "").partition(":")
        username = username or name or None
        self.mutual = read_mutual(mutual_authentication)
        self.service = self._text_if_any("service", service) or "HTTP"
        self.delegate = bool(delegate)
        self.hostname_override = self._text_if_any("hostname_override", hostname_override)
        self.send_cbt = bool(send_cbt)
        self.preemptive = OFFER if force_preemptive else None
        super().__init__(session, username, secret if colon and password is None else password, **options)
        if self._password is not None and username is None:
            raise ConfigurationError("EsriKerberosAuth needs username= with the password.")

    def _identity(self) -> Identity:
        return Identity(self.username, self._password, self.service, self.delegate, self.mutual != Mutual.DISABLED)

    def offer_among(self, challenges: list[Challenge], host: str, wire: Wire | None) -> Offer | None:
        """See `HandshakeAuth.offer_among`."""
        return OFFER if any(challenge.scheme == OFFER.scheme for challenge in challenges) else None

    def obstacle(self, host: str, wire: Wire | None) -> EsriHttpError | None:
        """See `HandshakeAuth.obstacle`."""
        return self.contexts.obstacle(KERBEROS, host, wire)


def read_mutual(value: int | str) -> int:
    """What users pass as `mutual_authentication=`: a number, or its name."""
    names = {"REQUIRED": Mutual.REQUIRED, "OPTIONAL": Mutual.OPTIONAL, "DISABLED": Mutual.DISABLED}
    found = names.get(value.upper()) if isinstance(value, str) else value
    if found is None or found not in names.values():
        raise ConfigurationError("mutual_authentication= is REQUIRED (1), OPTIONAL (2) or DISABLED (3).")
    return found
