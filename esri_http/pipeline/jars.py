"""The place of a session's cookie jar: most sessions with ArcGIS never see a cookie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..words.forks import ProcessLock

if TYPE_CHECKING:
    from ..messages.cookies import CookieJar
    from ..words.clock import Clock

_opening = ProcessLock()


class JarHolder:
    """Where a session keeps its cookie jar, once the first cookie comes. Shared by threads."""

    __slots__ = ("_clock", "jar")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.jar: CookieJar | None = None

    def open(self) -> CookieJar:
        """The jar, made if need be."""
        if self.jar is None:
            from ..messages.cookies import CookieJar

            with _opening:
                self.jar = self.jar or CookieJar(self._clock)
        return self.jar
