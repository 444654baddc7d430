"""``a + b``: who is asked when, through whom each sends, and whose answer counts."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import requests.auth

from esri_http import ACCEPT, REPLAY, AuthRun, BaseEsriAuth, EsriBasicAuth, EsriSession, EsriUserTokenAuth
from esri_http.auth.chain import AuthChain
from esri_http.messages.request import Request
from esri_http.words.errors import BodyNotReplayableError, ConfigurationError, SignInError

from ..support.http_messages import RecordedRequest, Reply, json_reply
from ..support.sessions import collect_garbage, idle_connections, on_threads


class Tracer(BaseEsriAuth):
    """Notes when it is asked, signs with its name, and says what it was told to say, each time the next of `verdicts`."""

    def __init__(self, name: str, *verdicts: Any, log: list[str] | None = None, fetch: str | None = None) -> None:
        self.name = name
        self.verdicts = verdicts
        self.log = [] if log is None else log
        self.fetch = fetch
        self.runs: list[AuthRun] = []

    def begin(self, audience: Any) -> AuthRun:
        run = _TracerRun(self)
        self.runs.append(run)
        return run


class _TracerRun(AuthRun):
    def __init__(self, auth: Tracer) -> None:
        self._auth = auth
        self._verdicts = iter(auth.verdicts)
        self.threads: set[int] = set()

    def before_request(self, request: Request, wire: Any) -> Request:
        self.threads.add(threading.get_ident())
        self._auth.log.append(f"{self._auth.name} before {request.path}")
        if self._auth.fetch and request.path != self._auth.fetch:
            token = wire.send(Request("GET", request.origin, self._auth.fetch, {})).text
            request = request.with_header("X-Fetched", token)
        signed = request.header("X-Signed")
        return request.with_header("X-Signed", f"{signed},{self._auth.name}" if signed else self._auth.name)

    def on_response(self, request: Request, response: Any, wire: Any) -> Any:
        self._auth.log.append(f"{self._auth.name} after {response.status_code}")
        verdict = next(self._verdicts, ACCEPT)
        return verdict(request, response, wire) if callable(verdict) else verdict


@pytest.fixture
def echo(handler_peer: Any) -> Any:
    """A server that says how a request was signed."""
    return handler_peer(lambda request: Reply(200, {"Content-Type": "text/plain"}, request.headers.get("X-Signed") or "nobody"))


def test_the_left_handler_is_asked_first_both_ways(echo: Any) -> None:
    log: list[str] = []
    with EsriSession(auth=Tracer("a", log=log) + Tracer("b", log=log) + Tracer("c", log=log)) as session:
        assert session.get(echo.url + "/x").text == "a,b,c"
    assert log == ["a before /x", "b before /x", "c before /x", "a after 200", "b after 200", "c after 200"]


def test_ampersand_means_the_same_as_plus() -> None:
    a, b, c = Tracer("a"), Tracer("b"), Tracer("c")
    assert list(a & b & c) == list(a + b + c) == [a, b, c]


def test_chains_flatten_whatever_the_brackets() -> None:
    a, b, c, d = (Tracer(name) for name in "abcd")
    for chain in (((a + b) + c) + d, a + (b + (c + d)), (a + b) + (c + d), AuthChain(a, AuthChain(b, c), d)):
        assert chain.handlers == (a, b, c, d)


def test_a_pair_and_a_foreign_handler_take_part_on_either_side(handler_peer: Any) -> None:
    peer = handler_peer(lambda request: json_reply(dict(request.headers.pairs)))
    token = EsriUserTokenAuth("the-token")
    for chain in (("amy", "secret") + token, token + ("amy", "secret"), requests.auth.HTTPBasicAuth("amy", "secret") + token):
        with EsriSession(auth=chain) as session:
            fields = session.get(peer.url).json()
        assert fields["Authorization"] == "Basic YW15OnNlY3JldA=="
        assert fields["X-Esri-Authorization"] == "Bearer the-token"


def test_a_chain_with_what_is_no_handler_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="handler"):
        Tracer("a") + 3


def test_what_a_handler_sends_goes_through_those_to_its_left_only(handler_peer: Any) -> None:
    def answer(request: RecordedRequest) -> Reply:
        return Reply(200, {}, f"{request.path} signed by {request.headers.get('X-Signed')}")

    peer = handler_peer(answer)
    log: list[str] = []
    chain = Tracer("a", log=log) + Tracer("b", log=log, fetch="/token") + Tracer("c", log=log)
    with EsriSession(auth=chain, headers={"X-Mine": "1"}) as session:
        assert session.get(peer.url + "/data").text == "/data signed by a,b,c"
    fetched, asked = peer.requests
    assert (fetched.path, fetched.headers["X-Signed"]) == ("/token", "a")
    assert "X-Mine" not in fetched.headers
    assert fetched.headers["Referer"] == "http"
    assert asked.headers["X-Fetched"] == "/token signed by a"
    assert log[:4] == ["a before /data", "b before /data", "a before /token", "a after 200"]


def test_the_leftmost_handler_sends_bare(handler_peer: Any) -> None:
    peer = handler_peer(lambda request: Reply(200, {}, "t"))
    with EsriSession(auth=Tracer("a", fetch="/token") + Tracer("b")) as session:
        session.get(peer.url + "/data")
    assert ["X-Signed" in request.headers for request in peer.requests] == [False, True]


def test_the_first_replay_wins_and_all_are_asked_again(echo: Any) -> None:
    log: list[str] = []
    with EsriSession(auth=Tracer("a", REPLAY, log=log) + Tracer("b", REPLAY, log=log)) as session:
        assert session.get(echo.url + "/x").text == "a,b"
    assert len(echo.requests) == 3
    assert log == [
        *("a before /x", "b before /x", "a after 200"),
        *("a before /x", "b before /x", "a after 200", "b after 200"),
        *("a before /x", "b before /x", "a after 200", "b after 200"),
    ]
    assert echo.connections == 1


def test_a_replay_begins_with_the_request_of_the_caller_not_with_the_signed_one(echo: Any) -> None:
    with EsriSession(auth=Tracer("a", REPLAY, REPLAY)) as session:
        assert session.get(echo.url).text == "a"


def other(request: Request, response: Any, wire: Any) -> Any:
    """A verdict: ask for something else and answer with that."""
    return wire.send(Request("GET", request.origin, "/other", {}))


def test_another_response_takes_the_place_of_the_first(handler_peer: Any) -> None:
    peer = handler_peer(lambda request: Reply(200, {}, request.path))
    log: list[str] = []
    with EsriSession(auth=Tracer("a", other, log=log) + Tracer("b", log=log)) as session:
        response = session.get(peer.url + "/data")
        assert (response.text, response.url) == ("/other", peer.url + "/other")
        assert idle_connections(session) == peer.connections
    assert log[-1] == "b after 200"


@pytest.mark.parametrize("stream", [False, True])
def test_a_replaced_response_gives_its_connection_back(handler_peer: Any, stream: bool) -> None:
    peer = handler_peer(lambda request: Reply(404, {}, request.path * 1000))
    with EsriSession(auth=Tracer("a", other) + Tracer("b", other) + Tracer("c", other)) as session:
        response = session.get(peer.url + "/data", stream=stream)
        assert response.text == "/other" * 1000
        assert idle_connections(session) == peer.connections
    collect_garbage()


def test_a_handler_by_itself_may_replace_the_response_too(handler_peer: Any) -> None:
    peer = handler_peer(lambda request: Reply(404, {}, request.path * 1000))
    kept: list[Any] = []

    def keep(request: Request, response: Any, wire: Any) -> Any:
        kept.append(response)
        return other(request, response, wire)

    with EsriSession(auth=Tracer("a", keep)) as session:
        assert session.get(peer.url + "/data", stream=True).text == "/other" * 1000
        assert idle_connections(session) == peer.connections == 2


def test_a_replay_after_a_replacement_leaves_no_connection_behind(handler_peer: Any) -> None:
    peer = handler_peer(lambda request: Reply(404, {}, request.path * 1000))
    with EsriSession(auth=Tracer("a", other) + Tracer("b", REPLAY)) as session:
        assert session.get(peer.url + "/data").text == "/data" * 1000
        assert idle_connections(session) == peer.connections
    assert [request.path for request in peer.requests] == ["/data", "/other", "/data"]


def test_an_error_after_a_replacement_leaves_no_connection_behind(handler_peer: Any) -> None:
    kept: list[Any] = []

    def fails(request: Request, response: Any, wire: Any) -> Any:
        kept.append(response)
        raise ZeroDivisionError

    peer = handler_peer(lambda request: Reply(404, {}, (b"x" * 65536 for _ in range(40))))
    session = EsriSession(auth=Tracer("a", other) + Tracer("b", fails))
    with pytest.raises(ZeroDivisionError):
        session.get(peer.url + "/data", stream=True)
    peer.wait_until(lambda: not peer._open)
    session.close()


def test_a_handler_that_always_replays_ends_with_an_error(echo: Any) -> None:
    auth = Tracer("a", *([REPLAY] * 1000))
    with EsriSession(auth=auth) as session:
        with pytest.raises(SignInError, match="does not come to an end") as caught:
            session.get(echo.url + "/x?token=secret")
        assert idle_connections(session) == 1
    assert caught.value.url == echo.url + "/x?…"
    assert len(echo.requests) == 9


def test_handlers_that_send_for_ever_within_each_other_are_stopped(echo: Any) -> None:
    class Insatiable(BaseEsriAuth):
        def begin(self, audience: Any) -> AuthRun:
            class Run(AuthRun):
                def on_response(self, request: Request, response: Any, wire: Any) -> Any:
                    while True:
                        wire.send(Request("GET", request.origin, "/again", {}))

            return Run()

    from esri_http.words.errors import TransportError

    with EsriSession(auth=Insatiable()) as session, pytest.raises(TransportError, match="given up after 100 requests"):
        session.get(echo.url)
    assert len(echo.requests) == 100


def test_a_body_that_can_be_read_once_is_not_replayed_empty(echo: Any) -> None:
    with EsriSession(auth=Tracer("a", REPLAY)) as session:
        with pytest.raises(BodyNotReplayableError, match="read only once"):
            session.post(echo.url, data=iter([b"one"]))
        assert session.post(echo.url, data=b"two").ok
    assert [request.body for request in echo.requests] == [b"one", b"two", b"two"]


def test_the_token_of_a_chain_is_that_of_its_outermost_handler_with_one() -> None:
    basic = EsriBasicAuth(None, "amy", "secret")
    portal, other_portal = EsriUserTokenAuth("portal-token"), EsriUserTokenAuth("other-token")
    assert (basic + portal).token == "portal-token"
    assert (portal + basic).token == "portal-token"
    assert (portal + other_portal).token == "other-token"
    assert (basic + Tracer("a")).token is None


def test_the_repr_of_a_chain_names_its_parts_and_no_secret() -> None:
    shown = repr(EsriBasicAuth(None, "amy", "secret") + EsriUserTokenAuth("the-token"))
    assert "amy" in shown
    assert " + " in shown
    assert "secret" not in shown
    assert "the-token" not in shown


def test_every_request_has_a_run_of_its_own_on_every_thread(echo: Any) -> None:
    a, b = Tracer("a", REPLAY), Tracer("b")
    with EsriSession(auth=a + b) as session:
        assert on_threads(8, lambda _: [session.get(echo.url).text for _ in range(10)]) == [["a,b"] * 10] * 8
    assert len(a.runs) == len(b.runs) == 80
    assert len(echo.requests) == 160
    assert all(len(run.threads) == 1 for run in a.runs)  # type: ignore[attr-defined]


def test_one_chain_serves_several_sessions_at_once(echo: Any) -> None:
    chain = Tracer("a") + Tracer("b")

    def work(_: int) -> str:
        with EsriSession(auth=chain) as session:
            return session.get(echo.url).text

    assert on_threads(8, work) == ["a,b"] * 8


def test_a_redirect_to_another_origin_begins_the_sign_in_anew(handler_peer: Any) -> None:
    target = handler_peer(lambda request: Reply(200, {}, request.headers.get("X-Signed") or "nobody"))
    peer = handler_peer(lambda request: Reply(302, {"Location": target.url_for("/there", host="localhost")}))
    auth = Tracer("a")
    with EsriSession(auth=auth + EsriBasicAuth(None, "amy", "secret")) as session:
        assert session.get(peer.url).text == "a"
    assert len(auth.runs) == 2
    assert "Authorization" in peer.requests[0].headers
    assert "Authorization" not in target.requests[0].headers
