"""Faults on order: what a healthy portal never does, played on chosen requests.

A fault is a callable that gets the request and a way to get the real answer, and gives the answer to send. Several of them
nest, the first outermost: `portal.faults.add("/query", delay(0.2), truncated(10))`. Write your own in the same way::

    def lower_case(request, answer_normally):
        answer = answer_normally()
        answer.body = answer.body.lower()
        return answer
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any, Callable

from .messages import JSON_TYPE, TEXT_TYPE, Answer, Request, error_envelope, page

Fault = Callable[[Request, Callable[[], Answer]], Answer]

_LONGEST_WAIT = 60.0
_TICK = 0.02


class PlannedFault:
    """A fault that waits for its requests. `hits` counts those that it met; `remove()` ends it."""

    def __init__(
        self, path_suffix: str, kinds: tuple[Fault, ...], times: int | None, site: str | None, method: str | None, skip: int
    ) -> None:
        self.path_suffix = path_suffix
        self.kinds = kinds
        self.times = times
        self.site = site
        self.method = method
        self.skip = skip
        self.hits = 0

    def remove(self) -> None:
        """Play it no more."""
        self.times = self.hits

    @property
    def is_over(self) -> bool:
        """Whether it has met all its requests."""
        return self.times is not None and self.hits >= self.times

    def matches(self, request: Request) -> bool:
        """Whether the request is one that it waits for."""
        return (
            not self.is_over
            and request.path.endswith(self.path_suffix)
            and (self.site is None or self.site == request.site)
            and (self.method is None or self.method == request.method)
        )


class Faults:
    """The faults planned for a portal and its servers. Safe for threads."""

    def __init__(self) -> None:
        self._planned: list[PlannedFault] = []
        self._lock = threading.Lock()

    def add(
        self,
        path_suffix: str,
        *kinds: Fault,
        times: int | None = 1,
        site: str | None = None,
        method: str | None = None,
        skip: int = 0,
    ) -> PlannedFault:
        """Play `kinds` on the next `times` requests whose path ends so (`None`: on all), after letting `skip` of them pass.

        `site` is "portal", "server" or "standalone". Faults for the same request are played one after the other, oldest first.
        """
        if not kinds:
            raise TypeError("Say which fault: faults.status(503), faults.reset(), ...")
        planned = PlannedFault(path_suffix, kinds, times, site, method, skip)
        with self._lock:
            self._planned.append(planned)
        return planned

    def clear(self) -> None:
        """Remove all of them."""
        with self._lock:
            self._planned.clear()

    def take(self, request: Request) -> tuple[Fault, ...]:
        """The faults to play on this request (used by the sites)."""
        if not self._planned:
            return ()
        with self._lock:
            for planned in self._planned:
                if planned.matches(request):
                    if planned.skip:
                        planned.skip -= 1
                        continue
                    planned.hits += 1
                    self._planned = [each for each in self._planned if not each.is_over]
                    return planned.kinds
        return ()


def play(kinds: tuple[Fault, ...], request: Request, answer_normally: Callable[[], Answer]) -> Answer:
    """The answer that the faults make of the request."""
    if not kinds:
        return answer_normally()
    first, rest = kinds[0], kinds[1:]
    answer = first(request, lambda: play(rest, request, answer_normally))
    answer.fault = ", ".join(filter(None, [getattr(first, "__qualname__", "fault").partition(".")[0], answer.fault]))
    return answer


def delay(seconds: float | None = None, until: threading.Event | None = None) -> Fault:
    """Wait before answering: some seconds, or until an event is set (at most a minute). Stopping the portal ends the wait."""

    def fault(request: Request, answer_normally: Callable[[], Answer]) -> Answer:
        _wait(request, seconds, until)
        return answer_normally()

    return _named(fault, "delay")


def stalled(until: threading.Event, after: int = 0) -> Fault:
    """Send the head and `after` bytes of the body, then nothing until the event is set; then the rest."""

    def fault(request: Request, answer_normally: Callable[[], Answer]) -> Answer:
        answer = answer_normally()
        body = _whole_body(answer)

        def pieces() -> Iterator[bytes]:
            if after:
                yield body[:after]
            _wait(request, None, until)
            yield body[after:]

        answer.body = pieces()
        return answer

    return _named(fault, "stalled")


def reset(after_bytes: int | None = None, handle: bool = False) -> Fault:
    """Break the connection with a TCP reset: at once, or after `after_bytes` of the body of the real answer.

    With `handle` the request is carried out first, so that its effect is there although nobody hears of it.
    """
    return _named(_ending("reset", after_bytes, handle), "reset")


def close(after_bytes: int | None = None, handle: bool = False) -> Fault:
    """Close the connection in order, as a server does that gives up an idle one; parameters as for `reset`."""
    return _named(_ending("close", after_bytes, handle), "close")


def truncated(missing: int = 1) -> Fault:
    """The real answer with its full `Content-Length`, closed before the last `missing` bytes."""

    def fault(request: Request, answer_normally: Callable[[], Answer]) -> Answer:
        answer = answer_normally()
        answer.body = _whole_body(answer)
        answer.length = len(answer.body)
        answer.cut_after = max(0, len(answer.body) - missing)
        answer.ending = "close"
        return answer

    return _named(fault, "truncated")


def bad_chunk(size: str = "zz") -> Fault:
    """A chunked answer: one good chunk, then one whose size is `size` (RFC 9112 section 7.1 wants hexadecimal digits)."""
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    return _named(raw(f"{head}5\r\nfirst\r\n{size}\r\nsecond\r\n0\r\n\r\n".encode("latin-1")), "bad_chunk")


def raw(data: bytes, ending: str = "close") -> Fault:
    """Send these bytes instead of an answer, then "close" or "reset" the connection ("" keeps it)."""

    def fault(request: Request, answer_normally: Callable[[], Answer]) -> Answer:
        answer = Answer()
        answer.raw = data
        answer.ending = ending
        return answer

    return _named(fault, "raw")


def status(code: int, retry_after: str | None = None, body: Any = None, early: bool = False) -> Fault:
    """An HTTP status with a page, or with `body` (a dict is sent as JSON, bytes as they are) and any `Retry-After` text.

    With `early` it is sent while the client still uploads, and the connection is closed.
    """

    def fault(request: Request, answer_normally: Callable[[], Answer]) -> Answer:
        answer = page(f"HTTP {code}", "This page was put in the way of the real answer.", code)
        if isinstance(body, bytes):
            answer = Answer(code, body)
        elif body is not None:
            answer = Answer(code, json.dumps(body).encode(), JSON_TYPE)
        answer.early = early
        return answer if retry_after is None else answer.add("Retry-After", retry_after)

    return _named(fault, "status")


def arcgis_error(code: int, message: str = "", details: Any = (), retry_after: str | None = None) -> Fault:
    """An ArcGIS error envelope inside HTTP 200; 429 and 504 have the words of the real ones."""
    words: dict[int, tuple[str, Any]] = {
        429: (
            "Unable to perform query. Too many requests.",
            ["API calls quota exceeded (24001)! maximum allowed (24000) per Minute. Retry after 60 sec."],
        ),
        504: ("Your request has timed out.", []),
        498: ("Invalid Token", []),
        499: ("Token Required", []),
    }
    usual_message, usual_details = words.get(code, ("Unable to complete operation.", []))
    envelope = error_envelope(code, message or usual_message, details or usual_details)

    def fault(request: Request, answer_normally: Callable[[], Answer]) -> Answer:
        answer = Answer(200, json.dumps(envelope).encode(), TEXT_TYPE)
        return answer if retry_after is None else answer.add("Retry-After", retry_after)

    return _named(fault, "arcgis_error")


def html_page(text: str = "Could not access any portal machine.", code: int = 200) -> Fault:
    """A page where JSON was asked for, as a web adaptor shows it."""
    return _named(lambda request, answer_normally: page("Web Adaptor", text, code), "html_page")


def redirect(url: str, code: int = 302) -> Fault:
    """A redirect to `url`, whatever it is."""
    return _named(lambda request, answer_normally: Answer(code).add("Location", url), "redirect")


def empty_body(code: int = 200) -> Fault:
    """An answer without a body."""
    return _named(lambda request, answer_normally: Answer(code, b"", JSON_TYPE), "empty_body")


def invalid_json(text: bytes = b'{"features": [') -> Fault:
    """A body that calls itself JSON and is none."""
    return _named(lambda request, answer_normally: Answer(200, text, JSON_TYPE), "invalid_json")


def _ending(how: str, after_bytes: int | None, handle: bool) -> Fault:
    def fault(request: Request, answer_normally: Callable[[], Answer]) -> Answer:
        if after_bytes is None:
            if handle:
                answer_normally()
            answer = Answer()
            answer.raw = b""
        else:
            answer = answer_normally()
            answer.cut_after = after_bytes
        answer.ending = how
        return answer

    return fault


def _named(fault: Fault, name: str) -> Fault:
    """Give the closure the name that the record shows."""
    fault.__qualname__ = name
    return fault


def _whole_body(answer: Answer) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)


def _wait(request: Request, seconds: float | None, until: threading.Event | None) -> None:
    stopping = request.connection.stopping
    if seconds is not None:
        stopping.wait(min(seconds, _LONGEST_WAIT))
    if until is not None:
        for _ in range(int(_LONGEST_WAIT / _TICK)):
            if until.wait(_TICK) or stopping.is_set():
                return
