"""The domain itself, asked by programs that are not ours: kinit, curl, and pyspnego without our handlers."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
import spnego

from .daemons import ServerError, clean
from .samba import AMY, DISABLED, DOMAIN, EXPIRED, LEFT, MUST_CHANGE, PROXY_NAME, WEB_NAME, ZOE, Account, ActiveDirectory
from .samba_web import DomainApache, DomainSquid

pytestmark = pytest.mark.real_server("samba")

WRONG = "not-the-password"


def curl(env: dict[str, str], *words: str) -> tuple[int, Any]:
    """The status, and what the JSON of the answer says; `None` where it is no JSON."""
    command = ["curl", "--silent", "--connect-to", f"{WEB_NAME}::127.0.0.1:", "--write-out", "\n%{http_code}", *words]
    done = subprocess.run(command, env=clean(env), capture_output=True, text=True, timeout=30, check=False)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body) if body.startswith("{") else None


def handshake(apache: DomainApache, user: str, password: str, scheme: str = "NTLM", protocol: str = "ntlm") -> list[int]:
    """The statuses of a sign-in by pyspnego alone."""
    context = ssl.create_default_context(cafile=apache.bed.ca.file)
    context.check_hostname = False
    connection = http.client.HTTPSConnection("127.0.0.1", apache.ports["https"], context=context, timeout=20)
    client = spnego.client(user, password, hostname=WEB_NAME, service="HTTP", protocol=protocol)
    statuses, token = [], client.step(None)
    while token:
        headers = {"Host": WEB_NAME, "Authorization": f"{scheme} {base64.b64encode(token).decode()}"}
        connection.request("GET", "/iwa/echo", headers=headers)
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
        fields = [field.partition(" ")[2] for field in answer.headers.get_all("WWW-Authenticate", [])]
        token = client.step(base64.b64decode("".join(fields))) if "".join(fields) and not client.complete else None
    connection.close()
    return statuses


@pytest.mark.parametrize("path", ["krb", "iwa"])
def test_a_ticket_of_kinit_signs_in(domain_apache: DomainApache, path: str, tmp_path: Path) -> None:
    env, ca = domain_apache.domain.kinit(tmp_path / "cache"), domain_apache.bed.ca.file
    status, seen = curl(env, "--cacert", ca, "--negotiate", "--user", ":", domain_apache.url(f"/{path}/echo"))
    assert (status, seen["user"]) == (200, AMY.principal)


@pytest.mark.parametrize("user", [AMY.name, AMY.down_level, AMY.principal, AMY.principal.lower()])
def test_winbindd_checks_ntlm(domain_apache: DomainApache, user: str) -> None:
    domain_apache.forget()
    assert handshake(domain_apache, user, AMY.password) == [401, 200]
    assert [exchange.status for exchange in domain_apache.exchanges()] == [401, 200]


def test_winbindd_checks_ntlm_of_a_name_and_a_password_that_are_not_ascii(domain_apache: DomainApache) -> None:
    assert handshake(domain_apache, ZOE.down_level, ZOE.password) == [401, 200]


def test_winbindd_checks_ntlm_in_spnego(domain_apache: DomainApache) -> None:
    assert handshake(domain_apache, AMY.down_level, AMY.password, "Negotiate", "negotiate") == [401, 200]
    assert handshake(domain_apache, AMY.down_level, AMY.password, "Negotiate", "ntlm") == [401, 200]


def test_each_wrong_password_is_counted_and_a_right_one_ends_the_count(
    active_directory: ActiveDirectory, domain_apache: DomainApache, tmp_path: Path
) -> None:
    ca = ["--cacert", domain_apache.bed.ca.file]
    counts = [active_directory.bad_password_count(ZOE)]
    assert handshake(domain_apache, ZOE.down_level, WRONG) == [401, 401]
    counts.append(active_directory.bad_password_count(ZOE))
    assert curl({}, *ca, "--user", f"{ZOE.name}:{WRONG}", domain_apache.url("/ldap/echo"))[0] == 401
    counts.append(active_directory.bad_password_count(ZOE))
    with pytest.raises(ServerError, match="Password incorrect"):
        active_directory.kinit(tmp_path / "cache", ZOE._replace(password=WRONG))
    counts.append(active_directory.bad_password_count(ZOE))
    active_directory.kinit(tmp_path / "cache", ZOE)
    assert [*counts, active_directory.bad_password_count(ZOE)] == [0, 1, 2, 3, 0]


@pytest.mark.parametrize(
    "account, message",
    [
        (EXPIRED, "Password expired"),
        (MUST_CHANGE, "Password expired"),
        (DISABLED, "credentials have been revoked"),
        (LEFT, "credentials have been revoked"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_accounts_that_may_not_sign_in_although_their_password_is_right(
    active_directory: ActiveDirectory, domain_apache: DomainApache, tmp_path: Path, account: Account, message: str
) -> None:
    with pytest.raises(ServerError, match=message):
        active_directory.kinit(tmp_path / "cache", account)
    assert handshake(domain_apache, account.down_level, account.password) == [401, 401]
    assert active_directory.bad_password_count(account) == 0


@pytest.mark.parametrize("account", [AMY, ZOE], ids=lambda account: account.name)
def test_basic_is_checked_in_the_directory(domain_apache: DomainApache, account: Account) -> None:
    words = ["--cacert", domain_apache.bed.ca.file, domain_apache.url("/ldap/echo"), "--user"]
    status, seen = curl({}, *words, f"{account.name}:{account.password}")
    assert (status, seen["user"]) == (200, account.name)
    assert curl({}, *words, f"{account.name}:")[0] == 401


@pytest.mark.parametrize("port, user", [("negotiate", AMY.principal), ("ntlm", AMY.down_level)])
def test_squid_asks_the_domain(
    domain_apache: DomainApache, domain_squid: DomainSquid, tmp_path: Path, port: str, user: str
) -> None:
    env = domain_apache.domain.kinit(tmp_path / "cache")
    who = ["--proxy-negotiate", "--proxy-user", ":"] if port == "negotiate" else ["--proxy-ntlm", "--proxy-user"]
    words = ["--resolve", f"{PROXY_NAME}:{domain_squid.ports[port]}:127.0.0.1", "--proxy", domain_squid.url(port), *who]
    target = ["--cacert", domain_apache.bed.ca.file, "--user", f"{AMY.name}:{AMY.password}", domain_apache.url("/ldap/echo")]
    right = [] if port == "negotiate" else [f"{AMY.down_level}:{AMY.password}"]
    before = len(domain_squid.users())
    assert curl(env, *words, *right, *target)[0] == 200
    assert domain_squid.users(before, 1) == [user]
    wrong = [] if port == "negotiate" else [f"{DOMAIN}\\nobody:{WRONG}"]
    assert curl({**env, "KRB5CCNAME": f"FILE:{tmp_path}/none"}, *words, *wrong, *target)[0] == 0
