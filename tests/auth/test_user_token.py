"""`EsriUserTokenAuth`: a token that somebody else issued, in a header or, the legacy way, in query or form."""

from __future__ import annotations

import datetime
import inspect
import logging
import pickle
import time

import pytest

from esri_http import EsriSession, EsriUserTokenAuth
from esri_http.words.errors import ArcGISLoginError, ConfigurationError, InvalidHeaderError, TokenRequestError
from tests.auth.helpers import SELF, errors_in, guarded, in_threads, meanwhile, token_sent
from tests.support.peers import Reply, json_reply

TOKEN = "given+token/=."
NEVER = datetime.datetime.max
UTC = datetime.timezone.utc


@pytest.fixture
def peer(handler_peer):
    return handler_peer(guarded({TOKEN}))


@pytest.fixture
def set_zone(monkeypatch):
    """`set_zone(name)`: the time zone of this process, where the system lets it be set."""

    def set_zone(name):
        monkeypatch.setenv("TZ", name)
        getattr(time, "tzset", int)()

    yield set_zone
    monkeypatch.undo()
    getattr(time, "tzset", int)()


def test_the_parameters_come_in_the_order_that_scripts_use():
    assert list(inspect.signature(EsriUserTokenAuth).parameters)[:3] == ["token", "referer", "verify_cert"]


def test_the_token_goes_into_a_header_of_its_own_and_authorization_stays_free(peer, open_session):
    open_session(EsriUserTokenAuth(TOKEN)).get(peer.url_for("/x?f=json"))
    request = peer.requests[0]
    assert request.headers["X-Esri-Authorization"] == f"Bearer {TOKEN}"
    assert "Authorization" not in request.headers
    assert request.target == "/x?f=json"


def test_it_costs_no_request_of_its_own(peer, open_session):
    session = open_session(EsriUserTokenAuth(TOKEN))
    for _ in range(3):
        session.get(peer.url_for("/x"))
    assert len(peer.requests) == 3


def test_its_referer_is_sent_with_it_else_the_sessions(peer, open_session):
    open_session(EsriUserTokenAuth(TOKEN, "https://tool.example/")).get(peer.url_for("/x"))
    open_session(EsriUserTokenAuth(TOKEN), referer="https://mine.example").get(peer.url_for("/x"))
    open_session(EsriUserTokenAuth(TOKEN), referer=None).get(peer.url_for("/x"))
    assert [request.headers.get("Referer") for request in peer.requests] == [
        "https://tool.example/",
        "https://mine.example",
        None,
    ]


def test_a_referer_bound_token_of_the_portal_works(portal, open_session):
    token = portal.issue_token("amy", referer="https://tool.example/")
    url = portal.portal_url + "/sharing/rest/community/self?f=json"
    assert open_session(EsriUserTokenAuth(token, "https://tool.example/")).get(url).json()["username"] == "amy"
    with pytest.raises(ArcGISLoginError, match="bound to another Referer"):
        open_session(EsriUserTokenAuth(token)).get(url)


def test_the_token_can_be_read_and_exchanged(peer, open_session):
    handler = EsriUserTokenAuth("old-token")
    session = open_session(handler)
    assert handler.token == "old-token"
    handler.token = TOKEN
    assert session.get(peer.url_for("/x")).json() == {"length": 0}
    assert handler.token == TOKEN


@pytest.mark.parametrize("token", [None, "", "  ", 7, b"bytes", ["x"], "two words", "a\r\nb", "nul\x00", "tökn", "x" * 20_000])
def test_what_is_no_token_is_refused_at_once(token):
    with pytest.raises(ConfigurationError) as caught:
        EsriUserTokenAuth(token)
    assert not isinstance(token, str) or len(token.strip()) < 3 or token not in str(caught.value)


@pytest.mark.parametrize("referer", [5, ["https://tool.example/"], object(), "two\r\nlines", "\u0142\u00f3d\u017a"])
def test_a_referer_that_cannot_be_sent_is_refused_at_once(referer):
    with pytest.raises(InvalidHeaderError, match="Referer"):
        EsriUserTokenAuth(TOKEN, referer)
    auth = EsriUserTokenAuth(TOKEN)
    with pytest.raises(InvalidHeaderError, match="Referer"):
        auth.referer = referer
    assert auth.referer is None


def test_what_cannot_renew_is_refused_at_once():
    with pytest.raises(ConfigurationError, match="renew= takes a function, not str"):
        EsriUserTokenAuth(TOKEN, renew="another-token")


@pytest.mark.parametrize("expires", ["tomorrow", True, [1], object(), float("nan"), float("inf"), 10**400])
def test_an_expiry_that_is_none_is_refused(expires):
    with pytest.raises(ConfigurationError, match="expires="):
        EsriUserTokenAuth(TOKEN, expires=expires)


@pytest.mark.parametrize("zone", ["UTC", "EST+5", "JST-9"])
@pytest.mark.parametrize("expires", [NEVER, NEVER.replace(tzinfo=UTC), datetime.datetime(5200, 1, 1), 253402300799999])
def test_an_end_beyond_all_lifetimes_is_none(portal, open_session, fake_clock, set_zone, zone, expires):
    set_zone(zone)
    token = portal.issue_token("amy")
    session = open_session(EsriUserTokenAuth(token, url=portal.portal_url, expires=expires, clock=fake_clock))
    assert session.get(portal.portal_url + SELF).json()["username"] == "amy"
    assert session.for_workers().auth.token_expires is None


def test_the_beginning_of_the_calendar_is_long_ago(portal, open_session, fake_clock, set_zone):
    set_zone("JST-9")
    session = open_session(EsriUserTokenAuth(TOKEN, expires=datetime.datetime.min, clock=fake_clock))
    with pytest.raises(ArcGISLoginError, match="has expired"):
        session.get(portal.portal_url + SELF)


class TestExpiry:
    """With `expires=` the end of the token is known."""

    @pytest.fixture(params=["seconds", "milliseconds", "datetime", "pair"])
    def handler(self, request, fake_clock):
        def make(seconds, **options):
            at = fake_clock.time() + seconds
            if request.param == "pair":
                return EsriUserTokenAuth((TOKEN, at), clock=fake_clock, **options)
            expires = {
                "seconds": at, "milliseconds": int(at * 1000), "datetime": datetime.datetime.fromtimestamp(at)
            }[request.param]  # fmt: skip
            return EsriUserTokenAuth(TOKEN, expires=expires, clock=fake_clock, **options)

        return make

    def test_until_then_it_is_used_and_then_there_is_an_error_without_a_request(self, peer, open_session, handler, fake_clock):
        session = open_session(handler(600))
        for seconds in (0, 500, 90):
            fake_clock.advance(seconds)
            assert session.get(peer.url_for("/x")).ok
        fake_clock.advance(11)
        for _ in range(2):
            with pytest.raises(ArcGISLoginError, match="has expired"):
                session.get(peer.url_for("/x"))
        assert len(peer.requests) == 3

    def test_one_that_is_dead_on_arrival_is_not_sent(self, peer, open_session, handler):
        with pytest.raises(ArcGISLoginError, match="has expired"):
            open_session(handler(-1)).get(peer.url_for("/x"))
        assert peer.requests == []

    def test_renew_is_called_shortly_before(self, handler_peer, open_session, handler, fake_clock):
        peer = handler_peer(guarded({TOKEN, "next-token"}))
        calls = []
        session = open_session(handler(600, renew=lambda: calls.append(1) or ("next-token", fake_clock.time() + 600)))
        session.get(peer.url_for("/x"))
        fake_clock.advance(550)
        session.get(peer.url_for("/x"))
        session.get(peer.url_for("/x"))
        assert calls == [1]
        assert [token_sent(request) for request in peer.requests] == [TOKEN, "next-token", "next-token"]


def test_a_renewal_that_fails_before_it_is_due_is_no_error(peer, open_session, fake_clock):
    def renew():
        raise OSError("no portal")

    session = open_session(EsriUserTokenAuth(TOKEN, expires=fake_clock.time() + 600, renew=renew, clock=fake_clock))
    fake_clock.advance(550)
    assert session.get(peer.url_for("/x")).ok
    fake_clock.advance(51)
    with pytest.raises(OSError, match="no portal"):
        session.get(peer.url_for("/x"))


class TestRefused:
    """A refused token is an error or is renewed; the request never goes out without it."""

    def test_without_renew_it_is_an_error_at_once(self, peer, open_session):
        session = open_session(EsriUserTokenAuth("dead-token"))
        with pytest.raises(ArcGISLoginError, match=r"refuses the token .*cannot be renewed"):
            session.get(peer.url_for("/x"))
        assert [token_sent(request) for request in peer.requests] == ["dead-token"]

    def test_it_may_work_elsewhere_all_the_same(self, handler_peer, peer, open_session):
        other = handler_peer(guarded({"other-token"}))
        session = open_session(EsriUserTokenAuth("other-token"))
        with pytest.raises(ArcGISLoginError):
            session.get(peer.url_for("/x"))
        assert session.get(other.url_for("/x")).ok

    def test_the_new_token_is_shown_by_the_property(self, peer, open_session):
        handler = EsriUserTokenAuth("dead-token", renew=lambda: TOKEN)
        open_session(handler).get(peer.url_for("/x"))
        assert handler.token == TOKEN

    def test_one_that_was_refused_is_good_once_what_was_wrong_with_it_is_mended(self, portal, open_session, fake_clock):
        token = portal.issue_token("amy", referer="https://tool.example/")
        session = open_session(EsriUserTokenAuth(token, renew=lambda: token, clock=fake_clock))
        with pytest.raises(ArcGISLoginError, match="renewed token is the refused one"):
            session.get(portal.portal_url + SELF)
        session.auth.referer = "https://tool.example/"
        assert session.get(portal.portal_url + SELF).json()["username"] == "amy"

    def test_renew_that_gives_the_refused_token_again_is_an_error(self, peer, open_session):
        handler = EsriUserTokenAuth("dead-token", renew=lambda: "dead-token")
        session = open_session(handler)
        for _ in range(2):
            with pytest.raises(ArcGISLoginError, match="renewed token is the refused one"):
                session.get(peer.url_for("/x"))
        assert handler.token == "dead-token"

    @pytest.mark.parametrize("given", [None, "", 7, "two words"])
    def test_renew_that_gives_no_token_is_an_error(self, peer, open_session, given):
        session = open_session(EsriUserTokenAuth("dead-token", renew=lambda: given))
        with pytest.raises(ConfigurationError):
            session.get(peer.url_for("/x"))

    def test_what_renew_raises_comes_through_and_is_not_sticky(self, peer, open_session):
        answers = [OSError("no portal"), TOKEN]

        def renew():
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        session = open_session(EsriUserTokenAuth("dead-token", renew=renew))
        with pytest.raises(OSError, match="no portal"):
            session.get(peer.url_for("/x"))
        assert session.get(peer.url_for("/x")).ok

    def test_renew_that_sends_through_the_session_that_waits_for_it_is_told_so_at_once(self, peer, open_session):
        auth = EsriUserTokenAuth("dead-token", renew=lambda: session.get(peer.url_for("/token")).text)
        session = open_session(auth, deadline=3)
        with pytest.raises(TokenRequestError, match="give it a session of its own"):
            session.get(peer.url_for("/x"))
        assert [request.path for request in peer.requests] == ["/x"]

    def test_32_threads_renew_once(self, peer, open_session):
        calls = []
        session = open_session(EsriUserTokenAuth("dead-token", renew=lambda: calls.append(1) or TOKEN))
        assert errors_in(in_threads(32, lambda number: session.get(peer.url_for("/x")).json())) == []
        assert calls == [1]


class TestWhereItGoes:
    """To what the caller himself asks for, or to one site only; no redirect widens it."""

    @pytest.fixture
    def other(self, handler_peer):
        return handler_peer(lambda request: json_reply({}))

    def test_without_url_to_every_request_of_the_caller(self, peer, other, open_session):
        session = open_session(EsriUserTokenAuth(TOKEN))
        session.get(peer.url_for("/x"))
        session.get(other.url_for("/x"))
        assert token_sent(other.requests[0]) == TOKEN

    def test_with_url_to_that_site_only(self, peer, other, open_session):
        session = open_session(EsriUserTokenAuth(TOKEN, url=peer.url_for("/portal/home/")))
        assert session.get(peer.url_for("/x")).ok
        session.get(other.url_for("/x"))
        assert token_sent(other.requests[0]) is None

    def test_and_to_trusted_origins(self, peer, other, open_session):
        session = open_session(EsriUserTokenAuth(TOKEN, url=peer.url_for("/")), trusted_origins=[other.url])
        session.get(other.url_for("/x"))
        assert token_sent(other.requests[0]) == TOKEN

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_elsewhere_carries_no_token(self, handler_peer, other, open_session, status):
        first = handler_peer(lambda request: Reply(status, {"Location": other.url_for("/portal/rest/services")}))
        open_session(EsriUserTokenAuth(TOKEN, "https://tool.example/")).get(first.url_for("/x"))
        assert token_sent(first.requests[0]) == TOKEN
        assert [(token_sent(request), request.headers.get("Referer")) for request in other.requests] == [(None, "http")]

    def test_nor_the_legacy_one(self, handler_peer, other, open_session):
        first = handler_peer(lambda request: Reply(307, {"Location": other.url_for("/y")}))
        session = open_session(EsriUserTokenAuth(TOKEN, legacy=True))
        session.get(first.url_for("/x"))
        session.post(first.url_for("/x"), data={"f": "json"})
        assert "token" in first.requests[0].query
        assert "token" in first.requests[1].form
        assert [(request.target, request.body) for request in other.requests] == [("/y", b""), ("/y", b"f=json")]

    def test_a_redirect_back_home_carries_it_again(self, handler_peer, peer, open_session):
        first = handler_peer(lambda request: Reply(302, {"Location": peer.url_for("/x")}))
        session = open_session(EsriUserTokenAuth(TOKEN, url=peer.url_for("/")))
        assert session.get(first.url_for("/x")).json() == {"length": 0}
        assert token_sent(first.requests[0]) is None

    def test_a_redirect_from_https_to_http_carries_none(self, handler_peer, other, open_session, ca):
        first = handler_peer(lambda request: Reply(302, {"Location": other.url_for("/x")}), tls=True)
        open_session(EsriUserTokenAuth(TOKEN), ca_bundles=ca.file).get(first.url_for("/x"))
        assert token_sent(first.requests[0]) == TOKEN
        assert token_sent(other.requests[0]) is None

    def test_drop_auth_sends_none(self, other, open_session):
        session = open_session(EsriUserTokenAuth(TOKEN))
        session.get(other.url_for("/x"), drop_auth=True)
        session.get(other.url_for("/x"))
        assert [token_sent(request) for request in other.requests] == [None, TOKEN]

    def test_auth_of_a_call_replaces_the_sessions_for_that_call(self, other, open_session):
        session = open_session(EsriUserTokenAuth(TOKEN))
        session.get(other.url_for("/x"), auth=EsriUserTokenAuth("of-this-call"))
        session.get(other.url_for("/x"))
        assert [token_sent(request) for request in other.requests] == ["of-this-call", TOKEN]

    def test_a_header_of_the_callers_own_is_left_alone_and_no_token_is_fetched(self, portal, open_session, amy):
        token = portal.issue_token("bob", referer="http")
        session = open_session(amy(portal))
        url = portal.portal_url + "/sharing/rest/community/self?f=json"
        response = session.get(url, headers={"x-esri-authorization": f"Bearer {token}"})
        assert response.json()["username"] == "bob"
        assert len(portal.requests) == 1
        refused = session.get(url, headers={"X-Esri-Authorization": "Bearer nonsense"})
        assert refused.esri_error.code == 498
        assert len(portal.requests) == 2


class TestOfAPortal:
    """With `url=` the servers federated with it get tokens of their own, for the token as it is now."""

    @pytest.fixture
    def auth(self, portal, fake_clock):
        return EsriUserTokenAuth(portal.issue_token("amy"), url=portal.portal_url, clock=fake_clock)

    def test_a_token_that_is_set_anew_is_the_one_that_is_exchanged(self, portal, open_session, auth):
        session = open_session(auth)
        session.get(portal.layer_url + "?f=json")
        auth.token = portal.issue_token("bob")
        session.get(portal.layer_url + "?f=json")
        assert portal.recorder.find("/generateToken")[-1].form["token"] == auth.token

    def test_even_while_the_old_one_is_being_exchanged(self, portal, open_session, auth):
        session = open_session(auth)
        portal.faults.add("/generateToken", meanwhile(lambda: setattr(auth, "token", portal.issue_token("bob"))))
        session.get(portal.layer_url + "?f=json")
        session.get(portal.layer_url + "?f=json")
        assert len(portal.recorder.find("/generateToken")) == 2
        assert portal.recorder.find("/generateToken")[-1].form["token"] == auth.token


class TestLegacy:
    """`legacy=True`: the token in query or form, everything else as it was, and in no log."""

    @pytest.fixture
    def session(self, open_session):
        return open_session(EsriUserTokenAuth(TOKEN, legacy=True))

    def only(self, peer):
        (request,) = peer.requests
        assert "X-Esri-Authorization" not in request.headers
        return request

    @pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
    @pytest.mark.parametrize("target", ["/x", "/x?", "/x?f=json&where=1%3D1&empty=", "/x?a=%2B+%20;b"])
    def test_in_the_query(self, peer, session, method, target):
        response = session.request(method, peer.url_for(target))
        request = self.only(peer)
        assert request.query["token"] == TOKEN
        assert request.target.startswith(target)
        assert request.target[len(target.rstrip("?")) :].lstrip("?&") == "token=given%2Btoken%2F%3D."
        assert "token" not in response.url

    def test_in_the_form_with_blank_fields_kept(self, peer, session):
        session.post(peer.url_for("/x?f=json"), data={"where": "a=b & c", "blank": "", "f": "pjson"})
        request = self.only(peer)
        assert request.target == "/x?f=json"
        assert request.body == b"where=a%3Db%20%26%20c&blank=&f=pjson&token=given%2Btoken%2F%3D."
        assert request.headers["Content-Length"] == str(len(request.body))

    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
    def test_in_the_form_of_any_method(self, peer, session, method):
        session.request(method, peer.url_for("/x"), data={"a": "1"})
        assert self.only(peer).form == {"a": "1", "token": TOKEN}

    def test_in_multipart_next_to_the_files(self, peer, session):
        session.post(peer.url_for("/x"), data={"a": "", "b": "ö"}, files={"file": ("f.bin", b"\x00\xffcontent")})
        body = self.only(peer).body
        assert body.count(b'name="token"') == 1
        assert TOKEN.encode() in body
        assert b"\x00\xffcontent" in body
        assert "ö".encode() in body
        assert self.only(peer).target == "/x"

    @pytest.mark.parametrize("body", [b'{"a": 1}', b"", b"\x00\xff"])
    def test_a_body_that_is_no_form_is_untouched_and_the_token_in_the_query(self, peer, session, body):
        session.post(peer.url_for("/x"), data=body, headers={"Content-Type": "application/octet-stream"})
        request = self.only(peer)
        assert request.body == body
        assert request.query == {"token": TOKEN}

    def test_json_stays_json(self, peer, session):
        session.post(peer.url_for("/x"), json={"a": [1, "ü"]})
        assert self.only(peer).json() == {"a": [1, "ü"]}
        assert self.only(peer).query == {"token": TOKEN}

    def test_a_long_query_that_became_a_form_holds_it_there(self, peer, session):
        session.get(peer.url_for("/x"), params={"where": "x" * 3000})
        request = self.only(peer)
        assert (request.method, set(request.form), request.target) == ("POST", {"where", "token"}, "/x")

    def test_the_replay_holds_the_new_one_only(self, handler_peer, open_session):
        def handle(request):
            return guarded({"new"}, None)(request)

        peer = handler_peer(handle)
        session = open_session(EsriUserTokenAuth("dead-token", legacy=True, renew=lambda: "new"))
        session.get(peer.url_for("/x?f=json"))
        assert [request.target for request in peer.requests] == ["/x?f=json&token=dead-token", "/x?f=json&token=new"]

    def test_it_is_shown_nowhere(self, peer, session, caplog):
        caplog.set_level(logging.DEBUG)
        response = session.get(peer.url_for("/x?f=json"))
        assert response.request.url == response.url == peer.url_for("/x?f=json")
        for text in (repr(response.request), repr(response), response.request.path_url, repr(response.request.headers)):
            assert "given" not in text
        assert caplog.records
        assert "given" not in caplog.text
        assert b"given" not in pickle.dumps(response)


def test_a_handler_shows_no_token(peer, open_session):
    session = open_session(EsriUserTokenAuth(TOKEN))
    assert TOKEN not in repr(session.auth) + repr(session) + repr(session.auth.__dict__)


def test_session_and_handler_travel_in_a_pickle(peer):
    with EsriSession(EsriUserTokenAuth(TOKEN, "https://tool.example/", legacy=True)) as session:
        twin = pickle.loads(pickle.dumps(session))
    with twin:
        assert twin.get(peer.url_for("/x")).ok
    assert peer.requests[0].headers["Referer"] == "https://tool.example/"


def test_a_renewed_token_travels_and_is_renewed_there_again(peer):
    with EsriSession(EsriUserTokenAuth("dead-token", renew=renewal)) as session:
        twin = pickle.loads(pickle.dumps(session))
    with twin:
        assert twin.get(peer.url_for("/x")).ok
        assert twin.auth.token == TOKEN


def renewal():
    return TOKEN
