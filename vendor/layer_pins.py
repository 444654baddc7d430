"""The releases that a layer for AWS Lambda is made of: lines for pip, from `vendor.txt`, `python39.txt` and `lambda.txt`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .pins import read_pins
from .releases import HERE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
LAMBDA_PINS = HERE / "lambda.txt"
_PIN = re.compile(r'([\w.-]+==\S+) ; python_version in "([\d. ]+)"((?: +--hash=sha256:[0-9a-f]{64})+)')


def releases_for(python: str) -> list[str]:
    """A line for pip for each release that layers for `python` ("3.13") are made of, with the hashes of its wheels."""
    pins = {pin.name: pin for pin in read_pins(HERE / "vendor.txt")}
    if python == "3.9":
        pins.update({pin.name: pin for pin in read_pins(HERE / "python39.txt")})
    vendored = [f"{pin.name}=={pin.version} --hash=sha256:{pin.sha256}" for pin in pins.values()]
    return [*vendored, *read_lambda_pins(LAMBDA_PINS, python)]


def read_lambda_pins(file: Path, python: str) -> Iterator[str]:
    """The lines of `file` for `python`, without their markers, which pip asks of the Python that it runs on itself.

    Raises `ValueError` for one that is neither a pin for named Pythons, with hashes, nor an option or comment.
    """
    text = file.read_text(encoding="utf-8").replace("\\\n", "")
    for line in text.splitlines():
        if not line.startswith(("#", "--")):
            match = _PIN.fullmatch(line)
            if match is None:
                raise ValueError(f"not a pin for named Pythons, with hashes: {line}")
            release, pythons, hashes = match.groups()
            if python in pythons.split():
                yield release + hashes
