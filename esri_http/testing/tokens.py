"""Tokens of a site: who holds them, where and how long they are good, and what they are bound to."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, Callable, NamedTuple

if TYPE_CHECKING:
    from .messages import Request

PORTAL = "portal"


class Grant(NamedTuple):
    """What one token is good for.

    `audience`: `PORTAL` or the root of a server. `expires`: epoch seconds by the site's clock, `None` for never. `referer`: the
    exact `Referer` that has to come with it. `referers`: any of them is enough (API keys). `client_ip`: only from this address.
    `kind`: "user", "oauth" (of a user, by the app `client_id`), "app" (of the app itself) or "key".
    """

    username: str
    audience: str
    expires: float | None
    referer: str | None = None
    referers: tuple[str, ...] = ()
    client_ip: str | None = None
    kind: str = "user"
    client_id: str = ""

    def __repr__(self) -> str:
        return f"Grant({self.username!r} at {self.audience!r}, expires={self.expires!r})"

    def fits(self, request: Request) -> bool:
        """Whether `request` comes from where the token is bound to."""
        referer = request.headers.get("referer")
        if self.referer is not None and referer != self.referer:
            return False
        if self.referers and not any(_is_under(referer, allowed) for allowed in self.referers):
            return False
        return self.client_ip is None or request.connection.client_host == self.client_ip


class TokenStore:
    """All living tokens that share one key: those of a portal with its federated servers, or of a stand-alone server.

    Safe for threads.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` gives epoch seconds by the clock of the site."""
        self.now = now
        self._grants: dict[str, Grant] = {}
        self._lock = threading.Lock()

    def issue(self, grant: Grant) -> str:
        """A new token, of the length and the look of a real one."""
        token = secrets.token_urlsafe(144) + "."
        self.put(token, grant)
        return token

    def put(self, token: str, grant: Grant) -> None:
        """Make `token` (an API key, say) stand for `grant`."""
        with self._lock:
            self._grants[token] = grant

    def get(self, token: str) -> Grant | None:
        """What the token is good for; `None` when it is unknown, revoked or expired."""
        with self._lock:
            grant = self._grants.get(token)
        if grant is None or (grant.expires is not None and grant.expires <= self.now()):
            return None
        return grant

    def revoke(self, token: str) -> bool:
        """Let one token die; whether there was one."""
        with self._lock:
            return self._grants.pop(token, None) is not None

    def revoke_all(self, keep_api_keys: bool = True) -> int:
        """Let all tokens die together, as a change of the shared key does; returns how many."""
        with self._lock:
            kept = {token: grant for token, grant in self._grants.items() if keep_api_keys and grant.kind == "key"}
            died = len(self._grants) - len(kept)
            self._grants = kept
            return died


def token_of(request: Request) -> str | None:
    """The token that came with a request, by any of the ways that ArcGIS knows; an explicit header counts first."""
    for text in (_bearer(request, "x-esri-authorization"), request.query.get("token"), request.form.get("token")):
        if text:
            return text
    return _bearer(request, "authorization")


def _bearer(request: Request, header: str) -> str | None:
    scheme, _, value = request.headers.get(header, "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value.strip() else None


def _is_under(referer: str | None, allowed: str) -> bool:
    """Whether `referer` is the URL `allowed` or a page below it."""
    if referer is None:
        return False
    allowed = allowed.rstrip("/")
    return referer == allowed or referer.startswith((allowed + "/", allowed + "?"))
