"""Somebody who signs in with a real browser."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from esri_http import EsriPKCEAuth
from esri_http.testing import EmbeddedPortal

from .chromium import Chromium


class Person:
    """Amy, who has `chromium` in front of her. Tests say what she does where the page has opened."""

    def __init__(self, chromium: Chromium) -> None:
        self.chromium = chromium
        self.urls: list[str] = []
        self.does: Any = self.signs_in

    def open_browser(self, url: str) -> bool:
        """What a handler gets as `open_browser=`: the page opens, and she does what she does."""
        self.urls.append(url)
        self.chromium.open(url)
        self.does()
        return True

    def signs_in(self) -> None:
        """Fill in the form, and send it off."""
        self.chromium.fill("#username", "amy")
        self.chromium.fill("#password", "amys-secret")
        self.chromium.press("#submit")

    @property
    def redirect_uri(self) -> str:
        """Where the portal was asked to send the browser in the end."""
        return self.asked("redirect_uri")

    def asked(self, name: str) -> str:
        """A parameter of the page that was opened last."""
        return parse_qs(urlsplit(self.urls[-1]).query)[name][0]

    def sign_in(self, portal: EmbeddedPortal, **options: Any) -> EsriPKCEAuth:
        """A handler that has her sign in."""
        return EsriPKCEAuth(portal.portal_url, **{"open_browser": self.open_browser, "wait_seconds": 30, **options})
