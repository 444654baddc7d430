"""Every exit status that `--help` lists, by a run that ends with it; none of them with a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from esri_http import __all__ as public_names
from esri_http.cli.statuses import MEANINGS, status_of
from esri_http.testing import EmbeddedPortal, faults
from esri_http.words import errors
from tests.support.faults import trickles
from tests.support.peers import HandlerPeer, Reply, ScriptedPeer, json_reply

from .support import Done, environment, run

Peers = Callable[..., HandlerPeer]

# As people have it: what cannot be written may show itself as late as at the end.
BUFFERED = {"PYTHONUNBUFFERED": ""}


def ended(done: Done, status: int, *words: str) -> None:
    """The run ended with `status`, and said why on one or two lines."""
    assert (done.status, done.out) == (status, "")
    assert done.err.startswith("esri-http: ")
    assert 1 <= done.err.count("\n") <= 2
    assert all(word in done.err for word in words)


def test_0_is_done(portal: EmbeddedPortal) -> None:
    assert run("get", portal.portal_url + "/sharing/rest/info").status == 0


def test_1_is_another_failure(handler_peer: Peers) -> None:
    """A probe that finds no ArcGIS has failed, although all went well."""
    done = run("probe", handler_peer(lambda request: Reply(404)).url)
    assert (done.status, done.err) == (1, "")


def test_2_is_wrong_usage(portal: EmbeddedPortal) -> None:
    ended(run("get", "gis.test/portal"), 2, "no scheme", "https://gis.test/portal")
    ended(run("get", "https://gis.test", "-H", "a b: c"), 2)
    ended(run("get", "https://[::1"), 2)


def test_3_is_no_sign_in(portal: EmbeddedPortal) -> None:
    ended(run("get", portal.layer_url, "--token-stdin", "--portal", portal.portal_url, given=b"wrong\n"), 3)
    ended(run("get", portal.layer_url, "--token-stdin"), 3, "--token-stdin", "no line in the input")


def test_4_is_an_error_of_the_server(portal: EmbeddedPortal) -> None:
    ended(run("get", portal.layer_url), 4, "499: Token Required")
    ended(run("get", portal.portal_url + "/nothing"), 4, "HTTP 404")


def test_5_is_no_answer(portal: EmbeddedPortal, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedPeer([]) as gone:
        url = gone.url
    ended(run("get", url), 5)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    ended(run("get", portal.portal_url), 5, "certificate", "by --ca-bundle.")
    assert run("get", portal.portal_url + "/sharing/rest/info", "--ca-bundle", portal.ca_file).status == 0


def test_5_is_time_that_is_up(portal: EmbeddedPortal) -> None:
    never = threading.Event()
    portal.faults.add("/info", faults.delay(until=never), times=None)
    try:
        ended(run("get", portal.portal_url + "/sharing/rest/info", "--timeout", "0.3"), 5)
    finally:
        never.set()


def test_5_is_a_head_that_never_ends(scripted_peer: Callable[..., ScriptedPeer]) -> None:
    brief = "import sys; from esri_http import session_settings as s; s.DEADLINE_SECONDS = 0.5"
    program = ("-c", f"{brief}; from esri_http.cli import main; sys.exit(main())")
    ended(run("get", scripted_peer(trickles(b"HTTP/1.1 200 OK\r\nX-Slow: ")).url, program=program), 5, "0.5 s")


def test_6_is_something_of_this_machine(portal: EmbeddedPortal, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing" / "file")
    ended(run("post", portal.portal_url, "-F", f"file=@{missing}"), 6, missing)
    ended(run("put", portal.portal_url, "-d", f"@{missing}"), 6, missing)
    ended(run("get", portal.portal_url + "/sharing/rest/info", "-o", missing), 6, missing)
    ended(run("get", portal.portal_url, "--ca-bundle", missing), 6, missing)
    ended(run("get", portal.portal_url, "--proxy", "ftp://proxy.test"), 6, "ftp")


@pytest.mark.parametrize("arguments", [["get", "/sharing/rest/info"], ["get", "/nothing", "-i"], ["--help"], ["--version"]])
def test_6_is_an_output_that_is_full(arguments: list[str], portal: EmbeddedPortal) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "esri_http", *(portal.portal_url + text if text[0] == "/" else text for text in arguments)],
            stdout=full, stderr=subprocess.PIPE, env=environment(BUFFERED), timeout=20,
        )  # fmt: skip
    assert done.returncode == 6
    assert done.stderr.decode().splitlines()[-1] == "esri-http: The output cannot be written: No space left on device."


@pytest.mark.parametrize("arguments, status", [(["--no-such"], 2), (["get", "http://[::1"], 2), (["profiles", "show", "x"], 6)])
def test_the_status_stands_where_the_error_stream_is_full(arguments: list[str], status: int) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "esri_http", *arguments],
            stdout=subprocess.PIPE, stderr=full, env=environment(BUFFERED), timeout=20,
        )  # fmt: skip
    assert done.returncode == status


def test_130_is_interrupted(portal: EmbeddedPortal) -> None:
    never = threading.Event()
    portal.faults.add("/info", faults.delay(until=never), times=None)
    command = [sys.executable, "-m", "esri_http", "get", portal.portal_url + "/sharing/rest/info"]
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
            while not portal.faults._planned[0].hits:
                assert process.poll() is None
                never.wait(0.02)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
    finally:
        never.set()
    assert (process.returncode, out, err) == (130, b"", b"Interrupted.\n")


def test_141_is_a_reader_that_has_gone(portal: EmbeddedPortal) -> None:
    command = [sys.executable, "-m", "esri_http", "get", "--raw", f"{portal.public_image_url}?size=30000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert os.read(process.stdout.fileno(), 10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_a_short_answer_for_a_reader_that_has_gone_is_no_noise_either(handler_peer: Peers) -> None:
    gone = threading.Event()

    def answer(request: object) -> object:
        gone.wait(20)
        return json_reply({})

    command = [sys.executable, "-m", "esri_http", "get", handler_peer(answer).url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        gone.set()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("name", [name for name in public_names if name.endswith("Error")])
def test_every_error_has_a_status_that_is_listed(name: str) -> None:
    error = getattr(errors, name)("what happened")
    expected = 1 if name == "EsriHttpError" else status_of(error)
    assert status_of(error) == expected
    assert expected in dict(MEANINGS)
    assert (expected == 1) == (name == "EsriHttpError")


def test_debug_shows_the_traceback_and_the_log(portal: EmbeddedPortal) -> None:
    env = {"ESRI_HTTP_USER": "amy", "ESRI_HTTP_PASSWORD": "amys-secret"}
    done = run("get", portal.server_url + "/rest/services/Nothing/FeatureServer", "--debug", env=env)
    assert done.status == 4
    assert " ms esri_http." in done.err
    assert "Traceback (most recent call last)" in done.err
    assert done.err.splitlines()[-1].startswith("esri-http: ")
    assert "amys-secret" not in done.err


def test_debug_shows_no_secret_of_a_request_that_does_not_arrive() -> None:
    with ScriptedPeer([]) as gone:
        url = gone.url
    done = run("get", url, "-F", "token=s3cret-token", "--debug")
    assert done.status == 5
    assert "Traceback (most recent call last)" in done.err
    assert "s3cret" not in done.err
