"""ArcGIS Pro's sign-in, by its own `arcpy`: `ArcGISProAuth` and `ArcGISServerAuth`."""

from __future__ import annotations

import os
from operator import attrgetter
from typing import Any

from ...words.errors import ArcGISLoginError, ConfigurationError, EsriHttpError, MissingPackageError, TokenRequestError
from ...words.redaction import plain
from ...words.urls import split_url
from ..sites import Root, portal_root, server_root
from ..tokens.token_services import portal_service, server_service
from .handed_over import HandedOver, HandedOverAuth, read_handed

_MOST_READINGS = 5
_LONGEST_WORDS = 300


class ArcGISProAuth(HandedOverAuth):
    """Whoever is signed in to the active portal of ArcGIS Pro; only in Pro's own Python. Safe to share between threads.

    `arcpy` is imported when the first token is needed. Pro is asked again near the end of the token's life, and where it is
    refused. The token goes to the active portal and the servers federated with it, with the `Referer` that Pro says. Nobody
    signed in is an `ArcGISLoginError`, never a silent anonymous request. Another portal made active in Pro counts from the
    next time that Pro is asked.

    `legacy`: send ``token=`` instead of a header. `verify_sign_in`: have the portal say who we are, once.
    """

    _holder = "ArcGIS Pro"
    _sign_in_there = "Sign in to the portal in ArcGIS Pro (anew, if it says that you are), and try again."

    def __init__(self, legacy: bool = False, **options: Any) -> None:
        super().__init__(legacy=legacy, **options)

    def _ask(self) -> HandedOver:
        arcpy = _arcpy(type(self).__name__)
        url, given = _consistently(arcpy)
        site = portal_service(portal_root(_address(url, "The active portal of ArcGIS Pro")))
        if given is None:
            return HandedOver(site, None)
        fields = given if isinstance(given, dict) else {}
        fetched = read_handed(fields.get("token"), fields.get("expires"), fields.get("referer"), self.clock, self._holder)
        return HandedOver(site, fetched)


class ArcGISServerAuth(HandedOverAuth):
    """A stand-alone ArcGIS Server by a connection file (``.ags``) of ArcGIS Pro; only in Pro's own Python.

    Safe to share between threads. `arcpy` is imported when the first token is needed, and asked again where that is refused.

    `ags_file`: path of the connection file, with the user name and password saved in it. `legacy`: send ``token=`` instead
    of a header.
    """

    _holder = "the connection file in ArcGIS Pro"
    _sign_in_there = "Open the connection's properties in ArcGIS Pro, save user name and password in it, and try again."

    def __init__(self, ags_file: Any, legacy: bool = False, **options: Any) -> None:
        super().__init__(legacy=legacy, **options)
        try:
            self.ags_file = os.path.abspath(os.fsdecode(ags_file))
        except (TypeError, ValueError):
            raise ConfigurationError("ArcGISServerAuth needs the path of an .ags file.") from None
        _check_file(self.ags_file)

    def _ask(self) -> HandedOver:
        arcpy = _arcpy(type(self).__name__)
        _check_file(self.ags_file)
        given = _call(arcpy, "gp.getStandaloneServerToken", self.ags_file)
        fields = given if isinstance(given, dict) else {}
        split = _address(fields.get("serverUrl"), f"The server in {self.ags_file}")
        site = server_service(server_root(split.origin, split.path) or Root(split.origin, split.path.rstrip("/")))
        if not fields.get("token"):
            return HandedOver(site, None)
        fetched = read_handed(fields["token"], fields.get("expires"), fields.get("referer"), self.clock, self.ags_file)
        return HandedOver(site, fetched)

    def __repr__(self) -> str:
        return f"ArcGISServerAuth({self.ags_file!r})"


def _arcpy(handler: str) -> Any:
    """Pro's module; raises `MissingPackageError` outside of Pro's Python, `TokenRequestError` where it does not start."""
    try:
        import arcpy
    except ImportError as error:
        raise MissingPackageError(
            f"{handler} works only in the Python of ArcGIS Pro, which brings arcpy: {_words(error)}. Run the script there"
            " (Python Command Prompt, or propy.bat), or sign in another way.", package="arcpy",
        ) from error  # fmt: skip
    except Exception as error:
        raise TokenRequestError(f"arcpy does not start: {_words(error)}. Is ArcGIS Pro licensed and signed in?") from error
    return arcpy


def _consistently(arcpy: Any) -> tuple[Any, Any]:
    """The active portal and its token: of one and the same portal, even if the person is switching just now."""
    for _ in range(_MOST_READINGS):
        url, given = _call(arcpy, "GetActivePortalURL"), _call(arcpy, "GetSigninToken")
        if _call(arcpy, "GetActivePortalURL") == url:
            return url, given
    raise TokenRequestError("The active portal of ArcGIS Pro keeps changing.")


def _call(arcpy: Any, name: str, *arguments: Any) -> Any:
    """What the function of that dotted name returns; raises `TokenRequestError` where it fails."""
    try:
        return attrgetter(name)(arcpy)(*arguments)
    except Exception as error:
        raise TokenRequestError(f"arcpy failed in {name}: {_words(error)}. Is ArcGIS Pro licensed and signed in?") from error


def _address(url: Any, what: str) -> Any:
    """`url` in its parts; raises `ArcGISLoginError` where there is none."""
    if not isinstance(url, str) or not url.strip():
        raise ArcGISLoginError(f"{what} is not known: there is no sign-in that could be used.")
    try:
        return split_url(url.strip())
    except EsriHttpError:
        raise ArcGISLoginError(f"{what} has no usable address.") from None


def _check_file(path: str) -> None:
    if not os.path.isfile(path):
        raise ConfigurationError(f"There is no connection file {path}; give the path of an .ags file.")


def _words(error: BaseException) -> str:
    """What arcpy says, on one line of bounded length."""
    return plain(" ".join(str(error).split()), _LONGEST_WORDS).rstrip(".") or type(error).__name__
