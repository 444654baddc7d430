"""Lanes: managers with one connection each, leased to one request at a time.

NTLM and Negotiate sign in a connection, not a request (RFC 4559, MS-NTHT). On a shared pool the legs of a handshake get
mixed up between threads, and a signed-in connection serves strangers as that user (CVE-2014-0015 and its kin); a lane is
found only by the identity that it was leased for.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from .managers import make_manager

if TYPE_CHECKING:
    from collections.abc import Hashable

    from urllib3.connectionpool import HTTPConnectionPool

    from ..words.settings import TlsSettings
    from .routes import Route

_MOST_IDLE_PER_KEY = 16


class Lane:
    """One connection for one identity. Belongs to one request at a time, hence to one thread."""

    def __init__(self, key: Hashable, route: Route, tls: TlsSettings) -> None:
        self.key = key
        self.route = route
        self._manager = make_manager(tls, route.proxy, single=True)
        self.pool: HTTPConnectionPool = route.open_pool(self._manager)
        # What the scheme remembers of this connection, such as "signed in on socket 7".
        self.memory: dict[str, Any] = {}

    @property
    def connection(self) -> Any:
        """The lane's connection when it is not in use; `None` when it is, or there is none yet."""
        queue: Any = self.pool.pool
        try:
            connection = queue.get_nowait()
        except Exception:  # queue.Empty, or a pool that is closed
            return None
        queue.put_nowait(connection)
        return connection

    def pin(self, pinned: bool = True) -> None:
        """Forbid, or allow again, that the lane connects anew."""
        connection = self.connection
        if connection is not None:
            connection.pinned = pinned

    def close(self) -> None:
        """Close the connection."""
        self._manager.clear()


class LaneYard:
    """Where idle lanes wait. Shared by threads; leasing never blocks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[Hashable, list[Lane]] = {}
        self.leased = 0

    def lease(self, key: Hashable, route: Route, tls: TlsSettings) -> Lane:
        """A lane for `key`: a warm one if any waits, a new one otherwise."""
        with self._lock:
            self.leased += 1
            waiting = self._idle.get(key)
            if waiting:
                return waiting.pop()
        return Lane(key, route, tls)

    def give_back(self, lane: Lane, reusable: bool) -> None:
        """Return a lane; one that is not `reusable`, or one too many, is closed."""
        lane.pin(False)
        with self._lock:
            self.leased -= 1
            waiting = self._idle.setdefault(lane.key, [])
            keep = reusable and len(waiting) < _MOST_IDLE_PER_KEY
            if keep:
                waiting.append(lane)
        if not keep:
            lane.close()

    @property
    def idle(self) -> int:
        """How many lanes wait."""
        with self._lock:
            return sum(len(waiting) for waiting in self._idle.values())

    def clear(self) -> None:
        """Close every idle lane."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for waiting in idle.values():
            for lane in waiting:
                lane.close()
