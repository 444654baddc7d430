"""`EsriDigestAuth` against a server that checks it: how many requests, whose nonce, which body, and what of a refusal."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import pytest

from esri_http import DigestAuth, EsriDigestAuth, EsriSession
from esri_http.words.errors import ArcGISLoginError, BodyNotReplayableError, ConfigurationError, SignInError

from ..support.digest_server import DigestServer
from ..support.http_messages import RecordedRequest, Reply, json_reply
from ..support.sessions import on_threads

ALGORITHMS = ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"]
LARGE = b"0123456789abcdef" * 65536


def amy(**options: Any) -> EsriDigestAuth:
    """The user whom servers know, unless they are told otherwise."""
    return EsriDigestAuth(None, "amy", "secret", **options)


def seen(peer: Any) -> list[tuple[str, int, bool]]:
    """Method, length of the body and whether it was signed, of each request."""
    return [(request.method, request.body_length, "Authorization" in request.headers) for request in peer.requests]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("qop", [None, "auth", "auth-int", "auth-int, AUTH"])
def test_ten_calls_are_eleven_requests_by_every_algorithm(handler_peer: Any, algorithm: str, qop: Any) -> None:
    server = DigestServer(algorithms=(algorithm,), qop=qop, in_order=True)
    peer = handler_peer(server)
    with EsriSession(auth=amy()) as session:
        for place in range(10):
            assert session.get(peer.url + "/a", params={"where": f'"{place}"=1'}).json()["user"] == "amy"
    assert len(peer.requests) == 11
    assert len({request.connection for request in peer.requests}) == 1
    assert (server.refused, server.stale, server.repeated) == (0, 0, 0)


@pytest.mark.parametrize(
    "make",
    [
        lambda session: EsriDigestAuth(session, "amy", "secret"),
        lambda session: EsriDigestAuth(None, "amy", "secret"),
        lambda session: EsriDigestAuth(session=session, username="amy", password="secret"),
        lambda session: EsriDigestAuth(session, username="amy", password="secret"),
        lambda session: DigestAuth("amy", "secret"),
        lambda session: DigestAuth("amy", password="secret"),
        lambda session: DigestAuth("amy", "secret", session=session),
        lambda session: DigestAuth(username="amy", password="secret"),
    ],
)
def test_it_may_be_written_with_the_session_first_or_without(handler_peer: Any, make: Any) -> None:
    peer = handler_peer(DigestServer())
    with EsriSession() as session:
        session.auth = make(session)
        assert session.get(peer.url).json()["user"] == "amy"
        assert session.auth.token is None


@pytest.mark.parametrize(
    "arguments, says",
    [
        ((), "needs"),
        (("amy",), "needs"),
        ((None, "", "secret"), "needs"),
        ((None, "a\nb", "c"), "control"),
        ((None, 1, "c"), "text"),
    ],
)
def test_what_cannot_be_a_user_is_refused_at_once(arguments: tuple[Any, ...], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        EsriDigestAuth(*arguments)


@pytest.mark.parametrize("fields", ["", ", charset=UTF-8", ", userhash=true", ", charset=utf-8, userhash=TRUE"])
@pytest.mark.parametrize(
    "user, password", [("Jäsøn Doe", "Secret, or nöt?"), ("иван", "пароль"), ('a"b\\c', '"\\'), ("amy", ""), ("d\\amy", " ")]
)
def test_users_and_passwords_of_every_kind(handler_peer: Any, fields: str, user: str, password: str) -> None:
    server = DigestServer({user: password}, fields=fields, algorithms=("SHA-256",))
    with EsriSession(auth=EsriDigestAuth(None, user, password)) as session:
        assert session.get(handler_peer(server).url).json()["user"] == user
    assert ("username*" in server.parameters) is (fields == ", charset=UTF-8" and not user.isascii())
    assert (server.parameters.get("userhash") == "true") is ("userhash" in fields)


@pytest.mark.parametrize("algorithms", [("MD5", "SHA-256"), ("SHA-256", "MD5"), ("SHA-256", "SHA-512-256", "MD5", "SHA3")])
def test_of_several_challenges_the_strongest_is_answered(handler_peer: Any, algorithms: tuple[str, ...]) -> None:
    server = DigestServer(algorithms=algorithms)
    with EsriSession(auth=amy()) as session:
        assert session.get(handler_peer(server).url).ok
    assert server.parameters["algorithm"] == max(set(algorithms) - {"SHA3"})


@pytest.mark.parametrize("options, why", [({"algorithms": ("SHA3",)}, "SHA3"), ({"qop": "auth-conf"}, "auth-conf")])
def test_a_digest_that_is_not_known_is_an_error_that_says_so(handler_peer: Any, options: Any, why: str) -> None:
    with EsriSession(auth=amy()) as session, pytest.raises(SignInError, match=f"cannot be done: .*{why}"):
        session.get(handler_peer(DigestServer(**options)).url)


def test_where_no_digest_is_asked_for_the_answer_goes_on(handler_peer: Any) -> None:
    peer = handler_peer(lambda request: Reply(401, {"WWW-Authenticate": 'Basic realm="x"'}))
    with EsriSession(auth=amy()) as session:
        assert session.get(peer.url).status_code == 401
        assert session.get(peer.url, headers={"Authorization": "Bearer mine"}).status_code == 401
    assert seen(peer) == [("GET", 0, False), ("GET", 0, True)]


def test_a_field_of_the_caller_goes_first(handler_peer: Any) -> None:
    peer = handler_peer(lambda request: Reply(401, {"WWW-Authenticate": 'Digest realm="x", nonce="y"'}))
    with EsriSession(auth=amy()) as session:
        assert session.get(peer.url, headers={"authorization": "Bearer mine"}).status_code == 401
    assert [request.headers["Authorization"] for request in peer.requests] == ["Bearer mine"]


# -- bodies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("qop", ["auth", "auth-int"])
def test_a_megabyte_crosses_the_wire_once_and_warm_calls_are_one_request(handler_peer: Any, qop: str) -> None:
    peer = handler_peer(DigestServer(qop=qop))
    with EsriSession(auth=amy()) as session:
        for _ in range(3):
            assert session.post(peer.url + "/add", data=LARGE).json()["received"] == len(LARGE)
    assert seen(peer) == [("GET", 0, False)] + [("POST", len(LARGE), True)] * 3
    assert not {"Content-Type", "Content-Length", "Transfer-Encoding"} & {name for name, _ in peer.requests[0].headers}


def test_an_iterator_is_sent_once_from_a_cold_start_and_from_a_warm_one(handler_peer: Any) -> None:
    peer = handler_peer(DigestServer())
    with EsriSession(auth=amy()) as session:
        for _ in range(2):
            pieces = iter([b"a" * 1000] * 50)
            assert session.post(peer.url, data=pieces).json() == {"user": "amy", "received": 50_000}
    assert [length for _, length, _ in seen(peer)] == [0, 50_000, 50_000]


def test_a_nonce_that_may_have_aged_is_not_trusted_with_a_large_body(handler_peer: Any, fake_clock: Any) -> None:
    server = DigestServer()
    peer = handler_peer(server)
    with EsriSession(auth=amy(), clock=fake_clock) as session:
        assert session.post(peer.url, data=LARGE).ok
        server.forget_nonces()
        fake_clock.advance(300)
        assert session.post(peer.url, data=LARGE).ok
        server.forget_nonces()
        fake_clock.advance(300)
        assert session.post(peer.url, data=iter([b"small"])).ok
    assert [length for _, length, _ in seen(peer)] == [0, len(LARGE), 0, len(LARGE), 0, 5]


def test_a_spent_iterator_is_an_error_and_never_an_empty_body(handler_peer: Any) -> None:
    server = DigestServer()
    peer = handler_peer(server)
    with EsriSession(auth=amy()) as session:
        session.get(peer.url)
        server.forget_nonces()
        with pytest.raises(BodyNotReplayableError, match="small request first"):
            session.post(peer.url, data=iter([b"abc"]))
    assert [length for _, length, _ in seen(peer)] == [0, 0, 3]


def test_auth_int_with_an_iterator_is_an_error_before_it_is_read(handler_peer: Any) -> None:
    read: list[int] = []
    with EsriSession(auth=amy()) as session, pytest.raises(BodyNotReplayableError, match="auth-int"):
        session.post(handler_peer(DigestServer(qop="auth-int")).url, data=(read.append(1) or b"x" for _ in range(3)))
    assert read == []


def test_where_nothing_is_asked_for_the_small_request_is_made_once(handler_peer: Any) -> None:
    peer = handler_peer(DigestServer())
    with EsriSession(auth=amy()) as session:
        for _ in range(3):
            assert session.post(peer.url + "/public/a", data=b"abc").json()["received"] == 3
    assert seen(peer) == [("GET", 0, False)] + [("POST", 3, False)] * 3


def test_a_server_that_protects_posts_alone_gets_the_body_again(handler_peer: Any, fake_clock: Any) -> None:
    server = DigestServer()
    peer = handler_peer(lambda request: Reply(405) if request.method == "GET" else server(request))
    with EsriSession(auth=amy(), clock=fake_clock) as session:
        for body in (b"abc", b"abc", LARGE):
            assert session.post(peer.url, data=body).json() == {"user": "amy", "received": len(body)}
            fake_clock.advance(100)
        assert session.post(peer.url + "/other", data=LARGE).json()["received"] == len(LARGE)
    tries = [("GET", 0, False), ("POST", 3, False), ("POST", 3, True), ("POST", 3, True)]
    large = ("POST", len(LARGE), True)  # after so long its nonce is asked for ahead, now by the method that is protected
    assert seen(peer) == [*tries, ("POST", 0, False), large, ("GET", 0, False), large]


# -- nonces ----------------------------------------------------------------------------------------------------------


def test_a_stale_nonce_is_exchanged_for_another_without_a_refusal(handler_peer: Any) -> None:
    server = DigestServer(uses=3)
    peer = handler_peer(server)
    with EsriSession(auth=amy()) as session:
        for _ in range(7):
            assert session.get(peer.url).ok
            assert session.put(peer.url, data=b"abc").ok
    assert (server.refused, server.stale) == (0, 4)
    assert len(peer.requests) == 14 + 1 + 4


def test_nextnonce_is_taken_so_that_no_request_is_refused(handler_peer: Any) -> None:
    server = DigestServer(next_nonce=True)
    peer = handler_peer(server)
    with EsriSession(auth=amy()) as session:
        for _ in range(5):
            assert session.get(peer.url).ok
            assert server.parameters["nc"] == "00000001"
    assert len(peer.requests) == 6


def test_a_server_that_forgot_its_nonces_and_does_not_say_stale_is_answered_again(handler_peer: Any) -> None:
    server = DigestServer()
    peer = handler_peer(server)
    with EsriSession(auth=amy()) as session:
        for _ in range(3):
            assert session.get(peer.url).ok
            server.forget_nonces()
    assert len(peer.requests) == 2 + 2 + 2


def test_two_realms_on_one_server_are_kept_apart(handler_peer: Any) -> None:
    server = DigestServer(realms={"one": "One", "two": "Two"})
    peer = handler_peer(server)
    with EsriSession(auth=amy()) as session:
        for path in ("/one/a", "/two/a", "/one/b"):
            assert session.get(peer.url + path).ok
    assert server.refused == 0
    assert [signed for _, _, signed in seen(peer)] == [False, True, True, True, True, True]


def test_by_domain_each_realm_is_signed_unasked(handler_peer: Any) -> None:
    one, two = DigestServer(fields=', domain="/one/"'), DigestServer(fields=', domain="/two/"', realms={"two": "Two"})
    peer = handler_peer(lambda request: (one if request.path.startswith("/one/") else two)(request))
    with EsriSession(auth=amy()) as session:
        for path in ("/one/a", "/two/a", "/one/b", "/two/b"):
            assert session.get(peer.url + path).ok
    assert [signed for _, _, signed in seen(peer)] == [False, True, False, True, True, True]


def test_a_server_that_says_stale_for_ever_is_not_asked_for_ever(handler_peer: Any) -> None:
    peer = handler_peer(DigestServer(uses=0))
    with EsriSession(auth=amy()) as session, pytest.raises(ArcGISLoginError):
        session.get(peer.url)
    assert len(peer.requests) == 4


def test_sixteen_threads_never_repeat_a_number(handler_peer: Any) -> None:
    server = DigestServer()
    peer = handler_peer(server)
    with EsriSession(auth=amy()) as session:
        session.get(peer.url)
        assert all(on_threads(16, lambda place: all(session.get(f"{peer.url}/{place}/{one}").ok for one in range(12))))
    assert (server.refused, server.stale, server.repeated) == (0, 0, 0)
    assert len(server.users_served) == len(peer.requests) - 1 == 193


@pytest.mark.parametrize("options", [{"in_order": True}, {"uses": 2}, {"next_nonce": True}])
def test_sixteen_threads_get_through_to_a_strict_server_from_a_cold_start(handler_peer: Any, options: Any) -> None:
    server = DigestServer(**options)
    peer = handler_peer(server)
    with EsriSession(auth=amy()) as session:
        assert all(on_threads(16, lambda place: all(session.get(f"{peer.url}/{place}").ok for _ in range(5))))
    assert len(server.users_served) == 80
    assert (server.refused, server.repeated) == (0, 0)


def test_the_servers_proof_is_checked_where_there_is_one(handler_peer: Any) -> None:
    server = DigestServer()
    peer = handler_peer(server)
    with EsriSession(auth=amy()) as session:
        assert session.get(peer.url).ok
        server.wrong_proof = True
        with pytest.raises(SignInError, match="does not prove"):
            session.get(peer.url)


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user, password", [("amy", "wrong"), ("amy", ""), ("nobody", "secret"), ("amy", "\ud800")])
def test_a_refused_password_goes_out_once_until_there_is_another(handler_peer: Any, user: str, password: str) -> None:
    server = DigestServer()
    peer = handler_peer(server)
    auth = EsriDigestAuth(None, user, password)
    with EsriSession(auth=auth) as session:
        for call in (session.get, session.get, lambda url: session.post(url, data=LARGE)):
            with pytest.raises(ArcGISLoginError, match="user name or password"):
                call(peer.url)
        assert (server.refused, len(peer.requests)) == (1, 2)
        auth.username, auth.password = "amy", "secret"
        assert session.get(peer.url).ok
    assert server.refused == 1


def test_a_refused_password_goes_out_once_from_sixteen_threads(handler_peer: Any) -> None:
    server = DigestServer()
    peer = handler_peer(server)

    def call(_: int) -> str:
        with pytest.raises(ArcGISLoginError) as caught:
            session.get(peer.url)
        return str(caught.value)

    with EsriSession(auth=EsriDigestAuth(None, "amy", "wrong")) as session:
        assert len(set(on_threads(16, call))) == 1
    assert server.refused == 1


def test_a_refusal_without_a_challenge_is_one_too(handler_peer: Any) -> None:
    server = DigestServer()
    peer = handler_peer(lambda request: server(request) if "Authorization" not in request.headers else Reply(401))
    with EsriSession(auth=amy()) as session:
        for _ in range(2):
            with pytest.raises(ArcGISLoginError, match="asks for nothing"):
                session.get(peer.url)
    assert len(peer.requests) == 2


def test_a_failure_of_the_first_sign_in_is_that_calls_own(handler_peer: Any) -> None:
    server = DigestServer()
    drops = [True]

    def answer(request: RecordedRequest) -> Any:
        if "Authorization" in request.headers and drops:
            drops.clear()
            return Reply(200, {"Content-Length": "9"}, [b"x"], close=True)
        return server(request)

    peer = handler_peer(answer)
    with EsriSession(auth=amy(), retries=0) as session:
        outcomes = on_threads(4, lambda _: _outcome(session, peer.url))
    assert sorted(outcomes) == ["ConnectionLostError", "amy", "amy", "amy"]


def _outcome(session: EsriSession, url: str) -> str:
    try:
        return str(session.get(url).json()["user"])
    except Exception as error:
        return type(error).__name__


# -- whose they are --------------------------------------------------------------------------------------------------


def test_a_nonce_stays_with_its_origin(handler_peer: Any) -> None:
    first, second = DigestServer(), DigestServer()
    peers = handler_peer(first), handler_peer(second)
    with EsriSession(auth=amy()) as session:
        for peer in (*peers, *peers):
            assert session.get(peer.url).ok
    assert [signed for peer in peers for _, _, signed in seen(peer)] == [False, True, True] * 2
    assert (first.refused, second.refused) == (0, 0)


@pytest.mark.parametrize("warm", [False, True])
def test_a_redirect_to_another_origin_is_not_signed_and_its_challenge_not_answered(handler_peer: Any, warm: bool) -> None:
    away = handler_peer(DigestServer())
    server = DigestServer()

    def answer(request: RecordedRequest) -> Reply:
        reply = server(request)
        return Reply(307, {"Location": away.url + "/there"}) if reply.status == 200 and request.path == "/away" else reply

    home = handler_peer(answer)
    with EsriSession(auth=amy()) as session:
        if warm:
            assert session.get(home.url).ok
        assert session.get(home.url + "/away").status_code == 401
    assert seen(away) == [("GET", 0, False)]


def test_a_redirect_at_home_is_signed_for_its_own_target(handler_peer: Any) -> None:
    server = DigestServer()

    def answer(request: RecordedRequest) -> Reply:
        reply = server(request)
        return Reply(302, {"Location": "/b?c=%22"}) if reply.status == 200 and request.path == "/a" else reply

    peer = handler_peer(answer)
    with EsriSession(auth=amy()) as session:
        assert session.get(peer.url + "/a").ok
    assert server.parameters["uri"] == "/b?c=%22"
    assert [signed for _, _, signed in seen(peer)] == [False, True, True]


def test_with_url_only_that_origin_is_answered(handler_peer: Any) -> None:
    mine, other = handler_peer(DigestServer()), handler_peer(DigestServer())
    with EsriSession(auth=amy(url=mine.url + "/portal")) as session:
        assert session.get(mine.url + "/x").ok
        assert session.get(other.url + "/x").status_code == 401


def test_what_is_kept_of_origins_and_realms_is_bounded() -> None:
    from esri_http.auth.challenges import parse_challenges
    from esri_http.auth.web_tier.digest_challenges import choose_space
    from esri_http.words.origins import Origin

    auth = amy()
    for place in range(1010):
        space, _ = choose_space(parse_challenges([f'Digest realm="{place}", nonce="n"']))
        assert space is not None
        auth.keep(Origin("http", f"h{place}", 80), space)
        auth.keep(Origin("http", "h1009", 80), space)
    assert len(auth._spaces) == 1000
    assert [space.realm for space in auth._spaces[Origin("http", "h1009", 80)]] == ["1009", "1008", "1007", "1006"]


# -- with other handlers ---------------------------------------------------------------------------------------------


def test_what_another_handler_changes_is_signed_too(handler_peer: Any) -> None:
    from esri_http import EsriUserTokenAuth

    server = DigestServer(qop="auth-int")
    peer = handler_peer(server)
    token = EsriUserTokenAuth("t0ken", peer.url, legacy=True)
    with EsriSession(auth=amy() + token) as session:
        assert session.get(peer.url + "/a", params={"f": "json"}).json()["user"] == "amy"
        assert server.parameters["uri"] == "/a?f=json&token=t0ken"
        assert session.post(peer.url + "/a", data={"f": "json"}).json()["received"] == len("f=json&token=t0ken")
    assert server.refused == 0


def test_secrets_are_in_no_repr_and_a_pickle_signs_in_anew(handler_peer: Any) -> None:
    peer = handler_peer(DigestServer({"amy": "s3cr3t-word"}))
    auth = EsriDigestAuth(None, "amy", "s3cr3t-word")
    with EsriSession(auth=auth) as session:
        assert session.get(peer.url).ok
    twin = pickle.loads(pickle.dumps(auth))
    assert "s3cr3t-word" not in repr(auth) + repr(auth.__dict__["_spaces"])
    with EsriSession(auth=twin) as session:
        assert session.get(peer.url).ok
    assert [signed for _, _, signed in seen(peer)] == [False, True, False, True]


def test_a_token_error_behind_the_digest_is_not_a_refusal(handler_peer: Any) -> None:
    server = DigestServer()
    envelope = {"error": {"code": 499, "message": "Token Required"}}

    def answer(request: RecordedRequest) -> Reply:
        return server(request) if "Authorization" not in request.headers else json_reply(envelope, 401)

    peer = handler_peer(answer)
    with EsriSession(auth=amy()) as session:
        assert session.get(peer.url + "/plain").status_code == 401


def test_a_password_is_good_also_where_the_first_resource_is_missing(handler_peer: Any) -> None:
    server = DigestServer()
    waiting = threading.Barrier(4)

    def answer(request: RecordedRequest) -> Reply:
        reply: Reply = server(request)
        if reply.status == 200 and request.path == "/together":
            waiting.wait(20)  # all of them at once, or never
        return Reply(404) if reply.status == 200 and request.path == "/missing" else reply

    peer = handler_peer(answer)
    with EsriSession(auth=amy(), deadline=30) as session:
        assert session.get(peer.url + "/missing").status_code == 404
        assert on_threads(4, lambda _: session.get(peer.url + "/together").status_code) == [200] * 4
