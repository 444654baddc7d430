"""`session.for_workers()`: what goes to other machines signs in by its tokens, and there is no password in it."""

from __future__ import annotations

import pickle
import sys

import pytest

from esri_http import (
    EsriAPIKeyAuth,
    EsriBasicAuth,
    EsriDigestAuth,
    EsriGenTokenAuth,
    EsriHttpNegotiateAuth,
    EsriHttpNtlmAuth,
    EsriKerberosAuth,
    EsriNotebookAuth,
    EsriPKIAuth,
    EsriSession,
    EsriUserTokenAuth,
)
from esri_http.auth.base import BaseEsriAuth
from esri_http.auth.tokens.travelling import TravellingAuth
from esri_http.testing import faults
from esri_http.words.clock import SYSTEM_CLOCK
from esri_http.words.errors import ArcGISLoginError, ConfigurationError, NoTokenError, SignInError
from tests.auth.helpers import exchanges, in_threads, sign_ins, token_sent, trail
from tests.auth.hosts import sign_in, stand_in
from tests.support.clock import FakeClock
from tests.support.peers import json_reply

SELF = "/sharing/rest/community/self?f=json"
SECRETS = ("amys-secret", "app1-secret", "hidden")
KINDS = ("built-in", "page", "generateToken", "PKCE", "OAuth", "refresh token", "app", "user token", "portal_auth")


@pytest.fixture
def fake_clock():
    """The real one, which travels."""
    return SYSTEM_CLOCK


@pytest.fixture
def make(portal, built_in, amy, by_pkce, by_oauth):
    """`make(kind)`: a handler of that kind; none of their secrets is one that a worker should get."""

    def page():
        portal.generate_token_takes_passwords = False
        return built_in()

    kinds = {
        "built-in": built_in,
        "page": page,
        "generateToken": lambda: amy(portal),
        "PKCE": by_pkce,
        "OAuth": lambda: by_oauth(username="amy", password="amys-secret"),
        "refresh token": lambda: by_oauth(refresh_token=portal.oauth.issue_refresh_token("amy", "app1")),
        "app": lambda: by_oauth(client_secret="app1-secret"),
        "user token": lambda: EsriUserTokenAuth(portal.issue_token("amy"), url=portal.portal_url, renew=lambda: "hidden"),
        "portal_auth": lambda: EsriGenTokenAuth(portal.token_url, portal_auth=built_in()),
    }
    return lambda kind: kinds[kind]()


@pytest.fixture
def sent():
    """`sent(session)`: what a worker gets for it."""
    made = []

    def send(session):
        twin = pickle.loads(pickle.dumps(session.for_workers()))
        made.append(twin)
        return twin

    yield send
    for twin in made:
        twin.close()


def read(session, portal):
    return session.get(portal.layer_url + "?f=json").json()["type"]


# -- what it does ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_on_with_all_tokens_and_holds_no_secret(portal, make, kind, open_session, sent):
    session = open_session(make(kind))
    read(session, portal)
    expires = session.auth.token_expires if hasattr(session.auth, "token_expires") else None
    pickled = pickle.dumps(session.for_workers())
    secrets = [*SECRETS, getattr(session.auth, "refresh_token", None) or "hidden"]
    assert not [secret for secret in secrets if secret.encode() in pickled]
    twin = sent(session)
    portal.clear()
    assert read(twin, portal) == "Feature Layer"
    assert twin.get(portal.portal_url + "/sharing/rest/portals/self?f=json").esri_error is None
    assert trail(portal) == ["0", "self"]
    tokens = [portal.tokens.get(token_sent(request)).audience for request in portal.requests]
    assert tokens == [portal.server_url, "portal"]
    if kind != "portal_auth":
        assert twin.auth.token_expires == expires


@pytest.mark.parametrize("kind", KINDS)
def test_once_its_token_is_dead_it_asks_for_another_one_to_be_sent(portal, make, kind, open_session, sent):
    session = open_session(make(kind))
    read(session, portal)
    twin = sent(session)
    portal.revoke_all_tokens()
    portal.clear()
    for _ in range(2):
        with pytest.raises(ArcGISLoginError, match=r"Send session.for_workers\(\) once more"):
            read(twin, portal)
    assert sign_ins(portal) == 0
    assert trail(portal) == ["0", "generateToken"]  # the portal might have given another one for the server


def test_the_error_has_what_the_server_said_of_the_token(portal, built_in, open_session, sent):
    twin = sent(open_session(built_in()))
    portal.revoke_all_tokens()
    with pytest.raises(ArcGISLoginError, match="The server said: .*498") as caught:
        twin.get(portal.portal_url + SELF)
    assert (caught.value.code, caught.value.url) == (498, portal.portal_url)


def test_a_token_that_has_run_out_is_not_sent(portal, open_session):
    clock = FakeClock()
    given = (portal.issue_token("amy"), clock.time() + 60)
    session = open_session(EsriUserTokenAuth(given, url=portal.portal_url, clock=clock), clock=clock)
    with session.for_workers() as twin:
        assert twin.get(portal.portal_url + SELF).json()["username"] == "amy"
        clock.advance(61)
        portal.clear()
        with pytest.raises(ArcGISLoginError, match="has run out"):
            twin.get(portal.portal_url + SELF)
    assert portal.requests == []


def test_it_signs_in_where_that_was_not_done_yet(portal, built_in, open_session, sent):
    session = open_session(built_in())
    twin = sent(session)
    assert trail(portal) == ["generateToken"]
    assert twin.auth.token == session.auth.token


def test_a_server_that_is_new_to_it_gets_a_token_for_the_portals(portal, built_in, open_session, sent):
    twin = sent(open_session(built_in()))
    portal.clear()
    assert in_threads(8, lambda _: read(twin, portal)) == ["Feature Layer"] * 8
    assert (sign_ins(portal), exchanges(portal), len(portal.requests)) == (0, 1, 10)


def test_a_servers_token_that_dies_alone_is_exchanged_again(portal, built_in, open_session, sent):
    session = open_session(built_in())
    read(session, portal)
    twin = sent(session)
    portal.revoke(session.auth.token_for(portal.server_url))
    portal.clear()
    assert in_threads(8, lambda _: read(twin, portal)) == ["Feature Layer"] * 8
    assert (sign_ins(portal), exchanges(portal)) == (0, 1)
    assert read(session, portal) == "Feature Layer"


def test_what_is_known_of_servers_that_are_none_of_the_portals_comes_along(portal, built_in, open_session, sent):
    session = open_session(built_in())
    with pytest.raises(NoTokenError, match="not federated"):
        session.get(portal.standalone_layer_url + "?f=json")
    twin = sent(session)
    portal.clear()
    with pytest.raises(NoTokenError, match="not federated"):
        twin.get(portal.standalone_layer_url + "?f=json")
    assert trail(portal) == ["0"]
    assert token_sent(portal.requests[0]) is None


def test_at_a_stand_alone_server(portal, amy, open_session, sent):
    session = open_session(amy(portal, portal.standalone_url))
    twin = sent(session)
    portal.clear()
    assert twin.get(portal.standalone_layer_url + "?f=json").json()["type"] == "Feature Layer"
    assert trail(portal) == ["0"]


def test_the_referer_that_the_token_is_bound_to_goes_with_it(portal, amy, open_session, sent):
    session = open_session(amy(portal, referer="https://app.example"), referer=None)
    read(session, portal)
    twin = sent(session)
    portal.clear()
    assert read(twin, portal) == "Feature Layer"
    assert portal.requests[-1].headers.get("Referer") == "https://app.example"


def test_one_that_was_sent_can_be_sent_on(portal, built_in, open_session, sent):
    session = open_session(built_in())
    read(session, portal)
    twin = sent(sent(session))
    portal.clear()
    assert read(twin, portal) == "Feature Layer"
    assert len(portal.requests) == 1


def test_the_session_itself_is_none_the_worse(portal, built_in, open_session, sent):
    session = open_session(built_in())
    sent(session).auth.logout()
    session.for_workers().auth.logout()
    portal.revoke_all_tokens()
    assert read(session, portal) == "Feature Layer"
    assert isinstance(session.auth, type(built_in()))
    assert session.auth.token


def test_whoever_is_signed_out_sends_nothing(portal, built_in, open_session):
    for auth in (built_in(), EsriUserTokenAuth("the-token"), EsriUserTokenAuth("the-token", url=portal.portal_url)):
        session = open_session(auth)
        auth.logout("error")
        with pytest.raises(SignInError, match="signed out"):
            session.for_workers()


def test_a_sign_in_that_fails_is_said_at_once(portal, built_in, open_session):
    with pytest.raises(ArcGISLoginError):
        open_session(built_in(password="not-hers")).for_workers()


def test_its_repr_says_where_it_is_good(portal, built_in, open_session):
    twin = open_session(built_in()).for_workers()
    assert repr(twin.auth) == f"TravellingAuth({portal.portal_url})"
    assert f"the token of {portal.portal_url}" in twin.auth.describe(portal.portal_url)


# -- what others hand over, or the user has given --------------------------------------------------------------------


def test_the_sign_in_of_pro_goes_where_there_is_no_pro(portal, open_session, sent, monkeypatch):
    from esri_http import ArcGISProAuth

    arcpy = stand_in("arcpy", monkeypatch)
    sign_in(arcpy, portal)
    session = open_session(ArcGISProAuth())
    read(session, portal)
    twin = sent(session)
    monkeypatch.setitem(sys.modules, "arcpy", None)
    portal.clear()
    assert read(twin, portal) == "Feature Layer"
    assert isinstance(twin.auth, TravellingAuth)
    assert len(portal.requests) == 1


def test_and_as_there_the_token_goes_into_the_query_where_that_is_wanted(portal, open_session, sent, monkeypatch):
    from esri_http import ArcGISProAuth

    sign_in(stand_in("arcpy", monkeypatch), portal)
    session = open_session(ArcGISProAuth(legacy=True))
    twin = sent(session)
    for each in (session, twin):
        assert read(each, portal) == "Feature Layer"
        assert (token_sent(portal.requests[-1]), "token" in portal.requests[-1].query) == (None, True)


@pytest.mark.parametrize(
    "auth",
    [EsriUserTokenAuth("the-token", renew=lambda: "hidden"), EsriAPIKeyAuth("the-token"), EsriNotebookAuth("the-token")],
    ids=["token", "key", "notebook"],
)
def test_a_given_token_goes_as_it_is_and_without_the_way_to_get_another(auth, handler_peer, open_session, sent):
    peer = handler_peer(lambda request: json_reply({}))
    session = open_session(auth)
    twin = sent(session)
    twin.get(peer.url)
    assert token_sent(peer.requests[-1]) == "the-token"
    assert (type(twin.auth), twin.auth.token) == (type(auth), "the-token")
    assert session.auth is auth


def test_a_given_token_is_not_renewed_there(portal, open_session, sent):
    session = open_session(EsriUserTokenAuth(portal.issue_token("amy"), renew=lambda: portal.issue_token("amy")))
    twin = sent(session)
    portal.revoke_all_tokens()
    with pytest.raises(ArcGISLoginError, match="cannot be renewed from here"):
        twin.get(portal.portal_url + SELF)
    assert session.get(portal.portal_url + SELF).json()["username"] == "amy"


# -- what cannot go --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "auth",
    [
        EsriBasicAuth(None, "amy", "amys-secret"),
        ("amy", "amys-secret"),
        EsriDigestAuth(None, "amy", "amys-secret"),
        EsriHttpNtlmAuth(None, "amy", "amys-secret"),
        EsriHttpNegotiateAuth(None, "amy", "amys-secret"),
        EsriKerberosAuth(username="amy", password="amys-secret"),
        EsriPKIAuth(cert=(b"0", "hidden")),
        EsriPKIAuth(cert=("amy.pem", "amy.key", "hidden")),
        EsriBasicAuth(None, "amy", "amys-secret") + EsriUserTokenAuth("the-token"),
        EsriUserTokenAuth("the-token") + EsriBasicAuth(None, "amy", "amys-secret"),
        EsriAPIKeyAuth("the-key", auth=EsriBasicAuth(None, "amy", "amys-secret")),
        BaseEsriAuth(),
        lambda request: request,
    ],
    ids=lambda auth: type(auth).__name__,
)
def test_who_needs_a_secret_for_each_connection_is_told_so(auth, open_session):
    with pytest.raises(ConfigurationError, match="has nothing to send to workers but what it signs in with") as caught:
        open_session(auth).for_workers()
    assert not [secret for secret in SECRETS if secret in str(caught.value)]


@pytest.mark.parametrize(
    "auth",
    [
        EsriKerberosAuth(),
        EsriKerberosAuth(username="amy@REALM"),
        EsriHttpNegotiateAuth(),
        EsriPKIAuth(),
        EsriPKIAuth(cert=("amy.pem", "amy.key")),
        EsriKerberosAuth() + EsriUserTokenAuth("the-token"),
        EsriAPIKeyAuth("the-token", auth=EsriKerberosAuth()),
        None,
    ],
    ids=repr,
)
def test_what_a_worker_has_of_its_own_is_no_secret(auth, open_session, sent):
    session = open_session(auth)
    twin = sent(session)
    kept = [type(part) for part in getattr(twin.auth, "handlers", (twin.auth,))]
    inner = [EsriKerberosAuth] if isinstance(auth, EsriAPIKeyAuth) else []
    assert kept == inner + [type(part) for part in getattr(session.auth, "handlers", (session.auth,))]
    assert twin.auth is None or twin.auth is not session.auth


def test_a_token_behind_a_ticket_is_sent_for_through_what_the_worker_has(portal, built_in, open_session, sent):
    session = open_session(PassThrough() + built_in())
    read(session, portal)
    twin = sent(session)
    portal.clear()
    assert read(twin, portal) == "Feature Layer"
    assert [request.headers.get("X-Web-Tier") for request in portal.requests] == ["amy"]


class PassThrough(BaseEsriAuth):
    """A web tier's sign-in that is the user's own, and says that it can travel."""

    def __call__(self, request):
        request.headers["X-Web-Tier"] = "amy"
        return request

    def for_workers(self):
        return PassThrough()


@pytest.mark.parametrize(
    "options, name",
    [
        ({"cert": ("amy.pem", "amy.key", "hidden")}, "cert="),
        ({"cert": (b"0", "hidden")}, "cert="),
        ({"proxies": {"https": "http://amy:hidden@proxy.example:3128"}}, "proxies="),
        ({"proxies": {"all": "amy:hidden@proxy.example:3128"}}, "proxies="),
        ({"proxy_auth": ("amy", "hidden")}, "proxy_auth="),
        ({"proxy_auth": EsriHttpNtlmAuth(None, "amy", "hidden")}, "proxy_auth="),
        ({"headers": {"authorization": "Bearer hidden"}}, "authorization"),
        ({"headers": {"X-Esri-Authorization": "Bearer hidden"}}, "X-Esri-Authorization"),
        ({"headers": {"Cookie": "hidden=1"}}, "Cookie"),
    ],
)
def test_a_setting_with_a_secret_is_named(options, name, open_session):
    session = open_session(EsriUserTokenAuth("the-token"), **options)
    with pytest.raises(ConfigurationError, match=f"this session has one in {name}\\.") as caught:
        session.for_workers()
    assert "hidden" not in str(caught.value)


# -- settings --------------------------------------------------------------------------------------------------------


def test_settings_come_along_and_are_its_own(ca):
    session = EsriSession(
        EsriUserTokenAuth("the-token"), cert=("a.pem", "a.key"), allow_redirects=False, headers={"X-A": "b"}, retries=2,
        proxies={"https": "http://proxy.example:3128", "no_proxy": "a@b"}, proxy_auth=EsriKerberosAuth(), timeout=(3, None),
        deadline=77, ca_bundles=str(ca.file), trusted_origins=["https://gis.example"], referer="https://app",
    )  # fmt: skip
    twin = session.for_workers()
    names = [
        *("cert", "allow_redirects", "headers", "proxies", "timeout", "deadline", "ca_bundles", "trusted_origins", "referer"),
        *("verify_cert", "trust_env", "max_url_length", "check_hostname"),
    ]
    assert {name: getattr(twin, name) for name in names} == {name: getattr(session, name) for name in names}
    twin.headers["X-A"] = "c"
    assert session.headers["X-A"] == "b"


def test_cookies_stay_here():
    session = EsriSession()
    session.cookies.set("sid", "hidden")
    twin = session.for_workers()
    assert b"hidden" not in pickle.dumps(twin)
    twin.cookies.set("sid", "other")
    assert (session.cookies.get("sid"), twin.cookies.get("sid")) == ("hidden", "other")


class Wrapping:
    """An adapter round the session's own."""

    def __init__(self, inner):
        self.inner = inner

    def send(self, request, **options):
        request.headers["X-Wrapped"] = "yes"
        return self.inner.send(request, **options)

    def close(self): ...


def test_an_adapter_that_wraps_the_sessions_own_wraps_that_of_the_copy(portal, open_session):
    session = open_session()
    session.mount("http://", Wrapping(session.adapters["http://"]))
    with session.for_workers() as twin:
        assert twin.adapters["http://"].inner._session is twin
        assert session.adapters["http://"].inner._session is session
        twin.get(portal.public_layer_url + "?f=json")
    assert portal.requests[-1].headers.get("X-Wrapped") == "yes"


def test_a_fault_of_one_request_is_retried_there_too(portal, built_in, open_session, sent):
    session = open_session(built_in())
    read(session, portal)
    twin = sent(session)
    portal.faults.add("/FeatureServer/0", faults.status(503, retry_after="0"))
    portal.clear()
    assert read(twin, portal) == "Feature Layer"
    assert trail(portal) == ["0", "0"]
