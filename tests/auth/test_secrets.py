"""Passwords, tokens and keys are shown by no log record, repr, error text, error argument, pickle of an error, or URL."""

from __future__ import annotations

import logging
import pickle
from urllib.parse import quote, quote_plus

import pytest

from esri_http import EsriAPIKeyAuth, EsriGenTokenAuth, EsriUserTokenAuth
from esri_http.testing import User, faults
from tests.auth.helpers import assert_hidden, changed_answer, traces_of
from tests.support.peers import Reply, json_reply

PASSWORD = "MarkerPassword" + "4711"
TOKEN = "MarkerToken" + "0815"
SELF = "/sharing/rest/community/self?f=json"


@pytest.fixture(autouse=True)
def debug(caplog):
    """Everybody's debug lines, urllib3's too."""
    caplog.set_level(logging.DEBUG)


@pytest.fixture
def portal(portal):
    portal.users["eve"] = User("eve", PASSWORD)
    return portal


@pytest.fixture
def eve(portal, amy):
    return lambda **options: amy(portal, **{"username": "eve", "password": PASSWORD, **options})


def failure(work):
    with pytest.raises(Exception, match=".") as caught:
        work()
    return caught.value


@pytest.mark.parametrize("legacy", [False, True])
def test_a_whole_flow_shows_nothing(portal, open_session, eve, caplog, legacy):
    session = open_session(eve(legacy=legacy))
    responses = [session.get(portal.portal_url + SELF), session.get(portal.layer_url + "?f=json")]
    portal.revoke_all_tokens()
    responses += [
        session.get(portal.layer_url + "?f=json"),
        session.post(portal.layer_url + "/query", data={"where": "1=1", "f": "json"}),
        session.get(portal.standalone_url + "/rest/services?f=json"),
    ]
    secrets = [PASSWORD, session.auth.token, session.auth.token(portal.server_url)]
    things = [session, session.auth, session.auth._keeper.token, *responses, *[response.request for response in responses]]
    assert_hidden(secrets, *things, *[response.url for response in responses], logs=caplog.text)
    for response in responses:
        pickled = pickle.dumps(response).decode("latin-1")
        assert not [secret for secret in secrets if secret in pickled]
    assert "urllib3" in {record.name.partition(".")[0] for record in caplog.records}


@pytest.mark.parametrize(
    "fault",
    [
        faults.html_page(PASSWORD),
        faults.html_page(PASSWORD, 500),
        faults.invalid_json(f'{{"token": "{TOKEN}'.encode()),
        faults.status(
            200, body={"error": {"code": 400, "message": f"Wrong: {PASSWORD}", "details": [PASSWORD, f"x{PASSWORD}y"]}}
        ),
        faults.status(200, body={"error": {"code": 500, "message": f"password={PASSWORD}", "details": PASSWORD}}),
        faults.status(200, body={"status": "error", "messages": [PASSWORD, TOKEN * 0], "code": 401}),
        faults.status(200, body={"token": f"{TOKEN} with a blank"}),
        faults.status(200, body=[PASSWORD, TOKEN]),
        faults.redirect(f"https://elsewhere.invalid/{PASSWORD}?token={TOKEN}"),
        faults.raw(f"HTTP/1.1 403 {PASSWORD}\r\nContent-Length: 2\r\n\r\n{{}}".encode()),
        faults.reset(),
        faults.truncated(3),
    ],
    ids=range(12),
)
def test_a_sign_in_that_fails_shows_nothing_even_if_the_server_repeats_it(portal, open_session, eve, caplog, fault):
    portal.faults.add("/generateToken", fault, times=None)
    session = open_session(eve(), retries=0)
    errors = [failure(lambda: session.get(portal.portal_url + SELF)) for _ in range(2)]
    assert_hidden([PASSWORD, TOKEN], *errors, session, session.auth, logs=caplog.text)


@pytest.mark.parametrize("form", [str, lambda text: quote(text, safe=""), quote_plus], ids=["plain", "URL", "form"])
def test_nor_does_an_oauth_service_that_repeats_it_where_an_error_has_its_name(portal, by_oauth, open_session, caplog, form):
    secret = "Marker+Secret/ 4711"
    body = {"error": {"code": 400, "error": form(secret), "message": f"No: {form(secret)}", "details": [form(secret)]}}
    portal.faults.add("/oauth2/token", faults.status(200, body=body), times=None)
    session = open_session(by_oauth(refresh_token=secret), retries=0)
    error = failure(lambda: session.get(portal.portal_url + SELF))
    assert quote_plus(secret) not in "".join(traces_of(error))
    assert_hidden([secret], error, session, logs=caplog.text)


def test_an_exchange_that_fails_shows_no_token(portal, open_session, eve, caplog):
    session = open_session(eve())
    token = session.auth.token
    envelope = {"error": {"code": 500, "message": f"No exchange for {token}", "details": [token]}}
    portal.faults.add("/generateToken", faults.status(200, body=envelope), times=None)
    error = failure(lambda: session.get(portal.layer_url + "?f=json"))
    assert "No exchange for ***" in str(error)
    assert_hidden([token, PASSWORD], error, logs=caplog.text)


def test_a_resource_that_always_refuses_shows_no_token(portal, open_session, eve, caplog):
    session = open_session(eve(legacy=True))
    portal.faults.add("/community/self", faults.arcgis_error(498), times=None)
    tokens = []
    keep = changed_answer(lambda answer: tokens.append(answer["token"]))
    portal.faults.add("/generateToken", keep, times=None)
    error = failure(lambda: session.get(portal.portal_url + SELF))
    assert len(tokens) == 2
    assert_hidden([*tokens, PASSWORD], error, logs=caplog.text)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kind", [EsriUserTokenAuth, EsriAPIKeyAuth])
@pytest.mark.parametrize(
    "reply",
    [
        json_reply({"error": {"code": 498, "message": "Invalid token."}}),
        Reply(200, {"Content-Length": "100"}, [b"short"], close=True),
        Reply(302, {"Location": "/loop"}),
        Reply(302, {"Location": "http://["}),
        Reply(500, {}, b"<html>"),
    ],
    ids=["refused", "cut off", "loop", "nowhere", "broken"],
)
def test_a_given_token_is_shown_by_no_error(handler_peer, open_session, caplog, kind, legacy, reply):
    peer = handler_peer(lambda request: reply)
    session = open_session(kind(TOKEN, legacy=legacy), retries=0)
    error = failure(lambda: session.get(peer.url_for("/x")).raise_for_status())
    assert_hidden([TOKEN], error, session, session.auth, logs=caplog.text)


@pytest.mark.parametrize("legacy", [False, True])
def test_an_unreachable_server_makes_an_error_without_the_token(open_session, caplog, legacy):
    session = open_session(EsriUserTokenAuth(TOKEN, legacy=legacy), retries=0)
    error = failure(lambda: session.get("http://127.0.0.1:1/x?f=json"))
    assert_hidden([TOKEN], error, logs=caplog.text)


def test_a_password_in_a_url_is_not_shown(open_session, caplog):
    auth = EsriGenTokenAuth(f"http://eve:{PASSWORD}@127.0.0.1:1/portal?token={TOKEN}", None, "eve", PASSWORD)
    session = open_session(auth, retries=0)
    error = failure(lambda: session.get("http://127.0.0.1:1/portal/x"))
    assert_hidden([PASSWORD, TOKEN], error, auth, session, logs=caplog.text)


def test_bad_settings_are_named_without_what_they_hold():
    for work in (
        lambda: EsriUserTokenAuth(TOKEN + "\r\n" + TOKEN),
        lambda: EsriAPIKeyAuth(TOKEN + " x"),
        lambda: EsriGenTokenAuth("https://portal.example", None, None, PASSWORD),
    ):
        error = failure(work)
        assert_hidden([TOKEN, PASSWORD], str(error), repr(error), repr(error.args))


def test_the_search_itself_finds_what_is_shown():
    error = ValueError(TOKEN)
    assert any(TOKEN in text for text in traces_of(error))
    with pytest.raises(AssertionError, match="shows a secret"):
        assert_hidden([TOKEN], error)
    with pytest.raises(AssertionError):
        assert_hidden([TOKEN], logs=f"token={TOKEN}")
