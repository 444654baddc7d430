"""Apache httpd as the web tier of an embedded portal, once for each way to sign in that it knows; see `SCHEMES`."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import time
from pathlib import Path
from typing import NamedTuple

from esri_http.testing import EmbeddedPortal

from .backend import REMOTE_USER, portal_behind
from .bed import Server
from .daemons import Daemon, ServerError, found, free_port, listening, run
from .kdc import Kdc, faked_time, replay_cache
from .people import DOMAIN, GIS, PASSWORDS, USER, UTF8_PASSWORDS, UTF8_USER
from .schemes import SCHEMES
from .slapd import BASE, Slapd

MODULES = "/usr/lib/apache2/modules"
_LOADED = (
    *("mpm_event", "headers", "proxy", "proxy_http", "ssl", "socache_shmcb", "session", "session_cookie"),
    *("authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "auth_digest", "ldap", "authnz_ldap"),
    *("auth_gssapi", "reqtimeout", "status"),
)
MAIN = """\
ServerName {name}
ServerRoot {folder}
DefaultRuntimeDir {folder}/run
PidFile {folder}/run/pid
Mutex file:{folder}/run default
ErrorLog {folder}/error.log
LogLevel warn auth_gssapi:info
LogFormat "%{{remote}}p %k %m %U %>s %I %u" exchange
CustomLog {folder}/access.log exchange
StartServers 1
ServerLimit 2
ThreadsPerChild 32
MaxRequestWorkers 64
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 5
Timeout 20
ProxyTimeout 20
ProxyPreserveHost On
SSLProtocol -all +TLSv1.2 +TLSv1.3
SSLSessionCache shmcb:{folder}/run/sessions(65536)
RequestHeader set {remote_user} "expr=%{{REMOTE_USER}}"
RequestHeader set X-Client-Port "expr=%{{REMOTE_PORT}}"
RequestHeader set X-Original-Path "expr=%{{REQUEST_URI}}"
RequestHeader set X-Deleg-Ccache "expr=%{{reqenv:KRB5CCNAME}}"
<Location /httpd-status>
SetHandler server-status
</Location>
"""
TLS = """\
SSLEngine On
SSLCertificateFile {cert}
SSLCertificateKeyFile {key}
SSLCACertificateFile {ca}
"""


class Exchange(NamedTuple):
    """A request as httpd logged it: the port of its client, how many came before it on that connection, and so on."""

    client_port: int
    before: int
    method: str
    path: str
    status: int
    received: int
    """Bytes of the request that came in, head and body."""
    user: str


class Apache(Server):
    """httpd. `url` gives the address of a path, `portal` the embedded portal behind a way to sign in."""

    name = "apache"
    needs = ("apache2", "htpasswd", f"{MODULES}/mod_auth_gssapi.so", "gssntlmssp/gssntlmssp.so")
    servers = (Kdc, Slapd)
    def start(self) -> None:
        """Start the portals, then the KDC and slapd, then httpd in front of them."""
        self.portals: dict[str, EmbeddedPortal] = {}
        self.ports = {name: free_port() for name in ("https", "http", "certificate", "tls12")}
        for scheme in SCHEMES:
            public_url = f"https://{GIS}:{self.ports[scheme.port]}/{scheme.path}"
            self.portals[scheme.path] = self.stack.enter_context(portal_behind(public_url))
        self.kdc = self.bed.start(Kdc)
        self.slapd = self.bed.start(Slapd)
        self._write_users()
        self._logged = 0
        config = self.folder / "httpd.conf"
        config.write_text(self._config())
        env = {**self.kdc.env, **replay_cache(self.folder / "run"), **self.more_env}
        env["NTLM_USER_FILE"] = str(self.folder / "ntlm.users")
        command = [found("apache2"), "-DFOREGROUND", "-f", config]
        ready, log = listening(*self.ports.values()), self.folder / "error.log"
        self.process = self.daemon(Daemon(self.name, command, self.bed.state, ready=ready, env=env, log=log))

    @property
    def more_env(self) -> dict[str, str]:
        """What its processes get beside the usual environment."""
        return {}

    def url(self, path: str = "/", port: str = "https") -> str:
        """The address of `path` at one of the ports ``https``, ``http``, ``certificate`` and ``tls12``."""
        return f"{'http' if port == 'http' else 'https'}://{GIS}:{self.ports[port]}{path}"

    def portal(self, scheme: str) -> EmbeddedPortal:
        """The portal behind the path of a scheme. Its URLs are those outside, its record is of what httpd let through."""
        return self.portals[scheme]

    def forget(self) -> None:
        """Let `exchanges` begin anew."""
        self.exchanges()

    def exchanges(self) -> list[Exchange]:
        """What came in since this was last asked, refused requests and all, in the order in which they were answered."""
        ends_at = time.monotonic() + 10
        while True:
            is_idle = self._is_idle()  # httpd answers first, and logs afterwards
            lines = (self.folder / "access.log").read_text().splitlines()
            if is_idle:
                break
            if time.monotonic() > ends_at:
                raise ServerError("httpd does not come to rest")
            time.sleep(0.002)
        new, self._logged = lines[self._logged :], len(lines)
        return [_exchange(line) for line in new if "/httpd-status" not in line]

    def _is_idle(self) -> bool:
        """Whether httpd does nothing but say that."""
        with socket.create_connection(("127.0.0.1", self.ports["http"]), 10) as sock:
            sock.sendall(f"GET /httpd-status?auto HTTP/1.1\r\nHost: {GIS}\r\nConnection: close\r\n\r\n".encode())
            said = b"".join(iter(lambda: sock.recv(4096), b"")).decode()
        board = re.search(r"^Scoreboard: (\S+)", said, re.MULTILINE)
        if board is None:
            raise ServerError(f"httpd does not tell its status: {said[:200]}")
        return sum(map(board[1].count, "WL")) == 1 and "ConnsAsyncWriting: 0" in said

    def errors(self) -> str:
        """What is in its error log."""
        return (self.folder / "error.log").read_text(errors="replace")

    def _write_users(self) -> None:
        folder = self.folder
        for user, password in ((USER, PASSWORDS["basic"]), (UTF8_USER, UTF8_PASSWORDS["basic"])):
            with open(folder / "basic.users", "a", encoding="utf-8") as file:
                file.write(run(["htpasswd", "-niB", "-C", "4", user], stdin=password).strip() + "\n")
        with open(folder / "digest.users", "w", encoding="utf-8") as file:
            for user, password in ((USER, PASSWORDS["digest"]), (UTF8_USER, UTF8_PASSWORDS["digest"])):
                file.write(f"{user}:GIS:{hashlib.md5(f'{user}:GIS:{password}'.encode()).hexdigest()}\n")
        write_ntlm_users(folder / "ntlm.users")
        (folder / "run").mkdir()
        if os.getuid() == 0:
            shutil.chown(folder / "run", "www-data", "www-data")

    def _config(self) -> str:
        folder = self.folder
        lines = [f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in _LOADED]
        lines += ["User www-data", "Group www-data"] if os.getuid() == 0 else []
        lines += [MAIN.format(name=GIS, folder=folder, remote_user=REMOTE_USER)]
        values = {"folder": folder, "ldap": self.slapd.url, "base": BASE, "keytab": self.kdc.keytab(GIS)}
        for scheme in SCHEMES:
            portal = self.portals[scheme.path]
            lines += [f"ProxyPass /{scheme.path}/echo {portal.portal_site.address}/portal/echo"]
            lines += [f"ProxyPass /{scheme.path}{site.context} {site.address}{site.context}" for site in portal.sites]
            lines += [scheme.location(**values)]
        identity = self.bed.ca.server(GIS)
        tls = TLS.format(cert=identity.cert_file, key=identity.key_file, ca=self.bed.ca.file)
        hosts = {"http": "", "https": tls, "certificate": f"{tls}SSLVerifyClient require\n"}
        hosts["tls12"] = f"{tls}SSLProtocol TLSv1.2\n"
        for name, port in self.ports.items():
            lines += [f"Listen 127.0.0.1:{port}", f"<VirtualHost 127.0.0.1:{port}>", hosts[name] + "</VirtualHost>"]
        return "\n".join([*lines, ""])

    def describe(self) -> list[str]:
        """See `Server`."""
        curl = f"curl --cacert {self.bed.ca.file} --connect-to ::127.0.0.1:"
        base, env = self.url("", "https"), f"KRB5_CONFIG={self.kdc.config} KRB5CCNAME=FILE:{self.kdc.folder}/cache"
        return [
            *(f"{name}: {self.url('/', name)}" for name in self.ports),
            "paths: " + " ".join(f"/{scheme.path}/" for scheme in SCHEMES) + ", each with echo, portal, server and arcgis",
            f"{curl} -u {USER}:{PASSWORDS['basic']} {base}/basic/echo",
            f"{curl} --digest -u {USER}:{PASSWORDS['digest']} {base}/digest/echo",
            f"{env} kinit -k -t {self.kdc.keytab(USER)} {USER}; {env} {curl} --negotiate -u : {base}/krb/echo",
            f"NTLM (raw, or in Negotiate) at {base}/iwa/echo: {DOMAIN}\\{USER} with {PASSWORDS['ntlm']}",
            f"{curl} --cert {self.bed.ca.client('amy@example.test').combined_file} {self.url('/pki-host/echo', 'certificate')}",
        ]


class LateApache(Apache):
    """Another httpd, whose clock is ten minutes fast: it believes no ticket."""

    name = "late-apache"
    needs = (*Apache.needs, "faketime/libfaketimeMT.so.1")

    @property
    def more_env(self) -> dict[str, str]:
        """See `Apache`."""
        return faked_time("+10m")


def write_ntlm_users(path: Path) -> None:
    """The users of a server, which gets the file as NTLM_USER_FILE. A client would use it as well, so never a test."""
    people = {USER: PASSWORDS["ntlm"], UTF8_USER: UTF8_PASSWORDS["ntlm"]}
    path.write_text("".join(f"{DOMAIN}:{user}:{password}\n" for user, password in people.items()), encoding="utf-8")


def _exchange(line: str) -> Exchange:
    match = re.fullmatch(r"(\d+) (\d+) (\S+) (.*) (\d+) (\d+) (\S+)", line)
    assert match, line
    port, before, method, path, status, received, user = match.groups()
    return Exchange(int(port), int(before), method, path, int(status), int(received), "" if user == "-" else user)
