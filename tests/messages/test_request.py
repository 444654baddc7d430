"""One request as a value: its copies, and what its pickle leaves out."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest

from esri_http.messages.body import make_body
from esri_http.messages.request import Request
from esri_http.words.origins import Origin

HEADERS = {"Accept": "*/*", "Authorization": "Bearer s3cret"}
ORIGIN = Origin("https", "gis.example.com", 443)


@pytest.mark.parametrize("made", [Request.copy, copy.copy, copy.deepcopy])
def test_a_copy_can_be_sent_like_the_original(made: Callable[[Request], Request]) -> None:
    request = Request("POST", ORIGIN, "/a?b=c", HEADERS, make_body({"x": "y"}), "end", "token=s3cret", lambda _: {})
    twin = made(request)
    assert [getattr(twin, name) for name in Request.__slots__] == [getattr(request, name) for name in Request.__slots__]
    twin.headers["Accept"] = "text/plain"
    assert request.headers["Accept"] == "*/*"


def test_a_pickle_holds_neither_a_body_nor_a_secret() -> None:
    pickled = pickle.dumps(Request("POST", ORIGIN, "/", HEADERS, make_body(b"s3cret"), secret_query="token=s3cret"))
    assert b"s3cret" not in pickled
    assert pickle.loads(pickled).body is None
