"""Vic.ai's part of the story: everything, then nothing new, then only what changed."""

from collections.abc import Mapping
from dataclasses import dataclass

from ap_connectors.sandbox.process import Control, SandboxProcess
from demo.acts import Act, Places, Say
from demo.meltano import Meltano, Run
from demo.vic import source, warehouse
from demo.vic.source import NOTHING, Source
from demo.vic.streams import FILES, STREAMS

# Lines and PDFs cost a request each, and the service allows 500 in ten seconds: with so many nobody has to wait.
INVOICES = 220
CHANGED = 5
ADDED = 8
MONTHS_LATER = "2026-09-14T07:30:00.000Z"


@dataclass(frozen=True)
class Evidence:
    """What Vic.ai holds at the end, what the runs have read, and what they should not have done."""

    source: Source
    acts: tuple[Act, ...] = ()
    surprises: tuple[str, ...] = ()


def play(places: Places, sandbox: SandboxProcess, say: Say) -> Evidence:
    """Runs, runs again, lets things happen, and runs once more."""
    control = sandbox.control
    everything = source.read(control)
    posted = len(everything.records["invoices"])
    say("Vic.ai", "")
    say("", f"at {sandbox.vicai_url}; {posted} of {INVOICES} invoices are posted")
    meltano = Meltano(
        places.vic_system,
        places.log,
        {
            "TAP_VICAI_API_URL": sandbox.vicai_url,
            "TAP_VICAI_CLIENT_ID": sandbox.client_id,
            "TAP_VICAI_CLIENT_SECRET": sandbox.client_secret,
            "TAP_VICAI_DOCUMENTS_DIR": str(places.vic_documents),
            "TARGET_DUCKDB_PATH": str(places.warehouse),
        },
    )

    def act(name: str, expected: Mapping[str, int]) -> Act:
        say(name, "")
        run = meltano.run("vic-to-warehouse")
        say("", _told(run))
        return Act(f"Vic.ai, {name.lower()}", run, dict(expected))

    first = act("First run", everything.news(NOTHING))
    before = warehouse.read(places.warehouse)
    second = act("Second run", everything.news(everything))
    surprises = () if warehouse.read(places.warehouse) == before else ("Vic.ai, second run: rows have changed",)
    say("Meanwhile", "")
    change(control)
    say("", f"{CHANGED + ADDED + 1} invoices new or changed, a vendor; order closed, payment voided")
    at_last = source.read(control)
    third = act("Third run", at_last.news(everything))
    return Evidence(at_last, (first, second, third), surprises)


def change(control: Control) -> None:
    """Invoices change, come, and are posted; an order is closed, a vendor comes, a payment is voided months later."""
    vic = control.vicai
    invoices = vic.records("invoices")
    posted = [invoice["internalId"] for invoice in invoices if invoice["status"] == "POSTED"]
    vic.touch("invoices", posted[:CHANGED], description="Attest på nytt – ąčęėįšųūž")
    vic.add("invoices", ADDED)
    unposted = next(invoice["internalId"] for invoice in invoices if invoice["status"] != "POSTED")
    vic.touch("invoices", [unposted], status="POSTED")
    order = next(order["internalId"] for order in vic.records("purchaseOrders") if order["status"] == "open")
    vic.touch("purchaseOrders", [order], status="closed")
    vic.add("vendors")
    batch = next(batch for batch in vic.records("paymentBatches") if batch["completedAt"] and batch["payments"])
    vic.batch_event(batch["id"], "void", batch["payments"][0]["id"], at=MONTHS_LATER)


def _told(run: Run) -> str:
    read = {name: run.records.get(name, 0) for name in (*STREAMS, FILES)}
    again = sum(read[name] for name, stream in STREAMS.items() if stream.in_full)
    news = sum(read.values()) - again
    if not news:
        return f"nothing new; {again} records of whole lists, as before"
    named = ("invoices", "invoice_line_items", "payments", FILES)
    rest = news - sum(read[name] for name in named)
    invoices, lines, payments, files = (read[name] for name in named)
    return f"{invoices} invoices, {lines} lines, {payments} payments, {files} PDFs, {rest + again} others"
