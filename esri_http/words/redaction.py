"""URLs as they may be shown: in errors, logs and reprs."""

from __future__ import annotations

import re


def redact_url(url: object) -> str:
    """`url` as it may be shown: without user info, and with query and fragment replaced by an ellipsis.

    Never raises, whatever it is given.
    """
    text = str(url)
    cut = re.search(r"[?#]", text)
    shown = text if cut is None else text[: cut.start()] + "?…"
    scheme, mark, rest = shown.partition("://")
    if mark:
        authority, slash, path = rest.partition("/")
        shown = f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"
    shown = "".join(character if character.isprintable() else "�" for character in shown)
    return shown if len(shown) <= 500 else shown[:500] + "…"
