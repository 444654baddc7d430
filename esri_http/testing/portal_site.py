"""The portal: sharing API, its generateToken with exchange, and a piece of portaladmin."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from .accounts import Accounts, User
from .faults import Faults
from .messages import TEXT_TYPE, Answer, Request, error_envelope, json_answer, overlaid, page
from .recording import Recorder
from .settings import PortalSettings
from .site import Refusal, Site, check_administrator, grant_of_web_tier, valid_grant
from .token_service import CREDENTIALS, binding_of, has_credentials_in_query, token_body
from .tokens import PORTAL, Grant, TokenStore, token_of

ORG_ID = "0123456789ABCDEF"
_UNABLE = "Unable to generate token."


class PortalSite(Site):
    """`/portal`. Its routes exist below `/sharing/rest` and below `/sharing`, as in the real one."""

    def __init__(
        self,
        settings: PortalSettings,
        recorder: Recorder,
        faults: Faults,
        accounts: Accounts,
        tokens: TokenStore,
        context: str = "/portal",
    ) -> None:
        super().__init__("portal", context, settings, recorder, faults)
        self.accounts = accounts
        self.tokens = tokens
        #: Roots of the servers that are federated with the portal.
        self.server_roots: list[str] = []
        #: Laid over the answer of `portals/self`; a value of `None` removes the key.
        self.self_overrides: dict[str, Any] = {}
        sharing = {
            "": self.version,
            "/info": self.info,
            "/generateToken": self.generate_token,
            "/portals/self": self.portals_self,
            "/portals/self/servers": self.servers,
            "/community/self": self.community_self,
            "/community/users/*": self.community_user,
        }
        for base in ("/sharing", "/sharing/rest"):
            self.routes.update({base + path: handler for path, handler in sharing.items()})
        self.routes["/home"] = lambda request: page("Home", "This is the embedded portal.")
        self.routes["/portaladmin"] = self.routes["/portaladmin/*"] = self.admin

    # -- who asks ------------------------------------------------------------------------------------------------------

    def grant(self, request: Request) -> Grant | None:
        """Who asks; `None` for nobody. Raises `Refusal` (498) for a token that is not good here."""
        token = token_of(request)
        if token is None:
            return grant_of_web_tier(self, request, PORTAL)
        grant = valid_grant(self.tokens, token, request, (PORTAL,))
        if grant is None:
            raise Refusal(json_answer(request, error_envelope(498, "Invalid token.")))
        return grant

    def required_grant(self, request: Request) -> Grant:
        """Who asks. Raises `Refusal`: 499 without a token, 498 with a bad one."""
        grant = self.grant(request)
        if grant is None:
            raise Refusal(json_answer(request, error_envelope(499, "Token Required", ["Token Required"], "GWM_0003")))
        return grant

    def user_of(self, grant: Grant | None) -> User | None:
        """The person behind a grant (an API key may have none)."""
        return None if grant is None else self.accounts.get(grant.username)

    # -- tokens --------------------------------------------------------------------------------------------------------

    def generate_token(self, request: Request) -> Answer:
        """`generateToken`: by user name and password, by exchange, or for whom the web tier let in."""
        if request.method != "POST":
            return json_answer(request, error_envelope(405, "Method not supported.", [], "GWM_0005"))
        if has_credentials_in_query(request):
            text = "POST request should not contain username and password in the query string."
            return json_answer(request, error_envelope(400, text))
        if self.settings.require_https and not self.is_secure:
            return json_answer(request, error_envelope(403, "SSL Required"))
        server_url = request.form.get("serverUrl") or request.form.get("serverURL")
        if server_url and token_of(request) is not None:
            return self._exchange(request, server_url)
        username = self._username(request)
        binding = binding_of(request)
        if binding.missing:
            raise self._unable(request, f"'{binding.missing}' must be specified.")
        grant = Grant(username, PORTAL, self._expiry(request), binding.referer, client_ip=binding.client_ip)
        return self._token_answer(request, grant)

    def _username(self, request: Request) -> str:
        form = request.form
        signed_in = self.web_tier(request)
        if signed_in is not None and not form.get("username"):
            return signed_in
        missing = [f"'{name}' must be specified." for name in CREDENTIALS if not form.get(name)]
        if missing:
            raise self._unable(request, *missing)
        if not self.settings.generate_token_takes_passwords:
            raise self._unable(request, "Signing in by generateToken is disabled for this organization. Use OAuth 2.0.")
        user = self.accounts.check(form["username"], form["password"])
        if user is None:
            raise self._unable(request, "Invalid username or password.")
        if user.totp_seed is not None:
            raise self._unable(request, "Multifactor authentication is enabled for this account. Use OAuth 2.0.")
        return user.username

    def _exchange(self, request: Request, server_url: str) -> Answer:
        """A portal token is exchanged for one of a federated server, which is named by its root or by a URL below it."""
        grant = self.required_grant(request)
        root = next((root for root in self.server_roots if _is_below(server_url, root)), None)
        if root is None:
            # The real message has no full stop here.
            raise self._unable(request, "Unable to generate token for this server", message=_UNABLE.rstrip("."))
        binding = binding_of(request)
        referer, client_ip = (grant.referer, grant.client_ip) if binding.missing else (binding.referer, binding.client_ip)
        return self._token_answer(request, Grant(grant.username, root, self._expiry(request), referer, client_ip=client_ip))

    def _expiry(self, request: Request) -> float:
        return self.settings.expiry_of(request.form.get("expiration", ""))

    def _token_answer(self, request: Request, grant: Grant) -> Answer:
        assert grant.expires is not None
        body = token_body(self.tokens.issue(grant), grant.expires)
        body["ssl"] = self.is_secure
        return json_answer(request, body, TEXT_TYPE).add("Vary", "X-Esri-Authorization").add("Cache-Control", "no-cache")

    def _unable(self, request: Request, *details: str, message: str = _UNABLE) -> Refusal:
        return Refusal(json_answer(request, error_envelope(400, message, list(details))))

    # -- resources -----------------------------------------------------------------------------------------------------

    def version(self, request: Request) -> Answer:
        """The root of the sharing API."""
        return json_answer(request, {"currentVersion": "2024.1", "enterpriseVersion": "11.3.0", "enterpriseBuild": "51526"})

    def info(self, request: Request) -> Answer:
        """`sharing/rest/info`: where tokens come from."""
        auth = {"tokenServicesUrl": f"{self.url}/sharing/rest/generateToken", "isTokenBasedSecurity": True}
        return json_answer(request, {"owningSystemUrl": self.url, "authInfo": auth})

    def portals_self(self, request: Request) -> Answer:
        """`portals/self`: the organisation, and the user if one is signed in; little of it on a private one otherwise."""
        grant = self.grant(request)
        data: dict[str, Any] = {
            "access": self.settings.access,
            "allSSL": self.is_secure,
            "currentVersion": "2024.1",
            "isPortal": True,
            "name": "Embedded Portal",
            "portalHostname": urlsplit(self.url).netloc + self.context,
            "portalMode": "singletenant",
            "portalName": "ArcGIS Enterprise",
            "supportsOAuth": True,
        }
        if grant is not None or self.settings.access == "public":
            data.update(
                id=ORG_ID,
                allowedOrigins=[],
                authorizedCrossOriginDomains=[],
                customBaseUrl="",
                urlKey=None,
                httpPort=80,
                httpsPort=urlsplit(self.url).port,
                maxTokenExpirationMinutes=int(self.settings.max_token_lifetime_minutes),
                helperServices={},
            )
        user = self.user_of(grant)
        if user is not None:
            data["user"] = user.description()
        if grant is not None and grant.client_id:
            data["appInfo"] = {"appId": grant.client_id, "appOwner": "esri_apps", "orgId": ORG_ID}
        return json_answer(request, overlaid(data, self.self_overrides))

    def servers(self, request: Request) -> Answer:
        """`portals/self/servers`: what is federated."""
        self.required_grant(request)
        servers = [
            {
                "id": f"server{number}",
                "name": urlsplit(root).netloc,
                "url": root,
                "adminUrl": root,
                "isHosted": number == 1,
                "serverRole": "HOSTING_SERVER" if number == 1 else "FEDERATED_SERVER",
                "serverFunction": "",
                "serverType": "ArcGIS",
            }
            for number, root in enumerate(self.server_roots, 1)
        ]
        return json_answer(request, {"servers": servers})

    def community_self(self, request: Request) -> Answer:
        """`community/self`: who the token belongs to."""
        user = self.user_of(self.required_grant(request))
        if user is None:
            return json_answer(request, error_envelope(400, "Unable to get user from the token."))
        return json_answer(request, user.description())

    def community_user(self, request: Request) -> Answer:
        """`community/users/<name>`."""
        self.required_grant(request)
        user = self.accounts.get((self.relative(request) or "").rpartition("/")[2])
        if user is None:
            return json_answer(request, error_envelope(400, "User does not exist or is inaccessible.", [], "COM_0018"))
        return json_answer(request, user.description())

    def admin(self, request: Request) -> Answer:
        """`/portaladmin`, which has the other envelope, and is for administrators."""
        check_administrator(self, request, self.tokens, (PORTAL,), self.accounts)
        return json_answer(request, {"version": "11.3.0", "resources": ["federation", "security", "system"]})


def _is_below(url: str, root: str) -> bool:
    """Whether `url` is the server `root` or a resource of it. Hosts are compared without case, paths with it."""
    try:
        theirs, ours = urlsplit(url), urlsplit(root)
        same = (theirs.scheme.lower(), theirs.hostname, theirs.port) == (ours.scheme, ours.hostname, ours.port)
    except ValueError:
        return False
    path = theirs.path.rstrip("/")
    return same and (path == ours.path or path.startswith(ours.path + "/"))
