"""What a stream's records become at Įvesk: the base of both loaders."""

from __future__ import annotations

import functools
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from ap_connectors.ivesk.client import IveskClient
from ap_connectors.singer.ledger import SendOnce
from ap_connectors.singer.schema import ObjectSchema, canonical
from ap_connectors.singer.sink import Outcome, UnknownFields, is_deletion
from ap_connectors.singer.worker_pool import Parent
from target_ivesk.options import Query

SERVICE = "Įvesk"
LEFT = Outcome("unchanged", note="marked as deleted, and left alone: Įvesk offers no way to delete")

_encode = msgspec.json.Encoder(decimal_format="number", order="sorted").encode


@dataclass(frozen=True)
class Account:
    """One account at Įvesk, as the loaders see it.

    Args:
        client: reads and writes.
        once: knows what was sent.
        options: of uploads, where a record says nothing else.
        warn: tells the user something.
    """

    client: IveskClient
    once: SendOnce
    options: Query
    warn: Callable[[str], None]


@dataclass(frozen=True)
class Item:
    """A record, read.

    Args:
        key: what a person calls it.
        lane: records of one lane come one after another.
        body: its fields, in our names and types.
        deleted: it says that its object is to go.
        provides: nothing: no record waits for another here.
    """

    key: str
    order_key: tuple[str, bytes]
    body: Mapping[str, Any]
    deleted: bool = False
    provides: Parent | None = None


class IveskSink(ABC):
    """Loads the records of one stream: sets `name`, and `fields` by name with their JSON schemas.

    `expected` are fields that come along and go nowhere, and that nobody misses.
    """

    name: ClassVar[str]
    fields: ClassVar[Mapping[str, Any]]
    expected: ClassVar[Collection[str]] = ()

    def __init__(self, account: Account) -> None:
        self.account = account
        self._unknown_fields = UnknownFields(self.name, SERVICE, account.warn, self.expected)

    @functools.cached_property
    def _shape(self) -> ObjectSchema:
        return ObjectSchema.of({"type": "object", "properties": self.fields})

    def parse(self, record: Mapping[str, Any], replayed: str | None) -> Item:  # noqa: ARG002
        """Read a record.

        Raises:
            Reject: it lacks something, or is not what we take.
        """
        body, unknown = self._shape.coerce_record(record)
        self._unknown_fields.report(unknown)
        deleted = is_deletion(unknown)
        if not deleted:
            self.check(body)
        return Item(self.key(body), (self.name, self.order_key(body)), body, deleted)

    @abstractmethod
    def check(self, body: Mapping[str, Any]) -> None:
        """Look whether all is there that is needed.

        Raises:
            Reject: something is missing.
        """

    @abstractmethod
    def key(self, body: Mapping[str, Any]) -> str:
        """Return what a person calls the record; a deleted one may lack anything."""

    @abstractmethod
    def order_key(self, body: Mapping[str, Any]) -> bytes:
        """Return what is equal for records that are surely about the same; a deleted one may lack anything."""

    @abstractmethod
    def key_hint(self, record: Mapping[str, Any]) -> str | None:
        """Return what a person calls a record that cannot be read."""

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
        """Return the outcome of a record that speaks of a deletion: there is nothing to do."""
        return LEFT if item.deleted else None

    def mark_seen(self, key: str, version: int) -> None:  # noqa: B027 - there is nothing to do, for any stream
        """Take no note of full loads: nothing is deleted."""


def fingerprint(*parts: Any) -> str:
    """Return the SHA-256 of some JSON values, whatever the order of their members; hexadecimal."""
    return hashlib.sha256(_encode(parts)).hexdigest()


def named(record: Mapping[str, Any], *names: str) -> str | None:
    """Return the first of some fields that holds text or a number, in whatever spelling."""
    given = {canonical(name): value for name, value in record.items() if isinstance(value, str | int) and value}
    return next((str(given[name]) for name in map(canonical, names) if name in given), None)
