"""Who signs in: options and environment, which of them counts, and to whom a secret goes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import pytest

from esri_http.testing import Answer, EmbeddedPortal
from tests.support.certificates import CertificateAuthority
from tests.support.http_messages import Reply
from tests.support.peers import HandlerPeer, json_reply
from tests.support.pfx import pfx
from tests.support.proxies import ProxyPeer

from .support import ROOT, Terminal, run

Peers = Callable[..., HandlerPeer]
COUNT = ("-F", "where=1=1", "-F", "returnCountOnly=true")
SECRET = "amys-secret"


def counted(portal: EmbeddedPortal, *arguments: str, env: Optional[dict[str, str]] = None, given: bytes = b"") -> None:
    """The secured layer was read, and nothing that was written holds a secret."""
    done = run("get", portal.layer_url + "/query", *COUNT, *arguments, "--debug", env=env, given=given)
    assert done.status == 0, done.err
    assert json.loads(done.out) == {"count": 355}
    for secret in (SECRET, given.decode().strip(), *(value for name, value in (env or {}).items() if "TOKEN" in name)):
        assert not secret or secret not in done.out + done.err


def tokens(peer: HandlerPeer) -> list[Any]:
    """What of secrets came to a server."""
    return [request.headers.get(name) for request in peer.requests for name in ("X-Esri-Authorization", "Authorization")]


def test_the_password_comes_from_the_input(portal: EmbeddedPortal) -> None:
    counted(portal, "--user", "amy", "--password-stdin", given=b"amys-secret\r\n")


def test_the_password_comes_from_the_environment(portal: EmbeddedPortal) -> None:
    counted(portal, env={"ESRI_HTTP_USER": "amy", "ESRI_HTTP_PASSWORD": SECRET})
    counted(portal, "--user", "amy", env={"ESRI_HTTP_PASSWORD": SECRET})
    counted(portal, env={"ESRI_HTTP_USER": "amy", "ESRI_HTTP_PASSWORD": SECRET, "ESRI_HTTP_PORTAL": portal.portal_url})
    named = portal.portal_url.replace("https://", "").replace("/portal", "/portal/home")
    counted(portal, "--portal", named, env={"ESRI_HTTP_USER": "amy", "ESRI_HTTP_PASSWORD": SECRET})


def test_the_password_of_one_user_is_not_used_for_another(portal: EmbeddedPortal) -> None:
    env = {"ESRI_HTTP_USER": "amy", "ESRI_HTTP_PASSWORD": SECRET}
    done = run("get", portal.layer_url, "--user", "bob", env=env)
    assert done.status == 3
    assert "--password-stdin" in done.err
    assert portal.count("/generateToken") == 0


def test_the_secrets_of_one_portal_do_not_go_to_another(portal: EmbeddedPortal, handler_peer: Peers) -> None:
    other = handler_peer(lambda request: json_reply({"portalName": "Other", "isPortal": True}))
    for secrets in (
        {"ESRI_HTTP_USER": "amy", "ESRI_HTTP_PASSWORD": SECRET},
        {"ESRI_HTTP_TOKEN": portal.issue_token("amy")},
        {"ESRI_API_KEY": portal.issue_api_key("amy")},
        {"ESRI_HTTP_PROFILE": "work"},
    ):
        done = run("whoami", "--portal", other.url, env={"ESRI_HTTP_PORTAL": portal.portal_url, **secrets})
        assert (done.status, done.err) == (0, "")
        assert done.out.startswith("Nobody is signed in at ")
    assert set(tokens(other)) == {None}
    assert all(request.method == "GET" for request in other.requests)


def test_a_token_goes_to_the_portal_that_is_named_and_its_servers(portal: EmbeddedPortal, handler_peer: Peers) -> None:
    token = portal.issue_token("amy", referer="http")
    counted(portal, "--token-stdin", "--portal", portal.portal_url, given=token.encode())
    counted(portal, env={"ESRI_HTTP_TOKEN": token, "ESRI_HTTP_PORTAL": portal.portal_url})
    other = handler_peer(lambda request: json_reply({"error": {"code": 499, "message": "Token Required"}}))
    done = run("get", other.url + "/a/rest/services", env={"ESRI_HTTP_TOKEN": token, "ESRI_HTTP_PORTAL": portal.portal_url})
    assert done.status in (3, 4)
    assert set(tokens(other)) == {None}
    assert token not in done.err


def test_a_token_without_a_portal_is_for_the_site_of_the_url(portal: EmbeddedPortal) -> None:
    token = portal.issue_token("amy", referer="http", server_url=portal.server_url)
    portal.clear()
    counted(portal, env={"ESRI_HTTP_TOKEN": token})
    assert len(portal.requests) == 1


def test_an_api_key_of_the_environment_goes_to_its_portal_alone(portal: EmbeddedPortal, handler_peer: Peers) -> None:
    key = portal.issue_api_key("amy")
    counted(portal, env={"ESRI_API_KEY": key, "ESRI_HTTP_PORTAL": portal.portal_url})
    other = handler_peer(lambda request: json_reply({}))
    assert run("get", other.url, env={"ESRI_API_KEY": key}).status == 0
    assert run("get", other.url, env={"ESRI_API_KEY": key, "ESRI_HTTP_PORTAL": portal.portal_url}).status == 0
    assert set(tokens(other)) == {None}


def test_what_is_explicit_beats_the_environment(portal: EmbeddedPortal) -> None:
    env = {"ESRI_HTTP_TOKEN": "wrong", "ESRI_API_KEY": "wrong", "ESRI_HTTP_USER": "bob", "ESRI_HTTP_PASSWORD": "wrong"}
    counted(portal, "--user", "amy", "--password-stdin", given=b"amys-secret\n", env=env)
    counted(portal, "--token-stdin", "--portal", portal.portal_url, given=portal.issue_token("amy").encode(), env=env)
    portal.clear()
    done = run("get", portal.public_layer_url, "--anonymous", env={**env, "ESRI_HTTP_PROFILE": "missing"})
    assert (done.status, len(portal.requests)) == (0, 1)


def test_anonymous_reads_no_netrc_either(handler_peer: Peers, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login amy password amys-secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    peer = handler_peer(lambda request: json_reply({}))
    assert run("get", peer.url, env={"HOME": str(tmp_path)}).status == 0
    assert peer.requests[-1].headers.get("Authorization")
    assert run("get", peer.url, "--anonymous", env={"HOME": str(tmp_path)}).status == 0
    assert peer.requests[-1].headers.get("Authorization") is None


def test_a_refused_password_is_sent_once(portal: EmbeddedPortal) -> None:
    done = run("get", portal.standalone_layer_url, "--user", "amy", "--password-stdin", given=b"wr0ng-secret\n")
    assert (done.status, done.out) == (3, "")
    assert "wr0ng-secret" not in done.err
    assert portal.count("/generateToken", method="POST") == 1


def test_nobody_is_asked_where_there_is_no_terminal(portal: EmbeddedPortal) -> None:
    done = run("get", portal.layer_url, "--user", "amy")
    assert done.status == 3
    assert done.err.splitlines() == [
        "esri-http: There is no terminal to ask on. Give the password by --password-stdin or in ESRI_HTTP_PASSWORD; the code of"
        " a browser is pasted on a terminal."
    ]


def test_a_dead_end_is_told_in_options(handler_peer: Peers) -> None:
    closed = handler_peer(lambda request: Reply(401, {"WWW-Authenticate": "Bearer"}))
    page = handler_peer(lambda request: Reply(200, {"Content-Type": "text/html"}, "<html></html>"))
    for peer, advice in ((closed, "by --user and --password-stdin."), (page, "--client-id opens it in a browser;")):
        done = run("whoami", "--portal", peer.url, "--anonymous")
        assert done.status == 3
        assert advice in done.err
        assert not re.search(r"\w=|Python|GIS\(", done.err)


def test_what_cannot_be_is_told_in_options(portal: EmbeddedPortal, ca: CertificateAuthority, tmp_path: Path) -> None:
    file = str(tmp_path / "amy.pfx")
    Path(file).write_bytes(pfx(ca.client(), "the-files-secret"))
    at_portal = ("whoami", "--portal", portal.portal_url)
    for options, advice in (
        (("--client-id", "an-app", "--redirect-uri", "ftp://x"), "ends at http://127.0.0.1:PORT/PATH or "),
        (("--user", "amy", "--server-hostname", "no name"), "--server-hostname takes the name in the certificate."),
        (("--cert", file), "none was given (--password-stdin), or the file is damaged."),
        (("--cert", file, "--key", file, "--password-stdin"), "A PFX holds its own key; no other goes with it."),
    ):
        done = run(*at_portal, *options, given=b"the-files-secret" if "--key" in options else b"")
        assert done.status == 6
        assert advice in done.err
        assert not re.search(r"\w=|Python|GIS\(|None|\(file, password\)|such as \{", done.err), done.err
    assert portal.count(method="POST") == 0


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_a_password_that_is_no_text_is_told_and_neither_sent_nor_shown(errors: str, portal: EmbeddedPortal) -> None:
    arguments = ("whoami", "--portal", portal.portal_url, "--user", "amy", "--password-stdin", "--debug")
    done = run(*arguments, given=b"hush\xffhush\n", env={"PYTHONIOENCODING": f"utf-8:{errors}"})
    assert (done.status, done.out) == (6, "")
    assert done.err.splitlines()[-1].startswith("esri-http: What was entered is no text in utf-8")
    assert "hush" not in done.err
    assert "xff" not in done.err
    assert portal.requests == []


def test_an_app_signs_in_with_its_secret(portal: EmbeddedPortal) -> None:
    portal.register_app("field-app", "the-apps-secret")
    arguments = ("--portal", portal.portal_url, "--client-id", "field-app", "--client-secret-stdin")
    done = run("whoami", *arguments, given=b"the-apps-secret\n")
    assert (done.status, done.err) == (0, "")
    assert done.out == f"An app at {portal.portal_url}\n"


def test_a_client_certificate_is_shown(handler_peer: Peers, ca: CertificateAuthority, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = handler_peer(lambda request: json_reply({}), tls=True, client_certificate="required")
    amy = ca.client()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca.file)
    done = run("get", peer.url, "--cert", amy.cert_file, "--key", amy.key_file)
    assert (done.status, done.err) == (0, "")
    assert peer.requests[-1].client_certificate is not None
    assert len(peer.requests) == 1
    assert run("get", peer.url, "--cert", amy.combined_file).status == 0
    assert run("get", peer.url).status == 5


def test_arcgis_pro_signs_in_where_it_is_named_as_the_portal(portal: EmbeddedPortal, tmp_path: Path) -> None:
    said = {"token": portal.issue_token("amy", referer="http"), "referer": "http"}
    arcpy = f"def GetActivePortalURL(): return {portal.portal_url!r}\ndef GetSigninToken(): return {said!r}\n"
    (tmp_path / "arcpy.py").write_text(arcpy)
    env = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    for arguments in (("login", "pro"), ("whoami", "--portal", "Pro")):
        done = run(*arguments, env=env)
        assert (done.status, done.err) == (0, "")
        assert "amy (Amy Adams, org_user)" in done.out
    counted(portal, "--portal", "pro", env=env)
    counted(portal, env={**env, "ESRI_HTTP_PORTAL": "pro"})


def test_the_password_of_a_client_certificate_is_asked_for(
    handler_peer: Peers, ca: CertificateAuthority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    peer = handler_peer(lambda request: json_reply({}), tls=True, client_certificate="required")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca.file)
    (tmp_path / "amy.pfx").write_bytes(pfx(ca.client(), "the-files-secret"))
    arguments = ("get", peer.url, "--cert", str(tmp_path / "amy.pfx"))
    with Terminal(*arguments) as terminal:
        terminal.wait_for("Enter password for the certificate ")
        assert not terminal.echoes()
        terminal.type("the-files-secret\n")
        assert terminal.end() == 0
    done = run(*arguments)
    assert done.status == 6
    assert "it needs a password and none was given" in done.err
    assert len(peer.requests) == 1


def test_the_proxy_is_used(handler_peer: Peers, proxy_peer: Callable[..., ProxyPeer]) -> None:
    proxy, peer = proxy_peer(), handler_peer(lambda request: json_reply({}))
    assert run("get", peer.url, "--proxy", proxy.url).status == 0
    assert len(proxy.requests) == 1


def test_the_referer_goes_along(handler_peer: Peers) -> None:
    peer = handler_peer(lambda request: json_reply({}))
    assert run("get", peer.url, "--referer", "https://app.test/", "--token-stdin", given=b"a-token\n").status == 0
    assert peer.requests[-1].headers.get("Referer") == "https://app.test/"


@pytest.mark.parametrize("command", ["whoami", "token", "login"])
def test_a_site_has_to_be_named(command: str) -> None:
    for env in ({}, {"ESRI_HTTP_TOKEN": "t"}, {"ESRI_HTTP_USER": "amy"}):
        done = run(command, env=env)
        assert (done.status, done.out) == (2, "")
        assert "which site?" in done.err


def test_a_profile_goes_with_no_other_sign_in(portal: EmbeddedPortal) -> None:
    for more in (("--user", "amy"), ("--portal", portal.portal_url), ("--client-id", "a"), ("--cert", "a.pem")):
        done = run("get", portal.layer_url, "--profile", "work", *more)
        assert (done.status, portal.requests) == (2, [])
        assert "--profile says where and who" in done.err


def test_who_is_signed_in_here_is_shown_to_who_asks_and_nobody_else_is_asked(portal: EmbeddedPortal) -> None:
    portal.portal_site.gate = lambda request: Answer(401).add("WWW-Authenticate", "Negotiate")
    try:
        done = run("get", portal.portal_url, "--integrated", env={"KRB5CCNAME": "FILE:/nowhere"})
    finally:
        portal.portal_site.gate = None
    assert (done.status, done.out) == (3, "")
    assert "Kerberos cannot be used" in done.err


def test_who_is_signed_in_here_is_nobody_where_no_web_tier_asks(portal: EmbeddedPortal) -> None:
    for command in (("get", portal.portal_url + "/sharing/rest/info"), ("login", portal.portal_url)):
        done = run(*command, "--integrated")
        assert (done.status, done.out) == (3, "")
        assert "asks for no integrated sign-in" in done.err
        done = run(*command, "--integrated", "--user", "amy")
        assert (done.status, done.out) == (2, "")
        assert "goes with no other" in done.err
