"""One at a time: processes and threads that change the same file wait for each other, and not for ever."""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import Any

import pytest

from esri_http import ProfileError, ProfileManager
from esri_http.profiles.lock import LOCK_SECONDS, locked

from ..support.clock import FakeClock
from .helpers import OwnStore, as_the_peer_reads, output_of, python

URL = "https://gis.example.com/portal"

WRITER = """
import sys
from esri_http import ProfileManager
from tests.profiles.helpers import OwnStore
manager = ProfileManager(sys.argv[1], OwnStore())
print("ready", flush=True)
sys.stdin.readline()
for number in range(40):
    manager.create(f"{sys.argv[2]} {number}", "https://gis.example.com/portal", "amy", "amys-secret")
    manager.update("shared", **{sys.argv[2]: f"number {number}"})
    if number % 4 == 3:
        manager.delete(f"{sys.argv[2]} {number - 1}")
"""
HOLDER = """
import sys
from esri_http.profiles.lock import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
"""
FORKING = """
import os, sys, threading
from esri_http import ProfileManager
from esri_http.profiles.lock import locked
from tests.profiles.helpers import OwnStore
with locked(sys.argv[1]):
    child = os.fork()
    if child == 0:
        sys.stdin.readline()
        os._exit(0)
# The child still has the lock's file open; it lives until we say so.
ProfileManager(sys.argv[1], OwnStore()).create("amy", "https://gis.example.com/portal")
print("done", flush=True)
os.waitpid(child, 0)
"""


def test_two_processes_lose_nothing_of_each_other(tmp_path: Path) -> None:
    path = tmp_path / "profiles.ini"
    ProfileManager(path, OwnStore()).create("shared", URL)
    writers = [python(WRITER, path, key) for key in ("username", "client_id")]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    while any(writer.poll() is None for writer in writers):
        # Whoever reads meanwhile never sees half a file.
        parser = configparser.ConfigParser()
        parser.read(path, encoding="utf-8")
        assert parser["shared"]["url"] == URL
    for writer in writers:
        assert writer.communicate()[1] == ""
        assert writer.returncode == 0
    left = {f"{key} {number}" for key in ("username", "client_id") for number in range(40) if number % 4 != 2}
    assert set(as_the_peer_reads(path)) == {"shared", *left}
    assert as_the_peer_reads(path)["shared"]["username"] == as_the_peer_reads(path)["shared"]["client_id"] == "number 39"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["profiles.ini", "profiles.ini.lock"]


def test_a_lock_that_another_process_keeps_is_an_error_after_a_while(tmp_path: Path, fake_clock: FakeClock) -> None:
    path, store = tmp_path / "profiles.ini", OwnStore()
    ProfileManager(path, store).create("amy", URL)
    before = path.read_bytes()
    with python(HOLDER, path) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        manager = ProfileManager(path, store, clock=fake_clock)
        for attempt in (lambda: manager.update("amy", username="amy", password="s3cret"), lambda: manager.delete("amy")):
            with pytest.raises(ProfileError, match=r"Another process has held .*profiles\.ini\.lock for more than 10 seconds"):
                attempt()
        assert LOCK_SECONDS * 2 - 1 <= sum(fake_clock.sleeps) <= LOCK_SECONDS * 2
        assert manager.load("amy").url == URL  # reading needs no lock
        assert path.read_bytes() == before
        assert store.kept == {}
        # The system frees the lock of a process that is killed.
        holder.kill()
        holder.communicate()
    manager.update("amy", username="amy")
    assert manager.load("amy").username == "amy"


def test_who_waits_goes_on_when_the_lock_is_free(tmp_path: Path) -> None:
    path = tmp_path / "profiles.ini"
    with python(HOLDER, path) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"

        class Clock(FakeClock):
            def sleep(self, seconds: float) -> None:
                super().sleep(seconds)
                if len(self.sleeps) == 3:
                    holder.communicate("\n")

        clock = Clock()
        ProfileManager(path, OwnStore(), clock=clock).create("amy", URL)
    assert len(clock.sleeps) == 3
    assert list(as_the_peer_reads(path)) == ["amy"]


def test_the_lock_is_freed_after_an_error(tmp_path: Path, fake_clock: FakeClock) -> None:
    path = str(tmp_path / "profiles.ini")

    def fail() -> None:
        with locked(path, fake_clock):
            raise KeyError

    for _ in range(2):
        with pytest.raises(KeyError):
            fail()
    assert fake_clock.sleeps == []


def test_a_child_that_was_forked_meanwhile_does_not_keep_the_lock(tmp_path: Path) -> None:
    import os

    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    with python(FORKING, tmp_path / "profiles.ini") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        process.communicate("\n")
    assert process.returncode == 0


def test_the_lock_of_a_linked_file_is_that_of_the_file_itself(tmp_path: Path, fake_clock: FakeClock) -> None:
    real, link = tmp_path / "real.ini", tmp_path / "link.ini"
    try:
        link.symlink_to(real)
    except OSError:
        pytest.skip("no links here")
    manager: Any = ProfileManager(link, OwnStore(), clock=fake_clock)
    with locked(str(real)), pytest.raises(ProfileError, match=r"real\.ini\.lock"):
        manager.create("amy", URL)


def test_importing_the_package_takes_nothing_of_it_along() -> None:
    program = "import sys, esri_http; esri_http.EsriSession(); print([m for m in sys.modules if 'esri_http.profiles' in m])"
    assert output_of(program) == "[]\n"
