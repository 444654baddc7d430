"""The users of a site: as much of them as a sign-in knows, which is the one who is signed in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..words.redaction import plain
from .properties import Properties

if TYPE_CHECKING:
    from .gis import GIS


class User(Properties):
    """Somebody, with what the site says of them as attributes: `username`, `fullName`, `email`, `role` ..."""

    def __repr__(self) -> str:
        return f"<User username:{plain(self.get('username'), 100)}>"

    def __reduce__(self) -> tuple[type[User], tuple[dict[str, Any]]]:
        return User, (dict(self),)


class Users:
    """``gis.users``."""

    def __init__(self, gis: GIS) -> None:
        self._gis = gis

    @property
    def me(self) -> User | None:
        """Who is signed in, as the site said it at the sign-in; `None` for nobody."""
        user = self._gis.properties.get("user")
        return User(user) if isinstance(user, dict) and user.get("username") else None

    def __repr__(self) -> str:
        return f"<Users of {self._gis}>"
