"""Listeners and connections: one thread accepts for all sites, one thread serves each connection, `stop()` ends them all."""

from __future__ import annotations

import io
import itertools
import selectors
import socket
import ssl
import struct
import sys
import threading
from typing import Callable

from .bodies import BrokenRequestError
from .exchange import AnswerWriter, linger, read_request
from .messages import Answer, Connection, Request

_HANDSHAKE_SECONDS = 20.0
_JOIN_SECONDS = 10.0
_FIRST_SWEEP = 64
# SO_LINGER with zero seconds: close() sends a reset. Windows has the two numbers as shorts.
_RESET = struct.pack("HH" if sys.platform == "win32" else "ii", 1, 0)


class HttpLoop:
    """Serves any number of sites on loopback until `stop()`; none of its threads outlives that."""

    def __init__(self, tls: ssl.SSLContext | None, now: Callable[[], float]) -> None:
        self._tls = tls
        if tls is not None:
            tls.sni_callback = _remember_server_name
        self._writer = AnswerWriter(now)
        self._stopping = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._wake_up, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._acceptor = threading.Thread(target=self._accept_all, name="embedded-portal-accept", daemon=True)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        # Ended ones are swept out now and then: whoever stops the loop has to meet a thread that is just about to end.
        self._threads: list[threading.Thread] = []
        self._sweep_at = _FIRST_SWEEP
        self._numbers = itertools.count(1)

    def listen(self, addresses: list[str], port: int, site: str, handle: Callable[[Request], Answer]) -> int:
        """Open a site on `port` (0: any free one) of each of the addresses; returns the port. Call it before `start()`.

        Raises `OSError` when the first address cannot be had. The others are for comfort: that a machine has no IPv6, or that
        somebody else has that port there, is passed over.
        """
        listener = _listener(addresses[0], port)
        port = listener.getsockname()[1]
        self._selector.register(listener, selectors.EVENT_READ, (site, handle))
        for address in addresses[1:]:
            try:
                self._selector.register(_listener(address, port), selectors.EVENT_READ, (site, handle))
            except OSError:
                pass
        return port

    def start(self) -> None:
        """Begin to accept."""
        self._acceptor.start()

    def drop_connections(self) -> None:
        """Close every open connection, as a server does that gives up idle ones. New ones are welcome."""
        with self._lock:
            connections = list(self._open)
        for sock in connections:
            _shut(sock)

    def open_connections(self) -> int:
        """How many connections are open."""
        with self._lock:
            return len(self._open)

    def stop(self) -> None:
        """Close all sockets and wait for all threads. A second call does nothing."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._acceptor.ident is not None:
            self._wake_up.send(b"x")
            self._acceptor.join(_JOIN_SECONDS)
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()
        self._wake_up.close()
        self.drop_connections()
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)

    def _accept_all(self) -> None:
        while not self._stopping.is_set():
            for key, _ in self._selector.select():
                if key.data is None or self._stopping.is_set():
                    continue
                assert isinstance(key.fileobj, socket.socket)
                try:
                    sock, address = key.fileobj.accept()
                except OSError:
                    continue
                self._begin(sock, address[0], *key.data)

    def _begin(self, sock: socket.socket, client_host: str, site: str, handle: Callable[[Request], Answer]) -> None:
        sock.setblocking(True)
        thread = threading.Thread(
            target=self._serve, args=(sock, client_host, site, handle), name=f"embedded-portal-{site}", daemon=True
        )
        with self._lock:
            self._open.add(sock)
        thread.start()
        self._threads.append(thread)
        if len(self._threads) > self._sweep_at:
            self._threads = [each for each in self._threads if each.is_alive()]
            self._sweep_at = 2 * len(self._threads) + _FIRST_SWEEP

    def _serve(self, sock: socket.socket, client_host: str, site: str, handle: Callable[[Request], Answer]) -> None:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                sock = self._secure(sock, self._tls)
            name = getattr(sock, "requested_name", None)
            self._converse(sock, site, handle, Connection(next(self._numbers), client_host, name, self._stopping))
        except (OSError, BrokenRequestError, ValueError):
            # The client hung up, or the portal stops; there is nobody to tell.
            pass
        finally:
            with self._lock:
                self._open.discard(sock)
            sock.close()

    def _secure(self, sock: socket.socket, tls: ssl.SSLContext) -> ssl.SSLSocket:
        """The handshake. It is done in the thread of the connection, so that a silent client holds up nobody else."""
        sock.settimeout(_HANDSHAKE_SECONDS)
        with self._lock:
            # wrap_socket() takes the descriptor over; whoever drops connections needs the new object.
            self._open.remove(sock)
            secured = tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            self._open.add(secured)
        try:
            secured.do_handshake()
            secured.settimeout(None)
        except (OSError, ValueError):
            with self._lock:
                self._open.discard(secured)
            secured.close()
            raise
        return secured

    def _converse(self, sock: socket.socket, site: str, handle: Callable[[Request], Answer], connection: Connection) -> None:
        with sock.makefile("rb", 65536) as file:
            assert isinstance(file, io.BufferedReader)
            ending = self._exchange_all(sock, file, site, handle, connection)
        if ending == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        elif isinstance(sock, ssl.SSLSocket) and not self._stopping.is_set():
            _say_goodbye(sock)

    def _exchange_all(
        self,
        sock: socket.socket,
        file: io.BufferedReader,
        site: str,
        handle: Callable[[Request], Answer],
        connection: Connection,
    ) -> str:
        """Serve requests until the connection is to end; returns how ("close" or "reset")."""
        while not self._stopping.is_set():
            request = read_request(file, site, connection, sock.sendall)
            if request is None:
                break
            answer = handle(request)
            if self._stopping.is_set():
                break
            reusable = self._writer.write(sock, request, answer)
            if answer.early and not request.body.ended:
                linger(sock)
            if not reusable:
                return answer.ending or "close"
        return "close"


def _listener(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ":" in address:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        sock.listen(512)
        # A client that gave up between select() and accept() must not hold up the others.
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _shut(sock: socket.socket) -> None:
    """Wake the thread that reads from `sock`. The plain method: that of `SSLSocket` would also forget its TLS state."""
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        pass


def _say_goodbye(sock: ssl.SSLSocket) -> None:
    """Send TLS's close_notify, without waiting for the other side's."""
    try:
        sock.setblocking(False)
        sock.unwrap()
    except (OSError, ValueError):
        pass


def _remember_server_name(sock: ssl.SSLSocket | ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
    """Keep the name of the TLS handshake (SNI, RFC 6066) where the connection's thread finds it."""
    setattr(sock, "requested_name", name)  # noqa: B010 - the class does not declare it
