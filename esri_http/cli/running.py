"""One run of the program: parse, run the command, and turn whatever ends it into words and an exit status."""

from __future__ import annotations

import errno
import sys

from ..words.errors import EsriHttpError
from .parser import parse
from .statuses import CLOSED_PIPE, DONE, LOCAL, WRONG_USAGE, status_of
from .terminal import complain, let_go_of, shown, tell


def run(arguments: list[str]) -> int:
    """Run the command that `arguments` name; returns the exit status. Raises `KeyboardInterrupt` for Ctrl-C."""
    is_debug = False
    try:
        try:
            chosen = parse(arguments)
            is_debug = chosen.debug
            if is_debug:
                _log_everything()
            status: int = chosen.run(chosen)
        except SystemExit as end:  # argparse, after --help, --version or wrong usage
            status = DONE if end.code is None else end.code if isinstance(end.code, int) else WRONG_USAGE
        except EsriHttpError as error:
            _explain(error, is_debug)
            status = status_of(error)
        if sys.stdout is not None:
            sys.stdout.flush()  # a closed pipe shows itself here at the latest
    except OSError as error:  # of the output; what is read or connected to has errors of ours
        let_go_of(sys.stdout)
        # A pipe that nobody reads any more is an invalid argument to Windows.
        if isinstance(error, BrokenPipeError) or (sys.platform == "win32" and error.errno == errno.EINVAL):
            return CLOSED_PIPE
        _explain(f"The output cannot be written: {error.strerror or error}.", is_debug)
        status = LOCAL
    return status


def _log_everything() -> None:
    """Send the package's log, which holds no secret, to the error stream."""
    import logging

    class Formatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return shown(super().format(record))  # servers have their words in it

    handler = logging.StreamHandler()
    handler.setFormatter(Formatter("%(relativeCreated)6d ms %(name)s: %(message)s"))
    logger = logging.getLogger("esri_http")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)


def _explain(problem: object, is_debug: bool) -> None:
    if is_debug:
        import traceback

        tell(shown(traceback.format_exc()))
    complain(problem)
