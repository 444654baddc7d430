"""Time-outs and the deadline: every wait ends, and the deadline covers redirects, retries, sign-in and waits together."""

from __future__ import annotations

import pickle
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from esri_http import EsriGenTokenAuth, EsriSession, EsriUserTokenAuth
from esri_http.words.clock import Deadline
from esri_http.words.errors import (
    ConfigurationError,
    ConnectTimeoutError,
    DeadlineExceededError,
    EsriTimeoutError,
    ReadTimeoutError,
    RedirectRefusedError,
)
from tests.support.clock import FakeClock
from tests.support.peers import Connection, HandlerPeer, RecordedRequest, Reply, ScriptedPeer, chunk, head_bytes, json_reply

StartHandler = Callable[..., HandlerPeer]
StartScript = Callable[..., ScriptedPeer]

SHORT = 0.12
"""Seconds of a time-out or deadline that really passes."""
SLACK = 2.0
"""Seconds within which the error must come: far more than it takes, far less than any other limit."""


@contextmanager
def soon(least: float = 0.0) -> Iterator[None]:
    """What is inside takes at least that many seconds and ends soon after."""
    started = time.perf_counter()
    yield
    assert least * 0.9 <= time.perf_counter() - started < least + SLACK


@pytest.fixture
def session() -> Iterator[EsriSession]:
    with EsriSession(trust_env=False, retries=0) as session:
        yield session


def before_the_status(connection: Connection) -> None:
    connection.read_request()


def in_the_head(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Le")


def in_the_body(connection: Connection) -> None:
    connection.read_request()
    connection.send(head_bytes(200, {"Content-Length": "100"}) + b"half")


def in_a_chunk(connection: Connection) -> None:
    connection.read_request()
    connection.send(head_bytes(200, {"Transfer-Encoding": "chunked"}) + b"64\r\nhalf")


def in_an_error_page(connection: Connection) -> None:
    connection.read_request()
    connection.send(head_bytes(404, {"Content-Length": "100"}) + b"half")


STALLS = [before_the_status, in_the_head, in_the_body, in_a_chunk, in_an_error_page]


def then_wait(script: Callable[[Connection], None]) -> Callable[[Connection], None]:
    def run(connection: Connection) -> None:
        script(connection)
        connection.wait()

    return run


def then_trickle(script: Callable[[Connection], None]) -> Callable[[Connection], None]:
    """One byte now and then, which keeps every read time-out from striking."""

    def run(connection: Connection) -> None:
        script(connection)
        while True:
            connection.send(b"1" if script is before_the_status else b"x")
            connection.sock.settimeout(0.02)
            try:
                if not connection.sock.recv(1):
                    return
            except socket.timeout:
                connection.sock.settimeout(None)

    return run


@pytest.mark.parametrize(
    "stall, timeout",
    [*((stall, SHORT) for stall in STALLS), (before_the_status, (5, SHORT)), (in_the_body, (None, SHORT))],
    ids=lambda given: getattr(given, "__name__", repr(given)),
)
def test_silence_ends_with_the_read_time_out(
    session: EsriSession, scripted_peer: StartScript, stall: Any, timeout: Any
) -> None:
    peer = scripted_peer(then_wait(stall))
    with soon(SHORT), pytest.raises(ReadTimeoutError, match="silent") as caught:
        session.get(peer.url_for("/?token=s3cret"), timeout=timeout)
    assert isinstance(caught.value, TimeoutError)
    assert "s3cret" not in repr(caught.value) + str(caught.value)
    peer.wait_until(lambda: peer.open_connections == 0)


@pytest.mark.parametrize(
    "stall, timeout",
    [*((stall, 60) for stall in STALLS), (before_the_status, None), (in_the_body, (60, None))],
    ids=lambda given: getattr(given, "__name__", repr(given)),
)
def test_silence_ends_with_the_deadline(session: EsriSession, scripted_peer: StartScript, stall: Any, timeout: Any) -> None:
    peer = scripted_peer(then_wait(stall))
    with soon(SHORT), pytest.raises(DeadlineExceededError, match=r"0\.12 s") as caught:
        session.get(peer.url_for("/?token=s3cret"), timeout=timeout, deadline=SHORT)
    assert isinstance(caught.value, EsriTimeoutError)
    assert "s3cret" not in repr(caught.value) + str(caught.value)
    peer.wait_until(lambda: peer.open_connections == 0)


@pytest.mark.parametrize("stall", STALLS, ids=lambda stall: stall.__name__)
def test_a_trickle_ends_with_the_deadline(session: EsriSession, scripted_peer: StartScript, stall: Any) -> None:
    peer = scripted_peer(then_trickle(stall))
    with soon(), pytest.raises(DeadlineExceededError):
        session.get(peer.url_for("/"), timeout=1, deadline=SHORT)
    peer.wait_until(lambda: peer.open_connections == 0)


def test_a_slow_but_steady_body_is_fine(session: EsriSession, scripted_peer: StartScript) -> None:
    def drip(connection: Connection) -> None:
        connection.read_request()
        connection.send(head_bytes(200, {"Content-Length": "8"}))
        for _ in range(8):
            connection.sock.settimeout(0.05)
            with pytest.raises(socket.timeout):
                connection.sock.recv(1)
            connection.send(b"x")
        connection.sock.settimeout(None)

    assert session.get(scripted_peer(drip).url_for("/"), timeout=0.3).content == b"x" * 8


def test_a_streamed_body_may_take_longer_than_the_deadline_as_long_as_it_comes(
    scripted_peer: StartScript, fake_clock: FakeClock
) -> None:
    def serve(connection: Connection) -> None:
        connection.read_request()
        go_on.append(connection)
        connection.send(head_bytes(200, {"Transfer-Encoding": "chunked"}) + chunk(b"one"))
        connection.wait()

    go_on: list[Connection] = []
    peer = scripted_peer(serve)
    session = EsriSession(clock=fake_clock)
    with session.get(peer.url_for("/"), stream=True, deadline=10) as response:
        pieces = response.iter_content()
        assert next(pieces) == b"one"
        fake_clock.advance(100)
        go_on[0].send(chunk(b"two") + chunk(b""))
        assert list(pieces) == [b"two"]


def test_a_streamed_body_that_stalls_ends_with_the_read_time_out(session: EsriSession, scripted_peer: StartScript) -> None:
    peer = scripted_peer(then_wait(in_the_body))
    with session.get(peer.url_for("/"), stream=True, timeout=SHORT) as response, soon(SHORT):
        pieces = response.iter_content()
        assert next(pieces) == b"half"
        with pytest.raises(ReadTimeoutError):
            next(pieces)


def test_so_may_one_that_an_adapter_gets_by_the_sessions_own(scripted_peer: StartScript, fake_clock: FakeClock) -> None:
    def serve(connection: Connection) -> None:
        go_on.append(connection)
        while True:
            connection.read_request()
            connection.send(head_bytes(200, {"Transfer-Encoding": "chunked"}) + chunk(b"one"))

    go_on: list[Connection] = []
    peer = scripted_peer(serve)
    with EsriSession(clock=fake_clock, deadline=10) as session:
        with session.get(peer.url_for("/"), stream=True) as first:
            request = first.request
        with session.adapters["http://"].send(request, stream=True) as response:
            fake_clock.advance(100)
            go_on[-1].send(chunk(b"two") + chunk(b""))
            assert response.content == b"onetwo"


@pytest.fixture
def full_listener() -> Iterator[int]:
    """A port that accepts no connection: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        for _ in range(4):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for sock in waiting:
            sock.close()


def test_a_connection_that_does_not_come_ends_with_the_connect_time_out(session: EsriSession, full_listener: int) -> None:
    with soon(SHORT), pytest.raises(ConnectTimeoutError, match="connect time-out"):
        session.get(f"http://127.0.0.1:{full_listener}/", timeout=(SHORT, 60))


@pytest.mark.parametrize("timeout", [(60, 60), (None, 60), (60, 0.1), None], ids=repr)
def test_a_connection_that_does_not_come_ends_with_the_deadline(session: EsriSession, full_listener: int, timeout: Any) -> None:
    with soon(SHORT), pytest.raises(DeadlineExceededError):
        session.get(f"http://127.0.0.1:{full_listener}/", timeout=timeout, deadline=SHORT)


@pytest.mark.parametrize(
    "options", [{"timeout": (60, 60), "deadline": SHORT}, {"timeout": (60, SHORT)}], ids=["deadline", "read"]
)
def test_an_upload_that_nobody_reads_ends(session: EsriSession, scripted_peer: StartScript, options: Any) -> None:
    over = threading.Event()

    def never_read(connection: Connection) -> None:
        connection.read_head()
        over.wait(10)

    peer = scripted_peer(never_read)
    try:
        with soon(SHORT), pytest.raises(EsriTimeoutError):
            session.post(peer.url_for("/"), data=(b"x" * 65536 for _ in range(1000)), **options)
    finally:
        over.set()


# -- what the deadline covers; no second of it really passes -------------------------------------------------------------


def slow(clock: FakeClock, seconds: float, reply: Callable[[RecordedRequest], Reply]) -> Callable[[RecordedRequest], Reply]:
    """A handler for whose answers the clock says that they took so long."""

    def handle(request: RecordedRequest) -> Reply:
        clock.advance(seconds)
        return reply(request)

    return handle


def test_it_covers_redirects(handler_peer: StartHandler, fake_clock: FakeClock) -> None:
    peer = handler_peer(slow(fake_clock, 30, lambda request: Reply(302, {"Location": "/"})))
    with EsriSession(clock=fake_clock, deadline=100) as session, pytest.raises(DeadlineExceededError, match="100 s") as caught:
        session.get(peer.url_for("/?token=s3cret"))
    assert len(peer.requests) == 4
    assert "s3cret" not in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_it_covers_retries(handler_peer: StartHandler, fake_clock: FakeClock) -> None:
    peer = handler_peer(slow(fake_clock, 30, lambda request: Reply(503)))
    with EsriSession(clock=fake_clock, deadline=130, retries=10, backoff_factor=10) as session:
        assert session.get(peer.url_for("/")).status_code == 503
    assert len(peer.requests) == 3  # 30, at once 30, after 20 30; another wait of 40 would be too long


def test_it_covers_waits(handler_peer: StartHandler, fake_clock: FakeClock) -> None:
    peer = handler_peer(lambda request: Reply(503, {"Retry-After": "40"}))
    with EsriSession(clock=fake_clock, deadline=100, retries=10) as session:
        assert session.get(peer.url_for("/")).status_code == 503
    assert (len(peer.requests), fake_clock.sleeps) == (3, [40, 40])


def test_it_covers_failures(scripted_peer: StartScript, fake_clock: FakeClock) -> None:
    def lose(connection: Connection) -> None:
        connection.read_request()
        fake_clock.advance(60)
        connection.reset()

    peer = scripted_peer(lose)
    with (
        EsriSession(clock=fake_clock, deadline=100, retries=10, backoff_factor=0) as session,
        pytest.raises(DeadlineExceededError),
    ):
        session.get(peer.url_for("/"))
    assert len(peer.requests) == 2


def test_it_covers_the_sign_in(handler_peer: StartHandler, fake_clock: FakeClock) -> None:
    def site(request: RecordedRequest) -> Reply:
        if request.path.endswith("/generateToken"):
            return json_reply({"token": "abc", "expires": 4102444800000})
        return Reply(200)

    peer = handler_peer(slow(fake_clock, 60, site))
    root = peer.url_for("/gis")
    auth = EsriGenTokenAuth(f"{root}/tokens/generateToken", "http", "amy", "secret", clock=fake_clock)
    with EsriSession(auth, clock=fake_clock, deadline=50) as session, pytest.raises(DeadlineExceededError):
        session.get(f"{root}/rest/services/Roads/MapServer")
    assert [request.path.rpartition("/")[2] for request in peer.requests] == ["generateToken"]


def test_it_covers_replays(handler_peer: StartHandler, fake_clock: FakeClock) -> None:
    from requests.auth import HTTPDigestAuth

    challenge = {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'}
    peer = handler_peer(slow(fake_clock, 60, lambda request: Reply(401, challenge)))
    with EsriSession(clock=fake_clock, deadline=50) as session, pytest.raises(DeadlineExceededError):
        session.get(peer.url_for("/"), auth=HTTPDigestAuth("amy", "secret"))
    assert len(peer.requests) == 1


def test_a_call_has_a_deadline_of_its_own_and_the_next_begins_anew(handler_peer: StartHandler, fake_clock: FakeClock) -> None:
    peer = handler_peer(
        slow(fake_clock, 30, lambda request: Reply(302, {"Location": "/end"}) if request.path == "/" else Reply(200))
    )
    with EsriSession(clock=fake_clock, deadline=31) as session:
        for _ in range(3):
            assert session.get(peer.url_for("/end")).status_code == 200
        with pytest.raises(DeadlineExceededError):
            session.get(peer.url_for("/"), deadline=20)
        assert session.get(peer.url_for("/"), deadline=None).status_code == 200
        session.deadline = 1000
        assert session.get(peer.url_for("/")).status_code == 200


def test_without_a_deadline_there_is_no_end(handler_peer: StartHandler, fake_clock: FakeClock) -> None:
    peer = handler_peer(slow(fake_clock, 1e9, lambda request: Reply(200)))
    with EsriSession(clock=fake_clock, deadline=None) as session:
        assert session.get(peer.url_for("/")).status_code == 200


@pytest.mark.parametrize("deadline", [0, -1, "5", [5], b"5", True, float("nan"), object()], ids=repr)
def test_a_deadline_that_cannot_work_is_an_error(handler_peer: StartHandler, deadline: Any) -> None:
    peer = handler_peer(lambda request: Reply(200))
    with EsriSession() as session, pytest.raises(ConfigurationError, match="deadline"):
        session.get(peer.url_for("/"), deadline=deadline)
    with pytest.raises(ConfigurationError, match="deadline"):
        EsriSession(deadline=deadline)
    assert peer.connections == 0


@pytest.mark.parametrize("timeout", [0, -1, "5", (1, 2, 3), (1,), (0, 1), (1, "2"), True, float("nan"), object()], ids=repr)
def test_time_outs_that_cannot_work_are_errors(timeout: Any) -> None:
    with pytest.raises(ConfigurationError, match="timeout"):
        EsriSession(timeout=timeout)
    with EsriSession() as session, pytest.raises(ConfigurationError, match="timeout"):
        session.get("http://127.0.0.1:9/", timeout=timeout)


def test_the_time_outs_of_a_session_can_be_changed(session: EsriSession, scripted_peer: StartScript) -> None:
    assert EsriSession().timeout == (10, 60)
    peer = scripted_peer(then_wait(before_the_status))
    session.timeout = (5, SHORT)
    with soon(SHORT), pytest.raises(ReadTimeoutError):
        session.get(peer.url_for("/"))


def test_a_deadline_counts_down(fake_clock: FakeClock) -> None:
    deadline = Deadline(10, fake_clock)
    assert deadline.remaining() == 10
    assert deadline.allows(9.9)
    assert not deadline.allows(10)
    fake_clock.advance(11)
    assert deadline.remaining() == -1
    assert not deadline.allows(0)
    assert Deadline(None, fake_clock).remaining() is None
    assert Deadline(None, fake_clock).allows(1e9)


def test_the_wall_clock_makes_no_difference_to_a_deadline(handler_peer: StartHandler, fake_clock: FakeClock) -> None:
    peer = handler_peer(lambda request: Reply(302, {"Location": "/end"}) if request.path == "/" else Reply(200))

    with EsriSession(clock=fake_clock, deadline=5) as session:
        fake_clock.set_time(0)
        assert session.get(peer.url_for("/")).status_code == 200
        fake_clock.set_time(4e9)
        assert session.get(peer.url_for("/")).status_code == 200


# -- streamed answers: the deadline holds until the caller has them ------------------------------------------------------


def an_error_perhaps(connection: Connection) -> None:
    connection.read_request()
    connection.send(head_bytes(200, {"Content-Type": "application/json", "Content-Length": "5000"}) + b'{"')


def a_redirect_with_a_page(connection: Connection) -> None:
    connection.read_request()
    connection.send(head_bytes(302, {"Location": "/b", "Content-Length": "5000"}))


@pytest.mark.parametrize(
    "begins, auth, options",
    [
        (an_error_perhaps, None, {}),
        (an_error_perhaps, EsriUserTokenAuth("a-token"), {}),
        (a_redirect_with_a_page, None, {"allow_redirects": False}),
    ],
    ids=["transport", "token", "redirect"],
)
def test_a_look_at_a_streamed_answer_that_trickles_ends_with_the_deadline(
    session: EsriSession, scripted_peer: StartScript, begins: Any, auth: Any, options: Any
) -> None:
    def trickle(connection: Connection) -> None:
        then_trickle(begins)(connection)

    peer = scripted_peer(trickle)
    expected = RedirectRefusedError if options else DeadlineExceededError
    started = time.perf_counter()
    with pytest.raises(expected):
        session.get(peer.url_for("/"), stream=True, auth=auth, timeout=1, deadline=SHORT, **options)
    assert time.perf_counter() - started < 1.0
    peer.wait_until(lambda: peer.open_connections == 0)


@pytest.mark.parametrize("fields", [{"Content-Length": "9"}, {"Connection": "close"}, {"Transfer-Encoding": "chunked"}])
def test_a_streamed_answer_is_read_with_the_whole_read_time_out_once_the_caller_has_it(
    session: EsriSession, scripted_peer: StartScript, fields: dict[str, str]
) -> None:
    def pause(connection: Connection) -> None:
        connection.read_request()
        frame = chunk if "Transfer-Encoding" in fields else bytes
        connection.send(head_bytes(200, {"Content-Type": "text/csv", **fields}) + frame(b"one,two"))
        connection.sock.settimeout(2 * SHORT)
        with pytest.raises(socket.timeout):
            connection.sock.recv(1)
        connection.send(frame(b"\r\n") + (chunk(b"") if frame is chunk else b""))

    peer = scripted_peer(pause)
    with session.get(peer.url_for("/"), stream=True, timeout=5, deadline=SHORT) as response:
        assert response.peek(3) == b"one"
        assert response.content == b"one,two\r\n"
