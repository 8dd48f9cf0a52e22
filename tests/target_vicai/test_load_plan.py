"""`dry_run`: what would happen, as a table and as JSON; nothing is written, nothing acknowledged."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

from ap_connectors.sandbox.process import SandboxProcess
from tests.target_vicai.cases_documents import order_line
from tests.target_vicai.conftest import Message, Target, load, state, version
from tests.target_vicai.scene import AT, LATER, LONG, PDF
from tests.target_vicai.store import Store
from tests.target_vicai.test_load_deletes import GONE, full, owned

PLAIN = re.compile(r"\x1b\[[0-9;]*m")


def planned(store: Store) -> list[Message]:
    """Some of everything: new, changed, cleared, unchanged, deleted, rejected, parked."""
    account, other, third = owned(store, "accounts")[:3]
    vendor = next(one for one in owned(store, "vendors") if one.get("email") and one.get("phone"))
    tag = store.all("tags")[0]
    order = {
        "externalId": "UZS-1",
        "poNumber": "1",
        "issuedOn": "2026-03-01",
        "vendorExternalId": "T-1",
        "amount": "10.00",
        "lineItems": [order_line(1, "2", "5.00", "10.00")],
    }
    return [
        *load("vendor_tags", {"vendorExternalId": "T-1", "tagValue": "Nauja žyma"}),
        *load(
            "accounts",
            {"externalId": "K-1", "externalUpdatedAt": AT, "number": "1", "name": "Naujoji sąskaita"},
            account | {"name": "Pervadinta"},
            other,
            {"externalId": third["externalId"], "_sdc_deleted_at": GONE},
            {"externalId": "K-2", "externalUpdatedAt": AT, "number": "2", "name": LONG},
        ),
        state(1),
        *load(
            "vendors",
            {"externalId": "T-1", "externalUpdatedAt": AT, "name": "UAB Naujasis"},
            {"externalId": vendor["externalId"], "externalUpdatedAt": LATER, "name": vendor["name"], "email": None},
        ),
        *load("tags", {"id": tag["id"], "value": "Kitaip vadinama"}, {"value": "Nauja žyma"}),
        *load("purchase_orders", order),
        state(2),
    ]


def test_a_plan_writes_nothing(store: Store, target: Target) -> None:
    run = target(planned(store), dry_run=True, deletes="records", expect=1)
    assert run.writes == [], "not one call that could change something"
    assert run.out == "", "no STATE: nothing was done"
    store.untouched()


def test_a_plan_leaves_nothing_behind(store: Store, target: Target, tmp_path: Path) -> None:
    """No reject file, no ledger, no folder for them; and it does not say that anything was done."""
    places = {"rejects_path": str(tmp_path / "new" / "rejects.jsonl"), "ledger_path": str(tmp_path / "ledger.jsonl")}
    run = target(planned(store), dry_run=True, deletes="records", expect=1, **places)
    assert {path.name for path in tmp_path.iterdir()} == {"run1"}
    assert {path.name for path in (tmp_path / "run1").iterdir()} == {"config.json", "report.json"}
    assert run.report["rejects_path"] is None
    assert run.counts("accounts")["rejected"] == 1
    log, _, table = PLAIN.sub("", run.err).partition("Plan: ")
    figures = "accounts: 5 received, 1 would be created, 1 would be updated, 1 unchanged, 0 older, 1 would be deleted, "
    assert figures + "1 would be rejected, 0 failed" in log
    assert "Would be set aside: accounts K-2" in log
    assert "accounts: 1 would be created, 1 would be updated, 1 would be deleted, 1 would be rejected" in table
    assert run.complaints == ["1 record would be set aside; 0 are allowed (max_rejects). The plan names them."]
    assert not re.search(r"\d (created|updated|deleted|rejected)", run.err)


def test_a_plan_says_what_would_happen(store: Store, target: Target) -> None:
    messages = planned(store)
    account = owned(store, "accounts")[0]
    vendor = next(one for one in owned(store, "vendors") if one.get("email") and one.get("phone"))
    run = target(messages, dry_run=True, deletes="records", max_rejects=1)
    table = PLAIN.sub("", run.err)
    blocks = {text.partition(":")[0]: text for text in table.partition("Plan")[2].split("\n\n")[1:]}
    accounts = blocks["accounts"].splitlines()
    assert any("K-1" in text for text in accounts)
    assert any(account["externalId"] in text for text in accounts)
    (changed,) = [text for text in accounts if "Pervadinta" in text and "->" in text]
    assert re.search(f"name.*{re.escape(account['name'])}.*(->|→).*Pervadinta", changed), "old → new"
    assert any("K-2" in text and "name is longer" in text for text in accounts)
    assert owned(store, "accounts")[2]["externalId"] in blocks["accounts"], "it is to be deleted"
    assert owned(store, "accounts")[1]["externalId"] not in blocks["accounts"], "what stays as it is needs no row"
    assert re.search(f"email.*{re.escape(vendor['email'])}.*(->|→).*null", blocks["vendors"])
    assert "phone" not in blocks["vendors"]
    assert "T-1" in blocks["vendors"]
    assert re.search("EHF.*(->|→).*Kitaip vadinama", blocks["tags"])
    assert "Nauja žyma" in blocks["tags"]
    assert "T-1" in blocks["vendor_tags"]
    assert "UZS-1" in blocks["purchase_orders"]
    assert "Traceback" not in table


def test_a_plan_is_json_too(store: Store, target: Target) -> None:
    account = owned(store, "accounts")[0]
    run = target(planned(store), dry_run=True, deletes="records", max_rejects=1)
    counts = run.counts("accounts")
    told = {name: counts[name] for name in ("received", "created", "updated", "unchanged", "deleted", "rejected")}
    assert told == {"received": 5, "created": 1, "updated": 1, "unchanged": 1, "deleted": 1, "rejected": 1}
    assert (run.counts("vendors")["created"], run.counts("vendors")["updated"]) == (1, 1)
    assert run.counts("vendor_tags")["created"] == 1, "its parents would come in the same load"
    assert run.counts("purchase_orders")["created"] == 1
    found = json.dumps(run.report["plan"], ensure_ascii=False, default=str)
    for words in (account["externalId"], account["name"], "Pervadinta", "K-1", "K-2", "T-1", "UZS-1"):
        assert words in found, words
    assert run.report["dry_run"] is True


def test_a_plan_comes_true(store: Store, target: Target) -> None:
    """What was planned is what happens, and then there is nothing to plan."""
    messages = planned(store)
    plan = target(messages, dry_run=True, deletes="records", max_rejects=1)
    store.untouched()
    done = target(messages, deletes="records", max_rejects=1)
    for stream in ("accounts", "vendors", "tags", "vendor_tags", "purchase_orders"):
        for name in ("received", "created", "updated", "unchanged", "deleted", "rejected"):
            assert plan.counts(stream)[name] == done.counts(stream)[name], (stream, name)
    store.change().only(
        accounts=(1, 1, 1), vendors=(1, 1, 0), tags=(1, 1, 0), vendorTags=(1, 0, 0), purchaseOrders=(1, 0, 0)
    )
    again = target(messages, dry_run=True, deletes="records", max_rejects=1)
    assert again.counts("accounts")["unchanged"] == 4
    assert [again.counts("vendors")[name] for name in ("created", "updated", "unchanged")] == [0, 0, 2]


def test_a_plan_with_more_rejects_than_allowed_is_no_success(store: Store, target: Target) -> None:
    run = target(planned(store), dry_run=True, expect=1)
    assert run.counts("accounts")["rejected"] == 1
    store.untouched()


def test_a_plan_counts_what_a_mirror_would_delete(store: Store, target: Target) -> None:
    vendors = owned(store, "vendors")
    run = target(full("vendors", vendors[2:]), dry_run=True, deletes="mirror")
    assert run.counts("vendors")["deleted"] == 2
    assert run.writes == []
    for vendor in vendors[:2]:
        assert vendor["externalId"] in run.err
    target(full("vendors", vendors[20:]), dry_run=True, deletes="mirror", expect=1)
    store.untouched()


def test_a_plan_of_documents_sends_none(vicai: SandboxProcess, store: Store, target: Target) -> None:
    encoded = base64.b64encode(PDF).decode()
    invoice = {
        "externalId": "P-1",
        "transactionType": "INVOICE",
        "refNumber": "1",
        "vendor": {"externalId": "50000"},
        "lineItems": [],
        "documentBase64": encoded,
    }
    training = {
        "externalId": "B-1",
        "externalUpdatedAt": AT,
        "transactionType": "INVOICE",
        "refNumber": "1",
        "vendorExternalId": "50000",
        "documentBase64": encoded,
    }
    messages = [
        *load("invoices", invoice),
        *load("training_invoices", training),
        *load("attachments", {"documentBase64": encoded}),
        version("attachments", 1),
        state(1),
    ]
    run = target(messages, dry_run=True)
    assert run.writes == []
    assert [run.counts(stream)["created"] for stream in ("invoices", "training_invoices", "attachments")] == [1, 1, 1]
    assert encoded[:30] not in run.err
    store.untouched()
    # And what was only planned is done when it is meant.
    target(messages)
    store.change().only(invoices=(1, 0, 0), trainingInvoices=(1, 0, 0), attachments=(1, 0, 0))
