"""The embedded portal as a thing that starts, serves, records and stops."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading

import pytest

from esri_http.testing import EmbeddedPortal, User
from esri_http.testing.run import add_arguments, serve

FORM = "application/x-www-form-urlencoded"


def test_its_certificate_is_good_for_all_loopback_names_and_for_no_other(portal):
    strict = ssl.create_default_context(cafile=portal.ca_file)
    strict.verify_flags |= getattr(ssl, "VERIFY_X509_STRICT", 0)
    port = int(portal.portal_url.rpartition(":")[2].partition("/")[0])
    for name in ("localhost", "127.0.0.1", "::1"):
        with socket.create_connection(("127.0.0.1", port), 10) as plain, strict.wrap_socket(plain, server_hostname=name):
            pass
    with socket.create_connection(("127.0.0.1", port), 10) as plain, pytest.raises(ssl.SSLCertVerificationError):
        strict.wrap_socket(plain, server_hostname="else.example")
    with socket.create_connection(("127.0.0.1", port), 10) as plain, pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")


def test_the_three_sites_are_on_three_ports(portal):
    origins = {url.rpartition("/")[0] for url in (portal.portal_url, portal.server_url, portal.standalone_url)}
    assert len(origins) == 3
    assert all(origin.startswith("https://localhost:") for origin in origins)


def test_further_names_get_into_the_certificate_and_sni_is_on_record(clock):
    with EmbeddedPortal(clock=clock, names=["gis.example"]) as portal:
        context = ssl.create_default_context(cafile=portal.ca_file)
        port = int(portal.portal_url.rpartition(":")[2].partition("/")[0])
        plain = socket.create_connection(("127.0.0.1", port), 10)
        with context.wrap_socket(plain, server_hostname="gis.example") as secured:
            secured.sendall(b"GET /portal/home HTTP/1.0\r\nHost: gis.example\r\n\r\n")
            while secured.recv(4096):
                pass
        assert portal.requests[0].server_name == "gis.example"


def test_requests_are_recorded_with_all_that_was_sent(client, portal):
    client.post(portal.token_url + "?a=1&b=%20x", {"X-Mine": "yes"}, username="amy", password="no", referer="http")
    record = portal.requests[0]
    assert (record.site, record.method, record.status) == ("portal", "POST", 200)
    assert record.path == "/portal/sharing/rest/generateToken"
    assert record.query == {"a": "1", "b": " x"}
    assert record.form["password"] == "no"
    assert record.headers["x-mine"] == "yes"
    assert record.target.endswith("?a=1&b=%20x")
    assert record.get("f") == "json"
    assert "no" not in repr(record).replace("portal", "")
    assert portal.count("/generateToken", site="portal") == 1
    assert portal.count("/generateToken", site="server") == 0
    portal.clear()
    assert portal.requests == []


def test_a_connection_is_kept_alive_and_numbered(client, portal):
    url = portal.public_layer_url + "/query?f=json&where=1%3D1&returnCountOnly=true"
    connection = client.connect(url)
    for _ in range(3):
        assert client.send("GET", url, connection=connection).status == 200
    assert client.send("HEAD", url, connection=connection).body == b""
    assert client.send("POST", url, "ignored", connection=connection).status == 200
    assert len({record.connection for record in portal.requests}) == 1
    assert portal.open_connections() == 1
    connection.close()
    assert client.send("GET", url).status == 200
    assert portal.requests[-1].connection != portal.requests[0].connection


def test_idle_connections_can_be_dropped_by_the_server(client, portal):
    url = portal.portal_url + "/home"
    connection = client.connect(url)
    client.send("GET", url, connection=connection)
    portal.drop_connections()
    connection.sock.settimeout(10)
    try:
        assert connection.sock.recv(1) == b""
    except OSError:
        pass
    connection.close()
    assert client.send("GET", url).status == 200


def test_connection_close_and_http_1_0_are_honoured(client, portal):
    reply = client.send("GET", portal.portal_url + "/home", headers={"Connection": "close"})
    assert reply.headers["Connection"] == "close"


def test_expect_100_continue_is_answered_before_the_body(clock):
    with EmbeddedPortal(https=False, host="127.0.0.1", clock=clock) as portal:
        host, port = portal.portal_url.split("/")[2].split(":")
        with socket.create_connection((host, int(port)), 10) as sock:
            head = "POST /portal/sharing/rest/generateToken HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            sock.sendall((head + f"Content-Length: 6\r\nContent-Type: {FORM}\r\n\r\n").encode())
            assert sock.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
            sock.sendall(b"f=json")
            assert sock.recv(15) == b"HTTP/1.1 200 OK"


def test_sixteen_threads_are_served_at_once(client, portal):
    url = portal.public_layer_url + "/query"
    counts = []

    def ask():
        for _ in range(5):
            counts.append(client.get(url, where="1=1", returnCountOnly="true").json["count"])

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == 80
    assert portal.count("/query") == 80


def test_nothing_is_left_after_stop(clock, new_client):
    before = threading.active_count()
    with EmbeddedPortal(clock=clock) as portal:
        folder = os.path.dirname(portal.ca_file)
        assert os.listdir(folder) == ["ca.pem"]
        client = new_client(portal)
        open_one = client.connect(portal.portal_url)
        client.send("GET", portal.portal_url + "/home", connection=open_one)
        url = portal.portal_url
    assert threading.active_count() == before
    assert not os.path.exists(folder)
    assert portal.open_connections() == 0
    with pytest.raises(ConnectionRefusedError):
        client.send("GET", url + "/home")
    open_one.close()
    portal.stop()


def test_a_portal_that_cannot_start_leaves_nothing_either(portal):
    port = int(portal.portal_url.rpartition(":")[2].partition("/")[0])
    before = threading.active_count()
    second = EmbeddedPortal(port=port)
    with pytest.raises(OSError):
        second.start()
    assert threading.active_count() == before
    assert not os.path.exists(second.ca_file)


def test_users_can_be_given_and_added(clock, new_client):
    with EmbeddedPortal(clock=clock, users=[User("DOMAIN\\carl", "x")]) as portal:
        client = new_client(portal)
        assert "token" in client.sign_in("DOMAIN\\carl").json
        portal.users["dora"] = User("dora", "y", role="org_admin")
        assert "token" in client.sign_in("dora").json
        assert "y" not in repr(portal.users["dora"]).replace("User", "")
        with pytest.raises(ValueError, match="no server"):
            portal.issue_token("dora", server_url="https://else.example/server")


def test_the_fixture_gives_a_running_portal(esri_portal, new_client):
    assert new_client(esri_portal).get(esri_portal.public_layer_url).json["name"] == "Places"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal that ends one child as Ctrl-C does")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_the_program_prints_its_urls_and_stops_cleanly(name):
    usual = "default_int_handler" if name == "SIGINT" else "SIG_DFL"  # also where these tests run under nohup
    code = f"""
import signal, sys
signal.signal(signal.{name}, signal.{usual})
from esri_http.testing.run import serve
sys.exit(serve(sys.argv[1:]))
"""
    command = [sys.executable, "-c", code, "--user", "eve:apple"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                process.send_signal(getattr(signal, name))
        errors = process.stderr.read()
    text = "".join(lines)
    assert process.returncode == 0, errors
    assert errors == ""
    assert "/portal" in text
    assert "eve" in text
    assert "apple" not in text
    ca_file = next(line.split(None, 3)[3].strip() for line in lines if line.startswith("trust"))
    assert not os.path.exists(ca_file)


def test_the_program_says_so_when_its_port_is_taken(portal, capsys):
    from esri_http.testing.run import run

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    port = portal.portal_url.rpartition(":")[2].partition("/")[0]
    assert run(parser.parse_args(["--port", port, "--http"])) == 1
    assert "could not be started" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--port=65534", "--port=-1", "--port=x", "--minutes=nan", "--minutes=0"])
def test_a_portal_that_cannot_be_is_wrong_usage(option, capsys):
    with pytest.raises(SystemExit) as caught:
        serve([option])
    assert caught.value.code == 2
    assert f"argument {option.partition('=')[0]}" in capsys.readouterr().err
