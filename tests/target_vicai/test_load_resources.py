"""Every stream: created, unchanged, updated, rejected, replayed, answer lost; each time the whole store is compared."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.campaign import one_in
from tests.target_vicai.cases import BY_STREAM, CASES
from tests.target_vicai.conftest import PREFIX, STYLES, Record, Result, Target, fresh, load, state, styled
from tests.target_vicai.scene import PDF, Case, Scene
from tests.target_vicai.store import Change, Documents, covers, made_up

AGES = ("live", "0.20")


def in_ages(cases: Iterable[Case], *, sample: bool = False) -> pytest.MarkDecorator:
    """Run a test for each case in each age that it exists in; in 0.20.0 in the campaign only, if `sample`."""
    marks = [pytest.mark.campaign, pytest.mark.long] if sample else []
    given = [(age, case) for age in AGES for case in cases if age == "live" or not case.is_new]
    return pytest.mark.parametrize(
        ("age", "case"),
        [
            pytest.param(age, case, marks=marks if age == "0.20" else [], id=f"{age}-{case.stream}")
            for age, case in given
        ],
    )


@pytest.fixture
def age() -> str:
    """Of the service, unless a test says otherwise."""
    return "live"


@pytest.fixture
def scene(vicai: SandboxProcess, tmp_path: Path, age: str) -> Scene:
    fresh(vicai, invoices=3, age=age)
    folder = tmp_path / "dokumentai"
    folder.mkdir()
    return Scene(vicai, folder)


def camel_stream(stream: str) -> str:
    return re.sub("_(.)", lambda found: found[1].upper(), stream)


STREAM_STYLES: dict[str, Callable[[str], str]] = {
    "camelCase": camel_stream,
    "snake_case": str,
    "UPPER": str.upper,
}


def told(case: Case, given: Record, style: str = "camelCase") -> list[Record]:
    """The messages of one record in a style, and a STATE after it."""
    return [*load(STREAM_STYLES[style](case.stream), styled(given, STYLES[style])), state(1)]


def check_loaded(case: Case, scene: Scene, change: Change, given: Record) -> Record:
    """Exactly one thing came or changed, and it is what was given."""
    change.only(**case.count)
    if case.adds:
        (shown,) = change.added(case.resource)
        assert not made_up(shown, case.shown(scene, given), case.by_vic)
    else:
        ((before, shown),) = change.changed(case.resource)
        changed = {name for name in before.keys() | shown.keys() if before.get(name) != shown.get(name)}
        assert changed <= case.shown(scene, given).keys() | {"internalUpdatedAt"}
    assert covers(shown, case.shown(scene, given)), shown
    if "document" in given and case.resource in {"invoices", "trainingInvoices"}:
        assert Documents(scene.vicai).sha256(case.resource, given["externalId"]) == scene.sha256
    return shown


def check_writes(case: Case, run: Result, age: str) -> None:
    """The calls that could change something were the case's, each once, in this order."""
    expected = case.writes_in(age)
    assert len(run.writes) == len(expected), run.writes
    for (method, path), wanted in zip(run.writes, expected, strict=True):
        assert re.fullmatch(wanted, f"{method} {path}"), run.writes


@one_in(3)
@in_ages(CASES)
def test_created_once_then_unchanged(scene: Scene, target: Target, age: str, case: Case) -> None:
    given = case.new(scene)
    run = target(told(case, given))
    assert run.states == [{"n": 1}]
    assert not run.rejects
    check_loaded(case, scene, scene.store.change(), given)
    check_writes(case, run, age)
    again = target(told(case, given, "snake_case"))
    assert again.states == [{"n": 1}]
    assert again.writes == []
    scene.store.untouched()


def identified(case: Case, scene: Scene, given: Record) -> Record:
    """The record with Vic's id where nothing else would tell which one is renamed."""
    if case.stream not in ("vendor_groups", "tags"):
        return given
    return {"id": scene.store.one(case.resource, **given)["id"]} | given


@one_in(3)
@in_ages([case for case in CASES if case.changes], sample=True)
def test_updated(scene: Scene, target: Target, case: Case) -> None:
    given = case.new(scene)
    target(told(case, given, "UPPER"))
    scene.store.look()
    assert case.changes
    newer = identified(case, scene, given) | case.changes(scene)
    run = target(told(case, newer, "snake_case"))
    assert run.states == [{"n": 1}]
    change = scene.store.change().only(**{case.resource: (0, 1, 0)})
    ((before, after),) = change.changed(case.resource)
    assert covers(after, case.shown(scene, newer)), after
    assert after.get("internalId") == before.get("internalId")
    assert after.get("id") == before.get("id")
    kept = before.keys() - case.shown(scene, newer).keys() - {"internalUpdatedAt", "displayName"}
    assert {name: after.get(name) for name in kept} == {name: before[name] for name in kept}
    # And then there is nothing left to do.
    assert target(told(case, newer)).writes == []
    scene.store.untouched()


@one_in(3)
@in_ages(CASES, sample=True)
def test_rejected_then_replayed(scene: Scene, target: Target, age: str, case: Case) -> None:
    """What is no good is set aside with a reason, and does its work as if it had been right at first once it is."""
    bad = case.bad(scene)
    messages = told(case, bad, "UPPER")
    run = target(messages, expect=1)
    assert run.states == [{"n": 1}], "the final STATE comes out before a status that is not 0"
    scene.store.untouched()
    assert "Traceback" not in run.err
    assert [message["type"] for message in run.reject_lines] == ["SCHEMA", "RECORD"]
    assert run.reject_lines[0] == messages[0], "the SCHEMA as it came"
    (rejected,) = run.rejects
    assert (rejected["stream"], rejected["record"]) == (messages[1]["stream"], messages[1]["record"])
    assert re.search(case.reason, rejected["rejected"]["reason"]), rejected["rejected"]
    assert rejected["rejected"]["line"] == 2
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)", rejected["rejected"]["at"])
    given = case.new(scene)
    rejected["record"] = styled(given, STYLES["UPPER"])
    replay = target(run.reject_lines)
    assert not replay.rejects
    check_loaded(case, scene, scene.store.change(), given)
    check_writes(case, replay, age)


@one_in(3)
@in_ages([case for case in CASES if case.stream != "attachments"], sample=True)
def test_a_lost_answer_doubles_nothing(scene: Scene, target: Target, age: str, case: Case, tmp_path: Path) -> None:
    """Vic does it, and the answer never arrives: it is done once, and the rest of it too; whichever answer it is."""
    for number, write in enumerate(case.writes_in(age)):
        if number:
            fresh(scene.vicai, invoices=3, age=age)
            scene = Scene(scene.vicai, scene.pdf.parent)
            (tmp_path / "ledger.jsonl").unlink(missing_ok=True)
        given = case.new(scene)
        # Writes of one case that share method and prefix are hit in turn.
        scene.vicai.control.fault("lost", method=write.split()[0], path=f"{PREFIX}/{path_of(case)}", after=number)
        run = target(told(case, given))
        (hit,) = scene.vicai.control.faults()
        assert hit["hits"] == 1
        assert run.states == [{"n": 1}]
        assert not run.rejects
        check_loaded(case, scene, scene.store.change(), given)
        assert target(told(case, given)).writes == []
        scene.store.untouched()


def path_of(case: Case) -> str:
    return case.writes[0].split("/")[1].split("/")[0]


LINE_WRITES = ["POST /purchaseOrderLineItems", "PUT /purchaseOrderLineItems", "DELETE /purchaseOrderLineItems"]


@one_in(3)
@pytest.mark.parametrize("write", [*LINE_WRITES, "PUT /purchaseOrders"])
def test_a_lost_answer_doubles_no_line(scene: Scene, target: Target, write: str) -> None:
    case = BY_STREAM["purchase_orders"]
    given = case.new(scene)
    target(told(case, given))
    scene.store.look()
    assert case.changes
    newer = given | case.changes(scene)
    method, path = write.split()
    scene.vicai.control.fault("lost", method=method, path=f"{PREFIX}{path}")
    target(told(case, newer))
    (hit,) = scene.vicai.control.faults()
    assert hit["hits"] == 1
    ((_, after),) = scene.store.change().only(purchaseOrders=(0, 1, 0)).changed("purchaseOrders")
    assert covers(after, case.shown(scene, newer)), after
    assert sorted(line["lineNumber"] for line in after["lineItems"]) == [2, 3]
    assert target(told(case, newer)).writes == []


def test_an_attachment_whose_answer_is_lost_is_never_sent_blindly_again(scene: Scene, target: Target) -> None:
    """Vic can't say whether it has an attachment: a person has to, and until then it is sent no second time."""
    case = BY_STREAM["attachments"]
    messages = told(case, case.new(scene))
    scene.vicai.control.fault("lost", method="POST", path=f"{PREFIX}/attachments")
    first = target(messages, expect=None)
    check_loaded(case, scene, scene.store.change(), case.new(scene))
    second = target(messages, expect=1)
    scene.store.untouched()
    assert first.status == 1
    assert len(second.rejects) == 1
    assert "ledger.jsonl" in second.reasons[0], "says where to look and what to change"


# What single streams do besides


def test_tax_codes_cannot_be_changed_and_say_so(scene: Scene, target: Target) -> None:
    given = scene.first("taxCodes")
    run = target([*load("tax_codes", {"code": given["code"], "description": "Kita", "rate": given["rate"]})], expect=1)
    scene.store.untouched()
    assert run.writes == []
    assert re.search(r"description.*Kita|can(no|')t be changed", run.reasons[0])


@one_in(3)
@pytest.mark.parametrize("rate", ["8.25", "1", "25", "-0.01", Decimal("21.000")], ids=str)
def test_a_tax_code_in_per_cent_is_not_sent(scene: Scene, target: Target, rate: Any) -> None:
    good = {"code": "TX", "description": "Texas", "rate": "0.0825"}
    bad, none = {**good, "code": "PC", "rate": rate}, {**good, "code": "NO", "rate": 0}
    run = target(load("tax_codes", bad, good, none), expect=1)
    scene.store.change().only(taxCodes=(2, 0, 0))
    assert scene.store.one("taxCodes", code="TX")["rate"] == "0.0825"
    assert f"rate is {rate}" in run.reasons[0]
    assert "0.25" in run.reasons[0]


def test_an_invoice_that_vic_has_already_is_left_to_vic(scene: Scene, target: Target) -> None:
    """Vic's people code what was sent: nothing of theirs is undone, no document is sent twice."""
    case = BY_STREAM["invoices"]
    given = case.new(scene)
    target(told(case, given))
    scene.store.look()
    scene.vicai.control.vicai.touch(
        "invoices", [scene.store.one("invoices", externalId="PIRK-1")["internalId"]], lineItems=[]
    )
    scene.store.look()
    assert target(told(case, given | {"description": "vėliau"}), expect=None).writes == []
    scene.store.untouched()


@pytest.mark.parametrize("lacks", ["document", "process"])
def test_an_invoice_that_was_left_half_done_is_finished(scene: Scene, target: Target, lacks: str) -> None:
    case = BY_STREAM["invoices"]
    given = case.new(scene)
    after = {"document": 1, "process": 2}[lacks]
    scene.vicai.control.fault("status", method="POST", path=f"{PREFIX}/invoices", status=422, after=after)
    target(told(case, given), expect=1)
    target(told(case, given))
    check_loaded(case, scene, scene.store.change(), given)


def test_documents_come_as_base64_too(scene: Scene, target: Target) -> None:
    encoded = base64.b64encode(PDF).decode()
    training, invoice = BY_STREAM["training_invoices"].new(scene), BY_STREAM["invoices"].new(scene)
    for one in (training, invoice):
        del one["document"]
    run = target(
        [
            *load("training_invoices", training | {"documentBase64": encoded}),
            *load("invoices", styled(invoice | {"documentBase64": encoded}, STYLES["snake_case"])),
            *load("attachments", {"document_base64": encoded}),
        ]
    )
    scene.store.change().only(trainingInvoices=(1, 0, 0), invoices=(1, 0, 0), attachments=(1, 0, 0))
    assert scene.first("attachments")["sha256"] == scene.sha256
    assert scene.first("attachments")["contentType"] == "application/pdf"
    for resource, one in (("trainingInvoices", training), ("invoices", invoice)):
        assert Documents(scene.vicai).sha256(resource, one["externalId"]) == scene.sha256
    assert encoded[:40] not in run.err


def test_a_document_that_is_too_large_is_told_before_it_is_sent(scene: Scene, target: Target) -> None:
    with scene.pdf.open("r+b") as file:
        file.truncate(100 * 1024 * 1024 + 1)
    run = target([*told(BY_STREAM["invoices"], BY_STREAM["invoices"].new(scene))], expect=1)
    assert run.writes == []
    assert "100 MB" in run.reasons[0]
    scene.store.untouched()


def test_a_document_of_another_type_is_told_before_it_is_sent(scene: Scene, target: Target) -> None:
    program = scene.pdf.with_name("programa.exe")
    program.write_bytes(b"MZ\x90\x00" * 50)
    run = target(load("attachments", {"document": str(program)}), expect=1)
    assert run.writes == []
    assert "programa.exe" in run.reasons[0]
    scene.store.untouched()


def test_orders_are_opened_and_closed_by_status(scene: Scene, target: Target) -> None:
    given = BY_STREAM["purchase_orders"].new(scene)
    for status in ("closed", "open"):
        scene.store.look()
        target(load("purchase_orders", given | {"status": status}))
        scene.store.change()
        assert scene.store.one("purchaseOrders", externalId=given["externalId"])["status"] == status
        assert target(load("purchase_orders", given | {"status": status.upper()})).writes == []


def test_an_order_without_external_id_is_known_by_its_number(scene: Scene, target: Target) -> None:
    given = BY_STREAM["purchase_orders"].new(scene)
    del given["externalId"]
    target(load("purchase_orders", given))
    scene.store.change().only(purchaseOrders=(1, 0, 0))
    target(load("purchase_orders", given | {"description": "Pakeistas"}))
    ((_, after),) = scene.store.change().only(purchaseOrders=(0, 1, 0)).changed("purchaseOrders")
    assert after["description"] == "Pakeistas"


def test_lines_that_an_invoice_is_matched_to_stay(scene: Scene, target: Target) -> None:
    """Vic refuses to change them: the record is set aside, and what Vic holds is not half of it."""
    given = BY_STREAM["purchase_orders"].new(scene)
    target(load("purchase_orders", given))
    scene.store.look()
    held = scene.store.one("purchaseOrders", externalId=given["externalId"])
    match = [{"invoiceItemId": "1", "purchaseOrderItemId": held["lineItems"][0]["internalId"], "quantityMatched": "1"}]
    lines = [held["lineItems"][0] | {"invoiceItemsMatched": match}, held["lineItems"][1]]
    scene.vicai.control.vicai.touch("purchaseOrders", [held["internalId"]], lineItems=lines)
    scene.store.look()
    assert target(load("purchase_orders", given)).writes == [], "what Vic adds to a line is no difference"
    changes = BY_STREAM["purchase_orders"].changes
    assert changes
    run = target(load("purchase_orders", given | changes(scene)), expect=1)
    assert "matched" in run.reasons[0]


def test_errors_of_a_vendor_are_cleared_by_an_empty_list(scene: Scene, target: Target) -> None:
    vendor = scene.vendor["internalId"]
    target(load("vendor_errors", {"internalId": vendor, "errors": [{"message": "Klaida"}]}))
    scene.store.change().only(vendors=(0, 1, 0))
    target(load("vendor_errors", {"internalId": vendor, "errors": []}))
    ((_, after),) = scene.store.change().only(vendors=(0, 1, 0)).changed("vendors")
    assert after["errors"] == []


def test_a_confirmed_invoice_is_not_confirmed_again(scene: Scene, target: Target) -> None:
    given = BY_STREAM["invoice_confirmations"].new(scene)
    scene.vicai.control.vicai.touch(
        "invoices", [scene.waiting], status="POSTED", **{n: given[n] for n in given if n != "internalId"}
    )
    scene.store.look()
    run = target(load("invoice_confirmations", given))
    assert run.writes == []
    assert run.counts("invoice_confirmations")["unchanged"] == 1
