"""Ctrl-C where Python itself would lose it."""

from __future__ import annotations

from .support import run

# The interrupt comes up while an object is destroyed, where nobody can receive it.
_LOST = """
import signal, time
from esri_http.cli.ctrl_c import CtrlC

class Last:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
        time.sleep(0)

hook, began = __import__("sys").unraisablehook, time.monotonic()
try:
    with CtrlC():
        last = Last()
        del last
        print("lost")
        time.sleep(15)
except KeyboardInterrupt:
    print("came in time" if time.monotonic() - began < 10 else "came late")
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, __import__("sys").unraisablehook is hook)
"""
_TAKEN = """
import signal
from esri_http.cli.ctrl_c import CtrlC
signal.signal(signal.SIGINT, signal.SIG_IGN)
with CtrlC():
    signal.raise_signal(signal.SIGINT)
print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)
"""
_ELSEWHERE = """
import threading
from esri_http.cli import main
thread = threading.Thread(target=lambda: print(main(["nothing"])))
thread.start()
thread.join()
"""


def test_an_interrupt_that_python_loses_comes_again() -> None:
    done = run(program=("-c", _LOST))
    assert (done.out.splitlines(), done.err) == (["lost", "came in time", "True True"], "")


def test_an_interrupt_that_somebody_else_sees_to_is_left_to_them() -> None:
    done = run(program=("-c", _TAKEN))
    assert (done.out, done.err) == ("True\n", "")


def test_the_program_runs_in_another_thread() -> None:
    assert run(program=("-c", _ELSEWHERE)).out == "2\n"
