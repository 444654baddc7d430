"""Channel bindings (RFC 5929) against an acceptor that insists on them, as IIS does with extended protection."""

from __future__ import annotations

from typing import Any

import pytest

from esri_http import ArcGISLoginError, EsriHttpNtlmAuth, EsriKerberosAuth, EsriWindowsAuth, SignInError

from .epa import Epa, Intercept
from .people import DOMAIN, GIS, PASSWORDS, REALM, USER

pytestmark = [pytest.mark.real_server("epa"), pytest.mark.usefixtures("names")]


def ntlm(**options: Any) -> EsriHttpNtlmAuth:
    return EsriHttpNtlmAuth(None, f"{DOMAIN}\\{USER}", PASSWORDS["ntlm"], **options)


def kerberos(**options: Any) -> EsriKerberosAuth:
    return EsriKerberosAuth(username=f"{USER}@{REALM}", password=PASSWORDS["krb"], **options)


def windows(**options: Any) -> EsriWindowsAuth:
    return EsriWindowsAuth(None, f"{USER}@{REALM}", PASSWORDS["krb"], **options)


every_scheme = pytest.mark.parametrize("auth", [ntlm, kerberos, windows], ids=["ntlm", "kerberos", "windows"])


@every_scheme
def test_the_right_binding_is_sent_and_taken(epa: Epa, no_ticket: Any, open_session: Any, auth: Any) -> None:
    answer = open_session(auth()).post(epa.url(), data=b"x" * 100_000).json()
    assert (answer["user"].rpartition("\\")[2].partition("@")[0], answer["length"]) == (USER, 100_000)


def test_a_forced_token_is_bound_although_it_is_the_first_that_is_sent(epa: Epa, no_ticket: Any, open_session: Any) -> None:
    assert open_session(kerberos(force_preemptive=True)).get(epa.url()).json()["mechanism"] == "kerberos"


@every_scheme
def test_without_a_binding_it_is_refused_there_and_taken_elsewhere(
    epa: Epa, no_ticket: Any, open_session: Any, auth: Any
) -> None:
    session = open_session(auth(send_cbt=False))
    with pytest.raises(SignInError):
        session.get(epa.url())
    assert open_session(auth(send_cbt=False)).get(epa.url("/ignore/")).json()["user"]


@every_scheme
def test_by_address_the_binding_is_that_of_the_certificate_all_the_same(
    epa: Epa, no_ticket: Any, open_session: Any, auth: Any
) -> None:
    session = open_session(auth(), server_hostname={"127.0.0.1": GIS})
    assert session.get(epa.url().replace(GIS, "127.0.0.1")).json()["user"]


@every_scheme
def test_behind_something_that_opens_tls_the_binding_is_wrong(
    epa: Epa, intercept: Intercept, no_ticket: Any, open_session: Any, auth: Any
) -> None:
    through = {"proxies": {"https": intercept.url}}
    with pytest.raises((ArcGISLoginError, SignInError)) as caught:
        open_session(auth(), **through).get(epa.url())
    assert GIS in str(caught.value)
    assert open_session(auth(), **through).get(epa.url("/ignore/")).status_code in (200, 401)
    assert open_session(auth(send_cbt=False), **through).get(epa.url("/ignore/")).json()["user"]
