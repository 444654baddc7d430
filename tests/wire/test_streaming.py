"""Streams: bytes as they come, one connection held and given back, lines, a look ahead, and the raw body."""

from __future__ import annotations

import gc
import gzip
import io
import shutil
import sys
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from esri_http import EsriUserTokenAuth
from esri_http.words.errors import ConnectionLostError, InvalidRequestError

from ..support.faults import SECRET, answers_well, check_usable, fails_with, says, session
from ..support.http_messages import Reply, answer, chunk, head_bytes, json_reply
from ..support.plumbing import PATIENCE, Connection
from ..support.sessions import idle_connections

HANDLERS: dict[str, Callable[[], Any]] = {"without a handler": lambda: None, "with a token": lambda: EsriUserTokenAuth(SECRET)}
with_every_handler = pytest.mark.parametrize("auth", list(HANDLERS.values()), ids=list(HANDLERS))


class Gate:
    """A script that sends `first`, and the rest only when the client says that it has the first."""

    def __init__(self, head: dict[str, str], first: bytes, rest: bytes) -> None:
        self.opened = threading.Event()
        self._head = head
        self._first = first
        self._rest = rest

    def __call__(self, connection: Connection) -> None:
        connection.read_request()
        connection.send(head_bytes(200, self._head) + self._first)
        assert self.opened.wait(PATIENCE)
        connection.send(self._rest)
        connection.close()


def gzip_parts(first: bytes, rest: bytes) -> tuple[bytes, bytes]:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(first) + packer.flush(zlib.Z_SYNC_FLUSH), packer.compress(rest) + packer.flush()


FRAMINGS = ("length", "chunked", "close", "gzip", "chunked gzip")


def gate(framing: str, kind: str, first: bytes, rest: bytes = b" and the rest") -> Gate:
    fields = {"Content-Type": kind}
    parts = [first, rest]
    if "gzip" in framing:
        fields["Content-Encoding"] = "gzip"
        parts = list(gzip_parts(first, rest))
    if "chunked" in framing:
        fields["Transfer-Encoding"] = "chunked"
        parts = [chunk(parts[0]), chunk(parts[1]) + chunk(b"")]
    elif framing != "close":
        fields["Content-Length"] = str(sum(map(len, parts)))
    return Gate(fields, *parts)


class TestAsItComes:
    @with_every_handler
    @pytest.mark.parametrize("framing", FRAMINGS)
    @pytest.mark.parametrize(
        "kind, first",
        [
            ("text/plain", b"first"),
            ("text/plain", b"x"),
            ("text/html", b"<html>"),
            ("application/octet-stream", b"\0"),
            ("text/event-stream", b"data: 1\n\n"),
            ("application/json", b"["),
            ("application/json", b'{"n":1}\n'),
            ("application/json", b'{"objectIdFieldName":"OBJECTID","globalIdFieldName":"","features":['),
        ],
    )
    def test_the_first_bytes_arrive_while_the_server_still_sends(
        self, scripted_peer: Any, auth: Any, framing: str, kind: str, first: bytes
    ) -> None:
        script = gate(framing, kind, first)
        peer = scripted_peer(script)
        with session(auth=auth()) as client, client.get(peer.url, stream=True) as response:
            pieces = response.iter_content()
            assert next(pieces) == first
            script.opened.set()
            assert b"".join(pieces) == b" and the rest"

    @with_every_handler
    @pytest.mark.parametrize("framing", FRAMINGS)
    def test_lines_arrive_while_the_server_still_sends(self, scripted_peer: Any, auth: Any, framing: str) -> None:
        script = gate(framing, "text/plain", b"one\ntwo\nth", b"ree\nfour")
        peer = scripted_peer(script)
        with session(auth=auth()) as client, client.get(peer.url, stream=True) as response:
            lines = response.iter_lines()
            assert [next(lines), next(lines)] == [b"one", b"two"]
            script.opened.set()
            assert list(lines) == [b"three", b"four"]

    @pytest.mark.parametrize("size", [1, 3, 1024, 20_000, 100_000, None])
    @pytest.mark.parametrize("framing", FRAMINGS)
    def test_no_size_of_pieces_waits_for_more(self, scripted_peer: Any, framing: str, size: int | None) -> None:
        script = gate(framing, "text/plain", b"first")
        peer = scripted_peer(script)
        with session() as client, client.get(peer.url, stream=True) as response:
            assert next(response.iter_content(size)) == b"first"[: size or 100]
            script.opened.set()

    @with_every_handler
    def test_an_error_envelope_in_a_stream_is_still_seen(self, handler_peer: Any, auth: Any) -> None:
        peer = handler_peer(lambda request: json_reply({"error": {"code": 400, "message": "no such layer", "details": []}}))
        with session(auth=auth()) as client, client.get(peer.url, stream=True) as response:
            assert response.esri_error is not None
            assert response.esri_error.code == 400
            assert response.json()["error"]["message"] == "no such layer"

    def test_a_callback_around_an_error_is_seen_too(self, handler_peer: Any) -> None:
        peer = handler_peer(
            lambda request: Reply(200, {"Content-Type": "text/javascript"}, b'show({"error":{"code":400,"message":"no"}});')
        )
        with session() as client, client.get(peer.url + "/?callback=show", stream=True) as response:
            assert response.esri_error is not None


class TestConnections:
    @pytest.mark.parametrize("size", [0, 10, 100_000, 3_000_000])
    @pytest.mark.parametrize("chunked", [False, True])
    def test_a_stream_holds_one_connection_and_gives_it_back_at_the_end(
        self, handler_peer: Any, size: int, chunked: bool
    ) -> None:
        peer = handler_peer(lambda request: Reply(body=[b"x" * size] if chunked else b"x" * size))
        with session() as client:
            for _ in range(3):
                response = client.get(peer.url, stream=True)
                assert sum(map(len, response.iter_content())) == size
                assert idle_connections(client) == 1
        assert peer.connections == 1

    def test_it_is_given_back_when_content_is_asked_for(self, handler_peer: Any) -> None:
        peer = handler_peer(lambda request: Reply(body=b"x" * 3_000_000))
        with session() as client:
            assert len(client.get(peer.url, stream=True).content) == 3_000_000
            assert idle_connections(client) == 1

    def test_two_streams_hold_two(self, handler_peer: Any) -> None:
        peer = handler_peer(lambda request: Reply(body=b"x" * 3_000_000))
        with session() as client, client.get(peer.url, stream=True) as one, client.get(peer.url, stream=True) as two:
            assert len(one.content) == len(two.content) == 3_000_000
            assert idle_connections(client) == peer.connections == 2

    @pytest.mark.parametrize("read", [0, 1, 100_000])
    @pytest.mark.parametrize("way", ["close", "with", "forget"])
    def test_a_stream_that_is_left_closes_its_connection(self, scripted_peer: Any, read: int, way: str) -> None:
        peer = scripted_peer([says(answer(200, {}, b"x" * 3_000_000)), answers_well])
        with session() as client:
            response = client.get(peer.url, stream=True)
            if read:
                assert next(response.iter_content(read))
            if way == "close":
                response.close()
                response.close()
            elif way == "with":
                with response:
                    pass
            del response
            gc.collect()
            check_usable(client, peer)

    def test_a_stream_outlives_the_close_of_its_session(self, handler_peer: Any) -> None:
        peer = handler_peer(lambda request: Reply(body=b"x" * 3_000_000))
        client = session()
        response = client.get(peer.url, stream=True)
        client.close()
        assert len(response.content) == 3_000_000
        peer.wait_until(lambda: not peer._open)

    def test_after_close_there_is_a_clear_error(self, handler_peer: Any) -> None:
        peer = handler_peer(lambda request: Reply(body=b"x" * 3_000_000))
        with session() as client:
            response = client.get(peer.url, stream=True)
            response.close()
            for read in (lambda: response.content, lambda: list(response.iter_content()), response.json):
                with fails_with(InvalidRequestError, "closed"):
                    read()

    def test_the_session_can_stream_by_default(self, handler_peer: Any) -> None:
        peer = handler_peer(lambda request: Reply(body=b"x" * 3_000_000))
        with session(stream=True) as client:
            response = client.get(peer.url)
            assert idle_connections(client) == 0
            assert len(response.content) == 3_000_000
            assert idle_connections(client) == 1
            client.get(peer.url, stream=False)
            assert idle_connections(client) == 1


BODY = b"".join(b"line %d\n" % number for number in range(20_000))


class TestPieces:
    @pytest.mark.parametrize("size", [1, 7, 512, 16384, 16385, 100_000, 10**9, None])
    @pytest.mark.parametrize("kind", ["length", "chunked", "gzip"])
    def test_pieces_join_to_the_content(self, handler_peer: Any, kind: str, size: int | None) -> None:
        replies = {
            "length": Reply(body=BODY),
            "chunked": Reply(body=[BODY[at : at + 70_001] for at in range(0, len(BODY), 70_001)]),
            "gzip": Reply(200, {"Content-Encoding": "gzip"}, gzip.compress(BODY)),
        }
        peer = handler_peer(lambda request: replies[kind])
        with session() as client:
            pieces = list(client.get(peer.url, stream=True).iter_content(size))
        assert b"".join(pieces) == BODY
        assert all(0 < len(piece) <= (size or len(BODY)) for piece in pieces)

    @pytest.mark.parametrize("size", [1, 7, 100_000_000, None])
    def test_content_that_is_there_already_comes_in_pieces_too(self, handler_peer: Any, size: int | None) -> None:
        peer = handler_peer(lambda request: Reply(body=BODY[:5000]))
        with session() as client:
            response = client.get(peer.url)
            for _ in range(2):
                assert b"".join(response.iter_content(size)) == BODY[:5000]
            assert b"".join(response) == response.content == BODY[:5000]

    @pytest.mark.parametrize("size", [0, -1, 1.5, "10", True])
    def test_a_size_that_is_none_is_refused_at_once(self, handler_peer: Any, size: Any) -> None:
        peer = handler_peer(lambda request: Reply(body=b"x"))
        with session() as client, pytest.raises(InvalidRequestError, match="chunk_size"):
            client.get(peer.url).iter_content(size)

    def test_a_second_iteration_goes_on_where_the_first_was_left(self, handler_peer: Any) -> None:
        peer = handler_peer(lambda request: Reply(body=BODY))
        with session() as client:
            response = client.get(peer.url, stream=True)
            assert next(response.iter_content(10)) + next(response.iter_content(20)) == BODY[:30]
            assert b"".join(response.iter_content()) == BODY[30:]

    @pytest.mark.parametrize("attribute", ["content", "text", "json", "peek", "apparent_encoding"])
    def test_what_needs_the_whole_content_says_that_it_is_gone(self, handler_peer: Any, attribute: str) -> None:
        peer = handler_peer(lambda request: Reply(body=BODY))
        with session() as client:
            for reads in (1, 10**9):
                response = client.get(peer.url, stream=True)
                for _ in zip(range(reads), response.iter_content(100)):
                    pass
                with fails_with(InvalidRequestError, "read as a stream"):
                    value = getattr(response, attribute)
                    value(1) if attribute == "peek" else value()
                assert response.esri_error is None
                response.raise_for_error()
                response.close()

    @pytest.mark.parametrize("size", [1, 3, 1000])
    def test_text_comes_in_whole_characters(self, handler_peer: Any, size: int) -> None:
        text = "Zürich, 東京, 🗺, Ελλάδα " * 50
        for charset in ("utf-8", "utf-16", "euc-jp"):
            body = text.encode(charset, "replace")
            peer = handler_peer(
                lambda request, body=body, c=charset: Reply(200, {"Content-Type": f"text/plain; charset={c}"}, body)
            )
            with session() as client:
                pieces = list(client.get(peer.url, stream=True).iter_content(size, decode_unicode=True))
            assert all(isinstance(piece, str) for piece in pieces)
            assert "".join(pieces) == body.decode(charset)

    @pytest.mark.parametrize("charset", ["utf-16", "utf-32"])
    @pytest.mark.parametrize("marked", [True, False])
    @pytest.mark.parametrize("text", ["", "a", "größer, 漢字"])
    def test_text_in_wide_characters_needs_no_mark(self, scripted_peer: Any, charset: str, marked: bool, text: str) -> None:
        order = "-le" if sys.byteorder == "little" else "-be"
        peer = scripted_peer(
            says(
                answer(
                    200, {"Content-Type": f"text/plain; charset={charset}"}, text.encode(charset if marked else charset + order)
                )
            )
        )
        with session() as client:
            response = client.get(peer.url)
        assert "".join(response.iter_content(1, decode_unicode=True)) == response.text == text

    @pytest.mark.parametrize(
        "delimiter, in_text, advice", [(";", False, "decode_unicode=True"), (b";", True, "takes text"), (5, False, "not int")]
    )
    def test_a_delimiter_of_another_kind_is_refused_at_once(
        self, scripted_peer: Any, delimiter: Any, in_text: bool, advice: str
    ) -> None:
        peer = scripted_peer(says(answer(200, {}, b"a;b")))
        with session() as client:
            response = client.get(peer.url)
        with pytest.raises(InvalidRequestError, match=advice):
            response.iter_lines(delimiter=delimiter, decode_unicode=in_text)

    def test_half_a_character_at_the_end_shows(self, handler_peer: Any) -> None:
        peer = handler_peer(lambda request: Reply(200, {"Content-Type": "text/plain"}, "ü".encode()[:1]))
        with session() as client:
            assert list(client.get(peer.url).iter_content(decode_unicode=True)) == ["\ufffd"]


class TestLines:
    @pytest.mark.parametrize(
        "content, options, lines",
        [
            (b"a\nb\r\nc\rd", {}, [b"a", b"b", b"c", b"d"]),
            (b"a\n\n\nb\n", {}, [b"a", b"", b"", b"b"]),
            (b"\n", {}, [b""]),
            (b"", {}, []),
            (b"a|b||c", {"delimiter": b"|"}, [b"a", b"b", b"", b"c"]),
            (b"a, b, c", {"delimiter": b", "}, [b"a", b"b", b"c"]),
            (b"a\xc3\xbc\nb", {"decode_unicode": True}, ["aü", "b"]),
            (b"a\xe2\x80\xa8b", {"decode_unicode": True, "delimiter": "\u2028"}, ["a", "b"]),
        ],
    )
    @pytest.mark.parametrize("size", [1, 2, 3, 512])
    @pytest.mark.parametrize("stream", [False, True])
    def test_lines_are_cut_wherever_the_pieces_end(
        self, handler_peer: Any, content: bytes, options: Any, lines: Any, size: int, stream: bool
    ) -> None:
        peer = handler_peer(lambda request: Reply(200, {"Content-Type": "text/plain; charset=utf-8"}, content))
        with session() as client:
            assert list(client.get(peer.url, stream=stream).iter_lines(size, **options)) == lines

    @pytest.mark.parametrize(
        "body, count, options",
        [
            (b"a line of text\n" * 200_000, 200_000, {}),
            (b"\n" * 1_000_000, 1_000_000, {}),
            (b"x" * 3_000_000, 1, {}),
            (b"b" * 3_000_000, 1, {"delimiter": b"ab"}),
            (b"\r" * 300_000, 300_000, {}),
        ],
        ids=["lines", "empty lines", "one line", "half a delimiter", "returns"],
    )
    def test_many_lines_take_linear_time(self, handler_peer: Any, body: bytes, count: int, options: Any) -> None:
        peer = handler_peer(lambda request: Reply(body=[body]))
        with session() as client:
            started = time.monotonic()
            assert sum(1 for _ in client.get(peer.url, stream=True).iter_lines(**options)) == count
            assert time.monotonic() - started < 3

    @pytest.mark.parametrize("chunked", [False, True])
    def test_single_bytes_take_linear_time(self, handler_peer: Any, chunked: bool) -> None:
        peer = handler_peer(lambda request: Reply(body=[b"x" * 250_000] if chunked else b"x" * 250_000))
        with session() as client:
            started = time.monotonic()
            assert sum(1 for _ in client.get(peer.url, stream=True).iter_content(1)) == 250_000
            assert time.monotonic() - started < 5


class TestPeek:
    @pytest.mark.parametrize("amount", [0, 1, 64, 5000, 100_000, 10**7])
    @pytest.mark.parametrize("stream", [False, True])
    def test_what_was_looked_at_comes_again(self, handler_peer: Any, amount: int, stream: bool) -> None:
        peer = handler_peer(lambda request: Reply(body=BODY))
        with session() as client:
            readers = [lambda r: r.content, lambda r: b"".join(r.iter_content(999))]
            if stream and amount <= 100_000:
                readers.append(lambda r: r.raw.read())
            for read in readers:
                response = client.get(peer.url, stream=stream)
                assert response.peek(amount) == BODY[:amount]
                assert response.peek(3) == BODY[:3]
                assert read(response) == BODY


class TestRaw:
    @pytest.fixture(params=["length", "chunked", "gzip", "chunked gzip"])
    def peer_and_wire(self, request: pytest.FixtureRequest, handler_peer: Any) -> Any:
        """A peer that sends BODY in one of the ways, and the bytes that are on its wire."""
        packed = "gzip" in request.param
        wire = gzip.compress(BODY, mtime=0) if packed else BODY
        fields = {"Content-Type": "text/plain", **({"Content-Encoding": "gzip"} if packed else {})}
        body = [wire[at : at + 10_007] for at in range(0, len(wire), 10_007)] if "chunked" in request.param else wire
        return handler_peer(lambda request: Reply(200, fields, body)), wire

    READERS: dict[str, Callable[[Any], bytes]] = {
        "read": lambda raw: raw.read(),
        "read in pieces": lambda raw: b"".join(iter(lambda: raw.read(1000), b"")),
        "stream": lambda raw: b"".join(raw.stream(1000)),
        "buffered": lambda raw: io.BufferedReader(raw).read(),
        "lines": lambda raw: b"".join(raw),
    }

    @with_every_handler
    @pytest.mark.parametrize("read", list(READERS.values()), ids=list(READERS))
    def test_it_gives_the_wires_bytes_from_the_first_on(self, peer_and_wire: Any, auth: Any, read: Any) -> None:
        peer, wire = peer_and_wire
        with session(auth=auth()) as client:
            assert read(client.get(peer.url, stream=True).raw) == wire
            assert idle_connections(client) == 1

    @with_every_handler
    def test_it_unpacks_where_that_is_asked_for(self, peer_and_wire: Any, auth: Any) -> None:
        peer, _ = peer_and_wire
        with session(auth=auth()) as client:
            assert client.get(peer.url, stream=True).raw.read(decode_content=True) == BODY
            response = client.get(peer.url, stream=True)
            response.raw.decode_content = True
            target = io.BytesIO()
            shutil.copyfileobj(response.raw, target)
            assert target.getvalue() == BODY

    def test_it_has_what_urllib3s_response_has(self, handler_peer: Any) -> None:
        peer = handler_peer(lambda request: Reply(200, {"X-A": "b"}, b"x"))
        with session() as client:
            for stream in (False, True):
                raw = client.get(peer.url, stream=stream).raw
                assert (raw.status, raw.headers["x-a"], raw.version) == (200, "b", 11)
                assert not hasattr(raw, "no_such_thing")

    def test_its_errors_are_ours(self, scripted_peer: Any) -> None:
        peer = scripted_peer(says(head_bytes(200, {"Content-Length": "10"}) + b"x", Connection.close))
        with session() as client, fails_with(ConnectionLostError):
            client.get(peer.url, stream=True).raw.read()

    def test_closing_it_gives_the_connection_back(self, scripted_peer: Any) -> None:
        peer = scripted_peer([says(answer(200, {}, b"x" * 3_000_000)), answers_well])
        with session() as client:
            with client.get(peer.url, stream=True).raw as raw:
                assert raw.read(10) == b"x" * 10
            check_usable(client, peer)

    @pytest.mark.parametrize("begun", [0, 10])
    def test_a_body_that_was_closed_does_not_look_like_a_whole_one(self, scripted_peer: Any, begun: int) -> None:
        peer = scripted_peer(says(answer(200, {}, b"x" * 3_000_000)))
        with session() as client:
            response = client.get(peer.url, stream=True)
            raw, pieces = response.raw, response.iter_content(10)
            assert raw.read(begun) + (next(pieces) if begun else b"") == b"x" * 2 * begun
            response.close()
            for read in (raw.read, lambda: raw.read(5), lambda: list(pieces)):
                with pytest.raises(InvalidRequestError, match="closed"):
                    read()

    def test_a_reader_that_asks_for_nothing_gets_nothing_at_once(self, peer_and_wire: Any) -> None:
        # Parsers do that to learn whether a file gives text or bytes.
        peer, _ = peer_and_wire
        with session() as client:
            raw = client.get(peer.url, stream=True).raw
            raw.decode_content = True
            assert raw.read(1) + raw.read(0) + raw.read() == BODY

    @with_every_handler
    def test_it_is_at_its_end_once_the_content_has_been_read(self, peer_and_wire: Any, auth: Any) -> None:
        peer, _ = peer_and_wire
        with session(auth=auth()) as client:
            for stream in (False, True):
                response = client.get(peer.url, stream=stream)
                assert response.content == BODY
                assert response.raw.read() == b""
