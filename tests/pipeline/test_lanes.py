"""Sign-ins that live on the connection: lanes keep them apart from everybody else, and lose nothing."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from esri_http import EsriSession
from esri_http.words.errors import BodyNotReplayableError, ConnectionLostError, EsriHttpError, SignInError

from ..support.bound_scheme import BoundAuth, BoundServer
from ..support.http_messages import DROP, RecordedRequest, Reply
from ..support.sessions import collect_garbage, idle_connections, idle_lanes, leased_lanes, on_threads, transports


@pytest.fixture
def bound(handler_peer: Any) -> Any:
    """`bound(fault=None, **options)`: a server that signs in connections, and its peer."""

    def start(fault: Any = None, **options: Any) -> Any:
        server = BoundServer(fault)
        return server, handler_peer(server, **options)

    return start


def test_eight_threads_sign_in_once_per_connection_and_lose_no_call(bound: Any) -> None:
    server, peer = bound()
    with EsriSession(auth=BoundAuth("amy")) as session:
        answers = on_threads(8, lambda _: [session.get(peer.url).json()["user"] for _ in range(20)])
        assert answers == [["amy"] * 20] * 8
        assert server.mixed_up == 0
        assert server.finished == peer.connections <= 8
        assert leased_lanes(session) == 0
        assert idle_lanes(session) == peer.connections


def test_an_anonymous_request_is_never_served_on_a_signed_in_connection(bound: Any) -> None:
    _server, peer = bound()
    with EsriSession(auth=BoundAuth("amy")) as session:
        assert session.get(peer.url + "/public").json()["user"] == "amy"
        assert session.get(peer.url + "/public", drop_auth=True).json()["user"] is None
        assert session.get(peer.url, drop_auth=True).status_code == 401
        assert session.get(peer.url + "/public").json()["user"] == "amy"


def test_another_user_gets_connections_of_their_own(bound: Any) -> None:
    server, peer = bound()
    with EsriSession() as session:
        users = [BoundAuth(name) for name in ("amy", "bob", "cid")] * 6
        answers = on_threads(6, lambda auth: session.get(peer.url, auth=auth).json(), users)
    assert [answer["user"] for answer in answers] == [auth.user for auth in users]
    owners: dict[int, set[str]] = {}
    for answer in answers:
        owners.setdefault(answer["connection"], set()).add(answer["user"])
    assert all(len(names) == 1 for names in owners.values())
    assert server.mixed_up == 0


def test_two_handlers_with_the_same_identity_share_a_warm_lane(bound: Any) -> None:
    server, peer = bound()
    with EsriSession() as session:
        for _ in range(3):
            assert session.get(peer.url, auth=BoundAuth("amy")).ok
    assert (server.finished, peer.connections) == (1, 1)


def test_a_refused_sign_in_gives_the_last_answer_and_the_lane_back(bound: Any) -> None:
    server, peer = bound()
    with EsriSession(auth=BoundAuth("stranger")) as session:
        assert session.get(peer.url).status_code == 401
        assert leased_lanes(session) == 0
        assert session.get(peer.url).status_code == 401
    assert (server.finished, server.mixed_up, len(peer.requests)) == (0, 0, 6)


@pytest.mark.parametrize("leg", [2, 3])
def test_a_connection_lost_between_two_legs_restarts_the_sign_in_once(bound: Any, leg: int) -> None:
    lost: list[int] = []

    def fault(request: RecordedRequest, current: int) -> Reply | None:
        if current == leg - 1 and not lost:
            lost.append(request.connection)
            return Reply(401, {"WWW-Authenticate": f"Bound {request.connection}.{current}"}, "go on", close=True)
        return None

    server, peer = bound(fault)
    with EsriSession(auth=BoundAuth("amy")) as session:
        assert session.get(peer.url).json() == {"user": "amy", "connection": 2, "received": 0}
        assert leased_lanes(session) == 0
    assert (server.finished, peer.connections, server.mixed_up) == (1, 2, 0)


@pytest.mark.parametrize("leg", [1, 2])
def test_a_server_that_hangs_up_in_every_sign_in_is_a_clear_error(bound: Any, leg: int) -> None:
    def fault(request: RecordedRequest, current: int) -> Reply | None:
        number = f"Bound {request.connection}.{current}"
        return Reply(401, {"WWW-Authenticate": number}, "go on", close=True) if current == leg else None

    _server, peer = bound(fault)
    with EsriSession(auth=BoundAuth("amy"), backoff_factor=0) as session:
        with pytest.raises(ConnectionLostError, match="in the middle of every sign-in"):
            session.post(peer.url, data=b"body")
        assert leased_lanes(session) == idle_lanes(session) == 0
    assert peer.connections == 2
    assert all(request.body_length == 0 for request in peer.requests)


def test_a_socket_dropped_without_a_word_between_legs_is_no_silent_reconnect(bound: Any) -> None:
    def fault(request: RecordedRequest, leg: int) -> Reply | None:
        return DROP if leg == 2 else None

    server, peer = bound(fault)
    with EsriSession(auth=BoundAuth("amy"), backoff_factor=0) as session, pytest.raises(ConnectionLostError):
        session.get(peer.url)
    assert server.mixed_up == 0
    assert peer.connections == 2
    assert [request.headers["Authorization"].split()[1] for request in peer.requests] == ["1", "2", "1", "2"]


def test_an_answer_that_closes_the_connection_makes_the_next_call_sign_in_anew(bound: Any) -> None:
    server, peer = bound()
    with EsriSession(auth=BoundAuth("amy")) as session:
        session.get(peer.url)
        peer.handler = lambda request: server(request) if request.path != "/last" else Reply(200, {}, "bye", close=True)
        assert session.get(peer.url + "/last").text == "bye"
        assert session.get(peer.url).json() == {"user": "amy", "connection": 2, "received": 0}
        assert leased_lanes(session) == 0
    assert server.finished == 2


@pytest.mark.parametrize("pins", [True, False])
def test_idle_lanes_that_the_server_closed_are_not_counted_on(bound: Any, pins: bool) -> None:
    server, peer = bound()
    ready = threading.Barrier(3)
    with EsriSession(auth=BoundAuth("amy", pins)) as session:
        on_threads(3, lambda _: _read_together(session, peer.url + "/large", ready))
        assert idle_lanes(session) == peer.connections == 3
        peer.close_connections()
        assert session.post(peer.url, data=b"x" * 1000).json()["received"] == 1000
    bodies = [request.body_length for request in peer.requests if request.method == "POST"]
    assert bodies == [0, 0, 1000]
    assert server.finished == 4


def test_a_warm_lane_that_dies_at_its_next_use_is_followed_by_a_new_one_not_by_another_warm_one(bound: Any) -> None:
    server, peer = bound()
    ready = threading.Barrier(3)
    with EsriSession(auth=BoundAuth("amy"), backoff_factor=0) as session:
        on_threads(3, lambda _: _read_together(session, peer.url + "/large", ready))
        server.fault = lambda request, leg: DROP if leg == 0 else None
        assert session.get(peer.url).json() == {"user": "amy", "connection": 4, "received": 0}
        assert leased_lanes(session) == 0


def test_what_a_scheme_remembers_of_a_connection_ends_with_it(bound: Any) -> None:
    dropped: list[int] = []

    def fault(request: RecordedRequest, leg: int) -> Reply | None:
        if request.path == "/dropped" and not dropped:
            dropped.append(leg)
            return DROP
        return None

    server, peer = bound(fault)
    with EsriSession(auth=BoundAuth("amy", pins=False), backoff_factor=0) as session:
        session.get(peer.url)
        assert session.get(peer.url + "/dropped").json()["user"] == "amy"
    assert dropped == [0]
    assert server.finished == 2


def _read_together(session: EsriSession, url: str, ready: threading.Barrier) -> None:
    with session.get(url, stream=True) as response:
        ready.wait(10)
        assert len(response.content) == 48 * 65536


@pytest.mark.parametrize("end", ["read", "iterate", "close", "error", "forget"])
def test_a_lane_is_held_while_its_answer_is_streamed_and_no_longer(bound: Any, end: str) -> None:
    def fault(request: RecordedRequest, leg: int) -> Reply | None:
        return Reply(200, {"Content-Length": "5000000"}, (b"x" * 65536,), close=True) if end == "error" and leg == 3 else None

    server, peer = bound(fault)
    with EsriSession(auth=BoundAuth("amy")) as session:
        response = session.get(peer.url + "/large", stream=True)
        assert (leased_lanes(session), idle_lanes(session)) == (1, 0)
        if end == "read":
            assert len(response.content) == 48 * 65536
        elif end == "iterate":
            assert sum(map(len, response.iter_content(10_000))) == 48 * 65536
        elif end == "close":
            response.close()
        elif end == "error":
            with pytest.raises(ConnectionLostError):
                response.content  # noqa: B018
        else:
            del response
            collect_garbage()
        assert leased_lanes(session) == 0
        assert idle_lanes(session) == (1 if end in ("read", "iterate") else 0)
        server.fault = None
        assert session.get(peer.url).json()["connection"] == (1 if end in ("read", "iterate") else 2)


def test_an_answer_may_be_forgotten_by_the_thread_that_is_at_the_lanes(bound: Any) -> None:
    _server, peer = bound()
    with EsriSession(auth=BoundAuth("amy")) as session:
        response = session.get(peer.url + "/large", stream=True)
        with transports(session)[0].lanes._lock:  # as when garbage is collected in there
            del response
            collect_garbage()
        assert leased_lanes(session) == 0


def test_leasing_never_blocks_however_many_answers_are_held(bound: Any) -> None:
    _server, peer = bound()
    with EsriSession(auth=BoundAuth("amy")) as session:
        held = [session.get(peer.url + "/large", stream=True) for _ in range(12)]
        assert leased_lanes(session) == 12
        for response in held:
            response.close()
        assert leased_lanes(session) == idle_lanes(session) == 0


def test_a_large_body_crosses_once_when_the_scheme_holds_it_back(bound: Any, tmp_path: Path) -> None:
    _server, peer = bound(keep_bodies=False)
    file = tmp_path / "roads.gdb.zip"
    file.write_bytes(b"z" * 3_000_000)
    with EsriSession(auth=BoundAuth("amy")) as session, file.open("rb") as opened:
        assert session.post(peer.url, data=opened).json()["received"] == 3_000_000
        assert [request.body_length for request in peer.requests] == [0, 0, 3_000_000]
        assert session.post(peer.url, data=iter([b"a" * 1000] * 5)).json()["received"] == 5000
    assert [request.body_length for request in peer.requests] == [0, 0, 3_000_000, 5000]


def test_a_one_shot_body_survives_the_handshake_of_a_cold_lane(bound: Any) -> None:
    _server, peer = bound()
    with EsriSession(auth=BoundAuth("amy")) as session:
        assert session.post(peer.url, data=iter([b"one", b"two"])).json()["received"] == 6
    assert [request.body_length for request in peer.requests] == [0, 0, 6]


def test_a_one_shot_body_lost_with_its_connection_is_never_sent_empty(bound: Any) -> None:
    _server, peer = bound(lambda request, leg: DROP if leg == 3 else None)
    with EsriSession(auth=BoundAuth("amy"), backoff_factor=0) as session:
        with pytest.raises((BodyNotReplayableError, ConnectionLostError)):
            session.put(peer.url, data=iter([b"one", b"two"]))
        assert leased_lanes(session) == 0
    assert [request.body_length for request in peer.requests][:3] == [0, 0, 6]
    assert all(request.body_length == 6 for request in peer.requests if request.headers["Authorization"].startswith("Bound 3"))


def test_the_certificate_of_the_server_is_there_for_channel_binding(bound: Any, ca: Any) -> None:
    _server, peer = bound(tls=True)
    auth = BoundAuth("amy")
    with EsriSession(auth=auth, ca_bundles=str(ca.file)) as session:
        assert session.get(peer.url_for(host="localhost")).json()["user"] == "amy"
    (certificate,) = auth.certificates
    assert certificate is not None
    assert certificate.startswith(b"\x30\x82")


def test_there_is_no_certificate_without_tls(bound: Any) -> None:
    _server, peer = bound()
    auth = BoundAuth("amy")
    with EsriSession(auth=auth) as session:
        session.get(peer.url)
    assert auth.certificates == [None]


def test_the_legs_stay_together_in_a_tunnel_through_a_proxy(bound: Any, proxy_peer: Any, ca: Any) -> None:
    server, peer = bound(tls=True)
    proxy = proxy_peer(names={"gis.example": ("127.0.0.1", peer.port)})
    auth = BoundAuth("amy")
    identity = ca.server("gis.example")
    peer._tls.load_cert_chain(str(identity.cert_file), str(identity.key_file))
    with EsriSession(auth=auth, ca_bundles=str(ca.file), proxies={"https": proxy.url}) as session:
        url = f"https://gis.example:{peer.port}/"
        assert on_threads(4, lambda _: [session.get(url).json()["user"] for _ in range(3)]) == [["amy"] * 3] * 4
        assert session.get(url + "public", drop_auth=True).json()["user"] is None
        assert leased_lanes(session) == 0
    assert server.mixed_up == 0
    assert server.finished == len(proxy.tunnels) - 1 <= 4
    assert all(certificate for certificate in auth.certificates)


def test_the_name_of_a_server_that_is_addressed_by_ip_holds_for_lanes_too(bound: Any, ca: Any) -> None:
    _server, peer = bound(tls=ca.server("gis.example"))
    with EsriSession(auth=BoundAuth("amy"), ca_bundles=str(ca.file)) as session:
        assert session.get(peer.url, headers={"Host": "gis.example"}).json()["user"] == "amy"
    assert set(peer.server_names) == {"gis.example"}
    assert {request.headers["Host"] for request in peer.requests} == {"gis.example"}


def test_closing_the_session_closes_leased_lanes_when_they_come_back(bound: Any) -> None:
    server, peer = bound()
    session = EsriSession(auth=BoundAuth("amy"))
    response = session.get(peer.url + "/large", stream=True)
    session.close()
    assert len(response.content) == 48 * 65536
    assert leased_lanes(session) == idle_lanes(session) == 0
    peer.wait_until(lambda: not peer._open)
    assert session.get(peer.url).json()["connection"] == 2
    session.close()
    assert server.finished == 2


def test_a_handshake_that_never_ends_is_given_up(bound: Any) -> None:
    def fault(request: RecordedRequest, leg: int) -> Reply | None:
        return Reply(401, {"WWW-Authenticate": f"Bound {request.connection}.{leg}"}, "go on")

    class Endless(BoundAuth):
        def begin(self, audience: Any) -> Any:
            run = super().begin(audience)
            given = run.on_response

            def always_again(request: Any, response: Any, wire: Any) -> Any:
                run._leg = 0
                return given(request, response, wire)

            run.on_response = always_again  # type: ignore[method-assign]
            return run

    _server, peer = bound(fault)
    with EsriSession(auth=Endless("amy")) as session:
        with pytest.raises(SignInError, match="does not come to an end"):
            session.get(peer.url)
        assert leased_lanes(session) == idle_lanes(session) == 0
    assert len(peer.requests) < 20
    assert peer.connections == 1


def test_what_another_handler_sends_while_a_lane_is_held_takes_a_lane_of_its_own(bound: Any) -> None:
    from esri_http.auth.base import ACCEPT, AuthRun, BaseEsriAuth

    asked: list[Any] = []

    class Asks(BaseEsriAuth):
        def begin(self, audience: Any) -> AuthRun:
            class Run(AuthRun):
                def on_response(self, request: Any, response: Any, wire: Any) -> Any:
                    from esri_http.messages.request import Request

                    asked.append(wire.send(Request("GET", request.origin, "/token", {})).json())
                    return ACCEPT

            return Run()

    server, peer = bound()
    with EsriSession(auth=BoundAuth("amy") + Asks()) as session:
        with session.get(peer.url + "/large", stream=True) as response:
            assert len(response.content) == 48 * 65536
        assert session.get(peer.url).json()["user"] == "amy"
        assert leased_lanes(session) == 0
    assert [answer["user"] for answer in asked] == ["amy", "amy"]
    assert server.mixed_up == 0


def test_an_error_of_the_handler_gives_the_lane_back(bound: Any) -> None:
    class Broken(BoundAuth):
        def begin(self, audience: Any) -> Any:
            run = super().begin(audience)

            def fails(request: Any, response: Any, wire: Any) -> Any:
                raise ZeroDivisionError

            run.on_response = fails  # type: ignore[method-assign]
            return run

    _server, peer = bound()
    with EsriSession(auth=Broken("amy")) as session:
        with pytest.raises(ZeroDivisionError):
            session.get(peer.url)
        assert leased_lanes(session) == idle_lanes(session) == idle_connections(session) == 0


def test_a_server_that_cannot_be_reached_leaves_no_lane_behind(bound: Any) -> None:
    _server, peer = bound()
    peer.stop()
    with EsriSession(auth=BoundAuth("amy"), retries=0) as session:
        with pytest.raises(EsriHttpError):
            session.get(peer.url)
        assert leased_lanes(session) == idle_lanes(session) == 0


@pytest.mark.parametrize("end", ["read", "close"])
def test_a_handler_that_sends_the_request_again_by_itself_gives_both_lanes_back(bound: Any, end: str) -> None:
    def again(response: Any, **_: Any) -> Any:
        return response.connection.send(response.request.copy())

    def callable_auth(request: Any) -> Any:
        request.register_hook("response", again)
        return request

    _server, peer = bound()
    with EsriSession(auth=BoundAuth("amy") + callable_auth) as session:
        response = session.get(peer.url + "/large", stream=True)
        assert leased_lanes(session) == 2
        if end == "read":
            assert len(response.content) == 48 * 65536
        response.close()
        assert leased_lanes(session) == 0
