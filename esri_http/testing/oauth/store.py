"""What a portal remembers of OAuth: sign-ins under way, codes not yet redeemed, and sessions with their refresh tokens."""

from __future__ import annotations

import secrets
import threading

from ..tokens import PORTAL, Grant, TokenStore
from .settings import App


class SignIn:
    """One visit to the sign-in page: who asked for it and how, and how far the user has come."""

    __slots__ = (
        "oauth_state", "app", "redirect_uri", "state", "response_type", "expiration", "challenge", "method", "parameters",
        "opened", "username", "passed", "persist",
    )  # fmt: skip

    def __init__(self, app: App, parameters: dict[str, str], opened: float) -> None:
        """`parameters` are those of `authorize`; `opened` in epoch seconds."""
        self.oauth_state = f"{secrets.token_urlsafe(18)}..{secrets.token_urlsafe(18)}"
        self.app = app
        self.redirect_uri = parameters["redirect_uri"]
        self.state = parameters.get("state")
        self.response_type = parameters.get("response_type", "")
        self.expiration = parameters.get("expiration", "")
        self.challenge = parameters.get("code_challenge", "")
        self.method = parameters.get("code_challenge_method", "plain")
        self.parameters = parameters
        self.opened = opened
        # The user whose password was right, and the steps that she has behind her.
        self.username = ""
        self.passed: set[str] = set()
        self.persist = False

    def __repr__(self) -> str:
        return f"<sign-in for {self.app.client_id!r} as {self.username!r}>"


class Session:
    """What one refresh token stands for. `minutes` is the life that it was given, `expires` its end in epoch seconds."""

    __slots__ = ("client_id", "username", "minutes", "expires", "access_tokens")

    def __init__(self, client_id: str, username: str, minutes: float, expires: float) -> None:
        self.client_id = client_id
        self.username = username
        self.minutes = minutes
        self.expires = expires
        self.access_tokens: list[str] = []

    def __repr__(self) -> str:
        return f"Session({self.client_id!r}, {self.username!r}, expires={self.expires!r})"


class OAuthStore:
    """Sign-ins, codes and sessions of one portal. Access tokens live in the portal's own store. Safe for threads."""

    def __init__(self, tokens: TokenStore) -> None:
        self.tokens = tokens
        self._sign_ins: dict[str, SignIn] = {}
        self._codes: dict[str, tuple[SignIn, float]] = {}
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    # -- sign-ins and codes --------------------------------------------------------------------------------------------

    def open(self, sign_in: SignIn) -> None:
        """A sign-in page is shown."""
        with self._lock:
            self._sign_ins[sign_in.oauth_state] = sign_in

    def find(self, oauth_state: str, minutes: float) -> SignIn | None:
        """The sign-in of that page, unless it is over or the page is older than `minutes`."""
        with self._lock:
            sign_in = self._sign_ins.get(oauth_state)
        return sign_in if sign_in is not None and self._is_younger(sign_in.opened, minutes) else None

    def close(self, sign_in: SignIn) -> bool:
        """The sign-in is over; whether it was not before."""
        with self._lock:
            return self._sign_ins.pop(sign_in.oauth_state, None) is not None

    def issue_code(self, sign_in: SignIn) -> str:
        """A code for who asked for the sign-in."""
        code = secrets.token_hex(32)
        with self._lock:
            self._codes[code] = (sign_in, self.tokens.now())
        return code

    def has_code(self, code: str) -> bool:
        """Whether the code waits to be redeemed."""
        with self._lock:
            return code in self._codes

    def take_code(self, code: str, minutes: float) -> SignIn | None:
        """The sign-in behind a code that is not older than `minutes`. A code is good once, whatever comes of it."""
        with self._lock:
            sign_in, issued = self._codes.pop(code, (None, 0.0))
        return sign_in if sign_in is not None and self._is_younger(issued, minutes) else None

    # -- sessions ------------------------------------------------------------------------------------------------------

    def start_session(self, client_id: str, username: str, minutes: float) -> tuple[str, Session]:
        """A new refresh token, and what it stands for."""
        session = Session(client_id, username, minutes, self.tokens.now() + 60.0 * minutes)
        return self.keep(session), session

    def keep(self, session: Session) -> str:
        """Another refresh token for a session."""
        refresh_token = secrets.token_urlsafe(288) + ".."
        with self._lock:
            self._sessions[refresh_token] = session
        return refresh_token

    def session(self, refresh_token: str) -> Session | None:
        """The session of a refresh token, also when that has expired; `None` when it is unknown or revoked."""
        with self._lock:
            return self._sessions.get(refresh_token)

    def drop(self, refresh_token: str) -> Session | None:
        """Forget a refresh token, for exactly one caller; its access tokens live on."""
        with self._lock:
            return self._sessions.pop(refresh_token, None)

    def access_token(self, session: Session, minutes: float) -> str:
        """A new access token of a session."""
        expires = self.tokens.now() + 60.0 * minutes
        token = self.tokens.issue(Grant(session.username, PORTAL, expires, kind="oauth", client_id=session.client_id))
        with self._lock:
            session.access_tokens.append(token)
        return token

    def end_access(self, session: Session) -> None:
        """Let the access tokens of a session die."""
        with self._lock:
            tokens, session.access_tokens = session.access_tokens, []
        for token in tokens:
            self.tokens.revoke(token)

    def revoke(self, refresh_token: str) -> bool:
        """Let a refresh token and its access tokens die; whether there was one."""
        session = self.drop(refresh_token)
        if session is not None:
            self.end_access(session)
        return session is not None

    def revoke_all(self) -> int:
        """Let all refresh tokens die, as a change of the shared key may; returns how many."""
        with self._lock:
            refresh_tokens = list(self._sessions)
        return sum(self.revoke(token) for token in refresh_tokens)

    def _is_younger(self, since: float, minutes: float) -> bool:
        return self.tokens.now() < since + 60.0 * minutes
