"""A TCP (or TLS) server on the loopback interface that stops cleanly, and one connection of it."""

from __future__ import annotations

import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from esri_http.words.origins import Origin

from .http_messages import RecordedRequest, parse_head

PATIENCE = 10.0
"""Seconds that anything here waits before it gives up and fails the test."""

_LONGEST_HEAD = 1 << 20
_running: set[LoopbackServer] = set()
_Self = TypeVar("_Self", bound="LoopbackServer")


def running_servers() -> set[LoopbackServer]:
    """The servers that were started and not stopped, in the whole process."""
    return set(_running)


class ClientGone(ConnectionError):
    """The client closed the connection where something was expected of it. A script may let it pass through."""


class Connection:
    """One accepted connection, read by the one thread that serves it. `number` counts from 1."""

    def __init__(self, sock: socket.socket, number: int, server: LoopbackServer) -> None:
        self.sock = sock
        self.number = number
        self.attached: list[socket.socket] = []
        """Sockets that are shut together with this one when the peer is stopped."""
        self._server = server
        self._buffer = bytearray()

    def recv(self, size: int = 65536) -> bytes:
        """Some bytes, at most `size`; empty at the end of the stream."""
        if self._buffer:
            taken = bytes(self._buffer[:size])
            del self._buffer[:size]
            return taken
        try:
            return self.sock.recv(size)
        except ssl.SSLError as error:
            raise ClientGone(str(error)) from error

    def read_exactly(self, size: int) -> bytes:
        """`size` bytes; raises `ClientGone` where the stream ends before."""
        parts = []
        while size:
            part = self.recv(min(size, 1 << 18))
            if not part:
                raise ClientGone(f"the stream ended {size} bytes too early")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def read_head(self) -> RecordedRequest:
        """The next request without its body, recorded at once; raises `ClientGone` where there is no next one."""
        head = self._read_until(b"\r\n\r\n")
        request = parse_head(head)
        request.connection = self.number
        if isinstance(self.sock, ssl.SSLSocket):
            request.client_certificate = self.sock.getpeercert() or None
        self._server.record(request)
        return request

    def read_body(self, request: RecordedRequest, *, keep: bool = True) -> bytes:
        """The body that belongs to `request`, taken out of its chunks; where not `keep`, it is only counted."""
        parts: list[bytes] = []
        for part in self._body_parts(request):
            request.body_length += len(part)
            if keep:
                parts.append(part)
        request.body = b"".join(parts)
        return request.body

    def read_request(self, *, keep_body: bool = True) -> RecordedRequest:
        """The next request with its body; raises `ClientGone` where there is no next one."""
        request = self.read_head()
        self.read_body(request, keep=keep_body)
        return request

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self.sock.sendall(data)

    def end_output(self) -> None:
        """Say that nothing more will come (FIN), and go on reading."""
        socket.socket.shutdown(self.sock, socket.SHUT_WR)

    def wait(self) -> bytes:
        """Say nothing until the client closes or the peer is stopped; what came in meanwhile (at most 1 MiB of it)."""
        received = bytearray()
        try:
            while True:
                part = self.recv()
                if not part:
                    break
                received += part[: max(0, (1 << 20) - len(received))]
        except OSError:
            pass
        return bytes(received)

    def reset(self) -> None:
        """Close with RST, so that the client sees its connection reset."""
        layout = "hh" if sys.platform == "win32" else "ii"
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(layout, 1, 0))
        self.sock.close()

    def close(self) -> None:
        """Close; under TLS without the closing alert, as many servers do."""
        self.sock.close()

    def _read_until(self, mark: bytes) -> bytes:
        searched = 0
        while True:
            end = self._buffer.find(mark, searched)
            if end >= 0:
                found = bytes(self._buffer[:end])
                del self._buffer[: end + len(mark)]
                return found
            searched = max(0, len(self._buffer) - len(mark) + 1)
            part = self._receive_more()
            self._buffer += part
            if len(self._buffer) > _LONGEST_HEAD and mark not in self._buffer:
                raise ValueError("the head of the request is longer than 1 MiB")

    def _receive_more(self) -> bytes:
        try:
            part = self.sock.recv(65536)
        except ssl.SSLError as error:
            raise ClientGone(str(error)) from error
        if not part:
            raise ClientGone("the client closed the connection")
        return part

    def _body_parts(self, request: RecordedRequest) -> Any:
        if request.chunked:
            while True:
                size = int(self._read_until(b"\r\n").partition(b";")[0], 16)
                if not size:
                    while self._read_until(b"\r\n"):
                        pass
                    return
                yield from self._counted(size)
                self.read_exactly(2)
        else:
            yield from self._counted(int(request.headers.get("Content-Length") or 0))

    def _counted(self, size: int) -> Any:
        while size:
            part = self.recv(min(size, 1 << 18))
            if not part:
                raise ClientGone(f"the body ended {size} bytes too early")
            size -= len(part)
            yield part


class LoopbackServer:
    """Listens on `host`, a loopback address, and serves every connection in a thread of its own.

    Use it as a context manager: leaving it closes every socket and ends every thread, and then raises what a script
    raised (other than a broken connection), so that an `assert` in a script counts.

    Recorded: `requests` (in the order in which their heads came in), `connections` (how many were accepted),
    `server_names` (the SNI of every TLS handshake, None where the client sent none), `tls_failures` (text of every
    handshake that failed), `failures` (what scripts raised).
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.requests: list[RecordedRequest] = []
        self.connections = 0
        self.server_names: list[str | None] = []
        self.tls_failures: list[str] = []
        self.failures: list[BaseException] = []
        self._tls = tls
        self._changed = threading.Condition()
        self._open: set[Connection] = set()
        self._threads: set[threading.Thread] = set()
        self._stopping = False
        self._stop_once = threading.Lock()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=128)
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        if tls is not None:
            tls.sni_callback = self._note_server_name
        self._acceptor = threading.Thread(target=self._accept, name=f"loopback-{self.port}-accept", daemon=True)
        _running.add(self)
        self._acceptor.start()

    def serve(self, connection: Connection) -> None:
        """What is done with one connection; overridden by every peer."""
        raise NotImplementedError

    @property
    def origin(self) -> Origin:
        """Scheme, host and port."""
        return Origin("https" if self._tls else "http", self.host, self.port)

    @property
    def url(self) -> str:
        """The URL of the server by address, without a slash at the end."""
        return str(self.origin)

    def url_for(self, path: str = "/", *, host: str | None = None) -> str:
        """The URL of `path`, with another `host` (such as ``localhost``) where given."""
        return str(self.origin._replace(host=host or self.host)) + path

    @property
    def open_connections(self) -> int:
        """How many connections are open now, as this side knows."""
        with self._changed:
            return len(self._open)

    def record(self, request: RecordedRequest) -> None:
        """Keep `request` and wake who waits for it."""
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()

    def wait_until(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Wait until `condition` holds; it is asked again whenever something happens here. Fails after `seconds`."""
        with self._changed:
            if not self._changed.wait_for(condition, seconds):
                raise AssertionError(f"did not come true within {seconds} s: {condition}; {self}")

    def wait_for_requests(self, count: int) -> list[RecordedRequest]:
        """Wait until `count` requests came in, and return all of them."""
        self.wait_until(lambda: len(self.requests) >= count)
        return list(self.requests)

    def close_connections(self) -> None:
        """Close every open connection from this side, as a server does with idle ones, and go on listening."""
        with self._changed:
            self._shut(self._open)
            if not self._changed.wait_for(lambda: not self._open, PATIENCE):
                raise AssertionError("a connection did not end")

    def stop(self) -> None:
        """Close everything and wait for the threads; a second call does nothing. Raises what a script raised."""
        with self._stop_once:
            if not self._stopping:
                self._stop()

    def _stop(self) -> None:
        self._stopping = True
        self._wake_acceptor()
        self._acceptor.join(PATIENCE)
        self._listener.close()
        with self._changed:
            self._shut(self._open)
            threads = list(self._threads)
        for thread in [*threads, self._acceptor]:
            thread.join(PATIENCE)
            if thread.is_alive():
                raise AssertionError(f"the thread {thread.name} did not end")
        _running.discard(self)
        if self.failures:
            raise self.failures[0]

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}, {self.connections} connections, requests {self.requests!r}>"

    def _wake_acceptor(self) -> None:
        try:
            socket.create_connection((self.host, self.port), PATIENCE).close()
        except OSError:
            pass

    @staticmethod
    def _shut(connections: set[Connection]) -> None:
        for sock in [sock for connection in connections for sock in (connection.sock, *connection.attached)]:
            try:
                # Past SSLSocket.shutdown, which would pull the TLS layer away under the thread that reads.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except ConnectionAbortedError:
                continue  # the client was gone before it was accepted
            except OSError as error:
                self.failures.append(error)
                return
            with self._changed:
                if self._stopping:
                    sock.close()
                    return
                self._take(sock)

    def _take(self, sock: socket.socket) -> None:
        self.connections += 1
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(sock, self.connections, self)
        self._open.add(connection)
        name = f"loopback-{self.port}-{connection.number}"
        thread = threading.Thread(target=self._run, args=(connection,), name=name, daemon=True)
        self._threads = {earlier for earlier in self._threads if earlier.is_alive()} | {thread}
        self._changed.notify_all()
        thread.start()

    def _run(self, connection: Connection) -> None:
        try:
            if self._tls is None or self._handshake(connection, self._tls):
                self.serve(connection)
        except OSError:
            pass  # the client went away, or this side was stopped
        except BaseException as error:  # an assertion of the test, to be raised in its own thread
            self.failures.append(error)
        finally:
            with self._changed:
                connection.sock.close()
                self._open.discard(connection)
                self._changed.notify_all()

    def _handshake(self, connection: Connection, tls: ssl.SSLContext) -> bool:
        secured = tls.wrap_socket(connection.sock, server_side=True, do_handshake_on_connect=False)
        connection.sock = secured
        try:
            secured.do_handshake()
        except OSError as error:
            with self._changed:
                self.tls_failures.append(str(error))
                self._changed.notify_all()
            return False
        return True

    def _note_server_name(self, sock: Any, name: str | None, context: ssl.SSLContext) -> None:
        with self._changed:
            self.server_names.append(name)
            self._changed.notify_all()
