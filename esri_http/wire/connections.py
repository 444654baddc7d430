"""urllib3's connections, which besides belong to a lane, sign in to a proxy, keep a deadline, and read with care."""

from __future__ import annotations

import errno
import socket
from http.client import HTTPException
from ssl import SSLEOFError
from typing import TYPE_CHECKING, Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.request import SKIP_HEADER

from ..words.clock import Deadline
from ..words.errors import ConnectError, ProxyError
from ..words.headers import lookup
from .answers import CarefulResponse, TunnelAnswer
from .compat import let_go, tunnel_options

if TYPE_CHECKING:
    from ..messages.request import LateHeaders
    from .proxy_sign_in import ProxySigner

_SEND_BYTES = 256 * 1024


class ConnectionPinLost(Exception):
    """The server closed a connection in the middle of a sign-in that lives on it.

    Derived from neither `OSError` nor urllib3's `HTTPError`: urllib3 would wrap those and connect anew.
    """


class WireHeaders(dict):  # type: ignore[type-arg]
    """Header fields that carry past urllib3 what it has no place for.

    `secret_query`: what its logs and errors must not show of the request target; `deadline`: of the whole call;
    `read_timeout` (seconds, `None` for no limit): it holds for sending too, where urllib3 takes the connect time-out;
    `late`: makes further fields once the connection stands (see `Request.late_headers`).
    """

    __slots__ = ("deadline", "late", "read_timeout", "secret_query")

    def __init__(
        self,
        headers: dict[str, str],
        secret_query: str,
        deadline: Deadline | None,
        read_timeout: float | None,
        late: LateHeaders | None = None,
    ) -> None:
        super().__init__(headers)
        self.late = late
        self.secret_query = secret_query
        self.deadline = deadline
        self.read_timeout = read_timeout

    def copy(self) -> WireHeaders:
        """Itself: urllib3 copies header fields before it adds the proxy's, and these were made for one request."""
        return self


class ProxyHeaders(dict):  # type: ignore[type-arg]
    """What urllib3 takes for the header fields for the proxy: none, but it carries who signs in to every connection."""

    __slots__ = ("signer",)

    def __init__(self, signer: ProxySigner) -> None:
        super().__init__()
        self.signer = signer

    def __bool__(self) -> bool:
        return True  # else urllib3 takes an empty dict of its own in its place


class ConnectionTie:
    """What a lane knows of its one connection; a new connection begins with an empty `memory`.

    While it is `pinned`, a second connection is refused. `peer_certificate` is in DER form; `None` without TLS.
    `proxy_memory`: the same for a sign-in to the proxy, which has nothing to do with the one to the server.
    """

    __slots__ = ("connected", "memory", "peer_certificate", "pinned", "proxy_memory")

    def __init__(self) -> None:
        self.connected = False
        self.pinned = False
        self.peer_certificate: bytes | None = None
        self.memory: dict[str, Any] = {}
        self.proxy_memory: dict[str, Any] = {}

    def renew(self, sock: Any) -> None:
        """Take note of a new connection over `sock`."""
        getpeercert = getattr(sock, "getpeercert", None)
        self.peer_certificate = getpeercert(True) if getpeercert else None
        self.memory, self.proxy_memory = {}, {}
        self.connected = True


class Watched:
    """What both kinds of connection share. `tie` is there for the connection of a lane only."""

    tie: ConnectionTie | None = None
    sock: Any
    _deadline: Deadline | None = None
    _read_timeout: float | None = None
    _secret_query = ""
    _has_body = False
    _signer: ProxySigner | None = None
    _signed_with: str | None = None
    _asks_for_tunnel = False
    _tunnel_host: Any
    _tunnel_port: Any
    proxy: Any
    timeout: Any

    def set_tunnel(self, host: str, port: int | None = None, headers: Any = None, scheme: str = "http") -> None:
        """Ask for a tunnel at the next `connect`, with a sign-in made for this one connection."""
        # What held for an earlier request on this connection does not hold for this one.
        self._asks_for_tunnel, self._has_body, self._deadline = True, False, None
        if isinstance(headers, ProxyHeaders):
            self._signer = headers.signer
            self._signed_with = field = headers.signer.authorization("CONNECT", f"{host}:{port}", None)
            headers = {} if field is None else {"Proxy-Authorization": field}
        super().set_tunnel(host, port, headers, **tunnel_options(scheme))  # type: ignore[misc]

    def connect(self) -> None:
        """Connect; raises `ConnectionPinLost` where that would lose a sign-in."""
        tie = self.tie
        if tie is not None and tie.pinned and tie.connected:
            raise ConnectionPinLost
        try:
            super().connect()  # type: ignore[misc]
        except Exception as error:
            let_go(error)
            raise
        self._asks_for_tunnel = False
        if self._signer is not None:
            self._signer.accepted(self._signed_with, None)
            self._signer = self._signed_with = None
        if tie is not None:
            tie.renew(self.sock)

    def _tunnel(self) -> None:
        """Ask the proxy for the tunnel. What goes wrong is its doing, and nothing was sent to the server yet."""
        try:
            super()._tunnel()  # type: ignore[misc]
        except ConnectionError as error:
            raise ConnectError(f"the proxy {self.proxy} hung up when it was asked for {self._target()}.") from error
        except HTTPException as error:
            what = "did not answer with valid HTTP when it was asked for"
            raise ProxyError(f"the proxy {self.proxy} {what} {self._target()} ({type(error).__name__}).") from error

    def _target(self) -> str:
        return f"{self._tunnel_host}:{self._tunnel_port}"

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any) -> None:
        """Send a request; `headers` are `WireHeaders`."""
        self._take_over(headers, body is not None)
        super().request(method, url, body=body, headers=headers, **options)  # type: ignore[misc]

    def request_chunked(self, method: str, url: str, body: Any = None, headers: Any = None) -> None:
        """Send a request whose body has no known length; `headers` are `WireHeaders`."""
        self._take_over(headers, True)
        super().request_chunked(method, url, body=body, headers=headers)  # type: ignore[misc]

    def _take_over(self, headers: WireHeaders, has_body: bool) -> None:
        self._has_body = has_body
        if headers.late is not None:
            headers.update(headers.late(None if self.tie is None else self.tie.peer_certificate))
        if lookup(headers, "User-Agent") is None:
            headers["User-Agent"] = SKIP_HEADER  # else urllib3 names itself
        self._secret_query = headers.secret_query
        self._deadline = headers.deadline
        self._read_timeout = headers.read_timeout

    def putrequest(self, method: str, url: str, *args: Any, **options: Any) -> None:
        """Begin a request, its secret query added at the last moment."""
        secret, self._secret_query = self._secret_query, ""
        if secret:
            url = f"{url}{'&' if '?' in url else '?'}{secret}"
        super().putrequest(method, url, *args, **options)  # type: ignore[misc]

    def endheaders(self, *args: Any, **options: Any) -> None:
        """Send the header fields; from here on the read time-out holds."""
        if self._has_body:
            if self.sock is None:
                self.connect()
            self.sock.settimeout(self._read_timeout)
        super().endheaders(*args, **options)  # type: ignore[misc]

    def send(self, data: Any) -> None:
        """Send `data`, a lot of it in pieces: a time-out holds for each, as it does for each piece that is read."""
        try:
            if not self._has_body:
                super().send(data)  # type: ignore[misc]
            elif isinstance(data, bytes) and len(data) > _SEND_BYTES:
                view = memoryview(data)
                for start in range(0, len(data), _SEND_BYTES):
                    self._send_piece(view[start : start + _SEND_BYTES])
            else:
                self._send_piece(data)
        except (ConnectionResetError, SSLEOFError) as error:
            # It may have answered before it hung up (413, mostly; or the alert of TLS 1.3 that it wants a client
            # certificate). After this error urllib3 reads the answer.
            raise BrokenPipeError(errno.EPIPE, error.strerror) from error

    def _send_piece(self, data: Any) -> None:
        if self._deadline is not None and not self._deadline.allows(0):
            raise socket.timeout("the time for the whole call is up")
        super().send(data)  # type: ignore[misc]

    def response_class(self, sock: Any, debuglevel: int = 0, method: str | None = None) -> CarefulResponse:
        """What the standard library makes the answer of."""
        if not self._asks_for_tunnel:
            return CarefulResponse(sock, method, self._deadline)
        # The proxy's answer to CONNECT: it belongs to connecting, which has a time-out of its own.
        deadline = Deadline(self.timeout) if isinstance(self.timeout, (int, float)) else None
        if self._signer is None:
            return CarefulResponse(sock, method, deadline)
        answer = TunnelAnswer(sock, method, deadline)
        answer.sent = self._signed_with
        return answer


class PlainConnection(Watched, HTTPConnection):  # type: ignore[misc]
    """A connection without TLS."""


class TlsConnection(Watched, HTTPSConnection):  # type: ignore[misc]
    """A connection with TLS."""


class PlainPool(HTTPConnectionPool):
    """A pool of `PlainConnection`."""

    ConnectionCls = PlainConnection


class TlsPool(HTTPSConnectionPool):
    """A pool of `TlsConnection`."""

    ConnectionCls = TlsConnection

    def _put_conn(self, conn: Any) -> None:
        # What came after the answer may sit decrypted inside TLS, where urllib3's look at the socket does not find it.
        if conn is not None and hasattr(conn.sock, "pending") and conn.sock.pending():
            conn.close()
        super()._put_conn(conn)


POOL_CLASSES = {"http": PlainPool, "https": TlsPool}
