"""Channel binding: what ties a sign-in to the TLS connection that it goes over (RFC 5929 section 4, tls-server-end-point)."""

from __future__ import annotations

import logging

log = logging.getLogger("esri_http.auth")

_PREFIX = b"tls-server-end-point:"
# Too weak to be used as they are (RFC 5929 section 4.1).
_REPLACED = frozenset({"md5", "sha1"})


def end_point_binding(certificate: bytes | None) -> bytes | None:
    """The application data that binds to the server's `certificate` (DER).

    `None` without TLS, and where the RFC defines none: for a signature without one hash of its own (Ed25519), or where the
    certificate cannot be read. A wrong binding is refused where none would have done.
    """
    if certificate is None:
        return None
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
    except ImportError:
        log.info("no channel binding: that needs the package cryptography")
        return None
    try:
        algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    except Exception:  # whatever the certificate has that cryptography does not know
        algorithm = None
    if algorithm is None:
        log.info("no channel binding: none is defined for the signature of the server's certificate")
        return None
    digest = hashes.Hash(hashes.SHA256() if algorithm.name in _REPLACED else algorithm)
    digest.update(certificate)
    return _PREFIX + digest.finalize()
