"""`GIS.explain()`: what was asked, what was chosen and why, and what else would have been possible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..words.redaction import plain

if TYPE_CHECKING:
    from .gis import GIS
    from .sign_in import SignedIn

_WIDTH = 12
# The beginning of the name of each `Way`, and what it is asked for by.
_AT_PORTAL = (
    ("user name and password", "username=, password="),
    ("OAuth, in a browser", "client_id="),
    ("OAuth, as an app", "client_id=, client_secret="),
    ("an API key", "api_key="),
    ("a token", "token="),
)
# What a portal says of itself (ArcGIS REST, portals/self), and the ways that are closed where that is false.
_SWITCHES = (("supportsOAuth", "OAuth"), ("canSignInArcGIS", "user name"))
_AT_SERVER = (("user name and password", "username=, password="), ("a token", "token="))


def report(gis: GIS, signed_in: SignedIn) -> str:
    """All of it as text, a line each. Holds no secret."""
    me = gis.users.me
    lines = [f"{gis}, {f'signed in as {plain(me.username, 100)}' if me else 'nobody signed in'}"]
    lines += [_line(label, text) for label, text in signed_in.notes]
    lines += [_line("possible too", text) for text in _others(signed_in)]
    return "\n".join(lines)


def _line(label: str, text: str) -> str:
    return f"  {label:<{_WIDTH}} {text}"


def _others(signed_in: SignedIn) -> list[str]:
    """What else the site would take, as far as it is known without trying."""
    site, chosen = signed_in.site, signed_in.way.name
    closed = tuple(begin for field, begin in _SWITCHES if site.fields.get(field) is False)
    ways = _AT_PORTAL if site.is_portal else _AT_SERVER
    return [f"{name}: {keywords}" for name, keywords in ways if not chosen.startswith(name) and not name.startswith(closed)]
