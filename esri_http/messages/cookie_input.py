"""What a caller hands over as cookies, checked: nothing that could end the header or begin another cookie gets through."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Union

from ..words.errors import InvalidHeaderError
from .set_cookie import LONGEST_COOKIE

# Names with values, pairs, cookie objects, or a jar (whatever has `set_cookie`).
CookieInput = Union[Mapping[str, Any], Iterable[Any], None]

_PARTS_OF_A_COOKIE = ("name", "value", "domain", "path", "secure", "expires")
_BAD_NAME = re.compile(r"[\x00-\x08\x0a-\x1f\x7f=;]")
_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f;]")


def checked_pair(name: object, value: object) -> tuple[str, str]:
    """`name` and `value` as text that stays within its place in a header. The value is not shown in errors."""
    if not isinstance(name, str) or not name or name != name.strip(" \t") or _BAD_NAME.search(name) or not _fits_latin_1(name):
        raise InvalidHeaderError(f"{name!r:.80} is not the name of a cookie (RFC 6265 section 4.1.1).")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise InvalidHeaderError(f"The cookie {name:.80} takes text, not {type(value).__name__}.")
    if _BAD_VALUE.search(value):
        raise InvalidHeaderError(f"The value of the cookie {name:.80} holds a control character, a line break or a semicolon.")
    if not _fits_latin_1(value):
        raise InvalidHeaderError(f"The value of the cookie {name:.80} holds characters outside Latin-1; encode them first.")
    if len(name) + len(value) > LONGEST_COOKIE:
        raise InvalidHeaderError(
            f"The cookie {name:.80} is longer than {LONGEST_COOKIE} characters; servers would not take it."
        )
    return name, value


def check_scope(name: str, domain: object, path: object, expires: object) -> None:
    """Raise `InvalidHeaderError` where the cookie `name` has attributes by which no jar can keep it."""
    if any(text is not None and not isinstance(text, str) for text in (domain, path)):
        raise InvalidHeaderError(f"The domain and the path of the cookie {name:.80} are text.")
    if isinstance(domain, str) and domain and not domain.strip(". "):  # as if there were none, it would go everywhere
        raise InvalidHeaderError(f"The domain of the cookie {name:.80} names no host.")
    if expires is not None and (not isinstance(expires, (int, float)) or expires != expires):
        raise InvalidHeaderError(f"The cookie {name:.80} expires at a number of seconds since the epoch, or never (None).")


def _fits_latin_1(text: str) -> bool:
    return text.isascii() or max(text) <= "\xff"


def cookie_items(source: CookieInput) -> list[Any]:
    """`source` as a list of pairs and cookie objects."""
    if source is None:
        return []
    if hasattr(source, "set_cookie"):  # a jar: ours, the standard library's, or that of requests (which is a mapping too)
        return list(source)
    if isinstance(source, Mapping):
        return list(source.items())
    if isinstance(source, (str, bytes)) or not isinstance(source, Iterable):
        raise InvalidHeaderError(f"cookies= takes a mapping, pairs or a jar, not {type(source).__name__}.")
    items = [tuple(item) if isinstance(item, list) else item for item in source]
    for item in items:
        if not _is_pair_or_cookie(item):
            raise InvalidHeaderError(f"cookies= takes pairs of name and value, not {type(item).__name__}.")
    return items


def _is_pair_or_cookie(item: object) -> bool:
    return len(item) == 2 if isinstance(item, tuple) else all(hasattr(item, part) for part in _PARTS_OF_A_COOKIE)
