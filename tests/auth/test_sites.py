"""Sites by their URLs: roots, environments of ArcGIS Online, and which announced portal is ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esri_http import EsriGenTokenAuth
from esri_http.auth.sites import Root, is_online_site, online_environment, portal_root, same_portal, server_root
from esri_http.words.urls import split_url
from tests.auth.helpers import token_sent
from tests.support.peers import json_reply


def root(url):
    split = split_url(url)
    return Root(split.origin, split.path.rstrip("/"))


@pytest.mark.parametrize(
    "path, expected",
    [
        ("/arcgis/rest/services", "/arcgis"),
        ("/arcgis/rest/services/", "/arcgis"),
        ("/arcgis/rest/services/A/MapServer/0/query", "/arcgis"),
        ("/arcgis/rest/admin/services/A", "/arcgis"),
        ("/gis/server/rest/services/Folder/rest/services/X", "/gis/server"),
        ("/rest/services", ""),
        ("/arcgis/rest/info", "/arcgis"),
        ("/arcgis/rest", "/arcgis"),
        ("/arcgis/admin/", "/arcgis"),
        ("/arcgis/admin/services/X", "/arcgis"),
        ("/arcgis/tokens/", "/arcgis"),
        ("/arcgis/manager", "/arcgis"),
        ("/arcgis/services/X/MapServer/WMSServer", "/arcgis"),
        ("/services/rest/services/X", "/services"),
        ("/services/REST/services/X", "/services"),
        ("/0123ABCdef/arcgis/rest/services/X/FeatureServer", "/0123ABCdef/arcgis"),
        ("/", None),
        ("", None),
        ("/arcgis", None),
        ("/restaurants/services-menu", None),
        ("/arcgis/restful/services2", None),
        ("/portal/sharing/rest/portals/self", None),
        ("/portal/sharing/rest/info", None),
        ("/portal/sharing/servers/0123/rest/services/X", None),
        ("/portal/home/item.html", None),
        ("/portal/portaladmin/security", None),
    ],
)
def test_the_root_of_a_server_is_what_stands_before_its_own_part(path, expected):
    origin = split_url("https://h.example").origin
    assert server_root(origin, path) == (None if expected is None else Root(origin, expected))


@pytest.mark.parametrize(
    "path", ["", "/", "/sharing", "/sharing/rest/portals/self", "/home/index.html", "/portaladmin/", "/apps/x", "/Home/"]
)
@pytest.mark.parametrize("context", ["", "/portal", "/gis/portal"])
def test_the_root_of_a_portal_is_found_from_any_page(context, path):
    assert str(portal_root(split_url(f"https://h.example{context}{path}"))) == f"https://h.example{context}"


@pytest.mark.parametrize(
    "path, inside",
    [("/portal", True), ("/portal/", True), ("/portal/x", True), ("/portal2", False), ("/Portal/x", False), ("/", False)],
)
def test_a_site_holds_whole_segments_of_paths(path, inside):
    site = root("https://h.example/portal")
    assert site.holds(site.origin, path) is inside
    assert not site.holds(site.origin._replace(scheme="http", port=80), path)


@pytest.mark.parametrize(
    "host, environment",
    [
        ("www.arcgis.com", "prod"), ("arcgis.com", "prod"), ("org.maps.arcgis.com", "prod"), ("services.arcgis.com", "prod"),
        ("services1.arcgis.com", "prod"), ("tiles.arcgis.com", "prod"), ("org.mapsdev.arcgis.com", "dev"),
        ("devext.arcgis.com", "dev"), ("servicesdev.arcgis.com", "dev"), ("org.mapsqa.arcgis.com", "qa"),
        ("qaext.arcgis.com", "qa"), ("evilarcgis.com", None), ("arcgis.com.evil.example", None), ("www.arcgis.com.evil", None),
        ("www.arcgis.community", None), ("arcgis-com.example", None), ("wwwXarcgisXcom", None), ("", None),
        ("www.arcgis.com\n", None),
    ],
)  # fmt: skip
def test_environments_of_arcgis_online(host, environment):
    assert online_environment(host) == environment


@pytest.mark.parametrize(
    "announced, portal, same",
    [
        ("https://portal.example/gis", "https://portal.example/gis", True),
        ("https://portal.example/gis/", "https://portal.example/gis", True),
        (" https://portal.example/gis ", "https://portal.example/gis", True),
        ("http://portal.example/gis", "https://portal.example/gis", True),
        ("https://portal.example:443/gis", "https://portal.example/gis", True),
        ("https://PORTAL.example/GIS", "https://portal.example/gis", True),
        ("https://portal.example/gis/sharing/rest", "https://portal.example/gis", True),
        ("https://portal.example/gis/home", "https://portal.example/gis", True),
        ("https://portal.example:7443/gis", "https://portal.example:7443/gis", True),
        ("https://portal.example:7443/gis", "https://portal.example/gis", False),
        ("http://portal.example:8080/gis", "https://portal.example/gis", False),
        ("https://portal.example", "https://portal.example/gis", False),
        ("https://portal.example/gis2", "https://portal.example/gis", False),
        ("https://portal.example.evil/gis", "https://portal.example/gis", False),
        ("https://portalXexample/gis", "https://portal.example/gis", False),
        ("https://user:pw@portal.example/gis", "https://portal.example/gis", True),
        ("https://portal.example@evil.example/gis", "https://portal.example/gis", False),
        ("https://evil.example/https://portal.example/gis", "https://portal.example/gis", False),
        ("https://evil.example?https://portal.example/gis", "https://portal.example/gis", False),
        ("http://www.arcgis.com", "https://org.maps.arcgis.com", True),
        ("https://www.arcgis.com", "https://www.arcgis.com", True),
        ("https://other.maps.arcgis.com", "https://org.maps.arcgis.com", True),
        ("https://devext.arcgis.com", "https://org.maps.arcgis.com", False),
        ("https://qaext.arcgis.com", "https://org.mapsqa.arcgis.com", True),
        ("https://www.arcgis.com.evil.example", "https://org.maps.arcgis.com", False),
        ("https://evilarcgis.com", "https://www.arcgis.com", False),
        ("https://www.arcgis.com", "https://portal.example/gis", False),
        ("portal.example/gis", "https://portal.example/gis", False),
        ("", "https://portal.example/gis", False),
        (".*", "https://portal.example/gis", False),
        (None, "https://portal.example/gis", False),
        (7, "https://portal.example/gis", False),
        (["https://portal.example/gis"], "https://portal.example/gis", False),
    ],
)
def test_an_announced_portal_is_ours_or_is_not(announced, portal, same):
    assert same_portal(announced, root(portal)) is same


@given(
    st.text()
    | st.sampled_from(["https://", "http://[", "//", "https://portal.example"]).flatmap(
        lambda start: st.text().map(start.__add__)
    )
)
def test_whatever_is_announced_is_compared_and_never_raises(announced):
    assert same_portal(announced, root("https://portal.example/gis")) in (True, False)


class TestArcgisOnline:
    """All hosts of one environment of ArcGIS Online take the token of an organisation; nobody else does."""

    NAMES = (
        "org.maps.arcgis.com", "www.arcgis.com", "services.arcgis.com", "servicesdev.arcgis.com", "arcgis.com.evil.example",
        "evilarcgis.com", "evil.example",
    )  # fmt: skip

    @pytest.fixture
    def world(self, handler_peer, proxy_peer, ca, open_session, fake_clock):
        def handle(request):
            if request.path.endswith("/generateToken"):
                return json_reply({"token": "org-token", "expires": 4_000_000_000_000, "ssl": True})
            if request.path.endswith("/rest/info"):
                return json_reply({"owningSystemUrl": "http://www.arcgis.com"})
            return json_reply({})

        peer = handler_peer(handle, tls=ca.server(*self.NAMES))
        plain = handler_peer(handle)
        proxy = proxy_peer(
            names=dict.fromkeys(self.NAMES, ("127.0.0.1", peer.port)),
            intercept=lambda request: None if request.method == "CONNECT" else plain.handler(request),
        )
        auth = EsriGenTokenAuth("https://org.maps.arcgis.com/home", None, "amy", "amys-secret", clock=fake_clock)
        session = open_session(auth, proxies={"https": proxy.url, "http": proxy.url}, ca_bundles=ca.file)
        return session, peer, proxy

    @pytest.mark.parametrize(
        "url",
        [
            "https://org.maps.arcgis.com/sharing/rest/portals/self", "https://www.arcgis.com/sharing/rest/portals/self",
            "https://services.arcgis.com/0123/arcgis/rest/services/x/FeatureServer/0", "https://www.arcgis.com/home/item.html",
        ],
    )  # fmt: skip
    def test_its_own_hosts_get_the_token_without_a_question(self, world, url):
        session, peer, _ = world
        session.get(url)
        assert [(request.method, token_sent(request)) for request in peer.requests] == [("POST", None), ("GET", "org-token")]

    @pytest.mark.parametrize(
        "url",
        [
            "https://arcgis.com.evil.example/arcgis/rest/services/x", "https://evilarcgis.com/sharing/rest/portals/self",
            "https://evil.example/x.arcgis.com/rest/services/x", "https://servicesdev.arcgis.com/0123/arcgis/rest/services/x",
            "https://evil.example/sharing/rest/portals/self",
        ],
    )  # fmt: skip
    def test_others_do_not_even_if_they_say_that_they_belong_there(self, world, url):
        session, peer, _ = world
        refusal = {
            "error": {
                "code": 400,
                "message": "Unable to generate token",
                "details": ["Unable to generate token for this server"],
            }
        }
        handle = peer.handler
        peer.handler = lambda request: json_reply(refusal) if "serverUrl" in request.form else handle(request)
        session.get(url)
        assert {token_sent(request) for request in peer.requests} == {None}

    def test_nor_does_plain_http(self, world):
        session, peer, proxy = world
        session.get("http://services.arcgis.com/0123/arcgis/x")
        assert [token_sent(request) for request in proxy.requests if request.method == "GET"] == [None]
        assert peer.requests == []

    def test_is_online_site_wants_https_and_a_portal_that_is_there(self):
        host = split_url("https://services.arcgis.com").origin
        assert is_online_site(root("https://org.maps.arcgis.com"), host)
        assert not is_online_site(root("https://portal.example/gis"), host)
        assert not is_online_site(root("https://org.maps.arcgis.com"), host._replace(scheme="http", port=80))
