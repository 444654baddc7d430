"""`EsriBasicAuth`: HTTP Basic (RFC 7617), in UTF-8, sent without waiting for a challenge."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from ...words.errors import ConfigurationError
from ...words.origins import Origin, SplitUrl
from ...words.urls import origin_of
from ..base import ACCEPT, INERT, Audience, AuthRun, BaseEsriAuth
from ..challenges import challenges_of
from .web_tier_auth import PasswordAuth, PasswordRun

if TYPE_CHECKING:
    from ...messages.request import Request
    from ...messages.response import Response
    from ..base import Answer, Wire


class EsriBasicAuth(PasswordAuth):
    """User name and password in every request. Safe to share between threads.

    `session` is there for compatibility and may be `None`. `url`: the site that the password is for; `None` for wherever
    the caller's own requests go. No redirect widens either. A password that is refused raises `ArcGISLoginError` and is
    sent once; servers federated with the portal get tokens; see `WebTierAuth` for both.
    """

    def __init__(
        self,
        session: Any = None,
        username: str = "",
        password: str = "",
        **options: Any,
    ) -> None:
        self._field = basic_field(username, password)
        super().__init__(session, username, password, **options)

    def _begin(self, audience: Audience) -> AuthRun:
        return _CheckedRun(self)

    def _checked(self, password: Any) -> str:
        basic_field(self.username, password)
        return str(password)

    def _forget(self) -> None:
        self._field = basic_field(self.username, self._password)
        super()._forget()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EsriBasicAuth) and (self._field, self._origin) == (other._field, other._origin)

    def __hash__(self) -> int:
        return hash((self.username, self._origin))


class PlainBasicAuth(BaseEsriAuth):
    """Basic as other Python HTTP clients do it, for a bare pair, netrc and user info in a URL: a 401 is an answer like any.

    `url`: the only origin that the password is for; `None` for wherever the caller's own requests go.
    """

    def __init__(self, username: str, password: str, *, url: str | None = None) -> None:
        self.username = username
        self._field = basic_field(username, password)
        self._origin: Origin | None = None if url is None else origin_of(url)

    def begin(self, audience: Audience) -> AuthRun:
        mine = audience.own if self._origin is None else audience.origin == self._origin
        return _BasicRun(self._field) if mine or audience.is_trusted else INERT

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PlainBasicAuth) and (self._field, self._origin) == (other._field, other._origin)

    def __hash__(self) -> int:
        return hash((self._field, self._origin))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.username!r}, ***)"


class _BasicRun(AuthRun):
    """One request with that field."""

    def __init__(self, field: str) -> None:
        self._field = field

    def before_request(self, request: Request, wire: Wire) -> Request:
        return _signed(request, self._field)


class _CheckedRun(PasswordRun):
    """One that tells when the password was refused."""

    def __init__(self, handler: EsriBasicAuth) -> None:
        super().__init__(handler)
        self._user = handler.username
        self._field = handler._field  # after the standing: what is outdated is then known to be

    def before_request(self, request: Request, wire: Wire) -> Request:
        return _signed(request, self._field)

    def shows_password(self, request: Request) -> bool:
        return request.headers.get("Authorization") is self._field

    def judge(self, request: Request, response: Response, wire: Wire) -> Answer:
        if not self.shows_password(request):
            return ACCEPT
        if response.status_code != 401:
            self.standing.accepted(request, response, was_asked=False)
            return ACCEPT
        if not any(challenge.scheme == "basic" for challenge in challenges_of(response)):
            return ACCEPT
        raise self.standing.refused(request, f"user name or password of {self._user} is wrong (Basic).")


def _signed(request: Request, field: str) -> Request:
    """`request` with this field, unless the caller signed it himself."""
    return request if request.header("Authorization") is not None else request.with_header("Authorization", field)


def basic_field(username: Any, password: Any) -> str:
    """The value of `Authorization` for this user (RFC 7617 section 2, UTF-8)."""
    if not isinstance(username, str) or not isinstance(password, str) or not username:
        raise ConfigurationError("A sign-in by Basic needs a user name and a password, both as text.")
    if ":" in username:
        raise ConfigurationError("A user name for Basic cannot hold a colon (RFC 7617 section 2).")
    try:
        return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
    except UnicodeEncodeError:
        pass
    raise ConfigurationError("The user name or password for Basic holds half a character (a lone surrogate).")


def auth_of_userinfo(split: SplitUrl) -> PlainBasicAuth:
    """Basic for the user info in a URL (RFC 3986 section 3.2.1), for that URL's origin alone.

    Raises `ConfigurationError` for what is not UTF-8: another password would be sent in its place.
    """
    from urllib.parse import unquote

    try:
        username, _, password = (unquote(part, errors="strict") for part in split.userinfo.partition(":"))
    except UnicodeDecodeError:
        pass
    else:
        return PlainBasicAuth(username, password, url=str(split.origin))
    raise ConfigurationError(f"The user name or password in a URL for {split.origin} is not percent-encoded UTF-8.")
