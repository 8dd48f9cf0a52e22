"""Streams whose records leave exactly as the service sent them.

A record is a `Record`: its values are the JSON bytes that came, so money keeps its digits and trailing zeros, and
fields that nobody has heard of yet travel along. Streams read in batches; a batch's bookmark is set when all its
records, and what its children make of them, are written. So any STATE is a safe place to go on from.
"""

from __future__ import annotations

import functools
import logging
import sys
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from singer_sdk import Stream
from singer_sdk.exceptions import AbortedSyncPausedException
from singer_sdk.helpers._catalog import get_selected_schema
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE

from ap_connectors.core.errors import ApError
from ap_connectors.core.raw_json import Record
from ap_connectors.singer.fields import FieldTypes
from ap_connectors.singer.writer import RecordWriter

if TYPE_CHECKING:
    from singer_sdk.metrics import Counter

_CHECKPOINT_RECORDS = 10_000
_CHECKPOINT_SECONDS = 5.0

# What the command explains, or the SDK itself takes for a good ending.
_EXPLAINED = (ApError, AbortedSyncPausedException, BrokenPipeError)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


@dataclass(frozen=True)
class Batch:
    """Records, and what the bookmark says once they are safe (nothing where that is only known later)."""

    records: list[Record]
    bookmark: Mapping[str, Any] = field(default_factory=dict)


class ExactStream(Stream):
    """A stream of `Record`s, or, with `parent_stream_type`, a stream that derives them from its parent's.

    A subclass sets `name`, `key_fields`, `instant_field` (the bookmark's field) and a contract; it defines `read`, or
    `derive` if it is a child.
    """

    key_fields: ClassVar[tuple[str, ...]]
    instant_field: ClassVar[str | None] = None
    # Values pass as they came, so there is nothing to conform.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(self, tap: Any, contract: dict[str, Any]) -> None:
        super().__init__(tap, schema=contract)
        self.primary_keys = self.key_fields
        self.replication_key = self.instant_field
        self._counter: Counter | None = None
        self._since_checkpoint = 0
        self._last_checkpoint = time.monotonic()

    def read(self, context: Mapping[str, Any] | None) -> Iterable[Batch]:
        """Yield what came after the bookmark, in batches, in the service's order."""
        raise NotImplementedError(f"{self.name} derives its records from another stream")

    def derive(self, parents: list[Record]) -> Iterable[Record]:
        """Yield the records that a batch of the parent's records gives rise to."""
        raise NotImplementedError(f"{self.name} reads its records itself")

    def get_records(self, context: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
        """Yield the records as Python objects, exact decimals included, for users of the class; a sync uses `read`."""
        for batch in self.read(context):
            yield from (_decode(_encode(record)) for record in batch.records)

    def get_batch_config(self, config: Mapping[str, Any]) -> None:
        """BATCH messages are not offered: the SDK's would bypass selection and stream maps."""

    def get_replication_key_signpost(self, context: Mapping[str, Any] | None = None) -> None:
        """No bookmark is ever made of this machine's clock."""

    @property
    def selected(self) -> bool:
        """Whether the stream is selected."""
        return self.mask.get((), True)

    @selected.setter
    def selected(self, value: bool | None) -> None:
        # The SDK selects every stream for --test when its maps are made already, of no field at all.
        self.metadata.root.selected = value
        self._mask = self.metadata.resolve_selection()
        chosen = get_selected_schema(self.name, self.effective_schema, self.mask)
        self._tap.mapper.register_raw_stream_schema(self.name, chosen, self.primary_keys)
        self._stream_maps = None

    # Writing

    @functools.cached_property
    def _fields(self) -> FieldTypes:
        return FieldTypes(
            self.schema["properties"],
            self.effective_schema.get("properties", {}),
            lambda name: self.mask["properties", name],
        )

    @functools.cached_property
    def _passes_unmapped(self) -> bool:
        """Whether records leave as they are: no stream map, no flattening."""
        first = self.stream_maps[0]
        plain = len(self.stream_maps) == 1 and type(first) is SameRecordTransform
        return plain and not (first.flattening_options and first.flattening_options.enabled)

    def open(self, exits: ExitStack) -> None:
        """Get ready to `emit`."""
        self._counter = exits.enter_context(self.get_record_counter())
        self.stamp()

    def stamp(self) -> None:
        """Note the time as that of extraction for the records that follow."""
        now = datetime.now(timezone.utc).isoformat().encode()
        self._head = b'{"type":"RECORD","stream":%b,"record":' % _encode(self.name)
        self._tail = b',"time_extracted":"%b"}\n' % now

    def emit(self, record: Record) -> None:
        """Write one record, exactly; before it a SCHEMA if it has fields that nobody knew."""
        encoded, changed = self._fields.encode(record)
        if changed:
            self._extend_schema(self._fields.added)
        writer = self._tap.message_writer
        if self._passes_unmapped and isinstance(writer, RecordWriter):
            writer.write_record(self._head, encoded, self._tail)
        else:
            for message in self._generate_record_messages(_decode(encoded)):
                self._tap.write_message(message)
        if self._counter:
            self._counter.increment()
        self._since_checkpoint += 1
        self.state_manager.is_flushed = False

    def _extend_schema(self, added: Mapping[str, Any]) -> None:
        known = self.stream_maps[0].raw_schema
        extended = known | {"properties": known["properties"] | added}
        self._tap.mapper.register_raw_stream_schema(self.name, extended, self.primary_keys)
        self._stream_maps = None
        self.logger.info("%s: new in the service's answers: %s; the schema grows", self.name, ", ".join(added))
        self._write_schema_message()

    def last_bookmark(self, context: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Return where the last run ended; nothing where the catalog wants the whole table each time."""
        if self.forced_replication_method == REPLICATION_FULL_TABLE:
            return {}
        return self.get_context_state(context)

    def bookmark(self, values: Mapping[str, Any], context: Mapping[str, Any] | None = None) -> None:
        """Set the bookmark; write a STATE when enough has happened since the last one."""
        if values:
            self.get_context_state(context).update({"replication_key": self.replication_key, **values})
            self.state_manager.is_flushed = False
        now = time.monotonic()
        if self._since_checkpoint >= _CHECKPOINT_RECORDS or now - self._last_checkpoint >= _CHECKPOINT_SECONDS:
            self._write_state_message()
            self._since_checkpoint, self._last_checkpoint = 0, now

    # The SDK's loop, replaced: it looks at every record a dozen times and sets bookmarks between records.

    def _sync_records(
        self,
        context: Mapping[str, Any] | None = None,  # noqa: ARG002 - the SDK's signature
        *,
        write_messages: bool = True,  # noqa: ARG002
    ) -> Generator[dict[str, Any], Any, Any]:
        children = [child for child in self.child_streams if child.selected and isinstance(child, ExactStream)]
        with ExitStack() as exits:
            exits.enter_context(self.get_sync_timer())
            for stream in (self, *children):
                stream.open(exits)
            for child in children:
                child._write_schema_message()
            self._warn_of_unread_past(children)
            parts: list[dict[str, Any]] | list[None] = [None] if self.partitions is None else self.partitions
            for part in parts:
                self._sync_part(part, children)
        # Even a run that found nothing ends with a STATE, unless the one it began with still holds; the SDK writes none
        # twice, so the records are written out here.
        self.state_manager.is_flushed = False
        self._write_state_message()
        if isinstance(self._tap.message_writer, RecordWriter):
            self._tap.message_writer.flush()
        yield from ()

    def _warn_of_unread_past(self, children: list[ExactStream]) -> None:
        """Say when a stream joins late, or joins again: what the bookmark has left behind does not come again."""
        state = self.stream_state
        served = [stream.name for stream in (self, *children) if stream.selected]
        if "served" in state:
            for name in served:
                if name not in state["served"]:
                    self.logger.warning(
                        "%s was not read the last time and begins at the bookmark of %s. To get what was before, run "
                        "it once with a state of its own.",
                        name,
                        self.name,
                    )
        if self.child_streams:
            state["served"] = served

    def _sync_part(self, part: Mapping[str, Any] | None, children: list[ExactStream]) -> None:
        done = 0
        for batch in self.read(part):
            records = batch.records
            if self.ABORT_AT_RECORD_COUNT is not None:
                records = records[: self.ABORT_AT_RECORD_COUNT - done]
            done += len(records)
            # Children first: `emit` changes a record to what its own stream declares.
            for child in children:
                child.stamp()
                for derived in child.derive(records):
                    child.emit(derived)
            if self.selected:
                self.stamp()
                for record in records:
                    self.emit(record)
            if self.ABORT_AT_RECORD_COUNT is not None and done >= self.ABORT_AT_RECORD_COUNT:
                self._check_max_record_limit(done)
            self.bookmark(batch.bookmark, part)

    def log(self, message: str, *args: Any, level: int = logging.INFO, **kwargs: Any) -> None:
        """Log, but not that an error is unhandled when it will be explained or is a good ending."""
        if level >= logging.ERROR and isinstance(sys.exc_info()[1], _EXPLAINED):
            return
        super().log(message, *args, level=level, **kwargs)
