"""What a session is set to: read once, checked at once, and readable and settable afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._version import __version__
from .messages.codings import accept_encoding
from .words.clock import SYSTEM_CLOCK, Clock
from .words.errors import ConfigurationError
from .words.headers import Headers
from .words.origins import Origin
from .words.settings import (
    BYPASS_KEYS,
    CONNECT_SECONDS,
    DEADLINE_SECONDS,
    LONGEST_URL,
    READ_SECONDS,
    NetworkSettings,
    TlsSettings,
    read_bundles,
    read_certificate,
    read_deadline,
    read_length,
    read_proxies,
    read_retries,
    read_server_hostname,
    read_timeout,
    read_verify,
)  # fmt: skip
from .words.urls import origin_of

if TYPE_CHECKING:
    from .auth.base import BaseEsriAuth
    from .words.headers import HeaderInput
    from .words.settings import ProxiesInput


class SessionSettings:
    """The settings of a session; see `EsriSession` for what they mean. Reading them is safe in any thread.

    A new value holds from the next request on, which uses no connection that was made under other network settings.
    """

    def __init__(
        self,
        cert: Any,
        verify_cert: Any,
        allow_redirects: bool,
        headers: HeaderInput,
        referer: str | None,
        options: dict[str, Any],
    ) -> None:
        self._clock: Clock = options.get("clock") or SYSTEM_CLOCK
        self.allow_redirects = bool(allow_redirects)
        self.stream = bool(options.get("stream", False))
        self._max_url_length = read_length(options.get("max_url_length", LONGEST_URL))
        self._deadline = read_deadline(options.get("deadline", DEADLINE_SECONDS))
        self._trusted_origins = _read_origins(options.get("trusted_origins"))
        self._headers = Headers(
            {"User-Agent": f"esri_http/{__version__}", "Accept": "*/*", "Accept-Encoding": accept_encoding()}
        )
        self._headers.update(Headers(headers))
        if referer is not None:
            self._headers["Referer"] = referer
        self._retries = read_retries(
            options.get("retries"),
            options.get("backoff_factor"),
            options.get("status_to_retry"),
            options.get("method_whitelist"),
        )
        self._timeout = read_timeout(options.get("timeout", (CONNECT_SECONDS, READ_SECONDS)))
        self._verify_given = verify_cert is not True and verify_cert is not None
        tls = TlsSettings(
            read_verify(verify_cert), read_bundles(options.get("ca_bundles")), _is_on(options.get("check_hostname")),
            read_certificate(cert),
        )  # fmt: skip
        self._network = NetworkSettings(
            tls, _read_proxies(options.get("proxies")), _is_on(options.get("trust_env")),
            read_server_hostname(options.get("server_hostname")), _read_proxy_auth(options.get("proxy_auth")),
        )  # fmt: skip

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle keeps of the settings: all of them, so one that holds an `SSLContext` cannot be had."""
        if not isinstance(self._network.tls.verify, (bool, str)):
            raise ConfigurationError("A session with an ssl.SSLContext cannot be pickled; set verify_cert= to a path instead.")
        return dict(self.__dict__)

    def _changed(self, network: NetworkSettings) -> None:
        """Take new network settings."""
        self._network = network

    def _change_tls(self, **values: Any) -> None:
        self._changed(self._network.replace(tls=self._network.tls.replace(**values)))

    @property
    def headers(self) -> Headers:
        """The fields of every request, case-insensitive; change them in place or set them anew."""
        return self._headers

    @headers.setter
    def headers(self, headers: HeaderInput) -> None:
        self._headers = Headers(headers)

    def update_headers(self, values: HeaderInput) -> bool:
        """Add to `headers`; always `True`."""
        self._headers.update(Headers(values))
        return True

    @property
    def referer(self) -> str | None:
        """The `Referer` of every request, which tokens are bound to; `None` for none."""
        return self._headers.get("Referer")

    @referer.setter
    def referer(self, referer: str | None) -> None:
        if referer is None:
            self._headers.pop("Referer", None)
        else:
            self._headers["Referer"] = referer

    @property
    def cert(self) -> tuple[str, str | None] | None:
        """The client certificate as (certificate file, key file), without its password; `None` for none.

        Of a PFX, the file (or what stands for its bytes) and `None`. Set it to any form that `EsriSession` takes.
        """
        certificate = self._network.tls.certificate
        return None if certificate is None else (certificate.name, certificate.key)

    @cert.setter
    def cert(self, cert: Any) -> None:
        self._change_tls(certificate=read_certificate(cert))

    @property
    def verify_cert(self) -> Any:
        """Whom to believe: `True`, a path, an `SSLContext`, or `False`."""
        return self._network.tls.verify

    @verify_cert.setter
    def verify_cert(self, verify: Any) -> None:
        self._verify_given = verify is not None
        self._change_tls(verify=read_verify(verify))

    verify = verify_cert

    @property
    def ca_bundles(self) -> str | tuple[str, ...] | None:
        """The extra CA bundle (a path, or several); `None` for none."""
        bundles = self._network.tls.ca_bundles
        return None if not bundles else bundles[0] if len(bundles) == 1 else bundles

    @ca_bundles.setter
    def ca_bundles(self, bundles: Any) -> None:
        self._change_tls(ca_bundles=read_bundles(bundles))

    ca_bundle = ca_bundles

    @property
    def check_hostname(self) -> bool:
        """Whether the name in a server's certificate is checked."""
        return self._network.tls.check_hostname

    @check_hostname.setter
    def check_hostname(self, check: bool) -> None:
        self._change_tls(check_hostname=_is_on(check))

    assert_hostname = check_hostname

    @property
    def proxies(self) -> dict[str, str | None]:
        """A copy of the proxies that were set; assign a dict to change them."""
        return dict(self._network.proxies)

    @proxies.setter
    def proxies(self, proxies: ProxiesInput) -> None:
        self._changed(self._network.replace(proxies=_read_proxies(proxies)))

    @property
    def proxy_auth(self) -> Any:
        """The handler that signs in to the proxies whose address names no user; `None` for none."""
        return self._network.proxy_auth

    @proxy_auth.setter
    def proxy_auth(self, auth: Any) -> None:
        self._changed(self._network.replace(proxy_auth=_read_proxy_auth(auth)))

    @property
    def trust_env(self) -> bool:
        """Whether proxy variables, CA bundle variables and netrc are obeyed."""
        return self._network.trust_env

    @trust_env.setter
    def trust_env(self, trust: bool) -> None:
        self._changed(self._network.replace(trust_env=_is_on(trust)))

    @property
    def timeout(self) -> tuple[float | None, float | None]:
        """(connect, read) in seconds; `None` is no limit."""
        return self._timeout

    @timeout.setter
    def timeout(self, timeout: Any) -> None:
        self._timeout = read_timeout(timeout)

    @property
    def deadline(self) -> float | None:
        """Seconds for a whole call; `None` is no limit."""
        return self._deadline

    @deadline.setter
    def deadline(self, seconds: float | None) -> None:
        self._deadline = read_deadline(seconds)

    @property
    def max_url_length(self) -> int | None:
        """How long the URL of a GET may become by its `params`; `None` is no limit."""
        return self._max_url_length

    @max_url_length.setter
    def max_url_length(self, length: int | None) -> None:
        self._max_url_length = read_length(length)

    @property
    def trusted_origins(self) -> frozenset[Origin]:
        """The further origins that may get this session's token or password. Set it to a URL, or to several."""
        return self._trusted_origins

    @trusted_origins.setter
    def trusted_origins(self, urls: Any) -> None:
        self._trusted_origins = _read_origins(urls)


def _is_on(switch: Any) -> bool:
    """A switch that is on unless it was switched off; `None` says nothing."""
    return switch is None or bool(switch)


def _read_origins(urls: Any) -> frozenset[Origin]:
    """What users pass as `trusted_origins=`: a URL, or several, or what a session says of its own."""
    if not urls:
        return frozenset()
    try:
        given = (urls,) if isinstance(urls, (str, Origin)) else urls
        return frozenset(url if isinstance(url, Origin) else origin_of(url) for url in given)
    except TypeError:
        raise ConfigurationError("trusted_origins= takes a URL, or several in a list.") from None


def _read_proxy_auth(auth: Any) -> Any:
    """What users pass as `proxy_auth=`, as a handler; loaded only where it is used."""
    if auth is None:
        return None
    from .auth.proxies.proxy_auth import read_proxy_auth

    return read_proxy_auth(auth)


def default_auth(cert: Any) -> BaseEsriAuth | None:
    """The handler of a session without one: with a client certificate, what gets the tokens of servers behind it."""
    if cert is None:
        return None
    from .auth.web_tier.pki import EsriPKIAuth

    return EsriPKIAuth()


def _read_proxies(proxies: ProxiesInput) -> tuple[tuple[str, str | None], ...]:
    """As `read_proxies`, with every address checked."""
    read = read_proxies(proxies)
    if read:
        from .wire.proxies import parse_proxy

        for key, address in read:
            if address is not None and key not in BYPASS_KEYS:
                parse_proxy(address)
    return read
