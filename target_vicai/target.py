"""Settings of `target-vicai`, and what puts its parts together."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, cast

import msgspec
from singer_sdk import typing as th

from ap_connectors.core import instants
from ap_connectors.core.companies import same_spelling
from ap_connectors.core.errors import Stop
from ap_connectors.core.messages import Line, Message
from ap_connectors.core.raw_json import text
from ap_connectors.singer.document_sources import DocumentSources
from ap_connectors.singer.ledger import Ledger
from ap_connectors.singer.schema import canonical
from ap_connectors.singer.settings import (
    DOCUMENTS_FROM,
    MAX_REJECTS,
    RATE_LIMIT,
    REJECTS_PATH,
    REQUEST_TIMEOUT,
    TARGET_REPORT_PATH,
    USER_AGENT,
    auto_concurrency,
    ledger_path,
)
from ap_connectors.singer.sink import ParsedRecord, Sink
from ap_connectors.singer.target import ExactTarget
from ap_connectors.singer.worker_pool import Job, Missing
from ap_connectors.vicai.client import VicaiClient
from ap_connectors.vicai.settings import at_once, client, connected
from target_vicai.approval import Approval, WatchedWriter
from target_vicai.approved_plan import Applying, approval_of, sealed, service_of
from target_vicai.context import DryRunWriter, LoadContext, LoadOptions
from target_vicai.document_vendors import KEPT
from target_vicai.item import Item
from target_vicai.sink import VicSink
from target_vicai.streams import ALL, FullLoad, deletes_of, refusals_of, template


class TargetVicai(ExactTarget):
    """Master data, purchase orders, invoices and posting results into Vic.ai, each exactly once."""

    name = "target-vicai"

    config_jsonschema = connected(
        th.PropertiesList(
            auto_concurrency("for writes and for documents"),
            RATE_LIMIT,
            REQUEST_TIMEOUT,
            th.Property(
                "request_id",
                th.StringType,
                title="Request id",
                description="UUID of the sync that Vic.ai asked for; sent as X-Request-Id with every write.",
                examples=["5b1f1c0e-6f0e-4a55-9d2c-1d0a4c8e7f21"],
            ),
            th.Property(
                "compare",
                th.StringType(allowed_values=["vic", "none"]),
                default="vic",
                title="Compare",
                description="vic: read Vic's copy and write only what differs. none: write all.",
            ),
            th.Property(
                "update_mode",
                th.StringType(allowed_values=["merge", "replace"]),
                default="merge",
                title="Update mode",
                description="merge: fields that a record lacks keep Vic's value. replace: they are cleared.",
            ),
            th.Property(
                "bank_changes",
                th.StringType(allowed_values=["apply", "hold"]),
                default="apply",
                title="Changes of bank details",
                description="What becomes of a change of a vendor's bank details that the ERP sends. apply: it is "
                "written. hold: it is set aside until someone approves it. Documents never change them.",
            ),
            th.Property(
                "expected_company",
                th.StringType(min_length=1),
                title="Expected company",
                description="Name of the company as the health check says it (--test shows it). With the credentials "
                "of another one nothing is loaded.",
                examples=["Fjordlys Regnskap AS"],
            ),
            th.Property(
                "erp_timezone",
                th.StringType(min_length=1),
                title="Time zone of the ERP",
                description="What an externalUpdatedAt without a zone means, where it matters which of two is later: "
                "against one with a zone, and in the hour that comes twice when clocks go back.",
                examples=["Europe/Vilnius", "Europe/Oslo"],
            ),
            th.Property(
                "deletes",
                th.StringType(allowed_values=["ignore", "records", "mirror"]),
                default="ignore",
                title="Deletes",
                description="ignore: nothing is deleted. records: what has _sdc_deleted_at is. "
                "mirror: also what a full-table load no longer has.",
            ),
            th.Property(
                "duplicates",
                th.StringType(allowed_values=["set_aside", "allow"]),
                default="set_aside",
                title="Duplicates",
                description="What becomes of a new invoice whose vendor, number, date and total Vic.ai has under "
                "another id. set_aside: it is set aside. allow: it is created.",
            ),
            th.Property(
                "max_delete_fraction",
                th.NumberType(minimum=0, maximum=1),
                default=0.1,
                title="Largest part to delete",
                description="A mirror that would delete a larger part of a stream's records deletes nothing at all.",
            ),
            DOCUMENTS_FROM,
            REJECTS_PATH,
            MAX_REJECTS,
            TARGET_REPORT_PATH,
            th.Property(
                "plan_path",
                th.StringType(min_length=1),
                title="Plan",
                description="File for the plan of a dry_run: .json, which apply_plan takes; .html, .xlsx or .csv to "
                "read and to search.",
                examples=["output/plan.json", "output/plan.html"],
            ),
            th.Property(
                "apply_plan",
                th.StringType(min_length=1),
                title="Plan to apply",
                description="A plan that was approved, as plan_path wrote it (.json): with the same input exactly "
                "that is written. What has changed since, and what the plan does not have, is set aside.",
                examples=["output/plan.json"],
            ),
            th.Property(
                "dry_run",
                th.BooleanType,
                default=False,
                title="Plan only",
                description="Read, write nothing, and print what would happen, field by field.",
            ),
            th.Property(
                "unknown_streams",
                th.StringType(allowed_values=["fail", "ignore"]),
                default="fail",
                title="Unknown streams",
                description="What to do with a stream that Vic.ai has no place for: fail, or ignore it.",
            ),
            ledger_path(
                "target-vicai",
                "what Vic.ai cannot be asked: which attachments were uploaded, what invoices said, for what they were "
                "rejected, and which purchase orders still have to be processed. Keep it from run to run.",
            ),
            USER_AGENT,
        ).to_dict()
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._full_loads: dict[str, FullLoad] = {}
        zone = self.config.get("erp_timezone")
        self._erp_zone = instants.time_zone("erp_timezone", zone) if zone else None
        self._sources = DocumentSources(self.config.get("documents_from"), api_url=self.config.get("api_url") or "")

    # What the base asks for

    kept_fields = KEPT
    list_template = staticmethod(template)

    @property
    def streams(self) -> Iterable[str]:
        """The names of all streams."""
        return [sink.name for sink in ALL]

    def sink_for(self, stream: str) -> Sink | None:
        """Return the sink of a stream; one for all spellings of its name."""
        return self._sinks_by_name.get(canonical(stream))

    def on_schema(self, line: Line) -> None:
        """Find the sink of the stream; tap-saft gives fields that only a warehouse takes their standard as a title."""
        super().on_schema(line)
        properties = (line.message.schema or {}).get("properties")
        if (sink := self._sinks_by_name.get(canonical(line.message.stream or ""))) and isinstance(properties, dict):
            titles = {name: field.get("title") for name, field in properties.items() if isinstance(field, dict)}
            sink.unknown_fields.expect(name for name, title in titles.items() if title == "SAF-T")

    @functools.cached_property
    def company(self) -> str | None:
        """The company that the credentials belong to, as the health check says."""
        own = (text(self.client.company(), "company") or "").strip() or None
        expected = (self.config.get("expected_company") or "").strip()
        if expected and not same_spelling(own or "", expected):
            said = f'are of "{own}"' if own else "are of a company that the health check does not name"
            raise Stop(
                f'The credentials {said}; expected_company is "{expected}". Nothing was loaded. Set the right '
                "credentials; if the company was merely renamed, change expected_company."
            )
        return own

    @property
    def workers(self) -> int:
        """How many records are loaded at once; how many requests that makes, the client decides."""
        return at_once(self.config)

    def _about_run(self) -> dict[str, Any]:
        told = [one for sink in self.__dict__.get("_sinks_by_name", {}).values() for one in sink.told]
        return super()._about_run() | {"bank_changes": self.report.bank_changes, "attachments": told}

    @functools.cached_property
    def approval(self) -> Approval:
        """What is told of every record and call."""
        return approval_of(self.config, self.company, service_of(self.config, self.client.age))

    def name_of(self, item: ParsedRecord | None, record: Mapping[str, Any]) -> str:
        """Return what people call a record that would be set aside."""
        return self.approval.name_of(cast("Item | None", item), record)

    def plan_document(self, plan: Mapping[str, Any]) -> Mapping[str, Any]:
        """Seal the plan, so that it can be applied."""
        names = self.context.names_of(plan["plan"])
        return sealed({**plan, "names": names}, service_of(self.config, self.client.age))

    def working_on(self, sink: Sink, item: ParsedRecord) -> AbstractContextManager[None]:
        """Tell which record this thread loads."""
        return self.approval.working_on(sink.name, cast(Item, item))

    def done(self, sink: Sink, item: ParsedRecord, effect: str) -> Mapping[str, Any]:
        """Tell that a record is done with."""
        return self.approval.done(sink.name, cast(Item, item), effect)

    def redact(self, text: str) -> str:
        """Mask client_secret and tokens."""
        return self.client.mask(text)

    def activate_version(self, sink: Sink, version: int, stream: str) -> None:
        """Remember a full load that is complete; what it no longer has is deleted at the end."""
        if self.config["deletes"] != "mirror":
            return
        ours = self._sinks_by_name[canonical(sink.name)]
        if not ours.mirrored:
            self.logger.info("%s: not mirrored, because its records have no id that tells whose they are.", sink.name)
            return
        if not ours.lists_all:
            self.logger.warning("%s: not mirrored, because some of the records were read from documents.", sink.name)
            return
        # No STATE may say that the load is done before what it no longer has is deleted.
        number = self.state_gate.begin()
        if sink.name in self._full_loads:
            self.state_gate.ack(self._full_loads[sink.name].number)
        self._full_loads[sink.name] = FullLoad(version, stream, number)

    def after_loading(self) -> None:
        """Delete what full loads no longer have, unless it is too much.

        Raises:
            Stop: it is too much. Nothing was deleted.
        """
        for sink in self._sinks_by_name.values():
            sink.after_loading()
        deletes = list(deletes_of(self._full_loads, self._sinks_by_name, self.context))
        refusals = list(refusals_of(deletes, self.unread, most=float(self.config["max_delete_fraction"])))
        if not refusals:
            for one in deletes:
                for key in one.keys:
                    self._submit_delete(one.stream, key)
                self.pool.finish()
        for load in self._full_loads.values():
            self.state_gate.ack(load.number)
        self.pool.finish()
        self._require_all_done()
        if refusals:
            raise Stop(
                f"deletes: mirror: {'; '.join(refusals)}. Nothing was deleted; everything else was loaded. "
                "If the deletes are right, raise max_delete_fraction for one run."
            )

    def _require_all_done(self) -> None:
        """Check that every record of a plan that is applied has come.

        Raises:
            Stop: some have not.
        """
        if isinstance(self.approval, Applying) and (missing := self.approval.not_done()):
            named = ", ".join(f"{stream} {key}" for stream, key in missing[:5])
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            raise Stop(
                f"apply_plan: the input has no record of {named}{more}, which the plan has; the rest was done. Give "
                "the input that the plan was made of."
            )

    def _submit_delete(self, stream: str, key: str) -> None:
        sink, told = self._sinks_by_name[canonical(stream)], self._full_loads[stream].stream
        item, record = sink.deletion(key), {"externalId": key, "_sdc_deleted_at": "1970-01-01T00:00:00Z"}
        raw = msgspec.json.encode({"type": "RECORD", "stream": told, "record": record})
        line = Line(0, raw, Message(type="RECORD", stream=told, record=record))

        def run() -> bool:
            return self.attempt(sink, item, lambda: sink.apply(item), line)

        def on_unresolved(missing: Missing) -> None:
            self.set_aside(sink, key, line, missing, item)

        self.pool.submit(Job(item.order_key, run, on_unresolved, lambda: self.report.of(stream).add("failed")))

    # Its parts

    @functools.cached_property
    def client(self) -> VicaiClient:
        """The one client."""
        return client(self.config, timeout=self.timeout, user_agent=self.user_agent)

    @functools.cached_property
    def context(self) -> LoadContext:
        """What all sinks share."""
        settings, approval = self.config, self.approval
        options = LoadOptions(
            compare=settings["compare"] == "vic",
            merge=settings["update_mode"] == "merge",
            delete_records=settings["deletes"] != "ignore",
            mirror=settings["deletes"] == "mirror",
            dry_run=bool(settings.get("dry_run")),
            finds_duplicates=settings["duplicates"] == "set_aside",
            hold_bank_changes=settings["bank_changes"] == "hold",
        )
        writer = DryRunWriter() if options.dry_run else self.client
        return LoadContext(
            client=self.client,
            writer=WatchedWriter(writer, approval) if approval.is_used else writer,
            bulk_writer=writer,
            approval=approval,
            options=options,
            resources={sink.name: sink.resource for sink in ALL if sink.resource is not None},
            is_coming=self.pool.is_busy,
            has_come=self.pool.has_come,
            warn=lambda message: self.logger.warning("%s", message),
            check=self.check_signal,
            wait=self.pool.wait,
            # The client id belongs to one company, and stays when the company is renamed.
            ledger=Ledger(settings["ledger_path"], settings["client_id"], self.company),
            erp_zone=self._erp_zone,
            sources=self._sources,
        )

    @functools.cached_property
    def _sinks_by_name(self) -> Mapping[str, VicSink]:
        return {canonical(sink.name): sink(self.context) for sink in ALL}
