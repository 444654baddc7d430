"""What the tests of the token handlers share: threads, guarded peers, and a search for secrets where none may be."""

from __future__ import annotations

import pickle
import re
import threading
import traceback
from collections.abc import Callable, Iterable
from typing import Any, Union
from urllib.parse import quote

from esri_http.testing import Answer, EmbeddedPortal, Request
from tests.support.peers import RecordedRequest, Reply, json_reply

PATIENCE = 20.0
SELF = "/sharing/rest/community/self?f=json"


def in_threads(count: int, work: Callable[[int], Any]) -> list[Any]:
    """`work(0)` to `work(count - 1)`, all let off at once; what each returned or raised."""
    outcomes: list[Any] = [TimeoutError("never came back")] * count
    start = threading.Barrier(count)

    def run(number: int) -> None:
        start.wait(PATIENCE)
        try:
            outcomes[number] = work(number)
        except BaseException as error:
            outcomes[number] = error

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return outcomes


def errors_in(outcomes: Iterable[Any]) -> list[BaseException]:
    """Those outcomes that are errors."""
    return [outcome for outcome in outcomes if isinstance(outcome, BaseException)]


def sign_ins(portal: EmbeddedPortal) -> int:
    """How often a password was posted, to any of the three sites."""
    return sum("password" in request.form for request in portal.requests)


def exchanges(portal: EmbeddedPortal) -> int:
    """How often a portal token was exchanged for one of a server."""
    return sum(request.path.endswith("/generateToken") and "serverUrl" in request.form for request in portal.requests)


def trail(portal: EmbeddedPortal, since: int = 0) -> list[str]:
    """What came in, by the last part of each path; without the first `since` requests."""
    return [request.path.rpartition("/")[2] for request in portal.requests[since:]]


def token_sent(request: Any) -> str | None:
    """The token that came with a request in the usual header; for both kinds of recorded requests."""
    field = request.headers.get("X-Esri-Authorization")
    return None if field is None else str(field).partition(" ")[2]


def changed_answer(change: Callable[[dict[str, Any]], Any]) -> Callable[[Request, Callable[[], Answer]], Answer]:
    """A fault for the embedded portal: the JSON of the real answer, changed in place or replaced by what is returned."""
    import json

    def fault(request: Request, answer_normally: Callable[[], Answer]) -> Answer:
        answer = answer_normally()
        assert isinstance(answer.body, bytes)
        value = json.loads(answer.body)
        replaced = change(value)
        answer.body = json.dumps(value if replaced is None else replaced).encode()
        answer.length = len(answer.body)
        return answer

    return fault


def meanwhile(work: Callable[[], Any]) -> Callable[[Request, Callable[[], Answer]], Answer]:
    """A fault for the embedded portal: `work` is done while it answers."""

    def fault(request: Request, answer_normally: Callable[[], Answer]) -> Answer:
        answer = answer_normally()
        work()
        return answer

    return fault


def guarded(good: set[str], refusal: Union[Reply, None] = None) -> Callable[[RecordedRequest], Reply]:
    """A handler that answers requests with a token of `good`, and the others with `refusal` (498 in HTTP 200)."""

    def handle(request: RecordedRequest) -> Reply:
        token = token_sent(request) or request.query.get("token") or _token_in_body(request)
        if token in good:
            return json_reply({"length": request.body_length})
        return refusal or json_reply({"error": {"code": 498, "message": "Invalid token.", "details": []}})

    return handle


def _token_in_body(request: RecordedRequest) -> str | None:
    kind = request.headers.get("Content-Type") or ""
    if "urlencoded" in kind:
        return request.form.get("token")
    match = re.search(rb'name="token"\r\n\r\n([^\r]+)\r\n', request.body)
    return match.group(1).decode() if match else None


def chain_of(error: BaseException | None) -> list[BaseException]:
    """An error with all that it came from."""
    found: list[BaseException] = []
    todo = [error]
    while todo:
        one = todo.pop()
        if one is not None and one not in found:
            found.append(one)
            todo += [one.__cause__, one.__context__]
    return found


def traces_of(thing: Any) -> list[str]:
    """Every text that shows `thing`: for an error with causes, tracebacks, args and pickle."""
    if not isinstance(thing, BaseException):
        return [repr(thing), str(thing)]
    texts = ["".join(traceback.format_exception(type(thing), thing, thing.__traceback__))]
    for error in chain_of(thing):
        texts += [str(error), repr(error), repr(error.args), repr(getattr(error, "__dict__", {}))]
        try:
            texts.append(pickle.dumps(error).decode("latin-1"))
        except (pickle.PicklingError, TypeError, AttributeError):
            pass
    return texts


def assert_hidden(secrets: Iterable[str], *things: Any, logs: str = "") -> None:
    """None of `secrets` is shown by the log text, nor by any of `things` (objects or errors)."""
    for secret in secrets:
        assert len(secret) >= 6
        for form in {secret, quote(secret, safe="")}:
            assert form not in logs
            for thing in things:
                for text in traces_of(thing):
                    assert form not in text, f"{type(thing).__name__} shows a secret"
