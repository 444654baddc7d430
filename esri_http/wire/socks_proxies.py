"""Connections through a SOCKS proxy. Imports PySocks, so it is loaded only when such a proxy is used."""

from __future__ import annotations

from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.contrib.socks import SOCKSConnection, SOCKSHTTPSConnection, SOCKSProxyManager
from urllib3.exceptions import NewConnectionError

from ..words.errors import ConfigurationError, ProxyError
from .connections import Watched

# What PySocks can announce in one byte (RFC 1929 has twice as much).
_LONGEST_NAME = 127


class _ThroughSocks(Watched):
    """What is ours about a connection through SOCKS: it is watched like the others, and its failures name the proxy."""

    host: str
    port: int
    _socks_options: dict[str, Any]

    def connect(self) -> None:
        try:
            super().connect()
        except NewConnectionError as error:
            raise ProxyError(self._what_went_wrong(error)) from error

    def _what_went_wrong(self, error: BaseException) -> str:
        options = self._socks_options
        proxy = f"The SOCKS proxy {options['proxy_host']}:{options['proxy_port']}"
        if not _is_about_the_sign_in(error):
            return f"{proxy} gives no connection to {self.host}:{self.port}; check proxies= and ALL_PROXY."
        if options["username"] is None:
            return f"{proxy} wants a sign-in; put it in its address: socks5h://user:password@host:port."
        return f"{proxy} refuses the sign-in of {options['username']!r}; check user name and password in its address."


def _is_about_the_sign_in(error: BaseException | None) -> bool:
    """Whether PySocks says so, in one of the errors that `error` was made of."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        if "SOCKS5AuthError" in (type(error).__name__, type(getattr(error, "socket_err", None)).__name__):
            return True
        error = error.__cause__ or error.__context__
    return False


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

    def __init__(self, url: str, username: str | None, password: str | None, **options: Any) -> None:
        if any(len((text or "").encode()) > _LONGEST_NAME for text in (username, password)):
            raise ConfigurationError(f"For a SOCKS proxy user name and password may have {_LONGEST_NAME} bytes at most.")
        super().__init__(url, username, password, **options)
        self.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
