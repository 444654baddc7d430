"""A route: how one origin is reached with one set of settings. Found once per origin, then kept."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from .proxies import choose_proxy

if TYPE_CHECKING:
    from urllib3 import PoolManager
    from urllib3.connectionpool import HTTPConnectionPool

    from ..words.origins import Origin
    from ..words.settings import NetworkSettings
    from .proxies import Proxy


class Route:
    """Where to dial, what name to ask for, and the pool of connections that go there."""

    __slots__ = ("host_header", "name", "origin", "pool", "prefix", "proxy")

    def __init__(self, origin: Origin, proxy: Proxy | None, name: str | None) -> None:
        self.origin = origin
        self.proxy = proxy
        self.name = name
        self.pool: HTTPConnectionPool | None = None
        # A proxy that forwards plain http takes the absolute URL (RFC 9112 section 3.2.2).
        self.prefix = str(origin) if proxy is not None and origin.scheme == "http" and not proxy.is_socks else ""
        self.host_header = None if name is None else origin._replace(host=name).authority

    def open_pool(self, manager: PoolManager) -> HTTPConnectionPool:
        """The pool of `manager` that leads along this route."""
        origin = self.origin
        options: dict[str, Any] | None = {"server_hostname": self.name} if self.name and origin.scheme == "https" else None
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        return manager.connection_from_host(host, origin.port, origin.scheme, pool_kwargs=options)


def find_route(origin: Origin, network: NetworkSettings, host_header: str | None = None) -> Route:
    """The route to `origin`. `host_header` is a `Host` that the caller set: the name to verify when dialling an address."""
    proxy = choose_proxy(origin, network.proxies, network.trust_env)
    return Route(origin, proxy, _name_to_verify(origin, network, host_header))


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
