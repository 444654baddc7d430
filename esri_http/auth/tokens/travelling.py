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


class TravellingAuth(SiteAuth):
    """The tokens of another handler as they stand, for the same site and its servers alone. Safe to share between threads.

    `other` is the router of that handler, whose token is got through `wire` if need be. While the site's token lives, tokens
    for federated servers are exchanged and renewed by it as usual; once it is refused or has run out, a request is an
    `ArcGISLoginError`. A pickle holds the tokens, each as secret as a password for as long as it lives, and nothing else.
    """

    def __init__(self, other: TokenRouter, wire: Wire, *, clock: Clock, referer: str | None, legacy: bool) -> None:
        super().__init__(clock=clock, referer=referer, legacy=legacy)
        self.site = other.site
        self._keeper.put(other.tokens.current(wire).fetched(clock))
        self._sign_in_at(self.site).federation.learn_from(other.federation)

    def _fetch(self, wire: Wire) -> Fetched:
        raise ArcGISLoginError(
            f"The token of {self.site.root} that was sent here has run out or is refused, and no other one can be got here."
            " Send session.for_workers() once more from where the sign-in was made.", url=str(self.site.root),
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"TravellingAuth({self.site.root})"
