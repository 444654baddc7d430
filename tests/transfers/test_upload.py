"""Uploads: one file as multipart, streamed and counted."""

from __future__ import annotations

import hashlib
import os
import sys
import tracemalloc
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from esri_http import EsriBuiltInAuth, EsriSession, EsriUserTokenAuth
from esri_http.testing import EmbeddedPortal
from esri_http.testing.messages import pattern, pattern_sha256
from esri_http.words.errors import ConnectionLostError, DeadlineExceededError, InvalidRequestError, LocalFileError

from ..support.faults import PATH, answers_well, check_clean
from ..support.http_messages import RecordedRequest, Reply, answer, json_reply
from ..support.plumbing import Connection

MEBIBYTE = 1 << 20


@pytest.fixture
def sink(handler_peer: Any) -> Any:
    """A peer that takes everything."""
    return handler_peer(lambda request: Reply(200, {"Content-Type": "text/plain"}, str(request.body_length)))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of a megabyte."""
    path = tmp_path / "roads.zip"
    path.write_bytes(bytes(range(256)) * 4096)
    return path


def parts(request: RecordedRequest) -> list[tuple[str | None, str | None, str, bytes]]:
    """Field name, file name, content type and content of each part."""
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    return [
        (
            part.get_param("name", header="Content-Disposition"), part.get_filename(), part.get_content_type(),
            part.get_payload(decode=True),
        )
        for part in message_from_bytes(head + request.body).get_payload()
    ]  # fmt: skip


class TestWhatArrives:
    def test_the_file_alone(self, sink: Any, client: EsriSession, source: Path) -> None:
        response = client.upload(sink.url_for("/up"), source)
        request = sink.requests[0]
        assert (request.method, request.target) == ("POST", "/up")
        assert response.text == str(request.body_length) == request.headers["Content-Length"]
        assert parts(request) == [("file", "roads.zip", "application/zip", source.read_bytes())]

    def test_all_that_can_be_said(self, sink: Any, client: EsriSession, source: Path) -> None:
        client.upload(
            sink.url, str(source), field="itemFile", name="straße.sd", content_type="application/x-sd",
            data={"f": "json", "overwrite": True}, method="PUT", params={"a": "1"}, headers={"X-Mine": "1"},
        )  # fmt: skip
        request = sink.requests[0]
        assert (request.method, request.query, request.headers["X-Mine"]) == ("PUT", {"a": "1"}, "1")
        first, second, file = parts(request)
        assert (first[0], first[3]) == ("f", b"json")
        assert (second[0], second[3]) == ("overwrite", b"true")
        assert (file[0], file[2], file[3]) == ("itemFile", "application/x-sd", source.read_bytes())
        assert 'filename="straße.sd"'.encode() in request.body

    def test_an_empty_file(self, sink: Any, client: EsriSession, tmp_path: Path) -> None:
        (tmp_path / "empty.txt").touch()
        told: list[Any] = []
        client.upload(sink.url, tmp_path / "empty.txt", progress=lambda *numbers: told.append(numbers))
        assert parts(sink.requests[0]) == [("file", "empty.txt", "text/plain", b"")]
        assert told == [(0, 0), (0, 0)]

    @pytest.mark.parametrize("status", [200, 404, 500])
    def test_the_answer_comes_back_whatever_it_is(
        self, handler_peer: Any, client: EsriSession, source: Path, status: int
    ) -> None:
        peer = handler_peer(lambda request: json_reply({"error": {"code": 400, "message": "no", "details": []}}, status))
        response = client.upload(peer.url, source)
        assert response.status_code == status
        assert response.esri_error is not None
        assert len(peer.requests) == 1

    def test_memory_stays_the_same_however_large_it_is(self, handler_peer: Any, tmp_path: Path) -> None:
        with (tmp_path / "large.gpkg").open("wb") as file:
            file.truncate(64 * MEBIBYTE)
        peer = handler_peer(lambda request: Reply(200, {}, str(request.body_length)), keep_bodies=False)
        with EsriSession() as client:
            client.get(peer.url)
            tracemalloc.start()
            try:
                sent = int(client.upload(peer.url, tmp_path / "large.gpkg", progress=lambda done, total: None).text)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        assert sent > 64 * MEBIBYTE
        assert peak < 4 * MEBIBYTE

    def test_the_portal_takes_it(self, tmp_path: Path) -> None:
        size = 5 * MEBIBYTE
        (tmp_path / "image.tif").write_bytes(b"".join(pattern(size)))
        with EmbeddedPortal() as portal:
            auth = EsriBuiltInAuth(portal.portal_url, "amy", portal.password("amy"))
            with EsriSession(auth, ca_bundles=portal.ca_file) as session:
                for _ in range(2):
                    told: list[Any] = []
                    response = session.upload(
                        portal.upload_url, tmp_path / "image.tif", data={"f": "json"},
                        progress=lambda *numbers, told=told: told.append(numbers),
                    )  # fmt: skip
                    item = response.json()["item"]
                    assert (item["itemName"], item["size"], item["sha256"]) == ("image.tif", size, pattern_sha256(size))
                    assert (told[0], told[-1]) == ((0, size), (size, size))
                    portal.revoke_all_tokens()


class TestSentAgain:
    @pytest.mark.parametrize("trouble", ["503", "redirect", "token"])
    def test_the_count_begins_again(
        self, handler_peer: Any, client: EsriSession, source: Path, trouble: str, fake_clock: Any
    ) -> None:
        size = source.stat().st_size
        troubles = {
            "503": Reply(503, {"Retry-After": "0"}),
            "redirect": Reply(307, {"Location": "/again"}),
            "token": json_reply({"error": {"code": 498, "message": "Invalid token.", "details": []}}),
        }
        waiting = [troubles[trouble]]
        peer = handler_peer(lambda request: waiting.pop() if waiting else Reply(200, {}, "taken"))
        auth = EsriUserTokenAuth("old", renew=lambda: "new") if trouble == "token" else None
        told: list[int] = []
        with EsriSession(auth, clock=fake_clock) as session:
            response = session.upload(peer.url, source, method="PUT", progress=lambda done, total: told.append(done))
        assert response.text == "taken"
        assert told == [0, 0, size]
        assert [len(parts(request)[0][3]) for request in peer.requests] == [size, size]

    def test_a_file_that_does_not_arrive_is_an_error(self, scripted_peer: Any, client: EsriSession, source: Path) -> None:
        def script(connection: Connection) -> None:
            connection.read_head()
            connection.reset()

        told: list[Any] = []
        with pytest.raises(ConnectionLostError) as caught:
            client.upload(scripted_peer(script).url_for(PATH), source, progress=lambda *numbers: told.append(numbers))
        check_clean(caught.value)
        assert (1 << 20, 1 << 20) not in told

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a reset throws away what was received before it")
    def test_an_answer_that_comes_early_is_no_end(self, scripted_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        def script(connection: Connection) -> None:
            connection.read_head()
            connection.send(answer(413, {"Connection": "close"}, b"too much"))
            connection.close()  # with unread bytes: a reset

        with (tmp_path / "large.bin").open("wb") as file:
            file.truncate(20 * MEBIBYTE)
        told: list[Any] = []
        peer = scripted_peer([script, answers_well])
        response = client.upload(peer.url, tmp_path / "large.bin", progress=lambda *numbers: told.append(numbers))
        assert response.status_code == 413
        assert told == [(0, 20 * MEBIBYTE)]


class TestFilesThatCannotBeSent:
    @pytest.mark.parametrize("path", ["missing.zip", ".", "", None, 5, "a\0b", "roads.zip/x"], ids=repr)
    def test_it_is_told_before_anything_is_sent(
        self, sink: Any, client: EsriSession, source: Path, path: Any, monkeypatch: Any
    ) -> None:
        monkeypatch.chdir(source.parent)
        with pytest.raises(LocalFileError) as caught:
            client.upload(sink.url_for(PATH), path)
        check_clean(caught.value)
        assert sink.requests == []

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
    def test_a_pipe_is_not_waited_for(self, sink: Any, client: EsriSession, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(LocalFileError, match="is not a file"):
            client.upload(sink.url, tmp_path / "pipe")

    def test_one_that_shrinks_meanwhile(self, scripted_peer: Any, ticking_client: EsriSession, source: Path) -> None:
        peer = scripted_peer([Connection.wait, answers_well])
        with pytest.raises(InvalidRequestError, match="shrank") as caught:
            ticking_client.upload(peer.url_for(PATH), source, progress=lambda done, total: done and os.truncate(source, 10))
        check_clean(caught.value)
        peer.wait_until(lambda: not peer._open)

    def test_one_that_grows_meanwhile_is_sent_as_it_was(self, sink: Any, ticking_client: EsriSession, source: Path) -> None:
        before = source.read_bytes()

        def grow(done: int, total: int | None) -> None:
            if done:
                with source.open("ab") as file:
                    file.write(b"more")

        ticking_client.upload(sink.url, source, progress=grow)
        assert parts(sink.requests[0])[0][3] == before
        assert source.stat().st_size > len(before)

    def test_the_file_is_closed_afterwards(self, sink: Any, client: EsriSession, source: Path) -> None:
        client.upload(sink.url, source)
        with pytest.raises(TypeError):
            client.upload(sink.url, source, unheard_of=1)
        source.unlink()  # on Windows only where nobody holds it; elsewhere a warning tells
        assert not source.exists()


class TestTime:
    def test_there_is_no_deadline_unless_one_is_given(
        self, sink: Any, client: EsriSession, source: Path, fake_clock: Any
    ) -> None:
        assert client.upload(sink.url, source, progress=lambda done, total: fake_clock.advance(4000)).ok

    def test_a_deadline_ends_it(self, scripted_peer: Any, source: Path) -> None:
        def script(connection: Connection) -> None:
            connection.read_request()
            connection.wait()

        with EsriSession(timeout=30) as client, pytest.raises(DeadlineExceededError, match=r"0\.2 s"):
            client.upload(scripted_peer(script).url, source, deadline=0.2)


def test_what_is_sent_is_what_is_there(sink: Any, client: EsriSession, tmp_path: Path) -> None:
    content = hashlib.sha512(b"seed").digest() * 50_000
    (tmp_path / "f.bin").write_bytes(content)
    client.upload(sink.url, tmp_path / "f.bin")
    assert parts(sink.requests[0])[0][3] == content
