"""The shape of a record: a JSON Schema, made ready to take values under its own names and in its own types.

A warehouse brings `EXTERNAL_UPDATED_AT` and amounts as numbers; a service wants `externalUpdatedAt` and decimal text.
What can't be turned exactly is refused, and the message says where it stands and what is wrong with it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ap_connectors.core.errors import Reject
from ap_connectors.singer.coercion import NATURAL, CoercionError, Reader, check_encodable, quoted, reader

# What a JSON Schema declares, whichever of its many ways it says so in.

_TYPED_BY = {"properties": "object", "items": "array", "enum": "string", "maxLength": "string"}
_FORMATS = {"decimal", "date", "date-time", "uuid"}


@dataclass(frozen=True)
class Declared:
    """What a schema declares on its own level.

    Args:
        schema: the schema, with the parts of its `allOf` made its own.
        choices: the schemas of which a value fits one, null left out, each with what stands beside them; empty if
            there is nothing to choose.
        kind: a JSON type, "any", or for text one of the formats that are checked ("date"); means nothing with choices.
        nullable: whether null is allowed.
    """

    schema: Mapping[str, Any]
    choices: list[Mapping[str, Any]]
    kind: str
    nullable: bool

    @classmethod
    def of(cls, schema: Mapping[str, Any]) -> Declared:
        """Read a schema whose references are resolved."""
        schema = _with_parts(schema)
        kinds = schema.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        several = [kind for kind in kinds if kind != "null"]
        written = schema.get("oneOf") or schema.get("anyOf") or []
        real = [choice for choice in written if choice.get("type") != "null"]
        nullable = len(real) < len(written) or "null" in kinds or schema.get("nullable") is True
        around = {name: value for name, value in schema.items() if name not in {"oneOf", "anyOf", "nullable"}}
        if real:
            choices: list[Mapping[str, Any]] = [_merged(around, choice) for choice in real]
        else:
            choices = [{**around, "type": kind} for kind in several] if len(several) > 1 else []
        return cls(schema, choices, _kind(schema, several[0] if several else ""), nullable)


def _kind(schema: Mapping[str, Any], kind: str) -> str:
    kind = kind or next((kind for member, kind in _TYPED_BY.items() if member in schema), "any")
    form = str(schema.get("format"))
    return form if form in _FORMATS and kind in {"string", "any"} else kind


def _with_parts(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema with the parts of its `allOf` made its own."""
    whole = {name: value for name, value in schema.items() if name != "allOf"}
    for part in schema.get("allOf", []):
        whole = _merged(whole, _with_parts(part))
    return whole


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**one, **other}
    if "properties" in one or "properties" in other:
        merged["properties"] = {**one.get("properties", {}), **other.get("properties", {})}
        merged["required"] = [*one.get("required", []), *other.get("required", [])]
    return merged


# Spellings are few; a stream that invents names all the time must not fill the memory.
_MOST_SPELLINGS = 4096


def canonical(name: str) -> str:
    """Return what all spellings of a name have in common: `externalId`, `external_id`, `EXTERNAL_ID`."""
    return name.replace("_", "").lower()


class Schema:
    """What a value must look like. Make one with `of`, once; it is never changed afterwards.

    Attributes:
        nullable: whether null is allowed.
        natural: the types of values that fit without a conversion.
        fit: takes a value that is not null; raises Misfit.
    """

    fit: Reader

    def __init__(self, natural: tuple[type, ...]) -> None:
        self.nullable = False
        self.natural = natural

    @classmethod
    def of(cls, schema: Mapping[str, Any]) -> Schema:
        """Make the shape of a JSON Schema whose references are resolved."""
        return _shape(schema)

    def coerce(self, value: Any, path: str = "") -> Any:
        """Return a value in the schema's names and types; null stays null.

        Args:
            value: decoded JSON, its numbers int or Decimal; it is not changed.
            path: where it stands, for the message.

        Raises:
            Reject: it does not fit; the message says where and why.
        """
        if value is None:
            return None
        try:
            return self.fit(value)
        except CoercionError as misfit:
            raise Reject(misfit.sentence(path)) from None


class ScalarSchema(Schema):
    """One value, a free-form object, or anything at all.

    Attributes:
        kind: a key of `ap_connectors.singer.coercion.NATURAL`.
        most_plain: ASCII text up to this length fits as it is; -1 if that can't be said.
    """

    def __init__(self, kind: str, schema: Mapping[str, Any]) -> None:
        super().__init__(NATURAL[kind])
        self.kind = kind
        self.fit = reader(kind, schema)
        self.most_plain: int = schema.get("maxLength", sys.maxsize) if kind == "string" else -1


class ListSchema(Schema):
    """A list; `items` is the shape of its elements."""

    def __init__(self, items: Schema) -> None:
        super().__init__((list,))
        self.items = items
        self.fit = self._fit

    def _fit(self, value: Any) -> list[Any]:
        if type(value) is not list:
            raise CoercionError(f"is not a list: {quoted(value)}")
        taken: list[Any] = []
        try:
            for item in value:
                taken.append(self._element(item))
        except CoercionError as misfit:
            raise misfit.within(len(taken)) from None
        return taken

    def _element(self, item: Any) -> Any:
        if item is not None:
            return self.items.fit(item)
        if not self.items.nullable:
            raise CoercionError("must not be null")
        return None


class ObjectSchema(Schema):
    """An object with declared members.

    Args:
        members: shapes by the contract's names.
        required: names of the members that must be there.
        alternatives: the objects of which it is one (ways to look something up), if the schema says so; `members` are
            then those of all of them, and `required` is what each of them requires.

    Attributes:
        members, required, alternatives: as given.
    """

    def __init__(
        self, members: Mapping[str, Schema], required: Iterable[str], alternatives: tuple[ObjectSchema, ...] = ()
    ) -> None:
        super().__init__((dict,))
        self.members = members
        self.required = frozenset(required)
        self.alternatives = alternatives
        self.fit = self._fit
        self._in_order = [name for name in members if name in self.required]
        self._in_order += sorted(self.required - set(members))
        self._names: dict[str, str] = {}
        for name in members:
            self._names.setdefault(canonical(name), name)
        self._spellings = {name: self._entry(name) for name in members}

    @classmethod
    def of(cls, schema: Mapping[str, Any]) -> ObjectSchema:
        """Make the shape of a schema that declares an object with members.

        Raises:
            TypeError: it declares something else.
        """
        shape = _shape(schema)
        if not isinstance(shape, ObjectSchema):
            raise TypeError("The schema declares no object with members.")
        return shape

    def name_of(self, name: str) -> str | None:
        """Return the contract's name of a member for any spelling, or None if it has no such member."""
        return name if name in self.members else self._names.get(canonical(name))

    def coerce_record(self, record: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the known members, under the contract's names and taken, and the unknown ones as they came.

        What is required is not looked at on this level: see `missing`.

        Raises:
            Reject: a value does not fit, or one field comes in two spellings.
        """
        try:
            return self._members_of(record)
        except CoercionError as misfit:
            raise Reject(misfit.sentence()) from None

    def missing(self, body: Mapping[str, Any]) -> list[str]:
        """Return the required members that are absent, or null where null is not allowed; names as in the contract."""
        return [name for name in self._in_order if body.get(name) is None and not self._null_is_meant(name, body)]

    def _null_is_meant(self, name: str, body: Mapping[str, Any]) -> bool:
        return name in body and name in self.members and self.members[name].nullable

    def _fit(self, value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise CoercionError(f"is not an object: {quoted(value)}")
        taken, unknown = self._members_of(value)
        if self.required:
            for name in self.missing(taken):
                raise CoercionError("must not be null" if name in taken else "is missing").within(name)
        # The live service knows more fields than the contract; leaving them out in silence would be a loss.
        if unknown:
            check_encodable(unknown)
            taken.update(unknown)
        return taken

    def _members_of(self, record: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        known: dict[str, Any] = {}
        unknown: dict[str, Any] = {}
        find = self._spellings.get
        contract_name = ""
        try:
            for name, value in record.items():
                found = find(name) or self._spelled(name)
                if found is None:
                    unknown[name] = value
                    continue
                contract_name, most, fit = found
                if contract_name in known:
                    raise _twice(record, contract_name)
                if value is None or (type(value) is str and len(value) <= most and value.isascii()):
                    known[contract_name] = value
                else:
                    known[contract_name] = fit(value)
        except CoercionError as misfit:
            raise misfit.within(contract_name) from None
        return known, unknown

    def _entry(self, name: str) -> tuple[str, int, Reader]:
        """Return a member's name, the length up to which ASCII text needs no further look, and its reader."""
        shape = self.members[name]
        return name, shape.most_plain if isinstance(shape, ScalarSchema) else -1, shape.fit

    def _spelled(self, name: str) -> tuple[str, int, Reader] | None:
        contract_name = self._names.get(canonical(name))
        if contract_name is None:
            return None
        found = self._entry(contract_name)
        if len(self._spellings) < _MOST_SPELLINGS:
            self._spellings[name] = found
        return found


class ChoiceSchema(Schema):
    """One of several shapes; values choose, first those that fit without a conversion."""

    def __init__(self, alternatives: tuple[Schema, ...]) -> None:
        super().__init__(tuple(kind for shape in alternatives for kind in shape.natural))
        self.alternatives = alternatives
        self.fit = lambda value: self.choose(value)[1]

    def choose(self, value: Any) -> tuple[Schema, Any]:
        """Return the shape that a value fits, and the value as it takes it.

        Raises:
            Misfit: it fits none; the words are those of the likeliest.
        """
        first: CoercionError | None = None
        for shape in sorted(self.alternatives, key=lambda one: type(value) not in one.natural):
            try:
                return shape, shape.fit(value)
            except CoercionError as misfit:
                first = first or misfit
        raise first or CoercionError("fits nothing")


def _twice(record: Mapping[str, Any], name: str) -> CoercionError:
    spellings = [spelling for spelling in record if canonical(spelling) == canonical(name)]
    return CoercionError(f"comes in more than one spelling: {', '.join(spellings)}")


def _shape(schema: Mapping[str, Any]) -> Schema:
    declared = Declared.of(schema)
    if declared.choices:
        shape = _one_of([_shape(choice) for choice in declared.choices])
    elif declared.kind == "array":
        shape = ListSchema(_shape(declared.schema.get("items", {})))
    elif declared.kind == "object" and (properties := declared.schema.get("properties")):
        members = {name: _shape(member) for name, member in properties.items()}
        shape = ObjectSchema(members, declared.schema.get("required", []))
    else:
        shape = ScalarSchema(declared.kind, declared.schema)
    shape.nullable = shape.nullable or declared.nullable
    return shape


def _one_of(shapes: list[Schema]) -> Schema:
    if len(shapes) == 1:
        return shapes[0]
    objects = tuple(shape for shape in shapes if isinstance(shape, ObjectSchema))
    chosen = _union(objects) if len(objects) == len(shapes) else ChoiceSchema(tuple(shapes))
    chosen.nullable = any(shape.nullable for shape in shapes)
    return chosen


def _union(objects: tuple[ObjectSchema, ...]) -> ObjectSchema:
    members: dict[str, list[Schema]] = {}
    for shape in objects:
        for name, member in shape.members.items():
            members.setdefault(name, []).append(member)
    required = frozenset.intersection(*(shape.required for shape in objects))
    return ObjectSchema({name: _one_of(found) for name, found in members.items()}, required, objects)
