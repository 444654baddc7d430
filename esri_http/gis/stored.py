"""`GIS(profile=...)`: what a stored profile adds to the parameters, and what of a sign-in goes back into it."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from ..profiles.manager import ProfileManager, ServerProfileManager, StoredProfile, is_stored, stored
from ..profiles.records import checked_parts
from ..profiles.secrets import secret_in_environment, variable_of
from ..words.errors import EsriHttpError
from .parameters import check_storable

if TYPE_CHECKING:
    from ..auth.oauth.oauth_app import Grant
    from .parameters import Parameters
    from .sign_in import SignedIn

log = logging.getLogger("esri_http.gis")

_KEYS = ("url", "username", "key_file", "cert_file", "client_id")
_PATHS = ("key_file", "cert_file")


class Profile:
    """The profile that a `GIS` was made with: read before the sign-in, and kept up to date afterwards."""

    def __init__(self, name: str, given: Parameters) -> None:
        """Raises `ProfileError` for a name that no profile can have, and for a profile that is not there while nothing was
        given to make it of; `ConfigurationError` where what was given does not go with the profile.
        """
        checked_parts(StoredProfile(name))
        self.name = name
        self._source: str | None = None
        self._store = given.secret_store
        self._manager: ProfileManager | None = None
        self._held: StoredProfile | None = None
        may_be_new = any(given.values.get(key) is not None for key in _KEYS)
        if not may_be_new or is_stored(name, self._store):
            self._manager, self._held = stored(name, self._store)
        self.parameters = self._completed(given)

    @property
    def secret_problem(self) -> str | None:
        """Why its password could not be had; `None` where nothing went wrong."""
        return None if self._held is None else self._held.secret_problem

    @property
    def has_refresh_token(self) -> bool:
        """Whether the sign-in goes by the stored secret, and that is a refresh token."""
        return self._source is not None and _keeps_refresh_token(self.parameters)

    @property
    def note(self) -> tuple[str, str]:
        """For the explanation of a sign-in: where what it was made with comes from."""
        place = "new" if self._manager is None else f"in {self._manager.path}"
        return "profile", f"{self.name!r}, {place}{f'; its secret is from {self._source}' if self._source else ''}"

    def _completed(self, given: Parameters) -> Parameters:
        """`given`, and from the profile what it leaves open; the password only where the account and the site are the same."""
        held = self._held
        in_environment = secret_in_environment(self.name)
        if held is None:
            return given.completed(password=given.password or in_environment)
        told = [key for key in _KEYS if given.values.get(key) is not None]
        values = {key: given.values[key] if key in told else getattr(held, key) for key in _KEYS}
        is_same = all(_as_kept(key, given) == getattr(held, key) for key in told)
        if given.password is None and is_same and held.secret is not None:
            values["password"] = held.secret
            self._source = variable_of(self.name) if in_environment else "the secret store"
        return given.completed(**values)

    def keep(self, signed_in: SignedIn) -> None:
        """Store what the sign-in was made with, where that is news, and from now on each new refresh token.

        Raises `ProfileError` where that cannot be done; then nothing of it is stored.
        """
        parts = parts_of(signed_in)
        # A store that cannot be asked keeps nothing either; the password was given or asked for, and will be again.
        secret = parts.secret if self.secret_problem is None else None
        kind = ProfileManager if signed_in.site.is_portal else ServerProfileManager
        manager = self._manager or kind(store=self._store)
        manager.save(parts.replace(name=self.name, secret=secret))
        if _keeps_refresh_token(signed_in.given):
            handler = signed_in.way.handler
            handler.on_token = RefreshTokenKeeper(manager, self.name, secret, handler.on_token)


def parts_of(signed_in: SignedIn) -> StoredProfile:
    """What a profile keeps of a sign-in, without a name. Raises `ConfigurationError` where none can keep it."""
    given = signed_in.given
    check_storable(given)
    secret = getattr(signed_in.way.handler, "refresh_token", None) if _keeps_refresh_token(given) else given.password
    parts = {key: _as_kept(key, given) for key in _KEYS}
    return StoredProfile("", **{**parts, "url": parts["url"] or str(signed_in.site.root)}, secret=secret)


def _keeps_refresh_token(given: Parameters) -> bool:
    """Whether the secret of such a sign-in is a refresh token, in place of a password."""
    return bool(given.client_id and not given.username and not given.client_secret)


def forget_refresh_token(signed_in: SignedIn) -> None:
    """Have the profile of a sign-in that is over hold its refresh token no more. Raises `ProfileError`."""
    keeper = getattr(signed_in.way.handler, "on_token", None)
    if isinstance(keeper, RefreshTokenKeeper):
        keeper.forget()


class RefreshTokenKeeper:
    """Stores each new refresh token of a profile's sign-in. Called by the handler, one thread at a time."""

    def __init__(self, manager: ProfileManager, name: str, last: str | None, after: Any) -> None:
        self._manager = manager
        self._name = name
        self._last = last
        self._times_forgotten = 0
        self._after = after

    def __call__(self, grant: Grant) -> None:
        """Store it; a store that fails is logged, since the request that is under way can go on without."""
        if grant.refresh_token is not None and grant.refresh_token != self._last:
            before = self._times_forgotten
            try:
                self._manager.set_secret(self._name, grant.refresh_token)
                self._last = grant.refresh_token
                if self._times_forgotten != before:  # somebody signed out while the store took its time
                    self.forget()
            except EsriHttpError as error:
                log.warning("The new refresh token of profile %s could not be stored: %s", self._name, error)
        if self._after is not None:
            self._after(grant)

    def forget(self) -> None:
        """Take it out of the profile, unless another sign-in has put its own there. Raises `ProfileError`."""
        self._times_forgotten += 1
        last, self._last = self._last, None
        if last is not None and self._manager.exists(self._name):
            self._manager.drop_secret(self._name, last)

    def __repr__(self) -> str:
        return f"<RefreshTokenKeeper of {self._name}>"


def _as_kept(key: str, given: Parameters) -> str | None:
    """What a profile keeps of this parameter. Paths are absolute, since a profile is used from other folders, too."""
    value: Any = given.address if key == "url" else given.values.get(key)
    return value if value is None or key not in _PATHS else os.path.abspath(os.fsdecode(value))
