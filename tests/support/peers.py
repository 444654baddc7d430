"""Servers for tests: one that follows a script byte by byte, and one that answers through a function."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from typing import Union

from .http_messages import DROP, Fields, RecordedRequest, Reply, answer, chunk, head_bytes, json_reply
from .plumbing import ClientGone, Connection, LoopbackServer

__all__ = [
    "DROP",
    "ClientGone",
    "Connection",
    "Fields",
    "HandlerPeer",
    "RecordedRequest",
    "Reply",
    "ScriptedPeer",
    "answer",
    "chunk",
    "head_bytes",
    "json_reply",
]

Script = Callable[[Connection], None]
Handler = Callable[[RecordedRequest], Union[Reply, None]]


class ScriptedPeer(LoopbackServer):
    """Runs a script for each connection; the connection is closed when the script ends.

    `script` is one callable for all connections, or a sequence of them: the first connection gets the first, and so on,
    and the last one serves all that come later.
    """

    def __init__(
        self, script: Script | Sequence[Script], *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        self._scripts = [script] if callable(script) else list(script)
        super().__init__(tls=tls, host=host)

    def serve(self, connection: Connection) -> None:
        """Run the script that is this connection's."""
        self._scripts[min(connection.number, len(self._scripts)) - 1](connection)


class HandlerPeer(LoopbackServer):
    """A keep-alive HTTP/1.1 server that answers what `handler` returns; each connection has its own thread.

    `handler` gets the whole request; with `keep_bodies=False` bodies are read and counted only (`body_length`). A
    handler that raises answers 500, and the error comes out when the peer is stopped. It may be exchanged at any time.
    """

    def __init__(
        self, handler: Handler, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", keep_bodies: bool = True
    ) -> None:
        self.handler = handler
        self.keep_bodies = keep_bodies
        super().__init__(tls=tls, host=host)

    def serve(self, connection: Connection) -> None:
        """Answer requests until one side wants to close."""
        while True:
            try:
                request = connection.read_head()
            except ClientGone:
                return
            if (request.headers.get("Expect") or "").lower() == "100-continue":
                connection.send(head_bytes(100))
            connection.read_body(request, keep=self.keep_bodies)
            reply = self._reply(request)
            if reply is DROP:
                return
            send_reply(connection, request, reply)
            if reply.close or request.wants_close:
                return

    def _reply(self, request: RecordedRequest) -> Reply:
        try:
            return self.handler(request) or Reply(404)
        except Exception as error:
            self.failures.append(error)
            return Reply(500, body=f"the handler of the test raised {error!r}", close=True)


def send_reply(connection: Connection, request: RecordedRequest, reply: Reply) -> None:
    """Send `reply` as the answer to `request`, framed as RFC 9112 section 6 wants it."""
    fields = Fields(reply.headers)
    if reply.close or request.wants_close:
        fields.pairs.append(("Connection", "close"))
    if isinstance(reply.body, bytes):
        whole = answer(reply.status, fields, reply.body)
        bodiless = request.method == "HEAD" or reply.status < 200 or reply.status in (204, 304)
        connection.send(whole[: len(whole) - len(reply.body)] if bodiless else whole)
        return
    counted = "Content-Length" in fields
    if not counted:
        fields.pairs.append(("Transfer-Encoding", "chunked"))
    connection.send(head_bytes(reply.status, fields))
    if request.method == "HEAD":
        return
    for part in reply.body:
        if part:
            connection.send(part if counted else chunk(part))
    if not counted:
        connection.send(chunk(b""))
