"""A Digest challenge, and the answer to it: the arithmetic of RFC 7616, and of RFC 2069 where the server asks for no more."""

from __future__ import annotations

import hashlib
import itertools
import re
import secrets
import unicodedata
from typing import TYPE_CHECKING, Any, NamedTuple

from ...words.errors import BodyNotReplayableError, ConfigurationError, InvalidUrlError
from ...words.redaction import redact_url
from ...words.urls import resolve_url

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...messages.body import Body
    from ...messages.request import Request
    from ..challenges import Challenge

# From the weakest to the strongest; the names that hashlib knows them by.
_HASHES = {"md5": "md5", "sha-256": "sha256", "sha-512-256": "sha512_256"}
_NOT_FOR_A_HEADER = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_MOST_DOMAINS = 100


class Signature(NamedTuple):
    """One signed request: the field for `Authorization`, and by which `space`.

    `proof` is what a server that knows the password sends back as `rspauth`; `None` where it cannot be told beforehand.
    """

    field: str
    space: DigestSpace
    proof: str | None


class DigestSpace:
    """A protection space with a nonce for it. Shared by threads: each request takes the next number of the nonce.

    `qop` is ``auth``, ``auth-int``, or empty for RFC 2069; a higher `rank` is a stronger hash; `used_at` is when the nonce was
    good last (monotonic seconds). Texts of the server are Latin-1, as the wire's bytes are.
    """

    def __init__(self, challenge: Challenge, qop: str, cnonce: str | None = None) -> None:
        parameters = challenge.parameters
        self.realm = parameters.get("realm", "")
        self.nonce = parameters["nonce"]
        self.qop = qop
        self.is_stale_news = parameters.get("stale", "").lower() == "true"
        self._challenge = challenge
        self._algorithm = parameters.get("algorithm", "")
        name, self._is_session = _algorithm(self._algorithm)
        self._hash_name = _HASHES[name]
        self.rank = list(_HASHES).index(name)
        self._takes_utf8 = parameters.get("charset", "").lower() == "utf-8"
        self._hides_user = parameters.get("userhash", "").lower() == "true"
        # One for the life of the nonce: the key of a -sess algorithm is made with it.
        self._cnonce = cnonce or secrets.token_urlsafe(24)
        self._counts = itertools.count(1)  # next() of it is atomic
        self._paths: tuple[str, ...] = ()
        self.used_at = float("-inf")

    def bound_to(self, request: Request) -> DigestSpace:
        """Itself, with the paths of `domain` that are on the origin that was asked; what leaves out `request` is ignored."""
        paths = []
        for item in self._challenge.parameters.get("domain", "").split()[:_MOST_DOMAINS]:
            try:
                split = resolve_url(request.origin, request.path, item)
            except InvalidUrlError:
                continue
            if split.origin == request.origin:
                paths.append(split.path)
        self._paths = tuple(paths) if any(map(request.path.startswith, paths)) else ()
        return self

    def covers(self, path: str) -> bool:
        """Whether a request for `path` may be signed without being asked."""
        return not self._paths or path.startswith(self._paths)

    def renewed(self, nonce: str) -> DigestSpace:
        """The same space with the nonce that the server wants next; with the old one where that cannot be used."""
        if not nonce or _NOT_FOR_A_HEADER.search(nonce):
            return self
        parameters = {**self._challenge.parameters, "nonce": nonce}
        twin = DigestSpace(self._challenge._replace(parameters=parameters), self.qop)
        twin._paths = self._paths
        return twin

    def sign(self, request: Request, username: str, password: str) -> Signature:
        """Sign `request` as it stands. Raises `BodyNotReplayableError` where its body would have to be hashed and cannot."""
        if self._takes_utf8:
            username, password = unicodedata.normalize("NFC", username), unicodedata.normalize("NFC", password)
        uri = request.target_on_wire
        count = f"{next(self._counts):08x}"
        key = self._key(username, password)
        what = f"{request.method}:{uri}"
        if self.qop == "auth-int":
            what += ":" + self._hash_of_body(request)
        answer = self._answer(key, count, what)
        fields = [
            *self._name_fields(username), ("realm", quoted(self.realm)), ("nonce", quoted(self.nonce)),
            ("uri", quoted(uri)), ("response", quoted(answer)), *self._other_fields(count),
        ]  # fmt: skip
        field = "Digest " + ", ".join(f"{name}={value}" for name, value in fields)
        return Signature(field, self, self._answer(key, count, f":{uri}") if self.qop == "auth" else None)

    def _key(self, username: str, password: str) -> str:
        key = self._hash(b":".join((utf8(username), self.realm.encode("latin-1"), utf8(password))))
        return self._hash(f"{key}:{self.nonce}:{self._cnonce}".encode("latin-1")) if self._is_session else key

    def _answer(self, key: str, count: str, what: str) -> str:
        middle = f"{self.nonce}:{count}:{self._cnonce}:{self.qop}" if self.qop else self.nonce
        return self._hash(f"{key}:{middle}:{self._hash(what.encode('latin-1'))}".encode("latin-1"))

    def _name_fields(self, username: str) -> list[tuple[str, str]]:
        if self._hides_user:
            hidden = self._hash(utf8(username) + b":" + self.realm.encode("latin-1"))
            return [("username", quoted(hidden)), ("userhash", "true")]
        if self._takes_utf8 and not username.isascii():
            from urllib.parse import quote

            return [("username*", "UTF-8''" + quote(utf8(username), safe="!#$&+^`|"))]
        return [("username", quoted(utf8(username).decode("latin-1")))]

    def _other_fields(self, count: str) -> Iterable[tuple[str, str]]:
        if "opaque" in self._challenge.parameters:
            yield "opaque", quoted(self._challenge.parameters["opaque"])
        if self._algorithm:
            yield "algorithm", self._algorithm
        if self.qop:
            yield from (("qop", self.qop), ("nc", count))
        if self.qop or self._is_session:
            yield "cnonce", quoted(self._cnonce)

    def _hash(self, content: bytes) -> str:
        return str(_new(self._hash_name, content).hexdigest())

    def _hash_of_body(self, request: Request) -> str:
        body: Body | None = request.body
        if body is not None and not body.replayable:
            raise BodyNotReplayableError(
                f"{redact_url(request.url)} wants the body signed (Digest with qop auth-int) before it is sent, and it can be"
                " read only once; give a file or bytes.", url=request.url,
            )  # fmt: skip
        digest = _new(self._hash_name, b"")
        for piece in body or ():
            digest.update(piece)
        return str(digest.hexdigest())


def _new(name: str, content: bytes) -> Any:
    # The server chose the algorithm; with MD5 it is what the scheme has, also where policy forbids it for security.
    return hashlib.new(name, content, usedforsecurity=False)


def utf8(text: str) -> bytes:
    """`text` in UTF-8, half characters included: what is no password anywhere is refused by the server."""
    return text.encode("utf-8", "surrogatepass")


def quoted(text: str) -> str:
    """`text` as a quoted-string (RFC 9110 section 5.6.4). Raises `ConfigurationError` for what no header field can hold."""
    if _NOT_FOR_A_HEADER.search(text):
        raise ConfigurationError("A user name for Digest cannot hold control characters.")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def choose_space(challenges: Iterable[Challenge]) -> tuple[DigestSpace | None, str]:
    """The strongest Digest among `challenges` that can be answered, the first of equals; or `None`, and why none can.

    The reason is empty where no Digest is offered.
    """
    best, reasons = None, []
    for challenge in challenges:
        if challenge.scheme != "digest":
            continue
        reason = _obstacle(challenge)
        if reason:
            reasons.append(reason)
            continue
        space = DigestSpace(challenge, _qop(challenge) or "")
        if best is None or space.rank > best.rank:
            best = space
    return best, "" if best is not None else "; ".join(reasons[:5])


def _algorithm(given: str) -> tuple[str, bool]:
    """The name of the hash, in lower case, and whether it is the -sess form."""
    name = given.lower() or "md5"
    return (name[:-5], True) if name.endswith("-sess") else (name, False)


def _qop(challenge: Challenge) -> str | None:
    """The quality of protection to use, ``auth`` rather than ``auth-int``; "" where none is named, `None`: one unknown here."""
    offered = [word.strip().lower() for word in challenge.parameters.get("qop", "").split(",")]
    if not any(offered):
        return ""
    return next((word for word in ("auth", "auth-int") if word in offered), None)


def _obstacle(challenge: Challenge) -> str:
    """Why `challenge` cannot be answered; empty if it can."""
    parameters = challenge.parameters
    name = _algorithm(parameters.get("algorithm", ""))[0]
    if not parameters.get("nonce"):
        return "it has no nonce"
    if any(_NOT_FOR_A_HEADER.search(parameters.get(word, "")) for word in ("realm", "nonce", "opaque", "algorithm")):
        return "it holds control characters"
    if name not in _HASHES:
        return f"the algorithm {parameters['algorithm']!a:.40} is not known here"
    if _qop(challenge) is None:
        return f"the qop {parameters['qop']!a:.40} is not known here"
    try:
        _new(_HASHES[name], b"")
    except ValueError:
        return f"the OpenSSL of this Python has no {name.upper()}"
    return ""
