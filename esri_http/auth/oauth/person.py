"""A person signs in: a browser at the portal's page, and the code back by a loopback redirect or by pasting it."""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from ...words.clock import Deadline
from ...words.errors import ConfigurationError, InteractionRequiredError
from ...words.terminals import can_getpass_ask
from .loopback import LOOPBACK_HOSTS, LoopbackListener
from .oauth_app import OOB
from .pkce import Proof, make_state

if TYPE_CHECKING:
    from ...words.clock import Clock
    from ..base import Wire
    from .oauth_app import Grant, OAuthApp

    Ask = Callable[[str], str]
    Open = Callable[[str], object]

log = logging.getLogger("esri_http.auth")

_LONGEST_CODE = 4096
_LOOPBACK_URI = re.compile(r"http://([a-z0-9.]+)(?::([1-9][0-9]{0,4}))?((?:/[!-~]*)?)")

_HOW = "If a web browser does not automatically open, please navigate to the URL below yourself instead."
_PASTE = "Please sign in to your GIS and paste the code that is obtained below."
_OPENING = "Opening web browser to navigate to: "


class PersonSignIn:
    """One sign-in by a person at the portal of `app`.

    `redirect_uri`: `None` for a free port on 127.0.0.1; ``http://127.0.0.1:PORT/PATH`` (or ``localhost``) for a registered
    one, on a free port where it names none; the ``oob`` address to have the code pasted, which is also done where no browser
    opens. `open_browser` and `ask` replace `webbrowser.open` and `getpass.getpass`. `wait_seconds`: how long a person may
    take (`None`: no limit); it ends with the call that needs the token in any case.
    """

    def __init__(
        self,
        app: OAuthApp,
        clock: Clock,
        redirect_uri: str | None,
        open_browser: Open | None,
        ask: Ask | None,
        wait_seconds: float | None,
    ) -> None:
        self._app = app
        self._clock = clock
        self._redirect_uri = redirect_uri
        self._open_browser = open_browser or _open_browser
        self._ask = ask
        self._wait_seconds = wait_seconds

    def grant(self, minutes: float | None, with_proof: bool, wire: Wire) -> Grant:
        """Have a person sign in, and redeem the code.

        Raises `InteractionRequiredError` where nobody does, and `ConfigurationError` for a redirect URI that cannot work.
        """
        proof = Proof() if with_proof else None
        if self._redirect_uri != OOB:
            found = self._code_from_browser(_loopback_in(self._redirect_uri), proof, minutes, wire)
            if found is not None:
                code, redirect_uri = found
                return self._app.by_code(code, redirect_uri, proof, wire)
        code = self._pasted_code(proof, minutes, can_open=self._redirect_uri == OOB)
        return self._app.by_code(code, OOB, proof, wire)

    def _code_from_browser(
        self, loopback: _Loopback, proof: Proof | None, minutes: float | None, wire: Wire
    ) -> tuple[str, str] | None:
        """The code with the redirect URI that it belongs to; `None` where no browser opens."""
        state = make_state()
        with LoopbackListener(state, loopback.port, loopback.path or "/") as listener:
            redirect_uri = f"http://{loopback.host}:{listener.port}{loopback.path}"
            url = self._app.authorize_url(redirect_uri, state, proof, minutes)
            _tell("Please sign in to your GIS in the web browser.", _HOW, _OPENING + url)
            if not self._opens(url):
                return None
            patience = Deadline(self._wait_seconds, self._clock)
            return listener.wait(patience, wire.deadline), redirect_uri

    def _pasted_code(self, proof: Proof | None, minutes: float | None, can_open: bool) -> str:
        # The state is there because portals expect one; what is pasted does not bring it back. The proof binds the code.
        url = self._app.authorize_url(OOB, make_state(), proof, minutes)
        if can_open:
            _tell(_PASTE, _HOW, _OPENING + url)
            self._opens(url)
        else:
            _tell("No web browser could be opened here.", _PASTE, f"Please navigate to: {url}")
        nobody = "A person has to sign in and paste a code, and there is nobody to ask."
        code = _answer_to("Enter code obtained on signing in using SAML: ", self._ask, nobody).strip()
        if not code:
            raise InteractionRequiredError("No code was entered.")
        if len(code) > _LONGEST_CODE or not code.isprintable():
            raise InteractionRequiredError("What was entered is not a code.")
        return code

    def _opens(self, url: str) -> bool:
        try:
            return bool(self._open_browser(url))
        except Exception as error:
            log.debug("no web browser: %s", type(error).__name__)
            return False


class _Loopback(NamedTuple):
    """Where to listen, as the redirect URI has it: `port` 0 is a free one, `path` may be empty."""

    host: str
    port: int
    path: str


def _loopback_in(redirect_uri: str | None) -> _Loopback:
    if redirect_uri is None:
        return _Loopback(LOOPBACK_HOSTS[0], 0, "/")
    match = _LOOPBACK_URI.fullmatch(redirect_uri)
    if match is not None:
        place = _Loopback(match[1], int(match[2] or 0), match[3])
        if place.host in LOOPBACK_HOSTS and place.port <= 65535 and not set(place.path) & set("?#"):
            return place
    raise ConfigurationError(
        "A person's sign-in ends at http://127.0.0.1:PORT/PATH or http://localhost:PORT/PATH (without :PORT, at a free one), or"
        f" at {OOB} to paste the code; not at {redirect_uri[:200]!r}. In Python, redirect_uri=None of a handler is a free port."
    )


def _tell(*lines: str) -> None:
    """To the person in front of the screen: a line each, on the error stream, so that piped output stays clean."""
    try:
        if sys.stderr is not None:  # a program without a console has none
            sys.stderr.write("\n".join(lines) + "\n")
            sys.stderr.flush()
    except (OSError, ValueError):
        pass  # it was closed, or the other end has gone; there is still the browser


def _open_browser(url: str) -> bool:
    import webbrowser

    return webbrowser.open(url)


def _answer_to(prompt: str, ask: Ask | None, nobody: str) -> str:
    """What a person answers; raises `InteractionRequiredError` with the message `nobody` where there is none.

    What is no text is a `ConfigurationError`; it does not show what was entered.
    """
    try:
        answer: Any = (ask or _ask)(prompt) or ""
    except (EOFError, OSError, NotImplementedError):  # the last: a notebook that runs by itself
        raise InteractionRequiredError(nobody) from None
    except UnicodeError:  # which has what was typed in it
        answer = None
    if not isinstance(answer, str):
        raise ConfigurationError("What was entered is no text. In Python, a prompt= of one's own has to give it as str.")
    return answer


def _ask(prompt: str) -> str:
    if not can_getpass_ask():
        raise EOFError
    import getpass

    return getpass.getpass(prompt)


def ask_password(prompt: str, ask: Ask | None = None) -> str:
    """A password, typed unseen; raises `InteractionRequiredError` where there is nobody to ask."""
    password = _answer_to(prompt, ask, "A password is needed, and there is nobody to ask: give password=.")
    if not password:
        raise InteractionRequiredError("No password was entered.")
    return password
