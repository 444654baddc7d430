"""`EsriAPIKeyAuth`: a key in place of a token."""

from __future__ import annotations

import inspect

import pytest

from esri_http import EsriAPIKeyAuth, EsriBasicAuth
from esri_http.words.errors import ArcGISLoginError, ConfigurationError
from tests.auth.helpers import guarded, token_sent


def test_the_parameters_come_in_the_order_that_scripts_use():
    assert list(inspect.signature(EsriAPIKeyAuth).parameters)[:4] == ["api_key", "referer", "verify_cert", "auth"]


def test_a_key_works_at_the_portal_and_at_its_servers_without_a_sign_in(portal, open_session):
    session = open_session(EsriAPIKeyAuth(portal.issue_api_key("amy")))
    assert session.get(portal.portal_url + "/sharing/rest/community/self?f=json").json()["username"] == "amy"
    assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
    assert portal.count("/generateToken") == 0
    assert len(portal.requests) == 2


def test_a_key_with_allowed_referrers_needs_one_of_them(portal, open_session):
    key = portal.issue_api_key("amy", referers=["https://tool.example/app"])
    url = portal.layer_url + "?f=json"
    assert open_session(EsriAPIKeyAuth(key, "https://tool.example/app/page")).get(url).json()["type"] == "Feature Layer"
    with pytest.raises(ArcGISLoginError, match=r"refuses the API key .*bound to another Referer"):
        open_session(EsriAPIKeyAuth(key)).get(url)


def test_a_refused_key_is_an_error_at_once_each_time(portal, open_session):
    key = portal.issue_api_key("amy")
    portal.revoke(key)
    session = open_session(EsriAPIKeyAuth(key))
    for number in (1, 2):
        with pytest.raises(ArcGISLoginError, match="API key") as caught:
            session.get(portal.layer_url + "?f=json")
        assert key not in str(caught.value)
        assert len(portal.requests) == number
    assert {token_sent(request) for request in portal.requests} == {key}


def test_the_key_can_be_exchanged(portal, open_session):
    session = open_session(EsriAPIKeyAuth("AAPKold"))
    session.auth.token = portal.issue_api_key("amy")
    assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"


def test_an_expired_key_is_named_before_it_is_sent(portal, open_session, fake_clock):
    key = portal.issue_api_key("amy", minutes=1)
    session = open_session(EsriAPIKeyAuth(key, expires=fake_clock.time() + 60, clock=fake_clock))
    assert session.get(portal.layer_url + "?f=json").ok
    fake_clock.advance(61)
    with pytest.raises(ArcGISLoginError, match="API key has expired"):
        session.get(portal.layer_url + "?f=json")
    assert len(portal.requests) == 1


@pytest.mark.parametrize("key", [None, "", 5, "AAPK with blanks"])
def test_what_is_no_key_is_refused_at_once(key):
    with pytest.raises(ConfigurationError):
        EsriAPIKeyAuth(key)


def test_the_inner_handler_stands_nearer_the_wire(handler_peer, open_session):
    peer = handler_peer(guarded({"AAPKkey"}))
    session = open_session(EsriAPIKeyAuth("AAPKkey", auth=("front", "door-password")))
    assert session.get(peer.url_for("/x")).ok
    assert peer.requests[0].headers["Authorization"].startswith("Basic ")
    assert token_sent(peer.requests[0]) == "AAPKkey"


def test_a_token_handler_inside_signs_in_through_the_same_session(portal, handler_peer, open_session, amy):
    inner = amy(portal)
    open_session(EsriAPIKeyAuth("AAPKkey", auth=inner))
    assert portal.tokens.get(inner.token).username == "amy"


def test_several_handlers_inside_stand_in_their_order(portal, open_session, by_pkce):
    inner = EsriBasicAuth(None, "front", "door-password") + by_pkce()
    session = open_session(EsriAPIKeyAuth(portal.issue_api_key("amy"), auth=inner))
    assert session.get(portal.portal_url + "/sharing/rest/community/self?f=json").json()["username"] == "amy"
    assert session.auth.logout()
    assert len(portal.requests) > 3
    assert all((request.headers.get("Authorization") or "").startswith("Basic ") for request in portal.requests)


def test_a_handler_shows_no_key():
    assert "AAPKkey" not in repr(EsriAPIKeyAuth("AAPKkey"))
