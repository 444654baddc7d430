"""What the tests of the embedded portal share: a running portal, and a plain HTTP client that is not ours."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from esri_http.testing import OUT_OF_BAND, EmbeddedPortal
from esri_http.testing.fixture import esri_portal  # noqa: F401 - a fixture is had by importing it
from esri_http.words.clock import Clock
from tests.support.browser import Browser, Page


class HeldClock(Clock):
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0

    def time(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds


class Reply:
    """An answer, read whole."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status = answer.status
        self.headers = answer.headers
        with answer:
            self.body = answer.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error_code(self) -> int | None:
        return self.json.get("error", {}).get("code")


class Client:
    """Sends requests with `http.client`, each on a connection of its own unless one is handed in."""

    def __init__(self, portal: EmbeddedPortal) -> None:
        self.portal = portal
        self.context = ssl.create_default_context(cafile=portal.ca_file) if portal.ca_file else None

    def connect(self, url: str, timeout: float = 10) -> http.client.HTTPConnection:
        parts = urlsplit(url)
        if parts.scheme == "https":
            return http.client.HTTPSConnection(parts.hostname, parts.port, context=self.context, timeout=timeout)
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)

    def get(self, url: str, headers: dict[str, str] | None = None, **query: Any) -> Reply:
        return self.send("GET", url + "?" + urlencode({"f": "json", **query}), None, headers)

    def post(self, url: str, headers: dict[str, str] | None = None, **form: Any) -> Reply:
        head = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return self.send("POST", url, urlencode({"f": "json", **form}), head)

    def send(
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        connection: http.client.HTTPConnection | None = None,
    ) -> Reply:
        used = connection or self.connect(url)
        try:
            parts = urlsplit(url)
            used.request(method, parts.path + ("?" + parts.query if parts.query else ""), body, headers or {})
            return Reply(used.getresponse())
        finally:
            if connection is None:
                used.close()

    def sign_in(self, username: str = "amy", **form: Any) -> Reply:
        """generateToken of the portal."""
        given = {"username": username, "password": self.portal.password(username), "client": "referer", "referer": "http"}
        return self.post(self.portal.token_url, **{**given, **form})


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def portal(clock: HeldClock):
    before = set(threading.enumerate())
    with EmbeddedPortal(clock=clock) as running:
        yield running
    assert running.internal_errors == []
    assert [thread for thread in threading.enumerate() if thread not in before and "embedded" in thread.name] == []


@pytest.fixture
def client(portal: EmbeddedPortal) -> Client:
    return Client(portal)


@pytest.fixture
def new_client():
    """Makes clients of other portals."""
    return Client


def bearer(token: str, referer: str | None = None) -> dict[str, str]:
    headers = {"X-Esri-Authorization": f"Bearer {token}"}
    return headers if referer is None else {**headers, "Referer": referer}


@pytest.fixture(name="bearer")
def bearer_fixture():
    """The headers that carry a token."""
    return bearer


@pytest.fixture
def browser(portal: EmbeddedPortal) -> Browser:
    """A browser that stays at the portal: a redirect to an app is shown, not followed."""
    return Browser(portal.ca_file, home=portal.portal_site.origin)


@pytest.fixture
def authorize(browser: Browser, portal: EmbeddedPortal):
    """Opens the sign-in page, for a code that is shown to the user unless the test says otherwise."""

    def opened(**parameters: Any) -> Page:
        given = {"client_id": "arcgisonline", "response_type": "code", "redirect_uri": OUT_OF_BAND, **parameters}
        return browser.open(portal.oauth.url + "/authorize?" + urlencode(given))

    return opened


@pytest.fixture
def code_for(authorize, portal: EmbeddedPortal):
    """Signs a user in by the form, and gives the code."""

    def code(username: str = "amy", **parameters: Any) -> str:
        page = authorize(**parameters).submit(username=username, password=portal.password(username))
        return page.inputs["code"] if page.status == 200 else parse_qs(urlsplit(page.location).query)["code"][0]

    return code


@pytest.fixture
def redeem(client: Client, portal: EmbeddedPortal):
    """Posts to `oauth2/token`, as `arcgisonline` and for a code unless the test says otherwise."""

    def posted(**form: Any) -> Reply:
        given = {"client_id": "arcgisonline", "grant_type": "authorization_code", "redirect_uri": OUT_OF_BAND, **form}
        return client.post(portal.oauth.url + "/token", **given)

    return posted
