"""The codes and parameters of records whose fields and keys are no good."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.target_vicai.cases_documents import order_line
from tests.target_vicai.codes import Bad, account, check, order, told, vendor
from tests.target_vicai.conftest import Record, Target, load, state
from tests.target_vicai.scene import AT, LONG
from tests.target_vicai.store import Store
from tests.target_vicai.test_load_deletes import GONE


def vat_code(**changed: Any) -> Record:
    return {"externalId": "V-1", "externalUpdatedAt": AT, "code": "V", "description": "PVM", "rate": 21} | changed


def test_fields_and_keys(target: Target) -> None:
    """What the record itself shows."""
    lines = [order_line(1, "2", "5.00", "10.00"), order_line(1, "1", "3.00", "3.00")]
    unit = {"defaultPaymentInfo": {"paymentTerm": {"count": 30, "unit": None}}}
    term = {"name": "T", "daysToPay": 30}
    check(
        target,
        Bad("not_text", "accounts", account(name=True), {"field": "name", "value": "true"}),
        Bad("too_long", "accounts", account(name=LONG), {"field": "name", "most": 255, "length": 300, "value": ...}),
        Bad("not_a_number", "vat_codes", vat_code(rate="12,50"), {"field": "rate", "value": "'12,50'"}),
        Bad("too_many_digits", "vat_codes", vat_code(rate=Decimal("1e5000")), {"field": "rate", "most": 1000}),
        Bad(
            "not_a_whole_number",
            "payment_terms",
            term | {"daysToPay": Decimal("30.5")},
            {"field": "daysToPay", "value": "30.5"},
        ),
        Bad(
            "too_small", "payment_terms", term | {"daysToPay": -1}, {"field": "daysToPay", "least": "0", "value": "-1"}
        ),
        Bad(
            "too_large",
            "payment_terms",
            term | {"discountPercentage": "100.01"},
            {"field": "discountPercentage", "most": "100", "value": "100.01"},
        ),
        Bad(
            "not_true_or_false",
            "vendors",
            vendor(taxInfo={"is1099vendor": "galbūt"}),
            {"field": "taxInfo.is1099vendor", "value": "'galbūt'"},
        ),
        Bad("not_a_date", "invoices", {"dueDate": "2026-02-30"}, {"field": "dueDate", "value": "'2026-02-30'"}),
        Bad(
            "not_a_time",
            "accounts",
            account(externalUpdatedAt="vakar"),
            {"field": "externalUpdatedAt", "value": "'vakar'"},
        ),
        Bad("not_a_uuid", "vendors", vendor(paymentTermId="7"), {"field": "paymentTermId", "value": "'7'"}),
        Bad("not_an_object", "vendors", vendor(taxInfo="300"), {"field": "taxInfo", "value": "'300'"}),
        Bad("not_a_list", "vendor_errors", {"internalId": "1", "errors": "x"}, {"field": "errors", "value": "'x'"}),
        Bad("null_not_allowed", "vendors", vendor(**unit), {"field": "defaultPaymentInfo.paymentTerm.unit"}),
        Bad("missing_field", "accounts", account(number=None, name=None), {"fields": ["number", "name"]}),
        Bad("two_spellings", "accounts", account(NAME="S"), {"field": "name", "spellings": ["name", "NAME"]}),
        Bad("missing_key", "accounts", account(externalId=None), {"fields": ["externalId"]}),
        Bad("missing_key", "tags", {"value": ""}, {"fields": ["value"]}),
        Bad("missing_key", "purchase_orders", {"amount": "1"}, {"fields": ["externalId", "poNumber"]}),
        Bad("missing_key", "vendor_tags", {"tagValue": "EHF"}, {"fields": ["vendorId", "vendorExternalId"]}),
        Bad("missing_key", "vendor_errors", {"errors": []}, {"fields": ["internalId"]}),
        Bad("key_not_addressable", "accounts", account(externalId=".."), {"field": "externalId", "value": ".."}),
        Bad(
            "not_one_of",
            "purchase_orders",
            order(1, status="laukia"),
            {"field": "status", "value": "'laukia'", "allowed": ["open", "closed"]},
        ),
        Bad(
            "not_a_fraction",
            "tax_codes",
            {"code": "P", "description": "Per cent", "rate": "8.25"},
            {"field": "rate", "value": "8.25"},
        ),
        Bad("line_given_twice", "purchase_orders", order(1, lineItems=lines), {"line": 1}),
        Bad(
            "header_and_lines_differ",
            "purchase_orders",
            order(1, amount="12345678901234567.89"),
            {
                "field": "amount",
                "stated": "12345678901234567.89",
                "together": "13.00",
                "difference": "12345678901234554.89",
            },
        ),
    )


def test_half_a_character_and_a_tag_that_vic_cannot_delete(target: Target, store: Store, tmp_path: Path) -> None:
    code = store.all("taxCodes")[0]
    half = '{"type": "RECORD", "stream": "accounts", "record": {"externalId": "K\\ud800", "name": "a"}}'
    messages = [
        load("accounts", account())[0],
        half,
        *load("tax_codes", {"code": code["code"], "description": "Kitas"}, {"code": "C", "_sdc_deleted_at": GONE}),
    ]
    run = target(messages, deletes="records", expect=1)
    assert told(run.rejects) == [
        ("half_a_character", {"field": "externalId"}),
        ("not_changeable", {"fields": ["description"]}),
        ("not_deletable", {"stream": "tax_codes"}),
    ]
    plan = target([messages[0], half], dry_run=True, plan_path=str(tmp_path / "plan.json"), expect=1)
    assert "K?" in (tmp_path / "plan.json").read_text(encoding="utf-8")
    assert "K?" in plan.report_text


def test_what_is_nested_too_deeply_ends_no_load(target: Target) -> None:
    """In a field that takes any value, in one that takes text, in one that Vic.ai does not have."""
    levels = (30, 200, 330, 500, 960, 990, 1_100, 100_000)
    head, after = load("accounts", account())
    for value in "12":
        lists = {n: "[" * n + value + "]" * n for n in levels}
        fields = {"E": '"S", "externalData": {"x": %s}', "N": "%s", "O": '"S", "other": %s'}
        deep = [
            f'{{"type": "RECORD", "stream": "accounts", "record": {{"externalId": "{name}{n}", "number": "1", '
            f'"externalUpdatedAt": "{AT}", "name": {given % nested}}}}}'
            for n, nested in lists.items()
            for name, given in fields.items()
        ]
        run = target([head, *deep, after, state(1)], expect=1)
        assert run.states == [{"n": 1}]
        codes = {one["key"]: one["code"] for one in run.report["rejects"]}
        counts = run.report["streams"]["accounts"]
        assert (counts["received"], counts["failed"], counts["rejected"]) == (3 * len(levels) + 1, 0, len(codes))
        assert {codes.get(f"{name}100000") for name in fields} == {"nested_too_deeply"}
        assert [codes.get(f"{name}30") for name in fields] == [None, "not_text", None]
        assert {*codes.values()} == {"nested_too_deeply", "not_text"}
        assert counts["created" if value == "1" else "unchanged"] >= 1
        assert counts["created"] + counts["updated"] + counts["unchanged"] == counts["received"] - len(codes)
