"""`EsriBasicAuth`: HTTP Basic (RFC 7617), in UTF-8, sent without waiting for a challenge."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from ..words.errors import ConfigurationError
from ..words.headers import lookup
from ..words.origins import Origin, SplitUrl
from ..words.urls import origin_of
from .base import INERT, Audience, AuthRun, BaseEsriAuth

if TYPE_CHECKING:
    from ..messages.request import Request
    from .base import Wire


class EsriBasicAuth(BaseEsriAuth):
    """User name and password in every request. Safe to share between threads.

    `session` is there for compatibility and may be `None`. `url`: the only site that the password is for; `None` for
    wherever the caller's own requests go. No redirect widens either.
    """

    def __init__(
        self, session: Any = None, username: str = "", password: str = "", *, url: str | None = None, **_: Any
    ) -> None:
        if not isinstance(username, str) or not isinstance(password, str) or not username:
            raise ConfigurationError("EsriBasicAuth needs username= and password= as text.")
        if ":" in username:
            raise ConfigurationError("A user name for Basic cannot hold a colon (RFC 7617 section 2).")
        self.username = username
        self._field = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
        self._origin: Origin | None = None if url is None else origin_of(url)

    def begin(self, audience: Audience) -> AuthRun:
        mine = audience.own if self._origin is None else audience.origin == self._origin
        return _BasicRun(self._field) if mine or audience.is_trusted else INERT

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EsriBasicAuth) and (self._field, self._origin) == (other._field, other._origin)

    def __hash__(self) -> int:
        return hash((self._field, self._origin))

    def __repr__(self) -> str:
        return f"EsriBasicAuth({self.username!r}, ***)"


class _BasicRun(AuthRun):
    def __init__(self, field: str) -> None:
        self._field = field

    def before_request(self, request: Request, wire: Wire) -> Request:
        if lookup(request.headers, "Authorization") is not None:
            return request
        return request.with_header("Authorization", self._field)


def auth_of_userinfo(split: SplitUrl) -> EsriBasicAuth:
    """Basic for the user info in a URL (RFC 3986 section 3.2.1), for that URL's origin alone."""
    from urllib.parse import unquote

    username, _, password = split.userinfo.partition(":")
    return EsriBasicAuth(None, unquote(username), unquote(password), url=str(split.origin))
