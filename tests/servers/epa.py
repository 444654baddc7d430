"""The acceptor that enforces channel bindings, and a proxy that intercepts TLS, behind which they are wrong."""

from __future__ import annotations

import os
import ssl
import sys
from pathlib import Path

from tests.support.http_messages import RecordedRequest, head_bytes
from tests.support.plumbing import Connection
from tests.support.proxies import ProxyPeer, pump

from .apache import write_ntlm_users
from .bed import Server
from .daemons import Daemon, free_port, listening
from .kdc import Kdc, replay_cache
from .people import GIS, NAMES, PROXY

ROOT = Path(__file__).resolve().parents[2]


class Epa(Server):
    """The acceptor; see `acceptor`. `url` is the address of a path below ``/require/`` or ``/ignore/``."""

    name = "epa"
    modules = ("gssapi", "krb5")
    servers = (Kdc,)

    def start(self) -> None:
        """Start the process, with the users and the keys in its environment only."""
        kdc = self.bed.start(Kdc)
        self.port, self.checker_port = free_port(), free_port()
        users = self.folder / "ntlm.users"
        write_ntlm_users(users)
        identity = self.bed.ca.server(GIS)
        arguments = [self.port, self.checker_port, GIS, identity.cert_file, identity.key_file]
        command = [sys.executable, "-m", "tests.servers.acceptor", *map(str, arguments)]
        env = {**kdc.env, **replay_cache(self.folder), "NTLM_USER_FILE": str(users)}
        env["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, sys.path)])  # it finds what this process does
        env["KRB5_KTNAME"] = f"FILE:{kdc.keytab(GIS)}"
        ready = listening(self.port, self.checker_port)
        self.process = self.daemon(Daemon("epa", command, self.bed.state, ready=ready, env=env))

    def url(self, path: str = "/require/") -> str:
        """The address of `path`."""
        return f"https://{GIS}:{self.port}{path}"

    def describe(self) -> list[str]:
        """See `Server`."""
        return [f"acceptor (Negotiate, NTLM) at {self.url('/require/')} and {self.url('/ignore/')}"]


class InterceptingProxy(ProxyPeer):
    """Ends the TLS of every tunnel itself, with a certificate of its own for `GIS`, and speaks TLS to the server anew."""

    def __init__(self, server_side: ssl.SSLContext, client_side: ssl.SSLContext) -> None:
        self._server_side = server_side
        self._client_side = client_side
        super().__init__(names=dict.fromkeys(NAMES, ("127.0.0.1", 0)))

    def _tunnel(self, connection: Connection, request: RecordedRequest) -> None:
        host, _, port = request.target.rpartition(":")
        self.names[host] = ("127.0.0.1", int(port))
        with self._client_side.wrap_socket(self._dial(host, int(port)), server_hostname=GIS) as upstream:
            connection.attached.append(upstream)
            connection.send(head_bytes(200))
            connection.sock = self._server_side.wrap_socket(connection.sock, server_side=True)
            pump(connection.sock, upstream)


class Intercept(Server):
    """That proxy, in this process; `url` is its address, its certificate is one of the CA of the bed."""

    name = "intercept"

    def start(self) -> None:
        """Start it."""
        ca = self.bed.ca
        own = ca.server(GIS, PROXY)  # not the certificate of the servers
        self.certificate = own.cert_der
        self.proxy = self.stack.enter_context(InterceptingProxy(ca.server_context(own), ca.client_context()))
        self.url = self.proxy.url

    def describe(self) -> list[str]:
        """See `Server`."""
        return [f"proxy that intercepts TLS at {self.url}"]
