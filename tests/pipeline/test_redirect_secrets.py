"""Redirects and secrets: what is for one origin goes to no other, whatever kind of secret it is and however it was given."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests.auth

from esri_http import EsriAPIKeyAuth, EsriBasicAuth, EsriGenTokenAuth, EsriSession, EsriUserTokenAuth
from esri_http.pipeline.redirects import is_upgrade
from esri_http.words.errors import EsriHttpError
from esri_http.words.origins import Origin
from tests.support.certificates import CertificateAuthority
from tests.support.peers import HandlerPeer, RecordedRequest, Reply
from tests.support.proxies import ProxyPeer

StartHandler = Callable[..., HandlerPeer]

SECRET = "s3cret"
CROSSINGS = ["other host", "other port", "downgrade", "upgrade to another port"]
SECRET_FIELDS = ("Authorization", "X-Esri-Authorization", "Cookie", "Cookie2", "Proxy-Authorization")


class Crossing:
    """Two peers, and the URL of the first, which redirects to the second, which is another origin."""

    def __init__(self, kind: str, start: StartHandler) -> None:
        self.status = 307
        first_tls, second_tls = {"downgrade": (True, False), "upgrade to another port": (False, True)}.get(kind, (False, False))
        self.second = start(lambda request: Reply(200, body="second"), tls=second_tls)
        host = "localhost" if kind == "other host" else "127.0.0.1"
        self.target = self.second.url_for("/end", host=host)
        self.first = start(self.redirect, tls=first_tls)
        self.url = self.first.url_for("/begin")

    def redirect(self, request: RecordedRequest) -> Reply:
        return Reply(self.status, {"Location": self.target})

    @property
    def told(self) -> str:
        """Everything that the second origin was told."""
        (request,) = self.second.requests
        return f"{request.target} {request.headers!r} {request.body!r}"

    def check(self, sent_first: str = SECRET) -> None:
        """The first origin was told the secret, the second one was not, in no form."""
        (first,) = self.first.requests
        assert sent_first in f"{first.target} {first.headers!r}"
        assert sent_first not in self.told
        assert SECRET not in self.told
        assert not any(name in self.second.requests[0].headers for name in SECRET_FIELDS)
        assert self.second.requests[0].headers["X-Kept"] == "yes"


@pytest.fixture(params=CROSSINGS)
def crossing(request: pytest.FixtureRequest, handler_peer: StartHandler) -> Crossing:
    return Crossing(request.param, handler_peer)


@pytest.fixture
def session(ca: CertificateAuthority) -> Iterator[EsriSession]:
    with EsriSession(verify_cert=ca.file, headers={"X-Kept": "yes"}) as session:
        yield session


@pytest.mark.parametrize(
    "name, status",
    [
        *(("Authorization", status) for status in (301, 302, 303, 308)),
        *((name, 307) for name in ("Authorization", "X-Esri-Authorization", "Cookie")),
    ],
)
def test_a_secret_header_of_a_call_is_left_behind(crossing: Crossing, session: EsriSession, name: str, status: int) -> None:
    crossing.status = status
    assert session.get(crossing.url, headers={name: f"Bearer {SECRET}"}).text == "second"
    crossing.check()


@pytest.mark.parametrize(
    "name",
    ["AUTHORIZATION", "authorization", "aUthOrization", "x-esri-authorization", "X-ESRI-AUTHORIZATION", "COOKIE", "cookie",
     "cookie2"],
)  # fmt: skip
def test_the_letter_case_of_a_secret_header_makes_no_difference(crossing: Crossing, session: EsriSession, name: str) -> None:
    session.headers[name] = f"a={SECRET}"
    assert session.get(crossing.url).text == "second"
    crossing.check()


def test_a_secret_header_given_more_than_once_is_left_behind(crossing: Crossing, session: EsriSession) -> None:
    session.headers["authorization"] = f"Basic {SECRET}"
    session.get(crossing.url, headers=[("AUTHORIZATION", f"Bearer {SECRET}"), ("Authorization", f"Bearer {SECRET}")])
    crossing.check()


BASIC = base64.b64encode(f"amy:{SECRET}".encode()).decode()


@pytest.mark.parametrize(
    "auth, sent",
    [
        (("amy", SECRET), BASIC),
        (EsriBasicAuth(None, "amy", SECRET), BASIC),
        (requests.auth.HTTPBasicAuth("amy", SECRET), BASIC),
        (EsriUserTokenAuth(SECRET), f"Bearer {SECRET}"),
        (EsriUserTokenAuth(SECRET, legacy=True), f"token={SECRET}"),
        (EsriAPIKeyAuth(SECRET), f"Bearer {SECRET}"),
        (EsriBasicAuth(None, "amy", SECRET) + EsriUserTokenAuth(SECRET), BASIC),
    ],
    ids=["pair", "Basic", "callable", "token", "legacy token", "API key", "chain"],
)
@pytest.mark.parametrize("where", ["session", "call"])
def test_a_handler_says_nothing_to_another_origin(
    crossing: Crossing, session: EsriSession, auth: Any, sent: str, where: str
) -> None:
    if where == "session":
        session.auth = auth
        session.get(crossing.url)
    else:
        session.get(crossing.url, auth=auth)
    crossing.check(sent)


def test_user_info_is_left_behind(crossing: Crossing, session: EsriSession) -> None:
    response = session.get(crossing.url.replace("://", f"://amy:{SECRET}@"))
    crossing.check(BASIC)
    assert SECRET not in f"{response.url} {response.history[0].url} {response.request!r}"


def test_user_info_of_a_location_is_not_used(crossing: Crossing, session: EsriSession) -> None:
    crossing.target = crossing.target.replace("://", f"://eve:{SECRET}@")
    session.get(crossing.url, auth=("amy", "other"))
    assert SECRET not in crossing.told
    assert "Authorization" not in crossing.second.requests[0].headers


def test_netrc_is_asked_for_neither_origin_again(
    crossing: Crossing, session: EsriSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("\n".join(f"machine {host} login amy password {SECRET}" for host in ("127.0.0.1", "localhost")))
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    session.get(crossing.url)
    crossing.check(BASIC)


def test_cookies_of_the_call_are_left_behind(crossing: Crossing, session: EsriSession) -> None:
    session.get(crossing.url, cookies={"sid": SECRET})
    crossing.check(f"sid={SECRET}")


def test_cookies_of_the_call_are_left_behind_even_where_their_domain_would_fit(
    crossing: Crossing, session: EsriSession
) -> None:
    jar = EsriSession().cookies
    for domain in ("127.0.0.1", "localhost"):
        jar.set("sid", SECRET, domain=domain)
    session.get(crossing.url, cookies=jar)
    crossing.check(f"sid={SECRET}")


def test_cookies_that_the_caller_set_for_any_server_are_left_behind(crossing: Crossing, session: EsriSession) -> None:
    session.cookies["sid"] = SECRET
    session.get(crossing.url)
    crossing.check(f"sid={SECRET}")


def test_a_cookie_that_the_redirect_sets_is_filed_under_its_sender(handler_peer: StartHandler, session: EsriSession) -> None:
    crossing = Crossing("other host", handler_peer)
    crossing.first.handler = lambda request: Reply(302, {"Location": crossing.target, "Set-Cookie": f"sid={SECRET}; Path=/"})
    session.get(crossing.url)
    assert SECRET not in crossing.told
    session.get(crossing.url)
    assert crossing.first.requests[1].headers["Cookie"] == f"sid={SECRET}"
    assert [request.headers.get("Cookie") for request in crossing.second.requests] == [None, None]


def test_a_secure_cookie_is_not_sent_after_a_downgrade(handler_peer: StartHandler, session: EsriSession) -> None:
    crossing = Crossing("downgrade", handler_peer)
    crossing.first.handler = lambda request: Reply(
        302, [("Location", crossing.target), ("Set-Cookie", f"sid={SECRET}; Path=/; Secure"), ("Set-Cookie", "lang=en; Path=/")]
    )
    session.get(crossing.url)
    assert crossing.second.requests[0].headers["Cookie"] == "lang=en"  # RFC 6265: not Secure, so for the host


CHALLENGES = [
    ("Digest", 'Digest realm="r", nonce="n", qop="auth"'),
    ("Basic", 'Basic realm="r"'),
    ("NTLM", "NTLM"),
    ("Negotiate", "Negotiate"),
]


@pytest.mark.parametrize("name, challenge", CHALLENGES, ids=[name for name, _ in CHALLENGES])
@pytest.mark.parametrize("kind", ["callable Digest", "Basic", "token"])
def test_a_challenge_of_another_origin_is_not_answered(
    crossing: Crossing, session: EsriSession, name: str, challenge: str, kind: str
) -> None:
    crossing.second.handler = lambda request: Reply(401, {"WWW-Authenticate": challenge})
    auth = {
        "callable Digest": requests.auth.HTTPDigestAuth("amy", SECRET),
        "Basic": ("amy", SECRET),
        "token": EsriUserTokenAuth(SECRET),
    }[kind]
    assert session.get(crossing.url, auth=auth).status_code == 401
    (request,) = crossing.second.requests
    assert "Authorization" not in request.headers
    assert SECRET not in crossing.told


@pytest.mark.parametrize("code", [498, 499])
def test_an_envelope_of_another_origin_brings_no_sign_in(crossing: Crossing, session: EsriSession, code: int) -> None:
    crossing.second.handler = lambda request: Reply(
        200, {"Content-Type": "application/json"}, f'{{"error":{{"code":{code},"message":"Token Required"}}}}'
    )
    response = session.get(crossing.url, auth=EsriUserTokenAuth(SECRET))
    assert response.esri_error is not None
    assert len(crossing.second.requests) == 1
    assert SECRET not in crossing.told


def test_digest_of_one_origin_is_not_replayed_to_another(crossing: Crossing, session: EsriSession) -> None:
    def challenge_then_redirect(request: RecordedRequest) -> Reply:
        if "Authorization" not in request.headers:
            return Reply(401, {"WWW-Authenticate": 'Digest realm="r", nonce="first", qop="auth"'})
        return Reply(302, {"Location": crossing.target})

    crossing.first.handler = challenge_then_redirect
    auth = requests.auth.HTTPDigestAuth("amy", SECRET)
    for _ in range(2):
        assert session.get(crossing.url, auth=auth).text == "second"
    assert any("Authorization" in request.headers for request in crossing.first.requests)
    for request in crossing.second.requests:
        assert "Authorization" not in request.headers


TRUSTED_HANDLERS = {
    "Basic": (EsriBasicAuth(None, "amy", SECRET), BASIC),
    "token": (EsriUserTokenAuth(SECRET), f"Bearer {SECRET}"),
    "API key": (EsriAPIKeyAuth(SECRET), f"Bearer {SECRET}"),
    "callable": (requests.auth.HTTPBasicAuth("amy", SECRET), BASIC),
    "token with a site": (EsriUserTokenAuth(SECRET, url="https://elsewhere.test/portal"), f"Bearer {SECRET}"),
}


@pytest.mark.parametrize("kind", TRUSTED_HANDLERS)
def test_trusted_origins_get_what_handlers_send(crossing: Crossing, ca: CertificateAuthority, kind: str) -> None:
    auth, sent = TRUSTED_HANDLERS[kind]
    origins = [crossing.target] if kind != "token with a site" else [crossing.target, crossing.url]
    with EsriSession(auth, verify_cert=ca.file, trusted_origins=origins) as session:
        session.get(crossing.url)
    assert sent in repr(crossing.first.requests[0].headers)
    assert sent in crossing.told


def test_a_trusted_origin_does_not_get_what_was_meant_for_one_call(crossing: Crossing, ca: CertificateAuthority) -> None:
    with EsriSession(verify_cert=ca.file, trusted_origins=[crossing.target], headers={"X-Kept": "yes"}) as session:
        session.get(crossing.url, headers={"Authorization": f"Bearer {SECRET}"}, cookies={"sid": SECRET})
    crossing.check()


def test_a_handler_with_a_site_signs_for_no_other_origin(handler_peer: StartHandler, session: EsriSession) -> None:
    crossing = Crossing("other port", handler_peer)
    session.get(crossing.url, auth=EsriUserTokenAuth(SECRET, url=crossing.target))
    assert SECRET not in repr(crossing.first.requests[0].headers)
    assert f"Bearer {SECRET}" in crossing.told  # that is the site that it is for


def test_generate_token_sends_nothing_to_where_a_service_redirects(crossing: Crossing, session: EsriSession) -> None:
    def site(request: RecordedRequest) -> Reply:
        if request.path.endswith("/generateToken"):
            return Reply(200, {"Content-Type": "application/json"}, f'{{"token":"{SECRET}","expires":4102444800000}}')
        return Reply(307, {"Location": crossing.target})

    crossing.first.handler = site
    root = crossing.first.url_for("/gis")
    auth = EsriGenTokenAuth(f"{root}/tokens/generateToken", "http", "amy", "passw0rd", verify_cert=session.verify_cert)
    session.get(f"{root}/rest/services/Roads/MapServer", auth=auth)
    assert f"Bearer {SECRET}" in repr(crossing.first.requests[-1].headers)
    assert SECRET not in crossing.told
    assert "passw0rd" not in crossing.told


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_password_is_not_sent_to_where_a_token_service_redirects(
    crossing: Crossing, session: EsriSession, status: int
) -> None:
    crossing.status = status
    auth = EsriGenTokenAuth(f"{crossing.first.url}/gis/tokens/generateToken", "http", "amy", SECRET)
    with pytest.raises(EsriHttpError, match="redirect"):
        session.get(f"{crossing.first.url}/gis/rest/services/Roads/MapServer", auth=auth)
    assert crossing.second.requests == []


def test_back_at_the_first_origin_the_handler_signs_again_and_the_header_stays_away(
    handler_peer: StartHandler, session: EsriSession
) -> None:
    crossing = Crossing("other port", handler_peer)
    crossing.first.handler = lambda request: (
        Reply(200, body="back") if request.path == "/back" else Reply(302, {"Location": crossing.target})
    )
    crossing.second.handler = lambda request: Reply(302, {"Location": crossing.first.url_for("/back")})
    session.get(crossing.url, auth=("amy", SECRET), headers={"X-Esri-Authorization": f"Bearer {SECRET}"})
    begin, back = crossing.first.requests
    assert BASIC in back.headers["Authorization"]
    assert "X-Esri-Authorization" in begin.headers
    assert "X-Esri-Authorization" not in back.headers
    assert SECRET not in crossing.told


def test_the_same_origin_keeps_every_secret(handler_peer: StartHandler, session: EsriSession) -> None:
    peer = handler_peer(lambda request: Reply(302, {"Location": "/end"}) if request.path == "/begin" else Reply(200))
    fields = {"X-Esri-Authorization": "Bearer a", "Authorization": "Bearer c"}
    session.get(peer.url_for("/begin"), headers=fields, cookies={"sid": SECRET})
    for request in peer.requests:
        assert {name: request.headers[name] for name in fields} == fields
        assert request.headers["Cookie"] == f"sid={SECRET}"


def test_a_host_header_of_the_caller_stays_at_its_origin(handler_peer: StartHandler, session: EsriSession) -> None:
    crossing = Crossing("other port", handler_peer)
    session.get(crossing.url, headers={"Host": "gis.test"})
    assert crossing.first.requests[0].headers["Host"] == "gis.test"
    assert crossing.second.requests[0].headers["Host"] == crossing.second.origin.authority


def test_the_referer_is_the_sessions_and_no_url(crossing: Crossing, session: EsriSession) -> None:
    session.get(crossing.url + "?token=" + SECRET)
    assert [peer.requests[0].headers["Referer"] for peer in (crossing.first, crossing.second)] == ["http", "http"]


def test_our_certificate_is_not_shown_where_a_redirect_led(handler_peer: StartHandler, ca: CertificateAuthority) -> None:
    second = handler_peer(lambda request: Reply(200), tls=True, client_certificate="optional")
    first = handler_peer(
        lambda request: Reply(302, {"Location": second.url_for("/end")}), tls=True, client_certificate="optional"
    )
    cert = ca.client().combined_file
    with EsriSession(verify_cert=ca.file, cert=cert) as session:
        session.get(first.url_for("/begin"))
        session.get(second.url_for("/asked for by the caller"))
    with EsriSession(verify_cert=ca.file, cert=cert, trusted_origins=[second.url]) as session:
        session.get(first.url_for("/begin"))
    assert all(request.client_certificate for request in first.requests)
    assert [bool(request.client_certificate) for request in second.requests] == [False, True, True]


@pytest.fixture
def site(proxy_peer: Callable[..., ProxyPeer], handler_peer: StartHandler, ca: CertificateAuthority) -> Iterator[Any]:
    """gis.test on ports 80 and 443: a session that reaches it through a proxy, and both peers."""
    secure = handler_peer(lambda request: Reply(200, body="secure"), tls=ca.server("gis.test"))
    plain: HandlerPeer = handler_peer(lambda request: Reply(307, {"Location": "https://gis.test/end"}))
    proxy = proxy_peer(names={"gis.test": ("127.0.0.1", secure.port)})
    proxy.intercept = lambda request: None if request.method == "CONNECT" else plain.handler(request)
    with EsriSession(verify_cert=ca.file, proxies={"http": proxy.url, "https": proxy.url}) as session:
        yield session, secure, plain


def test_a_step_up_to_https_on_the_standard_ports_keeps_every_secret(site: Any) -> None:
    session, secure, _ = site
    session.auth = EsriUserTokenAuth(SECRET)
    response = session.post(
        "http://gis.test/begin", data=b"x", cookies={"sid": SECRET}, headers={"Authorization": f"Bearer {SECRET}"}
    )
    assert response.text == "secure"
    (request,) = secure.requests
    assert (request.method, request.body) == ("POST", b"x")
    assert request.headers["X-Esri-Authorization"] == f"Bearer {SECRET}"
    assert request.headers["Authorization"] == f"Bearer {SECRET}"
    assert request.headers["Cookie"] == f"sid={SECRET}"


def test_a_step_down_on_the_standard_ports_keeps_none(site: Any) -> None:
    session, secure, plain = site
    told: list[RecordedRequest] = []

    def listen(request: RecordedRequest) -> Reply:
        told.append(request)
        return Reply(200, body="plain")

    plain.handler = listen
    secure.handler = lambda request: Reply(307, {"Location": "http://gis.test/end"})
    session.auth = EsriUserTokenAuth(SECRET)
    headers = {"Authorization": f"Bearer {SECRET}"}
    assert session.get("https://gis.test/begin", cookies={"sid": SECRET}, headers=headers).text == "plain"
    assert SECRET not in repr(told[0].headers)


@pytest.mark.parametrize(
    "one, other, expected",
    [
        (("http", "a", 80), ("https", "a", 443), True),
        (("http", "a", 80), ("https", "a", 8443), False),
        (("http", "a", 8080), ("https", "a", 443), False),
        (("http", "a", 80), ("https", "b", 443), False),
        (("https", "a", 443), ("http", "a", 80), False),
        (("https", "a", 443), ("https", "a", 443), False),
    ],
)
def test_only_the_standard_ports_make_one_site(one: Any, other: Any, expected: bool) -> None:
    assert is_upgrade(Origin(*one), Origin(*other)) is expected
