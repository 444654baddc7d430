"""Token handlers that bring a handler of their own to stand nearer the wire (`auth=`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from ..base import INERT, Audience, AuthRun, BaseEsriAuth
from .token_auth import ANONYMOUS, TokenAuth

if TYPE_CHECKING:
    from ..base import Wire


class InnerAuth(TokenAuth):
    """What ``handler(..., auth=inner)`` does: the same as ``inner + handler``. A mixin; it stands first among the bases."""

    def __init__(self, *args: Any, auth: Any = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._inner: BaseEsriAuth | None = None
        if auth is not None:
            from ..callables import adopt

            self._inner = adopt(auth)

    def bind(self, open_wire: Callable[[], Wire]) -> None:
        """See `TokenAuth.bind`; the inner handler signs in through the same session."""
        super().bind(open_wire)
        if isinstance(self._inner, TokenAuth):
            self._inner.bind(open_wire)

    def wire(self) -> Wire:
        """See `TokenAuth.wire`."""
        wire = super().wire()
        return wire if self._inner is None else wire.through(self._inner)

    def begin(self, audience: Audience) -> AuthRun:
        run = super().begin(audience)
        if self._inner is None:
            return run
        inner_run = self._inner.begin_inner(audience)
        if run is INERT and inner_run is INERT:
            return INERT
        from ..chain import InnerRun

        return InnerRun(self._inner, inner_run, run)

    def for_workers(self) -> BaseEsriAuth:
        """See `BaseEsriAuth.for_workers`; the inner handler has to be able to, too."""
        twin = super().for_workers()
        if self._inner is None:
            return twin
        if isinstance(twin, InnerAuth):
            twin._inner = None
        chain: BaseEsriAuth = self._inner.for_workers() + twin
        return chain

    def logout(self, afterwards: str = ANONYMOUS) -> bool:
        """See `TokenAuth.logout`; the inner handler is signed out, too."""
        confirmed = super().logout(afterwards)
        return (self._inner is not None and self._inner.logout(afterwards)) or confirmed

    def login(self) -> None:
        """See `TokenAuth.login`."""
        super().login()
        if self._inner is not None:
            self._inner.login()
