"""Tables that threads share without a lock, and that must not grow without end."""

from __future__ import annotations

from typing import TypeVar

_K = TypeVar("_K")
_V = TypeVar("_V")


def remember(table: dict[_K, _V], key: _K, value: _V, most: int) -> None:
    """Have `table` hold `value` for `key`. Where it holds `most` others already, the oldest are forgotten."""
    surplus = len(table) + 1 - most
    if surplus > 0 and key not in table:
        for oldest in list(table)[:surplus]:  # list() is one step; an iterator fails where another thread comes between
            table.pop(oldest, None)
    table[key] = value
