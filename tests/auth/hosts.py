"""Programs that hold a sign-in, for tests: ArcGIS Pro's `arcpy`, a notebook's decoder, and a Python process of its own."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Optional

import pytest

from esri_http.testing import EmbeddedPortal

STAND_INS = Path(__file__).parent / "stand_ins"
ROOT = Path(__file__).resolve().parents[2]
PRO_REFERER = "https://pro.example/desktop"


def stand_in(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The stand-in for the module `name`, importable until the end of the test and not imported before it."""
    monkeypatch.syspath_prepend(str(STAND_INS))
    monkeypatch.delitem(sys.modules, name, raising=False)
    module = importlib.import_module(name)
    monkeypatch.setitem(sys.modules, name, module)
    return module


def sign_in(
    arcpy: Any, portal: EmbeddedPortal, username: str = "amy", minutes: float = 60.0, referer: Optional[str] = PRO_REFERER
) -> str:
    """Somebody signs in at `portal` in Pro and makes it the active one; the token."""
    token = portal.issue_token(username, minutes, referer)
    arcpy.active_portal = portal.portal_url
    arcpy.sign_ins[portal.portal_url] = {
        "token": token, "expires": int((portal.now() + 60.0 * minutes) * 1000), "referer": referer,
    }  # fmt: skip
    return token


def in_its_own_process(program: str, *arguments: Any, stand_ins: bool = True, **environment: str) -> Any:
    """What `program` prints, as JSON, run by a Python of its own; `arguments` (JSON) are its `given`."""
    folders = [str(ROOT)] + ([str(STAND_INS)] if stand_ins else [])
    program = "import json, sys\ngiven = json.loads(sys.argv[1])\n" + program
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, json.dumps(arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders), **environment},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=50,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)
