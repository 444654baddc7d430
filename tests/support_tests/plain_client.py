"""A client made of the standard library alone, so that the peers are tested without what they are to test."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
from typing import NamedTuple

from ..support.plumbing import PATIENCE, LoopbackServer


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


def connect(peer: LoopbackServer, tls: ssl.SSLContext | None = None, server_name: str | None = None) -> socket.socket:
    """A socket to `peer`, under TLS where a context is given."""
    plain = socket.create_connection((peer.host, peer.port), PATIENCE)
    if tls is None:
        return plain
    try:
        return tls.wrap_socket(plain, server_hostname=server_name or peer.host)
    except OSError:
        plain.close()
        raise


def tls_failure(peer: LoopbackServer, tls: ssl.SSLContext, server_name: str) -> str:
    """Why the handshake fails."""
    try:
        connect(peer, tls, server_name).close()
    except ssl.SSLError as error:
        return str(error)
    raise AssertionError("the handshake did not fail")


def exchange(sock: socket.socket, data: bytes, method: str = "GET") -> Answer:
    """Send `data` and read one answer."""
    sock.sendall(data)
    response = http.client.HTTPResponse(sock, method=method)
    try:
        response.begin()
        return Answer(response.status, response.headers, response.read())
    finally:
        response.close()


def fetch(
    peer: LoopbackServer, target: str, *, tls: ssl.SSLContext | None = None, server_name: str | None = None, head: str = ""
) -> Answer:
    """GET `target` on a connection of its own; `head` holds more header lines, each ended by CRLF."""
    with connect(peer, tls, server_name) as sock:
        return exchange(sock, f"GET {target} HTTP/1.1\r\nHost: {peer.host}\r\n{head}\r\n".encode())


def read_all(sock: socket.socket) -> bytes:
    """Everything until the other side closes."""
    collected = io.BytesIO()
    while True:
        part = sock.recv(65536)
        if not part:
            return collected.getvalue()
        collected.write(part)
