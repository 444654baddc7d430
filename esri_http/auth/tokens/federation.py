"""Which servers belong to our portal, and the token that each of them takes (ArcGIS REST: generateToken, serverUrl)."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Callable

from ...messages.request import Request
from ...words.bounded import remember
from ...words.clock import Clock
from ...words.errors import DeadlineExceededError, EsriHttpError, NoTokenError, TokenRequestError
from ...words.redaction import redact_url
from ..flights import Flights
from ..sites import Root, same_portal
from .keeper import Fetched, TokenKeeper
from .token_answers import NotForServerError, read_json
from .token_requests import ask_for_token
from .token_services import portal_service

if TYPE_CHECKING:
    from ..base import Wire
    from .keeper import Token
    from .token_auth import TokenSource
    from .token_services import TokenService

log = logging.getLogger("esri_http.auth")

_MOST_SERVERS = 1000
# Codes by which a portal may mean that its own token, which is to be exchanged, is dead.
_MAYBE_DEAD = frozenset({400, 401, 403, 498, 499})


class Federation:
    """A portal's federated servers, learnt one by one. Shared by threads; each server is asked once.

    It serves one sign-in: whoever signs in anew makes another one.

    What a server says of its owner is only compared with the portal that the user named. The portal's token is posted to
    that portal's own generateToken and nowhere else.
    """

    def __init__(
        self, site: TokenService, portal_tokens: TokenSource, referer: Callable[[Wire], str | None], clock: Clock
    ) -> None:
        self.portal = site.root
        self._own_roots = site.own_roots
        self._portal_tokens = portal_tokens
        self._referer = referer
        self._clock = clock
        self._asking = Flights()
        self._sources: dict[Root, TokenKeeper | NoTokenError] = {}

    def source_for(self, root: Root, wire: Wire) -> TokenKeeper | NoTokenError:
        """The keeper of the tokens for the server at `root`, or the reason why there is none."""
        source = self._sources.get(root)
        if source is None:
            source = self._asking.share(root, lambda: self._ask(root, wire), wire)
        return source

    def keeper_of(self, root: Root) -> TokenKeeper | None:
        """The keeper of the tokens for the server at `root` if it is known to belong to the portal."""
        source = self._sources.get(root)
        return source if isinstance(source, TokenKeeper) else None

    def learn_from(self, other: Federation) -> None:
        """Take over what `other` knows of the servers, and their tokens as they stand; each renews its own."""
        for root, source in list(other._sources.items()):
            if isinstance(source, NoTokenError):
                self._sources[root] = source
            elif source.token is not None:
                keeper = self._sources[root] = self._keeper(root)
                keeper.put(source.token.fetched(self._clock))

    def _keeper(self, root: Root) -> TokenKeeper:
        return TokenKeeper(partial(self._fetch, root), self._clock)

    def __getstate__(self) -> dict[str, Any]:
        """A pickle keeps what is known of the servers and their tokens; other threads may learn of a server meanwhile."""
        return {**self.__dict__, "_sources": dict(self._sources)}

    def _ask(self, root: Root, wire: Wire) -> TokenKeeper | NoTokenError:
        known = self._sources.get(root)
        if known is not None:
            return known
        request = Request("GET", root.origin, f"{root.path}/rest/info?f=json", {"Accept": "*/*"})
        try:
            info = read_json(wire.send(request), "The server")
        except DeadlineExceededError:
            raise  # that is about this call; one that waits for what comes of it may have more time
        except EsriHttpError as error:
            # Not remembered: the server may be starting.
            return self._no_source(root, f"what it is could not be found out ({error})")
        source = self._judge(root, info.get("owningSystemUrl"), wire)
        remember(self._sources, root, source, _MOST_SERVERS)
        return source

    def _judge(self, root: Root, owner: object, wire: Wire) -> TokenKeeper | NoTokenError:
        """What the owner that a server announces makes of it; the portal has the last word."""
        if not owner:
            return self._no_source(
                root, f"it is not federated with {self.portal}; a stand-alone server has accounts of its own"
            )
        if not any(same_portal(owner, own) for own in self._own_roots):
            return self._no_source(root, f"it is federated with {redact_url(owner)!r:.200}, not with {self.portal}")
        keeper = self._keeper(root)
        try:
            keeper.current(wire)
        except NotForServerError:
            return self._no_source(root, f"it says that it belongs to {self.portal}, which gives no token for it")
        log.debug("%s is federated with %s", root, self.portal)
        return keeper

    def _no_source(self, root: Root, why: str) -> NoTokenError:
        log.debug("no token for %s: %s", root, why)
        return NoTokenError(f"{root} wants a token, and none of this session's is for it: {why}.", url=str(root))

    def _fetch(self, root: Root, wire: Wire) -> Fetched:
        """A token for the server at `root`, for the portal's token; that one is renewed first where it is dead."""
        token = self._portal_tokens.current(wire)
        try:
            return self._exchange(root, token, wire)
        except TokenRequestError as error:
            if error.code not in _MAYBE_DEAD or isinstance(error, NotForServerError):
                raise
        return self._exchange(root, self._portal_tokens.renewed(wire, token), wire)

    def _exchange(self, root: Root, token: Token, wire: Wire) -> Fetched:
        bound_to = token.referer or self._referer(wire)
        referer = bound_to or wire.referer
        fields = {"token": token.value, "serverUrl": str(root), "request": "getToken"}
        if referer:
            fields.update(client="referer", referer=referer)
        fetched = ask_for_token(portal_service(self.portal).url, fields, referer, wire, self._clock)
        if fetched.value == token.value:
            # Passed on, it would let a server that merely poses as federated act as the user.
            raise NotForServerError(f"{self.portal} hands its own token back for {root}.", url=str(root))
        return fetched.replace(referer=bound_to)
