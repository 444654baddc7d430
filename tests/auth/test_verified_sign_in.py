"""`verify_sign_in=True`: the portal says, once, who is signed in."""

from __future__ import annotations

import pytest

from esri_http.auth.tokens.site_auth import _same_user
from esri_http.testing import User, faults
from esri_http.words.errors import ArcGISLoginError, TokenRequestError
from tests.auth.helpers import SELF, changed_answer, in_threads, trail


@pytest.fixture(params=["built-in", "page", "generateToken", "PKCE", "OAuth", "refresh token"])
def verified(request, portal, built_in, amy, by_pkce, by_oauth, open_session):
    """A session whose handler is to be verified."""
    make = {
        "built-in": built_in,
        "page": built_in,
        "generateToken": lambda **options: amy(portal, **options),
        "PKCE": by_pkce,
        "OAuth": lambda **options: by_oauth(username="amy", password="amys-secret", **options),
        "refresh token": lambda **options: by_oauth(
            refresh_token=portal.oauth.issue_refresh_token("amy", "app1"), username="amy", **options
        ),
    }[request.param]
    portal.generate_token_takes_passwords = request.param != "page"
    return open_session(make(verify_sign_in=True), retries=0)


def test_the_right_user_is_asked_for_once(portal, verified):
    for _ in range(5):
        assert verified.get(portal.portal_url + SELF).json()["username"] == "amy"
    assert portal.count("/portals/self") == 1
    assert portal.count("/community/self") == 5
    portal.revoke_all_tokens()
    assert verified.get(portal.portal_url + SELF).json()["username"] == "amy"
    assert portal.count("/portals/self") == 1


def test_another_user_is_an_error(portal, verified):
    portal.faults.add("/portals/self", changed_answer(lambda answer: answer["user"].update(username="bob")), times=None)
    with pytest.raises(ArcGISLoginError, match="says that 'bob' is signed in, not 'amy'"):
        verified.get(portal.portal_url + SELF)
    assert portal.count("/community/self") == 0


@pytest.mark.parametrize("user", [None, {}, [], "amy", {"username": ""}, {"username": 7}])
def test_a_portal_that_knows_nobody_is_an_error(portal, verified, user):
    portal.faults.add("/portals/self", changed_answer(lambda answer: answer.update(user=user)), times=None)
    with pytest.raises(ArcGISLoginError, match="does not say who is signed in"):
        verified.get(portal.portal_url + SELF)
    assert portal.count("/community/self") == 0


def test_one_that_refuses_its_own_token_is_told_in_its_words(portal, verified):
    portal.faults.add("/portals/self", faults.arcgis_error(498), times=None)
    with pytest.raises(ArcGISLoginError, match="498: Invalid Token"):
        verified.get(portal.portal_url + SELF)


def test_one_that_is_out_of_order_is_asked_again_next_time(portal, verified):
    portal.faults.add("/portals/self", faults.html_page(code=500))
    with pytest.raises(TokenRequestError):
        verified.get(portal.portal_url + SELF)
    assert verified.get(portal.portal_url + SELF).json()["username"] == "amy"


def test_threads_share_the_answer(portal, verified):
    assert len(set(in_threads(16, lambda _: verified.get(portal.portal_url + SELF).json()["username"]))) == 1
    assert portal.count("/portals/self") == 1


def test_an_app_is_verified_as_that_app(portal, by_oauth, open_session):
    session = open_session(by_oauth(client_secret="app1-secret", verify_sign_in=True))
    for _ in range(2):
        assert session.get(portal.portal_url + "/sharing/rest/portals/self?f=json").ok
    assert trail(portal) == ["token", "self", "self", "self"]
    portal.faults.add("/portals/self", changed_answer(lambda answer: answer["appInfo"].update(appId="other")))
    with pytest.raises(ArcGISLoginError, match="'other' is signed in, not 'app1'"):
        open_session(by_oauth(client_secret="app1-secret", verify_sign_in=True)).get(portal.portal_url + SELF)


def test_whoever_a_refresh_token_is_for_will_do_where_no_name_was_given(portal, by_oauth, open_session):
    session = open_session(by_oauth(refresh_token=portal.oauth.issue_refresh_token("bob", "app1"), verify_sign_in=True))
    assert session.get(portal.portal_url + SELF).json()["username"] == "bob"


def test_a_stand_alone_server_has_said_so_with_its_token(portal, amy, open_session):
    session = open_session(amy(portal, portal.standalone_url, verify_sign_in=True))
    assert session.get(portal.standalone_layer_url + "?f=json").json()["type"] == "Feature Layer"
    assert portal.count("self") == 0


@pytest.mark.parametrize("told", ["CORP\\ann", "ann@CORP", "ANN@corp", "corp\\Ann"])
def test_an_account_of_a_domain_is_the_same_in_both_spellings(portal, built_in, open_session, told):
    portal.users["CORP\\ann"] = User("CORP\\ann", "anns-secret")
    portal.faults.add("/portals/self", changed_answer(lambda answer: answer["user"].update(username=told)))
    session = open_session(built_in("CORP\\ann", verify_sign_in=True))
    assert session.get(portal.portal_url + SELF).json()["username"] == "CORP\\ann"


@pytest.mark.parametrize(
    "one, other, same",
    [
        ("amy", "Amy", True), ("amy", "bob", False), ("amy", "", False), ("CORP\\amy", "amy@CORP", True),
        ("CORP\\amy", "amy@OTHER", False), ("CORP\\amy", "amy", False), ("amy@CORP", "CORP\\bob", False),
        ("a@b@c", "a@b@c", True),
    ],
)  # fmt: skip
def test_names_of_one_account(one, other, same):
    assert _same_user(one, other) is same
    assert _same_user(other, one) is same
