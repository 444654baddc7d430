"""The requests that handlers send on their own account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..messages.body import make_body
from ..messages.request import Request

if TYPE_CHECKING:
    from ..words.origins import Origin


def form_post(origin: Origin, target: str, fields: dict[str, Any], referer: str | None = None) -> Request:
    """A POST with its secrets in the form, where neither logs nor proxies keep them."""
    headers = {"Accept": "*/*", "Content-Type": "application/x-www-form-urlencoded"}
    if referer:
        headers["Referer"] = referer
    return Request("POST", origin, target, headers, make_body(data=fields))
