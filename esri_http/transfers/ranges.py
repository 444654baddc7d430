"""Parts of a file over HTTP (RFC 9110 section 14): what tells that it is still the same file, and which part came."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..messages.response import Response

_STRONG_TAG = r'"[\x21\x23-\x7e\x80-\xff]{0,1000}"'
_HTTP_DATE = r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
_VALIDATOR = re.compile(rf"(?:{_STRONG_TAG}|{_HTTP_DATE})\Z")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})\Z", re.IGNORECASE)
_LENGTH = re.compile(r"[0-9]{1,18}\Z")
# A change within the second in which the date was given would not show in it (RFC 9110 section 8.8.2.2).
_SECONDS_APART = 1.0


def is_validator(value: object) -> bool:
    """Whether `value` is text that can stand in an `If-Range` field: a strong entity tag or a date."""
    return isinstance(value, str) and _VALIDATOR.match(value) is not None


def validator_of(response: Response) -> str | None:
    """What names this state of the file in an `If-Range` field (RFC 9110 section 13.1.5); `None`: it cannot be continued."""
    headers = response.headers
    if headers.get("accept-ranges", "").strip().lower() == "none" or coded(response) or response.request.method != "GET":
        return None
    tag = headers.get("etag")
    value = tag if tag is not None else headers.get("last-modified") if _date_is_strong(response) else None
    return value if is_validator(value) else None


def _date_is_strong(response: Response) -> bool:
    from ..messages.dates import moment_of

    changed, now = moment_of(response, "last-modified"), moment_of(response, "date")
    return changed is not None and now is not None and now - changed >= _SECONDS_APART


def coded(response: Response) -> bool:
    """Whether the bytes on the wire are not those of the file (`Content-Encoding`)."""
    return response.headers.get("content-encoding", "").strip().lower() not in ("", "identity")


def length_of(response: Response) -> int | None:
    """The bytes of the whole file, where the answer says so of all of it."""
    announced = response.headers.get("content-length", "").strip()
    if "transfer-encoding" in response.headers or coded(response) or not _LENGTH.match(announced):
        return None
    return int(announced)


def range_end(response: Response, start: int, total: int | None, validator: str) -> tuple[int, int] | None:
    """Where the part in a 206 ends (exclusive), and the bytes of the whole file; `None` where it does not go on at `start`.

    `total` (`None`: not known) and `validator` are those of the bytes before `start`.
    """
    found = _CONTENT_RANGE.match(response.headers.get("content-range", "").strip())
    if found is None or coded(response):
        return None
    first, last, whole = map(int, found.groups())
    name = "etag" if validator.startswith('"') else "last-modified"
    same = response.headers.get(name, validator) == validator and total in (None, whole)
    return (last + 1, whole) if same and first == start <= last < whole else None
