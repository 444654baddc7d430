"""A route: how one origin is reached with one set of settings. Found once per origin, then kept."""

from __future__ import annotations

import ipaddress
import os
import sys
from typing import TYPE_CHECKING, Any

from .compat import for_host

if TYPE_CHECKING:
    from urllib3 import PoolManager
    from urllib3.connectionpool import HTTPConnectionPool

    from ..words.origins import Origin
    from ..words.settings import NetworkSettings
    from .proxies import Proxy
    from .proxy_sign_in import ProxySigner


class Route:
    """Where to dial, what name to ask for, and the pool of connections that go there, which the transport opens."""

    __slots__ = ("host_header", "name", "origin", "pool", "prefix", "proxy", "signer")

    pool: HTTPConnectionPool

    def __init__(self, origin: Origin, proxy: Proxy | None, name: str | None) -> None:
        self.origin = origin
        self.proxy = proxy
        self.name = name
        self.signer: ProxySigner | None = None
        # A proxy that forwards plain http takes the absolute URL (RFC 9112 section 3.2.2).
        self.prefix = str(origin) if proxy is not None and origin.scheme == "http" and not proxy.is_socks else ""
        self.host_header = None if name is None else origin._replace(host=name).authority

    def open_pool(self, manager: PoolManager) -> HTTPConnectionPool:
        """The pool of `manager` that leads along this route."""
        origin = self.origin
        options = self._tls_options(manager)
        return manager.connection_from_host(origin.host_in_url, origin.port, origin.scheme, pool_kwargs=options)

    def _tls_options(self, manager: Any) -> dict[str, Any] | None:
        """How the TLS of this route differs from what its manager does for all."""
        if self.origin.scheme == "https":
            options: dict[str, Any] = {"server_hostname": self.name} if self.name else {}
            verified = self.name or self.origin.host
            if is_address(verified):
                options["ssl_context"] = for_host(manager.connection_pool_kw["ssl_context"], verified)
            return options or None
        if self.proxy is not None and self.proxy.uses_tls:
            # The proxy forwards, so the TLS connection is with the proxy: its context, and its name is always checked.
            return {"ssl_context": manager.proxy_config.ssl_context, "assert_hostname": None}
        return None

    def close(self) -> None:
        """Close the pool and what waits in it; a connection in use is closed after use. urllib3 2's `clear()` does neither."""
        self.pool.close()


def find_route(origin: Origin, network: NetworkSettings, host_header: str | None = None) -> Route:
    """The route to `origin`. `host_header` is a `Host` that the caller set: the name to verify when dialling an address."""
    proxy = None
    if network.proxies or (network.trust_env and _environment_may_name_proxies()):
        from .proxies import choose_proxy

        proxy = choose_proxy(origin, network.proxies, network.trust_env)
    return Route(origin, proxy, _name_to_verify(origin, network, host_header))


def _environment_may_name_proxies() -> bool:
    return os.name != "posix" or sys.platform == "darwin" or any(name[-6:].lower() == "_proxy" for name in os.environ)


def _name_to_verify(origin: Origin, network: NetworkSettings, host_header: str | None) -> str | None:
    names = network.server_hostname
    if isinstance(names, tuple):
        name = dict(names).get(origin.host)
        if name:
            return name
    if not is_address(origin.host):
        return None
    if host_header:
        host = host_header.strip().lower()
        return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return names if isinstance(names, str) else None


def is_address(host: str) -> bool:
    """Whether `host` is an IP address rather than a name."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
