"""Questions that a survey asks: GETs that nobody signs, with cookies that last no longer than one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, NamedTuple, TypeVar

from ..auth.flights import fresh
from ..auth.handshake.handshake_errors import skew_seconds
from ..messages.request import Request
from ..pipeline.call import Call
from ..pipeline.jars import JarHolder
from ..pipeline.redirects import next_request
from ..wire.certificate_chain import Handshake, read_handshake, without_checks
from ..wire.transport import SendOptions
from ..words.clock import Deadline
from ..words.errors import EsriHttpError, RedirectError, TooManyRedirectsError
from ..words.redaction import plain, redact_url
from ..words.urls import split_url

if TYPE_CHECKING:
    from ..messages.response import Response
    from ..session import EsriSession
    from ..wire.proxies import Proxy
    from ..words.origins import Origin

    _T = TypeVar("_T")

_MOST_REDIRECTS = 5
_AHEAD_BYTES = 64 * 1024
LONGEST_WORDS = 1000


class Asked(NamedTuple):
    """One question: its `url` without the query, the `status` of the answer (`None`: there was none), what came of it.

    `origin`: who answered, or did not, in the end; `redirects`: where it led on the way; `error`: why there is no answer.
    """

    url: str
    origin: Origin
    status: int | None
    seconds: float
    redirects: tuple[str, ...]
    words: str
    error: EsriHttpError | None = None


class Asker:
    """Asks the questions of one survey, one after the other, all within `seconds`. For one thread.

    Works below the session's handlers, netrc and cookies, so that none of them can be sent; the session gives its network
    settings and time-outs. A proxy is signed in at where its address, or `proxy_auth=`, has the credentials for it.
    """

    def __init__(self, session: EsriSession, seconds: float | None) -> None:
        self._session = session
        self._engine: Any = session._started()
        self.clock = session._clock
        self._deadline = Deadline(seconds, self.clock)
        self.asked: list[Asked] = []
        #: How far the server's clock is ahead of ours, by its first answer; `None` until one says.
        self.skew_seconds: float | None = None

    def proxy_to(self, origin: Origin) -> Proxy | None:
        """The proxy on the way to `origin`; raises `ConfigurationError` for settings that cannot be used."""
        proxy: Proxy | None = self._engine.main.route(origin).proxy
        return proxy

    def name_of(self, origin: Origin) -> str:
        """The name that the certificate of `origin`, and a ticket for it, has to be for."""
        return self._engine.main.route(origin).name or origin.host

    def ask(self, url: str, read: Callable[[Response], tuple[_T, str]], *, stay: bool = False) -> _T | None:
        """What `read` makes of the answer at `url`; `None` where none came. Either way it is noted in `asked`.

        `read` gives its result, and that in words. `stay`: leave a redirect to another origin for `read` to see.
        """
        split = split_url(url)
        step = _Step(Request("GET", split.origin, split.target, dict(self._session.headers.plain())))
        began = self.clock.monotonic()
        result, status, error = None, None, None
        try:
            response = self._follow(step, Call(self._engine.main, self._options(), split.origin, JarHolder(self.clock)), stay)
            status = response.status_code
            try:
                result, words = read(response)
            finally:
                response.close()
        except EsriHttpError as caught:
            words, error = str(caught), fresh(caught)
        seconds = self.clock.monotonic() - began
        words = plain(words, LONGEST_WORDS)
        self.asked.append(Asked(_shown(url), step.request.origin, status, seconds, tuple(step.redirects), words, error))
        return result

    def handshake(self, origin: Origin) -> Handshake:
        """A handshake with `origin` that believes any certificate; nothing is sent after it. Raises `TransportError`."""
        transport = self._engine.transport(without_checks(self._engine.main.network))
        return read_handshake(transport, Request("GET", origin, "/", {}), self._options())

    def _options(self) -> SendOptions:
        options: SendOptions = self._engine.options(self._session.timeout, None)
        return SendOptions(options.retry, options.timeouts, self._deadline, ahead=_AHEAD_BYTES)

    def _follow(self, step: _Step, call: Call, stay: bool) -> Response:
        while True:
            response = call.send(step.request)
            if self.skew_seconds is None:
                self.skew_seconds = skew_seconds(response, self.clock)
            if not response.is_redirect:
                return response
            try:
                following = next_request(step.request, response)
                step.redirects.append(_shown(following.url))
                if stay and following.origin != step.request.origin:
                    return response
                if len(step.redirects) > _MOST_REDIRECTS:
                    raise TooManyRedirectsError(f"It redirects on and on, at last to {step.redirects[-1]}.")
            except RedirectError:
                response.close()
                raise
            response.discard()
            step.request = following


class _Step:
    """How far one question has got."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.redirects: list[str] = []


def _shown(url: str) -> str:
    return redact_url(url.partition("?")[0])
