"""Which content codings (RFC 9110 section 8.4) are asked for; loads nothing to find out, where there is nothing to load."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

_PACKAGES = ("brotli", "brotlicffi", "_zstd", "backports", "zstandard")


@cache
def accept_encoding() -> str:
    """The value of `Accept-Encoding`: gzip and deflate, and what the installed packages add (br, zstd)."""
    offered = ["gzip", "deflate"]
    if any(map(is_installed, _PACKAGES)):
        from .inflaters import brotli_factory, zstd_is_installed

        offered += ["br"] if brotli_factory() is not None else []
        offered += ["zstd"] if zstd_is_installed() else []
    return ", ".join(offered)


def is_installed(module: str) -> bool:
    """Whether there is such a module, told without importing it. One that was put in place by hand does not count."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # what should be its package is none; it has no spec
        return False
