"""What a warehouse would hold after several runs, to be compared with the sandbox's store."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ap_connectors.sandbox.process import SandboxProcess
from tests.conftest import MakeCatalog, Run, tap_command
from tests.sandbox.emulated_vic import Vic
from tests.tap_vicai.conftest import settings
from tests.tap_vicai.test_live_streams import LIVE, attach
from tests.tap_vicai.test_vicai_streams import STREAMS, as_sent, everything, of_age

FILES, ATTACHMENTS = "invoice_documents", "supporting_attachments"
OF_AGE = {"0.20": (*of_age(STREAMS, "0.20"), FILES), "live": (*STREAMS, FILES, *LIVE)}
"""Streams that whole runs are compared by, in each age."""
KEYS = {
    "invoice_line_items": ("invoice_id", "index"),
    "payments": ("id", "batch_id"),
    "credits": ("id", "batch_id"),
    "training_invoices": ("refNumber", "externalUpdatedAt", "issueDate"),
    "dimension_dependencies": ("dimension_id", "dependent_id"),
    "company_invoices": ("company_id", "id"),
    "invoice_deletions": ("event_id",),
    "purchase_order_deletions": ("event_id",),
    FILES: ("invoice_id",),
}
_DELETIONS = {
    "invoice_deletions": ("invoice_deleted", "invoice_restored"),
    "purchase_order_deletions": ("purchase_order_deleted",),
}
_FACTS = ("path", "bytes", "sha256", "content_type", "error")
_OF_COMPANY_INVOICES = ("company_id", "id", "legacy_id", "remote_id", "amount_sum", "updated_at")

Records = list[dict[str, Any]]


class Union:
    """What a warehouse would hold after several runs: of each record the last version."""

    def __init__(self, age: str = "live") -> None:
        self.age, self.streams = age, OF_AGE[age]
        self.files: dict[str, dict[str, Any]] = {}
        """Facts of files of supporting attachments, by their ids."""
        self.held: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {stream: {} for stream in self.streams}

    def take(self, run: Run) -> None:
        for stream in self.streams:
            self.put(stream, run.records[stream])

    def put(self, stream: str, records: Records) -> None:
        for given in as_sent(stream, records):
            record = given
            own = ("internalId",) if "internalId" in record else ("id",)
            key = tuple(record.get(name) for name in KEYS.get(stream, own))
            assert any(key), f"{stream}: a record without {KEYS.get(stream, own)}; name its key in KEYS"
            if stream == "company_invoices":
                record = {name: record.get(name) for name in _OF_COMPANY_INVOICES}
            elif stream == ATTACHMENTS:
                self.files[record["id"]] = {name: record.get(name) for name in _FACTS}
                record = {name: value for name, value in record.items() if name not in _FACTS}
            self.held[stream][key] = record

    def check(self, vicai: SandboxProcess) -> None:
        expected = Union(self.age)
        held = everything(vicai) | (everything_of_today(vicai) if self.age == "live" else {})
        known = held.keys() - {"company"} | {FILES}
        assert known == set(self.streams), f"everything() or everything_of_today() lacks {set(self.streams) ^ known}"
        self._check_files([one["internalId"] for one in held["invoices"]])
        for stream in held.keys() - {"company"}:
            expected.put(stream, held[stream])
            assert self.held[stream] == expected.held[stream], stream
            assert held[stream], stream

    def _check_files(self, invoices: list[str]) -> None:
        """Every invoice's document is on the disk, whole; what a kill broke off is not taken for one."""
        assert {key for (key,) in self.held[FILES]} == set(invoices)
        assert set(self.files) == {key for (key,) in self.held.get(ATTACHMENTS, ())}
        for facts in (*self.held[FILES].values(), *self.files.values()):
            data = Path(facts["path"]).read_bytes()
            assert data.startswith(b"%PDF-")
            assert (len(data), hashlib.sha256(data).hexdigest()) == (facts["bytes"], facts["sha256"])


def furnish(vicai: SandboxProcess) -> None:
    """Give the company what only today's service has: events and deletions, attachments, dependencies."""
    vic = Vic(vicai)
    vic.login()
    vic.call("subscribe", body={"callbackUrl": "https://example.org/hooks", "accessToken": "t"})
    control = vic.control
    invoices = control.records("invoices")
    open_ = [one["internalId"] for one in invoices if one["status"] == "NOT_READY"][:3]
    for number, invoice in enumerate(open_):
        attach(vic, invoice, f"{number}.pdf", b"%%PDF-1.7 %d" % number)
    gone = [one["internalId"] for one in invoices if one["internalId"] not in open_][:2]
    control.delete("invoices", gone)
    control.event("invoice_restored", data={"internalId": gone[0], "externalId": None})
    control.delete("purchaseOrders", [control.records("purchaseOrders")[0]["internalId"]])
    control.event("vendor_updated", count=120)
    dimensions = [one["internalId"] for one in control.records("dimensions")]
    pairs = [
        {"dimension": {"internalId": one}, "dependent": {"internalId": other}, "active": other != dimensions[-1]}
        for one in dimensions[:4]
        for other in dimensions[-4:]
        if one != other
    ]
    vic.call("bulkUpsertDimensionDependencies", body={"dependencies": pairs})


def everything_of_today(vicai: SandboxProcess) -> dict[str, Records]:
    """What the streams that only today's service has should hold by now."""
    control = vicai.control.vicai
    events = [{name: value for name, value in one.items() if name != "delivered"} for one in control.events()]
    invoices = {one["internalId"]: one for one in control.records("invoices")}
    dimensions = {one["internalId"]: one for one in control.records("dimensions")}
    vic = Vic(vicai)
    vic.login()
    [company] = vic.call("listCompaniesV2")["data"]
    files = f"{vicai.vicai_url}/files/supporting"
    return {
        "webhook_event_log": events,
        **{stream: [_deletion(one) for one in events if one["type"] in kinds] for stream, kinds in _DELETIONS.items()},
        "supporting_attachments": [
            {name: value for name, value in one.items() if name != "invoiceId"}
            | {"downloadUrl": f"{files}/{one['id']}", "invoice_id": one["invoiceId"]}
            | {"invoice_updated_at": invoices[one["invoiceId"]]["internalUpdatedAt"]}
            for one in control.records("supportingAttachments")
        ],
        "dimension_dependencies": [
            {name: dimensions[one["dependentId"]].get(name) for name in ("internalId", "externalId", "type")}
            | {"active": one["active"], "dimension_id": one["dimensionId"], "dependent_id": one["dependentId"]}
            for one in control.records("dimensionDependencies")
        ],
        "companies": [company],
        "company_invoices": [
            {
                "company_id": company["id"],
                "id": one["id"],
                "legacy_id": one["internalId"],
                "remote_id": one.get("externalId"),
                "amount_sum": one["amountSum"],
                "updated_at": one["internalUpdatedAt"],
            }
            for one in invoices.values()
        ],
    }


def _deletion(event: dict[str, Any]) -> dict[str, Any]:
    about = event["body"]["data"]
    own = {"event_id": event["id"], "event": event["type"], "occurred_at": event["occurred_at"]}
    return own | {name: about.get(name) for name in ("internalId", "externalId")}


def command(
    vicai: SandboxProcess, folder: Path, catalog: MakeCatalog, state: dict[str, Any] | None, age: str = "live"
) -> list[str]:
    chosen: dict[str, Any] = {"invoice_states": ["ALL"], "rate_limit": {"requests": 500, "seconds": 1}}
    chosen |= {"documents_dir": str(folder / "files")}
    if age == "live":
        chosen |= {"company_ids": ["ALL"]}
    return tap_command(folder, settings(vicai) | chosen, state=state, catalog=catalog(*OF_AGE[age]), module="tap_vicai")
