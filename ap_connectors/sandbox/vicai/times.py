"""Vic's two clocks: instants in UTC, and the ERP's wall clock, local time without a zone; read and written."""

from __future__ import annotations

import functools
import re
from datetime import date, datetime, timedelta
from hashlib import blake2b

from ap_connectors.sandbox import clock
from ap_connectors.sandbox.clock import EPOCH

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII)
UNITS = {0: 1_000_000, 3: 1_000, 6: 1}


def write_utc(instant: int, digits: int) -> str:
    """Write microseconds since 1970 with 0, 3 or 6 digits of a second: `2026-01-05T08:00:00.123Z`."""
    moment = EPOCH + timedelta(microseconds=instant)
    text = moment.isoformat(timespec="microseconds")
    return (text[:19] if digits == 0 else text[: 20 + digits]) + "Z"


def read_utc(text: str) -> int:
    """Read an instant as microseconds since 1970; one without a zone is UTC.

    Raises:
        ValueError: The text is not a date with a time of day.
    """
    day, time, fraction, zone = _parts(text)
    moment = datetime.fromisoformat(f"{day}T{time}")
    if zone and zone not in "Zz":
        digits = zone[1:].replace(":", "")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        moment = moment - offset if zone[0] == "+" else moment + offset
    return (moment - EPOCH) // timedelta(microseconds=1) + int(fraction)


def read_wall(text: str) -> str:
    """Read a wall-clock time as text that sorts by its digits; a zone is not looked at.

    Raises:
        ValueError: The text is not a date with a time of day.
    """
    day, time, fraction, _ = _parts(text)
    datetime.fromisoformat(f"{day}T{time}")  # raises if the day or time does not exist
    return f"{day}T{time}.{fraction}"


def _parts(text: str) -> tuple[str, str, str, str | None]:
    if (match := _TIME.fullmatch(text)) is None:
        raise ValueError(f"{text[:60]!r} is not a date and time such as 2026-01-05T08:00:00.000Z")
    day, time, fraction, zone = match.groups()
    return day, time, (fraction or "").ljust(6, "0")[:6], zone


MINUTE = 60_000
_WORKDAYS = 120
_PER_DAY = 40
# As many neighbours, at most, share one instant: what was approved together was saved together.
_TOGETHER = 8
# Norway's summer time of 2026, in UTC.
_SUMMER = (1_774_746_000_000, 1_792_890_000_000)
_DAY_ZERO = date(1970, 1, 1).toordinal()


class SeededInstants:
    """Instants of numbered records in ascending order, each computed from its number alone.

    Args:
        seed: decides everything.
        name: of the records ("invoices").
        expected: how many records the working days must hold.
    """

    def __init__(self, seed: int, name: str, expected: int) -> None:
        self._words = f"moment/{name}/{seed}".encode()
        self._per_day = max(_PER_DAY, -(-expected // _WORKDAYS))
        self._step = (clock.CLOSES - clock.OPENS) // self._per_day

    def at(self, number: int) -> int:
        """Return the instant of a record in milliseconds since 1970; a later record's is never earlier."""
        bits = self._bits(b"block", number // _TOGETHER)
        if bits % 6 == 0:
            number -= number % _TOGETHER
        workday, place = divmod(number, self._per_day)
        day = workday // 5 * 7 + workday % 5
        return clock.START + day * clock.DAY + place * self._step + self._bits(b"lag", number) % self._step

    def _bits(self, word: bytes, number: int) -> int:
        words = b"%b/%b/%d" % (self._words, word, number)
        return int.from_bytes(blake2b(words, digest_size=8).digest(), "big")


@functools.lru_cache(maxsize=4096)
def day_text(number: int) -> str:
    """Write a day, given as days since 1970-01-01."""
    return date.fromordinal(_DAY_ZERO + number).isoformat()


def _text(instant: int) -> str:
    """Write milliseconds since 1970 without a zone, as `2026-01-05T08:00:00.123`."""
    days, rest = divmod(instant, clock.DAY)
    seconds, milliseconds = divmod(rest, 1000)
    minutes, seconds = divmod(seconds, 60)
    return f"{day_text(days)}T{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}.{milliseconds:03d}"


def utc_text(instant: int) -> str:
    """Write an instant as Vic does, as `2026-01-05T08:00:00.123Z`."""
    return f"{_text(instant)}Z"


def wall_text(instant: int) -> str:
    """Write what the ERP's wall clock shows at an instant: local time without a zone."""
    summer = _SUMMER[0] <= instant < _SUMMER[1]
    return _text(instant + (2 if summer else 1) * clock.HOUR)
