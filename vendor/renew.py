"""`python -m vendor.renew`: write `lambda.txt` anew, with the newest releases for each Python that Lambda has."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

from .layer_pins import LAMBDA_PINS, PYTHONS
from .layers import ARCHITECTURES, fetch_wheels

# cryptography, what it stands on, and what that stands on, each for the Pythons that need it.
_NEEDED = {"cryptography": PYTHONS, "cffi": PYTHONS, "pycparser": PYTHONS, "typing_extensions": ("3.9", "3.10")}
_HEAD = """# What the full layers for AWS Lambda have besides vendor.txt: the newest releases for each Python, with the hashes
# of their wheels for both architectures. Written by `python -m vendor.renew`.
--require-hashes
--only-binary :all:
"""


def main() -> None:
    """Ask for the newest wheels for every Python and architecture, and pin them."""
    found: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for python in PYTHONS:
        names = [name for name, pythons in _NEEDED.items() if python in pythons]
        for architecture in ARCHITECTURES:
            with TemporaryDirectory() as folder:
                for wheel in fetch_wheels(names, python, architecture, Path(folder) / "wheels"):
                    name, version = wheel.name.split("-")[:2]
                    found[name, version][python].add(hashlib.sha256(wheel.read_bytes()).hexdigest())
    LAMBDA_PINS.write_bytes((_HEAD + "".join(_line(*release, found[release]) for release in sorted(found))).encode())


def _line(name: str, version: str, wheels: dict[str, set[str]]) -> str:
    """A release, the Pythons that it is for, and the hashes of its wheels."""
    pythons = " ".join(python for python in PYTHONS if python in wheels)
    hashes = [f"--hash=sha256:{one}" for one in sorted(set().union(*wheels.values()))]
    return " \\\n    ".join([f'{name}=={version} ; python_version in "{pythons}"', *hashes]) + "\n"


if __name__ == "__main__":
    main()
