"""Ids and keys: a blank one is missing, and what is invisible around one makes no other; texts keep theirs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ap_connectors.core.validate import id_text
from ap_connectors.singer.schema import ChoiceSchema, ListSchema, ObjectSchema, ScalarSchema, Schema
from ap_connectors.vicai import contract
from target_vicai.item import IdFields, as_meant
from tests.campaign import one_in
from tests.target_vicai.cases_documents import order_line
from tests.target_vicai.conftest import Record, Target, load
from tests.target_vicai.scene import AT, LONG
from tests.target_vicai.store import Store
from tests.target_vicai.test_load_deletes import full, owned

BLANKS = [
    " ",
    "   ",
    "\t",
    "\r\n",
    "\u00a0",
    "\u2003 \u3000",
    "\u200b",
    "\ufeff",
    "\u2060",
    "\u202a\u202c",
    "\0",
    "\u2800",
    "",
]


def vendor(key: Any, name: str = "UAB", **changed: Any) -> Record:
    return {"externalId": key, "externalUpdatedAt": AT, "name": name} | changed


@pytest.mark.parametrize("blank", BLANKS, ids=ascii)
def test_what_is_around_an_id(blank: str) -> None:
    assert id_text(blank) == ""
    for inside in ("V-1", "V 1", "V\u00a01", "Ž\u200d1", "ą"):
        assert id_text(f"{blank}{inside}{blank}") == inside


def test_which_texts_are_ids() -> None:
    padded = " 1 "
    record = {
        "externalId": padded,
        "name": padded,
        "taxId": padded,
        "code": padded,
        "vendor": {"internalId": padded, "name": padded},
        "creditAccount": {"externalId": "\u3000"},
        "lineItems": [
            {
                "description": padded,
                "amount": Decimal("1.10"),
                "costAccount": {"number": padded},
                "vat": {"code": padded},
                "dimensions": [{"externalId": " "}, {"externalId": padded}],
                "dimensionsExternalIds": [padded, "\t", None],
                "costAccountExternalId": None,
            }
        ],
        "remoteData": {"externalId": padded, "id": " "},
        "externalData": {"externalId": padded},
        "taxInfo": {},
    }
    assert as_meant(record, {"name"}) == {
        "externalId": "1",
        "name": "1",
        "taxId": padded,
        "code": padded,
        "vendor": {"internalId": "1", "name": padded},
        "lineItems": [
            {
                "description": padded,
                "amount": Decimal("1.10"),
                "costAccount": {"number": "1"},
                "vat": {"code": "1"},
                "dimensions": [{"externalId": "1"}],
                "dimensionsExternalIds": ["1", None],
                "costAccountExternalId": None,
            }
        ],
        "remoteData": {"externalId": padded, "id": " "},
        "externalData": {"externalId": padded},
        "taxInfo": {},
    }


def test_a_blank_key_is_missing(store: Store, target: Target) -> None:
    """Of any kind of white space; two vendors with such keys are not one."""
    run = target(load("vendors", *(vendor(blank, f"UAB {n}") for n, blank in enumerate(BLANKS))), expect=1)
    assert [one["rejected"]["code"] for one in run.rejects] == ["missing_key"] * len(BLANKS)
    assert run.writes == []
    store.untouched()


@one_in(3)
@pytest.mark.parametrize(
    ("stream", "record"),
    [
        ("accounts", {"externalId": " ", "externalUpdatedAt": AT, "number": "1", "name": "Kasa"}),
        ("vendor_groups", {"name": "\u00a0"}),
        ("tags", {"value": " "}),
        ("payment_terms", {"name": "\t", "daysToPay": 1}),
        ("tax_codes", {"code": " ", "description": "x", "rate": "0.1"}),
        ("vendor_tags", {"vendorExternalId": " ", "tagValue": "EHF"}),
        ("vendor_tags", {"vendorExternalId": "50000", "tagValue": "\u2003"}),
        ("purchase_orders", {"externalId": " ", "poNumber": "\u3000"}),
        ("training_invoices", {"externalId": " ", "externalUpdatedAt": AT, "transactionType": "INVOICE"}),
        ("invoices", {"externalId": " ", "transactionType": "INVOICE", "refNumber": "1"}),
        ("invoice_confirmations", {"internalId": " ", "externalId": "1", "externalUpdatedAt": AT}),
        ("invoice_rejections", {"internalId": " ", "reason": "x"}),
        ("vendor_errors", {"internalId": " ", "errors": []}),
    ],
)
def test_in_every_stream(store: Store, target: Target, stream: str, record: Record) -> None:
    run = target(load(stream, record), expect=1)
    assert [one["rejected"]["code"] for one in run.rejects] == ["missing_key"]
    store.untouched()


def test_a_padded_key_is_the_same_key(store: Store, target: Target) -> None:
    spellings = ["V-1", "V-1   ", "\u00a0V-1", "\tV-1\r\n", "\ufeffV-1"]
    target(load("vendors", *(vendor(key, f"UAB {n}") for n, key in enumerate(spellings))))
    (made,) = store.change().only(vendors=(1, 0, 0)).added("vendors")
    assert (made["externalId"], made["name"]) == ("V-1", f"UAB {len(spellings) - 1}")


def test_texts_keep_what_is_around_them(store: Store, target: Target) -> None:
    target(load("vendors", vendor(" V-1 ", "  UAB  ", phone=" +370 ")))
    (made,) = store.change().only(vendors=(1, 0, 0)).added("vendors")
    assert (made["externalId"], made["name"], made["phone"]) == ("V-1", "  UAB  ", " +370 ")


def test_padded_references_find_what_they_mean(store: Store, target: Target) -> None:
    dimension = next(one for one in store.all("dimensions") if one.get("externalId"))["externalId"]
    line = order_line(1, "2", "5.00", "10.00")
    order = {
        "externalId": "UZS-1 ",
        "poNumber": " 1",
        "issuedOn": "2026-03-01",
        "vendorExternalId": "V-1   ",
        "lineItems": [line | {"dimensionsExternalIds": [f"{dimension}  ", "   "]}],
    }
    run = target(
        [
            *load("purchase_orders", order),
            *load("vendor_tags", {"vendorExternalId": "\u00a0V-1", "tagValue": "Žyma  "}),
            *load("vendors", vendor("V-1", paymentTermName="Terminas  ", vendorGroupName=" ")),
            *load("payment_terms", {"name": "Terminas   ", "daysToPay": 3}),
            *load("tags", {"value": " Žyma"}),
        ]
    )
    assert run.report["total"]["rejected"] == 0
    change = store.change().only(
        vendors=(1, 0, 0), paymentTerms=(1, 0, 0), tags=(1, 0, 0), vendorTags=(1, 0, 0), purchaseOrders=(1, 0, 0)
    )
    (made,), (term,), (po,) = (change.added(one) for one in ("vendors", "paymentTerms", "purchaseOrders"))
    assert (term["name"], made["paymentTermId"]) == ("Terminas", term["id"])
    assert (po["externalId"], po["poNumber"], po["vendor"]["externalId"]) == ("UZS-1", "1", "V-1")
    assert [one["externalId"] for one in po["lineItems"][0]["dimensions"]] == [dimension]


def _padded(schema: Schema, text: str) -> Any:
    """Return a value whose texts, wherever a schema allows any, are all the same; with fields that it does not have."""
    if isinstance(schema, ChoiceSchema):
        return _padded(schema.alternatives[-1], text)
    if isinstance(schema, ListSchema):
        return [_padded(schema.items, text), _padded(schema.items, "1")]
    if isinstance(schema, ObjectSchema):
        members = {name: _padded(member, text) for name, member in schema.members.items()}
        return members | {"otherId": text, "other": {"externalId": text, "name": text}}
    assert isinstance(schema, ScalarSchema)
    if schema.kind in ("object", "any"):
        return {"externalId": text, "parts": [{"code": text, "text": text}]}
    return {"boolean": True, "integer": 1}.get(schema.kind, text)


@pytest.mark.parametrize("text", ["1", " 1\u200b", " "])
def test_ids_are_found_by_the_schema_as_without_it(text: str) -> None:
    found = 0
    for operation in contract.operations().values():
        for schema in (Schema.of(contract.inlined(body)) for body in operation.body.values()):
            if isinstance(schema, ObjectSchema):
                whole = _padded(schema, text)
                known = {name: value for name, value in whole.items() if name in schema.members}
                for record in (whole, known, {}, dict.fromkeys(known)):
                    assert IdFields(schema, {"name"}).as_meant(record) == as_meant(record, {"name"}), operation.name
                found += as_meant(known, {"name"}) is not known
    assert found == 0 if text == "1" else found > 20


def test_a_name_that_vic_has_padded_is_found(store: Store, target: Target) -> None:
    """As 0.1.0 wrote them, or a person: the group is renamed, not doubled."""
    target([*load("vendor_groups", {"name": "Grupė"})])
    store.look()
    held = store.one("vendorGroups", name="Grupė")
    store.vicai.control.vicai.touch("vendorGroups", [held["id"]], name="Grupė   ")
    store.look()
    target(load("vendor_groups", {"name": "Grupė "}))
    ((_, found),) = store.change().only(vendorGroups=(0, 1, 0)).changed("vendorGroups")
    assert found["name"] == "Grupė"


def test_a_mirror_deletes_no_record_whose_key_was_padded(store: Store, target: Target) -> None:
    accounts = [one | {"externalId": f" {one['externalId']}  "} for one in owned(store, "accounts")]
    # One that cannot be read shows its key all the same.
    accounts[0]["name"] = LONG
    run = target(full("accounts", accounts), deletes="mirror", max_rejects=1)
    assert run.counts("accounts")["deleted"] == 0
    assert run.counts("accounts")["rejected"] == 1
    store.untouched()
