"""How long a token is used, who fetches the next one, and what threads, forks and pickles see of it."""

from __future__ import annotations

import os
import pickle
import threading

import pytest

from esri_http.auth import flights
from esri_http.auth.tokens.keeper import Fetched, TokenKeeper
from esri_http.testing import faults
from esri_http.words.clock import SYSTEM_CLOCK, Clock, Deadline
from esri_http.words.errors import DeadlineExceededError, SignInError, TokenRequestError
from tests.auth.helpers import PATIENCE, changed_answer, errors_in, exchanges, in_threads, sign_ins

SELF = "/sharing/rest/community/self?f=json"
HOUR = 3600.0
YEAR = 365 * 24 * HOUR


class StandInWire:
    """What a keeper asks of a wire: the time that is left."""

    def __init__(self, seconds=None):
        self.deadline = Deadline(seconds)


class TestLifetime:
    """A token is renewed shortly before its end, and no sooner."""

    @pytest.fixture
    def session(self, portal, open_session, amy):
        return open_session(amy(portal))

    def read(self, session, portal):
        assert session.get(portal.portal_url + SELF).json()["username"] == "amy"

    def test_a_token_of_an_hour_is_renewed_in_its_last_minutes(self, session, portal, fake_clock):
        portal.max_token_lifetime_minutes = 60.0
        self.read(session, portal)
        fake_clock.advance(54 * 60)
        self.read(session, portal)
        assert sign_ins(portal) == 1
        fake_clock.advance(2 * 60)
        self.read(session, portal)
        assert sign_ins(portal) == 2
        assert len(portal.requests) == 5

    def test_a_token_of_a_minute_is_not_renewed_on_each_request(self, session, portal, fake_clock):
        portal.max_token_lifetime_minutes = 1.0
        for _ in range(10):
            self.read(session, portal)
            fake_clock.advance(5)
        assert sign_ins(portal) == 1
        fake_clock.advance(5)
        self.read(session, portal)
        assert sign_ins(portal) == 2
        assert all("error" not in request.fault for request in portal.requests)
        assert len(portal.requests) == 13

    def test_over_a_day_a_token_of_a_minute_never_dies_under_way(self, session, portal, fake_clock):
        portal.max_token_lifetime_minutes = 1.0
        for _ in range(30):
            self.read(session, portal)
            fake_clock.advance(33)
        assert len(portal.requests) == 30 + sign_ins(portal)

    @pytest.mark.parametrize("skew", [2 * HOUR, -2 * HOUR, 30 * YEAR, -30 * YEAR])
    def test_a_clock_that_is_wrong_on_one_side_makes_no_difference(self, session, portal, fake_clock, skew):
        portal.clock_skew_seconds = skew
        portal.max_token_lifetime_minutes = 60.0
        for _ in range(3):
            self.read(session, portal)
        fake_clock.advance(50 * 60)
        self.read(session, portal)
        assert sign_ins(portal) == 1
        fake_clock.advance(8 * 60)
        self.read(session, portal)
        assert sign_ins(portal) == 2
        assert len(portal.requests) == 7

    @pytest.mark.parametrize("skew", [2 * HOUR, -2 * HOUR, 30 * YEAR, -30 * YEAR])
    def test_a_clock_that_jumps_makes_no_difference(self, session, portal, fake_clock, skew):
        for _ in range(3):
            self.read(session, portal)
            fake_clock.set_time(fake_clock.time() + skew)
            portal.clock_skew_seconds -= skew
        assert sign_ins(portal) == 1

    @pytest.mark.parametrize(
        "expires",
        [None, "soon", "", -1, 0, 1, 1e30, float("inf"), float("nan"), [1], {}, True, "1e3", 10**400],
        ids=lambda value: str(value)[:8],
    )
    def test_an_expiry_that_makes_no_sense_costs_one_sign_in(self, session, portal, fake_clock, expires):
        portal.faults.add("/generateToken", changed_answer(lambda answer: answer.update(expires=expires)), times=None)
        for _ in range(5):
            self.read(session, portal)
        assert sign_ins(portal) == 1

    def test_no_expiry_at_all_counts_as_what_was_asked_for(self, session, portal, fake_clock):
        portal.faults.add("/generateToken", changed_answer(lambda answer: answer.pop("expires") and None), times=None)
        session.auth.time_out = 30
        self.read(session, portal)
        fake_clock.advance(20 * 60)
        self.read(session, portal)
        assert sign_ins(portal) == 1
        fake_clock.advance(8 * 60)
        self.read(session, portal)
        assert sign_ins(portal) == 2

    def test_an_expiry_as_text_is_read(self, session, portal, fake_clock):
        portal.max_token_lifetime_minutes = 10.0
        portal.faults.add("/generateToken", changed_answer(lambda answer: answer.update(expires=str(answer["expires"]))))
        self.read(session, portal)
        fake_clock.advance(9.5 * 60)
        self.read(session, portal)
        assert len(portal.requests) == 4

    def test_the_token_of_a_server_is_renewed_by_its_own_clock(self, session, portal, fake_clock):
        for _ in range(2):
            assert session.get(portal.layer_url + "?f=json").ok
        assert (sign_ins(portal), exchanges(portal)) == (1, 1)
        fake_clock.advance(57 * 60)
        assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
        assert (sign_ins(portal), exchanges(portal)) == (1, 2)


class TestEarlyRenewal:
    """While the old token lives, nobody waits for the new one, and nobody fails for want of it."""

    def test_a_failure_leaves_the_old_token_in_use_and_is_repeated_after_a_while(self, portal, open_session, amy, fake_clock):
        portal.max_token_lifetime_minutes = 60.0
        session = open_session(amy(portal))
        url = portal.portal_url + SELF
        session.get(url)
        portal.faults.add("/generateToken", faults.status(500), times=None)
        fake_clock.advance(56 * 60)
        for _ in range(3):
            assert session.get(url).json()["username"] == "amy"
        assert sign_ins(portal) == 2
        fake_clock.advance(31)
        assert session.get(url).json()["username"] == "amy"
        assert sign_ins(portal) == 3
        fake_clock.advance(5 * 60)
        with pytest.raises(TokenRequestError, match="HTTP 500"):
            session.get(url)
        portal.faults.clear()
        assert session.get(url).json()["username"] == "amy"

    def test_the_others_go_on_with_the_old_token_while_one_fetches(self, fake_clock):
        under_way, go_on = threading.Event(), threading.Event()

        def fetch(wire):
            under_way.set()
            assert go_on.wait(PATIENCE)
            return Fetched("new", None, 600.0)

        keeper = TokenKeeper(fetch, fake_clock)
        keeper.put(Fetched("old", None, 600.0))
        fake_clock.advance(550)
        got = []
        thread = threading.Thread(target=lambda: got.append(keeper.current(StandInWire()).value))
        thread.start()
        assert under_way.wait(PATIENCE)
        assert keeper.current(StandInWire()).value == "old"
        go_on.set()
        thread.join(PATIENCE)
        assert got == ["new"]
        assert keeper.current(StandInWire()).value == "new"


class TestThreads:
    """One fetch for everybody."""

    def test_32_threads_on_a_cold_session_make_one_generate_token(self, portal, open_session, amy):
        session = open_session(amy(portal, portal.portal_url))
        outcomes = in_threads(32, lambda number: session.get(portal.portal_url + SELF).json()["username"])
        assert outcomes == ["amy"] * 32
        assert sign_ins(portal) == 1
        assert portal.count("/info") == 1

    def test_32_threads_on_a_cold_federated_server_make_one_sign_in_and_one_exchange(self, portal, open_session, amy):
        session = open_session(amy(portal))
        outcomes = in_threads(32, lambda number: session.get(portal.layer_url + "?f=json").json()["type"])
        assert outcomes == ["Feature Layer"] * 32
        assert (sign_ins(portal), exchanges(portal), portal.count("/rest/info", site="server")) == (1, 1, 1)
        assert len(portal.requests) == 32 + 3

    def test_64_requests_on_16_threads_survive_that_all_tokens_are_revoked(self, portal, open_session, amy):
        session = open_session(amy(portal))
        assert session.get(portal.layer_url + "?f=json").ok
        portal.clear()
        half = threading.Barrier(16, action=portal.revoke_all_tokens)

        def work(number):
            urls = [portal.portal_url + SELF, portal.layer_url + "?f=json"]
            answers = []
            for turn in range(4):
                if turn == 2:
                    half.wait(PATIENCE)
                answers.append(session.get(urls[(number + turn) % 2]).json())
            return answers

        outcomes = in_threads(16, work)
        assert errors_in(outcomes) == []
        answers = [answer for answers in outcomes for answer in answers]
        assert len(answers) == 64
        assert [answer for answer in answers if "error" in answer] == []
        assert sign_ins(portal) == 1
        good_exchanges = [
            request for request in portal.recorder.find("/generateToken") if "serverUrl" in request.form
            and portal.tokens.get(request.form["token"])
        ]  # fmt: skip
        assert len(good_exchanges) == 1

    def test_tokens_that_are_revoked_at_any_moment_lose_no_request(self, portal, open_session, amy):
        session = open_session(amy(portal))
        stop = threading.Event()

        def work(number):
            if number == 0:
                for _ in range(3):
                    portal.revoke_all_tokens()
                    stop.wait(0.05)
                stop.set()
                return []
            return [session.get(portal.layer_url + "?f=json").json() for _ in range(4)]

        outcomes = in_threads(17, work)
        answers = [answer for outcome in outcomes if isinstance(outcome, list) for answer in outcome]
        assert [answer for answer in answers if "error" in answer] == []
        # A request whose fresh token dies before it is used may say so; it never hands an error out as data.
        assert all(isinstance(error, SignInError) for error in errors_in(outcomes))

    def test_a_failing_sign_in_fails_each_thread_with_an_error_of_its_own_and_is_forgotten(self, portal, open_session, amy):
        session = open_session(amy(portal))
        inside = threading.Event()
        portal.faults.add("/generateToken", faults.delay(until=inside), faults.html_page(), times=1)
        waiting = threading.Barrier(17)

        def work(number):
            waiting.wait(PATIENCE)
            if number == 16:
                inside.set()
                return None
            return session.get(portal.portal_url + SELF).json()["username"]

        outcomes = in_threads(17, work)[:16]
        failed = errors_in(outcomes)
        assert failed
        assert all(isinstance(error, TokenRequestError) and "a web page came instead" in str(error) for error in failed)
        assert len({id(error) for error in failed}) == len(failed)
        assert session.get(portal.portal_url + SELF).json()["username"] == "amy"

    def test_those_who_wait_share_the_failure(self):
        calls, inside, go_on = [], threading.Event(), threading.Event()

        def fetch(wire):
            calls.append(1)
            inside.set()
            assert go_on.wait(PATIENCE)
            raise TokenRequestError("no", code=7)

        keeper = TokenKeeper(fetch)
        first = threading.Thread(target=lambda: pytest.raises(TokenRequestError, keeper.current, StandInWire()))
        first.start()
        assert inside.wait(PATIENCE)
        joined = []
        second = threading.Thread(
            target=lambda: joined.append(pytest.raises(TokenRequestError, keeper.current, JoinWire(go_on)))
        )
        second.start()
        first.join(PATIENCE)
        second.join(PATIENCE)
        assert len(calls) == 1
        assert joined[0].value.code == 7

    @pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(), DeadlineExceededError("out of time")])
    def test_a_fetch_that_is_given_up_is_taken_over_by_one_who_waits(self, end):
        inside, go_on = threading.Event(), threading.Event()
        calls = []

        def fetch(wire):
            calls.append(wire)
            if len(calls) > 1:
                return Fetched("second")
            inside.set()
            assert go_on.wait(PATIENCE)
            raise end

        keeper = TokenKeeper(fetch)
        died = []
        first = threading.Thread(target=lambda: died.append(pytest.raises(type(end), keeper.current, StandInWire())))
        first.start()
        assert inside.wait(PATIENCE)
        assert keeper.current(JoinWire(go_on)).value == "second"
        first.join(PATIENCE)
        assert died
        assert len(calls) == 2

    @pytest.mark.parametrize(
        "deadline, says", [(0.05, "the whole call is used up"), (None, "was waited for 0 s"), (60, "was waited for 0 s")]
    )
    def test_one_who_waits_waits_no_longer_than_his_own_deadline_nor_for_ever(self, monkeypatch, deadline, says):
        monkeypatch.setattr(flights, "_LONGEST_WAIT_SECONDS", 0.1)
        inside, go_on = threading.Event(), threading.Event()

        def fetch(wire):
            inside.set()
            assert go_on.wait(PATIENCE)
            return Fetched("late")

        keeper = TokenKeeper(fetch)
        first = threading.Thread(target=lambda: keeper.current(StandInWire()))
        first.start()
        assert inside.wait(PATIENCE)
        with pytest.raises(DeadlineExceededError, match=f"{says}; another thread is still getting"):
            keeper.current(StandInWire(deadline))
        go_on.set()
        first.join(PATIENCE)
        assert keeper.current(StandInWire()).value == "late"

    def test_an_unexpected_failure_reaches_those_who_wait_as_an_error_of_ours(self):
        inside, go_on = threading.Event(), threading.Event()

        def fetch(wire):
            inside.set()
            assert go_on.wait(PATIENCE)
            raise ZeroDivisionError

        keeper = TokenKeeper(fetch)
        first = threading.Thread(target=lambda: pytest.raises(ZeroDivisionError, keeper.current, StandInWire()))
        first.start()
        assert inside.wait(PATIENCE)
        with pytest.raises(TokenRequestError, match="ZeroDivisionError"):
            keeper.current(JoinWire(go_on))
        first.join(PATIENCE)


class JoinWire(StandInWire):
    """The wire of one who joins a fetch: the fetch goes on as soon as he begins to wait."""

    def __init__(self, go_on):
        self._go_on = go_on

    @property
    def deadline(self):
        self._go_on.set()
        return Deadline(None)

    @deadline.setter
    def deadline(self, value):
        raise AssertionError


class TestRefusal:
    """Two refusals of one token are one renewal."""

    def test_a_token_that_was_renewed_meanwhile_is_not_renewed_again(self):
        values = iter(["one", "two", "three"])
        keeper = TokenKeeper(lambda wire: Fetched(next(values)))
        first = keeper.current(StandInWire())
        assert keeper.renewed(StandInWire(), first).value == "two"
        assert keeper.renewed(StandInWire(), first).value == "two"

    def test_a_forgotten_token_is_fetched_anew(self):
        values = iter(["one", "two"])
        keeper = TokenKeeper(lambda wire: Fetched(next(values)))
        keeper.current(StandInWire())
        keeper.forget()
        assert keeper.token is None
        assert keeper.current(StandInWire()).value == "two"

    def test_a_token_does_not_show_itself(self):
        keeper = TokenKeeper(lambda wire: Fetched("hidden-token"))
        assert "hidden-token" not in repr(keeper.current(StandInWire()))


class WallClock(Clock):
    """A clock that travels in a pickle, and counts from elsewhere where it arrives, as the monotonic one does."""

    def __init__(self, seconds=1_700_000_000.0, start=1000.0):
        self.seconds, self.start = seconds, start

    def time(self):
        return self.seconds

    def monotonic(self):
        return self.seconds - self.start

    def __reduce__(self):
        return WallClock, (self.seconds, 1_600_000_000.0)


class TestPickles:
    """A session and its handler travel to other processes."""

    @pytest.fixture
    def fake_clock(self):
        return SYSTEM_CLOCK

    def test_the_token_travels_and_can_be_renewed_there(self, portal, open_session, amy):
        session = open_session(amy(portal))
        session.get(portal.layer_url + "?f=json")
        twin = pickle.loads(pickle.dumps(session))
        try:
            portal.clear()
            assert twin.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
            assert twin.auth.token == session.auth.token
            assert len(portal.requests) == 1
            portal.revoke_all_tokens()
            assert twin.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
            assert twin.get(portal.portal_url + SELF).json()["username"] == "amy"
            assert (sign_ins(portal), twin.auth.password) == (1, None)
        finally:
            twin.close()

    def test_a_handler_travels_alone_too(self, portal, open_session, amy):
        session = open_session(amy(portal))
        token = session.auth.token
        handler = pickle.loads(pickle.dumps(session.auth))
        assert open_session(handler).auth.token == token
        assert sign_ins(portal) == 1

    def test_the_life_that_is_left_travels_by_the_wall_clock(self):
        clock = WallClock()
        keeper = TokenKeeper(_fetch_another, clock)
        keeper.put(Fetched("old", None, 600.0))
        clock.seconds += 300
        twin = pickle.loads(pickle.dumps(keeper))
        assert twin.current(StandInWire()).value == "old"
        twin._clock.seconds += 299
        assert twin.current(StandInWire()).value == "another"

    def test_a_pickle_made_while_a_fetch_is_under_way_does_not_wait_for_it(self, portal, open_session, amy):
        session = open_session(amy(portal))
        hold, arrived = hold_up(portal, "/generateToken")
        thread = threading.Thread(target=lambda: session.get(portal.portal_url + SELF))
        thread.start()
        assert arrived.wait(PATIENCE)
        twin = pickle.loads(pickle.dumps(session.auth))
        assert open_session(twin).get(portal.portal_url + SELF).json()["username"] == "amy"
        hold.set()
        thread.join(PATIENCE)


def hold_up(portal, path):
    """Let the next request to `path` wait: the event that lets it go, and the one that says that it has come."""
    hold, arrived = threading.Event(), threading.Event()

    def held(request, answer_normally):
        arrived.set()
        assert hold.wait(PATIENCE)
        return answer_normally()

    portal.faults.add(path, held)
    return hold, arrived


def _fetch_another(wire):
    return Fetched("another")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
class TestFork:
    """A forked child waits for no thread of its parent."""

    def in_child(self, work):
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(write_end, work().encode())
            except BaseException as error:
                os.write(write_end, f"{type(error).__name__}: {error}".encode())
            finally:
                os._exit(0)
        os.close(write_end)
        with os.fdopen(read_end, "rb") as pipe:
            said = pipe.read().decode()
        os.waitpid(child, 0)
        return said

    @pytest.mark.parametrize("path", ["/generateToken", "/sharing/rest/info", "/server/rest/info"])
    def test_while_a_fetch_is_under_way(self, portal, open_session, amy, path):
        session = open_session(amy(portal, portal.portal_url), deadline=10)
        hold, arrived = hold_up(portal, path)
        results = []
        thread = threading.Thread(target=lambda: results.append(session.get(portal.layer_url + "?f=json").json()["type"]))
        thread.start()
        try:
            assert arrived.wait(PATIENCE)
            assert self.in_child(lambda: session.get(portal.layer_url + "?f=json").json()["type"]) == "Feature Layer"
        finally:
            hold.set()
            thread.join(PATIENCE)
        assert results == ["Feature Layer"]

    def test_with_every_lock_held(self, portal, open_session, amy):
        session = open_session(amy(portal), deadline=10)
        session.get(portal.layer_url + "?f=json")
        auth = session.auth
        (keeper,) = auth._router.federation._sources.values()
        portal.revoke_all_tokens()
        one, other = auth._keeper._holding, keeper._holding
        with one.lock, one.flights._lock, other.lock, other.flights._lock, auth._finding._lock:
            said = self.in_child(lambda: session.get(portal.layer_url + "?f=json").json()["type"])
        assert said == "Feature Layer"
