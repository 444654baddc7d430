"""Samba as the domain controller of an Active Directory: its KDC, its LDAP, and winbindd, who checks NTLM for others.

The directory takes seconds to make, so it is made once and kept. Each run works on a copy, in which no password was ever
wrong. LDAP has a fixed port, hence an address of its own; winbindd has a fixed socket, so there is one domain at a time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple, Union

from . import samba_accounts
from .bed import Server
from .daemons import PATIENCE, Daemon, ServerError, clean, found, listening, run
from .kdc import krb5_conf

ADDRESS = "127.0.0.10"
DOMAIN = "AD"
REALM = "AD.EXAMPLE.TEST"
BASE = "DC=ad,DC=example,DC=test"
CONTROLLER = "dc1.ad.example.test"
WEB_NAME = "gis.ad.example.test"
PROXY_NAME = "proxy.ad.example.test"

PRIVILEGED_GROUP = "winbindd_priv"
"""Debian's group of those who may have winbindd check a password; httpd and Squid run in it."""

SMB_CONF = """\
[global]
    netbios name = DC1
    realm = {realm}
    workgroup = {domain}
    server role = active directory domain controller
    server services = rpc, ldap, cldap, kdc, winbindd
    prefork children = 1
    interfaces = {address}/8
    bind interfaces only = yes
    lock directory = {folder}
    private dir = {folder}/private
    state directory = {folder}/state
    cache directory = {folder}/cache
    pid directory = {folder}/run
    ncalrpc dir = {folder}/rpc
    log file = {folder}/log.samba
    logging = file
"""
SMB_CONF_TLS = """\
    tls cafile = {ca}
    tls certfile = {cert}
    tls keyfile = {key}
"""

_ADMIN_PASSWORD = "Admin-ad-pw-0"
_PRIVILEGED = "state/winbindd_privileged"
_LONGEST_SOCKET = 107
_PIPE = "/run/samba/winbindd/pipe"
_LOCK = "/run/samba/esri_http.lock"
_DEBIAN_PYTHON = "/usr/bin/python3"
_MAKING_SECONDS = 600
_TURN_SECONDS = 45.0
_SOURCES = (Path(__file__), Path(samba_accounts.__file__))


class Account(NamedTuple):
    """Somebody in the directory, or a server, with its service principals."""

    name: str
    password: str
    state: str = ""
    """`samba_accounts.STATES` has them."""
    services: tuple[str, ...] = ()

    @property
    def down_level(self) -> str:
        r"""``DOMAIN\user``."""
        return f"{DOMAIN}\\{self.name}"

    @property
    def principal(self) -> str:
        """``user@DOMAIN``, which is also the name for Kerberos."""
        return f"{self.name}@{REALM}"


AMY = Account("amy", "amy-ad-pw-1")
ZOE = Account("zoë", "wörd €:ad-2")
EXPIRED = Account("stale", "stale-ad-pw-3", "expired")
MUST_CHANGE = Account("newcomer", "newcomer-ad-pw-4", "must change")
DISABLED = Account("gone", "gone-ad-pw-5", "disabled")
LEFT = Account("leaver", "leaver-ad-pw-6", "left")
READER = Account("reader", "reader-ad-pw-7")
"""As whom a server looks for people in LDAP."""
WEB = Account("web", "web-ad-pw-8", services=(f"HTTP/{WEB_NAME}", f"HTTP/{PROXY_NAME}"))

ACCOUNTS = (AMY, ZOE, EXPIRED, MUST_CHANGE, DISABLED, LEFT, READER, WEB)


class ActiveDirectory(Server):
    """The domain controller. `env` is what a Kerberos client needs of it, `keytab` what the servers in the domain do."""

    name = "active-directory"
    needs = (
        *("samba", "samba-tool", "winbindd", "wbinfo", "ldapsearch", "kinit", "samba/ldb/samba_dsdb.so"),
        *("/usr/share/samba/setup/provision.ldif", "python3/dist-packages/samba/__init__.py"),
    )

    @classmethod
    def missing(cls) -> Union[str, None]:
        """See `Server`; its ports want root's rights, too."""
        absent = super().missing()
        return absent or (None if os.geteuid() == 0 else "needs root's rights for ports 88 and 389")

    def start(self) -> None:
        """Copy the kept directory, or make it first, and let Samba run on the copy."""
        self.directory = self.bed.state.new_folder("ad")
        if len(f"{self.directory}/{_PRIVILEGED}/pipe") > _LONGEST_SOCKET:
            raise ServerError(f"{self.directory} is too long for Samba's sockets; set ESRI_HTTP_SERVERS_STATE to a short path")
        self.keytab = self.directory / "web.keytab"
        shutil.copytree(self._kept(), self.directory, dirs_exist_ok=True)
        self.directory.chmod(0o755)
        give_to_servers(self.directory / _PRIVILEGED, 0o750)
        give_to_servers(self.keytab, 0o640)
        config = self.folder / "krb5.conf"
        config.write_text(krb5_conf(REALM, f"{ADDRESS}:88"))
        self.env = {"KRB5_CONFIG": str(config)}
        self.smb_conf = self.folder / "smb.conf"
        self.smb_conf.write_text(settings(self.directory) + self._tls())
        self.stack.enter_context(the_only_domain())
        command = [found("samba"), "--foreground", "--no-process-group", f"--configfile={self.smb_conf}"]
        listens = listening(88, 389, 636, host=ADDRESS)
        log = self.directory / "log.samba"
        self.daemon(Daemon("samba", command, self.bed.state, ready=lambda: listens() and winbindd_answers(), log=log))

    def kinit(self, cache: Path, account: Account = AMY) -> dict[str, str]:
        """Get a ticket into the file `cache`; the environment in which it is used. `ServerError` says what kinit says."""
        env = {**self.env, "KRB5CCNAME": f"FILE:{cache}"}
        run(["kinit", account.principal], env=env, stdin=account.password + "\n")
        return env

    def bad_password_count(self, account: Account) -> int:
        """How many wrong passwords of `account` the domain has counted since the last right one."""
        command = ["ldapsearch", "-x", "-LLL", "-H", f"ldaps://{ADDRESS}", "-b", BASE]
        command += ["-D", f"Administrator@{REALM}", "-w", _ADMIN_PASSWORD, f"(sAMAccountName={account.name})", "badPwdCount"]
        lines = run(command, env={"LDAPTLS_CACERT": self.bed.ca.file}).splitlines()
        return sum(int(line.partition(": ")[2]) for line in lines if line.startswith("badPwdCount: "))

    def describe(self) -> list[str]:
        """See `Server`."""
        return [
            f"Active Directory {REALM} ({DOMAIN}) at {ADDRESS}",
            f"echo {AMY.password} | KRB5_CONFIG={self.env['KRB5_CONFIG']} kinit -c {self.folder}/cache {AMY.principal}",
            f"wbinfo -a '{AMY.down_level}%{AMY.password}'",
        ]

    def _tls(self) -> str:
        identity = self.bed.ca.server(CONTROLLER, ADDRESS)
        # Samba refuses a key that others might read.
        key = self.folder / "key.pem"
        key.touch(mode=0o600)
        key.write_bytes(identity.key_pem)
        return SMB_CONF_TLS.format(ca=self.bed.ca.file, cert=identity.cert_file, key=key)

    def _kept(self) -> Path:
        """The folder of a directory that was never used, made where there is none for this Samba and these accounts."""
        digest = hashlib.sha256(run([found("samba"), "--version"]).encode())
        for source in _SOURCES:
            digest.update(source.read_bytes())
        folder = self.bed.state.kept_folder("samba")
        kept = folder / digest.hexdigest()[:16]
        if not kept.exists():
            for outdated in folder.iterdir():
                if time.time() - outdated.stat().st_mtime > _MAKING_SECONDS:  # or another run may be making it
                    shutil.rmtree(outdated, ignore_errors=True)
            new = Path(tempfile.mkdtemp(prefix="new-", dir=folder))
            make_directory(new)
            # Whole or not at all, also where this run is killed; and another run may have been quicker.
            with contextlib.suppress(OSError):
                new.rename(kept)
            shutil.rmtree(new, ignore_errors=True)
        return kept


def settings(directory: Path) -> str:
    """The configuration of a Samba whose directory is in that folder."""
    return SMB_CONF.format(realm=REALM, domain=DOMAIN, address=ADDRESS, folder=directory)


def make_directory(folder: Path) -> None:
    """Provision the domain into an empty folder, with its accounts and the keytab of its servers."""
    command = [found("samba-tool"), "domain", "provision", "--server-role=dc", f"--realm={REALM}", f"--domain={DOMAIN}"]
    command += ["--host-name=dc1", f"--host-ip={ADDRESS}", f"--adminpass={_ADMIN_PASSWORD}", "--dns-backend=NONE"]
    command += [f"--targetdir={folder}", f"--option=interfaces={ADDRESS}/8", "--option=bind interfaces only=yes"]
    run(command)
    for name in ("run", "cache", _PRIVILEGED):
        (folder / name).mkdir(exist_ok=True)
    smb_conf = folder / "etc" / "smb.conf"
    smb_conf.write_text(settings(folder))
    wanted = {"smb_conf": str(smb_conf), "base": BASE, "keytab": str(folder / "web.keytab")}
    accounts = [account._asdict() for account in ACCOUNTS]
    # -I: or else this folder's samba.py were Samba's.
    run([_DEBIAN_PYTHON, "-I", samba_accounts.__file__], stdin=json.dumps({**wanted, "accounts": accounts}))


def give_to_servers(path: Path, mode: int) -> None:
    """Let those in, and nobody else, who may ask winbindd."""
    shutil.chown(path, group=PRIVILEGED_GROUP)
    path.chmod(mode)


def winbindd_answers() -> bool:
    """Whether a winbindd is there to check passwords."""
    done = subprocess.run(["wbinfo", "--ping"], env=clean({}), capture_output=True, timeout=PATIENCE, check=False)
    return done.returncode == 0


@contextlib.contextmanager
def the_only_domain() -> Iterator[None]:
    """Wait until no other run has a domain on this machine, and keep others waiting; `ServerError` after a while."""
    lock = Path(_LOCK)
    lock.parent.mkdir(exist_ok=True)
    with open(lock, "w") as file:
        _wait_until(lambda: _locked(file))
        _wait_until(_is_free)  # of what was killed and is not quite dead, or of what is no server of ours
        yield
        _wait_until(_is_free)  # winbindd has a session of its own, and ends a moment later


def _wait_until(holds: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + _TURN_SECONDS
    while not holds():
        if time.monotonic() > ends_at:
            raise ServerError(f"{ADDRESS} or {_PIPE} is in use: another domain controller or winbindd runs on this machine")
        time.sleep(0.05)


def _locked(file: IO[str]) -> bool:
    import fcntl  # Windows has none

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_free() -> bool:
    return not listening(389, host=ADDRESS)() and not _accepts(_PIPE)


def _accepts(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
        client.connect(path)
        return True
    return False
