"""Fixtures of the tests of the token handlers: an embedded portal that lives by a held clock, and sessions with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from esri_http import EsriBuiltInAuth, EsriGenTokenAuth, EsriOAuth2Auth, EsriPKCEAuth, EsriSession
from esri_http.testing import EmbeddedPortal
from esri_http.wire.tls import tls_context
from esri_http.words.settings import TlsSettings
from tests.support.clock import FakeClock


@pytest.fixture(scope="session", autouse=True)
def one_tls_context() -> object:
    """The usual TLS context, kept alive: it lives as long as somebody uses it, and takes 50 ms to build."""
    return tls_context(TlsSettings())


@pytest.fixture
def portal(fake_clock: FakeClock) -> Iterator[EmbeddedPortal]:
    """A portal with its servers over http."""
    with EmbeddedPortal(https=False, clock=fake_clock) as running:
        yield running
    assert running.internal_errors == []


@pytest.fixture
def tls_portal(fake_clock: FakeClock) -> Iterator[EmbeddedPortal]:
    """The same over https."""
    with EmbeddedPortal(clock=fake_clock) as running:
        yield running
    assert running.internal_errors == []


@pytest.fixture
def open_session(fake_clock: FakeClock) -> Iterator[Callable[..., EsriSession]]:
    """`open_session(auth, **options)`: a session on the held clock that is closed after the test."""
    opened: list[EsriSession] = []

    def make(auth: Any = None, **options: Any) -> EsriSession:
        session = EsriSession(auth, **{"clock": fake_clock, **options})
        opened.append(session)
        return session

    yield make
    for session in opened:
        session.close()


@pytest.fixture
def amy(fake_clock: FakeClock) -> Callable[..., EsriGenTokenAuth]:
    """`amy(portal, url=..., **options)`: amy's sign-in at the portal, or at the site `url`."""

    def make(portal: EmbeddedPortal, url: str | None = None, **options: Any) -> EsriGenTokenAuth:
        given = {"username": "amy", "password": portal.password("amy"), "clock": fake_clock, **options}
        return EsriGenTokenAuth(url or portal.token_url, **given)

    return make


@pytest.fixture
def built_in(portal: EmbeddedPortal, fake_clock: FakeClock) -> Callable[..., EsriBuiltInAuth]:
    """`built_in(username="amy", **options)`: a sign-in with user name and password, the right ones unless told otherwise."""

    def make(username: str = "amy", **options: Any) -> EsriBuiltInAuth:
        given = {"url": portal.portal_url, "password": portal.password(username), "clock": fake_clock, **options}
        return EsriBuiltInAuth(username=username, **given)

    return make


@pytest.fixture
def by_oauth(portal: EmbeddedPortal, fake_clock: FakeClock) -> Callable[..., EsriOAuth2Auth]:
    """`by_oauth(**options)`: OAuth with the registered app "app1", whose secret is "app1-secret"."""
    portal.register_app("app1", "app1-secret", ["http://127.0.0.1/callback", "urn:ietf:wg:oauth:2.0:oob"])

    def make(**options: Any) -> EsriOAuth2Auth:
        given = {"base_url": portal.portal_url + "/sharing/rest", "client_id": "app1", "clock": fake_clock, **options}
        return EsriOAuth2Auth(**given)

    return make


@pytest.fixture
def by_pkce(portal: EmbeddedPortal, fake_clock: FakeClock) -> Callable[..., EsriPKCEAuth]:
    """`by_pkce(**options)`: amy's scripted sign-in with a proof key."""

    def make(**options: Any) -> EsriPKCEAuth:
        given = {"url": portal.portal_url, "username": "amy", "password": "amys-secret", "clock": fake_clock, **options}
        return EsriPKCEAuth(**given)

    return make


@pytest.fixture
def no_realm(clean_environment: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No Kerberos realm of this machine is asked, and there is no ticket."""
    config = tmp_path / "krb5.conf"
    config.write_text("[libdefaults]\ndns_lookup_kdc = false\ndns_lookup_realm = false\ndefault_realm = AD\n", encoding="utf-8")
    monkeypatch.setenv("KRB5_CONFIG", str(config))
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'no-tickets'}")
