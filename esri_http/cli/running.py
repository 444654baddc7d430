"""One run of the program: parse, run the command, and turn whatever ends it into words and an exit status."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from ..words.errors import EsriHttpError
from .parser import parse
from .statuses import CLOSED_PIPE, DONE, LOCAL, WRONG_USAGE, status_of
from .terminal import complain

if TYPE_CHECKING:
    import argparse


def run(arguments: list[str]) -> int:
    """Run the command that `arguments` name; returns the exit status. Raises `KeyboardInterrupt` for Ctrl-C."""
    try:
        chosen = parse(arguments)
        if chosen.debug:
            _log_everything()
        status = _run(chosen)
    except SystemExit as end:  # argparse, after --help, --version or wrong usage
        status = DONE if end.code is None else end.code if isinstance(end.code, int) else WRONG_USAGE
    return status


def _run(chosen: argparse.Namespace) -> int:
    try:
        status: int = chosen.run(chosen)
        if sys.stdout is not None:
            sys.stdout.flush()  # a closed pipe shows itself here at the latest
        return status
    except EsriHttpError as error:
        _show_traceback(chosen)
        complain(error)
        return status_of(error)
    except BrokenPipeError:
        _let_go_of_output()
        return CLOSED_PIPE
    except OSError as error:  # of the output; what is read or connected to has errors of ours
        _show_traceback(chosen)
        _let_go_of_output()
        complain(f"The output cannot be written: {error.strerror or error}.")
        return LOCAL


def _log_everything() -> None:
    """Send the package's log, which holds no secret, to the error stream."""
    import logging

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(relativeCreated)6d ms %(name)s: %(message)s"))
    logger = logging.getLogger("esri_http")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)


def _show_traceback(chosen: argparse.Namespace) -> None:
    if chosen.debug:
        import traceback

        traceback.print_exc()


def _let_go_of_output() -> None:
    """What is still in the buffer goes nowhere: Python would complain when it flushes at the end."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError, AttributeError):
        pass
