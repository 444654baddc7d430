"""Our connections: urllib3's, which besides can be pinned, keep the peer's certificate, and read with care."""

from __future__ import annotations

import http.client
import itertools
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_LONGEST_LINE = 65536
_MOST_INTERIM_ANSWERS = 16
_serials = itertools.count(1)


class ConnectionPinLost(Exception):
    """The server closed a connection in the middle of a sign-in that lives on it.

    Derived from neither `OSError` nor urllib3's `HTTPError`: urllib3 would wrap those and connect anew.
    """


class WireHeaders(dict):  # type: ignore[type-arg]
    """Header fields that carry a secret query past urllib3, whose logs and errors show the request target."""

    __slots__ = ("secret_query",)

    def __init__(self, headers: dict[str, str], secret_query: str) -> None:
        super().__init__(headers)
        self.secret_query = secret_query

    def copy(self) -> WireHeaders:
        """A copy that keeps the secret; urllib3 copies header fields before it adds the proxy's."""
        return WireHeaders(self, self.secret_query)


class CarefulResponse(http.client.HTTPResponse):
    """The standard library's response, with interim answers skipped and counted, and chunk lines bounded."""

    interim_answers = 0

    def _read_status(self) -> tuple[str, int, str]:
        self.interim_answers += 1
        if self.interim_answers > _MOST_INTERIM_ANSWERS:
            raise http.client.HTTPException("too many interim (1xx) answers")
        return super()._read_status()  # type: ignore[misc, no-any-return]

    def begin(self) -> None:
        """Read status and header fields of the final answer."""
        super().begin()
        while 100 < self.status < 200 and self.status != http.client.SWITCHING_PROTOCOLS:
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin()
        if self.chunked:
            self.fp = _BoundedLines(self.fp)  # type: ignore[assignment]


class _BoundedLines:
    """A buffered reader whose lines end somewhere: urllib3 before 2.8 reads a chunk-size line of any length."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.read, self.read1, self.readinto = file.read, file.read1, file.readinto
        self.close, self.flush, self.fileno = file.close, file.flush, file.fileno

    def readline(self, limit: int = -1) -> bytes:
        line: bytes = self._file.readline(_LONGEST_LINE + 1 if limit < 0 else limit)
        if len(line) > _LONGEST_LINE:
            raise http.client.LineTooLong("chunk size")
        return line

    @property
    def closed(self) -> bool:
        return bool(self._file.closed)


class _Watched:
    """What both kinds of connection share. `serial` tells one socket from the next; `pinned` forbids a new one."""

    response_class = CarefulResponse
    serial = 0
    pinned = False
    peer_certificate: bytes | None = None
    sock: Any

    def connect(self) -> None:
        if self.pinned:
            raise ConnectionPinLost
        super().connect()  # type: ignore[misc]
        self.serial = next(_serials)
        getpeercert = getattr(self.sock, "getpeercert", None)
        self.peer_certificate = getpeercert(True) if getpeercert else None

    def putrequest(self, method: str, url: str, *args: Any, **options: Any) -> None:
        secret = self.__dict__.pop("_secret_query", "")
        if secret:
            url = f"{url}{'&' if '?' in url else '?'}{secret}"
        super().putrequest(method, url, *args, **options)  # type: ignore[misc]

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any) -> None:
        if type(headers) is WireHeaders:
            self._secret_query = headers.secret_query
        super().request(method, url, body=body, headers=headers, **options)  # type: ignore[misc]

    def request_chunked(self, method: str, url: str, body: Any = None, headers: Any = None) -> None:
        if type(headers) is WireHeaders:
            self._secret_query = headers.secret_query
        super().request_chunked(method, url, body=body, headers=headers)  # type: ignore[misc]


class PlainConnection(_Watched, HTTPConnection):  # type: ignore[misc]
    """A connection without TLS."""


class TlsConnection(_Watched, HTTPSConnection):  # type: ignore[misc]
    """A connection with TLS."""


class PlainPool(HTTPConnectionPool):
    """A pool of `PlainConnection`."""

    ConnectionCls = PlainConnection


class TlsPool(HTTPSConnectionPool):
    """A pool of `TlsConnection`."""

    ConnectionCls = TlsConnection


POOL_CLASSES = {"http": PlainPool, "https": TlsPool}
