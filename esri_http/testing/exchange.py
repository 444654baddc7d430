"""HTTP/1.1 on one connection: read a request, write an answer (RFC 9112). Small, strict enough, and quick."""

from __future__ import annotations

import io
import socket
import time
from email.utils import formatdate
from http.client import responses
from typing import Callable

from .bodies import BodyStream, BrokenRequestError
from .messages import Answer, Connection, Fields, Request

_LINE_LIMIT = 65536
_FIELD_COUNT_LIMIT = 200
_SMALL = 65536


def read_request(file: io.BufferedIOBase, site: str, connection: Connection, send: Callable[[bytes], None]) -> Request | None:
    """The next request, its body not yet read; `None` when the client closed the connection instead.

    Raises `BrokenRequestError` for what is no HTTP.
    """
    line = file.readline(_LINE_LIMIT)
    while line in (b"\r\n", b"\n"):
        line = file.readline(_LINE_LIMIT)
    if not line:
        return None
    words = line.decode("latin-1").split()
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BrokenRequestError("no request line")
    fields = _read_fields(file)
    method, target, version = words
    request = Request(site, method, target, fields, _body_of(file, fields, send), connection)
    if version == "HTTP/1.0" and "connection" not in fields:
        request.headers = Fields([*fields.pairs, ("Connection", "close")])
    return request


def _read_fields(file: io.BufferedIOBase) -> Fields:
    pairs: list[tuple[str, str]] = []
    while True:
        line = file.readline(_LINE_LIMIT)
        if line in (b"\r\n", b"\n"):
            return Fields(pairs)
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or not line.endswith(b"\n") or len(pairs) >= _FIELD_COUNT_LIMIT:
            raise BrokenRequestError("no header field")
        pairs.append((name, value.strip()))


def _body_of(file: io.BufferedIOBase, fields: Fields, send: Callable[[bytes], None]) -> BodyStream:
    length = fields.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise BrokenRequestError("no length")
    waits = fields.get("expect", "").lower() == "100-continue"
    return BodyStream(
        file,
        int(length),
        fields.get("transfer-encoding", "").lower() == "chunked",
        (lambda: send(b"HTTP/1.1 100 Continue\r\n\r\n")) if waits else None,
    )


class AnswerWriter:
    """Writes answers to sockets. One for all connections of a portal; `now` gives the seconds of its `Date` header."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._date = (0, "")

    def write(self, sock: socket.socket, request: Request, answer: Answer) -> bool:
        """Send the answer; whether the connection may be used again."""
        if answer.raw is not None:
            sock.sendall(answer.raw)
            return not answer.ending
        closes = bool(answer.ending) or answer.early or request.headers.get("connection", "").lower() == "close"
        head = self._head(answer, closes and answer.cut_after is None)
        if request.method == "HEAD" or answer.status in (204, 304):
            sock.sendall(head)
            return not closes
        if isinstance(answer.body, bytes):
            body = answer.body if answer.cut_after is None else answer.body[: answer.cut_after]
            if len(body) <= _SMALL:
                sock.sendall(head + body)
            else:
                sock.sendall(head)
                sock.sendall(body)
        else:
            sock.sendall(head)
            _send_pieces(sock, answer)
        return not closes

    def _head(self, answer: Answer, closes: bool) -> bytes:
        lines = [f"HTTP/1.1 {answer.status} {responses.get(answer.status, 'Unknown')}"]
        lines.extend(f"{name}: {value}" for name, value in answer.headers)
        if answer.length is None:
            lines.append("Transfer-Encoding: chunked")
        elif answer.status not in (204, 304):
            lines.append(f"Content-Length: {answer.length}")
        if closes:
            lines.append("Connection: close")
        lines.append(f"Date: {self._date_text()}\r\n\r\n")
        return "\r\n".join(lines).encode("latin-1")

    def _date_text(self) -> str:
        second = int(self._now())
        cached = self._date
        if cached[0] != second:
            cached = (second, formatdate(second, usegmt=True))
            self._date = cached
        return cached[1]


def _send_pieces(sock: socket.socket, answer: Answer) -> None:
    """The body of an answer that comes in pieces, up to `cut_after`."""
    left = answer.cut_after
    chunked = answer.length is None
    for piece in answer.body:
        assert isinstance(piece, bytes)
        if left is not None:
            piece = piece[:left]
            left -= len(piece)
        if piece:
            sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        if left == 0:
            return
    if chunked:
        sock.sendall(b"0\r\n\r\n")


def linger(sock: socket.socket, seconds: float = 2.0) -> None:
    """Read what a client still sends after it was answered early: closing at once would reset the answer away."""
    give_up = time.monotonic() + seconds
    try:
        socket.socket.shutdown(sock, socket.SHUT_WR)
        sock.settimeout(seconds)
        while time.monotonic() < give_up and socket.socket.recv(sock, _SMALL):
            pass
    except OSError:
        pass
