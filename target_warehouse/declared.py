"""What a SCHEMA declares: the fields with their kinds, the key, the parent, and the names that columns get."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from target_warehouse import kinds
from target_warehouse.kinds import Kind

DELETED, VERSION, ROW = "_sdc_deleted_at", "_sdc_table_version", "_sdc_row_id"
"""Columns of ours: when the object was deleted; the version of the full load; what tells rows without a key apart."""
COMPANY, STATE = "company", "_state"

_DECIMALS = {"decimal", "x-singer.decimal", "singer.decimal"}
_KINDS: Mapping[str, Kind] = {"boolean": kinds.BOOLEAN, "integer": kinds.INTEGER}
_DEPTH = 20


@dataclass(frozen=True)
class Link:
    """How records point to those of another stream.

    Args:
        stream: the other one.
        keys: our field by theirs... as ``{ours: theirs}``.
        version: the same for the times that tell a former state from the present one; empty if there are none.
        at: for deletions, our field that says when.
        lifted_by: for deletions, our field and its values that say that the object is there again: `{field: [value]}`.
    """

    stream: str
    keys: Mapping[str, str]
    version: Mapping[str, str] = field(default_factory=dict)
    at: str | None = None
    lifted_by: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, member: Any) -> Link | None:
        """Read the member of a SCHEMA; None if it is missing, or cannot be followed."""
        if not isinstance(member, Mapping) or not isinstance(member.get("stream"), str):
            return None
        keys, version, at = member.get("keys"), member.get("version") or {}, member.get("at")
        maps = (keys, version)
        if not keys or not all(isinstance(one, Mapping) and _are_texts([*one, *one.values()]) for one in maps):
            return None
        lifted = member.get("lifted_by") or {}
        if not isinstance(lifted, Mapping) or not all(
            isinstance(one, list) and _are_texts(one) for one in lifted.values()
        ):
            return None
        return cls(member["stream"], dict(keys), dict(version), at if isinstance(at, str) else None, dict(lifted))

    def as_json(self) -> dict[str, Any]:
        """Return what `of` reads."""
        return {"stream": self.stream, "keys": self.keys, "version": self.version, "at": self.at}


def _are_texts(values: Sequence[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


@dataclass
class Declared:
    """A stream as its SCHEMA declares it.

    Args:
        stream: its name.
        kinds: of its fields, by name.
        key: names of the key's fields; empty if rows have none.
        decimals_as_text: fields whose decimals are strings.
        keys_of_parts: fields of the key that are declared as objects or lists: their text is the key.
        parent: whose parts the records are, if they are any (`x-parent`).
        deletions: what the records say is deleted (`x-deletes`).
    """

    stream: str
    kinds: dict[str, Kind]
    key: tuple[str, ...]
    decimals_as_text: Collection[str]
    keys_of_parts: Collection[str]
    parent: Link | None
    deletions: Link | None

    @classmethod
    def of(cls, stream: str, schema: Mapping[str, Any], key: Sequence[str], most: Kind) -> Declared:
        """Read a SCHEMA.

        Args:
            stream: its name.
            schema: the JSON Schema.
            key: `key_properties`.
            most: the decimals that the database has.
        """
        properties = schema.get("properties") or {}
        found: dict[str, Kind] = {}
        as_text, of_parts = set(), set()
        for name, prop in properties.items():
            types, formats = _types(prop, schema, 0)
            found[name] = kind_of(types, formats, prop, most)
            if found[name].name == "decimal" and "string" in types:
                as_text.add(name)
            if name in key and types & {"object", "array"}:
                of_parts.add(name)
        for name in key:
            found.setdefault(name, kinds.TEXT)
            if found[name] == kinds.JSON:
                found[name] = kinds.TEXT  # JSON cannot be compared
        parent, deletions = Link.of(schema.get("x-parent")), Link.of(schema.get("x-deletes"))
        return cls(stream, found, tuple(dict.fromkeys(key)), as_text, of_parts, parent, deletions)

    def is_alike(self, other: Declared) -> bool:
        """Whether rows are told apart, and belong to others, in the same way."""
        return (self.key, self.parent, self.deletions) == (other.key, other.parent, other.deletions)


def kind_of(types: set[str], formats: set[str], prop: Any, most: Kind) -> Kind:
    """Return the kind of a column for the types and formats that a field may have."""
    types = types - {"null"}
    if not types or types & {"object", "array"}:
        return kinds.JSON
    if types <= {"integer", "number"}:
        return kinds.INTEGER if types == {"integer"} else most
    if formats & _DECIMALS and types <= {"string", "integer", "number"}:
        return most
    if types == {"string"}:
        if isinstance(prop, Mapping) and prop.get("x-clock") == "local":
            return kinds.WALL
        if formats == {"date"}:
            return kinds.DATE
        if formats == {"date-time"}:
            return kinds.MOMENT
    return _KINDS[next(iter(types))] if len(types) == 1 and types <= _KINDS.keys() else kinds.TEXT


def _types(prop: Any, whole: Mapping[str, Any], depth: int) -> tuple[set[str], set[str]]:
    """Return the types and the formats that a field may have; no types if it may be anything."""
    if not isinstance(prop, Mapping) or depth > _DEPTH:
        return set(), set()
    types: set[str] = set()
    formats = {prop["format"]} if isinstance(prop.get("format"), str) else set()
    own = prop.get("type") or []
    types.update([own] if isinstance(own, str) else own)
    parts = [_referred(prop["$ref"], whole)] if isinstance(prop.get("$ref"), str) else []
    for member in ("anyOf", "oneOf", "allOf"):
        parts += prop.get(member) or ()
    anything = False
    for part in parts:
        its_types, its_formats = _types(part, whole, depth + 1)
        types |= its_types
        formats |= its_formats
        # A text of a format or any other text: any text.
        anything |= not its_types
        if "string" in its_types and not its_formats and len(parts) > 1:
            formats.add("")
    if not types and not parts:
        types.update(_of_values(prop))
    return (set(), formats) if anything and not isinstance(own, str) and not own else (types, formats)


def _of_values(prop: Mapping[str, Any]) -> Iterator[str]:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
    for value in prop.get("enum") or ([prop["const"]] if "const" in prop else ()):
        yield names.get(type(value), "object")


def _referred(reference: str, whole: Mapping[str, Any]) -> Any:
    found: Any = whole
    for part in reference.removeprefix("#/").split("/"):
        if not isinstance(found, Mapping):
            return {}
        found = found.get(part, {})
    return found


# Names


def names(
    wanted: Sequence[str],
    existing: Collection[str],
    ours: Collection[str],
    longest: int,
    *,
    same_case: bool,
    foreign: Collection[str] = (),
) -> dict[str, str]:
    """Return what each field, or stream, is called in the database: as it is, unless that is taken or not possible.

    Args:
        wanted: their names.
        existing: names of the table's columns, or of the schema's tables.
        ours: names that we use ourselves.
        foreign: names of the existing ones that are the user's.
        longest: the most bytes of a name.
        same_case: whether names that differ in case only are one to the database.
    """

    def folded(name: str) -> str:
        return name.lower() if same_case else name

    found: dict[str, str] = {}
    taken = {folded(name): name for name in existing} | {folded(name): "" for name in foreign}
    reserved = set(map(folded, ours))
    for name in wanted:
        called = _possible(name, longest)
        if folded(called).rstrip("_") in reserved:
            called += "_"  # to company_, too, or two fields would share a column
        if taken.get(folded(called), called) != called:
            called = _short(name, longest)
        taken[folded(called)] = called
        found[name] = called
    return found


def possible(name: str, ours: Collection[str], longest: int, *, same_case: bool) -> set[str]:
    """Return what `names` may have made of a name."""
    (usual,) = names([name], (), ours, longest, same_case=same_case).values()
    return {usual, _short(name, longest)}


def _possible(name: str, longest: int) -> str:
    return name if name and "\0" not in name and len(name.encode()) <= longest else _short(name, longest)


def _short(name: str, longest: int) -> str:
    beginning = name.replace("\0", "").encode()[: longest - 9].decode(errors="ignore")
    return f"{beginning}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
