"""How tokens of the embedded portal end: revoked, signed out, or together with the key of the site."""

from __future__ import annotations

import pytest

from tests.support.browser import Browser


@pytest.fixture
def tokens(redeem, portal):
    """A refresh token of amy and one access token that came of it."""
    refresh_token = portal.oauth.issue_refresh_token("amy")
    answer = redeem(grant_type="refresh_token", refresh_token=refresh_token).json
    return refresh_token, answer["access_token"]


@pytest.fixture
def is_alive(client, portal, bearer, redeem):
    """Whether a token of either kind is taken."""

    def alive(token: str) -> bool:
        if client.get(portal.portal_url + "/sharing/rest/portals/self", bearer(token)).error_code is None:
            return True
        return "access_token" in redeem(grant_type="refresh_token", refresh_token=token).json

    return alive


@pytest.fixture
def revoke(client, portal):
    def revoked(token: str, client_id: str = "arcgisonline"):
        return client.post(portal.oauth.url + "/revokeToken", auth_token=token, client_id=client_id)

    return revoked


def test_revoking_a_refresh_token_ends_its_access_tokens(tokens, revoke, is_alive):
    refresh_token, access_token = tokens
    assert is_alive(refresh_token)
    assert revoke(refresh_token).json == {"success": True}
    assert not is_alive(refresh_token)
    assert not is_alive(access_token)


def test_revoking_an_access_token_leaves_its_refresh_token(tokens, revoke, is_alive):
    refresh_token, access_token = tokens
    assert revoke(access_token).json == {"success": True}
    assert not is_alive(access_token)
    assert is_alive(refresh_token)


def test_a_rotated_refresh_token_still_ends_the_older_access_tokens(tokens, redeem, revoke, is_alive, portal):
    refresh_token, access_token = tokens
    portal.oauth.rotates_refresh_tokens = True
    newer = redeem(grant_type="refresh_token", refresh_token=refresh_token).json
    revoke(newer["refresh_token"])
    assert not is_alive(access_token)
    assert not is_alive(newer["access_token"])


def test_an_app_revokes_only_its_own_but_is_always_told_success(tokens, revoke, is_alive):
    for token in (*tokens, "unknown", ""):
        assert revoke(token, "pythonapi").json == {"success": True}
    assert all(is_alive(token) for token in tokens)


def test_tokens_of_apps_and_of_generate_token_cannot_be_revoked(revoke, redeem, is_alive, client, portal):
    portal.register_app("app1", "s3cret")
    app_token = redeem(client_id="app1", client_secret="s3cret", grant_type="client_credentials").json["access_token"]
    generated = client.sign_in(client="requestip").json["token"]
    for token in (app_token, generated):
        assert revoke(token, "app1").json == {"success": True}
        assert is_alive(token)


def test_revoking_needs_a_known_app_and_a_post(revoke, client, portal):
    assert revoke("x", "nobody").json == {"error": {"code": 400, "message": "Invalid client_id", "details": []}}
    get = client.get(portal.oauth.url + "/revokeToken", auth_token="x", client_id="arcgisonline")
    assert get.json["error"]["messageCode"] == "GWM_0005"


@pytest.mark.parametrize("survive", [True, False])
def test_a_change_of_the_key_ends_access_tokens_and_perhaps_refresh_tokens(tokens, is_alive, portal, survive):
    refresh_token, access_token = tokens
    portal.oauth.refresh_tokens_survive_new_key = survive
    assert portal.revoke_all_tokens() == 1
    assert not is_alive(access_token)
    assert is_alive(refresh_token) is survive


def test_a_test_can_revoke_a_refresh_token_by_hand(tokens, is_alive, portal):
    refresh_token, access_token = tokens
    assert portal.revoke(refresh_token)
    assert not portal.revoke(refresh_token)
    assert not is_alive(access_token)


def test_refresh_tokens_are_only_given_to_known_people_and_apps(portal):
    for name, client_id in (("nobody", "arcgisonline"), ("amy", "nobody")):
        with pytest.raises(KeyError):
            portal.oauth.issue_refresh_token(name, client_id)


def test_signing_out_leads_back_to_the_app_where_that_is_allowed(portal):
    browser = Browser(portal.ca_file, home=portal.portal_site.origin)
    url = portal.oauth.url + "/signout"
    assert browser.open(url).title == "Signed out"
    back = browser.open(url + "?client_id=arcgisonline&redirect_uri=http://127.0.0.1:9/done")
    assert back.location == "http://127.0.0.1:9/done"
    assert back.headers["Set-Cookie"].startswith("esri_auth=; ")
    refused = browser.open(url + "?client_id=arcgisonline&redirect_uri=https://evil.example/")
    assert (refused.location, "Invalid redirect_uri" in refused.text) == ("", True)


def test_nothing_secret_is_in_the_texts_of_the_objects(tokens, portal):
    app = portal.register_app("app1", "s3cret")
    assert "s3cret" not in repr(app)
    assert repr(portal.users["amy"]) == "User('amy', role='org_user')"
