"""`ProfileManager`: the peer's methods, and ours besides; a name that is not there never makes a profile."""

from __future__ import annotations

import datetime
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from esri_http import (
    ConfigurationError,
    EsriHttpError,
    MissingPackageError,
    ProfileError,
    ProfileManager,
    ServerProfileManager,
)
from esri_http.profiles.manager import StoredProfile, stored

from ..support.clock import FakeClock
from .helpers import KEYS, PASSWORD, SERVICE, OwnStore, as_the_peer_reads

URL = "https://gis.example.com/portal"
WHOLE = {
    "url": URL,
    "username": "amy",
    "key_file": "/keys/amy.key",
    "cert_file": "/keys/amy.pem",
    "client_id": "f8cRxbP3NO8bf9ag",
}


def files(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


# -- the peer's methods --------------------------------------------------------------------------------------------------


def test_a_profile_is_made_and_comes_back_whole(manager: ProfileManager, store: OwnStore, path: Path) -> None:
    assert manager.create("amy at work", password=PASSWORD, **WHOLE) is True
    assert manager.load("amy at work") == StoredProfile("amy at work", secret=PASSWORD, **WHOLE)
    assert store.kept == {(SERVICE, "amy at work"): PASSWORD}
    assert {key: as_the_peer_reads(path)["amy at work"][key] for key in KEYS} == WHOLE
    assert PASSWORD.encode() not in path.read_bytes()


def test_the_parameters_stand_in_the_peers_order(manager: ProfileManager) -> None:
    manager.create("amy", URL, "amy", PASSWORD, "a.key", "a.pem", "app")
    manager.update("amy", URL, "amy", PASSWORD, "b.key", "b.pem", "app")
    assert manager.load("amy") == StoredProfile("amy", URL, "amy", "b.key", "b.pem", "app", PASSWORD)


def test_get_gives_the_parts_and_the_date_but_no_secret(home: Path, store: OwnStore, fake_clock: FakeClock) -> None:
    manager = ProfileManager(store=store, clock=fake_clock)
    manager.create("amy", URL, "amy", PASSWORD)
    assert manager.get("amy") == {
        "url": URL,
        "username": "amy",
        "key_file": None,
        "cert_file": None,
        "client_id": None,
        "date_modified": datetime.datetime.fromtimestamp(fake_clock.time()),
    }
    assert store.asked.count("get") == 1


@pytest.mark.parametrize("seconds", [1_700_000_000.0, 1_700_000_000.25])
def test_the_date_is_one_that_the_peer_reads_also_on_the_full_second(path: Path, store: OwnStore, seconds: float) -> None:
    ProfileManager(store=store, clock=FakeClock(seconds)).create("amy", URL)
    written = as_the_peer_reads(path)["amy"]["date_modified"]
    assert datetime.datetime.strptime(written, "%Y-%m-%d %H:%M:%S.%f") == datetime.datetime.fromtimestamp(seconds)


def test_update_changes_what_is_given_and_nothing_else(manager: ProfileManager) -> None:
    manager.create("amy", password=PASSWORD, **WHOLE)
    assert manager.update("amy", cert_file="/keys/new.pem") is True
    assert manager.load("amy") == StoredProfile("amy", **{**WHOLE, "cert_file": "/keys/new.pem"}, secret=PASSWORD)
    manager.update("amy", password="another one")
    assert manager.load("amy").secret == "another one"


def test_create_takes_the_place_of_a_profile(manager: ProfileManager) -> None:
    manager.create("amy", password=PASSWORD, **WHOLE)
    manager.create("amy", URL, "amy", client_id=WHOLE["client_id"])
    assert manager.load("amy") == StoredProfile("amy", URL, "amy", client_id=WHOLE["client_id"], secret=PASSWORD)


def test_list_gives_the_names_in_the_order_of_the_file(manager: ProfileManager) -> None:
    assert manager.list() == []
    for name in ("zoë", "amy", "Amy"):
        manager.create(name, URL)
    assert manager.list() == ["zoë", "amy", "Amy"]


def test_a_data_frame_has_a_row_for_each_profile(
    manager: ProfileManager, monkeypatch: pytest.MonkeyPatch, fake_clock: FakeClock
) -> None:
    class Pandas:
        """The one name of pandas that is used."""

        DataFrame = staticmethod(lambda rows: ("a frame of", rows))

    monkeypatch.setitem(sys.modules, "pandas", Pandas)  # type: ignore[arg-type]
    manager.create("amy", URL, "amy")
    assert manager.list(as_df=True) == ("a frame of", [{"profile": "amy", **manager.get("amy")}])


def test_without_pandas_a_data_frame_is_an_error_that_says_what_to_install(
    manager: ProfileManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingPackageError, match="pip install pandas"):
        manager.list(True)


def test_delete_takes_the_secret_along(manager: ProfileManager, store: OwnStore, path: Path) -> None:
    manager.create("amy", URL, "amy", PASSWORD)
    manager.create("bob", URL, "bob", "bobs-secret")
    assert manager.delete("amy") is True
    assert (manager.list(), store.kept) == (["bob"], {(SERVICE, "bob"): "bobs-secret"})
    assert list(as_the_peer_reads(path)) == ["bob"]


def test_save_as_takes_the_parts_of_a_gis_with_the_secret(manager: ProfileManager) -> None:
    class Gis:
        def profile_parts(self) -> StoredProfile:
            return StoredProfile("", URL, "amy", secret=PASSWORD)

    assert manager.save_as("work", Gis()) is True
    assert manager.load("work") == StoredProfile("work", URL, "amy", secret=PASSWORD)
    with pytest.raises(ConfigurationError, match="str cannot say how it signs in"):
        manager.save_as("home", "https://gis.example.com")
    assert manager.list() == ["work"]


# -- names that are not there --------------------------------------------------------------------------------------------

ON_MISSING: dict[str, Any] = {
    "get": lambda manager, name: manager.get(name),
    "load": lambda manager, name: manager.load(name),
    "update": lambda manager, name: manager.update(name, url=URL, password=PASSWORD),
    "delete": lambda manager, name: manager.delete(name),
    "set_secret": lambda manager, name: manager.set_secret(name, PASSWORD),
}


@pytest.mark.parametrize("method", list(ON_MISSING.values()), ids=list(ON_MISSING))
@pytest.mark.parametrize(
    "name, hint",
    [
        ("amy at wrok", "Did you mean 'amy at work'?"),
        ("AMY AT WORK", "Did you mean 'amy at work'?"),
        ("xyz", "There are 'amy at work', 'bob'."),
    ],
)
def test_a_missing_profile_is_an_error_with_the_nearest_name_and_makes_none(
    manager: ProfileManager, store: OwnStore, path: Path, method: Any, name: Any, hint: str
) -> None:
    manager.create("amy at work", URL)
    manager.create("bob", URL)
    before = path.read_bytes()
    with pytest.raises(ProfileError) as caught:
        method(manager, name)
    assert str(path) in str(caught.value)
    assert hint in str(caught.value)
    assert caught.value.profile == str(name)
    assert path.read_bytes() == before
    assert store.kept == {}


@pytest.mark.parametrize("method", list(ON_MISSING.values()), ids=list(ON_MISSING))
@pytest.mark.parametrize("name", ["DEFAULT", "", "a]\n[b", None, ["amy"]])
def test_a_name_that_no_profile_can_have_is_no_profile_either(
    manager: ProfileManager, store: OwnStore, path: Path, method: Any, name: Any
) -> None:
    manager.create("amy", URL)
    before = path.read_bytes()
    with pytest.raises(ProfileError, match="There is no profile|Did you mean|cannot be called"):
        method(manager, name)
    assert path.read_bytes() == before
    assert store.kept == {}


@pytest.mark.parametrize("method", list(ON_MISSING.values()), ids=list(ON_MISSING))
def test_where_there_is_no_file_none_is_made(manager: ProfileManager, home: Path, method: Any) -> None:
    with pytest.raises(ProfileError, match="There are none yet"):
        method(manager, "amy")
    assert files(home) == []


def test_many_names_are_not_all_shown(manager: ProfileManager) -> None:
    for number in range(25):
        manager.create(f"number {number}", URL)
    with pytest.raises(ProfileError, match=r"'number 19', \.\.\.\.$"):
        manager.load("qqq")


def test_exists_tells_without_an_error(manager: ProfileManager, home: Path) -> None:
    assert not manager.exists("amy")
    assert files(home) == []
    manager.create("amy", URL)
    assert manager.exists("amy")
    assert not manager.exists("Amy")
    for name in (None, 5, ["amy"]):
        assert not manager.exists(name)


# -- the two files -------------------------------------------------------------------------------------------------------


def test_servers_have_a_file_and_a_service_of_their_own(home: Path, store: OwnStore) -> None:
    ServerProfileManager(store=store).create("amy", "https://gis.example.com/arcgis", "amy", PASSWORD)
    assert [name for name in files(home) if not name.endswith(".lock")] == [".agsprofile"]
    assert store.kept == {("esri_ags_profile_passwords", "amy"): PASSWORD}


def test_a_name_is_looked_for_in_both_files_and_in_that_of_the_portals_first(home: Path, store: OwnStore) -> None:
    ServerProfileManager(store=store).create("both", "https://server.example.com/arcgis")
    ServerProfileManager(store=store).create("server", "https://server.example.com/arcgis", "amy", PASSWORD)
    ProfileManager(store=store).create("both", URL)
    manager, profile = stored("both", store)
    assert (type(manager), profile.url) == (ProfileManager, URL)
    manager, profile = stored("server", store)
    assert (type(manager), profile.secret) == (ServerProfileManager, PASSWORD)
    for wrong, near in (("sever", "server"), ("botz", "both")):
        with pytest.raises(ProfileError, match=rf"(?s)\.arcgisprofile and .*\.agsprofile.*Did you mean '{near}'"):
            stored(wrong, store)


def test_the_file_is_that_of_whoever_is_at_home_when_it_is_asked(
    manager: ProfileManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager.create("amy", URL)
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    assert manager.list() == []
    manager.create("bob", URL)
    assert (tmp_path / ".arcgisprofile").exists()


def test_a_path_may_be_text_or_a_path_object(tmp_path: Path, store: OwnStore) -> None:
    ProfileManager(tmp_path / "mine.ini", store).create("amy", URL)
    assert ProfileManager(str(tmp_path / "mine.ini"), store).list() == ["amy"]
    assert ProfileManager(os.fsencode(tmp_path / "mine.ini"), store).update("amy", username="amy")
    with pytest.raises(ConfigurationError, match="path= takes the path of a file, not int"):
        ProfileManager(5)


# -- only what has changed -----------------------------------------------------------------------------------------------


def test_saving_what_is_there_already_touches_neither_file_nor_store(
    manager: ProfileManager, store: OwnStore, path: Path
) -> None:
    manager.create("amy", password=PASSWORD, **WHOLE)
    before, asked = path.stat(), len(store.asked)
    manager.save(manager.load("amy"))
    manager.create("amy", password=PASSWORD, **WHOLE)
    manager.update("amy", URL)
    manager.save(StoredProfile("amy", **WHOLE))
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert set(store.asked[asked:]) == {"get"}


def test_another_secret_touches_the_store_alone(manager: ProfileManager, store: OwnStore, path: Path) -> None:
    manager.create("amy", password="a refresh token", **WHOLE)
    before = path.stat()
    manager.set_secret("amy", "the next one")
    assert store.kept == {(SERVICE, "amy"): "the next one"}
    manager.create("amy", password="and the next", **WHOLE)
    assert store.kept == {(SERVICE, "amy"): "and the next"}
    manager.set_secret("amy", None)
    assert store.kept == {}
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_an_unchanged_profile_is_saved_where_nothing_can_be_written(locked_folder: Path) -> None:
    manager = ProfileManager(locked_folder / "profiles.ini", OwnStore())
    manager.save(StoredProfile("amy", URL))
    assert files(locked_folder) == ["profiles.ini"]


# -- whose secret it is --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [{"username": "bob"}, {"url": "https://other.example.com/portal"}, {"url": None}, {"username": None}, {"client_id": "x"}],
    ids=str,
)
def test_a_secret_is_never_kept_for_another_account(manager: ProfileManager, store: OwnStore, change: Any) -> None:
    manager.create("amy", password=PASSWORD, **WHOLE)
    manager.save(StoredProfile("amy", **{**WHOLE, **change}))
    assert manager.load("amy") == StoredProfile("amy", **{**WHOLE, **change})
    assert store.kept == {}


@pytest.mark.parametrize(
    "change",
    [{"url": "https://GIS.example.com/portal/home"}, {"url": "gis.example.com/portal"}, {"key_file": "x"}, {"cert_file": None}],
    ids=str,
)
def test_a_secret_is_kept_where_the_account_is_the_same(manager: ProfileManager, change: Any) -> None:
    manager.create("amy", password=PASSWORD, **WHOLE)
    manager.save(StoredProfile("amy", **{**WHOLE, **change}))
    assert manager.load("amy").secret == PASSWORD


def test_a_secret_is_kept_when_a_profile_learns_its_user(manager: ProfileManager) -> None:
    manager.create("amy", client_id="app", password="a refresh token")
    manager.update("amy", url="https://www.arcgis.com", username="amy")
    assert manager.load("amy").secret == "a refresh token"


# -- values --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["", " ", "\t", "DEFAULT", "a\nb", "a\rb", "a\r\n[b]", "a]b", "[a", "a\x00b", "a\u2028b", "\ud800", None, 7, b"amy"]
)
def test_a_name_that_would_break_the_file_is_refused(manager: ProfileManager, store: OwnStore, home: Path, name: Any) -> None:
    with pytest.raises(ProfileError, match="cannot be called"):
        manager.create(name, URL, "amy", PASSWORD)
    assert files(home) == []
    assert store.asked == []


@pytest.mark.parametrize("part", KEYS)
@pytest.mark.parametrize("value", ["a\nb", "a\n[x]\ny = z", "a\rb", " a", "a\xa0", "a\x00", "a\x85b", "\ud800", 7, b"a"])
def test_a_value_that_would_not_come_back_is_refused(
    manager: ProfileManager, store: OwnStore, home: Path, part: str, value: Any
) -> None:
    with pytest.raises(ProfileError, match=f"{part} of the profile 'amy'"):
        manager.create("amy", password=PASSWORD, **{part: value})
    assert files(home) == []
    assert store.asked == []


@pytest.mark.parametrize(
    "url",
    [
        f"https://amy:{PASSWORD}@gis.example.com/portal",
        f"amy:{PASSWORD}@gis.example.com",
        f"https://gis.example.com/portal?f=json&token={PASSWORD}",
        f"https://gis.example.com/portal#access_token={PASSWORD}",
        f"https://gis.example.com/portal?refresh_token={PASSWORD}",
        f"https://gis.example.com/portal?apiKey={PASSWORD}",
        f"https://gis.example.com/portal;client_secret={PASSWORD}",
    ],
)
def test_a_url_with_a_secret_is_refused_and_not_shown(manager: ProfileManager, home: Path, url: str) -> None:
    with pytest.raises(ProfileError, match="holds a password or token") as caught:
        manager.create("amy", url)
    assert PASSWORD not in str(caught.value)
    assert files(home) == []


def test_a_password_that_is_no_text_is_refused_and_not_shown(manager: ProfileManager, home: Path) -> None:
    with pytest.raises(ProfileError, match="not bytes") as caught:
        manager.create("amy", URL, password=b"amys-secret")  # type: ignore[arg-type]
    assert "amys-secret" not in str(caught.value)
    assert files(home) == []


def test_paths_may_be_path_objects(manager: ProfileManager, tmp_path: Path) -> None:
    manager.create("amy", key_file=tmp_path / "a.key", cert_file=tmp_path / "a.pem")  # type: ignore[arg-type]
    assert manager.get("amy")["key_file"] == str(tmp_path / "a.key")


def test_a_stored_profile_does_not_show_its_secret() -> None:
    profile = StoredProfile("amy", URL, secret=PASSWORD)
    assert PASSWORD not in repr(profile) + str(profile) + f"{profile}"
    assert repr(profile) == f"StoredProfile('amy', url={URL!r}, secret=***)"


@pytest.mark.parametrize("store", ["keyring", object(), OwnStore], ids=repr)
def test_a_store_has_to_have_the_three_methods(store: Any) -> None:
    with pytest.raises(ConfigurationError, match="get, set and delete"):
        ProfileManager(store=store)


# -- threads -------------------------------------------------------------------------------------------------------------


def test_threads_that_share_a_manager_lose_nothing(manager: ProfileManager, store: OwnStore, path: Path) -> None:
    failures: list[EsriHttpError] = []
    start = threading.Barrier(8)

    def work(thread: int) -> None:
        start.wait(20)
        try:
            for number in range(6):
                name = f"{thread}-{number}"
                manager.create(name, URL, "amy", f"secret of {name}")
                assert manager.load(name).secret == f"secret of {name}"
                manager.update("shared", **{KEYS[thread % 5]: f"by thread {thread}"}) if number else None
            manager.delete(f"{thread}-0")
        except EsriHttpError as error:
            failures.append(error)

    manager.create("shared", "by thread 0")
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert failures == []
    wanted = {f"{thread}-{number}" for thread in range(8) for number in range(1, 6)}
    assert set(as_the_peer_reads(path)) == {*wanted, "shared"}
    assert {name for _, name in store.kept} == wanted
    assert set(as_the_peer_reads(path)["shared"]) == {*KEYS, "date_modified"}
