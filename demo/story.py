"""What the demo does: every job from nothing, again, and once more after changes; and what each run has to do."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ap_connectors.sandbox.process import Control, SandboxProcess
from demo.meltano import Meltano
from demo.project import Places, Teller
from demo.webhooks import JOB, Receiver

NEW, AGAIN, CLICKS = 25, 3, 3
"""Documents that are exported for the first time, once more, and with a webhook that tells of it."""
TOUCHED, ADDED = 5, 8
"""Vic.ai's invoices that change, and that are added."""
COMPANY = "391016469"
"""The company whose purchases go to Vic.ai; `meltano.yml` has it, too."""

JOBS = ("erp-to-vic", "ivesk-to-vic", "errors-to-ivesk", "ivesk-to-warehouse", "vic-to-warehouse")
"""The jobs of `meltano.yml`."""
NAMES = {
    "exported_documents": "documents",
    "exported_document_lines": "lines",
    "document_files": "PDFs",
    "invoices": "invoices",
    "invoice_line_items": "lines",
    "payments": "payments",
    "invoice_documents": "PDFs",
}
"""What streams of a warehouse's jobs are called; the others are counted together."""
WHOLE_LISTS = (
    "company",
    "companies",
    "payment_terms",
    "tags",
    "tax_codes",
    "vat_codes",
    "vendor_groups",
    "vendor_tags",
)
"""Vic.ai's streams that every run reads in full, because the service does not tell what changed."""

HELD = ("70101", "NO8330001234567")
"""A vendor of the SAF-T file that is at Vic.ai before, and its account there: that is not the file's."""

_TOO_LONG = "UAB „" + "Labai ilgas pavadinimas " * 12 + "“"
"""A name of a vendor that Vic.ai refuses."""


@dataclass(frozen=True)
class Check:
    """What a run has done, and what it should have done."""

    what: str
    found: object
    expected: object

    def __str__(self) -> str:
        return f"{self.what}: {self.found}, not {self.expected}"


def sandbox() -> SandboxProcess:
    """Start both services, with amounts as an office has them."""
    # In life hours lie between two runs. Here one starts while the requests of the last would still count.
    return SandboxProcess(400, invoices=220, big_amounts=False, vicai={"rate_seconds": 1.0})


@dataclass
class Story:
    """One play of it."""

    places: Places
    services: SandboxProcess
    tell: Teller
    checks: list[Check] = field(default_factory=list)
    _reasons: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.settings = settings(self.places, self.services)
        self._meltano = Meltano(self.places.file("meltano"), self.places.file("meltano.log"), self.settings)
        self._trained = self._count_trained()

    def play(self) -> list[Check]:
        """Run everything; return what was checked."""
        _add_odd_purchases(self.services.control)
        _add_known_vendor(self.services.control)
        self.run(*JOBS)
        self.again()
        self.from_the_start()
        self.changes()
        return self.checks

    def again(self) -> None:
        """Read once more: there is nothing new."""
        read = self.run("ivesk-to-warehouse", "vic-to-warehouse", title="again")
        news = read.total() - sum(read[name] for name in WHOLE_LISTS)
        self.tell.end(f"{news or 'nothing'} new to read")
        self._check("again: new records read", news, 0)

    def from_the_start(self) -> None:
        """Load once more what was loaded: all of it is there."""
        known = len(self.services.control.sync_errors())
        refreshed = self.run("--full-refresh", "erp-to-vic", "errors-to-ivesk", title="from the start")
        report = self._report("load")
        loaded, held = report["total"], [vendor for vendor, _ in _held(report)]
        written = {name: loaded[name] for name in ("created", "updated", "rejected")}
        written["rejected"] -= len(held)
        written["errors shown"] = len(self.services.control.sync_errors()) - known
        done = ", ".join(f"{count} {name}" for name, count in written.items() if count) or "none written twice"
        self.tell.end(f"{refreshed.total()} records read again, {done}")
        self._check("from the start: unchanged", loaded["unchanged"], loaded["received"])
        self._check("from the start: bank details that wait", held, [HELD[0]])
        self._check("from the start: written", written, dict.fromkeys(written, 0))

    def changes(self) -> None:
        """Let both services change: only that is read, in Įvesk when a webhook tells of it."""
        control = self.services.control
        self.tell.begin("meanwhile")
        changed = change(control)
        control.add(NEW)
        control.export(count=AGAIN)
        self.tell.end(f"{NEW + AGAIN} documents exported; {changed} invoices new or changed, a payment voided")
        self._click_export()
        last = self.run("ivesk-to-vic", "errors-to-ivesk", "vic-to-warehouse")
        self._check("vic-to-warehouse: changed invoices read", last["invoices"], changed)

    def _check(self, what: str, found: object, expected: object) -> None:
        self.checks.append(Check(what, found, expected))

    def run(self, *blocks: str, title: str = "") -> Counter[str]:
        """Run jobs, return what they read, by stream; without a title tell of each job as it ends."""
        tellers = {"erp-to-vic": self._saft, "ivesk-to-vic": self._purchases, "errors-to-ivesk": self._errors}

        def done(number: int, read: Counter[str]) -> None:
            if not title:
                self.tell.end(*tellers.get(blocks[number], self._loaded)(read))
                for following in blocks[number + 1 : number + 2]:
                    self.tell.begin(following)

        self.tell.command(f"meltano run {' '.join(blocks)}")
        self.tell.begin(title or blocks[0])
        return self._meltano.run(*blocks, done=done)

    # What a job has done, in words; and a check of what it should have done.

    def _saft(self, _read: Counter[str]) -> Iterator[str]:
        report = self._report("load")
        written, held = _written(report), _held(report)
        vendor = next(one for one in self.services.control.vicai.records("vendors") if one.get("externalId") == HELD[0])
        account = vendor["defaultPaymentInfo"]["internationalBankAccount"]["iban"]
        self._check("erp-to-vic: records loaded", sum(written.values()), report["total"]["received"])
        self._check("erp-to-vic: bank details that wait", [vendor for vendor, _ in held], [HELD[0]])
        self._check("erp-to-vic: account at Vic.ai", account, HELD[1])
        yield "a SAF-T file: " + ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in written.items())
        yield from (f"waits for approval: vendor {vendor}, {change}" for vendor, change in held)

    def _errors(self, read: Counter[str]) -> Iterator[str]:
        shown = {error["documentid"] for error in self.services.control.sync_errors()}
        self._check("errors-to-ivesk: purchases whose errors Įvesk shows", len(shown), len(self._reasons))
        yield f"{read['sync_errors'] or 'no'} reasons shown to the accountants in Įvesk"

    def _loaded(self, read: Counter[str]) -> Iterator[str]:
        told = [f"{read[stream]:,} {name}" for stream, name in NAMES.items() if read[stream]]
        others = read.total() - sum(read[stream] for stream in NAMES)
        yield ", ".join(told) + (f", {others:,} other records" if others else "")

    def _purchases(self, _read: Counter[str]) -> Iterator[str]:
        """Tell what became of a company's purchases; each is at Vic.ai, or set aside with a reason."""
        bought, loaded = self._report("map")["documents"]["purchases"], _written(self._report("load"))
        there, known = loaded.get("training_invoices", 0), set(self._reasons)
        self._reasons |= self._read_reasons()
        aside = Counter(reason for key, reason in self._reasons.items() if key not in known)
        self._check("ivesk-to-vic: purchases at Vic.ai or set aside", there + aside.total(), bought)
        before, self._trained = self._trained, self._count_trained()
        self._check("ivesk-to-vic: training invoices more at Vic.ai", self._trained - before, there)
        rest = f" + {aside.total()} set aside" if aside else ""
        yield f"{bought} purchases = {there} training invoices at Vic.ai{rest}"
        yield from (f"{count} set aside: {reason}" for reason, count in aside.most_common())

    def _count_trained(self) -> int:
        return int(self.services.control.vicai.overview(sums=False)["trainingInvoices"])

    def _read_reasons(self) -> dict[str, str]:
        """Return why documents were set aside, by id; of an invoice that waited for a vendor, the vendor's reason."""
        reasons: dict[str, str] = {}
        for path in sorted(self.places.folder.glob("rejects-*.jsonl")):
            for message in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
                record = message.get("record", {})
                # A vendor of the ERP's stems from no document.
                if key := record.get("ivesk_document_id") or record.get("id"):
                    reasons.setdefault(key, re.sub(r"\s+", " ", message["rejected"]["reason"]))
        return reasons

    def _click_export(self) -> None:
        """Click on Export in Įvesk, and let the webhook run the job."""
        control, receiver = self.services.control, Receiver(self.places, self.services, self._meltano.settings)
        self.tell.begin("$ ap-webhooks serve")
        with receiver.serving():
            self.tell.end(f"Įvesk tells {receiver.url} of exports")
            self.tell.begin("export")
            for _ in range(CLICKS):
                control.add(1)
            events, runs = receiver.wait()
            times = f"{len(runs)} run{'s' * (len(runs) != 1)} of {JOB}: {', '.join(runs)}"
            self.tell.end(f"{CLICKS} clicks on Export, {events} events, {times}")
        self._check("ap-webhooks: events of exports", events, CLICKS)
        self._check("ap-webhooks: how runs ended", sorted(set(runs)), ["done"])

    def _report(self, name: str) -> Any:
        return json.loads(self.places.file(f"{name}.json").read_bytes())


def settings(places: Places, services: SandboxProcess) -> dict[str, str]:
    """Return the environment variables of all jobs."""
    at_ivesk = {"API_URL": services.ivesk_url, "API_KEY": services.api_key}
    at_vic = {"API_URL": services.vicai_url, "CLIENT_ID": services.client_id, "CLIENT_SECRET": services.client_secret}
    plain: dict[str, dict[str, str]] = {
        "TAP_IVESK": at_ivesk,
        "TAP_IVESK_FOR_VIC": at_ivesk,
        "TAP_VICAI": at_vic,
        "TAP_REJECTS": {"LANGUAGE": "en"},
        "MAPPER_IVESK_VICAI": {"MAX_REJECTS": "1000"},
        "TARGET_VICAI": {**at_vic, "MAX_REJECTS": "1000", "BANK_CHANGES": "hold"},
        "TARGET_IVESK": {**at_ivesk, "MAX_REJECTS": "1000"},
    }
    files = {
        "TARGET_WAREHOUSE_DATABASE": places.warehouse,
        "TAP_IVESK_DOCUMENTS_DIR": places.documents / "ivesk",
        "TAP_VICAI_DOCUMENTS_DIR": places.documents / "vicai",
        "TAP_IVESK_FOR_VIC_DOCUMENTS_DIR": places.file("documents-for-vic"),
        "MAPPER_IVESK_VICAI_REJECTS_PATH": places.file("rejects-mapper.jsonl"),
        "MAPPER_IVESK_VICAI_REPORT_PATH": places.file("map.json"),
        "TARGET_VICAI_REJECTS_PATH": places.file("rejects-vicai.jsonl"),
        "TARGET_VICAI_REPORT_PATH": places.file("load.json"),
        "TARGET_VICAI_LEDGER_PATH": places.file("ledger-vicai.jsonl"),
        "TAP_REJECTS_PATH": places.file("rejects-*.jsonl"),
        "TARGET_IVESK_REJECTS_PATH": places.file("not-shown.jsonl"),
        "TARGET_IVESK_LEDGER_PATH": places.file("ledger-ivesk.jsonl"),
    }
    found = {f"{plugin}_{name}": value for plugin, given in plain.items() for name, value in given.items()}
    return found | {name: str(path) for name, path in files.items()}


def change(control: Control) -> int:
    """Let things happen at Vic.ai; return how many posted invoices are new or changed.

    Invoices change, come and are posted, an order is closed, a vendor comes, a payment is voided months later.
    """
    vic = control.vicai
    invoices = vic.records("invoices")
    posted = [invoice["internalId"] for invoice in invoices if invoice["status"] == "POSTED"]
    vic.touch("invoices", posted[:TOUCHED], description="Attest på nytt – ąčęėįšųūž")
    vic.add("invoices", ADDED)
    unposted = next(invoice["internalId"] for invoice in invoices if invoice["status"] != "POSTED")
    vic.touch("invoices", [unposted], status="POSTED")
    order = next(order["internalId"] for order in vic.records("purchaseOrders") if order["status"] == "open")
    vic.touch("purchaseOrders", [order], status="closed")
    vic.add("vendors")
    batch = next(batch for batch in vic.records("paymentBatches") if batch["completedAt"] and batch["payments"])
    vic.batch_event(batch["id"], "void", batch["payments"][0]["id"], at="2026-09-14T07:30:00.000Z")
    return TOUCHED + ADDED + 1


def _add_odd_purchases(control: Control) -> None:
    """Export two more purchases: of a seller whose name Vic.ai refuses; and one that was digitised twice."""
    bought = [one for one in control.documents() if one["buyercode"] == COMPANY and one["doctype"] == "invoice"]
    one, twice = bought[0], next(one for one in bought if _is_mapped(one))
    copied = {name: value for name, value in twice.items() if name not in {"id", "exportedat", "digitizedat"}}
    control.add(1, overrides=copied)
    parties = {name: value for name, value in one.items() if name.startswith(("seller", "buyer"))}
    refused = {**parties, "sellername": _TOO_LONG, "sellercode": "399999993", "sellervat": None}
    control.add(1, overrides=refused, line_overrides={"vatclass": "PVM1"})


def _is_mapped(document: Mapping[str, Any]) -> bool:
    return document["docnum"] and all(line["vatclass"] == "PVM1" and line["code"] for line in document["lines"])


def _add_known_vendor(control: Control) -> None:
    """Let Vic.ai have a vendor of the SAF-T file with another account: someone has to approve the new one."""
    key, iban = HELD
    account = {"internationalBankAccount": {"iban": iban}, "defaultMethod": "IBAN"}
    told: dict[str, Any] = {"name": "Brygga Byggevarer AS", "countryCode": "NO", "defaultPaymentInfo": account}
    control.vicai.add("vendors", externalId=key, externalUpdatedAt="2026-08-01T00:00:00", **told)


def _held(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the changes of bank details that wait for approval: vendor, and the account then and now."""
    found = [one for one in report["rejects"] if one["code"] == "bank_change"]
    return [
        (one["key"], f"{change['from']} -> {change['to']}")
        for one in found
        for change in one["params"]["changes"]
        if change["field"].endswith(".iban")
    ]


def _written(report: Mapping[str, Any]) -> dict[str, int]:
    """Return how many records a load has created or updated, by stream."""
    counts = {name: found["created"] + found["updated"] for name, found in report["streams"].items()}
    return {name: count for name, count in counts.items() if count}
