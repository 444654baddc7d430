"""498 and 499 in all their shapes: the token is renewed once and the request sent again; everything else is left alone."""

from __future__ import annotations

import io
import json

import pytest

from esri_http import EsriUserTokenAuth
from esri_http.testing import faults
from esri_http.words.errors import ArcGISLoginError, BodyNotReplayableError, SignInError, TokenRequestError
from tests.auth.helpers import guarded, sign_ins, token_sent
from tests.support.peers import Reply, json_reply

SELF = "/sharing/rest/community/self?f=json"

SHARING = {"error": {"code": 498, "message": "Invalid token.", "details": []}}
REQUIRED = {"error": {"code": 499, "message": "Token Required", "messageCode": "GWM_0003", "details": ["Token Required"]}}
ADMIN = {"status": "error", "messages": ["Token Expired."], "code": 498}
ADMIN_REQUIRED = {"status": "error", "messages": ["Unauthorized access. Token not found."], "code": 499}

REFUSALS = {
    "498": json_reply(SHARING),
    "499": json_reply(REQUIRED),
    "498 of the admin kind": json_reply(ADMIN),
    "499 of the admin kind": json_reply(ADMIN_REQUIRED),
    "498 as text": json_reply({"error": {"code": "498", "message": "Invalid token."}}),
    "498 as plain text": Reply(200, {"Content-Type": "text/plain;charset=utf-8"}, json.dumps(SHARING)),
    "498 without a content type": Reply(200, {}, json.dumps(SHARING)),
    "498 with blanks": Reply(200, {"Content-Type": "text/plain"}, "\n" + json.dumps(SHARING, indent=4)),
    "498 behind a byte order mark": Reply(200, {"Content-Type": "text/plain"}, b"\xef\xbb\xbf" + json.dumps(SHARING).encode()),
    "498 in chunks": Reply(200, {"Content-Type": "text/plain"}, [bytes([byte]) for byte in json.dumps(SHARING).encode()]),
    "498 in 401": json_reply(SHARING, 401, {"WWW-Authenticate": "Bearer"}),
    "499 in 401": json_reply(REQUIRED, 401),
    "498 in 403": json_reply(SHARING, 403),
    "498 in 400": json_reply(SHARING, 400),
    "498 in 500": json_reply(SHARING, 500),
    "status 498 with JSON": json_reply(SHARING, 498),
    "status 499 with JSON": json_reply(REQUIRED, 499),
    "status 498 with a page": Reply(498, {"Content-Type": "text/html"}, "<html>Invalid Token</html>"),
    "status 499 with a page": Reply(499, {"Content-Type": "text/html"}, "<html>Token Required</html>"),
    "status 498 with nothing": Reply(498),
}

UNTOUCHED = {
    "403 of permissions": json_reply(
        {"error": {"code": 403, "messageCode": "GWM_0003", "message": "You do not have permissions."}}
    ),
    "403 without words": json_reply({"error": {"code": 403, "message": "Token Required"}}),
    "400": json_reply({"error": {"code": 400, "message": "Invalid token 498", "details": ["498", "499"]}}),
    "401": json_reply({"error": {"code": 401, "message": "Unauthorized"}}),
    "code as a list": json_reply({"error": {"code": [498], "message": "Invalid token."}}),
    "code as an object": json_reply({"error": {"code": {"498": 498}, "message": "Invalid token."}}),
    "code true": json_reply({"error": {"code": True, "message": "Invalid token."}}),
    "code null": json_reply({"error": {"code": None, "message": "Invalid token."}}),
    "code 498.5": json_reply({"error": {"code": 498.5, "message": "Invalid token."}}),
    "code -498": json_reply({"error": {"code": -498, "message": "Invalid token."}}),
    "code 4980": json_reply({"error": {"code": 4980, "message": "Invalid token."}}),
    "error as text": json_reply({"error": "498"}),
    "error as a list": json_reply({"error": [{"code": 498}]}),
    "a list of errors": json_reply([SHARING]),
    "an attribute called error": json_reply({"attributes": {"error": {"code": 498}}, "features": []}),
    "a title that mentions it": json_reply({"title": "Invalid Token 498", "error": None, "total": 1}),
    "portals/checkurl": json_reply({"secured": True, "httpStatusCode": 499, "httpStatusMessage": "Token Required"}),
    "a page": Reply(200, {"Content-Type": "text/html"}, "<html><h1>Error 498: Invalid Token</h1></html>"),
    "an image": Reply(200, {"Content-Type": "image/png"}, b"\x89PNG\r\n\x1a\n" + json.dumps(SHARING).encode()),
    "a zip file": Reply(200, {"Content-Type": "application/zip"}, b"PK\x03\x04" + json.dumps(SHARING).encode()),
    "an image with 401": Reply(401, {"Content-Type": "image/png"}, b"\x89PNG"),
    "a page with 403": Reply(403, {"Content-Type": "text/html"}, "<html>498</html>"),
    "404": json_reply(SHARING, 404),
    "nothing": Reply(200, {"Content-Type": "application/json"}, b""),
    "broken JSON": Reply(200, {"Content-Type": "application/json"}, b'{"error": {"code": 498, '),
    "an error of a megabyte": json_reply({"error": {"code": 498, "message": "x" * 1_000_000}}),
}


class Renewals:
    """The `renew` of a user token: "fresh" each time, and counted."""

    def __init__(self, *values):
        self.values = list(values) or ["fresh"]
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return self.values[min(self.calls, len(self.values)) - 1]


@pytest.fixture
def renew():
    return Renewals()


@pytest.mark.parametrize("reply", REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_answered_by_one_renewal_and_one_replay(handler_peer, open_session, renew, reply, stream):
    peer = handler_peer(guarded({"fresh"}, reply))
    session = open_session(EsriUserTokenAuth("dead-token", renew=renew), retries=0)
    assert session.get(peer.url_for("/x"), stream=stream).json() == {"length": 0}
    assert [token_sent(request) for request in peer.requests] == ["dead-token", "fresh"]
    assert renew.calls == 1
    session.get(peer.url_for("/x"))
    assert len(peer.requests) == 3


@pytest.mark.parametrize("reply", UNTOUCHED.values(), ids=UNTOUCHED)
@pytest.mark.parametrize("stream", [False, True])
def test_other_answers_are_handed_over_as_they_are(handler_peer, open_session, renew, reply, stream):
    peer = handler_peer(lambda request: reply)
    session = open_session(EsriUserTokenAuth("a-token", renew=renew), retries=0)
    response = session.get(peer.url_for("/x"), stream=stream)
    assert response.content == reply.body
    assert response.status_code == reply.status
    assert len(peer.requests) == 1
    assert renew.calls == 0


@pytest.mark.parametrize("reply", REFUSALS.values(), ids=REFUSALS)
def test_one_who_always_refuses_is_asked_twice_then_there_is_an_error(handler_peer, open_session, renew, reply):
    peer = handler_peer(lambda request: reply)
    session = open_session(EsriUserTokenAuth("dead-token", renew=renew), retries=0)
    with pytest.raises(ArcGISLoginError, match="refuses a fresh token too") as caught:
        session.get(peer.url_for("/x?secret=1"))
    assert caught.value.code in (498, 499)
    assert "Referer" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert len(peer.requests) == 2
    assert renew.calls == 1


class TestWithAPassword:
    """The same with user name and password, at the portal and at a federated server."""

    @pytest.mark.parametrize(
        "envelope", [SHARING, REQUIRED, ADMIN, ADMIN_REQUIRED], ids=["498", "499", "admin 498", "admin 499"]
    )
    def test_at_the_portal(self, portal, open_session, amy, envelope):
        session = open_session(amy(portal))
        session.get(portal.portal_url + SELF)
        portal.faults.add("/community/self", faults.status(200, body=envelope))
        assert session.get(portal.portal_url + SELF).json()["username"] == "amy"
        assert sign_ins(portal) == 2
        assert portal.count("/community/self") == 3

    def test_a_portal_that_always_refuses(self, portal, open_session, amy):
        portal.faults.add("/community/self", faults.arcgis_error(498), times=None)
        session = open_session(amy(portal))
        with pytest.raises(ArcGISLoginError, match="refuses a fresh token too"):
            session.get(portal.portal_url + SELF)
        assert portal.count("/community/self") <= 4
        assert sign_ins(portal) <= 3

    def test_a_server_that_always_refuses(self, portal, open_session, amy):
        portal.faults.add("/FeatureServer/0", faults.arcgis_error(499), times=None)
        session = open_session(amy(portal))
        with pytest.raises(ArcGISLoginError, match="refuses a fresh token too"):
            session.get(portal.layer_url + "?f=json")
        assert portal.count("/FeatureServer/0") <= 4
        assert portal.count("/generateToken") <= 3

    def test_a_refused_layer_stays_readable_for_others(self, portal, open_session, amy):
        session = open_session(amy(portal))
        portal.faults.add("/FeatureServer/0", faults.arcgis_error(498), times=2)
        with pytest.raises(ArcGISLoginError):
            session.get(portal.layer_url + "?f=json")
        assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"

    def test_the_token_service_itself_may_say_498_and_is_not_asked_again(self, portal, open_session, amy):
        portal.faults.add("/generateToken", faults.arcgis_error(498), times=None)
        session = open_session(amy(portal))
        with pytest.raises(SignInError) as caught:
            session.get(portal.portal_url + SELF)
        assert caught.value.code == 498
        assert len(portal.requests) == 1


class TestReplays:
    """The replayed request carries its body again."""

    @pytest.fixture
    def peer(self, handler_peer):
        return handler_peer(guarded({"fresh"}))

    @pytest.fixture
    def session(self, open_session, renew):
        return open_session(EsriUserTokenAuth("dead-token", renew=renew))

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    def test_bytes(self, peer, session, method):
        assert session.request(method, peer.url_for("/x"), data=b"some bytes").json() == {"length": 10}
        assert [request.body for request in peer.requests] == [b"some bytes"] * 2

    @pytest.mark.parametrize("body", [{"data": {"a": 1}}, {"json": {"a": [1]}}, {"files": {"file": b"content"}}])
    def test_forms_json_and_files(self, peer, session, body):
        session.post(peer.url_for("/x"), **body)
        first, second = peer.requests
        assert first.body == second.body != b""
        assert first.headers["Content-Type"] == second.headers["Content-Type"]

    def test_a_file_from_where_it_stood(self, peer, session, tmp_path):
        path = tmp_path / "data.bin"
        path.write_bytes(b"skip" + b"content" * 1000)
        with path.open("rb") as file:
            file.seek(4)
            session.post(peer.url_for("/x"), data=file)
        assert [request.body for request in peer.requests] == [b"content" * 1000] * 2

    def test_a_file_in_memory(self, peer, session):
        session.post(peer.url_for("/x"), files={"file": ("a.txt", io.BytesIO(b"content"))})
        assert [b"content" in request.body for request in peer.requests] == [True, True]

    @pytest.mark.parametrize("kind", ["iterator", "stream"])
    def test_a_body_that_can_be_read_once_only_is_a_clear_error(self, peer, session, kind):
        def pieces():
            yield b"one"
            yield b"two"

        class Stream:
            content = [b"onetwo"]

            def read(self, size=-1):
                return self.content.pop() if self.content else b""

        with pytest.raises(BodyNotReplayableError, match="can be read only once"):
            session.post(peer.url_for("/x"), data=pieces() if kind == "iterator" else Stream())
        assert [request.body for request in peer.requests] == [b"onetwo"]

    def test_a_body_that_can_be_read_once_is_fine_with_a_good_token(self, peer, session):
        session.get(peer.url_for("/x"))
        assert session.post(peer.url_for("/x"), data=iter([b"one", b"two"])).json() == {"length": 6}

    def test_the_connection_of_the_refused_request_is_used_again(self, peer, session):
        for _ in range(3):
            session.get(peer.url_for("/x"))
        assert {request.connection for request in peer.requests} == {1}


class TestSignInFails:
    """One attempt, a clear error, and the next request may try again."""

    @pytest.mark.parametrize(
        "fault, words",
        [
            (faults.html_page(), "a web page came instead"),
            (faults.status(200, body={}), "neither a token nor an error"),
            (faults.status(200, body=[]), "not an object"),
            (faults.status(200, body={"token": None}), "neither a token nor an error"),
            (faults.status(200, body={"token": ""}), "neither a token nor an error"),
            (faults.status(200, body={"token": 7}), "neither a token nor an error"),
            (faults.status(200, body={"token": ["x"]}), "neither a token nor an error"),
            (faults.status(200, body={"token": "a\r\nX-Evil: 1"}), "cannot be a token"),
            (faults.status(200, body={"token": "nul\x00"}), "cannot be a token"),
            (faults.status(200, body={"token": "to ken"}), "cannot be a token"),
            (faults.status(200, body={"token": "tökn"}), "cannot be a token"),
            (faults.status(200, body={"token": "x" * 20_000}), "cannot be a token"),
            (faults.invalid_json(b'{"token": "abcdef'), "breaks off or is malformed"),
            (faults.invalid_json(b"[" * 100_000), "breaks off or is malformed"),
            (faults.empty_body(), "is empty"),
            (faults.status(500), "HTTP 500"),
            (faults.status(503, retry_after="1"), "HTTP 503"),
            (faults.status(500, body={"error": {"code": 500, "message": "Service not started"}}), "Service not started"),
            (faults.status(404), "HTTP 404"),
            (faults.arcgis_error(429), "429"),
            (faults.arcgis_error(504), "504"),
            (faults.redirect("https://elsewhere.invalid/login"), "redirects to https://elsewhere.invalid/login"),
        ],
    )
    def test_each_kind_of_failure(self, portal, open_session, amy, fault, words):
        portal.faults.add("/generateToken", fault)
        session = open_session(amy(portal))
        with pytest.raises(TokenRequestError, match=words) as caught:
            session.get(portal.portal_url + SELF)
        assert portal.password("amy") not in str(caught.value)
        assert sign_ins(portal) == 1
        assert len(portal.requests) == 1
        assert session.get(portal.portal_url + SELF).json()["username"] == "amy"

    @pytest.mark.parametrize("fault", [faults.reset(), faults.close(), faults.truncated(5), faults.bad_chunk()])
    def test_a_sign_in_whose_answer_is_lost_is_not_posted_again(self, portal, open_session, amy, fault):
        portal.faults.add("/generateToken", fault)
        session = open_session(amy(portal))
        with pytest.raises(Exception, match="localhost") as caught:
            session.get(portal.portal_url + SELF)
        assert type(caught.value).__module__ == "esri_http.words.errors"
        assert sign_ins(portal) == 1

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("same_host", [True, False])
    def test_credentials_are_not_sent_after_a_redirect(self, portal, open_session, amy, handler_peer, status, same_host):
        thief = handler_peer(lambda request: json_reply({"token": "bait", "expires": 4_000_000_000_000}))
        target = thief.url_for("/portal/sharing/rest/generateToken", host="localhost" if same_host else "127.0.0.1")
        portal.faults.add("/generateToken", faults.redirect(target, status))
        session = open_session(amy(portal))
        with pytest.raises(TokenRequestError, match="Credentials are not sent after a redirect"):
            session.get(portal.portal_url + SELF)
        assert thief.requests == []

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_nor_after_one_to_plain_http(self, tls_portal, open_session, amy, handler_peer, status):
        thief = handler_peer(lambda request: json_reply({"token": "bait", "expires": 4_000_000_000_000}))
        tls_portal.faults.add("/generateToken", faults.redirect(thief.url_for("/", host="localhost"), status))
        session = open_session(amy(tls_portal), ca_bundles=tls_portal.ca_file)
        with pytest.raises(TokenRequestError, match="Credentials are not sent after a redirect"):
            session.get(tls_portal.portal_url + SELF)
        assert thief.requests == []

    def test_a_token_with_every_sign_that_may_be_in_one_arrives_unchanged(self, handler_peer, open_session, amy, portal):
        token = "a+b/c=d&e%f!\"#$'()*,-.:;<>?@[]^_`{|}~\\g"
        peer = handler_peer(guarded({token}))
        assert open_session(EsriUserTokenAuth(token)).get(peer.url_for("/x")).json() == {"length": 0}
        assert open_session(EsriUserTokenAuth(token, legacy=True)).get(peer.url_for("/x")).json() == {"length": 0}
