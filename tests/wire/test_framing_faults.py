"""Answers whose framing breaks the rules (RFC 9112 sections 4 to 7), and bodies that have no end."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from esri_http.words.errors import ConnectionLostError, ProtocolError

from ..support.faults import PATH, answers_well, check_usable, endless, every_reader, fails_with, says, session
from ..support.http_messages import answer, chunk, head_bytes
from ..support.plumbing import Connection
from ..support.sessions import idle_connections

CHUNKED = head_bytes(200, {"Transfer-Encoding": "chunked"})
END = chunk(b"")


def expect_protocol_error(scripted_peer: Any, data: Any, read: Any = None) -> None:
    """What `data` is answered with is refused, and the session goes on."""
    peer = scripted_peer([says(data), answers_well])
    with session() as client:
        with fails_with(ProtocolError, f"127.0.0.1:{peer.port}"):
            if read is None:
                _ = client.get(peer.url_for(PATH)).content
            else:
                read(client, peer.url_for(PATH))
        check_usable(client, peer)


class TestChunkSizes:
    @pytest.mark.parametrize(
        "size", [b"g", b"-5", b"+5", b"0x5", b"1_0", b" 5", b"", b";a=b", b"5 5", b"5,", b"f" * 17, b"\xb2", b"\x00", b"5\x0b"]
    )
    @every_reader
    def test_what_is_no_chunk_size_is_refused(self, scripted_peer: Any, read: Any, size: bytes) -> None:
        data = CHUNKED + size + b"\r\n" + b"hello" * 4 + b"\r\n" + END
        expect_protocol_error(scripted_peer, data, read)

    @pytest.mark.parametrize("size", [b"-5", b"+0", b"0x0", b"x"])
    def test_so_it_is_behind_a_good_chunk(self, scripted_peer: Any, size: bytes) -> None:
        expect_protocol_error(scripted_peer, CHUNKED + chunk(b"good") + size + b"\r\n\r\n")

    @pytest.mark.parametrize("size", [b"5", b"05", b"0000000000000005", b"5;a=b", b"5 ;a", b"5\t"])
    @every_reader
    def test_what_is_one_is_understood(self, scripted_peer: Any, read: Any, size: bytes) -> None:
        peer = scripted_peer(says(CHUNKED + size + b"\r\nhello\r\n" + chunk(b", you") + END))
        with session() as client:
            assert read(client, peer.url) == b"hello, you"

    @pytest.mark.parametrize("size", [b"ffffffffffffffff", b"7fffffffffffffff", b"10000000"])
    def test_a_size_that_cannot_be_is_no_reason_to_reserve_memory(self, scripted_peer: Any, size: bytes) -> None:
        peer = scripted_peer([says(CHUNKED + size + b"\r\nhello", Connection.close), answers_well])
        with session() as client:
            with fails_with(ConnectionLostError):
                client.get(peer.url_for(PATH))
            check_usable(client, peer)

    def test_a_chunk_that_is_longer_than_its_size_is_refused(self, scripted_peer: Any) -> None:
        expect_protocol_error(scripted_peer, CHUNKED + b"3\r\nhello\r\n" + END)

    def test_so_it_is_in_packed_content_and_said_once(self, scripted_peer: Any) -> None:
        fields = {"Transfer-Encoding": "chunked", "Content-Encoding": "gzip"}
        peer = scripted_peer([says(head_bytes(200, fields) + chunk(gzip.compress(b"x")) + b"zz\r\n"), answers_well])
        with session() as client, pytest.raises(ProtocolError) as caught:
            client.get(peer.url)
        assert str(caught.value).count("GET") == 1

    def test_a_chunk_size_without_end_is_refused(self, scripted_peer: Any) -> None:
        expect_protocol_error(scripted_peer, [CHUNKED, *endless(b"0" * 65536)])

    def test_an_extension_without_end_is_refused(self, scripted_peer: Any) -> None:
        expect_protocol_error(scripted_peer, [CHUNKED, b"5;", *endless(b"a" * 65536)])

    def test_trailers_without_end_are_refused(self, scripted_peer: Any) -> None:
        expect_protocol_error(scripted_peer, [CHUNKED, b"0\r\n", *endless(b"X-Sum: 1\r\n" * 5000)])

    def test_trailers_are_skipped(self, scripted_peer: Any) -> None:
        def script(connection: Connection) -> None:
            for _ in range(2):
                connection.read_request()
                connection.send(CHUNKED + chunk(b"body") + b"0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n")

        peer = scripted_peer(script)
        with session() as client:
            assert [client.get(peer.url).content for _ in range(2)] == [b"body", b"body"]
        assert peer.connections == 1


class TestHeads:
    @pytest.mark.parametrize(
        "data",
        [
            b"HELLO\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01",
            b"<html>what?</html>\r\n\r\n",
            b"HTTP/1.1 abc OK\r\n\r\n",
            b"HTTP/1.1 20 OK\r\n\r\n",
            b"HTTP/1.1 -20 OK\r\n\r\n",
            b"HTTP/1.1 " + b"2" * 100 + b" OK\r\n\r\n",
            b"HTTP/1.1 " + b"2" * 5000 + b" OK\r\n\r\n",
            b"HTTP/1.1\r\n\r\n",
            b"HTTP/2 200 OK\r\n\r\n",
            b"\r\n\r\n\r\n",
            b"HTTP/1.1 200 " + b"O" * 70_000 + b"\r\n\r\n",
        ],
        ids=lambda data: repr(data[:24]),
    )
    def test_garbage_in_place_of_a_status_line_is_refused(self, scripted_peer: Any, data: bytes) -> None:
        peer = scripted_peer([says(data, Connection.close), answers_well])
        with session() as client:
            with fails_with(ProtocolError, "not valid HTTP"):
                client.get(peer.url_for(PATH))
            check_usable(client, peer)

    def test_an_old_server_that_sends_a_bare_page_is_refused(self, scripted_peer: Any) -> None:
        peer = scripted_peer(says(b"just text, as in 1991", Connection.close))
        with session() as client, fails_with(ProtocolError):
            client.get(peer.url_for(PATH))

    def test_header_fields_without_end_are_refused(self, scripted_peer: Any) -> None:
        expect_protocol_error(scripted_peer, [b"HTTP/1.1 200 OK\r\n", *endless(b"X-Field: value\r\n" * 4000)])

    def test_a_header_field_without_end_is_refused(self, scripted_peer: Any) -> None:
        expect_protocol_error(scripted_peer, [b"HTTP/1.1 200 OK\r\nX-Field: ", *endless(b"v" * 65536)])

    @pytest.mark.parametrize("status", [100, 102, 103, 199])
    def test_interim_answers_are_skipped(self, scripted_peer: Any, status: int) -> None:
        interim = head_bytes(status, {"Link": "</style.css>; rel=preload", "Content-Length": "7"})
        peer = scripted_peer(says(interim * 3 + answer(200, {"X-Final": "yes"}, b"final")))
        with session() as client:
            response = client.get(peer.url)
            assert (response.status_code, response.content, response.headers["x-final"]) == (200, b"final", "yes")
            assert "link" not in response.headers

    @pytest.mark.parametrize("status", [100, 102, 103])
    def test_interim_answers_without_end_are_refused(self, scripted_peer: Any, status: int) -> None:
        expect_protocol_error(scripted_peer, list(endless(head_bytes(status) * 1000)))

    @pytest.mark.parametrize("stream", [False, True])
    def test_a_switch_of_protocols_is_an_answer_and_the_last_one_there(self, scripted_peer: Any, stream: bool) -> None:
        peer = scripted_peer([says(head_bytes(101, {"Upgrade": "websocket"})), answers_well])
        with session() as client:
            response = client.get(peer.url, stream=stream)
            assert (response.status_code, response.content) == (101, b"")
            check_usable(client, peer)
        assert peer.connections == 2

    @pytest.mark.parametrize("line", [b"no field at all", b"Content-Length : 5", b"two words: x", b"--edge"])
    def test_a_line_that_is_no_header_field_is_refused_with_all_behind_it(self, scripted_peer: Any, line: bytes) -> None:
        fields = b"Content-Type: multipart/mixed; boundary=edge\r\n" + line + b"\r\nContent-Length: 5\r\n\r\n"
        expect_protocol_error(scripted_peer, b"HTTP/1.1 200 OK\r\n" + fields + b"hello")


class TestLengths:
    @pytest.mark.parametrize("length", ["abc", "-5", "+5", "1_0", "5, 6", "5;", "0x5", "5 5", "9" * 19, "9" * 5000, "²"])
    @every_reader
    def test_a_length_that_is_none_is_refused(self, scripted_peer: Any, read: Any, length: str) -> None:
        expect_protocol_error(scripted_peer, answer(200, {"Content-Length": length}, b"hello hello"), read)

    @pytest.mark.parametrize("order", [("5", "6"), ("6", "5"), ("5", "abc")])
    def test_two_lengths_are_refused(self, scripted_peer: Any, order: tuple[str, str]) -> None:
        fields = [("Content-Length", length) for length in order]
        expect_protocol_error(scripted_peer, answer(200, fields, b"hello!"))

    @pytest.mark.parametrize("fields", [[("Content-Length", "5")] * 2, [("Content-Length", "5, 5")]])
    @every_reader
    def test_the_same_length_twice_is_one(self, scripted_peer: Any, read: Any, fields: Any) -> None:
        peer = scripted_peer(says(answer(200, fields, b"hello"), Connection.close))
        with session() as client:
            assert read(client, peer.url) == b"hello"

    @every_reader
    def test_chunks_win_over_a_length_and_the_connection_is_not_used_again(self, scripted_peer: Any, read: Any) -> None:
        data = answer(200, {"Content-Length": "3", "Transfer-Encoding": "chunked"}, chunk(b"hello") + END)
        peer = scripted_peer([says(data), answers_well])
        with session() as client:
            assert read(client, peer.url) == b"hello"
            assert idle_connections(client) == 0
            check_usable(client, peer)

    @pytest.mark.parametrize("coding", ["gzip, chunked", "chunked, gzip", "xchunked", "gzip"])
    def test_a_transfer_coding_that_is_not_known_is_refused(self, scripted_peer: Any, coding: str) -> None:
        expect_protocol_error(scripted_peer, answer(200, {"Transfer-Encoding": coding}, chunk(b"hello") + END))

    @pytest.mark.parametrize("codings", ["identity chunked", "chunked identity", "chunked gzip", "chunked chunked"])
    def test_transfer_codings_in_several_fields_are_refused(self, scripted_peer: Any, codings: str) -> None:
        fields = [("Transfer-Encoding", coding) for coding in codings.split()]
        expect_protocol_error(scripted_peer, answer(200, fields, chunk(b"hello") + END))

    @every_reader
    def test_a_body_without_length_ends_with_the_connection(self, scripted_peer: Any, read: Any) -> None:
        peer = scripted_peer([says(head_bytes(200) + b"all of it", Connection.close), answers_well])
        with session() as client:
            assert read(client, peer.url) == b"all of it"
            check_usable(client, peer)


BODILESS = [
    {"Content-Length": "1000"},
    {"Transfer-Encoding": "chunked"},
    {"Transfer-Encoding": "chunked", "Content-Length": "5"},
    {"Content-Encoding": "gzip", "Content-Length": "20"},
    {"Content-Encoding": "gzip", "Transfer-Encoding": "chunked"},
    {},
]


class TestWithoutBody:
    @pytest.mark.parametrize("fields", BODILESS)
    @pytest.mark.parametrize("method, status", [("HEAD", 200), ("HEAD", 404), ("GET", 204), ("GET", 304), ("POST", 204)])
    @pytest.mark.parametrize("stream", [False, True])
    def test_no_body_is_awaited(self, scripted_peer: Any, method: str, status: int, fields: Any, stream: bool) -> None:
        peer = scripted_peer([says(head_bytes(status, fields)), answers_well])
        with session(timeout=3) as client:
            response = client.request(method, peer.url, stream=stream)
            assert (response.status_code, response.content, response.text) == (status, b"", "")
            assert list(response.iter_content()) == []
            assert response.headers.get("Content-Length") == fields.get("Content-Length")

    def test_the_connection_of_a_head_is_used_again(self, handler_peer: Any) -> None:
        from ..support.http_messages import Reply

        peer = handler_peer(lambda request: Reply(body=b"x" * 100))
        with session() as client:
            for method in ("HEAD", "GET", "HEAD"):
                client.request(method, peer.url)
        assert peer.connections == 1


FORGED = answer(200, {"Content-Type": "text/plain"}, b"forged")


class TestSurplus:
    @pytest.mark.parametrize(
        "data",
        [
            answer(200, {}, b"real") + FORGED,
            CHUNKED + chunk(b"real") + END + FORGED,
            head_bytes(200, {"Content-Length": "4"}) + b"real" + b"more than that",
            answer(200, {}, b"real") + FORGED * 2000,
            answer(200, {}, b"real") + b"\r\n\r\n",
        ],
        ids=["length", "chunks", "text", "a lot", "line ends"],
    )
    @pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
    @every_reader
    def test_what_follows_an_answer_is_never_the_next_one(
        self, scripted_peer: Any, ca: Any, read: Any, tls: bool, data: bytes
    ) -> None:
        peer = scripted_peer([replies_to_each(data), answers_well], tls=tls)
        with session(ca_bundles=ca.file) as client:
            for _ in range(3):
                assert read(client, peer.url_for("/next")) in (b"real", b"fine: /next")

    def test_not_even_where_tls_has_decrypted_it_already(self, scripted_peer: Any, ca: Any) -> None:
        # One TLS record: the reader takes 8 KiB of it, and the rest stays inside TLS, where the socket does not show it.
        real = answer(200, {}, b"r" * (8192 - len(head_bytes(200, {"Content-Length": "8000"}))))
        peer = scripted_peer([replies_to_each(real.ljust(8192, b"\n") + FORGED), answers_well], tls=True)
        with session(ca_bundles=ca.file) as client:
            assert client.get(peer.url).content.startswith(b"rrr")
            assert client.get(peer.url_for("/next")).content != b"forged"

    @pytest.mark.parametrize("leave", ["close", "forget", "exit", "read a little"])
    def test_an_unread_body_is_never_the_next_answer(self, scripted_peer: Any, leave: str) -> None:
        peer = scripted_peer([says(answer(200, {}, FORGED * 2000)), answers_well])
        with session() as client:
            response = client.get(peer.url, stream=True)
            if leave == "read a little":
                next(response.iter_content(10))
            if leave == "exit":
                with response:
                    pass
            elif leave != "forget":
                response.close()
            del response
            check_usable(client, peer)


def replies_to_each(data: bytes) -> Any:
    """A script that sends `data` for every request of its connection."""

    def script(connection: Connection) -> None:
        try:
            while True:
                connection.read_request()
                connection.send(data)
        except OSError:
            pass

    return script
