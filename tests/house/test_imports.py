"""What `import esri_http` costs and does: little, and nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import esri_http

from .source_tree import PACKAGE, ROOT

# Nothing of these is needed to make a session. What urllib3 brings by itself is not ours to answer for.
NOT_WANTED = [
    *("spnego", "cryptography", "keyring", "tqdm", "requests", "certifi"),
    *("http.server", "http.cookiejar", "http.cookies", "email.mime", "netrc", "configparser", "webbrowser", "smtplib"),
    *("asyncio", "concurrent.futures", "multiprocessing", "subprocess", "tempfile", "sqlite3"),
    *("dataclasses", "inspect", "argparse", "unittest", "importlib.metadata", "xml", "html", "csv", "decimal", "uuid"),
    *("esri_http.testing", "esri_http.cli", "esri_http.demo"),
]

_WATCHED = """
import json, sys, threading, warnings
import urllib3
brought = set(sys.modules)
seen = {"sockets": 0, "files": []}
def watch(event, arguments):
    if event == "socket.__new__":
        seen["sockets"] += 1
    elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        seen["files"].append(str(arguments[0]))
sys.addaudithook(watch)
filters, path = list(warnings.filters), list(sys.path)
import esri_http
session = esri_http.EsriSession()
print(json.dumps({
    "ours": sorted(set(sys.modules) - brought), "threads": threading.active_count(), **seen,
    "filters": warnings.filters == filters, "path": sys.path == path,
}))
"""


def in_a_fresh_interpreter(program: str, *folders: Path) -> str:
    """What `program` prints, with `folders` (the project's own, where none) in front of the import path."""
    paths = [str(folder) for folder in folders or (ROOT,)]
    start = f"import sys; sys.path[:0] = {paths!r}\n"
    run = [sys.executable, "-B", "-W", "error", "-c", start + program]
    done = subprocess.run(run, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def first_steps() -> dict[str, Any]:
    """What was seen while a fresh interpreter imported the package and made a session."""
    return json.loads(in_a_fresh_interpreter(_WATCHED))


@pytest.mark.parametrize("name", NOT_WANTED)
def test_a_session_is_made_without(name: str, first_steps: dict[str, Any]) -> None:
    assert [module for module in first_steps["ours"] if module == name or module.startswith(name + ".")] == []


def test_a_session_is_made_without_sockets_threads_or_files(first_steps: dict[str, Any]) -> None:
    assert (first_steps["sockets"], first_steps["threads"], first_steps["files"]) == (0, 1, [])


def test_the_import_changes_neither_warnings_nor_the_import_path(first_steps: dict[str, Any]) -> None:
    assert (first_steps["filters"], first_steps["path"]) == (True, True)


@pytest.mark.parametrize("name", esri_http.__all__)
def test_every_public_name_can_be_had(name: str) -> None:
    assert getattr(esri_http, name) is not None
    assert name in dir(esri_http)


def test_the_folder_works_under_another_name(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "host" / "renamed", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "host" / "__init__.py").touch()
    program = """
import sys, host.renamed as package
for name in package.__all__:
    getattr(package, name)
package.EsriSession().close()
print([name for name in sys.modules if name.partition(".")[0] == "esri_http"])
"""
    # Run from a folder of its own, where an installed esri_http may be found but must not be asked for.
    assert in_a_fresh_interpreter(program, tmp_path).strip() == "[]"
