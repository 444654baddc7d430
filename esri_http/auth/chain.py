"""``a + b``: several handlers in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import ACCEPT, BEGIN_ANEW, INERT, REPLAY, Audience, AuthRun, BaseEsriAuth, checked
from .callables import adopt
from .tokens.token_auth import TokenAuth

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..messages.request import Request
    from ..messages.response import Response
    from .base import Answer, Verdict, Wire


class AuthChain(BaseEsriAuth):
    """Handlers from the wire outwards; both ways the leftmost is asked first. As thread-safe as its parts."""

    def __init__(self, *handlers: Any) -> None:
        flat: list[BaseEsriAuth] = []
        for handler in handlers:
            flat += handler.handlers if isinstance(handler, AuthChain) else (adopt(handler),)
        self.handlers: tuple[BaseEsriAuth, ...] = tuple(flat)
        # Up to here a token handler stands further out, which sees to the tokens.
        self._inner_until = max((place for place, handler in enumerate(flat) if isinstance(handler, TokenAuth)), default=0)

    def begin(self, audience: Audience) -> AuthRun:
        runs = [
            handler.begin_inner(audience) if place < self._inner_until else handler.begin(audience)
            for place, handler in enumerate(self.handlers)
        ]
        return ChainRun([checked(run, handler, "begin") for run, handler in zip(runs, self.handlers)])

    def begin_inner(self, audience: Audience) -> AuthRun:
        return ChainRun([checked(handler.begin_inner(audience), handler, "begin_inner") for handler in self.handlers])

    def left_of(self, count: int) -> AuthChain:
        """The first `count` handlers, for what the one to their right sends."""
        left = AuthChain(*self.handlers[:count])
        left._inner_until = count
        return left

    @property
    def token(self) -> Any:
        """The token of the outermost handler that has one."""
        tokens = (handler.token for handler in reversed(self.handlers))
        return next((token for token in tokens if token is not None), None)

    def logout(self, afterwards: str = "anonymous") -> bool:
        """Sign out everywhere, from the outermost handler inwards; whether any site confirmed it.

        What fails, such as a site that cannot be reached, keeps no other handler signed in; its error is raised in the end.
        """
        confirmed = False
        failure: Exception | None = None
        for handler in reversed(self.handlers):
            try:
                confirmed = handler.logout(afterwards) or confirmed
            except Exception as error:  # also one of a callable or a store of the caller's
                failure = failure or error
        if failure is not None:
            raise failure
        return confirmed

    def login(self) -> None:
        """Let all handlers sign in again, after `logout`."""
        for handler in self.handlers:
            handler.login()

    def for_workers(self) -> AuthChain:
        """See `BaseEsriAuth.for_workers`; all handlers have to be able to."""
        return AuthChain(*(handler.for_workers() for handler in self.handlers))

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
        certificates = (run.client_certificate for run in runs if run.client_certificate is not None)
        self.client_certificate = next(certificates, None)
        self.signs_whole = any(run.signs_whole for run in runs)
        self._asked = list(enumerate(runs))
        if self.signs_whole:
            self._asked.sort(key=lambda turn: turn[1].signs_whole)

    def before_request(self, request: Request, wire: Wire) -> Request:
        for place, run in self._asked:
            if run is not INERT:
                request = checked(run.before_request(request, self._wire_of(place, wire)), run, "before_request")
        return request

    def about_to_send(self, request: Request, wire: Wire) -> Verdict:
        for run in self._runs:
            if run.about_to_send(request, wire) is BEGIN_ANEW:
                return BEGIN_ANEW
        return ACCEPT

    def _wire_of(self, place: int, wire: Wire) -> Wire:
        """The part of the wire that the run at `place` may use."""
        return wire.left_of(place)

    def on_response(self, request: Request, response: Response, wire: Wire) -> Answer:
        answer: Answer = ACCEPT
        try:
            for place, run in enumerate(self._runs):
                said = ACCEPT if run is INERT else run.on_response(request, response, self._wire_of(place, wire))
                if said is REPLAY or said is BEGIN_ANEW:
                    response.discard()
                    self.end()  # those to the right are not asked
                    return said
                if said is not ACCEPT:
                    checked(said, run, "on_response")
                    response.discard()
                    answer = response = said  # type: ignore[assignment]
        except BaseException:
            response.close()
            raise
        return answer

    def end(self) -> None:
        for run in self._runs:
            run.end()


class InnerRun(ChainRun):
    """For a handler that brought others (`inner`): they run first, and what it sends itself goes through them."""

    def __init__(self, inner: Sequence[BaseEsriAuth], inner_runs: Sequence[AuthRun], run: AuthRun) -> None:
        super().__init__([*inner_runs, run])
        self._inner = inner

    def _wire_of(self, place: int, wire: Wire) -> Wire:
        return wire.through(AuthChain(*self._inner[:place])) if place else wire
