"""One site of the embedded portal: a table of paths, a record of what came, faults in between."""

from __future__ import annotations

import json
import traceback
from typing import Callable
from urllib.parse import unquote, urlsplit

from .accounts import Accounts
from .bodies import BrokenRequestError
from .faults import Faults, play
from .messages import TEXT_TYPE, Answer, Handler, Request, admin_envelope, error_envelope, json_answer, page
from .recording import Recorder
from .settings import PortalSettings
from .tokens import Grant, TokenStore, token_of

# Gives the name of the user whom the web tier has signed in, or None.
WebTier = Callable[[Request], "str | None"]


class Refusal(Exception):
    """A request that ends here, with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Site:
    """What the three sites have in common.

    `routes` maps a path below the site's context ("/sharing/rest/portals/self") to a function of the request; a path that
    ends in "/*" stands for all paths below it, the longest counts. Add your own; it may also replace one that is there.
    `gate`, when set, is asked first and may answer in place of the site (a web tier does). `web_tier` says whom it let in.
    """

    def __init__(self, name: str, context: str, settings: PortalSettings, recorder: Recorder, faults: Faults) -> None:
        self.name = name
        self.context = context
        self.settings = settings
        self.recorder = recorder
        self.faults = faults
        #: Scheme, host and port that it listens at.
        self.address = ""
        #: What it is called from outside where a web tier stands before it, without a slash at the end; "" without one.
        self.public_url = ""
        self.routes: dict[str, Handler] = {}
        self.gate: Callable[[Request], Answer | None] | None = None
        self.web_tier: WebTier = lambda request: None
        #: Tracebacks of handlers that failed: a bug in this package or in a route of yours. Tests look at it.
        self.internal_errors: list[str] = []

    @property
    def url(self) -> str:
        """Where the site is for its users, without a slash at the end."""
        return self.public_url or self.address + self.context

    @property
    def origin(self) -> str:
        """Scheme, host and port of its URL."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def is_secure(self) -> bool:
        """Whether it is reached over https."""
        return self.url.startswith("https:")

    def handle(self, request: Request) -> Answer:
        """The answer to one request; it is recorded before it is given."""
        try:
            answer = play(self.faults.take(request), request, lambda: self._answer(request))
        except BrokenRequestError:
            raise
        except Exception:
            self.internal_errors.append(traceback.format_exc())
            body = json.dumps(error_envelope(500, "The embedded portal failed; see internal_errors."))
            answer = Answer(500, body.encode(), TEXT_TYPE)
        if not answer.early:
            if not request.body.received:
                request.form  # noqa: B018 - a fault answered in the site's place; the record shows the form all the same
            request.body.drain()
        self.recorder.add(request, answer)
        return answer

    def relative(self, request: Request) -> str | None:
        """The path below the context, decoded and without a slash at the end; `None` for paths elsewhere."""
        path = unquote(request.path).rstrip("/")
        if path == self.context or path.startswith(self.context + "/"):
            return path[len(self.context) :]
        return None

    def _answer(self, request: Request) -> Answer:
        blocked = None if self.gate is None else self.gate(request)
        if blocked is not None:
            return blocked
        path = self.relative(request)
        handler = None if path is None else self._find(path)
        if handler is None:
            return page("HTTP Status 404", f"Nothing is at {request.path}.", 404)
        try:
            return handler(request)
        except Refusal as refusal:
            return refusal.answer

    def _find(self, path: str) -> Handler | None:
        handler = self.routes.get(path)
        while handler is None and path:
            path = path.rpartition("/")[0]
            handler = self.routes.get(path + "/*")
        return handler


def grant_of_web_tier(site: Site, request: Request, audience: str) -> Grant | None:
    """What the user may do whom the web tier let in, if there is one."""
    username = site.web_tier(request)
    return None if username is None else Grant(username, audience, None)


def valid_grant(store: TokenStore, token: str, request: Request, audiences: tuple[str, ...]) -> Grant | None:
    """The grant behind a token, if it is alive, meant for one of the audiences, and comes from where it is bound to."""
    grant = store.get(token)
    if grant is None or not grant.fits(request):
        return None
    return grant if grant.kind == "key" or grant.audience in audiences else None


def check_administrator(
    site: Site, request: Request, store: TokenStore, audiences: tuple[str, ...], accounts: Accounts
) -> None:
    """Let only administrators pass. Raises `Refusal` with the envelope of the admin pages: 499, 498 or 403."""
    token = token_of(request)
    grant = grant_of_web_tier(site, request, audiences[0])
    if token is not None:
        grant = valid_grant(store, token, request, audiences)
    if grant is None and token is None:
        text = "Unauthorized access. Token not found. You can generate a token using the 'generateToken' operation."
        raise _admin_refusal(request, 499, text)
    if grant is None:
        raise _admin_refusal(request, 498, "Token Expired.")
    user = accounts.get(grant.username)
    if user is None or user.role != "org_admin":
        raise _admin_refusal(request, 403, "Access denied. The user is not an administrator.")


def _admin_refusal(request: Request, code: int, text: str) -> Refusal:
    return Refusal(json_answer(request, admin_envelope(code, text), TEXT_TYPE))
