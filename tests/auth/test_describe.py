"""`describe(url)`: which token a request carries and why, as it then turns out on the wire, and without a secret."""

from __future__ import annotations

import pytest

from esri_http import EsriAPIKeyAuth, EsriBasicAuth, EsriGenTokenAuth, EsriUserTokenAuth
from esri_http.words.errors import ArcGISLoginError, SignInError
from tests.auth.helpers import assert_hidden, token_sent, trail
from tests.support.peers import json_reply


@pytest.fixture(params=["built-in", "PKCE", "app", "generateToken", "user token of a site"])
def session(request, portal, built_in, by_pkce, by_oauth, amy, open_session, fake_clock):
    """A session signed in to the portal."""
    make = {
        "built-in": built_in,
        "PKCE": by_pkce,
        "app": lambda: by_oauth(client_secret="app1-secret"),
        "generateToken": lambda: amy(portal),
        "user token of a site": lambda: EsriUserTokenAuth(portal.issue_token("amy"), url=portal.portal_url, clock=fake_clock),
    }
    return open_session(make[request.param](), retries=0)


def sent(session, portal, url):
    """Whether a request to `url` carries a token, and whose."""
    portal.clear()
    try:
        session.get(url, allow_redirects=True)
    except SignInError:
        return "an error"
    token = token_sent(portal.requests[-1])
    grant = None if token is None else portal.tokens.get(token)
    return "none" if grant is None else "the portal's" if grant.audience == "portal" else "its own"


PLACES = [
    (lambda portal: portal.portal_url + "/sharing/rest/portals/self?f=json", "the portal's", ": the token of {portal}"),
    (lambda portal: portal.portal_url + "/home", "the portal's", ": the token of {portal}"),
    (lambda portal: portal.layer_url + "?f=json", "its own", "a token of its own, for which that of {portal} is exchanged"),
    (lambda portal: portal.server_url + "/admin?f=json", "its own", "a token of its own"),
    (lambda portal: portal.server_url, "none", "no token; it is neither part of {portal} nor a resource of a server"),
    (lambda portal: portal.standalone_layer_url + "?f=json", "an error", "no token, and an error if it wants one"),
    (lambda portal: portal.standalone_url + "/page.html", "none", "no token; it is neither part of {portal}"),
]


@pytest.mark.parametrize("place, truth, words", PLACES, ids=range(len(PLACES)))
def test_it_tells_the_truth(portal, session, place, truth, words):
    url = place(portal)
    told = session.auth.describe(url)
    assert words.format(portal=portal.portal_url) in told
    assert "?" not in told.partition(": ")[0]
    assert sent(session, portal, url) == truth
    assert session.auth.describe(url) == told


def test_it_says_why_a_server_gets_none(portal, session):
    told = session.auth.describe(portal.standalone_layer_url)
    assert f"it is not federated with {portal.portal_url}" in told


def test_and_names_the_portal_that_a_server_belongs_to(portal, session):
    portal.server_site.owner = "https://other.example/portal?token=marker-secret"
    told = session.auth.describe(portal.layer_url)
    assert "federated with 'https://other.example/portal" in told
    assert_hidden(["marker-secret"], told)


def test_no_page_is_asked_what_it_is(portal, session, handler_peer):
    peer = handler_peer(lambda request: json_reply({}))
    assert "no token" in session.auth.describe(peer.url_for("/index.html"))
    assert peer.requests == []


def test_a_server_is_asked_once(portal, session):
    for _ in range(3):
        session.auth.describe(portal.standalone_layer_url)
    assert trail(portal).count("info") == 1


def test_it_shows_no_secret(portal, session):
    url = portal.layer_url.replace("http://", "http://eve:marker-password@") + "?token=marker-token"
    texts = [session.auth.describe(url), session.auth.describe(portal.portal_url)]
    secrets = [session.auth.token, "marker-password", "marker-token", portal.password("amy"), "app1-secret"]
    assert_hidden(secrets, *texts)


def test_after_a_logout_it_says_so(portal, session):
    session.auth.logout()
    portal.clear()
    for url in (portal.portal_url, portal.layer_url):
        assert "no token; " in session.auth.describe(url)
        assert "is signed out" in session.auth.describe(url)
    assert portal.requests == []


def test_after_a_refused_password_it_says_so(portal, built_in, open_session):
    session = open_session(built_in(password="not-amys"))
    with pytest.raises(ArcGISLoginError):
        session.get(portal.portal_url + "/sharing/rest/portals/self?f=json")
    for url in (portal.portal_url + "/home", portal.layer_url):
        told = session.auth.describe(url)
        assert "no token" in told
        assert "refused the sign-in" in told
    assert trail(portal).count("generateToken") == 1


@pytest.mark.parametrize("kind", [EsriUserTokenAuth, EsriAPIKeyAuth])
def test_a_given_token_goes_wherever_the_caller_does(portal, open_session, kind):
    session = open_session(kind("marker-token"))
    told = session.auth.describe("https://anywhere.example/x?y=z")
    assert "it goes wherever you send a request" in told
    assert told.startswith("https://anywhere.example/x?…: the ")
    assert_hidden(["marker-token"], told)


def test_a_stand_alone_server_has_its_own(portal, amy, open_session):
    session = open_session(amy(portal, portal.standalone_url))
    assert f": the token of {portal.standalone_url}" in session.auth.describe(portal.standalone_layer_url)
    assert "this session's is for" in session.auth.describe(portal.layer_url)


def test_a_chain_tells_what_each_part_would_do(portal, built_in, open_session):
    session = open_session(EsriBasicAuth(None, "amy", "x-password") + built_in())
    assert session.auth.describe(portal.portal_url + "/home").endswith(f"the token of {portal.portal_url}")


def test_with_a_portal_handler_the_server_has_its_own(portal, built_in, open_session, fake_clock):
    session = open_session(EsriGenTokenAuth(portal.server_url, portal_auth=built_in(), clock=fake_clock))
    assert "a token of its own" in session.auth.describe(portal.layer_url)


def test_debug_lines_say_what_belongs_where_and_show_no_token(portal, session, caplog):
    caplog.set_level("DEBUG")
    session.get(portal.layer_url + "?f=json")
    session.get(portal.standalone_url + "/rest/services/PublicPlaces/FeatureServer/0?f=json")
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("esri_http")]
    assert f"{portal.server_url} is federated with {portal.portal_url}" in lines
    assert any(line.startswith(f"no token for {portal.standalone_url}: it is not federated") for line in lines)
    used = {token_sent(request) for request in portal.requests} - {None}
    assert len(used) == 1
    assert_hidden([session.auth.token, *used, portal.password("amy")], logs=caplog.text)
