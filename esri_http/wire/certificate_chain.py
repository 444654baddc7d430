"""The certificates that a server shows: read by a TLS handshake that believes anything, after which nothing is sent."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ..words.settings import TlsSettings
from .der import validity

if TYPE_CHECKING:
    from ..messages.request import Request
    from ..messages.response import Response
    from ..words.settings import NetworkSettings
    from .lanes import Lane
    from .transport import SendOptions, Transport

# What `_ssl.Certificate.public_bytes` takes for DER; the name is private to the standard library.
_DER = 2


class Handshake(NamedTuple):
    """What a handshake showed. `certificates`: in DER form, the server's own first; none of them was checked.

    `is_whole`: whether they are all that the server sent; Python 3.9 shows the first one only.
    """

    version: str
    cipher: str
    certificates: tuple[bytes, ...]
    is_whole: bool


class Certificate(NamedTuple):
    """One certificate (RFC 5280). `subject` and `issuer` as RFC 4514 writes them, `names`: DNS names and addresses.

    `not_before` and `not_after` are Unix seconds. `None`: it cannot be read; for the names also where the package
    cryptography is not installed.
    """

    subject: str | None
    issuer: str | None
    names: tuple[str, ...] | None
    not_before: int | None
    not_after: int | None


class _HandshakeDone(Exception):
    """Ends a request before it is sent. Of no kind that urllib3 would wrap, or try again after."""

    def __init__(self, handshake: Handshake) -> None:
        super().__init__()
        self.handshake = handshake


def without_checks(network: NetworkSettings) -> NetworkSettings:
    """`network` for `read_handshake`: it believes every certificate, and has none of ours to show."""
    return network.replace(tls=TlsSettings(verify=False))


def read_handshake(transport: Transport, request: Request, options: SendOptions) -> Handshake:
    """Connect to where `request` would go, proxies included, and close after the handshake; the request is never sent.

    `transport`: one with settings by `without_checks`. Raises `TransportError` and its kin.
    """

    def send(lane: Lane) -> Response:
        lane.pool.ConnectionCls = partial(_reading, lane.pool.ConnectionCls)  # type: ignore[assignment]
        return transport.send(request, options, lane)

    try:
        transport.on_lane(request, object(), send, fresh=True).close()
    except _HandshakeDone as done:
        return done.handshake
    raise AssertionError("a connection was there before it was made")


def _reading(make: Any, **options: Any) -> Any:
    """A connection of `make` that goes no further than its handshake."""
    connection = make(**options)
    connect = connection.connect

    def connect_and_stop() -> None:
        connect()
        raise _HandshakeDone(_handshake_over(connection.sock))

    connection.connect = connect_and_stop
    return connection


def _handshake_over(sock: Any) -> Handshake:
    cipher = sock.cipher() or ("", "", 0)
    chain = _chain(sock)
    leaf = sock.getpeercert(True)
    return Handshake(sock.version() or "", cipher[0], chain or ((leaf,) if leaf else ()), bool(chain))


def _chain(sock: Any) -> tuple[bytes, ...]:
    """What Python has of the chain: public from 3.13 on, there from 3.10 on. TLS in TLS has it one level down (`sslobj`)."""
    inner = getattr(sock, "sslobj", None)
    for holder in (sock, inner, getattr(sock, "_sslobj", None), getattr(inner, "_sslobj", None)):
        read = getattr(holder, "get_unverified_chain", None)
        if read is not None:
            return tuple(one if isinstance(one, bytes) else one.public_bytes(_DER) for one in read() or ())
    return ()


def read_certificate(der: bytes) -> Certificate:
    """What a certificate in DER form says; never raises."""
    try:
        begins, ends = validity(der)
    except ValueError:
        return Certificate(None, None, None, None, None)
    return Certificate(*_identities(der), begins, ends)


def _identities(der: bytes) -> tuple[str | None, str | None, tuple[str, ...] | None]:
    """Subject, issuer and names."""
    try:
        from cryptography import x509
    except ImportError:
        return None, None, None
    try:
        certificate = x509.load_der_x509_certificate(der)
        subject, issuer = certificate.subject.rfc4514_string(), certificate.issuer.rfc4514_string()
    except Exception:  # it has several kinds for what is malformed
        return None, None, None
    try:
        extension: Any = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = [*extension.get_values_for_type(x509.DNSName), *extension.get_values_for_type(x509.IPAddress)]
    except Exception:
        found = []
    return subject, issuer, tuple(map(str, found))
