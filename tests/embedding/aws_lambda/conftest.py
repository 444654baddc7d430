"""Layers, built once for this Python, and a function that has the core layer alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from esri_http.testing import EmbeddedPortal
from esri_http.words.clock import Clock

from ...house.source_tree import ROOT
from ...support.clock import FakeClock
from .layers import ELSEWHERE, HERE, PYTHON, Layers
from .runtime import Function, running

FUNCTION = Path(__file__).parent / "function" / "lambda_function.py"
SECRET = "app-secret-value"
_SECONDS = 100.0


def _started(*command: str, umask: int = -1, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *command], cwd=ROOT, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, umask=umask,
    )  # fmt: skip


def _end(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        output, _ = process.communicate(timeout=_SECONDS)
        assert process.returncode == 0, output


@pytest.fixture(scope="session")
def layers(tmp_path_factory: pytest.TempPathFactory) -> Layers:
    """What `make lambda-layer` builds for this Python, for both architectures, and for this machine's once more."""
    built = Layers(tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("again"))
    other = {"TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "7", "PYTHONOPTIMIZE": "2", "TMPDIR": str(tmp_path_factory.mktemp("t"))}
    _end(
        _started("vendor.layers", PYTHON, HERE, "--into", str(built.folder)),
        _started("vendor.layers", PYTHON, ELSEWHERE, "--into", str(built.folder)),
        _started("vendor.layers", PYTHON, HERE, "--into", str(built.again), umask=0o077, **other),
    )
    return built


@pytest.fixture(scope="session")
def opt(tmp_path_factory: pytest.TempPathFactory, layers: Layers) -> Iterator[Path]:
    """`/opt/python`, as Lambda unpacks the core layer: nobody may write there, and nothing has when the tests are over."""
    folder = tmp_path_factory.mktemp("opt")
    with zipfile.ZipFile(layers.path("core")) as archive:
        archive.extractall(folder)
    paths = sorted([folder, *folder.rglob("*")])
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder / "python"
    assert sorted([folder, *folder.rglob("*")]) == paths
    for path in paths:
        path.chmod(0o755)


@pytest.fixture(scope="session")
def runtime_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Amazon's client for the runtime API, and what it needs."""
    folder = tmp_path_factory.mktemp("runtime")
    options = ["--quiet", "--disable-pip-version-check", "--no-compile", "--only-binary=:all:", f"--target={folder}"]
    _end(_started("pip", "install", *options, "awslambdaric>=4,<5"))
    return folder


@pytest.fixture
def site_clock() -> FakeClock:
    """The portal's clock; the function's is the system's."""
    return FakeClock(time=Clock().time())


@pytest.fixture
def portal(site_clock: FakeClock) -> Iterator[EmbeddedPortal]:
    """A site with an app that may sign in."""
    with EmbeddedPortal(clock=site_clock) as portal:
        portal.register_app("reader", SECRET)
        yield portal
        assert portal.internal_errors == []


@pytest.fixture
def started(opt: Path, runtime_client: Path, portal: EmbeddedPortal, tmp_path: Path) -> Iterator[Callable[..., Function]]:
    """`started(code=FUNCTION, **variables)`: a new process of a function; without variables it signs in as the app."""
    with ExitStack() as stack:

        def start(code: Path = FUNCTION, **variables: str) -> Function:
            task = tmp_path / "task"
            task.mkdir()
            shutil.copy(code, task / "lambda_function.py")
            task.chmod(0o555)
            stack.callback(task.chmod, 0o755)
            given = {
                "PORTAL_URL": portal.portal_url, "LAYER_URL": portal.layer_url, "REQUESTS_CA_BUNDLE": portal.ca_file,
                **(variables or {"CLIENT_ID": "reader", "CLIENT_SECRET": SECRET}),
            }  # fmt: skip
            return stack.enter_context(running(task, opt, runtime_client, log=tmp_path / "log.txt", variables=given))

        yield start
