"""Every difference between urllib3 1.26 and 2.x that we meet."""

from __future__ import annotations

from typing import Any

from urllib3 import __version__ as _urllib3_version  # type: ignore[attr-defined]

URLLIB3_2 = not _urllib3_version.startswith("1.")

# urllib3 1.26 gives an answer without this option the benefit of the doubt; 2.x counts the bytes by default.
RESPONSE_OPTIONS: dict[str, Any] = {"enforce_content_length": True}


def retry_options(jitter: float, longest: float) -> dict[str, Any]:
    """The options of `Retry` that bound and spread its back-off, as far as this urllib3 has them (seconds)."""
    return {"backoff_jitter": jitter, "backoff_max": longest} if URLLIB3_2 else {}

