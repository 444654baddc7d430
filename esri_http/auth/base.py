"""What a sign-in handler is: a shared, thread-safe object that makes one `AuthRun` for every request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..words.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import Protocol, TypeVar, Union

    from ..messages.request import Request
    from ..messages.response import Response
    from ..words.clock import Clock, Deadline
    from ..words.origins import Origin
    from ..words.settings import ClientCertificate

    Answer = Union["Verdict", Response]
    _T = TypeVar("_T")

    class Wire(Protocol):
        """What a handler may ask of the floors below while a request is under way."""

        clock: Clock

        @property
        def referer(self) -> str | None:
            """The session's `Referer`; `None` for none."""

        @property
        def deadline(self) -> Deadline:
            """When the call that this is for has to be over."""

        def send(self, request: Request) -> Response:
            """Send a request of the handler's own, through the handlers to its left only; no redirect is followed."""

        def resend(self, request: Request) -> Response:
            """Send the caller's request once more, as the caller wants it sent, through the handlers to the left only."""

        def left_of(self, count: int) -> Wire:
            """The same wire as the handler at place `count` of a chain may use it."""

        def through(self, handler: BaseEsriAuth) -> Wire:
            """The same wire for one that has `handler` as its own, nearer the wire."""

        @property
        def peer_certificate(self) -> bytes | None:
            """The DER certificate of the server that answered last on this exchange's lane; `None` without TLS or lane."""

        @property
        def server_name(self) -> str | None:
            """The name of the server: the one that was given for an address, else the host; `None` without a request."""

        @property
        def memory(self) -> dict[str, Any]:
            """What is remembered of the lane's connection for as long as it lives; empty without a lane."""

        def pin(self) -> None:
            """The next leg must go over the same connection."""


class Verdict:
    """What a handler says to an answer: `ACCEPT`, `REPLAY` or `BEGIN_ANEW`, and no other."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


ACCEPT = Verdict("ACCEPT")
"""Nothing to do; the answer goes on."""
REPLAY = Verdict("REPLAY")
"""Drop this answer, ask `before_request` again and send again."""
BEGIN_ANEW = Verdict("BEGIN_ANEW")
"""Drop this answer and all runs, ask every handler for another run, and send again: the kind of sign-in is another."""


class Audience:
    """For whom a request is. `own`: the caller named this origin; it was not a redirect that led to it.

    `request` is the one that it is about, `None` outside of any; handlers look at its path, and at how long its body is.
    """

    __slots__ = ("origin", "own", "request", "trusted")

    def __init__(
        self, origin: Origin, own: bool = True, trusted: frozenset[Origin] = frozenset(), request: Request | None = None
    ) -> None:
        self.origin = origin
        self.own = own
        self.trusted = trusted
        self.request = request

    @property
    def is_trusted(self) -> bool:
        """Whether the caller listed the origin in `trusted_origins`."""
        return self.origin in self.trusted


class AuthRun:
    """One handler's part in one request to one origin. Lives as long as that request; never shared between threads."""

    lane_identity: Hashable | None = None
    """For a sign-in that lives on the connection (NTLM, Negotiate): everything that decides who we are on it. The exchange
    then leases a lane for that identity. `None`: any connection will do."""

    client_certificate: ClientCertificate | None = None
    """For a sign-in by client certificate: what to show to a server that asks for one. `None`: what the session has."""

    signs_whole: bool = False
    """For a signature over the request as it goes out (Digest): in a chain, those that change the request come before it."""

    def before_request(self, request: Request, wire: Wire) -> Request:
        """The request as it should go out: the same one, or a changed copy. Asked again for every replay."""
        return request

    def about_to_send(self, request: Request, wire: Wire) -> Verdict:
        """All handlers have had their say, and `request` goes out now. Sends nothing of its own.

        `ACCEPT`, or `BEGIN_ANEW` to keep it back. What is held until the answer is there is let go by `end`.
        """
        return ACCEPT

    def on_response(self, request: Request, response: Response, wire: Wire) -> Answer:
        """`ACCEPT`, `REPLAY`, `BEGIN_ANEW`, or another response that takes the place of this one.

        May look at status and header fields freely, at the content only through `response.peek()` or `esri_error`.
        """
        return ACCEPT

    def end(self) -> None:
        """The answer was there, or the exchange is over, however it ended. More than one call does no harm."""


INERT = AuthRun()


def checked(said: _T, run: Any, what: str) -> _T:
    """What a handler gave; raises `ConfigurationError` where it gave nothing, as one does that forgets to return it."""
    if said is None:
        raise ConfigurationError(f"{type(run).__name__}.{what}() has returned nothing; see BaseEsriAuth for what it has to.")
    return said


class SupportMultiAuth:
    """Gives a handler `+` and `&`: in ``a + b``, `a` is nearer the wire, and what `b` sends itself goes through `a`."""

    def __add__(self, other: Any) -> Any:
        from .chain import AuthChain

        return AuthChain(self, other)

    def __radd__(self, other: Any) -> Any:
        from .chain import AuthChain

        return AuthChain(other, self)

    __and__ = __add__
    __rand__ = __radd__


class BaseEsriAuth(SupportMultiAuth):
    """Base of all handlers, and yours to inherit from. An instance may be shared by any number of threads and sessions.

    Either override `begin` and return an `AuthRun`; or, as for other Python HTTP clients, override `__call__` to change
    the request (``request.headers[...] = ...``) and there register `response_hook`.
    """

    def begin(self, audience: Audience) -> AuthRun:
        """The run for one request to `audience`; `INERT` where this handler has nothing to say to that origin."""
        if type(self).__call__ is not BaseEsriAuth.__call__:
            from .callables import CallableRun

            return CallableRun(self) if audience.own or audience.is_trusted else INERT
        return INERT

    def begin_inner(self, audience: Audience) -> AuthRun:
        """The run where a token handler stands further out: without what this one does about tokens on its own account."""
        return self.begin(audience)

    def __call__(self, request: Any) -> Any:
        """Change a request and return it; for subclasses in the common style."""
        return request

    def response_hook(self, response: Any, **kwargs: Any) -> Any:
        """Look at an answer and return it, or another; for subclasses that register it in `__call__`."""
        return response

    @property
    def token(self) -> Any:
        """The ArcGIS token (str), or `None` where this way to sign in has none."""
        return None

    def for_workers(self) -> BaseEsriAuth:
        """A handler for `EsriSession.for_workers`, without what this one signs in with. Override it in a handler of yours.

        Raises `ConfigurationError` where nothing is left without that, and `SignInError` where nobody is signed in.
        """
        raise ConfigurationError(
            f"{type(self).__name__} has nothing to send to workers but what it signs in with. Pickle the session itself, and"
            " keep the pickle as safe as a password; or make a session on each worker."
        )

    def logout(self, afterwards: str = "anonymous") -> bool:
        """Sign out, where there is something to sign out of; see `TokenAuth.logout`."""
        return False

    def login(self) -> None:
        """Sign in again, at the next request, after `logout`."""
