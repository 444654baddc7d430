"""All servers of the bed, by name."""

from __future__ import annotations

from .apache import Apache, LateApache
from .bed import Server
from .epa import Epa, Intercept
from .kdc import Kdc
from .lighttpd import Lighttpd
from .nginx import Nginx
from .samba import ActiveDirectory
from .samba_web import DomainApache, DomainSquid
from .secret_service import SecretService
from .slapd import Slapd
from .socks import Socks
from .squid import Squid

SERVERS: dict[str, type[Server]] = {
    kind.name: kind
    for kind in (
        *(Apache, LateApache, Kdc, Slapd, Epa, Intercept, Lighttpd, Nginx, Squid, Socks),
        *(ActiveDirectory, DomainApache, DomainSquid),
        SecretService,
    )
}
