"""A portal behind a web tier, which says who signed in there, and is what the portal calls itself."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from esri_http.testing import EmbeddedPortal

OUTSIDE = "https://gis.example.test/basic"


@pytest.fixture
def portal() -> Iterator[EmbeddedPortal]:
    with EmbeddedPortal(https=False, host="127.0.0.1", public_url=OUTSIDE + "/") as running:
        for site in running.sites:
            site.web_tier = lambda request: request.headers.get("X-Remote-User")
        yield running
        assert running.internal_errors == []


def ask(address: str, path: str, user: str = "amy", method: str = "GET", body: str = "") -> Any:
    """What a web tier gets that has let `user` in."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    headers = {"X-Remote-User": user, "Referer": "x", "Content-Type": "application/x-www-form-urlencoded"}
    try:
        connection.request(method, path, body or None, headers)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def test_it_is_known_by_the_name_outside_and_reached_by_the_one_inside(portal: EmbeddedPortal) -> None:
    assert portal.portal_url == OUTSIDE + "/portal"
    assert portal.layer_url.startswith(OUTSIDE + "/server/rest/services/")
    assert portal.standalone_url == OUTSIDE + "/arcgis"
    assert (portal.portal_site.origin, portal.portal_site.is_secure) == ("https://gis.example.test", True)
    assert portal.portal_site.address.startswith("http://127.0.0.1:")


def test_what_its_answers_say_of_it_is_the_name_outside(portal: EmbeddedPortal) -> None:
    info = ask(portal.server_site.address, "/server/rest/info?f=json")
    assert info["owningSystemUrl"] == OUTSIDE + "/portal"
    assert info["authInfo"]["tokenServicesUrl"] == OUTSIDE + "/portal/sharing/rest/generateToken"
    servers = ask(portal.portal_site.address, "/portal/sharing/rest/portals/self/servers?f=json")
    assert servers["servers"][0]["url"] == OUTSIDE + "/server"


def test_a_token_for_whom_the_web_tier_let_in_reads_a_layer(portal: EmbeddedPortal) -> None:
    where = "/portal/sharing/rest/generateToken"
    form = f"f=json&client=referer&referer=x&serverUrl={OUTSIDE}/server/rest"
    first = ask(portal.portal_site.address, where, method="POST", body="f=json&client=referer&referer=x")["token"]
    token = ask(portal.portal_site.address, where, method="POST", body=f"{form}&token={first}")["token"]
    assert portal.tokens.get(token).audience == OUTSIDE + "/server"
    assert portal.tokens.get(token).username == "amy"
