"""Long campaigns: many seeds of kills and faults, in full under `make campaign`, a sample of each in `make test`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from tests.postgresql import needs_postgresql

DATABASES = ("duckdb", "postgresql")
SAMPLE = 1
"""So many seeds of a campaign are in `make test`."""
BOTH_AGES = pytest.mark.parametrize(
    "age", ["live", pytest.param("0.20", marks=[pytest.mark.campaign, pytest.mark.long])]
)
"""Run a test against Vic.ai as it is today, and in the campaign as it was in 0.20.0, too."""


def seeds(numbers: Iterable[int], sample: int = SAMPLE) -> pytest.MarkDecorator:
    """Run a test for each seed: all of them in the campaign, the first few also among the tests."""
    marked = [
        pytest.param(seed, marks=[pytest.mark.campaign, *([pytest.mark.long] if place >= sample else [])])
        for place, seed in enumerate(numbers)
    ]
    return pytest.mark.parametrize("seed", marked)


def further(*values: Any) -> list[Any]:
    """Mark a test's values as those that only the campaign tries."""
    return [pytest.param(value, marks=[pytest.mark.campaign, pytest.mark.long]) for value in values]


def one_in(many: int) -> pytest.MarkDecorator:
    """Of a test's cases, try each so-many-th among the tests, and all in the campaign.

    `many` shares no divisor with the number of cases: so each value of each parameter has its turn.
    """
    return pytest.mark.one_in(many)


def thin(items: Sequence[pytest.Item]) -> None:
    """Leave to the campaign what `one_in` leaves to it, and whatever is long: else nothing would run that."""
    _share_out_databases(items)
    places: Counter[str] = Counter()
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker("campaign")
        mark = item.get_closest_marker("one_in")
        if mark is not None:
            name = item.nodeid.partition("[")[0]
            item.add_marker("campaign")
            if places[name] % mark.args[0]:
                item.add_marker("long")
            places[name] += 1


def _share_out_databases(items: Sequence[pytest.Item]) -> None:
    """Try each test of a warehouse in one of the databases, by turns, and in the campaign in all."""
    names: dict[str, int] = {}
    for item in items:
        database = getattr(getattr(item, "callspec", None), "params", {}).get("database")
        if database not in DATABASES or needs_postgresql.args[0]:
            continue
        turn = names.setdefault(item.nodeid.partition("[")[0], len(names))
        item.add_marker("campaign")
        if database != DATABASES[turn % 2]:
            item.add_marker("long")
