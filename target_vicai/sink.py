"""The base of all sinks: what a record says, and what becomes of it at Vic.ai."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from ap_connectors.core import instants
from ap_connectors.core.companies import DOCUMENT_VENDOR
from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.core.validate import id_text
from ap_connectors.singer.diff import Change, diff, merge_missing
from ap_connectors.singer.schema import ObjectSchema, ScalarSchema, canonical
from ap_connectors.singer.sink import UNCHANGED, ListColumns, Outcome, UnknownFields, fields, is_deletion
from ap_connectors.vicai import contract
from ap_connectors.vicai.client import NotFound, Refused
from target_vicai.context import LoadContext, Reference, ResourceSpec
from target_vicai.item import IdFields, Item, missing_key
from target_vicai.record_cache import Reading

T = TypeVar("T")

_WRITTEN_BY_VIC = ("id", "internalId", "internalUpdatedAt", "displayName")
_OF_IVESK = ("ivesk_document_id", "ivesk_company_code", "ivesk_exported_at")
_EXPECTED = frozenset(map(canonical, (*_WRITTEN_BY_VIC, *_OF_IVESK)))
"""Unknown fields that need no warning: Vic alone writes the first; the others tell which document a reject is about."""
_KEY_FIELDS = tuple(map(canonical, ("externalId", "poNumber", "name", "value", "code", "internalId", "id")))

OF_DOCUMENTS = "{} is for records read from documents"
"""Why a list may not have a field."""
_NAMES_OF_OTHERS = ("paymentTermName", "vendorGroupName", "tagValue")

TEXT = {"type": "string", "maxLength": 255}
"""The JSON schema of a reference by a natural key."""

EXTERNAL = {"useSystem": "EXTERNAL"}
"""The query of calls that take the ERP's id."""

_LATER = "left out as older: Vic.ai holds a later state (externalUpdatedAt)"
IGNORED = Outcome("unchanged", note="marked as deleted, and left alone (deletes: ignore)")


class VicSink(ABC):
    """Loads the records of one stream. A subclass sets class attributes and defines `load`.

    Attributes:
        name: of the stream.
        operation: the operation that writes a record; records have the fields of its body.
        component: the schema of what Vic shows of a record; None if it shows nothing that can be compared.
        resource: how Vic's records are listed; None if they are not.
        key_field: the field, of the body or of `extras`, that holds the natural key.
        extras: further fields of a record, by name with their JSON schemas.
        mirrored: a full load may delete what it no longer has. Only for what has an id of the ERP's: by that one
            can tell what a target may have written.
        omitted_is_cleared: Vic clears what a body does not name.
    """

    name: ClassVar[str]
    operation: ClassVar[str]
    component: ClassVar[str | None] = None
    resource: ClassVar[ResourceSpec | None] = None
    key_field: ClassVar[str] = "externalId"
    extras: ClassVar[Mapping[str, Any]] = {}
    mirrored: ClassVar[bool] = False
    omitted_is_cleared: ClassVar[bool] = False

    def __init__(self, context: LoadContext) -> None:
        self.context = context
        self.unknown_fields = UnknownFields(self.name, "Vic.ai", self._warn, _EXPECTED, lambda: self.list_columns.known)
        self.lists_all = True
        """Whether a full load may name all that there is; what documents name never is."""
        self.told: list[JsonObject] = []
        """What Vic said of attachments, for the report: their `name`, `id`, `status`, `invoices` and `error`."""

    def _warn(self, message: str) -> None:
        self.context.warn(message)

    # What a record says

    @functools.cached_property
    def body_schema(self) -> ObjectSchema:
        """What a record's body looks like when it is written."""
        return ObjectSchema.of(contract.inlined(self.contract_schema()))

    @functools.cached_property
    def read_schema(self) -> ObjectSchema | None:
        """What Vic shows of a record; None if it shows nothing. An older service shows less, and is told no more."""
        if self.component is None:
            return None
        return ObjectSchema.of(contract.component(self.component, self.context.client.age))

    @functools.cached_property
    def _record_schema(self) -> ObjectSchema:
        schema = contract.inlined(self.contract_schema())
        return ObjectSchema.of({**schema, "properties": {**schema["properties"], **self.extras}, "required": []})

    def contract_schema(self) -> contract.Schema:
        """Return the contract's schema of the body."""
        return contract.operation(self.operation).body["application/json"]

    @property
    def list_keys(self) -> Sequence[str]:
        """Fields that tell the rows of a list apart."""
        return (self.key_field,)

    @property
    def list_columns(self) -> ListColumns:
        """What the columns of a person's list are called."""
        # A mark says that a record was read from a document: a person who writes one loses the list's own values.
        known = {
            name: schema for name, schema in fields(self._record_schema) if name.partition(".")[0] != DOCUMENT_VENDOR
        }
        return ListColumns(
            [key for key in self.list_keys if key in known],
            [*known],
            contract.inlined(self.contract_schema()).get("required", ()),
            [name for name, one in known.items() if isinstance(one, ScalarSchema) and one.kind == "date-time"],
            _EXPECTED,
            {DOCUMENT_VENDOR: OF_DOCUMENTS.format(DOCUMENT_VENDOR)},
        )

    def key_hint(self, record: Mapping[str, Any]) -> str | None:
        """Return the first of the usual keys that a record has, however wrong the rest of it is."""
        given = {canonical(name): id_text(str(value)) for name, value in record.items() if isinstance(value, str | int)}
        return next((given[name] for name in _KEY_FIELDS if given.get(name)), None)

    def parse(self, record: Mapping[str, Any], rejected: Mapping[str, Any] | None) -> Item:
        """Return a record in the contract's names and types.

        Raises:
            Reject: it is not what the contract says, or has no key.
        """
        body, unknown = self._record_schema.coerce_record(record)
        body = self._ids.as_meant(body)
        self.unknown_fields.report(unknown, body)
        self._tell_of_zones(body)
        extras = {name: body.pop(name) for name in self.extras if name in body}
        key = self.key(body, extras)
        order_key = self.order_key(key, body, extras)
        item = Item(key, order_key, body, extras, is_deletion(unknown), rejected, provides=(self.name, key))
        return self.as_marked(item, unknown)

    def as_marked(self, item: Item, unknown: JsonObject) -> Item:  # noqa: ARG002
        """Return a record by what else it says of itself.

        Args:
            item: the record.
            unknown: fields that neither the contract nor `extras` has, as they came.

        Raises:
            Reject: it cannot be loaded like this.
        """
        return item

    @functools.cached_property
    def _ids(self) -> IdFields:
        # Natural keys, of the record itself and of what it refers to, are ids, too.
        resource = self.resource and (*self.resource.key, self.resource.second_key or "")
        return IdFields(self._record_schema, frozenset({self.key_field, *(resource or ()), *_NAMES_OF_OTHERS}))

    def _tell_of_zones(self, body: JsonObject) -> None:
        """Warn of a zone where the contract has times without one, once for each field."""
        for name in self._without_zone:
            if (value := body.get(name)) and instants.has_zone(value):
                self._without_zone = [other for other in self._without_zone if other != name]
                self._warn(
                    f"{self.name}: {name} {body[name]} has a zone; by the contract it is the time of the ERP's own "
                    "clock, without a zone. It is sent as it is, and compared as an instant."
                )

    @functools.cached_property
    def _without_zone(self) -> list[str]:
        """Fields of the ERP's clock in which no zone was seen yet."""
        fields = contract.inlined(self.contract_schema())["properties"]
        return [name for name, schema in fields.items() if schema.get("x-clock") == "local"]

    def key(self, body: JsonObject, extras: JsonObject) -> str:
        """Return a record's natural key; it can be part of an address.

        Raises:
            Reject: it is missing, or cannot be part of an address.
        """
        value = body.get(self.key_field) or extras.get(self.key_field)
        if not value:
            raise missing_key(self.key_field)
        if value in {".", ".."}:
            raise Reject(
                f"{self.key_field} {value!r} cannot be part of an address, and Vic.ai needs it there. Give it another "
                "key in the ERP.",
                "key_not_addressable",
                field=self.key_field,
                value=value,
            )
        return str(value)

    def order_key(self, key: str, body: JsonObject, extras: JsonObject) -> Hashable:  # noqa: ARG002
        """Return the object that a record is about; records with equal ones are applied in their order."""
        return self.name, key

    # What becomes of it

    def mark_seen(self, key: str, version: int) -> None:
        """Remember that a full load has a record, if what it lacks is to be deleted."""
        if self.context.options.mirror and self.mirrored:
            self.context.cache(self.name).mark_seen(key, version)

    def owns(self, record: JsonObject) -> bool:  # noqa: ARG002
        """Return whether a full load that lacks one of Vic's records may delete it."""
        return True

    def deletion(self, key: str) -> Item:
        """Return an item that deletes a record."""
        return Item(key, (self.name, key), {}, deleted=True)

    def compare(self, item: Item) -> Any:  # noqa: ARG002
        """Compare a record with Vic's copy, on the main thread; `ComparedSink` does."""
        return None

    def apply(self, item: Item, compared: Any = None) -> Outcome:  # noqa: ARG002
        """Load the record, or delete what it says is deleted.

        Raises:
            Missing, Reject, Outage: see `load` and `delete`.
        """
        if not item.deleted:
            return self.load(item)
        return self.delete(item) if self.context.options.delete_records else IGNORED

    @abstractmethod
    def load(self, item: Item) -> Outcome:
        """Load a record into Vic. Thread-safe; calls for one order key are serialized.

        Raises:
            Missing: it refers to something that is not there yet. Reject: Vic refuses it. Outage: Vic failed.
        """

    def delete(self, item: Item) -> Outcome:  # noqa: ARG002
        """Delete the object that a record is about.

        Raises:
            Reject: Vic refuses that. Outage: Vic failed.
        """
        raise Reject(
            f"{self.name}: Vic.ai offers no way to delete these. Leave the record out.",
            "not_deletable",
            stream=self.name,
        )

    def writes_only_changes(self, item: Item) -> bool:
        """Return whether only what differs is written; a replayed record never overwrites what is newer."""
        return self.context.options.compare or item.replayed is not None

    def not_offered(self) -> Reject:
        """Return the reject of a record that an older service has no place for."""
        return Reject(
            f"This Vic.ai takes no {self.name}: its API is older (the health check shows the version). Leave the "
            "stream out.",
            "not_offered",
            stream=self.name,
        )

    def after_loading(self) -> None:  # noqa: B027 - most have nothing to do
        """Do what can only be done when all records are in."""

    # Help for subclasses: bodies

    def require_complete(self, body: JsonObject) -> JsonObject:
        """Return the body if no required field is missing.

        Raises:
            Reject: one is.
        """
        missing = self.body_schema.missing(body)
        if missing:
            are = "is" if len(missing) == 1 else "are"
            raise Reject(f"{', '.join(missing)} {are} missing.", "missing_field", fields=missing)
        return body

    def writable(self, body: JsonObject) -> JsonObject:
        """Return a body without those nulls that the contract does not allow: such a field cannot be cleared."""
        members = self.body_schema.members
        return {name: value for name, value in body.items() if value is not None or members[name].nullable}

    def whole(self, body: JsonObject, present: JsonObject) -> JsonObject:
        """Return the body to write over Vic's record: what it lacks keeps Vic's value, or is null (`replace`)."""
        if self.context.options.merge:
            return merge_missing(self.body_schema, body, present)
        members = self.body_schema.members
        cleared = (name for name in members if name not in body and present.get(name) is not None)
        return {**body, **{name: None for name in cleared if members[name].nullable}}

    def changes(self, body: JsonObject, present: JsonObject) -> tuple[Change, ...]:
        """Return what writing a body would change, but for what Vic offers no way to clear."""
        self.context.approval.compared(present, self.body_schema.members)
        found = diff(self.body_schema, body, present, readable=self.read_schema, clears=not self.context.options.merge)
        if not found:
            return ()
        members = self.body_schema.members
        return tuple(
            one
            for one in found
            if not (one.new is None and one.path in self._defaults and one.old == self._defaults[one.path])
            and (self.omitted_is_cleared or one.path in body or one.path not in members or members[one.path].nullable)
        )

    @functools.cached_property
    def _defaults(self) -> Mapping[str, Any]:
        """What Vic shows of fields that were cleared, where that is not null."""
        fields = contract.component(self.component)["properties"] if self.component else {}
        return {name: field["default"] for name, field in fields.items() if field.get("default") is not None}

    def older(self, ours: JsonObject, theirs: JsonObject) -> Outcome | None:
        """Return the outcome of a record if Vic has a later state of the same thing (both times by the ERP's clock)."""
        self.context.approval.compared(theirs, self.body_schema.members)
        mine, known = ours.get("externalUpdatedAt"), theirs.get("externalUpdatedAt")
        if not mine or not known or mine == known or not instants.is_earlier(mine, known, self.context.erp_zone):
            return None
        return Outcome("older", (Change("externalUpdatedAt", known, mine),), _LATER)

    # Help for subclasses: calls

    def call_delete(self, operation: str, find: Callable[[], object], **arguments: str) -> Outcome:
        """Call an operation that deletes; what somebody else deleted meanwhile is unchanged.

        Args:
            operation: its name.
            find: looks for what is to be deleted, when the answer was lost; returns None if it is gone.
            **arguments: path and query parameters.

        Raises:
            Reject: Vic refuses that. Outage: Vic failed.
        """
        try:
            self.context.writer.send(operation, find_done=lambda: {} if find() is None else None, **arguments)
        except NotFound:
            return UNCHANGED
        return Outcome("deleted")

    def write_with_parents(self, parents: Iterable[Reference], write: Callable[[], T]) -> T:
        """Return `write()`; if Vic refuses it because parents are not there yet, let the record wait for them.

        Args:
            parents: what the record refers to.
            write: called once more if a parent came just after Vic refused.

        Raises:
            Missing: parents are not there (yet). Refused: Vic refuses it for another reason.
        """
        parents = list(dict.fromkeys(parents))
        self.context.await_parents(parents)
        if self.context.options.dry_run:
            self.require_parents(parents)
            return write()
        try:
            return write()
        except Refused as refusal:
            if not parents:
                raise
            self.require_parents(parents, f" {refusal}")
            # A parent whose write is still under way is at Vic by now, but perhaps was not when Vic refused.
            self.context.await_parents(parents)
            if not any(self.context.has_come(parent) for parent in parents):
                raise
            # They are there; perhaps they came while Vic refused.
            return write()

    def find_parent(self, resource: str, key: str) -> Reading:
        """Return the record that a reference leads to.

        Raises:
            Missing: it is not there yet. Reject: there are several of that name.
        """
        self.context.await_parents([(resource, key)])
        found = self.context.find(resource, key)
        if found is None:
            raise self.context.missing([(resource, key)])
        return found

    def require_parents(self, parents: Iterable[Reference], said: str = "") -> None:
        """Check that Vic has what a record refers to; `said` is what Vic said, if it refused the record.

        Raises:
            Missing: it does not.
        """
        if absent := self.context.absent(parents):
            raise self.context.missing(absent, said)
