"""The sign-in page of the embedded portal, walked through as a browser does it, and read as scripted clients read it."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from esri_http.testing import OUT_OF_BAND, EmbeddedPortal
from tests.support.browser import Browser

LOOPBACK = "http://127.0.0.1:49152/callback"
KEYS = {
    "oauth_state", "client_id", "appTitle", "locale", "persistOption", "showSocialLogins", "contextPath", "appOrgInfo",
    "orgUrlBase", "helpBase", "style", "socialProviders", "originSignin", "isMfaRecoveryCodesEnabled", "customOrgLoginEnabled",
}  # fmt: skip


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query, keep_blank_values=True).items()}


def test_the_page_is_a_form_that_works_and_a_script_that_says_the_same(authorize, portal):
    page = authorize(style="dark", locale="de")
    assert (page.status, page.title) == (200, "Sign In")
    assert page.headers["Content-Type"] == "text/html;charset=utf-8"
    (form,) = page.forms
    assert (form.method, form.action) == ("POST", "/portal/sharing/rest/oauth2/signin")
    assert set(form.fields) == {"oauth_state", "username", "password"}
    assert set(page.info) == KEYS
    assert page.info["oauth_state"] == form.fields["oauth_state"]
    assert (page.info["client_id"], page.info["style"], page.info["locale"]) == ("arcgisonline", "dark", "de")
    assert page.info["contextPath"] == "/portal"
    assert portal.requests[-1].query["redirect_uri"] == OUT_OF_BAND


def test_every_page_has_a_state_of_its_own(authorize):
    assert authorize().info["oauth_state"] != authorize().info["oauth_state"]


def test_the_right_password_leads_to_a_page_with_the_code(authorize, portal):
    page = authorize().submit(username="amy", password="amys-secret")
    code = page.inputs["code"]
    assert page.title == f"SUCCESS code={code}"
    assert page.url == f"{portal.oauth.url}/approval?code={code}"
    assert portal.count("/oauth2/signin", method="POST", status=302) == 1
    portal.oauth.redirects_to_approval = False
    answered = authorize().submit(username="amy", password="amys-secret", follow=False)
    assert (answered.status, answered.title) == (200, "SUCCESS code=" + answered.inputs["code"])


def test_the_approval_page_shows_no_code_that_the_portal_did_not_give(browser, portal):
    page = browser.open(portal.oauth.url + "/approval?code=%3Cscript%3Ealert(1)%3C/script%3E")
    assert "Invalid code" in page.text
    assert "alert" not in page.text


def test_an_app_gets_the_code_and_its_state_at_its_redirect_uri(authorize):
    page = authorize(redirect_uri=LOOPBACK + "?a=1", state='{"id":"a&b"}').submit(username="amy", password="amys-secret")
    assert page.status == 302
    assert page.location.startswith(LOOPBACK + "?a=1&code=")
    answer = query_of(page.location)
    assert answer == {"a": "1", "code": answer["code"], "state": '{"id":"a&b"}'}


def test_without_a_state_none_comes_back(authorize):
    page = authorize(redirect_uri=LOOPBACK).submit(username="amy", password="amys-secret")
    assert set(query_of(page.location)) == {"code"}


def test_the_implicit_grant_answers_in_the_fragment(authorize, client, portal, bearer):
    page = authorize(response_type="token", redirect_uri=LOOPBACK, state="s", expiration=60)
    answer = urlsplit(page.submit(username="zoë", password=portal.password("zoë")).location)
    fields = {name: values[0] for name, values in parse_qs(answer.fragment).items()}
    assert answer.query == ""
    assert {**fields, "access_token": ""} == {
        "access_token": "", "expires_in": "3600", "username": "zoë", "ssl": "true", "persist": "false", "state": "s",
    }  # fmt: skip
    reply = client.get(portal.portal_url + "/sharing/rest/community/self", bearer(fields["access_token"]))
    assert reply.json["username"] == "zoë"


@pytest.mark.parametrize("asked, seconds", [("", 1800), ("20160", 1209600), ("99999", 1209600), ("-1", 1209600)])
def test_an_implicit_token_lives_at_most_two_weeks(authorize, asked, seconds):
    page = authorize(response_type="token", expiration=asked).submit(username="amy", password="amys-secret", follow=False)
    assert f"expires_in={seconds}&" in page.location
    assert "/oauth2/approval#access_token=" in page.location


def test_a_life_that_is_asked_for_with_the_password_counts(browser, authorize, portal):
    page = authorize(response_type="token")
    form = {"oauth_state": page.info["oauth_state"], "username": "amy", "password": "amys-secret", "expiration": "90"}
    answer = browser.open(portal.oauth.url + "/signin", "POST", form, follow=False)
    assert "expires_in=5400&" in answer.location


def test_a_wrong_password_shows_the_page_again_with_its_code(authorize):
    page = authorize().submit(username="amy", password="wrong")
    assert (page.status, page.title) == (200, "Sign In")
    assert page.info["messages"] == [{"code": "OAUTH_0015", "message": "Invalid username or password."}]
    assert "OAUTH_0015" in page.text
    assert page.submit(username="amy", password="amys-secret").title.startswith("SUCCESS code=")


def test_wrong_passwords_at_the_form_and_at_generate_token_lock_the_same_account(authorize, client, portal, clock):
    page = authorize()
    for _ in range(3):
        page = page.submit(username="amy", password="wrong")
    for _ in range(2):
        client.sign_in(password="wrong")
    assert portal.accounts.is_locked("amy")
    assert "OAUTH_0015" in page.submit(username="amy", password="amys-secret").text
    assert client.sign_in().error_code == 400
    clock.seconds += 15 * 60 + 1
    assert authorize().submit(username="amy", password="amys-secret").title.startswith("SUCCESS")


def test_the_form_does_not_mind_capitals_of_the_user_name(authorize):
    page = authorize(response_type="token").submit(username="AMY", password="amys-secret", follow=False)
    assert "username=amy&" in page.location
    assert "OAUTH_0015" in authorize().submit(username="AMY", password="AMYS-SECRET").text


def test_cancel_is_told_to_the_app(authorize):
    page = authorize(redirect_uri=LOOPBACK, state="s").submit(press="cancel")
    assert query_of(page.location) == {
        "error": "access_denied", "error_description": "The user denied your request.", "state": "s",
    }  # fmt: skip
    assert authorize().submit(press="cancel").title == "FAILED error=access_denied"
    assert [button.get("name") for button in authorize(hideCancel="true").forms[0].buttons] == [None]


def test_a_sign_in_is_good_once_and_for_a_while(authorize, portal, clock):
    page = authorize()
    assert page.submit(username="amy", password="amys-secret").title.startswith("SUCCESS")
    assert "Invalid oauth_state" in page.submit(username="amy", password="amys-secret").text
    late = authorize()
    clock.seconds += 60 * portal.oauth.page_minutes
    assert "Invalid oauth_state" in late.submit(username="amy", password="amys-secret").text


def test_an_unknown_app_gets_an_error_page_and_no_redirect(authorize, portal):
    page = authorize(client_id="nobody", redirect_uri=LOOPBACK)
    assert (page.status, page.info, page.forms) == (200, None, [])
    for line in ("ArcGIS Portal Directory", "Error", "Invalid client_id", "Error: 400"):
        assert f">{line}<" in page.text
    portal.oauth.uses_http_statuses = True
    assert authorize(client_id="nobody").status == 400


def test_a_redirect_uri_that_is_not_registered_is_refused_on_a_page_or_by_a_redirect(authorize, portal):
    stranger = "https://app.example/callback"
    page = authorize(redirect_uri=stranger)
    assert (page.status, page.location, page.forms) == (200, "", [])
    assert "Invalid redirect_uri" in page.text
    portal.oauth.redirects_bad_redirect_uris = True
    assert (
        authorize(redirect_uri=stranger).location == stranger + "?error=invalid_request&error_description=Invalid+redirect_uri"
    )
    assert "redirect_uri not specified" in authorize(redirect_uri="").text
    portal.register_app("theirs", redirect_uris=[stranger])
    assert authorize(client_id="theirs", redirect_uri=stranger).title == "Sign In"


@pytest.mark.parametrize(
    "parameters, problem",
    [
        ({"response_type": "password"}, "Invalid response_type"),
        ({"code_challenge": "x", "code_challenge_method": "S512"}, "Invalid code_challenge_method"),
        ({"client_id": "strict"}, "code_challenge not specified"),
    ],
)
def test_other_mistakes_are_told_to_the_app(authorize, portal, parameters, problem):
    app = portal.register_app("strict", redirect_uris=[LOOPBACK])
    app.requires_pkce = True
    page = authorize(redirect_uri=LOOPBACK, state="s", **parameters)
    assert query_of(page.location) == {"error": "invalid_request", "error_description": problem, "state": "s"}


@pytest.mark.parametrize("path", ["/sharing/rest/oauth2/signin", "/sharing/oauth2/signin"])
def test_the_path_of_the_form_can_be_the_only_one(authorize, browser, portal, path):
    portal.oauth.sign_in_paths = (path,)
    page = authorize()
    assert page.forms[0].action == "/portal" + path
    assert page.submit(username="amy", password="amys-secret").title.startswith("SUCCESS")
    other = {"/sharing/rest/oauth2/signin", "/sharing/oauth2/signin"} - {path}
    form = {"oauth_state": authorize().info["oauth_state"], "username": "amy", "password": "amys-secret"}
    assert browser.open(portal.portal_url + other.pop(), "POST", form).status == 404


def test_the_old_paths_are_there_too(browser, portal):
    url = portal.portal_url + f"/sharing/oauth2/authorize?client_id=pythonapi&response_type=code&redirect_uri={OUT_OF_BAND}"
    assert browser.open(url).title == "Sign In"
    assert browser.open(portal.oauth.url + "/signin").text.count("Method not supported.") == 1


@pytest.mark.parametrize("terminator, line", [(";", "};\n"), ("\n", "}\n\n")])
def test_the_script_ends_with_a_semicolon_or_a_line_break(authorize, portal, terminator, line):
    portal.oauth.script_terminator = terminator
    page = authorize()
    assert json.dumps(page.info, ensure_ascii=False, separators=(",", ":"))[:-1] + line in page.text


@pytest.mark.parametrize(
    "layout, has_form, has_info",
    [("full", True, True), ("script", False, True), ("form", True, False), ("changed", False, False)],
)
def test_the_layout_of_the_page_can_be_another(authorize, portal, layout, has_form, has_info):
    portal.oauth.page_layout = layout
    page = authorize()
    assert (bool(page.forms), page.info is not None) == (has_form, has_info)
    assert ("oAuthInfo" in page.text) is has_info


def test_nothing_that_is_asked_for_gets_into_the_page_as_markup(authorize):
    attack = "</script><script>alert(1)</script>\"'>"
    page = authorize(prepopulatedusername=attack, locale=attack, style=attack)
    assert page.text.count("<script>") == 1
    assert page.info["locale"] == attack
    assert page.forms[0].fields["username"] == attack


def test_an_organisation_with_its_own_identity_provider_only_has_no_form(authorize, browser, portal):
    portal.oauth.saml_only = True
    page = authorize()
    assert page.forms == []
    assert page.info["customOrgLoginEnabled"] is True
    provider = page.info["federationInfo"]
    assert provider["idpName"] == "Embedded Identity Provider"
    assert browser.open(provider["idpAuthorizeUrl"]).title == "Identity provider"
    form = {"oauth_state": page.info["oauth_state"], "username": "amy", "password": "amys-secret"}
    refused = browser.open(portal.oauth.url + "/signin", "POST", form, follow=False)
    assert (refused.status, refused.location) == (200, "")
    assert "disabled" in refused.text


def test_the_sign_in_page_can_be_disabled(authorize, portal):
    portal.oauth.sign_in_page_enabled = False
    page = authorize()
    assert (page.forms, page.info) == ([], None)
    assert "Signing in is disabled for this organization." in page.text


def test_who_is_let_in_by_the_web_tier_sees_no_form(authorize, portal):
    portal.portal_site.web_tier = lambda request: "amy"
    assert authorize().title.startswith("SUCCESS code=")


def test_everything_works_over_plain_http(clock):
    with EmbeddedPortal(https=False, host="127.0.0.1", clock=clock) as portal:
        url = f"{portal.oauth.url}/authorize?client_id=pythonapi&response_type=token&redirect_uri={portal.portal_url}"
        page = Browser().open(url).submit(username="amy", password="amys-secret", follow=False)
        assert page.location.startswith(portal.portal_url + "#access_token=")
        assert "ssl=false" in page.location
