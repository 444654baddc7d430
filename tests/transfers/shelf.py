"""A server with one file on it, as a handler of a `HandlerPeer`: with parts, validators, and answers that break off."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ..support.clock import FakeClock
from ..support.http_messages import RecordedRequest, Reply

CONTENT = bytes(range(256)) * 4000  # 1,024,000 bytes
STRONG = '"first"'


class Shelf:
    """Answers every GET with `content`. `cuts`: after how many bytes of content the next answers break off (`None`: not).

    `ranges`: whether parts are given; `headers`: of every good answer; `before`: called with each request, and what it returns
    is answered instead.
    """

    def __init__(self, content: bytes = CONTENT, *cuts: int | None, etag: str | None = STRONG, ranges: bool = True) -> None:
        self.content = content
        self.cuts = list(cuts)
        self.ranges = ranges
        self.headers: dict[str, str] = {"Content-Type": "application/octet-stream"}
        if etag is not None:
            self.headers["ETag"] = etag
        self.before: Any = lambda request: None

    def __call__(self, request: RecordedRequest) -> Reply:
        instead = self.before(request)
        if instead is not None:
            return instead
        start = self._start(request)
        cut = self.cuts.pop(0) if self.cuts else None
        if start is None:
            return self._reply(200, {}, self.content, cut)
        size = len(self.content)
        if start >= size:
            return Reply(416, {**self.headers, "Content-Range": f"bytes */{size}"}, "no such part")
        return self._reply(206, {"Content-Range": f"bytes {start}-{size - 1}/{size}"}, self.content[start:], cut)

    def _start(self, request: RecordedRequest) -> int | None:
        wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range") or "")
        if wanted is None or not self.ranges:
            return None
        known = request.headers.get("If-Range")
        if known is not None and known not in (self.headers.get("ETag"), self.headers.get("Last-Modified")):
            return None
        return int(wanted[1])

    def _reply(self, status: int, headers: dict[str, str], body: bytes, cut: int | None) -> Reply:
        length = {"Content-Length": str(len(body))}
        sent = body if cut is None else body[:cut]
        return Reply(status, {**self.headers, **headers, **length}, [sent], close=cut is not None)


def asked(peer: Any) -> list[str | None]:
    """The `Range` of every request, in order."""
    return [request.headers.get("Range") for request in peer.requests]


def part_of(target: Path) -> Path:
    """Where the bytes of `target` wait."""
    return target.with_name(target.name + ".part")


def note_of(target: Path) -> Path:
    """The note about them."""
    return target.with_name(target.name + ".part.json")


def note(target: Path) -> dict[str, Any]:
    """What the note says."""
    return json.loads(note_of(target).read_text("ascii"))


def files_in(folder: Path) -> list[str]:
    """The names of everything in `folder`."""
    return sorted(path.name for path in folder.iterdir())


class TickingClock(FakeClock):
    """A clock on which `step` seconds are gone at each look at it."""

    __slots__ = ("step",)

    def __init__(self, step: float = 0.2) -> None:
        super().__init__()
        self.step = step

    def monotonic(self) -> float:
        """The clock that only grows, seconds."""
        self.advance(self.step)
        return super().monotonic()
