"""How `GIS(...)` chooses a way to sign in, what that costs, and that credentials go nowhere before the site is known."""

from __future__ import annotations

import getpass
from typing import Any

import pytest

from esri_http import (
    GIS,
    ArcGISLoginError,
    ConfigurationError,
    EsriBasicAuth,
    EsriBuiltInAuth,
    EsriGuessAuth,
    EsriSession,
    EsriUserTokenAuth,
    InteractionRequiredError,
    SignInError,
    TransportError,
)  # fmt: skip
from esri_http.testing import EmbeddedPortal, faults
from tests.support.http_messages import Reply
from tests.support.peers import json_reply

from .conftest import ask_basic, authorizations, paths

SELF = "GET /portal/sharing/rest/portals/self"
TOKEN = "POST /portal/sharing/rest/generateToken"


def name_of(gis: GIS) -> Any:
    return None if gis.users.me is None else gis.users.me.username


# -- what it costs ---------------------------------------------------------------------------------------------------


def test_an_anonymous_one_is_one_request(portal: EmbeddedPortal, connect: Any) -> None:
    gis = connect()
    assert (paths(portal), name_of(gis), gis.session.auth) == ([SELF], None, None)


def test_a_token_or_a_key_is_one_request(portal: EmbeddedPortal, connect: Any) -> None:
    assert name_of(connect(token=portal.issue_token("amy", referer="http"))) == "amy"
    assert name_of(connect(api_key=portal.issue_api_key("bob"))) == "bob"
    assert connect(api_key=portal.issue_api_key()).properties.portalName == "ArcGIS Enterprise"
    assert paths(portal) == [SELF] * 3


def test_user_and_password_are_three_requests_and_none_before_the_site_is_known(portal: EmbeddedPortal, connect: Any) -> None:
    gis = connect("", "amy", "amys-secret")
    assert (paths(portal), name_of(gis)) == ([SELF, TOKEN, SELF], "amy")
    first = portal.requests[0]
    assert "X-Esri-Authorization" not in first.headers
    assert first.query == {"f": "json"}


def test_basic_is_two_requests(portal: EmbeddedPortal, connect: Any) -> None:
    ask_basic(portal, {"amy": "door"})
    gis = connect("", "amy", "door")
    assert (paths(portal), name_of(gis)) == ([SELF] * 2, "amy")
    assert gis.session.get(portal.portal_url + "/sharing/rest/community/self", params={"f": "json"}).json()["username"] == "amy"
    assert len(portal.requests) == 3


def test_a_stand_alone_server_by_user_and_password_is_three_requests(portal: EmbeddedPortal, connect: Any) -> None:
    gis = connect(portal.standalone_url, "amy", "amys-secret")
    assert paths(portal) == [
        "GET /arcgis/sharing/rest/portals/self",
        "GET /arcgis/rest/info",
        "POST /arcgis/tokens/generateToken",
    ]
    assert (gis.properties.portalName, gis.properties.isPortal, name_of(gis)) == ("ArcGIS Server", False, "amy")
    assert gis.session.get(portal.standalone_layer_url, params={"f": "json"}).json()["name"] == "Places"


def test_an_app_is_two_requests(portal: EmbeddedPortal, connect: Any) -> None:
    portal.register_app("app1", "app1-secret")
    gis = connect(client_id="app1", client_secret="app1-secret")
    assert gis.properties.appInfo.appId == "app1"
    assert paths(portal) == ["POST /portal/sharing/rest/oauth2/token", SELF]


# -- which way -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/home", "/home/index.html?q=1#x", "/sharing/rest", "/sharing/rest/portals/self", "/apps/x", "/index.html"]
)
def test_any_page_of_a_portal_will_do(portal: EmbeddedPortal, connect: Any, path: str) -> None:
    gis = connect(f"  {portal.portal_url}{path} ", "amy", "amys-secret")
    assert (gis.url, name_of(gis)) == (portal.portal_url, "amy")


def test_a_layer_of_a_federated_server_leads_to_its_portal(portal: EmbeddedPortal, connect: Any) -> None:
    gis = connect(portal.layer_url, "amy", "amys-secret")
    assert (gis.url, name_of(gis)) == (portal.portal_url, "amy")
    assert gis.session.get(portal.layer_url, params={"f": "json"}).json()["name"] == "Places"


@pytest.mark.parametrize("keywords", [{"token": "portal"}, {"token": "pair"}, {"api_key": True}])
def test_a_token_for_a_federated_servers_url_is_one_of_its_portal(portal: EmbeddedPortal, connect: Any, keywords: Any) -> None:
    given = dict(keywords)
    if "token" in given:
        token = portal.issue_token("amy", referer="http")
        given["token"] = (token, portal.now() + 3600) if given["token"] == "pair" else token
    else:
        given["api_key"] = portal.issue_api_key("amy")
    gis = connect(portal.server_url, **given)
    assert (gis.url, name_of(gis)) == (portal.portal_url, "amy")


def test_a_server_that_names_a_foreign_portal_gets_no_credentials(portal: EmbeddedPortal, connect: Any) -> None:
    portal.server_site.info_overrides = {"owningSystemUrl": "https://evil.example/portal"}
    with pytest.raises(SignInError, match=r"federated with https://evil.example/portal\. No credentials"):
        connect(portal.server_url + "/rest/services", "amy", "amys-secret")
    assert portal.count(method="POST") == 0
    gis = connect(portal.server_url + "/rest/services")
    assert (gis.url, name_of(gis)) == (portal.server_url, None)


@pytest.mark.parametrize("keyword", ["token", "api_key"])
def test_a_token_of_a_stand_alone_server_is_tried_there(portal: EmbeddedPortal, connect: Any, keyword: str) -> None:
    token = portal.issue_token("amy", referer="http", server_url=portal.standalone_url)
    gis = connect(portal.standalone_url, **{keyword: token})
    assert gis.session.get(portal.standalone_layer_url, params={"f": "json"}).json()["name"] == "Places"
    with pytest.raises(ArcGISLoginError, match=r"refuses|does not take"):
        connect(portal.standalone_url, **{keyword: "no-such-token"})


def test_empty_texts_count_as_not_given_as_in_the_peer(portal: EmbeddedPortal, connect: Any) -> None:
    assert name_of(connect("", "", "", "", "", client_id="", profile="", token="", api_key="")) is None
    assert name_of(connect("", "amy", "amys-secret", "", "")) == "amy"


def test_a_password_is_asked_for_where_the_portal_of_a_server_wants_it(portal: EmbeddedPortal, connect: Any) -> None:
    ask_basic(portal, {"amy": "door"})
    portal.server_site.gate = None
    prompts: list[str] = []
    gis = connect(portal.layer_url, "amy", prompt=lambda text: prompts.append(text) or "door")
    assert (gis.url, name_of(gis), len(prompts)) == (portal.portal_url, "amy", 1)


def test_a_web_tier_that_a_token_does_not_open_says_how_to_go_on(portal: EmbeddedPortal, connect: Any) -> None:
    ask_basic(portal, {"amy": "door"})
    token = portal.issue_token("amy", referer="http")
    with pytest.raises(SignInError, match=r"at the web tier: Basic.*custom_auth=EsriGuessAuth\(None, user, password\) \+"):
        connect(token=token)
    door = EsriGuessAuth(None, "amy", "door", url=portal.portal_url)
    assert name_of(connect(custom_auth=door + EsriUserTokenAuth(token, url=portal.portal_url))) == "amy"


@pytest.mark.parametrize("status", [401, 403])
def test_a_site_that_keeps_strangers_out_is_told_as_such(handler_peer: Any, status: int) -> None:
    peer = handler_peer(lambda request: Reply(status))
    with pytest.raises(SignInError, match=f"HTTP {status}: it keeps strangers out"):
        GIS(peer.url_for("/portal"), "amy", "amys-secret")
    assert len(peer.requests) == 1


def test_generate_token_alone_where_that_is_asked_for(portal: EmbeddedPortal, connect: Any) -> None:
    gis = connect("", "amy", "amys-secret", use_gen_token=True, expiration=15)
    assert type(gis.session.auth).__name__ == "EsriGenTokenAuth"
    assert next(r for r in portal.requests if r.method == "POST").form["expiration"] == "15"


@pytest.mark.parametrize("site", ["portal_url", "standalone_url"])
def test_there_the_longest_is_asked_for_in_digits(portal: EmbeddedPortal, connect: Any, site: str) -> None:
    gis = connect(getattr(portal, site), "amy", "amys-secret", use_gen_token=site == "portal_url", expiration=-1)
    assert name_of(gis) == "amy"
    assert next(r for r in portal.requests if r.method == "POST").form["expiration"] == "20160"


def test_an_organisation_that_wants_oauth_is_signed_in_by_its_page(portal: EmbeddedPortal, connect: Any) -> None:
    portal.generate_token_takes_passwords = False
    assert name_of(connect("", "amy", "amys-secret")) == "amy"


def test_a_certificate_is_no_matter_where_the_portal_does_not_ask_for_it(portal: EmbeddedPortal, connect: Any, ca: Any) -> None:
    amy = ca.client("amy")
    with pytest.raises(SignInError, match=r"does not say who is signed in: a client certificate \(PKI\)"):
        connect(cert_file=amy.cert_file, key_file=amy.key_file)
    assert name_of(connect("", "amy", "amys-secret", cert_file=amy.cert_file, key_file=amy.key_file)) == "amy"


def test_the_key_in_the_environment_is_for_online_only(
    portal: EmbeddedPortal, online: EmbeddedPortal, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = online.issue_api_key("amy")
    monkeypatch.setenv("ESRI_API_KEY", key)
    assert name_of(connect(None)) == "amy"
    assert name_of(connect(None, "bob", "bobs-secret")) == "bob"
    assert (
        connect(None, trust_env=False, proxies={"https": online_proxy(monkeypatch)}, ca_bundles=online.ca_file).users.me is None
    )
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", portal.ca_file)
    assert name_of(connect()) is None
    assert key not in str([dict(request.headers) for request in portal.requests])


def online_proxy(monkeypatch: pytest.MonkeyPatch) -> str:
    import os

    return os.environ["HTTPS_PROXY"]


def test_a_handler_of_your_own(portal: EmbeddedPortal, connect: Any) -> None:
    ask_basic(portal, {"door": "door"})
    for site in portal.sites:
        site.web_tier = lambda request: None
    url = portal.portal_url
    gis = connect(custom_auth=EsriBasicAuth(None, "door", "door", url=url) + EsriBuiltInAuth(url, "amy", "amys-secret"))
    assert name_of(gis) == "amy"


def test_a_handler_of_your_own_that_signs_nobody_in_is_an_error(portal: EmbeddedPortal, connect: Any) -> None:
    with pytest.raises(SignInError, match=r"does not say who is signed in: a handler of your own"):
        connect(custom_auth=EsriBasicAuth(None, "amy", "amys-secret"))


def test_a_session_of_your_own_is_taken_as_it_is(portal: EmbeddedPortal, connect: Any) -> None:
    with EsriSession(auth=EsriBuiltInAuth(portal.portal_url, "amy", "amys-secret")) as session:
        gis = connect(session=session)
        assert gis.session is session
        assert name_of(gis) == "amy"
    with EsriSession() as session:
        assert name_of(connect(session=session)) is None


# -- the web tier ----------------------------------------------------------------------------------------------------


def test_a_web_tier_without_credentials_says_what_it_wants(portal: EmbeddedPortal, connect: Any) -> None:
    ask_basic(portal, {"amy": "door"})
    with pytest.raises(SignInError, match=r"the server offers Basic; Basic cannot be used: it needs username= and password="):
        connect()
    assert paths(portal) == [SELF]


def test_a_password_is_asked_for_once_the_web_tier_wants_it(
    portal: EmbeddedPortal, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_basic(portal, {"amy": "door"})
    monkeypatch.setattr(getpass, "getpass", lambda prompt: "door")
    assert name_of(connect("", "amy")) == "amy"


def test_a_web_tier_that_lets_in_whom_the_portal_does_not_know_is_an_error(portal: EmbeddedPortal, connect: Any) -> None:
    ask_basic(portal, {"amy": "door"})
    portal.portal_site.web_tier = lambda request: None
    with pytest.raises(SignInError, match=r"took the sign-in \(Basic at the web tier\), but the portal behind it"):
        connect("", "amy", "door")
    assert portal.count(method="POST") == 0


def test_an_unknown_kind_of_sign_in_is_named(portal: EmbeddedPortal, connect: Any) -> None:
    from esri_http.testing import Answer

    portal.portal_site.gate = lambda request: Answer(401, b"", "text/plain").add("WWW-Authenticate", "Bearer realm=x")
    with pytest.raises(SignInError, match=r"at the web tier: Bearer\. Known here are Basic, Digest, NTLM and Kerberos"):
        connect("", "amy", "amys-secret")
    with pytest.raises(SignInError, match="by username= and password="):
        connect()


def test_somebody_whom_the_web_tier_lets_in_by_itself_is_told(portal: EmbeddedPortal, connect: Any, capsys: Any) -> None:
    portal.portal_site.web_tier = lambda request: "bob"
    gis = connect()
    gis.explain()
    assert name_of(gis) == "bob"
    assert "the portal says that bob is signed in, without our doing" in capsys.readouterr().out


# -- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keywords", [{}, {"use_gen_token": True}, {"client_id": "pythonapi"}])
def test_a_wrong_password_is_posted_once(portal: EmbeddedPortal, connect: Any, keywords: Any) -> None:
    with pytest.raises(ArcGISLoginError):
        connect("", "amy", "a-wrong-one", **keywords)
    assert sum("password" in request.form for request in portal.requests) == 1


def test_a_wrong_password_at_the_web_tier_is_shown_once(portal: EmbeddedPortal, connect: Any) -> None:
    ask_basic(portal, {"amy": "door"})
    with pytest.raises(ArcGISLoginError):
        connect("", "amy", "a-wrong-one")
    assert len(authorizations(portal)) == 1


def test_a_wrong_password_at_a_stand_alone_server_is_posted_once(portal: EmbeddedPortal, connect: Any) -> None:
    with pytest.raises(ArcGISLoginError):
        connect(portal.standalone_url, "amy", "a-wrong-one")
    assert portal.count(method="POST") == 1


@pytest.mark.parametrize("keyword", ["token", "api_key"])
def test_a_dead_token_is_an_error(portal: EmbeddedPortal, connect: Any, keyword: str) -> None:
    with pytest.raises(ArcGISLoginError, match="refuses the"):
        connect(**{keyword: "a-dead-one"})


def test_a_portal_that_names_nobody_after_the_sign_in_is_an_error(portal: EmbeddedPortal, connect: Any) -> None:
    portal.portal_site.self_overrides = {"user": None}
    with pytest.raises(SignInError, match="does not say who is signed in"):
        connect("", "amy", "amys-secret")


def test_a_private_portal_that_says_little_may_be_looked_at(portal: EmbeddedPortal, connect: Any) -> None:
    portal.access = "private"
    assert connect().properties.access == "private"


@pytest.mark.parametrize("code", [403, 499])
def test_a_portal_that_tells_strangers_nothing_wants_a_sign_in(portal: EmbeddedPortal, connect: Any, code: int) -> None:
    portal.faults.add("/portals/self", faults.arcgis_error(code, "Token Required"), times=1)
    with pytest.raises(SignInError, match="tells strangers nothing"):
        connect()
    portal.faults.add("/portals/self", faults.arcgis_error(code, "Token Required"), times=1)
    assert name_of(connect("", "amy", "amys-secret")) == "amy"


def test_a_web_page_in_place_of_a_portal_is_told_as_such(handler_peer: Any) -> None:
    page = Reply(200, body=b"<html>Sign in</html>", headers=[("Content-Type", "text/html")])
    peer = handler_peer(lambda request: page)
    for credentials in ((), ("amy", "amys-secret")):
        with pytest.raises(InteractionRequiredError, match=r"answers with a web page where a portal would answer.*client_id="):
            GIS(peer.url_for("/portal"), *credentials)
    assert {request.method for request in peer.requests} == {"GET"}


def test_a_web_page_where_only_a_portal_would_answer_is_told_as_such(handler_peer: Any) -> None:
    page = Reply(200, body=b"<html>Sign in</html>", headers=[("Content-Type", "text/html")])
    peer = handler_peer(lambda request: page if "/sharing/" in request.target else Reply(404))
    with pytest.raises(InteractionRequiredError, match="answers with a web page where a portal would answer"):
        GIS(peer.url_for("/portal"))


def test_a_redirect_to_a_sign_in_page_elsewhere_carries_nothing(handler_peer: Any) -> None:
    idp = handler_peer(lambda request: Reply(200, body=b"<html>IdP</html>", headers=[("Content-Type", "text/html")]))
    peer = handler_peer(lambda request: Reply(302, headers=[("Location", idp.url_for("/login"))]))
    with pytest.raises(InteractionRequiredError, match="web page"):
        GIS(peer.url_for("/portal"), "amy", "amys-secret")
    assert all("Authorization" not in request.headers and not request.body for request in idp.requests)


def test_a_portal_that_moved_to_another_host_is_named(portal: EmbeddedPortal, handler_peer: Any) -> None:
    peer = handler_peer(
        lambda request: Reply(302, headers=[("Location", portal.portal_url + "/sharing/rest/portals/self?f=json")])
    )
    with pytest.raises(SignInError, match=rf"leads to {portal.portal_url}\. If that is your site, give its address"):
        GIS(peer.url_for("/portal"), "amy", "amys-secret")
    assert portal.count(method="POST") == 0


@pytest.mark.parametrize("answer", [{}, [], {"a": 1}, None, {"error": {"code": 404, "message": "no"}}, "text"])
def test_a_place_without_arcgis_is_told_as_such(handler_peer: Any, answer: Any) -> None:
    peer = handler_peer(lambda request: json_reply(answer))
    with pytest.raises(SignInError, match="there is neither a portal nor an ArcGIS Server"):
        GIS(peer.url_for("/portal"), "amy", "amys-secret")
    assert all(request.method == "GET" for request in peer.requests)


@pytest.mark.parametrize("status", [500, 503])
def test_a_site_in_trouble_is_told_as_such(handler_peer: Any, status: int) -> None:
    peer = handler_peer(lambda request: Reply(status))
    with pytest.raises(TransportError, match=f"HTTP {status}. Try again later"):
        GIS(peer.url_for("/portal"), "amy", "amys-secret", backoff_factor=0)


def test_nobody_to_ask_for_a_password_is_an_error(portal: EmbeddedPortal, connect: Any) -> None:
    def nobody(prompt: str) -> str:
        raise EOFError

    with pytest.raises(InteractionRequiredError, match="A password is needed"):
        connect("", "amy", prompt=nobody)


@pytest.mark.parametrize(
    "keywords, words",
    [
        ({"token": "x", "api_key": "y"}, "token= and api_key= are two ways"),
        ({"token": "x", "username": "amy", "password": "z"}, "token= and password= are two ways"),
        ({"session": EsriSession(), "client_id": "y"}, "session= and client_id="),
        ({"client_secret": "x"}, "client_secret= needs client_id="),
        ({"refresh_token": "x"}, "refresh_token= needs client_id="),
        ({"key_file": "x.pem"}, "key_file= needs cert_file="),
        ({"password": "x"}, "password= needs username="),
        ({"url": "pro", "username": "amy"}, "is signed in by ArcGIS Pro"),
        ({"url": "Home", "token": "x"}, "by the notebook that it runs in"),
        ({"proxy_port": 80}, "proxy_port= needs proxy_host="),
        ({"proxy_host": "p", "proxies": {"https": "http://p"}}, "both name proxies"),
        ({"proxies": 5}, "proxies= takes a dict"),
        ({"username": 5}, "username= as text, not as int"),
        ({"username": "amy", "password": b"x"}, "password= as text, not as bytes"),
        ({"profile": "x", "token": "y"}, "A profile keeps no token="),
        ({"url": "https://amy:secret@gis.example.com/portal"}, "holds a user name"),
        ({"adapter": 5}, "adapter= takes a dict"),
        ({"session": object()}, "session= takes an EsriSession, not object"),
        ({"cert_file": "/no/such.pem"}, "/no/such.pem"),
        ({"expiration": -5, "username": "amy", "password": "x"}, "expiration= takes minutes"),
        ({"expiration": "60"}, "expiration= takes minutes"),
        ({"expiration": True}, "expiration= takes minutes"),
        ({"expiration": float("inf")}, "expiration= takes minutes"),
        ({"client_id": "x", "prompt": 5}, "prompt= takes a function, not int"),
        ({"client_id": "x", "on_token": "x"}, "on_token= takes a function, not str"),
        ({"client_id": "x", "redirect_uri": 5}, "redirect_uri= as text, not as int"),
        ({"clock": "x"}, "clock= takes a Clock, not str"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_sent(portal: EmbeddedPortal, keywords: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        GIS(**{"url": portal.portal_url, **keywords})
    assert "amy:" not in str(caught.value)
    assert not any(request.method == "POST" for request in portal.requests)


@pytest.mark.parametrize(
    "keyword, near", [("verfy_cert", "verify_cert"), ("user", "username"), ("passwrd", "password"), ("clientid", "client_id")]
)
def test_a_misspelt_keyword_is_told_with_the_right_one(keyword: str, near: str) -> None:
    with pytest.raises(TypeError, match=rf"GIS\(\) got an unexpected keyword argument '{keyword}'; did you mean '{near}'\?"):
        GIS("https://gis.example.com/portal", **{keyword: "x"})


def test_every_keyword_of_the_peer_is_taken(portal: EmbeddedPortal, connect: Any) -> None:
    gis = connect(
        "", "amy", "amys-secret", set_active=False, validate_url=True, use_gen_token=False, proxy=None, proxy_host=None,
        proxy_port=None, referer="https://app.example", timeout=600, custom_auth=None, adapter={}, expiration=60, token=None,
        api_key=None, client_secret=None, trust_env=None, session=None, mutual_authentication=None, force_preemptive=None,
        hostname_override=None, delegate=None, service=None, sanitize_mutual_error_response=None, send_cbt=True,
        ca_bundles=portal.ca_file,
    )  # fmt: skip
    assert gis.session.timeout == (600, 600)
    assert next(r for r in portal.requests if r.method == "POST").form["referer"] == "https://app.example"
