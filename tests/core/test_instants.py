"""Instants: read in every form, never rewritten."""

from __future__ import annotations

import re

import pytest

from ap_connectors.core import instants
from ap_connectors.core.errors import Stop
from ap_connectors.core.instants import LOCAL, UTC, Clock

NEW_YEAR = 1_767_225_600_000


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [
        ("2026-01-01T00:00:00.000Z", 0),
        ("2026-01-01", 0),
        ("2026-01-01T00:00Z", 0),
        ("2026-01-01T00:00:00", 0),
        ("2026-01-01 00:00:00.5z", 500),
        ("2026-01-01T00:00:00.1239Z", 123),
        ("2026-01-01T00:00:00.123456789Z", 123),
        ("2026-01-01T02:00:00.001+02:00", 1),
        ("2025-12-31T19:00:00-0500", 0),
        ("2026-01-01T02:00+02", 0),
        (" 2026-01-01T00:00:00,250Z ", 250),
    ],
)
def test_milliseconds(written: str, milliseconds: int) -> None:
    assert instants.milliseconds(written) == NEW_YEAR + milliseconds


@pytest.mark.parametrize("clock", ["T10:11:12", "T10:11:12.5", " 10:11", "T10:11:12 "])
@pytest.mark.parametrize("zone", ["Z", "z", "+02", "-0200", "+02:00", "Z ", " Z", "+02:00\n", ""])
def test_a_zone_is_seen_whatever_blanks_there_are(clock: str, zone: str) -> None:
    assert instants.has_zone(f" 2026-01-05{clock}{zone}") == bool(zone)


def test_a_blank_behind_a_zone_makes_no_other_clock_of_it() -> None:
    """A record was left out as older, or written over a newer one."""
    assert instants.is_earlier("2026-01-05T10:11:12Z ", "2026-01-05T09:12:00-02:00")
    assert not instants.is_earlier("2026-01-05T09:12:00-02:00", "2026-01-05T10:11:12Z ")


def test_what_is_usual_is_an_instant() -> None:
    days = [
        f"{year}-{month:02}-{day:02}" for year in ("0000", "0001", "9999") for month in range(14) for day in range(33)
    ]
    clocks = [
        f"T{hour:02}:{minute}:{second}"
        for hour in range(26)
        for minute in ("00", "59", "60")
        for second in ("00", "59", "60")
    ]
    found = 0
    for text in [f"{day}T10:11:12" for day in days] + [f"2026-02-28{clock}" for clock in clocks]:
        for end in ("", ".1", ".123456", ".", "Z", "z", ".5Z", "+00:00", "\n", "\u0661"):
            if instants.is_usual(written := f"{text}{end}"):
                instants.milliseconds(written)
                assert (instants.has_zone(written), written.isascii()) == (written.endswith("Z"), True)
                found += 1
    assert found > 3000


@pytest.mark.parametrize(
    "written",
    [
        *("", "soon", "2026", "2026-13-01", "2026-02-30", "2026-01-01T25:00:00Z", "1767225600"),
        *(f"2026-01-01T10:00:00{zone}" for zone in ("+99:99", "-16:00", "+02:60", "+9960")),
        *("٢٠٢٦-01-01T10:00:00Z", "2026-01-01T10:00:0５Z", "2026-01-01T10:00:00+０2:00"),
    ],
)
def test_what_is_none(written: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any words will do
        instants.milliseconds(written)
    with pytest.raises(Stop, match="start_date: "):
        instants.setting("start_date", written)


def test_text() -> None:
    assert instants.text(NEW_YEAR + 7) == "2026-01-01T00:00:00.007Z"
    assert instants.text(-1) == "1970-01-01T00:00:00.000Z"


@pytest.mark.parametrize("moment", [0, 1, NEW_YEAR - 1, NEW_YEAR + 999, 4_102_444_800_000])
def test_there_and_back(moment: int) -> None:
    assert instants.milliseconds(instants.text(moment)) == moment


class TestWallClock:
    """A clock on somebody's wall: its digits are compared, and it never gets a zone."""

    @pytest.mark.parametrize(
        ("written", "milliseconds"),
        [
            ("2026-01-01T00:00:00.250", 250),
            ("2026-01-01T00:00:00.250Z", 250),
            ("2026-01-01T00:00:00.250+02:00", 250),
            ("2026-01-01T00:00:00-0500", 0),
            ("2026-01-01T00:00:00.2509 +02", 250),
            ("2026-01-01T00:00Z", 0),
            ("2026-01-01T00:00+02:00", 0),
            ("2026-01-01", 0),
            (" 2026-01-01 00:00 ", 0),
        ],
    )
    def test_digits_count_whatever_the_zone(self, written: str, milliseconds: int) -> None:
        assert LOCAL.milliseconds(written) == NEW_YEAR + milliseconds
        assert LOCAL.setting("start_date", written) == NEW_YEAR + milliseconds

    @pytest.mark.parametrize("moment", [0, 1, NEW_YEAR - 1, NEW_YEAR + 999, 4_102_444_800_000])
    def test_there_and_back_without_a_zone(self, moment: int) -> None:
        written = LOCAL.text(moment)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}", written)
        assert LOCAL.milliseconds(written) == moment
        assert UTC.text(moment) == written + "Z"

    def test_the_other_clock_knows_zones(self) -> None:
        assert UTC.milliseconds("2026-01-01T02:00:00+02:00") == NEW_YEAR
        assert LOCAL.milliseconds("2026-01-01T02:00:00+02:00") == NEW_YEAR + 2 * 3_600_000

    @pytest.mark.parametrize("clock", [UTC, LOCAL])
    def test_what_is_none(self, clock: Clock) -> None:
        assert clock.knows("2026-01-01T00:00:00.1")
        for written in ("", "soon", "2026-02-30T00:00:00", "0001-01-01x"):
            assert not clock.knows(written)
            with pytest.raises(Stop, match="start_date: "):
                clock.setting("start_date", written)
