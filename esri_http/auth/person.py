"""A person signs in: a browser at the portal's page, and the code back by a loopback redirect or by pasting it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Callable
from urllib.parse import urlsplit

from ..words.errors import ConfigurationError, InteractionRequiredError
from .loopback import LoopbackListener
from .oauth_app import OOB
from .pkce import Proof, make_state

if TYPE_CHECKING:
    from ..words.clock import Clock
    from .base import Wire
    from .oauth_app import Grant, OAuthApp

    Ask = Callable[[str], str]
    Open = Callable[[str], object]

WAIT_SECONDS = 300.0
_LONGEST_CODE = 4096


class PersonSignIn:
    """One sign-in by a person at the portal of `app`.

    `redirect_uri`: `None` for a free port on 127.0.0.1; ``http://127.0.0.1:PORT/PATH`` for a registered one; the ``oob``
    address to have the code pasted, which is also done where no browser opens. `open_browser` and `ask` replace
    `webbrowser.open` and `getpass.getpass`. `wait_seconds`: how long a person may take.
    """

    def __init__(
        self,
        app: OAuthApp,
        clock: Clock,
        redirect_uri: str | None = None,
        open_browser: Open | None = None,
        ask: Ask | None = None,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._app = app
        self._clock = clock
        self._redirect_uri = redirect_uri
        self._open_browser = open_browser or _open_browser
        self._ask = ask or _ask
        self._wait_seconds = wait_seconds

    def grant(self, minutes: float | None, with_proof: bool, wire: Wire) -> Grant:
        """Have a person sign in, and redeem the code. Raises `InteractionRequiredError` where nobody does."""
        state, proof = make_state(), Proof() if with_proof else None
        if self._redirect_uri == OOB:
            return self._by_pasting(state, proof, minutes, wire)
        port, path = _loopback_place(self._redirect_uri)
        with LoopbackListener(state, port, path) as listener:
            redirect_uri = self._redirect_uri if port else listener.redirect_uri
            assert redirect_uri is not None
            url = self._app.authorize_url(redirect_uri, state, proof, minutes)
            _tell(
                "Please sign in to your GIS in the browser.",
                "If a web browser does not automatically open, please navigate to the URL below yourself instead.",
                f"Opening web browser to navigate to: {url}",
            )
            if self._opens(url):
                return self._app.by_code(listener.wait(self._wait_seconds, self._clock), redirect_uri, proof, wire)
        return self._by_pasting(make_state(), proof, minutes, wire)

    def _by_pasting(self, state: str, proof: Proof | None, minutes: float | None, wire: Wire) -> Grant:
        url = self._app.authorize_url(OOB, state, proof, minutes)
        _tell(
            "Please sign in to your GIS and paste the code that is obtained below.",
            "If a web browser does not automatically open, please navigate to the URL below yourself instead.",
            f"Opening web browser to navigate to: {url}",
        )
        self._opens(url)
        try:
            code = self._ask("Enter code obtained on signing in using SAML: ").strip()
        except (EOFError, OSError):
            raise InteractionRequiredError("A person has to sign in and paste a code, and there is nobody to ask.") from None
        if not code or len(code) > _LONGEST_CODE or not code.isprintable():
            raise InteractionRequiredError("No code was entered.")
        return self._app.by_code(code, OOB, proof, wire)

    def _opens(self, url: str) -> bool:
        try:
            return bool(self._open_browser(url))
        except Exception:
            return False


def _loopback_place(redirect_uri: str | None) -> tuple[int, str]:
    """Port (0 for a free one) and path to listen on."""
    if redirect_uri is None:
        return 0, "/"
    split = urlsplit(redirect_uri)
    try:
        port = split.port or 0
    except ValueError:
        port = -1
    if split.scheme != "http" or split.hostname not in ("127.0.0.1", "localhost") or port < 0 or split.query or split.fragment:
        raise ConfigurationError(
            "redirect_uri= is http://127.0.0.1:PORT/PATH, urn:ietf:wg:oauth:2.0:oob to paste the code, or None for a free port."
        )
    return port, split.path or "/"


def _tell(*lines: str) -> None:
    """To the person in front of the screen: a line each, on the error stream, so that piped output stays clean."""
    sys.stderr.write("\n".join(lines) + "\n")
    sys.stderr.flush()


def _open_browser(url: str) -> bool:
    import webbrowser

    return webbrowser.open(url)


def _ask(prompt: str) -> str:
    import getpass

    return getpass.getpass(prompt)


def ask_password(prompt: str, ask: Ask | None = None) -> str:
    """A password, typed unseen; raises `InteractionRequiredError` where there is nobody to ask."""
    try:
        password = (ask or _ask)(prompt)
    except (EOFError, OSError):
        raise InteractionRequiredError("A password is needed, and there is nobody to ask: give password=.") from None
    if not password:
        raise InteractionRequiredError("No password was entered.")
    return password
