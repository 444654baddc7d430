"""From settings to urllib3 managers: one for the many, or one per lane with a single connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from urllib3 import PoolManager, ProxyManager

from ..words.errors import missing_package
from ..words.settings import TlsSettings
from .compat import for_proxy
from .connections import POOL_CLASSES, ProxyHeaders
from .tls import tls_context

if TYPE_CHECKING:
    from .proxies import Proxy
    from .proxy_sign_in import ProxySigner

# Queue slots are free, a TLS connection thrown away for want of one is not.
_CONNECTIONS_PER_ORIGIN = 64
_ORIGINS = 512


def make_manager(
    tls: TlsSettings, proxy: Proxy | None, signer: ProxySigner | None = None, *, single: bool = False
) -> PoolManager:
    """A manager whose connections all have these settings; with `single` it never holds more than one connection.

    `signer`: who signs in to the proxy; it is asked at every CONNECT.
    """
    options: dict[str, Any] = {
        "num_pools": 1 if single else _ORIGINS,
        "maxsize": 1 if single else _CONNECTIONS_PER_ORIGIN,
        "block": single,
        "ssl_context": tls_context(tls),
    }
    if not tls.check_hostname:
        options["assert_hostname"] = False
    manager = PoolManager(**options) if proxy is None else _proxy_manager(tls, proxy, signer, options)
    if proxy is None or not proxy.is_socks:
        manager.pool_classes_by_scheme = dict(POOL_CLASSES)
    return manager


def _proxy_manager(tls: TlsSettings, proxy: Proxy, signer: ProxySigner | None, options: dict[str, Any]) -> PoolManager:
    if proxy.is_socks:
        from importlib.util import find_spec

        if find_spec("socks") is None:
            raise missing_package("PySocks", f"The proxy {proxy}", extra="socks")
        from .socks_proxies import SocksManager

        return SocksManager(proxy.url, proxy.username, proxy.password, **options)
    if proxy.uses_tls:
        # The proxy is another server: believed by the same roots, checked for its own name, never shown our certificate.
        context = tls_context(tls.replace(certificate=None, check_hostname=True))
        options["proxy_ssl_context"] = for_proxy(context, proxy.host)
    return ProxyManager(proxy.url, proxy_headers=None if signer is None else ProxyHeaders(signer), **options)
