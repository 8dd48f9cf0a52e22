"""Differences between a record and the service's copy, on the schemas of a real contract."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest

from ap_connectors.singer.diff import Change, diff, merge_missing
from ap_connectors.singer.schema import ObjectSchema, Schema
from ap_connectors.vicai import contract


def written(operation: str) -> ObjectSchema:
    (schema,) = contract.operation(operation).body.values()
    return ObjectSchema.of(contract.inlined(schema))


VENDOR = written("upsertVendor")
SHOWN = ObjectSchema.of(contract.component("Vendor"))
INVOICE = written("createInvoice")
ORDER = written("updatePurchaseOrder")
DECIMAL = Schema.of({"type": "string", "format": "decimal"})
MOMENT = Schema.of({"type": "string", "format": "date-time"})
FREE = Schema.of({"type": "object"})

THEIRS: dict[str, Any] = {
    "internalId": "17",
    "internalUpdatedAt": "2026-01-05T10:11:13.123Z",
    "externalId": "V1",
    "externalUpdatedAt": "2026-01-05T10:11:12.000",
    "name": "UAB „Šviesa“",
    "email": None,
    "addressCity": "Vilnius",
    "taxInfo": {"taxId": "LT1", "is1099vendor": False, "orgNumber": None},
    "defaultPaymentInfo": {
        "bban": "1",
        "bankGiro": None,
        "paymentTerm": {"count": 30, "unit": "DAYS"},
        "internationalBankAccount": {"iban": "LT12", "bic": "X", "shownOnly": 1},
        "defaultMethod": "BBAN",
    },
    "externalData": {"rate": Decimal("1.50"), "list": [1, {"a": None}]},
    "errors": [{"message": "bad", "field": "name"}],
}


def differ(schema: Schema, ours: Any, theirs: Any) -> bool:
    """Whether a value differs, by itself and as a member of an object."""
    alone = diff(schema, ours, theirs)
    assert alone in ([], [Change("", theirs, ours)])
    within = diff(ObjectSchema({"m": schema}, ()), {"m": ours}, {"m": theirs})
    assert within == [Change("m", change.old, change.new) for change in alone]
    return bool(alone)


def test_the_service_own_copy_is_no_change() -> None:
    ours, _ = VENDOR.coerce_record({name: deepcopy(THEIRS[name]) for name in THEIRS if name in VENDOR.members})
    assert len(ours) == 9
    assert diff(VENDOR, ours, THEIRS, readable=SHOWN) == []
    assert diff(VENDOR, ours, THEIRS, readable=SHOWN, clears=True) == []


def test_changes_in_the_order_of_our_fields_with_paths() -> None:
    ours: dict[str, Any] = {
        "defaultPaymentInfo": {"bban": "2", "paymentTerm": {"count": 14, "unit": "DAYS"}},
        "name": "UAB Šviesa",
        "errors": [{"message": "worse"}],
        "email": "a@example.com",
        "addressCity": None,
    }
    assert diff(VENDOR, ours, THEIRS, readable=SHOWN) == [
        Change("defaultPaymentInfo.bban", "1", "2"),
        Change("defaultPaymentInfo.paymentTerm.count", 30, 14),
        Change("name", "UAB „Šviesa“", "UAB Šviesa"),
        Change("errors[0].message", "bad", "worse"),
        Change("email", None, "a@example.com"),
        Change("addressCity", "Vilnius", None),
    ]


def test_each_single_field_is_seen() -> None:
    for name in ("externalUpdatedAt", "name", "addressCity"):
        ours = {**{key: THEIRS[key] for key in ("externalId", "externalUpdatedAt", "name", "addressCity")}, name: "new"}
        assert [change.path for change in diff(VENDOR, ours, THEIRS, readable=SHOWN)] == [name]


def test_nothing_there_yet() -> None:
    ours: dict[str, Any] = {"name": "A", "email": None, "taxInfo": {"taxId": "1", "orgNumber": None}, "errors": []}
    assert diff(VENDOR, ours, None) == [Change("name", None, "A"), Change("taxInfo.taxId", None, "1")]


# Values


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("12.50", "12.5"),
        ("12.50", Decimal("12.5")),
        ("100", 100),
        ("100", "1E+2"),
        ("-0.0", "0"),
        ("0.10", "00.1"),
        (None, None),
    ],
)
def test_decimals_are_compared_by_value(ours: Any, theirs: Any) -> None:
    assert not differ(DECIMAL, ours, theirs)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("12.50", "12.51"),
        ("0.1234567890123456789012345678901", "0.1234567890123456789012345678902"),
        ("9007199254740993", Decimal("9007199254740992")),
        ("1", True),
        ("1", None),
        ("0", None),
        ("1", "one"),
        (None, "0"),
    ],
)
def test_decimals_that_differ(ours: Any, theirs: Any) -> None:
    assert differ(DECIMAL, ours, theirs)


def test_numbers() -> None:
    for kind in ("number", "integer"):
        schema = Schema.of({"type": kind})
        assert not differ(schema, 5, Decimal("5.00"))
        assert not differ(schema, Decimal("5.00"), "5")
        assert differ(schema, 5, 6)
        assert differ(schema, 1, True)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("a", "a "), ("a", "A"), ("1.50", "1.5"), ("1", 1), ("", None), (None, "")]
)
def test_text_is_compared_exactly(ours: Any, theirs: Any) -> None:
    assert differ(Schema.of({"type": "string"}), ours, theirs)
    assert differ(Schema.of({"type": "string", "format": "date"}), ours, theirs)


def test_booleans() -> None:
    schema = Schema.of({"type": "boolean"})
    assert not differ(schema, True, True)
    for ours, theirs in ((True, False), (False, None), (True, 1), (True, "true"), (None, False)):
        assert differ(schema, ours, theirs)


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("2026-01-05T10:00:00", "2026-01-05T10:00:00.000", True),
        ("2026-01-05 10:00", "2026-01-05T10:00:00", True),
        ("2026-01-05", "2026-01-05T00:00:00", True),
        ("2026-01-05T10:00:00Z", "2026-01-05T12:00:00.0+02:00", True),
        ("2026-01-05T10:00:00.1234567", "2026-01-05T10:00:00.123456700", True),
        ("2026-01-05T10:00:00", "2026-01-05T10:00:00Z", False),
        ("2026-01-05T10:00:00", "2026-01-05T10:00:00+00:00", False),
        ("2026-01-05T10:00:00-02", "2026-01-05T12:00:00", False),
        ("2026-01-05T10:00:00.123", "2026-01-05T10:00:00.124", False),
        ("2026-01-05T10:00:00.1234567", "2026-01-05T10:00:00.1234568", False),
        ("2026-01-05T10:00:00", None, False),
        ("2026-01-05T10:00:00", "soon", False),
        ("2026-01-05T10:00:00", 20260105, False),
        ("2026-01-05T10:00:00", {}, False),
    ],
)
def test_moments(ours: Any, theirs: Any, same: bool) -> None:
    assert differ(MOMENT, ours, theirs) is not same


def test_uuids_in_any_case() -> None:
    schema = Schema.of({"type": "string", "format": "uuid"})
    assert not differ(schema, "0F3B2F3E-1111-4222-8333-123456789ABC", "0f3b2f3e-1111-4222-8333-123456789abc")
    assert differ(schema, "0f3b2f3e-1111-4222-8333-123456789abc", "0f3b2f3e-1111-4222-8333-123456789abd")


# Free-form objects


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"a": 1, "b": [Decimal("1.0")]}, {"b": [1], "a": Decimal("1.00")}),
        ({"a": {"b": None}}, {"a": {"b": None}}),
        ({}, {}),
    ],
)
def test_free_form_objects_that_are_the_same(ours: Any, theirs: Any) -> None:
    assert not differ(FREE, ours, theirs)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"a": 1}, {"a": True}),
        ({"a": 0}, {"a": False}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": [1]}, {"a": [1, 2]}),
        ({"a": None}, {}),
        ({}, {"a": None}),
        ({"a": "1.0"}, {"a": "1.00"}),
        ({"a": "1"}, {"a": 1}),
        ({"a": {"b": [{"c": 1}]}}, {"a": {"b": [{"c": 2}]}}),
        ({"a": 1}, {"A": 1}),
        ({"a": []}, {"a": {}}),
        ({}, None),
        (None, {"a": 1}),
    ],
)
def test_free_form_objects_that_differ(ours: Any, theirs: Any) -> None:
    assert differ(FREE, ours, theirs)


# Lists


def test_lists_element_by_element_and_by_our_members() -> None:
    ours = {"lineItems": [{"amount": "1.0"}, {"amount": "2", "vat": {"rate": "21"}}]}
    theirs: dict[str, Any] = {
        "lineItems": [
            {"id": 7, "amount": Decimal("1.00"), "comment": "kept"},
            {"id": 8, "amount": 2, "vat": {"rate": "21.0", "code": "A"}},
        ]
    }
    assert diff(INVOICE, ours, theirs, clears=True) == []
    theirs["lineItems"][1]["vat"]["rate"] = "9"
    assert diff(INVOICE, ours, theirs) == [Change("lineItems[1].vat.rate", "9", "21")]
    theirs["lineItems"][0] = None
    assert diff(INVOICE, ours, theirs)[0] == Change("lineItems[0].amount", None, "1.0")


def test_lists_of_different_lengths_are_one_change() -> None:
    one, two = [{"amount": "1"}], [{"amount": "1"}, {"amount": "2"}]
    for ours, theirs in ((one, two), (two, one), ([], one), (one, []), (one, None), (None, one)):
        assert diff(INVOICE, {"lineItems": ours}, {"lineItems": theirs}) == [Change("lineItems", theirs, ours)]
    assert diff(INVOICE, {"lineItems": [one]}, {"lineItems": "x"}) == [Change("lineItems", "x", [one])]


@pytest.mark.parametrize("ours", [[], None])
@pytest.mark.parametrize("theirs", [{"errors": []}, {"errors": None}, {}])
def test_empty_lists_null_and_nothing_are_the_same(ours: Any, theirs: dict[str, Any]) -> None:
    assert diff(VENDOR, {"errors": ours}, theirs, readable=SHOWN, clears=True) == []


# Null and nothing


def test_null_and_nothing_are_the_same_on_every_level() -> None:
    hollow = {"taxId": None, "orgNumber": None}
    for ours, theirs in ((None, hollow), (hollow, None), (hollow, {}), ({}, None), ({}, hollow)):
        assert diff(VENDOR, {"taxInfo": ours}, {"taxInfo": theirs}, clears=True) == []
    assert diff(VENDOR, {"email": None}, {}) == []
    full = {"taxId": None, "is1099vendor": False}
    assert diff(VENDOR, {"taxInfo": None}, {"taxInfo": full}) == [Change("taxInfo", full, None)]


def test_what_ours_lacks_is_a_change_only_if_writing_clears_it() -> None:
    ours = {"name": THEIRS["name"], "defaultPaymentInfo": {"bban": "1"}, "errors": [{"message": "bad"}]}
    assert diff(VENDOR, ours, THEIRS, readable=SHOWN) == []
    found = diff(VENDOR, ours, THEIRS, readable=SHOWN, clears=True)
    info = THEIRS["defaultPaymentInfo"]
    assert found == [
        Change("defaultPaymentInfo.paymentTerm", info["paymentTerm"], None),
        Change("defaultPaymentInfo.internationalBankAccount", info["internationalBankAccount"], None),
        Change("defaultPaymentInfo.defaultMethod", "BBAN", None),
        *(
            Change(name, THEIRS[name], None)
            for name in ("externalId", "externalUpdatedAt", "addressCity", "taxInfo", "externalData")
        ),
    ]
    # What can't be written (internalId) can't be cleared, and false is a value.
    assert diff(VENDOR, {"taxInfo": {}}, {"internalId": "1", "taxInfo": {"is1099vendor": False}}, clears=True) == [
        Change("taxInfo.is1099vendor", False, None)
    ]


def test_ways_to_look_up_are_compared_by_ours_alone() -> None:
    theirs = {"vendor": {"internalId": "1", "externalId": "7", "name": "A"}}
    shown = ObjectSchema.of(contract.component("PurchaseOrder"))
    assert diff(ORDER, {"vendor": {"externalId": "7"}}, theirs, readable=shown, clears=True) == []
    assert diff(ORDER, {"vendor": {"externalId": "8"}}, theirs, clears=True) == [Change("vendor.externalId", "7", "8")]
    by_number = {"vendor": {"orgNumber": "300"}}
    assert diff(ORDER, by_number, theirs, readable=shown) == []  # an order does not show it
    assert diff(ORDER, by_number, theirs) == [Change("vendor.orgNumber", None, "300")]


# What can be read back


def test_what_is_not_shown_is_not_compared() -> None:
    ours = {"managers": [{"email": "a@example.com"}], "name": "A"}
    assert "managers" not in SHOWN.members
    assert diff(VENDOR, ours, {"name": "A"}, readable=SHOWN) == []
    assert [change.path for change in diff(VENDOR, ours, {"name": "A"})] == ["managers"]
    # Shown all the same, by a live service that is ahead of its contract: then it counts.
    found = diff(VENDOR, ours, {"name": "A", "managers": [{"email": "b@example.com"}]}, readable=SHOWN)
    assert found == [Change("managers[0].email", "b@example.com", "a@example.com")]


def test_what_is_not_shown_within_lists_and_objects() -> None:
    shown = ObjectSchema.of(contract.component("Invoice"))
    ours = {"lineItems": [{"amount": "1", "taxCodeId": "0f3b2f3e-1111-4222-8333-123456789abc"}]}
    assert diff(INVOICE, ours, {"lineItems": [{"amount": 1}]}, readable=shown) == []
    assert [change.path for change in diff(INVOICE, ours, {"lineItems": [{"amount": 1}]})] == ["lineItems[0].taxCodeId"]


def test_members_that_the_contract_does_not_know() -> None:
    theirs = {"taxInfo": {"taxId": "1", "newField": 2}}
    for ours, paths in ((2, []), (Decimal("2.0"), []), (3, ["taxInfo.newField"]), ("2", ["taxInfo.newField"])):
        found = diff(VENDOR, {"taxInfo": {"newField": ours}}, theirs, readable=SHOWN)
        assert [change.path for change in found] == paths


def test_choices_are_compared_by_what_ours_is() -> None:
    numbers = {"type": "array", "items": {"type": "number"}}
    schema = Schema.of({"oneOf": [{"type": "string"}, numbers, {"type": "null"}]})
    assert diff(schema, [Decimal("1.0")], ["1"]) == []
    assert diff(schema, [1, 2], [1, 3]) == [Change("[1]", 3, 2)]
    for ours, theirs in (("1", 1), (None, "1"), (True, "true"), ([1], None)):
        assert differ(schema, ours, theirs)


# Completing


def test_completed_keeps_ours_and_adds_what_can_be_written() -> None:
    ours: dict[str, Any] = {
        "name": "B",
        "addressCity": None,
        "defaultPaymentInfo": {"bban": "2", "bankGiro": None, "new": 1},
        "errors": [],
    }
    before = deepcopy((ours, THEIRS))
    whole = merge_missing(VENDOR, ours, THEIRS)
    assert (ours, THEIRS) == before
    assert whole == {
        "name": "B",
        "addressCity": None,
        "errors": [],
        "defaultPaymentInfo": {
            "bban": "2",
            "bankGiro": None,
            "new": 1,
            "paymentTerm": {"count": 30, "unit": "DAYS"},
            "internationalBankAccount": {"iban": "LT12", "bic": "X"},
            "defaultMethod": "BBAN",
        },
        "externalId": "V1",
        "externalUpdatedAt": "2026-01-05T10:11:12.000",
        "taxInfo": {"taxId": "LT1", "is1099vendor": False},
        "externalData": THEIRS["externalData"],
    }
    # Written, it changes what ours says, and nothing else.
    paths = [change.path for change in diff(VENDOR, whole, THEIRS, readable=SHOWN, clears=True)]
    assert paths == [change.path for change in diff(VENDOR, ours, THEIRS, readable=SHOWN)]
    assert paths == ["name", "addressCity", "defaultPaymentInfo.bban", "errors"]


def test_completed_does_not_go_into_lists_and_free_form_objects() -> None:
    ours = {"errors": [{"message": "x"}], "externalData": {"a": 1}, "taxInfo": None}
    theirs = {"errors": [{"message": "y", "field": "z"}], "externalData": {"b": 2}, "taxInfo": {"taxId": "1"}}
    assert merge_missing(VENDOR, ours, theirs) == ours


def test_completed_takes_lists_without_what_can_only_be_read() -> None:
    theirs = {"errors": [{"message": "y", "id": 7, "field": None}, {"message": "w", "field": "z"}]}
    assert merge_missing(VENDOR, {}, theirs) == {"errors": [{"message": "y"}, {"message": "w", "field": "z"}]}


def test_completed_never_mixes_two_ways_to_look_up() -> None:
    theirs = {"vendor": {"internalId": "1", "externalId": "7", "name": "A", "state": "CONFIRMED"}}
    assert merge_missing(ORDER, {"vendor": {"externalId": "8"}}, theirs) == {"vendor": {"externalId": "8"}}
    assert merge_missing(ORDER, {}, theirs) == {"vendor": {"internalId": "1"}}
    assert merge_missing(ORDER, {}, {"vendor": {"internalId": None, "externalId": "7"}}) == {
        "vendor": {"externalId": "7"}
    }


IDS = ("payerExternalId", "payerInternalId", "externalId", "internalId", "external")
TWINS = ObjectSchema.of(
    {"required": ["payerInternalId"], "properties": {name: {"type": ["string", "null"]} for name in IDS}}
)


@pytest.mark.parametrize(
    ("ours", "parted"),
    [
        ({}, {}),
        ({"payerExternalId": "a", "external": "x"}, {}),
        ({"payerExternalId": "x"}, {"payerInternalId": None}),  # required, so named as null
        ({"payerExternalId": None}, {"payerInternalId": None}),
        ({"payerInternalId": "x"}, {"payerExternalId": ...}),
        ({"externalId": "x"}, {"internalId": ...}),
        ({"internalId": "x"}, {"externalId": ...}),
    ],
)
def test_completed_never_pairs_the_ids_of_two_things(ours: dict[str, Any], parted: dict[str, Any]) -> None:
    """The other id of a thing is theirs only if ours and theirs agree on the one."""
    theirs = dict(zip(IDS, "a1b2c", strict=True))
    whole = {**theirs, **ours, **parted}
    assert merge_missing(TWINS, ours, theirs) == {name: value for name, value in whole.items() if value is not ...}


@pytest.mark.parametrize(("bank", "account"), [("bic", "iban"), ("bankCode", "bankAccountNum")])
def test_no_new_account_goes_with_the_bank_of_the_old_one(bank: str, account: str) -> None:
    schema = ObjectSchema.of({"properties": {name: {"type": ["string", "null"]} for name in (bank, account)}})
    theirs = {bank: "HABALT22", account: "1"}
    assert merge_missing(schema, {account: "2"}, theirs) == {account: "2"}
    assert merge_missing(schema, {account: "1"}, theirs) == theirs
    assert merge_missing(schema, {account: "2", bank: "B"}, theirs) == {account: "2", bank: "B"}
    assert merge_missing(schema, {bank: "B"}, theirs) == {account: "1", bank: "B"}
    assert merge_missing(schema, {}, theirs) == theirs


def test_an_id_that_neither_side_has_parts_nothing() -> None:
    theirs = {"payerExternalId": None, "payerInternalId": "1"}
    assert merge_missing(TWINS, {"payerExternalId": None}, theirs) == theirs


def test_completed_writes_in_the_types_of_the_body() -> None:
    theirs = {
        "totalAmount": Decimal("1.50"),
        "lineItems": [{"amount": Decimal("1.50"), "index": 0}],
        "refNumber": "x" * 300,
    }
    assert merge_missing(INVOICE, {}, theirs) == {
        "totalAmount": "1.50",
        "lineItems": [{"amount": "1.50", "index": 0}],
        "refNumber": "x" * 300,  # longer than the contract allows, but the service has it
    }


def test_completed_sends_null_only_where_it_must() -> None:
    schema = ObjectSchema.of(
        {
            "required": ["must", "never"],
            "properties": {
                "must": {"type": ["string", "null"]},
                "never": {"type": "string"},
                "may": {"type": ["string", "null"]},
            },
        }
    )
    assert merge_missing(schema, {}, {"must": None, "never": None, "may": None}) == {"must": None}
    assert merge_missing(schema, {}, {}) == {}
    assert (
        merge_missing(VENDOR, {}, {"taxInfo": {"taxId": None}, "defaultPaymentInfo": {"paymentTerm": {"count": None}}})
        == {}
    )
