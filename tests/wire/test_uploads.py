"""Bodies on their way out: how they are framed, that they are sent whole or not at all, and what they cost."""

from __future__ import annotations

import hashlib
import io
import json
import socket
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
import urllib3

from esri_http import EsriSession
from esri_http.auth.base import ACCEPT, REPLAY, AuthRun, BaseEsriAuth
from esri_http.words.errors import (
    BodyNotReplayableError,
    ConnectionLostError,
    DeadlineExceededError,
    InvalidRequestError,
    ReadTimeoutError,
)

from ..support.clock import FakeClock
from ..support.faults import PATH, answers_well, check_usable, fails_with, says, session
from ..support.http_messages import DROP, RecordedRequest, Reply, answer, json_reply
from ..support.plumbing import Connection
from ..support.sessions import idle_connections

MEBIBYTE = 1 << 20


def pipe(*pieces: bytes) -> Any:
    """An object that can only be read, and only once."""

    class Pipe:
        def __init__(self) -> None:
            self._rest = list(pieces)

        def read(self, amount: int = -1) -> bytes:
            return self._rest.pop(0) if self._rest else b""

    return Pipe()


def positioned(content: bytes, position: int) -> io.BytesIO:
    file = io.BytesIO(content)
    file.seek(position)
    return file


BODIES: dict[str, tuple[Any, bytes, bool, str | None]] = {
    "bytes": (lambda: b"\0raw\xff", b"\0raw\xff", False, None),
    "bytearray": (lambda: bytearray(b"raw"), b"raw", False, None),
    "memoryview": (lambda: memoryview(b"raw"), b"raw", False, None),
    "text": (lambda: "Zürich", "Zürich".encode(), False, None),
    "form": (lambda: {"f": "json", "where": "a = 'ü&b'"}, b"f=json&where=a%20%3D%20%27%C3%BC%26b%27", False, "form"),
    "pairs": (lambda: [("a", 1), ("a", True)], b"a=1&a=true", False, "form"),
    "file": (lambda: io.BytesIO(b"whole file"), b"whole file", False, None),
    "file from where it stands": (lambda: positioned(b"whole file", 6), b"file", False, None),
    "file at its end": (lambda: positioned(b"whole file", 10), b"", False, None),
    "iterator": (lambda: iter([b"one", b"", "zwö", b"three"]), "onezwöthree".encode(), True, None),
    "generator": (lambda: (piece for piece in [b"a" * 70_000, b"b" * 300_000]), b"a" * 70_000 + b"b" * 300_000, True, None),
    "list": (lambda: [b"one", b"two"], b"onetwo", False, None),
    "pipe": (lambda: pipe(b"one", b"two"), b"onetwo", True, None),
    "empty iterator": (lambda: iter([]), b"", True, None),
}


@pytest.fixture
def sink(handler_peer: Any) -> Any:
    """A peer that takes everything and answers with its length."""
    return handler_peer(lambda request: Reply(200, {"Content-Type": "text/plain"}, str(request.body_length)))


class TestFraming:
    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    @pytest.mark.parametrize("make, content, chunked, kind", list(BODIES.values()), ids=list(BODIES))
    def test_a_body_arrives_as_it_is(
        self, sink: Any, method: str, make: Any, content: bytes, chunked: bool, kind: str | None
    ) -> None:
        with session() as client:
            assert client.request(method, sink.url_for("/up"), data=make()).text == str(len(content))
            assert client.get(sink.url).ok
        request = sink.requests[0]
        assert (request.method, request.body, request.chunked) == (method, content, chunked)
        assert request.headers.get("Content-Length") == (None if chunked else str(len(content)))
        assert request.headers.get("Content-Type") == ("application/x-www-form-urlencoded" if kind else None)
        assert sink.connections == 1

    @pytest.mark.parametrize("method, length", [("POST", "0"), ("PUT", "0"), ("PATCH", "0"), ("GET", None), ("DELETE", None)])
    @pytest.mark.parametrize("data", [None, b"", "", {}])
    def test_no_body_is_said_to_be_none(self, sink: Any, method: str, length: str | None, data: Any) -> None:
        with session() as client:
            client.request(method, sink.url, data=data)
        request = sink.requests[0]
        assert (request.body, request.chunked) == (b"", False)
        assert request.headers.get_all("Content-Length") == ([] if length is None else [length])

    def test_json_is_sent_as_such(self, sink: Any) -> None:
        with session() as client:
            client.post(sink.url, json={"name": "Zürich", "n": [1, None]})
        request = sink.requests[0]
        assert json.loads(request.body) == {"name": "Zürich", "n": [1, None]}
        assert request.headers["Content-Type"] == "application/json"

    def test_a_content_type_of_the_callers_wins(self, sink: Any) -> None:
        with session() as client:
            client.post(sink.url, json={}, headers={"content-type": "application/geo+json"})
        assert sink.requests[0].headers.get_all("Content-Type") == ["application/geo+json"]

    def test_a_path_is_opened_and_closed(self, sink: Any, tmp_path: Path) -> None:
        path = tmp_path / "file.bin"
        path.write_bytes(b"x" * 1000)
        with session() as client:
            client.put(sink.url, data=path)
        assert sink.requests[0].body == b"x" * 1000
        path.unlink()  # on Windows only where nobody holds it

    def test_a_file_is_left_open(self, sink: Any, tmp_path: Path) -> None:
        path = tmp_path / "file.bin"
        path.write_bytes(b"0123456789")
        with session() as client, path.open("rb") as file:
            file.seek(4)
            client.put(sink.url, data=file)
            assert not file.closed
        assert sink.requests[0].body == b"456789"

    @pytest.mark.parametrize("tls", [False, True])
    def test_a_large_body_arrives_whole(self, handler_peer: Any, ca: Any, tls: bool) -> None:
        body = hashlib.sha512(b"seed").digest() * 100_000
        peer = handler_peer(lambda request: Reply(body=hashlib.sha256(request.body).hexdigest()), tls=tls)
        with session(ca_bundles=ca.file) as client:
            for data in (body, io.BytesIO(body), (body[at : at + 99_999] for at in range(0, len(body), 99_999))):
                assert client.post(peer.url, data=data).text == hashlib.sha256(body).hexdigest()
        assert peer.connections == 1

    def test_one_body_of_each_kind_at_a_time(self, sink: Any) -> None:
        with session() as client, pytest.raises(InvalidRequestError):
            client.post(sink.url, data=b"a", json={})
        assert sink.requests == []


class TestMultipart:
    def parts(self, request: RecordedRequest) -> dict[str, tuple[str | None, str, bytes]]:
        """Field name -> file name, content type, content."""
        head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
        found = {}
        for part in message_from_bytes(head + request.body).get_payload():
            name = part.get_param("name", header="Content-Disposition")
            found[name] = (part.get_filename(), part.get_content_type(), part.get_payload(decode=True))
        return found

    @pytest.mark.parametrize("method", ["post", "put", "patch"])
    def test_fields_and_files_arrive(self, sink: Any, method: str) -> None:
        files = {"file": ("a.csv", b"x,y\n1,2\n"), "extra": ("b.bin", io.BytesIO(b"\0\1"), "image/x-odd")}
        with session() as client:
            getattr(client, method)(sink.url, data={"f": "json", "title": "ü"}, files=files)
        request = sink.requests[0]
        assert request.headers["Content-Length"] == str(request.body_length)
        parts = self.parts(request)
        assert parts["title"][2] == "ü".encode()
        assert parts["file"] == ("a.csv", "text/csv", b"x,y\n1,2\n")
        assert parts["extra"] == ("b.bin", "image/x-odd", b"\0\1")

    def test_a_part_of_unknown_length_goes_out_in_chunks(self, sink: Any) -> None:
        with session() as client:
            client.post(sink.url, files={"file": ("a.bin", iter([b"one", b"two"]))})
        assert sink.requests[0].chunked
        assert self.parts(sink.requests[0])["file"][2] == b"onetwo"

    @pytest.mark.parametrize("by", ["path", "file", "alone"])
    def test_a_large_file_takes_next_to_no_memory(self, handler_peer: Any, tmp_path: Path, by: str) -> None:
        size = 200 * MEBIBYTE
        path = tmp_path / "large.gpkg"
        with path.open("wb") as file:
            file.truncate(size)  # a sparse one, where the file system knows that
        peer = handler_peer(lambda request: Reply(body=str(request.body_length)), keep_bodies=False)
        with session() as client, path.open("rb") as file:
            client.get(peer.url)
            tracemalloc.start()
            try:
                if by == "alone":
                    sent = int(client.put(peer.url, data=file).text)
                else:
                    sent = int(client.post(peer.url, data={"f": "json"}, files={"file": path if by == "path" else file}).text)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        assert sent >= size
        assert peak < 4 * MEBIBYTE


def gone_bad(error: Exception) -> Iterator[bytes]:
    yield b"some"
    raise error


class TestSourcesThatFail:
    @pytest.mark.parametrize(
        "error", [OSError("disk gone"), ValueError("bad line"), TimeoutError("late"), ConnectionResetError("tape")]
    )
    def test_it_is_the_bodys_fault_and_not_the_connections(self, scripted_peer: Any, error: Exception) -> None:
        peer = scripted_peer([lambda connection: connection.wait(), answers_well])
        with EsriSession(retries=3) as client:
            with fails_with(InvalidRequestError, "source of the body failed", str(error)):
                client.put(peer.url_for(PATH), data=gone_bad(error))
            check_usable(client, peer)
        assert peer.connections == 2

    def test_any_other_error_of_the_callers_comes_through(self, scripted_peer: Any) -> None:
        peer = scripted_peer([lambda connection: connection.wait(), answers_well])
        with session() as client:
            with pytest.raises(ZeroDivisionError):
                client.post(peer.url, data=gone_bad(ZeroDivisionError()))
            check_usable(client, peer)

    @pytest.mark.parametrize("promised, words", [(100, "fewer"), (2, "more")])
    def test_a_body_that_is_not_what_it_promised_is_not_finished(self, scripted_peer: Any, promised: int, words: str) -> None:
        class Sized:
            def __len__(self) -> int:
                return promised

            def __iter__(self) -> Iterator[bytes]:
                return iter([b"four"])

        peer = scripted_peer([lambda connection: connection.wait(), answers_well])
        with session() as client:
            with fails_with(InvalidRequestError, words):
                client.post(peer.url_for(PATH), data=Sized())
            check_usable(client, peer)

    def test_a_file_that_shrinks_is_an_error(self, scripted_peer: Any) -> None:
        peer = scripted_peer([lambda connection: connection.wait(), answers_well])

        class Shrinking(io.BytesIO):
            def read(self, amount: int | None = -1) -> bytes:
                return b""

        with session() as client:
            with fails_with(InvalidRequestError, "shrank"):
                client.post(peer.url_for(PATH), data=Shrinking(b"x" * 1000))
            check_usable(client, peer)

    def test_a_body_that_is_another_answer_fails_as_a_source(self, scripted_peer: Any) -> None:
        source = scripted_peer(says(answer(200, {"Content-Length": "100"}, b"x"), Connection.close))
        target = scripted_peer([lambda connection: connection.wait(), answers_well])
        with session() as client:
            stream = client.get(source.url, stream=True)
            with fails_with(InvalidRequestError, "source of the body failed"):
                client.post(target.url_for(PATH), data=stream.iter_content())
        target.wait_until(lambda: target.connections == 1)

    @pytest.mark.parametrize("kind", ["our file", "urllib3's file", "urllib3's pieces"])
    def test_so_does_one_in_another_form(self, scripted_peer: Any, kind: str) -> None:
        source = scripted_peer(says(answer(200, {"Content-Length": "100"}, b"x"), Connection.close))
        target = scripted_peer([lambda connection: connection.wait(), answers_well])
        with session(retries=2) as client, urllib3.PoolManager() as pool:
            if kind == "our file":
                body: Any = client.get(source.url, stream=True).raw
            else:
                answered = pool.request("GET", source.url, preload_content=False, enforce_content_length=True)
                body = answered if kind == "urllib3's file" else answered.stream()
            with fails_with(InvalidRequestError, "failed" if "pieces" in kind else "cannot be read"):
                client.put(target.url_for(PATH), data=body)
        target.wait_until(lambda: target.connections == 1)


class TestSentAgain:
    @pytest.mark.parametrize("make, content, chunked, kind", list(BODIES.values()), ids=list(BODIES))
    @pytest.mark.parametrize("trouble", ["503", "reset", "redirect", "token"])
    def test_whole_or_not_at_all(
        self, handler_peer: Any, fake_clock: FakeClock, trouble: str, make: Any, content: bytes, chunked: bool, kind: str | None
    ) -> None:
        troubles = {
            "503": Reply(503),
            "reset": DROP,
            "redirect": Reply(307, {"Location": "/again"}),
            "token": json_reply({"error": {"code": 498, "message": "Invalid token.", "details": []}}),
        }
        waiting = [troubles[trouble]]
        peer = handler_peer(lambda request: waiting.pop() if waiting else Reply(body="taken"))
        auth = Renewing() if trouble == "token" else None
        with EsriSession(clock=fake_clock, auth=auth) as client:
            if chunked and trouble == "503":
                assert client.put(peer.url_for("/up"), data=make()).status_code == 503
            elif chunked:
                with fails_with(BodyNotReplayableError, "only once"):
                    client.put(peer.url_for(PATH), data=make())
            else:
                assert client.put(peer.url_for("/up"), data=make()).text == "taken"
        assert [request.body for request in peer.requests] == [content] * (1 if chunked else 2)


class Renewing(BaseEsriAuth):
    """A handler that has the request sent again whenever a token is refused."""

    def begin(self, audience: Any) -> AuthRun:
        return RenewingRun()


class RenewingRun(AuthRun):
    def on_response(self, request: Any, response: Any, wire: Any) -> Any:
        error = response.esri_error
        return REPLAY if error is not None and error.is_token_error else ACCEPT


class TestAnswersThatComeEarly:
    def test_the_413_is_delivered_while_the_upload_still_runs(self, scripted_peer: Any) -> None:
        def script(connection: Connection) -> None:
            connection.read_head()
            connection.send(answer(413, {"Connection": "close"}, b"too much"))
            connection.end_output()
            connection.wait()

        peer = scripted_peer([script, answers_well])
        with session() as client:
            response = client.post(peer.url_for("/up"), data=io.BytesIO(b"x" * 5 * MEBIBYTE))
            assert (response.status_code, response.text) == (413, "too much")
            check_usable(client, peer)

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a reset throws away what was received before it")
    @pytest.mark.parametrize("body", ["bytes", "file", "iterator"])
    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
    def test_even_where_the_server_hangs_up_with_a_reset(self, scripted_peer: Any, method: str, body: str) -> None:
        content = b"x" * 20 * MEBIBYTE
        make = {
            "bytes": lambda: content,
            "file": lambda: io.BytesIO(content),
            "iterator": lambda: iter([content[:MEBIBYTE]] * 20),
        }

        def script(connection: Connection) -> None:
            connection.read_head()
            connection.send(answer(413, {}, b"too much"))
            connection.close()  # with unread bytes: a reset

        peer = scripted_peer([script, answers_well])
        with session(status_to_retry=()) as client:
            response = client.request(method, peer.url_for("/up"), data=make[body]())
            assert (response.status_code, response.text) == (413, "too much")
            check_usable(client, peer)

    @pytest.mark.parametrize("data", [b"x" * 20 * MEBIBYTE, b"x"], ids=["large", "small"])
    def test_without_an_answer_the_connection_was_lost(self, scripted_peer: Any, data: bytes) -> None:
        def script(connection: Connection) -> None:
            connection.read_head()
            connection.reset()

        peer = scripted_peer([script, answers_well])
        with session() as client:
            with fails_with(ConnectionLostError):
                client.post(peer.url_for(PATH), data=data)
            check_usable(client, peer)


class TestSlowServers:
    def slow_reader(self, pause: float) -> Any:
        """A script that begins to read after `pause` seconds, through a small window."""

        def script(connection: Connection) -> None:
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
            request = connection.read_head()
            threading.Event().wait(pause)
            connection.read_body(request, keep=False)
            connection.send(answer(200, {}, str(request.body_length)))

        return script

    @pytest.mark.parametrize(
        "make", [lambda body: body, io.BytesIO, lambda body: iter([body])], ids=["bytes", "file", "iterator"]
    )
    @pytest.mark.parametrize("tls", [False, True])
    def test_the_connect_timeout_does_not_hold_for_the_upload(self, scripted_peer: Any, ca: Any, make: Any, tls: bool) -> None:
        body = b"x" * 6 * MEBIBYTE
        peer = scripted_peer(self.slow_reader(0.25), tls=tls)
        with session(timeout=(0.1, 20), ca_bundles=ca.file) as client:
            assert client.post(peer.url, data=make(body)).text == str(len(body))

    def test_a_large_body_has_the_read_timeout_for_each_piece(self, scripted_peer: Any) -> None:
        def script(connection: Connection) -> None:
            request = connection.read_head()
            left = int(request.headers["Content-Length"])
            while left:
                left -= len(connection.read_exactly(min(left, 4 * MEBIBYTE)))
                threading.Event().wait(0.05)
            connection.send(answer(200, {}, b"taken"))

        peer = scripted_peer(script)
        with session(timeout=0.5) as client:
            assert client.post(peer.url, data=b"x" * 60 * MEBIBYTE).text == "taken"

    def test_a_server_that_never_reads_ends_by_the_read_timeout(self, scripted_peer: Any) -> None:
        peer = scripted_peer([self.slow_reader(1), answers_well])
        with session(timeout=(10, 0.2)) as client:
            with fails_with(ReadTimeoutError):
                client.post(peer.url_for(PATH), data=b"x" * 20 * MEBIBYTE)
            assert idle_connections(client) == 0

    def test_a_server_that_reads_drop_by_drop_ends_at_the_deadline(self, scripted_peer: Any) -> None:
        def script(connection: Connection) -> None:
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
            connection.read_head()
            try:
                for _ in range(500):
                    connection.read_exactly(65536)
                    threading.Event().wait(0.02)
            except OSError:
                pass

        peer = scripted_peer([script, answers_well])
        with session(timeout=30) as client:
            with fails_with(DeadlineExceededError, "0.3 s"):
                client.post(peer.url_for(PATH), data=(b"x" * 65536 for _ in range(2000)), deadline=0.3)
            check_usable(client, peer)
