"""``a + b``: several handlers in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..words.errors import EsriHttpError
from .base import ACCEPT, INERT, REPLAY, Audience, AuthRun, BaseEsriAuth
from .callables import adopt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..messages.request import Request
    from ..messages.response import Response
    from .base import Answer, Wire


class AuthChain(BaseEsriAuth):
    """Handlers from the wire outwards; both ways the leftmost is asked first. As thread-safe as its parts."""

    def __init__(self, *handlers: Any) -> None:
        flat: list[BaseEsriAuth] = []
        for handler in handlers:
            flat += handler.handlers if isinstance(handler, AuthChain) else (adopt(handler),)
        self.handlers: tuple[BaseEsriAuth, ...] = tuple(flat)

    def begin(self, audience: Audience) -> AuthRun:
        return ChainRun([handler.begin(audience) for handler in self.handlers])

    def left_of(self, count: int) -> AuthChain:
        """The first `count` handlers."""
        return AuthChain(*self.handlers[:count])

    @property
    def token(self) -> Any:
        """The token of the outermost handler that has one."""
        tokens = (handler.token for handler in reversed(self.handlers))
        return next((token for token in tokens if token is not None), None)

    def logout(self, afterwards: str = "anonymous") -> bool:
        """Sign out everywhere, from the outermost handler inwards; whether any site confirmed it.

        A site that cannot be reached keeps no other handler signed in; its error is raised in the end.
        """
        confirmed, failure = False, None
        for handler in reversed(self.handlers):
            try:
                confirmed = handler.logout(afterwards) or confirmed
            except EsriHttpError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return confirmed

    def login(self) -> None:
        """Let all handlers sign in again, after `logout`."""
        for handler in self.handlers:
            handler.login()

    def describe(self, url: str) -> str:
        """What each handler that can tell says about a request to `url`, a line each."""
        told = (getattr(handler, "describe", None) for handler in self.handlers)
        return "\n".join(describe(url) for describe in told if describe is not None)

    def __iter__(self) -> Iterator[BaseEsriAuth]:
        return iter(self.handlers)

    def __repr__(self) -> str:
        return " + ".join(repr(handler) for handler in self.handlers)


class ChainRun(AuthRun):
    """The runs of a chain; each is given the part of the wire to its left."""

    def __init__(self, runs: list[AuthRun]) -> None:
        self._runs = runs
        identities = tuple(run.lane_identity for run in runs if run.lane_identity is not None)
        self.lane_identity = identities or None

    def before_request(self, request: Request, wire: Wire) -> Request:
        for place, run in enumerate(self._runs):
            if run is not INERT:
                request = run.before_request(request, self._wire_of(place, wire))
        return request

    def _wire_of(self, place: int, wire: Wire) -> Wire:
        """The part of the wire that the run at `place` may use."""
        return wire.left_of(place)

    def on_response(self, request: Request, response: Response, wire: Wire) -> Answer:
        answer: Answer = ACCEPT
        try:
            for place, run in enumerate(self._runs):
                said = ACCEPT if run is INERT else run.on_response(request, response, self._wire_of(place, wire))
                if said is REPLAY:
                    response.discard()
                    return REPLAY
                if said is not ACCEPT:
                    response.discard()
                    answer = response = said  # type: ignore[assignment]
        except BaseException:
            response.close()
            raise
        return answer


class InnerRun(ChainRun):
    """For a handler that brought another one: the other one runs first, and the token is sent for through it."""

    def __init__(self, inner: BaseEsriAuth, inner_run: AuthRun, run: AuthRun) -> None:
        super().__init__([inner_run, run])
        self._inner = inner

    def _wire_of(self, place: int, wire: Wire) -> Wire:
        return wire.through(self._inner) if place else wire
