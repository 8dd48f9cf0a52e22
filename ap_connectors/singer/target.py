"""The base of our targets: every record is processed once, a STATE vouches only for what is safe, endings are safe."""

from __future__ import annotations

import copy
import functools
import logging
import sys
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import IO, TYPE_CHECKING, Any, ClassVar

from singer_sdk import Sink as SdkSink
from singer_sdk.exceptions import RecordsWithoutSchemaException
from singer_sdk.helpers.capabilities import PluginCapabilities
from singer_sdk.mapper import RemoveRecordTransform

from ap_connectors.core.errors import Outage, Reject, Stop
from ap_connectors.core.messages import Line
from ap_connectors.core.progress import Progress
from ap_connectors.http.request_counts import counting
from ap_connectors.singer import run_files, stream_maps
from ap_connectors.singer.list_notes import ListNotes
from ap_connectors.singer.message_io import Interrupted, InterruptibleReader
from ap_connectors.singer.plugin import ClearPlugin
from ap_connectors.singer.reject_advice import located
from ap_connectors.singer.rejects import RejectFile
from ap_connectors.singer.run_report import Plan, RunReport
from ap_connectors.singer.schema import canonical
from ap_connectors.singer.sink import Outcome, ParsedRecord, Sink
from ap_connectors.singer.state_gate import StateGate
from ap_connectors.singer.target_command import LoadCommand
from ap_connectors.singer.worker_pool import Job, KeyedWorkerPool, Missing

if TYPE_CHECKING:
    from singer_sdk.helpers.capabilities import CapabilitiesEnum

_PATIENCE = 8.0
"""Seconds after a signal before pauses between tries are cut short."""


class Unannounced(Stop, RecordsWithoutSchemaException):
    """A record came before the SCHEMA of its stream."""


class ExactTarget(ClearPlugin, InterruptibleReader, LoadCommand):
    """A target with a `Sink` for each stream.

    A subclass defines `sink_for` (a stream), `streams`, `company`, `redact`; `after_loading` is a hook, as others are.
    """

    default_sink_class = SdkSink
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.report = RunReport()
        self.plan: Plan | None = Plan() if self.config.get("dry_run") else None
        self.rejects = RejectFile(self.config["rejects_path"], self.redact, dry_run=self.plan is not None)
        self.state_gate = StateGate(self.rejects.sync, (lambda _: None) if self.plan else None)
        self.pool = KeyedWorkerPool(self.workers, check=self.check_signal)
        self.unread: Counter[str] = Counter()
        """How many records of a stream were rejected without a readable key, so that what they are about is unknown."""
        self._sinks: dict[str, Sink] = {}
        self._ignored: set[str] = set()
        self._notes: Counter[tuple[int, str, str]] = Counter()
        self._progress = Progress(self.name)
        self._list_notes = ListNotes()

    # What a subclass says

    kept_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields, in canonical spelling, that stream maps neither drop nor rename."""

    @abstractmethod
    def sink_for(self, stream: str) -> Sink | None:
        """Return the sink of a stream, by any spelling of its name; None if the stream is unknown."""

    @property
    @abstractmethod
    def streams(self) -> Iterable[str]:
        """The names of all streams that can be loaded."""

    @property
    @abstractmethod
    def company(self) -> str | None:
        """Whose data it is, as the service says, if it does; so this proves that credentials and address are right.

        Raises:
            Stop: they are wrong, or not those of the company that the settings expect.
        """

    @property
    def destination(self) -> str:
        """What is loaded into, as messages call it; whose it is, that is."""
        return self.company or "a company whose name the service does not tell"

    @property
    def proof(self) -> str:
        """What `--test` has found out."""
        return f"the credentials are those of {self.destination}"

    @property
    def workers(self) -> int:
        """How many records are loaded at once."""
        return self.config.get("max_concurrency") or 8

    def redact(self, text: str) -> str:
        """Mask the secrets in a text."""
        return text

    def after_loading(self) -> None:
        """Do what can only be done when all records are in."""

    def activate_version(self, sink: Sink, version: int, stream: str) -> None:
        """Process the end of a full load: what lacks its version no longer exists.

        Args:
            sink: of the stream.
            version: of the load.
            stream: what the input calls it.
        """

    def working_on(self, sink: Sink, item: ParsedRecord) -> AbstractContextManager[None]:  # noqa: ARG002
        """Return a context in which this thread compares or loads a record."""
        return nullcontext()

    def done(self, sink: Sink, item: ParsedRecord, effect: str) -> Mapping[str, Any]:  # noqa: ARG002
        """Say that a record is done with, and what became of it; return what a plan keeps of it beside that."""
        return {}

    def name_of(self, item: ParsedRecord | None, record: Mapping[str, Any]) -> str:  # noqa: ARG002
        """Return what people call a record that would be set aside; without `item` it could not be read."""
        return ""

    def plan_document(self, plan: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the plan as `plan_path` keeps it."""
        return plan

    # Messages

    def on_schema(self, line: Line) -> None:
        """Find the sink of the stream.

        Raises:
            Stop: the stream is unknown, and unknown streams are not ignored.
        """
        stream = line.message.stream or ""
        for name in self._registered(stream, line):
            if name in self._sinks or name in self._ignored:
                continue
            sink = self.sink_for(name)
            if sink is not None:
                self._sinks[name] = sink
            elif self.config.get("unknown_streams") == "ignore":
                self.logger.warning("The stream %s is unknown and is ignored (unknown_streams).", name)
                self._ignored.add(name)
            else:
                raise Stop(
                    f"Line {line.number}: the stream {name} is unknown. {self.name} loads {', '.join(self.streams)}. "
                    "Leave it out (select), rename it (stream_maps), or set unknown_streams: ignore."
                )
        self.rejects.schema(stream, line.raw)

    def _registered(self, stream: str, line: Line) -> list[str]:
        """Return the names that a stream has after stream_maps."""
        if not self._maps:
            return [stream]
        keys = line.message.key_properties
        self.mapper.register_raw_stream_schema(stream, stream_maps.usable_schema(line.message.schema or {}, keys), keys)
        maps = self.mapper.stream_maps[stream]
        stream_maps.prepare(maps)
        return [each.stream_alias for each in maps if not isinstance(each, RemoveRecordTransform)]

    def on_record(self, line: Line) -> None:
        """Load the record, or what stream maps make of it."""
        self.begin(line)
        stream, record = line.message.stream or "", line.message.record or {}
        if not self._maps or line.too_deep:
            self._load(stream, record, line)
            return
        if stream not in self.mapper.stream_maps:
            self._unannounced(stream, line)
        for each in self.mapper.stream_maps[stream]:
            with stream_maps.explained(stream, f", line {line.number}"):
                mapped = stream_maps.as_json(each.transform(copy.deepcopy(record)))
            if mapped is not None:
                self._load(each.stream_alias, self._with_kept(mapped, record), line)

    def begin(self, line: Line) -> None:
        """Begin with a record: end if a signal asked for it, or if the line was set aside for another company."""
        self.check_signal()
        if line.message.rejected is not None:
            self.rejects.is_ours(line.message.rejected, line.number)

    def _with_kept(self, mapped: Mapping[str, Any], record: Mapping[str, Any]) -> Mapping[str, Any]:
        kept = {name: value for name, value in record.items() if canonical(name) in self.kept_fields}
        spelled = set(map(canonical, kept))
        return {name: value for name, value in mapped.items() if canonical(name) not in spelled} | kept

    def on_state(self, line: Line) -> None:
        """Hold the STATE back until every record before it is safe."""
        self.state_gate.state(bytes(line.message.value or b"{}"))

    def on_activate_version(self, line: Line) -> None:
        """Tell the subclass that a full load is complete."""
        stream = line.message.stream or ""
        if stream in self._sinks and line.message.version is not None:
            self.activate_version(self._sinks[stream], line.message.version, stream)

    def _unannounced(self, stream: str, line: Line) -> None:
        raise Unannounced(
            f"Line {line.number}: a RECORD of the stream {stream} came before its SCHEMA. "
            "Nothing from this line on was loaded; the tap has to send a SCHEMA first."
        )

    # Records

    def _load(self, stream: str, record: Mapping[str, Any], line: Line) -> None:
        sink = self._sinks.get(stream)
        if sink is None:
            if stream not in self._ignored:
                self._unannounced(stream, line)
            return
        counts = self.report.of(sink.name)
        counts.add("received")
        try:
            item = sink.parse(line.checked(record), line.message.rejected)
        except Reject as error:
            self._set_aside_unparsed(sink, record, line, error)
            return
        if line.message.version is not None:
            sink.mark_seen(item.key, line.message.version)
        with counting(counts.request_counts), self.working_on(sink, item):
            compared = None if self.pool.is_busy(item.order_key) else sink.compare(item)
        if isinstance(compared, Outcome):
            self._count(sink, item, compared, line)
        else:
            self._submit(sink, item, compared, line)

    def _submit(self, sink: Sink, item: ParsedRecord, compared: Any, line: Line) -> None:
        number = self.state_gate.begin()

        def run() -> bool:
            nonlocal compared
            # When the record has to wait, the service's copy may change meanwhile: the next try compares anew.
            first, compared = compared, None
            there = self.attempt(sink, item, lambda: sink.apply(item, first), line)
            self.state_gate.ack(number)
            return there

        def on_unresolved(missing: Missing) -> None:
            self.set_aside(sink, item.key, line, missing, item)
            self.state_gate.ack(number)

        def abandoned() -> None:
            self.report.of(sink.name).add("failed")

        self.pool.submit(Job(item.order_key, run, on_unresolved, abandoned, item.provides, len(line.raw)))

    def attempt(self, sink: Sink, item: ParsedRecord, work: Callable[[], Outcome], line: Line) -> bool:
        """Do the work of a record, and count its outcome; return whether its object exists now. Set a reject aside.

        Raises:
            Missing: it has to wait. Outage: the service failed.
        """
        try:
            with counting(self.report.of(sink.name).request_counts), self.working_on(sink, item):
                outcome = work()
        except Missing:
            raise
        except Reject as error:
            self.set_aside(sink, item.key, line, error, item)
            return False
        self._count(sink, item, outcome, line)
        return outcome.effect != "deleted"

    def _count(self, sink: Sink, item: ParsedRecord, outcome: Outcome, line: Line) -> None:
        self._progress.advance()
        self.report.of(sink.name).add(outcome.effect)
        for reject in outcome.aside:
            reject.in_part = True
            self.set_aside(sink, item.key, line, reject, item)
        for change in outcome.bank_changes:
            self.report.bank_change(sink.name, item.key, change)
            head = "Bank details would change" if self.plan is not None else "Bank details changed"
            told = f"{change.path} {change.old or 'none'} -> {change.new or 'none'}"
            self.logger.warning("%s: %s %s: %s.", head, sink.name, item.key, told)
        if outcome.note:
            note = logging.WARNING if outcome.effect == "older" else logging.INFO, sink.name, outcome.note
            self._notes[note] += 1
            if self._notes[note] == 1:
                self.logger.log(note[0], "%s %s: %s.", sink.name, item.key, outcome.note)
        approve = self.done(sink, item, outcome.effect)
        if self.plan is not None:
            called = str(approve.get("name") or "") or self.name_of(item, line.message.record or {})
            self.plan.add(sink.name, item.key, outcome, approve, line.number, name=self.redact(called))

    def _set_aside_unparsed(self, sink: Sink, record: Mapping[str, Any], line: Line, reject: Reject) -> None:
        if (key := sink.key_hint(record)) is None:
            self.unread[sink.name] += 1
        elif line.message.version is not None:
            sink.mark_seen(key, line.message.version)
        self.set_aside(sink, key, line, reject, None)

    def set_aside(self, sink: Sink, key: str | None, line: Line, reject: Reject, item: ParsedRecord | None) -> None:
        """Put a record into the reject file."""
        self._progress.advance()
        reject.params = located(reject.params, line.message.record or {})
        name = key or f"line {line.number}"
        self.rejects.add(line.message.stream or sink.name, line.raw, reject, line=line.number)
        called = self.redact(self.name_of(item, line.message.record or {}))
        self.report.reject(sink.name, name, line.number, reject, self.redact, name=called)
        if self.plan is not None:
            self.plan.reject(sink.name, name, self.redact(str(reject)), called, line.number, in_part=reject.in_part)
        if not self._list_notes.is_told(line.message.stream or sink.name, reject):
            self.rejects.log(self.logger, f"{sink.name} {key or 'without a key'}", reject, line=line.number)

    # The run

    def process_endofpipe(self) -> None:
        """Finish all records, then do what comes after them."""
        self.pool.finish()
        self._progress.end()
        self.after_loading()

    def run(self, file_input: IO[str] | None) -> None:
        """Load everything.

        Raises:
            Stop: it ended before all was done, or more records were set aside than allowed. The last STATE is out.
        """
        # Before all else: a report of what went wrong cannot be written either.
        run_files.check(self.config)
        try:
            self.rejects.check(source := file_input or sys.stdin)
            given = run_files.lines(source, self.sink_for, self._list_notes, () if self._maps else self.streams)
            with counting(self.report.request_counts):
                self.rejects.company = self.company
            self.logger.info("Loading into %s%s.", self.destination, " (a plan: nothing is written)" * bool(self.plan))
            self.read_lines(self.rejects.guard(given, self.logger))
        except Interrupted as interrupted:
            self._close()
            self.end_by_signal(interrupted, "what was under way is finished")
        except BaseException as error:
            if isinstance(error, Stop):
                # It may quote the input, and that may hold anything.
                error.args = tuple(self.redact(str(part)) for part in error.args)
            try:
                if isinstance(error, Stop) and not isinstance(error, Outage):
                    # The input is wrong from here on; what came before is right, and is finished.
                    self.pool.wait()
            finally:
                self._close(failed=True)
            raise
        self._close()
        advice = run_files.advice(self.own_command(), self.config.get("report_path"), self.rejects.path, file_input)
        self.rejects.end(self.config.get("max_rejects") or 0, self._write_plan() or advice)

    def _close(self, *, failed: bool = False) -> None:
        self.pool.close(_PATIENCE)
        self.rejects.sync()
        for line in self.report.lines(planned=self.plan is not None):
            self.logger.info("%s", line)
        for (level, stream, note), times in self._notes.items():
            if times > 1:
                self.logger.log(level, "%s: %d records: %s.", stream, times, note)
        if self.plan is not None and not (failed and self.plan.is_empty):
            sys.stderr.write(self.plan.table())
        self._list_notes.log(self.logger, planned=self.plan is not None)
        if path := self.config.get("report_path"):
            told = {"plan": self.plan.as_json()} if self.plan is not None else {}
            run_files.write_report(path, {**self.report.as_json(), **self._about_run(), **told})

    def _write_plan(self) -> str:
        # Not of a run that ended early: who approves it would take it for the whole.
        if self.plan is not None and (path := self.config.get("plan_path")):
            run_files.write_plan(path, self.plan_document({**self._about_run(), "plan": self.plan.as_json(whole=True)}))
        return "" if self.plan is None else f"{self.config.get('plan_path') or 'The plan'} names them."

    def _about_run(self) -> dict[str, Any]:
        return {
            "target": self.name,
            "company": self.__dict__.get("company"),
            "dry_run": self.plan is not None,
            "rejects_path": self.rejects.path,
            "numbers": self.rejects.numbers,
            "made_at": self.report.began_at,
            **self._list_notes.as_json(),
        }

    @functools.cached_property
    def _maps(self) -> bool:
        return bool(self.mapper.stream_maps_dict)
