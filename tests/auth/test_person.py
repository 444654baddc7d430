"""A person signs in: the browser at the portal's page, and the code back to us, by itself or pasted unseen."""

from __future__ import annotations

import io
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Union
from urllib.parse import parse_qs, urlsplit

import pytest

from esri_http import EsriOAuth2Auth, EsriPKCEAuth, EsriSession
from esri_http.auth.oauth.oauth_app import OOB
from esri_http.auth.oauth.pkce import Proof
from esri_http.testing import EmbeddedPortal
from esri_http.words.errors import (
    ArcGISLoginError,
    ConfigurationError,
    DeadlineExceededError,
    InteractionRequiredError,
)
from tests.auth.helpers import assert_hidden, errors_in, in_threads
from tests.support.browser import Browser, Page
from tests.support.clock import FakeClock

ROOT = Path(__file__).parents[2]
CODE_PROMPT = "Enter code obtained on signing in using SAML: "
PASTE_LINES = [
    "Please sign in to your GIS and paste the code that is obtained below.",
    "If a web browser does not automatically open, please navigate to the URL below yourself instead.",
]

Open = Callable[..., EsriSession]


class Person:
    """Amy before her screen: takes the URL that is opened for her, and signs in there at once, or does what `does` says."""

    def __init__(self, portal: EmbeddedPortal, does: Union[Callable[[Page], Any], None] = None, opens: bool = True) -> None:
        self.urls: list[str] = []
        self.prompts: list[str] = []
        self.pages: list[Page] = []
        self._browser = Browser(portal.ca_file)
        self._does = does or (lambda page: page.submit(username="amy", password="amys-secret"))
        self._opens = opens
        self._lock = threading.Lock()

    def open_browser(self, url: str) -> bool:
        with self._lock:
            self.urls.append(url)
        if self._opens:
            self.pages.append(self._does(self._browser.open(url)))
        return self._opens

    def read_code(self, prompt: str) -> str:
        """What she answers at the prompt: the code on the page where the sign-in ended."""
        self.prompts.append(prompt)
        if not self.pages:
            self.pages.append(self._does(self._browser.open(self.urls[-1])))
        return self.pages[-1].inputs["code"]

    @property
    def asked(self) -> dict[str, str]:
        """The parameters of the URL that was opened last."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.urls[-1]).query).items()}

    def sign_in(self, portal: EmbeddedPortal, clock: FakeClock, **options: Any) -> EsriPKCEAuth:
        given = {
            "open_browser": self.open_browser,
            "prompt": self.read_code,
            "clock": clock,
            "verify_sign_in": False,
            **options,
        }
        return EsriPKCEAuth(portal.portal_url, **given)


def count_places(session: EsriSession, portal: EmbeddedPortal) -> Any:
    return session.get(f"{portal.layer_url}/query", params={"where": "1=1", "returnCountOnly": "true", "f": "json"}).json()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def sign_in_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "esri_http sign-in"]


def waiting_for_another_thread() -> int:
    """How many threads wait for what another one is getting."""
    stacks = [traceback.walk_stack(frame) for frame in sys._current_frames().values()]
    return sum(any(frame.f_code.co_filename.endswith("flights.py") for frame, _ in stack) for stack in stacks) - 1


# -- the code comes back by itself -------------------------------------------------------------------------------------


def test_a_person_signs_in_and_the_program_goes_on(portal: EmbeddedPortal, fake_clock: FakeClock, open_session: Open) -> None:
    amy = Person(portal)
    session = open_session(amy.sign_in(portal, fake_clock))
    assert count_places(session, portal) == {"count": 355}
    assert amy.pages[0].title == "You are signed in"
    assert amy.prompts == []
    assert portal.count("/oauth2/token") == 1
    assert sign_in_threads() == []


def test_the_question_carries_a_state_and_a_proof_of_its_own(
    portal: EmbeddedPortal, fake_clock: FakeClock, open_session: Open
) -> None:
    questions = []
    for _ in range(2):
        amy = Person(portal)
        assert open_session(amy.sign_in(portal, fake_clock)).auth.token
        questions.append(amy.asked)
    for asked in questions:
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert len(asked["state"]) >= 32
        assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+/", asked["redirect_uri"])
    assert questions[0]["state"] != questions[1]["state"]
    assert questions[0]["code_challenge"] != questions[1]["code_challenge"]
    (first, second) = (request.form for request in portal.requests if request.path.endswith("/oauth2/token"))
    assert Proof(first["code_verifier"]).challenge == questions[0]["code_challenge"]
    assert first["redirect_uri"] == questions[0]["redirect_uri"]
    assert second["code_verifier"] != first["code_verifier"]


def test_an_app_of_a_portal_without_pkce_signs_people_in_too(
    portal: EmbeddedPortal, fake_clock: FakeClock, open_session: Open
) -> None:
    portal.register_app("field-app", redirect_uris=["http://127.0.0.1/cb"])
    amy = Person(portal)
    auth = EsriOAuth2Auth(
        portal.portal_url, "field-app", redirect_uri="http://127.0.0.1/cb", use_pkce=False, open_browser=amy.open_browser,
        clock=fake_clock,
    )  # fmt: skip
    assert count_places(open_session(auth), portal) == {"count": 355}
    assert "code_challenge" not in amy.asked
    assert auth.refresh_token


GOOD_REDIRECT_URIS = {
    "none": (None, r"http://127\.0\.0\.1:[0-9]+/"),
    "a fixed port": ("http://127.0.0.1:{port}/cb", "http://127.0.0.1:{port}/cb"),
    "a fixed port and no path": ("http://127.0.0.1:{port}", "http://127.0.0.1:{port}"),
    "localhost": ("http://localhost:{port}/a/b", "http://localhost:{port}/a/b"),
    "any port": ("http://127.0.0.1/cb", r"http://127\.0\.0\.1:[0-9]+/cb"),
    "any port of localhost": ("http://localhost", r"http://localhost:[0-9]+"),
}


@pytest.mark.parametrize("given, sent", GOOD_REDIRECT_URIS.values(), ids=GOOD_REDIRECT_URIS)
def test_a_redirect_uri_of_this_machine_is_used_as_it_is_registered(
    portal: EmbeddedPortal, fake_clock: FakeClock, open_session: Open, given: Union[str, None], sent: str
) -> None:
    port = free_port()
    amy = Person(portal)
    given = given and given.replace("{port}", str(port))
    assert open_session(amy.sign_in(portal, fake_clock, redirect_uri=given)).auth.token
    assert re.fullmatch(sent.replace("{port}", str(port)), amy.asked["redirect_uri"])


BAD_REDIRECT_URIS = {
    "https": "https://127.0.0.1:8000/cb",
    "another machine": "http://gis.example.com:8000/cb",
    "a name that begins like ours": "http://127.0.0.1.example.com:8000/",
    "all interfaces": "http://0.0.0.0:8000/",
    "another address of this machine": "http://127.0.0.2:8000/",
    "IPv6": "http://[::1]:8000/",
    "a user": "http://amy@127.0.0.1:8000/",
    "a query": "http://127.0.0.1:8000/?a=1",
    "a fragment": "http://127.0.0.1:8000/#a",
    "port zero": "http://127.0.0.1:0/",
    "a port too high": "http://127.0.0.1:65536/",
    "a port that is none": "http://127.0.0.1:http/",
    "a line break": "http://127.0.0.1:8000/\n",
    "a blank": "http://127.0.0.1:8000/a b",
    "no scheme": "127.0.0.1:8000",
    "another scheme": "ftp://127.0.0.1:8000/",
    "another urn": "urn:ietf:wg:oauth:2.0:oob:auto",
    "nothing": "",
}


@pytest.mark.parametrize("redirect_uri", BAD_REDIRECT_URIS.values(), ids=BAD_REDIRECT_URIS)
def test_a_redirect_uri_that_cannot_work_is_a_clear_error_before_anything_opens(
    portal: EmbeddedPortal, fake_clock: FakeClock, open_session: Open, redirect_uri: str
) -> None:
    amy = Person(portal)
    session = open_session(amy.sign_in(portal, fake_clock, redirect_uri=redirect_uri))
    with pytest.raises(ConfigurationError, match="ends at http://127.0.0.1:PORT/PATH .* redirect_uri=None"):
        session.get(f"{portal.layer_url}/query")
    assert amy.urls == []
    assert amy.prompts == []


def test_a_port_in_use_is_a_clear_error_before_anything_opens(
    portal: EmbeddedPortal, fake_clock: FakeClock, open_session: Open
) -> None:
    amy = Person(portal)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        session = open_session(amy.sign_in(portal, fake_clock, redirect_uri=f"http://127.0.0.1:{port}/"))
        with pytest.raises(ConfigurationError, match=f"Port {port} "):
            session.get(f"{portal.layer_url}/query")
    assert amy.urls == []
    assert count_places(session, portal) == {"count": 355}


def test_nothing_listens_any_more_when_the_code_is_redeemed(
    portal: EmbeddedPortal, fake_clock: FakeClock, open_session: Open
) -> None:
    port, refused = free_port(), []

    def look(request: Any, answer_normally: Callable[[], Any]) -> Any:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        refused.append(port)
        return answer_normally()

    portal.faults.add("/oauth2/token", look)
    amy = Person(portal)
    assert open_session(amy.sign_in(portal, fake_clock, redirect_uri=f"http://127.0.0.1:{port}/")).auth.token
    assert refused == [port]


def test_a_cancelled_sign_in_is_said_and_redeems_nothing(
    portal: EmbeddedPortal, fake_clock: FakeClock, open_session: Open
) -> None:
    amy = Person(portal, does=lambda page: page.submit(press="cancel"))
    session = open_session(amy.sign_in(portal, fake_clock))
    with pytest.raises(InteractionRequiredError, match="cancelled in the browser") as caught:
        session.get(f"{portal.layer_url}/query")
    assert caught.value.error == "access_denied"
    assert amy.pages[0].title == "You are not signed in"
    assert portal.count("/oauth2/token") == 0
    assert sign_in_threads() == []


def test_after_a_cancelled_sign_in_the_next_request_asks_again(
    portal: EmbeddedPortal, fake_clock: FakeClock, open_session: Open
) -> None:
    presses = ["cancel"]
    amy = Person(
        portal,
        does=lambda page: page.submit(press=presses.pop()) if presses else page.submit(username="amy", password="amys-secret"),
    )
    session = open_session(amy.sign_in(portal, fake_clock))
    with pytest.raises(InteractionRequiredError):
        count_places(session, portal)
    assert count_places(session, portal) == {"count": 355}


@pytest.mark.parametrize("forged", ["?error=access_denied", "?code=forged&state=forged", "favicon.ico"])
def test_a_forged_answer_comes_to_nothing(
    portal: EmbeddedPortal, fake_clock: FakeClock, open_session: Open, forged: str
) -> None:
    answers = []

    def disturbed(page: Page) -> Page:
        redirect_uri = parse_qs(urlsplit(page.url).query)["redirect_uri"][0]
        answers.append(page.browser.open(redirect_uri + forged).status)
        return page.submit(username="amy", password="amys-secret")

    session = open_session(Person(portal, does=disturbed).sign_in(portal, fake_clock))
    assert count_places(session, portal) == {"count": 355}
    assert answers == [404]
    assert portal.count("/oauth2/token") == 1


def test_nobody_signs_in_in_time(portal: EmbeddedPortal, fake_clock: FakeClock, open_session: Open) -> None:
    amy = Person(portal, does=lambda page: page)
    timer = threading.Timer(0.2, fake_clock.advance, [121])
    timer.start()
    with pytest.raises(InteractionRequiredError, match="Nobody signed in within 120 s"):
        open_session(amy.sign_in(portal, fake_clock, wait_seconds=120)).get(f"{portal.layer_url}/query")
    timer.join()
    assert sign_in_threads() == []


def test_the_wait_ends_with_the_call(portal: EmbeddedPortal, fake_clock: FakeClock, open_session: Open) -> None:
    amy = Person(portal, does=lambda page: page)
    timer = threading.Timer(0.2, fake_clock.advance, [61])
    timer.start()
    with pytest.raises(DeadlineExceededError):
        open_session(amy.sign_in(portal, fake_clock)).get(f"{portal.layer_url}/query", deadline=60)
    timer.join()
    assert sign_in_threads() == []


def test_many_threads_that_need_a_token_open_one_browser(
    portal: EmbeddedPortal, fake_clock: FakeClock, open_session: Open
) -> None:
    amy = Person(portal)
    auth = amy.sign_in(portal, fake_clock)
    session = open_session(auth)
    outcomes = in_threads(8, lambda _: count_places(session, portal))
    assert errors_in(outcomes) == []
    assert outcomes == [{"count": 355}] * 8
    assert len(amy.urls) == 1
    assert portal.count("/oauth2/token") == 1


def test_many_threads_hear_of_one_cancelled_sign_in(portal: EmbeddedPortal, fake_clock: FakeClock, open_session: Open) -> None:
    def cancel_late(page: Page) -> Page:
        while waiting_for_another_thread() < 7:
            threading.Event().wait(0.01)
        return page.submit(press="cancel")

    amy = Person(portal, does=cancel_late)
    session = open_session(amy.sign_in(portal, fake_clock))
    outcomes = in_threads(8, lambda _: count_places(session, portal))
    assert [type(error) for error in errors_in(outcomes)] == [InteractionRequiredError] * 8
    assert len(amy.urls) == 1


# -- the code is pasted ------------------------------------------------------------------------------------------------


def test_the_code_can_be_pasted_and_the_words_are_those_that_people_know(
    portal: EmbeddedPortal, fake_clock: FakeClock, open_session: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    amy = Person(portal)
    session = open_session(amy.sign_in(portal, fake_clock, redirect_uri=OOB))
    assert count_places(session, portal) == {"count": 355}
    assert amy.prompts == [CODE_PROMPT]
    assert amy.asked["redirect_uri"] == OOB
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [*PASTE_LINES, f"Opening web browser to navigate to: {amy.urls[0]}"]


@pytest.mark.parametrize("browser", [lambda url: False, lambda url: None, lambda url: 1 / 0], ids=["False", "None", "an error"])
def test_without_a_browser_the_code_is_pasted(
    portal: EmbeddedPortal,
    fake_clock: FakeClock,
    open_session: Open,
    capsys: pytest.CaptureFixture[str],
    browser: Callable[[str], object],
) -> None:
    amy = Person(portal)
    opened: list[str] = []

    def open_browser(url: str) -> object:
        opened.append(url)
        return browser(url)

    def ask(prompt: str) -> str:
        lines = capsys.readouterr().err.splitlines()
        assert lines[-3:-1] == ["No web browser could be opened here.", PASTE_LINES[0]]
        amy.urls.append(lines[-1].partition(": ")[2])
        assert sign_in_threads() == []
        return amy.read_code(prompt)

    session = open_session(amy.sign_in(portal, fake_clock, open_browser=open_browser, prompt=ask))
    assert count_places(session, portal) == {"count": 355}
    assert len(opened) == 1
    assert amy.asked["redirect_uri"] == OOB
    assert amy.asked["state"] not in opened[0]


def test_a_code_with_blanks_around_it_is_good(portal: EmbeddedPortal, fake_clock: FakeClock, open_session: Open) -> None:
    amy = Person(portal)
    auth = amy.sign_in(portal, fake_clock, redirect_uri=OOB, prompt=lambda prompt: f"  {amy.read_code(prompt)}\t\n")
    assert open_session(auth).auth.token


NO_CODES = {
    "nothing": ("", "No code was entered"),
    "blanks": (" \t ", "No code was entered"),
    "a dialog that was closed": (None, "No code was entered"),
    "control characters": ("abc\x1b[31mdef", "not a code"),
    "a novel": ("x" * 5000, "not a code"),
}


@pytest.mark.parametrize("entered, message", NO_CODES.values(), ids=NO_CODES)
def test_what_cannot_be_a_code_is_not_sent(
    portal: EmbeddedPortal, fake_clock: FakeClock, open_session: Open, entered: Any, message: str
) -> None:
    amy = Person(portal)
    session = open_session(amy.sign_in(portal, fake_clock, redirect_uri=OOB, prompt=lambda prompt: entered))
    with pytest.raises(InteractionRequiredError, match=message):
        session.get(f"{portal.layer_url}/query")
    assert portal.count("/oauth2/token") == 0


def test_a_wrong_code_is_refused_by_the_portal_and_not_shown(
    portal: EmbeddedPortal, fake_clock: FakeClock, open_session: Open
) -> None:
    amy = Person(portal)
    session = open_session(amy.sign_in(portal, fake_clock, redirect_uri=OOB, prompt=lambda prompt: "a-wrong-code"))
    with pytest.raises(ArcGISLoginError) as caught:
        session.get(f"{portal.layer_url}/query")
    assert_hidden(["a-wrong-code"], caught.value)
    assert portal.count("/oauth2/token") == 1


@pytest.mark.parametrize("error", [EOFError(), OSError("no terminal"), NotImplementedError("no input in this notebook")])
def test_nobody_to_ask_is_said(portal: EmbeddedPortal, fake_clock: FakeClock, open_session: Open, error: Exception) -> None:
    def ask(prompt: str) -> str:
        raise error

    amy = Person(portal)
    session = open_session(amy.sign_in(portal, fake_clock, redirect_uri=OOB, prompt=ask))
    with pytest.raises(InteractionRequiredError, match="nobody to ask"):
        session.get(f"{portal.layer_url}/query")


def test_a_program_without_a_console_has_nobody_to_ask(
    portal: EmbeddedPortal, fake_clock: FakeClock, open_session: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    amy = Person(portal)
    session = open_session(amy.sign_in(portal, fake_clock, redirect_uri=OOB, prompt=None))
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(sys, "stderr", None)
    with pytest.raises(InteractionRequiredError, match="nobody to ask"):
        session.get(f"{portal.layer_url}/query")


@pytest.mark.parametrize("error", [ValueError("I/O operation on closed file."), BrokenPipeError("nobody reads")])
def test_a_screen_that_has_gone_does_not_keep_the_browser_from_opening(
    portal: EmbeddedPortal, fake_clock: FakeClock, open_session: Open, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise error

    amy = Person(portal)
    session = open_session(amy.sign_in(portal, fake_clock))
    monkeypatch.setattr(sys, "stderr", Gone())
    assert count_places(session, portal) == {"count": 355}
    assert len(amy.urls) == 1


def test_a_missing_password_is_asked_for_once_or_said_to_be_missing(
    portal: EmbeddedPortal, fake_clock: FakeClock, open_session: Open
) -> None:
    prompts: list[str] = []

    def sign_in(answer: str) -> EsriPKCEAuth:
        return EsriPKCEAuth(portal.portal_url, "amy", clock=fake_clock, prompt=lambda text: prompts.append(text) or answer)

    session = open_session(sign_in("amys-secret"))
    assert count_places(session, portal) == count_places(session, portal) == {"count": 355}
    assert prompts == [f"Password for amy at {portal.portal_url}: "]
    with pytest.raises(InteractionRequiredError, match="No password was entered"):
        count_places(open_session(sign_in("")), portal)


# -- what is seen of it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("redirect_uri", [None, OOB], ids=["loopback", "pasted"])
def test_neither_code_nor_verifier_nor_token_is_logged_or_printed(
    portal: EmbeddedPortal,
    fake_clock: FakeClock,
    open_session: Open,
    redirect_uri: Union[str, None],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    amy = Person(portal)
    with caplog.at_level(logging.DEBUG):
        session = open_session(amy.sign_in(portal, fake_clock, redirect_uri=redirect_uri))
        count_places(session, portal)
    (form,) = (request.form for request in portal.requests if request.path.endswith("/oauth2/token"))
    out, err = capfd.readouterr()
    secrets = [form["code"], form["code_verifier"], session.auth.token, session.auth.refresh_token]
    assert_hidden(secrets, session.auth, session, logs=caplog.text + out + err)


# -- with a terminal, and without --------------------------------------------------------------------------------------

SCRIPT = """
import os, sys, warnings
if "terminal" in sys.argv:
    os.open(os.ttyname(0), os.O_RDWR)  # the first terminal that the leader of a session opens is where it asks
from esri_http import EsriPKCEAuth, EsriSession
from esri_http.words.errors import EsriHttpError
auth = EsriPKCEAuth(sys.argv[1], redirect_uri=sys.argv[2] or None)
try:
    with EsriSession(auth=auth) as session:
        me = session.get(sys.argv[1] + "/sharing/rest/community/self", params={"f": "json"}).json()
        print("Successfully logged in as:", me.get("username"), flush=True)
except EsriHttpError as error:
    print(type(error).__name__, error, flush=True)
"""


def script_environment(**more: str) -> dict[str, str]:
    """Nothing of this machine that could open a browser."""
    kept = {name: value for name, value in os.environ.items() if name not in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")}
    return {**kept, "PATH": os.devnull, "PYTHONPATH": str(ROOT), **more}


def read_until(terminal: int, wanted: str) -> str:
    """What the program shows until `wanted` is there, or it ends."""
    shown = b""
    while wanted.encode() not in shown:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            part = b""
        if not part:
            break
        shown += part
    return shown.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
@pytest.mark.parametrize("redirect_uri", [OOB, ""], ids=["pasted", "no browser here"])
def test_what_is_pasted_at_the_prompt_is_not_shown(portal: EmbeddedPortal, redirect_uri: str) -> None:
    import pty

    controller, terminal = pty.openpty()
    command = [sys.executable, "-c", SCRIPT, portal.portal_url, redirect_uri, "terminal"]
    streams: dict[str, Any] = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
    with subprocess.Popen(command, **streams, env=script_environment(), start_new_session=True) as program:
        try:
            os.close(terminal)
            shown = read_until(controller, CODE_PROMPT)
            assert PASTE_LINES[0] in shown
            url = re.findall(r"navigate to: (\S+)", shown)[-1]
            page = Browser().open(url).submit(username="amy", password="amys-secret")
            code = page.inputs["code"]
            os.write(controller, code.encode() + b"\n")
            rest = read_until(controller, "Successfully logged in as: amy")
            assert "Successfully logged in as: amy" in rest
            assert code not in shown + rest
        finally:
            program.kill()
            os.close(controller)


@pytest.mark.skipif(sys.platform == "win32", reason="on Windows a program without input may still have a console to ask at")
def test_a_job_without_browser_and_terminal_says_that_a_person_is_needed(portal: EmbeddedPortal) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, portal.portal_url, ""], env=script_environment(), start_new_session=True,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("InteractionRequiredError A person has to sign in"), done.stderr
    assert PASTE_LINES[0] in done.stderr


INTERRUPTED = """
import socket, sys, threading, time
from urllib.parse import parse_qs, urlsplit
from esri_http import EsriPKCEAuth, EsriSession
places = []
def open_browser(url):
    places.append(urlsplit(parse_qs(urlsplit(url).query)["redirect_uri"][0]))
    print("waiting", flush=True)
    return True
try:
    with EsriSession(auth=EsriPKCEAuth(sys.argv[1], open_browser=open_browser)) as session:
        session.get(sys.argv[1] + "/sharing/rest/community/self")
except KeyboardInterrupt:
    print(time.monotonic())
    try:
        socket.create_connection((places[0].hostname, places[0].port), 5)
    except ConnectionRefusedError:
        print("nothing listens", [thread.name for thread in threading.enumerate()])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there a signal cannot be sent to one program alone")
def test_ctrl_c_ends_the_wait_at_once_and_leaves_nothing(portal: EmbeddedPortal) -> None:
    command = [sys.executable, "-c", INTERRUPTED, portal.portal_url]
    with subprocess.Popen(command, env=script_environment(), stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "waiting\n"
        sent = time.monotonic()
        program.send_signal(signal.SIGINT)
        when, rest = program.communicate(timeout=20)[0].split("\n", 1)
    assert float(when) - sent < 1
    assert rest == "nothing listens ['MainThread']\n"
