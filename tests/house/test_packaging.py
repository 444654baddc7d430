"""What is built for users: every file of the package, and the oldest versions that it promises to work with."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import esri_http

from ..support.oldest_pins import oldest_pins
from .source_tree import PACKAGE, ROOT

NOT_SHIPPED = {"__pycache__"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from a copy of the sources."""
    copy = tmp_path_factory.mktemp("sources")
    shutil.copytree(PACKAGE, copy / "esri_http", ignore=shutil.ignore_patterns(*NOT_SHIPPED))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, copy)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", "dist", "."]
    done = subprocess.run(command, cwd=copy, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=55)
    assert done.returncode == 0, done.stdout + done.stderr
    return next((copy / "dist").glob("*.whl"))


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    ours = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*") if path.is_file()}
    ours = {name for name in ours if not NOT_SHIPPED & set(name.split("/"))}
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert shipped == ours


def test_the_wheel_carries_the_version_and_the_command(wheel: Path) -> None:
    assert wheel.name.startswith(f"esri_http-{esri_http.__version__}-")
    with zipfile.ZipFile(wheel) as archive:
        entry_points = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "esri-http = esri_http.cli:main" in archive.read(entry_points).decode()


def test_the_package_tells_type_checkers_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()


def test_every_dependency_has_an_oldest_version() -> None:
    assert [pin.partition("==")[0] for pin in oldest_pins()] == ["urllib3", "certifi", "pyspnego", "cryptography"]
    assert "urllib3==1.26.18" in oldest_pins()
