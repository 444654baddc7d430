"""Servers in the domain of `samba.py`: httpd as the web tier of an embedded portal, as IIS would be one, and Squid."""

from __future__ import annotations

import shutil
import time

from esri_http.testing import EmbeddedPortal

from .apache import MAIN, MODULES, TLS, Apache
from .backend import REMOTE_USER, portal_behind
from .bed import Server
from .daemons import PATIENCE, Daemon, ServerError, found, free_port, listening
from .kdc import replay_cache
from .samba import ADDRESS, AMY, BASE, PRIVILEGED_GROUP, PROXY_NAME, READER, REALM, WEB_NAME, ActiveDirectory
from .schemes import Scheme

_LOADED = (
    *("mpm_event", "headers", "proxy", "proxy_http", "ssl", "socache_shmcb"),
    *("authn_core", "authz_core", "authz_user", "auth_basic", "ldap", "authnz_ldap", "auth_gssapi", "status"),
)
_GSSAPI = (
    *("AuthType GSSAPI", 'AuthName "GIS"', f"GssapiAcceptorName HTTP@{WEB_NAME}", "GssapiCredStore keytab:{keytab}"),
    *("GssapiConnectionBound On", "GssapiSignalPersistentAuth On", "GssapiAllowedMech krb5", "Require valid-user"),
)
_LDAP = (
    *("AuthType Basic", 'AuthName "GIS"', "AuthBasicProvider ldap", "Require valid-user"),
    f'AuthLDAPURL "ldaps://{ADDRESS}/{BASE}?sAMAccountName?sub"',
    f"AuthLDAPBindDN {READER.principal}",
    f"AuthLDAPBindPassword {READER.password}",
)
SCHEMES = (
    Scheme("krb", _GSSAPI),
    # Kerberos, raw NTLM, and NTLM in SPNEGO, both checked by winbindd.
    Scheme("iwa", (*_GSSAPI, "GssapiAllowedMech ntlmssp")),
    Scheme("ldap", _LDAP),
)
SQUID = """\
http_port 127.0.0.1:{ports[negotiate]} name=negotiate
http_port 127.0.0.1:{ports[ntlm]} name=ntlm
visible_hostname {name}
hosts_file {folder}/hosts
udp_outgoing_address 127.0.0.1
cache_effective_user proxy
cache_effective_group {group}
pid_filename {folder}/run/pid
access_log stdio:{folder}/run/access.log
cache_log {folder}/run/cache.log
coredump_dir none
pinger_enable off
cache deny all
shutdown_lifetime 0 seconds
auth_param negotiate program {negotiate} --ntlm {ntlm_auth} --helper-protocol=gss-spnego --kerberos {kerberos}
auth_param negotiate children 4 startup=1
auth_param negotiate keep_alive on
auth_param ntlm program {ntlm_auth} --helper-protocol=squid-2.5-ntlmssp
auth_param ntlm children 4 startup=1
auth_param ntlm keep_alive on
acl negotiate_port myportname negotiate
acl ntlm_port myportname ntlm
auth_schemes negotiate negotiate_port
auth_schemes ntlm ntlm_port
acl signed_in proxy_auth REQUIRED
http_access allow signed_in
http_access deny all
"""


class DomainApache(Apache):
    """httpd as a member of the domain. `url`, `portal`, `exchanges` and so on are those of `Apache`; its paths are few."""

    name = "domain-apache"
    needs = ("apache2", f"{MODULES}/mod_auth_gssapi.so", "gssntlmssp/gssntlmssp.so")
    servers = (ActiveDirectory,)

    def start(self) -> None:
        """Start the portals and the domain, then httpd in front of them."""
        self.domain = self.bed.start(ActiveDirectory)
        self.ports = {"https": free_port(), "http": free_port()}
        self.portals: dict[str, EmbeddedPortal] = {}
        for scheme in SCHEMES:
            self.portals[scheme.path] = self.stack.enter_context(portal_behind(self.url(f"/{scheme.path}")))
        self._logged = 0
        (self.folder / "run").mkdir()
        shutil.chown(self.folder / "run", "www-data")
        config = self.folder / "httpd.conf"
        config.write_text(self._config())
        env = {**self.domain.env, **replay_cache(self.folder / "run")}
        command = [found("apache2"), "-DFOREGROUND", "-f", config]
        ready, log = listening(*self.ports.values()), self.folder / "error.log"
        self.process = self.daemon(Daemon(self.name, command, self.bed.state, ready=ready, env=env, log=log))

    def url(self, path: str = "/", port: str = "https") -> str:
        """The address of `path` at one of the ports ``https`` and ``http``."""
        return f"{port}://{WEB_NAME}:{self.ports[port]}{path}"

    def _config(self) -> str:
        lines = [f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in _LOADED]
        lines += ["User www-data", f"Group {PRIVILEGED_GROUP}", f"LDAPTrustedGlobalCert CA_BASE64 {self.bed.ca.file}"]
        lines += ["LDAPCacheEntries 0", "LDAPOpCacheEntries 0"]  # so that the domain is asked each time
        lines += [MAIN.format(name=WEB_NAME, folder=self.folder, remote_user=REMOTE_USER)]
        for scheme in SCHEMES:
            portal = self.portals[scheme.path]
            lines += [f"ProxyPass /{scheme.path}/echo {portal.portal_site.address}/portal/echo"]
            lines += [f"ProxyPass /{scheme.path}{site.context} {site.address}{site.context}" for site in portal.sites]
            lines += [scheme.location(keytab=self.domain.keytab)]
        identity = self.bed.ca.server(WEB_NAME)
        tls = TLS.format(cert=identity.cert_file, key=identity.key_file, ca=self.bed.ca.file)
        for name, port in self.ports.items():
            lines += [f"Listen 127.0.0.1:{port}", f"<VirtualHost 127.0.0.1:{port}>", tls if name == "https" else ""]
            lines += ["</VirtualHost>"]
        return "\n".join([*lines, ""])

    def describe(self) -> list[str]:
        """See `Server`."""
        curl = f"curl --cacert {self.bed.ca.file} --connect-to '{WEB_NAME}::127.0.0.1:'"
        return [
            f"paths of {self.url('')}: " + " ".join(f"/{scheme.path}/" for scheme in SCHEMES),
            f"{curl} -u {AMY.name}:{AMY.password} {self.url('/ldap/echo')}",
        ]


class DomainSquid(Server):
    """Squid as a member of the domain. `ports` has one that wants Negotiate, and one that wants NTLM."""

    name = "domain-squid"
    needs = ("squid", "ntlm_auth", "/usr/lib/squid/negotiate_wrapper_auth", "/usr/lib/squid/negotiate_kerberos_auth")
    servers = (ActiveDirectory,)

    def start(self) -> None:
        """Start the domain, then Squid."""
        domain = self.bed.start(ActiveDirectory)
        self.ports = {"negotiate": free_port(), "ntlm": free_port()}
        (self.folder / "run").mkdir()
        shutil.chown(self.folder / "run", "proxy")
        (self.folder / "hosts").write_text(f"127.0.0.1 {WEB_NAME}\n")
        service = f"-k {domain.keytab} -s HTTP/{PROXY_NAME}@{REALM}"
        values = {
            "ports": self.ports,
            "name": PROXY_NAME,
            "folder": self.folder,
            "group": PRIVILEGED_GROUP,
            "ntlm_auth": f"{found('ntlm_auth')} --configfile={domain.smb_conf}",
            "negotiate": found("/usr/lib/squid/negotiate_wrapper_auth"),
            "kerberos": f"{found('/usr/lib/squid/negotiate_kerberos_auth')} {service}",
        }
        config = self.folder / "squid.conf"
        config.write_text(SQUID.format(**values))
        env = {**domain.env, **replay_cache(self.folder / "run")}
        command = [found("squid"), "-n", f"domain{self.ports['ntlm']}", "-N", "-f", config]
        ready, log = listening(*self.ports.values()), self.folder / "run" / "cache.log"
        self.process = self.daemon(Daemon(self.name, command, self.bed.state, ready=ready, env=env, log=log))

    def url(self, scheme: str) -> str:
        """The address of the port ``negotiate`` or ``ntlm``."""
        return f"http://{PROXY_NAME}:{self.ports[scheme]}"

    def users(self, since: int = 0, at_least: int = 0) -> list[str]:
        """Whom it let through, request for request, without the first `since`; waits for `at_least` more."""
        ends_at = time.monotonic() + PATIENCE
        while True:
            lines = (self.folder / "run" / "access.log").read_text().splitlines()
            users = [line.split()[7].replace("\\\\", "\\") for line in lines if "TCP_DENIED" not in line]
            users = [user for user in users if user != "-"][since:]
            if len(users) >= at_least:
                return users
            if time.monotonic() > ends_at:
                raise ServerError(f"Squid let through {users}")
            time.sleep(0.01)

    def describe(self) -> list[str]:
        """See `Server`."""
        return [f"Squid in the domain: {self.url('negotiate')} (Negotiate), {self.url('ntlm')} (NTLM)"]
