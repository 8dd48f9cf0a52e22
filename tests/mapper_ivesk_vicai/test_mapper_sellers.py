"""Sellers of documents: one vendor each, however its numbers come; accounts checked; persons' codes kept out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.mapper_ivesk_vicai.conftest import COMPANY, SELLER, VENDOR, Mapper, Record, document, messages

IBAN, OTHER, NORWEGIAN = "LT121000011101001000", "LT601010012345678901", "NO9386011117947"
NORWAY: Record = {
    "sellercode": "912345678",
    "sellervat": "NO912345678MVA",
    "sellercountry": "NO",
    "sellername": "Nord AS",
}


def documents(*changes: Record) -> list[Record]:
    return messages(*(document(id=f"d-{n}", docnum=f"SF-{n}", **one) for n, one in enumerate(changes)))


def accounts(vendor: Record) -> Any:
    return vendor.get("defaultPaymentInfo")


def test_the_key_of_a_vendor_that_is_new(mapper: Mapper) -> None:
    cases: list[tuple[Record, str]] = [
        ({"sellercode": " 304 111 222 "}, VENDOR),
        ({"sellercode": "912345678", "sellervat": "NO912345678MVA", "sellercountry": "NO"}, "NO-912345678"),
        ({"sellercode": "912345678", "sellervat": "PT912345678", "sellercountry": "pt"}, "PT-912345678"),
        ({"sellercode": None, "sellervat": "LT 100009999999"}, "LT100009999999"),
        ({"sellercode": None, "sellervat": "NO 914 345 678 MVA", "sellercountry": "Norge"}, "NO-914345678"),
        ({"sellercode": "777", "sellervat": None, "sellercountry": "Lietuva"}, "777"),
        ({"sellercode": "", "sellervat": None, "sellerid": "s-9", "sellername": "MB Be kodų"}, "s-9"),
        # Strangers were one vendor, and the account of the second became that of the first.
        ({"sellercode": "0", "sellervat": None, "sellerid": "s-10", "sellername": "Jonas"}, "s-10"),
        ({"sellercode": "0", "sellervat": "nėra", "sellerid": "s-11", "sellername": "Petras"}, "s-11"),
    ]
    done = mapper(documents(*(changes for changes, _ in cases)))
    assert [vendor["externalId"] for vendor in done.records("vendors")] == [key for _, key in cases]
    assert [found["vendorExternalId"] for found in done.records("training_invoices")] == [key for _, key in cases]


@pytest.mark.parametrize("stream", ["training_invoices", "invoices"])
def test_one_seller_with_a_code_a_vat_number_and_neither_is_one_vendor(mapper: Mapper, stream: str) -> None:
    """They became three."""
    cases: list[Record] = [
        {"sellercode": None},
        {},
        {"sellercode": None, "sellervat": None},
        {"sellervat": None, "sellercode": "LT304111222"},
        # The same id of ivesk's, but another company.
        NORWAY,
        {"sellercode": None, "sellervat": None, "sellername": "UAB Visai kita"},
    ]
    done = mapper(documents(*cases), invoices_as=stream)
    keys = ["LT100001234567"] * 4 + ["NO-912345678", "s-1"]
    assert [found["vendorExternalId"] for found in done.records(stream)] == keys
    sent = done.records("vendors")
    assert [vendor["externalId"] for vendor in sent] == ["LT100001234567", "LT100001234567", "NO-912345678", "s-1"]
    assert sent[1]["taxInfo"] == {"orgNumber": SELLER, "taxId": "LT100001234567"}
    assert done.records(stream)[2]["documentVendor"]["orgNumber"] == SELLER, "what the run knows of it"


def test_the_newest_invoice_counts_and_not_the_newest_export(mapper: Mapper) -> None:
    """An old invoice that was exported late brought the old name and the old account back."""
    old: Record = {"date": "2024-01-05", "exportedat": "2026-04-06T10:00:00.000Z", "sellername": "UAB Senas vardas"}
    done = mapper(
        documents(
            {"selleriban": OTHER},
            old | {"selleriban": IBAN},
            {"date": "2025-01-01", "selleriban": None, "selleraddress": "Kita g. 2"},
            {"date": "2026-05-01", "duedate": None, "selleriban": None, "sellername": "UAB Nauja"},
        )
    )
    first, last = done.records("vendors")
    assert (first["name"], first["documentVendor"]["date"]) == ("UAB „Žalia šaka“", "2026-03-05")
    assert (last["name"], last["documentVendor"]["date"]) == ("UAB Nauja", "2026-05-01")
    for vendor in (first, last):
        assert accounts(vendor) == {"internationalBankAccount": {"iban": OTHER}, "defaultMethod": "IBAN"}
        assert vendor["externalUpdatedAt"] == "1970-01-01T00:00:00", "ivesk's clock does not compete with the ERP's"
    assert done.report["vendors"] == 2


def test_a_vendor_comes_again_only_with_news(mapper: Mapper) -> None:
    changes: list[dict[str, Any]] = [
        {"selleriban": None},
        {},
        {"selleriban": None, "sellervat": None, "selleraddress": ""},
        {"exportedat": "2026-03-07T00:00:00Z"},
        {"sellername": "UAB „Žalia šaka LT“"},
        {"sellername": "UAB „Žalia šaka LT“", "sellercountry": "Lietuva"},
        {"sellername": "UAB „Žalia šaka LT“", "selleriban": "lt12 1000 0111 0100 1000"},
    ]
    done = mapper(documents(*changes))
    sent = done.records("vendors")
    assert [vendor["ivesk_document_id"] for vendor in sent] == ["d-0", "d-1", "d-4"]
    assert "defaultPaymentInfo" not in sent[0]
    # What one document leaves out is not forgotten.
    mark = sent[1]["documentVendor"] | {"name": "UAB „Žalia šaka LT“"}
    assert sent[2] == sent[1] | {"name": mark["name"], "documentVendor": mark, "ivesk_document_id": "d-4"}
    assert done.report["vendors"] == 3
    # The vendor comes before its invoice.
    order = [(one["stream"], one["record"]["ivesk_document_id"]) for one in done.lines if one["type"] == "RECORD"]
    assert order.index(("vendors", "d-4")) == order.index(("training_invoices", "d-4")) - 1


# Accounts


@pytest.mark.parametrize("stream", ["training_invoices", "invoices"])
def test_an_account_that_cannot_be_right_is_set_aside_by_itself(mapper: Mapper, stream: str) -> None:
    """The vendor and the invoice go on without it; a Norwegian number is a BBAN."""
    done = mapper(
        documents(
            {"selleriban": "LT991000011101001000"},
            NORWAY | {"selleriban": "1503.20.80119"},
            NORWAY | {"sellercode": "913345678", "sellervat": None, "selleriban": "1503 20 80118"},
            NORWAY | {"sellercode": "914345678", "sellervat": None, "selleriban": "NO93 8601 1117 947"},
            # An older invoice does not bring back what a newer one no longer says.
            {"date": "2025-01-01", "selleriban": IBAN},
        ),
        invoices_as=stream,
        expect=1,
    )
    assert [(one["rejected"]["code"], one["record"]["id"]) for one in done.rejects] == [
        ("bank_account", "d-0"),
        ("bank_account", "d-2"),
    ]
    assert done.rejects[0]["rejected"]["params"] == {"field": "selleriban", "value": "LT991000011101001000"}
    bban = {"bban": "15032080119", "defaultMethod": "BBAN"}
    iban = {"internationalBankAccount": {"iban": NORWEGIAN}, "defaultMethod": "IBAN"}
    assert [accounts(vendor) for vendor in done.records("vendors")] == [None, bban, None, iban]
    given = [one.get("paymentInfo", {}) for one in done.records(stream)]
    assert len(given) == 5
    if stream == "invoices":
        said = [(one.get("kind"), one.get("accountNumber")) for one in given]
        assert said[:4] == [(None, None), ("BBAN", "15032080119"), (None, None), ("IBAN", NORWEGIAN)]
    else:
        assert [one.get("bban") for one in given[:3]] == [None, "15032080119", None]
        assert "defaultMethod" not in given[0]
    # A document counts once, as mapped.
    assert (done.report["documents"]["mapped"], done.report["documents"]["set_aside"]) == (5, 0)
    # Corrected, the file goes through again.
    mended = [one for one in done.rejects if one["record"]["id"] == "d-0"]
    mended[0]["record"]["selleriban"] = IBAN
    again = mapper([messages()[0], *mended], invoices_as=stream)
    assert len(again.records(stream)) == 1


def test_a_kid_that_cannot_be_right_is_set_aside_by_itself(mapper: Mapper) -> None:
    done = mapper(
        documents(
            NORWAY | {"kid": "234 5676"}, NORWAY | {"kid": "2345677"}, NORWAY | {"kid": "X-7"}, {"kid": "000123456003"}
        ),
        expect=1,
    )
    assert [one["rejected"]["code"] for one in done.rejects] == ["kid", "kid"]
    found = [one.get("invoiceInfo") for one in done.records("training_invoices")]
    assert found == [{"kid": "2345676"}, None, None, {"kid": "000123456003"}]
    # It is not lost: the booking keeps it beside what has no place.
    assert [one["externalData"].get("kid") for one in done.records("training_invoices")] == [
        None,
        "2345677",
        "X-7",
        None,
    ]


# Settings


def test_what_becomes_of_vendors(mapper: Mapper) -> None:
    for setting in ("create", "update", "never"):
        done = mapper(documents({}, {"sellername": "UAB Kita"}), vendors=setting)
        marks = [vendor["documentVendor"].get("update") for vendor in done.records("vendors")]
        assert marks == {"create": [None, None], "update": [True, True], "never": []}[setting]
        assert all("documentVendor" in one for one in done.records("training_invoices"))


TABLE = """country;code;vat;seller_id;external_id
LT;304 111 222;;;50010
;;NO912345678MVA;;70020
LT;;LT100007777777;;80030
;;;s-9; 90040
"""


@pytest.mark.parametrize("inline", [True, False])
def test_the_vendor_table_says_which_vendor_a_seller_is(mapper: Mapper, tmp_path: Path, inline: bool) -> None:
    path = tmp_path / "vendors.csv"
    path.write_text(TABLE, "utf-8")
    rows = [
        {"country": "LT", "code": "304 111 222", "external_id": "50010"},
        {"vat": "NO912345678MVA", "external_id": "70020"},
        {"country": "LT", "vat": "LT100007777777", "external_id": 80030},
        {"seller_id": "s-9", "external_id": " 90040"},
    ]
    cases: list[tuple[Record, str]] = [
        ({}, "50010"),
        ({"sellervat": None}, "50010"),
        ({"sellercountry": "PL", "sellervat": None}, "PL-304111222"),
        (NORWAY | {"sellervat": None}, "70020"),
        ({"sellercode": "5", "sellervat": "LT100007777777"}, "80030"),
        ({"sellercode": None, "sellervat": None, "sellerid": "s-9"}, "90040"),
    ]
    done = mapper(documents(*(one for one, _ in cases)), vendor_table=rows if inline else str(path))
    found = done.records("training_invoices")
    assert [one["vendorExternalId"] for one in found] == [key for _, key in cases]
    # A vendor of the table is the ERP's: only the ERP writes it.
    assert [vendor["externalId"] for vendor in done.records("vendors")] == ["PL-304111222"]
    assert [one["vendorExternalId"] for one in found if "documentVendor" in one] == ["PL-304111222"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ([{"code": "1"}], "vendor_table[0]: external_id is empty."),
        ([{"external_id": "1"}], "vendor_table[0]: there is neither code nor vat nor seller_id."),
        ([{"external_id": "1", "code": "n/a"}], "vendor_table[0]: n/a tells no seller from another."),
        (
            [{"name": "1", "external_id": "1"}],
            "vendor_table[0]: name is unknown; known are country, code, vat, seller_id",
        ),
        ([{"country": "Lietuva", "code": "1", "external_id": "1"}], "country Lietuva is not a code of two letters"),
        ("[{", "vendor_table: this is not JSON."),
        ("nirgends.csv", "vendor_table: nirgends.csv: No such file"),
    ],
)
def test_a_vendor_table_that_is_wrong_is_explained(mapper: Mapper, table: Any, words: str) -> None:
    done = mapper(messages(), vendor_table=table, expect=1)
    assert words in done.complaints[0]


def test_rows_that_disagree_set_the_document_aside(mapper: Mapper) -> None:
    rows = [{"country": "LT", "code": SELLER, "external_id": "1"}, {"vat": "LT100001234567", "external_id": "2"}]
    done = mapper(documents({}), vendor_table=rows, expect=1)
    assert [one["rejected"]["code"] for one in done.rejects] == ["ambiguous_vendor"]
    assert done.records("vendors") == done.records("training_invoices") == []


# Who is who


@pytest.mark.parametrize(
    "changes",
    [{"sellercode": f"LT {COMPANY}"}, {"sellercode": None, "sellervat": f"LT{COMPANY}"}],
)
def test_a_seller_that_is_the_buyer_is_set_aside(mapper: Mapper, changes: Record) -> None:
    done = mapper(documents(changes), expect=1)
    assert [one["rejected"]["code"] for one in done.rejects] == ["seller_is_buyer"]


def test_the_buyer_is_known_by_its_vat_number_where_the_code_is_missing(mapper: Mapper) -> None:
    parties: list[Record] = [
        {"buyercode": f"LT{COMPANY}"},
        {"buyercode": "302 320 404"},
        {"buyercode": None, "buyervat": f"LT{COMPANY}"},
    ]
    done = mapper(documents(*parties))
    assert len(done.records("training_invoices")) == 3
    sale = document(buyercode="5", sellercode=None, sellervat=f"LT{COMPANY}", sellerisfavorite=True)
    assert mapper(messages(sale)).report["documents"]["sales"] == 1


def test_codes_of_persons_are_kept_out_of_keys_and_messages(mapper: Mapper) -> None:
    person: Record = {"sellercode": "38501010000", "sellervat": None, "sellername": "Jonas Jonaitis"}
    cases: list[tuple[Record, str]] = [
        (person | {"sellerisperson": True, "sellerid": "s-1"}, "s-1"),
        (person | {"sellercode": "48501010000", "sellerid": "s-2"}, "s-2"),
        (person | {"sellercode": "58501010000", "sellervat": "LT100005555555", "sellerid": "s-3"}, "LT100005555555"),
        (person | {"sellercode": "68501010000", "sellervat": "LT68501010000", "sellerid": "s-4"}, "s-4"),
        # A Latvian company's code has eleven digits, too.
        (person | {"sellercode": "40003000000", "sellercountry": "LV", "sellerid": "s-5"}, "LV-40003000000"),
    ]
    done = mapper(documents(*(one for one, _ in cases)))
    assert [vendor["externalId"] for vendor in done.records("vendors")] == [key for _, key in cases]
    assert [vendor["documentVendor"].get("person") for vendor in done.records("vendors")] == [True] * 4 + [None]
    assert "501010000" not in done.err
    shown = mapper(documents(cases[0][0]), person_codes="key").records("vendors")
    assert [(one["externalId"], one["documentVendor"].get("person")) for one in shown] == [("LT-38501010000", None)]
    # Nor does a message of whose document it is.
    buyer: Record = {"buyercode": "39001010000", "buyerisperson": True, "buyerisfavorite": False}
    done = mapper(documents(person | {"sellerisperson": True} | buyer), expect=1)
    [reject] = done.rejects
    assert reject["rejected"]["code"] == "whose_document"
    assert "01010000" not in reject["rejected"]["reason"] + str(reject["rejected"]["params"]) + done.err
    assert reject["rejected"]["params"]["buyer"]["code"] == "hidden"
    # Nor does the count of other companies' documents.
    done = mapper(documents(buyer | {"buyerisfavorite": True}))
    assert done.report["documents"]["other_companies"] == {"hidden": 1}
    assert "39001010000" not in done.err
