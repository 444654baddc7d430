"""What a progress function is told, how often, and what happens when it has had enough."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from esri_http import EsriSession
from esri_http.words.errors import ConfigurationError, ConnectionLostError

from ..support.http_messages import Reply, head_bytes
from ..support.plumbing import PATIENCE, Connection
from .shelf import CONTENT, TickingClock, part_of

SIZE = len(CONTENT)
LARGE = CONTENT * 10


@pytest.fixture(params=["download", "upload"])
def transfer(request: Any, shelf_peer: Any, handler_peer: Any, tmp_path: Path) -> Callable[..., Any]:
    """`transfer(progress, clock)` moves `LARGE`, one way or the other."""
    source = tmp_path / "source.bin"
    source.write_bytes(LARGE)
    _, shelf = shelf_peer(LARGE)
    sink = handler_peer(lambda request: Reply(200, {}, "taken"), keep_bodies=False)

    def run(progress: Any, clock: Any) -> None:
        with EsriSession(clock=clock, retries=3, timeout=10) as session:
            if request.param == "download":
                session.download(shelf.url, tmp_path / "f", progress=progress)
            else:
                session.upload(sink.url, source, progress=progress, method="PUT")

    return run


def test_it_is_told_the_beginning_and_the_end_and_little_between(transfer: Any, fake_clock: Any) -> None:
    told: list[Any] = []
    transfer(lambda done, total: told.append((done, total)), fake_clock)
    # The clock stands still: whatever comes in between, comes within a tenth of a second.
    assert told == [(0, len(LARGE)), (len(LARGE), len(LARGE))]


def test_it_is_told_ten_times_a_second(transfer: Any) -> None:
    told: list[tuple[float, int]] = []
    clock = TickingClock(0.02)
    transfer(lambda done, total: told.append((clock._monotonic, done)), clock)
    times = [time for time, _ in told[:-1]]
    assert len(told) > 4
    assert min(later - earlier for earlier, later in zip(times, times[1:])) >= 0.1
    assert [done for _, done in told] == sorted(done for _, done in told)
    assert [done for _, done in told].count(len(LARGE)) == 1


def test_what_is_no_function_is_told_before_anything_is_sent(transfer: Any, fake_clock: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="progress= takes a function, not int"):
        transfer(5, fake_clock)
    assert [path.name for path in tmp_path.iterdir()] == ["source.bin"]


def test_it_is_called_in_the_thread_of_the_caller(transfer: Any) -> None:
    threads = set()
    transfer(lambda done, total: threads.add(threading.current_thread()), TickingClock())
    assert threads == {threading.current_thread()}


class Enough(Exception):
    """Somebody pressed Cancel."""


@pytest.mark.parametrize(
    "kind",
    [Enough, OSError, ValueError, ConnectionLostError, ConnectionResetError, TimeoutError, StopIteration, KeyboardInterrupt],
)
@pytest.mark.parametrize("when", ["at once", "in the middle", "at the end"])
def test_what_it_raises_comes_out_as_it_is(transfer: Any, kind: type[BaseException], when: str) -> None:
    error, cause = kind("enough"), RuntimeError("the cause")
    calls: list[int] = []

    def progress(done: int, total: int | None) -> None:
        calls.append(done)
        if when == "at once" or (when == "in the middle" and 0 < done < len(LARGE)) or (when == "at the end" and done == total):
            raise error from cause

    with pytest.raises(kind) as caught:
        transfer(progress, TickingClock())
    assert caught.value is error
    assert error.__cause__ is cause
    assert when != "at once" or calls == [0]
    assert when == "at the end" or len(LARGE) not in calls


@pytest.mark.parametrize("kind", [Enough, KeyboardInterrupt])
def test_cancelling_keeps_what_is_there_and_closes_the_connection(
    shelf_peer: Any, ticking_client: EsriSession, tmp_path: Path, kind: type[BaseException]
) -> None:
    _, peer = shelf_peer(LARGE)
    (tmp_path / "f").write_text("what was there")

    def cancel(done: int, total: int | None) -> None:
        if done > SIZE:
            raise kind

    with pytest.raises(kind):
        ticking_client.download(peer.url, tmp_path / "f", progress=cancel)
    peer.wait_until(lambda: not peer._open)
    assert (tmp_path / "f").read_text() == "what was there"
    there = part_of(tmp_path / "f").stat().st_size
    assert SIZE < there < len(LARGE)
    ticking_client.download(peer.url, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == LARGE
    assert peer.requests[-1].headers["Range"] == f"bytes={there}-"


@pytest.mark.parametrize("size", [0, 1])
def test_the_smallest_files_have_a_beginning_and_an_end(
    shelf_peer: Any, client: EsriSession, tmp_path: Path, size: int
) -> None:
    _, peer = shelf_peer(b"x" * size)
    told: list[Any] = []
    client.download(peer.url, tmp_path / "f", progress=lambda *numbers: told.append(numbers))
    assert told == [(0, size), (size, size)]


def test_done_never_goes_back_while_the_file_is_the_same(shelf_peer: Any, ticking_client: EsriSession, tmp_path: Path) -> None:
    _, peer = shelf_peer(LARGE, 1_000_000, 1, 3_000_000, 500)
    told: list[int] = []

    def progress(done: int, total: int | None) -> None:
        assert total == len(LARGE)
        told.append(done)

    ticking_client.download(peer.url, tmp_path / "f", progress=progress)
    assert (told[0], told[-1]) == (0, len(LARGE))
    assert told == sorted(told)
    assert len(told) > 20


def test_pieces_are_told_of_while_they_come_slowly(scripted_peer: Any, ticking_client: EsriSession, tmp_path: Path) -> None:
    """Nobody waits for a large piece to be full before a slow line is heard of."""
    told: list[int] = []
    changed = threading.Condition()

    def progress(done: int, total: int | None) -> None:
        with changed:
            told.append(done)
            changed.notify_all()

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(head_bytes(200, {"Content-Length": "300000"}))
        for sent in range(10_000, 300_000, 10_000):
            connection.send(b"x" * 10_000)
            with changed:
                assert changed.wait_for(lambda sent=sent: told and told[-1] == sent, PATIENCE)
        connection.send(b"x" * 10_000)

    ticking_client.download(scripted_peer(script).url, tmp_path / "f", progress=progress)
    assert told[-1] == 300_000
