"""Proxies that want a sign-in by Digest or Basic: for http and https targets, with what each of them may do wrong."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from esri_http import EsriBasicAuth, EsriDigestAuth, EsriSession, ProxyAuth
from esri_http.words import errors

from ..support.certificates import CertificateAuthority
from ..support.http_messages import RecordedRequest, Reply
from ..support.peers import HandlerPeer, ScriptedPeer
from ..support.plumbing import Connection
from ..support.proxies import ProxyPeer, pump
from ..support.proxy_sign_in import DigestProxy
from ..support.sessions import on_threads

MakeHandler = Callable[..., HandlerPeer]
MakeScripted = Callable[..., ScriptedPeer]
MakeProxy = Callable[..., ProxyPeer]

USER, PASSWORD = "amy", "p@ss:w/ör#d"
ENCODED = "amy:p%40ss%3Aw%2F%C3%B6r%23d"
SECRETS = ("p@ss", "p%40ss", "w/ör", "YW15OnBAc3M", "wr0ng")
BODY = b"b" * (1 << 20)
FORMS = {
    "in the address": None,
    "a pair": (USER, PASSWORD),
    "ProxyAuth": ProxyAuth(USER, PASSWORD),
    "EsriDigestAuth": EsriDigestAuth(None, USER, PASSWORD),
}


def answer_ok(request: RecordedRequest) -> Reply:
    assert "Proxy-Authorization" not in request.headers
    return Reply(body=f"{request.body_length}")


def address(proxy: Any, userinfo: str = "") -> str:
    """The URL of a proxy."""
    return f"{proxy.origin.scheme}://{userinfo and userinfo + '@'}127.0.0.1:{proxy.port}"


@pytest.fixture
def plain(handler_peer: MakeHandler) -> HandlerPeer:
    """An origin without TLS."""
    return handler_peer(answer_ok, keep_bodies=False)


@pytest.fixture
def secure(handler_peer: MakeHandler) -> HandlerPeer:
    """An origin with TLS."""
    return handler_peer(answer_ok, tls=True, keep_bodies=False)


@pytest.fixture(params=["http", "https"])
def origin(request: pytest.FixtureRequest, plain: HandlerPeer, secure: HandlerPeer) -> HandlerPeer:
    """An origin, without TLS and with it."""
    return plain if request.param == "http" else secure


@pytest.fixture
def make_session(ca: CertificateAuthority) -> Iterator[Callable[..., EsriSession]]:
    """`make_session(proxy, auth=None, userinfo="")`: a session that goes everywhere through `proxy`."""
    made: list[EsriSession] = []

    def make(proxy: Any, auth: Any = None, userinfo: str = "", **options: Any) -> EsriSession:
        settings = {"retries": 0, "timeout": 10, "ca_bundles": ca.file, "proxies": {"all": address(proxy, userinfo)}}
        made.append(EsriSession(**{**settings, "proxy_auth": auth, **options}))
        return made[-1]

    yield make
    for session in made:
        session.close()


def digest_proxy(start: MakeProxy, tls: bool = False, **options: Any) -> tuple[DigestProxy, ProxyPeer]:
    """What checks Digest, and the proxy that asks it."""
    checks = DigestProxy({USER: PASSWORD}, **options)
    return checks, start(tls=tls, intercept=checks.intercept)


def refusal(session: EsriSession, url: str, **options: Any) -> errors.ProxyError:
    """The `ProxyError` of a GET, with no secret in it."""
    with pytest.raises(errors.ProxyError) as caught:
        session.get(url, **options)
    shown = f"{caught.value}{caught.value!r}{pickle.dumps(caught.value)!r}"
    assert not [secret for secret in SECRETS if secret in shown]
    assert str(caught.value).startswith(f"GET {url.partition('?')[0]}")
    return caught.value


def fields(proxy: ProxyPeer) -> list[str]:
    """The scheme by which each request to the proxy is signed; empty for none."""
    return [(request.headers.get("Proxy-Authorization") or "").partition(" ")[0] for request in proxy.requests]


# -- digest ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True], ids=["http proxy", "https proxy"])
@pytest.mark.parametrize("close", [False, True], ids=["keeps", "closes"])
@pytest.mark.parametrize("form", FORMS)
def test_digest_is_answered_once_asked_for_and_sent_unasked_afterwards(
    origin: HandlerPeer, proxy_peer: MakeProxy, make_session: Any, tls: bool, close: bool, form: str
) -> None:
    checks, proxy = digest_proxy(proxy_peer, tls, close=close)
    through = make_session(proxy, FORMS[form], "" if FORMS[form] else ENCODED)
    for _ in range(3):
        assert through.get(origin.url_for("/a?b=c")).text == "0"
        through.close_connections()
    assert fields(proxy) == ["Basic" if FORMS[form] is None else "", "Digest", "Digest", "Digest"]
    assert (checks.users_served, checks.refused, checks.repeated) == ([USER] * 3, 0, 0)


@pytest.mark.parametrize("algorithms", [("SHA-256",), ("MD5-sess",), ("MD5", "SHA-512-256")], ids=str)
@pytest.mark.parametrize("qop", ["auth", None])
def test_every_digest_is_known(
    origin: HandlerPeer, proxy_peer: MakeProxy, make_session: Any, algorithms: tuple[str, ...], qop: str
) -> None:
    checks, proxy = digest_proxy(proxy_peer, algorithms=algorithms, qop=qop)
    assert make_session(proxy, (USER, PASSWORD)).get(origin.url).ok
    assert (checks.users_served, checks.refused) == ([USER], 0)
    assert checks.parameters["algorithm"] == algorithms[-1]


def test_a_nonce_that_went_stale_or_was_forgotten_is_no_refusal(
    origin: HandlerPeer, proxy_peer: MakeProxy, make_session: Any
) -> None:
    checks, proxy = digest_proxy(proxy_peer, uses=1)
    through = make_session(proxy, (USER, PASSWORD))
    for _ in range(3):
        assert through.get(origin.url).ok
        through.close_connections()
    assert checks.stale == 2
    checks.forget_nonces()
    assert through.get(origin.url).ok
    assert len(checks.users_served) == 4


def test_a_wrong_password_is_sent_once(origin: HandlerPeer, proxy_peer: MakeProxy, make_session: Any) -> None:
    checks, proxy = digest_proxy(proxy_peer)
    through = make_session(proxy, (USER, "wr0ng"), retries=3, backoff_factor=0)
    first, second = refusal(through, origin.url), refusal(through, origin.url)
    assert "refuses that of 'amy' by Digest" in str(first)
    assert str(proxy.port) in str(first)
    assert str(second) == str(first)
    assert (checks.refused, len(proxy.requests), origin.connections) == (1, 2, 0)
    through.proxy_auth = (USER, PASSWORD)
    assert through.get(origin.url).ok


def test_a_new_password_of_the_same_handler_is_tried(origin: HandlerPeer, proxy_peer: MakeProxy, make_session: Any) -> None:
    checks, proxy = digest_proxy(proxy_peer)
    auth = ProxyAuth(USER, "wr0ng")
    through = make_session(proxy, auth)
    refusal(through, origin.url)
    auth.password = PASSWORD
    assert through.get(origin.url).ok
    assert (checks.refused, checks.users_served) == (1, [USER])


def test_the_wrong_password_of_many_threads_is_sent_once(origin: HandlerPeer, proxy_peer: MakeProxy, make_session: Any) -> None:
    checks, proxy = digest_proxy(proxy_peer)
    through = make_session(proxy, (USER, "wr0ng"))
    on_threads(8, lambda _: refusal(through, origin.url))
    assert checks.refused == 1


def test_threads_share_what_the_proxy_said(origin: HandlerPeer, proxy_peer: MakeProxy, make_session: Any) -> None:
    checks, proxy = digest_proxy(proxy_peer, uses=5)
    through = make_session(proxy, (USER, PASSWORD))
    assert on_threads(8, lambda _: [through.get(origin.url).text for _ in range(5)]) == [["0"] * 5] * 8
    assert (checks.refused, checks.repeated, fields(proxy).count("")) == (0, 0, 1)


def test_a_proxy_that_is_never_content_is_left_alone(origin: HandlerPeer, proxy_peer: MakeProxy, make_session: Any) -> None:
    challenge = 'Digest realm="r", nonce="{}", qop="auth", stale=true'
    proxy = proxy_peer(
        intercept=lambda request: Reply(407, {"Proxy-Authenticate": challenge.format(len(proxy.requests))}, "again")
    )
    through = make_session(proxy, (USER, PASSWORD))
    assert "does not come to an end" in str(refusal(through, origin.url))
    assert len(proxy.requests) <= 6
    assert origin.connections == 0


@pytest.mark.parametrize(
    "offered, said",
    [
        ([], "does not say which"),
        ([""], "does not say which"),
        ([", ,=,"], "does not say which"),
        (['Digest realm="r"'], "cannot be done: it has no nonce"),
        (['Digest realm="r", nonce="n", algorithm=MD7'], "MD7"),
        (['Digest realm="r", nonce="n", qop="later"'], "later"),
        (["Digest"], "cannot be done"),
        (["Digest \x80\xff=\"", "Bearer"], "cannot be done"),
        (["Negotiate", "NTLM"], "offers Negotiate, Ntlm"),
        (["Negotiate"], "EsriKerberosAuth()"),
        (["Bearer " + "x" * 9000], "offers Bearer"),
        ([f"Scheme{number}" for number in range(50)], "offers Scheme0, Scheme1"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_said(
    origin: HandlerPeer, proxy_peer: MakeProxy, make_session: Any, offered: list[str], said: str
) -> None:
    proxy = proxy_peer(intercept=lambda request: Reply(407, [("Proxy-Authenticate", field) for field in offered]))
    through = make_session(proxy, (USER, PASSWORD))
    error = refusal(through, origin.url)
    assert said in str(error)
    assert len(str(error)) < 1000
    assert (len(proxy.requests), origin.connections) == (1, 0)


# -- basic -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("auth", [(USER, PASSWORD), ProxyAuth(USER, PASSWORD), EsriBasicAuth(None, USER, PASSWORD)], ids=repr)
@pytest.mark.parametrize("tls", [False, True], ids=["http proxy", "https proxy"])
def test_basic_waits_to_be_asked_where_it_is_not_in_the_address(
    origin: HandlerPeer, proxy_peer: MakeProxy, make_session: Any, auth: Any, tls: bool
) -> None:
    proxy = proxy_peer(tls=tls, credentials=(USER, PASSWORD))
    through = make_session(proxy, auth)
    for _ in range(2):
        assert through.get(origin.url).ok
        through.close_connections()
    assert fields(proxy) == ["", "Basic", "Basic"]


def test_a_wrong_password_for_basic_is_sent_once(origin: HandlerPeer, proxy_peer: MakeProxy, make_session: Any) -> None:
    proxy = proxy_peer(credentials=(USER, PASSWORD))
    through = make_session(proxy, userinfo="amy:wr0ng")
    assert str(refusal(through, origin.url)) == str(refusal(through, origin.url))
    assert len(proxy.requests) == 1


def test_a_password_that_was_good_before_may_be_good_again(
    origin: HandlerPeer, proxy_peer: MakeProxy, make_session: Any
) -> None:
    down = [False]
    refused = Reply(407, {"Proxy-Authenticate": "Basic"}, "the directory is down", close=True)
    proxy = proxy_peer(credentials=(USER, PASSWORD), intercept=lambda request: refused if down[0] else None)
    through = make_session(proxy, userinfo=ENCODED)
    assert through.get(origin.url).ok
    through.close_connections()
    down[0] = True
    refusal(through, origin.url)
    down[0] = False
    assert through.get(origin.url).ok


def test_what_passes_without_a_sign_in_says_nothing_about_the_password(
    origin: HandlerPeer, proxy_peer: MakeProxy, make_session: Any
) -> None:
    checks, proxy = digest_proxy(proxy_peer)
    proxy.intercept = None
    through = make_session(proxy, (USER, "wr0ng"))
    assert through.get(origin.url).ok
    through.close_connections()
    proxy.intercept = checks.intercept
    refusal(through, origin.url)
    refusal(through, origin.url)
    assert checks.refused == 1


def test_basic_is_not_sent_where_digest_is_meant(origin: HandlerPeer, proxy_peer: MakeProxy, make_session: Any) -> None:
    proxy = proxy_peer(credentials=(USER, PASSWORD))
    through = make_session(proxy, EsriDigestAuth(None, USER, PASSWORD))
    assert "offers Basic" in str(refusal(through, origin.url))
    assert fields(proxy) == [""]


def test_a_proxy_of_http_1_0_that_closes_at_once_is_signed_in_to(
    secure: HandlerPeer, scripted_peer: MakeScripted, make_session: Any
) -> None:
    def ask(connection: Connection) -> None:
        connection.read_head()
        connection.send(
            b"HTTP/1.0 407 Proxy Authentication Required\r\nServer: tinyproxy/1.11\r\nContent-Type: text/html\r\n"
            b'Proxy-Authenticate: Basic realm="Tinyproxy"\r\nConnection: close\r\n\r\n<html>407</html>'
        )

    def let_in(connection: Connection) -> None:
        assert connection.read_head().headers["Proxy-Authorization"].startswith("Basic ")
        connection.send(b"HTTP/1.0 200 Connection established\r\nProxy-agent: tinyproxy/1.11\r\n\r\n")
        import socket

        with socket.create_connection(("127.0.0.1", secure.port)) as upstream:
            connection.attached.append(upstream)
            pump(connection.sock, upstream)

    assert make_session(scripted_peer([ask, let_in]), (USER, PASSWORD)).get(secure.url).ok


# -- bodies ------------------------------------------------------------------------------------------------------------


def pieces() -> Iterator[bytes]:
    yield from (BODY[start : start + 65536] for start in range(0, len(BODY), 65536))


@pytest.mark.parametrize("body", [lambda: BODY, pieces], ids=["bytes", "read once"])
@pytest.mark.parametrize("form", FORMS)
def test_a_large_body_crosses_once(
    origin: HandlerPeer, proxy_peer: MakeProxy, make_session: Any, body: Callable[[], Any], form: str
) -> None:
    checks, proxy = digest_proxy(proxy_peer)
    through = make_session(proxy, FORMS[form], "" if FORMS[form] else ENCODED)
    for _ in range(2):
        assert through.post(origin.url, data=body()).text == str(len(BODY))
        through.close_connections()
    crossed = sum(request.body_length for request in proxy.requests if request.method == "POST")
    assert crossed == (2 * len(BODY) if origin.origin.scheme == "http" else 0)
    assert [request.body_length for request in origin.requests if request.method == "POST"] == [len(BODY)] * 2


def test_a_body_that_can_be_read_once_does_not_meet_a_stale_nonce(
    plain: HandlerPeer, proxy_peer: MakeProxy, make_session: Any
) -> None:
    checks, proxy = digest_proxy(proxy_peer, uses=3)
    through = make_session(proxy, (USER, PASSWORD))
    for _ in range(3):
        assert through.get(plain.url).ok
    assert through.post(plain.url, data=pieces()).text == str(len(BODY))


def test_what_goes_ahead_of_a_body_asks_for_nothing_to_be_done(
    plain: HandlerPeer, proxy_peer: MakeProxy, make_session: Any
) -> None:
    checks, proxy = digest_proxy(proxy_peer)
    make_session(proxy, (USER, PASSWORD)).post(plain.url_for("/delete?token=t"), data=pieces())
    probe = proxy.requests[0]
    assert (probe.method, probe.target, probe.body_length) == ("HEAD", plain.url_for("/"), 0)
    assert [request.method for request in plain.requests] == ["HEAD", "POST"]
    assert [request.target for request in plain.requests if request.method == "POST"] == ["/delete?token=t"]


def test_a_small_body_is_simply_sent_again(plain: HandlerPeer, proxy_peer: MakeProxy, make_session: Any) -> None:
    checks, proxy = digest_proxy(proxy_peer)
    assert make_session(proxy, (USER, PASSWORD)).post(plain.url, data={"x": "y"}).text == "3"
    assert [request.method for request in proxy.requests] == ["POST", "POST"]


def test_a_secret_query_is_part_of_what_is_signed_and_not_of_what_is_shown(
    plain: HandlerPeer, proxy_peer: MakeProxy, make_session: Any
) -> None:
    from esri_http import EsriUserTokenAuth

    checks, proxy = digest_proxy(proxy_peer)
    through = make_session(proxy, (USER, PASSWORD))
    assert through.get(plain.url_for("/q"), auth=EsriUserTokenAuth("t0ken", legacy=True)).ok
    assert checks.parameters["uri"] == plain.url_for("/q?token=t0ken")


# -- whose credentials -------------------------------------------------------------------------------------------------


def test_each_proxy_has_a_digest_of_its_own(
    plain: HandlerPeer, secure: HandlerPeer, proxy_peer: MakeProxy, make_session: Any
) -> None:
    (one, first), (other, second) = digest_proxy(proxy_peer), digest_proxy(proxy_peer)
    through = make_session(first, (USER, PASSWORD), proxies={"http": address(first), "https": address(second)})
    for _ in range(2):
        assert through.get(plain.url).ok
        assert through.get(secure.url).ok
        through.close_connections()
    assert fields(first) == fields(second) == ["", "Digest", "Digest"]
    assert (one.refused, other.refused) == (0, 0)


def test_the_user_in_an_address_is_for_that_proxy_alone_and_comes_first(
    plain: HandlerPeer, secure: HandlerPeer, proxy_peer: MakeProxy, make_session: Any
) -> None:
    first, second = proxy_peer(credentials=("bob", "b")), proxy_peer(credentials=(USER, PASSWORD))
    through = make_session(
        first, (USER, PASSWORD), proxies={"http": address(first, "bob:b"), "https": address(second)}
    )  # fmt: skip
    assert through.get(plain.url).ok
    assert through.get(secure.url).ok
    assert (fields(first), fields(second)) == (["Basic"], ["", "Basic"])


def test_a_proxy_of_the_environment_is_signed_in_to(
    origin: HandlerPeer, proxy_peer: MakeProxy, make_session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks, proxy = digest_proxy(proxy_peer)
    monkeypatch.setenv("all_proxy", address(proxy))
    assert make_session(proxy, (USER, PASSWORD), proxies=None).get(origin.url).ok
    assert checks.users_served == [USER]


def test_without_a_challenge_nothing_is_sent(origin: HandlerPeer, proxy_peer: MakeProxy, make_session: Any) -> None:
    proxy = proxy_peer()
    assert make_session(proxy, (USER, PASSWORD)).post(origin.url, data=BODY).ok
    assert set(fields(proxy)) == {""}


def test_a_challenge_of_the_origin_is_not_answered_with_what_is_for_the_proxy(
    origin: HandlerPeer, proxy_peer: MakeProxy, make_session: Any
) -> None:
    checks, proxy = digest_proxy(proxy_peer)
    origin.handler = lambda request: Reply(401, {"WWW-Authenticate": 'Basic realm="x"'}, str(request.headers))
    answer = make_session(proxy, (USER, PASSWORD)).get(origin.url)
    assert answer.status_code == 401
    assert "uthorization" not in answer.text


def test_a_407_of_an_origin_behind_a_tunnel_is_an_answer_like_another(
    secure: HandlerPeer, proxy_peer: MakeProxy, make_session: Any
) -> None:
    checks, proxy = digest_proxy(proxy_peer)
    secure.handler = lambda request: Reply(407, {"Proxy-Authenticate": 'Basic realm="x"'}, str(request.headers))
    answer = make_session(proxy, (USER, PASSWORD)).get(secure.url)
    assert answer.status_code == 407
    assert "uthorization" not in answer.text
    assert len(secure.requests) == 1


def test_connections_made_with_one_sign_in_are_not_used_with_another(
    origin: HandlerPeer, proxy_peer: MakeProxy, make_session: Any
) -> None:
    checks, proxy = digest_proxy(proxy_peer)
    through = make_session(proxy, (USER, PASSWORD))
    assert through.get(origin.url).ok
    for auth in (("amy", "wr0ng"), ("bob", PASSWORD)):
        through.proxy_auth = auth
        refusal(through, origin.url)
    through.proxy_auth = None
    if origin.origin.scheme == "http":
        assert through.get(origin.url).status_code == 407
    else:
        assert "wants a sign-in" in str(refusal(through, origin.url))
    assert len(origin.requests) == 1


@pytest.mark.parametrize("name", ["Proxy-Authorization", "proxy-authorization"])
def test_what_a_caller_says_to_proxies_reaches_no_origin(
    origin: HandlerPeer, proxy_peer: MakeProxy, make_session: Any, name: str
) -> None:
    proxy = proxy_peer()
    through = make_session(proxy)
    for options in ({}, {"proxies": {"all": None, "http": None, "https": None}}):
        assert through.get(origin.url, headers={name: "Basic p@ss"}, **options).text == "0"
    assert len(proxy.requests) == 1
    wanted = "Basic p@ss" if origin.origin.scheme == "http" else None
    assert proxy.requests[0].headers.get("Proxy-Authorization") == wanted


# -- the setting -------------------------------------------------------------------------------------------------------


def test_the_setting_shows_no_secret_and_pickles(
    caplog: pytest.LogCaptureFixture, origin: HandlerPeer, proxy_peer: MakeProxy, make_session: Any
) -> None:
    checks, proxy = digest_proxy(proxy_peer)
    through = make_session(proxy, (USER, PASSWORD))
    with caplog.at_level("DEBUG"):
        assert through.get(origin.url).ok
        twin = pickle.loads(pickle.dumps(through))
        assert twin.proxy_auth == through.proxy_auth == ProxyAuth(USER, PASSWORD) != ProxyAuth(USER, "other")
        assert twin.get(origin.url).ok
        twin.close()
    shown = f"{through!r}{through.proxy_auth!r}{through._network!r}{through.proxy_auth.password}{caplog.text}"
    assert not [secret for secret in SECRETS if secret in shown]


@pytest.mark.parametrize("auth", ["amy:secret", ("amy",), ("", "x"), ("amy", None), 7, object(), EsriSession])
def test_what_cannot_sign_in_to_a_proxy_is_refused_at_once(auth: Any) -> None:
    with pytest.raises(errors.ConfigurationError, match="proxy_auth="):
        EsriSession(proxy_auth=auth)
    session = EsriSession()
    with pytest.raises(errors.ConfigurationError, match="proxy_auth="):
        session.proxy_auth = auth
