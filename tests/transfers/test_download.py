"""A download: a whole file under its name or none, whatever the server and this machine do."""

from __future__ import annotations

import gzip
import hashlib
import os
import pickle
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from esri_http import EsriSession
from esri_http.words.errors import (
    ConnectError,
    ConnectionLostError,
    DeadlineExceededError,
    EsriHttpResponseError,
    InvalidRequestError,
    InvalidUrlError,
    LocalFileError,
    ProtocolError,
    ReadTimeoutError,
)

from ..support.faults import PATH, SECRET, check_clean, trickles
from ..support.http_messages import Reply, answer, chunk, head_bytes, json_reply
from ..support.plumbing import Connection
from ..support.sessions import idle_connections
from .shelf import CONTENT, asked, files_in, part_of

MEBIBYTE = 1 << 20

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="to make links takes a right of its own")


class TestWholeFiles:
    @pytest.mark.parametrize("size", [0, 1, 262_143, 262_144, 262_145, 5 * MEBIBYTE])
    @pytest.mark.parametrize("tls", [False, True])
    def test_it_arrives_as_it_is(self, shelf_peer: Any, ca: Any, tmp_path: Path, size: int, tls: bool) -> None:
        content = (CONTENT * 6)[:size]
        _, peer = shelf_peer(content, tls=tls)
        with EsriSession(ca_bundles=ca.file) as client:
            path = client.download(peer.url_for("/file.bin"), tmp_path / "file.bin")
            assert path == str(tmp_path / "file.bin")
            assert idle_connections(client) == 1
        assert Path(path).read_bytes() == content
        assert files_in(tmp_path) == ["file.bin"]

    @pytest.mark.parametrize("framing", ["chunked", "close"])
    def test_a_file_of_unknown_length_arrives(
        self, scripted_peer: Any, client: EsriSession, tmp_path: Path, framing: str
    ) -> None:
        def script(connection: Connection) -> None:
            connection.read_request()
            head = {"Content-Type": "image/tiff"}
            if framing == "chunked":
                body = b"".join(chunk(CONTENT[at : at + 100_000]) for at in range(0, len(CONTENT), 100_000)) + chunk(b"")
                connection.send(head_bytes(200, {**head, "Transfer-Encoding": "chunked"}) + body)
            else:
                connection.send(head_bytes(200, head) + CONTENT)
                connection.close()

        path = client.download(scripted_peer(script).url, tmp_path / "file.tif")
        assert Path(path).read_bytes() == CONTENT

    def test_the_bytes_of_the_file_are_asked_for(self, shelf_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        _, peer = shelf_peer()
        client.headers["Range"] = "bytes=0-1"
        client.download(peer.url_for("/f"), tmp_path / "f", params={"where": "a b"}, headers={"X-Mine": "1", "Referer": None})
        request, fields = peer.requests[0], peer.requests[0].headers
        assert (request.method, request.target) == ("GET", "/f?where=a%20b")
        assert fields.get_all("Accept-Encoding") == ["identity"]
        assert (fields.get("X-Mine"), fields.get("Referer"), fields.get("Range")) == ("1", None, None)

    def test_what_is_packed_all_the_same_is_unpacked(self, handler_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        packed = gzip.compress(CONTENT)
        peer = handler_peer(lambda request: Reply(200, {"Content-Encoding": "gzip", "ETag": '"x"'}, packed))
        told: list[Any] = []
        path = client.download(peer.url, tmp_path / "f", progress=lambda *numbers: told.append(numbers))
        assert Path(path).read_bytes() == CONTENT
        assert (told[0], told[-1]) == ((0, None), (len(CONTENT), len(CONTENT)))

    def test_a_form_too_long_for_a_url_goes_as_a_post(self, shelf_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        _, peer = shelf_peer()
        client.download(peer.url, tmp_path / "f", params={"geometry": "x" * 3000})
        assert (peer.requests[0].method, peer.requests[0].form) == ("POST", {"geometry": "x" * 3000})

    def test_parameters_that_can_be_read_once_are_enough(self, shelf_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        _, peer = shelf_peer(CONTENT, 1000)
        client.download(peer.url, tmp_path / "f", params=iter([("a", 1), ("b", 2)]))
        assert [request.query for request in peer.requests] == [{"a": "1", "b": "2"}] * 2

    def test_memory_stays_the_same_however_large_it_is(self, handler_peer: Any, tmp_path: Path) -> None:
        size, piece = 64 * MEBIBYTE, bytes(MEBIBYTE)
        peer = handler_peer(lambda request: Reply(200, {"Content-Length": str(size)}, (piece for _ in range(64))))
        with EsriSession() as client:
            client.get(peer.url, stream=True).close()
            tracemalloc.start()
            try:
                path = client.download(peer.url, tmp_path / "f", progress=lambda done, total: None)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        assert os.path.getsize(path) == size
        assert peak < 4 * MEBIBYTE

    def test_options_of_a_request_hold(self, shelf_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        _, peer = shelf_peer()
        client.download(peer.url, tmp_path / "f", auth=("amy", "pw"), cookies={"a": "1"})
        assert peer.requests[0].headers["Authorization"].startswith("Basic ")
        assert peer.requests[0].headers["Cookie"] == "a=1"

    def test_a_session_that_is_pickled_downloads(self, shelf_peer: Any, tmp_path: Path) -> None:
        _, peer = shelf_peer()
        with pickle.loads(pickle.dumps(EsriSession())) as client:
            assert Path(client.download(peer.url, tmp_path / "f")).read_bytes() == CONTENT

    def test_a_redirect_to_another_origin_is_followed_and_takes_no_secret_along(
        self, shelf_peer: Any, handler_peer: Any, client: EsriSession, tmp_path: Path
    ) -> None:
        _, store = shelf_peer(CONTENT, 300_000)
        portal = handler_peer(lambda request: Reply(302, {"Location": store.url_for("/blob?sig=1")}))
        path = client.download(portal.url_for("/data"), tmp_path / "f", auth=("amy", "pw"))
        assert Path(path).read_bytes() == CONTENT
        assert [asked(portal), asked(store)] == [[None, "bytes=300000-"]] * 2
        assert [request.headers.get("Authorization") is None for request in store.requests] == [True, True]
        assert all(request.headers.get("Authorization") for request in portal.requests)


class TestAnswersThatAreNoFile:
    @pytest.mark.parametrize("status", [400, 403, 404, 500])
    def test_an_http_error_leaves_no_file(self, handler_peer: Any, client: EsriSession, tmp_path: Path, status: int) -> None:
        peer = handler_peer(lambda request: Reply(status, {"Content-Type": "text/plain"}, "the reason"))
        with pytest.raises(EsriHttpResponseError) as caught:
            client.download(peer.url_for(PATH), tmp_path / "f")
        assert SECRET not in f"{caught.value} {caught.value!r}"
        assert caught.value.status_code == status
        assert caught.value.response.text == "the reason"
        assert files_in(tmp_path) == []
        assert idle_connections(client) == 1

    @pytest.mark.parametrize("kind", ["application/json", "text/plain"])
    def test_an_arcgis_error_with_status_200_leaves_no_file(
        self, handler_peer: Any, client: EsriSession, tmp_path: Path, kind: str
    ) -> None:
        text = '{"error":{"code":400,"message":"Item does not exist or is inaccessible.","details":[]}}'
        peer = handler_peer(lambda request: Reply(200, {"Content-Type": kind}, text))
        (tmp_path / "f").write_text("what was there")
        with pytest.raises(EsriHttpResponseError, match="Item does not exist") as caught:
            client.download(peer.url_for(PATH), tmp_path / "f")
        assert SECRET not in f"{caught.value} {caught.value!r}"
        assert caught.value.code == 400
        assert (tmp_path / "f").read_text() == "what was there"
        assert files_in(tmp_path) == ["f"]

    @pytest.mark.parametrize("status", [204, 202, 304, 300, 206])
    def test_a_status_that_brings_no_file_is_an_error(
        self, handler_peer: Any, client: EsriSession, tmp_path: Path, status: int
    ) -> None:
        peer = handler_peer(lambda request: Reply(status, {"Content-Range": "bytes 0-1/2"}, "ab"))
        with pytest.raises(EsriHttpResponseError, match=f"HTTP {status}, which brings no file"):
            client.download(peer.url, tmp_path / "f")
        assert files_in(tmp_path) == []

    def test_json_that_is_no_error_is_a_file(self, handler_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        peer = handler_peer(lambda request: json_reply({"features": [], "note": "no error"}))
        assert Path(client.download(peer.url, tmp_path / "f.json")).read_text() == '{"features": [], "note": "no error"}'

    def test_an_error_of_great_length_is_not_read(self, handler_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        peer = handler_peer(lambda request: Reply(500, {"Content-Type": "text/html"}, b"x" * 10 * MEBIBYTE))
        with pytest.raises(EsriHttpResponseError):
            client.download(peer.url, tmp_path / "f")
        peer.wait_until(lambda: not peer._open)


class TestThisMachine:
    @pytest.mark.parametrize("below", ["missing/f", "a file/f", "missing/", "folder"])
    def test_a_place_where_no_file_can_be_is_told_before_anything_is_sent(
        self, shelf_peer: Any, client: EsriSession, tmp_path: Path, below: str
    ) -> None:
        _, peer = shelf_peer()
        (tmp_path / "a file").touch()
        (tmp_path / "folder").mkdir()
        path = os.path.join(str(tmp_path), below) + (os.sep + "x" + os.sep if below == "folder" else "")
        if below == "folder":
            (tmp_path / "folder" / "x").touch()
        with pytest.raises(LocalFileError) as caught:
            client.download(peer.url_for("/f"), path)
        check_clean(caught.value)
        assert str(tmp_path) in str(caught.value)
        assert caught.value.path is not None
        assert peer.requests == []

    @pytest.mark.parametrize("path", ["", None, 5, "a\0b", b""], ids=repr)
    def test_what_is_no_path_is_told(self, client: EsriSession, tmp_path: Path, path: Any, monkeypatch: Any) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(LocalFileError):
            client.download("http://127.0.0.1:1/f", path)
        assert files_in(tmp_path) == []

    def test_a_folder_of_the_name_that_the_server_gives_is_in_the_way(
        self, shelf_peer: Any, client: EsriSession, tmp_path: Path
    ) -> None:
        _, peer = shelf_peer()
        (tmp_path / "f.zip").mkdir()
        with pytest.raises(LocalFileError, match="is a folder"):
            client.download(peer.url_for("/f.zip"), tmp_path)
        assert files_in(tmp_path) == ["f.zip"]
        peer.wait_until(lambda: not peer._open)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
    @pytest.mark.parametrize("name", ["f", "f.part", "f.part.json"])
    def test_a_pipe_is_not_written_to(self, shelf_peer: Any, client: EsriSession, tmp_path: Path, name: str) -> None:
        _, peer = shelf_peer()
        os.mkfifo(tmp_path / name)
        with pytest.raises(LocalFileError, match="no ordinary file"):
            client.download(peer.url, tmp_path / "f")
        assert peer.requests == []

    @pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="the system cannot be told to")
    def test_a_link_where_the_part_goes_is_not_followed(self, shelf_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        _, peer = shelf_peer()
        (tmp_path / "precious").write_text("precious")
        part_of(tmp_path / "f").symlink_to(tmp_path / "precious")
        with pytest.raises(LocalFileError):
            client.download(peer.url, tmp_path / "f")
        assert (tmp_path / "precious").read_text() == "precious"

    @pytest.mark.skipif(sys.platform == "win32", reason="needs a limit for the size of files")
    def test_a_full_disk_is_told_and_what_was_there_stays(self, shelf_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        _, peer = shelf_peer()
        (tmp_path / "f").write_text("what was there")
        with no_file_larger_than(500_000), pytest.raises(LocalFileError, match="cannot be written: ") as caught:
            client.download(peer.url_for(PATH), tmp_path / "f")
        check_clean(caught.value)
        assert isinstance(caught.value.__cause__, OSError)
        assert (tmp_path / "f").read_text() == "what was there"
        assert part_of(tmp_path / "f").stat().st_size == 500_000
        peer.wait_until(lambda: not peer._open)
        client.download(peer.url_for(PATH), tmp_path / "f")  # somebody made room
        assert (tmp_path / "f").read_bytes() == CONTENT
        assert asked(peer) == [None, "bytes=500000-"]

    def test_a_relative_path_comes_back_absolute(
        self, shelf_peer: Any, client: EsriSession, tmp_path: Path, monkeypatch: Any
    ) -> None:
        _, peer = shelf_peer()
        monkeypatch.chdir(tmp_path)
        assert client.download(peer.url, "f") == str(tmp_path / "f")
        assert client.download(peer.url, b"g") == str(tmp_path / "g")
        assert client.download(peer.url_for("/h.zip"), ".") == str(tmp_path / "h.zip")

    def test_a_file_that_was_there_is_replaced(self, shelf_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        _, peer = shelf_peer()
        (tmp_path / "f").write_bytes(b"x" * 2 * len(CONTENT))
        client.download(peer.url, tmp_path / "f")
        assert (tmp_path / "f").read_bytes() == CONTENT

    @needs_links
    @pytest.mark.parametrize("is_there", [True, False])
    def test_a_link_is_written_through_and_stays(
        self, shelf_peer: Any, client: EsriSession, tmp_path: Path, is_there: bool
    ) -> None:
        _, peer = shelf_peer(CONTENT, 100_000, 0, 0, 0, 0, 0)
        link, folder = tmp_path / "link", tmp_path / "elsewhere"
        folder.mkdir()
        if is_there:
            (folder / "f").write_text("what was there")
        link.symlink_to(Path("elsewhere") / "f")
        with pytest.raises(ConnectionLostError):
            client.download(peer.url, link)
        assert (files_in(tmp_path), part_of(folder / "f").stat().st_size) == (["elsewhere", "link"], 100_000)
        assert client.download(peer.url, link) == str(link)
        assert (link.is_symlink(), (folder / "f").read_bytes(), files_in(folder)) == (True, CONTENT, ["f"])
        assert asked(peer)[-1] == "bytes=100000-"

    @needs_links
    def test_a_link_that_leads_nowhere_is_told_before_anything_is_sent(
        self, shelf_peer: Any, client: EsriSession, tmp_path: Path
    ) -> None:
        _, peer = shelf_peer()
        (tmp_path / "away").symlink_to(tmp_path / "missing" / "f")
        (tmp_path / "round").symlink_to(tmp_path / "round")
        for name in ("away", "round"):
            with pytest.raises(LocalFileError):
                client.download(peer.url, tmp_path / name)
        assert (peer.requests, files_in(tmp_path)) == ([], ["away", "round"])

    @needs_links
    def test_a_server_cannot_choose_a_link_to_write_through(
        self, shelf_peer: Any, client: EsriSession, tmp_path: Path
    ) -> None:
        _, peer = shelf_peer()
        folder = tmp_path / "folder"
        folder.mkdir()
        (tmp_path / "precious").write_text("precious")
        (folder / "f.zip").symlink_to(tmp_path / "precious")
        client.download(peer.url_for("/f.zip"), folder)
        assert ((tmp_path / "precious").read_text(), (folder / "f.zip").read_bytes()) == ("precious", CONTENT)

    @pytest.mark.skipif(sys.platform == "win32", reason="has no such permissions")
    def test_the_permissions_of_a_file_that_was_there_hold_for_the_new_one(
        self, shelf_peer: Any, client: EsriSession, tmp_path: Path
    ) -> None:
        _, peer = shelf_peer()
        (tmp_path / "f").touch(0o600)
        client.download(peer.url, tmp_path / "f")
        assert ((tmp_path / "f").stat().st_mode & 0o777, (tmp_path / "f").read_bytes()) == (0o600, CONTENT)


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """As if the disk were full after `size` bytes of each file."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class TestInput:
    @pytest.mark.parametrize("name", ["Range", "if-range", b"RANGE", "Accept-Encoding"])
    def test_which_bytes_are_wanted_is_not_for_the_caller_to_say(self, client: EsriSession, tmp_path: Path, name: Any) -> None:
        with pytest.raises(InvalidRequestError):
            client.download("http://127.0.0.1:1/f", tmp_path / "f", headers=[(name, "bytes=1-")])
        assert files_in(tmp_path) == []

    @pytest.mark.parametrize("option", [{"stream": True}, {"unheard_of": 1}])
    def test_an_option_that_is_none_is_a_type_error(self, client: EsriSession, tmp_path: Path, option: dict[str, Any]) -> None:
        with pytest.raises(TypeError, match=next(iter(option))):
            client.download("http://127.0.0.1:1/f", tmp_path / "f", **option)
        assert files_in(tmp_path) == []

    def test_what_is_no_url_is_told_before_a_file_is_made(self, client: EsriSession, tmp_path: Path) -> None:
        with pytest.raises(InvalidUrlError):
            client.download("gis.example.com/f", tmp_path / "f")
        assert files_in(tmp_path) == []


class TestTime:
    def test_there_is_no_deadline_unless_one_is_given(
        self, shelf_peer: Any, client: EsriSession, tmp_path: Path, fake_clock: Any
    ) -> None:
        _, peer = shelf_peer()
        client.download(peer.url, tmp_path / "f", progress=lambda done, total: fake_clock.advance(4000))
        assert (tmp_path / "f").read_bytes() == CONTENT

    def test_a_deadline_ends_a_download_that_goes_on_and_on(
        self, shelf_peer: Any, client: EsriSession, tmp_path: Path, fake_clock: Any
    ) -> None:
        _, peer = shelf_peer()
        with pytest.raises(DeadlineExceededError, match="the 30 s for the whole download") as caught:
            client.download(peer.url_for(PATH), tmp_path / "f", deadline=30, progress=lambda *_: fake_clock.advance(40))
        check_clean(caught.value)
        assert files_in(tmp_path) == ["f.part", "f.part.json"]
        peer.wait_until(lambda: not peer._open)

    def test_a_deadline_ends_a_silence(self, scripted_peer: Any, tmp_path: Path) -> None:
        def script(connection: Connection) -> None:
            connection.read_request()
            connection.send(head_bytes(200, {"Content-Length": "100"}) + b"x" * 50)
            connection.wait()

        peer = scripted_peer(script)
        with EsriSession(timeout=30) as client, pytest.raises(DeadlineExceededError, match=r"0\.2 s"):
            client.download(peer.url, tmp_path / "f", deadline=0.2)
        assert files_in(tmp_path) == []
        assert len(peer.requests) == 1

    def test_a_head_that_never_ends_is_ended_by_the_deadline_of_the_session(self, scripted_peer: Any, tmp_path: Path) -> None:
        peer = scripted_peer(trickles(b"HTTP/1.1 200 OK\r\nX-Slow: "))
        with EsriSession(deadline=0.2, retries=0) as client, pytest.raises(DeadlineExceededError, match=r"0\.2 s"):
            client.download(peer.url, tmp_path / "f")
        assert files_in(tmp_path) == []

    def test_a_silence_ends_by_the_read_timeout(self, scripted_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        def script(connection: Connection) -> None:
            connection.read_request()
            connection.send(head_bytes(200, {"Content-Length": "100", "ETag": '"x"'}) + b"x" * 50)
            connection.wait()

        peer = scripted_peer(script)
        with pytest.raises(ReadTimeoutError):
            client.download(peer.url, tmp_path / "f", timeout=(10, 0.05))
        assert files_in(tmp_path) == ["f.part", "f.part.json"]


class TestFirstAttempts:
    def test_what_cannot_be_reached_is_told_at_once(self, client: EsriSession, tmp_path: Path, fake_clock: Any) -> None:
        with pytest.raises(ConnectError):
            client.download("http://127.0.0.1:1/f", tmp_path / "f")
        assert fake_clock.sleeps == []
        assert files_in(tmp_path) == []

    def test_a_broken_head_is_told_at_once(self, scripted_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        peer = scripted_peer(lambda connection: (connection.read_request(), connection.send(b"no HTTP at all\r\n\r\n")))
        with pytest.raises(ProtocolError):
            client.download(peer.url, tmp_path / "f")
        assert peer.connections == 1

    def test_a_broken_packed_file_is_not_asked_for_again(self, handler_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        packed = gzip.compress(os.urandom(100_000))[:-2000]
        peer = handler_peer(lambda request: Reply(200, {"Content-Encoding": "gzip"}, packed))
        with pytest.raises(ProtocolError):
            client.download(peer.url, tmp_path / "f")
        assert len(peer.requests) == 1
        assert files_in(tmp_path) == []


def test_no_secret_is_in_a_file_that_is_left(shelf_peer: Any, client: EsriSession, tmp_path: Path) -> None:
    _, peer = shelf_peer(CONTENT, *[1000] + [0] * 9)
    url = peer.url_for(PATH).replace("http://", "http://amy:pa55word@")
    with pytest.raises(ConnectionLostError) as caught:
        client.download(url, tmp_path / "f", params={"apiKey": SECRET})
    check_clean(caught.value)
    assert files_in(tmp_path) == ["f.part", "f.part.json"]
    text = (tmp_path / "f.part.json").read_text()
    bare = f"{peer.url_for(PATH)}\napiKey={SECRET}"
    assert hashlib.sha256(bare.encode()).hexdigest() in text
    for word in (SECRET, "127.0.0.1", "pa55word", "OBJECTID"):
        assert word not in text


def test_an_answer_that_says_more_than_it_holds_leaves_no_file(scripted_peer: Any, client: EsriSession, tmp_path: Path) -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(answer(200, {"Content-Length": "9"}, b"12345"))

    peer = scripted_peer([script, Connection.close])
    with pytest.raises(ConnectionLostError):
        client.download(peer.url, tmp_path / "f")
    assert files_in(tmp_path) == []
