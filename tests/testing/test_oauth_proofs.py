"""The vectors of the RFCs that the portal checks a client by."""

from __future__ import annotations

import base64

import pytest

from esri_http.testing import s256, totp
from esri_http.testing.oauth.proofs import is_totp, is_verified
from esri_http.testing.oauth.settings import App, minutes_of

ORIGIN = "https://localhost:7443"

# RFC 7636 appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

# RFC 6238 appendix B: each algorithm has a seed of its own length.
SEEDS = {
    name: base64.b32encode((b"1234567890" * 7)[:size]).decode() for name, size in (("sha1", 20), ("sha256", 32), ("sha512", 64))
}
TOTP_VECTORS = [
    (59, "94287082", "46119246", "90693936"),
    (1111111109, "07081804", "68084774", "25091201"),
    (1111111111, "14050471", "67062674", "99943326"),
    (1234567890, "89005924", "91819424", "93441116"),
    (2000000000, "69279037", "90698825", "38618901"),
    (20000000000, "65353130", "77737706", "47863826"),
]


@pytest.mark.parametrize(
    "verifier, challenge", [(VERIFIER, CHALLENGE), ("A" * 43, "DwBzhbb51LfusnSGBa_hqYSgo7-j8BTQnip4TOnlzRo")]
)
def test_the_challenge_of_a_verifier_is_that_of_the_vector(verifier, challenge):
    assert s256(verifier) == challenge


@pytest.mark.parametrize(
    "challenge, method, verifier, is_right",
    [
        (CHALLENGE, "S256", VERIFIER, True),
        (CHALLENGE, "S256", VERIFIER[:-1], False),
        (CHALLENGE, "S256", CHALLENGE, False),
        (VERIFIER, "plain", VERIFIER, True),
        (CHALLENGE, "plain", VERIFIER, False),
        (CHALLENGE, "S256", "", False),
    ],
)
def test_a_verifier_fits_its_challenge_only(challenge, method, verifier, is_right):
    assert is_verified(challenge, method, verifier) is is_right


@pytest.mark.parametrize("seconds, sha1, sha256, sha512", TOTP_VECTORS)
def test_one_time_codes_are_those_of_the_vectors(seconds, sha1, sha256, sha512):
    codes = [totp(SEEDS[name], seconds, digits=8, algorithm=name) for name in ("sha1", "sha256", "sha512")]
    assert codes == [sha1, sha256, sha512]


def test_a_seed_may_be_written_as_authenticator_apps_show_it():
    seed = SEEDS["sha1"]
    spaced = " ".join(seed[at : at + 4] for at in range(0, len(seed), 4)).lower()
    assert totp(spaced, 59) == totp(seed, 59) == "287082"
    assert totp("JBSWY3DPEHPK3PXPJA", 0) == totp("JBSWY3DPEHPK3PXPJA======", 0)
    with pytest.raises(ValueError, match=r".+"):
        totp("not base32!", 0)


@pytest.mark.parametrize("age, is_right", [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_a_one_time_code_is_good_one_step_around_its_own(age, is_right):
    assert is_totp(SEEDS["sha1"], totp(SEEDS["sha1"], 1234567890), 1234567890 + age) is is_right


@pytest.mark.parametrize(
    "asked, minutes", [("", 30), ("x", 30), ("nan", 30), ("0", 30), ("-5", 30), ("45", 45), ("1e9", 90), ("-1", 90)]
)
def test_a_lifetime_is_the_one_asked_for_within_bounds(asked, minutes):
    assert minutes_of(asked, 30, 90) == minutes


@pytest.mark.parametrize(
    "uri, built_in, registered",
    [
        ("urn:ietf:wg:oauth:2.0:oob", True, False),
        ("http://127.0.0.1:49152/callback", True, True),
        ("http://127.0.0.1/callback", True, True),
        ("http://127.0.0.1:49152/other", True, False),
        ("http://localhost:8080", True, False),
        ("http://[::1]:8080/callback", True, False),
        ("https://app.example/callback?a=1", False, True),
        ("https://app.example/callback", False, False),
        ("https://app.example:444/callback?a=1", False, False),
        (ORIGIN, True, False),
        (ORIGIN + "/portal/home", True, False),
        (ORIGIN + ".evil.example/", False, False),
        (ORIGIN + "0/portal", False, False),
        ("http://127.0.0.1.evil.example:80/callback", False, False),
        ("http://evil.example@127.0.0.1/callback", False, False),
        ("http://127.0.0.1:80/callback#fragment", False, False),
        ("http://127.0.0.1:99999/callback", False, False),
        ("http://[::1/callback", False, False),
        ("https://127.0.0.1:80/callback", False, False),
    ],
)
def test_a_code_goes_only_where_the_app_is_registered_for(uri, built_in, registered):
    ours = App("arcgisonline", is_built_in=True)
    theirs = App("theirs", redirect_uris=["http://127.0.0.1/callback", "https://app.example/callback?a=1"])
    assert ours.allows(uri, ORIGIN) is built_in
    assert theirs.allows(uri, ORIGIN) is registered
