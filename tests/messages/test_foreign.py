"""Answers of adapters and hooks that were written for another client, and are not quite what they should be."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import requests

from esri_http.messages.foreign import as_response
from esri_http.messages.request import Request
from esri_http.words.errors import ConfigurationError
from esri_http.words.origins import Origin

REQUEST = Request("GET", Origin("https", "gis.example.com", 443), "/", {})


class Adapter:
    """Whatever gave the answer; its name is in errors."""


def bare_response() -> requests.Response:
    """What the tests of many programs answer with."""
    response = requests.Response()
    response.status_code = 200
    return response


@pytest.mark.parametrize(
    "answer", [bare_response(), SimpleNamespace(status_code=200), SimpleNamespace(status_code=200, content=None)]
)
def test_an_answer_without_content_is_empty(answer: Any) -> None:
    response = as_response(answer, REQUEST, Adapter())
    assert (response.content, response.text, response.esri_error) == (b"", "", None)


@pytest.mark.parametrize("content", ["text", 5, ["x"]])
def test_content_that_is_not_bytes_is_refused(content: Any) -> None:
    response = as_response(SimpleNamespace(status_code=200, content=content), REQUEST, Adapter())
    with pytest.raises(ConfigurationError, match="Adapter answered with content that is not bytes"):
        response.content  # noqa: B018


@pytest.mark.parametrize("status", [None, "200", 2.5])
def test_a_status_that_is_no_number_makes_no_response(status: Any) -> None:
    with pytest.raises(ConfigurationError, match="Adapter did not answer with a response"):
        as_response(SimpleNamespace(status_code=status, content=b""), REQUEST, Adapter())
