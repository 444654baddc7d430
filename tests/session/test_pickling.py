"""What goes to another process: sessions with all they are set to, errors with all they say, responses without secrets."""

from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil
from typing import Any

import pytest
import requests.adapters

import esri_http
from esri_http import EsriAPIKeyAuth, EsriBasicAuth, EsriGenTokenAuth, EsriSession, EsriUserTokenAuth
from esri_http.words import errors
from esri_http.words.errors import ConfigurationError, EsriHttpError

from ..support.bound_scheme import BoundAuth, BoundServer
from ..support.http_messages import RecordedRequest, Reply, json_reply
from ..support.sessions import transports


def there_and_back(thing: Any, protocol: int = pickle.HIGHEST_PROTOCOL) -> Any:
    """What another process would get."""
    return pickle.loads(pickle.dumps(thing, protocol))


def every_error() -> list[type[EsriHttpError]]:
    """Every class of the tree, wherever in the package it is defined."""
    for module in pkgutil.walk_packages(esri_http.__path__, "esri_http."):
        if not module.name.endswith("__main__") and "socks" not in module.name:
            importlib.import_module(module.name)
    found: list[type[EsriHttpError]] = [EsriHttpError]
    for cls in found:
        found += [sub for sub in cls.__subclasses__() if sub not in found]
    return [cls for cls in found if cls.__module__.startswith("esri_http.")]


@pytest.fixture
def echo(handler_peer: Any) -> Any:
    """A server that gives the header fields back."""
    return handler_peer(lambda request: json_reply({name.lower(): value for name, value in request.headers}))


# -- sessions --------------------------------------------------------------------------------------------------------


def test_a_session_keeps_every_setting(ca: Any) -> None:
    session = EsriSession(
        verify_cert=str(ca.file), cert=("a.pem", "a.key"), allow_redirects=False, headers={"X-A": "b"}, referer="https://app",
        trust_env=False, stream=True, check_hostname=False, retries=2, backoff_factor=0.5, status_to_retry=(503,),
        method_whitelist=["GET"], proxies={"https": "http://proxy.example:3128"}, timeout=(3, None), deadline=77,
        ca_bundles=str(ca.file), server_hostname={"10.0.0.1": "gis.example"}, max_url_length=1000,
        trusted_origins=["https://gis.example"],
    )  # fmt: skip
    twin = there_and_back(session)
    names = [
        *("verify_cert", "cert", "allow_redirects", "headers", "referer", "trust_env", "stream", "check_hostname", "proxies"),
        *("timeout", "deadline", "ca_bundles", "max_url_length", "trusted_origins", "_network"),
    ]
    assert {name: getattr(twin, name) for name in names} == {name: getattr(session, name) for name in names}
    mine, theirs = session._retries, twin._retries
    assert (mine.count, mine.backoff_seconds, mine.statuses, mine.methods) == (
        theirs.count, theirs.backoff_seconds, theirs.statuses, theirs.methods,
    )  # fmt: skip


def test_a_session_in_use_travels_without_its_connections_and_works_there(echo: Any) -> None:
    with EsriSession(auth=("amy", "secret"), headers={"X-A": "b"}) as session:
        session.cookies.set("one", "1")
        session.get(echo.url)
        with there_and_back(session) as twin:
            assert transports(twin) == []
            fields = twin.get(echo.url).json()
            assert (fields["authorization"], fields["x-a"], fields["cookie"]) == ("Basic YW15OnNlY3JldA==", "b", "one=1")
            twin.headers["X-A"] = "c"
            twin.cookies.set("one", "2")
            assert session.get(echo.url).json()["cookie"] == "one=1"
            assert session.headers["X-A"] == "b"
    assert echo.connections == 2


@pytest.mark.parametrize(
    "auth",
    [
        EsriUserTokenAuth("the-token"),
        EsriAPIKeyAuth("the-key"),
        EsriBasicAuth(None, "amy", "secret"),
        ("amy", "secret"),
        requests.auth.HTTPBasicAuth("amy", "secret"),
        EsriBasicAuth(None, "amy", "secret") + EsriUserTokenAuth("the-token"),
    ],
    ids=["token", "key", "basic", "pair", "foreign", "chain"],
)
def test_a_session_keeps_its_handler(echo: Any, auth: Any) -> None:
    with EsriSession(auth=auth) as session, there_and_back(session) as twin:
        assert twin.get(echo.url).json() == session.get(echo.url).json()


def test_a_handler_that_fetches_tokens_travels_in_a_session() -> None:
    auth = EsriGenTokenAuth("https://gis.example/portal/sharing/rest/generateToken", "http", "amy", "secret")
    twin = there_and_back(EsriSession(auth=EsriBasicAuth(None, "a", "b") + auth))
    assert len(list(twin.auth)) == 2


def test_a_connection_bound_sign_in_begins_anew_in_the_twin(handler_peer: Any) -> None:
    server = BoundServer()
    peer = handler_peer(server)
    with EsriSession(auth=BoundAuth("amy")) as session:
        session.get(peer.url)
        with there_and_back(session) as twin:
            assert twin.get(peer.url).json() == {"user": "amy", "connection": 2, "received": 0}
    assert server.finished == 2


class Loud:
    """An adapter that can travel."""

    def send(self, request: Any, **_: Any) -> Any:
        response = requests.models.Response()
        response.status_code, response._content = 200, b"loud"
        return response

    def close(self) -> None: ...


class Wrapping(Loud):
    """An adapter round the session's own."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def send(self, request: Any, **options: Any) -> Any:
        request.headers["X-Wrapped"] = "yes"
        return self.inner.send(request, **options)


def test_mounted_adapters_travel_too(echo: Any) -> None:
    session = EsriSession()
    session.mount("https://loud.example", Loud())
    session.mount("http://", Wrapping(session.adapters["http://"]))
    session.mount("https://requests.example", requests.adapters.HTTPAdapter())
    with there_and_back(session) as twin:
        assert twin.get("https://loud.example/x").text == "loud"
        assert twin.get(echo.url).json()["x-wrapped"] == "yes"
        assert twin.adapters["http://"].inner._session is twin
        assert isinstance(twin.adapters["https://requests.example"], requests.adapters.HTTPAdapter)


def test_a_copy_of_a_session_is_a_session_of_its_own(echo: Any) -> None:
    with EsriSession(headers={"X-A": "b"}) as session, copy.deepcopy(session) as twin:
        twin.headers["X-A"] = "c"
        assert session.get(echo.url).json()["x-a"] == "b"
        assert twin.get(echo.url).json()["x-a"] == "c"


def test_a_tls_context_cannot_travel_and_the_error_says_so() -> None:
    import ssl

    session = EsriSession(verify_cert=ssl.create_default_context())
    with pytest.raises(ConfigurationError, match="SSLContext"):
        pickle.dumps(session)


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", every_error(), ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
def test_every_error_travels_with_its_attributes(cls: type[EsriHttpError], protocol: int) -> None:
    error = cls("what happened")
    error.url = "https://gis.example/x?…"
    for number, name in enumerate(sorted(set(vars(error)) - {"message", "url"})):
        setattr(error, name, f"value {number}")
    twin = there_and_back(error, protocol)
    assert type(twin) is cls
    assert vars(twin) == vars(error)
    assert (str(twin), twin.args) == (str(error), error.args) == ("what happened", ("what happened",))
    assert str(copy.copy(error)) == "what happened"


def test_the_tree_is_the_one_that_its_module_draws() -> None:
    drawn = errors.__doc__ or ""
    assert [cls.__name__ for cls in every_error() if cls.__module__ == errors.__name__ and cls.__name__ not in drawn] == []
    assert all(not issubclass(cls, OSError) or issubclass(cls, TimeoutError) for cls in every_error())


def test_an_error_from_the_wire_travels_with_its_response(handler_peer: Any) -> None:
    def answer(request: RecordedRequest) -> Reply:
        return json_reply({"error": {"code": 400, "messageCode": "GWM_0003", "message": "no", "details": ["why"]}})

    peer = handler_peer(answer)
    with EsriSession() as session, pytest.raises(errors.EsriHttpResponseError) as caught:
        session.get(peer.url + "/x?token=secret").raise_for_error()
    twin = there_and_back(caught.value)
    assert (twin.code, twin.message_code, twin.details, twin.method) == (400, "GWM_0003", ["why"], "GET")
    assert twin.response.json()["error"]["code"] == 400
    assert "secret" not in str(twin)


def test_a_refused_redirect_travels_with_its_response(handler_peer: Any) -> None:
    peer = handler_peer(lambda request: Reply(302, {"Location": "/b"}, "moved"))
    with EsriSession(stream=True) as session, pytest.raises(errors.RedirectRefusedError) as caught:
        session.get(peer.url, allow_redirects=False)
    twin = there_and_back(caught.value)
    assert (twin.response.status_code, twin.response.text) == (302, "moved")


def test_an_error_whose_response_can_no_longer_be_read_travels_without_its_content(scripted_peer: Any) -> None:
    def cut_short(connection: Any) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 100\r\n\r\nshort")

    peer = scripted_peer(cut_short)
    with EsriSession() as session, pytest.raises(errors.RedirectRefusedError) as caught:
        session.get(peer.url, allow_redirects=False)
    assert there_and_back(caught.value).response.status_code == 302


# -- responses -------------------------------------------------------------------------------------------------------


def test_a_response_travels_without_any_secret(handler_peer: Any) -> None:
    def answer(request: RecordedRequest) -> Reply:
        if request.path == "/a":
            return Reply(302, {"Location": "/b", "Set-Cookie": "sid=s3cret-cookie"}, "moved")
        return json_reply("done", headers={"Set-Cookie": "other=s3cret-other"})

    peer = handler_peer(answer)
    auth = EsriBasicAuth(None, "amy", "s3cret-password") + EsriUserTokenAuth("s3cret-token")
    with EsriSession(auth=auth) as session:
        response = session.post(peer.url + "/a", data={"password": "s3cret-form"}, headers={"Cookie": "c=s3cret-header"})
        data = pickle.dumps(response)
    assert b"s3cret" not in data
    assert b"YW15OnMz" not in data
    twin = pickle.loads(data)
    assert (twin.status_code, twin.json(), twin.ok, twin.reason, twin.url) == (200, "done", True, "OK", response.url)
    assert [earlier.status_code for earlier in twin.history] == [302]
    assert twin.request.method == "GET"
    assert twin.elapsed == response.elapsed
    assert twin.headers["content-type"] == response.headers["content-type"]


def test_a_token_in_the_query_or_form_travels_in_no_response(handler_peer: Any) -> None:
    peer = handler_peer(lambda request: Reply(200, {}, "x"))
    with EsriSession(auth=EsriUserTokenAuth("s3cret-token", legacy=True)) as session:
        got = session.get(peer.url, params={"f": "json"})
        posted = session.post(peer.url, data={"f": "json"})
    assert all(b"s3cret-token" in request.target.encode() + request.body for request in peer.requests)
    for response in (got, posted):
        assert b"s3cret" not in pickle.dumps(response)
        assert there_and_back(response).text == "x"


def test_a_streamed_response_is_read_before_it_travels_and_a_closed_one_travels_empty(handler_peer: Any) -> None:
    peer = handler_peer(lambda request: Reply(200, {"Content-Type": "text/csv"}, "a,b\n" * 1000))
    with EsriSession(stream=True) as session:
        assert there_and_back(session.get(peer.url)).text == "a,b\n" * 1000
        closed = session.get(peer.url)
        closed.close()
        twin = there_and_back(closed)
    assert twin.status_code == 200
    with pytest.raises(errors.InvalidRequestError):
        twin.content  # noqa: B018
