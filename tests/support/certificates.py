"""A private certification authority, and every kind of certificate that a test may want from it."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path
from typing import NamedTuple

import trustme
from cryptography.hazmat.primitives import serialization

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Identity(NamedTuple):
    """A certificate with its key, as files and as PEM."""

    cert_file: str
    """The chain, leaf first."""
    key_file: str
    """The key, not encrypted."""
    combined_file: str
    """Key and chain in one file."""
    cert_pem: bytes
    key_pem: bytes

    @property
    def cert_der(self) -> bytes:
        """The leaf alone, as it goes over the wire."""
        return ssl.PEM_cert_to_DER_cert(self.cert_pem.decode("ascii"))


class CertificateAuthority:
    """One private CA that keeps its files in `directory`. Identities are made once per set of names."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ca = trustme.CA(organization_name="esri_http tests")
        self._stranger = trustme.CA(organization_name="nobody trusts this one")
        self._made: dict[tuple[str, ...], Identity] = {}
        self.file = str(directory / "ca.pem")
        """The PEM file of the root, to be given as `verify_cert=` or `ca_bundles=`."""
        self._ca.cert_pem.write_to_path(self.file)
        self.stranger_file = str(directory / "stranger-ca.pem")
        """The PEM file of a root that signed none of the good certificates."""
        self._stranger.cert_pem.write_to_path(self.stranger_file)

    @property
    def pem(self) -> str:
        """The root as PEM text."""
        return Path(self.file).read_text(encoding="ascii")

    def server(self, *names: str) -> Identity:
        """A good certificate for `names` (host names and addresses); without any, for the loopback names."""
        return self._identity("server", names or LOOPBACK)

    def wrong_name(self) -> Identity:
        """Signed by this CA, valid, but for no loopback name."""
        return self._identity("server", ("elsewhere.example",))

    def expired(self, *names: str) -> Identity:
        """Signed by this CA for `names`, and over since yesterday."""
        return self._identity("expired", names or LOOPBACK)

    def untrusted(self, *names: str) -> Identity:
        """For `names`, signed by another CA."""
        return self._identity("untrusted", names or LOOPBACK)

    def client(self, name: str = "amy@example.com") -> Identity:
        """A client certificate for `name`."""
        return self._identity("client", (name,))

    def chained_client(self, name: str = "amy@example.com") -> Identity:
        """A client certificate for `name`, issued by an intermediate CA, which is in its chain."""
        return self._identity("chained", (name,))

    def early_client(self, name: str = "amy@example.com") -> Identity:
        """A client certificate for `name` that holds from tomorrow on."""
        return self._identity("early", (name,))

    def encrypted_key(self, identity: Identity, password: str, traditional: bool = False) -> str:
        """The path of a file with the key of `identity`, encrypted with `password` (PKCS8 PEM, or OpenSSL's old kind)."""
        key = serialization.load_pem_private_key(identity.key_pem, None)
        encryption = serialization.BestAvailableEncryption(password.encode())
        kind = serialization.PrivateFormat.TraditionalOpenSSL if traditional else serialization.PrivateFormat.PKCS8
        pem = key.private_bytes(serialization.Encoding.PEM, kind, encryption)
        path = self._directory / f"encrypted-{len(list(self._directory.iterdir()))}.pem"
        path.write_bytes(pem)
        return str(path)

    def server_context(self, identity: Identity | None = None, *, client_certificate: str = "none") -> ssl.SSLContext:
        """A new server-side context. `client_certificate` is ``none``, ``optional`` or ``required``, issued by this CA."""
        identity = identity or self.server()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(identity.cert_file, identity.key_file)
        context.verify_mode = ssl.VerifyMode[f"CERT_{client_certificate.upper()}"]
        if context.verify_mode is not ssl.CERT_NONE:
            context.load_verify_locations(self.file)
        return context

    def client_context(self) -> ssl.SSLContext:
        """A new client-side context that trusts this CA and nothing else."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.file)
        return context

    def _identity(self, kind: str, names: tuple[str, ...]) -> Identity:
        key = (kind, *names)
        if key not in self._made:
            self._made[key] = self._issue(kind, names)
        return self._made[key]

    def _issue(self, kind: str, names: tuple[str, ...]) -> Identity:
        issuer = self._stranger if kind == "untrusted" else self._ca
        now = datetime.datetime.now(datetime.timezone.utc)
        day = datetime.timedelta(days=1)
        begin, end = (now - 30 * day, now - day) if kind == "expired" else (now - day, now + 30 * day)
        if kind == "early":
            begin = now + day
        if kind == "chained":
            issuer = issuer.create_child_ca()
        leaf = issuer.issue_cert(*names, common_name=names[0], not_before=begin, not_after=end)
        return self._written(f"{kind}-{len(self._made)}", leaf)

    def _written(self, stem: str, leaf: trustme.LeafCert) -> Identity:
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        private_key = leaf.private_key_pem.bytes()
        paths = [self._directory / f"{stem}-{part}.pem" for part in ("cert", "key", "both")]
        for path, pem in zip(paths, (chain, private_key, private_key + chain)):
            path.write_bytes(pem)
        return Identity(str(paths[0]), str(paths[1]), str(paths[2]), chain, private_key)
