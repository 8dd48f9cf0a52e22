"""What a document becomes: field by field, exactly, and set aside with clear words where it does not add up."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.mapper_ivesk_vicai.conftest import (
    COMPANY,
    MARK,
    SELLER,
    VENDOR,
    Mapper,
    document,
    line,
    messages,
)

AT = "2026-03-06T07:08:09.123Z"
OURS = {"ivesk_document_id": "d-1", "ivesk_company_code": COMPANY, "ivesk_exported_at": AT}
LONG, LONG_VAT = Decimal("12345678901234567.89"), Decimal("0.10")


def test_a_purchase_becomes_a_vendor_and_a_training_invoice(mapper: Mapper) -> None:
    said = document(
        ordernum="U-7",
        operationdate="2026-03-01",
        lines=[
            line(object="ADM"),
            line(code="6301", object="GAM-2", vatclass="PVM5", vat=0, vatpercent=0, total=5, subtotal=5, quantity=1),
            line(code=None, vatclass=None, name=None, quantity=None, vatpercent=None, subtotal=1, vat=0, total=1),
        ],
        subtotal=Decimal("16.00"),
        total=Decimal("18.10"),
        new_field={"anything": [None, "ž"]},
    )
    done = mapper(messages(said))
    payment = {"internationalBankAccount": {"iban": "LT121000011101001000"}, "defaultMethod": "IBAN"}
    assert done.records("vendors") == [
        {
            "externalId": VENDOR,
            "externalUpdatedAt": "1970-01-01T00:00:00",
            "name": "UAB „Žalia šaka“",
            "addressStreet": "Liepų g. 5, LT-01234 Vilnius",
            "countryCode": "LT",
            "taxInfo": {"orgNumber": SELLER, "taxId": "LT100001234567"},
            "defaultPaymentInfo": payment,
            "documentVendor": MARK | {"date": "2026-03-05"},
            **OURS,
        }
    ]
    assert done.records("training_invoices") == [
        {
            "externalId": "d-1",
            "transactionType": "INVOICE",
            "refNumber": "SF-1",
            "poNumber": "U-7",
            "currency": "EUR",
            "issueDate": "2026-03-05",
            "glDate": "2026-03-01",
            "dueDate": "2026-04-04",
            "totalAmount": "18.10",
            "externalUpdatedAt": "2026-03-06T07:08:09.123",
            "vendorExternalId": VENDOR,
            "documentVendor": MARK,
            "paymentInfo": payment | {"paymentTerm": {"count": 30, "unit": "DAYS"}},
            "lineItems": [
                {
                    "index": 0,
                    "description": "Ąžuolinė lenta",
                    "quantityInvoiced": "2.000",
                    "costAccountExternalId": "KTO-6312",
                    "dimensions": [{"externalId": "AVD-10"}],
                    "amount": Decimal("10.00"),
                    "invoiceLineItemInfo": {"vatCode": "1", "vatAmount": Decimal("2.10"), "vatRate": "21"},
                },
                {
                    "index": 1,
                    "description": "Ąžuolinė lenta",
                    "quantityInvoiced": "1",
                    "costAccountExternalId": "KTO-6301",
                    "dimensions": [{"externalId": "PRJ-2", "typeExternalId": "PRJ"}],
                    "amount": 5,
                    "invoiceLineItemInfo": {"vatCode": "0", "vatAmount": 0, "vatRate": "0"},
                },
                {"index": 2, "amount": 1, "invoiceLineItemInfo": {"vatAmount": 0}},
            ],
            "externalData": {
                "doctype": "invoice",
                "subtotal": "16.00",
                "vat": "2.10",
                "new_field": {"anything": [None, "ž"]},
                "lines": [{"index": n, "lineid": "l-1", "unit": "vnt.", "price": "5.00"} for n in range(3)],
            },
            **OURS,
            "document": said["url"],
            "documentName": "sąskaita.pdf",
        }
    ]
    assert not done.reject_path.exists()


def test_an_invoice_has_the_same_in_other_words(mapper: Mapper) -> None:
    done = mapper(
        messages(document(lines=[line(object="ADM")], paymentterm=0), document(id="d-2", paymentterm="30 d.")),
        invoices_as="invoices",
    )
    found, other = done.records("invoices")
    assert "paymentTerm" not in other
    assert found == {
        "externalId": "d-1",
        "transactionType": "INVOICE",
        "refNumber": "SF-1",
        "currency": "EUR",
        "issueDate": "2026-03-05",
        "glDate": "2026-03-05",
        "dueDate": "2026-04-04",
        "totalAmount": "12.10",
        "source": "ivesk",
        "vendorExternalId": VENDOR,
        "documentVendor": MARK,
        "paymentInfo": {"kind": "IBAN", "accountNumber": "LT121000011101001000"},
        "paymentTerm": {"count": 0, "unit": "DAYS"},
        "lineItems": [
            {
                "index": 0,
                "description": "Ąžuolinė lenta",
                "quantityInvoiced": "2.000",
                "costAccountExternalId": "KTO-6312",
                "dimensions": [{"externalId": "AVD-10"}],
                "amount": "10.00",
                "vat": {"code": "1", "amount": "2.10", "rate": "21"},
            }
        ],
        **OURS,
        "document": "https://storage.example/d-1/SF-1.pdf?signature=abc",
        "documentName": "sąskaita.pdf",
    }


def test_digits_stay_whether_they_come_as_numbers_or_as_text(mapper: Mapper) -> None:
    header = {"subtotal": LONG, "vat": LONG_VAT, "total": LONG + LONG_VAT}
    exact = document(**header, lines=[line(**header, price=LONG, quantity=Decimal("1.000"))])

    def texts(fields: dict[str, Any]) -> dict[str, Any]:
        return {name: str(value) if isinstance(value, Decimal) else value for name, value in fields.items()}

    as_text = texts(exact) | {"lines": [texts(one) for one in exact["lines"]], "id": "d-2", "docnum": "SF-2"}
    done = mapper(messages(exact, as_text))
    assert b'"amount":12345678901234567.89,' in done.raw
    for found in done.records("training_invoices"):
        assert found["totalAmount"] == "12345678901234567.99"
        assert found["lineItems"][0]["amount"] == LONG
    assert len(done.records("training_invoices")) == 2
    assert done.report["sums"]["EUR"]["mapped"]["total"] == "24691357802469135.98"


def test_a_document_that_says_little(mapper: Mapper) -> None:
    bare = dict.fromkeys(document()) | {
        name: document()[name] for name in ("id", "total", "currency", "buyercode", "sellername", "exportedat")
    }
    done = mapper(messages(bare | {"sellerid": "s-9", "lines": [{"subtotal": Decimal("12.10")}]}))
    assert done.only == {
        "externalId": "d-1",
        "transactionType": "INVOICE",
        "refNumber": None,
        "poNumber": None,
        "currency": "EUR",
        "issueDate": None,
        "glDate": None,
        "dueDate": None,
        "totalAmount": "12.10",
        "externalUpdatedAt": "2026-03-06T07:08:09.123",
        "vendorExternalId": "s-9",
        "documentVendor": {"name": "UAB „Žalia šaka“"},
        "lineItems": [{"index": 0, "amount": Decimal("12.10")}],
        "externalData": None,
        **OURS,
    }
    assert set(done.records("vendors")[0]) == {"externalId", "externalUpdatedAt", "name", "documentVendor", *OURS}


# Credit notes


def negative(**changes: Any) -> dict[str, Any]:
    amounts = {"subtotal": Decimal("-10.00"), "vat": Decimal("-2.10"), "total": Decimal("-12.10")}
    return document(**{**amounts, "lines": [line(**amounts, quantity=-2)], **changes})


def test_what_is_negative_is_a_credit_note_of_positive_amounts(mapper: Mapper) -> None:
    kinds = ("creditnote", "invoice", None)
    done = mapper(messages(*(negative(id=f"d-{n}", doctype=doctype) for n, doctype in enumerate(kinds))))
    assert len(done.records("training_invoices")) == len(kinds)
    for found in done.records("training_invoices"):
        (only,) = found["lineItems"]
        assert (found["transactionType"], found["totalAmount"]) == ("CREDITNOTE", "12.10")
        assert (only["amount"], only["quantityInvoiced"]) == (Decimal("10.00"), "2")
        assert only["invoiceLineItemInfo"]["vatAmount"] == Decimal("2.10")


def test_amounts_of_credit_notes_keep_their_sign_on_demand(mapper: Mapper) -> None:
    found = mapper(messages(negative()), credit_amounts="negative").only
    (only,) = found["lineItems"]
    assert (found["transactionType"], found["totalAmount"]) == ("CREDITNOTE", "-12.10")
    assert (only["amount"], only["quantityInvoiced"]) == (Decimal("-10.00"), "-2")


def test_a_positive_credit_note_is_not_guessed_at(mapper: Mapper) -> None:
    done = mapper(messages(document(doctype="creditnote")), expect=1)
    assert done.reasons == ["It is a creditnote, but its total is 12.10: a credit note's amounts are negative."]
    assert done.records("training_invoices") == done.records("vendors") == []
