"""The knobs of an embedded portal: plain attributes that may be turned while it runs."""

from __future__ import annotations

from ..words.clock import SYSTEM_CLOCK, Clock


class PortalSettings:
    """What a portal and its servers obey, looked at anew for every request."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        #: The clock that tokens live by. Hand in your own to let an hour pass at once.
        self.clock = clock
        #: Seconds by which the clock of all the sites is ahead (negative: behind). `expires` and `Date` follow it.
        self.clock_skew_seconds = 0.0
        #: Minutes that a token lives when the client does not ask for a time (fractions are fine).
        self.token_lifetime_minutes = 60.0
        #: Minutes that a token lives at most; a longer time that is asked for is cut to this, without an error.
        self.max_token_lifetime_minutes = 21600.0
        #: Whether the portal's generateToken takes user names and passwords. An organisation may allow OAuth only.
        self.generate_token_takes_passwords = True
        #: Answer token requests over http with "SSL Required".
        self.require_https = False
        #: "public" or "private": whether `portals/self` says much to somebody who is not signed in.
        self.access = "public"
        #: Whether the federated server takes the portal's own token. By default it wants one exchanged for itself.
        self.server_accepts_portal_tokens = False
        #: Whether the stand-alone server has no security at all ("open server").
        self.standalone_is_open = False
        #: Size in bytes of an exported image when the request does not say `size`.
        self.image_size = 1024 * 1024

    def now(self) -> float:
        """Epoch seconds by the clock of the sites."""
        return self.clock.time() + self.clock_skew_seconds

    def expiry_of(self, asked: str) -> float:
        """When a token expires (epoch seconds) for which `asked` minutes were requested; nonsense counts as not asked."""
        try:
            minutes = float(asked)
        except ValueError:
            minutes = 0.0
        if not minutes > 0:
            minutes = self.token_lifetime_minutes
        return self.now() + 60.0 * min(minutes, self.max_token_lifetime_minutes)
