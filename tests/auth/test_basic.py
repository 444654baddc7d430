"""HTTP Basic (RFC 7617): the bytes on the wire, the peer's signature, and whom the password is for."""

from __future__ import annotations

import base64
import pickle
from typing import Any

import pytest

from esri_http import EsriBasicAuth, EsriSession
from esri_http.words.errors import ConfigurationError

from ..support.http_messages import RecordedRequest, Reply, json_reply
from .helpers import assert_hidden


@pytest.fixture
def peer(handler_peer: Any) -> Any:
    """A server that says what `Authorization` it got."""
    return handler_peer(lambda request: json_reply(request.headers.get("Authorization")))


def other_origin(peer: Any) -> str:
    """The same server under another name, which makes it another origin."""
    return str(peer.url_for("", host="localhost"))


@pytest.mark.parametrize(
    "username, password, field",
    [
        ("Aladdin", "open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ("test", "123\u00a3", "dGVzdDoxMjPCow=="),
        ("иван", "пароль", base64.b64encode("иван:пароль".encode()).decode()),
        ("amy", "with:colon", base64.b64encode(b"amy:with:colon").decode()),
        ("amy", "", base64.b64encode(b"amy:").decode()),
        ("a" * 100, "b" * 200, base64.b64encode(b"a" * 100 + b":" + b"b" * 200).decode()),
    ],
)
def test_user_and_password_go_out_in_utf8_without_a_challenge(peer: Any, username: str, password: str, field: str) -> None:
    with EsriSession() as session:
        session.auth = EsriBasicAuth(session, username, password)
        assert session.get(peer.url).json() == f"Basic {field}"
        assert session.get(peer.url, auth=(username, password)).json() == f"Basic {field}"
    assert len(peer.requests) == 2


def test_the_signature_is_the_peers_with_the_session_first() -> None:
    session = EsriSession()
    by_place = EsriBasicAuth(session, "amy", "secret")
    by_name = EsriBasicAuth(session=session, username="amy", password="secret", referer="http", legacy=False)
    assert by_place == by_name
    assert by_place.username == "amy"
    assert by_place.token is None
    assert by_place != EsriBasicAuth(session, "amy", "other")
    assert len({by_place, by_name}) == 1


@pytest.mark.parametrize(
    "username, password, says",
    [("", "secret", "needs a user"), (None, "secret", "needs a user"), ("amy", None, "as text"), ("a:b", "c", "colon")],
)
def test_what_cannot_be_a_user_or_a_password_is_refused_at_once(username: Any, password: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        EsriBasicAuth(None, username, password)
    with pytest.raises(ConfigurationError, match=says) as caught:
        EsriSession(auth=(username, password))
    assert "EsriBasicAuth" not in str(caught.value)  # which whoever gave a pair, or a URL, has never heard of


@pytest.mark.parametrize("password", ["s3cret\udcff", 5, None])
def test_a_new_password_that_cannot_be_sent_leaves_the_old_one(peer: Any, password: Any) -> None:
    auth = EsriBasicAuth(None, "amy", "secret")
    before = pickle.dumps(auth)
    with pytest.raises(ConfigurationError):
        auth.password = password
    assert pickle.dumps(auth) == before
    with EsriSession(auth=auth) as session:
        assert session.get(peer.url).json() == "Basic YW15OnNlY3JldA=="


def test_a_header_of_the_caller_goes_first(peer: Any) -> None:
    with EsriSession(auth=("amy", "secret")) as session:
        assert session.get(peer.url, headers={"authorization": "Bearer mine"}).json() == "Bearer mine"


def test_without_url_it_goes_where_the_caller_goes(peer: Any) -> None:
    with EsriSession(auth=EsriBasicAuth(None, "amy", "secret")) as session:
        assert session.get(peer.url).json() is not None
        assert session.get(other_origin(peer)).json() is not None
        assert session.get(peer.url, drop_auth=True).json() is None


def test_with_url_it_goes_to_that_origin_only(peer: Any) -> None:
    with EsriSession(auth=EsriBasicAuth(None, "amy", "secret", url=peer.url + "/server/rest")) as session:
        assert session.get(peer.url + "/elsewhere").json() is not None
        assert session.get(other_origin(peer)).json() is None


def test_a_trusted_origin_gets_it_too(peer: Any) -> None:
    auth = EsriBasicAuth(None, "amy", "secret", url="https://gis.example.com")
    with EsriSession(auth=auth, trusted_origins=[other_origin(peer)]) as session:
        assert session.get(other_origin(peer)).json() is not None
        assert session.get(peer.url).json() is None


@pytest.mark.parametrize("trusted", [False, True])
def test_no_redirect_carries_it_to_another_origin_unless_that_is_trusted(handler_peer: Any, trusted: bool) -> None:
    def answer(request: RecordedRequest) -> Reply:
        if request.path == "/away":
            return Reply(307, {"Location": peer.url_for("/there", host="localhost")})
        return json_reply(request.headers.get("Authorization"))

    peer = handler_peer(answer)
    with EsriSession(auth=("amy", "secret"), trusted_origins=[other_origin(peer)] if trusted else []) as session:
        assert (session.get(peer.url + "/away").json() is not None) is trusted
    assert "Authorization" in peer.requests[0].headers


def test_a_redirect_back_home_is_signed_again(handler_peer: Any) -> None:
    def answer(request: RecordedRequest) -> Reply:
        if request.path == "/away":
            return Reply(302, {"Location": peer.url_for("/back", host="localhost")})
        if request.path == "/back":
            return Reply(302, {"Location": peer.url + "/home"})
        return json_reply(request.headers.get("Authorization"))

    peer = handler_peer(answer)
    with EsriSession(auth=("amy", "secret")) as session:
        assert session.get(peer.url + "/away").json() == "Basic YW15OnNlY3JldA=="
    assert ["Authorization" in request.headers for request in peer.requests] == [True, False, True]


def test_user_info_in_the_url_signs_that_call_and_leaves_the_url(peer: Any) -> None:
    with EsriSession(auth=("bob", "other")) as session:
        response = session.get(peer.url.replace("://", "://amy:s%40cret@"))
    assert response.json() == "Basic " + base64.b64encode(b"amy:s@cret").decode()
    assert response.url == peer.url + "/"


@pytest.mark.parametrize("info", ["amy:s3cret%ff", "amy%e4:s3cret"])
def test_user_info_that_is_no_text_is_told_and_nothing_else_sent_in_its_place(peer: Any, info: str) -> None:
    with EsriSession() as session, pytest.raises(ConfigurationError, match="UTF-8") as caught:
        session.get(peer.url.replace("://", f"://{info}@"))
    assert_hidden(["s3cret"], caught.value)
    assert peer.requests == []


def test_the_password_is_in_no_repr_and_survives_a_pickle() -> None:
    auth = EsriBasicAuth(None, "amy", "s3cr3t-word")
    encoded = base64.b64encode(b"amy:s3cr3t-word").decode()
    for shown in (repr(auth), str(auth), repr(EsriSession(auth=auth))):
        assert "s3cr3t-word" not in shown
        assert encoded not in shown
    assert pickle.loads(pickle.dumps(auth)) == auth
