"""Which fields of a record leave, and as what.

The catalog decides: deselected fields stay; a field that the catalog declares as text leaves as text, whatever it is
(that is how exact amounts get through destinations that keep numbers as doubles). Fields that the catalog has never
heard of leave too, and the schema grows by what they turned out to be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ap_connectors.core.raw_json import NULL, Record

_KINDS = {b'"': "string", b"t": "boolean", b"f": "boolean", b"{": "object", b"[": "array", b"n": "null"}
_as_json = msgspec.json.Encoder().encode


class FieldTypes:
    """The fields of one stream.

    Args:
        contract: the stream's own properties, by name.
        declared: the properties that the catalog declares (the same unless a user changed them).
        selected: tells whether a field is selected; asked for unheard-of fields too.
    """

    def __init__(
        self, contract: Mapping[str, Any], declared: Mapping[str, Any], selected: Callable[[str], bool]
    ) -> None:
        self._contract = contract
        self._selected = selected
        self._known = set(declared)
        self._left_out = {name for name in declared if not selected(name)}
        self._texts = {name for name, field in declared.items() if _is_text(field)} - self._left_out
        self._turned = {name for name in self._texts if name in contract and not _is_text(contract[name])}
        self._numbers_as_text = any(_types(contract[name]) & {"number", "object", "array"} for name in self._turned)
        self._check = self._text_check()
        self.added: dict[str, dict[str, Any]] = {}
        """Properties to add to the schema: what unheard-of fields turned out to be."""

    def encode(self, record: Record) -> tuple[bytes, bool]:
        """Return the record as it leaves, in JSON, and whether `added` has changed. `record` is changed, too."""
        changed = not self._known.issuperset(record) and self._meet(record)
        if self.added:
            changed |= self._check_added(record)
        for name in self._left_out:
            record.pop(name, None)
        self._turn_to_text(record, self._turned)
        encoded = _as_json(record)
        try:
            # One pass in C over all text fields; it is seldom that one of them is something else.
            self._check.decode(encoded)
        except msgspec.ValidationError:
            self._turn_to_text(record, self._texts)
            encoded = _as_json(record)
        return encoded, changed

    def _text_check(self) -> msgspec.json.Decoder[Any]:
        """Return a decoder that objects when a text field holds anything but a string or null."""
        names = {f"field_{number}": name for number, name in enumerate(sorted(self._texts))}
        fields = [(field, str | None, None) for field in names]
        return msgspec.json.Decoder(msgspec.defstruct("Texts", fields, rename=names))

    @staticmethod
    def _turn_to_text(record: Record, names: set[str]) -> None:
        for name in names:
            raw = record.get(name, NULL)
            if raw != NULL and (value := bytes(raw))[:1] != b'"':
                record[name] = msgspec.Raw(_as_json(value.decode()))

    def _meet(self, record: Record) -> bool:
        """Take up fields met for the first time; return whether the schema grew."""
        grown = False
        for name in record.keys() - self._known:
            kind = _kind(record[name])
            if not self._selected(name):
                self._left_out.add(name)
            elif kind == "null":
                continue  # what it is will show when it has a value
            else:
                self._declare(name, self._contract.get(name) or self._schema_of(kind))
                grown = True
            self._known.add(name)
        return grown

    def _check_added(self, record: Record) -> bool:
        """Declare a field as text that was taken for something else, now that a value does not fit."""
        changed = False
        for name, field in self.added.items():
            kind = _kind(record.get(name, NULL))
            if name not in self._texts and kind not in _types(field) | {"null"}:
                self._declare(name, {"type": ["string", "null"]})
                changed = True
        return changed

    def _declare(self, name: str, field: dict[str, Any]) -> None:
        self.added[name] = field
        if _is_text(field):
            self._texts.add(name)
            self._turned.add(name)
            self._check = self._text_check()

    def _schema_of(self, kind: str) -> dict[str, Any]:
        if self._numbers_as_text and kind not in {"string", "boolean"}:
            kind = "string"
        return {"type": [kind, "null"]}


def _types(field: Mapping[str, Any]) -> set[str]:
    types = field.get("type", [])
    return {types} if isinstance(types, str) else set(types)


def _is_text(field: Mapping[str, Any]) -> bool:
    return _types(field) - {"null"} == {"string"}


def _kind(raw: msgspec.Raw) -> str:
    return _KINDS.get(bytes(raw)[:1], "number")
