"""`GIS` as an object: what it says of its site, its end, its copies, and many threads with one of it."""

from __future__ import annotations

import os
import pickle
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from copy import copy as shallow_copy
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

import esri_http.env
from esri_http import GIS, ConfigurationError, EsriHttpError, SignInError
from esri_http.gis.properties import Properties
from esri_http.testing import EmbeddedPortal, faults

from .conftest import drops_to_zero


@pytest.fixture
def amy(portal: EmbeddedPortal, connect: Any) -> GIS:
    """The portal, amy signed in."""
    gis: GIS = connect("", "amy", "amys-secret")
    portal.clear()
    return gis


# -- what it says ----------------------------------------------------------------------------------------------------


def test_what_the_site_says_is_there_by_attribute_and_by_name(portal: EmbeddedPortal, amy: GIS) -> None:
    assert amy.properties.user.username == amy.properties["user"]["username"] == "amy"
    assert amy.properties.helperServices == {}
    assert (amy.version, amy.url, str(amy)) == ("2024.1", portal.portal_url, f"GIS @ {portal.portal_url} version:2024.1")
    assert repr(amy) == str(amy)
    assert (amy.users.me.username, amy.users.me.fullName, repr(amy.users.me)) == ("amy", "Amy Adams", "<User username:amy>")
    assert repr(amy.users) == f"<Users of {amy}>"
    assert portal.requests == []


def test_an_unknown_property_is_told_with_the_nearest(amy: GIS) -> None:
    with pytest.raises(AttributeError, match=r"says nothing of 'portalname'; it says something of portalName"):
        amy.properties.portalname  # noqa: B018
    with pytest.raises(AttributeError, match=r"says nothing of 'zzz'\.$"):
        amy.properties.zzz  # noqa: B018
    assert not hasattr(amy.properties, "__array_interface__")
    assert "portalName" in dir(amy.properties)


def test_properties_are_a_dict_and_survive_a_pickle() -> None:
    said = Properties({"a": {"b": [{"c": 1}]}})
    said.d = 2
    copy = pickle.loads(pickle.dumps(said))
    assert (copy.a.b[0].c, copy.d, type(copy.a)) == (1, 2, Properties)
    assert '"c": 1' in repr(copy)


def test_a_notebook_gets_a_link(portal: EmbeddedPortal, connect: Any) -> None:
    portal.portal_site.self_overrides = {"currentVersion": "<b>1</b>"}
    gis = connect()
    url = portal.portal_url
    link = f'<a href="{url}" target="_blank" rel="noopener">{url}</a>'
    assert gis._repr_html_() == f"GIS @ {link} version:&lt;b&gt;1&lt;/b&gt;"


def test_it_explains_itself_without_a_secret(portal: EmbeddedPortal, amy: GIS, capsys: Any) -> None:
    amy.explain()
    told = capsys.readouterr().out
    lines = told.splitlines()
    asked = f"  asked        {portal.portal_url}/sharing/rest/portals/self is a portal;"
    assert lines[0] == f"GIS @ {portal.portal_url} version:2024.1, signed in as amy"
    assert lines[1:5] == [
        f"{asked} nobody is signed in",
        f"{asked} amy is signed in",
        f"  chosen       user name and password at the portal (EsriBuiltInAuth({portal.portal_url}))",
        "  because      the site asks for no sign-in at the web tier",
    ]
    assert "  possible too OAuth, in a browser: client_id=" in lines
    assert not any(secret in told for secret in ("amys-secret", amy.session.auth.token))


def test_an_explanation_names_what_the_portal_takes_and_no_more(portal: EmbeddedPortal, connect: Any, capsys: Any) -> None:
    portal.portal_site.self_overrides = {"supportsOAuth": False, "canSignInArcGIS": False}
    connect().explain()
    assert possible(capsys) == ["an API key", "a token"]
    connect(portal.standalone_url).explain()
    assert possible(capsys) == ["user name and password", "a token"]


@pytest.mark.parametrize("way, keywords", [
    ("user name and password", {"username": "amy", "password": "amys-secret"}),
    ("OAuth, as an app", {"client_id": "app1", "client_secret": "app1-secret"}),
    ("an API key", {"api_key": True}),
    ("a token", {"token": True}),
])  # fmt: skip
def test_what_was_chosen_is_not_named_as_possible_too(
    portal: EmbeddedPortal, connect: Any, capsys: Any, way: str, keywords: dict[str, Any]
) -> None:
    portal.register_app("app1", "app1-secret")
    made = {"api_key": portal.issue_api_key, "token": lambda: portal.issue_token("amy", referer="http")}
    connect("", **{name: made[name]() if name in made else value for name, value in keywords.items()}).explain()
    told = possible(capsys)
    assert (way in told, len(told)) == (False, 4)


def possible(capsys: Any) -> list[str]:
    """The ways that an explanation on the screen names as possible too."""
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    return [line.removeprefix("possible too ").rpartition(": ")[0] for line in lines if line.startswith("possible too")]


def test_what_an_organisation_calls_itself_counts_within_online_only(online: EmbeddedPortal) -> None:
    for key, base in (
        ("x", "evil.example"),
        ("a/b", "maps.arcgis.com"),
        (5, "maps.arcgis.com"),
        ("evil.example/", "arcgis.com"),
    ):
        online.portal_site.self_overrides.update(urlKey=key, customBaseUrl=base)
        with GIS(None, "amy", "amys-secret") as gis:
            assert gis.url == "https://www.arcgis.com"


# -- the active one --------------------------------------------------------------------------------------------------


def test_the_last_one_made_is_the_active_one_unless_it_should_not_be(portal: EmbeddedPortal, connect: Any) -> None:
    assert esri_http.env.active_gis is None
    first = connect()
    connect(set_active=False)
    assert esri_http.env.active_gis is first
    with connect() as second:
        assert esri_http.env.active_gis is second
        first.close()
        assert esri_http.env.active_gis is second
    assert esri_http.env.active_gis is None


# -- its end ---------------------------------------------------------------------------------------------------------


def test_after_logout_it_is_anonymous_and_says_so(portal: EmbeddedPortal, connect: Any) -> None:
    portal.generate_token_takes_passwords = False
    gis = connect("", "amy", "amys-secret")
    token = gis.session.auth.token
    assert gis.logout() is True
    assert portal.tokens.get(token) is None
    portal.clear()
    assert repr(gis) == "<GIS that is not signed in>"
    assert gis._repr_html_() == "&lt;GIS that is not signed in&gt;"
    assert portal.requests == []
    assert (gis.users.me, gis.session.auth, gis.properties.portalName) == (None, None, "ArcGIS Enterprise")
    assert gis.session.get(portal.layer_url, params={"f": "json"}).esri_error.code == 499
    assert gis.logout() is False


def test_nobody_is_signed_in_at_a_server_after_logout(portal: EmbeddedPortal, connect: Any) -> None:
    gis = connect(portal.standalone_url, "amy", "amys-secret")
    assert gis.users.me.username == "amy"
    gis.logout()
    assert (gis.users.me, "user" in gis.properties) == (None, False)


def test_a_server_is_not_said_to_know_whom_it_does_not_name(portal: EmbeddedPortal, connect: Any) -> None:
    token = portal.issue_token("bob", referer="http", server_url=portal.standalone_url)
    assert connect(portal.standalone_url, "amy", token=token).users.me is None


def test_a_closed_one_can_be_used_again(portal: EmbeddedPortal, amy: GIS) -> None:
    amy.close()
    assert amy.session.get(portal.layer_url, params={"f": "json"}).json()["name"] == "Places"


def test_a_sign_in_that_fails_leaves_nothing_open(portal: EmbeddedPortal, connect: Any) -> None:
    with pytest.raises(EsriHttpError):
        connect("", "amy", "a-wrong-one")
    assert drops_to_zero(portal)


@pytest.mark.parametrize("pickle_secrets", [False, True])
@pytest.mark.parametrize("by", ["password", "profile", "key"])
def test_a_copy_of_one_that_has_signed_out_is_anonymous_too_and_holds_no_secret(
    portal: EmbeddedPortal, connect: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, by: str, pickle_secrets: bool
) -> None:
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("ESRI_HTTP_PASSWORD_X", "amys-secret")
    ways = {
        "password": {"username": "amy", "password": "amys-secret"},
        "profile": {"username": "amy", "profile": "x"},
        "key": {"api_key": portal.issue_api_key("amy")},
    }
    gis = connect(**ways[by], pickle_secrets=pickle_secrets, timeout=7)
    gis.logout()
    pickled = pickle.dumps(gis)
    for secret in ("amys-secret", *ways[by].values()):
        assert secret in ("amy", "x") or secret.encode() not in pickled
    portal.clear()
    with pickle.loads(pickled) as copy:
        assert (copy.users.me, copy.session.auth, copy.url) == (None, None, portal.portal_url)
        assert copy.session.timeout == (7, 7)
        with pickle.loads(pickle.dumps(copy)) as another:
            assert another.users.me is None
    assert [request.method for request in portal.requests] == ["GET"]
    assert {gis.profile_parts().username, gis.profile_parts().secret} == {None}


# -- its copies ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "keywords",
    [
        {"username": "amy", "password": "amys-secret"}, {"token": True}, {"api_key": True},
        {"client_id": "app1", "client_secret": "app1-secret"}, {"headers": {"X-Key": "hidden"}},
        {"mfa_code": "JBSWY3DPEHPK3PXP"}, {"proxy_auth": ("amy", "hidden")},
    ],
)  # fmt: skip
def test_a_pickle_holds_no_secret_and_says_so_when_one_is_missing(portal: EmbeddedPortal, connect: Any, keywords: Any) -> None:
    portal.register_app("app1", "app1-secret")
    given = dict(keywords)
    if "token" in given:
        given["token"] = portal.issue_token("amy", referer="http")
    if "api_key" in given:
        given["api_key"] = portal.issue_api_key("amy")
    gis = connect("", **given)
    pickled = pickle.dumps(gis)
    token = None if gis.session.auth is None else gis.session.auth.token
    for secret in (*given.values(), token, "hidden"):
        assert str(secret).encode() not in pickled or secret in ("amy", "app1", None)
    portal.clear()
    copy = pickle.loads(pickled)
    assert (repr(copy), copy.properties, copy.url) == (repr(gis), gis.properties, gis.url)
    name = list(given)[-1]
    with pytest.raises(SignInError, match=rf"comes from a pickle, which holds no {name}="):
        copy.session  # noqa: B018
    assert portal.requests == []


def test_a_copy_by_a_profile_goes_without_no_other_secret(
    portal: EmbeddedPortal, connect: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    portal.register_app("app1", "app1-secret")
    pickled = pickle.dumps(connect(client_id="app1", client_secret="app1-secret", profile="x"))
    portal.clear()
    with pytest.raises(SignInError, match="comes from a pickle, which holds no client_secret="):
        pickle.loads(pickled).session  # noqa: B018
    assert portal.requests == []


def test_an_anonymous_copy_connects_when_it_is_used(portal: EmbeddedPortal, connect: Any) -> None:
    copy = pickle.loads(pickle.dumps(connect()))
    portal.clear()
    assert copy.session.get(portal.public_layer_url, params={"f": "json"}).json()["name"] == "Places"
    assert len(portal.requests) == 2
    copy.close()


def test_a_pickle_with_secrets_is_signed_in(portal: EmbeddedPortal, amy: GIS) -> None:
    amy.pickle_secrets = True
    copy = pickle.loads(pickle.dumps(amy))
    assert copy.session.auth.token == amy.session.auth.token
    assert portal.requests == []
    assert copy.session.get(portal.layer_url, params={"f": "json"}).json()["name"] == "Places"
    assert copy.pickle_secrets is True
    copy.close()


def test_a_copy_in_another_process_signs_in_again_by_what_is_there(portal: EmbeddedPortal, connect: Any) -> None:
    gis = connect(portal.portal_url, "amy", "amys-secret", pickle_secrets=True)
    program = "import pickle, sys; gis = pickle.load(sys.stdin.buffer); print(gis.users.me.username, gis.session.auth.token)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        input=pickle.dumps(gis),
        capture_output=True,
        timeout=50,
        env=dict(os.environ),
    )
    assert done.stderr == b""
    assert done.stdout.decode().split() == ["amy", gis.session.auth.token]


@pytest.mark.parametrize("keywords", [
    {"proxies": {"https": "http://u:hidden@proxy.example:80"}}, {"proxies": "http://u:hidden@proxy.example:80"},
    {"proxy": {"https": "http://u:hidden@proxy.example:80"}}, {"proxy_host": "u:hidden@proxy.example", "proxy_port": 80},
])  # fmt: skip
def test_a_pickle_keeps_no_password_of_a_proxy(portal: EmbeddedPortal, connect: Any, keywords: Any) -> None:
    gis = connect()
    gis._given = gis._given.replaced(**keywords)
    pickled = pickle.dumps(gis)
    assert b"hidden" not in pickled
    with pytest.raises(SignInError, match=rf"which holds no {next(iter(keywords))}="):
        pickle.loads(pickled).session  # noqa: B018


@pytest.mark.parametrize("rest", ["/home/?token=hidden", "/home/#access_token=hidden&expires_in=7200"])
def test_a_pickle_keeps_no_token_of_an_address(portal: EmbeddedPortal, connect: Any, rest: str) -> None:
    pickled = pickle.dumps(connect(portal.portal_url + rest))
    assert b"hidden" not in pickled
    copy = pickle.loads(pickled)
    assert copy.session.auth is None
    copy.close()


def test_one_with_a_context_of_its_own_says_that_it_cannot_be_pickled(portal: EmbeddedPortal, connect: Any) -> None:
    gis = connect(verify_cert=ssl.create_default_context(cafile=portal.ca_file))
    with pytest.raises(ConfigurationError, match=r"ssl\.SSLContext cannot be pickled; set verify_cert= to a path"):
        pickle.dumps(gis)


@pytest.mark.parametrize("make", [shallow_copy, deepcopy])
def test_a_copy_in_this_process_is_the_same_sign_in(portal: EmbeddedPortal, amy: GIS, make: Any) -> None:
    other = make(amy)
    assert other is not amy
    assert other.session is amy.session
    assert (other.users.me.username, portal.requests) == ("amy", [])


# -- threads ---------------------------------------------------------------------------------------------------------


def test_many_threads_use_one_and_renew_its_token_once(portal: EmbeddedPortal, amy: GIS) -> None:
    portal.revoke_all_tokens()

    def work(_: int) -> Any:
        return amy.session.get(portal.portal_url + "/sharing/rest/community/self", params={"f": "json"}).json()["username"]

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(work, range(64))) == {"amy"}
    assert portal.count("/generateToken") == 1


def test_many_threads_with_one_copy_connect_once(portal: EmbeddedPortal, connect: Any) -> None:
    copy = pickle.loads(pickle.dumps(connect()))
    portal.clear()
    portal.faults.add("/portals/self", faults.delay(0.05), times=1)
    with ThreadPoolExecutor(8) as pool:
        assert len({id(session) for session in pool.map(lambda _: copy.session, range(8))}) == 1
    assert portal.count("/portals/self") == 1
    copy.close()
