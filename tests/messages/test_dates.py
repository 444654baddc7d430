"""Dates of header fields, from servers that can write them and from others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from esri_http import EsriSession
from esri_http.auth.handshake.handshake_errors import skew_seconds
from esri_http.messages.dates import moment_of

from ..support.clock import FakeClock
from ..support.http_messages import Reply


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine in Berlin."""
    if not hasattr(time, "tzset"):
        pytest.skip("this system has one time zone for all processes")
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def answer_with(handler_peer: Any, date: str) -> Any:
    """What a server answers that thinks it is `date`."""
    peer = handler_peer(lambda request: Reply(200, {"Date": date}, "fine"))
    with EsriSession() as session:
        return session.get(peer.url)


@pytest.mark.parametrize("zone", [" GMT", " -0000", " +0000", ""])
def test_a_date_is_in_utc_whatever_it_says_of_it(handler_peer: Any, far_from_utc: None, zone: str) -> None:
    assert moment_of(answer_with(handler_peer, "Thu, 01 Jan 2026 00:00:00" + zone), "date") == 1767225600


@pytest.mark.parametrize(
    "date",
    [
        *("", "yesterday", "1 Jan 99999999999999999999 00:00:00 GMT", "Thu, 01 Jan 2026 00:00:00 -99999999999999999999"),
        *("Thu, 01 Jan 2026 99:00:00 GMT", "Thu, 01 Jan 2026 00:00:00 +999999"),
    ],
)
def test_what_is_no_date_is_none(handler_peer: Any, fake_clock: FakeClock, date: str) -> None:
    response = answer_with(handler_peer, date)
    assert moment_of(response, "date") is None
    assert skew_seconds(response, fake_clock) is None
    assert moment_of(response, "last-modified") is None


def test_the_end_of_time_is_a_date(handler_peer: Any, far_from_utc: None) -> None:
    assert moment_of(answer_with(handler_peer, "Fri, 31 Dec 9999 23:59:59"), "date") == 253402300799
