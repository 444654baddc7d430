"""The files that the tests of layers look at."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import NamedTuple

import esri_http

PYTHON = ".".join(map(str, sys.version_info[:2]))
HERE = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
"""The architecture of this machine, and `ELSEWHERE` the other one."""
ELSEWHERE = {"arm64": "x86_64", "x86_64": "arm64"}[HERE]

CORE = {"urllib3", "certifi"}
"""The releases in a core layer."""


def full(python: str) -> set[str]:
    """The releases in a full layer for `python`."""
    older = {"typing_extensions"} if python in ("3.9", "3.10") else set()
    return {*CORE, "pyspnego", "cryptography", "cffi", "pycparser", *older}


class Layers(NamedTuple):
    """Layers for this Python: in `folder` for both architectures, in `again` for this machine's once more."""

    folder: Path
    again: Path

    def path(self, kind: str, architecture: str = HERE) -> Path:
        """The layer `kind` ("core" or "full")."""
        return self.folder / f"esri_http-{esri_http.__version__}-lambda-{kind}-py{PYTHON}-{architecture}.zip"
