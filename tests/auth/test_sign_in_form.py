"""`FormSignIn` against portals of odd manners: where the password goes, which code counts, what ends it."""

from __future__ import annotations

import pytest

from esri_http import EsriPKCEAuth
from esri_http.words.errors import ArcGISLoginError, InteractionRequiredError, SignInError, TokenRequestError
from tests.auth.helpers import assert_hidden, token_sent
from tests.support.peers import Reply, json_reply

APP = "https://app.example/callback"
FORM = '<form action="/portal/sharing/rest/oauth2/signin"><input name="oauth_state" value="s1"></form>'
OOB = "urn:ietf:wg:oauth:2.0:oob"
CODE = "the-code-4711"


def html(text, status=200):
    return Reply(status, {"Content-Type": "text/html"}, text.encode())


def leads_to(location):
    return Reply(302, {"Location": location})


@pytest.fixture
def walk(handler_peer, open_session, fake_clock):
    """`walk(pages, redirect_uri=...)`: sign in at a portal whose pages are these functions of the request, by path.

    Returns the peer, and a function that makes a request of a session there. `{state}` in a location is our state.
    """

    def make(pages, redirect_uri=APP, **options):
        seen = {}

        def handle(request):
            name = request.path.rpartition("/")[2]
            if name == "authorize" and "state" in request.query:
                seen["state"] = request.query["state"]
            if name == "token":
                return json_reply({"access_token": "good-token", "expires_in": 1800})
            if name not in pages:
                return json_reply({"token": token_sent(request)}) if name == "x" else Reply(404)
            page = pages[name]
            reply = page(request) if callable(page) else page
            location = reply.headers.get("Location")
            if location:
                return leads_to(location.replace("{state}", seen.get("state", "")).replace("{origin}", str(peer.origin)))
            return reply

        peer = handler_peer(handle)
        given = {"client_id": "app1", "redirect_uri": redirect_uri, "clock": fake_clock, **options}
        auth = EsriPKCEAuth(peer.url_for("/portal"), "amy", "amys-secret", **given)
        session = open_session(auth, retries=0)
        return peer, lambda: session.get(peer.url_for("/portal/sharing/rest/x")).json()["token"]

    return make


def paths(peer):
    return [request.path.rpartition("/")[2] for request in peer.requests]


def passwords(peer):
    return [request.path for request in peer.requests if "password" in request.form]


def test_the_code_comes_back_with_our_state(walk):
    peer, ask = walk({"authorize": html(FORM), "signin": leads_to(APP + f"?code={CODE}&state={{state}}")})
    assert ask() == "good-token"
    assert paths(peer) == ["authorize", "signin", "token", "x"]
    assert peer.requests[2].form["code"] == CODE
    assert {"oauth_state": "s1", "username": "amy", "password": "amys-secret"}.items() <= peer.requests[1].form.items()


@pytest.mark.parametrize("state", ["another-state", "", "%20"])
def test_a_code_with_another_state_is_not_used(walk, state):
    peer, ask = walk({"authorize": html(FORM), "signin": leads_to(APP + f"?code={CODE}&state={state or '&state=x'}")})
    for _ in range(2):
        with pytest.raises(ArcGISLoginError, match="another sign-in's state") as caught:
            ask()
    assert paths(peer) == ["authorize", "signin"]
    assert_hidden([CODE, "amys-secret"], caught.value)


def test_nor_is_one_that_an_app_would_get_without_a_state(walk):
    peer, ask = walk({"authorize": html(FORM), "signin": leads_to(APP + f"?code={CODE}")})
    with pytest.raises(SignInError, match="state"):
        ask()
    assert "token" not in paths(peer)


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/callback", "https://app.example.evil.example/callback", "https://app.example/callback2",
        "https://evil.example/oauth2/approval", "http://app.example/callback", "urn:ietf:wg:oauth:2.0:oob", "//evil.example/x",
    ],
)  # fmt: skip
@pytest.mark.parametrize("when", ["authorize", "signin"])
def test_a_code_that_goes_elsewhere_is_not_ours(walk, target, when):
    away = leads_to(f"{target}?code={CODE}&state={{state}}")
    peer, ask = walk({"authorize": html(FORM), "signin": away} if when == "signin" else {"authorize": away})
    with pytest.raises(SignInError) as caught:
        ask()
    assert "token" not in paths(peer)
    assert_hidden([CODE], caught.value)


@pytest.mark.parametrize("place", ["/portal/sharing/rest/oauth2/approval", "{origin}/portal/sharing/oauth2/approval"])
def test_the_approval_page_of_the_portal_itself_has_the_code(walk, place):
    peer, ask = walk({"authorize": html(FORM), "signin": leads_to(f"{place}?code={CODE}")}, redirect_uri=OOB)
    assert ask() == "good-token"
    assert peer.requests[2].form["code"] == CODE


@pytest.mark.parametrize("title", [f"SUCCESS code={CODE}", f"  SUCCESS  code={CODE}  ", f"&#83;UCCESS code={CODE}"])
def test_so_has_a_title(walk, title):
    peer, ask = walk({"authorize": html(FORM), "signin": html(f"<html><title>{title}</title></html>")}, redirect_uri=OOB)
    assert ask() == "good-token"
    assert peer.requests[2].form["code"] == CODE


def test_a_web_tier_that_signs_us_in_gets_no_password(walk):
    peer, ask = walk({"authorize": leads_to(APP + f"?code={CODE}&state={{state}}")})
    assert ask() == "good-token"
    assert passwords(peer) == []


@pytest.mark.parametrize(
    "action", ["https://evil.example/signin", "//evil.example/signin", "http://[/signin", "javascript:signin", ""]
)
def test_the_password_goes_to_the_portal_whatever_the_page_says(walk, action):
    form = f'<form action="{action}"><input name="oauth_state" value="s1"></form>'
    peer, ask = walk({"authorize": html(form), "signin": leads_to(APP + f"?code={CODE}&state={{state}}")})
    assert ask() == "good-token"
    assert passwords(peer) == ["/portal/sharing/rest/oauth2/signin"]


def test_redirects_within_the_portal_are_followed(walk):
    pages = {
        "authorize": leads_to("/portal/sharing/rest/oauth2/login?x=1"), "login": html(FORM),
        "signin": leads_to("done"), "done": leads_to(APP + f"?code={CODE}&state={{state}}"),
    }  # fmt: skip
    peer, ask = walk(pages)
    assert ask() == "good-token"
    assert paths(peer) == ["authorize", "login", "signin", "done", "token", "x"]


@pytest.mark.parametrize("when", ["authorize", "signin"])
def test_redirects_without_end_come_to_an_end(walk, when):
    loop = leads_to("/portal/sharing/rest/oauth2/loop")
    peer, ask = walk({"authorize": html(FORM), "signin": loop, when: loop, "loop": loop})
    with pytest.raises(SignInError, match="redirects without end"):
        ask()
    assert len(peer.requests) <= 8
    assert len(passwords(peer)) == (when == "signin")


def test_terms_without_end_come_to_an_end(walk):
    terms = html("<form action='acceptTermsAndConditions'><input name='oauth_state' value='s2'></form>")
    peer, ask = walk({"authorize": html(FORM), "signin": terms, "acceptTermsAndConditions": terms}, accept_terms=True)
    for _ in range(2):
        with pytest.raises(ArcGISLoginError, match="does not come to an end"):
            ask()
    assert len(passwords(peer)) == 1
    assert len(peer.requests) <= 10


@pytest.mark.parametrize("when", ["authorize", "signin"])
def test_an_error_of_the_portal_is_told(walk, when):
    error = leads_to(APP + "?error=access_denied&error_description=Not+today&state={state}")
    peer, ask = walk({"authorize": html(FORM), when: error})
    with pytest.raises(SignInError, match="access_denied Not today"):
        ask()
    assert len(passwords(peer)) == (when == "signin")


def test_a_recorded_error_page_names_the_app(walk):
    peer, ask = walk({"authorize": html("<h1>ArcGIS Portal Directory</h1><p>Invalid client_id</p><p>Error: 400</p>")})
    with pytest.raises(TokenRequestError, match="refuses the app app1: Invalid client_id"):
        ask()
    assert paths(peer) == ["authorize"]


def test_the_password_of_an_identity_provider_is_not_ours_to_post(walk):
    info = '{"oauth_state":"s1","customOrgLoginEnabled":true,"federationInfo":{"idpName":"Corp","idpAuthorizeUrl":"https://idp.example/"}}'
    peer, ask = walk({"authorize": html(f"<script>var oAuthInfo = {info}\n</script>")})
    with pytest.raises(InteractionRequiredError, match="only by 'Corp'"):
        ask()
    assert passwords(peer) == []


def test_a_page_that_repeats_what_was_posted_shows_nothing(walk, caplog):
    caplog.set_level("DEBUG")
    peer, ask = walk({"authorize": html(FORM), "signin": html("<title>No amys-secret here</title>")})
    with pytest.raises(ArcGISLoginError, match=r"No \*\*\* here") as caught:
        ask()
    assert_hidden(["amys-secret"], caught.value, logs=caplog.text)


def test_an_endless_page_is_read_to_its_bound(walk):
    sent = []

    def endless():
        for _ in range(2000):
            sent.append(1)
            yield b"x" * 65536

    peer, ask = walk({"authorize": lambda request: Reply(200, {"Content-Type": "text/html"}, endless())})
    with pytest.raises(InteractionRequiredError, match="no sign-in form"):
        ask()
    assert 8 <= len(sent) < 500


def test_a_page_after_the_code_that_nobody_understands_is_not_a_wrong_code(walk):
    pages = {"authorize": html(FORM), "signin": html("<form action='oauth2/mfa'>"), "mfa": html("<title>News</title>")}
    peer, ask = walk(pages, mfa_code=lambda: "123456")
    with pytest.raises(ArcGISLoginError, match=r"a page that is not understood \(News\)"):
        ask()
    assert paths(peer) == ["authorize", "signin", "mfa"]


@pytest.mark.parametrize("where", ["authorize", "signin"])
def test_what_the_portal_says_of_an_error_is_shown_on_one_line_of_bounded_length(walk, where):
    said = "error=%1b[31mred%0d%0a&error_description=" + "%1b[2J%e2%80%ae%0aforged+" * 500
    _, ask = walk({"authorize": html(FORM), "signin": html(""), where: leads_to(f"{APP}?state={{state}}&{said}")})
    with pytest.raises(SignInError, match=r"red.*forged") as caught:
        ask()
    assert str(caught.value).isprintable()
    assert str(caught.value.error).isprintable()
    assert len(str(caught.value)) < 600
