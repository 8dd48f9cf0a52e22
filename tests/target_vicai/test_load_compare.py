"""A record is compared with Vic's copy once; what was compared counts only as long as nothing of it has changed."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.singer.sink import Outcome
from target_vicai.compared_sink import ComparedSink, Comparison
from target_vicai.item import Item
from target_vicai.purchase_orders import PurchaseOrders
from target_vicai.streams import ALL
from target_vicai.target import TargetVicai
from tests.target_vicai.cases_documents import order_line
from tests.target_vicai.conftest import PREFIX, Record, Target, lines, load, settings
from tests.target_vicai.scene import AT, LATER, without
from tests.target_vicai.store import Store
from tests.target_vicai.test_load_deletes import owned

TERMS = ("Sąlyga A", "Sąlyga B")


@pytest.fixture
def loader(vicai: SandboxProcess, tmp_path: Path) -> TargetVicai:
    """The target, in this process; the client's calls go to the sandbox."""
    return made(vicai, tmp_path)


def made(vicai: SandboxProcess, folder: Path, **changed: Any) -> TargetVicai:
    files = {"rejects_path": str(folder / "rejects.jsonl"), "report_path": str(folder / "report.json")}
    return TargetVicai(config=settings(vicai, folder) | files | changed)


@pytest.fixture
def comparisons(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often records of each stream were compared with Vic's copy."""
    counted: Counter[str] = Counter()

    def count(sink: Any, name: str) -> None:
        compare: Callable[..., Any] = getattr(sink, name)

        def counting(self: ComparedSink, *arguments: Any) -> Any:
            counted[self.name] += 1
            return compare(self, *arguments)

        monkeypatch.setattr(sink, name, counting)

    # On a slow machine what was compared may be old by the time it is written, and is compared anew then.
    monkeypatch.setattr("target_vicai.compared_sink._FRESH_SECONDS", 3600.0)
    count(ComparedSink, "changes")
    count(PurchaseOrders, "_plan")
    return counted


def order(number: int, **changed: Any) -> Record:
    return {
        "externalId": f"UZS-{number}",
        "poNumber": f"N-{number}",
        "issuedOn": "2026-03-01",
        "vendorExternalId": "50000",
        "description": "Kėdės",
        "lineItems": [order_line(1, "2", "5.00", "10.00")],
    } | changed


def test_every_record_is_compared_once(
    vicai: SandboxProcess,
    store: Store,
    target: Target,
    tmp_path: Path,
    comparisons: Counter[str],
) -> None:
    """Equal and changed ones: on the main thread, or by the thread that writes, but not by both."""
    target([*load("payment_terms", *({"name": name, "daysToPay": 7} for name in TERMS))])
    target(load("purchase_orders", *map(order, range(4))))
    store.look()
    accounts = owned(store, "accounts")[:60]
    vendors = [without(one, "paymentTermId") | {"paymentTermName": TERMS[0]} for one in owned(store, "vendors")[:30]]
    orders = [order(number) for number in range(4)]
    terms = [{"name": name, "daysToPay": 7} for name in TERMS]
    for changed, field in ((accounts[::2], "name"), (vendors[::3], "phone"), (orders[::2], "description")):
        for one in changed:
            one[field] = "Pakeista"
    terms[1]["daysToPay"] = 8
    everything = {"accounts": accounts, "payment_terms": terms, "vendors": vendors, "purchase_orders": orders}
    messages = [message for stream, records in everything.items() for message in load(stream, *records)]
    made(vicai, tmp_path).run(io.TextIOWrapper(io.BytesIO(lines(messages))))
    report = json.loads((tmp_path / "report.json").read_text())["streams"]
    assert {name: counts["updated"] for name, counts in report.items()} == {
        "accounts": 30,
        "payment_terms": 1,
        # The payment term is new to all of them.
        "vendors": 30,
        "purchase_orders": 2,
    }
    assert comparisons == {stream: len(records) for stream, records in everything.items()}


# What was compared is compared anew when it is out of date


class Step:
    """One record between `compare` and `apply`."""

    def __init__(self, target: TargetVicai, stream: str, record: Record) -> None:
        sink = target.sink_for(stream)
        assert isinstance(sink, ComparedSink)
        self.sink, self.item = sink, sink.parse(record, None)
        # The list is read, as in every load of some size; only then records are compared on the main thread.
        sink.context.cache(stream).by_key("")
        self.compared = sink.compare(self.item)

    def apply(self) -> Outcome:
        assert not isinstance(self.compared, Outcome)
        return self.sink.apply(self.item, self.compared)


def vendor(**changed: Any) -> Record:
    return {"externalId": "T-1", "externalUpdatedAt": AT, "name": "UAB", "paymentTermName": TERMS[0]} | changed


def test_a_parent_that_was_made_anew_meanwhile(store: Store, target: Target, loader: TargetVicai) -> None:
    """The payment term was deleted and created again: the vendor gets the new one's id."""
    term = {"name": TERMS[0], "daysToPay": 7}
    target([*load("payment_terms", term), *load("vendors", vendor())])
    store.look()
    waiting = Step(loader, "vendors", vendor(paymentTermName=TERMS[0], phone="+370"))
    assert waiting.compared is not None
    old = store.one("paymentTerms", name=TERMS[0])["id"]
    vendor_free = Step(loader, "vendors", vendor(paymentTermName=None))
    vendor_free.apply()
    gone = Step(loader, "payment_terms", term)
    gone.sink.delete(gone.item)
    again = Step(loader, "payment_terms", term | {"daysToPay": 9})
    assert again.apply().effect == "created"
    assert waiting.apply().effect == "updated"
    store.look()
    new = store.one("paymentTerms", name=TERMS[0])["id"]
    assert new != old
    found = store.one("vendors", externalId="T-1")
    assert (found["paymentTermId"], found["phone"]) == (new, "+370")


def test_a_parent_that_comes_later(store: Store, loader: TargetVicai) -> None:
    waiting = Step(loader, "vendors", vendor())
    assert waiting.compared is None, "nothing to compare with: the term is not there"
    assert Step(loader, "payment_terms", {"name": TERMS[0], "daysToPay": 7}).apply().effect == "created"
    assert waiting.apply().effect == "created"
    change = store.change().only(paymentTerms=(1, 0, 0), vendors=(1, 0, 0))
    assert change.added("vendors")[0]["paymentTermId"] == change.added("paymentTerms")[0]["id"]


def test_a_change_of_the_same_object_in_between(store: Store, loader: TargetVicai) -> None:
    """Two records of one vendor, both compared before either is written: the second keeps what the first wrote."""
    held = next(one for one in store.all("vendors") if one.get("externalId"))
    part = {name: held[name] for name in ("externalId", "externalUpdatedAt", "name")}
    first, second = (Step(loader, "vendors", part | one) for one in ({"phone": "1"}, {"email": "a@b.example"}))
    assert first.apply().effect == "updated"
    assert second.apply().effect == "updated"
    store.look()
    found = store.one("vendors", externalId=held["externalId"])
    assert (found["phone"], found["email"]) == ("1", "a@b.example")
    third = Step(loader, "vendors", part | {"phone": "2"}).compared
    assert isinstance(third, Comparison)
    assert [change.path for change in third.changes] == ["phone"]


def test_two_records_that_name_one_order_in_two_ways(store: Store, target: Target, loader: TargetVicai) -> None:
    """By the ERP's id and by the number: each keeps what the other wrote, and the order stays one."""
    target(load("purchase_orders", order(1)))
    store.look()
    by_id = Step(loader, "purchase_orders", order(1, description="Stalai"))
    number = {name: value for name, value in order(1).items() if name not in {"externalId", "description"}}
    by_number = Step(loader, "purchase_orders", number | {"lineItems": [order_line(1, "3", "5.00", "15.00")]})
    assert by_id.apply().effect == by_number.apply().effect == "updated"
    ((_, found),) = store.change().only(purchaseOrders=(0, 1, 0)).changed("purchaseOrders")
    assert (found["description"], found["amount"]) == ("Stalai", "15.00")


def test_two_new_records_of_one_order(store: Store, loader: TargetVicai) -> None:
    """Neither was there when they were compared: the second finds what the first created."""
    by_id = Step(loader, "purchase_orders", order(1))
    number = {name: value for name, value in order(1).items() if name != "externalId"}
    by_number = Step(loader, "purchase_orders", number | {"description": "Stalai"})
    assert by_id.apply().effect == "created"
    assert by_number.apply().effect == "updated"
    assert store.change().only(purchaseOrders=(1, 0, 0)).added("purchaseOrders")[0]["description"] == "Stalai"


def test_a_copy_that_has_become_old_is_read_again(
    vicai: SandboxProcess, store: Store, loader: TargetVicai, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the record waited for its turn somebody gave the vendor a phone: it is not sent back without."""
    held = next(one for one in store.all("vendors") if one.get("externalId"))
    waiting = Step(
        loader, "vendors", {name: held[name] for name in ("externalId", "name")} | {"externalUpdatedAt": LATER}
    )
    vicai.control.vicai.touch("vendors", [held["internalId"]], phone="+370 5 9")
    monkeypatch.setattr("target_vicai.compared_sink._FRESH_SECONDS", 0.0)
    vicai.control.clear_calls()
    assert waiting.apply().effect == "updated"
    calls = [(call["method"], call["path"].removeprefix(PREFIX)) for call in vicai.control.calls()]
    assert calls == [(method, f"/vendors/{held['externalId']}") for method in ("GET", "PUT")]
    store.look()
    assert store.one("vendors", externalId=held["externalId"])["phone"] == "+370 5 9"


def test_one_that_somebody_deleted_meanwhile_is_created(
    store: Store, target: Target, loader: TargetVicai, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = {"externalId": "K-1", "externalUpdatedAt": AT, "number": "1", "name": "Sena"}
    target(load("accounts", account))
    store.look()
    waiting = Step(loader, "accounts", account | {"name": "Nauja"})
    target(load("accounts", account | {"_sdc_deleted_at": AT}), deletes="records")
    monkeypatch.setattr("target_vicai.compared_sink._FRESH_SECONDS", 0.0)
    assert waiting.apply().effect == "created"
    store.look()
    assert store.one("accounts", externalId="K-1")["name"] == "Nauja"


def test_a_tag_that_another_record_attached_meanwhile(store: Store, loader: TargetVicai) -> None:
    """Named by Vic's ids and by natural keys: one tag of one vendor, and one call."""
    tagged = {one["vendorId"] for one in store.all("vendorTags")}
    held = next(one for one in store.all("vendors") if one.get("externalId") and one["internalId"] not in tagged)
    tag = store.all("tags")[0]
    by_id = Step(loader, "vendor_tags", {"vendorId": held["internalId"], "tagId": tag["id"]})
    by_key = Step(loader, "vendor_tags", {"vendorExternalId": held["externalId"], "tagValue": tag["value"]})
    assert by_id.apply().effect == "created"
    assert by_key.apply().effect == "unchanged"
    store.change().only(vendorTags=(1, 0, 0))


def test_a_record_that_had_to_wait_is_compared_anew(loader: TargetVicai, monkeypatch: pytest.MonkeyPatch) -> None:
    """The base hands a comparison to the first try only: what the record waited for may have changed everything."""
    handed: list[Any] = []
    sink = loader.sink_for("accounts")
    assert isinstance(sink, ComparedSink)

    def apply(item: Item, compared: Any = None) -> Outcome:
        handed.append(compared)
        if len(handed) == 1:
            raise loader.context.missing([("dimensions", "D-1")])
        return Outcome("created")

    monkeypatch.setattr(sink, "compare", lambda item: structs.replace(item, key="compared"))
    monkeypatch.setattr(sink, "apply", apply)
    account = {"externalId": "K-1", "externalUpdatedAt": AT, "number": "1", "name": "Nauja"}
    dimension = {"externalId": "D-1", "externalUpdatedAt": AT, "name": "Tiltas"}
    messages = [*load("accounts", account), *load("dimensions", dimension)]
    loader.run(io.TextIOWrapper(io.BytesIO(lines(messages))))
    assert [one and one.key for one in handed] == ["compared", None]


def test_only_comparing_sinks_hand_on() -> None:
    comparing = {sink.name for sink in ALL if issubclass(sink, ComparedSink)}
    known = {
        "accounts",
        "dimensions",
        "vat_codes",
        "vendors",
        "vendor_groups",
        "tags",
        "payment_terms",
        "tax_codes",
        "vendor_tags",
        "purchase_orders",
    }
    assert comparing == known, f"Add these here if they compare without a request: {sorted(comparing ^ known)}"
