"""`oauth2/token` of the embedded portal: every grant, in the shapes that portals answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from esri_http.testing import OUT_OF_BAND, User, s256

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
LOOPBACK = "http://127.0.0.1:49152/callback?a=1&b=2"


@pytest.fixture
def who(client, portal, bearer):
    """The user whom the portal sees behind a token; `None` when it does not take it."""

    def username(token: str) -> str | None:
        return client.get(portal.portal_url + "/sharing/rest/community/self", bearer(token)).json.get("username")

    return username


@pytest.fixture
def refresh(redeem):
    def refreshed(refresh_token: str, **form):
        return redeem(grant_type="refresh_token", refresh_token=refresh_token, **form)

    return refreshed


def error(description: str, code: int = 400, kind: str = "invalid_request") -> dict[str, object]:
    names = {"code": code, "error": kind, "error_description": description, "message": description, "details": []}
    return {"error": names}


def test_a_code_is_redeemed_for_tokens(code_for, redeem, who):
    reply = redeem(code=code_for())
    answer = reply.json
    assert reply.status == 200
    assert list(answer) == ["access_token", "expires_in", "username", "ssl", "refresh_token", "refresh_token_expires_in"]
    assert (answer["expires_in"], answer["refresh_token_expires_in"]) == (1800, 1209600)
    assert (answer["username"], answer["ssl"]) == ("amy", True)
    assert reply.headers["Content-Type"] == "application/json;charset=utf-8"
    assert reply.headers["Cache-Control"] == "no-store"
    assert who(answer["access_token"]) == "amy"


def test_a_code_is_good_once(code_for, redeem):
    code = code_for()
    assert "access_token" in redeem(code=code).json
    assert redeem(code=code).json == error("Invalid authorization code")


def test_a_code_gets_old(code_for, redeem, portal, clock):
    code = code_for()
    clock.seconds += 60 * portal.oauth.code_minutes
    assert redeem(code=code).json == error("Invalid authorization code")


def test_a_code_belongs_to_its_app(code_for, redeem):
    code = code_for()
    assert redeem(code=code, client_id="pythonapi").json == error("Invalid authorization code")
    assert "error" in redeem(code=code).json


@pytest.mark.parametrize("sent", [OUT_OF_BAND, "http://127.0.0.1:49152/callback", LOOPBACK + "&c=3", "http://127.0.0.1:1/"])
def test_the_redirect_uri_has_to_be_the_same_letter_by_letter(code_for, redeem, sent):
    assert redeem(code=code_for(redirect_uri=LOOPBACK), redirect_uri=sent).json == error("Invalid redirect_uri")
    assert "access_token" in redeem(code=code_for(redirect_uri=LOOPBACK), redirect_uri=LOOPBACK).json


@pytest.mark.parametrize(
    "form, description",
    [
        ({"grant_type": ""}, "grant_type not specified"),
        ({"grant_type": "password"}, "Invalid grant_type"),
        ({}, "code not specified"),
        ({"code": "x", "redirect_uri": ""}, "redirect_uri not specified"),
        ({"code": "x"}, "Invalid authorization code"),
        ({"code": "x", "client_secret": "wrong"}, "Invalid client_secret"),
        ({"grant_type": "refresh_token"}, "refresh_token not specified"),
        ({"grant_type": "client_credentials"}, "client_secret not specified"),
        ({"grant_type": "client_credentials", "client_secret": "wrong"}, "Invalid client_secret"),
    ],
)
def test_what_is_missing_or_wrong_is_named(redeem, form, description):
    assert redeem(**form).json == error(description)


def test_an_unknown_app_and_a_dead_refresh_token_are_worded_as_recorded(redeem, refresh, portal, clock):
    assert redeem(client_id="nobody").json == error("Invalid client_id", kind="invalid_client_id")
    assert refresh("unknown").json == error("Invalid refresh_token", 498)
    old = portal.oauth.issue_refresh_token("amy", minutes=10)
    clock.seconds += 600
    assert refresh(old).json == error("refresh_token expired", 498)


def test_errors_can_come_with_a_real_status(redeem, client, portal):
    assert redeem(client_id="nobody").status == 200
    assert client.get(portal.oauth.url + "/token").status == 200
    portal.oauth.uses_http_statuses = True
    assert redeem(client_id="nobody").status == 400
    assert redeem(grant_type="refresh_token", refresh_token="unknown").status == 400
    get = client.get(portal.oauth.url + "/token")
    assert (get.status, get.json["error"]["messageCode"]) == (405, "GWM_0005")


@pytest.mark.parametrize(
    "challenge, method, verifier, answer",
    [
        (s256(VERIFIER), "S256", VERIFIER, None),
        (s256(VERIFIER), "S256", VERIFIER.swapcase(), "Invalid code_verifier"),
        (s256(VERIFIER), "S256", "", "code_verifier not specified"),
        (VERIFIER, "plain", VERIFIER, None),
        (VERIFIER, "plain", s256(VERIFIER), "Invalid code_verifier"),
        ("", "S256", VERIFIER, "Invalid code_verifier"),
    ],
)
def test_the_verifier_is_checked(code_for, redeem, challenge, method, verifier, answer):
    code = code_for(code_challenge=challenge, code_challenge_method=method)
    assert redeem(code=code, code_verifier=verifier).json.get("error", {}).get("message") == answer


def test_a_wrong_verifier_uses_the_code_up(code_for, redeem):
    code = code_for(code_challenge=s256(VERIFIER), code_challenge_method="S256")
    assert "error" in redeem(code=code, code_verifier="wrong" * 10).json
    assert redeem(code=code, code_verifier=VERIFIER).json == error("Invalid authorization code")


def test_an_old_portal_knows_no_verifier(code_for, redeem, portal):
    portal.oauth.supports_pkce = False
    code = code_for(code_challenge="nonsense", code_challenge_method="nonsense")
    assert "access_token" in redeem(code=code, code_verifier=VERIFIER).json


@pytest.mark.parametrize("asked, seconds", [("", 1209600), ("60", 3600), ("129601", 7776000), ("-1", 7776000)])
def test_the_refresh_token_lives_as_long_as_asked_for_up_to_ninety_days(code_for, redeem, asked, seconds):
    assert redeem(code=code_for(expiration=asked)).json["refresh_token_expires_in"] == seconds


def test_lifetimes_follow_the_settings(code_for, redeem, portal, clock, who):
    portal.oauth.access_minutes, portal.oauth.refresh_minutes = 5, 50
    answer = redeem(code=code_for()).json
    assert (answer["expires_in"], answer["refresh_token_expires_in"]) == (300, 3000)
    clock.seconds += 299
    assert who(answer["access_token"]) == "amy"
    clock.seconds += 1
    assert who(answer["access_token"]) is None


def test_parts_of_the_answer_are_missing_on_some_releases(code_for, redeem, portal):
    portal.oauth.says_refresh_token_expires_in = False
    portal.oauth.says_ssl = False
    assert set(redeem(code=code_for()).json) == {"access_token", "expires_in", "username", "refresh_token"}


def test_a_user_name_with_blanks_is_told_as_it_is(code_for, redeem, portal, who):
    portal.users[" c@sey"] = User(" c@sey", "secret-of-c")
    answer = redeem(code=code_for(" c@sey")).json
    assert answer["username"] == " c@sey"
    assert who(answer["access_token"]) == " c@sey"


def test_refreshing_gives_an_access_token_and_no_refresh_token(refresh, portal, clock, who):
    refresh_token = portal.oauth.issue_refresh_token("amy")
    answer = refresh(refresh_token).json
    assert list(answer) == ["access_token", "expires_in", "username", "ssl"]
    clock.seconds += 1801
    assert who(answer["access_token"]) is None
    assert who(refresh(refresh_token).json["access_token"]) == "amy"


def test_a_refresh_token_belongs_to_its_app(refresh, portal):
    refresh_token = portal.oauth.issue_refresh_token("amy", "pythonapi")
    assert refresh(refresh_token).json == error("Invalid refresh_token", 498)
    assert "access_token" in refresh(refresh_token, client_id="pythonapi").json


def test_refresh_tokens_can_rotate(refresh, portal, clock, who):
    portal.oauth.rotates_refresh_tokens = True
    first = portal.oauth.issue_refresh_token("amy")
    clock.seconds += 1000
    answer = refresh(first).json
    assert answer["refresh_token"] != first
    assert answer["refresh_token_expires_in"] == 1209600 - 1000
    assert refresh(first).json == error("Invalid refresh_token", 498)
    again = refresh(answer["refresh_token"]).json
    assert who(again["access_token"]) == who(answer["access_token"]) == "amy"


def test_of_many_who_rotate_at_once_one_succeeds(refresh, portal):
    portal.oauth.rotates_refresh_tokens = True
    refresh_token = portal.oauth.issue_refresh_token("amy")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: refresh(refresh_token).json, range(8)))
    assert ["access_token" in answer for answer in answers].count(True) == 1


def test_a_refresh_token_is_exchanged_for_a_fresh_one(redeem, refresh, portal, clock, who):
    old = portal.oauth.issue_refresh_token("amy", minutes=120)
    before = refresh(old).json["access_token"]
    clock.seconds += 60
    answer = redeem(grant_type="exchange_refresh_token", refresh_token=old).json
    assert list(answer) == ["access_token", "expires_in", "username", "ssl", "refresh_token", "refresh_token_expires_in"]
    assert answer["refresh_token_expires_in"] == 7200
    assert refresh(old).json == error("Invalid refresh_token", 498)
    assert who(before) is None
    assert who(answer["access_token"]) == who(refresh(answer["refresh_token"]).json["access_token"]) == "amy"


def test_the_exchange_needs_a_redirect_uri_of_the_app(redeem, portal):
    old = portal.oauth.issue_refresh_token("amy")
    form = {"grant_type": "exchange_refresh_token", "refresh_token": old}
    assert redeem(**form, redirect_uri="").json == error("redirect_uri not specified")
    assert redeem(**form, redirect_uri="https://app.example/").json == error("Invalid redirect_uri")
    assert "refresh_token" in redeem(**form).json


@pytest.mark.parametrize("asked, seconds", [("", 7200), ("5", 300), ("26000", 1209600), ("-1", 1209600)])
def test_an_app_signs_in_as_itself(redeem, client, portal, bearer, asked, seconds):
    portal.register_app("app1", "s3cret&+ ü")
    form = {"client_id": "app1", "client_secret": "s3cret&+ ü", "grant_type": "client_credentials", "expiration": asked}
    answer = redeem(**form).json
    assert set(answer) == {"access_token", "expires_in"}
    assert answer["expires_in"] == seconds
    token = answer["access_token"]
    self_answer = client.get(portal.portal_url + "/sharing/rest/portals/self", bearer(token)).json
    assert self_answer["appInfo"]["appId"] == "app1"
    assert "user" not in self_answer
    exchanged = client.post(portal.token_url, token=token, serverUrl=portal.server_url).json["token"]
    assert client.get(portal.layer_url, bearer(exchanged)).json["name"] == "Places"


def test_the_secret_of_an_app_is_checked_and_a_public_app_has_none(redeem, portal):
    portal.register_app("app1", "s3cret")
    for client_id, secret in (("app1", "S3cret"), ("app1", "s3cre"), ("arcgisonline", "x")):
        reply = redeem(client_id=client_id, client_secret=secret, grant_type="client_credentials")
        assert reply.json == error("Invalid client_secret")


def test_a_suspended_session_is_taken_up_again_by_a_refresh(redeem, refresh, portal, who):
    refresh_token = portal.oauth.issue_refresh_token("amy")
    token = refresh(refresh_token).json["access_token"]
    assert redeem(grant_type="suspend_session", refresh_token=refresh_token).json == {"success": True}
    assert who(token) is None
    assert who(refresh(refresh_token).json["access_token"]) == "amy"
    assert redeem(grant_type="suspend_session", refresh_token="unknown").error_code == 498


@pytest.mark.parametrize(
    "token_format, f, content_type, start",
    [
        ("json", "json", "application/json;charset=utf-8", b'{"access_token"'),
        ("json", "", "text/plain;charset=utf-8", b'{"access_token"'),
        ("json", "pjson", "application/json;charset=utf-8", b'{\n "access_token"'),
        ("text", "json", "text/plain;charset=utf-8", b'{"access_token"'),
        ("html", "json", "text/html;charset=utf-8", b"<!DOCTYPE html>"),
    ],
)
def test_the_answer_has_several_shapes(redeem, portal, token_format, f, content_type, start):
    portal.oauth.token_format = token_format
    reply = redeem(grant_type="refresh_token", refresh_token=portal.oauth.issue_refresh_token("amy"), f=f)
    assert reply.headers["Content-Type"] == content_type
    assert reply.body.startswith(start)


def test_parameters_in_the_query_do_not_count(client, portal, code_for):
    form = {"client_id": "arcgisonline", "grant_type": "authorization_code", "code": code_for(), "redirect_uri": OUT_OF_BAND}
    query = "&".join(f"{name}={value}" for name, value in form.items())
    reply = client.post(portal.oauth.url + "/token?" + query)
    assert reply.json == error("Invalid client_id", kind="invalid_client_id")


@pytest.mark.parametrize("path", ["/sharing/oauth2/token", "/sharing/rest/oauth2/token/"])
def test_the_token_endpoint_has_the_other_paths_too(client, portal, path):
    form = {"client_id": "arcgisonline", "grant_type": "refresh_token"}
    refresh_token = portal.oauth.issue_refresh_token("amy")
    assert "access_token" in client.post(portal.portal_url + path, refresh_token=refresh_token, **form).json


def test_access_tokens_are_exchanged_for_the_server_and_bound_to_no_referer(code_for, redeem, client, portal, bearer):
    token = redeem(code=code_for()).json["access_token"]
    assert client.get(portal.layer_url, bearer(token, "https://any.example")).error_code == 498
    exchanged = client.post(portal.token_url, token=token, serverUrl=portal.server_url).json["token"]
    for referer in (None, "https://any.example"):
        assert client.get(portal.layer_url, bearer(exchanged, referer)).json["name"] == "Places"


def test_what_is_posted_is_on_record(redeem, portal, code_for):
    redeem(code=code_for(), f="json")
    recorded = portal.requests[-1]
    assert (recorded.path, recorded.form["grant_type"]) == ("/portal/sharing/rest/oauth2/token", "authorization_code")
    assert portal.count("/oauth2/authorize") == portal.count("/oauth2/signin") == portal.count("/oauth2/approval") == 1
