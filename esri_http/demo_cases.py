"""The ways to sign in that `make demo` shows, each with the layer that it reads."""

from __future__ import annotations

import json
import os
import sys
import threading
import types
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from .auth.hosts.notebook import EsriNotebookAuth, EsriNotebookFileAuth
from .auth.hosts.pro import ArcGISProAuth, ArcGISServerAuth
from .auth.oauth.built_in import EsriBuiltInAuth
from .auth.oauth.oauth2 import EsriOAuth2Auth, EsriPKCEAuth
from .auth.oauth.sign_in_pages import Page
from .auth.tokens.generate_token import EsriGenTokenAuth
from .auth.tokens.static_tokens import EsriAPIKeyAuth, EsriUserTokenAuth
from .auth.web_tier.basic import EsriBasicAuth, basic_field
from .session import EsriSession

if TYPE_CHECKING:
    from .testing import EmbeddedPortal

    Make = Callable[[EmbeddedPortal], Any]

_USER, _PASSWORD = "amy", "amys-secret"


class Case(NamedTuple):
    """One way to sign in. `layer`: what is read by it; `who`: how it is found out who is signed in; `revoke`: how the
    site's tokens are made to die in the middle, or `None` where this way cannot get another one."""

    scheme: str
    handler: Make
    layer: Callable[[EmbeddedPortal], str]
    who: Callable[[EsriSession, EmbeddedPortal], str]
    revoke: Callable[[EmbeddedPortal], object] | None = None


def ask_portal(session: EsriSession, portal: EmbeddedPortal) -> str:
    """Who the portal says is signed in."""
    answer = session.get(f"{portal.portal_url}/sharing/rest/community/self", params={"f": "json"})
    return str(answer.json().get("username", "(nobody)"))


def _at_portal(scheme: str, handler: Make, renewable: bool = True) -> Case:
    revoke = (lambda portal: portal.revoke_all_tokens()) if renewable else None
    return Case(scheme, handler, lambda portal: portal.layer_url, ask_portal, revoke)


def _at_server(scheme: str, handler: Make, who: str = _USER) -> Case:
    """A stand-alone server has nobody to ask; that it served a secured layer is the proof."""
    return Case(
        scheme,
        handler,
        lambda portal: portal.standalone_layer_url,
        lambda session, portal: who,
        lambda portal: portal.standalone_tokens.revoke_all(),
    )


def _token(portal: EmbeddedPortal) -> str:
    return portal.issue_token(_USER, minutes=60, referer="http")


def _oauth_only(portal: EmbeddedPortal) -> EsriBuiltInAuth:
    """An organisation that takes passwords on its sign-in page only."""
    portal.generate_token_takes_passwords = False
    return EsriBuiltInAuth(portal.portal_url, _USER, _PASSWORD)


def _web_tier(portal: EmbeddedPortal) -> EsriBasicAuth:
    """A web adaptor that asks for Basic, and a portal that believes it."""
    from .testing import Answer

    def gate(request: Any) -> Answer | None:
        signed_in = request.headers.get("Authorization") == basic_field(_USER, _PASSWORD)
        return None if signed_in else Answer(401).add("WWW-Authenticate", 'Basic realm="GIS"')

    portal.portal_site.gate, portal.portal_site.web_tier = gate, lambda request: _USER
    return EsriBasicAuth(None, _USER, _PASSWORD, url=portal.portal_url)


def _app(portal: EmbeddedPortal) -> EsriOAuth2Auth:
    portal.register_app("demo-app", "demo-app-secret")
    return EsriOAuth2Auth(portal.portal_url, "demo-app", "demo-app-secret")


def _refresh_token(portal: EmbeddedPortal) -> EsriOAuth2Auth:
    token = portal.oauth.issue_refresh_token(_USER, "arcgisonline")
    return EsriOAuth2Auth(portal.portal_url, "arcgisonline", refresh_token=token)


def _person(portal: EmbeddedPortal) -> EsriOAuth2Auth:
    """A person in a browser; here a thread fills in the form, and the redirect ends at the loopback listener."""

    def open_browser(url: str) -> bool:
        threading.Thread(target=_fill_in, args=(url, portal.ca_file), daemon=True).start()
        return True

    return EsriOAuth2Auth(portal.portal_url, "arcgisonline", open_browser=open_browser, wait_seconds=30)


def _fill_in(url: str, ca_file: str) -> None:
    with EsriSession(ca_bundles=ca_file or None) as browser:
        page = Page(browser.get(url))
        form = {"oauth_state": page.oauth_state, "username": _USER, "password": _PASSWORD}
        browser.post(f"{page.origin}{page.sign_in_action}", data=form)


def _notebook_file(portal: EmbeddedPortal) -> EsriNotebookFileAuth:
    """A hosted notebook finds its token in a file; here it lies beside the portal's certificate, and goes with that."""
    path = os.path.join(os.path.dirname(portal.ca_file), "notebook.json")
    said = {"privatePortalUrl": portal.portal_url, "publicPortalUrl": portal.portal_url, "referer": "http"}
    with open(path, "w", encoding="utf-8") as file:
        json.dump({**said, "token": _token(portal)}, file)
    os.environ["NB_AUTH_FILE"] = path
    return EsriNotebookFileAuth()


def _stand_in_for_arcpy(portal: EmbeddedPortal) -> None:
    """What the handlers ask of the `arcpy` of ArcGIS Pro."""
    arcpy: Any = types.ModuleType("arcpy")
    arcpy.GetSigninToken = lambda: {"token": _token(portal), "referer": "http"}
    arcpy.GetActivePortalURL = lambda: portal.portal_url + "/"
    arcpy.gp = types.SimpleNamespace(getStandaloneServerToken=lambda path: _server_token(portal))
    sys.modules["arcpy"] = arcpy


def _server_token(portal: EmbeddedPortal) -> dict[str, str]:
    token = portal.issue_token(_USER, 60, "http", portal.standalone_url)
    return {"serverUrl": portal.standalone_url, "token": token, "referer": "http"}


def _pro(portal: EmbeddedPortal) -> ArcGISProAuth:
    _stand_in_for_arcpy(portal)
    return ArcGISProAuth()


def _connection_file(portal: EmbeddedPortal) -> ArcGISServerAuth:
    _stand_in_for_arcpy(portal)
    path = os.path.join(os.path.dirname(portal.ca_file), "server.ags")
    with open(path, "wb"):
        return ArcGISServerAuth(path)


CASES = (
    Case("none (a public layer)", lambda portal: None, lambda portal: portal.public_layer_url, ask_portal),
    _at_portal("built-in account", lambda portal: EsriBuiltInAuth(portal.portal_url, _USER, _PASSWORD, verify_sign_in=True)),
    _at_portal("generateToken", lambda portal: EsriGenTokenAuth(portal.token_url, username=_USER, password=_PASSWORD)),
    _at_server(
        "generateToken, stand-alone",
        lambda portal: EsriGenTokenAuth(portal.standalone_url, username=_USER, password=_PASSWORD),
    ),
    _at_portal(
        "token, renewed by its owner",
        lambda portal: EsriUserTokenAuth(_token(portal), "http", renew=lambda: _token(portal), url=portal.portal_url),
    ),
    _at_portal("API key", lambda portal: EsriAPIKeyAuth(portal.issue_api_key(_USER)), renewable=False),
    Case("OAuth 2, the app itself", _app, lambda portal: portal.layer_url, lambda session, portal: "(the app)"),
    _at_portal("OAuth 2, refresh token", _refresh_token),
    _at_portal("OAuth 2, a person in a browser", _person),
    _at_portal("PKCE, user and password", lambda portal: EsriPKCEAuth(portal.portal_url, _USER, _PASSWORD)),
    _at_portal(
        "notebook, a given token",
        lambda portal: EsriNotebookAuth(_token(portal), "http", url=portal.portal_url),
        renewable=False,
    ),
    _at_portal("notebook, NB_AUTH_FILE", _notebook_file, renewable=False),
    _at_portal("ArcGIS Pro (stand-in arcpy)", _pro),
    _at_server(".ags file (stand-in arcpy)", _connection_file),
    _at_portal("built-in, OAuth only", _oauth_only),
    _at_portal("Basic, at the web tier", _web_tier),
)
