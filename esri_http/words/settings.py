"""What a session is set to, as values: hashable, comparable, safe to share, and without a secret in their repr."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from .errors import ConfigurationError
from .redaction import redact_url
from .values import Value

if TYPE_CHECKING:
    from ssl import SSLContext
    from typing import Optional, Union

    VerifyInput = Union[bool, str, SSLContext]
    ProxiesInput = Optional[dict[str, Optional[str]]]
    TimeoutPair = tuple[Optional[float], Optional[float]]

DEFAULT_STATUSES = (413, 429, 503, 500, 502, 504)
IDEMPOTENT_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PUT", "TRACE")
DOCUMENTED_METHODS = ("POST", *IDEMPOTENT_METHODS)
DEFAULT_RETRIES = 3
DEFAULT_BACKOFF_SECONDS = 0.3

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
DEADLINE_SECONDS = 600.0
LONGEST_URL = 2000
# In `proxies=`: not a proxy, but what is reached without one.
BYPASS_KEYS = ("no_proxy", "no")
_CERT_FORMS = (
    "In Python, cert= takes a PEM file with certificate and key, a pair of PEM files (certificate, key), (certificate, key or"
    " None, password), or a PFX: a .pfx or .p12 file, or its bytes, alone or as (file, password)."
)
# What sockets take: about thirty years.
_LONGEST_DURATION = 1e9

# Compiled when they are needed: few sessions have names or proxies to check.
_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9._:-]*[A-Za-z0-9_.])?"
_PROXY_KEY = r"(?i:(?:https?|all)(?:://[^/@?#\s]+/?)?|ftp|no|no_proxy)"


class ClientCertificate(Value):
    """Who we are to a server that asks for a TLS client certificate; shows neither password nor key in its repr.

    `certificate`: a PEM file with the whole chain, or a PFX (PKCS #12, RFC 7292) as a file or as bytes. `key`: a PEM file,
    or `None` where the first holds both. `password`: what the private key is encrypted under; `None`: nothing.
    """

    __slots__ = ("certificate", "key", "password")

    def __init__(self, certificate: str | bytes, key: str | None = None, password: str | bytes | None = None) -> None:
        self.certificate = certificate
        self.key = key
        self.password = password

    @property
    def holds_secret(self) -> bool:
        """Whether there is more in it than the paths of files: a password, or the key itself."""
        return self.password is not None or isinstance(self.certificate, bytes)

    @property
    def name(self) -> str:
        """What to call it in a message: its file."""
        certificate = self.certificate
        return f"<PFX of {len(certificate)} bytes>" if isinstance(certificate, bytes) else certificate

    def __repr__(self) -> str:
        return f"ClientCertificate({self.name!r})"


class TlsSettings(Value):
    """Whom we believe and who we are. Part of the identity of every connection: two settings never share one.

    `verify`: `True` (certifi), a path (that bundle or folder instead of certifi), an `SSLContext` (taken as it is), or
    `False`. `ca_bundles`: PEM files or folders trusted besides. `check_hostname=False` keeps the check of the chain.
    """

    __slots__ = ("ca_bundles", "certificate", "check_hostname", "verify")

    def __init__(
        self,
        verify: VerifyInput = True,
        ca_bundles: tuple[str, ...] = (),
        check_hostname: bool = True,
        certificate: ClientCertificate | None = None,
    ) -> None:
        self.verify = verify
        self.ca_bundles = ca_bundles
        self.check_hostname = check_hostname
        self.certificate = certificate


class RetrySettings:
    """How often, when and after how long a request is sent again; see `read_retries`.

    `custom`: the caller's own `urllib3.util.Retry`, which then counts in place of the others.
    """

    __slots__ = ("backoff_seconds", "count", "custom", "methods", "statuses")

    def __init__(
        self, count: int, backoff_seconds: float, statuses: frozenset[int], methods: frozenset[str], custom: Any = None
    ) -> None:
        self.count = count
        self.backoff_seconds = backoff_seconds
        self.statuses = statuses
        self.methods = methods
        self.custom = custom


class NetworkSettings(Value):
    """How a session reaches a server: TLS, proxies, and names for servers that are addressed by IP.

    `proxy_auth`: the handler that signs in to proxies whose address names no user.
    """

    __slots__ = ("proxies", "proxy_auth", "server_hostname", "tls", "trust_env")

    def __init__(
        self,
        tls: TlsSettings | None = None,
        proxies: tuple[tuple[str, str | None], ...] = (),
        trust_env: bool = True,
        server_hostname: str | None | tuple[tuple[str, str], ...] = None,
        proxy_auth: Any = None,
    ) -> None:
        self.tls = tls or TlsSettings()
        self.proxies = proxies
        self.trust_env = trust_env
        self.server_hostname = server_hostname
        self.proxy_auth = proxy_auth

    def __repr__(self) -> str:
        """Without the proxies, whose addresses may hold a password."""
        return f"<NetworkSettings {self.tls!r}>"


def read_retries(retries: Any, backoff_factor: Any = None, statuses: Any = None, methods: Any = None) -> RetrySettings:
    """What users pass as `retries=` and its kin.

    `retries`: how often a request is sent again; `None` means 3 times, idempotent methods and connections that failed
    only; a `urllib3.util.Retry` is taken as it is. `backoff_factor` in seconds: the first wait is none, then 2f, 4f ...,
    at most 120 s. `statuses` and `methods`: what is sent again; `None` for the documented defaults.
    """
    custom = retries if hasattr(retries, "increment") and not isinstance(retries, type) else None
    count = DEFAULT_RETRIES if retries is None or custom is not None else 0 if retries is False else retries
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise ConfigurationError("retries= takes a number from 0 up, or None for the default.")
    seconds = DEFAULT_BACKOFF_SECONDS if backoff_factor is None else backoff_factor
    if seconds != 0 and not _is_duration(seconds):
        raise ConfigurationError("backoff_factor= takes seconds from 0 up.")
    if methods is None:
        methods = IDEMPOTENT_METHODS if retries is None else DOCUMENTED_METHODS
    try:
        if isinstance(statuses, str) or isinstance(methods, str):
            raise TypeError  # each letter would count as one
        return RetrySettings(
            count,
            seconds,
            frozenset(int(status) for status in (DEFAULT_STATUSES if statuses is None else statuses)),
            frozenset(method.upper() for method in methods),
            custom,
        )
    except (TypeError, ValueError, OverflowError, AttributeError):
        message = "status_to_retry= takes HTTP statuses such as (429, 503), method_whitelist= methods such as ('GET', 'POST')."
        raise ConfigurationError(message) from None


def read_certificate(cert: Any) -> ClientCertificate | None:
    """What users pass as `cert=`: the forms in `_CERT_FORMS`, paths as text or `pathlib`; `None` for none."""
    if cert is None or isinstance(cert, ClientCertificate):
        return cert
    parts = tuple(cert) if isinstance(cert, (tuple, list)) else (cert,)
    if not 1 <= len(parts) <= 3:
        raise ConfigurationError(f"cert= cannot have {len(parts)} parts. {_CERT_FORMS}")
    first, second, third = (*parts, None, None)[:3]
    certificate: str | bytes
    if isinstance(first, (bytes, bytearray, memoryview)):
        certificate = bytes(first)
        if b"-----BEGIN" in certificate:
            raise ConfigurationError(f"The bytes in cert= hold PEM, which is taken from files only. {_CERT_FORMS}")
    elif isinstance(first, str) or hasattr(first, "__fspath__"):
        certificate = _text_path(first)
    else:
        raise ConfigurationError(f"cert= cannot be {type(first).__name__}. {_CERT_FORMS}")
    if not certificate:
        raise ConfigurationError(f"cert= names no certificate file. {_CERT_FORMS}")
    if not is_pfx(certificate):
        return ClientCertificate(certificate, _text_path(second) if second else None, _password(third))
    if second and third:
        raise ConfigurationError(f"A PFX holds its own key; no other goes with it. {_CERT_FORMS}")
    return ClientCertificate(certificate, None, _password(second or third))


def is_pfx(certificate: str | bytes) -> bool:
    """Whether this is a PFX rather than PEM: by the content, and by the file's name where that cannot be read or told."""
    if isinstance(certificate, bytes):
        return True
    head = _head(certificate)
    if head[:1] == b"\x30" and head[1:2] >= b"\x80":  # DER: a sequence that is longer than 127 bytes
        return True
    return b"-----BEGIN" not in head and certificate.lower().endswith((".pfx", ".p12"))


def _head(path: str) -> bytes:
    try:
        if os.path.isfile(path):  # reading a pipe would empty it
            with open(path, "rb") as file:
                return file.read(4096)
    except (OSError, ValueError):
        pass
    return b""


def _password(password: Any) -> str | bytes | None:
    if password is None or isinstance(password, bytes):
        return password or None
    try:
        password.encode()
    except (AttributeError, UnicodeError):
        raise ConfigurationError("The password of a client certificate is text.") from None
    return password or None


def read_bundles(bundles: Any) -> tuple[str, ...]:
    """What users pass as `ca_bundles=`: a path or several; `None` for none."""
    if bundles is None or bundles == "":
        return ()
    if isinstance(bundles, (str, bytes)) or hasattr(bundles, "__fspath__"):
        bundles = (bundles,)
    if not isinstance(bundles, (tuple, list)):
        raise ConfigurationError("ca_bundles= takes a path, or several in a list.")
    return tuple(_text_path(bundle) for bundle in bundles)


def read_verify(verify: Any) -> VerifyInput:
    """What users pass as `verify_cert=`: a bool, a path, or an `SSLContext`; `None` means `True`."""
    if verify is None:
        return True
    if isinstance(verify, bool) or hasattr(verify, "wrap_socket"):
        return verify  # type: ignore[no-any-return]
    if isinstance(verify, str) or hasattr(verify, "__fspath__"):
        return _text_path(verify)
    raise ConfigurationError("verify_cert= takes True, False, a path to a CA bundle, or an ssl.SSLContext.")


def read_timeout(timeout: Any) -> TimeoutPair:
    """(connect, read) in seconds from a number, a pair, or `None` (no limit)."""
    pair = timeout if isinstance(timeout, (tuple, list)) else (timeout, timeout)
    if len(pair) != 2:
        raise ConfigurationError("timeout= takes seconds, or a pair: (connect seconds, read seconds).")
    if not all(seconds is None or _is_duration(seconds) for seconds in pair):
        raise ConfigurationError("timeout= takes seconds greater than zero, a pair of them, or None for no limit.")
    return pair[0], pair[1]


def read_deadline(seconds: Any, name: str = "deadline") -> float | None:
    """What users pass as `deadline=`, or another option called `name`: seconds, or `None` for no limit."""
    if seconds is not None and not _is_duration(seconds):
        raise ConfigurationError(f"{name}= takes seconds greater than zero, or None for no limit.")
    return seconds  # type: ignore[no-any-return]


def read_length(length: Any) -> int | None:
    """What users pass as `max_url_length=`: a number of characters, or `None` for no limit."""
    if length is not None and (isinstance(length, bool) or not isinstance(length, int) or length < 1):
        raise ConfigurationError("max_url_length= takes a number of characters from 1 up, or None for no limit.")
    return length


def _is_duration(seconds: Any) -> bool:
    """Whether this is a number of seconds that a socket can wait for."""
    return isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and 0 < seconds < _LONGEST_DURATION


def read_server_hostname(names: Any) -> str | None | tuple[tuple[str, str], ...]:
    """What users pass as `server_hostname=`: a name, or a dict from host (an address, or a name) to name."""
    if not names:
        return None
    pairs = names.items() if isinstance(names, dict) else (("", names),)
    if not all(isinstance(host, str) and isinstance(name, str) and re.fullmatch(_NAME, name) for host, name in pairs):
        raise ConfigurationError(
            "server_hostname= takes the name in the certificate. In Python, it takes a dict such as {'10.0.0.7': name}, too."
        )
    if isinstance(names, dict):
        return tuple(sorted((host.lower().strip("[]"), name.lower()) for host, name in pairs))
    return str(names).lower()


def read_proxies(proxies: Any) -> tuple[tuple[str, str | None], ...]:
    """What users pass as `proxies=`, as a sorted tuple: ``{"https": "http://host:port", "http://one.host": None}``."""
    if not proxies:
        return ()
    if not hasattr(proxies, "items"):
        raise ConfigurationError('proxies= takes a dict such as {"https": "http://proxy.example.com:8080"}.')
    for key, value in proxies.items():
        if not isinstance(key, str) or not (value is None or isinstance(value, str)):
            raise ConfigurationError("proxies= maps a scheme or scheme://host to the URL of a proxy, or to None for none.")
        if not re.fullmatch(_PROXY_KEY, key):
            raise ConfigurationError(f"{redact_url(key)} in proxies= is none of http, https, all, https://one.host, no_proxy.")
    return tuple(sorted({key.lower().rstrip("/"): value or None for key, value in proxies.items()}.items()))


def _text_path(path: Any) -> str:
    try:
        return os.fsdecode(path)
    except TypeError:
        raise ConfigurationError(f"A path is wanted for a certificate, key or CA file, not {type(path).__name__}.") from None
