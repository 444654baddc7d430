"""The command line: `esri-http` and `python -m esri_http`."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> int:
    """Run one command; `arguments` are those behind the program's name, `None` for the process's own.

    Returns the exit status; `statuses` lists them.
    """
    try:
        from .ctrl_c import CtrlC

        with CtrlC():
            from .running import run

            return run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        from ..words.terminals import is_terminal
        from .terminal import tell

        # On a terminal, behind the ^C that it shows, or behind a question.
        tell("\nInterrupted.\n" if is_terminal(sys.stderr) else "Interrupted.\n")
        return 130
