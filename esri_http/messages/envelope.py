"""ArcGIS error envelopes: errors that come as JSON, mostly with HTTP status 200.

Four shapes are known, and nothing else is taken for an error:

- ``{"error": {"code": 498, "message": "...", "details": [...], "messageCode": "..."}}`` of portals and services
- ``{"status": "error", "messages": [...], "code": 498}`` of the administrators' pages
- ``{"code": 500, "message": "...", "status": "failure", "details": null}`` of billing
- ``{"status": "failed", "statusMessage": "..."}`` of asynchronous operations, unless it is about a job or an item

What a server says is not trusted: its words are cut to a length, made printable and freed from tokens, and nothing here
raises.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..words.redaction import plain

LARGEST_ENVELOPE = 64 * 1024

_LONGEST_MESSAGE = 2000
_LONGEST_CODE = 64
_MOST_DETAILS = 20
_LOOKED_AT = 128
_NO_REASON = "The server answered with an error and gave no reason."

# An object that holds only these words is an envelope; with one more it may be data that happens to have a status.
_ENVELOPE_WORDS = frozenset(
    {"code", "details", "error", "message", "messageCode", "messages", "status", "statusMessage", "success"}
)
_ERROR_WORDS = frozenset({"code", "description", "details", "error_description", "message", "messageCode"})
_UTF16_OPENINGS = frozenset({b"\xff\xfe", b"\xfe\xff", b"{\0", b"\0{"})
_CALLED = rb"(?:/\*\*/)?[\w$.\[\]]{1,200}[ \t]*\("
_CALLBACK = re.compile(_CALLED)
_OBJECT = rb"(?:\xef\xbb\xbf)?[ \t\r\n]*(?:" + _CALLED + rb"[ \t\r\n]*)?\{"
_OPENING = re.compile(_OBJECT)
_FIRST_WORD = re.compile(_OBJECT + rb'[ \t\r\n]*"(?:code|details|message|status|success)|\xff\xfe|\xfe\xff|\{\0|\0\{')
_DIGITS = re.compile(r"[0-9]{1,9}\Z")
_RETRY_AFTER = re.compile(r"retry after:? ([0-9]{1,6})(?:\.[0-9]{1,6})? ?s", re.IGNORECASE)
_SECRET = re.compile(r"(token|password|secret|api_?key)=[^&\s\"'<>]+", re.IGNORECASE)


class EsriError(NamedTuple):
    """What an envelope says. `code` is `None` where there is none; `message_code` is such as ``GWM_0003``, or `None`."""

    code: int | None
    message: str
    details: tuple[str, ...] = ()
    message_code: str | None = None

    @property
    def is_token_error(self) -> bool:
        """Whether another token may help: 498 (invalid token) or 499 (token required), and nothing else."""
        return self.code == 498 or self.code == 499

    @property
    def is_busy(self) -> bool:
        """Whether the server asks for time: 429 (too many requests) or 504 (timed out)."""
        return self.code == 429 or self.code == 504

    @property
    def retry_after(self) -> int | None:
        """Seconds from words such as "Retry after 60 sec."; `None` where there are no such words."""
        for text in (*self.details, self.message):
            found = _RETRY_AFTER.search(text)
            if found:
                return int(found.group(1))
        return None

    def __str__(self) -> str:
        numbers = " ".join(str(part) for part in (self.code, self.message_code) if part is not None)
        words = [self.message, *(detail for detail in self.details if detail != self.message)]
        return (f"{numbers}: " if numbers else "") + " ".join(words)


def could_be_error(head: bytes) -> bool:
    """Whether a body that begins with `head` (64 bytes or more, or all of it) is worth parsing for an error.

    It is where ``"error"`` stands near the beginning, or where the first key is another word of an envelope.
    """
    if len(head) > _LOOKED_AT:
        head = head[:_LOOKED_AT]
    if b'"error"' in head:
        return _OPENING.match(head) is not None
    return _FIRST_WORD.match(head) is not None


def parse_error_bytes(content: bytes) -> EsriError | None:
    """The error in a whole body: JSON in UTF-8 or UTF-16, with or without a byte order mark, or JSONP.

    `None` for everything else, and for more than 64 KiB.
    """
    if len(content) > LARGEST_ENVELOPE:
        return None
    content = content.strip(b" \t\r\n") if content[:2] not in _UTF16_OPENINGS else content
    called = _CALLBACK.match(content)
    if called is not None:
        content = content[called.end() : max(content.rfind(b")"), 0)]
    return parse_error(_parsed(content))


def parse_error(payload: object) -> EsriError | None:
    """The error that parsed JSON stands for, or `None` where it is an ordinary answer."""
    if not isinstance(payload, dict):
        return None
    error = payload.get("error")
    if isinstance(error, dict) and (len(payload) == 1 or payload.get("success") is False or _says_something(error)):
        return _from_error(error)
    status = payload.get("status")
    status = status.lower() if isinstance(status, str) else status
    only_envelope = _ENVELOPE_WORDS.issuperset(payload)
    code = _code(payload.get("code"))
    if status == "error" and (code is not None or only_envelope) and ("messages" in payload or "message" in payload):
        return _from_messages(code, payload)
    if status in ("failed", "failure") and only_envelope:
        return _from_failure(code, payload)
    if status is None and only_envelope and code is not None and 400 <= code < 600 and isinstance(payload.get("message"), str):
        return _from_error(payload)
    return None


def _parsed(content: bytes | str) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _says_something(error: Mapping[str, Any]) -> bool:
    return any(error.get(word) for word in _ERROR_WORDS)


def _from_error(error: Mapping[str, Any]) -> EsriError:
    details = _words(error.get("details"))
    message = ""
    for word in ("message", "error_description", "description", "error"):
        message = message or _word(error.get(word))
    if not message and details:
        message, details = details[0], details[1:]
    return EsriError(_code(error.get("code")), message or _NO_REASON, details, _message_code(error))


def _from_messages(code: int | None, payload: Mapping[str, Any]) -> EsriError:
    words = _words(payload.get("messages")) or _words(payload.get("message"))
    return EsriError(code, words[0] if words else _NO_REASON, words[1:], _message_code(payload))


def _from_failure(code: int | None, payload: Mapping[str, Any]) -> EsriError | None:
    """A failed operation; its `statusMessage` may be the text of JSON with a code and a message."""
    status_message = payload.get("statusMessage")
    if not isinstance(status_message, str):
        return _from_error(payload) if code is not None or isinstance(payload.get("message"), str) else None
    inner = _parsed(status_message) if status_message[:1] == "{" and len(status_message) <= LARGEST_ENVELOPE else None
    if isinstance(inner, dict) and _says_something(inner):
        return _from_error(inner)
    return EsriError(code, _word(status_message) or _NO_REASON, _words(payload.get("details")), _message_code(payload))


def _code(value: object) -> int | None:
    """An error number, also from text (``"498"``); `None` for anything that is none."""
    if isinstance(value, str):
        value = value.strip() if len(value) <= _LONGEST_CODE else ""
        return int(value) if _DIGITS.match(value) else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9:
        return value
    return None


def _message_code(source: Mapping[str, Any]) -> str | None:
    value = source.get("messageCode")
    return _printable(value, _LONGEST_CODE) if isinstance(value, str) and value else None


def _words(value: object) -> tuple[str, ...]:
    """The texts of `details` or `messages`, whether a list, one text, or something odd."""
    values = value[:_MOST_DETAILS] if isinstance(value, list) else [value]
    return tuple(text for text in map(_word, values) if text)


def _word(value: object) -> str:
    """A text or a number as text that can be shown; the empty text for everything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 10**18 else ""
    if isinstance(value, float):
        return repr(value)
    return _printable(value, _LONGEST_MESSAGE) if isinstance(value, str) else ""


def _printable(text: str, limit: int) -> str:
    """The first `limit` characters of `text`, as they can be shown and without secrets."""
    cut = _SECRET.sub(r"\1=***", text[:limit])
    shown = plain(cut, len(cut)).strip()
    return shown if len(text) <= limit else shown + "…"
