"""The person in front of the screen: what is shown to them, and what they are asked.

Prompts and complaints go to the error stream, so that output in a pipe stays clean.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from typing import IO, TYPE_CHECKING, Any

from ..words.errors import ConfigurationError, InteractionRequiredError
from ..words.redaction import json_escape
from ..words.terminals import can_ask_unseen, is_terminal
from .wording import in_options

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Callable, TypeVar

    _T = TypeVar("_T")

# Control characters, marks that turn the direction of writing, halves of pairs, and what no font has.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_LONGEST_LINE = 1 << 16
_NOBODY = "There is no terminal to ask on."
_NOTHING = "Nothing was entered."


def shown(text: str) -> str:
    """`text` of a server's as it may go to a terminal: control characters other than line ends and tabs become U+FFFD."""
    if text.isprintable():
        return text
    return "".join(letter if letter in "\n\t" or not _is_unseen(letter) else "�" for letter in text.replace("\r\n", "\n"))


def pretty(value: Any) -> str:
    """Parsed JSON, indented, with letters of all languages as themselves and control characters escaped."""
    import json

    text = json.dumps(value, indent=2, ensure_ascii=False)
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(json_escape(letter) if letter != "\n" and _is_unseen(letter) else letter for letter in text)


def _is_unseen(letter: str) -> bool:
    return not letter.isprintable() and unicodedata.category(letter) in _UNSEEN


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines, with their cells one below the other."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


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
    """A line typed on the terminal; `otherwise` says what to do where there is nobody to ask, or nothing is answered.

    Raises `InteractionRequiredError`, and `ConfigurationError` for what is no text.
    """
    if not is_terminal(sys.stdin):
        raise InteractionRequiredError(f"{_NOBODY} {otherwise}")
    tell(question)
    line = read_line(sys.stdin)
    if not line.strip():
        tell("" if line else "\n")
        raise InteractionRequiredError(f"{_NOTHING} {otherwise}")
    return line.strip()


def ask_unseen(question: str, otherwise: str) -> str:
    """As `ask`, for a secret: what is typed is not shown. The terminal is found also where the input is a pipe."""
    if not can_ask_unseen():
        raise InteractionRequiredError(f"{_NOBODY} {otherwise}")
    import getpass

    try:
        secret = _text(getpass.getpass, question)
    except EOFError:
        tell("\n")
        secret = ""
    if not secret:
        raise InteractionRequiredError(f"{_NOTHING} {otherwise}")
    return secret


def read_line(stream: IO[str]) -> str:
    """The next line of `stream`, empty at its end; raises `ConfigurationError` where it is no text."""
    return _text(stream.readline, _LONGEST_LINE)


def _text(read: Callable[[_T], str], what: _T) -> str:
    try:
        text = read(what)
        text.encode()
        return text
    except UnicodeError:
        pass  # which has what was typed in it
    encoding = getattr(sys.stdin, "encoding", None) or "ASCII"
    raise ConfigurationError(f"What was entered is no text in {encoding}, which is what the environment (LANG) says it is in.")
