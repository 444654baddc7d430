"""`EsriGenTokenAuth`: what it posts, what its token is, what its settings do."""

from __future__ import annotations

import datetime
import inspect
import pickle
import threading

import pytest

from esri_http import EsriGenTokenAuth
from esri_http.words.clock import SYSTEM_CLOCK
from esri_http.words.errors import ArcGISLoginError, ConfigurationError, SignInError
from tests.auth.helpers import changed_answer, exchanges, in_threads, sign_ins, token_sent


def test_the_parameters_come_in_the_order_that_scripts_use():
    names = list(inspect.signature(EsriGenTokenAuth).parameters)
    assert names[:8] == [
        "token_url", "referer", "username", "password", "portal_auth", "time_out", "verify_cert", "legacy",
    ]  # fmt: skip


def test_user_name_and_password_are_posted_in_the_body_and_nowhere_else(portal, open_session, amy):
    session = open_session(amy(portal))
    assert session.get(portal.portal_url + "/sharing/rest/community/self?f=json").json()["username"] == "amy"
    posted = portal.recorder.find("/generateToken")
    assert [(request.method, request.query) for request in posted] == [("POST", {})]
    assert posted[0].form == {
        "username": "amy", "password": portal.password("amy"), "expiration": "1440", "client": "referer", "referer": "http",
        "f": "json",
    }  # fmt: skip


def test_afterwards_each_call_is_one_request_with_the_same_token(portal, open_session, amy):
    session = open_session(amy(portal))
    url = portal.portal_url + "/sharing/rest/portals/self?f=json"
    session.get(url)
    portal.clear()
    for _ in range(5):
        assert session.get(url).json()["user"]["username"] == "amy"
    assert len(portal.requests) == 5
    assert {token_sent(request) for request in portal.requests} == {session.auth.token}


@pytest.mark.parametrize("name", ["zoë", "bob"])
def test_any_letters_in_user_name_and_password_arrive_unchanged(portal, open_session, amy, name):
    session = open_session(amy(portal, username=name, password=portal.password(name)))
    assert session.get(portal.portal_url + "/sharing/rest/community/self?f=json").json()["username"] == name


def test_the_token_is_text_and_is_callable_too(portal, open_session, amy):
    session = open_session(amy(portal))
    token = session.auth.token
    assert isinstance(token, str)
    assert token() == token == session.auth.token
    assert portal.tokens.get(token).username == "amy"
    assert sign_ins(portal) == 1


@pytest.mark.parametrize("path", ["", "/", "/rest/services/Places/FeatureServer/0"])
def test_called_with_the_url_of_a_federated_server_it_gives_that_servers_token(portal, open_session, amy, path):
    session = open_session(amy(portal))
    token = session.auth.token(portal.server_url + path)
    assert portal.tokens.get(token).audience == portal.server_url
    assert session.auth.token(portal.server_url) == token
    assert exchanges(portal) == 1


def test_called_with_the_url_of_the_portal_it_gives_the_portals_token(portal, open_session, amy):
    session = open_session(amy(portal))
    assert session.auth.token(portal.portal_url) == session.auth.token


def test_called_with_the_url_of_a_stranger_it_raises(portal, open_session, amy):
    session = open_session(amy(portal))
    with pytest.raises(SignInError, match="not federated"):
        session.auth.token(portal.standalone_url)


def test_a_token_that_is_pickled_is_plain_text_and_takes_no_password_along(portal, open_session, amy):
    session = open_session(amy(portal))
    pickled = pickle.dumps(session.auth.token)
    assert type(pickle.loads(pickled)) is str
    assert portal.password("amy").encode() not in pickled


def test_a_handler_of_no_session_says_so(portal, amy):
    with pytest.raises(ConfigurationError, match="belongs to no session"):
        amy(portal).token  # noqa: B018


def test_a_handler_made_with_a_session_has_a_token_at_once(portal, open_session, amy):
    handler = amy(portal, session=open_session())
    assert portal.tokens.get(handler.token).username == "amy"


def test_minutes_are_asked_for_and_expiration_says_what_was_granted(portal, open_session, amy, fake_clock):
    portal.max_token_lifetime_minutes = 20.0
    session = open_session(amy(portal, time_out=90))
    assert session.auth.expiration is None
    session.auth.token  # noqa: B018
    assert portal.recorder.find("/generateToken")[0].form["expiration"] == "90"
    assert session.auth.expiration == datetime.datetime.fromtimestamp(fake_clock.time() + 20 * 60)


@pytest.mark.parametrize("minutes, field", [(0.5, "0.5"), (60.0, "60"), (1_234_567, "1234567")])
def test_the_minutes_are_written_in_digits(portal, open_session, amy, minutes, field):
    open_session(amy(portal, time_out=minutes)).auth.token  # noqa: B018
    assert portal.recorder.find("/generateToken")[0].form["expiration"] == field


@pytest.mark.parametrize("expires", [99_999_999_999_999_999, 253_402_300_800_000, 1e15])
def test_an_expiry_that_no_calendar_has_is_not_shown(portal, open_session, amy, expires):
    portal.faults.add("/generateToken", changed_answer(lambda answer: answer.update(expires=expires)))
    session = open_session(amy(portal))
    assert session.auth.token
    assert session.auth.expiration is None


@pytest.mark.parametrize(
    "options",
    [
        *({"username": bad} for bad in (5, b"amy", ["amy"], "\ud800")),
        *({"password": bad} for bad in (5, b"secret", ["secret"], object(), "half \udc00")),
        {"client": "ip", "ip": 5},
    ],
)  # fmt: skip
def test_options_that_are_no_text_are_refused_at_once(options):
    given = {"token_url": "https://portal.example/portal", "username": "amy", "password": "secret", **options}
    with pytest.raises(ConfigurationError, match=rf"{'|'.join(options)}= (takes text|holds half a character)"):
        EsriGenTokenAuth(**given)


@pytest.mark.parametrize("password", [None, 5, b"secret", "\ud800"])
def test_a_password_that_is_set_later_is_looked_at_like_the_first(portal, open_session, amy, password):
    session = open_session(amy(portal))
    with pytest.raises(ConfigurationError, match="password="):
        session.auth.password = password
    assert session.auth.token
    assert sign_ins(portal) == 1


@pytest.mark.parametrize("minutes", [0, -1, "60", True, None, float("nan"), float("inf"), 10**400, 1e13])
def test_a_time_out_that_is_no_time_is_refused(minutes):
    with pytest.raises(ConfigurationError, match="time_out"):
        EsriGenTokenAuth("https://portal.example/portal", None, "amy", "secret", time_out=minutes)


@pytest.mark.parametrize(
    "options",
    [{"username": "amy"}, {"password": "secret"}, {"username": "", "password": "secret"}],
)
def test_half_of_the_credentials_makes_no_handler(options):
    with pytest.raises(ConfigurationError, match="username= and password="):
        EsriGenTokenAuth("https://portal.example/portal", **options)


@pytest.mark.parametrize("options", [{"client": "ip"}, {"client": "elsewhere"}, {"ip": "10.0.0.1"}])
def test_a_client_that_makes_no_sense_is_refused(options):
    with pytest.raises(ConfigurationError, match="client="):
        EsriGenTokenAuth("https://portal.example/portal", None, "amy", "secret", **options)


@pytest.mark.parametrize("options", [{"client": "requestip"}, {"client": "ip", "ip": "127.0.0.1"}])
def test_a_token_can_be_bound_to_the_address(options, portal, open_session, amy):
    session = open_session(amy(portal, **options))
    assert session.get(portal.portal_url + "/sharing/rest/community/self?f=json").json()["username"] == "amy"
    assert portal.tokens.get(session.auth.token).client_ip in ("127.0.0.1", "::1")
    assert "referer" not in portal.recorder.find("/generateToken")[0].form


class TestReferer:
    """What a token is bound to is sent with it."""

    URL = "/sharing/rest/community/self?f=json"

    @pytest.mark.parametrize(
        "handlers, sessions, expected",
        [
            ("https://tool.example/", "http", "https://tool.example/"),
            (None, "https://mine.example", "https://mine.example"),
            (None, "http", "http"),
            ("", "https://mine.example", "https://mine.example"),
            (None, None, "http"),
            ("https://tool.example/", None, "https://tool.example/"),
        ],
    )
    def test_handlers_referer_else_the_sessions_else_http(self, portal, open_session, amy, handlers, sessions, expected):
        session = open_session(amy(portal, referer=handlers), referer=sessions)
        assert session.get(portal.portal_url + self.URL).json()["username"] == "amy"
        assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
        assert {request.form["referer"] for request in portal.recorder.find("/generateToken")} == {expected}
        signed = [request for request in portal.requests if token_sent(request)]
        assert len(signed) == 2
        assert {request.headers["Referer"] for request in signed} == {expected}

    def test_a_new_referer_of_the_session_is_answered_by_a_new_token(self, portal, open_session, amy):
        session = open_session(amy(portal))
        session.get(portal.portal_url + self.URL)
        session.referer = "https://other.example"
        assert session.get(portal.portal_url + self.URL).json()["username"] == "amy"
        assert sign_ins(portal) == 2

    def test_the_handlers_referer_goes_only_where_its_token_goes(self, portal, open_session, amy, handler_peer):
        elsewhere = handler_peer(lambda request: None)
        session = open_session(amy(portal, referer="https://tool.example/"))
        session.get(elsewhere.url_for("/page"))
        assert [request.headers["Referer"] for request in elsewhere.requests] == ["http"]


class TestRefusedPassword:
    """A wrong password is posted once."""

    URL = "/sharing/rest/community/self?f=json"

    def test_over_many_requests_it_is_posted_exactly_once(self, portal, open_session, amy):
        session = open_session(amy(portal, password="not-hers"))
        for _ in range(5):
            with pytest.raises(ArcGISLoginError, match="Invalid username or password") as caught:
                session.get(portal.portal_url + self.URL)
            assert caught.value.code == 400
        with pytest.raises(ArcGISLoginError):
            session.auth.token  # noqa: B018
        assert sign_ins(portal) == 1
        assert portal.count() == 1

    def test_over_many_threads_it_is_posted_exactly_once(self, portal, open_session, amy):
        session = open_session(amy(portal, password="not-hers"))
        outcomes = in_threads(32, lambda number: [self._error(session, portal) for _ in range(3)])
        assert all(isinstance(error, ArcGISLoginError) for errors in outcomes for error in errors)
        assert len({id(error) for errors in outcomes for error in errors}) == 32 * 3
        assert sign_ins(portal) == 1

    def _error(self, session, portal):
        try:
            session.get(portal.layer_url + "?f=json")
        except Exception as error:
            return error

    def test_until_it_is_set_anew(self, portal, open_session, amy):
        session = open_session(amy(portal, password="not-hers"))
        with pytest.raises(ArcGISLoginError):
            session.get(portal.portal_url + self.URL)
        session.auth.password = portal.password("amy")
        assert session.get(portal.portal_url + self.URL).json()["username"] == "amy"
        assert sign_ins(portal) == 2
        assert session.auth.password is None

    def test_a_refusal_travels_in_a_pickle(self, portal, open_session, amy):
        session = open_session(amy(portal, password="not-hers", clock=SYSTEM_CLOCK))
        with pytest.raises(ArcGISLoginError):
            session.get(portal.portal_url + self.URL)
        twin = open_session(pickle.loads(pickle.dumps(session.auth)))
        with pytest.raises(ArcGISLoginError):
            twin.get(portal.portal_url + self.URL)
        assert sign_ins(portal) == 1

    @pytest.mark.parametrize(
        "error",
        [
            {"code": 400, "message": "Unable to generate token.", "details": ["Ungültiger Benutzername oder Kennwort."]},
            {
                "code": 400,
                "message": "Unable to generate token.",
                "details": ["Too many invalid attempts. Please try again later."],
            },
            {"code": 401, "message": "You are not authorized to access this information", "details": "Invalid credentials"},
            {"code": 403, "message": "The account is locked.", "details": []},
        ],
    )
    def test_any_refusal_of_the_credentials_counts_whatever_its_language(self, portal, open_session, amy, error):
        portal.faults.add("/generateToken", changed_answer(lambda answer: {"error": error}), times=None)
        session = open_session(amy(portal))
        for _ in range(3):
            with pytest.raises(ArcGISLoginError) as caught:
                session.get(portal.portal_url + self.URL)
        assert caught.value.code == error["code"]
        assert sign_ins(portal) == 1

    @pytest.mark.parametrize(
        "error",
        [
            {"code": 201, "message": "Exception in generating token", "details": "Client id cannot be determined"},
            {"code": 403, "message": "SSL Required", "details": []},
            {"code": 400, "message": "Unable to generate token.", "details": ["'referer' must be specified."]},
            {"code": 500, "message": "Service not started", "details": []},
        ],
    )
    def test_a_refusal_for_another_reason_is_tried_again_by_the_next_request(self, portal, open_session, amy, error):
        portal.faults.add("/generateToken", changed_answer(lambda answer: {"error": error}))
        session = open_session(amy(portal))
        with pytest.raises(SignInError) as caught:
            session.get(portal.portal_url + self.URL)
        assert not isinstance(caught.value, ArcGISLoginError)
        assert caught.value.code == error["code"]
        assert sign_ins(portal) == 1
        assert session.get(portal.portal_url + self.URL).json()["username"] == "amy"

    def test_nor_one_that_is_set_in_the_moment_in_which_the_refusal_is_remembered(self, portal, open_session, amy):
        auth = amy(portal, password="not-hers")
        new = threading.Thread(target=lambda: setattr(auth, "password", portal.password("amy")))

        class Refused(ArcGISLoginError):
            """Copied to be remembered, after the look whether there is another password."""

            def __reduce__(self):
                if new.ident is None:
                    new.start()
                    new.join(0.2)
                return super().__reduce__()

        def refuse():
            raise Refused("wrong")

        with pytest.raises(Refused):
            auth._remembering(refuse)
        new.join()
        assert open_session(auth).get(portal.portal_url + self.URL).json()["username"] == "amy"

    def test_a_refusal_of_the_old_password_does_not_stand_against_the_new_one(self, portal, open_session, amy):
        session = open_session(amy(portal, password="not-hers"))

        def set_meanwhile(answer):
            session.auth.password = portal.password("amy")

        portal.faults.add("/generateToken", changed_answer(set_meanwhile))
        with pytest.raises(ArcGISLoginError):
            session.get(portal.portal_url + self.URL)
        assert session.get(portal.portal_url + self.URL).json()["username"] == "amy"


def test_requests_of_the_sign_in_say_who_sends_them(portal, open_session, amy):
    with open_session(amy(portal), headers={"User-Agent": "roads/1"}) as session:
        session.get(portal.layer_url, params={"f": "json"}).raise_for_error()
    assert {request.headers["User-Agent"] for request in portal.requests} == {"roads/1"}
    assert len(portal.requests) == 4
