"""Packed bodies that are broken, cut off, or far larger than they look; and bodies that nobody wants."""

from __future__ import annotations

import gzip
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest

from esri_http import EsriSession, EsriUserTokenAuth
from esri_http.words.errors import ConnectionLostError, EsriHttpError, ProtocolError, RedirectRefusedError

from ..support.clock import FakeClock
from ..support.faults import PATH, SECRET, answers_well, check_usable, every_reader, fails_with, says, session
from ..support.http_messages import Reply, answer, chunk, head_bytes
from ..support.plumbing import Connection
from ..support.sessions import idle_connections

TEXT = b"".join(b"%d lines of text\n" % number for number in range(2000))
MEBIBYTE = 1 << 20


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKERS = {"gzip": gzip.compress, "x-gzip": gzip.compress, "deflate": zlib.compress, "Deflate": raw_deflate}


def packed(coding: str, body: bytes, chunked: bool = False) -> bytes:
    fields = {"Content-Encoding": coding, "Content-Type": "text/plain"}
    if not chunked:
        return answer(200, fields, body)
    pieces = [chunk(body[at : at + 777]) for at in range(0, len(body), 777)]
    return head_bytes(200, {**fields, "Transfer-Encoding": "chunked"}) + b"".join(pieces) + chunk(b"")


class TestCodings:
    @pytest.mark.parametrize("coding", list(PACKERS))
    @pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
    @every_reader
    def test_a_packed_body_is_unpacked_to_its_last_byte(
        self, scripted_peer: Any, read: Any, coding: str, chunked: bool
    ) -> None:
        peer = scripted_peer(says(packed(coding, PACKERS[coding](TEXT), chunked)))
        with session() as client:
            assert read(client, peer.url) == TEXT
            assert idle_connections(client) == 1

    @pytest.mark.parametrize("coding", ["gzip, deflate", "deflate, gzip,gzip", "gzip, identity, gzip, gzip, deflate"])
    @every_reader
    def test_a_chain_of_codings_is_undone(self, scripted_peer: Any, read: Any, coding: str) -> None:
        body = TEXT
        for name in coding.split(","):
            body = PACKERS.get(name.strip(), bytes)(body)
        peer = scripted_peer(says(packed(coding, body)))
        with session() as client:
            assert read(client, peer.url) == TEXT

    @every_reader
    def test_a_chain_without_end_is_refused(self, scripted_peer: Any, read: Any) -> None:
        peer = scripted_peer([says(packed(", ".join(["gzip"] * 6), b"x")), answers_well])
        with session() as client:
            with fails_with(ProtocolError, "6 times", f"127.0.0.1:{peer.port}"):
                read(client, peer.url_for(PATH))
            check_usable(client, peer)

    def test_a_chain_without_end_does_no_harm_where_nobody_reads(self, handler_peer: Any) -> None:
        fields = {"Location": "/next", "Content-Encoding": ",".join(["gzip"] * 600)}
        peer = handler_peer(lambda request: Reply(302, fields, b"x") if request.path == "/" else Reply(body="fine"))
        with session() as client:
            assert client.get(peer.url + "/").text == "fine"

    @pytest.mark.parametrize("coding", ["identity", "", " ", "aws-chunked", "gzip, quantum"])
    def test_what_is_not_known_is_passed_on(self, scripted_peer: Any, coding: str) -> None:
        peer = scripted_peer(says(packed(coding, b"as it is")))
        with session() as client:
            assert client.get(peer.url).content == b"as it is"

    @pytest.mark.parametrize("coding", ["gzip", "deflate"])
    @every_reader
    def test_an_empty_body_needs_no_unpacking(self, scripted_peer: Any, read: Any, coding: str) -> None:
        peer = scripted_peer(says(packed(coding, b"")))
        with session() as client:
            assert read(client, peer.url) == b""

    @pytest.mark.parametrize("accepted", ["gzip", "deflate"])
    def test_the_codings_are_asked_for(self, handler_peer: Any, accepted: str) -> None:
        peer = handler_peer(lambda request: Reply(body=b"x"))
        with session() as client:
            client.get(peer.url)
        assert accepted in peer.requests[0].headers["Accept-Encoding"]


def damaged(body: bytes) -> bytes:
    return body[:-6] + bytes(byte ^ 0xFF for byte in body[-6:-4]) + body[-4:]


BROKEN = {
    "no gzip": ("gzip", b"not packed at all"),
    "no deflate": ("deflate", b"\xffnot packed at all"),
    "a wrong checksum": ("gzip", damaged(gzip.compress(TEXT))),
    "a wrong length": ("gzip", gzip.compress(TEXT)[:-1] + b"\xff"),
    "a flipped byte": ("gzip", gzip.compress(TEXT)[:60] + b"\0\0\0\0" + gzip.compress(TEXT)[64:]),
    "the wrong order": ("gzip, deflate", gzip.compress(zlib.compress(TEXT))),
    "broken inside": ("gzip, gzip", gzip.compress(b"not packed at all")),
    "cut off": ("gzip", gzip.compress(TEXT)[:-20]),
    "without its last byte": ("gzip", gzip.compress(TEXT)[:-1]),
    "its header only": ("gzip", gzip.compress(TEXT)[:10]),
    "one byte": ("gzip", b"\x1f"),
    "a deflate stream cut off": ("deflate", zlib.compress(TEXT)[:-3]),
    "a raw stream cut off": ("deflate", raw_deflate(TEXT)[:-3]),
    "cut off inside": ("gzip, gzip", gzip.compress(gzip.compress(TEXT)[:-20])),
}


class TestBrokenCodings:
    @pytest.mark.parametrize("coding, body", list(BROKEN.values()), ids=list(BROKEN))
    @pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
    @every_reader
    def test_a_damaged_body_is_an_error_and_poisons_nothing(
        self, scripted_peer: Any, read: Any, coding: str, body: bytes, chunked: bool
    ) -> None:
        peer = scripted_peer([says(packed(coding, body, chunked)), answers_well])
        with session() as client:
            with fails_with(ProtocolError, f"http://127.0.0.1:{peer.port}/rest/data?…"):
                read(client, peer.url_for(PATH))
            # The wire had ended in order, or the connection was closed: both will do.
            peer.close_connections()
            check_usable(client, peer)

    @pytest.mark.parametrize("coding, body", [BROKEN["a wrong checksum"], BROKEN["cut off"]])
    def test_a_damaged_body_stays_an_error(self, scripted_peer: Any, coding: str, body: bytes) -> None:
        peer = scripted_peer(says(packed(coding, body)))
        with session() as client:
            response = client.get(peer.url_for(PATH), stream=True)
            for _ in range(3):
                with fails_with(ProtocolError):
                    response.content  # noqa: B018

    def test_what_could_be_unpacked_is_delivered_first(self, scripted_peer: Any) -> None:
        peer = scripted_peer(says(packed("gzip", gzip.compress(TEXT)[:-20])))
        with session() as client:
            pieces = client.get(peer.url_for(PATH), stream=True).iter_content(100)
            assert next(pieces) == TEXT[:100]
            with fails_with(ProtocolError, "before its end"):
                list(pieces)

    @every_reader
    def test_a_transfer_that_breaks_off_is_named_as_such(self, scripted_peer: Any, read: Any) -> None:
        whole = packed("gzip", gzip.compress(TEXT))
        peer = scripted_peer([says(whole[:-100], Connection.close), answers_well])
        with session() as client:
            with fails_with(ConnectionLostError, "breaks off"):
                read(client, peer.url_for(PATH))
            check_usable(client, peer)


@cache
def bomb() -> bytes:
    """200 MiB in some 200 KB."""
    packer = zlib.compressobj(9, wbits=31)
    zeros = b"\0" * MEBIBYTE
    return b"".join([*(packer.compress(zeros) for _ in range(200)), packer.flush()])


@cache
def bomb_in_bomb() -> bytes:
    return gzip.compress(bomb(), 9)


@contextmanager
def memory_below(limit: int) -> Iterator[None]:
    """Fails where more than `limit` bytes are taken at any moment."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < limit, f"{peak / MEBIBYTE:.1f} MiB"


BOMBS = {"one": ("gzip", bomb), "two in each other": ("gzip, gzip", bomb_in_bomb)}
every_bomb = pytest.mark.parametrize("coding, make", list(BOMBS.values()), ids=list(BOMBS))


class TestBombs:
    LIMIT = 8 * MEBIBYTE

    def defused(self, status: int, coding: str, body: bytes, **fields: str) -> Reply:
        return Reply(status, {"Content-Encoding": coding, "Content-Type": "application/json", **fields}, body)

    @every_bomb
    @pytest.mark.parametrize("size", [1, 1024, 65536])
    def test_small_reads_unpack_little(self, handler_peer: Any, coding: str, make: Any, size: int) -> None:
        reply = self.defused(200, coding, make())
        peer = handler_peer(lambda request: reply)
        with session() as client, memory_below(self.LIMIT), client.get(peer.url, stream=True) as response:
            pieces = response.iter_content(size)
            assert all(0 < len(next(pieces)) <= size for _ in range(5))

    @every_bomb
    def test_close_unpacks_nothing(self, handler_peer: Any, coding: str, make: Any) -> None:
        reply = self.defused(200, coding, make())
        peer = handler_peer(lambda request: reply)
        with session() as client, memory_below(self.LIMIT):
            response = client.get(peer.url, stream=True)
            assert len(response.peek(10)) == 10
            started = time.monotonic()
            response.close()
            assert time.monotonic() - started < 1

    @every_bomb
    @pytest.mark.parametrize("stream", [False, True])
    def test_redirects_unpack_nothing(self, handler_peer: Any, coding: str, make: Any, stream: bool) -> None:
        reply = self.defused(302, coding, make(), Location="/next")
        peer = handler_peer(lambda request: reply if request.path == "/" else Reply(body="fine"))
        with session() as client, memory_below(self.LIMIT):
            assert client.get(peer.url + "/", stream=stream).text == "fine"

    @every_bomb
    def test_a_refused_redirect_unpacks_nothing(self, handler_peer: Any, coding: str, make: Any) -> None:
        reply = self.defused(302, coding, make(), Location="/next")
        peer = handler_peer(lambda request: reply)
        with session() as client, memory_below(self.LIMIT), pytest.raises(RedirectRefusedError):
            client.get(peer.url + "/", allow_redirects=False)

    @every_bomb
    @pytest.mark.parametrize("status", [503, 429])
    def test_retried_answers_unpack_nothing(
        self, handler_peer: Any, fake_clock: FakeClock, coding: str, make: Any, status: int
    ) -> None:
        replies = [self.defused(status, coding, make())] * 3
        peer = handler_peer(lambda request: replies.pop() if replies else Reply(body="fine"))
        with EsriSession(clock=fake_clock) as client, memory_below(self.LIMIT):
            assert client.get(peer.url).text == "fine"
        assert not replies

    @every_bomb
    @pytest.mark.parametrize("status", [401, 403, 498])
    def test_answers_that_a_token_handler_looks_at_unpack_little(
        self, handler_peer: Any, coding: str, make: Any, status: int
    ) -> None:
        reply = self.defused(status, coding, make())
        peer = handler_peer(lambda request: reply)
        with EsriSession(auth=EsriUserTokenAuth(SECRET), retries=0) as client, memory_below(self.LIMIT):
            try:
                client.get(peer.url, stream=True).close()
            except EsriHttpError:
                pass

    def test_a_bomb_that_looks_like_an_error_is_read_up_to_what_an_error_may_be(self, handler_peer: Any) -> None:
        packer = zlib.compressobj(9, wbits=31)
        zeros = b"0" * MEBIBYTE
        start = packer.compress(b'{"error":{"code":498,"message":"')
        body = b"".join([start, *(packer.compress(zeros) for _ in range(100)), packer.flush()])
        peer = handler_peer(lambda request: self.defused(200, "gzip", body))
        with EsriSession(auth=EsriUserTokenAuth(SECRET), retries=0) as client, memory_below(self.LIMIT):
            response = client.get(peer.url, stream=True)
            assert response.esri_error is None
            response.close()

    @pytest.mark.parametrize("length", [str(10**12), str(2**31), "9" * 18])
    @every_reader
    def test_memory_follows_what_comes_and_not_what_is_announced(self, scripted_peer: Any, read: Any, length: str) -> None:
        data = answer(200, {"Content-Length": length}, b"x" * 1000)
        peer = scripted_peer([says(data, Connection.close), answers_well])
        with session() as client:
            with memory_below(self.LIMIT), fails_with(ConnectionLostError):
                read(client, peer.url_for(PATH))
            check_usable(client, peer)


class TestUnwantedBodies:
    def endless_redirect(self, start: bytes, piece: bytes) -> Any:
        def script(connection: Connection) -> None:
            connection.read_request()
            connection.send(start)
            try:
                while piece:
                    connection.send(piece)
            except OSError:
                return
            connection.wait()

        return script

    @pytest.mark.parametrize(
        "status, piece, framing",
        [
            (302, b"x" * 65536, {}),
            (302, b"x" * 65536, {"Content-Length": "60000000"}),
            (302, b"x" * 65536, {"Transfer-Encoding": "chunked"}),
            (302, b"", {}),
            (302, b"", {"Content-Length": "60000000"}),
            (302, b"", {"Content-Length": "50"}),
            (302, b"", {"Transfer-Encoding": "chunked"}),
            (503, b"x" * 65536, {"Transfer-Encoding": "chunked"}),
            (503, b"", {"Content-Length": "50"}),
        ],
    )
    def test_a_body_without_end_is_not_waited_for(
        self, scripted_peer: Any, fake_clock: FakeClock, framing: Any, piece: bytes, status: int
    ) -> None:
        start = head_bytes(status, {"Location": "/next", **framing})
        if piece and "Transfer-Encoding" in framing:
            piece = chunk(piece)
        peer = scripted_peer([self.endless_redirect(start, piece), answers_well])
        with EsriSession(clock=fake_clock, timeout=60) as client:
            started = time.monotonic()
            assert client.get(peer.url_for("/next" if status == 503 else "/")).text == "fine: /next"
            assert time.monotonic() - started < 3
            check_usable(client, peer)

    def test_a_trickle_is_not_waited_for(self, scripted_peer: Any) -> None:
        def script(connection: Connection) -> None:
            connection.read_request()
            connection.send(head_bytes(302, {"Location": "/next", "Content-Length": "5000"}))
            try:
                for _ in range(500):
                    connection.send(b"x")
                    threading.Event().wait(0.02)
            except OSError:
                pass

        peer = scripted_peer([script, answers_well])
        with session(timeout=60) as client:
            started = time.monotonic()
            assert client.get(peer.url).text == "fine: /next"
            assert time.monotonic() - started < 3

    @pytest.mark.parametrize("size", [0, 10, 60_000])
    def test_a_short_body_is_read_to_keep_its_connection(self, handler_peer: Any, size: int) -> None:
        peer = handler_peer(
            lambda request: Reply(302, {"Location": "/next"}, b"x" * size) if request.path == "/" else Reply(body="fine")
        )
        with session() as client:
            assert client.get(peer.url + "/").text == "fine"
        assert peer.connections == 1

    def test_one_that_comes_a_little_later_too(self, scripted_peer: Any) -> None:
        def script(connection: Connection) -> None:
            connection.read_request()
            connection.send(head_bytes(302, {"Location": "/next", "Content-Length": "4"}))
            threading.Event().wait(0.1)
            connection.send(b"late")
            answers_well(connection)

        peer = scripted_peer(script)
        with session() as client:
            assert client.get(peer.url).text == "fine: /next"
        assert peer.connections == 1
