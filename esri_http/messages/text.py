"""Bytes to text: charsets, byte order marks and lines."""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Iterator
from itertools import chain
from typing import Any

from ..words.errors import InvalidRequestError

_CHARSET = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9._:-]+)""", re.IGNORECASE)
# Codecs for host names and for Python's own source: no charsets, and slow or noisy on hostile input.
_NO_CHARSETS = frozenset({"idna", "punycode", "raw-unicode-escape", "unicode-escape"})
_MARKS = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def charset_of(content_type: str | None) -> str | None:
    """The charset that a `Content-Type` names, or `None`."""
    match = _CHARSET.search(content_type or "")
    return match.group(1) if match else None


def usable_charset(name: str | None) -> str:
    """`name` if it is a charset that there is, UTF-8 otherwise; raises `InvalidRequestError` for what is no text."""
    if name is not None and not isinstance(name, str):
        raise InvalidRequestError(f"encoding takes the name of a charset, not {type(name).__name__}.")
    try:
        charset = codecs.lookup(name or "utf-8").name
        b"a".decode(charset, "replace")  # Python also has codecs for other things than text
    except (LookupError, ValueError):
        return "utf-8"
    return "utf-8" if charset in _NO_CHARSETS else charset


def marked_charset(content: bytes) -> str | None:
    """The encoding that a byte order mark tells, or `None`."""
    return next((name for mark, name in _MARKS if content.startswith(mark)), None)


def apparent_charset(content: bytes) -> str:
    """What the bytes look like: a byte order mark's word, UTF-8 where it fits, else Latin-1."""
    marked = marked_charset(content)
    if marked is not None:
        return marked
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "iso-8859-1"
    return "utf-8"


def decode_pieces(pieces: Iterator[bytes], charset: str) -> Iterator[str]:
    """Pieces of bytes as pieces of text; characters cut in two are joined, and what does not fit becomes U+FFFD."""
    start = b""
    if charset in ("utf-16", "utf-32"):
        while len(start) < 4 and (piece := next(pieces, b"")):
            start += piece
        if marked_charset(start) != charset:  # it fails where no mark tells the order of bytes; for a whole text, it is ours
            charset += "-le" if sys.byteorder == "little" else "-be"
    decoder = codecs.getincrementaldecoder(charset)(errors="replace")
    for piece in chain((start,), pieces):
        text = decoder.decode(piece)
        if text:
            yield text
    rest = decoder.decode(b"", final=True)
    if rest:
        yield rest


def usable_delimiter(delimiter: Any, in_text: bool) -> Any:
    """`delimiter`, or `None` for an empty one; raises `InvalidRequestError` where nothing of its kind is in what is cut."""
    if delimiter and not isinstance(delimiter, str if in_text else (bytes, bytearray)):
        wanted = "text with decode_unicode=True" if in_text else "bytes, or text together with decode_unicode=True"
        raise InvalidRequestError(f"delimiter= takes {wanted}, not {type(delimiter).__name__}.")
    return delimiter or None


def split_lines(pieces: Iterator[Any], delimiter: Any = None) -> Iterator[Any]:
    """The lines in pieces of text or bytes, without their ends; or what stands between `delimiter`s. Takes linear time."""
    pending: list[Any] = []  # joined once, when the line is whole
    seam: Any = None  # the end of what is pending, where the first half of a delimiter may stand
    for piece in pieces:
        mark = delimiter or ("\n" if isinstance(piece, str) else b"\n")
        nearby = piece if not seam else seam + piece
        pending.append(piece)
        if mark in nearby:
            *lines, rest = _cut(piece[:0].join(pending), delimiter, mark)
            yield from lines
            pending, nearby = [rest], rest
        seam = nearby[max(0, len(nearby) - len(mark) + 1) :]
    if pending:
        rest = pending[0][:0].join(pending)
        if rest:
            yield from rest.split(delimiter) if delimiter else rest.splitlines()


def _cut(text: Any, delimiter: Any, mark: Any) -> list[Any]:
    """The whole lines in `text`, and the rest behind the last of them."""
    if delimiter:
        parts: list[Any] = text.split(delimiter)
        return parts
    end = text.rfind(mark) + 1
    return [*text[:end].splitlines(), text[end:]]
