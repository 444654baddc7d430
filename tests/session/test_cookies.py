"""The cookies of a session over real sockets: taken from answers, sent back to whom they belong, and to nobody else."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, Optional

import pytest
import requests.cookies

from esri_http import EsriSession
from esri_http.words.errors import InvalidHeaderError
from tests.support.certificates import CertificateAuthority
from tests.support.clock import FakeClock
from tests.support.peers import HandlerPeer, RecordedRequest, Reply
from tests.support.proxies import ProxyPeer

StartHandler = Callable[..., HandlerPeer]


@pytest.fixture
def setting(handler_peer: StartHandler) -> Callable[..., HandlerPeer]:
    """A peer whose first answer sets the given cookies."""

    def start(*lines: str, **options: Any) -> HandlerPeer:
        def handle(request: RecordedRequest) -> Reply:
            return Reply(200, [("Set-Cookie", line) for line in lines] if len(peer.requests) == 1 else [])

        peer = handler_peer(handle, **options)
        return peer

    return start


def cookie_of(session: EsriSession, url: str, peer: HandlerPeer) -> Optional[str]:
    """What the next request to `url` brings."""
    session.get(url)
    assert len(peer.requests[-1].headers.get_all("Cookie")) <= 1
    return peer.requests[-1].headers.get("Cookie")


def test_a_cookie_is_sent_back(setting: Any) -> None:
    peer = setting("sid=1; Path=/; HttpOnly", "lang=en")
    with EsriSession() as session:
        response = session.get(peer.url_for("/"))
        assert peer.requests[0].headers.get("Cookie") is None
        assert response.cookies.get_dict() == session.cookies.get_dict() == {"sid": "1", "lang": "en"}
        assert cookie_of(session, peer.url_for("/a/b"), peer) == "sid=1; lang=en"
        assert session.get(peer.url_for("/")).cookies.get_dict() == {}


def test_sessions_share_no_cookies(setting: Any) -> None:
    peer = setting("sid=1")
    with EsriSession() as one, EsriSession() as other:
        one.get(peer.url_for("/"))
        assert cookie_of(other, peer.url_for("/"), peer) is None


@pytest.mark.parametrize(
    "line, path, expected",
    [
        ("sid=1; Path=/portal", "/portal", "sid=1"),
        ("sid=1; Path=/portal", "/portal/x", "sid=1"),
        ("sid=1; Path=/portal", "/portalevil", None),
        ("sid=1; Path=/portal", "/", None),
        ("sid=1", "/portal/y", "sid=1"),
        ("sid=1", "/other", None),
        ("sid=1; Path=x", "/portal/y", "sid=1"),
        ("sid=1; Path=/portal", "/portal?where=/", "sid=1"),
    ],
)
def test_the_path_decides(setting: Any, line: str, path: str, expected: Optional[str]) -> None:
    peer = setting(line)
    with EsriSession() as session:
        session.get(peer.url_for("/portal/begin?a=/b/c"))
        assert cookie_of(session, peer.url_for(path), peer) == expected


def test_longer_paths_come_first(setting: Any) -> None:
    peer = setting("a=root; Path=/", "a=deep; Path=/x/y", "b=mid; Path=/x")
    with EsriSession() as session:
        session.get(peer.url_for("/x/y/z"))
        assert cookie_of(session, peer.url_for("/x/y/z"), peer) == "a=deep; b=mid; a=root"


def test_a_host_gets_no_cookie_of_another(setting: Any, handler_peer: StartHandler) -> None:
    peer = setting("own=1", "evil=1; Domain=localhost", "part=1; Domain=.0.1")
    other = handler_peer(lambda request: Reply(200))
    with EsriSession() as session:
        session.get(peer.url_for("/"))
        assert cookie_of(session, other.url_for("/", host="localhost"), other) is None
        assert cookie_of(session, peer.url_for("/"), peer) == "own=1"


@pytest.mark.parametrize(
    "line, setter, asked, expected",
    [
        ("sid=1; Domain=example.com", "www.example.com", "example.com", "sid=1"),
        ("sid=1; Domain=.Example.COM", "www.example.com", "a.b.example.com", "sid=1"),
        ("sid=1; Domain=example.com", "www.example.com", "badexample.com", None),
        ("sid=1", "example.com", "www.example.com", None),
        ("sid=1; Domain=www.example.com", "example.com", "www.example.com", None),
        ("sid=1; Domain=com", "example.com", "example.com", None),
        ("sid=1; Domain=co.uk", "example.co.uk", "other.co.uk", None),
        ("sid=1; Domain=com.", "example.com", "other.com", None),
        ("sid=1; Domain=.0.1", "127.0.0.1", "127.1.0.1", None),
    ],
)
def test_the_domain_decides(
    proxy_peer: Callable[..., ProxyPeer], line: str, setter: str, asked: str, expected: Optional[str]
) -> None:
    proxy = proxy_peer(intercept=lambda request: Reply(200, {"Set-Cookie": line} if request.path.endswith("/set") else {}))
    with EsriSession(proxies={"http": proxy.url}) as session:
        session.get(f"http://{setter}/set")
        session.get(f"http://{asked}/")
    assert proxy.requests[1].headers["Host"] == asked
    assert proxy.requests[1].headers.get("Cookie") == expected


def test_a_secure_cookie_goes_over_https_only(setting: Any, handler_peer: StartHandler, ca: CertificateAuthority) -> None:
    secure = setting("sid=1; Secure; Path=/", "lang=en; Path=/", tls=True)
    plain = handler_peer(lambda request: Reply(200, [("Set-Cookie", "sid=evil; Path=/"), ("Set-Cookie", "new=1; Secure")]))
    with EsriSession(verify_cert=ca.file) as session:
        session.get(secure.url_for("/"))
        assert cookie_of(session, plain.url_for("/"), plain) == "lang=en"
        assert cookie_of(session, secure.url_for("/"), secure) == "sid=1; lang=en"


@pytest.mark.parametrize(
    "attribute, seconds",
    [
        ("Max-Age=60", 60),
        ("Expires=Tue, 14 Nov 2023 22:14:20 GMT", 60),
        ("Expires=Tuesday, 14-Nov-23 22:14:20 GMT", 60),
        ("Max-Age=60; Expires=Tue, 14 Nov 2023 22:13:19 GMT", 60),
        ("Expires=not a date; Max-Age=60", 60),
    ],
)
def test_a_cookie_ends_with_its_time(setting: Any, fake_clock: FakeClock, attribute: str, seconds: float) -> None:
    peer = setting(f"sid=1; {attribute}")
    with EsriSession(clock=fake_clock) as session:
        session.get(peer.url_for("/"))
        fake_clock.advance(seconds - 1)
        assert cookie_of(session, peer.url_for("/"), peer) == "sid=1"
        fake_clock.advance(1)
        assert cookie_of(session, peer.url_for("/"), peer) is None


@pytest.mark.parametrize("attribute", ["Max-Age=0", "Max-Age=-1", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_server_can_take_a_cookie_back(handler_peer: StartHandler, attribute: str) -> None:
    peer = handler_peer(
        lambda request: Reply(200, {"Set-Cookie": f"sid=1; {attribute}" if "Cookie" in request.headers else "sid=1"})
    )
    with EsriSession() as session:
        session.get(peer.url_for("/"))
        session.get(peer.url_for("/"))
        assert cookie_of(session, peer.url_for("/"), peer) is None
        assert peer.requests[1].headers["Cookie"] == "sid=1"


def test_a_damaged_cookie_does_no_harm_to_the_others(setting: Any) -> None:
    peer = setting(
        "",
        "=",
        "=x",
        "no-equals",
        "; Path=/",
        "ok=1; Expires=garbage; Max-Age=garbage; Path",
        "\x01bad=1",
        "bad=\x00",
        "also=2",
        "x" * 5000 + "=1",
    )
    with EsriSession() as session:
        session.get(peer.url_for("/"))
        assert cookie_of(session, peer.url_for("/"), peer) == "ok=1; also=2"


def test_a_flood_of_cookies_does_not_make_later_requests_too_big(handler_peer: StartHandler) -> None:
    def flood(request: RecordedRequest) -> Reply:
        number = len(peer.requests)
        return Reply(200, [("Set-Cookie", f"c{number}-{count}={'x' * 500}") for count in range(80)])

    peer = handler_peer(flood)
    with EsriSession() as session:
        for _ in range(6):
            session.get(peer.url_for("/"))
    for request in peer.requests:
        assert len(request.headers.get("Cookie") or "") <= 8190
        assert (request.headers.get("Cookie") or "").count("=") <= 150


def own_jar() -> Any:
    jar = EsriSession().cookies
    jar["sid"] = "1"
    return jar


def standard_jar() -> Any:
    jar = requests.cookies.RequestsCookieJar()
    jar.set("sid", "1", domain="127.0.0.1")
    return jar


@pytest.mark.parametrize(
    "make",
    [lambda: {"sid": "1"}, lambda: [("sid", "1")], own_jar, standard_jar],
    ids=["dict", "pairs", "our jar", "standard jar"],
)
def test_a_call_can_bring_cookies(handler_peer: StartHandler, make: Callable[[], Any]) -> None:
    peer = handler_peer(lambda request: Reply(200))
    with EsriSession() as session:
        session.get(peer.url_for("/"), cookies=make())
        assert peer.requests[-1].headers.get("Cookie") == "sid=1"
        assert cookie_of(session, peer.url_for("/"), peer) is None
        assert len(session.cookies) == 0


def test_cookies_of_a_call_go_with_those_of_the_session_and_replace_the_same_names(setting: Any) -> None:
    peer = setting("sid=session; Path=/", "lang=en; Path=/")
    with EsriSession() as session:
        session.get(peer.url_for("/"))
        session.get(peer.url_for("/"), cookies={"sid": "call"})
        assert peer.requests[-1].headers["Cookie"] == "sid=call; lang=en"
        assert cookie_of(session, peer.url_for("/"), peer) == "sid=session; lang=en"


def test_a_cookie_header_of_the_caller_is_sent_as_it_is(setting: Any) -> None:
    peer = setting("sid=jar")
    with EsriSession() as session:
        session.get(peer.url_for("/"))
        session.get(peer.url_for("/"), headers={"cookie": "sid=mine"}, cookies={"a": "b"})
        assert peer.requests[-1].headers.get_all("Cookie") == ["sid=mine"]


def test_the_user_can_set_read_and_forget_cookies(handler_peer: StartHandler) -> None:
    peer = handler_peer(lambda request: Reply(200))
    with EsriSession() as session:
        session.cookies["sid"] = "1"
        session.cookies.set("only", "here", domain="localhost")
        assert session.cookies["sid"] == "1"
        assert cookie_of(session, peer.url_for("/"), peer) == "sid=1"
        assert cookie_of(session, peer.url_for("/", host="localhost"), peer) in ("sid=1; only=here", "only=here; sid=1")
        session.cookies.clear()
        assert cookie_of(session, peer.url_for("/"), peer) is None
        session.cookies = {"new": "2"}
        assert cookie_of(session, peer.url_for("/"), peer) == "new=2"


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\x00", "a;b", "a\x7f"], ids=repr)
@pytest.mark.parametrize("part", ["name", "value"])
def test_a_cookie_that_would_change_the_request_is_refused(handler_peer: StartHandler, value: str, part: str) -> None:
    peer = handler_peer(lambda request: Reply(200))
    cookies = {value: "1"} if part == "name" else {"sid": value}
    with EsriSession() as session:
        with pytest.raises(InvalidHeaderError):
            session.get(peer.url_for("/"), cookies=cookies)
        with pytest.raises(InvalidHeaderError):
            session.cookies.update(cookies)
        assert cookie_of(session, peer.url_for("/"), peer) is None
    assert len(peer.requests) == 1


def test_a_pickled_session_keeps_its_cookies_and_shows_none(setting: Any) -> None:
    peer = setting("sid=s3cret")
    with EsriSession() as session:
        session.get(peer.url_for("/"))
        assert "s3cret" not in repr(session) + repr(session.cookies) + repr(list(session.cookies))
        with pickle.loads(pickle.dumps(session)) as copy:
            assert cookie_of(copy, peer.url_for("/"), peer) == "sid=s3cret"


def test_a_cookie_of_a_refused_answer_counts_in_the_replay(handler_peer: StartHandler) -> None:
    from requests.auth import HTTPDigestAuth

    def handle(request: RecordedRequest) -> Reply:
        if "Authorization" not in request.headers:
            return Reply(401, {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"', "Set-Cookie": "sid=1"})
        return Reply(200)

    peer = handler_peer(handle)
    with EsriSession() as session:
        assert session.get(peer.url_for("/"), auth=HTTPDigestAuth("amy", "secret")).status_code == 200
    assert peer.requests[-1].headers["Cookie"] == "sid=1"


def test_a_cookie_of_a_failed_try_counts_in_the_next(handler_peer: StartHandler, fake_clock: FakeClock) -> None:
    peer = handler_peer(lambda request: Reply(503, {"Set-Cookie": "node=2"}))
    with EsriSession(clock=fake_clock) as session:
        session.get(peer.url_for("/"))
        assert cookie_of(session, peer.url_for("/"), peer) == "node=2"
