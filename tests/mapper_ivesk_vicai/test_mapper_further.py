"""Nothing vanishes: what Vic.ai has no field for is kept, goes to a configured field, or is named as left out."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from ap_connectors.ivesk import contract
from tests.mapper_ivesk_vicai.conftest import Mapper, document, line, messages

LONG = Decimal("1234567890123456.789")
PRICE = Decimal("5.00")
MORE: dict[str, Any] = {
    "kid": "004200176",
    "allocation": "Marketing",
    "originaldocnum": "SF-0",
    "report2isaf": True,
    "separatevat": False,
    "userdata": "byla-7",
    "sourcedata": {"file": "scan-1", "page": 19},
    "nothing": None,
    "empty": "",
    "exact": LONG,
}
MORE_OF_A_LINE: dict[str, Any] = {"department": "Sales", "costcenter": "CC7", "vatdeductible": 50, "warehouse": "C1"}


def test_training_invoices_keep_everything(mapper: Mapper) -> None:
    said = document(currency="USD", currencyrate=Decimal("1.0837"), lines=[line(**MORE_OF_A_LINE), line()], **MORE)
    said |= {"subtotal": 20, "vat": Decimal("4.20"), "total": Decimal("24.20")}
    done = mapper(messages(said))
    assert done.only["invoiceInfo"] == {"kid": "004200176"}
    assert done.only["externalData"] == {
        "doctype": "invoice",
        "subtotal": "20",
        "vat": "4.20",
        "currencyrate": {"rate": "1.0837", "means": "1 EUR = 1.0837 USD"},
        "allocation": "Marketing",
        "originaldocnum": "SF-0",
        "report2isaf": True,
        "separatevat": False,
        "userdata": "byla-7",
        "sourcedata": {"file": "scan-1", "page": "19"},
        "exact": str(LONG),
        "lines": [
            {
                "index": 0,
                "lineid": "l-1",
                "unit": "vnt.",
                "price": "5.00",
                "warehouse": "C1",
                "department": "Sales",
                "costcenter": "CC7",
                "vatdeductible": "50",
            },
            {"index": 1, "lineid": "l-1", "unit": "vnt.", "price": "5.00"},
        ],
    }
    assert done.report["fields_left_out"] == {}


def test_every_field_of_the_contract_has_a_place(mapper: Mapper) -> None:
    """A field that the service gets tomorrow is kept as well; what is missing here was left out on purpose."""
    fields, of_a_line = (contract.schema(name)["properties"] for name in ("document", "line"))
    amounts = {name: document()[name] for name in ("subtotal", "vat", "total")}
    given = {
        "docnum": "SF-«docnum»", "ordernum": "«ordernum»", "doctype": "invoice", "date": "2026-03-05",
        "operationdate": "2026-03-04", "duedate": "2026-04-04", "paymentterm": 77, "currency": "NOK",
        "currencyrate": "11.5", "report2isaf": True, "separatevat": True, "hasreceipt": True, "digitizedat": None,
        "userdata": "«userdata»", "sourcedata": "«sourcedata»", "filename": "«filename».pdf",
    }  # fmt: skip
    parts = {"lineid": "«lineid»", "unit": "«unit»", "warehouse": "«warehouse»", "name": "«name»", "object": "ADM"}
    said = document(**amounts, **given, lines=[line(**parts)])
    assert fields.keys() - said.keys() <= {"buyernameascii", "buyeraddress"}
    assert of_a_line.keys() <= said["lines"][0].keys()
    sent = json.dumps(mapper(messages(said)).only, default=str, ensure_ascii=False)
    for value in (*given.values(), *parts.values()):
        shown = {"invoice": "INVOICE", "ADM": "AVD-10", True: "true", None: "externalUpdatedAt"}.get(value, str(value))
        assert shown in sent, value
    # The link is a secret while it lives; in externalData it would change with every reading.
    assert sent.count("signature=abc") == 1


def test_what_invoices_to_process_have_no_place_for_is_named_once(mapper: Mapper) -> None:
    said = [document(id=f"d-{n}", lines=[line(**MORE_OF_A_LINE)], **MORE) for n in range(3)]
    done = mapper(messages(*said), invoices_as="invoices", fields={"allocation": "allocation", "userdata": None})
    for found in done.records("invoices"):
        assert found["paymentRef"] == "004200176"
        assert found["fields"] == [{"label": "allocation", "value": "Marketing"}]
        assert "externalData" not in found
    named = [one for one in done.err.splitlines() if "have no place for" in one]
    assert len(named) == 1
    assert "lines.department (3 documents)" in named[0]
    left_out = dict.fromkeys(("exact", "originaldocnum", "report2isaf", "separatevat", "sourcedata"), 3)
    lines = ("costcenter", "department", "lineid", "price", "unit", "vatdeductible", "warehouse")
    assert done.report["fields_left_out"] == left_out | {f"lines.{name}": 3 for name in lines}


def test_a_configured_field_has_its_label(mapper: Mapper, tmp_path: Path) -> None:
    path = tmp_path / "fields.csv"
    path.write_text("field,label\noriginaldocnum,corrects\nexact,exact\nsourcedata,source\nreport2isaf,isaf\nnew,new\n")
    done = mapper(messages(document(**MORE)), fields=str(path))
    values = {one["label"]: one["value"] for one in done.only["fields"]}
    assert values == {
        "corrects": "SF-0",
        "exact": str(LONG),
        "source": '{"file":"scan-1","page":"19"}',
        "isaf": "true",
        # For training null clears it, when the document comes again without it.
        "new": None,
    }
    (sent,) = mapper(messages(document(**MORE)), fields=str(path), invoices_as="invoices").records("invoices")
    assert [one["label"] for one in sent["fields"]] == ["corrects", "exact", "source", "isaf"]


def test_the_direction_of_a_rate_is_said_where_there_is_one(mapper: Mapper) -> None:
    cases: list[dict[str, Any]] = [
        {"currencyrate": None},
        {"currencyrate": 0, "currency": "NOK"},
        {"currencyrate": 1},
        {"currencyrate": "ECB", "currency": "NOK"},
    ]
    done = mapper(messages(*(document(id=f"d-{n}", **one) for n, one in enumerate(cases))))
    rates = [one["externalData"].get("currencyrate") for one in done.records("training_invoices")]
    assert rates == [None, "0", "1", "ECB"]


def test_a_kid_that_no_bank_takes_is_kept_and_not_paid_by(mapper: Mapper) -> None:
    stated = {"d-1": "000123456003", "d-2": " 0042 00176 ", "d-3": "x"}
    said = messages(*(document(id=id_, kid=kid, sellercountry="NO") for id_, kid in stated.items()))
    done = mapper(said, expect=1)
    found = done.records("training_invoices")
    assert [one.get("invoiceInfo") for one in found] == [None, {"kid": "004200176"}, None]
    assert [one["externalData"].get("kid") for one in found] == ["000123456003", None, "x"]
    assert [(one["record"]["id"], one["rejected"]["code"]) for one in done.rejects] == [("d-1", "kid"), ("d-3", "kid")]
    sent = mapper(said, expect=1, invoices_as="invoices")
    assert [one.get("paymentRef") for one in sent.records("invoices")] == [None, "004200176", None]
    assert sent.report["fields_left_out"]["kid"] == 2


def test_a_long_name_of_a_line_does_not_keep_an_invoice_back(mapper: Mapper) -> None:
    said = messages(document(lines=[line(name="ž" * 256)]), document(id="d-2", lines=[line(name="ž" * 255)]))
    done = mapper(said, invoices_as="invoices")
    names = [one["lineItems"][0]["description"] for one in done.records("invoices")]
    assert names == [f"{'ž' * 254}…", "ž" * 255]
    assert done.report["fields_left_out"]["the end of long lines.name"] == 1
    assert mapper(said).records("training_invoices")[0]["lineItems"][0]["description"] == "ž" * 256


def test_a_term_that_is_not_sent_is_kept(mapper: Mapper) -> None:
    """Vic.ai's training invoices take terms of a day and more; invoices to process take one of none, too."""
    terms: list[Any] = ["30 d.", 0, 30, Decimal("7.5"), -5]
    said = messages(*(document(id=f"d-{n}", paymentterm=term) for n, term in enumerate(terms)))
    found = mapper(said).records("training_invoices")
    assert [one["externalData"].get("paymentterm") for one in found] == ["30 d.", "0", None, "7.5", "-5"]
    assert [one["paymentInfo"].get("paymentTerm", {}).get("count") for one in found] == [None, None, 30, None, None]
    done = mapper(said, invoices_as="invoices")
    assert [one.get("paymentTerm", {}).get("count") for one in done.records("invoices")] == [None, 0, 30, None, None]
    assert done.report["fields_left_out"]["paymentterm"] == 3


# Lines


def test_several_objects_of_a_line(mapper: Mapper) -> None:
    one, other = {"externalId": "AVD-10"}, {"externalId": "PRJ-2", "typeExternalId": "PRJ"}
    cases: list[tuple[Any, list[Any] | None]] = [
        ("ADM, GAM-2", [one, other]),
        ("ADM;GAM-2;", [one, other]),
        (["GAM-2", " ADM ", None, "ADM"], [other, one]),
        ("Kaunas, Laisvės al.", [{"externalId": "KAU"}]),
        ("ADM|none", [one]),
        ([], None),
        (None, None),
    ]
    objects = {
        "ADM": "AVD-10", "GAM-2": {"dimension": "PRJ-2", "type": "PRJ"}, "none": None, "Kaunas, Laisvės al.": "KAU",
    }  # fmt: skip
    said = [document(id=f"d-{n}", lines=[line(object=given)]) for n, (given, _) in enumerate(cases)]
    found = mapper(messages(*said), objects=objects).records("training_invoices")
    assert [one["lineItems"][0].get("dimensions") for one in found] == [sent for _, sent in cases]
    done = mapper(
        messages(document(lines=[line(object="ADM,X,Y")]), document(id="d-2", lines=[line(object="X, Y")])), expect=1
    )
    assert done.reasons == [
        "No mapping for object X (objects), object Y (objects).",
        # None of the parts is known: perhaps one name with a comma in it.
        "No mapping for object X, Y (objects).",
    ]
    wrong = mapper(messages(document(lines=[line(object=[["ADM"]])])), expect=1)
    assert wrong.rejects[0]["rejected"]["params"]["field"] == "lines[0].object"


def test_import_vat_is_a_line_of_nothing_but_vat(mapper: Mapper) -> None:
    """A customs declaration bills VAT of 210 for goods that another invoice bills."""
    vat = {"subtotal": 0, "vat": 210, "total": 210}
    said = document(**vat, lines=[line(**vat, quantity=None, vatclass="PVM1", name="Importo PVM")])
    (only,) = mapper(messages(said)).only["lineItems"]
    info = {"vatCode": "1", "vatAmount": 210, "vatRate": "21"}
    assert only == {
        "index": 0,
        "description": "Importo PVM",
        "costAccountExternalId": "KTO-6312",
        "amount": 0,
        "invoiceLineItemInfo": info,
        "lineItemIsVatOnly": True,
    }
    (sent,) = mapper(messages(said), invoices_as="invoices").records("invoices")
    assert sent["lineItems"][0]["vat"] == {"code": "1", "amount": "210", "rate": "21"}
    assert "lineItemIsVatOnly" not in sent["lineItems"][0]


def test_lines_that_teach_nothing_are_counted(mapper: Mapper) -> None:
    whole = {"subtotal": 30, "vat": Decimal("6.30"), "total": Decimal("36.30")}
    lines = [line(code=None), line(), line(code="9")]
    said = messages(document(**whole, lines=lines), document(id="d-2", lines=[line(code="9")]), document(id="d-3"))
    done = mapper(said, accounts={"6312": "KTO-6312", "9": None})
    assert done.report["lines_without_account"] == {"lines": 3, "documents": 2, "example": "SF-1"}
    assert done.warnings == [
        "3 lines of 2 documents have no account, for example SF-1: Vic.ai learns nothing from them. Give them one in "
        "ivesk."
    ]
    # What Vic.ai is to process it codes by itself.
    process = mapper(said, accounts={"6312": "KTO-6312", "9": None}, invoices_as="invoices")
    assert (process.report["lines_without_account"]["lines"], process.warnings) == (0, [])
