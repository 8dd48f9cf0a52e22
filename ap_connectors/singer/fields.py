"""The fields of a stream: which ones are written, and with which types.

The catalog decides: deselected fields are left out; a field that the catalog declares as text is written as text,
whatever it is (so exact amounts get through destinations that keep numbers as doubles). Fields that the catalog does
not have are written, too, and the schema grows by what they turn out to be: once for each record that has such, and
not without end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ap_connectors.core.errors import Stop
from ap_connectors.core.raw_json import NULL, Record
from ap_connectors.core.redact import printable
from ap_connectors.singer.decimals import as_number

_TYPES = {b'"': "string", b"t": "boolean", b"f": "boolean", b"{": "object", b"[": "array", b"n": "null"}
_MOST_NEW = 300
"""Unknown fields that a stream may have. Each may cost a SCHEMA that holds all before it."""
_MOST_NAMED = 20
_as_json = msgspec.json.Encoder().encode


class FieldTypes:
    """The fields of one stream.

    Args:
        contract: the stream's own properties, by name.
        declared: the properties that the catalog declares (the same unless a user changed them).
        selected: tells whether a field is selected, also for unknown fields.
        stream: its name, for messages.
        decimals: how decimals are written, if a setting says it.
    """

    def __init__(
        self,
        contract: Mapping[str, Any],
        declared: Mapping[str, Any],
        selected: Callable[[str], bool],
        stream: str = "",
        *,
        decimals: str | None = None,
    ) -> None:
        self._stream = stream
        self._contract = contract
        self._selected = selected
        self._known = set(declared)
        self._left_out = {name for name in declared if not selected(name)}
        self._texts = {name for name, field in declared.items() if _is_text(field)} - self._left_out
        self._turned = {name for name in self._texts if name in contract and not _is_text(contract[name])}
        by_user = (
            self._turned
            if decimals in {None, "number"}
            else {name for name in self._turned if _types(contract[name]) - {"null"} != {"number"}}
        )
        self._numbers_as_text = any(_types(contract[name]) & {"number", "object", "array"} for name in by_user)
        self._numbers = {
            name
            for name, field in declared.items()
            if "number" in _types(field) and name in contract and _is_text(contract[name])
        }
        self._check = self._text_check()
        self.added: dict[str, dict[str, Any]] = {}
        """Properties to add to the schema: what unknown fields turned out to be."""
        self.new: list[str] = []
        """Those that were added since the list was last emptied."""
        self._unknown = 0

    def encode(self, record: Record) -> tuple[bytes, bool]:
        """Return the record as it is written, in JSON, and whether `added` has changed. Changes `record`, too.

        Raises:
            Stop: the stream has got too many unknown fields.
        """
        changed = not self._known.issuperset(record) and self._add_new(record)
        if self.added:
            changed |= self._check_added(record)
        for name in self._left_out:
            record.pop(name, None)
        self._turn_to_text(record, self._turned)
        for name in self._numbers:
            if name in record:
                record[name] = msgspec.Raw(as_number(bytes(record[name])))
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
        types = {name: _type(raw) for name, raw in record.items() if name not in self._known}
        # The type of a null is known when it has a value.
        new = [name for name, found in types.items() if found != "null" or not self._selected(name)]
        self._unknown += sum(name not in self._contract for name in new)
        if self._unknown > _MOST_NEW:
            raise Stop(
                f"{self._stream}: more than {_MOST_NEW} fields that neither the catalog nor the contract has, lately "
                f"{names_of(new)}. Is this the right input? If it is, declare these fields in the catalog."
            )
        found_types = {
            name: self._contract.get(name) or self._schema_of(types[name]) for name in new if self._selected(name)
        }
        self._left_out |= set(new) - found_types.keys()
        self._known.update(new)
        self.new += found_types
        self._declare(found_types)
        return bool(found_types)

    def _check_added(self, record: Record) -> bool:
        """Redeclare an added field as text when a value does not fit."""
        misfits = [
            name
            for name, field in self.added.items()
            if name not in self._texts and _type(record.get(name, NULL)) not in _types(field) | {"null"}
        ]
        self._declare({name: {"type": ["string", "null"]} for name in misfits})
        return bool(misfits)

    def _declare(self, fields: Mapping[str, dict[str, Any]]) -> None:
        self.added.update(fields)
        if texts := {name for name, field in fields.items() if _is_text(field)}:
            self._texts |= texts
            self._turned |= texts
            self._check = self._text_check()

    def _schema_of(self, found: str) -> dict[str, Any]:
        if self._numbers_as_text and found not in {"string", "boolean"}:
            found = "string"
        return {"type": [found, "null"]}


def names_of(fields: Sequence[str]) -> str:
    """Return names for a message: not too many, not too long, and nothing that does not print."""
    named = ", ".join(printable(name[:60]) for name in fields[:_MOST_NAMED])
    return f"{named} and {len(fields) - _MOST_NAMED} more" if len(fields) > _MOST_NAMED else named


def _types(field: Mapping[str, Any]) -> set[str]:
    types = field.get("type", [])
    return {types} if isinstance(types, str) else set(types)


def _is_text(field: Mapping[str, Any]) -> bool:
    return _types(field) - {"null"} == {"string"}


def _type(raw: msgspec.Raw) -> str:
    return _TYPES.get(bytes(raw)[:1], "number")
