"""The ways to sign in that Apache offers, each below a path of its own, as lines of its configuration."""

from __future__ import annotations

from typing import NamedTuple

from .people import GIS

_VALID = ("Require valid-user",)
_FILE = ("AuthType Basic", 'AuthName "GIS"', "AuthBasicProvider file", "AuthUserFile {folder}/basic.users", *_VALID)
_DIGEST = ("AuthType Digest", 'AuthName "GIS"', "AuthDigestProvider file", "AuthUserFile {folder}/digest.users", *_VALID)
_LDAP = (
    *("AuthType Basic", 'AuthName "GIS"', "AuthBasicProvider ldap"),
    *('AuthLDAPURL "{ldap}/{base}?uid?one"', *_VALID),
)
_GSSAPI = (
    *("AuthType GSSAPI", 'AuthName "GIS"', f"GssapiAcceptorName HTTP@{GIS}"),
    *("GssapiCredStore keytab:{keytab}", *_VALID),
)
# A connection that has signed in stays so, and httpd says that it does.
_BOUND = ("GssapiConnectionBound On", "GssapiSignalPersistentAuth On")
_COOKIE = ("GssapiUseSessions On", "Session On", "SessionCookieName gssapi path=/krb-session;httponly;secure")
_CERTIFICATE = ("SSLRequireSSL", "SSLVerifyClient require", "SSLUserName SSL_CLIENT_S_DN_CN")


class Scheme(NamedTuple):
    """One way to sign in: its path, the lines of its ``<Location>``, and which of Apache's ports its portal is known by."""

    path: str
    lines: tuple[str, ...] = ()
    port: str = "https"

    def location(self, **values: object) -> str:
        """The section, with the values of `{names}` put in."""
        return "\n    ".join([f"<Location /{self.path}/>", *(line.format(**values) for line in self.lines)]) + "\n</Location>\n"


SCHEMES = (
    Scheme("open"),
    Scheme("basic", _FILE),
    Scheme("ldap", _LDAP),
    Scheme("digest", _DIGEST),
    Scheme("digest-stale", (*_DIGEST, "AuthDigestNonceLifetime 2")),
    # A token with each request: the connection is not signed in.
    Scheme("krb", (*_GSSAPI, "GssapiAllowedMech krb5")),
    Scheme("krb-conn", (*_GSSAPI, "GssapiAllowedMech krb5", *_BOUND)),
    Scheme("krb-session", (*_GSSAPI, "GssapiAllowedMech krb5", *_COOKIE)),
    Scheme("krb-deleg", (*_GSSAPI, "GssapiAllowedMech krb5", "GssapiDelegCcacheDir {folder}/run")),
    Scheme("krb-or-basic", (*_GSSAPI, "GssapiAllowedMech krb5", "GssapiBasicAuth On", "GssapiBasicAuthMech krb5")),
    Scheme("ntlm", (*_GSSAPI, "GssapiAllowedMech ntlmssp", *_BOUND)),
    # As IIS has "Windows Authentication": Kerberos, raw NTLM, and NTLM in SPNEGO.
    Scheme("iwa", (*_GSSAPI, "GssapiAllowedMech krb5", "GssapiAllowedMech ntlmssp", *_BOUND)),
    # The handshake asks for no certificate; this path then does, in a second one.
    Scheme("pki", _CERTIFICATE),
    Scheme("pki-basic", (*_CERTIFICATE[:2], *_FILE)),
    # The handshake itself asks for the certificate.
    Scheme("pki-host", ("SSLUserName SSL_CLIENT_S_DN_CN",), "certificate"),
    # As `pki`, where the protocol ends with TLS 1.2, which renegotiates.
    Scheme("pki-tls12", _CERTIFICATE, "tls12"),
)
