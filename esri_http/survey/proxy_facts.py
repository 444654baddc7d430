"""The proxy on the way to a site: which, and who says so."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from ..wire.proxies import choose_proxy

if TYPE_CHECKING:
    from ..session import EsriSession
    from ..wire.proxies import Proxy
    from ..words.origins import Origin

GIVEN = "given"
ENVIRONMENT = "environment"


class ProxyFacts(NamedTuple):
    """`url`: the proxy's address without a user; `None`: there is none. `source`: ``given`` or ``environment`` (also the
    system's settings); `None` without a proxy. `note`: why there is none where one might be expected.
    """

    url: str | None = None
    source: str | None = None
    note: str | None = None


def proxy_facts(origin: Origin, proxy: Proxy | None, session: EsriSession) -> ProxyFacts:
    """The facts of `proxy`, through which `session` reaches `origin`."""
    explicit = tuple(session.proxies.items())
    if proxy is not None:
        is_given = choose_proxy(origin, explicit, trust_env=False) == proxy
        return ProxyFacts(str(proxy), GIVEN if is_given else ENVIRONMENT)
    names = (f"{origin.scheme}_proxy", "all_proxy")
    if not any(os.environ.get(name, "").strip() or os.environ.get(name.upper(), "").strip() for name in names):
        return ProxyFacts()
    if not session.trust_env:
        return ProxyFacts(note="the proxy of the environment is not used, as trust_env=False says")
    if explicit:
        return ProxyFacts(note="the proxy of the environment is not used, as proxies= says")
    return ProxyFacts(note=f"the proxy of the environment is not used, as NO_PROXY names {origin.host}")
