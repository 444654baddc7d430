"""Sign-ins that another program holds (ArcGIS Pro, a notebook) and hands over when it is asked."""

from __future__ import annotations

import datetime
import logging
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from ...words.clock import SYSTEM_CLOCK, Clock
from ...words.errors import ArcGISLoginError, EsriHttpError, NoTokenError, TokenRequestError
from ...words.forks import ProcessLock
from ...words.redaction import redact_url
from ..flights import Flights
from ..tokens.keeper import Fetched, Token, check_token
from ..tokens.lifetimes import epoch_seconds, number_in, sensible_life
from ..tokens.site_auth import SiteAuth
from ..tokens.token_auth import TokenAuth

if TYPE_CHECKING:
    from ...messages.request import Request
    from ..base import Audience, BaseEsriAuth, Wire
    from ..sites import Root
    from ..tokens.token_auth import TokenSource
    from ..tokens.token_services import TokenService

log = logging.getLogger("esri_http.auth")

# What is asked belongs to the whole process, and nobody says that two threads may ask it at once.
_asking = ProcessLock()
# For what a logout takes away. Not the same: a logout does not wait for the other program, and may come while it is asked.
_placing = ProcessLock()


class HandedOver(NamedTuple):
    """A sign-in as it was handed over: at which site, and the token; `None` where nobody is signed in there."""

    site: TokenService
    fetched: Fetched | None


def read_handed(token: object, expires: object, referer: object, clock: Clock, holder: str) -> Fetched:
    """What `holder` handed over. An `expires` (epoch ms or seconds) that makes no sense counts as not said.

    Raises `TokenRequestError` where `token` is none.
    """
    try:
        value = check_token(token.strip() if isinstance(token, str) else token)
    except TokenRequestError:
        raise TokenRequestError(f"{holder} gives something that cannot be a token.") from None
    bound_to = referer if isinstance(referer, str) and referer.isascii() and referer.isprintable() else None
    expires_at = epoch_seconds(number_in(expires) or 0.0)
    life = sensible_life(expires_at - clock.time())
    return Fetched(value, None if life is None else expires_at, life, referer=bound_to or None)


class HandedOverAuth(TokenAuth):
    """Base of the handlers whose sign-in another program holds. Safe to share between threads.

    Asked once for a token's life, by one thread at a time. Each site that was handed over keeps tokens of its own, so that
    the token of one never goes to another: the last one handed over counts, those before it for as long as their tokens live.

    Subclasses say how to ask (`_ask`), how the other program is called (`_holder`), and what to do where nobody is signed in
    (`_sign_in_there`).
    """

    _holder = ""
    _sign_in_there = ""

    def __init__(self, *, clock: Clock = SYSTEM_CLOCK, verify_sign_in: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.clock = clock
        self.verify_sign_in = verify_sign_in
        self._places: tuple[_Place, ...] = ()
        self._flights = Flights()

    # -- for subclasses ----------------------------------------------------------------------------------------------

    def _ask(self) -> HandedOver:
        """Ask for the sign-in; by one thread of the process at a time. Raises `ConfigurationError`, `SignInError`."""
        raise NotImplementedError

    def _has_news(self) -> bool:
        """Whether it should be asked again before the token needs it; looked at for every request, so it has to be quick."""
        return False

    # -- asking ------------------------------------------------------------------------------------------------------

    def places(self, wire: Wire) -> tuple[_Place, ...]:
        """The sites that were handed over, the last one first; asked for where there is none yet, or there is news."""
        self.check_signed_in()
        if not self._places or self._has_news():
            try:
                self._flights.share(None, lambda: self._ask_unasked(wire), wire)
            except EsriHttpError as error:
                if not self._places:
                    raise
                log.debug("%s could not be asked anew, its last token is used on: %s", self._holder, error)
        return self._places or self.places(wire)  # once more, after a logout meanwhile

    def _ask_unasked(self, wire: Wire) -> None:
        """Ask, unless another thread has done so meanwhile."""
        if not self._places or self._has_news():
            self._take(self._asked(), wire)

    def _asked(self) -> HandedOver:
        self.check_signed_in()
        with _asking:
            handed = self._ask()
        log.debug("%s hands over its sign-in at %s", self._holder, handed.site.root)
        return handed

    def _take(self, handed: HandedOver, wire: Wire) -> None:
        """Go on with what was handed over; other threads see its place once the token is in it."""
        roots = handed.site.own_roots
        place = next((place for place in self._places if place.site.own_roots == roots), None) or _Place(self, handed.site)
        place.take(handed.fetched, wire)
        self._put_first(place)

    def _put_first(self, place: _Place) -> None:
        with _placing:
            if self._signed_out is None:
                self._places = (place, *(other for other in self._places if other.site.own_roots != place.site.own_roots))

    def renewal_for(self, place: _Place, wire: Wire) -> Fetched:
        """Another token for `place`; raises `SignInError` where nobody is signed in there any more."""
        handed, root = self._asked(), place.site.root
        if handed.site.own_roots != place.site.own_roots:
            self._take(handed, wire)
            raise ArcGISLoginError(
                f"{self._holder} is now signed in at {handed.site.root}, no longer at {root}; it gives no token for that any"
                f" more. Switch back, or go on with {handed.site.root}.", url=str(root),
            )  # fmt: skip
        if handed.fetched is None:
            raise ArcGISLoginError(f"Nobody is signed in at {root} in {self._holder}. {self._sign_in_there}", url=str(root))
        self._put_first(place)
        return handed.fetched

    def refused_again(self, place: _Place) -> ArcGISLoginError:
        """The error for a refused token that is handed over once more."""
        return ArcGISLoginError(
            f"The server refuses the token of {self._holder}, which hands out the same one again. {self._sign_in_there}",
            url=str(place.site.root),
        )

    # -- which token for which request -------------------------------------------------------------------------------

    def source_for(self, request: Request, audience: Audience, wire: Wire) -> TokenSource | NoTokenError | None:
        return self._first_with_token(wire, lambda place: place.source_for(request, audience, wire))[1]

    def _first_with_token(
        self, wire: Wire, source_of: Callable[[_Place], TokenSource | NoTokenError | None]
    ) -> tuple[_Place, TokenSource | NoTokenError | None]:
        """The first place that has a token for something, with its source; else the last one handed over, with its reason."""
        first, *others = self.places(wire)
        found = source_of(first)
        if found is None or isinstance(found, NoTokenError):
            for place in others:
                source = source_of(place)
                if source is not None and not isinstance(source, NoTokenError):
                    return place, source
        return first, found

    def site_tokens(self, wire: Wire) -> tuple[Root | None, TokenSource]:
        """See `TokenAuth.site_tokens`."""
        return self.places(wire)[0].site_tokens(wire)

    # -- for people --------------------------------------------------------------------------------------------------

    @property
    def portal(self) -> Root:
        """The portal (or stand-alone server) that the sign-in is at; asked for if need be."""
        return self.places(self.wire())[0].site.root

    @property
    def token(self) -> Any:
        """The token (str), asked for if need be."""
        return self.places(self.wire())[0].token

    @property
    def token_expires(self) -> datetime.datetime | None:
        """When the token dies by what was handed over (UTC); `None` while there is none or nobody said."""
        return next((place.token_expires for place in self._places), None)

    def token_for(self, url: str) -> str:
        """See `SiteAuth.token_for`."""
        wire = self.wire()
        return self._first_with_token(wire, lambda place: place.router.source_for_url(url, wire))[0].token_for(url)

    def for_workers(self) -> BaseEsriAuth:
        """See `BaseEsriAuth.for_workers`; the sign-in that was handed over last, for machines where nobody hands one over."""
        return self.places(self.wire())[0].for_workers()

    def _describe(self, url: str) -> str:
        wire = self.wire()
        try:
            place = self._first_with_token(wire, lambda place: place.router.source_for_url(url, wire))[0]
        except EsriHttpError as error:
            return f"{redact_url(url)}: no token ({error})"
        return place.describe(url)

    def _forget(self) -> None:
        with _placing:
            self._places = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({next((place.site.root for place in self._places), '')})"


class _Place(SiteAuth):
    """One site that somebody is signed in at over there: its tokens, and which of them goes where."""

    def __init__(self, owner: HandedOverAuth, site: TokenService) -> None:
        super().__init__(clock=owner.clock, verify_sign_in=owner.verify_sign_in, referer=owner.referer, legacy=owner.legacy)
        self._owner = owner
        self.site = site
        self._tokens = self
        self.router = self._sign_in_at(site)

    def _fetch(self, wire: Wire) -> Fetched:
        return self._owner.renewal_for(self, wire)

    def take(self, fetched: Fetched | None, wire: Wire) -> None:
        """Go on with what was handed over."""
        if fetched is None:
            self._keeper.forget()
        else:
            self._keeper.put(self._checked(fetched, wire))

    def _describe(self, url: str) -> str:
        wire, refusal = self.wire(), None
        try:
            self.current(wire)
        except EsriHttpError as error:
            refusal = error
        return self.router.describe(url, wire, refusal)

    def current(self, wire: Wire) -> Token:
        return self._keeper.current(wire)

    def renewed(self, wire: Wire, refused: Token) -> Token:
        held = self._keeper.token
        # Before the end of its life the same token may have been handed over once more.
        token = self._keeper.renewed(wire, held if held is not None and held.value == refused.value else refused)
        if token.value == refused.value:
            raise self._owner.refused_again(self)
        return token

    def wire(self) -> Wire:
        """See `TokenAuth.wire`; a place has that of its handler."""
        return self._owner.wire()
