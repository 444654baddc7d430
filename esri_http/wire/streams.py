"""The body of an answer on its way to the reader: decoded, bounded, with errors in our words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from ..messages.decoding import make_decoder
from ..words.errors import DeadlineExceededError, EsriHttpError
from ..words.redaction import redact_url
from .failures import WIRE_ERRORS, translate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..messages.decoding import Decoder
    from ..messages.request import Request
    from ..words.clock import Deadline

_PIECE_BYTES = 256 * 1024
# What is read in one go. A longer announced length is read in pieces: memory follows what comes, not what is announced.
_ONE_GO_BYTES = 1024 * 1024
# The rest of an unwanted body that is worth reading to keep its connection.
_DRAIN_BYTES = 64 * 1024


class WireStream:
    """The body of one answer. Gives its connection back at the end, on `close()` and on an error."""

    __slots__ = ("_chunks", "_deadline", "_decoder", "_done", "_ended", "_request", "_reusable", "_tail", "raw")

    def __init__(self, raw: Any, request: Request, deadline: Deadline | None = None) -> None:
        self.raw = raw
        self._request = request
        self._deadline = deadline
        self._done: Callable[[bool], None] | None = None
        self._ended = False
        self._reusable = True
        self._chunks: Iterator[bytes] | None = None
        self._tail = b""
        headers = raw.headers
        self._decoder: Decoder | None = make_decoder(headers["content-encoding"]) if "content-encoding" in headers else None
        if request.method == "HEAD" or raw.status in (204, 304):
            self._without_body()

    def _without_body(self) -> None:
        """No body is awaited (RFC 9112 section 6.3), whatever the header fields announce."""
        headers = self.raw.headers
        clean = self._request.method == "HEAD" or (
            "transfer-encoding" not in headers and headers.get("content-length", "0") == "0"
        )
        self._decoder = None
        if clean:
            self.raw.read(decode_content=False)  # reads nothing; tells the connection that it is free
        self._end(reusable=clean)

    def read(self, amount: int | None = None) -> bytes:
        """See `BodyStream.read`."""
        if self._decoder is not None:
            return self._read_decoded(amount)
        if amount is None:
            return self._read_everything()
        return self._read_wire(amount)

    def _read_everything(self) -> bytes:
        if not self._ended and self._is_short():
            try:
                data: bytes = self.raw.read(decode_content=False)
            except WIRE_ERRORS as error:
                raise self._fail(error) from error
            self._end(reusable=True)
            return data
        return b"".join(self._remaining())

    def _is_short(self) -> bool:
        """Whether the announced length is small enough to be read in one go."""
        length = self.raw.headers.get("content-length", "")
        return len(length) < 8 and length.isdigit() and int(length) <= _ONE_GO_BYTES

    def _remaining(self) -> Iterator[bytes]:
        while True:
            data = self.read(_PIECE_BYTES)
            if not data:
                return
            yield data
            if self._deadline is not None and not self._deadline.allows(0):
                self.close()
                where = f"{self._request.method} {redact_url(self._request.url)}"
                message = f"{where}: the answer was not complete when the time for the call was up."
                raise DeadlineExceededError(message, url=self._request.url)

    def _read_wire(self, amount: int) -> bytes:
        """At most `amount` bytes as they came over the wire; empty at the end."""
        if self._tail:
            data, self._tail = self._tail[:amount], self._tail[amount:]
            return data
        if self._ended:
            return b""
        try:
            data = self._next_piece(amount)
        except WIRE_ERRORS as error:
            raise self._fail(error) from error
        if not data:
            self._end(reusable=True)
        return data

    def _next_piece(self, amount: int) -> bytes:
        raw = self.raw
        if not raw.chunked:
            data: bytes = raw.read(amount, decode_content=False)
            return data
        # Chunk by chunk: what has come is handed on while the server still sends.
        if self._chunks is None:
            self._chunks = raw.stream(_PIECE_BYTES, decode_content=False)
        data = next(self._chunks, b"")
        self._tail = data[amount:]
        return data[:amount]

    def _read_decoded(self, amount: int | None) -> bytes:
        decoder = self._decoder
        assert decoder is not None
        if amount is None:
            return b"".join(self._remaining())
        while True:
            try:
                data = b"" if self._ended and not decoder.pending else self._decode_some(decoder, amount)
            except EsriHttpError:
                self._end(reusable=False)
                raise
            if data or (self._ended and not decoder.pending):
                return data

    def _decode_some(self, decoder: Decoder, amount: int) -> bytes:
        if decoder.pending:
            return decoder.feed(b"", amount)
        data = self._read_wire(max(amount, 4096))
        if not data:
            decoder.finish()
            return b""
        return decoder.feed(data, amount)

    def _fail(self, error: BaseException) -> EsriHttpError:
        self._end(reusable=False)
        return translate(error, self._request)

    def discard(self) -> None:
        """See `BodyStream.discard`. What is thrown away is not decoded."""
        self._decoder = None
        left = _DRAIN_BYTES
        announced = self.raw.headers.get("content-length", "")
        if announced.isdigit() and (len(announced) > 8 or int(announced) > left):
            left = 0
        try:
            while left > 0 and not self._ended:
                left -= len(self._read_wire(min(left, 16 * 1024))) or left
        except EsriHttpError:
            pass
        self.close()

    def close(self) -> None:
        """See `BodyStream.close`."""
        if not self._ended:
            self._end(reusable=False)

    def when_done(self, callback: Callable[[bool], None]) -> None:
        """Have `callback(reusable)` called once the connection is back; at once if it is."""
        if self._ended:
            callback(self._reusable)
        else:
            self._done = callback

    def _end(self, reusable: bool) -> None:
        self._ended = True
        self._reusable = reusable
        raw = self.raw
        # urllib3's close() alone would keep the place of the connection in a blocking pool.
        if not reusable:
            raw.close()
        raw.release_conn()
        done, self._done = self._done, None
        if done is not None:
            done(reusable)

    def __del__(self) -> None:
        # An answer that nobody read or closed: its connection must not be lost to a lane for ever.
        if getattr(self, "_done", None) is not None and not self._ended:
            self.close()
