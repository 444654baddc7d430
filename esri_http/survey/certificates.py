"""The TLS of a site: the certificates as the server sends them, whether they are believed here, and if not, why."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..wire.certificate_chain import Handshake, read_certificate
from ..words.errors import CertificateError, EsriHttpError, TlsError
from ..words.redaction import plain

if TYPE_CHECKING:
    from ..words.origins import Origin
    from .asking import Asker

_DAY = 86400
_SOON_DAYS = 14
_MOST_CERTIFICATES = 10
_MOST_NAMES = 20


class CertificateFacts(NamedTuple):
    """One certificate of the chain. `not_before` and `not_after` are ISO 8601 in UTC; `days_left` is negative when it is over.

    `None`: it cannot be read; for subject, issuer and names also where the package cryptography is absent.
    """

    subject: str | None
    issuer: str | None
    names: tuple[str, ...] | None
    not_before: str | None
    not_after: str | None
    days_left: int | None


class TlsFacts(NamedTuple):
    """The TLS of a site. `version` and `cipher`: `None` where no handshake was possible.

    `trusted`: whether this machine believes the certificate; `None`: that was not found out. `why_not`: why it does not,
    with what to do. `client_certificate`: whether the server wants one; `None`: it may. `notes`: what else there is to say.
    """

    version: str | None
    cipher: str | None
    trusted: bool | None
    why_not: str | None
    client_certificate: bool | None
    chain: tuple[CertificateFacts, ...]
    notes: tuple[str, ...]


def read_tls(asker: Asker, origin: Origin, verifies: bool, name: str) -> TlsFacts:
    """The TLS of `origin`, by what was asked of it already, and by a handshake of its own.

    `verifies`: whether the session checks certificates at all; `name`: the one that the certificate has to be for.
    """
    errors = [one.error for one in asker.asked if one.origin == origin and isinstance(one.error, TlsError)]
    answered = any(one.status is not None and one.origin == origin for one in asker.asked)
    refusal = next((error for error in errors if isinstance(error, CertificateError)), None)
    wanted = _client_certificate(errors)
    shown, notes = _shown(asker, origin)
    chain = tuple(_facts(der, asker.clock.time()) for der in shown.certificates[:_MOST_CERTIFICATES])
    notes += _chain_notes(chain)
    # Who is told to show a certificate has believed that of the server before.
    trusted: bool | None = False if refusal else True if answered or wanted else None
    if not verifies:
        trusted = None
        notes.append("it was not checked, as verify_cert=False says")
    why_not = None if refusal is None else _why_not(refusal, chain, name)
    return TlsFacts(shown.version or None, shown.cipher or None, trusted, why_not, wanted, chain, tuple(notes))


def _shown(asker: Asker, origin: Origin) -> tuple[Handshake, list[str]]:
    """The handshake, an empty one where there is none, and what has to be said of it."""
    try:
        shown = asker.handshake(origin)
    except EsriHttpError as error:
        return Handshake("", "", (), True), [f"the certificates could not be read: {error}"]
    if shown.is_whole:
        return shown, []
    return shown, ["of the chain only the first certificate could be read; Python 3.10 and later show all of them"]


def _client_certificate(errors: list[TlsError]) -> bool | None:
    """Whether the handshake failed for want of a client certificate: `None` for perhaps."""
    wants = [str(error) for error in errors if not isinstance(error, CertificateError) and "client certificate" in str(error)]
    return False if not wants else None if all("may want" in text for text in wants) else True


def _facts(der: bytes, now: float) -> CertificateFacts:
    certificate = read_certificate(der)
    names, ends = certificate.names, certificate.not_after
    return CertificateFacts(
        None if certificate.subject is None else plain(certificate.subject),
        None if certificate.issuer is None else plain(certificate.issuer),
        None if names is None else tuple(plain(name) for name in names[:_MOST_NAMES]),
        _date(certificate.not_before),
        _date(ends),
        None if ends is None else int((ends - now) // _DAY),
    )


def _date(seconds: int | None) -> str | None:
    import datetime

    if seconds is None:
        return None
    moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _chain_notes(chain: tuple[CertificateFacts, ...]) -> list[str]:
    notes = []
    if any(one.not_after is not None and one.subject is None for one in chain):
        notes.append("subjects and names need the package cryptography: pip install cryptography")
    left = chain[0].days_left if chain else None
    if left is not None and left < 0:
        notes.append(f"the certificate has expired, on {chain[0].not_after}; have it renewed")
    elif left is not None and left < _SOON_DAYS:
        notes.append(f"the certificate ends in {left} days; have it renewed")
    return notes


def _why_not(refusal: CertificateError, chain: tuple[CertificateFacts, ...], name: str) -> str:
    """What is wrong with the certificate of `chain`, and what to do."""
    reason = plain(refusal.reason.rstrip("."))
    lower = reason.lower()
    if "mismatch" in lower or "other names" in lower:
        names = ", ".join(chain[0].names or ()) if chain else ""
        return f"it is for {names or 'other names'}, not for {name}; address the site by a name that it is for"
    if "expired" in lower or "not yet valid" in lower:
        return f"{reason}; have it renewed, and check the clock of this machine"
    last = chain[-1] if chain else None
    missing = None if last is None else last.subject if last.subject == last.issuer else last.issuer
    who = f", {missing}," if missing else ""
    return f"its issuer{who} is not trusted here ({reason}); give the PEM file of that CA by ca_bundles="
