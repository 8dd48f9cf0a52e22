"""`tap-ivesk | mapper-ivesk-vicai | target-vicai` on the sandbox: Vic holds exactly the company's purchases."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests import preloaded
from tests.conftest import tap_command
from tests.mapper_ivesk_vicai import conftest as mapping
from tests.target_vicai import conftest as loading

Record = dict[str, Any]
Sums = dict[str, Decimal]

DOCUMENTS = 1_000
VAT_CLASSES = {
    "PVM1": "1",
    "PVM2": "11",
    "PVM3": "13",
    "PVM5": "6",
    "PVM12": "52",
    "PVM13": "52",
    "PVM16": "86",
    "PVM21": "21",
}
UNBALANCED, UNKNOWN = "00000000-0000-4000-a000-00000000000b", "00000000-0000-4000-a000-00000000000c"


class Pipeline:
    """The three commands, one after the other, their messages in files; counts what Vic was asked to change."""

    def __init__(self, sandbox: SandboxProcess, folder: Path, **changed: Any) -> None:
        self.sandbox, self.folder = sandbox, folder
        self.control, self.files = sandbox.control, str(folder / "files")
        self.company = self.control.ivesk(sums=False)["companies"][0]["code"]
        accounts = [one["externalId"] for one in self.control.vicai.records("accounts") if one.get("externalId")]
        dimensions = [one for one in self.control.vicai.records("dimensions") if one.get("externalId")]
        codes = sorted({line["code"] for one in self.control.documents() for line in one["lines"] if line["code"]})
        # Sellers that have the name of a vendor of the ERP's, but no number by which to tell whether they are the same.
        erps = {
            one["name"]: one["externalId"] for one in self.control.vicai.records("vendors") if one.get("externalId")
        }
        sellers = {one["sellername"]: one for one in self.control.documents() if one["sellername"] in erps}
        self.namesakes = sellers.keys()
        self.settings: Record = {
            "vendor_table": [
                {"country": one["sellercountry"], "code": one["sellercode"], "external_id": erps[name]}
                for name, one in sellers.items()
            ],
            "company_code": self.company,
            "vat_classes": VAT_CLASSES,
            "accounts": dict(zip(codes, accounts, strict=False)),
            "objects": {
                code: {"dimension": one["externalId"], "type": one["typeExternalId"]}
                for code, one in zip(("ADM", "GAM-2", "Žemė"), dimensions, strict=False)
            },
            **changed,
        }
        self.state: Record | None = None
        self._runs = 0

    def commands(self, folder: Path) -> list[list[str]]:
        for name in ("tap", "map", "load"):
            (folder / name).mkdir(parents=True)
        tap = {"api_key": self.sandbox.api_key, "api_url": self.sandbox.ivesk_url, "documents_dir": self.files}
        return [
            tap_command(folder / "tap", tap, state=self.state),
            mapping.command(folder / "map", self.settings | {"documents_from": [self.files]}),
            loading.command(self.sandbox, folder / "load", {"documents_from": [self.files]}),
        ]

    def run(self, expect: int = 0) -> list[tuple[str, str]]:
        """Run everything to its end; return what was written to Vic, as (method, path)."""
        self._runs += 1
        folder = self.folder / f"run{self._runs}"
        self.control.clear_calls()
        said = b""
        for place, command in enumerate(self.commands(folder)):
            done = preloaded.run(command, input=said)
            assert done.returncode == (expect if place == 1 else 0), done.stderr.decode()[-3000:]
            said = done.stdout
        self.state = json.loads(said.splitlines()[-1])
        self.report = json.loads((folder / "map/report.json").read_text())
        rejects = folder / "map/rejects.jsonl"
        self.rejects = rejects.read_text("utf-8").splitlines() if rejects.exists() else []
        return [
            (call["method"], call["path"].removeprefix(loading.PREFIX))
            for call in self.control.calls()
            if call["path"].startswith(loading.PREFIX) and call["method"] != "GET" and "/token" not in call["path"]
        ]

    # What both sides hold, each asked on its own

    def purchases(self) -> list[Record]:
        """The company's purchases of those kinds that are booked."""
        return [
            one
            for one in self.control.documents()
            if one["buyercode"] == self.company and one["doctype"] not in {"proforma", "cashreceipt"}
        ]

    def trained(self) -> list[Record]:
        return self.control.vicai.records("trainingInvoices")


def totals(documents: Iterable[Record]) -> Sums:
    sums: Sums = defaultdict(Decimal)
    for one in documents:
        sums[one["currency"]] += one["total"]
    return dict(sums)


def at_vic(invoices: Iterable[Record]) -> Sums:
    sums: Sums = defaultdict(Decimal)
    for one in invoices:
        sign = -1 if one["transactionType"] == "CREDITNOTE" else 1
        for line in one["lineItems"]:
            sums[one["currency"]] += sign * (line["amount"] + line["invoiceLineItemInfo"]["vatAmount"])
    return dict(sums)


def belonging(document: Record) -> Record:
    """Who sells and who buys."""
    return {name: value for name, value in document.items() if name.startswith(("seller", "buyer"))}


def fresh(sandbox: SandboxProcess, documents: int) -> None:
    sandbox.control.reset(documents=documents, vicai=loading.OPTIONS)


@pytest.mark.long
def test_a_thousand_documents_tie_to_the_cent(sandbox: SandboxProcess, tmp_path: Path) -> None:
    fresh(sandbox, DOCUMENTS)
    control = sandbox.control
    pipeline = Pipeline(sandbox, tmp_path)
    parties = belonging(pipeline.purchases()[0])
    # Credit notes, foreign money and nineteen digits are among them.
    control.add(1, overrides=parties | {"id": UNBALANCED, "total": Decimal("1.23"), "doctype": "invoice"})
    control.add(1, overrides=parties | {"id": UNKNOWN}, line_overrides={"vatclass": "PVM32"})
    purchases = {one["id"]: one for one in pipeline.purchases()}
    set_aside = {UNBALANCED, UNKNOWN} & purchases.keys()
    assert set_aside == {UNBALANCED, UNKNOWN}
    good = [one for one in purchases.values() if one["id"] not in set_aside]
    assert {"creditnote", "invoice"} <= {one["doctype"] for one in good}
    assert len(totals(good)) > 3

    writes = pipeline.run(expect=1)
    trained = pipeline.trained()
    assert at_vic(trained) == totals(good)
    assert len(trained) == len(good)
    assert sorted(path for _, path in writes if path.startswith("/trainingInvoices")) == sorted(
        f"/trainingInvoices/{one['id']}" for one in good
    )
    # What was set aside is named, with its reason.
    rejects = [json.loads(one) for one in pipeline.rejects if '"RECORD"' in one]
    assert {one["record"]["id"] for one in rejects} == set_aside
    reasons = {one["record"]["id"]: one["rejected"]["reason"] for one in rejects}
    assert reasons[UNKNOWN] == "No mapping for VAT class PVM32 (vat_classes)."
    assert reasons[UNBALANCED].startswith("The header does not add up: subtotal ")
    documents = pipeline.report["documents"]
    owned = control.documents()
    assert documents["received"] == len(owned)
    assert documents["purchases"] == len(purchases)
    assert documents["sales"] == sum(one["sellercode"] == pipeline.company for one in owned)
    assert documents["received"] == (
        documents["mapped"]
        + documents["set_aside"]
        + documents["sales"]
        + sum(documents["other_companies"].values())
        + sum(documents["kinds_left_out"].values())
    )
    assert documents["kinds_left_out"].keys() == {"cashreceipt", "proforma"}
    assert pipeline.report["unmapped"]["vat_classes"]["PVM32"]["documents"] == 1
    assert {c: Decimal(s["purchases"]["total"]) for c, s in pipeline.report["sums"].items()} == totals(
        purchases.values()
    )
    assert {
        c: Decimal(s["mapped"]["total"]) for c, s in pipeline.report["sums"].items() if s["mapped"]["documents"]
    } == (totals(good))

    # Nothing new, nothing written; nor when everything is read again.
    assert pipeline.run() == []
    state, pipeline.state = pipeline.state, None
    assert pipeline.run(expect=1) == []
    assert pipeline.state == state

    # Exported again, and changed: the same invoice.
    kept = {name: good[0][name] for name in ("id", "lines", "subtotal", "vat", "total", "currency", "doctype")}
    control.add(1, overrides=kept | belonging(good[0]) | {"docnum": "PATAISYTA-1"})
    assert [path for _, path in pipeline.run() if path.startswith("/training")] == [f"/trainingInvoices/{kept['id']}"]
    assert at_vic(pipeline.trained()) == totals(good)
    assert [one["refNumber"] for one in pipeline.trained()].count("PATAISYTA-1") == 1


def test_vendors_at_vic_are_the_sellers(sandbox: SandboxProcess, tmp_path: Path) -> None:
    fresh(sandbox, 300)
    pipeline = Pipeline(sandbox, tmp_path)
    before = {one["internalId"]: one for one in sandbox.control.vicai.records("vendors")}
    pipeline.run()
    sellers: dict[str, list[Record]] = defaultdict(list)
    for one in sorted(pipeline.purchases(), key=lambda one: one["date"]):
        if one["sellername"] not in pipeline.namesakes:
            sellers[_key(one)].append(one)
    now = {one["internalId"]: one for one in sandbox.control.vicai.records("vendors")}
    made = {one["externalId"]: one for id_, one in now.items() if id_ not in before}
    assert {id_: now[id_] for id_ in before} == before, "what the ERP wrote stays"
    assert made.keys() == sellers.keys()
    for key, vendor in made.items():
        newest = sellers[key][-1]
        assert vendor["name"] == newest["sellername"]
        assert (vendor["addressStreet"], vendor["countryCode"]) == (newest["selleraddress"], newest["sellercountry"])
        assert (vendor.get("taxInfo") or {}).get("orgNumber") == newest["sellercode"]
        account = (vendor.get("defaultPaymentInfo") or {}).get("internationalBankAccount") or {}
        assert account.get("iban") == next((one["selleriban"] for one in sellers[key][::-1] if one["selleriban"]), None)


def _key(document: Record) -> str:
    """The id that a seller gets who is new at Vic."""
    code, country = document["sellercode"], document["sellercountry"]
    return f"{country}-{code}" if code else str(document["sellervat"] or document["sellerid"])


@pytest.mark.long
def test_invoices_to_process_tie_as_well(sandbox: SandboxProcess, tmp_path: Path) -> None:
    fresh(sandbox, 300)
    pipeline = Pipeline(sandbox, tmp_path, invoices_as="invoices")
    pipeline.run()
    sums: Sums = defaultdict(Decimal)
    invoices = sandbox.control.vicai.records("invoices")
    for one in invoices:
        sums[one["currency"]] += Decimal(one["totalAmount"]) * (-1 if one["transactionType"] == "CREDITNOTE" else 1)
    assert dict(sums) == totals(pipeline.purchases())
    assert {one["externalId"] for one in invoices} == {one["id"] for one in pipeline.purchases()}
    assert {one["status"] for one in invoices} == {"READY_FOR_POST"}
    assert pipeline.run() == []


EVERY = 10
"""Documents between two STATEs."""


@pytest.mark.long
def test_killed_in_the_middle_and_run_again_nothing_is_lost_or_doubled(sandbox: SandboxProcess, tmp_path: Path) -> None:
    fresh(sandbox, 400)
    dice = random.Random(1)
    pipeline = Pipeline(sandbox, tmp_path)
    pipeline.settings["documents_dir"] = pipeline.files
    tap, *_ = pipeline.commands(tmp_path / "tap")
    said = preloaded.run(tap).stdout.splitlines(keepends=True)
    head = [line for line in said if line.startswith(b'{"type":"SCHEMA","stream":"exported_documents"')]
    documents = [line for line in said if line.startswith(b'{"type":"RECORD","stream":"exported_documents"')]
    assert len(documents) == len(sandbox.control.documents())
    done, progress = 0, []
    for attempt in range(6):
        rest = []
        for number, line in enumerate(documents[done:], done + 1):
            rest += [line, b'{"type":"STATE","value":{"n":%d}}\n' % number] if number % EVERY == 0 else [line]
        _, mapper, target = pipeline.commands(tmp_path / f"kill{attempt}")
        after = dice.randrange(20_000, 120_000) if attempt < 4 else None
        done = piped(mapper, target, b"".join([*head, *rest]), after, dice.choice([9, 15])) or done
        progress.append(done)
    assert len(set(progress)) > 2, "no STATE came through before a kill"
    assert at_vic(pipeline.trained()) == totals(pipeline.purchases())
    assert len(pipeline.trained()) == len(pipeline.purchases())


# Passes what it reads; says so after that many bytes, and waits a moment so that the kill falls in between.
PASSING = """
import sys, time
said, out = sys.stdin.buffer, sys.stdout.buffer
out.write(said.read({after}))
out.flush()
sys.stderr.write("x")
sys.stderr.flush()
time.sleep(0.1)
out.write(said.read())
"""


def piped(mapper: list[str], target: list[str], said: bytes, after: int | None, signal: int) -> int | None:
    """Map and load; end the mapper once it has written so many bytes. Returns the number of the target's last STATE."""
    pipe, quiet = subprocess.PIPE, subprocess.DEVNULL
    passing = [sys.executable, "-c", PASSING.format(after=after or -1)]
    with (
        subprocess.Popen(mapper, stdin=pipe, stdout=pipe, stderr=quiet) as first,
        subprocess.Popen(passing, stdin=first.stdout, stdout=pipe, stderr=pipe) as between,
        subprocess.Popen(target, stdin=between.stdout, stdout=pipe, stderr=quiet) as last,
    ):
        assert first.stdin is not None
        assert first.stdout is not None
        assert between.stdout is not None
        assert between.stderr is not None
        assert last.stdout is not None
        first.stdout.close()
        between.stdout.close()
        feeder = threading.Thread(target=feed, args=(first.stdin, said))
        feeder.start()
        between.stderr.read(1)
        if after is not None:
            first.send_signal(signal)
        states = last.stdout.read().splitlines()
        feeder.join()
    return json.loads(states[-1])["n"] if states else None


def feed(pipe: IO[bytes], said: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):
        pipe.write(said)
    with contextlib.suppress(BrokenPipeError):
        pipe.close()
