"""What holds for one call, from its first request to its last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..words.errors import EsriHttpError, TransportError
from ..words.headers import all_values, lookup

if TYPE_CHECKING:
    from ..messages.cookies import CookieJar
    from ..messages.request import Request
    from ..messages.response import Response
    from ..wire.lanes import Lane
    from ..wire.transport import SendOptions, Transport
    from ..words.clock import Clock
    from ..words.headers import Headers
    from ..words.origins import Origin
    from ..words.settings import ClientCertificate
    from .adapters import Adapters
    from .jars import JarHolder

# Redirects times sign-ins: no honest exchange comes near it.
MOST_SENDS = 100
_SHORT_BYTES = 64 * 1024


class Call:
    """One call: where it may go, how it is sent, and how often it has been. Belongs to one thread."""

    __slots__ = (
        "adapters",
        "certificate",
        "clock",
        "cookies",
        "defaults",
        "jar",
        "options",
        "own",
        "sends",
        "sign_in_retry",
        "transport",
        "trusted",
    )

    def __init__(
        self,
        transport: Transport,
        options: SendOptions,
        own: Origin,
        jar: JarHolder,
        trusted: frozenset[Origin] = frozenset(),
        defaults: Headers | None = None,
        sign_in_retry: Any = None,
        adapters: Adapters | None = None,
    ) -> None:
        self.transport = transport
        self.options = options
        self.own = own
        self.jar = jar
        # The cookies of this call alone; they go to the origin that the caller named.
        self.cookies: CookieJar | None = None
        self.trusted = trusted
        # The fields of every request of the session; a handler's own requests take two of them.
        self.defaults = defaults
        self.sign_in_retry = sign_in_retry
        self.adapters = adapters
        self.clock: Clock = options.deadline.clock
        self.sends = 0
        # What a handler shows to the server of the exchange that is under way; `None`: what the session has.
        self.certificate: ClientCertificate | None = None

    @property
    def referer(self) -> str | None:
        """The session's `Referer`; `None` for none."""
        return None if self.defaults is None else self.defaults.get("Referer")

    def with_defaults(self, request: Request) -> Request:
        """A handler's own request, with the session's `Referer` and `User-Agent` where it has none."""
        for name in ("Referer", "User-Agent"):
            value = None if self.defaults is None else self.defaults.get(name)
            if value and request.header(name) is None:
                request = request.with_header(name, value)
        return request

    def send(self, request: Request, lane: Lane | None = None, options: SendOptions | None = None) -> Response:
        """One request over the wire, with this session's cookies."""
        self.sends += 1
        if self.sends > MOST_SENDS:
            raise TransportError(
                f"The call was given up after {MOST_SENDS} requests: redirects and sign-ins have no end.", url=request.url
            )
        if self.jar.jar or self.cookies:
            request = self._with_cookies(request)
        options = options or self.options
        adapter = None if self.adapters is None else self.adapters.find(request.url)
        if adapter is None:
            response = self.transport_to(request.origin).send(request, options, lane)
        else:
            response = adapter.send(request, self.transport_to(request.origin), options, lane)
        if "set-cookie" in response.headers:
            self.jar.open().store(request.origin, request.path, all_values(response.headers, "set-cookie"))
        return response

    def transport_to(self, origin: Origin) -> Transport:
        """The way to `origin`: where only a redirect led to, our client certificate is not shown."""
        transport = self.transport
        if self.certificate is not None and not transport.keeps_certificate:
            return transport.with_certificate(self.certificate)
        if not transport.shows_certificate or origin == self.own or origin in self.trusted:
            return transport
        return transport.without_certificate

    def _with_cookies(self, request: Request) -> Request:
        if lookup(request.headers, "Cookie") is not None:
            return request
        own = request.origin == self.own
        field = self.jar.open().header_for(request.origin, request.path, own=own, extra=self.cookies if own else None)
        return request.with_header("Cookie", field) if field else request

    def sign_in_options(self) -> SendOptions:
        """How a handler's own requests are sent: within the same deadline, and repeated only if they never arrived.

        An honest answer to a sign-in is short; of a long one the handler says how much it reads.
        """
        options = self.options
        return type(options)(self.sign_in_retry or options.retry, options.timeouts, options.deadline, ahead=_SHORT_BYTES)


def keep_short(response: Response) -> None:
    """Free the connection of an answer that an error will carry: short content is read, other content dropped."""
    try:
        if len(response.peek(_SHORT_BYTES + 1)) <= _SHORT_BYTES:
            response.content  # noqa: B018 - the connection goes back
            return
    except EsriHttpError:
        pass
    response.close()
