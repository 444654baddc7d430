"""What only tests ask of a session: whether anything is still held."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def transports(session: Any) -> list[Any]:
    """The transports that a session has opened."""
    engine = session._engine
    return [] if engine is None else list(engine._transports.values())


def leased_lanes(session: Any) -> int:
    """How many lanes are in use."""
    return sum(transport.lanes.leased for transport in transports(session))


def idle_lanes(session: Any) -> int:
    """How many lanes wait."""
    return sum(transport.lanes.idle for transport in transports(session))


def idle_connections(session: Any) -> int:
    """How many connections wait in the shared pools."""
    pools = [route.pool for transport in transports(session) for route in transport._routes.values()]
    return sum(getattr(connection, "sock", None) is not None for pool in pools for connection in list(pool.pool.queue))


def on_threads(count: int, work: Any, arguments: Any = None) -> list[Any]:
    """`work(argument)` on `count` threads; the results in order. The first error is raised."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count) if arguments is None else arguments))


def collect_garbage() -> None:
    """Have everything that is not referred to any more finalised."""
    gc.collect()
