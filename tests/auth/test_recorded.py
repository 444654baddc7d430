"""Recorded answers of real portals and servers, where they are at hand: each gives the outcome that its record asks for."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from esri_http import EsriGenTokenAuth, EsriOAuth2Auth, EsriUserTokenAuth
from esri_http.words.errors import ArcGISLoginError, SignInError, TokenRequestError
from tests.auth.helpers import guarded, token_sent
from tests.support.peers import Reply, json_reply

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "recorded"
MANIFEST = FOLDER / "manifest.json"
RECORDS = {record["file"]: record for record in json.loads(MANIFEST.read_text("utf-8"))} if MANIFEST.is_file() else {}

pytestmark = pytest.mark.skipif(not RECORDS, reason="the recorded answers are not here")

TOKENS = [
    "token-agol.json",
    "token-portal.json",
    "token-portal-spaced.json",
    "token-server-admin.txt",
    "token-server-standalone.json",
]
REFUSED_PASSWORDS = [
    "token-bad-password.json",
    "token-bad-password-gwm.json",
    "token-missing-fields.json",
    "token-server-401.json",
]
FAILED_SIGN_INS = {
    "token-koop-open.json": "neither a token nor an error",
    "token-default.html": "a web page came instead",
    "token-unable-for-server.json": "Unable to generate token for this server",
    "token-server-201.json": "Client ID is required for long expiration tokens",
    "token-server-201-clientid.json": "Client id cannot be determined",
    "token-admin-500.txt": "is not participating in any Site",
    "token-get-405.json": "method not supported",
    "token-password-in-query.json": "should not contain username and password in the query string",
    "portal-unreachable.html": "a web page came instead",
}
RENEWED = [
    "e498-portal.json", "e498-server.json", "e498-details.json", "e498-referer.json", "e498-jsonp.js", "e498-spaced.json",
    "e499-server.json", "e499-gwm.json", "e499-hosted.json",
]  # fmt: skip
ERRORS_LEFT_ALONE = {
    "e403-gwm.json": 403, "e403-nomessagecode.json": 403, "e-nocode.json": None, "e400-params.json": 400,
    "e400-operation.json": 400, "e404-tile.json": 404, "e-status-failure.json": 500, "e-checkurl-error-nocode.json": None,
}  # fmt: skip
DATA = ["e499-checkurl.json", "e498-tile.html"]
STANDALONE = {
    "info-standalone-10.3.1.json": ("https://gis.customer.example/arcgis", "https://gis.customer.example/arcgis/tokens"),
    "info-standalone-10.6.1.json": ("https://gis.owner.example/arcgis", "https://gis.owner.example/arcgis/tokens"),
    "info-standalone-10.4.1.json": ("http://internalgis/arcgis", "https://internalgis/arcgis/tokens"),
    "info-standalone-10.4-ports.json": ("http://javidel.esri.com:6080/arcgis", "https://javidel.esri.com:6443/arcgis/tokens"),
    "info-standalone-10.5.1.txt": ("http://localhost:6080/arcgis", "https://localhost:6443/arcgis/tokens"),
}
BEHIND_A_WEB_ADAPTOR = ["info-standalone-10.4.1.json", "info-standalone-10.4-ports.json", "info-standalone-10.5.1.txt"]
FEDERATED = {
    "info-federated-10.6.1.json": ("https://portal.example/gis", "https://server.example/gis"),
    "info-federated-no-authinfo.json": ("https://org.maps.arcgis.com", "https://analysis.example/arcgis"),
    "info-hosted-agol-10.7.json": ("https://org.maps.arcgis.com", "https://hosted.example/0123456789ABCDEF/arcgis"),
    "info-hosted-agol-11.2.json": ("https://www.arcgis.com", "https://hosted.example/0123456789ABCDEF/arcgis"),
}
WITHOUT_SERVICE = ["info-neither.json", "info-open-server.json"]
PORTALS = {
    "info-portal-sharing.json": "https://portalhostqa.ags.esri.com/gis",
    "info-agol-sharing.json": "https://www.arcgis.com",
}
NO_INFO = ["info-sharing-without-f.html"]
GRANTS = {
    "oauth-exchange-refresh.json": (1800.0, "jsmith", True, 7199.0),
    "oauth-refresh.json": (60.0, " c@sey", None, None),
    "oauth-client-credentials.json": (7200.0, None, None, None),
    "oauth-collector.json": (99800.0, "user", None, None),
    "oauth-plain.txt": (1800.0, "jsmith", True, None),
}
REFUSED_GRANTS = {
    "oauth-bad-client.json": (400, "invalid_client_id", "Invalid client_id"),
    "oauth-bad-secret.json": (400, "invalid_request", "Invalid client_secret"),
    "oauth-refresh-expired.json": (498, "invalid_request", "refresh_token expired"),
    "oauth-refresh-invalid.json": (498, "invalid_request", "Invalid refresh_token"),
}
DEAD_REFRESH_TOKENS = ["oauth-refresh-expired.json", "oauth-refresh-invalid.json"]
PAGES = [
    "oauth-authorize-badclient.txt", "oauth-authorize-redirect-error.txt", "oauth-signin-head.html",
    "oauth-oob-approval-title.html",
]  # fmt: skip
REVOCATIONS = ["oauth-revoke-ok.json", "oauth-revoke-badclient.json"]
SELVES = ["self-agol-org.json", "self-agol-user-app.json", "self-user.json", "self-version-only.json"]


def recorded(name):
    record = RECORDS[name]
    kind = record["content_type"] or "text/plain;charset=utf-8"
    return Reply(record["http_status"] or 200, {"Content-Type": kind}, (FOLDER / name).read_bytes())


def test_every_record_of_these_kinds_is_played_here():
    played = [
        *TOKENS, *REFUSED_PASSWORDS, *FAILED_SIGN_INS, *RENEWED, *ERRORS_LEFT_ALONE, *DATA, *STANDALONE, *FEDERATED,
        *WITHOUT_SERVICE, *PORTALS, *NO_INFO, *GRANTS, *REFUSED_GRANTS, *PAGES, *REVOCATIONS, *SELVES,
    ]  # fmt: skip
    kinds = ("token-", "e-", "e4", "info-", "portal-unreachable", "oauth-", "self-")
    wanted = [name for name in RECORDS if name.startswith(kinds)]
    assert sorted(played) == sorted(wanted)


class TestTokenServices:
    """What a token service answered."""

    @pytest.fixture
    def sign_in(self, handler_peer, open_session, fake_clock):
        def make(name):
            peer = handler_peer(lambda request: recorded(name))
            url = peer.url_for("/portal/sharing/rest/generateToken")
            handler = EsriGenTokenAuth(url, None, "amy", "amys-secret", clock=fake_clock)
            open_session(handler, retries=0)
            return peer, handler

        return make

    @pytest.mark.parametrize("name", TOKENS)
    def test_a_token_is_taken_with_its_expiry(self, sign_in, name):
        peer, handler = sign_in(name)
        answer = json.loads((FOLDER / name).read_bytes())
        assert handler.token == answer["token"]
        assert handler.expiration.timestamp() == pytest.approx(int(answer["expires"]) / 1000)
        assert handler._keeper.token.ssl is answer.get("ssl")
        assert handler.token
        assert len(peer.requests) == 1

    @pytest.mark.parametrize("name", REFUSED_PASSWORDS)
    def test_a_refused_password_is_not_tried_again(self, sign_in, name):
        peer, handler = sign_in(name)
        for _ in range(3):
            with pytest.raises(ArcGISLoginError):
                handler.token  # noqa: B018
        assert len(peer.requests) == 1

    @pytest.mark.parametrize("name", FAILED_SIGN_INS)
    def test_a_failure_is_told_in_the_servers_words(self, sign_in, name):
        peer, handler = sign_in(name)
        with pytest.raises(TokenRequestError, match=FAILED_SIGN_INS[name]) as caught:
            handler.token  # noqa: B018
        assert not isinstance(caught.value, ArcGISLoginError)
        assert len(peer.requests) == 1


class TestOAuth:
    """What the token endpoint, the pages and revokeToken answered."""

    @pytest.fixture
    def world(self, handler_peer, open_session, fake_clock):
        """`world({path: answer}, **options)`: a session with an app at a portal of these answers."""

        def make(answers, **options):
            def handle(request):
                answer = answers.get(request.path.rpartition("/")[2])
                return json_reply({}) if answer is None else answer(request) if callable(answer) else answer

            peer = handler_peer(handle)
            auth = EsriOAuth2Auth(peer.url_for("/portal"), "app1", clock=fake_clock, **options)
            return open_session(auth, retries=0), peer

        return make

    @pytest.mark.parametrize("status", [200, 400])
    @pytest.mark.parametrize("name", REFUSED_GRANTS)
    def test_a_refusal_stops_after_one_request(self, world, name, status):
        code, error, words = REFUSED_GRANTS[name]
        refusal = recorded(name)
        session, peer = world({"token": Reply(status, refusal.headers, refusal.body)}, client_secret="app1-secret")
        for _ in range(3):
            with pytest.raises(ArcGISLoginError, match=words) as caught:
                session.auth.token  # noqa: B018
        assert (caught.value.code, caught.value.error) == (code, error)
        assert len(peer.requests) == 1

    @pytest.mark.parametrize("status", [200, 400])
    @pytest.mark.parametrize("name", DEAD_REFRESH_TOKENS)
    def test_a_dead_refresh_token_starts_no_other_refresh(self, world, name, status):
        refusal = recorded(name)
        session, peer = world({"token": Reply(status, refusal.headers, refusal.body)}, refresh_token="old-refresh-token")
        for _ in range(3):
            with pytest.raises(ArcGISLoginError, match="sign in again"):
                session.get(peer.url_for("/portal/sharing/rest/x"))
        assert len(peer.requests) == 1

    @pytest.mark.parametrize("name", GRANTS)
    def test_a_grant_is_read_and_the_old_refresh_token_kept_where_there_is_no_new_one(self, world, name, fake_clock):
        told = []
        session, peer = world({"token": recorded(name)}, refresh_token="old-refresh-token", on_token=told.append)
        answer = json.loads((FOLDER / name).read_bytes())
        assert session.auth.token == answer["access_token"]
        seconds, username, ssl, life = GRANTS[name]
        assert (told[0].expires_in, told[0].username, told[0].ssl, told[0].refresh_token_expires_in) == (
            seconds,
            username,
            ssl,
            life,
        )
        assert session.auth.token_expires.timestamp() == fake_clock.time() + seconds
        assert session.auth.refresh_token == answer.get("refresh_token", "old-refresh-token")
        assert len(peer.requests) == 1

    def test_the_page_of_a_real_portal_is_one_to_sign_in_at(self, world):
        pages = {
            "authorize": recorded("oauth-signin-head.html"), "signin": recorded("oauth-oob-approval-title.html"),
            "token": recorded("oauth-exchange-refresh.json"),
        }  # fmt: skip
        session, peer = world(pages, username="amy", password="amys-secret")
        assert session.auth.token
        assert [request.path.rpartition("/")[2] for request in peer.requests] == ["authorize", "signin", "token"]
        assert peer.requests[1].form["oauth_state"] == "REDACTEDREDACTEDREDACTE..REDACTEDREDACTEDREDACTED"
        assert peer.requests[2].form["code"] == "0123456789abcdef0123456789abcdef"

    def test_but_no_json(self, world):
        session, _ = world({"token": recorded("oauth-signin-head.html")}, client_secret="app1-secret")
        with pytest.raises(TokenRequestError, match="a web page came instead"):
            session.auth.token  # noqa: B018

    def test_an_error_page_is_told(self, world):
        session, peer = world({"authorize": recorded("oauth-authorize-badclient.txt")}, username="amy", password="amys-secret")
        with pytest.raises(TokenRequestError, match="Invalid client_id"):
            session.auth.token  # noqa: B018
        assert len(peer.requests) == 1

    def test_an_error_that_is_redirected_to_the_app_is_told(self, world):
        location = (FOLDER / "oauth-authorize-redirect-error.txt").read_text("ascii").strip()
        options = {"username": "amy", "password": "amys-secret", "redirect_uri": "https://app.example/callback"}
        session, peer = world({"authorize": Reply(302, {"Location": location})}, **options)
        with pytest.raises(TokenRequestError, match="invalid_request Invalid redirect_uri"):
            session.auth.token  # noqa: B018
        assert len(peer.requests) == 1

    def test_a_revocation_is_confirmed_or_refused(self, world):
        for name in REVOCATIONS:
            session, peer = world({"revokeToken": recorded(name)}, refresh_token="old-refresh-token")
            if name == "oauth-revoke-ok.json":
                assert session.auth.logout() is True
            else:
                with pytest.raises(ArcGISLoginError, match="Invalid client_id"):
                    session.auth.logout()
            (request,) = peer.requests
            assert (request.method, request.form["auth_token"]) == ("POST", "old-refresh-token")


class TestSelves:
    """What portals said of themselves and of who is signed in."""

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("name", SELVES)
    def test_it_is_data_and_no_error(self, handler_peer, open_session, name, stream):
        peer = handler_peer(lambda request: recorded(name))
        response = open_session(EsriUserTokenAuth("good-token")).get(peer.url_for("/self?f=json"), stream=stream)
        assert response.esri_error is None
        assert response.json() == json.loads((FOLDER / name).read_bytes())
        assert len(peer.requests) == 1

    def test_a_user_is_known_by_name(self, handler_peer, open_session, fake_clock):
        def handle(request):
            if request.method == "POST":
                return json_reply({"token": "good-token", "expires": 4_000_000_000_000})
            return recorded("self-agol-user-app.json")

        peer = handler_peer(handle)
        for username, outcome in (("jsmith", None), ("amy", "'jsmith' is signed in, not 'amy'")):
            url = peer.url_for("/portal/sharing/rest/generateToken")
            auth = EsriGenTokenAuth(url, None, username, "a-secret", clock=fake_clock, verify_sign_in=True)
            open_session(auth)
            if outcome is None:
                assert auth.token == "good-token"
            else:
                with pytest.raises(ArcGISLoginError, match=outcome):
                    auth.token  # noqa: B018

    @pytest.mark.parametrize("name", ["self-agol-org.json", "self-version-only.json", "self-user.json"])
    def test_where_nobody_is_named_nobody_is_signed_in(self, handler_peer, open_session, fake_clock, name):
        peer = handler_peer(lambda request: json_reply({"token": "good-token"}) if request.method == "POST" else recorded(name))
        auth = EsriGenTokenAuth(
            peer.url_for("/portal/sharing/rest/generateToken"),
            None,
            "jsmith",
            "a-secret",
            clock=fake_clock,
            verify_sign_in=True,
        )
        open_session(auth)
        with pytest.raises(ArcGISLoginError, match="does not say who is signed in"):
            auth.token  # noqa: B018


class TestResources:
    """What a resource answered to a request with a token."""

    @pytest.fixture
    def play(self, handler_peer, open_session):
        def make(name, stream):
            calls = []
            peer = handler_peer(guarded({"fresh"}, recorded(name)))
            auth = EsriUserTokenAuth("old-token", renew=lambda: calls.append(1) or "fresh")
            return open_session(auth, retries=0).get(peer.url_for("/x?f=json"), stream=stream), peer, calls

        return make

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("name", RENEWED)
    def test_a_refused_token_is_renewed_and_the_request_sent_again(self, play, name, stream):
        response, peer, calls = play(name, stream)
        assert response.json() == {"length": 0}
        assert [token_sent(request) for request in peer.requests] == ["old-token", "fresh"]
        assert calls == [1]

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("name", ERRORS_LEFT_ALONE)
    def test_another_error_is_handed_over_and_is_known_as_one(self, play, name, stream):
        response, peer, calls = play(name, stream)
        assert response.esri_error is not None
        assert response.esri_error.code == ERRORS_LEFT_ALONE[name]
        assert response.content == (FOLDER / name).read_bytes()
        assert (len(peer.requests), calls) == (1, [])

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("name", DATA)
    def test_what_merely_mentions_a_token_is_data(self, play, name, stream):
        response, peer, calls = play(name, stream)
        assert response.esri_error is None
        assert response.content == (FOLDER / name).read_bytes()
        assert (len(peer.requests), calls) == (1, [])


class TestRestInfo:
    """Where a recorded rest/info leads, in a world where its hosts are ours."""

    @pytest.fixture
    def world(self, handler_peer, proxy_peer, ca, open_session, fake_clock):
        def make(name, info_path, token_url, *further_urls):
            def handle(request):
                path = urlsplit(request.target).path
                if path.endswith("/info"):
                    return recorded(name) if path == info_path else Reply(404)
                if path.lower().endswith("/generatetoken"):
                    kind = "server-token" if "serverUrl" in request.form else "site-token"
                    return json_reply({"token": kind, "expires": 4_000_000_000_000})
                return json_reply({})

            hosts = {urlsplit(url).hostname for url in (token_url, *further_urls)}
            peer = handler_peer(handle, tls=ca.server(*hosts))
            proxy = proxy_peer(
                names=dict.fromkeys(hosts, ("127.0.0.1", peer.port)),
                intercept=lambda request: None if request.method == "CONNECT" else handle(request),
            )
            session = open_session(
                EsriGenTokenAuth(token_url, None, "amy", "amys-secret", clock=fake_clock),
                proxies={"https": proxy.url, "http": proxy.url}, ca_bundles=ca.file, trust_env=False,
            )  # fmt: skip
            return session, peer, proxy

        return make

    def posts(self, peer):
        return [(request.headers["Host"], request.path) for request in peer.requests if request.method == "POST"]

    @pytest.mark.parametrize("name", STANDALONE)
    def test_a_stand_alone_server_leads_to_its_token_service(self, world, name):
        url, service = STANDALONE[name]
        session, peer, proxy = world(name, urlsplit(url).path + "/rest/info", url)
        session.get(url + "/rest/services/x?f=json")
        expected = urlsplit(service)
        assert self.posts(peer) == [(expected.netloc, expected.path + "/generateToken")]
        assert "POST" not in {request.method for request in proxy.requests}
        assert token_sent((peer if url.startswith("https") else proxy).requests[-1]) == "site-token"

    @pytest.mark.parametrize("name", BEHIND_A_WEB_ADAPTOR)
    def test_behind_a_web_adaptor_the_announced_host_gets_nothing(self, world, name):
        session, peer, proxy = world(name, "/gis/rest/info", "https://front.example/gis")
        session.get("https://front.example/gis/rest/services/x?f=json")
        assert self.posts(peer) == [("front.example", "/gis/tokens/generateToken")]
        assert {target.partition(":")[0] for target in proxy.tunnels} == {"front.example"}

    @pytest.mark.parametrize("name", FEDERATED)
    def test_a_federated_server_gets_an_exchanged_token(self, world, name):
        portal, server = FEDERATED[name]
        path = urlsplit(server).path
        session, peer, _ = world(name, path + "/rest/info", portal + "/sharing/rest", server)
        session.get(server + "/rest/services/x?f=json")
        host, context = urlsplit(portal).netloc, urlsplit(portal).path
        assert self.posts(peer) == [(host, context + "/sharing/rest/generateToken")] * 2
        assert [request.form.get("serverUrl") for request in peer.requests if request.method == "POST"] == [None, server]
        assert token_sent(peer.requests[-1]) == "server-token"

    @pytest.mark.parametrize("name", FEDERATED)
    def test_a_password_for_a_federated_server_is_not_sent_where_it_points_to(self, world, name):
        server = FEDERATED[name][1]
        session, peer, _ = world(name, urlsplit(server).path + "/rest/info", server)
        with pytest.raises(SignInError, match="No credentials are sent where a server points to"):
            session.get(server + "/rest/services/x?f=json")
        assert self.posts(peer) == []

    @pytest.mark.parametrize("name", WITHOUT_SERVICE)
    def test_a_server_without_token_service_is_a_clear_error(self, world, name):
        session, peer, _ = world(name, "/arcgis/rest/info", "https://server.example/arcgis")
        with pytest.raises(SignInError, match="has no token service"):
            session.get("https://server.example/arcgis/rest/services/x")
        assert self.posts(peer) == []

    @pytest.mark.parametrize("name", [*WITHOUT_SERVICE, *STANDALONE])
    def test_to_a_portals_session_such_a_server_is_a_stranger(self, world, name):
        session, peer, _ = world(name, "/arcgis/rest/info", "https://portal.example/gis/home", "https://server.example/arcgis")
        session.get("https://server.example/arcgis/rest/services/x")
        assert self.posts(peer) == []
        assert {token_sent(request) for request in peer.requests} == {None}

    @pytest.mark.parametrize("name", PORTALS)
    def test_a_portal_leads_to_its_generate_token(self, world, name):
        url = PORTALS[name]
        context = urlsplit(url).path
        session, peer, _ = world(name, context + "/sharing/rest/info", url)
        session.get(url + "/sharing/rest/portals/self?f=json")
        assert self.posts(peer) == [(urlsplit(url).netloc, context + "/sharing/rest/generateToken")]
        assert token_sent(peer.requests[-1]) == "site-token"

    @pytest.mark.parametrize("name", NO_INFO)
    def test_a_page_where_rest_info_should_be_is_a_clear_error(self, world, name):
        session, peer, _ = world(name, "/sharing/rest/info", "https://portal.example")
        with pytest.raises(SignInError, match="a web page came instead"):
            session.get("https://portal.example/sharing/rest/portals/self")
        assert self.posts(peer) == []
        assert all("f=json" in request.target for request in peer.requests)
