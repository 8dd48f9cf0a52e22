"""Balances of each period stay beside each other, and say whether opening + movement is closing."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.conftest import MakeCatalog, Run, RunTap
from tests.tap_saft.conftest import BOOKKEEPING, NORWAY_110, Write

BALANCES = ("account_balances", "party_balances")
Books = Callable[..., Run]
OPENING, CLOSING = "<OpeningCreditBalance>50.00<", "<ClosingCreditBalance>1000.00<"


@pytest.fixture
def books(tap: RunTap, catalog: MakeCatalog, write: Write) -> Books:
    """Read the balances of a file in which words were changed."""

    def read(*changes: tuple[str, str]) -> Run:
        write("x.xml", BOOKKEEPING, *changes)
        return tap(catalog=catalog(*BALANCES))

    return read


def told(records: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(record.get(name) for name in names) for record in records]


def test_what_a_file_says_and_its_lines_make_of_it(tap: RunTap, catalog: MakeCatalog) -> None:
    run = tap(path=str(BOOKKEEPING), catalog=catalog(*BALANCES))
    first, second = run.records["account_balances"]
    assert first == {
        "company_id": "966666666",
        "account_id": "2400",
        "period_start": "2026-01-01",
        "period_end": "2026-01-31",
        "audit_file_date_created": "2026-02-01",
        "file": "bookkeeping.xml",
        "currency_code": "NOK",
        "opening_credit_balance": Decimal("50.00"),
        "closing_credit_balance": Decimal("1000.00"),
        "opening_balance": Decimal("-50.00"),
        "closing_balance": Decimal("-1000.00"),
        "movement_debit": 0,
        "movement_credit": Decimal("950.00"),
        "difference": 0,
    }
    assert (second["movement_debit"], second["movement_credit"]) == (Decimal("1050.00"), Decimal("100.00"))
    names = ("party_type", "party_id", "account_id", "occurrence", "closing_balance", "movement_credit", "difference")
    assert told(run.records["party_balances"], *names) == [
        ("supplier", "50010", "2400", 1, Decimal("-1050.00"), Decimal("1000.00"), 0)
    ]
    assert "is not closing" not in run.err
    for digits in ("1050.00", "-50.00", "950.00"):
        assert f":{digits}" in run.out


def test_each_period_stays(tap: RunTap, catalog: MakeCatalog, write: Write) -> None:
    chosen = catalog(*BALANCES)
    write("saft.xml", BOOKKEEPING)
    first = tap(catalog=chosen)
    # The next month's export, also under the same name, and a corrected one of the same month.
    february = (("-01-01<", "-02-01<"), ("-01-31<", "-02-28<"), ("Created>2026-02-01", "Created>2026-03-01"))
    write("saft.xml", BOOKKEEPING, *february, (OPENING, "<OpeningCreditBalance>0<"))
    second = tap(catalog=chosen, state=first.state)
    write("saft.xml", BOOKKEEPING, ("Created>2026-02-01", "Created>2026-02-15"), (OPENING, "<OpeningCreditBalance>7<"))
    third = tap(catalog=chosen, state=second.state)
    for stream in BALANCES:
        keys = first.schemas[stream][-1] and next(
            message["key_properties"] for message in first.messages if message.get("stream") == stream
        )
        records = [one for run in (first, second, third) for one in run.records[stream]]
        assert len({tuple(one[key] for key in keys) for one in records}) == len(records)
    ledger = [run.records["account_balances"][0]["opening_balance"] for run in (first, second, third)]
    assert ledger == [-50, 0, -7]


@pytest.mark.parametrize(
    ("change", "words", "difference"),
    [
        pytest.param(
            (CLOSING, "<ClosingCreditBalance>-80.00<"),
            "opening + movement is not closing for 1 balance of accounts: account 2400: -50.00 + -950.00 is not 80.00.",
            Decimal("-1080.00"),
            id="closing on the other side",
        ),
        pytest.param(
            (CLOSING, "<ClosingCreditBalance>1000.0000000000000000000000000001<"),
            "account 2400: -50.00 + -950.00 is not -1,000.0000000000000000000000000001.",
            Decimal("1E-28"),
            id="29 digits",
        ),
        pytest.param(
            ("<ClosingCreditBalance>1050.00<", "<ClosingCreditBalance>1049.99<"),
            "suppliers and customers: supplier 50010, account 2400: -50.00 + -1,000.00 is not -1,049.99.",
            0,
            id="supplier",
        ),
        pytest.param(
            ("<Account>\n        <AccountID>6900<", "<Account>\n        <AccountID>6901<"),
            "1 account with lines and without a balance: 6900.",
            0,
            id="unknown account",
        ),
    ],
)
def test_what_does_not_add_up_is_told(books: Books, change: tuple[str, str], words: str, difference: Any) -> None:
    run = books(change)
    assert words in run.err
    assert run.records["account_balances"][0]["difference"] == difference


def test_lines_that_do_not_tell_are_not_blamed(books: Books) -> None:
    text = BOOKKEEPING.read_text(encoding="utf-8")
    lines = text[text.index("  <GeneralLedgerEntries>") : text.index("</AuditFile>")]
    run = books((lines, ""))
    assert "closing" not in run.err
    for stream in BALANCES:
        assert all("difference" not in one and "movement_debit" not in one for one in run.records[stream])
    # No line names a supplier.
    run = books(("<SupplierID>50010</SupplierID>\n          <Desc", "<Desc"))
    assert [one.get("difference") for one in run.records["account_balances"]] == [0, 0]
    assert "difference" not in run.records["party_balances"][0]


def test_an_export_in_parts_is_added_up(tap: RunTap, catalog: MakeCatalog, write: Write) -> None:
    """Each part has the balances of all, and lines of its own."""
    text = BOOKKEEPING.read_text(encoding="utf-8")
    first, second = text.index("      <Transaction>"), text.rindex("      <Transaction>")
    end = text.index("    </Journal>")
    write("SAF-T Financial_966666666_20260201000000_1_2.xml", text[:second] + text[end:])
    chosen = catalog(*BALANCES)
    alone = tap(catalog=chosen, control_totals="warn")
    assert "is not closing" not in alone.err
    assert all("difference" not in one for one in alone.records["account_balances"])
    write("SAF-T Financial_966666666_20260201000000_2_2.xml", text[:first] + text[second:])
    run = tap(catalog=chosen)
    assert "is not closing" not in run.err
    assert [one["difference"] for one in run.records["account_balances"]] == [0, 0, 0, 0]
    assert [one["movement_credit"] for one in run.records["account_balances"]] == [950, 100, 950, 100]


def test_parties_of_1_10_name_their_account(tap: RunTap, catalog: MakeCatalog, write: Write) -> None:
    balance = (
        "<n1:AccountID>2400</n1:AccountID><n1:OpeningCreditBalance>1</n1:OpeningCreditBalance>"
        "<n1:ClosingCreditBalance>1</n1:ClosingCreditBalance></n1:Supplier>"
    )
    write("x.xml", NORWAY_110, ("</n1:Supplier>", balance))
    names = ("party_type", "account_id", "opening_balance")
    balances = tap(catalog=catalog("party_balances")).records["party_balances"]
    assert ("supplier", "2400", -1) in told(balances, *names)
