"""Members of objects as columns of a sheet, called as in lists: "taxInfo.orgNumber"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_DEPTH = 4


def flat(record: Mapping[str, Any], heads: Sequence[str] = (), depth: int = _DEPTH) -> dict[str, Any]:
    """Return the fields of a record that have columns of their own. Lists, and what has dots in its names, stay whole.

    Args:
        record: as it came.
        heads: of the sheet that is read: an object that has a column there, and its members none, stays whole.
        depth: how many objects may be within each other.
    """
    if not depth or _has_dots(record):
        return dict(record)
    found: dict[str, Any] = {}
    for name, value in record.items():
        within = [head.removeprefix(f"{name}.") for head in heads if head.startswith(f"{name}.")]
        is_whole = depth == 1 or (name in heads and not within)
        if isinstance(value, dict) and value and not is_whole and not _has_dots(value):
            found |= {f"{name}.{member}": held for member, held in flat(value, within, depth - 1).items()}
        else:
            found[name] = value
    return found


def with_member(record: Mapping[str, Any], head: str, value: Any) -> dict[str, Any]:
    """Return a record in which what stands in a column has another value."""
    name, _, member = head.partition(".")
    if not member or _has_dots(record):
        return {**record, head: value}
    held = record.get(name)
    return {**record, name: with_member(held if isinstance(held, dict) else {}, member, value)}


def _has_dots(names: Mapping[str, Any]) -> bool:
    return any("." in name for name in names)
