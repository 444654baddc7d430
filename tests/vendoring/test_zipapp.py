"""The command line in one file: on its own, beside other packages, signing in, and what it does not have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import esri_http
from esri_http.testing import EmbeddedPortal

from .support import EVERY_PLACE, ISOLATED, Built


def run(*command: Any, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python."""
    environment = {**os.environ, **(env or {})}
    return subprocess.run(
        [sys.executable, *map(str, command)], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=50, check=False,
    )  # fmt: skip


def test_it_shows_its_help_and_version(built: Built) -> None:
    helped = run(*ISOLATED, built.zipapp, "--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "esri-http" in helped.stdout
    assert run(*ISOLATED, built.zipapp, "--version").stdout == f"esri_http {esri_http.__version__}\n"


def test_it_says_which_program_runs_it(built: Built) -> None:
    assert built.zipapp.read_bytes().startswith(b"#!/usr/bin/env python3\nPK")
    assert os.access(built.zipapp, os.X_OK)


@pytest.mark.parametrize("host", ["nothing", "1.26.18", "newest", "what is installed here"])
def test_it_reads_a_layer(built: Built, portal: EmbeddedPortal, other_urllib3: dict[str, Path], host: str) -> None:
    env = {
        "ESRI_HTTP_USER": "amy", "ESRI_HTTP_PASSWORD": portal.password("amy"), "REQUESTS_CA_BUNDLE": portal.ca_file,
        "PYTHONPATH": str(other_urllib3.get(host, "")),
    }  # fmt: skip
    options = {"nothing": ("-S",), "what is installed here": ()}.get(host, ("-S",))
    query = ("get", f"{portal.layer_url}/query", "-F", "where=1=1", "-F", "returnCountOnly=true")
    done = run("-W", "error", *options, built.zipapp, *query, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"count": EVERY_PLACE}


@pytest.mark.parametrize("command", [("portal",), ("portal", "--port", "7443"), ("demo",)], ids=" ".join)
def test_it_says_that_it_has_no_portal(built: Built, command: tuple[str, ...]) -> None:
    done = run(*ISOLATED, built.zipapp, *command)
    assert (done.returncode, done.stdout) == (6, "")
    expected = "esri-http: This copy of esri_http is for embedding, without portal and demo; for them: pip install esri_http\n"
    assert done.stderr == expected


@pytest.mark.parametrize("command", ["portal", "demo"])
def test_where_there_is_a_portal_it_says_that_it_needs_cryptography(command: str) -> None:
    program = "import sys; sys.modules['cryptography'] = None; from esri_http.cli import main; sys.exit(main())"
    done = run("-c", program, command, env={"PYTHONPATH": str(Path(esri_http.__file__).parents[1])})
    expected = "esri-http: The embedded portal needs the package cryptography: pip install cryptography\n"
    assert (done.returncode, done.stderr) == (6, expected)
