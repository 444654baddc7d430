"""The application data of channel bindings (RFC 5929 section 4.1), for every kind of signature."""

from __future__ import annotations

import datetime
import hashlib
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from spnego.channel_bindings import GssChannelBindings

from esri_http.auth.handshake.channel_bindings import end_point_binding

RSA = rsa.generate_private_key(65537, 2048)


def certificate(key: Any, algorithm: Any, **options: Any) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gis.example.com")])
    now = datetime.datetime(2026, 1, 1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, now, now + datetime.timedelta(days=1))
    return builder.sign(key, algorithm, **options).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    "made, name",
    [
        (certificate(RSA, hashes.SHA256()), "sha256"),
        (certificate(RSA, hashes.SHA384()), "sha384"),
        (certificate(RSA, hashes.SHA512()), "sha512"),
        (certificate(ec.generate_private_key(ec.SECP256R1()), hashes.SHA384()), "sha384"),
        (
            certificate(RSA, hashes.SHA384(), rsa_padding=padding.PSS(padding.MGF1(hashes.SHA384()), 48)),
            "sha384",
        ),
    ],
    ids=["sha256", "sha384", "sha512", "ecdsa", "pss"],
)
def test_the_hash_is_that_of_the_signature(made: bytes, name: str) -> None:
    assert end_point_binding(made) == b"tls-server-end-point:" + hashlib.new(name, made).digest()


def test_where_none_is_defined_none_is_sent() -> None:
    assert end_point_binding(certificate(ed25519.Ed25519PrivateKey.generate(), None)) is None
    assert end_point_binding(None) is None
    assert end_point_binding(b"\x30\x03junk") is None


def test_ntlm_carries_the_md5_of_the_whole_structure() -> None:
    bindings = GssChannelBindings(application_data=b"tls-server-end-point:" + hashlib.sha256(b"abc").digest())
    assert hashlib.md5(bindings.pack()).hexdigest() == "af170326dfd6fc6cc21c3364343df0b2"
