"""When a request is sent again, and after how long: urllib3's `Retry`, with what it lacks made good.

`Retry` counts and waits; our transport is the one loop that acts on it, so that bodies are replayed only where they can
be, log lines show no query, and ArcGIS's "429 inside 200" counts like a real one.
"""

from __future__ import annotations

import re
from email.utils import parsedate_tz
from typing import TYPE_CHECKING, Any

from urllib3.util.retry import Retry

from .compat import retry_options

if TYPE_CHECKING:
    from ..words.clock import Clock
    from ..words.settings import RetrySettings

LONGEST_WAIT_SECONDS = 120.0
_JITTER_SECONDS = 0.2

__all__ = ["Retry", "backoff_seconds", "make_retry", "retry_after_seconds", "wants_retry", "without_repetition"]

# Handed to urllib3 itself: it raises the first error as it is and repeats nothing; a constant, since it is never counted.
RAISE_AT_ONCE = Retry(False, redirect=False, raise_on_status=False)


def make_retry(settings: RetrySettings) -> Retry:
    """urllib3's form of the policy."""
    if settings.custom is not None:
        return settings.custom  # type: ignore[no-any-return]
    count, factor = settings.count, settings.backoff_seconds
    return Retry(
        total=count,
        connect=count,
        read=count,
        status=count,
        other=0,
        redirect=0,
        status_forcelist=settings.statuses,
        allowed_methods=settings.methods,
        backoff_factor=factor,
        raise_on_status=False,
        raise_on_redirect=False,
        **retry_options(_JITTER_SECONDS if factor else 0.0, LONGEST_WAIT_SECONDS),
    )


def without_repetition(retry: Retry) -> Retry:
    """The policy for what a handler sends: again only if it never arrived, so that no password is posted twice."""
    return retry.new(read=0, status=0, status_forcelist=frozenset())


def wants_retry(retry: Retry, method: str, status: int) -> bool:
    """Whether an answer with this status is worth another try, by method and list; not whether any try is left."""
    methods: Any = retry.allowed_methods
    return status in (retry.status_forcelist or ()) and (methods is None or methods is False or method in methods)


def backoff_seconds(retry: Retry) -> float:
    """How long to wait before the next try."""
    return min(retry.get_backoff_time(), LONGEST_WAIT_SECONDS)


def retry_after_seconds(field: str | None, clock: Clock) -> float | None:
    """`Retry-After` (RFC 9110 section 10.2.3): seconds or a date in any of its three spellings; `None` for nonsense."""
    if field is None:
        return None
    text = field.strip()
    if re.fullmatch(r"[0-9]{1,10}", text):
        return float(text)
    if len(text) > 64 or not re.match(r"[A-Z][a-z]{2,8},? ", text):
        return None
    try:
        parsed = parsedate_tz(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if parsed is None:
        return None
    import calendar

    try:
        moment = calendar.timegm((*parsed[:6], 0, 0, 0)) - (parsed[9] or 0)
    except (ValueError, OverflowError, TypeError):
        return None
    return max(0.0, moment - clock.time())
