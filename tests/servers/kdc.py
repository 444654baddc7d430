"""An MIT KDC for the realm EXAMPLE.TEST, with keytabs of its services and of a user."""

from __future__ import annotations

from pathlib import Path

from .bed import Server
from .daemons import Daemon, ServerError, found, free_port, listening, run
from .people import GIS, NAMES, OTHER, PASSWORDS, PROXY, REALM, USER, UTF8_PASSWORDS, UTF8_USER

_KRB5_CONF = """\
[libdefaults]
    default_realm = {realm}
    dns_lookup_realm = false
    dns_lookup_kdc = false
    dns_canonicalize_hostname = false
    rdns = false
    forwardable = true
[realms]
    {realm} = {{
        kdc = {kdc}
    }}
[domain_realm]
    .{domain} = {realm}
"""
KDC_CONF = """\
[kdcdefaults]
    kdc_listen = 127.0.0.1:{port}
    kdc_tcp_listen = 127.0.0.1:{port}
[realms]
    {realm} = {{
        database_name = {folder}/principal
        key_stash_file = {folder}/stash
        acl_file = {folder}/kadm5.acl
        max_renewable_life = 1d
    }}
"""
BRIEF, STALE = "brief", "stale"
"""Users whose tickets last 20 seconds, and whose password has expired; their passwords are those of `USER`."""


def krb5_conf(realm: str, kdc: str) -> str:
    """What the libraries of MIT Kerberos are told of a realm, whose KDC has the address `kdc`."""
    return _KRB5_CONF.format(realm=realm, domain=realm.lower(), kdc=kdc)


class Kdc(Server):
    """The KDC. `env` is what a client needs of it; `kinit` gets a ticket into a cache of its own."""

    name = "kdc"
    needs = ("krb5kdc", "kdb5_util", "kadmin.local", "kinit")

    def start(self) -> None:
        """Make the database, the keytabs and the configuration, and start the KDC."""
        self.port = free_port()
        self.config = self.folder / "krb5.conf"
        self.config.write_text(krb5_conf(REALM, f"127.0.0.1:{self.port}"))
        profile = self.folder / "kdc.conf"
        profile.write_text(KDC_CONF.format(realm=REALM, port=self.port, folder=self.folder))
        self.env = {"KRB5_CONFIG": str(self.config)}
        server_env = {**self.env, "KRB5_KDC_PROFILE": str(profile)}
        run(["kdb5_util", "-r", REALM, "create", "-s", "-P", "master-pw"], env=server_env)
        run(["kadmin.local", "-r", REALM], env=server_env, stdin=self._commands())
        for name in (USER, *NAMES):
            if not self.keytab(name).exists():
                raise ServerError(f"kadmin.local made no keytab of {name}")
            self.keytab(name).chmod(0o644)  # httpd and Squid read theirs as other users
        command = [found("krb5kdc"), "-n", "-r", REALM]
        self.daemon(Daemon("kdc", command, self.bed.state, env=server_env, ready=listening(self.port)))

    def keytab(self, name: str) -> Path:
        """The keys of `USER`, or of the HTTP service at a host."""
        return self.folder / f"{name}.keytab"

    def kinit(self, cache: Path, user: str = USER, password: str = "") -> dict[str, str]:
        """Get a ticket into the file `cache`, with a password or else the keytab; the environment in which it is used.

        Raises `ServerError` with what kinit says.
        """
        env = {**self.env, "KRB5CCNAME": f"FILE:{cache}"}
        keytab = [] if password else ["-k", "-t", str(self.keytab(user))]
        run(["kinit", *keytab, user], env=env, stdin=password and password + "\n")
        return env

    def _commands(self) -> str:
        principals = {USER: PASSWORDS["krb"], UTF8_USER: UTF8_PASSWORDS["krb"]}
        lines = [f'add_principal -pw "{password}" {user}' for user, password in principals.items()]
        lines.append(f'add_principal -pw "{PASSWORDS["krb"]}" -maxlife "20 seconds" {BRIEF}')
        lines.append(f'add_principal -pw "{PASSWORDS["krb"]}" -pwexpire "2020-01-01 00:00:00" {STALE}')
        lines += [f"add_principal -randkey HTTP/{host}" for host in (GIS, PROXY, OTHER)]
        lines += [f"ktadd -norandkey -k {self.keytab(USER)} {USER}"]
        lines += [f"ktadd -norandkey -k {self.keytab(host)} HTTP/{host}" for host in (GIS, PROXY, OTHER)]
        return "\n".join([*lines, ""])

    def describe(self) -> list[str]:
        """See `Server`."""
        cache = f"FILE:{self.folder}/cache"
        return [
            f"KDC of {REALM} at 127.0.0.1:{self.port}",
            f"export KRB5_CONFIG={self.config} KRB5CCNAME={cache}; kinit -k -t {self.keytab(USER)} {USER}; klist",
        ]


def replay_cache(folder: Path) -> dict[str, str]:
    """The setting that keeps a server's replay cache in `folder`, where others do not meet it."""
    return {"KRB5RCACHENAME": f"file2:{folder}/replay-cache"}


def faked_time(shift: str) -> dict[str, str]:
    """The setting that has a process believe that it is later (``+10m``) or earlier (``-10m``)."""
    library = found("faketime/libfaketimeMT.so.1")
    return {"LD_PRELOAD": library, "FAKETIME": shift, "FAKETIME_NO_CACHE": "1"}
