"""`GIS(...)`: a site of ArcGIS, and whoever is signed in there."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from .. import env
from ..auth.sites import online_environment
from ..words.errors import (
    ArcGISLoginError,
    CertificateFileError,
    ConfigurationError,
    EsriHttpError,
    InteractionRequiredError,
    SignInError,
)
from ..words.forks import ProcessLock
from ..words.redaction import plain
from ..words.urls import split_url
from .parameters import Parameters
from .properties import Properties
from .report import report
from .sign_in import SignedIn, Site, session_of, sign_in
from .users import Users
from .ways import ANONYMOUS

if TYPE_CHECKING:
    from ..session import EsriSession
    from .stored import Profile


_LONGEST_VERSION = 40


class GIS:
    """ArcGIS Online, a portal of ArcGIS Enterprise, or a stand-alone ArcGIS Server, signed in at once.

    Safe to share between threads, and it pickles. What is given decides how it signs in; where that leaves it open, one
    anonymous look at the site does. A sign-in that does not happen is an error, never an anonymous `GIS`.

    - `url`: any URL of the site; `None` for ArcGIS Online; ``"pro"`` for the active portal of ArcGIS Pro, ``"home"`` for that
      of the hosted notebook (or, outside of one, of ArcGIS Pro).
    - nothing more: anonymous; or the current user (Kerberos, on Windows also NTLM), where the web tier asks for a sign-in.
    - `username`, `password`: of the portal, of its LDAP or Active Directory (``DOMAIN\\\\user``), of a stand-alone server, or
      of the web tier: wherever the site asks. A password that is missing is asked for, unseen.
    - `cert_file` with `key_file` (PEM), or a PFX with `password`: a client certificate (PKI). Its password is asked for, too.
    - `client_id`: OAuth; alone, a person signs in and pastes a code (`redirect_uri` for other ways); with `client_secret`, as
      the app; with `username` and `password`, by the portal's page; with `refresh_token`.
    - `token`, `api_key`: what you have already; without anything else the environment's ``ESRI_API_KEY``, for ArcGIS Online.
    - `profile`: a stored sign-in, alone; with other parameters, these are stored under that name once they have worked.
    - `custom_auth`: any handler; `session`: an `EsriSession` of your own, taken as it is.

    Further keywords: `expiration` (minutes that the sign-in should last), `use_gen_token`, `referer`, `send_cbt`; those of
    OAuth (`redirect_uri`, `mfa_code`, `accept_terms`, `on_token`, `open_browser`, `prompt`, `wait_seconds`) and of Kerberos
    (`mutual_authentication`, `service`, `hostname_override`, `delegate`, `force_preemptive`); of the session (`ca_bundles`,
    `timeout` in seconds, `deadline`, `proxies` or `proxy`, `trust_env` ...); `adapter`: a dict from URL prefix to adapter;
    `secret_store`: where profiles keep passwords, instead of the keyring; `pickle_secrets`: let a pickle hold the sign-in
    itself, secrets included. `validate_url` is taken for compatibility: the site is always looked at. An unknown keyword is
    a `TypeError` that names the nearest one. `set_active`: make this ``esri_http.env.active_gis``.

    Raises `ConfigurationError` for what cannot work, `ArcGISLoginError` for refused credentials (they are sent once),
    `InteractionRequiredError` where a person has to act, other `SignInError`, `ProfileError`, and `TransportError`.
    """

    def __init__(
        self,
        url: str | None = None,
        username: str | None = None,
        password: str | None = None,
        key_file: str | None = None,
        cert_file: Any = None,
        verify_cert: Any = True,
        set_active: bool = True,
        client_id: str | None = None,
        profile: str | None = None,
        **kwargs: Any,
    ) -> None:
        self._given = Parameters(
            {
                "url": url, "username": username, "password": password, "key_file": key_file, "cert_file": cert_file,
                "verify_cert": verify_cert, "client_id": client_id, "profile": profile,
            },
            kwargs,
        )  # fmt: skip
        self.pickle_secrets = bool(self._given.pickle_secrets)
        self._lacking: tuple[str, ...] = ()
        self._site: Site | None = None
        self._signed_in: SignedIn | None = None
        self._properties: Properties | None = None
        self._is_signed_out = False
        self._lock = ProcessLock()
        self._connect()
        if set_active:
            env.active_gis = self

    # -- the sign-in -------------------------------------------------------------------------------------------------

    def _connect(self) -> SignedIn:
        """The sign-in, made if it is not there yet (as in a copy from a pickle)."""
        signed_in = self._signed_in
        if signed_in is None:
            with self._lock:
                signed_in = self._signed_in
                if signed_in is None:
                    signed_in = self._signed_in = self._sign_in()
                    self._site = signed_in.site
        return signed_in

    def _sign_in(self) -> SignedIn:
        profile = self._given.profile
        lacking = [f"{name}=" for name in self._lacking if name != "password" or profile is None]  # a profile has it
        if lacking:
            raise SignInError(
                f"This GIS comes from a pickle, which holds no {', '.join(lacking)}. Make it anew here, or by a profile; or set"
                " pickle_secrets=True before it is pickled, and keep the pickle as safe as a password."
            )
        if self._is_signed_out:
            return sign_in(self._given.replaced(session=session_of(self._given)))
        if profile is None:
            return sign_in(self._given)
        from .stored import Profile

        return _by_profile(Profile(profile, self._given))

    @property
    def session(self) -> EsriSession:
        """The session that is signed in; ``gis.session.auth.token`` is the token, ``gis.session.get(url)`` a request."""
        return self._connect().session

    def logout(self) -> bool:
        """Sign out: what can be revoked is revoked, and further requests are anonymous, as are those of a pickle made from
        now on. Whether the site confirmed it.

        A profile that keeps the refresh token of this sign-in holds it no more; a password stays there (``esri-http logout``
        forgets that, too). Raises `SecretStoreError` where the store does not let go of it.
        """
        signed_in = self._connect()
        session, handler = signed_in.session, signed_in.session.auth
        try:
            return bool(handler is not None and handler.logout())
        finally:
            session.auth = None
            is_by_profile, self._given = self._given.profile is not None, self._given.signed_out(str(signed_in.site.root))
            self._signed_in = signed_in._replace(given=self._given, way=ANONYMOUS)
            self._properties, self._site, self._is_signed_out = None, None, True
            if is_by_profile:
                from .stored import forget_refresh_token

                forget_refresh_token(signed_in)

    # -- what is known of the site -----------------------------------------------------------------------------------

    def _known_site(self) -> Site:
        site = self._site
        if site is None:
            signed_in = self._connect()
            site = self._site
            if site is None:  # signed out since
                given = Parameters({"url": str(signed_in.site.root), "verify_cert": True}, {"session": signed_in.session})
                site = self._site = sign_in(given).site
        return site

    @property
    def url(self) -> str:
        """The site's URL; of an organisation of ArcGIS Online, once somebody is signed in, its own."""
        site = self._known_site()
        return _organisation_url(site) or str(site.root)

    @property
    def properties(self) -> Properties:
        """What the site says of itself and of who is signed in (ArcGIS REST, portals/self), as attributes and as a dict.

        Of a stand-alone server, its rest/info, with `portalName`, `portalHostname` and `user` beside it.
        """
        properties = self._properties
        if properties is None:
            site = self._known_site()
            fields = site.fields if site.is_portal else _fields_of_server(site, self._username)
            properties = self._properties = Properties(fields)
        return properties

    @property
    def _username(self) -> str | None:
        """Whom the handler signs in, for a server, which names nobody; `None` where it does not say."""
        handler = None if self._signed_in is None else self._signed_in.session.auth
        return getattr(handler, "username", None)

    @property
    def users(self) -> Users:
        """`users.me` is who is signed in."""
        return Users(self)

    @property
    def version(self) -> str:
        """The version that the site says it is, such as ``2024.1`` or ``11.3``; empty where it does not say."""
        version = self.properties.get("currentVersion")
        return plain(version, _LONGEST_VERSION) if isinstance(version, (str, int, float)) else ""

    def explain(self, file: Any = None) -> None:
        """Print what was asked, what was chosen and why, and what else would have been possible; no secret.

        `file`: a text stream; `None` for standard output, of which a program without a console has none.
        """
        stream = sys.stdout if file is None else file
        if stream is not None:
            encoding = getattr(stream, "encoding", None) or "utf-8"  # not every console can show every name
            stream.write(report(self, self._connect()).encode(encoding, "backslashreplace").decode(encoding) + "\n")

    def profile_parts(self) -> Any:
        """What a profile keeps of this sign-in, as a `StoredProfile` without a name; for `ProfileManager.save_as`.

        Raises `ConfigurationError` for one that no profile can keep, such as a token.
        """
        from .stored import parts_of

        return parts_of(self._connect())

    # -- as an object ------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the connections; it can be used again. It is no longer the active GIS."""
        if self._signed_in is not None:
            self._signed_in.session.close()
        if env.active_gis is self:
            env.active_gis = None

    def __enter__(self) -> GIS:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __str__(self) -> str:
        version = self.version
        return f"GIS @ {self.url}" + (f" version:{version}" if version else "")

    def __repr__(self) -> str:
        # Asks nobody: a debugger may want it at any moment.
        return "<GIS that is not signed in>" if self._site is None else str(self)

    def _repr_html_(self) -> str:
        from html import escape

        if self._site is None:
            return escape(repr(self))
        url = escape(self.url, quote=True)
        return f'GIS @ <a href="{url}" target="_blank" rel="noopener">{url}</a> version:{escape(self.version)}'

    def __copy__(self) -> GIS:
        """Another handle on the same sign-in and session; other than a pickle, it leaves no process."""
        copy = type(self).__new__(type(self))
        copy.__dict__.update(self.__dict__)
        return copy

    def __deepcopy__(self, memo: dict[int, Any]) -> GIS:
        return self.__copy__()

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle keeps: how to sign in again, without any secret; with `pickle_secrets`, the sign-in itself."""
        if not isinstance(self._given.verify_cert, (bool, str, os.PathLike, type(None))):
            raise ConfigurationError("A GIS with an ssl.SSLContext cannot be pickled; set verify_cert= to a path instead.")
        state = {"site": self._site, "is_signed_out": self._is_signed_out}
        if self.pickle_secrets:
            return {**state, "given": self._given, "lacking": self._lacking, "signed_in": self._signed_in}
        given, lacking = self._given.without_secrets()
        return {**state, "given": given, "lacking": (*self._lacking, *lacking), "signed_in": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._given, self._lacking = state["given"], state["lacking"]
        self._site, self._signed_in, self._is_signed_out = state["site"], state["signed_in"], state["is_signed_out"]
        self.pickle_secrets = self._signed_in is not None
        self._properties = None
        self._lock = ProcessLock()


def _by_profile(profile: Profile) -> SignedIn:
    """Sign in by a profile, and store what is news."""
    try:
        signed_in = sign_in(profile.parameters, profile.note)
    except ArcGISLoginError:
        if not profile.has_refresh_token:
            raise
        # It has run out: a person signs in again.
        signed_in = sign_in(profile.parameters.replaced(password=None), profile.note)
    except InteractionRequiredError as error:
        if profile.secret_problem is None:
            raise
        raise InteractionRequiredError(f"{error} {profile.secret_problem}", url=error.url) from error
    except CertificateFileError as error:
        if profile.secret_problem is None or not error.needs_password:
            raise
        message = f"{error} {profile.secret_problem}"
        raise CertificateFileError(message, path=error.path, needs_password=True) from error
    try:
        profile.keep(signed_in)
    except BaseException:
        signed_in.session.close()
        raise
    return signed_in


def _organisation_url(site: Site) -> str | None:
    """The organisation's own URL at ArcGIS Online, where it names one there."""
    key, base = site.fields.get("urlKey"), site.fields.get("customBaseUrl")
    environment = online_environment(site.root.origin.host)
    if environment is None or not isinstance(key, str) or not isinstance(base, str) or not key or not base:
        return None
    try:
        origin = split_url(f"https://{key}.{base}").origin
    except EsriHttpError:
        return None
    return str(origin) if online_environment(origin.host) == environment else None


def _fields_of_server(site: Site, username: str | None) -> dict[str, Any]:
    place = f"{site.root.origin.authority}{site.root.path}"
    fields: dict[str, Any] = {"portalName": "ArcGIS Server", "portalHostname": place, "isPortal": False, **site.fields}
    if username is not None:
        fields["user"] = {"username": username}
    return fields
