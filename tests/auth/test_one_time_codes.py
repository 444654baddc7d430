"""One-time codes: by the vectors of RFC 6238, from seeds as people copy them, and from callables."""

from __future__ import annotations

import base64

import pytest

from esri_http.auth.oauth.one_time_codes import one_time_code, totp
from esri_http.words.errors import ConfigurationError
from tests.auth.helpers import assert_hidden
from tests.support.clock import FakeClock

SEED = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    "moment, code",
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2e9, "279037"), (2e10, "353130")],
)
def test_codes_are_those_of_the_vectors(moment, code):
    assert totp(SEED, moment) == one_time_code(SEED, FakeClock(moment)) == code


@pytest.mark.parametrize("written", [SEED.lower(), " ".join(SEED), "-".join(SEED), SEED + "====", f" {SEED} "])
def test_a_seed_may_be_written_as_portals_show_it(written):
    assert totp(written, 59) == "287082"


@pytest.mark.parametrize("seed", ["JBSWY3DPEHPK3PXPJA", "JBSWY3DPEHPK3PXPJA======", "MFRGG"])
def test_seeds_of_other_lengths_will_do(seed):
    assert totp(seed, 0).isdigit()


@pytest.mark.parametrize("seed", ["", "   ", "marker-0189!", "ÄÖÜ", "A"])
def test_what_is_no_seed_is_an_error_that_does_not_show_it(seed):
    with pytest.raises(ConfigurationError, match="seed in mfa_code=") as caught:
        one_time_code(seed, FakeClock())
    assert_hidden(["marker-0189!"], caught.value)


@pytest.mark.parametrize("given, code", [("123456", "123456"), (" 123 456\n", "123456"), (123456, "123456"), ("1234", "1234")])
def test_a_callable_gives_the_code(given, code):
    assert one_time_code(lambda: given, FakeClock()) == code


@pytest.mark.parametrize("given", ["", None, "abc", "123", "1" * 11, "12 34 5x", "１２３４５６", "²²²²²²"])
def test_what_is_no_code_is_an_error(given):
    with pytest.raises(ConfigurationError, match="code of digits"):
        one_time_code(lambda: given, FakeClock())


def test_an_error_of_the_callable_is_the_callers_own():
    def fail():
        raise KeyError("no phone")

    with pytest.raises(KeyError):
        one_time_code(fail, FakeClock())
