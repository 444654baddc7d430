"""`GIS(...)` at portals behind real web tiers: the examples of the user's document that want one, and what they cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from esri_http import GIS, ArcGISLoginError, SignInError, TlsError

from ..cli.support import run as command
from ..support.pfx import SECRET, pfx
from .apache import Apache
from .people import CERTIFICATE_USER, DOMAIN, PASSWORDS, REALM, USER
from .people import GIS as HOST
from .support import need_kerberos

pytestmark = [pytest.mark.real_server("apache"), pytest.mark.usefixtures("names", "no_ticket")]

PORTAL = "https://portalname.domain.com/webadapter_name"
CONTEXT = "https://portalname.domain.com/webcontext"


@pytest.fixture
def connect(apache: Apache, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., GIS]]:
    """`connect(scheme, ...)`: a `GIS` of the portal behind that web tier; closed after the test. CAs by the environment."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", apache.bed.ca.file)
    opened: list[GIS] = []

    def make(scheme: str, *args: Any, **keywords: Any) -> GIS:
        gis = GIS(apache.portal(scheme).portal_url, *args, set_active=False, **keywords)
        opened.append(gis)
        return gis

    yield make
    for gis in opened:
        gis.close()


def run(example: str, url: str, capsys: Any) -> str:
    """What an example prints, with its import line changed, and with its portal being the one at `url`."""
    names: dict[str, Any] = {}
    exec("from esri_http import GIS\n" + example.replace(PORTAL, url).replace(CONTEXT, url), names)
    for value in names.values():
        if isinstance(value, GIS):
            value.close()
    return str(capsys.readouterr().out)


def read_layer(gis: GIS, portal: Any) -> int:
    query = {"where": "1=1", "returnCountOnly": True, "f": "json"}
    answer = gis.session.get(portal.layer_url + "/query", params=query)
    answer.raise_for_error()
    return int(answer.json()["count"])


# -- the examples ----------------------------------------------------------------------------------------------------


def test_web_tier_with_ldap(apache: Apache, connect: Any, capsys: Any, count: Callable[[], list[int]]) -> None:
    example = f"""
ldapbasic = GIS("https://portalname.domain.com/webadapter_name", "amy", "{PASSWORDS["ldap"]}")
print("Logged in as: " + ldapbasic.properties.user.username)
"""
    assert run(example, apache.portal("ldap").portal_url, capsys) == "Logged in as: amy\n"
    assert count() == [401, 200]


def test_pki_with_key_and_cert_files(apache: Apache, connect: Any, capsys: Any, count: Callable[[], list[int]]) -> None:
    amy = apache.bed.ca.client(CERTIFICATE_USER)
    example = f"""
gis = GIS("https://portalname.domain.com/webcontext",
          key_file={amy.key_file!r},
          cert_file={amy.cert_file!r})
print("Logged in as: " + gis.properties.user.username)
"""
    assert run(example, apache.portal("pki-host").portal_url, capsys) == "Logged in as: amy\n"
    assert count() == [200]


def test_pki_with_pfx_file_and_password(apache: Apache, connect: Any, capsys: Any, tmp_path: Path) -> None:
    file = tmp_path / "mycert.pfx"
    file.write_bytes(pfx(apache.bed.ca.client(CERTIFICATE_USER)))
    example = f"""
gis = GIS("https://portalname.domain.com/webcontext",
          cert_file={str(file)!r},
          password={SECRET!r})
print("Logged in as: " + gis.properties.user.username)
"""
    assert run(example, apache.portal("pki").portal_url, capsys) == "Logged in as: amy\n"
    assert [path.name for path in tmp_path.iterdir() if path.suffix in (".pfx", ".pem", ".key")] == ["mycert.pfx"]


def test_integrated_windows_authentication(
    apache: Apache, connect: Any, capsys: Any, ticket: Callable[..., Any], kerberos: None, count: Callable[[], list[int]]
) -> None:
    ticket(USER, PASSWORDS["krb"])
    example = """
gis = GIS("https://portalname.domain.com/webcontext")
print("Logged in as: " + gis.properties.user.username)
"""
    assert run(example, apache.portal("iwa").portal_url, capsys) == "Logged in as: amy\n"
    assert count() == [401, 200]


def test_the_command_line_takes_who_is_signed_in_here(
    apache: Apache, ticket: Callable[..., Any], kerberos: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket(USER, PASSWORDS["krb"])
    monkeypatch.setenv("HOME", str(tmp_path))
    portal = apache.portal("krb").portal_url.replace(HOST, "127.0.0.1")
    way = ("--ca-bundle", apache.bed.ca.file, "--server-hostname", HOST)
    community = f"{portal}/sharing/rest/community/self"
    assert command("get", community, *way).status == 4
    signed_in = command("get", community, "--portal", portal, "--integrated", *way)
    assert (signed_in.status, json.loads(signed_in.out)["username"]) == (0, "amy")
    assert command("login", portal, "--integrated", "--save", "iwa", *way).status == 0
    assert command("whoami", "--profile", "iwa", *way).out.startswith("amy ")


# -- every web tier --------------------------------------------------------------------------------------------------

BY_PASSWORD = {
    "basic": (USER, "basic", "Basic at the web tier", [401, 200]),
    "ldap": (USER, "ldap", "Basic at the web tier", [401, 200]),
    "digest": (USER, "digest", "Digest at the web tier", [401, 200]),
    "ntlm": (f"{DOMAIN}\\{USER}", "ntlm", "NTLM at the web tier", None),
    "krb": (f"{USER}@{REALM}", "krb", "Kerberos at the web tier", [401, 200]),
    "iwa": (f"{USER}@{REALM}", "krb", "Kerberos at the web tier", [401, 200]),
}


@pytest.mark.parametrize("scheme", BY_PASSWORD)
def test_user_and_password_at_every_web_tier(
    apache: Apache, connect: Any, capsys: Any, count: Callable[[], list[int]], scheme: str
) -> None:
    username, way, chosen, statuses = BY_PASSWORD[scheme]
    if way == "krb":
        need_kerberos()
    gis = connect(scheme, username, PASSWORDS[way])
    assert gis.users.me.username == USER
    if statuses is not None:
        assert count() == statuses
    gis.explain()
    told = capsys.readouterr().out
    assert f"  chosen       {chosen} (" in told
    assert PASSWORDS[way] not in told
    portal = apache.portal(scheme)
    portal.server_site.web_tier = lambda request: None  # the federated server wants a token then
    try:
        assert read_layer(gis, portal) == 355
    finally:
        portal.server_site.web_tier = portal.portal_site.web_tier


# Kerberos asks its KDC, so that the server sees nothing of it; NTLM is three messages.
REFUSALS = {"basic": [401] * 2, "digest": [401] * 2, "ntlm": [401] * 3, "krb": [401]}


@pytest.mark.parametrize("scheme", REFUSALS)
def test_a_wrong_password_is_shown_once_and_is_an_error(
    apache: Apache, connect: Any, count: Callable[[], list[int]], scheme: str
) -> None:
    username, way, *_ = BY_PASSWORD[scheme]
    if way == "krb":
        need_kerberos()
    with pytest.raises(ArcGISLoginError):
        connect(scheme, username, "a-wrong-one")
    assert count() == REFUSALS[scheme]


@pytest.mark.parametrize("scheme", ["basic", "digest"])
def test_without_credentials_it_says_what_the_web_tier_wants(connect: Any, scheme: str) -> None:
    with pytest.raises(SignInError, match=f"{scheme.title()} cannot be used: it needs username= and password="):
        connect(scheme)


def test_without_a_ticket_it_says_what_is_missing(connect: Any) -> None:
    with pytest.raises(SignInError, match="Kerberos cannot be used"):
        connect("krb")


@pytest.mark.parametrize("scheme", ["pki-host", "pki", "pki-tls12"])
def test_a_certificate_that_is_wanted_is_asked_for_by_its_name_here(connect: Any, scheme: str) -> None:
    with pytest.raises((SignInError, TlsError), match=r"certificate.*cert_file="):
        connect(scheme, USER, PASSWORDS["basic"])


def test_a_token_behind_integrated_windows_authentication(
    apache: Apache, connect: Any, ticket: Callable[..., Any], kerberos: None, count: Callable[[], list[int]]
) -> None:
    ticket(USER, PASSWORDS["krb"])
    gis = connect("iwa", token=apache.portal("iwa").issue_token("bob", referer="http"))
    assert gis.users.me.username == "bob"
    assert count() == [401, 401, 200]
    assert gis.session.auth.token
