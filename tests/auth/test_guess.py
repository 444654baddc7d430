"""`EsriGuessAuth`: what it takes of what a server offers, what it passes over and why, and that a refusal ends it."""

from __future__ import annotations

import base64
import contextlib
import logging
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from esri_http import ArcGISLoginError, ConfigurationError, EsriDigestAuth, EsriGuessAuth, EsriSession, GuessAuth, SignInError
from esri_http.auth.handshake.channel_bindings import end_point_binding

from ..support.digest_server import DigestServer
from ..support.http_messages import RecordedRequest, Reply, json_reply
from ..support.ntlm_server import NtlmServer, known_users
from ..support.sessions import leased_lanes, on_threads
from .helpers import assert_hidden

USER = "AD\\amy"
PASSWORD = "amys-secret"
LARGE = b"0123456789abcdef" * 65536
BASIC = ("WWW-Authenticate", 'Basic realm="gis"')


@pytest.fixture(autouse=True)
def users(no_realm: None, tmp_path: Path) -> Iterator[None]:
    """The users that NTLM servers know."""
    with known_users(tmp_path):
        yield


def amy(**options: Any) -> EsriGuessAuth:
    """The user whom all servers here know."""
    return EsriGuessAuth(None, USER, PASSWORD, **options)


class BasicServer:
    """Wants Basic from amy, and offers what `more` says besides."""

    def __init__(self, *more: tuple[str, str]) -> None:
        self.offers = [*more, BASIC]
        self.refused = 0

    def __call__(self, request: RecordedRequest) -> Reply:
        field = request.headers.get("Authorization")
        if field == "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode():
            return json_reply({"user": USER, "received": request.body_length})
        self.refused += field is not None
        return Reply(401, self.offers, "sign in")


def offering(server: Any, *offers: str) -> Any:
    """`server`, which names these schemes too, without meaning them."""

    def answer(request: RecordedRequest) -> Reply:
        reply: Reply = server(request)
        if reply.status == 401 and len(request.headers.get_all("Authorization")) == 0:
            reply.headers.pairs[:0] = [("WWW-Authenticate", offer) for offer in offers]
        return reply

    return answer


def signed(peer: Any) -> list[tuple[str, int, str]]:
    """Method, length of the body and scheme, of each request."""
    fields = [request.headers.get("Authorization") or "" for request in peer.requests]
    return [(request.method, request.body_length, field.partition(" ")[0]) for request, field in zip(peer.requests, fields)]


# -- what is taken ---------------------------------------------------------------------------------------------------


def test_digest_is_two_requests_then_one_each_and_better_than_basic(handler_peer: Any) -> None:
    server = DigestServer({USER: PASSWORD})
    peer = handler_peer(offering(server, BASIC[1]))
    with EsriSession(auth=amy()) as session:
        for _ in range(3):
            assert session.get(peer.url).json()["user"] in ("amy", USER)
        assert session.auth.describe(peer.url) == f"{peer.url}: Digest as AD\\amy; the server offers Basic, Digest"
    assert [scheme for _, _, scheme in signed(peer)] == ["", "Digest", "Digest", "Digest"]


def test_ntlm_is_three_requests_then_one_each_and_better_than_digest(handler_peer: Any) -> None:
    server = NtlmServer()
    peer = handler_peer(offering(server, 'Digest realm="x", nonce="y", qop="auth"', BASIC[1]))
    with EsriSession(auth=amy()) as session:
        for _ in range(3):
            assert session.get(peer.url).json()["user"] in ("amy", USER)
        assert session.auth.describe(peer.url) == f"{peer.url}: NTLM as AD\\amy; the server offers Digest, Basic, Ntlm"
        assert leased_lanes(session) == 0
    assert [scheme for _, _, scheme in signed(peer)] == ["", "NTLM", "NTLM", "", ""]
    assert (server.finished, server.refused) == (1, 0)


def test_without_a_ticket_negotiate_is_ntlm_and_the_reason_is_told(handler_peer: Any, caplog: Any) -> None:
    peer = handler_peer(NtlmServer(("Negotiate", "NTLM")))
    with EsriSession(auth=amy()) as session, caplog.at_level(logging.INFO, "esri_http.auth"):
        assert session.get(peer.url).json()["user"] in ("amy", USER)
        told = session.auth.describe(peer.url)
    assert told.startswith(f"{peer.url}: NTLM as AD\\amy; the server offers Negotiate, Ntlm; Kerberos cannot be used: ")
    taken = [record.getMessage() for record in caplog.records if "signing in by" in record.getMessage()]
    assert taken == [told.replace("NTLM as AD\\amy", "signing in by NTLM")]
    assert PASSWORD not in caplog.text


def test_basic_is_taken_over_https_when_nothing_else_is_offered(handler_peer: Any, ca: Any) -> None:
    server = BasicServer()
    peer = handler_peer(server, tls=True)
    with EsriSession(auth=amy(), ca_bundles=ca.file) as session:
        for _ in range(3):
            assert session.get(peer.url).json()["user"] in ("amy", USER)
        assert session.post(peer.url, data=b"abc").json()["received"] == 3
        assert "Basic as AD\\amy; the server offers Basic" in session.auth.describe(peer.url)
    assert [scheme for _, _, scheme in signed(peer)] == ["", "Basic", "Basic", "Basic", "Basic"]


def test_basic_over_http_is_an_error_that_says_why_and_sends_no_password(handler_peer: Any) -> None:
    peer = handler_peer(BasicServer(("WWW-Authenticate", "Bearer")))
    with EsriSession(auth=amy()) as session:
        for call in (session.get, lambda url: session.post(url, data=LARGE)):
            with pytest.raises(SignInError, match="offers Bearer, Basic; Basic cannot be used: over http .* use https"):
                call(peer.url)
    assert signed(peer) == [("GET", 0, ""), ("GET", 0, "")]


def test_what_cannot_be_answered_is_passed_over_for_what_can(handler_peer: Any, ca: Any) -> None:
    unknown = ("WWW-Authenticate", 'Digest realm="x", nonce="y", algorithm=SHA3')
    peer = handler_peer(BasicServer(("WWW-Authenticate", "Hawk"), unknown), tls=True)
    with EsriSession(auth=amy(), ca_bundles=ca.file) as session:
        assert session.get(peer.url).ok
        assert "Digest cannot be used: the algorithm 'SHA3' is not known here" in session.auth.describe(peer.url)


def test_negotiate_that_is_kerberos_alone_is_found_out_before_any_password_is_sent(handler_peer: Any, ca: Any) -> None:
    peer = handler_peer(BasicServer(("WWW-Authenticate", "Negotiate")), tls=True)
    with EsriSession(auth=amy(), ca_bundles=ca.file) as session:
        assert session.post(peer.url, data=LARGE).json()["received"] == len(LARGE)
        assert "NTLM cannot be used: the server does not take it within Negotiate" in session.auth.describe(peer.url)
    assert signed(peer) == [("GET", 0, ""), ("GET", 0, "Negotiate"), ("POST", len(LARGE), "Basic")]
    first = base64.b64decode(peer.requests[1].headers["Authorization"].partition(" ")[2])
    assert first.startswith(b"NTLMSSP\x00\x01")
    assert b"amy" not in first.lower()


def test_ntlm_is_tied_to_the_tls_connection_unless_that_is_switched_off(handler_peer: Any, ca: Any) -> None:
    peer = handler_peer(NtlmServer(binding=end_point_binding(ca.server().cert_der)), tls=True)
    with EsriSession(auth=amy(), ca_bundles=ca.file) as session:
        assert session.get(peer.url_for(host="localhost")).json()["user"] == "amy"
        with pytest.raises(ArcGISLoginError, match="not let in by NTLM"):
            session.get(peer.url_for(host="localhost"), auth=amy(send_cbt=False))


def test_without_credentials_and_ticket_each_reason_is_told(handler_peer: Any) -> None:
    offers = ("Negotiate", "NTLM", 'Digest realm="x", nonce="y"')
    peer = handler_peer(offering(BasicServer(), *offers))
    with EsriSession(auth=EsriGuessAuth()) as session, pytest.raises(SignInError) as caught:
        session.get(peer.url)
    said = str(caught.value)
    for scheme in ("Kerberos", "NTLM", "Digest", "Basic"):
        assert f"{scheme} cannot be used: " in said
    assert said.count("needs username= and password=") == 3
    assert "kinit" in said or "kerberos" in said
    assert len(peer.requests) == 1


@pytest.mark.parametrize("fields", [{}, {"WWW-Authenticate": "Bearer"}, {"WWW-Authenticate": "\u00a0,,="}])
def test_where_nothing_of_ours_is_offered_the_answer_goes_on(handler_peer: Any, fields: dict[str, str]) -> None:
    peer = handler_peer(lambda request: Reply(401, fields))
    with EsriSession(auth=amy()) as session:
        assert session.get(peer.url).status_code == 401
        assert session.post(peer.url, data=b"abc").status_code == 401
        assert "has not been asked" in session.auth.describe(peer.url)
    assert [(method, length) for method, length, _ in signed(peer)] == [("GET", 0), ("GET", 0), ("POST", 3)]


def test_a_field_of_the_caller_goes_first(handler_peer: Any) -> None:
    peer = handler_peer(lambda request: Reply(401, [BASIC], str(request.body_length)))
    with EsriSession(auth=amy()) as session:
        response = session.post(peer.url, data=b"abc", headers={"Authorization": "Bearer mine"})
    assert (response.status_code, response.text) == (401, "3")
    assert len(peer.requests) == 1


# -- bodies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda: LARGE, lambda: iter([LARGE[:1000]] * 10)])
@pytest.mark.parametrize("scheme", ["Digest", "NTLM", "Negotiate"])
def test_a_body_crosses_the_wire_once_from_a_cold_start(handler_peer: Any, scheme: str, make: Any) -> None:
    peer = handler_peer(DigestServer({USER: PASSWORD}) if scheme == "Digest" else NtlmServer((scheme,)))
    with EsriSession(auth=amy()) as session:
        for _ in range(2):
            assert session.post(peer.url, data=make()).json()["user"] in ("amy", USER)
    lengths = [length for _, length, _ in signed(peer) if length]
    assert lengths == [sum(map(len, make())) if not isinstance(make(), bytes) else len(LARGE)] * 2
    assert signed(peer)[0] == ("GET", 0, "")


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["Digest", "NTLM", "Basic"])
def test_refused_credentials_are_sent_once_and_by_no_weaker_scheme(handler_peer: Any, ca: Any, scheme: str) -> None:
    servers = {"Digest": DigestServer({USER: PASSWORD}), "NTLM": NtlmServer(), "Basic": BasicServer()}
    server: Any = servers[scheme]
    weaker = {"Digest": [BASIC[1]], "NTLM": [BASIC[1], 'Digest realm="x", nonce="y"'], "Basic": []}[scheme]
    peer = handler_peer(offering(server, *weaker), tls=True)
    auth = EsriGuessAuth(None, USER, "wrong-word")
    with EsriSession(auth=auth, ca_bundles=ca.file) as session:
        for _ in range(3):
            with pytest.raises(ArcGISLoginError) as caught:
                session.get(peer.url)
        assert_hidden(["wrong-word"], caught.value, auth)
        assert server.refused == 1
        assert {name for _, _, name in signed(peer)} == {"", scheme}
        auth.login()
        with pytest.raises(ArcGISLoginError):
            session.get(peer.url)
        assert server.refused == 2
        auth.password = PASSWORD
        assert session.get(peer.url).json()["user"] in ("amy", USER)
    assert server.refused == 2


def test_a_refused_password_goes_out_once_from_sixteen_threads(handler_peer: Any) -> None:
    server = DigestServer({USER: PASSWORD})
    peer = handler_peer(server)

    def call(_: int) -> None:
        with pytest.raises(ArcGISLoginError):
            session.get(peer.url)

    with EsriSession(auth=EsriGuessAuth(None, USER, "wrong")) as session:
        on_threads(16, call)
    assert server.refused == 1


# -- threads, origins, and what else is shared -------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["Digest", "NTLM"])
def test_eight_threads_choose_once(handler_peer: Any, caplog: Any, scheme: str) -> None:
    peer = handler_peer(DigestServer({USER: PASSWORD}) if scheme == "Digest" else NtlmServer())
    with EsriSession(auth=amy()) as session, caplog.at_level(logging.INFO, "esri_http.auth"):
        named = on_threads(8, lambda _: {session.get(peer.url).json()["user"] for _ in range(5)})
        assert leased_lanes(session) == 0
    assert named == [{USER if scheme == "Digest" else "amy"}] * 8
    assert sum("signing in by" in record.getMessage() for record in caplog.records) == 1


def test_each_origin_has_a_choice_of_its_own(handler_peer: Any) -> None:
    one, other = handler_peer(DigestServer({USER: PASSWORD})), handler_peer(NtlmServer())
    with EsriSession(auth=amy()) as session:
        for peer in (one, other, one, other):
            assert session.get(peer.url).json()["user"] in ("amy", USER)
        assert "Digest as AD\\amy" in session.auth.describe(one.url + "/?token=x")
        assert "NTLM as AD\\amy" in session.auth.describe(other.url)
    assert (len(one.requests), len(other.requests)) == (3, 4)


def test_a_challenge_after_a_redirect_to_another_origin_is_not_answered(handler_peer: Any) -> None:
    away = handler_peer(NtlmServer())
    home = handler_peer(lambda request: Reply(302, {"Location": away.url + "/"}))
    with EsriSession(auth=amy()) as session:
        assert session.get(home.url).status_code == 401
    assert signed(away) == [("GET", 0, "")]


def test_with_url_only_that_origin_is_answered(handler_peer: Any) -> None:
    mine, other = handler_peer(NtlmServer()), handler_peer(NtlmServer())
    with EsriSession(auth=amy(url=mine.url + "/portal")) as session:
        for _ in range(2):
            assert session.get(mine.url).ok
            assert session.get(other.url).status_code == 401


@pytest.mark.parametrize(
    "make",
    [
        lambda session: EsriGuessAuth(session, USER, PASSWORD),
        lambda session: GuessAuth(USER, PASSWORD),
        lambda session: GuessAuth(USER, PASSWORD, session=session),
        lambda session: EsriGuessAuth(session=session, username=USER, password=PASSWORD),
    ],
)
def test_it_may_be_written_with_the_session_first_or_without(handler_peer: Any, make: Any) -> None:
    peer = handler_peer(DigestServer({USER: PASSWORD}))
    with EsriSession() as session:
        session.auth = make(session)
        assert session.get(peer.url).json()["user"] in ("amy", USER)
        assert session.auth.token is None


def test_a_password_without_a_user_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="username="):
        EsriGuessAuth(password="secret")


def test_a_pickle_chooses_anew(handler_peer: Any) -> None:
    peer = handler_peer(NtlmServer())
    auth = amy()
    with EsriSession(auth=auth) as session:
        assert session.get(peer.url).ok
    with EsriSession(auth=pickle.loads(pickle.dumps(auth))) as session:
        assert session.get(peer.url).ok
        assert "NTLM as AD\\amy" in session.auth.describe(peer.url)


def test_in_a_chain_the_choice_begins_the_whole_sign_in_anew(handler_peer: Any) -> None:
    from esri_http import EsriUserTokenAuth

    peer = handler_peer(NtlmServer())
    with EsriSession(auth=amy() + EsriUserTokenAuth("t0ken", peer.url)) as session:
        for _ in range(2):
            assert session.post(peer.url, data=b"abc").json() == {"user": "amy", "connection": 2, "received": 3}
        assert "NTLM as AD\\amy" in session.auth.describe(peer.url)
    assert all("X-Esri-Authorization" in request.headers for request in peer.requests if request.method == "POST")


def test_each_web_adaptor_has_a_choice_of_its_own_and_may_change_its_mind(handler_peer: Any) -> None:
    by_digest, ntlm = DigestServer({USER: PASSWORD}), NtlmServer()

    def digest(request: RecordedRequest) -> Reply:
        if (request.headers.get("Authorization") or "Digest").startswith("Digest"):
            return by_digest(request)
        return Reply(401, {"WWW-Authenticate": 'Digest realm="gis", nonce="of another time"'})

    by_path: dict[str, Any] = {"portal": ntlm, "server": digest}
    peer = handler_peer(lambda request: by_path[request.path.split("/")[1]](request))
    with EsriSession(auth=amy()) as session:
        for _ in range(2):
            assert session.get(peer.url + "/portal/x").json()["user"] == "amy"
            assert session.post(peer.url + "/server/x", data=b"abc").json()["user"] == USER
        by_path.update(portal=digest, server=ntlm)
        peer.close_connections()
        assert session.post(peer.url + "/portal/x", data=b"abc").json()["user"] == USER
        assert session.get(peer.url + "/server/x").json()["user"] == "amy"
        assert "NTLM as" in session.auth.describe(peer.url + "/server/y")


def test_threads_at_several_sites_share_the_handler_that_knows_what_the_domain_refused() -> None:
    inside = threading.Barrier(2)

    class Slow(EsriDigestAuth):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            with contextlib.suppress(threading.BrokenBarrierError):
                inside.wait(0.3)  # until the other thread is here too, which it must not be

    auth = amy()
    asked: Any = SimpleNamespace(standing=auth.standing)
    one, other = on_threads(2, lambda _: auth.handler(asked, Slow))
    assert one is other
