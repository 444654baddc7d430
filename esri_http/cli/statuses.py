"""The exit statuses: what a script may tell from them."""

from __future__ import annotations

from ..words.errors import (
    ConfigurationError,
    EsriHttpError,
    EsriHttpResponseError,
    InvalidRequestError,
    RedirectError,
    SignInError,
    TransportError,
)

DONE = 0
FAILED = 1
WRONG_USAGE = 2
NOT_SIGNED_IN = 3
REFUSED = 4
NO_ANSWER = 5
LOCAL = 6
INTERRUPTED = 130
CLOSED_PIPE = 141

MEANINGS = (
    (DONE, "done"),
    (FAILED, "failed for another reason"),
    (WRONG_USAGE, "wrong usage: a command, option, URL or header that cannot be"),
    (NOT_SIGNED_IN, "could not sign in"),
    (REFUSED, "the server answered with an ArcGIS or HTTP error"),
    (NO_ANSWER, "no answer: network, TLS, proxy, or time is up"),
    (LOCAL, "a local file, profile, package or setting cannot be used"),
    (INTERRUPTED, "interrupted (Ctrl-C)"),
    (CLOSED_PIPE, "the program that was to read the output has gone"),
)

_BY_ERROR = (
    (SignInError, NOT_SIGNED_IN),
    (EsriHttpResponseError, REFUSED),
    (RedirectError, REFUSED),
    (TransportError, NO_ANSWER),
    (ConfigurationError, LOCAL),
    (InvalidRequestError, WRONG_USAGE),
)


def status_of(error: EsriHttpError) -> int:
    """The exit status of a command that ended with `error`."""
    return next((status for kind, status in _BY_ERROR if isinstance(error, kind)), FAILED)


def listing() -> str:
    """The statuses with their meanings, a line each, for `--help`."""
    return "exit statuses:\n" + "\n".join(f"  {status:<4} {meaning}" for status, meaning in MEANINGS)
