"""`EsriNotebookAuth` and `EsriNotebookFileAuth`: the sign-in that ArcGIS gives to a hosted notebook."""

from __future__ import annotations

import inspect
import json
import logging
import os
import pickle
import sys

import pytest

from esri_http import BaseEsriAuth, EsriNotebookAuth, EsriNotebookFileAuth
from esri_http.testing import EmbeddedPortal
from esri_http.words.errors import ArcGISLoginError, ConfigurationError, MissingPackageError, SignInError, TokenRequestError
from tests.auth.helpers import assert_hidden, exchanges, guarded, in_threads, token_sent
from tests.auth.hosts import in_its_own_process, stand_in

SELF = "/sharing/rest/community/self?f=json"
REFERER = "https://notebooks.example/"
HOUR = 3600.0
SECRET = "SecretInTheFile4711"


def who(session, url):
    return session.get(url + SELF).json().get("username")


# -- a token that is given -------------------------------------------------------------------------------------------


class TestGivenToken:
    """`EsriNotebookAuth(token, referer, auth)`"""

    def test_the_parameters_come_in_the_order_that_scripts_use(self):
        assert list(inspect.signature(EsriNotebookAuth).parameters)[:3] == ["token", "referer", "auth"]

    def test_the_token_goes_with_its_referer(self, portal, open_session):
        token = portal.issue_token("amy", referer=REFERER)
        session = open_session(EsriNotebookAuth(token, REFERER, verify_cert=True))
        assert who(session, portal.portal_url) == "amy"
        assert session.auth.token == token
        assert [request.headers["Referer"] for request in portal.requests] == [REFERER]

    def test_without_a_referer_it_goes_with_the_sessions(self, portal, open_session):
        session = open_session(EsriNotebookAuth(portal.issue_token("amy", referer="http")))
        assert who(session, portal.portal_url) == "amy"

    def test_a_refused_token_is_an_error_and_never_an_anonymous_request(self, portal, open_session):
        token = portal.issue_token("amy", referer=REFERER)
        session = open_session(EsriNotebookAuth(token))
        with pytest.raises(ArcGISLoginError, match="refuses the token of the notebook"):
            who(session, portal.portal_url)
        assert [token_sent(request) for request in portal.requests] == [token]

    def test_with_its_portal_it_reads_federated_servers_and_nothing_else(self, portal, open_session):
        token = portal.issue_token("amy", referer=REFERER)
        session = open_session(EsriNotebookAuth(token, REFERER, url=portal.portal_url))
        assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
        with pytest.raises(SignInError):
            session.get(portal.standalone_layer_url + "?f=json")
        assert {token_sent(request) for request in portal.requests if request.site == "standalone"} == {None}

    def test_it_is_renewed_by_the_one_who_gave_it(self, portal, open_session, fake_clock):
        auth = EsriNotebookAuth(
            portal.issue_token("amy", referer=REFERER), REFERER, clock=fake_clock, expires=fake_clock.time() + 100,
            renew=lambda: portal.issue_token("bob", referer=REFERER),
        )  # fmt: skip
        session = open_session(auth)
        assert who(session, portal.portal_url) == "amy"
        fake_clock.advance(101)
        assert who(session, portal.portal_url) == "bob"

    def test_its_repr_shows_no_character_of_the_token(self):
        assert repr(EsriNotebookAuth("QZXJVKWq")) == "EsriNotebookAuth(***)"

    def test_the_inner_handler_stands_nearer_the_wire(self, handler_peer, open_session):
        peer = handler_peer(guarded({"notebook-token"}))
        session = open_session(EsriNotebookAuth("notebook-token", auth=("front", "door-password")))
        assert session.get(peer.url_for("/x")).ok
        assert peer.requests[0].headers["Authorization"].startswith("Basic ")

    @pytest.mark.parametrize("in_a_chain", [False, True])
    def test_what_it_sends_itself_goes_through_the_inner_handler_too(self, portal, open_session, in_a_chain):
        token = portal.issue_token("amy", referer=REFERER)
        auth = EsriNotebookAuth(token, REFERER, ("front", "door-password"), url=portal.portal_url)
        session = open_session(BaseEsriAuth() + auth if in_a_chain else auth)
        assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
        assert len(portal.requests) == 3
        assert all((request.headers.get("Authorization") or "").startswith("Basic ") for request in portal.requests)


# -- the file --------------------------------------------------------------------------------------------------------


def private(portal):
    """The portal by another name than the public one."""
    return portal.portal_url.replace("localhost", "127.0.0.1")


@pytest.fixture
def path(tmp_path, monkeypatch):
    path = tmp_path / "nb_auth.json"
    monkeypatch.setenv("NB_AUTH_FILE", str(path))
    return path


@pytest.fixture
def write(path, portal):
    """`write(**changes)`: the file with a new token of amy's, and with what is changed; the token."""
    stamps = iter(range(1_000_000_000, 2_000_000_000))

    def make(username="amy", minutes=60.0, **changes):
        token = portal.issue_token(username, minutes, REFERER)
        fields = {
            "privatePortalUrl": private(portal), "publicPortalUrl": portal.portal_url, "referer": REFERER, "token": token,
            "expiration": int((portal.now() + 60.0 * minutes) * 1000), **changes,
        }  # fmt: skip
        path.write_text(json.dumps({name: value for name, value in fields.items() if value is not None}))
        stamp = next(stamps)
        os.utime(path, (stamp, stamp))
        return token

    return make


@pytest.fixture
def handler(fake_clock):
    return lambda **options: EsriNotebookFileAuth(clock=fake_clock, **options)


@pytest.fixture
def decoder(monkeypatch):
    return stand_in("arcgis_notebooks_auth", monkeypatch)


def test_in_a_process_of_its_own_the_portal_and_its_server_are_read(tmp_path):
    program = """
from esri_http import EsriNotebookFileAuth, EsriSession
private, public, layer = given
session = EsriSession(auth=EsriNotebookFileAuth())
early = "arcgis_notebooks_auth" in sys.modules
names = [session.get(url + "/sharing/rest/community/self?f=json").json()["username"] for url in (private, public)]
print(json.dumps([early, names, session.get(layer + "?f=json").json()["type"]]))
"""
    path = tmp_path / "nb.json"
    with EmbeddedPortal(https=False) as portal:
        for key, encoded in (("token", slice(None)), ("encryptedToken", slice(None, None, -1))):
            token = portal.issue_token("amy", referer=REFERER)
            fields = {"privatePortalUrl": private(portal), "publicPortalUrl": portal.portal_url, "referer": REFERER}
            path.write_text(json.dumps({**fields, key: token[encoded]}))
            found = in_its_own_process(program, private(portal), portal.portal_url, portal.layer_url, NB_AUTH_FILE=str(path))
            assert found == [False, ["amy", "amy"], "Feature Layer"]


def test_both_addresses_of_the_portal_get_the_token_with_its_referer(write, handler, portal, open_session):
    token = write()
    session = open_session(handler())
    assert [who(session, url) for url in (private(portal), portal.portal_url)] == ["amy", "amy"]
    assert {token_sent(request) for request in portal.requests} == {token}
    assert {request.headers["Referer"] for request in portal.requests} == {REFERER}
    assert (str(session.auth.portal), session.auth.token) == (private(portal), token)
    assert len(portal.requests) == 2


@pytest.mark.parametrize("address", ["{0}", "{0}/", "{0}/home", "{0}/sharing/rest"])
def test_any_url_of_the_portal_will_do(write, handler, portal, open_session, address):
    write(publicPortalUrl=address.format(portal.portal_url), privatePortalUrl=address.format(private(portal)))
    assert who(open_session(handler()), portal.portal_url) == "amy"


@pytest.mark.parametrize("owner", [private, lambda portal: portal.portal_url])
def test_a_server_that_belongs_to_either_address_is_read(write, handler, portal, open_session, owner):
    write()
    portal.server_site.owner = owner(portal)
    session = open_session(handler())
    for _ in range(3):
        assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
    assert (exchanges(portal), len(portal.requests)) == (1, 5)
    assert portal.recorder.find("/generateToken")[0].form["referer"] == REFERER


def test_neither_other_hosts_nor_other_servers_get_the_token(write, handler, portal, open_session, handler_peer):
    write()
    session = open_session(handler())
    peer = handler_peer(guarded(set()))
    for target in ("/x", "/portal/sharing/rest/community/self"):
        session.get(peer.url_for(target))
    with pytest.raises(SignInError, match="not federated"):
        session.get(portal.standalone_layer_url + "?f=json")
    seen = [*peer.requests, *(request for request in portal.requests if request.site == "standalone")]
    assert {token_sent(request) for request in seen} == {None}


def test_the_file_is_read_once_until_it_changes(write, handler, path, portal, open_session, monkeypatch):
    write()
    session = open_session(handler())
    who(session, portal.portal_url)
    monkeypatch.setattr("esri_http.auth.hosts.notebook._read", None)  # any further reading would fail
    assert [who(session, portal.portal_url) for _ in range(5)] == ["amy"] * 5


def test_a_new_file_counts_from_the_next_request_on(write, handler, portal, open_session):
    write()
    session = open_session(handler())
    assert who(session, portal.portal_url) == "amy"
    write("bob")
    assert who(session, portal.portal_url) == "bob"
    assert len(portal.requests) == 2


def test_a_refused_token_is_read_anew(write, handler, path, portal, open_session):
    first = write()
    stamp = os.stat(path)
    session = open_session(handler())
    who(session, portal.portal_url)
    portal.revoke(first)
    content = path.read_text().replace(first, portal.issue_token("bob", referer=REFERER))
    with open(path, "w") as file:
        file.write(content)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # as within one tick of the file system's clock
    assert who(session, portal.portal_url) == "bob"
    assert len(portal.requests) == 3


def test_the_same_refused_token_is_an_error_and_never_an_anonymous_request(write, handler, portal, open_session):
    token = write()
    portal.revoke(token)
    session = open_session(handler())
    for _ in range(2):
        with pytest.raises(ArcGISLoginError, match="hands out the same one again"):
            who(session, portal.portal_url)
    assert [token_sent(request) for request in portal.requests] == [token, token]


def test_the_file_is_read_again_near_the_end(write, handler, portal, open_session, fake_clock):
    write()
    session = open_session(handler())
    who(session, portal.portal_url)
    assert session.auth.token_expires.timestamp() == fake_clock.time() + HOUR
    fake_clock.advance(HOUR - 60)
    assert who(session, portal.portal_url) == "amy"
    fake_clock.advance(61)
    with pytest.raises(ArcGISLoginError, match="the same one again"):
        who(session, portal.portal_url)
    write()
    assert who(session, portal.portal_url) == "amy"


def test_a_file_that_is_damaged_for_a_moment_does_not_hurt_while_the_token_lives(
    write, handler, path, portal, open_session, fake_clock
):
    write()
    session = open_session(handler())
    who(session, portal.portal_url)
    path.write_text('{"token": "ha')
    assert who(session, portal.portal_url) == "amy"
    path.unlink()
    assert who(session, portal.portal_url) == "amy"
    fake_clock.advance(HOUR + 1)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        who(session, portal.portal_url)
    write()
    assert who(session, portal.portal_url) == "amy"


def test_a_token_taken_out_of_the_file_is_used_no_more(write, handler, portal, open_session):
    write()
    session = open_session(handler())
    who(session, portal.portal_url)
    write(token=None)
    with pytest.raises(ArcGISLoginError, match="Nobody is signed in"):
        who(session, portal.portal_url)
    assert len(portal.requests) == 1


def test_sixteen_threads_read_it_once(write, handler, portal, open_session, decoder):
    token = write(token=None)
    write(token=None, encryptedToken=token[::-1])
    session = open_session(handler())
    assert in_threads(16, lambda number: who(session, portal.portal_url)) == ["amy"] * 16
    assert len(decoder.calls) == 1


def test_the_inner_handler_stands_nearer_the_wire_for_the_exchange_too(write, handler, portal, open_session):
    write()
    session = open_session(handler(auth=("front", "door-password"), verify_cert=True))
    assert session.get(portal.layer_url + "?f=json").json()["type"] == "Feature Layer"
    open_session(auth := handler(auth=("front", "door-password")))
    assert auth.token_for(portal.server_url)
    assert exchanges(portal) == 2
    assert all((request.headers.get("Authorization") or "").startswith("Basic ") for request in portal.requests)


def test_the_portal_is_asked_who_is_signed_in_where_that_is_wanted(write, handler, portal, open_session):
    write()
    session = open_session(handler(verify_sign_in=True))
    assert who(session, portal.portal_url) == "amy"
    assert portal.count("/portals/self") == 1


# -- encrypted -------------------------------------------------------------------------------------------------------


class TestEncryptedToken:
    """Decoded by Esri's package, and no other way."""

    def test_it_is_decoded_by_the_package(self, write, handler, path, portal, open_session, decoder):
        token = write(token=None)
        write(token=None, encryptedToken=token[::-1])
        session = open_session(handler())
        assert who(session, portal.portal_url) == "amy"
        assert decoder.calls == [str(path)]

    def test_a_plain_token_beside_it_is_taken_as_it_is(self, write, handler, portal, open_session):
        write(encryptedToken="whatever")
        assert who(open_session(handler()), portal.portal_url) == "amy"

    def test_without_the_package_it_is_an_error_that_names_it(self, write, handler, portal, open_session, monkeypatch):
        monkeypatch.setitem(sys.modules, "arcgis_notebooks_auth", None)
        write(token=None, encryptedToken=SECRET)
        with pytest.raises(MissingPackageError, match="only Esri's package arcgis_notebooks_auth") as caught:
            who(open_session(handler()), portal.portal_url)
        assert_hidden([SECRET], caught.value)
        assert portal.requests == []

    def test_a_failure_of_the_package_shows_nothing_of_what_it_decoded(self, write, handler, portal, open_session, decoder):
        write(token=None, encryptedToken=SECRET)
        decoder.failure = ValueError(SECRET)
        with pytest.raises(TokenRequestError, match=r"could not decode the token in .* \(ValueError\)") as caught:
            who(open_session(handler()), portal.portal_url)
        assert_hidden([SECRET], caught.value)

    @pytest.mark.parametrize("decoded", ["two words", "nul\0", "tökn"])
    def test_what_is_decoded_to_no_token_is_an_error(self, write, handler, portal, open_session, decoder, decoded):
        write(token=None, encryptedToken=decoded[::-1])
        with pytest.raises(TokenRequestError, match="cannot be a token") as caught:
            who(open_session(handler()), portal.portal_url)
        assert_hidden([decoded] if len(decoded) > 5 else [], caught.value)


# -- files that will not do ------------------------------------------------------------------------------------------


def test_without_the_variable_it_says_where_it_works(monkeypatch):
    for prepare in (lambda: monkeypatch.delenv("NB_AUTH_FILE", raising=False), lambda: monkeypatch.setenv("NB_AUTH_FILE", "")):
        prepare()
        with pytest.raises(ConfigurationError, match="hosted ArcGIS notebook.*NB_AUTH_FILE"):
            EsriNotebookFileAuth()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"null", b"[]", b'"text"', b"7", b"{", b'{"token": "%s"' % SECRET.encode(), b"\xff\xfe\x00", b"[" * 100_000,
        b'{"privatePortalUrl": "%s", "x": NaN' % SECRET.encode(), b" " * (1024 * 1024 + 1), b"1" * 10_000,
    ],
    ids=range(12),
)  # fmt: skip
def test_a_damaged_file_is_named_and_not_shown(path, content):
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="is no JSON object.*restart the notebook") as caught:
        EsriNotebookFileAuth()
    assert str(path) in str(caught.value)
    assert_hidden([SECRET], caught.value)


@pytest.mark.parametrize("key", ["privatePortalUrl", "publicPortalUrl", "referer"])
@pytest.mark.parametrize("value", [None, "", "  ", 7, [SECRET], {"a": SECRET}, True])
def test_a_key_that_is_missing_or_no_text_is_named(path, write, key, value):
    write(**{key: value})
    with pytest.raises(ConfigurationError, match=f"in which {key} is missing or no text") as caught:
        EsriNotebookFileAuth()
    assert str(path) in str(caught.value)
    assert_hidden([SECRET], caught.value)


@pytest.mark.parametrize("key", ["privatePortalUrl", "publicPortalUrl"])
@pytest.mark.parametrize("value", [SECRET, f"ftp://{SECRET}", f"https://[{SECRET}", f"https://a\x00{SECRET}"])
def test_an_address_that_is_none_is_named_and_not_shown(path, write, key, value):
    write(**{key: value})
    with pytest.raises(ConfigurationError, match=f"in which {key} is no address") as caught:
        EsriNotebookFileAuth()
    assert_hidden([SECRET], caught.value)


def test_a_file_that_is_not_there_or_a_folder_is_named(path):
    with pytest.raises(ConfigurationError, match=r"nb_auth\.json, which cannot be read \(No such file"):
        EsriNotebookFileAuth()
    path.mkdir()
    with pytest.raises(ConfigurationError, match=r"nb_auth\.json, which cannot be read"):
        EsriNotebookFileAuth()


@pytest.mark.parametrize("token", [7, ["x"], {"a": 1}, "two words", "x" * 20_000])
def test_a_token_that_is_none_is_an_error(write, handler, portal, open_session, token):
    write(token=token)
    with pytest.raises(TokenRequestError, match="cannot be a token"):
        who(open_session(handler()), portal.portal_url)
    assert portal.requests == []


def test_a_file_without_any_token_means_that_nobody_is_signed_in(write, handler, portal, open_session):
    write(token=None)
    session = open_session(handler())
    with pytest.raises(ArcGISLoginError, match="Nobody is signed in at"):
        who(session, portal.portal_url)
    assert portal.requests == []


# -- processes, sign-out, secrets ------------------------------------------------------------------------------------


def test_it_pickles_with_its_token_and_reads_the_file_there(write, path, portal, open_session, monkeypatch):
    write()
    session = open_session(EsriNotebookFileAuth())
    who(session, portal.portal_url)
    monkeypatch.delenv("NB_AUTH_FILE")
    there = open_session(pickle.loads(pickle.dumps(session.auth)))
    assert who(there, portal.portal_url) == "amy"
    write("bob")
    assert who(there, portal.portal_url) == "bob"


def test_after_logout_nothing_is_sent_until_login(write, handler, portal, open_session):
    write()
    session = open_session(handler())
    who(session, portal.portal_url)
    assert session.auth.logout("error") is False
    with pytest.raises(SignInError, match="signed out"):
        who(session, portal.portal_url)
    session.auth.login()
    assert who(session, portal.portal_url) == "amy"


def test_the_token_is_shown_nowhere(write, handler, path, portal, open_session, caplog):
    caplog.set_level(logging.DEBUG)
    token = write()
    session = open_session(handler())
    session.get(portal.layer_url + "?f=json")
    described = [
        session.auth.describe(url) for url in (private(portal), portal.portal_url, portal.layer_url, "https://x.example")
    ]
    assert [("no token" in line, "own" in line) for line in described] == [
        (False, False), (False, False), (False, True), (True, False),
    ]  # fmt: skip
    assert repr(session.auth) == f"EsriNotebookFileAuth({str(path)!r})"
    portal.revoke(token)
    with pytest.raises(ArcGISLoginError) as caught:
        who(session, portal.portal_url)
    assert_hidden([token], session, session.auth, *described, caught.value, logs=caplog.text)
