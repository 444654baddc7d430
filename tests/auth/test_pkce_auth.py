"""`EsriPKCEAuth` by user name and password: the proof on the wire, the code used once, the refresh token after that."""

from __future__ import annotations

import pickle

import pytest

from esri_http import EsriPKCEAuth
from esri_http.auth.oauth.pkce import Proof
from esri_http.testing import faults
from esri_http.words.clock import SYSTEM_CLOCK
from esri_http.words.errors import ArcGISLoginError, ConfigurationError, ConnectionLostError
from tests.auth.helpers import SELF, assert_hidden, in_threads, sign_ins, trail


def whoami(session):
    return session.get(f"{session.auth.portal}{SELF}").json()["username"]


def test_a_sign_in_takes_three_requests_and_later_calls_one_each(portal, by_pkce, open_session):
    session = open_session(by_pkce())
    assert [whoami(session) for _ in range(10)] == ["amy"] * 10
    assert trail(portal) == ["authorize", "signin", "token"] + ["self"] * 10


def test_the_verifier_at_the_end_fits_the_challenge_at_the_beginning(portal, by_pkce, open_session):
    portal.oauth.apps["arcgisonline"].requires_pkce = True
    whoami(open_session(by_pkce(expiration=90)))
    asked, _, redeemed, _ = portal.requests
    assert asked.query["code_challenge_method"] == "S256"
    assert asked.query["code_challenge"] == Proof(redeemed.form["code_verifier"]).challenge
    assert redeemed.form["code_verifier"] not in "".join(request.target for request in portal.requests)
    assert (asked.query["expiration"], asked.query["response_type"], asked.query["client_id"]) == ("90", "code", "arcgisonline")
    assert (redeemed.form["grant_type"], redeemed.form["redirect_uri"]) == ("authorization_code", asked.query["redirect_uri"])
    assert (redeemed.query, "client_secret" in redeemed.form) == ({}, False)


def test_each_sign_in_has_a_state_and_a_proof_of_its_own(portal, by_pkce, open_session):
    for _ in range(2):
        whoami(open_session(by_pkce()))
    first, second = (request.query for request in portal.requests if request.path.endswith("/authorize"))
    assert first["state"] != second["state"]
    assert first["code_challenge"] != second["code_challenge"]


def test_a_code_is_posted_once_whatever_comes_of_it(portal, by_pkce, open_session):
    portal.faults.add("/oauth2/token", faults.reset(), times=None)
    session = open_session(by_pkce())
    with pytest.raises(ConnectionLostError):
        whoami(session)
    assert portal.count("/oauth2/token") == 1


def test_a_code_that_is_refused_is_an_error_and_no_new_sign_in(portal, by_pkce, open_session):
    portal.oauth.code_minutes = 0
    session = open_session(by_pkce())
    for _ in range(3):
        with pytest.raises(ArcGISLoginError, match="Invalid authorization code"):
            whoami(session)
    assert trail(portal) == ["authorize", "signin", "token"]


def test_a_redirect_uri_of_an_app_brings_the_code_with_our_state(portal, by_pkce, open_session):
    portal.register_app("mine", None, ["https://app.example/callback"])
    session = open_session(by_pkce(client_id="mine", redirect_url="https://app.example/callback"))
    assert whoami(session) == "amy"
    assert trail(portal) == ["authorize", "signin", "token", "self"]


@pytest.mark.parametrize("rotates", [False, True])
def test_eight_threads_sign_in_once_and_refresh_once(portal, by_pkce, open_session, fake_clock, rotates):
    portal.oauth.rotates_refresh_tokens = rotates
    session = open_session(by_pkce())
    assert in_threads(8, lambda _: whoami(session)) == ["amy"] * 8
    fake_clock.advance(31 * 60)
    assert in_threads(8, lambda _: whoami(session)) == ["amy"] * 8
    assert (sign_ins(portal), portal.count("/oauth2/token")) == (1, 2)


def test_it_travels_in_a_pickle_signed_in(portal, by_pkce, open_session):
    session = open_session(by_pkce(clock=SYSTEM_CLOCK))
    whoami(session)
    assert whoami(open_session(pickle.loads(pickle.dumps(session.auth)))) == "amy"
    assert sign_ins(portal) == 1


@pytest.mark.parametrize("legacy", [False, True])
def test_nothing_secret_is_shown_by_a_whole_flow(portal, by_pkce, open_session, caplog, legacy):
    caplog.set_level("DEBUG")
    portal.users["amy"].password = "MarkerPassword4711"
    session = open_session(by_pkce(password="MarkerPassword4711", legacy=legacy))
    responses = [session.get(f"{session.auth.portal}{SELF}"), session.get(portal.layer_url + "?f=json")]
    verifier = next(request.form["code_verifier"] for request in portal.requests if "code_verifier" in request.form)
    code = next(request.form["code"] for request in portal.requests if "code" in request.form)
    secrets = ["MarkerPassword4711", session.auth.token, session.auth.refresh_token, verifier, code]
    assert_hidden(secrets, session, session.auth, *responses, *[response.url for response in responses])
    own_lines = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("esri_http"))
    assert own_lines
    assert_hidden(secrets, logs=own_lines)
    assert_hidden([secret for secret in secrets if secret != code], logs=caplog.text)


@pytest.mark.parametrize("options", [{"use_pkce": False}, {"client_id": ""}, {"expiration": 0}])
def test_settings_that_cannot_work_are_refused(options):
    with pytest.raises(ConfigurationError):
        EsriPKCEAuth("https://portal.example", **options)


def test_the_names_that_scripts_know_are_taken():
    auth = EsriPKCEAuth(
        "https://portal.example", "amy", "x", verify=False, redirect_url="https://app.example/", clientid="mine", hostname="h"
    )
    assert (auth.verify_cert, auth.client_id, auth._redirect_uri) == (False, "mine", "https://app.example/")
