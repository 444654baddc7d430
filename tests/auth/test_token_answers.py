"""What token services answer, read with suspicion: a token, or an error of ours, and nothing else, whatever comes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esri_http.auth.tokens.token_answers import NotForServerError, lifetime_seconds, read_token
from esri_http.auth.tokens.token_services import find_service
from esri_http.messages.request import Request
from esri_http.messages.response import Response
from esri_http.words.errors import ArcGISLoginError, SignInError, TokenRequestError
from esri_http.words.headers import Headers
from esri_http.words.urls import split_url
from tests.support.clock import FakeClock

NOW = 1_700_000_000.0
URL = "https://portal.example/portal/sharing/rest/generateToken"


class Bytes:
    """A body that is all there."""

    raw = None

    def __init__(self, content):
        self.content = content

    def read(self, amount=None):
        size = len(self.content) if amount is None else amount
        piece, self.content = self.content[:size], self.content[size:]
        return piece

    def discard(self):
        pass

    def close(self):
        pass

    def when_done(self, callback):
        callback(True)


def answered(content, status=200, url=URL, **fields):
    split = split_url(url)
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    headers = Headers({"content-type": "text/plain", **fields})
    return Response(Request("POST", split.origin, split.target, {}), status, "", headers, Bytes(body))


def read(content, by_password=True, minutes=60.0, status=200, **fields):
    return read_token(answered(content, status, **fields), FakeClock(NOW), minutes, by_password)


class TestLifetimes:
    """The server's own clock counts where it tells the time."""

    def life(self, expires_at, date=None):
        fields = {} if date is None else {"date": date}
        return lifetime_seconds(expires_at, answered({}, **fields), FakeClock(NOW))

    def test_by_the_date_of_the_answer(self):
        assert self.life(1_000_000_600, "Sun, 09 Sep 2001 01:46:40 GMT") == 600

    @pytest.mark.parametrize("date", [None, "", "yesterday", "Mon, 99 Foo 2001", "0" * 5000, "Sun, 09 Sep 99999 01:46:40 GMT"])
    def test_by_our_clock_where_there_is_no_date(self, date):
        assert self.life(NOW + 600, date) == 600

    @pytest.mark.parametrize("expires_at", [None, NOW, NOW - 1, NOW + 11 * 366 * 86400, 1e15])
    def test_what_cannot_be_is_none(self, expires_at):
        assert self.life(expires_at) is None

    @pytest.mark.parametrize("expires", [None, "x", -5, 0, [], {}, True, 1e300, int(NOW * 1000) - 1])
    def test_then_what_was_asked_for_counts(self, expires):
        assert read({"token": "t0ken", "expires": expires}, minutes=7).lifetime_seconds == 420

    def test_and_where_nothing_was_asked_for_it_is_not_known(self):
        assert read({"token": "t0ken"}, minutes=None).lifetime_seconds is None


class TestRefusals:
    """Whose fault an error is."""

    @pytest.mark.parametrize("code", [400, 401, 403])
    def test_with_a_password_it_is_the_passwords(self, code):
        with pytest.raises(ArcGISLoginError, match="not tried again") as caught:
            read({"error": {"code": code, "message": "No.", "details": ["not you"]}})
        assert (caught.value.code, caught.value.details) == (code, ["not you"])

    @pytest.mark.parametrize("code", [400, 401, 403, 498, 500, None])
    def test_without_one_it_is_the_requests(self, code):
        with pytest.raises(TokenRequestError) as caught:
            read({"error": {"code": code, "message": "No."}}, by_password=False)
        assert caught.value.code == code

    @pytest.mark.parametrize("code", [201, 405, 429, 498, 499, 500, 504])
    def test_nor_is_it_with_another_code(self, code):
        with pytest.raises(TokenRequestError, match="gave no token"):
            read({"error": {"code": code, "message": "Invalid username or password."}})

    def test_an_http_status_without_an_envelope_is_the_services(self):
        with pytest.raises(TokenRequestError, match="HTTP 403"):
            read({}, status=403)

    def test_a_server_that_the_portal_does_not_know_is_named(self):
        details = ["Unable to generate token for this server"]
        with pytest.raises(NotForServerError):
            read({"error": {"code": 400, "message": "Unable to generate token", "details": details}}, by_password=False)

    def test_a_token_next_to_an_error_is_a_token(self):
        assert read({"token": "t0ken", "error": None}).value == "t0ken"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        "token": JSON, "expires": JSON, "ssl": JSON, "code": JSON, "message": JSON, "status": JSON, "messages": JSON,
        "error": JSON | st.fixed_dictionaries({}, optional={"code": JSON, "message": JSON, "details": JSON}),
    },
)  # fmt: skip
DATES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
INFOS = st.fixed_dictionaries(
    {},
    optional={
        "owningSystemUrl": JSON | st.just("https://server.example/portal"), "tokenServiceUrl": JSON,
        "authInfo": JSON | st.fixed_dictionaries({}, optional={"tokenServicesUrl": JSON | st.just("https://server.example/t")}),
    },
)  # fmt: skip


@settings(max_examples=200)
@given(ANSWERS | JSON, st.booleans(), st.sampled_from([200, 400, 401, 500]), DATES)
def test_any_json_gives_a_token_or_an_error_of_ours(answer, by_password, status, date):
    try:
        fetched = read(answer, by_password, status=status, date=date)
    except SignInError:
        return
    assert fetched.value.isascii()
    assert fetched.value.isprintable()
    assert " " not in fetched.value
    assert fetched.lifetime_seconds is not None
    assert fetched.lifetime_seconds > 0


@given(st.binary(max_size=200))
def test_any_bytes_give_a_token_or_an_error_of_ours(content):
    try:
        read(content)
    except SignInError:
        pass


class AnswerWire:
    """A wire on which every request is answered the same."""

    def __init__(self, content):
        self.content = content

    def send(self, request):
        assert request.method == "GET"
        return answered(self.content, url=request.url)


@settings(max_examples=200)
@given(INFOS | JSON)
def test_any_rest_info_gives_a_service_on_the_named_host_or_an_error_of_ours(info):
    try:
        service = find_service("https://server.example/arcgis/rest/services", AnswerWire(info))
    except SignInError:
        return
    assert (service.url.origin.scheme, service.url.origin.host) == ("https", "server.example")
    assert (service.root.origin.scheme, service.root.origin.host) == ("https", "server.example")
