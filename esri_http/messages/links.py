"""The `Link` header field (RFC 8288 section 3)."""

from __future__ import annotations

import re

_LINK = re.compile(r"<([^<>]*)>((?:\s*;[^,<\"]*(?:\"[^\"]*\")?)*)")
_PARAMETER = re.compile(r";\s*([A-Za-z0-9*_-]+)\s*=\s*(?:\"([^\"]*)\"|([^;,\s\"]*))")
LONGEST_FIELD = 16 * 1024


def parse_links(field: str) -> dict[str, dict[str, str]]:
    """Each link by its `rel`, or by its URL where it has none: ``{"next": {"url": ..., "rel": "next"}}``."""
    links: dict[str, dict[str, str]] = {}
    for url, parameters in _LINK.findall(field[:LONGEST_FIELD]):
        link = {"url": url}
        for name, quoted, bare in _PARAMETER.findall(parameters):
            link.setdefault(name.lower(), quoted or bare)
        links[link.get("rel") or url] = link
    return links
