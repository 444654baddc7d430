"""One embedded portal for all runs of the program, forgotten and healed after each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from esri_http.testing import EmbeddedPortal

from .file_keyring import VARIABLE, FileKeyring


@pytest.fixture(scope="session")
def _running_portal() -> Iterator[EmbeddedPortal]:
    with EmbeddedPortal() as portal:
        yield portal


@pytest.fixture
def portal(_running_portal: EmbeddedPortal, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedPortal]:
    """A portal that the program trusts by the environment; where a test is about trust, it says so itself."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", _running_portal.ca_file)
    _running_portal.clear()
    yield _running_portal
    _running_portal.faults.clear()
    assert _running_portal.internal_errors == []


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory, and an empty keyring in the file `keyring.json` of it, for the programs that a test starts."""
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", f"{FileKeyring.__module__}.{FileKeyring.__name__}")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "keyring.json"))
    return tmp_path
