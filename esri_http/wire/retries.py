"""The policy of when a request is sent again, as urllib3's `Retry`; `repetition` acts on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from urllib3 import Retry

from .compat import retry_options

if TYPE_CHECKING:
    from ..words.settings import RetrySettings

LONGEST_WAIT_SECONDS = 120.0
_JITTER_SECONDS = 0.2
# urllib3 takes an empty collection for all methods.
_NO_METHOD = frozenset({"-"})

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
        allowed_methods=settings.methods or _NO_METHOD,
        backoff_factor=factor,
        raise_on_status=False,
        raise_on_redirect=False,
        **retry_options(_JITTER_SECONDS if factor else 0.0, LONGEST_WAIT_SECONDS),
    )


def without_repetition(retry: Retry) -> Retry:
    """The policy for what a handler sends: again only if it never arrived, so that no password is posted twice."""
    return retry.new(read=0, status=0, status_forcelist=frozenset())
