"""A portal's federated servers, strangers beside them, and what either is told."""

from __future__ import annotations

import logging
import pickle
import threading

import pytest

from esri_http import EsriBasicAuth, EsriGenTokenAuth, EsriSession, EsriUserTokenAuth
from esri_http.testing import faults
from esri_http.words.clock import SYSTEM_CLOCK
from esri_http.words.errors import ArcGISLoginError, ConfigurationError, DeadlineExceededError, SignInError, TokenRequestError
from tests.auth.helpers import (
    PATIENCE,
    changed_answer,
    errors_in,
    exchanges,
    guarded,
    in_threads,
    sign_ins,
    token_sent,
)
from tests.support.peers import Reply, json_reply

SELF = "/sharing/rest/community/self?f=json"


def public_layer(portal):
    """The public layer of the stand-alone server: a stranger to the portal."""
    return portal.standalone_url + "/rest/services/PublicPlaces/FeatureServer/0?f=json"


class TestFederatedServer:
    """Nothing more is said than the portal's URL, and each call is one request."""

    @pytest.fixture
    def session(self, portal, open_session, amy):
        return open_session(amy(portal))

    def read(self, session, portal):
        assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"

    def test_the_first_call_takes_three_requests_more_and_the_others_none(self, session, portal):
        for _ in range(20):
            self.read(session, portal)
        assert [(request.site, request.path.rpartition("/")[2]) for request in portal.requests[:4]] == [
            ("server", "info"), ("portal", "generateToken"), ("portal", "generateToken"), ("server", "0"),
        ]  # fmt: skip
        assert len(portal.requests) == 23

    def test_every_resource_of_the_server_shares_one_token(self, session, portal):
        for path in ("/rest/services", "/rest/services/Places/FeatureServer", "/rest/info", "/rest/services/PublicPlaces"):
            session.get(portal.server_url + path + "?f=json")
        assert (exchanges(portal), portal.count("/rest/info", site="server")) == (1, 2)
        used = {token_sent(request) for request in portal.requests if request.site == "server"} - {None}
        assert used == {session.auth.token(portal.server_url)}

    def test_the_exchange_posts_the_portals_token_and_the_servers_root_to_the_portal(self, session, portal):
        self.read(session, portal)
        posted = portal.recorder.find("/generateToken")[1]
        assert posted.form == {
            "token": session.auth.token, "serverUrl": portal.server_url, "request": "getToken", "client": "referer",
            "referer": "http", "f": "json",
        }  # fmt: skip
        assert posted.query == {}
        assert posted.headers["Referer"] == "http"

    def test_the_server_gets_its_own_token_and_not_the_portals(self, session, portal):
        self.read(session, portal)
        sent = [token_sent(request) for request in portal.requests if request.site == "server"]
        assert portal.tokens.get(sent[-1]).audience == portal.server_url
        assert session.auth.token not in sent

    def test_rest_info_is_asked_without_any_token(self, session, portal):
        self.read(session, portal)
        assert token_sent(portal.recorder.find("/rest/info", site="server")[0]) is None

    def test_a_498_of_the_server_renews_the_servers_token_alone(self, session, portal):
        self.read(session, portal)
        portal.revoke(session.auth.token(portal.server_url))
        self.read(session, portal)
        assert (sign_ins(portal), exchanges(portal)) == (1, 2)

    def test_and_the_portals_first_if_that_died_too(self, session, portal):
        self.read(session, portal)
        portal.revoke_all_tokens()
        portal.clear()
        self.read(session, portal)
        assert (sign_ins(portal), exchanges(portal), len(portal.requests)) == (1, 2, 5)

    def test_a_portal_that_says_invalid_token_with_400_is_understood(self, session, portal):
        self.read(session, portal)
        portal.revoke_all_tokens()
        refusal = {"error": {"code": 400, "message": "Unable to generate token.", "details": ["Invalid token"]}}
        portal.faults.add("/generateToken", faults.status(200, body=refusal))
        self.read(session, portal)

    def test_an_exchange_that_fails_is_an_error_and_is_forgotten(self, session, portal):
        session.auth.token  # noqa: B018
        portal.faults.add("/generateToken", faults.status(500))
        with pytest.raises(TokenRequestError, match="HTTP 500"):
            session.get(portal.layer_url + "?f=json")
        self.read(session, portal)

    def test_a_refused_password_is_not_deferred_even_for_a_public_layer(self, portal, open_session, amy):
        session = open_session(amy(portal, password="not-hers"))
        with pytest.raises(ArcGISLoginError):
            session.get(portal.public_layer_url + "?f=json")
        assert sign_ins(portal) == 1

    def test_a_public_layer_of_the_federated_server_is_read(self, session, portal):
        assert session.get(portal.public_layer_url + "?f=json").json()["type"] == "Feature Layer"

    def test_what_is_known_of_servers_can_be_forgotten(self, session, portal):
        self.read(session, portal)
        session.auth._router.forget()
        self.read(session, portal)
        assert exchanges(portal) == 2

    def test_an_owner_in_another_spelling_is_the_same_portal(self, session, portal):
        portal.server_site.owner = portal.portal_url.upper().replace("HTTP", "http") + "/sharing/rest/"
        self.read(session, portal)

    def test_32_threads_on_two_cold_servers_ask_each_once(self, session, portal):
        urls = [portal.layer_url + "?f=json", public_layer(portal)]
        outcomes = in_threads(32, lambda number: session.get(urls[number % 2]).json()["type"])
        assert outcomes == ["Feature Layer"] * 32
        assert (sign_ins(portal), exchanges(portal)) == (1, 1)
        assert (portal.count("/rest/info", site="server"), portal.count("/rest/info", site="standalone")) == (1, 1)

    def test_it_travels_in_a_pickle(self, portal, open_session, amy):
        session = open_session(amy(portal, clock=SYSTEM_CLOCK), clock=SYSTEM_CLOCK)
        self.read(session, portal)
        session.get(public_layer(portal))
        twin = pickle.loads(pickle.dumps(session))
        portal.clear()
        with twin:
            self.read(twin, portal)
            twin.get(public_layer(portal))
            assert len(portal.requests) == 2

    def test_debug_lines_say_what_belongs_where_and_show_no_token(self, session, portal, caplog):
        caplog.set_level(logging.DEBUG, "esri_http")
        self.read(session, portal)
        session.get(public_layer(portal))
        assert f"{portal.server_url} is federated with {portal.portal_url}" in caplog.text
        assert f"no token for {portal.standalone_url}" in caplog.text
        assert session.auth.token not in caplog.text
        assert session.auth.token(portal.server_url) not in caplog.text


class TestStrangers:
    """Servers that are not the portal's are read anonymously with the same session."""

    def test_a_public_layer_elsewhere_is_read_without_token(self, portal, open_session, amy):
        session = open_session(amy(portal))
        for _ in range(3):
            assert session.get(public_layer(portal)).json()["type"] == "Feature Layer"
        assert [token_sent(request) for request in portal.requests] == [None] * 4
        assert [request.path for request in portal.requests][0] == "/arcgis/rest/info"

    def test_a_secured_one_is_an_error_that_says_why_there_is_no_token(self, portal, open_session, amy):
        session = open_session(amy(portal))
        caught = []
        for _ in range(2):
            with pytest.raises(SignInError, match=r"not federated with http://localhost:\d+/portal; a stand-alone") as error:
                session.get(portal.standalone_layer_url + "?f=json")
            caught.append(error.value)
        assert caught[0] is not caught[1]
        assert portal.count("/rest/info") == 1
        assert {token_sent(request) for request in portal.requests} == {None}

    def test_a_page_that_is_no_arcgis_is_not_asked_for_rest_info(self, portal, open_session, amy, handler_peer):
        site = handler_peer(lambda request: Reply(200, {}, b"hello"))
        assert open_session(amy(portal)).get(site.url_for("/some/page")).text == "hello"
        assert [request.target for request in site.requests] == ["/some/page"]

    @pytest.mark.parametrize(
        "info",
        [
            Reply(500, {}, "<html>"),
            Reply(200, {}, "<html>"),
            Reply(302, {"Location": "http://other.invalid/"}),
            Reply(200, {}, b"{"),
        ],
    )
    def test_one_that_does_not_say_what_it_is_is_asked_again_next_time(self, portal, open_session, amy, handler_peer, info):
        def handle(request):
            return info if request.path.endswith("/info") else json_reply({"layer": 1})

        site = handler_peer(handle)
        session = open_session(amy(portal))
        for _ in range(2):
            assert session.get(site.url_for("/arcgis/rest/services/x")).json() == {"layer": 1}
        assert [request.path for request in site.requests].count("/arcgis/rest/info") == 2
        assert {token_sent(request) for request in site.requests} == {None}

    def test_threads_that_wait_for_a_silent_server_share_one_question(self, portal, open_session, amy, handler_peer):
        go_on = threading.Event()

        def handle(request):
            if request.path.endswith("/info"):
                assert go_on.wait(PATIENCE)
                return Reply(500)
            return json_reply({})

        site = handler_peer(handle)
        session = open_session(amy(portal))

        def work(number):
            if number == 8:
                site.wait_until(lambda: site.requests)
                go_on.set()
            else:
                session.get(site.url_for("/arcgis/rest/services/x"))

        assert errors_in(in_threads(9, work)) == []
        assert [request.path for request in site.requests].count("/arcgis/rest/info") <= 4

    def test_a_server_that_the_portal_does_not_know_is_a_stranger_whatever_it_says(self, portal, open_session, amy):
        portal.standalone_site.owner = portal.portal_url
        session = open_session(amy(portal))
        for _ in range(2):
            assert session.get(public_layer(portal)).json()["type"] == "Feature Layer"
        with pytest.raises(SignInError, match="which gives no token for it"):
            session.get(portal.standalone_layer_url + "?f=json")
        assert exchanges(portal) == 1
        assert {token_sent(request) for request in portal.requests if request.site == "standalone"} == {None}

    def test_a_portal_that_hands_its_own_token_back_has_none_for_the_server(self, portal, open_session, amy):
        session = open_session(amy(portal))
        own = session.auth.token
        portal.faults.add("/generateToken", changed_answer(lambda answer: answer.update(token=own)), times=None)
        with pytest.raises(SignInError, match="gives no token for it"):
            session.get(portal.layer_url + "?f=json")
        assert {token_sent(request) for request in portal.requests if request.site == "server"} == {None}

    def test_a_server_that_stops_being_federated_is_an_error(self, portal, open_session, amy):
        session = open_session(amy(portal))
        session.get(portal.layer_url + "?f=json")
        portal.portal_site.server_roots.clear()
        portal.revoke_all_tokens()
        with pytest.raises(TokenRequestError, match="for this server"):
            session.get(portal.layer_url + "?f=json")


class TestAnnouncedOwners:
    """What a server says of its owner is compared with the portal, parsed, and nothing is sent there."""

    @pytest.mark.parametrize(
        "owner",
        [
            "{portal}.evil.invalid", "https://evil.invalid/{portal}", "https://evil.invalid/?u={portal}",
            "https://evil.invalid/#{portal}", "{origin}", "{origin}/portal2", "{origin}/other/portal",
            "http://user@evil.invalid/portal", "http://localhost@evil.invalid/portal", "http://localhost.evil.invalid/portal",
            "https://.*", ".*", "", "javascript:1", "http://localhost:1/portal", "http://127.0.0.1/portal", "x" * 100_000,
        ],
    )  # fmt: skip
    def test_another_owner_means_no_token(self, portal, open_session, amy, owner, caplog):
        caplog.set_level(logging.DEBUG, "esri_http")
        origin = portal.portal_url[: -len("/portal")]
        portal.server_site.owner = owner.format(portal=portal.portal_url, origin=origin)
        session = open_session(amy(portal))
        session.get(portal.public_layer_url + "?f=json")
        assert exchanges(portal) == 0
        assert {token_sent(request) for request in portal.requests if request.site == "server"} == {None}
        assert len(caplog.text) < 20_000

    @pytest.mark.parametrize("owner", [7, ["x"], {"url": "x"}, True, None])
    def test_an_owner_of_an_odd_type_is_no_owner(self, portal, open_session, amy, owner):
        portal.server_site.info_overrides["owningSystemUrl"] = owner
        session = open_session(amy(portal))
        assert session.get(portal.public_layer_url + "?f=json").json()["type"] == "Feature Layer"
        assert exchanges(portal) == 0

    def test_the_announced_token_service_is_never_used_for_the_exchange(self, portal, open_session, amy, handler_peer):
        thief = handler_peer(lambda request: json_reply({"token": "bait", "expires": 4_000_000_000_000}))
        portal.server_site.info_overrides["authInfo"] = {"tokenServicesUrl": thief.url_for("/sharing/rest/generateToken")}
        session = open_session(amy(portal))
        assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
        assert thief.requests == []

    def test_a_server_that_poses_as_federated_gets_a_question_and_no_token(self, portal, open_session, amy, handler_peer):
        def handle(request):
            if request.path.endswith("/info"):
                return json_reply({"owningSystemUrl": portal.portal_url})
            return json_reply({"error": {"code": 499, "message": "Token Required"}})

        thief = handler_peer(handle)
        with pytest.raises(SignInError, match="gives no token for it"):
            open_session(amy(portal)).get(thief.url_for("/server/rest/services/Places/FeatureServer/0"))
        assert {token_sent(request) for request in thief.requests} == {None}
        assert {request.body for request in thief.requests} == {b""}

    @pytest.mark.parametrize(
        "path",
        ["/{portal}/rest/services/x", "/portal/sharing/rest/portals/self", "/?u={portal}/rest/services", "/x#{portal}"],
    )
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_a_url_that_looks_like_the_portals_gets_no_token(self, portal, open_session, amy, handler_peer, path, host):
        stranger = handler_peer(lambda request: json_reply({}))
        session = open_session(amy(portal))
        session.get(stranger.url_for(path.format(portal=portal.portal_url), host=host))
        assert {token_sent(request) for request in stranger.requests} == {None}


class TestRedirects:
    """A redirect changes whom the request is for, not whom the token is for."""

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_from_the_portal_to_a_stranger(self, portal, open_session, amy, handler_peer, status):
        stranger = handler_peer(lambda request: json_reply({}))
        portal.faults.add("/portals/self", faults.redirect(stranger.url_for("/server/rest/services/x"), status))
        session = open_session(amy(portal, referer="https://tool.example/"))
        session.get(portal.portal_url + "/sharing/rest/portals/self?f=json")
        assert {token_sent(request) for request in stranger.requests} == {None}
        assert {request.headers.get("Referer") for request in stranger.requests} == {"http"}

    def test_from_a_stranger_to_the_federated_server(self, portal, open_session, amy, handler_peer):
        stranger = handler_peer(lambda request: Reply(302, {"Location": portal.layer_url + "?f=json"}))
        response = open_session(amy(portal)).get(stranger.url_for("/x"))
        assert response.json()["type"] == "Feature Layer"
        assert {token_sent(request) for request in stranger.requests} == {None}

    def test_from_https_to_http(self, tls_portal, open_session, amy, handler_peer):
        plain = handler_peer(lambda request: json_reply({}))
        target = plain.url_for("/portal/sharing/rest/portals/self", host="localhost")
        tls_portal.faults.add("/portals/self", faults.redirect(target))
        session = open_session(amy(tls_portal), ca_bundles=tls_portal.ca_file)
        session.get(tls_portal.portal_url + "/sharing/rest/portals/self?f=json")
        assert {token_sent(request) for request in plain.requests} == {None}


class TestHttps:
    """A token for https stays there."""

    def test_a_token_that_is_for_https_only_is_not_sent_over_http(self, portal, open_session, amy):
        portal.faults.add("/generateToken", changed_answer(lambda answer: answer.update(ssl=True)), times=None)
        session = open_session(amy(portal))
        with pytest.raises(SignInError, match="over https only"):
            session.get(portal.portal_url + SELF)
        assert {token_sent(request) for request in portal.requests} == {None}

    @pytest.mark.parametrize("ssl", ["true", 1, None, "no"])
    def test_only_true_means_that(self, portal, open_session, amy, ssl):
        portal.faults.add("/generateToken", changed_answer(lambda answer: answer.update(ssl=ssl)), times=None)
        assert open_session(amy(portal)).get(portal.portal_url + SELF).json()["username"] == "amy"

    def test_over_https_it_is_used(self, tls_portal, open_session, amy):
        session = open_session(amy(tls_portal), ca_bundles=tls_portal.ca_file)
        assert session.get(tls_portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
        assert session.auth._keeper.token.ssl is True

    def test_the_http_twin_of_an_https_portal_gets_no_token(self, tls_portal, open_session, amy, handler_peer):
        twin = handler_peer(lambda request: json_reply({}))
        session = open_session(amy(tls_portal), ca_bundles=tls_portal.ca_file)
        session.get(twin.url_for("/portal/sharing/rest/portals/self", host="localhost"))
        assert {token_sent(request) for request in twin.requests} == {None}


class TestOneHost:
    """Portal and servers behind web adaptors of one host: told apart by their paths."""

    @pytest.fixture
    def site(self, handler_peer):
        answers = {
            "/portal/sharing/rest/generateToken": lambda request: json_reply(
                {"token": "server-token" if "serverUrl" in request.form else "portal-token", "expires": 4_000_000_000_000}
            ),
            "/server/rest/info": lambda request: json_reply({"owningSystemUrl": peer.url_for("/portal")}),
            "/image/rest/info": lambda request: json_reply({"authInfo": {"tokenServicesUrl": "/image/tokens"}}),
        }
        resources = {
            "/portal/": guarded({"portal-token"}), "/server/": guarded({"server-token"}), "/image/": guarded({None}),
        }  # fmt: skip

        def handle(request):
            answer = answers.get(request.path) or next(
                (guard for path, guard in resources.items() if request.path.startswith(path)), None
            )
            return answer(request) if answer else json_reply({})

        peer = handler_peer(handle)
        return peer

    @pytest.fixture
    def session(self, site, open_session, fake_clock):
        url = site.url_for("/portal/sharing/rest/generateToken")
        return open_session(EsriGenTokenAuth(url, None, "amy", "amys-secret", clock=fake_clock))

    def test_each_context_gets_its_own_token(self, session, site):
        for path in (
            "/portal/sharing/rest/x",
            "/server/rest/services/x",
            "/server/admin/x",
            "/image/rest/services/x",
            "/other",
        ):
            assert "error" not in session.get(site.url_for(path)).json()
        sent = {request.path: token_sent(request) for request in site.requests}
        assert sent["/server/admin/x"] == sent["/server/rest/services/x"] == "server-token"
        assert sent["/portal/sharing/rest/x"] == "portal-token"
        assert sent["/image/rest/services/x"] is None
        assert [request.form["serverUrl"] for request in site.requests if "serverUrl" in request.form] == [
            site.url_for("/server")
        ]

    @pytest.mark.parametrize(
        "path", ["/portal2/x/rest/services/y", "/Portal/rest/services/x", "/portal/../image/rest/services/x"]
    )
    def test_a_path_that_merely_resembles_the_portals_is_another_site(self, session, site, path):
        session.get(site.url_for(path))
        assert token_sent(site.requests[-1]) is None


class TestTrustedOrigins:
    """`trusted_origins` get the token that they need: their own where they are federated, else the portal's."""

    def test_a_trusted_application_gets_the_portals_token(self, portal, open_session, amy, handler_peer):
        app = handler_peer(lambda request: json_reply({}))
        session = open_session(amy(portal), trusted_origins=[app.url])
        session.get(app.url_for("/app/data"))
        assert token_sent(app.requests[0]) == session.auth.token

    def test_a_trusted_server_that_is_not_federated_gets_it_too(self, portal, open_session, amy, handler_peer):
        server = handler_peer(lambda request: json_reply({}))
        session = open_session(amy(portal), trusted_origins=[server.url])
        session.get(server.url_for("/arcgis/rest/services/x"))
        assert [token_sent(request) for request in server.requests] == [None, session.auth.token]

    def test_a_trusted_server_that_is_federated_gets_its_own(self, portal, open_session, amy):
        origin = portal.server_url[: -len("/server")]
        session = open_session(amy(portal), trusted_origins=[origin])
        assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
        assert exchanges(portal) == 1

    def test_another_port_of_a_trusted_host_is_not_trusted(self, portal, open_session, amy, handler_peer):
        app, other = handler_peer(lambda request: json_reply({})), handler_peer(lambda request: json_reply({}))
        session = open_session(amy(portal), trusted_origins=[app.url])
        session.get(other.url_for("/app/data"))
        assert token_sent(other.requests[0]) is None


class TestStandaloneServer:
    """A stand-alone server's token is for that server's origin."""

    def test_its_layers_are_read_and_a_498_signs_in_again(self, portal, open_session, amy):
        session = open_session(amy(portal, portal.standalone_url))
        assert session.get(portal.standalone_layer_url + "?f=json").json()["type"] == "Feature Layer"
        portal.standalone_tokens.revoke_all()
        assert session.get(portal.standalone_layer_url + "?f=json").json()["type"] == "Feature Layer"
        assert sign_ins(portal) == 2

    def test_other_servers_are_not_asked_anything_and_get_nothing(self, portal, open_session, amy):
        session = open_session(amy(portal, portal.standalone_url))
        assert session.get(portal.public_layer_url + "?f=json").json()["type"] == "Feature Layer"
        with pytest.raises(SignInError, match=r"is for http://localhost:\d+/arcgis only"):
            session.get(portal.layer_url + "?f=json")
        assert {request.path for request in portal.requests if request.site == "server"}.isdisjoint({"/server/rest/info"})
        assert {token_sent(request) for request in portal.requests if request.site == "server"} == {None}


class TestPortalAuth:
    """`portal_auth=`: the token of a portal handler is exchanged, at that portal and nowhere else."""

    def test_the_token_of_a_portal_handler_is_exchanged(self, portal, open_session, amy, fake_clock):
        auth = EsriGenTokenAuth(portal.server_url, portal_auth=amy(portal), clock=fake_clock)
        session = open_session(auth)
        assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
        assert portal.tokens.get(auth.token).audience == portal.server_url
        assert auth.expiration is not None
        assert (sign_ins(portal), exchanges(portal)) == (1, 1)

    def test_the_portal_itself_gets_the_portals_token(self, portal, open_session, amy, fake_clock):
        session = open_session(EsriGenTokenAuth(portal.server_url, portal_auth=amy(portal), clock=fake_clock))
        assert session.get(portal.portal_url + SELF).json()["username"] == "amy"
        assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"

    @pytest.mark.parametrize("url", ["portal_url", "token_url"])
    def test_the_portals_own_url_will_do(self, portal, open_session, amy, fake_clock, url):
        session = open_session(EsriGenTokenAuth(getattr(portal, url), portal_auth=amy(portal), clock=fake_clock))
        assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
        assert portal.tokens.get(session.auth.token).audience == "portal"

    def test_both_tokens_are_renewed_when_all_die(self, portal, open_session, amy, fake_clock):
        session = open_session(EsriGenTokenAuth(portal.server_url, portal_auth=amy(portal), clock=fake_clock))
        session.get(portal.layer_url + "?f=json")
        portal.revoke_all_tokens()
        assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
        assert sign_ins(portal) == 2

    def test_a_handler_that_belongs_to_another_session_keeps_it(self, portal, open_session, amy, fake_clock):
        portal_auth = amy(portal)
        first = open_session(portal_auth)
        token = portal_auth.token
        session = open_session(EsriGenTokenAuth(portal.server_url, portal_auth=portal_auth, clock=fake_clock))
        assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
        assert portal_auth.token == first.auth.token == token

    def test_a_user_token_with_the_portals_url_is_exchanged_too(self, portal, open_session, fake_clock):
        given = EsriUserTokenAuth(portal.issue_token("amy", referer="http"), url=portal.portal_url)
        session = open_session(EsriGenTokenAuth(portal.server_url, portal_auth=given, clock=fake_clock))
        assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"

    def test_anything_with_a_token_will_do(self, portal, open_session, fake_clock):
        class Holder:
            token = portal.issue_token("amy", referer="http")

        session = open_session(EsriGenTokenAuth(portal.token_url, portal_auth=Holder(), clock=fake_clock))
        assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
        portal.revoke_all_tokens()
        with pytest.raises(SignInError, match="portal_auth"):
            session.get(portal.layer_url + "?f=json")
        Holder.token = portal.issue_token("amy", referer="http")
        assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"

    @pytest.mark.parametrize("portal_auth", [EsriBasicAuth(None, "amy", "amys-secret"), ("amy", "amys-secret"), object()])
    def test_what_has_no_token_is_told_as_such(self, portal, open_session, portal_auth, fake_clock):
        session = open_session(EsriGenTokenAuth(portal.server_url, portal_auth=portal_auth, clock=fake_clock))
        with pytest.raises(SignInError, match=f"portal_auth= is a {type(portal_auth).__name__}, which has no token"):
            session.get(portal.layer_url + "?f=json")
        assert portal.count("/generateToken") == 0

    def test_a_hostile_server_does_not_get_the_portals_token(self, portal, open_session, amy, handler_peer, fake_clock):
        thief = handler_peer(
            lambda request: json_reply(
                {"owningSystemUrl": thief.url_for("/portal"), "authInfo": {"tokenServicesUrl": thief.url_for("/tokens")}}
            )
        )
        for portal_auth in (amy(portal), EsriUserTokenAuth(portal.issue_token("amy"), url=portal.portal_url)):
            auth = EsriGenTokenAuth(thief.url_for("/server/rest/services"), portal_auth=portal_auth, clock=fake_clock)
            with pytest.raises(SignInError, match="is not the portal"):
                open_session(auth).get(thief.url_for("/server/rest/services"))
        assert {(token_sent(request), request.method) for request in thief.requests} == {(None, "GET")}

    def test_a_bare_token_is_not_sent_where_a_server_points_to(self, portal, open_session, handler_peer, fake_clock):
        thief = handler_peer(lambda request: json_reply({"owningSystemUrl": "https://elsewhere.invalid/portal"}))
        given = EsriUserTokenAuth(portal.issue_token("amy"))
        auth = EsriGenTokenAuth(thief.url_for("/server/rest/services"), portal_auth=given, clock=fake_clock)
        with pytest.raises(SignInError, match="No credentials are sent where a server points to"):
            open_session(auth).get(thief.url_for("/server/rest/services"))

    def test_a_stand_alone_server_has_no_use_for_it(self, portal, open_session, amy, fake_clock):
        auth = EsriGenTokenAuth(portal.standalone_url, portal_auth=amy(portal), clock=fake_clock)
        with pytest.raises(SignInError, match="is not the portal"):
            open_session(auth).get(portal.standalone_layer_url)
        assert exchanges(portal) == 0

    def test_it_travels_in_a_pickle(self, portal, open_session, amy):
        session = open_session(
            EsriGenTokenAuth(portal.server_url, portal_auth=amy(portal, clock=SYSTEM_CLOCK)), clock=SYSTEM_CLOCK
        )
        session.get(portal.layer_url + "?f=json")
        twin = pickle.loads(pickle.dumps(session))
        portal.revoke_all_tokens()
        with twin:
            assert twin.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"


class TestPerCall:
    """`auth=` and `drop_auth=` of one call."""

    def test_a_handler_for_one_call_signs_in_through_the_session(self, portal, open_session, amy):
        session = open_session()
        handler = amy(portal)
        assert session.get(portal.layer_url + "?f=json", auth=handler).json()["type"] == "Feature Layer"
        assert session.get(portal.layer_url + "?f=json").esri_error.code == 499
        assert portal.tokens.get(handler.token).username == "amy"
        assert sign_ins(portal) == 1

    def test_drop_auth_goes_out_anonymous_and_touches_no_token(self, portal, open_session, amy):
        session = open_session(amy(portal))
        assert session.get(portal.layer_url + "?f=json", drop_auth=True).esri_error.code == 499
        assert len(portal.requests) == 1
        assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"

    def test_drop_auth_in_one_thread_does_not_touch_the_others(self, portal, open_session, amy):
        session = open_session(amy(portal))
        outcomes = in_threads(
            16, lambda number: session.get(portal.layer_url + "?f=json", drop_auth=number % 2 == 0).esri_error is None
        )
        assert outcomes == [False, True] * 8

    def test_legacy_works_at_portal_and_server(self, portal, open_session, amy):
        session = open_session(amy(portal, legacy=True))
        assert session.get(portal.portal_url + SELF).json()["username"] == "amy"
        assert session.post(portal.layer_url + "/query", data={"where": "1=1", "f": "json"}).json()["features"]
        assert {token_sent(request) for request in portal.requests} == {None}
        assert portal.recorder.find("/query")[0].form["token"] == session.auth.token(portal.server_url)


def test_a_handler_whose_session_is_gone_says_so(portal, open_session, amy):
    handler = amy(portal)
    from esri_http import EsriSession

    EsriSession(handler).close()
    import gc

    gc.collect()
    with pytest.raises(ConfigurationError, match="is gone"):
        handler.token  # noqa: B018


def test_a_call_without_time_gives_up_for_itself_alone(portal):
    asked, answered = threading.Event(), threading.Event()
    held = faults.delay(until=answered)

    def fault(request, answer_normally):
        asked.set()
        return held(request, answer_normally)

    auth = EsriGenTokenAuth(portal.token_url, username="amy", password=portal.password("amy"))
    with EsriSession(auth=auth, retries=0) as session:
        session.get(portal.portal_url + SELF)
        portal.faults.add("/rest/info", fault, times=1)

        def read(number):
            if number:
                assert asked.wait(PATIENCE)
            return session.get(portal.layer_url + "?f=json", deadline=PATIENCE if number else 1.0).json()["type"]

        hurried, patient = in_threads(2, read)
        answered.set()
    assert isinstance(hurried, DeadlineExceededError)
    assert patient == "Feature Layer"


def test_a_portal_handler_that_is_signed_out_gives_no_token_any_more(portal, open_session, fake_clock):
    given = EsriUserTokenAuth(portal.issue_token("amy"), url=portal.portal_url, clock=fake_clock)
    session = open_session(EsriGenTokenAuth(portal.server_url, portal_auth=given, clock=fake_clock))
    given.logout()
    with pytest.raises(SignInError, match="EsriUserTokenAuth is signed out"):
        session.get(portal.layer_url + "?f=json")
    assert exchanges(portal) == 0
    given.login()
    assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"


@pytest.mark.parametrize("token", [b"a-token", 5, "", "two words", ["a-token"]])
def test_what_a_foreign_portal_handler_has_in_place_of_a_token_is_not_posted(portal, open_session, fake_clock, token):
    class Foreign:
        pass

    foreign = Foreign()
    foreign.token = token
    session = open_session(EsriGenTokenAuth(portal.server_url, portal_auth=foreign, clock=fake_clock))
    with pytest.raises(SignInError, match="portal_auth= is a Foreign, whose token cannot be one"):
        session.get(portal.layer_url + "?f=json")
    assert exchanges(portal) == 0
