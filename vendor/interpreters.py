"""Where this machine has a Python of a given version. As a script: ``python3 vendor/interpreters.py 3.9`` prints it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# One that can make an environment with pip in it; pyenv's shims, for one, may stand for a Python that is not there.
_PROBE = "import ensurepip, ssl, sys, venv; print('%d.%d' % sys.version_info[:2], sys.executable)"


def find_interpreter(version: str) -> str | None:
    """The path of a working interpreter of `version` ("3.9"): on the PATH, Windows' launcher, pyenv's, this one; or `None`."""
    for command in _candidates(version):
        try:
            done = subprocess.run(
                [*command, "-I", "-c", _PROBE],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        found, _, path = done.stdout.strip().partition(" ")
        if done.returncode == 0 and found == version:
            return path
    return None


def _candidates(version: str) -> Iterator[list[str]]:
    on_path = shutil.which("python" + version)
    if on_path:
        yield [on_path]
    if os.name == "nt":
        yield ["py", "-" + version]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from ([str(path)] for path in sorted(pyenv.glob(f"versions/{version}.*/bin/python")))
    yield [sys.executable]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: interpreters.py VERSION, such as 3.9")
    path_or_none = find_interpreter(sys.argv[1])
    if path_or_none is None:
        sys.exit(f"There is no Python {sys.argv[1]} here that can make an environment.")
    print(path_or_none)
