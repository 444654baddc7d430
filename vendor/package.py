"""Our own package, as those get it who use it."""

from __future__ import annotations

import runpy
import shutil
from typing import TYPE_CHECKING

from .releases import HERE

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = HERE.parent / "esri_http"
VERSION: str = runpy.run_path(str(PACKAGE / "_version.py"))["__version__"]
# The embedded portal, which needs cryptography: for those who develop, not for those who use.
_LEFT_OUT = ("testing", "demo.py", "demo_cases.py", "__pycache__", "*.pyc")


def copy_package(target: Path) -> None:
    """Make `target` a copy of it, without the embedded portal."""
    shutil.copytree(PACKAGE, target, ignore=shutil.ignore_patterns(*_LEFT_OUT))
