"""The servers are what they are said to be: each lets in who is right, and refuses who is wrong. Without our own handlers."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .apache import Apache
from .bed import Bed
from .clients import spnego_get
from .daemons import ServerError, clean, found
from .epa import Epa
from .kdc import STALE, Kdc
from .lighttpd import Lighttpd
from .nginx import Nginx
from .people import CERTIFICATE_USER, GIS, NAMES, PASSWORDS, UTF8_PASSWORDS, UTF8_USER
from .schemes import SCHEMES
from .slapd import BASE, Slapd
from .socks import Socks
from .squid import Squid

pytestmark = pytest.mark.real_server("the bed")


class Curl(NamedTuple):
    """What came of a run of curl."""

    exit_status: int
    status: int
    body: str
    head: str

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


@pytest.fixture
def curl(bed: Bed, tmp_path: Path) -> Any:
    """`curl(url, *options, env={})`; it finds the names of the bed, and trusts its CA."""

    def call(url: str, *options: str, env: dict[str, str] = {}) -> Curl:  # noqa: B006
        head = tmp_path / "head"
        command = [found("curl"), "-sS", "--max-time", "20", "--noproxy", "" if "-x" in options else "*"]
        command += ["--cacert", bed.ca.file, "--proxy-cacert", bed.ca.file, "-D", str(head), "-w", "\n%{http_code}"]
        command += [] if "-x" in options else ["--connect-to", "::127.0.0.1:"]
        done = subprocess.run([*command, *options, url], env=clean(env), capture_output=True, text=True, timeout=30)
        body, _, status = done.stdout.rpartition("\n")
        return Curl(done.returncode, int(status), body, head.read_text(errors="replace") if head.exists() else "")

    return call


def credentials(way: str) -> str:
    return f"amy:{PASSWORDS[way]}"


# -- Apache --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["basic", "ldap", "digest"])
def test_apache_checks_passwords(apache: Apache, curl: Any, way: str) -> None:
    option = "--digest" if way == "digest" else "--basic"
    url = apache.url(f"/{way}/echo")
    assert curl(url, option, "-u", credentials(way)).json["user"] == "amy"
    assert curl(url, option, "-u", "amy:wrong").status == 401
    assert curl(url, option, "-u", "amy:").status == 401
    assert curl(url).status == 401
    assert curl(url, option, "-u", f"{UTF8_USER}:{UTF8_PASSWORDS[way]}").json["user"] == UTF8_USER


def test_apache_does_kerberos(apache: Apache, curl: Any, ticket: Any, no_ticket: Path) -> None:
    url = apache.url("/krb/echo")
    nobody = {"KRB5_CONFIG": str(apache.kdc.config), "KRB5CCNAME": f"FILE:{no_ticket}"}
    assert curl(url, "--negotiate", "-u", ":", env=nobody).status == 401
    tickets = ticket()
    for scheme in ("krb", "krb-conn", "krb-session", "krb-or-basic", "iwa"):
        assert curl(apache.url(f"/{scheme}/echo"), "--negotiate", "-u", ":", env=tickets).json["user"] == "amy@EXAMPLE.TEST"
    assert curl(apache.url("/krb-or-basic/echo"), "-u", credentials("krb")).json["user"] == "amy@EXAMPLE.TEST"


def test_apache_is_handed_a_ticket_only_on_request(apache: Apache, curl: Any, ticket: Any) -> None:
    url, tickets = apache.url("/krb-deleg/echo"), ticket()
    for options, is_handed in (((), False), (("--delegation", "always"), True)):
        headers = dict(curl(url, "--negotiate", "-u", ":", *options, env=tickets).json["headers"])
        assert bool(headers.get("X-Deleg-Ccache")) is is_handed


def test_a_connection_stays_signed_in_where_it_is_said_to(apache: Apache, curl: Any, ticket: Any) -> None:
    tickets = ticket()
    apache.forget()
    answer = curl(apache.url("/krb-conn/echo"), apache.url("/krb-conn/echo"), "--negotiate", "-u", ":", env=tickets)
    assert answer.head.lower().count("persistent-auth: true") == 2
    exchanges = apache.exchanges()
    assert len({exchange.client_port for exchange in exchanges}) == 1
    assert [exchange.status for exchange in exchanges][-1] == 200


def test_a_server_with_another_clock_believes_no_ticket(late_apache: Apache, curl: Any, ticket: Any) -> None:
    assert curl(late_apache.url("/krb/echo"), "--negotiate", "-u", ":", env=ticket()).status == 401
    assert curl(late_apache.url("/basic/echo"), "-u", credentials("basic")).status == 200


def test_apache_does_ntlm_raw_and_in_negotiate(apache: Apache, bed: Bed, curl: Any, tmp_path: Path) -> None:
    users = tmp_path / "users"
    for password, status in ((PASSWORDS["ntlm"], 200), ("wrong", 401)):
        users.write_text(f"EXAMPLE:amy:{password}\n")
        answer = curl(apache.url("/ntlm/echo"), "--negotiate", "-u", ":", env={"NTLM_USER_FILE": str(users)})
        assert answer.status == status
        if status == 200:
            assert answer.json["user"].lower().endswith("amy")
    for path in ("/ntlm/echo", "/iwa/echo"):
        for scheme in ("NTLM", "Negotiate"):
            status, data = spnego_get(apache.url(path), bed.ca.file, "ntlm", scheme=scheme)
            assert (status, data["user"]) == (200, "EXAMPLE\\amy")
            assert spnego_get(apache.url(path), bed.ca.file, "ntlm", scheme=scheme, password="wrong")[0] == 401
    challenges = re.findall("(?i)www-authenticate: (.*)", curl(apache.url("/iwa/echo")).head)
    assert {challenge.split()[0] for challenge in challenges} == {"Negotiate", "NTLM"}


@pytest.mark.parametrize("way", ["host", "path", "path with TLS 1.2"])
def test_apache_wants_client_certificates(apache: Apache, bed: Bed, curl: Any, way: str) -> None:
    url = {
        "host": apache.url("/pki-host/echo", "certificate"),
        "path": apache.url("/pki/echo"),
        "path with TLS 1.2": apache.url("/pki-tls12/echo", "tls12"),
    }[way]
    amy = bed.ca.client(CERTIFICATE_USER).combined_file
    assert curl(url, "--cert", amy).json["user"] == CERTIFICATE_USER
    assert curl(url, "--cert", amy, "-d", "x" * 1000).json["length"] == 1000
    for wrong in (bed.ca.expired(CERTIFICATE_USER), bed.ca.untrusted(CERTIFICATE_USER)):
        refused = curl(url, "--cert", wrong.combined_file)
        assert refused.exit_status
        assert not refused.body
    none = curl(url)
    assert none.exit_status or none.status == 403
    assert "echo" not in none.body


def test_a_long_body_is_refused_where_the_certificate_is_asked_for_by_path(apache: Apache, bed: Bed, curl: Any) -> None:
    amy = bed.ca.client(CERTIFICATE_USER).combined_file
    sent = ("--data-binary", f"@{found('squid')}", "-H", "Expect:")
    assert curl(apache.url("/pki/echo"), "--cert", amy, *sent).status == 413
    assert curl(apache.url("/pki-host/echo", "certificate"), "--cert", amy, *sent).status == 200


def test_uploads_arrive_whole(apache: Apache, curl: Any, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"0123456789abcdef" * 65536)
    for framing in ("X-Nothing: 1", "Transfer-Encoding: chunked"):
        arrived = curl(apache.url("/basic/echo"), "-u", credentials("basic"), "--data-binary", f"@{file}", "-H", framing).json
        assert (arrived["method"], arrived["path"], arrived["length"]) == ("POST", "/basic/echo", 1 << 20)


def test_nobody_can_say_who_he_is(apache: Apache, curl: Any) -> None:
    assert curl(apache.url("/open/echo"), "-H", "X-Remote-User: bob").json["user"] == ""


def test_the_names_of_the_bed_lead_to_it(apache: Apache, names: None) -> None:
    for name in NAMES:
        with socket.create_connection((name, apache.ports["http"]), 10) as sock:
            assert sock.getpeername()[0] == "127.0.0.1"


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.path)
def test_each_way_leads_to_a_portal_that_is_called_so(apache: Apache, scheme: Any) -> None:
    portal = apache.portal(scheme.path)
    assert portal.portal_url == apache.url(f"/{scheme.path}/portal", scheme.port)


def test_the_portal_behind_apache_knows_whom_it_let_in(apache: Apache, curl: Any) -> None:
    portal = apache.portal("basic")
    asked = (portal.portal_url + "/sharing/rest/community/self?f=json", "-u", credentials("basic"))
    assert curl(*asked).json["username"] == "amy"
    info = curl(portal.server_url + "/rest/info?f=json", "-u", credentials("basic")).json
    assert info["owningSystemUrl"] == portal.portal_url
    assert curl(portal.layer_url + "/query?where=1%3D1&returnCountOnly=true&f=json", "-u", credentials("basic")).json == {
        "count": 355
    }


# -- KDC, directory ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "user, password, message",
    [
        ("amy", "wrong", "Password incorrect"),
        ("nobody", "x", "not found in Kerberos database"),
        (STALE, PASSWORDS["krb"], "[Pp]assword"),
    ],
)
def test_the_kdc_refuses(kdc: Kdc, tmp_path: Path, user: str, password: str, message: str) -> None:
    with pytest.raises(ServerError, match=message):
        kdc.kinit(tmp_path / "cache", user, password)


@pytest.mark.parametrize("user, password", [("amy", ""), ("amy", PASSWORDS["krb"]), (UTF8_USER, UTF8_PASSWORDS["krb"])])
def test_the_kdc_gives_tickets(kdc: Kdc, tmp_path: Path, user: str, password: str) -> None:
    kdc.kinit(tmp_path / "cache", user, password)
    assert (tmp_path / "cache").stat().st_size


def test_the_directory_checks_passwords(slapd: Slapd) -> None:
    for password, status in ((PASSWORDS["ldap"], 0), ("wrong", 49)):
        command = [found("ldapwhoami"), "-x", "-H", slapd.url, "-D", f"uid=amy,{BASE}", "-w", password]
        assert subprocess.run(command, env=clean({}), capture_output=True, timeout=20).returncode == status


# -- lighttpd, nginx -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["digest256", "digest-both", "digest-userhash"])
def test_lighttpd_does_sha256(lighttpd: Lighttpd, curl: Any, path: str) -> None:
    url = lighttpd.url(f"/{path}/echo")
    head = curl(url).head
    assert "algorithm=SHA-256" in head
    assert head.lower().count("www-authenticate: digest") == (2 if path == "digest-both" else 1)
    assert ("userhash=true" in head) is (path == "digest-userhash")
    answer = curl(url, "--digest", "-u", credentials("digest"))
    assert answer.json["user"] == "amy"
    assert curl(url, "--digest", "-u", "amy:wrong").status == 401


def test_lighttpd_does_kerberos(lighttpd: Lighttpd, curl: Any, ticket: Any) -> None:
    url = lighttpd.url("/krb/echo")
    assert curl(url).status == 401
    assert curl(url, "--negotiate", "-u", ":", env=ticket()).json["user"] == "amy@EXAMPLE.TEST"


def test_nginx_asks_to_wait(nginx: Nginx, curl: Any) -> None:
    answers = [curl(nginx.url("/limited/echo")) for _ in range(3)]
    waits = [answer for answer in answers if answer.status == 429]
    assert waits
    assert all("retry-after: 1" in answer.head.lower() for answer in waits)


def test_nginx_wants_a_certificate_in_its_own_way(nginx: Nginx, bed: Bed, curl: Any) -> None:
    url = nginx.url("/echo", certificate=True)
    assert CERTIFICATE_USER in curl(url, "--cert", bed.ca.client(CERTIFICATE_USER).combined_file).json["user"]
    assert "No required SSL certificate was sent" in curl(url).body
    assert curl(url, "--cert", bed.ca.untrusted(CERTIFICATE_USER).combined_file).status == 400


# -- proxies -------------------------------------------------------------------------------------------------------------

PROXY_WAYS = {
    "basic": ["--proxy-basic"],
    "digest": ["--proxy-digest"],
    "ntlm": ["--proxy-ntlm"],
    "negotiate": ["--proxy-negotiate"],
    "tls-basic": ["--proxy-basic"],
}


@pytest.mark.parametrize("target", ["http", "https"])
@pytest.mark.parametrize("way", PROXY_WAYS)
def test_squid_checks_who_it_is(squid: Squid, apache: Apache, curl: Any, ticket: Any, way: str, target: str) -> None:
    url = apache.url("/open/echo", target)
    env = {**ticket(), **_hosts(squid)} if way == "negotiate" else _hosts(squid)
    proxy = ["-x", squid.url(way), *PROXY_WAYS[way]]
    right, wrong = ("-U", credentials("proxy")), ("-U", "amy:wrong")
    if way == "negotiate":
        right = wrong = ("-U", ":")
    elif way == "ntlm":
        right = ("-U", f"EXAMPLE\\amy:{PASSWORDS['ntlm']}")
    assert curl(url, *proxy, *right, env=env).json["method"] == "GET"
    refused = curl(url, *proxy, *wrong, env=_hosts(squid))
    assert "407" in refused.head.splitlines()[-1] + refused.head
    assert not refused.body.startswith("{")


@pytest.mark.parametrize("way", ["open", "tls"])
def test_squid_lets_everybody_through_where_it_is_open(squid: Squid, apache: Apache, curl: Any, way: str) -> None:
    for target in ("http", "https"):
        assert curl(apache.url("/open/echo", target), "-x", squid.url(way), env=_hosts(squid)).status == 200


def test_socks_checks_the_password(socks: Socks, apache: Apache, curl: Any) -> None:
    url = apache.url("/open/echo")
    for proxy in (socks.url(), socks.open_url()):
        assert curl(url, "-x", proxy).status == 200
    assert curl(url, "-x", socks.url(userinfo="amy:wrong")).exit_status == 97


def _hosts(squid: Squid) -> dict[str, str]:
    """With these, a process finds the names of the bed."""
    return {"LD_PRELOAD": found("libnss_wrapper.so"), "NSS_WRAPPER_HOSTS": str(squid.folder / "hosts")}


# -- channel bindings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["ntlm", "kerberos"])
@pytest.mark.parametrize("bound", ["right", "wrong", "absent"])
def test_the_acceptor_wants_the_right_channel(epa: Epa, bed: Bed, ticket: Any, protocol: str, bound: str) -> None:
    ticket()
    certificate = {"right": bed.ca.server(GIS), "wrong": bed.ca.server("elsewhere.test"), "absent": None}[bound]
    der = certificate.cert_der if certificate else None
    status, data = spnego_get(epa.url("/require/"), bed.ca.file, protocol, der)
    assert status == (200 if bound == "right" else 401), data
    if bound == "right":
        assert (data["mechanism"], "amy" in data["user"].lower()) == (protocol, True)
    assert spnego_get(epa.url("/ignore/"), bed.ca.file, protocol, None)[0] == 200


def test_interception_changes_the_certificate(intercept: Any, epa: Epa, bed: Bed, curl: Any) -> None:
    assert curl(epa.url("/ignore/"), "-x", intercept.url).status == 401
    # What a client sees behind the proxy is not what the server binds to.
    assert spnego_get(epa.url("/require/"), bed.ca.file, "ntlm", intercept.certificate)[0] == 401
    own = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", epa.port)))
    assert own == bed.ca.server(GIS).cert_der != intercept.certificate
