"""`EsriPKIAuth`: whose certificate is shown to whom, never another's, and the tokens of servers behind it."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from esri_http import ArcGISLoginError, ConfigurationError, EsriBasicAuth, EsriPKIAuth, EsriSession, EsriUserTokenAuth
from tests.auth.helpers import errors_in, in_threads
from tests.support.certificates import CertificateAuthority
from tests.support.http_messages import RecordedRequest, Reply, json_reply
from tests.support.peers import HandlerPeer
from tests.support.pfx import SECRET, pfx

MakeHandler = Callable[..., HandlerPeer]
LARGE = b"x" * 200_000


def shown(request: RecordedRequest) -> str | None:
    """The name in the client certificate of a request."""
    certificate = request.client_certificate
    return None if certificate is None else certificate["subjectAltName"][0][1].partition("@")[0]


def say_who(request: RecordedRequest) -> Reply:
    if request.path.startswith("/to/"):
        return Reply(302, {"Location": "https://" + request.path[4:]})
    return json_reply({"user": shown(request), "connection": request.connection, "received": request.body_length})


@pytest.fixture
def curious(handler_peer: MakeHandler) -> HandlerPeer:
    """A server that asks for a client certificate, does without, and says who it was."""
    return handler_peer(say_who, tls=True, client_certificate="optional")


@pytest.fixture
def other(handler_peer: MakeHandler) -> HandlerPeer:
    """Another one."""
    return handler_peer(say_who, tls=True, client_certificate="optional")


@pytest.fixture
def make_session(ca: CertificateAuthority) -> Callable[..., EsriSession]:
    def make(auth: Any = None, **options: Any) -> EsriSession:
        return EsriSession(auth, **{"ca_bundles": ca.file, "retries": 0, "timeout": 10, **options})

    return make


# -- every form --------------------------------------------------------------------------------------------------------


def test_every_form_of_the_peer_and_of_ours(
    curious: HandlerPeer, ca: CertificateAuthority, make_session: Callable[..., EsriSession], tmp_path: Path
) -> None:
    amy = ca.client()
    path = tmp_path / "amy.pfx"
    path.write_bytes(pfx(amy))
    key = ca.encrypted_key(amy, SECRET)
    handlers = [
        EsriPKIAuth(None, amy.cert_file, amy.key_file),
        EsriPKIAuth(cert=(amy.cert_file, amy.key_file)),
        EsriPKIAuth(cert=amy.combined_file),
        EsriPKIAuth(cert=amy.cert_file, key=key, password=SECRET),
        EsriPKIAuth(cert=(amy.cert_file, key), password=SECRET),
        EsriPKIAuth(cert=(amy.cert_file, key, SECRET)),
        EsriPKIAuth(None, path, SECRET),
        EsriPKIAuth(cert=path, password=SECRET),
        EsriPKIAuth(cert=pfx(amy), password=SECRET),
        EsriPKIAuth(cert=(path, SECRET)),
    ]
    for handler in handlers:
        with make_session(handler) as session:
            assert session.get(curious.url).json()["user"] == "amy", handler
            assert SECRET not in repr(handler) + repr(session)
    with make_session(cert=amy.combined_file) as session:
        session.auth = EsriPKIAuth(session)
        assert session.get(curious.url).json()["user"] == "amy"


def test_parts_that_do_not_fit_together_are_refused(ca: CertificateAuthority) -> None:
    amy = ca.client()
    for parts in ({"key": amy.key_file}, {"password": SECRET}, {"cert": (amy.cert_file, amy.key_file), "key": amy.key_file}):
        with pytest.raises(ConfigurationError) as caught:
            EsriPKIAuth(**parts)
        assert SECRET not in str(caught.value)


def test_it_pickles_with_its_session(
    curious: HandlerPeer, ca: CertificateAuthority, make_session: Callable[..., EsriSession]
) -> None:
    for session in (make_session(EsriPKIAuth(cert=(pfx(ca.client()), SECRET))), make_session(cert=(pfx(ca.client()), SECRET))):
        with session, pickle.loads(pickle.dumps(session)) as twin:
            assert session.get(curious.url).json()["user"] == twin.get(curious.url).json()["user"] == "amy"


# -- to whom it is shown -----------------------------------------------------------------------------------------------


def test_a_redirect_shows_it_to_nobody_else(
    curious: HandlerPeer, other: HandlerPeer, ca: CertificateAuthority, make_session: Callable[..., EsriSession]
) -> None:
    there = curious.url_for(f"/to/127.0.0.1:{other.port}/there")
    amy = ca.client().combined_file
    for auth in (EsriPKIAuth(cert=amy), EsriPKIAuth(cert=amy, url=curious.url)):
        with make_session(auth) as session:
            assert session.get(there).json()["user"] is None
            assert session.get(other.url).json()["user"] == ("amy" if auth._url is None else None)
            back = other.url_for(f"/to/127.0.0.1:{curious.port}/back")
            assert session.get(back).json()["user"] == (None if auth._url is None else "amy")
    with make_session(EsriPKIAuth(cert=amy, url=curious.url), trusted_origins=other.url) as session:
        assert session.get(there).json()["user"] == "amy"


def test_its_own_certificate_goes_before_that_of_the_session_and_that_of_the_call_before_both(
    curious: HandlerPeer, other: HandlerPeer, ca: CertificateAuthority, make_session: Callable[..., EsriSession]
) -> None:
    amy, bob, cyd = (ca.client(f"{name}@example.com").combined_file for name in ("amy", "bob", "cyd"))
    with make_session(EsriPKIAuth(cert=amy, url=curious.url), cert=bob) as session:
        assert session.get(curious.url).json()["user"] == "amy"
        assert session.get(other.url).json()["user"] == "bob"
        assert session.get(curious.url, cert=cyd).json()["user"] == "cyd"
        assert session.get(curious.url, drop_auth=True).json()["user"] == "bob"
        assert session.get(curious.url).json()["user"] == "amy"


def test_threads_with_two_identities_on_one_session_are_each_served_as_themselves(
    curious: HandlerPeer, ca: CertificateAuthority, make_session: Callable[..., EsriSession]
) -> None:
    people = ("amy", "bob", None, "amy")
    auths = [None if name is None else EsriPKIAuth(cert=(pfx(ca.client(f"{name}@example.com")), SECRET)) for name in people]
    seen: dict[int, set[str | None]] = {}
    with make_session() as session:

        def work(number: int) -> None:
            for turn in range(12):
                body = LARGE if turn % 4 == 3 else None
                answer = session.post(curious.url_for("/who"), data=body, auth=auths[number % 4]).json()
                assert answer["user"] == people[number % 4]
                seen.setdefault(answer["connection"], set()).add(answer["user"])

        assert errors_in(in_threads(8, work)) == []
    assert all(len(users) == 1 for users in seen.values())


def test_many_certificates_keep_a_bounded_number_of_connections(
    curious: HandlerPeer, ca: CertificateAuthority, make_session: Callable[..., EsriSession]
) -> None:
    amy = ca.client()
    with make_session() as session:
        for number in range(40):
            password = f"pw{number}"
            auth = EsriPKIAuth(cert=(pfx(amy, password), password))
            assert session.get(curious.url, auth=auth).json()["user"] == "amy"
        curious.wait_until(lambda: curious.open_connections <= 32)
        assert curious.open_connections == 32
    curious.wait_until(lambda: curious.open_connections == 0)


# -- large bodies ------------------------------------------------------------------------------------------------------


def test_a_large_body_goes_out_after_a_small_request_on_the_same_connection(
    curious: HandlerPeer, ca: CertificateAuthority, make_session: Callable[..., EsriSession]
) -> None:
    with make_session(EsriPKIAuth(cert=ca.client().combined_file)) as session:
        session.get(curious.url_for("/portal/a"))
        url = curious.url_for("/portal/upload?token=abc")
        for body in (LARGE, (part for part in (LARGE, LARGE)), LARGE):
            assert session.post(url, data=body).json()["user"] == "amy"
        assert session.post(url, data=b"small").json()["received"] == 5
        assert session.post(curious.url_for("/elsewhere/upload"), data=LARGE).json()["received"] == len(LARGE)
    told = [(request.method, request.path, request.body_length) for request in curious.requests]
    assert told == [
        ("GET", "/portal/a", 0),
        ("GET", "/portal/upload", 0),
        ("POST", "/portal/upload", len(LARGE)),
        ("POST", "/portal/upload", 2 * len(LARGE)),
        ("POST", "/portal/upload", len(LARGE)),
        ("POST", "/portal/upload", 5),
        ("GET", "/elsewhere/upload", 0),
        ("POST", "/elsewhere/upload", len(LARGE)),
    ]
    assert len({request.connection for request in curious.requests[1:5]}) == 1
    assert "token" not in (curious.requests[1].target)
    assert curious.requests[1].headers.get("Content-Length") is None


def test_a_server_that_closes_after_each_answer_is_not_asked_for_ever(
    handler_peer: MakeHandler, ca: CertificateAuthority, make_session: Callable[..., EsriSession]
) -> None:
    peer = handler_peer(lambda request: Reply(200, {}, "ok", close=True), tls=True, client_certificate="required")
    with make_session(EsriPKIAuth(cert=ca.client().combined_file)) as session:
        assert session.post(peer.url, data=LARGE).text == "ok"
    assert [request.method for request in peer.requests] == ["GET", "POST"]


# -- what servers say inside of TLS ------------------------------------------------------------------------------------

NGINX = "<html><head><title>400 {0}</title></head><body><h1>400 Bad Request</h1><center>{0}</center></body></html>"
SAYINGS = {
    "nginx, none": (400, NGINX.format("No required SSL certificate was sent"), "cert="),
    "nginx, bad": (400, NGINX.format("The SSL certificate error"), "does not accept"),
    "IIS, none": (403, "<h2>HTTP Error 403.7 - Forbidden</h2>", "cert="),
    "IIS, revoked": (403, "<h2>HTTP Error 403.13 - Forbidden</h2>", "does not accept"),
}


@pytest.mark.parametrize("kind", list(SAYINGS))
def test_a_server_that_says_so_in_a_page_is_understood(
    handler_peer: MakeHandler, ca: CertificateAuthority, make_session: Callable[..., EsriSession], kind: str
) -> None:
    status, page, word = SAYINGS[kind]
    peer = handler_peer(lambda request: Reply(status, {"Content-Type": "text/html"}, page), tls=True)
    amy = ca.client().combined_file
    for session in (make_session(EsriPKIAuth(cert=amy)), make_session(cert=amy), make_session(EsriPKIAuth())):
        with session, pytest.raises(ArcGISLoginError, match=word) as caught:
            session.get(peer.url_for("/portal?token=s3cret"))
        assert str(peer.port) in str(caught.value)
        assert "s3cret" not in str(caught.value)
        assert caught.value.code == status
    with make_session() as session:
        assert session.get(peer.url).status_code == status
    assert len(peer.requests) == 4


def test_another_400_or_403_is_the_answer(
    handler_peer: MakeHandler, ca: CertificateAuthority, make_session: Callable[..., EsriSession]
) -> None:
    for status in (400, 403):
        peer = handler_peer(lambda request, status=status: Reply(status, {}, "no such thing"), tls=True)
        with make_session(EsriPKIAuth(cert=ca.client().combined_file)) as session:
            assert session.get(peer.url).status_code == status


# -- tokens behind it --------------------------------------------------------------------------------------------------


class Federation:
    """A portal and a server that is federated with it, on one origin that wants a client certificate."""

    def __init__(self) -> None:
        self.url = ""

    def __call__(self, request: RecordedRequest) -> Reply:
        user = shown(request)
        info = {"authInfo": {"isTokenBasedSecurity": True, "tokenServicesUrl": f"{self.url}/portal/sharing/rest/generateToken"}}
        if request.path.startswith("/server/sharing"):
            return Reply(404)
        if request.path.endswith("/info"):
            return json_reply({**info, "owningSystemUrl": f"{self.url}/portal", "currentVersion": 11.3})
        if request.path == "/portal/sharing/rest/generateToken":
            kind = "server" if b"serverUrl" in request.body else "portal"
            return json_reply({"token": f"{kind}-token-of-{user}", "expires": int((time.time() + 3600) * 1000), "ssl": True})
        if request.path.startswith("/portal/"):
            return json_reply({"user": user})
        token = (request.headers.get("X-Esri-Authorization") or "").rpartition(" ")[2]
        if token != f"server-token-of-{user}":
            return json_reply({"error": {"code": 499, "message": "Token Required", "details": []}})
        return json_reply({"user": token.rpartition("-")[2]})


@pytest.fixture
def federation(handler_peer: MakeHandler) -> HandlerPeer:
    answers = Federation()
    peer = handler_peer(answers, tls=True, client_certificate="required")
    answers.url = peer.url
    return peer


def test_a_session_with_a_certificate_reads_federated_servers(
    federation: HandlerPeer, ca: CertificateAuthority, make_session: Callable[..., EsriSession]
) -> None:
    amy = (pfx(ca.client()), SECRET)
    url = federation.url_for("/server/rest/services/x/FeatureServer?f=json")
    for auth, cert in ((None, amy), (EsriPKIAuth(), amy), (EsriPKIAuth(cert=amy), None)):
        with make_session(auth, cert=cert) as session:
            for _ in range(3):
                assert session.get(url).json() == {"user": "amy"}
    with make_session(EsriPKIAuth(cert=amy, url=federation.url_for("/portal"))) as session:
        before = len(federation.requests)
        assert session.post(url, data=LARGE).json() == {"user": "amy"}
        assert session.get(url).json() == {"user": "amy"}
        sent = [request.method for request in federation.requests[before:] if "/services/" in request.path]
        assert sent == ["POST", "POST", "GET"]  # wants a token; with it; the next one
        assert federation.requests[before].path == "/server/rest/info"  # ahead of the first, and starts nothing


def test_without_the_handler_the_server_is_only_what_it_says(
    federation: HandlerPeer, ca: CertificateAuthority, make_session: Callable[..., EsriSession]
) -> None:
    with make_session(cert=ca.client().combined_file) as session:
        assert isinstance(session.auth, EsriPKIAuth)
        session.auth = None
        assert session.auth is None
        answer = session.get(federation.url_for("/server/rest/services?f=json"))
        assert answer.json()["error"]["code"] == 499
    with make_session(EsriUserTokenAuth("token-of-amy"), cert=ca.client().combined_file) as session:
        assert not isinstance(session.auth, EsriPKIAuth)
    with make_session() as session:
        assert session.auth is None
        session.cert = ca.client().combined_file
        assert session.get(federation.url_for("/portal/x")).json() == {"user": "amy"}


# -- together with others ----------------------------------------------------------------------------------------------


def test_another_handler_may_be_given_or_added(
    handler_peer: MakeHandler, ca: CertificateAuthority, make_session: Callable[..., EsriSession]
) -> None:
    def both(request: RecordedRequest) -> Reply:
        return json_reply({"user": shown(request), "basic": request.headers.get("Authorization")})

    peer = handler_peer(both, tls=True, client_certificate="optional")
    amy = ca.client().combined_file
    basic = EsriBasicAuth(None, "amy", "basic-pw")
    for auth in (EsriPKIAuth(cert=amy, auth=basic), EsriPKIAuth(cert=amy) + basic, basic + EsriPKIAuth(cert=amy)):
        with make_session(auth) as session:
            answer = session.get(peer.url).json()
            assert answer["user"] == "amy"
            assert answer["basic"].startswith("Basic ")
            assert session.post(peer.url, data=LARGE).json() == answer
            assert "basic-pw" not in repr(session)


def test_a_token_handler_that_is_given_signs_in_through_it(
    federation: HandlerPeer, ca: CertificateAuthority, make_session: Callable[..., EsriSession]
) -> None:
    from esri_http import EsriGenTokenAuth

    amy = ca.client().combined_file

    def token() -> EsriGenTokenAuth:
        return EsriGenTokenAuth(federation.url_for("/portal"), username="amy", password="portal-pw")

    for auth in (EsriPKIAuth(cert=amy, auth=token()), EsriPKIAuth(cert=amy) + token()):
        with make_session(auth) as session:
            assert session.auth.token == "portal-token-of-amy"
            assert session.get(federation.url_for("/server/rest/services?f=json")).json() == {"user": "amy"}
            session.auth.login()
            session.auth.logout()
