"""The adapter for auth objects of the common shape: callables that take a request and may hook its response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from ..words.errors import ConfigurationError
from ..words.headers import Headers, check_method
from .base import ACCEPT, INERT, Audience, AuthRun, BaseEsriAuth

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from ..messages.body import Body
    from ..messages.request import Request
    from ..messages.response import Response
    from .base import Answer, Wire


def adopt(auth: Any) -> BaseEsriAuth:
    """Any auth object as one of our handlers: ours, a ``(user, password)`` pair, or a callable that takes a request."""
    if isinstance(auth, BaseEsriAuth):
        return auth
    if isinstance(auth, (tuple, list)) and len(auth) == 2:
        from .web_tier.basic import PlainBasicAuth

        return PlainBasicAuth(*auth)
    if callable(auth):
        return CallableAuth(auth)
    raise ConfigurationError("auth= takes a handler, a (user, password) pair, or a callable that takes a request.")


class CallableAuth(BaseEsriAuth):
    """A foreign auth object as a handler. It acts on the origins that the caller names, not where redirects lead.

    As safe for threads as the object it wraps. A scheme that signs in the connection (NTLM, Negotiate) needs a handler with
    a `lane_identity`, as ours are: what a callable sends again may go over another connection.
    """

    def __init__(self, auth: Callable[[Any], Any]) -> None:
        self.auth = auth

    def begin(self, audience: Audience) -> AuthRun:
        return CallableRun(self.auth) if audience.own or audience.is_trusted else INERT

    @property
    def token(self) -> Any:
        """The wrapped object's `token`, or `None`."""
        return getattr(self.auth, "token", None)

    def __repr__(self) -> str:
        return f"CallableAuth({type(self.auth).__name__})"


class CallableRun(AuthRun):
    """One request's turn with a callable: it is called once, and the hooks that it registers see the answer."""

    def __init__(self, auth: Callable[[Any], Any]) -> None:
        self._auth = auth
        self._hooks: list[Callable[..., Any]] = []

    def before_request(self, request: Request, wire: Wire) -> Request:
        facade = CallableRequest(request)
        changed = self._auth(facade)
        if not isinstance(changed, CallableRequest):
            raise ConfigurationError(f"{type(self._auth).__name__} must return the request that it was given.")
        self._hooks = _hooks_of(changed)
        return changed.finished()

    def on_response(self, request: Request, response: Response, wire: Wire) -> Answer:
        answer: Answer = ACCEPT
        try:
            for hook in self._hooks:
                said = hook(HookedResponse(response, CallableRequest(request), wire))
                replacement = _replacement(said, request, hook)
                if replacement is not None and replacement is not response:
                    response.discard()
                    answer = response = replacement
        except BaseException:
            response.close()
            raise
        return answer


def _hooks_of(request: CallableRequest) -> list[Callable[..., Any]]:
    """The hooks of a request. Its `hooks` may have been set anew, as other clients let one: to a callable, several, or none."""
    given = (request.hooks or {}).get("response") or ()
    hooks = list(given) if isinstance(given, (list, tuple)) else [given]
    if not all(callable(hook) for hook in hooks):
        raise ConfigurationError("The hooks of a request hold something that cannot be called.")
    return hooks


def _replacement(said: Any, request: Request, hook: Any) -> Response | None:
    """The response that a hook gives back; `None` where it gives none."""
    if said is None:
        return None
    if not isinstance(said, HookedResponse):
        from ..messages.foreign import as_response

        return as_response(said, request, hook)
    said.history[:] = [getattr(earlier, "_response", earlier) for earlier in said.history]
    return said._response


class CallableRequest:
    """A request under the names that auth handlers for Python HTTP clients use, and editable as they expect.

    `body` is text for a form, bytes for what else is in memory, and else an iterable of bytes.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self.method = request.method
        self.url = request.url
        self.headers: MutableMapping[str, str] = Headers(request.headers)
        self.body: Any = _shown_body(request.body)
        self._body_given = self.body
        self.hooks: dict[str, list[Callable[..., Any]]] = {"response": []}
        self._cookies = _NoCookies()

    @property
    def path_url(self) -> str:
        """Path and query of `url`."""
        from ..words.urls import split_url

        return split_url(self.url).target

    def register_hook(self, event: str, hook: Any) -> None:
        """Have `hook(response)` called with the answer; `event` is ``response``."""
        if event != "response":
            raise ConfigurationError(f"There is no hook {event!r}; there is 'response'.")
        self.hooks[event] += [hook] if callable(hook) else list(hook)

    def deregister_hook(self, event: str, hook: Any) -> bool:
        """Take a hook back; whether it was there."""
        try:
            self.hooks[event].remove(hook)
        except (KeyError, ValueError):
            return False
        return True

    def copy(self) -> CallableRequest:
        """A copy whose header fields and hooks are its own."""
        twin = type(self)(self._request)
        twin.method, twin.url, twin.body, twin._body_given = self.method, self.url, self.body, self._body_given
        twin.headers = Headers(self.headers)
        twin.hooks = {event: list(hooks) for event, hooks in self.hooks.items()}
        return twin

    def prepare_headers(self, headers: Any) -> None:
        """Put these header fields in the place of all others."""
        self.headers = Headers(headers)

    def prepare_cookies(self, cookies: Any) -> None:
        """Nothing: the session keeps the cookies."""

    def prepare_content_length(self, body: Any) -> None:
        """Nothing: the length goes out as it is when the request is sent."""

    def finished(self) -> Request:
        """The request with all changes; a changed URL must stay on the same origin."""
        from ..messages.body import make_body
        from ..words.urls import split_url

        request = self._request.replace(headers=Headers(self.headers).plain())
        if self.method != request.method:
            request.method = check_method(self.method)
        if self.url != self._request.url:
            split = split_url(self.url)
            if split.origin != self._request.origin:
                raise ConfigurationError("An auth handler may not send the request to another origin.")
            request.target = split.target
        if self.body is not self._body_given:
            request.body = make_body(data=self.body)
        return request


class HookedResponse:
    """A response as hooks expect it: ours, plus a `connection` to send again through."""

    def __init__(self, response: Response, request: CallableRequest, wire: Wire) -> None:
        self._response = response
        self.request: Any = request
        self.connection = _Resender(wire)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._response, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("request", "connection") or not hasattr(type(self.__dict__.get("_response")), name):
            super().__setattr__(name, value)
        else:
            setattr(self._response, name, value)

    def __bool__(self) -> bool:
        return bool(self._response)


class _Resender:
    """`response.connection`: sends a request once more, through the handlers nearer the wire."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def send(self, request: Any, **_: Any) -> HookedResponse:
        """Send a copy of the request that was hooked, as the caller wants it sent."""
        if not isinstance(request, CallableRequest):
            raise ConfigurationError("response.connection.send() takes a copy of response.request.")
        return HookedResponse(self._wire.resend(request.finished()), request, self._wire)


class _NoCookies(dict):  # type: ignore[type-arg]
    """Takes the place of a cookie jar that a hook may want to fill."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Nothing: the session has seen them already."""


def _shown_body(body: Body | None) -> Any:
    if body is None:
        return None
    from ..messages.body import BytesBody, FormBody

    if isinstance(body, FormBody):
        return body.content.decode("ascii")
    return body.content if isinstance(body, BytesBody) else body
