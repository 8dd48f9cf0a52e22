"""The sandbox's Vic data: true to the contract, well numbered, and the same every time."""

from __future__ import annotations

import json
import re
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from ap_connectors.sandbox.vicai.seed import Seed
from ap_connectors.sandbox.vicai.times import utc_text
from ap_connectors.vicai import contract
from tests.campaign import one_in
from tests.sandbox.seeded import COMPONENTS, INVOICES, LISTS, Record, invoices, records

LOCAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?")


def as_served(record: Record) -> Record:
    if "internalUpdatedAt" in record:
        assert isinstance(record["internalUpdatedAt"], int)
        record = {**record, "internalUpdatedAt": utc_text(record["internalUpdatedAt"])}
    served: Record = json.loads(msgspec.json.Encoder(decimal_format="number").encode(record))
    return served


def leaves(value: Any, schema: Record) -> Iterator[tuple[Any, Record]]:
    """Every text in a value, with the schema that describes it."""
    choices = [choice for choice in schema.get("oneOf", ()) if choice.get("type") != "null"]
    if choices:
        schema = {**schema, **choices[0]}
    if isinstance(value, dict):
        for name, member in value.items():
            yield from leaves(member, schema.get("properties", {}).get(name, {}))
    elif isinstance(value, list):
        for member in value:
            yield from leaves(member, schema.get("items", {}))
    elif isinstance(value, str):
        yield value, schema


@one_in(3)
@pytest.mark.parametrize("kind", COMPONENTS)
def test_every_record_keeps_the_contract(kind: str) -> None:
    schema = contract.component(COMPONENTS[kind], contract.FIRST)
    validator = Draft202012Validator(schema)
    assert records(kind)
    for record in records(kind):
        served = as_served(record)
        assert [error.message for error in validator.iter_errors(served)] == []
        known = set(schema["properties"]) | ({"externalId"} if kind == "training_invoices" else set())
        assert set(served) <= known
        for text, described in leaves(served, schema):
            if described.get("format") == "uuid":
                assert str(uuid.UUID(text)) == text
            elif described.get("format") == "decimal":
                Decimal(text)
            elif described.get("format") == "date":
                assert datetime.strptime(text, "%Y-%m-%d").date().isoformat() == text
            elif described.get("x-clock") == "local":
                assert LOCAL.fullmatch(text)
            elif described.get("format") == "date-time":
                # The contract may not yet say whose clock it is; a zone, if there is one, is UTC.
                assert LOCAL.fullmatch(text.removesuffix("Z"))


@pytest.mark.parametrize("kind", [kind for kind in COMPONENTS if kind not in {"vendor_groups", "tags", "tax_codes"}])
def test_local_times_bear_no_zone_and_vics_do(kind: str) -> None:
    for record in records(kind):
        if "externalUpdatedAt" in record:
            assert LOCAL.fullmatch(record["externalUpdatedAt"])
    for batch in records("payment_batches"):
        for name, value in batch.items():
            assert value is None or not name.endswith("At") or value.endswith("Z")


def test_the_same_seed_makes_the_same_whatever_was_asked_before() -> None:
    again = Seed(7, INVOICES)
    assert [again.invoice(number) for number in (399, 0, 57)] == [invoices()[number] for number in (399, 0, 57)]
    for kind in LISTS:
        assert getattr(again, kind)() == records(kind)
    assert Seed(8, INVOICES).invoice(57) != invoices()[57]
    assert Seed(8, INVOICES).vendors() != records("vendors")


def test_what_is_changed_does_not_change_what_is_made_next() -> None:
    maker = Seed(7, INVOICES)
    for record in (maker.vendors()[0], maker.invoice(0).record, maker.purchase_orders()[0]["vendor"]):
        record["defaultPaymentInfo" if "defaultPaymentInfo" in record else "paymentInfo"]["bban"] = "changed"
    maker.invoice(0).record["vendor"]["name"] = "changed"
    maker.invoice(0).lines[0]["dimensions"][0]["name"] = "changed"
    assert "changed" not in repr((maker.invoice(0), maker.vendors(), maker.accounts(), maker.dimensions()))


@pytest.mark.parametrize("kind", ["accounts", "dimensions", "vendors", "vat_codes", "invoices", "purchase_orders"])
def test_ids_and_instants_ascend(kind: str) -> None:
    ids = [int(record["internalId"]) for record in records(kind)]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    instants = [record["internalUpdatedAt"] for record in records(kind)]
    assert instants == sorted(instants)
    assert len(set(instants)) > 1
    # Some share an instant; orders are too few for that.
    assert len(set(instants)) < len(instants) or kind == "purchase_orders"


def test_accounts_come_in_a_few_instants() -> None:
    assert len({account["internalUpdatedAt"] for account in records("accounts")}) in {3, 4}


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        *((kind, "internalId") for kind in ("accounts", "dimensions", "vendors", "vat_codes", "invoices")),
        *((kind, "externalId") for kind in ("accounts", "dimensions", "vendors", "vat_codes", "invoices")),
        *((kind, "id") for kind in ("vendor_groups", "tags", "vendor_tags", "payment_terms", "tax_codes")),
        ("payment_batches", "id"),
        ("training_invoices", "externalId"),
        ("purchase_orders", "poNumber"),
        ("purchase_orders", "externalId"),
        ("vendors", "name"),
    ],
)
def test_names_and_ids_are_unique(kind: str, key: str) -> None:
    values = [record[key] for record in records(kind) if record.get(key) is not None]
    assert values
    assert len(set(values)) == len(values)


def test_how_many_there_are() -> None:
    counts = {kind: len(records(kind)) for kind in LISTS}
    assert 110 <= counts["accounts"] <= 130
    assert counts["dimensions"] == 40
    assert (counts["vendors"], counts["vendor_groups"], counts["payment_terms"], counts["tax_codes"]) == (40, 5, 6, 4)
    assert (counts["training_invoices"], counts["purchase_orders"], counts["payment_batches"]) == (50, 40, 26)
    many = Seed(7, 10_000)
    assert len(many.vendors()) == 400
    assert len({vendor["name"] for vendor in many.vendors()}) == 400
    assert len(many.training_invoices()) == 200
    assert len(many.purchase_orders()) == 150
    assert len(many.payment_batches()) == 120


@pytest.mark.parametrize("number", [0, 1, 2, 5, 9, 12])
def test_a_handful_of_invoices_or_none_will_do(number: int) -> None:
    few = Seed(7, number)
    assert [len(getattr(few, kind)()) for kind in ("vendors", "payment_batches")] == [40, 6 if number else 0]
    assert len(few.purchase_orders()) == number // 10
    for place in range(number):
        assert few.invoice(place).record["lineItems"]
    if number:
        assert {batch["status"] for batch in few.payment_batches()} == {
            "pending_approval",
            "approved",
            "rejected",
            "voided",
        }


def test_the_mix_of_states_and_kinds() -> None:
    states = Counter(record["status"] for record in records("invoices"))
    assert set(states) == set(contract.component("InvoiceState", contract.FIRST)["enum"])
    assert 0.75 < states["POSTED"] / INVOICES < 0.86
    kinds = Counter(record["transactionType"] for record in records("invoices"))
    assert 0.04 < kinds["CREDITNOTE"] / INVOICES < 0.08
    currencies = Counter(record["currency"] for record in records("invoices"))
    assert set(currencies) == {"NOK", "EUR", "USD", "SEK"}
    assert currencies["NOK"] > INVOICES / 2
    booked = {"POSTED", "TRANSFERRED"}
    for record in records("invoices"):
        assert (record.get("externalId") is not None) == (record["status"] in booked)
        assert ("externalUpdatedAt" in record) == (record["status"] in booked)
        assert "postingError" not in record or record["status"] in booked
    assert any("postingError" in record for record in records("invoices"))
    size = sum(len(msgspec.json.encode(record)) for record in records("invoices")) / INVOICES
    assert 2500 < size < 4500


def test_vendors_are_of_all_sorts() -> None:
    vendors = records("vendors")
    assert {vendor["currency"] for vendor in vendors} == {"NOK", "USD", "EUR", "SEK"}
    assert {vendor["state"] for vendor in vendors} == {"CONFIRMED", "UNCONFIRMED"}
    for vendor in vendors:
        confirmed = vendor["state"] == "CONFIRMED"
        assert ("externalId" in vendor, vendor["confirmedAt"] is not None) == (confirmed, confirmed)
    assert any(vendor.get("errors") for vendor in vendors)
    assert any(vendor["taxInfo"]["is1099vendor"] for vendor in vendors)
    assert any(set("æøå") & set(vendor["name"]) for vendor in vendors)
    assert any(set("ąčęėįšųūž") & set(vendor["name"].lower()) for vendor in vendors)


def weighted(digits: str, *weights: int) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % 11


def luhn(text: str) -> int:
    digits = [int(digit) for digit in reversed(text) if digit.isdigit()]
    return (sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])) % 10


def test_check_digits_are_right() -> None:
    seen: Counter[str] = Counter()
    for vendor in Seed(7, 4000).vendors():
        info, tax = vendor["defaultPaymentInfo"], vendor["taxInfo"]
        if vendor["currency"] == "NOK":
            assert weighted(tax["orgNumber"], 3, 2, 7, 6, 5, 4, 3, 2, 1) == 0
            assert weighted(info["bban"], 5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1) == 0
            assert tax["taxId"] == f"NO{tax['orgNumber']}MVA"
            seen["bban"] += 1
        if (account := info["internationalBankAccount"]) is not None:
            iban = account["iban"]
            assert int("".join(str(int(letter, 36)) for letter in iban[4:] + iban[:4])) % 97 == 1
            seen[iban[:2]] += 1
        for giro in ("bankGiro", "plusGiro"):
            if info[giro] is not None:
                assert luhn(info[giro]) == 0
                seen[giro] += 1
    assert {"bban", "NO", "LT", "bankGiro", "plusGiro"} <= set(seen)
    kids = [record["invoiceInfo"]["kid"] for record in records("invoices") if "invoiceInfo" in record]
    assert kids
    assert [kid for kid in kids if luhn(kid)] == []


@one_in(3)
@pytest.mark.parametrize("kind", COMPONENTS)
def test_extra_fields_are_in_one_of_five_records(kind: str) -> None:
    schema = contract.component(COMPONENTS[kind], contract.FIRST)
    validator = Draft202012Validator(schema)
    plain, strange = records(kind), records(kind, extra_fields=True)
    assert len(plain) == len(strange)
    unknown = {"approvalStage", "riskScore", "sustainability", "labels"}
    changed = [record for record in strange if unknown <= set(record)]
    if kind == "lines":
        assert len(changed) == INVOICES / 5
    else:
        assert abs(len(changed) - len(strange) / 5) < 1
    for record in changed:
        assert len(record["riskScore"].as_tuple().digits) == 19
        assert isinstance(record["sustainability"], dict)
        assert isinstance(record["labels"], list)
    errors = [error for record in strange for error in validator.iter_errors(as_served(record))]
    assert {error.validator for error in errors} <= {"enum", "oneOf"}
    if kind in {"invoices", "training_invoices", "vendors", "purchase_orders", "payment_batches", "lines"}:
        assert errors
    else:
        assert not errors
    for before, after in zip(plain, strange, strict=True):
        for name in ("status", "state", "totalAmount", "internalUpdatedAt"):
            assert before.get(name) == after.get(name)
