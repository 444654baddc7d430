"""Request bodies: read by length or in chunks, whole or in pieces; multipart forms are taken apart as they arrive."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from email.message import Message
from typing import Callable, NamedTuple

_PIECE = 256 * 1024
_LINE_LIMIT = 8192
_FIELD_LIMIT = 16 * 1024 * 1024


class BrokenRequestError(Exception):
    """The client sent something that is not HTTP, or hung up inside its request. The connection ends; nothing is answered."""


class ReceivedFile(NamedTuple):
    """A file of a multipart body. Its content is measured and hashed, and not kept."""

    field: str
    name: str
    content_type: str
    size: int
    sha256: str


class BodyStream:
    """The body of one request. It never reads past its end, so that the next request stays where it is."""

    __slots__ = ("_file", "_left", "_chunked", "_invite", "ended", "received")

    def __init__(
        self, file: io.BufferedIOBase, length: int = 0, chunked: bool = False, invite: Callable[[], None] | None = None
    ) -> None:
        """`invite` is called before the first byte is read: it asks a client that waits with its body to send it."""
        self._file = file
        self._chunked = chunked
        self._left = 0 if chunked else length
        self._invite = invite
        self.ended = not chunked and not length
        # Bytes of content that came so far.
        self.received = 0

    def read(self, limit: int = _PIECE) -> bytes:
        """Up to `limit` bytes; empty at the end. Raises `BrokenRequestError` where the client hangs up before it."""
        if self._invite is not None:
            self._invite()
            self._invite = None
        if self._chunked and not self._left and not self.ended:
            self._next_chunk()
        if self.ended:
            return b""
        piece = self._file.read(min(limit, self._left))
        if not piece:
            raise BrokenRequestError("the body ended early")
        self._left -= len(piece)
        self.received += len(piece)
        if not self._left:
            self._end_of_piece()
        return piece

    def read_all(self, limit: int) -> bytes:
        """The whole body, if it is no longer than `limit` bytes."""
        pieces = []
        while not self.ended:
            pieces.append(self.read())
            if self.received > limit:
                raise BrokenRequestError("the body is too long")
        return b"".join(pieces)

    def drain(self) -> None:
        """Read and forget what is left."""
        while not self.ended:
            self.read()

    def _end_of_piece(self) -> None:
        if not self._chunked:
            self.ended = True
        elif self._file.readline(3) != b"\r\n":
            raise BrokenRequestError("a chunk without its end")

    def _next_chunk(self) -> None:
        try:
            self._left = int(self._file.readline(_LINE_LIMIT).partition(b";")[0].strip(), 16)
        except ValueError:
            raise BrokenRequestError("a chunk without its size") from None
        if self._left < 0:
            raise BrokenRequestError("a chunk of negative size")
        if not self._left:
            while self._file.readline(_LINE_LIMIT).strip():
                pass
            self.ended = True


class _Scanner:
    """Finds boundaries in a stream without holding more than a piece of it."""

    def __init__(self, body: BodyStream, boundary: bytes) -> None:
        self._body = body
        # The first boundary has no line break before it; pretending that there is one makes all of them alike.
        self._buffer = bytearray(b"\r\n")
        self._delimiter = b"\r\n--" + boundary

    def skip_part(self) -> None:
        """Read up to the next boundary and forget what was before it."""
        for _ in self.pieces():
            pass

    def at_end(self) -> bool:
        """Whether the boundary just found was the last; otherwise the rest of its line is consumed."""
        while len(self._buffer) < 2:
            self._fill()
        if self._buffer.startswith(b"--"):
            return True
        self.line()
        return False

    def pieces(self) -> Iterator[bytes]:
        """The content up to the next boundary, in pieces; the boundary itself is consumed."""
        keep = len(self._delimiter) - 1
        while True:
            at = self._buffer.find(self._delimiter)
            if at >= 0:
                yield bytes(self._buffer[:at])
                del self._buffer[: at + len(self._delimiter)]
                return
            if len(self._buffer) > keep:
                yield bytes(self._buffer[:-keep])
                del self._buffer[:-keep]
            self._fill()

    def line(self) -> bytes:
        """The next line, without its end."""
        while True:
            at = self._buffer.find(b"\r\n")
            if at >= 0:
                line = bytes(self._buffer[:at])
                del self._buffer[: at + 2]
                return line
            if len(self._buffer) > _LINE_LIMIT:
                raise BrokenRequestError("a line of a multipart body is too long")
            self._fill()

    def _fill(self) -> None:
        piece = self._body.read()
        if not piece:
            raise BrokenRequestError("a multipart body without its end")
        self._buffer += piece


def read_multipart(content_type: str, body: BodyStream) -> tuple[dict[str, str], list[ReceivedFile]]:
    """The fields and the files of a `multipart/form-data` body (RFC 7578), in constant memory for the files.

    Raises `BrokenRequestError` where it is none.
    """
    boundary = _parameters("Content-Type", content_type).get("boundary", "")
    if not boundary:
        raise BrokenRequestError("multipart without a boundary")
    scanner = _Scanner(body, boundary.encode("latin-1", "replace"))
    form: dict[str, str] = {}
    files: list[ReceivedFile] = []
    scanner.skip_part()
    while not scanner.at_end():
        disposition, kind = _part_headers(scanner)
        name = disposition.get("name", "")
        if "filename" in disposition:
            files.append(_read_file(scanner, name, disposition["filename"], kind))
        else:
            form.setdefault(name, _read_field(scanner))
    body.drain()
    return form, files


def _part_headers(scanner: _Scanner) -> tuple[dict[str, str], str]:
    disposition: dict[str, str] = {}
    kind = "text/plain"
    while True:
        line = scanner.line()
        if not line:
            return disposition, kind
        name, _, value = line.decode("utf-8", "replace").partition(":")
        if name.strip().lower() == "content-disposition":
            disposition = _parameters("Content-Disposition", value.strip())
        elif name.strip().lower() == "content-type":
            kind = value.strip()


def _read_field(scanner: _Scanner) -> str:
    value = bytearray()
    for piece in scanner.pieces():
        value += piece
        if len(value) > _FIELD_LIMIT:
            raise BrokenRequestError("a field of a multipart body is too long")
    return value.decode("utf-8", "replace")


def _read_file(scanner: _Scanner, field: str, name: str, kind: str) -> ReceivedFile:
    digest = hashlib.sha256()
    size = 0
    for piece in scanner.pieces():
        digest.update(piece)
        size += len(piece)
    return ReceivedFile(field, name, kind, size, digest.hexdigest())


def _parameters(header: str, value: str) -> dict[str, str]:
    """The parameters of a structured header value, with RFC 2231 names decoded."""
    message = Message()
    message[header] = value
    found = message.get_params(header=header, unquote=True) or []
    return {key.lower(): _plain(text) for key, text in found[1:]}


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        charset, _, text = value
        try:
            return str(text).encode("latin-1", "replace").decode(charset or "ascii", "replace")
        except (LookupError, UnicodeError):
            raise BrokenRequestError("a name in an encoding that nobody knows") from None
    return str(value)
