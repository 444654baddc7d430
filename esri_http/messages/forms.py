"""Form fields by ArcGIS's rules, one text for query string and body alike (application/x-www-form-urlencoded).

=====================================  =========================================================
value                                  becomes
=====================================  =========================================================
None                                   nothing, the field is left out
""                                     kept: ``key=``
bool                                   ``true``, ``false``
datetime                               epoch milliseconds; one without a zone is local time
date                                   epoch milliseconds of its midnight, UTC
dict, list with a dict in it           compact JSON
list, tuple or set of plain values     joined by commas; a set is sorted first
list of lists of plain values          the key repeated, each inner list joined by commas
lists nested deeper or mixed           compact JSON
bytes                                  themselves
Enum member                            its value
numpy scalar or array                  what its ``tolist()`` holds; ``datetime64`` as epoch milliseconds
everything else                        ``str()`` of it
=====================================  =========================================================
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set, ValuesView
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from typing import Any, Union

from ..words.errors import InvalidRequestError

Fields = Union[Mapping[Any, Any], Iterable["tuple[Any, Any] | list[Any]"], str, bytes, None]

_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]*\Z").match
_ESCAPES = [chr(byte) if _UNRESERVED(chr(byte)) else f"%{byte:02X}" for byte in range(256)]
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_NOT_IN_QUERY = re.compile(r"[^!\"$-~]+")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)
_NOT_A_TIME = -(1 << 63)  # what numpy makes of NaT
_NO_FIELDS = "Form fields are a dict or (name, value) pairs."
_SEVERAL = (Sequence, Set, Iterator, ValuesView)


def encode_fields(fields: Fields) -> str:
    """`fields` as form text: UTF-8, percent-encoded, a blank as ``%20``. `None` and no fields give the empty text.

    Text or bytes count as a finished query: they come back as they are, with only blanks, ``#`` and non-ASCII characters
    percent-encoded.

    Raises `InvalidRequestError` where a value cannot be sent: control characters in a finished query, half a character
    (a lone surrogate), NaN in JSON, an open file, something that is not pairs.
    """
    if fields is None:
        return ""
    if isinstance(fields, (str, bytes)):
        return _finished_query(fields)
    parts = []
    for name, value in _each(fields):
        name = name if type(name) is str else _name(name)
        key = _quoted(name)
        kind = type(value)
        if kind is str:
            parts.append(f"{key}={_quoted(value)}")
        elif kind is int:
            parts.append(f"{key}={_digits(name, value)}")
        elif value is not None:
            parts.extend([f"{key}={_quoted(text)}" for text in _texts(name, value)])
    return "&".join(parts)


def esri_pairs(fields: Fields) -> list[tuple[str, str | bytes]]:
    """`fields` as plain pairs by the same rules, before any percent-encoding; bytes stay bytes.

    Raises `InvalidRequestError` as `encode_fields` does, and for finished text, which has no fields to tell apart.
    """
    if isinstance(fields, (str, bytes)):
        raise InvalidRequestError("Form fields are a dict or (name, value) pairs here, not finished text.")
    found: list[tuple[str, str | bytes]] = []
    for name, value in _each(fields or ()):
        key = _name(name)
        found.extend([(key, text) for text in _texts(key, value)])
    return found


def json_text(value: object, what: str = "The value") -> str:
    """`value` as compact JSON text, with dates as epoch milliseconds; `what` names it in an error.

    Raises `InvalidRequestError` for what JSON does not know: NaN and infinity, a circle, an object of another kind.
    """
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise InvalidRequestError(f"{what} cannot be written as JSON: {error}") from error


def _each(fields: Any) -> Iterable[tuple[Any, Any]]:
    """The pairs of a mapping, or of an iterable of pairs, checked as they come."""
    if not hasattr(fields, "items"):
        return _checked(fields)
    try:
        pairs: Iterable[tuple[Any, Any]] = fields.items()
    except TypeError:  # an attribute of that name, or a class
        raise InvalidRequestError(_NO_FIELDS) from None
    return pairs


def _checked(pairs: Any) -> Iterator[tuple[Any, Any]]:
    try:
        for pair in pairs:
            name, value = pair if isinstance(pair, (tuple, list)) else ()
            yield name, value
    except (TypeError, ValueError):
        raise InvalidRequestError(_NO_FIELDS) from None


def _name(name: object) -> str:
    if isinstance(name, str) and not isinstance(name, Enum):
        return name
    if isinstance(name, (list, tuple, dict)) or name is None:
        raise InvalidRequestError(f"A field's name is text, not {type(name).__name__}.")
    return _scalar("The name of a field", name)


def _quoted(text: str | bytes) -> str:
    if isinstance(text, str):
        if _UNRESERVED(text):
            return text
        try:
            text = text.encode()
        except UnicodeEncodeError:
            raise InvalidRequestError("A form field holds half a character (a lone surrogate); give it as bytes.") from None
    return "".join([_ESCAPES[byte] for byte in text])


def _finished_query(query: str | bytes) -> str:
    text = query.decode("latin-1") if isinstance(query, bytes) else query
    if _CONTROLS.search(text):
        raise InvalidRequestError("The query holds control characters or a line break; percent-encode them.")
    return _NOT_IN_QUERY.sub(lambda found: _quoted(found[0].encode("latin-1") if isinstance(query, bytes) else found[0]), text)


def _texts(name: str, value: Any) -> list[str | bytes]:
    """What to send under `name`: no text for `None`, several for a list of lists."""
    value = _without_wrapping(value)
    if value is None:
        return []
    if isinstance(value, (str, bytes, bytearray, memoryview)):
        return [value if isinstance(value, str) else bytes(value)]
    if isinstance(value, Mapping):
        return [json_text(value, _field(name))]
    if isinstance(value, _SEVERAL) and not hasattr(value, "read"):
        return list(_of_several(name, value))
    return [_scalar(_field(name), value)]


def _of_several(name: str, values: Iterable[Any]) -> list[str]:
    items = [_without_wrapping(value) for value in values]
    inner = [item for item in items if _is_list(item)]
    if any(isinstance(item, Mapping) for item in items) or (inner and len(inner) < len(items)):
        return [json_text(items, _field(name))]
    if any(_is_list(part) or isinstance(part, Mapping) for item in inner for part in item):
        return [json_text(items, _field(name))]
    if inner:
        return [_joined(name, item) for item in inner]
    return [_joined(name, items, in_order=not isinstance(values, Set))]


def _joined(name: str, items: Iterable[Any], in_order: bool = True) -> str:
    texts = [_scalar(_field(name), item) for item in items if item is not None]
    return ",".join(texts if in_order else sorted(texts))


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple, Set))


def _without_wrapping(value: Any) -> Any:
    """The plain value in an Enum member or in something of numpy's kind."""
    if isinstance(value, Enum):
        return value.value
    if hasattr(value, "tolist") and not isinstance(value, memoryview):
        if getattr(getattr(value, "dtype", None), "kind", "") == "M":
            return _times(value.astype("datetime64[ms]").astype("int64").tolist())
        return value.tolist()
    return value


def _times(found: Any) -> Any:
    """Epoch milliseconds, one or lists of them, as they are; raises where a time is missing."""
    if isinstance(found, list):
        return [_times(one) for one in found]
    if found == _NOT_A_TIME:
        raise InvalidRequestError("A datetime64 that is no time (NaT) has no epoch milliseconds; give None in its place.")
    return found


def _field(name: str) -> str:
    return f"The field {name!r:.80}"


def _scalar(what: str, value: Any) -> str:
    value = _without_wrapping(value)
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return _digits(what, value)
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, date):
        return str(_epoch_ms(what, value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        try:
            return bytes(value).decode()
        except UnicodeDecodeError:
            raise InvalidRequestError(f"{what} has bytes in a list that are not UTF-8.") from None
    if hasattr(value, "read"):
        raise InvalidRequestError(f"{what} is an open file; hand files over with files=.")
    return str(value)


def _digits(what: str, value: int) -> str:
    try:
        return int.__repr__(value)
    except ValueError:  # Python writes thousands of digits only where it is told to
        raise InvalidRequestError(f"{what} is a number of too many digits.") from None


def _epoch_ms(what: str, value: date) -> int:
    try:
        if not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day, tzinfo=timezone.utc)
        elif value.utcoffset() is None:
            value = value.astimezone()
        return int((value - _EPOCH) // _MILLISECOND)
    except (OSError, OverflowError, ValueError) as error:
        raise InvalidRequestError(f"{what} is a time that has no epoch milliseconds here; give it a time zone.") from error


def _json_default(value: Any) -> Any:
    """JSON for what the encoder does not know by itself."""
    if isinstance(value, (bytes, bytearray, memoryview)) or hasattr(value, "read"):
        raise TypeError(f"{type(value).__name__} has no JSON form")
    if isinstance(value, Enum) or hasattr(value, "tolist"):
        return _without_wrapping(value)
    if isinstance(value, date):
        return _epoch_ms("A time in it", value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, _SEVERAL):
        return list(value)
    if hasattr(value, "__float__"):
        number = float(value)
        return int(value) if number.is_integer() else number
    kind: Any = type(value)
    if kind.__str__ is object.__str__:
        raise TypeError(f"{kind.__name__} has no JSON form")
    return str(value)


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_json_default)
