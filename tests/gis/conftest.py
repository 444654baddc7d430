"""Fixtures of the tests of `GIS(...)`: an embedded portal, one that stands for ArcGIS Online, and a web tier in front."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from esri_http import GIS, env
from esri_http.testing import Answer, EmbeddedPortal, Request

ONLINE = "www.arcgis.com"
ORGANISATION = "geosaurus.maps.arcgis.com"


@pytest.fixture(autouse=True)
def nobody_active() -> Iterator[None]:
    """No GIS is the active one before and after a test."""
    env.active_gis = None
    yield
    env.active_gis = None


@pytest.fixture
def portal(esri_portal: EmbeddedPortal, monkeypatch: pytest.MonkeyPatch) -> EmbeddedPortal:
    """A portal over https, whose CA the environment names: examples need no word of it."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", esri_portal.ca_file)
    return esri_portal


@pytest.fixture
def connect(portal: EmbeddedPortal) -> Iterator[Callable[..., GIS]]:
    """`connect(...)`: a `GIS`, of the portal unless another URL is given, that is closed after the test."""
    opened: list[GIS] = []

    def make(url: Any = "", *args: Any, **keywords: Any) -> GIS:
        gis = GIS(portal.portal_url if url == "" else url, *args, **keywords)
        opened.append(gis)
        return gis

    yield make
    for gis in opened:
        gis.close()


@pytest.fixture
def online(proxy_peer: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedPortal]:
    """What stands for ArcGIS Online: its names lead to an embedded portal, by a proxy that the environment names."""
    with EmbeddedPortal(names=[ONLINE, ORGANISATION, "arcgis.com"], portal_context="") as running:
        running.portal_site.public_url = f"https://{ONLINE}"
        port = int(running.portal_site.address.rpartition(":")[2])
        running.portal_site.self_overrides = {"portalName": "ArcGIS Online", "isPortal": False, "portalHostname": ONLINE}
        proxy = proxy_peer(names=dict.fromkeys((ONLINE, ORGANISATION), ("127.0.0.1", port)))
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", running.ca_file)
        yield running
    assert running.internal_errors == []


def ask_basic(portal: EmbeddedPortal, users: dict[str, str]) -> None:
    """Put a web tier in front of all sites of `portal` that takes Basic of these `users`, by name."""

    def who(request: Request) -> str | None:
        scheme, _, given = (request.headers.get("Authorization") or "").partition(" ")
        if scheme != "Basic":
            return None
        user, _, password = base64.b64decode(given).decode().partition(":")
        return user if users.get(user) == password else None

    def gate(request: Request) -> Answer | None:
        if who(request) is not None:
            return None
        return Answer(401, b"Who are you?", "text/plain").add("WWW-Authenticate", 'Basic realm="gis"')

    for site in portal.sites:
        site.gate, site.web_tier = gate, who


def authorizations(portal: EmbeddedPortal) -> list[str]:
    """The `Authorization` of every request that carried one."""
    found = (request.headers.get("Authorization") for request in portal.requests)
    return [value for value in found if value is not None]


def paths(portal: EmbeddedPortal) -> list[str]:
    """What was asked for, in order."""
    return [f"{request.method} {request.path}" for request in portal.requests]


def drops_to_zero(portal: EmbeddedPortal) -> bool:
    """Whether all connections to `portal` are closed, soon."""
    for _ in range(200):
        if portal.open_connections() == 0:
            return True
        threading.Event().wait(0.01)
    return False
