"""A client on pyspnego and the standard library: enough to see that a server does what it is there for."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import ssl
from typing import Any, Union
from urllib.parse import urlsplit

import spnego
from spnego.channel_bindings import GssChannelBindings

from .people import DOMAIN, PASSWORDS, USER


class _Connection(http.client.HTTPSConnection):
    """A connection to 127.0.0.1, whatever the name."""

    def connect(self) -> None:
        name, self.host = self.host, "127.0.0.1"
        http.client.HTTPConnection.connect(self)
        self.host = name
        self.sock = self._context.wrap_socket(self.sock, server_hostname=name)  # type: ignore[attr-defined]


def spnego_get(
    url: str,
    ca_file: str,
    protocol: str,
    certificate: Union[bytes, None] = None,
    *,
    scheme: str = "Negotiate",
    password: str = PASSWORDS["ntlm"],
) -> tuple[int, Any]:
    """Sign in on one connection; the status of the last answer, and its body where that is JSON.

    `protocol`: ``ntlm``, or ``kerberos`` with the ticket of this process. `certificate`: that of the server (DER), to whose
    channel the token is bound; `None` binds it to none.
    """
    parts = urlsplit(url)
    assert parts.hostname
    bindings = None
    if certificate is not None:
        digest = hashlib.sha256(certificate).digest()
        bindings = GssChannelBindings(application_data=b"tls-server-end-point:" + digest)
    user = {"username": f"{DOMAIN}\\{USER}", "password": password} if protocol == "ntlm" else {}
    options: dict[str, Any] = {"hostname": parts.hostname, "service": "HTTP", "protocol": protocol, **user}
    context = spnego.client(channel_bindings=bindings, **options)
    connection = _Connection(parts.hostname, parts.port, context=ssl.create_default_context(cafile=ca_file), timeout=20)
    try:
        token = context.step()
        while True:
            assert token
            connection.request("GET", parts.path, headers={"Authorization": f"{scheme} {base64.b64encode(token).decode()}"})
            answer = connection.getresponse()
            body = answer.read()
            challenge = answer.headers.get("WWW-Authenticate", "").partition(" ")[2]
            if answer.status != 401 or not challenge or context.complete:
                is_json = answer.headers.get("Content-Type", "").startswith("application/json")
                return answer.status, json.loads(body) if is_json else None
            token = context.step(base64.b64decode(challenge))
    finally:
        connection.close()
