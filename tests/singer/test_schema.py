"""Coercion of names, texts, numbers, dates and times by schemas."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ap_connectors.core.errors import Reject
from ap_connectors.singer.schema import ObjectSchema, canonical
from tests.singer.coercing import LONE, coerce, exactly, reason, refused, written


@pytest.mark.parametrize("count", [1, 2, 30])
def test_all_that_is_wrong_is_told_at_once(count: int) -> None:
    """Whoever corrects a record sees everything; at most twenty things."""
    lines = {"type": "array", "items": {"type": "object", "properties": {"amount": {"type": "number"}}}}
    schema = ObjectSchema.of(
        {
            "type": "object",
            "properties": {"at": {"type": "string", "format": "date"}, "name": {"maxLength": 3}, "lines": lines},
        }
    )
    record = {
        "NAME": "long",
        "at": "soon",
        "lines": [{"amount": "x"}, {"amount": 1}, None, 7][:count] * (count // 4 + 1),
    }
    with pytest.raises(Reject) as caught:
        schema.coerce_record(record)
    said = str(caught.value)
    assert said.startswith(
        "name is longer than 3 characters (4); at is not a date such as 2026-01-31: 'soon'; lines[0].amount"
    )
    assert caught.value.code == "several"
    codes = [reason["code"] for reason in caught.value.params["reasons"]]
    assert codes[:3] == ["too_long", "not_a_date", "not_a_number"]
    assert len(codes) == {1: 3, 2: 3, 30: 20}[count]


# Names


@pytest.mark.parametrize(
    "name", ["external_updated_at", "externalUpdatedAt", "EXTERNAL_UPDATED_AT", "_externalupdatedat"]
)
def test_a_name_in_any_spelling(name: str) -> None:
    vendor = written("upsertVendor")
    assert canonical(name) == canonical("externalUpdatedAt")
    assert vendor.name_of(name) == "externalUpdatedAt"
    assert vendor.coerce_record({name: "2026-01-05T10:11:12"}) == ({"externalUpdatedAt": "2026-01-05T10:11:12"}, {})


def test_a_digit_is_part_of_the_name() -> None:
    vendor = written("upsertVendor")
    assert vendor.name_of("tax_info_1") is None
    assert vendor.coerce_record({"tax_info": {"is_1099_vendor": "true"}})[0] == {"taxInfo": {"is1099vendor": True}}


def test_unknown_fields_come_back_as_they_came() -> None:
    known, unknown = written("upsertVendor").coerce_record({"name": "A", "_sdc_batched_at": 1, "shoeSize": [LONE]})
    assert (known, unknown) == ({"name": "A"}, {"_sdc_batched_at": 1, "shoeSize": [LONE]})


def test_one_field_in_two_spellings_is_refused_on_every_level() -> None:
    vendor = written("upsertVendor")
    both = {"address_city": "Vilnius", "addressCity": "Vilnius"}
    assert refused(vendor, both) == "addressCity comes in more than one spelling: address_city, addressCity"
    # Null is a value too: which of the two is meant?
    assert "addressCity" in refused(vendor, {"ADDRESS_CITY": None, "addressCity": "Vilnius"})
    nested = {"defaultPaymentInfo": {"bankGiro": "1", "bank_giro": "2"}}
    assert refused(vendor, nested).startswith("defaultPaymentInfo.bankGiro comes in more than one spelling")


def test_many_spellings_do_not_fill_the_memory() -> None:
    vendor = written("upsertVendor")
    for count in range(5000):
        assert vendor.coerce_record({"name" + "_" * count: "A"})[0] == {"name": "A"}
    assert len(vars(vendor)["_spellings"]) < 5000


# Text


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("UAB „Šviesa“ ", "UAB „Šviesa“ "),
        ("", ""),
        (15, "15"),
        (2**80, str(2**80)),
        (Decimal("0010.50"), "10.50"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-7"), "0.0000001"),
        (None, None),
    ],
)
def test_text(value: Any, taken: Any) -> None:
    assert exactly(coerce({"type": "string"}, value), taken)


@pytest.mark.parametrize("value", [True, ["a"], {"a": 1}, 1.5])
def test_what_is_no_text(value: Any) -> None:
    assert reason({"type": "string"}, value).startswith("field is not text: ")


def test_length_is_counted_in_characters() -> None:
    vendor = written("upsertVendor")
    city = "Š" * 255
    assert vendor.coerce_record({"addressCity": city})[0]["addressCity"] == city
    assert refused(vendor, {"ADDRESS_CITY": city + "ą" * 45}) == "addressCity is longer than 255 characters (300)"
    assert refused(vendor, {"addressCity": "x" * 256}) == "addressCity is longer than 255 characters (256)"
    assert reason({"type": "string", "maxLength": 2}, 123) == "field is longer than 2 characters (3)"


@pytest.mark.parametrize(
    "record",
    [
        {"name": LONE},
        {"externalData": {"a": [LONE]}},
        {"externalData": {LONE: 1}},
        {"taxInfo": {"newField": LONE}},
        {"paymentTermId": LONE},
        {"confirmedAt": LONE},
    ],
)
def test_half_characters_are_refused(record: dict[str, Any]) -> None:
    message = refused(written("upsertVendor"), record)
    assert message.startswith(next(iter(record)))
    message.encode()  # and the message can be written


def test_values_are_quoted_short() -> None:
    message = reason({"type": "number"}, "x" * 10_000)
    assert "'" + "x" * 60 + "'…" in message
    assert "x" * 61 not in message
    assert len(reason({"type": "integer"}, Decimal("1" * 300 + ".5"))) < 150
    assert "\n" not in reason({"type": "number"}, "1\n2")


# Numbers


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("0012.5000", "0012.5000"),
        ("-3", "-3"),
        (12, "12"),
        (Decimal("12.50"), "12.50"),
        (Decimal("1E+2"), "100"),
        (Decimal("123456789012345678.1234567890123456789"), "123456789012345678.1234567890123456789"),
    ],
)
def test_decimal_text_keeps_every_digit(value: Any, taken: str) -> None:
    assert exactly(coerce({"type": "string", "format": "decimal"}, value), taken)


@pytest.mark.parametrize(
    "value", ["12,50", "1e3", "", " 1", "1\n", "1_000", "１２", ".5", "5.", "+1", "NaN", True, [], {}]
)
def test_what_is_no_number(value: Any) -> None:
    for schema in ({"type": "string", "format": "decimal"}, {"type": "number"}, {"type": "integer"}):
        assert reason(schema, value).startswith("field is not a number: ")


@pytest.mark.parametrize("kind", [{"type": "string"}, {"type": "string", "format": "decimal"}, {"type": "integer"}])
@pytest.mark.parametrize(
    "value",
    [Decimal("1E+999999"), Decimal("NaN"), Decimal("Infinity"), 10**5000],
    ids=["large", "nan", "infinity", "long"],
)
def test_monstrous_numbers_are_refused(kind: dict[str, Any], value: Any) -> None:
    assert reason(kind, value) == "field is not a finite number of at most 1000 digits"


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        (1, 1),
        (Decimal("1.50"), Decimal("1.50")),
        ("1.50", Decimal("1.50")),
        ("-7", Decimal("-7")),
        (2**70, 2**70),
        ("0." + "1" * 40, Decimal("0." + "1" * 40)),
    ],
)
def test_number(value: Any, taken: Any) -> None:
    assert exactly(coerce({"type": "number"}, value), taken)


@pytest.mark.parametrize("value", [7, Decimal("7"), Decimal("7.000"), Decimal("0.7E+1"), "7", "7.0"])
def test_integer(value: Any) -> None:
    assert exactly(coerce({"type": "integer"}, value), 7)


def test_integer_and_its_minimum() -> None:
    whole = {"type": "integer", "minimum": 1}
    assert reason(whole, Decimal("7.5")) == "field is not a whole number: 7.5"
    assert reason(whole, "7.5") == "field is not a whole number: '7.5'"
    assert reason(whole, 0) == "field is less than 1: 0"
    assert exactly(coerce(whole, 12345678901234567890123), 12345678901234567890123)


def test_minimum_of_decimals() -> None:
    for schema in ({"type": "string", "format": "decimal", "minimum": 0}, {"type": "number", "minimum": 0}):
        assert reason(schema, "-0.01") == "field is less than 0: -0.01"
        assert Decimal(coerce(schema, "0.00")) == 0


@pytest.mark.parametrize(("value", "taken"), [(True, True), (False, False), ("true", True), ("FALSE", False)])
def test_boolean(value: Any, taken: bool) -> None:
    assert coerce({"type": "boolean"}, value) is taken


@pytest.mark.parametrize("value", [1, 0, "1", "yes", "", Decimal(1), []])
def test_what_is_no_boolean(value: Any) -> None:
    assert reason({"type": "boolean"}, value).startswith("field is neither true nor false: ")


# Dates and times

MIDNIGHTS = [
    "2024-02-29",
    "2024-02-29T00:00:00",
    "2024-02-29 00:00:00.000",
    "2024-02-29T00:00Z",
    "2024-02-29T00:00:00+02:00",
]


@pytest.mark.parametrize("value", MIDNIGHTS)
def test_date(value: str) -> None:
    assert coerce({"type": "string", "format": "date"}, value) == "2024-02-29"


@pytest.mark.parametrize(
    "value",
    [
        "2026-02-29",
        "2026-13-01",
        "20260105",
        "2026-W01-1",
        "05.01.2026",
        "2026-1-5",
        "",
        "2026-01-05\n",
        "２026-01-05",
        "2026-01-05T10:00:00",
        "2026-01-05T00:00:01",
        "2026-01-05T00:00:00.001",
        "2026-02-30T00:00:00",
        "0000-01-01",
        " 2026-01-05",
        20260105,
    ],
)
def test_what_is_no_date(value: Any) -> None:
    assert reason({"type": "string", "format": "date"}, value).startswith("field is not a date such as 2026-01-31: ")


@pytest.mark.parametrize(
    "value",
    ["2026-01-05T10:11:12", "2026-01-05T10:11:12.1234567Z", "2026-01-05 10:11:12+02:00", "2026-01-05T10:11:12Z"],
)
def test_times_stay_as_they_came(value: str) -> None:
    assert written("upsertVendor").coerce_record({"externalUpdatedAt": value})[0] == {"externalUpdatedAt": value}


@pytest.mark.parametrize(
    "value",
    ["2026-01-05T25:00:00", "2026-01-05T10:11", "2026-01-05 Z", "yesterday", "", 1767607872, "２026-01-05T10:00:00"],
)
def test_what_is_no_time(value: Any) -> None:
    message = refused(written("upsertVendor"), {"externalUpdatedAt": value})
    assert message.startswith("externalUpdatedAt is not a time such as 2026-01-31T10:11:12: ")


def test_uuid() -> None:
    for value in ("0f3b2f3e-1111-4222-8333-123456789abc", " 0F3B2F3E-1111-4222-8333-123456789ABC\u00a0"):
        assert coerce({"type": "string", "format": "uuid"}, value) == "0f3b2f3e-1111-4222-8333-123456789abc"
    assert reason({"type": "string", "format": "uuid"}, "0f3b2f3e") == "field is not a UUID: '0f3b2f3e'"


def test_what_the_service_knows_better_is_left_to_it() -> None:
    record = {"email": "no at sign", "countryCode": "??", "currency": "eur", "state": "confirmed"}
    assert written("upsertVendor").coerce_record(record)[0] == record
    assert coerce({"enum": ["ach", "iban"]}, "IBAN") == "IBAN"
    assert coerce({"type": "string", "enum": ["DAYS"]}, "MONTHS") == "MONTHS"
