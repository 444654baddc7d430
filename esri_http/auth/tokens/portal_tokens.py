"""The token of another handler, as what is exchanged for the tokens of servers (`portal_auth=`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...words.clock import Clock
from ...words.errors import SignInError, TokenRequestError
from .keeper import Fetched, Token, check_token
from .token_auth import TokenAuth

if TYPE_CHECKING:
    from ..base import Wire
    from ..sites import Root
    from .token_auth import TokenSource


class PortalTokens:
    """The source of the portal token that `handler` holds: one of our token handlers, or anything with a `token`."""

    def __init__(self, handler: Any, clock: Clock) -> None:
        self._handler = handler
        self._clock = clock
        self._portal: Root | None = None

    def portal(self, wire: Wire) -> Root | None:
        """The portal that the token is for; `None` where the handler does not know."""
        return self._source(wire)[0]

    def current(self, wire: Wire) -> Token:
        """A token that should work; raises what the handler raises."""
        source = self._source(wire)[1]
        return self._read() if source is None else source.current(wire)

    def renewed(self, wire: Wire, refused: Token) -> Token:
        """Another token than `refused`; raises `SignInError` where the handler has none."""
        source = self._source(wire)[1]
        if source is not None:
            return source.renewed(wire, refused)
        token = self._read()
        if token.value == refused.value:
            raise SignInError("The portal refuses the token of portal_auth=.")
        return token

    def _source(self, wire: Wire) -> tuple[Root | None, TokenSource | None]:
        if not isinstance(self._handler, TokenAuth):
            return None, None
        self._handler.check_signed_in()
        portal, source = self._handler.site_tokens(wire)
        if self._portal is None:
            self._portal = portal
        if portal != self._portal:
            # Its tokens went to the portal that it began with, and those of another must not.
            raise SignInError(f"{type(self._handler).__name__} is now signed in at {portal}, no longer at {self._portal}.")
        return portal, source

    def _read(self) -> Token:
        token = getattr(self._handler, "token", None)
        if token is None:
            raise SignInError(f"portal_auth= is a {type(self._handler).__name__}, which has no token; give a token handler.")
        try:
            value = check_token(token)
        except TokenRequestError:
            raise SignInError(f"portal_auth= is a {type(self._handler).__name__}, whose token cannot be one.") from None
        return Token(Fetched(value), self._clock)
