"""How a session is copied to other processes: by a pickle, secrets included, or by `for_workers`, with its tokens alone."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from .pipeline.jars import JarHolder
from .session_settings import SessionSettings
from .words.errors import ConfigurationError
from .words.forks import watch_forks
from .words.headers import SECRET_HEADERS
from .words.settings import BYPASS_KEYS

if TYPE_CHECKING:
    from typing import TypeVar

    from .auth.base import BaseEsriAuth

    _T = TypeVar("_T", bound="Travels")


class Travels(SessionSettings):
    """The part of a session that makes copies of it for other processes."""

    if TYPE_CHECKING:
        auth: Any
        _auth: BaseEsriAuth | None

        def _bound(self, auth: Any) -> BaseEsriAuth: ...

        def after_fork(self) -> None:
            """See `EsriSession.after_fork`."""

    def for_workers(self: _T) -> _T:
        """A copy to be pickled for workers, which signs in by the tokens as they stand and holds no password or other secret.

        Signs in first where that was not done yet. The tokens are those of the site and of the servers that it has spoken to
        so far; they go where they went before, and are as secret as a password for as long as they live (`auth.token_expires`).
        Once they are dead a request is an `ArcGISLoginError`; nothing is renewed that would take a password. Settings,
        headers and mounted adapters come along as they are, cookies do not.

        Raises `ConfigurationError` where the session cannot do without its secrets, and what the sign-in raises.
        """
        from copy import deepcopy

        kept = _secrets_of(self)
        if kept:
            raise ConfigurationError(
                f"for_workers() sends no secret along, and this session has one in {', '.join(kept)}. Take it away, and set it"
                " on the workers; or pickle the session itself, and keep the pickle as safe as a password."
            )
        auth = None if self._auth is None else self._auth.for_workers()
        twin = type(self).__new__(type(self))
        state = {**self.__getstate__(), "_auth": None, "_jar": JarHolder(self._clock)}
        # Adapters that wrap the session's own wrap the copy's own there.
        twin.__setstate__(deepcopy(state, {id(self): twin, id(self._clock): self._clock}))
        twin.auth = auth
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """A pickle keeps settings, cookies and auth, secrets included; connections are made anew."""
        headers = self._headers.copy()  # another thread may set one meanwhile
        return {**super().__getstate__(), "_headers": headers, "_engine": None, "_lock": None, "_netrc": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
        if self._auth is not None:
            self._bound(self._auth)
        watch_forks(self)


def _secrets_of(session: SessionSettings) -> list[str]:
    """The settings that hold a secret, as a user knows them."""
    network = session._network
    certificate = network.tls.certificate
    addresses = (address or "" for key, address in network.proxies if key not in BYPASS_KEYS)
    found = [name for name in session.headers.copy() if name.lower() in SECRET_HEADERS]
    if certificate is not None and certificate.holds_secret:
        found.append("cert=")
    if any("@" in address for address in addresses):
        found.append("proxies=")
    if getattr(network.proxy_auth, "_password", None) is not None:
        found.append("proxy_auth=")
    return found
