"""Decimals are written, and declared, as the setting says; not a digit changes."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.singer.decimals import as_number
from tests.campaign import one_in
from tests.conftest import RunTap, catalogs, runner
from tests.target_vicai.conftest import settings

SINGER = {"type": ["string", "null"], "format": "x-singer.decimal", "precision": 38, "scale": 9}
AS = {"number": {"type": ["number", "null"]}, "text": {"type": ["string", "null"]}, "singer": SINGER}


def declared(field: dict[str, Any]) -> dict[str, Any]:
    return {name: member for name, member in field.items() if name not in {"description", "title"}}


@pytest.mark.parametrize("how", ["number", "text", "singer"])
def test_of_a_service_that_has_numbers(tap: RunTap, sandbox: SandboxProcess, how: str) -> None:
    sandbox.control.add(1, overrides={"total": Decimal("12345678901234567.890")})
    run = tap(decimals=how)
    field = run.schemas["exported_documents"][0]["properties"]["total"]
    assert declared(field) == AS[how]
    written = run.records["exported_documents"][-1]["total"]
    assert str(written) == "12345678901234567.890"
    assert isinstance(written, Decimal if how == "number" else str)


@one_in(3)
@pytest.mark.parametrize("how", ["number", "text", "singer", None])
def test_of_a_service_that_has_text(sandbox: SandboxProcess, tmp_path: Any, how: str | None) -> None:
    sandbox.control.reset(documents=0, invoices=3, vicai={"rate_requests": 0})
    read = runner("tap_vicai", tmp_path, settings(sandbox, tmp_path) | {"documents_from": None, "ledger_path": None})
    # Without a setting by a catalog, from which the SDK drops what it does not know.
    chosen = None if how else catalogs("tap_vicai")("invoices", "purchase_order_line_items", "vat_codes")
    run = read(catalog=chosen, invoice_states=["ALL"], decimals=how)
    store = {one["internalId"]: one for one in sandbox.control.vicai.records("invoices")}
    for stream, field in (
        ("invoices", "totalAmount"),
        ("purchase_order_line_items", "unitAmount"),
        ("vat_codes", "rate"),
    ):
        assert declared(run.schemas[stream][0]["properties"][field]) == AS[how or "singer"]
        kinds = {type(record[field]) for record in run.records[stream] if record.get(field) is not None}
        assert kinds <= ({Decimal, int} if how == "number" else {str})
    for record in run.records["invoices"]:
        assert str(record["totalAmount"]) == store[record["internalId"]]["totalAmount"]
        assert record["lineItems"] == store[record["internalId"]]["lineItems"]
    assert run.schemas["purchase_order_line_items"][0]["x-parent"] == {
        "stream": "purchase_orders",
        "keys": {"purchase_order_id": "internalId"},
        "version": {"purchase_order_updated_at": "internalUpdatedAt"},
    }
    assert run.schemas["vat_codes"][0]["properties"]["activeStartingAt"]["x-clock"] == "local"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12.50", "12.50"),
        ("-0.00", "-0.00"),
        ("007.5", "7.5"),
        (".5", "0.5"),
        ("", None),
        ("n/a", None),
        ("1e2", "100"),
    ],
)
def test_text_becomes_the_number_that_it_says(text: str, number: str | None) -> None:
    raw = json.dumps(text).encode()
    assert as_number(raw) == (raw if number is None else number.encode())
