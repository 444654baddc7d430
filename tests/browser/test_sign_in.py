"""A person signs in with a real browser: our page opens, the portal's form is sent, and the listener ends the wait."""

from __future__ import annotations

import shlex
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from esri_http import EsriOAuth2Auth, EsriPKCEAuth, EsriSession
from esri_http.auth.oauth.oauth_app import OOB
from esri_http.testing import EmbeddedPortal
from esri_http.words.errors import ConfigurationError, InteractionRequiredError
from tests.support.clock import FakeClock

from .chromium import Chromium, Driver, until
from .person import Person

pytestmark = pytest.mark.real_server("chromium")

Open = Callable[[Any], EsriSession]


def user_of(session: EsriSession, portal: EmbeddedPortal) -> Any:
    return session.get(f"{portal.portal_url}/sharing/rest/community/self", params={"f": "json"}).json().get("username")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_signing_in_ends_the_wait_and_shows_that_it_is_done(amy: Person, portal: EmbeddedPortal, open_session: Open) -> None:
    session = open_session(amy.sign_in(portal))
    assert user_of(session, portal) == "amy"
    assert amy.chromium.title == amy.chromium.text("h1") == "You are signed in"
    assert "close this window" in amy.chromium.text("p")
    assert portal.count("/oauth2/token") == 1
    assert is_free(urlsplit(amy.redirect_uri).port or 0)


def test_a_layer_of_a_federated_server_is_read_after_it(amy: Person, portal: EmbeddedPortal, open_session: Open) -> None:
    session = open_session(amy.sign_in(portal))
    parameters = {"where": "1=1", "returnCountOnly": "true", "f": "json"}
    assert session.get(f"{portal.layer_url}/query", params=parameters).json() == {"count": 355}


def test_a_wrong_password_is_the_pages_business_and_can_be_mended(
    amy: Person, portal: EmbeddedPortal, open_session: Open
) -> None:
    def mistypes_first() -> None:
        amy.chromium.fill("#username", "amy")
        amy.chromium.fill("#password", "amys-sceret")
        amy.chromium.press("#submit")
        assert amy.chromium.text("[role=alert]")
        amy.signs_in()

    amy.does = mistypes_first
    assert user_of(open_session(amy.sign_in(portal)), portal) == "amy"


def test_an_app_that_asks_for_consent_and_its_own_address_on_localhost(
    amy: Person, portal: EmbeddedPortal, open_session: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portal.oauth.apps["field-app"], "asks_consent", True)

    def agrees() -> None:
        amy.signs_in()
        amy.chromium.press("#submit")

    amy.does = agrees
    where = f"http://localhost:{free_port()}/cb"
    options: dict[str, Any] = {"redirect_uri": where, "open_browser": amy.open_browser, "wait_seconds": 30}
    auth = EsriOAuth2Auth(portal.portal_url, "field-app", **options)
    assert user_of(open_session(auth), portal) == "amy"
    assert amy.chromium.url.startswith(where + "?")
    assert auth.refresh_token


def test_cancelling_ends_the_wait(amy: Person, portal: EmbeddedPortal, open_session: Open) -> None:
    amy.does = lambda: amy.chromium.press("#cancel")
    with pytest.raises(InteractionRequiredError, match="cancelled in the browser"):
        user_of(open_session(amy.sign_in(portal)), portal)
    assert amy.chromium.title == "You are not signed in"
    assert portal.count("/oauth2/token") == 0


def test_a_closed_browser_ends_with_the_patience(
    driver: Driver, new_flags: list[str], portal: EmbeddedPortal, open_session: Open, fake_clock: FakeClock
) -> None:
    def closes() -> None:
        amy.chromium.close_window()
        timer.start()

    amy = Person(Chromium(driver, args=new_flags))
    amy.does = closes
    timer = threading.Timer(0.1, fake_clock.advance, [301])
    with pytest.raises(InteractionRequiredError, match="Nobody signed in within 300 s. Was the browser closed"):
        user_of(open_session(amy.sign_in(portal, clock=fake_clock, wait_seconds=300)), portal)
    timer.join()
    assert portal.count("/oauth2/token") == 0


STRAY = {
    "a wrong state": "{redirect_uri}?code=forged&state=forged",
    "no state": "{redirect_uri}?code=forged",
    "a forged error": "{redirect_uri}?error=access_denied",
    "an icon": "{redirect_uri}favicon.ico",
    "the right state under a name of an attacker": "{rebound}?code=forged&state={state}",
}


@pytest.mark.parametrize("stray", STRAY.values(), ids=STRAY)
def test_a_stray_or_forged_page_changes_nothing(amy: Person, portal: EmbeddedPortal, open_session: Open, stray: str) -> None:
    def strays_first() -> None:
        rebound = amy.redirect_uri.replace("127.0.0.1", "rebound.example")
        amy.chromium.open(stray.format(redirect_uri=amy.redirect_uri, rebound=rebound, state=amy.asked("state")))
        assert amy.chromium.title == "Nothing here"
        amy.chromium.open(amy.urls[-1])
        amy.signs_in()

    amy.does = strays_first
    assert user_of(open_session(amy.sign_in(portal)), portal) == "amy"
    assert portal.count("/oauth2/token") == 1


def test_a_registered_port_works_time_after_time_and_in_use_is_an_error(
    amy: Person, portal: EmbeddedPortal, open_session: Open
) -> None:
    port = free_port()
    options: dict[str, Any] = {"client_id": "field-app", "redirect_uri": f"http://127.0.0.1:{port}/cb"}
    for _ in range(2):
        assert user_of(open_session(amy.sign_in(portal, **options)), portal) == "amy"
        amy.chromium.open("about:blank")
    with socket.create_server(("127.0.0.1", port)), pytest.raises(ConfigurationError, match=f"Port {port}"):
        user_of(open_session(amy.sign_in(portal, **options)), portal)
    assert len(amy.urls) == 2


def test_the_code_that_the_page_shows_can_be_pasted(amy: Person, portal: EmbeddedPortal, open_session: Open) -> None:
    auth = amy.sign_in(portal, redirect_uri=OOB, prompt=lambda prompt: amy.chromium.value("#code"))
    assert user_of(open_session(auth), portal) == "amy"
    assert amy.chromium.title.startswith("SUCCESS code=")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows opens its default browser, whatever BROWSER says")
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_the_browser_opens_by_itself(
    driver: Driver,
    new_flags: list[str],
    portal: EmbeddedPortal,
    open_session: Open,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is replaced: Python's own `webbrowser` starts the browser that the user prefers."""
    command = shlex.join([driver.browser, *new_flags, "--remote-debugging-port=0"])
    start = tmp_path / "start"
    start.write_text(f'#!/bin/sh\nexec {command} "$@" >/dev/null 2>&1\n')
    start.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{start} %s &")
    monkeypatch.setenv("HOME", str(tmp_path))  # browsers leave files at home
    monkeypatch.setattr(webbrowser, "_tryorder", None)  # it looks for browsers once
    monkeypatch.setattr(webbrowser, "_browsers", {})
    profile = Path(next(flag for flag in new_flags if flag.startswith("--user-data-dir=")).partition("=")[2])
    person = threading.Thread(target=sign_in_there, args=(driver, profile / "DevToolsActivePort"))
    person.start()
    try:
        assert user_of(open_session(EsriPKCEAuth(portal.portal_url, wait_seconds=30)), portal) == "amy"
    finally:
        person.join()


def sign_in_there(driver: Driver, port_file: Path) -> None:
    """Look over to the browser that has opened, which says in `port_file` where it can be driven, and sign in."""
    until(lambda: port_file.exists() and "\n" in port_file.read_text())
    port = int(port_file.read_text().splitlines()[0])
    chromium = Chromium(driver, debuggerAddress=f"127.0.0.1:{port}")
    try:
        Person(chromium).signs_in()
        assert chromium.title == "You are signed in"
    finally:
        chromium.end_process()
        chromium.quit()
        until(lambda: is_free(port))
