"""The fake clock moves only when it is told to."""

from __future__ import annotations

from esri_http.words.clock import Deadline

from ..support.clock import FakeClock


def test_a_sleep_moves_both_clocks_and_is_recorded(fake_clock: FakeClock) -> None:
    begin = fake_clock.time(), fake_clock.monotonic()
    fake_clock.sleep(2.5)
    fake_clock.advance(1)
    assert (fake_clock.time() - begin[0], fake_clock.monotonic() - begin[1]) == (3.5, 3.5)
    assert fake_clock.sleeps == [2.5]


def test_a_jump_of_the_wall_clock_leaves_deadlines_alone(fake_clock: FakeClock) -> None:
    deadline = Deadline(10, fake_clock)
    fake_clock.set_time(0)
    assert (fake_clock.time(), deadline.remaining()) == (0, 10)
