"""Sign-in from a netrc file: only where the environment is trusted, and only for exactly the host that is asked."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from .base import INERT, Audience, AuthRun
from .web_tier.basic import PlainBasicAuth

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..words.origins import Origin

_MOST_BYTES = 1 << 20
_WORD = re.compile(r'\n|"(?:[^"\\\n]|\\.)*"|\S+')
_MACRO = re.compile(r"(?ms)^[ \t]*macdef\b.*?(?:\n[ \t\r]*\n|\Z)")
_KEYWORDS = {"login": "login", "user": "login", "password": "password", "account": "account"}


class _NetrcAuth(PlainBasicAuth):
    """Basic for one origin and, whatever else the session trusts, for no other."""

    def begin(self, audience: Audience) -> AuthRun:
        return super().begin(audience) if audience.origin == self._origin else INERT


def netrc_auth(origin: Origin) -> PlainBasicAuth | None:
    """Basic for `origin` from ``$NETRC``, ``~/.netrc`` or ``~/_netrc``; `None` where there is no whole entry for its host.

    A file that is missing, damaged or unreadable counts as none, and so does the ``default`` entry.
    """
    path = _netrc_path()
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            entry = find_entry(file.read(_MOST_BYTES).decode("utf-8-sig"), origin.host)
    except (OSError, ValueError):
        return None
    login, password = entry.get("login"), entry.get("password")
    if not login or not password or ":" in login:
        return None
    return _NetrcAuth(login, password, url=str(origin))


def find_entry(text: str, host: str) -> dict[str, str]:
    """What the first entry for exactly `host` says, by keyword; empty without one.

    The standard library's reader differs from one Python to the next in quotes, umlauts and partial entries. Raises
    `ValueError` for a text that is damaged before the end of that entry.
    """
    entry: dict[str, str] = {}
    mine = False
    words = (match.group() for match in _WORD.finditer(_MACRO.sub("\n", text)))
    for word in words:
        if word.startswith("#"):
            next((rest for rest in words if rest == "\n"), None)
        elif word == "default" or (word == "machine" and mine):
            break
        elif word == "machine":
            mine = _value(words).lower() == host
        elif word in _KEYWORDS:
            value = _value(words)
            if mine:
                entry[_KEYWORDS[word]] = value
        elif word != "\n":
            raise ValueError("not a netrc keyword")
    return entry


def _value(words: Iterator[str]) -> str:
    word = next((word for word in words if word != "\n"), "")
    if not word.startswith('"'):
        return word
    if len(word) < 2 or not word.endswith('"'):
        raise ValueError("a quote does not close")
    return re.sub(r"\\(.)", r"\1", word[1:-1])


def _netrc_path() -> str | None:
    named = os.environ.get("NETRC")
    candidates = [named] if named else [os.path.join(os.path.expanduser("~"), name) for name in (".netrc", "_netrc")]
    return next((path for path in candidates if os.path.isfile(path)), None)
