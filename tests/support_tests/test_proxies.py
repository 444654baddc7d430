"""The proxy carries both kinds of request and records them."""

from __future__ import annotations

from collections.abc import Callable

from ..support.certificates import CertificateAuthority
from ..support.peers import HandlerPeer, Reply
from ..support.proxies import ProxyPeer
from .plain_client import connect, exchange, fetch, read_all

MakeProxy = Callable[..., ProxyPeer]
MakeHandler = Callable[..., HandlerPeer]


def test_a_plain_request_is_forwarded_in_origin_form(handler_peer: MakeHandler, proxy_peer: MakeProxy) -> None:
    peer = handler_peer(lambda request: Reply(body=request.target))
    proxy = proxy_peer(names={"maps.example": ("127.0.0.1", peer.port)})
    assert fetch(proxy, "http://maps.example/a?b=c").body == b"/a?b=c"
    assert [request.target for request in proxy.requests] == ["http://maps.example/a?b=c"]


def test_a_tunnel_carries_bytes_both_ways(
    handler_peer: MakeHandler, proxy_peer: MakeProxy, ca: CertificateAuthority
) -> None:
    peer = handler_peer(lambda request: Reply(body=bytes(300_000)), tls=ca.server("maps.example"))
    proxy = proxy_peer(names={"maps.example": ("127.0.0.1", peer.port)})
    sock = connect(proxy)
    sock.sendall(b"CONNECT maps.example:443 HTTP/1.1\r\n\r\n")
    assert sock.recv(1000).startswith(b"HTTP/1.1 200 ")
    with ca.client_context().wrap_socket(sock, server_hostname="maps.example") as secured:
        assert len(exchange(secured, b"GET / HTTP/1.1\r\n\r\n").body) == 300_000
    assert (proxy.tunnels, peer.server_names) == (["maps.example:443"], ["maps.example"])


def test_a_tunnel_works_through_a_proxy_that_speaks_tls(
    handler_peer: MakeHandler, proxy_peer: MakeProxy, ca: CertificateAuthority
) -> None:
    peer = handler_peer(lambda request: Reply(body=bytes(300_000)))
    proxy = proxy_peer(tls=True)
    with connect(proxy, ca.client_context()) as sock:
        sock.sendall(f"CONNECT 127.0.0.1:{peer.port} HTTP/1.1\r\n\r\n".encode())
        assert sock.recv(1000).startswith(b"HTTP/1.1 200 ")
        assert len(exchange(sock, b"GET / HTTP/1.1\r\n\r\n").body) == 300_000


def test_a_proxy_with_credentials_asks_for_them(handler_peer: MakeHandler, proxy_peer: MakeProxy) -> None:
    peer = handler_peer(lambda request: Reply(body="in"))
    proxy = proxy_peer(credentials=("amy", "secret"))
    target = peer.url_for("/")
    refused = fetch(proxy, target)
    assert (refused.status, refused.headers["Proxy-Authenticate"]) == (407, 'Basic realm="tests"')
    assert fetch(proxy, target, head="Proxy-Authorization: Basic YW15OnNlY3JldA==\r\n").body == b"in"
    assert "Proxy-Authorization" not in peer.requests[0].headers


def test_a_test_can_answer_in_the_place_of_the_server(proxy_peer: MakeProxy) -> None:
    proxy = proxy_peer(intercept=lambda request: Reply(403, body="not allowed", close=True))
    with connect(proxy) as sock:
        assert exchange(sock, b"CONNECT a.example:443 HTTP/1.1\r\n\r\n", method="GET").status == 403
        assert read_all(sock) == b""


def test_a_server_that_cannot_be_reached_is_a_bad_gateway(handler_peer: MakeHandler, proxy_peer: MakeProxy) -> None:
    gone = handler_peer(lambda request: Reply())
    gone.stop()
    assert fetch(proxy_peer(), gone.url_for("/")).status == 502
