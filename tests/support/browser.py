"""A browser without a screen: opens pages, fills in their forms, follows redirects. Enough to sign in at a portal."""

from __future__ import annotations

import http.client
import json
import ssl
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

MOST_REDIRECTS = 10


class Form:
    """A form of a page: where it goes, what is in its fields, and what its buttons send."""

    def __init__(self, attributes: dict[str, str]) -> None:
        self.action = attributes.get("action", "")
        self.method = attributes.get("method", "get").upper()
        self.fields: dict[str, str] = {}
        self.buttons: list[dict[str, str]] = []

    def pressed(self, press: str) -> dict[str, str]:
        """What the button of that name sends; "" is the first one, which the Enter key presses, too."""
        chosen = self.buttons[0] if not press else next(button for button in self.buttons if button.get("name") == press)
        return {chosen["name"]: chosen.get("value", "")} if "name" in chosen else {}


class Page(HTMLParser):
    """What a request of the browser came to."""

    def __init__(self, browser: Browser, url: str, answer: http.client.HTTPResponse) -> None:
        super().__init__()
        self.browser = browser
        self.url = url
        self.status = answer.status
        self.headers = answer.headers
        self.location = answer.headers.get("Location", "")
        self.text = answer.read().decode()
        self.title = ""
        self.forms: list[Form] = []
        self.inputs: dict[str, str] = {}
        self._in_title = False
        self.feed(self.text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self._in_title = tag == "title"
        if tag == "form":
            self.forms.append(Form(attributes))
        elif tag == "input":
            self.inputs[attributes.get("id", "")] = attributes.get("value", "")
            if self.forms:
                self.forms[-1].fields[attributes["name"]] = attributes.get("value", "")
        elif tag == "button" and self.forms:
            self.forms[-1].buttons.append(attributes)

    def handle_endtag(self, tag: str) -> None:
        self._in_title = False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data

    @property
    def info(self) -> Any:
        """The value that the script of the page gives to `oAuthInfo`; `None` without one."""
        _, found, rest = self.text.partition("var oAuthInfo = ")
        return json.JSONDecoder().raw_decode(rest)[0] if found else None

    def submit(self, press: str = "", follow: bool = True, **values: str) -> Page:
        """Fill in the only form of the page and press a button. `follow` as `Browser.open` has it."""
        (form,) = self.forms
        assert set(values) <= set(form.fields), f"The form has no such field; it has {sorted(form.fields)}."
        data = {**form.fields, **values, **form.pressed(press)}
        return self.browser.open(urljoin(self.url, form.action), form.method, data, follow)


class Browser:
    """Sends requests with `http.client`, each on a connection of its own. It keeps no cookies."""

    def __init__(self, ca_file: str = "", home: str = "") -> None:
        """`home`: the origin at which redirects are followed; "" follows them anywhere."""
        self.home = home
        self._context = ssl.create_default_context(cafile=ca_file) if ca_file else None

    def open(self, url: str, method: str = "GET", data: dict[str, str] | None = None, follow: bool = True) -> Page:
        """The page at `url`, or the one that its redirects lead to. A redirect away from home is the answer itself."""
        page = self._send(url, method, data)
        for _ in range(MOST_REDIRECTS):
            target = urljoin(page.url, page.location)
            if not follow or page.status != 302 or not target.startswith(self.home or "http"):
                return page
            page = self._send(target, "GET", None)
        raise AssertionError("The redirects do not end.")

    def _send(self, url: str, method: str, data: dict[str, str] | None) -> Page:
        parts = urlsplit(url)
        assert parts.hostname
        if parts.scheme == "https":
            connection: Any = http.client.HTTPSConnection(parts.hostname, parts.port, context=self._context, timeout=10)
        else:
            connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
        body = None if data is None else urlencode(data)
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
        try:
            connection.request(method, (parts.path or "/") + ("?" + parts.query if parts.query else ""), body, headers)
            return Page(self, url, connection.getresponse())
        finally:
            connection.close()
