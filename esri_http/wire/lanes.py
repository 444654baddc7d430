"""Lanes: managers with one connection each, leased to one request at a time.

NTLM and Negotiate sign in a connection, not a request (RFC 4559, MS-NTHT). On a shared pool the legs of a handshake get
mixed up between threads, and a signed-in connection serves strangers as that user (CVE-2014-0015 and its kin); a lane is
found only by the identity that it was leased for.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from urllib3 import util as urllib3_util

from .connections import ConnectionTie
from .managers import make_manager

if TYPE_CHECKING:
    from collections.abc import Hashable

    from urllib3.connectionpool import HTTPConnectionPool

    from ..words.settings import TlsSettings
    from .routes import Route

_MOST_IDLE = 64


class Lane:
    """One connection for one identity. Belongs to one request at a time, hence to one thread."""

    def __init__(self, key: Hashable, route: Route, tls: TlsSettings, round_of_yard: int) -> None:
        self.key = key
        self.route = route
        self.round_of_yard = round_of_yard
        self.pool: HTTPConnectionPool = route.open_pool(make_manager(tls, route.proxy, route.signer, single=True))
        self._tie = ConnectionTie()
        self.pool.ConnectionCls = partial(_tied, self.pool.ConnectionCls, self._tie)  # type: ignore[assignment]

    @property
    def memory(self) -> dict[str, Any]:
        """What the scheme keeps about this connection, such as "signed in"; empty again when there is a new one."""
        return self._tie.memory

    @property
    def proxy_memory(self) -> dict[str, Any]:
        """The same for a sign-in to the proxy."""
        return self._tie.proxy_memory

    @property
    def peer_certificate(self) -> bytes | None:
        """The certificate that the server showed last, in DER form; `None` without TLS."""
        return self._tie.peer_certificate

    @property
    def server_name(self) -> str:
        """The name of the server: the one that was given for an address, else the host of the URL."""
        return self.route.name or self.route.origin.host

    @property
    def is_open(self) -> bool:
        """Whether the idle connection still stands, as far as can be seen from this side."""
        queue: Any = self.pool.pool
        try:
            connection = queue.get_nowait()
        except Exception:  # queue.Empty: it is in use; AttributeError: the pool is closed
            return False
        queue.put_nowait(connection)
        return connection is not None and not urllib3_util.is_connection_dropped(connection)

    def pin(self, pinned: bool = True) -> None:
        """Forbid, or allow again, that the lane connects anew; its first connection may always be made."""
        self._tie.pinned = pinned

    def close(self) -> None:
        """Close the connection."""
        self.pool.close()


def _tied(connection_class: Any, tie: ConnectionTie, **options: Any) -> Any:
    connection = connection_class(**options)
    connection.tie = tie
    return connection


class LaneYard:
    """Where idle lanes wait, at most 64 of them. Shared by threads; leasing never blocks."""

    def __init__(self) -> None:
        # Reentrant: a forgotten answer gives its lane back from within the garbage collector, at any allocation.
        self._lock = threading.RLock()
        self._idle: list[Lane] = []
        self._round = 0
        self.leased = 0

    def lease(self, key: Hashable, route: Route, tls: TlsSettings, *, fresh: bool = False) -> Lane:
        """A lane for `key`: the one used last of those that wait and still stand, else (or if `fresh`) a new one."""
        lane = None if fresh else self._waiting(key)
        if lane is None:
            lane = Lane(key, route, tls, self._round)
        with self._lock:
            self.leased += 1
        return lane

    def _waiting(self, key: Hashable) -> Lane | None:
        while True:
            with self._lock:
                found = [place for place, lane in enumerate(self._idle) if lane.key == key]
                if not found:
                    return None
                lane = self._idle.pop(found[-1])
            if lane.is_open:
                return lane
            lane.close()

    def give_back(self, lane: Lane, reusable: bool) -> None:
        """Return a lane. One that is not `reusable`, or was leased before `clear`, is closed; so is the oldest beyond 64."""
        lane.pin(False)
        surplus: Lane | None = lane
        with self._lock:
            self.leased -= 1
            if reusable and lane.round_of_yard == self._round:
                self._idle.append(lane)
                surplus = self._idle.pop(0) if len(self._idle) > _MOST_IDLE else None
        if surplus is not None:
            surplus.close()

    @property
    def idle(self) -> int:
        """How many lanes wait."""
        with self._lock:
            return len(self._idle)

    def clear(self) -> None:
        """Close every idle lane now, and those that are leased when they come back."""
        with self._lock:
            idle, self._idle = self._idle, []
            self._round += 1
        for lane in idle:
            lane.close()
