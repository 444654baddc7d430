"""generateToken as the sites share it: what a token is bound to, and what it looks like in an answer."""

from __future__ import annotations

from typing import Any, NamedTuple

from .messages import Request

CREDENTIALS = ("username", "password")


class Binding(NamedTuple):
    """What a new token is bound to. `missing`: the parameter that the client forgot, or ""; `given`: any was named at all."""

    referer: str | None = None
    client_ip: str | None = None
    missing: str = ""
    given: bool = True


def binding_of(request: Request) -> Binding:
    """Read `client`, `referer` (older: `referrer`) and `ip` of a token request."""
    form = request.form
    referer = form.get("referer") or form.get("referrer")
    client = form.get("client", "").lower()
    if client == "requestip":
        return Binding(client_ip=request.connection.client_host)
    if client == "ip":
        return Binding(client_ip=form["ip"]) if form.get("ip") else Binding(missing="ip")
    if referer:
        return Binding(referer=referer)
    return Binding(missing="referer", given=bool(client))


def has_credentials_in_query(request: Request) -> bool:
    """Whether the user name or the password is in the URL, where logs would keep it."""
    return any(name in request.query for name in CREDENTIALS)


def token_body(token: str, expires: float) -> dict[str, Any]:
    """The part of a token answer that all services have in common; `expires` becomes epoch milliseconds."""
    return {"token": token, "expires": int(expires * 1000)}
