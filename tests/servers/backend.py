"""What a reverse proxy has behind it: the embedded portal, and below it an echo that tells what arrived."""

from __future__ import annotations

import hashlib
import json
import re

from esri_http.testing import Answer, EmbeddedPortal, Request

from .people import portal_user

REMOTE_USER = "X-Remote-User"
"""The header in which the web tier says whom it let in."""


def portal_behind(public_url: str) -> EmbeddedPortal:
    """An embedded portal over plain http, which believes its web tier, and is called `public_url` from outside.

    Its `/portal/echo` answers as JSON what arrived: `method`, `path` (as the client asked for it), `query`, `headers` (pairs),
    `length` and `sha256` of the body, `user` (whom the web tier let in) and `connection` (of the client, by its port).
    """
    portal = EmbeddedPortal(https=False, host="127.0.0.1", public_url=public_url)
    for site in portal.sites:
        site.web_tier = signed_in
    portal.portal_site.routes["/echo"] = echo
    return portal


def signed_in(request: Request) -> str | None:
    """The portal's user whom the web tier let in."""
    return portal_user(remote_user(request)) or None


def remote_user(request: Request) -> str:
    """Whom the web tier let in, as it calls them; "" for nobody. lighttpd has no other way to say it than `Forwarded`."""
    forwarded = re.search('remote_user="?([^";]*)', request.headers.get("Forwarded", ""))
    name = request.headers.get(REMOTE_USER, "") or (forwarded[1] if forwarded else "")
    return name.encode("latin-1").decode()


def echo(request: Request) -> Answer:
    """What arrived."""
    digest = hashlib.sha256()
    while not request.body.ended:
        digest.update(request.body.read())
    what = {
        "method": request.method,
        "path": request.headers.get("X-Original-Path", request.path),
        "query": request.query,
        "headers": list(request.headers.pairs),
        "length": request.body.received,
        "sha256": digest.hexdigest(),
        "user": remote_user(request),
        "connection": request.headers.get("X-Client-Port", ""),
    }
    return Answer(200, json.dumps(what).encode(), "application/json")
