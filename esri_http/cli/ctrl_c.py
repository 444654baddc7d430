"""Ctrl-C that is not lost.

Python drops a `KeyboardInterrupt` that comes up where nobody can receive it: in a callback of the import system, or while an
object is being destroyed. It shows a traceback there, and the program goes on as if nothing had been typed.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

# What is cleaned up on the way out takes less.
_SECONDS = 1.0


class CtrlC:
    """While this context is open, Ctrl-C raises `KeyboardInterrupt` in the main thread until that has come out of it.

    Nothing changes where somebody else sees to Ctrl-C, and outside of the main thread, which has no signals.
    """

    def __init__(self) -> None:
        self._is_open = False
        self._unraisable_hook = sys.unraisablehook

    def __enter__(self) -> CtrlC:
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is _usual():
            self._is_open = True
            sys.unraisablehook = self._complain
            signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_open:
            self._is_open = False
            signal.signal(signal.SIGINT, _usual())
            sys.unraisablehook = self._unraisable_hook

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        # Not a threading.Thread: the main thread may hold the lock that it takes at its start.
        _thread.start_new_thread(self._remind, ())
        raise KeyboardInterrupt

    def _remind(self) -> None:
        time.sleep(_SECONDS)
        if self._is_open:
            if hasattr(signal, "pthread_kill"):
                # Ends what the system is waiting for, too.
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            else:
                _thread.interrupt_main()

    def _complain(self, problem: Any) -> None:
        if not issubclass(problem.exc_type, KeyboardInterrupt):
            self._unraisable_hook(problem)


def _usual() -> Any:
    return signal.default_int_handler
