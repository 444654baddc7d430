"""Bytecode for a layer: nobody can write to `/opt` on Lambda, so Python would compile there anew at each cold start."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# What no cold start loads. Of ours: commands, and sign-ins that a person, a profile or another program of the same machine has
# a part in. Of others: SOCKS, browsers, tests, and what builds extension modules.
_NOT_COMPILED = (
    *("esri_http/cli/", "esri_http/profiles/", "esri_http/auth/hosts/"),
    *(f"esri_http/auth/oauth/{name}.py" for name in ("loopback", "loopback_server", "person")),
    *("urllib3/contrib/", "certifi/tests/", "cffi/", "pycparser/"),
)

# Bytecode that Python takes without a look at the source ("unchecked hash-based", PEP 552), since Lambda changes no file; its
# tracebacks name files as they are there.
_COMPILE = """
import py_compile, sys
unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
for name in sys.stdin.read().splitlines():
    py_compile.compile(name, dfile="/opt/" + name, doraise=True, invalidation_mode=unchecked)
"""


def add_bytecode(tree: Path, interpreter: str) -> None:
    """Have `interpreter`, of the Python that the layer is for, compile what is in `tree`/python; but for `_NOT_COMPILED`.

    It is the same byte for byte by the same interpreter. The program ends where that cannot compile a file, and has said why.
    """
    names = sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*.py"))
    left_out = tuple(f"python/{name}" for name in _NOT_COMPILED)
    # No variable of whoever builds the layer has a say in it; sets in bytecode are in the order of hashes.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [interpreter, "-s", "-S", "-c", _COMPILE], cwd=tree, env={**environment, "PYTHONHASHSEED": "0"}, encoding="utf-8",
        input="\n".join(name for name in names if not name.startswith(left_out)), check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{interpreter} cannot compile what is in the layer.")
