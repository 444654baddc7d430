"""The loopback redirect of a native app (RFC 8252 section 7.3): a listener on 127.0.0.1 that waits for one answer."""

from __future__ import annotations

import http.server
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from ..words.errors import ConfigurationError, InteractionRequiredError
from .pkce import same_state

if TYPE_CHECKING:
    from ..words.clock import Clock

_TICK_SECONDS = 0.2
_LONGEST_FIELD = 4096
_HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
    ("Connection", "close"),
)
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body{{font:1.1em/1.5 sans-serif;max-width:32em;margin:20vh auto;padding:0 1em;color:#222}}</style></head>
<body><h1>{title}</h1><p>{text}</p></body></html>"""


class LoopbackListener:
    """Listens from its making to `close()`; for one sign-in. A context manager.

    Bound to 127.0.0.1 alone. Requests that do not carry our `state` are answered with 404 and change nothing: neither a
    stray request for an icon nor a forged error ends the sign-in.
    """

    def __init__(self, state: str, port: int = 0, path: str = "/") -> None:
        self._state = state
        self._path = path
        self._answered = threading.Event()
        self._answer: dict[str, str] = {}
        try:
            self._server = _Server(("127.0.0.1", port), self)
        except OSError as error:
            why = error.strerror or "it cannot be used"
            raise ConfigurationError(
                f"The redirect address http://127.0.0.1:{port}{path} cannot be listened on: {why}. Close what uses the port, or"
                " leave the port out to have a free one."
            ) from error
        self.redirect_uri = f"http://127.0.0.1:{self._server.server_address[1]}{path}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_TICK_SECONDS,), daemon=True)
        self._thread.start()

    def wait(self, seconds: float, clock: Clock) -> str:
        """The code that the portal handed over; raises `InteractionRequiredError` on a refusal or after `seconds`."""
        end = clock.monotonic() + seconds
        while not self._answered.wait(_TICK_SECONDS):  # in small steps: on Windows an endless wait does not see Ctrl-C
            if clock.monotonic() >= end:
                raise InteractionRequiredError(
                    f"Nobody signed in within {seconds:g} s. Was the browser closed, or is it on another machine? Then use"
                    " redirect_uri='urn:ietf:wg:oauth:2.0:oob' and paste the code."
                )
        code = self._answer.get("code")
        if code:
            return code
        error = self._answer.get("error", "no code came back")
        said = self._answer.get("error_description", "")
        if error == "access_denied":
            raise InteractionRequiredError("The sign-in was cancelled in the browser.", error=error)
        raise InteractionRequiredError(f"The portal refused the sign-in: {error} {said}".rstrip() + ".", error=error)

    def take(self, target: str) -> tuple[int, str, str]:
        """What to say to a request for `target`: status, title, text."""
        split = urlsplit(target)
        fields = {name: values[0][:_LONGEST_FIELD] for name, values in parse_qs(split.query, max_num_fields=20).items()}
        if split.path != self._path or not same_state(self._state, fields.get("state")) or self._answered.is_set():
            return 404, "Nothing here", "This page is only for the end of a sign-in that is under way."
        self._answer = {name: _plain(value) for name, value in fields.items()}
        self._answered.set()
        if fields.get("code"):
            return 200, "You are signed in", "You can close this window and go back to your program."
        return 200, "You are not signed in", "The sign-in was refused or cancelled. You can close this window."

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> LoopbackListener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(http.server.ThreadingHTTPServer):
    """Threads, because browsers open connections in advance that say nothing."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = False

    def __init__(self, address: tuple[str, int], listener: LoopbackListener) -> None:
        self.listener = listener
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # The base class would look up the machine's own name here.
        import socketserver

        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that hangs up is nobody's error."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    timeout = 10
    server_version = "esri_http"
    sys_version = ""

    def do_GET(self) -> None:
        try:
            status, title, text = self.server.listener.take(self.path)
        except ValueError:
            status, title, text = 400, "Nothing here", "The request cannot be read."
        page = _PAGE.format(title=title, text=text).encode()
        self.send_response(status)
        for name, value in _HEADERS:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """The request line holds the code; it goes into no log."""


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
