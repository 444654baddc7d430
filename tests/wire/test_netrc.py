"""netrc: for exactly the host that is asked, after everything explicit, and never anywhere else."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from esri_http import EsriBasicAuth, EsriSession
from esri_http.auth.netrc import find_entry

from ..support.http_messages import RecordedRequest, Reply
from ..support.peers import HandlerPeer

MakeHandler = Callable[..., HandlerPeer]
WriteNetrc = Callable[..., Path]

ENTRY = "machine 127.0.0.1 login amy password s3cret\n"


def answer_ok(request: RecordedRequest) -> Reply:
    return Reply(body="ok")


def session(*arguments: Any, **options: Any) -> EsriSession:
    return EsriSession(*arguments, **{"retries": 0, "timeout": 10, **options})


def signed_in_as(request: RecordedRequest) -> str | None:
    """User and password of Basic in a request."""
    field = request.headers.get("Authorization")
    return None if field is None else base64.b64decode(field.partition(" ")[2]).decode()


@pytest.fixture
def peer(handler_peer: MakeHandler) -> HandlerPeer:
    """A server at 127.0.0.1, which is localhost too."""
    return handler_peer(answer_ok)


@pytest.fixture
def netrc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> WriteNetrc:
    """`netrc(text)` writes the file that the variable NETRC names."""

    def write(text: str | bytes) -> Path:
        path = tmp_path / "my-netrc"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        monkeypatch.setenv("NETRC", str(path))
        return path

    return write


def asked(peer: HandlerPeer, used: EsriSession, url: str | None = None, **options: Any) -> str | None:
    """Who a GET signs in as."""
    with used:
        assert used.get(url or peer.url, **options).ok
    return signed_in_as(peer.requests[-1])


def test_a_whole_entry_for_the_host_signs_in(peer: HandlerPeer, netrc: WriteNetrc) -> None:
    netrc("machine other.example login bob password x\n" + ENTRY)
    assert asked(peer, session()) == "amy:s3cret"


@pytest.mark.parametrize("name", [".netrc", "_netrc"])
def test_the_file_of_the_home_folder_is_found(
    peer: HandlerPeer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text(ENTRY, encoding="ascii")
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    assert asked(peer, session()) == "amy:s3cret"


def test_without_trust_in_the_environment_there_is_no_netrc(peer: HandlerPeer, netrc: WriteNetrc) -> None:
    netrc(ENTRY)
    with session(trust_env=False) as independent:
        independent.get(peer.url)
        assert signed_in_as(peer.requests[-1]) is None
        independent.trust_env = True
        independent.get(peer.url)
        assert signed_in_as(peer.requests[-1]) == "amy:s3cret"


@pytest.mark.parametrize(
    "text",
    [
        "machine 127.0.0 login amy password s3cret",
        "machine 0.0.1 login amy password s3cret",
        "machine 127.0.0.11 login amy password s3cret",
        "machine .0.0.1 login amy password s3cret",
        "machine 127.0.0.1.example login amy password s3cret",
        "machine localhost login amy password s3cret",
        "default login amy password s3cret",
        "",
        "machine 127.0.0.1 login amy",
        "machine 127.0.0.1 password s3cret",
        "machine 127.0.0.1",
        'machine 127.0.0.1 login "" password ""',
        'machine 127.0.0.1 login amy password ""',
        "machine 127.0.0.1 login a:b password s3cret",
        "machine 127.0.0.1 login amy pass",
        "nonsense here",
        'machine 127.0.0.1 login "amy password s3cret',
        "machine",
        "\x00" * 50,
        b"\xff\xfe\x00machine 127.0.0.1",
        b"machine 127.0.0.1 login \xff\xfe password \xff",
    ],
)
def test_an_entry_for_others_a_part_of_one_or_a_damaged_file_is_none(
    peer: HandlerPeer, netrc: WriteNetrc, text: str | bytes
) -> None:
    netrc(text)
    assert asked(peer, session()) is None


def test_a_partial_entry_does_not_borrow_from_another_host(peer: HandlerPeer, netrc: WriteNetrc) -> None:
    netrc("machine 127.0.0.1 login amy\nmachine localhost login bob password b0b\ndefault login eve password 3ve\n")
    assert asked(peer, session()) is None


@pytest.mark.parametrize(
    "text",
    [
        "machine 127.0.0.1\n  login amy\n  password s3cret\n",
        "machine 127.0.0.1\r\n\tlogin amy\r\n\tpassword s3cret\r\n",
        "machine\n127.0.0.1\nlogin\namy\npassword\ns3cret",
        'machine 127.0.0.1 login "amy" password "s3cret"',
        'machine 127.0.0.1 login amy password "s\\3cret"',
        "machine 127.0.0.1 user amy account x password s3cret",
        "# comment machine 127.0.0.1 login eve password 3ve\n" + ENTRY,
        "machine 127.0.0.1 login amy # login eve\n password s3cret # password 3ve",
        "machine other login bob password #hash\n" + ENTRY,
        "macdef init\nmachine 127.0.0.1 login eve password 3ve\n\n" + ENTRY,
        ENTRY + "macdef endless\nnonsense",
        ENTRY + "machine 127.0.0.1 login eve password 3ve",
        "machine 127.0.0.2 login eve\n" + ENTRY + "default login eve password 3ve",
        b"\xef\xbb\xbf" + ENTRY.encode(),
    ],
)
def test_an_entry_is_found_however_it_is_written(peer: HandlerPeer, netrc: WriteNetrc, text: str | bytes) -> None:
    netrc(text)
    assert asked(peer, session()) == "amy:s3cret"


def test_an_entry_after_the_one_for_all_others_does_not_count(peer: HandlerPeer, netrc: WriteNetrc) -> None:
    netrc("default login eve password 3ve\n" + ENTRY)
    assert asked(peer, session()) is None


def test_the_entry_for_all_others_is_not_for_a_host_called_default() -> None:
    assert find_entry("default login amy password s3cret", "default") == {}
    assert find_entry("machine DEFAULT login amy", "default") == {"login": "amy"}


def test_a_hostile_file_is_read_in_time_that_grows_with_its_length_alone() -> None:
    for text in ("\n" * 300_000, "macdef x\n" * 30_000, '"' * 300_000, "machine x\n" * 30_000, '"\\' * 150_000, "#" * 300_000):
        try:
            assert find_entry(text, "gis.test") == {}
        except ValueError:
            pass


def test_a_file_that_is_missing_a_folder_or_unreadable_is_none(
    peer: HandlerPeer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for path in (tmp_path / "missing", tmp_path, tmp_path / "missing" / "deep"):
        monkeypatch.setenv("NETRC", str(path))
        assert asked(peer, session()) is None
    if os.name == "posix" and os.geteuid() != 0:
        path = tmp_path / "locked"
        path.write_text(ENTRY, encoding="ascii")
        path.chmod(0)
        monkeypatch.setenv("NETRC", str(path))
        assert asked(peer, session()) is None


def test_a_pipe_in_the_place_of_the_file_is_not_waited_for(
    peer: HandlerPeer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if sys.platform == "win32":
        pytest.skip("no named pipes in the file system")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv("NETRC", str(tmp_path / "pipe"))
    assert asked(peer, session()) is None


# -- after everything explicit -----------------------------------------------------------------------------------------


def test_explicit_sign_ins_win(peer: HandlerPeer, netrc: WriteNetrc) -> None:
    netrc(ENTRY)
    assert asked(peer, session(EsriBasicAuth(None, "bob", "b0b"))) == "bob:b0b"
    assert asked(peer, session(("bob", "b0b"))) == "bob:b0b"
    assert asked(peer, session(), auth=("bob", "b0b")) == "bob:b0b"
    assert asked(peer, session(), url=peer.url.replace("//", "//bob:b0b@")) == "bob:b0b"


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
def test_an_authorization_header_of_the_caller_wins(peer: HandlerPeer, netrc: WriteNetrc, name: str) -> None:
    netrc(ENTRY)
    for made, options in ((session(), {"headers": {name: "Bearer mine"}}), (session(headers={name: "Bearer mine"}), {})):
        with made:
            made.get(peer.url, **options)
        assert peer.requests[-1].headers.get_all("Authorization") == ["Bearer mine"]


def test_dropped_auth_is_dropped(peer: HandlerPeer, netrc: WriteNetrc) -> None:
    netrc(ENTRY)
    assert asked(peer, session(), drop_auth=True) is None


def test_a_handler_that_has_nothing_to_say_to_a_host_is_not_replaced(peer: HandlerPeer, netrc: WriteNetrc) -> None:
    netrc(ENTRY)
    elsewhere = EsriBasicAuth(None, "bob", "b0b", url="https://elsewhere.example/")
    assert asked(peer, session(elsewhere)) is None


def test_a_sign_in_that_is_taken_away_gives_way_to_netrc(peer: HandlerPeer, netrc: WriteNetrc) -> None:
    netrc(ENTRY)
    with session(("bob", "b0b")) as changing:
        changing.get(peer.url)
        changing.auth = None
        changing.get(peer.url)
    assert [signed_in_as(request) for request in peer.requests] == ["bob:b0b", "amy:s3cret"]


# -- nowhere else ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trusted", [False, True])
def test_a_redirect_takes_no_entry_along_and_finds_none(
    peer: HandlerPeer, handler_peer: MakeHandler, netrc: WriteNetrc, trusted: bool
) -> None:
    netrc(ENTRY + "machine localhost login bob password b0b\n")
    start = handler_peer(lambda request: Reply(302, {"Location": peer.url_for("/there", host="localhost")}))
    with session(trusted_origins=[peer.url_for("", host="localhost")] if trusted else ()) as led:
        assert led.get(start.url).text == "ok"
    assert signed_in_as(start.requests[0]) == "amy:s3cret"
    assert signed_in_as(peer.requests[0]) is None


def test_another_port_of_the_host_is_elsewhere_for_a_redirect(
    peer: HandlerPeer, handler_peer: MakeHandler, netrc: WriteNetrc
) -> None:
    netrc(ENTRY)
    start = handler_peer(lambda request: Reply(302, {"Location": peer.url_for("/there")}))
    with session() as led:
        assert led.get(start.url).text == "ok"
    assert signed_in_as(peer.requests[0]) is None


@pytest.mark.parametrize("userinfo", ["trusted.example:@", "trusted.example@", "trusted.example:x@"])
def test_the_host_that_is_looked_up_is_the_one_that_is_dialled(peer: HandlerPeer, netrc: WriteNetrc, userinfo: str) -> None:
    netrc("machine trusted.example login amy password s3cret\n")
    with session() as misled:
        misled.get(peer.url.replace("//", f"//{userinfo}"))
    request = peer.requests[0]
    assert "s3cret" not in (signed_in_as(request) or "")
    assert request.headers["Host"] == f"127.0.0.1:{peer.port}"


def test_a_host_header_does_not_change_whose_entry_is_taken(peer: HandlerPeer, netrc: WriteNetrc) -> None:
    netrc("machine trusted.example login amy password s3cret\n")
    assert asked(peer, session(), headers={"Host": "trusted.example"}) is None


def test_each_host_gets_its_own_entry(peer: HandlerPeer, netrc: WriteNetrc) -> None:
    netrc(ENTRY + "machine localhost login bob password b0b\n")
    with session() as both:
        both.get(peer.url)
        both.get(peer.url_for("/", host="localhost"))
        both.get(peer.url_for("/", host="LOCALHOST"))
    assert [signed_in_as(request) for request in peer.requests] == ["amy:s3cret", "bob:b0b", "bob:b0b"]


def test_entries_are_sent_in_utf_8_and_never_shown(
    peer: HandlerPeer, netrc: WriteNetrc, caplog: pytest.LogCaptureFixture
) -> None:
    netrc("machine 127.0.0.1 login jürgen password pässword\n")
    with caplog.at_level("DEBUG"), session() as used:
        answer = used.get(peer.url)
        assert signed_in_as(peer.requests[0]) == "jürgen:pässword"
        assert "pässword" not in f"{caplog.text}{used!r}{answer!r}{answer.request!r}"
    assert "Basic" not in caplog.text
