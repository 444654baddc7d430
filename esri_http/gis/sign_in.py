"""How `GIS(...)` signs in: what it was told first, then one anonymous look at the site, then the sign-in, then its proof."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from ..auth.tokens.token_services import service_of_server
from ..session import EsriSession
from ..survey.addresses import read_address
from ..survey.findings import LARGEST_ANSWER, PORTAL, PORTAL_PATH, SERVER, WEB_TIER, text_in
from ..words.errors import ArcGISLoginError, ConfigurationError, SignInError
from ..words.redaction import plain
from .dead_ends import dead_end
from .look import Look
from .ways import ANONYMOUS, ANYBODY, USER, Way, certificate_way, portal_way, server_way, told_way, web_tier_handler

if TYPE_CHECKING:
    from ..auth.sites import Root
    from ..survey.findings import Finding
    from .parameters import Parameters

log = logging.getLogger("esri_http.gis")

_SERVICES_PATH = "/rest/services"
_LONGEST_NOTE = 1000


class Site(NamedTuple):
    """A site once it is known: its root, whether it is a portal, and what it said of itself (and of who is signed in)."""

    root: Root
    is_portal: bool
    fields: dict[str, Any]

    @property
    def user(self) -> str | None:
        """Who the portal says is signed in; `None` for nobody."""
        return text_in(self.fields, "user", "username")


class SignedIn(NamedTuple):
    """How it ended: the site, the session that is signed in there, and the way. `notes` tell how it was decided.

    `given`: what it was made with, a password that a person typed included.
    """

    site: Site
    session: EsriSession
    way: Way
    notes: tuple[tuple[str, str], ...]
    given: Parameters

    def __repr__(self) -> str:
        return f"<SignedIn at {self.site.root} by {self.way.name}>"


def sign_in(given: Parameters, *notes: tuple[str, str]) -> SignedIn:
    """Sign in as `given` says. Raises `SignInError` where that does not happen, and the errors of requests.

    Credentials are sent to the site that was named, in a way that it is known to take, and once. `notes`: what went before.
    """
    session = session_of(given)
    try:
        return _SignIn(given, session, notes).run()
    except BaseException:
        if given.session is None:
            session.close()
        raise


class _SignIn:
    """One sign-in, from the parameters to its proof. For one thread, once."""

    def __init__(self, given: Parameters, session: EsriSession, notes: tuple[tuple[str, str], ...]) -> None:
        self._given = given
        self._session = session
        self._way: Way | None = None
        self._web_tier: Any = None
        self._has_current_user = False
        self._notes = list(notes)

    def run(self) -> SignedIn:
        """Look, sign in, and have it proved."""
        if self._given.session is None and self._given.cert_file is not None:
            self._unlock_certificate()
        start, is_server = self._start()
        look = Look(self._session, self._enter, self._note, is_lent=self._given.session is not None)
        root, finding = look.around(start, is_server)
        if finding.kind == WEB_TIER and self._has_answer(root, finding):
            root, finding = look.around(start, is_server)
        if finding.kind not in (PORTAL, SERVER):
            raise dead_end(finding)
        site, way = self._decided(Site(root, finding.kind == PORTAL, finding.fields), look)
        log.info("%s: signed in by %s; %s", site.root, way.name, plain(way.why))
        self._note("chosen", way.name if way.handler is None else f"{way.name} ({way.handler!r})")
        self._note("because", way.why)
        return SignedIn(site, self._session, way, tuple(self._notes), self._given)

    def _unlock_certificate(self) -> None:
        from .certificate import unlock_certificate

        password = unlock_certificate(self._session, self._given.prompt)
        if password is not None:
            self._note("credentials", "the password of the certificate was asked for")
            if self._given.username is None and self._given.client_id is None:  # else it would count as theirs
                self._given = self._given.replaced(password=password)

    def _start(self) -> tuple[Root, bool]:
        """Where to look first, and whether only a server can be there."""
        address = read_address(self._given.url)
        for note in address.notes:
            self._note("address", note)
        if address.root is not None:
            return address.root, address.is_server
        self._way = told_way(self._given, None)
        assert self._way is not None
        self._session.auth = self._way.handler
        portal: Root = self._way.handler.portal
        self._note("site", f"{portal}, as {self._way.name} says")
        return portal, False

    def _enter(self, root: Root, is_server: bool) -> bool:
        """Have the session sign in at `root` by what was told; else only where a web tier asks for it.

        Returns whether anybody is to be signed in. `is_server`: it is no portal, so an app of a portal has nothing to ask
        there yet.
        """
        if self._given.session is not None:
            self._way = told_way(self._given, root)
            return self._session.auth is not None
        if not is_server and _wants_password(self._given):
            self._ask_password(root)
        given = self._given
        if given.place is None:
            self._way = told_way(given, root)
        self._web_tier = handler = None
        if self._way is not None:
            handler = None if is_server and given.client_id is not None else self._way.handler
            handler = _behind_current_user(given, root, handler) if self._has_current_user else handler
        elif given.password is not None or given.username is None:
            self._web_tier = handler = web_tier_handler(given, root)
        self._session.auth = handler
        return self._way is not None or given.username is not None

    def _has_answer(self, root: Root, finding: Finding) -> bool:
        """Whether there is something to show to a web tier that was not shown yet; the next look then shows it."""
        if self._given.session is not None or self._web_tier is not None:
            return False
        if self._way is not None:
            self._has_current_user = not {"negotiate", "ntlm"}.isdisjoint(finding.schemes)
            return self._has_current_user
        self._ask_password(root)
        return True

    # -- the sign-in, and its proof ----------------------------------------------------------------------------------

    def _decided(self, site: Site, look: Look) -> tuple[Site, Way]:
        """The way that was found, and the site once it has said who is signed in."""
        if self._way is not None:
            return _proved(self._way, site) if site.is_portal else self._proved_at_server(self._way, site)
        portal_url = f"{site.root}{PORTAL_PATH}"
        chosen = None if self._web_tier is None else self._web_tier.choice_for(portal_url)
        if chosen is not None:
            return _let_in(Way(f"{chosen} at the web tier", self._web_tier, self._web_tier.describe(portal_url)), site)
        if self._given.username is None:
            return self._nobody(site)
        if site.user is not None and self._given.cert_file is not None:
            way = certificate_way(self._given, site.root, "the portal knows its holder already")
            self._session.auth = way.handler
            return site, way
        return self._by_password(site, look)

    def _by_password(self, site: Site, look: Look) -> tuple[Site, Way]:
        if self._given.password is None:
            self._ask_password(site.root)
        if not site.is_portal:
            way = server_way(self._given, service_of_server(site.root, site.fields))
            self._session.auth = way.handler
            way.handler.token  # noqa: B018 - the server checks the password
            return site, way
        way = portal_way(self._given, site.root)
        self._session.auth = way.handler
        finding = look.at_portal(site.root)
        if finding.kind != PORTAL:
            raise dead_end(finding)
        return _proved(way, site._replace(fields=finding.fields))

    def _nobody(self, site: Site) -> tuple[Site, Way]:
        """Nothing was given, and nothing was asked for."""
        if site.is_portal and not site.fields:
            raise SignInError(
                f"{site.root} tells strangers nothing. Sign in, by username= for example.", url=str(site.root)
            )
        self._session.auth = None
        if site.user is None:
            return site, ANONYMOUS
        why = f"the portal says that {plain(site.user, 100)} is signed in, without our doing"
        return site, Way("the web tier, by itself", None, why)

    def _proved_at_server(self, way: Way, site: Site) -> tuple[Site, Way]:
        """A server names nobody; that it lists its services has to do."""
        if way.handler is None:
            return site, way
        if self._given.client_id is not None:
            raise SignInError(
                f"{site.root} is a stand-alone ArcGIS Server, and those know no OAuth: leave client_id= out, and give username="
                " and password=, or token=.", url=str(site.root),
            )  # fmt: skip
        url = f"{site.root}{_SERVICES_PATH}"
        with self._session.get(url, {"f": "json"}, stream=False, ahead=LARGEST_ANSWER) as response:
            said = response.esri_error or f"HTTP {response.status_code}"
        self._note("asked", f"{url} answers: {said}")
        if response.esri_error is not None or not response.ok:
            raise ArcGISLoginError(f"{site.root} does not take {way.name}: {said}.", url=str(site.root))
        return site, way

    def _ask_password(self, root: Root) -> None:
        from ..auth.oauth.person import ask_password

        password = ask_password(f"Enter password for {self._given.username} at {root}: ", self._given.prompt)
        self._note("credentials", "the password was asked for")
        self._given = self._given.replaced(password=password)

    def _note(self, label: str, text: str) -> None:
        self._notes.append((label, plain(text, _LONGEST_NOTE)))


def _wants_password(given: Parameters) -> bool:
    """Whether OAuth goes by a user's password that nobody has given yet; a profile is to keep it, so it is asked for here."""
    return bool(given.client_id and given.username and given.password is None and given.refresh_token is None)


def _proved(way: Way, site: Site) -> tuple[Site, Way]:
    """`site`, which has to name who is signed in."""
    app = text_in(site.fields, "appInfo", "appId")
    if site.user or (app and way.proof != USER) or (site.fields and way.proof == ANYBODY):
        return site, way
    raise SignInError(
        f"{site.root} does not say who is signed in: {way.name} was not asked for, or is not enough there ({way.why})."
        " Without a sign-in, give none.", url=str(site.root),
    )  # fmt: skip


def _let_in(way: Way, site: Site) -> tuple[Site, Way]:
    """The web tier has let us in; a portal has to know us, too."""
    if site.user is None and site.is_portal:
        raise SignInError(
            f"The web tier of {site.root} took the sign-in ({way.name}), but the portal behind it says that nobody is signed"
            " in. In Python, if it has accounts of its own besides, join two handlers: custom_auth=EsriBasicAuth(None, user,"
            " password) + EsriBuiltInAuth(url, user, password), for example.", url=str(site.root),
        )  # fmt: skip
    return site, way


def session_of(given: Parameters) -> EsriSession:
    """The session that was given, or a new one. Raises `ConfigurationError` for settings that cannot work."""
    if given.session is not None:
        session: EsriSession = given.session
        return session
    session = EsriSession(**given.session_options)
    if given.adapter is not None:
        if not hasattr(given.adapter, "items"):
            raise ConfigurationError("adapter= takes a dict from URL prefix to adapter.")
        for prefix, adapter in given.adapter.items():
            session.mount(prefix, adapter)
    return session


def _behind_current_user(given: Parameters, root: Root, handler: Any) -> Any:
    """`handler` (`None` for none) behind a web tier, which whoever runs this signs in at."""
    current_user = web_tier_handler(given.replaced(username=None, password=None), root)
    return current_user if handler is None else current_user + handler
