"""What may stand between the right password and the app, and what generateToken says meanwhile."""

from __future__ import annotations

import pytest

from esri_http.testing import totp

SEED = "JBSWY3DPEHPK3PXP"
CODE = "SUCCESS code="


@pytest.fixture
def signed_in(authorize):
    """The page after the right password of amy."""

    def page(**parameters):
        return authorize(**parameters).submit(username="amy", password="amys-secret")

    return page


def test_a_one_time_code_is_asked_for_and_checked_by_the_clock_of_the_portal(signed_in, portal, clock):
    portal.users["amy"].totp_seed = SEED
    page = signed_in()
    assert (page.title, page.info["step"]) == ("Multifactor authentication", "mfa")
    assert page.forms[0].action == "/portal/sharing/rest/oauth2/mfa"
    assert set(page.forms[0].fields) == {"oauth_state", "mfa_code", "recovery_code"}
    for wrong in ("", "000000", totp(SEED, clock.seconds - 90)):
        page = page.submit(mfa_code=wrong)
        assert page.info["messages"] == [{"message": "The code is not valid."}]
    assert page.submit(mfa_code=totp(SEED, clock.seconds)).title.startswith(CODE)


def test_the_code_may_come_in_the_field_that_older_clients_know(signed_in, browser, portal, clock):
    portal.users["amy"].totp_seed = SEED
    form = {"oauth_state": signed_in().info["oauth_state"], "totp": totp(SEED, clock.seconds)}
    assert browser.open(portal.oauth.url + "/mfa", "POST", form).title.startswith(CODE)


def test_a_recovery_code_is_good_once(signed_in, portal):
    user = portal.users["amy"]
    user.totp_seed, user.recovery_codes = SEED, {"apple-pear"}
    assert signed_in().submit(recovery_code="apple-pear").title.startswith(CODE)
    assert signed_in().submit(recovery_code="apple-pear").title == "Multifactor authentication"


def test_a_skewed_clock_of_the_portal_counts_for_one_time_codes(signed_in, portal, clock):
    portal.users["amy"].totp_seed = SEED
    portal.clock_skew_seconds = 600
    assert signed_in().submit(mfa_code=totp(SEED, clock.seconds)).title == "Multifactor authentication"
    assert signed_in().submit(mfa_code=totp(SEED, clock.seconds + 600)).title.startswith(CODE)


def test_a_wrong_password_is_refused_before_a_code_is_asked_for(authorize, portal):
    portal.users["amy"].totp_seed = SEED
    assert "OAUTH_0015" in authorize().submit(username="amy", password="wrong").text


def test_terms_are_accepted_once_and_reached_by_a_redirect(authorize, signed_in, portal):
    portal.oauth.has_terms_and_conditions = True
    answer = authorize().submit(username="amy", password="amys-secret", follow=False)
    assert answer.status == 302
    assert answer.location.startswith(portal.oauth.url + "/acceptTermsAndConditions?oauth_state=")
    page = signed_in()
    assert page.title == "Terms and conditions"
    assert page.submit().title.startswith(CODE)
    assert portal.requests[-2].form["acceptTermsAndConditions"] == "true"
    assert portal.users["amy"].has_accepted_terms
    assert signed_in().title.startswith(CODE)


@pytest.mark.parametrize("said, is_accepted", [("True", True), ("true", True), ("false", False), ("", False)])
def test_terms_are_accepted_only_by_saying_so(signed_in, browser, portal, said, is_accepted):
    portal.oauth.has_terms_and_conditions = True
    form = {"oauth_state": signed_in().info["oauth_state"], "acceptTermsAndConditions": said}
    page = browser.open(portal.oauth.url + "/acceptTermsAndConditions", "POST", form)
    assert page.title.startswith(CODE) is is_accepted
    assert portal.users["amy"].has_accepted_terms is is_accepted


def test_a_password_can_have_to_be_changed(signed_in, authorize, portal):
    portal.users["amy"].must_change_password = True
    page = signed_in()
    assert (page.title, page.info["step"]) == ("Change your password", "updateUserProfile")
    assert page.forms[0].action == "/portal/sharing/rest/oauth2/resetPassword"
    for new, again in (("short", "short"), ("amys-secret", "amys-secret"), ("long enough", "other")):
        page = page.submit(newPassword=new, confirmPassword=again)
        assert page.title == "Change your password"
    assert page.submit(newPassword="amys-new-secret", confirmPassword="amys-new-secret").title.startswith(CODE)
    assert portal.password("amy") == "amys-new-secret"
    assert "OAUTH_0015" in signed_in().text
    assert authorize().submit(username="amy", password="amys-new-secret").title.startswith(CODE)


def test_an_app_can_need_the_consent_of_the_user(signed_in, browser, authorize, portal):
    portal.oauth.apps["arcgisonline"].asks_consent = True
    page = signed_in()
    assert page.title == "Request for permission"
    assert page.submit().title.startswith(CODE)
    assert signed_in().submit(press="cancel").title == "FAILED error=access_denied"
    form = {
        "oauth_state": authorize().info["oauth_state"], "username": "amy", "password": "amys-secret", "authorize": "True",
    }  # fmt: skip
    assert browser.open(portal.oauth.url + "/signin", "POST", form).title.startswith(CODE)


def test_all_steps_come_one_after_the_other_and_none_can_be_left_out(signed_in, browser, portal, clock):
    user = portal.users["amy"]
    user.totp_seed, user.must_change_password = SEED, True
    portal.oauth.has_terms_and_conditions = True
    portal.oauth.apps["arcgisonline"].asks_consent = True
    portal.oauth.redirecting_steps = {"mfa", "updateUserProfile", "acceptTermsAndConditions", "consent"}
    page = signed_in()
    state = {"oauth_state": page.info["oauth_state"]}
    for later in ("resetPassword", "acceptTermsAndConditions", "consent"):
        form = {**state, "newPassword": "of somebody else", "acceptTermsAndConditions": "true", "authorize": "true"}
        assert browser.open(f"{portal.oauth.url}/{later}", "POST", form).title == "Multifactor authentication"
    assert portal.password("amy") == "amys-secret"
    titles = []
    for form in ({"mfa_code": totp(SEED, clock.seconds)}, {"newPassword": "amys-new-secret"}, {}, {}):
        titles.append(page.title)
        page = page.submit(**form) if "newPassword" not in form else page.submit(confirmPassword="amys-new-secret", **form)
    assert titles == ["Multifactor authentication", "Change your password", "Terms and conditions", "Request for permission"]
    assert page.title.startswith(CODE)


def test_a_step_before_the_password_is_the_sign_in_page(authorize, browser, portal):
    state = authorize().info["oauth_state"]
    assert browser.open(f"{portal.oauth.url}/mfa?oauth_state={state}").title == "Sign In"
    assert "Invalid oauth_state" in browser.open(portal.oauth.url + "/mfa?oauth_state=guessed").text


def test_steps_follow_the_path_and_the_layout_of_the_sign_in_page(authorize, portal):
    portal.users["amy"].totp_seed = SEED
    portal.oauth.sign_in_paths = ("/sharing/oauth2/signin",)
    page = authorize().submit(username="amy", password="amys-secret")
    assert page.forms[0].action == "/portal/sharing/oauth2/mfa"


def test_generate_token_says_that_the_organisation_allows_oauth_only(client, portal):
    portal.generate_token_takes_passwords = False
    for _ in range(6):
        assert client.sign_in(password="wrong").json["error"] == {
            "code": 400,
            "message": "Unable to generate token.",
            "details": ["Signing in by generateToken is disabled for this organization. Use OAuth 2.0."],
        }
    assert not portal.accounts.is_locked("amy")
    token = portal.issue_token("amy")
    assert "token" in client.post(portal.token_url, token=token, serverUrl=portal.server_url).json


def test_generate_token_says_that_the_account_has_a_second_factor(client, portal, bearer):
    portal.users["amy"].totp_seed = SEED
    assert client.sign_in().json["error"] == {
        "code": 400,
        "message": "Unable to generate token.",
        "details": ["Multifactor authentication is enabled for this account. Use OAuth 2.0."],
    }
    assert client.sign_in(password="wrong").json["error"]["details"] == ["Invalid username or password."]
    assert "token" in client.sign_in("bob").json
    token = portal.issue_token("amy")
    assert client.get(portal.portal_url + "/sharing/rest/community/self", bearer(token)).json["mfaEnabled"] is True
