"""A web server, and a checker for Squid, on pyspnego's acceptor: a process of its own, started by `epa.Epa`.

It is what IIS is with "Extended Protection" on: below ``/require/`` a token has to be bound to the TLS channel that it comes
over (RFC 5929, ``tls-server-end-point``), below ``/ignore/`` it need not. `Negotiate` and raw `NTLM` are offered; a connection
that has signed in stays so, until another token comes. The answer says who, by what, and whether bound to the channel.

The users of NTLM are those of NTLM_USER_FILE, the keys of the service those of KRB5_KTNAME.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import socketserver
import ssl
import sys
import threading
from typing import Any, ClassVar, Union

import spnego
from spnego.channel_bindings import GssChannelBindings

_SCHEMES = ("Negotiate", "NTLM")
_NTLM = b"NTLMSSP\0"


class Acceptor:
    """The server's end of one sign-in, which takes one token or several."""

    def __init__(self, hostname: str, certificate: bytes = b"") -> None:
        """`certificate`: that of the server (DER), whose channel tokens have to be bound to; empty where they need not."""
        self._hostname = hostname
        self._bindings = None
        if certificate:
            digest = hashlib.sha256(certificate).digest()
            self._bindings = GssChannelBindings(application_data=b"tls-server-end-point:" + digest)
        self._context: Any = None
        self.user = ""
        self.mechanism = ""

    def step(self, token: bytes) -> Union[bytes, None]:
        """The answer to a token; `user` is known after the last one. Raises whatever is wrong with it."""
        if self._context is None:
            protocol = "ntlm" if token.startswith(_NTLM) else "negotiate"
            options: dict[str, Any] = {"hostname": self._hostname, "service": "HTTP", "protocol": protocol}
            self._context = spnego.server(channel_bindings=self._bindings, **options)
        answer: Union[bytes, None] = self._context.step(token)
        if self._context.complete:
            self.mechanism = self._context.negotiated_protocol or "ntlm"
            if self._bindings and self.mechanism == "kerberos" and not self._is_bound():
                raise PermissionError("the Kerberos token has no channel bindings")
            self.user = self._context.client_principal
        return answer

    def _is_bound(self) -> bool:
        """MIT's acceptor lets a token without bindings pass, and says by a flag whether there were any."""
        import gssapi

        context = self._context
        while not isinstance(context, gssapi.SecurityContext):
            context = context._context
        return gssapi.RequirementFlag.channel_bound in context.actual_flags


class Web(http.server.BaseHTTPRequestHandler):
    """One connection of the web server."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    hostname: ClassVar[str] = ""
    certificate: ClassVar[bytes] = b""

    def setup(self) -> None:
        """Begin with nobody signed in."""
        super().setup()
        self._acceptor = Acceptor(self.hostname)
        self._scheme = ""

    def handle_one_request(self) -> None:
        """A client that goes away, or does not like our certificate, is no news."""
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def answer(self) -> None:
        """Answer one request."""
        length = int(self.headers.get("Content-Length") or 0)
        digest = hashlib.sha256(self.rfile.read(length)).hexdigest()
        scheme, _, token = (self.headers.get("Authorization") or "").partition(" ")
        challenges, problem = [], ""
        if token and scheme in _SCHEMES:
            if self._acceptor.user or not self._scheme:
                self._acceptor = Acceptor(self.hostname, b"" if self.path.startswith("/ignore/") else self.certificate)
            try:
                answer = self._acceptor.step(base64.b64decode(token))
                challenges = [f"{scheme} {base64.b64encode(answer).decode()}"] if answer else []
                self._scheme = "" if self._acceptor.user else scheme
            except Exception as error:  # whatever is wrong with a token, the answer is 401
                self._acceptor, self._scheme, problem = Acceptor(self.hostname), "", f"{type(error).__name__}: {error}"
                self.log_error("%s", problem)
        user, mechanism = self._acceptor.user, self._acceptor.mechanism
        if not user and not challenges:
            challenges = list(_SCHEMES)
        data = {"user": user, "mechanism": mechanism, "problem": problem, "length": length, "sha256": digest}
        self._send(200 if user else 401, challenges, {"method": self.command, "path": self.path, **data})

    do_GET = do_POST = do_PUT = answer

    def _send(self, status: int, challenges: list[str], data: dict[str, Any]) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for challenge in challenges:
            self.send_header("WWW-Authenticate", challenge)
        self.end_headers()
        self.wfile.write(body)


class Checker(socketserver.StreamRequestHandler):
    """One helper of Squid, whose lines come over a socket: ``YR`` begins a sign-in, ``KK`` goes on with it."""

    def handle(self) -> None:
        """Answer line by line."""
        acceptor = Acceptor("")
        for line in self.rfile:
            kind, _, token = line.decode("ascii").strip().partition(" ")
            if kind == "YR":
                acceptor = Acceptor("")
            self.wfile.write((self._checked(acceptor, token) + "\n").encode())

    @staticmethod
    def _checked(acceptor: Acceptor, token: str) -> str:
        if not token:
            return "BH a token is wanted"
        try:
            answer = acceptor.step(base64.b64decode(token))
        except Exception as error:  # whatever is wrong with a token, it is refused
            return f"NA {type(error).__name__}"
        return f"AF {acceptor.user}" if acceptor.user else f"TT {base64.b64encode(answer or b'').decode()}"


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64
    context: Union[ssl.SSLContext, None] = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        """The handshake is done in the thread of the connection."""
        if self.context is not None:
            request = self.context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)
        if self.context is not None:
            request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def main(port: str, checker_port: str, hostname: str, cert_file: str, key_file: str) -> None:
    """Serve until the process is ended."""
    with open(cert_file, encoding="ascii") as file:
        leaf, end, _ = file.read().partition("-----END CERTIFICATE-----")
    Web.certificate = ssl.PEM_cert_to_DER_cert(leaf + end)
    Web.hostname = hostname
    web, checker = _Server(("127.0.0.1", int(port)), Web), _Server(("127.0.0.1", int(checker_port)), Checker)
    web.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    web.context.load_cert_chain(cert_file, key_file)
    threading.Thread(target=checker.serve_forever, daemon=True).start()
    web.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
