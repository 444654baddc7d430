"""SOCKS5 proxies, with and without a password, which know the names of the bed."""

from __future__ import annotations

from .bed import Server
from .daemons import Daemon, found, free_port, listening
from .people import NAMES, PASSWORDS, USER


class Socks(Server):
    """microsocks, twice: one wants a password (`url`), the other does not (`open_url`)."""

    name = "socks"
    needs = ("microsocks", "libnss_wrapper.so")

    def start(self) -> None:
        """Start both."""
        self.port, self.open_port = free_port(), free_port()
        hosts = self.folder / "hosts"
        hosts.write_text("".join(f"127.0.0.1 {name}\n" for name in NAMES))
        env = {"LD_PRELOAD": found("libnss_wrapper.so"), "NSS_WRAPPER_HOSTS": str(hosts)}
        for name, port, options in (
            ("socks", self.port, ["-u", USER, "-P", PASSWORDS["socks"]]),
            ("socks-open", self.open_port, []),
        ):
            command = [found("microsocks"), "-i", "127.0.0.1", "-p", str(port), *options]
            self.daemon(Daemon(name, command, self.bed.state, ready=listening(port), env=env))

    def url(self, scheme: str = "socks5h", userinfo: str = f"{USER}:{PASSWORDS['socks']}") -> str:
        """The address of the one that wants a password; ``socks5h`` has it look up names, ``socks5`` the client."""
        return f"{scheme}://{userinfo + '@' if userinfo else ''}127.0.0.1:{self.port}"

    def open_url(self, scheme: str = "socks5h") -> str:
        """The address of the one that lets everybody in."""
        return f"{scheme}://127.0.0.1:{self.open_port}"

    def describe(self) -> list[str]:
        """See `Server`."""
        return [f"socks: curl -x {self.url()} URL", f"socks without a password: curl -x {self.open_url()} URL"]
