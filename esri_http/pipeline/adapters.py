"""Adapters of the user's own, mounted on URL prefixes as in `requests`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..messages.response import Response
from ..words.errors import ConfigurationError
from ..words.headers import Headers

if TYPE_CHECKING:
    from ..messages.request import Request
    from ..wire.transport import SendOptions


class Adapters:
    """Which adapter sends the requests to which URLs: the longest prefix wins. Not changed once it is made."""

    def __init__(self, mounted: dict[str, Any]) -> None:
        self._mounted = sorted(mounted.items(), key=lambda item: -len(item[0]))

    def find(self, url: str) -> MountedAdapter | None:
        """The adapter for `url`; `None` where the session's own transport is to send it."""
        lower = url.lower()
        for prefix, adapter in self._mounted:
            if lower.startswith(prefix):
                return None if isinstance(adapter, TransportAdapter) else MountedAdapter(adapter)
        return None

    def close(self) -> None:
        """Close every adapter that is not the session's own."""
        for _, adapter in self._mounted:
            if not isinstance(adapter, TransportAdapter) and hasattr(adapter, "close"):
                adapter.close()


class MountedAdapter:
    """A foreign adapter (anything with `send`), spoken to as `requests` speaks to its own."""

    def __init__(self, adapter: Any) -> None:
        self._adapter = adapter

    def send(self, request: Request, options: SendOptions) -> Response:
        """One request through the adapter; its answer as a `Response` of ours."""
        timeouts = options.timeouts
        answer = self._adapter.send(request, stream=options.stream, timeout=(timeouts.connect, timeouts.read))
        if isinstance(answer, Response):
            return answer
        if not hasattr(answer, "status_code"):
            raise ConfigurationError(f"The adapter {type(self._adapter).__name__} did not answer with a response.")
        headers = Headers((name, value) for name, value in answer.headers.items())
        return Response(request, answer.status_code, getattr(answer, "reason", "") or "", headers, _ForeignStream(answer))


class _ForeignStream:
    """The content of a foreign response."""

    def __init__(self, answer: Any) -> None:
        self.raw = getattr(answer, "raw", None)
        self._answer = answer
        self._pieces: Any = None
        self._rest = b""

    def read(self, amount: int | None = None) -> bytes:
        if amount is None:
            pieces = [self._rest, *self._iterate()]
            self._rest = b""
            return b"".join(pieces)
        if not self._rest:
            self._rest = next(self._iterate(), b"")
        data, self._rest = self._rest[:amount], self._rest[amount:]
        return data

    def _iterate(self) -> Any:
        if self._pieces is None:
            self._pieces = (
                iter(self._answer.iter_content(65536))
                if hasattr(self._answer, "iter_content")
                else iter([self._answer.content])
            )
        return self._pieces

    def discard(self) -> None:
        self.close()

    def when_done(self, callback: Any) -> None:
        callback(True)

    def close(self) -> None:
        close = getattr(self._answer, "close", None)
        if close is not None:
            close()


class TransportAdapter:
    """The session's own way to the wire, as it appears in `session.adapters`."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def send(self, request: Request, **options: Any) -> Response:
        """Send one request without sign-in, cookies or redirects."""
        response: Response = self._session.send_plain(request, **options)
        return response

    def close(self) -> None:
        """Close the session's idle connections."""
        self._session.close()

    def __repr__(self) -> str:
        return "<TransportAdapter>"
