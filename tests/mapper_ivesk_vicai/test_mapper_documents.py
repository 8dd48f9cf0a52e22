"""What a document becomes: field by field, exactly, and set aside with clear words where it does not add up."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.mapper_ivesk_vicai.conftest import (
    COMPANY,
    MARK,
    OTHER,
    SELLER,
    VENDOR,
    Mapper,
    document,
    encoded,
    line,
    messages,
    record,
    schema,
)

OURS = {"ivesk_document_id": "d-1", "ivesk_company_code": COMPANY}
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


# Header against lines

CENT = Decimal("0.01")


WRONG: list[tuple[dict[str, Any], str, str]] = [
    (
        {"subtotal": Decimal("10.02"), "total": Decimal("12.12")},
        "Header and lines differ: subtotal is 10.02, and the lines together make 10.00 (difference 0.02 EUR); "
        "Header and lines differ: total is 12.12, and the lines together make 12.10 (difference 0.02 EUR).",
        "several",
    ),
    (
        {"total": Decimal("12.11")},
        "The header does not add up: subtotal 10.00 and vat 2.10 make 12.10, but total is 12.11 (difference 0.01 EUR).",
        "does_not_add_up",
    ),
    (
        {"lines": [line(), line(total=Decimal("12.08"))]},
        "Line 2 does not add up: subtotal 10.00 and vat 2.10 make 12.10, but total is 12.08 (difference 0.02 EUR).",
        "does_not_add_up",
    ),
    (
        {"lines": [line(subtotal=None, vat=None)], "vat": None, "subtotal": None},
        "Line 1 has no subtotal.",
        "no_subtotal",
    ),
    (
        {"lines": [line(vat=0, vatpercent=None, total=None)]},
        "Header and lines differ: vat is 2.10, and the lines together make 0 (difference 2.10 EUR); "
        "Header and lines differ: total is 12.10, and the lines together make 10.00 (difference 2.10 EUR).",
        "several",
    ),
    ({"lines": None}, "It has no lines (without_lines: header makes one of the header's amounts).", "no_lines"),
    ({"lines": []}, "It has no lines (without_lines: header makes one of the header's amounts).", "no_lines"),
    ({"lines": [line(), None]}, "line 2 is not an object: null.", "not_an_object"),
    ({"lines": [10**2000]}, "line 1 is not an object: a number of too many digits.", "not_an_object"),
    ({"lines": "x"}, "lines is not a list: 'x'.", "not_a_list"),
    ({"total": None, "vat": None}, "total is missing.", "missing_field"),
    ({"currency": " "}, "currency is missing.", "missing_field"),
    (
        {"lines": [line(subtotal="10,00")]},
        "line 1: subtotal is not a number: '10,00' (write it like 1234.50, with a point and without an exponent).",
        "not_a_number",
    ),
    ({"exportedat": None}, "exportedat is missing (and digitizedat).", "missing_field"),
    ({"exportedat": "vakar"}, "exportedat is not a time such as 2026-01-31T10:11:12.000Z: 'vakar'.", "not_a_time"),
    (
        {"sellercode": None, "sellervat": "", "sellerid": None},
        "The seller has neither a registration code nor a VAT number nor an id (sellercode, sellervat).",
        "seller_without_id",
    ),
    ({"docnum": ["SF"]}, "docnum is not text: a list.", "not_text"),
    ({"id": None}, "id is missing.", "missing_field"),
    (
        {"docnum": "SF\n2", "lines": [line(vatpercent="21 %")]},
        "line 1: vatpercent is not a number: '21 %' (write it like 1234.50, with a point and without an exponent).",
        "not_a_number",
    ),
]
"""What is wrong with a document, its sentence, and its code."""


def test_what_does_not_agree_is_set_aside(mapper: Mapper) -> None:
    wrong = [document(**{"id": f"w-{number}"} | changes) for number, (changes, _, _) in enumerate(WRONG)]
    done = mapper(messages(*wrong, document(id="fine")), expect=1)
    assert done.reasons == [reason for _, reason, _ in WRONG]
    assert [one["rejected"]["code"] for one in done.rejects] == [code for _, _, code in WRONG]
    assert {one["rejected"]["company"] for one in done.rejects} == {COMPANY}
    assert [one["record"] for one in done.rejects] == wrong
    assert done.only["externalId"] == "fine"
    assert done.report["documents"] == {
        "received": len(WRONG) + 1,
        "purchases": len(WRONG) + 1,
        "mapped": 1,
        "set_aside": len(WRONG),
        "sales": 0,
        "other_companies": {},
        "kinds_left_out": {},
    }
    assert done.complaints == [
        f"{len(WRONG)} records were set aside in {done.reject_path}; 0 are allowed (max_rejects). All others went on. "
        "The file is input to a later run, through mapper-ivesk-vicai again."
    ]


def test_two_of_the_three_amounts_are_enough(mapper: Mapper) -> None:
    lines = [line(vat=None), line(total=None), line(subtotal=None)]
    said = document(subtotal=None, vat=Decimal("6.30"), total=Decimal("36.30"), lines=lines)
    found = mapper(messages(said)).only["lineItems"]
    assert [one["amount"] for one in found] == [Decimal("10.00")] * 3
    assert [one["invoiceLineItemInfo"]["vatAmount"] for one in found] == [Decimal("2.10")] * 3


def test_sums_are_exact_beyond_any_context(mapper: Mapper) -> None:
    parts = [Decimal(f"1{'0' * 30}.01"), Decimal("-1e30"), Decimal("0.02")]
    said = document(vat=0, subtotal=Decimal("0.03"), total=Decimal("0.03"))
    lines = [line(subtotal=one, vat=0, total=one) for one in parts]
    assert len(mapper(messages(said | {"lines": lines})).only["lineItems"]) == 3
    lines[2] |= {"subtotal": Decimal("0.020000000000000000000000000001"), "total": None}
    assert (
        "difference 0.000000000000000000000000000001 EUR"
        in mapper(messages(said | {"lines": lines}), expect=1, tolerance=0).reasons[0]
    )


def test_the_header_makes_a_line_only_on_demand(mapper: Mapper) -> None:
    done = mapper(messages(document(lines=None), document(id="d-2", lines=[])), without_lines="header")
    for found in done.records("training_invoices"):
        assert found["lineItems"] == [
            {"index": 0, "amount": Decimal("10.00"), "invoiceLineItemInfo": {"vatAmount": Decimal("2.10")}}
        ]
    nothing = mapper(messages(document(lines=None, subtotal=None, vat=None)), without_lines="header", expect=1)
    assert nothing.reasons == ["Line 1 has no subtotal."]


def test_all_that_is_wrong_is_said_at_once(mapper: Mapper) -> None:
    done = mapper(messages(document(total=13, lines=[line(vatclass="PVM32", code="9", object="X")])), expect=1)
    assert done.reasons == [
        "The header does not add up: subtotal 10.00 and vat 2.10 make 12.10, but total is 13 (difference 0.90 EUR). "
        "No mapping for account 9 (accounts), VAT class PVM32 (vat_classes), object X (objects)."
    ]
    (marked,) = (one["rejected"] for one in done.rejects)
    first, second = marked["params"]["reasons"]
    assert (marked["code"], first["code"], second["code"]) == ("several", "does_not_add_up", "no_mapping")
    amounts = {"subtotal": "10.00", "vat": "2.10", "made": "12.10", "total": "13", "difference": "0.90"}
    assert first["params"] == {"where": "header", **amounts, "currency": "EUR"}
    assert second["params"]["codes"] == [
        {"kind": "account", "code": "9", "setting": "accounts"},
        {"kind": "vat_class", "code": "PVM32", "setting": "vat_classes"},
        {"kind": "object", "code": "X", "setting": "objects"},
    ]


def test_a_field_of_a_line_is_named_by_its_path(mapper: Mapper) -> None:
    wrong = [line(), line(subtotal="10,00")], [line(), line(name=["x"])]
    done = mapper(messages(*(document(lines=lines, subtotal=20, vat="4.2", total="24.2") for lines in wrong)), expect=1)
    assert [one["rejected"]["params"] for one in done.rejects] == [
        {"field": "lines[1].subtotal", "value": "'10,00'"},
        {"field": "lines[1].name", "value": "a list"},
    ]


def test_half_a_character_is_set_aside_and_the_rest_goes_on(mapper: Mapper) -> None:
    said = [schema(), *map(_half, ("sellername", "currency", "buyercode")), _half("docnum", code="zz")]
    file = encoded([record({"document_id": "d-1", "path": "HALF"}, "document_files")]).strip()
    said += [schema("document_files"), file.replace(b"HALF", b"\\ud800"), record(document())]
    done = mapper([*said, record(document(id="d-2"))], expect=1)
    words = "holds half a character (a lone surrogate), which JSON can't carry"
    assert done.reasons == [
        *(f"{name} {words}." for name in ("sellername", "currency", "buyercode")),
        "No mapping for account zz (accounts).",
        "A text holds half a character (a lone surrogate), which JSON can't carry.",
    ]
    assert (done.only["externalId"], len(done.records("vendors"))) == ("d-2", 1)
    # What is named there may be half a character, too.
    assert done.report["unmapped"]["accounts"]["zz"]["example"] == "?"
    assert list(done.report["sums"]) == ["EUR", "unreadable"]


def test_nothing_of_a_document_makes_a_line_of_its_own_in_the_log(mapper: Mapper) -> None:
    done = mapper(messages(document(id="d\n1", docnum="SF\r\n1", total=1)), expect=1)
    assert "Set aside: document SF 1 (d 1) (line 2): The header" in done.warnings[0]


def _half(name: str, **changes: Any) -> bytes:
    made = encoded([record(document(id="d-0", lines=[line(**changes)]) | {name: "HALF"})]).strip()
    return made.replace(b"HALF", b"\\ud800")


# Whose document


def test_sales_and_other_companies_are_left_out_and_counted(mapper: Mapper) -> None:
    done = mapper(
        messages(
            document(),
            document(id="sale", buyercode=SELLER, buyerisfavorite=False, sellercode=COMPANY, sellerisfavorite=True),
            document(id="other", buyercode=OTHER),
            document(id="other-sale", buyercode="1", buyerisfavorite=False, sellercode=OTHER, sellerisfavorite=True),
            # Between two of the accountant's companies: our sale, and our purchase.
            document(id="inside-sale", buyercode=OTHER, sellercode=COMPANY, sellerisfavorite=True),
            document(id="inside", sellercode=OTHER, sellerisfavorite=True, buyercode=f" {COMPANY} "),
        )
    )
    found = done.records("training_invoices")
    assert [one["externalId"] for one in found if "lineItems" in one] == ["d-1", "inside"]
    # What is another company's may have been ours before: target-vicai knows.
    assert [one for one in found if "lineItems" not in one] == [
        {"externalId": id_, "ivesk_document_id": id_, "ivesk_company_code": OTHER, "ivesk_moved_to": OTHER}
        for id_ in ("other", "other-sale")
    ]
    assert done.report["documents"] == {
        "received": 6,
        "purchases": 2,
        "mapped": 2,
        "set_aside": 0,
        "sales": 2,
        "other_companies": {OTHER: 2},
        "kinds_left_out": {},
    }
    assert f"left out: 2 sales, 2 of other companies ({OTHER}: 2)." in done.err


def test_the_company_of_a_document_is_not_guessed(mapper: Mapper) -> None:
    stranger, codeless = (
        "neither is marked as favorite.",
        "one of the accountant's own companies has no registration code.",
    )
    cases: list[tuple[dict[str, Any], str]] = [
        ({"buyercode": "1", "buyerisfavorite": False}, stranger),
        ({"buyercode": "1", "buyerisfavorite": None}, stranger),
        ({"buyercode": None}, codeless),
        # The seller is known as another company, but the buyer may be ours.
        ({"buyercode": None, "sellerisfavorite": True}, codeless),
        ({"buyercode": OTHER, "sellercode": None, "sellerisfavorite": True}, codeless),
    ]
    done = mapper(messages(*(document(**changes) for changes, _ in cases)), expect=1)
    assert len(done.reasons) == len(cases)
    for reason, (_, end) in zip(done.reasons, cases, strict=True):
        assert reason.startswith(f"It is not clear whose document this is, of company {COMPANY} or of another: ")
        assert reason.endswith(end)
    assert done.records("training_invoices") == []
    assert (done.report["documents"]["purchases"], done.report["documents"]["set_aside"]) == (0, len(cases))
    assert done.rejects[-1]["rejected"]["code"] == "whose_document"
    assert done.rejects[-1]["rejected"]["params"] == {
        "company": COMPANY,
        "buyer": {"name": "UAB „Kiemas“", "code": OTHER},
        "seller": {"name": "UAB „Žalia šaka“"},
    }


@pytest.mark.parametrize(
    ("setting", "written"),
    [(COMPANY, f"LT{COMPANY}"), (f"LT{COMPANY}", COMPANY), (f"lt {COMPANY[:3]} {COMPANY[3:]}", f"{COMPANY}\u00a0")],
)
def test_registration_codes_are_compared_without_blanks_and_country(mapper: Mapper, setting: str, written: str) -> None:
    sale = document(id="d-2", buyercode=OTHER, buyerisfavorite=False, sellercode=written, sellerisfavorite=True)
    done = mapper(messages(document(buyercode=written), sale), company_code=setting)
    (invoice,) = done.records("training_invoices")
    assert invoice["ivesk_company_code"] == written.strip()
    assert done.report["documents"]["sales"] == 1
    assert "None of the" not in done.err


def test_a_company_that_leaves_out_everything_is_warned_of(mapper: Mapper) -> None:
    done = mapper(
        messages(document(buyercode=OTHER), document(id="d-2", buyercode=f"EE{COMPANY}")), company_code=f"LT{COMPANY}"
    )
    assert all("ivesk_moved_to" in one for one in done.records("training_invoices"))
    assert (
        f"None of the 2 documents is of company LT{COMPANY}, so nothing was mapped. Is company_code right?" in done.err
    )
    assert "None of the" not in mapper(messages(document(buyercode=OTHER), document(id="d-2"))).err
    assert "None of the" not in mapper(messages()).err


# Vendors


def test_a_country_in_words_is_left_out_and_named_once(mapper: Mapper) -> None:
    done = mapper(messages(*(document(id=f"d-{n}", sellercode=str(n), sellercountry="Lietuva") for n in range(3))))
    assert all("countryCode" not in vendor for vendor in done.records("vendors"))
    assert done.warnings == ["sellercountry 'Lietuva' is not a two-letter code; it is left out of vendors."]


def test_a_vendor_of_a_document_that_was_set_aside_is_not_sent(mapper: Mapper) -> None:
    done = mapper(messages(document(total=1), document(id="d-2")), expect=1)
    assert [vendor["ivesk_document_id"] for vendor in done.records("vendors")] == ["d-2"]


# Files


def test_a_file_on_disk_goes_before_the_link(mapper: Mapper, tmp_path: Path) -> None:
    facts: list[dict[str, Any]] = [
        {"document_id": "d-1", "path": "kept/SF-1~d-1.pdf", "bytes": 3, "error": None},
        {"document_id": "d-2", "path": None, "error": "document d-2: the storage has lost the file"},
    ]
    told: list[dict[str, Any]] = [
        {"type": "SCHEMA", "stream": "document_files", "schema": {}, "key_properties": ["document_id"]}
    ]
    told += [record(one, "document_files") for one in facts]
    folder = tmp_path / "files" / COMPANY / "2026-03"
    folder.mkdir(parents=True)
    (folder / "SF-1~d-3.pdf").write_bytes(b"%PDF-")
    documents = [document(id=f"d-{n}", url=f"https://storage.example/{n}") for n in (1, 2, 3)]
    done = mapper([*told, *messages(*documents)], documents_dir=str(tmp_path / "files"))
    assert [found["document"] for found in done.records("training_invoices")] == [
        "kept/SF-1~d-1.pdf",
        "https://storage.example/2",
        str(folder / "SF-1~d-3.pdf"),
    ]


def test_a_folder_that_is_not_there_is_named(mapper: Mapper) -> None:
    done = mapper(messages(document()), documents_dir="nirgends", expect=1)
    assert done.complaints == ["documents_dir: nirgends cannot be read: the folder does not exist."]


def test_without_a_file_nothing_is_said_of_one(mapper: Mapper) -> None:
    found = mapper(messages(document(url=None))).only
    assert not {"document", "documentName"} & found.keys()


def test_a_name_too_long_for_vic_is_left_out(mapper: Mapper) -> None:
    done = mapper(messages(document(filename="ž" * 252 + ".pdf"), document(id="d-2", filename="ž" * 251 + ".pdf")))
    first, second = done.records("training_invoices")
    assert "documentName" not in first
    assert second["documentName"] == "ž" * 251 + ".pdf"


def test_what_the_service_calls_a_link_is_one_of_the_web(mapper: Mapper) -> None:
    wrong = [
        "file:///etc/passwd", "/etc/passwd", "local:///etc/passwd", "FILE:///etc/passwd", "s3://bucket/a.pdf", "a.pdf",
        "http:///etc/passwd", "https://a.example/x::file:///etc/passwd", "zip://a::https://a.example/x.zip",
        "http:a.pdf",
    ]  # fmt: skip
    right = [
        "https://a.example/a.pdf?b=c",
        "HTTP://127.0.0.1:1/a.pdf",
        "https://[::1]/a.pdf",
        "https://anna:pw@a.example/x",
    ]
    given = [document(id=f"d-{number}", url=url) for number, url in enumerate([*wrong, *right])]
    done = mapper(messages(*given), expect=1)
    assert [found["document"] for found in done.records("training_invoices")] == right
    assert [one["rejected"]["code"] for one in done.rejects] == ["document_not_allowed"] * len(wrong)


def test_paths_that_the_mapper_hands_on_are_inside(mapper: Mapper, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/link.pdf").symlink_to("/etc/passwd")
    inside, linked, outside = (f"{tmp_path}/{name}" for name in ("files/a.pdf", "files/link.pdf", "b.pdf"))
    told: list[dict[str, Any]] = [
        {"type": "SCHEMA", "stream": "document_files", "schema": {}, "key_properties": ["document_id"]}
    ]
    paths = [inside, linked, outside, "/etc/passwd", "s3://bucket/in/a.pdf", "s3://bucket/out/a.pdf"]
    told += [record({"document_id": f"d-{n}", "path": path}, "document_files") for n, path in enumerate(paths)]
    given = [*told, *messages(*(document(id=f"d-{n}") for n, _ in enumerate(paths)))]
    done = mapper(given, expect=1, documents_from=[f"{tmp_path}/files", "s3://bucket/in"])
    assert [found["document"] for found in done.records("training_invoices")] == [inside, "s3://bucket/in/a.pdf"]
    done = mapper(given, expect=1, documents_dir=f"{tmp_path}/files")
    assert [found["document"] for found in done.records("training_invoices")] == [inside]
    done = mapper(messages(document()), documents_from=["s3://"], expect=1)
    assert done.complaints == ["documents_from: s3:// names no folder, host or bucket. Add it."]
