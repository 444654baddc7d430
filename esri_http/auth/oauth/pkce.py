"""Proof Key for Code Exchange (RFC 7636), always with S256, and the `state` that ties an answer to its question."""

from __future__ import annotations

import base64
import hashlib
import secrets


class Proof:
    """A verifier that stays here and the challenge that goes out; good for one sign-in."""

    __slots__ = ("challenge", "verifier")

    def __init__(self, verifier: str | None = None) -> None:
        """`verifier`: 43 to 128 characters (RFC 7636 section 4.1); `None` makes a new one."""
        self.verifier = verifier or secrets.token_urlsafe(64)
        digest = hashlib.sha256(self.verifier.encode("ascii")).digest()
        self.challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")

    def __repr__(self) -> str:
        return "<Proof>"


def make_state() -> str:
    """A value that nobody can guess, for one sign-in (RFC 6749 section 10.12)."""
    return secrets.token_urlsafe(32)


def same_state(ours: str, theirs: object) -> bool:
    """Whether an answer belongs to our question; takes as long for a wrong one as for the right one."""
    return isinstance(theirs, str) and secrets.compare_digest(ours.encode(), theirs.encode("utf-8", "replace"))
