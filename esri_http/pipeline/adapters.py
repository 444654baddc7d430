"""Adapters of the user's own, mounted on URL prefixes as in `requests`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..auth.callables import CallableRequest
from ..messages.foreign import as_response, foreign_errors

if TYPE_CHECKING:
    from ..messages.request import Request
    from ..messages.response import Response
    from ..wire.lanes import Lane
    from ..wire.transport import SendOptions, Transport


class Adapters:
    """Which adapter sends the requests to which URLs. `mounted` has the longest prefix first; it is not changed any more."""

    def __init__(self, mounted: dict[str, Any]) -> None:
        self._mounted = list(mounted.items())

    def find(self, url: str) -> MountedAdapter | None:
        """The adapter for `url`; `None` where the session's own transport is to send it."""
        lower = url.lower()
        for prefix, adapter in self._mounted:
            if lower.startswith(prefix):
                return None if isinstance(adapter, TransportAdapter) else MountedAdapter(adapter)
        return None

    def close(self) -> None:
        """Close every adapter that is not the session's own; what the first that fails raises is raised in the end."""
        failure: Exception | None = None
        for _, adapter in self._mounted:
            if not isinstance(adapter, TransportAdapter) and hasattr(adapter, "close"):
                try:
                    adapter.close()
                except Exception as error:
                    failure = failure or error
        if failure is not None:
            raise failure


class MountedAdapter:
    """A foreign adapter (anything with `send`), spoken to as `requests` speaks to its own."""

    def __init__(self, adapter: Any) -> None:
        self._adapter = adapter

    def send(self, request: Request, transport: Transport, options: SendOptions, lane: Lane | None) -> Response:
        """One request through the adapter; its answer as a `Response` of ours. It is told what the session is set to.

        An `OSError` of the adapter, as the errors of `requests` are, is raised as `TransportError`.
        """
        network, timeouts = transport.network, options.timeouts
        certificate = network.tls.certificate
        shown = AdapterRequest(request)
        shown.way = (transport, options, lane)
        with foreign_errors(request, self._adapter):
            answer = self._adapter.send(
                shown,
                stream=options.stream,
                timeout=(timeouts.connect, timeouts.read),
                verify=network.tls.verify,
                cert=None if certificate is None else (certificate.certificate, certificate.key),
                proxies={scheme: url for scheme, url in network.proxies if url is not None},
            )
        return as_response(answer, request, self._adapter)


class AdapterRequest(CallableRequest):
    """A request as adapters know it; `way` leads on to the session's own transport."""

    way: tuple[Transport, SendOptions, Lane | None] | None = None

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        if request.body is not None and request.body.length is not None:
            self.headers["Content-Length"] = str(request.body.length)

    def copy(self) -> AdapterRequest:
        """A copy whose header fields are its own."""
        twin = super().copy()
        assert isinstance(twin, AdapterRequest)
        twin.way = self.way
        return twin


class TransportAdapter:
    """The session's own way to the wire, as it appears in `session.adapters`; made to be wrapped by adapters of yours."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def send(self, request: Any, **options: Any) -> Response:
        """Send one request, the one that an adapter was given or a copy, without sign-in, cookies or redirects."""
        way = getattr(request, "way", None)
        if way is None:
            answer: Response = self._session.send_plain(request, **options)
            return answer
        transport, options_of_call, lane = way
        return transport.send(request.finished(), options_of_call, lane)  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close the session's idle connections."""
        self._session.close_connections()

    def __repr__(self) -> str:
        return "<TransportAdapter>"
