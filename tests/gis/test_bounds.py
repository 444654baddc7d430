"""Where the credentials of a `GIS` go: to its site, whatever else the session is used for, and only in the way meant."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

from esri_http import (
    GIS,
    ArcGISLoginError,
    BaseEsriAuth,
    CertificateFileError,
    ConfigurationError,
    EsriSession,
    NoTokenError,
    SignInError,
    TransportError,
)
from esri_http.gis.parameters import Parameters
from esri_http.testing import OUT_OF_BAND, EmbeddedPortal, faults
from tests.support.http_messages import Reply, json_reply
from tests.support.pfx import SECRET, pfx

from .conftest import ask_basic

JSON = {"f": "json"}


def carried(portal: EmbeddedPortal) -> list[str]:
    """The names of what requests carried by which somebody could be signed in."""
    names = [name.lower() for request in portal.requests for name in dict(request.headers)]
    return [name for name in names if name in ("authorization", "x-esri-authorization", "cookie")]


@pytest.mark.parametrize("way", ["password", "token", "key", "app"])
def test_a_token_goes_to_its_portal_and_the_servers_of_that_and_to_nobody_else(
    portal: EmbeddedPortal, connect: Any, way: str
) -> None:
    portal.register_app("app1", "app1-secret")
    gis: GIS = {
        "password": lambda: connect("", "amy", "amys-secret"),
        "token": lambda: connect(token=portal.issue_token("amy", referer="http")),
        "key": lambda: connect(api_key=portal.issue_api_key("amy")),
        "app": lambda: connect(client_id="app1", client_secret="app1-secret"),
    }[way]()
    assert gis.session.get(portal.layer_url, params=JSON).json()["name"] == "Places"
    portal.clear()
    with pytest.raises(NoTokenError):
        gis.session.get(portal.standalone_layer_url, params=JSON)
    assert portal.count(site="standalone") == len(portal.requests) > 0
    assert carried(portal) == []


def test_what_a_web_tier_takes_goes_to_no_other_one(portal: EmbeddedPortal, connect: Any) -> None:
    ask_basic(portal, {"amy": "door"})
    gis = connect("", "amy", "door")
    portal.clear()
    assert gis.session.get(portal.standalone_layer_url, params=JSON).status_code == 401
    assert carried(portal) == []


@pytest.mark.parametrize("given", [("amy",), ("amy", "amys-secret"), ()])
def test_a_look_takes_nothing_from_netrc(
    portal: EmbeddedPortal, connect: Any, tmp_path: Any, given: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "netrc"
    file.write_text("machine localhost login door password door\n")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))
    connect("", *given, prompt=lambda text: "amys-secret")
    assert "authorization" not in carried(portal)
    with EsriSession() as session:
        connect(session=session)
    assert carried(portal)[-1:] == ["authorization"]


def test_the_password_for_an_apps_page_is_not_shown_to_a_web_tier(handler_peer: Any) -> None:
    peer = handler_peer(lambda request: Reply(401, headers=[("WWW-Authenticate", "NTLM")]))
    with pytest.raises(SignInError, match="NTLM cannot be used: it needs username= and password="):
        GIS(peer.url_for("/server/rest/services"), "amy", "amys-secret", client_id="app1")
    assert [request.headers.get("Authorization") for request in peer.requests] == [None, None]


def test_a_site_that_answers_by_http_instead_is_named(handler_peer: Any, ca: Any) -> None:
    plain = handler_peer(lambda request: json_reply({"isPortal": True}))
    peer = handler_peer(lambda request: Reply(302, headers=[("Location", plain.url_for(request.target))]), tls=True)
    with pytest.raises(SignInError, match="leads to http://127.0.0.1:.*give its address"):
        GIS(peer.url_for("/portal"), "amy", "amys-secret", ca_bundles=ca.file)
    assert {request.method for request in plain.requests} == {"GET"}


# -- a sign-in is proved ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keywords", [{}, {"client_id": "app1"}])
@pytest.mark.parametrize("said", [{}, {"appInfo": {"appId": "app1"}}], ids=["nobody", "an app"])
def test_a_user_who_signs_in_has_to_be_named(portal: EmbeddedPortal, connect: Any, keywords: Any, said: Any) -> None:
    portal.register_app("app1", redirect_uris=[OUT_OF_BAND])
    portal.portal_site.self_overrides = {"user": None, **said}
    with pytest.raises(SignInError, match="does not say who is signed in"):
        connect("", "amy", "amys-secret", **keywords)


@pytest.mark.parametrize("answer", [faults.arcgis_error(499, "Token Required"), faults.status(403)], ids=["499", "403"])
def test_a_server_that_lists_no_services_has_signed_nobody_in(portal: EmbeddedPortal, connect: Any, answer: Any) -> None:
    portal.faults.add("/rest/services", answer)
    with pytest.raises(ArcGISLoginError, match="does not take a handler of your own: (499: Token Required|HTTP 403)"):
        connect(portal.standalone_url, custom_auth=BaseEsriAuth())


def test_a_portal_that_fails_inside_of_its_answer_is_in_trouble(handler_peer: Any) -> None:
    peer = handler_peer(lambda request: json_reply({"error": {"code": 500, "message": "No database"}}))
    with pytest.raises(TransportError, match="500: No database. Try again later"):
        GIS(peer.url_for("/portal"), "amy", "amys-secret")
    assert len(peer.requests) == 1


# -- settings get to where they count --------------------------------------------------------------------------------


def test_channel_binding_can_be_switched_off(portal: EmbeddedPortal, connect: Any) -> None:
    ask_basic(portal, {"amy": "door"})
    assert connect("", "amy", "door", send_cbt=False).session.auth.send_cbt is False
    assert connect("", "amy", "door").session.auth.send_cbt is True


@pytest.mark.parametrize("how", ["proxy", "proxies", "proxy_host"])
def test_a_proxy_by_any_of_its_names_is_used(portal: EmbeddedPortal, connect: Any, proxy_peer: Any, how: str) -> None:
    proxy = proxy_peer()
    ways = {
        "proxy": {"proxy": proxy.url},
        "proxies": {"proxies": {"https": proxy.url}},
        "proxy_host": {"proxy_host": "127.0.0.1", "proxy_port": proxy.port},
    }
    connect(**ways[how])
    assert proxy.tunnels == [portal.portal_url.partition("://")[2].partition("/")[0]]


def test_a_proxy_without_a_port_is_at_80() -> None:
    given = Parameters({"verify_cert": True}, {"proxy_host": "proxy.example"})
    assert given.session_options["proxies"] == {"all": "http://proxy.example:80"}


def test_a_users_password_is_not_that_of_the_certificate(portal: EmbeddedPortal, connect: Any, ca: Any, tmp_path: Any) -> None:
    file = tmp_path / "amy.pfx"
    file.write_bytes(pfx(ca.client("amy"), None))
    assert connect("", "amy", "amys-secret", cert_file=file).users.me.username == "amy"


@pytest.fixture
def locked_pfx(portal: EmbeddedPortal, ca: Any, tmp_path: Any) -> Any:
    """A PFX with a password, of amy, whom the web tier knows by it."""
    for site in portal.sites:
        site.web_tier = lambda request: "amy"
    file = tmp_path / "amy.pfx"
    file.write_bytes(pfx(ca.client("amy")))
    return file


def test_the_password_of_a_certificate_is_asked_for_unseen(
    portal: EmbeddedPortal, connect: Any, locked_pfx: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts: list[str] = []
    monkeypatch.setattr(getpass, "getpass", lambda prompt: prompts.append(prompt) or SECRET)
    assert connect(cert_file=locked_pfx).users.me.username == "amy"
    assert prompts == [f"Enter password for the certificate {locked_pfx}: "]
    assert connect("", "amy", cert_file=locked_pfx.read_bytes()).users.me.username == "amy"
    assert len(prompts) == 2
    connect(cert_file=locked_pfx, password=SECRET)
    assert len(prompts) == 2


@pytest.mark.parametrize("answer", ["", None])
def test_a_certificate_whose_password_nobody_gives_is_told_as_such(
    portal: EmbeddedPortal, connect: Any, locked_pfx: Any, answer: Any
) -> None:
    def nobody(prompt: str) -> str:
        if answer is None:
            raise EOFError
        return answer

    with pytest.raises(CertificateFileError, match="it needs a password and none was given"):
        connect(cert_file=locked_pfx, prompt=nobody)
    with pytest.raises(CertificateFileError, match="its password is wrong"):
        connect(cert_file=locked_pfx, prompt=lambda prompt: "a-wrong-one")
    assert portal.requests == []


def run_without_terminal(program: str, given: Any, *arguments: str) -> tuple[int, str]:
    """Run the Python `program` without a terminal, with `given` as its input; its status, and what it wrote."""
    command = [sys.executable, "-c", program, *arguments]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    options: dict[str, Any] = {"stdin": given, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "env": env}
    with subprocess.Popen(command, start_new_session=True, text=True, **options) as process:
        try:
            status = process.wait(20)  # nobody writes to its input, and nobody closes it
        finally:
            process.kill()
        assert process.stdout is not None
        return status, process.stdout.read()


def test_a_program_without_a_terminal_does_not_wait_for_the_password_of_a_certificate(ca: Any, tmp_path: Any) -> None:
    file = tmp_path / "amy.pfx"
    file.write_bytes(pfx(ca.client("amy")))
    program = f"from esri_http import GIS; GIS('https://gis.test/portal', cert_file={str(file)!r}, trust_env=False)"
    status, told = run_without_terminal(program, subprocess.PIPE)
    assert status == 1
    assert "it needs a password and none was given" in told


AS_AMY = "import sys; from esri_http import GIS; print(GIS(sys.argv[1], 'amy').users.me.username)"
BY_CODE = "import sys; from esri_http import GIS; GIS(sys.argv[1], client_id='an-app', open_browser=lambda url: True)"


@pytest.mark.parametrize("program", [AS_AMY, BY_CODE], ids=["a password", "a code"])
@pytest.mark.parametrize("given", ["a pipe", "a file"])
def test_a_program_without_a_terminal_does_not_wait_for_an_answer(
    portal: EmbeddedPortal, tmp_path: Path, program: str, given: str
) -> None:
    (tmp_path / "data").write_text("amys-secret\n")  # which is not meant as a password
    with open(tmp_path / "data") as data:
        status, told = run_without_terminal(program, data if given == "a file" else subprocess.PIPE, portal.portal_url)
    assert status == 1
    assert "nobody to ask" in told.splitlines()[-1]
    assert portal.count(method="POST") == 0


REPLACED = {
    "input": "class Console:\n    def readline(self): return 'amys-secret\\n'\nsys.stdin = Console()",
    "getpass": "import getpass\ngetpass.getpass = lambda prompt: 'amys-secret'",
}


@pytest.mark.parametrize("console", REPLACED.values(), ids=REPLACED)
def test_the_console_of_an_ide_or_notebook_asks_though_it_is_no_terminal(portal: EmbeddedPortal, console: str) -> None:
    program = f"import sys\n{console}\n{AS_AMY}"
    status, told = run_without_terminal(program, subprocess.PIPE, portal.portal_url)
    assert (status, told.splitlines()[-1]) == (0, "amy")


@pytest.mark.parametrize("answer", [b"amys-secret", 12345678, UnicodeDecodeError("utf-8", b"amys-secret\xff", 11, 12, "bad")])
def test_what_is_entered_has_to_be_text_and_is_not_shown(portal: EmbeddedPortal, connect: Any, answer: Any) -> None:
    def ask(prompt: str) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    for how in ({"username": "amy"}, {"client_id": "an-app", "open_browser": lambda url: True}):
        with pytest.raises(ConfigurationError, match="What was entered is no text") as caught:
            connect(**how, prompt=ask)
        shown = "".join(traceback.format_exception(None, caught.value, caught.value.__traceback__))
        assert caught.value.__context__ is None
        assert "12345678" not in shown
    assert portal.count(method="POST") == 0


def test_a_certificate_whose_holder_the_portal_knows_needs_no_password(portal: EmbeddedPortal, connect: Any, ca: Any) -> None:
    for site in portal.sites:
        site.web_tier = lambda request: "amy"
    amy = ca.client("amy")
    gis = connect("", "amy", cert_file=amy.cert_file, key_file=amy.key_file)
    assert (gis.users.me.username, portal.count()) == ("amy", 1)
    portal.server_site.web_tier = lambda request: None  # the federated server wants a token then
    assert gis.session.get(portal.layer_url, params=JSON).json()["name"] == "Places"


def test_no_limit_of_time_can_be_asked_for(portal: EmbeddedPortal, connect: Any) -> None:
    session = connect(timeout=None, deadline=None, max_url_length=None).session
    assert (session.timeout, session.deadline, session.max_url_length) == ((None, None), None, None)
    session = connect(ca_bundles=None, proxies=None, retries=None, trust_env=None).session
    assert (session.timeout, session.deadline, session.max_url_length) == ((10, 60), 600, 2000)
