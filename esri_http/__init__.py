"""A small, fast, safe HTTP client for Esri web GIS, built on urllib3.

::

    from esri_http import GIS

    gis = GIS("https://gis.example.com/portal", "amy", "secret")    # or client_id=, cert_file=, token=, profile=, "pro", "home"
    answer = gis.session.get(".../FeatureServer/0/query", params={"where": "1=1", "outFields": "*", "f": "json"})
    answer.raise_for_error()
    features = answer.json()["features"]

- `GIS`: a site and whoever is signed in there; `GIS.explain` says how that was decided. `ProfileManager`: stored sign-ins.
- `EsriSession`: requests, downloads and uploads; its answers are `Response` objects.
- Handlers, for `EsriSession(auth=...)` and joined by ``+``. Tokens: `EsriBuiltInAuth`, `EsriGenTokenAuth`, `EsriOAuth2Auth`,
  `EsriPKCEAuth`, `EsriUserTokenAuth`, `EsriAPIKeyAuth`, `ArcGISProAuth`, `EsriNotebookFileAuth`. The web tier: `EsriGuessAuth`,
  `EsriKerberosAuth`, `EsriWindowsAuth`, `EsriHttpNtlmAuth`, `EsriPKIAuth`, `EsriBasicAuth`, `EsriDigestAuth`. One of your own:
  `BaseEsriAuth`.
- Errors: all are an `EsriHttpError`; the tree is in `esri_http.words.errors`.
- `esri_http.testing`: a portal to test against. ``python -m esri_http --help``: the command line.

Names are loaded when they are first used; importing the package loads nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .auth.base import ACCEPT, REPLAY, AuthRun, BaseEsriAuth, SupportMultiAuth, Verdict
    from .auth.chain import AuthChain
    from .auth.guess import EsriGuessAuth, GuessAuth
    from .auth.handshake.kerberos import EsriKerberosAuth
    from .auth.handshake.ntlm import EsriHttpNtlmAuth
    from .auth.handshake.windows import EsriHttpNegotiateAuth, EsriWindowsAuth
    from .auth.hosts.notebook import EsriNotebookAuth, EsriNotebookFileAuth
    from .auth.hosts.pro import ArcGISProAuth, ArcGISServerAuth
    from .auth.oauth.built_in import EsriBuiltInAuth
    from .auth.oauth.oauth2 import EsriOAuth2Auth, EsriPKCEAuth
    from .auth.oauth.oauth_app import Grant
    from .auth.proxies.proxy_auth import ProxyAuth
    from .auth.tokens.generate_token import EsriGenTokenAuth
    from .auth.tokens.static_tokens import EsriAPIKeyAuth, EsriUserTokenAuth
    from .auth.web_tier.basic import EsriBasicAuth
    from .auth.web_tier.digest import DigestAuth, EsriDigestAuth
    from .auth.web_tier.pki import EsriPKIAuth
    from .gis.gis import GIS
    from .messages.request import Request
    from .messages.response import Response
    from .profiles.manager import ProfileManager, ServerProfileManager
    from .profiles.secrets import SecretStore
    from .session import EsriSession
    from .words.clock import Clock
    from .words.errors import (
        ArcGISLoginError,
        BodyNotReplayableError,
        CertificateError,
        CertificateFileError,
        ConfigurationError,
        ConnectError,
        ConnectionLostError,
        ConnectTimeoutError,
        DeadlineExceededError,
        EsriHttpError,
        EsriHttpResponseError,
        EsriTimeoutError,
        InteractionRequiredError,
        InvalidHeaderError,
        InvalidJsonError,
        InvalidRequestError,
        InvalidUrlError,
        LocalFileError,
        MissingPackageError,
        NoTokenError,
        ProfileError,
        ProtocolError,
        ProxyError,
        ReadTimeoutError,
        RedirectError,
        RedirectRefusedError,
        SecretStoreError,
        SignInError,
        TlsError,
        TokenRequestError,
        TooManyRedirectsError,
        TransportError,
    )  # fmt: skip

_HOMES = {
    "session": ("EsriSession",),
    "auth.base": ("ACCEPT", "REPLAY", "AuthRun", "BaseEsriAuth", "SupportMultiAuth", "Verdict"),
    "auth.web_tier.basic": ("EsriBasicAuth",),
    "auth.oauth.built_in": ("EsriBuiltInAuth",),
    "auth.chain": ("AuthChain",),
    "auth.web_tier.digest": ("DigestAuth", "EsriDigestAuth"),
    "auth.tokens.generate_token": ("EsriGenTokenAuth",),
    "auth.guess": ("EsriGuessAuth", "GuessAuth"),
    "auth.handshake.kerberos": ("EsriKerberosAuth",),
    "auth.hosts.notebook": ("EsriNotebookAuth", "EsriNotebookFileAuth"),
    "auth.handshake.ntlm": ("EsriHttpNtlmAuth",),
    "auth.oauth.oauth2": ("EsriOAuth2Auth", "EsriPKCEAuth"),
    "auth.oauth.oauth_app": ("Grant",),
    "auth.web_tier.pki": ("EsriPKIAuth",),
    "auth.hosts.pro": ("ArcGISProAuth", "ArcGISServerAuth"),
    "auth.proxies.proxy_auth": ("ProxyAuth",),
    "auth.tokens.static_tokens": ("EsriAPIKeyAuth", "EsriUserTokenAuth"),
    "auth.handshake.windows": ("EsriHttpNegotiateAuth", "EsriWindowsAuth"),
    "gis.gis": ("GIS",),
    "messages.request": ("Request",),
    "messages.response": ("Response",),
    "profiles.manager": ("ProfileManager", "ServerProfileManager"),
    "profiles.secrets": ("SecretStore",),
    "words.clock": ("Clock",),
    "words.errors": (
        "ArcGISLoginError", "BodyNotReplayableError", "CertificateError", "CertificateFileError", "ConfigurationError",
        "ConnectError", "ConnectionLostError", "ConnectTimeoutError", "DeadlineExceededError", "EsriHttpError",
        "EsriHttpResponseError", "EsriTimeoutError", "InteractionRequiredError", "InvalidHeaderError", "InvalidJsonError",
        "InvalidRequestError", "InvalidUrlError", "LocalFileError", "MissingPackageError", "NoTokenError", "ProfileError",
        "ProtocolError", "ProxyError", "ReadTimeoutError", "RedirectError", "RedirectRefusedError", "SecretStoreError",
        "SignInError", "TlsError", "TokenRequestError", "TooManyRedirectsError",
        "TransportError",
    ),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME_OF]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
