"""One invoice, digitised twice: noticed within a run by seller, number, date and total."""

from __future__ import annotations

import unicodedata
from decimal import Decimal
from typing import Any

from tests.mapper_ivesk_vicai.conftest import Mapper, document, line, messages

SAME: dict[str, Any] = {"docnum": "ŠF-1"}


def test_the_second_is_set_aside(mapper: Mapper) -> None:
    # As macOS writes it: a letter, and its accent.
    in_parts = unicodedata.normalize("NFD", "šf 1")
    spelled: list[dict[str, Any]] = [
        {"docnum": in_parts},
        {"docnum": "ŠF1", "total": Decimal("12.1"), "buyercode": "LT302320404"},
    ]
    others: list[dict[str, Any]] = [
        {"date": "2026-03-06"}, {"sellercode": "300000001"}, {"docnum": "SF-11"}, {"docnum": None}, {"docnum": "-"},
        {"docnum": "sf 1"}, {"docnum": None}, {"currency": "NOK"},
        {"subtotal": 11, "total": Decimal("13.10"), "lines": [
            line(subtotal=11, total=Decimal("13.10"))]},
    ]  # fmt: skip
    said = [document(**{"id": f"d-{n}", **SAME, **one}) for n, one in enumerate([{}, *spelled, *others])]
    done = mapper(messages(*said), expect=1)
    assert [one["record"]["id"] for one in done.rejects] == ["d-1", "d-2"]
    assert done.reasons[0] == (
        f"It came before in this run, as document d-0: the same seller, number, date and total ({in_parts}, "
        "2026-03-05, 12.10 EUR). Leave one of them out; if both are to be booked, set duplicates: allow."
    )
    assert done.rejects[1]["rejected"]["params"] == {
        "docnum": "ŠF1", "date": "2026-03-05", "total": "12.1", "currency": "EUR", "other": "d-0",
    }  # fmt: skip
    assert len(done.records("training_invoices")) == 1 + len(others)
    assert done.report["sums"]["EUR"]["set_aside"]["documents"] == 2
    assert len(mapper(messages(*said), duplicates="allow").records("training_invoices")) == len(said)


def test_a_document_that_comes_again_is_the_same_one(mapper: Mapper) -> None:
    """Exported again, under its own id; a credit note is no duplicate of its invoice; nor is what was set aside."""
    minus = {name: -value for name, value in document().items() if name in {"subtotal", "vat", "total"}}
    done = mapper(
        messages(
            document(**SAME, lines=[line(code="zz")]),
            document(id="d-2", **SAME),
            document(id="d-2", **SAME, exportedat="2026-03-07T00:00:00.000Z"),
            document(id="d-3", doctype="creditnote", **SAME, **minus, lines=[line(**minus, quantity=-2)]),
            document(id="d-4", doctype="proforma", **SAME),
        ),
        expect=1,
    )
    assert [one["rejected"]["code"] for one in done.rejects] == ["no_mapping"]
    made = [one["externalId"] for one in done.records("training_invoices") if "lineItems" in one]
    assert made == ["d-2", "d-2", "d-3"]
