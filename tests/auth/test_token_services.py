"""Finding the token service of a site from whatever URL of it was given."""

from __future__ import annotations

import pytest

from esri_http import EsriGenTokenAuth
from esri_http.testing import faults
from esri_http.words.errors import SignInError, TokenRequestError
from tests.auth.helpers import guarded, sign_ins, token_sent
from tests.support.peers import Reply, json_reply

SELF = "/sharing/rest/community/self?f=json"
TOKEN = {"token": "issued-token", "expires": 4_000_000_000_000}


def asked_before_sign_in(portal):
    """What was requested up to the first password."""
    paths = [request.path for request in portal.requests]
    return paths[: next(number for number, path in enumerate(paths) if path.lower().rstrip("/").endswith("/generatetoken"))]


class TestPortal:
    """Every URL form of a portal leads to its generateToken."""

    @pytest.mark.parametrize(
        "path",
        [
            "/sharing", "/sharing/", "/sharing/rest", "/sharing/rest/", "/sharing/rest/portals/self?f=json",
            "/sharing/rest/generateToken", "/sharing/rest/generateToken/", "/home", "/home/",
            "/home/index.html", "/home/signin.html?returnUrl=/x", "/portaladmin", "/Sharing/Rest",
        ],
    )  # fmt: skip
    def test_a_url_that_only_a_portal_has_needs_no_question(self, portal, open_session, amy, path):
        session = open_session(amy(portal, portal.portal_url + path))
        assert session.get(portal.portal_url + SELF).json()["username"] == "amy"
        assert asked_before_sign_in(portal) == []
        assert portal.requests[0].path.rstrip("/") == "/portal/sharing/rest/generateToken"

    @pytest.mark.parametrize("path", ["", "/"])
    def test_the_root_is_asked_what_it_is_once(self, portal, open_session, amy, path):
        session = open_session(amy(portal, portal.portal_url + path))
        for _ in range(2):
            assert session.get(portal.portal_url + SELF).json()["username"] == "amy"
        assert asked_before_sign_in(portal) == ["/portal/sharing/rest/info"]
        assert portal.count("/info") == 1
        assert sign_ins(portal) == 1

    def test_generate_token_without_rest_is_taken_as_it_is(self, portal, open_session, amy):
        portal.portal_site.routes["/sharing/generateToken"] = portal.portal_site.generate_token
        session = open_session(amy(portal, portal.portal_url + "/sharing/generateToken"))
        assert session.get(portal.portal_url + SELF).json()["username"] == "amy"
        assert portal.requests[0].path == "/portal/sharing/generateToken"

    def test_a_federated_server_on_the_portals_host_leads_to_the_portal(self, portal, open_session, amy):
        session = open_session(amy(portal, portal.server_url + "/rest/services"))
        assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
        assert session.get(portal.portal_url + SELF).json()["username"] == "amy"
        posted = portal.recorder.find("/generateToken")
        assert [(request.site, "password" in request.form) for request in posted] == [("portal", True), ("portal", False)]

    def test_a_federated_server_that_says_nothing_of_a_token_service_leads_there_too(self, portal, open_session, amy):
        portal.server_site.info_overrides["authInfo"] = None
        session = open_session(amy(portal, portal.server_url))
        assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"

    def test_a_portal_at_the_root_of_its_host_gets_its_token_for_all_its_resources(
        self, open_session, handler_peer, fake_clock
    ):
        def handle(request):
            if request.path.endswith("/generateToken"):
                return json_reply(TOKEN)
            return guarded({"issued-token"})(request)

        peer = handler_peer(handle)
        session = open_session(EsriGenTokenAuth(peer.url_for("/home"), None, "amy", "amys-secret", clock=fake_clock))
        for path in (
            "/sharing/rest/portals/self",
            "/sharing/rest/info",
            "/portaladmin/",
            "/sharing/servers/1/rest/services",
            "/",
        ):
            assert "length" in session.get(peer.url_for(path)).json()
        assert [request.path for request in peer.requests][0] == "/sharing/rest/generateToken"
        assert len(peer.requests) == 6


class TestStandalone:
    """Every URL form of a stand-alone server leads to its own token service."""

    @pytest.mark.parametrize(
        "path",
        [
            "", "/", "/rest", "/rest/", "/rest/info", "/rest/info?f=json", "/rest/services", "/rest/services/?f=json",
            "/rest/services/Places/FeatureServer/0", "/rest/admin/services/Places", "/manager", "/admin", "/rest/login",
        ],
    )  # fmt: skip
    def test_found_by_rest_info(self, portal, open_session, amy, path):
        session = open_session(amy(portal, portal.standalone_url + path, time_out=30))
        assert session.get(portal.standalone_layer_url + "?f=json").json()["type"] == "Feature Layer"
        assert asked_before_sign_in(portal)[-1] == "/arcgis/rest/info"
        assert [request.path for request in portal.recorder.find("/generateToken")] == ["/arcgis/tokens/generateToken"]

    @pytest.mark.parametrize("path", ["/tokens", "/tokens/", "/tokens/generateToken", "/tokens/generateToken/"])
    def test_the_token_service_itself_is_not_asked_about(self, portal, open_session, amy, path):
        session = open_session(amy(portal, portal.standalone_url + path))
        assert session.get(portal.standalone_layer_url + "?f=json").json()["type"] == "Feature Layer"
        assert asked_before_sign_in(portal) == []

    def test_the_administrators_token_service_is_used_as_given(self, portal, open_session, amy):
        url = portal.standalone_url + "/admin/generateToken"
        session = open_session(amy(portal, url, username="bob", password=portal.password("bob")))
        assert session.get(portal.standalone_url + "/admin/security?f=json").json()["currentVersion"] == 11.3
        assert [request.path for request in portal.recorder.find("/generateToken")] == ["/arcgis/admin/generateToken"]
        assert session.auth.expiration is not None

    def test_an_open_server_has_no_token_service_and_the_error_says_so(self, portal, open_session, amy):
        portal.standalone_is_open = True
        session = open_session(amy(portal, portal.standalone_url))
        with pytest.raises(SignInError, match="has no token service"):
            session.get(portal.standalone_layer_url)
        assert sign_ins(portal) == 0


def server_of(info):
    """A stand-alone server whose rest/info says `info` (a function of the peer's port), and takes one token."""

    def make(handler_peer, **options):
        def handle(request):
            if request.path == "/arcgis/rest/info":
                value = info(peer)
                return value if isinstance(value, Reply) else json_reply(value)
            if request.path.lower().endswith("/generatetoken"):
                return json_reply(TOKEN)
            return guarded({"issued-token"})(request)

        peer = handler_peer(handle, **options)
        return peer

    return make


@pytest.mark.parametrize("folder", ["home", "sharing", "portaladmin"])
@pytest.mark.parametrize("federated", [False, True], ids=["stand-alone", "federated"])
def test_a_folder_of_services_may_be_called_like_a_part_of_a_portal(portal, open_session, amy, folder, federated):
    server = portal.server_url if federated else portal.standalone_url
    session = open_session(amy(portal, f"{server}/rest/services/{folder}/Places/FeatureServer"))
    layer = portal.layer_url if federated else portal.standalone_layer_url
    assert session.get(layer + "?f=json").json()["type"] == "Feature Layer"
    session.get(f"{server}/rest/services/{folder}/Places/FeatureServer?f=json")
    assert token_sent(portal.requests[-1]) == session.auth.token_for(server)


class TestWhatRestInfoAnnounces:
    """What a server announces is compared with what the user named, never simply obeyed."""

    LAYER = "/arcgis/rest/services/Places/FeatureServer/0"

    def read(self, peer, open_session, fake_clock, **options):
        auth = EsriGenTokenAuth(peer.url_for("/arcgis"), None, "amy", "amys-secret", clock=fake_clock)
        return open_session(auth, **options).get(peer.url_for(self.LAYER)).json()

    @pytest.mark.parametrize("key", ["tokenServicesUrl", "tokenServiceUrl"])
    @pytest.mark.parametrize("end", ["tokens/", "tokens", "tokens/generateToken", "custom/generateToken"])
    def test_all_forms_of_the_announcement_are_read(self, open_session, handler_peer, fake_clock, key, end):
        peer = server_of(lambda peer: {"authInfo": {key: peer.url_for("/arcgis/" + end)}})(handler_peer)
        assert "length" in self.read(peer, open_session, fake_clock)
        posted = next(request for request in peer.requests if request.method == "POST")
        assert posted.path == f"/arcgis/{end.rstrip('/').replace('/generateToken', '')}/generateToken"

    def test_at_the_top_of_the_answer_too(self, open_session, handler_peer, fake_clock):
        peer = server_of(lambda peer: {"tokenServiceUrl": peer.url_for("/arcgis/tokens/")})(handler_peer)
        assert "length" in self.read(peer, open_session, fake_clock)

    def test_a_token_service_on_another_port_of_the_host_is_used_and_takes_its_token(
        self, open_session, handler_peer, fake_clock, ca
    ):
        service = handler_peer(lambda request: json_reply(TOKEN), tls=True)
        peer = server_of(lambda peer: {"authInfo": {"tokenServicesUrl": service.url_for("/arcgis/tokens/")}})(handler_peer)
        assert "length" in self.read(peer, open_session, fake_clock, ca_bundles=ca.file)
        assert [request.form["password"] for request in service.requests] == ["amys-secret"]
        assert "POST" not in [request.method for request in peer.requests]

    @pytest.mark.parametrize(
        "announced",
        [
            "https://internal-gis.invalid:6443/arcgis/tokens/", "https://internal-gis.invalid/other/tokens/generateToken",
            "http://127.0.0.1.evil.invalid/arcgis/tokens/", "http://evil.invalid/@127.0.0.1/arcgis/tokens",
            "http://user@evil.invalid/tokens", "no url", "ftp://127.0.0.1/tokens", "//evil.invalid/tokens", "/arcgis/tokens",
        ],
    )  # fmt: skip
    def test_a_token_service_on_another_host_gets_nothing_the_usual_path_is_used(
        self, open_session, handler_peer, fake_clock, announced
    ):
        peer = server_of(lambda peer: {"authInfo": {"tokenServicesUrl": announced}})(handler_peer)
        assert "length" in self.read(peer, open_session, fake_clock)
        assert [request.path for request in peer.requests if request.method == "POST"] == ["/arcgis/tokens/generateToken"]

    def test_a_password_for_https_is_not_posted_over_http(self, open_session, handler_peer, fake_clock, ca):
        plain = handler_peer(lambda request: json_reply(TOKEN))
        peer = server_of(lambda peer: {"authInfo": {"tokenServicesUrl": plain.url_for("/arcgis/tokens/")}})(
            handler_peer, tls=True
        )
        assert "length" in self.read(peer, open_session, fake_clock, ca_bundles=ca.file)
        assert plain.requests == []

    @pytest.mark.parametrize(
        "owner",
        ["https://www.arcgis.com", "https://portal.evil.invalid/portal", "http://127.0.0.1.evil.invalid/portal"],
    )
    def test_a_password_is_not_sent_to_the_owner_that_a_server_names(self, open_session, handler_peer, fake_clock, owner):
        peer = server_of(lambda peer: {"owningSystemUrl": owner})(handler_peer)
        with pytest.raises(SignInError, match="No credentials are sent where a server points to") as caught:
            self.read(peer, open_session, fake_clock)
        assert owner in str(caught.value)
        assert [request.method for request in peer.requests] == ["GET", "GET"]

    @pytest.mark.parametrize("owner", ["portal", "https://", "ftp://x/", "https://[::1/portal", "https://a b/"])
    def test_an_owner_that_is_no_url_is_an_error(self, open_session, handler_peer, fake_clock, owner):
        peer = server_of(lambda peer: {"owningSystemUrl": owner})(handler_peer)
        with pytest.raises(SignInError, match="belongs to a portal, but not to which one"):
            self.read(peer, open_session, fake_clock)

    @pytest.mark.parametrize(
        "info",
        [{}, {"currentVersion": 10.51}, {"authInfo": None}, {"authInfo": []}, {"authInfo": {"tokenServicesUrl": 7}},
         {"authInfo": {"isTokenBasedSecurity": False}}, {"owningSystemUrl": None}, {"owningSystemUrl": ["x"]}],
    )  # fmt: skip
    def test_without_a_token_service_there_is_a_clear_error(self, open_session, handler_peer, fake_clock, info):
        peer = server_of(lambda peer: info)(handler_peer)
        with pytest.raises(SignInError, match="has no token service"):
            self.read(peer, open_session, fake_clock)

    @pytest.mark.parametrize(
        "reply, words",
        [
            (Reply(404), "neither a portal nor an ArcGIS Server"),
            (Reply(200, {"Content-Type": "text/html"}, "<html>Portal Directory</html>"), "a web page came instead"),
            (Reply(200, {}, b""), "the answer is empty"),
            (Reply(200, {}, b'{"currentVersion": 10'), "breaks off or is malformed"),
            (json_reply([1, 2]), "not an object"),
            (json_reply({"error": {"code": 499, "message": "Token Required", "details": []}}), "Token Required"),
            (Reply(302, {"Location": "https://gis.example/arcgis/rest/info?f=json"}), "redirects to https://gis.example/"),
            (Reply(500, {"Content-Type": "text/html"}, "<html>"), "HTTP 500"),
            (Reply(401, {"WWW-Authenticate": "Negotiate"}, "<html>"), "HTTP 401"),
            (Reply(403, {}, "<html>"), "HTTP 403"),
        ],
    )
    def test_what_is_no_rest_info_is_named_in_the_error(self, open_session, handler_peer, fake_clock, reply, words):
        peer = server_of(lambda peer: reply)(handler_peer)
        with pytest.raises(SignInError, match=words):
            self.read(peer, open_session, fake_clock, retries=0)
        assert "POST" not in [request.method for request in peer.requests]

    def test_a_failed_discovery_is_tried_again_by_the_next_request(self, portal, open_session, amy):
        portal.faults.add("/rest/info", faults.status(500), times=1)
        session = open_session(amy(portal, portal.standalone_url + "/rest/services"))
        with pytest.raises(TokenRequestError, match="HTTP 500"):
            session.get(portal.standalone_layer_url + "?f=json")
        assert session.get(portal.standalone_layer_url + "?f=json").json()["type"] == "Feature Layer"

    def test_the_token_of_a_server_goes_to_its_own_origin_and_not_to_a_redirects(self, open_session, handler_peer, fake_clock):
        stranger = handler_peer(lambda request: json_reply({}), host="127.0.0.1")
        peer = server_of(lambda peer: {"authInfo": {"tokenServicesUrl": peer.url_for("/arcgis/tokens/")}})(handler_peer)
        handle = peer.handler
        peer.handler = lambda request: (
            Reply(302, {"Location": stranger.url_for("/arcgis/rest/services/x")})
            if request.path.endswith("/moved")
            else handle(request)
        )
        auth = EsriGenTokenAuth(peer.url_for("/arcgis"), None, "amy", "amys-secret", clock=fake_clock)
        open_session(auth).get(peer.url_for("/arcgis/moved"))
        assert token_sent(peer.requests[-1]) == "issued-token"
        assert [token_sent(request) for request in stranger.requests] == [None]
