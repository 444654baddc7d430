"""URLs, and what others say, as they may be shown: in errors, logs and reprs."""

from __future__ import annotations

import re

_LONGEST_URL = 500
# Scheme, host and port with nothing that could be part of a password. Compiled by the first URL that is shown.
_PLAIN_PLACE = r"[A-Za-z][A-Za-z0-9+.-]*://(?:\[[^\]@/]*\]|[^:@/\[\]\\]*)(?::[0-9]*)?(?=/|\?…|\Z)"


def redact_url(url: object) -> str:
    """`url` as it may be shown: without user info, and with query and fragment replaced by an ellipsis.

    Where it cannot be told where a password ends, everything that may be one is left out. Never raises.
    """
    text = str(url)
    cut = re.search(r"[?#]", text)
    shown = text if cut is None else text[: cut.start()] + "?…"
    if re.match(_PLAIN_PLACE, shown) is None:
        shown = _without_userinfo(shown, text.count("@"))
    return plain(shown, _LONGEST_URL)


def plain(value: object, longest: int = 200) -> str:
    """`value` as text that can be shown: printable, on one line, at most `longest` characters."""
    text = str(value)
    shown = "".join(letter if letter.isprintable() else " " if letter.isspace() else "�" for letter in text[:longest])
    return shown if len(text) <= longest else shown[:-1] + "…"


def json_escape(letter: str) -> str:
    """`letter` as JSON writes what cannot be seen (RFC 8259 section 7)."""
    units = letter.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _without_userinfo(text: str, marks: int) -> str:
    """`text` less what stands before the host; `marks` is the number of @ in the whole URL."""
    scheme, mark, rest = text.partition("://")
    if not mark:
        return text.rpartition("@")[2]
    authority, slash, path = rest.partition("/")
    bare = f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"
    return bare if authority.count("@") == marks and re.match(_PLAIN_PLACE, bare) else f"{scheme}://***"
