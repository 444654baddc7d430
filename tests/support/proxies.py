"""A small forward proxy: tunnels by CONNECT, and plain requests in absolute form."""

from __future__ import annotations

import base64
import selectors
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Union
from urllib.parse import urlsplit

from .http_messages import RecordedRequest, Reply, head_bytes
from .peers import send_reply
from .plumbing import PATIENCE, Connection, LoopbackServer

Address = tuple[str, int]
Intercept = Callable[[RecordedRequest], Union[Reply, None]]


class ProxyPeer(LoopbackServer):
    """Forwards to anywhere, and records every request that it was asked for (`requests`, `tunnels`).

    `credentials` (user, password): Basic is wanted, 407 without it. `names` maps host names to addresses, so that a name
    that no DNS knows can be asked for: ``{"portal.example": ("127.0.0.1", peer.port)}``. `intercept` may answer a
    request itself, CONNECT included. With `tls` the proxy itself speaks https.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        credentials: tuple[str, str] | None = None,
        names: Mapping[str, Address] | None = None,
        intercept: Intercept | None = None,
    ) -> None:
        self.names = dict(names or {})
        self.intercept = intercept
        self._expected = None if credentials is None else "Basic " + base64.b64encode(":".join(credentials).encode()).decode()
        super().__init__(tls=tls, host=host)

    @property
    def tunnels(self) -> list[str]:
        """The targets (host:port) of the CONNECT requests, in order."""
        return [request.target for request in self.requests if request.method == "CONNECT"]

    def serve(self, connection: Connection) -> None:
        """Serve requests until one becomes a tunnel or the connection ends."""
        while True:
            request = connection.read_head()
            refusal = self._refusal(request)
            if refusal is not None:
                connection.read_body(request)
                send_reply(connection, request, refusal)
                if refusal.close or request.wants_close:
                    return
            elif request.method == "CONNECT":
                self._tunnel(connection, request)
                return
            else:
                self._forward(connection, request)
                return

    def _refusal(self, request: RecordedRequest) -> Reply | None:
        if self._expected is not None and request.headers.get("Proxy-Authorization") != self._expected:
            return Reply(407, {"Proxy-Authenticate": 'Basic realm="tests"'}, "sign in to the proxy first")
        return self.intercept(request) if self.intercept else None

    def _dial(self, host: str, port: int) -> socket.socket:
        upstream = socket.create_connection(self.names.get(host, (host, port)), PATIENCE)
        upstream.settimeout(None)
        upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return upstream

    def _tunnel(self, connection: Connection, request: RecordedRequest) -> None:
        host, _, port = request.target.rpartition(":")
        try:
            upstream = self._dial(host.strip("[]"), int(port))
        except OSError:
            connection.send(head_bytes(502, {"Content-Length": "0"}))
            return
        with upstream:
            connection.attached.append(upstream)
            connection.send(head_bytes(200))
            pump(connection.sock, upstream)

    def _forward(self, connection: Connection, request: RecordedRequest) -> None:
        url = urlsplit(request.target)
        body = connection.read_body(request)
        try:
            upstream = self._dial(url.hostname or "", url.port or 80)
        except OSError:
            connection.send(head_bytes(502, {"Content-Length": "0"}))
            return
        with upstream:
            connection.attached.append(upstream)
            upstream.sendall(_origin_form(request, body))
            while True:
                part = upstream.recv(65536)
                if not part:
                    return
                connection.send(part)


def _origin_form(request: RecordedRequest, body: bytes) -> bytes:
    url = urlsplit(request.target)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    hop_by_hop = ("proxy-authorization", "proxy-connection", "connection", "transfer-encoding", "content-length")
    lines = [f"{request.method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in request.headers if name.lower() not in hop_by_hop]
    lines += [f"Content-Length: {len(body)}"] if body or request.method in ("POST", "PUT", "PATCH") else []
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + body


def pump(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until either side ends."""
    ways = {one: other, other: one}
    with selectors.DefaultSelector() as selector:
        for sock in ways:
            selector.register(sock, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                source = key.fileobj
                while True:
                    part = _received(source)
                    if part is None:
                        break
                    if not part:
                        return
                    ways[source].sendall(part)
                    if not (isinstance(source, ssl.SSLSocket) and source.pending()):
                        break


def _received(source: socket.socket) -> Union[bytes, None]:
    """What has come; `None` where that was nothing but TLS's own messages, such as session tickets."""
    source.settimeout(0)
    try:
        return source.recv(65536)
    except (ssl.SSLWantReadError, BlockingIOError):
        return None
    finally:
        source.settimeout(None)
