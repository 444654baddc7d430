"""Programs that have what was built, and of everything else only what a test gives them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from esri_http.testing import EmbeddedPortal, all_places

ISOLATED = ("-I", "-S", "-W", "error")
"""No environment, no folder of the program, and no installed packages."""

_SECONDS = 50.0
_START = """
import importlib, json, sys
sys.path[:0] = {front!r}
sys.path += {back!r}
def sign_in(package, **options):
    "How many features amy reads."
    given = {given!r}
    auth = package.EsriBuiltInAuth(given["portal"], "amy", given["password"])
    with package.EsriSession(auth=auth, ca_bundles=given["ca"], **options) as session:
        answer = session.get(given["layer"] + "/query", params={{"where": "1=1", "returnCountOnly": True, "f": "json"}})
        return answer.json()["count"]
def roots():
    "The packages that are loaded, other than those of the standard library."
    loaded = {{name.partition(".")[0] for name in sys.modules}}
    return sorted(loaded & {{"urllib3", "certifi", "spnego", "requests", "esri_http"}})
"""


class Built(NamedTuple):
    """The zipped folder, the command line in one file, the folder that has the folder unpacked, and that of another build."""

    archive: Path
    zipapp: Path
    tree: Path
    again: Path


def finished(process: subprocess.Popen[str]) -> None:
    """Wait for a program that has to end well."""
    output, _ = process.communicate(timeout=_SECONDS)
    assert process.returncode == 0, output


class Guest:
    """Runs programs that import the package from `place`: a folder or a zip file."""

    def __init__(self, place: Path, portal: EmbeddedPortal) -> None:
        self.place = place
        self._given = {
            "portal": portal.portal_url, "layer": portal.layer_url, "ca": portal.ca_file, "password": portal.password("amy"),
        }  # fmt: skip

    def run(self, program: str, *back: Any, front: Any = (), env: dict[str, str] | None = None) -> Any:
        """What `program` assigns to `result`; `front` and `back` are further places to import from, before and after ours.

        It may call `sign_in(package)` and `roots()`.
        """
        paths = [str(path) for path in (*front, self.place)]
        start = _START.format(front=paths, back=[str(path) for path in back], given=self._given)
        run = [sys.executable, *ISOLATED, "-c", f"{start}\n{program}\nprint(json.dumps(result))"]
        environment = {**os.environ, **(env or {})}
        done = subprocess.run(
            run, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


EVERY_PLACE = len(all_places())
