"""The end of a sign-in at 127.0.0.1: one answer, which has our state; whatever else comes changes nothing."""

from __future__ import annotations

import logging
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Union

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from esri_http.auth.oauth.loopback import LoopbackListener
from esri_http.auth.oauth.loopback_server import LoopbackRequest, LoopbackServer
from esri_http.words.clock import Deadline
from esri_http.words.errors import ConfigurationError, DeadlineExceededError, InteractionRequiredError
from tests.support.clock import FakeClock

ROOT = Path(__file__).parents[2]
STATE = "our-state_0123456789"
CODE = "a-code-of-the-portal"
RIGHT = f"/?code={CODE}&state={STATE}"
PROMPT_SECONDS = 2.0

Listen = Callable[..., LoopbackListener]


class Told:
    """What a browser got."""

    def __init__(self, data: bytes) -> None:
        head, _, self.body = data.partition(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        self.status = int(line.split()[1]) if line else 0
        self.headers = {name: value.strip() for name, _, value in (field.partition(":") for field in fields)}


@pytest.fixture
def listen() -> Iterator[Listen]:
    """`listen(**options)`: a listener for `STATE` that is closed after the test."""
    made: list[LoopbackListener] = []

    def start(**options: Any) -> LoopbackListener:
        made.append(LoopbackListener(STATE, **options))
        return made[-1]

    yield start
    for listener in made:
        listener.close()


@pytest.fixture
def listener(listen: Listen) -> LoopbackListener:
    return listen()


def connected(listener: LoopbackListener) -> socket.socket:
    return socket.create_connection(("127.0.0.1", listener.port), timeout=10)


def rest_of(browser: socket.socket) -> bytes:
    """What still comes until the other side closes, or resets."""
    parts = []
    try:
        while part := browser.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def says(listener: LoopbackListener, data: bytes) -> Told:
    with connected(listener) as browser:
        browser.sendall(data)
        return Told(rest_of(browser))


def asks(listener: LoopbackListener, target: str, method: str = "GET", host: Union[str, None] = None) -> Told:
    host = f"127.0.0.1:{listener.port}" if host is None else host
    return says(listener, f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n\r\n".encode())


def outcome(listener: LoopbackListener) -> str:
    """The code; the answer must have come already."""
    patient = FakeClock()
    return listener.wait(Deadline(1, patient), Deadline(None))


def still_waits(listener: LoopbackListener) -> bool:
    over = FakeClock()
    deadline = Deadline(0, over)
    with pytest.raises(InteractionRequiredError, match="Nobody signed in"):
        listener.wait(deadline, Deadline(None))
    return True


def test_the_code_comes_back_and_the_person_is_told_to_close_the_window(listener: LoopbackListener) -> None:
    told = asks(listener, RIGHT)
    assert told.status == 200
    assert b"<title>You are signed in</title>" in told.body
    assert b"You can close this window" in told.body
    assert int(told.headers["Content-Length"]) == len(told.body)
    assert outcome(listener) == CODE


def test_the_page_is_kept_nowhere_and_loads_nothing(listener: LoopbackListener) -> None:
    told = asks(listener, RIGHT)
    assert told.headers["Cache-Control"] == "no-store"
    assert told.headers["Referrer-Policy"] == "no-referrer"
    assert told.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert told.headers["Connection"] == "close"


def test_a_code_of_any_characters_arrives_unchanged(listener: LoopbackListener) -> None:
    asks(listener, f"/?state={STATE}&code=a%2Bb%2Fc%3D%3D%26d%25e+f%C3%BC")
    assert outcome(listener) == "a+b/c==&d%e fü"


def test_the_page_shows_nothing_of_what_came(listener: LoopbackListener) -> None:
    told = asks(listener, f"/?state={STATE}&error=%3Cscript%3Ealert(1)%3C/script%3E&code=shown-code")
    assert b"alert" not in told.body
    assert b"shown-code" not in told.body


STRAY = {
    "no state": f"/?code={CODE}",
    "no query": "/",
    "another state": f"/?code={CODE}&state=another",
    "an empty state": f"/?code={CODE}&state=",
    "half our state": f"/?code={CODE}&state={STATE[:10]}",
    "our state and more": f"/?code={CODE}&state={STATE}x",
    "our state in capitals": f"/?code={CODE}&state={STATE.upper()}",
    "a state that is no UTF-8": f"/?code={CODE}&state=%ff%fe",
    "our state after another": f"/?code={CODE}&state=another&state={STATE}",
    "another state after ours": f"/?code={CODE}&state={STATE}&state=another",
    "two codes": f"/?code=one&code=two&state={STATE}",
    "too many parameters": f"/?code={CODE}&state={STATE}" + "&x=1&y=2" * 20,
    "the name of the field in capitals": f"/?code={CODE}&STATE={STATE}",
    "an icon": "/favicon.ico",
    "another path": f"/other?code={CODE}&state={STATE}",
    "two slashes": f"//?code={CODE}&state={STATE}",
    "an error without a state": "/?error=access_denied",
    "an error with another state": "/?error=access_denied&error_description=No&state=another",
}


@pytest.mark.parametrize("target", STRAY.values(), ids=STRAY)
def test_a_stray_or_forged_request_changes_nothing(listener: LoopbackListener, target: str) -> None:
    assert asks(listener, target).status == 404
    assert still_waits(listener)
    asks(listener, RIGHT)
    assert outcome(listener) == CODE


@pytest.mark.parametrize(
    "again", [f"/?code=another&state={STATE}", f"/?error=access_denied&state={STATE}"], ids=["another code", "an error"]
)
def test_there_is_one_answer_even_for_the_right_state(listener: LoopbackListener, again: str) -> None:
    asks(listener, RIGHT)
    assert asks(listener, again).status == 404
    assert outcome(listener) == CODE


REFUSALS = {
    "cancelled": ("error=access_denied&error_description=The+user+denied", "access_denied", "cancelled in the browser"),
    "refused": ("error=invalid_request&error_description=Invalid+scope.", "invalid_request", "invalid_request Invalid scope.$"),
    "without a description": ("error=server_error", "server_error", "refused the sign-in: server_error.$"),
    "an error beside a code": ("error=invalid_request&code=1", "invalid_request", "refused the sign-in"),
    "an error without words": ("error=&code=1", None, "no code came back"),
    "an empty code": ("code=", None, "no code came back"),
    "neither": ("", None, "no code came back"),
}


@pytest.mark.parametrize("query, error, message", REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_ends_the_wait(listener: LoopbackListener, query: str, error: Union[str, None], message: str) -> None:
    told = asks(listener, f"/?{query}&state={STATE}")
    assert told.status == 200
    assert b"You are not signed in" in told.body
    with pytest.raises(InteractionRequiredError, match=message) as caught:
        outcome(listener)
    assert caught.value.error == error


def test_the_words_of_a_refusal_are_one_line_of_bounded_length(listener: LoopbackListener) -> None:
    asks(listener, f"/?state={STATE}&error=bad%0d%0a%1b[31m&error_description=" + "long+" * 2000)
    with pytest.raises(InteractionRequiredError) as caught:
        outcome(listener)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("method", ["POST", "PUT", "OPTIONS", "DELETE", "HEAD", "get"])
def test_only_get_is_an_answer(listener: LoopbackListener, method: str) -> None:
    told = asks(listener, RIGHT, method)
    assert told.status == 405
    assert told.headers["Allow"] == "GET"
    assert bool(told.body) == (method != "HEAD")
    assert still_waits(listener)


def test_a_posted_body_is_not_read_and_does_not_spoil_the_answer(listener: LoopbackListener) -> None:
    body = b"x" * 30000
    head = f"POST {RIGHT} HTTP/1.1\r\nHost: 127.0.0.1:{listener.port}\r\nContent-Length: {len(body)}\r\n\r\n"
    told = says(listener, head.encode() + body)
    assert told.status == 405
    assert int(told.headers["Content-Length"]) == len(told.body)


OTHER_HOSTS = {
    "another name": "rebound.example",
    "another name, our port": "rebound.example:{port}",
    "a name that begins like ours": "127.0.0.1.rebound.example:{port}",
    "our address without the port": "127.0.0.1",
    "our address with another port": "127.0.0.1:1",
    "another address of this machine": "127.0.0.2:{port}",
    "nothing": "",
}


@pytest.mark.parametrize("host", OTHER_HOSTS.values(), ids=OTHER_HOSTS)
def test_a_page_that_got_here_under_another_name_changes_nothing(listener: LoopbackListener, host: str) -> None:
    assert asks(listener, RIGHT, host=host.format(port=listener.port)).status == 421
    assert still_waits(listener)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LocalHost"])
def test_our_own_names_are_good(listener: LoopbackListener, host: str) -> None:
    assert asks(listener, RIGHT, host=f"{host}:{listener.port}").status == 200
    assert outcome(listener) == CODE


UNREADABLE = {
    "no host": f"GET {RIGHT} HTTP/1.1\r\n\r\n",
    "two hosts": f"GET {RIGHT} HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nHost: rebound.example\r\n\r\n",
    "a whole URL": f"GET http://127.0.0.1:PORT{RIGHT} HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n",
    "no version": f"GET {RIGHT}\r\nHost: 127.0.0.1:PORT\r\n\r\n",
    "HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a blank in the target": "GET /?code=a b HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n",
    "an empty line": "\r\n\r\n",
    "TLS": "\x16\x03\x01\x02\x00\x01\r\n\r\n",
}


@pytest.mark.parametrize("request_text", UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_request_changes_nothing(listener: LoopbackListener, request_text: str) -> None:
    assert says(listener, request_text.replace("PORT", str(listener.port)).encode("latin-1")).status == 400
    assert still_waits(listener)


def test_a_request_without_end_is_cut_off(listener: LoopbackListener) -> None:
    with connected(listener) as browser:
        try:
            for _ in range(100):
                browser.sendall(b"X: " + b"x" * 4000 + b"\r\n")
        except ConnectionError:
            pass
        assert rest_of(browser) == b""
    asks(listener, RIGHT)
    assert outcome(listener) == CODE


def test_cookies_of_other_programs_on_this_machine_are_no_obstacle(listener: LoopbackListener) -> None:
    cookies = "; ".join(f"session{number}={'c' * 1000}" for number in range(40))
    told = says(listener, f"GET {RIGHT} HTTP/1.1\r\nCookie: {cookies}\r\nHost: 127.0.0.1:{listener.port}\r\n\r\n".encode())
    assert told.status == 200


def test_silent_connections_do_not_keep_the_answer_out(listener: LoopbackListener) -> None:
    silent = [connected(listener) for _ in range(100)]
    try:
        started = time.monotonic()
        assert asks(listener, RIGHT).status == 200
        assert time.monotonic() - started < PROMPT_SECONDS
        assert outcome(listener) == CODE
    finally:
        for browser in silent:
            browser.close()


def test_one_thread_and_few_connections_are_all_that_many_browsers_get(listener: LoopbackListener) -> None:
    before = threading.active_count()
    silent = [connected(listener) for _ in range(100)]
    try:
        assert asks(listener, "/favicon.ico").status == 404
        assert threading.active_count() == before
        silent[0].settimeout(PROMPT_SECONDS)
        assert rest_of(silent[0]) == b""  # the oldest had to go
    finally:
        for browser in silent:
            browser.close()


def test_a_connection_that_had_to_go_may_have_said_something_at_that_moment() -> None:
    server = LoopbackServer()
    requests = server.requests()
    request = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode()
    browsers = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(32)]
    try:
        browsers[-1].sendall(request)
        next(requests)  # all are accepted, and nothing is read until the next one is asked for
        browsers.append(socket.create_connection(("127.0.0.1", server.port)))
        browsers[0].sendall(b"GET")
        browsers[-1].sendall(request)
        assert next(requests)[1] == LoopbackRequest("GET", f"127.0.0.1:{server.port}", "/", "")
    finally:
        requests.close()
        for browser in browsers:
            browser.close()


def test_a_slow_browser_holds_up_nobody_and_is_answered_in_the_end(listener: LoopbackListener) -> None:
    request = f"GET {RIGHT} HTTP/1.1\r\nHost: 127.0.0.1:{listener.port}\r\n\r\n".encode()
    with connected(listener) as slow:
        slow.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request[:-1]:
            slow.sendall(bytes([byte]))
        assert asks(listener, "/favicon.ico").status == 404
        slow.sendall(request[-1:])
        assert Told(rest_of(slow)).status == 200
    assert outcome(listener) == CODE


def test_the_answer_counts_even_if_the_browser_hangs_up_at_once(listener: LoopbackListener) -> None:
    with connected(listener) as browser:
        browser.sendall(f"GET {RIGHT} HTTP/1.1\r\nHost: 127.0.0.1:{listener.port}\r\n\r\n".encode())
    assert listener.wait(Deadline(10), Deadline(None)) == CODE


def test_resets_do_not_end_it(listener: LoopbackListener) -> None:
    for sent in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
        browser = connected(listener)
        browser.sendall(sent)
        browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        browser.close()
    asks(listener, RIGHT)
    assert outcome(listener) == CODE


def test_the_page_is_delivered_whole_although_the_listener_closes_at_once(listen: Listen) -> None:
    for _ in range(20):
        listener = listen()
        with connected(listener) as browser:
            browser.sendall(f"GET {RIGHT} HTTP/1.1\r\nHost: 127.0.0.1:{listener.port}\r\n\r\n".encode())
            assert listener.wait(Deadline(10), Deadline(None)) == CODE
            listener.close()
            told = Told(rest_of(browser))
            assert int(told.headers["Content-Length"]) == len(told.body)


@settings(max_examples=60)
@given(some.lists(some.binary(max_size=200), max_size=4), some.sampled_from([b"", b"\r\n\r\n"]))
def test_arbitrary_bytes_do_not_end_it(pieces: list[bytes], end: bytes) -> None:
    with LoopbackListener(STATE) as listener:
        with connected(listener) as browser:
            try:
                for piece in [*pieces, end]:
                    browser.sendall(piece)
            except ConnectionError:
                pass
        assert asks(listener, RIGHT).status == 200
        assert outcome(listener) == CODE


@settings(max_examples=60)
@given(some.text(alphabet=some.characters(min_codepoint=33, max_codepoint=126), max_size=100))
def test_arbitrary_targets_are_not_the_answer(target: str) -> None:
    with LoopbackListener(STATE) as listener:
        assert asks(listener, "/" + target).status == 404
        assert still_waits(listener)


# -- where it listens --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8")
def test_it_listens_on_127_0_0_1_alone(listener: LoopbackListener) -> None:
    for address in ("127.0.0.2", "::1"):
        with pytest.raises(OSError):
            socket.create_connection((address, listener.port), timeout=1)


def test_a_port_in_use_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"Port {port} .* redirect_uri="):
            LoopbackListener(STATE, port)


def test_two_listeners_cannot_share_a_port(listener: LoopbackListener) -> None:
    with pytest.raises(ConfigurationError):
        LoopbackListener(STATE, listener.port)


def test_a_fixed_port_can_be_had_again_at_once(listen: Listen) -> None:
    port = 0
    for _ in range(3):
        listener = listen(port=port)
        port = listener.port
        asks(listener, RIGHT)  # the side that closes first, which is the listener's, keeps the address busy for a while
        assert outcome(listener) == CODE
        listener.close()


def test_closing_is_immediate_complete_and_may_be_done_twice(listener: LoopbackListener) -> None:
    threads = set(threading.enumerate())
    with connected(listener) as silent:
        asks(listener, "/favicon.ico")  # by now the silent one is accepted
        started = time.monotonic()
        listener.close()
        listener.close()
        assert time.monotonic() - started < 1
        assert rest_of(silent) == b""
    with pytest.raises(ConnectionRefusedError):
        connected(listener)
    left = threads - set(threading.enumerate())
    assert [thread.name for thread in left] == ["esri_http sign-in"]


# -- how long it waits -------------------------------------------------------------------------------------------------


def test_it_waits_until_the_patience_is_over_by_the_clock_it_was_given(
    listener: LoopbackListener, fake_clock: FakeClock
) -> None:
    patience = Deadline(300, fake_clock)
    fake_clock.advance(299)
    timer = threading.Timer(0.3, fake_clock.advance, [2])
    timer.start()
    with pytest.raises(InteractionRequiredError, match="Nobody signed in within 300 s"):
        listener.wait(patience, Deadline(600, fake_clock))
    assert timer.finished.is_set()
    timer.join()


def test_it_does_not_outlast_the_call_that_needs_the_token(listener: LoopbackListener, fake_clock: FakeClock) -> None:
    call = Deadline(10, fake_clock)
    fake_clock.advance(11)
    with pytest.raises(DeadlineExceededError):
        listener.wait(Deadline(300, fake_clock), call)


def test_an_answer_that_is_there_counts_even_when_time_is_up(listener: LoopbackListener, fake_clock: FakeClock) -> None:
    deadline = Deadline(10, fake_clock)
    asks(listener, RIGHT)
    assert listener.wait(deadline, deadline) == CODE


def test_nothing_of_it_is_logged_or_printed(
    listener: LoopbackListener, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        for target in (RIGHT, f"/?code={CODE}&state=wrong", "/favicon.ico"):
            asks(listener, target)
        says(listener, UNREADABLE["no host"].encode())
        listener.close()
    assert caplog.text == ""
    assert capfd.readouterr() == ("", "")


_WITHOUT_DESCRIPTORS = """
import os, resource, socket, threading, time
from esri_http.auth.oauth.loopback import LoopbackListener
from esri_http.words.clock import Deadline
listener, browser, held = LoopbackListener({state!r}), socket.socket(), []
limits = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, limits[1]))
try:
    while True:
        held.append(os.dup(0))
except OSError:
    pass
browser.connect(("127.0.0.1", listener.port))
browser.sendall(b"GET {right} HTTP/1.1\\r\\nHost: 127.0.0.1:%d\\r\\n\\r\\n" % listener.port)
before = time.process_time()
threading.Event().wait(0.5)
busy = time.process_time() - before
for number in held:
    os.close(number)
print(listener.wait(Deadline(20), Deadline(20)), busy)
browser.close()
listener.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_it_waits_quietly_until_there_are_file_descriptors_again() -> None:
    program = _WITHOUT_DESCRIPTORS.format(state=STATE, right=RIGHT)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    code, busy = done.stdout.split()
    assert code == CODE
    assert float(busy) < 0.15
