"""Where an invoice's record and Vic.ai's invoice differ, although Vic shows much of it under other names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.diff import Change, diff
from ap_connectors.singer.schema import ObjectSchema

_LINES = "lineItems"
_ACCOUNT = "bankAccountNum"
_ACCOUNTS = {"BBAN": "bban", "PLUSGIRO": "plusGiro", "BANKGIRO": "bankGiro"}
"""Where Vic shows an account, by the kind that a record gives it; of other kinds it is a `bankAccountNum`."""

_encode = msgspec.json.Encoder(decimal_format="number", order="sorted").encode


def hashes(body: Mapping[str, Any]) -> str:
    """Return what the ledger keeps of an invoice that was sent: its fields, each with a hash of its value."""
    return " ".join(
        f"{name}={hashlib.sha256(_encode(value)).hexdigest()[:16]}"
        for name, value in sorted(body.items())
        if value is not None
    )


def changed_fields(sent: str, body: Mapping[str, Any]) -> list[str]:
    """Return the fields whose value is not the one that was sent, and those that the record no longer has."""
    then, now = (dict(one.split("=") for one in text.split()) for text in (sent, hashes(body)))
    return [name for name in dict.fromkeys([*body, *then]) if then.get(name) != now.get(name)]


def differences(
    schema: ObjectSchema,
    body: JsonObject,
    present: JsonObject,
    lines: Callable[[], list[JsonObject]],
    changed: Collection[str] | None,
) -> list[Change]:
    """Return in what a record and Vic's invoice differ.

    Args:
        schema: of the body of a new invoice.
        body: the record.
        present: the invoice as Vic shows it.
        lines: asks for its lines one by one; the invoice itself shows them summed up by account.
        changed: the fields that the record says otherwise than before. None: that is not known; then only what both
            sides have is compared, for Vic fills in much.
    """
    ours = dict(body) if changed is None else {name: body.get(name) for name in changed}
    given = ours.pop(_LINES, None)
    found = diff(schema, ours, {name: _as_written(name, value, present) for name, value in ours.items()})
    if given or (changed and _LINES in changed):
        found += _line_changes(schema, given or [], present.get(_LINES) or [], lines)
    return found if changed is not None else [one for one in found if one.old not in (None, "", [])]


def _as_written(name: str, ours: Any, present: JsonObject) -> Any:
    """Return what Vic has in a field, in the form in which it is written."""
    shown, info = present.get(name), present.get("invoiceInfo") or {}
    if name in {"currency", "transactionType"}:
        return _same_letters(ours, shown)
    if name == "vendor":
        return _vendor(ours, present)
    if name == "paymentInfo":
        return _payment(ours, shown or {})
    if name == "creditAccount":
        return _of(
            {"internalId": info.get("creditAccountInternalId"), "externalId": info.get("creditAccountExternalId")}, ours
        )
    if name == "paymentRef":
        return shown or info.get("kid")
    if name == "fields":
        # Vic shows more of a field than it takes, and fields of its own.
        values = {one.get("label"): one.get("value") for one in shown or ()}
        return [{"label": one["label"], "value": values.get(one["label"])} for one in ours or ()]
    return shown


def _vendor(ours: JsonObject | None, present: JsonObject) -> JsonObject | None:
    """Return Vic's vendor by what the record finds its own by: an id, or else number, country and name."""
    ids = {"internalId": present.get("vendorInternalId"), "externalId": present.get("vendorExternalId")}
    shown = {**(present.get("vendor") or {}), **{name: id_ for name, id_ in ids.items() if id_}}
    if not ours or not shown:
        return shown or None
    best = next((name for name in ids if ours.get(name)), None)
    theirs = {**ours, best: shown.get(best)} if best else {name: shown.get(name, ours[name]) for name in ours}
    return {**theirs, "name": _same_letters(ours["name"], theirs["name"])} if "name" in ours else theirs


def _payment(ours: JsonObject | None, shown: JsonObject) -> JsonObject | None:
    """Return Vic's account to pay to in the form in which a record gives one."""
    international = shown.get("internationalBankAccount") or {}
    numbers = {"IBAN": international.get("iban"), **{kind: shown.get(name) for kind, name in _ACCOUNTS.items()}}
    plain, kind = shown.get(_ACCOUNT), str((ours or {}).get("kind") or "")
    number = numbers.get(kind, plain) or next(filter(None, (*numbers.values(), plain)), None)
    if number is None:
        return None
    of_bank = {"bic": international.get("bic"), "routingNumber": shown.get("bankCode")}
    theirs = {"kind": kind or None, "accountNumber": number, **of_bank}
    if ours is None:
        return {"accountNumber": number}
    theirs["accountNumber"] = _same_account(ours.get("accountNumber"), number)
    return {name: theirs.get(name) for name in ours}


def _line_changes(
    schema: ObjectSchema, ours: list[JsonObject], summed: list[JsonObject], lines: Callable[[], list[JsonObject]]
) -> list[Change]:
    found = _compared(schema, ours, summed)
    return found and _compared(schema, ours, lines())


def _compared(schema: ObjectSchema, ours: list[JsonObject], theirs: list[JsonObject]) -> list[Change]:
    if len(theirs) != len(ours):
        return [Change(f"number of {_LINES}", len(theirs), len(ours))]
    in_order = sorted(theirs, key=lambda line: line.get("index") or 0)
    return diff(schema, {_LINES: ours}, {_LINES: [*map(_line, ours, in_order)]})


def _line(ours: JsonObject, shown: JsonObject) -> JsonObject:
    """Return Vic's line in the form in which a record gives one."""
    old = shown.get("invoiceLineItemInfo") or {}
    vat = {
        "code": old.get("vatCode"),
        "rate": old.get("vatRate"),
        "amount": shown.get("amountTax") or old.get("vatAmount"),
        **_given(shown.get("vat")),
    }
    account = {
        "internalId": shown.get("costAccountInternalId"),
        "externalId": shown.get("costAccountExternalId"),
        **_given(shown.get("costAccount")),
    }
    theirs = {
        **shown,
        "index": ours.get("index"),
        "amount": shown.get("amount", shown.get("amountNet")),
        "vat": _of(vat, ours.get("vat")),
        "costAccount": _of(account, ours.get("costAccount")),
        "dimensions": _dimensions(ours.get("dimensions") or [], shown),
    }
    return {name: theirs.get(name) for name in ours}


def _dimensions(ours: list[JsonObject], shown: JsonObject) -> list[JsonObject]:
    """Return Vic's dimensions; those that we name come first, in our order and our words."""
    theirs = list(shown.get("dimensions") or [{"externalId": id_} for id_ in shown.get("dimensionsExternalIds") or ()])
    ordered = []
    for one in ours:
        wanted = _given(one)
        if (found := next((other for other in theirs if wanted.items() <= other.items()), None)) is not None:
            theirs.remove(found)
            ordered.append(one)
    return ordered + theirs


def _given(members: JsonObject | None) -> JsonObject:
    return {name: value for name, value in (members or {}).items() if value is not None}


def _of(theirs: JsonObject, ours: JsonObject | None) -> JsonObject | None:
    """Return of what Vic shows what the record has an opinion of; None if Vic shows nothing."""
    if not _given(theirs):
        return None
    return {name: theirs.get(name) for name in ours} if ours else theirs


def _same_letters(ours: Any, theirs: Any) -> Any:
    same = isinstance(ours, str) and isinstance(theirs, str) and ours.casefold() == theirs.casefold()
    return ours if same else theirs


def _same_account(ours: Any, theirs: Any) -> Any:
    plain = {"".join(str(one).split()).upper() for one in (ours, theirs)}
    return ours if len(plain) == 1 else theirs
