"""Who may sign in where, and by what. Every way has a password of its own, so that one sent to the wrong place shows."""

from __future__ import annotations

REALM = "EXAMPLE.TEST"
"""The Kerberos realm, and (as `DOMAIN`) its NetBIOS name."""
DOMAIN = "EXAMPLE"

GIS = "gis.example.test"
"""The name of every web server here, and of its certificate; all are at 127.0.0.1."""
PROXY = "proxy.example.test"
"""The name of every proxy here."""
OTHER = "other.example.test"
"""A name whose service is known to the KDC, but whose key no server has."""
NAMES = (GIS, PROXY, OTHER)

USER = "amy"
PASSWORDS = {
    "basic": "basic-pw:1",
    "ldap": "ldap-pw-2",
    "digest": "digest-pw-3",
    "krb": "krb-pw-4",
    "ntlm": "ntlm-pw-5",
    "proxy": "proxy-pw-6",
    "socks": "socks-pw-7",
}
"""Those of `USER`."""

UTF8_USER = "zoë"
UTF8_PASSWORDS = {way: f"wörd € {way}" for way in PASSWORDS}
"""Those of `UTF8_USER`; with Kerberos and NTLM, too."""

CERTIFICATE_USER = "amy@example.test"
"""The common name of the client certificate."""


def portal_user(web_tier_user: str) -> str:
    """The portal's name of somebody whom the web tier let in, in whatever form that has the name; "" for nobody."""
    return web_tier_user.rpartition("\\")[2].partition("@")[0]
