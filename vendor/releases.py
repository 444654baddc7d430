"""The released packages: fetched by their hashes, and made part of another package by PyPI's `vendoring`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from .pins import Pin, read_pins

HERE = Path(__file__).parent


class Releases:
    """What one file of pins names, fetched into `workshop`, a folder that is for this alone.

    `vendored`: a folder with the packages, each with its licence, whose imports are rewritten for `esri_http._vendor`.
    `wheels`: the pins, with the wheel of each. A command that fails ends the program, with what it said.
    """

    def __init__(self, pins: Path, workshop: Path) -> None:
        self._workshop = workshop
        self.vendored = workshop / "vendored"
        self._wheels = workshop / "wheels"
        for folder in (self.vendored, self._wheels, workshop / "temporary"):
            folder.mkdir(parents=True)
        shutil.copy(pins, workshop / "pins.txt")
        shutil.copy(HERE / "vendoring.toml", workshop / "pyproject.toml")
        self._run("pip", "download", "--no-deps", "--dest", str(self._wheels), "-r", "pins.txt")
        self.wheels = [(pin, self._wheel(pin)) for pin in read_pins(pins)]
        # It has pip install and download everything once more.
        self._run("vendoring", "sync", "-v", PIP_NO_INDEX="1", PIP_FIND_LINKS=self._wheels.as_uri())

    def _wheel(self, pin: Pin) -> Path:
        return next(self._wheels.glob(f"{pin.name}-{pin.version}-*.whl"))

    def _run(self, *command: str, **variables: str) -> None:
        """Run a module in the workshop, with the pip of this Python; the pins say what is for which Python, not that one."""
        environment = {
            **os.environ,
            **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self._workshop / "temporary")),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PIP_IGNORE_REQUIRES_PYTHON": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PYTHONUTF8": "1",
            **variables,
        }
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=self._workshop, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace", check=False,
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{done.stdout}")
