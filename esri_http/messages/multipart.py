"""Streamed multipart/form-data (RFC 7578): the length known in advance, nothing held in memory but one piece.

Names are written as browsers do (WHATWG HTML, "multipart/form-data encoding algorithm"): UTF-8, with ``"`` as ``%22`` and
line breaks as ``%0D`` and ``%0A``; so are all other control characters.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ..words.errors import InvalidRequestError
from ..words.headers import Headers
from .body import Body, BytesBody, file_name, source_body, utf8
from .forms import esri_pairs

_ESCAPED = re.compile(r'["\x00-\x1f\x7f]')
_END_OF_LINE = b"\r\n"
_WORTH_SENDING = 64 * 1024
_DEFAULT_TYPE = "application/octet-stream"
# What people publish to a portal most; the rest is looked up.
_TYPES = {
    "csv": "text/csv",
    "geojson": "application/geo+json",
    "gpkg": "application/geopackage+sqlite3",
    "jpg": "image/jpeg",
    "json": "application/json",
    "kmz": "application/vnd.google-earth.kmz",
    "pdf": "application/pdf",
    "png": "image/png",
    "sd": "application/octet-stream",
    "tif": "image/tiff",
    "txt": "text/plain",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "zip": "application/zip",
}


class Part(NamedTuple):
    """One part: its header lines with the empty line after them, and its content."""

    head: bytes
    body: Body


class MultipartBody(Body):
    """Form fields and files in one body. It can be sent again if every part can; a part of unknown length leaves the
    whole without one.
    """

    __slots__ = ("_boundary", "_parts")

    def __init__(self, parts: list[Part], boundary: str | None = None) -> None:
        """`boundary` (printable ASCII, in none of the parts) is random where it is not given."""
        self._boundary = boundary or os.urandom(16).hex()
        self._parts = parts
        super().__init__(
            self._length(), f"multipart/form-data; boundary={self._boundary}", all(part.body.replayable for part in parts)
        )

    @classmethod
    def of(cls, data: Any, files: Any) -> MultipartBody:
        """The body for form fields `data` (a dict, pairs or `None`) and `files`.

        `files` is a dict or a list of pairs: field name and file, or field name and a tuple of file name, file and, where
        wanted, content type and a dict of headers. A file is a file opened in binary mode, a `pathlib.Path`, bytes, text
        (UTF-8) or an iterable of bytes; a file name of `None` makes it a plain field, a file of `None` is left out.

        Raises `InvalidRequestError` for other things, and `InvalidHeaderError` for header values that break the line.
        """
        parts = [_field_part(name, value) for name, value in esri_pairs(data)]
        parts.extend(part for part in (_file_part(name, file) for name, file in _named_files(files)) if part is not None)
        return cls(parts)

    def with_field(self, name: str, value: object) -> MultipartBody:
        """As of `Body`: the field comes first."""
        fields = [_field_part(name, text) for name, text in esri_pairs({name: value})]
        return MultipartBody(fields + self._parts, self._boundary)

    def __iter__(self) -> Iterator[bytes]:
        return _gathered(self._pieces())

    def _pieces(self) -> Iterator[bytes]:
        delimiter = b"--" + self._boundary.encode("ascii")
        for part in self._parts:
            yield delimiter + _END_OF_LINE + part.head
            yield from part.body
            yield _END_OF_LINE
        yield delimiter + b"--" + _END_OF_LINE

    def _length(self) -> int | None:
        # "--" and a line end round each boundary, a line end after each content; "--" and a line end more at the end.
        total = (len(self._parts) + 1) * (len(self._boundary) + 4) + len(self._parts) * 2 + 2
        for part in self._parts:
            if part.body.length is None:
                return None
            total += len(part.head) + part.body.length
        return total


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """`pieces` with the small ones joined, so that a small form is one packet and a file goes through untouched."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _WORTH_SENDING:
            yield piece if len(waiting) == 1 else b"".join(waiting)
            waiting.clear()
            size = 0
    if waiting:
        yield b"".join(waiting)


def _named_files(files: Any) -> Iterable[tuple[Any, Any]]:
    if hasattr(files, "items"):
        named: Iterable[tuple[Any, Any]] = files.items()
        return named
    if isinstance(files, (list, tuple)) and all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in files):
        return files
    raise InvalidRequestError("files is a dict or a list of pairs: field name and file.")


def _field_part(name: str, value: str | bytes) -> Part:
    content = value if isinstance(value, bytes) else utf8(value, f"The field {name!r:.80}")
    return Part(_head(name, None, None, {}), BytesBody(content))


def _file_part(field: Any, file: Any) -> Part | None:
    """The part for one entry of `files`; `None` where there is no file in it."""
    if isinstance(field, bytes):
        field = field.decode("utf-8", "replace")
    if not isinstance(field, str):
        raise InvalidRequestError(f"The field name of a file is text, not {type(field).__name__}.")
    content_type, headers = None, None
    if isinstance(file, (tuple, list)):
        if not 2 <= len(file) <= 4:
            raise InvalidRequestError(f"The file for {field!r:.80} is (file name, file[, content type[, headers]]).")
        name, source, content_type, headers = (*file, None, None)[:4]
    else:
        name, source = file_name(file) or field, file
    if source is None:
        return None
    if isinstance(name, (bytes, os.PathLike)):
        name = os.fsdecode(name)
    if name is not None and not isinstance(name, str):
        raise InvalidRequestError(f"The file name for {field!r:.80} is text, not {type(name).__name__}.")
    return Part(_head(field, name, content_type, headers or {}), source_body(source))


def _head(field: str, name: str | None, content_type: str | None, headers: Any) -> bytes:
    """The header lines of a part; `headers` of the caller's may add to them but not say which field it is."""
    disposition = f'Content-Disposition: form-data; name="{_escaped(field)}"'
    if name is not None:
        disposition += f'; filename="{_escaped(name)}"'
    extra = Headers(headers)
    extra.pop("Content-Disposition", None)
    if content_type is not None:
        extra["Content-Type"] = content_type
    elif name is not None:
        extra.setdefault("Content-Type", guess_type(name))
    lines = [utf8(disposition, "The name of a file or field")]
    lines.extend(f"{key}: {value}".encode("latin-1") for key, value in extra.items())
    return _END_OF_LINE.join(lines) + _END_OF_LINE + _END_OF_LINE


def _escaped(name: str) -> str:
    return _ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", name)


def guess_type(name: str) -> str:
    """The content type that the ending of a file name stands for; that of plain bytes where it is not known."""
    _, dot, ending = name.rpartition(".")
    known = _TYPES.get(ending.lower()) if dot else _DEFAULT_TYPE
    if known is not None:
        return known
    import mimetypes

    kind, encoding = mimetypes.guess_type(f"x.{ending}")
    return kind if kind is not None and encoding is None else _DEFAULT_TYPE
