"""`EsriDigestAuth`: HTTP Digest (RFC 7616), signed without waiting for a challenge once the server has given a nonce."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...words.bounded import remember
from ...words.errors import ConfigurationError, SignInError
from ...words.redaction import redact_url
from ..base import ACCEPT, REPLAY, Audience, AuthRun
from ..challenges import challenges_of, parse_parameters
from .digest_challenges import choose_space, quoted, utf8
from .web_tier_auth import PasswordAuth, PasswordRun, with_session

if TYPE_CHECKING:
    from ...messages.request import Request
    from ...messages.response import Response
    from ...words.origins import Origin
    from ..base import Answer, Wire
    from .digest_challenges import DigestSpace, Signature

_MOST_ORIGINS = 1000
_MOST_REALMS = 4
_MOST_STALE = 2
# A body of this size, or one that cannot be sent twice, is not risked on a nonce that may have aged.
_LARGE_BYTES = 256 * 1024
_YOUNG_SECONDS = 15.0


class EsriDigestAuth(PasswordAuth):
    """User name and password, by Digest. Safe to share between threads; see `WebTierAuth` for `url` and refusals.

    Written ``EsriDigestAuth(session, username, password)`` or ``DigestAuth(username, password)``; all by name, too. MD5,
    SHA-256, SHA-512-256 and their -sess forms, `auth` and `auth-int`. What the server gives is kept for its origin alone.
    Raises `ConfigurationError` for credentials that are missing or cannot be sent.
    """

    def __init__(self, *credentials: Any, **options: Any) -> None:
        super().__init__(*with_session(credentials, options), **options)
        if not self.username or self._password is None:
            raise ConfigurationError(f"{type(self).__name__} needs username= and password= as text.")
        quoted(utf8(self.username).decode("latin-1"))
        self._spaces: dict[Origin, tuple[DigestSpace, ...]] = {}

    def _begin(self, audience: Audience) -> AuthRun:
        return DigestRun(self)

    def _forget(self) -> None:
        self._spaces = {}
        super()._forget()

    def space_for(self, request: Request) -> DigestSpace | None:
        """What to sign `request` by without being asked; `None` where nothing is known yet."""
        spaces = self._spaces.get(request.origin, ())
        return next((space for space in spaces if space.covers(request.path)), None)

    def keep(self, origin: Origin, space: DigestSpace) -> None:
        """Sign further requests to `origin` by `space`."""
        known = self._spaces.get(origin, ())
        if known and known[0] is space:
            return
        others = (other for other in known if other.realm != space.realm)
        remember(self._spaces, origin, (space, *others)[:_MOST_REALMS], _MOST_ORIGINS)

    def signature(self, request: Request, space: DigestSpace) -> Signature:
        """`request` signed with these credentials."""
        return space.sign(request, self.username or "", self._password or "")

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_spaces": {}}


DigestAuth = EsriDigestAuth


class DigestRun(PasswordRun):
    """One request's turn."""

    signs_whole = True

    def __init__(self, auth: EsriDigestAuth) -> None:
        super().__init__(auth)
        self._auth = auth
        self._space: DigestSpace | None = None  # of a challenge to this very request: no other one uses its nonce yet
        self._sent: Signature | None = None
        self._stale = 0

    def before_request(self, request: Request, wire: Wire) -> Request:
        if request.header("Authorization") is not None:
            return request
        self.standing.check_refusal(request)
        space = self._space
        if space is None:
            space = self._auth.space_for(request)
            if self._auth.probes.are_wanted(request) and (space is None or _is_risk(request, space, wire)):
                self._space = self._probe(request, wire)
                space = self._space or space
        if space is None:
            return request
        self._sent = self._auth.signature(request, space)
        return request.with_header("Authorization", self._sent.field)

    def shows_password(self, request: Request) -> bool:
        return self._sent is not None and request.header("Authorization") is self._sent.field

    def _probe(self, request: Request, wire: Wire) -> DigestSpace | None:
        response = wire.send(self._auth.probes.probe(request))
        try:
            space = self._offered(request, response) if response.status_code == 401 else None
        finally:
            response.discard()
        if space is None:
            self._auth.probes.learn(request, closed=False)
        return space

    def _offered(self, request: Request, response: Response) -> DigestSpace | None:
        """The Digest that a 401 asks for; `None` where it asks for something else."""
        space, reason = choose_space(challenges_of(response))
        if reason:
            raise SignInError(f"The Digest that {redact_url(request.url)} asks for cannot be done: {reason}.", url=request.url)
        return None if space is None else space.bound_to(request)

    def take(self, request: Request, response: Response) -> None:
        """Sign by what the 401 `response` to another request of the same target asks for."""
        self._space = self._offered(request, response)

    def judge(self, request: Request, response: Response, wire: Wire) -> Answer:
        if self._sent is None and request.header("Authorization") is not None:
            return ACCEPT  # the caller's own
        if response.status_code != 401:
            if self._sent is not None:
                self._signed_in(request, response, self._sent, wire)
            return ACCEPT
        space = self._offered(request, response)
        if space is None:
            return self._without_challenge(request, response)
        self._auth.probes.learn(request, closed=True)
        if self._sent is not None and not self._may_answer(space, self._sent.space):
            raise self.standing.refused(request, f"user name or password of {self._auth.username} is wrong (Digest).")
        self._space = space
        return REPLAY

    def _may_answer(self, offered: DigestSpace, sent: DigestSpace) -> bool:
        """Whether a 401 to a signed request is about its nonce or realm, not about the password."""
        if (offered.nonce, offered.realm) == (sent.nonce, sent.realm):
            return False
        if self._space is None:
            return True  # it was signed by what an earlier request got; servers forget nonces, and have several realms
        self._stale += 1
        return offered.is_stale_news and self._stale <= _MOST_STALE

    def _without_challenge(self, request: Request, response: Response) -> Answer:
        if self._space is not None and self._sent is not None and response.esri_error is None:
            raise self.standing.refused(request, "it answers a correct Digest with 401, and asks for nothing.")
        return ACCEPT

    def _signed_in(self, request: Request, response: Response, sent: Signature, wire: Wire) -> None:
        said = parse_parameters(response.headers.get("authentication-info") or "")
        proof = said.get("rspauth")
        if proof is not None and sent.proof is not None and proof.lower() != sent.proof:
            raise SignInError(
                f"{redact_url(request.url)} does not prove that it knows the password (Digest, rspauth); its answer is not to"
                " be believed.", url=request.url,
            )  # fmt: skip
        self.standing.accepted(request, response, was_asked=self._space is not None)
        self._space = None
        space = sent.space.renewed(said.get("nextnonce", ""))
        space.used_at = wire.clock.monotonic()
        self._auth.keep(request.origin, space)


def _is_risk(request: Request, space: DigestSpace, wire: Wire) -> bool:
    """Whether too much would be lost if the server did not know the nonce of `space` any more."""
    body = request.body
    if body is None or wire.clock.monotonic() - space.used_at < _YOUNG_SECONDS:
        return False
    return not body.replayable or body.length is None or body.length > _LARGE_BYTES
