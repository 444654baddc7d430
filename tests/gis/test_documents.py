"""The examples of the user's document on signing in by `GIS`, with their import line changed and nothing else.

Those of the web tier run against real servers: tests/servers/test_gis.py.
"""

from __future__ import annotations

import getpass
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from esri_http import GIS, ArcGISLoginError
from esri_http.testing import OUT_OF_BAND, EmbeddedPortal, User
from tests.auth.hosts import sign_in, stand_in
from tests.support.browser import Browser

from .conftest import ORGANISATION


def run(example: str, portal: EmbeddedPortal, capsys: pytest.CaptureFixture[str]) -> str:
    """What an example prints, whose portal is this one."""
    for written in (
        "https://portalname.domain.com/webadapter_name", "https://portalname.domain.com/webcontext",
        "https://pythonapi.playground.esri.com/portal",
    ):  # fmt: skip
        example = example.replace(written, portal.portal_url)
    names: dict[str, Any] = {}
    exec(compile("from esri_http import GIS\n" + example, "example", "exec"), names)
    for value in names.values():
        if isinstance(value, GIS):
            value.close()
    return capsys.readouterr().out


def test_online_as_an_anonymous_user(online: EmbeddedPortal, capsys: Any) -> None:
    example = """
print("ArcGIS Online as anonymous user")
gis = GIS()
print("Logged in as anonymous user to " + gis.properties.portalName)
"""
    assert run(example, online, capsys).splitlines() == [
        "ArcGIS Online as anonymous user", "Logged in as anonymous user to ArcGIS Online",
    ]  # fmt: skip
    assert len(online.requests) == 1


def test_enterprise_as_an_anonymous_user(portal: EmbeddedPortal, capsys: Any) -> None:
    example = """
gis = GIS("https://pythonapi.playground.esri.com/portal")
print("Logged in as anonymous user to " + gis.properties.portalName)
"""
    assert run(example, portal, capsys) == "Logged in as anonymous user to ArcGIS Enterprise\n"


def test_the_token(portal: EmbeddedPortal, connect: Any) -> None:
    gis = connect("", "amy", "amys-secret")
    token = gis.session.auth.token
    assert portal.tokens.get(token).username == "amy"


def test_online_by_a_built_in_account_of_a_notebook(
    online: EmbeddedPortal, capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    online.users["arcgis_python"] = User("arcgis_python", "secret")
    file = tmp_path / "nbauth"
    said = {"privatePortalUrl": online.portal_url, "publicPortalUrl": online.portal_url, "referer": "http"}
    file.write_text(json.dumps({**said, "token": online.issue_token("arcgis_python", referer="http")}))
    monkeypatch.setenv("NB_AUTH_FILE", str(file))
    example = """
print("ArcGIS Online Org account")
gis = GIS('home')
print("Logged in as " + str(gis.properties.user.username))
"""
    assert run(example, online, capsys) == "ArcGIS Online Org account\nLogged in as arcgis_python\n"
    assert len(online.requests) == 1


def test_enterprise_by_a_built_in_account(portal: EmbeddedPortal, capsys: Any) -> None:
    portal.users["sharinguser"] = User("sharinguser", "password")
    example = """
print("Portal for ArcGIS as a built in user")
gis = GIS("https://portalname.domain.com/webadapter_name", "sharinguser", "password")
print("Logged in as: " + gis.properties.user.username)
"""
    assert run(example, portal, capsys) == "Portal for ArcGIS as a built in user\nLogged in as: sharinguser\n"


@pytest.mark.parametrize("written, name", [("AVWORLD\\\\Publisher", "AVWORLD\\Publisher"), ("sharing1", "sharing1")])
def test_portal_tier_with_active_directory_or_ldap(portal: EmbeddedPortal, capsys: Any, written: str, name: str) -> None:
    portal.users[name] = User(name, "password")
    example = f"""
gisldap = GIS("https://portalname.domain.com/webadapter_name", "{written}", "password")
print("Logged in as: " + gisldap.properties.user.username)
"""
    assert run(example, portal, capsys) == f"Logged in as: {name}\n"


def test_oauth_by_a_code_that_is_pasted(portal: EmbeddedPortal, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    portal.users["arcgis_python"] = User("arcgis_python", "secret")
    portal.register_app("f8cRxbP3NO8bf9ag", redirect_uris=[OUT_OF_BAND])
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    prompts: list[str] = []

    def paste(prompt: str) -> str:
        prompts.append(prompt)
        return Browser(portal.ca_file).open(opened[0]).submit(username="arcgis_python", password="secret").inputs["code"]

    monkeypatch.setattr(getpass, "getpass", paste)
    example = """
gis = GIS("https://pythonapi.playground.esri.com/portal", client_id='f8cRxbP3NO8bf9ag')
print("Successfully logged in as: " + gis.properties.user.username)
"""
    assert run(example, portal, capsys) == "Successfully logged in as: arcgis_python\n"
    assert prompts == ["Enter code obtained on signing in using SAML: "]
    assert "redirect_uri=urn%3Aietf%3Awg%3Aoauth%3A2.0%3Aoob" in opened[0]
    assert "expiration=-1" in opened[0]


def test_the_active_portal_of_arcgis_pro(portal: EmbeddedPortal, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(stand_in("arcpy", monkeypatch), portal)
    example = """
print("\\n\\nActive Portal in ArcGIS Pro")
gis = GIS("pro")
print(gis.users.me.username, gis.session.auth.token[:0])
"""
    assert run(example, portal, capsys) == "\n\nActive Portal in ArcGIS Pro\namy \n"
    assert len(portal.requests) == 1


def test_a_password_that_is_asked_for(portal: EmbeddedPortal, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    portal.users["arcgis_python"] = User("arcgis_python", "secret")
    prompts: list[str] = []
    monkeypatch.setattr(getpass, "getpass", lambda prompt: prompts.append(prompt) or "secret")
    example = """
gis = GIS("https://pythonapi.playground.esri.com/portal", username='arcgis_python')
print("Successfully logged in as: " + gis.properties.user.username)
"""
    assert run(example, portal, capsys) == "Successfully logged in as: arcgis_python\n"
    assert re.fullmatch(rf"Enter password for arcgis_python at {portal.portal_url}: ", *prompts)


@pytest.mark.parametrize("url", ["home", " Home ", "'home'", '"pro"', "PRO\n"])
def test_home_outside_of_a_notebook_is_arcgis_pro(
    portal: EmbeddedPortal, connect: Any, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    sign_in(stand_in("arcpy", monkeypatch), portal, "bob")
    assert connect(url).users.me.username == "bob"


def test_nobody_signed_in_to_arcgis_pro_is_an_error(portal: EmbeddedPortal, monkeypatch: pytest.MonkeyPatch) -> None:
    arcpy = stand_in("arcpy", monkeypatch)
    arcpy.active_portal = portal.portal_url
    with pytest.raises(ArcGISLoginError, match="Nobody is signed in"):
        GIS("pro")
    assert "arcpy" in sys.modules


def test_an_organisation_of_online_has_its_own_address(online: EmbeddedPortal) -> None:
    online.portal_site.self_overrides.update(urlKey="geosaurus", customBaseUrl="maps.arcgis.com")
    with GIS(None, "amy", "amys-secret") as gis:
        assert (gis.url, str(gis)) == (f"https://{ORGANISATION}", f"GIS @ https://{ORGANISATION} version:2024.1")
        token = gis.session.auth.token
        gis.session.get(f"{gis.url}/sharing/rest/community/self", params={"f": "json"})
    assert online.requests[-1].headers["X-Esri-Authorization"] == f"Bearer {token}"
