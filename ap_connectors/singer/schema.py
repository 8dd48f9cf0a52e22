"""The schema of a record: a JSON Schema, compiled to coerce values to its own names and types.

A warehouse brings `EXTERNAL_UPDATED_AT` and amounts as numbers; a service wants `externalUpdatedAt` and decimal text.
What cannot be coerced exactly is rejected, and the message says where it is and what is wrong with it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ap_connectors.core.errors import Reject
from ap_connectors.singer.coercion import NATURAL, CoercionError, Reader, check_encodable, not_an_object, quoted, reader

_TYPED_BY = {"properties": "object", "items": "array", "enum": "string", "maxLength": "string"}
_FORMATS = {"decimal", "date", "date-time", "uuid"}
# Spellings are few; a stream that invents names all the time must not fill the memory.
_MOST_SPELLINGS = 4096
_MOST_ERRORS = 20


@functools.lru_cache(_MOST_SPELLINGS)
def canonical(name: str) -> str:
    """Return what all spellings of a name have in common: `externalId`, `external_id`, `EXTERNAL_ID`."""
    return name.replace("_", "").lower()


class Schema:
    """What a value must be. Make one with `of`, once; it does not change afterwards.

    Attributes:
        nullable: whether null is allowed.
        natural: the types of values that fit without a conversion.
        fit: coerces a value that is not null; raises CoercionError.
    """

    fit: Reader

    def __init__(self, natural: tuple[type, ...]) -> None:
        self.nullable = False
        self.natural = natural

    @classmethod
    def of(cls, json_schema: Mapping[str, Any]) -> Schema:
        """Compile a JSON Schema whose references are resolved."""
        return _compiled(json_schema)

    def coerce(self, value: Any, path: str = "") -> Any:
        """Return a value in the schema's names and types; null stays null.

        Args:
            value: decoded JSON, its numbers int or Decimal; it is not changed.
            path: of the value, for the message.

        Raises:
            Reject: it does not fit; the message says where and why.
        """
        if value is None:
            return None
        try:
            return self.fit(value)
        except CoercionError as error:
            raise error.reject(path) from None

    def errors(self, value: Any) -> Iterator[CoercionError]:
        """Yield all that keeps a value, which is not null, from fitting; `fit` raises the first error only."""
        try:
            self.fit(value)
        except CoercionError as error:
            yield error


class ScalarSchema(Schema):
    """One value, a free-form object, or anything at all.

    Attributes:
        kind: a key of `ap_connectors.singer.coercion.NATURAL`.
        most_plain: ASCII text up to this length fits as it is; -1 if that can't be said.
    """

    def __init__(self, kind: str, json_schema: Mapping[str, Any]) -> None:
        super().__init__(NATURAL[kind])
        self.kind = kind
        self.fit = reader(kind, json_schema)
        self.most_plain: int = json_schema.get("maxLength", sys.maxsize) if kind == "string" else -1


class ListSchema(Schema):
    """A list; `items` is the schema of its elements."""

    def __init__(self, items: Schema) -> None:
        super().__init__((list,))
        self.items = items
        self.fit = self._fit

    def _fit(self, value: Any) -> list[Any]:
        if type(value) is not list:
            raise CoercionError(f"is not a list: {quoted(value)}", "not_a_list", value=quoted(value))
        coerced: list[Any] = []
        try:
            for item in value:
                coerced.append(self._element(item))
        except CoercionError as error:
            raise error.within(len(coerced)) from None
        return coerced

    def errors(self, value: Any) -> Iterator[CoercionError]:
        """Yield the errors of all elements."""
        if type(value) is not list:
            yield from super().errors(value)
            return
        for number, item in enumerate(value):
            if item is not None:
                yield from (error.within(number) for error in self.items.errors(item))
            elif not self.items.nullable:
                yield _null_not_allowed().within(number)

    def _element(self, item: Any) -> Any:
        if item is not None:
            return self.items.fit(item)
        if not self.items.nullable:
            raise _null_not_allowed()
        return None


_Entry = tuple[str, int, Reader]


class ObjectSchema(Schema):
    """An object with declared members.

    Attributes:
        members: schemas by the contract's names.
        required: names of the members that must be there.
        alternatives: the objects of which it is one (ways to look something up), if the schema says so; `members` are
            then those of all of them, and `required` is what each of them requires.
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
        self._entries = {name: self._entry(name) for name in members}
        # Also names that no field has: None.
        self._spellings: dict[str, _Entry | None] = dict(self._entries)

    @classmethod
    def of(cls, json_schema: Mapping[str, Any]) -> ObjectSchema:
        """Compile a JSON Schema that declares an object with members.

        Raises:
            TypeError: it declares something else.
        """
        schema = _compiled(json_schema)
        if not isinstance(schema, ObjectSchema):
            raise TypeError("The JSON Schema does not declare an object with members.")
        return schema

    def name_of(self, name: str) -> str | None:
        """Return the contract's name of a member for any spelling, or None if it has no such member."""
        return name if name in self.members else self._names.get(canonical(name))

    def coerce_record(self, record: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the known members, under the contract's names and coerced, and the unknown ones as they came.

        Required members may be absent on this level: see `missing`.

        Raises:
            Reject: values do not fit, or one field comes in two spellings; all of it at once.
        """
        try:
            return self._members_of(record)
        except CoercionError as error:
            found = list(islice(self._errors_of_members(record), _MOST_ERRORS)) or [error]
        raise Reject.several([error.reject() for error in found], joint="; ")

    def errors(self, value: Any) -> Iterator[CoercionError]:
        """Yield the errors of all members; without any, what else is wrong with the object."""
        found = list(self._errors_of_members(value)) if type(value) is dict else []
        yield from found or super().errors(value)

    def _errors_of_members(self, record: Mapping[str, Any]) -> Iterator[CoercionError]:
        for spelling, value in record.items():
            name = self.name_of(spelling)
            if name is not None and value is not None:
                yield from (error.within(name) for error in self.members[name].errors(value))

    def missing(self, body: Mapping[str, Any]) -> list[str]:
        """Return the required members that are absent, or null where null is not allowed; names as in the contract."""
        return [name for name in self._in_order if body.get(name) is None and not self._allows_null(name, body)]

    def _allows_null(self, name: str, body: Mapping[str, Any]) -> bool:
        return name in body and name in self.members and self.members[name].nullable

    def _fit(self, value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise not_an_object(value)
        coerced, unknown = self._members_of(value)
        if self.required:
            for name in self.missing(coerced):
                error = _null_not_allowed() if name in coerced else CoercionError("is missing", "missing_field")
                raise error.within(name)
        # The live service knows more fields than the contract; leaving them out in silence would be a loss.
        if unknown:
            check_encodable(unknown)
            coerced.update(unknown)
        return coerced

    def _members_of(self, record: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        if not record.keys() <= self.members.keys():
            return self._spelled_members_of(record)
        # All names are the contract's own, as in nearly all objects; and most values stay as they are.
        known = dict(record)
        entries = self._entries
        name = ""
        try:
            for name, value in record.items():
                _, most, fit = entries[name]
                if value is not None and not (type(value) is str and len(value) <= most and value.isascii()):
                    known[name] = fit(value)
        except CoercionError as error:
            raise error.within(name) from None
        return known, {}

    def _spelled_members_of(self, record: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        known: dict[str, Any] = {}
        unknown: dict[str, Any] = {}
        spellings = self._spellings
        contract_name = ""
        try:
            for name, value in record.items():
                found = spellings[name] if name in spellings else self._spelled(name)
                if found is None:
                    unknown[name] = value
                    continue
                contract_name, most, fit = found
                if contract_name in known:
                    raise _two_spellings(record, contract_name)
                if value is None or (type(value) is str and len(value) <= most and value.isascii()):
                    known[contract_name] = value
                else:
                    known[contract_name] = fit(value)
        except CoercionError as error:
            raise error.within(contract_name) from None
        return known, unknown

    def _entry(self, name: str) -> _Entry:
        """Return a member's name, the length up to which ASCII text needs no further check, and its reader."""
        schema = self.members[name]
        return name, schema.most_plain if isinstance(schema, ScalarSchema) else -1, schema.fit

    def _spelled(self, name: str) -> _Entry | None:
        contract_name = self._names.get(canonical(name))
        found = None if contract_name is None else self._entry(contract_name)
        if len(self._spellings) < _MOST_SPELLINGS:
            self._spellings[name] = found
        return found


class ChoiceSchema(Schema):
    """One of several schemas; a value chooses, first among those that it fits without a conversion."""

    def __init__(self, alternatives: tuple[Schema, ...]) -> None:
        super().__init__(tuple(kind for schema in alternatives for kind in schema.natural))
        self.alternatives = alternatives
        self.fit = lambda value: self.choose(value)[1]

    def choose(self, value: Any) -> tuple[Schema, Any]:
        """Return the schema that a value fits, and the coerced value.

        Raises:
            CoercionError: it does not fit any; the words are those of the likeliest.
        """
        first: CoercionError | None = None
        for schema in sorted(self.alternatives, key=lambda one: type(value) not in one.natural):
            try:
                return schema, schema.fit(value)
            except CoercionError as error:
                first = first or error
        raise first or CoercionError("does not fit any form", "no_form_fits")


def _null_not_allowed() -> CoercionError:
    return CoercionError("must not be null", "null_not_allowed")


def _two_spellings(record: Mapping[str, Any], name: str) -> CoercionError:
    spellings = [spelling for spelling in record if canonical(spelling) == canonical(name)]
    words = f"comes in more than one spelling: {', '.join(spellings)}"
    return CoercionError(words, "two_spellings", spellings=spellings)


# Compiling


@dataclass(frozen=True)
class Declared:
    """What a JSON Schema declares on its own level, whichever of the many ways it uses.

    Args:
        schema: the JSON Schema, with the parts of its `allOf` made its own.
        choices: the JSON Schemas of which a value fits one, null left out, each with what is beside them; empty if
            there is no choice.
        kind: a JSON type, "any", or for text one of the formats that are checked ("date"); without a meaning if there
            are choices.
        nullable: whether null is allowed.
    """

    schema: Mapping[str, Any]
    choices: list[Mapping[str, Any]]
    kind: str
    nullable: bool

    @classmethod
    def of(cls, schema: Mapping[str, Any]) -> Declared:
        """Read a JSON Schema whose references are resolved."""
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
    """Return a JSON Schema with the parts of its `allOf` made its own."""
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


def _compiled(json_schema: Mapping[str, Any]) -> Schema:
    declared = Declared.of(json_schema)
    if declared.choices:
        schema = _one_of([_compiled(choice) for choice in declared.choices])
    elif declared.kind == "array":
        schema = ListSchema(_compiled(declared.schema.get("items", {})))
    elif declared.kind == "object" and (properties := declared.schema.get("properties")):
        members = {name: _compiled(member) for name, member in properties.items()}
        schema = ObjectSchema(members, declared.schema.get("required", []))
    else:
        schema = ScalarSchema(declared.kind, declared.schema)
    schema.nullable = schema.nullable or declared.nullable
    return schema


def _one_of(schemas: list[Schema]) -> Schema:
    if len(schemas) == 1:
        return schemas[0]
    objects = tuple(schema for schema in schemas if isinstance(schema, ObjectSchema))
    chosen = _union(objects) if len(objects) == len(schemas) else ChoiceSchema(tuple(schemas))
    chosen.nullable = any(schema.nullable for schema in schemas)
    return chosen


def _union(objects: tuple[ObjectSchema, ...]) -> ObjectSchema:
    members: dict[str, list[Schema]] = {}
    for schema in objects:
        for name, member in schema.members.items():
            members.setdefault(name, []).append(member)
    required = frozenset.intersection(*(schema.required for schema in objects))
    return ObjectSchema({name: _one_of(found) for name, found in members.items()}, required, objects)
