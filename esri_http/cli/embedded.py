"""`esri-http portal` and `esri-http demo`: the embedded portal, to test against and to look at."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command that `parser` is for."""
    if parser.get_default("command") == "portal":
        from ..testing.run import add_arguments as add_portal_arguments

        add_portal_arguments(parser)


def run(chosen: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    if chosen.command == "portal":
        from ..testing.run import run as run_portal

        return run_portal(chosen)
    from ..demo import run as run_demo

    return run_demo()
