"""nginx: answers 429 with Retry-After, and asks for client certificates in its own manner (400)."""

from __future__ import annotations

import os

from .backend import portal_behind
from .bed import Server
from .daemons import Daemon, found, free_port, listening
from .people import CERTIFICATE_USER, GIS

CONF = """\
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
worker_processes 1;
{user}
events {{ worker_connections 256; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
    ssl_certificate {cert};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_client_certificate {ca};
    limit_req_zone $server_port zone=each:64k rate=1r/s;
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header X-Remote-User $ssl_client_s_dn;
    server {{
        listen 127.0.0.1:{port} ssl;
        server_name {name};
        location / {{ proxy_pass {backend}/portal/; }}
        # One request in a second; the next is told to wait.
        location /limited/ {{
            limit_req zone=each;
            limit_req_status 429;
            error_page 429 = @wait;
            proxy_pass {backend}/portal/;
        }}
        location @wait {{
            add_header Retry-After 1 always;
            return 429;
        }}
    }}
    server {{
        listen 127.0.0.1:{certificate_port} ssl;
        server_name {name};
        ssl_verify_client on;
        location / {{ proxy_pass {backend}/portal/; }}
    }}
}}
"""


class Nginx(Server):
    """nginx; `url` is the address of ``/echo``, ``/limited/echo``, or with `certificate` of the port that wants one."""

    name = "nginx"
    needs = ("nginx",)

    def start(self) -> None:
        """Start an echo, and nginx in front of it."""
        self.port, self.certificate_port = free_port(), free_port()
        self.portal = self.stack.enter_context(portal_behind(self.url("")))
        identity = self.bed.ca.server(GIS)
        values = {"folder": self.folder, "port": self.port, "certificate_port": self.certificate_port, "name": GIS}
        values.update(cert=identity.cert_file, key=identity.key_file, ca=self.bed.ca.file)
        values["user"] = "user www-data;" if os.getuid() == 0 else ""
        values["backend"] = self.portal.portal_site.address
        conf = self.folder / "nginx.conf"
        conf.write_text(CONF.format(**values))
        command = [found("nginx"), "-e", self.folder / "error.log", "-p", self.folder, "-c", conf]
        ready, log = listening(self.port, self.certificate_port), self.folder / "error.log"
        self.process = self.daemon(Daemon("nginx", command, self.bed.state, ready=ready, log=log))

    def url(self, path: str, certificate: bool = False) -> str:
        """The address of `path`."""
        return f"https://{GIS}:{self.certificate_port if certificate else self.port}{path}"

    def describe(self) -> list[str]:
        """See `Server`."""
        curl = f"curl --cacert {self.bed.ca.file} --connect-to ::127.0.0.1:"
        cert = self.bed.ca.client(CERTIFICATE_USER).combined_file
        return [f"nginx: {curl} -i {self.url('/limited/echo')}", f"nginx: {curl} --cert {cert} {self.url('/echo', True)}"]
