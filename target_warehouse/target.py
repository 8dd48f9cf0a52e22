"""Settings of `target-warehouse`, and what puts its parts together."""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import msgspec
from singer_sdk import typing as th
from singer_sdk.mapper import RemoveRecordTransform

from ap_connectors.core import messages, postgresql
from ap_connectors.core.errors import Outage, Reject, Stop
from ap_connectors.core.messages import Line, RawMessage
from ap_connectors.singer.message_io import Interrupted, LineReader, write_out
from ap_connectors.singer.settings import MAX_REJECTS, REJECTS_PATH, TARGET_REPORT_PATH
from ap_connectors.singer.sink import Sink
from ap_connectors.singer.target import ExactTarget
from target_warehouse.loader import Loader
from target_warehouse.tables import Settings
from target_warehouse.views.definition import Absent
from target_warehouse.views.install import Installer, Places
from target_warehouse.warehouse import Warehouse

_MEMORY = 256
_as_json = msgspec.json.Encoder(decimal_format="number").encode


class RawLineReader(LineReader):
    """Hands over lines whose records are JSON still."""

    raw_records = True


class TargetWarehouse(ExactTarget):
    """Any tap's records into DuckDB or PostgreSQL: typed columns, not a digit changed, rows and STATE together."""

    name = "target-warehouse"
    message_reader_class = RawLineReader

    config_jsonschema = th.PropertiesList(
        th.Property(
            "database",
            th.StringType(min_length=1),
            required=True,
            secret=True,
            title="Database",
            description="Path of a DuckDB file, which is made if it is missing; or the URL of a PostgreSQL database. A "
            "password may also be in ~/.pgpass.",
            examples=["output/warehouse.duckdb", "postgresql://ap@db/warehouse"],
        ),
        th.Property(
            "schema",
            th.StringType(min_length=1),
            title="Schema",
            description="Schema that the tables are in; it is made if it is missing. Without it: main in DuckDB, "
            "public in PostgreSQL.",
            examples=["vicai"],
        ),
        th.Property(
            "company",
            th.StringType(min_length=1),
            title="Company",
            description="Name of the company whose data these are: the column company has it, and it is part of every "
            "key, so that one schema holds many companies. Without it the schema holds one.",
            examples=["acme"],
        ),
        th.Property(
            "deletes",
            th.StringType(allowed_values=["mark", "remove", "ignore"]),
            default="mark",
            title="Deletes",
            description="What becomes of rows that were deleted at the service: mark sets _sdc_deleted_at, remove "
            "removes them, ignore keeps them as they are. Lines that an invoice or a document no longer has are "
            "removed in any case: they are a former state.",
        ),
        th.Property(
            "metadata_columns",
            th.BooleanType,
            default=False,
            title="Metadata columns",
            description="Whether each row says when it was read and loaded (_sdc_extracted_at, _sdc_received_at, "
            "_sdc_batched_at, _sdc_sequence).",
        ),
        th.Property(
            "views",
            th.BooleanType,
            default=False,
            title="Views",
            description="Whether the views that answer questions are made, or brought up to date, at the end of the "
            "run: those whose tables are there. Beside the schema vicai they are in the schema answers, beside "
            "acme_vicai in acme_answers.",
        ),
        th.Property(
            "memory_mb",
            th.IntegerType(minimum=64),
            default=_MEMORY,
            title="Memory",
            description="Megabytes for records that wait and for the work of DuckDB; the program needs 100 more.",
        ),
        th.Property(
            "state_id",
            th.StringType(min_length=1),
            title="Pipeline",
            description="Name under which the table _state keeps the last STATE; the schema's name unless set. Set it "
            "where several pipelines load into one schema.",
        ),
        REJECTS_PATH,
        MAX_REJECTS,
        TARGET_REPORT_PATH,
    ).to_dict()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._size = 0
        self._line: Line | None = None
        self._origins: dict[str, str] = {}
        self._most = (self.config.get("memory_mb") or _MEMORY) * 1024 * 1024 // 64

    # What a target says

    @property
    def streams(self) -> Iterable[str]:
        """All streams can be loaded."""
        return ()

    def sink_for(self, stream: str) -> Sink | None:  # noqa: ARG002
        """Return nothing: records are not loaded one by one."""
        return None

    @functools.cached_property
    def company(self) -> str | None:
        """The company of the settings; the database is open then."""
        _ = self.loader
        return self.config.get("company")

    @property
    def destination(self) -> str:
        """What is loaded into, as messages call it."""
        company = f" for {self.config['company']}" if self.config.get("company") else ""
        return f"the schema {self.schema} of {self.redact(self._database)}{company}"

    @property
    def proof(self) -> str:
        """What `--test` has found out, which makes nothing."""
        return f"{self.destination} {self._door().prove()}"

    @property
    def schema(self) -> str:
        """The schema's name."""
        return self.config.get("schema") or ("public" if self._is_postgresql else "main")

    def redact(self, text: str) -> str:
        """Mask the password of the database in a text."""
        return postgresql.masked(text, self._database)

    @property
    def _database(self) -> str:
        return str(self.config.get("database") or "")

    @property
    def _is_postgresql(self) -> bool:
        return postgresql.is_postgresql(self._database)

    @functools.cached_property
    def warehouse(self) -> Warehouse:
        """The database, with a connection open."""
        warehouse = self._door()
        warehouse.open()
        return warehouse

    def _door(self) -> Warehouse:
        """Return the database, not open."""
        others = self.schema, self.config.get("company")
        wait = functools.partial(self.logger.warning, "%s")
        # A driver takes longer to load than a few thousand records.
        if self._is_postgresql:
            from target_warehouse.postgres import PostgreSQL  # noqa: PLC0415 - DuckDB does without it

            return PostgreSQL(self._database, self._pipeline, wait, *others)
        from target_warehouse.duckdb import DuckDB  # noqa: PLC0415 - PostgreSQL does without it

        return DuckDB(self._database, (self.config.get("memory_mb") or _MEMORY) // 2, wait, *others)

    @property
    def _pipeline(self) -> str:
        return self.config.get("state_id") or self.schema

    @functools.cached_property
    def loader(self) -> Loader:
        """What gathers and writes."""
        settings = Settings(self.config.get("company"), self.config["deletes"], self.config["metadata_columns"])
        return Loader(
            self.warehouse,
            settings,
            self._pipeline,
            report=self.report,
            set_aside=self._refuse,
            sync=self.rejects.sync,
            certain=lambda state: write_out(state + b"\n"),
            logger=self.logger,
        )

    # Messages

    def on_schema(self, line: Line) -> None:
        """Take a stream's fields, key and parent."""
        message = line.message
        stream = message.stream or ""
        self.rejects.schema(stream, line.raw)
        if not isinstance((message.schema or {}).get("properties"), dict):
            raise Stop(
                f"Line {line.number}: the SCHEMA of {stream} has no properties, so its columns have no types. Run "
                "the tap with a catalog (--discover) that has them."
            )
        if not self._maps:
            self.loader.declare(stream, message.schema or {}, message.key_properties or [])
            return
        self._registered(stream, line)
        for each in self.mapper.stream_maps[stream]:
            if not isinstance(each, RemoveRecordTransform):
                self._origins[each.stream_alias] = stream
                key = list(each.transformed_key_properties or ())
                self.loader.declare(each.stream_alias, each.transformed_schema, key)

    def begin(self, line: Line) -> None:
        """Begin with a record; what is gathered counts as progress, as it is written many at a time."""
        super().begin(line)
        self._progress.advance()

    def on_record(self, line: Line) -> None:
        """Take a record; write what has gathered when it is much."""
        self._line = line
        if self._maps and not line.too_deep:
            (exact,) = messages.read([line.raw])
            super().on_record(Line(line.number, line.raw, exact.message))
            return
        self.begin(line)
        self._take(line.message.stream or "", cast("RawMessage", line.message).record, line)

    def _load(self, stream: str, record: Mapping[str, Any], line: Line) -> None:
        # What stream maps made of a record.
        self._take(stream, msgspec.Raw(_as_json(record)), self._line or line)

    def _take(self, stream: str, record: msgspec.Raw, line: Line) -> None:
        incoming = self.loader.of(stream)
        if incoming is None:
            self._unannounced(stream, line)
            return
        message = cast("RawMessage", line.message)
        try:
            incoming.add(line.checked(record), line.number, line.raw, message.time_extracted, message.version)
        except Reject as reject:
            self.report.of(stream).add("received")
            self.loader.lacks(stream)
            self._refuse(stream, None, (line.number, line.raw), reject)
            return
        self._size += len(line.raw)
        if self._size >= 2 * self._most:
            self._flush()

    def on_state(self, line: Line) -> None:
        """Take a STATE, which goes out once all before it is written."""
        if self.loader.has_failed:
            self.loader.wait()
        self.loader.state(bytes(line.message.value or b"{}"))
        if self._size >= self._most:
            self._flush()

    def on_activate_version(self, line: Line) -> None:
        """Write what has gathered, and delete what the full load does not have."""
        stream, version = line.message.stream or "", line.message.version
        called = [name for name, origin in self._origins.items() if origin == stream] if self._maps else [stream]
        for name in called:
            if version is not None and self.loader.of(name) is not None:
                self._flush((name, version))

    def after_loading(self) -> None:
        """Write what is left, and make the views that are wanted."""
        self._flush()
        self.loader.wait()
        if self.config["views"]:
            self._make_views(Installer(self.warehouse, Places.beside(self.schema)))
        elif self.loader.has_changed:
            # Those that are there follow the tables.
            with self._only_told():
                for installer in Installer.reading(self.warehouse):
                    self._make_views(installer)

    def _make_views(self, installer: Installer) -> None:
        with self._only_told():
            outcome = installer.apply()
            for name, lacking in outcome.left_out.items():
                level = logging.INFO if isinstance(lacking, Absent) else logging.WARNING
                self.logger.log(level, "The view %s is left out: %s.", name, self.redact(str(lacking)))
            for name, reason in outcome.kept.items():
                words = self.redact(reason)
                self.logger.warning("The view %s stays as it is, for it cannot be dropped: %s.", name, words)
            self.logger.info("%s views are in the schema %s.", len(outcome.made), installer.places.into)

    @contextlib.contextmanager
    def _only_told(self) -> Iterator[None]:
        """Tell what goes wrong with views: the data are loaded, and their STATE is out."""
        failures: tuple[type[Exception], ...] = (Stop, *self.warehouse.errors)
        try:
            yield
        except failures as error:
            words = self.redact((str(error).strip() or type(error).__name__).splitlines()[0])
            self.logger.warning("All is loaded, but the views could not be made: %s Run ap-views apply.", words)

    def _flush(self, activate: tuple[str, int] | None = None) -> None:
        self.loader.flush(activate)
        self._size = 0

    def _close(self, *, failed: bool = False) -> None:
        error = sys.exc_info()[1]
        try:
            if "loader" in self.__dict__ and not self.loader.has_failed:
                if isinstance(error, Interrupted | Stop) and not isinstance(error, Outage):
                    # What came before is right.
                    self.after_loading()
                else:
                    self.loader.wait()
        finally:
            if "warehouse" in self.__dict__:
                self.warehouse.close()
            super()._close(failed=failed)

    def _refuse(self, stream: str, key: str | None, line: tuple[int, bytes], reject: Reject) -> None:
        """Set a record aside."""
        number, raw = line
        self.rejects.add(self._origins.get(stream, stream), raw, reject, line=number)
        self.report.reject(stream, key or f"line {number}", number, reject, self.redact)
        self.rejects.log(self.logger, f"{stream} {key or 'without a key'}", reject, line=number)

    def _about_run(self) -> dict[str, Any]:
        widened = [
            {
                "stream": one.table,
                "column": one.column,
                "was": one.before.name,
                "is": one.after.name,
                "for": self.redact(one.value[:100]),
                "line": one.line or None,
                "key": self.redact(one.key[:100]) or None,
            }
            for one in (self.loader.widened if "loader" in self.__dict__ else ())
        ]
        about = super()._about_run()
        del about["dry_run"]
        return {**about, "schema": self.schema, "widened": widened}
