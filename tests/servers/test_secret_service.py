"""Profiles with their passwords in a real Secret Service: unlocked, locked, gone in between, and not there at all."""

from __future__ import annotations

import configparser
import json
import subprocess
import sys
from pathlib import Path

import pytest

from .daemons import clean
from .secret_service import ROOT, Desktop, SecretService, python

pytestmark = pytest.mark.real_server("secret-service")

SERVICE = "arcgis_python_api_profile_passwords"
PASSWORD = 'pässwörd €: amy\'s, \\ "quoted" 🔑'
START = f"""
import json
from esri_http import EsriHttpError, ProfileManager, SecretStoreError, ServerProfileManager
password = {PASSWORD!r}
manager = ProfileManager()
def told(call):
    try:
        call()
    except EsriHttpError as error:
        return [isinstance(error, SecretStoreError), str(error)]
"""
CREATE = START + 'manager.create("zoë at work", "https://gis.example.com/portal", "zoë", password)\n'
LOAD = START + 'loaded = manager.load("zoë at work")\nprint(json.dumps([loaded.secret, loaded.secret_problem]))'
WITHOUT_ONE = (
    START
    + """
print(json.dumps([
    told(lambda: manager.create("amy", "https://gis.example.com/portal", "amy", password)),
    manager.list(),
    manager.create("bob", "https://gis.example.com/portal", "bob"),
    manager.load("bob").secret_problem,
]))"""
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home of its own, with no keyring yet."""
    return tmp_path


def test_a_profile_is_saved_loaded_and_deleted(secret_service: SecretService) -> None:
    desktop = secret_service.desktop
    desktop.python(CREATE)
    assert json.loads(desktop.python(LOAD)) == [PASSWORD, None]
    text = (secret_service.home / ".arcgisprofile").read_text(encoding="utf-8")
    assert "zoë at work" in text
    assert "pässwörd" not in text
    # What the peer does, by keyring alone.
    peer = f"import keyring; print(keyring.get_credential({SERVICE!r}, 'zoë at work').password)"
    assert desktop.python(peer) == PASSWORD + "\n"
    desktop.python(f"import keyring; keyring.set_password({SERVICE!r}, 'zoë at work', 'changed by the peer')")
    assert json.loads(desktop.python(LOAD)) == ["changed by the peer", None]
    desktop.python(START + 'manager.delete("zoë at work")')
    assert desktop.python(f"import keyring; print(keyring.get_password({SERVICE!r}, 'zoë at work'))") == "None\n"


def test_profiles_of_portals_and_servers_do_not_meet(secret_service: SecretService) -> None:
    both = """
manager.create("same", "https://gis.example.com/portal", "amy", "portal's")
server = ServerProfileManager()
server.create("same", "https://gis.example.com/arcgis", "amy", "server's")
manager.set_secret("same", "the next token")
print(manager.load("same").secret, server.load("same").secret)
server.delete("same")
print(manager.load("same").secret)
manager.delete("same")
"""
    assert secret_service.desktop.python(START + both) == "the next token server's\nthe next token\n"


def test_many_threads_save_and_load(secret_service: SecretService) -> None:
    program = """
import concurrent.futures
def save(number):
    manager.create(f"thread {number}", "https://gis.example.com/portal", "amy", f"secret {number}")
    return manager.load(f"thread {number}").secret
def renew(number):
    manager.set_secret(f"thread {number}", f"token {number}")
    return manager.load(f"thread {number}").secret
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print([*pool.map(save, range(16))] == [f"secret {number}" for number in range(16)])
    print([*pool.map(renew, range(16))] == [f"token {number}" for number in range(16)])
    print(len([name for name in manager.list() if name.startswith("thread")]))
"""
    assert secret_service.desktop.python(START + program) == "True\nTrue\n16\n"


def test_another_session_with_the_same_password_sees_it(secret_service: SecretService, home: Path) -> None:
    with secret_service.open(home) as first:
        first.python(CREATE)
    with secret_service.open(home) as second:
        assert json.loads(second.python(LOAD)) == [PASSWORD, None]


def test_a_locked_keyring_is_told_as_such_and_nothing_is_half_saved(secret_service: SecretService, home: Path) -> None:
    with secret_service.open(home) as first:
        first.python(CREATE)
    before = (home / ".arcgisprofile").read_bytes()
    attempts = """
secret, problem = manager.load("zoë at work").secret, manager.load("zoë at work").secret_problem
print(json.dumps([
    secret, problem,
    told(lambda: manager.create("new", "https://gis.example.com/portal", "amy", password)),
    told(lambda: manager.update("zoë at work", key_file="k", password="another")),
    told(lambda: manager.set_secret("zoë at work", "another")),
    told(lambda: manager.delete("zoë at work")),
]))"""
    with secret_service.open(home, password=None) as locked:
        secret, problem, *errors = json.loads(locked.python(START + attempts))
    assert secret is None
    assert "keyring.backends.SecretService.Keyring is locked. Unlock it" in problem
    assert "ESRI_HTTP_PASSWORD_ZO__AT_WORK" in problem
    for is_about_the_store, text in errors:
        assert is_about_the_store
        assert "is locked. Unlock it" in text
        assert "pässwörd" not in text
    assert (home / ".arcgisprofile").read_bytes() == before
    with secret_service.open(home) as again:
        assert json.loads(again.python(LOAD)) == [PASSWORD, None]


def _without_a_keyring(answer: str, home: Path) -> tuple[str, str]:
    """What `WITHOUT_ONE` found: the error of saving with a password, and the problem of loading, for a profile without one."""
    (is_about_the_store, text), names, made, problem = json.loads(answer)
    assert is_about_the_store
    assert "pässwörd" not in text
    assert "ESRI_HTTP_PASSWORD_AMY" in text
    assert (names, made) == ([], True)
    parser = configparser.ConfigParser()
    parser.read(home / ".arcgisprofile", encoding="utf-8")
    assert parser.sections() == ["bob"]
    return text, problem


def test_a_keyring_that_was_never_made_is_told_as_such(secret_service: SecretService, home: Path) -> None:
    with secret_service.open(home, password=None) as locked:
        text, problem = _without_a_keyring(locked.python(WITHOUT_ONE), home)
    assert "keyring.backends.SecretService.Keyring" in text
    assert "keyring.backends.SecretService.Keyring" in problem


def test_without_a_d_bus_there_is_no_keyring_and_profiles_go_on(secret_service: SecretService, home: Path) -> None:
    text, problem = _without_a_keyring(python(WITHOUT_ONE, {"HOME": str(home)}), home)
    assert "a Secret Service such as gnome-keyring, reached by D-Bus" in text
    assert "reached by D-Bus" in problem


def test_a_session_that_is_over_is_told_as_such(secret_service: SecretService, home: Path) -> None:
    with secret_service.open(home) as desktop:
        env = desktop.env
    text, _ = _without_a_keyring(python(WITHOUT_ONE, env), home)
    assert "reached by D-Bus" in text


def test_a_keyring_that_goes_away_meanwhile_is_told_as_such(secret_service: SecretService, home: Path) -> None:
    program = CREATE + "print('saved', flush=True)\ninput()\n" + WITHOUT_ONE.replace("manager.list()", "manager.list()[1:]")
    with secret_service.open(home) as desktop:
        process = _started(program, desktop)
        assert process.stdout is not None
        assert process.stdout.readline() == "saved\n"
    answer, said = process.communicate("\n", timeout=30)
    assert process.returncode == 0, said
    (is_about_the_store, text), names, made, problem = json.loads(answer)
    assert is_about_the_store
    assert "keyring.backends.SecretService.Keyring failed" in text
    assert (names, made) == ([], True)
    assert "failed" in problem


def _started(program: str, desktop: Desktop) -> subprocess.Popen[str]:
    env = clean({"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **desktop.env})
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen([sys.executable, "-c", program], env=env, text=True, encoding="utf-8", **pipes)
