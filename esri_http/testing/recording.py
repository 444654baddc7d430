"""Every request that the embedded portal saw, so that a test can count them."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .bodies import ReceivedFile
    from .messages import Answer, Fields, Request

_KEPT = 100_000


class RecordedRequest:
    """One request and how it was answered.

    `site` ("portal", "server" or "standalone"), `method`, `target` (path and query as sent), `path`, `query`, `form`, `headers`
    (case-insensitive), `files`, `body_size` (bytes that came), `connection` (number of the connection; two requests on a
    kept-alive one share it), `server_name` (SNI, or `None`), `status` (0 where no status line was sent), `fault` (name of the
    fault that was played, or "").
    """

    __slots__ = (
        "site", "method", "target", "path", "query", "form", "headers", "files", "body_size", "connection", "server_name",
        "status", "fault",
    )  # fmt: skip

    def __init__(self, request: Request, answer: Answer) -> None:
        self.site: str = request.site
        self.method: str = request.method
        self.target: str = request.target
        self.path: str = request.path
        self.query: dict[str, str] = request.query
        self.form: dict[str, str] = {} if answer.early else request.form
        self.headers: Fields = request.headers
        self.files: list[ReceivedFile] = [] if answer.early else request.files
        self.body_size: int = request.body.received
        self.connection: int = request.connection.number
        self.server_name: str | None = request.connection.server_name
        self.status: int = answer.status if answer.raw is None else 0
        self.fault: str = answer.fault

    def get(self, name: str, default: str = "") -> str:
        """A parameter, from the body or else from the URL."""
        return self.form.get(name, self.query.get(name, default))

    def __repr__(self) -> str:
        return f"<{self.site}: {self.method} {self.path} -> {self.status}>"


class Recorder:
    """A list of `RecordedRequest`, oldest first, that threads may share. It keeps the newest hundred thousand."""

    def __init__(self) -> None:
        self.enabled = True
        self._requests: deque[RecordedRequest] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()

    def add(self, request: Request, answer: Answer) -> None:
        """Record a request, before its answer is sent: who has the answer finds it here."""
        if self.enabled:
            record = RecordedRequest(request, answer)
            with self._lock:
                self._requests.append(record)

    def snapshot(self) -> list[RecordedRequest]:
        """A copy of the list."""
        with self._lock:
            return list(self._requests)

    def find(
        self, path_suffix: str = "", site: str | None = None, method: str | None = None, status: int | None = None
    ) -> list[RecordedRequest]:
        """The requests that match everything that is given."""
        return [
            record
            for record in self.snapshot()
            if record.path.endswith(path_suffix)
            and (site is None or record.site == site)
            and (method is None or record.method == method)
            and (status is None or record.status == status)
        ]

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._requests.clear()
