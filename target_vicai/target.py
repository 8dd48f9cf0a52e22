"""Settings of `target-vicai`, and what puts its parts together."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import msgspec
from singer_sdk import typing as th

from ap_connectors.core.errors import Stop
from ap_connectors.core.messages import Line, Message
from ap_connectors.core.raw_json import text
from ap_connectors.singer.ledger import Ledger
from ap_connectors.singer.schema import canonical
from ap_connectors.singer.settings import (
    MAX_REJECTS,
    RATE_LIMIT,
    REJECTS_PATH,
    REPORT_PATH,
    REQUEST_TIMEOUT,
    USER_AGENT,
    ledger_path,
    max_concurrency,
)
from ap_connectors.singer.sink import Sink
from ap_connectors.singer.target import ExactTarget
from ap_connectors.singer.worker_pool import Job, Missing
from ap_connectors.vicai.client import VicaiClient
from ap_connectors.vicai.settings import client, connected
from target_vicai import mirror
from target_vicai.hands import IdleHands
from target_vicai.loader import Loader
from target_vicai.streams import ALL, MIRRORED
from target_vicai.vic import Vic, Ways


class TargetVicai(ExactTarget):
    """Master data, purchase orders, invoices and posting results into Vic.ai, each exactly once."""

    name = "target-vicai"

    config_jsonschema = connected(
        th.PropertiesList(
            max_concurrency("for writes and for documents"),
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
                "deletes",
                th.StringType(allowed_values=["ignore", "records", "mirror"]),
                default="ignore",
                title="Deletes",
                description="ignore: nothing is deleted. records: what has _sdc_deleted_at is. "
                "mirror: also what a full-table load no longer has.",
            ),
            th.Property(
                "max_delete_fraction",
                th.NumberType(minimum=0, maximum=1),
                default=0.1,
                title="Largest part to delete",
                description="A mirror that would delete a larger part of a stream's records deletes nothing at all.",
            ),
            REJECTS_PATH,
            MAX_REJECTS,
            REPORT_PATH,
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
                "what Vic.ai cannot be asked: which attachments were uploaded, and which purchase orders still have to "
                "be processed. Keep it from run to run.",
            ),
            USER_AGENT,
        ).to_dict()
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._versions: dict[str, tuple[int, str, int]] = {}
        self._made: dict[str, Loader] = {}

    # What the base asks for

    @property
    def streams(self) -> Iterable[str]:
        """The names of the sixteen streams."""
        return [loader.name for loader in ALL]

    def sink_for(self, stream: str) -> Sink | None:
        """Return the stream's loader."""
        for known in ALL:
            if canonical(known.name) == canonical(stream):
                return self._loader(known)
        return None

    @functools.cached_property
    def company(self) -> str:
        """The company that the credentials belong to."""
        return text(self.client.company(), "company") or "a company whose name the health check does not tell"

    def redact(self, text: str) -> str:
        """Mask client_secret and tokens."""
        return self.client.mask(text)

    def activate_version(self, loader: Sink, version: int, stream: str) -> None:
        """Remember a full load that is complete; what it no longer has is deleted at the end."""
        if self.config["deletes"] != "mirror":
            return
        if loader.name not in MIRRORED:
            self.logger.info("%s: not mirrored, for nobody could tell whose records they are.", loader.name)
            return
        # No STATE may say that the load is done before what is gone is gone.
        number = self.state_gate.begin()
        if loader.name in self._versions:
            self.state_gate.ack(self._versions[loader.name][2])
        self._versions[loader.name] = (version, stream, number)

    def after_loading(self) -> None:
        """Delete what full loads no longer have, if it is not too much.

        Raises:
            Stop: it is. Nothing was deleted.
        """
        found = mirror.gone(self.vic, {name: version for name, (version, _, _) in self._versions.items()})
        refused = mirror.refusals(found, float(self.config["max_delete_fraction"]), self.unread)
        if not refused:
            for one in found:
                for key in one.keys:
                    self._delete(one.stream, key)
                self.pool.finish()
        for _, _, number in self._versions.values():
            self.state_gate.ack(number)
        if refused:
            raise Stop(
                f"deletes: mirror: {'; '.join(refused)}. Nothing was deleted; everything else was loaded. "
                "If it is right, raise max_delete_fraction for one run."
            )

    # Its parts

    @functools.cached_property
    def client(self) -> VicaiClient:
        """The one client."""
        return client(self.config, timeout=self.timeout, user_agent=self.user_agent)

    @functools.cached_property
    def vic(self) -> Vic:
        """What all loaders share."""
        settings = self.config
        ways = Ways(
            compare=settings["compare"] == "vic",
            merge=settings["update_mode"] == "merge",
            delete_records=settings["deletes"] != "ignore",
            mirror=settings["deletes"] == "mirror",
            dry_run=bool(settings.get("dry_run")),
        )
        return Vic(
            client=self.client,
            hands=IdleHands() if ways.dry_run else self.client,
            ways=ways,
            is_coming=self.pool.is_busy,
            has_come=self.pool.has_come,
            warn=lambda message: self.logger.warning("%s", message),
            check=self.check_signal,
            # The client id is one company's, and stays when the company is renamed.
            ledger=Ledger(settings["ledger_path"], settings["client_id"]),
            mirrored=MIRRORED,
        )

    def _loader(self, kind: type[Loader]) -> Loader:
        if kind.name not in self._made:
            self._made[kind.name] = kind(self.vic)
        return self._made[kind.name]

    def _delete(self, stream: str, key: str) -> None:
        loader = next(self._loader(known) for known in ALL if known.name == stream)
        item = loader.gone(key)
        _, told, _ = self._versions[stream]
        record = {"externalId": key, "_sdc_deleted_at": "1970-01-01T00:00:00Z"}
        message = Message(type="RECORD", stream=told, record=record)
        raw = msgspec.json.encode({"type": "RECORD", "stream": told, "record": record})
        line = Line(0, raw, message)

        def run() -> bool:
            return self.attempt(loader, item, lambda: loader.apply(item), line)

        def on_unresolved(missing: Missing) -> None:
            self.set_aside(loader, key, line, missing)

        self.pool.submit(Job(item.order_key, run, on_unresolved, lambda: self.report.of(stream).add("failed")))
