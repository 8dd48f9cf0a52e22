"""What purchase orders consist of: lines, compared with Vic's one by one; their sum; and what they refer to.

A line is known by the ERP's id of it, else by its number.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from ap_connectors.core import exact
from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.coercion import quoted
from ap_connectors.singer.diff import Change, diff, merge_missing
from ap_connectors.singer.schema import ObjectSchema
from ap_connectors.vicai import contract
from target_vicai.context import Reference
from target_vicai.item import Item, as_param
from target_vicai.sink import TEXT

_DIMENSION_IDS = "dimensionsExternalIds"
_MATCHING = ("TWO_WAY", "THREE_WAY", "FOUR_WAY")
_KNOWN_BY = {"receiptLines": "receiptLineRemoteId", "scheduleLines": "poScheduleLineRemoteId"}
"""Lists in a line whose elements have an id of the ERP's: their order says nothing."""


@dataclass(frozen=True)
class LineChanges:
    """What has to happen to an order's lines.

    Args:
        changed: Vic's lines that differ, each with what it is to be.
        new: lines that Vic lacks.
        gone: Vic's lines that the record lacks.
        changes: all of this, as a plan shows it.
        refused: what the record wants of lines that have to stay as they are, because invoices are matched to them.
        result: the lines as they will be.
    """

    changed: tuple[tuple[JsonObject, JsonObject], ...] = ()
    new: tuple[JsonObject, ...] = ()
    gone: tuple[JsonObject, ...] = ()
    changes: tuple[Change, ...] = ()
    refused: tuple[Reject, ...] = ()
    result: tuple[JsonObject, ...] = ()

    def __bool__(self) -> bool:
        """Return whether there is anything to do."""
        return bool(self.changed or self.new or self.gone)


@functools.cache
def line_schema() -> ObjectSchema:
    """Return what a line looks like when it is written."""
    body = contract.operation("updatePurchaseOrderLineItem").body["application/json"]
    return ObjectSchema.of(contract.inlined(body))


@functools.cache
def line_read_schema(age: contract.Age) -> ObjectSchema:
    """Return what Vic shows of a line."""
    return ObjectSchema.of(contract.component("PurchaseOrder", age)["properties"]["lineItems"]["items"])


def with_dimension_ids(schema: contract.Schema) -> contract.Schema:
    """Return an order's schema whose lines may also name dimensions by the ERP's ids alone."""
    lines = schema["properties"]["lineItems"]
    fields = {**lines["items"]["properties"], _DIMENSION_IDS: {"type": "array", "items": TEXT}}
    lines = {**lines, "items": {**lines["items"], "properties": fields}}
    return {**schema, "properties": {**schema["properties"], "lineItems": lines}}


def parse_lines(lines: Iterable[Mapping[str, Any]], *, live: bool) -> list[JsonObject]:
    """Return a record's lines as they are written.

    Null says nothing where Vic's contract has no null (quantities): such a value cannot be cleared.

    Args:
        lines: as the record has them.
        live: whether the service spells the kinds of matching in small letters (`VicaiClient.is_live`).

    Raises:
        Reject: two lines have one number or one id, or receipts do not add up to what the line says was received.
    """
    parsed, seen = [], set()
    for line in lines:
        for name, word in (("lineNumber", "number"), ("externalId", "id")):
            if (value := line.get(name)) is None:
                continue
            if (name, value) in seen:
                message = (
                    f"lineItems: {name} {value} is there twice; Vic.ai knows a line by its {word}. Give each its own."
                )
                raise Reject(message, "line_given_twice", line=line["lineNumber"])
            seen.add((name, value))
        _check_receipts(line)
        parsed.append(_spelled(_parse_line(line), live=live))
    return parsed


def _check_receipts(line: Mapping[str, Any]) -> None:
    """Check that goods receipts add up to the quantities of their line: Vic refuses the whole order otherwise.

    Raises:
        Reject: they do not.
    """
    for name, part in (("quantityReceived", "receivedQuantity"), ("quantityAccepted", "acceptedQuantity")):
        parts = [one[part] for one in line.get("receiptLines") or () if one.get(part) is not None]
        stated, together = line.get(name), exact.add(*map(Decimal, parts)) if parts else None
        if together is None or stated is None or Decimal(stated) == together:
            continue
        difference = exact.add(Decimal(stated), together.copy_negate())
        field = f"{path_of(line)}.{name}"
        raise Reject(
            f"{field} is {stated}, but its receiptLines add up to {together:f}. Nothing was sent: correct one of them.",
            "header_and_lines_differ",
            field=field,
            stated=str(stated),
            together=f"{together:f}",
            difference=f"{difference:f}",
        )


def vendor_reference(item: Item) -> JsonObject:
    """Return what names the vendor, in one way: Vic looks it up."""
    given = item.body.get("vendor") or {
        "internalId": item.extras.get("vendorInternalId"),
        "externalId": item.extras.get("vendorExternalId"),
    }
    given = {name: value for name, value in given.items() if value is not None}
    best = next((name for name in ("internalId", "externalId") if name in given), None)
    return {best: given[best]} if best else given


def is_vendor(reference: JsonObject, vendor: JsonObject) -> bool:
    """Return whether a reference leads to the vendor that an order has."""
    for name in ("internalId", "externalId", "name"):
        if name in reference:
            return bool(reference[name] == vendor.get(name))
    tax, pay = vendor.get("taxInfo") or {}, vendor.get("defaultPaymentInfo") or {}
    accounts = {pay.get(name) for name in ("bankAccountNum", "bban", "bankGiro", "plusGiro")}
    accounts.add((pay.get("internationalBankAccount") or {}).get("iban"))
    return (
        reference.get("orgNumber") == tax.get("orgNumber")
        and reference.get("countryCode") == vendor.get("countryCode")
        and reference.get("bankAccount") in {None, *accounts}
    )


def references(vendor: JsonObject | None, lines: list[JsonObject]) -> set[Reference]:
    """Return what an order refers to by the ERP's ids."""
    found = {
        ("dimensions", one["externalId"])
        for line in lines
        for one in line.get("dimensions") or ()
        if one.get("externalId")
    }
    return found | ({("vendors", vendor["externalId"])} if vendor and vendor.get("externalId") else set())


def total(lines: Iterable[Mapping[str, Any]]) -> Decimal:
    """Return the exact sum of some lines.

    Raises:
        Reject: a line's total, as Vic shows it, is not a number.
    """
    amounts = []
    for line in lines:
        try:
            amounts.append(Decimal(line.get("lineItemTotal") or 0))
        except InvalidOperation:
            path, value = f"{path_of(line)}.lineItemTotal", quoted(line["lineItemTotal"])
            message = f"{path} is not a number at Vic.ai: {value}. Correct it there."
            raise Reject(message, "not_a_number_at_vicai", field=path, value=value) from None
    return exact.add(*amounts)


def order_amount(body: JsonObject, lines: list[JsonObject]) -> str:
    """Return the order's amount: what the record says, which must be what the lines add up to."""
    together, given = total(lines), body.get("amount")
    if given is None:
        return format(together, "f")
    if Decimal(given) != together:
        difference = exact.add(Decimal(given), together.copy_negate())
        raise Reject(
            f"amount is {given}, but the line items add up to {together:f}: a difference of {difference:f}. "
            "Nothing was sent: correct the amount or the lines.",
            "header_and_lines_differ",
            field="amount",
            stated=str(given),
            together=f"{together:f}",
            difference=f"{difference:f}",
        )
    return str(given)


def path_of(line: Mapping[str, Any]) -> str:
    """Return how messages and plans name a line."""
    return f"lineItems[lineNumber {line.get('lineNumber')}]"


def compare_lines(
    ours: Iterable[JsonObject],
    theirs: Sequence[JsonObject],
    *,
    merge: bool,
    write_all: bool = False,
    live: bool = False,
) -> LineChanges:
    """Return what has to happen to Vic's lines so that they are a record's.

    A line that an invoice is matched to stays as it is, or may only grow: it is left out, and the rest goes on.

    Args:
        ours: the record's lines, parsed.
        theirs: the order's lines as Vic shows them.
        merge: members that a line of ours lacks keep Vic's value; else those that can be null become so.
        write_all: also write lines that are equal.
        live: whether the service lets such lines grow (`VicaiClient.is_live`); 0.20.0 takes no change of them.
    """
    ours = list(ours)
    pairs = _pairs(ours, theirs)
    shown = line_read_schema(contract.LIVE if live else contract.FIRST)
    known: set[int] = set()
    changed, new, changes, refused, result = [], [], [], [], []
    for line, old in zip(ours, pairs, strict=True):
        if old is None:
            new.append(line)
            changes.append(Change(path_of(line), None, "created"))
            result.append(line)
            continue
        known.add(id(old))
        # What Vic does not show is not cleared: an older service may not know the field at all.
        wanted = line if merge else {**{name: value for name, value in _blank().items() if name in old}, **line}
        found = diff(line_schema(), wanted, _aligned(wanted, old), readable=shown)
        if is_matched(old) and (forbidden := [one for one in found if not (live and _may_change(one))]):
            refused.append(_matched(old, forbidden))
            result.append(old)
            continue
        if found or (write_all and not is_matched(old)):
            changed.append((old, merge_missing(line_schema(), _with_ids(wanted, old), old)))
        changes += [Change(f"{path_of(line)}.{one.path}", one.old, one.new) for one in found]
        result.append(line)
    # Those without a number too, and a second one of a number: neither can be one of the record's.
    gone = [line for line in theirs if id(line) not in known and not is_matched(line)]
    changes += [Change(path_of(line), None, "deleted") for line in gone]
    for line in theirs:
        if id(line) not in known and is_matched(line):
            refused.append(_matched(line))
            result.append(line)
    return LineChanges(tuple(changed), tuple(new), tuple(gone), tuple(changes), tuple(refused), tuple(result))


def _pairs(ours: Iterable[JsonObject], theirs: Iterable[JsonObject]) -> list[JsonObject | None]:
    """Return Vic's line for each of ours: the one of the same id of the ERP's, else of the same number."""
    by_id: dict[str, JsonObject] = {}
    for line in theirs:
        if key := line.get("externalId"):
            by_id.setdefault(key, line)
    found = [by_id.get(line.get("externalId") or "") for line in ours]
    taken = {id(line) for line in found if line is not None}
    by_number: dict[Any, JsonObject] = {}
    for line in theirs:
        if id(line) not in taken:
            by_number.setdefault(line.get("lineNumber"), line)
    return [by_number.get(line["lineNumber"]) if old is None else old for line, old in zip(ours, found, strict=True)]


def _with_ids(line: JsonObject, old: JsonObject) -> JsonObject:
    """Return a line whose receipts and planned deliveries have the ids that Vic gave them: else it might add them."""
    whole = dict(line)
    for name, key in _KNOWN_BY.items():
        ids = {one.get(key): one["internalId"] for one in old.get(name) or () if one.get("internalId")}
        if line.get(name) and ids:
            whole[name] = [
                {**one, "internalId": ids[one[key]]} if one.get("internalId") is None and one.get(key) in ids else one
                for one in line[name]
            ]
    return whole


def _parse_line(line: Mapping[str, Any]) -> JsonObject:
    members, ids = line_schema().members, line.get(_DIMENSION_IDS)
    shown = line_read_schema(contract.LIVE).members
    parsed = {
        name: value
        for name, value in line.items()
        if name != _DIMENSION_IDS
        and (name in members or name not in shown)
        and (value is not None or name not in members or members[name].nullable or name == "dimensions")
    }
    if ids is not None and parsed.get("dimensions") is None:
        parsed["dimensions"] = [{"externalId": one} for one in ids if one is not None]
    elif "dimensions" in parsed:
        parsed["dimensions"] = [
            {name: value for name, value in one.items() if value is not None} for one in parsed["dimensions"] or ()
        ]
    return parsed


def _spelled(line: JsonObject, *, live: bool) -> JsonObject:
    kind = line.get("matchingType")
    if not isinstance(kind, str) or kind.upper() not in _MATCHING:
        return line
    return {**line, "matchingType": kind.lower() if live else kind.upper()}


@functools.cache
def _blank() -> JsonObject:
    """Return what clears everything that a line need not have."""
    members, required = line_schema().members, line_schema().required
    blank = {name: None for name, member in members.items() if member.nullable and name not in required}
    return {**blank, "dimensions": []}


def _aligned(ours: JsonObject, theirs: JsonObject) -> JsonObject:
    """Return Vic's line with its lists in our order, and with our capitals in the name of the matching."""
    aligned = dict(theirs)
    for name, key in _KNOWN_BY.items():
        if ours.get(name) and theirs.get(name):
            places = {one.get(key): place for place, one in reversed(list(enumerate(ours[name])))}
            aligned[name] = sorted(theirs[name], key=_place_in(places, key))
    kind, known = ours.get("matchingType"), theirs.get("matchingType")
    if isinstance(kind, str) and isinstance(known, str) and kind.casefold() == known.casefold():
        aligned["matchingType"] = kind
    if ours.get("dimensions") and theirs.get("dimensions"):
        rest = list(theirs["dimensions"])
        in_order = []
        for one in ours["dimensions"]:
            found = next((other for other in rest if one.items() <= other.items()), None)
            if found is None:
                return aligned
            rest.remove(found)
            in_order.append(found)
        aligned["dimensions"] = in_order + rest
    return aligned


def _place_in(places: Mapping[Any, int], key: str) -> Callable[[JsonObject], int]:
    return lambda one: places.get(one.get(key), len(places))


def is_matched(line: JsonObject) -> bool:
    """Return whether an invoice is matched to a line, so that Vic.ai takes few changes of it."""
    return bool(line.get("invoiceItemsMatched"))


def _may_change(change: Change) -> bool:
    """Return whether today's service takes a change of a matched line: what was received and billed may grow."""
    if change.path not in _GROWING:
        return change.path not in _FIXED
    try:
        return Decimal(change.new) >= Decimal(change.old or 0)
    except (InvalidOperation, TypeError):
        return False


_FIXED = frozenset({"lineNumber", "matchingType", "productNumber", "productDescription", "unitAmount"})
_GROWING = frozenset({"lineItemTotal", "quantityRequested", "quantityReceived", "quantityAccepted"})


def order_matched(field: str, theirs: Any, ours: Any) -> Reject:
    """Return the reject of a record that changes what has to stay while an invoice is matched to a line."""
    return Reject(
        f"{field} is {_words(theirs)} at Vic.ai and {_words(ours)} in the record, but a posted invoice is matched to a "
        "line of the order, so Vic.ai takes no change of it. Everything else of the order is done: send it as it is "
        "at Vic.ai, or undo the match there.",
        "order_matched",
        field=field,
        theirs=_words(theirs),
        ours=_words(ours),
    )


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(member)}" for name, member in value.items())
    return "nothing" if value is None else as_param(value)


def _matched(line: JsonObject, changes: Sequence[Change] = ()) -> Reject:
    told = "; ".join(f"{one.path} is {one.old} at Vic.ai and {one.new} in the record" for one in changes)
    return Reject(
        f"{path_of(line)} is matched to a posted invoice, so Vic.ai takes no such change of it, but "
        f"{told or 'the record has no such line'}. Everything else of the order is done: send the line as it is at "
        "Vic.ai, or undo the match there.",
        "line_matched",
        line=as_param(line.get("lineNumber")),
        **({"field": changes[0].path} if changes else {}),
    )
