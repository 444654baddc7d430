"""Surveys of every server of the bed: what is reported is what the server does, and nobody has signed in for it."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Union

import pytest

from esri_http.survey.survey import Survey, survey

from ..survey.helpers import check_anonymous, names, way
from .apache import Apache, LateApache
from .bed import Bed
from .epa import Epa
from .kdc import BRIEF, Kdc
from .lighttpd import Lighttpd
from .nginx import Nginx
from .people import GIS, PASSWORDS, PROXY, REALM, USER
from .samba import PROXY_NAME, WEB_NAME
from .samba_web import DomainApache, DomainSquid
from .schemes import SCHEMES
from .slapd import Slapd
from .socks import Socks
from .squid import Squid
from .support import at_loopback

pytestmark = [pytest.mark.real_server("the bed"), pytest.mark.usefixtures("names")]

Look = Callable[..., Survey]

WAYS = {
    **dict.fromkeys(("basic", "ldap"), ["Basic"]),
    **dict.fromkeys(("digest", "digest-stale"), ["Digest"]),
    **dict.fromkeys(("krb", "krb-session", "krb-deleg"), ["Kerberos"]),
    **dict.fromkeys(("krb-conn", "ntlm", "iwa"), ["Kerberos", "NTLM"]),
    **dict.fromkeys(("pki", "pki-basic", "pki-host", "pki-tls12"), ["client certificate"]),
    "krb-or-basic": ["Basic", "Kerberos"],
}
"""The ways behind each path of Apache, which offers NTLM wherever it is connections that sign in."""


@pytest.fixture
def look(bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    """`look(url)`: a survey that trusts the bed, in the home of somebody whose netrc has the password of every host."""
    (tmp_path / ".netrc").write_text(
        "".join(f"machine {host} login {USER} password {PASSWORDS['basic']}\n" for host in (GIS, WEB_NAME, "127.0.0.1"))
    )
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))

    def call(url: str, **options: Any) -> Survey:
        found = survey(url, **{"ca_bundles": bed.ca.file, **options})
        shown = json.dumps(found.as_dict())
        assert not [secret for secret in PASSWORDS.values() if secret in shown]
        assert len(found.asked) <= 4
        return found

    return call


def check_certificate(found: Survey, *expected: str) -> None:
    """The certificate is that of the bed's servers."""
    assert found.tls is not None
    assert found.tls.trusted is True
    assert found.tls.version in ("TLSv1.2", "TLSv1.3")
    leaf = found.tls.chain[0]
    assert (leaf.names, leaf.days_left) == (expected or (GIS,), 29)
    assert "esri_http tests" in (leaf.issuer or "")


# -- Apache --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.path)
def test_every_way_in_at_apache_is_told_and_none_is_gone(apache: Apache, look: Look, ticket: Any, scheme: Any) -> None:
    ticket()
    portal = apache.portal(scheme.path)
    portal.clear()
    apache.forget()
    found = look(portal.portal_url)
    for exchange in apache.exchanges():
        assert (exchange.method, exchange.user) == ("GET", "")
    for request in portal.requests:
        check_anonymous(request)
    if scheme.path == "open":
        assert (found.found, found.site.version, len(portal.requests)) == ("portal", "11.3.0", 3)
        assert sorted(names(found)) == ["OAuth", "anonymous", "built-in account"]
    else:
        assert sorted(names(found)) == WAYS[scheme.path]
        assert portal.requests == []
    if scheme.path.startswith("pki"):
        # TLS 1.2 has one word for that no certificate came, and for much else.
        is_certain = scheme.path != "pki-tls12"
        assert found.found == ("client certificate" if is_certain else "trouble")
        assert found.tls is not None
        assert found.tls.client_certificate is (True if is_certain else None)
        assert "certificate" in found.words
    else:
        check_certificate(found)
        assert found.is_arcgis
        assert found.clock_skew_seconds == pytest.approx(0, abs=3)


@pytest.mark.parametrize("path", ["/rest/services/Places/FeatureServer", "/admin", ""])
def test_servers_behind_apache_are_told_apart(apache: Apache, look: Look, path: str) -> None:
    portal = apache.portal("open")
    found = look(f"{portal.server_url}{path}")
    assert (found.found, found.site.federated_with) == ("server", portal.portal_url)
    found = look(f"{portal.standalone_url}{path}")
    assert (found.found, found.site.token_service) == ("server", f"{portal.standalone_url}/tokens/generateToken")


def test_a_password_over_http_is_not_called_a_way(apache: Apache, look: Look) -> None:
    found = look(apache.url("/basic/portal", "http"))
    assert (found.found, found.tls, way(found, "Basic").ready) == ("web tier", None, False)


# -- Kerberos ------------------------------------------------------------------------------------------------------------


def test_a_ticket_is_seen_and_left_as_it_is(apache: Apache, look: Look, ticket: Any, no_ticket: Path, kerberos: None) -> None:
    url = apache.url("/iwa/portal")
    assert way(look(url), "Kerberos")[2:] == (False, "no ticket here; run kinit, or give user and password")
    assert way(look(url), "NTLM").ready is True
    ticket()
    before = no_ticket.read_bytes()
    kerberos_way = way(look(url), "Kerberos")
    assert kerberos_way.ready is True
    assert f"{USER}@{REALM}, whose ticket holds for 23 h 59 min" in kerberos_way.text
    assert no_ticket.read_bytes() == before  # the KDC was not asked for one for this server


def test_a_ticket_that_has_expired_is_told(
    apache: Apache, look: Look, ticket: Any, no_ticket: Path, kerberos: None, fake_clock: Any
) -> None:
    import time

    ticket(BRIEF, PASSWORDS["krb"])
    url = apache.url("/krb/portal")
    assert "0 min" in way(look(url), "Kerberos").text
    fake_clock.set_time(time.time() + 60)
    expired = way(look(url, clock=fake_clock), "Kerberos")
    assert (expired.ready, f"of {BRIEF}@{REALM} has expired" in expired.text) == (False, True)


def test_a_clock_that_is_ahead_is_told(late_apache: LateApache, look: Look, ticket: Any, kerberos: None) -> None:
    ticket()
    found = look(late_apache.url("/krb/portal"))
    assert found.clock_skew_seconds == pytest.approx(600, abs=5)
    assert (way(found, "Kerberos").ready, "clocks" in way(found, "Kerberos").text) == (False, True)
    assert any("clocks" in note for note in found.notes)


def test_a_server_by_its_address_has_no_tickets(apache: Apache, look: Look, ticket: Any, kerberos: None) -> None:
    ticket()
    url = apache.url("/krb/portal").replace(GIS, "127.0.0.1")
    found = look(url)
    assert found.tls is not None
    assert (found.tls.trusted, f"it is for {GIS}, not for 127.0.0.1" in (found.tls.why_not or "")) == (False, True)
    named = look(url, server_hostname=GIS)
    assert way(named, "Kerberos").ready is True
    check_certificate(named)


# -- other web servers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path, expected", [("digest256", "Digest"), ("digest-both", "Digest"), ("digest-userhash", "Digest"), ("krb", "Kerberos")]
)
def test_lighttpd(lighttpd: Lighttpd, look: Look, ticket: Any, path: str, expected: str, kerberos: None) -> None:
    ticket()
    found = look(lighttpd.url(f"/{path}"))
    assert [(one.name, one.ready) for one in found.ways] == [(expected, True)]
    check_certificate(found)


def test_nginx(nginx: Nginx, look: Look) -> None:
    nginx.portal.clear()
    found = look(nginx.url(""))
    assert (found.found, found.site.name, len(nginx.portal.requests)) == ("portal", "Embedded Portal", 3)
    for request in nginx.portal.requests:
        check_anonymous(request)
    check_certificate(found)
    wants = look(nginx.url("", certificate=True))
    assert (wants.found, way(wants, "client certificate").ready) == ("client certificate", True)
    assert len(nginx.portal.requests) == 3
    check_certificate(wants)


def test_the_acceptor(epa: Epa, look: Look) -> None:
    found = look(epa.url())
    assert (found.found, names(found)) == ("web tier", ["Kerberos", "NTLM"])
    check_certificate(found)


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch, domain_apache: DomainApache) -> DomainApache:
    """httpd in the domain, whose name is that of 127.0.0.1."""
    at_loopback(monkeypatch, WEB_NAME, PROXY_NAME)
    return domain_apache


@pytest.mark.parametrize(
    "path, expected", [("krb", ["Kerberos", "NTLM"]), ("iwa", ["Kerberos", "NTLM"]), ("ldap", ["Basic"])]
)  # fmt: skip
def test_a_web_server_of_the_domain(domain: DomainApache, look: Look, path: str, expected: list[str]) -> None:
    domain.forget()
    found = look(domain.portal(path).portal_url)
    assert (found.found, names(found)) == ("web tier", expected)
    assert [(exchange.status, exchange.user) for exchange in domain.exchanges()] == [(401, "")]
    check_certificate(found, WEB_NAME)


# -- proxies ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way_in", ["open", "tls", "basic", "tls-basic", "digest"])
def test_through_squid_the_origin_is_seen(squid: Squid, apache: Apache, look: Look, way_in: str) -> None:
    portal = apache.portal("open")
    portal.clear()
    secret = "" if way_in in ("open", "tls") else f"{USER}:{PASSWORDS['proxy']}"
    found = look(portal.portal_url, proxies={"all": squid.url(way_in, secret)})
    assert (found.found, found.proxy.url, found.proxy.source) == ("portal", squid.url(way_in), "given")
    check_certificate(found)
    for request in portal.requests:
        check_anonymous(request)


@pytest.mark.parametrize("way_in", ["basic", "digest", "negotiate", "ntlm", "tls-basic"])
@pytest.mark.parametrize("target", ["https", "http"])
def test_squid_that_wants_a_sign_in_gets_none_of_ours(
    squid: Squid, apache: Apache, look: Look, ticket: Any, monkeypatch: pytest.MonkeyPatch, way_in: str, target: str
) -> None:
    ticket()
    monkeypatch.setenv(f"{target}_proxy", squid.url(way_in))
    before = len(squid.log())
    found = look(apache.url("/open/portal", target))
    assert (found.found, found.is_arcgis, found.proxy.source) == ("trouble", False, "environment")
    assert "sign-in" in found.words or "407" in found.words
    assert not [line for line in squid.log()[before:] if USER in line]


def test_through_socks(socks: Socks, apache: Apache, look: Look) -> None:
    url = apache.url("/open/portal")
    for proxy, shown in ((socks.url(), socks.url(userinfo="")), (socks.open_url(), socks.open_url())):
        found = look(url, proxies={"all": proxy})
        assert (found.found, found.proxy.url) == ("portal", shown)
        check_certificate(found)
    refused = look(url, proxies={"all": socks.url(userinfo="")})
    assert (refused.found, "sign-in" in refused.words) == ("trouble", True)


def test_what_opens_tls_on_the_way_shows_by_its_certificate(intercept: Any, epa: Epa, look: Look) -> None:
    found = look(epa.url(), proxies={"all": intercept.url})
    assert names(found) == ["Kerberos", "NTLM"]
    check_certificate(found, GIS, PROXY)


def test_a_proxy_of_the_domain(domain: DomainApache, domain_squid: DomainSquid, look: Look) -> None:
    for scheme in ("negotiate", "ntlm"):
        found = look(domain.url("/krb/portal"), proxies={"all": domain_squid.url(scheme)})
        assert (found.found, found.is_arcgis) == ("trouble", False)
        assert "sign-in" in found.words


# -- servers that are no web servers ------------------------------------------------------------------------------------------


@pytest.fixture
def no_web(kdc: Kdc, slapd: Slapd) -> Iterator[dict[str, int]]:
    """Ports where something else is spoken, or nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield {"kdc": kdc.port, "slapd": int(slapd.url.rpartition(":")[2].strip("/")), "silent": silent.getsockname()[1]}


@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize("what", ["kdc", "slapd", "silent"])
def test_what_speaks_something_else_is_trouble(no_web: dict[str, int], look: Look, what: str, scheme: str) -> None:
    timeout: Union[int, float] = 0.3 if what == "silent" else 5
    found = look(f"{scheme}://127.0.0.1:{no_web[what]}/portal", timeout=timeout)
    assert (found.found, found.is_arcgis, len(found.asked)) == ("trouble", False, 1)
    assert found.asked[0].status is None
