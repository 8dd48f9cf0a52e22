"""Approve, then apply: exactly what a plan says is written; what has changed since is set aside, not sent."""

from __future__ import annotations

import base64
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.campaign import seeds
from tests.target_vicai.cases_documents import confirmation, order_line
from tests.target_vicai.conftest import PREFIX, Message, Target, fresh, load, loading
from tests.target_vicai.document_vendors import document_vendor, erp_vendor, mark
from tests.target_vicai.scene import AT, LATER, PDF, Scene
from tests.target_vicai.store import Store
from tests.target_vicai.test_load_deletes import owned
from tests.target_vicai.test_load_kill import interrupted
from tests.target_vicai.test_load_payments import REPORTS, STREAM, given_payments, shown
from tests.target_vicai.test_load_plan import planned
from tests.target_vicai.world import World

APPROVED: dict[str, Any] = {"deletes": "records", "max_rejects": 1}


@pytest.fixture
def plan(target: Target, store: Store, tmp_path: Path) -> Path:
    """A plan of some of everything: new, changed, cleared, unchanged, deleted, rejected, with parents and children."""
    path = tmp_path / "plan.json"
    target(planned(store), dry_run=True, plan_path=str(path), **APPROVED)
    return path


def codes(run: Any) -> dict[str, str]:
    return {one["rejected"]["params"].get("key", ""): one["rejected"]["code"] for one in run.rejects}


def test_exactly_the_plan_is_written(store: Store, target: Target, plan: Path) -> None:
    store.untouched()
    messages = planned(store)
    done = target(messages, apply_plan=str(plan), **APPROVED)
    store.change().only(
        accounts=(1, 1, 1), vendors=(1, 1, 0), tags=(1, 1, 0), vendorTags=(1, 0, 0), purchaseOrders=(1, 0, 0)
    )
    assert [one["rejected"]["code"] for one in done.rejects] == ["too_long"], "as the plan says"
    again = target(messages, apply_plan=str(plan), **APPROVED)
    assert again.writes == [], "it was applied before"


def test_what_has_changed_at_vic_since_is_refused(
    vicai: SandboxProcess, store: Store, target: Target, plan: Path
) -> None:
    messages: list[Any] = [*planned(store)]
    renamed, _, deleted = owned(store, "accounts")[:3]
    (vendor,) = [one for one in messages if one["type"] == "RECORD" and one["record"].get("email", "") is None]
    for resource, one, name in (
        ("accounts", renamed, "Someone else's name"),
        ("accounts", deleted, "Still needed"),
        ("vendors", vendor["record"], "Renamed at Vic AS"),
    ):
        vicai.control.vicai.touch(
            resource, [store.one(resource, externalId=one["externalId"])["internalId"]], name=name
        )
    # A new one that somebody else has made meanwhile, with another name.
    other = {"externalId": "K-1", "externalUpdatedAt": AT, "number": "1", "name": "Of another system"}
    target(load("accounts", other))

    held = vicai.control.vicai.records
    before = {resource: held(resource) for resource in ("accounts", "vendors")}
    run = target(messages, apply_plan=str(plan), expect=1, **APPROVED | {"max_rejects": 0})
    refused = {"K-1", renamed["externalId"], deleted["externalId"], vendor["record"]["externalId"]}
    assert {key for key, code in codes(run).items() if code == "changed_since_plan"} == refused
    assert held("accounts") == before["accounts"]
    assert [one["externalId"] for one in held("vendors") if one not in before["vendors"]] == ["T-1"], (
        "the rest was done"
    )
    assert all("Vic.ai's copy has changed since the plan" in reason for reason in run.reasons if "longer" not in reason)


def test_what_was_not_approved_is_not_written(vicai: SandboxProcess, store: Store, target: Target, plan: Path) -> None:
    document = json.loads(plan.read_bytes())
    document["plan"]["tags"]["created"] = []
    plan.write_text(json.dumps(document), encoding="utf-8")
    messages: list[Any] = [
        *planned(store),
        *load("accounts", {"externalId": "K-9", "externalUpdatedAt": AT, "number": "9", "name": "New"}),
    ]
    for one in messages:
        if one["type"] == "RECORD" and one["record"].get("externalId") == "T-1":
            one["record"] |= {"name": "UAB Kitas"}
    run = target(messages, apply_plan=str(plan), expect=1, **APPROVED)
    found = codes(run)
    assert (found["Nauja žyma"], found["K-9"], found["T-1"]) == ("not_in_plan", "not_in_plan", "not_as_approved")
    names = {one["name"] for one in vicai.control.vicai.records("vendors")}
    assert not names & {"UAB Kitas", "UAB Naujasis"}
    assert "Nauja žyma" not in {one["value"] for one in vicai.control.vicai.records("tags")}


def test_a_record_of_the_plan_that_does_not_come(store: Store, target: Target, plan: Path) -> None:
    run = target(planned(store)[:8], apply_plan=str(plan), expect=1, **APPROVED)
    assert "the input has no record of" in run.complaints[-1]
    assert "vendors T-1" in run.complaints[-1]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ({"company": "Another AS"}, 'is a plan for "Another AS"; the credentials are of'),
        ({"plan_version": 1}, "was made by another version"),
        ({"plan": None}, "is not a plan, or not all of it. Make one"),
        ({"service": None}, "was made for another service or with other credentials: address None, and now http"),
    ],
)
def test_no_such_plan(store: Store, target: Target, plan: Path, spoil: dict[str, Any], words: str) -> None:
    plan.write_text(json.dumps(json.loads(plan.read_bytes()) | spoil), encoding="utf-8")
    run = target(planned(store), apply_plan=str(plan), expect=1, **APPROVED)
    assert words in run.complaints[-1]
    store.untouched()


def test_a_plan_that_was_changed_by_hand(
    vicai: SandboxProcess, store: Store, target: Target, plan: Path, tmp_path: Path
) -> None:
    """Entries may go; whatever else is done to the file, nothing is written, and the words say what is wrong."""
    whole, other = plan.read_text(encoding="utf-8"), tmp_path / "other.json"
    vicai.control.vicai.options(company="Another AS")
    target(planned(store), dry_run=True, plan_path=str(other), **APPROVED)
    vicai.control.vicai.options(company=json.loads(whole)["company"])
    target(planned(store), dry_run=True, plan_path=str(later := tmp_path / "later.json"), **APPROVED)

    def entry(plan: Any, effect: str = "updated") -> Any:
        return plan["plan"]["accounts"][effect][0]

    def value(plan: Any) -> None:
        entry(plan)["approve"]["calls"][0]["body"]["name"] = "Another name"

    def shown(plan: Any) -> None:
        entry(plan)["changes"][0]["new"] = "Another name"

    def swapped(plan: Any) -> None:
        entry(plan)["key"] = store.all("accounts")[5]["externalId"]

    def moved(plan: Any) -> None:
        plan["plan"]["accounts"]["created"].append(entry(plan, "deleted"))

    def unsealed(plan: Any) -> None:
        del entry(plan)["seal"]

    def free(plan: Any) -> None:
        entry(plan)["approve"]["calls"] = []

    def of_another(plan: Any) -> None:
        plan["plan"]["accounts"] = json.loads(other.read_bytes())["plan"]["accounts"]

    def of_a_later_one(plan: Any) -> None:
        plan["plan"]["accounts"] = json.loads(later.read_bytes())["plan"]["accounts"]

    def all_of_another(plan: Any) -> None:
        plan |= json.loads(other.read_bytes()) | {"company": plan["company"]}

    for spoil in (value, shown, swapped, moved, unsealed, free, of_another, of_a_later_one, all_of_another):
        changed = json.loads(whole)
        spoil(changed)
        plan.write_text(json.dumps(changed), encoding="utf-8")
        run = target(planned(store), apply_plan=str(plan), expect=1, **APPROVED)
        assert "was changed after it was made, at accounts" in run.complaints[-1], spoil.__name__
        assert (run.writes, run.states) == ([], []), spoil.__name__
    for text in (whole[:-2], whole[: len(whole) // 2], whole + whole, "", "[" * 100_000, "[]", "5"):
        plan.write_text(text, encoding="utf-8")
        run = target(planned(store), apply_plan=str(plan), expect=1, **APPROVED)
        assert "is not a plan, or not all of it. Make one" in run.complaints[-1], text[:9]
    store.untouched()
    # As an editor saves it: with a mark, on one line, its members in another order.
    plan.write_text(json.dumps(json.loads(whole), sort_keys=True), encoding="utf-8-sig")
    target(planned(store), apply_plan=str(plan), **APPROVED)


def test_a_plan_for_other_credentials_or_an_older_service(
    vicai: SandboxProcess, store: Store, target: Target, plan: Path
) -> None:
    """Two companies may have one name, and a company may be in two regions."""
    told = {}
    for setting, value in (
        ("client_id", "another-client"),
        ("address", "https://api.no.vic.ai/v0"),
        ("API", "0.20"),
    ):
        document = json.loads(plan.read_bytes())
        name = next(one for one in document["service"] if one.startswith(setting))
        document["service"][name] = value
        plan.with_name("other.json").write_text(json.dumps(document), encoding="utf-8")
        run = target(planned(store), apply_plan=str(plan.with_name("other.json")), expect=1, **APPROVED)
        told[setting] = run.complaints[-1]
        assert run.writes == []
    assert all("for another service or with other credentials" in one for one in told.values())
    assert "address https://api.no.vic.ai/v0, and now http://127.0.0.1" in told["address"]
    assert vicai.client_id not in told["client_id"]
    blind = target(planned(store), apply_plan=str(plan), expect=1, compare="none", **APPROVED)
    assert "compare: none does not look" in blind.complaints[-1]
    store.untouched()


def test_settings_that_contradict_each_other(store: Store, target: Target, plan: Path) -> None:
    assert "set dry_run to true" in target(planned(store), plan_path=str(plan), expect=1).complaints[-1]
    both = target(planned(store), apply_plan=str(plan), dry_run=True, expect=1)
    assert "apply_plan writes" in both.complaints[-1]
    assert "Plan:" not in both.err
    store.untouched()


def test_lost_answers(vicai: SandboxProcess, store: Store, target: Target, plan: Path) -> None:
    for _ in range(6):
        vicai.control.fault("lost", path=f"{PREFIX}/*", times=1)
    target(planned(store), apply_plan=str(plan), **APPROVED)
    store.change().only(
        accounts=(1, 1, 1), vendors=(1, 1, 0), tags=(1, 1, 0), vendorTags=(1, 0, 0), purchaseOrders=(1, 0, 0)
    )


def test_killed_and_applied_again(
    vicai: SandboxProcess, store: Store, target: Target, plan: Path, tmp_path: Path
) -> None:
    messages: list[Message] = list(planned(store))
    vicai.control.vicai.options(latency_ms=20)
    for number, after in enumerate((1, 3, 5)):
        vicai.control.clear_calls()
        with loading(vicai, tmp_path / f"killed{number}", messages, apply_plan=str(plan), **APPROVED) as process:
            while process.poll() is None:
                writes = [one for one in vicai.control.calls() if one["method"] != "GET"]
                if len(writes) > after:
                    process.kill()
                    break
            process.wait(60)
    vicai.control.vicai.options(latency_ms=0)
    run = target(messages, apply_plan=str(plan), **APPROVED)
    assert [one["rejected"]["code"] for one in run.rejects] == ["too_long"]
    store.change().only(
        accounts=(1, 1, 1), vendors=(1, 1, 0), tags=(1, 1, 0), vendorTags=(1, 0, 0), purchaseOrders=(1, 0, 0)
    )


def test_payments_that_go_together_are_approved_each(vicai: SandboxProcess, target: Target, tmp_path: Path) -> None:
    ids, path = given_payments(vicai)[:6], tmp_path / "plan.json"
    messages = load(STREAM, *(REPORTS[0].told(id_) for id_ in ids))
    target(messages, dry_run=True, plan_path=str(path))
    document = json.loads(path.read_bytes())
    document["plan"][STREAM]["updated"].pop()
    path.write_text(json.dumps(document), encoding="utf-8")
    failed = {"id": ids[1], "remoteErroredAt": "2026-03-02T09:00:00Z", "remoteError": "Bankas grąžino"}
    target(load("payment_failures", failed))
    run = target(messages, apply_plan=str(path), expect=1)
    found = codes(run)
    assert (found[ids[1]], len(found)) == ("changed_since_plan", 2)
    (left,) = found.keys() - {ids[1]}
    assert found[left] == "not_in_plan"
    held = shown(vicai, "payments")
    assert [bool(held[id_].get("confirmedAt")) for id_ in ids] == [id_ not in found for id_ in ids]


def order(key: str, **changes: Any) -> dict[str, Any]:
    return {
        "externalId": key,
        "poNumber": key,
        "issuedOn": "2026-03-01",
        "vendorExternalId": "50000",
        "amount": "10.00",
        "lineItems": [order_line(1, "2", "5.00", "10.00")],
    } | changes


def test_whatever_changes_at_vic_in_between(vicai: SandboxProcess, target: Target, tmp_path: Path) -> None:
    """Also what is compared in other ways than master data, and also in the very field that the plan changes."""
    fresh(vicai, invoices=3)
    scene, control = Scene(vicai, tmp_path), vicai.control.vicai
    target(load("purchase_orders", order("PO-1"), order("PO-2"), order("PO-3")))
    target(load("vendors", erp_vendor()))
    lesson = {"externalId": "B-1", "externalUpdatedAt": AT, "transactionType": "INVOICE", "refNumber": "1"}
    lesson |= {"vendorExternalId": "50000", "documentBase64": base64.b64encode(PDF).decode()}
    target(load("training_invoices", lesson))
    scene.store.look()
    training, doomed = scene.store.all("trainingInvoices")[0], scene.store.all("invoices")[0]
    invoice = scene.store.one("invoices", internalId=scene.waiting)
    later = {"externalId": "B-1", "externalUpdatedAt": LATER, "refNumber": "planned"}
    named = document_vendor(iban=None, documentVendor=mark(update=True), name="UAB Planuota")
    messages = [
        *load("purchase_orders", order("PO-1", description="planned"), {"externalId": "PO-2", "_sdc_deleted_at": AT}),
        *load(
            "vendor_errors",
            {"internalId": scene.vendor["internalId"], "errors": [{"code": "E1", "message": "planned"}]},
        ),
        *load("vendors", named),
        *load("training_invoices", later),
        *load("invoices", {"externalId": doomed["externalId"], "_sdc_deleted_at": AT}),
        *load("invoice_confirmations", confirmation(scene)),
        *load("invoice_payments", {"internalId": doomed["internalId"], "externalPaymentStatus": "planned"}),
    ]
    path, settings = tmp_path / "plan.json", {"deletes": "records", "max_rejects": 0}
    target(messages, dry_run=True, plan_path=str(path), **settings)
    entries = json.loads(path.read_bytes())["plan"]
    count = sum(len(rows) for effects in entries.values() for rows in effects.values() if isinstance(rows, list))
    assert count == 8
    for resource, one, change in (
        ("purchaseOrders", scene.store.one("purchaseOrders", externalId="PO-1"), {"description": "meanwhile"}),
        ("purchaseOrders", scene.store.one("purchaseOrders", externalId="PO-2"), {"description": "meanwhile"}),
        ("vendors", scene.vendor, {"errors": [{"code": "E2", "message": "meanwhile"}]}),
        ("vendors", scene.store.one("vendors", externalId="50010"), {"name": "UAB Tuo tarpu"}),
        ("trainingInvoices", training, {"refNumber": "meanwhile"}),
        ("invoices", doomed, {"refNumber": "meanwhile", "externalPaymentStatus": "meanwhile"}),
        ("invoices", invoice, {"status": "READY_FOR_TRANSFER"}),
    ):
        control.touch(resource, [one.get("internalId") or "B-1"], **change)
    scene.store.look()
    run = target(messages, apply_plan=str(path), expect=1, **settings)
    assert [one["rejected"]["code"] for one in run.rejects] == ["changed_since_plan"] * count
    assert run.writes == []
    scene.store.untouched()


def test_what_follows_what_was_refused_is_refused_too(store: Store, target: Target, tmp_path: Path) -> None:
    """A second state of one record is not written over the copy that somebody else has changed before the first."""
    account, path = owned(store, "accounts")[0], tmp_path / "plan.json"
    messages = load("accounts", *({**account, "name": name, "externalUpdatedAt": LATER} for name in ("Pirma", "Antra")))
    target(messages, dry_run=True, plan_path=str(path))
    target(load("accounts", {**account, "name": "Tuo tarpu"}))
    store.look()
    run = target(messages, apply_plan=str(path), expect=1)
    assert [one["rejected"]["code"] for one in run.rejects] == ["changed_since_plan"] * 2
    assert run.writes == []
    store.untouched()
    target(load("accounts", account))
    target(messages, apply_plan=str(path))
    store.look()
    assert store.one("accounts", externalId=account["externalId"])["name"] == "Antra"


def test_two_states_of_a_record_that_is_new(store: Store, target: Target, tmp_path: Path) -> None:
    """As a list has them in which a key stands twice; the plan could not know what Vic fills in after the first."""
    vendor = {"externalId": "00012", "externalUpdatedAt": AT, "name": "UAB Viena", "addressStreet": "Gedimino pr. 12"}
    account = {"externalId": "K-00012", "externalUpdatedAt": AT, "number": "012", "name": "Pirma"}
    messages = [
        *load("vendors", vendor, vendor | {"addressStreet": "Kita g. 1"}),
        *load("accounts", account, account | {"name": "Antra"}),
    ]
    path = tmp_path / "plan.json"
    target(messages, dry_run=True, plan_path=str(path))
    target(messages, apply_plan=str(path))
    change = store.change().only(vendors=(1, 0, 0), accounts=(1, 0, 0))
    assert change.added("vendors")[0]["addressStreet"] == "Kita g. 1"
    assert change.added("accounts")[0]["name"] == "Antra"
    # Not what somebody has changed between the two, and the plan would put back.
    again = [*load("vendors", vendor | {"name": "UAB Dvi"}, vendor | {"name": "UAB Trys"})]
    target(again, dry_run=True, plan_path=str(path))
    store.vicai.control.vicai.touch("vendors", [change.added("vendors")[0]["internalId"]], email="kita@example.lt")
    store.look()
    run = target(again, apply_plan=str(path), expect=1)
    assert [one["rejected"]["code"] for one in run.rejects] == ["changed_since_plan"] * 2
    store.untouched()


def test_other_settings_than_those_of_the_plan(store: Store, target: Target, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    vendor = next(one for one in owned(store, "vendors") if one.get("email"))
    messages = load("vendors", {"externalId": vendor["externalId"], "externalUpdatedAt": LATER, "name": "UAB Kita"})
    target(messages, dry_run=True, plan_path=str(path))
    run = target(messages, apply_plan=str(path), update_mode="replace", expect=1)
    assert (list(codes(run).values()), run.writes) == (["not_as_approved"], [])
    assert "other settings" in run.reasons[0]
    target(messages, apply_plan=str(path))
    assert store.change().changed("vendors")[0][1]["email"] == vendor["email"]


def test_a_plan_of_bank_accounts(store: Store, target: Target, tmp_path: Path) -> None:
    """The plan shows them, for its owner only; nothing but what was approved reaches the account, and no one else's."""
    path, account = tmp_path / "plans" / "plan.json", "NO9386011117947"
    vendor = next(one for one in owned(store, "vendors") if one.get("name"))
    info = {"internationalBankAccount": {"iban": account}, "defaultMethod": "IBAN"}
    given = {"externalId": vendor["externalId"], "externalUpdatedAt": LATER, "name": vendor["name"]}
    messages = load("vendors", {**given, "defaultPaymentInfo": info})
    run = target(messages, dry_run=True, plan_path=str(path), bank_changes="apply")
    assert (path.stat().st_mode & 0o777, path.parent.joinpath("plan.json").read_text().count(account) > 0) == (
        0o600,
        True,
    )
    assert run.report["bank_changes"]
    # Another account in the input, the plan as approved: refused.
    other = load(
        "vendors", {**given, "defaultPaymentInfo": {"internationalBankAccount": {"iban": "LT121000011101001000"}}}
    )
    run = target(other, apply_plan=str(path), expect=1)
    assert (list(codes(run).values()), run.writes) == (["not_as_approved"], [])
    # Held by the settings of the run that applies: what is sent without the account is not what was approved.
    run = target(messages, apply_plan=str(path), bank_changes="hold", expect=1)
    assert run.writes == []
    store.untouched()
    target(messages, apply_plan=str(path))
    assert store.change().changed("vendors")[0][1]["defaultPaymentInfo"]["internationalBankAccount"]["iban"] == account


def test_a_plan_of_a_run_that_broke_off_is_not_written(
    vicai: SandboxProcess, store: Store, target: Target, tmp_path: Path
) -> None:
    """Who approves half a plan takes it for the whole."""
    path = tmp_path / "plan.json"
    target([*planned(store), "not a message"], dry_run=True, plan_path=str(path), expect=1, **APPROVED)
    assert not path.exists()


@pytest.mark.long
@seeds(range(6))
def test_every_stream_is_applied_exactly_through_kills(vicai: SandboxProcess, tmp_path: Path, seed: int) -> None:
    check_applied(World(vicai, tmp_path, seed), tmp_path)


@seeds(range(6, 9), sample=0)
def test_an_older_service_too(vicai: SandboxProcess, tmp_path: Path, seed: int) -> None:
    check_applied(World(vicai, tmp_path, seed, "0.20"), tmp_path)


def check_applied(world: World, tmp_path: Path) -> None:
    """Killed again and again: nothing of it is refused, and Vic holds the input, each thing once."""
    vicai, path = world.vicai, tmp_path / "plan.json"
    interrupted(vicai, tmp_path / "plan", world.messages(), dry_run=True, plan_path=str(path))
    vicai.control.vicai.options(latency_ms=3)
    for number in range(5):
        after, wait = 2 + world.dice.randrange(14), world.dice.uniform(0, 0.012)
        how = world.dice.choice([signal.SIGKILL, signal.SIGTERM])
        folder = tmp_path / f"run{number}"
        interrupted(vicai, folder, world.messages(), after=after, how=how, wait=wait, apply_plan=str(path))
    _, status = interrupted(vicai, tmp_path / "last", world.messages(), apply_plan=str(path))
    assert status == 0
    vicai.control.vicai.options(latency_ms=0)
    world.check()


def test_a_state_between_two_others_that_was_taken_out(store: Store, target: Target, tmp_path: Path) -> None:
    """What follows it was approved as what follows it."""
    account, path = owned(store, "accounts")[0], tmp_path / "plan.json"
    names = ("Pirma", "Antra", "Trečia")
    messages = load("accounts", *({**account, "name": name, "externalUpdatedAt": LATER} for name in names))
    target(messages, dry_run=True, plan_path=str(path))
    document = json.loads(path.read_bytes())
    del document["plan"]["accounts"]["updated"][1]
    path.write_text(json.dumps(document), encoding="utf-8")
    run = target(messages, apply_plan=str(path), expect=1)
    assert [one["rejected"]["code"] for one in run.rejects] == ["not_as_approved", "changed_since_plan"]
    store.look()
    assert store.one("accounts", externalId=account["externalId"])["name"] == "Pirma"
