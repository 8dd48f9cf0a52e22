"""What a load may delete: nothing unless told to, only what the ERP owns, and never more than a fraction of it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.target_vicai.cases_documents import order_line
from tests.target_vicai.conftest import PREFIX, Record, Target, fresh, load, record, schema, state, version
from tests.target_vicai.scene import AT, PDF, without
from tests.target_vicai.store import Store

GONE = "2026-03-03T12:00:00+00:00"
SHOWN = ("internalId", "internalUpdatedAt", "displayName", "description", "errors", "id")


def owned(store: Store, resource: str) -> list[Record]:
    """The records of a resource that the ERP knows, as it would send them again."""
    return [without(one, *SHOWN) for one in store.all(resource) if one.get("externalId")]


def deleted(**key: Any) -> Record:
    """What a tap that follows a log writes of a row that went: its key, and when; the rest is null or missing."""
    return key | {"name": None, "_sdc_deleted_at": GONE}


def full(stream: str, records: list[Record], number: int = 7) -> list[Record]:
    """A full-table load: all rows have a version, and then it is declared complete."""
    return [*load(stream, *records, number=number), version(stream, number), state(1)]


def deletes(run: Any) -> list[str]:
    return [path for method, path in run.writes if method == "DELETE"]


# Records that say they are deleted


def test_by_default_nothing_is_deleted(store: Store, target: Target) -> None:
    key = owned(store, "vendors")[0]["externalId"]
    run = target([*load("vendors", deleted(externalId=key)), version("vendors", 1), state(1)])
    assert run.writes == []
    assert run.states == [{"n": 1}]
    assert "deletes" in run.err, "says which setting would"
    store.untouched()


@pytest.mark.parametrize("setting", ["records", "mirror"])
def test_a_deleted_record_goes(store: Store, target: Target, setting: str) -> None:
    """By its natural key, whatever else the record holds; one that Vic has not is no news."""
    vendor, account, dimension, vat = (
        owned(store, name)[-1] for name in ("vendors", "accounts", "dimensions", "vatCodes")
    )
    tag, group, term = store.all("tags")[0], store.all("vendorGroups")[0], store.all("paymentTerms")[0]
    messages = [
        *load("accounts", deleted(externalId=account["externalId"]), deleted(externalId="K-0")),
        *load("vendors", vendor | {"_sdc_deleted_at": GONE}),
        *load("dimensions", {"external_id": dimension["externalId"], "_sdc_deleted_at": GONE}),
        *load("vat_codes", deleted(externalId=vat["externalId"])),
        state(1),
    ]
    run = target(messages, deletes=setting)
    assert run.states == [{"n": 1}]
    assert not run.rejects
    change = store.change()
    assert [one["externalId"] for one in change.removed("vendors")] == [vendor["externalId"]]
    tagged = len(change.parts.pop("vendorTags").removed) if "vendorTags" in change.parts else 0
    change.only(accounts=(0, 0, 1), vendors=(0, 0, 1), dimensions=(0, 0, 1), vatCodes=(0, 0, 1))
    assert run.counts("accounts")["deleted"] == 1
    assert run.counts("accounts")["unchanged"] == 1
    assert tagged <= 1
    assert deletes(target(messages, deletes=setting)) == []
    store.untouched()
    messages = [
        *load("tags", {"value": tag["value"], "_sdc_deleted_at": GONE}),
        *load("vendor_groups", {"id": group["id"], "name": group["name"], "_sdc_deleted_at": GONE}),
        *load("payment_terms", {"name": term["name"], "_sdc_deleted_at": GONE}),
    ]
    target(messages, deletes=setting)
    change = store.change()
    assert change.removed("tags") == [tag]
    assert change.removed("vendorGroups") == [group]
    assert change.removed("paymentTerms") == [term]


def test_the_mark_of_a_deleted_record_has_any_case(store: Store, target: Target) -> None:
    """A warehouse that writes all names in capitals writes this one so too."""
    key = owned(store, "dimensions")[-1]["externalId"]
    run = target(load("DIMENSIONS", {"EXTERNAL_ID": key, "_SDC_DELETED_AT": GONE}), deletes="records")
    assert not run.rejects
    store.change().only(dimensions=(0, 0, 1))


def test_a_deleted_order_and_a_deleted_vendor_tag_go(store: Store, target: Target) -> None:
    held = store.all("vendorTags")[0]
    vendor = store.one("vendors", internalId=held["vendorId"])
    tag = store.one("tags", id=held["tagId"])
    order = {
        "externalId": "UZS-1",
        "poNumber": "1",
        "issuedOn": "2026-03-01",
        "vendorExternalId": "50000",
        "amount": "10.00",
        "lineItems": [order_line(1, "2", "5.00", "10.00")],
    }
    target(load("purchase_orders", order))
    store.look()
    gone = {"vendorId": vendor["internalId"], "tagValue": tag["value"], "_sdc_deleted_at": GONE}
    run = target([*load("vendor_tags", gone), *load("purchase_orders", deleted(externalId="UZS-1"))], deletes="records")
    assert len(deletes(run)) == 2
    store.change().only(vendorTags=(0, 0, 1), purchaseOrders=(0, 0, 1))


def test_a_vendor_in_use_is_not_deleted_and_says_why(vicai: SandboxProcess, target: Target) -> None:
    fresh(vicai, invoices=12)
    store = Store(vicai)
    used = store.all("purchaseOrders")[0]["vendor"]["externalId"]
    run = target([*load("vendors", deleted(externalId=used)), state(1)], deletes="records", expect=1)
    assert run.states == [{"n": 1}]
    assert re.search("invoice|purchase order", run.reasons[0])
    store.untouched()


def test_what_vic_cannot_delete_is_told(store: Store, target: Target) -> None:
    code = store.all("taxCodes")[0]["code"]
    run = target(
        [*load("tax_codes", {"code": code, "_sdc_deleted_at": GONE}), state(1)], deletes="records", expect=None
    )
    assert run.writes == []
    assert re.search("tax_codes.*delete|delete.*tax", run.err + " ".join(run.reasons), re.IGNORECASE)
    store.untouched()


def test_a_lost_answer_to_a_delete_is_no_failure(vicai: SandboxProcess, store: Store, target: Target) -> None:
    key = owned(store, "accounts")[0]["externalId"]
    vicai.control.fault("lost", method="DELETE", path=f"{PREFIX}/accounts/{key}")
    run = target([*load("accounts", deleted(externalId=key)), state(1)], deletes="records")
    assert not run.rejects
    assert run.counts("accounts")["deleted"] == 1
    store.change().only(accounts=(0, 0, 1))


def test_deleted_and_back_again_in_one_load(store: Store, target: Target) -> None:
    """The last word on an object counts."""
    one, other = owned(store, "accounts")[:2]
    messages = [
        *load("accounts", deleted(externalId=one["externalId"]), one, other | {"name": "Kita"}),
        record("accounts", **deleted(externalId=other["externalId"])),
        state(1),
    ]
    run = target(messages, deletes="records")
    assert not run.rejects
    store.change()
    keys = {account.get("externalId") for account in store.all("accounts")}
    assert one["externalId"] in keys
    assert other["externalId"] not in keys


# A mirror of the whole table


def test_mirror_deletes_what_the_table_no_longer_has(store: Store, target: Target) -> None:
    """Three of the ERP's vendors are gone; those that it never knew are somebody else's and stay."""
    vendors = owned(store, "vendors")
    foreign = [vendor for vendor in store.all("vendors") if not vendor.get("externalId")]
    assert foreign
    run = target(full("vendors", vendors[3:]), deletes="mirror")
    assert run.states == [{"n": 1}]
    assert run.counts("vendors")["deleted"] == 3
    assert run.counts("vendors")["unchanged"] == len(vendors) - 3
    change = store.change()
    assert {one["externalId"] for one in change.removed("vendors")} == {one["externalId"] for one in vendors[:3]}
    change.parts.pop("vendorTags", None)
    change.only(vendors=(0, 0, 3))
    assert target(full("vendors", vendors[3:]), deletes="mirror").writes == []
    store.untouched()


@pytest.mark.parametrize("setting", ["ignore", "records"])
def test_a_version_deletes_nothing_unless_mirrored(store: Store, target: Target, setting: str) -> None:
    run = target(full("vendors", owned(store, "vendors")[3:]), deletes=setting)
    assert run.writes == []
    store.untouched()


@pytest.mark.parametrize("missing", [5, 36])
def test_mirror_refuses_more_than_a_fraction_before_it_deletes_anything(
    store: Store, target: Target, missing: int
) -> None:
    """36 vendors are the ERP's: 3 may go, 5 are more than a tenth. An empty table is a broken tap."""
    vendors = owned(store, "vendors")
    assert len(vendors) == 36
    messages = [schema("vendors", "externalId"), *full("vendors", vendors[missing:])[missing == 36 :]]
    run = target(messages, deletes="mirror", expect=1)
    assert deletes(run) == []
    words = " ".join(run.complaints)
    assert "max_delete_fraction" in words
    assert str(missing) in words
    assert "vendors" in words
    assert "Traceback" not in run.err
    store.untouched()


def test_mirror_goes_as_far_as_it_is_allowed(store: Store, target: Target) -> None:
    vendors = owned(store, "vendors")
    target(full("vendors", vendors[18:]), deletes="mirror", max_delete_fraction=0.5)
    assert len(store.change().removed("vendors")) == 18
    target(full("accounts", []), deletes="mirror", max_delete_fraction=1)
    change = store.change()
    assert len(change.removed("accounts")) == 130
    change.only(accounts=(0, 0, 130))


def test_the_rest_of_a_load_is_done_though_a_mirror_refuses(store: Store, target: Target) -> None:
    new = {"externalId": "K-1", "externalUpdatedAt": AT, "number": "1", "name": "Nauja"}
    messages = [*full("vendors", owned(store, "vendors")[20:]), *load("accounts", new)]
    target(messages, deletes="mirror", expect=1)
    store.change().only(accounts=(1, 0, 0))


def test_mirror_spares_what_it_could_not_read(store: Store, target: Target) -> None:
    """A record that is no good is in the table all the same."""
    vendors = owned(store, "vendors")
    spoilt = vendors[0] | {"name": "Ą" * 300}
    run = target(full("vendors", [spoilt, *vendors[2:]]), deletes="mirror", expect=1)
    assert len(run.rejects) == 1
    change = store.change()
    assert [one["externalId"] for one in change.parts["vendors"].removed] in ([], [vendors[1]["externalId"]])


def test_mirror_counts_only_rows_of_its_version(store: Store, target: Target) -> None:
    """Rows of an earlier, broken-off load are not of this one; without the word that it is complete nothing goes."""
    accounts = owned(store, "accounts")
    stale = load("accounts", *accounts[:2], number=6)
    now = load("accounts", *accounts[2:], number=7)[1:]
    run = target([*stale, *now, state(1)], deletes="mirror")
    assert run.writes == []
    store.untouched()
    target([*stale, *now, version("accounts", 7), state(1)], deletes="mirror")
    gone = store.change().only(accounts=(0, 0, 2)).removed("accounts")
    assert {one["externalId"] for one in gone} == {one["externalId"] for one in accounts[:2]}


@pytest.mark.parametrize(("stream", "resource"), [("tags", "tags"), ("vendor_groups", "vendorGroups")])
def test_mirror_leaves_what_has_no_external_id(store: Store, target: Target, stream: str, resource: str) -> None:
    """It does not say whose tag it is."""
    one = store.all(resource)[0]
    target(full(stream, [one]), deletes="mirror", max_delete_fraction=1, expect=None)
    store.untouched()


def test_mirror_of_records_with_new_ones_among_them(store: Store, target: Target) -> None:
    dimensions = owned(store, "dimensions")
    new = {"externalId": "PRJ-1", "externalUpdatedAt": AT, "name": "Naujas"}
    changed = dimensions[5] | {"name": "Kitas"}
    run = target(full("dimensions", [new, changed, *dimensions[6:], *dimensions[2:5]]), deletes="mirror")
    assert run.counts("dimensions")["deleted"] == 2
    store.change().only(dimensions=(1, 1, 2))


def test_mirror_is_stopped_by_an_outage(vicai: SandboxProcess, store: Store, target: Target) -> None:
    """Whether a row is in Vic is not known before it is written: nothing is deleted after a failure."""
    accounts = owned(store, "accounts")
    vicai.control.fault("status", status=503, method="PUT", path=f"{PREFIX}/accounts", times=10_000)
    run = target(full("accounts", [accounts[0] | {"name": "Kitas"}, *accounts[3:]]), deletes="mirror", expect=1)
    assert deletes(run) == []
    assert run.states == []
    vicai.control.clear_faults()
    store.untouched()


def test_mirrored_training_invoices_and_invoices_stay(vicai: SandboxProcess, target: Target, tmp_path: Any) -> None:
    """Vic does not tell whose invoices are whose in a list: history is never thrown away by a mirror."""
    fresh(vicai, invoices=12)
    store = Store(vicai)
    path = tmp_path / "s.pdf"
    path.write_bytes(PDF)
    for stream in ("training_invoices", "invoices"):
        target([schema(stream, "externalId"), version(stream, 1), state(1)], deletes="mirror", expect=None)
    store.untouched()
