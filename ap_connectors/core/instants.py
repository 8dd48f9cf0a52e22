"""Instants as services write them (``2026-01-05T10:11:12.123Z``), converted to numbers and back.

The text of an instant is never rewritten on its way to a destination; numbers serve to compare and to ask only.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from ap_connectors.core.errors import Stop

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FIRST_DAY = _EPOCH.toordinal()
_LAST = 253_402_300_799_999
_ZONE = r"(Z|z|[+-](?:0\d|1[0-5]):?(?:[0-5]\d)?)"
"""Databases take offsets up to 15:59, and no clock on Earth has a larger one."""
_INSTANT = re.compile(rf"(\d{{4}})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?)?\s*{_ZONE}?", re.ASCII)


USUAL_DAY = r"(?!0000)[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
"""The pattern of days that every month has; whether there is another has to be looked up."""
USUAL_CLOCK = r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
"""The pattern of the times of a day as services write them, without a zone."""
is_usual = re.compile(f"{USUAL_DAY}{USUAL_CLOCK}Z?").fullmatch
"""What tells in a twentieth of the time that a text is an instant; of unusual ones it does not."""


@dataclass(frozen=True)
class Clock:
    """Whose times a field has: the service's, in UTC, or those of a wall clock (`local`).

    Wall-clock times are compared by their digits. They have no zone, and never get one.
    """

    local: bool = False

    def milliseconds(self, instant: str) -> int:
        """Return whole milliseconds since 1970 on this clock, rounded down.

        Raises:
            ValueError: the text is neither a date nor an instant.
        """
        return milliseconds(_on_the_wall(instant) if self.local else instant)

    def knows(self, instant: str) -> bool:
        """Return whether a text is an instant."""
        try:
            self.milliseconds(instant)
        except ValueError:
            return False
        return True

    def text(self, moment: int) -> str:
        """Write milliseconds since 1970 the way the services want to be asked; nothing before 1970 is asked for."""
        return text(moment)[:-1] if self.local else text(moment)

    def setting(self, name: str, value: str) -> int:
        """Read an instant from a setting.

        Raises:
            Stop: it is not one; the message names the setting.
        """
        return setting(name, _on_the_wall(value) if self.local else value)


UTC, LOCAL = Clock(), Clock(local=True)


@functools.lru_cache(maxsize=4096)
def milliseconds(instant: str) -> int:
    """Return whole milliseconds since 1970, rounded down; a text without a zone is in UTC, as the services' times are.

    Raises:
        ValueError: the text is neither a date nor an instant.
    """
    match = _INSTANT.fullmatch(instant.strip())
    if match is None:
        raise ValueError(f"{instant!r} is not an instant such as 2026-01-05T10:11:12.123Z")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    moment = datetime(  # a wrong month or hour raises ValueError
        int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=timezone.utc
    )
    # Whole numbers: a difference of datetimes takes twice as long.
    days = moment.toordinal() - _FIRST_DAY
    seconds = ((days * 24 + moment.hour) * 60 + moment.minute - _offset_minutes(zone)) * 60 + moment.second
    return seconds * 1000 + int((fraction or "0").ljust(3, "0")[:3])


_ZONE_OF_A_CLOCK = re.compile(rf"(:\d\d(?:[.,]\d+)?)\s*{_ZONE}$", re.ASCII)


def _on_the_wall(instant: str) -> str:
    return _ZONE_OF_A_CLOCK.sub(r"\1", instant.strip())


def _offset_minutes(zone: str | None) -> int:
    if zone is None or zone in "Zz":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return -minutes if zone[0] == "-" else minutes


def text(moment: int) -> str:
    """Write milliseconds since 1970 the way the services want to be asked; nothing before 1970 or after 9999 is."""
    return (_EPOCH + timedelta(milliseconds=min(max(0, moment), _LAST))).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def setting(name: str, value: str) -> int:
    """Read an instant from a setting.

    Raises:
        Stop: it is not one; the message names the setting.
    """
    try:
        return milliseconds(value)
    except ValueError:
        raise Stop(f"{name}: {value!r} is not a date or an instant, such as 2026-01-05T10:11:12.123Z.") from None


# Which of two times of one ERP is earlier


def has_zone(instant: str) -> bool:
    """Return whether an instant says its zone."""
    clock = instant[10:]
    # Looked for first: most times of an ERP have no zone, and each record of a load has one.
    if not ("Z" in clock or "+" in clock or "-" in clock or "z" in clock):
        return False
    match = _INSTANT.fullmatch(instant.strip())
    return match is not None and match[8] is not None


def is_earlier(one: str, other: str, erp: ZoneInfo | None = None) -> bool:
    """Return whether one time is surely before another; False if a text is not an instant.

    Where both have a zone, instants count. Where neither has, digits count, but not between two times of the hour that
    comes twice when clocks go back. Where only one has, the ERP's zone says what the other means; without that, digits.

    Args:
        one: a time of the ERP.
        other: another one.
        erp: the zone of the ERP's clock, if known.
    """
    if not (UTC.knows(one) and UTC.knows(other)):
        return False
    if has_zone(one) and has_zone(other):
        return UTC.milliseconds(one) < UTC.milliseconds(other)
    if erp is not None:
        (first, last), (first_other, last_other) = _readings(one, erp), _readings(other, erp)
        if has_zone(one) or has_zone(other):
            return last < first_other
        if first < last and first_other < last_other and first_other <= last:
            return False
    return LOCAL.milliseconds(one) < LOCAL.milliseconds(other)


def _readings(instant: str, erp: ZoneInfo) -> tuple[int, int]:
    """Return the first and the last instant that a time can mean: two in the hour that comes twice."""
    digits = milliseconds(instant)
    if has_zone(instant):
        return digits, digits
    wall = (_EPOCH + timedelta(milliseconds=digits)).replace(tzinfo=erp)
    offsets = [(wall.replace(fold=fold).utcoffset() or timedelta()) // timedelta(milliseconds=1) for fold in (0, 1)]
    # In the hour that is left out the second offset is the larger one; there is only one reading of what never was.
    return digits - offsets[0], digits - min(offsets)


def time_zone(name: str, value: str) -> ZoneInfo:
    """Read a time zone from a setting.

    Raises:
        Stop: it is not one; the message names the setting.
    """
    try:
        return ZoneInfo(value.strip())
    except (LookupError, ValueError, OSError):
        raise Stop(
            f"{name}: {value!r} is not a time zone known to this machine. Give a name such as Europe/Vilnius or "
            "Europe/Oslo; where no name is known, install time zone data (pip install tzdata)."
        ) from None
