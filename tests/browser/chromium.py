"""Headless Chromium, driven by its chromedriver over W3C WebDriver: enough to open pages, fill in forms and read them."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Union
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PATIENCE = 30.0
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the name that the standard gives to references
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server"),
)


def executables() -> Union[tuple[str, str], None]:
    """Chromium (or Chrome) and its driver; `None` where one of them is not installed."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


def public_key_hash(url: str) -> str:
    """Of the certificate of the server at `url`, in the form that Chromium takes for a server that it is to trust."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    certificate = x509.load_pem_x509_certificate(ssl.get_server_certificate((parts.hostname, parts.port)).encode())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


def flags(folder: Path, *more: str) -> list[str]:
    """What Chromium is started with; its profile is kept in `folder`."""
    return [*_FLAGS, f"--user-data-dir={folder}", *more]


def until(holds: Callable[[], object]) -> None:
    """Wait until that is so; fails the test when it takes too long."""
    ends_at = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < ends_at, "it never came to that"
        time.sleep(0.01)


class WebDriverError(Exception):
    """The browser could not do what it was told, or its driver is gone."""


class Driver:
    """A running chromedriver. A context manager; its browsers end with it."""

    def __init__(self, browser: str, driver: str) -> None:
        self.browser = browser
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._home = tempfile.TemporaryDirectory()  # browsers leave files at home
        streams["env"] = {**os.environ, "HOME": self._home.name}
        self._process = subprocess.Popen([driver, "--port=0"], **streams, text=True, start_new_session=True)
        assert self._process.stdout
        for line in self._process.stdout:
            started = re.search(r"started successfully on port (\d+)", line)
            if started:
                self._port = int(started[1])
                return
        self.close()
        raise WebDriverError("chromedriver did not start")

    def ask(self, method: str, path: str, **values: Any) -> Any:
        """What the driver answers to a command; raises `WebDriverError`."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        try:
            connection.request(method, path, json.dumps(values) if method == "POST" else None)
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(value, dict) and "error" in value:
            raise WebDriverError(f"{value['error']}: {value.get('message', '')}")
        return value

    def close(self) -> None:
        """End it with all that it started."""
        if sys.platform == "win32":
            self._process.terminate()
        else:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        self._home.cleanup()

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Chromium:
    """One browser with one window."""

    def __init__(self, driver: Driver, **options: Any) -> None:
        """`options`: those of chromedriver; ``args`` to start a browser, or ``debuggerAddress`` of one that runs."""
        self._driver = driver
        if "args" in options:
            options["binary"] = driver.browser
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "timeouts": {"pageLoad": 20_000, "implicit": 5_000}}
        self._session = driver.ask("POST", "/session", capabilities={"alwaysMatch": wanted})["sessionId"]

    def open(self, url: str) -> None:
        """Go there, and wait for the page."""
        self._post("url", url=url)

    @property
    def title(self) -> str:
        """Of the page as it stands."""
        return str(self._get("title"))

    @property
    def url(self) -> str:
        """The address of the page as it stands."""
        return str(self._get("url"))

    def text(self, selector: str) -> str:
        """What is shown in the element that a CSS selector finds."""
        return str(self._get(f"element/{self._find(selector)}/text"))

    def value(self, selector: str) -> str:
        """What is in the input that a CSS selector finds."""
        return str(self._get(f"element/{self._find(selector)}/property/value"))

    def fill(self, selector: str, text: str) -> None:
        """Type into the input that a CSS selector finds."""
        self._post(f"element/{self._find(selector)}/value", text=text)

    def press(self, selector: str) -> None:
        """Press a button, and wait until this page has gone for the one that comes of it."""
        button = self._find(selector)
        self._post(f"element/{button}/click")
        until(lambda: self._is_gone(button))

    def close_window(self) -> None:
        """As a person does who does not want to go on; Chromium itself ends with its only window."""
        self._driver.ask("DELETE", f"/session/{self._session}/window")

    def quit(self) -> None:
        """End it; nothing happens if it has ended already."""
        try:
            self._driver.ask("DELETE", f"/session/{self._session}")
        except WebDriverError:
            pass

    def end_process(self) -> None:
        """Have the browser itself end, also one that the driver did not start."""
        try:
            self._post("goog/cdp/execute", cmd="Browser.close", params={})
        except WebDriverError:
            pass

    def _is_gone(self, element: str) -> bool:
        try:
            self._get(f"element/{element}/name")
        except WebDriverError as error:
            if str(error).startswith(("stale element", "no such element")):
                return True
            raise
        return False

    def _find(self, selector: str) -> str:
        return str(self._post("element", using="css selector", value=selector)[_ELEMENT])

    def _get(self, what: str) -> Any:
        return self._driver.ask("GET", f"/session/{self._session}/{what}")

    def _post(self, what: str, **values: Any) -> Any:
        return self._driver.ask("POST", f"/session/{self._session}/{what}", **values)
