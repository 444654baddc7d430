"""Retries: which answers and failures are tried again, how often, after how long, and what comes back in the end."""

from __future__ import annotations

import io
import json
import logging
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from urllib3.util.retry import Retry

from esri_http import EsriSession, EsriUserTokenAuth
from esri_http.words.errors import (
    BodyNotReplayableError,
    CertificateError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    EsriHttpResponseError,
    ProtocolError,
    ReadTimeoutError,
    TlsError,
)
from tests.support.certificates import CertificateAuthority
from tests.support.clock import FakeClock
from tests.support.peers import (
    DROP,
    ClientGone,
    Connection,
    HandlerPeer,
    RecordedRequest,
    Reply,
    ScriptedPeer,
    answer,
    head_bytes,
    json_reply,
)

StartHandler = Callable[..., HandlerPeer]
StartScript = Callable[..., ScriptedPeer]
MakeSession = Callable[..., EsriSession]

STATUSES = (413, 429, 500, 502, 503, 504)
IDEMPOTENT = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE")
DATE = "Tue, 14 Nov 2023 22:13:50 GMT"  # 30 seconds after the fake clock's beginning


@pytest.fixture
def make_session(fake_clock: FakeClock) -> MakeSession:
    def make(**options: Any) -> EsriSession:
        return EsriSession(clock=fake_clock, trust_env=False, **options)

    return make


def failing(times: int, reply: Reply, then: Reply | None = None) -> Callable[[RecordedRequest], Reply]:
    """A handler that answers `reply` so many times, and something good afterwards."""
    left = [times]

    def handle(request: RecordedRequest) -> Reply:
        left[0] -= 1
        return reply if left[0] >= 0 else then or Reply(200, body="good")

    return handle


def envelope(code: int, *details: str, status: int = 200, **headers: str) -> Reply:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return json_reply({"error": {"code": code, "message": "wait", "details": list(details)}}, status, fields)


# -- which answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", STATUSES)
def test_the_documented_statuses_are_tried_again(make_session: MakeSession, handler_peer: StartHandler, status: int) -> None:
    peer = handler_peer(failing(2, Reply(status, body="later")))
    response = make_session().get(peer.url_for("/"))
    assert (response.status_code, response.text, response.history) == (200, "good", [])
    assert len(peer.requests) == 3
    assert peer.connections == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 409, 418, 422, 425, 451, 498, 499, 501, 505, 507, 511])
def test_other_statuses_are_answers(make_session: MakeSession, handler_peer: StartHandler, status: int) -> None:
    peer = handler_peer(lambda request: Reply(status, {"Retry-After": "1"}, "no"))
    response = make_session(retries=3).get(peer.url_for("/"))
    assert (response.status_code, response.text) == (status, "no")
    assert len(peer.requests) == 1


@pytest.mark.parametrize("method", [*IDEMPOTENT, "POST", "PATCH", "PROPFIND"])
@pytest.mark.parametrize("given", [False, True], ids=["by default", "with retries given"])
def test_which_methods_are_tried_again(make_session: MakeSession, handler_peer: StartHandler, method: str, given: bool) -> None:
    peer = handler_peer(lambda request: Reply(503, body="later"))
    session = make_session(**({"retries": 2} if given else {}))
    response = session.request(method, peer.url_for("/"), data=b"x" if method in ("POST", "PUT", "PATCH") else None)
    assert response.status_code == 503
    expected = (3 if method in (*IDEMPOTENT, "POST") else 1) if given else (4 if method in IDEMPOTENT else 1)
    assert len(peer.requests) == expected
    assert len({request.body for request in peer.requests}) == 1


@pytest.mark.parametrize("count", [0, 1, 5, False])
def test_the_number_of_retries_is_exact(make_session: MakeSession, handler_peer: StartHandler, count: int) -> None:
    peer = handler_peer(lambda request: Reply(503))
    assert make_session(retries=count).post(peer.url_for("/"), data=b"x").status_code == 503
    assert len(peer.requests) == count + 1


def test_statuses_and_methods_can_be_chosen(make_session: MakeSession, handler_peer: StartHandler) -> None:
    peer = handler_peer(lambda request: Reply(int(request.path[1:])))
    session = make_session(retries=1, status_to_retry=(418,), method_whitelist=["patch"])
    for method, status, requests in [("PATCH", 418, 2), ("PATCH", 503, 1), ("GET", 418, 1)]:
        peer.requests.clear()
        assert session.request(method, peer.url_for(f"/{status}")).status_code == status
        assert len(peer.requests) == requests


@pytest.mark.parametrize(
    "options",
    [{"retries": -1}, {"retries": "3"}, {"retries": 1.5}, {"retries": True}, {"backoff_factor": -1}, {"backoff_factor": "1"},
     {"status_to_retry": 503}, {"status_to_retry": ["x"]}, {"method_whitelist": 5}, {"method_whitelist": [5]}],
    ids=repr,
)  # fmt: skip
def test_settings_that_cannot_work_are_errors(options: Any) -> None:
    with pytest.raises(ConfigurationError):
        EsriSession(**options)


# -- what comes back -----------------------------------------------------------------------------------------------------


def test_when_retries_run_out_the_last_answer_comes_back(make_session: MakeSession, handler_peer: StartHandler) -> None:
    def handle(request: RecordedRequest) -> Reply:
        return json_reply({"error": {"code": 503, "message": f"number {len(peer.requests)}"}}, 503)

    peer = handler_peer(handle)
    response = make_session().get(peer.url_for("/"))
    assert response.status_code == 503
    assert response.esri_error is not None
    assert response.esri_error.message == "number 4"
    assert response.json()["error"]["message"] == "number 4"
    with pytest.raises(EsriHttpResponseError, match="number 4"):
        response.raise_for_status()


def test_a_streamed_call_is_tried_again_too(make_session: MakeSession, handler_peer: StartHandler) -> None:
    peer = handler_peer(failing(1, Reply(503, body=b"x" * 100_000)))
    with make_session().get(peer.url_for("/"), stream=True) as response:
        assert b"".join(response.iter_content()) == b"good"
    assert len(peer.requests) == 2


# -- bodies --------------------------------------------------------------------------------------------------------------


def test_a_file_is_sent_again_from_where_it_stood(make_session: MakeSession, handler_peer: StartHandler) -> None:
    peer = handler_peer(failing(2, Reply(503)))
    file = io.BytesIO(b"skipped-content")
    file.seek(8)
    assert make_session(retries=3).post(peer.url_for("/"), data=file).text == "good"
    assert [request.body for request in peer.requests] == [b"content"] * 3


def test_a_body_that_can_be_read_once_is_not_sent_again_and_the_answer_comes_back(
    make_session: MakeSession, handler_peer: StartHandler
) -> None:
    peer = handler_peer(lambda request: Reply(503, body="later"))
    response = make_session(retries=3).put(peer.url_for("/"), data=iter([b"one"]))
    assert (response.status_code, response.text) == (503, "later")
    assert [request.body for request in peer.requests] == [b"one"]


def test_a_lost_body_that_can_be_read_once_is_a_clear_error(make_session: MakeSession, handler_peer: StartHandler) -> None:
    peer = handler_peer(lambda request: DROP)
    with pytest.raises(BodyNotReplayableError, match="only once"):
        make_session(retries=3).put(peer.url_for("/"), data=iter([b"one"]))
    assert [request.body for request in peer.requests] == [b"one"]


# -- waiting -------------------------------------------------------------------------------------------------------------


def test_the_waits_grow(make_session: MakeSession, handler_peer: StartHandler, fake_clock: FakeClock) -> None:
    peer = handler_peer(lambda request: Reply(503))
    make_session(retries=4, backoff_factor=1).get(peer.url_for("/"))
    first, *others = fake_clock.sleeps
    assert first == 0
    for wait, least in zip(others, (2, 4, 8)):
        assert least <= wait <= least + 0.2


def test_no_wait_exceeds_two_minutes(make_session: MakeSession, handler_peer: StartHandler, fake_clock: FakeClock) -> None:
    peer = handler_peer(lambda request: Reply(503))
    make_session(retries=5, backoff_factor=100, deadline=None).get(peer.url_for("/"))
    assert fake_clock.sleeps == [0, 120, 120, 120, 120]


def test_without_a_factor_there_is_no_wait(
    make_session: MakeSession, handler_peer: StartHandler, fake_clock: FakeClock
) -> None:
    peer = handler_peer(lambda request: Reply(503))
    make_session(retries=3, backoff_factor=0).get(peer.url_for("/"))
    assert fake_clock.sleeps == [0, 0, 0]


@pytest.mark.parametrize(
    "field, seconds",
    [
        ("0", 0),
        ("7", 7),
        ("  7  ", 7),
        ("007", 7),
        ("120", 120),
        (DATE, 30),
        ("Tuesday, 14-Nov-23 22:13:50 GMT", 30),
        ("Tue Nov 14 22:13:50 2023", 30),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0),
        ("Sun Nov  6 08:49:37 1994", 0),
    ],
)
@pytest.mark.parametrize("status", [413, 429, 503])
def test_retry_after_is_obeyed(
    make_session: MakeSession, handler_peer: StartHandler, fake_clock: FakeClock, field: str, seconds: int, status: int
) -> None:
    peer = handler_peer(failing(1, Reply(status, {"Retry-After": field})))
    assert make_session().get(peer.url_for("/")).text == "good"
    assert fake_clock.sleeps == [seconds]


@pytest.mark.parametrize("field", ["121", "3600", "99999999999", "9" * 400, "9" * 5000, "Tue, 14 Nov 2023 23:13:20 GMT"])
def test_after_a_retry_after_that_is_too_long_the_answer_comes_back(
    make_session: MakeSession, handler_peer: StartHandler, fake_clock: FakeClock, field: str
) -> None:
    peer = handler_peer(lambda request: Reply(503, {"Retry-After": field}, "later"))
    response = make_session(deadline=None).get(peer.url_for("/"))
    assert (response.status_code, response.text) == (503, "later")
    assert len(peer.requests) == 1
    assert fake_clock.sleeps == []


def test_a_wait_that_the_deadline_does_not_allow_is_not_begun(
    make_session: MakeSession, handler_peer: StartHandler, fake_clock: FakeClock
) -> None:
    peer = handler_peer(lambda request: Reply(503, {"Retry-After": "30"}, "later"))
    assert make_session(deadline=29).get(peer.url_for("/")).text == "later"
    assert fake_clock.sleeps == []
    make_session().get(peer.url_for("/"), deadline=61)
    assert fake_clock.sleeps == [30, 30]


GARBAGE = [
    *("", " ", "-1", "+1", "1.5", "1e3", "0x10", "1_0", "soon", "120 seconds", "120, 120", "\u00b2", "1;2", "NaN", "inf"),
    *("Tue", "Tue, 14 Nov 2023", "14 Nov 2023 22:13:50 GMT", "2023-11-14T22:13:50Z", "Tue, 14 Nov 2023 22:13:50 +0100"),
    *(
        "Tue, 99 Nov 2023 22:13:50 GMT",
        "Tue, 14 Foo 2023 22:13:50 GMT",
        "Tue, 14 Nov 2023 25:61:61 GMT",
        "Tue, 31 Feb 2023 22:13:50 GMT",
    ),
    *("Tue, 14 Nov 99999 22:13:50 GMT", "x" * 5000, "Tue, 14 Nov 2023 22:13:50 GMT; x", "\t"),
]


@pytest.mark.parametrize("field", GARBAGE, ids=lambda field: repr(field[:40]))
def test_garbage_in_retry_after_counts_as_absent(
    make_session: MakeSession, handler_peer: StartHandler, fake_clock: FakeClock, field: str
) -> None:
    peer = handler_peer(failing(1, Reply(503, {"Retry-After": field})))
    assert make_session().get(peer.url_for("/")).text == "good"
    assert fake_clock.sleeps == [0]  # the first wait of the back-off


def test_two_different_retry_afters_count_as_absent(
    make_session: MakeSession, scripted_peer: StartScript, fake_clock: FakeClock
) -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(answer(503, [("Retry-After", "5"), ("Retry-After", "90")]))
        connection.read_request()
        connection.send(answer(200, body=b"good"))

    assert make_session().get(scripted_peer(script).url_for("/")).text == "good"
    assert fake_clock.sleeps == [0]


# -- errors inside 200 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [429, 504])
@pytest.mark.parametrize("stream", [False, True])
def test_too_many_requests_and_time_outs_inside_200_count_as_such(
    make_session: MakeSession, handler_peer: StartHandler, code: int, stream: bool
) -> None:
    peer = handler_peer(failing(2, envelope(code)))
    assert make_session().get(peer.url_for("/"), stream=stream).text == "good"
    assert len(peer.requests) == 3


@pytest.mark.parametrize(
    "reply, seconds",
    [
        (envelope(429, "Too many requests. Retry after 60 sec."), 60),
        (envelope(504, "Retry after 5 sec."), 5),
        (envelope(429, "Retry after 60 sec.", Retry_After="7"), 7),
        (envelope(429, "Retry after 60 sec.", Retry_After="soon"), 60),
        (envelope(429, "no words"), 0),
    ],
    ids=["in details", "of a time-out", "header first", "garbage in the header", "none"],
)
def test_the_wait_that_an_envelope_asks_for(
    make_session: MakeSession, handler_peer: StartHandler, fake_clock: FakeClock, reply: Reply, seconds: int
) -> None:
    peer = handler_peer(failing(1, reply))
    assert make_session().get(peer.url_for("/")).text == "good"
    assert fake_clock.sleeps == [seconds]


def test_a_wait_of_an_envelope_that_is_too_long_is_not_begun(
    make_session: MakeSession, handler_peer: StartHandler, fake_clock: FakeClock
) -> None:
    peer = handler_peer(lambda request: envelope(429, "Retry after 600 sec."))
    response = make_session().get(peer.url_for("/"))
    assert response.esri_error is not None
    assert response.esri_error.code == 429
    assert (len(peer.requests), fake_clock.sleeps) == (1, [])


def test_when_retries_run_out_the_last_envelope_comes_back(make_session: MakeSession, handler_peer: StartHandler) -> None:
    peer = handler_peer(lambda request: envelope(429, f"number {len(peer.requests)}"))
    response = make_session(retries=2).post(peer.url_for("/"), data={"f": "json"})
    assert (response.status_code, response.json()["error"]["details"]) == (200, ["number 3"])


@pytest.mark.parametrize("code", [400, 403, 404, 413, 500, 502, 503])
def test_other_envelopes_are_answers(make_session: MakeSession, handler_peer: StartHandler, code: int) -> None:
    peer = handler_peer(lambda request: envelope(code))
    assert make_session(retries=3).get(peer.url_for("/")).status_code == 200
    assert len(peer.requests) == 1


@pytest.mark.parametrize("options, method", [({}, "POST"), ({"retries": 3}, "PATCH"), ({"status_to_retry": (503,)}, "GET")])
def test_an_envelope_obeys_the_lists_of_methods_and_statuses(
    make_session: MakeSession, handler_peer: StartHandler, options: Any, method: str
) -> None:
    peer = handler_peer(lambda request: envelope(429))
    make_session(**options).request(method, peer.url_for("/"), data=b"x")
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    "value", [{"code": 429}, {"features": [{"error": {"code": 429}}]}, [{"error": {"code": 429}}], {"error": "429"}]
)
def test_data_that_looks_like_an_error_is_data(make_session: MakeSession, handler_peer: StartHandler, value: Any) -> None:
    peer = handler_peer(lambda request: json_reply(value))
    assert make_session().get(peer.url_for("/")).json() == value
    assert len(peer.requests) == 1


# -- failures ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_what_never_arrived_is_sent_again_whatever_the_method(
    make_session: MakeSession, handler_peer: StartHandler, fake_clock: FakeClock, method: str
) -> None:
    peer = handler_peer(lambda request: Reply(200))
    url = peer.url_for("/")
    peer.stop()
    with pytest.raises(ConnectError, match="could not connect"):
        make_session(backoff_factor=1).request(method, url, data=b"x")
    assert len(fake_clock.sleeps) == 3


def test_a_one_shot_body_that_never_left_is_sent_when_the_server_is_there() -> None:
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    received = []

    class StartingClock(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            listener = socket.create_server(("127.0.0.1", port))
            thread = threading.Thread(target=serve, args=(listener,))
            thread.start()
            stack.callback(thread.join)

    def serve(listener: socket.socket) -> None:
        with listener, listener.accept()[0] as sock:
            while not received or not received[-1].endswith(b"0\r\n\r\n"):
                received.append(sock.recv(65536))
            sock.sendall(answer(200, body=b"good"))

    with ExitStack() as stack, EsriSession(clock=StartingClock(), retries=1) as session:
        assert session.post(f"http://127.0.0.1:{port}/", data=iter([b"once"])).text == "good"
    assert b"4\r\nonce\r\n" in b"".join(received)


LOST = {
    "reset before the answer": lambda connection: connection.reset(),
    "closed before the answer": lambda connection: connection.close(),
    "closed in the head": lambda connection: connection.send(b"HTTP/1.1 200 OK\r\nContent-"),
    "closed in the body": lambda connection: connection.send(head_bytes(200, {"Content-Length": "10"}) + b"half"),
    "closed in a chunk": lambda connection: connection.send(head_bytes(200, {"Transfer-Encoding": "chunked"}) + b"a\r\nhalf"),
    "garbage": lambda connection: connection.send(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
}


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "PATCH"])
@pytest.mark.parametrize("kind", LOST)
def test_what_may_have_arrived_is_sent_again_where_that_does_no_harm(
    make_session: MakeSession, scripted_peer: StartScript, kind: str, method: str
) -> None:
    def lose(connection: Connection) -> None:
        connection.read_request()
        LOST[kind](connection)

    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.send(answer(200, body=b"good"))

    peer = scripted_peer([lose, lose, serve])
    if method in ("GET", "PUT"):
        assert make_session().request(method, peer.url_for("/"), data=b"x").text == "good"
        assert [request.body for request in peer.requests] == [b"x"] * 3
    else:
        with pytest.raises((ConnectionLostError, ProtocolError)):
            make_session().request(method, peer.url_for("/"), data=b"x")
        assert len(peer.requests) == 1


@pytest.mark.parametrize("method, requests", [("GET", 3), ("POST", 3), ("PATCH", 1)])
def test_with_retries_given_the_documented_methods_are_sent_again(
    make_session: MakeSession, handler_peer: StartHandler, method: str, requests: int
) -> None:
    peer = handler_peer(lambda request: DROP)
    with pytest.raises(ConnectionLostError):
        make_session(retries=2).request(method, peer.url_for("/"), data=b"x")
    assert len(peer.requests) == requests


@pytest.mark.parametrize("method, requests", [("GET", 2), ("POST", 1)])
def test_silence_is_a_failure_like_another(
    make_session: MakeSession, scripted_peer: StartScript, method: str, requests: int
) -> None:
    def stall(connection: Connection) -> None:
        connection.read_request()
        connection.wait()

    peer = scripted_peer(stall)
    with pytest.raises(ReadTimeoutError):
        make_session(retries=1, method_whitelist=("GET",)).request(method, peer.url_for("/"), data=b"x", timeout=0.1)
    assert len(peer.requests) == requests


def test_no_method_at_all_is_tried_again_where_none_is_named(make_session: MakeSession, handler_peer: StartHandler) -> None:
    peer = handler_peer(lambda request: Reply(503))
    assert make_session(method_whitelist=()).get(peer.url_for("/")).status_code == 503
    assert len(peer.requests) == 1


def test_tls_failures_are_not_tried_again(
    make_session: MakeSession, handler_peer: StartHandler, ca: CertificateAuthority, fake_clock: FakeClock
) -> None:
    peer = handler_peer(lambda request: Reply(200), tls=True)
    with pytest.raises(CertificateError):
        make_session(verify_cert=ca.stranger_file, retries=3).get(peer.url_for("/"))
    assert (peer.connections, fake_clock.sleeps) == (1, [])


def test_what_does_not_speak_tls_is_not_tried_again(
    make_session: MakeSession, scripted_peer: StartScript, fake_clock: FakeClock
) -> None:
    def speak_plainly(connection: Connection) -> None:
        connection.recv()
        connection.send(answer(400))

    peer = scripted_peer(speak_plainly)
    with pytest.raises(TlsError):
        make_session(retries=3).get(peer.url_for("/").replace("http:", "https:"))
    assert (peer.connections, fake_clock.sleeps) == (1, [])


def test_a_kept_connection_that_the_server_closed_is_no_failure(
    make_session: MakeSession, handler_peer: StartHandler, fake_clock: FakeClock
) -> None:
    peer = handler_peer(lambda request: Reply(200, body=request.body))
    session = make_session(retries=0)
    assert session.post(peer.url_for("/"), data=b"one").text == "one"
    peer.close_connections()
    assert session.post(peer.url_for("/"), data=b"two").text == "two"
    assert (len(peer.requests), peer.connections, fake_clock.sleeps) == (2, 2, [])


def test_failures_and_answers_share_one_allowance(make_session: MakeSession, scripted_peer: StartScript) -> None:
    def lose(connection: Connection) -> None:
        connection.read_request()
        connection.reset()

    def serve(connection: Connection) -> None:
        while True:
            connection.read_request()
            connection.send(answer(503))

    peer = scripted_peer([lose, serve])
    assert make_session(retries=2).get(peer.url_for("/")).status_code == 503
    assert len(peer.requests) == 3


# -- with the rest of a session ------------------------------------------------------------------------------------------


def test_redirects_do_not_renew_the_allowance(make_session: MakeSession, handler_peer: StartHandler) -> None:
    seen: dict[str, int] = {}

    def handle(request: RecordedRequest) -> Reply:
        seen[request.path] = seen.get(request.path, 0) + 1
        if request.path == "/begin" and seen["/begin"] == 3:
            return Reply(302, {"Location": "/end"})
        return Reply(503)

    peer = handler_peer(handle)
    assert make_session(retries=3).get(peer.url_for("/begin")).status_code == 503
    assert seen == {"/begin": 3, "/end": 2}


def test_a_replay_for_a_sign_in_does_not_renew_the_allowance(make_session: MakeSession, handler_peer: StartHandler) -> None:
    def handle(request: RecordedRequest) -> Reply:
        if request.headers["X-Esri-Authorization"] == "Bearer new":
            return Reply(503)
        return envelope(498) if len(peer.requests) == 3 else Reply(503)

    peer = handler_peer(handle)
    session = make_session(retries=3, auth=EsriUserTokenAuth("old", renew=lambda: "new"))
    assert session.get(peer.url_for("/")).status_code == 503
    tokens = [request.headers["X-Esri-Authorization"] for request in peer.requests]
    assert tokens == ["Bearer old"] * 3 + ["Bearer new"] * 2


def test_the_next_call_has_an_allowance_of_its_own(make_session: MakeSession, handler_peer: StartHandler) -> None:
    peer = handler_peer(lambda request: Reply(503))
    session = make_session(retries=1)
    for _ in range(3):
        session.get(peer.url_for("/"))
    assert len(peer.requests) == 6


def test_a_retry_object_is_taken_as_it_is(make_session: MakeSession, handler_peer: StartHandler, fake_clock: FakeClock) -> None:
    peer = handler_peer(lambda request: Reply(int(request.path[1:])))
    retry = Retry(total=2, status_forcelist=[418], allowed_methods=["POST"], backoff_factor=1)
    session = make_session(retries=retry)
    for method, status, requests in [("POST", 418, 3), ("POST", 500, 1), ("GET", 418, 1)]:
        peer.requests.clear()
        assert session.request(method, peer.url_for(f"/{status}")).status_code == status
        assert len(peer.requests) == requests
    assert fake_clock.sleeps == [0, 2]
    assert retry.total == 2


def test_a_retry_object_for_any_method(make_session: MakeSession, handler_peer: StartHandler) -> None:
    peer = handler_peer(lambda request: Reply(503))
    session = make_session(retries=Retry(total=1, status_forcelist=[503], allowed_methods=None))
    session.patch(peer.url_for("/"))
    assert len(peer.requests) == 2


def test_a_retry_object_that_raises_gets_no_chance_to(make_session: MakeSession, handler_peer: StartHandler) -> None:
    peer = handler_peer(lambda request: Reply(503, body="later"))
    retry = Retry(total=1, status_forcelist=[503], raise_on_status=True, redirect=0, raise_on_redirect=True)
    assert make_session(retries=retry).get(peer.url_for("/")).text == "later"


def test_a_log_line_has_no_query(
    make_session: MakeSession, handler_peer: StartHandler, caplog: pytest.LogCaptureFixture
) -> None:
    peer = handler_peer(failing(1, Reply(503, {"Retry-After": "5"})))
    with caplog.at_level(logging.INFO, "esri_http"):
        make_session().get(peer.url_for("/query?token=s3cret"))
    (record,) = [record for record in caplog.records if record.name.startswith("esri_http")]
    message = record.getMessage()
    assert "5.0 s" in message
    assert "503" in message
    assert peer.url_for("/query") in message
    assert "s3cret" not in message + json.dumps([str(part) for part in record.args or ()])


def test_no_connection_is_held_while_waiting(scripted_peer: StartScript) -> None:
    class WatchingClock(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if seconds:
                peer.wait_until(lambda: peer.open_connections == 0)

    def flood(connection: Connection) -> None:
        connection.read_request()
        connection.send(head_bytes(503, {"Retry-After": "5", "Content-Length": str(1 << 30)}))
        try:
            while True:
                connection.send(b"x" * 65536)
        except OSError as error:
            raise ClientGone from error

    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.send(answer(200, body=b"good"))

    peer = scripted_peer([flood, serve])
    with EsriSession(clock=WatchingClock()) as session:
        assert session.get(peer.url_for("/")).text == "good"
