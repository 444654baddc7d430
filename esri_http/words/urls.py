"""URLs: split once into origin and target, and compared only in parsed form.

RFC 3986 is read strictly: what two parsers could read differently is refused, not guessed.
"""

from __future__ import annotations

import re
from functools import lru_cache

from .origins import DEFAULT_PORTS, Origin, SplitUrl

# What makes a URL odd: a character that must not stand there plainly, half an escape, perhaps a dot segment.
_ODD = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:%/?]|%(?![0-9A-Fa-f]{2})|/\.")


def split_url(url: str) -> SplitUrl:
    """Take an absolute http(s) URL apart.

    Blanks and non-ASCII characters in path and query are percent-encoded as UTF-8; dot segments are removed; an
    internationalised host becomes its ASCII form.

    Raises `InvalidUrlError` for everything else: no scheme, other schemes, control characters, a backslash or an escape
    in the authority, a port out of range, a host that is none.
    """
    return _split(url) if isinstance(url, str) else _split_carefully(url)


@lru_cache(maxsize=256)
def _split(url: str) -> SplitUrl:
    return _split_plainly(url) or _split_carefully(url)


def _split_plainly(url: str) -> SplitUrl | None:
    """Nearly every URL, taken apart with little work; `None` for one that needs care."""
    scheme, mark, rest = url.partition("://")
    if not mark or scheme not in DEFAULT_PORTS or _ODD.search(rest):
        return None
    authority, slash, tail = rest.partition("/")
    host, colon, port = authority.partition(":")
    plain = host.replace(".", "").replace("-", "")
    if not ((plain.isalnum() and host.islower()) or plain.isdigit()) or host[0] in ".-" or host[-1] in ".-":
        return None
    if len(host) > 63 or ".." in host or ".-" in host or "-." in host:
        return None
    if not colon:
        return SplitUrl(Origin(scheme, host, DEFAULT_PORTS[scheme]), slash + tail or "/")
    if not port.isdigit() or len(port) > 5 or not 0 < int(port) < 65536:
        return None
    return SplitUrl(Origin(scheme, host, int(port)), slash + tail or "/")


def _split_carefully(url: object) -> SplitUrl:
    from .careful_urls import split_carefully

    return split_carefully(url)


def origin_of(url: str) -> Origin:
    """The origin of an absolute http(s) URL; raises `InvalidUrlError`."""
    return split_url(url).origin


def resolve_url(origin: Origin, target: str, reference: str) -> SplitUrl:
    """Where `reference` leads to from `target` at `origin` (RFC 3986 section 5.2).

    Raises `InvalidUrlError` as `split_url` does; nothing is stripped from `reference` that would give it another meaning.
    """
    reference = reference.strip(" ")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", reference):
        return split_url(reference)
    if reference.startswith("//"):
        return split_url(f"{origin.scheme}:{reference}")
    if reference.startswith("/"):
        return split_url(f"{origin}{reference}")
    if not reference or reference.startswith("#"):
        return split_url(f"{origin}{target}{reference}")
    path = target.partition("?")[0]
    if not reference.startswith("?"):
        path = path[: path.rfind("/") + 1]
    return split_url(f"{origin}{path}{reference}")
