"""What urllib3 raises, and every difference between 1.26 and 2.x that we meet."""

from __future__ import annotations

import sys
from http.client import HTTPException
from ssl import SSLError
from typing import TYPE_CHECKING, Any

from urllib3 import __version__ as _urllib3_version  # type: ignore[attr-defined]
from urllib3.exceptions import HTTPError, ProxyError

if TYPE_CHECKING:
    from ssl import SSLContext

# What urllib3 and the standard library below it raise for a failed exchange.
WIRE_ERRORS = (HTTPError, HTTPException, OSError, ValueError)
URLLIB3_2 = not _urllib3_version.startswith("1.")


def retry_options(jitter: float, longest: float) -> dict[str, Any]:
    """The options of `Retry` that bound and spread its back-off, as far as this urllib3 has them (seconds)."""
    return {"backoff_jitter": jitter, "backoff_max": longest} if URLLIB3_2 else {}


def tunnel_options(scheme: str) -> dict[str, Any]:
    """The options of `set_tunnel`: urllib3 1.26 knows by other ways whether the proxy speaks TLS."""
    return {"scheme": scheme} if URLLIB3_2 else {}


def let_go(error: BaseException) -> None:
    """Free what the frames behind `error` hold: before Python 3.11, after a refused CONNECT, the answer and its open socket."""
    if sys.version_info < (3, 11):
        import traceback

        seen: BaseException | None = error
        while seen is not None:
            traceback.clear_frames(seen.__traceback__)
            seen = seen.__cause__


def for_host(context: SSLContext, host: str) -> SSLContext:
    """`context` so that it checks `host` even where that is an address: urllib3 1.26 leaves the name out then."""
    return context if URLLIB3_2 else _NamingContext(context, host)  # type: ignore[return-value]


def for_proxy(context: SSLContext, host: str) -> SSLContext:
    """`context` for the TLS connection to the proxy `host`, whose failures urllib3 1.26 takes for the origin's."""
    return context if URLLIB3_2 else _ProxyContext(context, host)  # type: ignore[return-value]


class _NamingContext:
    """An `SSLContext` that knows which server it is for. What urllib3 sets on it does not reach the shared context."""

    def __init__(self, context: SSLContext, host: str) -> None:
        self._context = context
        self._host = host
        self.verify_mode = context.verify_mode

    def wrap_socket(self, sock: Any, server_hostname: str | None = None, **options: Any) -> Any:
        return self._context.wrap_socket(sock, server_hostname=server_hostname or self._host, **options)

    def wrap_bio(self, incoming: Any, outgoing: Any, server_hostname: str | None = None, **options: Any) -> Any:
        return self._context.wrap_bio(incoming, outgoing, server_hostname=server_hostname or self._host, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


class _ProxyContext(_NamingContext):
    def wrap_socket(self, sock: Any, server_hostname: str | None = None, **options: Any) -> Any:
        try:
            return super().wrap_socket(sock, server_hostname, **options)
        except SSLError as error:
            raise ProxyError("no TLS connection to the proxy", error) from error
