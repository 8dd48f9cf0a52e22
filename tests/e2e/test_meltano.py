"""`meltano run` with the real loaders: exact amounts, unknown fields, and nothing twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ap_connectors.sandbox.process import Control, SandboxProcess
from demo.meltano import Meltano
from tests.e2e import stored

pytestmark = pytest.mark.e2e

LONG = Decimal("12345678901234567.89")


def rows(file: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(query).fetchall()


def add_exact_document(control: Control) -> str:
    amounts = {"subtotal": LONG, "vat": Decimal("0.10"), "total": LONG + Decimal("0.10"), "currency": "IDR"}
    line = {"price": LONG, "quantity": Decimal("1.000"), "vat": Decimal("0.10"), "vatpercent": Decimal(0)}
    return control.add(1, overrides=amounts, line_overrides=line)[0]


def test_the_warehouse_gets_every_digit_every_field_and_nothing_twice(
    meltano: Callable[..., Meltano], sandbox: SandboxProcess, tmp_path: Path
) -> None:
    control, file = sandbox.control, tmp_path / "warehouse.duckdb"
    control.reset(documents=120, extra_fields=True)
    exact = add_exact_document(control)
    project = meltano()

    first = project.run("tap-ivesk", "target-warehouse")
    sent = stored.ivesk(control)
    assert first["exported_documents"] == len(sent.records["exported_documents"])
    assert list(stored.differences(sent, file)) == []
    document = f"from ivesk.exported_documents where id = '{exact}'"
    assert rows(file, f"select subtotal, vat, total, currency {document}") == [
        (LONG, Decimal("0.10"), Decimal("12345678901234567.99"), "IDR")
    ]

    # Undeclared fields are columns, with their values.
    there = {
        key: fields
        for key, *fields in rows(
            file, "select id, approvalstage, exactweight, delivery, prepaid, costcenter from ivesk.exported_documents"
        )
    }
    for line in control.document_lines():
        one = json.loads(line, parse_float=str)
        stage, weight, delivery, prepaid, center = there[one["id"]]
        assert (stage, prepaid, center) == tuple(one[name] for name in ("approvalstage", "prepaid", "costcenter"))
        assert weight == Decimal(one["exactweight"])
        assert json.loads(delivery) == one["delivery"]

    second = project.run("tap-ivesk", "target-warehouse")
    assert set(second.values()) == {0}

    added = control.add(7)
    again = control.export(count=2)
    third = project.run("tap-ivesk", "target-warehouse")
    assert third["exported_documents"] == len(added) + len(again)
    assert list(stored.differences(stored.ivesk(control), file)) == []


@pytest.mark.long
def test_lines_of_an_older_export_go(meltano: Callable[..., Meltano], sandbox: SandboxProcess, tmp_path: Path) -> None:
    control, file = sandbox.control, tmp_path / "warehouse.duckdb"
    control.reset(documents=0)
    long = control.add(1)
    lines = control.documents()[0]["lines"] * 3
    control.reset(documents=0)
    control.add(1, overrides={"id": long[0], "lines": lines})
    project = meltano()
    project.run("tap-ivesk", "target-warehouse")
    control.add(1, overrides={"id": long[0], "lines": lines[:1]})
    project.run("tap-ivesk", "target-warehouse")

    assert len(lines) > 1
    assert rows(file, "select count(*) from ivesk.exported_document_lines") == [(1,)]


@pytest.mark.long
def test_jsonl_gets_the_same(meltano: Callable[..., Meltano], sandbox: SandboxProcess, tmp_path: Path) -> None:
    control = sandbox.control
    control.reset(documents=30, extra_fields=True)
    exact = add_exact_document(control)
    run = meltano(TAP_IVESK_DECIMALS="text").run("tap-ivesk", "target-jsonl")

    written = [json.loads(line) for line in (tmp_path / "jsonl/exported_documents.jsonl").read_text().splitlines()]
    assert run["exported_documents"] == len(written) == control.ivesk(sums=False)["exported"]["count"]
    document = next(document for document in written if document["id"] == exact)
    assert (document["total"], document["vat"]) == ("12345678901234567.99", "0.10")
    assert "exactweight" in document
    lines = (tmp_path / "jsonl/exported_document_lines.jsonl").read_text().splitlines()
    assert len(lines) == run["exported_document_lines"] == sum(len(d["lines"]) for d in control.documents())
