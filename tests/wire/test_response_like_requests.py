"""The same answers through requests and through ours: what users know holds here too."""

from __future__ import annotations

import gzip
import pickle
from typing import Any

import pytest
import requests

from esri_http import EsriSession

from ..support.http_messages import Reply, json_reply

LINES = b"".join(b"line %d\n" % number for number in range(3000))
ANSWERS: dict[str, Reply] = {
    "text": Reply(200, {"Content-Type": "text/plain; charset=utf-8"}, "Zürich, 東京"),
    "latin": Reply(200, {"Content-Type": "text/html; charset=ISO-8859-1"}, "Zürich".encode("latin-1")),
    "json": json_reply({"name": "Zürich", "n": [1, 2.5, None]}),
    "json-plain": Reply(200, {"Content-Type": "text/plain;charset=UTF-8"}, b'{"a": [1]}'),
    "empty": Reply(200, {"Content-Type": "text/plain; charset=utf-8"}),
    "created": Reply(201, {"Content-Type": "text/plain; charset=utf-8"}, b"made"),
    "no-content": Reply(204),
    "not-modified": Reply(304, {"ETag": '"x"'}),
    "bad": Reply(400, {"Content-Type": "text/plain; charset=utf-8"}, b"bad"),
    "missing": Reply(404, {"Content-Type": "text/html; charset=utf-8"}, b"<h1>no</h1>"),
    "teapot": Reply(418, {}, b""),
    "broken": Reply(500, {"Content-Type": "text/plain; charset=utf-8"}, b"oh"),
    "gzip": Reply(200, {"Content-Encoding": "gzip", "Content-Type": "text/plain; charset=utf-8"}, gzip.compress(LINES)),
    "lines": Reply(200, {"Content-Type": "text/plain; charset=utf-8"}, LINES),
    "chunks": Reply(
        200, {"Content-Type": "text/plain; charset=utf-8"}, [LINES[at : at + 1000] for at in range(0, len(LINES), 1000)]
    ),
    "binary": Reply(200, {"Content-Type": "application/octet-stream"}, bytes(range(256)) * 40),
    "cookies": Reply(
        200, [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=two; HttpOnly"), ("Content-Type", "text/x; charset=utf-8")], b""
    ),
    "links": Reply(
        200,
        [
            ("Link", '<https://a.test/?page=2>; rel="next"; title="the next"'),
            ("Link", '<https://a.test/?page=9>; rel=last, </style.css>; type="text/css"'),
        ],
    ),
    "repeated": Reply(
        200, [("X-Many", "one"), ("X-Many", "two"), ("X-Odd", "  spaced  "), ("Content-Type", "text/x; charset=utf-8")], b""
    ),
}
REDIRECTS = {
    "moved": Reply(301, {"Location": "/text"}, b"gone"),
    "found": Reply(302, {"Location": "/moved"}),
    "other": Reply(303, {"Location": "/json"}),
    "same": Reply(307, {"Location": "/text"}),
    "forever": Reply(308, {"Location": "/text"}),
}
METHODS = ("GET", "HEAD", "POST")


@pytest.fixture
def both(handler_peer: Any) -> Any:
    """`both(method, name)` gives requests' answer and ours."""
    replies = {**ANSWERS, **REDIRECTS}
    peer = handler_peer(lambda request: replies.get(request.path[1:]))
    with requests.Session() as theirs, EsriSession(retries=0) as ours:

        def ask(method: str, name: str, **options: Any) -> tuple[requests.Response, Any]:
            # Theirs follows no redirect of a HEAD unless told to, ours does not raise for one that it follows.
            answers = [client.request(method, f"{peer.url}/{name}", **options) for client in (theirs, ours)]
            return answers[0], answers[1]

        yield ask


every_answer = pytest.mark.parametrize("name", list(ANSWERS))


@every_answer
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("stream", [False, True])
def test_the_plain_attributes_agree(both: Any, name: str, method: str, stream: bool) -> None:
    theirs, ours = both(method, name, stream=stream)
    for attribute in ("status_code", "ok", "reason", "url", "is_redirect", "is_permanent_redirect", "links", "content"):
        assert getattr(ours, attribute) == getattr(theirs, attribute), attribute
    assert bool(ours) is bool(theirs)
    assert type(ours.elapsed) is type(theirs.elapsed)
    assert ours.history == theirs.history == []
    assert repr(ours) == repr(theirs)


@every_answer
def test_the_header_fields_agree(both: Any, name: str) -> None:
    theirs, ours = both("GET", name)
    assert dict(ours.headers) == dict(theirs.headers)
    for key in theirs.headers:
        assert ours.headers[key.upper()] == ours.headers.get(key.lower()) == theirs.headers[key]
        assert key.swapcase() in ours.headers
    assert ours.headers.get("X-None") is None
    assert ours.headers.get("X-None", "-") == "-"
    assert len(ours.headers) == len(theirs.headers)


@every_answer
def test_text_and_encoding_agree_where_the_header_names_one(both: Any, name: str) -> None:
    theirs, ours = both("GET", name)
    if "charset" in theirs.headers.get("Content-Type", ""):
        assert ours.encoding.lower() == theirs.encoding.lower()
        assert ours.text == theirs.text
    else:
        assert ours.content == theirs.content


@every_answer
def test_json_agrees_and_so_does_that_it_is_none(both: Any, name: str) -> None:
    theirs, ours = both("GET", name)
    try:
        expected = theirs.json()
    except ValueError:
        with pytest.raises(ValueError, match="was not answered with JSON"):
            ours.json()
    else:
        assert ours.json() == expected


@every_answer
def test_cookies_agree(both: Any, name: str) -> None:
    theirs, ours = both("GET", name)
    assert dict(ours.cookies) == dict(theirs.cookies)
    assert ours.cookies.get("a") == theirs.cookies.get("a")


@every_answer
@pytest.mark.parametrize("size", [1, 100, 10_000, None])
@pytest.mark.parametrize("stream", [False, True])
def test_pieces_join_to_the_same(both: Any, name: str, size: int | None, stream: bool) -> None:
    theirs, ours = both("GET", name, stream=stream)
    assert b"".join(ours.iter_content(chunk_size=size)) == b"".join(theirs.iter_content(chunk_size=size))


@every_answer
@pytest.mark.parametrize("size", [100, 10_000])
def test_lines_agree(both: Any, name: str, size: int) -> None:
    theirs, ours = both("GET", name, stream=True)
    assert list(ours.iter_lines(size)) == list(theirs.iter_lines(size))


@pytest.mark.parametrize("name", ["text", "latin", "json", "lines", "gzip", "chunks"])
def test_lines_of_text_agree(both: Any, name: str) -> None:
    theirs, ours = both("GET", name, stream=True)
    assert list(ours.iter_lines(decode_unicode=True)) == list(theirs.iter_lines(decode_unicode=True))


@every_answer
def test_an_error_status_is_raised_alike(both: Any, name: str) -> None:
    theirs, ours = both("GET", name)
    if theirs.ok:
        theirs.raise_for_status()
        ours.raise_for_status()
        return
    for answer in (theirs, ours):
        with pytest.raises(Exception, match=str(answer.status_code)) as caught:
            answer.raise_for_status()
        assert caught.value.response is answer


@every_answer
def test_pickles_agree(both: Any, name: str) -> None:
    theirs, ours = (pickle.loads(pickle.dumps(answer)) for answer in both("GET", name))
    for attribute in ("status_code", "ok", "reason", "url", "content", "is_redirect", "links"):
        assert getattr(ours, attribute) == getattr(theirs, attribute), attribute


# Ours keeps the method of a PUT at 301 and 302 (RFC 9110 section 15.4), theirs does not.
@pytest.mark.parametrize(
    "method, name",
    [
        (method, name)
        for method in ("GET", "POST", "PUT")
        for name in REDIRECTS
        if method != "PUT" or name not in ("moved", "found")
    ],
)
def test_redirects_end_at_the_same_place(both: Any, name: str, method: str) -> None:
    theirs, ours = both(method, name, data=b"body" if method != "GET" else None)
    assert (ours.url, ours.status_code, ours.content) == (theirs.url, theirs.status_code, theirs.content)
    assert [(step.status_code, step.url) for step in ours.history] == [(step.status_code, step.url) for step in theirs.history]
    assert [step.is_redirect for step in ours.history] == [step.is_redirect for step in theirs.history]
    assert [step.is_permanent_redirect for step in ours.history] == [step.is_permanent_redirect for step in theirs.history]
    assert ours.request.method == theirs.request.method


def test_it_closes_as_a_context_manager(both: Any) -> None:
    for answer in both("GET", "lines", stream=True):
        with answer as same:
            assert same is answer
            assert next(iter(same))
