"""Instants as the services write them, and the working hours in which accountants make them."""

import re
from datetime import datetime, timedelta, timezone

HOUR = 3_600_000
DAY = 24 * HOUR
# 9:00-18:00 in Vilnius, in UTC and without summer time: nothing here depends on the hour being exact.
OPENS, CLOSES = 7 * HOUR, 16 * HOUR
EPOCH = datetime(1970, 1, 1)
START = 1_767_571_200_000 + OPENS  # 2026-01-05, a Monday

_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(Z|[+-]\d\d:?\d\d)", re.ASCII | re.IGNORECASE
)


def iso(instant: int) -> str:
    """Write milliseconds since 1970 as `2026-01-05T08:00:00.000Z`."""
    return (EPOCH + timedelta(milliseconds=instant)).isoformat(timespec="milliseconds") + "Z"


def day(instant: int) -> str:
    """Write the date (UTC) of milliseconds since 1970 as `2026-01-05`."""
    return (EPOCH + timedelta(milliseconds=instant)).date().isoformat()


def microseconds(text: str) -> int:
    """Read an ISO 8601 instant, with or without a fraction, `Z` or an offset, as microseconds since 1970.

    Raises:
        ValueError: The text is not an instant; a date or a local time without offset is not one either.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an ISO 8601 instant such as 2026-01-05T08:00:00.000Z")
    date, clock, seconds, fraction, zone = match.groups()
    moment = datetime.strptime(f"{date}T{clock}:{seconds or '00'}Z", "%Y-%m-%dT%H:%M:%SZ")
    if zone.upper() != "Z":
        digits = zone[1:].replace(":", "")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        moment = moment - offset if zone[0] == "+" else moment + offset
    return (moment - EPOCH) // timedelta(microseconds=1) + int((fraction or "").ljust(6, "0")[:6])


def milliseconds(text: str) -> int:
    """Read an ISO 8601 instant as whole milliseconds since 1970 (finer digits are dropped)."""
    return microseconds(text) // 1000


def now() -> float:
    """Return the real time, in seconds since 1970: what links expire by."""
    return datetime.now(timezone.utc).timestamp()


def advance(instant: int, delta: int) -> int:
    """Add milliseconds to an instant; what falls outside working hours moves to the next working morning."""
    instant += delta
    time_of_day = instant % DAY
    if time_of_day >= CLOSES:
        instant += DAY - CLOSES + OPENS  # keeps the remainder, so that order and gaps survive the night
    elif time_of_day < OPENS:
        instant += OPENS - time_of_day
    weekday = (instant // DAY + 3) % 7  # 1970-01-01 was a Thursday
    return instant + (7 - weekday) * DAY if weekday >= 5 else instant
