"""`esri-http portal` and `esri-http demo`: the embedded portal, to test against and to look at."""

from __future__ import annotations

import io
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..words.errors import EsriHttpError, MissingPackageError, missing_package
from .statuses import status_of
from .terminal import complain

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command that `parser` is for; raises `SystemExit` where there is no portal."""
    if parser.get_default("command") == "portal":
        try:
            with _there():
                from ..testing.run import add_arguments as add_portal_arguments
        except EsriHttpError as error:
            complain(error)
            parser.exit(status_of(error))
        add_portal_arguments(parser)


def run(chosen: argparse.Namespace) -> int:
    """Run the command; returns the exit status. Raises `MissingPackageError` where there is no portal."""
    with _there():
        from ..testing.run import run as run_portal
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # one of the users has a letter that not every output knows
    if chosen.command == "portal":
        return run_portal(chosen)
    from ..demo import run as run_demo

    return run_demo()


@contextmanager
def _there() -> Iterator[None]:
    """The portal is left out of copies that are built to be embedded (see `vendor/`), and needs cryptography."""
    try:
        yield
    except ModuleNotFoundError as error:
        if str(error.name).startswith(__name__.rpartition(".cli.")[0]):
            message = "This copy of esri_http is for embedding, without portal and demo; for them: pip install esri_http"
            raise MissingPackageError(message, package="esri_http") from None
        raise missing_package(str(error.name).partition(".")[0], "The embedded portal") from None
