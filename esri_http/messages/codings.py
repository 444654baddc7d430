"""Which content codings (RFC 9110 section 8.4) are asked for; loads nothing to find out, where there is nothing to load."""

from __future__ import annotations

from importlib.util import find_spec

_PACKAGES = ("brotli", "brotlicffi", "_zstd", "backports", "zstandard")
_accepted: str | None = None


def accept_encoding() -> str:
    """The value of `Accept-Encoding`: gzip and deflate, and what the installed packages add (br, zstd)."""
    global _accepted
    if _accepted is None:
        offered = ["gzip", "deflate"]
        if any(find_spec(package) is not None for package in _PACKAGES):
            from .inflaters import brotli_factory, zstd_is_installed

            offered += ["br"] if brotli_factory() is not None else []
            offered += ["zstd"] if zstd_is_installed() else []
        _accepted = ", ".join(offered)
    return _accepted
