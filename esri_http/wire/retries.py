"""When a request is sent again, and after how long: urllib3's `Retry`, with what it lacks made good.

`Retry` counts and waits; our transport is the one loop that acts on it, so that bodies are replayed only where they can
be, log lines show no query, and ArcGIS's "429 inside 200" counts like a real one.
"""

from __future__ import annotations

import re
from email.utils import parsedate_tz
from typing import TYPE_CHECKING, Any

from urllib3.util.retry import Retry

from ..words.errors import ConfigurationError
from .compat import retry_options

if TYPE_CHECKING:
    from collections.abc import Collection

    from ..words.clock import Clock

DEFAULT_STATUSES = (413, 429, 503, 500, 502, 504)
DOCUMENTED_METHODS = ("POST", "DELETE", "GET", "HEAD", "OPTIONS", "PUT", "TRACE")
IDEMPOTENT_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PUT", "TRACE")
DEFAULT_RETRIES = 3
DEFAULT_BACKOFF_SECONDS = 0.3
LONGEST_WAIT_SECONDS = 120.0
_JITTER_SECONDS = 0.2

__all__ = ["Retry", "backoff_seconds", "make_retry", "retry_after_seconds", "wants_retry"]

# Handed to urllib3 itself: it raises the first error as it is and repeats nothing; a constant, since it is never counted.
RAISE_AT_ONCE = Retry(False, redirect=False, raise_on_status=False)


def make_retry(
    retries: int | Retry | None = None,
    backoff_factor: float | None = None,
    statuses: Collection[int] = DEFAULT_STATUSES,
    methods: Collection[str] | None = None,
) -> Retry:
    """The policy of a session.

    `retries`: how often a request is sent again; `None` means 3 times and idempotent methods only, a `Retry` is taken as
    it is. `backoff_factor` in seconds: the waits are 0 (urllib3 1.26) or f, then 2f, 4f ..., at most 120 s.
    """
    if isinstance(retries, Retry):
        return retries
    if retries is False or retries is None:
        count = 0 if retries is False else DEFAULT_RETRIES
    elif isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise ConfigurationError("retries= takes a number from 0 up, or None for the default.")
    else:
        count = retries
    if methods is None:
        methods = IDEMPOTENT_METHODS if retries is None else DOCUMENTED_METHODS
    factor = DEFAULT_BACKOFF_SECONDS if backoff_factor is None else backoff_factor
    if not isinstance(factor, (int, float)) or factor < 0:
        raise ConfigurationError("backoff_factor= takes seconds from 0 up.")
    return Retry(
        total=count,
        connect=count,
        read=count,
        status=count,
        other=0,
        redirect=0,
        status_forcelist=frozenset(int(status) for status in statuses),
        allowed_methods=frozenset(method.upper() for method in methods),
        backoff_factor=factor,
        raise_on_status=False,
        raise_on_redirect=False,
        **retry_options(_JITTER_SECONDS if factor else 0.0, LONGEST_WAIT_SECONDS),
    )


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
