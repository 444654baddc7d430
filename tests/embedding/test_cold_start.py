"""What a fresh process loads on its way to a first answer: beyond urllib3 and certifi little, and that when it is used."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest

from esri_http.testing import EmbeddedPortal

ROOT = Path(__file__).resolve().parents[2]
NEVER = [
    *("spnego", "cryptography", "keyring", "tqdm", "requests", "pandas"),
    *("http.server", "http.cookiejar", "email.mime", "netrc", "configparser", "webbrowser", "smtplib", "urllib.request"),
    *("asyncio", "concurrent.futures", "multiprocessing", "subprocess", "tempfile", "sqlite3", "getpass"),
    *("dataclasses", "inspect", "argparse", "unittest", "importlib.metadata", "xml", "html", "csv", "decimal", "uuid"),
    *("esri_http.testing", "esri_http.cli", "esri_http.demo", "esri_http.profiles"),
]
"""What none of the steps below loads, unless urllib3 or certifi did."""
MAY = {
    "import": set(),
    "session": {"pkgutil", "backports"},  # looking for zstd, before Python 3.14
    "token": {"encodings.idna", "stringprep", "unicodedata"},  # connecting to a host by its name
    "sign-in": {"secrets"},
    "gis": set(),
}
"""All that each step may load that is not ours."""
MOST_MODULES = {"import": 2, "session": 28, "token": 60, "sign-in": 80, "gis": 110}
"""How many of our modules there may be after each step; each costs about half a millisecond where nothing is warm."""

Import = tuple[Optional[str], str, bool]

_STEPS = """
import json, os, sys, threading
settings = json.loads(sys.argv[1])
sys.path.insert(0, settings["root"])
imports = []
def watch(event, arguments):
    if event == "import":
        imports.append((arguments[0], threading.current_thread().name, "http.client" in sys.modules))
start = threading.Thread.start
def started(thread):
    imports.append((None, "started: " + thread.name, False))
    start(thread)
threading.Thread.start = started
os.cpu_count = lambda: 2
if settings["others"]:
    import urllib3, certifi
    certifi.where()
sys.addaudithook(watch)
loaded, steps = set(sys.modules), {}
def step(name):
    steps[name] = sorted(set(sys.modules) - loaded)

import esri_http
step("import")
esri_http.EsriSession().close()
step("session")
def read(auth):
    with esri_http.EsriSession(auth=auth, ca_bundles=settings["ca"]) as session:
        features = session.get(settings["layer"], params={"where": "1=1", "f": "json"}).json()["features"]
        if not features:
            sys.exit("no features")
read(esri_http.EsriUserTokenAuth(settings["token"]))
step("token")
read(esri_http.EsriBuiltInAuth(settings["portal"], "amy", settings["password"]))
step("sign-in")
with esri_http.GIS(settings["portal"], "amy", settings["password"], ca_bundles=settings["ca"]) as gis:
    if gis.users.me.username != "amy":
        sys.exit("not amy")
step("gis")
print(json.dumps([steps, imports]))
"""


@pytest.fixture(scope="module")
def portal() -> Iterator[EmbeddedPortal]:
    with EmbeddedPortal() as running:
        yield running


def walked(portal: EmbeddedPortal, others: bool) -> Any:
    """The steps in a fresh process: what was loaded after each; and every import, with its thread. `others`: first, theirs."""
    settings = {
        "root": str(ROOT), "others": others, "portal": portal.portal_url, "layer": portal.layer_url + "/query",
        "password": portal.password("amy"), "token": portal.issue_token("amy", server_url=portal.server_url),
        "ca": portal.ca_file,
    }  # fmt: skip
    run = [sys.executable, "-B", "-W", "error", "-c", _STEPS, json.dumps(settings)]
    done = subprocess.run(run, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def steps(portal: EmbeddedPortal) -> dict[str, list[str]]:
    """What was loaded after each step, beyond what urllib3 and certifi bring."""
    loaded: dict[str, list[str]] = walked(portal, others=True)[0]
    return loaded


@pytest.fixture(scope="module")
def imports(portal: EmbeddedPortal) -> list[Import]:
    """Every import of a process where we are the first to load urllib3: name, thread, whether `http.client` was loaded.

    Threads that were started are among them, without a name.
    """
    return [tuple(each) for each in walked(portal, others=False)[1]]


@pytest.mark.parametrize("name", NEVER)
def test_no_step_to_a_first_answer_loads(name: str, steps: dict[str, list[str]]) -> None:
    assert [module for module in steps["gis"] if module == name or module.startswith(name + ".")] == []


def test_each_step_loads_what_it_needs_of_others_and_no_more(steps: dict[str, list[str]]) -> None:
    allowed: set[str] = set()
    for step, loaded in steps.items():
        allowed |= MAY[step]
        assert {module for module in loaded if module.partition(".")[0] != "esri_http"} <= allowed, step


@pytest.mark.parametrize("step", MOST_MODULES)
def test_few_modules_of_ours_are_loaded_after(step: str, steps: dict[str, list[str]]) -> None:
    ours = [module for module in steps[step] if module.partition(".")[0] == "esri_http"]
    assert MOST_MODULES[step] * 3 // 4 <= len(ours) <= MOST_MODULES[step]  # a bound that is far off bounds nothing


def test_urllib3_finds_http_client_loaded(imports: list[Import]) -> None:
    """urllib3 1.26 would else load it under Python's lock of all imports, and wait there for other threads that import."""
    assert [ready for name, _, ready in imports if name == "urllib3"] == [True]


def test_the_thread_that_reads_the_roots_imports_nothing(imports: list[Import]) -> None:
    """It runs beside the import of urllib3; two threads that import may wait for each other for ever."""
    assert {thread for _, thread, _ in imports} == {"MainThread", "started: esri_http-tls"}


def test_our_code_takes_less_than_half_a_mebibyte_of_what_is_shipped() -> None:
    """Packed, as in a wheel, a toolbox or a layer; the embedded portal, for tests, is not counted."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (ROOT / "esri_http").rglob("*"):
            if path.is_file() and not {"testing", "__pycache__"} & set(path.parts):
                archive.write(path, path.relative_to(ROOT))
    assert len(packed.getvalue()) < 500 * 1024
