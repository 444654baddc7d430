"""What `make vendor` and `make zipapp` build, built once (and, to compare, once more), and a portal to sign in to."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from esri_http.testing import EmbeddedPortal

from .support import Built, Guest, finished

ROOT = Path(__file__).resolve().parents[2]


def _building(into: Path, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "vendor", "folder", "zipapp", "--into", str(into)]
    return subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Both files, and the folder unpacked."""
    folder = tmp_path_factory.mktemp("dist")
    first = _building(folder)
    second = _building(folder / "again", TZ="Asia/Kathmandu", PYTHONHASHSEED="7", LC_ALL="C")
    for building in (first, second):
        finished(building)
    archive = next(folder.glob("*.zip"))
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder / "tree")
    return Built(archive, folder / "esri-http.pyz", folder / "tree", folder / "again")


@pytest.fixture(scope="session")
def other_urllib3(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of a host that has its own urllib3: the oldest that we support where we do not bring one, and the newest."""
    folders = {version: tmp_path_factory.mktemp("host") for version in ("1.26.18", "newest")}
    installing = [
        subprocess.Popen(
            [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", "--target",
             str(folder), "urllib3" + ("" if version == "newest" else f"=={version}")],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for version, folder in folders.items()
    ]  # fmt: skip
    for each in installing:
        finished(each)
    return folders


@pytest.fixture(scope="session")
def _running_portal() -> Iterator[EmbeddedPortal]:
    with EmbeddedPortal() as portal:
        yield portal


@pytest.fixture
def portal(_running_portal: EmbeddedPortal) -> Iterator[EmbeddedPortal]:
    """A portal in the process of the tests, so from the package as it is installed."""
    _running_portal.clear()
    yield _running_portal
    assert _running_portal.internal_errors == []


@pytest.fixture
def guest(built: Built, portal: EmbeddedPortal) -> Guest:
    """A program that has the folder, and nothing else; it reads a layer of the portal as amy."""
    return Guest(built.tree, portal)
