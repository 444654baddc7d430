"""`EsriHttpNtlmAuth`: NTLM (MS-NLMP, MS-NTHT)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...words.errors import ConfigurationError
from .handshake_auth import HandshakeAuth, Offer
from .security import NTLM, Identity

if TYPE_CHECKING:
    from ...words.errors import EsriHttpError
    from ..base import Wire
    from ..challenges import Challenge

_SCHEMES = (NTLM, "negotiate")


class EsriHttpNtlmAuth(HandshakeAuth):
    """User name and password by NTLM, whether the server asks for it as ``NTLM`` or within ``Negotiate``.

    Safe to share between threads. One handshake signs in a connection; requests go over it without another. `username`:
    ``DOMAIN\\\\user``, ``user@domain`` or, for the server's own domain, the bare name; `None` for the current user, on
    Windows only. `password` may be the hash (``LM:NT`` in hex) in its place. `send_cbt`: tie the sign-in to the TLS
    connection (extended protection, RFC 5929). `url`, `session`: see `WebTierAuth`.

    Refused credentials raise `ArcGISLoginError` and are sent once; see `WebTierAuth`.
    """

    def __init__(
        self,
        session: Any = None,
        username: str | None = None,
        password: str | None = None,
        send_cbt: bool = True,
        **options: Any,
    ) -> None:
        if username == "" or (username is None) != (password is None):
            raise ConfigurationError("EsriHttpNtlmAuth needs username= and password=, or neither for the current user.")
        super().__init__(session, username, password, **options)
        self.send_cbt = bool(send_cbt)

    def _identity(self) -> Identity:
        return Identity(with_backslash(self.username), self._password)

    def offer_among(self, challenges: list[Challenge], host: str, wire: Wire | None) -> Offer | None:
        """See `HandshakeAuth.offer_among`."""
        offered = {challenge.scheme for challenge in challenges}
        return next((Offer(scheme, NTLM) for scheme in _SCHEMES if scheme in offered), None)

    def obstacle(self, host: str, wire: Wire | None) -> EsriHttpError | None:
        """See `HandshakeAuth.obstacle`."""
        return self.contexts.obstacle(NTLM, host, wire)


def with_backslash(username: str | None) -> str | None:
    """``DOMAIN/user`` as Windows writes it; other names as they are."""
    if username is None or "\\" in username or "@" in username:
        return username
    return username.replace("/", "\\", 1)
