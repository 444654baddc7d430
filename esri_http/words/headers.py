"""Header fields: a case-insensitive mapping, the check that keeps them single lines, and which of them are secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING

from .errors import InvalidHeaderError

if TYPE_CHECKING:
    from typing import Callable, Union

    HeaderInput = Union[Mapping[str, Union[str, bytes, None]], Iterable[tuple[str, Union[str, bytes, None]]], None]


TOKEN_HEADER = "X-Esri-Authorization"
# What is for one origin only: never carried to another by a redirect (RFC 9110 section 15.4).
SECRET_HEADERS = frozenset({"authorization", "cookie", "cookie2", "proxy-authorization", TOKEN_HEADER.lower()})
# What describes a body: dropped when a redirect turns the request into a GET.
BODY_HEADERS = frozenset(
    {
        *("content-digest", "content-disposition", "content-encoding", "content-language", "content-length"),
        *("content-location", "content-md5", "content-range", "content-type", "digest", "expect", "last-modified"),
        *("repr-digest", "trailer", "transfer-encoding"),
    }
)
# What is looked for in every request, under one spelling.
_SPELT = {"host": "Host", "proxy-authorization": "Proxy-Authorization"}
# Where a body ends is said by who sends it: a caller's own word on it could make two requests of one.
_FRAMING_HEADERS = frozenset({"content-length", "transfer-encoding"})

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")  # RFC 9110 section 5.6.2
_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Headers(MutableMapping[str, str]):
    """A case-insensitive mapping that keeps the spelling and the order of the last writer.

    Every name and value is checked when it is set. One thread may write while others read `plain()`.
    """

    __slots__ = ("_items", "_plain")
    # `_plain` is a cell for what `plain` gives. A writer puts a new one there, so no reader fills it with what is outdated.

    def __init__(self, source: HeaderInput = None) -> None:
        self._items: dict[str, tuple[str, str]] = {}
        self._plain: list[dict[str, str]] = []
        for name, value in pairs(source):
            if value is not None:
                self[name] = value

    def __getitem__(self, name: str) -> str:
        return self._items[name.lower()][1]

    def __setitem__(self, name: str, value: str | bytes) -> None:
        value = text_value(name, value)
        self._items[name.lower()] = (name, value)
        self._plain = []

    def __delitem__(self, name: str) -> None:
        del self._items[name.lower()]
        self._plain = []

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._items

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def copy(self) -> Headers:
        """An independent copy."""
        twin = Headers()
        twin._items = self._items.copy()
        return twin

    __copy__ = copy

    def plain(self) -> dict[str, str]:
        """The fields as an ordinary dict, for a request; the same one until something changes, so do not edit it.

        `Host` and `Proxy-Authorization` are spelt so, and what a caller says of the length of the body is left out.
        """
        cell = self._plain
        if not cell:
            fields = self._items.copy().items()  # a copy is one step; a loop, even in C, may meet a writer
            cell.append({_SPELT.get(key, name): value for key, (name, value) in fields if key not in _FRAMING_HEADERS})
        return cell[0]

    def __repr__(self) -> str:
        return f"Headers({redact_headers(self)!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        theirs = {str(name).lower(): value for name, value in other.items()}
        return {name: value for name, (_, value) in self._items.items()} == theirs

    __hash__ = None  # type: ignore[assignment]


def pairs(source: HeaderInput) -> Iterable[tuple[str, str | bytes | None]]:
    """The fields of anything that users hand over as headers; raises `InvalidHeaderError` where it holds none."""
    if source is None:
        return ()
    if isinstance(source, Mapping):
        return source.items()
    try:
        return [(name, value) for name, value in source]
    except (TypeError, ValueError):
        raise InvalidHeaderError("headers= takes a dict of names and values, or pairs of them.") from None


def text_value(name: str, value: str | bytes) -> str:
    """`value` as text that is safe on one line; raises `InvalidHeaderError`."""
    if not isinstance(name, str) or not _TOKEN.match(name):
        raise InvalidHeaderError(f"{name!r:.80} is not a header name (RFC 9110 section 5.1).")
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not isinstance(value, str):
        raise InvalidHeaderError(f"The header {name} takes text, not {type(value).__name__}.")
    value = value.strip(" \t")
    if _BAD_VALUE.search(value):
        raise InvalidHeaderError(f"The value of the header {name} holds control characters or a line break.")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        raise InvalidHeaderError(
            f"The value of the header {name} holds characters outside Latin-1; encode them first."
        ) from None
    return value


def check_method(method: str) -> str:
    """`method` in upper case; raises `InvalidHeaderError` where it is no token (RFC 9110 section 9.1)."""
    if not isinstance(method, str) or not _TOKEN.match(method):
        raise InvalidHeaderError(f"{method!r:.80} is not an HTTP method.")
    return method.upper()


def merge(defaults: dict[str, str], extra: HeaderInput) -> dict[str, str]:
    """A new dict: `defaults` with `extra` laid over it, whatever the case; a value of `None` removes the default.

    As for `Headers.plain`, what is said of the length of the body does not count.
    """
    if not extra:
        return dict(defaults)
    merged = Headers()
    merged._items = {name.lower(): (name, value) for name, value in defaults.items()}
    for name, value in pairs(extra):
        if value is None:
            merged._items.pop(str(name).lower(), None)
        else:
            merged[name] = value
    return merged.plain()


def lookup(headers: Mapping[str, str], name: str) -> str | None:
    """The value of `name` in a plain dict, whatever the case of its keys."""
    value = headers.get(name)
    if value is not None:
        return value
    wanted, length = name.lower(), len(name)
    for key in headers:
        if len(key) == length and key.lower() == wanted:
            return headers[key]
    return None


def all_values(headers: Mapping[str, str], name: str) -> list[str]:
    """Every value of `name`, each field apart where that is known, as in urllib3's own header fields."""
    getlist: Callable[[str], list[str]] | None = getattr(headers, "getlist", None)
    if getlist is not None:
        return getlist(name)
    return [headers[name]] if name in headers else []


def without(headers: Mapping[str, str], names: frozenset[str]) -> dict[str, str]:
    """A copy of `headers` less the lower-case `names`."""
    return {name: value for name, value in headers.items() if name.lower() not in names}


def redact_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """`headers` as they may be shown."""
    return {
        name: "***" if name.lower() in SECRET_HEADERS or name.lower() == "set-cookie" else value
        for name, value in headers.items()
    }
