"""`EsriSession`: what users hold in their hands."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from .messages.request import Request
from .options import SESSION_KEYWORDS, check_keywords, with_environment
from .pipeline.jars import JarHolder
from .preparation import prepare
from .session_settings import default_auth
from .transfers.verbs import TransferVerbs
from .travel import Travels
from .words.bounded import remember
from .words.errors import ConfigurationError
from .words.forks import watch_forks
from .words.headers import lookup, merge
from .words.settings import read_certificate, read_deadline, read_proxies, read_timeout, read_verify
from .words.urls import split_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from .auth.base import BaseEsriAuth
    from .messages.cookies import CookieJar
    from .messages.response import Response
    from .pipeline.adapters import Adapters
    from .pipeline.engine import Engine
    from .words.headers import HeaderInput
    from .words.origins import Origin, SplitUrl
    from .words.settings import NetworkSettings, ProxiesInput

_UNSET: Any = object()
# Of how many origins the netrc entry is remembered.
_MOST_ORIGINS = 400


class EsriSession(TransferVerbs, Travels):
    """An HTTP session with ArcGIS sites. Safe to share between threads, usable after a fork, and it pickles.

    Parameters, as in the user's document:

    - `auth`: a handler, several joined by ``+``, a ``(user, password)`` pair, or any callable that takes a request.
    - `cert`: client certificate; a PEM file with both parts, a pair (certificate file, key file), or three parts with the
      password of the key; or a PFX: (file or bytes, password). Without `auth` it comes with an `EsriPKIAuth`.
    - `verify_cert`: `True`; a path to a CA bundle that is trusted instead of certifi's; an `ssl.SSLContext`; or `False`.
    - `allow_redirects`: `False` raises `RedirectRefusedError` for a redirect.
    - `headers`: fields added to every request. `referer`: the `Referer`; `None` for none.

    Keywords:

    - `trust_env`: obey proxy variables, CA bundle variables and netrc; what is set explicitly always wins.
    - `stream`: do not read the content of answers before it is asked for.
    - `check_hostname`: `False` skips the name in the server's certificate, not its chain.
    - `retries`, `backoff_factor` (seconds), `status_to_retry`, `method_whitelist`: see `words.settings.read_retries`.
    - `proxies`: ``{"https": "http://host:port", "http://one.host": None}``; `proxy_auth`: see `ProxyAuth`.
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
        options = check_keywords(options, SESSION_KEYWORDS, "EsriSession", () if verify_cert is True else ("verify_cert",))
        verify_cert = options.pop("verify_cert", verify_cert)
        super().__init__(cert, verify_cert, allow_redirects, headers, referer, options)
        self._jar = JarHolder(self._clock)
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._mounted: dict[str, Any] = {}
        self._adapters: Adapters | None = None
        self._netrc: dict[Origin, BaseEsriAuth | None] = {}
        self._auth: BaseEsriAuth | None = None
        self.auth = default_auth(cert) if auth is None else auth
        watch_forks(self)

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
        ahead: int | None = None,
    ) -> Response:
        """Send one request and return the final answer, whatever its status.

        `params` (query) and `data` (form) follow Esri's rules for values: bools as true/false, datetimes as epoch ms,
        dicts as JSON, lists joined by commas. `data` may also be text, bytes, a file or an iterator; `json` is sent as
        JSON; `files` as multipart, streamed. `auth` replaces the session's handler, `drop_auth=True` sends without any;
        `proxies`, `verify`, `cert`, `timeout` (seconds) and `deadline` (seconds) hold for this call. `hooks` is
        ``{"response": callable}``. `ahead`: read no more than so many bytes of the content before it is asked for; other than
        with `stream`, the deadline holds for the rest, too. Raises the errors of `esri_http.words.errors`.
        """
        split = split_url(url)
        after = _read_hooks(hooks) if hooks else None
        body = None
        if data is not None or json is not None or files is not None:
            from .messages.body import make_body

            body = make_body(data, json, files)
        request = prepare(method, split, params, body, merge(self._headers.plain(), headers), self._max_url_length)
        handler = None if drop_auth else self._handler(auth, split, request.headers)
        stream = self.stream if stream is None else bool(stream)
        engine = self._engine or self._started(split.origin.scheme == "https")
        deadline = self._deadline if deadline is _UNSET else read_deadline(deadline)
        options = engine.options(self._timeout if timeout is _UNSET else read_timeout(timeout), deadline, stream, ahead)
        own = proxies is None and verify is None and cert is None
        transport = engine.main if own else engine.transport(self._network_of_call(proxies, verify, cert))
        call = engine.call(transport, options, split.origin, self)
        if cookies is not None:
            from .messages.cookies import jar_from

            call.cookies = jar_from(cookies, self._clock)
        response = engine.follow(request, handler, call, self.allow_redirects if allow_redirects is None else allow_redirects)
        if stream:
            response.lift_deadline()
        elif ahead is None:
            response.content  # noqa: B018 - the connection goes back before the caller looks
        return response if after is None else after(response)

    def _handler(self, auth: Any, split: SplitUrl, fields: dict[str, str]) -> BaseEsriAuth | None:
        """Who signs this call: its own `auth`, user info in the URL, the session's handler, netrc; in this order."""
        if auth is not None:
            return self._bound(auth)
        if split.userinfo:
            from .auth.web_tier.basic import auth_of_userinfo

            return auth_of_userinfo(split)
        if self._auth is not None or not self._network.trust_env:
            return self._auth
        origin, known = split.origin, self._netrc  # another thread may put a new one in its place
        handler = known.get(origin, _UNSET)
        if handler is _UNSET:
            from .auth.netrc import netrc_auth

            handler = netrc_auth(origin)
            remember(known, origin, handler, _MOST_ORIGINS)
        return None if handler is None or lookup(fields, "Authorization") is not None else handler

    # -- the way to the wire -----------------------------------------------------------------------------------------

    def _started(self, secure: bool = True) -> Engine:
        """The engine, made at the first request after the session was made, changed or forked."""
        if f"{__package__}.pipeline.engine" not in sys.modules:
            # See `wire`: a thread that imports a module of it does not wait until `wire` itself is loaded.
            import http.client  # noqa: F401

            if secure:
                from .wire.tls import build_ahead

                build_ahead(with_environment(self._network, self._verify_given).tls)  # while urllib3 is imported
        from .pipeline.engine import Engine

        with self._lock:
            if self._engine is None:  # the settings as they stand now: a change takes this lock after it was made
                self._engine = Engine(with_environment(self._network, self._verify_given), self._retries, self._clock)
            return self._engine

    def warm(self) -> None:
        """Do now what the first https request would otherwise wait for: imports, and reading the trusted CAs.

        For places where time is free before the first request comes, such as the start of a Lambda function. Raises
        `CertificateFileError` for a CA or certificate that cannot be used.
        """
        self._started().main.warm()

    def _network_of_call(self, proxies: Any, verify: Any, cert: Any) -> NetworkSettings:
        """The network settings with what one call says otherwise."""
        network = with_environment(self._network, self._verify_given or verify is not None)
        tls = network.tls
        if verify is not None:
            tls = tls.replace(verify=read_verify(verify))
        if cert is not None:
            tls = tls.replace(certificate=read_certificate(cert))
        if proxies is not None:
            network = network.replace(proxies=tuple(sorted({**dict(network.proxies), **dict(read_proxies(proxies))}.items())))
        return network.replace(tls=tls)

    def send_plain(self, request: Request, timeout: Any = _UNSET, stream: bool = False, **_: Any) -> Response:
        """Send one prepared request as it is: no sign-in, cookies or redirects. For adapters that wrap the session's own."""
        engine = self._started()
        options = engine.options(self._timeout if timeout is _UNSET else read_timeout(timeout), self._deadline, stream)
        response = engine.main.send(request, options)
        if stream:
            response.lift_deadline()
        return response

    def wire_opener(self, handler: BaseEsriAuth) -> Any:
        """For handlers: a callable that gives a `Wire` outside of any call, through the handlers to the left of `handler`."""
        from .binding import WireOpener

        return WireOpener(self, handler)

    def _bound(self, auth: Any) -> BaseEsriAuth:
        """Any auth object as a handler that can sign in through this session."""
        from .binding import bind

        return bind(auth, self)

    def _changed(self, network: NetworkSettings) -> None:
        super()._changed(network)
        self._netrc = {}
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    @property
    def cookies(self) -> CookieJar:
        """The cookies of this session (RFC 6265): set by servers, and by you."""
        return self._jar.open()

    @cookies.setter
    def cookies(self, cookies: Any) -> None:
        from .messages.cookies import jar_from

        self._jar.jar = jar_from(cookies, self._clock)

    @property
    def auth(self) -> Any:
        """The handler that signs this session's requests; `None` for none. Setting it holds from the next request on."""
        return self._auth

    @auth.setter
    def auth(self, auth: Any) -> None:
        self._auth = None if auth is None else self._bound(auth)

    # -- adapters and end of life ------------------------------------------------------------------------------------

    @property
    def adapters(self) -> dict[str, Any]:
        """The mounted adapters by prefix, the longest first; the session's own stand under ``https://`` and ``http://``."""
        from .pipeline.adapters import TransportAdapter

        own = TransportAdapter(self)
        mounted = {"https://": own, "http://": own, **self._mounted}
        return dict(sorted(mounted.items(), key=lambda item: -len(item[0])))

    def mount(self, prefix: str, adapter: Any) -> None:
        """Send requests to URLs that begin with `prefix` through `adapter`: anything with `send(request, ...)`, `close()`."""
        if not isinstance(prefix, str) or not callable(getattr(adapter, "send", None)):
            raise ConfigurationError("mount() takes the beginning of URLs, and an adapter with send(request, ...) and close().")
        from .pipeline.adapters import Adapters

        with self._lock:
            self._mounted[prefix.lower()] = adapter
            self._adapters = Adapters(self.adapters)

    def close(self) -> None:
        """Close all connections, and the mounted adapters. The session can be used again; it then connects anew."""
        self.close_connections()
        if self._adapters is not None:
            self._adapters.close()

    def close_connections(self) -> None:
        """Close the session's own connections that are idle now; those in use are closed after use."""
        engine = self._engine
        if engine is not None:
            engine.close()

    def after_fork(self) -> None:
        """In a forked child: leave the parent's connections and locks alone and begin anew."""
        self._lock = threading.Lock()
        self._engine = None
        if self._jar.jar is not None:
            self._jar.jar.after_fork()

    def __enter__(self) -> EsriSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<EsriSession auth={self._auth!r}>"


def _read_hooks(hooks: Any) -> Callable[[Response], Any]:
    from .pipeline.hooks import read_hooks

    return read_hooks(hooks)
