"""What a record of an input states, field by field, against what Vic.ai shows of it."""

from __future__ import annotations

import pickle
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from ap_connectors.core import instants
from ap_connectors.core.bank_accounts import plain
from ap_connectors.core.raw_json import Record
from ap_connectors.core.validate import id_text
from ap_connectors.tieout.fields import shown as written
from ap_connectors.tieout.warehouse import spelling
from ap_connectors.vicai import contract

_exact = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode
_as_json = msgspec.json.Encoder().encode
_NUMERIC = {"number", "integer"}
_ACCOUNTS = frozenset({"iban", "bic", "bban", "bankaccountnum", "bankgiro", "plusgiro"})
FORMER_KEY = "formerExternalId"
"""Field with the key under which an earlier version loaded a record."""
_OF_OTHERS = ("sdc", "document", "ivesk", "internalupdatedat", "displayname", "companyid")
"""Beginnings of fields that are not about the record: Singer's own, the file, what Vic.ai alone writes."""
_MASTER_DATA = frozenset({"Account", "Dimension", "Vendor", "VatCode", "VendorGroup", "Tag", "PaymentTerm", "TaxCode"})
"""The contract's names of what Vic.ai shows."""
_OF_THE_TARGET = ("id", "paymentTermName", "vendorGroupName", FORMER_KEY)
"""Fields that target-vicai takes beside the contract's."""


class GivenRecords:
    """The records of an input by key, on disk; of a key the last one counts."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as we do
        weakref.finalize(self, self._file.close)
        self._places: dict[str, tuple[int, int, int]] = {}

    def put(self, key: str, record: Mapping[str, Any], file: int = 0) -> None:
        """Keep a record, its files left out.

        Args:
            key: of the record.
            record: its fields.
            file: number of the file that it came from.
        """
        kept = {name: value for name, value in record.items() if not is_of_others(name)}
        packed = pickle.dumps(kept)
        self._places[key] = self._file.seek(0, 2), len(packed), file
        self._file.write(packed)

    def get(self, key: str) -> dict[str, Any]:
        """Return a record; empty if it is unknown."""
        if key not in self._places:
            return {}
        place, length, _ = self._places[key]
        self._file.seek(place)
        kept: dict[str, Any] = pickle.loads(self._file.read(length))  # noqa: S301 - we wrote it ourselves
        return kept

    def file_of(self, key: str) -> int:
        """Return the number of the file that a record came from."""
        return self._places[key][2]


def is_of_others(name: str) -> bool:
    """Return whether a field is not about the record, whatever it holds."""
    return spelling(name).startswith(_OF_OTHERS)


def decoded(record: Record) -> dict[str, Any]:
    """Return a record of Vic.ai's as plain values, numbers exact."""
    return _exact(_as_json(record))


class StatedFields:
    """Compares what records state with what Vic.ai shows.

    Args:
        component: of the contract, which tells numbers from texts ("Vendor").
        left_out: fields of the record, in any spelling, that another comparison compares.
        lines: the field with lines that are paired here, and the field that pairs them; "" pairs them by place.

    Attributes:
        unshown: fields that Vic.ai does not show, which cannot be compared.
    """

    def __init__(self, component: str, left_out: tuple[str, ...], line_key: str = "") -> None:
        self._schema = contract.component(component)
        self._left_out = frozenset(map(spelling, (*left_out, FORMER_KEY)))
        self._line_key = line_key
        self.unshown: set[str] = set()

    def differences(self, given: Mapping[str, Any], shown: Mapping[str, Any]) -> list[str]:
        """Return in words what Vic.ai holds otherwise than it was given."""
        stated = {name: value for name, value in given.items() if spelling(name) not in self._left_out}
        return list(self._members(self._schema, stated, shown, ""))

    def line_differences(self, given: list[Any], shown: list[Any]) -> list[str]:
        """Return the same of lines that Vic.ai shows by themselves; those of other counts are told elsewhere."""
        schema = self._schema["properties"]["lineItems"]["items"]
        return list(self._lists(schema, given, shown, "lineItems"))

    def _value(self, schema: Mapping[str, Any], ours: Any, theirs: Any, path: str) -> Iterator[str]:
        schema = _of_value(schema, ours)
        if isinstance(ours, dict) and schema.get("properties") and theirs is None:
            # What Vic.ai has nothing of is told member by member.
            theirs = {}
        if isinstance(ours, dict) and isinstance(theirs, dict):
            yield from self._members(schema, ours, theirs, path)
        elif isinstance(ours, list) and isinstance(theirs, list):
            yield from self._lists(schema.get("items", {}), ours, theirs, path)
        elif not _same(schema, path.rpartition(".")[2], ours, theirs):
            yield _told(path, ours, theirs)

    def _members(
        self, schema: Mapping[str, Any], ours: Mapping[str, Any], theirs: Mapping[str, Any], path: str
    ) -> Iterator[str]:
        properties = schema.get("properties", {})
        theirs = _with_other_names(theirs)
        names = {spelling(name): name for name in (*properties, *theirs)}
        for given, value in ours.items():
            # Names in free-form objects are the ERP's own, to the letter.
            name = names.get(spelling(given)) if properties or not path else given if given in theirs else None
            inner = f"{path}.{name or given}" if path else name or given
            if value is None or value in ([], {}, ""):
                continue
            if name is None:
                # A member of a free-form object that is not there is gone; else Vic.ai does not show such a field.
                if properties or not path:
                    self.unshown.add(inner)
                else:
                    yield _told(inner, value, None)
            else:
                yield from self._value(properties.get(name, {}), value, theirs.get(name), inner)

    def _lists(self, schema: Mapping[str, Any], ours: list[Any], theirs: list[Any], path: str) -> Iterator[str]:
        if path == "lineItems":
            if len(ours) != len(theirs):
                return
            # Vic.ai renumbers them.
            ours = [{n: value for n, value in line.items() if spelling(n) != "index"} for line in ours]
            key = self._line_key
            ours, theirs = (
                sorted(lines, key=lambda line: _number(line, key)) if key else lines for lines in (ours, theirs)
            )
        elif all(isinstance(one, dict) for one in (*ours, *theirs)):
            # References: in no order.
            ours, theirs = _paired(ours, theirs)
        else:
            ours, theirs = sorted(map(str, ours)), sorted(map(str, theirs))
        if len(ours) != len(theirs):
            yield _told(path, ours, theirs)
            return
        for place, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from self._value(schema, mine, other, f"{path}[{place}]")


def _told(path: str, ours: Any, theirs: Any) -> str:
    return f"{path} {written(ours)} " + ("is not at Vic.ai" if theirs is None else f"became {written(theirs)}")


def _number(line: Any, key: str) -> Decimal:
    value = next((value for name, value in line.items() if spelling(name) == spelling(key)), 0)
    return _amount(value) or Decimal(0)


def _paired(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> tuple[list[Any], list[Any]]:
    """Return two lists of objects, theirs in the order of ours: by what ours say of themselves."""
    left, ordered = list(theirs), []
    for mine in ours:
        said = {spelling(name): str(value) for name, value in mine.items() if not isinstance(value, dict | list)}
        best = max(left, key=lambda one: _agreement(said, one), default=None)
        if best is not None:
            left.remove(best)
            ordered.append(best)
    return ours, ordered + left


def _agreement(said: Mapping[str, str], one: Mapping[str, Any]) -> int:
    return sum(said.get(spelling(name)) == str(value) for name, value in one.items())


def _with_other_names(shown: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what Vic.ai shows, references also under their other names: `vendor.externalId` is `vendorExternalId`."""
    more: dict[str, Any] = {}
    for holder in ("vendor", "costAccount"):
        found = shown.get(holder)
        for member in ("externalId", "internalId"):
            flat = f"{holder}{member[0].upper()}{member[1:]}"
            if isinstance(found, dict) and found.get(member) is not None:
                more.setdefault(flat, found[member])
            elif found is None and shown.get(flat) is not None:
                more.setdefault(holder, {})[member] = shown[flat]
    dimensions = shown.get("dimensions")
    for member in ("externalId", "internalId"):
        flat = f"dimensions{member[0].upper()}{member[1:]}s"
        if isinstance(dimensions, list) and flat not in shown:
            more[flat] = [one.get(member) for one in dimensions if isinstance(one, dict) and one.get(member)]
        elif not dimensions and isinstance(shown.get(flat), list) and "dimensions" not in more:
            more["dimensions"] = [{member: one} for one in shown[flat]]
    return {**shown, **more} if more else shown


def _of_value(schema: Mapping[str, Any], value: Any) -> Mapping[str, Any]:
    """Return what a schema says of a value that is not null."""
    choices = [one for one in schema.get("oneOf") or schema.get("anyOf") or () if one.get("type") != "null"]
    if isinstance(value, dict) and len(choices) > 1:
        merged = {name: member for one in choices for name, member in one.get("properties", {}).items()}
        return {"properties": merged}
    return choices[0] if choices else schema


def _same(schema: Mapping[str, Any], name: str, ours: Any, theirs: Any) -> bool:
    if theirs is None or isinstance(theirs, dict | list) or isinstance(ours, dict | list):
        return False
    if isinstance(ours, bool) or isinstance(theirs, bool):
        return str(ours).lower() == str(theirs).lower()
    mine, other, form = str(ours), str(theirs), schema.get("format")
    if mine == other or id_text(mine) == id_text(other):
        return True
    if form == "decimal" or schema.get("type") in _NUMERIC or not isinstance(theirs, str):
        first, second = _amount(mine), _amount(other)
        return first is not None and first == second
    if form == "date-time":
        return _instant(mine) is not None and _instant(mine) == _instant(other)
    if form == "date":
        return mine[:10] == other[:10]
    if spelling(name) in _ACCOUNTS:
        return plain(mine) == plain(other)
    return ("enum" in schema or form in {"ISO-4217", "uuid"}) and mine.casefold() == other.casefold()


def _amount(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _instant(value: str) -> tuple[int, bool] | None:
    try:
        return instants.milliseconds(value), instants.has_zone(value)
    except ValueError:
        return None


class KnownFields:
    """Finds the fields of records that are not fields of Vic.ai.

    Args:
        component: of the contract ("Vendor"). Of what is not master data every field counts as known.
    """

    def __init__(self, component: str) -> None:
        schemas = [contract.component(component), _written(component)] if component in _MASTER_DATA else []
        # A free-form object is known by its name only, as the ERP alone knows its members.
        self._known = {path for schema in schemas for path in _paths(schema)}
        self._known.update(spelling(name) for name in _OF_THE_TARGET if schemas)

    def unknown(self, record: Mapping[str, Any]) -> Iterator[str]:
        """Yield the fields that have a value and are unknown, members of objects as "taxInfo.orgNumber"."""
        if self._known:
            yield from self._unknown({name: value for name, value in record.items() if not is_of_others(name)}, "")

    def _unknown(self, members: Mapping[str, Any], within: str) -> Iterator[str]:
        for name, value in members.items():
            path = f"{within}{name}"
            if value in (None, "", [], {}):
                continue
            if spelling(path) not in self._known:
                yield path
            elif isinstance(value, dict) and any(one.startswith(f"{spelling(path)}.") for one in self._known):
                yield from self._unknown(value, f"{path}.")


def _written(component: str) -> Mapping[str, Any]:
    """Return the schema of what the operation takes that the contract names for writing it."""
    operations = contract.operations()
    name = next(one for one in (f"upsert{component}", f"create{component}") if one in operations)
    schema: Mapping[str, Any] = contract.inlined(operations[name].body["application/json"])
    return schema


def _paths(schema: Mapping[str, Any], within: str = "") -> Iterator[str]:
    for one in (schema, *schema.get("oneOf", ()), *schema.get("anyOf", ()), *schema.get("allOf", ())):
        for name, member in one.get("properties", {}).items():
            yield f"{within}{spelling(name)}"
            yield from _paths(member, f"{within}{spelling(name)}.")
