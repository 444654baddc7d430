"""The peers send what they are told, record what they get, and end."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from esri_http.words.origins import Origin

from ..support.certificates import CertificateAuthority
from ..support.peers import DROP, Connection, HandlerPeer, RecordedRequest, Reply, ScriptedPeer, answer, json_reply
from ..support.plumbing import PATIENCE
from .plain_client import connect, exchange, fetch, read_all

MakePeer = Callable[..., ScriptedPeer]
MakeHandler = Callable[..., HandlerPeer]


def one_answer(connection: Connection) -> None:
    connection.read_request()
    connection.send(answer(200, {"X-Test": "yes"}, "hello"))


def test_a_script_reads_a_request_and_sends_an_answer(scripted_peer: MakePeer) -> None:
    peer = scripted_peer(one_answer)
    got = fetch(peer, "/a?b=c%20d", head="x-one: 1\r\nX-One: 2\r\n")
    assert (got.status, got.headers["X-Test"], got.body) == (200, "yes", b"hello")
    request = peer.requests[0]
    assert (request.method, request.path, request.query) == ("GET", "/a", {"b": "c d"})
    assert request.headers.get_all("X-ONE") == ["1", "2"]
    assert (peer.connections, peer.origin) == (1, Origin("http", "127.0.0.1", peer.port))


def test_each_connection_gets_its_own_script_and_the_last_one_stays(scripted_peer: MakePeer) -> None:
    def numbered(number: int) -> Callable[[Connection], None]:
        def script(connection: Connection) -> None:
            connection.read_request()
            connection.send(answer(body=str(number)))

        return script

    peer = scripted_peer([numbered(1), numbered(2)])
    assert [fetch(peer, "/").body for _ in range(3)] == [b"1", b"2", b"2"]


def test_a_reset_is_seen_as_a_reset(scripted_peer: MakePeer) -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\n")
        connection.reset()

    with pytest.raises(ConnectionResetError):
        fetch(scripted_peer(script), "/")


@pytest.mark.parametrize("tls", [False, True])
def test_a_silent_peer_is_stopped_while_it_waits(scripted_peer: MakePeer, ca: CertificateAuthority, tls: bool) -> None:
    received: list[bytes] = []
    waiting = threading.Event()

    def script(connection: Connection) -> None:
        received.append(connection.read_exactly(8))
        waiting.set()
        received.append(connection.wait())

    peer = scripted_peer(script, tls=tls)
    with connect(peer, ca.client_context() if tls else None) as sock:
        sock.sendall(b"anything")
        assert waiting.wait(PATIENCE)
        peer.stop()
        assert peer.open_connections == 0
        assert read_all(sock) == b""
    assert received == [b"anything", b""]


def test_a_chunked_body_is_taken_out_of_its_chunks(scripted_peer: MakePeer) -> None:
    peer = scripted_peer(one_answer)
    with connect(peer) as sock:
        body = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n"
        exchange(sock, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    assert (peer.requests[0].body, peer.requests[0].body_length, peer.requests[0].chunked) == (b"abcde", 5, True)


def test_an_assertion_in_a_script_comes_out_at_the_end() -> None:
    def script(connection: Connection) -> None:
        assert connection.read_request().path == "/other"

    peer = ScriptedPeer(script)
    with connect(peer) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert read_all(sock) == b""
    with pytest.raises(AssertionError, match="/other"):
        peer.stop()


def test_a_client_that_leaves_is_no_failure_of_the_script() -> None:
    with ScriptedPeer(one_answer) as peer:
        connect(peer).close()
        peer.wait_until(lambda: peer.connections == 1)
        peer.wait_until(lambda: peer.open_connections == 0)
    assert peer.failures == []


def test_the_name_asked_for_in_the_handshake_is_recorded(handler_peer: MakeHandler, ca: CertificateAuthority) -> None:
    peer = handler_peer(lambda request: Reply(), tls=ca.server("portal.example"))
    fetch(peer, "/", tls=ca.client_context(), server_name="portal.example")
    assert peer.server_names == ["portal.example"]


def test_a_handler_serves_many_requests_on_one_connection(handler_peer: MakeHandler) -> None:
    peer = handler_peer(lambda request: json_reply({"path": request.path, "form": request.form}))
    with connect(peer) as sock:
        for number in range(3):
            got = exchange(sock, b"POST /%d HTTP/1.1\r\nContent-Length: 3\r\n\r\na=b" % number)
            assert got.body == b'{"path": "/%d", "form": {"a": "b"}}' % number
    assert (peer.connections, [request.connection for request in peer.requests]) == (1, [1, 1, 1])


def test_replies_are_framed_as_http_wants_them(handler_peer: MakeHandler) -> None:
    replies = {
        "/chunks": Reply(body=iter([b"ab", b"", b"c"])),
        "/counted": Reply(headers={"Content-Length": "3"}, body=iter([b"ab", b"c"])),
        "/none": Reply(204),
        "/closed": Reply(close=True),
    }
    peer = handler_peer(lambda request: replies[request.path])
    with connect(peer) as sock:
        chunks = exchange(sock, b"GET /chunks HTTP/1.1\r\n\r\n")
        assert (chunks.body, chunks.headers["Transfer-Encoding"]) == (b"abc", "chunked")
        assert exchange(sock, b"GET /counted HTTP/1.1\r\n\r\n").body == b"abc"
        assert exchange(sock, b"GET /none HTTP/1.1\r\n\r\n").status == 204
        assert exchange(sock, b"GET /closed HTTP/1.1\r\n\r\n").headers["Connection"] == "close"
        assert read_all(sock) == b""


def test_an_answer_to_head_has_the_fields_and_no_body(handler_peer: MakeHandler) -> None:
    peer = handler_peer(lambda request: Reply(body="four"))
    with connect(peer) as sock:
        for _ in range(2):
            got = exchange(sock, b"HEAD / HTTP/1.1\r\n\r\n", method="HEAD")
            assert (got.headers["Content-Length"], got.body) == ("4", b"")


def test_a_dropped_request_gets_no_answer(handler_peer: MakeHandler) -> None:
    peer = handler_peer(lambda request: DROP)
    with connect(peer) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert read_all(sock) == b""


def test_a_body_that_is_not_kept_is_counted(handler_peer: MakeHandler) -> None:
    peer = handler_peer(lambda request: Reply(), keep_bodies=False)
    with connect(peer) as sock:
        exchange(sock, b"PUT / HTTP/1.1\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n" + bytes(100000))
    assert (peer.requests[0].body, peer.requests[0].body_length) == (b"", 100000)


def test_a_handler_that_raises_answers_500_and_fails_the_test() -> None:
    def handler(request: RecordedRequest) -> Reply:
        raise LookupError("not in this test")

    peer = HandlerPeer(handler)
    assert fetch(peer, "/").status == 500
    with pytest.raises(LookupError):
        peer.stop()


def test_idle_connections_can_be_closed_from_this_side(handler_peer: MakeHandler) -> None:
    peer = handler_peer(lambda request: Reply())
    with connect(peer) as sock:
        exchange(sock, b"GET / HTTP/1.1\r\n\r\n")
        peer.close_connections()
        assert read_all(sock) == b""
    assert fetch(peer, "/").status == 200
    assert peer.connections == 2


def test_waiting_for_what_does_not_come_fails(handler_peer: MakeHandler) -> None:
    peer = handler_peer(lambda request: Reply())
    with pytest.raises(AssertionError, match="did not come true"):
        peer.wait_until(lambda: peer.connections == 1, seconds=0.01)
