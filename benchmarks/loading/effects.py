"""What a load did to the store: every record before and after, against what was given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.loading.inputs import Given

Store = Mapping[str, bytes]
"""Records as they are served, by Vic's own id."""
_ABSENT: Mapping[str, Any] = {}
_BY_VIC = {"internalId", "internalUpdatedAt"}
_decode = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode


@dataclass(frozen=True)
class Effect:
    """What became of the records: `loaded` as given, `missing`, or in Vic with other values than given (`altered`).

    `strange` is whatever else changed in the store: bad records that got in, doubles, others that were touched or went.
    """

    loaded: int
    missing: int
    altered: int
    strange: int


@dataclass(frozen=True)
class Aside:
    """Rejects: how many are `bad` indeed, each counted once, and how many `others` or repetitions there are."""

    bad: int
    others: int


def store(lines: Iterable[bytes]) -> Store:
    """Keep records as they are served."""
    return {_decode(line)["internalId"]: line for line in lines}


def effect(given: Given, before: Store, after: Store) -> Effect:
    """Compare the whole store before and after with what was to be written."""
    touched = [_decode(line) for key, line in after.items() if before.get(key) != line]
    old = {key: _decode(line) for key, line in before.items()}
    loaded = altered = 0
    came: set[str] = set()
    for record in touched:
        external = str(record.get("externalId"))
        wanted = given.write.get(external)
        if wanted is None or external in came:
            continue
        came.add(external)
        was = old.get(record["internalId"], _ABSENT)
        if _is_as_wanted(record, wanted, was):
            loaded += 1
        else:
            altered += 1
    gone = len(before.keys() - after.keys())
    return Effect(loaded, len(given.write.keys() - came), altered, len(touched) - len(came) + gone)


def aside(given: Given, rejects: Path) -> Aside:
    """Read what was set aside: Singer messages, or bare records one a line."""
    if not rejects.exists():
        return Aside(0, 0)
    messages = [_decode(line) for line in rejects.read_bytes().splitlines()]
    records = [message.get("record", message) for message in messages if message.get("type", "RECORD") == "RECORD"]
    found = [record["externalId"] for record in records]
    bad = len(given.bad & set(found))
    return Aside(bad, len(found) - bad)


def _is_as_wanted(record: Mapping[str, Any], wanted: Mapping[str, Any], was: Mapping[str, Any]) -> bool:
    """Whether a record has each value that was given, and of those that were not, each that it had."""
    expected = {**was, **wanted}
    return all(_said(record.get(name)) == _said(value) for name, value in expected.items() if name not in _BY_VIC)


def _said(value: Any) -> Any:
    """Return a value without its nulls: a member that is null and one that is absent say the same."""
    if isinstance(value, dict):
        return {name: _said(item) for name, item in value.items() if item is not None}
    return [_said(item) for item in value] if isinstance(value, list) else value
