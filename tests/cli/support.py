"""The program as people run it: as a process with pipes, or in a terminal of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ("-m", "esri_http")
WITHOUT_TQDM = ("-c", "import sys; sys.modules['tqdm'] = None; from esri_http.cli import main; sys.exit(main())")
_SECONDS = 20.0
# The process takes the terminal at its input for its own, so that Ctrl-C reaches it, and then becomes the program.
_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.executable, sys.argv[1:])"
)


class Done(NamedTuple):
    """How a run ended, and what it wrote."""

    status: int
    out: str
    err: str
    raw: bytes


def environment(values: Optional[dict[str, str]] = None) -> dict[str, str]:
    """The (clean) environment of the test, with our package to be found, and `values`."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "TERM": "xterm", **(values or {})}


def run(
    *arguments: str, given: bytes = b"", env: Optional[dict[str, str]] = None, program: Sequence[str] = PROGRAM, **options: Any
) -> Done:
    """Run the program without a terminal, with `given` as its input."""
    done = subprocess.run(
        [sys.executable, *program, *arguments], input=given, capture_output=True, env=environment(env), timeout=_SECONDS,
        start_new_session=True, **options,
    )  # fmt: skip
    return Done(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(), done.stdout)


class Terminal:
    """The program in a terminal of its own; one of 0 columns does not know its size. `piped_output`: only that is a pipe."""

    def __init__(
        self,
        *arguments: str,
        env: Optional[dict[str, str]] = None,
        program: Sequence[str] = PROGRAM,
        piped_output: bool = False,
        columns: int = 100,
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40 if columns else 0, columns, 0, 0))
        command = [sys.executable, *program, *arguments]
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", _TAKE_TERMINAL, *command],
            stdin=slave, stdout=subprocess.PIPE if piped_output else slave, stderr=slave,
            env={**environment(env), "PYTHONWARNINGS": ""}, start_new_session=True,  # as people have it
        )  # fmt: skip
        self._slave = slave
        self.seen = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        os.close(self._slave)
        os.close(self._master)

    def type(self, text: str) -> None:
        """What a person types; Ctrl-C is ``\\x03``."""
        os.write(self._master, text.encode())

    def wait_for(self, pattern: str) -> str:
        """Read on until a match of `pattern` is on the screen; all that was seen so far."""
        self._read_until(lambda: re.search(pattern, self.seen) is not None, pattern)
        return self.seen

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Read on until the condition holds."""
        self._read_until(condition, "what was waited for")

    def echoes(self) -> bool:
        """Whether what is typed is shown."""
        return bool(termios.tcgetattr(self._slave)[3] & termios.ECHO)

    def end(self) -> int:
        """Read to the end; the exit status, as a shell shows it: that of a signal as 128 and its number."""
        self._read_until(lambda: self.process.poll() is not None, "the end")
        while self._read(0.0):
            pass
        status = self.process.returncode
        return status if status >= 0 else 128 - status

    def _read_until(self, is_enough: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + _SECONDS
        while not is_enough():
            self._read(0.02)
            if time.monotonic() > until or (what != "the end" and self.process.poll() is not None and not self._read(0.0)):
                assert is_enough(), f"{what!r} did not come: {self.seen!r}"

    def _read(self, seconds: float) -> bool:
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        self.seen += os.read(self._master, 65536).decode(errors="replace")
        return True
