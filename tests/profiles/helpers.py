"""What the tests of profiles share: a secret store of a user's own, and processes that use the package."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Optional

ROOT = Path(__file__).resolve().parents[2]
SERVICE = "arcgis_python_api_profile_passwords"
PASSWORD = "amys-secret-é€"
KEYS = ("url", "username", "key_file", "cert_file", "client_id")


class OwnStore:
    """A secret store as a user may write one; `kept` is what it holds, `asked` the methods that were called."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.asked: list[str] = []

    def get(self, service: str, name: str) -> Optional[str]:
        self.asked.append("get")
        return self.kept.get((service, name))

    def set(self, service: str, name: str, secret: str) -> None:
        self.asked.append("set")
        self.kept[service, name] = secret

    def delete(self, service: str, name: str) -> None:
        self.asked.append("delete")
        self.kept.pop((service, name), None)


class BrokenStore(OwnStore):
    """A store of which the methods in `broken` fail, with a message that tells the secret."""

    def __init__(self, *broken: str) -> None:
        super().__init__()
        self.broken = broken

    def _fail(self, method: str) -> None:
        if method in self.broken:
            raise OSError(f"{method} failed with {PASSWORD}")

    def get(self, service: str, name: str) -> Optional[str]:
        self._fail("get")
        return super().get(service, name)

    def set(self, service: str, name: str, secret: str) -> None:
        self._fail("set")
        super().set(service, name, secret)

    def delete(self, service: str, name: str) -> None:
        self._fail("delete")
        super().delete(service, name)


def as_the_peer_reads(path: Path) -> dict[str, dict[str, str]]:
    """The sections of the file, read as the `arcgis` package does it."""
    parser = configparser.ConfigParser()
    assert parser.read(path, encoding="utf-8") == [str(path)]
    return {name: dict(parser.items(name)) for name in parser.sections()}


def as_the_peer_writes(path: Path, **sections: dict[str, str]) -> None:
    """Write a file as the `arcgis` package does it."""
    parser = configparser.ConfigParser()
    parser.read_dict(sections)
    with open(path, "w", encoding="utf-8") as file:
        parser.write(file)


def python(program: str, *arguments: Any, **options: Any) -> subprocess.Popen[str]:
    """A Python process that can import the package; its streams are pipes."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **options.pop("env", {})}
    command = [sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(command, env=env, text=True, encoding="utf-8", **pipes, **options)


def output_of(program: str, *arguments: Any, **options: Any) -> str:
    """What a Python process prints; a failure of it is one of the test."""
    with python(program, *arguments, **options) as process:
        out, error = process.communicate(timeout=50)
    assert process.returncode == 0, error
    return out
