"""Bodies of requests: bytes in pieces, with a length where it is known, to be sent as often as is needed, or only once.

A body has no `read`: urllib3 treats what has as a file of its own, and sends it again empty on a retry.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator, Mapping, Sequence, Set, ValuesView
from typing import Any

from ..words.errors import BodyNotReplayableError, EsriHttpError, InvalidRequestError
from .forms import encode_fields, json_text

PIECE = 256 * 1024

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
_AS_TEXT = 'The file {} is opened as text; open it in binary mode: open(name, "rb").'


class Body:
    """A request's content; iterating yields bytes, each time from the beginning.

    `length` is in bytes, or `None` where it is unknown and the body goes out chunked. `content_type` is the value of the
    header, or `None` where nothing is known. `replayable` is False where the bytes can be had only once; asking a second
    time raises `BodyNotReplayableError`. One body is not for two requests at the same time.
    """

    __slots__ = ("content_type", "length", "replayable")

    def __init__(self, length: int | None, content_type: str | None, replayable: bool) -> None:
        self.length = length
        self.content_type = content_type
        self.replayable = replayable

    def __iter__(self) -> Iterator[bytes]:
        raise NotImplementedError

    def with_field(self, name: str, value: object) -> Body | None:
        """A new body that holds one form field more and is otherwise the same; `None` where this is no form."""
        return None

    def __repr__(self) -> str:
        size = "unknown length" if self.length is None else f"{self.length} bytes"
        return f"<{type(self).__name__} {self.content_type or 'of no type'}, {size}>"


class BytesBody(Body):
    """Bytes in memory, whole in `content`."""

    __slots__ = ("content",)

    def __init__(self, content: bytes, content_type: str | None = None) -> None:
        super().__init__(len(content), content_type, True)
        self.content = content

    def __iter__(self) -> Iterator[bytes]:
        if len(self.content) <= PIECE:
            return iter((self.content,) if self.content else ())
        return (self.content[at : at + PIECE] for at in range(0, len(self.content), PIECE))


class FormBody(BytesBody):
    """Form fields, percent-encoded (`forms.encode_fields`)."""

    __slots__ = ()

    def __init__(self, content: bytes) -> None:
        super().__init__(content, FORM)

    def with_field(self, name: str, value: object) -> FormBody:
        """As of `Body`: the field comes last."""
        field = encode_fields({name: value}).encode("ascii")
        return FormBody(self.content + b"&" + field if self.content and field else self.content or field)


class FileBody(Body):
    """A seekable file opened in binary mode: from where it stood to its end at the time of construction."""

    __slots__ = ("_file", "_start")

    def __init__(self, file: Any, start: int, length: int) -> None:
        """`file` is read from `start` on; `source_body` finds both numbers."""
        super().__init__(length, None, True)
        self._file = file
        self._start = start

    def __iter__(self) -> Iterator[bytes]:
        name = file_name(self._file) or "that was handed over"
        try:
            self._file.seek(self._start)
        except (OSError, ValueError) as error:
            raise InvalidRequestError(f"The file {name} cannot be read: {error}.") from error
        yield from _read(self._file, self.length, name)


class PathBody(Body):
    """A file named by its path: opened when it is sent and closed after."""

    __slots__ = ("_path",)

    def __init__(self, path: os.PathLike[Any]) -> None:
        """Raises `InvalidRequestError` where there is no such file."""
        self._path = os.fsdecode(path)
        try:
            found = os.stat(self._path)
        except (OSError, ValueError) as error:
            raise InvalidRequestError(f"The file {self._path} cannot be read: {error}.") from error
        if not stat.S_ISREG(found.st_mode):
            raise InvalidRequestError(f"{self._path} is not a file.")
        super().__init__(found.st_size, None, True)

    def __iter__(self) -> Iterator[bytes]:
        try:
            with open(self._path, "rb") as file:
                yield from _read(file, self.length, self._path)
        except OSError as error:
            raise InvalidRequestError(f"The file {self._path} cannot be read: {error}.") from error


class StreamBody(Body):
    """What comes piece by piece: an iterator, or an object that can only be read. Text pieces go out as UTF-8.

    A list or another collection can be sent again; everything else only once.
    """

    __slots__ = ("_source", "_spent")

    def __init__(self, source: Any, length: int | None = None) -> None:
        """`length` in bytes where the caller knows it; more or less than that is an error when it is sent."""
        collection = isinstance(source, (Sequence, Set, ValuesView))
        if collection:
            source = [_piece(piece) for piece in source]
            length = sum(map(len, source))
        super().__init__(length, None, collection)
        self._source = source
        self._spent = False

    def __iter__(self) -> Iterator[bytes]:
        # A generator: what was never asked for its first piece (no connection was had) is not spent.
        if self._spent and not self.replayable:
            raise BodyNotReplayableError(
                "The body was an iterator or a stream, is used up, and would have to be sent again; hand over bytes or a file."
            )
        self._spent = True
        if hasattr(self._source, "read"):
            yield from _read(self._source, self.length, file_name(self._source) or "that was handed over")
        else:
            yield from self._pieces()

    def _pieces(self) -> Iterator[bytes]:
        left = self.length
        try:
            for item in self._source:
                piece = _piece(item)
                if left is not None:
                    left -= len(piece)
                    if left < 0:
                        break
                if piece:
                    yield piece
        except InvalidRequestError:
            raise
        except (OSError, ValueError, EsriHttpError) as error:
            # As it is, it would pass for a failure of the connection.
            raise InvalidRequestError(f"The source of the body failed: {error}.") from error
        if left:
            less_or_more = "fewer" if left > 0 else "more"
            raise InvalidRequestError(f"The body gave {less_or_more} bytes than the {self.length} that its length promised.")


def make_body(data: Any = None, json: Any = None, files: Any = None) -> Body | None:
    """The body for what users hand to a request; `None` for nothing (also for empty data, as users know it).

    `data`: a dict or a list of pairs (a form), str (as UTF-8), bytes and their like, a file opened in binary mode, a
    `pathlib.Path`, or an iterable of bytes. `json`: anything that JSON knows. `files`: see `multipart.MultipartBody`;
    `data` may then hold form fields that go along.

    Raises `InvalidRequestError` for what cannot be sent, and for `json` together with another kind.
    """
    empty = data is None or (isinstance(data, (str, bytes, bytearray, memoryview, Mapping, list, tuple)) and not data)
    if json is not None and (files or not empty):
        raise InvalidRequestError("A request has one body: either json, or data and files.")
    if files:
        from .multipart import MultipartBody

        return MultipartBody.of(None if empty else data, files)
    if json is not None:
        return BytesBody(utf8(json_text(json), "The JSON"), JSON)
    if empty:
        return None
    if is_fields(data):
        return FormBody(encode_fields(data).encode("ascii"))
    return source_body(data)


def is_fields(data: object) -> bool:
    """Whether `data` is form fields: a mapping, or a list of pairs."""
    if isinstance(data, (list, tuple)):
        return len(data) > 0 and isinstance(data[0], (list, tuple))
    return hasattr(data, "items")


def source_body(source: Any) -> Body:
    """The body of one thing that holds bytes: text, bytes, a path, a file or stream, an iterable; see `make_body`."""
    if isinstance(source, (str, bytes, bytearray, memoryview)):
        return BytesBody(_piece(source))
    if isinstance(source, os.PathLike):
        return PathBody(source)
    if hasattr(source, "read"):
        return _file_or_stream(source)
    if hasattr(source, "__iter__"):
        return StreamBody(source, _promised_length(source))
    raise InvalidRequestError(
        f"A body is bytes, text, form fields, a file or an iterable of bytes, not {type(source).__name__}."
    )


def utf8(text: str, what: str) -> bytes:
    """`text` in UTF-8; raises `InvalidRequestError` for half a character, and `what` names it."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidRequestError(f"{what} holds half a character (a lone surrogate); hand over bytes.") from None


def file_name(file: object) -> str | None:
    """The last part of the name of a path or a file; `None` for one without (in memory, or known by its number only)."""
    name = file if isinstance(file, os.PathLike) else getattr(file, "name", None)
    if not isinstance(name, (str, bytes, os.PathLike)):
        return None
    name = os.fsdecode(name)
    if name.startswith("<"):
        return None
    return name.replace("\\", "/").rpartition("/")[2] or None


def _file_or_stream(file: Any) -> Body:
    name = file_name(file) or "that was handed over"
    if getattr(file, "closed", False) is True:
        raise InvalidRequestError(f"The file {name} is closed.")
    if isinstance(file, io.TextIOBase) or isinstance(getattr(file, "encoding", None), str):
        raise InvalidRequestError(_AS_TEXT.format(name))
    try:
        seekable = getattr(file, "seekable", None)
        if seekable is None or seekable():
            start = file.tell()
            file.seek(0, os.SEEK_END)
            end = file.tell()
            file.seek(start)
            return FileBody(file, start, max(end - start, 0))
    except Exception:  # of many kinds, for archives and damaged packings; reading it will tell
        pass
    return StreamBody(file, _promised_length(file))


def _promised_length(source: Any) -> int | None:
    """The bytes that an object says it has, by `len()` or by an attribute `len`."""
    try:
        length = len(source) if hasattr(source, "__len__") else getattr(source, "len", None)
    except (TypeError, OverflowError):
        return None
    return length if isinstance(length, int) and length >= 0 else None


def _piece(item: Any) -> bytes:
    if type(item) is bytes:
        return item
    if isinstance(item, str):
        return utf8(item, "The text of the body")
    if isinstance(item, (bytes, bytearray, memoryview)):
        return bytes(item)
    raise InvalidRequestError(f"A body is made of bytes; one piece is of type {type(item).__name__}.")


def _read(file: Any, length: int | None, name: str) -> Iterator[bytes]:
    """`length` bytes of `file`, or all of them; never more than announced, and an error if there are fewer."""
    left = length
    while left is None or left > 0:
        try:
            data = file.read(PIECE if left is None else min(PIECE, left))
        except Exception as error:
            # Of many kinds (of archives, of other answers). As it is, it could pass for a failure of the connection.
            raise InvalidRequestError(f"The file {name} cannot be read: {error}.") from error
        if left is not None and isinstance(data, str):  # its length was counted in something else
            raise InvalidRequestError(_AS_TEXT.format(name))
        piece = _piece(data)
        if not piece:
            break
        if left is not None:
            piece = piece[:left]
            left -= len(piece)
        yield piece
    if left:
        raise InvalidRequestError(f"The file {name} ended {left} bytes early: it shrank while it was sent.")
