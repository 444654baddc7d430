"""Tables with a bound, filled by many threads."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from esri_http.words.bounded import remember

from ..support.sessions import on_threads

THREADS = 8


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads that take turns as often as can be."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def test_the_oldest_makes_room_for_a_new_one() -> None:
    table: dict[str, int] = {}
    for value, key in enumerate("abc"):
        remember(table, key, value, 2)
    assert table == {"b": 1, "c": 2}


def test_what_is_known_already_drives_nobody_out() -> None:
    table = {"a": 1, "b": 2}
    remember(table, "a", 3, 2)
    assert table == {"a": 3, "b": 2}


def test_threads_that_fill_a_full_table_do_not_meet(hasty_threads: None) -> None:
    table: dict[tuple[int, int], bool] = {}

    def fill(thread: int) -> None:
        for number in range(20_000):
            remember(table, (thread, number), True, 100)

    list(on_threads(THREADS, fill))
    assert 0 < len(table) <= 100 + THREADS
