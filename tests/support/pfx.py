"""PFX files (PKCS #12) in the encodings that are about, made from the identities of the tests' CA."""

from __future__ import annotations

import base64

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import PrivateFormat, pkcs12

from .certificates import Identity

SECRET = "s3cret-Löwe"
"""The password of all of them, unless a test says otherwise."""

_BUILDER = PrivateFormat.PKCS12.encryption_builder()
_ENCODINGS = {
    "aes": _BUILDER.key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC).hmac_hash(hashes.SHA256()),
    "3des": _BUILDER.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC).hmac_hash(hashes.SHA1()),
}


def pfx(
    identity: Identity, password: str | None = SECRET, encoding: str = "aes", *,
    key_of: Identity | None = None, key: bool = True, others: tuple[bytes, ...] = (),
) -> bytes:  # fmt: skip
    """A PFX with the chain of `identity` (its issuers in the wrong order, after `others`) and the key (of `key_of`).

    `encoding` is ``aes`` (PBES2, SHA-256) or ``3des`` (PBES1, SHA-1); without a password nothing is encrypted.
    """
    leaf, *issuers = x509.load_pem_x509_certificates(identity.cert_pem)
    more = [x509.load_pem_x509_certificate(pem) for pem in others]
    private = serialization.load_pem_private_key((key_of or identity).key_pem, None) if key else None
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        encryption = _ENCODINGS[encoding].kdf_rounds(1000).build(password.encode())
    certificates = [*more, *reversed(issuers)]
    main = leaf if key_of is None else None  # `cryptography` does not write down what does not match
    if main is None:
        certificates.append(leaf)
    return pkcs12.serialize_key_and_certificates(b"amy", private, main, certificates or None, encryption)  # type: ignore[arg-type]


# What `cryptography` does not write. Self-signed and valid for a hundred years. Password `SECRET`:
#   openssl pkcs12 -export -legacy -certpbe PBE-SHA1-RC2-40 -keypbe PBE-SHA1-RC2-40 -in cert.pem -inkey key.pem
RC2 = base64.b64decode(
    """
    MIIDUgIBAzCCAxgGCSqGSIb3DQEHAaCCAwkEggMFMIIDATCCAfcGCSqGSIb3DQEHBqCCAegwggHkAgEAMIIB3QYJKoZIhvcNAQcBMBwGCiqGSIb3DQEMAQYw
    DgQI0lPOaELRFtECAggAgIIBsDONFu2ZVUWy9NVEg7o8zL1HJ/8X9552ovInPJf9YMFyEgCGu4Nd5S0Twz13d4Nx+ekN004zTlPAvIJXrENU0RqR2gFj6V58
    TQtZehIq9wO47LrrZiVPVJUnW1zMW731jCo28aMgDQx8YF6d9ubr5N+D59IckEb+WBTqqcV6Ler8ri0aP8LvEnanSkiT8LP9h/ptGkRGUKduYjIJ3WWwkjBO
    s8dDm9lZDaN+T4RbygdNprtGta/YUtTGBHjmQ0yifU4SU4GW+blZnmWUUA0LHD2aOnSTflCt++urQ49VQqNWVqnFxND+Trf/9K2gvqG/W0sA3sRe0qcxH7+V
    msAg3BfGg6HJKW7+rsdkygqqUvg4qFxWbJHU3wIMeJ/UrMOBqiIt3qD8y3cxpgky//6prKq44AX0q7HXs0ob6BpxSheBWF6m3Ae/zvvS26+GbelRE4Bt8+b+
    xhLcJwblCHoJ0OVaIf/kmZ4k6TnXLedvaF5ZQVrHiQAPGOsz4bii/ANWsuj7MommMKwlfEa5aEngQN/lAQ1AUAAUKbYhMo1KPe3fFMV6LlcitRRpU21I0ZzE
    BTCCAQIGCSqGSIb3DQEHAaCB9ASB8TCB7jCB6wYLKoZIhvcNAQwKAQKggbQwgbEwHAYKKoZIhvcNAQwBBjAOBAgRJ9n8yQ3CkgICCAAEgZAljsABfqEYf3Vu
    OfcH+UJzmzqLZhSWwDcENJQSX4AupPYIOViv2SZanWDAVwa4im7cFTvTAOS+OzOYKivbks3M+GUOCumpLxw9E4amxGzEC8encrKYcfo/1bkbNilmZ0ULA047
    hrEYJKXi7Tud2qYhoVW45A4lBLLAUViL16ZF5QKuHvxmyOCJDEZXuKpjPRsxJTAjBgkqhkiG9w0BCRUxFgQULOnTcGIMxm9aIOKFAv8UxNrIOzIwMTAhMAkG
    BSsOAwIaBQAEFE6Ad5IhiBfQVajdJAFMXR6ZPEaGBAhtgcANI7WhAAICCAA=
    """
)
# The same with the password "" (-certpbe PBE-SHA1-3DES):
EMPTY = base64.b64decode(
    """
    MIIDUgIBAzCCAxgGCSqGSIb3DQEHAaCCAwkEggMFMIIDATCCAfcGCSqGSIb3DQEHBqCCAegwggHkAgEAMIIB3QYJKoZIhvcNAQcBMBwGCiqGSIb3DQEMAQMw
    DgQIYCG7RkwKlvICAggAgIIBsDfHQ8o6oJv1vjJyR9CmW5HZO8TlUrsg3ZoVM82HjFnWO0gMxgKzmiJXjMZWsMj8bH4DAjGQvOF/CAsTnJGFvqnCoxDe3bxX
    HJVvt69cW+pwHdUCOWiQh7/iJOTbyXuAwzEZ6PlzjZNTGlkbr703Cvwl8FdC1JONjhanCc5Un585hxJWezp42CUON26IO3m8WNzAuoUbaTY+v1GPbmc4pAcj
    4SgXzkfiPtf+n1+qNe4ljeovb/sqLebllM28pnF9MIAffb+4fE717EQBjHARDn1q4NNXvqAOSaGfAnbSlfNA3MO2sYDeOa99DnBv+/eTxcYTSwzJT3kqODG+
    cRNH9tscfd2KN+71zL8SzIO9UQdlv2zi/orkmGzrUQC3JAtKVxxEMrlVqqrfgIZKuIqFZip+J37qpItlpbP9pLGTQ4jNWISBFl8tOX+lfefkvmCBDdAD77Pk
    +PBwBm5qpEwZLRCc9aGmlVZbKTN/Nuga231++Uzb4bGAylj0DeUnd/qG9F2ddvi/ELLTDmvBFM0Bu/4cXCe6Rlp3akcZGOTOl42gvfSmzdm+b5B1z2FDtsY5
    9jCCAQIGCSqGSIb3DQEHAaCB9ASB8TCB7jCB6wYLKoZIhvcNAQwKAQKggbQwgbEwHAYKKoZIhvcNAQwBAzAOBAgZXHVIOlLI7gICCAAEgZDU3sZRHDvO5G8m
    6eySwBS5w0nVwCfN+RIkJtDrUv9T9H/UBzC2nQHXDRkQWjTTkINSEZAJ/dimLU8IceQKJS7ZNXvp9IlzN7Kpi46zgtTo6HxGLUQR/5piicOVtM5iGGgQXd1y
    e7emvBW/uubXqYiAeIfD4vhk/eWIKPS9hP9vKBtp1/I4p839g/gRG211SncxJTAjBgkqhkiG9w0BCRUxFgQULOnTcGIMxm9aIOKFAv8UxNrIOzIwMTAhMAkG
    BSsOAwIaBQAEFHo00g3qlZ4QpiQ2MhuMxtmaW7w7BAhLcDYwwnJHWwICCAA=
    """
)
