"""A document's amounts: header against lines, exactly; what does not add up is set aside, all of it told at once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.mapper_ivesk_vicai.conftest import (
    COMPANY,
    Mapper,
    document,
    encoded,
    line,
    messages,
    record,
    schema,
)

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
    *(
        ({"exportedat": at}, f"exportedat is not a time such as 2026-01-31T10:11:12.000Z: '{at}'.", "not_a_time")
        for at in ("vakar", "2026-03-06T07:08:09+99:99", "2026-03-06T07:08:0٩Z", "0001-01-01T00:00:00+02:00")
    ),
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
