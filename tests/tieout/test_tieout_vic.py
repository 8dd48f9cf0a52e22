"""Vic.ai against the warehouse: what ties, and everything that can be wrong, one thing at a time."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.campaign import one_in
from tests.tieout.conftest import Tables, TieOut, load_vic

BIG, SHOWN = "1234567890123456789.12", "1,234,567,890,123,456,789.12"


def test_all_ties_and_the_sums_are_right(vicai: SandboxProcess, tie_vic: TieOut) -> None:
    result = tie_vic(process=True)
    assert (result.status, result.err) == (0, ""), result.out
    vic = vicai.control.vicai
    posted = [one for one in vic.records("invoices") if one["status"] == "POSTED"]
    assert result.stream("invoices")["documents"] == {"source": len(posted), "destination": len(posted)}
    payments = [one for batch in vic.records("paymentBatches") for one in batch["payments"]]
    expected = {
        "invoices": [(one["currency"], one["totalAmount"]) for one in posted],
        "payments": [(one["currencyId"], one["amount"]) for one in payments],
        "purchase_orders": [(one["currencyId"], one["amount"]) for one in vic.records("purchaseOrders")],
        "training_invoices": [
            (one["currency"], amount)
            for one in vic.records("trainingInvoices")
            for line in one["lineItems"]
            for amount in (line["amount"], line["amountTax"])
        ],
    }
    for stream, amounts in expected.items():
        rows = result.stream(stream)["currencies"]
        assert {row["currency"] for row in rows} == {currency for currency, _ in amounts}
        for row in rows:
            whole = sum(Decimal(amount) for currency, amount in amounts if currency == row["currency"])
            assert Decimal(row["source"]["total"]) == Decimal(row["destination"]["total"]) == whole
    streams = ("vendors", "accounts", "tags", "payment_batches", "credits")
    assert all(result.stream(name)["documents"]["source"] for name in streams)
    assert not result.stream("training_invoices")["as_of"].endswith("Z")


@one_in(3)
@pytest.mark.parametrize(
    "wrong",
    [
        ("invoices", "delete from invoices where internalid = '{key}'", "missing"),
        ("invoices", "update invoices set totalamount = totalamount || '1' where internalid = '{key}'", "changed"),
        ("invoices", "update invoices set lineitems = '[]' where internalid = '{key}'", "changed"),
        ("invoices", "update invoices set lineitems = 'nonsense' where internalid = '{key}'", "changed"),
        ("invoices", "insert into invoices select * from invoices where internalid = '{key}'", "doubled"),
        ("invoices", "delete from invoice_documents where invoice_id = '{key}'", "file"),
        ("purchase_orders", "update purchase_orders set amount = '0' where internalid = '{key}'", "changed"),
        ("purchase_orders", "delete from purchase_order_line_items where purchase_order_id = '{key}'", "changed"),
        ("vendors", "delete from vendors where internalid = '{key}'", "missing"),
        ("accounts", "insert into accounts select * from accounts where internalid = '{key}'", "doubled"),
        ("tags", "delete from tags where id = '{key}'", "missing"),
        ("payment_batches", "delete from payment_batches where id = '{key}'", "missing"),
        ("payments", "update payments set amount = '0.01' where id || ' ' || batch_id = '{key}'", "changed"),
        ("credits", "delete from credits where id || ' ' || batch_id = '{key}'", "missing"),
    ],
)
def test_one_thing_that_is_wrong_is_found_and_named(
    vicai: SandboxProcess, vic: Tables, tie_vic: TieOut, wrong: tuple[str, str, str]
) -> None:
    stream, breaking, kind = wrong
    key = a_key(vicai, stream)
    vic.sql(breaking.format(key=key))
    result = tie_vic()
    assert result.status == 1
    assert result.found(stream)[kind] == (1, [key])
    assert {one["stream"] for one in result.report["streams"] if not one["ties"]} == {stream}
    assert f"It does NOT tie: {stream}." in result.out


def a_key(vicai: SandboxProcess, stream: str) -> str:
    """The key of some record, not the newest one."""
    vic = vicai.control.vicai
    if stream in {"payments", "credits"}:
        batch, part = next((batch, part) for batch in vic.records("paymentBatches") for part in batch[stream])
        return f"{part['id']} {batch['id']}"
    resource = {"purchase_orders": "purchaseOrders", "payment_batches": "paymentBatches"}.get(stream, stream)
    records = [one for one in vic.records(resource) if stream != "invoices" or one["status"] == "POSTED"]
    return str(records[1].get("internalId") or records[1]["id"])


def test_a_training_invoice_counts_once_in_its_latest_state(
    vicai: SandboxProcess, vic: Tables, tie_vic: TieOut
) -> None:
    vic.sql(
        "insert into training_invoices select * from training_invoices limit 3",
        "insert into training_invoices select * replace ('2001-01-01T00:00:00' as externalupdatedat, '[]' as lineitems)"
        " from training_invoices limit 2",
    )
    result = tie_vic("--allow", "doubled")
    assert (result.status, result.found("training_invoices")["doubled"][0]) == (0, 3)
    assert tie_vic().status == 1
    assert tie_vic("--no-fields").status == 0
    vic.sql("delete from training_invoices where refnumber = (select min(refnumber) from training_invoices)")
    result = tie_vic("--until", "now")
    assert result.found("training_invoices")["missing"][0] == 1


def test_what_changed_after_the_load_is_left_out(vicai: SandboxProcess, vic: Tables, tie_vic: TieOut) -> None:
    posted = [one["internalId"] for one in vicai.control.vicai.records("invoices") if one["status"] == "POSTED"]
    vicai.control.vicai.touch("invoices", posted[:2], refNumber="later")
    vicai.control.vicai.add("vendors", 1)
    result = tie_vic()
    assert result.status == 0, result.out
    assert result.stream("invoices")["newer_left_out"] == 2
    assert result.stream("vendors")["newer_left_out"] == 1
    assert sorted(tie_vic("--until", "now").found("invoices")["older"][1]) == sorted(posted[:2])


def test_payments_of_a_batch_that_changed_after_the_load(vicai: SandboxProcess, vic: Tables, tie_vic: TieOut) -> None:
    batch = next(one for one in vicai.control.vicai.records("paymentBatches") if one["payments"])
    vicai.control.vicai.batch_event(batch["id"], "void", at="2027-01-01T00:00:00.000Z")
    # A payment that the batch has no longer.
    vic.sql(
        f"insert into payments select * replace ('a-former-one' as id) from payments where batch_id = '{batch['id']}' "
        "limit 1"
    )
    result = tie_vic()
    assert result.status == 0, result.out
    assert result.stream("payments")["newer_left_out"] == len(batch["payments"])
    assert tie_vic("--until", "now").found("payments")["extra"] == (1, [f"a-former-one {batch['id']}"])


def test_what_is_gone_at_vic_is_named_with_what_became_of_it(vicai: SandboxProcess, tie_vic: TieOut) -> None:
    posted = [one["internalId"] for one in vicai.control.vicai.records("invoices") if one["status"] == "POSTED"]
    vicai.control.vicai.delete("invoices", posted[:1])
    vicai.control.vicai.touch("invoices", posted[1:2], status="TRANSFERRED")
    result = tie_vic()
    assert result.status == 1
    assert sorted(result.found("invoices")["extra"][1]) == sorted(posted[:2])
    words = " ".join(result.words("invoices", "extra"))
    assert "does not have it any more" in words
    assert "at Vic.ai it is TRANSFERRED" in words
    assert tie_vic("--allow", "extra").status == 0


def test_nineteen_digits_stay_nineteen(vicai: SandboxProcess, vic: Tables, tie_vic: TieOut) -> None:
    amounts: dict[str, Any] = {"totalAmount": BIG, "amountWithoutTax": BIG, "amountTax": "0.00", "status": "POSTED"}
    vicai.control.vicai.add("invoices", 1, currency="SEK", **amounts)
    load_vic(vicai, vic)
    assert tie_vic("--allow", "header").status == 0
    vic.sql(f"update invoices set totalamount = '{BIG[:-1]}3' where totalamount = '{BIG}'")
    result = tie_vic("--allow", "header")
    assert result.status == 1
    assert f"total {SHOWN} became {SHOWN[:-1]}3" in result.words("invoices", "changed")[0]


def test_all_states(vicai: SandboxProcess, vic: Tables, tie_vic: TieOut) -> None:
    result = tie_vic("--until", "now", invoice_states=["ALL"])
    others = [one for one in vicai.control.vicai.records("invoices") if one["status"] != "POSTED"]
    assert result.found("invoices")["missing"][0] == len(others)


def test_another_company(vic: Tables, tie_vic: TieOut) -> None:
    vic.sql("update company set company = 'Somebody else AS'")
    result = tie_vic()
    assert result.status == 2
    assert 'The warehouse belongs to another company: it is of "Somebody else AS"' in result.err


@pytest.mark.parametrize(
    ("breaking", "said"),
    [
        ("alter table payments alter amount type double", "payments.amount as DOUBLE"),
        ("drop schema vicai cascade", "Has the job vic-to-warehouse run?"),
    ],
)
def test_a_warehouse_that_cannot_be_compared(vic: Tables, tie_vic: TieOut, breaking: str, said: str) -> None:
    vic.sql("set schema 'main'; " + breaking if "drop" in breaking else breaking)
    result = tie_vic()
    assert result.status == 2
    assert said in result.err


def test_json_columns_are_rounded(vic: Tables, tie_vic: TieOut) -> None:
    vic.sql("alter table invoices alter lineitems type json")
    result = tie_vic()
    assert result.status == 0
    assert "kept as JSON, whose numbers the loader rounds" in result.out


def test_wrong_credentials_and_no_address(tie_vic: TieOut) -> None:
    result = tie_vic(process=True, client_secret="a-wrong-secret")
    assert result.status == 2
    assert "a-wrong-secret" not in result.err
    assert "region is missing" in tie_vic(api_url=None).err
    assert "client_id is missing" in tie_vic(client_id=None).err
