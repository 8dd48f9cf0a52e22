"""The code and the parameters of every reject: programs go by them, whatever the sentence says."""

from __future__ import annotations

import ast
import base64
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ap_connectors.core.errors import Reject
from ap_connectors.core.reject_codes import CODES
from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.singer.document_sources import DocumentSources
from target_vicai import documents
from tests.target_vicai.cases_documents import order_line
from tests.target_vicai.conftest import PREFIX, Message, Record, Target, fresh, load, record, state
from tests.target_vicai.scene import AT, LONG, PDF, Scene
from tests.target_vicai.store import Store
from tests.target_vicai.test_load_deletes import GONE

ELSEWHERE = {
    # of target-ivesk: tests/target_ivesk/test_target_ivesk_codes.py
    "comma_in_tag",
    "control_character",
    "no_form_fits",
    "sent_with_another_key",
    # of target-warehouse: tests/target_warehouse
    "key_does_not_fit",
    "too_many_fields",
    "warehouse_refused",
    # test_load_corrections.py
    "moved_to_another_company",
    "no_longer_booked",
    "older_export",
    "corrected_after_posting",
    # of downloads, and of the mapper
    "document_moved_on",
    "document_not_a_pdf",
    "link_expired",
    "no_link",
    "does_not_add_up",
    "due_before_date",
    "kind_set_aside",
    "kind_unknown",
    "no_lines",
    "no_mapping",
    "no_subtotal",
    "kid",
    "seller_is_buyer",
    "seller_without_id",
    "several",
    "sign_of_credit_note",
    "whose_document",
    # of vendors: test_load_document_vendors.py, test_load_bank_changes.py
    "ambiguous_vendor",
    "bank_account",
    "bank_change",
    "vendor_differs",
    "vendor_without_external_id",
    # of invoices that were rejected before: test_load_postings.py
    "rejected_before",
    # of plans: test_load_apply.py
    "changed_since_plan",
    "not_as_approved",
    "not_in_plan",
    # of a reject that has none
    "unclassified",
}
"""Codes that no record of target-vicai gets."""


def test_every_code_has_a_case() -> None:
    tree = ast.parse(Path(__file__).read_text(encoding="utf-8"))
    written = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert CODES.keys() - written == set()


class Bad(NamedTuple):
    """A record that is set aside, and its reject's code and parameters; text of theirs that is `...` may be any."""

    code: str
    stream: str
    record: Record
    params: Record
    replayed: str | None = None


def account(**changed: Any) -> Record:
    return {"externalId": "K-1", "externalUpdatedAt": AT, "number": "1", "name": "S"} | changed


def vendor(**changed: Any) -> Record:
    return {"externalId": "T-1", "externalUpdatedAt": AT, "name": "UAB"} | changed


def vat_code(**changed: Any) -> Record:
    return {"externalId": "V-1", "externalUpdatedAt": AT, "code": "V", "description": "PVM", "rate": 21} | changed


def order(number: int, **changed: Any) -> Record:
    return {
        "externalId": f"UZS-{number}",
        "poNumber": f"N-{number}",
        "issuedOn": "2026-03-01",
        "vendorExternalId": "50000",
        "lineItems": [order_line(1, "2", "5.00", "10.00"), order_line(2, "1", "3.00", "3.00")],
    } | changed


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


def test_documents(target: Target, scene: Scene, tmp_path: Path) -> None:
    def file(name: str, content: bytes) -> str:
        path = tmp_path / name
        path.write_bytes(content)
        return str(path)

    office, page = file("a.bin", b"PK\x03\x04rest"), file("b.pdf", b"<!DOCTYPE html><html>")
    empty, pdf = file("c.pdf", b""), file("d.pdf", PDF)
    gone, folder = str(tmp_path / "e.pdf"), str(tmp_path)
    large = tmp_path / "g.pdf"
    with large.open("wb") as sparse:
        sparse.write(PDF)
        sparse.truncate(100 * 1024 * 1024 + 1)
    in_base64 = base64.b64encode(PDF).decode()
    training = {
        "externalId": "TR-1",
        "externalUpdatedAt": AT,
        "transactionType": "INVOICE",
        "refNumber": "1",
        "vendorExternalId": scene.vendor["externalId"],
    }
    check(
        target,
        Bad("document_missing", "attachments", {"documentName": "a.pdf"}, {}),
        Bad("document_missing", "training_invoices", training, {}),
        Bad("document_given_twice", "attachments", {"document": pdf, "documentBase64": in_base64}, {}),
        Bad("document_not_base64", "attachments", {"documentBase64": "%%%"}, {"problem": ...}),
        Bad("document_not_allowed", "attachments", {"document": "/etc/passwd"}, {"document": "/etc/passwd"}),
        Bad("document_not_found", "attachments", {"document": gone}, {"document": gone}),
        Bad("document_unreadable", "attachments", {"document": folder}, {"document": folder, "problem": ...}),
        Bad("document_empty", "attachments", {"document": empty}, {"document": empty}),
        Bad(
            "document_too_large",
            "attachments",
            {"document": str(large)},
            {"document": str(large), "most": "100 MB", "service": "Vic.ai"},
        ),
        Bad("document_type", "attachments", {"document": page}, {"document": "b.pdf"}),
        Bad("document_type", "attachments", {"document": pdf, "documentType": "exe"}, {"stated": "exe"}),
        Bad(
            "document_type_differs",
            "attachments",
            {"document": pdf, "documentType": "png"},
            {"document": "d.pdf", "stated": "png", "found": "PDF"},
        ),
        Bad(
            "document_type_unclear",
            "attachments",
            {"document": office},
            {"document": "a.bin", "found": "Office", "suffixes": ...},
        ),
    )


def test_a_document_that_somebody_still_writes(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(PDF)
    with documents.opened({"document": str(path)}, DocumentSources([str(tmp_path)])) as document:
        assert document is not None
        path.write_bytes(PDF * 2)
        with pytest.raises(Reject) as error:
            document.part("document")
    assert (error.value.code, error.value.params) == ("document_changed", {"document": str(path)})


def test_what_vic_has(target: Target, scene: Scene) -> None:
    """References, names, states, and what Vic shows otherwise."""
    control = scene.vicai.control
    control.vicai.add("paymentTerms", 2, name="Dvigubas")
    waiting, posted = (one["internalId"] for one in reversed(scene.store.all("invoices")[-2:]))
    control.vicai.touch("invoices", [posted], status="POSTED", externalId="DZ-54")
    control.vicai.touch("invoices", [waiting], status="IN_APPROVALS")
    confirmed = {"externalId": "DZ-55", "externalUpdatedAt": AT}
    twice = {"kind": "payment_term", "name": "Dvigubas", "count": 2}
    check(
        target,
        Bad(
            "unknown_reference",
            "vendors",
            vendor(vendorGroupName="Nėra"),
            {"references": [{"kind": "vendor_group", "key": "Nėra", "field": "vendorGroupName"}]},
        ),
        Bad(
            "unknown_reference",
            "purchase_orders",
            order(1, vendorExternalId="NĖRA"),
            {"references": [{"kind": "vendor", "key": "NĖRA", "field": "vendorExternalId"}]},
        ),
        Bad(
            "unknown_reference",
            "invoice_confirmations",
            confirmed | {"internalId": "999"},
            {"references": [{"kind": "invoice", "key": "999", "field": "internalId"}]},
        ),
        Bad(
            "unknown_reference",
            "vendor_errors",
            {"internalId": "999", "errors": []},
            {"references": [{"kind": "vendor", "key": "999", "field": "internalId"}]},
        ),
        Bad(
            "ambiguous_name",
            "vendors",
            vendor(externalId="T-2", paymentTermName="Dvigubas"),
            twice | {"field": "paymentTermName"},
        ),
        Bad("ambiguous_name", "payment_terms", {"name": "Dvigubas", "daysToPay": 3}, twice | {"field": "name"}),
        Bad("wrong_state", "invoice_confirmations", confirmed | {"internalId": waiting}, {"status": "IN_APPROVALS"}),
        Bad("wrong_state", "invoice_rejections", {"internalId": posted, "reason": "-"}, {"status": "POSTED"}),
        Bad(
            "differs_at_vicai",
            "invoice_confirmations",
            confirmed | {"internalId": posted},
            {"field": "externalId", "theirs": "DZ-54", "ours": "DZ-55"},
        ),
    )


def test_a_service_that_is_too_old(vicai: SandboxProcess, target: Target) -> None:
    fresh(vicai, age="0.20")
    report = {"id": "5b1f1c0e-6f0e-4a55-9d2c-1d0a4c8e7f21", "confirmedAt": "2026-03-01T00:00:00Z"}
    (said,) = target(load("payment_confirmations", report), expect=1).rejects
    assert said["rejected"]["code"] == "not_offered"
    assert said["rejected"]["params"] == {"stream": "payment_confirmations"}


def test_an_invoice_that_is_another_one_there(target: Target, scene: Scene) -> None:
    invoice = {
        "externalId": "PIRK-1",
        "transactionType": "INVOICE",
        "refNumber": "SF-1",
        "issueDate": "2026-03-01",
        "currency": "EUR",
        "totalAmount": Decimal("1.10"),
        "vendor": {"externalId": scene.vendor["externalId"]},
        "lineItems": [],
    }
    target(load("invoices", invoice))
    same = {"docnum": "SF-1", "date": "2026-03-01", "total": "1.10", "currency": "EUR", "other": "PIRK-1"}
    check(target, Bad("duplicate", "invoices", invoice | {"externalId": "PIRK-2"}, same))
    differs = {"field": "totalAmount", "theirs": "1.10", "ours": "2.20"}
    check(target, Bad("differs_at_vicai", "invoices", invoice | {"totalAmount": Decimal("2.20")}, differs))


def test_purchase_orders(target: Target, scene: Scene) -> None:
    """Matched lines, amounts that are none, steps that Vic refuses, a replay that is late."""
    control = scene.vicai.control
    target(load("purchase_orders", *map(order, range(1, 7))))
    scene.store.look()
    orders = {number: scene.store.one("purchaseOrders", externalId=f"UZS-{number}") for number in range(1, 7)}

    def becomes(number: int, **first_line: Any) -> None:
        lines = orders[number]["lineItems"]
        control.vicai.touch(
            "purchaseOrders", [orders[number]["internalId"]], lineItems=[lines[0] | first_line, *lines[1:]]
        )

    def refuses(path: str, **fault: Any) -> None:
        control.fault("status", status=422, path=f"{PREFIX}/{path}", times=10, **fault)

    match = {
        "invoiceItemId": "1",
        "purchaseOrderItemId": orders[1]["lineItems"][0]["internalId"],
        "quantityMatched": "1",
    }
    becomes(1, invoiceItemsMatched=[match])
    becomes(2, lineItemTotal="daug")
    control.vicai.add("purchaseOrders", 2, poNumber="N-99", externalId=None)
    refuses(f"purchaseOrders/{orders[3]['internalId']}", method="PUT")
    becomes(4, invoiceItemsMatched=[match])
    changed = [order_line(1, "2", "6.00", "12.00"), order_line(2, "1", "3.00", "3.00")]
    only_second = [order_line(2, "1", "3.00", "3.00")]
    head = {name: value for name, value in order(2).items() if name != "lineItems"}
    check(
        target,
        Bad("line_matched", "purchase_orders", order(1, lineItems=changed), {"line": "1", "field": ...}),
        Bad("line_matched", "purchase_orders", order(1, lineItems=only_second), {"line": "1"}),
        Bad(
            "not_a_number_at_vicai",
            "purchase_orders",
            head | {"amount": "13.00", "description": "x"},
            {"field": "lineItems[lineNumber 1].lineItemTotal", "value": "'daug'"},
        ),
        Bad("partly_written", "purchase_orders", order(3, description="x", lineItems=changed), {"reasons": ...}),
        Bad(
            "order_matched",
            "purchase_orders",
            order(4, poNumber="N-4b"),
            {"field": "poNumber", "theirs": ..., "ours": "N-4b"},
        ),
        Bad(
            "changed_at_vicai",
            "purchase_orders",
            order(5, description="x"),
            {"changed": ..., "set_aside": "2020-01-01T00:00:00Z"},
            replayed="2020-01-01T00:00:00Z",
        ),
        Bad(
            "ambiguous_name",
            "purchase_orders",
            {"poNumber": "N-99", "amount": "1"},
            {"kind": "purchase_order", "name": "N-99", "count": 2, "field": "poNumber"},
        ),
    )


def test_the_reason_of_a_step_that_vic_refused_is_there(target: Target, scene: Scene) -> None:
    scene.vicai.control.vicai.options(age="0.20")
    target(load("purchase_orders", order(1)))
    scene.store.look()
    held = scene.store.one("purchaseOrders", externalId="UZS-1")
    path = f"{PREFIX}/purchaseOrders/{held['internalId']}/process"
    scene.vicai.control.fault("status", status=422, path=path, times=10)
    run = target(load("purchase_orders", order(1, description="x")), expect=1)
    ((code, params),) = told(run.rejects)
    assert code == "not_processed"
    (reason,) = params["reasons"]
    assert reason.keys() == {"code", "params", "reason"}
    assert reason["reason"] in run.reasons[0]


def test_an_attachment_whose_answer_was_lost(target: Target, scene: Scene, tmp_path: Path) -> None:
    scene.vicai.control.fault("lost", path=f"{PREFIX}/attachments", times=10)
    params = {
        "name": scene.pdf.name,
        "service": "Vic.ai",
        "at": ...,
        "ledger": str(tmp_path / "ledger.jsonl"),
        "key": scene.sha256,
    }
    check(target, Bad("delivery_unknown", "attachments", {"document": str(scene.pdf)}, params))


@pytest.mark.parametrize(("status", "code"), [(403, "no_right"), (404, "not_found"), (422, "service_refused")])
def test_what_vic_answers(target: Target, scene: Scene, status: int, code: str) -> None:
    scene.vicai.control.fault("status", status=status, path=f"{PREFIX}/accounts/K-1", method="PUT", times=10)
    run = target(load("accounts", account()), compare="none", update_mode="replace", expect=1)
    ((found, params),) = told(run.rejects)
    assert (found, params["status"]) == (code, status)


# How it is checked


def check(target: Target, *cases: Bad) -> None:
    """Load all of them at once; each is set aside with its code and its parameters."""
    messages: list[Message] = []
    for case in cases:
        mark = {} if case.replayed is None else {"rejected": {"reason": "-", "at": case.replayed}}
        messages += [load(case.stream, case.record)[0], record(case.stream, **case.record) | mark]
    run = target(messages, expect=1)
    rejects = {message["rejected"]["line"]: message for message in run.rejects}
    assert len(rejects) == len(cases), run.reasons
    for number, case in enumerate(cases):
        ((code, params),) = told([rejects[2 * number + 2]])
        assert code == case.code, rejects[2 * number + 2]["rejected"]
        any_ = {name for name, value in case.params.items() if value is ...}
        assert params.keys() == case.params.keys(), params
        assert {name: value for name, value in params.items() if name not in any_} == {
            name: value for name, value in case.params.items() if name not in any_
        }
    assert run.report["reject_codes"] == {
        code: [case.code for case in cases].count(code) for code in {case.code for case in cases}
    }


def told(rejects: list[Record]) -> list[tuple[str, Any]]:
    """The codes and parameters of rejects; parameters are text, whole numbers, and lists and objects of them."""
    for message in rejects:
        plain(message["rejected"]["params"])
        assert message["rejected"]["reason"]
    return [(message["rejected"]["code"], message["rejected"]["params"]) for message in rejects]


def plain(value: Any) -> None:
    assert type(value) in {str, int, list, dict}, value
    for member in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        plain(member)
