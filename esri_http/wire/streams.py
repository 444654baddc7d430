"""The body of an answer on its way to the reader: decoded, bounded, with errors in our words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..words.clock import Deadline
from ..words.errors import EsriHttpError, InvalidRequestError, ProtocolError
from .compat import WIRE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Callable

    from ..messages.decoding import Decoder
    from ..messages.request import Request
    from .raw_body import RawBody

_PIECE_BYTES = 256 * 1024
# Up to this size a read gives what is there (see `answers`), so it costs no time to ask for more than is wanted.
_SMALLEST_READ = 16 * 1024
# What is read in one go. A longer announced length is read in pieces: memory follows what comes, not what is announced.
_ONE_GO_BYTES = 1024 * 1024
# The rest of an unwanted body that is worth reading, and waiting for, to keep its connection.
_DRAIN_BYTES = 64 * 1024
_DRAIN_SECONDS = 1.0
# What a look at the beginning of a body may take.
_SEEN_BYTES = 128 * 1024


class WireStream:
    """The body of one answer. Gives its connection back at the end, on `close()` and on an error.

    After an error every further read raises it again.
    """

    __slots__ = (
        "_at", "_chunks", "_coding", "_deadline", "_decoder", "_done", "_ended", "_failure", "_is_chunked", "_length",
        "_longest_silence", "_raw", "_raw_body", "_request", "_reusable", "_seen", "_tail",
    )  # fmt: skip

    def __init__(self, raw: Any, request: Request, deadline: Deadline, longest_silence: float | None) -> None:
        """`deadline`: that of the call; `longest_silence`: the read time-out after it is lifted, in seconds, or `None`."""
        self._raw = raw
        self._is_chunked: bool = raw.chunked
        self._request = request
        self._deadline: Deadline | None = deadline
        self._longest_silence = longest_silence
        self._done: tuple[Callable[[bool], None], ...] = ()
        self._ended = False
        self._reusable = True
        self._chunks: Iterator[bytes] | None = None
        self._tail = b""
        self._at = 0  # where in the tail the unread part begins
        self._seen: bytearray | None = bytearray()  # what came first, for a reader of `raw` to whom it has to come again
        self._raw_body: RawBody | None = None
        self._failure: EsriHttpError | None = None
        self._decoder: Decoder | None = None
        headers = raw.headers
        self._coding: str = headers.get("content-encoding", "")
        self._length: int | None = raw._original_response.length  # as announced
        if request.method == "HEAD" or raw.status in (204, 304):
            self._without_body()

    def _without_body(self) -> None:
        """No body is awaited (RFC 9112 section 6.3), whatever the header fields announce."""
        headers = self._raw.headers
        clean = self._request.method == "HEAD" or (
            "transfer-encoding" not in headers and headers.get("content-length", "0") == "0"
        )
        self._coding = ""
        if clean:
            self._raw.read(decode_content=False)  # reads nothing; tells the connection that it is free
        self._end(reusable=clean)

    @property
    def raw(self) -> RawBody:
        """See `BodyStream.raw`."""
        if self._raw_body is None:
            from .raw_body import RawBody

            self._raw_body = RawBody(self, self._raw)
        return self._raw_body

    def read(self, amount: int | None = None, decoded: bool = True) -> bytes:
        """See `BodyStream.read`."""
        if self._failure is not None:
            raise self._failure
        if amount is None:
            self._seen = None  # whoever takes everything leaves nothing for `raw`
        if self._coding and decoded:
            return self._read_decoded(amount)
        if amount is None:
            return self._read_everything()
        return self._read_wire(amount)

    def _read_everything(self) -> bytes:
        if not self._ended and not self._tail and self._length is not None and self._length <= _ONE_GO_BYTES:
            try:
                data: bytes = self._raw.read(decode_content=False)
            except WIRE_ERRORS as error:
                raise self._failed(error) from error
            self._end()
            return data
        return b"".join(iter(lambda: self._read_wire(_PIECE_BYTES), b""))

    def _read_wire(self, amount: int) -> bytes:
        """At most `amount` bytes as they came over the wire; empty at the end."""
        if self._tail:
            data = self._tail[self._at : self._at + amount]
            self._at += len(data)
            if self._at == len(self._tail):
                self._tail, self._at = b"", 0
            return data
        if self._ended:
            return b""
        try:
            if self._is_chunked:
                data = self._next_chunk()
            else:
                data = self._raw.read(amount if amount > _SMALLEST_READ else _SMALLEST_READ, decode_content=False)
        except WIRE_ERRORS as error:
            raise self._failed(error) from error
        if not data:
            self._end()
        elif self._seen is not None:
            self._seen += data
            if len(self._seen) > _SEEN_BYTES:
                self._seen = None
        if len(data) <= amount:
            return data
        self._tail, self._at = data, amount
        return data[:amount]

    def lift_deadline(self) -> None:
        """See `BodyStream.lift_deadline`."""
        self._deadline = None
        if not self._ended:
            self._raw._original_response.limit_reads(self._longest_silence, None)

    def start_over(self) -> None:
        """Give the first bytes once more, where only they have been read yet."""
        if self._seen:
            self._tail, self._at, self._seen, self._decoder = bytes(self._seen), 0, None, None

    def _next_chunk(self) -> bytes:
        """What comes next of a chunked body: chunk by chunk, so that it is handed on while the server still sends."""
        if self._chunks is None:
            self._chunks = self._raw.stream(_PIECE_BYTES, decode_content=False)
        return next(self._chunks, b"")

    def _read_decoded(self, amount: int | None) -> bytes:
        if amount is None:
            return b"".join(iter(lambda: self.read(_PIECE_BYTES), b""))
        try:
            decoder = self._decoder or self._open_decoder()
            if decoder is None:
                return self._read_wire(amount)
            data = b""
            while not data and (decoder.pending or not self._ended):
                data = self._decode_some(decoder, amount)
            return data
        except ProtocolError as error:
            if self._failure is not None:
                raise
            raise self._failed(error) from error

    def _open_decoder(self) -> Decoder | None:
        from ..messages.decoding import make_decoder

        self._decoder = make_decoder(self._coding)
        if self._decoder is None:
            self._coding = ""
        return self._decoder

    def _decode_some(self, decoder: Decoder, amount: int) -> bytes:
        if decoder.pending:
            return decoder.feed(b"", amount)
        data = self._read_wire(max(amount, _SMALLEST_READ))
        if not data:
            decoder.finish()
            return b""
        return decoder.feed(data, amount)

    def _failed(self, error: BaseException) -> EsriHttpError:
        """Our error for `error`; the connection is closed."""
        from .failures import translate

        self._failure = translate(error, self._request, self._deadline)
        self._end(reusable=False)
        return self._failure

    def discard(self) -> None:
        """See `BodyStream.discard`. What is thrown away is not decoded, and not waited for very long."""
        connection = self._raw.connection
        is_open = not self._ended and connection is not None and connection.sock is not None
        if is_open and self._failure is None and (self._length or 0) <= _DRAIN_BYTES:
            self._raw._original_response.limit_reads(_DRAIN_SECONDS, Deadline(_DRAIN_SECONDS))
            left = _DRAIN_BYTES
            try:
                while left > 0 and not self._ended:
                    left -= len(self._read_wire(min(left, _SMALLEST_READ)))
            except EsriHttpError:
                pass
        self.close()

    def close(self) -> None:
        """See `BodyStream.close`."""
        if not self._ended:
            self._failure = InvalidRequestError("The content was closed before its end.", url=self._request.url)
            self._end(reusable=False)

    def when_done(self, callback: Callable[[bool], None]) -> None:
        """Have `callback(reusable)` called once the connection is back; at once if it is."""
        if self._ended:
            callback(self._reusable)
        else:
            self._done += (callback,)  # several where a handler sent again by itself: each exchange has a lane

    def _end(self, reusable: bool = True) -> None:
        self._ended = True
        self._reusable = reusable
        raw = self._raw
        # urllib3's close() alone would keep the place of the connection in a blocking pool.
        if not reusable:
            raw.close()
        raw.release_conn()
        callbacks, self._done = self._done, ()
        for done in callbacks:
            done(reusable)

    def __del__(self) -> None:
        # An answer that nobody read or closed: its connection must not be lost to a lane for ever.
        if getattr(self, "_done", ()) and not self._ended:
            self.close()
