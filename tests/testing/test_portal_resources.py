"""What the sites of the embedded portal say about themselves, and how they refuse."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("base", ["/sharing/rest", "/sharing"])
def test_the_sharing_api_tells_version_and_token_service(client, portal, base):
    assert client.get(portal.portal_url + base).json["currentVersion"] == "2024.1"
    assert client.get(portal.portal_url + base + "/info").json == {
        "owningSystemUrl": portal.portal_url,
        "authInfo": {"tokenServicesUrl": portal.token_url, "isTokenBasedSecurity": True},
    }


def test_portal_json_is_labelled_json_and_server_json_is_labelled_text(client, portal):
    assert client.get(portal.portal_url + "/sharing/rest").headers["Content-Type"].startswith("application/json")
    for url in (portal.public_layer_url, portal.server_url + "/rest/info", portal.standalone_layer_url):
        assert client.get(url).headers["Content-Type"] == "text/plain;charset=utf-8"


def test_portals_self_shows_the_user_only_with_a_token(client, portal, bearer):
    url = portal.portal_url + "/sharing/rest/portals/self"
    anonymous = client.get(url).json
    assert "user" not in anonymous
    assert anonymous["isPortal"] is True
    signed_in = client.get(url, bearer(portal.issue_token("bob"))).json
    assert (signed_in["user"]["username"], signed_in["user"]["role"]) == ("bob", "org_admin")
    assert client.get(url, bearer("made-up")).error_code == 498


def test_a_private_organisation_says_little_to_strangers(client, portal):
    portal.access = "private"
    answer = client.get(portal.portal_url + "/sharing/rest/portals/self").json
    assert answer["access"] == "private"
    assert "id" not in answer


def test_community_self_needs_a_token(client, portal):
    assert client.get(portal.portal_url + "/sharing/rest/community/self").json == {
        "error": {"code": 499, "messageCode": "GWM_0003", "message": "Token Required", "details": ["Token Required"]}
    }


def test_the_portal_lists_its_servers_and_users_to_members(client, portal, bearer):
    headers = bearer(portal.issue_token("amy"))
    servers = client.get(portal.portal_url + "/sharing/rest/portals/self/servers", headers).json["servers"]
    assert [server["url"] for server in servers] == [portal.server_url]
    users = portal.portal_url + "/sharing/rest/community/users/"
    assert client.get(users + "zo%C3%AB", headers).json["fullName"] == "Zoë Zimmer"
    assert client.get(users + "nobody", headers).error_code == 400
    assert client.get(users + "amy").error_code == 499


def test_rest_info_comes_in_three_kinds(client, portal):
    federated = client.get(portal.server_url + "/rest/info").json
    assert federated["owningSystemUrl"] == portal.portal_url
    assert federated["authInfo"] == {"isTokenBasedSecurity": True, "tokenServicesUrl": portal.token_url}
    standalone = client.get(portal.standalone_url + "/rest/info").json
    assert "owningSystemUrl" not in standalone
    assert standalone["authInfo"]["tokenServicesUrl"] == portal.standalone_url + "/tokens/"
    assert standalone["authInfo"]["shortLivedTokenValidity"] == 60
    portal.standalone_is_open = True
    assert client.get(portal.standalone_url + "/rest/info").json["authInfo"] == {"isTokenBasedSecurity": False}
    assert client.get(portal.standalone_layer_url).json["name"] == "Places"


def test_what_a_site_says_about_itself_can_be_overlaid(client, portal):
    portal.server_site.info_overrides.update(owningSystemUrl="https://evil.example/portal", authInfo=None)
    info = client.get(portal.server_url + "/rest/info").json
    assert info["owningSystemUrl"] == "https://evil.example/portal"
    assert "authInfo" not in info
    portal.portal_site.self_overrides.update(supportsOAuth=False, name=None)
    answer = client.get(portal.portal_url + "/sharing/rest/portals/self").json
    assert answer["supportsOAuth"] is False
    assert "name" not in answer


def test_a_secured_layer_wants_a_token_and_a_public_one_does_not(client, portal, bearer):
    for url in (portal.layer_url, portal.standalone_layer_url, portal.layer_url + "/query"):
        assert client.get(url).json == {"error": {"code": 499, "message": "Token Required", "details": []}}
    assert client.get(portal.public_layer_url).json["name"] == "Places"
    assert client.get(portal.public_layer_url, bearer("made-up")).error_code == 498


def test_the_folder_lists_what_the_user_may_see(client, portal, bearer):
    def names(headers):
        services = client.get(portal.server_url + "/rest/services", headers).json["services"]
        return {service["name"] for service in services}

    assert names(None) == {"PublicPlaces"}
    assert names(bearer(portal.issue_token("amy", server_url=portal.server_url))) == {"PublicPlaces", "Places"}


@pytest.mark.parametrize("site", ["portal", "server", "standalone"])
def test_admin_pages_use_the_admin_envelope(client, portal, bearer, site):
    url = {
        "portal": portal.portal_url + "/portaladmin/security",
        "server": portal.server_url + "/admin/machines",
        "standalone": portal.standalone_url + "/admin",
    }[site]
    server_url = {"portal": None, "server": portal.server_url, "standalone": portal.standalone_url}[site]
    missing = client.get(url).json
    assert (missing["status"], missing["code"]) == ("error", 499)
    assert missing["messages"][0].startswith("Unauthorized access. Token not found.")
    assert client.get(url, bearer("made-up")).json == {"status": "error", "messages": ["Token Expired."], "code": 498}
    assert client.get(url, bearer(portal.issue_token("amy", server_url=server_url))).json["code"] == 403
    assert "resources" in client.get(url, bearer(portal.issue_token("bob", server_url=server_url))).json


def test_without_f_everything_is_a_page_and_498_and_499_are_the_http_status(client, portal):
    page = client.send("GET", portal.server_url + "/rest/info")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html;charset=utf-8")
    assert page.body.lstrip().startswith(b"<")
    assert client.send("GET", portal.layer_url).status == 499
    assert client.send("GET", portal.layer_url + "?token=made-up").status == 498


def test_pjson_is_json_on_many_lines(client, portal):
    reply = client.get(portal.server_url + "/rest/info", f="pjson")
    assert reply.json["currentVersion"] == 11.3
    assert reply.body.count(b"\n") > 3


def test_an_unknown_path_is_a_404_page_and_an_unknown_service_an_envelope(client, portal):
    assert client.get(portal.portal_url + "/nowhere").status == 404
    assert client.get(portal.server_url.replace("/server", "/elsewhere")).status == 404
    assert client.get(portal.server_url + "/rest/services/None/FeatureServer").error_code == 404


def test_a_federated_server_has_no_token_service(client, portal):
    assert client.post(portal.server_url + "/tokens/generateToken").status == 404


def test_routes_can_be_added_and_a_gate_can_stand_in_front(client, portal):
    from esri_http.testing import Answer

    portal.portal_site.routes["/oauth2/*"] = lambda request: Answer(200, request.path.encode())
    assert client.get(portal.portal_url + "/oauth2/a/b").body == b"/portal/oauth2/a/b"
    portal.portal_site.gate = lambda request: Answer(401).add("WWW-Authenticate", 'Basic realm="iis"')
    reply = client.get(portal.portal_url + "/sharing/rest")
    assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, 'Basic realm="iis"')


def test_whom_the_web_tier_let_in_needs_no_password(client, portal):
    portal.portal_site.web_tier = lambda request: request.headers.get("X-Remote-User")
    headers = {"X-Remote-User": "amy"}
    url = portal.portal_url + "/sharing/rest/portals/self"
    assert client.get(url, headers).json["user"]["username"] == "amy"
    assert "token" in client.post(portal.token_url, headers, client="referer", referer="http").json
    assert "user" not in client.get(url).json


def test_a_broken_route_answers_500_and_is_on_record(clock, new_client):
    from esri_http.testing import EmbeddedPortal

    with EmbeddedPortal(clock=clock) as portal:
        portal.portal_site.routes["/broken"] = lambda request: 1 / 0
        assert new_client(portal).get(portal.portal_url + "/broken").status == 500
        assert "ZeroDivisionError" in portal.internal_errors[0]
