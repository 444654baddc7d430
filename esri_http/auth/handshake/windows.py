"""`EsriWindowsAuth` and `EsriHttpNegotiateAuth`: integrated Windows authentication, by Kerberos or NTLM (MS-N2HT)."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from ...words.errors import ConfigurationError, EsriHttpError
from .handshake_auth import HandshakeAuth, Mutual, Offer
from .kerberos import read_mutual
from .ntlm import with_backslash
from .security import KERBEROS, NEGOTIATE, NTLM, Identity

if TYPE_CHECKING:
    from ..base import Wire
    from ..challenges import Challenge

log = logging.getLogger("esri_http.auth")


class EsriHttpNegotiateAuth(HandshakeAuth):
    """Negotiate: Kerberos and, only where `allow_ntlm=True` asks for it, NTLM where Kerberos cannot be used.

    Safe to share between threads. `username` and `password`, or neither for the current user: SSPI on Windows, a Kerberos
    ticket elsewhere (there NTLM needs a password). `service`, `host`: the parts of the service principal; `None` for
    ``HTTP`` and the host of the URL. `delegate`: let the server act in our name. `mutual_authentication`, `send_cbt`: see
    `EsriKerberosAuth`, also for what requests raise. A password that Kerberos refuses is not tried by NTLM.
    """

    allow_ntlm = False
    system_chooses = sys.platform == "win32"
    """Whether the system's own Negotiate (SSPI) chooses between the two; otherwise it is chosen here."""

    def __init__(
        self,
        session: Any = None,
        username: str | None = None,
        password: str | None = None,
        service: str | None = None,
        host: str | None = None,
        delegate: bool = False,
        *,
        allow_ntlm: bool | None = None,
        mutual_authentication: int | str = Mutual.OPTIONAL,
        send_cbt: bool = True,
        **options: Any,
    ) -> None:
        if password is not None and not username:
            raise ConfigurationError(f"{type(self).__name__} needs username= with the password.")
        self.service = self._text_if_any("service", service) or "HTTP"
        self.hostname_override = self._text_if_any("host", host)
        self.delegate = bool(delegate)
        self.mutual = read_mutual(mutual_authentication)
        self.send_cbt = bool(send_cbt)
        if allow_ntlm is not None:
            self.allow_ntlm = bool(allow_ntlm)
        super().__init__(session, username or None, password, **options)

    def _identity(self) -> Identity:
        mutual = self.mutual != Mutual.DISABLED
        return Identity(with_backslash(self.username), self._password, self.service, self.delegate, mutual)

    def offer_among(self, challenges: list[Challenge], host: str, wire: Wire | None) -> Offer | None:
        """See `HandshakeAuth.offer_among`."""
        offered = {challenge.scheme for challenge in challenges}
        if "negotiate" in offered:
            if self.system_chooses and self.allow_ntlm:
                return Offer("negotiate", NEGOTIATE)
            obstacle = self.contexts.obstacle(KERBEROS, host, wire)
            if obstacle is None:
                return Offer("negotiate", KERBEROS)
            if not self.allow_ntlm or self.contexts.obstacle(NTLM, host, wire) is not None:
                raise obstacle
            log.info("%s: NTLM in place of Kerberos: %s", host, obstacle)
        elif NTLM not in offered or not self.allow_ntlm:
            return None
        return Offer(NTLM if NTLM in offered else "negotiate", NTLM)

    def obstacle(self, host: str, wire: Wire | None) -> EsriHttpError | None:
        """See `HandshakeAuth.obstacle`."""
        obstacle = self.contexts.obstacle(KERBEROS, host, wire)
        if obstacle is None or not self.allow_ntlm or self.contexts.obstacle(NTLM, host, wire) is not None:
            return obstacle
        return None


class EsriWindowsAuth(EsriHttpNegotiateAuth):
    """Integrated Windows authentication (IWA), as IIS offers it: Kerberos where it can be used, NTLM otherwise.

    Safe to share between threads. Without `username` and `password` it signs in the current user: by SSPI on Windows, with
    the ticket of `kinit` elsewhere. With them it needs neither, on any system: NTLM then runs in pure Python. Everything
    else is as for `EsriHttpNegotiateAuth`.
    """

    allow_ntlm = True

    def __init__(
        self,
        session: Any = None,
        username: str | None = None,
        password: str | None = None,
        referer: str | None = None,
        verify_cert: Any = True,
        **options: Any,
    ) -> None:
        super().__init__(session, username, password, referer=referer, verify_cert=verify_cert, **options)
