"""Digest as the RFCs and curl's tests print it, number by number."""

from __future__ import annotations

import itertools
from typing import Any, Union

import pytest

from esri_http.auth.challenges import parse_challenges
from esri_http.auth.web_tier.digest_challenges import DigestSpace, choose_space
from esri_http.messages.body import BytesBody, StreamBody
from esri_http.messages.request import Request
from esri_http.words.errors import BodyNotReplayableError
from esri_http.words.urls import split_url

OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
RFC_7616 = f'Digest realm="http-auth@example.org", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="{OPAQUE}"'
CNONCE_7616 = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
JAESOEN = (
    'Digest realm="api@example.org", nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", charset=UTF-8, qop="auth",'
    ' algorithm=SHA-512-256, opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS"'
)
OLD = 'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
CURL = 'Digest realm="testrealm", nonce="1053604145"'


def space_of(field: str, cnonce: str | None = None) -> DigestSpace:
    """What a client makes of a challenge, with this number of its own."""
    space, reason = choose_space(parse_challenges([field]))
    assert space is not None, reason
    space._cnonce = cnonce or space._cnonce
    return space


def signed(
    space: DigestSpace, username: str, password: str, target: str, method: str = "GET", body: Union[bytes, None] = None
) -> dict[str, str]:
    """The parameters of the signed request."""
    origin = split_url("http://www.example.org/").origin
    request = Request(method, origin, target, {}, None if body is None else BytesBody(body))
    return parse_challenges([space.sign(request, username, password).field])[0].parameters


def test_rfc_2617_3_5() -> None:
    space = space_of(OLD + ', qop="auth,auth-int"', "0a4f113b")
    given = signed(space, "Mufasa", "Circle Of Life", "/dir/index.html")
    assert given["response"] == "6629fae49393a05397450978507c4ef1"
    assert (given["nc"], given["cnonce"], given["qop"]) == ("00000001", "0a4f113b", "auth")


def test_rfc_2069_with_erratum_749() -> None:
    given = signed(space_of(OLD), "Mufasa", "CircleOfLife", "/dir/index.html")
    assert given["response"] == "1949323746fe6a43ef61f9606e7febea"
    assert not {"nc", "cnonce", "qop", "algorithm", "opaque"} & set(given)


@pytest.mark.parametrize(
    "algorithm, response",
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ("SHA-512-256", "430d05014cecc49cab6fbe03176d41a1da86cbfe24a16580e22aaad928d960d0"),
        ("MD5-sess", "e783283f46242139c486a698fec7211d"),
        ("SHA-256-sess", "2fd51b3a77ad75bad6afad6003e818d767133c46d9e2749e7f5232ae1ea3efd7"),
    ],
)
@pytest.mark.parametrize("spelling", [str, str.lower])
def test_rfc_7616_3_9_1_and_what_follows_from_it(algorithm: str, response: str, spelling: Any) -> None:
    space = space_of(f"{RFC_7616}, qop=auth, algorithm={spelling(algorithm)}", CNONCE_7616)
    given = signed(space, "Mufasa", "Circle of Life", "/dir/index.html")
    assert given["response"] == response
    assert given["algorithm"] == spelling(algorithm)
    assert given["opaque"] == OPAQUE
    assert given["uri"] == "/dir/index.html"


@pytest.mark.parametrize(
    "algorithm, response",
    [
        ("MD5", "23fef4d928a3e9fa6e0b0de51288c997"),
        ("SHA-256", "c98b95dbdb463c4483e324bced57d591946a6f84098142757b1333c52c47d62e"),
        ("SHA-512-256", "94b85dbcbbb97c3bda2751c7e160fe6604eccca585f3cbff75d2a23f0085ed70"),
    ],
)
def test_auth_int_covers_the_body(algorithm: str, response: str) -> None:
    space = space_of(f"{RFC_7616}, qop=auth-int, algorithm={algorithm}", CNONCE_7616)
    given = signed(space, "Mufasa", "Circle of Life", "/dir/index.html", "POST", b"hello")
    assert (given["response"], given["qop"]) == (response, "auth-int")


def test_auth_int_needs_a_body_that_can_be_read_before_it_is_sent() -> None:
    request = Request("POST", split_url("http://h/").origin, "/", {}, StreamBody(iter([b"a"])))
    with pytest.raises(BodyNotReplayableError, match="auth-int"):
        space_of(CURL + ", qop=auth-int").sign(request, "amy", "secret")


def test_legacy_md5_of_the_same_inputs() -> None:
    given = signed(space_of(RFC_7616), "Mufasa", "Circle of Life", "/dir/index.html")
    assert given["response"] == "7b2cc3b30e75b4777ea31027084363fd"


def test_userhash_hides_the_name_and_signs_with_it() -> None:
    space = space_of(f"{RFC_7616}, qop=auth, algorithm=SHA-256, userhash=true", CNONCE_7616)
    given = signed(space, "Mufasa", "Circle of Life", "/dir/index.html")
    assert given["username"] == "a947aad205e80e429958a387394944c6b496301e79f89d35a4cc23b6ee12b5b6"
    assert given["userhash"] == "true"
    assert given["response"] == "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"


def test_rfc_7616_3_9_2_with_erratum_4897() -> None:
    space = space_of(JAESOEN + ", userhash=true", "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v")
    given = signed(space, "Jäsøn Doe", "Secret, or not?", "/doe.json")
    assert given["username"] == "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
    assert given["response"] == "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"


@pytest.mark.parametrize("name", ["J\u00e4s\u00f8n Doe", "Ja\u0308s\u00f8n Doe"])
def test_without_userhash_the_name_goes_out_encoded_and_composed(name: str) -> None:
    space = space_of(JAESOEN, "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v")
    given = signed(space, name, "Secret, or not?", "/doe.json")
    assert given["username*"] == "UTF-8''J%C3%A4s%C3%B8n%20Doe"
    assert "username" not in given
    assert "userhash" not in given
    assert given["response"] == "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"


@pytest.mark.parametrize(
    "extra, target, response",
    [
        ("", '/64"', "1ee14b238b3259f17602e9ce41491ef9"),
        (", algorithm=SHA-256", "/2061", "9dc55255f1a2537b838311674b621d45346b862a81631bb20e4ce356ef25062d"),
        (", algorithm=SHA-512-256", "/2062", "9d3256ee6526ec40dd48743bb48e51ee9baba587c78f15c3a86166242150af98"),
        (", algorithm=SHA-256, userhash=true", "/2063", "6c470aec384ab1d4e12d3ce1f5b08303d8cad177e52ebe50ec1a3e141adb0cdc"),
    ],
)
def test_the_vectors_of_curl(extra: str, target: str, response: str) -> None:
    given = signed(space_of(CURL + extra), "testuser", "testpass", target)
    assert given["response"] == response
    assert given["uri"] == target
    hidden = "75af8a3500f771e58a52093a25e7905d6e428a511285c12ea1420c73078dfd61"
    assert given["username"] == (hidden if "userhash" in extra else "testuser")


def test_what_is_quoted_is_escaped_and_what_is_not_is_bare() -> None:
    space = space_of('Digest realm="a\\"b\\\\", nonce="n\\"", opaque="\\\\", qop=auth, algorithm=MD5, userhash=false')
    request = Request("GET", split_url("http://h/").origin, '/"', {})
    field = space.sign(request, 'amy"\\', "secret").field
    assert field.startswith('Digest username="amy\\"\\\\", realm="a\\"b\\\\", nonce="n\\"", uri="/\\"", response="')
    assert ', opaque="\\\\", algorithm=MD5, qop=auth, nc=00000001, cnonce="' in field


def test_the_number_counts_up_for_a_nonce_and_begins_again_with_the_next() -> None:
    space = space_of(CURL + ", qop=auth")
    assert [signed(space, "a", "b", "/")["nc"] for _ in range(17)][::8] == ["00000001", "00000009", "00000011"]
    another = space.renewed("next")
    given = signed(another, "a", "b", "/")
    assert (given["nc"], given["nonce"]) == ("00000001", "next")
    assert given["cnonce"] != space._cnonce
    assert space.renewed("bad\x00") is space is space.renewed("")


def test_a_secret_query_is_signed_as_it_is_sent() -> None:
    request = Request("GET", split_url("http://h/").origin, "/a?f=json", {}, secret_query="token=t")
    assert 'uri="/a?f=json&token=t"' in space_of(CURL).sign(request, "a", "b").field
    assert 'uri="/a?token=t"' in space_of(CURL).sign(request.replace(target="/a"), "a", "b").field


STRONGER = ["MD5", "SHA-256", "SHA-512-256"]


@pytest.mark.parametrize("order", list(itertools.permutations(STRONGER)))
def test_the_strongest_is_taken_in_whatever_order_they_come(order: tuple[str, ...]) -> None:
    fields = [f"{CURL}, algorithm={algorithm}" for algorithm in order]
    for count in (2, 3):
        space, _ = choose_space(parse_challenges(fields[:count]))
        assert space is not None
        assert space.rank == max(map(STRONGER.index, order[:count]))


@pytest.mark.parametrize(
    "field, why",
    [
        (CURL + ", algorithm=SHA3", "'SHA3' is not known"),
        (CURL + ", algorithm=-sess", "not known"),
        (CURL + ", qop=token", "qop 'token' is not known"),
        ('Digest realm="a"', "no nonce"),
        ('Digest realm="a", nonce=""', "no nonce"),
        ("Digest", "no nonce"),
        ('Digest realm="a\x01", nonce="b"', "control characters"),
        ('Digest realm="a", nonce="b\x7f"', "control characters"),
        ('Digest realm="a", nonce="b", opaque="\x00"', "control characters"),
        ('Digest realm="\u0142", nonce="b"', "control characters"),
    ],
)
def test_what_cannot_be_answered_is_passed_over_and_the_reason_is_known(field: str, why: str) -> None:
    space, reason = choose_space(parse_challenges([field]))
    assert space is None
    assert why in reason
    space, reason = choose_space(parse_challenges([field, CURL]))
    assert space is not None
    assert (space.nonce, reason) == ("1053604145", "")


def test_a_realm_outside_ascii_is_signed_as_the_bytes_that_came() -> None:
    import hashlib

    as_read = "gr\u00fcn".encode().decode("latin-1")
    given = signed(space_of(f'Digest realm="{as_read}", nonce="n"'), "amy", "secret", "/")
    one, two = (hashlib.md5(text.encode()).hexdigest() for text in ("amy:gr\u00fcn:secret", "GET:/"))
    assert given["response"] == hashlib.md5(f"{one}:n:{two}".encode()).hexdigest()
    assert given["realm"] == as_read


def test_a_hash_that_openssl_does_not_have_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "sha512_256":
            raise ValueError(f"unsupported hash type {name}")
        return new(name, *arguments, **options)

    new = hashlib.new
    monkeypatch.setattr(hashlib, "new", without)
    space, reason = choose_space(parse_challenges([CURL + ", algorithm=SHA-512-256"]))
    assert space is None
    assert "has no SHA-512-256" in reason
    space, _ = choose_space(parse_challenges([CURL + ", algorithm=SHA-512-256", CURL]))
    assert space is not None
    assert space.rank == 0


@pytest.mark.parametrize(
    "domain, asked, covered, not_covered",
    [
        ("/a /b/", "/a/x", ["/a/y", "/b/c"], ["/c", "/"]),
        ("http://h/a http://other/b", "/a/x", ["/a/y"], ["/b/x"]),
        ("http://other/", "/a/x", ["/a/y", "/b"], []),
        ("/internal/", "/a/x", ["/a/y", "/internal/"], []),
        ("", "/a", ["/b"], []),
        ("   ", "/a", ["/b"], []),
        ("http://[ https:// \x7f", "/a", ["/b"], []),
    ],
)
def test_domain_says_where_to_sign_unasked(domain: str, asked: str, covered: list[str], not_covered: list[str]) -> None:
    space = space_of(f'{CURL}, domain="{domain}"').bound_to(Request("GET", split_url("http://h/").origin, asked, {}))
    assert all(map(space.covers, covered))
    assert not any(map(space.covers, not_covered))
    assert [space.renewed("n").covers(path) for path in not_covered] == [False] * len(not_covered)
