"""`ArcGISServerAuth`: a stand-alone server by a connection file of ArcGIS Pro."""

from __future__ import annotations

import inspect
import logging
import os
import pickle
import sys

import pytest

from esri_http import ArcGISServerAuth
from esri_http.testing import EmbeddedPortal
from esri_http.words.errors import ArcGISLoginError, ConfigurationError, MissingPackageError, SignInError, TokenRequestError
from tests.auth.helpers import assert_hidden, in_threads, token_sent
from tests.auth.hosts import PRO_REFERER, in_its_own_process, stand_in


@pytest.fixture
def arcpy(monkeypatch):
    return stand_in("arcpy", monkeypatch)


@pytest.fixture
def ags_file(tmp_path):
    path = tmp_path / "roads.ags"
    path.write_bytes(b"connection")
    return path


@pytest.fixture
def handler(ags_file, fake_clock):
    return lambda **options: ArcGISServerAuth(ags_file, clock=fake_clock, **options)


def connect(arcpy, portal, url_path="/services", **changes):
    """What the connection file gives: the token."""
    token = portal.issue_token("amy", referer=PRO_REFERER, server_url=portal.standalone_url)
    held = {"serverUrl": portal.standalone_url + url_path, "token": token, "referer": PRO_REFERER, **changes}
    arcpy.servers["roads.ags"] = {name: value for name, value in held.items() if value is not None}
    return token


def kind(session, url):
    return session.get(url + "?f=json").json()["type"]


def test_in_a_process_of_its_own_the_server_is_read_with_its_token(ags_file):
    program = """
from esri_http import ArcGISServerAuth, EsriSession
path, layer, held = given
session = EsriSession(auth=ArcGISServerAuth(path))
early = "arcpy" in sys.modules
import arcpy
arcpy.servers["roads.ags"] = held
kinds = [session.get(layer + "?f=json").json()["type"] for _ in range(3)]
print(json.dumps([early, kinds, arcpy.calls]))
"""
    with EmbeddedPortal(https=False) as portal:
        token = portal.issue_token("amy", referer=PRO_REFERER, server_url=portal.standalone_url)
        held = {"serverUrl": portal.standalone_url + "/services", "token": token, "referer": PRO_REFERER}
        found = in_its_own_process(program, str(ags_file), portal.standalone_layer_url, held)
    assert found == [False, ["Feature Layer"] * 3, ["getStandaloneServerToken"]]


def test_the_parameters_are_those_that_scripts_use():
    assert list(inspect.signature(ArcGISServerAuth).parameters)[:2] == ["ags_file", "legacy"]


@pytest.mark.parametrize("path", ["", "/", "/services", "/services/", "/rest/services", "/admin", "/manager", "/tokens"])
def test_any_url_of_the_server_will_do(arcpy, handler, portal, open_session, path):
    token = connect(arcpy, portal, path)
    session = open_session(handler())
    for _ in range(3):
        assert kind(session, portal.standalone_layer_url) == "Feature Layer"
    assert str(session.auth.portal) == portal.standalone_url
    assert session.auth.token == token
    assert arcpy.calls == ["getStandaloneServerToken"]
    assert {request.headers["Referer"] for request in portal.requests} == {PRO_REFERER}
    assert len(portal.requests) == 3


def test_neither_the_portal_nor_other_servers_get_the_token(arcpy, handler, portal, open_session):
    connect(arcpy, portal)
    session = open_session(handler())
    kind(session, portal.standalone_layer_url)
    assert kind(session, portal.public_layer_url) == "Feature Layer"
    session.get(portal.portal_url + "/sharing/rest/portals/self?f=json")
    with pytest.raises(SignInError, match="this session's is for"):
        session.get(portal.layer_url + "?f=json")
    assert {token_sent(request) for request in portal.requests if request.site != "standalone"} == {None}


def test_a_refused_token_is_asked_for_again(arcpy, handler, portal, open_session):
    session = open_session(handler())
    first = connect(arcpy, portal)
    kind(session, portal.standalone_layer_url)
    portal.revoke(first)
    connect(arcpy, portal)
    assert kind(session, portal.standalone_layer_url) == "Feature Layer"
    assert len(arcpy.calls) == 2


def test_the_same_one_again_is_an_error_each_time(arcpy, handler, portal, open_session):
    portal.revoke(connect(arcpy, portal))
    session = open_session(handler())
    for _ in range(2):
        with pytest.raises(ArcGISLoginError, match="hands out the same one again"):
            kind(session, portal.standalone_layer_url)
    assert None not in {token_sent(request) for request in portal.requests}


def test_sixteen_threads_ask_once(arcpy, handler, portal, open_session):
    connect(arcpy, portal)
    session = open_session(handler())
    assert in_threads(16, lambda number: kind(session, portal.standalone_layer_url)) == ["Feature Layer"] * 16
    assert len(arcpy.calls) == 1


def test_the_legacy_way_works_too(arcpy, handler, portal, open_session):
    token = connect(arcpy, portal)
    assert kind(open_session(handler(legacy=True)), portal.standalone_layer_url) == "Feature Layer"
    assert portal.requests[0].query["token"] == token


@pytest.mark.parametrize("token", [None, ""])
def test_a_file_without_a_saved_sign_in_is_an_error_that_says_so(arcpy, handler, portal, open_session, token):
    connect(arcpy, portal, token=token)
    with pytest.raises(ArcGISLoginError, match="Nobody is signed in at .* save user name and password in it"):
        kind(open_session(handler()), portal.standalone_layer_url)
    assert portal.requests == []


@pytest.mark.parametrize("url", [None, "", 7, "no address", "ftp://gis.example"])
def test_a_file_without_a_server_is_an_error(arcpy, handler, portal, open_session, url):
    connect(arcpy, portal, serverUrl=url)
    with pytest.raises(ArcGISLoginError, match=r"The server in .*roads\.ags"):
        kind(open_session(handler()), portal.standalone_layer_url)


@pytest.mark.parametrize("given", [None, [], "text"])
def test_what_is_no_sign_in_is_an_error(arcpy, handler, portal, open_session, given):
    arcpy.servers["roads.ags"] = given
    with pytest.raises(ArcGISLoginError, match="is not known"):
        kind(open_session(handler()), portal.standalone_layer_url)


def test_what_arcpy_raises_is_told_in_our_words(arcpy, handler, portal, open_session):
    with pytest.raises(TokenRequestError, match=r"arcpy failed in gp\.getStandaloneServerToken: 'roads\.ags'"):
        kind(open_session(handler()), portal.standalone_layer_url)


def test_a_file_that_is_not_there_is_named_at_once(tmp_path):
    for path in (tmp_path / "none.ags", str(tmp_path), os.fsencode(tmp_path / "none.ags")):
        with pytest.raises(ConfigurationError, match=r"There is no connection file .*give the path of an \.ags file"):
            ArcGISServerAuth(path)


@pytest.mark.parametrize("path", [None, 7, [], "nul\0.ags"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ConfigurationError):
        ArcGISServerAuth(path)


def test_a_file_that_has_gone_is_named_when_it_is_needed(arcpy, handler, portal, open_session, ags_file):
    connect(arcpy, portal)
    session = open_session(handler())
    ags_file.unlink()
    with pytest.raises(ConfigurationError, match="There is no connection file"):
        kind(session, portal.standalone_layer_url)
    assert arcpy.calls == []


def test_a_relative_path_stays_the_same_file(arcpy, portal, open_session, ags_file, monkeypatch):
    connect(arcpy, portal)
    monkeypatch.chdir(ags_file.parent)
    auth = ArcGISServerAuth("roads.ags")
    monkeypatch.chdir("/")
    assert auth.ags_file == str(ags_file)
    assert kind(open_session(auth), portal.standalone_layer_url) == "Feature Layer"


def test_elsewhere_than_in_pro_it_says_what_is_missing(monkeypatch, ags_file, portal, open_session):
    monkeypatch.setitem(sys.modules, "arcpy", None)
    with pytest.raises(MissingPackageError, match="ArcGISServerAuth works only in the Python of ArcGIS Pro"):
        kind(open_session(ArcGISServerAuth(ags_file)), portal.standalone_layer_url)


def test_it_pickles_with_its_token_and_shows_it_nowhere(arcpy, portal, open_session, ags_file, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    token = connect(arcpy, portal)
    session = open_session(ArcGISServerAuth(ags_file))
    kind(session, portal.standalone_layer_url)
    described = session.auth.describe(portal.standalone_layer_url) + session.auth.describe(portal.layer_url)
    assert f"the token of {portal.standalone_url}" in described
    assert_hidden([token], session, session.auth, described, logs=caplog.text)
    monkeypatch.setitem(sys.modules, "arcpy", None)
    twin = pickle.loads(pickle.dumps(session.auth))
    assert kind(open_session(twin), portal.standalone_layer_url) == "Feature Layer"
