"""Dates in the header fields of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .response import Response


def moment_of(response: Response, name: str) -> float | None:
    """The moment that a header field names, in seconds since the epoch; `None` for none, and for what is no date.

    RFC 9110 section 5.6.7: all dates are in UTC, also those of servers that do not say so.
    """
    from datetime import timezone
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(response.headers.get(name) or "")
        return (date if date.tzinfo is not None else date.replace(tzinfo=timezone.utc)).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
