"""The command line: `esri-http` and `python -m esri_http`."""

from __future__ import annotations

import argparse
import sys

from .._version import __version__


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 it failed, 2 wrong usage, 130 interrupted."""
    from ..testing.run import add_arguments

    parser = argparse.ArgumentParser(prog="esri-http", description="A small, fast, safe HTTP client for Esri web GIS.")
    parser.add_argument("--version", action="version", version=f"esri_http {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    portal = commands.add_parser("portal", help="run the embedded portal to test against, until Ctrl-C")
    add_arguments(portal)
    commands.add_parser("demo", help="sign in every way there is to an embedded portal and read a layer")
    chosen = parser.parse_args(arguments)
    try:
        return _run(chosen)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _run(chosen: argparse.Namespace) -> int:
    if chosen.command == "portal":
        from ..testing.run import run as run_portal

        return run_portal(chosen)
    from ..demo import run as run_demo

    return run_demo()
