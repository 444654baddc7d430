"""Server processes that are started on loopback, recorded, and stopped again, also those of a run that was killed."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Union

PATIENCE = 20.0
"""Seconds that a server may take to be ready, or to stop by itself."""

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
"""Where the server products are."""

LIBRARIES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib")

_VARIABLE = "ESRI_HTTP_SERVERS_STATE"


class ServerError(Exception):
    """A server did not come up, or a command that prepares one failed; with what it logged."""


# -- what is installed ---------------------------------------------------------------------------------------------------


def missing(*needs: str, modules: Sequence[str] = ()) -> Union[str, None]:
    """One line that says what is not installed and how to get it; `None` where nothing is missing.

    A need is the name of a command, or the path of a file, absolute or below one of the folders of libraries. `modules`
    are Python's, of the extra `kerberos`.
    """
    absent = [need for need in needs if find(need) is None]
    absent += [f"the Python module {name}" for name in modules if importlib.util.find_spec(name) is None]
    return f"needs {', '.join(absent)}: make servers" if absent else None


def find(need: str) -> Union[str, None]:
    """The path of a command, or of a file below one of the folders of libraries; `None` where it is not installed."""
    if "/" not in need and ".so" not in need:
        return shutil.which(need, path=PATH)
    return next((path for folder in LIBRARIES for path in [os.path.join(folder, need)] if os.path.exists(path)), None)


def found(need: str) -> str:
    """The path of something that `missing` has not missed."""
    path = find(need)
    assert path, need
    return path


def run(command: Sequence[Union[str, Path]], *, env: Mapping[str, str] = {}, stdin: str = "") -> str:  # noqa: B006
    """What a command prints; raises `ServerError` with all of it where it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, env=clean(env), input=stdin, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise ServerError(f"{' '.join(words)} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    return done.stdout


def clean(env: Mapping[str, str]) -> dict[str, str]:
    """An environment without anything of this machine's, plus `env`."""
    return {"PATH": PATH, "LANG": "C.UTF-8", "TZ": "UTC", **env}


# -- ports ---------------------------------------------------------------------------------------------------------------


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens at, below those that the system gives to clients."""
    for _ in range(200):
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server((host, port)):
            return port
    raise ServerError(f"no free port at {host}")


def listening(*ports: int, host: str = "127.0.0.1") -> Callable[[], bool]:
    """A check for `Daemon(ready=...)`: somebody accepts connections at all of `ports`."""

    def check() -> bool:
        for port in ports:
            try:
                socket.create_connection((host, port), 1).close()
            except OSError:
                return False
        return True

    return check


# -- the state folder ----------------------------------------------------------------------------------------------------


class Process(NamedTuple):
    """A process, which its number alone does not tell from a later one; `start` is in clock ticks since boot."""

    pid: int
    start: int

    @classmethod
    def of(cls, pid: int) -> Union[Process, None]:
        """The process that has this number now; `None` without one."""
        status = _status(pid)
        return None if status is None else cls(pid, status.start)

    @property
    def is_alive(self) -> bool:
        """Whether it is still that one."""
        return Process.of(self.pid) == self


class State:
    """The folder of all runs, each with a folder of its own in it, which ends with the run.

    Runs do not disturb each other. Making a `State` first clears up after those that were killed.
    """

    def __init__(self, folder: Union[Path, None] = None) -> None:
        self.folder = (folder or default_folder()).absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        stop_recorded(self.folder)
        self._numbers = itertools.count(1)
        # Servers give up root's rights, and have to read what is in there.
        self.run = Path(tempfile.mkdtemp(prefix="run-", dir=self.folder))
        self.run.chmod(0o755)
        _write(self.run / "owner.json", Process.of(os.getpid()))

    def new_folder(self, name: str) -> Path:
        """A new, empty folder of this run."""
        folder = self.run / name
        while folder.exists():
            folder = self.run / f"{name}-{next(self._numbers)}"
        folder.mkdir(mode=0o755)
        return folder

    def kept_folder(self, name: str) -> Path:
        """A folder that outlives the run, for what takes long to make; other runs may be using it."""
        folder = self.folder / name
        folder.mkdir(mode=0o755, exist_ok=True)
        return folder

    def close(self) -> None:
        """Stop what still runs, and remove the folder of this run."""
        _clear(self.run)


def default_folder() -> Path:
    """`ESRI_HTTP_SERVERS_STATE`, or `.state` beside this file; a temporary one where servers could not enter that."""
    chosen = os.environ.get(_VARIABLE)
    if chosen:
        return Path(chosen)
    here = Path(__file__).resolve().parent
    if all(folder.stat().st_mode & 0o001 for folder in (here, *here.parents)):
        return here / ".state"
    folder = Path(tempfile.gettempdir()) / f"esri_http-servers-{os.getuid()}"
    folder.mkdir(mode=0o755, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise ServerError(f"{folder} is somebody else's; set {_VARIABLE} to a folder of your own")
    return folder


def stop_recorded(folder: Path) -> list[str]:
    """Stop the servers of runs that are over but did not stop them, as after kill -9; the names of those servers."""
    stopped: list[str] = []
    for run_folder in folder.glob("run-*"):
        owner = _read(run_folder / "owner.json")
        # A folder without an owner is one that another run is making at this moment, unless it is old.
        if owner is None and time.time() - run_folder.stat().st_mtime < 60:
            continue
        if owner is None or not owner.is_alive:
            stopped += _clear(run_folder)
    return stopped


def _clear(run_folder: Path) -> list[str]:
    stopped = []
    for record in run_folder.glob("*.process"):
        process = _read(record)
        if process is not None and _end(process):
            stopped.append(record.stem)
    shutil.rmtree(run_folder, ignore_errors=True)
    return stopped


def _write(path: Path, process: Union[Process, None]) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(process))
    new.replace(path)


def _read(path: Path) -> Union[Process, None]:
    try:
        return Process(*json.loads(path.read_text()))
    except (OSError, TypeError, ValueError):
        return None


# -- processes -----------------------------------------------------------------------------------------------------------


class Daemon:
    """A server process in a session of its own, whose processes all end with it. A context manager.

    `ready` is asked until it is true; then `start` returns. Where it takes too long, or the process ends before that,
    `start` raises `ServerError` with the end of `log`. `log` is a file of the product's own; what the process prints is
    in `output`. The environment is `env` and next to nothing else.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[Union[str, Path]],
        state: State,
        *,
        ready: Callable[[], bool],
        env: Mapping[str, str] = {},  # noqa: B006
        log: Union[Path, None] = None,
        seconds: float = PATIENCE,
    ) -> None:
        self.name = name
        self.command = [str(word) for word in command]
        self.env = clean(env)
        self.output = state.run / f"{name}.output"
        self.log = log or self.output
        self._ready = ready
        self._seconds = seconds
        self._record = state.run / f"{name}.process"
        self._popen: Union[subprocess.Popen[bytes], None] = None

    @property
    def pid(self) -> int:
        """The number of the process; only while it runs."""
        assert self._popen, f"{self.name} does not run"
        return self._popen.pid

    def start(self) -> Daemon:
        """Start it, and wait until it is ready."""
        assert not self._record.exists(), f"{self.name} runs already"
        with open(self.output, "ab") as output:
            streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
            self._popen = subprocess.Popen(self.command, env=self.env, cwd="/", start_new_session=True, **streams)
        _write(self._record, Process.of(self._popen.pid))
        ends_at = time.monotonic() + self._seconds
        try:
            while not self._ready():
                if self._popen.poll() is not None:
                    raise ServerError(f"{self.name} ended by itself ({self._popen.returncode}):\n{self.tail()}")
                if time.monotonic() > ends_at:
                    raise ServerError(f"{self.name} was not ready after {self._seconds:g} s:\n{self.tail()}")
                time.sleep(0.01)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End it with all that it started; a second call does nothing."""
        process = _read(self._record)
        if process is not None:
            _end(process, self._popen)
        self._record.unlink(missing_ok=True)
        if self._popen is not None:
            self._popen.wait(PATIENCE)
            self._popen = None

    def tail(self, lines: int = 30) -> str:
        """The end of what it logged, and of what it printed."""
        texts = [path.read_text(errors="replace") for path in {self.log, self.output} if path.exists()]
        return "\n".join("\n".join(text.splitlines()[-lines:]) for text in texts)

    def __enter__(self) -> Daemon:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Status(NamedTuple):
    state: str
    session: int
    start: int


def _status(pid: int) -> Union[_Status, None]:
    """What the system says of a process; `None` where there is none, or only its remains."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    status = _Status(fields[0], int(fields[3]), int(fields[19]))
    return None if status.state in "ZX" else status


def _members(process: Process) -> list[int]:
    """The processes of its session, which may live on after their leader."""
    leader = _status(process.pid)
    if leader is not None and leader.start != process.start:
        return []  # the number has gone to another, and so that session is over
    found_pids = []
    for entry in os.listdir("/proc"):
        status = _status(int(entry)) if entry.isdigit() else None
        if status is not None and status.session == process.pid and status.start >= process.start:
            found_pids.append(int(entry))
    return found_pids


def _end(process: Process, popen: Union[subprocess.Popen[bytes], None] = None) -> bool:
    """Ask the session of `process` to end, and end it where that does not help; whether there was anything to end."""
    was_there = bool(_members(process))
    if process.is_alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
    ends_at = time.monotonic() + PATIENCE / 4
    while _members(process):
        if time.monotonic() > ends_at or not process.is_alive:
            for pid in _members(process):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if popen is not None:
            popen.poll()
        time.sleep(0.01)
    return was_there
