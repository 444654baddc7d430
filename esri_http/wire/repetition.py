"""When a request is sent again, and after how long; loaded when the first one fails.

urllib3's `Retry` counts and says how long to wait; ours is the one loop that acts on it, so that bodies are replayed only
where they can be, log lines show no query, garbage in `Retry-After` is harmless, and ArcGIS's "429 inside 200" counts like
a real one.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from urllib3 import exceptions as urllib3_errors

from ..messages.set_cookie import parse_cookie_date
from ..words import errors as ours
from ..words.redaction import redact_url
from .retries import LONGEST_WAIT_SECONDS

if TYPE_CHECKING:
    from urllib3.util.retry import Retry

    from ..messages.request import Request
    from ..messages.response import Response
    from ..words.clock import Clock
    from .transport import SendOptions

log = logging.getLogger("esri_http.wire")

_NEVER_ARRIVED = (ours.ConnectError, ours.ConnectTimeoutError)
_BROKE_OFF = (ours.ConnectionLostError, ours.ReadTimeoutError, ours.ProtocolError)
# RFC 9110 section 5.6.7: today's spelling and the two old ones.
_HTTP_DATE = re.compile(
    r"(?:[A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT"
    r"|[A-Z][a-z]{5,8}, [0-9]{1,2}-[A-Z][a-z]{2}-[0-9]{2} [0-9:]{8} GMT"
    r"|[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} [0-9]{4})\Z"
)


def again_after_failure(failure: ours.TransportError, request: Request, options: SendOptions) -> bool:
    """Whether to try again after `failure`; counts, and waits."""
    kind: Exception
    if isinstance(failure, _NEVER_ARRIVED):
        kind = urllib3_errors.ConnectTimeoutError()
    elif isinstance(failure, _BROKE_OFF):
        kind = urllib3_errors.ProtocolError()
    else:
        return False
    try:
        retry = options.retry.increment(request.method, error=kind)
    except urllib3_errors.HTTPError:
        return False
    if isinstance(failure, _BROKE_OFF) and not request.replayable:
        message = f"{failure} It is not sent again, because its body can be read only once; give a file or bytes."
        raise ours.BodyNotReplayableError(message, url=request.url) from failure
    seconds = backoff_seconds(retry)
    if not options.deadline.allows(seconds):
        return False
    _wait(retry, seconds, request, options, type(failure).__name__)
    return True


def again_after_answer(response: Response, options: SendOptions) -> bool:
    """Whether the answer asks for another try (by its status, or by an ArcGIS envelope inside 200) and gets one."""
    request, status, envelope = response.request, response.status_code, None
    if status == 200:
        envelope = response.esri_error
        if envelope is None or envelope.code is None or not envelope.is_busy:
            return False
        status = envelope.code
    if not wants_retry(options.retry, request.method, status) or not request.replayable:
        return False
    try:
        retry = options.retry.increment(request.method, response=response.raw)
    except urllib3_errors.MaxRetryError:
        return False
    asked = retry_after_seconds(response.headers.get("retry-after"), options.deadline.clock)
    if asked is None and envelope is not None:
        asked = envelope.retry_after
    seconds = backoff_seconds(retry) if asked is None else asked
    if seconds > LONGEST_WAIT_SECONDS or not options.deadline.allows(seconds):
        return False
    response.discard()  # before the wait: the connection is free meanwhile
    _wait(retry, seconds, request, options, f"status {status}")
    return True


def _wait(retry: Retry, seconds: float, request: Request, options: SendOptions, why: str) -> None:
    options.retry = retry
    log.info("%s %s again in %.1f s after %s", request.method, redact_url(request.url), seconds, why)
    options.deadline.clock.sleep(seconds)


def wants_retry(retry: Retry, method: str, status: int) -> bool:
    """Whether an answer with this status is worth another try, by method and list; not whether any try is left."""
    methods: Any = retry.allowed_methods
    return status in (retry.status_forcelist or ()) and (methods is None or methods is False or method in methods)


def backoff_seconds(retry: Retry) -> float:
    """How long to wait before the next try."""
    return min(retry.get_backoff_time(), LONGEST_WAIT_SECONDS)


def retry_after_seconds(field: str | None, clock: Clock) -> float | None:
    """`Retry-After` (RFC 9110 section 10.2.3): seconds or a date in any of its three spellings; `None` for nonsense."""
    text = "" if field is None else field.strip(" \t")
    if text.isascii() and text.isdigit():
        return float(text)
    moment = parse_cookie_date(text) if _HTTP_DATE.match(text) else None
    return None if moment is None else max(0.0, moment - clock.time())
