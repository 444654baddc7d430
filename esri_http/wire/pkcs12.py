"""PFX files (PKCS #12, RFC 7292): their key and chain into a TLS context, and no readable copy of the key anywhere.

OpenSSL's `SSL_CTX` takes files only. What it gets is in memory where the system has such files (Linux), else in a file of
this user alone; there, too, the key is encrypted under a random password, so that nothing is lost with a process that dies
in between.
"""

from __future__ import annotations

import os
import secrets
import ssl
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ..words.errors import CertificateFileError, missing_package
from .der import element

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..words.settings import ClientCertificate

# Of PFX files with very long chains.
_MOST_BYTES = 1 << 24
_LOCKED = "it needs a password and none was given (password=), or the file is damaged. In Python, a session takes a pair"
_VERSION_3 = b"\x02\x01\x03"


def load_pfx(context: ssl.SSLContext, certificate: ClientCertificate) -> bytes:
    """Show the certificate in this PFX, with its chain, on connections of `context`; returns it in DER form.

    Raises `CertificateFileError`, and `MissingPackageError` without `cryptography`.
    """
    try:
        password = secrets.token_hex(32)
        leaf, pem = _unpacked(_content(certificate), certificate.password or certificate.key, password)
        with _private_file(pem) as path:
            context.load_cert_chain(path, None, lambda: password)
        return leaf
    except _Useless as error:
        why = str(error)
    except ssl.SSLError as error:
        why = error.reason or "OpenSSL does not take it"
    except OSError as error:
        why = error.strerror or "it cannot be read"
    message = f"The client certificate {certificate.name} cannot be used: {why}."
    raise CertificateFileError(message, path=certificate.name, needs_password=why == _LOCKED)


class _Useless(Exception):
    """Why a PFX cannot be used."""


def _content(certificate: ClientCertificate) -> bytes:
    if isinstance(certificate.certificate, bytes):
        return certificate.certificate
    with open(certificate.certificate, "rb") as file:
        return file.read(_MOST_BYTES)


def _unpacked(content: bytes, given: str | bytes | None, password: str) -> tuple[bytes, bytes]:
    """The certificate in DER form; and as PEM the key, encrypted under `password`, and the chain."""
    try:
        from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
    except ImportError as error:
        raise missing_package("cryptography", "A client certificate in a PFX", error=error) from None
    key, leaf, others = _opened(content, given)
    if key is None:
        raise _Useless("it holds no private key; export it again, with its key")
    if leaf is None:
        raise _Useless("its private key does not belong to a certificate in it" if others else "it holds no certificate")
    try:
        key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode()))
    except Exception:
        raise _Useless("its private key is of a kind that TLS does not take") from None
    chain = [part.public_bytes(Encoding.PEM) for part in _chain(leaf, others)]
    return leaf.public_bytes(Encoding.DER), b"".join([key_pem, *chain])


def _opened(content: bytes, given: str | bytes | None) -> tuple[Any, Any, list[Any]]:
    from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

    # Without a password some programs take none, and some an empty one (RFC 7292 appendix B.1).
    passwords = (given.encode() if isinstance(given, str) else given,) if given else (None, b"")
    if b"\0" in (passwords[0] or b""):  # `cryptography` would stop with a panic, and print the password
        raise _Useless("its password cannot hold a NUL character")
    for password in passwords:
        with suppress(Exception):  # of many kinds, for hostile files
            return load_key_and_certificates(content, password)
    raise _Useless(_complaint(content, bool(given)))


def _complaint(content: bytes, has_password: bool) -> str:
    """Why `content` cannot be opened; what it looks like is told from RFC 7292 section 4."""
    try:
        begin = 2 if content[1:2] == b"\x80" else element(content, 0)[1]
    except ValueError as error:
        cut = content[:1] == b"\x30" and _VERSION_3 in content[2:10] and str(error) == "cut off"
        return "the file is cut off" if cut else "it is not a PFX (PKCS #12)"
    if content[:1] != b"\x30" or content[begin : begin + 3] != _VERSION_3:
        return "it is not a PFX (PKCS #12)"
    if not has_password:
        return _LOCKED
    return "its password is wrong, or the file is damaged"


def _chain(leaf: Any, others: list[Any]) -> list[Any]:
    """`leaf`, its issuer, and so on: a PFX keeps certificates in any order, TLS wants this one (RFC 8446 section 4.4.2)."""
    chain, rest = [leaf], list(others)
    while True:
        issuer = next((part for part in rest if part.subject == chain[-1].issuer), None)
        if issuer is None:
            return chain
        rest.remove(issuer)
        chain.append(issuer)


@contextmanager
def _private_file(content: bytes) -> Iterator[str]:
    """A path where OpenSSL finds `content`, and no other user does, until the block ends."""
    descriptor = _memory_file()
    if descriptor is not None:
        try:
            _write(descriptor, content)
            yield _path_of(descriptor)
        finally:
            os.close(descriptor)
        return
    from tempfile import mkstemp  # an unpredictable name, mode 0600

    descriptor, path = mkstemp(prefix="esri_http-", suffix=".pem")
    try:
        try:
            _write(descriptor, content)
        finally:
            os.close(descriptor)  # Windows deletes no open file
        yield path
    finally:
        os.unlink(path)


def _memory_file() -> int | None:
    """A new file in memory that can be opened by a path, or `None` where there is no such thing."""
    if not hasattr(os, "memfd_create"):
        return None
    descriptor = None
    try:
        descriptor = os.memfd_create("esri_http")
        os.fchmod(descriptor, 0o600)
        os.close(os.open(_path_of(descriptor), os.O_RDONLY))
        return descriptor
    except OSError:  # no /proc, or a sandbox
        if descriptor is not None:
            os.close(descriptor)
        return None


def _path_of(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"


def _write(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
