"""What a survey says of portals and servers, and of what stands in front of them; and that it never says who asks."""

from __future__ import annotations

import json
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from esri_http.survey.survey import survey
from esri_http.testing import Answer, EmbeddedPortal, faults
from esri_http.words.errors import CertificateFileError, ConfigurationError, InvalidUrlError

from ..support.http_messages import RecordedRequest, Reply, answer, json_reply
from .helpers import check_anonymous, names, surveyed, way


@pytest.fixture
def portal(fake_clock: Any) -> Iterator[EmbeddedPortal]:
    """A portal over http, at an explicit port, by the clock of the test."""
    with EmbeddedPortal(https=False, clock=fake_clock) as running:
        yield running
        assert running.internal_errors == []


def gate(*challenges: str, status: int = 401, body: bytes = b"") -> Any:
    """A web tier that lets nobody in."""

    def closed(request: Any) -> Answer:
        answer = Answer(status, body)
        for challenge in challenges:
            answer = answer.add("WWW-Authenticate", challenge)
        return answer

    return closed


# -- portals -------------------------------------------------------------------------------------------------------------


def test_a_portal_is_described_in_three_requests() -> None:
    with EmbeddedPortal() as portal:
        found = surveyed(f"{portal.portal_url}/home/item.html?id=1", portal)
        assert len(portal.requests) == len(found.asked) == 3
        assert (found.found, found.is_arcgis, str(found.address.root)) == ("portal", True, portal.portal_url)
        site = found.site
        assert (site.name, site.version, site.build) == ("Embedded Portal", "11.3.0", "51526")
        assert (site.anonymous_access, site.supports_oauth, site.federated_with) == (True, True, None)
        assert site.token_service == portal.token_url
        assert [(one.name, one.where, one.ready) for one in found.ways] == [
            ("anonymous", "portal", True),
            ("built-in account", "portal", True),
            ("OAuth", "portal", True),
        ]
        assert [one.status for one in found.asked] == [200, 200, 200]
        assert all(one.seconds >= 0 for one in found.asked)
        assert found.notes == ()


def test_an_older_portal_has_but_its_current_version(portal: EmbeddedPortal) -> None:
    portal.portal_site.routes["/sharing/rest"] = lambda request: Answer(200, b'{"currentVersion":"3.8"}', "text/plain")
    found = surveyed(portal.portal_url, portal)
    assert (found.site.version, found.site.build) == ("3.8", None)


def test_a_private_portal_lets_no_stranger_look(portal: EmbeddedPortal) -> None:
    portal.access = "private"
    found = surveyed(portal.portal_url, portal)
    assert (found.found, found.site.anonymous_access, way(found, "anonymous").ready) == ("portal", False, False)


def test_a_portal_that_says_nothing_at_all_is_one_all_the_same(portal: EmbeddedPortal) -> None:
    portal.faults.add("/portals/self", faults.arcgis_error(499, "Token Required"))
    found = surveyed(portal.portal_url, portal)
    assert (found.found, found.site.anonymous_access, found.site.supports_oauth) == ("portal", False, None)


def test_an_identity_provider_is_named(portal: EmbeddedPortal) -> None:
    portal.oauth.saml_only = True
    found = surveyed(portal.portal_url, portal)
    assert found.site.identity_provider == "Embedded Identity Provider"
    assert way(found, "built-in account").ready is None
    assert "Embedded Identity Provider" in way(found, "identity provider").text


def test_a_sign_in_page_that_leads_to_another_host_is_not_followed_there(portal: EmbeddedPortal, handler_peer: Any) -> None:
    peer = handler_peer(lambda request: Reply(200, body="who are you?"))
    portal.faults.add("/authorize", faults.redirect(f"{peer.url_for('/saml')}?SAMLRequest=s3cret"))
    found = surveyed(portal.portal_url, portal)
    assert found.site.identity_provider == "127.0.0.1"
    assert found.asked[-1].redirects == (peer.url_for("/saml"),)
    assert peer.requests == []
    assert "s3cret" not in json.dumps(found.as_dict())


def test_accounts_that_are_switched_off_are_said_to_be(portal: EmbeddedPortal) -> None:
    portal.portal_site.self_overrides.update(canSignInArcGIS=False, canSignInIDP=True)
    found = surveyed(portal.portal_url, portal)
    assert way(found, "built-in account").ready is False
    assert way(found, "identity provider").ready is True


def test_a_portal_without_oauth_is_not_asked_for_its_page(portal: EmbeddedPortal) -> None:
    portal.portal_site.self_overrides["supportsOAuth"] = False
    found = surveyed(portal.portal_url, portal)
    assert (len(found.asked), found.site.supports_oauth, way(found, "OAuth").ready) == (2, False, False)


# -- servers -------------------------------------------------------------------------------------------------------------


def test_a_federated_server_names_its_portal_which_is_not_asked(portal: EmbeddedPortal) -> None:
    found = surveyed(portal.server_url, portal)
    assert (found.found, found.site.federated_with, found.site.version) == ("server", portal.portal_url, "11.3.0")
    assert names(found) == ["anonymous", "token of the portal"]
    assert portal.count(site="portal") == 0
    assert any("own word" in note for note in found.notes)


@pytest.mark.parametrize("path", ["/rest/services/Places/FeatureServer/0", "/rest/info?f=json", "/admin", "/manager/"])
def test_a_url_of_a_server_costs_one_request(portal: EmbeddedPortal, path: str) -> None:
    found = surveyed(portal.standalone_url + path, portal)
    assert (found.found, found.address.is_server, len(portal.requests)) == ("server", True, 1)
    assert found.site.token_service == f"{portal.standalone_url}/tokens/generateToken"
    assert way(found, "server account").ready is True


def test_an_open_server_has_no_token_service(portal: EmbeddedPortal) -> None:
    portal.standalone_is_open = True
    found = surveyed(portal.standalone_url, portal)
    assert (found.found, found.site.token_service, names(found)) == ("server", None, ["anonymous"])


def test_what_a_server_says_is_shown_short_printable_and_without_a_password(portal: EmbeddedPortal) -> None:
    portal.server_site.info_overrides["owningSystemUrl"] = "https://amy:s3cret@evil.example/\x1b[2J" + "x" * 100_000
    portal.portal_site.self_overrides["user"] = {"username": "amy\x1b[2J"}
    assert surveyed(portal.portal_url, portal).words.isprintable()
    portal.server_site.info_overrides["fullVersion"] = "11\x1b]0;owned\x07" + "9" * 100_000
    shown = json.dumps(surveyed(portal.server_url, portal).as_dict())
    assert "s3cret" not in shown
    assert "\\u001b" not in shown
    assert len(shown) < 10_000


# -- what stands in front ------------------------------------------------------------------------------------------------

SCHEMES = {
    "IWA": (["Negotiate", "NTLM"], {"Kerberos": False, "NTLM": True}),
    "Digest": (['Digest realm="GIS", nonce="n", qop="auth"'], {"Digest": True}),
    "a Digest that nobody does": (['Digest realm="GIS", nonce="n", algorithm=SNAKE-OIL'], {"Digest": False}),
    "Basic over http": (['Basic realm="GIS"'], {"Basic": False}),
    "in one field": (['Negotiate, Basic realm="GIS"'], {"Kerberos": False, "Basic": False}),
    "something else": (["Bearer", "\x7fOdd x"], {"Bearer": False}),
}


@pytest.mark.parametrize("way_in", list(SCHEMES))
def test_a_web_tier_is_told_by_what_it_asks_for(portal: EmbeddedPortal, way_in: str, no_tickets: None) -> None:
    challenges, expected = SCHEMES[way_in]
    portal.portal_site.gate = gate(*challenges)
    found = surveyed(portal.portal_url, portal, proxies={"no": "*"})
    assert (found.found, found.is_arcgis, len(found.asked)) == ("web tier", True, 1)
    assert {one.name: one.ready for one in found.ways} == expected
    assert {one.where for one in found.ways} == {"web tier"}


def test_basic_over_tls_works_and_says_for_what(ca: Any, handler_peer: Any) -> None:
    peer = handler_peer(lambda request: Reply(401, {"WWW-Authenticate": 'Basic realm="G\x1b[2JIS"'}), tls=True)
    found = survey(f"{peer.url}/portal", ca_bundles=ca.file)
    basic = way(found, "Basic")
    assert basic.ready is True
    assert 'for "G�[2JIS"' in basic.text


def test_kerberos_needs_a_name_and_a_clock(ca: Any, handler_peer: Any, fake_clock: Any, no_tickets: None) -> None:
    pytest.importorskip("krb5")
    peer = handler_peer(
        lambda request: Reply(401, {"WWW-Authenticate": "Negotiate", "Date": "Tue, 14 Nov 2023 22:30:00 GMT"}), tls=True
    )
    by_address = survey(f"{peer.url}/portal", ca_bundles=ca.file)
    assert "names only" in way(by_address, "Kerberos").text
    by_name = survey(f"{peer.url_for('/portal', host='localhost')}", ca_bundles=ca.file, clock=fake_clock)
    assert "1000 s apart" in way(by_name, "Kerberos").text


def test_without_a_ticket_it_says_how_to_get_one(portal: EmbeddedPortal, no_tickets: None) -> None:
    pytest.importorskip("krb5")
    portal.portal_site.gate = gate("Negotiate")
    assert way(surveyed(portal.portal_url, portal), "Kerberos").text == "no ticket here; run kinit, or give user and password"


PACKAGES = {
    "spnego": {"Kerberos": "pip install pyspnego", "NTLM": "pip install pyspnego"},
    "cryptography": {"NTLM": "pip install cryptography"},
    "krb5": {"Kerberos": 'pip install "esri_http[kerberos]"'},
}


@pytest.mark.parametrize("absent", list(PACKAGES))
def test_a_package_that_is_absent_is_named(portal: EmbeddedPortal, monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    portal.portal_site.gate = gate("Negotiate", "NTLM")
    monkeypatch.setitem(sys.modules, absent, None)
    found = surveyed(portal.portal_url, portal)
    for name, command in PACKAGES[absent].items():
        assert way(found, name).ready is False
        assert command in way(found, name).text


@pytest.fixture
def no_tickets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has a ticket here."""
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path}/none")


def test_a_server_behind_a_web_tier_is_found_where_only_that_is_gated(portal: EmbeddedPortal) -> None:
    portal.standalone_site.routes["/rest/info"] = gate("NTLM")
    found = surveyed(portal.standalone_url, portal)
    assert (found.found, names(found), len(found.asked)) == ("web tier", ["NTLM"], 2)


@pytest.mark.parametrize(
    "status, text", [(400, b"<p>No required SSL certificate was sent</p>"), (403, b"HTTP Error 403.7 - x")]
)
def test_a_page_that_wants_a_client_certificate_is_understood(portal: EmbeddedPortal, status: int, text: bytes) -> None:
    portal.portal_site.gate = gate(status=status, body=text)
    found = surveyed(portal.portal_url, portal)
    assert (found.found, found.is_arcgis, way(found, "client certificate").ready) == ("client certificate", True, True)


def test_a_single_sign_on_in_front_is_named_by_its_host(portal: EmbeddedPortal, handler_peer: Any) -> None:
    peer = handler_peer(lambda request: Reply(200, {"Content-Type": "text/html"}, "<html>Sign in"))
    portal.portal_site.gate = lambda request: Answer(302).add("Location", peer.url_for("/adfs?wctx=s3cret", host="localhost"))
    found = surveyed(portal.portal_url, portal)
    assert (found.found, found.is_arcgis, found.site.page_host) == ("web page", False, "localhost")
    assert found.asked[0].redirects == (peer.url_for("/adfs", host="localhost"),)
    assert any(f"answers come from http://localhost:{peer.port}" in note for note in found.notes)
    assert "s3cret" not in json.dumps(found.as_dict())
    for request in peer.requests:
        check_anonymous(request)


def test_redirects_without_end_are_given_up(handler_peer: Any) -> None:
    peer = handler_peer(lambda request: Reply(302, {"Location": request.target + "x"}))
    found = survey(f"{peer.url}/portal")
    assert (found.found, found.is_arcgis, len(peer.requests)) == ("trouble", False, 6)
    assert "on and on" in found.words


# -- nobody is told who asks -----------------------------------------------------------------------------------------------


def test_netrc_is_not_read(portal: EmbeddedPortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine localhost login amy password s3cret\ndefault login amy password s3cret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    portal.portal_site.gate = gate("Basic")
    assert surveyed(portal.portal_url, portal).found == "web tier"
    from esri_http import EsriSession

    with EsriSession() as session:
        session.get(portal.portal_url)
    assert "authorization" in portal.requests[-1].headers  # the file is good for what does read it


def test_cookies_last_for_one_question(handler_peer: Any) -> None:
    def handle(request: RecordedRequest) -> Reply:
        if request.path.endswith("/self"):
            return Reply(302, {"Location": "/after", "Set-Cookie": "one=s3cret; Path=/"})
        return Reply(404, {"Set-Cookie": "two=s3cret; Path=/"})

    peer = handler_peer(handle)
    survey(f"{peer.url}/portal")
    assert [(request.path, request.headers.get("Cookie")) for request in peer.requests] == [
        ("/portal/sharing/rest/portals/self", None),
        ("/after", "one=s3cret"),
        ("/portal/rest/info", None),
    ]


def test_a_user_in_a_redirect_is_not_sent(handler_peer: Any) -> None:
    peer = handler_peer(lambda request: Reply(404))
    first = handler_peer(lambda request: Reply(302, {"Location": f"http://amy:s3cret@127.0.0.1:{peer.port}/x"}))
    found = survey(f"{first.url}/portal")
    assert len(peer.requests) == 2
    for request in peer.requests:
        check_anonymous(request)
    assert "s3cret" not in json.dumps(found.as_dict())


CREDENTIALS: list[dict[str, Any]] = [
    {"auth": ("amy", "pw")},
    {"cert": "amy.pem"},
    {"headers": {"Authorization": "x"}},
    {"verify_cert": ssl.create_default_context()},
]


@pytest.mark.parametrize("option", CREDENTIALS, ids=lambda option: next(iter(option)))
def test_what_would_say_who_asks_is_refused(portal: EmbeddedPortal, option: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="no credential|client certificate"):
        survey(portal.portal_url, **option)
    assert portal.requests == []


# -- clocks and troubles ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skew, is_noted", [(0, False), (59, False), (-3600, True), (61, True)])
def test_a_clock_that_differs_is_noted(portal: EmbeddedPortal, fake_clock: Any, skew: int, is_noted: bool) -> None:
    portal.clock_skew_seconds = skew
    found = surveyed(portal.portal_url, portal, clock=fake_clock)
    assert found.clock_skew_seconds == pytest.approx(skew, abs=1)
    assert any("clocks" in note for note in found.notes) is is_noted


FAULTS = {
    "503": faults.status(503),
    "an error in 200": faults.arcgis_error(500, "Could not access any server machines."),
    "a broken answer": faults.truncated(5),
    "a reset": faults.reset(),
    "no HTTP": faults.raw(b"\x00\x01\x02 junk\r\n\r\n"),
    "half of JSON": faults.invalid_json(b'{"isPortal": tr'),
    "a page": faults.html_page(),
    "nothing": faults.empty_body(),
    "a bad redirect": faults.redirect("ftp://h.example/"),
    "two MB of brackets": faults.invalid_json(b"[" * 2_000_000),
}


@pytest.mark.parametrize("name", list(FAULTS))
def test_whatever_comes_is_a_line_of_the_survey(portal: EmbeddedPortal, name: str) -> None:
    portal.faults.add("/portals/self", FAULTS[name])
    found = surveyed(portal.portal_url, portal)
    assert not found.is_arcgis
    assert found.asked[0].words
    assert len(found.asked) <= 2


def test_a_server_is_found_also_where_the_first_answer_is_an_error(portal: EmbeddedPortal) -> None:
    portal.faults.add("/portals/self", faults.status(500), times=None)
    found = surveyed(portal.standalone_url, portal)
    assert (found.found, len(found.asked)) == ("server", 2)


def test_an_answer_without_end_is_not_read_to_it(handler_peer: Any) -> None:
    def handle(request: RecordedRequest) -> Reply:
        return Reply(200, {"Content-Type": "application/json"}, iter([b'{"isPortal":true,"x":"'] + [b"x" * 65536] * 2000))

    peer = handler_peer(handle)
    assert not survey(f"{peer.url}/portal").is_arcgis


def test_a_silent_server_costs_its_time_out_once(scripted_peer: Any) -> None:
    peer = scripted_peer(lambda connection: connection.wait())
    found = survey(f"{peer.url}/portal", timeout=0.2)
    assert (found.found, len(found.asked)) == ("trouble", 1)
    assert "read time-out" in found.words


def test_the_deadline_is_for_the_whole_survey(portal: EmbeddedPortal, fake_clock: Any) -> None:
    def slow(request: Any, answer_normally: Any) -> Answer:
        fake_clock.advance(31)
        return answer_normally()

    portal.faults.add("/sharing/rest", slow)
    found = surveyed(portal.portal_url, portal, clock=fake_clock)
    assert (found.found, found.site.name, len(portal.requests)) == ("portal", "Embedded Portal", 2)
    assert found.asked[2].status is None
    assert "30 s for the whole call are used up" in found.asked[2].words


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/portal", "https://127.0.0.1:1/portal", "https://nowhere.invalid/portal"])
def test_nobody_there_is_said_in_one_line(url: str) -> None:
    found = survey(url)
    assert (found.found, found.is_arcgis, found.ways, len(found.asked)) == ("trouble", False, (), 1)
    assert found.clock_skew_seconds is None


def test_https_to_a_plain_port_is_not_taken_for_want_of_a_client_certificate(scripted_peer: Any) -> None:
    def script(connection: Any) -> None:
        connection.recv()
        connection.send(answer(400, body="this is http"))

    found = survey(f"{scripted_peer(script).url.replace('http', 'https')}/portal")
    assert found.found == "trouble"
    assert "does not speak TLS" in found.words
    assert found.tls is not None
    assert found.tls.client_certificate is False


def test_nothing_at_the_root_of_a_host_may_be_for_want_of_the_web_adaptor(portal: EmbeddedPortal) -> None:
    found = surveyed(portal.portal_url.replace("/portal", ""), portal)
    assert (found.found, found.is_arcgis) == ("nothing", False)
    assert any("web adaptor" in note for note in found.notes)


def test_what_cannot_be_asked_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidUrlError):
        survey("ftp://h.example")
    for name in ("home", "pro"):
        with pytest.raises(ConfigurationError, match="URL of a site"):
            survey(name)
    with pytest.raises(CertificateFileError):
        survey("https://h.example/portal", ca_bundles=str(tmp_path / "none.pem"))
    with pytest.raises(TypeError, match="timeout"):
        survey("https://h.example/portal", time_out=3)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
WORDS = st.sampled_from(
    [
        "access",
        "authInfo",
        "canSignInArcGIS",
        "currentVersion",
        "fullVersion",
        "isPortal",
        "name",
        "owningSystemUrl",
        "portalName",
    ]
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(WORDS, JSON, max_size=5), st.dictionaries(WORDS, JSON, max_size=5))
def test_whatever_an_answer_holds_the_survey_is_whole(handler_peer: Any, first: Any, second: Any) -> None:
    peer = _PEERS.get("one") or _PEERS.setdefault("one", handler_peer(lambda request: Reply(404)))
    peer.handler = lambda request: json_reply(first if "self" in request.path else second)
    found = survey(f"{peer.url}/x", timeout=5)
    json.dumps(found.as_dict(), allow_nan=False)
    assert all(text.isprintable() for text in (found.site.name or "", found.site.version or "", found.words))


_PEERS: dict[str, Any] = {}
