"""`EmbeddedPortal`: a portal, a federated server and a stand-alone server, on loopback, for as long as a `with` block lasts."""

from __future__ import annotations

import os
import secrets
import shutil
import ssl
import tempfile
from collections.abc import Iterable
from types import TracebackType

from ..words.clock import SYSTEM_CLOCK, Clock
from .accounts import Accounts, User, default_users
from .certificates import LOOPBACK_NAMES, PrivateAuthority, server_context
from .faults import Faults
from .layer import PlacesLayer
from .loop import HttpLoop
from .oauth.oauth import OAuth
from .oauth.settings import OUT_OF_BAND, App
from .places import all_places
from .portal_site import PortalSite
from .recording import RecordedRequest, Recorder
from .server_site import ServerSite, Service
from .settings import PortalSettings
from .site import Site
from .tokens import PORTAL, Grant, TokenStore


class EmbeddedPortal(PortalSettings):
    """Three sites, each on a port of its own, in threads of this process.

    ::

        with EmbeddedPortal() as portal:
            session = EsriSession(auth=EsriBuiltInAuth(portal.portal_url, "amy", portal.password("amy")),
                                  ca_bundles=portal.ca_file)
            session.get(portal.layer_url + "/query", params={"where": "1=1", "f": "json"})
            assert portal.count("/generateToken") == 2          # sign-in and exchange

    Its settings (see `PortalSettings`) may be changed at any time. URLs are known, and requests are served, inside the `with`
    block, or between `start()` and `stop()`.
    """

    def __init__(
        self,
        https: bool = True,
        host: str = "localhost",
        clock: Clock = SYSTEM_CLOCK,
        users: Iterable[User] | None = None,
        *,
        port: int = 0,
        names: Iterable[str] = (),
        max_record_count: int = 50,
        public_url: str = "",
        portal_context: str = "/portal",
    ) -> None:
        """`host`: "localhost" (IPv4 and, where there is one, IPv6), or a loopback address; the URLs are made with it.

        `users`: who may sign in, at the portal and at the stand-alone server; `None` for `default_users()`. `port`: of the
        portal; the federated server takes the next, the stand-alone one the one after; 0 takes any free ports. `names`:
        further host names for the certificate. `max_record_count`: features that one answer of a layer holds at most.
        `public_url`: where a web tier, such as a reverse proxy, makes the sites known, each below its context
        (``https://gis.example/basic`` for ``https://gis.example/basic/portal``); their `address` is where it sends requests to.
        `portal_context`: the path that the portal lives below; empty, as at ArcGIS Online, for the whole host.
        """
        super().__init__(clock)
        self.host = host
        self._https = https
        self._port = port
        self._public_url = public_url.rstrip("/")
        self._names = [*LOOPBACK_NAMES, host, *names]
        self._folder: str | None = None
        self._loop: HttpLoop | None = None
        self._authority = PrivateAuthority() if https else None
        #: The people, by user name; add and remove them at any time.
        self.users: dict[str, User] = {user.username: user for user in (default_users() if users is None else users)}
        #: Faults to play on chosen requests.
        self.faults = Faults()
        #: What came in; `requests`, `count()` and `clear()` are shortcuts to it.
        self.recorder = Recorder()
        # The portal and its federated servers share one key, hence one store.
        self.tokens = TokenStore(self.now)
        self.standalone_tokens = TokenStore(self.now)
        self.accounts = Accounts(self.users, self.now)
        self.standalone_accounts = Accounts(self.users, self.now)
        #: The sites themselves: `routes`, `gate`, `info_overrides`, `self_overrides`.
        self.portal_site = PortalSite(self, self.recorder, self.faults, self.accounts, self.tokens, portal_context)
        #: OAuth 2: its settings (see `OAuthSettings`), and what it has given out.
        self.oauth = OAuth(self.portal_site)
        self.server_site = self._server("server", "/server", self.accounts, self.tokens, max_record_count)
        self.standalone_site = self._server(
            "standalone", "/arcgis", self.standalone_accounts, self.standalone_tokens, max_record_count
        )

    def _server(self, name: str, context: str, accounts: Accounts, tokens: TokenStore, max_record_count: int) -> ServerSite:
        services = {
            "Places": Service(PlacesLayer(all_places(), max_record_count), is_secured=True),
            "PublicPlaces": Service(PlacesLayer(all_places(), max_record_count), is_secured=False),
        }
        return ServerSite(name, context, self, self.recorder, self.faults, accounts, tokens, services)

    # -- life ----------------------------------------------------------------------------------------------------------

    def start(self) -> EmbeddedPortal:
        """Open the sites. Raises `OSError` when a port is taken."""
        if self._loop is not None:
            raise RuntimeError("This portal was started before; make a new one.")
        self._folder = tempfile.mkdtemp(prefix="embedded-portal-")
        try:
            loop = self._loop = HttpLoop(self._tls(self._folder), self.now)
            addresses = ["127.0.0.1", "::1"] if self.host == "localhost" else [self.host]
            for number, site in enumerate(self.sites):
                port = self._port + number if self._port else 0
                port = loop.listen(addresses, port, site.name, site.handle)
                host = f"[{self.host}]" if ":" in self.host else self.host
                site.address = f"{'https' if self._https else 'http'}://{host}:{port}"
                site.public_url = self._public_url and self._public_url + site.context
            loop.start()
        except BaseException:
            self.stop()
            raise
        self.server_site.owner = self.portal_url
        self.portal_site.server_roots.append(self.server_url)
        return self

    def stop(self) -> None:
        """Close everything: no thread, socket or file is left. A second call does nothing."""
        if self._loop is not None:
            self._loop.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> EmbeddedPortal:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()

    def _tls(self, folder: str) -> ssl.SSLContext | None:
        if self._authority is None:
            return None
        with open(os.path.join(folder, "ca.pem"), "wb") as file:
            file.write(self._authority.pem)
        return server_context(self._authority, self._names, folder)

    # -- where things are ----------------------------------------------------------------------------------------------

    @property
    def sites(self) -> tuple[Site, Site, Site]:
        """Portal, federated server, stand-alone server."""
        return (self.portal_site, self.server_site, self.standalone_site)

    @property
    def ca_file(self) -> str:
        """Path of the certificate to trust (PEM), while the portal runs; "" over http."""
        return os.path.join(self._folder, "ca.pem") if self._https and self._folder else ""

    @property
    def portal_url(self) -> str:
        """The portal, `https://localhost:<port>/portal`."""
        return self.portal_site.url

    @property
    def token_url(self) -> str:
        """The portal's generateToken."""
        return self.portal_url + "/sharing/rest/generateToken"

    @property
    def server_url(self) -> str:
        """Root of the server that is federated with the portal."""
        return self.server_site.url

    @property
    def standalone_url(self) -> str:
        """Root of the stand-alone server."""
        return self.standalone_site.url

    @property
    def layer_url(self) -> str:
        """The secured layer of the federated server."""
        return self.server_url + "/rest/services/Places/FeatureServer/0"

    @property
    def public_layer_url(self) -> str:
        """The layer of the federated server that everybody may read."""
        return self.server_url + "/rest/services/PublicPlaces/FeatureServer/0"

    @property
    def standalone_layer_url(self) -> str:
        """The secured layer of the stand-alone server."""
        return self.standalone_url + "/rest/services/Places/FeatureServer/0"

    @property
    def upload_url(self) -> str:
        """Where the federated server takes multipart uploads (POST, with a token)."""
        return self.server_url + "/rest/services/Places/FeatureServer/uploads/upload"

    @property
    def image_url(self) -> str:
        """Where the federated server gives `size` bytes (GET, with a token); the public twin is `public_image_url`."""
        return self.server_url + "/rest/services/Places/ImageServer/exportImage"

    @property
    def public_image_url(self) -> str:
        """As `image_url`, without a token."""
        return self.server_url + "/rest/services/PublicPlaces/ImageServer/exportImage"

    # -- what came in --------------------------------------------------------------------------------------------------

    @property
    def requests(self) -> list[RecordedRequest]:
        """What came in so far, oldest first (a copy)."""
        return self.recorder.snapshot()

    def count(
        self, path_suffix: str = "", site: str | None = None, method: str | None = None, status: int | None = None
    ) -> int:
        """How many requests came whose path ends so, at that site ("portal", "server", "standalone"), and so on."""
        return len(self.recorder.find(path_suffix, site, method, status))

    def clear(self) -> None:
        """Forget what came in."""
        self.recorder.clear()

    @property
    def internal_errors(self) -> list[str]:
        """Tracebacks of handlers that failed; empty unless the portal itself, or a route of yours, is broken."""
        return [text for site in self.sites for text in site.internal_errors]

    def drop_connections(self) -> None:
        """Close all open connections, as a server does that gives up idle ones."""
        if self._loop is not None:
            self._loop.drop_connections()

    def open_connections(self) -> int:
        """How many client connections are open."""
        return 0 if self._loop is None else self._loop.open_connections()

    # -- tokens --------------------------------------------------------------------------------------------------------

    def password(self, username: str) -> str:
        """The password of a user."""
        return self.users[username].password

    def issue_token(
        self, username: str, minutes: float = 60.0, referer: str | None = None, server_url: str | None = None
    ) -> str:
        """A token as if the user had signed in. For the portal, or for `server_url` (one of this portal's two servers).

        Raises `KeyError` for an unknown user and `ValueError` for an unknown server.
        """
        user = self.users[username]
        store, audience = self.tokens, PORTAL
        if server_url is not None:
            store = {self.server_url: self.tokens, self.standalone_url: self.standalone_tokens}.get(server_url, store)
            audience = server_url
            if server_url not in (self.server_url, self.standalone_url):
                raise ValueError(f"{server_url} is no server of this portal.")
        return store.issue(Grant(user.username, audience, self.now() + 60.0 * minutes, referer))

    def issue_api_key(self, username: str = "", referers: Iterable[str] = (), minutes: float | None = None) -> str:
        """An API key (`AAPK…`) for the portal and the federated server; it acts as `username`, or as nobody in particular.

        With `referers` it is good only where the `Referer` is one of these URLs, or below one.
        """
        key = "AAPK" + secrets.token_hex(16) + secrets.token_urlsafe(36)
        expires = None if minutes is None else self.now() + 60.0 * minutes
        self.tokens.put(key, Grant(username, PORTAL, expires, referers=tuple(referers), kind="key"))
        return key

    def register_app(
        self, client_id: str, secret: str | None = None, redirect_uris: Iterable[str] = (OUT_OF_BAND,), title: str = ""
    ) -> App:
        """Make an app known to OAuth; see `App`. Built in are `arcgisonline` and `pythonapi`."""
        return self.oauth.register_app(client_id, secret, redirect_uris, title)

    def revoke(self, token: str) -> bool:
        """Let one token, refresh token or key die; whether there was one."""
        return self.tokens.revoke(token) or self.standalone_tokens.revoke(token) or self.oauth.revoke(token)

    def revoke_all_tokens(self) -> int:
        """Change the shared key: every token of the portal and its federated server dies at once. API keys live on.

        Returns how many died. The tokens of the stand-alone server are its own: `standalone_tokens.revoke_all()`.
        """
        died = self.tokens.revoke_all()
        self.oauth.key_changed()
        return died
