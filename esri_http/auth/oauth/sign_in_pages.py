"""What the pages of a portal's sign-in say (undocumented by Esri; read tolerantly, and never trusted)."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from ...words.errors import EsriHttpError
from ...words.redaction import plain, redact_url
from ...words.urls import resolve_url

if TYPE_CHECKING:
    from ...messages.response import Response
    from ...words.origins import SplitUrl

# A page is read this far; the real ones are a tenth of it.
_LONGEST_PAGE = 512 * 1024
_LONGEST_CODE = 4096
_SUCCESS = re.compile(r"SUCCESS\s+code=([^\s<&\"']{1,4096})")
_LONGEST_TITLE = 5000
_TITLE = re.compile(rf"<title>([^<]{{0,{_LONGEST_TITLE}}})", re.IGNORECASE)
_ERROR_TEXT = re.compile(r"(Invalid (?:client_id|redirect_uri|response_type)|redirect_uri not specified)", re.IGNORECASE)
_FORM_ACTION = re.compile(r"""action\s*=\s*["']([^"'\s]{1,2000})["']""", re.IGNORECASE)

# The steps that may stand between the right password and the app, by what their address or page has in it.
STEP_MARKS = (
    ("mfa", ("oauth2/mfa", "recovery_code", "mfaenabled\":true")),
    ("password", ("updateuserprofile", "resetpassword")),
    ("terms", ("acceptterms",)),
    ("consent", ("oauth2/consent",)),
)  # fmt: skip


class Page:
    """One answer of the sign-in: where it is, where it leads, and what it says."""

    def __init__(self, response: Response) -> None:
        self.response = response
        self.status = response.status_code
        self.origin = response.request.origin
        self.target = response.request.target
        self.text = "" if response.is_redirect else response.peek(_LONGEST_PAGE).decode("utf-8", "replace")
        response.discard()
        self.info: dict[str, Any] = _info_in(self.text)
        """The object that the page assigns to `oAuthInfo`; empty where it has none."""

    @property
    def location(self) -> str:
        """Where a redirect leads, as it was written; empty for a page."""
        return (self.response.headers.get("location") or "") if self.response.is_redirect else ""

    @property
    def next(self) -> SplitUrl | None:
        """Where a redirect leads, as a URL; `None` for a page and for what cannot be followed."""
        try:
            return resolve_url(self.origin, self.target, self.location) if self.location else None
        except EsriHttpError:
            return None

    @property
    def shown(self) -> str:
        """The address of the page as it may be shown."""
        return redact_url(self.response.url)

    @property
    def title(self) -> str:
        """The title of the page, printable."""
        found = _TITLE.search(self.text)
        return "" if found is None else plain(unescape(found.group(1)), _LONGEST_TITLE).strip()

    @property
    def oauth_state(self) -> str:
        """What ties the forms of one sign-in together; empty where the page has none."""
        state = self.info.get("oauth_state")
        if not isinstance(state, str):
            found = re.search(r"""name=["']oauth_state["']\s+value=["']([^"']{1,4096})["']""", self.text)
            state = unescape(found.group(1)) if found else self._parameters().get("oauth_state", "")
        return state

    @property
    def provider(self) -> dict[str, Any] | None:
        """What the page says of the organisation's own identity provider; `None` where it has none."""
        provider = self.info.get("federationInfo")
        return provider if isinstance(provider, dict) else None

    @property
    def takes_passwords(self) -> bool:
        """Whether it has a form for built-in accounts."""
        only_others = self.info.get("customOrgLoginEnabled") and self.provider is not None and self.sign_in_action is None
        return bool(self.oauth_state) and not only_others

    @property
    def sign_in_action(self) -> str | None:
        """Where the page's own form posts user name and password to; `None` where there is no such form."""
        actions = (unescape(action) for action in _FORM_ACTION.findall(self.text))
        return next((action for action in actions if "signin" in action.lower()), None)

    @property
    def says_wrong_password(self) -> bool:
        """Whether the page refuses user name or password."""
        return "OAUTH_0015" in self.text

    @property
    def error_text(self) -> str:
        """What an error page says about the app; empty for other pages."""
        found = _ERROR_TEXT.search(self.text)
        return found.group(1) if found else ""

    @property
    def step(self) -> str:
        """The step that a person or a setting has to take now: a name in `STEP_MARKS`, or empty."""
        if self.location:
            return _step_in(self.location)
        # The address of an answer to a form is that of the step before.
        opened = self.response.request.method == "GET"
        return _step_in(self.text) or (_step_in(self.target) if opened else "")

    def answer(self, redirect_uri: str) -> dict[str, str]:
        """The parameters by which the sign-in ended (`code` and `state`, or `error`); empty while it goes on."""
        found = _SUCCESS.search(self.title)
        if found:
            return {"code": found.group(1)}
        parameters = self._parameters()
        ends = ("code" in parameters or "error" in parameters) and self._leads_back(redirect_uri)
        return parameters if ends else {}

    def _leads_back(self, redirect_uri: str) -> bool:
        """Whether a redirect goes to the app, or to where the portal shows a code to those who carry it by hand."""
        if self.location.partition("?")[0].rstrip("/") == redirect_uri.partition("?")[0].rstrip("/"):
            return True
        following = self.next
        return following is not None and following.origin == self.origin and following.path.endswith("/oauth2/approval")

    def _parameters(self) -> dict[str, str]:
        query = self.location.partition("?")[2].partition("#")[0]
        try:
            return {name: values[0][:_LONGEST_CODE] for name, values in parse_qs(query, max_num_fields=50).items()}
        except ValueError:
            return {}


def _step_in(place: str) -> str:
    place = place.lower()
    return next((name for name, marks in STEP_MARKS if any(mark in place for mark in marks)), "")


def _info_in(text: str) -> dict[str, Any]:
    start = text.find("oAuthInfo")
    brace = -1 if start < 0 else text.find("{", start, start + 200)
    if brace < 0:
        return {}
    try:
        # Numbers do not matter here, and a long one takes long to read.
        info = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode(text, brace)[0]
    except (ValueError, RecursionError):
        return {}
    return info if isinstance(info, dict) else {}
