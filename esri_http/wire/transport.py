"""One request over the wire, retried where that is safe: the only caller of urllib3."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from urllib3 import Timeout
from urllib3.exceptions import ClosedPoolError

from ..messages.response import Response
from ..words.errors import ConnectError, EsriHttpError, InvalidRequestError, ProxyError, TransportError
from ..words.headers import without
from .compat import WIRE_ERRORS
from .connections import ConnectionPinLost, WireHeaders
from .managers import make_manager
from .retries import RAISE_AT_ONCE
from .routes import Route, find_route
from .streams import WireStream
from .tls import tls_context

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from urllib3 import PoolManager
    from urllib3.util.retry import Retry

    from ..messages.body import Body
    from ..messages.request import Request
    from ..words.clock import Deadline
    from ..words.origins import Origin
    from ..words.settings import ClientCertificate, NetworkSettings
    from .lanes import Lane, LaneYard
    from .proxies import Proxy
    from .proxy_sign_in import ProxySigner


# Fewer than the pools that a manager keeps, which closes one for each new one beyond its limit.
_MOST_ROUTES = 400
# Handlers with a client certificate of their own, on one session.
_MOST_CERTIFICATES = 32
_FOR_PROXIES = "Proxy-Authorization"


class Timeouts:
    """Connect and read time-outs in seconds (`None`: no limit), with urllib3's form of them made once."""

    __slots__ = ("connect", "longest", "prepared", "read")

    def __init__(self, connect: float | None, read: float | None) -> None:
        self.connect = connect
        self.read = read
        self.longest = None if connect is None or read is None else connect + read
        self.prepared = Timeout(connect=connect, read=read)

    def within(self, remaining: float | None) -> Timeout:
        """The time-outs, cut so that both together end within the seconds that remain."""
        if remaining is None or (self.longest is not None and self.longest < remaining):
            return self.prepared
        left = max(remaining, 0.001)
        return Timeout(total=left, connect=self.connect, read=left if self.read is None else min(self.read, left))


class SendOptions:
    """How one call is sent: its retries, its time-outs and its deadline. Made per call, changed only by the transport.

    `retry` shrinks with every repetition, so that a replay for a sign-in does not get a fresh allowance. `ahead`: how many
    bytes of an answer are read before anybody asks; `None` for all of them.
    """

    __slots__ = ("ahead", "deadline", "retry", "stream", "timeouts")

    def __init__(
        self, retry: Retry, timeouts: Timeouts, deadline: Deadline, stream: bool = False, ahead: int | None = None
    ) -> None:
        self.ahead = ahead
        self.retry = retry
        self.timeouts = timeouts
        self.deadline = deadline
        self.stream = stream


class Transport:
    """Sends requests with one set of network settings. Safe for threads; not for use after a fork."""

    def __init__(
        self,
        network: NetworkSettings,
        signer_for: Callable[[Proxy], ProxySigner | None] | None = None,
        keeps_certificate: bool = False,
    ) -> None:
        self.network = network
        self._signer_for = signer_for
        self.shows_certificate = network.tls.certificate is not None
        # Whether our certificate goes before that of a handler, since it was given for the call.
        self.keeps_certificate = keeps_certificate
        self._by_certificate: dict[ClientCertificate | None, Transport] = {}
        self._lock = threading.Lock()
        self._routes: dict[tuple[Origin, str | None], Route] = {}
        self._managers: dict[Any, PoolManager] = {}
        self._lanes: LaneYard | None = None

    # -- routes ------------------------------------------------------------------------------------------------------

    def route(self, origin: Origin, host_header: str | None = None) -> Route:
        """The route to `origin`, found once; raises `ConfigurationError` for a proxy or certificate that cannot be used."""
        route = self._routes.get((origin, host_header))
        if route is None:
            if len(self._routes) >= _MOST_ROUTES:
                self.close()  # more servers than anybody talks to at once: their idle connections are given up
            with self._lock:
                route = self._routes.get((origin, host_header))
                if route is None:
                    route = find_route(origin, self.network, host_header)
                    if route.proxy is not None and self._signer_for is not None:
                        route.signer = self._signer_for(route.proxy)
                    route.pool = route.open_pool(self._manager(route))
                    self._routes[origin, host_header] = route
        return route

    def _manager(self, route: Route) -> PoolManager:
        manager = self._managers.get(route.proxy)
        if manager is None:
            manager = self._managers[route.proxy] = make_manager(self.network.tls, route.proxy, route.signer)
        return manager

    def warm(self) -> None:
        """Read the trusted CAs now; the context is kept for the first connection."""
        tls_context(self.network.tls)

    @property
    def without_certificate(self) -> Transport:
        """The same, for servers that are not to see our client certificate; closed together with this one."""
        return self._with(None)

    def with_certificate(self, certificate: ClientCertificate) -> Transport:
        """The same with this client certificate, and connections of its own; closed together with this one.

        Itself where it `keeps_certificate`.
        """
        return self if self.keeps_certificate else self._with(certificate)

    def _with(self, certificate: ClientCertificate | None) -> Transport:
        if certificate == self.network.tls.certificate:
            return self
        with self._lock:
            transport = self._by_certificate.get(certificate)
            if transport is None:
                if len(self._by_certificate) >= _MOST_CERTIFICATES:
                    self._by_certificate.pop(next(iter(self._by_certificate))).close()
                network = self.network.replace(tls=self.network.tls.replace(certificate=certificate))
                transport = self._by_certificate[certificate] = Transport(network, self._signer_for)
        return transport

    @property
    def lanes(self) -> LaneYard:
        """Where the lanes of connection-bound sign-ins wait."""
        if self._lanes is None:
            from .lanes import LaneYard

            with self._lock:
                self._lanes = self._lanes or LaneYard()
        return self._lanes

    def on_lane(
        self, request: Request, identity: Hashable, send: Callable[[Lane], Response], *, fresh: bool = False
    ) -> Response:
        """What `send` gets over a lane for `identity`, with a new connection if it has to be `fresh`; see `LaneYard`.

        The lane goes back once the answer is read.
        """
        route, yard = self.route(request.origin, request.headers.get("Host")), self.lanes
        lane = yard.lease((route.origin, route.proxy, route.name, identity), route, self.network.tls, fresh=fresh)
        try:
            response = send(lane)
        except BaseException:
            yard.give_back(lane, reusable=False)
            raise
        response.when_done(lambda reusable: yard.give_back(lane, reusable))
        return response

    def close(self) -> None:
        """Close every idle connection. Answers still being streamed keep theirs; later requests connect anew."""
        with self._lock:
            routes, self._managers, self._routes = self._routes, {}, {}
        for route in routes.values():
            route.close()
        if self._lanes is not None:
            self._lanes.clear()
        for transport in list(self._by_certificate.values()):
            transport.close()

    # -- sending -----------------------------------------------------------------------------------------------------

    def send(self, request: Request, options: SendOptions, lane: Lane | None = None) -> Response:
        """Send `request`, again by the policy in `options`; the last answer, whatever its status.

        The content of a 200 is read already, as far as `options` have it. Raises `TransportError` and its kin.
        """
        while True:
            try:
                route = self.route(request.origin, request.headers.get("Host")) if lane is None else lane.route
                if route.signer is None:
                    response = self.exchange(request, route, options, lane)
                else:
                    from .proxy_sign_in import send_signed

                    response = send_signed(self, request, route, options, lane)
            except TransportError as failure:
                from .repetition import again_after_failure

                if not again_after_failure(failure, request, options):
                    raise
                continue
            status = response.status_code
            if status < 400 and (status != 200 or response.esri_error is None):
                return response
            from .repetition import again_after_answer

            if not again_after_answer(response, options):
                return response

    def exchange(
        self, request: Request, route: Route, options: SendOptions, lane: Lane | None, field: str | None = None
    ) -> Response:
        """Send `request` exactly once; `field` is the `Proxy-Authorization` for a proxy that forwards it."""
        deadline = options.deadline
        started = deadline.clock.monotonic()
        remaining = None if deadline.at is None else deadline.at - started
        if remaining is not None and remaining <= 0:
            from .failures import too_late

            raise too_late(request, deadline)
        try:
            timeout = options.timeouts.within(remaining)
            raw = self._urlopen(route.pool if lane is None else lane.pool, route, request, timeout, deadline, field)
        except ClosedPoolError:
            # Another thread changed the settings or closed the session: there is a new pool by now.
            if lane is not None:
                raise ConnectionPinLost from None
            return self.exchange(request, self.route(request.origin, request.headers.get("Host")), options, lane, field)
        except (ConnectError, ProxyError) as error:
            from .failures import located

            raise located(error, request) from error.__cause__
        except EsriHttpError:
            raise  # the body of the request failed, not the exchange
        except WIRE_ERRORS as error:
            from .failures import translate

            raise translate(error, request, deadline, route.proxy) from error
        stream = WireStream(raw, request, deadline, options.timeouts.read)
        response = Response(request, raw.status, raw.reason or "", raw.headers, stream, deadline.clock.monotonic() - started)
        if raw.status == 200 and not options.stream:
            # Read now: a broken body is a failure like another.
            if options.ahead is None:
                response.content  # noqa: B018
            else:
                response.peek(options.ahead)
        return response

    def _urlopen(
        self, pool: Any, route: Route, request: Request, timeout: Timeout, deadline: Deadline, field: str | None
    ) -> Any:
        body: Any = request.body
        headers: dict[str, str] = request.headers
        chunked = False
        if body is not None:
            content = getattr(body, "content", None)
            if content is not None:
                body = content
            else:
                if body.length is None:
                    chunked = True
                else:
                    headers = {**headers, "Content-Length": str(body.length)}
                body = _pieces_of(body)
        if field is not None:
            headers = {**headers, _FOR_PROXIES: field}
        elif _FOR_PROXIES in headers and not route.prefix:
            headers = without(headers, frozenset({_FOR_PROXIES.lower()}))  # what is for a proxy is not for an origin
        if route.host_header is not None and "Host" not in headers:
            headers = {**headers, "Host": route.host_header}
        return pool.urlopen(
            request.method,
            route.prefix + request.target,
            body,
            WireHeaders(headers, request.secret_query, deadline, timeout.read_timeout, request.late_headers),
            RAISE_AT_ONCE,
            redirect=False,
            assert_same_host=False,
            timeout=timeout,
            preload_content=False,
            decode_content=False,
            chunked=chunked,
            enforce_content_length=True,  # not the default of urllib3 1.26
        )


def _pieces_of(body: Body) -> Iterator[bytes]:
    """What `body` gives. Its source may be another exchange, whose failures must not pass for those of this one."""
    try:
        yield from body
    except InvalidRequestError:
        raise
    except WIRE_ERRORS as error:
        raise InvalidRequestError(f"The source of the body failed: {error}.") from error
