"""How long a token lives, by what others say of it: numbers or digits, seconds or milliseconds, sense or nonsense."""

from __future__ import annotations

from ...words.errors import ConfigurationError

# The year 10000 in epoch milliseconds, which no datetime can hold.
END_OF_TIME = 253402300800e3
LONGEST_LIFE_SECONDS = 10 * 366 * 86400.0
# More of them would be a year after 5000: it is milliseconds.
_MOST_EPOCH_SECONDS = 1e11
_MOST_DIGITS = 20
# What a sign-in is asked to last where nothing else is said or the longest is wanted, and that has to be a number.
# A refresh token of unknown life lives this long (ArcGIS REST: authorize, expiration).
DEFAULT_MINUTES = 20160.0
# The longest allowed, as a caller says it.
LONGEST = -1
_LONGEST_DURATION = 10**8


def is_duration(said: object) -> bool:
    """Whether `said` is a number of minutes that something can last: above zero, and not without end."""
    return isinstance(said, (int, float)) and not isinstance(said, bool) and 0 < said < _LONGEST_DURATION


def check_expiration(minutes: object) -> None:
    """Raise `ConfigurationError` where `minutes` are neither a time that a sign-in can last nor `LONGEST` nor `None`."""
    if minutes is not None and minutes != LONGEST and not is_duration(minutes):
        raise ConfigurationError("expiration= takes minutes greater than zero, or -1 for the longest that is allowed.")


def number_in(said: object) -> float | None:
    """The number that `said` is, or holds as digits; `None` for anything but one from above zero to the end of time."""
    if isinstance(said, str) and said.isascii() and said.isdigit() and len(said) <= _MOST_DIGITS:
        said = int(said)
    if isinstance(said, bool) or not isinstance(said, (int, float)) or not 0 < said < END_OF_TIME:
        return None
    return float(said)


def sensible_life(seconds: float) -> float | None:
    """`seconds` if a token may live that long, in years about ten; `None` otherwise."""
    return seconds if 0 < seconds < LONGEST_LIFE_SECONDS else None


def epoch_seconds(moment: float) -> float:
    """A moment in epoch seconds that is said in them or in milliseconds."""
    return moment / 1000.0 if moment > _MOST_EPOCH_SECONDS else float(moment)
