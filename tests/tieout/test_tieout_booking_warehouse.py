"""`ap-tieout vic-warehouse` tells each kind of field that is overwritten there: record, field and both values."""

from __future__ import annotations

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.tieout.conftest import PAYMENT, VIC, Tables, TieOut, latest

INVOICES = VIC["invoices"] | dict.fromkeys(
    ("transactionType", "vendorExternalId", "vendor", "glDate", "dueDate", "refNumber", "paymentInfo"), "varchar"
)
LINES = {
    **dict.fromkeys(("invoice_id", "costAccountExternalId", "dimensionsExternalIds", "invoiceLineItemInfo"), "varchar"),
    "index": "hugeint",
    "invoice_updated_at": "timestamp",
}
VENDORS = VIC["vendors"] | dict.fromkeys(
    ("name", "countryCode", "taxInfo", "defaultPaymentInfo", "state", "paymentTermId"), "varchar"
)
PAYMENTS = PAYMENT | {"status": "varchar", **dict.fromkeys(("fundedAt", "voidedAt", "rejectedAt"), "timestamp")}


@pytest.mark.long
def test_each_kind_of_field(vicai: SandboxProcess, vic: Tables, tie_vic: TieOut) -> None:
    control = vicai.control.vicai
    invoices = [one for one in control.records("invoices") if one["status"] == "POSTED"]
    lines = [
        line | {"invoice_id": one["internalId"], "invoice_updated_at": one["internalUpdatedAt"]}
        for one in invoices
        for line in control.line_items(one["internalId"])
    ]
    batches = control.records("paymentBatches")
    payments = [one | {"batch_id": batch["id"]} for batch in batches for one in batch["payments"]]
    vic.fill("invoices", INVOICES, invoices)
    vic.fill("invoice_line_items", LINES, lines)
    vic.fill("vendors", VENDORS, control.records("vendors"))
    vic.fill("payments", PAYMENTS, payments)
    vic.fill("payment_batches", VIC["payment_batches"], [one | {"last_event_at": latest(one)} for one in batches])
    assert tie_vic().status == 0

    invoice = next(one for one in invoices if one["vendorExternalId"] and one["glDate"] and one["dueDate"])
    line = next(one for one in lines if one["dimensionsExternalIds"] and one["invoiceLineItemInfo"])
    vendor = next(one for one in control.records("vendors") if one["countryCode"] == "NO" and one["defaultPaymentInfo"])
    payment = next(one for one in payments if one["fundedAt"])
    code = line["invoiceLineItemInfo"]["vatCode"]
    dimension = line["dimensionsExternalIds"][0]
    of_invoice = f"where internalid = '{invoice['internalId']}'"
    of_line = f"where invoice_id = '{line['invoice_id']}' and index = {line['index']}"
    of_vendor, of_payment = f"where internalid = '{vendor['internalId']}'", f"where id = '{payment['id']}'"
    kind = "CREDITNOTE" if invoice["transactionType"] == "INVOICE" else "INVOICE"
    vic.sql(
        f"update invoices set transactiontype = '{kind}', vendorexternalid = 'X', gldate = '1999-01-01', "
        f"duedate = null, status = 'TRANSFERRED', refnumber = 'R' {of_invoice}",
        f"update invoice_line_items set costaccountexternalid = 'X', "
        f"dimensionsexternalids = replace(dimensionsexternalids, '{dimension}', 'X'), "
        f"invoicelineiteminfo = replace(invoicelineiteminfo, '\"{code}\"', '\"X\"') {of_line}",
        f"update vendors set countrycode = 'SE', name = 'X', state = 'X', "
        f'defaultpaymentinfo = \'{{"bban": "99999999999"}}\' {of_vendor}',
        f"update payments set status = 'voided', voidedat = fundedat {of_payment}",
    )
    result = tie_vic()
    assert result.status == 1
    expected = {
        "invoices": (
            invoice["internalId"],
            f"transactionType {invoice['transactionType']} became {kind}",
            f"vendorExternalId {invoice['vendorExternalId']} became X",
            f"glDate {invoice['glDate']} became 1999-01-01",
            f"dueDate {invoice['dueDate']} became nothing",
            "status POSTED became TRANSFERRED",
            f"refNumber {invoice['refNumber']} became R",
        ),
        "invoice_line_items": (
            line["invoice_id"],
            f"costAccountExternalId {line['costAccountExternalId']} became X",
            f"dimensionsExternalIds[0] {dimension} became X",
            f"invoiceLineItemInfo.vatCode {code} became X",
        ),
        "vendors": (
            vendor["internalId"],
            "countryCode NO became SE",
            f"name {vendor['name']} became X",
            f"state {vendor['state']} became X",
            "defaultPaymentInfo.bban",
        ),
        "payments": (payment["id"], f"status {payment['status']} became voided", "voidedAt nothing became"),
    }
    for stream, (key, *told) in expected.items():
        (named,) = result.stream(stream)["differences"]["field"]["named"]
        assert key in named["key"]
        assert [words for words in told if words not in named["words"]] == [], named["words"]
