"""The keyring of a Linux desktop: gnome-keyring's Secret Service on a D-Bus of its own, with a home of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Union

from .bed import Bed, Server
from .daemons import Daemon, clean, found, run

PASSWORD = "keyring-pw-8"
"""What unlocks the keyring of `SecretService`."""

ROOT = Path(__file__).resolve().parents[2]
# dbus-run-session ends the bus when this ends. The daemon reads the password from a file as it would from a terminal.
_START = """\
printf %s "$DBUS_SESSION_BUS_ADDRESS" >"$1.new" && mv "$1.new" "$1"
exec gnome-keyring-daemon --foreground --components=secrets --control-directory="$2" ${3:+--unlock} <"${3:-/dev/null}"
"""
_IS_THERE = ("org.freedesktop.DBus", "/", "org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.secrets")


class Desktop:
    """A session of a desktop: a bus with a keyring on it, unlocked by `password`, or locked without. A context manager.

    `env` is what a program of that session has in its environment. Where `home` has no keyring, the first unlocked session
    makes it, with that session's password.
    """

    def __init__(self, bed: Bed, home: Path, password: Union[str, None] = PASSWORD) -> None:
        folder = bed.state.new_folder("desktop")
        self._address = folder / "address"
        given = folder / "password"
        if password is not None:
            given.write_text(password)
        words = [str(self._address), str(folder / "control"), str(given) if password is not None else ""]
        self._home = {"HOME": str(home)}
        self._daemon = Daemon(
            folder.name,
            [found("dbus-run-session"), "--", "sh", "-c", _START, "desktop", *words],
            bed.state,
            env=self._home,
            ready=self._is_ready,
        )

    @property
    def env(self) -> dict[str, str]:
        """The environment of a program in this session."""
        return {**self._home, "DBUS_SESSION_BUS_ADDRESS": self._address.read_text()}

    def python(self, program: str) -> str:
        """What a Python program of this session prints; raises `ServerError` where it fails."""
        return python(program, self.env)

    def _is_ready(self) -> bool:
        if not self._address.exists():
            return False
        name, path, method, argument = _IS_THERE
        asked = [found("dbus-send"), f"--bus={self._address.read_text()}", "--print-reply", f"--dest={name}"]
        done = subprocess.run([*asked, path, method, argument], env=clean({}), capture_output=True, text=True, timeout=10)
        return "boolean true" in done.stdout

    def __enter__(self) -> Desktop:
        self._daemon.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._daemon.stop()


class SecretService(Server):
    """An unlocked keyring; `desktop` is the session that it is in, and `open` begins another."""

    name = "secret-service"
    needs = ("dbus-run-session", "dbus-send", "gnome-keyring-daemon")

    def start(self) -> None:
        """Begin a session, whose keyring is made with `PASSWORD`."""
        self.home = self.folder
        self.desktop = self.stack.enter_context(self.open(self.home))

    def open(self, home: Path, password: Union[str, None] = PASSWORD) -> Desktop:
        """A session with that home; see `Desktop`."""
        return Desktop(self.bed, home, password)

    def describe(self) -> list[str]:
        """See `Server`."""
        settings = " ".join(f"{name}={value}" for name, value in self.desktop.env.items())
        return [f"Secret Service, unlocked by {PASSWORD}", f"{settings} keyring set service amy"]


def python(program: str, env: dict[str, str]) -> str:
    """What a Python program with this environment, and the package, prints; raises `ServerError` where it fails."""
    return run([sys.executable, "-c", program], env={"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **env})
