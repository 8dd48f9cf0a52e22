"""Coercion of objects and lists, what is required, and every body that a real contract writes."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest

from ap_connectors.core.errors import Reject
from ap_connectors.singer.schema import ObjectSchema, Schema
from ap_connectors.vicai import contract
from tests.singer.coercing import body, coerce, exactly, reason, refused, written

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
