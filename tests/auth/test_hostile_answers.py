"""Whatever a server answers to a sign-in: a result or an error of ours, nothing else, and soon."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esri_http import EsriBuiltInAuth, EsriOAuth2Auth, EsriPKCEAuth, EsriSession
from esri_http.auth.oauth.oauth_app import Grant, OAuthApp, read_grant, refusal_of
from esri_http.auth.oauth.sign_in_form import FormSignIn
from esri_http.auth.oauth.sign_in_pages import Page
from esri_http.auth.sites import Root, portal_root, server_root
from esri_http.auth.tokens.federation import Federation
from esri_http.auth.tokens.keeper import Fetched, TokenKeeper
from esri_http.auth.tokens.token_answers import read_json
from esri_http.auth.tokens.token_services import portal_service
from esri_http.words.clock import Deadline
from esri_http.words.errors import EsriHttpError, NoTokenError, SignInError
from esri_http.words.urls import split_url
from tests.auth.helpers import assert_hidden
from tests.auth.test_token_answers import INFOS, JSON, answered
from tests.support.clock import FakeClock
from tests.support.peers import HandlerPeer, Reply

PORTAL = portal_root(split_url("https://portal.example/portal"))
APP = OAuthApp(PORTAL, "app1")
OOB = "urn:ietf:wg:oauth:2.0:oob"
AUTHORIZE = f"{APP.url('authorize')}"
PASSWORD = "MarkerPassword4711"
SOON = timedelta(seconds=2)

# Pieces that the readers look for, so that what is drawn reaches deep into them.
WORDS = st.sampled_from(
    [
        "oAuthInfo", "oAuthInfo = {", '{"oauth_state":"s1"}', '"oauth_state":', "}", "<title>", "</title>", "SUCCESS code=",
        "abc",
        '<input name="oauth_state" value="s2">', 'action="/portal/sharing/rest/oauth2/signin"', "action=", '"', "'",
        "OAUTH_0015",
        "oauth2/mfa", "recovery_code", "acceptTerms", "oauth2/consent", "resetPassword", "Invalid client_id",
        "federationInfo", "[", "{",
        '"customOrgLoginEnabled":true', "&#", "&amp;", "\x00", "\ud7ff", PASSWORD, " ", "\n",
    ]
)  # fmt: skip
HTML = st.lists(WORDS | st.text(max_size=8), max_size=25).map("".join) | st.text(max_size=200)
INFO_PAGES = JSON.map(lambda value: "<script>oAuthInfo = " + json.dumps(value)) | st.dictionaries(
    st.sampled_from(["oauth_state", "federationInfo", "customOrgLoginEnabled", "messages", "step"]), JSON, max_size=4
).map(lambda value: "<script>var oAuthInfo = " + json.dumps(value) + ";</script>")
LOCATIONS = st.lists(
    st.sampled_from(
        ["https://", "http://", "portal.example", "evil.example", "/", "//", "portal/sharing/rest/oauth2/", "approval", "?",
         "#", OOB,
         "code=", "abc", "&", "state=", "error=", "error_description=", "mfa", "acceptTermsAndConditions", "oauth_state=x",
         "[", "%", ":", "@",
         "authorize"]
    )
    | st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=5),
    min_size=1, max_size=10,
).map("".join)  # fmt: skip
PAGES = st.tuples(st.sampled_from([200, 200, 200, 400, 401, 403, 404, 500, 503]), HTML | INFO_PAGES, st.none()) | st.tuples(
    st.sampled_from([301, 302, 303, 307, 308]), st.just(""), LOCATIONS
)
OAUTH_ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        "access_token": JSON | st.just("a-good-token"), "expires_in": JSON, "refresh_token": JSON | st.just("r-good-token"),
        "refresh_token_expires_in": JSON, "username": JSON, "ssl": JSON, "error_description": JSON, "code": JSON,
        "success": JSON,
        "error": JSON | st.fixed_dictionaries({}, optional={
            "code": JSON, "error": JSON, "error_description": JSON, "message": JSON, "details": JSON, "messageCode": JSON}),
    },
)  # fmt: skip
STATUSES = st.sampled_from([200, 200, 400, 401, 403, 498, 500])


def page_answer(page, request_url=AUTHORIZE):
    status, text, location = page
    fields = {} if location is None else {"location": location}
    return answered(text.encode("utf-8", "surrogatepass"), status, request_url, **{"content-type": "text/html", **fields})


class PagesWire:
    """A wire that answers with these pages, the last one for ever; it notes what was posted where."""

    referer = "http"

    def __init__(self, pages):
        self.pages = list(pages)
        self.clock = FakeClock()
        self.deadline = Deadline(None, self.clock)
        self.sent = []

    def send(self, request):
        self.sent.append(request)
        page = self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]
        response = page_answer(page)
        response.request = request
        return response


# -- pages -----------------------------------------------------------------------------------------------------------------


@settings(max_examples=400, deadline=SOON)
@given(PAGES)
def test_a_page_of_any_content_can_be_asked_everything(drawn):
    page = Page(page_answer(drawn))
    assert page.title.isprintable()
    assert isinstance(page.info, dict)
    assert isinstance(page.oauth_state, str)
    assert page.step in ("", "mfa", "password", "terms", "consent")
    assert page.sign_in_action is None or "signin" in page.sign_in_action.lower()
    assert all(isinstance(value, str) for value in page.answer(OOB).values())
    assert page.next is None or page.location
    assert page.error_text in page.text
    assert page.says_wrong_password == ("OAUTH_0015" in page.text)


@settings(max_examples=400, deadline=SOON)
@given(st.lists(PAGES, min_size=1, max_size=6), st.booleans(), st.sampled_from([OOB, "https://app.example/callback"]))
def test_a_walk_through_any_pages_ends_with_a_code_or_an_error_of_ours(pages, accept_terms, redirect_uri):
    wire = PagesWire(pages)
    form = FormSignIn(APP, "amy", PASSWORD, wire, wire.clock, lambda: "123456", accept_terms)
    try:
        code = form.code(AUTHORIZE + "?state=our-state", redirect_uri, "our-state")
    except SignInError as error:
        assert_hidden([PASSWORD], str(error), repr(error.args), repr(error.details))
    else:
        assert 0 < len(code) <= 4096
    assert len(wire.sent) <= 30
    assert {request.origin for request in wire.sent} == {PORTAL.origin}
    posted = [request for request in wire.sent if request.body is not None and PASSWORD.encode() in request.body.content]
    assert len(posted) <= 2
    assert len(posted) < 2 or posted[0].target != posted[1].target
    assert PASSWORD not in "".join(request.target for request in wire.sent)


@pytest.mark.parametrize(
    "text",
    [
        "oAuthInfo = " + "[" * 400_000, "oAuthInfo = {" + '"a":{' * 80_000, "oAuthInfo = {" + '"a":' + "9" * 500_000 + "}",
        "action=" * 70_000, "action" + " " * 500_000, "action='" + "x" * 500_000, "action = '" * 50_000, "<title>" * 70_000,
        "<title>" + "&#x110000;" * 40_000, "<title>SUCCESS " + " " * 480, "SUCCESS code=" * 30_000,
        'name="oauth_state"' + " " * 500_000, 'name="oauth_state" value="' * 20_000, "name='oauth_state'" * 28_000,
        "\x00" * 500_000,
        "Invalid " * 60_000, "oAuthInfo" * 50_000,
    ],
    ids=range(17),
)  # fmt: skip
def test_no_page_takes_long_to_read(text):
    begun = time.perf_counter()
    wire = PagesWire([(200, text, None)])
    with pytest.raises(SignInError):
        FormSignIn(APP, "amy", PASSWORD, wire, wire.clock).code(AUTHORIZE, OOB, "our-state")
    assert time.perf_counter() - begun < 2.0


# -- answers of the token endpoint -----------------------------------------------------------------------------------------


@settings(max_examples=400, deadline=SOON)
@given(OAUTH_ANSWERS | JSON, STATUSES)
def test_any_answer_of_the_token_endpoint_is_a_grant_or_an_error_of_ours(value, status):
    response = answered(value, status, str(APP.url("token")))
    try:
        answer = read_json(response, "The OAuth service")
        problem = refusal_of(response, answer)
        grant = None if problem is not None else read_grant(response, answer)
    except SignInError:
        return
    if grant is None:
        assert isinstance(problem, SignInError)
        assert all(text.isprintable() for text in (str(problem), *problem.details))
        assert len(str(problem)) < 60_000
        return
    assert isinstance(grant, Grant)
    assert grant.access_token.isprintable()
    assert " " not in grant.access_token
    assert grant.expires_in is None or grant.expires_in > 0


@settings(max_examples=200, deadline=SOON)
@given(st.binary(max_size=300), STATUSES)
def test_so_are_any_bytes(content, status):
    response = answered(content, status, str(APP.url("token")))
    try:
        read_grant(response, read_json(response, "The OAuth service"))
    except SignInError:
        pass


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 1_000_000, b'{"error":' * 200_000, b'{"access_token":"' + b"x" * 3_000_000 + b'"}',
        b'{"a":' + b"9" * 1_000_000 + b"}",
        b'{"error":{"code":400,"message":' + b"[" * 900 + b"]" * 900 + b"}}", b'{"access_token":"t"}' + b" " * 5_000_000,
    ],
    ids=range(6),
)  # fmt: skip
def test_no_answer_takes_long_to_read(content):
    begun = time.perf_counter()
    response = answered(content, 200, str(APP.url("token")))
    with pytest.raises(SignInError):
        answer = read_json(response, "The OAuth service")
        raise refusal_of(response, answer) or read_grant(response, answer)
    assert time.perf_counter() - begun < 5.0


# -- rest/info of servers --------------------------------------------------------------------------------------------------


class InfoWire:
    """A wire on which rest/info says something, and the portal exchanges whatever it is asked to."""

    referer = "http"

    def __init__(self, info):
        self.info = info
        self.deadline = Deadline(None, FakeClock())
        self.sent = []

    def send(self, request):
        self.sent.append(request)
        return answered(self.info if request.method == "GET" else {"token": "server-token"}, url=request.url)


@settings(max_examples=300, deadline=SOON)
@given(
    INFOS
    | JSON
    | st.fixed_dictionaries(
        {"owningSystemUrl": st.sampled_from(["https://portal.example/portal/", "http://portal.example", 7])}
    )
)
def test_any_rest_info_makes_a_server_ours_or_a_stranger(info):
    tokens = TokenKeeper(lambda wire: Fetched("portal-token"), FakeClock())
    wire, root = InfoWire(info), server_root(split_url("https://server.example/x").origin, "/gis/rest/services")
    assert isinstance(root, Root)
    source = Federation(portal_service(PORTAL), tokens, lambda wire: None, FakeClock()).source_for(root, wire)
    assert isinstance(source, (NoTokenError, TokenKeeper))
    posts = [request for request in wire.sent if request.method == "POST"]
    assert {request.origin for request in posts} <= {PORTAL.origin}
    if isinstance(source, TokenKeeper):
        assert str(info["owningSystemUrl"]).lower().rstrip("/") == "https://portal.example/portal"
    assert not [request for request in wire.sent if "portal-token" in request.target or request.header("X-Esri-Authorization")]


# -- all of it over a socket -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile():
    """A portal whose every answer is the one in `hostile_answer`."""
    with HandlerPeer(lambda request: hostile_answer[0]) as peer:
        yield peer


hostile_answer = [Reply(200)]
HANDLERS = [
    lambda url: EsriBuiltInAuth(url, "amy", PASSWORD),
    lambda url: EsriBuiltInAuth(url, "amy", PASSWORD, mfa_code=lambda: "123456", accept_terms=True, verify_sign_in=True),
    lambda url: EsriPKCEAuth(url, "amy", PASSWORD),
    lambda url: EsriOAuth2Auth(url, "app1", "app1-secret"),
    lambda url: EsriOAuth2Auth(url, "app1", refresh_token="refresh-4711"),
]


@settings(max_examples=150, deadline=SOON)
@given(
    st.sampled_from(range(len(HANDLERS))),
    st.tuples(st.just("html"), PAGES) | st.tuples(st.just("json"), st.tuples(STATUSES, OAUTH_ANSWERS | JSON, st.none())),
)
def test_any_portal_gives_an_answer_or_an_error_of_ours(hostile, which, drawn):
    kind, (status, value, location) = drawn
    body = (value if kind == "html" else json.dumps(value)).encode("utf-8", "surrogatepass")
    fields = {"Content-Type": "text/html" if kind == "html" else "application/json"}
    hostile_answer[0] = Reply(status, fields if location is None else {**fields, "Location": location}, body)
    before = len(hostile.requests)
    with EsriSession(HANDLERS[which](hostile.url_for("/portal")), retries=0, deadline=5) as session:
        for _ in range(2):
            try:
                session.get(hostile.url_for("/portal/sharing/rest/x"), allow_redirects=False).close()
            except EsriHttpError as error:
                assert_hidden([PASSWORD, "refresh-4711", "app1-secret"], str(error), repr(error.args))
    assert len(hostile.requests) - before <= 60
