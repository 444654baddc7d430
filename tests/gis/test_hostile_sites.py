"""What a site says is not to be believed: it leads `GIS` nowhere, holds it up no longer than a call, and cannot break it."""

from __future__ import annotations

import copy
import io
import json
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from esri_http import GIS, ConnectionLostError, DeadlineExceededError, EsriSession, SignInError
from esri_http.testing import EmbeddedPortal
from tests.support.http_messages import Reply, json_reply

from .conftest import ask_basic, paths

PORTAL = {"isPortal": True, "portalName": "P", "access": "public", "currentVersion": "11.3"}
PASSWORD = ("amy", "amys-secret")


@pytest.fixture
def site(handler_peer: Any) -> Iterator[Callable[..., GIS]]:
    """`site(fields, ...)`: a `GIS` of a portal that says these fields of itself; closed after the test."""
    opened: list[GIS] = []

    def make(fields: dict[str, Any], *args: Any, **keywords: Any) -> GIS:
        peer = handler_peer(lambda request: json_reply({**PORTAL, **fields}))
        opened.append(GIS(peer.url_for("/portal"), *args, **keywords))
        return opened[-1]

    yield make
    for gis in opened:
        gis.close()


def explained(gis: GIS, encoding: str = "utf-8") -> str:
    content = io.BytesIO()
    stream = io.TextIOWrapper(content, encoding=encoding, newline="")
    gis.explain(stream)
    stream.flush()
    return content.getvalue().decode(encoding)


# -- what is shown ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["\x1b[31mamy\r\nroot signed in", "a\u202eb", "a\x9bb", "\ud800", "\U000e0001"])
def test_names_that_would_do_something_to_a_screen_are_shown_harmlessly(site: Any, name: str, caplog: Any) -> None:
    with caplog.at_level("DEBUG", "esri_http.gis"):
        gis = site({"user": {"username": name}, "currentVersion": name, "portalName": name})
    assert gis.users.me.username == name
    shown = [str(gis), repr(gis), gis._repr_html_(), gis.version, repr(gis.users.me), caplog.messages[-1]]
    assert [text for text in shown if not text.isprintable()] == []
    several = [explained(gis), repr(gis.properties)]
    assert [text for text in several if not text.replace("\n", "").isprintable()] == []
    assert json.loads(repr(gis.properties))["portalName"] == name


def test_what_is_shown_is_of_bounded_length(site: Any) -> None:
    gis = site({"user": {"username": "x" * 100_000}, "currentVersion": "9" * 100_000})
    assert max(map(len, (str(gis), gis._repr_html_(), repr(gis.users.me), *explained(gis).splitlines()))) < 300


@pytest.mark.parametrize("version, shown", [(11.3, "11.3"), ("2024.1", "2024.1"), ({"a": 1}, ""), (None, ""), ([], "")])
def test_a_version_is_a_text_or_a_number(site: Any, version: Any, shown: str) -> None:
    assert site({"currentVersion": version}).version == shown


def test_a_console_that_lacks_letters_gets_an_explanation_all_the_same(site: Any) -> None:
    assert r"signed in as \u0418\u0432\u0430\u043d" in explained(site({"user": {"username": "Иван"}}), "cp1252")


# -- what is read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [60, 500, 100_000])
@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}")])
def test_an_answer_that_is_nested_too_deep_is_none(handler_peer: Any, depth: int, opening: str, closing: str) -> None:
    deep = f'{{"isPortal":true,"a":{opening * depth}1{closing * depth}}}'.encode()
    peer = handler_peer(lambda request: Reply(200, body=deep, headers=[("Content-Type", "application/json")]))
    with pytest.raises(SignInError, match="there is neither a portal nor an ArcGIS Server"):
        GIS(peer.url_for("/portal"))


def test_an_answer_that_is_nested_a_little_can_be_walked_through(site: Any) -> None:
    deep: Any = 1
    for _ in range(25):
        deep = {"a": [deep]} if _ % 2 else {"a": deep}
    gis = site({"deep": deep["a"]})
    assert copy.deepcopy(gis.properties) == pickle.loads(pickle.dumps(gis)).properties == gis.properties
    assert repr(gis.properties)


def test_a_site_has_no_say_in_how_python_treats_its_properties(site: Any) -> None:
    gis = site(dict.fromkeys(("__deepcopy__", "__array_interface__", "__reduce_ex__", "__len__"), "x"))
    assert copy.deepcopy(gis.properties) == gis.properties
    assert not hasattr(gis.properties, "__array_interface__")


def trickle() -> Iterator[bytes]:
    yield b'{"isPortal":true,'
    while True:
        threading.Event().wait(0.05)
        yield b" "


@pytest.mark.parametrize("framing", [[], [("Content-Length", "1000000")]])
def test_a_trickle_does_not_outlive_the_deadline(handler_peer: Any, framing: list[tuple[str, str]]) -> None:
    reply_headers = [("Content-Type", "application/json"), *framing]
    peer = handler_peer(lambda request: Reply(200, body=trickle(), headers=reply_headers))
    began = time.monotonic()
    with pytest.raises(DeadlineExceededError, match=r"the 0\.5 s for the whole call are used up"):
        GIS(peer.url_for("/portal"), deadline=0.5)
    assert time.monotonic() - began < 5


def test_of_the_answer_that_proves_a_sign_in_no_more_is_read_than_of_others(handler_peer: Any) -> None:
    sent = 0

    def services() -> Iterator[bytes]:
        nonlocal sent
        yield b'{"services":['
        while sent < 128 << 20:
            sent += 1 << 20
            yield b" " * (1 << 20)

    def answer(request: Any) -> Reply:
        if request.path.endswith("/rest/services"):
            return Reply(200, body=services(), headers=[("Content-Type", "application/json")])
        return json_reply({"currentVersion": 11.3, "authInfo": {"isTokenBasedSecurity": True}})

    peer = handler_peer(answer)
    GIS(peer.url_for("/arcgis/rest/services"), token="x").close()
    assert 0 < sent < 32 << 20


def test_an_answer_that_breaks_off_is_told_as_such(handler_peer: Any) -> None:
    def broken() -> Iterator[bytes]:
        yield b'{"isPortal":true,'

    reply = Reply(200, body=broken(), headers=[("Content-Type", "application/json"), ("Content-Length", "100")], close=True)
    peer = handler_peer(lambda request: reply)
    with pytest.raises(ConnectionLostError):
        GIS(peer.url_for("/portal"), retries=0)


# -- where it leads --------------------------------------------------------------------------------------------------


def server_that_names(owner_of: Callable[[int], str], handler_peer: Any) -> Any:
    """A peer at which every path is an ArcGIS Server, federated with what `owner_of` says of the n-th question."""
    asked = [0]

    def answer(request: Any) -> Reply:
        if "/sharing/" in request.target:
            return Reply(404)
        asked[0] += 1
        return json_reply({"currentVersion": 11.3, "owningSystemUrl": f"{peer.url_for('')}{owner_of(asked[0])}"})

    peer = handler_peer(answer)
    return peer


@pytest.mark.parametrize("owner_of", [lambda number: "/arcgis", lambda number: f"/portal{number}"], ids=["itself", "another"])
@pytest.mark.parametrize("credentials", [(), PASSWORD])
def test_servers_that_lead_to_servers_lead_nowhere(handler_peer: Any, owner_of: Any, credentials: Any) -> None:
    peer = server_that_names(owner_of, handler_peer)
    with pytest.raises(SignInError, match="there is neither a portal nor an ArcGIS Server"):
        GIS(peer.url_for("/arcgis/rest/services"), *credentials)
    assert [request.method for request in peer.requests] == ["GET", "GET"]


@pytest.mark.parametrize("credentials", [{}, {"username": "amy", "password": "x"}, {"token": "a-token"}])
def test_a_server_that_moved_to_another_host_is_named(portal: EmbeddedPortal, handler_peer: Any, credentials: Any) -> None:
    peer = handler_peer(lambda request: Reply(302, headers=[("Location", portal.standalone_url + "/rest/info?f=json")]))
    with pytest.raises(SignInError, match=rf"leads to {portal.standalone_url}\. If that is your site, give its address"):
        GIS(peer.url_for("/arcgis/rest/services"), **credentials)
    assert portal.count(method="POST") == 0


def moved_to(portal: EmbeddedPortal, handler_peer: Any) -> str:
    """The address by http of a portal that answers by https, on another port of its own host."""
    there = portal.portal_url.replace("localhost", "127.0.0.1")
    peer = handler_peer(lambda request: Reply(301, headers=[("Location", there + request.target.removeprefix("/portal"))]))
    return str(peer.url_for("/portal"))


@pytest.mark.parametrize("how", ["password", "token", "nobody"])
def test_whoever_signs_in_at_a_site_that_moved_to_https_is_signed_in_there(
    portal: EmbeddedPortal, connect: Any, handler_peer: Any, how: str
) -> None:
    ways = {"password": PASSWORD, "token": (), "nobody": ()}
    keywords = {"token": portal.issue_token("amy", referer="http")} if how == "token" else {}
    gis = connect(moved_to(portal, handler_peer), *ways[how], **keywords)
    assert gis.url == portal.portal_url.replace("localhost", "127.0.0.1")
    assert (gis.users.me and gis.users.me.username) == (None if how == "nobody" else "amy")


def test_a_web_tier_behind_a_move_to_https_is_signed_in_at(portal: EmbeddedPortal, connect: Any, handler_peer: Any) -> None:
    ask_basic(portal, {"amy": "door"})
    assert connect(moved_to(portal, handler_peer), "amy", "door").users.me.username == "amy"


def test_a_site_that_leads_on_and_on_is_not_followed(handler_peer: Any) -> None:
    to = {"/portal/sharing/rest/portals/self?f=json": "/a", "/a/sharing/rest/portals/self?f=json": "/b"}

    def answer(request: Any) -> Reply:
        other = to.get(request.target)
        return json_reply(PORTAL) if other is None else Reply(302, headers=[("Location", f"{other}/sharing/rest/portals/self")])

    peer = handler_peer(answer)
    with pytest.raises(SignInError, match=r"/a leads on to http://.*/b\. Give the address of the site itself"):
        GIS(peer.url_for("/portal"), *PASSWORD)
    assert {request.method for request in peer.requests} == {"GET"}


# -- an app asks at portals alone ------------------------------------------------------------------------------------


@pytest.mark.parametrize("keywords", [{"client_secret": "app1-secret"}, {"username": "amy", "password": "amys-secret"}])
def test_an_app_is_signed_in_at_the_portal_of_a_federated_server(portal: EmbeddedPortal, connect: Any, keywords: Any) -> None:
    portal.register_app("app1", "app1-secret", redirect_uris=["urn:ietf:wg:oauth:2.0:oob"])
    gis = connect(portal.layer_url, client_id="app1", **keywords)
    assert gis.url == portal.portal_url
    assert not any(path.startswith(("GET /server/sharing", "POST /server")) for path in paths(portal))


def test_a_users_password_for_an_app_is_asked_for_once_the_portal_is_known(portal: EmbeddedPortal, connect: Any) -> None:
    portal.register_app("app1", redirect_uris=["urn:ietf:wg:oauth:2.0:oob"])
    prompts: list[str] = []
    connect(portal.layer_url, "amy", client_id="app1", prompt=lambda text: prompts.append(text) or "amys-secret")
    assert prompts == [f"Enter password for amy at {portal.portal_url}: "]


def test_an_app_is_nothing_that_a_stand_alone_server_knows(portal: EmbeddedPortal, connect: Any) -> None:
    with pytest.raises(SignInError, match="those know no OAuth: leave client_id= out"):
        connect(portal.standalone_url + "/rest/services", client_id="app1", client_secret="app1-secret")
    assert paths(portal) == ["GET /arcgis/rest/info"]


def test_strangers_may_look_at_a_server_of_a_foreign_portal_through_a_session_of_their_own(
    portal: EmbeddedPortal, connect: Any
) -> None:
    portal.server_site.info_overrides = {"owningSystemUrl": "https://elsewhere.example/portal"}
    with EsriSession() as session:
        assert connect(portal.server_url + "/rest/services", session=session).url == portal.server_url
