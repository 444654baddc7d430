"""Small requests ahead of one with a body: what a server wants is found out before the body crosses the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...words.bounded import remember
from ...words.headers import BODY_HEADERS, without
from ..sites import quiet_target

if TYPE_CHECKING:
    from ...messages.request import Request
    from ...words.origins import Origin

_MOST_PLACES = 2000


class Probes:
    """What is known of places, by origin, method and path. Shared by threads."""

    def __init__(self) -> None:
        self._closed: dict[tuple[Origin, str, str], bool] = {}

    def are_wanted(self, request: Request) -> bool:
        """Whether the body of `request` should wait for an answer to a smaller one."""
        return request.body is not None and self._closed.get(_place(request)) is not False

    def probe(self, request: Request, is_anonymous: bool = True) -> Request:
        """A request without a body that is asked for the same sign-in as `request`, and starts nothing.

        Once `request` itself was met by a challenge, that is the same without its body: it comes no further, as long as it
        `is_anonymous`. Otherwise it is a GET: of what says something about the site, where this is an ArcGIS site, since its
        operations can be started by GET as well.
        """
        if is_anonymous and self._closed.get(_place(request)):
            headers = {**without(request.headers, BODY_HEADERS), "Content-Length": "0"}
            return request.replace(body=None, headers=headers)
        target = quiet_target(request.origin, request.target)
        return request.without_body().replace(target=target, secret_query="")

    def learn(self, request: Request, closed: bool) -> None:
        """Take note that `request` was asked for a sign-in, or that a probe for it was not."""
        remember(self._closed, _place(request), closed, _MOST_PLACES)


def _place(request: Request) -> tuple[Origin, str, str]:
    return request.origin, request.method, request.path
