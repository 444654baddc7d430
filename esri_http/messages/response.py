"""The answer to one request, with the attributes and methods that users know from `requests.Response`."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from ..words.errors import EsriHttpError, InvalidRequestError
from ..words.headers import all_values

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator, Mapping
    from typing import Callable

    from .body_stream import BodyStream
    from .cookies import CookieJar
    from .envelope import EsriError
    from .request import Request

PIECE_BYTES = 256 * 1024
PEEK_BYTES = 64
_AHEAD_BYTES = 16 * 1024
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
# How an envelope in JSON, or in UTF-16, can begin.
_OPENING_BYTES = frozenset({b"", b"{", b"\xef", b"\xff", b"\xfe", b"\0"})
_ENVELOPE_TYPES = ("json", "text/plain", "javascript", "text/html")


class Response:
    """Status, header fields and content of one answer.

    Not for two threads at once. With `stream=True` it holds one connection until the content is read or `close()` is
    called; it is a context manager that closes. Its truth value is `ok`.
    """

    __slots__ = (
        "_begun", "_content", "_encoding", "_esri_error", "_head", "_stream", "connection", "elapsed_seconds", "headers",
        "history", "reason", "request", "status_code",
    )  # fmt: skip

    def __init__(
        self,
        request: Request,
        status_code: int,
        reason: str,
        headers: Mapping[str, str],
        stream: BodyStream | None,
        elapsed_seconds: float = 0.0,
    ) -> None:
        self.request = request
        self.status_code = status_code
        self.reason = reason
        self.headers = headers
        self.elapsed_seconds = elapsed_seconds
        self.history: list[Response] = []
        self.connection: Any = None
        self._stream = stream
        self._head = b""
        self._begun: io.BytesIO | None = None  # once it is read in pieces: what of the head is still to come
        self._content: bytes | None = None
        self._encoding: str | None = None
        self._esri_error: EsriError | bool | None = False

    # -- status ------------------------------------------------------------------------------------------------------

    @property
    def ok(self) -> bool:
        """Whether the HTTP status is below 400. ArcGIS errors mostly come with 200: see `esri_error`."""
        return self.status_code < 400

    def __bool__(self) -> bool:
        return self.status_code < 400

    @property
    def url(self) -> str:
        """The URL that answered, after redirects."""
        return self.request.url

    @property
    def is_redirect(self) -> bool:
        """Whether this is a redirect that could be followed (a 3xx with a `Location`)."""
        return self.status_code in REDIRECT_STATUSES and "location" in self.headers

    @property
    def is_permanent_redirect(self) -> bool:
        """Whether this redirect is for good (301, 308)."""
        return self.status_code in (301, 308) and "location" in self.headers

    @property
    def elapsed(self) -> datetime.timedelta:
        """From sending the request to having read the header fields of the answer."""
        import datetime

        return datetime.timedelta(seconds=self.elapsed_seconds)

    @property
    def links(self) -> dict[str, dict[str, str]]:
        """The `Link` header (RFC 8288), by `rel` or else by URL."""
        from .links import parse_links

        return parse_links(self.headers.get("link") or "")

    @property
    def cookies(self) -> CookieJar:
        """The cookies that this answer set."""
        from .cookies import response_cookies

        return response_cookies(self.request.origin, self.request.path, all_values(self.headers, "set-cookie"))

    @property
    def esri_error(self) -> EsriError | None:
        """The ArcGIS error envelope that the content is, or `None`. Of a streamed body only a short head is looked at."""
        if self._esri_error is False:
            self._esri_error = self._find_error()
        return self._esri_error  # type: ignore[return-value]

    def _find_error(self) -> EsriError | None:
        content = self._content
        if content is not None:
            head = content[:PEEK_BYTES]
        elif self._stream is not None and self._begun is None and self._may_hold_error():
            head = self._peek_opening()
        else:
            return None
        if not _opens_like_envelope(head):
            return None
        from .envelope import LARGEST_ENVELOPE, could_be_error, parse_error_bytes

        if not could_be_error(head):
            return None
        return parse_error_bytes(self.peek(LARGEST_ENVELOPE + 1) if content is None else content)

    def _may_hold_error(self) -> bool:
        kind = (self.headers.get("content-type") or "json").lower()
        return any(word in kind for word in _ENVELOPE_TYPES)

    def _peek_opening(self) -> bytes:
        """What tells of a streamed body whether it could be an error, and no more: the server may pause behind it."""
        stream = self._unread_stream(whole=True)
        while len(self._head) < PEEK_BYTES and self._read_on(stream, PEEK_BYTES):
            first = self._head.lstrip(b" \t\r\n")[:1]
            if b"}" in self._head or (first not in _OPENING_BYTES and "callback=" not in self.request.target):
                break
        return self._head[:PEEK_BYTES]

    def raise_for_status(self) -> None:
        """Raise `EsriHttpResponseError` for an HTTP status of 400 and above."""
        if self.status_code >= 400:
            self.raise_for_error()

    def raise_for_error(self) -> None:
        """Raise `EsriHttpResponseError` for an HTTP status of 400 and above and for an ArcGIS error envelope."""
        if self.status_code >= 400 or self.esri_error is not None:
            from .complaints import refusal

            raise refusal(self)

    # -- content -----------------------------------------------------------------------------------------------------

    @property
    def raw(self) -> Any:
        """The body as a file of the wire's bytes (not decoded), with the attributes of urllib3's response; or `None`."""
        return None if self._stream is None else self._stream.raw

    @property
    def content(self) -> bytes:
        """The whole content, decoded. Reads what is left; the connection goes back."""
        content = self._content
        if content is None:
            stream = self._unread_stream(whole=True)
            content = stream.read()
            self._content = content = self._head + content if self._head else content
            stream.close()
        return content

    def _unread_stream(self, whole: bool) -> BodyStream:
        """Where the content comes from; raises `InvalidRequestError` where it is gone, or, if it has to be `whole`, begun."""
        if self._stream is None or (whole and self._begun is not None):
            raise InvalidRequestError("The content of this response was read as a stream already, or closed.", url=self.url)
        return self._stream

    def peek(self, amount: int) -> bytes:
        """The first `amount` bytes of the content, or what there is; they are still there for the reader afterwards."""
        if self._content is not None:
            return self._content[:amount]
        stream = self._unread_stream(whole=True)
        while len(self._head) < amount and self._read_on(stream, amount):
            pass
        return self._head[:amount]

    def _read_on(self, stream: BodyStream, amount: int) -> bool:
        """Have more of the first `amount` bytes in the head; false where there is no more."""
        piece = stream.read(max(amount - len(self._head), _AHEAD_BYTES))
        self._head += piece
        return bool(piece)

    def iter_content(self, chunk_size: int | None = PIECE_BYTES, decode_unicode: bool = False) -> Iterator[Any]:
        """The content in pieces of at most `chunk_size` bytes, as they come; `None` for the session's own size.

        With `decode_unicode` the pieces are text. An error in the middle is raised after the pieces before it.
        """
        if chunk_size is not None and (isinstance(chunk_size, bool) or not isinstance(chunk_size, int) or chunk_size < 1):
            raise InvalidRequestError("chunk_size takes a number of bytes greater than zero, or None.")
        pieces = self._pieces(chunk_size or PIECE_BYTES)
        if not decode_unicode:
            return pieces
        from .text import decode_pieces, usable_charset

        return decode_pieces(pieces, usable_charset(self.encoding))

    def _pieces(self, size: int) -> Iterator[bytes]:
        if self._content is not None:
            for start in range(0, len(self._content), size):
                yield self._content[start : start + size]
            return
        stream = self._unread_stream(whole=False)
        if self._begun is None:
            self._begun = io.BytesIO(self._head)
        try:
            while True:
                piece = self._begun.read(size) or stream.read(size)
                if not piece:
                    break
                yield piece
        except EsriHttpError:
            self._stream = None
            raise
        self.close()

    def iter_lines(
        self, chunk_size: int = 512, decode_unicode: bool = False, delimiter: str | bytes | None = None
    ) -> Iterator[Any]:
        """The content line by line, without line ends (or split at `delimiter`)."""
        from .text import split_lines, usable_delimiter

        return split_lines(self.iter_content(chunk_size, decode_unicode), usable_delimiter(delimiter, decode_unicode))

    @property
    def encoding(self) -> str | None:
        """The charset that `text` uses: set by you, else the header's, else UTF-8 (`None` where the header names none)."""
        from .text import charset_of

        return self._encoding or charset_of(self.headers.get("content-type"))

    @encoding.setter
    def encoding(self, name: str | None) -> None:
        self._encoding = name

    @property
    def apparent_encoding(self) -> str:
        """What the bytes look like: a byte order mark's word, UTF-8 where it fits, else Latin-1."""
        from .text import apparent_charset

        return apparent_charset(self.content)

    @property
    def text(self) -> str:
        """The content as text: by the `encoding` you set, a byte order mark, the header, or UTF-8; bad bytes become U+FFFD."""
        content = self.content
        from .text import marked_charset, usable_charset

        charset = self._encoding or marked_charset(content) or self.encoding
        return content.decode(usable_charset(charset), "replace")

    def json(self, **options: Any) -> Any:
        """The content as JSON (RFC 8259), whatever the content type says; UTF-8, -16 or -32, else by its charset.

        `options` go to `json.loads`. Raises `InvalidJsonError`, which says what came instead, without the content.
        """
        import json

        content = self.content
        try:
            try:
                return json.loads(content, **options)
            except UnicodeDecodeError:
                if self.encoding is None:
                    raise
                return json.loads(self.text, **options)
        except (ValueError, RecursionError) as error:
            from .complaints import not_json

            raise not_json(self, error) from None

    # -- end of life -------------------------------------------------------------------------------------------------

    def when_done(self, callback: Callable[[bool], None]) -> None:
        """Have `callback(reusable)` called once the connection of this answer is free; at once if it is."""
        if self._stream is None:
            callback(True)
        else:
            self._stream.when_done(callback)

    def lift_deadline(self) -> None:
        """The caller has it now, and reads what is left of the content in his own time."""
        if self._stream is not None:
            self._stream.lift_deadline()

    def discard(self) -> None:
        """Drop the content unread; a short rest is drained so that the connection can be used again."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.discard()

    def close(self) -> None:
        """Give the connection back (closed, if content is left unread). Twice is fine."""
        stream = self._stream
        if stream is not None:
            stream.close()
            if self._content is None:
                self._stream = None

    def __enter__(self) -> Response:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[bytes]:
        return self.iter_content(128)  # as requests does

    def __repr__(self) -> str:
        return f"<Response [{self.status_code}]>"

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle keeps: everything but the connection and cookies; the content is read first, where that can be."""
        try:
            content: bytes | None = self.content
        except EsriHttpError:
            content = None
        headers: Any = self.headers.copy()  # type: ignore[attr-defined]
        headers.pop("set-cookie", None)
        kept = ("request", "status_code", "reason", "elapsed_seconds", "history", "_encoding")
        return {"_content": content, "headers": headers, **{name: getattr(self, name) for name in kept}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        status, reason, headers = state["status_code"], state["reason"], state["headers"]
        Response.__init__(self, state["request"], status, reason, headers, None, state["elapsed_seconds"])
        self._content = state["_content"]
        self.history = state["history"]
        self._encoding = state["_encoding"]


def _opens_like_envelope(head: bytes) -> bool:
    """A first sieve, in a fraction of a microsecond: no envelope begins without one of these."""
    return (
        b'"error"' in head or b'"status' in head or b'"code"' in head or b'"message' in head
        or b'"success"' in head or b'"details"' in head or b"\0" in head
    )  # fmt: skip
