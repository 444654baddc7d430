"""`ArcGISProAuth`: whoever is signed in to ArcGIS Pro, asked of a stand-in for its `arcpy`."""

from __future__ import annotations

import datetime
import inspect
import logging
import pickle
import sys
import threading

import pytest

from esri_http import ArcGISProAuth, EsriBasicAuth, EsriGenTokenAuth
from esri_http.auth.tokens.token_services import TokenService
from esri_http.testing import EmbeddedPortal, faults
from esri_http.words.errors import ArcGISLoginError, MissingPackageError, SignInError, TokenRequestError
from tests.auth.helpers import assert_hidden, errors_in, exchanges, in_threads, token_sent
from tests.auth.hosts import PRO_REFERER, in_its_own_process, sign_in, stand_in
from tests.support.peers import json_reply

SELF = "/sharing/rest/community/self?f=json"
HOUR = 3600.0


@pytest.fixture
def arcpy(monkeypatch):
    return stand_in("arcpy", monkeypatch)


@pytest.fixture
def pro(fake_clock):
    return lambda **options: ArcGISProAuth(clock=fake_clock, **options)


@pytest.fixture
def other_portal(fake_clock):
    with EmbeddedPortal(https=False, clock=fake_clock) as running:
        yield running
    assert running.internal_errors == []


def who(session, portal):
    return session.get(portal.portal_url + SELF).json().get("username")


def asked(arcpy):
    """How often Pro was asked for its token."""
    return arcpy.calls.count("GetSigninToken")


def tokens_at(portal):
    """Every token that came to any of the sites, in whatever way."""
    found = [(token_sent(request), request.query.get("token"), request.form.get("token")) for request in portal.requests]
    return {token for tokens in found for token in tokens if token is not None}


# -- in a process of its own -----------------------------------------------------------------------------------------

_PROGRAM = """
import threading
from esri_http import ArcGISProAuth, EsriSession
url, layer, sign_ins = given
auth = ArcGISProAuth()
session = EsriSession(auth=auth)
found = {"imported early": "arcpy" in sys.modules}
if sign_ins is not None:
    import arcpy
    arcpy.active_portal, arcpy.sign_ins = url, sign_ins
    del sys.modules["arcpy"]
    sys.modules["arcpy"] = arcpy
try:
    if sign_ins:
        names = []
        work = lambda: names.append(session.get(url + "/sharing/rest/community/self?f=json").json()["username"])
        threads = [threading.Thread(target=work) for _ in range(16)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        found["names"] = names
    found["layer"] = session.get(layer + "?f=json").json().get("type")
    found["token"] = auth.token
except Exception as error:
    found["error"] = [type(error).__name__, str(error)]
found["asked"] = sys.modules["arcpy"].calls.count("GetSigninToken") if "arcpy" in sys.modules else None
print(json.dumps(found))
"""


class TestInAProcessOfItsOwn:
    """As in Pro: a script, its arcpy on the path, and a portal elsewhere."""

    @pytest.fixture
    def portal(self):
        with EmbeddedPortal(https=False) as running:
            yield running

    def test_sixteen_threads_ask_pro_once_and_read_the_portal_and_its_server(self, portal):
        token = portal.issue_token("amy", referer=PRO_REFERER)
        held = {"token": token, "expires": int((portal.now() + 3600) * 1000), "referer": PRO_REFERER}
        found = in_its_own_process(_PROGRAM, portal.portal_url, portal.layer_url, {portal.portal_url: held})
        assert found == {
            "imported early": False, "names": ["amy"] * 16, "layer": "Feature Layer", "token": token, "asked": 1,
        }  # fmt: skip
        assert len(portal.requests) == 16 + 3

    def test_nobody_signed_in_is_an_error_that_says_so(self, portal):
        found = in_its_own_process(_PROGRAM, portal.portal_url, portal.portal_url + "/sharing/rest/portals/self", {})
        assert found["error"][0] == "ArcGISLoginError"
        assert f"Nobody is signed in at {portal.portal_url} in ArcGIS Pro." in found["error"][1]
        assert portal.requests == []

    def test_a_python_that_is_not_pros_has_no_arcpy_and_is_told_so_at_the_first_request(self, portal):
        found = in_its_own_process(_PROGRAM, portal.portal_url, portal.layer_url, None, stand_ins=False)
        assert found["error"][0] == "MissingPackageError"
        assert "ArcGISProAuth works only in the Python of ArcGIS Pro" in found["error"][1]
        assert portal.requests == []


# -- signed in -------------------------------------------------------------------------------------------------------


def test_the_parameters_are_those_that_scripts_use():
    assert next(iter(inspect.signature(ArcGISProAuth).parameters)) == "legacy"
    assert ArcGISProAuth(True).legacy is True


def test_pro_is_asked_once_for_fifty_calls(arcpy, pro, portal, open_session):
    token = sign_in(arcpy, portal)
    session = open_session(pro())
    assert {who(session, portal) for _ in range(50)} == {"amy"}
    assert arcpy.calls == ["GetActivePortalURL", "GetSigninToken", "GetActivePortalURL"]
    assert len(portal.requests) == 50
    assert tokens_at(portal) == {token}


def test_pros_own_referer_goes_with_the_token_and_with_the_exchange(arcpy, pro, portal, open_session):
    sign_in(arcpy, portal)
    session = open_session(pro(), referer="https://session.example")
    assert who(session, portal) == "amy"
    assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
    signed = [request for request in portal.requests if token_sent(request) or "token" in request.form]
    assert {request.headers["Referer"] for request in signed} == {PRO_REFERER}
    assert portal.recorder.find("/generateToken")[0].form["referer"] == PRO_REFERER


def test_a_token_without_a_referer_goes_with_the_sessions(arcpy, pro, portal, open_session):
    sign_in(arcpy, portal, referer=None)
    assert who(open_session(pro(), referer="https://session.example"), portal) == "amy"
    assert portal.requests[0].headers["Referer"] == "https://session.example"


def test_a_federated_server_takes_three_requests_more_and_then_none(arcpy, pro, portal, open_session):
    sign_in(arcpy, portal)
    session = open_session(pro())
    for _ in range(5):
        assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
    assert (len(portal.requests), exchanges(portal), asked(arcpy)) == (2 + 5, 1, 1)


def test_the_legacy_way_works_too(arcpy, pro, portal, open_session):
    token = sign_in(arcpy, portal)
    assert who(open_session(pro(legacy=True)), portal) == "amy"
    assert portal.requests[0].query["token"] == token


def test_neither_foreign_hosts_nor_other_servers_get_the_token(arcpy, pro, portal, open_session, handler_peer):
    sign_in(arcpy, portal)
    session = open_session(pro())
    assert who(session, portal) == "amy"
    peer = handler_peer(lambda request: json_reply({"headers": dict(request.headers), "target": request.target}))
    for path in ("/x", "/portal/sharing/rest/community/self", "/arcgis/rest/services/A/MapServer"):
        said = session.get(peer.url_for(path)).json()
        assert PRO_REFERER not in said["headers"].values()
    assert [token_sent(request) for request in peer.requests] == [None] * len(peer.requests)
    with pytest.raises(SignInError, match="not federated"):
        session.get(portal.standalone_layer_url + "?f=json")
    assert {token_sent(request) for request in portal.requests if request.site == "standalone"} == {None}


def test_who_is_signed_in_is_asked_of_the_portal_once_where_that_is_wanted(arcpy, pro, portal, open_session):
    sign_in(arcpy, portal)
    session = open_session(pro(verify_sign_in=True))
    assert [who(session, portal), who(session, portal)] == ["amy", "amy"]
    assert portal.count("/portals/self") == 1


def test_a_sign_in_that_the_portal_does_not_know_is_an_error_then(arcpy, pro, portal, open_session):
    sign_in(arcpy, portal)
    portal.portal_site.self_overrides["user"] = None
    with pytest.raises(ArcGISLoginError, match="does not say who is signed in"):
        who(open_session(pro(verify_sign_in=True)), portal)


def test_token_expiry_portal_and_routes_can_be_looked_at(arcpy, pro, portal, open_session, fake_clock):
    auth = pro()
    assert repr(auth) == "ArcGISProAuth()"
    assert auth.token_expires is None
    token = sign_in(arcpy, portal)
    open_session(auth)
    assert auth.token == token
    assert str(auth.portal) == portal.portal_url
    end = datetime.datetime.fromtimestamp(fake_clock.time() + HOUR, datetime.timezone.utc)
    assert auth.token_expires == end
    assert repr(auth) == f"ArcGISProAuth({portal.portal_url})"
    assert auth.describe(portal.portal_url + "/home").endswith(f"the token of {portal.portal_url}")
    assert "a token of its own" in auth.describe(portal.layer_url)
    assert "no token" in auth.describe(portal.standalone_layer_url)
    assert portal.tokens.get(auth.token_for(portal.server_url)).audience == portal.server_url
    with pytest.raises(SignInError):
        auth.token_for(portal.standalone_url)
    assert asked(arcpy) == 1


def test_it_can_be_the_portal_auth_of_a_server(arcpy, pro, portal, open_session):
    sign_in(arcpy, portal)
    session = open_session(EsriGenTokenAuth(portal.server_url, portal_auth=pro()))
    assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"


def test_it_chains(arcpy, pro, portal, open_session):
    sign_in(arcpy, portal)
    session = open_session(EsriBasicAuth(None, "front", "door-password") + pro())
    assert who(session, portal) == "amy"
    assert portal.requests[0].headers["Authorization"].startswith("Basic ")


# -- signed out ------------------------------------------------------------------------------------------------------


def test_signed_out_is_an_error_each_time_until_somebody_signs_in(arcpy, pro, portal, open_session):
    arcpy.active_portal = portal.portal_url
    session = open_session(pro())
    for url in (portal.portal_url + SELF, portal.portal_url + "/sharing/rest/portals/self", portal.layer_url):
        with pytest.raises(ArcGISLoginError, match=r"Nobody is signed in at .* in ArcGIS Pro\. Sign in to the portal"):
            session.get(url)
    assert [request.path.rpartition("/")[2] for request in portal.requests] == ["info"]
    assert "Nobody is signed in" in session.auth.describe(portal.portal_url + SELF)
    sign_in(arcpy, portal)
    assert who(session, portal) == "amy"


def test_signed_out_does_not_stand_in_the_way_of_what_is_public_elsewhere(arcpy, pro, portal, open_session):
    arcpy.active_portal = portal.portal_url
    session = open_session(pro())
    public = portal.standalone_url + "/rest/services/PublicPlaces/FeatureServer/0?f=json"
    assert session.get(public).json()["type"] == "Feature Layer"


@pytest.mark.parametrize("url", [None, "", " ", 7, "no address", "ftp://portal.example"])
def test_no_active_portal_is_an_error(arcpy, pro, portal, open_session, url):
    arcpy.active_portal = url
    with pytest.raises(ArcGISLoginError, match="active portal of ArcGIS Pro"):
        who(open_session(pro()), portal)
    assert portal.requests == []


# -- renewal ---------------------------------------------------------------------------------------------------------


def test_pro_is_asked_again_shortly_before_the_end(arcpy, pro, portal, open_session, fake_clock):
    first = sign_in(arcpy, portal)
    session = open_session(pro())
    who(session, portal)
    second = sign_in(arcpy, portal)
    fake_clock.advance(HOUR - 301)
    who(session, portal)
    assert (asked(arcpy), session.auth.token) == (1, first)
    fake_clock.advance(2)
    assert who(session, portal) == "amy"
    assert (asked(arcpy), session.auth.token) == (2, second)
    assert len(portal.requests) == 3


def test_a_token_that_pro_has_not_renewed_yet_is_used_to_its_end_and_pro_is_not_asked_all_the_time(
    arcpy, pro, portal, open_session, fake_clock
):
    sign_in(arcpy, portal)
    session = open_session(pro())
    for _ in range(60):
        assert who(session, portal) == "amy"
        fake_clock.advance(59)
    assert 2 <= asked(arcpy) <= 6
    assert len(portal.requests) == 60


def test_signed_out_meanwhile_the_token_is_used_to_its_end_and_then_it_is_an_error(
    arcpy, pro, portal, open_session, fake_clock
):
    sign_in(arcpy, portal)
    session = open_session(pro())
    who(session, portal)
    arcpy.sign_ins.clear()
    fake_clock.advance(HOUR - 60)
    assert who(session, portal) == "amy"
    fake_clock.advance(61)
    with pytest.raises(ArcGISLoginError, match="Nobody is signed in"):
        who(session, portal)
    assert len(portal.requests) == 2


def test_a_refused_token_is_asked_for_again_and_the_request_sent_again(arcpy, pro, portal, open_session):
    first = sign_in(arcpy, portal)
    session = open_session(pro())
    who(session, portal)
    portal.revoke(first)
    sign_in(arcpy, portal)
    assert who(session, portal) == "amy"
    assert (asked(arcpy), len(portal.requests)) == (2, 3)


def test_the_same_refused_token_again_is_an_error_and_never_an_anonymous_request(arcpy, pro, portal, open_session):
    first = sign_in(arcpy, portal)
    session = open_session(pro())
    portal.revoke(first)
    for _ in range(2):
        with pytest.raises(ArcGISLoginError, match="refuses the token of ArcGIS Pro, which hands out the same one again"):
            who(session, portal)
    assert [token_sent(request) for request in portal.requests] == [first, first]
    sign_in(arcpy, portal)
    assert who(session, portal) == "amy"


def test_a_refusal_in_one_place_does_not_take_the_token_from_the_others(arcpy, pro, portal, open_session):
    sign_in(arcpy, portal)
    session = open_session(pro())
    portal.faults.add("/portals/self", faults.arcgis_error(498), times=None)
    with pytest.raises(ArcGISLoginError):
        session.get(portal.portal_url + "/sharing/rest/portals/self?f=json")
    assert who(session, portal) == "amy"


def test_a_token_that_was_handed_over_twice_counts_as_refused_both_times(arcpy, pro, portal, open_session, fake_clock):
    first = sign_in(arcpy, portal)
    session = open_session(pro())
    who(session, portal)
    wire = session.auth.wire()
    place = session.auth.places(wire)[0]
    old = place.current(wire)  # as a request under way holds it
    fake_clock.advance(HOUR - 60)
    again = place.current(wire)
    assert (again.value, again.generation) == (first, old.generation + 1)
    second = sign_in(arcpy, portal)
    assert place.renewed(wire, old).value == second


def test_all_tokens_of_the_site_dying_at_once_is_survived(arcpy, pro, portal, open_session):
    sign_in(arcpy, portal)
    session = open_session(pro())
    session.get(portal.layer_url + "?f=json")
    portal.revoke_all_tokens()
    sign_in(arcpy, portal)
    assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
    assert (asked(arcpy), exchanges(portal)) == (2, 3)


@pytest.mark.parametrize("expires", [None, "soon", True, [], -5, 0, 1, 10**30, 10**400, float("inf"), float("nan"), "9" * 40])
def test_an_end_that_makes_no_sense_counts_as_not_said(arcpy, pro, portal, open_session, fake_clock, expires):
    sign_in(arcpy, portal, minutes=6000)
    held = arcpy.sign_ins[portal.portal_url]
    held.pop("expires") if expires is None else held.update(expires=expires)
    session = open_session(pro())
    for _ in range(3):
        assert who(session, portal) == "amy"
        fake_clock.advance(20 * HOUR)
    assert (asked(arcpy), session.auth.token_expires) == (1, None)


@pytest.mark.parametrize("form", [lambda ms: str(ms), lambda ms: ms / 1000.0, lambda ms: float(ms)])
def test_the_end_is_understood_in_any_form(arcpy, pro, portal, open_session, fake_clock, form):
    sign_in(arcpy, portal)
    held = arcpy.sign_ins[portal.portal_url]
    held["expires"] = form(held["expires"])
    session = open_session(pro())
    who(session, portal)
    assert session.auth.token_expires.timestamp() == pytest.approx(fake_clock.time() + HOUR)


@pytest.mark.parametrize(
    "given", [{}, [], "text", 7, {"token": None}, {"token": 5}, {"token": "two words"}, {"token": "x" * 20_000}]
)
def test_what_is_no_sign_in_is_an_error(arcpy, pro, portal, open_session, given):
    arcpy.active_portal = portal.portal_url
    arcpy.sign_ins[portal.portal_url] = given
    with pytest.raises(TokenRequestError, match="ArcGIS Pro gives something that cannot be a token"):
        who(open_session(pro()), portal)
    assert portal.requests == []


# -- another portal --------------------------------------------------------------------------------------------------


class TestTheActivePortalIsSwitched:
    """The person makes another portal the active one; no token of one ever goes to the other."""

    @pytest.fixture
    def session(self, arcpy, pro, portal, other_portal, open_session):
        sign_in(arcpy, portal, minutes=60)
        session = open_session(pro())
        assert who(session, portal) == "amy"
        assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
        sign_in(arcpy, other_portal, "bob", minutes=600, referer="https://another.example")
        yield session
        mine = {token for token in tokens_at(portal) if other_portal.tokens.get(token)}
        theirs = {token for token in tokens_at(other_portal) if portal.tokens.get(token)}
        assert (mine, theirs) == (set(), set())

    def test_it_is_noticed_when_the_token_is_renewed(self, session, portal, other_portal, arcpy, fake_clock):
        assert str(session.auth.portal) == portal.portal_url
        fake_clock.advance(HOUR - 60)
        assert who(session, portal) == "amy"  # its token lives still
        assert str(session.auth.portal) == other_portal.portal_url
        assert who(session, other_portal) == "bob"
        assert session.get(other_portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
        assert asked(arcpy) == 2

    def test_the_first_portal_and_its_servers_are_read_on_while_its_token_lives(
        self, session, portal, other_portal, fake_clock
    ):
        fake_clock.advance(HOUR - 60)
        who(session, portal)
        assert who(session, portal) == "amy"
        assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
        assert session.auth.describe(portal.portal_url + "/home").endswith(f"the token of {portal.portal_url}")

    def test_and_then_it_is_an_error_that_names_both(self, session, portal, other_portal, fake_clock):
        fake_clock.advance(HOUR + 1)
        before = len(portal.requests)
        for _ in range(2):
            with pytest.raises(ArcGISLoginError) as caught:
                who(session, portal)
            assert portal.portal_url in str(caught.value)
            assert other_portal.portal_url in str(caught.value)
        assert len(portal.requests) == before
        assert who(session, other_portal) == "bob"

    def test_it_is_noticed_when_the_token_is_refused(self, session, portal, other_portal):
        portal.revoke(session.auth.token)
        with pytest.raises(ArcGISLoginError, match="now signed in at"):
            who(session, portal)
        assert who(session, other_portal) == "bob"

    def test_back_again_the_first_one_works_again(self, session, portal, other_portal, arcpy, fake_clock):
        fake_clock.advance(HOUR + 1)
        with pytest.raises(ArcGISLoginError):
            who(session, portal)
        sign_in(arcpy, portal)
        assert str(session.auth.portal) == other_portal.portal_url
        assert who(session, portal) == "amy"
        assert str(session.auth.portal) == portal.portal_url
        assert who(session, other_portal) == "bob"

    def test_in_the_middle_of_asking_token_and_portal_still_belong_together(
        self, session, portal, other_portal, arcpy, pro, open_session
    ):
        switches = iter([portal, other_portal])

        def switch():
            chosen = next(switches, None)
            if chosen is not None:
                arcpy.active_portal = chosen.portal_url

        arcpy.before_token = switch
        fresh = open_session(pro())
        assert who(fresh, other_portal) == "bob"
        assert next(switches, None) is None

    def test_a_portal_that_changes_all_the_time_is_an_error(self, session, portal, other_portal, arcpy, pro, open_session):
        def switch():
            urls = {portal.portal_url, other_portal.portal_url} - {arcpy.active_portal}
            arcpy.active_portal = urls.pop()

        arcpy.before_token = switch
        with pytest.raises(TokenRequestError, match="keeps changing"):
            who(open_session(pro()), portal)

    def test_as_portal_auth_it_stays_with_the_portal_that_it_began_with(
        self, session, portal, other_portal, arcpy, pro, open_session
    ):
        arcpy.active_portal = portal.portal_url
        handler = pro()
        second = open_session(EsriGenTokenAuth(portal.server_url, portal_auth=handler))
        assert second.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
        arcpy.active_portal = other_portal.portal_url
        portal.revoke_all_tokens()
        for _ in range(2):
            with pytest.raises(SignInError, match="signed in at"):
                second.get(portal.layer_url + "?f=json")


# -- arcpy that fails ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError("NotInitialized\n  twice"), ValueError(), OSError(5, "no disk"), KeyError("x")])
def test_what_arcpy_raises_is_told_in_our_words(arcpy, pro, portal, open_session, error):
    sign_in(arcpy, portal)
    arcpy.failure = error
    session = open_session(pro())
    with pytest.raises(TokenRequestError, match=r"arcpy failed in GetActivePortalURL: .*Is ArcGIS Pro licensed") as caught:
        who(session, portal)
    assert "\n" not in str(caught.value)
    assert portal.requests == []
    arcpy.failure = None
    assert who(session, portal) == "amy"


@pytest.mark.parametrize(
    "text, kind, words",
    [
        ("raise ImportError('DLL load failed')", MissingPackageError, "DLL load failed"),
        ("raise RuntimeError('The Product License has not been initialized.')", TokenRequestError, "Product License"),
        ("import no_such_module_of_pro", MissingPackageError, "no_such_module_of_pro"),
        ("", TokenRequestError, "GetActivePortalURL"),
    ],
)
def test_an_arcpy_that_does_not_start_is_told_in_our_words(tmp_path, monkeypatch, pro, portal, open_session, text, kind, words):
    (tmp_path / "arcpy.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "arcpy", None)
    monkeypatch.delitem(sys.modules, "arcpy")
    with pytest.raises(kind, match=words):
        who(open_session(pro()), portal)
    assert portal.requests == []


def test_a_failure_near_the_end_does_not_hurt_while_the_token_lives(arcpy, pro, portal, open_session, fake_clock):
    sign_in(arcpy, portal)
    session = open_session(pro())
    who(session, portal)
    arcpy.failure = RuntimeError("busy")
    fake_clock.advance(HOUR - 60)
    assert who(session, portal) == "amy"
    fake_clock.advance(61)
    with pytest.raises(TokenRequestError, match="busy"):
        who(session, portal)


# -- threads, processes, sign-out, secrets ---------------------------------------------------------------------------


def test_sixteen_threads_ask_once_cold_and_once_refused(arcpy, pro, portal, open_session):
    first = sign_in(arcpy, portal)
    session = open_session(pro())
    assert in_threads(16, lambda number: who(session, portal)) == ["amy"] * 16
    assert asked(arcpy) == 1
    portal.revoke(first)
    sign_in(arcpy, portal)
    assert in_threads(16, lambda number: who(session, portal)) == ["amy"] * 16
    assert asked(arcpy) == 2


def test_threads_wait_for_the_portals_word_on_a_new_sign_in_and_do_not_ask_again(arcpy, pro, portal, open_session):
    sign_in(arcpy, portal)
    session = open_session(pro(verify_sign_in=True))
    portal.faults.add("/portals/self", faults.delay(0.1))
    assert in_threads(8, lambda number: who(session, portal)) == ["amy"] * 8
    assert (asked(arcpy), portal.count("/portals/self")) == (1, 1)


def test_sixteen_threads_with_a_token_that_stays_refused_all_hear_so(arcpy, pro, portal, open_session):
    portal.revoke(sign_in(arcpy, portal))
    session = open_session(pro())
    outcomes = in_threads(16, lambda number: who(session, portal))
    assert [type(outcome) for outcome in outcomes] == [ArcGISLoginError] * 16
    assert None not in {token_sent(request) for request in portal.requests}


def test_two_handlers_never_call_arcpy_at_the_same_time(arcpy, pro, portal, open_session):
    sign_in(arcpy, portal)
    sessions = [open_session(pro()) for _ in range(8)]
    outcomes = in_threads(8, lambda number: who(sessions[number], portal))
    assert errors_in(outcomes) == []
    assert asked(arcpy) == 8


def test_a_pickle_takes_the_sign_in_to_a_process_without_pro(arcpy, portal, open_session, monkeypatch):
    sign_in(arcpy, portal)
    session = open_session(ArcGISProAuth())
    session.get(portal.layer_url + "?f=json")
    untouched = pickle.loads(pickle.dumps(ArcGISProAuth()))
    twin = pickle.loads(pickle.dumps(session.auth))
    monkeypatch.setitem(sys.modules, "arcpy", None)  # as where there is none
    there = open_session(twin)
    assert who(there, portal) == "amy"
    assert there.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
    with pytest.raises(MissingPackageError):
        who(open_session(untouched), portal)


def test_a_sign_in_that_is_handed_over_after_the_logout_is_not_used(arcpy, pro, portal, open_session):
    sign_in(arcpy, portal)
    auth = pro()
    session = open_session(auth)
    arcpy.before_token = lambda: auth.logout("error")
    with pytest.raises(SignInError, match="ArcGISProAuth is signed out"):
        who(session, portal)
    assert portal.requests == []
    arcpy.before_token = None
    auth.login()
    assert who(session, portal) == "amy"
    assert asked(arcpy) == 2


def test_nor_is_one_put_back_by_a_thread_that_looked_just_before_the_logout(arcpy, pro, portal, open_session):
    sign_in(arcpy, portal)
    auth = pro()
    assert who(open_session(auth), portal) == "amy"
    (place,) = auth.places(auth.wire())
    logout = threading.Thread(target=auth.logout)

    class Site(TokenService):
        """Its address is compared after the look at the logout, and before anything is put."""

        @property
        def own_roots(self):
            if logout.ident is None:
                logout.start()
                logout.join(0.2)
            return frozenset()

    place.site = object.__new__(Site)
    auth._put_first(place)
    logout.join()
    assert auth._places == ()


def test_after_logout_requests_are_anonymous_or_errors_and_login_asks_pro_anew(arcpy, pro, portal, open_session):
    sign_in(arcpy, portal)
    session = open_session(pro())
    assert who(session, portal) == "amy"
    for _ in range(2):
        assert session.auth.logout() is False
    assert session.get(portal.portal_url + SELF).json()["error"]["code"] == 499
    session.auth.logout("error")
    for work in (lambda: who(session, portal), lambda: session.auth.token):
        with pytest.raises(SignInError, match="signed out"):
            work()
    assert "signed out" in session.auth.describe(portal.portal_url)
    assert asked(arcpy) == 1
    session.auth.login()
    assert who(session, portal) == "amy"
    assert asked(arcpy) == 2
    assert portal.count("/revokeToken") == 0


def test_the_token_is_shown_nowhere(arcpy, pro, portal, open_session, caplog):
    caplog.set_level(logging.DEBUG)
    token = sign_in(arcpy, portal)
    session = open_session(pro())
    response = session.get(portal.layer_url + "?f=json")
    lines = session.auth.describe(portal.layer_url) + session.auth.describe(portal.portal_url)
    things = [session, session.auth, session.auth.places(session.auth.wire()), response, response.request, lines]
    server_token = session.auth.token_for(portal.server_url)
    portal.revoke(token)
    with pytest.raises(ArcGISLoginError) as caught:
        who(session, portal)
    arcpy.sign_ins[portal.portal_url] = {"token": token + " broken"}
    with pytest.raises(TokenRequestError) as broken:
        who(open_session(pro()), portal)
    assert_hidden([token, server_token], *things, caught.value, broken.value, logs=caplog.text)
    assert token not in pickle.dumps(caught.value).decode("latin-1")
