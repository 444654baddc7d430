"""`esri-http get|post|put|delete|head`: what is sent, and where the answer goes."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from esri_http.testing import EmbeddedPortal, faults, pattern_sha256
from tests.support.peers import HandlerPeer, Reply, json_reply

from .support import PROGRAM, run

Peers = Callable[..., HandlerPeer]


def last(peer: HandlerPeer) -> Any:
    """The request that came last."""
    return peer.requests[-1]


def test_json_goes_into_a_pipe_as_it_came(handler_peer: Peers) -> None:
    body = b'{"b":1,\n  "a": "\xc3\xa9\xc2\x9b"}'
    peer = handler_peer(lambda request: Reply(200, {"Content-Type": "application/json"}, body))
    done = run("get", peer.url)
    assert (done.status, done.raw, done.err) == (0, body, "")


def test_the_format_is_asked_for_where_nobody_says_another(handler_peer: Peers) -> None:
    peer = handler_peer(lambda request: json_reply({}))
    for arguments, target in [
        (("get", "/a"), "/a?f=json"),
        (("get", "/a?f=html"), "/a?f=html"),
        (("get", "/a?x=1", "-F", "f=pbf", "-F", "y=2=3"), "/a?x=1&f=pbf&y=2%3D3"),
        (("get", "/a", "--raw"), "/a"),
        (("delete", "/a"), "/a?f=json"),
        (("post", "/a", "-d", "x"), "/a"),
    ]:
        command, path, *rest = arguments
        assert run(command, peer.url + path, *rest).status == 0
        assert (last(peer).method, last(peer).target) == (command.upper(), target)


@pytest.mark.parametrize("command", ["post", "put"])
def test_fields_are_a_form(command: str, handler_peer: Peers) -> None:
    peer = handler_peer(lambda request: json_reply({}))
    assert run(command, peer.url + "/a", "-F", "where=1=1", "-F", "name=@@amy é").status == 0
    assert last(peer).headers["content-type"] == "application/x-www-form-urlencoded"
    assert last(peer).body == b"where=1%3D1&name=%40amy%20%C3%A9&f=json"


def test_a_field_that_is_a_file_goes_out_as_multipart(handler_peer: Peers, tmp_path: Path) -> None:
    peer = handler_peer(lambda request: json_reply({}))
    file = tmp_path / "roads.csv"
    file.write_bytes(b"a,b\n")
    assert run("post", peer.url + "/a", "-F", f"file=@{file}", "-F", "title=Roads").status == 0
    assert last(peer).headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="file"; filename="roads.csv"\r\nContent-Type: text/csv\r\n\r\na,b\n\r\n' in last(peer).body
    assert b'name="title"\r\n\r\nRoads\r\n' in last(peer).body


@pytest.mark.parametrize(
    "data, kind",
    [
        ('{"a": 1}', "application/json"),
        (" [1]", "application/json"),
        ("a=1&b=2", "application/x-www-form-urlencoded"),
    ],
)
def test_data_is_the_body_as_it_is(data: str, kind: str, handler_peer: Peers) -> None:
    peer = handler_peer(lambda request: json_reply({}))
    assert run("post", peer.url + "/a", "-d", data).status == 0
    assert (last(peer).body, last(peer).headers["content-type"]) == (data.encode(), kind)


def test_data_may_be_a_file_or_the_input(handler_peer: Peers, tmp_path: Path) -> None:
    peer = handler_peer(lambda request: json_reply({}))
    file = tmp_path / "a.geojson"
    file.write_bytes(b"\0\xff" * 100_000)
    assert run("put", peer.url + "/a", "-d", f"@{file}").status == 0
    assert (last(peer).body, last(peer).headers["content-type"]) == (file.read_bytes(), "application/geo+json")
    assert run("put", peer.url + "/a", "-d", "@-", "-H", "content-type: x/y", given=b"from the input").status == 0
    assert (last(peer).body, last(peer).headers["content-type"]) == (b"from the input", "x/y")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name")
def test_a_body_that_is_no_file_is_told_at_once(handler_peer: Peers, tmp_path: Path) -> None:
    """Opening a pipe would wait for somebody who writes into it."""
    os.mkfifo(tmp_path / "pipe")
    for option in (f"-F=a=@{tmp_path / 'pipe'}", f"-d=@{tmp_path}"):
        done = run("post", handler_peer(lambda request: json_reply({})).url, option)
        assert (done.status, done.out) == (6, "")
        assert "is not a file" in done.err


def test_no_input_and_bytes_that_are_no_text_are_wrong_usage(handler_peer: Peers) -> None:
    peer = handler_peer(lambda request: json_reply({}))
    closed = ("-c", "import os, sys; sys.stdin = None; from esri_http.cli import main; sys.exit(main())")
    for data, program, problem in [("@-", closed, "there is none"), ("\udcff", PROGRAM, "-d @FILE")]:
        done = run("post", peer.url, "-d", data, program=program)
        assert (done.status, done.out) == (2, "")
        assert problem in done.err.splitlines()[0]
    assert peer.requests == []


def test_header_fields_are_sent(handler_peer: Peers) -> None:
    peer = handler_peer(lambda request: json_reply({}))
    assert run("get", peer.url, "-H", "X-One: 1:2", "-H", "x-two:2").status == 0
    assert (last(peer).headers["x-one"], last(peer).headers["x-two"]) == ("1:2", "2")


def test_head_shows_status_and_header_fields(handler_peer: Peers) -> None:
    peer = handler_peer(lambda request: Reply(200, {"X-Made-By": "us"}))
    done = run("head", peer.url)
    assert done.status == 0
    assert done.out.startswith("HTTP 200 OK\n")
    assert "\nX-Made-By: us\n" in done.out


def test_include_shows_status_and_header_fields_before_the_content(handler_peer: Peers) -> None:
    peer = handler_peer(lambda request: Reply(200, {"X-Made-By": "us"}, b'{"a":1}'))
    done = run("get", peer.url, "-i")
    head, _, body = done.out.partition("\n\n")
    assert head.startswith("HTTP 200 OK\n")
    assert body == '{"a":1}'


def test_a_large_answer_is_not_held_in_memory(portal: EmbeddedPortal) -> None:
    """It is larger than all that the process may have."""
    limited = (
        "import resource, sys; from esri_http.cli import main; resource.setrlimit(resource.RLIMIT_DATA, (100 << 20,) * 2);"
        " sys.exit(main())"
    )
    done = run("get", portal.public_image_url, "--raw", "-F", f"size={200 << 20}", "-o", os.devnull, program=("-c", limited))
    assert (done.status, done.err) == (0, "")


def test_an_answer_is_written_into_a_file(portal: EmbeddedPortal, tmp_path: Path) -> None:
    file = tmp_path / "image.tif"
    file.write_bytes(b"old")
    file.chmod(0o640)
    done = run("get", portal.public_image_url, "-F", "size=300000", "-F", "f=image", "-o", str(file))
    assert (done.status, done.out, done.err) == (0, "", "")
    assert hashlib.sha256(file.read_bytes()).hexdigest() == pattern_sha256(300_000)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["image.tif"]


def test_a_link_to_a_file_is_written_through_and_so_is_one_to_the_output(portal: EmbeddedPortal, tmp_path: Path) -> None:
    file, link = tmp_path / "elsewhere", tmp_path / "link"
    link.symlink_to(file.name)
    image = ("get", portal.public_image_url, "-F", "size=1000", "-F", "f=image")
    assert run(*image, "-o", str(link)).status == 0
    assert (link.is_symlink(), hashlib.sha256(file.read_bytes()).hexdigest()) == (True, pattern_sha256(1000))
    assert run(*image, "-o", "/dev/stdout").raw == file.read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "link"]


@pytest.mark.parametrize("fault", [faults.reset(after_bytes=100_000), faults.arcgis_error(500), faults.status(404)])
def test_the_file_stays_as_it_was_where_the_answer_is_no_success(fault: Any, portal: EmbeddedPortal, tmp_path: Path) -> None:
    file = tmp_path / "image.tif"
    file.write_bytes(b"old")
    portal.faults.add("/exportImage", fault, times=None)
    done = run("get", portal.public_image_url, "-F", "size=300000", "-F", "f=image", "-o", str(file))
    assert done.status in (4, 5)
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["image.tif"]


def test_nothing_is_sent_where_the_answer_would_be_lost(handler_peer: Peers, tmp_path: Path) -> None:
    peer = handler_peer(lambda request: json_reply({}))
    for place in (tmp_path / "missing" / "file", tmp_path, tmp_path / ("x" * 250)):
        done = run("delete", peer.url, "-o", str(place))
        assert (done.status, done.out) == (6, "")
        assert str(place) in done.err
    assert peer.requests == []
    assert os.listdir(tmp_path) == []


def test_an_arcgis_error_is_one_line_of_the_error_stream(portal: EmbeddedPortal) -> None:
    done = run("get", portal.layer_url)
    assert (done.status, done.out) == (4, "")
    assert done.err.splitlines() == [f"esri-http: GET {portal.layer_url}?… was answered with an error: 499: Token Required"]


def test_an_http_error_shows_its_header_fields_where_they_are_wanted(portal: EmbeddedPortal) -> None:
    done = run("get", portal.portal_url + "/nothing", "-i")
    assert done.status == 4
    assert done.out.startswith("HTTP 404 ")
    assert "\n\n" in done.out
    assert done.out.endswith("\n\n")
    assert "HTTP 404" in done.err


def test_a_web_page_where_json_was_asked_for_is_an_error(portal: EmbeddedPortal) -> None:
    portal.faults.add("/info", faults.html_page(), times=None)
    done = run("get", portal.portal_url + "/sharing/rest/info")
    assert (done.status, done.out) == (4, "")
    assert "a web page came instead" in done.err
    shown = run("get", portal.portal_url + "/sharing/rest/info", "--raw")
    assert shown.status == 0
    assert "<html" in shown.out.lower()


def test_a_server_cannot_write_control_characters_through_an_error(handler_peer: Peers) -> None:
    peer = handler_peer(lambda request: json_reply({"error": {"code": 400, "message": "a\x1b[31m\x9bb\u202ec\r\nd"}}))
    done = run("get", peer.url)
    assert done.status == 4
    assert done.err.count("\n") == 1
    assert not set(done.err) & set("\x1b\x9b\u202e\r")


def test_the_url_of_an_error_shows_no_query(portal: EmbeddedPortal) -> None:
    done = run("get", portal.layer_url + "?token=s3cret-token", "--debug")
    assert done.status == 4
    assert "s3cret" not in done.err


def test_a_layer_is_read_in_one_request_where_nobody_signs_in(portal: EmbeddedPortal) -> None:
    done = run("get", portal.public_layer_url + "/query", "-F", "where=1=1", "-F", "returnCountOnly=true")
    assert json.loads(done.out) == {"count": 355}
    assert len(portal.requests) == 1
