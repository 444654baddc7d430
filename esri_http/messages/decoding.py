"""Content codings (RFC 9110 section 8.4) undone in bounded memory and time, with every stream checked to its end mark."""

from __future__ import annotations

from typing import Callable

from ..words.errors import ProtocolError
from .inflaters import Inflater, brotli_factory, new_deflate, new_gzip, zstd_factory

MOST_CODINGS = 5
_BLOCK = 16 * 1024  # bytes of input that an inflater gets at a time, and that pass from one coding to the next
_PIECE = 256 * 1024  # the most output that is asked of an inflater at a time
# What passes between the codings may exceed the final output by this much; beyond it the content does nothing but work.
_IDLE_BYTES = 8 * 1024 * 1024
_IDLE_FACTOR = 8

_GZIP_MARK = (b"\x1f\x8b\x08",)
_ZSTD_MARKS = (b"\x28\xb5\x2f\xfd", *(bytes((low,)) + b"\x2a\x4d\x18" for low in range(0x50, 0x60)))
_OTHER_NAMES = {"x-gzip": "gzip", "x-deflate": "deflate"}


def make_decoder(content_encoding: str) -> Decoder | None:
    """What undoes `content_encoding` (the header's value, several fields joined by commas).

    `None` when there is nothing to undo, or a coding that is not known here: such content is passed on as it is. Raises
    `ProtocolError` for more than five codings.
    """
    codings = [name for part in content_encoding.split(",") if (name := part.strip().lower()) not in ("", "identity")]
    if len(codings) > MOST_CODINGS:
        raise ProtocolError(f"The content is packed {len(codings)} times over; more than {MOST_CODINGS} are not undone.")
    stages = [_stage(_OTHER_NAMES.get(name, name)) for name in reversed(codings)]
    known = [stage for stage in stages if stage is not None]
    return Decoder(known) if known and len(known) == len(stages) else None


def _stage(coding: str) -> _Stage | None:
    """What undoes `coding`; `None` where it is not known here."""
    if coding == "gzip":
        return _Stage(coding, new_gzip, marks=_GZIP_MARK)
    if coding == "deflate":
        return _Stage(coding, new_deflate)
    make = brotli_factory() if coding == "br" else zstd_factory() if coding == "zstd" else None
    return None if make is None else _Stage(coding, make, marks=_ZSTD_MARKS if coding == "zstd" else ())


class Decoder:
    """Undoes the codings of one body. Not shared between threads.

    Give it the wire's bytes with `feed`, take the rest with ``feed(b"", limit)`` while `pending`, and call `finish` when the
    wire has ended and nothing is pending. After an error every further call raises it again.
    """

    __slots__ = ("_failure", "_given", "_passed", "_stages")

    def __init__(self, stages: list[_Stage]) -> None:
        self._stages = stages  # the coding that was applied last comes first
        self._failure = ""
        self._given = 0  # bytes of final output
        self._passed = 0  # bytes that passed between codings

    @property
    def pending(self) -> bool:
        """Whether more output can come without new input. Not when the last `feed` gave less than its limit."""
        return not self._failure and not all(stage.starved for stage in self._stages)

    def feed(self, data: bytes, limit: int) -> bytes:
        """Take `data` and give at most `limit` bytes (a large number for "all"); what does not fit stays packed inside.

        Raises `ProtocolError` where the content is not what it claims to be.
        """
        if self._failure:
            raise ProtocolError(self._failure)
        self._stages[0].push(data)
        pieces: list[bytes] = []
        try:
            while limit > 0:
                piece = self._pull(len(self._stages) - 1, min(limit, _PIECE))
                if not piece:
                    break
                limit -= len(piece)
                self._given += len(piece)
                pieces.append(piece)
        except ProtocolError as error:
            self._failure = error.message
            raise
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def finish(self) -> None:
        """Check, once the wire has ended and nothing is pending, that no stream was cut off; an empty body is fine.

        Raises `ProtocolError`.
        """
        if self._failure:
            raise ProtocolError(self._failure)
        for stage in self._stages:
            stage.finish()

    def _pull(self, index: int, limit: int) -> bytes:
        """At most `limit` bytes out of stage `index`, with input from the stages before it; empty when the wire is needed."""
        stage = self._stages[index]
        while True:
            piece = stage.pull(limit)
            if piece or index == 0:
                return piece
            between = self._pull(index - 1, _BLOCK)
            if not between:
                return b""
            self._passed += len(between)
            if self._passed > _IDLE_BYTES + _IDLE_FACTOR * self._given:
                raise ProtocolError("The content is packed so that unpacking it is all work and no result; it was given up.")
            stage.push(between)


class _Stage:
    """One coding being undone: its input that is still packed, and the inflater of the stream that is being read.

    With `marks`, a stream may be followed by others that begin with one of them; anything else behind a complete stream is
    ignored, as browsers do.
    """

    __slots__ = (
        "_at", "_coding", "_complete", "_given", "_inflater", "_input", "_make", "_marks", "_ready", "starved",
    )  # fmt: skip

    def __init__(self, coding: str, make: Callable[[], Inflater], marks: tuple[bytes, ...] = ()) -> None:
        self._coding = coding
        self._make = make
        self._marks = marks
        self._input = bytearray()
        self._at = 0  # where in the input the unread part begins
        self._inflater: Inflater | None = None
        self._complete = 0  # streams read to their end
        self._ready = b""  # output of an inflater that cannot stop exactly at the limit
        self._given = 0  # how much of that is handed out
        self.starved = True  # nothing comes out without new input

    def push(self, data: bytes) -> None:
        if data:
            self._input += data
            self.starved = False

    def pull(self, limit: int) -> bytes:
        """At most `limit` bytes; empty when new input is needed."""
        while not self._ready:
            if self.starved or not (self._inflater or self._begin()):
                self.starved = True
                return b""
            self._ready = self._step(limit)
        out = self._ready[self._given : self._given + limit]
        self._given += len(out)
        if self._given == len(self._ready):
            self._ready, self._given = b"", 0
        return out

    def finish(self) -> None:
        if self._inflater is not None or not self.starved:
            raise ProtocolError(f"The {self._coding} content stops before its end; the transfer was cut off.")

    def _begin(self) -> bool:
        """Start on the next stream; false when there is none."""
        if self._complete and not self._finds_another():
            return False
        self._inflater = self._make()
        return True

    def _finds_another(self) -> bool:
        """Whether another stream begins here. Zeros before it are skipped, and whatever is no stream is dropped."""
        if not self._marks:
            if self._coding == "br" and self._at < len(self._input):
                # The packages refuse this too, where it stands in the same piece of input as the end mark.
                raise ProtocolError("More data follows the end of the br content.")
            self._drop_input()
            return False
        while self._at < len(self._input):
            rest = bytes(self._input[self._at : self._at + _BLOCK])
            start = rest.lstrip(b"\0")
            self._at += len(rest) - len(start)
            if start.startswith(self._marks):
                return True
            if start:
                if len(start) >= len(self._marks[0]) or not any(mark.startswith(start) for mark in self._marks):
                    self._marks = ()
                    self._drop_input()
                return False
        self._drop_input()
        return False

    def _drop_input(self) -> None:
        self._input.clear()
        self._at = 0

    def _step(self, limit: int) -> bytes:
        """One go of the inflater, which may yield nothing yet."""
        inflater = self._inflater
        assert inflater is not None
        block = self._next_block() if inflater.hungry else b""
        if inflater.hungry and not block:
            self.starved = True
            return b""
        try:
            out = inflater.step(block, limit)
        except inflater.error as error:
            raise ProtocolError(f"The content claims to be {self._coding} and is not, or it is damaged: {error}") from error
        if inflater.eof:
            self._at -= len(inflater.unused)
            self._inflater = None
            self._complete += 1
        return out

    def _next_block(self) -> bytes:
        del self._input[: self._at]
        block = bytes(self._input[:_BLOCK])
        self._at = len(block)
        return block
