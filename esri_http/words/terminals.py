"""Whether somebody sits in front of this program."""

from __future__ import annotations

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
