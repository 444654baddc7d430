"""Whoever has a token of the portal reads its federated servers with nothing more said."""

from __future__ import annotations

import pickle

import pytest

from esri_http import EsriBasicAuth, EsriGenTokenAuth, EsriUserTokenAuth
from esri_http.auth.base import BaseEsriAuth
from esri_http.testing.messages import Answer
from esri_http.words.clock import SYSTEM_CLOCK
from esri_http.words.errors import SignInError
from tests.auth.helpers import exchanges, in_threads, sign_ins, token_sent, trail

# What the sign-in of each handler sends; then come rest/info and the exchange.
SIGN_IN = {
    "built-in": ["generateToken"],
    "page": ["generateToken", "authorize", "signin", "token"],
    "generateToken": ["generateToken"],
    "PKCE": ["authorize", "signin", "token"],
    "OAuth": ["authorize", "signin", "token"],
    "refresh token": ["token"],
    "app": ["token"],
    "user token": [],
    "portal_auth": ["generateToken"],
}


@pytest.fixture
def make(portal, built_in, amy, by_pkce, by_oauth, fake_clock):
    """`make(kind, **options)`: a handler of that kind."""
    kinds = {
        "built-in": built_in,
        "page": built_in,
        "generateToken": lambda **options: amy(portal, **options),
        "PKCE": by_pkce,
        "OAuth": lambda **options: by_oauth(username="amy", password="amys-secret", **options),
        "refresh token": lambda **options: by_oauth(refresh_token=portal.oauth.issue_refresh_token("amy", "app1"), **options),
        "app": lambda **options: by_oauth(client_secret="app1-secret", **options),
        "user token": lambda **options: EsriUserTokenAuth(
            portal.issue_token("amy"), url=portal.portal_url,
            **{"clock": fake_clock, "renew": lambda: portal.issue_token("amy"), **options},
        ),
        "portal_auth": lambda **options: EsriGenTokenAuth(
            portal.token_url, portal_auth=built_in(**options), **{"clock": fake_clock, **options}
        ),
    }  # fmt: skip

    def handler(kind, **options):
        portal.generate_token_takes_passwords = kind != "page"
        return kinds[kind](**options)

    return handler


@pytest.fixture(params=sorted(SIGN_IN))
def kind(request):
    return request.param


@pytest.fixture
def session(make, kind, open_session):
    return open_session(make(kind), retries=0)


def read(session, portal):
    assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"


def test_the_first_call_takes_info_sign_in_and_exchange_and_the_others_one_request(portal, session, kind):
    for _ in range(20):
        read(session, portal)
    before = ["info", *SIGN_IN[kind], "generateToken"]
    assert trail(portal) == before + ["0"] * 20
    assert exchanges(portal) == 1


def test_portal_and_server_get_their_own_tokens(portal, session):
    read(session, portal)
    session.get(portal.portal_url + "/sharing/rest/portals/self?f=json")
    audiences = {r.site: portal.tokens.get(token_sent(r)).audience for r in portal.requests if token_sent(r)}
    assert audiences == {"server": portal.server_url, "portal": "portal"}


def test_32_cold_threads_are_one_sign_in_and_one_exchange(portal, session, kind):
    assert in_threads(32, lambda _: read(session, portal)) == [None] * 32
    assert trail(portal).count("0") == 32
    assert len(portal.requests) == 32 + 2 + len(SIGN_IN[kind])
    assert exchanges(portal) == 1


def test_all_tokens_dying_at_once_is_survived(portal, session, kind):
    read(session, portal)
    portal.revoke_all_tokens()
    read(session, portal)
    assert exchanges(portal) == 3  # the first, one with the dead token, one with a new one
    for _ in range(3):
        read(session, portal)
    assert exchanges(portal) == 3


def test_under_32_threads_too(portal, session, kind):
    read(session, portal)
    portal.revoke_all_tokens()
    portal.clear()
    assert in_threads(32, lambda _: read(session, portal)) == [None] * 32
    assert exchanges(portal) == 2


def test_the_death_of_the_servers_token_alone_takes_one_exchange(portal, session):
    read(session, portal)
    died = token_sent(portal.requests[-1])
    portal.revoke(died)
    portal.clear()
    read(session, portal)
    assert trail(portal) == ["0", "generateToken", "0"]
    assert exchanges(portal) == 1


def test_the_servers_token_is_renewed_early(portal, session, fake_clock):
    portal.token_lifetime_minutes = 60
    read(session, portal)
    fake_clock.advance(56 * 60)
    portal.clear()
    read(session, portal)
    assert exchanges(portal) == 1
    assert trail(portal).count("0") == 1


def test_a_foreign_server_gets_nothing(portal, session):
    session.get(portal.standalone_url + "/rest/services/PublicPlaces/FeatureServer/0?f=json")
    assert {token_sent(request) for request in portal.requests if request.site == "standalone"} == {None}
    assert sign_ins(portal) == 0
    with pytest.raises(SignInError, match="not federated"):
        session.get(portal.standalone_layer_url + "?f=json")


def test_legacy_tokens_go_into_the_query_at_both(portal, make, kind, open_session):
    if kind == "portal_auth":
        kind = "generateToken"
    session = open_session(make(kind, legacy=True))
    read(session, portal)
    assert portal.tokens.get(portal.requests[-1].query["token"]).audience == portal.server_url


@pytest.mark.parametrize("kind", sorted(set(SIGN_IN) - {"user token"}), indirect=True)
def test_it_travels_in_a_pickle_with_all_its_tokens(portal, make, kind, open_session):
    session = open_session(make(kind, clock=SYSTEM_CLOCK), clock=SYSTEM_CLOCK)
    read(session, portal)
    twin = open_session(pickle.loads(pickle.dumps(session.auth)), clock=SYSTEM_CLOCK)
    portal.clear()
    read(twin, portal)
    assert trail(portal) == ["0"]


class PassThrough(BaseEsriAuth):
    """A web tier's sign-in that is the user's own: a header."""

    def __call__(self, request):
        request.headers["X-Web-Tier"] = "amy"
        return request


class TestWebTier:
    """Behind a web tier the portal knows us already: a token is asked for without a password."""

    @pytest.fixture(params=["Basic", "custom"])
    def left(self, request, portal):
        """The handler to the left; without what it sends, the web tier lets nobody pass."""
        name, value = {"Basic": ("Authorization", "Basic YW15OnRpZXItc2VjcmV0"), "custom": ("X-Web-Tier", "amy")}[request.param]
        for site in (portal.portal_site, portal.server_site):
            site.gate = lambda request: None if request.headers.get(name) == value else Answer(401, b"Who are you?")
        portal.portal_site.web_tier = lambda request: "amy"
        return EsriBasicAuth(None, "amy", "tier-secret") if request.param == "Basic" else PassThrough()

    @pytest.fixture
    def session(self, portal, left, open_session, fake_clock):
        return open_session(left + EsriGenTokenAuth(portal.token_url, clock=fake_clock), retries=0)

    def test_the_first_call_takes_three_requests_more_and_the_others_none(self, portal, session):
        for _ in range(10):
            read(session, portal)
        assert trail(portal) == ["info", "generateToken", "generateToken"] + ["0"] * 10
        assert {request.status for request in portal.requests} == {200}
        assert not [request for request in portal.requests if "username" in request.form or "password" in request.form]

    def test_the_portal_knows_who_it_is(self, portal, session):
        assert session.get(portal.portal_url + "/sharing/rest/community/self?f=json").json()["username"] == "amy"

    def test_32_cold_threads_are_one_token_and_one_exchange(self, portal, session):
        assert in_threads(32, lambda _: read(session, portal)) == [None] * 32
        assert portal.count("/generateToken") == 2

    def test_all_tokens_dying_at_once_is_survived(self, portal, session):
        read(session, portal)
        portal.revoke_all_tokens()
        read(session, portal)
        assert exchanges(portal) == 3

    def test_the_sign_in_is_verified_as_whom_the_tier_says(self, portal, left, open_session, fake_clock):
        session = open_session(left + EsriGenTokenAuth(portal.token_url, clock=fake_clock, verify_sign_in=True))
        read(session, portal)
        assert portal.count("/portals/self") == 1

    def test_the_page_gives_a_code_at_once_and_no_password_is_posted(self, portal, left, built_in, open_session):
        session = open_session(left + built_in(mfa_code="JBSWY3DPEHPK3PXP"))
        read(session, portal)
        assert trail(portal) == ["info", "authorize", "token", "generateToken", "0"]
        assert sign_ins(portal) == 0

    def test_a_tier_that_lets_us_in_nowhere_is_an_error(self, portal, left, open_session, fake_clock):
        session = open_session(EsriGenTokenAuth(portal.token_url, clock=fake_clock), retries=0)
        with pytest.raises(SignInError):
            session.get(portal.portal_url + "/sharing/rest/community/self?f=json")
