"""Tokens behind a web tier: the portal gives one to whom the web tier let in, and nobody else asks for any."""

from __future__ import annotations

import base64
import http.client
import pickle
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from esri_http import (
    ACCEPT,
    REPLAY,
    ArcGISLoginError,
    AuthRun,
    BaseEsriAuth,
    ConfigurationError,
    EsriAPIKeyAuth,
    EsriBasicAuth,
    EsriBuiltInAuth,
    EsriDigestAuth,
    EsriGenTokenAuth,
    EsriOAuth2Auth,
    EsriSession,
    EsriUserTokenAuth,
    NoTokenError,
)
from esri_http.testing import Answer, EmbeddedPortal

from ..support.http_messages import RecordedRequest, Reply, json_reply
from .helpers import assert_hidden, in_threads, token_sent

FIELD = "Basic " + base64.b64encode(b"amy:web-tier-word").decode()


def web_tier(portals: list[EmbeddedPortal]) -> Any:
    """The handler of a peer that lets amy in by Basic, and passes what she asks on to the sites of the portal."""

    def handle(request: RecordedRequest) -> Reply:
        if request.headers.get("Authorization") != FIELD:
            return Reply(401, {"WWW-Authenticate": 'Basic realm="GIS"'}, "who are you?")
        site = next((site for site in portals[0].sites if request.path.startswith(site.context + "/")), None)
        if site is None:
            return Reply(404)
        connection = http.client.HTTPConnection(urlsplit(site.address).netloc, timeout=10)
        try:
            headers = {name: value for name, value in request.headers if name.lower() not in ("host", "authorization")}
            connection.request(request.method, request.target, request.body, {**headers, "X-Remote-User": "amy"})
            answer = connection.getresponse()
            return Reply(answer.status, {"Content-Type": answer.headers["Content-Type"]}, answer.read())
        finally:
            connection.close()

    return handle


@pytest.fixture
def adaptor(handler_peer: Any, fake_clock: Any) -> Iterator[Any]:
    """(portal, peer): a portal and its servers behind one web adaptor, which the servers believe nobody for."""
    portals: list[EmbeddedPortal] = []
    peer = handler_peer(web_tier(portals))
    with EmbeddedPortal(https=False, host="127.0.0.1", clock=fake_clock, public_url=peer.url) as portal:
        portals.append(portal)
        portal.portal_site.web_tier = lambda request: request.headers.get("X-Remote-User")
        yield portal, peer
        assert portal.internal_errors == []


def amy(**options: Any) -> EsriBasicAuth:
    return EsriBasicAuth(None, "amy", "web-tier-word", **options)


def count(session: Any, url: str) -> Any:
    answer = session.get(url + "/query", params={"where": "1=1", "returnCountOnly": True, "f": "json"})
    answer.raise_for_error()
    return answer.json()["count"]


@pytest.mark.parametrize("named", [False, True])
def test_a_federated_layer_is_read_with_a_token_of_its_own(adaptor: Any, open_session: Any, named: bool) -> None:
    portal, _peer = adaptor
    session = open_session(amy(url=portal.portal_url) if named else amy())
    assert [count(session, portal.layer_url) for _ in range(5)] == [355] * 5
    assert portal.count("/generateToken") == 2
    assert portal.count("/query") == 6
    assert not any("password" in request.form for request in portal.requests)
    portal.revoke_all_tokens()
    assert count(session, portal.layer_url) == 355
    assert session.auth.token is None


def test_what_needs_no_token_gets_none(adaptor: Any, open_session: Any) -> None:
    portal, peer = adaptor
    session = open_session(amy())
    assert session.get(f"{portal.portal_url}/sharing/rest/community/self", params={"f": "json"}).json()["username"] == "amy"
    assert count(session, portal.public_layer_url) == 355
    assert all(token_sent(request) is None for request in peer.requests)


def test_many_threads_want_one_token(adaptor: Any, open_session: Any) -> None:
    portal, _peer = adaptor
    session = open_session(amy())
    assert in_threads(16, lambda _: count(session, portal.layer_url)) == [355] * 16
    assert portal.count("/generateToken") == 2


def test_threads_that_meet_at_the_very_first_request_want_one_token(
    adaptor: Any, open_session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal, _peer = adaptor
    monkeypatch.delitem(sys.modules, "esri_http.auth.web_tier.web_tier_tokens", raising=False)  # as in a new process
    session = open_session(amy())
    assert in_threads(16, lambda _: count(session, portal.layer_url)) == [355] * 16
    assert portal.count("/generateToken") == 2


@pytest.mark.parametrize(
    "outer, user",
    [
        (lambda portal: EsriGenTokenAuth(portal.portal_url), "amy"),
        (lambda portal: EsriBuiltInAuth(portal.portal_url, "bob", portal.password("bob")), "bob"),
        (lambda portal: EsriUserTokenAuth(portal.issue_token("bob", referer="http"), "http", url=portal.portal_url), "bob"),
        (lambda portal: EsriAPIKeyAuth(portal.issue_api_key("bob"), url=portal.portal_url), "bob"),
    ],
    ids=["generateToken", "built-in", "token", "key"],
)
def test_a_token_handler_to_its_right_sees_to_the_tokens(adaptor: Any, open_session: Any, outer: Any, user: str) -> None:
    portal, peer = adaptor
    session = open_session(amy() + outer(portal))
    assert [count(session, portal.layer_url) for _ in range(3)] == [355] * 3
    assert portal.count("/query") == 3
    assert session.get(f"{portal.portal_url}/sharing/rest/community/self", params={"f": "json"}).json()["username"] == user
    assert all(request.headers["Authorization"] == FIELD for request in peer.requests)


def test_it_may_stand_inside_a_token_handler(adaptor: Any, open_session: Any) -> None:
    portal, _peer = adaptor
    key = EsriAPIKeyAuth(portal.issue_api_key("bob"), url=portal.portal_url, auth=amy())
    assert count(open_session(key), portal.layer_url) == 355
    assert portal.count("/query") == 1


def test_a_stand_alone_server_has_accounts_of_its_own(adaptor: Any, open_session: Any) -> None:
    portal, _peer = adaptor
    with pytest.raises(NoTokenError, match=r"add a handler for them: \+ EsriGenTokenAuth"):
        count(open_session(amy()), portal.standalone_layer_url)
    both = amy() + EsriGenTokenAuth(portal.standalone_url, username="amy", password=portal.password("amy"))
    assert count(open_session(both), portal.standalone_layer_url) == 355


def test_what_a_server_says_of_its_portal_is_not_obeyed(adaptor: Any, open_session: Any, handler_peer: Any) -> None:
    portal, _peer = adaptor
    thief = handler_peer(lambda request: json_reply({"token": "t", "expires": 9_999_999_999_999}))
    for owner in (thief.url + "/portal", thief.url_for("/portal", host="localhost")):
        portal.server_site.info_overrides = {"owningSystemUrl": owner}
        for auth in (amy(), amy(url=portal.portal_url)):
            with pytest.raises(NoTokenError):
                count(open_session(auth), portal.layer_url)
    assert thief.requests == []


def test_a_server_on_another_origin_gets_the_token_and_not_the_password(
    portal: EmbeddedPortal, open_session: Any, handler_peer: Any
) -> None:
    def gate(request: Any) -> Answer | None:
        allowed = request.headers.get("Authorization") == FIELD
        return None if allowed else Answer(401, b"").add("WWW-Authenticate", "Basic")

    portal.portal_site.gate = gate
    portal.portal_site.web_tier = lambda request: "amy"
    session = open_session(amy(url=portal.portal_url))
    assert [count(session, portal.layer_url) for _ in range(3)] == [355] * 3
    at_server = [request for request in portal.requests if request.site == "server"]
    assert at_server
    assert all("Authorization" not in request.headers for request in at_server)
    with pytest.raises(NoTokenError, match="name that to the handler"):
        count(open_session(amy()), portal.layer_url)


def test_where_only_a_redirect_led_to_nothing_is_sent(adaptor: Any, open_session: Any, handler_peer: Any) -> None:
    portal, peer = adaptor
    token_required = {"error": {"code": 499, "message": "Token Required", "details": []}}
    stranger = handler_peer(lambda request: json_reply(token_required))
    inside = peer.handler
    peer.handler = lambda request: (
        Reply(307, {"Location": stranger.url_for("/server/rest/services/X/MapServer?f=json", host="localhost")})
        if request.path == "/away"
        else inside(request)
    )
    for auth in (amy(), amy(url=portal.portal_url)):
        answer = open_session(auth).get(peer.url + "/away")
        assert answer.esri_error.code == 499
    assert {request.path for request in stranger.requests} == {"/server/rest/services/X/MapServer"}
    assert all("Authorization" not in request.headers for request in stranger.requests)


def test_a_refused_password_is_sent_once_and_then_remembered(adaptor: Any, open_session: Any) -> None:
    portal, peer = adaptor
    auth = EsriBasicAuth(None, "amy", "not-the-word")
    session = open_session(auth)
    for _ in range(3):
        with pytest.raises(ArcGISLoginError, match=r"user name or password of amy is wrong \(Basic\)"):
            session.get(portal.portal_url + "/sharing/rest")
    assert len(peer.requests) == 1
    auth.login()
    with pytest.raises(ArcGISLoginError):
        session.get(portal.portal_url + "/sharing/rest")
    auth.password = "web-tier-word"
    assert session.get(portal.portal_url + "/sharing/rest", params={"f": "json"}).ok
    assert len(peer.requests) == 3


@pytest.fixture(params=["generateToken", "built-in", "refresh token"])
def behind(request: Any, adaptor: Any, fake_clock: Any) -> Any:
    """A handler that signs amy in at the portal behind the web tier."""
    portal, _ = adaptor
    portal.register_app("app1", redirect_uris=["urn:ietf:wg:oauth:2.0:oob"])
    given: dict[str, Any] = {"username": "amy", "password": portal.password("amy"), "clock": fake_clock}
    if request.param == "generateToken":
        return EsriGenTokenAuth(portal.token_url, **given)
    if request.param == "refresh token":
        token = portal.oauth.issue_refresh_token("amy", "app1")
        return EsriOAuth2Auth(portal.portal_url, "app1", refresh_token=token, clock=fake_clock)
    return EsriBuiltInAuth(portal.portal_url, **given)


def test_what_the_web_tier_refuses_is_not_held_against_the_sign_in_behind_it(
    adaptor: Any, behind: Any, open_session: Any
) -> None:
    portal, peer = adaptor
    door = EsriBasicAuth(None, "amy", "not-the-word")
    session = open_session(door + behind)
    url = portal.portal_url + "/sharing/rest/community/self?f=json"
    for _ in range(2):
        with pytest.raises(ArcGISLoginError, match=r"of amy is wrong \(Basic\)"):
            session.get(url)
    assert len(peer.requests) == 1
    door.password = "web-tier-word"
    assert session.get(url).json()["username"] == "amy"


def test_a_401_for_one_path_is_about_that_path_where_others_were_answered(handler_peer: Any, open_session: Any) -> None:
    def answer(request: RecordedRequest) -> Reply:
        return Reply(401, {"WWW-Authenticate": "Basic"}) if request.path.startswith("/bobs") else Reply(200, {}, "fine")

    peer = handler_peer(answer)
    session = open_session(amy())
    assert session.get(peer.url + "/open").text == "fine"
    for _ in range(3):
        with pytest.raises(ArcGISLoginError):
            session.get(peer.url + "/bobs")
    assert session.get(peer.url + "/open").text == "fine"
    assert [request.path for request in peer.requests] == ["/open", "/bobs", "/open"]


def test_a_pair_is_basic_as_other_clients_do_it(adaptor: Any, open_session: Any) -> None:
    portal, peer = adaptor
    session = open_session(("amy", "not-the-word"))
    assert [session.get(portal.portal_url + "/sharing/rest").status_code for _ in range(2)] == [401, 401]
    assert len(peer.requests) == 2


def test_its_tokens_are_forgotten_at_logout_and_do_not_travel(adaptor: Any, open_session: Any) -> None:
    portal, _peer = adaptor
    session = open_session(amy())
    assert count(session, portal.layer_url) == 355
    twin = pickle.loads(pickle.dumps(session.auth))
    assert session.auth.logout() is False
    assert count(session, portal.layer_url) == 355
    assert count(open_session(twin), portal.layer_url) == 355
    assert portal.count("/generateToken") == 6


def test_threads_that_begin_at_two_origins_do_not_wait_for_each_other(portal: EmbeddedPortal, open_session: Any) -> None:
    def gate(request: Any) -> Answer | None:
        allowed = request.headers.get("Authorization") == FIELD
        return None if allowed else Answer(401, b"").add("WWW-Authenticate", "Basic")

    for site in portal.sites:
        site.gate = gate
    self_url = f"{portal.portal_url}/sharing/rest/community/self"
    for _ in range(10):
        session = open_session(amy() + EsriBuiltInAuth(portal.portal_url, "bob", portal.password("bob")), deadline=20)
        work = [
            lambda session=session: session.get(self_url, params={"f": "json"}).json()["username"],
            lambda session=session: count(session, portal.layer_url),
        ]
        assert in_threads(8, lambda number, work=work: work[number % 2]()) == ["bob", 355] * 4


class Again(BaseEsriAuth):
    """Says once for each request that it has to go out again."""

    def begin(self, audience: Any) -> AuthRun:
        return AgainRun()


class AgainRun(AuthRun):
    def __init__(self) -> None:
        self.said = False

    def on_response(self, request: Any, response: Any, wire: Any) -> Any:
        said, self.said = self.said, True
        return ACCEPT if said else REPLAY


def test_a_handler_to_the_left_may_send_again_while_the_password_is_new(handler_peer: Any, open_session: Any) -> None:
    peer = handler_peer(lambda request: json_reply(request.headers.get("Authorization")))
    for chain in (Again() + amy(), amy() + Again(), Again() + EsriDigestAuth(None, "amy", "x") + amy()):
        assert open_session(chain, deadline=20).get(peer.url).json() == FIELD


def test_a_body_may_come_from_the_same_session(handler_peer: Any, open_session: Any) -> None:
    peer = handler_peer(lambda request: json_reply({"received": request.body_length}))
    session = open_session(amy(), deadline=20)

    def pages() -> Iterator[bytes]:
        for _ in range(3):
            yield session.get(peer.url + "/source").content

    assert session.post(peer.url + "/target", data=pages()).json()["received"] == 3 * len(b'{"received": 0}')


def test_a_password_that_is_set_while_the_old_one_is_refused_is_the_one_that_counts(
    handler_peer: Any, open_session: Any
) -> None:
    auth = EsriBasicAuth(None, "amy", "not-the-word")

    def answer(request: RecordedRequest) -> Reply:
        if request.headers["Authorization"] == FIELD:
            return Reply(200, {}, "fine")
        auth.password = "web-tier-word"  # while the old one is under way
        return Reply(401, {"WWW-Authenticate": "Basic"})

    session = open_session(auth)
    assert [session.get(handler_peer(answer).url).text for _ in range(2)] == ["fine", "fine"]


def test_a_password_that_was_good_and_is_no_more_is_not_sent_for_ever(handler_peer: Any, open_session: Any) -> None:
    changed: list[int] = []
    refused: list[str] = []

    def answer(request: RecordedRequest) -> Reply:
        if not changed:
            return Reply(200, {}, "fine")
        refused.append(request.path)
        return Reply(401, {"WWW-Authenticate": "Basic"})

    peer = handler_peer(answer)
    session = open_session(amy())
    assert session.get(peer.url + "/0").text == "fine"
    changed.append(1)
    for number in range(10):
        with pytest.raises(ArcGISLoginError):
            session.get(f"{peer.url}/{number}")
    assert refused == ["/0", "/1"]


def test_what_keeps_a_token_away_is_told_as_it_is(adaptor: Any, open_session: Any) -> None:
    portal, peer = adaptor
    inside = peer.handler
    peer.handler = lambda request: (
        Reply(401, {"WWW-Authenticate": 'Basic realm="GIS"'}) if request.path.endswith("/rest/info") else inside(request)
    )
    with pytest.raises(ArcGISLoginError, match=r"/server/rest/info\?… refuses the sign-in"):
        count(open_session(amy()), portal.layer_url)


@pytest.mark.parametrize("name, password", [("amy\udcff", "x"), ("amy", "s3cret\udcff")])
def test_half_a_character_is_refused_without_being_shown(name: str, password: str) -> None:
    for make in (lambda: EsriBasicAuth(None, name, password), lambda: EsriSession(auth=(name, password))):
        with pytest.raises(ConfigurationError, match="half a character") as caught:
            make()
        assert_hidden(["s3cret"], caught.value)
    auth = amy()
    with pytest.raises(ConfigurationError):
        auth.password = 5  # type: ignore[assignment]
