"""What the copies of one sign-in share in the process that they were pickled to: its token, its renewal, and a refusal.

A pool of workers unpickles a session once for every task. If each copy renewed the token for itself, or showed a refused
password once more, there would be as many sign-ins as tasks, and the account would be locked.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from ...words.bounded import remember
from ...words.forks import ProcessLock, watch_forks
from ..flights import Flights

if TYPE_CHECKING:
    from ...words.errors import EsriHttpError
    from .keeper import Token

# They outlive their copies, since the next task brings another one; the oldest is forgotten for a new one.
_MOST_HOLDINGS = 1000


class Holding:
    """The token of one sign-in, the fetch that is under way, and the refusal that it met. Safe for threads under `lock`.

    `means`: what the next token is got with where that changes with each, such as a refresh token; `None` for none.
    Those who get other credentials, or sign out, go on with a holding of their own.
    """

    def __init__(self, generation: int = 0, refusal: EsriHttpError | None = None, means: Any = None) -> None:
        self.token: Token | None = None
        self.generation = generation
        self.refusal = refusal
        self.means = means
        self.flights = Flights()
        #: When the last token was got, in epoch seconds, be it dropped since; what arrives with an older one is no news.
        self.since = 0.0
        self._name: str | None = None
        self.after_fork()
        watch_forks(self)

    def after_fork(self) -> None:
        """In a forked child: a thread that is not there may hold the lock."""
        self.lock = threading.Lock()

    def store(self, token: Token) -> Token:
        """Go on with `token`; with the lock held."""
        self.generation, self.since, self.token = token.generation, token.since, token
        return token

    def name(self) -> str:
        """What its copies know each other by: random, made for the first pickle."""
        with self.lock:
            if self._name is None:
                self._name = os.urandom(16).hex()
            return self._name


_arriving = ProcessLock()
_arrived: dict[str, Holding] = {}


def holding_named(name: str) -> Holding:
    """The holding of the copies that arrived in this process under `name`, made for the first of them."""
    with _arriving:
        holding = _arrived.get(name)
        if holding is None:
            holding = Holding()
            holding._name = name
            remember(_arrived, name, holding, _MOST_HOLDINGS)
        return holding
