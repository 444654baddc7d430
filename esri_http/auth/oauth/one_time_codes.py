"""The one-time code of a second factor: from a TOTP seed (RFC 6238), or from a callable."""

from __future__ import annotations

import base64
import binascii
from typing import Callable, Union

from ...words.clock import Clock
from ...words.errors import ConfigurationError, missing_package

CodeSource = Union[str, Callable[[], str], None]


def one_time_code(source: CodeSource, clock: Clock) -> str:
    """The code to show now. `source`: the base32 seed that the portal showed as a key, or a callable that returns a code."""
    code = source() if callable(source) else totp(source or "", clock.time())
    digits = str(code).replace(" ", "").strip()
    if not (digits.isascii() and digits.isdigit()) or not 4 <= len(digits) <= 10:
        raise ConfigurationError("mfa_code= must give a code of digits, such as 123456.")
    return digits


def totp(seed: str, moment: float) -> str:
    """The six digits that an authenticator app would show for `seed` (base32) at `moment` (epoch seconds)."""
    try:
        from cryptography.hazmat.primitives.hashes import SHA1
        from cryptography.hazmat.primitives.twofactor.totp import TOTP
    except ImportError as error:
        raise missing_package("cryptography", "A one-time code from a seed", error=error) from None
    text = seed.replace(" ", "").replace("-", "").rstrip("=").upper()
    try:
        key = base64.b32decode(text + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        raise ConfigurationError("The seed in mfa_code= is not base32; it is the key that the portal showed as text.") from None
    if not key:
        raise ConfigurationError("The seed in mfa_code= is empty.")
    return TOTP(key, 6, SHA1(), 30, enforce_key_length=False).generate(int(moment)).decode("ascii")  # noqa: S303 - RFC 6238
