"""Instants as Įvesk writes them (``2026-01-05T10:11:12.123Z``), as numbers, and back.

The text of an instant is never rewritten on its way to a destination; numbers serve for comparing and asking only.
"""

from __future__ import annotations

import functools
import re
from datetime import datetime, timedelta, timezone

from ap_http.errors import Stop

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?)?\s*(Z|z|[+-]\d\d:?(?:\d\d)?)?"
)


@functools.lru_cache(maxsize=4096)
def milliseconds(instant: str) -> int:
    """Whole milliseconds since 1970, rounded down; a text without a zone counts as UTC, as the service's times are.

    Raises:
        ValueError: the text is no date and no instant.
    """
    match = _INSTANT.fullmatch(instant.strip())
    if match is None:
        raise ValueError(f"{instant!r} is not an instant such as 2026-01-05T10:11:12.123Z")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    moment = datetime(  # a wrong month or hour raises ValueError
        int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=timezone.utc
    )
    whole = (moment - _EPOCH) // timedelta(milliseconds=1)
    return whole + int((fraction or "0").ljust(3, "0")[:3]) - _offset_minutes(zone) * 60_000


def _offset_minutes(zone: str | None) -> int:
    if zone is None or zone in "Zz":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return -minutes if zone[0] == "-" else minutes


def text(moment: int) -> str:
    """Write milliseconds since 1970 the way the service wants ``from``; nothing before 1970 is asked for."""
    return (_EPOCH + timedelta(milliseconds=max(0, moment))).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def setting(name: str, value: str) -> int:
    """Read an instant from a setting.

    Raises:
        Stop: it is none; the message names the setting.
    """
    try:
        return milliseconds(value)
    except ValueError as error:
        raise Stop(f"{name}: {error}.") from None
