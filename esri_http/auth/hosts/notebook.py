"""The sign-in that ArcGIS gives to a hosted notebook: `EsriNotebookAuth` and `EsriNotebookFileAuth`."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

from ...words.errors import ConfigurationError, EsriHttpError, MissingPackageError, TokenRequestError
from ...words.urls import split_url
from ..sites import Root, portal_root
from ..tokens.inner import InnerAuth
from ..tokens.static_tokens import EsriUserTokenAuth
from ..tokens.token_services import portal_service
from .handed_over import HandedOver, HandedOverAuth, read_handed

VARIABLE = "NB_AUTH_FILE"
_DECODER = "arcgis_notebooks_auth"
_LARGEST_FILE = 1024 * 1024
_ADVICE = "ArcGIS writes it when the notebook starts: restart the notebook, or sign in another way."


class EsriNotebookAuth(InnerAuth, EsriUserTokenAuth):
    """The token of a notebook. Safe to share between threads.

    `token`: text, or a pair (token, expires). `referer`: the one that the token is bound to; `None` for the session's.
    `auth`: another handler that stands nearer the wire. The rest as for `EsriUserTokenAuth`.
    """

    _name = "token of the notebook"

    def __init__(self, token: Any, referer: str | None = None, auth: Any = None, **options: Any) -> None:
        super().__init__(token, referer, auth=auth, **options)


class _AuthFile(NamedTuple):
    """What the file says; `portals`: the private address and the public one."""

    portals: tuple[Root, Root]
    referer: str
    token: Any
    is_encrypted: bool
    expiration: Any


class EsriNotebookFileAuth(InnerAuth, HandedOverAuth):
    """The sign-in in the file that the environment variable ``NB_AUTH_FILE`` names. Safe to share between threads.

    The token goes to the portal by its private and its public address, and to the servers federated with it. The file is
    read again when it changes, near the end of the token's life, and where the token is refused. An encrypted token is
    decoded by Esri's package ``arcgis_notebooks_auth``. What the file says of proxies is not used: the session's count.

    `auth`: another handler that stands nearer the wire. `verify_sign_in`: have the portal say who we are, once. Raises
    `ConfigurationError` where there is no such file, or it does not hold what it should.
    """

    _sign_in_there = _ADVICE

    def __init__(self, auth: Any = None, **options: Any) -> None:
        super().__init__(auth=auth, **options)
        self.path = _path_in_environment()
        self._holder = f"the notebook's file {self.path}"
        self._stamp: tuple[int, ...] | None = None
        _read(self.path)

    def _ask(self) -> HandedOver:
        stamp = _stamp_of(self.path)  # first: what is written from now on is news
        said = _read(self.path)
        private, public = said.portals
        site = portal_service(private, frozenset({public}))
        token = _decoded(self.path) if said.is_encrypted else said.token
        self._stamp = stamp
        if not token:
            return HandedOver(site, None)
        return HandedOver(site, read_handed(token, said.expiration, said.referer, self.clock, self._holder))

    def _has_news(self) -> bool:
        return _stamp_of(self.path) != self._stamp

    def __repr__(self) -> str:
        return f"EsriNotebookFileAuth({self.path!r})"


def _path_in_environment() -> str:
    path = os.environ.get(VARIABLE)
    if not path:
        raise ConfigurationError(
            f"EsriNotebookFileAuth works in a hosted ArcGIS notebook, where the environment variable {VARIABLE} names a file;"
            " it is not set here. Sign in another way."
        )
    return os.path.abspath(path)


def _stamp_of(path: str) -> tuple[int, ...] | None:
    """What is another when the file has changed; `None` where it cannot be seen."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(path: str) -> _AuthFile:
    """The file's fields. No error shows anything of what is in it."""
    fields = _fields(path)
    portals = _portal(fields, "privatePortalUrl", path), _portal(fields, "publicPortalUrl", path)
    referer, token = _text(fields, "referer", path), fields.get("token")
    is_encrypted = not token and bool(fields.get("encryptedToken"))
    return _AuthFile(portals, referer, token, is_encrypted, fields.get("expiration"))


def _fields(path: str) -> dict[str, Any]:
    problem = "is no JSON object"
    try:
        with open(path, "rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        value = json.loads(content.decode("utf-8-sig")) if len(content) <= _LARGEST_FILE else None
    except OSError as error:
        value, problem = None, f"cannot be read ({error.strerror or type(error).__name__})"
    except (ValueError, RecursionError):
        value = None  # the error would show what is in the file
    if not isinstance(value, dict):
        raise ConfigurationError(f"{VARIABLE} names the file {path}, which {problem}. {_ADVICE}")
    return value


def _text(fields: dict[str, Any], key: str, path: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{VARIABLE} names the file {path}, in which {key} is missing or no text. {_ADVICE}")
    return value.strip()


def _portal(fields: dict[str, Any], key: str, path: str) -> Root:
    text, split = _text(fields, key, path), None
    try:
        split = split_url(text)
    except EsriHttpError:
        pass  # the error would show what is in the file
    if split is None:
        raise ConfigurationError(f"{VARIABLE} names the file {path}, in which {key} is no address. {_ADVICE}")
    return portal_root(split)


def _decoded(path: str) -> Any:
    """The encrypted token of the file, by Esri's own package and no other way."""
    try:
        import arcgis_notebooks_auth
    except ImportError:
        # No word of pip: the package comes from Esri alone, and who knows what an index has by that name.
        raise MissingPackageError(
            f"The token in {path} is encrypted, and only Esri's package {_DECODER} can decode it; it is part of the runtime of"
            " ArcGIS Notebook Server and is not in this Python. Run the notebook there, or sign in another way.",
            package=_DECODER,
        ) from None
    failure = ""
    try:
        return arcgis_notebooks_auth.get_token(path)
    except Exception as error:
        failure = type(error).__name__  # its text may hold what it decoded
    raise TokenRequestError(f"{_DECODER} could not decode the token in {path} ({failure}). {_ADVICE}")
