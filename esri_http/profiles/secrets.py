"""Where the passwords and refresh tokens of profiles are: the system's keyring, or a store of one's own. Never a file."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from ..words.errors import ConfigurationError, EsriHttpError, MissingPackageError, SecretStoreError, missing_package
from ..words.forks import ProcessLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    _T = TypeVar("_T")

VARIABLE = "ESRI_HTTP_PASSWORD_"
"""What the name of the environment variable that holds a profile's secret begins with; see `variable_of`."""

# Of keyring: the back ends that keep nothing, and the one that keeps passwords for everybody to read.
_NO_BACK_ENDS = ("keyring.backends.fail", "keyring.backends.null")
_PLAIN_TEXT = ("keyrings.alt.file", "PlaintextKeyring")
# keyring chooses its back end anew for each thread that comes early, not all of which find the same; and gnome-keyring
# loses its way when many threads ask.
_one_at_a_time = ProcessLock()


class NoSecretStoreError(SecretStoreError):
    """There is no keyring at all on this machine, so it holds no secret of ours either."""


class SecretStore(Protocol):
    """What keeps the secrets of profiles; hand an object with these three methods to ``ProfileManager(store=...)``.

    ``service`` is the same for all profiles of one file, ``name`` is that of the profile. Threads may call at the same time.
    Whatever a method raises reaches the user as `SecretStoreError`, by its kind alone, since its text may hold the secret;
    errors of this package pass as they are.

    ::

        class Vault:
            def get(self, service, name):
                return vault_client.read(f"{service}/{name}")        # None: there is none

            def set(self, service, name, secret):
                vault_client.write(f"{service}/{name}", secret)

            def delete(self, service, name):
                vault_client.delete(f"{service}/{name}")
    """

    def get(self, service: str, name: str) -> str | None:
        """The secret that is kept under this name, or `None`."""

    def set(self, service: str, name: str, secret: str) -> None:
        """Keep `secret` under this name, in place of another."""

    def delete(self, service: str, name: str) -> None:
        """Forget the secret; where there is none, do nothing."""


class KeyringStore:
    """The system's keyring, by the package ``keyring`` (23 or newer), which is imported when it is first needed.

    Raises `MissingPackageError` without that package, `NoSecretStoreError` where it found nothing to keep secrets in, and
    `SecretStoreError` where the keyring is locked, fails, or (for `set`) would keep the secret as plain text.
    """

    __slots__ = ()

    def get(self, service: str, name: str) -> str | None:
        """The password that the keyring has for this name, or `None`."""
        with _one_at_a_time:
            return _password(_back_end(name), service, name)

    def set(self, service: str, name: str, secret: str) -> None:
        """Keep `secret` under this name."""
        with _one_at_a_time:
            back_end = _back_end(name)
            if (type(back_end).__module__, type(back_end).__name__) == _PLAIN_TEXT:
                raise SecretStoreError(
                    f"The secret of the profile {name!r} was not stored: {_label(back_end)} would keep it as plain text."
                    f" {ways_out(name)}",
                    profile=name,
                )
            asked(name, lambda: back_end.set_password(service, name, secret), _label(back_end))

    def delete(self, service: str, name: str) -> None:
        """Forget the password of this name, if there is one."""
        with _one_at_a_time:
            back_end = _back_end(name)
            if _password(back_end, service, name) is not None:
                asked(name, lambda: back_end.delete_password(service, name), _label(back_end))


class Secrets:
    """One service of a store: the same errors and the same kind of answer, whosever store it is."""

    __slots__ = ("_service", "_store")

    def __init__(self, store: Any, service: str) -> None:
        """`store`: a `SecretStore`, or `None` for the keyring."""
        self._store: SecretStore = KeyringStore() if store is None else store
        self._service = service
        if isinstance(store, type) or not all(callable(getattr(self._store, name, None)) for name in ("get", "set", "delete")):
            raise ConfigurationError("store= takes an object with the methods get, set and delete; see SecretStore.")

    def get(self, name: str) -> str | None:
        """The secret of a profile; `None` for none, and for an empty one."""
        return _text(name, asked(name, lambda: self._store.get(self._service, name))) or None

    def put(self, name: str, secret: str | None) -> None:
        """Keep `secret`; `None` forgets it."""
        if secret is None:
            asked(name, lambda: self._store.delete(self._service, name))
        else:
            asked(name, lambda: self._store.set(self._service, name, secret))

    def drop(self, name: str, secret: str) -> None:
        """Forget `secret`, if that is what is kept; no error where there is no keyring."""
        if self._held(name, or_nothing=True) == secret:
            self.put(name, None)

    def _held(self, name: str, or_nothing: bool) -> str | None:
        """As `get`; with `or_nothing`, a store that is not there at all holds nothing."""
        try:
            return self.get(name)
        except (MissingPackageError, NoSecretStoreError):
            if not or_nothing:
                raise
            return None

    @contextmanager
    def kept(self, name: str, secret: str | None) -> Iterator[None]:
        """Keep `secret` (`None`: forget it) for good if the `with` ends well; else there is what was there before.

        To forget is no error where there is no keyring.
        """
        former = self._held(name, or_nothing=secret is None)
        if former == secret:
            yield
            return
        self.put(name, secret)
        try:
            yield
        except BaseException:
            try:
                self.put(name, former)
            except EsriHttpError:
                pass  # the first failure is the one to tell
            raise


def variable_of(profile: str) -> str:
    """The environment variable that may hold a profile's secret, and counts before the store: ``ESRI_HTTP_PASSWORD_MY_GIS``.

    In upper case; everything but ``A-Z`` and ``0-9`` becomes ``_``, so that some names share a variable.
    """
    return VARIABLE + re.sub("[^A-Z0-9]", "_", profile.upper())


def ways_out(profile: str) -> str:
    """The end of messages about a store that cannot be used: what to do instead."""
    return (
        "Without it: give the password each time (password=; where there is somebody to ask, it is asked for), or set the"
        f" environment variable {variable_of(profile)}. In Python, a SecretStore of your own will do, too: secret_store= of"
        " GIS, store= of ProfileManager."
    )


def asked(name: str, call: Callable[[], _T], whom: str = "the secret store") -> _T:
    """What `call` gives, which asks a store about the profile `name`. What that raises becomes `SecretStoreError`.

    The error says its kind alone, and is no child of it: text and traces of what a back end raises may hold the secret.
    """
    try:
        return call()
    except EsriHttpError:
        raise
    except Exception as error:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        problem = type(error).__name__
    if "NoKeyringError" in kinds:
        raise _no_keyring(name, whom)
    what = f"{whom} is locked. Unlock it" if "KeyringLocked" in kinds else f"{whom} failed ({problem})"
    raise SecretStoreError(f"The secret of the profile {name!r} cannot be had or kept: {what}. {ways_out(name)}", profile=name)


def _no_keyring(name: str, whom: str) -> NoSecretStoreError:
    return NoSecretStoreError(
        f"The secret of the profile {name!r} cannot be had or kept: keyring found nothing to keep it in ({whom}). On Linux,"
        f" that is a Secret Service such as gnome-keyring, reached by D-Bus. {ways_out(name)}",
        profile=name,
    )


def _back_end(name: str) -> Any:
    """What keyring has chosen to work with."""
    try:
        import keyring
    except ImportError:
        error = missing_package("keyring", f"The secret of the profile {name!r}", "keyring")
        raise MissingPackageError(f"{error}. {ways_out(name)}", package="keyring") from None
    back_end = asked(name, keyring.get_keyring, "keyring")
    if type(back_end).__module__ in _NO_BACK_ENDS:
        raise _no_keyring(name, _label(back_end))
    return back_end


def _password(back_end: Any, service: str, name: str) -> str | None:
    """What a back end has for this name, asked for as the `arcgis` package does."""

    def ask() -> Any:
        credential = back_end.get_credential(service, name)
        if credential is not None and _user_of(credential) == name:
            return credential.password
        return back_end.get_password(service, name)  # some give what they have for another name

    return _text(name, asked(name, ask, _label(back_end)))


def _label(back_end: Any) -> str:
    return f"{type(back_end).__module__}.{type(back_end).__name__}"


def _user_of(credential: Any) -> str | None:
    try:
        return credential.username  # type: ignore[no-any-return]
    except ValueError:
        return None  # keyring's credentials without a name


def _text(name: str, secret: Any) -> str | None:
    if secret is None or isinstance(secret, str):
        return secret
    kind = type(secret).__name__
    raise SecretStoreError(f"The secret store gave {kind}, not text, for the profile {name!r}.", profile=name)


def secret_in_environment(profile: str) -> str | None:
    """What the profile's variable holds; `None` where it is not set, or empty."""
    return os.environ.get(variable_of(profile)) or None
