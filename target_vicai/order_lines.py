"""The lines of purchase orders: read, added up, and compared with Vic's by their numbers."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from ap_connectors.core.errors import Reject
from ap_connectors.singer.diff import Change, diff, merge_missing
from ap_connectors.singer.schema import ObjectSchema
from ap_connectors.vicai import contract
from target_vicai.copy import Plain
from target_vicai.loader import TEXT

_NAMES = "dimensionsExternalIds"
# Sums are exact: more digits than any amount has, and no context of somebody else's.
_EXACT = Context(prec=4000)


@dataclass(frozen=True)
class LineChanges:
    """What has to happen to an order's lines.

    Args:
        changed: Vic's lines that differ, each with what it is to be.
        new: lines that Vic lacks.
        gone: Vic's lines that the record lacks.
        changes: all of this, as a plan shows it.
    """

    changed: tuple[tuple[Plain, Plain], ...] = ()
    new: tuple[Plain, ...] = ()
    gone: tuple[Plain, ...] = ()
    changes: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.changed or self.new or self.gone)


@functools.cache
def shape() -> ObjectSchema:
    """Return what a line looks like when it is written."""
    body = contract.operation("updatePurchaseOrderLineItem").body["application/json"]
    return ObjectSchema.of(contract.inlined(body))


@functools.cache
def readable() -> ObjectSchema:
    """Return what Vic shows of a line."""
    return ObjectSchema.of(contract.component("PurchaseOrder")["properties"]["lineItems"]["items"])


def with_names(schema: contract.Schema) -> contract.Schema:
    """Return an order's schema with what else a record's line may bear: dimensions by the ERP's ids alone."""
    lines = schema["properties"]["lineItems"]
    fields = {**lines["items"]["properties"], _NAMES: {"type": "array", "items": TEXT}}
    lines = {**lines, "items": {**lines["items"], "properties": fields}}
    return {**schema, "properties": {**schema["properties"], "lineItems": lines}}


def read(lines: Iterable[Mapping[str, Any]]) -> list[Plain]:
    """Return a record's lines as they are written.

    Null says nothing where Vic's contract knows no null (quantities): such a value cannot be cleared.

    Raises:
        Reject: two lines have one number.
    """
    taken, numbers = [], set()
    for line in lines:
        number = line["lineNumber"]
        if number in numbers:
            raise Reject(f"lineItems: lineNumber {number} is there twice; Vic.ai knows a line by its number.")
        numbers.add(number)
        taken.append(_read(line))
    return taken


def dimensions(lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the ERP's ids of all dimensions that lines name by it."""
    return [one["externalId"] for line in lines for one in line.get("dimensions") or () if one.get("externalId")]


def total(lines: Iterable[Mapping[str, Any]]) -> Decimal:
    """Add up what lines come to, exactly.

    Raises:
        Reject: a line's total, as Vic shows it, is no number.
    """
    whole = Decimal(0)
    for line in lines:
        try:
            whole = _EXACT.add(whole, Decimal(line.get("lineItemTotal") or 0))
        except InvalidOperation:
            raise Reject(f"{place(line)}.lineItemTotal is no number at Vic.ai: {line['lineItemTotal']!r}.") from None
    return whole


def difference(one: Decimal, other: Decimal) -> Decimal:
    """Return the exact difference of two amounts."""
    return _EXACT.subtract(one, other)


def place(line: Mapping[str, Any]) -> str:
    """Return how messages and plans name a line."""
    return f"lineItems[lineNumber {line.get('lineNumber')}]"


def compared(ours: Iterable[Plain], theirs: Sequence[Plain], *, merge: bool, all_: bool = False) -> LineChanges:
    """Say what has to happen to Vic's lines so that they are a record's.

    Args:
        ours: the record's lines, read.
        theirs: the order's lines as Vic shows them.
        merge: whether members that a line of ours lacks keep Vic's value; else those that can be null become so.
        all_: write lines that are equal, too.

    Raises:
        Reject: a line would have to change or go that an invoice is matched to, which Vic does not allow.
    """
    held: dict[Any, Plain] = {}
    for line in theirs:
        held.setdefault(line.get("lineNumber"), line)
    known: set[int] = set()
    changed, new, said = [], [], []
    for line in ours:
        old = held.get(line["lineNumber"])
        if old is None:
            new.append(line)
            said.append(Change(place(line), None, "created"))
            continue
        known.add(id(old))
        wanted = line if merge else {**_blank(), **line}
        found = diff(shape(), wanted, _aligned(wanted, old), readable=readable())
        if found and _is_matched(old):
            first = found[0]
            raise _bound(old, f"{first.path} is {first.old} at Vic.ai and {first.new} in the record")
        if found or (all_ and not _is_matched(old)):
            changed.append((old, merge_missing(shape(), wanted, old)))
        said += [Change(f"{place(line)}.{one.path}", one.old, one.new) for one in found]
    # Those without a number too, and a second one of a number: neither can be one of the record's.
    gone = [line for line in theirs if id(line) not in known]
    for line in gone:
        if _is_matched(line):
            raise _bound(line, "the record has no such line")
        said.append(Change(place(line), None, "deleted"))
    return LineChanges(tuple(changed), tuple(new), tuple(gone), tuple(said))


def _read(line: Mapping[str, Any]) -> Plain:
    members, names = shape().members, line.get(_NAMES)
    taken = {
        name: value
        for name, value in line.items()
        if name != _NAMES
        and (name in members or name not in readable().members)
        and (value is not None or name not in members or members[name].nullable or name == "dimensions")
    }
    if names is not None and taken.get("dimensions") is None:
        taken["dimensions"] = [{"externalId": one} for one in names if one is not None]
    elif "dimensions" in taken:
        taken["dimensions"] = [
            {name: value for name, value in one.items() if value is not None} for one in taken["dimensions"] or ()
        ]
    return taken


@functools.cache
def _blank() -> Plain:
    """Return what clears everything that a line need not have."""
    members, required = shape().members, shape().required
    blank = {name: None for name, member in members.items() if member.nullable and name not in required}
    return {**blank, "dimensions": []}


def _aligned(ours: Plain, theirs: Plain) -> Plain:
    """Return Vic's line with its dimensions in our order, and with our capitals in the name of the matching."""
    aligned = dict(theirs)
    kind, known = ours.get("matchingType"), theirs.get("matchingType")
    if isinstance(kind, str) and isinstance(known, str) and kind.casefold() == known.casefold():
        aligned["matchingType"] = kind
    if ours.get("dimensions") and theirs.get("dimensions"):
        rest = list(theirs["dimensions"])
        places = []
        for one in ours["dimensions"]:
            found = next((other for other in rest if one.items() <= other.items()), None)
            if found is None:
                return aligned
            rest.remove(found)
            places.append(found)
        aligned["dimensions"] = places + rest
    return aligned


def _is_matched(line: Plain) -> bool:
    return bool(line.get("invoiceItemsMatched"))


def _bound(line: Plain, why: str) -> Reject:
    return Reject(
        f"{place(line)} is matched to a posted invoice, so Vic.ai lets nobody change or delete it, but {why}. "
        "Nothing of the order was changed: send the line as it is at Vic.ai, or undo the match there."
    )
