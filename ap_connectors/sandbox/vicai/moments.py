"""When the seeded records last changed: in Vic's time (UTC), and on the Norwegian ERP's wall clock (local time)."""

from __future__ import annotations

import functools
from datetime import date
from hashlib import blake2b

from ap_connectors.sandbox import clock

MINUTE = 60_000
_WORKDAYS = 120
_PER_DAY = 40
# As many neighbours, at most, share one instant: what was approved together was saved together.
_TOGETHER = 8
# Norway's summer time of 2026, in UTC.
_SUMMER = (1_774_746_000_000, 1_792_890_000_000)
_DAY_ZERO = date(1970, 1, 1).toordinal()


class Moments:
    """Instants of a numbered row of records in ascending order, each computed from its number alone.

    Args:
        seed: decides everything.
        name: of the row ("invoices").
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
def day(number: int) -> str:
    """Write the day that is so many days after 1970-01-01."""
    return date.fromordinal(_DAY_ZERO + number).isoformat()


def text(instant: int) -> str:
    """Write milliseconds since 1970 without a zone, as `2026-01-05T08:00:00.123`."""
    days, rest = divmod(instant, clock.DAY)
    seconds, milliseconds = divmod(rest, 1000)
    minutes, seconds = divmod(seconds, 60)
    return f"{day(days)}T{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}.{milliseconds:03d}"


def utc(instant: int) -> str:
    """Write an instant as Vic does, as `2026-01-05T08:00:00.123Z`."""
    return f"{text(instant)}Z"


def wall(instant: int) -> str:
    """Write what the ERP's wall clock shows at an instant: local time that bears no zone."""
    summer = _SUMMER[0] <= instant < _SUMMER[1]
    return text(instant + (2 if summer else 1) * clock.HOUR)
