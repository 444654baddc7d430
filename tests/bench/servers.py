"""The server that answers all clients, in a process of its own on loopback: nginx where it is installed, else our own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

from tests.bench.answers import HEADS, OPEN_PATHS, SHOWN_TOKEN, plain_answers
from tests.bench.processes import PROJECT, ended, environment
from tests.bench.setup import BIG_PATH, ONCE_PATH, STATUS_PATH

START_SECONDS = 15.0
PORT_TRIES = 3

NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nodelay on;
    default_type application/json;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    client_max_body_size 0;
    lingering_time 300s;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    ssl_certificate {certificate};
    ssl_certificate_key {certificate};
    ssl_protocols TLSv1.2 TLSv1.3;
    server {{
        listen 127.0.0.1:{https} ssl;
{listens}
        root {folder}/files;
{heads}
{locations}
    }}
}}
"""


class Server(NamedTuple):
    """A server that is running.

    Attributes:
        description: its name and version, for the report.
        pid: its process.
        https: the port that speaks TLS.
        http: the port that does not.
        origins: further http ports, for the measurement with many origins.
    """

    description: str
    pid: int
    https: int
    http: int
    origins: list[int]

    def counts(self) -> tuple[int, int]:
        """Connections and requests so far, the asking ones among them."""
        asking = http.client.HTTPConnection("127.0.0.1", self.http, timeout=START_SECONDS)
        try:
            asking.request("GET", STATUS_PATH)
            accepted, _, requests = asking.getresponse().read().split(b"\n")[2].split()
            return int(accepted), int(requests)
        finally:
            asking.close()

    def pin(self, core: int | None) -> None:
        """Keep the server on one core (None: on any), where the system can."""
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self.pid, range(os.cpu_count() or 1) if core is None else {core})


class CannotStart(Exception):
    """A server did not come up; its text says why."""


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody uses at this moment."""
    with contextlib.ExitStack() as held:
        return [held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(count)]


def nginx_configuration(folder: str, certificate: str, https: int, plain: list[int]) -> str:
    """The text of ``nginx.conf``."""
    locations = []
    for path, body in plain_answers().items():
        guard = "" if path in OPEN_PATHS else f'if ($http_x_esri_authorization != "{SHOWN_TOKEN}") {{ return 403; }} '
        once = "keepalive_timeout 0; " if path == ONCE_PATH else ""
        locations.append(f"        location = {path} {{ {once}{guard}return 200 '{body}'; }}")
    locations.append(f"        location = {STATUS_PATH} {{ stub_status; }}")
    return NGINX.format(
        folder=folder,
        certificate=certificate,
        https=https,
        listens="\n".join(f"        listen 127.0.0.1:{port};" for port in plain),
        heads="\n".join(f'        add_header {name} "{value}";' for name, value in HEADS.items()),
        locations="\n".join(locations),
    )


def wait_until_listening(process: subprocess.Popen[str], port: int) -> None:
    """Return once the port accepts; raise CannotStart if the process ends or nothing listens in time."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise CannotStart(process.stderr.read().strip() if process.stderr else "it ended")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return
        time.sleep(0.01)
    raise CannotStart(f"nothing listened on port {port} within {START_SECONDS:.0f} s")


def find_nginx() -> str | None:
    """The nginx program; Debian keeps it where a user's PATH does not look."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def nginx(program: str, folder: str, certificate: str, size: int, origins: int) -> Iterator[Server]:
    """Run nginx with a configuration of its own in ``folder``; one process, so that it can be pinned to a core."""
    os.makedirs(os.path.join(folder, "files"), exist_ok=True)
    with open(os.path.join(folder, "files", BIG_PATH.lstrip("/")), "wb") as big:
        big.truncate(size)
    version = subprocess.run([program, "-v"], capture_output=True, text=True, timeout=START_SECONDS, check=True)
    problem: CannotStart | None = None
    for _ in range(PORT_TRIES):
        https, *plain = free_ports(2 + origins)
        path = os.path.join(folder, "nginx.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(nginx_configuration(folder, certificate, https, plain))
        command = [program, "-e", "stderr", "-p", folder, "-c", path]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment(folder))
        with process, ended(process):
            try:
                wait_until_listening(process, https)
            except CannotStart as failure:
                problem = failure
                continue
            yield Server(version.stderr.strip().rpartition(" ")[2], process.pid, https, plain[0], plain[1:])
            return
    raise problem or CannotStart("it was not tried")


@contextlib.contextmanager
def own_server(folder: str, certificate: str, size: int, origins: int) -> Iterator[Server]:
    """Run the server of this folder."""
    command = [sys.executable, "-m", "tests.bench.own_server", certificate, str(size), str(origins)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=PROJECT, env=environment(folder))
    with process, ended(process):
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise CannotStart("our own server ended at once")
        ports = json.loads(line)
        yield Server("tests.bench.own_server (asyncio)", process.pid, ports["https"], ports["http"], ports["origins"])


@contextlib.contextmanager
def running_server(kind: str, folder: str, certificate: str, size: int, origins: int) -> Iterator[Server]:
    """The server that ``kind`` asks for: "nginx", "own", or "auto" for nginx where it is installed and starts.

    ``size`` is the length of the big body in bytes, ``origins`` the number of further http ports.
    """
    program = find_nginx() if kind != "own" else None
    with contextlib.ExitStack() as stack:
        server = None
        if program:
            try:
                server = stack.enter_context(nginx(program, folder, certificate, size, origins))
            except CannotStart as problem:
                if kind == "nginx":
                    raise
                print(f"nginx does not start, so our own server answers: {problem}", file=sys.stderr)
        elif kind == "nginx":
            raise CannotStart("nginx is not installed")
        yield server or stack.enter_context(own_server(folder, certificate, size, origins))
