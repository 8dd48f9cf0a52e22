"""The base of both sinks: what a record says, and what becomes of it at Įvesk."""

from __future__ import annotations

import functools
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from ap_connectors.core.raw_json import JsonObject
from ap_connectors.ivesk.client import IveskClient
from ap_connectors.singer.document_sources import DocumentSources
from ap_connectors.singer.ledger import SendOnce
from ap_connectors.singer.schema import ObjectSchema, canonical
from ap_connectors.singer.sink import ListColumns, Outcome, UnknownFields, is_deletion
from ap_connectors.singer.worker_pool import Parent
from target_ivesk.options import Query

SERVICE = "Įvesk"
IGNORED = Outcome("unchanged", note="marked as deleted, and left alone: Įvesk offers no way to delete")

_encode = msgspec.json.Encoder(decimal_format="number", order="sorted").encode


@dataclass(frozen=True)
class Account:
    """One account at Įvesk, as the sinks see it.

    Args:
        client: reads and writes.
        once: knows what was sent.
        options: of uploads, where a record says nothing else.
        sources: where documents may come from.
        warn: shows a message to the user.
    """

    client: IveskClient
    once: SendOnce
    options: Query
    sources: DocumentSources
    warn: Callable[[str], None]


@dataclass(frozen=True)
class Item:
    """A record in our names and types.

    Args:
        key: what messages call it.
        order_key: the object that it is about; equal for all records about it, so that they stay in order.
        body: its fields.
        deleted: it says that the object was deleted.
        provides: None, because no record waits for another here.
    """

    key: str
    order_key: tuple[str, bytes]
    body: Mapping[str, Any]
    deleted: bool = False
    provides: Parent | None = None


class IveskSink(ABC):
    """Loads the records of one stream.

    Attributes:
        name: of the stream.
        fields: of a record, by name with their JSON schemas.
        expected: unknown fields that need no warning, in canonical spelling.
    """

    name: ClassVar[str]
    fields: ClassVar[Mapping[str, Any]]
    expected: ClassVar[Collection[str]] = ()

    def __init__(self, account: Account) -> None:
        self.account = account
        self.unknown_fields = UnknownFields(self.name, SERVICE, account.warn, self.expected)

    @functools.cached_property
    def _schema(self) -> ObjectSchema:
        return ObjectSchema.of({"type": "object", "properties": self.fields})

    @property
    def list_columns(self) -> ListColumns:
        """The fields. None tells rows apart: what is equal is sent once, and the rest are different things."""
        return ListColumns(known=[*self.fields], expected=self.expected)

    def parse(self, record: Mapping[str, Any], rejected: Mapping[str, Any] | None) -> Item:  # noqa: ARG002
        """Return a record in our names and types.

        Raises:
            Reject: a field is missing, or does not fit.
        """
        body, unknown = self._schema.coerce_record(record)
        self.unknown_fields.report(unknown, body)
        body, deleted = self.meant(body), is_deletion(unknown)
        if not deleted:
            self.check(body)
        return Item(self.key(body), (self.name, self.order_key(body)), body, deleted)

    def meant(self, body: JsonObject) -> JsonObject:
        """Return a record's fields as they are meant."""
        return body

    @abstractmethod
    def check(self, body: Mapping[str, Any]) -> None:
        """Check that a record has all that is needed.

        Raises:
            Reject: it does not.
        """

    @abstractmethod
    def key(self, body: Mapping[str, Any]) -> str:
        """Return what messages call the record; of a deleted one every field may be missing."""

    @abstractmethod
    def order_key(self, body: Mapping[str, Any]) -> bytes:
        """Return what is equal for records that are surely about one object; every field may be missing."""

    @abstractmethod
    def key_hint(self, record: Mapping[str, Any]) -> str | None:
        """Return what messages call a record that cannot be parsed."""

    @abstractmethod
    def send(self, item: Item) -> Outcome:
        """Send what was not sent yet. Thread-safe; calls for one order key are serialized.

        Raises:
            Reject: Įvesk refuses it, or may have it. Outage: Įvesk failed.
        """

    def apply(self, item: Item, compared: None = None) -> Outcome:  # noqa: ARG002 - Įvesk has no copy to compare with
        """Send a record (see `send`)."""
        return self.send(item)

    def compare(self, item: Item) -> Outcome | None:
        """Return the outcome of a record whose object was deleted: there is nothing to do."""
        return IGNORED if item.deleted else None

    def mark_seen(self, key: str, version: int) -> None:  # noqa: B027 - there is nothing to do, for any stream
        """Do nothing: full loads delete nothing here."""


def fingerprint(*parts: Any) -> str:
    """Return the SHA-256 of some JSON values, whatever the order of their members; hexadecimal."""
    return hashlib.sha256(_encode(parts)).hexdigest()


def named(record: Mapping[str, Any], *names: str) -> str | None:
    """Return the first of some fields, in any spelling, whose value is text or a number."""
    given = {canonical(name): value for name, value in record.items() if isinstance(value, str | int) and value}
    return next((str(given[name]) for name in map(canonical, names) if name in given), None)
