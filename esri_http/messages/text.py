"""Bytes to text: charsets, byte order marks and lines."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Any

_CHARSET = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9._:-]+)""", re.IGNORECASE)
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def charset_of(content_type: str | None) -> str | None:
    """The charset that a `Content-Type` names, or `None`."""
    match = _CHARSET.search(content_type or "")
    return match.group(1) if match else None


def usable_charset(name: str | None) -> str:
    """`name` if it is an encoding that there is, UTF-8 otherwise."""
    try:
        return codecs.lookup(name or "utf-8").name
    except (LookupError, ValueError):
        return "utf-8"


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
    decoder = codecs.getincrementaldecoder(charset)(errors="replace")
    for piece in pieces:
        text = decoder.decode(piece)
        if text:
            yield text
    rest = decoder.decode(b"", final=True)
    if rest:
        yield rest


def split_lines(pieces: Iterator[Any], delimiter: Any = None) -> Iterator[Any]:
    """The lines in pieces of text or bytes, without their ends; or what stands between `delimiter`s."""
    pending: list[Any] = []
    for piece in pieces:
        if not piece:
            continue
        ends = delimiter if delimiter else ("\n" if isinstance(piece, str) else b"\n")
        if ends[-1:] not in piece:
            pending.append(piece)  # joined once, when the line is whole
            continue
        joined = piece[:0].join([*pending, piece])
        cut = joined.rfind(ends) + len(ends) if ends in joined else 0
        pending = [joined[cut:]] if cut < len(joined) else []
        whole = joined[:cut]
        if whole:
            yield from whole[: -len(ends)].split(delimiter) if delimiter else whole.splitlines()
    rest = pending[0][:0].join(pending) if pending else None
    if rest:
        yield from rest.split(delimiter) if delimiter else rest.splitlines()
