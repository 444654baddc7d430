"""Measured processes as the benchmark sees them: a bare environment, a bounded life, and an end for each of them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

from tests.bench.setup import Setup

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""The folder from which ``tests.bench`` and ``esri_http`` are imported."""

LONGEST_JOB = 120.0
"""Seconds after which a measured process is ended, whatever it does."""

KEPT_VARIABLES = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "LD_LIBRARY_PATH")


class JobFailed(Exception):
    """A measured process failed or took too long; its text says which and how."""


def environment(home: str, **more: str) -> dict[str, str]:
    """A bare environment: no proxy, no CA, no .netrc, and nothing that keeps Python from using bytecode."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return {**kept, "HOME": home, "LANG": "C.UTF-8", **more}


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """End the process at the end of the block, in any case."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=5.0)
            except subprocess.TimeoutExpired:
                process.kill()


def run_fresh(code: str, arguments: list[str], home: str, prefix: tuple[str, ...] = (), **variables: str) -> tuple[str, str]:
    """Run ``code`` in a new Python to its end; what it wrote to its two outputs. ``prefix`` goes before the command."""
    command = [*prefix, sys.executable, "-c", code, *arguments]
    env = environment(home, **variables)
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, env=env, timeout=LONGEST_JOB, check=False)
    except subprocess.TimeoutExpired:
        raise JobFailed(f"a fresh process was not done after {LONGEST_JOB:.0f} s: {code}") from None
    if done.returncode:
        raise JobFailed(f"a fresh process ended with status {done.returncode}: {last_line(done.stderr)}")
    return done.stdout, done.stderr


def last_line(text: str) -> str:
    """The last line that says something; of a traceback, that is the error."""
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"


class Worker:
    """A process that keeps one client, and its connections, over many rounds."""

    def __init__(self, client: str, setup: Setup, home: str) -> None:
        self.client = client
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.worker", client, *setup.arguments()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
            env=environment(home),
        )

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """The figures of one job: ``wall`` and ``cpu`` in seconds, ``growth`` of memory in bytes or None."""
        assert self._process.stdin
        assert self._process.stdout
        watchdog = threading.Timer(LONGEST_JOB, self._process.kill)
        watchdog.start()
        try:
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        finally:
            watchdog.cancel()
        if not line:
            raise JobFailed(f"{self.client}: the process ended during {job['job']}")
        answer: dict[str, Any] = json.loads(line)
        if "problem" in answer:
            raise JobFailed(f"{self.client}: {job['job']}: {answer['problem']}")
        return answer

    def close(self) -> None:
        """End the process; its own end first, by the end of its input."""
        with self._process, ended(self._process):
            assert self._process.stdin
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=5.0)
