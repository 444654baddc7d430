"""A web server for one short moment: 127.0.0.1 alone, one thread, few connections, small requests, one page for each."""

from __future__ import annotations

import selectors
import socket
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from ...words.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator

ADDRESS = "127.0.0.1"
# When there are more, the oldest has to go. Browsers open some in advance, which say nothing for a while.
_MOST_CONNECTIONS = 32
_PAUSE_SECONDS = 0.05
# What one connection may send. Cookies go to every port of a host, so those of other programs on 127.0.0.1 come along.
_MOST_BYTES = 64 * 1024
_HEAD = (
    "HTTP/1.1 {status} {reason}\r\n"
    "Content-Type: text/html; charset=utf-8\r\n"
    "Content-Length: {length}\r\n"
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cache-Control: no-store\r\n"
    "Connection: close\r\n"
    "{allow}\r\n"
)
# With an icon of its own, so that the browser does not ask for one.
_BODY = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><link rel="icon" href="data:,">
<style>body{{font:1.1em/1.5 sans-serif;max-width:32em;margin:20vh auto;padding:0 1em;color:#222}}</style></head>
<body><h1>{title}</h1><p>{text}</p></body></html>
"""


class Page(NamedTuple):
    """What a person gets to see; `title` and `text` are ours, never a request's."""

    status: int
    title: str
    text: str

    def message(self, with_body: bool = True) -> bytes:
        """The page as an HTTP answer."""
        body = _BODY.format(title=self.title, text=self.text).encode("utf-8")
        allow = "Allow: GET\r\n" if self.status == HTTPStatus.METHOD_NOT_ALLOWED else ""
        head = _HEAD.format(status=self.status, reason=HTTPStatus(self.status).phrase, length=len(body), allow=allow)
        return head.encode("ascii") + (body if with_body else b"")


class LoopbackRequest(NamedTuple):
    """What was asked for. `host`: of the Host field, in small letters; `query`: without its question mark."""

    method: str
    host: str
    path: str
    query: str


class LoopbackConnection:
    """One accepted connection: takes in one request, answers it, and then waits for the other side to close."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._head = bytearray()
        self._room = _MOST_BYTES
        self._is_answered = False

    def read(self) -> bytes | None:
        """The head of the request, once, when it is whole; else `None`. Raises `OSError` when the connection is over."""
        try:
            data = self.socket.recv(4096)
        except BlockingIOError:
            return None
        self._room -= len(data)
        if not data or self._room < 0:
            raise ConnectionAbortedError
        if self._is_answered:
            return None
        before = max(0, len(self._head) - 3)
        self._head += data
        end = self._head.find(b"\r\n\r\n", before)
        return None if end < 0 else bytes(self._head[:end])

    def answer(self, message: bytes) -> None:
        """Send `message`, and no more. It is small enough for the buffer of a new connection, so this does not wait."""
        self._is_answered = True
        try:
            self.socket.sendall(message)
            # Not closed yet: what still comes in would make a reset of it, and the page might be lost.
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # a browser that hangs up is nobody's error


class LoopbackServer:
    """Listens from its making on; `requests()` serves, in a thread of the caller's, until `stop()`."""

    def __init__(self, port: int = 0) -> None:
        """`port`: 0 for a free one. Raises `ConfigurationError` where the port cannot be had."""
        self._listening = _listen(port)
        self.port: int = self._listening.getsockname()[1]
        self._connections: dict[LoopbackConnection, None] = {}
        self._selector = selectors.DefaultSelector()
        self._stopper, self._stopped = socket.socketpair()
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._selector.register(self._stopped, selectors.EVENT_READ)

    def requests(self) -> Generator[tuple[LoopbackConnection, LoopbackRequest | None], None, None]:
        """Each request (`None`: one that cannot be read) with the connection to answer on. Closes everything at its end."""
        try:
            while True:
                for key, _ in self._selector.select():
                    if key.fileobj is self._stopped:
                        return
                    if key.fileobj is self._listening:
                        self._accept()
                        continue
                    head = self._read(key.data)
                    if head is not None:
                        yield key.data, _parsed(head)
        finally:
            self._close()

    def stop(self) -> None:
        """Have `requests()` end; from any thread, as often as you like."""
        self._stopper.close()

    def _accept(self) -> None:
        try:
            sock, _ = self._listening.accept()
        except OSError:  # it went away again, or there are no more file descriptors
            if not self._connections:
                time.sleep(_PAUSE_SECONDS)  # it waits on, and would be reported again at once, over and over
            self._drop_oldest()
            return
        if len(self._connections) >= _MOST_CONNECTIONS:
            self._drop_oldest()
        sock.setblocking(False)
        connection = LoopbackConnection(sock)
        self._connections[connection] = None
        self._selector.register(sock, selectors.EVENT_READ, connection)

    def _read(self, connection: LoopbackConnection) -> bytes | None:
        if connection not in self._connections:
            return None  # dropped since it was seen to be readable
        try:
            return connection.read()
        except OSError:
            self._drop(connection)
            return None

    def _drop_oldest(self) -> None:
        for connection in self._connections:
            self._drop(connection)
            return

    def _drop(self, connection: LoopbackConnection) -> None:
        del self._connections[connection]
        self._selector.unregister(connection.socket)
        connection.socket.close()

    def _close(self) -> None:
        self._selector.close()
        for sock in (self._listening, self._stopper, self._stopped, *(one.socket for one in self._connections)):
            sock.close()
        self._connections.clear()


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # On Windows: nobody else can listen on this port. Elsewhere that is always so, and this lets us listen on a port
        # again whose last connections have only just ended.
        listening.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR), 1)
        listening.bind((ADDRESS, port))
        listening.listen(128)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise ConfigurationError(
            f"Port {port} of {ADDRESS} cannot be listened on for the end of the sign-in: {error.strerror or error}. Close what"
            " uses it, or leave the port out of redirect_uri= to have a free one."
        ) from error
    return listening


def _parsed(head: bytes) -> LoopbackRequest | None:
    """The request that begins with `head`; `None` if it is none, or not for exactly one host (RFC 9112 section 3.2)."""
    line, *fields = head.decode("latin-1").split("\r\n")
    method, _, rest = line.partition(" ")
    target, _, version = rest.partition(" ")
    hosts = [value for name, _, value in (field.partition(":") for field in fields) if name.lower() == "host"]
    if not target.startswith("/") or version not in ("HTTP/1.1", "HTTP/1.0") or len(hosts) != 1:
        return None
    path, _, query = target.partition("?")
    return LoopbackRequest(method, hosts[0].strip().lower(), path, query)
