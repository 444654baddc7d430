"""A small fast server for machines without nginx: asyncio, prebuilt answers, nothing parsed that need not be.

``python -m tests.bench.own_server CERTIFICATE SIZE ORIGINS`` prints one JSON line with its ports and serves until its
standard input ends. SIZE is the length of the big body in bytes, ORIGINS how many further http ports to open.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import sys
from typing import cast

from tests.bench.answers import HEADS, OPEN_PATHS, SHOWN_TOKEN, plain_answers
from tests.bench.setup import BIG_PATH, ONCE_PATH, STATUS_PATH

LONGEST_HEAD = 64 * 1024
PIECE = bytes(256 * 1024)


class Counters:
    """Connections and requests since the start."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests = 0


def prebuilt() -> dict[bytes, bytes]:
    """Path to the whole answer, heads and body."""
    heads = "".join(f"{name}: {value}\r\n" for name, value in HEADS.items())
    answers = {}
    for path, body in plain_answers().items():
        connection = "close" if path == ONCE_PATH else "keep-alive"
        head = (
            "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: {connection}\r\n{heads}\r\n"
        )
        answers[path.encode()] = (head + body).encode()
    return answers


def short(status: str, body: bytes = b"") -> bytes:
    """An answer without the usual heads."""
    return f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Connection(asyncio.Protocol):
    """One connection: heads are looked for, bodies are counted and forgotten, answers are ready made."""

    def __init__(self, answers: dict[bytes, bytes], size: int, counters: Counters) -> None:
        self._answers = answers
        self._size = size
        self._counters = counters
        self._open = {path.encode() for path in OPEN_PATHS}
        self._shown = SHOWN_TOKEN.encode()
        self._buffer = b""
        self._body_left = 0
        self._after_body = b""
        self._big_left = 0
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self._transport = cast(asyncio.Transport, transport)
        self._counters.connections += 1

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        if self._body_left:
            data = self._forget(data)
        self._buffer += data
        while self._buffer and not self._body_left:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                if len(head) > LONGEST_HEAD:
                    self._transport.abort()
                return
            self._body_left = self._handle(head)
            self._buffer = self._forget(rest) if self._body_left else rest

    def _forget(self, data: bytes) -> bytes:
        """Count body bytes down; what is left over belongs to the next request."""
        used = min(len(data), self._body_left)
        self._body_left -= used
        if not self._body_left:
            self._transport.write(self._after_body)
        return data[used:]

    def _handle(self, head: bytes) -> int:
        """Answer a request, unless it has a body that must come first: then return how long that is."""
        self._counters.requests += 1
        target = head.split(b" ", 2)[1]
        path = target.partition(b"?")[0]
        answer = self._answer(path, head)
        if not head.startswith(b"GET "):
            _, found, length = head.lower().partition(b"\r\ncontent-length:")
            if not found:
                self._transport.write(short("411 Length Required"))
                self._transport.close()
                return 0
            self._after_body = answer
            if int(length.partition(b"\r\n")[0]):
                return int(length.partition(b"\r\n")[0])
        self._transport.write(answer)
        if path == ONCE_PATH.encode():
            self._transport.close()
        elif path == BIG_PATH.encode():
            self._big_left = self._size
            self._write_big()
        return 0

    def _answer(self, path: bytes, head: bytes) -> bytes:
        if path == BIG_PATH.encode():
            heads = f"Content-Type: application/octet-stream\r\nContent-Length: {self._size}\r\n"
            return f"HTTP/1.1 200 OK\r\n{heads}\r\n".encode()
        if path == STATUS_PATH.encode():
            counters = self._counters
            numbers = f"{counters.connections} {counters.connections} {counters.requests}"
            return short("200 OK", f"Active connections: 1 \nserver accepts handled requests\n {numbers} \n".encode())
        if path not in self._answers:
            return short("404 Not Found")
        if path not in self._open and self._shown not in head:
            return short("403 Forbidden")
        return self._answers[path]

    def _write_big(self) -> None:
        while self._big_left and not self._paused:
            size = min(self._big_left, len(PIECE))
            self._big_left -= size
            self._transport.write(PIECE if size == len(PIECE) else PIECE[:size])

    def pause_writing(self) -> None:
        """The client is slower: wait."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on with the big body."""
        self._paused = False
        self._write_big()


async def serve(certificate: str, size: int, origins: int) -> None:
    """Open the ports, say which, serve until standard input ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    answers, counters = prebuilt(), Counters()
    loop = asyncio.get_running_loop()

    async def listen(tls: ssl.SSLContext | None) -> int:
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        await loop.create_server(lambda: Connection(answers, size, counters), sock=listener, ssl=tls)
        return int(listener.getsockname()[1])

    https, http = await listen(context), await listen(None)
    print(json.dumps({"https": https, "http": http, "origins": [await listen(None) for _ in range(origins)]}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
