"""Squid, with a port for each way to sign in at a proxy, and ports that speak TLS to their clients."""

from __future__ import annotations

import hashlib
import os
import shutil

from .bed import Server
from .daemons import Daemon, found, free_port, listening, run
from .epa import Epa
from .kdc import Kdc, replay_cache
from .people import GIS, OTHER, PASSWORDS, PROXY, REALM, USER, UTF8_PASSWORDS, UTF8_USER

HELPERS = "/usr/lib/squid"
WAYS = ("open", "basic", "digest", "negotiate", "ntlm", "tls", "tls-basic")
CONF = """\
{ports}
pid_filename {folder}/run/pid
cache_log {folder}/run/cache.log
access_log stdio:{folder}/run/access.log
coredump_dir {folder}/run
hosts_file {folder}/hosts
dns_nameservers 127.0.0.1
udp_outgoing_address 127.0.0.1
visible_hostname {name}
cache deny all
cache_mem 8 MB
memory_cache_shared off
max_filedescriptors 1024
pinger_enable off
netdb_filename none
shutdown_lifetime 0 seconds
auth_param negotiate program {helpers}/negotiate_kerberos_auth -k {keytab} -s HTTP/{name}@{realm}
auth_param negotiate children 8 startup=1 idle=1
auth_param ntlm program {python} {folder}/ntlm_helper.py {checker_port}
auth_param ntlm children 20 startup=1 idle=1
auth_param digest program {helpers}/digest_file_auth -c {folder}/digest.users
auth_param digest children 2 startup=1 idle=1
auth_param digest realm proxy
auth_param digest utf8 on
auth_param basic program {helpers}/basic_ncsa_auth {folder}/basic.users
auth_param basic children 2 startup=1 idle=1
auth_param basic realm proxy
auth_param basic utf8 on
auth_param basic credentialsttl 1 minute
{schemes}
acl anonymous myportname open tls
acl signed_in proxy_auth REQUIRED
http_access allow anonymous
http_access allow signed_in
http_access deny all
"""
# Squid runs it as its own user, who may not be able to enter where this project and its environment are.
HELPER = '''\
"""A helper of Squid: carries its questions to the acceptor, which has pyspnego, and the answers back."""
import socket
import sys

with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as sock, sock.makefile("rb") as answers:
    for line in sys.stdin.buffer:
        sock.sendall(line)
        sys.stdout.buffer.write(answers.readline())
        sys.stdout.buffer.flush()
'''


class Squid(Server):
    """Squid; `url` is the proxy's address for one of `WAYS`, with its name, which Kerberos needs."""

    name = "squid"
    needs = ("squid", f"{HELPERS}/negotiate_kerberos_auth", f"{HELPERS}/security_file_certgen", "htpasswd", "python3")
    servers = (Epa, Kdc)
    modules = Epa.modules

    def start(self) -> None:
        """Start it after the KDC, and the acceptor that checks NTLM."""
        self.kdc = self.bed.start(Kdc)
        self.ports = {way: free_port() for way in WAYS}
        self._write_files()
        conf = self.folder / "squid.conf"
        conf.write_text(self._config())
        # Its shared memory is named after the service; two with one name would not start.
        command = [found("squid"), "-n", f"bed{self.ports['open']}", "-N", "-f", conf]
        env = {**self.kdc.env, **replay_cache(self.folder / "run")}
        ready, log = listening(*self.ports.values()), self.folder / "run" / "cache.log"
        self.process = self.daemon(Daemon("squid", command, self.bed.state, ready=ready, env=env, log=log))

    def url(self, way: str, userinfo: str = "") -> str:
        """The address of the proxy, with `userinfo` (``user:password``) where given."""
        scheme = "https" if way.startswith("tls") else "http"
        return f"{scheme}://{userinfo + '@' if userinfo else ''}{PROXY}:{self.ports[way]}"

    def log(self) -> list[str]:
        """The lines of its access log."""
        return (self.folder / "run" / "access.log").read_text().splitlines()

    def _write_files(self) -> None:
        folder = self.folder
        (folder / "run").mkdir()
        if os.getuid() == 0:
            shutil.chown(folder / "run", "proxy", "proxy")
        (folder / "hosts").write_text("".join(f"127.0.0.1 {name}\n" for name in (GIS, PROXY, OTHER)))
        (folder / "ntlm_helper.py").write_text(HELPER)
        people = ((USER, PASSWORDS["proxy"]), (UTF8_USER, UTF8_PASSWORDS["proxy"]))
        with open(folder / "basic.users", "w", encoding="utf-8") as basic, open(folder / "digest.users", "w") as digest:
            for user, password in people:
                basic.write(run(["htpasswd", "-nim", user], stdin=password).strip() + "\n")
                digest.write(f"{user}:proxy:{hashlib.md5(f'{user}:proxy:{password}'.encode()).hexdigest()}\n")

    def _config(self) -> str:
        identity = self.bed.ca.server(PROXY)
        ports, schemes = [], []
        for way, port in self.ports.items():
            tls = f" tls-cert={identity.cert_file} tls-key={identity.key_file}" if way.startswith("tls") else ""
            ports.append(f"{'https_port' if tls else 'http_port'} 127.0.0.1:{port} name={way}{tls}")
            scheme = way.rpartition("-")[2]
            if scheme in ("basic", "digest", "negotiate", "ntlm"):
                schemes += [f"acl at_{way} myportname {way}", f"auth_schemes {scheme} at_{way}"]
        values = {"folder": self.folder, "name": PROXY, "realm": REALM, "helpers": HELPERS, "python": found("python3")}
        values.update(keytab=self.kdc.keytab(PROXY), checker_port=self.bed.start(Epa).checker_port)
        return CONF.format(ports="\n".join(ports), schemes="\n".join(schemes), **values)

    def describe(self) -> list[str]:
        """See `Server`."""
        curl = f"curl --connect-to ::127.0.0.1: -x http://127.0.0.1:{self.ports['basic']} -U {USER}:{PASSWORDS['proxy']}"
        return [*(f"{way}: {self.url(way)}" for way in WAYS), f"{curl} URL"]
