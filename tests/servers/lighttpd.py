"""lighttpd: Digest with SHA-256, with two challenges, and with hashed user names; a second server for Kerberos."""

from __future__ import annotations

import hashlib
import os
import shutil

from .backend import portal_behind
from .bed import Server
from .daemons import Daemon, found, free_port, listening
from .kdc import Kdc, replay_cache
from .people import GIS, PASSWORDS, USER, UTF8_PASSWORDS, UTF8_USER

MODULES = "/usr/lib/lighttpd"
_DIGEST = '"method" => "digest", "realm" => "GIS", "require" => "valid-user"'
CONF = """\
server.modules = ("mod_auth", "mod_authn_file", "mod_authn_gssapi", "mod_openssl", "mod_proxy", "mod_accesslog")
server.document-root = "{folder}/run"
server.pid-file = "{folder}/run/pid"
server.errorlog = "{folder}/run/error.log"
accesslog.filename = "{folder}/run/access.log"
server.bind = "127.0.0.1"
server.port = {port}
{user}
# Its two challenges break its own HTTP/2.
server.feature-flags = ("server.h2proto" => "disable", "server.h2c" => "disable")
$SERVER["socket"] == "127.0.0.1:{tls_port}" {{
    ssl.engine = "enable"
    ssl.pemfile = "{cert}"
    ssl.privkey = "{key}"
}}
auth.backend = "htdigest"
auth.backend.htdigest.userfile = "{folder}/digest.users"
auth.backend.gssapi.keytab = "{keytab}"
auth.backend.gssapi.principal = "HTTP/{name}"
auth.backend.gssapi.store-creds = "disable"
auth.require = (
    "/digest256/" => ({digest}, "algorithm" => "SHA-256"),
    "/digest-both/" => ({digest}, "algorithm" => "MD5|SHA-256"),
    "/digest-userhash/" => ({digest}, "algorithm" => "SHA-256", "userhash" => "enable"),
)
$HTTP["url"] =^ "/krb/" {{
    auth.backend = "gssapi"
    auth.require = ("/krb/" => ("method" => "gssapi", "realm" => "EXAMPLE.TEST", "require" => "valid-user"))
}}
proxy.server = ("/" => (("host" => "127.0.0.1", "port" => {backend})))
proxy.forwarded = ("remote_user" => 1)
proxy.header = ("map-urlpath" => ({paths}))
"""
PATHS = ("digest256", "digest-both", "digest-userhash", "krb")


class Lighttpd(Server):
    """lighttpd; `url` is the address of ``/WAY/echo``, by https or http."""

    name = "lighttpd"
    needs = ("lighttpd", f"{MODULES}/mod_authn_gssapi.so", f"{MODULES}/mod_openssl.so")
    servers = (Kdc,)

    def start(self) -> None:
        """Start an echo, and lighttpd in front of it."""
        kdc = self.bed.start(Kdc)
        self.port, self.tls_port = free_port(), free_port()
        self.portal = self.stack.enter_context(portal_behind(self.url("")))
        (self.folder / "run").mkdir()
        as_root = os.getuid() == 0
        if as_root:
            shutil.chown(self.folder / "run", "www-data", "www-data")
        self._write_users()
        identity = self.bed.ca.server(GIS)
        values = {"folder": self.folder, "port": self.port, "tls_port": self.tls_port, "name": GIS, "digest": _DIGEST}
        values.update(cert=identity.cert_file, key=identity.key_file, keytab=kdc.keytab(GIS))
        values["user"] = 'server.username = "www-data"\nserver.groupname = "www-data"' if as_root else ""
        values["backend"] = int(self.portal.portal_site.address.rpartition(":")[2])
        values["paths"] = ", ".join(f'"/{path}/" => "/portal/"' for path in PATHS)
        conf = self.folder / "lighttpd.conf"
        conf.write_text(CONF.format(**values))
        command = [found("lighttpd"), "-D", "-f", conf, "-m", MODULES]
        env = {**kdc.env, **replay_cache(self.folder / "run")}
        ready, log = listening(self.port, self.tls_port), self.folder / "run" / "error.log"
        self.process = self.daemon(Daemon("lighttpd", command, self.bed.state, ready=ready, env=env, log=log))

    def url(self, path: str, tls: bool = True) -> str:
        """The address of `path`."""
        return f"https://{GIS}:{self.tls_port}{path}" if tls else f"http://{GIS}:{self.port}{path}"

    def _write_users(self) -> None:
        lines = []
        for user, password in ((USER, PASSWORDS["digest"]), (UTF8_USER, UTF8_PASSWORDS["digest"])):
            for algorithm in (hashlib.md5, hashlib.sha256):
                secret = algorithm(f"{user}:GIS:{password}".encode()).hexdigest()
                lines.append(f"{user}:GIS:{secret}:{algorithm(f'{user}:GIS'.encode()).hexdigest()}\n")
        (self.folder / "digest.users").write_text("".join(lines), encoding="utf-8")

    def describe(self) -> list[str]:
        """See `Server`."""
        curl = f"curl --cacert {self.bed.ca.file} --connect-to ::127.0.0.1: --digest -u {USER}:{PASSWORDS['digest']}"
        return [f"lighttpd: {curl} {self.url(f'/{path}/echo')}" for path in PATHS]
