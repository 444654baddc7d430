"""Tokens of the embedded portal: how they are had, where they are good, how they die."""

from __future__ import annotations

import pytest


def test_generate_token_answers_with_token_expires_in_milliseconds_and_ssl(client, clock):
    reply = client.sign_in(expiration=30)
    assert reply.status == 200
    assert reply.json["expires"] == int((clock.seconds + 1800) * 1000)
    assert reply.json["ssl"] is True
    assert len(reply.json["token"]) > 100


def test_a_lifetime_beyond_the_limit_is_cut_without_an_error(client, clock):
    reply = client.sign_in(expiration=999999)
    assert reply.json["expires"] == int((clock.seconds + 21600 * 60) * 1000)


@pytest.mark.parametrize("asked", ["", "-5", "nonsense", "nan"])
def test_a_lifetime_that_is_none_counts_as_not_asked(client, clock, asked):
    assert client.sign_in(expiration=asked).json["expires"] == int((clock.seconds + 3600) * 1000)


def test_get_is_refused_with_gwm_0005(client, portal):
    reply = client.get(portal.token_url)
    assert reply.status == 200
    assert reply.json == {"error": {"code": 405, "messageCode": "GWM_0005", "message": "Method not supported.", "details": []}}


def test_credentials_in_the_query_are_refused(client, portal):
    reply = client.post(portal.token_url + "?username=amy&password=amys-secret")
    assert reply.json["error"]["message"] == "POST request should not contain username and password in the query string."


def test_a_wrong_password_has_the_known_envelope(client):
    envelope = {"error": {"code": 400, "message": "Unable to generate token.", "details": ["Invalid username or password."]}}
    assert client.sign_in(password="wrong").json == envelope
    assert client.sign_in(username="amy", password="AMYS-SECRET").json == envelope


def test_user_names_are_case_sensitive(client):
    reply = client.post(client.portal.token_url, username="AMY", password="amys-secret", client="requestip")
    assert reply.error_code == 400


@pytest.mark.parametrize(
    "form, details",
    [
        ({}, ["'username' must be specified.", "'password' must be specified."]),
        ({"username": "amy"}, ["'password' must be specified."]),
        ({"username": "amy", "password": "amys-secret"}, ["'referer' must be specified."]),
        ({"username": "amy", "password": "amys-secret", "client": "ip"}, ["'ip' must be specified."]),
    ],
)
def test_a_missing_parameter_is_named(client, portal, form, details):
    assert client.post(portal.token_url, **form).json["error"]["details"] == details


def test_a_user_name_and_password_with_every_special_character_arrive(client, portal, bearer):
    token = client.sign_in("zoë").json["token"]
    reply = client.get(portal.portal_url + "/sharing/rest/community/self", bearer(token, "http"))
    assert reply.json["username"] == "zoë"


def test_a_referer_bound_token_is_good_with_exactly_that_referer(client, portal, bearer):
    token = client.sign_in(referer="https://app.example/").json["token"]
    url = portal.portal_url + "/sharing/rest/community/self"
    assert client.get(url, bearer(token, "https://app.example/")).json["username"] == "amy"
    for referer in (None, "https://app.example", "https://app.example/page"):
        assert client.get(url, bearer(token, referer)).json == {
            "error": {"code": 498, "message": "Invalid token.", "details": []}
        }


def test_a_token_for_this_address_needs_no_referer_and_one_for_another_address_is_refused(client, portal, bearer):
    url = portal.portal_url + "/sharing/rest/community/self"
    mine = client.sign_in(client="requestip", referer="").json["token"]
    assert client.get(url, bearer(mine)).json["username"] == "amy"
    other = client.sign_in(client="ip", ip="192.0.2.7").json["token"]
    assert client.get(url, bearer(other)).error_code == 498


def test_five_wrong_passwords_lock_the_account_for_fifteen_minutes(client, portal, clock):
    for _ in range(4):
        client.sign_in(password="wrong")
    assert not portal.accounts.is_locked("amy")
    client.sign_in(password="wrong")
    assert portal.accounts.is_locked("amy")
    assert client.sign_in().error_code == 400
    assert "token" in client.sign_in("bob").json
    clock.seconds += 15 * 60 + 1
    assert "token" in client.sign_in().json


def test_a_token_dies_when_its_time_is_over_by_the_clock_of_the_portal(client, portal, bearer, clock):
    url = portal.portal_url + "/sharing/rest/community/self"
    token = portal.issue_token("amy", minutes=10)
    clock.seconds += 599
    assert client.get(url, bearer(token)).json["username"] == "amy"
    clock.seconds += 1
    assert client.get(url, bearer(token)).error_code == 498


def test_a_skewed_clock_shows_in_expires_and_in_date(client, portal, clock):
    portal.clock_skew_seconds = -7200
    reply = client.sign_in(expiration=60)
    assert reply.json["expires"] == int((clock.seconds - 7200 + 3600) * 1000)
    assert reply.headers["Date"] == "Tue, 14 Nov 2023 20:13:20 GMT"


@pytest.mark.parametrize("way", ["x-esri", "query", "form", "authorization"])
def test_a_token_is_taken_by_every_means_of_transport(client, portal, way):
    url = portal.portal_url + "/sharing/rest/community/self"
    token = portal.issue_token("bob")
    replies = {
        "x-esri": lambda: client.get(url, {"X-Esri-Authorization": f"Bearer {token}"}),
        "query": lambda: client.get(url, token=token),
        "form": lambda: client.post(url, token=token),
        "authorization": lambda: client.get(url, {"Authorization": f"Bearer {token}"}),
    }
    assert replies[way]().json["username"] == "bob"


def test_an_exchanged_token_opens_the_federated_server_and_the_portal_token_does_not(client, portal, bearer):
    token = portal.issue_token("amy")
    assert client.get(portal.layer_url, bearer(token)).json == {
        "error": {"code": 498, "message": "Invalid Token", "details": []}
    }
    exchanged = client.post(portal.token_url, token=token, serverUrl=portal.server_url).json["token"]
    assert client.get(portal.layer_url, bearer(exchanged)).json["name"] == "Places"
    assert client.get(portal.portal_url + "/sharing/rest/community/self", bearer(exchanged)).error_code == 498
    portal.server_accepts_portal_tokens = True
    assert client.get(portal.layer_url, bearer(token)).json["name"] == "Places"


def test_the_exchange_takes_a_resource_url_and_any_case_of_the_host(client, portal):
    token = portal.issue_token("amy")
    shouted = portal.layer_url.replace("localhost", "LOCALHOST")
    assert "token" in client.post(portal.token_url, token=token, serverUrl=shouted).json


@pytest.mark.parametrize("change", ["/server2", "/other"])
def test_the_exchange_for_an_unknown_server_is_refused(client, portal, change):
    token = portal.issue_token("amy")
    reply = client.post(portal.token_url, token=token, serverUrl=portal.server_url.replace("/server", change))
    assert reply.json == {
        "error": {"code": 400, "message": "Unable to generate token", "details": ["Unable to generate token for this server"]}
    }


def test_an_expired_portal_token_is_not_exchanged(client, portal, clock):
    token = portal.issue_token("amy", minutes=1)
    clock.seconds += 61
    assert client.post(portal.token_url, token=token, serverUrl=portal.server_url).error_code == 498


def test_an_exchanged_token_keeps_the_referer_of_the_portal_token(client, portal, bearer):
    token = portal.issue_token("amy", referer="http")
    answer = client.post(portal.token_url, {"Referer": "http"}, token=token, serverUrl=portal.server_url)
    exchanged = answer.json["token"]
    assert client.get(portal.layer_url, bearer(exchanged)).error_code == 498
    assert client.get(portal.layer_url, bearer(exchanged, "http")).json["name"] == "Places"


def test_changing_the_shared_key_kills_every_token_of_the_site_but_no_others(client, portal, bearer):
    ours = portal.issue_token("amy")
    servers = portal.issue_token("amy", server_url=portal.server_url)
    standalone = portal.issue_token("amy", server_url=portal.standalone_url)
    key = portal.issue_api_key()
    assert portal.revoke_all_tokens() == 2
    assert client.get(portal.portal_url + "/sharing/rest/community/self", bearer(ours)).error_code == 498
    assert client.get(portal.layer_url, bearer(servers)).error_code == 498
    assert client.get(portal.layer_url, bearer(key)).json["name"] == "Places"
    assert client.get(portal.standalone_layer_url, bearer(standalone)).json["name"] == "Places"


def test_one_token_can_be_revoked(client, portal, bearer):
    token = portal.issue_token("amy", server_url=portal.server_url)
    other = portal.issue_token("amy", server_url=portal.server_url)
    assert portal.revoke(token)
    assert not portal.revoke(token)
    assert client.get(portal.layer_url, bearer(token)).error_code == 498
    assert client.get(portal.layer_url, bearer(other)).json["name"] == "Places"


def test_an_api_key_with_referers_is_good_below_one_of_them_only(client, portal, bearer):
    key = portal.issue_api_key("amy", referers=["https://app.example"])
    assert key.startswith("AAPK")
    assert client.get(portal.layer_url, bearer(key, "https://app.example/map")).json["name"] == "Places"
    for referer in (None, "https://app.example.evil", "http"):
        assert client.get(portal.layer_url, bearer(key, referer)).error_code == 498


def test_the_standalone_server_has_a_token_service_of_its_own(client, portal, bearer):
    for path in ("/tokens/", "/tokens", "/tokens/generateToken"):
        form = {"username": "amy", "password": "amys-secret", "client": "requestip"}
        answer = client.post(portal.standalone_url + path, **form).json
        assert set(answer) == {"token", "expires"}
        assert client.get(portal.standalone_layer_url, bearer(answer["token"])).json["name"] == "Places"
        assert client.get(portal.layer_url, bearer(answer["token"])).error_code == 498


def test_errors_of_the_standalone_token_service_have_a_text_as_details(client, portal):
    url = portal.standalone_url + "/tokens/generateToken"
    wrong = client.post(url, username="amy", password="no", client="requestip").json["error"]
    assert (wrong["code"], wrong["details"]) == (401, "Invalid credentials")
    unbound = client.post(url, username="amy", password="amys-secret", expiration=1440).json["error"]
    assert (unbound["code"], unbound["details"]) == (201, "Client ID is required for long expiration tokens.")
    assert client.post(url, username="amy", password="amys-secret", client="referer").json["error"]["code"] == 201
    assert "token" in client.post(url, username="amy", password="amys-secret").json
    get = client.get(url)
    assert (get.status, get.json["error"]["message"]) == (405, "'GET' method not supported.")


def test_the_admin_token_service_gives_expires_as_text_and_is_for_administrators(client, portal, bearer, clock):
    for root in (portal.standalone_url, portal.server_url):
        url = root + "/admin/generateToken"
        reply = client.post(url, username="bob", password="bobs-secret", client="referer", referer="http", expiration=5)
        assert reply.json["expires"] == str(int((clock.seconds + 300) * 1000))
        assert reply.headers["Content-Type"] == "text/plain;charset=utf-8"
        assert "resources" in client.post(root + "/admin", bearer(reply.json["token"], "http")).json
        refused = client.post(url, username="amy", password="amys-secret", client="requestip").json
        assert refused == {"status": "error", "messages": ["Invalid username or password."], "code": 401}


def test_https_can_be_required(new_client):
    from esri_http.testing import EmbeddedPortal

    with EmbeddedPortal(https=False, host="127.0.0.1") as portal:
        client = new_client(portal)
        assert client.sign_in().json["ssl"] is False
        portal.require_https = True
        assert client.sign_in().json["error"]["message"] == "SSL Required"
