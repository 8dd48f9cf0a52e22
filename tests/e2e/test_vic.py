"""`meltano run vic-to-warehouse` with the real loader: every field of every stream, exact, and nothing twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ap_connectors.sandbox.process import SandboxProcess
from demo import story
from demo.meltano import Meltano
from demo.project import DemoError
from tests.e2e import stored
from tests.e2e.stored import FILES, VIC

pytestmark = pytest.mark.e2e

JOB = "vic-to-warehouse"
LONG = Decimal("12345678901234567.89")
# What a CSV file between loader and database may stumble over.
NASTY = 'say "hi", \\"there\\"; a|b\\n\t\\\\ \'x\' #1\nnew line – ąčęėįšųūž'


def rows(file: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_everything_then_nothing_then_the_news(
    meltano: Callable[..., Meltano], sandbox: SandboxProcess, tmp_path: Path
) -> None:
    control, file = sandbox.control, tmp_path / "warehouse.duckdb"
    control.reset(documents=0, invoices=60)
    project = meltano()

    everything = stored.vic(control)
    first = project.run(JOB)
    expected = everything.news()
    assert {name: first[name] for name in VIC} == {name: expected[name] for name in VIC}
    assert all(expected[name] for name in VIC)
    before = stored.tables(file, everything)
    assert list(stored.differences(everything, file)) == []

    second = project.run(JOB)
    in_full = {name: len(everything.records[name]) for name, stream in VIC.items() if stream.in_full} | {"companies": 1}
    assert {name: count for name, count in second.items() if count} == in_full
    assert stored.tables(file, everything) == before

    story.change(control)
    at_last = stored.vic(control)
    third = project.run(JOB)
    expected = at_last.news(everything)
    assert {name: third[name] for name in VIC} == {name: expected[name] for name in VIC}
    assert expected["invoices"] == story.TOUCHED + story.ADDED + 1
    assert (expected["payment_batches"], expected["purchase_orders"], expected["vendors"]) == (1, 1, 1)
    assert list(stored.differences(at_last, file)) == []
    assert rows(file, "select count(*) from vicai.payments where voidedAt = timestamptz '2026-09-14 07:30:00Z'") == [
        (1,)
    ]


@pytest.mark.long
def test_digits_texts_and_wall_clocks_stay_what_they_are(
    meltano: Callable[..., Meltano], sandbox: SandboxProcess, tmp_path: Path
) -> None:
    control, file = sandbox.control, tmp_path / "warehouse.duckdb"
    control.reset(documents=0)
    vic = control.vicai
    line = {"index": 0, "amount": LONG, "description": NASTY, "invoiceLineItemInfo": {"vatAmount": LONG}}
    # An hour that the ERP's zone does not have, and a form of its own.
    for clock in ("2026-03-29T02:30:00", "2026-01-05 08:00", "20260105"):
        vic.add("invoices", description=NASTY, totalAmount=str(LONG), externalUpdatedAt=clock, lineItems=[line])
    vic.add("accounts", name=NASTY, externalData={"saldo": LONG, "note": NASTY, "zero": Decimal("0.10")})
    vic.add("vatCodes", rate=Decimal("25.00"), remoteData={"limit": LONG})
    vic.add("trainingInvoices", lineItems=[line])
    vic.add("tags", value=NASTY)
    meltano().run(JOB)

    assert list(stored.differences(stored.vic(control), file)) == []
    assert rows(file, "select distinct totalAmount, description from vicai.invoices") == [(LONG, NASTY)]
    assert rows(file, "select externalUpdatedAt from vicai.invoices order by internalId") == [
        ("2026-03-29T02:30:00",),
        ("2026-01-05 08:00",),
        ("20260105",),
    ]
    for table in ("invoices", "training_invoices"):
        kept = rows(file, f"select lineItems from vicai.{table}")[-1][0]
        [grouped] = json.loads(kept, parse_float=Decimal)
        assert (grouped["amount"], grouped["invoiceLineItemInfo"]["vatAmount"]) == (LONG, LONG)
        assert grouped["description"] == NASTY
    assert rows(file, "select sum(totalAmount) from vicai.invoices") == [(3 * LONG,)]
    rate = "where remoteData::varchar like '%12345678901234567.89%'"
    assert rows(file, f"select rate from vicai.vat_codes {rate}") == [(Decimal("25.00"),)]


@pytest.mark.long
def test_small_tables_of_nothing_but_text_are_whole(
    meltano: Callable[..., Meltano], sandbox: SandboxProcess, tmp_path: Path
) -> None:
    control, file = sandbox.control, tmp_path / "warehouse.duckdb"
    control.reset(documents=0)
    streams = ("tags", "vendor_groups", "vendor_tags", "training_invoices", "tax_codes", "payment_terms")
    for name in streams:
        resource = VIC[name].resource
        old = [record.get("id") for record in control.vicai.records(resource)]
        if name != "training_invoices":
            control.vicai.delete(resource, [str(number) for number in old][1:])
    project = meltano()
    for _ in range(2):
        project.run(JOB)
        there = stored.vic(control)
        assert list(stored.differences(there, file)) == []
    assert [len(there.records[name]) for name in streams if name != "training_invoices"] == [1] * 5


@pytest.mark.long
def test_lines_that_an_order_no_longer_has_go(
    meltano: Callable[..., Meltano], sandbox: SandboxProcess, tmp_path: Path
) -> None:
    control, file = sandbox.control, tmp_path / "warehouse.duckdb"
    control.reset(documents=0, invoices=20)
    project = meltano()
    project.run(JOB)
    order = next(order for order in control.vicai.records("purchaseOrders") if len(order["lineItems"]) > 1)
    control.vicai.touch("purchaseOrders", [order["internalId"]], lineItems=order["lineItems"][:1])
    project.run(JOB)

    own = f"purchase_order_id = '{order['internalId']}'"
    all_there = rows(file, f"select count(*) from vicai.purchase_order_line_items where {own}")
    assert all_there == [(1,)]
    assert list(stored.differences(stored.vic(control), file)) == []


@pytest.mark.long
def test_each_version_of_a_training_invoice_is_a_row(
    meltano: Callable[..., Meltano], sandbox: SandboxProcess, tmp_path: Path
) -> None:
    control, file = sandbox.control, tmp_path / "warehouse.duckdb"
    control.reset(documents=0)
    [number] = control.vicai.add("trainingInvoices", refNumber="T-1", externalUpdatedAt="2030-01-05T08:00:00")
    project = meltano()
    project.run(JOB)
    later = "2030-02-05T08:00:00"
    control.vicai.touch("trainingInvoices", [number], externalUpdatedAt=later, description="changed")
    project.run(JOB)
    versions = "select externalUpdatedAt::varchar from vicai.training_invoices where refNumber = 'T-1' order by all"
    assert rows(file, versions) == [("2030-01-05 08:00:00",), ("2030-02-05 08:00:00",)]
    latest = (
        "select description from vicai.training_invoices where refNumber = 'T-1' "
        "qualify row_number() over (partition by vendorExternalId, refNumber order by externalUpdatedAt desc) = 1"
    )
    assert rows(file, latest) == [("changed",)]


@pytest.mark.long
def test_another_companys_state_stops_the_job(
    meltano: Callable[..., Meltano], sandbox: SandboxProcess, tmp_path: Path
) -> None:
    sandbox.control.reset(documents=0, invoices=5)
    project = meltano()
    project.run(JOB)
    sandbox.control.vicai.options(company="Somebody Else AS")
    with pytest.raises(DemoError, match="ended with status 1"):
        project.run(JOB)
    assert "The state belongs to another company" in (tmp_path / "meltano.log").read_text()
    assert rows(tmp_path / "warehouse.duckdb", "select company from vicai.company") == [("Fjordlys Regnskap AS",)]


@pytest.mark.long
def test_files_come_when_there_is_a_folder(
    meltano: Callable[..., Meltano], sandbox: SandboxProcess, tmp_path: Path
) -> None:
    sandbox.control.reset(documents=0, invoices=12)
    folder = tmp_path / "documents"
    run = meltano(TAP_VICAI_DOCUMENTS_DIR=str(folder)).run(JOB)
    posted = len(stored.vic(sandbox.control).records["invoices"])
    assert run[FILES] == posted == len(list(folder.rglob("*.pdf")))
    assert "training_invoice_documents" not in run
