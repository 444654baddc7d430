"""A sign-in that was made elsewhere: its tokens, and nothing to get others with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...words.errors import ArcGISLoginError
from .site_auth import SiteAuth

if TYPE_CHECKING:
    from ...words.clock import Clock
    from ..base import Wire
    from .keeper import Fetched
    from .routing import TokenRouter
    from .token_services import TokenService


class TravellingAuth(SiteAuth):
    """The tokens of another handler as they stand, for the same site and its servers alone. Safe to share between threads.

    `router` is that of the other handler, whose token is got through `wire` if need be. While the site's token lives, tokens
    for federated servers are exchanged and renewed by it as usual; once it is refused or has run out, a request is an
    `ArcGISLoginError`. A pickle holds the tokens, each as secret as a password for as long as it lives, and nothing else.
    """

    def __init__(
        self, site: TokenService, router: TokenRouter, wire: Wire, *, clock: Clock, referer: str | None, legacy: bool
    ) -> None:
        super().__init__(str(site.root), clock=clock, referer=referer, legacy=legacy)
        self.site = site
        self._keeper.put(router.tokens.current(wire).fetched(clock))
        self._router.learn_from(site, router)

    def _site(self, wire: Wire) -> TokenService:
        return self.site

    def _fetch(self, wire: Wire) -> Fetched:
        raise ArcGISLoginError(
            f"The token of {self.site.root} that was sent here has run out or is refused, and no other one can be got here."
            " Send session.for_workers() once more from where the sign-in was made.", url=str(self.site.root),
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"TravellingAuth({self.site.root})"
