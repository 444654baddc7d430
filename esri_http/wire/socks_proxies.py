"""Connections through a SOCKS proxy. Imports PySocks, so it is loaded only when such a proxy is used."""

from __future__ import annotations

from typing import Any

from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.contrib.socks import SOCKSConnection, SOCKSHTTPSConnection, SOCKSProxyManager
from urllib3.exceptions import NewConnectionError

from ..words.errors import ProxyError
from .connections import Watched


class _ThroughSocks(Watched):
    """What is ours about a connection through SOCKS: it is watched like the others, and its failures name the proxy."""

    host: str
    port: int
    _socks_options: dict[str, Any]

    def connect(self) -> None:
        try:
            super().connect()
        except NewConnectionError as error:
            proxy = f"{self._socks_options['proxy_host']}:{self._socks_options['proxy_port']}"
            message = f"The SOCKS proxy {proxy} gives no connection to {self.host}:{self.port}; check proxies= and ALL_PROXY."
            raise ProxyError(message) from error


class _PlainConnection(_ThroughSocks, SOCKSConnection):  # type: ignore[misc]
    pass


class _TlsConnection(_ThroughSocks, SOCKSHTTPSConnection):  # type: ignore[misc]
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class SocksManager(SOCKSProxyManager):
    """urllib3's manager for SOCKS, with connections of ours."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
