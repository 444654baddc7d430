"""Fixtures of the tests of downloads and uploads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from esri_http import EsriSession

from ..support.clock import FakeClock
from .shelf import Shelf, TickingClock


@pytest.fixture
def client(fake_clock: FakeClock) -> Iterator[EsriSession]:
    """A session on a held clock that sends each request once."""
    with EsriSession(clock=fake_clock, retries=0, timeout=10) as session:
        yield session


@pytest.fixture
def ticking_client() -> Iterator[EsriSession]:
    """The same on a clock that goes so fast that every piece is told of."""
    with EsriSession(clock=TickingClock(), retries=0, timeout=10) as session:
        yield session


@pytest.fixture
def shelf_peer(handler_peer: Any) -> Callable[..., tuple[Shelf, Any]]:
    """`shelf_peer(content, *cuts, ...)`: a `Shelf`, and the peer that serves it."""

    def start(*arguments: Any, tls: bool = False, **options: Any) -> tuple[Shelf, Any]:
        shelf = Shelf(*arguments, **options)
        return shelf, handler_peer(shelf, tls=tls)

    return start
