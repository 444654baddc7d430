"""The one loop that sends: ask the handlers, send, ask them again, and replay for as long as they want it (not long)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..auth.base import ACCEPT, BEGIN_ANEW, INERT, REPLAY, Audience, AuthRun, BaseEsriAuth, checked
from ..wire.connections import ConnectionPinLost
from ..words.errors import BodyNotReplayableError, ConnectionLostError, SignInError
from ..words.redaction import redact_url
from .call import Call

if TYPE_CHECKING:
    from ..auth.base import Wire
    from ..messages.request import Request
    from ..messages.response import Response
    from ..wire.lanes import Lane
    from ..words.clock import Deadline

# A handshake has three legs, a token is renewed once; a chain may do each in turn.
MOST_REPLAYS = 8
_MOST_BEGINNINGS = 4


class _BeginAnew(Exception):
    """A handler knows only now how it signs in."""


def exchange(request: Request, auth: BaseEsriAuth | None, call: Call) -> Response:
    """Send `request` signed by `auth`; the answer that all handlers accept."""
    if auth is None:
        return call.send(request)
    audience = Audience(request.origin, request.origin == call.own, call.trusted, request)
    fresh = False
    for _ in range(_MOST_BEGINNINGS):
        run = checked(auth.begin(audience), auth, "begin")
        call.certificate = run.client_certificate
        if run is INERT:
            return call.send(request)
        wire = ExchangeWire(call, auth, audience)
        try:
            return _until_accepted(request, run, wire) if run.lane_identity is None else _on_lane(request, run, wire, fresh)
        except _BeginAnew:
            pass
        except ConnectionPinLost:
            if fresh:
                message = f"{redact_url(request.url)}: the server closes the connection in the middle of every sign-in."
                raise ConnectionLostError(message, url=request.url) from None
            fresh = True
    raise _endless(request)


def _on_lane(request: Request, run: AuthRun, wire: ExchangeWire, fresh: bool) -> Response:
    def send(lane: Lane) -> Response:
        wire.lane = lane
        return _until_accepted(request, run, wire)

    return wire.call.transport_to(request.origin).on_lane(request, run.lane_identity, send, fresh=fresh)


def _until_accepted(request: Request, run: AuthRun, wire: ExchangeWire) -> Response:
    try:
        return _ask_and_send(request, run, wire)
    finally:
        run.end()


def _ask_and_send(request: Request, run: AuthRun, wire: ExchangeWire) -> Response:
    for _ in range(MOST_REPLAYS + 1):
        outgoing = checked(run.before_request(request, wire), run, "before_request")
        if run.about_to_send(outgoing, wire) is BEGIN_ANEW:
            raise _BeginAnew
        response = wire.call.send(outgoing, wire.lane)
        try:
            answer = checked(run.on_response(outgoing, response, wire), run, "on_response")
        except BaseException:
            response.close()
            raise
        if answer is ACCEPT:
            return response
        response.discard()
        if answer is not REPLAY and answer is not BEGIN_ANEW:
            return answer  # type: ignore[return-value]
        _check_replayable(outgoing)
        if answer is BEGIN_ANEW:
            raise _BeginAnew
    raise _endless(request)


def _endless(request: Request) -> SignInError:
    return SignInError(f"The sign-in at {redact_url(request.url)} does not come to an end.", url=request.url)


def _check_replayable(request: Request) -> None:
    if not request.replayable:
        message = (
            f"{redact_url(request.url)} wants the request again after a sign-in, and its body can be read only once; give a"
            " file or bytes, or make a small request first."
        )
        raise BodyNotReplayableError(message, url=request.url)


class ExchangeWire:
    """The `Wire` that handlers see during one exchange."""

    __slots__ = ("_count", "audience", "auth", "call", "clock", "lane")

    def __init__(
        self, call: Call, auth: BaseEsriAuth, audience: Audience | None, lane: Lane | None = None, count: int = 0
    ) -> None:
        self.call = call
        self.auth: Any = auth
        self.audience = audience
        self.lane = lane
        self.clock = call.clock
        self._count = count

    def left_of(self, count: int) -> Wire:
        """See `Wire.left_of`."""
        return ExchangeWire(self.call, self.auth, self.audience, self.lane, count)

    def through(self, handler: BaseEsriAuth) -> Wire:
        """See `Wire.through`."""
        from ..auth.chain import AuthChain

        left = self._left()
        chain = AuthChain(handler) if left is None else AuthChain(left, handler)
        return ExchangeWire(self.call, chain, self.audience, self.lane, len(chain.handlers))

    def send(self, request: Request) -> Response:
        """A handler's own request, through the handlers to its left, with none of the caller's headers but who sends it."""
        call = self.call
        own = self.audience.own if self.audience is not None and request.origin == self.audience.origin else True
        inner = Call(
            call.transport, call.sign_in_options(), request.origin if own else call.own, call.jar,
            call.trusted, call.defaults, call.sign_in_retry, call.adapters,
        )  # fmt: skip
        inner.sends = call.sends
        try:
            return exchange(call.with_defaults(request), self._left(), inner)
        finally:
            call.sends = inner.sends

    def resend(self, request: Request) -> Response:
        """See `Wire.resend`."""
        _check_replayable(request)
        shown = self.call.certificate
        try:
            return exchange(request, self._left(), self.call)
        finally:
            self.call.certificate = shown

    def _left(self) -> BaseEsriAuth | None:
        return self.auth.left_of(self._count) if self._count else None

    @property
    def referer(self) -> str | None:
        """See `Wire.referer`."""
        return self.call.referer

    @property
    def deadline(self) -> Deadline:
        """See `Wire.deadline`."""
        return self.call.options.deadline

    @property
    def peer_certificate(self) -> bytes | None:
        """See `Wire.peer_certificate`."""
        return None if self.lane is None else self.lane.peer_certificate

    @property
    def server_name(self) -> str | None:
        """See `Wire.server_name`."""
        if self.lane is not None:
            return self.lane.server_name
        audience = self.audience
        if audience is None or audience.request is None:
            return None
        host = audience.request.headers.get("Host")
        return self.call.transport_to(audience.origin).route(audience.origin, host).name or audience.origin.host

    @property
    def memory(self) -> dict[str, Any]:
        """See `Wire.memory`."""
        return {} if self.lane is None else self.lane.memory

    def pin(self) -> None:
        """See `Wire.pin`."""
        if self.lane is not None:
            self.lane.pin()
