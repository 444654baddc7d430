"""What a survey says of TLS and of the proxy on the way, also where no connection can be had."""

from __future__ import annotations

import json
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest

from esri_http.survey.survey import Survey, survey
from esri_http.testing import EmbeddedPortal
from esri_http.wire.certificate_chain import Certificate, read_certificate
from esri_http.words.errors import ConfigurationError

from ..support.clock import FakeClock
from ..support.http_messages import Reply
from .helpers import check_anonymous, surveyed, way

DAY = 86400
whole_chain = pytest.mark.skipif(sys.version_info < (3, 10), reason="Python 3.9 shows the first certificate only")


def nothing(request: Any) -> Reply:
    return Reply(404)


def tls_of(found: Survey) -> Any:
    assert found.tls is not None
    return found.tls


def notes_of(tls: Any) -> list[str]:
    """Its notes, without the one that Python 3.9 is good for."""
    partly = [note for note in tls.notes if "only the first certificate" in note]
    assert bool(partly) is (sys.version_info < (3, 10))
    return [note for note in tls.notes if note not in partly]


# -- certificates --------------------------------------------------------------------------------------------------------


def test_the_certificate_is_described(ca: Any, handler_peer: Any) -> None:
    peer = handler_peer(nothing, tls=ca.server("localhost", "gis.example", "127.0.0.1"))
    tls = tls_of(survey(f"{peer.url}/portal", ca_bundles=ca.file))
    assert (tls.version, tls.trusted, tls.why_not, tls.client_certificate) == ("TLSv1.3", True, None, False)
    assert tls.cipher.startswith("TLS_")
    [leaf] = tls.chain
    assert "CN=localhost" in leaf.subject
    assert "esri_http tests" in leaf.issuer
    assert leaf.names == ("localhost", "gis.example", "127.0.0.1")
    assert leaf.days_left == 29
    assert leaf.not_before < leaf.not_after
    assert leaf.not_after.endswith("Z")
    assert notes_of(tls) == []


def test_nothing_follows_the_handshake_that_reads_the_chain(ca: Any, handler_peer: Any) -> None:
    peer = handler_peer(nothing, tls=True)
    survey(f"{peer.url}/portal", ca_bundles=ca.file)
    peer.wait_until(lambda: peer.connections == 2 and not peer._open)
    assert [request.connection for request in peer.requests] == [1, 1]
    assert peer.tls_failures == []
    for request in peer.requests:
        check_anonymous(request)


@whole_chain
def test_the_chain_is_shown_as_it_is_sent(ca: Any, handler_peer: Any) -> None:
    peer = handler_peer(nothing, tls=ca.chained_client("localhost"))
    tls = tls_of(survey(peer.url_for("/portal", host="localhost"), ca_bundles=ca.file))
    assert tls.trusted is True
    leaf, between = tls.chain
    assert leaf.issuer == between.subject != between.issuer
    assert between.names == ()


FAULTS = {
    "another CA": (lambda ca: ca.untrusted(), "nobody trusts this one"),
    "another name": (lambda ca: ca.wrong_name(), "it is for elsewhere.example, not for localhost"),
    "expired": (lambda ca: ca.expired(), "expired"),
}


@pytest.mark.parametrize("fault", list(FAULTS))
def test_a_certificate_that_is_not_believed_is_described_all_the_same(ca: Any, handler_peer: Any, fault: str) -> None:
    make, words = FAULTS[fault]
    peer = handler_peer(nothing, tls=make(ca))
    found = survey(peer.url_for("/portal", host="localhost"), ca_bundles=ca.file)
    tls = tls_of(found)
    assert (found.found, found.is_arcgis, tls.trusted, tls.client_certificate) == ("trouble", False, False, False)
    assert words in tls.why_not
    assert len(tls.chain) == 1
    assert tls.chain[0].days_left == (-2 if fault == "expired" else 29)
    assert peer.requests == []
    assert "verify" not in json.dumps(found.as_dict())


@pytest.mark.parametrize("days, words", [(0, None), (20, "ends in 9 days"), (40, "has expired")])
def test_days_left_are_counted_by_the_clock(ca: Any, handler_peer: Any, days: int, words: str | None) -> None:
    import time

    peer = handler_peer(nothing, tls=True)
    tls = tls_of(survey(f"{peer.url}/portal", ca_bundles=ca.file, clock=FakeClock(time.time() + days * DAY)))
    assert tls.chain[0].days_left == 29 - days
    assert len(notes_of(tls)) == (words is not None)
    assert all(words and words in note for note in notes_of(tls))


def test_a_name_that_was_given_for_an_address_is_the_one_that_counts(ca: Any, handler_peer: Any) -> None:
    peer = handler_peer(nothing, tls=ca.server("gis.example"))
    assert tls_of(survey(f"{peer.url}/portal", ca_bundles=ca.file, server_hostname="gis.example")).trusted is True
    tls = tls_of(survey(f"{peer.url}/portal", ca_bundles=ca.file, server_hostname="other.example"))
    assert "it is for gis.example, not for other.example" in tls.why_not


@pytest.mark.filterwarnings("ignore:Unverified HTTPS")
def test_unchecked_is_neither_trusted_nor_not(handler_peer: Any) -> None:
    peer = handler_peer(nothing, tls=True)
    tls = tls_of(survey(f"{peer.url}/portal", verify_cert=False))
    assert (tls.trusted, len(tls.chain)) == (None, 1)


def test_http_has_no_tls_and_a_note() -> None:
    with EmbeddedPortal(https=False) as portal:
        found = surveyed(portal.portal_url, portal)
    assert found.tls is None
    assert any("use https" in note for note in found.notes)


def test_what_is_no_certificate_is_read_as_none() -> None:
    unreadable = Certificate(None, None, None, None, None)
    assert [read_certificate(der) for der in (b"", b"\x30", b"\x30\x82\xff\xff", b"junk" * 100)] == [unreadable] * 4


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_a_damaged_certificate_raises_nothing(ca: Any, cut: int) -> None:
    der = ca.server().cert_der
    assert read_certificate(der[:-cut]).subject is None
    assert read_certificate(der[:cut] + b"\xff" + der[cut + 1 :]) is not None


def test_without_cryptography_there_are_dates_and_a_note(ca: Any, handler_peer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = handler_peer(nothing, tls=True)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    tls = tls_of(survey(f"{peer.url}/portal", ca_bundles=ca.file))
    [leaf] = tls.chain
    assert (leaf.subject, leaf.issuer, leaf.names, leaf.days_left) == (None, None, None, 29)
    assert any("pip install cryptography" in note for note in tls.notes)


# -- client certificates -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
def test_a_client_certificate_that_is_wanted_in_tls_is_told(ca: Any, scripted_peer: Any, version: Any) -> None:
    from ..support.peers import HandlerPeer

    context = ca.server_context(client_certificate="required")
    context.maximum_version = version
    with HandlerPeer(nothing, tls=context) as peer:
        found = survey(f"{peer.url}/portal", ca_bundles=ca.file)
        assert peer.requests == []
        assert all("certificate" in failure.lower() for failure in peer.tls_failures)
    is_certain = version is ssl.TLSVersion.TLSv1_3
    assert found.found == ("client certificate" if is_certain else "trouble")
    assert (found.is_arcgis, tls_of(found).client_certificate) == (is_certain, True if is_certain else None)
    assert way(found, "client certificate").ready is (True if is_certain else None)
    assert "client certificate" in found.words
    if is_certain:
        assert tls_of(found).trusted is True
        assert tls_of(found).chain
    else:
        assert any("could not be read" in note for note in tls_of(found).notes)


def test_one_that_is_only_asked_for_is_not_shown(ca: Any, handler_peer: Any) -> None:
    peer = handler_peer(nothing, tls=True, client_certificate="optional")
    survey(f"{peer.url}/portal", ca_bundles=ca.file)
    assert [request.client_certificate for request in peer.requests] == [None, None]


# -- proxies -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls_to_proxy", [False, True])
def test_all_of_it_goes_through_the_proxy(ca: Any, handler_peer: Any, proxy_peer: Any, tls_to_proxy: bool) -> None:
    peer = handler_peer(nothing, tls=ca.server("gis.example"))
    proxy = proxy_peer(names={"gis.example": ("127.0.0.1", peer.port)}, tls=tls_to_proxy)
    found = survey("gis.example/portal", ca_bundles=ca.file, proxies={"https": proxy.url})
    assert (found.proxy.url, found.proxy.source, found.proxy.note) == (proxy.url, "given", None)
    assert proxy.tunnels == ["gis.example:443"] * 2
    assert (tls_of(found).trusted, tls_of(found).chain[0].names) == (True, ("gis.example",))
    for request in proxy.requests:
        check_anonymous(request)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "all_proxy"])
def test_the_proxy_of_the_environment_is_named(
    ca: Any, handler_peer: Any, proxy_peer: Any, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    peer, proxy = handler_peer(nothing, tls=True), proxy_peer()
    monkeypatch.setenv(variable, proxy.url)
    found = survey(f"{peer.url}/portal", ca_bundles=ca.file)
    assert (found.proxy.url, found.proxy.source) == (proxy.url, "environment")
    assert len(proxy.tunnels) == 2
    for options, note in (({"trust_env": False}, "trust_env"), ({"proxies": {"https": None}}, "proxies=")):
        direct = survey(f"{peer.url}/portal", ca_bundles=ca.file, **options)
        assert (direct.proxy.url, direct.proxy.source) == (None, None)
        assert note in (direct.proxy.note or "")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    direct = survey(f"{peer.url}/portal", ca_bundles=ca.file)
    assert (direct.proxy.url, direct.proxy.note) == (
        None, "the proxy of the environment is not used, as NO_PROXY names 127.0.0.1",
    )  # fmt: skip
    assert len(proxy.tunnels) == 2


def test_a_proxy_is_signed_in_at_by_its_address_which_is_not_shown(ca: Any, handler_peer: Any, proxy_peer: Any) -> None:
    peer, proxy = handler_peer(nothing, tls=True), proxy_peer(credentials=("amy", "s3cret"))
    place = f"127.0.0.1:{proxy.port}"
    found = survey(f"{peer.url}/portal", ca_bundles=ca.file, proxies={"all": f"http://amy:s3cret@{place}"})
    assert (found.found, found.proxy.url, len(tls_of(found).chain)) == ("nothing", f"http://{place}", 1)
    assert "s3cret" not in json.dumps(found.as_dict())
    for request in peer.requests:
        check_anonymous(request)
    refused = survey(f"{peer.url}/portal", ca_bundles=ca.file, proxies={"all": f"http://{place}"})
    assert (refused.found, tls_of(refused).chain, len(refused.asked)) == ("trouble", (), 1)
    assert "wants a sign-in" in refused.words


def test_a_proxy_that_is_not_there_is_told(ca: Any, handler_peer: Any) -> None:
    peer = handler_peer(nothing, tls=True)
    found = survey(f"{peer.url}/portal", ca_bundles=ca.file, proxies={"all": "http://127.0.0.1:1"})
    assert (found.found, found.ways, peer.connections) == ("trouble", (), 0)
    assert "the proxy http://127.0.0.1:1" in found.words


def test_a_proxy_that_cannot_be_one_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        survey("https://h.example/portal", proxies={"all": "ftp://proxy"})


def test_plain_http_goes_through_the_proxy_too(handler_peer: Any, proxy_peer: Any) -> None:
    peer, proxy = handler_peer(nothing), proxy_peer()
    found = survey(f"{peer.url}/portal", proxies={"all": proxy.url})
    assert (found.found, len(proxy.requests), len(peer.requests)) == ("nothing", 2, 2)
