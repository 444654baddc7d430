"""Downloads that break off: what is there is kept, and only what is missing is asked for."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from esri_http import EsriBuiltInAuth, EsriSession
from esri_http.testing import EmbeddedPortal, faults
from esri_http.testing.messages import pattern, pattern_sha256
from esri_http.words.errors import ConnectionLostError, EsriHttpResponseError, LocalFileError, ProtocolError

from ..support.http_messages import DROP, Reply, chunk, head_bytes
from ..support.plumbing import PATIENCE, Connection
from ..support.sessions import on_threads
from .shelf import CONTENT, STRONG, asked, files_in, note, note_of, part_of

SIZE = len(CONTENT)
LATER = CONTENT[::-1] + b"and more"
AN_HOUR_APART = {"Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT", "Date": "Sun, 06 Nov 1994 09:49:37 GMT"}


def broken(client: EsriSession, url: str, target: Path, **options: Any) -> None:
    """Have a download fail."""
    with pytest.raises(ConnectionLostError):
        client.download(url, target, **options)


class TestWithinOneCall:
    @pytest.mark.parametrize("tls", [False, True])
    @pytest.mark.parametrize("cuts", [[1], [100_000], [SIZE - 1], [10, 20, 30, 300_000, 5]], ids=str)
    def test_only_the_rest_is_asked_for(self, shelf_peer: Any, ca: Any, tmp_path: Path, cuts: list[int], tls: bool) -> None:
        _, peer = shelf_peer(CONTENT, *cuts, tls=tls)
        with EsriSession(ca_bundles=ca.file, retries=0, backoff_factor=0) as client:
            client.download(peer.url, tmp_path / "f")
        assert (tmp_path / "f").read_bytes() == CONTENT
        ends = [sum(cuts[: count + 1]) for count in range(len(cuts))]
        assert asked(peer) == [None, *(f"bytes={end}-" for end in ends)]
        assert {request.headers.get("If-Range") for request in peer.requests[1:]} == {STRONG}
        assert files_in(tmp_path) == ["f"]

    def test_a_reset_in_the_middle_is_no_end(self, scripted_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        def broken_by_reset(connection: Connection) -> None:
            connection.read_request()
            connection.send(head_bytes(200, {"Content-Length": str(SIZE), "ETag": STRONG}) + CONTENT[:5000])
            connection.reset()

        def rest(connection: Connection) -> None:
            start = int(connection.read_request().headers["Range"][len("bytes=") : -1])
            head = {"Content-Length": str(SIZE - start), "Content-Range": f"bytes {start}-{SIZE - 1}/{SIZE}"}
            connection.send(head_bytes(206, head) + CONTENT[start:])

        client.download(scripted_peer([broken_by_reset, rest]).url, tmp_path / "f")
        assert (tmp_path / "f").read_bytes() == CONTENT

    def test_it_gives_up_after_five_attempts_that_got_no_further(
        self, shelf_peer: Any, client: EsriSession, tmp_path: Path, fake_clock: Any
    ) -> None:
        _, peer = shelf_peer(CONTENT, 1000, 1000, *[0] * 20)
        broken(client, peer.url, tmp_path / "f")
        assert asked(peer) == [None, "bytes=1000-", *["bytes=2000-"] * 5]
        assert fake_clock.sleeps == [0.5, 0.5, 1, 2, 4, 8]
        assert part_of(tmp_path / "f").read_bytes() == CONTENT[:2000]

    def test_it_goes_on_at_once_where_much_has_come_and_waits_where_the_server_gives_a_byte_at_a_time(
        self, shelf_peer: Any, client: EsriSession, tmp_path: Path, fake_clock: Any
    ) -> None:
        _, peer = shelf_peer(CONTENT, 100_000, *[1] * 20, 80_000)
        client.download(peer.url, tmp_path / "f")
        assert (tmp_path / "f").read_bytes() == CONTENT
        assert fake_clock.sleeps == [0, *[0.5] * 20, 0]

    def test_a_server_that_is_gone_for_a_moment_is_waited_for(
        self, shelf_peer: Any, client: EsriSession, tmp_path: Path
    ) -> None:
        shelf, peer = shelf_peer(CONTENT, 1000)
        silences = [None, DROP, DROP, DROP, None]
        shelf.before = lambda request: silences.pop(0)
        client.download(peer.url, tmp_path / "f")
        assert (tmp_path / "f").read_bytes() == CONTENT

    @pytest.mark.parametrize("etag", [None, 'W/"weak"', "no tag", '"line\tbreak"'])
    def test_without_a_validator_it_begins_anew(
        self, shelf_peer: Any, client: EsriSession, tmp_path: Path, etag: str | None
    ) -> None:
        _, peer = shelf_peer(CONTENT, 1000, etag=etag)
        client.download(peer.url, tmp_path / "f")
        assert (tmp_path / "f").read_bytes() == CONTENT
        assert asked(peer) == [None, None]

    @pytest.mark.parametrize(
        "dates, resumed",
        [
            (AN_HOUR_APART, True),
            ({**AN_HOUR_APART, "Date": AN_HOUR_APART["Last-Modified"]}, False),
            ({"Last-Modified": AN_HOUR_APART["Last-Modified"]}, False),
            ({**AN_HOUR_APART, "Last-Modified": "yesterday"}, False),
            ({**AN_HOUR_APART, "Last-Modified": "Sunday, 06-Nov-94 08:49:37 GMT"}, False),
            ({**AN_HOUR_APART, "ETag": 'W/"weak"'}, False),
        ],
    )
    def test_a_date_that_is_old_enough_is_a_validator(
        self, shelf_peer: Any, client: EsriSession, tmp_path: Path, dates: dict[str, str], resumed: bool
    ) -> None:
        shelf, peer = shelf_peer(CONTENT, 1000, etag=None)
        shelf.headers.update(dates)
        client.download(peer.url, tmp_path / "f")
        assert (tmp_path / "f").read_bytes() == CONTENT
        assert asked(peer) == [None, "bytes=1000-" if resumed else None]
        assert peer.requests[1].headers.get("If-Range") == (dates["Last-Modified"] if resumed else None)

    def test_a_server_that_says_it_gives_no_parts_is_not_asked_for_one(
        self, shelf_peer: Any, client: EsriSession, tmp_path: Path
    ) -> None:
        shelf, peer = shelf_peer(CONTENT, 1000)
        shelf.headers["Accept-Ranges"] = "none"
        client.download(peer.url, tmp_path / "f")
        assert asked(peer) == [None, None]

    def test_a_server_that_knows_no_parts_sends_it_all(self, shelf_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        _, peer = shelf_peer(CONTENT, 1000, ranges=False)
        client.download(peer.url, tmp_path / "f")
        assert (tmp_path / "f").read_bytes() == CONTENT
        assert asked(peer) == [None, "bytes=1000-"]

    def test_what_was_packed_begins_anew(self, handler_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        packed = gzip.compress(os.urandom(50_000))
        bodies = [packed[:20_000], packed]
        headers = {"Content-Encoding": "gzip", "ETag": '"x"', "Content-Length": str(len(packed))}
        peer = handler_peer(lambda request: Reply(200, headers, [bodies[0]], close=len(bodies.pop(0)) == 20_000))
        client.download(peer.url, tmp_path / "f")
        assert (tmp_path / "f").read_bytes() == gzip.decompress(packed)
        assert asked(peer) == [None, None]

    def test_a_file_that_changes_in_between_comes_whole_and_new(
        self, shelf_peer: Any, client: EsriSession, tmp_path: Path
    ) -> None:
        shelf, peer = shelf_peer(CONTENT, 1000)
        told: list[Any] = []

        def change(request: Any) -> None:
            if request.headers.get("Range"):
                shelf.content, shelf.headers["ETag"] = LATER, '"second"'

        shelf.before = change
        client.download(peer.url, tmp_path / "f", progress=lambda *numbers: told.append(numbers))
        assert (tmp_path / "f").read_bytes() == LATER
        assert told[0] == (0, SIZE)
        assert (0, len(LATER)) in told[1:]
        assert told[-1] == (len(LATER), len(LATER))

    def test_five_breaks_at_the_same_place_end_it_also_where_nothing_is_resumed(
        self, shelf_peer: Any, client: EsriSession, tmp_path: Path
    ) -> None:
        _, peer = shelf_peer(CONTENT, *[1000] * 20, etag=None)
        broken(client, peer.url, tmp_path / "f")
        assert len(peer.requests) == 6
        assert files_in(tmp_path) == []


BAD_PARTS: dict[str, tuple[dict[str, str], bytes]] = {
    "from elsewhere": ({"Content-Range": f"bytes 999-{SIZE - 1}/{SIZE}"}, CONTENT[999:]),
    "from further on": ({"Content-Range": f"bytes 1001-{SIZE - 1}/{SIZE}"}, CONTENT[1001:]),
    "of another size": ({"Content-Range": f"bytes 1000-{SIZE}/{SIZE + 1}"}, CONTENT[1000:] + b"x"),
    "of unknown size": ({"Content-Range": f"bytes 1000-{SIZE - 1}/*"}, CONTENT[1000:]),
    "beyond the end": ({"Content-Range": f"bytes 1000-{SIZE}/{SIZE}"}, CONTENT[1000:]),
    "backwards": ({"Content-Range": f"bytes 1000-999/{SIZE}"}, b""),
    "without a word": ({}, CONTENT[1000:]),
    "in other units": ({"Content-Range": f"items 1000-{SIZE - 1}/{SIZE}"}, CONTENT[1000:]),
    "garbage": ({"Content-Range": "bytes"}, CONTENT[1000:]),
    "several": ({"Content-Type": "multipart/byteranges; boundary=b"}, b"--b--"),
    "packed": ({"Content-Range": f"bytes 1000-{SIZE - 1}/{SIZE}", "Content-Encoding": "gzip"}, gzip.compress(CONTENT)),
    "of another state": ({"Content-Range": f"bytes 1000-{SIZE - 1}/{SIZE}", "ETag": '"other"'}, CONTENT[1000:]),
}


class TestServersThatGetPartsWrong:
    @pytest.mark.parametrize("headers, body", list(BAD_PARTS.values()), ids=list(BAD_PARTS))
    def test_a_part_that_does_not_fit_is_not_taken(
        self, shelf_peer: Any, client: EsriSession, tmp_path: Path, headers: dict[str, str], body: bytes
    ) -> None:
        shelf, peer = shelf_peer(CONTENT, 1000)
        shelf.before = lambda request: Reply(206, headers, body) if request.headers.get("Range") else None
        client.download(peer.url, tmp_path / "f")
        assert (tmp_path / "f").read_bytes() == CONTENT
        assert asked(peer) == [None, "bytes=1000-", None]

    def test_a_part_that_is_longer_than_it_says_is_an_error(self, shelf_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        shelf, peer = shelf_peer(CONTENT, 1000)
        headers = {"Content-Range": f"bytes 1000-1999/{SIZE}"}
        shelf.before = lambda request: Reply(206, headers, [CONTENT[1000:4000]]) if request.headers.get("Range") else None
        with pytest.raises(ProtocolError, match="more came than was announced"):
            client.download(peer.url, tmp_path / "f")
        assert files_in(tmp_path) == []

    def test_a_server_may_give_less_than_the_rest(self, shelf_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        shelf, peer = shelf_peer(CONTENT, 1000)

        def in_bits(request: Any) -> Reply | None:
            if not request.headers.get("Range"):
                return None
            start = int(request.headers["Range"][6:-1])
            end = min(start + 400_000, SIZE)
            return Reply(206, {"Content-Range": f"bytes {start}-{end - 1}/{SIZE}"}, CONTENT[start:end])

        shelf.before = in_bits
        client.download(peer.url, tmp_path / "f")
        assert (tmp_path / "f").read_bytes() == CONTENT
        assert len(peer.requests) == 4

    def test_a_416_begins_anew(self, shelf_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        shelf, peer = shelf_peer(CONTENT, 1000)
        shelf.before = lambda request: Reply(416, {}, "no") if request.headers.get("Range") else None
        client.download(peer.url, tmp_path / "f")
        assert (tmp_path / "f").read_bytes() == CONTENT
        assert asked(peer) == [None, "bytes=1000-", None]

    def test_a_416_without_a_wish_for_parts_is_an_error(self, handler_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        peer = handler_peer(lambda request: Reply(416, {}, "no"))
        with pytest.raises(EsriHttpResponseError):
            client.download(peer.url, tmp_path / "f")
        assert len(peer.requests) == 1

    def test_a_file_that_is_shorter_now_comes_whole(self, shelf_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        shelf, peer = shelf_peer(CONTENT, *[1000] + [0] * 10)
        broken(client, peer.url, tmp_path / "f")
        shelf.content, shelf.cuts = b"short", []  # under the same tag
        client.download(peer.url, tmp_path / "f")
        assert (tmp_path / "f").read_bytes() == b"short"

    def test_an_error_instead_of_the_rest_keeps_what_is_there(
        self, shelf_peer: Any, client: EsriSession, tmp_path: Path
    ) -> None:
        shelf, peer = shelf_peer(CONTENT, 1000)
        shelf.before = lambda request: Reply(503, {}, "later") if request.headers.get("Range") else None
        with pytest.raises(EsriHttpResponseError):
            client.download(peer.url, tmp_path / "f")
        assert part_of(tmp_path / "f").read_bytes() == CONTENT[:1000]
        shelf.before = lambda request: None
        client.download(peer.url, tmp_path / "f")
        assert (tmp_path / "f").read_bytes() == CONTENT
        assert asked(peer)[-1] == "bytes=1000-"

    def test_an_arcgis_error_instead_of_the_rest_keeps_what_is_there(
        self, shelf_peer: Any, client: EsriSession, tmp_path: Path
    ) -> None:
        shelf, peer = shelf_peer(CONTENT, 1000)
        text = '{"error":{"code":403,"message":"no permission","details":[]}}'
        reply = Reply(200, {"Content-Type": "application/json"}, text)
        shelf.before = lambda request: reply if request.headers.get("Range") else None
        with pytest.raises(EsriHttpResponseError, match="no permission"):
            client.download(peer.url, tmp_path / "f")
        assert part_of(tmp_path / "f").read_bytes() == CONTENT[:1000]


class TestTheNextCall:
    @pytest.fixture
    def half(self, shelf_peer: Any, client: EsriSession, tmp_path: Path) -> tuple[Any, Any, Path]:
        """A shelf, its peer, and a target of which 1000 bytes are there."""
        shelf, peer = shelf_peer(CONTENT, *[1000] + [0] * 5)
        target = tmp_path / "f"
        target.write_text("what was there")
        broken(client, peer.url_for("/f?a=1"), target)
        assert target.read_text() == "what was there"
        assert files_in(tmp_path) == ["f", "f.part", "f.part.json"]
        peer.requests.clear()
        return shelf, peer, target

    def test_goes_on(self, half: Any, client: EsriSession, tmp_path: Path) -> None:
        _, peer, target = half
        told: list[Any] = []
        client.download(peer.url_for("/f?a=1"), target, progress=lambda *numbers: told.append(numbers))
        assert target.read_bytes() == CONTENT
        assert asked(peer) == ["bytes=1000-"]
        assert (told[0], told[-1]) == ((1000, SIZE), (SIZE, SIZE))
        assert files_in(tmp_path) == ["f"]

    def test_begins_anew_if_it_is_told_to(self, half: Any, client: EsriSession) -> None:
        _, peer, target = half
        client.download(peer.url_for("/f?a=1"), target, resume=False)
        assert target.read_bytes() == CONTENT
        assert asked(peer) == [None]

    @pytest.mark.parametrize("how", ["another URL", "other parameters"])
    def test_of_something_else_begins_anew(self, half: Any, client: EsriSession, how: str) -> None:
        _, peer, target = half
        url, params = ("/f?a=2", None) if how == "another URL" else ("/f?a=1", {"b": "2"})
        client.download(peer.url_for(url), target, params=params)
        assert target.read_bytes() == CONTENT
        assert asked(peer) == [None]

    def test_of_something_else_that_fails_leaves_the_beginning_alone(self, half: Any, client: EsriSession) -> None:
        shelf, peer, target = half
        shelf.before = lambda request: Reply(404) if request.path == "/other" else None
        with pytest.raises(EsriHttpResponseError):
            client.download(peer.url_for("/other"), target)
        client.download(peer.url_for("/f?a=1"), target)
        assert asked(peer) == [None, "bytes=1000-"]
        assert target.read_bytes() == CONTENT

    def test_with_other_user_info_or_fragment_goes_on(self, half: Any, client: EsriSession) -> None:
        _, peer, target = half
        client.download(peer.url_for("/f?a=1#top").replace("http://", "http://amy:pw@"), target)
        assert asked(peer) == ["bytes=1000-"]

    def test_begins_anew_if_the_file_has_changed(self, half: Any, client: EsriSession) -> None:
        shelf, peer, target = half
        shelf.content, shelf.headers["ETag"] = LATER, '"second"'
        client.download(peer.url_for("/f?a=1"), target)
        assert target.read_bytes() == LATER
        assert asked(peer) == ["bytes=1000-"]

    def test_asks_for_the_last_byte_of_what_is_whole_already(self, half: Any, client: EsriSession) -> None:
        """A call that died before it could put the file in its place."""
        _, peer, target = half
        part_of(target).write_bytes(CONTENT)
        client.download(peer.url_for("/f?a=1"), target)
        assert target.read_bytes() == CONTENT
        assert asked(peer) == [f"bytes={SIZE - 1}-"]

    def test_does_not_believe_in_more_than_the_whole(self, half: Any, client: EsriSession) -> None:
        _, peer, target = half
        part_of(target).write_bytes(CONTENT + b"x")
        client.download(peer.url_for("/f?a=1"), target)
        assert target.read_bytes() == CONTENT
        assert asked(peer) == [None]

    def test_into_a_folder_goes_on_once_the_name_is_known(self, shelf_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        shelf, peer = shelf_peer(CONTENT, *[1000] + [0] * 5)
        shelf.headers["Content-Disposition"] = 'attachment; filename="roads.zip"'
        broken(client, peer.url_for("/data"), tmp_path)
        assert files_in(tmp_path) == ["roads.zip.part", "roads.zip.part.json"]
        peer.requests.clear()
        assert client.download(peer.url_for("/data"), tmp_path) == str(tmp_path / "roads.zip")
        assert (tmp_path / "roads.zip").read_bytes() == CONTENT
        assert asked(peer) == [None, "bytes=1000-"]

    def test_into_a_folder_begins_anew_if_the_file_has_changed(
        self, shelf_peer: Any, client: EsriSession, tmp_path: Path
    ) -> None:
        shelf, peer = shelf_peer(CONTENT, *[1000] + [0] * 5)
        broken(client, peer.url_for("/roads.zip"), tmp_path)
        shelf.content, shelf.headers["ETag"] = LATER, '"second"'
        peer.requests.clear()
        client.download(peer.url_for("/roads.zip"), tmp_path)
        assert (tmp_path / "roads.zip").read_bytes() == LATER
        assert asked(peer) == [None]

    @pytest.mark.parametrize(
        "change",
        [
            {"validator": 'W/"weak"'}, {"validator": '"a"\r\nX-Evil: 1'}, {"validator": ""}, {"validator": 5},
            {"validator": None}, {"total": 0}, {"total": -5}, {"total": True}, {"total": "many"}, {"total": 1e9},
            {"url": "0" * 64}, {"url": None},
        ],
        ids=str,
    )  # fmt: skip
    def test_does_not_believe_a_note_that_cannot_be(self, half: Any, client: EsriSession, change: dict[str, Any]) -> None:
        _, peer, target = half
        note_of(target).write_text(json.dumps({**note(target), **change}))
        client.download(peer.url_for("/f?a=1"), target)
        assert target.read_bytes() == CONTENT
        assert asked(peer) == [None]

    @pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"url": ' + b"[" * 15_000, b"9" * 100_000])
    def test_does_not_believe_a_note_that_is_none(self, half: Any, client: EsriSession, text: bytes) -> None:
        _, peer, target = half
        note_of(target).write_bytes(text)
        client.download(peer.url_for("/f?a=1"), target)
        assert target.read_bytes() == CONTENT
        assert asked(peer) == [None]

    def test_goes_on_where_a_killed_process_was(self, scripted_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        def half(connection: Connection) -> None:
            connection.read_request()
            connection.send(head_bytes(200, {"Content-Length": str(SIZE), "ETag": STRONG}) + CONTENT[:50_000])
            connection.wait()

        def rest(connection: Connection) -> None:
            start = int(connection.read_request().headers["Range"][len("bytes=") : -1])
            head = {"Content-Length": str(SIZE - start), "Content-Range": f"bytes {start}-{SIZE - 1}/{SIZE}"}
            connection.send(head_bytes(206, head) + CONTENT[start:])

        peer = scripted_peer([half, rest])
        program = "import sys; from esri_http import EsriSession; EsriSession().download(sys.argv[1], sys.argv[2])"
        process = subprocess.Popen([sys.executable, "-c", program, peer.url, str(tmp_path / "f")])
        try:
            started = time.monotonic()
            while not part_of(tmp_path / "f").exists() or part_of(tmp_path / "f").stat().st_size < 50_000:
                assert time.monotonic() - started < PATIENCE
        finally:
            process.kill()
            process.wait()
        client.download(peer.url, tmp_path / "f")
        assert (tmp_path / "f").read_bytes() == CONTENT
        assert asked(peer) == [None, "bytes=50000-"]

    def test_puts_in_its_place_what_could_not_be_put_there(self, shelf_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        _, peer = shelf_peer(CONTENT)
        target = tmp_path / "f"
        with pytest.raises(LocalFileError, match="cannot be written"):
            client.download(peer.url, target, progress=lambda done, total: done and target.mkdir())
        assert files_in(tmp_path) == ["f", "f.part", "f.part.json"]
        target.rmdir()
        client.download(peer.url, target)
        assert target.read_bytes() == CONTENT
        assert asked(peer) == [None, f"bytes={SIZE - 1}-"]

    def test_without_a_note_begins_anew(self, half: Any, client: EsriSession, tmp_path: Path) -> None:
        _, peer, target = half
        note_of(target).unlink()
        client.download(peer.url_for("/f?a=1"), target)
        assert target.read_bytes() == CONTENT
        assert asked(peer) == [None]
        assert files_in(tmp_path) == ["f"]

    def test_a_file_of_unknown_size_goes_on_too(self, scripted_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        def cut_off(connection: Connection) -> None:
            connection.read_request()
            connection.send(head_bytes(200, {"Transfer-Encoding": "chunked", "ETag": STRONG}) + chunk(CONTENT[:1000]))

        def rest(connection: Connection) -> None:
            connection.read_request()
            head = {"Content-Length": str(SIZE - 1000), "Content-Range": f"bytes 1000-{SIZE - 1}/{SIZE}"}
            connection.send(head_bytes(206, head) + CONTENT[1000:])

        peer = scripted_peer([cut_off, *[Connection.close] * 5, rest])
        broken(client, peer.url, tmp_path / "f")
        assert note(tmp_path / "f")["total"] is None
        client.download(peer.url, tmp_path / "f")
        assert (tmp_path / "f").read_bytes() == CONTENT
        assert asked(peer)[-1] == "bytes=1000-"


class TestTwoAtOnce:
    @pytest.fixture
    def slow_peer(self, scripted_peer: Any) -> Iterator[Any]:
        """A peer that sends the first half, and the second when `opened` is set."""
        opened = threading.Event()

        def script(connection: Connection) -> None:
            connection.read_request()
            connection.send(head_bytes(200, {"Content-Length": str(SIZE), "ETag": STRONG}) + CONTENT[:500_000])
            assert opened.wait(PATIENCE)
            connection.send(CONTENT[500_000:])

        peer = scripted_peer(script)
        peer.opened = opened
        yield peer
        opened.set()

    def test_the_second_thread_is_told_and_the_first_gets_its_file(
        self, slow_peer: Any, client: EsriSession, tmp_path: Path
    ) -> None:
        target = tmp_path / "f"

        def work(number: int) -> Any:
            try:
                return client.download(slow_peer.url, target, progress=lambda done, total: held.wait(PATIENCE))
            except LocalFileError as error:
                slow_peer.opened.set()
                held.set()
                return error

        held = threading.Event()
        results = on_threads(2, work)
        assert sorted(type(result).__name__ for result in results) == ["LocalFileError", "str"]
        assert "being written by another download" in "".join(map(str, results))
        assert target.read_bytes() == CONTENT
        assert files_in(tmp_path) == ["f"]

    def test_another_process_is_told(self, slow_peer: Any, shelf_peer: Any, tmp_path: Path) -> None:
        _, other = shelf_peer(LATER)
        program = (
            "import sys; from esri_http import EsriSession\n"
            "try: EsriSession().download(sys.argv[1], sys.argv[2])\n"
            "except Exception as error: print(type(error).__name__, error)\n"
        )
        said: list[str] = []

        def second(done: int, total: int | None) -> None:
            if not said:
                command = [sys.executable, "-c", program, other.url, str(tmp_path / "f")]
                said.append(subprocess.run(command, capture_output=True, text=True, timeout=50, check=True).stdout)
                slow_peer.opened.set()

        with EsriSession() as client:
            client.download(slow_peer.url, tmp_path / "f", progress=second)
        assert said[0].startswith("LocalFileError")
        assert "being written by another download" in said[0]
        assert (tmp_path / "f").read_bytes() == CONTENT
        assert other.requests == []

    def test_many_threads_one_after_the_other_or_not_never_mix_their_bytes(self, handler_peer: Any, tmp_path: Path) -> None:
        contents = [bytes([number]) * 300_000 for number in range(8)]

        def shelf(request: Any) -> Reply:
            return Reply(200, {"ETag": f'"{request.path}"'}, contents[int(request.path[1:])])

        peer = handler_peer(shelf)
        done = []

        def work(number: int) -> None:
            with EsriSession() as client:
                for _ in range(10):
                    try:
                        client.download(peer.url_for(f"/{number}"), tmp_path / "f")
                    except LocalFileError:
                        continue
                    done.append(number)
                    assert (tmp_path / "f").read_bytes() in contents

        on_threads(8, work)
        assert done
        assert files_in(tmp_path) == ["f"]

    def test_files_of_their_own_come_at_the_same_time(self, shelf_peer: Any, client: EsriSession, tmp_path: Path) -> None:
        _, peer = shelf_peer()
        paths = on_threads(8, lambda number: client.download(peer.url, tmp_path / str(number)))
        assert [Path(path).read_bytes() == CONTENT for path in paths] == [True] * 8


class TestThePortal:
    @pytest.fixture
    def amy(self, portal: EmbeddedPortal) -> Iterator[EsriSession]:
        auth = EsriBuiltInAuth(portal.portal_url, "amy", portal.password("amy"))
        with EsriSession(auth, ca_bundles=portal.ca_file) as session:
            yield session

    def test_an_image_comes_with_a_token(self, portal: EmbeddedPortal, amy: EsriSession, tmp_path: Path) -> None:
        path = amy.download(portal.image_url, tmp_path / "image.tif", params={"size": 3_000_000, "f": "image"})
        assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == pattern_sha256(3_000_000)

    def test_without_a_token_there_is_an_error_and_no_file(self, portal: EmbeddedPortal, tmp_path: Path) -> None:
        with EsriSession(ca_bundles=portal.ca_file) as session, pytest.raises(EsriHttpResponseError) as caught:
            session.download(portal.image_url, tmp_path / "image.tif", params={"f": "image"})
        assert caught.value.code == 499
        assert files_in(tmp_path) == []

    @pytest.mark.parametrize("ending", [faults.close, faults.reset])
    @pytest.mark.parametrize("parts", [False, True])
    def test_tokens_that_are_revoked_while_the_connection_breaks_are_renewed(
        self, portal: EmbeddedPortal, amy: EsriSession, tmp_path: Path, ending: Any, parts: bool
    ) -> None:
        revoked: list[int] = []

        def in_parts(request: Any, answer_normally: Any) -> Any:
            """As a web server in front of the image would do; tokens are checked before."""
            answer = answer_normally()
            wanted = request.headers.get("Range")
            if wanted and answer.headers[0][1] == "image/tiff":
                start, body = int(wanted[6:-1]), b"".join(answer.body)
                answer.status, answer.body, answer.length = 206, body[start:], len(body) - start
                answer.add("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            return answer.add("ETag", '"image"')

        def revoke(done: int, total: int | None) -> None:
            if not revoked:
                revoked.append(portal.revoke_all_tokens())

        portal.faults.add("/exportImage", ending(after_bytes=1_500_000), *([in_parts] if parts else []))
        if parts:
            portal.faults.add("/exportImage", in_parts, times=None)
        amy.download(portal.image_url, tmp_path / "i.tif", params={"size": 3_000_000, "f": "image"}, progress=revoke)
        assert revoked[0] > 0
        assert (tmp_path / "i.tif").read_bytes() == b"".join(pattern(3_000_000))
        images = [request for request in portal.requests if request.path.endswith("/exportImage")]
        assert [bool(request.headers.get("Range")) for request in images][1:] == ([True, True] if parts else [False, False])
