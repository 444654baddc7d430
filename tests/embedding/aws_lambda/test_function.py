"""The function, run by Amazon's own client for the runtime API, with the core layer and no other packages.

Each test counts what the site was asked: an invocation is to cost one request, and only where something ended meanwhile more.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from esri_http.testing import EmbeddedPortal, all_places, faults

from ...support.clock import FakeClock
from .conftest import SECRET
from .runtime import Function, Outcome

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="AWS Lambda runs functions on Linux"),
    # The first test builds the layers.
    pytest.mark.timeout(150),
]

Starter = Callable[..., Function]
EVENT = {"where": "1=1"}
RIGHT = Outcome({"count": len(all_places())}, None)

INFO, QUERY = "GET /server/rest/info", "GET /server/rest/services/Places/FeatureServer/0/query"
APP, EXCHANGE = "POST /portal/sharing/rest/oauth2/token", "POST /portal/sharing/rest/generateToken"
SIGN_IN = [INFO, APP, EXCHANGE]
"""Whom does the server belong to, a token for the app, and one for that server."""


@pytest.fixture
def function(started: Starter) -> Function:
    """The function, signed in by its first invocation."""
    function = started()
    assert function.invoke(EVENT) == RIGHT
    return function


def asked(portal: EmbeddedPortal) -> list[str]:
    """What came in since it was asked last."""
    requests = [f"{request.method} {request.path}" for request in portal.requests]
    portal.clear()
    return requests


def test_a_start_sends_nothing_and_the_first_invocation_signs_in(started: Starter, portal: EmbeddedPortal) -> None:
    function = started()
    function.initialized()
    assert asked(portal) == []
    assert function.invoke(EVENT) == RIGHT
    assert asked(portal) == [*SIGN_IN, QUERY]


def test_later_invocations_keep_token_and_connection(function: Function, portal: EmbeddedPortal) -> None:
    connections = {request.connection for request in portal.requests if request.site == "server"}
    portal.clear()
    for _ in range(3):
        assert function.invoke(EVENT) == RIGHT
    assert len(connections) == 1
    assert {request.connection for request in portal.requests} == connections
    assert asked(portal) == [QUERY] * 3


def test_the_site_closed_all_connections_while_the_function_was_frozen(function: Function, portal: EmbeddedPortal) -> None:
    before = {request.connection for request in portal.requests}
    portal.clear()
    with function.frozen():
        portal.drop_connections()
    assert function.invoke(EVENT) == RIGHT
    assert before.isdisjoint(request.connection for request in portal.requests)
    assert asked(portal) == [QUERY]


def test_an_invocation_that_comes_while_the_function_is_frozen_waits_for_it(function: Function, portal: EmbeddedPortal) -> None:
    portal.clear()
    with function.frozen():
        portal.drop_connections()
        function.send(EVENT)
    assert function.report() == RIGHT
    assert asked(portal) == [QUERY]


@pytest.mark.parametrize("how", ["expired", "revoked"])
def test_the_tokens_died_while_the_function_was_frozen(
    how: str, function: Function, portal: EmbeddedPortal, site_clock: FakeClock
) -> None:
    """The function cannot know: it asks, is refused, learns that its token for the portal is dead too, and signs in again."""
    portal.clear()
    with function.frozen():
        portal.drop_connections()
        if how == "expired":
            site_clock.advance(31 * 24 * 3600)
        else:
            portal.revoke_all_tokens()
    assert function.invoke(EVENT) == RIGHT
    assert asked(portal) == [QUERY, EXCHANGE, APP, EXCHANGE, QUERY]
    assert function.invoke(EVENT) == RIGHT
    assert asked(portal) == [QUERY]


def test_one_token_was_revoked(function: Function, portal: EmbeddedPortal) -> None:
    """The one for the server: that for the portal gets another."""
    token = next(request for request in portal.requests if request.path.endswith("/query"))
    portal.clear()
    assert portal.revoke(token.headers["X-Esri-Authorization"].partition(" ")[2])
    assert function.invoke(EVENT) == RIGHT
    assert asked(portal) == [QUERY, EXCHANGE, QUERY]


def test_a_site_that_is_down_is_reported_and_the_next_invocation_works(function: Function, portal: EmbeddedPortal) -> None:
    portal.faults.add("", faults.reset(), times=None)
    error = failed(function.invoke(EVENT))
    assert error["errorType"] == "ConnectionLostError"
    assert f"the connection to {portal.server_url.split('/')[2]} was lost" in error["errorMessage"]
    portal.faults.clear()
    portal.clear()
    assert function.invoke(EVENT) == RIGHT
    assert asked(portal) == [QUERY]


def test_a_site_that_was_down_at_the_sign_in_is_asked_again(started: Starter, portal: EmbeddedPortal) -> None:
    down = portal.faults.add("/oauth2/token", faults.arcgis_error(500, "Starting up"), times=None)
    function = started()
    assert "Starting up" in failed(function.invoke(EVENT))["errorMessage"]
    down.remove()
    assert function.invoke(EVENT) == RIGHT


def test_a_site_that_does_not_answer_is_reported_before_lambda_ends_the_function(
    function: Function, portal: EmbeddedPortal
) -> None:
    answer = threading.Event()
    portal.faults.add("/query", faults.delay(until=answer))
    try:
        error = failed(function.invoke(EVENT, seconds=1.0))
    finally:
        answer.set()
    assert error["errorType"] == "DeadlineExceededError"
    assert function.invoke(EVENT) == RIGHT


def test_what_the_layer_refuses_is_reported(function: Function) -> None:
    error = failed(function.invoke({"where": "no such field = 1"}))
    assert error["errorType"] == "EsriHttpResponseError"
    assert "400: Unable to complete operation." in error["errorMessage"]


def test_an_app_that_may_not_sign_in_is_reported(started: Starter, portal: EmbeddedPortal) -> None:
    function = started(CLIENT_ID="reader", CLIENT_SECRET="another-secret")
    error = failed(function.invoke(EVENT))
    assert error["errorType"] == "ArcGISLoginError"
    assert "another-secret" not in str(error) + function.log


def test_a_ca_file_that_cannot_be_used_is_told_when_the_function_starts(started: Starter, portal: EmbeddedPortal) -> None:
    missing = portal.ca_file + ".missing"
    error = failed(started(CLIENT_ID="reader", CLIENT_SECRET=SECRET, REQUESTS_CA_BUNDLE=missing).report())
    assert error["errorType"] == "CertificateFileError"
    assert missing in error["errorMessage"]


def test_no_secret_gets_into_reports_and_logs(function: Function, portal: EmbeddedPortal) -> None:
    tokens = [request.headers.get("X-Esri-Authorization", "Bearer ").partition(" ")[2] for request in portal.requests]
    portal.faults.add("/query", faults.arcgis_error(500), times=None)
    told = str(failed(function.invoke(EVENT))) + function.log
    secrets = {SECRET, *filter(None, tokens)}
    assert len(secrets) == 2
    assert [secret for secret in secrets if secret in told] == []


def test_an_api_key_needs_no_sign_in(started: Starter, portal: EmbeddedPortal) -> None:
    function = started(API_KEY=portal.issue_api_key("amy"))
    assert function.invoke(EVENT) == RIGHT
    assert asked(portal) == [QUERY]
    with function.frozen():
        portal.drop_connections()
        portal.revoke_all_tokens()
    assert function.invoke(EVENT) == RIGHT
    assert asked(portal) == [QUERY]


_LOOK = """
import importlib.util, os, sys, tempfile
import certifi, esri_http, urllib3

def may_write(folder):
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False

def handler(event, context):
    others = ("cryptography", "spnego", "pip", "requests", "boto3")
    return {
        "from": [os.path.dirname(os.path.dirname(module.__file__)) for module in (esri_http, urllib3, certifi)],
        "others": [name for name in others if importlib.util.find_spec(name)],
        "may write": [may_write(folder) for folder in (os.getcwd(), event["opt"], "/tmp")],
        "home": "HOME" in os.environ,
    }
"""


def test_the_function_is_as_poor_as_in_lambda(started: Starter, opt: Path, tmp_path: Path) -> None:
    """What the other tests stand on: the layer's own packages, no others, and only `/tmp` to write to."""
    (tmp_path / "look.py").write_text(_LOOK, encoding="utf-8")
    found = started(tmp_path / "look.py").invoke({"opt": str(opt)})
    looks = {"from": [str(opt)] * 3, "others": [], "may write": [False, False, True], "home": False}
    assert found == Outcome(looks, None)


def failed(outcome: Outcome) -> dict[str, Any]:
    """The error that was reported."""
    assert outcome.error is not None, outcome
    return outcome.error
