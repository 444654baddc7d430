"""Proxies: used as told, never gone round, and what is for the proxy never reaches the origin, nor the other way round."""

from __future__ import annotations

import pickle
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

import pytest

from esri_http import EsriSession
from esri_http.wire.proxies import parse_proxy
from esri_http.words import errors
from esri_http.words.settings import NetworkSettings

from ..support.certificates import CertificateAuthority
from ..support.clock import FakeClock
from ..support.http_messages import RecordedRequest, Reply
from ..support.peers import HandlerPeer, ScriptedPeer
from ..support.plumbing import Connection
from ..support.proxies import ProxyPeer, pump

MakeHandler = Callable[..., HandlerPeer]
MakeScripted = Callable[..., ScriptedPeer]
MakeProxy = Callable[..., ProxyPeer]

USER, PASSWORD = "amy", "p@ss:w/ör#d"
ENCODED = "amy:p%40ss%3Aw%2F%C3%B6r%23d"
SECRETS = ("p@ss", "p%40ss", "w/ör", "YW15OnBAc3M")
NAME = "gis.example.com"


def answer_ok(request: RecordedRequest) -> Reply:
    return Reply(body="ok")


def session(**options: Any) -> EsriSession:
    return EsriSession(**{"retries": 0, "timeout": 10, **options})


def address(proxy: Any, scheme: str = "http", userinfo: str = "") -> str:
    """The URL of a proxy."""
    return f"{scheme}://{userinfo and userinfo + '@'}127.0.0.1:{proxy.port}"


def refusal(used: EsriSession, url: str, **options: Any) -> errors.EsriHttpError:
    """The error of a GET, with no secret in it."""
    with pytest.raises(errors.EsriHttpError) as caught:
        used.get(url, **options)
    shown = f"{caught.value}{caught.value!r}{pickle.dumps(caught.value)!r}"
    assert not [secret for secret in (*SECRETS, "Basic") if secret in shown]
    return caught.value


@pytest.fixture
def plain(handler_peer: MakeHandler) -> HandlerPeer:
    """An origin without TLS."""
    return handler_peer(answer_ok)


@pytest.fixture
def secure(handler_peer: MakeHandler) -> HandlerPeer:
    """An origin with TLS."""
    return handler_peer(answer_ok, tls=True)


# -- the way through ---------------------------------------------------------------------------------------------------


def test_plain_requests_are_forwarded_and_secure_ones_tunnelled(
    plain: HandlerPeer, secure: HandlerPeer, proxy_peer: MakeProxy, ca: CertificateAuthority
) -> None:
    proxy = proxy_peer()
    with session(ca_bundles=ca.file, proxies={"http": address(proxy), "https": address(proxy)}) as through:
        assert through.get(plain.url_for("/a?b=c")).text == "ok"
        assert through.get(secure.url_for("/secret?d=e")).text == "ok"
        assert through.post(plain.url_for("/form"), data={"x": "y"}).text == "ok"
    assert [(request.method, request.target) for request in proxy.requests] == [
        ("GET", plain.url_for("/a?b=c")),
        ("CONNECT", f"127.0.0.1:{secure.port}"),
        ("POST", plain.url_for("/form")),
    ]
    assert plain.requests[0].headers["Host"] == f"127.0.0.1:{plain.port}"
    assert plain.requests[1].form == {"x": "y"}
    assert (secure.requests[0].target, secure.connections) == ("/secret?d=e", 1)


def test_a_name_that_only_the_proxy_knows_is_left_to_it(
    handler_peer: MakeHandler, proxy_peer: MakeProxy, ca: CertificateAuthority
) -> None:
    peer = handler_peer(answer_ok, tls=ca.server(NAME))
    proxy = proxy_peer(names={NAME: ("127.0.0.1", peer.port)})
    with session(ca_bundles=ca.file, proxies={"all": address(proxy)}) as through:
        assert through.get(f"https://{NAME}/x").text == "ok"
        assert through.get(f"https://{NAME}/y").text == "ok"
    assert proxy.tunnels == [f"{NAME}:443"]
    assert peer.server_names == [NAME]
    assert peer.requests[0].headers["Host"] == NAME


def test_the_certificate_behind_a_tunnel_is_verified(
    handler_peer: MakeHandler, proxy_peer: MakeProxy, ca: CertificateAuthority
) -> None:
    peer = handler_peer(answer_ok, tls=ca.untrusted(NAME))
    proxy = proxy_peer(names={NAME: ("127.0.0.1", peer.port)})
    with session(ca_bundles=ca.file, proxies={"https": address(proxy)}) as through:
        assert isinstance(refusal(through, f"https://{NAME}/x"), errors.CertificateError)
        peer.stop()
        other = handler_peer(answer_ok, tls=ca.server("other.example.com"))
        proxy.names[NAME] = ("127.0.0.1", other.port)
        assert isinstance(refusal(through, f"https://{NAME}/x"), errors.CertificateError)
    assert peer.requests == other.requests == []


def test_a_server_addressed_by_ip_is_verified_by_name_behind_a_tunnel(
    handler_peer: MakeHandler, proxy_peer: MakeProxy, ca: CertificateAuthority
) -> None:
    peer, by_address = handler_peer(answer_ok, tls=ca.server(NAME)), handler_peer(answer_ok, tls=True)
    proxy = proxy_peer()
    with session(ca_bundles=ca.file, proxies={"https": address(proxy)}, server_hostname={"127.0.0.1": NAME}) as through:
        assert through.get(peer.url).text == "ok"
    with session(ca_bundles=ca.file, proxies={"https": address(proxy)}) as through:
        assert through.get(by_address.url).text == "ok"
        assert isinstance(refusal(through, peer.url), errors.CertificateError)
    assert peer.server_names == [NAME, None]
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    "key, used",
    [
        *[(key, True) for key in ("http", "HTTP", "all", "http://127.0.0.1", "http://127.0.0.1/", "all://127.0.0.1", "exact")],
        *[(key, False) for key in ("https", "http://localhost", "https://127.0.0.1", "http://127.0.0.1:1")],
    ],
)
def test_a_key_names_a_scheme_a_host_or_one_port(plain: HandlerPeer, proxy_peer: MakeProxy, key: str, used: bool) -> None:
    proxy = proxy_peer()
    key = f"http://127.0.0.1:{plain.port}" if key == "exact" else key
    with session(proxies={key: address(proxy)}) as through:
        assert through.get(plain.url).text == "ok"
    assert len(proxy.requests) == used


def test_the_narrower_key_wins_and_none_means_directly(plain: HandlerPeer, proxy_peer: MakeProxy) -> None:
    one, other = proxy_peer(), proxy_peer()
    with session(proxies={"http": address(one), "http://127.0.0.1": address(other), "all": address(one)}) as through:
        through.get(plain.url)
        assert (len(one.requests), len(other.requests)) == (0, 1)
        through.proxies = {"http": address(one), "http://127.0.0.1": None}
        through.get(plain.url)
        through.proxies = {"all": address(one), "http": ""}
        through.get(plain.url)
        through.proxies = {"all": address(one), "no_proxy": "10.0.0.0/8, 127.0.0.1"}
        through.get(plain.url)
        assert (len(one.requests), len(other.requests)) == (0, 1)
        through.proxies = {"all": address(one), "no_proxy": "10.0.0.0/8"}
        through.get(plain.url)
    assert (len(one.requests), len(other.requests), len(plain.requests)) == (1, 1, 5)


def test_a_proxy_of_a_call_holds_for_that_call(plain: HandlerPeer, proxy_peer: MakeProxy) -> None:
    one, other = proxy_peer(), proxy_peer()
    with session(proxies={"http": address(one)}) as through:
        through.get(plain.url, proxies={"http": address(other)})
        through.get(plain.url, proxies={"http": None})
        through.get(plain.url, proxies={})
        through.get(plain.url)
    assert (len(one.requests), len(other.requests), len(plain.requests)) == (2, 1, 4)


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "localhost:{}", " http://127.0.0.1:{}/ ", "HTTP://127.0.0.1:{}"])
def test_a_proxy_may_be_given_without_a_scheme(plain: HandlerPeer, proxy_peer: MakeProxy, form: str) -> None:
    proxy = proxy_peer()
    with session(proxies={"http": form.format(proxy.port)}) as through:
        assert through.get(plain.url).text == "ok"
    assert len(proxy.requests) == 1


def test_a_changed_proxy_holds_from_the_next_request_on(plain: HandlerPeer, proxy_peer: MakeProxy) -> None:
    proxy = proxy_peer()
    with session() as changing:
        changing.get(plain.url)
        changing.proxies = {"http": address(proxy)}
        changing.get(plain.url)
        changing.proxies = None
        changing.get(plain.url)
    assert (len(proxy.requests), len(plain.requests)) == (1, 3)


@pytest.mark.parametrize(
    "proxies",
    [
        {"htps": "http://127.0.0.1:1"},
        {"https:": "http://127.0.0.1:1"},
        {"gis.example.com": "http://127.0.0.1:1"},
        {"https": 3128},
        {3128: "http://127.0.0.1:1"},
        {"https": "ftp://127.0.0.1:1"},
        {"https": "http://127.0.0.1:99999"},
        {"https": "http://127.0.0.1:port"},
        {"https": "http://"},
        {"https": "http://a b:1"},
        {"https": "http://host\r\nX-Evil: 1:80"},
        "http://127.0.0.1:3128",
    ],
)
def test_proxies_that_cannot_work_are_refused_at_once(proxies: Any) -> None:
    with pytest.raises(errors.ConfigurationError):
        EsriSession(proxies=proxies)
    made = EsriSession()
    with pytest.raises(errors.ConfigurationError):
        made.proxies = proxies
    assert made.proxies == {}


# -- signing in to the proxy -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("userinfo", [ENCODED, f"{USER}:p@ss:w/ör%23d"])
def test_the_sign_in_to_the_proxy_reaches_the_proxy_alone(
    plain: HandlerPeer, secure: HandlerPeer, proxy_peer: MakeProxy, ca: CertificateAuthority, userinfo: str
) -> None:
    proxy = proxy_peer(credentials=(USER, PASSWORD))
    with session(ca_bundles=ca.file, proxies={"all": address(proxy, userinfo=userinfo)}) as through:
        assert through.get(plain.url_for("/1")).text == "ok"
        assert through.get(secure.url_for("/2")).text == "ok"
    assert len(proxy.requests) == 2
    assert all("Proxy-Authorization" in request.headers for request in proxy.requests)
    assert all("Proxy-Authorization" not in request.headers for request in plain.requests + secure.requests)


def test_a_connect_carries_what_is_for_the_proxy_and_nothing_else(
    secure: HandlerPeer, proxy_peer: MakeProxy, ca: CertificateAuthority
) -> None:
    proxy = proxy_peer(credentials=(USER, PASSWORD))
    with session(ca_bundles=ca.file, proxies={"https": address(proxy, userinfo=ENCODED)}) as through:
        through.get(
            secure.url,
            headers={"Authorization": "Bearer x", "X-Esri-Authorization": "Bearer y", "Cookie": "z=1", "X-Mine": "1"},
        )
    names = {name.lower() for name, _ in proxy.requests[0].headers}
    assert names <= {"host", "proxy-authorization", "user-agent", "proxy-connection"}
    assert secure.requests[0].headers["X-Esri-Authorization"] == "Bearer y"


@pytest.mark.parametrize("userinfo", ["", "amy:wrong-p@ss", "bob:x"])
def test_a_refused_sign_in_to_the_proxy_is_an_error_that_says_so(
    secure: HandlerPeer, proxy_peer: MakeProxy, userinfo: str
) -> None:
    proxy = proxy_peer(credentials=(USER, PASSWORD))
    with session(proxies={"https": address(proxy, userinfo=userinfo)}) as through:
        error = refusal(through, secure.url)
    assert isinstance(error, errors.ProxyError)
    assert "wants a sign-in" in str(error)
    assert "user:password@" in str(error)
    assert len(proxy.requests) == 1
    assert secure.connections == 0


def test_a_plain_request_without_a_sign_in_gets_the_407_of_the_proxy(plain: HandlerPeer, proxy_peer: MakeProxy) -> None:
    proxy = proxy_peer(credentials=(USER, PASSWORD))
    with session(proxies={"http": address(proxy)}) as through:
        answer = through.get(plain.url)
        assert answer.status_code == 407
        with pytest.raises(errors.EsriHttpResponseError):
            answer.raise_for_error()
    assert plain.connections == 0


def test_a_refused_sign_in_for_a_plain_request_is_an_error_that_says_so(plain: HandlerPeer, proxy_peer: MakeProxy) -> None:
    proxy = proxy_peer(credentials=(USER, PASSWORD))
    with session(proxies={"http": address(proxy, userinfo="amy:wrong-p@ss")}) as through:
        error = refusal(through, plain.url)
    assert isinstance(error, errors.ProxyError)
    assert "refuses that of 'amy'" in str(error)
    assert (len(proxy.requests), plain.connections) == (1, 0)


def test_the_sign_in_to_the_proxy_is_part_of_what_a_connection_is(
    secure: HandlerPeer, proxy_peer: MakeProxy, ca: CertificateAuthority
) -> None:
    proxy = proxy_peer(credentials=(USER, PASSWORD))
    with session(ca_bundles=ca.file, proxies={"https": address(proxy, userinfo=ENCODED)}) as through:
        assert through.get(secure.url).ok
        for userinfo in ("bob:x", ""):
            error = refusal(through, secure.url, proxies={"https": address(proxy, userinfo=userinfo)})
            assert isinstance(error, errors.ProxyError)
        assert through.get(secure.url).ok
        through.proxies = {"https": address(proxy)}
        assert isinstance(refusal(through, secure.url), errors.ProxyError)
    assert (len(proxy.tunnels), secure.connections) == (4, 1)


def test_each_proxy_gets_its_own_sign_in(plain: HandlerPeer, secure: HandlerPeer, proxy_peer: MakeProxy) -> None:
    first, second = proxy_peer(), proxy_peer()
    proxies = {"http": address(first, userinfo=ENCODED), "https": address(second)}
    redirecting = plain
    redirecting.handler = lambda request: Reply(302, {"Location": secure.url})
    with session(proxies=proxies) as through:
        refusal(through, plain.url)
    assert "Proxy-Authorization" in first.requests[0].headers
    assert "Proxy-Authorization" not in second.requests[0].headers
    assert "Proxy-Authorization" not in plain.requests[0].headers


def test_the_sign_in_to_a_proxy_is_never_shown(
    caplog: pytest.LogCaptureFixture, secure: HandlerPeer, proxy_peer: MakeProxy
) -> None:
    proxy = proxy_peer(credentials=(USER, PASSWORD))
    given = address(proxy, userinfo=ENCODED)
    with caplog.at_level("DEBUG"), session(proxies={"all": given}, retries=1, backoff_factor=0) as through:
        refusal(through, secure.url)
        shown = [caplog.text, repr(through), repr(parse_proxy(given)), str(parse_proxy(given)), repr(through._network)]
        through.proxies = {"https": address(proxy, userinfo="amy:wr0ng")}
        refusal(through, secure.url)
        shown.append(caplog.text)
    assert "wr0ng" not in caplog.text
    assert not [secret for secret in SECRETS if secret in "".join(shown)]
    assert isinstance(through._network, NetworkSettings)


@pytest.mark.parametrize(
    "given",
    [
        f"http://{USER}:p@ss:w/ör@host:port",
        "http://amy:p@ss@ho st",
        "http://amy:p@ss@",
        "http://amy:12#p@ss@a:b:c",
        "gopher://amy:p@ss@h",
        "amy:p@ss://p@ss@h:x",
        "http://amy:12#%e4@h:1",
    ],
)
def test_an_address_that_cannot_be_used_is_shown_without_its_sign_in(given: str) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        parse_proxy(given)
    assert not isinstance(caught.value.__context__, UnicodeError)  # it holds what could not be read
    shown = f"{caught.value}{caught.value!r}{pickle.dumps(caught.value)!r}"
    assert not [secret for secret in ("amy", "ss:w", "p@", "12#") if secret in shown]


# -- proxies that fail -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [302, 401, 403, 404, 500, 502, 503])
def test_a_connect_that_is_refused_is_an_error_and_nothing_of_the_answer_is_believed(
    secure: HandlerPeer, plain: HandlerPeer, proxy_peer: MakeProxy, status: int
) -> None:
    refused = Reply(
        status, {"Location": plain.url, "Set-Cookie": "evil=1", "Retry-After": "0"}, "<html>sign in</html>", close=True
    )
    proxy = proxy_peer(intercept=lambda request: refused)
    with session(proxies={"https": address(proxy)}) as through:
        error = refusal(through, secure.url_for("/x?token=p@ss"))
        assert isinstance(error, errors.ProxyError)
        assert f"127.0.0.1:{secure.port}" in str(error)
        assert not list(through.cookies)
    assert plain.connections == secure.connections == 0


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 nonsense\r\n\r\n",
        b"\x00\x01\x02\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
    ],
    ids=["status", "bytes", "ssh", "nothing", "endless header"],
)
def test_a_proxy_that_answers_garbage_is_an_error(secure: HandlerPeer, scripted_peer: MakeScripted, garbage: bytes) -> None:
    def script(connection: Connection) -> None:
        connection.recv()
        connection.send(garbage)

    proxy = scripted_peer(script)
    with session(proxies={"https": address(proxy, userinfo=ENCODED)}) as through:
        error = refusal(through, secure.url)
    assert isinstance(error, (errors.ProxyError, errors.ConnectError))
    assert f"the proxy {address(proxy)}" in str(error)
    assert secure.connections == 0


def test_what_goes_wrong_before_there_is_a_tunnel_uses_no_body_up(
    secure: HandlerPeer, scripted_peer: MakeScripted, fake_clock: FakeClock
) -> None:
    proxy = scripted_peer(Connection.recv)  # and hangs up
    body = iter([b"a", b"b"])
    through = session(proxies={"https": address(proxy)}, retries=2, clock=fake_clock)
    with through, pytest.raises(errors.ConnectError, match="hung up"):
        through.post(secure.url, data=body)
    assert proxy.connections == 3
    assert list(body) == [b"a", b"b"]


def test_a_silent_proxy_ends_by_the_time_out(secure: HandlerPeer, scripted_peer: MakeScripted) -> None:
    proxy = scripted_peer(lambda connection: connection.wait() and None)
    with session(proxies={"https": address(proxy)}, timeout=0.2) as through:
        error = refusal(through, secure.url)
    assert isinstance(error, (errors.EsriTimeoutError, errors.ProxyError))
    assert secure.connections == 0


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("retries", [0, 2])
def test_a_proxy_that_is_down_is_never_gone_round(
    plain: HandlerPeer, secure: HandlerPeer, proxy_peer: MakeProxy, scheme: str, retries: int
) -> None:
    gone = proxy_peer()
    gone.stop()
    peer = plain if scheme == "http" else secure
    with session(proxies={scheme: address(gone, userinfo=ENCODED)}, retries=retries, backoff_factor=0) as through:
        error = refusal(through, peer.url)
    assert isinstance(error, errors.ProxyError)
    assert "proxies=" in str(error)
    assert f"127.0.0.1:{gone.port}" in str(error)
    assert peer.connections == 0


def free_port_with(digits: str) -> int:
    """A port that nobody listens on, with these digits in its number."""
    for port in range(int(digits + "00"), int(digits + "99")):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise AssertionError("no such port is free")


def test_a_port_is_not_taken_for_a_status(secure: HandlerPeer) -> None:
    with session(proxies={"https": f"http://127.0.0.1:{free_port_with('407')}"}) as through:
        assert "could not be reached" in str(refusal(through, secure.url))


def test_a_proxy_of_the_environment_that_cannot_be_used_is_not_gone_round(
    monkeypatch: pytest.MonkeyPatch, plain: HandlerPeer
) -> None:
    monkeypatch.setenv("http_proxy", "gopher://127.0.0.1:70")
    with session() as through:
        assert isinstance(refusal(through, plain.url), errors.ConfigurationError)
    assert plain.connections == 0


# -- proxies with TLS --------------------------------------------------------------------------------------------------


def test_a_proxy_may_speak_tls_itself(
    plain: HandlerPeer, secure: HandlerPeer, proxy_peer: MakeProxy, ca: CertificateAuthority
) -> None:
    for host, server_name in (("127.0.0.1", None), ("localhost", "localhost")):
        proxy = proxy_peer(tls=True, credentials=(USER, PASSWORD))
        given = f"https://{ENCODED}@{host}:{proxy.port}"
        with session(ca_bundles=ca.file, proxies={"all": given}) as through:
            assert through.get(plain.url).text == "ok"
            assert through.get(secure.url).text == "ok"
        assert len(proxy.requests) == 2
        assert set(proxy.server_names) == {server_name}


@pytest.mark.parametrize("kind", ["untrusted", "expired", "wrong_name"])
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("check_hostname", [True, False])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_certificate_of_the_proxy_is_verified_for_the_name_of_the_proxy(
    plain: HandlerPeer,
    secure: HandlerPeer,
    proxy_peer: MakeProxy,
    ca: CertificateAuthority,
    kind: str,
    scheme: str,
    check_hostname: bool,
    host: str,
) -> None:
    proxy = proxy_peer(tls=getattr(ca, kind)())
    peer = plain if scheme == "http" else secure
    proxies = {"all": f"https://{ENCODED}@{host}:{proxy.port}"}
    with session(ca_bundles=ca.file, proxies=proxies, check_hostname=check_hostname) as through:
        error = refusal(through, peer.url)
    assert isinstance(error, errors.ProxyError)
    assert f"{host}:{proxy.port}" in str(error)
    assert "ca_bundles=" in str(error)
    assert proxy.requests == []
    assert peer.connections == 0


def test_our_certificate_is_for_the_origin_and_not_for_the_proxy(
    handler_peer: MakeHandler, plain: HandlerPeer, proxy_peer: MakeProxy, ca: CertificateAuthority
) -> None:
    peer = handler_peer(answer_ok, tls=True, client_certificate="required")
    proxy = proxy_peer(tls=True, client_certificate="optional")
    proxies = {"all": address(proxy, "https")}
    with session(ca_bundles=ca.file, cert=ca.client().combined_file, proxies=proxies) as through:
        assert through.get(peer.url).text == "ok"
        assert through.get(plain.url).text == "ok"
    assert peer.requests[0].client_certificate is not None
    assert [request.client_certificate for request in proxy.requests] == [None, None]


def test_an_https_address_of_a_proxy_that_speaks_http_is_named_as_such(
    plain: HandlerPeer, secure: HandlerPeer, proxy_peer: MakeProxy
) -> None:
    def confused(connection: Connection) -> None:
        connection.recv()
        connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with ScriptedPeer(confused) as proxy, session(proxies={"all": address(proxy, "https")}) as through:
        for error in (refusal(through, secure.url), refusal(through, plain.url)):
            assert isinstance(error, errors.ProxyError)
            assert "is its address http://" in str(error)
            assert str(proxy.port) in str(error)
    assert plain.connections == secure.connections == 0


# -- SOCKS -------------------------------------------------------------------------------------------------------------


class SocksScript:
    """A SOCKS5 server (RFC 1928, RFC 1929) as a script: it carries one connection to `target`."""

    def __init__(self, target: int, credentials: tuple[str, str] | None = None) -> None:
        self.target = target
        self.credentials = credentials
        self.asked: list[str] = []

    def __call__(self, connection: Connection) -> None:
        _, count = connection.read_exactly(2)
        connection.read_exactly(count)
        connection.send(b"\x05\x02" if self.credentials else b"\x05\x00")
        if self.credentials and not self._signed_in(connection):
            return
        self.asked.append(self._wanted(connection))
        connection.send(b"\x05\x00\x00\x01\x7f\x00\x00\x01" + struct.pack(">H", 9))
        with socket.create_connection(("127.0.0.1", self.target)) as upstream:
            connection.attached.append(upstream)
            pump(connection.sock, upstream)

    def _signed_in(self, connection: Connection) -> bool:
        given = []
        connection.read_exactly(1)
        for _ in range(2):
            given.append(connection.read_exactly(connection.read_exactly(1)[0]).decode())
        right = tuple(given) == self.credentials
        connection.send(b"\x01\x00" if right else b"\x01\x01")
        return right

    def _wanted(self, connection: Connection) -> str:
        kind = connection.read_exactly(4)[3]
        if kind == 1:
            host = socket.inet_ntoa(connection.read_exactly(4))
        else:
            host = connection.read_exactly(connection.read_exactly(1)[0]).decode()
        return f"{host}:{struct.unpack('>H', connection.read_exactly(2))[0]}"


@pytest.fixture
def without_socks(monkeypatch: pytest.MonkeyPatch) -> None:
    """PySocks is not installed."""
    for name in list(sys.modules):
        if name in ("urllib3.contrib.socks", "esri_http.wire.socks_proxies"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "socks", None)


@pytest.mark.usefixtures("without_socks")
@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4", "socks4a"])
def test_socks_without_its_package_is_an_error_that_names_it(plain: HandlerPeer, scheme: str) -> None:
    with session(proxies={"all": f"{scheme}://{ENCODED}@127.0.0.1:1"}) as through:
        error = refusal(through, plain.url)
    assert isinstance(error, errors.MissingPackageError)
    assert 'pip install "esri_http[socks]"' in str(error)
    assert plain.connections == 0


def test_socks_carries_both_kinds_of_request(plain: HandlerPeer, secure: HandlerPeer, ca: CertificateAuthority) -> None:
    pytest.importorskip("socks")
    for peer in (plain, secure):
        script = SocksScript(peer.port, (USER, PASSWORD))
        with ScriptedPeer(script) as proxy:
            proxies = {"all": address(proxy, "socks5h", ENCODED)}
            with session(ca_bundles=ca.file, proxies=proxies) as through:
                assert through.get(peer.url_for("/x", host="localhost")).text == "ok"
                assert through.get(peer.url_for("/y", host="localhost")).text == "ok"
        assert script.asked == [f"localhost:{peer.port}"]


def test_a_socks_proxy_that_is_down_or_refuses_is_an_error(plain: HandlerPeer, proxy_peer: MakeProxy) -> None:
    pytest.importorskip("socks")
    gone = proxy_peer()
    gone.stop()
    with session(proxies={"all": address(gone, "socks5", ENCODED)}) as through:
        error = refusal(through, plain.url)
        assert isinstance(error, errors.ProxyError)
        assert f"127.0.0.1:{gone.port}" in str(error)
        assert error.url == plain.url + "/"
        assert str(error).startswith(f"GET {plain.url}/: ")
    with ScriptedPeer(SocksScript(plain.port, (USER, "other"))) as proxy:
        for userinfo, said in ((ENCODED, "refuses the sign-in of 'amy'"), ("", "wants a sign-in; put it in its address")):
            through = session(proxies={"all": address(proxy, "socks5", userinfo)})
            error = refusal(through, plain.url)
            assert isinstance(error, errors.ProxyError)
            assert said in str(error)
            assert f"127.0.0.1:{proxy.port}" in str(error)
    assert plain.connections == 0


@pytest.mark.parametrize("userinfo", ["amy:" + "p" * 128, "%C3%B6" * 64 + ":p"])
def test_a_sign_in_that_pysocks_cannot_send_is_refused(plain: HandlerPeer, userinfo: str) -> None:
    pytest.importorskip("socks")
    with session(proxies={"all": f"socks5://{userinfo}@127.0.0.1:1"}) as through:
        error = refusal(through, plain.url)
    assert isinstance(error, errors.ConfigurationError)
    assert "127 bytes" in str(error)


@pytest.mark.parametrize(
    "given, url",
    [
        ("socks5://host", "socks5://host:1080"),
        ("socks5://host:80", "socks5://host:80"),
        ("socks5h://[::1]", "socks5h://[::1]:1080"),
        ("host:3128", "http://host:3128"),
        ("host", "http://host:80"),
        ("https://host/", "https://host:443"),
        ("http://[::1]:3128", "http://[::1]:3128"),
        ("amy:secret@host:3128", "http://host:3128"),
    ],
)
def test_an_address_without_a_port_means_the_one_of_its_scheme(given: str, url: str) -> None:
    assert str(parse_proxy(given)) == url
