"""The file on the disk: for the user's eyes, replaced as a whole or not at all, and never a traceback of the system's."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from esri_http import ProfileError, ProfileManager

from .helpers import PASSWORD, SERVICE, OwnStore, as_the_peer_reads, output_of

URL = "https://gis.example.com/portal"
posix = pytest.mark.skipif(os.name != "posix", reason="rights and links are others on this system")


def files(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if not entry.name.endswith(".lock"))


@pytest.fixture(params=[0o000, 0o022, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """The umask of this process."""
    former = os.umask(request.param)
    yield request.param
    os.umask(former)


@posix
def test_the_file_is_for_the_user_alone_under_any_umask(manager: ProfileManager, path: Path, umask: int) -> None:
    manager.create("amy", URL)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    manager.update("amy", username="amy")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix
def test_a_file_that_others_may_read_becomes_the_users_own_when_it_is_written(manager: ProfileManager, path: Path) -> None:
    manager.create("amy", URL)
    path.chmod(0o644)
    manager.load("amy")
    manager.create("amy", URL)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644  # nothing had changed
    manager.update("amy", username="amy")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_root_leaves_the_file_to_its_owner(manager: ProfileManager, path: Path) -> None:
    manager.create("amy", URL)
    os.chown(path, 1234, 1235)
    manager.update("amy", username="amy")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 1235)


@posix
@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_and_what_it_leads_to_is_replaced(
    manager: ProfileManager, path: Path, tmp_path: Path, exists: bool
) -> None:
    repository = tmp_path / "dotfiles"
    repository.mkdir()
    if exists:
        (repository / "profiles").write_text("# mine\n", encoding="ascii")
    path.symlink_to(repository / "profiles")
    manager.create("amy", URL)
    assert path.is_symlink()
    assert list(as_the_peer_reads(repository / "profiles")) == ["amy"]
    assert (repository / "profiles").read_text(encoding="ascii").startswith("# mine\n" if exists else "[amy]\n")
    assert files(repository) == ["profiles"]
    assert files(path.parent) == [path.name]


def test_an_open_file_keeps_what_it_had(manager: ProfileManager, path: Path) -> None:
    manager.create("amy", URL)
    before = path.read_bytes()
    if os.name == "nt":
        pytest.skip("Windows does not replace an open file")
    with open(path, "rb") as reader:
        manager.update("amy", username="amy")
        assert reader.read() == before


# -- what cannot be read or written --------------------------------------------------------------------------------------


def _folder(path: Path) -> str:
    path.mkdir()
    return "it is a folder"


def _pipe(path: Path) -> str:
    os.mkfifo(path)
    return "it is no regular file"


def _loop(path: Path) -> str:
    path.symlink_to(path)
    return "symbolic links"


def _nowhere(path: Path) -> str:
    path.symlink_to("/no/such/folder/profiles")
    return "No such file or directory"


def _below_a_file(path: Path) -> str:
    (path.parent / "file").touch()
    path.symlink_to(path.parent / "file" / "profiles")
    return "Not a directory"


@posix
@pytest.mark.parametrize("make", [_folder, _pipe, _loop, _nowhere, _below_a_file], ids=lambda make: make.__name__)
def test_what_is_no_file_of_ours_is_an_error_and_left_alone(
    manager: ProfileManager, store: OwnStore, path: Path, make: Any
) -> None:
    reason = make(path)
    before = (_identity(path), files(path.parent))
    with pytest.raises(ProfileError, match=reason) as caught:
        manager.create("amy", URL, "amy", PASSWORD)
    assert str(path) in str(caught.value) or make is _nowhere
    assert (_identity(path), files(path.parent)) == before
    assert store.kept == {}


def _identity(path: Path) -> tuple[int, ...]:
    """What does not change where a file is only looked at."""
    status = path.lstat()
    return status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns


@pytest.mark.parametrize("path", ["a\x00b", "/no/such/folder/profiles.ini"])
def test_a_path_that_leads_nowhere_is_an_error(path: str, store: OwnStore) -> None:
    with pytest.raises(ProfileError, match="profiles.ini|null"):
        ProfileManager(path, store).create("amy", URL, "amy", PASSWORD)
    assert store.kept == {}


def test_a_file_that_may_not_be_read_is_an_error(locked_folder: Path, store: OwnStore) -> None:
    path = locked_folder / "profiles.ini"
    assert ProfileManager(path, store).list() == ["amy"]
    is_root = os.getuid() == 0
    os.seteuid(os.getuid())
    path.chmod(0)
    if is_root:
        os.seteuid(65534)
    with pytest.raises(ProfileError, match="profiles.ini cannot be read: Permission denied"):
        ProfileManager(path, store).list()


@pytest.mark.parametrize("lock_exists", [False, True])
def test_in_a_folder_that_may_not_be_written_nothing_is_half_saved(
    locked_folder: Path, store: OwnStore, lock_exists: bool
) -> None:
    path = locked_folder / "profiles.ini"
    if lock_exists:
        euid = os.geteuid()
        os.seteuid(os.getuid())
        locked_folder.chmod(0o755)
        (locked_folder / "profiles.ini.lock").touch()
        (locked_folder / "profiles.ini.lock").chmod(0o666)
        locked_folder.chmod(0o555)
        os.seteuid(euid)
    manager, before = ProfileManager(path, store), path.read_bytes()
    store.kept[SERVICE, "amy"] = "the former secret"
    for attempt in (
        lambda: manager.create("amy", URL, "amy", PASSWORD),
        lambda: manager.create("amy", "https://other.example.com"),
        lambda: manager.create("new", URL, "amy", PASSWORD),
        lambda: manager.update("amy", username="amy", password=PASSWORD),
        lambda: manager.delete("amy"),
    ):
        with pytest.raises(ProfileError, match=r"profiles\.ini.*Permission denied.*Nothing was changed"):
            attempt()
        assert store.kept == {(SERVICE, "amy"): "the former secret"}
    assert path.read_bytes() == before
    assert files(locked_folder) == ["profiles.ini"]
    # With the lock there, the store was asked, and put back.
    assert ("set" in store.asked) is lock_exists


FULL_DISK = """
import resource, signal, sys
from esri_http import ProfileError, ProfileManager
from tests.profiles.helpers import OwnStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = OwnStore()
manager = ProfileManager(sys.argv[1], store)
manager.create("amy", "https://gis.example.com/portal", "amy", "former")
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    manager.create("bob", "https://gis.example.com/" + "x" * 200, "bob", "bobs-secret")
except ProfileError as error:
    print(error)
print(manager.list(), sorted(store.kept.values()))
"""


@posix
@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_where_there_is_no_room_nothing_is_half_written(tmp_path: Path) -> None:
    path = tmp_path / "profiles.ini"
    error, left = output_of(FULL_DISK, path).splitlines()
    assert error == f"{path} cannot be written: File too large. Nothing was changed."
    assert left == "['amy'] ['former']"
    assert list(as_the_peer_reads(path)) == ["amy"]
    assert files(tmp_path) == ["profiles.ini"]


def test_without_a_home_there_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch, store: OwnStore) -> None:
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, "~")
    with pytest.raises(ProfileError, match="no home directory"):
        ProfileManager(store=store).list()
