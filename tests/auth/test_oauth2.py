"""`EsriOAuth2Auth`: the app by its secret, a refresh token, a named user by script; and how each is renewed."""

from __future__ import annotations

import datetime
import pickle

import pytest

from esri_http import EsriOAuth2Auth
from esri_http.testing import faults
from esri_http.words.clock import SYSTEM_CLOCK
from esri_http.words.errors import ArcGISLoginError, ConfigurationError, SignInError, TokenRequestError
from tests.auth.helpers import SELF, assert_hidden, changed_answer, errors_in, in_threads, sign_ins, trail
from tests.support.peers import Reply

OOB = "urn:ietf:wg:oauth:2.0:oob"
DAY = 86400
# No person is there.
NOBODY = {"open_browser": lambda url: False, "prompt": lambda text: ""}
SERVICES = "/sharing/rest/portals/self?f=json"


@pytest.fixture
def sign_on(portal, by_oauth, open_session):
    """`sign_on(**options)`: a session with such a handler."""
    return lambda **options: open_session(by_oauth(**options), retries=0)


def whoami(session):
    return session.get(f"{session.auth.portal}{SELF}").json().get("username")


def posts(portal):
    """What was posted to the token endpoint, less what every grant has."""
    return [
        {name: value for name, value in request.form.items() if name not in ("client_id", "f")}
        for request in portal.requests
        if request.path.endswith("/oauth2/token")
    ]


class TestApp:
    """client_credentials: the app as itself."""

    @pytest.fixture
    def session(self, sign_on):
        return sign_on(client_secret="app1-secret")

    def ask(self, session, portal):
        return session.get(portal.portal_url + SERVICES).json()["appInfo"]["appId"]

    def test_many_requests_take_one_grant(self, portal, session):
        assert {self.ask(session, portal) for _ in range(20)} == {"app1"}
        assert trail(portal) == ["token"] + ["self"] * 20

    def test_what_is_posted(self, portal, sign_on):
        session = sign_on(client_secret="app1-secret", expiration=90)
        self.ask(session, portal)
        (posted,) = [request for request in portal.requests if request.path.endswith("/token")]
        assert (posted.method, posted.query) == ("POST", {})
        assert posted.form == {
            "grant_type": "client_credentials", "client_id": "app1", "client_secret": "app1-secret", "expiration": "90",
            "f": "json",
        }  # fmt: skip
        left = session.auth.token_expires - datetime.datetime.fromtimestamp(portal.now(), datetime.timezone.utc)
        assert left == datetime.timedelta(minutes=90)

    def test_it_is_renewed_early_and_not_before(self, portal, sign_on, fake_clock):
        session = sign_on(client_secret="app1-secret", expiration=120)
        self.ask(session, portal)
        fake_clock.advance(114 * 60)
        self.ask(session, portal)
        assert len(posts(portal)) == 1
        fake_clock.advance(2 * 60)
        self.ask(session, portal)
        assert len(posts(portal)) == 2

    def test_an_early_renewal_that_fails_does_no_harm(self, portal, sign_on, fake_clock):
        session = sign_on(client_secret="app1-secret", expiration=120)
        self.ask(session, portal)
        fake_clock.advance(116 * 60)
        portal.faults.add("/oauth2/token", faults.status(500))
        assert self.ask(session, portal) == "app1"

    def test_the_token_of_an_app_is_not_revoked_for_it_cannot_be(self, portal, session):
        self.ask(session, portal)
        before = len(portal.requests)
        assert session.auth.logout() is False
        assert len(portal.requests) == before

    def test_32_threads_take_one_grant(self, portal, session):
        assert in_threads(32, lambda _: self.ask(session, portal)) == ["app1"] * 32
        assert len(posts(portal)) == 1

    def test_a_wrong_secret_is_posted_once(self, portal, sign_on):
        session = sign_on(client_secret="wrong-secret")
        for _ in range(3):
            with pytest.raises(ArcGISLoginError, match="Invalid client_secret") as caught:
                self.ask(session, portal)
        assert (caught.value.code, caught.value.error) == (400, "invalid_request")
        assert trail(portal) == ["token"]
        assert_hidden(["wrong-secret"], caught.value, session.auth)

    def test_a_token_that_died_is_replaced(self, portal, session):
        self.ask(session, portal)
        portal.revoke_all_tokens()
        assert self.ask(session, portal) == "app1"
        assert trail(portal) == ["token", "self", "self", "token", "self"]


class TestRefreshToken:
    """A refresh token in place of a person."""

    @pytest.fixture
    def refresh_token(self, portal, by_oauth):
        return portal.oauth.issue_refresh_token("amy", "app1")

    @pytest.mark.parametrize("name", ["password", "refresh_token"])
    def test_it_stands_in_for_a_user(self, portal, sign_on, refresh_token, name):
        session = sign_on(**{name: refresh_token})
        assert [whoami(session) for _ in range(5)] == ["amy"] * 5
        assert posts(portal) == [{"grant_type": "refresh_token", "refresh_token": refresh_token}]
        assert len(portal.requests) == 6

    def test_with_a_user_name_a_password_is_a_password(self, portal, sign_on):
        assert whoami(sign_on(username="amy", password="amys-secret")) == "amy"
        assert posts(portal)[0]["grant_type"] == "authorization_code"

    def test_the_old_one_is_kept_where_none_comes_back(self, portal, sign_on, refresh_token, fake_clock):
        session = sign_on(refresh_token=refresh_token)
        for _ in range(3):
            assert whoami(session) == "amy"
            fake_clock.advance(31 * 60)
        assert [posted["refresh_token"] for posted in posts(portal)] == [refresh_token] * 3
        assert session.auth.refresh_token == refresh_token

    def test_a_new_one_is_taken_where_it_comes(self, portal, sign_on, refresh_token, fake_clock):
        portal.oauth.rotates_refresh_tokens = True
        session = sign_on(refresh_token=refresh_token)
        held = [refresh_token]
        for _ in range(3):
            assert whoami(session) == "amy"
            held.append(session.auth.refresh_token)
            fake_clock.advance(31 * 60)
        assert [posted["refresh_token"] for posted in posts(portal)] == held[:3]
        assert len(set(held)) == 4

    @pytest.mark.parametrize("rotates", [False, True])
    def test_eight_threads_take_one_grant(self, portal, sign_on, refresh_token, rotates, fake_clock):
        portal.oauth.rotates_refresh_tokens = rotates
        session = sign_on(refresh_token=refresh_token)
        for grants in (1, 2):
            assert in_threads(8, lambda _: whoami(session)) == ["amy"] * 8
            assert len(posts(portal)) == grants
            fake_clock.advance(31 * 60)

    @pytest.mark.parametrize("end", ["revoked", "expired"])
    def test_a_dead_one_is_a_clear_error_after_one_call(self, portal, sign_on, refresh_token, end, fake_clock):
        session = sign_on(refresh_token=refresh_token)
        if end == "revoked":
            portal.oauth.revoke(refresh_token)
        fake_clock.advance(15 * DAY)
        for _ in range(3):
            with pytest.raises(ArcGISLoginError, match="takes the refresh token no more .*sign in again") as caught:
                whoami(session)
        assert caught.value.code == 498
        assert trail(portal) == ["token"]
        assert_hidden([refresh_token], caught.value, session.auth)

    def test_it_never_makes_way_for_the_app_itself(self, portal, sign_on, refresh_token):
        session = sign_on(refresh_token=refresh_token, client_secret="app1-secret", **NOBODY)
        assert whoami(session) == "amy"
        assert posts(portal)[0]["client_secret"] == "app1-secret"
        portal.oauth.revoke(refresh_token)
        for _ in range(2):
            with pytest.raises(ArcGISLoginError, match="no more"):
                whoami(session)
        session.auth.logout()
        session.auth.login()
        with pytest.raises(SignInError):
            whoami(session)
        assert {posted["grant_type"] for posted in posts(portal)} == {"refresh_token"}

    def test_a_dead_one_and_a_password_are_a_new_sign_in(self, portal, sign_on, refresh_token):
        portal.oauth.revoke(refresh_token)
        session = sign_on(refresh_token=refresh_token, username="amy", password="amys-secret")
        assert whoami(session) == "amy"
        assert trail(portal) == ["token", "authorize", "signin", "token", "self"]

    def test_all_tokens_dying_at_once_is_survived(self, portal, sign_on, refresh_token):
        session = sign_on(refresh_token=refresh_token)
        whoami(session)
        portal.revoke_all_tokens()
        assert whoami(session) == "amy"
        portal.oauth.refresh_tokens_survive_new_key = False
        portal.revoke_all_tokens()
        with pytest.raises(ArcGISLoginError, match="sign in again"):
            whoami(session)

    def test_it_travels_in_a_pickle(self, portal, sign_on, refresh_token, open_session):
        session = sign_on(refresh_token=refresh_token, clock=SYSTEM_CLOCK)
        whoami(session)
        twin = open_session(pickle.loads(pickle.dumps(session.auth)))
        assert whoami(twin) == "amy"
        assert len(posts(portal)) == 1
        assert twin.auth.refresh_token == refresh_token


class TestExchange:
    """A refresh token in the last 24 hours of its life is exchanged for a new one."""

    @pytest.fixture
    def session(self, portal, sign_on):
        return sign_on(username="amy", password="amys-secret", expiration=3 * 24 * 60)

    def test_then_and_not_before(self, portal, session, fake_clock):
        whoami(session)
        first = session.auth.refresh_token
        fake_clock.advance(2 * DAY - 60)
        whoami(session)
        fake_clock.advance(31 * 60)
        whoami(session)
        assert [posted["grant_type"] for posted in posts(portal)] == [
            "authorization_code",
            "refresh_token",
            "exchange_refresh_token",
        ]
        assert posts(portal)[2] == {"grant_type": "exchange_refresh_token", "refresh_token": first, "redirect_uri": OOB}
        assert session.auth.refresh_token != first
        fake_clock.advance(2 * DAY - 60)
        assert whoami(session) == "amy"
        assert posts(portal)[3]["grant_type"] == "refresh_token"
        assert sign_ins(portal) == 1

    @pytest.mark.parametrize("redirect_uri", [OOB, "http://127.0.0.1:49152/callback"])
    def test_it_names_the_redirect_uri_of_the_sign_in(self, portal, sign_on, redirect_uri, fake_clock):
        session = sign_on(username="amy", password="amys-secret", redirect_uri=redirect_uri, expiration=24 * 60)
        for _ in range(3):
            assert whoami(session) == "amy"
            fake_clock.advance(DAY / 2)
        assert [posted["redirect_uri"] for posted in posts(portal)] == [redirect_uri] * 3

    def test_the_life_that_the_portal_does_not_tell_is_the_one_that_was_asked_for(self, portal, session, fake_clock):
        portal.oauth.says_refresh_token_expires_in = False
        whoami(session)
        fake_clock.advance(2 * DAY + 60)
        whoami(session)
        assert posts(portal)[1]["grant_type"] == "exchange_refresh_token"

    def test_a_portal_that_does_not_exchange_is_asked_for_an_access_token(self, portal, session, fake_clock):
        whoami(session)
        refusal = {"error": {"code": 400, "error": "invalid_request", "message": "Invalid grant_type", "details": []}}
        portal.faults.add("/oauth2/token", faults.status(200, body=refusal))
        fake_clock.advance(2 * DAY + 60)
        assert whoami(session) == "amy"
        assert [posted["grant_type"] for posted in posts(portal)][1:] == ["exchange_refresh_token", "refresh_token"]
        assert sign_ins(portal) == 1

    def test_a_dead_one_is_not_tried_twice(self, portal, session, fake_clock):
        whoami(session)
        portal.oauth.revoke(session.auth.refresh_token)
        fake_clock.advance(2 * DAY + 60)
        assert whoami(session) == "amy"
        assert [posted["grant_type"] for posted in posts(portal)][1:] == ["exchange_refresh_token", "authorization_code"]


class TestNamedUser:
    """User name and password at the portal's page, in the name of a registered app."""

    @pytest.fixture
    def session(self, sign_on):
        return sign_on(username="amy", password="amys-secret")

    def test_many_requests_are_one_sign_in(self, portal, session, fake_clock):
        assert [whoami(session) for _ in range(10)] == ["amy"] * 10
        assert trail(portal) == ["authorize", "signin", "token"] + ["self"] * 10
        fake_clock.advance(31 * 60)
        whoami(session)
        assert sign_ins(portal) == 1

    def test_a_wrong_password_is_posted_once(self, portal, sign_on):
        session = sign_on(username="amy", password="not-amys")
        errors = errors_in(in_threads(16, lambda _: whoami(session)))
        assert [type(error) for error in errors] == [ArcGISLoginError] * 16
        assert sign_ins(portal) == 1
        session.auth.password = "amys-secret"
        assert whoami(session) == "amy"

    def test_the_secret_goes_to_the_token_endpoint_only(self, portal, sign_on):
        assert whoami(sign_on(username="amy", password="amys-secret", client_secret="app1-secret")) == "amy"
        assert [r.path.rpartition("/")[2] for r in portal.requests if "app1-secret" in str(r.form) + r.target] == ["token"]
        assert posts(portal)[0]["grant_type"] == "authorization_code"

    def test_a_proof_key_goes_along_unless_that_is_switched_off(self, portal, sign_on):
        whoami(sign_on(username="amy", password="amys-secret"))
        assert "code_challenge" in portal.requests[0].query
        portal.clear()
        whoami(sign_on(username="amy", password="amys-secret", use_pkce=False))
        assert "code_challenge" not in portal.requests[0].query
        assert "code_verifier" not in posts(portal)[0]

    def test_minus_one_asks_for_the_longest_life(self, portal, sign_on):
        session = sign_on(username="amy", password="amys-secret", expiration=-1)
        whoami(session)
        assert portal.requests[0].query["expiration"] == "-1"
        assert session.auth._refresh_token.dies_at == portal.now() + 60 * portal.oauth.max_refresh_minutes


class TestOnToken:
    """The caller is told what changed, to store it."""

    def test_of_each_grant(self, portal, sign_on, fake_clock):
        told = []
        session = sign_on(username="amy", password="amys-secret", on_token=told.append)
        for _ in range(3):
            whoami(session)
        assert [(grant.username, grant.expires_in, grant.refresh_token_expires_in) for grant in told] == [("amy", 1800.0, DAY)]
        assert told[0].refresh_token == session.auth.refresh_token
        assert told[0].access_token == session.auth.token
        assert told[0].redirect_uri == OOB
        assert_hidden([told[0].access_token, told[0].refresh_token], told[0])

    @pytest.mark.parametrize("rotates", [False, True])
    def test_with_the_refresh_token_that_counts_from_now_on(self, portal, sign_on, rotates, fake_clock):
        portal.oauth.rotates_refresh_tokens = rotates
        given = portal.oauth.issue_refresh_token("amy", "app1")
        told = []
        session = sign_on(refresh_token=given, on_token=told.append)
        whoami(session)
        assert (told[0].refresh_token == given) is not rotates
        assert told[0].refresh_token == session.auth.refresh_token

    def test_its_repr_is_one_line_whatever_the_portal_calls_the_user(self, portal, sign_on):
        told = []
        rename = changed_answer(lambda answer: answer.update(username="amy\r\n\x1b[2J\ud800"))
        portal.faults.add("/oauth2/token", rename)
        sign_on(username="amy", password="amys-secret", on_token=told.append).auth.token  # noqa: B018
        assert repr(told[0]).isprintable()

    def test_what_was_stored_signs_in_again(self, portal, sign_on):
        stored = []
        whoami(sign_on(username="amy", password="amys-secret", on_token=stored.append))
        assert whoami(sign_on(refresh_token=stored[0].refresh_token)) == "amy"
        assert sign_ins(portal) == 1

    def test_a_sign_in_that_fails_in_there_is_no_refusal_of_this_one(self, portal, sign_on):
        def store(grant):
            if portal.count("/oauth2/token") == 1:
                raise ArcGISLoginError("Where grants are stored, somebody has to sign in, too.")

        session = sign_on(username="amy", password="amys-secret", on_token=store)
        with pytest.raises(ArcGISLoginError, match="Where grants are stored"):
            whoami(session)
        assert whoami(session) == "amy"
        assert sign_ins(portal) == 1


class TestAnswers:
    """The shapes of answers that portals of all ages give."""

    @pytest.mark.parametrize("statuses", [False, True])
    @pytest.mark.parametrize("form", ["json", "text"])
    def test_tokens_and_refusals(self, portal, sign_on, statuses, form):
        portal.oauth.uses_http_statuses = statuses
        portal.oauth.token_format = form
        assert whoami(sign_on(refresh_token=portal.oauth.issue_refresh_token("amy", "app1"))) == "amy"
        for options, words in (
            ({"refresh_token": "dead-token"}, "498"),
            ({"client_secret": "wrong"}, "Invalid client_secret"),
        ):
            before = len(portal.requests)
            session = sign_on(**options)
            for _ in range(2):
                with pytest.raises(ArcGISLoginError, match=words if options.get("client_secret") else "no more"):
                    whoami(session)
            assert len(portal.requests) == before + 1

    @pytest.mark.parametrize("statuses", [False, True])
    def test_a_web_page_is_no_answer(self, portal, sign_on, statuses):
        portal.oauth.token_format = "html"
        portal.oauth.uses_http_statuses = statuses
        session = sign_on(client_secret="app1-secret")
        for _ in range(2):
            with pytest.raises(TokenRequestError, match="a web page came instead"):
                whoami(session)

    def test_an_endless_answer_is_read_to_its_bound(self, handler_peer, open_session, fake_clock):
        sent = []

        def endless():
            for _ in range(4000):
                sent.append(1)
                yield b" " * 65536

        peer = handler_peer(lambda request: Reply(200, {"Content-Type": "application/json"}, endless()))
        auth = EsriOAuth2Auth(peer.url_for("/portal"), "app1", "app1-secret", clock=fake_clock)
        open_session(auth, retries=0)
        with pytest.raises(TokenRequestError, match="It is longer than 4194304 bytes"):
            auth.token  # noqa: B018
        assert 64 <= len(sent) < 1000

    def test_a_redirect_of_the_token_endpoint_is_not_followed(self, portal, sign_on, handler_peer):
        elsewhere = handler_peer(lambda request: pytest.fail("was asked"))
        portal.faults.add("/oauth2/token", faults.redirect(elsewhere.url_for("/token"), 307))
        with pytest.raises(TokenRequestError, match="Credentials are not sent after a redirect"):
            whoami(sign_on(client_secret="app1-secret"))
        assert elsewhere.requests == []

    def test_the_errors_of_rfc_6749_are_read(self, portal, sign_on):
        body = {"error": "invalid_client", "error_description": "No such app."}
        portal.faults.add("/oauth2/token", faults.status(401, body=body), times=None)
        session = sign_on(client_secret="app1-secret")
        for _ in range(2):
            with pytest.raises(ArcGISLoginError, match=r"No such app\. \(invalid_client\)") as caught:
                whoami(session)
        assert (caught.value.error, caught.value.code) == ("invalid_client", 401)
        assert trail(portal) == ["token"]

    @pytest.mark.parametrize("status", [500, 502, 503])
    def test_a_failing_portal_is_asked_again_next_time(self, portal, sign_on, status):
        portal.faults.add("/oauth2/token", faults.status(status, body={"error": {"code": status, "message": "Sorry."}}))
        session = sign_on(refresh_token=portal.oauth.issue_refresh_token("amy", "app1"))
        with pytest.raises(TokenRequestError, match=r"Sorry\."):
            whoami(session)
        assert whoami(session) == "amy"

    @pytest.mark.parametrize("life", [None, 0, -5, "soon", [], True, 1e300, float("nan")])
    def test_a_life_that_makes_no_sense_is_an_unknown_one(self, portal, sign_on, life, fake_clock):
        portal.faults.add("/oauth2/token", changed_answer(lambda answer: answer.update(expires_in=life)))
        session = sign_on(client_secret="app1-secret")
        assert session.get(portal.portal_url + SERVICES).json()["appInfo"]
        assert session.auth.token_expires is None

    def test_a_secret_that_the_server_repeats_is_not_shown(self, portal, sign_on, caplog):
        caplog.set_level("DEBUG")
        token = portal.oauth.issue_refresh_token("amy", "app1")
        words = f"Bad {token} and app1-secret"
        body = {"error": {"code": 400, "error": "invalid_request", "message": words, "details": [words]}}
        portal.faults.add("/oauth2/token", faults.status(200, body=body), times=None)
        session = sign_on(refresh_token=token, client_secret="app1-secret")
        with pytest.raises(ArcGISLoginError) as caught:
            whoami(session)
        assert_hidden([token, "app1-secret"], caught.value, session.auth, session, logs=caplog.text)


@pytest.mark.parametrize(
    "options",
    [
        {"client_id": ""}, {"expiration": 0}, {"expiration": -2},
        *({"client_id": bad} for bad in (5, b"app1", "\ud800")),
        *({"redirect_uri": bad} for bad in (5, ["http://127.0.0.1"], "\ud800")),
        *({"refresh_token": bad} for bad in (5, b"token")),
        *({"mfa_code": bad} for bad in (123456, b"JBSWY3DPEHPK3PXP", ["JBSWY3DPEHPK3PXP"])),
        *({"wait_seconds": bad} for bad in (0, -1, float("nan"), float("inf"), "5", True)),
        {"client_secret": 5}, {"username": 5}, {"password": 5}, {"on_token": "print"}, {"open_browser": 1}, {"prompt": "yes"},
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(options):
    with pytest.raises(ConfigurationError):
        EsriOAuth2Auth(**{"base_url": "https://portal.example", "client_id": "app1", **options})


def test_an_unknown_option_is_named():
    with pytest.raises(TypeError, match="'redirect'"):
        EsriOAuth2Auth("https://portal.example", "app1", redirect="x")


def test_nothing_secret_is_in_its_texts():
    auth = EsriOAuth2Auth("https://portal.example", "app1", "the-secret", refresh_token="the-refresh-token", verify=False)
    assert repr(auth) == "EsriOAuth2Auth(https://portal.example)"
    assert auth.refresh_token == "the-refresh-token"
    assert auth.password is None
    assert_hidden(["the-secret", "the-refresh-token"], auth, auth._refresh_token, auth._app)
