"""The diff of a record and the service's copy of it, field by field.

Values are equal if they mean the same: 12.5 and "12.50" of an amount, two texts of one instant, null and an absent
field. In doubt a field differs: an unnecessary write loses nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from ap_connectors.core import instants
from ap_connectors.singer.coercion import CoercionError, joined
from ap_connectors.singer.schema import ChoiceSchema, ListSchema, ObjectSchema, ScalarSchema, Schema

_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,4})?").fullmatch
_FRACTION = re.compile(r"[.,]([0-9]+)")
_NUMERIC = (int, Decimal)
_SYSTEM = re.compile(r"\b(?:ex|in)ternal(?=Ids?$)|(?:Ex|In)ternal(?=Ids?$)")
_BANKS = {"bic": "iban", "bankCode": "bankAccountNum"}
_OTHER = {"external": "internal", "internal": "external", "External": "Internal", "Internal": "External"}
_ANYTHING = Schema.of({})


@dataclass(frozen=True)
class Change:
    """One field that differs.

    Args:
        path: of the field ("defaultPaymentInfo.bban", "lineItems[2].amount").
        old: what the service has; None if nothing.
        new: what the record has.
    """

    path: str
    old: Any
    new: Any


def diff(
    schema: Schema, ours: Any, theirs: Any, *, readable: Schema | None = None, clears: bool = False
) -> list[Change]:
    """Return what writing `ours` would change, in the order of our fields.

    Only members that `ours` has are compared. Lists of different lengths are one change, of the whole list.

    Args:
        schema: of what is written; `ours` must be coerced to it.
        ours: what is to be written.
        theirs: the service's copy, as it shows it; None if it has no copy.
        readable: the schema of what the service shows. A member that it lacks can't be read back, and is not compared
            unless the service shows it all the same.
        clears: whether members that `ours` lacks become null when it is written; then they are changes, too. Elements
            of lists, and objects that look something up in one of several ways, are compared by our members alone.
    """
    found = _Comparison()
    found.compare(schema, ours, theirs, readable, "", clears=clears)
    return found.changes


def merge_missing(schema: ObjectSchema, ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Return `ours` with the members that it lacks from `theirs`, as far as they can be written.

    Declared objects are merged, too, but not lists, free-form objects, and objects that look something up in one of
    several ways: a mix of two of those would mean a third thing. So would our id of one thing beside their id of
    another: of `creditAccountExternalId` and `creditAccountInternalId`, the one that `ours` lacks is taken only if both
    agree on the other; and `bic` names the bank of the old `iban`. Null in `ours` stays null.
    """
    whole = dict(ours)
    for name, member in schema.members.items():
        old = theirs.get(name)
        if name in ours:
            new = ours[name]
            if type(new) is dict and type(old) is dict and isinstance(member, ObjectSchema) and not member.alternatives:
                whole[name] = merge_missing(member, new, old)
        elif _is_kept(schema, name, ours, theirs):
            whole[name] = _as_written(member, old)
        elif name in theirs and name in schema.required and member.nullable:
            whole[name] = None
    return whole


def _is_kept(schema: ObjectSchema, name: str, ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Whether the service's value of a member that `ours` lacks says something, and about the same thing as `ours`."""
    old, twin = theirs.get(name), _twin(name)
    if old is None or (type(old) is dict and _is_void(schema.members[name], old)):
        return False
    return twin not in ours or _same(schema.members.get(twin, _ANYTHING), ours[twin], theirs.get(twin))


@lru_cache(maxsize=1024)
def _twin(name: str) -> str:
    """Return the member without which a member is meaningless: the other system's id of the same thing, the account.

    An independent member is its own twin.
    """
    return _BANKS.get(name) or _SYSTEM.sub(lambda found: _OTHER[found[0]], name)


def _as_written(schema: Schema, value: Any) -> Any:
    """Return what the service shows in the form that is written, without what can only be read."""
    if isinstance(schema, ObjectSchema) and type(value) is dict:
        for alternative in schema.alternatives:
            if not alternative.missing(value):
                return merge_missing(alternative, {}, value)
        return merge_missing(schema, {}, value)
    if isinstance(schema, ListSchema) and type(value) is list:
        return [_as_written(schema.items, item) for item in value]
    try:
        return None if value is None else schema.fit(value)
    except CoercionError:
        return value  # the service's own


class _Comparison:
    """Collects the changes between two values."""

    def __init__(self) -> None:
        self.changes: list[Change] = []

    def compare(self, schema: Schema, new: Any, old: Any, readable: Schema | None, path: str, *, clears: bool) -> None:
        if isinstance(schema, ChoiceSchema):
            schema = _chosen(schema, new)
        if isinstance(schema, ObjectSchema) and type(new) is dict and (old is None or type(old) is dict):
            self._compare_members(schema, new, old or {}, readable, path, clears=clears and not schema.alternatives)
        elif isinstance(schema, ListSchema) and type(new) is list and type(old) is list and len(new) == len(old):
            items = readable.items if isinstance(readable, ListSchema) else None
            for place, (our, their) in enumerate(zip(new, old, strict=True)):
                self.compare(schema.items, our, their, items, f"{path}[{place}]", clears=False)
        elif not _same(schema, new, old):
            self.changes.append(Change(path, old, new))

    def _compare_members(
        self,
        schema: ObjectSchema,
        ours: dict[str, Any],
        theirs: dict[str, Any],
        readable: Schema | None,
        path: str,
        *,
        clears: bool,
    ) -> None:
        members = schema.members
        shown = readable.members if isinstance(readable, ObjectSchema) else None
        for name, new in ours.items():
            old = theirs.get(name)
            if new is old or (type(new) is str and new == old):
                continue
            if shown is not None and old is None and name not in shown:
                continue
            inside = shown.get(name) if shown is not None else None
            self.compare(members.get(name, _ANYTHING), new, old, inside, joined(path, name), clears=clears)
        if clears:
            for name, member in members.items():
                if name not in ours and not _is_void(member, theirs.get(name)):
                    self.changes.append(Change(joined(path, name), theirs[name], None))


def _chosen(schema: ChoiceSchema, value: Any) -> Schema:
    try:
        return _ANYTHING if value is None else schema.choose(value)[0]
    except CoercionError:
        return _ANYTHING


def _is_void(schema: Schema, value: Any) -> bool:
    """Whether a value means the same as null: null, an empty list, an object all of whose members are void."""
    if value is None or value == []:
        return True
    if isinstance(schema, ObjectSchema) and type(value) is dict:
        return all(_is_void(member, value.get(name)) for name, member in schema.members.items())
    return False


def _same(schema: Schema, new: Any, old: Any) -> bool:
    if new is None or old is None:
        return _is_void(schema, new) and _is_void(schema, old)
    if isinstance(schema, ScalarSchema):
        return _SAME.get(schema.kind, same_json)(new, old)
    return same_json(new, old)


def same_json(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: numbers by value, everything else exactly."""
    kind = type(one)
    if kind is not type(other):
        return kind in _NUMERIC and type(other) in _NUMERIC and bool(one == other)
    if kind is dict:
        return one.keys() == other.keys() and all(map(same_json, one.values(), map(other.__getitem__, one)))
    if kind is list:
        return len(one) == len(other) and all(map(same_json, one, other))
    return bool(one == other)


def _same_number(one: Any, other: Any) -> bool:
    first, second = _number_of(one), _number_of(other)
    return same_json(one, other) if first is None or second is None else first == second


def _number_of(value: Any) -> int | Decimal | None:
    if type(value) is str:
        return Decimal(value) if _NUMBER(value) else None
    return value if type(value) in _NUMERIC else None


def _same_instant(one: Any, other: Any) -> bool:
    if type(one) is not str or type(other) is not str:
        return False
    first, second = _instant(one), _instant(other)
    if first is None or second is None:
        return one == other
    (milliseconds, digits, zoned), (others, other_digits, other_zoned) = first, second
    # Where one side keeps only milliseconds, finer digits cannot be compared.
    comparable = digits == other_digits or not digits or not other_digits
    return comparable and milliseconds == others and zoned == other_zoned


@lru_cache(maxsize=4096)
def _instant(text: str) -> tuple[int, str, bool] | None:
    """Return an instant as milliseconds, the digits beyond them, and whether it has a zone; None if it is not one."""
    try:
        milliseconds = instants.milliseconds(text)
    except ValueError:
        return None
    fraction = _FRACTION.search(text)
    clock = text.strip()[10:]
    return milliseconds, fraction[1][3:].rstrip("0") if fraction else "", any(mark in clock for mark in "Zz+-")


def _same_uuid(one: Any, other: Any) -> bool:
    return type(one) is str and type(other) is str and one.lower() == other.lower()


_SAME: dict[str, Callable[[Any, Any], bool]] = {
    "decimal": _same_number,
    "number": _same_number,
    "integer": _same_number,
    "date-time": _same_instant,
    "uuid": _same_uuid,
}
