"""`EsriGuessAuth`: signs in by the strongest of what a server offers (RFC 9110 section 11.6.1) that can work here."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from ..words.bounded import remember
from ..words.errors import ConfigurationError, SignInError
from ..words.forks import ProcessLock
from ..words.redaction import redact_url
from ..words.urls import split_url
from .base import ACCEPT, BEGIN_ANEW, REPLAY, Audience, AuthRun
from .challenges import challenges_of, shown_schemes
from .flights import Flights
from .guess_ways import BY_SYSTEM, BY_TOKENS, Asked
from .handshake.handshake_errors import located
from .sites import web_adaptor
from .web_tier.web_tier_auth import PasswordAuth, with_session

if TYPE_CHECKING:
    from typing import TypeVar

    from ..messages.request import Request
    from ..messages.response import Response
    from ..words.origins import Origin, SplitUrl
    from .base import Answer, Verdict, Wire
    from .challenges import Challenge
    from .web_tier.web_tier_auth import WebTierAuth

    _Place = tuple[Origin, str]
    _Handler = TypeVar("_Handler", bound=PasswordAuth)

log = logging.getLogger("esri_http.auth")

_MOST_PLACES = 1000
_making = ProcessLock()


class _Choice(NamedTuple):
    """What was taken, for which `schemes`, and why."""

    name: str
    handler: WebTierAuth
    schemes: frozenset[str]
    why: str


class EsriGuessAuth(PasswordAuth):
    """The strongest sign-in that a server offers and that can work here. Safe to share between threads.

    In this order: Kerberos, NTLM (on Windows both by its own Negotiate), Digest, and, over https only, Basic. Written
    ``EsriGuessAuth(session, username, password)`` or ``GuessAuth(username, password)``; all by name, too. Without user and
    password: the current user, by a Kerberos ticket, on Windows also by NTLM. `send_cbt`: tie Kerberos and NTLM to the TLS
    connection (RFC 5929). `url`, and what becomes of refused credentials: see `WebTierAuth`.

    What cannot work here (no ticket, a package that is absent, no password) is passed over; credentials that a scheme has
    refused are tried by no other. `describe` says what was taken and why, and so does the log. The choice is made once for
    each web adaptor (the first part of the path), at its first 401, and again when it asks for something else.
    """

    system_chooses = os.name == "nt"
    """Whether the system's own Negotiate (SSPI) chooses between Kerberos and NTLM."""

    def __init__(self, *credentials: Any, **options: Any) -> None:
        self.send_cbt = bool(options.pop("send_cbt", True))
        super().__init__(*with_session(credentials, options), **options)
        if self._password is not None and not self.username:
            raise ConfigurationError(f"{type(self).__name__} needs username= with the password.")
        # What was made with other credentials is told by its standing, and not used any more.
        self._choices: dict[_Place, _Choice] = {}
        self._handlers: dict[type, WebTierAuth] = {}
        self._choosing = Flights()

    def _begin(self, audience: Audience) -> AuthRun:
        request = audience.request
        return _GuessRun(self, audience, None if request is None else self._known(_place(request)))

    def _known(self, place: _Place) -> _Choice | None:
        """What was taken there, by the credentials as they are."""
        choice = self._choices.get(place)
        return choice if choice is not None and choice.handler.standing is self.standing else None

    def choose(self, request: Request, challenges: list[Challenge], wire: Wire) -> _Choice | None:
        """What to sign in by where `request` was answered with `challenges`; `None` where they are none of ours.

        Raises `ArcGISLoginError` where the domain refuses the credentials, and `SignInError` where nothing can work.
        """
        asked = Asked(request, challenges, wire.server_name or request.origin.host, wire, self.standing)
        key = (_place(request), id(asked.standing))
        choice: _Choice | None = self._choosing.share(key, lambda: self._choose(asked), wire)
        return choice

    def drop(self, request: Request, choice: _Choice) -> None:
        """Forget what was taken: the server asks for something else now."""
        if self._known(_place(request)) is choice:
            self._choices.pop(_place(request), None)

    def _choose(self, asked: Asked) -> _Choice | None:
        request = asked.request
        asked.standing.check_refusal(request)
        known = self._known(_place(request))
        if known is not None:
            return known
        offered = {challenge.scheme for challenge in asked.challenges}
        reasons: list[str] = []
        for name, schemes, take in BY_SYSTEM if self.system_chooses else BY_TOKENS:
            if schemes.isdisjoint(offered):
                continue
            with located(request, asked.standing):
                taken = take(self, asked)
            if not isinstance(taken, str):
                return self._note(asked, _Choice(name, taken, schemes, _why(asked, reasons)))
            reasons.append(f"{name} cannot be used: {taken.rstrip('.')}")
        if not reasons:
            return None
        raise SignInError(f"No way to sign in at {redact_url(request.url)}: {_why(asked, reasons)}.", url=request.url)

    def _note(self, asked: Asked, choice: _Choice) -> _Choice:
        request = asked.request
        log.info("%s: signing in by %s; %s", request.origin, choice.name, choice.why)
        remember(self._choices, _place(request), choice, _MOST_PLACES)
        return choice

    def handler(self, asked: Asked, kind: type[_Handler], **options: Any) -> _Handler:
        """The handler of that `kind`, one for all origins, made with these credentials; what one learns, all know."""
        with _making:  # of two handlers, each would show a wrong password to the domain
            known: Any = self._handlers.get(kind)
            if known is None or known.standing is not asked.standing:
                known = kind(username=self.username, password=self._password, **options)
                known.standing, known.probes = asked.standing, self.probes
                self._handlers[kind] = known
        handler: _Handler = known
        return handler

    @property
    def has_password(self) -> bool:
        """Whether there is a user name and a password."""
        return bool(self.username) and self._password is not None

    def choice_for(self, url: str) -> str | None:
        """The name of what a request to `url` is signed in by, such as ``Basic``; `None` where nothing was asked for yet."""
        choice = self._choice_at(url)
        return None if choice is None else choice.name

    def _choice_at(self, url: str) -> _Choice | None:
        return self._known(_place(split_url(url)))

    def describe(self, url: str) -> str:
        """How a request to `url` is signed in, and why so; holds no secret, and asks nobody."""
        origin, choice = split_url(url).origin, self._choice_at(url)
        if choice is None:
            return f"{origin}: {type(self).__name__} has not been asked for a sign-in yet"
        return f"{origin}: {choice.name} as {self.username or 'the current user'}; {choice.why}"

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_choices": {}, "_handlers": {}}


GuessAuth = EsriGuessAuth


class _GuessRun(AuthRun):
    """One request: signed in as was chosen; where nothing was chosen yet, its body waits for the server's challenge."""

    signs_whole = True

    def __init__(self, auth: EsriGuessAuth, audience: Audience, choice: _Choice | None) -> None:
        self._auth = auth
        self._standing = auth.standing
        self._audience = audience
        self._choice = choice
        self._run: AuthRun | None = None
        self._request: Request | None = None
        self._held_back: bool | None = None
        if choice is not None:
            self._run = choice.handler._begin(audience)
            self.lane_identity = self._run.lane_identity

    def before_request(self, request: Request, wire: Wire) -> Request:
        if self._run is not None:
            return self._run.before_request(request, wire)
        if request.header("Authorization") is not None:
            self._held_back = False
            return request
        self._standing.check_refusal(request)
        if self._held_back is None:
            self._held_back = self._auth.probes.are_wanted(request)
        self._request = request
        return self._auth.probes.probe(request) if self._held_back else request

    def about_to_send(self, request: Request, wire: Wire) -> Verdict:
        said = ACCEPT if self._run is None else self._run.about_to_send(request, wire)
        return said if self._standing is self._auth.standing else BEGIN_ANEW

    def end(self) -> None:
        if self._run is not None:
            self._run.end()

    def on_response(self, request: Request, response: Response, wire: Wire) -> Answer:
        challenges = challenges_of(response) if response.status_code == 401 else []
        if challenges and self._standing is not self._auth.standing:
            return BEGIN_ANEW
        if self._run is not None:
            if self._choice is not None and _other_than(self._choice, challenges):
                self._auth.drop(request, self._choice)
                return BEGIN_ANEW
            return self._run.on_response(request, response, wire)
        if not challenges or self._request is None:
            return self._without_challenge()
        choice = self._auth.choose(self._request, challenges, wire)
        if choice is None:
            return self._without_challenge()
        if not self._held_back:
            self._auth.probes.learn(self._request, closed=True)
        run = choice.handler._begin(self._audience)
        if run.lane_identity is not None:
            return BEGIN_ANEW
        self._run = run
        return self._go_on(run, request, response, wire)

    def _without_challenge(self) -> Answer:
        held_back, self._held_back = self._held_back, False
        if not held_back or self._request is None:
            return ACCEPT
        self._auth.probes.learn(self._request, closed=False)
        return REPLAY

    def _go_on(self, run: AuthRun, request: Request, response: Response, wire: Wire) -> Answer:
        """Have a sign-in that is for any connection answer the 401 that came, as if it had asked for it."""
        from .web_tier.digest import DigestRun

        if not isinstance(run, DigestRun):
            return REPLAY
        if not self._held_back:
            return run.on_response(request, response, wire)
        run.take(request, response)
        return REPLAY


def _other_than(choice: _Choice, challenges: list[Challenge]) -> bool:
    """Whether a server asks for a sign-in, but not for the one that was chosen."""
    return bool(challenges) and choice.schemes.isdisjoint(challenge.scheme for challenge in challenges)


def _place(of: Request | SplitUrl) -> _Place:
    """The web adaptor that a request or a URL is for, with its origin."""
    return of.origin, web_adaptor(of.path)


def _why(asked: Asked, reasons: list[str]) -> str:
    return "; ".join([f"the server offers {shown_schemes(asked.challenges)}", *reasons])
