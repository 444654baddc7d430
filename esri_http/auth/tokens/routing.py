"""Which of a site's tokens goes with which request: its own, one of a federated server, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from ...messages.request import Request
from ...words.errors import EsriHttpError, NoTokenError
from ...words.urls import split_url
from ..base import Audience
from ..sites import is_online_site, server_root
from .federation import Federation

if TYPE_CHECKING:
    from ...words.clock import Clock
    from ..base import Wire
    from .token_auth import TokenSource
    from .token_services import TokenService


class TokenRouter:
    """Routes the tokens of a sign-in at `site`. Shared by threads.

    The site's own token goes to the site (for ArcGIS Online: to all hosts of its environment) and to trusted origins; a
    federated server gets one of its own; everything else gets none.
    """

    def __init__(self, site: TokenService, tokens: TokenSource, referer: Callable[[Wire], str | None], clock: Clock) -> None:
        self.site = site
        self.tokens = tokens
        self._referer = referer
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """Drop what is known of the servers, and their tokens; what is being asked meanwhile is for the old sign-in alone."""
        self.federation = Federation(self.site, self.tokens, self._referer, self._clock)

    def source_for(self, request: Request, audience: Audience, wire: Wire) -> TokenSource | NoTokenError | None:
        """Where the token for `request` comes from; `None` to send it without; `NoTokenError` with the reason why."""
        site, origin, path = self.site, request.origin, request.path
        root = server_root(origin, path)
        inside = site.root_of(origin, path)
        if inside is not None and (root is None or root in site.own_roots or inside.path or not site.is_portal):
            return self.tokens
        if site.is_portal and any(is_online_site(own, origin) for own in site.own_roots):
            return self.tokens
        if root is not None and site.is_portal:
            source = self.federation.source_for(root, wire)
            return self.tokens if isinstance(source, NoTokenError) and audience.is_trusted else source
        if origin in site.origins or audience.is_trusted:
            return self.tokens
        if root is None:
            return None
        return NoTokenError(f"{root} wants a token; this session's is for {site.root} only.", url=str(root))

    def source_for_url(self, url: str, wire: Wire) -> TokenSource | NoTokenError | None:
        """The same for a URL; the root of a server stands for everything in it."""
        split = split_url(url)
        target = split.path
        if server_root(split.origin, target) is None and self.site.root_of(split.origin, target.rstrip("/")) is None:
            target = target.rstrip("/") + "/rest/services"
        return self.source_for(Request("GET", split.origin, target, {}), Audience(split.origin), wire)

    def describe(self, url: str, wire: Wire, refusal: EsriHttpError | None = None) -> str:
        """One line on the token for `url`. `refusal`: why there is none of the site, if that is known."""
        split = split_url(url)
        where = f"{split.origin}{split.path}"
        try:
            source = self.source_for(Request("GET", split.origin, split.path, {}), Audience(split.origin), wire)
        except EsriHttpError as error:
            return f"{where}: no token ({error})"
        if source is None:
            return f"{where}: no token; it is neither part of {self.site.root} nor a resource of a server"
        if isinstance(source, NoTokenError):
            return f"{where}: no token, and an error if it wants one. {source}"
        if source is self.tokens:
            return f"{where}: the token of {self.site.root}" if refusal is None else f"{where}: no token ({refusal})"
        return f"{where}: a token of its own, for which that of {self.site.root} is exchanged"
