"""`esri-http profiles`: the stored sign-ins, without their secrets."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from .parser import add_debug
from .terminal import columns, pretty, shown, write
from .wording import in_options

if TYPE_CHECKING:
    from ..profiles.manager import ProfileManager


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what can be done with profiles."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="the names, with site and user", allow_abbrev=False)
    show = actions.add_parser("show", help="one profile, and whether its secret is there", allow_abbrev=False)
    delete = actions.add_parser("delete", help="forget a profile and its secret", allow_abbrev=False)
    for part in (show, delete):
        part.add_argument("name", metavar="NAME")
    for part in (listing, show, delete):
        add_debug(part, argparse.SUPPRESS)
    for part in (listing, show):
        part.add_argument("--json", action="store_true", help="print JSON")


def run(chosen: argparse.Namespace) -> int:
    """Run the action; returns the exit status 0. Raises `ProfileError`."""
    {"list": _list, "show": _show, "delete": _delete}[chosen.action](chosen)
    return 0


def _list(chosen: argparse.Namespace) -> None:
    from ..profiles.manager import ProfileManager, ServerProfileManager

    found = [_described(manager, name) for manager in (ProfileManager(), ServerProfileManager()) for name in manager.list()]
    if chosen.json:
        write(pretty(found) + "\n")
        return
    rows = [[str(part[key] or "") for key in ("profile", "kind", "url", "username")] for part in found]
    for line in columns(rows):
        write(f"{shown(line)}\n")


def _show(chosen: argparse.Namespace) -> None:
    from ..profiles.manager import stored

    manager, profile = stored(chosen.name)
    found = _described(manager, chosen.name)
    found["secret"] = "there" if profile.secret else in_options(profile.secret_problem or "none")
    if chosen.json:
        write(pretty(found) + "\n")
        return
    for name, value in found.items():
        if value:
            write(shown(f"{name:<14} {value}") + "\n")


def _delete(chosen: argparse.Namespace) -> None:
    from ..profiles.manager import stored

    manager, _ = stored(chosen.name)
    manager.delete(chosen.name)
    write(f"The profile {chosen.name} is deleted.\n")


def _described(manager: ProfileManager, name: str) -> dict[str, Any]:
    """What the file says of a profile."""
    from ..profiles.manager import ServerProfileManager

    kind = "server" if isinstance(manager, ServerProfileManager) else "site"
    parts = manager.get(name)
    date = parts.pop("date_modified", None)
    return {"profile": name, "kind": kind, **parts, "date_modified": None if date is None else str(date)}
