"""What a hostile server may answer to a handshake: each time one error of ours, promptly, with no secret and no lane lost."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from esri_http import EsriHttpError, EsriHttpNtlmAuth, EsriSession, EsriWindowsAuth, SignInError

from ..support.http_messages import RecordedRequest, Reply
from ..support.sessions import leased_lanes
from .helpers import assert_hidden

pytestmark = pytest.mark.usefixtures("no_realm")
PASSWORD = "s3cret-word"
SIGNATURE = b"NTLMSSP\x00"
FLAGS = 0xE28A8235


def type_2(
    info: bytes = b"\x00\x00\x00\x00", *, flags: int = FLAGS, kind: int = 2, offset: int = 56, length: int = -1
) -> bytes:
    """A challenge (MS-NLMP 2.2.1.2) with target information `info`, whose fields may lie."""
    size = len(info) if length < 0 else length
    head = SIGNATURE + struct.pack("<IHHII8s8sHHI", kind, 0, 0, 56, flags, b"\x11" * 8, b"\0" * 8, size, size, offset)
    return head + b"\x0a\x00\x63\x45\x00\x00\x00\x0f" + info


HOSTILE = {
    "empty": b"",
    "signature alone": SIGNATURE,
    "another signature": b"NTLMSSQ\x00" + type_2()[8:],
    "a negotiate message": type_2(kind=1),
    "an authenticate message": type_2(kind=3),
    "unknown message": type_2(kind=77),
    "cut in the head": type_2()[:20],
    "cut in the challenge": type_2()[:30],
    "no end of the pairs": type_2(b"\x01\x00\x04\x00A\x00B\x00"),
    "a pair longer than the rest": type_2(b"\x01\x00\xff\xffA\x00\x00\x00\x00\x00"),
    "an odd text": type_2(b"\x01\x00\x03\x00A\x00B\x00\x00\x00\x00"),
    "unknown pair": type_2(b"\x99\x00\x04\x00ABCD\x00\x00\x00\x00"),
    "a timestamp of two bytes": type_2(b"\x07\x00\x02\x00AB\x00\x00\x00\x00"),
    "information far behind the end": type_2(offset=60_000, length=60_000),
    "information in the head": type_2(offset=0, length=48),
    "no flags": type_2(flags=0),
    "all flags": type_2(flags=0xFFFFFFFF),
    "30 KiB": type_2(b"\x02\x00\x30\x75" + b"A" * 30_000 + b"\x00\x00\x00\x00"),
    "not NTLM at all": b"\x60\x82\x01\x00" + b"junk" * 40,
}


class Hostile:
    """A server that asks for NTLM and answers the first token with `field`."""

    def __init__(self) -> None:
        self.field = ""
        self.scheme = "NTLM"

    def __call__(self, request: RecordedRequest) -> Reply:
        sent = request.headers.get("Authorization")
        if sent is None:
            return Reply(401, {"WWW-Authenticate": self.scheme})
        if base64.b64decode(sent.split()[1])[8] == 3:
            return Reply(401, {"WWW-Authenticate": self.scheme})
        return Reply(401, {"WWW-Authenticate": f"{self.scheme} {self.field}".rstrip()})


@pytest.fixture
def hostile(handler_peer: Any) -> Any:
    server = Hostile()
    return server, handler_peer(server)


def attempt(url: str, auth: Any) -> EsriHttpError:
    with EsriSession(auth=auth, retries=0, timeout=10) as session:
        with pytest.raises(EsriHttpError) as caught:
            session.get(url)
        assert leased_lanes(session) == 0
    assert isinstance(caught.value, SignInError)
    assert caught.value.url == url
    assert_hidden([PASSWORD], caught.value, auth)
    return caught.value


@pytest.mark.parametrize("handler", [EsriHttpNtlmAuth, EsriWindowsAuth])
@pytest.mark.parametrize("scheme", ["NTLM", "Negotiate"])
@pytest.mark.parametrize("token", list(HOSTILE.values()), ids=list(HOSTILE))
def test_a_malformed_challenge_is_one_clear_error(hostile: Any, handler: Any, scheme: str, token: bytes) -> None:
    server, peer = hostile
    server.scheme, server.field = scheme, base64.b64encode(token).decode()
    attempt(peer.url + "/", handler(None, "AD\\amy", PASSWORD))
    assert len(peer.requests) <= 4


@pytest.mark.parametrize("field", ["!!!", "TlRMTVNTUAAC", "====", "TlRMTVNTUAACé", "A" * 60_001])
def test_what_is_not_base64_is_one_clear_error(hostile: Any, field: str) -> None:
    server, peer = hostile
    server.field = field
    attempt(peer.url + "/", EsriHttpNtlmAuth(None, "AD\\amy", PASSWORD))


def test_a_server_that_always_wants_another_leg_is_left(handler_peer: Any) -> None:
    token = base64.b64encode(type_2()).decode()
    peer = handler_peer(lambda request: Reply(401, {"WWW-Authenticate": f"NTLM {token}"}))
    attempt(peer.url + "/", EsriHttpNtlmAuth(None, "AD\\amy", PASSWORD))
    assert len(peer.requests) <= 5


@given(junk=some.binary(max_size=200), at=some.integers(0, 90))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_in_a_challenge_are_survived(junk: bytes, at: int) -> None:
    from esri_http.auth.handshake.security import NTLM, Identity, SecurityContexts

    context = SecurityContexts(Identity("AD\\amy", PASSWORD)).open(NTLM, "gis.example.com", None)
    context.step(None, None)
    good = type_2(b"\x02\x00\x04\x00A\x00D\x00\x00\x00\x00\x00")
    try:
        context.step(good[:at] + junk + good[at + len(junk) :], None)
    except SignInError as error:
        assert_hidden([PASSWORD], error)
