"""What ties a handler to its session: outside of any request it signs in through the session's own wire."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from .auth.base import BaseEsriAuth
from .words.errors import ConfigurationError
from .words.origins import Origin

if TYPE_CHECKING:
    from .auth.base import Wire
    from .session import EsriSession

_NOWHERE = Origin("https", "nowhere.invalid", 443)
_MOST_SESSIONS = 8


class WireOpener:
    """Opens a wire of a session for a handler, through those to the left of it. Holds both weakly: the handler holds this.

    Of several sessions that share the handler it is the last that took it and is still there.
    """

    def __init__(self, session: EsriSession, handler: BaseEsriAuth) -> None:
        before = getattr(handler, "_open_wire", None)
        others = before._sessions if isinstance(before, WireOpener) else ()
        alive = [other for other in others if other() not in (None, session)]
        self._sessions: tuple[weakref.ref[EsriSession], ...] = (weakref.ref(session), *alive[: _MOST_SESSIONS - 1])
        self._handler = weakref.ref(handler)

    def __call__(self) -> Wire:
        session = next((one for one in (known() for known in self._sessions) if one is not None), None)
        handler = self._handler()
        if session is None or handler is None:
            raise ConfigurationError("The session that this handler belonged to is gone; give the handler to another one.")
        engine = session._started()
        from .pipeline.exchange import ExchangeWire

        call = engine.call(engine.main, engine.options(session.timeout, session.deadline), _NOWHERE, session)
        auth = session._auth or handler
        wire, parts = ExchangeWire(call, auth, None), _parts(auth)
        return wire.left_of(parts.index(handler)) if len(parts) > 1 and handler in parts else wire


def bind(auth: Any, session: EsriSession) -> BaseEsriAuth:
    """`auth` as a handler, it and each part of a chain able to sign in through `session`."""
    if not isinstance(auth, BaseEsriAuth):
        from .auth.callables import adopt

        auth = adopt(auth)
    for part in _parts(auth):
        if hasattr(part, "bind"):
            part.bind(WireOpener(session, part))
    handler: BaseEsriAuth = auth
    return handler


def _parts(auth: Any) -> tuple[Any, ...]:
    """The handlers of a chain, or the one handler."""
    return getattr(auth, "handlers", (auth,))
