"""A sign-in that lives on the connection, as NTLM does: three legs, a server that keeps them apart by socket, a handler."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Union

from esri_http import ACCEPT, REPLAY, AuthRun, BaseEsriAuth

from .http_messages import RecordedRequest, Reply, json_reply

Fault = Callable[[RecordedRequest, int], Union[Reply, None]]


class BoundServer:
    """The handler of a peer that signs in connections: what comes on a signed-in one is served as its user, as IIS does.

    Each leg is answered with a number that the next leg must bring back on the same connection; a wrong one is counted in
    `mixed_up`. Paths under ``/public`` are for everybody. `fault(request, leg)` may answer instead (leg 0: no handshake).
    `finished` counts the handshakes that were completed.
    """

    def __init__(self, fault: Fault | None = None) -> None:
        self.fault = fault
        self.finished = 0
        self.mixed_up = 0
        self._lock = threading.Lock()
        self._users: dict[int, str] = {}
        self._expected: dict[int, str] = {}

    def __call__(self, request: RecordedRequest) -> Reply:
        scheme, _, rest = (request.headers.get("Authorization") or "").partition(" ")
        leg = int(rest.split()[0]) if scheme == "Bound" else 0
        faulty = self.fault(request, leg) if self.fault is not None else None
        if faulty is not None:
            return faulty
        with self._lock:
            if scheme == "Bound":
                return self._next(request, leg, *rest.split()[1:])
            user = self._users.get(request.connection)
        if user is None and not request.path.startswith("/public"):
            return Reply(401, {"WWW-Authenticate": "Bound"}, "sign in first")
        return self._served(request, user)

    def _next(self, request: RecordedRequest, leg: int, user: str, number: str = "") -> Reply:
        connection = request.connection
        if leg > 1 and self._expected.get(connection) != number:
            self.mixed_up += 1
            return Reply(401, {"WWW-Authenticate": "Bound"}, "another connection's leg")
        if leg < 3:
            self._expected[connection] = f"{connection}.{leg}"
            return Reply(401, {"WWW-Authenticate": f"Bound {connection}.{leg}"}, "go on")
        if user.startswith("stranger"):
            return Reply(401, {"WWW-Authenticate": "Bound"}, "not known here")
        self._users[connection] = user
        self.finished += 1
        return self._served(request, user)

    @staticmethod
    def _served(request: RecordedRequest, user: str | None) -> Reply:
        if request.path.endswith("/large"):
            return Reply(200, {"Content-Type": "application/octet-stream"}, (b"x" * 65536 for _ in range(48)))
        return json_reply({"user": user, "connection": request.connection, "received": request.body_length})


class BoundAuth(BaseEsriAuth):
    """Signs in as `user` by the three legs; the body goes out with the last of them, or on a warm lane at once.

    With `pins=False` it does not mind a new connection.
    """

    def __init__(self, user: str, pins: bool = True) -> None:
        self.user = user
        self.pins = pins
        self.certificates: list[bytes | None] = []

    def begin(self, audience: Any) -> AuthRun:
        """A handshake for one request."""
        return _BoundRun(self)


class _BoundRun(AuthRun):
    def __init__(self, auth: BoundAuth) -> None:
        self.lane_identity = ("bound", auth.user)
        self._auth = auth
        self._leg = 0
        self._number = ""

    def before_request(self, request: Any, wire: Any) -> Any:
        if self._auth.pins:
            wire.pin()
        if self._leg == 0 and wire.memory.get("signed in"):
            return request
        self._leg += 1
        request = request.with_header("Authorization", f"Bound {self._leg} {self._auth.user} {self._number}".rstrip())
        if self._leg < 3 and request.body is not None:
            request = request.replace(body=None, headers={**request.headers, "Content-Length": "0"})
        return request

    def on_response(self, request: Any, response: Any, wire: Any) -> Any:
        if self._leg == 3 or response.status_code != 401:
            if self._leg == 3 and response.ok:
                wire.memory["signed in"] = True
                self._auth.certificates.append(wire.peer_certificate)
            return ACCEPT
        self._number = response.headers["www-authenticate"].partition(" ")[2]
        return REPLAY
