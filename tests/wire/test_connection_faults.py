"""Connections that are not had, break, or fall silent."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from esri_http import EsriSession
from esri_http.wire.answers import CarefulResponse
from esri_http.words.clock import Deadline
from esri_http.words.errors import (
    BodyNotReplayableError,
    ConnectError,
    ConnectionLostError,
    ConnectTimeoutError,
    DeadlineExceededError,
    InvalidUrlError,
    ReadTimeoutError,
)

from ..support.clock import FakeClock
from ..support.faults import PATH, Ending, answers_well, check_usable, every_reader, fails_with, says, session
from ..support.http_messages import Reply, answer, chunk, head_bytes
from ..support.plumbing import ClientGone, Connection
from ..support.sessions import idle_connections

PEERS = [False, True]
with_and_without_tls = pytest.mark.parametrize("tls", PEERS, ids=["http", "https"])

HEAD = head_bytes(200, {"Content-Type": "text/plain", "Content-Length": "100"})
CHUNKED_HEAD = head_bytes(200, {"Content-Type": "text/plain", "Transfer-Encoding": "chunked"})

# How far an answer comes before something happens to it.
PROGRESS = {
    "before the answer": b"",
    "in the status line": HEAD[:12],
    "in the header fields": HEAD[:40],
    "before the body": HEAD,
    "in the body": HEAD + b"x" * 60,
    "before the first chunk": CHUNKED_HEAD,
    "in the size of a chunk": CHUNKED_HEAD + b"1",
    "in a chunk": CHUNKED_HEAD + b"64\r\nxxxxx",
    "behind a chunk": CHUNKED_HEAD + chunk(b"xxxxx")[:-1],
    "between chunks": CHUNKED_HEAD + chunk(b"xxxxx"),
    "in the last chunk": CHUNKED_HEAD + chunk(b"xxxxx") + b"0\r",
}
IN_TRAILERS = CHUNKED_HEAD + chunk(b"xxxxx") + b"0\r\nX-Sum: 1\r\n"
MAIN_POINTS = ["before the answer", "in the header fields", "in the body", "in the size of a chunk", "in a chunk"]
at_the_main_points = pytest.mark.parametrize("data", [PROGRESS[point] for point in MAIN_POINTS], ids=MAIN_POINTS)
at_every_point = pytest.mark.parametrize("data", list(PROGRESS.values()), ids=list(PROGRESS))


class TestNoConnection:
    def test_an_unknown_name_is_said_to_be_unknown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def no_such_name(*_: Any, **__: Any) -> Any:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
        for scheme in ("http", "https"):
            with session() as client, fails_with(ConnectError, "portal.example", "not known"):
                client.get(f"{scheme}://portal.example{PATH}")

    @pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..b"])
    def test_a_name_that_cannot_be_looked_up_is_the_urls_fault(self, host: str) -> None:
        with session() as client, fails_with(InvalidUrlError):
            client.get(f"http://{host}{PATH}")

    def test_a_refused_connection_names_address_and_reason(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
            port = taken.getsockname()[1]
            for scheme in ("http", "https"):
                with session() as client, fails_with(ConnectError, f"127.0.0.1:{port}", "refused"):
                    client.get(f"{scheme}://127.0.0.1:{port}{PATH}")

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full backlog refuses")
    @pytest.mark.parametrize("timeout", [0.2, (0.2, 30)])
    def test_the_connect_timeout_ends_a_connection_attempt(self, timeout: Any) -> None:
        with full_listener() as port, session(timeout=timeout) as client, fails_with(ConnectTimeoutError, "connect time-out"):
            client.get(f"http://127.0.0.1:{port}{PATH}")


def full_listener() -> Any:
    """A port that neither accepts nor refuses: its backlog is full."""
    from contextlib import ExitStack, contextmanager

    @contextmanager
    def opened() -> Iterator[int]:
        with ExitStack() as stack:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
            for _ in range(3):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(listener.getsockname())
            yield listener.getsockname()[1]

    return opened()


class TestBrokenOff:
    @at_every_point
    @pytest.mark.parametrize("ending", [Connection.close, Connection.reset], ids=["closed", "reset"])
    @every_reader
    def test_an_answer_that_breaks_off_is_an_error(self, scripted_peer: Any, read: Any, ending: Ending, data: bytes) -> None:
        peer = scripted_peer([says(data, ending), answers_well])
        with session() as client:
            with fails_with(ConnectionLostError, f"127.0.0.1:{peer.port}"):
                read(client, peer.url_for(PATH))
            check_usable(client, peer)

    @at_every_point
    def test_so_it_is_over_tls(self, scripted_peer: Any, ca: Any, data: bytes) -> None:
        peer = scripted_peer([says(data, Connection.close), answers_well], tls=True)
        with session(ca_bundles=ca.file) as client:
            with fails_with(ConnectionLostError):
                client.get(peer.url_for(PATH))
            check_usable(client, peer)

    def test_what_came_before_the_break_is_delivered_first(self, scripted_peer: Any) -> None:
        peer = scripted_peer([says(CHUNKED_HEAD + chunk(b"one") + chunk(b"two"), Connection.close), answers_well])
        with session() as client:
            pieces = client.get(peer.url_for(PATH), stream=True).iter_content()
            assert [next(pieces), next(pieces)] == [b"one", b"two"]
            with fails_with(ConnectionLostError):
                next(pieces)
            check_usable(client, peer)

    @pytest.mark.parametrize("again", ["content", "text", "json", "peek", "iterate"])
    def test_the_error_comes_again_instead_of_half_a_body(self, scripted_peer: Any, again: str) -> None:
        peer = scripted_peer(says(HEAD + b"x" * 60, Connection.close))
        with session() as client:
            response = client.get(peer.url_for(PATH), stream=True)
            ways: dict[str, Callable[[], Any]] = {
                "content": lambda: response.content,
                "text": lambda: response.text,
                "json": response.json,
                "peek": lambda: response.peek(100),
                "iterate": lambda: list(response.iter_content()),
            }
            for way in (ways["content"], ways[again]):
                with fails_with(ConnectionLostError, "breaks off"):
                    way()

    def test_a_body_is_whole_when_its_last_chunk_is_there(self, scripted_peer: Any) -> None:
        peer = scripted_peer([says(IN_TRAILERS, Connection.close), answers_well])
        with session() as client:
            assert client.get(peer.url).content == b"xxxxx"
            check_usable(client, peer)

    def test_a_lost_answer_is_asked_for_again_where_that_is_safe(self, scripted_peer: Any, fake_clock: FakeClock) -> None:
        peer = scripted_peer([says(b"", Connection.reset), says(HEAD + b"x", Connection.close), answers_well])
        with EsriSession(clock=fake_clock) as client:
            assert client.get(peer.url_for("/data")).text == "fine: /data"
        assert peer.connections == 3

    @pytest.mark.parametrize("method", ["PATCH", "POST"])
    def test_and_not_where_it_is_not(self, scripted_peer: Any, fake_clock: FakeClock, method: str) -> None:
        peer = scripted_peer([says(b"", Connection.reset), answers_well])
        with EsriSession(clock=fake_clock) as client, fails_with(ConnectionLostError):
            client.request(method, peer.url_for(PATH), data=b"once")
        assert len(peer.requests) == 1

    def test_a_body_that_is_used_up_is_not_sent_again_empty(self, scripted_peer: Any, fake_clock: FakeClock) -> None:
        peer = scripted_peer([says(b"", Connection.reset), answers_well])
        with EsriSession(clock=fake_clock) as client, fails_with(BodyNotReplayableError, "only once"):
            client.put(peer.url_for(PATH), data=iter([b"once"]))
        assert len(peer.requests) == 1


class TestSilence:
    @at_every_point
    def test_the_read_timeout_ends_silence(self, scripted_peer: Any, data: bytes) -> None:
        peer = scripted_peer([says(data), answers_well])
        with session() as client:
            with fails_with(ReadTimeoutError, "silent", within=2):
                client.get(peer.url_for(PATH), timeout=(30, 0.05))
            check_usable(client, peer)

    def test_so_it_does_in_the_trailers(self, scripted_peer: Any) -> None:
        peer = scripted_peer([says(IN_TRAILERS), answers_well])
        with session(timeout=0.05) as client:
            with fails_with(ReadTimeoutError, "silent"):
                client.get(peer.url_for(PATH))
            check_usable(client, peer)

    @at_the_main_points
    def test_so_it_does_in_a_stream(self, scripted_peer: Any, data: bytes) -> None:
        peer = scripted_peer([says(data), answers_well])
        with session(timeout=0.05, stream=True) as client:
            with fails_with(ReadTimeoutError, "silent"):
                b"".join(client.get(peer.url_for(PATH)).iter_content())
            check_usable(client, peer)

    @at_the_main_points
    def test_so_it_does_over_tls(self, scripted_peer: Any, ca: Any, data: bytes) -> None:
        peer = scripted_peer([says(data), answers_well], tls=True)
        with session(timeout=0.2, ca_bundles=ca.file) as client:
            with fails_with(ReadTimeoutError, "silent"):
                client.get(peer.url_for(PATH))
            check_usable(client, peer)

    def test_the_connect_timeout_does_not_hold_for_the_answer(self, scripted_peer: Any) -> None:
        peer = scripted_peer(slowly(answer(200, {}, b"late"), [0], 0.15))
        with session(timeout=(0.05, 10)) as client:
            assert client.get(peer.url).content == b"late"

    def test_a_slow_but_steady_answer_is_no_silence(self, scripted_peer: Any) -> None:
        whole = head_bytes(200, {"Content-Length": "8"}) + b"steadily"
        peer = scripted_peer(slowly(whole, range(len(whole) - 8, len(whole)), 0.06))
        with session(timeout=0.4) as client:
            assert client.get(peer.url).content == b"steadily"

    @at_the_main_points
    def test_a_trickle_ends_at_the_deadline(self, scripted_peer: Any, data: bytes) -> None:
        peer = scripted_peer([drips(data, b"0"), answers_well])
        with session(timeout=30) as client:
            with fails_with(DeadlineExceededError, "0.15 s"):
                client.get(peer.url_for(PATH), deadline=0.15)
            check_usable(client, peer)

    def test_a_read_without_a_time_out_is_cut_at_its_deadline(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.settimeout(None)
            theirs.sendall(b"HTTP/1.1 200 OK\r\n")
            response = CarefulResponse(ours, deadline=Deadline(0.1))
            with pytest.raises(socket.timeout):
                response.begin()
            response.close()

    def test_the_deadline_does_not_hold_for_what_the_caller_reads_later(
        self, scripted_peer: Any, fake_clock: FakeClock
    ) -> None:
        peer = scripted_peer(says(answer(200, {}, b"x" * 100_000)))
        with session(clock=fake_clock) as client:
            response = client.get(peer.url, deadline=5, stream=True)
            fake_clock.advance(60)
            assert response.content == b"x" * 100_000

    def test_nor_does_it_shorten_the_read_timeout_for_that(self, scripted_peer: Any) -> None:
        peer = scripted_peer(slowly(answer(200, {}, b"late"), [-1], 0.4))
        with session(timeout=30) as client:
            assert client.get(peer.url, deadline=0.2, stream=True).content == b"late"


def slowly(data: bytes, stops: Any, seconds: float) -> Callable[[Connection], None]:
    """A script that pauses before each of the positions `stops` of its answer."""

    def script(connection: Connection) -> None:
        connection.read_request()
        sent = 0
        for stop in [*stops, len(data)]:
            connection.send(data[sent:stop])
            sent = stop
            threading.Event().wait(seconds if sent < len(data) else 0)
        connection.wait()

    return script


def drips(start: bytes, drop: bytes) -> Callable[[Connection], None]:
    """A script that sends `start` and then one byte again and again, often enough for every read time-out."""

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(start)
        try:
            for _ in range(500):
                connection.send(drop)
                threading.Event().wait(0.02)
        except OSError:
            pass

    return script


class TestKeptConnections:
    @with_and_without_tls
    @pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
    def test_a_stale_connection_is_replaced_without_a_word(self, handler_peer: Any, ca: Any, tls: bool, method: str) -> None:
        peer = handler_peer(lambda request: Reply(body=request.body or b"-"), tls=tls)
        with session(ca_bundles=ca.file) as client:
            for body in (b"one", b"two"):
                assert client.request(method, peer.url, data=body).content == (body if method != "GET" else body)
                peer.close_connections()
        assert peer.connections == 2
        assert len(peer.requests) == 2

    def test_one_that_closes_after_the_request_came_in_is_an_error_without_retries(self, scripted_peer: Any) -> None:
        def once(connection: Connection) -> None:
            connection.read_request()
            connection.send(answer(200, {}, b"one"))
            connection.read_request()

        peer = scripted_peer([once, answers_well])
        with session() as client:
            assert client.get(peer.url).content == b"one"
            with fails_with(ConnectionLostError):
                client.get(peer.url_for(PATH))
            check_usable(client, peer)

    def test_a_connection_that_the_server_wants_closed_is_not_used_again(self, handler_peer: Any) -> None:
        peer = handler_peer(lambda request: Reply(body=b"x", close=True))
        with session() as client:
            for _ in range(3):
                assert client.get(peer.url).content == b"x"
            assert idle_connections(client) == 0
        assert peer.connections == 3

    def test_nothing_is_open_after_close(self, handler_peer: Any) -> None:
        peer = handler_peer(lambda request: Reply(body=b"x"))
        client = session()
        client.get(peer.url)
        peer.wait_until(lambda: len(peer._open) == 1)
        client.close()
        peer.wait_until(lambda: not peer._open)

    def test_a_script_sees_that_the_client_is_gone(self, scripted_peer: Any) -> None:
        gone = threading.Event()

        def watch(connection: Connection) -> None:
            connection.read_request()
            connection.send(HEAD + b"x")
            try:
                connection.read_request()
            except (ClientGone, OSError):
                gone.set()

        peer = scripted_peer(watch)
        with session() as client:
            client.get(peer.url, stream=True).close()
            assert gone.wait(10)
