"""One session on many threads, with its settings changed and its connections closed in the middle of it."""

from __future__ import annotations

import copy
import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from esri_http import EsriSession, EsriUserTokenAuth
from esri_http.words.errors import EsriHttpError
from esri_http.words.headers import Headers

from ..support.http_messages import RecordedRequest, Reply, json_reply
from ..support.sessions import idle_connections, on_threads, transports

THREADS = 16
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def echo(handler_peer: Any) -> Any:
    """A server that answers with the query, so that swapped answers show."""
    return handler_peer(lambda request: json_reply(request.query.get("n")))


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads take turns very often, so that a race has a chance to show."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def meanwhile(action: Any) -> Any:
    """Run `action()` over and over in a thread until the block ends; what it raised is raised there."""

    class Meanwhile:
        def __enter__(self) -> Any:
            self.stop, self.errors, self.rounds = threading.Event(), [], 0
            self.thread = threading.Thread(target=self.run)
            self.thread.start()
            return self

        def run(self) -> None:
            while not self.stop.is_set():
                try:
                    action()
                except Exception as error:
                    self.errors.append(error)
                    return
                self.rounds += 1
                time.sleep(0.001)

        def __exit__(self, *_: Any) -> None:
            self.stop.set()
            self.thread.join(10)
            assert self.errors == []
            assert self.rounds > 0

    return Meanwhile()


def ask(session: EsriSession, url: str, count: int = 25, **options: Any) -> list[Any]:
    """Calls on 16 threads; every answer must belong to its question. What failed, as errors of ours."""

    def work(number: int) -> list[Any]:
        failed = []
        for turn in range(count):
            try:
                assert session.get(url, params={"n": f"{number}.{turn}"}, **options).json() == f"{number}.{turn}"
            except EsriHttpError as error:
                failed.append(error)
        return failed

    return [error for failed in on_threads(THREADS, work) for error in failed]


def test_sixteen_threads_get_their_own_answers_over_a_bounded_number_of_connections(echo: Any) -> None:
    with EsriSession() as session:
        assert ask(session, echo.url) == []
        assert echo.connections <= THREADS
        assert idle_connections(session) == echo.connections
    assert len(echo.requests) == THREADS * 25


def test_cold_threads_make_one_transport_and_one_tls_context(
    handler_peer: Any, ca: Any, monkeypatch: Any, tmp_path: Any
) -> None:
    import shutil
    import ssl

    roots = shutil.copy(ca.file, tmp_path / "a file whose context nobody has made yet.pem")

    made: list[Any] = []
    loading = ssl.SSLContext.load_verify_locations

    def load(self: Any, *args: Any, **options: Any) -> None:
        made.append(self)
        loading(self, *args, **options)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", load)
    peer = handler_peer(lambda request: json_reply(request.query.get("n")), tls=True)
    ready = threading.Barrier(THREADS)

    def work(_: int) -> bool:
        ready.wait(10)
        return session.get(peer.url_for(host="localhost")).ok

    with EsriSession(verify_cert=str(roots)) as session:
        assert on_threads(THREADS, work) == [True] * THREADS
        assert len(transports(session)) == 1
    assert len(set(map(id, made))) == len(made) == 1
    assert peer.connections <= THREADS


@pytest.mark.parametrize(
    "change",
    [
        lambda session, number: setattr(session, "verify_cert", bool(number % 2)),
        lambda session, number: setattr(session, "proxies", {"https": f"http://proxy{number}.example:1"}),
        lambda session, number: setattr(session, "trust_env", bool(number % 2)),
        lambda session, number: session.headers.update({f"X-Field-{number % 50}": str(number)}),
        lambda session, number: setattr(session, "headers", {"X-Number": str(number)}),
        lambda session, number: setattr(session, "referer", f"https://app{number}.example"),
        lambda session, number: setattr(session, "timeout", 5 + number % 3),
        lambda session, number: setattr(session, "auth", EsriUserTokenAuth(f"token{number}") if number % 2 else None),
        lambda session, number: setattr(session, "cookies", {"n": str(number)}),
        lambda session, number: session.cookies.set(f"n{number % 9}", "1"),
        lambda session, number: session.cookies.clear(),
        lambda session, number: session.mount(f"https://host{number}.example", session.adapters["https://"]),
    ],
    ids=[
        "verify",
        "proxies",
        "trust_env",
        "header",
        "headers",
        "referer",
        "timeout",
        "auth",
        "jar",
        "cookie",
        "clear",
        "mount",
    ],
)
def test_changing_a_setting_in_the_middle_harms_no_call(echo: Any, hasty: None, change: Any) -> None:
    numbers = iter(range(10**9))
    with EsriSession() as session, meanwhile(lambda: change(session, next(numbers))):
        assert ask(session, echo.url, 10) == []


def test_closing_the_session_in_the_middle_harms_no_call(echo: Any, hasty: None) -> None:
    session = EsriSession()
    with meanwhile(session.close):
        assert ask(session, echo.url, 10) == []
    session.close()
    echo.wait_until(lambda: not echo._open)


def test_settings_of_calls_beyond_the_number_that_is_kept_harm_no_call(echo: Any, hasty: None) -> None:
    def work(number: int) -> list[Any]:
        return [session.get(echo.url, params={"n": n}, proxies={"https": f"http://p{number}x{n}:1"}).json() for n in range(12)]

    with EsriSession() as session:
        assert on_threads(THREADS, work) == [[str(n) for n in range(12)]] * THREADS
        assert len(transports(session)) <= 33


def test_a_change_holds_from_the_next_request_on(handler_peer: Any) -> None:
    peer = handler_peer(lambda request: json_reply({name.lower(): value for name, value in request.headers}))
    with EsriSession() as session:
        for number in range(20):
            session.headers["X-Number"] = str(number)
            assert session.get(peer.url).json()["x-number"] == str(number)


def test_a_header_written_while_others_read_is_never_lost(hasty: None) -> None:
    headers = Headers({"A": "0"})
    stop = threading.Event()
    broken: list[Any] = []

    def read() -> None:
        while not stop.is_set():
            if "A" not in (headers.plain() or {}):
                broken.append(1)

    readers = [threading.Thread(target=read) for _ in range(6)]
    for reader in readers:
        reader.start()
    try:
        for number in range(5000):
            headers["A"] = str(number)
            if headers.plain()["A"] != str(number):
                broken.append(number)
    finally:
        stop.set()
        for reader in readers:
            reader.join(10)
    assert broken == []


def test_a_header_written_while_plain_is_at_work_is_in_what_it_gives_next() -> None:
    headers = Headers({"A": "old"})

    class Interrupted(dict):  # type: ignore[type-arg]
        def copy(self) -> Any:
            before = super().copy()
            headers._items = dict(self)
            headers["A"] = "new"
            return before

    headers._items = Interrupted(headers._items)
    assert headers.plain() == {"A": "old"}
    assert headers.plain() == {"A": "new"}


def test_cookies_set_by_many_answers_at_once_are_all_kept(handler_peer: Any) -> None:
    peer = handler_peer(lambda request: Reply(200, {"Set-Cookie": f"c{request.query['n']}=1"}, "x"))
    with EsriSession() as session:
        on_threads(THREADS, lambda n: session.get(peer.url, params={"n": n}).ok)
        assert {cookie.name for cookie in session.cookies} == {f"c{n}" for n in range(THREADS)}


def test_the_settings_of_one_call_do_not_reach_a_call_on_another_thread(handler_peer: Any, ca: Any) -> None:
    peer = handler_peer(lambda request: Reply(200, {}, "in"), tls=True)
    url = peer.url_for(host="localhost")

    def work(number: int) -> str:
        try:
            return session.get(url, verify=str(ca.file) if number % 2 else True).text
        except EsriHttpError as error:
            return type(error).__name__

    with EsriSession(retries=0) as session:
        assert on_threads(THREADS, work, range(64)) == ["CertificateError", "in"] * 32


def test_a_server_that_answers_late_holds_up_nobody_else(handler_peer: Any) -> None:
    release = threading.Event()

    def answer(request: RecordedRequest) -> Reply:
        if request.path == "/slow":
            release.wait(10)
        return Reply(200, {}, request.path)

    peer = handler_peer(answer)
    with EsriSession() as session:
        slow = [threading.Thread(target=session.get, args=(peer.url + "/slow",)) for _ in range(3)]
        for thread in slow:
            thread.start()
        peer.wait_for_requests(3)
        assert [session.get(peer.url + "/quick").text for _ in range(5)] == ["/quick"] * 5
        release.set()
        for thread in slow:
            thread.join(10)


_FIRST_REQUESTS = """
import threading
from esri_http import EsriGenTokenAuth, EsriSession
auth = EsriGenTokenAuth({url!r} + "/portal/sharing/rest/generateToken", None, "amy", "secret")
session, failures, start = EsriSession(auth, retries=0), [], threading.Barrier(8)

def work(number):
    start.wait()
    try:
        session.get({url!r}) if number % 2 else auth.token
    except Exception as error:
        failures.append(repr(error))

threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failures, failures
"""


def test_the_first_request_of_a_process_may_be_made_by_threads_that_begin_differently(handler_peer: Any) -> None:
    peer = handler_peer(lambda request: json_reply({"token": "a-token"}))
    program = [sys.executable, "-c", _FIRST_REQUESTS.format(url=peer.url)]
    for _ in range(5):
        done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=50)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("copied", [copy.deepcopy, EsriSession.for_workers])
def test_a_session_is_copied_while_its_headers_change(hasty: None, copied: Any) -> None:
    with EsriSession(EsriUserTokenAuth("a-token")) as session:
        numbers = itertools.count()

        def change() -> None:
            for number in itertools.islice(numbers, 100):
                session.headers[f"X-{number % 50}"] = "set"
                session.headers.pop(f"X-{(number + 20) % 50}", None)

        with meanwhile(change):
            for _ in range(300):
                copied(session)
