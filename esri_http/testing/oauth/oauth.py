"""OAuth 2 of the embedded portal: apps, settings, and the routes that belong to it."""

from __future__ import annotations

from collections.abc import Iterable

from ..portal_site import PortalSite
from .grants import TokenEndpoint
from .settings import OUT_OF_BAND, App, OAuthSettings
from .sign_in import SignInPages
from .store import OAuthStore


class OAuth(OAuthSettings):
    """`portal.oauth`: turn its settings at any time; the rest looks at, and ends, what the portal has given out."""

    def __init__(self, site: PortalSite) -> None:
        super().__init__()
        self._site = site
        self._store = OAuthStore(site.tokens)
        handlers = {
            **SignInPages(site, self, self._store).handlers(),
            **TokenEndpoint(site, self, self._store).handlers(),
        }
        for base in ("/sharing", "/sharing/rest"):
            site.routes.update({f"{base}/oauth2/{name}": handler for name, handler in handlers.items()})

    @property
    def url(self) -> str:
        """Where it is: `…/sharing/rest/oauth2`, without a slash at the end."""
        return self._site.url + "/sharing/rest/oauth2"

    def register_app(
        self, client_id: str, secret: str | None = None, redirect_uris: Iterable[str] = (OUT_OF_BAND,), title: str = ""
    ) -> App:
        """Make an app known; see `App` for what the parameters mean. One of that id that is there is replaced."""
        app = self.apps[client_id] = App(client_id, secret, redirect_uris, title)
        return app

    def issue_refresh_token(self, username: str, client_id: str = "arcgisonline", minutes: float | None = None) -> str:
        """A refresh token as if the user had signed in with the app. Raises `KeyError` for an unknown user or app."""
        app = self.apps[client_id]
        user = self._site.accounts.get(username)
        if user is None:
            raise KeyError(username)
        life = self.refresh_minutes if minutes is None else minutes
        return self._store.start_session(app.client_id, user.username, life)[0]

    def revoke(self, refresh_token: str) -> bool:
        """Let a refresh token die, and the access tokens that came of it; whether there was one."""
        return self._store.revoke(refresh_token)

    def key_changed(self) -> None:
        """The shared key was changed: refresh tokens die, unless they are to survive that."""
        if not self.refresh_tokens_survive_new_key:
            self._store.revoke_all()
