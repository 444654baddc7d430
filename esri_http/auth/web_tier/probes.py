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

        Where the server is known to challenge `request`, and the probe `is_anonymous`, that is the same request without its
        body: the challenge stops it. Otherwise it is a GET; at an ArcGIS site of ``rest/info``, since a GET of an operation
        would start it.
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
