"""Passwords are in a keyring or a store of one's own and nowhere else; without one, a message says what to do instead."""

from __future__ import annotations

import os
import pickle
import threading
from pathlib import Path
from typing import Any, Optional

import keyring.backend
import keyring.backends.null
import keyring.credentials
import keyring.errors
import pytest

from esri_http import EsriHttpError, MissingPackageError, ProfileError, ProfileManager, SecretStoreError
from esri_http.profiles.manager import StoredProfile
from esri_http.profiles.secrets import KeyringStore, variable_of

from ..auth.helpers import assert_hidden, in_threads
from .helpers import PASSWORD, SERVICE, BrokenStore, OwnStore, as_the_peer_reads, output_of

URL = "https://gis.example.com/portal"
VARIABLE = "ESRI_HTTP_PASSWORD_AMY_AT_WORK"
NAME = "amy at work"


class MemoryKeyring(keyring.backend.KeyringBackend):
    """A back end that keeps passwords in memory; `failure` is what each of its methods raises, if anything."""

    priority = 1  # type: ignore[assignment]

    def __init__(self, failure: Optional[BaseException] = None) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.failure = failure

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure

    def get_password(self, service: str, username: str) -> Optional[str]:
        self._fail()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._fail()
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._fail()
        if self.kept.pop((service, username), None) is None:
            raise keyring.errors.PasswordDeleteError("not found")


class FirstComerKeyring(MemoryKeyring):
    """As Windows' once was: asked for a credential, it gives what it has for whomever."""

    def get_credential(self, service: str, username: Optional[str]) -> Any:
        for (_, user), password in self.kept.items():
            return keyring.credentials.SimpleCredential(user, password)
        return None


class NamelessKeyring(MemoryKeyring):
    """Its credentials do not say whose they are."""

    def get_credential(self, service: str, username: Optional[str]) -> Any:
        class Nameless:
            password = "somebody's"

            @property
            def username(self) -> str:
                raise ValueError("no name")

        return Nameless()


class PlaintextKeyring(MemoryKeyring):
    """What the package keyrings.alt brings."""


PlaintextKeyring.__module__ = "keyrings.alt.file"


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`use(back_end)`: from then on, that is the keyring of this process."""

    def set_it(back_end: Any) -> Any:
        monkeypatch.setattr("keyring.core._keyring_backend", back_end)
        return back_end

    return set_it


@pytest.fixture
def by_keyring(home: Path) -> ProfileManager:
    """The profiles of the home directory, with the secrets in the keyring."""
    return ProfileManager()


def says_what_to_do(error: BaseException) -> bool:
    return all(words in str(error) for words in ("give the password each time", VARIABLE, "SecretStore of your own"))


# -- the keyring ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [MemoryKeyring, FirstComerKeyring, NamelessKeyring])
def test_the_keyring_is_used_as_the_peer_uses_it(by_keyring: ProfileManager, path: Path, use: Any, kind: Any) -> None:
    back_end = use(kind())
    by_keyring.create("bob", URL, "bob", "bobs-secret")
    by_keyring.create(NAME, URL, "amy")
    assert by_keyring.load(NAME) == StoredProfile(NAME, URL, "amy")  # and never bob's
    by_keyring.update(NAME, password=PASSWORD)
    assert by_keyring.load(NAME) == StoredProfile(NAME, URL, "amy", secret=PASSWORD)
    assert back_end.kept == {(SERVICE, "bob"): "bobs-secret", (SERVICE, NAME): PASSWORD}
    by_keyring.delete(NAME)
    by_keyring.delete("bob")
    assert back_end.kept == {}
    assert PASSWORD.encode() not in path.read_bytes()


def test_deleting_a_profile_without_a_secret_is_no_error(by_keyring: ProfileManager, use: Any) -> None:
    use(MemoryKeyring())
    by_keyring.create(NAME, URL)
    assert by_keyring.delete(NAME)
    assert by_keyring.list() == []


FAILURES: dict[str, Any] = {
    "locked": (keyring.errors.KeyringLocked(f"not {PASSWORD}"), "MemoryKeyring is locked. Unlock it"),
    "init": (keyring.errors.InitError(f"not {PASSWORD}"), r"MemoryKeyring failed \(InitError\)"),
    "no keyring": (keyring.errors.NoKeyringError(PASSWORD), "found nothing to keep it in"),
    "system": (OSError(5, PASSWORD), r"MemoryKeyring failed \(OSError\)"),
    "bug": (KeyError(PASSWORD), r"MemoryKeyring failed \(KeyError\)"),
}


@pytest.mark.parametrize("failure, text", list(FAILURES.values()), ids=list(FAILURES))
def test_what_a_back_end_raises_is_told_by_its_kind_alone(
    by_keyring: ProfileManager, path: Path, use: Any, failure: Exception, text: str
) -> None:
    use(MemoryKeyring(failure))
    with pytest.raises(SecretStoreError, match=text) as caught:
        by_keyring.create(NAME, URL, "amy", PASSWORD)
    assert says_what_to_do(caught.value)
    assert_hidden([PASSWORD], caught.value)
    assert caught.value.profile == NAME
    assert not path.exists()


@pytest.mark.parametrize("failure, text", list(FAILURES.values()), ids=list(FAILURES))
def test_a_profile_is_loaded_without_its_secret_where_the_keyring_fails(
    by_keyring: ProfileManager, use: Any, failure: Exception, text: str
) -> None:
    back_end = use(MemoryKeyring())
    by_keyring.create(NAME, URL, "amy", PASSWORD)
    back_end.failure = failure
    loaded = by_keyring.load(NAME)
    assert (loaded.url, loaded.username, loaded.secret) == (URL, "amy", None)
    assert loaded.secret_problem is not None
    assert PASSWORD not in loaded.secret_problem
    assert by_keyring.get(NAME)["username"] == "amy"


@pytest.mark.parametrize("failure", [failure for failure, _ in FAILURES.values()], ids=list(FAILURES))
def test_without_a_password_a_profile_is_made_and_changed_whatever_the_keyring_does(
    by_keyring: ProfileManager, path: Path, use: Any, failure: Exception
) -> None:
    use(MemoryKeyring(failure))
    by_keyring.create("amy", URL, "amy")
    by_keyring.update("amy", key_file="k", cert_file="c")
    assert as_the_peer_reads(path)["amy"]["cert_file"] == "c"


def test_a_locked_keyring_keeps_the_profile_and_its_secret_together(by_keyring: ProfileManager, path: Path, use: Any) -> None:
    back_end = use(MemoryKeyring())
    by_keyring.create(NAME, URL, "amy", PASSWORD)
    before, kept = path.read_bytes(), dict(back_end.kept)
    back_end.failure = keyring.errors.KeyringLocked()
    for attempt in (
        lambda: by_keyring.delete(NAME),
        lambda: by_keyring.set_secret(NAME, "another"),
        lambda: by_keyring.update(NAME, key_file="k", password="another"),
        lambda: by_keyring.update(NAME, username="bob"),  # whose secret would be amy's
    ):
        with pytest.raises(SecretStoreError, match="locked"):
            attempt()
    assert (path.read_bytes(), back_end.kept) == (before, kept)


def test_where_there_is_no_keyring_there_is_nothing_to_forget(by_keyring: ProfileManager, path: Path) -> None:
    by_keyring.create(NAME, URL, "amy")
    by_keyring.update(NAME, username="bob")
    assert as_the_peer_reads(path)[NAME]["username"] == "bob"
    by_keyring.delete(NAME)
    assert as_the_peer_reads(path) == {}


@pytest.mark.parametrize("back_end", [None, keyring.backends.null.Keyring()], ids=["fail", "null"])
def test_no_back_end_is_told_as_such_and_no_file_takes_its_place(
    by_keyring: ProfileManager, home: Path, use: Any, back_end: Any
) -> None:
    if back_end is not None:
        use(back_end)
    with pytest.raises(SecretStoreError, match="Secret Service such as gnome-keyring") as caught:
        by_keyring.create(NAME, URL, "amy", PASSWORD)
    assert says_what_to_do(caught.value)
    assert list(home.iterdir()) == [home / ".arcgisprofile.lock"]
    by_keyring.create(NAME, URL, "amy")
    assert "gnome-keyring" in (by_keyring.load(NAME).secret_problem or "")


def test_a_keyring_of_plain_text_is_not_written_to(by_keyring: ProfileManager, path: Path, use: Any) -> None:
    back_end = use(PlaintextKeyring())
    with pytest.raises(SecretStoreError, match=r"keyrings\.alt\.file\.PlaintextKeyring would keep it as plain text") as caught:
        by_keyring.create(NAME, URL, "amy", PASSWORD)
    assert says_what_to_do(caught.value)
    assert (back_end.kept, path.exists()) == ({}, False)


def test_a_back_end_that_keyring_cannot_load_is_told_as_such(home: Path) -> None:
    program = """
from esri_http import ProfileManager, SecretStoreError
try:
    ProfileManager().create("amy at work", "https://gis.example.com", "amy", "amys-secret")
except SecretStoreError as error:
    print(error)
"""
    said = output_of(program, env={"PYTHON_KEYRING_BACKEND": "no.such.Keyring"})
    assert "keyring failed (ModuleNotFoundError)" in said
    assert VARIABLE in said


WITHOUT_KEYRING = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "keyring":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
from esri_http import MissingPackageError, ProfileManager
manager = ProfileManager()
try:
    manager.create("amy at work", "https://gis.example.com", "amy", "amys-secret")
except MissingPackageError as error:
    print(error, error.package)
print(manager.list())
manager.create("amy at work", "https://gis.example.com", "amy")
loaded = manager.load("amy at work")
print(loaded.username, loaded.secret, loaded.secret_problem)
manager.update("amy at work", username="bob")
manager.delete("amy at work")
print(manager.list())
"""


def test_without_the_package_only_passwords_cannot_be_kept(home: Path) -> None:
    error, first, loaded, last = output_of(WITHOUT_KEYRING).splitlines()
    assert 'needs the package keyring: pip install "esri_http[keyring]". Without it: give the password' in error
    assert error.endswith(" keyring")
    assert VARIABLE in error
    assert (first, last) == ("[]", "[]")
    assert loaded.startswith("amy None The secret of the profile 'amy at work' needs the package keyring")
    assert sorted(entry.name for entry in home.iterdir()) == [".arcgisprofile", ".arcgisprofile.lock"]


def test_the_keyring_store_can_be_used_by_itself(use: Any) -> None:
    use(MemoryKeyring())
    store = KeyringStore()
    store.delete("service", "amy")
    store.set("service", "amy", PASSWORD)
    assert store.get("service", "amy") == PASSWORD
    store.delete("service", "amy")
    assert store.get("service", "amy") is None


def test_a_back_end_is_asked_by_one_thread_at_a_time(by_keyring: ProfileManager, use: Any) -> None:
    class Watched(MemoryKeyring):
        """The first one to come when it is watched waits for company."""

        watched = False
        company = threading.Event()
        had_company: Optional[bool] = None

        def _fail(self) -> None:
            if self.watched:
                self.watched = False
                self.had_company = self.company.wait(0.5)
            elif self.had_company is None:
                self.company.set()

    back_end = use(Watched())
    for name in "abcdefgh":
        by_keyring.create(name, URL, "amy")
    back_end.company.clear()
    back_end.watched = True
    assert in_threads(8, lambda number: by_keyring.set_secret("abcdefgh"[number], PASSWORD)) == [None] * 8
    assert back_end.had_company is False
    assert len(back_end.kept) == 8


# -- a store of one's own ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "set"])
def test_a_store_of_ones_own_that_fails_is_told_by_its_kind_and_nothing_is_saved(home: Path, method: str) -> None:
    manager = ProfileManager(store=BrokenStore(method))
    with pytest.raises(SecretStoreError, match=r"the secret store failed \(OSError\)") as caught:
        manager.create(NAME, URL, "amy", PASSWORD)
    assert says_what_to_do(caught.value)
    assert_hidden([PASSWORD], caught.value)
    assert not (home / ".arcgisprofile").exists()


def test_a_store_that_cannot_delete_keeps_the_profile(home: Path) -> None:
    store = BrokenStore()
    manager = ProfileManager(store=store)
    manager.create(NAME, URL, "amy", PASSWORD)
    store.broken = ("delete",)
    with pytest.raises(SecretStoreError, match="failed"):
        manager.delete(NAME)
    assert manager.load(NAME).secret == PASSWORD


def test_an_error_of_ours_that_a_store_raises_passes(home: Path) -> None:
    class Vault(OwnStore):
        def get(self, service: str, name: str) -> Optional[str]:
            raise ProfileError("The vault is closed until nine.")

    with pytest.raises(ProfileError, match="closed until nine"):
        ProfileManager(store=Vault()).create(NAME, URL, "amy", PASSWORD)


def test_a_store_that_gives_no_text_is_told_as_such(home: Path) -> None:
    class Vault(OwnStore):
        def get(self, service: str, name: str) -> Any:
            return PASSWORD.encode()

    manager = ProfileManager(store=Vault())
    manager.create(NAME, URL, "amy")
    assert manager.load(NAME).secret_problem == "The secret store gave bytes, not text, for the profile 'amy at work'."


def test_where_the_former_secret_cannot_be_put_back_the_first_failure_is_told(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Closing(BrokenStore):
        def set(self, service: str, name: str, secret: str) -> None:
            super().set(service, name, secret)
            self.broken = ("set", "delete")
            (home / ".arcgisprofile").mkdir()

    with pytest.raises(ProfileError, match="it is a folder") as caught:
        ProfileManager(store=Closing()).create(NAME, URL, "amy", PASSWORD)
    assert not isinstance(caught.value, SecretStoreError)


# -- the environment -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "profile, variable",
    [
        ("amy", "ESRI_HTTP_PASSWORD_AMY"),
        (NAME, VARIABLE),
        ("gis.example.com/2", "ESRI_HTTP_PASSWORD_GIS_EXAMPLE_COM_2"),
        ("zoë", "ESRI_HTTP_PASSWORD_ZO_"),
    ],
)
def test_every_profile_has_a_variable(profile: str, variable: str) -> None:
    assert variable_of(profile) == variable


def test_the_variable_counts_before_the_store_which_is_not_asked(
    manager: ProfileManager, store: OwnStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager.create(NAME, URL, "amy", "in the store")
    asked = len(store.asked)
    monkeypatch.setenv(VARIABLE, PASSWORD)
    assert manager.load(NAME).secret == PASSWORD
    assert store.asked[asked:] == []
    monkeypatch.setenv(VARIABLE, "")
    assert manager.load(NAME).secret == "in the store"


def test_a_secret_from_the_variable_stays_there(
    by_keyring: ProfileManager, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_keyring.create(NAME, URL, "amy")
    monkeypatch.setenv(VARIABLE, PASSWORD)
    # As a GIS does it, on a machine without a keyring.
    by_keyring.save(by_keyring.load(NAME).replace(url="https://gis.example.com/portal2"))
    assert as_the_peer_reads(path)[NAME]["url"] == "https://gis.example.com/portal2"
    monkeypatch.delenv(VARIABLE)
    assert by_keyring.load(NAME).secret is None


# -- errors --------------------------------------------------------------------------------------------------------------


def test_every_error_is_one_of_ours_and_can_be_pickled(by_keyring: ProfileManager) -> None:
    with pytest.raises(EsriHttpError) as caught:
        by_keyring.create(NAME, URL, "amy", PASSWORD)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again), again.profile) == (type(caught.value), str(caught.value), NAME)
    assert not isinstance(again, MissingPackageError)
    assert "ESRI_HTTP_PASSWORD" not in os.environ
