"""What the streams of `tap-vicai` are made of: whole lists, changes since a bookmark, parts of what a parent holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

import msgspec

from ap_connectors.core.bookmarks import Bookmark, key_of
from ap_connectors.core.instants import UTC, Clock
from ap_connectors.core.raw_json import NULL, Record, text
from ap_connectors.singer.stream import Batch, ExactStream
from ap_connectors.vicai import contract
from ap_connectors.vicai.client import Forbidden

if TYPE_CHECKING:
    from singer_sdk import Tap

    from ap_connectors.singer.downloads import FileStore
    from ap_connectors.vicai.client import VicaiClient

_items = msgspec.json.Decoder(list[Record | None] | None)

BEGINNING: dict[str, Any] = {"replication_key_value": None, "seen": {}}
"""A bookmark that says no more than that nothing is sure yet."""


class Source(Protocol):
    """What the streams need of their tap."""

    client: VicaiClient
    """The one client that all streams share."""
    files: FileStore
    """Where downloaded files are kept."""
    company: Record
    """The company that the credentials belong to, as the health check says."""


class VicaiStream(ExactStream):
    """A stream of the Vic.ai API.

    Set `operation` (what lists the records) and `component` (what one looks like), both by their names in the contract.
    """

    operation: ClassVar[str]
    component: ClassVar[str]
    query: ClassVar[dict[str, str]] = {}
    """Parameters that every call takes."""
    own_fields: ClassVar[dict[str, Any]] = {}
    """Schemas of the fields that we add to the service's, by name."""

    def __init__(self, tap: Tap) -> None:
        schema = contract.singer_schema(self.component)
        properties = self.own_fields | schema["properties"]
        for key in self.key_fields:
            properties[key] = properties[key] | {"type": [properties[key]["type"][0]]}
        super().__init__(tap, schema | {"properties": properties})

    @property
    def source(self) -> Source:
        """The tap, for its client and its folder."""
        return cast("Source", self.tap)

    def read(self, context: Mapping[str, Any] | None) -> Iterator[Batch]:
        """Yield the records; none, and a clear word, where the company has no right to them."""
        try:
            yield from self.batches(context)
        except Forbidden as error:
            self.logger.warning("%s is left out, the rest goes on. %s%s", self.name, error, self.way_out(context))

    def batches(self, context: Mapping[str, Any] | None) -> Iterator[Batch]:
        """Yield the records in batches."""
        raise NotImplementedError

    def way_out(self, context: Mapping[str, Any] | None) -> str:  # noqa: ARG002 - for those who know better
        """Say what can be done where the company has no right to the stream."""
        return " Deselect the stream, or ask Vic.ai for the right."


class WholeList(VicaiStream):
    """Things that are listed in full each time, for the service has no way to ask for changes."""

    def batches(self, context: Mapping[str, Any] | None) -> Iterator[Batch]:  # noqa: ARG002 - there are no parts
        """Yield page after page."""
        for page in self.source.client.pages(self.operation, **self.query):
            yield Batch(page)


class PlainList(VicaiStream):
    """Things that are listed in one answer, without pages."""

    def batches(self, context: Mapping[str, Any] | None) -> Iterator[Batch]:  # noqa: ARG002 - there are no parts
        """Yield everything."""
        records = self.source.client.whole_list(self.operation, **self.query)
        for record in records:
            key_of(record, self.key_fields[0])
        yield Batch(records)


class ChangedSince(VicaiStream):
    """Things that are asked for by the time of their last change; each change comes once."""

    key_fields: ClassVar[tuple[str, ...]] = ("internalId",)
    instant_field = "internalUpdatedAt"
    clock: ClassVar[Clock] = UTC
    """Whose time `instant_field` holds."""

    @property
    def subset(self) -> dict[str, str]:
        """Parameters that settings add, where they choose a part of the whole: a bookmark holds for that part only."""
        return {}

    def last_bookmark(self, context: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Return where the last run ended; nothing where it read another part."""
        known = super().last_bookmark(context)
        return known if self.subset.items() <= known.items() else {}

    def batches(self, context: Mapping[str, Any] | None) -> Iterator[Batch]:
        """Yield what changed after the bookmark; `context`, where there are partitions, is part of the query."""
        since = Bookmark.from_state(self.last_bookmark(context), self.config.get("start_date"), self.clock)
        pages = self.source.client.changes(
            self.operation,
            since,
            key=self.key,
            instant_field=str(self.instant_field),
            clock=self.clock,
            **{**self.query, **self.subset, **(context or {})},
        )
        for page in pages:
            yield Batch(page.records, {**(page.bookmark.to_state() or BEGINNING), **self.subset})

    def key(self, record: Record) -> str:
        """Return what tells a record from others."""
        return key_of(record, self.key_fields[0])


class PartOfParent(VicaiStream):
    """Things that a parent's record holds as a list, from the same answer."""

    held_in: ClassVar[str]
    """Field of the parent's record that holds them."""
    from_parent: ClassVar[dict[str, str]]
    """Fields of the parent's record that each of them bears, by our name."""

    def derive(self, parents: list[Record]) -> Iterator[Record]:
        """Yield the parts in the parents' order, each with its parent's id."""
        for parent in parents:
            # Ours last: a key is never overwritten by a field that happens to have its name.
            own = {ours: parent.get(theirs, NULL) for ours, theirs in self.from_parent.items()}
            for part in self.parts(parent, parent.get(self.held_in, NULL)):
                yield part | own

    def parts(self, parent: Record, held: msgspec.Raw) -> list[Record]:
        """Return the parts; none, and a word, where the field holds something else."""
        try:
            return [part for part in _items.decode(held) or [] if part is not None]
        except msgspec.ValidationError:
            self.logger.warning(
                "%s: %s of %s is no list of objects; it is left out",
                self.name,
                self.held_in,
                text(parent, "internalId") or text(parent, "id"),
            )
            return []
