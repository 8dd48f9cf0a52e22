"""Streams whose records leave exactly as the service sent them.

A record is a `Record`: its values are the JSON bytes that came, so money keeps its digits and trailing zeros, and
unknown fields travel along. Streams read in batches; a batch's bookmark is set when all its records, and what its
children make of them, are written. So any STATE is a safe place to go on from.
"""

from __future__ import annotations

import functools
import logging
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from singer_sdk.exceptions import AbortedSyncFailedException, AbortedSyncPausedException
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE

from ap_connectors.core.errors import ApError
from ap_connectors.core.exact import counted
from ap_connectors.core.raw_json import Record
from ap_connectors.singer import decimals, stream_maps
from ap_connectors.singer._sdk import SdkStream
from ap_connectors.singer.fields import FieldTypes, names_of
from ap_connectors.singer.message_io import RecordWriter

if TYPE_CHECKING:
    from singer_sdk.mapper import StreamMap
    from singer_sdk.metrics import Counter

_CHECKPOINT_RECORDS = 10_000
_CHECKPOINT_SECONDS = 5.0

# What the command explains, or ends a sync well for the SDK.
_EXPLAINED = (ApError, AbortedSyncFailedException, AbortedSyncPausedException, BrokenPipeError)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


@dataclass(frozen=True)
class Batch:
    """Records, and what the bookmark says once they are safe (nothing where that is only known later)."""

    records: list[Record]
    bookmark: Mapping[str, Any] = field(default_factory=dict)


class ExactStream(SdkStream):
    """A stream of `Record`s, or, with `parent_stream_type`, a stream that derives them from its parent's.

    A subclass sets `name`, `key_fields`, `instant_field` (the bookmark's field) and a contract; it defines `read`, or
    `derive` if it is a child.
    """

    key_fields: ClassVar[tuple[str, ...]]
    instant_field: ClassVar[str | None] = None
    read_with: ClassVar[str] = ""
    """The setting that the stream needs, if it needs one."""
    parent_keys: ClassVar[Mapping[str, str]] = {}
    """For parts of a parent's record: our fields that name it, and its own (`x-parent` of the SCHEMA)."""
    parent_version: ClassVar[Mapping[str, str]] = {}
    """The same for the time that tells a former state of the parent from the present one, if there is one."""
    # Values pass as they came, so there is nothing to conform.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(self, tap: Any, contract: dict[str, Any]) -> None:
        schema = decimals.declared(contract, tap.config.get("decimals"))
        if self.parent_keys:
            schema["x-parent"] = {
                "stream": getattr(self.parent_stream_type, "name", None),
                "keys": dict(self.parent_keys),
                "version": dict(self.parent_version),
            }
        super().__init__(tap, schema=schema)
        self._contract = contract
        self.primary_keys = self.key_fields
        self.replication_key = self.instant_field
        self.written = 0
        """Records so far."""
        self.progress = "not begun"
        """`not begun`, `not finished` or `done`."""
        self.left_out = ""
        """Why the stream is left out, if it is."""
        self._counter: Counter | None = None
        self._prepared: list[StreamMap] | None = None
        self._since_checkpoint = 0
        self._last_checkpoint = time.monotonic()

    def read(self, context: Mapping[str, Any] | None) -> Iterable[Batch]:
        """Yield what came after the bookmark, in batches, in the service's order."""
        raise NotImplementedError(f"{self.name} derives its records from another stream")

    def derive(self, parents: list[Record]) -> Iterable[Record]:
        """Yield the records that a batch of the parent's records makes."""
        raise NotImplementedError(f"{self.name} reads its records itself")

    def get_records(self, context: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
        """Yield the records as Python objects, exact decimals included, for users of the class; a sync uses `read`."""
        for batch in self.read(context):
            yield from (_decode(_encode(record)) for record in batch.records)

    def get_batch_config(self, config: Mapping[str, Any]) -> None:
        """Offer no BATCH messages: the SDK's would bypass selection and stream maps."""

    def get_replication_key_signpost(self, context: Mapping[str, Any] | None = None) -> None:
        """Set no limit: a bookmark never comes from this machine's clock."""

    # Writing

    @functools.cached_property
    def _fields(self) -> FieldTypes:
        return FieldTypes(
            self._contract["properties"],
            self.effective_schema.get("properties", {}),
            lambda name: self.mask["properties", name],
            self.name,
            decimals=self.config.get("decimals"),
        )

    @functools.cached_property
    def effective_schema(self) -> dict[str, Any]:
        """The schema that the catalog chooses, with all members of ours."""
        return decimals.complete(super().effective_schema, self.schema)

    @functools.cached_property
    def _direct_writer(self) -> RecordWriter | None:
        """The writer, if records leave as they are: no stream map, no flattening."""
        first, writer = self.stream_maps[0], self.tap.message_writer
        unmapped = len(self.stream_maps) == 1 and type(first) is SameRecordTransform
        flattened = first.flattening_options and first.flattening_options.enabled
        return writer if unmapped and not flattened and isinstance(writer, RecordWriter) else None

    def open(self, exits: ExitStack) -> None:
        """Prepare to `emit`."""
        self._counter = exits.enter_context(self.get_record_counter())
        self.progress = "not finished"
        self.stamp()

    def stamp(self) -> None:
        """Set the time of extraction for the records that follow."""
        now = datetime.now(timezone.utc).isoformat().encode()
        self._head = b'{"type":"RECORD","stream":%b,"record":' % _encode(self.name)
        self._tail = b',"time_extracted":"%b"}\n' % now

    def emit(self, record: Record) -> None:
        """Write one record, exactly; before it a SCHEMA if it has unknown fields."""
        encoded, changed = self._fields.encode(record)
        if changed:
            self._extend_schema(self._fields.added)
        if self._direct_writer is not None:
            self._direct_writer.write_record(self._head, encoded, self._tail)
        else:
            self._write_mapped(_decode(encoded))
        if self._counter:
            self._counter.increment()
        self.written += 1
        self._since_checkpoint += 1
        self.state_manager.is_flushed = False

    def _write_mapped(self, record: dict[str, Any]) -> None:
        if self._prepared is not self.stream_maps:
            stream_maps.prepare(self.stream_maps)
            self._prepared = self.stream_maps
        with stream_maps.explained(self.name):
            messages = self.mapped(record)
            for message in messages:
                message.record = stream_maps.as_json(message.record)
        for message in messages:
            self.tap.write_message(message)

    def _extend_schema(self, added: Mapping[str, Any]) -> None:
        known = self.stream_maps[0].raw_schema
        self.change_schema(known | {"properties": known["properties"] | added})
        if self._fields.new:
            self.logger.info("%s: new fields: %s; the schema grows", self.name, names_of(self._fields.new))
            self._fields.new.clear()
        self.write_schema()

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
            self.write_state()
            self._since_checkpoint, self._last_checkpoint = 0, now

    def summary(self) -> str:
        """Return what became of the stream in this run, in a line."""
        state = self.stream_state
        reached = {part.get("replication_key_value") for part in (state, *state.get("partitions", ()))} - {None}
        up_to = f", read up to {reached.pop()}" if len(reached) == 1 else ""
        progress = self.progress if not self.left_out else "left out in part" if self.written else "left out"
        unfinished = f"; {progress}" if progress != "done" else ""
        return f"{self.name}: {counted(self.written, 'record')}{up_to}{unfinished}."

    # Reading

    def sync_records(self) -> None:
        """Read all batches; write what they and the children's records hold, and bookmarks between batches only."""
        children = [child for child in self.child_streams if child.selected and isinstance(child, ExactStream)]
        with ExitStack() as exits:
            exits.enter_context(self.get_sync_timer())
            for stream in (self, *children):
                stream.open(exits)
            for child in children:
                child.write_schema()
            self.warn_of_unread_past(children)
            parts: list[dict[str, Any]] | list[None] = [None] if self.partitions is None else self.partitions
            for part in parts:
                self._sync_part(part, children)
        for stream in (self, *children):
            stream.progress = "done"
        # Even a run that found nothing ends with a STATE. The SDK leaves out one that equals the last, so flush here.
        self.state_manager.is_flushed = False
        self.write_state()
        if isinstance(self.tap.message_writer, RecordWriter):
            self.tap.message_writer.flush()

    def warn_of_unread_past(self, children: list[ExactStream]) -> None:
        """Warn when a stream joins late, or joins again: records before the bookmark do not come again."""
        state = self.stream_state
        served = [stream.name for stream in (self, *children) if stream.selected]
        if "served" in state:
            for name in served:
                if name not in state["served"]:
                    self.logger.warning(
                        "%s was not read in the last run and begins at the bookmark of %s. To read what was before it, "
                        "run the stream once with a state of its own.",
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
                self.check_record_limit(done)
            self.bookmark(batch.bookmark, part)

    def log(self, message: str, *args: Any, level: int = logging.INFO, **kwargs: Any) -> None:
        """Log, except that an error is unhandled when the command explains it or it ends a sync well."""
        if level >= logging.ERROR and isinstance(sys.exc_info()[1], _EXPLAINED):
            return
        super().log(message, *args, level=level, **kwargs)
