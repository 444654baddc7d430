"""The requests that handlers send on their own account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from ...messages.body import make_body
from ...messages.request import Request
from ...words.errors import SignInError
from .token_answers import read_token

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...messages.response import Response
    from ...words.clock import Clock
    from ...words.origins import Origin, SplitUrl
    from ..base import Wire
    from .keeper import Fetched

_SECRET_FIELDS = ("password", "token")
_SHORTEST_SECRET = 4


def form_post(origin: Origin, target: str, fields: dict[str, Any], referer: str | None = None) -> Request:
    """A POST with its secrets in the form, where neither logs nor proxies keep them."""
    headers = {"Accept": "*/*", "Content-Type": "application/x-www-form-urlencoded"}
    if referer:
        headers["Referer"] = referer
    return Request("POST", origin, target, headers, make_body(data=fields))


def send(request: Request, wire: Wire) -> Response:
    """Send a request by which a handler signs in. What the handlers nearer the wire refuse says nothing of its own sign-in."""
    try:
        return wire.send(request)
    except SignInError as error:
        error.is_of_another = True
        raise


def ask_for_token(
    service: SplitUrl, fields: dict[str, Any], referer: str | None, wire: Wire, clock: Clock, minutes: float | None = None
) -> Fetched:
    """Post `fields` to a generateToken service, once, and read the token.

    `referer` is the `Referer` to send, `minutes` the lifetime that was asked for. Raises as `read_token`; no error shows
    what was posted, even if the server repeats it.
    """
    fields = {**fields, "f": "json"}
    response = send(form_post(service.origin, service.target, fields, referer), wire)
    try:
        return read_token(response, clock, minutes, by_password="password" in fields)
    except SignInError as error:
        hide_secrets(error, (fields.get(name) for name in _SECRET_FIELDS))
        raise


def minutes_field(minutes: float) -> str:
    """What the field ``expiration`` holds: digits, whole minutes without a fraction."""
    return f"{minutes:.12g}"


def hide_secrets(error: SignInError, secrets: Iterable[object]) -> None:
    """Take out of `error` what was posted, should the server have repeated it, as it is or as it is in a form or URL."""
    for secret in secrets:
        if isinstance(secret, str) and len(secret) >= _SHORTEST_SECRET:
            for form in (secret, quote_plus(secret), quote(secret, safe="")):
                error.message = error.message.replace(form, "***")
                error.details = [detail.replace(form, "***") for detail in error.details]
                error.error = error.error and error.error.replace(form, "***")
    error.args = (error.message,)
