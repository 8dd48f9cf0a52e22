"""Coercion by the schemas of a real contract, and by small ones of their own."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest

from ap_connectors.core.errors import Reject
from ap_connectors.singer.schema import ObjectSchema, Schema, canonical
from ap_connectors.vicai import contract

LONE = "Šilut\ud800"


def body(operation: str) -> dict[str, Any]:
    (schema,) = contract.operation(operation).body.values()
    return contract.inlined(schema)


def written(operation: str) -> ObjectSchema:
    return ObjectSchema.of(body(operation))


def coerce(schema: dict[str, Any], value: Any) -> Any:
    return Schema.of(schema).coerce(value, "field")


def reason(schema: dict[str, Any], value: Any) -> str:
    with pytest.raises(Reject) as caught:
        coerce(schema, value)
    return str(caught.value)


def refused(schema: ObjectSchema, record: dict[str, Any]) -> str:
    with pytest.raises(Reject) as caught:
        schema.coerce_record(record)
    return str(caught.value)


def exactly(one: Any, other: Any) -> bool:
    """Equal, of one type and with the same digits: 1 is not True, and 1.50 not 1.5."""
    return type(one) is type(other) and repr(one) == repr(other)


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
    "value", ["2026-01-05T10:11:12", "2026-01-05T10:11:12.1234567Z", "2026-01-05 10:11:12+02:00", "2026-01-05"]
)
def test_times_stay_as_they_came(value: str) -> None:
    assert written("upsertVendor").coerce_record({"externalUpdatedAt": value})[0] == {"externalUpdatedAt": value}


@pytest.mark.parametrize("value", ["2026-01-05T25:00:00", "yesterday", "", 1767607872, "２026-01-05T10:00:00"])
def test_what_is_no_time(value: Any) -> None:
    message = refused(written("upsertVendor"), {"externalUpdatedAt": value})
    assert message.startswith("externalUpdatedAt is not a time such as 2026-01-31T10:11:12: ")


def test_uuid() -> None:
    for value in ("0f3b2f3e-1111-4222-8333-123456789abc", "0F3B2F3E-1111-4222-8333-123456789ABC"):
        assert coerce({"type": "string", "format": "uuid"}, value) == value
    assert reason({"type": "string", "format": "uuid"}, "0f3b2f3e") == "field is not a UUID: '0f3b2f3e'"


def test_what_the_service_knows_better_is_left_to_it() -> None:
    record = {"email": "no at sign", "countryCode": "??", "currency": "eur", "state": "confirmed"}
    assert written("upsertVendor").coerce_record(record)[0] == record
    assert coerce({"enum": ["ach", "iban"]}, "IBAN") == "IBAN"
    assert coerce({"type": "string", "enum": ["DAYS"]}, "MONTHS") == "MONTHS"


# Objects and lists

LINE = {"amount": "1.00", "dimensions": [{"external_id": 7}]}


def test_nested_names_and_types() -> None:
    invoice = written("createInvoice")
    known, unknown = invoice.coerce_record(
        {
            "total_amount": Decimal("10.10"),
            "ISSUE_DATE": "2026-01-05T00:00:00",
            "line_items": [LINE, {"AMOUNT": 5, "index": "0", "billable": None, "Vat": {"rate": Decimal("21.0")}}],
            "payment_term": {"COUNT": "30", "unit": "DAYS"},
        }
    )
    assert not unknown
    assert known == {
        "totalAmount": "10.10",
        "issueDate": "2026-01-05",
        "lineItems": [
            {"amount": "1.00", "dimensions": [{"externalId": "7"}]},
            {"amount": "5", "index": 0, "billable": None, "vat": {"rate": "21.0"}},
        ],
        "paymentTerm": {"count": 30, "unit": "DAYS"},
    }


def test_the_record_itself_is_not_changed() -> None:
    record = {"line_items": [{"AMOUNT": 5, "vat": {"new_field": [1]}}], "vendor": {"external_id": 1}}
    before = deepcopy(record)
    written("createInvoice").coerce_record(record)
    assert record == before


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"line_items": [LINE, LINE, {"amount": "12,50"}]}, "lineItems[2].amount is not a number: '12,50'"),
        (
            {"lineItems": [{**LINE, "dimensions": [{"name": True}]}]},
            "lineItems[0].dimensions[0].name is not text: true",
        ),
        ({"lineItems": [LINE, {"comment": "x"}]}, "lineItems[1].amount is missing"),
        ({"lineItems": [LINE, {"amount": None}]}, "lineItems[1].amount must not be null"),
        ({"lineItems": [LINE, None]}, "lineItems[1] must not be null"),
        ({"lineItems": {"amount": 1}}, "lineItems is not a list: an object"),
        ({"lineItems": ["x"]}, "lineItems[0] is not an object: 'x'"),
        ({"paymentTerm": {"count": -1, "unit": "DAYS"}}, "paymentTerm.count is less than 0: -1"),
        ({"paymentTerm": [1]}, "paymentTerm is not an object: a list"),
    ],
)
def test_messages_name_the_place(record: dict[str, Any], message: str) -> None:
    assert refused(written("createInvoice"), record).startswith(message)


def test_take_starts_from_the_given_path() -> None:
    invoice = written("createInvoice")
    with pytest.raises(Reject, match=r"^lineItems\[4\]\.vat\.rate is not a number: 'x'"):
        invoice.members["lineItems"].items.coerce({"amount": 1, "vat": {"rate": "x"}}, "lineItems[4]")  # type: ignore[attr-defined]
    with pytest.raises(Reject, match=r"^The value is not a list"):
        invoice.members["lineItems"].coerce("x")


def test_null_passes_and_is_judged_where_it_is_required() -> None:
    vendor = written("upsertVendor")
    record = {"externalUpdatedAt": None, "name": None, "email": None, "taxInfo": {"is1099vendor": None}, "errors": None}
    assert vendor.coerce_record(record)[0] == record
    fields = written("createInvoice").members["fields"]
    assert fields.coerce([{"label": "a", "value": None}]) == [{"label": "a", "value": None}]
    with pytest.raises(Reject, match=r"^fields\[0\]\.label is missing$"):
        fields.coerce([{"value": "a"}], "fields")


def test_new_members_of_the_live_service_pass_through() -> None:
    info = {"bban": "1", "swish_number": Decimal("1.50"), "Extra": {"a_b": [None]}}
    assert written("upsertVendor").coerce_record({"default_payment_info": info})[0] == {"defaultPaymentInfo": info}


def test_free_form_objects_stay_as_they_are() -> None:
    data = {"external_id": Decimal("1.50"), "EXTERNAL_ID": [True, None, 2**70], "ž": {}}
    assert exactly(written("upsertVendor").coerce_record({"EXTERNAL_DATA": data})[0], {"externalData": data})
    assert refused(written("upsertVendor"), {"externalData": "{}"}) == "externalData is not an object: '{}'"
    assert refused(written("upsertVendor"), {"externalData": [1]}) == "externalData is not an object: a list"


def test_a_vendor_is_looked_up_in_any_of_its_ways() -> None:
    for operation in ("createInvoice", "createPurchaseOrder", "updatePurchaseOrder"):
        vendor = written(operation).members["vendor"]
        assert isinstance(vendor, ObjectSchema)
        assert vendor.required == frozenset()
        assert len(vendor.alternatives) == 5
        assert set(vendor.members) == {
            "internalId", "externalId", "name", "orgNumber", "countryCode", "bankAccount", "bankAccountType",
        }  # fmt: skip
        for way in ({"external_id": 7}, {"orgNumber": "1", "country_code": None}, {"NAME": "x", "new": 1}, {}):
            assert vendor.coerce(way).keys() == {vendor.name_of(name) or name for name in way}
        assert vendor.coerce({"ORG_NUMBER": 300, "bank_account_type": "IBAN"}) == {
            "orgNumber": "300",
            "bankAccountType": "IBAN",
        }
        with pytest.raises(Reject, match=r"^vendor\.countryCode is longer than 2 characters \(3\)$"):
            vendor.coerce({"countryCode": "LTU"}, "vendor")
    assert written("createInvoice").members["vendor"].nullable
    assert not written("upsertVendor").members["name"].nullable


def test_a_training_invoice() -> None:
    invoice = written("upsertTrainingInvoice").members["invoiceData"]
    assert isinstance(invoice, ObjectSchema)
    known, _ = invoice.coerce_record(
        {"line_items": [{"index": 0, "amount": "10.10", "invoice_line_item_info": {"vat_amount": 2, "vatRate": 21}}]}
    )
    (line,) = known["lineItems"]
    assert exactly(line["amount"], Decimal("10.10"))
    assert exactly(line["invoiceLineItemInfo"], {"vatAmount": 2, "vatRate": "21"})
    assert invoice.coerce_record({"lineItems": []})[0] == {"lineItems": []}  # deletes all lines: must get through


# What is required


def test_missing_members_of_a_body() -> None:
    order = written("createPurchaseOrder")
    assert order.required == {"poNumber", "amount", "vendor", "lineItems", "issuedOn"}
    in_order = [name for name in order.members if name in order.required]
    assert order.missing({}) == in_order
    # issuedOn may be null, but must be there; an empty list is there.
    whole: dict[str, Any] = {"poNumber": "1", "amount": "0", "vendor": {}, "lineItems": [], "issuedOn": None}
    assert order.missing(whole) == []
    assert order.missing({**whole, "amount": None}) == ["amount"]
    assert order.missing({name: whole[name] for name in whole if name != "issuedOn"}) == ["issuedOn"]
    assert order.coerce_record({})[0] == {}  # the top level is looked at when the body is whole


def test_nested_requirements_hold_when_the_object_is_there() -> None:
    vendor = written("upsertVendor")
    message = refused(vendor, {"defaultPaymentInfo": {"paymentTerm": {"unit": "DAYS"}}})
    assert message == "defaultPaymentInfo.paymentTerm.count is missing"
    assert vendor.coerce_record({"defaultPaymentInfo": {"paymentTerm": None}})[0] == {
        "defaultPaymentInfo": {"paymentTerm": None}
    }


# Ways to write a schema


@pytest.mark.parametrize(
    ("schema", "nullable"),
    [
        ({"type": ["integer", "null"]}, True),
        ({"type": "integer", "nullable": True}, True),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, True),
        ({"oneOf": [{"oneOf": [{"type": "integer"}, {"type": "null"}]}]}, True),
        ({"oneOf": [{"type": "integer"}], "description": "one choice"}, False),
        ({"allOf": [{"type": "integer"}, {"description": "a part"}]}, False),
    ],
)
def test_ways_to_say_integer(schema: dict[str, Any], nullable: bool) -> None:
    compiled = Schema.of(schema)
    assert compiled.nullable is nullable
    assert exactly(compiled.coerce("7"), 7)


def test_types_left_out() -> None:
    assert isinstance(Schema.of({"properties": {"a": {}}}), ObjectSchema)
    assert coerce({"items": {"type": "integer"}}, ["1"]) == [1]
    assert reason({"enum": ["a"]}, []) == "field is not text: a list"
    anything = {"a": [Decimal("1.0"), None]}
    assert exactly(coerce({}, anything), anything)
    with pytest.raises(TypeError):
        ObjectSchema.of({"type": "object"})


def test_objects_made_of_parts() -> None:
    schema = ObjectSchema.of(
        {
            "allOf": [{"properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"properties": {"b": {}}}],
            "type": "object",
        }
    )
    assert set(schema.members) == {"a", "b"}
    assert schema.required == {"a"}
    ways = {"properties": {"a": {}, "b": {}}, "required": ["a"], "anyOf": [{"required": ["b"]}, {"type": "object"}]}
    assert ObjectSchema.of(ways).required == {"a"}  # what every way requires


def test_a_choice_takes_the_value_as_it_is_before_converting_it() -> None:
    schema = {"type": ["string", "number", "boolean"]}
    for value in ("1.50", Decimal("1.50"), 3, True):
        assert exactly(coerce(schema, value), value)
    error = contract.component("VendorError")
    assert coerce(error, "bad") == "bad"
    said = [{"internal_field": "a", "externalField": "b", "message": 5}, "text"]
    assert coerce(error, said) == [{"internalField": "a", "externalField": "b", "message": "5"}, "text"]
    assert reason(error, [{"message": "x"}]) == "field[0].internalField is missing"
    assert reason(error, True) == "field is not text: true"


# Every write of the contract

WRITES = [name for name, operation in contract.operations().items() if operation.body]


def example(schema: dict[str, Any]) -> Any:
    """A value of a schema, with every member there is."""
    choices = [choice for choice in schema.get("oneOf", []) if choice.get("type") != "null"]
    if choices:
        return example(choices[0])
    kind = schema.get("type", "string")
    if kind == "object":
        return {name: example(member) for name, member in schema.get("properties", {}).items()}
    if kind == "array":
        return [example(schema["items"])]
    texts = {
        "decimal": "1.50",
        "date": "2026-01-05",
        "date-time": "2026-01-05T10:11:12",
        "uuid": "0f3b2f3e-1111-4222-8333-123456789abc",
    }
    return {"integer": 1, "number": Decimal("1.50"), "boolean": True}.get(
        kind, texts.get(schema.get("format", ""), "LT")
    )


def respelled(value: Any) -> Any:
    """The same, as a warehouse brings it: names in capitals, numbers as they like."""
    if isinstance(value, dict):
        return {"".join(f"_{c}" if c.isupper() else c for c in name).upper(): respelled(v) for name, v in value.items()}
    return [respelled(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("operation", WRITES)
def test_every_body_takes_its_own_example_in_any_spelling(operation: str) -> None:
    schema = written(operation)
    whole = example(body(operation))
    known, unknown = schema.coerce_record(whole)
    assert exactly(known, whole)
    assert not unknown
    assert not schema.missing(known)
    assert exactly(schema.coerce(whole), whole)
    known, unknown = schema.coerce_record(respelled(whole))
    assert exactly(known, whole)
    assert not unknown


@pytest.mark.parametrize("operation", WRITES)
def test_every_member_of_every_body_refuses_what_it_is_not(operation: str) -> None:
    for name, value in example(body(operation)).items():
        wrong: Any = 1.5 if isinstance(value, dict | list) else []
        assert refused(written(operation), {name: wrong}).startswith(f"{name} is n")
