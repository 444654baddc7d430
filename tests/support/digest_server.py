"""A server that checks HTTP Digest by itself: the arithmetic is written from RFC 7616 and shares nothing with the client."""

from __future__ import annotations

import hashlib
import itertools
import threading
import urllib.parse
import urllib.request
from typing import Any

from .http_messages import RecordedRequest, Reply, json_reply

_HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}


class DigestServer:
    """The handler of a peer that wants Digest from `users` (name to password), except under ``/public``.

    `algorithms`: one challenge for each. `qop`: what is offered, or `None` for RFC 2069. `uses`: after so many requests a
    nonce is stale. `next_nonce`: every answer announces another nonce, and the old one is stale. `fields`: added to the
    challenge as they are. `realms`: the realm by the first part of the path. `in_order`: a number of a nonce must be larger
    than the one before.

    What was seen: `refused` (signatures that are wrong), `stale`, `repeated` (nonce and number came twice), `users_served`,
    and the last `parameters`.
    """

    def __init__(
        self,
        users: dict[str, str] | None = None,
        *,
        algorithms: tuple[str, ...] = ("MD5",),
        qop: str | None = "auth",
        uses: int | None = None,
        next_nonce: bool = False,
        fields: str = "",
        realms: dict[str, str] | None = None,
        in_order: bool = False,
    ) -> None:
        self.users = {"amy": "secret"} if users is None else users
        self.algorithms = algorithms
        self.qop = qop
        self.uses = uses
        self.next_nonce = next_nonce
        self.fields = fields
        self.realms = realms or {}
        self.in_order = in_order
        self.wrong_proof = False
        self.refused = self.stale = self.repeated = 0
        self.users_served: list[str] = []
        self.parameters: dict[str, str] = {}
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._counts: dict[str, list[int]] = {}

    def __call__(self, request: RecordedRequest) -> Reply:
        if request.path.startswith("/public"):
            return json_reply({"user": None, "received": request.body_length})
        field = request.headers.get("Authorization")
        if field is None:
            return self._challenge(request)
        scheme, _, rest = field.partition(" ")
        assert scheme == "Digest"
        given = urllib.request.parse_keqv_list(urllib.request.parse_http_list(rest))
        with self._lock:
            self.parameters = given
            return self._checked(request, given)

    def new_nonce(self) -> str:
        """A nonce that this server knows."""
        nonce = f"nonce/{next(self._numbers)}=="
        self._counts[nonce] = []
        return nonce

    def forget_nonces(self) -> None:
        """As after a restart: no nonce is known any more, and the server does not say `stale`."""
        with self._lock:
            self._counts.clear()

    def _realm(self, request: RecordedRequest) -> str:
        return self.realms.get(request.path.split("/")[1], 'the "inner\\ realm')

    def _challenge(self, request: RecordedRequest, stale: bool = False) -> Reply:
        realm = self._realm(request).replace("\\", "\\\\").replace('"', '\\"')
        fields = []
        for algorithm in self.algorithms:
            challenge = f'Digest realm="{realm}", nonce="{self.new_nonce()}", opaque="o\\"p", algorithm={algorithm}'
            challenge += "" if self.qop is None else f', qop="{self.qop}"'
            fields.append(("WWW-Authenticate", challenge + (", stale=true" if stale else "") + self.fields))
        return Reply(401, fields, "sign in")

    def _checked(self, request: RecordedRequest, given: dict[str, str]) -> Reply:
        counts = self._counts.get(given["nonce"])
        user = self._user(given, self._realm(request))
        if given["realm"] != self._realm(request):
            return self._challenge(request)
        if counts is None or user is None or self._expected(request, given, user) != given["response"]:
            self.refused += counts is not None
            return self._challenge(request)
        count = int(given["nc"], 16) if self.qop else len(counts) + 1
        self.repeated += count in counts
        late = self.in_order and count <= max(counts, default=0)
        if late or count in counts or (self.uses is not None and len(counts) >= self.uses):
            self.stale += 1
            return self._challenge(request, stale=True)
        counts.append(count)
        self.users_served.append(user)
        return json_reply({"user": user, "received": request.body_length}, headers=self._info(request, given, user))

    def _user(self, given: dict[str, str], realm: str) -> str | None:
        name = given.get("username", "").encode("latin-1").decode("utf-8")
        if "username*" in given:
            charset, _, quoted = given["username*"].partition("''")
            assert charset == "UTF-8"
            name = urllib.parse.unquote(quoted, "utf-8")
        hashed = {self._hash(given, f"{user}:{realm}".encode()): user for user in self.users}
        found = hashed.get(name) if given.get("userhash") == "true" else name
        return found if found in self.users else None

    def _expected(self, request: RecordedRequest, given: dict[str, str], user: str, method: str | None = None) -> str:
        assert given["uri"] == request.target
        assert given["opaque"] == 'o"p'
        one = self._hash(given, f"{user}:{given['realm']}:{self.users[user]}".encode())
        if given["algorithm"].endswith("-sess"):
            one = self._hash(given, f"{one}:{given['nonce']}:{given['cnonce']}".encode())
        two = f"{request.method if method is None else method}:{request.target}".encode()
        if given.get("qop") == "auth-int":
            two += b":" + self._hash(given, request.body).encode()
        middle = given["nonce"]
        if self.qop is not None:
            middle += f":{given['nc']}:{given['cnonce']}:{given['qop']}"
        return self._hash(given, f"{one}:{middle}:{self._hash(given, two)}".encode())

    def _info(self, request: RecordedRequest, given: dict[str, str], user: str) -> dict[str, str]:
        info = []
        if self.qop == "auth":
            proof = self._expected(request, given, user, method="")
            info.append(f'rspauth="{"0" * 32 if self.wrong_proof else proof}"')
        if self.next_nonce:
            self._counts.pop(given["nonce"])
            info.append(f'nextnonce="{self.new_nonce()}"')
        return {"Authentication-Info": ", ".join(info)} if info else {}

    @staticmethod
    def _hash(given: dict[str, Any], content: bytes) -> str:
        return hashlib.new(_HASHES[given["algorithm"].replace("-sess", "")], content).hexdigest()
