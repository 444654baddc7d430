"""NTLM against pyspnego's own acceptor: the legs on the wire, whose connection it is, and what is refused."""

from __future__ import annotations

import pickle
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from esri_http import (
    ArcGISLoginError,
    ConfigurationError,
    ConnectionLostError,
    EsriHttpNegotiateAuth,
    EsriHttpNtlmAuth,
    EsriSession,
    EsriWindowsAuth,
    MissingPackageError,
    SignInError,
)
from esri_http.auth.handshake.channel_bindings import end_point_binding

from ..support.http_messages import DROP, RecordedRequest, Reply
from ..support.ntlm_server import NtlmServer, known_users
from ..support.sessions import idle_lanes, leased_lanes, on_threads
from .helpers import assert_hidden

HANDLERS = {"ntlm": EsriHttpNtlmAuth, "windows": EsriWindowsAuth}
every_handler = pytest.mark.parametrize("handler", list(HANDLERS.values()), ids=list(HANDLERS))
every_offer = pytest.mark.parametrize("schemes", [("NTLM",), ("Negotiate",), ("Negotiate", "NTLM")], ids=" ".join)
PASSWORD = "amys-secret"


@pytest.fixture(autouse=True)
def users(no_realm: None, tmp_path: Path) -> Iterator[None]:
    """The users that the servers know."""
    with known_users(tmp_path):
        yield


@pytest.fixture
def served(handler_peer: Any, users: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`served(schemes=("NTLM",), tls=False, ...)`: a server and its peer."""

    def start(schemes: tuple[str, ...] = ("NTLM",), *, binding: bytes | None = None, fault: Any = None, **options: Any) -> Any:
        server = NtlmServer(schemes, binding, fault)
        return server, handler_peer(server, **options)

    return start


def amy(handler: Any = EsriHttpNtlmAuth, **options: Any) -> Any:
    return handler(None, "AD\\amy", PASSWORD, **options)


def legs(peer: Any, since: int = 0) -> list[tuple[str, int]]:
    """Method and length of the body of what came in."""
    return [(request.method, request.body_length) for request in peer.requests[since:]]


def closing(reply: Reply) -> Reply:
    """`reply` as the last on its connection."""
    return Reply(reply.status, reply.headers, reply.body, close=True)


# -- right ---------------------------------------------------------------------------------------------------------------


@every_handler
@every_offer
def test_ten_calls_are_three_requests_for_the_first_and_one_for_each_other(served: Any, handler: Any, schemes: Any) -> None:
    server, peer = served(schemes)
    with EsriSession(auth=amy(handler)) as session:
        assert [session.get(peer.url).json()["user"] for _ in range(10)] == ["amy"] * 10
    assert (len(peer.requests), peer.connections, server.finished) == (12, 1, 1)


@every_handler
@pytest.mark.parametrize(
    "username, password",
    [("AD\\amy", PASSWORD), ("AD/amy", PASSWORD), ("AD\\jürgen", "pässwört-1"), ("AD\\nobody", "")],
    ids=["backslash", "slash", "not ascii", "empty password"],
)
def test_users_as_they_write_their_names(served: Any, handler: Any, username: str, password: str) -> None:
    _server, peer = served()
    with EsriSession(auth=handler(None, username, password)) as session:
        assert session.get(peer.url).json()["user"] == username.replace("/", "\\").rpartition("\\")[2]


@every_offer
def test_a_large_post_crosses_once_and_the_first_look_asks_for_nothing(served: Any, schemes: Any, tmp_path: Path) -> None:
    _server, peer = served(schemes, keep_bodies=False)
    file = tmp_path / "upload.bin"
    file.write_bytes(b"z" * 1_000_000)
    with EsriSession(auth=amy()) as session, file.open("rb") as opened:
        assert session.post(peer.url, data=opened).json()["received"] == 1_000_000
        assert legs(peer) == [("GET", 0), ("GET", 0), ("POST", 1_000_000)]
        assert session.post(peer.url, data=iter([b"a" * 1000] * 5)).json()["received"] == 5000
        assert legs(peer)[3:] == [("POST", 5000)]
        peer.close_connections()
        assert session.post(peer.url, data=iter([b"a" * 1000] * 5)).json()["received"] == 5000
        assert legs(peer)[4:] == [("GET", 0), ("POST", 5000)]


def test_where_no_sign_in_is_wanted_the_post_goes_as_it_is(served: Any) -> None:
    server, peer = served()
    with EsriSession(auth=amy()) as session:
        assert session.post(peer.url + "/public", data=b"x" * 10).json() == {"user": None, "connection": 1, "received": 10}
    assert legs(peer) == [("GET", 0), ("POST", 10)]
    assert server.finished == 0


def test_the_handshake_is_bound_to_the_certificate_of_the_server(served: Any, ca: Any) -> None:
    binding = end_point_binding(ca.server().cert_der)
    server, peer = served(binding=binding, tls=True)
    with EsriSession(auth=amy(), ca_bundles=ca.file, retries=0) as session:
        assert session.get(peer.url_for(host="localhost")).json()["user"] == "amy"
        with pytest.raises(ArcGISLoginError):
            session.get(peer.url_for(host="localhost"), auth=amy(send_cbt=False))
    server, peer = served(binding=b"tls-server-end-point:" + b"0" * 32, tls=True)
    with EsriSession(auth=amy(), ca_bundles=ca.file) as session, pytest.raises(ArcGISLoginError, match="send_cbt"):
        session.get(peer.url_for(host="localhost"))
    assert server.refused == 1


def test_eight_threads_lose_nothing_and_make_one_handshake_per_connection(served: Any) -> None:
    server, peer = served()
    with EsriSession(auth=amy()) as session:
        answers = on_threads(8, lambda _: [session.get(peer.url).json()["user"] for _ in range(50)])
        assert answers == [["amy"] * 50] * 8
        assert server.finished == peer.connections == idle_lanes(session) <= 8
        assert (server.refused, leased_lanes(session)) == (0, 0)


def test_nobody_is_served_as_another(served: Any) -> None:
    _server, peer = served()
    with EsriSession(auth=amy()) as session:
        assert session.get(peer.url + "/public").json()["user"] is None
        assert session.get(peer.url).json()["user"] == "amy"
        assert session.get(peer.url + "/public").json()["user"] == "amy"
        bob = EsriHttpNtlmAuth(None, "AD\\bob", "bobs-secret")
        assert session.get(peer.url, auth=bob).json()["user"] == "bob"
        assert session.get(peer.url, auth=EsriHttpNtlmAuth(None, "AD\\bob", "bobs-secret")).json()["user"] == "bob"
        assert session.get(peer.url + "/public", drop_auth=True).json()["user"] is None
        assert session.get(peer.url, drop_auth=True).status_code == 401
        with pytest.raises(ArcGISLoginError):
            session.get(peer.url, auth=EsriHttpNtlmAuth(None, "AD\\amy", "wrong"))
        assert session.get(peer.url, auth=("amy", PASSWORD)).status_code == 401


def test_the_password_goes_where_the_caller_goes_or_only_to_its_site(served: Any) -> None:
    server, peer = served()
    elsewhere = peer.url_for(host="localhost")
    with EsriSession(auth=amy(url=elsewhere)) as session:
        assert session.get(peer.url).status_code == 401
        assert session.get(elsewhere).json()["user"] == "amy"
    with EsriSession(auth=amy()) as session:
        peer.handler = lambda request: Reply(302, {"Location": elsewhere}) if request.path == "/away" else server(request)
        assert session.get(peer.url + "/away").status_code == 401


# -- refused -------------------------------------------------------------------------------------------------------------


@every_handler
@every_offer
def test_a_wrong_password_is_sent_once_and_shown_nowhere(served: Any, handler: Any, schemes: Any, caplog: Any) -> None:
    caplog.set_level("DEBUG")
    server, peer = served(schemes)
    auth = handler(None, "AD\\amy", "not-the-secret")
    with EsriSession(auth=auth) as session:
        errors = []
        for _ in range(3):
            with pytest.raises(ArcGISLoginError, match=r"AD\\amy") as caught:
                session.get(peer.url)
            errors.append(caught.value)
        assert (server.refused, len(peer.requests), leased_lanes(session)) == (1, 3, 0)
        assert_hidden(["not-the-secret"], auth, *errors, logs=caplog.text)
        auth.password = PASSWORD
        assert session.get(peer.url).json()["user"] == "amy"
    tokens = [request.headers["Authorization"].split()[1] for request in peer.requests if "Authorization" in request.headers]
    assert len(tokens) == 4
    for token in tokens:
        assert token not in caplog.text


def test_a_401_for_one_resource_does_not_spoil_a_password_that_was_good(served: Any) -> None:
    def fault(request: RecordedRequest, leg: int) -> Reply | None:
        return Reply(401, {"WWW-Authenticate": "NTLM"}) if "/bobs" in request.path and leg != 1 else None

    server, peer = served(fault=fault)
    with EsriSession(auth=amy()) as session:
        assert session.get(peer.url).ok
        with pytest.raises(ArcGISLoginError):
            session.get(peer.url + "/bobs")
        assert session.get(peer.url).ok
    assert server.refused == 0


def test_a_busy_server_is_no_proof_that_a_password_is_good(served: Any) -> None:
    busy: list[int] = []

    def fault(request: RecordedRequest, leg: int) -> Reply | None:
        if leg == 3 and not busy:
            busy.append(leg)
            return Reply(503, {}, "busy")
        return None

    server, peer = served(fault=fault)
    with EsriSession(auth=EsriHttpNtlmAuth(None, "AD\\amy", "wrong"), retries=0) as session:
        assert session.get(peer.url).status_code == 503
        for _ in range(3):
            with pytest.raises(ArcGISLoginError):
                session.get(peer.url)
    assert server.refused == 1


def test_a_first_message_that_nobody_wants_signs_nothing_in(served: Any) -> None:
    server, peer = served()
    with EsriSession(auth=amy()) as session:
        assert session.get(peer.url).ok
        peer.close_connections()
        peer.handler = lambda request: server(request) if "/there" in request.path else Reply(200, {}, "open to all")
        assert session.get(peer.url + "/here").text == "open to all"
        assert session.post(peer.url + "/there", data=b"x" * 10).json() == {"user": "amy", "connection": 2, "received": 10}
    assert server.finished == 2


def test_the_hash_of_a_password_will_do(served: Any) -> None:
    from spnego._ntlm_raw.crypto import ntowfv1

    _server, peer = served()
    hashed = f"{'0' * 32}:{ntowfv1(PASSWORD).hex()}"
    with EsriSession(auth=EsriHttpNtlmAuth(None, "AD\\amy", hashed)) as session:
        assert session.get(peer.url).json()["user"] == "amy"


@pytest.mark.parametrize("options", [{"username": "amy"}, {"username": "", "password": "x"}, {"username": 1, "password": "x"}])
def test_what_cannot_be_a_sign_in_is_refused_at_once(options: Any) -> None:
    with pytest.raises(ConfigurationError, match="username"):
        EsriHttpNtlmAuth(None, **options)


def test_without_a_password_there_is_an_error_that_says_so(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _server, peer = served()
    monkeypatch.delenv("NTLM_USER_FILE")
    with EsriSession() as session:
        with pytest.raises(SignInError, match="needs username= and password="):
            session.get(peer.url, auth=EsriHttpNtlmAuth())
        assert leased_lanes(session) == 0


def test_negotiate_does_not_become_ntlm_unless_asked(served: Any) -> None:
    server, peer = served(("Negotiate", "NTLM"))
    with EsriSession() as session:
        with pytest.raises((SignInError, MissingPackageError), match="Kerberos"):
            session.get(peer.url, auth=EsriHttpNegotiateAuth(None, "AD\\amy", PASSWORD))
        assert len(peer.requests) == 1
        auth = EsriHttpNegotiateAuth(None, "AD\\amy", PASSWORD, allow_ntlm=True)
        assert session.get(peer.url, auth=auth).json()["user"] == "amy"
    assert server.finished == 1


def test_a_server_that_asks_for_something_else_is_an_error_that_names_it(handler_peer: Any) -> None:
    peer = handler_peer(lambda request: Reply(401, [("WWW-Authenticate", 'Basic realm="x", Digest nonce="y"')]))
    with EsriSession(auth=amy()) as session, pytest.raises(SignInError, match="asks for Basic, Digest"):
        session.get(peer.url)
    assert len(peer.requests) == 1


# -- connections ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leg", [1, 3])
def test_a_connection_closed_between_two_legs_restarts_the_handshake(served: Any, leg: int) -> None:
    lost: list[int] = []

    def fault(request: RecordedRequest, current: int) -> Reply | None:
        if current == leg and not lost:
            lost.append(leg)
            return DROP
        return None

    server, peer = served(fault=fault)
    with EsriSession(auth=amy(), backoff_factor=0) as session:
        assert session.put(peer.url, data=b"x" * 100).json()["received"] == 100
        assert leased_lanes(session) == 0
    assert (server.finished, server.refused, peer.connections) == (1, 0, 2)


def test_a_server_that_closes_after_each_answer_is_a_clear_error(served: Any) -> None:
    server, peer = served()
    peer.handler = lambda request: closing(server(request))
    with EsriSession(auth=amy(), backoff_factor=0) as session, pytest.raises(ConnectionLostError, match="every sign-in"):
        session.get(peer.url)
    assert server.refused == 0


def test_an_answer_that_closes_its_connection_is_followed_by_a_new_handshake(served: Any) -> None:
    server, peer = served()
    peer.handler = lambda request: closing(server(request)) if "/last" in request.path else server(request)
    with EsriSession(auth=amy()) as session:
        assert session.get(peer.url).ok
        assert session.get(peer.url + "/last").json()["user"] == "amy"
        assert session.get(peer.url).json()["user"] == "amy"
    assert (server.finished, peer.connections) == (2, 2)


def test_a_server_that_forgets_the_connection_gets_another_handshake(served: Any) -> None:
    server, peer = served()
    server.persistent = False
    with EsriSession(auth=amy()) as session:
        assert [session.post(peer.url, data=b"x" * 10).json()["received"] for _ in range(2)] == [10, 10]
    assert (server.finished, server.refused) == (2, 0)


def test_a_busy_server_is_asked_again_on_the_connection_that_is_signed_in(served: Any) -> None:
    busy: list[int] = []

    def fault(request: RecordedRequest, leg: int) -> Reply | None:
        return None

    server, peer = served(fault=fault)

    def sometimes_busy(request: RecordedRequest) -> Reply:
        reply = server(request)
        if reply.status == 200 and not busy:
            busy.append(1)
            return Reply(503, {"Retry-After": "0"}, "busy")
        return reply

    peer.handler = sometimes_busy
    with EsriSession(auth=amy(), backoff_factor=0) as session:
        assert session.get(peer.url).json()["user"] == "amy"
    assert (server.finished, server.refused, peer.connections) == (1, 0, 1)


def test_a_streamed_answer_holds_its_lane(served: Any) -> None:
    _server, peer = served()
    with EsriSession(auth=amy()) as session:
        with session.get(peer.url + "/large", stream=True) as response:
            assert leased_lanes(session) == 1
            assert len(response.content) == 48 * 65536
        assert (leased_lanes(session), idle_lanes(session)) == (0, 1)
        assert session.get(peer.url).json()["connection"] == 1


def test_requests_that_wait_for_each_other_do_not_block(served: Any) -> None:
    _server, peer = served()
    ready = threading.Barrier(4)

    def read(_: int) -> int:
        with session.get(peer.url + "/large", stream=True) as response:
            ready.wait(10)
            return len(response.content)

    with EsriSession(auth=amy()) as session:
        assert on_threads(4, read) == [48 * 65536] * 4


def test_it_travels_in_a_pickle(served: Any) -> None:
    _server, peer = served()
    with EsriSession(auth=amy()) as session:
        session.get(peer.url)
        twin = pickle.loads(pickle.dumps(session))
    with twin:
        assert twin.get(peer.url).json()["user"] == "amy"


def test_where_only_writing_wants_a_sign_in_it_is_found_out_by_writing_nothing(served: Any) -> None:
    server, peer = served()
    inside = peer.handler
    peer.handler = lambda request: Reply(200, {}, "open") if request.method == "GET" else inside(request)
    with EsriSession(auth=amy()) as session:
        assert session.post(peer.url, data=b"x" * 1000).json()["received"] == 1000
        assert legs(peer) == [("GET", 0), ("POST", 1000), ("POST", 0), ("POST", 1000)]
        peer.close_connections()
        assert session.post(peer.url, data=iter([b"x" * 1000])).json()["received"] == 1000
        assert legs(peer)[4:] == [("POST", 0), ("POST", 1000)]
        assert session.get(peer.url).text == "open"
    assert server.finished == 2


def test_a_server_that_does_not_go_on_has_refused_no_password(handler_peer: Any) -> None:
    split: list[int] = []
    server = NtlmServer()

    def answer(request: RecordedRequest) -> Reply:
        if "Authorization" in request.headers and not split:
            split.append(1)
            return Reply(401, {"WWW-Authenticate": "NTLM"})  # as a balancer does that leads every request elsewhere
        return server(request)

    with EsriSession(auth=amy()) as session:
        peer = handler_peer(answer)
        with pytest.raises(SignInError, match="does not go on") as caught:
            session.get(peer.url)
        assert type(caught.value) is SignInError
        assert session.get(peer.url).json()["user"] == "amy"


def test_a_connection_by_ntlm_is_not_for_who_forbids_ntlm(served: Any) -> None:
    _server, peer = served(("Negotiate",))
    options = {"mutual_authentication": "OPTIONAL"}
    with EsriSession() as session:
        by_ntlm = EsriHttpNegotiateAuth(None, "AD\\amy", PASSWORD, allow_ntlm=True, **options)
        assert session.get(peer.url, auth=by_ntlm).json()["user"] == "amy"
        for forbidding in (
            EsriHttpNegotiateAuth(None, "AD\\amy", PASSWORD, **options),
            EsriHttpNegotiateAuth(None, "AD\\amy", PASSWORD, allow_ntlm=True, mutual_authentication="REQUIRED"),
        ):
            with pytest.raises((SignInError, MissingPackageError)):
                session.get(peer.url, auth=forbidding)


def test_what_is_mounted_for_a_site_cannot_carry_it(served: Any) -> None:
    _server, peer = served()

    class Mounted:
        """An adapter of another client."""

        def send(self, request: Any, **_: Any) -> Any:
            return types.SimpleNamespace(status_code=401, headers={"WWW-Authenticate": "NTLM"}, content=b"")

        def close(self) -> None:
            pass

    with EsriSession(auth=amy()) as session:
        session.mount(peer.url, Mounted())
        with pytest.raises(SignInError, match="cannot carry a sign-in that lives on the connection"):
            session.get(peer.url)
