"""`EsriSession`: what users hold in their hands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._version import __version__
from .messages.body import Body, make_body
from .messages.cookies import CookieJar, jar_from
from .messages.decoding import accept_encoding
from .messages.forms import encode_fields
from .messages.request import Request
from .options import SESSION_KEYWORDS, check_keywords, with_environment
from .pipeline.adapters import Adapters, TransportAdapter
from .pipeline.call import Call
from .pipeline.redirects import follow
from .wire.retries import DEFAULT_STATUSES, make_retry
from .wire.transport import SendOptions, Timeouts, Transport
from .words.clock import SYSTEM_CLOCK, Clock, Deadline
from .words.errors import ConfigurationError
from .words.forks import watch_forks
from .words.headers import HeaderInput, Headers, check_method, lookup, merge
from .words.settings import (
    CONNECT_SECONDS, DEADLINE_SECONDS, READ_SECONDS, NetworkSettings, ProxiesInput, TlsSettings, read_bundles, read_certificate,
    read_proxies, read_timeout, read_verify,
)  # fmt: skip
from .words.urls import origin_of, split_url

if TYPE_CHECKING:
    from .auth.base import BaseEsriAuth, Wire
    from .messages.response import Response
    from .words.origins import Origin, SplitUrl

_UNSET: Any = object()


class EsriSession:
    """An HTTP session with ArcGIS sites. Safe to share between threads, usable after a fork, and it pickles.

    Parameters, as in the user's document:

    - `auth`: a handler, several joined by ``+``, a ``(user, password)`` pair, or any callable that takes a request.
    - `cert`: client certificate; a PEM file with both parts, or a pair (certificate file, key file).
    - `verify_cert`: `True`; a path to a CA bundle that is trusted instead of certifi's; an `ssl.SSLContext`; or `False`.
    - `allow_redirects`: `False` raises `RedirectRefusedError` for a redirect.
    - `headers`: fields added to every request. `referer`: the `Referer`; `None` for none.

    Keywords:

    - `trust_env`: obey proxy variables, CA bundle variables and netrc; what is set explicitly always wins.
    - `stream`: do not read the content of answers before it is asked for.
    - `check_hostname`: `False` skips the name in the server's certificate, not its chain.
    - `retries`, `backoff_factor` (seconds), `status_to_retry`, `method_whitelist`: see `wire.retries.make_retry`.
    - `proxies`: ``{"https": "http://host:port", "http://one.host": None}``.
    - `timeout`: seconds, or (connect, read); the default is (10, 60); `None` for no limit.
    - `deadline`: seconds for a whole call with its redirects, retries and sign-in; the default is 600.
    - `ca_bundles`: PEM file(s) with CAs that are trusted besides certifi's.
    - `server_hostname`: the name of servers that are addressed by IP, or a dict from host to name; it is sent as SNI and
      `Host`, and the certificate is verified against it. A `Host` header on a call does the same for that call.
    - `max_url_length`: a GET whose URL with its `params` is longer is sent as POST; `None` for never.
    - `trusted_origins`: further URLs whose origins may get this session's token or password.

    The names `verify`, `ca_bundle` and `assert_hostname` are taken too. An unknown keyword is a `TypeError`.
    """

    def __init__(
        self,
        auth: Any = None,
        cert: Any = None,
        verify_cert: Any = True,
        allow_redirects: bool = True,
        headers: HeaderInput = None,
        referer: str | None = "http",
        **options: Any,
    ) -> None:
        options = check_keywords(options, SESSION_KEYWORDS, "EsriSession")
        verify_cert = options.pop("verify_cert", verify_cert)
        self._clock: Clock = options.get("clock") or SYSTEM_CLOCK
        self.allow_redirects = bool(allow_redirects)
        self.stream = bool(options.get("stream", False))
        self.max_url_length: int | None = options.get("max_url_length", 2000)
        self.deadline: float | None = options.get("deadline", DEADLINE_SECONDS)
        self.trusted_origins = frozenset(origin_of(url) for url in options.get("trusted_origins") or ())
        self.cookies = CookieJar(self._clock)
        self._headers = Headers({"User-Agent": f"esri_http/{__version__}", "Accept": "*/*", "Accept-Encoding": accept_encoding()})
        self._headers.update(Headers(headers))
        if referer is not None:
            self._headers["Referer"] = referer
        self._set_retries(options)
        self._timeouts = Timeouts(*read_timeout(options.get("timeout", (CONNECT_SECONDS, READ_SECONDS))))
        self._verify_given = verify_cert is not True and verify_cert is not None
        tls = TlsSettings(
            read_verify(verify_cert), read_bundles(options.get("ca_bundles")), bool(options.get("check_hostname", True)),
            read_certificate(cert),
        )  # fmt: skip
        names = options.get("server_hostname")
        self._network = NetworkSettings(
            tls, read_proxies(options.get("proxies")), bool(options.get("trust_env", True)),
            tuple(sorted(names.items())) if isinstance(names, dict) else names,
        )  # fmt: skip
        self._mounted: dict[str, Any] = {}
        self._adapters: Adapters | None = None
        self._own_adapter = TransportAdapter(self)
        self._transports: dict[NetworkSettings, Transport] = {}
        self._netrc: dict[Origin, BaseEsriAuth | None] = {}
        self._auth: BaseEsriAuth | None = None
        self.auth = auth
        watch_forks(self)

    def _set_retries(self, options: dict[str, Any]) -> None:
        statuses = options.get("status_to_retry")
        self._retry = make_retry(
            options.get("retries"),
            options.get("backoff_factor"),
            DEFAULT_STATUSES if statuses is None else statuses,
            options.get("method_whitelist"),
        )
        # What a handler sends is repeated only if it did not arrive: no password is posted twice.
        self._sign_in_retry = self._retry.new(read=0, status=0, status_forcelist=frozenset())

    # -- verbs -------------------------------------------------------------------------------------------------------

    def get(self, url: str, params: Any = None, **kwargs: Any) -> Response:
        """Send a GET; see `request`."""
        return self.request("GET", url, params, **kwargs)

    def options(self, url: str, **kwargs: Any) -> Response:
        """Send an OPTIONS; see `request`."""
        return self.request("OPTIONS", url, **kwargs)

    def head(self, url: str, **kwargs: Any) -> Response:
        """Send a HEAD; see `request`."""
        return self.request("HEAD", url, **kwargs)

    def post(self, url: str, data: Any = None, json: Any = None, **kwargs: Any) -> Response:
        """Send a POST; see `request`."""
        return self.request("POST", url, None, data, json, **kwargs)

    def put(self, url: str, data: Any = None, **kwargs: Any) -> Response:
        """Send a PUT; see `request`."""
        return self.request("PUT", url, None, data, **kwargs)

    def patch(self, url: str, data: Any = None, **kwargs: Any) -> Response:
        """Send a PATCH; see `request`."""
        return self.request("PATCH", url, None, data, **kwargs)

    def delete(self, url: str, **kwargs: Any) -> Response:
        """Send a DELETE; see `request`."""
        return self.request("DELETE", url, **kwargs)

    def request(
        self,
        method: str,
        url: str,
        params: Any = None,
        data: Any = None,
        json: Any = None,
        headers: HeaderInput = None,
        cookies: Any = None,
        files: Any = None,
        auth: Any = None,
        timeout: Any = _UNSET,
        allow_redirects: bool | None = None,
        proxies: ProxiesInput = None,
        hooks: Any = None,
        stream: bool | None = None,
        verify: Any = None,
        cert: Any = None,
        *,
        deadline: float | None = _UNSET,
        drop_auth: bool = False,
    ) -> Response:
        """Send one request and return the final answer, whatever its status.

        `params` (query) and `data` (form) follow Esri's rules for values: bools as true/false, datetimes as epoch ms,
        dicts as JSON, lists joined by commas. `data` may also be text, bytes, a file or an iterator; `json` is sent as
        JSON; `files` as multipart, streamed. `auth` replaces the session's handler, `drop_auth=True` sends without any;
        `proxies`, `verify`, `cert`, `timeout` (seconds) and `deadline` (seconds) hold for this call. `hooks` is
        ``{"response": callable}``. Raises the errors of `esri_http.words.errors`.
        """
        if method not in _KNOWN_METHODS:
            method = check_method(method)
        split = split_url(url)
        target, body = split.target, None
        if data is not None or json is not None or files is not None:
            body = make_body(data, json, files)
        if params:
            method, target, body = self._with_params(method, split, params, body)
        fields = merge(self._headers.plain(), headers)
        if body is not None and body.content_type is not None and lookup(fields, "Content-Type") is None:
            fields["Content-Type"] = body.content_type
        elif body is None and method in _METHODS_WITH_BODY:
            fields["Content-Length"] = "0"
        request = Request(method, split.origin, target, fields, body, split.fragment)
        handler = None if drop_auth else self._handler(auth, split, fields)
        stream = self.stream if stream is None else bool(stream)
        seconds = self.deadline if deadline is _UNSET else deadline
        options = SendOptions(
            self._retry, self._timeouts if timeout is _UNSET else Timeouts(*read_timeout(timeout)), Deadline(seconds, self._clock), stream
        )
        transport = self._transport(proxies, verify, cert)
        call = Call(
            transport, options, split.origin, self.cookies, None if cookies is None else jar_from(cookies, self._clock),
            self.trusted_origins, self.referer, self._sign_in_retry, self._adapters,
        )  # fmt: skip
        response = follow(request, handler, call, self.allow_redirects if allow_redirects is None else allow_redirects)
        if not stream:
            response.content  # noqa: B018 - the connection goes back before the caller looks
        return response if hooks is None else _run_hooks(hooks, response)

    def _with_params(self, method: str, split: SplitUrl, params: Any, body: Body | None) -> tuple[str, str, Body | None]:
        """The query added to the target; or, where the URL of a GET becomes too long, a POST with it as its form."""
        query = encode_fields(params)
        if not query:
            return method, split.target, body
        target = f"{split.target}{'&' if '?' in split.target else '?'}{query}"
        limit = self.max_url_length
        if limit is not None and method == "GET" and body is None and len(str(split.origin)) + len(target) > limit:
            return "POST", split.target, make_body(data=params) if not isinstance(params, (str, bytes)) else _form_of(query)
        return method, target, body

    def _handler(self, auth: Any, split: SplitUrl, fields: dict[str, str]) -> BaseEsriAuth | None:
        """Who signs this call: its own `auth`, user info in the URL, the session's handler, netrc; in this order."""
        if auth is not None:
            from .auth.callables import adopt

            return self._bound(adopt(auth))
        if split.userinfo:
            return _userinfo_auth(split)
        if self._auth is not None or not self._network.trust_env:
            return self._auth
        origin = split.origin
        if origin not in self._netrc:
            from .auth.netrc import netrc_auth

            self._netrc[origin] = netrc_auth(origin)
        handler = self._netrc[origin]
        return None if handler is None or lookup(fields, "Authorization") is not None else handler

    # -- the way to the wire -----------------------------------------------------------------------------------------

    def _transport(self, proxies: Any = None, verify: Any = None, cert: Any = None) -> Transport:
        network = self._network
        if proxies is not None:
            merged = {**dict(network.proxies), **dict(read_proxies(proxies))}
            network = network._replace(proxies=tuple(sorted(merged.items())))
        if verify is not None or cert is not None:
            tls = network.tls if verify is None else network.tls._replace(verify=read_verify(verify))
            network = network._replace(tls=tls if cert is None else tls._replace(certificate=read_certificate(cert)))
        transport = self._transports.get(network)
        if transport is None:
            effective = network if verify is not None else with_environment(network, self._verify_given)
            transport = self._transports.setdefault(network, Transport(effective))
        return transport

    def send_plain(self, request: Request, timeout: Any = _UNSET, stream: bool = False, **_: Any) -> Response:
        """Send one prepared request as it is: no sign-in, cookies or redirects. For adapters that wrap the session's own."""
        timeouts = self._timeouts if timeout is _UNSET else Timeouts(*read_timeout(timeout))
        return self._transport().send(request, SendOptions(self._retry, timeouts, Deadline(self.deadline, self._clock), stream))

    def wire_opener(self, handler: BaseEsriAuth) -> Any:
        """For handlers: a callable that gives a `Wire` outside of any call, through the handlers to the left of `handler`."""
        from .binding import WireOpener

        return WireOpener(self, handler)

    def open_wire(self, handler: BaseEsriAuth) -> Wire:
        """A `Wire` for what `handler` sends on its own account."""
        from .binding import open_wire

        options = SendOptions(self._retry, self._timeouts, Deadline(self.deadline, self._clock))
        return open_wire(self._auth, handler, lambda own: Call(
            self._transport(), options, own, self.cookies, trusted=self.trusted_origins, referer=self.referer,
            sign_in_retry=self._sign_in_retry, adapters=self._adapters,
        ))  # fmt: skip

    def _bound(self, handler: BaseEsriAuth) -> BaseEsriAuth:
        from .binding import bind

        bind(handler, self)
        return handler

    def _changed(self, network: NetworkSettings) -> None:
        """Take new settings; no connection made under the old ones is used again."""
        self._network = network
        transports, self._transports = self._transports, {}
        for transport in transports.values():
            transport.close()

    # -- settings ----------------------------------------------------------------------------------------------------

    @property
    def auth(self) -> Any:
        """The handler that signs this session's requests; `None` for none. Setting it holds from the next request on."""
        return self._auth

    @auth.setter
    def auth(self, auth: Any) -> None:
        if auth is None:
            self._auth = None
            return
        from .auth.callables import adopt

        self._auth = self._bound(adopt(auth))

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
        """The client certificate as (certificate file, key file); `None` for none."""
        certificate = self._network.tls.certificate
        return None if certificate is None else (certificate.certificate, certificate.key)

    @cert.setter
    def cert(self, cert: Any) -> None:
        self._changed(self._network._replace(tls=self._network.tls._replace(certificate=read_certificate(cert))))

    @property
    def verify_cert(self) -> Any:
        """Whom to believe: `True`, a path, an `SSLContext`, or `False`."""
        return self._network.tls.verify

    @verify_cert.setter
    def verify_cert(self, verify: Any) -> None:
        self._verify_given = verify is not None
        self._changed(self._network._replace(tls=self._network.tls._replace(verify=read_verify(verify))))

    verify = verify_cert

    @property
    def ca_bundles(self) -> str | tuple[str, ...] | None:
        """The extra CA bundle (a path, or several); `None` for none."""
        bundles = self._network.tls.ca_bundles
        return None if not bundles else bundles[0] if len(bundles) == 1 else bundles

    @ca_bundles.setter
    def ca_bundles(self, bundles: Any) -> None:
        self._changed(self._network._replace(tls=self._network.tls._replace(ca_bundles=read_bundles(bundles))))

    ca_bundle = ca_bundles

    @property
    def check_hostname(self) -> bool:
        """Whether the name in a server's certificate is checked."""
        return self._network.tls.check_hostname

    @check_hostname.setter
    def check_hostname(self, check: bool) -> None:
        self._changed(self._network._replace(tls=self._network.tls._replace(check_hostname=bool(check))))

    assert_hostname = check_hostname

    @property
    def proxies(self) -> dict[str, str | None]:
        """A copy of the proxies that were set; assign a dict to change them."""
        return dict(self._network.proxies)

    @proxies.setter
    def proxies(self, proxies: ProxiesInput) -> None:
        self._changed(self._network._replace(proxies=read_proxies(proxies)))

    @property
    def trust_env(self) -> bool:
        """Whether proxy variables, CA bundle variables and netrc are obeyed."""
        return self._network.trust_env

    @trust_env.setter
    def trust_env(self, trust: bool) -> None:
        self._netrc = {}
        self._changed(self._network._replace(trust_env=bool(trust)))

    @property
    def timeout(self) -> tuple[float | None, float | None]:
        """(connect, read) in seconds; `None` is no limit."""
        return self._timeouts.connect, self._timeouts.read

    @timeout.setter
    def timeout(self, timeout: Any) -> None:
        self._timeouts = Timeouts(*read_timeout(timeout))

    # -- adapters and end of life ------------------------------------------------------------------------------------

    @property
    def adapters(self) -> dict[str, Any]:
        """The mounted adapters by prefix, the longest first; the session's own stand under ``https://`` and ``http://``."""
        mounted = {"https://": self._own_adapter, "http://": self._own_adapter, **self._mounted}
        return dict(sorted(mounted.items(), key=lambda item: -len(item[0])))

    def mount(self, prefix: str, adapter: Any) -> None:
        """Send requests to URLs that begin with `prefix` through `adapter`: anything with ``send(request, ...)`` and ``close()``."""
        if not callable(getattr(adapter, "send", None)):
            raise ConfigurationError("An adapter has send(request, ...) and close().")
        self._mounted[prefix.lower()] = adapter
        self._adapters = Adapters(self.adapters)

    def close(self) -> None:
        """Close all connections. The session can be used again; it then connects anew."""
        for transport in list(self._transports.values()):
            transport.close()
        for adapter in self._mounted.values():
            if not isinstance(adapter, TransportAdapter) and hasattr(adapter, "close"):
                adapter.close()

    def after_fork(self) -> None:
        """In a forked child: leave the parent's connections alone and begin anew."""
        self._transports = {}

    def __enter__(self) -> EsriSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<EsriSession auth={self._auth!r}>"

    def __getstate__(self) -> dict[str, Any]:
        """A pickle keeps settings, cookies and auth; connections are made anew."""
        return {**self.__dict__, "_transports": {}, "_netrc": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._auth is not None:
            self._bound(self._auth)
        watch_forks(self)


_KNOWN_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"})
_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


def _form_of(query: str) -> Body:
    from .messages.body import FormBody

    return FormBody(query.encode("ascii"))


def _userinfo_auth(split: SplitUrl) -> BaseEsriAuth:
    from urllib.parse import unquote

    from .auth.basic import EsriBasicAuth

    username, _, password = split.userinfo.partition(":")
    return EsriBasicAuth(None, unquote(username), unquote(password), url=str(split.origin))


def _run_hooks(hooks: Any, response: Response) -> Response:
    """Call the caller's response hooks in order; one that returns something replaces the response."""
    given = hooks.get("response") or ()
    for hook in [given] if callable(given) else given:
        replaced = hook(response)
        if replaced is not None:
            response = replaced
    return response
