"""The answer to one request, with the attributes and methods that users know from `requests.Response`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from ..words.errors import EsriHttpResponseError, InvalidJsonError, InvalidRequestError
from ..words.redaction import redact_url
from .envelope import LARGEST_ENVELOPE, EsriError, could_be_error, parse_error_bytes
from .text import apparent_charset, charset_of, decode_pieces, marked_charset, split_lines, usable_charset

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator, Mapping
    from typing import Protocol

    from .cookies import CookieJar
    from .request import Request

    class BodyStream(Protocol):
        """Where the content comes from: decoded bytes, errors in our words, the connection given back at the end."""

        raw: Any

        def read(self, amount: int | None = None) -> bytes:
            """At most `amount` bytes, as soon as some are there; all of them for `None`; empty at the end."""

        def discard(self) -> None:
            """Have done with the body: a short rest is read so that the connection can be used again."""

        def when_done(self, callback: Callable[[bool], None]) -> None:
            """Have `callback(reusable)` called once the connection is free."""

        def close(self) -> None:
            """Give the connection back, or throw it away when something is left unread. Twice is fine."""


PIECE_BYTES = 256 * 1024
PEEK_BYTES = 64
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
_ENVELOPE_TYPES = ("json", "text/plain", "javascript", "text/html")


class Response:
    """Status, header fields and content of one answer.

    Not for two threads at once. With `stream=True` it holds one connection until the content is read or `close()` is
    called; it is a context manager that closes. Its truth value is `ok`.
    """

    __slots__ = (
        "_content", "_encoding", "_esri_error", "_head", "_stream", "connection", "elapsed_seconds", "headers",
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

        getlist: Callable[[str], list[str]] | None = getattr(self.headers, "getlist", None)
        lines = getlist("set-cookie") if getlist else [self.headers["set-cookie"]] if "set-cookie" in self.headers else []
        return response_cookies(self.request.origin, self.request.path, lines)

    @property
    def esri_error(self) -> EsriError | None:
        """The ArcGIS error envelope that the content is, or `None`. Of a streamed body only a short head is looked at."""
        if self._esri_error is False:
            self._esri_error = self._find_error()
        return self._esri_error  # type: ignore[return-value]

    def _find_error(self) -> EsriError | None:
        content = self._content
        if content is None:
            if not self._may_hold_error() or not could_be_error(self.peek(PEEK_BYTES)):
                return None
            content = self.peek(LARGEST_ENVELOPE + 1)
        if len(content) > LARGEST_ENVELOPE or not could_be_error(content[:PEEK_BYTES]):
            return None
        return parse_error_bytes(content)

    def _may_hold_error(self) -> bool:
        kind = (self.headers.get("content-type") or "json").lower()
        return any(word in kind for word in _ENVELOPE_TYPES)

    def raise_for_status(self) -> None:
        """Raise `EsriHttpResponseError` for an HTTP status of 400 and above."""
        if self.status_code >= 400:
            raise self._error(self.esri_error)

    def raise_for_error(self) -> None:
        """Raise `EsriHttpResponseError` for an HTTP status of 400 and above and for an ArcGIS error envelope."""
        if self.status_code >= 400 or self.esri_error is not None:
            raise self._error(self.esri_error)

    def _error(self, error: EsriError | None) -> EsriHttpResponseError:
        place = f"{self.request.method} {redact_url(self.url)}"
        status = f"HTTP {self.status_code} {self.reason}".rstrip()
        words = f"{error}" if error is not None else status
        message = f"{place} was answered with an error: {words}"
        if error is not None and self.status_code >= 400:
            message += f" ({status})"
        return EsriHttpResponseError(
            message,
            url=self.url,
            code=self.status_code if error is None else error.code,
            message_code=None if error is None else error.message_code,
            details=None if error is None else list(error.details),
            status_code=self.status_code,
            method=self.request.method,
            response=self,
        )

    # -- content -----------------------------------------------------------------------------------------------------

    @property
    def raw(self) -> Any:
        """The urllib3 response below, for those who must read the wire's bytes (not decoded); `None` when there is none."""
        return None if self._stream is None else self._stream.raw

    @property
    def content(self) -> bytes:
        """The whole content, decoded. Reads what is left; the connection goes back."""
        content = self._content
        if content is None:
            if self._stream is None:
                raise InvalidRequestError(
                    "The content of this response was already read as a stream, or it was closed.", url=self.url
                )
            content = self._stream.read()
            self._content = content = self._head + content if self._head else content
            self._stream.close()
        return content

    def peek(self, amount: int) -> bytes:
        """The first `amount` bytes of the content, or what there is; they are still there for the reader afterwards."""
        if self._content is not None:
            return self._content[:amount]
        while self._stream is not None and len(self._head) < amount:
            piece = self._stream.read(amount - len(self._head))
            if not piece:
                break
            self._head += piece
        return self._head[:amount]

    def iter_content(self, chunk_size: int | None = PIECE_BYTES, decode_unicode: bool = False) -> Iterator[Any]:
        """The content in pieces of at most `chunk_size` bytes, as they come; `None` for the session's own size.

        With `decode_unicode` the pieces are text. An error in the middle is raised after the pieces before it.
        """
        if chunk_size is not None and (isinstance(chunk_size, bool) or not isinstance(chunk_size, int) or chunk_size < 1):
            raise InvalidRequestError("chunk_size takes a number of bytes greater than zero, or None.")
        pieces = self._pieces(chunk_size or PIECE_BYTES)
        return decode_pieces(pieces, usable_charset(self.encoding)) if decode_unicode else pieces

    def _pieces(self, size: int) -> Iterator[bytes]:
        if self._content is not None:
            for start in range(0, len(self._content), size):
                yield self._content[start : start + size]
            return
        stream = self._stream
        if stream is None:
            raise InvalidRequestError(
                "The content of this response was already read as a stream, or it was closed.", url=self.url
            )
        try:
            while self._head:
                piece, self._head = self._head[:size], self._head[size:]
                yield piece
            while True:
                piece = stream.read(size)
                if not piece:
                    break
                yield piece
        finally:
            self._stream = None
            stream.close()

    def iter_lines(
        self, chunk_size: int = 512, decode_unicode: bool = False, delimiter: str | bytes | None = None
    ) -> Iterator[Any]:
        """The content line by line, without line ends (or split at `delimiter`)."""
        return split_lines(self.iter_content(chunk_size, decode_unicode), delimiter)

    @property
    def encoding(self) -> str | None:
        """The charset that `text` uses: set by you, else the header's, else UTF-8 (`None` where the header names none)."""
        return self._encoding or charset_of(self.headers.get("content-type"))

    @encoding.setter
    def encoding(self, name: str | None) -> None:
        self._encoding = name

    @property
    def apparent_encoding(self) -> str:
        """What the bytes look like: a byte order mark's word, UTF-8 where it fits, else Latin-1."""
        return apparent_charset(self.content)

    @property
    def text(self) -> str:
        """The content as text: by the header's charset, UTF-8 otherwise; what does not fit becomes U+FFFD."""
        content = self.content
        charset = self.encoding or marked_charset(content)
        return content.decode(usable_charset(charset), "replace")

    def json(self, **options: Any) -> Any:
        """The content as JSON (RFC 8259), whatever the content type says.

        `options` go to `json.loads`. Raises `InvalidJsonError`, which says what came instead, without the content.
        """
        import json

        content = self.content
        try:
            return json.loads(content, **options) if content[:3] != b"\xef\xbb\xbf" else json.loads(content[3:], **options)
        except (ValueError, RecursionError) as error:
            raise self._not_json(error) from None

    def _not_json(self, error: Exception) -> InvalidJsonError:
        content, kind = self.content, self.headers.get("content-type") or "no content type"
        if not content.strip():
            what = "the answer is empty"
        elif content.lstrip()[:1] == b"<":
            what = "a web page came instead (a sign-in page, a proxy or an error page?); was f=json sent?"
        else:
            what = f"the text breaks off or is malformed at position {getattr(error, 'pos', 0)} of {len(content)} bytes"
        place = f"{self.request.method} {redact_url(self.url)}"
        message = f"{place} was not answered with JSON: {what} (HTTP {self.status_code}, {kind:.100})"
        return InvalidJsonError(message, url=self.url, status_code=self.status_code, method=self.request.method, response=self)

    # -- end of life -------------------------------------------------------------------------------------------------

    def when_done(self, callback: Callable[[bool], None]) -> None:
        """Have `callback(reusable)` called once the connection of this answer is free; at once if it is."""
        if self._stream is None:
            callback(True)
        else:
            self._stream.when_done(callback)

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
        """What a pickle keeps: everything but the connection; the content is read first."""
        content = self.content if self._stream is not None or self._content is not None else None
        headers = {name: value for name, value in self.headers.items() if name.lower() != "set-cookie"}
        kept = ("request", "status_code", "reason", "elapsed_seconds", "history", "_encoding")
        return {"_content": content, "headers": headers, **{name: getattr(self, name) for name in kept}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        from ..words.headers import Headers

        Response.__init__(self, state["request"], state["status_code"], state["reason"], {}, None, state["elapsed_seconds"])
        self._content = state["_content"]
        self.headers = Headers(state["headers"])
        self.history = state["history"]
        self._encoding = state["_encoding"]
