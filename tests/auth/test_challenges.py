"""The parser of `WWW-Authenticate` and `Proxy-Authenticate` (RFC 9110 section 11): what it takes, and what it survives."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esri_http import EsriSession
from esri_http.auth.challenges import Challenge, challenges_of, parse_challenges, parse_parameters

from ..support.http_messages import Reply

TOKENS = st.text("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8)
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20)
ROOM = st.sampled_from(["", " ", "\t", "  "])


def bare(scheme: str, token: str = "", **parameters: str) -> Challenge:
    """What is expected of one scheme."""
    return Challenge(scheme, token, parameters)


@pytest.mark.parametrize(
    "field, challenges",
    [
        ("Negotiate", [bare("negotiate")]),
        ("NTLM, Negotiate", [bare("ntlm"), bare("negotiate")]),
        ("Negotiate YIIabc+/-._~==", [bare("negotiate", "YIIabc+/-._~==")]),
        ("Negotiate YII=, NTLM TlRM", [bare("negotiate", "YII="), bare("ntlm", "TlRM")]),
        ('Basic realm="gis"', [bare("basic", realm="gis")]),
        ('BASIC Realm="gis"', [bare("basic", realm="gis")]),
        ('Basic realm = "gis" , charset="UTF-8"', [bare("basic", realm="gis", charset="UTF-8")]),
        ('Basic realm="a, \\"b\\", Digest \\\\"', [bare("basic", realm='a, "b", Digest \\')]),
        ("Digest stale=TRUE, algorithm=MD5-sess", [bare("digest", stale="TRUE", algorithm="MD5-sess")]),
        (
            'Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"',
            [bare("newauth", realm="apps", type="1", title='Login to "apps"'), bare("basic", realm="simple")],
        ),
        ('Negotiate,Basic realm="",NTLM', [bare("negotiate"), bare("basic", realm=""), bare("ntlm")]),
        ("Digest username*=UTF-8''J%C3%A4", [Challenge("digest", "", {"username*": "UTF-8''J%C3%A4"})]),
        (",, ,Basic realm=x,, ,", [bare("basic", realm="x")]),
    ],
)
def test_what_the_grammar_knows(field: str, challenges: list[Challenge]) -> None:
    assert parse_challenges([field]) == challenges


@pytest.mark.parametrize(
    "field, challenges",
    [
        ("", []),
        (",,,", []),
        ('"Basic"', []),
        ("@@ Basic, NTLM", [bare("ntlm")]),
        ('@ "a, Basic realm=x", NTLM', [bare("ntlm")]),
        ('Digest realm="open', [bare("digest")]),
        ('Digest realm="open\\', [bare("digest")]),
        ('Digest realm="open\\"', [bare("digest")]),
        ('Digest realm="a" nonce="b" qop=auth', [bare("digest", realm="a", nonce="b", qop="auth")]),
        ("Basic realm=My Site, NTLM", [bare("basic", realm="My"), bare("ntlm")]),
        ("Digest realm=", [bare("digest", "realm=")]),
        ('realm="stray", Basic realm="y"', [bare("basic", realm="y")]),
        ("Basic\u00a0realm=x, NTLM", [bare("ntlm")]),
        ('Digest realm="one", realm="two", REALM=three', [bare("digest", realm="one")]),
        ("Basic\r\n realm=x", [bare("basic", realm="x")]),
    ],
)
def test_what_it_does_not_know_is_passed_over(field: str, challenges: list[Challenge]) -> None:
    assert parse_challenges([field]) == challenges


def test_several_fields_are_read_in_order_and_no_parameter_reaches_over() -> None:
    fields = ['Digest realm="a"', 'nonce="lost", NTLM', "Negotiate"]
    assert parse_challenges(fields) == [bare("digest", realm="a"), bare("ntlm"), bare("negotiate")]


def test_a_quoted_string_without_end_hides_nothing_in_the_next_field() -> None:
    assert parse_challenges(['Basic realm="a', "NTLM"]) == [bare("basic"), bare("ntlm")]


@given(st.lists(st.text(max_size=60), max_size=4))
def test_nothing_is_raised(fields: list[str]) -> None:
    for challenge in parse_challenges(fields):
        assert challenge.scheme == challenge.scheme.lower() != ""
        assert all(name == name.lower() for name in challenge.parameters)


@given(st.lists(st.text(' \t,="\\ab=\u00a0', max_size=40), max_size=3))
def test_nothing_is_raised_for_what_comes_close(fields: list[str]) -> None:
    parse_challenges(fields)


@given(
    st.lists(st.tuples(TOKENS, st.dictionaries(TOKENS, st.tuples(TEXTS, ROOM, ROOM), min_size=1)), min_size=1), st.booleans()
)
def test_what_is_written_is_read(offers: list[tuple[str, dict[str, Any]]], in_one_field: bool) -> None:
    written = []
    for scheme, parameters in offers:
        pairs = []
        for name, (value, before, after) in parameters.items():
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            pairs.append(f'{name}{before}={after}"{escaped}"')
        written.append(f"{scheme} " + ", ".join(pairs))
    expected = [Challenge(scheme, "", {name: value for name, (value, _, _) in pairs.items()}) for scheme, pairs in offers]
    assert parse_challenges([", ".join(written)] if in_one_field else written) == expected


@given(TOKENS, st.from_regex(r"[A-Za-z0-9\-._~+/]{1,20}={0,3}", fullmatch=True), ROOM)
def test_a_token_is_read(scheme: str, token: str, room: str) -> None:
    assert parse_challenges([f"{scheme} {room}{token}{room},{scheme}"]) == [bare(scheme, token), bare(scheme)]


@pytest.mark.parametrize(
    "unit",
    [
        "\u00a0", "a", " ", "=", ",", "a,", '"', "\\", "a=", "a=b,", "a=b ", "a ", 'a="', 'a="\\"', '\\"', "a \t",
        'a "\u00a0, ', "a= ", "a,\r\n ", "\x00", 'Basic realm="x", ',
    ],
)  # fmt: skip
@pytest.mark.parametrize("start", ["", "Basic ", 'Basic a="', "Basic a"])
def test_a_lot_of_anything_takes_a_moment(unit: str, start: str) -> None:
    field = start + unit * (300_000 // len(unit))
    began = time.process_time()
    parse_challenges([field])
    assert time.process_time() - began < 3


def test_twenty_thousand_commas_hide_nothing() -> None:
    assert parse_challenges(["Negotiate" + "," * 20_000 + "NTLM"]) == [bare("negotiate"), bare("ntlm")]


def test_a_field_of_parameters_alone() -> None:
    assert parse_parameters('nextnonce="a,b", rspauth=0f, qop = auth') == {"nextnonce": "a,b", "rspauth": "0f", "qop": "auth"}
    assert parse_parameters("") == parse_parameters("===") == parse_parameters('"') == {}
    assert parse_parameters("abc") == {}


def test_of_a_response_every_field_is_read(handler_peer: Any) -> None:
    fields = [
        ("WWW-Authenticate", "Negotiate"),
        ("www-authenticate", 'Basic realm="a", NTLM'),
        ("Proxy-Authenticate", "Digest"),
    ]
    peer = handler_peer(lambda request: Reply(401, fields, b""))
    with EsriSession() as session:
        response = session.get(peer.url)
    assert challenges_of(response) == [bare("negotiate"), bare("basic", realm="a"), bare("ntlm")]
    response.headers = {"www-authenticate": "NTLM"}
    assert challenges_of(response) == [bare("ntlm")]
    response.headers = {}
    assert challenges_of(response) == []
