"""The pins: lines of `vendor.txt` and its kind, which pip reads too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_PIN = re.compile(r"([\w.-]+)==(\S+) --hash=sha256:([0-9a-f]{64})")


class Pin(NamedTuple):
    """One release, and the hash (SHA-256, hex) of its wheel."""

    name: str
    version: str
    sha256: str


def read_pins(file: Path) -> list[Pin]:
    """The pins of `file`. Raises `ValueError` for a line that is neither a pin with one hash nor an option or comment."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith(("#", "--"))]
    return [_pin(line) for line in lines]


def _pin(line: str) -> Pin:
    match = _PIN.fullmatch(line)
    if match is None:
        raise ValueError(f"not a pin with one hash: {line}")
    return Pin(*match.groups())
