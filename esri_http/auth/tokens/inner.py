"""Token handlers that bring a handler of their own to stand nearer the wire (`auth=`)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Callable

from ..base import INERT, Audience, AuthRun, BaseEsriAuth
from .token_auth import ANONYMOUS, TokenAuth

if TYPE_CHECKING:
    from ..base import Wire
    from ..chain import AuthChain


class InnerAuth(TokenAuth):
    """What ``handler(..., auth=inner)`` does: the same as ``inner + handler``. A mixin; it stands first among the bases."""

    def __init__(self, *args: Any, auth: Any = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._inner: AuthChain | None = None
        if auth is not None:
            from ..chain import AuthChain

            self._inner = AuthChain(auth)

    def bind(self, open_wire: Callable[[], Wire]) -> None:
        """See `TokenAuth.bind`; the inner handlers sign in through the same session."""
        super().bind(open_wire)
        if self._inner is not None:
            for place, handler in enumerate(self._inner.handlers):
                if isinstance(handler, TokenAuth):
                    handler.bind(partial(_wire_through, self._inner.left_of(place), open_wire))

    def wire(self) -> Wire:
        """See `TokenAuth.wire`."""
        wire = super().wire()
        return wire if self._inner is None else wire.through(self._inner)

    def begin(self, audience: Audience) -> AuthRun:
        run = super().begin(audience)
        if self._inner is None:
            return run
        inner_runs = [handler.begin_inner(audience) for handler in self._inner.handlers]
        if all(each is INERT for each in (*inner_runs, run)):
            return INERT
        from ..chain import InnerRun

        return InnerRun(self._inner.handlers, inner_runs, run)

    def for_workers(self) -> BaseEsriAuth:
        """See `BaseEsriAuth.for_workers`; the inner handlers have to be able to, too."""
        twin = super().for_workers()
        if self._inner is None:
            return twin
        if isinstance(twin, InnerAuth):
            twin._inner = None
        chain: BaseEsriAuth = self._inner.for_workers() + twin
        return chain

    def logout(self, afterwards: str = ANONYMOUS) -> bool:
        """See `TokenAuth.logout`; the inner handlers are signed out, too."""
        confirmed = super().logout(afterwards)
        return (self._inner is not None and self._inner.logout(afterwards)) or confirmed

    def login(self) -> None:
        """See `TokenAuth.login`."""
        super().login()
        if self._inner is not None:
            self._inner.login()


def _wire_through(handler: BaseEsriAuth, open_wire: Callable[[], Wire]) -> Wire:
    return open_wire().through(handler)
