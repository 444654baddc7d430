"""The people of a site: user names, passwords, and the lock that closes after too many wrong ones."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Mapping
from typing import Any, Callable

# The password policy that ArcGIS ships with.
LOCK_AFTER_FAILURES = 5
LOCK_SECONDS = 15 * 60.0


class User:
    """Somebody who may sign in. `role` is `org_user`, `org_publisher` or `org_admin`; the last may use the admin pages.

    What else it takes to sign in, by OAuth only: `totp_seed` (base32; `None`: no one-time code is asked for), `recovery_codes`
    (each is good once in place of a one-time code), `must_change_password`, `has_accepted_terms`.
    """

    __slots__ = (
        "username", "password", "full_name", "email", "role",
        "totp_seed", "recovery_codes", "must_change_password", "has_accepted_terms",
    )  # fmt: skip

    def __init__(self, username: str, password: str, full_name: str = "", email: str = "", role: str = "org_user") -> None:
        self.username = username
        self.password = password
        self.full_name = full_name or username.title()
        self.email = email or f"{username.replace(chr(92), '.')}@example.com"
        self.role = role
        self.totp_seed: str | None = None
        self.recovery_codes: set[str] = set()
        self.must_change_password = False
        self.has_accepted_terms = False

    def __repr__(self) -> str:
        return f"User({self.username!r}, role={self.role!r})"

    def description(self) -> dict[str, Any]:
        """The user as `community/self` words it."""
        privileges = ["portal:user:viewOrgItems", "features:user:edit"]
        if self.role == "org_admin":
            privileges.append("portal:admin:viewUsers")
        return {
            "username": self.username,
            "fullName": self.full_name,
            "email": self.email,
            "role": self.role,
            "roleId": self.role,
            "orgId": "0123456789ABCDEF",
            "privileges": privileges,
            "groups": [],
            "level": "2",
            "userType": "arcgisonly",
            "userLicenseTypeId": "creatorUT",
            "provider": "arcgis",
            "idpUsername": None,
            "mfaEnabled": self.totp_seed is not None,
            "disabled": False,
        }


def default_users() -> list[User]:
    """The people of a portal that was started without any: amy (a user), bob (an administrator), zoë (a hard password)."""
    return [
        User("amy", "amys-secret", "Amy Adams"),
        User("bob", "bobs-secret", "Bob Brown", role="org_admin"),
        User("zoë", "p&ss=wörd +%25", "Zoë Zimmer"),
    ]


class Accounts:
    """Who may sign in at one site. User names are case-sensitive here, as they are at `generateToken`. Safe for threads."""

    def __init__(self, users: Mapping[str, User], now: Callable[[], float]) -> None:
        """`users` by name, looked at anew each time; `now` gives seconds, by which wrong passwords are counted."""
        self._users = users
        self._now = now
        self._failures: dict[str, list[float]] = {}
        self._lock = threading.Lock()

    def get(self, username: str) -> User | None:
        """The user of that name."""
        return self._users.get(username)

    def spelled(self, username: str) -> str:
        """The name as its user spells it, whatever the capitals of `username`; that itself when nobody has it."""
        if username in self._users:
            return username
        return next((name for name in self._users if name.lower() == username.lower()), username)

    def check(self, username: str, password: str) -> User | None:
        """The user, if the password is right and the account is not locked. A wrong one counts towards the lock."""
        with self._lock:
            user = self._users.get(username)
            if user is None or self._is_locked(username):
                return None
            if hmac.compare_digest(user.password.encode(), password.encode("utf-8", "replace")):
                self._failures.pop(username, None)
                return user
            self._failures.setdefault(username, []).append(self._now())
            return None

    def is_locked(self, username: str) -> bool:
        """Whether the account is closed after `LOCK_AFTER_FAILURES` wrong passwords within `LOCK_SECONDS`."""
        with self._lock:
            return self._is_locked(username)

    def unlock(self, username: str | None = None) -> None:
        """Forget the wrong passwords of one user, or of everybody."""
        with self._lock:
            if username is None:
                self._failures.clear()
            else:
                self._failures.pop(username, None)

    def _is_locked(self, username: str) -> bool:
        since = self._now() - LOCK_SECONDS
        recent = [moment for moment in self._failures.get(username, ()) if moment > since]
        return len(recent) >= LOCK_AFTER_FAILURES
