"""Redirects as RFC 9110 section 15.4 has them, with every secret bound to the origin that it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..words.errors import BodyNotReplayableError, InvalidUrlError, RedirectError, RedirectRefusedError, TooManyRedirectsError
from ..words.headers import BODY_HEADERS, SECRET_HEADERS, all_values, without
from ..words.redaction import redact_url
from ..words.urls import resolve_url
from .call import keep_short
from .exchange import exchange

if TYPE_CHECKING:
    from ..auth.base import BaseEsriAuth
    from ..messages.request import Request
    from ..messages.response import Response
    from ..words.origins import Origin
    from .call import Call

MOST_REDIRECTS = 30
_PER_HOP_HEADERS = SECRET_HEADERS | {"host"}


def follow(request: Request, auth: BaseEsriAuth | None, call: Call, allow_redirects: bool = True) -> Response:
    """The final answer to `request`; the answers on the way there are in its `history`.

    Raises `RedirectRefusedError` for a redirect when they are not allowed, or for one that is not safe, and
    `TooManyRedirectsError` for a loop or a chain that is too long. Both carry the response.
    """
    history: list[Response] = []
    while True:
        response = exchange(request, auth, call)
        if history:
            response.history = [*history, *response.history]
        if not response.is_redirect:
            return response
        try:
            following = _next_step(request, response, history, allow_redirects)
        except RedirectError:
            keep_short(response)
            raise
        response.discard()
        if not following.replayable:
            raise BodyNotReplayableError(
                f"{_step(request, following.url)}, and the body can be read only once; give a file or bytes, or that address.",
                url=request.url,
            )
        if is_upgrade(request.origin, following.origin) and request.origin == call.own:
            call.own = following.origin
        history.append(response)
        request = following


def _next_step(request: Request, response: Response, history: list[Response], allow_redirects: bool) -> Request:
    if not allow_redirects:
        message = f"{_step(request, response.headers['location'])}, and redirects are not allowed for this call."
        raise RedirectRefusedError(message, url=request.url, response=response)
    following = next_request(request, response)
    _check_chain(following, response, history)
    return following


def _check_chain(following: Request, response: Response, history: list[Response]) -> None:
    if len(history) < MOST_REDIRECTS:
        return
    urls = [redact_url(earlier.url) for earlier in [*history, response]]
    last = redact_url(following.url)
    what = f"a loop through {last}" if last in urls else f"the last led to {last}"
    raise TooManyRedirectsError(f"More than {MOST_REDIRECTS} redirects: {what}.", url=urls[0], response=response)


def next_request(request: Request, response: Response) -> Request:
    """The request that the redirect `response` to `request` asks for."""
    location = _location(response)
    try:
        split = resolve_url(request.origin, request.target, location)
    except InvalidUrlError as error:
        message = f"{_step(request, location)}, which cannot be followed."
        raise RedirectRefusedError(message, url=request.url, response=response) from error
    following = request.replace(
        origin=split.origin, target=split.target, fragment=split.fragment or request.fragment, secret_query=""
    )
    if _becomes_get(request, response.status_code, following.origin):
        following.method, following.body = "GET", None
        following.headers = without(following.headers, BODY_HEADERS)
    if following.origin != request.origin and not is_upgrade(request.origin, following.origin):
        following.headers = without(following.headers, _PER_HOP_HEADERS)
    return following


def _step(request: Request, target: str) -> str:
    return f"{redact_url(request.url)} redirects to {redact_url(target)}"


def _location(response: Response) -> str:
    fields = set(all_values(response.headers, "location"))
    if len(fields) > 1:
        raise RedirectRefusedError(
            f"{redact_url(response.url)} redirects to several places at once.", url=response.url, response=response
        )
    location = fields.pop()
    try:
        # Header fields are read as Latin-1; servers that put raw UTF-8 there mean UTF-8.
        return location.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return location


def _becomes_get(request: Request, status: int, target: Origin) -> bool:
    """Whether method and body change: 303 asks for it, and 301 and 302 are understood so after a POST."""
    if status == 303:
        return request.method not in ("GET", "HEAD")
    return status in (301, 302) and request.method == "POST" and not _leaves_plain_http(request.origin, target)


def _leaves_plain_http(one: Origin, other: Origin) -> bool:
    """Whether the step is from http to https on the same host: the request was meant for there, so it goes on unchanged."""
    return (one.scheme, other.scheme) == ("http", "https") and one.host == other.host


def is_upgrade(one: Origin, other: Origin) -> bool:
    """Whether `other` is the same site behind TLS, so that even secrets may go there: same host, ports 80 and 443."""
    return _leaves_plain_http(one, other) and (one.port, other.port) == (80, 443)
