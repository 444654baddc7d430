"""From what a caller says to the first request of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .messages.request import Request
from .words.headers import check_method, lookup

if TYPE_CHECKING:
    from .messages.body import Body
    from .words.origins import SplitUrl

_KNOWN_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"})
_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


def prepare(
    method: str, split: SplitUrl, params: Any, body: Body | None, fields: dict[str, str], max_url_length: int | None
) -> Request:
    """The request for these parts. `fields` are its header fields, defaults included; they become the request's own."""
    if not isinstance(method, str) or method not in _KNOWN_METHODS:
        method = check_method(method)
    target = split.target
    if params:
        method, target, body = _with_params(method, split, params, body, max_url_length)
    if body is None:
        if method in _METHODS_WITH_BODY:
            fields["Content-Length"] = "0"
    elif body.content_type is not None and lookup(fields, "Content-Type") is None:
        fields["Content-Type"] = body.content_type
    return Request(method, split.origin, target, fields, body, split.fragment)


def _with_params(
    method: str, split: SplitUrl, params: Any, body: Body | None, limit: int | None
) -> tuple[str, str, Body | None]:
    """The query added to the target; or, where the URL of a GET becomes too long, a POST with it as its form."""
    from .messages.forms import encode_fields

    query = encode_fields(params)
    if not query:
        return method, split.target, body
    target = f"{split.target}{'&' if '?' in split.target else '?'}{query}"
    if limit is not None and method == "GET" and body is None and len(str(split.origin)) + len(target) > limit:
        from .messages.body import FormBody

        return "POST", split.target, FormBody(query.encode("ascii"))
    return method, target, body
