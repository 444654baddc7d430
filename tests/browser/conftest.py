"""A real browser, and the portal that a person signs in to with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from esri_http import EsriSession
from esri_http.testing import EmbeddedPortal

from .chromium import Chromium, Driver, executables, flags, public_key_hash
from .person import Person


@pytest.fixture(scope="session")
def driver() -> Iterator[Driver]:
    """The driver of all browsers of this run."""
    found = executables()
    if found is None:
        pytest.skip("needs chromium and chromedriver: make servers")
    with Driver(*found) as running:
        yield running


@pytest.fixture(scope="module")
def portal() -> Iterator[EmbeddedPortal]:
    """A portal over https, with a certificate of its own private CA."""
    with EmbeddedPortal() as running:
        running.register_app("field-app", redirect_uris=["http://127.0.0.1/cb", "http://localhost/cb"])
        yield running
    assert running.internal_errors == []


@pytest.fixture(autouse=True)
def fresh_record(portal: EmbeddedPortal) -> None:
    """Each test counts its own requests."""
    portal.recorder.clear()


@pytest.fixture
def new_flags(portal: EmbeddedPortal, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Flags of a Chromium with a new profile."""
    return trusting(portal, tmp_path_factory)


@pytest.fixture(scope="module")
def one_chromium(driver: Driver, portal: EmbeddedPortal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """The browser of all tests that leave theirs open; the portal sets no cookies."""
    browser = Chromium(driver, args=trusting(portal, tmp_path_factory))
    yield browser
    browser.quit()


@pytest.fixture
def chromium(one_chromium: Chromium) -> Chromium:
    """A browser with an empty page."""
    one_chromium.open("about:blank")
    return one_chromium


def trusting(portal: EmbeddedPortal, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Flags of a Chromium that trusts the key of the portal, and no other that the system does not."""
    rebound = "--host-resolver-rules=MAP rebound.example 127.0.0.1"
    trust = f"--ignore-certificate-errors-spki-list={public_key_hash(portal.portal_url)}"
    return flags(tmp_path_factory.mktemp("profile"), trust, rebound)


@pytest.fixture
def amy(chromium: Chromium) -> Person:
    """Amy before that browser."""
    return Person(chromium)


@pytest.fixture
def open_session(portal: EmbeddedPortal) -> Iterator[Callable[..., EsriSession]]:
    """`open_session(auth)`: a session that trusts the portal, and is closed after the test."""
    opened: list[EsriSession] = []

    def make(auth: object) -> EsriSession:
        opened.append(EsriSession(auth=auth, ca_bundles=portal.ca_file))
        return opened[-1]

    yield make
    for session in opened:
        session.close()
