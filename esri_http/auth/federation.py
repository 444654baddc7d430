"""Which servers belong to our portal, and the token that each of them takes (ArcGIS REST: generateToken, serverUrl)."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Callable

from ..messages.request import Request
from ..words.clock import Clock
from ..words.errors import ArcGISLoginError, EsriHttpError, SignInError, TokenRequestError
from ..words.forks import watch_forks
from ..words.redaction import redact_url
from .sites import Root, same_portal
from .token_answers import read_json, read_token
from .token_auth import NoSource
from .token_requests import form_post
from .tokens import Fetched, TokenKeeper

if TYPE_CHECKING:
    from .base import Wire
    from .tokens import Token

log = logging.getLogger("esri_http.auth")

_MOST_SERVERS = 1000


class Federation:
    """A portal's federated servers, learnt one by one. Shared by threads; each server is asked once.

    What a server says of its owner is only compared with the portal that the user named. The portal's token is posted to
    that portal's own generateToken and nowhere else.
    """

    def __init__(self, portal: Root, portal_tokens: Any, referer: Callable[[], str | None], clock: Clock) -> None:
        self.portal = portal
        self._portal_tokens = portal_tokens
        self._referer = referer
        self._clock = clock
        self._lock = threading.Lock()
        self._asking: dict[Root, threading.Lock] = {}
        self._sources: dict[Root, TokenKeeper | NoSource] = {}
        watch_forks(self)

    def source_for(self, root: Root, wire: Wire) -> TokenKeeper | NoSource:
        """The keeper of the tokens for the server at `root`, or the reason why there is none."""
        source = self._sources.get(root)
        if source is not None:
            return source
        with self._lock:
            asking = self._asking.setdefault(root, threading.Lock())
        with asking:
            source = self._sources.get(root)
            if source is None:
                source = self._ask(root, wire)
        return source

    def known_servers(self) -> list[Root]:
        """The servers that are known to belong to the portal."""
        return [root for root, source in list(self._sources.items()) if isinstance(source, TokenKeeper)]

    def forget(self) -> None:
        """Drop every server's token, and what is known of the servers."""
        with self._lock:
            self._sources = {}

    def _ask(self, root: Root, wire: Wire) -> TokenKeeper | NoSource:
        request = Request("GET", root.origin, f"{root.path}/rest/info?f=json", {"Accept": "*/*"})
        try:
            info = read_json(wire.send(request), "The server")
        except EsriHttpError as error:
            # Not remembered: the server may be starting.
            return self._no_source(root, f"what it is could not be found out ({error})")
        owner = info.get("owningSystemUrl")
        source: TokenKeeper | NoSource
        if owner and same_portal(owner, self.portal):
            source = TokenKeeper(ServerTokens(self, root).fetch, self._clock)
            log.debug("%s is federated with %s", root, self.portal)
        elif owner:
            source = self._no_source(root, f"it is federated with {redact_url(owner)!r:.200}, not with {self.portal}")
        else:
            source = self._no_source(
                root, f"it is not federated with {self.portal}; a stand-alone server has accounts of its own"
            )
        with self._lock:
            if len(self._sources) < _MOST_SERVERS:
                self._sources[root] = source
        return source

    def _no_source(self, root: Root, why: str) -> NoSource:
        log.debug("no token for %s: %s", root, why)
        return NoSource(f"{root} wants a token, and none of this session's is for it: {why}.", url=str(root))

    def exchange(self, root: Root, wire: Wire) -> Fetched:
        """A token for the server at `root`, for the portal's token; that one is renewed first where it is dead."""
        token = self._portal_tokens.current(wire)
        try:
            return self._exchange(root, token, wire)
        except SignInError as error:
            if error.code not in (400, 401, 403, 498, 499) or isinstance(error, ArcGISLoginError):
                raise
            if "for this server" in " ".join(error.details).lower():
                raise
        return self._exchange(root, self._portal_tokens.renewed(wire, token), wire)

    def _exchange(self, root: Root, token: Token, wire: Wire) -> Fetched:
        referer = self._referer() or wire.referer
        fields = {"token": token.value, "serverUrl": str(root), "f": "json", "request": "getToken"}
        if referer:
            fields.update(client="referer", referer=referer)
        url = Root(self.portal.origin, f"{self.portal.path}/sharing/rest/generateToken")
        response = wire.send(form_post(url.origin, url.path, fields, referer))
        fetched = read_token(response, self._clock)
        if fetched.value == token.value and not fetched.lifetime_seconds:
            raise TokenRequestError(f"{self.portal} handed its own token back for {root}.", url=str(root))
        return fetched

    def after_fork(self) -> None:
        """In a forked child: the locks of threads that are not there are replaced."""
        self._lock = threading.Lock()
        self._asking = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None, "_asking": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
        watch_forks(self)


class ServerTokens:
    """Gets the tokens of one federated server."""

    __slots__ = ("_federation", "root")

    def __init__(self, federation: Federation, root: Root) -> None:
        self._federation = federation
        self.root = root

    def fetch(self, wire: Wire) -> Fetched:
        """A new token for this server; raises `SignInError`."""
        return self._federation.exchange(self.root, wire)
