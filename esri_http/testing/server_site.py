"""An ArcGIS Server: federated with the portal, or stand-alone with a token service of its own."""

from __future__ import annotations

import uuid
from typing import Any, NamedTuple

from .accounts import Accounts
from .faults import Faults
from .layer import LayerError, PlacesLayer
from .messages import (
    HTML_TYPE,
    TEXT_TYPE,
    Answer,
    Request,
    admin_envelope,
    error_envelope,
    json_answer,
    overlaid,
    page,
    pattern,
)
from .recording import Recorder
from .settings import PortalSettings
from .site import Refusal, Site, check_administrator, grant_of_web_tier, valid_grant
from .token_service import binding_of, has_credentials_in_query, token_body
from .tokens import PORTAL, Grant, TokenStore, token_of

_VERSION = {"currentVersion": 11.3, "fullVersion": "11.3.0"}
_SHORT_LIVED_MINUTES = 60
_LARGEST_IMAGE = 1 << 34


class Service(NamedTuple):
    """A service: its layer, and whether it wants a token."""

    layer: PlacesLayer
    is_secured: bool


class ServerSite(Site):
    """A server at `context`. `owner` is the URL of the portal that it is federated with; `None` makes it stand-alone."""

    def __init__(
        self,
        name: str,
        context: str,
        settings: PortalSettings,
        recorder: Recorder,
        faults: Faults,
        accounts: Accounts,
        tokens: TokenStore,
        services: dict[str, Service],
    ) -> None:
        super().__init__(name, context, settings, recorder, faults)
        self.accounts = accounts
        self.tokens = tokens
        self.services = services
        self.owner: str | None = None
        #: Laid over the answer of `rest/info`; a value of `None` removes the key.
        self.info_overrides: dict[str, Any] = {}
        self.routes.update(
            {
                "/rest": self.folder,
                "/rest/info": self.info,
                "/rest/services": self.folder,
                "/rest/services/*": self.resource,
                "/admin": self.admin,
                "/admin/*": self.admin,
                "/admin/generateToken": self.generate_admin_token,
            }
        )
        for path in ("/tokens", "/tokens/generateToken"):
            self.routes[path] = self.generate_token

    @property
    def is_open(self) -> bool:
        """Whether the server has no security at all."""
        return self.owner is None and self.settings.standalone_is_open

    @property
    def audiences(self) -> tuple[str, ...]:
        """What a token must be meant for, to be good here."""
        accepts_all = self.owner is not None and self.settings.server_accepts_portal_tokens
        return (self.url, PORTAL) if accepts_all else (self.url,)

    def json(self, request: Request, data: Any, content_type: str = TEXT_TYPE) -> Answer:
        """JSON in the manner of ArcGIS Server, which calls it plain text."""
        return json_answer(request, data, content_type)

    # -- tokens --------------------------------------------------------------------------------------------------------

    def grant(self, request: Request) -> Grant | None:
        """Who asks; `None` for nobody. Raises `Refusal` (498) for a token that is not good here."""
        token = token_of(request)
        if token is None:
            return grant_of_web_tier(self, request, self.url)
        grant = valid_grant(self.tokens, token, request, self.audiences)
        if grant is None:
            raise Refusal(self.json(request, error_envelope(498, "Invalid Token")))
        return grant

    def generate_token(self, request: Request) -> Answer:
        """`/tokens` and `/tokens/generateToken`. Its errors have a text where those of the portal have a list."""
        if self.owner is not None:
            # A federated server has handed its token service over to the portal.
            return page("HTTP Status 404", "Tokens come from the portal.", 404)
        if request.method != "POST":
            envelope = error_envelope(405, f"'{request.method}' method not supported.")
            return json_answer(request, envelope, TEXT_TYPE, status=405)
        if has_credentials_in_query(request):
            text = "POST request should not contain username and password in the query string."
            return self.json(request, error_envelope(400, text))
        if self.settings.require_https and not self.is_secure:
            return self.json(request, error_envelope(403, "SSL Required"))
        form = request.form
        user = self.accounts.check(form.get("username", ""), form.get("password", ""))
        if user is None:
            text = "You are not authorized to access this information"
            return self.json(request, error_envelope(401, text, "Invalid credentials"))
        expires = self.settings.expiry_of(form.get("expiration", ""))
        binding = binding_of(request)
        if binding.missing and (binding.given or expires > self.settings.now() + 60 * _SHORT_LIVED_MINUTES):
            text = "Client id cannot be determined" if binding.given else "Client ID is required for long expiration tokens."
            return self.json(request, error_envelope(201, "Exception in generating token", text))
        grant = Grant(user.username, self.url, expires, binding.referer, client_ip=binding.client_ip)
        return self.json(request, token_body(self.tokens.issue(grant), expires))

    def generate_admin_token(self, request: Request) -> Answer:
        """`/admin/generateToken`, for administrators. Its `expires` is a text, and its errors are of the admin kind."""
        if request.method != "POST" or has_credentials_in_query(request):
            return self.json(request, admin_envelope(405, "Method not supported. Use POST and put the parameters in the body."))
        form = request.form
        user = self.accounts.check(form.get("username", ""), form.get("password", ""))
        if user is None or user.role != "org_admin":
            return self.json(request, admin_envelope(401, "Invalid username or password."))
        binding = binding_of(request)
        if binding.missing:
            return self.json(request, admin_envelope(400, f"'{binding.missing}' must be specified."))
        expires = self.settings.expiry_of(form.get("expiration", ""))
        body = token_body(
            self.tokens.issue(Grant(user.username, self.url, expires, binding.referer, client_ip=binding.client_ip)), expires
        )
        body["expires"] = str(body["expires"])
        return self.json(request, body)

    def admin(self, request: Request) -> Answer:
        """`/admin` and what is below it."""
        check_administrator(self, request, self.tokens, self.audiences, self.accounts)
        return self.json(request, {**_VERSION, "resources": ["machines", "services", "security", "system"]})

    # -- services ------------------------------------------------------------------------------------------------------

    def info(self, request: Request) -> Answer:
        """`rest/info`, of one of the three kinds; readable by everybody."""
        data: dict[str, Any] = {**_VERSION, "soapUrl": f"{self.url}/services", "secureSoapUrl": None}
        if self.is_open:
            data["authInfo"] = {"isTokenBasedSecurity": False}
        elif self.owner is not None:
            data["owningSystemUrl"] = self.owner
            url = f"{self.owner}/sharing/rest/generateToken"
            data["authInfo"] = {"isTokenBasedSecurity": True, "tokenServicesUrl": url}
        else:
            data["authInfo"] = {
                "isTokenBasedSecurity": True,
                "tokenServicesUrl": f"{self.url}/tokens/",
                "shortLivedTokenValidity": _SHORT_LIVED_MINUTES,
            }
        return self.json(request, overlaid(data, self.info_overrides))

    def folder(self, request: Request) -> Answer:
        """`rest/services`: the services that the user may see."""
        everything = self.is_open or self.grant(request) is not None
        names = [name for name, service in self.services.items() if everything or not service.is_secured]
        services = [{"name": name, "type": kind} for name in names for kind in ("FeatureServer", "ImageServer")]
        return self.json(request, {**_VERSION, "folders": [], "services": services})

    def resource(self, request: Request) -> Answer:
        """Anything below `rest/services`."""
        path = (self.relative(request) or "")[len("/rest/services/") :]
        name, _, rest = path.partition("/")
        service = self.services.get(name)
        if service is None:
            return self.json(request, error_envelope(404, "Service not found"))
        if service.is_secured and not self.is_open and self.grant(request) is None:
            return self.json(request, error_envelope(499, "Token Required"))
        if not service.is_secured:
            # A bad token is refused even where none is needed.
            self.grant(request)
        try:
            return self._answer_resource(request, name, service.layer, rest)
        except LayerError as error:
            return self.json(request, error_envelope(400, "Unable to complete operation.", error.details))

    def _answer_resource(self, request: Request, name: str, layer: PlacesLayer, rest: str) -> Answer:
        parameters = request.parameters()
        if rest == "FeatureServer/0/query":
            return self.json(request, layer.query(parameters))
        if rest == "FeatureServer/0":
            return self.json(request, layer.description())
        if rest == "FeatureServer":
            layers = [{"id": 0, "name": "Places", "geometryType": "esriGeometryPoint"}]
            return self.json(request, {**_VERSION, "serviceDescription": name, "layers": layers, "tables": []})
        if rest == "ImageServer":
            return self.json(request, {**_VERSION, "name": name, "pixelType": "U8", "bandCount": 1})
        if rest == "ImageServer/exportImage":
            return self._image(request, parameters)
        if rest.startswith("FeatureServer/"):
            return self._edit(request, layer, rest[len("FeatureServer/") :], parameters)
        return self.json(request, error_envelope(404, "The requested URL was not found."))

    def _edit(self, request: Request, layer: PlacesLayer, operation: str, parameters: dict[str, str]) -> Answer:
        """The operations that change something: POST only."""
        if request.method != "POST":
            return self.json(request, error_envelope(405, "Method not supported."))
        if operation == "uploads/upload":
            return self._upload(request)
        if operation == "0/addFeatures":
            return self.json(request, {"addResults": layer.add_features(parameters.get("features", ""))})
        if operation == "0/updateFeatures":
            return self.json(request, {"updateResults": layer.update_features(parameters.get("features", ""))})
        if operation == "0/deleteFeatures":
            return self.json(request, {"deleteResults": layer.delete_features(parameters)})
        if operation == "0/applyEdits":
            deletes = parameters.get("deletes", "")
            results = {
                "addResults": layer.add_features(parameters.get("adds", "")),
                "updateResults": layer.update_features(parameters.get("updates", "")),
                "deleteResults": layer.delete_features({"objectIds": deletes}) if deletes.strip("[] ") else [],
            }
            return self.json(request, results)
        return self.json(request, error_envelope(404, "The requested URL was not found."))

    def _upload(self, request: Request) -> Answer:
        """`uploads/upload`: tells what came, so that a test can compare it. The real one calls this JSON a page, too."""
        if not request.files:
            return self.json(request, error_envelope(400, "Unable to complete operation.", ["'file' must be specified."]))
        file = request.files[0]
        item = {
            "itemID": "i" + str(uuid.uuid4()),
            "itemName": file.name,
            "description": request.form.get("description", ""),
            "date": int(self.settings.now() * 1000),
            "committed": True,
            "field": file.field,
            "contentType": file.content_type,
            "size": file.size,
            "sha256": file.sha256,
        }
        return self.json(request, {"success": True, "item": item}, HTML_TYPE)

    def _image(self, request: Request, parameters: dict[str, str]) -> Answer:
        """`exportImage`: `size` bytes of `pattern()`; with `f=json` only where they are. `chunked=true` hides the length."""
        text = parameters.get("size", "") or str(self.settings.image_size)
        if not (text.isascii() and text.isdigit()) or int(text) > _LARGEST_IMAGE:
            raise LayerError("'size' is no number of bytes.")
        size = int(text)
        if parameters.get("f", "image") != "image":
            href = f"{self.url}{self.relative(request)}?size={size}&f=image"
            return self.json(request, {"href": href, "width": 256, "height": max(1, size // 256)})
        length = None if parameters.get("chunked", "") == "true" else size
        return Answer(200, pattern(size), "image/tiff", length)
