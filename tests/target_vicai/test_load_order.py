"""Parents before children whatever comes first, one object for equal records, and the last change of one wins."""

from __future__ import annotations

import itertools
import json
import random
import re
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.campaign import one_in, seeds
from tests.target_vicai.cases_documents import order_line
from tests.target_vicai.conftest import PREFIX, Record, Target, command, lines, load, record, state
from tests.target_vicai.scene import AT
from tests.target_vicai.store import Store, covers

VENDORS = ("T-1", "T-2", "T-3")


def vendor(key: str, **more: Any) -> Record:
    named = {"vendorGroupName": "Nauja grupė", "paymentTermName": "Per savaitę"}
    return {"externalId": key, "externalUpdatedAt": AT, "name": f"UAB {key}"} | named | more


def order(number: int, vendor_id: str) -> Record:
    line = order_line(1, "2", "5.00", "10.00") | {"dimensions": [{"externalId": f"PRJ-{number}"}]}
    return {
        "externalId": f"UZS-{number}",
        "poNumber": f"{number}",
        "issuedOn": "2026-03-01",
        "vendorExternalId": vendor_id,
        "amount": "10.00",
        "lineItems": [line],
    }


def dimension(number: int) -> Record:
    return {"externalId": f"PRJ-{number}", "externalUpdatedAt": AT, "name": f"Projektas {number}", "type": "PROJECT"}


FAMILY: dict[str, list[Record]] = {
    "vendor_groups": [{"name": "Nauja grupė"}],
    "payment_terms": [{"name": "Per savaitę", "daysToPay": 7}],
    "tags": [{"value": "Nauja žyma"}, {"value": "Kita žyma"}],
    "vendors": [vendor(key) for key in VENDORS],
    "vendor_tags": [
        {"vendorExternalId": key, "tagValue": tag} for key in VENDORS for tag in ("Nauja žyma", "Kita žyma", "EHF")
    ],
    "dimensions": [dimension(number) for number in range(3)],
    "purchase_orders": [order(number, key) for number, key in enumerate(VENDORS)],
}
"""Parents first; every record but those of the first three streams refers to one of another stream."""
RESOURCE_OF = {
    "vendor_groups": "vendorGroups",
    "payment_terms": "paymentTerms",
    "tax_codes": "taxCodes",
    "vendor_tags": "vendorTags",
    "purchase_orders": "purchaseOrders",
}


def check_family(store: Store) -> None:
    """All of the family is there, once, and refers to itself."""
    counts = {RESOURCE_OF.get(stream, stream): (len(records), 0, 0) for stream, records in FAMILY.items()}
    change = store.change().only(**counts)
    (group,), (term,) = change.added("vendorGroups"), change.added("paymentTerms")
    vendors = {one["externalId"]: one for one in change.added("vendors")}
    assert set(vendors) == set(VENDORS)
    for one in vendors.values():
        assert (one["vendorGroupId"], one["paymentTermId"]) == (group["id"], term["id"])
    tags = {one["value"]: one["id"] for one in store.all("tags")}
    assert {(one["vendorId"], one["tagId"]) for one in change.added("vendorTags")} == {
        (vendors[given["vendorExternalId"]]["internalId"], tags[given["tagValue"]]) for given in FAMILY["vendor_tags"]
    }
    for one in change.added("purchaseOrders"):
        (given,) = [order for order in FAMILY["purchase_orders"] if order["externalId"] == one["externalId"]]
        assert one["vendor"]["externalId"] == given["vendorExternalId"]
        assert covers(one["lineItems"], given["lineItems"])


def test_children_before_parents(store: Store, target: Target) -> None:
    messages = [message for stream in reversed(FAMILY) for message in load(stream, *FAMILY[stream])]
    run = target([*messages, state(1)])
    assert run.states == [{"n": 1}]
    assert not run.rejects
    check_family(store)
    assert target([*messages, state(2)]).writes == []


@seeds(range(6))
def test_any_order(store: Store, target: Target, seed: int) -> None:
    """Streams mixed with one another, as some taps write them."""
    dice = random.Random(seed)
    messages = [load(stream, *records)[0] for stream, records in FAMILY.items()]
    mixed = [record(stream, **one) for stream, records in FAMILY.items() for one in records]
    dice.shuffle(messages)
    dice.shuffle(mixed)
    for number, message in enumerate(mixed):
        messages += [message, state(number)]
    run = target(messages, max_concurrency=dice.choice([1, 4, 20]))
    numbers = [value["n"] for value in run.states]
    assert numbers == sorted(numbers)
    assert numbers[-1] == len(mixed) - 1
    assert not run.rejects
    check_family(store)


@one_in(3)
@pytest.mark.parametrize("streams", [*itertools.permutations(["tags", "vendors", "vendor_tags"])])
def test_all_orders_of_three(store: Store, target: Target, streams: tuple[str, ...]) -> None:
    mine = {
        "tags": [{"value": "Nauja"}],
        "vendors": [{"externalId": "T-1", "externalUpdatedAt": AT, "name": "UAB"}],
        "vendor_tags": [{"vendorExternalId": "T-1", "tagValue": "Nauja"}],
    }
    assert not target([message for stream in streams for message in load(stream, *mine[stream])]).rejects
    store.change().only(tags=(1, 0, 0), vendors=(1, 0, 0), vendorTags=(1, 0, 0))


def test_a_state_waits_for_what_is_parked(vicai: SandboxProcess, store: Store, tmp_path: Path) -> None:
    """A STATE after a record without its parent comes out only when the parent has come."""
    asked = command(vicai, tmp_path, {})
    done = threading.Event()
    with subprocess.Popen(asked, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        source, out = process.stdout, list[bytes]()

        def read() -> None:
            out.extend(source)
            done.set()

        reader = threading.Thread(target=read)
        reader.start()
        process.stdin.write(lines([*load("vendors", vendor("T-1", paymentTermName="EHF-30")), state(1)]))
        process.stdin.flush()
        assert not done.wait(3)
        assert out == []
        store.untouched()
        process.stdin.write(lines([*load("vendor_groups", {"name": "Nauja grupė"})]))
        process.stdin.write(lines([*load("payment_terms", {"name": "EHF-30", "daysToPay": 30}), state(2)]))
        process.stdin.close()
        reader.join(60)
        assert process.wait(60) == 0
    assert [json.loads(text)["n"] for text in out][-1] == 2
    store.change().only(vendors=(1, 0, 0), vendorGroups=(1, 0, 0), paymentTerms=(1, 0, 0))


def test_a_parent_that_comes_while_its_child_is_refused(vicai: SandboxProcess, store: Store, tmp_path: Path) -> None:
    """Vic refuses the child, has the parent when we look, and the parent's own write is still under way here."""
    invoice = {
        "externalId": "TR-9",
        "externalUpdatedAt": AT,
        "transactionType": "INVOICE",
        "refNumber": "1",
        "vendorExternalId": "T-1",
        "documentBase64": "JVBERi0xLjQKYQolJUVPRgo=",
    }
    vicai.control.fault("drip", method="PUT", path=f"{PREFIX}/trainingInvoices/TR-9", seconds=1.5)
    vicai.control.fault("drip", method="PUT", path=f"{PREFIX}/vendors/T-1", seconds=4)
    asked = command(vicai, tmp_path, {})
    with subprocess.Popen(asked, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(lines(load("training_invoices", invoice)))
        process.stdin.flush()
        while not vicai.control.faults()[0]["hits"]:
            time.sleep(0.02)
        vendor_alone = {"externalId": "T-1", "externalUpdatedAt": AT, "name": "UAB"}
        _, err = process.communicate(lines(load("vendors", vendor_alone)), timeout=60)
    assert process.returncode == 0, err.decode()[-2000:]
    assert not (tmp_path / "rejects.jsonl").exists()
    store.change().only(vendors=(1, 0, 0), trainingInvoices=(1, 0, 0))


ORPHANS: list[tuple[str, Record, str]] = [
    ("vendors", vendor("T-1", paymentTermName=None), "(vendorGroupName|vendor group).*Nauja grupė"),
    ("vendors", vendor("T-2", vendorGroupName=None), "(paymentTermName|payment term).*Per savaitę"),
    ("vendor_tags", {"vendorExternalId": "NĖRA-1", "tagValue": "EHF"}, "vendor.*NĖRA-1"),
    ("vendor_tags", {"vendorExternalId": "50000", "tagValue": "Tokios nėra"}, "tag.*Tokios nėra"),
    ("purchase_orders", order(1, "NĖRA-2") | {"lineItems": [order_line(1, "2", "5", "10.00")]}, "vendor.*NĖRA-2"),
    ("purchase_orders", order(404, "50000"), "dimension.*PRJ-404"),
    (
        "training_invoices",
        {
            "externalId": "TR-9",
            "externalUpdatedAt": AT,
            "transactionType": "INVOICE",
            "refNumber": "1",
            "vendorExternalId": "NĖRA-3",
            "documentBase64": "JVBERi0xLjQK",
        },
        "vendor.*NĖRA-3",
    ),
]


def test_a_child_whose_parent_never_comes_is_rejected_with_that_reason(store: Store, target: Target) -> None:
    messages = [message for stream, child, _ in ORPHANS for message in load(stream, child)]
    run = target([*messages, *load("tags", {"value": "Kita"}), state(1)], expect=1)
    assert run.states == [{"n": 1}]
    store.change().only(tags=(1, 0, 0))
    rejects = {
        (message["stream"], message["rejected"]["line"]): message["rejected"]["reason"] for message in run.rejects
    }
    assert len(run.rejects) == len(ORPHANS)
    for number, (stream, _, said) in enumerate(ORPHANS):
        reason = rejects[stream, 2 * number + 2]
        assert re.search(said, reason), reason
    # With the parents before them, the rejects do their work.
    fixed = [
        *load("vendor_groups", *FAMILY["vendor_groups"]),
        *load("payment_terms", *FAMILY["payment_terms"]),
        *load("tags", {"value": "Tokios nėra"}),
        *load("dimensions", dimension(404)),
        *load("vendors", *(vendor(f"NĖRA-{number}") for number in (1, 2, 3))),
    ]
    assert not target([*run.reject_lines, *fixed]).rejects
    store.change().only(
        vendorGroups=(1, 0, 0),
        paymentTerms=(1, 0, 0),
        tags=(1, 0, 0),
        dimensions=(1, 0, 0),
        vendors=(5, 0, 0),
        vendorTags=(2, 0, 0),
        purchaseOrders=(2, 0, 0),
        trainingInvoices=(1, 0, 0),
    )


def test_a_child_of_a_rejected_parent_is_rejected_too(store: Store, target: Target) -> None:
    messages = [
        *load("vendor_tags", {"vendorExternalId": "T-1", "tagValue": "EHF"}),
        *load("vendors", vendor("T-1", vendorGroupName=None, paymentTermName=None, name="Ą" * 300)),
        state(1),
    ]
    run = target(messages, expect=1)
    assert [message["stream"] for message in run.rejects] in (["vendors", "vendor_tags"], ["vendor_tags", "vendors"])
    assert run.states == [{"n": 1}]
    store.untouched()
    # Both can be replayed as they lie there, once the parent is mended.
    for message in run.rejects:
        if message["stream"] == "vendors":
            message["record"]["name"] = "UAB"
    target(run.reject_lines)
    store.change().only(vendors=(1, 0, 0), vendorTags=(1, 0, 0))


@pytest.mark.parametrize("compare", ["vic", "none"])
def test_equal_records_make_one_object(vicai: SandboxProcess, store: Store, target: Target, compare: str) -> None:
    """Five times the same, at once, by twenty workers, with a slow service."""
    vicai.control.vicai.options(latency_ms=15)
    twice = {
        **FAMILY,
        "tax_codes": [{"code": "C-1", "description": "Mokestis", "rate": "0.210"}],
        "accounts": [{"externalId": "K-1", "externalUpdatedAt": AT, "number": "1", "name": "S"}],
    }
    messages = [message for stream, records in twice.items() for message in load(stream, *records, *records, *records)]
    run = target([*messages, *messages, state(1)], max_concurrency=20, compare=compare)
    vicai.control.vicai.options(latency_ms=0)
    assert not run.rejects
    counts = {RESOURCE_OF.get(stream, stream): (len(records), 0, 0) for stream, records in twice.items()}
    store.change().only(**counts)


VERSIONED: dict[str, tuple[str, Record, str]] = {
    "accounts": ("accounts", {"externalId": "K-1", "externalUpdatedAt": AT, "number": "1"}, "name"),
    "dimensions": ("dimensions", {"externalId": "D-1", "externalUpdatedAt": AT}, "name"),
    "vendors": ("vendors", {"externalId": "T-1", "externalUpdatedAt": AT}, "name"),
    "vat_codes": ("vatCodes", {"externalId": "V-1", "externalUpdatedAt": AT, "code": "V"}, "description"),
    "payment_terms": ("paymentTerms", {"name": "Terminas", "daysToPay": 3}, "description"),
}


@pytest.mark.parametrize("compare", ["vic", "none"])
def test_of_many_changes_to_one_object_the_last_wins(
    vicai: SandboxProcess, store: Store, target: Target, compare: str
) -> None:
    """Thirty versions of five objects, mixed, by twenty workers: each ends as its last, and is one."""
    vicai.control.vicai.options(latency_ms=5)
    heads = [load(stream, given | {name: ""})[0] for stream, (_, given, name) in VERSIONED.items()]
    versions = [
        record(stream, **given, **{name: f"{number}-oji"})
        for number in range(30)
        for stream, (_, given, name) in VERSIONED.items()
    ]
    run = target([*heads, *versions, state(1)], max_concurrency=20, compare=compare)
    vicai.control.vicai.options(latency_ms=0)
    assert not run.rejects
    change = store.change().only(**{resource: (1, 0, 0) for resource, _, _ in VERSIONED.values()})
    for resource, _, name in VERSIONED.values():
        (shown,) = change.added(resource)
        assert shown[name] == "29-oji", resource


def test_a_change_and_its_opposite_are_both_done_in_order(store: Store, target: Target) -> None:
    """What equals Vic's copy at the start is no longer equal after a change in the same run."""
    account = store.all("accounts")[0]
    same = {name: account[name] for name in ("externalId", "externalUpdatedAt", "number", "name")}
    target(load("accounts", same | {"name": "Kitaip"}, same))
    ((before, after),) = store.change().only(accounts=(0, 1, 0)).changed("accounts")
    assert after["name"] == before["name"]


def test_names_may_be_renamed_and_used_again(store: Store, target: Target) -> None:
    """A tag is renamed, and a new one takes its old name: two objects in the end."""
    tag = store.one("tags", value="EHF")
    target(load("tags", {"id": tag["id"], "value": "EHF senas"}, {"value": "EHF"}))
    change = store.change().only(tags=(1, 1, 0))
    assert change.added("tags")[0]["value"] == "EHF"
    assert change.changed("tags")[0][1] == {"id": tag["id"], "value": "EHF senas"}


def test_one_bad_record_holds_no_other_up(store: Store, target: Target) -> None:
    """An object's later change is done though an earlier one was no good."""
    base = {"externalId": "K-1", "externalUpdatedAt": AT, "number": "1"}
    run = target([*load("accounts", base | {"name": "a"}, base | {"name": "Ą" * 300}, base | {"name": "b"})], expect=1)
    assert len(run.rejects) == 1
    (shown,) = store.change().only(accounts=(1, 0, 0)).added("accounts")
    assert shown["name"] == "b"
