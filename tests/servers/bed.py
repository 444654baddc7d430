"""The bed that the servers stand in: what they share, and each of them started once, when it is first wanted."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar, TypeVar, Union

from tests.support.certificates import CertificateAuthority

from .daemons import Daemon, State, missing

_Kind = TypeVar("_Kind", bound="Server")
_Self = TypeVar("_Self", bound="Server")


class Server:
    """A server, or several that belong together, as a context manager. A subclass says what it is, and starts it.

    Whatever `start` enters into `self.stack`, or starts with `self.daemon`, is stopped in the opposite order. Files go to
    `self.folder`. Other servers that this one needs come from ``self.bed.start(Kind)``.
    """

    name: ClassVar[str] = ""
    #: What has to be installed, as `missing` takes it.
    needs: ClassVar[tuple[str, ...]] = ()
    modules: ClassVar[tuple[str, ...]] = ()
    #: Servers that this one needs, which have needs of their own.
    servers: ClassVar[tuple[type[Server], ...]] = ()

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.stack = ExitStack()
        self.folder = bed.state.new_folder(self.name)

    @classmethod
    def missing(cls) -> Union[str, None]:
        """One line that says what is not installed, and how to get it; `None` where nothing is missing."""
        kinds = [cls, *cls.servers]
        needs = dict.fromkeys(need for kind in kinds for need in kind.needs)
        return missing(*needs, modules=[name for kind in kinds for name in kind.modules])

    def start(self) -> None:
        """Write the configuration and start the processes; overridden by every server."""
        raise NotImplementedError

    def daemon(self, daemon: Daemon) -> Daemon:
        """Start a process that ends with this server."""
        return self.stack.enter_context(daemon)

    def describe(self) -> list[str]:
        """Lines that say where it listens, with commands to try it; for ``python -m tests.servers``."""
        return []

    def __enter__(self: _Self) -> _Self:
        with self.stack:
            self.start()
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()


class Bed:
    """All servers of a run. A context manager."""

    def __init__(self, folder: Union[Path, None] = None) -> None:
        """`folder`: as `State` has it."""
        self.state = State(folder)
        self._stack = ExitStack()
        self._started: dict[type[Server], Server] = {}
        self._stack.callback(self.state.close)
        #: It signed the certificates of all servers, and those of clients that they believe.
        self.ca = CertificateAuthority(self.state.new_folder("pki"))

    def start(self, kind: type[_Kind]) -> _Kind:
        """That server, started where it was not before."""
        if kind not in self._started:
            self._started[kind] = self._stack.enter_context(kind(self))
        server = self._started[kind]
        assert isinstance(server, kind)
        return server

    def close(self) -> None:
        """Stop everything, the last first."""
        self._stack.close()

    def __enter__(self) -> Bed:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
