"""The two proofs of an OAuth sign-in: that who redeems a code also asked for it (PKCE), and the one-time code of a phone."""

from __future__ import annotations

import base64
import hashlib
import hmac

_STEP_SECONDS = 30


def s256(verifier: str) -> str:
    """The code challenge of a verifier by the method S256 (RFC 7636 section 4.2)."""
    digest = hashlib.sha256(verifier.encode("utf-8", "replace")).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def is_verified(challenge: str, method: str, verifier: str) -> bool:
    """Whether the verifier is the one behind the challenge; `method` is "S256" or "plain" (RFC 7636 section 4.6)."""
    answer = s256(verifier) if method == "S256" else verifier
    return hmac.compare_digest(answer.encode("utf-8", "replace"), challenge.encode("utf-8", "replace"))


def totp(seed: str, seconds: float, digits: int = 6, algorithm: str = "sha1") -> str:
    """The one-time code at `seconds` since the epoch (RFC 6238), for a base32 seed as an authenticator app takes it.

    Blanks, lower case and missing padding are fine. Raises `ValueError` for what is no base32.
    """
    text = "".join(seed.split()).upper().rstrip("=")
    key = base64.b32decode(text + "=" * (-len(text) % 8))
    digest = hmac.new(key, int(seconds // _STEP_SECONDS).to_bytes(8, "big"), algorithm).digest()
    # RFC 4226 section 5.3: the low half of the last byte says where the number is.
    at = digest[-1] & 15
    number = int.from_bytes(digest[at : at + 4], "big") & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)


def is_totp(seed: str, code: str, seconds: float) -> bool:
    """Whether `code` is good at `seconds`, or was one step before or after: clocks differ (RFC 6238 section 5.2)."""
    moments = (seconds - _STEP_SECONDS, seconds, seconds + _STEP_SECONDS)
    given = code.encode("utf-8", "replace")
    return any(hmac.compare_digest(totp(seed, moment).encode(), given) for moment in moments if moment >= 0)
