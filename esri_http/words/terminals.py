"""Whether somebody sits in front of this program."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


def is_terminal(stream: Any) -> bool:
    """Whether `stream` is a terminal; a program without a console has `None` for its streams."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def can_ask_unseen() -> bool:
    """Whether a person can be asked for a secret on a terminal, which is there also where the input is a pipe."""
    if is_terminal(sys.stdin):
        return True
    if os.name == "nt":
        return False
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def can_getpass_ask() -> bool:
    """Whether `getpass.getpass` asks a person: on a terminal, or in the console of an IDE or notebook.

    Such a console is no terminal, but has put something of its own in place of `sys.stdin` or of `getpass.getpass`. On a bare
    pipe or file, `getpass` would take for a password what is not meant as one, or wait for ever.
    """
    if sys.stdin is None or getattr(sys.stdin, "closed", False):  # on Windows the prompt would then wait for ever
        return False
    if can_ask_unseen() or not isinstance(sys.stdin, io.TextIOWrapper):
        return True
    import getpass

    return getattr(getpass.getpass, "__module__", None) != getpass.__name__
