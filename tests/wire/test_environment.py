"""What the environment may decide: proxies and CA bundles, only where it is trusted and nothing was said explicitly."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from esri_http import EsriSession
from esri_http.wire.proxies import bypasses, choose_proxy
from esri_http.words import errors
from esri_http.words.urls import origin_of

from ..support.certificates import CertificateAuthority
from ..support.http_messages import RecordedRequest, Reply
from ..support.peers import HandlerPeer
from ..support.proxies import ProxyPeer

MakeHandler = Callable[..., HandlerPeer]
MakeProxy = Callable[..., ProxyPeer]

on_posix = pytest.mark.skipif(os.name != "posix", reason="the names of variables have no case here")


def answer_ok(request: RecordedRequest) -> Reply:
    return Reply(body="ok")


def session(**options: Any) -> EsriSession:
    return EsriSession(**{"retries": 0, "timeout": 10, **options})


@pytest.fixture
def plain(handler_peer: MakeHandler) -> HandlerPeer:
    """An origin without TLS."""
    return handler_peer(answer_ok)


@pytest.fixture
def secure(handler_peer: MakeHandler) -> HandlerPeer:
    """An origin with TLS."""
    return handler_peer(answer_ok, tls=True)


@pytest.fixture
def proxy(proxy_peer: MakeProxy) -> ProxyPeer:
    """A proxy that the tests name in the environment."""
    return proxy_peer()


# -- proxies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_used_for_http(
    monkeypatch: pytest.MonkeyPatch, plain: HandlerPeer, proxy: ProxyPeer, name: str
) -> None:
    monkeypatch.setenv(name, proxy.url)
    with session() as obedient:
        assert obedient.get(plain.url).text == "ok"
    assert len(proxy.requests) == 1


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_used_for_https(
    monkeypatch: pytest.MonkeyPatch, secure: HandlerPeer, proxy: ProxyPeer, ca: CertificateAuthority, name: str
) -> None:
    monkeypatch.setenv(name, f"127.0.0.1:{proxy.port}")
    with session(ca_bundles=ca.file) as obedient:
        assert obedient.get(secure.url).text == "ok"
    assert proxy.tunnels == [f"127.0.0.1:{secure.port}"]


@pytest.mark.parametrize("name", ["https_proxy", "FTP_PROXY", "socks_proxy", "my_http_proxy", "http_proxy_"])
def test_variables_for_other_things_change_nothing(
    monkeypatch: pytest.MonkeyPatch, plain: HandlerPeer, proxy: ProxyPeer, name: str
) -> None:
    monkeypatch.setenv(name, proxy.url)
    with session() as obedient:
        assert obedient.get(plain.url).text == "ok"
    assert proxy.requests == []


def test_without_trust_the_environment_names_no_proxy(
    monkeypatch: pytest.MonkeyPatch, plain: HandlerPeer, proxy: ProxyPeer
) -> None:
    monkeypatch.setenv("http_proxy", proxy.url)
    with session(trust_env=False) as independent:
        assert independent.get(plain.url).ok
        assert proxy.requests == []
        independent.trust_env = True
        assert independent.get(plain.url).ok
        assert len(proxy.requests) == 1
        independent.trust_env = False
        assert independent.get(plain.url).ok
        assert len(proxy.requests) == 1


def test_what_is_said_explicitly_beats_the_environment(
    monkeypatch: pytest.MonkeyPatch, plain: HandlerPeer, proxy: ProxyPeer, proxy_peer: MakeProxy
) -> None:
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", "*")
    explicit = proxy_peer()
    with session(proxies={"http": explicit.url}) as decided:
        decided.get(plain.url)
        assert (len(explicit.requests), len(proxy.requests)) == (1, 0)
        monkeypatch.delenv("no_proxy")
        decided.proxies = {"http": None}
        decided.get(plain.url)
        decided.proxies = {"http://127.0.0.1": None}
        decided.get(plain.url)
        assert (len(explicit.requests), len(proxy.requests), len(plain.requests)) == (1, 0, 3)
        decided.proxies = {"https": explicit.url}
        decided.get(plain.url)
        decided.get(plain.url, proxies={"http": explicit.url})
    assert (len(explicit.requests), len(proxy.requests), len(plain.requests)) == (2, 1, 5)


@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch, plain: HandlerPeer, value: str) -> None:
    for name in ("http_proxy", "all_proxy", "no_proxy"):
        monkeypatch.setenv(name, value)
    with session() as obedient:
        assert obedient.get(plain.url).text == "ok"


@on_posix
def test_the_lower_case_variable_wins(monkeypatch: pytest.MonkeyPatch, plain: HandlerPeer, proxy_peer: MakeProxy) -> None:
    lower, upper = proxy_peer(), proxy_peer()
    monkeypatch.setenv("http_proxy", lower.url)
    monkeypatch.setenv("HTTP_PROXY", upper.url)
    with session() as obedient:
        obedient.get(plain.url)
    assert (len(lower.requests), len(upper.requests)) == (1, 0)


def test_the_variable_of_the_scheme_beats_the_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://all.example:1")
    monkeypatch.setenv("HTTPS_PROXY", "http://https.example:2")
    assert str(choose_proxy(origin_of("https://gis.test/"), (), True)) == "http://https.example:2"
    assert str(choose_proxy(origin_of("http://gis.test/"), (), True)) == "http://all.example:1"


def test_under_cgi_the_variable_that_a_stranger_can_set_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, plain: HandlerPeer, proxy: ProxyPeer
) -> None:
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    with session() as under_cgi:
        assert under_cgi.get(plain.url).ok
    assert proxy.requests == []
    monkeypatch.delenv("REQUEST_METHOD")
    with session() as elsewhere:
        assert elsewhere.get(plain.url).ok
    assert len(proxy.requests) == 1


@on_posix
def test_under_cgi_the_other_variables_are_believed(
    monkeypatch: pytest.MonkeyPatch, plain: HandlerPeer, secure: HandlerPeer, proxy: ProxyPeer, ca: CertificateAuthority
) -> None:
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    with session(ca_bundles=ca.file) as under_cgi:
        assert under_cgi.get(plain.url).ok
        assert under_cgi.get(secure.url).ok
    assert len(proxy.requests) == 2


def test_credentials_in_a_variable_are_used_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, plain: HandlerPeer, proxy_peer: MakeProxy
) -> None:
    guarded = proxy_peer(credentials=("amy", "s3cret"))
    monkeypatch.setenv("http_proxy", f"http://amy:s3cret@127.0.0.1:{guarded.port}")
    with session() as obedient:
        assert obedient.get(plain.url).text == "ok"
    guarded.stop()
    with session() as obedient, pytest.raises(errors.ProxyError) as caught:
        obedient.get(plain.url)
    assert "s3cret" not in f"{caught.value!r}{caught.value}"
    assert "Proxy-Authorization" not in plain.requests[0].headers


# -- NO_PROXY ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "no_proxy, url, direct",
    [
        ("gis.test", "https://gis.test/", True),
        ("gis.test", "https://maps.gis.test/", True),
        ("gis.test", "https://notgis.test/", False),
        ("gis.test", "https://gis.test.evil/", False),
        (".gis.test", "https://maps.gis.test/", True),
        (".gis.test", "https://notgis.test/", False),
        ("*.gis.test", "https://maps.gis.test/", True),
        ("*.gis.test", "https://notgis.test/", False),
        ("*gis.test", "https://notgis.test/", False),
        ("GIS.Test", "https://gis.TEST/", True),
        ("gis.test.", "https://gis.test/", True),
        ("gis.test", "https://gis.test./", True),
        ("test", "https://gis.test/", True),
        ("est", "https://gis.test/", False),
        ("gis", "https://gis.test/", False),
        ("a.example, gis.test ,b.example", "https://gis.test/", True),
        ("a.example gis.test", "https://gis.test/", True),
        ("a.example,", "https://gis.test/", False),
        (",,", "https://gis.test/", False),
        (".", "https://gis.test/", False),
        ("", "https://gis.test/", False),
        ("*", "https://gis.test/", True),
        ("a.example,*", "https://gis.test/", True),
        ("gis.test:443", "https://gis.test/", True),
        ("gis.test:443", "https://gis.test:6443/", False),
        ("gis.test:6443", "https://maps.gis.test:6443/", True),
        ("gis.test:80", "http://gis.test/", True),
        ("gis.test:port", "https://gis.test/", False),
        ("127.0.0.1", "http://127.0.0.1:6080/", True),
        ("127.0.0.1:6080", "http://127.0.0.1:6080/", True),
        ("127.0.0.1:6080", "http://127.0.0.1:6443/", False),
        ("0.0.1", "http://127.0.0.1/", False),
        ("10.0.0.0/8", "https://10.20.30.40/", True),
        ("10.0.0.0/8", "https://11.0.0.1/", False),
        ("10.0.0.7/8", "https://10.20.30.40/", True),
        ("10.0.0.0/8", "https://gis.test/", False),
        ("10.0.0.0/99", "https://10.0.0.0/", False),
        ("0.0.0.0/0", "https://10.0.0.1/", True),
        ("::1", "https://[::1]/", True),
        ("[::1]", "https://[::1]:8443/", True),
        ("[::1]:8443", "https://[::1]:8443/", True),
        ("[::1]:8443", "https://[::1]/", False),
        ("0:0:0:0:0:0:0:1", "https://[::1]/", True),
        ("fd00::/8", "https://[fd12::1]/", True),
        ("fd00::/8", "https://[fe80::1]/", False),
        ("10.0.0.0/8", "https://[fd12::1]/", False),
        ("localhost", "http://localhost:8080/", True),
        ("münchen.test", "https://gis.test/", False),
    ],
)
def test_no_proxy_names_what_is_reached_directly(no_proxy: str, url: str, direct: bool) -> None:
    assert bypasses(origin_of(url), no_proxy) is direct


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_no_proxy_of_the_environment_is_obeyed(
    monkeypatch: pytest.MonkeyPatch, plain: HandlerPeer, proxy: ProxyPeer, name: str
) -> None:
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv(name, f"gis.test,127.0.0.1:{plain.port}")
    with session() as obedient:
        assert obedient.get(plain.url).ok
        assert proxy.requests == []
        assert obedient.get(plain.url_for("/", host="localhost")).ok
    assert len(proxy.requests) == 1


def test_no_proxy_is_read_in_time_that_grows_with_its_length_alone() -> None:
    origin = origin_of("https://gis.test/")
    assert not bypasses(origin, "a.example," * 20_000 + "*" * 20_000 + "x")


# -- CA bundles --------------------------------------------------------------------------------------------------------

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
every_ca_variable = pytest.mark.parametrize("name", CA_VARIABLES)


@every_ca_variable
def test_a_ca_bundle_of_the_environment_takes_the_place_of_certifi(
    monkeypatch: pytest.MonkeyPatch, secure: HandlerPeer, ca: CertificateAuthority, name: str
) -> None:
    monkeypatch.setenv(name, ca.file)
    with session() as obedient:
        assert obedient.get(secure.url).text == "ok"
    monkeypatch.setenv(name, ca.stranger_file)
    with session() as obedient, pytest.raises(errors.CertificateError):
        obedient.get(secure.url)


@every_ca_variable
def test_without_trust_the_environment_names_no_ca(
    monkeypatch: pytest.MonkeyPatch, secure: HandlerPeer, ca: CertificateAuthority, name: str
) -> None:
    monkeypatch.setenv(name, ca.file)
    with session(trust_env=False) as independent:
        with pytest.raises(errors.CertificateError):
            independent.get(secure.url)
        independent.trust_env = True
        assert independent.get(secure.url).ok
    assert len(secure.requests) == 1


@every_ca_variable
@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_explicit_trust_beats_the_ca_bundle_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, secure: HandlerPeer, ca: CertificateAuthority, name: str
) -> None:
    monkeypatch.setenv(name, ca.stranger_file)
    for options in ({"verify_cert": False}, {"verify_cert": ca.file}, {"ca_bundles": ca.file}):
        with session(**options) as decided:
            assert decided.get(secure.url).text == "ok", options
    monkeypatch.setenv(name, ca.file)
    for options in ({"verify_cert": ca.stranger_file}, {"ca_bundles": ca.stranger_file}):
        with session(**options) as decided, pytest.raises(errors.CertificateError):
            decided.get(secure.url)


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_explicit_trust_of_a_call_or_set_later_beats_the_environment(
    monkeypatch: pytest.MonkeyPatch, secure: HandlerPeer, ca: CertificateAuthority
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca.file)
    with session() as decided:
        for _ in range(2):
            assert decided.get(secure.url).ok
            with pytest.raises(errors.CertificateError):
                decided.get(secure.url, verify=True)
            with pytest.raises(errors.CertificateError):
                decided.get(secure.url, verify=ca.stranger_file)
            assert decided.get(secure.url, proxies={"https": None}).ok
        decided.verify_cert = True
        with pytest.raises(errors.CertificateError):
            decided.get(secure.url)
        decided.verify_cert = None
        assert decided.get(secure.url).ok
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca.stranger_file)
        decided.verify_cert = False
        assert decided.get(secure.url).ok


@every_ca_variable
def test_an_empty_ca_variable_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, secure: HandlerPeer, ca: CertificateAuthority, name: str
) -> None:
    monkeypatch.setenv(name, "")
    with session() as careful, pytest.raises(errors.CertificateError):
        careful.get(secure.url)
    with session(ca_bundles=ca.file) as trusting:
        assert trusting.get(secure.url).ok
    assert len(secure.requests) == 1


@every_ca_variable
def test_a_ca_variable_that_names_no_usable_file_is_an_error_that_names_both(
    monkeypatch: pytest.MonkeyPatch, secure: HandlerPeer, tmp_path: Path, name: str
) -> None:
    missing = str(tmp_path / "no-such-ca.pem")
    monkeypatch.setenv(name, missing)
    with session() as obedient, pytest.raises(errors.CertificateFileError) as caught:
        obedient.get(secure.url)
    assert missing in str(caught.value)
    assert secure.connections == 0


def test_the_first_of_the_ca_variables_wins(
    monkeypatch: pytest.MonkeyPatch, secure: HandlerPeer, ca: CertificateAuthority
) -> None:
    for name, value in zip(CA_VARIABLES, (ca.file, ca.stranger_file, ca.stranger_file)):
        monkeypatch.setenv(name, value)
    with session() as obedient:
        assert obedient.get(secure.url).ok


def test_variables_do_not_touch_an_ssl_context(
    monkeypatch: pytest.MonkeyPatch, secure: HandlerPeer, ca: CertificateAuthority
) -> None:
    for name in CA_VARIABLES:
        monkeypatch.setenv(name, ca.stranger_file)
    with session(verify_cert=ca.client_context()) as decided:
        assert decided.get(secure.url).ok


def test_a_ca_bundle_of_the_environment_goes_together_with_a_client_certificate(
    monkeypatch: pytest.MonkeyPatch, handler_peer: MakeHandler, ca: CertificateAuthority, tmp_path: Path
) -> None:
    peer = handler_peer(answer_ok, tls=True, client_certificate="required")
    bundle = tmp_path / "bundle.pem"
    shutil.copy(ca.file, bundle)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with session() as obedient:
        assert obedient.get(peer.url, cert=ca.client().combined_file).ok
    assert peer.requests[0].client_certificate is not None
