"""`OAuthApp`: what it posts where, and what it makes of the answers."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from esri_http.auth.oauth.oauth_app import OOB, Grant, OAuthApp, read_grant, refusal_of
from esri_http.auth.oauth.pkce import Proof
from esri_http.auth.sites import portal_root
from esri_http.words.errors import ArcGISLoginError, TokenRequestError
from esri_http.words.urls import split_url
from tests.auth.helpers import assert_hidden
from tests.auth.test_token_answers import answered

APP = OAuthApp(portal_root(split_url("https://gis.example/portal/home/")), "app1", "app1-secret")


def refused(answer, status=200):
    return refusal_of(answered(answer, status), answer)


def test_its_endpoints_are_the_portals():
    assert str(APP.url("token")) == "https://gis.example/portal/sharing/rest/oauth2/token"


@pytest.mark.parametrize("minutes, expiration", [(None, None), (20160, ["20160"]), (-1, ["-1"]), (0.5, ["0.5"])])
def test_the_authorize_url_holds_what_is_needed_and_no_secret(minutes, expiration):
    proof = Proof()
    query = parse_qs(urlsplit(APP.authorize_url(OOB, "a&b=c", proof, minutes, locale="de")).query)
    assert query.pop("expiration", None) == expiration
    assert query == {
        "client_id": ["app1"], "response_type": ["code"], "redirect_uri": [OOB], "state": ["a&b=c"], "locale": ["de"],
        "code_challenge": [proof.challenge], "code_challenge_method": ["S256"],
    }  # fmt: skip
    assert "code_challenge" not in APP.authorize_url(OOB, "s", None, None)


def test_a_grant_is_read_with_all_that_is_in_it():
    answer = {
        "access_token": "a-token", "expires_in": 1800, "username": "amy", "ssl": True, "refresh_token": "r-token",
        "refresh_token_expires_in": 1209600,
    }  # fmt: skip
    grant = read_grant(answered(answer), answer)
    assert grant == Grant("a-token", 1800.0, "r-token", 1209600.0, "amy", True)
    fetched = grant.fetched(1000.0)
    assert (fetched.value, fetched.expires_at, fetched.lifetime_seconds, fetched.ssl) == ("a-token", 2800.0, 1800.0, True)
    assert_hidden(["a-token", "r-token"], grant)


@pytest.mark.parametrize("ssl", [None, False, "true", 1])
def test_only_true_means_https_only(ssl):
    answer = {"access_token": "a-token", "ssl": ssl}
    assert not read_grant(answered(answer), answer).fetched(0.0).ssl


@pytest.mark.parametrize(
    "answer",
    [{}, {"access_token": None}, {"access_token": ""}, {"access_token": 7}, {"access_token": "a b"}, {"access_token": "a\r\nb"},
     {"access_token": "x" * 20000}, {"access_token": "ok-token", "refresh_token": "r\n"},
     {"access_token": "ok-token", "refresh_token": []}],
)  # fmt: skip
def test_what_cannot_be_a_token_is_an_error(answer):
    with pytest.raises(TokenRequestError):
        read_grant(answered(answer), answer)


@pytest.mark.parametrize(
    "value, seconds",
    [
        (60, 60.0),
        ("60", 60.0),
        (0.5, 0.5),
        (0, None),
        (-1, None),
        ("x", None),
        ("６０", None),
        (True, None),
        (1e300, None),
        (None, None),
    ],
)
def test_lifetimes_are_seconds_or_unknown(value, seconds):
    answer = {"access_token": "a-token", "expires_in": value}
    assert read_grant(answered(answer), answer).expires_in == seconds


@pytest.mark.parametrize("answer", [{}, {"access_token": "x"}, {"error": None}, {"error": ""}, {"error": {}}])
def test_no_error_is_no_refusal(answer):
    assert refused(answer) is None


@pytest.mark.parametrize(
    "answer, status, kind, code, name, words",
    [
        ({"error": {"code": 400, "error": "invalid_client_id", "error_description": "Invalid client_id"}}, 200,
         ArcGISLoginError, 400, "invalid_client_id", "400: Invalid client_id"),
        ({"error": {"code": 400, "message": "Invalid client_id", "details": ["more"]}}, 200,
         ArcGISLoginError, 400, None, "more"),
        ({"error": {"code": 498, "message": "refresh_token expired"}}, 400, ArcGISLoginError, 498, None, "expired"),
        ({"error": {"code": 500, "message": "Sorry"}}, 200, TokenRequestError, 500, None, "Sorry"),
        ({"error": {"message": "Sorry"}}, 200, TokenRequestError, 200, None, "Sorry"),
        ({"error": "invalid_grant"}, 400, ArcGISLoginError, 400, "invalid_grant", "invalid_grant"),
        ({"error": "invalid_grant", "error_description": "Too old"}, 200, ArcGISLoginError, 200, "invalid_grant", "Too old"),
        ({"error": "temporarily_unavailable"}, 503, TokenRequestError, 503, "temporarily_unavailable", "unavailable"),
        ({}, 403, ArcGISLoginError, 403, None, "no reason"),
        ({}, 500, TokenRequestError, 500, None, "no reason"),
        ({"error": [1]}, 200, TokenRequestError, 200, None, "no reason"),
        ({"error": {"code": "498", "message": "x"}}, 200, ArcGISLoginError, 498, None, "x"),
        ({"error": {"code": 10**30, "error": "e" * 5000, "message": ["x"]}}, 200, TokenRequestError, 200, None, ""),
    ],
)  # fmt: skip
def test_a_refusal_is_told_in_the_servers_words(answer, status, kind, code, name, words):
    error = refused(answer, status)
    assert type(error) is kind
    assert (error.code, error.error) == (code, name)
    assert words in str(error)
    assert "gis.example" not in str(error)
    assert "portal.example" in str(error)
    assert len(str(error)) < 5000
