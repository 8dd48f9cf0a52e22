"""Bank details of vendors: checked, compared however they are spelled, and each change told by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ap_connectors.core import bank_accounts
from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.diff import Change

FIELD = "defaultPaymentInfo"
_OTHER = frozenset({"paymentTerm"})
"""Members of the payment info that say when to pay, not where."""
_IBAN = "internationalBankAccount.iban"
_METHODS = {_IBAN: "IBAN", "bban": "BBAN", "bankAccountNum": "BANKACCOUNT"}
_INSIDE_A_COUNTRY = frozenset({"bban", "bankAccountNum"})
_NORWEGIAN_DIGITS = 11
_NUMBERS = frozenset({*_METHODS, "bankGiro", "plusGiro", "accountNumber"})
"""Numbers that money goes to, of a vendor or a training invoice; the last one, of an invoice to process."""


def flat(info: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return bank details by their paths inside the payment info, without what is empty."""
    leaves: dict[str, Any] = {}
    for name, value in (info or {}).items():
        if name not in _OTHER:
            _add_leaves(leaves, name, value)
    return leaves


def _add_leaves(leaves: dict[str, Any], path: str, value: Any) -> None:
    if isinstance(value, dict):
        for name, member in value.items():
            _add_leaves(leaves, f"{path}.{name}", member)
    elif value not in (None, ""):
        leaves[path] = value


def accounts(info: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the account numbers of a payment info, plain; a Norwegian IBAN as the number inside the country."""
    numbers = (bank_accounts.plain(str(number)) for path, number in flat(info).items() if path in _NUMBERS)
    return frozenset(number[4:] if number.startswith("NO") else number for number in numbers)


def changes(present: JsonObject, body: JsonObject) -> tuple[Change, ...]:
    """Return which bank details change when a body is written over Vic's vendor."""
    old, new = flat(present.get(FIELD)), flat(body.get(FIELD))
    paths = dict.fromkeys((*old, *new))
    return tuple(
        Change(f"{FIELD}.{path}", old.get(path), new.get(path))
        for path in paths
        if not _same(old.get(path), new.get(path))
    )


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return bank_accounts.plain(one) == bank_accounts.plain(other)
    return bool(one == other)


def are_at_vic(body: JsonObject, present: JsonObject) -> bool:
    """Return whether Vic has all bank details of a body, spelled alike: usual, and then there is nothing to check."""
    theirs = present.get(FIELD) or {}
    return all(
        _is_within(value, theirs.get(name)) for name, value in (body.get(FIELD) or {}).items() if name not in _OTHER
    )


def _is_within(ours: Any, theirs: Any) -> bool:
    if type(ours) is dict and type(theirs) is dict:
        return all(_is_within(value, theirs.get(name)) for name, value in ours.items())
    return bool(ours == theirs)


def as_spelled_at_vic(body: JsonObject, present: JsonObject) -> JsonObject:
    """Return a body whose bank details are spelled as Vic's where they are the same, so that they do not differ."""
    info, theirs = body.get(FIELD), present.get(FIELD)
    return {**body, FIELD: _respelled(info, theirs)} if info and theirs else body


def _respelled(ours: JsonObject, theirs: JsonObject) -> JsonObject:
    respelled: JsonObject = {}
    for name, value in ours.items():
        old = theirs.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping) and name not in _OTHER:
            respelled[name] = _respelled(dict(value), dict(old))
        else:
            is_same = isinstance(value, str) and isinstance(old, str) and _same(value, old)
            respelled[name] = old if is_same else value
    return respelled


def kept(body: JsonObject, present: JsonObject, members: Mapping[str, Any]) -> JsonObject:
    """Return a body that leaves Vic's bank details as they are.

    Args:
        body: what is to be written.
        present: Vic's vendor.
        members: what a payment info that is written may have.
    """
    theirs = present.get(FIELD) or {}
    info = {name: value for name, value in theirs.items() if name in members and name not in _OTHER}
    info = {name: value for name, value in info.items() if value is not None}
    info |= {name: value for name, value in (body.get(FIELD) or {}).items() if name in _OTHER}
    others = {name: value for name, value in body.items() if name != FIELD}
    return others | ({FIELD: info} if info else {})


def checked(body: JsonObject, present: JsonObject | None) -> tuple[JsonObject, tuple[Reject, ...]]:
    """Return a body with its account numbers in plain form, without those that cannot be right; and why not.

    What Vic.ai has already is not checked again. Of a known vendor all bank details stay as they are if one of the new
    ones cannot be right: the others may mean to go with it.

    Args:
        body: of a vendor.
        present: Vic's copy; None if the vendor is new.
    """
    info = body.get(FIELD)
    if not info:
        return body, ()
    country = body.get("countryCode") or (present or {}).get("countryCode")
    old, wrong, right = flat((present or {}).get(FIELD)), [], {}
    for path, number in flat(info).items():
        read = _reader(path, country, number)
        if read is None or _same(number, old.get(path)):
            continue
        try:
            plain = read(number)
        except ValueError as error:
            wrong.append((path, number, str(error)))
        else:
            if plain != number:
                right[path] = plain
    if not right and not wrong:
        return body, ()
    left = _with(body, right, {path for path, _, _ in wrong})
    words = "" if flat(left.get(FIELD)) else " its bank details"
    return left, tuple(_reject(*each, words or f" {_left_out(each[0], info)}", keeps=bool(old)) for each in wrong)


def _reader(path: str, country: str | None, number: Any) -> Callable[[str], str] | None:
    """Return what reads a number of this kind; None if its kind has no control digits that are known here."""
    if not isinstance(number, str):
        return None
    if path == _IBAN:
        return bank_accounts.iban
    if country != "NO" or path not in _INSIDE_A_COUNTRY:
        return None
    is_other = path == "bankAccountNum" and len(bank_accounts.plain(number)) != _NORWEGIAN_DIGITS
    return None if is_other else bank_accounts.norwegian


def _with(body: JsonObject, right: Mapping[str, str], wrong: set[str]) -> JsonObject:
    info = {name: dict(value) if isinstance(value, Mapping) else value for name, value in body[FIELD].items()}
    for path, number in right.items():
        outer, _, inner = path.partition(".")
        if inner:
            info[outer][inner] = number
        else:
            info[outer] = number
    for path in wrong:
        info.pop(path.partition(".")[0], None)
        if info.get("defaultMethod") == _METHODS[path]:
            del info["defaultMethod"]
    others = {name: value for name, value in body.items() if name != FIELD}
    return others | ({FIELD: info} if info else {})


def _left_out(path: str, info: Mapping[str, Any]) -> str:
    """Return what goes with an account number, as `_with` takes it out."""
    outer = path.partition(".")[0]
    method = ["defaultMethod"] if info.get("defaultMethod") == _METHODS[path] else []
    return " and ".join([outer, *method])


def _reject(path: str, number: str, words: str, without: str, *, keeps: bool) -> Reject:
    kept = ", and keeps the bank details that it has" if keeps else ""
    message = (
        f"The account {number} ({FIELD}.{path}) {words}. The vendor is loaded without{without}{kept}. Correct "
        "the number, and send the record again."
    )
    return Reject(message, "bank_account", field=f"{FIELD}.{path}", value=number)


def held(key: str, found: tuple[Change, ...]) -> Reject:
    """Return the reject of bank details that are held until someone approves them."""
    told = "; ".join(f"{one.path} {shown(one.old)} -> {shown(one.new)}" for one in found)
    message = (
        f"Bank details of vendor {key} would change: {told}. They are held (bank_changes); everything else of the "
        'record was loaded. To approve them, write "approved": "your name" into "rejected" of this line, and load it.'
    )
    listed = [{"field": one.path, "from": _text(one.old), "to": _text(one.new)} for one in found]
    return Reject(message, "bank_change", vendor=key, changes=listed)


def shown(value: Any) -> str:
    """Return how messages show a bank detail."""
    return "none" if value is None else str(value)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def value_of(path: str, there: Mapping[str, Any]) -> Any:
    """Return one bank detail of those that `flat` returns."""
    return there.get(path.removeprefix(f"{FIELD}."))


def is_there(value: Any, path: str, there: Mapping[str, Any]) -> bool:
    """Return whether a bank detail is among those that `flat` returns, however it is spelled."""
    return _same(value, value_of(path, there))


def with_changes(present: JsonObject, wanted: Iterable[Change], members: Mapping[str, Any]) -> JsonObject:
    """Return the payment info, whole, that makes these changes to Vic's bank details, and no other change."""
    terms = {name: value for name, value in (present.get(FIELD) or {}).items() if name in _OTHER}
    info: JsonObject = kept({FIELD: terms}, present, members).get(FIELD, {})
    info = {name: dict(value) if isinstance(value, Mapping) else value for name, value in info.items()}
    for change in wanted:
        outer, _, inner = change.path.removeprefix(f"{FIELD}.").partition(".")
        if inner:
            info.setdefault(outer, {})[inner] = change.new
        elif change.new is None:
            # Left out is cleared in a PUT, and null is not allowed everywhere.
            info.pop(outer, None)
        else:
            info[outer] = change.new
    return {FIELD: info}


def awaited(mark: Mapping[str, Any]) -> list[Change]:
    """Return the changes that a line of a reject file was held for, as `held` wrote them."""
    listed = (mark.get("params") or {}).get("changes") or []
    return [
        Change(str(one.get("field")), one.get("from") or None, one.get("to") or None)
        for one in listed
        if isinstance(one, Mapping)
    ]
