"""The errors for answers that are not what was wanted; loaded when the first one is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..words.errors import EsriHttpResponseError, InvalidJsonError
from ..words.redaction import plain, redact_url

if TYPE_CHECKING:
    from .response import Response

_LONGEST_WORD = 100
_NOTHING = b" \t\r\n\xef\xbb\xbf"  # blanks and a byte order mark


def refusal(response: Response) -> EsriHttpResponseError:
    """The error for an HTTP status of 400 and above, or for an ArcGIS error envelope."""
    error, method, status_code = response.esri_error, response.request.method, response.status_code
    status = f"HTTP {status_code} {plain(response.reason, _LONGEST_WORD)}".rstrip()
    words = status if error is None else f"{error} ({status})" if status_code >= 400 else f"{error}"
    return EsriHttpResponseError(
        f"{method} {redact_url(response.url)} was answered with an error: {words}",
        url=response.url,
        code=status_code if error is None else error.code,
        message_code=None if error is None else error.message_code,
        details=None if error is None else list(error.details),
        status_code=status_code,
        method=method,
        response=response,
    )


def not_json(response: Response, error: Exception) -> InvalidJsonError:
    """The error for content that was to be JSON; it tells what came instead, without the content."""
    content, kind = response.content, plain(response.headers.get("content-type") or "no content type", _LONGEST_WORD)
    if not content.strip(_NOTHING):
        what = "the answer is empty"
    elif content.lstrip()[:1] == b"<":
        what = "a web page came instead (a sign-in page, a proxy or an error page?); was f=json sent?"
    else:
        what = f"the text breaks off or is malformed at position {getattr(error, 'pos', 0)} of {len(content)} bytes"
    method, status_code = response.request.method, response.status_code
    place = f"{method} {redact_url(response.url)}"
    message = f"{place} was not answered with JSON: {what} (HTTP {status_code}, {kind})"
    return InvalidJsonError(message, url=response.url, status_code=status_code, method=method, response=response)

