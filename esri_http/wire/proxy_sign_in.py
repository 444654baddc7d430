"""Signing in to proxies: what wire asks of a signer, which knows the schemes, and the loop that answers a 407.

For an https target the sign-in is part of CONNECT, and urllib3 shows no more of a refusal than its status; so a challenge
is caught on its way (`TunnelAnswer`), and the next CONNECT, on another connection, carries the answer. For an http target
the proxy takes it from the request itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..messages.request import Request
from ..words.errors import BodyNotReplayableError, ConnectionLostError, ProxyError
from ..words.redaction import redact_url
from .answers import ProxyChallenge
from .connections import ConnectionPinLost

if TYPE_CHECKING:
    from threading import RLock
    from typing import Protocol

    from ..messages.body import Body
    from ..messages.response import Response
    from ..words.origins import Origin
    from .lanes import Lane
    from .routes import Route
    from .transport import SendOptions, Transport

    class ProxySigner(Protocol):
        """Signs in to one proxy; shared by the threads of a session. `ProxyError`s of its own name the proxy only."""

        binds_connection: bool
        """Whether the sign-in lives on the connection (NTLM, Negotiate), so that a plain request needs a lane."""
        first: RLock
        """Held by the request that goes ahead until the proxy `is_settled`, so that a wrong password is sent once."""

        @property
        def is_settled(self) -> bool:
            """Whether the proxy has said yes or no to the credentials."""

        def is_settled_for(self, origin: Origin) -> bool:
            """The same for requests to `origin`; a proxy may want no sign-in for some servers."""

        def passed(self, origin: Origin) -> None:
            """Take note that the proxy let a request to `origin` pass."""

        def is_ready(self, memory: dict[str, Any] | None, once: bool) -> bool:
            """Whether a body may go along with the next request; `once`: it can be read only once."""

        def authorization(
            self, method: str, target: str, memory: dict[str, Any] | None, body: Body | None = None
        ) -> str | None:
            """The value of `Proxy-Authorization` for this one request, or `None`; raises the `ProxyError` of a refusal.

            `target` is what stands in the request line. `memory` is that of the lane's connection, which stays the same for
            the next leg; `None`: it does not.
            """

        def challenged(self, fields: list[str], sent: str | None, memory: dict[str, Any] | None) -> None:
            """Take note of a 407: its `Proxy-Authenticate`, and what it is the answer to. Raises `ProxyError` to give up."""

        def accepted(self, sent: str | None, memory: dict[str, Any] | None) -> None:
            """Take note that the proxy let a request pass, or made a tunnel."""


# A challenge, the two of NTLM, a nonce that went stale in between.
_MOST_CHALLENGES = 4
_SHORT_BODY_BYTES = 64 * 1024
_LONGEST_TURN_SECONDS = 30.0


def send_signed(transport: Transport, request: Request, route: Route, options: SendOptions, lane: Lane | None) -> Response:
    """Send `request` through the proxy of `route`, and again for as long as its challenges can be answered (not long)."""
    turn = _Turn(route.signer, options)
    try:
        if not turn.signer.is_settled_for(request.origin):
            turn.take()
        response = _send_in_turn(transport, request, route, options, lane, turn)
        turn.signer.passed(request.origin)
        return response
    except ProxyError as error:
        from .failures import located

        raise located(error, request) from error.__cause__
    finally:
        turn.end()


def _send_in_turn(
    transport: Transport, request: Request, route: Route, options: SendOptions, lane: Lane | None, turn: _Turn
) -> Response:
    if not route.prefix:
        return _through_tunnel(transport, request, route, options, lane, turn)
    if lane is None and turn.signer.binds_connection:
        return _on_lane(transport, request, route, options, turn)
    return _forwarded(transport, request, route, options, lane, turn)


class _Turn:
    """The turn of one request to show the credentials to a proxy that has not taken them yet; see `ProxySigner.first`."""

    def __init__(self, signer: Any, options: SendOptions) -> None:
        self.signer = signer
        self._deadline = options.deadline
        self._is_taken = False

    def take(self) -> None:
        """Wait until it is free, but not for very long; a turn that is taken already stays so until `end`."""
        if not self._is_taken:
            left = self._deadline.remaining()
            longest = _LONGEST_TURN_SECONDS if left is None else max(0.0, min(left, _LONGEST_TURN_SECONDS))
            self._is_taken = self.signer.first.acquire(timeout=longest)

    def challenged(self, fields: list[str], sent: str | None, memory: dict[str, Any] | None) -> None:
        """As `ProxySigner.challenged`, in turn where the proxy let other requests pass without asking for a sign-in."""
        if sent is None or not self.signer.is_settled:
            self.take()
        self.signer.challenged(fields, sent, memory)

    def end(self) -> None:
        """Let the next one go ahead."""
        if self._is_taken:
            self._is_taken = False
            self.signer.first.release()


def _through_tunnel(
    transport: Transport, request: Request, route: Route, options: SendOptions, lane: Lane | None, turn: _Turn
) -> Response:
    for _ in range(_MOST_CHALLENGES + 1):
        try:
            return transport.exchange(request, route, options, lane)
        except ProxyChallenge as caught:
            challenge = caught
        # Out here, so that no error has the challenge, and what was sent, as its context.
        turn.challenged(challenge.fields, challenge.sent, None)
    raise _endless(route)


def _on_lane(transport: Transport, request: Request, route: Route, options: SendOptions, turn: _Turn) -> Response:
    signer: Any = route.signer

    def send(lane: Lane) -> Response:
        return _forwarded(transport, request, lane.route, options, lane, turn)

    for fresh in (False, True):
        try:
            return transport.on_lane(request, signer, send, fresh=fresh)
        except ConnectionPinLost:
            continue
    message = f"{redact_url(request.url)}: the proxy {route.proxy} closes the connection in the middle of every sign-in."
    raise ConnectionLostError(message, url=request.url)


def _forwarded(
    transport: Transport, request: Request, route: Route, options: SendOptions, lane: Lane | None, turn: _Turn
) -> Response:
    signer: Any = route.signer
    if _wants_probe(request, route, lane):
        unread = type(options)(options.retry, options.timeouts, options.deadline, stream=True)
        _forwarded(transport, _probe(request), route, unread, lane, turn).discard()
    target = route.prefix + request.target_on_wire
    for _ in range(_MOST_CHALLENGES + 1):
        before = _memory(lane)
        field = signer.authorization(request.method, target, before, request.body)
        response = transport.exchange(request, route, options, lane, field)
        if lane is not None and field is not None and lane.proxy_memory is not before:
            lane.proxy_memory.update(before or {})  # the connection began with this request
        memory = _memory(lane)
        if response.status_code != 407:
            signer.accepted(field, memory)
            return response
        headers: Any = response.headers
        fields = headers.getlist("proxy-authenticate")
        response.discard()
        turn.challenged(fields, field, memory)
        if not request.replayable:
            message = (
                f"{redact_url(request.url)}: the proxy {route.proxy} wants the request again after a sign-in, and its body can"
                " be read only once; give a file or bytes, or make a small request first."
            )
            raise BodyNotReplayableError(message, url=request.url)
        if lane is not None and field is not None and signer.binds_connection:
            lane.pin()
    raise _endless(route)


def _memory(lane: Lane | None) -> dict[str, Any] | None:
    return None if lane is None else lane.proxy_memory


def _wants_probe(request: Request, route: Route, lane: Lane | None) -> bool:
    """Whether a small request goes ahead, so that a large body, or one that can be read only once, crosses only once."""
    body, signer = request.body, route.signer
    if body is None or signer is None:
        return False
    once = not body.replayable
    if not once and body.length is not None and body.length <= _SHORT_BODY_BYTES:
        return False
    return not signer.is_ready(_memory(lane), once)


def _probe(request: Request) -> Request:
    """A request that is answered by the proxy if it wants a sign-in, and else asks the origin for nothing to be done.

    Squid answers OPTIONS that are not to be forwarded (`Max-Forwards: 0`) itself, and before it asks for a sign-in.
    """
    kept = {name: value for name, value in request.headers.items() if name.lower() in ("host", "user-agent")}
    return Request("HEAD", request.origin, "/", kept)


def _endless(route: Route) -> ProxyError:
    return ProxyError(f"the sign-in to the proxy {route.proxy} does not come to an end.")
