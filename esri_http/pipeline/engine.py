"""What a session drives: its transports and how calls are sent through them. Made when the first request comes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ..wire.retries import make_retry, without_repetition
from ..wire.transport import SendOptions, Timeouts, Transport
from ..words.bounded import remember
from ..words.clock import Clock, Deadline
from ..words.errors import ConfigurationError
from .call import Call
from .redirects import follow

if TYPE_CHECKING:
    from typing import Protocol

    from ..wire.proxies import Proxy
    from ..wire.proxy_sign_in import ProxySigner
    from ..words.headers import Headers
    from ..words.origins import Origin
    from ..words.settings import NetworkSettings, RetrySettings, TimeoutPair
    from .adapters import Adapters
    from .jars import JarHolder

    class CallDefaults(Protocol):
        """What a session says of every call."""

        _trusted_origins: frozenset[Origin]
        _jar: JarHolder
        _adapters: Adapters | None
        _headers: Headers


# Settings that calls brought along; the connections of the oldest are given up first.
_MOST_TRANSPORTS = 32
_MOST_TIMEOUTS = 64
_MOST_SIGNERS = 64


class Engine:
    """The transports of one session, one for each set of network settings. Safe for threads."""

    follow = staticmethod(follow)

    def __init__(self, network: NetworkSettings, retries: RetrySettings, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._retry = make_retry(retries)
        self._sign_in_retry = without_repetition(self._retry)
        self._timeouts: dict[TimeoutPair, Timeouts] = {}
        self._proxy_auth = network.proxy_auth
        self._signers: dict[Proxy, ProxySigner] = {}
        self.main = Transport(network, self.signer_for)
        self._transports: dict[NetworkSettings, Transport] = {network: self.main}

    def transport(self, network: NetworkSettings) -> Transport:
        """The transport with these settings, which a call brought along."""
        transport = self._transports.get(network)
        if transport is not None:
            return transport
        surplus: Transport | None = None
        with self._lock:
            transport = self._transports.get(network)
            if transport is None:
                if len(self._transports) >= _MOST_TRANSPORTS:
                    surplus = self._transports.pop(list(self._transports)[1])
                given = network.tls.certificate
                keeps = given is not None and given != self.main.network.tls.certificate
                transport = self._transports[network] = Transport(network, self.signer_for, keeps)
        if surplus is not None:
            surplus.close()  # not under our lock: it has one of its own, under which it asks for signers
        return transport

    def signer_for(self, proxy: Proxy) -> ProxySigner | None:
        """Who signs in to `proxy`: one for all transports, so that what one learns, such as a refusal, the others know."""
        if proxy.is_socks or (proxy.username is None and self._proxy_auth is None):
            return None
        from ..auth.proxies.proxy_auth import proxy_signer

        with self._lock:
            signer = self._signers.get(proxy)
            if signer is None:
                signer = proxy_signer(proxy.url, proxy.host, proxy.username, proxy.password, self._proxy_auth)
                remember(self._signers, proxy, signer, _MOST_SIGNERS)
            return signer

    def options(
        self, timeout: TimeoutPair, deadline: float | None, stream: bool = False, ahead: int | None = None
    ) -> SendOptions:
        """How one call is sent; `timeout` and `deadline` in seconds; `stream` and `ahead` as for `SendOptions`."""
        if ahead is not None and (isinstance(ahead, bool) or not isinstance(ahead, int) or ahead < 0):
            raise ConfigurationError("ahead= takes a number of bytes from 0 up, or None for all of them.")
        timeouts = self._timeouts.get(timeout)
        if timeouts is None:
            timeouts = Timeouts(*timeout)
            remember(self._timeouts, timeout, timeouts, _MOST_TIMEOUTS)
        return SendOptions(self._retry, timeouts, Deadline(deadline, self._clock), stream, ahead)

    def call(self, transport: Transport, options: SendOptions, own: Origin, session: CallDefaults) -> Call:
        """A new call to the origin `own`, with what `session` says of every call."""
        return Call(
            transport,
            options,
            own,
            session._jar,
            session._trusted_origins,
            session._headers,
            self._sign_in_retry,
            session._adapters,
        )

    def close(self) -> None:
        """Close all idle connections."""
        for transport in list(self._transports.values()):
            transport.close()
