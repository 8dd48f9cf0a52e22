"""The fields of a stream: which ones are written, and with which types.

The catalog decides: deselected fields are left out; a field that the catalog declares as text is written as text,
whatever it is (so exact amounts get through destinations that keep numbers as doubles). Fields that the catalog does
not have are written, too, and the schema grows by what they turn out to be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ap_connectors.core.raw_json import NULL, Record

_TYPES = {b'"': "string", b"t": "boolean", b"f": "boolean", b"{": "object", b"[": "array", b"n": "null"}
_as_json = msgspec.json.Encoder().encode


class FieldTypes:
    """The fields of one stream.

    Args:
        contract: the stream's own properties, by name.
        declared: the properties that the catalog declares (the same unless a user changed them).
        selected: tells whether a field is selected, also for unknown fields.
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
        """Properties to add to the schema: what unknown fields turned out to be."""

    def encode(self, record: Record) -> tuple[bytes, bool]:
        """Return the record as it is written, in JSON, and whether `added` has changed. Changes `record`, too."""
        changed = not self._known.issuperset(record) and self._add_new(record)
        if self.added:
            changed |= self._check_added(record)
        for name in self._left_out:
            record.pop(name, None)
        self._turn_to_text(record, self._turned)
        encoded = _as_json(record)
        try:
            # One pass in C over all text fields; they are rarely something else.
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

    def _add_new(self, record: Record) -> bool:
        """Add the fields that are new; return whether the schema grew."""
        grown = False
        for name in record.keys() - self._known:
            found = _type(record[name])
            if not self._selected(name):
                self._left_out.add(name)
            elif found == "null":
                continue  # its type is known when it has a value
            else:
                self._declare(name, self._contract.get(name) or self._schema_of(found))
                grown = True
            self._known.add(name)
        return grown

    def _check_added(self, record: Record) -> bool:
        """Redeclare an added field as text when a value does not fit."""
        changed = False
        for name, field in self.added.items():
            found = _type(record.get(name, NULL))
            if name not in self._texts and found not in _types(field) | {"null"}:
                self._declare(name, {"type": ["string", "null"]})
                changed = True
        return changed

    def _declare(self, name: str, field: dict[str, Any]) -> None:
        self.added[name] = field
        if _is_text(field):
            self._texts.add(name)
            self._turned.add(name)
            self._check = self._text_check()

    def _schema_of(self, found: str) -> dict[str, Any]:
        if self._numbers_as_text and found not in {"string", "boolean"}:
            found = "string"
        return {"type": [found, "null"]}


def _types(field: Mapping[str, Any]) -> set[str]:
    types = field.get("type", [])
    return {types} if isinstance(types, str) else set(types)


def _is_text(field: Mapping[str, Any]) -> bool:
    return _types(field) - {"null"} == {"string"}


def _type(raw: msgspec.Raw) -> str:
    return _TYPES.get(bytes(raw)[:1], "number")
