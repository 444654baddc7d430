"""Copies of one sign-in that come to one process, as a pool of workers makes one for every task: they renew as one."""

from __future__ import annotations

import pickle

import pytest

from esri_http import EsriBuiltInAuth
from esri_http.auth.sites import Root
from esri_http.auth.tokens import holdings
from esri_http.auth.tokens.holdings import Holding, holding_named
from esri_http.auth.tokens.keeper import Fetched, TokenKeeper
from esri_http.words.clock import SYSTEM_CLOCK
from esri_http.words.errors import ArcGISLoginError, InteractionRequiredError
from esri_http.words.origins import Origin
from tests.auth.helpers import errors_in, exchanges, in_threads, sign_ins, trail

SELF = "/sharing/rest/community/self?f=json"


@pytest.fixture
def fake_clock():
    """The real one, which travels."""
    return SYSTEM_CLOCK


@pytest.fixture
def session(portal, open_session, built_in):
    """Signed in at the portal and at its server."""
    session = open_session(built_in())
    assert read(session, portal) == "Feature Layer"
    return session


@pytest.fixture
def copies():
    """`copies(session, count)`: what so many tasks get."""
    made = []

    def make(session, count=8):
        pickled = pickle.dumps(session)
        new = [pickle.loads(pickled) for _ in range(count)]
        made.extend(new)
        return new

    yield make
    for session in made:
        session.close()


def read(session, portal):
    return session.get(portal.layer_url + "?f=json").json()["type"]


# -- renewal ---------------------------------------------------------------------------------------------------------


def test_while_the_tokens_live_copies_ask_for_nothing_but_their_own(portal, session, copies):
    twins = copies(session)
    portal.clear()
    assert in_threads(8, lambda number: read(twins[number], portal)) == ["Feature Layer"] * 8
    assert trail(portal) == ["0"] * 8


def test_copies_whose_tokens_die_sign_in_once_between_them(portal, session, copies):
    twins = copies(session)
    portal.revoke_all_tokens()
    portal.clear()
    assert in_threads(8, lambda number: read(twins[number], portal)) == ["Feature Layer"] * 8
    assert (sign_ins(portal), exchanges(portal)) == (1, 2)
    assert len({twin.auth.token for twin in twins}) == 1


def test_a_copy_that_comes_after_the_others_are_gone_has_what_they_got(portal, session):
    pickled = pickle.dumps(session)
    portal.revoke_all_tokens()
    portal.clear()
    for _ in range(5):
        with pickle.loads(pickled) as twin:
            assert read(twin, portal) == "Feature Layer"
    assert (sign_ins(portal), exchanges(portal)) == (1, 2)
    assert trail(portal).count("0") == 6  # the first one was refused


def test_a_copy_that_brings_a_newer_token_brings_it_for_all(portal, session, copies):
    (early,) = copies(session, 1)
    portal.revoke_all_tokens()
    assert read(session, portal) == "Feature Layer"
    (late,) = copies(session, 1)
    portal.clear()
    assert [read(late, portal), read(early, portal)] == ["Feature Layer"] * 2
    assert trail(portal) == ["0", "0"]


VALUES = iter(())


def fetch_next(wire):
    return Fetched(next(VALUES))


def test_a_dead_token_that_comes_again_is_not_taken_up_again(monkeypatch):
    monkeypatch.setitem(globals(), "VALUES", iter(["one", "two"]))
    keeper = TokenKeeper(fetch_next)
    keeper.put(Fetched("dead"))
    pickled, wire = pickle.dumps(keeper), object()
    first = pickle.loads(pickled)
    assert first.renewed(wire, first.token).value == "one"
    assert pickle.loads(pickled).current(wire).value == "one"
    assert first.renewed(wire, first.token).value == "two"
    assert pickle.loads(pickled).current(wire).value == "two"


# -- the one that was pickled, and those who go on by themselves -----------------------------------------------------


def test_the_one_that_was_pickled_goes_its_own_way(portal, session, copies):
    (twin,) = copies(session, 1)
    token = session.auth.token
    twin.auth.logout("error")
    assert read(session, portal) == "Feature Layer"
    assert session.auth.token == token
    assert sign_ins(portal) == 1


def test_copies_of_other_sessions_share_nothing(portal, open_session, built_in, copies):
    portal.generate_token_takes_passwords = True
    amy, other = open_session(built_in()), open_session(built_in())
    assert amy.auth.token != other.auth.token
    (one,), (another,) = copies(amy, 1), copies(other, 1)
    assert (one.auth.token, another.auth.token) == (amy.auth.token, other.auth.token)


def test_a_copy_that_gets_another_password_shares_nothing_any_more(portal, session, copies):
    one, other = copies(session, 2)
    token = other.auth.token
    one.auth.password = "not-hers"
    with pytest.raises(ArcGISLoginError):
        read(one, portal)
    assert read(other, portal) == "Feature Layer"
    assert other.auth.token == token
    with pytest.raises(ArcGISLoginError):
        one.auth.token  # noqa: B018


@pytest.mark.parametrize("used", [False, True])
def test_a_refresh_token_that_one_copy_exchanges_is_followed_by_the_others(portal, open_session, by_oauth, copies, used):
    portal.oauth.rotates_refresh_tokens = True
    session = open_session(by_oauth(refresh_token=portal.oauth.issue_refresh_token("amy", "app1")))
    if used:
        read(session, portal)
    twins = copies(session, 2)
    for twin in [*twins, *twins]:
        portal.revoke_all_tokens()
        assert read(twin, portal) == "Feature Layer"
    one, other = twins
    assert one.auth.refresh_token == other.auth.refresh_token
    other.auth.logout()
    assert (one.auth.refresh_token is None, other.auth.refresh_token) == (False, None)


def test_a_copy_that_signs_out_forgets_its_token_and_no_other_ones(portal, session, copies):
    one, other = copies(session, 2)
    one.auth.logout("error")
    one.auth.login()
    assert one.auth._keeper.token is None
    assert other.auth._keeper.token is not None


# -- refusals --------------------------------------------------------------------------------------------------------


def test_a_refused_password_is_posted_once_by_however_many_copies(portal, session, copies):
    twins = copies(session)
    portal.users["amy"].password = "another-one"
    portal.revoke_all_tokens()
    portal.clear()
    outcomes = in_threads(8, lambda number: read(twins[number], portal))
    late = copies(session, 1)[0]
    outcomes += in_threads(1, lambda _: read(late, portal))
    assert [type(error) for error in errors_in(outcomes)] == [ArcGISLoginError] * 9
    assert sign_ins(portal) == 1


def test_a_refusal_is_over_once_the_password_is_set_anew_and_sent_again(portal, session, copies):
    (twin,) = copies(session, 1)
    portal.users["amy"].password = "another-one"
    portal.revoke_all_tokens()
    with pytest.raises(ArcGISLoginError):
        read(twin, portal)
    session.auth.password = "another-one"
    (late,) = copies(session, 1)
    assert read(late, portal) == "Feature Layer"


def test_a_step_that_a_person_has_taken_is_over_for_what_is_sent_then(portal, open_session, built_in, copies):
    session = open_session(built_in())
    session.auth._keeper.refusal = InteractionRequiredError("Somebody has to accept the terms.")
    (early,) = copies(session, 1)
    with pytest.raises(InteractionRequiredError):
        early.get(portal.portal_url + SELF)
    session.auth.login()
    (late,) = copies(session, 1)
    assert late.get(portal.portal_url + SELF).json()["username"] == "amy"


# -- what is kept ----------------------------------------------------------------------------------------------------


def test_the_holdings_of_a_process_are_so_many_and_no_more(monkeypatch):
    monkeypatch.setattr(holdings, "_arrived", {})
    monkeypatch.setattr(holdings, "_MOST_HOLDINGS", 3)
    first = holding_named("a")
    assert holding_named("a") is first
    for name in "bcd":
        holding_named(name)
    assert list(holdings._arrived) == ["b", "c", "d"]
    assert holding_named("a") is not first


def test_a_name_is_made_once_and_tells_nothing():
    holding = Holding()
    name = holding.name()
    assert (holding.name(), len(name)) == (name, 32)
    assert Holding().name() != name


class Meddling:
    """While it is pickled, another thread learns of a server."""

    token = None

    def __init__(self, sources):
        self.sources = sources

    def __reduce__(self):
        self.sources[Root(Origin("https", f"gis{len(self.sources)}.example", 443), "/server")] = None
        return str, ()


def test_a_server_that_is_met_while_a_pickle_is_made_does_no_harm(portal, session):
    sources = session.auth._router.federation._sources
    for number in range(3):
        sources[Root(Origin("https", f"other{number}.example", 443), "/server")] = Meddling(sources)
    assert isinstance(pickle.loads(pickle.dumps(session.auth)), EsriBuiltInAuth)
