"""`Response`: its text and JSON, its charsets, its errors and its pickles, over a real connection."""

from __future__ import annotations

import codecs
import datetime
import json
import pickle
import warnings
from typing import Any

import pytest

from esri_http.words.errors import EsriHttpResponseError, InvalidJsonError, InvalidRequestError

from ..support.faults import PATH, SECRET, check_clean, fails_with, says, session
from ..support.http_messages import Reply, answer, json_reply


def fetched(handler_peer: Any, body: bytes | str, kind: str | None = "application/json", **options: Any) -> Any:
    """The answer with this body and content type, and a session that is closed already."""
    fields = {} if kind is None else {"Content-Type": kind}
    peer = handler_peer(lambda request: Reply(200, fields, body))
    with session() as client:
        return client.get(peer.url_for(PATH), **options)


VALUE = {"name": "Zürich", "漢": [1, 2.5, None, True]}
PLAIN = json.dumps(VALUE)
UNICODE = json.dumps(VALUE, ensure_ascii=False)


@pytest.mark.parametrize("name", [5, True, b"utf-8"])
def test_an_encoding_that_is_no_text_is_refused(handler_peer: Any, name: Any) -> None:
    response = fetched(handler_peer, b"text")
    response.encoding = name
    for read in (lambda: response.text, lambda: list(response.iter_content(decode_unicode=True))):
        with pytest.raises(InvalidRequestError, match="encoding takes"):
            read()


class TestJson:
    @pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
    @pytest.mark.parametrize("kind", [None, "application/json", "text/plain", "text/html", "application/octet-stream"])
    def test_it_is_read_in_every_encoding_that_json_may_have(self, handler_peer: Any, charset: str, kind: str | None) -> None:
        assert fetched(handler_peer, UNICODE.encode(charset), kind).json() == VALUE

    @pytest.mark.parametrize(
        "charset, kind", [("iso-8859-1", "text/plain; charset=ISO-8859-1"), ("windows-1252", 'text/plain; charset="cp1252"')]
    )
    def test_else_by_the_charset_of_the_header(self, handler_peer: Any, charset: str, kind: str) -> None:
        body = json.dumps({"name": "Zürich"}, ensure_ascii=False).encode(charset)
        assert fetched(handler_peer, body, kind).json() == {"name": "Zürich"}

    def test_utf_8_counts_more_than_a_wrong_header(self, handler_peer: Any) -> None:
        assert fetched(handler_peer, UNICODE.encode(), "application/json; charset=iso-8859-1").json() == VALUE

    def test_options_go_to_the_parser(self, handler_peer: Any) -> None:
        assert fetched(handler_peer, b'{"a": 1.10}').json(parse_float=str) == {"a": "1.10"}

    @pytest.mark.parametrize("body", [b"", b"   \r\n", b"\xef\xbb\xbf"])
    def test_an_empty_body_is_said_to_be_empty(self, handler_peer: Any, body: bytes) -> None:
        with fails_json("empty"):
            fetched(handler_peer, body).json()

    @pytest.mark.parametrize("body", [b"<html>Sign in, please</html>", b"\r\n <!DOCTYPE html>", "<html>ü</html>"])
    def test_a_page_is_said_to_be_one(self, handler_peer: Any, body: Any) -> None:
        with fails_json("web page", "text/html"):
            fetched(handler_peer, body, "text/html").json()

    @pytest.mark.parametrize(
        "body",
        [b'{"a": ', b"{'a': 1}", b"secret words", b"{}{}", b"\xff\xfe{", b"\x80\x81", b"[" * 100_000, b"1" * 10_000, b'"\xe4"'],
        ids=lambda body: repr(body[:10]),
    )
    def test_what_is_no_json_is_an_error_without_the_content(self, handler_peer: Any, body: bytes) -> None:
        with fails_json("malformed") as caught:
            fetched(handler_peer, body).json()
        assert "secret words" not in str(caught.value)
        assert isinstance(caught.value, ValueError)
        assert (caught.value.status_code, caught.value.method) == (200, "GET")
        assert caught.value.response.content == body


def fails_json(*words: str) -> Any:
    """Expects `InvalidJsonError` with `words`, and neither secret nor query in it."""
    from contextlib import contextmanager

    @contextmanager
    def checked() -> Any:
        with pytest.raises(InvalidJsonError) as caught:
            yield caught
        for word in ("was not answered with JSON", *words):
            assert word in str(caught.value)
        for text in (str(caught.value), repr(caught.value), repr(caught.value.args), str(caught.value.url)):
            assert SECRET not in text
            assert "OBJECTID" not in text
        twin = pickle.loads(pickle.dumps(caught.value))
        assert (type(twin), str(twin)) == (InvalidJsonError, str(caught.value))

    return checked()


class TestText:
    @pytest.mark.parametrize(
        "body, kind, text, encoding",
        [
            ("Zürich".encode(), "text/plain", "Zürich", None),
            ("Zürich".encode(), None, "Zürich", None),
            ("Zürich".encode(), "text/html; charset=utf-8", "Zürich", "utf-8"),
            ("Zürich".encode("latin-1"), "text/html; charset=ISO-8859-1", "Zürich", "ISO-8859-1"),
            ("Zürich".encode("latin-1"), "text/html;CHARSET = 'latin1'", "Zürich", "latin1"),
            ("東京".encode("shift_jis"), 'text/html; charset="Shift_JIS"; q=1', "東京", "Shift_JIS"),
            (codecs.BOM_UTF8 + b"a", "text/plain", "a", None),
            (codecs.BOM_UTF8 + b"a", "text/plain; charset=utf-8", "a", "utf-8"),
            ("Zürich".encode("utf-16"), "text/plain", "Zürich", None),
            ("Zürich".encode("utf-16"), "text/plain; charset=utf-16", "Zürich", "utf-16"),
            ("Zürich".encode("latin-1"), "text/plain", "Z\ufffdrich", None),
            (b"", "text/plain", "", None),
        ],
    )
    def test_it_goes_by_the_mark_the_header_or_utf_8(
        self, handler_peer: Any, body: bytes, kind: str | None, text: str, encoding: str | None
    ) -> None:
        response = fetched(handler_peer, body, kind)
        assert (response.text, response.encoding) == (text, encoding)

    @pytest.mark.parametrize(
        "charset",
        ["nonsense", "hex", "base64", "rot13", "zlib", "bz2", "uu", "quopri", "idna", "punycode", "undefined", "unicode_escape",
         "raw_unicode_escape", "string_escape", "../../etc/passwd", "x" * 5000, "utf-8\0", "%", "mbcs2"],
    )  # fmt: skip
    @pytest.mark.parametrize("decode", [lambda r: r.text, lambda r: "".join(r.iter_content(3, decode_unicode=True))])
    def test_what_is_no_charset_is_taken_for_utf_8(self, handler_peer: Any, charset: str, decode: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert decode(fetched(handler_peer, "\\d Zürich".encode(), f"text/plain; charset={charset}")) == "\\d Zürich"

    def test_the_encoding_can_be_set(self, handler_peer: Any) -> None:
        response = fetched(handler_peer, "Zürich".encode("cp1252"), "text/plain; charset=utf-8")
        response.encoding = "cp1252"
        assert (response.text, response.encoding) == ("Zürich", "cp1252")
        response.encoding = None
        assert response.encoding == "utf-8"

    @pytest.mark.parametrize(
        "body, encoding",
        [
            (b"a", "utf-8"),
            ("ü".encode(), "utf-8"),
            (b"\xfc", "iso-8859-1"),
            (codecs.BOM_UTF8, "utf-8-sig"),
            ("ü".encode("utf-16"), "utf-16"),
        ],
    )
    def test_the_apparent_encoding_is_what_fits(self, handler_peer: Any, body: bytes, encoding: str) -> None:
        response = fetched(handler_peer, body, "text/plain")
        assert response.apparent_encoding == encoding
        body.decode(encoding)


class TestStatus:
    @pytest.mark.parametrize("status", [200, 201, 299, 304, 399, 400, 404, 499, 500, 599])
    def test_its_truth_is_the_status(self, handler_peer: Any, status: int) -> None:
        peer = handler_peer(lambda request: Reply(status, {}, b"x"))
        with session() as client:
            response = client.get(peer.url_for(PATH))
            assert bool(response) is response.ok is (status < 400)
            if status < 400:
                response.raise_for_status()
                response.raise_for_error()
                return
            for check in (response.raise_for_status, response.raise_for_error):
                with pytest.raises(EsriHttpResponseError, match=f"HTTP {status}") as caught:
                    check()
                assert (caught.value.status_code, caught.value.code) == (status, status)
                assert caught.value.response is response
                assert SECRET not in str(caught.value)

    def test_an_envelope_is_an_error_too(self, handler_peer: Any) -> None:
        envelope = {"error": {"code": 400, "messageCode": "GWM_0003", "message": "No such item", "details": ["a", "b"]}}
        peer = handler_peer(lambda request: json_reply(envelope, 404 if request.path == "/404" else 200))
        with session() as client:
            response = client.get(peer.url_for(PATH))
            assert response
            response.raise_for_status()
            with pytest.raises(EsriHttpResponseError, match="No such item") as caught:
                response.raise_for_error()
            error = caught.value
            assert (error.code, error.message_code, error.details, error.status_code) == (400, "GWM_0003", ["a", "b"], 200)
            with pytest.raises(EsriHttpResponseError, match=r"No such item.*\(HTTP 404 Not Found\)"):
                client.get(peer.url_for("/404")).raise_for_status()

    @pytest.mark.parametrize("reason", ["", "Fine", "  Spaced out  ", "Zürich", "\x01"])
    def test_the_reason_is_the_servers(self, scripted_peer: Any, reason: str) -> None:
        peer = scripted_peer(says(f"HTTP/1.1 404 {reason}\r\nContent-Length: 0\r\n\r\n".encode("latin-1")))
        with session() as client:
            response = client.get(peer.url_for(PATH))
            assert response.reason == reason.strip(" ")
            with pytest.raises(EsriHttpResponseError, match="404") as caught:
                response.raise_for_status()
            check_clean_shown(caught.value)

    def test_elapsed_is_the_time_to_the_head(self, handler_peer: Any) -> None:
        response = fetched(handler_peer, b"x", "text/plain")
        assert datetime.timedelta(0) < response.elapsed < datetime.timedelta(seconds=10)


def check_clean_shown(error: Any) -> None:
    assert str(error).isprintable()
    assert SECRET not in str(error)


class TestPickles:
    def test_it_keeps_all_but_connection_cookies_and_secrets(self, handler_peer: Any) -> None:
        fields = [
            ("Content-Type", "text/plain; charset=latin-1"),
            ("Set-Cookie", "id=c00kie"),
            ("Link", "<a>; rel=x"),
            ("Link", "<b>"),
        ]
        peer = handler_peer(
            lambda request: (
                Reply(302, {"Location": "/end"}) if request.path == "/" else Reply(200, fields, "ü".encode("latin-1"))
            )
        )
        with session() as client:
            for stream in (False, True):
                response = client.get(peer.url + "/", stream=stream)
                packed = pickle.dumps(response)
                twin = pickle.loads(packed)
                assert (twin.status_code, twin.reason, twin.text, twin.url) == (200, "OK", "ü", peer.url + "/end")
                assert (twin.content, twin.elapsed, twin.encoding) == (response.content, response.elapsed, "latin-1")
                assert list(twin.links) == ["x", "b"]
                assert [earlier.status_code for earlier in twin.history] == [302]
                assert twin.history[0].headers["LOCATION"] == "/end"
                assert b"c00kie" not in packed
                assert SECRET.encode() not in packed
                assert pickle.loads(pickle.dumps(twin)).text == "ü"

    def test_odd_header_fields_do_not_hinder_it(self, scripted_peer: Any) -> None:
        data = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX-Fold: a\r\n  b\r\nX-Bell: \x07\r\nX-Bytes: \xff\xfe\r\n\r\nx"
        peer = scripted_peer(says(data))
        with session() as client:
            response = client.get(peer.url)
            twin = pickle.loads(pickle.dumps(response))
            assert dict(twin.headers) == dict(response.headers)
            assert len(twin.headers) == 4

    @pytest.mark.parametrize("state", ["closed", "half read", "broken"])
    def test_a_response_without_content_travels_as_such(self, scripted_peer: Any, state: str) -> None:
        body = answer(500, {"Content-Length": "1000"}, b"x" * (10 if state == "broken" else 1000))
        peer = scripted_peer(says(body, lambda connection: connection.close()))
        with session() as client:
            response = client.get(peer.url, stream=True)
            if state == "closed":
                response.close()
            elif state == "half read":
                next(response.iter_content(10))
            with pytest.raises(EsriHttpResponseError) as caught:
                response.raise_for_status()
            twin = pickle.loads(pickle.dumps(caught.value))
            assert twin.response.status_code == 500
            with fails_with_any_error():
                twin.response.content  # noqa: B018
            response.close()

    def test_one_that_was_looked_at_and_closed_still_tells_its_status(self, handler_peer: Any) -> None:
        body = json.dumps({"error": {"code": 403, "message": "no"}})
        peer = handler_peer(lambda request: Reply(403, {"Content-Type": "application/json"}, body))
        with session() as client:
            response = client.get(peer.url, stream=True)
            assert len(response.peek(64)) == len(body)
            response.close()
            with pytest.raises(EsriHttpResponseError, match="HTTP 403"):
                response.raise_for_status()


def fails_with_any_error() -> Any:
    from esri_http.words.errors import EsriHttpError

    return pytest.raises(EsriHttpError)


class TestHistory:
    def test_errors_of_streams_are_clean(self, scripted_peer: Any) -> None:
        from esri_http.words.errors import ConnectionLostError

        peer = scripted_peer(says(answer(200, {"Content-Length": "100"}, b"x"), lambda connection: connection.close()))
        with session() as client:
            response = client.get(peer.url_for(PATH), stream=True)
            with fails_with(ConnectionLostError):
                response.json()
            with pytest.raises(ConnectionLostError) as caught:
                response.text  # noqa: B018
            check_clean(caught.value)
