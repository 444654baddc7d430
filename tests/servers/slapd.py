"""An LDAP server that knows the users whom Apache checks with it."""

from __future__ import annotations

from .bed import Server
from .daemons import Daemon, found, free_port, listening, run
from .people import PASSWORDS, USER, UTF8_PASSWORDS, UTF8_USER

BASE = "dc=example,dc=test"
CONF = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath {modules}
moduleload back_mdb
pidfile {folder}/slapd.pid
database mdb
maxsize 10485760
suffix "{base}"
directory {folder}/db
"""
LDIF = """\
dn: {base}
objectClass: dcObject
objectClass: organization
o: Example
dc: example
"""
PERSON = """
dn: uid={user},{base}
objectClass: inetOrgPerson
uid: {user}
cn: {user}
sn: {user}
userPassword: {password}
"""


class Slapd(Server):
    """The directory; `url` is what a client asks, `BASE` where the users are, by `uid`."""

    name = "slapd"
    needs = ("slapd", "slapadd")

    def start(self) -> None:
        """Fill a database, and start the server."""
        self.port = free_port()
        self.url = f"ldap://127.0.0.1:{self.port}"
        (self.folder / "db").mkdir()
        conf = self.folder / "slapd.conf"
        conf.write_text(CONF.format(folder=self.folder, base=BASE, modules="/usr/lib/ldap"))
        people = {USER: PASSWORDS["ldap"], UTF8_USER: UTF8_PASSWORDS["ldap"]}
        entries = [PERSON.format(user=user, base=BASE, password=password) for user, password in people.items()]
        # LDIF has no other way for what is not ASCII than base64, which slapadd does not insist on.
        run([found("slapadd"), "-f", conf], stdin=LDIF.format(base=BASE) + "".join(entries))
        command = [found("slapd"), "-d", "0", "-f", conf, "-h", self.url]
        self.daemon(Daemon("slapd", command, self.bed.state, ready=listening(self.port)))

    def describe(self) -> list[str]:
        """See `Server`."""
        whom = f"uid={USER},{BASE}"
        return [f"slapd at {self.url}", f"ldapwhoami -x -H {self.url} -D {whom} -w {PASSWORDS['ldap']}"]
