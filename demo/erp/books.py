"""Does it tie? The ERP's file against Vic.ai, field by field; and whatever else Vic holds against what it held."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from demo.erp.export import Export
from demo.erp.store import Place, Store
from demo.erp.streams import STREAMS, VICS_OWN, Record

_NOTHING: tuple[Any, ...] = (None, "", [], {})

Key = tuple[str, ...]
ByUsers = Mapping[tuple[str, Key], Record]
"""Fields that users filled in at Vic.ai, by stream and key: a load has to leave them alone."""


def differences(export: Export, by_users: ByUsers, before: Store, after: Store) -> Iterator[str]:
    """Says in a line each what is not the same."""
    ours: set[Place] = set()
    for stream, records in export.items():
        theirs = _by_key(stream, after)
        for record in records:
            key = _key(stream, record)
            title = f"{stream} {' '.join(key)}"
            found = theirs.get(key, {})
            if len(found) != 1:
                yield f"{title} is at Vic.ai {len(found)} times"
            ours |= found.keys()
            for one in found.values():
                yield from _values(title, record | by_users.get((stream, key), {}), one)
        for key, times in Counter(_key(stream, record) for record in records).items():
            if times != 1:
                yield f"{stream} {' '.join(key)} is in the file {times} times"
    yield from _others(ours, before, after)


def counts(export: Export, after: Store) -> Iterator[tuple[str, int, int]]:
    """Name of each stream, its records in the file, and how many of them Vic.ai holds."""
    for stream, records in export.items():
        theirs = _by_key(stream, after)
        yield stream, len(records), sum(len(theirs.get(_key(stream, record), {})) for record in records)


def _key(stream: str, record: Mapping[str, Any]) -> Key:
    return tuple(str(record.get(field)) for field in STREAMS[stream].key)


def _by_key(stream: str, store: Store) -> dict[Key, dict[Place, Record]]:
    found: dict[Key, dict[Place, Record]] = {}
    for place, record in store.told(stream).items():
        found.setdefault(_key(stream, record), {})[place] = record
    return found


def _others(ours: set[Place], before: Store, after: Store) -> Iterator[str]:
    for place, line in before.lines.items():
        if after.lines.get(place) != line:
            yield f"{place[0]} {place[1][:60]} of Vic.ai's {'has changed' if place in after.lines else 'is gone'}"
    for place in after.lines.keys() - before.lines.keys() - ours:
        yield f"{place[0]} {place[1][:60]} came from nowhere"


def _values(title: str, ours: Any, theirs: Any) -> Iterator[str]:
    """What differs: the ERP's fields have to be the same to the digit, and nothing may be there that it did not say."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name, value in ours.items():
            yield from _values(f"{title}: {name}", value, theirs.get(name))
        for name in theirs.keys() - ours.keys() - VICS_OWN:
            if theirs[name] not in _NOTHING:
                yield f"{title}: {name} came from nowhere: {theirs[name]}"
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True), 1):
            yield from _values(f"{title} {number}", one, other)
    elif (type(ours), str(ours)) != (type(theirs), str(theirs)):
        yield f"{title} {ours!r} became {theirs!r}"
