"""TLS contexts: one per setting, built once, shared by every connection and session that has that setting.

A context with certifi's roots costs about 50 ms to build; handing urllib3 a path instead would cost that much again for
every new connection. Imports nothing of urllib3, so that the first context can be built while that is being imported.
"""

from __future__ import annotations

import binascii
import os
import re
import ssl
import stat
import threading
import time
import weakref

from ..words.errors import CertificateFileError, ConfigurationError
from ..words.forks import ProcessLock
from ..words.settings import ClientCertificate, TlsSettings, is_pfx

# By settings and the state of the files behind them.
_contexts: weakref.WeakValueDictionary[tuple[object, ...], ssl.SSLContext] = weakref.WeakValueDictionary()
# The last few without an identity are kept, so that the next session does not parse all roots again.
_kept: list[ssl.SSLContext] = []
_MOST_KEPT = 4
_LOCKED = "the private key is encrypted and no password was given"
_NO_PEM = "it holds no PEM data"
_lock = ProcessLock()


def tls_context(settings: TlsSettings) -> ssl.SSLContext:
    """The context for `settings`; the same one for as long as the files behind it stay the same.

    Raises `CertificateFileError` for a CA, certificate or key file that cannot be used.
    """
    if not isinstance(settings.verify, (bool, str)):
        return _taken_as_it_is(settings.verify, settings)
    key = (settings, *_stamps(settings))
    with _lock:
        context = _contexts.get(key)
        if context is None:
            context = _contexts[key] = _build(settings)
            if settings.certificate is None:
                _kept.append(context)
                del _kept[:-_MOST_KEPT]
    return context


def build_ahead(settings: TlsSettings) -> None:
    """Begin to build the context in a thread, for a request that comes soon; OpenSSL works without Python's lock.

    What goes wrong there goes wrong once more, and is told, when the context is needed. The thread imports nothing: urllib3
    1.26 holds Python's lock of all imports while it imports, and two importing threads may then wait for each other for ever.
    """
    if settings.verify is not True or settings.certificate is not None or (os.cpu_count() or 1) < 2:
        return
    import certifi

    try:
        certifi.where()  # imports on its first call
    except OSError:
        return

    def build() -> None:
        try:
            tls_context(settings)
        except Exception:
            pass

    try:
        threading.Thread(target=build, name="esri_http-tls", daemon=True).start()
    except RuntimeError:  # no more threads: the interpreter is about to end, is a sub-interpreter, or has reached a limit
        pass


def _taken_as_it_is(context: ssl.SSLContext, settings: TlsSettings) -> ssl.SSLContext:
    """The user's own context. It may serve others as well, so nothing is added to it."""
    if settings.certificate is not None:
        raise ConfigurationError("An ssl.SSLContext holds its own client certificate: context.load_cert_chain(), not cert=.")
    if settings.ca_bundles:
        raise ConfigurationError("An ssl.SSLContext holds its own CAs: context.load_verify_locations(), not ca_bundles=.")
    if context.check_hostname and not settings.check_hostname:
        raise ConfigurationError("An ssl.SSLContext has its own check_hostname; set it there.")
    return context


def _stamps(settings: TlsSettings) -> list[tuple[object, ...]]:
    """What tells the files behind `settings` from their successors under the same names."""
    certificate = settings.certificate
    paths = [*settings.ca_bundles, settings.verify, None if certificate is None else certificate.certificate]
    stamps = [_stamp(path) for path in paths if isinstance(path, str)]
    if certificate is not None and certificate.key is not None and not is_pfx(certificate.certificate):
        stamps.append(_stamp(certificate.key, key_of=certificate.name))
    return stamps


def _stamp(path: str, key_of: str | None = None) -> tuple[object, ...]:
    """The stamp of one file; `key_of` names the certificate whose key it is."""
    try:
        status = os.stat(path)
        if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
            return path, status.st_mtime_ns, status.st_size, status.st_ino
        why = "it is no file"  # OpenSSL would wait for a pipe for ever, and read a device without end
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not a valid path"
    if key_of is None:
        raise CertificateFileError(f"The certificate or CA file {path} cannot be used: {why}.", path=path)
    # Not by its name: it may be a password in the wrong place.
    message = (
        f"The key file that cert= names for {key_of} cannot be used: {why}. A password is the third part:"
        " (certificate, key or None, password)."
    )
    raise CertificateFileError(message, path=key_of)


def _build(settings: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION
    context.hostname_checks_common_name = False
    # A server may ask for our certificate after the handshake, for some of its paths (RFC 8446 section 4.6.2).
    context.post_handshake_auth = True
    if settings.verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.verify_mode = ssl.CERT_REQUIRED
        context.check_hostname = settings.check_hostname
        if settings.verify is True:
            _load_certifi(context)
        else:
            load_roots(context, str(settings.verify))
        for bundle in settings.ca_bundles:
            load_roots(context, bundle)
    if settings.certificate is not None:
        load_certificate(context, settings.certificate)
    return context


def _load_certifi(context: ssl.SSLContext) -> None:
    import certifi

    try:
        path = certifi.where()
    except OSError:  # it is in a zip file, and there is no folder where the roots could be unpacked
        context.load_verify_locations(cadata=certifi.contents())
    else:
        load_roots(context, path)


def load_roots(context: ssl.SSLContext, path: str) -> None:
    """Trust the certificates in a PEM file, or in a folder hashed as OpenSSL wants it."""
    try:
        if os.path.isdir(path):
            _check_folder(path)
            context.load_verify_locations(capath=path)
            return
        context.load_verify_locations(cafile=path)
    except (OSError, ValueError) as error:
        message = f"The CA file {path} cannot be used ({_why(error)}); it must hold certificates in PEM form."
        raise CertificateFileError(message, path=path) from error


def _check_folder(path: str) -> None:
    """OpenSSL finds nothing, and says nothing, in a folder whose files do not have the names that it looks for."""
    if not any(re.fullmatch(r"[0-9a-f]{8}\.[0-9]+", name) for name in os.listdir(path)):
        message = f"The CA folder {path} holds no certificate under its hash; run: openssl rehash {path}"
        raise CertificateFileError(message, path=path)


def load_certificate(context: ssl.SSLContext, certificate: ClientCertificate) -> None:
    """Show this client certificate on connections of `context`. Never asks for a password on the terminal.

    Raises `CertificateFileError` for files that cannot be used and for a certificate that does not hold today.
    """
    from .der import check_validity

    if is_pfx(certificate.certificate):
        from .pkcs12 import load_pfx

        leaf = load_pfx(context, certificate)
    else:
        leaf = _load_pem(context, str(certificate.certificate), certificate)
    check_validity(leaf, certificate.name, time.time())


def _load_pem(context: ssl.SSLContext, path: str, certificate: ClientCertificate) -> bytes:
    """Load PEM files from where they are; the certificate in DER form."""
    # An empty password makes OpenSSL fail where `None` would make it ask on the terminal.
    password = certificate.password or ""
    try:
        context.load_cert_chain(path, certificate.key, lambda: password)
        return _first_certificate(path)
    except (OSError, ValueError) as error:
        why = _why(error)
        if type(error) is ValueError:
            why = "the password of the private key is longer than OpenSSL takes"
        elif "KEY_VALUES_MISMATCH" in why:
            why = "the key does not belong to the certificate"
        elif isinstance(error, ssl.SSLError) and not password and _looks_encrypted(certificate):
            why = _LOCKED
        elif isinstance(error, ssl.SSLError) and _looks_encrypted(certificate):
            why = "the password of the private key is wrong"
        elif why == _NO_PEM and certificate.key is None and _holds(path, b"CERTIFICATE-----"):
            why = "the private key is not in it, and no other file was given for that"
        files = path if certificate.key is None else f"{path} with {certificate.key}"
        message = f"The client certificate {files} cannot be used: {why}."
        raise CertificateFileError(message, path=path, needs_password=why == _LOCKED) from None


def _first_certificate(path: str) -> bytes:
    """The certificate that OpenSSL takes for ours from a PEM file, in DER form."""
    with open(path, "rb") as file:
        found = re.search(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----([^-]*)-----END", file.read())
    return binascii.a2b_base64(found[1]) if found else b""


def _looks_encrypted(certificate: ClientCertificate) -> bool:
    return _holds(certificate.key or str(certificate.certificate), b"ENCRYPTED")


def _holds(path: str, mark: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return mark in file.read()
    except OSError:
        return False


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or _NO_PEM
    if isinstance(error, OSError):
        return error.strerror or "it cannot be read"
    return _NO_PEM
