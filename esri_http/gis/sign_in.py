"""How `GIS(...)` signs in: what it was told first, then one anonymous look at the site, then the sign-in, then its proof."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from ..auth.sites import Root, portal_root
from ..auth.token_services import service_of_server
from ..session import EsriSession
from ..survey.addresses import read_address
from ..survey.findings import (
    CERTIFICATE,
    NOTHING,
    PAGE,
    PORTAL,
    PORTAL_PATH,
    SERVER,
    SERVER_PATH,
    TROUBLE,
    WEB_TIER,
    named,
    read_portal,
    read_server,
    text_in,
)  # fmt: skip
from ..words.errors import ArcGISLoginError, ConfigurationError, InteractionRequiredError, SignInError, TlsError, TransportError
from ..words.redaction import redact_url
from ..words.urls import split_url
from .ways import ANONYMOUS, ANYBODY, USER, Way, portal_way, server_way, told_way, web_tier_handler

if TYPE_CHECKING:
    from ..messages.response import Response
    from ..survey.findings import Finding
    from .parameters import Parameters

log = logging.getLogger("esri_http.gis")

_SERVICES_PATH = "/rest/services"


class Site(NamedTuple):
    """A site once it is known: its root, whether it is a portal, and what it said of itself (and of who is signed in)."""

    root: Root
    is_portal: bool
    fields: dict[str, Any]


class SignedIn(NamedTuple):
    """How it ended: the site, the session that is signed in there, and the way. `notes` tell how it was decided.

    `asked_password`: what a person typed, to be kept in a profile; `None` where nobody was asked.
    """

    site: Site
    session: EsriSession
    way: Way
    notes: tuple[tuple[str, str], ...]
    asked_password: str | None = None

    def __repr__(self) -> str:
        return f"<SignedIn at {self.site.root} by {self.way.name}>"


def sign_in(given: Parameters) -> SignedIn:
    """Sign in as `given` says. Raises `SignInError` where that does not happen, and the errors of requests.

    Credentials are sent to the site that was named, in a way that it is known to take, and once.
    """
    return _SignIn(given).run()


class _SignIn:
    """One sign-in, from the parameters to its proof. For one thread, once."""

    def __init__(self, given: Parameters) -> None:
        self._given = given
        self._password: str | None = given.password if given.username else None
        self._way: Way | None = None
        self._typed: str | None = None
        self._web_tier: Any = None
        self._final: Root | None = None
        self._notes: list[tuple[str, str]] = []
        self.session: EsriSession = given.session if given.session is not None else _new_session(given)

    def run(self) -> SignedIn:
        try:
            site, way = self._run()
        except BaseException:
            if self._given.session is None:
                self.session.close()
            raise
        log.info("%s: signed in by %s; %s", site.root, way.name, way.why)
        self._note("chosen", way.name if way.handler is None else f"{way.name} ({way.handler!r})")
        self._note("because", way.why)
        return SignedIn(site, self.session, way, tuple(self._notes), self._typed)

    def _run(self) -> tuple[Site, Way]:
        address = read_address(self._given.url)
        for note in address.notes:
            self._note("address", note)
        if address.root is None:
            self._way = way = told_way(self._given, None)
            assert way is not None
            self.session.auth = way.handler
            root: Root = way.handler.portal
            self._note("site", f"{root}, as {way.name} says")
            finding = self._asked(root, PORTAL_PATH, read_portal)
        else:
            root, finding = self._found(address.root, address.is_server)
        if finding.kind == WEB_TIER:
            finding = self._through_web_tier(root, finding)
        self._check(finding)
        return self._decided(root, finding)

    # -- what is there -----------------------------------------------------------------------------------------------

    def _found(self, root: Root, is_server: bool) -> tuple[Root, Finding]:
        """What is at `root`, or at the portal that owns it, asked with what was told; `NOTHING` is an error."""
        self._enter(root)
        finding = None
        if not is_server:
            finding = self._asked(root, PORTAL_PATH, read_portal)
            if finding.kind not in (NOTHING, PAGE):
                return self._moved(root, finding), finding
        info = self._asked(root, SERVER_PATH, read_server)
        if info.kind != SERVER:
            if finding is None or info.kind not in (NOTHING, PAGE):
                return root, info
            self._check(finding)
        owner = self._owner(root, info)
        return (root, info) if owner is None else self._found(owner, is_server=False)

    def _enter(self, root: Root) -> None:
        """Have the session sign in at `root` by what was told; else only where a web tier asks for it."""
        self._way = told_way(self._given, root)
        if self._given.session is not None:
            return
        self._web_tier = None
        if self._way is None and (self._password is not None or self._given.username is None):
            self._web_tier = web_tier_handler(self._given, root, self._password)
        self.session.auth = self._web_tier if self._way is None else self._way.handler

    def _owner(self, root: Root, info: Finding) -> Root | None:
        """The portal that the server at `root` is federated with; `None` for a stand-alone one.

        Raises `SignInError` where that is one that the caller did not name, and somebody is to be signed in.
        """
        if info.owner is None:
            return None
        if self._way is None and self._given.username is None:
            same = portal_root(split_url(info.owner)).origin.host == root.origin.host
            self._note("site", f"{root} is federated with {redact_url(info.owner)}")
            return service_of_server(root, info.fields).root if same else None
        service = service_of_server(root, info.fields)
        self._note("site", f"{root} is federated with {service.root}, which signs in")
        return service.root

    def _asked(self, root: Root, path: str, read: Callable[[Response], Finding]) -> Finding:
        try:
            response = self.session.get(f"{root}{path}", params={"f": "json"}, stream=True)
        except TlsError as error:
            if "client certificate" not in str(error):
                raise
            raise SignInError(f"{error} With GIS(...), that is cert_file= with key_file=, or a PFX with password=.") from error
        self._final = portal_root(split_url(response.url)) if path == PORTAL_PATH else root
        finding = read(response)
        log.debug("%s", finding.words)
        self._note("asked", finding.words)
        return finding

    def _moved(self, root: Root, finding: Finding) -> Root:
        """The root that a portal answered from: by https instead of http, or under another path of its own host."""
        final = self._final
        if final is None or final == root or finding.kind != PORTAL:
            return root
        if final.origin.host != root.origin.host or final.origin.scheme == "http":
            raise SignInError(f"{root} leads to the portal {final}. If that is yours, give its address.", url=str(root))
        self._note("address", f"{root} leads to {final}")
        self._enter(final)
        return final

    # -- in front of the site ----------------------------------------------------------------------------------------

    def _through_web_tier(self, root: Root, finding: Finding) -> Finding:
        """Ask again, with what the web tier wants."""
        if self._given.session is not None or self._web_tier is not None:
            return finding
        if self._way is None:
            self._password = self._ask_password(root)
            self._web_tier = self.session.auth = web_tier_handler(self._given, root, self._password)
        elif self._way.handler is not None and not {"negotiate", "ntlm"}.isdisjoint(finding.schemes):
            self._note("asked", "the web tier wants the current user besides")
            self.session.auth = _current_user(self._given, root) + self._way.handler
        else:
            return finding
        return self._asked(root, PORTAL_PATH, read_portal)

    # -- who is signed in --------------------------------------------------------------------------------------------

    def _decided(self, root: Root, finding: Finding) -> tuple[Site, Way]:
        is_portal = finding.kind == PORTAL
        if self._way is not None:
            return self._proved(self._way, Site(root, is_portal, finding.fields))
        chosen = None if self._web_tier is None else self._web_tier.choice_for(f"{root}{PORTAL_PATH}")
        if chosen is not None:
            way = Way(f"{chosen} at the web tier", self._web_tier, self._web_tier.describe(f"{root}{PORTAL_PATH}"))
            return self._let_in(way, Site(root, is_portal, finding.fields))
        if self._given.username is None:
            return self._nobody(Site(root, is_portal, finding.fields))
        if finding.user is not None and self._given.cert_file is not None:
            way = Way("a client certificate (PKI)", self.session.auth, "the portal knows its holder, and asks for no password")
            return Site(root, is_portal, finding.fields), way
        password = self._password or self._ask_password(root)
        if is_portal:
            way = portal_way(self._given, root, password)
            self.session.auth = way.handler
            finding = self._asked(root, PORTAL_PATH, read_portal)
            self._check(finding)
            return self._proved(way, Site(root, True, finding.fields))
        way = server_way(self._given, service_of_server(root, finding.fields), password)
        self.session.auth = way.handler
        way.handler.token  # noqa: B018 - the server checks the password
        return Site(root, False, finding.fields), way

    def _let_in(self, way: Way, site: Site) -> tuple[Site, Way]:
        """The web tier has let us in; a portal has to know us, too."""
        if site.is_portal and text_in(site.fields, "user", "username") is None:
            raise SignInError(
                f"The web tier of {site.root} took the sign-in ({way.name}), but the portal behind it says that nobody is"
                " signed in. If it has accounts of its own besides, join two handlers: custom_auth=EsriBasicAuth(None, user,"
                " password) + EsriBuiltInAuth(url, user, password), for example.", url=str(site.root),
            )  # fmt: skip
        return site, way

    def _nobody(self, site: Site) -> tuple[Site, Way]:
        user = text_in(site.fields, "user", "username")
        if user is None and site.is_portal and not site.fields:
            raise SignInError(
                f"{site.root} tells strangers nothing. Sign in: GIS(url, username), for example.", url=str(site.root)
            )
        if self._given.session is None:
            self.session.auth = None
        if user is None:
            return site, ANONYMOUS
        return site, Way("the web tier, by itself", None, f"the portal says that {user} is signed in, without our doing")

    def _proved(self, way: Way, site: Site) -> tuple[Site, Way]:
        """The site, once it has said who is signed in."""
        if not site.is_portal:
            return self._proved_at_server(way, site)
        user, app = text_in(site.fields, "user", "username"), text_in(site.fields, "appInfo", "appId")
        if way.proof == ANYBODY and site.fields:
            return site, way
        if user is None and (way.proof == USER or app is None):
            raise SignInError(
                f"{site.root} does not say who is signed in: {way.name} was not asked for, or is not enough there"
                f" ({way.why}). Without a sign-in, give none.", url=str(site.root),
            )  # fmt: skip
        return site, way

    def _proved_at_server(self, way: Way, site: Site) -> tuple[Site, Way]:
        if way.proof == ANYBODY and way.handler is None:
            return site, way
        response = self.session.get(f"{site.root}{_SERVICES_PATH}", params={"f": "json"})
        error = response.esri_error
        self._note("asked", f"{site.root}{_SERVICES_PATH} with {way.name}: {error or f'HTTP {response.status_code}'}")
        if error is not None or not response.ok:
            raise ArcGISLoginError(
                f"{site.root} does not take {way.name}: {error or f'HTTP {response.status_code}'}.", url=str(site.root)
            )
        return site, way

    # -- what cannot go on -------------------------------------------------------------------------------------------

    def _check(self, finding: Finding) -> None:
        """Raise for what is neither a portal nor a server; with what to do."""
        where, words = str(finding.origin), finding.words.rstrip(".")
        if finding.kind in (PORTAL, SERVER):
            return
        if finding.kind == CERTIFICATE:
            raise SignInError(f"{words}. With GIS(...), that is cert_file= with key_file=, or a PFX with password=.", url=where)
        if finding.kind == WEB_TIER:
            raise SignInError(f"{words}. {_advice(self._given, named(finding.schemes))}", url=where)
        if finding.kind == PAGE:
            raise InteractionRequiredError(
                f"{words} where a portal would answer: a sign-in page (SAML), a proxy, or no portal. Where a person has to sign"
                " in at such a page, GIS(url, client_id=...) opens it in a browser; token= takes a token that you have.",
                url=where,
            )  # fmt: skip
        if finding.kind == TROUBLE:
            raise TransportError(f"{words}. Try again later, or look at its log.", url=where)
        raise SignInError(
            f"{words}: there is neither a portal nor an ArcGIS Server. Is the address right? A portal's looks like"
            " https://gis.example.com/portal, a server's like https://gis.example.com/arcgis.", url=where,
        )  # fmt: skip

    def _ask_password(self, root: Root) -> str:
        from ..auth.person import ask_password

        password = ask_password(f"Enter password for {self._given.username} at {root}: ", self._given.prompt)
        self._note("credentials", "the password was asked for")
        self._typed = password
        return password

    def _note(self, label: str, text: str) -> None:
        self._notes.append((label, text))


def _new_session(given: Parameters) -> EsriSession:
    session = EsriSession(**given.session_options)
    if given.adapter is not None:
        if not hasattr(given.adapter, "items"):
            raise ConfigurationError("adapter= takes a dict from URL prefix to adapter.")
        for prefix, adapter in given.adapter.items():
            session.mount(prefix, adapter)
    session.auth = None  # a certificate brings a handler of its own, which is decided here
    return session


def _current_user(given: Parameters, root: Root) -> Any:
    return web_tier_handler(given.replaced(username=None), root, None)


def _advice(given: Parameters, schemes: str) -> str:
    if given.username is None:
        return "Give username= and password=, or have a Kerberos ticket (kinit) where it takes one."
    return f"None of {schemes} is a sign-in that is known here."
