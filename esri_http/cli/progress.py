"""How far a transfer is: a bar of tqdm where that is installed, else one line that is written anew.

Nothing at all where the error stream is not a terminal.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Optional

from ..words.terminals import is_terminal
from .terminal import shown, tell

if TYPE_CHECKING:
    from collections.abc import Iterator

Show = Callable[[int, Optional[int]], None]

_USUAL_COLUMNS = 80
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


@contextmanager
def progress(path: str) -> Iterator[Show | None]:
    """What to call with the bytes done and their total (`None`: not known) of the file `path`; `None` off a terminal."""
    if not is_terminal(sys.stderr):
        yield None
        return
    bar = _bar(shown(os.path.basename(os.path.abspath(path))).replace("\n", " "))
    try:
        yield bar.show
    finally:
        bar.close()


def _bar(name: str) -> Any:
    try:
        from tqdm import tqdm
    except ImportError:
        return PlainLine(name)

    class Bar(tqdm):  # type: ignore[misc, unused-ignore]
        monitor_interval = 0  # no thread, and a lock of this process only
        _lock = threading.RLock()
        total: Any

        def show(self, done: int, total: int | None) -> None:
            if self.total != total or not self.n:
                self.total, self.initial = total, done  # what was there before counts for no speed
            self.update(done - self.n)

    options: dict[str, Any] = {"dynamic_ncols": True} if _columns() else {"ncols": _USUAL_COLUMNS - 1, "nrows": 20}
    return Bar(desc=name, file=sys.stderr, unit="B", unit_scale=True, unit_divisor=1024, **options)


def _columns() -> int:
    """The width of the terminal; 0 where it does not know."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        return 0


class PlainLine:
    """One line for the file `name`, written over itself."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._began = time.monotonic()
        self._first: int | None = None
        self._width = 0

    def show(self, done: int, total: int | None) -> None:
        """`done` bytes of `total` (`None`: not known) are there."""
        if self._first is None:
            self._first = done
        share = f" of {amount(total)} ({100 * done // total} %)" if total else ""
        pace = (done - (self._first or 0)) / max(time.monotonic() - self._began, 0.001)
        text = f"{self._name}: {amount(done)}{share}, {amount(pace)}/s"
        text = text[: (_columns() or _USUAL_COLUMNS) - 1]
        tell("\r" + text.ljust(self._width))
        self._width = len(text)

    def close(self) -> None:
        """Go on in the next line."""
        if self._width:
            tell("\n")


def amount(number: float) -> str:
    """A number of bytes as people read it."""
    for unit in _UNITS[:-1]:
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} {_UNITS[-1]}"
