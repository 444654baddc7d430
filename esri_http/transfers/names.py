"""File names that a server gives: what they are, and what is safe of them.

A server must not choose where a file goes, nor give one that the system, or a later download, takes for something else.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..messages.response import Response

FALLBACK = "download"
# What stands beside a file that is not whole yet; a server's own word must never get there.
PART_ENDING = ".part"
NOTE_ENDING = ".part.json"
# Bytes in UTF-8. Most file systems take 255, and the part's endings come on top.
_LONGEST_NAME = 200
_LONGEST_EXTENSION = 20

_PARAMETER = re.compile(r";[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,40})[ \t]*=[ \t]*(?:\"((?:[^\"\\]|\\.)*)\"|([^;]*))")
_EXTENDED = re.compile(r"([A-Za-z0-9!#$%&+\-^_`{}~]{1,40})'[A-Za-z0-9-]*'(.*)\Z", re.DOTALL)
_FORBIDDEN = re.compile(r'[<>:"|?*]')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])[ ]*(?:\.|\Z)", re.IGNORECASE)


def file_name_of(response: Response) -> str:
    """A safe name for the content of `response`: from `Content-Disposition` (RFC 6266), else the end of its URL's path."""
    named = _disposition_name(response.headers.get("content-disposition") or "")
    return safe_name(named) or safe_name(_last_segment(response.request.path)) or FALLBACK


def safe_name(name: str) -> str:
    """`name` as one plain name for any system, or the empty text where nothing is left of it."""
    name = re.split(r"[/\\]", name)[-1]
    name = "".join(letter if letter.isprintable() else "_" for letter in _FORBIDDEN.sub("_", name))
    name = _shortened(name.strip(". "))
    if name.lower().endswith((PART_ENDING, NOTE_ENDING)):
        name += "_"
    return "_" + name if _RESERVED.match(name) else name


def _shortened(name: str) -> str:
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    stem, extension = os.path.splitext(name)
    if len(extension.encode()) > _LONGEST_EXTENSION:
        stem, extension = name, ""
    room = _LONGEST_NAME - len(extension.encode())
    return (stem.encode()[:room].decode("utf-8", "ignore") + extension).strip(". ")


def _disposition_name(field: str) -> str:
    """The file name in a `Content-Disposition`, as it was sent; ``filename*`` goes before ``filename``."""
    found: dict[str, str] = {}
    for name, quoted, bare in _PARAMETER.findall(field if field.lstrip().startswith(";") else ";" + field.partition(";")[2]):
        found.setdefault(name.lower(), re.sub(r'\\(["\\])', r"\1", quoted) if quoted else bare.strip(' \t"'))
    return _decoded_extended(found.get("filename*", "")) or _decoded_plain(found.get("filename", ""))


def _decoded_extended(value: str) -> str:
    """RFC 8187: ``UTF-8''na%C3%AFve``; the empty text for what is none."""
    from urllib.parse import unquote_to_bytes

    match = _EXTENDED.match(value)
    if match is None or match[1].lower() not in ("utf-8", "iso-8859-1"):
        return ""
    return unquote_to_bytes(match[2]).decode(match[1], "replace")


def _decoded_plain(value: str) -> str:
    """Header fields are read as Latin-1; what fits UTF-8 was meant so."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def _last_segment(path: str) -> str:
    from urllib.parse import unquote

    return unquote(path.rstrip("/").rpartition("/")[2])
