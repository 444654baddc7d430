"""URLs: split once into origin and target, and compared only in parsed form.

RFC 3986 is read strictly: what two parsers could read differently is refused, not guessed.
"""

from __future__ import annotations

import re

from .origins import DEFAULT_PORTS, Origin, SplitUrl

# The shape of nearly every URL, taken apart in one step; all others go the careful way.
_PLAIN = re.compile(
    r"(https?)://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::([0-9]{1,5}))?"
    r"((?:/[A-Za-z0-9\-._~!$&'()*+,;=:@%/]*)?(?:\?[A-Za-z0-9\-._~!$&'()*+,;=:@%/?]*)?)\Z"
)
_DOT_SEGMENT = re.compile(r"/\.\.?(?:[/?]|\Z)")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def split_url(url: str) -> SplitUrl:
    """Take an absolute http(s) URL apart.

    Blanks and non-ASCII characters in path and query are percent-encoded as UTF-8; dot segments are removed; an
    internationalised host becomes its ASCII form.

    Raises `InvalidUrlError` for everything else: no scheme, other schemes, control characters, a backslash or an escape
    in the authority, a port out of range, a host that is none.
    """
    match = _PLAIN.match(url) if isinstance(url, str) else None
    if match is None or _DOT_SEGMENT.search(url) or (_BAD_ESCAPE.search(url)):
        from .careful_urls import split_carefully

        return split_carefully(url)
    scheme, host, port, target = match.groups()
    if (port is not None and not 0 < int(port) < 65536) or ".." in host:
        from .careful_urls import split_carefully

        return split_carefully(url)
    origin = Origin(scheme, host, DEFAULT_PORTS[scheme] if port is None else int(port))
    if not target:
        target = "/"
    elif target[0] == "?":
        target = "/" + target
    return SplitUrl(origin, target)


def origin_of(url: str) -> Origin:
    """The origin of an absolute http(s) URL; raises `InvalidUrlError`."""
    return split_url(url).origin


def join_url(base: str, reference: str) -> str:
    """`reference` as seen from `base` (RFC 3986 section 5), as text; it is not checked here."""
    from urllib.parse import urljoin

    return urljoin(base, reference)
