"""What a profile is made of, and what of it can be kept such that it is read back as it was."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from ..words.errors import ProfileError
from ..words.values import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

PARTS = ("url", "username", "key_file", "cert_file", "client_id")
"""What the file says of a profile, besides the date."""

DATE = "date_modified"
"""The key with which the file says when it was written."""

_DEFAULT_SITE = "www.arcgis.com"
# What would break a line, or is no text at all.
_UNFIT = "\\x00-\\x1f\\x7f-\\x9f\u2028\u2029\ud800-\udfff"
_UNFIT_IN_VALUE = re.compile(f"[{_UNFIT}]")
_UNFIT_IN_NAME = re.compile(rf"[{_UNFIT}\[\]]")
_SECRET_IN_URL = re.compile(r"(?i)\A(?:[a-z]+:)?(?://)?[^/?#]*@|[?&#;](?:[a-z_-]*(?:token|password|secret|key)|code)=")


class StoredProfile(Value):
    """A profile with all its parts, each `None` where it has none. Immutable; the repr does not show the secret.

    `name`. `url` of the portal, or of the server. `username`. `key_file`, `cert_file`: paths. `client_id`: that of an OAuth
    app. `secret`: the password; for an OAuth profile, the refresh token. `secret_problem`: why the store could not be asked
    for the secret, as one line for the user; `None` where it could, whether it had one or not.
    """

    __slots__ = ("name", "url", "username", "key_file", "cert_file", "client_id", "secret", "secret_problem")

    def __init__(
        self,
        name: str,
        url: str | None = None,
        username: str | None = None,
        key_file: str | None = None,
        cert_file: str | None = None,
        client_id: str | None = None,
        secret: str | None = None,
        secret_problem: str | None = None,
    ) -> None:
        self.name = name
        self.url = url
        self.username = username
        self.key_file = key_file
        self.cert_file = cert_file
        self.client_id = client_id
        self.secret = secret
        self.secret_problem = secret_problem

    def __repr__(self) -> str:
        """Without the secret."""
        shown = [f"{part}={getattr(self, part)!r}" for part in PARTS if getattr(self, part) is not None]
        return f"StoredProfile({', '.join([repr(self.name), *shown, *(['secret=***'] if self.secret else [])])})"


def checked_parts(profile: StoredProfile) -> dict[str, str | None]:
    """The parts that go into the file, if they can be read back as they are."""
    name = profile.name
    if not isinstance(name, str) or not name.strip() or name == "DEFAULT" or _UNFIT_IN_NAME.search(name):
        raise ProfileError(
            f"A profile cannot be called {name!r}: a name is text, not blank and not DEFAULT, without [, ] and line breaks.",
            profile=str(name),
        )
    parts = {part: _checked_part(name, part, getattr(profile, part)) for part in PARTS}
    if parts["url"] and _SECRET_IN_URL.search(parts["url"]):
        raise ProfileError(f"The url of the profile {name!r} holds a password or token: give it as password=.", profile=name)
    return parts


def _checked_part(name: str, part: str, value: Any) -> str | None:
    if hasattr(value, "__fspath__"):
        value = os.fspath(value)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or value != value.strip() or _UNFIT_IN_VALUE.search(value):
        raise ProfileError(
            f"The {part} of the profile {name!r} cannot be kept: it has to be text without line breaks or other control"
            " characters, and without blanks at its ends.",
            profile=name,
        )
    return value


def checked_secret(name: str, secret: Any) -> str | None:
    """The secret of a profile as text; `None` for none, and for an empty one. Raises `ProfileError`, which does not show it."""
    if secret is None or secret == "":
        return None
    if not isinstance(secret, str):
        raise ProfileError(f"The password of the profile {name!r} has to be text, not {type(secret).__name__}.", profile=name)
    return secret


def is_other_account(section: Mapping[str, str], changes: Mapping[str, str | None]) -> bool:
    """Whether a secret that was kept for `section` may belong to somebody else after `changes`."""
    if any(section.get(part) and part in changes for part in ("username", "client_id")):
        return True
    return bool(section) and "url" in changes and _site(section.get("url")) != _site(changes["url"])


def _site(url: str | None) -> str:
    """Host and port as they are written; a profile without URL is one of ArcGIS Online."""
    host = re.sub(r"(?i)\A[a-z]*:?//", "", url or _DEFAULT_SITE)
    return re.split(r"[/?#\\]", host)[0].lower()
