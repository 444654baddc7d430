"""Profiles: what it takes to sign in, kept under a name, where the `arcgis` package keeps it as well."""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING, Any

from ..words.clock import SYSTEM_CLOCK
from ..words.errors import ConfigurationError, MissingPackageError, ProfileError, SecretStoreError, missing_package
from .file import ProfileFile
from .records import DATE, PARTS, StoredProfile, checked_parts, checked_secret, is_other_account
from .secrets import Secrets, secret_in_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from typing import Literal, overload

    from ..words.clock import Clock
    from .ini import Sections
    from .secrets import SecretStore

    Names = list[str]

__all__ = ["ProfileManager", "ServerProfileManager", "StoredProfile", "is_stored", "stored"]

_MOST_NAMES_SHOWN = 20


class ProfileManager:
    """The profiles of GIS sites: ``~/.arcgisprofile`` without the passwords, and the keyring with them.

    The file and the keyring are those of the `arcgis` package, which goes on working with them. What others have in the file
    (keys, sections, comments) stays. It is replaced in one step, by one process at a time, readable by the user alone, and
    only when something has changed. If the store or the file fails, neither is changed.

    Safe to share between threads. Everything raises `ProfileError` where the file cannot be read or changed, a name or value
    cannot be kept, or there is no such profile; nothing but `create`, `save` and `save_as` makes one.
    `SecretStoreError` and `MissingPackageError` are about the keyring, and say what to do without it.
    """

    service = "arcgis_python_api_profile_passwords"
    """What the keyring files the passwords under; the user name there is the profile's name."""
    _file_name = ".arcgisprofile"

    def __init__(self, path: Any = None, store: SecretStore | None = None, *, clock: Clock = SYSTEM_CLOCK) -> None:
        """`path` of the file; `None`: the one in the home directory. `store`: what keeps the secrets; `None`: the keyring."""
        if not isinstance(path, (str, bytes, os.PathLike, type(None))):
            raise ConfigurationError(f"path= takes the path of a file, not {type(path).__name__}.")
        self._path = None if path is None else os.fsdecode(path)
        self._secrets = Secrets(store, self.service)
        self._clock = clock

    @property
    def path(self) -> str:
        """The file: where no other was given, that of whoever is at home now."""
        path = os.path.expanduser(os.path.join("~", self._file_name) if self._path is None else self._path)
        if self._path is None and path.startswith("~"):
            raise ProfileError("This process has no home directory, and so no profiles: set HOME, or path=.")
        return path

    # -- as in the `arcgis` package --------------------------------------------------------------------------------------

    def create(
        self,
        profile: str,
        url: str | None = None,
        username: str | None = None,
        password: str | None = None,
        key_file: str | None = None,
        cert_file: str | None = None,
        client_id: str | None = None,
    ) -> bool:
        """Make a profile, in place of one that has the name already; always `True`. See `save`."""
        self.save(StoredProfile(profile, url, username, key_file, cert_file, client_id, password))
        return True

    def update(
        self,
        profile: str,
        url: str | None = None,
        username: str | None = None,
        password: str | None = None,
        key_file: str | None = None,
        cert_file: str | None = None,
        client_id: str | None = None,
    ) -> bool:
        """Change what is given of a profile that is there, and leave the rest; always `True`."""
        given = checked_parts(StoredProfile(profile, url, username, key_file, cert_file, client_id))
        self._change(profile, {part: value for part, value in given.items() if value is not None}, password, may_create=False)
        return True

    def get(self, profile: str) -> dict[str, Any]:
        """`url`, `username`, `key_file`, `cert_file`, `client_id`, and `date_modified`; each may be `None`.

        The date is a naive `datetime` in local time. No secret; for that, see `load`.
        """
        return _public(self._section(profile))

    if TYPE_CHECKING:

        @overload
        def list(self, as_df: Literal[False] = False) -> Names: ...

        @overload
        def list(self, as_df: bool) -> Any: ...

    def list(self, as_df: bool = False) -> Any:
        """The names, in the order of the file; with `as_df`, a `pandas.DataFrame` with a row of `get` for each.

        Raises `MissingPackageError` where pandas is wanted and absent.
        """
        sections = self._file.sections()
        if not as_df:
            return [*sections]
        try:
            import pandas
        except ImportError:
            raise missing_package("pandas", "list(as_df=True)") from None
        return pandas.DataFrame([{"profile": name, **_public(section)} for name, section in sections.items()])

    def delete(self, profile: str) -> bool:
        """Take a profile out of the file, and its secret out of the store; always `True`."""
        file = self._file
        self._found(file.sections(), profile)
        with file.lock():
            self._found(file.sections(), profile)  # somebody else may have been faster
            with self._secrets.kept(profile, None):
                file.remove_section(profile)
        return True

    def save_as(self, profile: str, gis: Any) -> bool:
        """Save how `gis` signs in, with the secret, under this name; always `True`. See `save`."""
        parts = getattr(gis, "profile_parts", None)
        if parts is None:
            raise ConfigurationError(f"save_as takes a GIS; {type(gis).__name__} cannot say how it signs in.")
        self.save(parts().replace(name=profile))
        return True

    # -- ours besides ----------------------------------------------------------------------------------------------------

    def exists(self, profile: str) -> bool:
        """Whether there is a profile with this name."""
        return isinstance(profile, str) and profile in self._file.sections()

    def load(self, profile: str) -> StoredProfile:
        """A profile with its secret, which the environment variable of `variable_of` has, or else the store.

        It is no error if there is no secret, nor if the store cannot be asked; `secret_problem` then says why.
        """
        section = self._section(profile)
        secret, problem = secret_in_environment(profile), None
        if secret is None:
            try:
                secret = self._secrets.get(profile)
            except (SecretStoreError, MissingPackageError) as error:
                problem = str(error)
        parts = {part: section.get(part) or None for part in PARTS}
        return StoredProfile(profile, **parts, secret=secret, secret_problem=problem)

    def save(self, profile: StoredProfile) -> None:
        """Make this profile, or have the one with its name say the same; the file is touched only if it does not already.

        The secret goes to the store, before anything is written; one that comes from the environment variable stays there.
        Without a secret, the store keeps what it has, unless another site or user took the place of the former one: whose
        password it is is then unknown, and it is forgotten.
        """
        self._change(profile.name, checked_parts(profile), profile.secret, may_create=True)

    def set_secret(self, profile: str, secret: str | None) -> None:
        """Have the store keep another secret for a profile that is there, such as its next refresh token; `None` forgets it."""
        self._section(profile)
        with self._secrets.kept(profile, checked_secret(profile, secret)):
            pass

    def drop_secret(self, profile: str, secret: str) -> None:
        """Have the store forget `secret`; another one that it has for this profile by now stays."""
        self._section(profile)
        self._secrets.drop(profile, secret)

    # -- how -------------------------------------------------------------------------------------------------------------

    @property
    def _file(self) -> ProfileFile:
        return ProfileFile(self.path, self._clock)

    def _section(self, profile: str) -> dict[str, str]:
        return self._found(self._file.sections(), profile)

    def _found(self, sections: Sections, profile: str) -> dict[str, str]:
        if not isinstance(profile, str) or profile not in sections:
            raise _missing(profile, sections, self.path)
        return sections[profile]

    def _change(self, name: str, wanted: Mapping[str, str | None], secret: str | None, *, may_create: bool) -> None:
        """Have the profile say `wanted` of those parts. The lock is taken only where there is something to write."""
        secret = checked_secret(name, secret)
        if secret == secret_in_environment(name):
            secret = None
        file = self._file
        if not self._differences(file.sections(), name, wanted, may_create):
            if secret is not None:
                self.set_secret(name, secret)
            return
        with file.lock():
            sections = file.sections()
            changes = self._differences(sections, name, wanted, may_create)
            if secret is None and not is_other_account(sections.get(name, {}), changes):
                file.write_section(name, changes)
                return
            with self._secrets.kept(name, secret):
                file.write_section(name, changes)

    def _differences(
        self, sections: Sections, name: str, wanted: Mapping[str, str | None], may_create: bool
    ) -> dict[str, str | None]:
        """What has to be written, with the date; empty for nothing."""
        section = sections.get(name, {}) if may_create else self._found(sections, name)
        changes = {part: value for part, value in wanted.items() if (section.get(part) or None) != value}
        if not changes and name in sections:
            return {}
        return {DATE: self._now(), **changes}

    def _now(self) -> str:
        """As ``str(datetime.now())``, but always with the fraction, without which the `arcgis` package does not read it."""
        from datetime import datetime

        return datetime.fromtimestamp(self._clock.time()).isoformat(" ", "microseconds")  # noqa: DTZ006


class ServerProfileManager(ProfileManager):
    """The profiles of stand-alone servers: ``~/.agsprofile``, and a service of its own in the keyring."""

    service = "esri_ags_profile_passwords"
    _file_name = ".agsprofile"


def stored(name: str, store: SecretStore | None = None) -> tuple[ProfileManager, StoredProfile]:
    """The profile of this name, with whoever keeps it: a GIS site's, or else a stand-alone server's.

    Raises `ProfileError` with the nearest name of both where there is none.
    """
    managers = (ProfileManager(store=store), ServerProfileManager(store=store))
    names: list[str] = []
    for manager in managers:
        found = manager.list()
        if name in found:
            return manager, manager.load(name)
        names += found
    raise _missing(name, names, " and ".join(manager.path for manager in managers))


def is_stored(name: str, store: SecretStore | None = None) -> bool:
    """Whether there is a profile of this name, of either kind. Raises `ProfileError` for a file that cannot be read."""
    return ProfileManager(store=store).exists(name) or ServerProfileManager(store=store).exists(name)


def _missing(name: object, names: Iterable[str], where: str) -> ProfileError:
    names = [*names]
    by_folded = {known.casefold(): known for known in reversed(names)}
    near = difflib.get_close_matches(str(name).casefold(), by_folded, 1)
    if near:
        hint = f"Did you mean {by_folded[near[0]]!r}?"
    elif names:
        shown = ", ".join(map(repr, names[:_MOST_NAMES_SHOWN]))
        hint = f"There are {shown}{', ...' if len(names) > _MOST_NAMES_SHOWN else ''}."
    else:
        hint = "There are none yet."
    return ProfileError(f"There is no profile {name!r} in {where}. {hint}", profile=str(name))


def _public(section: Mapping[str, str]) -> dict[str, Any]:
    return {**{part: section.get(part) or None for part in PARTS}, DATE: _date(section.get(DATE, ""))}


def _date(text: str) -> datetime | None:
    from datetime import datetime

    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
