"""Faults on order."""

from __future__ import annotations

import http.client
import json
import socket
import threading

import pytest

from esri_http.testing import Answer, EmbeddedPortal, faults

QUERY = "/query?where=1%3D1&f=json"


@pytest.fixture
def url(portal):
    return portal.public_layer_url + QUERY


def test_a_fault_is_played_as_often_as_said_and_is_on_record(client, portal, url):
    planned = portal.faults.add("/query", faults.status(503, retry_after="soon"), times=2)
    replies = [client.send("GET", url) for _ in range(3)]
    assert [reply.status for reply in replies] == [503, 503, 200]
    assert replies[0].headers["Retry-After"] == "soon"
    assert planned.hits == 2
    assert [record.fault for record in portal.requests] == ["status", "status", ""]
    assert portal.count("/query", status=503) == 2


def test_faults_choose_by_site_method_and_number(client, portal, url):
    portal.faults.add("/query", faults.status(500), site="standalone", times=None)
    portal.faults.add("/query", faults.status(501), method="POST", times=None)
    portal.faults.add("/query", faults.status(502), skip=1)
    assert [client.send("GET", url).status for _ in range(3)] == [200, 502, 200]
    assert client.post(url).status == 501
    portal.faults.clear()
    assert client.post(url).status == 200
    removed = portal.faults.add("/query", faults.status(500), times=None)
    assert client.post(url).status == 500
    removed.remove()
    assert client.post(url).status == 200
    with pytest.raises(TypeError, match="Say which fault"):
        portal.faults.add("/query")


def test_a_reset_is_a_reset_even_over_tls(client, portal, url):
    portal.faults.add("/query", faults.reset())
    with pytest.raises(ConnectionResetError):
        client.send("GET", url)
    assert portal.requests[-1].status == 0


def test_a_reset_in_the_body_comes_after_the_head(client, portal):
    portal.faults.add("/exportImage", faults.reset(after_bytes=10))
    connection = client.connect(portal.public_image_url)
    connection.request("GET", portal.public_image_url + "?f=image&size=1000000")
    with connection.getresponse() as answer, pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        answer.read()
    connection.close()


def test_a_lost_answer_can_leave_its_effect_behind(client, portal):
    feature = json.dumps([{"attributes": {"NAME": "Twice"}}])
    portal.faults.add("/addFeatures", faults.reset(handle=True))
    portal.faults.add("/addFeatures", faults.reset())
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            client.post(portal.public_layer_url + "/addFeatures", features=feature)
    counted = client.get(portal.public_layer_url + "/query", where="NAME='Twice'", returnCountOnly="true")
    assert counted.json == {"count": 1}


def test_close_ends_the_connection_in_order(client, portal, url):
    portal.faults.add("/query", faults.close())
    with pytest.raises(http.client.RemoteDisconnected):
        client.send("GET", url)


def test_a_truncated_body_is_short_of_its_length(client, portal, url):
    portal.faults.add("/query", faults.truncated(7))
    with pytest.raises(http.client.IncompleteRead) as caught:
        client.send("GET", url)
    assert caught.value.expected == 7
    assert len(caught.value.partial) > 1000


def test_a_bad_chunk_is_no_number(client, portal, url):
    portal.faults.add("/query", faults.bad_chunk())
    with pytest.raises((http.client.IncompleteRead, ValueError)):
        client.send("GET", url)


@pytest.mark.parametrize("code", [429, 504])
def test_arcgis_errors_come_inside_200(client, portal, url, code):
    portal.faults.add("/query", faults.arcgis_error(code, retry_after="7"))
    reply = client.send("GET", url)
    assert (reply.status, reply.error_code, reply.headers["Retry-After"]) == (200, code, "7")
    assert reply.json["error"]["message"]


def test_pages_redirects_and_odd_bodies(client, portal, url):
    for fault in (
        faults.html_page(),
        faults.redirect("https://else.example/x", 307),
        faults.empty_body(),
        faults.invalid_json(),
        faults.status(418, body={"a": 1}),
        faults.raw(b"HTTP/1.1 299 Odd\r\nContent-Length: 2\r\n\r\nhi"),
    ):
        portal.faults.add("/query", fault)
    assert client.send("GET", url).body.startswith(b"<!DOCTYPE html>")
    redirected = client.send("GET", url)
    assert (redirected.status, redirected.headers["Location"]) == (307, "https://else.example/x")
    assert client.send("GET", url).body == b""
    with pytest.raises(ValueError):
        json.loads(client.send("GET", url).body)
    assert client.send("GET", url).json == {"a": 1}
    assert client.send("GET", url).body == b"hi"


def test_a_delay_lasts_until_its_event_and_holds_up_nobody_else(client, portal, url):
    event = threading.Event()
    planned = portal.faults.add("/query", faults.delay(until=event), faults.status(503))
    replies = []
    waiting = threading.Thread(target=lambda: replies.append(client.send("GET", url)))
    waiting.start()
    while not planned.hits:
        pass
    assert client.send("GET", url).status == 200
    assert replies == []
    event.set()
    waiting.join()
    assert replies[0].status == 503
    assert portal.requests[-1].fault == "delay, status"


def test_a_stalled_body_goes_on_after_its_event(client, portal, url):
    event = threading.Event()
    portal.faults.add("/query", faults.stalled(event, after=5))
    connection = client.connect(url)
    connection.request("GET", url)
    with connection.getresponse() as answer:
        assert answer.read(5) == b'{"obj'
        event.set()
        assert json.loads(b'{"obj' + answer.read())["features"]
    connection.close()


def test_stopping_the_portal_ends_every_wait(clock, new_client):
    threads = []
    with EmbeddedPortal(clock=clock) as portal:
        client = new_client(portal)
        waits = [faults.delay(seconds=60), faults.delay(until=threading.Event())]
        planned = [portal.faults.add("/query", wait) for wait in waits]
        for _ in range(2):

            def ask():
                with pytest.raises((OSError, http.client.HTTPException)):
                    client.send("GET", portal.public_layer_url + QUERY)

            threads.append(threading.Thread(target=ask))
            threads[-1].start()
        while not all(each.hits for each in planned):
            pass
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()


def test_an_early_answer_overtakes_an_upload(client, portal):
    portal.faults.add("/upload", faults.status(413, early=True))
    connection = client.connect(portal.upload_url)
    connection.putrequest("POST", portal.upload_url)
    connection.putheader("Content-Length", "100000000")
    connection.endheaders()
    connection.send(b"x" * 100_000)
    with connection.getresponse() as answer:
        assert (answer.status, answer.headers["Connection"]) == (413, "close")
    connection.close()


def test_a_fault_of_the_users_own_may_change_the_answer(client, portal, url):
    def rename(request, answer_normally):
        answer = answer_normally()
        assert isinstance(answer, Answer)
        answer.status = 203
        return answer

    portal.faults.add("/query", rename)
    assert client.send("GET", url).status == 203
    assert portal.requests[-1].fault


def test_a_client_that_talks_nonsense_is_hung_up_on(portal, client):
    connection = client.connect(portal.portal_url)
    connection.connect()
    for nonsense in (b"HELLO\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"GET / HTTP/1.1\r\nnocolon\r\n\r\n"):
        plain = socket.create_connection((connection.host, connection.port), 10)
        with client.context.wrap_socket(plain, server_hostname="localhost") as secured:
            secured.sendall(nonsense)
            assert secured.recv(100) == b""
    connection.close()
