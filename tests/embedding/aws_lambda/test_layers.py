"""What is in layers: all of ours, releases as they were released and for the right machine, and bytecode for the right Python.

The same bytes every time.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.util
import json
import marshal
import os
import re
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from esri_http.testing import EmbeddedPortal
from vendor.layer_pins import LAMBDA_PINS, PYTHONS, read_lambda_pins, releases_for
from vendor.layers import fetch_wheels

from ...house.source_tree import PACKAGE, ROOT
from ...support.certificates import CertificateAuthority
from ...support.pfx import SECRET, pfx
from .layers import CORE, ELSEWHERE, HERE, PYTHON, Layers, full

# The first test builds the layers.
pytestmark = pytest.mark.timeout(150)

MIB = 1024 * 1024
MACHINES = {"x86_64": 62, "arm64": 183}
"""What ELF calls them."""

every_layer = pytest.mark.parametrize("architecture", [HERE, ELSEWHERE])
both_kinds = pytest.mark.parametrize("kind", ["core", "full"])


def contents(path: Path) -> dict[str, bytes]:
    """The files in a layer, but for bytecode."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith(".pyc")}


def bytecode(path: Path) -> dict[str, bytes]:
    """The bytecode in a layer, by the names of the files that it is of."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".pyc")]
        return {importlib.util.source_from_cache(name): archive.read(name) for name in names}


def releases(names: Any) -> set[str]:
    """The packages that say of themselves in a layer what they are."""
    return {match[1] for match in map(re.compile(r"python/(\w+)-[^/]*\.dist-info/METADATA").fullmatch, names) if match}


@every_layer
@pytest.mark.parametrize("kind, limit", [("core", 1.5 * MIB), ("full", 20 * MIB)])
def test_a_layer_is_small(kind: str, limit: float, architecture: str, layers: Layers) -> None:
    assert layers.path(kind, architecture).stat().st_size < limit


@every_layer
def test_the_core_layer_has_all_that_a_request_needs_and_nothing_else(architecture: str, layers: Layers) -> None:
    names = set(contents(layers.path("core", architecture)))
    assert releases(names) == CORE
    assert {name.split("/")[1].partition("-")[0] for name in names} == {"esri_http", *CORE}


@every_layer
def test_the_full_layer_has_all_that_we_declare(architecture: str, layers: Layers) -> None:
    assert releases(contents(layers.path("full", architecture))) == full(PYTHON)


@both_kinds
def test_all_of_ours_is_there_but_for_the_embedded_portal(kind: str, layers: Layers) -> None:
    prefix = "python/esri_http/"
    shipped = {name[len(prefix) :] for name in contents(layers.path(kind)) if name.startswith(prefix)}
    ours = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*") if path.is_file()}
    left_out = ("testing/", "demo.py", "demo_cases.py")
    assert shipped == {name for name in ours if "__pycache__" not in name and not name.startswith(left_out)}


@both_kinds
def test_releases_are_there_as_they_were_released_with_their_licences(kind: str, layers: Layers) -> None:
    """Each wheel's own record of its files, with their hashes."""
    files = contents(layers.path(kind))
    recorded = []
    for record in [name for name in files if name.endswith(".dist-info/RECORD")]:
        rows = list(csv.reader(files[record].decode().splitlines()))
        assert any(re.search(r"\.dist-info/.*LICEN[CS]E", name) for name, _, _ in rows)
        for name, digest, _ in rows:
            recorded.append(f"python/{name}")
            if digest:
                found = base64.urlsafe_b64encode(hashlib.sha256(files[f"python/{name}"]).digest()).decode().rstrip("=")
                assert digest == f"sha256={found}", name
    assert sorted(recorded) == sorted(name for name in files if not name.startswith("python/esri_http/"))


@every_layer
def test_what_is_compiled_is_for_that_python_and_architecture(architecture: str, layers: Layers) -> None:
    files = contents(layers.path("full", architecture))
    compiled = {name: data for name, data in files.items() if data.startswith(b"\x7fELF")}
    assert sorted(name for name in files if name.endswith(".so")) == sorted(compiled)
    assert len(compiled) == 2
    for name, data in compiled.items():
        assert struct.unpack_from("<H", data, 18)[0] == MACHINES[architecture]
        assert re.search(rf"\.abi3\.so$|\.cpython-{PYTHON.replace('.', '')}-", name)
    assert not [name for name in contents(layers.path("core", architecture)) if name.endswith(".so")]


@both_kinds
def test_two_builds_are_the_same_byte_for_byte(kind: str, layers: Layers) -> None:
    path = layers.path(kind)
    assert path.read_bytes() == (layers.again / path.name).read_bytes()


@both_kinds
def test_nothing_in_a_layer_tells_when_and_by_whom_it_was_made(kind: str, layers: Layers) -> None:
    with zipfile.ZipFile(layers.path(kind)) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {(entry.date_time, entry.external_attr) for entry in entries} == {((1980, 1, 1, 0, 0, 0), 0o100644 << 16)}


@every_layer
@both_kinds
def test_bytecode_is_for_that_python_and_taken_without_a_look_at_the_source(
    kind: str, architecture: str, layers: Layers
) -> None:
    """Its first eight bytes (PEP 552)."""
    compiled = bytecode(layers.path(kind, architecture))
    assert {data[:8] for data in compiled.values()} == {importlib.util.MAGIC_NUMBER + struct.pack("<I", 0b01)}
    sources = contents(layers.path(kind, architecture))
    assert all(data[8:16] == importlib.util.source_hash(sources[name]) for name, data in compiled.items())


@both_kinds
def test_bytecode_names_files_as_lambda_has_them_and_keeps_docstrings(kind: str, layers: Layers) -> None:
    for name, data in bytecode(layers.path(kind)).items():
        pending = [marshal.loads(data[16:])]
        assert name.endswith("/__init__.py") or not name.startswith("python/esri_http/") or pending[0].co_consts[0]
        while pending:
            code = pending.pop()
            assert code.co_filename == f"/opt/{name}"
            pending += [each for each in code.co_consts if isinstance(each, CodeType)]


_COLD_START = """
import json, sys
sys.path[:0] = [sys.argv[1]]
import esri_http
portal, layer, ca, password = sys.argv[2:]
app = esri_http.EsriOAuth2Auth(portal, "reader", "app-secret-value")
with esri_http.EsriSession(auth=app, ca_bundles=ca) as session:
    session.warm()
    assert session.get(layer, params={"f": "json"}).json()["name"] == "Places"
with esri_http.GIS(portal, "amy", password, ca_bundles=ca) as gis:
    assert gis.users.me.username == "amy"
"""


def test_no_cold_start_compiles(layers: Layers, portal: EmbeddedPortal, tmp_path: Path) -> None:
    """Every source in the layer is one that fails, so that nothing comes from there."""
    with zipfile.ZipFile(layers.path("core")) as archive:
        archive.extractall(tmp_path)
    for path in tmp_path.rglob("*.py"):
        path.write_text("raise SystemExit(__file__ + ' was compiled')\n", encoding="utf-8")
    given = [str(tmp_path / "python"), portal.portal_url, portal.layer_url, portal.ca_file, portal.password("amy")]
    run = [sys.executable, "-I", "-S", "-W", "error", "-c", _COLD_START, *given]
    done = subprocess.run(run, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="what is compiled in the layers is for Linux")
def test_the_full_layer_can_what_the_core_layer_says_it_cannot(
    layers: Layers, ca: CertificateAuthority, tmp_path: Path
) -> None:
    (tmp_path / "amy.pfx").write_bytes(pfx(ca.client()))
    program = """
import esri_http, json, sys
try:
    with esri_http.EsriSession(cert=sys.argv[2:]) as session:
        session.warm()
    esri_http.EsriHttpNtlmAuth(None, "amy", "secret")
    import spnego
    print(json.dumps("fine"))
except esri_http.MissingPackageError as error:
    print(json.dumps(str(error)))
"""
    found = {}
    for kind in ("core", "full"):
        with zipfile.ZipFile(layers.path(kind)) as archive:
            archive.extractall(tmp_path / kind)
        start = "import sys; sys.path.insert(0, sys.argv[1])\n"
        arguments = [str(tmp_path / kind / "python"), str(tmp_path / "amy.pfx"), SECRET]
        run = [sys.executable, "-I", "-S", "-W", "error", "-c", start + program, *arguments]
        done = subprocess.run(run, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=50)
        assert done.returncode == 0, done.stderr
        found[kind] = json.loads(done.stdout)
    assert found["full"] == "fine"
    assert "cryptography" in found["core"]


# -- pins and the command ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("python", PYTHONS)
def test_every_python_has_one_release_of_each_with_a_wheel_for_each_architecture(python: str) -> None:
    lines = releases_for(python)
    names = [line.partition("==")[0] for line in lines]
    assert sorted(names) == sorted(full(python))
    hashes = {name: line.count("--hash=sha256:") for name, line in zip(names, lines)}
    assert min(hashes["cryptography"], hashes["cffi"]) >= 2


@pytest.mark.parametrize(
    "line", ["cffi>=2", "cffi==2.1.1", "", 'cffi==2.1.1 ; python_version in "3.13"', f"cffi==2.1.1 --hash=sha256:{'0' * 64}"]
)
def test_a_pin_has_a_version_its_pythons_and_hashes(tmp_path: Path, line: str) -> None:
    file = tmp_path / "pins.txt"
    file.write_text(f"# a comment\n--require-hashes\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="not a pin"):
        list(read_lambda_pins(file, "3.13"))


def test_a_wheel_with_another_hash_is_not_taken(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # pip asks for rustc's version, which may write there
    line = next(line for line in read_lambda_pins(LAMBDA_PINS, PYTHON) if line.startswith("pycparser"))
    with pytest.raises(SystemExit, match=rf"not all wheels for Python {PYTHON} on {HERE}"):
        fetch_wheels([re.sub("sha256:.*", "sha256:" + "0" * 64, line)], PYTHON, HERE, tmp_path / "wheels")
    assert "DO NOT MATCH THE HASHES" in capfd.readouterr().err
    assert list((tmp_path / "wheels").glob("*.whl")) == []


def test_where_that_python_is_missing_layers_are_built_without_bytecode_and_it_is_said(tmp_path: Path) -> None:
    other = next(version for version in PYTHONS if version != PYTHON)
    environment = {**os.environ, "PATH": "", "PYENV_ROOT": str(tmp_path)}
    run = [sys.executable, "-m", "vendor.layers", other, HERE, "--into", str(tmp_path)]
    done = subprocess.run(run, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    first, *others = done.stdout.splitlines()
    assert first == f"There is no Python {other} here: the layers are without bytecode, and each cold start has to compile."
    assert len(others) == 2
    for path in tmp_path.glob("*.zip"):
        assert contents(path)
        assert bytecode(path) == {}


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_a_bare_version_is_what_a_layer_is_for_and_to_others_the_interpreter_of_that_name(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name and name not in ("MFLAGS", "ARCH")}

    def said(*arguments: str) -> str:
        run = ["make", "--dry-run", *arguments, f"VENV={tmp_path}/new"]
        return subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50, check=True).stdout

    layer = said("lambda-layer", "PYTHON=3.13", "ARCH=arm64")
    assert re.search(r"-m vendor\.layers 3\.13 arm64$", layer, re.MULTILINE)
    assert "python3 -m venv" in layer
    assert "python3.12 -m venv" in said("test", "PYTHON=3.12")
    assert "/opt/python3.12 -m venv" in said("test", "PYTHON=/opt/python3.12")
