"""Sign-ins by a handshake of security tokens: NTLM and Kerberos over HTTP (MS-NTHT, RFC 4559).

They sign in a connection, so each request leases a lane (see `wire.lanes`). What has a body is held back until the server
has said that it wants a handshake, and, for NTLM, until only the last leg is left: a large upload crosses the wire once, and
a server that wants no sign-in never sees an empty POST.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, NamedTuple

from ...words.bounded import remember
from ...words.errors import SignInError
from ...words.headers import lookup
from ...words.redaction import redact_url
from ..base import ACCEPT, REPLAY, Audience, AuthRun
from ..challenges import Challenge, challenges_of, token_of
from ..web_tier.web_tier_auth import PasswordAuth, PasswordRun
from .handshake_errors import located, not_continued, not_offered, password_refused, ticket_refused, unproven
from .security import KERBEROS, NTLM, Identity, SecurityContext, SecurityContexts
from .security_errors import TokenRefusedError

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from ...messages.request import Request
    from ...messages.response import Response
    from ...words.errors import EsriHttpError
    from ...words.origins import Origin
    from ..base import Answer, Wire

_AUTHORIZATION = "Authorization"
_SIGNED_IN = "signed in"
_MOST_LEGS = 6
_MOST_ORIGINS = 1000


class Mutual:
    """What is made of the server's own proof of who it is (`mutual_authentication=`)."""

    REQUIRED = 1
    """An answer without it is an error."""
    OPTIONAL = 2
    """It is checked where the server sends it."""
    DISABLED = 3
    """It is not asked for."""


class Offer(NamedTuple):
    """How a server is signed in at: the scheme by which it asks (in lower case), and the mechanism of the tokens."""

    scheme: str
    mechanism: str

    @property
    def spelt(self) -> str:
        """The scheme as it is written; some servers know no other spelling."""
        return "NTLM" if self.scheme == NTLM else self.scheme.title()


class HandshakeAuth(PasswordAuth):
    """Base of the handlers that exchange tokens of pyspnego's with the server. Safe to share between threads."""

    mutual = Mutual.OPTIONAL
    send_cbt = True
    allow_ntlm = True
    hostname_override: str | None = None
    preemptive: Offer | None = None
    """What is tried before any server has asked; `None`: nothing."""

    def __init__(self, session: Any = None, username: str | None = None, password: str | None = None, **options: Any) -> None:
        super().__init__(session, username, password, **options)
        self._offers: dict[Origin, Offer] = {}
        self.contexts = SecurityContexts(self._identity())

    def _identity(self) -> Identity:
        """Who signs in."""
        return Identity(self.username, self._password)

    def offer_among(self, challenges: list[Challenge], host: str, wire: Wire | None) -> Offer | None:
        """What of `challenges` this handler answers; `None` for nothing. Raises where nothing can be answered here."""
        raise NotImplementedError

    def obstacle(self, host: str, wire: Wire | None) -> EsriHttpError | None:
        """Why this handler cannot sign in at `host` from here, found out without sending it anything; `None`: it can.

        `host`: what tokens are made for, hence the `hostname_override` where there is one; so for `offer_among`.
        """
        raise NotImplementedError

    def lane_identity(self, identity: Identity) -> Hashable:
        """Everything that decides who we are on a connection that `identity` signs in."""
        import os

        # A ticket belongs to whoever owns the ticket cache.
        cache = os.environ.get("KRB5CCNAME") if identity.password is None else None
        return (type(self), identity, self.hostname_override, self.send_cbt, self.mutual, self.allow_ntlm, cache)

    def known_offer(self, origin: Origin) -> Offer | None:
        """How `origin` is signed in at, if it has asked before, or is not waited for."""
        return self._offers.get(origin, self.preemptive)

    def learn(self, origin: Origin, offer: Offer) -> None:
        """Take note of how `origin` is signed in at."""
        remember(self._offers, origin, offer, _MOST_ORIGINS)

    def _begin(self, audience: Audience) -> AuthRun:
        return HandshakeRun(self)

    def login(self) -> None:
        self.contexts = SecurityContexts(self._identity())
        super().login()

    def _forget(self) -> None:
        self._offers = {}
        self.contexts = SecurityContexts(self._identity())
        super()._forget()


class HandshakeRun(PasswordRun):
    """One request with a handshake before it, or none where its lane is signed in."""

    _request: Request  # as it came, before anything was held back

    def __init__(self, handler: HandshakeAuth) -> None:
        super().__init__(handler)
        self._handler = handler
        self._contexts = handler.contexts
        self.lane_identity = handler.lane_identity(self._contexts.identity)
        self._leg: str | None = None
        self._offer: Offer | None = None
        self._context: SecurityContext | None = None
        self._next: bytes | None = None
        self._legs = 0
        self._told: SignInError | None = None
        self._tokens_made = 0
        self._restarted = 0
        self._held_back = False

    # -- on the way out ----------------------------------------------------------------------------------------------

    def before_request(self, request: Request, wire: Wire) -> Request:
        if lookup(request.headers, _AUTHORIZATION) is not None:
            self._leg = _Leg.FOREIGN  # the caller signed it himself
            return request
        self.standing.check_refusal(request)
        wire.pin()
        self._request = request = request if request.late_headers is None else request.replace(late_headers=None)
        if self._leg is None:
            self._offer = self._handler.known_offer(request.origin)
            self._leg = _Leg.BARE if wire.memory.get(_SIGNED_IN) else _Leg.ASK if self._offer is None else _Leg.FIRST
        self._held_back = self._leg is _Leg.ASK and self._handler.probes.are_wanted(request)
        if self._leg is _Leg.FIRST and self._offer is not None and self._offer.mechanism != KERBEROS:
            self._held_back = request.body is not None  # the first of several legs
        outgoing = self._handler.probes.probe(request, self._is_harmless()) if self._held_back else request
        if self._leg in (_Leg.FIRST, _Leg.NEXT):
            outgoing = outgoing.copy()
            outgoing.late_headers = self._token_maker(request, wire)
        return outgoing

    def _is_harmless(self) -> bool:
        """Whether what goes out signs nobody in yet: no token, or the first of NTLM's."""
        if self._leg is _Leg.ASK or self._offer is None:
            return True
        return self._offer.mechanism == NTLM or (self._context is not None and self._context.used_ntlm)

    def _host(self, request: Request, wire: Wire) -> str:
        """Whom the tokens are for."""
        return self._handler.hostname_override or wire.server_name or request.origin.host

    def shows_password(self, request: Request) -> bool:
        return self._leg is _Leg.NEXT

    def _token_maker(self, request: Request, wire: Wire) -> Any:
        """Makes the header field with the token each time that the request is sent: no token is good for two connections,
        nor twice for a server that looks for replays."""
        handler, offer = self._handler, self._offer
        assert offer is not None
        host = self._host(request, wire)
        self._tokens_made = 0

        def make(certificate: bytes | None) -> Mapping[str, str]:
            self._tokens_made += 1
            if self._leg is _Leg.NEXT:
                if self._tokens_made > 1:
                    return {}  # sent again on the same connection, which the first token has signed in
                token = self._next
            else:
                with located(request, self.standing):
                    self._context = self._contexts.open(offer.mechanism, host, wire)
                    token = self._context.step(None, certificate if handler.send_cbt else None)
            return {_AUTHORIZATION: f"{offer.spelt} {base64.b64encode(token or b'').decode('ascii')}"}

        return make

    # -- on the way back ---------------------------------------------------------------------------------------------

    def judge(self, request: Request, response: Response, wire: Wire) -> Answer:
        if self._leg is _Leg.FOREIGN:
            return ACCEPT
        if response.status_code != 401:
            return self._let_in(request, response, wire)
        challenges = challenges_of(response)
        if self._leg in (_Leg.FIRST, _Leg.NEXT):
            return self._go_on(request, response, challenges, wire)
        if not challenges or (self._leg is _Leg.BARE and self._restarted > 1):
            return ACCEPT
        if not self._held_back:
            self._handler.probes.learn(self._request, closed=True)
        host = self._host(request, wire)
        with located(request, self.standing):
            offer = self._handler.offer_among(challenges, host, wire)
        if offer is None:
            raise not_offered(request, challenges, type(self._handler).__name__)
        self._handler.learn(request.origin, offer)
        self._begin_anew(wire, offer)
        return REPLAY

    def _begin_anew(self, wire: Wire, offer: Offer | None) -> None:
        wire.memory.clear()
        self._restarted += self._leg is not _Leg.ASK
        self._offer, self._leg = offer, _Leg.ASK if offer is None else _Leg.FIRST

    def _let_in(self, request: Request, response: Response, wire: Wire) -> Answer:
        """The server has nothing against the request, or nothing that a sign-in could change."""
        if self._held_back:
            self._handler.probes.learn(self._request, closed=False)
            self._leg = _Leg.BARE  # no handshake is wanted; now as the caller wants it sent
            if self._offer is not None and self._context is not None and not self._context.used_ntlm:
                # Windows took Kerberos, whose first token is all that is needed; it goes along with the body.
                self._begin_anew(wire, self._offer._replace(mechanism=KERBEROS))
                self._handler.learn(request.origin, self._offer)
            return REPLAY
        if self._leg in (_Leg.FIRST, _Leg.NEXT):
            self._check_server(request, response, wire)
        return ACCEPT

    def _check_server(self, request: Request, response: Response, wire: Wire) -> None:
        """What the server says of itself with the answer, and what is remembered of the connection."""
        context, handler, offer = self._context, self._handler, self._offer
        if context is None or offer is None or (context.used_ntlm and self._leg is _Leg.FIRST):
            return  # nobody has looked at a token: what is mounted there sends none, or none was wanted
        token = token_of(challenges_of(response), offer.scheme)
        if token is not None and not context.complete:
            with located(request, self.standing):
                context.step(token, wire.peer_certificate if handler.send_cbt else None)
        if handler.mutual == Mutual.REQUIRED and not (context.complete and token):
            raise unproven(request)
        self.standing.accepted(request, response, was_asked=True)
        if not context.used_ntlm and offer.mechanism != KERBEROS:
            handler.learn(request.origin, offer._replace(mechanism=KERBEROS))
        persistent = (response.headers.get("persistent-auth") or "").strip().lower()
        if persistent == "true" or (context.used_ntlm and persistent != "false"):
            wire.memory[_SIGNED_IN] = True

    def _go_on(self, request: Request, response: Response, challenges: list[Challenge], wire: Wire) -> Answer:
        """The server wants another leg, or refuses."""
        context, offer, self._legs = self._context, self._offer, self._legs + 1
        if context is None or offer is None:
            message = f"{redact_url(request.url)}: what is mounted there cannot carry a sign-in that lives on the connection."
            raise SignInError(message, url=request.url)
        token = token_of(challenges, offer.scheme)
        if token is not None and not context.complete and self._legs < _MOST_LEGS:
            try:
                with located(request, self.standing):
                    self._next = context.step(token, wire.peer_certificate if self._handler.send_cbt else None)
            except TokenRefusedError as error:
                self._told = error
                self._next = None
            if self._next:
                self._leg = _Leg.NEXT
                return REPLAY
        asked = any(one.scheme == offer.scheme for one in challenges)
        # Perhaps it is the token that is refused, not the user: it was seen before, or in a scheme that is not asked for.
        if not self._restarted and request.replayable and (self._tokens_made > 1 or not context.used_ntlm or not asked):
            self._begin_anew(wire, offer if asked else None)
            return REPLAY
        raise self._told or self._refusal(request, response, context, wire)

    def _refusal(self, request: Request, response: Response, context: SecurityContext, wire: Wire) -> EsriHttpError:
        who = str(self._contexts.identity)
        if not context.used_ntlm:
            service = f"{self._contexts.identity.service}@{self._host(request, wire)}"
            return ticket_refused(request, response, who, service, wire.clock)
        if self._leg is _Leg.FIRST:
            return not_continued(request)
        return self.standing.refused(request, password_refused(who))


class _Leg:
    """Where a run stands."""

    ASK = "ask"  # without a sign-in, to learn what the server wants
    FIRST = "first"  # with the first token
    NEXT = "next"  # with the answer to the server's token
    BARE = "bare"  # on a connection that is signed in, or needs no sign-in
    FOREIGN = "foreign"  # signed by the caller
