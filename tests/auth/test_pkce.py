"""Proof keys by the vectors of RFC 7636, and states."""

from __future__ import annotations

import re

import pytest

from esri_http.auth.oauth.pkce import Proof, make_state, same_state
from tests.auth.helpers import assert_hidden


@pytest.mark.parametrize(
    "verifier, challenge",
    [
        ("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("A" * 43, "DwBzhbb51LfusnSGBa_hqYSgo7-j8BTQnip4TOnlzRo"),
    ],
)
def test_the_challenge_is_that_of_the_vector(verifier, challenge):
    assert Proof(verifier).challenge == challenge


def test_every_sign_in_has_a_proof_and_a_state_of_its_own():
    proofs = [Proof() for _ in range(100)]
    assert len({proof.verifier for proof in proofs}) == len({make_state() for _ in range(100)}) == 100
    assert all(re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", proof.verifier) for proof in proofs)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", proof.challenge) for proof in proofs)


def test_the_repr_shows_nothing():
    proof = Proof()
    assert_hidden([proof.verifier, proof.challenge], proof)


@pytest.mark.parametrize(
    "theirs, same", [("abc", True), ("abd", False), ("", False), (None, False), (7, False), ("ä\ud800", False)]
)
def test_states_are_compared(theirs, same):
    assert same_state("abc", theirs) is same
