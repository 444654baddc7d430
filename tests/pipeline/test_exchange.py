"""The loop that sends: what a handler is given, what its own requests carry, and which limits hold for all of it."""

from __future__ import annotations

from typing import Any

import pytest

from esri_http import ACCEPT, REPLAY, AuthRun, BaseEsriAuth, EsriSession
from esri_http.auth.base import INERT
from esri_http.messages.request import Request
from esri_http.words.errors import ConfigurationError, ConnectionLostError, DeadlineExceededError

from ..support.http_messages import DROP, RecordedRequest, Reply, json_reply
from ..support.sessions import idle_connections


class Scripted(BaseEsriAuth):
    """A handler made of two functions."""

    def __init__(self, before: Any = None, after: Any = None, inert: bool = False) -> None:
        self.before = before or (lambda request, wire: request)
        self.after = after or (lambda request, response, wire: ACCEPT)
        self.inert = inert
        self.audiences: list[Any] = []

    def begin(self, audience: Any) -> AuthRun:
        self.audiences.append(audience)
        if self.inert:
            return INERT
        run = AuthRun()
        run.before_request = self.before  # type: ignore[method-assign]
        run.on_response = self.after  # type: ignore[method-assign]
        return run


@pytest.fixture
def echo(handler_peer: Any) -> Any:
    """A server that gives the header fields back."""
    return handler_peer(lambda request: json_reply({name.lower(): value for name, value in request.headers}))


def fetch(path: str = "/token", method: str = "GET", body: Any = None) -> Any:
    """A `before` that first sends a request of the handler's own."""

    def before(request: Request, wire: Any) -> Request:
        with wire.send(Request(method, request.origin, path, {"X-Handler": "1"}, body)) as response:
            return request.with_header("X-Token", str(response.status_code))

    return before


def test_a_run_without_an_opinion_changes_nothing(echo: Any) -> None:
    class Plain(BaseEsriAuth):
        def begin(self, audience: Any) -> AuthRun:
            return AuthRun()

    with EsriSession(referer=None) as session:
        assert session.get(echo.url, auth=Plain()).json() == session.get(echo.url).json()


def test_an_inert_run_is_not_asked(echo: Any) -> None:
    with EsriSession(auth=Scripted(before=lambda request, wire: 1 / 0, inert=True)) as session:
        assert session.get(echo.url).ok


def test_the_audience_says_whose_origin_it_is(handler_peer: Any) -> None:
    peer = handler_peer(
        lambda request: (
            Reply(302, {"Location": peer.url_for("/b", host="localhost")}) if request.path == "/a" else Reply(200, {}, "b")
        )
    )
    auth = Scripted()
    with EsriSession(auth=auth, trusted_origins=[peer.url_for("", host="localhost")]) as session:
        session.get(peer.url + "/a")
    first, second = auth.audiences
    assert (first.origin, first.own, first.is_trusted) == (peer.origin, True, False)
    assert (second.origin.host, second.own, second.is_trusted) == ("localhost", False, True)


def test_auth_of_a_call_takes_the_place_of_the_sessions_and_drop_auth_leaves_both_out(echo: Any) -> None:
    with EsriSession(auth=Scripted(lambda request, wire: request.with_header("X-Who", "session"))) as session:
        call = Scripted(lambda request, wire: request.with_header("X-Who", "call"))
        assert session.get(echo.url, auth=call).json()["x-who"] == "call"
        assert session.get(echo.url).json()["x-who"] == "session"
        assert "x-who" not in session.get(echo.url, auth=call, drop_auth=True).json()
        session.auth = None
        assert "x-who" not in session.get(echo.url).json()


def test_a_wire_without_a_lane_has_no_certificate_no_memory_and_nothing_to_pin(echo: Any, fake_clock: Any) -> None:
    seen: list[Any] = []

    def before(request: Request, wire: Any) -> Request:
        wire.pin()
        wire.memory["x"] = 1
        seen.append((wire.peer_certificate, wire.memory, wire.clock, wire.referer))
        return request

    with EsriSession(auth=Scripted(before), clock=fake_clock, referer="https://app.example") as session:
        session.get(echo.url)
    assert seen == [(None, {}, fake_clock, "https://app.example")]


def test_a_handlers_own_request_carries_nothing_of_the_callers(echo: Any) -> None:
    with EsriSession(auth=Scripted(fetch()), headers={"X-Session": "1"}) as session:
        session.post(echo.url + "/data", data={"a": 1}, headers={"X-Call": "1"}, cookies={"mine": "1"})
    own, asked = echo.requests
    assert {name.lower() for name, _ in own.headers} == {"host", "x-handler", "referer", "accept-encoding", "user-agent"}
    assert own.body == b""
    assert asked.headers["X-Token"] == "200"
    assert asked.headers["Cookie"] == "mine=1"


def test_a_handlers_own_request_follows_no_redirect(handler_peer: Any) -> None:
    peer = handler_peer(lambda request: Reply(302, {"Location": "/elsewhere"}) if request.path == "/token" else Reply(200))
    with EsriSession(auth=Scripted(fetch())) as session:
        session.get(peer.url + "/data")
        assert idle_connections(session) == 1
    assert [request.path for request in peer.requests] == ["/token", "/data"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_handlers_own_request_is_not_sent_again_once_it_may_have_arrived(handler_peer: Any, method: str) -> None:
    peer = handler_peer(lambda request: DROP)
    session = EsriSession(auth=Scripted(fetch(method=method)), retries=5, backoff_factor=0)
    with session, pytest.raises(ConnectionLostError):
        session.get(peer.url)
    assert len(peer.requests) == 1


def test_a_status_on_the_retry_list_is_the_handlers_to_judge(handler_peer: Any) -> None:
    peer = handler_peer(lambda request: Reply(503 if request.path == "/token" else 200))
    with EsriSession(auth=Scripted(fetch()), retries=5, backoff_factor=0) as session:
        session.get(peer.url + "/data")
    assert [request.headers.get("X-Token") for request in peer.requests] == [None, "503"]


def test_the_deadline_of_the_call_covers_what_handlers_send(handler_peer: Any, fake_clock: Any) -> None:
    def slow(request: RecordedRequest) -> Reply:
        fake_clock.advance(20)
        return Reply(200)

    def after(request: Request, response: Any, wire: Any) -> Any:
        assert wire.deadline.remaining() <= 30
        return REPLAY

    peer = handler_peer(slow)
    session = EsriSession(auth=Scripted(fetch(), after), clock=fake_clock, deadline=50)
    with session, pytest.raises(DeadlineExceededError, match="50 s"):
        session.get(peer.url)
    assert [request.path for request in peer.requests] == ["/token", "/", "/token"]


def test_a_replay_gets_no_fresh_allowance_of_retries(handler_peer: Any, fake_clock: Any) -> None:
    peer = handler_peer(lambda request: Reply(503))
    auth = Scripted(after=lambda request, response, wire: REPLAY if len(peer.requests) < 6 else ACCEPT)
    with EsriSession(auth=auth, retries=3, backoff_factor=0, clock=fake_clock) as session:
        assert session.get(peer.url).status_code == 503
    assert len(peer.requests) == 6  # 1 + 3 retries, then 2 replays of one try each


def test_the_answer_of_a_replay_is_all_that_is_left_of_the_first(echo: Any) -> None:
    replays = iter([REPLAY, ACCEPT])
    with EsriSession(auth=Scripted(after=lambda request, response, wire: next(replays))) as session:
        response = session.get(echo.url, stream=True)
        assert response.history == []
        assert response.json()["host"] == echo.origin.authority
        assert idle_connections(session) == echo.connections == 1


def test_a_long_answer_is_not_read_to_the_end_for_a_replay(handler_peer: Any) -> None:
    replays = iter([REPLAY, ACCEPT])
    peer = handler_peer(
        lambda request: (
            Reply(401, {"Content-Length": str(1 << 40)}, iter([b"x"]), close=True)
            if len(peer.requests) == 1
            else Reply(200, {}, "in")
        )
    )
    with EsriSession(auth=Scripted(after=lambda request, response, wire: next(replays))) as session:
        assert session.get(peer.url).text == "in"
    assert peer.connections == 2


@pytest.mark.parametrize("chained", [False, True])
@pytest.mark.parametrize("forgets", ["begin", "before_request", "on_response"])
def test_a_handler_that_forgets_to_return_is_told_so(echo: Any, forgets: str, chained: bool) -> None:
    class Forgetful(Scripted):
        def begin(self, audience: Any) -> Any:
            return None if forgets == "begin" else super().begin(audience)

    def nothing(*_: Any) -> None:
        pass

    auth: Any = Forgetful(nothing if forgets == "before_request" else None, nothing if forgets == "on_response" else None)
    with EsriSession(auth=auth + Scripted() if chained else auth) as session:
        with pytest.raises(ConfigurationError, match=rf"{forgets}\(\) has returned nothing"):
            session.get(echo.url)
        assert session.get(echo.url, drop_auth=True).ok
        assert idle_connections(session) == 1
    assert len(echo.requests) == 1 + (forgets == "on_response")
