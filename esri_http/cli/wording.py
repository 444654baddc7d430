"""The package's advice in the words of the command line: options in place of keywords, and nothing that is for Python."""

from __future__ import annotations

import re

_OPTIONS = {
    "api_key": "--token-stdin",
    "ca_bundles": "--ca-bundle",
    "cert": "--cert",
    "cert_file": "--cert",
    "client_id": "--client-id",
    "client_secret": "--client-secret-stdin",
    "key_file": "--key",
    "password": "--password-stdin",
    "profile": "--profile",
    "proxies": "--proxy",
    "redirect_uri": "--redirect-uri",
    "referer": "--referer",
    "server_hostname": "--server-hostname",
    "timeout": "--timeout",
    "token": "--token-stdin",
    "username": "--user",
}
_KEYWORD = re.compile(rf"\b({'|'.join(_OPTIONS)})=(?=[\s.,;:)]|\Z)")
_FOR_PYTHON = re.compile(r" In Python,.*?\.(?=\s|\Z)", re.DOTALL)


def in_options(text: str) -> str:
    """`text` with each keyword that is named in it, such as ``ca_bundles=``, as the option that stands for it.

    Sentences that begin with "In Python," are left out, up to a full stop that ends them.
    """
    return _KEYWORD.sub(lambda found: _OPTIONS[found[1]], _FOR_PYTHON.sub("", text))
