"""Which of a site's tokens goes with which request: its own, one of a federated server, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from ...messages.request import Request
from ...words.errors import NoTokenError
from ...words.forks import ProcessLock
from ...words.urls import split_url
from ..base import Audience
from ..sites import is_online_site, server_root
from .federation import Federation

if TYPE_CHECKING:
    from ...words.clock import Clock
    from ..base import Wire
    from .token_auth import TokenSource
    from .token_services import TokenService

# One lock for all: it is held for the making of an object only.
_founding = ProcessLock()


class TokenRouter:
    """Routes the tokens of one site. Shared by threads.

    The site's own token goes to the site (for ArcGIS Online: to all hosts of its environment) and to trusted origins; a
    federated server gets one of its own; everything else gets none.
    """

    def __init__(self, tokens: TokenSource, referer: Callable[[Wire], str | None], clock: Clock) -> None:
        self.tokens = tokens
        self._referer = referer
        self._clock = clock
        self._federation: Federation | None = None

    def federation_of(self, site: TokenService) -> Federation:
        """What is known of the servers that belong to `site`."""
        federation = self._federation
        if federation is None:
            with _founding:
                federation = self._federation or Federation(site, self.tokens, self._referer, self._clock)
                self._federation = federation
        return federation

    def source_for(
        self, site: TokenService, request: Request, audience: Audience, wire: Wire
    ) -> TokenSource | NoTokenError | None:
        """Where the token for `request` comes from; `None` to send it without; `NoTokenError` with the reason why."""
        origin, path = request.origin, request.path
        root = server_root(origin, path)
        inside = site.root_of(origin, path)
        if inside is not None and (root is None or root in site.own_roots or inside.path or not site.is_portal):
            return self.tokens
        if site.is_portal and any(is_online_site(own, origin) for own in site.own_roots):
            return self.tokens
        if root is not None and site.is_portal:
            source = self.federation_of(site).source_for(root, wire)
            return self.tokens if isinstance(source, NoTokenError) and audience.is_trusted else source
        if origin == site.root.origin or origin in site.origins or audience.is_trusted:
            return self.tokens
        if root is None:
            return None
        return NoTokenError(f"{root} wants a token; this session's is for {site.root} only.", url=str(root))

    def source_for_url(self, site: TokenService, url: str, wire: Wire) -> TokenSource | NoTokenError | None:
        """The same for a URL; the root of a server stands for everything in it."""
        split = split_url(url)
        target = split.path
        if server_root(split.origin, target) is None and site.root_of(split.origin, target.rstrip("/")) is None:
            target = target.rstrip("/") + "/rest/services"
        return self.source_for(site, Request("GET", split.origin, target, {}), Audience(split.origin), wire)

    def learn_from(self, site: TokenService, other: TokenRouter) -> None:
        """Take over what `other` knows of the servers of `site`, and their tokens."""
        theirs = other._federation
        if theirs is not None:
            self.federation_of(site).learn_from(theirs)

    def forget(self) -> None:
        """Drop what is known of the servers, and their tokens; what is being asked meanwhile is for the old sign-in alone."""
        self._federation = None
