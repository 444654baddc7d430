"""A home of the test's own, and nobody's keyring but the test's."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from esri_http import ProfileManager

from .helpers import OwnStore


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """keyring finds nothing to keep secrets in, here and in processes that a test starts."""
    import keyring
    import keyring.backends.fail

    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.setattr("keyring.core._keyring_backend", keyring.backends.fail.Keyring())


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The home directory, empty."""
    folder = tmp_path / "home"
    folder.mkdir()
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(folder))
    return folder


@pytest.fixture
def path(home: Path) -> Path:
    """The file of the GIS profiles."""
    return home / ".arcgisprofile"


@pytest.fixture
def store() -> OwnStore:
    """A secret store of a user's own."""
    return OwnStore()


@pytest.fixture
def manager(home: Path, store: OwnStore) -> ProfileManager:
    """The profiles of the home directory, with the secrets in `store`."""
    return ProfileManager(store=store)


@pytest.fixture
def locked_folder() -> Iterator[Path]:
    """A folder whose file, profiles.ini, may be read by this process, and in which it may not write."""
    if not hasattr(os, "geteuid"):
        pytest.skip("rights are others on this system")
    is_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "profiles.ini").write_text("[amy]\nurl = https://gis.example.com/portal\n", encoding="ascii")
        (folder / "profiles.ini").chmod(0o644)
        folder.chmod(0o555)
        if is_root:
            os.seteuid(65534)  # rights do not bind root
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)
            folder.chmod(0o755)
