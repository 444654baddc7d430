"""ArcGIS error envelopes, and the ordinary answers that look a little like them."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esri_http.messages.envelope import LARGEST_ENVELOPE, EsriError, could_be_error, parse_error, parse_error_bytes

RECORDED = pathlib.Path(__file__).resolve().parents[3] / "shared" / "recorded"
DENIED = "You do not have permissions to access this resource or perform this operation."

# Content as servers send it, and what it says.
ENVELOPES: list[tuple[bytes, EsriError]] = [
    (b'{"error":{"code":498,"message":"Invalid token.","details":[]}}', EsriError(498, "Invalid token.")),
    (b'{"error":{"message":"Invalid token.","code":498,"details":["Why."]}}', EsriError(498, "Invalid token.", ("Why.",))),
    (
        b'{\r\n    "error": {\r\n        "code": 499,\r\n        "message": "Token Required",\r\n'
        b'        "messageCode": "SB_0005",\r\n        "details": [\r\n            "Token Required"\r\n        ]\r\n'
        b"    }\r\n}\r\n",
        EsriError(499, "Token Required", ("Token Required",), "SB_0005"),
    ),
    (
        f'{{"error":{{"code":403,"messageCode":"GWM_0003","message":"{DENIED}","details":[]}}}}'.encode(),
        EsriError(403, DENIED, (), "GWM_0003"),
    ),
    (b'{"error":{"message":"No code."}}', EsriError(None, "No code.")),
    (b'{"success":false,"error":{"message":"Http StatusCode: -1"}}', EsriError(None, "Http StatusCode: -1")),
    (b'{"error":{"code":"498","message":"Text"}}', EsriError(498, "Text")),
    (b'{"error":{"code":498.0,"message":"Float"}}', EsriError(498, "Float")),
    (b'{"error":{"code":201,"message":"M","details":"one text"}}', EsriError(201, "M", ("one text",))),
    (b'{"error":{"code":400,"message":"M","details":null}}', EsriError(400, "M")),
    (b'{"error":{"code":400,"message":null,"details":["First.","Second."]}}', EsriError(400, "First.", ("Second.",))),
    (
        b'{"error":{"code":400,"error":"invalid_client_id","error_description":"Invalid client_id"}}',
        EsriError(400, "Invalid client_id"),
    ),
    (b'{"error":{"code":true,"message":7,"details":[1,null,{"a":1},["b"],"c"]}}', EsriError(None, "7", ("1", "c"))),
    (b'{"error":{}}', EsriError(None, "The server answered with an error and gave no reason.")),
    (b'{"status":"error","messages":["Token Expired."],"code":498}', EsriError(498, "Token Expired.")),
    (b'{"status":"error","messages":["A.","B."],"code":"500"}', EsriError(500, "A.", ("B.",))),
    (b'{"status":"error","messages":["No code."]}', EsriError(None, "No code.")),
    (b'{"status":"error","messages":"One text","code":500,"requestId":"x"}', EsriError(500, "One text")),
    (
        b'{"code":500,"message":"Error getting subscription info","status":"failure","details":null}',
        EsriError(500, "Error getting subscription info"),
    ),
    (
        b'{"code":200,"message":null,"status":"failure"}',
        EsriError(200, "The server answered with an error and gave no reason."),
    ),
    (b'{"code":404,"message":"Not found"}', EsriError(404, "Not found")),
    (b'{"status":"failed","statusMessage":"It broke."}', EsriError(None, "It broke.")),
    (b'{"status":"Failure","statusMessage":"{\\"code\\":498,\\"message\\":\\"Inner\\"}"}', EsriError(498, "Inner")),
    (b'{"status":"failed","statusMessage":"{not json"}', EsriError(None, "{not json")),
    (b'{"requestId":"0f3a","error":{"code":498,"message":"Not first"}}', EsriError(498, "Not first")),
    (b'{ "message" : "Billing", "code" : 500, "status" : "failure" }', EsriError(500, "Billing")),
    (b'{"details":null,"code":500,"message":"Billing"}', EsriError(500, "Billing")),
    (b'callback({"error":{"code":498,"message":"JSONP"}});', EsriError(498, "JSONP")),
    (b'dojo.io.script.jsonp_dojoIoScript1._jsonpCallback({"error":{"code":498,"message":"J"}});', EsriError(498, "J")),
    (b'/**/ab[0].c ( {"error":{"code":499,"message":"J"}} )\n', EsriError(499, "J")),
    (b'\xef\xbb\xbf{"error":{"code":498,"message":"BOM"}}', EsriError(498, "BOM")),
    (b' \r\n\t {"error":{"code":498,"message":"Blanks"}}\n', EsriError(498, "Blanks")),
    ('{"error":{"code":498,"message":"ü"}}'.encode("utf-16"), EsriError(498, "ü")),
    ('{"error":{"code":498,"message":"ü"}}'.encode("utf-16-be"), EsriError(498, "ü")),
    ('{"error":{"code":498,"message":"ü"}}'.encode("utf-16-le"), EsriError(498, "ü")),
]

ORDINARY: list[Any] = [
    {},
    [],
    None,
    "error",
    498,
    [{"error": {"code": 498, "message": "in a list"}}],
    {"objectIdFieldName": "OBJECTID", "features": [{"attributes": {"error": {"code": 498, "message": "x"}}}]},
    {"secured": True, "httpStatusCode": 499, "httpStatusMessage": "Token Required", "httpResponse": "", "url": "https://a"},
    {"error": None},
    {"error": False},
    {"error": ""},
    {"error": "a text in a column"},
    {"error": []},
    {"error": 0, "code": 1},
    {"error": {"alias": "Error", "type": "esriFieldTypeDouble"}, "name": {"alias": "Name"}},
    {"error": {"code": 0, "message": ""}, "results": []},
    {"status": "success"},
    {"status": "success", "messages": ["Done"], "code": 200},
    {"status": "error", "name": "a row"},
    {"status": "error", "message": "a row", "name": "x"},
    {"status": "failed", "itemId": "abc", "jobId": "1", "statusMessage": "Export failed."},
    {"status": "failed", "itemId": "abc", "statusMessage": "Export failed."},
    {"status": "Failed", "submissionTime": 1, "lastUpdatedTime": 2, "resultUrl": ""},
    {"status": "failed"},
    {"jobId": "j1", "jobStatus": "esriJobFailed", "messages": [{"type": "esriJobMessageTypeError", "description": "x"}]},
    {"status": "completed", "statusMessage": "completed", "itemId": "abc"},
    {"code": 498, "name": "Road class 498"},
    {"code": 404, "message": "a row", "population": 3},
    {"code": 200, "message": "fine"},
    {"code": 600, "message": "a code of another kind"},
    {"success": False},
    {"success": True, "error": {}},
    {"token": "abc", "expires": 1},
    {"addResults": [{"success": False, "error": {"code": 1000, "description": "x"}}]},
]


@pytest.mark.parametrize("content, error", ENVELOPES)
def test_an_envelope_is_recognised_and_worth_a_look(content: bytes, error: EsriError) -> None:
    assert could_be_error(content[:64])
    assert parse_error_bytes(content) == error


@pytest.mark.parametrize("payload", ORDINARY)
def test_an_ordinary_answer_is_no_error(payload: Any) -> None:
    assert parse_error(payload) is None
    assert parse_error_bytes(json.dumps(payload).encode()) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'<html><body>{"error":{"code":498}}</body></html>',
        b"{",
        b'{"error":{"code":498,"message":"cut off',
        b"callback(",
        b"callback()",
        b")callback({",
        b"\x89PNG\r\n\x1a\n\x00\x00",
        b"\xff\xfe",
        b"\xff\xfe{\x00",
        b'{"error":{"code":498,"message":"\xff"}}',
        b'{"error":' + b"[" * 60_000,
        b'{"error":{"code":' + b"9" * 60_000 + b',"message":""}}',
        b'{"error":{"message":"' + b"x" * LARGEST_ENVELOPE + b'"}}',
    ],
)
def test_what_cannot_be_read_is_no_error_and_does_not_raise(content: bytes) -> None:
    assert parse_error_bytes(content) is None


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"{}",
        b'{"objectIdFieldName":"OBJECTID","uniqueIdField":{"name":"OBJECTID","isSystem',
        b'{"type":"FeatureCollection","features":[{"type":"Feature","id":1,"geometry":',
        b'{"currentVersion":11.2,"cimVersion":"3.2.0","serviceDescription":"","hasV',
        b'<html><head><title>"error"</title></head>',
        b'[{"error":1}]',
        b'some text with "status" in it {',
        b'some text with "error" in it {',
        b'{"name":"status","x":"code"}',
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        b"\x1f\x8b\x08\x00",
    ],
)
def test_an_ordinary_head_is_not_worth_a_look(head: bytes) -> None:
    assert not could_be_error(head)


@pytest.mark.parametrize(
    "error, token, busy",
    [
        (EsriError(498, ""), True, False),
        (EsriError(499, "", (), "GWM_0003"), True, False),
        (EsriError(403, "", (), "GWM_0003"), False, False),
        (EsriError(400, "Invalid token"), False, False),
        (EsriError(None, "Invalid token."), False, False),
        (EsriError(429, ""), False, True),
        (EsriError(504, ""), False, True),
        (EsriError(500, ""), False, False),
    ],
)
def test_only_the_number_decides_what_to_do(error: EsriError, token: bool, busy: bool) -> None:
    assert (error.is_token_error, error.is_busy) == (token, busy)


@pytest.mark.parametrize(
    "details, message, seconds",
    [
        (["API calls quota exceeded (24001)! maximum allowed (24000) per Minute. Retry after 60 sec."], "Too many.", 60),
        (["Something.", "retry after 5 seconds"], "", 5),
        ([], "Retry after 7 sec.", 7),
        ([], "Retry after 0.5 sec.", 0),
        (["Retry after a while."], "", None),
        (["Retry after -5 sec."], "", None),
        (["Retry after 99999999999 sec."], "", None),
        ([], "", None),
    ],
)
def test_the_wait_is_read_from_the_words(details: list[str], message: str, seconds: int | None) -> None:
    error = parse_error({"error": {"code": 429, "message": message, "details": details}})
    assert error is not None
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    "error, text",
    [
        (EsriError(498, "Invalid token.", ("Invalid token.",)), "498: Invalid token."),
        (EsriError(403, "Denied.", ("Ask Amy.", "Or Bob."), "GWM_0003"), "403 GWM_0003: Denied. Ask Amy. Or Bob."),
        (EsriError(None, "No code."), "No code."),
    ],
)
def test_an_error_reads_well(error: EsriError, text: str) -> None:
    assert str(error) == text


def test_a_server_cannot_flood_or_forge_a_log() -> None:
    evil = "line\r\nINFO forged \x1b[31m\u202eabc\ud800\u00a0z " + "x" * 5000
    error = parse_error({"error": {"code": 400, "message": evil, "details": [evil] * 1000, "messageCode": evil}})
    assert error is not None
    assert str(error).isprintable()
    assert error.message.startswith("line  INFO forged \ufffd[31m\ufffdabc\ufffd z xxx")
    assert len(error.message) == 2001
    assert error.message.endswith("…")
    assert len(error.details) == 20
    assert error.message_code is not None
    assert len(error.message_code) <= 65


def test_a_token_that_the_server_repeats_is_not_shown() -> None:
    error = parse_error({"error": {"message": "Error at https://a/b?f=json&token=s3cret&x=1", "details": ["password=s3cret"]}})
    assert error is not None
    assert str(error) == "Error at https://a/b?f=json&token=***&x=1 password=***"


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded answers are not here")
def test_the_recorded_answers_are_told_apart() -> None:
    seen = {"error": 0, "ordinary": 0}
    for path in sorted(RECORDED.iterdir()):
        if path.name in ("index.md", "manifest.json"):
            continue
        content = path.read_bytes()
        error = parse_error_bytes(content)
        is_error = b'{"error"' in b"".join(content.split()) or b'"success":false' in content or path.name in (
            "e-status-failure.json", "token-admin-500.txt",
        )  # fmt: skip
        assert (error is not None) == is_error, path.name
        seen["error" if is_error else "ordinary"] += 1
        if error is not None:
            assert could_be_error(content[:64]), path.name
            prefix = path.name[1:4]
            assert error.is_token_error == (b"498" in content or b"499" in content), path.name
            assert not prefix.isdigit() or error.code == int(prefix), path.name
    assert min(seen.values()) > 10


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
words = ["error", "status", "code", "message", "messages", "messageCode", "details", "statusMessage", "success"]
spiteful = st.dictionaries(
    st.sampled_from(words),
    json_values
    | st.sampled_from(["error", "failed", "failure", "{}", '{"code":1}', "{" * 2000, 498, "498", True])
    | st.dictionaries(st.sampled_from(words), json_values),
)


@given(json_values | spiteful | st.builds(lambda error: {"error": error}, spiteful))
def test_no_json_makes_it_raise(payload: Any) -> None:
    error = parse_error(payload)
    if error is not None:
        assert str(error).isprintable()
        assert error.message
        assert error.code is None or type(error.code) is int
        assert error.retry_after is None or error.retry_after >= 0


@given(st.binary() | st.binary().map(b'{"error":'.__add__) | spiteful.map(json.dumps).map(str.encode))
def test_no_bytes_make_it_raise(content: bytes) -> None:
    could_be_error(content)
    parse_error_bytes(content)


@pytest.mark.parametrize("filler", [b" ", b"a", b"(", b"{", b'"', b"/**/", b'{"a":'])
def test_hostile_content_takes_linear_time(filler: bytes) -> None:
    """64 KiB of anything is parsed in one pass: with backtracking this would take minutes and the suite would hang."""
    content = (filler * LARGEST_ENVELOPE)[:LARGEST_ENVELOPE]
    assert parse_error_bytes(content) is None
    could_be_error(content)
