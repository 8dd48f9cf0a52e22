"""What purchase orders consist of: lines, compared with Vic's by their numbers; their sum; and what they refer to."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
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
from target_vicai.sink import TEXT, Item, as_param

_DIMENSION_IDS = "dimensionsExternalIds"
_MATCHING = ("TWO_WAY", "THREE_WAY", "FOUR_WAY")


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
def line_read_schema() -> ObjectSchema:
    """Return what Vic shows of a line."""
    return ObjectSchema.of(contract.component("PurchaseOrder")["properties"]["lineItems"]["items"])


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
        Reject: two lines have one number, or receipts do not add up to what the line says was received.
    """
    parsed, numbers = [], set()
    for line in lines:
        number = line["lineNumber"]
        if number in numbers:
            message = (
                f"lineItems: lineNumber {number} is there twice; Vic.ai knows a line by its number. Give each its own."
            )
            raise Reject(message, "line_given_twice", line=number)
        numbers.add(number)
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
    held: dict[Any, JsonObject] = {}
    for line in theirs:
        held.setdefault(line.get("lineNumber"), line)
    known: set[int] = set()
    changed, new, changes, refused, result = [], [], [], [], []
    for line in ours:
        old = held.get(line["lineNumber"])
        if old is None:
            new.append(line)
            changes.append(Change(path_of(line), None, "created"))
            result.append(line)
            continue
        known.add(id(old))
        # What Vic does not show is not cleared: an older service may not know the field at all.
        wanted = line if merge else {**{name: value for name, value in _blank().items() if name in old}, **line}
        found = diff(line_schema(), wanted, _aligned(wanted, old), readable=line_read_schema())
        if _is_matched(old) and (forbidden := [one for one in found if not (live and _may_change(one))]):
            refused.append(_matched(old, forbidden))
            result.append(old)
            continue
        if found or (write_all and not _is_matched(old)):
            changed.append((old, merge_missing(line_schema(), wanted, old)))
        changes += [Change(f"{path_of(line)}.{one.path}", one.old, one.new) for one in found]
        result.append(line)
    # Those without a number too, and a second one of a number: neither can be one of the record's.
    gone = [line for line in theirs if id(line) not in known and not _is_matched(line)]
    changes += [Change(path_of(line), None, "deleted") for line in gone]
    for line in theirs:
        if id(line) not in known and _is_matched(line):
            refused.append(_matched(line))
            result.append(line)
    return LineChanges(tuple(changed), tuple(new), tuple(gone), tuple(changes), tuple(refused), tuple(result))


def _parse_line(line: Mapping[str, Any]) -> JsonObject:
    members, ids = line_schema().members, line.get(_DIMENSION_IDS)
    parsed = {
        name: value
        for name, value in line.items()
        if name != _DIMENSION_IDS
        and (name in members or name not in line_read_schema().members)
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
    """Return Vic's line with its dimensions in our order, and with our capitals in the name of the matching."""
    aligned = dict(theirs)
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


def _is_matched(line: JsonObject) -> bool:
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
