"""HTTP/1.1 messages as a server sees them: what was received, and what is to be sent."""

from __future__ import annotations

import http.client
import json as json_module
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Union

HeaderPairs = Union[Mapping[str, str], Iterable["tuple[str, str]"]]


class Fields:
    """Header fields in the order and spelling of the wire; looked up whatever the case. Repeated fields are kept."""

    def __init__(self, pairs: HeaderPairs = ()) -> None:
        self.pairs = list(pairs.items() if isinstance(pairs, Mapping) else pairs)

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of `name`."""
        values = self.get_all(name)
        return values[0] if values else default

    def get_all(self, name: str) -> list[str]:
        """Every value of `name`."""
        return [value for key, value in self.pairs if key.lower() == name.lower()]

    def __getitem__(self, name: str) -> str:
        values = self.get_all(name)
        if not values:
            raise KeyError(name)
        return values[0]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.get_all(name))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.pairs)

    def __repr__(self) -> str:
        return f"Fields({self.pairs!r})"


class RecordedRequest:
    """One request as it came in.

    `connection` counts the connections of the peer from 1; `body_length` is right also where the body was not kept;
    `client_certificate` is what `SSLSocket.getpeercert()` says, or None.
    """

    def __init__(self, method: str, target: str, headers: HeaderPairs = (), body: bytes = b"") -> None:
        self.method = method
        self.target = target
        self.headers = headers if isinstance(headers, Fields) else Fields(headers)
        self.body = body
        self.body_length = len(body)
        self.connection = 0
        self.client_certificate: dict[str, Any] | None = None

    @property
    def path(self) -> str:
        """The target up to the question mark."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """The query, decoded; of a repeated name the last value."""
        return dict(urllib.parse.parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @property
    def form(self) -> dict[str, str]:
        """The body read as a URL-encoded form; of a repeated name the last value."""
        return dict(urllib.parse.parse_qsl(self.body.decode("utf-8"), keep_blank_values=True))

    def json(self) -> Any:
        """The body read as JSON."""
        return json_module.loads(self.body)

    @property
    def chunked(self) -> bool:
        """Whether the body came in chunks."""
        return (self.headers.get("Transfer-Encoding") or "").lower() == "chunked"

    @property
    def wants_close(self) -> bool:
        """Whether the client asked for the connection to be closed."""
        return (self.headers.get("Connection") or "").lower() == "close"

    def __repr__(self) -> str:
        return f"<{self.method} {self.target} on connection {self.connection}, {self.body_length} bytes of body>"


class Reply:
    """What a handler answers.

    A `bytes` or `str` body gets a `Content-Length`. An iterable of bytes goes out in chunks, or as it is where `headers`
    give a `Content-Length`. `close=True` closes the connection afterwards.
    """

    def __init__(
        self, status: int = 200, headers: HeaderPairs = (), body: bytes | str | Iterable[bytes] = b"", *, close: bool = False
    ) -> None:
        self.status = status
        self.headers = Fields(headers)
        self.body = body.encode("utf-8") if isinstance(body, str) else body
        self.close = close


DROP = Reply(0)
"""Returned by a handler: close the connection without a word."""


def json_reply(value: Any, status: int = 200, headers: HeaderPairs = (), *, close: bool = False) -> Reply:
    """`value` as JSON."""
    fields = [("Content-Type", "application/json;charset=utf-8"), *Fields(headers)]
    return Reply(status, fields, json_module.dumps(value), close=close)


def head_bytes(status: int, headers: HeaderPairs = ()) -> bytes:
    """The status line, the fields exactly as given, and the empty line."""
    lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in Fields(headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def answer(status: int = 200, headers: HeaderPairs = (), body: bytes | str = b"") -> bytes:
    """A whole answer as bytes. `Content-Length` is added unless `headers` hold it or `Transfer-Encoding`."""
    body = body.encode("utf-8") if isinstance(body, str) else body
    fields = Fields(headers)
    bodiless = status < 200 or status in (204, 304)
    if not bodiless and "Content-Length" not in fields and "Transfer-Encoding" not in fields:
        fields.pairs.append(("Content-Length", str(len(body))))
    return head_bytes(status, fields) + body


def chunk(data: bytes) -> bytes:
    """`data` as one chunk of a chunked body; an empty one ends the body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def parse_head(head: bytes) -> RecordedRequest:
    """A request from its head, without the empty line. Raises `ValueError` for what is no request."""
    first, *rest = head.decode("latin-1").split("\r\n")
    method, target, version = first.split(" ")
    # Python's http.client before 3.12 asks for tunnels in HTTP/1.0.
    if version != "HTTP/1.1" and (method, version) != ("CONNECT", "HTTP/1.0"):
        raise ValueError(f"not an HTTP/1.1 request: {first!r}")
    pairs = []
    for line in rest:
        name, colon, value = line.partition(":")
        if not colon or name != name.strip():
            raise ValueError(f"not a header field: {line!r}")
        pairs.append((name, value.strip()))
    return RecordedRequest(method, target, pairs)
