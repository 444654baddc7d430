"""The person in front of the screen: what is shown to them, and what they are asked.

Prompts and complaints go to the error stream, so that output in a pipe stays clean.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from typing import Any

from ..words.errors import InteractionRequiredError
from .wording import in_options

# Control characters, marks that turn the direction of writing, halves of pairs, and what no font has.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_DEEPEST_CODE = 0x10000


def is_terminal(stream: Any) -> bool:
    """Whether `stream` is a terminal; a program without a console has `None` for its streams."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def shown(text: str) -> str:
    """`text` of a server's as it may go to a terminal: control characters other than line ends and tabs become U+FFFD."""
    if text.isprintable():
        return text
    return "".join(letter if letter in "\n\t" or not _is_unseen(letter) else "�" for letter in text.replace("\r\n", "\n"))


def pretty(value: Any) -> str:
    """Parsed JSON, indented, with letters of all languages as themselves and control characters escaped."""
    import json

    text = json.dumps(value, indent=2, ensure_ascii=False)
    return text if text.isascii() and "\x7f" not in text else "".join(map(_escaped, text))


def _is_unseen(letter: str) -> bool:
    return not letter.isprintable() and unicodedata.category(letter) in _UNSEEN


def _escaped(letter: str) -> str:
    """As JSON writes what cannot be seen."""
    if letter == "\n" or not _is_unseen(letter):
        return letter
    code = ord(letter)
    if code < _DEEPEST_CODE:
        return f"\\u{code:04x}"
    code -= _DEEPEST_CODE
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def write(text: str) -> None:
    """Print `text` as it is, whatever letters the output can show; others are escaped."""
    _put(sys.stdout, text)


def complain(problem: object) -> None:
    """Say on the error stream what went wrong."""
    tell(f"esri-http: {shown(in_options(str(problem)))}\n")


def tell(text: str) -> None:
    """Write `text` to the error stream as it is; where that cannot be written, the exit status has to say it all."""
    try:
        _put(sys.stderr, text)
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        let_go_of(sys.stderr)


def _put(stream: Any, text: str) -> None:
    if stream is not None:
        encoding = stream.encoding or "utf-8"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def let_go_of(stream: Any) -> None:
    """What is still in the buffer of `stream` goes nowhere: Python would complain when it flushes at the end."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError, AttributeError):
        pass


def ask(question: str, otherwise: str) -> str:
    """A line typed on the terminal; raises `InteractionRequiredError` with `otherwise` where there is nobody to ask."""
    if not is_terminal(sys.stdin):
        raise InteractionRequiredError(otherwise)
    tell(question)
    line = sys.stdin.readline()
    if not line.strip():
        tell("" if line else "\n")
        raise InteractionRequiredError(f"Nothing was entered. {otherwise}")
    return line.strip()


def ask_unseen(question: str, otherwise: str) -> str:
    """As `ask`, for a secret: what is typed is not shown. The terminal is found also where the input is a pipe."""
    if not _can_ask_unseen():
        raise InteractionRequiredError(otherwise)
    import getpass

    try:
        secret = getpass.getpass(question)
    except EOFError:
        secret = ""
    if not secret:
        raise InteractionRequiredError(f"Nothing was entered. {otherwise}")
    return secret


def _can_ask_unseen() -> bool:
    if is_terminal(sys.stdin):
        return True
    if os.name == "nt":
        return False
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
