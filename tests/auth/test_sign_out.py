"""`logout()` of every handler: what can be revoked is, all is forgotten, and requests go out anonymous or are an error."""

from __future__ import annotations

import threading

import pytest

from esri_http import BaseEsriAuth, EsriAPIKeyAuth, EsriBasicAuth, EsriGenTokenAuth, EsriSession, EsriUserTokenAuth
from esri_http.testing import faults
from esri_http.words.errors import ArcGISLoginError, ConfigurationError, EsriHttpError, InteractionRequiredError, SignInError
from tests.auth.helpers import SELF, meanwhile, sign_ins, token_sent, trail
from tests.support.clock import FakeClock
from tests.support.sessions import collect_garbage

REVOKED = {"page", "PKCE", "OAuth", "refresh token"}
KEPT = {"user token", "user token of a site", "API key"}


@pytest.fixture
def make(portal, built_in, amy, by_pkce, by_oauth, fake_clock):
    """`make(kind)`: a handler of that kind."""
    token = portal.issue_token("amy")
    kinds = {
        "built-in": built_in,
        "page": lambda: built_in(mfa_code="JBSWY3DPEHPK3PXP"),
        "generateToken": lambda: amy(portal),
        "PKCE": by_pkce,
        "OAuth": lambda: by_oauth(username="amy", password="amys-secret"),
        "refresh token": lambda: by_oauth(refresh_token=portal.oauth.issue_refresh_token("amy", "app1")),
        "app": lambda: by_oauth(client_secret="app1-secret"),
        "user token": lambda: EsriUserTokenAuth(token, clock=fake_clock),
        "user token of a site": lambda: EsriUserTokenAuth(token, url=portal.portal_url, clock=fake_clock),
        "API key": lambda: EsriAPIKeyAuth(portal.issue_api_key("amy"), clock=fake_clock),
    }
    return lambda kind: kinds[kind]()


KINDS = sorted(REVOKED | KEPT | {"built-in", "generateToken", "app"})


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def signed_in(make, kind, open_session, portal):
    """A session that has made a request."""
    session = open_session(make(kind), retries=0)
    assert session.get(portal.portal_url + "/sharing/rest/portals/self?f=json").ok
    assert token_sent(portal.requests[-1])
    portal.clear()
    return session


def asked(session, portal):
    """The token that a request of the session carries."""
    session.get(portal.portal_url + "/sharing/rest/portals/self?f=json")
    return token_sent(portal.requests[-1])


def test_what_can_be_revoked_is_with_one_request(portal, signed_in, kind):
    refresh_token = getattr(signed_in.auth, "refresh_token", None)
    assert signed_in.auth.logout() is (kind in REVOKED)
    assert trail(portal) == (["revokeToken"] if kind in REVOKED else [])
    if kind in REVOKED:
        (request,) = portal.requests
        assert (request.method, request.query) == ("POST", {})
        assert (request.form["auth_token"], request.form["token_type_hint"]) == (refresh_token, "refresh_token")
        assert portal.oauth.revoke(refresh_token) is False


def test_afterwards_requests_go_out_anonymous(portal, signed_in):
    signed_in.auth.logout()
    portal.clear()
    assert asked(signed_in, portal) is None
    assert len(portal.requests) == 1
    assert signed_in.get(portal.portal_url + SELF).esri_error.code == 499
    assert sign_ins(portal) == 0


def test_or_are_an_error_where_that_is_asked(portal, signed_in, kind):
    signed_in.auth.logout("error")
    portal.clear()
    with pytest.raises(SignInError, match=r"is signed out; call login\(\)"):
        signed_in.get(portal.portal_url + SELF)
    assert portal.requests == []


def test_twice_is_fine(portal, signed_in, kind):
    signed_in.auth.logout()
    before = len(portal.requests)
    assert signed_in.auth.logout("error") is False
    assert len(portal.requests) == before
    with pytest.raises(SignInError):
        asked(signed_in, portal)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "refresh token"], indirect=True)
def test_login_signs_in_again(portal, signed_in):
    signed_in.auth.logout()
    signed_in.auth.login()
    assert asked(signed_in, portal)


def test_with_a_refresh_token_it_takes_a_person(portal, by_oauth, open_session):
    opened = []
    refresh_token = portal.oauth.issue_refresh_token("amy", "app1")
    auth = by_oauth(refresh_token=refresh_token, open_browser=opened.append, prompt=lambda text: "")
    session = open_session(auth)
    session.get(portal.portal_url + SELF)
    auth.logout()
    auth.login()
    with pytest.raises(InteractionRequiredError):
        session.get(portal.portal_url + SELF)
    assert len(opened) == 1


def test_a_site_that_cannot_be_reached_is_told_and_all_is_forgotten(portal, signed_in, kind):
    portal.faults.add("/revokeToken", faults.reset(), times=None)
    if kind in REVOKED:
        with pytest.raises(EsriHttpError):
            signed_in.auth.logout()
        assert signed_in.auth.refresh_token is None
    else:
        assert signed_in.auth.logout() is False
    assert asked(signed_in, portal) is None


def test_nothing_signs_in_behind_the_callers_back(portal, signed_in, kind):
    signed_in.auth.logout()
    portal.clear()
    if kind not in KEPT:
        with pytest.raises(SignInError, match="signed out"):
            signed_in.auth.token  # noqa: B018
        with pytest.raises(SignInError, match="signed out"):
            signed_in.auth.token_for(portal.server_url)
    assert [path for path in trail(portal) if path != "info"] == []


def test_the_tokens_of_federated_servers_are_forgotten(portal, make, open_session):
    session = open_session(make("built-in"))
    session.get(portal.layer_url + "?f=json")
    session.auth.logout()
    assert session.get(portal.layer_url + "?f=json").esri_error.code == 499
    session.auth.login()
    portal.clear()
    assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
    assert trail(portal) == ["info", "generateToken", "generateToken", "0"]


def test_even_one_that_is_being_asked_for_meanwhile(portal, make, open_session):
    auth = make("built-in")
    session = open_session(auth)
    session.get(portal.portal_url + SELF)
    portal.faults.add("/generateToken", meanwhile(auth.logout))
    session.get(portal.layer_url + "?f=json")
    auth.login()
    portal.clear()
    assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
    assert trail(portal) == ["info", "generateToken", "generateToken", "0"]


def test_nor_does_a_sign_in_that_ends_afterwards_leave_anything(portal, by_oauth, open_session):
    told = []
    auth = by_oauth(username="amy", password="amys-secret", on_token=told.append)
    portal.faults.add("/oauth2/token", meanwhile(auth.logout))
    open_session(auth).get(portal.portal_url + SELF)
    assert portal.count("/oauth2/token") == 1
    assert (auth.refresh_token, auth.token_expires, told) == (None, None, [])


class AtOneMoment(FakeClock):
    """A clock on which `work` is begun in a thread, once, as soon as it is set and somebody asks what time it is."""

    work = None

    def time(self):
        work, self.work = self.work, None
        if work is not None:
            self.thread = threading.Thread(target=work)
            self.thread.start()
            self.thread.join(0.2)
        return super().time()


def test_not_even_while_it_is_being_kept(portal, by_oauth, open_session):
    clock = AtOneMoment()
    auth = by_oauth(username="amy", password="amys-secret", clock=clock)
    portal.faults.add("/oauth2/token", meanwhile(lambda: setattr(clock, "work", auth.logout)))
    open_session(auth).get(portal.portal_url + SELF)
    clock.thread.join()
    assert auth.refresh_token is None


def test_a_refresh_token_that_the_logout_revoked_meanwhile_is_no_refusal(portal, by_oauth, open_session):
    opened = []
    refresh_token = portal.oauth.issue_refresh_token("amy", "app1")
    auth = by_oauth(refresh_token=refresh_token, open_browser=opened.append, prompt=lambda text: "")
    session = open_session(auth)

    def log_out_first(request, answer_normally):
        auth.logout()
        return answer_normally()

    portal.faults.add("/oauth2/token", log_out_first)
    with pytest.raises(ArcGISLoginError, match="takes the refresh token no more"):
        session.get(portal.portal_url + SELF)
    auth.login()
    with pytest.raises(InteractionRequiredError, match="No code was entered"):
        session.get(portal.portal_url + SELF)
    assert len(opened) == 1


@pytest.mark.parametrize("kind", ["refresh token", "built-in"])
def test_no_password_is_posted_after_it(portal, by_oauth, built_in, open_session, kind):
    if kind == "built-in":
        auth, path = built_in(), "/generateToken"
        portal.generate_token_takes_passwords = False
    else:
        refresh_token = portal.oauth.issue_refresh_token("amy", "app1")
        auth, path = by_oauth(refresh_token=refresh_token, username="amy", password="amys-secret"), "/oauth2/token"
        portal.oauth.revoke(refresh_token)
    portal.faults.add(path, meanwhile(lambda: auth.logout("error")))
    session = open_session(auth)
    with pytest.raises(SignInError, match="signed out"):
        session.get(portal.portal_url + SELF)
    assert portal.count("/oauth2/signin") == 0
    auth.login()
    assert session.get(portal.portal_url + SELF).json()["username"] == "amy"


def test_a_refresh_token_that_was_never_used_is_revoked_too(portal, make, open_session):
    session = open_session(make("refresh token"))
    refresh_token = session.auth.refresh_token
    assert session.auth.logout() is True
    assert trail(portal) == ["revokeToken"]
    assert portal.oauth.revoke(refresh_token) is False


def test_a_portal_that_refuses_to_revoke_is_told(portal, make, open_session):
    session = open_session(make("PKCE"))
    asked(session, portal)
    portal.faults.add("/revokeToken", faults.status(200, body={"error": {"code": 400, "message": "Invalid client_id"}}))
    with pytest.raises(ArcGISLoginError, match="Invalid client_id"):
        session.auth.logout()
    assert asked(session, portal) is None


@pytest.mark.parametrize("answer", [{"success": False}, {}, {"success": "true"}, {"success": 1}])
def test_only_true_is_a_confirmation(portal, make, open_session, answer):
    session = open_session(make("PKCE"))
    asked(session, portal)
    portal.faults.add("/revokeToken", faults.status(200, body=answer))
    assert session.auth.logout() is False


def test_before_any_sign_in_there_is_nothing_to_do(portal, make, kind, open_session):
    session = open_session(make(kind))
    assert session.auth.logout() is (kind == "refresh token")
    assert sign_ins(portal) == 0


def test_a_handler_of_no_session_signs_out_where_nothing_was_signed_in(make):
    assert make("built-in").logout() is False


def test_only_two_things_can_come_afterwards(make):
    with pytest.raises(ConfigurationError, match="'anonymous' or 'error'"):
        make("built-in").logout("raise")


class TestChains:
    """A chain signs out and in as one."""

    def test_all_parts_sign_out_and_in(self, portal, make, open_session):
        session = open_session(EsriBasicAuth(None, "amy", "x-password") + make("PKCE"))
        assert asked(session, portal)
        assert session.auth.logout() is True
        assert asked(session, portal) is None
        session.auth.login()
        assert asked(session, portal)

    def test_one_that_fails_does_not_keep_the_others_in(self, portal, make, open_session):
        inner, outer = make("user token of a site"), make("PKCE")
        session = open_session(inner + outer, retries=0)
        session.get(portal.portal_url + SELF)
        outer_token = outer.token
        assert outer_token
        portal.faults.add("/revokeToken", faults.reset(), times=None)
        with pytest.raises(EsriHttpError):
            session.auth.logout()
        assert asked(session, portal) is None

    def test_nor_does_one_of_the_callers_own_that_fails(self, portal, make, open_session):
        class Broken(BaseEsriAuth):
            def logout(self, afterwards="anonymous"):
                raise OSError("the keyring is locked")

        session = open_session(make("PKCE") + Broken())
        assert asked(session, portal)
        with pytest.raises(OSError, match="keyring"):
            session.auth.logout()
        assert asked(session, portal) is None

    def test_the_inner_handler_of_an_api_key_signs_out_too(self, portal, make, open_session, fake_clock):
        inner = make("PKCE")
        session = open_session(EsriAPIKeyAuth(portal.issue_api_key("amy"), auth=inner, clock=fake_clock))
        assert asked(session, portal)
        assert session.auth.logout() is True
        assert asked(session, portal) is None
        session.auth.login()
        assert asked(session, portal)


def test_a_handler_that_is_exchanged_for_others_is_signed_out_for_them_too(portal, make, open_session, fake_clock):
    inner = make("built-in")
    session = open_session(EsriGenTokenAuth(portal.server_url, portal_auth=inner, clock=fake_clock))
    session.get(portal.layer_url + "?f=json")
    session.auth.logout()
    session.auth.login()
    inner.logout()
    for ask in (lambda: session.auth.token, lambda: session.auth.token_for(portal.server_url)):
        with pytest.raises(SignInError, match="EsriBuiltInAuth is signed out"):
            ask()
    with pytest.raises(SignInError, match="EsriBuiltInAuth is signed out"):
        session.get(portal.layer_url + "?f=json")
    assert sign_ins(portal) == 1


def test_after_its_own_sign_out_such_a_handler_tells_no_token(portal, make, open_session, fake_clock):
    session = open_session(EsriGenTokenAuth(portal.server_url, portal_auth=make("built-in"), clock=fake_clock))
    session.get(portal.layer_url + "?f=json")
    session.auth.logout()
    for ask in (lambda: session.auth.token, lambda: session.auth.token_for(portal.server_url)):
        with pytest.raises(SignInError, match="EsriGenTokenAuth is signed out"):
            ask()


def test_a_handler_that_another_session_took_and_left_is_signed_out_through_the_one_that_is_there(portal, make, open_session):
    session, passing = open_session(make("PKCE")), EsriSession()
    assert asked(session, portal)
    assert passing.get(portal.portal_url + SELF, auth=session.auth).ok
    passing.close()
    del passing
    collect_garbage()
    assert session.auth.token
    assert session.auth.logout() is True
