"""Client certificates against Apache, for a host and for a path of it, in TLS 1.3 and 1.2, and against nginx."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from esri_http import ArcGISLoginError, CertificateFileError, EsriHttpError, EsriPKIAuth, EsriSession, TlsError

from ..support.certificates import CertificateAuthority
from ..support.pfx import SECRET, pfx
from .apache import Apache
from .nginx import Nginx
from .people import CERTIFICATE_USER, GIS

pytestmark = [pytest.mark.real_server("apache"), pytest.mark.usefixtures("names")]

PLACES = {"host": ("/pki-host/echo", "certificate"), "path": ("/pki/echo", "https"), "TLS 1.2": ("/pki-tls12/echo", "tls12")}
every_place = pytest.mark.parametrize("path, port", list(PLACES.values()), ids=list(PLACES))


@pytest.fixture
def ca(apache: Apache) -> CertificateAuthority:
    """The CA of the bed."""
    return apache.bed.ca


def forms(ca: CertificateAuthority, folder: Path) -> dict[str, Any]:
    """Every form of the same identity."""
    amy = ca.client(CERTIFICATE_USER)
    for encoding in ("aes", "3des"):
        (folder / f"{encoding}.pfx").write_bytes(pfx(amy, encoding=encoding))
    (folder / "open.p12").write_bytes(pfx(amy, None))
    return {
        "pair": (amy.cert_file, amy.key_file),
        "one file": amy.combined_file,
        "encrypted key": (amy.cert_file, ca.encrypted_key(amy, SECRET), SECRET),
        "pfx": (str(folder / "aes.pfx"), SECRET),
        "old pfx": (folder / "3des.pfx", SECRET),
        "open pfx": (str(folder / "open.p12"), None),
        "bytes": (pfx(amy), SECRET),
    }


@every_place
@pytest.mark.parametrize("form", ["pair", "one file", "encrypted key", "pfx", "old pfx", "open pfx", "bytes"])
def test_every_form_is_taken_everywhere(
    apache: Apache, ca: Any, open_session: Any, tmp_path: Path, path: str, port: str, form: str
) -> None:
    cert = forms(ca, tmp_path)[form]
    url = apache.url(path, port)
    for auth in (None, EsriPKIAuth(cert=cert), EsriPKIAuth(cert=cert, url=url)):
        session = open_session(auth, cert=cert if auth is None else None)
        assert session.get(url).json()["user"] == CERTIFICATE_USER
        assert session.get(url).json()["user"] == CERTIFICATE_USER
    assert open_session().get(url, cert=cert).json()["user"] == CERTIFICATE_USER


@every_place
def test_a_large_upload_gets_past_the_negotiation(apache: Apache, ca: Any, open_session: Any, path: str, port: str) -> None:
    url = apache.url(path, port)
    session = open_session(EsriPKIAuth(cert=ca.client(CERTIFICATE_USER).combined_file))
    apache.forget()
    assert session.post(url, data=b"x" * 1_000_000).json()["length"] == 1_000_000
    assert session.post(url, data=iter([b"y" * 50_000] * 20)).json()["length"] == 1_000_000
    sent = [(exchange.method, exchange.status) for exchange in apache.exchanges()]
    assert sent == [("GET", 200), ("POST", 200), ("POST", 200)]


@every_place
def test_without_one_it_is_an_error_that_says_so_and_is_not_sent_again(
    apache: Apache, open_session: Any, path: str, port: str
) -> None:
    session = open_session(retries=3, backoff_factor=0)
    url = apache.url(path, port)
    apache.forget()
    with pytest.raises(TlsError, match="cert="):
        session.get(url)
    assert len(apache.exchanges()) <= 1


@every_place
@pytest.mark.parametrize("kind", ["another CA", "expired", "wrong password"])
def test_a_certificate_that_cannot_work_is_an_error_that_says_why(
    apache: Apache, ca: Any, open_session: Any, tmp_path: Path, path: str, port: str, kind: str
) -> None:
    cert, error, says = {
        "another CA": (ca.untrusted(CERTIFICATE_USER).combined_file, EsriHttpError, "certificate"),
        "expired": (ca.expired(CERTIFICATE_USER).combined_file, CertificateFileError, "expired"),
        "wrong password": ((pfx(ca.client(CERTIFICATE_USER)), "no"), CertificateFileError, "password"),
    }[kind]
    apache.forget()
    with pytest.raises(error, match=says):
        open_session(EsriPKIAuth(cert=cert), retries=3, backoff_factor=0).get(apache.url(path, port)).raise_for_status()
    if error is CertificateFileError:
        assert apache.exchanges() == []


def test_nginx_says_it_in_a_page(nginx: Nginx, open_session: Any) -> None:
    url = nginx.url("/echo", certificate=True)
    ca = nginx.bed.ca
    amy = EsriPKIAuth(cert=ca.client(CERTIFICATE_USER).combined_file)
    assert CERTIFICATE_USER in open_session(amy).get(url).json()["user"]
    assert open_session(amy).post(url, data=b"x" * 1_000_000).json()["length"] == 1_000_000
    assert open_session().get(url).status_code == 400
    with pytest.raises(ArcGISLoginError, match="certificate"):
        open_session(EsriPKIAuth()).get(url)
    with pytest.raises((ArcGISLoginError, TlsError), match="certificate"):
        open_session(EsriPKIAuth(cert=ca.untrusted(CERTIFICATE_USER).combined_file)).get(url)


def test_two_identities_on_one_session_are_each_served_as_themselves(apache: Apache, ca: Any) -> None:
    url = apache.url(*PLACES["host"])
    amy, bob = (EsriPKIAuth(cert=ca.client(name).combined_file) for name in (CERTIFICATE_USER, "bob@example.test"))
    with EsriSession(ca_bundles=ca.file, retries=0) as session:
        for _ in range(3):
            assert session.get(url, auth=amy).json()["user"] == CERTIFICATE_USER
            assert session.get(url, auth=bob).json()["user"] == "bob@example.test"
            with pytest.raises(TlsError):
                session.get(url)


def test_by_address_the_given_name_is_verified_and_the_certificate_shown(apache: Apache, ca: Any, open_session: Any) -> None:
    cert = ca.client(CERTIFICATE_USER).combined_file
    session = open_session(cert=cert, server_hostname={"127.0.0.1": GIS})
    assert session.get(apache.url(*PLACES["host"]).replace(GIS, "127.0.0.1")).json()["user"] == CERTIFICATE_USER
