"""How credentials stand with the servers that have seen them: accepted, refused, or shown for the first time.

A password is shown for the first time by one request, and the others wait for its answer: otherwise many threads would have it
refused many times, and the account locked. One that was refused is not shown again.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from ...words.bounded import remember
from ...words.errors import ArcGISLoginError, DeadlineExceededError
from ...words.forks import watch_forks
from ...words.redaction import redact_url
from ..flights import fresh, seconds_to_wait
from ..sites import web_adaptor

if TYPE_CHECKING:
    from ...messages.request import Request
    from ...messages.response import Response
    from ...words.errors import EsriHttpError, SignInError
    from ...words.origins import Origin
    from ..base import Wire

_MOST_PLACES = 1000
_EVERY_ADAPTOR = "/"  # none has that name
# Where so many have not refused the credentials, the others of the origin will not.
_MANY_ADAPTORS = 16
# Whoever waits longer goes ahead: the first one may be waiting for him, if only for its body.
_LONGEST_TURN_SECONDS = 30.0


class Standing:
    """What servers have said of one set of credentials. Other credentials get another one. Shared by threads."""

    def __init__(self) -> None:
        self._accepted: dict[Origin, frozenset[str]] = {}  # by the web adaptors of each origin
        self._refusals: dict[Any, EsriHttpError] = {}  # by origin, by origin and path, or for everywhere (None)
        self.after_fork()
        watch_forks(self)

    def after_fork(self) -> None:
        """In a forked child: turns were taken by threads that are not there."""
        self._turns: dict[Origin, threading.RLock] = {}

    def check_refusal(self, request: Request) -> None:
        """Raise the `ArcGISLoginError` with which the credentials were refused where `request` goes, or everywhere."""
        for place in (None, request.origin, (request.origin, request.path)):
            refusal = self._refusals.get(place)
            if refusal is not None:
                raise fresh(refusal)

    def turn_at(self, request: Request, wire: Wire) -> threading.RLock | None:
        """The turn to show the credentials, as soon as it is free; `None` where they are accepted, or after half a minute.

        It lasts until this thread releases it. Raises the `ArcGISLoginError` of a refusal, and `DeadlineExceededError` when
        the call has no time to wait.
        """
        self.check_refusal(request)
        if self._is_accepted(request):
            return None
        if len(self._turns) >= _MOST_PLACES:
            self._turns = {}  # at worst, two go ahead at once
        turn = self._turns.setdefault(request.origin, threading.RLock())
        if not turn.acquire(timeout=seconds_to_wait(wire, _LONGEST_TURN_SECONDS)):
            if not wire.deadline.allows(0):
                message = "The time for the whole call is used up; another thread is still signing in."
                raise DeadlineExceededError(message, url=request.url)
            return None
        try:
            self.check_refusal(request)
        except BaseException:
            turn.release()
            raise
        if self._is_accepted(request):
            turn.release()
            return None
        return turn

    def _is_accepted(self, request: Request) -> bool:
        adaptors = self._accepted.get(request.origin)
        return adaptors is not None and (
            web_adaptor(request.path) in adaptors or _EVERY_ADAPTOR in adaptors or len(adaptors) >= _MANY_ADAPTORS
        )

    def accepted(self, request: Request, response: Response, was_asked: bool) -> None:
        """Take note that the credentials were shown with `request`, and not refused by `response`.

        `was_asked`: the server had asked for them. Otherwise the resource may be open to everybody, and its web adaptor alone
        counts.
        """
        if response.status_code >= 500 or self._is_accepted(request):
            return  # a server in trouble may not have looked at them
        adaptor = _EVERY_ADAPTOR if was_asked else web_adaptor(request.path)
        adaptors = self._accepted.get(request.origin, frozenset()) | {adaptor}
        remember(self._accepted, request.origin, adaptors, _MOST_PLACES)

    def refused(self, request: Request, why: str) -> ArcGISLoginError:
        """The error for credentials that were refused. It is remembered for the origin.

        Where the origin has accepted them, they may only lack a right to this resource: then it is remembered for the path. A
        second refusal in a row is remembered for the origin.
        """
        error = ArcGISLoginError(f"{redact_url(request.url)} refuses the sign-in: {why}", url=request.url, code=401)
        was_accepted = self._accepted.pop(request.origin, None)
        place = (request.origin, request.path) if was_accepted else request.origin
        self._remember(place, error)
        return error

    def refused_everywhere(self, error: SignInError) -> None:
        """Take note that the domain itself refused the credentials."""
        self._remember(None, error)

    def _remember(self, place: Any, error: SignInError) -> None:
        # A copy: the one that is raised holds on to all that was under way, such as the body of a request.
        remember(self._refusals, place, fresh(error), _MOST_PLACES)

    def __getstate__(self) -> dict[str, Any]:
        return {"_accepted": dict(self._accepted), "_refusals": dict(self._refusals)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]
        self.__dict__.update(state)
