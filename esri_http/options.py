"""Keywords: the names that the generations of the peer used for the same thing, and help with misspelt ones."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

    from .words.settings import NetworkSettings

SESSION_KEYWORDS = {
    **{name: name for name in (
        "trust_env", "stream", "check_hostname", "retries", "backoff_factor", "status_to_retry", "method_whitelist", "proxies",
        "proxy_auth", "timeout", "deadline", "ca_bundles", "server_hostname", "max_url_length", "trusted_origins", "clock",
    )},
    "verify": "verify_cert", "ca_bundle": "ca_bundles", "assert_hostname": "check_hostname",
    "allowed_methods": "method_whitelist", "status_forcelist": "status_to_retry",
}  # fmt: skip
_SESSION_PARAMETERS = ("auth", "cert", "verify_cert", "allow_redirects", "headers", "referer")
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


def check_keywords(
    given: dict[str, Any],
    known: dict[str, str],
    what: str,
    taken: Collection[str] = (),
    also: Collection[str] = _SESSION_PARAMETERS,
) -> dict[str, Any]:
    """`given` under our own names. Raises `TypeError` for an unknown keyword (with the nearest name) or one given twice.

    `taken`: what was given by another way already. `also`: the named parameters, which may be what was meant.
    """
    options: dict[str, Any] = {}
    for name, value in given.items():
        target = known.get(name)
        if target is None:
            raise TypeError(f"{what}() got an unexpected keyword argument {name!r}{_nearest(name, [*known, *also])}")
        if target in options or target in taken:
            raise TypeError(f"{what}() got {name!r} and another name for the same setting")
        options[target] = value
    return options


def _nearest(name: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, known, 2, 0.5)
    # Of two that are as near, the shorter.
    near.sort(key=lambda other: (-difflib.SequenceMatcher(None, other, name).ratio(), len(other)))
    return f"; did you mean {near[0]!r}?" if near else ""


def with_environment(network: NetworkSettings, verify_given: bool) -> NetworkSettings:
    """`network` with the environment's CA bundle, where it may be believed and nothing was said explicitly."""
    if not network.trust_env or verify_given or network.tls.verify is not True or network.tls.ca_bundles:
        return network
    path = next((value for value in map(os.environ.get, _CA_VARIABLES) if value), None)
    return network if path is None else network.replace(tls=network.tls.replace(verify=path))
