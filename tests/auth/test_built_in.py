"""`EsriBuiltInAuth`: generateToken with one POST, the portal's page where the organisation wants that, errors that say why."""

from __future__ import annotations

import datetime
import pickle

import pytest

from esri_http import EsriBuiltInAuth
from esri_http.testing import User, faults, totp
from esri_http.testing.messages import Answer, page
from esri_http.words.clock import SYSTEM_CLOCK
from esri_http.words.errors import (
    ArcGISLoginError,
    ConfigurationError,
    InteractionRequiredError,
    SignInError,
    TokenRequestError,
)
from tests.auth.helpers import SELF, assert_hidden, errors_in, in_threads, sign_ins, trail

SEED = "JBSWY3DPEHPK3PXP"
BY_PAGE = ["generateToken", "authorize", "signin", "token", "self"]


@pytest.fixture
def oauth_only(portal):
    """The portal, which takes no passwords at generateToken."""
    portal.generate_token_takes_passwords = False
    return portal


@pytest.fixture
def whoami(portal, open_session):
    """`whoami(auth)`: the user name that the portal says, by a session of its own; `whoami(session)` by that one."""

    def ask(auth_or_session):
        session = auth_or_session if hasattr(auth_or_session, "get") else open_session(auth_or_session, retries=0)
        return session.get(portal.portal_url + SELF).json()["username"]

    return ask


class TestGenerateToken:
    """Where the organisation allows it, a sign-in is one POST."""

    def test_fifty_calls_are_one_sign_in_and_fifty_requests(self, portal, built_in, open_session, whoami):
        session = open_session(built_in())
        assert {whoami(session) for _ in range(50)} == {"amy"}
        assert trail(portal) == ["generateToken"] + ["self"] * 50

    def test_what_is_posted(self, portal, built_in, whoami):
        whoami(built_in(expiration=90, referer="https://app.example/"))
        posted = portal.requests[0]
        assert (posted.method, posted.query) == ("POST", {})
        assert posted.form == {
            "username": "amy", "password": "amys-secret", "client": "referer", "referer": "https://app.example/",
            "expiration": "90", "f": "json",
        }  # fmt: skip
        assert portal.requests[1].headers["Referer"] == "https://app.example/"

    @pytest.mark.parametrize("path", ["", "/", "/home/index.html", "/sharing/rest", "/sharing/rest/portals/self?f=json"])
    def test_any_address_of_the_portal_will_do(self, portal, built_in, whoami, path):
        assert whoami(built_in(url=portal.portal_url + path)) == "amy"

    def test_hard_passwords_and_names_arrive_as_they_are(self, portal, built_in, whoami):
        assert whoami(built_in("zoë")) == "zoë"

    def test_an_account_of_a_domain_signs_in(self, portal, built_in, whoami):
        portal.users["CORP\\ann"] = User("CORP\\ann", "anns-secret")
        assert whoami(built_in("CORP\\ann")) == "CORP\\ann"

    @pytest.mark.parametrize("asked, longest, minutes", [(30, 60, 30), (None, 1e6, 20160), (600, 45, 45), (-1, 1e6, 20160)])
    def test_the_expiration_is_asked_for_and_what_was_granted_is_told(self, portal, built_in, whoami, asked, longest, minutes):
        portal.max_token_lifetime_minutes = longest
        auth = built_in(expiration=asked)
        assert auth.token_expires is None
        whoami(auth)
        granted = auth.token_expires - datetime.datetime.fromtimestamp(portal.now(), datetime.timezone.utc)
        assert granted == datetime.timedelta(minutes=minutes)

    def test_it_signs_in_again_before_the_token_dies(self, portal, built_in, open_session, whoami, fake_clock):
        session = open_session(built_in(expiration=60))
        whoami(session)
        fake_clock.advance(54 * 60)
        whoami(session)
        assert sign_ins(portal) == 1
        fake_clock.advance(2 * 60)
        whoami(session)
        assert (sign_ins(portal), portal.count("/self")) == (2, 3)

    def test_a_password_that_is_not_given_is_asked_for_once(self, built_in, open_session, whoami, portal):
        asked = []
        session = open_session(built_in(password=None, prompt=lambda text: asked.append(text) or "amys-secret"))
        assert [whoami(session), whoami(session)] == ["amy", "amy"]
        assert len(asked) == 1
        assert "amy" in asked[0]

    def test_32_cold_threads_sign_in_once(self, portal, built_in, open_session, whoami):
        session = open_session(built_in())
        assert in_threads(32, lambda _: whoami(session)) == ["amy"] * 32
        assert sign_ins(portal) == 1

    def test_a_portal_that_is_out_of_order_is_not_a_policy(self, portal, built_in, whoami):
        portal.faults.add("/generateToken", faults.html_page("Could not access any portal machine."))
        with pytest.raises(TokenRequestError, match="a web page came instead"):
            whoami(built_in())
        assert trail(portal) == ["generateToken"]

    def test_suspending_has_nothing_to_do_for_such_a_token(self, portal, built_in, open_session, whoami):
        auth = built_in()
        whoami(auth)
        before = len(portal.requests)
        assert auth.suspend() is False
        assert len(portal.requests) == before


class TestPolicy:
    """Where generateToken is not allowed, the portal's own page is used."""

    def test_the_page_is_used_once_and_the_refresh_token_from_then_on(
        self, oauth_only, built_in, open_session, whoami, fake_clock
    ):
        session = open_session(built_in())
        for _ in range(5):
            assert whoami(session) == "amy"
        assert trail(oauth_only) == BY_PAGE + ["self"] * 4
        fake_clock.advance(31 * 60)
        assert whoami(session) == "amy"
        assert trail(oauth_only, 9) == ["token", "self"]
        assert sign_ins(oauth_only) == 2  # generateToken, and the page

    def test_the_way_that_works_is_remembered(self, oauth_only, built_in, open_session, whoami):
        auth = built_in()
        session = open_session(auth)
        whoami(session)
        auth.logout()
        auth.login()
        before = len(oauth_only.requests)
        assert whoami(session) == "amy"
        assert trail(oauth_only, before) == BY_PAGE[1:]

    @pytest.mark.parametrize("layout", ["full", "script", "form"])
    @pytest.mark.parametrize("terminator", [";", "\n"])
    @pytest.mark.parametrize("to_approval", [True, False])
    def test_pages_of_all_layouts_are_understood(self, oauth_only, built_in, whoami, layout, terminator, to_approval):
        oauth_only.oauth.page_layout = layout
        oauth_only.oauth.script_terminator = terminator
        oauth_only.oauth.redirects_to_approval = to_approval
        assert whoami(built_in()) == "amy"
        assert trail(oauth_only) == BY_PAGE

    @pytest.mark.parametrize("layout, posts", [("full", 1), ("script", 2)])
    def test_the_form_goes_where_the_page_says_or_where_it_is_found(self, oauth_only, built_in, whoami, layout, posts):
        oauth_only.oauth.sign_in_paths = ("/sharing/oauth2/signin",)
        oauth_only.oauth.page_layout = layout
        assert whoami(built_in()) == "amy"
        assert oauth_only.count("/signin") == posts

    def test_the_life_that_was_asked_for_is_that_of_the_refresh_token(self, oauth_only, built_in, whoami, fake_clock):
        auth = built_in(expiration=3 * 24 * 60)
        whoami(auth)
        assert next(r for r in oauth_only.requests if r.path.endswith("/authorize")).query["expiration"] == "4320"
        assert auth._refresh_token.dies_at == fake_clock.time() + 3 * 86400

    @pytest.mark.parametrize("client_id, known", [("pythonapi", ["arcgisonline"]), ("own", ["arcgisonline", "pythonapi"])])
    def test_an_unknown_app_gives_way_to_one_that_every_portal_has(self, oauth_only, built_in, whoami, client_id, known):
        for name in set(oauth_only.oauth.apps) - set(known):
            del oauth_only.oauth.apps[name]
        auth = built_in(client_id=client_id)
        assert whoami(auth) == "amy"
        assert trail(oauth_only) == ["generateToken", "authorize", *BY_PAGE[1:]]
        assert [r.query["client_id"] for r in oauth_only.requests if r.path.endswith("/authorize")] == [
            client_id,
            "arcgisonline",
        ]
        assert auth.client_id == "arcgisonline"

    @pytest.mark.parametrize("by_redirect", [False, True])
    def test_so_does_one_whose_redirect_uri_is_not_registered(self, oauth_only, built_in, whoami, by_redirect):
        oauth_only.register_app("pythonapi", None, ["https://elsewhere.example/"])
        oauth_only.oauth.redirects_bad_redirect_uris = by_redirect
        assert whoami(built_in()) == "amy"
        assert trail(oauth_only) == ["generateToken", "authorize", *BY_PAGE[1:]]

    def test_where_no_app_is_known_the_error_says_so(self, oauth_only, built_in, whoami):
        oauth_only.oauth.apps.clear()
        with pytest.raises(TokenRequestError, match="refuses the app arcgisonline: Invalid client_id"):
            whoami(built_in())
        assert trail(oauth_only) == ["generateToken", "authorize", "authorize"]

    def test_a_portal_that_knows_no_proof_keys_is_signed_in_to(self, oauth_only, built_in, whoami):
        oauth_only.oauth.supports_pkce = False
        assert whoami(built_in()) == "amy"

    def test_handing_licences_back_ends_the_access_token_alone(self, oauth_only, built_in, open_session, whoami):
        auth = built_in()
        session = open_session(auth)
        whoami(session)
        before = len(oauth_only.requests)
        assert auth.suspend() is True
        assert oauth_only.requests[-1].form["grant_type"] == "suspend_session"
        assert whoami(session) == "amy"
        assert trail(oauth_only, before) == ["token", "token", "self"]

    def test_it_travels_in_a_pickle_with_its_refresh_token(self, oauth_only, built_in, whoami):
        auth = built_in(clock=SYSTEM_CLOCK)
        whoami(auth)
        there = pickle.loads(pickle.dumps(auth))
        oauth_only.revoke_all_tokens()
        before = len(oauth_only.requests)
        assert whoami(there) == "amy"
        assert trail(oauth_only, before) == ["self", "token", "self"]


class TestSteps:
    """What may stand between the right password and the app."""

    @pytest.fixture
    def with_factor(self, portal):
        portal.users["amy"].totp_seed = SEED
        return portal

    @pytest.fixture(params=[False, True], ids=["at once", "by a redirect"], autouse=True)
    def redirects(self, request, portal):
        names = {"mfa", "updateUserProfile", "acceptTermsAndConditions", "consent"}
        portal.oauth.redirecting_steps = names if request.param else set()

    @pytest.mark.parametrize("kind", ["seed", "spaced seed", "callable"])
    def test_a_one_time_code_is_answered_and_no_password_goes_to_generate_token(
        self, with_factor, built_in, whoami, kind, fake_clock
    ):
        source = {"seed": SEED, "spaced seed": "jbsw y3dp ehpk 3pxp", "callable": lambda: totp(SEED, fake_clock.time())}[kind]
        assert whoami(built_in(mfa_code=source)) == "amy"
        assert [name for name in trail(with_factor) if name != "mfa"] == BY_PAGE[1:]
        assert (with_factor.count("/mfa", method="POST"), sign_ins(with_factor)) == (1, 1)

    def test_a_wrong_code_is_tried_once(self, with_factor, built_in, open_session, whoami):
        session = open_session(built_in(mfa_code=lambda: "000000"))
        for _ in range(3):
            with pytest.raises(ArcGISLoginError, match="refused the one-time code"):
                whoami(session)
        assert (with_factor.count("/mfa", method="POST"), sign_ins(with_factor)) == (1, 1)

    def test_a_code_that_nobody_can_give_is_an_error_that_says_which_step(self, with_factor, built_in, whoami):
        with pytest.raises(InteractionRequiredError, match="one-time code; give mfa_code=") as caught:
            whoami(built_in())
        assert caught.value.error == "mfa"
        assert with_factor.count("/mfa", method="POST") == 0

    @pytest.mark.parametrize("source", [lambda: "", lambda: "soon", lambda: None, "not base32!"])
    def test_what_is_no_code_is_not_posted(self, with_factor, built_in, whoami, source):
        with pytest.raises(ConfigurationError, match="mfa_code="):
            whoami(built_in(mfa_code=source))
        assert with_factor.count("/mfa", method="POST") == 0

    def test_terms_are_accepted_where_the_caller_says_so(self, oauth_only, built_in, whoami):
        oauth_only.oauth.has_terms_and_conditions = True
        assert whoami(built_in(accept_terms=True)) == "amy"
        assert oauth_only.users["amy"].has_accepted_terms

    def test_and_are_an_error_that_names_them_otherwise(self, oauth_only, built_in, whoami):
        oauth_only.oauth.has_terms_and_conditions = True
        with pytest.raises(InteractionRequiredError, match="terms and conditions") as caught:
            whoami(built_in())
        assert caught.value.error == "terms"
        assert not oauth_only.users["amy"].has_accepted_terms

    def test_a_password_that_has_to_be_changed_is_named(self, oauth_only, built_in, whoami):
        oauth_only.users["amy"].must_change_password = True
        with pytest.raises(InteractionRequiredError, match="password to be changed") as caught:
            whoami(built_in())
        assert caught.value.error == "password"
        assert oauth_only.users["amy"].password == "amys-secret"

    def test_so_is_consent_to_the_app(self, oauth_only, built_in, whoami):
        oauth_only.oauth.apps["pythonapi"].asks_consent = True
        with pytest.raises(InteractionRequiredError, match="a person to allow the app") as caught:
            whoami(built_in())
        assert caught.value.error == "consent"

    def test_code_and_terms_one_after_the_other(self, with_factor, built_in, whoami):
        with_factor.oauth.has_terms_and_conditions = True
        assert whoami(built_in(mfa_code=SEED, accept_terms=True)) == "amy"


class TestNoForm:
    """What has no sign-in for built-in accounts is named as what it is, and gets no password by a page."""

    def no_password_was_posted_to_a_page(self, portal):
        return not [r for r in portal.requests if "password" in r.form and not r.path.endswith("/generateToken")]

    def test_an_organisation_with_its_own_identity_provider(self, oauth_only, built_in, whoami):
        oauth_only.oauth.saml_only = True
        with pytest.raises(InteractionRequiredError, match=r"no sign-in for built-in accounts.*'Embedded Identity Provider'"):
            whoami(built_in())
        assert self.no_password_was_posted_to_a_page(oauth_only)

    @pytest.mark.parametrize("change", [{"page_layout": "changed"}, {"sign_in_page_enabled": False}])
    def test_a_page_without_a_form(self, oauth_only, built_in, whoami, change):
        vars(oauth_only.oauth).update(change)
        with pytest.raises(InteractionRequiredError, match="no sign-in form of a portal: HTTP 200"):
            whoami(built_in())
        assert self.no_password_was_posted_to_a_page(oauth_only)

    @pytest.mark.parametrize("path", ["/rest/services", "/rest/services/Places/FeatureServer/0", "/admin", "/tokens"])
    def test_the_url_of_an_arcgis_server(self, portal, built_in, path):
        with pytest.raises(ConfigurationError, match="is a URL of an ArcGIS Server"):
            built_in(url=portal.server_url + path)

    def test_the_bare_root_of_one(self, portal, built_in, open_session):
        auth = built_in(url=portal.server_url)
        open_session(auth, retries=0)
        with pytest.raises(SignInError, match="HTTP 404"):
            auth.token  # noqa: B018
        assert trail(portal) == ["generateToken"]

    def test_a_login_page_in_front_of_everything(self, portal, built_in, whoami):
        portal.portal_site.gate = lambda request: page("Company login", "Who are you?")
        with pytest.raises(TokenRequestError, match="a web page came instead"):
            whoami(built_in())
        with pytest.raises(InteractionRequiredError, match=r"no sign-in form of a portal: HTTP 200 \(Company login\)"):
            whoami(built_in(mfa_code=SEED))
        assert sign_ins(portal) == 1

    def test_a_redirect_to_another_host_is_not_followed(self, portal, built_in, whoami, handler_peer):
        idp = handler_peer(lambda request: pytest.fail("the identity provider was asked"))
        portal.portal_site.gate = lambda request: Answer(302).add("Location", idp.url_for("/saml?SAMLRequest=marker-request"))
        with pytest.raises(TokenRequestError, match="Credentials are not sent after a redirect"):
            whoami(built_in())
        with pytest.raises(InteractionRequiredError, match="takes a person and a browser") as caught:
            whoami(built_in(mfa_code=SEED))
        assert str(idp.origin) in str(caught.value)
        assert_hidden(["marker-request"], caught.value)
        assert idp.requests == []


class TestWrongPassword:
    """It is posted once, and not again until it is set anew."""

    @pytest.fixture(params=["generateToken", "page"])
    def way(self, request, portal):
        portal.generate_token_takes_passwords = request.param == "generateToken"
        return request.param

    def posted(self, portal, way):
        last = "generateToken" if way == "generateToken" else "signin"
        return len([r for r in portal.requests if r.path.endswith(last) and "password" in r.form])

    def test_many_threads_and_requests_post_it_once(self, portal, built_in, open_session, whoami, way):
        session = open_session(built_in(password="not-amys"))
        for _ in range(3):
            errors = errors_in(in_threads(16, lambda _: whoami(session)))
            assert {type(error) for error in errors} == {ArcGISLoginError}
            assert len(errors) == 16
        assert self.posted(portal, way) == 1
        assert not portal.accounts.is_locked("amy")

    def test_a_new_password_is_tried(self, portal, built_in, open_session, whoami, way):
        auth = built_in(password="not-amys")
        session = open_session(auth)
        with pytest.raises(ArcGISLoginError):
            whoami(session)
        auth.password = "amys-secret"
        assert whoami(session) == "amy"
        assert self.posted(portal, way) == 2

    def test_logging_out_and_in_is_no_new_password(self, portal, built_in, open_session, whoami, way):
        auth = built_in(password="not-amys")
        session = open_session(auth)
        with pytest.raises(ArcGISLoginError):
            whoami(session)
        auth.logout()
        auth.login()
        with pytest.raises(ArcGISLoginError):
            whoami(session)
        assert self.posted(portal, way) == 1

    def test_a_pickle_remembers_it(self, portal, built_in, open_session, whoami, way):
        auth = built_in(password="not-amys", clock=SYSTEM_CLOCK)
        with pytest.raises(ArcGISLoginError):
            whoami(auth)
        with pytest.raises(ArcGISLoginError):
            whoami(pickle.loads(pickle.dumps(auth)))
        assert self.posted(portal, way) == 1

    def test_neither_error_nor_handler_shows_it(self, portal, built_in, whoami, way, caplog):
        caplog.set_level("DEBUG")
        auth = built_in(password="not-amys")
        with pytest.raises(ArcGISLoginError) as caught:
            whoami(auth)
        assert_hidden(["not-amys"], caught.value, auth, logs=caplog.text)

    @pytest.mark.parametrize(
        "fault",
        [
            faults.html_page("Falsches Kennwort."),
            faults.status(403),
            faults.empty_body(),
            faults.redirect("/portal/sharing/rest/oauth2/authorize?client_id=arcgisonline&response_type=code&redirect_uri=x"),
        ],
        ids=["other words", "forbidden", "empty", "redirect"],
    )
    def test_an_answer_that_nobody_understands_counts_as_a_refusal(self, oauth_only, built_in, open_session, whoami, fault):
        oauth_only.faults.add("/signin", fault, times=None)
        session = open_session(built_in())
        for _ in range(3):
            with pytest.raises(ArcGISLoginError, match="not tried again"):
                whoami(session)
        assert oauth_only.count("/signin") == 1

    def test_but_not_a_portal_that_is_out_of_order(self, oauth_only, built_in, open_session, whoami):
        oauth_only.faults.add("/signin", faults.status(503))
        session = open_session(built_in(), retries=0)
        with pytest.raises(TokenRequestError, match="out of order: HTTP 503"):
            whoami(session)
        assert whoami(session) == "amy"


@pytest.mark.parametrize(
    "options",
    [
        {"username": ""}, {"client_id": ""},
        *({"expiration": bad} for bad in (0, -5, float("nan"), float("inf"), 10**400, 1e13, "60", [60], True)),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(options):
    with pytest.raises(ConfigurationError):
        EsriBuiltInAuth(**{"url": "https://portal.example", "username": "amy", "password": "x", **options})


def test_an_unknown_option_is_named():
    with pytest.raises(TypeError, match="'mfa_cod'"):
        EsriBuiltInAuth("https://portal.example", "amy", "x", mfa_cod="1")


def test_the_names_that_scripts_know_are_taken():
    auth = EsriBuiltInAuth(
        "https://portal.example", "amy", "x", verify=False, clientid="own", hostname="x", response_type="token"
    )
    assert (auth.client_id, auth.verify_cert, auth.username) == ("own", False, "amy")
    assert repr(auth) == "EsriBuiltInAuth(https://portal.example)"


def test_a_step_that_a_person_has_to_take_is_asked_for_once_and_again_after_login(portal, open_session):
    portal.generate_token_takes_passwords = False
    portal.oauth.has_terms_and_conditions = True
    session = open_session(EsriBuiltInAuth(portal.portal_url, "amy", "amys-secret"))
    url = portal.portal_url + SELF
    for _ in range(3):
        with pytest.raises(InteractionRequiredError, match="terms"):
            session.get(url)
    assert portal.count("/signin") == 1
    portal.users["amy"].has_accepted_terms = True
    session.auth.login()
    assert session.get(url).json()["username"] == "amy"
    assert portal.count("/signin") == 2
