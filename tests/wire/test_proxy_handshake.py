"""Proxies that want NTLM or Negotiate: on lanes for http targets; for https targets, one leg or a clear error."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from esri_http import EsriHttpNegotiateAuth, EsriHttpNtlmAuth, EsriKerberosAuth, EsriSession
from esri_http.auth.handshake.security import SecurityContext, SecurityContexts
from esri_http.auth.proxies.proxy_handshake import HandshakeSigner
from esri_http.words import errors

from ..support.certificates import CertificateAuthority
from ..support.http_messages import RecordedRequest, Reply
from ..support.ntlm_server import NtlmServer, known_users
from ..support.peers import HandlerPeer
from ..support.proxies import ProxyPeer
from ..support.proxy_sign_in import refusal, seen_by_server
from ..support.sessions import idle_lanes, leased_lanes, on_threads

MakeProxy = Callable[..., ProxyPeer]

USER, PASSWORD = "AD\\amy", "amys-secret"
BODY = b"b" * (1 << 20)
TARGET = "http://gis.example.com/x"


class NtlmProxy:
    """An `intercept` that wants NTLM and, where it is content, answers in the place of the server."""

    def __init__(self, **options: Any) -> None:
        self.server = NtlmServer(**options)

    def __call__(self, request: RecordedRequest) -> Reply:
        reply = self.server(seen_by_server(request))
        return refusal(reply) if reply.status == 401 else reply


@pytest.fixture(autouse=True)
def users(tmp_path: Path) -> Iterator[None]:
    """The acceptors know their users."""
    with known_users(tmp_path):
        yield


@pytest.fixture
def proxy(proxy_peer: MakeProxy) -> ProxyPeer:
    """A proxy that wants NTLM."""
    return proxy_peer(intercept=NtlmProxy())


@pytest.fixture
def make_session(ca: CertificateAuthority) -> Iterator[Callable[..., EsriSession]]:
    """`make_session(proxy, proxy_auth)`: a session that goes everywhere through `proxy`."""
    made: list[EsriSession] = []

    def make(proxy: ProxyPeer, proxy_auth: Any, **options: Any) -> EsriSession:
        settings = {"retries": 0, "timeout": 10, "ca_bundles": ca.file, "proxies": {"all": proxy.url}}
        made.append(EsriSession(**{**settings, "proxy_auth": proxy_auth, **options}))
        return made[-1]

    yield make
    for session in made:
        session.close()


def ntlm(password: str = PASSWORD, user: str = USER) -> EsriHttpNtlmAuth:
    return EsriHttpNtlmAuth(None, user, password)


def refused(session: EsriSession, url: str, **options: Any) -> str:
    """The text of the `ProxyError` of a GET, with no secret in it."""
    with pytest.raises(errors.ProxyError) as caught:
        session.get(url, **options)
    shown = f"{caught.value}{caught.value!r}{pickle.dumps(caught.value)!r}"
    assert PASSWORD not in shown
    assert "wr0ng" not in shown
    return str(caught.value)


@pytest.mark.parametrize("tls", [False, True], ids=["http proxy", "https proxy"])
@pytest.mark.parametrize("scheme", ["NTLM", "Negotiate"])
def test_one_handshake_signs_in_a_connection(proxy_peer: MakeProxy, make_session: Any, tls: bool, scheme: str) -> None:
    asks = NtlmProxy(schemes=(scheme,))
    proxy = proxy_peer(intercept=asks, tls=tls)
    through = make_session(proxy, ntlm())
    assert [through.get(TARGET).json()["user"] for _ in range(4)] == ["amy"] * 4
    assert (len(proxy.requests), proxy.connections, asks.server.finished) == (3 + 3, 1, 1)
    assert (leased_lanes(through), idle_lanes(through)) == (0, 1)


def test_the_next_connection_starts_with_the_handshake(proxy: ProxyPeer, make_session: Any) -> None:
    through = make_session(proxy, ntlm())
    through.get(TARGET)
    through.close_connections()
    assert through.get(TARGET).json()["user"] == "amy"
    assert (len(proxy.requests), proxy.connections) == (3 + 2, 2)


@pytest.mark.parametrize("once", [False, True], ids=["bytes", "read once"])
def test_a_large_body_crosses_once(proxy: ProxyPeer, make_session: Any, once: bool) -> None:
    through = make_session(proxy, ntlm())
    for _ in range(2):
        assert through.post(TARGET, data=iter([BODY]) if once else BODY).json()["user"] == "amy"
    sent = [request for request in proxy.requests if request.method == "POST"]
    assert len(sent) == 2
    assert proxy.connections == 1


def test_a_proxy_that_forgets_who_signed_in_is_told_with_each_request(proxy_peer: MakeProxy, make_session: Any) -> None:
    asks = NtlmProxy()
    asks.server.persistent = False
    proxy = proxy_peer(intercept=asks)
    through = make_session(proxy, ntlm())
    assert [through.get(TARGET).json()["user"] for _ in range(3)] == ["amy"] * 3
    assert (len(proxy.requests), proxy.connections) == (3 + 3 + 2, 1)
    assert through.post(TARGET, data=BODY).json()["user"] == "amy"


def test_a_wrong_password_is_sent_once(proxy: ProxyPeer, make_session: Any) -> None:
    through = make_session(proxy, ntlm("wr0ng"), retries=2, backoff_factor=0)
    first = refused(through, TARGET)
    assert "AD\\amy" in first
    assert "NTLM" in first
    assert refused(through, TARGET) == first
    assert proxy.intercept.server.refused == 1  # type: ignore[union-attr]
    assert leased_lanes(through) == idle_lanes(through) == 0
    through.proxy_auth = ntlm()
    assert through.get(TARGET).json()["user"] == "amy"


def test_a_new_password_of_the_same_handler_is_tried(proxy: ProxyPeer, make_session: Any) -> None:
    auth = ntlm("wr0ng")
    through = make_session(proxy, auth)
    refused(through, TARGET)
    auth.password = PASSWORD
    assert through.get(TARGET).json()["user"] == "amy"


def test_threads_have_connections_of_their_own(proxy: ProxyPeer, make_session: Any) -> None:
    through = make_session(proxy, ntlm())
    assert on_threads(8, lambda _: [through.get(TARGET).json()["user"] for _ in range(10)]) == [["amy"] * 10] * 8
    assert proxy.intercept.server.finished == proxy.connections <= 8  # type: ignore[union-attr]
    assert leased_lanes(through) == 0


def test_the_wrong_password_of_many_threads_is_sent_once(proxy: ProxyPeer, make_session: Any) -> None:
    through = make_session(proxy, ntlm("wr0ng"))
    on_threads(8, lambda _: refused(through, TARGET))
    assert proxy.intercept.server.refused == 1  # type: ignore[union-attr]


def test_nobody_else_goes_over_a_connection_that_is_signed_in(proxy: ProxyPeer, make_session: Any) -> None:
    through = make_session(proxy, ntlm())
    assert through.get(TARGET).json()["user"] == "amy"
    through.proxy_auth = ntlm("bobs-secret", "AD\\bob")
    assert through.get(TARGET).json()["user"] == "bob"
    through.proxy_auth = None
    assert through.get(TARGET).status_code == 407


@pytest.mark.parametrize("losses, connections", [(1, 2), (99, 2)])
def test_a_connection_that_is_lost_between_two_legs_is_begun_anew_once(
    proxy_peer: MakeProxy, make_session: Any, losses: int, connections: int
) -> None:
    asks, lost = NtlmProxy(), []

    def hang_up(request: RecordedRequest) -> Reply:
        reply = asks(request)
        if " " in (reply.headers.get("Proxy-Authenticate") or "") and len(lost) < losses:
            lost.append(request)
            reply.close = True
        return reply

    proxy = proxy_peer(intercept=hang_up)
    through = make_session(proxy, ntlm())
    if losses == 1:
        assert through.get(TARGET).json()["user"] == "amy"
    else:
        with pytest.raises(errors.ConnectionLostError, match="in the middle of every sign-in"):
            through.get(TARGET)
    assert proxy.connections == connections
    assert leased_lanes(through) == 0


def test_a_proxy_that_closes_after_the_first_refusal_is_signed_in_to(proxy_peer: MakeProxy, make_session: Any) -> None:
    asks = NtlmProxy()

    def close_first(request: RecordedRequest) -> Reply:
        reply = asks(request)
        reply.close = "Proxy-Authorization" not in request.headers and reply.status == 407
        return reply

    proxy = proxy_peer(intercept=close_first)
    assert make_session(proxy, ntlm()).get(TARGET).json()["user"] == "amy"
    assert proxy.connections == 2


def test_a_proxy_and_a_server_that_both_want_ntlm_get_it_on_one_connection(proxy_peer: MakeProxy, make_session: Any) -> None:
    asks, server = NtlmProxy(), NtlmServer()

    def both(request: RecordedRequest) -> Reply:
        reply = asks(request)
        return reply if reply.status == 407 else server(request)

    proxy = proxy_peer(intercept=both)
    through = make_session(proxy, ntlm(), auth=ntlm("bobs-secret", "AD\\bob"))
    assert [through.get(TARGET).json()["user"] for _ in range(3)] == ["bob"] * 3
    assert through.post(TARGET, data=BODY).json()["user"] == "bob"
    assert (asks.server.finished, server.finished, proxy.connections) == (1, 1, 1)


def test_several_legs_for_an_https_target_are_an_error_that_says_what_to_use(
    proxy: ProxyPeer, make_session: Any, handler_peer: Callable[..., HandlerPeer]
) -> None:
    secure = handler_peer(lambda request: Reply(), tls=True)
    through = make_session(proxy, ntlm())
    for _ in range(2):
        said = refused(through, secure.url)
        for word in ("https targets", "Basic", "Digest", "Kerberos", "cntlm", str(proxy.port)):
            assert word in said
    assert secure.connections == 0
    assert not any("Proxy-Authorization" in request.headers for request in proxy.requests)


@pytest.mark.parametrize("auth", [ntlm(), EsriKerberosAuth(), EsriHttpNegotiateAuth()], ids=lambda auth: type(auth).__name__)
def test_a_proxy_that_wants_something_else_is_an_error_that_names_it(
    proxy_peer: MakeProxy, make_session: Any, auth: Any
) -> None:
    proxy = proxy_peer(credentials=("amy", "basic"))
    for url in (TARGET, "https://gis.example.com/x"):
        said = refused(make_session(proxy, auth), url)
        assert "offers Basic" in said
        assert type(auth).__name__ in said
    assert len(proxy.requests) == 2


@pytest.mark.parametrize("token", ["", " ", " !!!", " AAAA", " TlRMTVNTUAACAAAA", " " + "A" * 40000])
def test_garbage_in_the_place_of_a_token_is_an_error(proxy_peer: MakeProxy, make_session: Any, token: str) -> None:
    proxy = proxy_peer(intercept=lambda request: Reply(407, {"Proxy-Authenticate": "NTLM" + token}))
    refused(make_session(proxy, ntlm()), TARGET)
    assert len(proxy.requests) <= 5


def test_a_user_without_a_ticket_is_told_to_get_one(
    proxy_peer: MakeProxy, make_session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("krb5")
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'none'}")
    (tmp_path / "krb5.conf").write_text("[libdefaults]\n default_realm = EXAMPLE.TEST\n dns_lookup_kdc = false\n")
    monkeypatch.setenv("KRB5_CONFIG", str(tmp_path / "krb5.conf"))
    proxy = proxy_peer(intercept=lambda request: Reply(407, {"Proxy-Authenticate": "Negotiate"}))
    for url in (TARGET, "https://gis.example.com/x"):
        said = refused(make_session(proxy, EsriKerberosAuth()), url)
        assert "kinit" in said
        assert "the proxy http://" in said


class SlowDomain(SecurityContexts):
    """Refuses the password, but only after the handler was given another one."""

    def __init__(self, handler: EsriKerberosAuth) -> None:
        super().__init__(handler.contexts.identity)
        self.handler = handler

    def open(self, mechanism: str, host: str, wire: Any) -> SecurityContext:
        """See `SecurityContexts.open`."""
        self.handler.password = "new-secret"
        raise errors.ArcGISLoginError("amy cannot sign in by Kerberos: the password is wrong.")


def test_what_the_domain_says_of_the_old_password_is_not_held_against_the_new_one() -> None:
    handler = EsriKerberosAuth(username="amy@EXAMPLE.TEST", password=PASSWORD, force_preemptive=True)
    handler.contexts = old = SlowDomain(handler)
    signer = HandshakeSigner("http://127.0.0.1:3128", "127.0.0.1", handler)
    with pytest.raises(errors.ProxyError, match="the password is wrong"):
        signer.authorization("CONNECT", "gis.example.com:443", None)
    assert handler.contexts is not old
    signer.check_refusal(handler.contexts)
    with pytest.raises(errors.ProxyError, match="the password is wrong"):
        signer.check_refusal(old)
