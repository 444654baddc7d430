"""A server that signs in connections by NTLM, with pyspnego's acceptor; what IIS does, for tests that need no other process."""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Union

import pytest
import spnego
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import SpnegoError

from .http_messages import RecordedRequest, Reply, json_reply

Fault = Callable[[RecordedRequest, int], Union[Reply, None]]

USERS = (("AD", "amy", "amys-secret"), ("AD", "jürgen", "pässwört-1"), ("AD", "nobody", ""), ("AD", "bob", "bobs-secret"))


class NtlmServer:
    """The handler of a peer. Paths under ``/public`` are for everybody, ``/large`` is 3 MB.

    `schemes`: by which it asks. `binding`: the channel binding (application data) that a sign-in must have; `None` for any.
    `fault(request, leg)` may answer instead (leg 0: no handshake; 1 or 3: the message). `legs` counts the messages that came.
    """

    def __init__(self, schemes: tuple[str, ...] = ("NTLM",), binding: bytes | None = None, fault: Fault | None = None) -> None:
        self.schemes = schemes
        self.fault = fault
        self.finished = 0
        self.refused = 0
        self.persistent = True
        self.proves_itself = True  # within SPNEGO, where the last word is the server's
        self._bindings = None if binding is None else GssChannelBindings(application_data=binding)
        self._lock = threading.Lock()
        self._contexts: dict[int, Any] = {}
        self._users: dict[int, str] = {}

    def __call__(self, request: RecordedRequest) -> Reply:
        scheme, _, field = (request.headers.get("Authorization") or "").partition(" ")
        token = base64.b64decode(field) if scheme.lower() in ("ntlm", "negotiate") else b""
        message = token[token.find(b"NTLMSSP\x00") :]
        leg = message[8] if token else 0
        faulty = self.fault(request, leg) if self.fault is not None else None
        if faulty is not None:
            return faulty
        with self._lock:
            if token:
                return self._next(request, scheme, token, leg)
            user = self._users.get(request.connection)
        if user is None and not request.path.startswith("/public"):
            return self._asks()
        return self._served(request, user)

    def _asks(self) -> Reply:
        return Reply(401, [("WWW-Authenticate", scheme) for scheme in self.schemes], "sign in first")

    def _next(self, request: RecordedRequest, scheme: str, token: bytes, leg: int) -> Reply:
        connection = request.connection
        self._users.pop(connection, None)
        if leg == 1:
            options: dict[str, Any] = {"protocol": "ntlm", "options": spnego.NegotiateOptions.use_ntlm}
            if not token.startswith(b"NTLMSSP"):  # within SPNEGO (RFC 4178)
                options = {"protocol": "negotiate", "options": spnego.NegotiateOptions.use_negotiate}
            self._contexts[connection] = spnego.server(channel_bindings=self._bindings, **options)
            self._contexts[connection]._is_wrapped = True  # no tokens in the logs: those of the client are looked at
        context = self._contexts.get(connection)
        if context is None:
            return self._asks()
        try:
            answer = context.step(token)
        except (SpnegoError, ValueError):
            self._contexts.pop(connection)
            self.refused += 1
            return self._asks()
        if not context.complete:
            return Reply(401, {"WWW-Authenticate": f"{scheme} {base64.b64encode(answer or b'').decode()}"}, "go on")
        self._contexts.pop(connection)
        self.finished += 1
        if self.persistent:
            self._users[connection] = context.client_principal
        reply = self._served(request, context.client_principal)
        if answer and self.proves_itself:
            reply.headers.pairs.append(("WWW-Authenticate", f"{scheme} {base64.b64encode(answer).decode()}"))
        return reply

    @staticmethod
    def _served(request: RecordedRequest, user: str | None) -> Reply:
        if request.path.endswith("/large"):
            return Reply(200, {"Content-Type": "application/octet-stream"}, (b"x" * 65536 for _ in range(48)))
        name = None if user is None else user.rpartition("\\")[2]
        return json_reply({"user": name, "connection": request.connection, "received": request.body_length})


@contextlib.contextmanager
def known_users(folder: Path) -> Iterator[None]:
    """Have pyspnego's acceptors, in this process, know `USERS`."""
    file = folder / "ntlm-users"
    file.write_text("".join(":".join(user) + "\n" for user in USERS), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NTLM_USER_FILE", str(file))
        yield
