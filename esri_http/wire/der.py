"""As much of DER (X.690) as it takes to tell a PFX from something else, and how long a certificate holds."""

from __future__ import annotations

import time
from calendar import timegm

from ..words.errors import CertificateFileError

_VERSION_FIELD = 0xA0
_UTC_TIME = 0x17


def element(data: bytes, start: int) -> tuple[int, int, int]:
    """Tag, begin and end of the content of the element at `start`; raises `ValueError` where it is cut off or too odd."""
    if len(data) < start + 2:
        raise ValueError("cut off")
    tag, length, begin = data[start], data[start + 1], start + 2
    if length > 0x7F:
        size = length & 0x7F
        if not 1 <= size <= 4:
            raise ValueError("not a length in DER")
        begin += size
        length = int.from_bytes(data[start + 2 : begin], "big")
    if begin + length > len(data):
        raise ValueError("cut off")
    return tag, begin, begin + length


def validity(certificate: bytes) -> tuple[int, int]:
    """When a DER certificate begins and ends to hold, in Unix seconds; raises `ValueError` where it does not say."""
    place = element(certificate, element(certificate, 0)[1])[1]
    tag, _, end = element(certificate, place)
    if tag == _VERSION_FIELD:  # RFC 5280 section 4.1: in front of serial number, algorithm and issuer
        place = end
    for _ in range(3):
        place = element(certificate, place)[2]
    begins = element(certificate, element(certificate, place)[1])
    return _seconds(certificate, begins), _seconds(certificate, element(certificate, begins[2]))


def _seconds(data: bytes, time_element: tuple[int, int, int]) -> int:
    tag, begin, end = time_element
    text = data[begin:end].decode("ascii")
    if tag == _UTC_TIME:  # two digits of the year, RFC 5280 section 4.1.2.5.1
        text = ("20" if text < "50" else "19") + text
    return timegm((int(text[:4]), *(int(text[at : at + 2]) for at in range(4, 14, 2))))


def check_validity(certificate: bytes, name: str, now: float) -> None:
    """Raise `CertificateFileError` for a DER certificate that does not hold `now` (Unix seconds)."""
    try:
        begins, ends = validity(certificate)
    except ValueError:
        return  # OpenSSL read it, so the server may say
    if now > ends:
        why = f"it expired on {_date(ends)}; have it renewed"
    elif now < begins:
        why = f"it is not valid before {_date(begins)}; check the clock of this machine"
    else:
        return
    raise CertificateFileError(f"The client certificate {name} cannot be used: {why}.", path=name)


def _date(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
