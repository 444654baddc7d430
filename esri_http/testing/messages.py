"""What a site of the embedded portal receives and gives: `Request`, `Answer`, and the ways to word an answer."""

from __future__ import annotations

import hashlib
import html
import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Callable, Union
from urllib.parse import parse_qsl

from .bodies import BodyStream, ReceivedFile, read_multipart

JSON_TYPE = "application/json;charset=utf-8"
# What ArcGIS Server calls its JSON.
TEXT_TYPE = "text/plain;charset=utf-8"
HTML_TYPE = "text/html;charset=utf-8"

_FORM_LIMIT = 64 * 1024 * 1024


class Fields(Mapping[str, str]):
    """Received header fields, exactly as they came: case-insensitive names, the first of several equal ones."""

    __slots__ = ("pairs", "_first")

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs = tuple(pairs)
        self._first: dict[str, str] = {}
        for name, value in self.pairs:
            self._first.setdefault(name.lower(), value)

    def __getitem__(self, name: str) -> str:
        return self._first[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._first)

    def __len__(self) -> int:
        return len(self._first)

    def all(self, name: str) -> list[str]:
        """Every value of `name`, in the order received."""
        wanted = name.lower()
        return [value for key, value in self.pairs if key.lower() == wanted]


class Connection:
    """One client connection of one site: its number (counted from 1 over all sites), where it comes from, the name asked for
    by TLS (SNI; `None` without), and `state`, a place for what is bound to the connection (a handshake, say)."""

    __slots__ = ("number", "client_host", "server_name", "stopping", "state")

    def __init__(self, number: int, client_host: str, server_name: str | None, stopping: threading.Event) -> None:
        self.number = number
        self.client_host = client_host
        self.server_name = server_name
        self.stopping = stopping
        self.state: dict[str, Any] = {}


class Request:
    """One request as the site received it. Query and form are read on first use; of several equal names the first counts."""

    __slots__ = ("site", "method", "target", "path", "headers", "body", "connection", "_query", "_form", "_files")

    def __init__(self, site: str, method: str, target: str, headers: Fields, body: BodyStream, connection: Connection) -> None:
        self.site = site
        self.method = method
        self.target = target
        self.path = _origin_form(target).partition("?")[0]
        self.headers = headers
        self.body = body
        self.connection = connection
        self._query: dict[str, str] | None = None
        self._form: dict[str, str] | None = None
        self._files: list[ReceivedFile] = []

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the URL."""
        if self._query is None:
            self._query = _first_values(self.target.partition("?")[2])
        return self._query

    @property
    def form(self) -> dict[str, str]:
        """The parameters of the body: urlencoded or multipart; empty for any other body."""
        if self._form is None:
            self._form = self._read_form()
        return self._form

    @property
    def files(self) -> list[ReceivedFile]:
        """The files of a multipart body: measured and hashed as they came, not kept."""
        return self._files if self.form is not None else []

    def get(self, name: str, default: str = "") -> str:
        """A parameter, from the body or else from the URL."""
        return self.form.get(name, self.query.get(name, default))

    def parameters(self) -> dict[str, str]:
        """All parameters; those of the body win."""
        return {**self.query, **self.form}

    def _read_form(self) -> dict[str, str]:
        if self.body.received:
            return {}  # a route has read the body as it is
        kind = self.headers.get("content-type", "").lower()
        if kind.startswith("application/x-www-form-urlencoded"):
            return _first_values(self.body.read_all(_FORM_LIMIT).decode("utf-8", "replace"))
        if kind.startswith("multipart/form-data"):
            form, self._files = read_multipart(self.headers["content-type"], self.body)
            return form
        return {}


Body = Union[bytes, Iterable[bytes]]


class Answer:
    """What is sent back. Change any of it in a fault; the site adds `Date`, `Content-Length` and `Connection` itself.

    `body`: bytes, or an iterable of pieces. `length`: of an iterable, in bytes; `None` sends it in chunks. `cut_after`: so many
    bytes of the body are sent, then `ending` happens. `ending`: "" keeps the connection, "close" or "reset" ends it.
    `raw`: these bytes are sent instead of everything, then `ending`. `early`: sent before the body of the request is read.
    `fault`: which fault made it, for the record.
    """

    __slots__ = ("status", "headers", "body", "length", "cut_after", "ending", "raw", "early", "fault")

    def __init__(self, status: int = 200, body: Body = b"", content_type: str = HTML_TYPE, length: int | None = None) -> None:
        self.status = status
        self.headers: list[tuple[str, str]] = [("Content-Type", content_type)]
        self.body = body
        self.length = len(body) if isinstance(body, bytes) else length
        self.cut_after: int | None = None
        self.ending = ""
        self.raw: bytes | None = None
        self.early = False
        self.fault = ""

    def add(self, name: str, value: str) -> Answer:
        """Add one header field; returns the answer itself."""
        self.headers.append((name, value))
        return self


Handler = Callable[[Request], Answer]


def json_answer(request: Request, data: Any, content_type: str = JSON_TYPE, status: int = 200, f: str = "") -> Answer:
    """`data` as `f`, or else the `f` of the request, asks: JSON, indented for `pjson`, and otherwise an HTML page."""
    form = f or request.get("f").lower()
    if form == "json":
        return Answer(status, _dump(data), content_type)
    if form == "pjson":
        return Answer(status, json.dumps(data, ensure_ascii=False, indent=1).encode(), content_type)
    return page("ArcGIS REST Services Directory", json.dumps(data, ensure_ascii=False, indent=1), _html_status(data, status))


def page(title: str, text: str, status: int = 200) -> Answer:
    """A plain HTML page with `text` on it."""
    markup = (
        '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>%s</title></head>\n'
        "<body>\n<h1>%s</h1>\n<pre>%s</pre>\n</body>\n</html>\n"
    )
    return Answer(status, (markup % (html.escape(title), html.escape(title), html.escape(text))).encode())


def error_envelope(code: int, message: str, details: Any = (), message_code: str | None = None) -> dict[str, Any]:
    """The envelope of the sharing and the services API. `details` is usually a list; token services also give a text."""
    error: dict[str, Any] = {"code": code}
    if message_code is not None:
        error["messageCode"] = message_code
    error["message"] = message
    error["details"] = list(details) if isinstance(details, tuple) else details
    return {"error": error}


def admin_envelope(code: int, *messages: str) -> dict[str, Any]:
    """The envelope of `/admin` and `/portaladmin`."""
    return {"status": "error", "messages": list(messages), "code": code}


def overlaid(data: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """`data` with `overrides` laid over it; a value of `None` removes the key."""
    merged = {**data, **overrides}
    return {key: value for key, value in merged.items() if value is not None or key not in overrides}


def pattern(size: int) -> Iterator[bytes]:
    """`size` bytes in pieces of 64 KiB, the same every time."""
    piece = bytes(range(256)) * 256
    for _ in range(size // len(piece)):
        yield piece
    if size % len(piece):
        yield piece[: size % len(piece)]


def pattern_sha256(size: int) -> str:
    """The SHA-256 (hexadecimal) of what `pattern(size)` yields: what a download has to come to."""
    digest = hashlib.sha256()
    for piece in pattern(size):
        digest.update(piece)
    return digest.hexdigest()


def _dump(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def _html_status(data: Any, status: int) -> int:
    """Where a page is answered, 498 and 499 become the HTTP status itself."""
    error = data.get("error") if isinstance(data, dict) else None
    return error["code"] if isinstance(error, dict) and error.get("code") in (498, 499) else status


def _origin_form(target: str) -> str:
    """The target without scheme and host, which a server has to understand (RFC 9112 section 3.2.2)."""
    if target.startswith("/"):
        return target
    return "/" + target.partition("://")[2].partition("/")[2]


def _first_values(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        values.setdefault(name, value)
    return values
