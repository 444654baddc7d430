"""Ways to sign in: the handler that each set of parameters stands for, with its name for people and the reason for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from ..auth.oauth.oauth_app import OOB
from ..auth.sites import online_environment
from ..auth.tokens.lifetimes import DEFAULT_MINUTES, LONGEST

if TYPE_CHECKING:
    from ..auth.sites import Root
    from ..auth.tokens.token_services import TokenService
    from .parameters import Parameters

API_KEY_VARIABLE = "ESRI_API_KEY"
NOTEBOOK_VARIABLE = "NB_AUTH_FILE"

USER = "a user"
USER_OR_APP = "a user, or an app"
ANYBODY = "anybody"


class Way(NamedTuple):
    """One way to sign in. `handler`: an auth object, `None` for none; `why`: which parameter decided it.

    `proof`: whom the portal has to name before the sign-in counts: `USER`, `USER_OR_APP`, or `ANYBODY`.
    """

    name: str
    handler: Any
    why: str
    proof: str = USER


ANONYMOUS = Way("anonymous", None, "no sign-in was given, and none was asked for", ANYBODY)


def told_way(given: Parameters, root: Root | None) -> Way | None:
    """The way that the parameters alone decide; `None` where the site has a say (user and password, or nothing at all).

    `root`: the site; `None` for ArcGIS Pro's and the notebook's, which know their own.
    """
    if given.session is not None:
        return Way("a session of your own", given.session.auth, "session= was given, and is used as it is", ANYBODY)
    if given.custom_auth is not None:
        return Way("a handler of your own", given.custom_auth, "custom_auth= was given")
    if given.place is not None:
        return _place_way(given.place)
    if given.token is not None:
        from ..auth.tokens.static_tokens import EsriUserTokenAuth

        token = EsriUserTokenAuth(given.token, given.referer, url=str(root), **_clock(given))
        return Way("a token", token, "token= was given", USER_OR_APP)
    if given.api_key is not None:
        return _key_way(given, root, given.api_key, "api_key= was given")
    if given.client_id is not None:
        return _oauth_way(given, root)
    if given.cert_file is not None:
        # With user and password besides, the site is asked what these are for.
        return certificate_way(given, root, "cert_file= was given") if given.username is None else None
    if given.kerberos:
        from ..auth.handshake.kerberos import EsriKerberosAuth

        options = {**given.kerberos, **_binding(given)}
        ticket = EsriKerberosAuth(username=given.username, password=given.password, url=str(root), **options)
        return Way("Kerberos", ticket, f"{next(iter(given.kerberos))}= is about Kerberos")
    return _key_of_environment(given, root)


def _place_way(place: str) -> Way:
    if place == "home" and os.environ.get(NOTEBOOK_VARIABLE):
        from ..auth.hosts.notebook import EsriNotebookFileAuth

        return Way("the hosted notebook's sign-in", EsriNotebookFileAuth(), f"'home', and {NOTEBOOK_VARIABLE} is set")
    from ..auth.hosts.pro import ArcGISProAuth

    why = "'pro' was given" if place == "pro" else f"'home', and no hosted notebook: {NOTEBOOK_VARIABLE} is not set"
    return Way("the sign-in of ArcGIS Pro", ArcGISProAuth(), why)


def _key_way(given: Parameters, root: Root | None, key: str, why: str) -> Way:
    from ..auth.tokens.static_tokens import EsriAPIKeyAuth

    return Way("an API key", EsriAPIKeyAuth(key, given.referer, url=str(root), **_clock(given)), why, ANYBODY)


def _key_of_environment(given: Parameters, root: Root | None) -> Way | None:
    """The key in the environment, where nothing else was given: it is one of ArcGIS Online, and goes nowhere else."""
    key = os.environ.get(API_KEY_VARIABLE, "").strip()
    if not key or given.username is not None or given.trust_env is False:
        return None
    if root is None or online_environment(root.origin.host) is None:
        return None
    return _key_way(given, root, key, f"no sign-in was given, and {API_KEY_VARIABLE} is set")


def _oauth_way(given: Parameters, root: Root | None) -> Way:
    from ..auth.oauth.oauth2 import EsriOAuth2Auth

    options = {**given.oauth, **_clock(given)}
    # A password without a user name is how profiles keep a refresh token.
    if not (given.client_secret or given.username or given.password or given.refresh_token):
        options.setdefault("redirect_uri", OOB)  # the one that every app of the peer's users has
        name, why = "OAuth, in a browser", "client_id= was given alone"
    elif given.client_secret and not given.username:
        name, why = "OAuth, as an app", "client_id= and client_secret= were given"
    elif given.username:
        name, why = "OAuth, by the portal's page", "client_id= and username= were given"
    else:
        name, why = "OAuth, by a refresh token", "client_id= and a refresh token were given"
    handler = EsriOAuth2Auth(
        str(root), given.client_id, given.client_secret, given.username, given.password, given.referer,
        LONGEST if given.expiration is None else given.expiration, refresh_token=given.refresh_token, **options,
    )  # fmt: skip
    return Way(name, handler, why, USER_OR_APP if given.client_secret else USER)


def certificate_way(given: Parameters, root: Root | None, why: str) -> Way:
    """A client certificate, which the session shows."""
    from ..auth.web_tier.pki import EsriPKIAuth

    return Way("a client certificate (PKI)", EsriPKIAuth(url=str(root), referer=given.referer), why)


def portal_way(given: Parameters, root: Root) -> Way:
    """User and password at the portal tier: built-in accounts, and those of LDAP and Active Directory that it knows."""
    if given.use_gen_token:
        return _gen_token_way(given, f"{root}/sharing/rest/generateToken", None, "use_gen_token= was given")
    from ..auth.oauth.built_in import EsriBuiltInAuth

    options = {name: value for name, value in given.oauth.items() if name in ("mfa_code", "accept_terms", "on_token", "prompt")}
    handler = EsriBuiltInAuth(
        str(root), given.username, given.password, given.expiration, referer=given.referer, **options, **_clock(given)
    )
    return Way("user name and password at the portal", handler, "the site asks for no sign-in at the web tier")


def server_way(given: Parameters, service: TokenService) -> Way:
    """User and password at the token service of a stand-alone server."""
    return _gen_token_way(given, f"{service.root}/rest/services", service, "the site is a stand-alone ArcGIS Server")


def _gen_token_way(given: Parameters, url: str, service: TokenService | None, why: str) -> Way:
    from ..auth.tokens.generate_token import EsriGenTokenAuth

    options: dict[str, Any] = {}
    if given.expiration is not None:
        options["time_out"] = DEFAULT_MINUTES if given.expiration == LONGEST else given.expiration
    handler = EsriGenTokenAuth(
        url, given.referer, given.username, given.password, service=service, **options, **_clock(given)
    )
    return Way("user name and password at the token service", handler, why)


def web_tier_handler(given: Parameters, root: Root) -> Any:
    """What answers a web tier that asks for a sign-in: as `given` says, or as the current user without a user name."""
    from ..auth.guess import EsriGuessAuth

    password = given.password if given.username else None
    return EsriGuessAuth(None, given.username, password, url=str(root), referer=given.referer, **_binding(given))


def _binding(given: Parameters) -> dict[str, Any]:
    return {} if given.send_cbt is None else {"send_cbt": given.send_cbt}


def _clock(given: Parameters) -> dict[str, Any]:
    return {} if given.clock is None else {"clock": given.clock}
