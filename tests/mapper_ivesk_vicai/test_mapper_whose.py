"""Whose document it is: sales and other companies' are left out, no company is guessed, vendors go with them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mapper_ivesk_vicai.conftest import (
    COMPANY,
    OTHER,
    SELLER,
    Mapper,
    document,
    messages,
)


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
    # What is no purchase of ours may have been one before it was corrected: target-vicai knows.
    sold, moved = {"ivesk_company_code": COMPANY, "ivesk_left_out_as": "sale"}, {"ivesk_moved_to": OTHER}
    at = {"ivesk_exported_at": "2026-03-06T07:08:09.123Z"}
    assert [one for one in found if "lineItems" not in one] == [
        {"externalId": id_, "ivesk_document_id": id_, "ivesk_company_code": OTHER, **why, **at}
        for id_, why in (("sale", sold), ("other", moved), ("other-sale", moved), ("inside-sale", sold))
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
    assert [one["ivesk_company_code"] for one in done.records("training_invoices")] == [written.strip()] * 2
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
