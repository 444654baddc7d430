"""One request over the wire, retried where that is safe: the only caller of urllib3."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from urllib3.exceptions import ClosedPoolError, ConnectTimeoutError, MaxRetryError, ProtocolError
from urllib3.util.timeout import Timeout

from ..messages.body import BytesBody
from ..messages.response import Response
from ..words.errors import (
    BodyNotReplayableError,
    ConnectError,
    ConnectionLostError,
    DeadlineExceededError,
    EsriHttpError,
    ReadTimeoutError,
    TransportError,
)  # fmt: skip
from ..words.errors import (
    ConnectTimeoutError as OurConnectTimeout,
)
from ..words.errors import ProtocolError as OurProtocolError
from ..words.redaction import redact_url
from .compat import RESPONSE_OPTIONS
from .connections import WireHeaders
from .failures import WIRE_ERRORS, translate
from .lanes import Lane, LaneYard
from .managers import make_manager
from .retries import LONGEST_WAIT_SECONDS, RAISE_AT_ONCE, backoff_seconds, retry_after_seconds, wants_retry
from .routes import Route, find_route
from .streams import WireStream

if TYPE_CHECKING:
    from collections.abc import Hashable

    from urllib3 import PoolManager
    from urllib3.util.retry import Retry

    from ..messages.request import Request
    from ..words.clock import Deadline
    from ..words.origins import Origin
    from ..words.settings import NetworkSettings

log = logging.getLogger("esri_http.wire")

_RETRIED_ENVELOPES = frozenset({429, 504})


class Timeouts:
    """Connect and read time-outs in seconds (`None`: no limit), with urllib3's form of them made once."""

    __slots__ = ("connect", "prepared", "read")

    def __init__(self, connect: float | None, read: float | None) -> None:
        self.connect = connect
        self.read = read
        self.prepared = Timeout(connect=connect, read=read)

    def within(self, remaining: float | None) -> Timeout:
        """The time-outs, cut to the seconds that remain."""
        if remaining is None or (self.read is not None and self.read < remaining):
            return self.prepared
        left = max(remaining, 0.001)
        return Timeout(connect=left if self.connect is None else min(self.connect, left), read=left)


class SendOptions:
    """How one call is sent: its retries, its time-outs and its deadline. Made per call, changed only by the transport.

    `retry` shrinks with every repetition, so that a replay for a sign-in does not get a fresh allowance.
    """

    __slots__ = ("deadline", "retry", "stream", "timeouts")

    def __init__(self, retry: Retry, timeouts: Timeouts, deadline: Deadline, stream: bool = False) -> None:
        self.retry = retry
        self.timeouts = timeouts
        self.deadline = deadline
        self.stream = stream


class Transport:
    """Sends requests with one set of network settings. Safe for threads; after a fork it begins anew."""

    def __init__(self, network: NetworkSettings) -> None:
        self.network = network
        self._lock = threading.Lock()
        self._routes: dict[tuple[Origin, str | None], Route] = {}
        self._managers: dict[Any, PoolManager] = {}
        self.lanes = LaneYard()

    # -- routes ------------------------------------------------------------------------------------------------------

    def route(self, origin: Origin, host_header: str | None = None) -> Route:
        """The route to `origin`, found once; raises `ConfigurationError` for a proxy or certificate that cannot be used."""
        route = self._routes.get((origin, host_header))
        if route is None or route.pool is None:
            with self._lock:
                route = self._routes.get((origin, host_header))
                if route is None:
                    route = find_route(origin, self.network, host_header)
                    route.pool = route.open_pool(self._manager(route))
                    self._routes[origin, host_header] = route
        return route

    def _manager(self, route: Route) -> PoolManager:
        manager = self._managers.get(route.proxy)
        if manager is None:
            manager = self._managers[route.proxy] = make_manager(self.network.tls, route.proxy)
        return manager

    def lease(self, origin: Origin, identity: Hashable) -> Lane:
        """A lane to `origin` for `identity`; give it back with `lanes.give_back`."""
        route = self.route(origin)
        return self.lanes.lease((origin, route.proxy, route.name, identity), route, self.network.tls)

    def close(self) -> None:
        """Close every idle connection. Answers still being streamed keep theirs; later requests connect anew."""
        with self._lock:
            managers, self._managers, self._routes = self._managers, {}, {}
        for manager in managers.values():
            manager.clear()
        self.lanes.clear()

    def after_fork(self) -> None:
        """In a forked child: leave the parent's connections and locks alone and begin anew."""
        self.__init__(self.network)  # type: ignore[misc]

    # -- sending -----------------------------------------------------------------------------------------------------

    def send(self, request: Request, options: SendOptions, lane: Lane | None = None, tries: bool = True) -> Response:
        """Send `request`; the answer's body is not read yet, unless it had to be looked at.

        Retries by the policy in `options`, unless `tries` is false. Raises `TransportError` and its kin.
        """
        while True:
            try:
                response = self._send_once(request, options, lane)
            except TransportError as failure:
                if not tries or not self._again_after(failure, request, options):
                    raise
                continue
            if not tries or not self._again_after_answer(response, request, options):
                return response
            response.discard()

    def _send_once(self, request: Request, options: SendOptions, lane: Lane | None) -> Response:
        deadline = options.deadline
        started = deadline.clock.monotonic()
        remaining = None if deadline.at is None else deadline.at - started
        if remaining is not None and remaining <= 0:
            raise self._too_late(request, options)
        route = self.route(request.origin, request.headers.get("Host")) if lane is None else lane.route
        try:
            raw = self._urlopen(route.pool if lane is None else lane.pool, route, request, options.timeouts.within(remaining))
        except ClosedPoolError:
            # Another thread changed the settings or closed the session: there is a new pool by now.
            return self._send_once(request, options, lane)
        except WIRE_ERRORS as error:
            translated = translate(error, request)
            if not deadline.allows(0):
                raise self._too_late(request, options) from translated
            raise translated from error
        stream = WireStream(raw, request, None if options.stream else deadline)
        response = Response(request, raw.status, raw.reason or "", raw.headers, stream, deadline.clock.monotonic() - started)
        if raw.status == 200 and not options.stream:
            response.content  # noqa: B018 - read now: a broken body is a failure like another
        return response

    def _urlopen(self, pool: Any, route: Route, request: Request, timeout: Timeout) -> Any:
        body: Any = request.body
        headers: dict[str, str] = request.headers
        chunked = False
        if body is not None:
            if isinstance(body, BytesBody):
                body = body.content
            elif body.length is None:
                chunked = True
            else:
                headers = {**headers, "Content-Length": str(body.length)}
        if route.host_header is not None and "Host" not in headers:
            headers = {**headers, "Host": route.host_header}
        if request.secret_query:
            headers = WireHeaders(headers, request.secret_query)
        return pool.urlopen(
            request.method,
            route.prefix + request.target,
            body,
            headers,
            RAISE_AT_ONCE,
            redirect=False,
            assert_same_host=False,
            timeout=timeout,
            preload_content=False,
            decode_content=False,
            chunked=chunked,
            **RESPONSE_OPTIONS,
        )

    # -- retrying ----------------------------------------------------------------------------------------------------

    def _again_after(self, failure: TransportError, request: Request, options: SendOptions) -> bool:
        """Whether to try again after `failure`; counts, and waits."""
        if isinstance(failure, (ConnectError, OurConnectTimeout)):
            kind: Exception = ConnectTimeoutError()
        elif isinstance(failure, (ConnectionLostError, ReadTimeoutError, OurProtocolError)):
            kind = ProtocolError()
        else:
            return False
        try:
            retry = options.retry.increment(request.method, error=kind)
        except (MaxRetryError, ProtocolError, ConnectTimeoutError):
            return False
        if not request.replayable and isinstance(kind, ProtocolError):
            raise BodyNotReplayableError(
                f"{failure} It is not sent again because its body can be read only once; give a file or bytes.", url=request.url
            ) from failure
        return self._wait(retry, backoff_seconds(retry), request, options, str(type(failure).__name__))

    def _again_after_answer(self, response: Response, request: Request, options: SendOptions) -> bool:
        """Whether the answer asks for another try (by status, or by an ArcGIS envelope inside 200) and gets one."""
        status = response.status_code
        envelope = None
        if status == 200:
            envelope = response.esri_error
            if envelope is None or envelope.code not in _RETRIED_ENVELOPES:
                return False
            status = envelope.code
        if status < 400 or not wants_retry(options.retry, request.method, status) or not request.replayable:
            return False
        try:
            retry = options.retry.increment(request.method, response=response.raw)
        except MaxRetryError:
            return False
        asked = retry_after_seconds(response.headers.get("retry-after"), options.deadline.clock)
        if asked is None and envelope is not None:
            asked = envelope.retry_after
        seconds = backoff_seconds(retry) if asked is None else asked
        if seconds > LONGEST_WAIT_SECONDS or not options.deadline.allows(seconds):
            return False
        return self._wait(retry, seconds, request, options, f"status {status}")

    def _wait(self, retry: Retry, seconds: float, request: Request, options: SendOptions, why: str) -> bool:
        if not options.deadline.allows(seconds):
            return False
        options.retry = retry
        log.info("%s %s again in %.1f s after %s", request.method, redact_url(request.url), seconds, why)
        options.deadline.clock.sleep(seconds)
        return True

    def _too_late(self, request: Request, options: SendOptions) -> EsriHttpError:
        message = (
            f"{request.method} {redact_url(request.url)}: the {options.deadline.seconds:g} s for the whole call are used up."
        )
        return DeadlineExceededError(message, url=request.url)
