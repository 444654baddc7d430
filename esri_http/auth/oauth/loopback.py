"""The loopback redirect of a native app (RFC 8252 section 7.3): a listener on 127.0.0.1 that waits for one answer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from ...words.errors import DeadlineExceededError, InteractionRequiredError
from ...words.redaction import plain
from .loopback_server import ADDRESS, LoopbackRequest, LoopbackServer, Page
from .pkce import same_state

if TYPE_CHECKING:
    from ...words.clock import Deadline

LOOPBACK_HOSTS = (ADDRESS, "localhost")
_TICK_SECONDS = 0.2
_MOST_FIELDS = 20
_LONGEST_WORDS = 300

_SIGNED_IN = Page(200, "You are signed in", "You can close this window and go back to your program.")
_NOT_SIGNED_IN = Page(200, "You are not signed in", "The sign-in was refused or cancelled. You can close this window.")
_UNREADABLE = Page(400, "Nothing here", "The request cannot be read.")
_NOTHING = Page(404, "Nothing here", "This page is only for the end of a sign-in that is under way.")
_GET_ONLY = Page(405, "Nothing here", "This page can only be looked at.")
_OTHER_HOST = Page(421, "Nothing here", "This page goes by another name.")


class LoopbackListener:
    """Listens from its making to `close()`; for one sign-in. A context manager.

    Bound to 127.0.0.1 alone, and called by that name or ``localhost`` alone, so that no web page can get here under a name of
    its own. A request without our `state` changes nothing: neither a stray one for an icon nor a forged error ends the
    sign-in. The first one that has it is the answer.
    """

    def __init__(self, state: str, port: int = 0, path: str = "/") -> None:
        """`port`: 0 for a free one. Raises `ConfigurationError` where the port cannot be had."""
        self._state = state
        self._path = path
        self._answer: dict[str, str] | None = None
        self._answered = threading.Event()
        self._server = LoopbackServer(port)
        self.port = self._server.port
        self._hosts = {f"{name}:{self.port}" for name in LOOPBACK_HOSTS}
        if self.port == 80:
            self._hosts.update(LOOPBACK_HOSTS)
        self._thread = threading.Thread(target=self._serve, name="esri_http sign-in", daemon=True)
        self._thread.start()

    def wait(self, patience: Deadline, call: Deadline) -> str:
        """The code that the portal handed over, once the person has been told so.

        Raises `InteractionRequiredError` on a refusal and at the end of `patience`, `DeadlineExceededError` at that of `call`.
        """
        while not self._answered.is_set():
            if not call.allows(0):
                raise DeadlineExceededError("The time for the whole call is used up, and nobody has signed in yet.")
            if not patience.allows(0):
                raise InteractionRequiredError(
                    f"Nobody signed in within {patience.seconds:g} s. Was the browser closed, or is it on another machine? Then"
                    " use redirect_uri='urn:ietf:wg:oauth:2.0:oob' and paste the code."
                )
            self._answered.wait(_TICK_SECONDS)  # in small steps: on Windows an endless wait does not see Ctrl-C
        return _code_in(self._answer or {})

    def close(self) -> None:
        """Stop listening, and close what is open, at once."""
        self._server.stop()
        self._thread.join()

    def _serve(self) -> None:
        for connection, request in self._server.requests():
            page = _UNREADABLE if request is None else self._page_for(request)
            connection.answer(page.message(with_body=request is None or request.method != "HEAD"))
            if self._answer is not None:
                self._answered.set()  # only now: what waits for it ends this thread

    def _page_for(self, request: LoopbackRequest) -> Page:
        if request.method != "GET":
            return _GET_ONLY
        if request.host not in self._hosts:
            return _OTHER_HOST
        answer = _fields(request.query)
        if request.path != self._path or self._answer is not None or not same_state(self._state, answer.get("state")):
            return _NOTHING
        self._answer = answer
        return _NOT_SIGNED_IN if "error" in answer or not answer.get("code") else _SIGNED_IN

    def __enter__(self) -> LoopbackListener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _fields(query: str) -> dict[str, str]:
    """The parameters of a query; none at all if there are too many or one comes twice (RFC 6749 section 3.1)."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return {}
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else {}


def _code_in(answer: dict[str, str]) -> str:
    error = plain(answer.get("error", ""), _LONGEST_WORDS)
    if "error" not in answer and answer.get("code"):
        return answer["code"]
    if error == "access_denied":
        raise InteractionRequiredError("The sign-in was cancelled in the browser.", error=error)
    said = f"{error or 'no code came back'} {plain(answer.get('error_description', ''), _LONGEST_WORDS)}".strip()
    raise InteractionRequiredError(f"The portal refused the sign-in: {said.rstrip('.')}.", error=error or None)
