"""Servers are stopped with all that they started, also those of a run that was killed, and nothing else is ever ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .daemons import Daemon, Process, ServerError, State, _write, free_port, listening, missing, stop_recorded

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="processes are told apart by Linux's /proc")

# Starts a child that ignores the polite signal, then says that it is there.
PARENT = """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(300)"])
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(child.pid))
import os
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(300)
"""
KILLED_RUN = """
import os, sys
from pathlib import Path
from tests.servers.daemons import Daemon, State
state = State(Path(sys.argv[1]))
Daemon("sleeper", [sys.executable, "-c", "import time; time.sleep(300)"], state, ready=lambda: True).start()
print(state.run, flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    made = State(tmp_path / "state")
    yield made
    made.close()


def is_gone(pid: int) -> bool:
    return Process.of(pid) is None


def sleeper(state: State, name: str = "sleeper") -> Daemon:
    return Daemon(name, [sys.executable, "-c", "import time; time.sleep(300)"], state, ready=lambda: True)


def killed_run(folder: Path) -> tuple[Path, int]:
    """A run that was killed while its server ran; its folder, and the number of the server."""
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", KILLED_RUN, str(folder)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, timeout=30)
    assert done.returncode == -signal.SIGKILL, done.stderr
    run = Path(done.stdout.strip())
    return run, int((run / "sleeper.process").read_text().strip("[]").partition(",")[0])


def test_a_server_ends_with_all_that_it_started(state: State, tmp_path: Path) -> None:
    told = tmp_path / "child"
    with Daemon("parent", [sys.executable, "-c", PARENT, str(told)], state, ready=told.exists) as parent:
        pids = [parent.pid, int(told.read_text())]
        assert not any(map(is_gone, pids))
    assert all(map(is_gone, pids))


def test_children_end_also_when_their_parent_was_killed(state: State, tmp_path: Path) -> None:
    told = tmp_path / "child"
    with Daemon("parent", [sys.executable, "-c", PARENT, str(told)], state, ready=told.exists) as parent:
        os.kill(parent.pid, signal.SIGKILL)
    assert is_gone(int(told.read_text()))


def test_a_server_that_ends_by_itself_is_an_error_that_shows_what_it_said(state: State) -> None:
    with pytest.raises(ServerError, match="(?s)ended by itself.*no such option"):
        Daemon("bad", [sys.executable, "-c", "print('no such option')"], state, ready=lambda: False).start()


def test_a_server_that_is_never_ready_is_an_error_and_is_stopped(state: State) -> None:
    port = free_port()
    command = [sys.executable, "-uc", "import time; print('starting'); time.sleep(300)"]
    slow = Daemon("slow", command, state, ready=listening(port), seconds=0.5)
    with pytest.raises(ServerError, match=r"(?s)not ready after 0.5 s.*starting"):
        slow.start()
    assert list(state.run.glob("*.process")) == []


def test_the_next_run_ends_what_a_killed_one_left(tmp_path: Path) -> None:
    run, pid = killed_run(tmp_path / "state")
    assert not is_gone(pid)
    State(tmp_path / "state").close()
    assert is_gone(pid)
    assert not run.exists()


def test_runs_that_live_are_left_alone(state: State) -> None:
    with sleeper(state) as daemon:
        other = State(state.folder)
        assert not is_gone(daemon.pid)
        other.close()
        assert not is_gone(daemon.pid)
        assert state.run.exists()


def test_a_number_that_has_gone_to_another_process_is_left_alone(tmp_path: Path) -> None:
    run, pid = killed_run(tmp_path / "state")
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
    try:
        its_own = Process.of(bystander.pid)
        assert its_own
        _write(run / "another.process", its_own._replace(start=its_own.start - 1))
        assert stop_recorded(tmp_path / "state") == ["sleeper"]
        assert is_gone(pid)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_folder_that_is_being_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run-new").mkdir()
    (tmp_path / "run-old").mkdir()
    os.utime(tmp_path / "run-old", (time.time() - 3600,) * 2)
    assert stop_recorded(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["run-new"]


def test_what_is_missing_is_one_line_that_says_how_to_get_it() -> None:
    assert missing("sh") is None
    reason = missing("sh", "no-such-server", "/no/such/module.so", modules=["no_such_module"])
    assert reason == "needs no-such-server, /no/such/module.so, the Python module no_such_module: make servers"
