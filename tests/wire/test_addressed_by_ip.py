"""Servers that are dialled by address and known by name: SNI, certificate and Host are those of the name."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from esri_http import EsriSession
from esri_http.words import errors

from ..support.certificates import CertificateAuthority
from ..support.http_messages import RecordedRequest, Reply
from ..support.peers import HandlerPeer

MakeHandler = Callable[..., HandlerPeer]
NAME = "gis.example.com"

by_every_way = pytest.mark.parametrize(
    "of_session, of_call",
    [
        ({"server_hostname": NAME}, {}),
        ({"server_hostname": {"127.0.0.1": NAME}}, {}),
        ({"server_hostname": NAME.upper()}, {}),
        ({}, {"headers": {"Host": NAME}}),
        ({}, {"headers": {"host": NAME}}),
        ({}, {"headers": {"HOST": f"{NAME}:443"}}),
        ({"headers": {"Host": NAME}}, {}),
        ({"headers": {"host": NAME}}, {}),
    ],
    ids=["server_hostname", "per address", "upper case", "Host", "host", "HOST with port", "Host of the session", "host of it"],
)


def answer_ok(request: RecordedRequest) -> Reply:
    return Reply(body="ok")


def session(**options: Any) -> EsriSession:
    return EsriSession(**{"retries": 0, "timeout": 10, **options})


@by_every_way
def test_the_name_is_asked_for_verified_and_sent(
    handler_peer: MakeHandler, ca: CertificateAuthority, of_session: dict[str, Any], of_call: dict[str, Any]
) -> None:
    peer = handler_peer(answer_ok, tls=ca.server(NAME))
    with session(ca_bundles=ca.file, **of_session) as dialling:
        assert dialling.get(peer.url_for("/a"), **of_call).text == "ok"
        assert dialling.get(peer.url_for("/b"), **of_call).text == "ok"
    assert peer.server_names == [NAME]
    for request in peer.requests:
        (host,) = request.headers.get_all("Host")
        assert host.lower().partition(":")[0] == NAME


def test_the_host_field_of_server_hostname_has_the_port_that_is_dialled(
    handler_peer: MakeHandler, ca: CertificateAuthority
) -> None:
    peer = handler_peer(answer_ok, tls=ca.server(NAME))
    with session(ca_bundles=ca.file, server_hostname=NAME) as dialling:
        dialling.get(peer.url)
    assert peer.requests[0].headers["Host"] == f"{NAME}:{peer.port}"


@by_every_way
def test_a_certificate_for_another_name_is_refused(
    handler_peer: MakeHandler, ca: CertificateAuthority, of_session: dict[str, Any], of_call: dict[str, Any]
) -> None:
    for identity in (ca.wrong_name(), ca.server(), ca.untrusted(NAME)):
        peer = handler_peer(answer_ok, tls=identity)
        with session(ca_bundles=ca.file, **of_session) as dialling, pytest.raises(errors.CertificateError):
            dialling.get(peer.url, **of_call)
        assert peer.requests == []


def test_without_a_name_the_address_is_verified_and_nothing_asked_for(
    handler_peer: MakeHandler, ca: CertificateAuthority
) -> None:
    good, named = handler_peer(answer_ok, tls=True), handler_peer(answer_ok, tls=ca.server(NAME))
    with session(ca_bundles=ca.file) as dialling:
        assert dialling.get(good.url).text == "ok"
        with pytest.raises(errors.CertificateError, match=r"server_hostname="):
            dialling.get(named.url)
    assert good.server_names == named.server_names == [None]
    assert good.requests[0].headers["Host"] == f"127.0.0.1:{good.port}"
    assert named.requests == []


def test_a_wildcard_certificate_is_not_for_addresses(handler_peer: MakeHandler, ca: CertificateAuthority) -> None:
    peer = handler_peer(answer_ok, tls=ca.server("*.0.0.1", "*.example.com"))
    with session(ca_bundles=ca.file) as dialling:
        with pytest.raises(errors.CertificateError):
            dialling.get(peer.url)
        assert peer.requests == []
        assert dialling.get(peer.url, headers={"Host": NAME}).text == "ok"
        with pytest.raises(errors.CertificateError):
            dialling.get(peer.url, headers={"Host": f"deep.{NAME}"})


def test_a_name_of_a_call_holds_for_that_call_alone(handler_peer: MakeHandler, ca: CertificateAuthority) -> None:
    peer = handler_peer(answer_ok, tls=ca.server(NAME))
    with session(ca_bundles=ca.file) as dialling:
        assert dialling.get(peer.url, headers={"Host": NAME}).ok
        with pytest.raises(errors.CertificateError):
            dialling.get(peer.url)
        with pytest.raises(errors.CertificateError):
            dialling.get(peer.url, headers={"Host": "elsewhere.example"})
    assert len(peer.requests) == 1


def test_a_name_that_is_given_for_other_servers_changes_nothing(handler_peer: MakeHandler, ca: CertificateAuthority) -> None:
    peer = handler_peer(answer_ok, tls=True)
    for names in ({"10.0.0.7": NAME}, {"::1": NAME}, None, {}):
        with session(ca_bundles=ca.file, server_hostname=names) as dialling:
            assert dialling.get(peer.url).ok
    with session(ca_bundles=ca.file, server_hostname=NAME) as dialling:
        assert dialling.get(peer.url_for("/", host="localhost")).ok
    assert peer.server_names == [None] * 4 + ["localhost"]
    assert peer.requests[-1].headers["Host"] == f"localhost:{peer.port}"


def test_names_in_a_dict_may_stand_for_names_too(handler_peer: MakeHandler, ca: CertificateAuthority) -> None:
    peer = handler_peer(answer_ok, tls=ca.server(NAME))
    with session(ca_bundles=ca.file, server_hostname={"LOCALHOST": NAME}) as dialling:
        assert dialling.get(peer.url_for("/", host="localhost")).ok
    assert peer.server_names == [NAME]


def test_a_host_field_for_a_server_with_a_name_leaves_tls_alone(handler_peer: MakeHandler, ca: CertificateAuthority) -> None:
    peer = handler_peer(answer_ok, tls=True)
    with session(ca_bundles=ca.file) as dialling:
        assert dialling.get(peer.url_for("/", host="localhost"), headers={"Host": NAME}).ok
    assert peer.server_names == ["localhost"]
    assert peer.requests[0].headers.get_all("Host") == [NAME]


def test_over_plain_http_the_name_is_the_host_field(handler_peer: MakeHandler) -> None:
    peer = handler_peer(answer_ok)
    with session(server_hostname=NAME) as dialling:
        dialling.get(peer.url)
        dialling.get(peer.url, headers={"host": "other.example"})
    assert [request.headers.get_all("Host") for request in peer.requests] == [[f"{NAME}:{peer.port}"], ["other.example"]]


def test_a_redirect_elsewhere_does_not_take_the_host_field_along(handler_peer: MakeHandler, ca: CertificateAuthority) -> None:
    target = handler_peer(answer_ok, tls=True)
    peer = handler_peer(lambda request: Reply(302, {"Location": target.url_for("/there")}), tls=ca.server(NAME))
    with session(ca_bundles=ca.file) as dialling:
        assert dialling.get(peer.url, headers={"Host": NAME}).text == "ok"
    assert target.server_names == [None]
    assert target.requests[0].headers["Host"] == f"127.0.0.1:{target.port}"


def ipv6_works() -> bool:
    """Whether this machine has a loopback address in IPv6."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not ipv6_works(), reason="no IPv6 here")
def test_an_ipv6_address_is_verified_or_named_like_any_other(handler_peer: MakeHandler, ca: CertificateAuthority) -> None:
    good = handler_peer(answer_ok, tls=True, host="::1")
    named = handler_peer(answer_ok, tls=ca.server(NAME), host="::1")
    assert good.url.startswith("https://[::1]:")
    with session(ca_bundles=ca.file) as dialling:
        assert dialling.get(good.url).text == "ok"
        with pytest.raises(errors.CertificateError):
            dialling.get(named.url)
        assert dialling.get(named.url, headers={"Host": NAME}).text == "ok"
    for names in (NAME, {"::1": NAME}, {"[::1]": NAME}):
        with session(ca_bundles=ca.file, server_hostname=names) as dialling:
            assert dialling.get(named.url).text == "ok"
    assert good.requests[0].headers["Host"] == f"[::1]:{good.port}"
    assert named.server_names == [None] + [NAME] * 4
    assert len(named.requests) == 4


@pytest.mark.skipif(not ipv6_works(), reason="no IPv6 here")
def test_an_ipv6_host_field_is_no_name(handler_peer: MakeHandler, ca: CertificateAuthority) -> None:
    peer = handler_peer(answer_ok, tls=ca.server("::1"), host="127.0.0.1")
    with session(ca_bundles=ca.file) as dialling:
        assert dialling.get(peer.url, headers={"Host": "[::1]:443"}).text == "ok"
    assert peer.server_names == [None]


def test_contexts_of_the_users_own_verify_addresses_and_names(handler_peer: MakeHandler, ca: CertificateAuthority) -> None:
    good, named = handler_peer(answer_ok, tls=True), handler_peer(answer_ok, tls=ca.server(NAME))
    context = ca.client_context()
    with session(verify_cert=context) as dialling:
        assert dialling.get(good.url).ok
        assert dialling.get(named.url, headers={"Host": NAME}).ok
        with pytest.raises(errors.CertificateError):
            dialling.get(named.url)
    assert context.check_hostname
