"""Vic's two clocks: instants in UTC, as microseconds since 1970, and the ERP's wall clock, as its digits."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from ap_connectors.sandbox.clock import EPOCH

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII)
UNITS = {0: 1_000_000, 3: 1_000, 6: 1}


def written(instant: int, digits: int) -> str:
    """Write microseconds since 1970 with so many digits of a second: `2026-01-05T08:00:00.123Z`."""
    moment = EPOCH + timedelta(microseconds=instant)
    text = moment.isoformat(timespec="microseconds")
    return (text[:19] if digits == 0 else text[: 20 + digits]) + "Z"


def utc(text: str) -> int:
    """Read an instant as microseconds since 1970; one without a zone is UTC.

    Raises:
        ValueError: The text is no date with a time of day.
    """
    day, time, fraction, zone = _parts(text)
    moment = datetime.fromisoformat(f"{day}T{time}")
    if zone and zone not in "Zz":
        digits = zone[1:].replace(":", "")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        moment = moment - offset if zone[0] == "+" else moment + offset
    return (moment - EPOCH) // timedelta(microseconds=1) + int(fraction)


def wall(text: str) -> str:
    """Read a wall-clock time as text that sorts by its digits; a zone is not looked at.

    Raises:
        ValueError: The text is no date with a time of day.
    """
    day, time, fraction, _ = _parts(text)
    datetime.fromisoformat(f"{day}T{time}")  # raises if there is no such day or time
    return f"{day}T{time}.{fraction}"


def _parts(text: str) -> tuple[str, str, str, str | None]:
    if (match := _TIME.fullmatch(text)) is None:
        raise ValueError(f"{text[:60]!r} is not a date and time such as 2026-01-05T08:00:00.000Z")
    day, time, fraction, zone = match.groups()
    return day, time, (fraction or "").ljust(6, "0")[:6], zone
