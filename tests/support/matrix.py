"""The tests on every corner of what we stand on: Python, urllib3, and the oldest or newest of everything else.

``python -m tests.support.matrix [--quick] [--python 3.9] [--urllib3 2.0.7] [--others oldest] [--list] [PYTEST ARGUMENTS]``, or
``make matrix ARGS=...``. Each corner has an environment of its own, ``.venv-matrix-*``, which a later run brings up to date and
uses again; what pytest printed there is in its ``pytest.log``. The exit status is 1 where a corner failed. One whose Python is
not on this machine is told as NOT RUN, and is no failure.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vendor.interpreters import find_interpreter

from .oldest_pins import oldest_pins

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
URLLIB3S = ("1.26.18", "1.26.20", "2.0.7", "newest")
OTHERS = ("oldest", "newest")

WHOLE = ("tests", "-m", "not real_server", "--ignore=tests/bench")
"""What pytest is told: all that needs neither a server product nor a quiet machine."""
FAST = ("tests/house", "tests/session", "tests/wire", "tests/pipeline", "tests/gis", "-m", "not real_server")
"""What differs most from corner to corner: the shape of the code, TLS, connections, threads, and signing in on top of them."""

_VERSIONS = """
from importlib.metadata import version
print(*(version(name) for name in ("urllib3", "certifi", "pyspnego", "cryptography")))
"""


class Corner(NamedTuple):
    """What one run stands on.

    Attributes:
        python: its version, such as "3.9".
        urllib3: its version, or "newest": of the 2.x that this Python takes.
        others: "oldest" or "newest" that setup.cfg allows, of certifi, pyspnego and cryptography.
    """

    python: str
    urllib3: str
    others: str

    @property
    def folder(self) -> Path:
        """Its environment."""
        return ROOT / (".venv-matrix-" + "-".join(self))

    @property
    def interpreter(self) -> str:
        """The Python of its environment."""
        return str(self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))

    @property
    def requirements(self) -> list[str]:
        """What pip installs beside us; of a bare name the newest."""
        pins = [pin for pin in oldest_pins() if not pin.startswith("urllib3==")]
        others = pins if self.others == "oldest" else [pin.partition("==")[0] for pin in pins]
        return ["urllib3>=2,<3" if self.urllib3 == "newest" else f"urllib3=={self.urllib3}", *others]

    def __str__(self) -> str:
        return f"Python {self.python}, urllib3 {self.urllib3}, others {self.others}"


class Run(NamedTuple):
    """How it went on one corner: `status` is "passed", "FAILED" or "NOT RUN"."""

    corner: Corner
    status: str
    versions: str = ""
    result: str = ""


ALL = [Corner(python, urllib3, others) for python in PYTHONS for urllib3 in URLLIB3S for others in OTHERS]
# Each Python, each urllib3 and either end of the others, in few corners; `make test` runs on the newest of everything.
QUICK = [
    Corner("3.9", "1.26.18", "oldest"),
    Corner("3.10", "2.0.7", "newest"),
    Corner("3.11", "1.26.20", "newest"),
    Corner("3.12", "newest", "oldest"),
    Corner("3.13", "1.26.18", "oldest"),
]


def install(corner: Corner, python: str) -> None:
    """Make the environment, or bring it up to date. Raises `CalledProcessError`, whose `output` says what pip said."""
    commands = [[corner.interpreter, "-m", "pip", "install", "-q", "--upgrade", "--editable", ".[test]", *corner.requirements]]
    if not Path(corner.interpreter).exists():
        commands.insert(0, [python, "-m", "venv", "--clear", str(corner.folder)])
        commands.insert(1, [corner.interpreter, "-m", "pip", "install", "-q", "--upgrade", "pip"])
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    for command in commands:
        subprocess.run(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=True,
        )  # fmt: skip


def run(corner: Corner, pytest_arguments: Sequence[str]) -> Run:
    """Install, and test; what pytest says is kept in a file, and shown where it fails."""
    python = find_interpreter(corner.python)
    if python is None:
        return Run(corner, "NOT RUN", result=f"no Python {corner.python} here")
    try:
        install(corner, python)
    except subprocess.CalledProcessError as error:
        return Run(corner, "FAILED", result="it cannot be installed:\n" + (error.output or str(error)))
    versions = subprocess.run([corner.interpreter, "-c", _VERSIONS], stdout=subprocess.PIPE, text=True, check=True).stdout
    log = corner.folder / "pytest.log"
    with open(log, "wb") as file:
        command = [corner.interpreter, "-m", "pytest", "-q", *pytest_arguments]
        done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
    text = log.read_text(encoding="utf-8", errors="replace")
    if done.returncode:
        print(text)
    return Run(corner, "FAILED" if done.returncode else "passed", versions.strip(), _last_line(text))


def _last_line(text: str) -> str:
    """What pytest says at the end, such as "3 passed in 1.20s"."""
    found = re.findall(r"^=* ?((?:\d+|no) .* in [\d.]+s\b[^=]*?) ?=*$", text, re.MULTILINE)
    return found[-1] if found else "pytest did not come to its end"


def table(runs: Sequence[Run]) -> str:
    """All of them, a line each, under a heading."""
    rows = [("Python", "urllib3", "others", "", "urllib3, certifi, pyspnego, cryptography", "")]
    rows += [(*done.corner, done.status, done.versions, done.result.partition("\n")[0]) for done in runs]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def plan(options: argparse.Namespace) -> dict[Corner, Sequence[str]]:
    """The corners that are asked for, and what pytest is told on each: its own set where nothing else is said."""
    corners = dict.fromkeys(QUICK, FAST) if options.quick else dict.fromkeys(ALL, WHOLE)
    wanted = {"python": options.python, "urllib3": options.urllib3, "others": options.others}
    return {
        corner: options.pytest or arguments
        for corner, arguments in corners.items()
        if all(not names or getattr(corner, which) in names for which, names in wanted.items())
    }


def parse(given: Sequence[str] | None) -> argparse.Namespace:
    """The options; `pytest` holds what is left over."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.matrix", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few corners, with a fast set of the tests")
    for name, choices in (("python", PYTHONS), ("urllib3", URLLIB3S), ("others", OTHERS)):
        parser.add_argument("--" + name, action="append", choices=choices, help="only these corners; again for more")
    parser.add_argument("--list", action="store_true", help="say what would be run")
    options, options.pytest = parser.parse_known_args(given)
    return options


def main(given: Sequence[str] | None = None) -> int:
    """Run what is asked for, one corner after the other; 1 where one failed, or where there is none."""
    options = parse(given)
    chosen = plan(options)
    if options.list:
        print(*(f"{corner}: pytest {' '.join(arguments)}" for corner, arguments in chosen.items()), sep="\n")
        return 0
    runs = []
    for corner, arguments in chosen.items():
        started = time.monotonic()
        runs.append(run(corner, arguments))
        print(f"{corner}: {runs[-1].status}, {runs[-1].result} ({time.monotonic() - started:.0f} s in all)", flush=True)
    print("\n" + table(runs))
    return 0 if runs and all(done.status != "FAILED" for done in runs) else 1


if __name__ == "__main__":
    sys.exit(main())
