"""Invoices and training invoices: every step once, whatever is killed, lost, refused, or done by somebody else."""

from __future__ import annotations

import base64
import re
import signal
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.campaign import one_in
from tests.target_vicai.cases_documents import invoice, training_invoice
from tests.target_vicai.conftest import PREFIX, Record, Target, load, loading, record, state
from tests.target_vicai.scene import AT, LATER, PDF, Scene, without
from tests.target_vicai.store import Documents, covers
from tests.vicai.scripted import Asked, Said, granting, serving

STEPS = {"create": "/invoices", "document": "/invoices/PIRK-1/document", "process": "/invoices/PIRK-1/process"}
ALL = [("POST", path) for path in STEPS.values()]


def killed(vicai: SandboxProcess, folder: Path, messages: list[Record], hits: int = 1) -> None:
    """Load, and kill the target while it waits for another try of the call that a fault hit."""
    with loading(vicai, folder, messages) as process:
        deadline = time.monotonic() + 60
        while sum(fault["hits"] for fault in vicai.control.faults()) < hits:
            assert process.poll() is None, (folder / "err").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
    vicai.control.clear_faults()


def check_invoice(scene: Scene, given: Record) -> Record:
    """Exactly this invoice has come since the last look, with its document, and is being processed."""
    (shown,) = scene.store.change().only(invoices=(1, 0, 0)).added("invoices")
    assert shown["status"] == "READY_FOR_POST"
    assert covers(shown, {name: given[name] for name in ("externalId", "refNumber", "totalAmount", "dueDate")})
    assert Documents(scene.vicai).sha256("invoices", given["externalId"]) == scene.sha256
    return shown


# Killed, or without an answer, between the steps


@one_in(5)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kind", ["status", "lost"])
def test_killed_at_any_step_and_completed_by_the_next_run(
    scene: Scene, target: Target, tmp_path: Path, step: str, kind: str
) -> None:
    """The call was not done (status), or it was (lost): the next run does what is missing, and nothing twice."""
    given = invoice(scene)
    if kind == "status":
        scene.vicai.control.fault("status", method="POST", path=PREFIX + STEPS[step], status=503, retry_after=60)
    else:
        scene.vicai.control.fault("lost", method="POST", path=PREFIX + STEPS[step])
        # The look at what became of it has to wait; then comes the kill.
        look = f"{PREFIX}/invoices/PIRK-1"
        scene.vicai.control.fault("status", method="GET", path=look, status=503, retry_after=60, after=1)
    killed(scene.vicai, tmp_path / "killed", load("invoices", given), hits=1 if kind == "status" else 2)
    done = list(STEPS).index(step) + (kind == "lost")
    run = target([*load("invoices", given), state(1)])
    assert run.states == [{"n": 1}]
    assert run.writes == ALL[done:]
    check_invoice(scene, given)
    effect = "created" if done == 0 else "unchanged" if done == 3 else "updated"
    assert run.counts("invoices")[effect] == 1
    assert target(load("invoices", given)).writes == []
    scene.store.untouched()


@one_in(5)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kind", ["lost", "reset"])
def test_an_answer_that_is_lost_is_looked_for(scene: Scene, target: Target, step: str, kind: str) -> None:
    given = invoice(scene)
    scene.vicai.control.fault(kind, method="POST", path=PREFIX + STEPS[step])
    run = target(load("invoices", given))
    check_invoice(scene, given)
    twice = [("POST", STEPS[step])] if kind == "reset" else []
    assert sorted(run.writes) == sorted([*ALL, *twice])


def test_an_outage_at_the_document_is_made_good_by_the_next_run(scene: Scene, target: Target) -> None:
    given = invoice(scene)
    scene.vicai.control.fault("status", method="POST", path=PREFIX + STEPS["document"], status=503, retry_after=400)
    run = target([*load("invoices", given), state(1)], expect=1)
    assert run.states == []
    assert not run.rejects, "not the record's fault"
    assert target(load("invoices", given)).writes == ALL[1:]
    check_invoice(scene, given)


@pytest.mark.parametrize("step", ["document", "process"])
def test_what_vic_refuses_half_way_is_finished_by_a_replay(scene: Scene, target: Target, step: str) -> None:
    given = invoice(scene)
    scene.vicai.control.fault("status", method="POST", path=PREFIX + STEPS[step], status=422)
    run = target(load("invoices", given), expect=1)
    assert STEPS[step] in run.reasons[0]
    replay = target(run.reject_lines)
    assert replay.writes == ALL[list(STEPS).index(step) :]
    check_invoice(scene, given)


@pytest.mark.parametrize(
    ("said", "effect"),
    [
        ("Invoice is already being processed", "unchanged"),
        ("This invoice has been processed.", "unchanged"),
        ("The document cannot be read", "rejected"),
    ],
)
def test_one_that_vic_works_at_without_showing_it_is_left_alone(target: Target, said: str, effect: str) -> None:
    """A live service may show NOT_READY while it works at an invoice; then only the words of its refusal tell."""

    def answer(asked: Asked) -> Said:
        if asked.method == "POST":
            return Said({"message": said}, 422)
        shown = {"/healthCheck": {"company": "A"}, "/invoices/S-1": {"externalId": "S-1", "status": "not_ready"}}
        return Said(shown.get(asked.path, {}))

    given = {"externalId": "S-1", "transactionType": "INVOICE", "documentBase64": base64.b64encode(PDF).decode()}
    with serving(granting(answer)) as service:
        run = target(load("invoices", given), api_url=service.url, expect=int(effect == "rejected"))
    posts = [one.path for one in service.asked if one.method == "POST" and one.path != "/token"]
    assert posts == ["/invoices/S-1/process"]
    assert run.counts("invoices")[effect] == 1


def test_a_call_that_is_done_while_we_ask_again_is_no_reject(target: Target) -> None:
    """Each first POST breaks off and is done later: the look comes too early, and the second POST is refused."""
    tried: Counter[str] = Counter()

    def answer(asked: Asked) -> Said:
        if asked.method == "POST":
            tried[asked.path] += 1
            return Said({"message": "no"}, 500 if tried[asked.path] == 1 else 422)
        there = {
            "/healthCheck": True,
            "/invoices/S-1": tried["/invoices"] > 1,
            "/invoices/S-1/document": tried["/invoices/S-1/document"] > 1,
        }
        status = "IN_APPROVALS" if tried["/invoices/S-1/process"] > 1 else "NOT_READY"
        invoice = {"externalId": "S-1", "status": status, "company": "A"}
        return Said(invoice) if there[asked.path] else Said({}, 404)

    given = {"externalId": "S-1", "transactionType": "INVOICE", "documentBase64": base64.b64encode(PDF).decode()}
    with serving(granting(answer)) as service:
        run = target(load("invoices", given), api_url=service.url)
    assert not run.rejects
    assert set(tried.values()) == {2}
    assert len(tried) == 3


# What is there already


def existing(scene: Scene, given: Record, **changes: object) -> str:
    """Put an invoice of this id at Vic, as somebody else would have; return Vic's id."""
    other = scene.vicai.control.vicai.records("invoices")[0]["internalId"]
    scene.vicai.control.vicai.touch(
        "invoices", [other], **{"externalId": given["externalId"], "postingError": None, **changes}
    )
    scene.store.look()
    return str(other)


@pytest.mark.parametrize("status", ["posted", "TRANSFERRED"])
def test_a_posted_invoice_that_differs_is_left_alone_with_a_warning(scene: Scene, target: Target, status: str) -> None:
    given = invoice(scene)
    existing(scene, given, status=status, totalAmount="10.00", currency="eur", refNumber=given["refNumber"])
    run = target([*load("invoices", given, given | {"dueDate": "2026-04-30"}), state(1)])
    assert run.writes == []
    scene.store.untouched()
    assert run.counts("invoices")["unchanged"] == 2
    (warned,) = [text for text in run.err.splitlines() if "WARNING" in text]
    assert re.search(r"PIRK-1 exists at Vic\.ai with .*, and is posted\.", warned)


@one_in(3)
@pytest.mark.parametrize("status", ["IN_APPROVALS", "SOMETHING_NEW", "NOT_READY", "posted"])
def test_one_of_another_number_is_set_aside_whatever_became_of_it(scene: Scene, target: Target, status: str) -> None:
    given = invoice(scene)
    existing(scene, given, status=status, totalAmount="10.00", postingError="-")
    run = target(load("invoices", given), expect=1)
    assert run.writes == []
    assert "totalAmount 10.00, and the record says 12345678901234567.89" in run.reasons[0]
    assert {"refNumber", "totalAmount", "dueDate", "vendor.externalId"} <= {
        one["field"] for one in run.rejects[0]["rejected"]["params"]["differences"]
    }
    scene.store.untouched()


def test_one_that_is_not_started_and_differs_is_set_aside(scene: Scene, target: Target) -> None:
    """To go on with it would start another invoice than the record's."""
    given = invoice(scene)
    scene.vicai.control.fault("status", method="POST", path=PREFIX + STEPS["document"], status=422)
    target(load("invoices", given), expect=1)
    scene.store.change()
    run = target(load("invoices", given | {"totalAmount": 12}), expect=1)
    assert run.writes == []
    assert re.search(
        r"PIRK-1 exists at Vic\.ai with totalAmount 12345678901234567\.89, and the record says 12\. ", run.reasons[0]
    )
    assert "delete it there" in run.reasons[0]
    scene.store.untouched()


def test_an_invoice_waits_for_its_document(scene: Scene, target: Target) -> None:
    given = invoice(scene)
    bare = without(given, "document")
    run = target(load("invoices", bare))
    assert run.writes == ALL[:1]
    assert "waits for its document" in run.err
    again = target(load("invoices", bare))
    assert again.writes == []
    assert again.counts("invoices")["unchanged"] == 1
    assert target(load("invoices", given)).writes == ALL[1:]
    check_invoice(scene, given)
    # Afterwards the file is not needed any more: it may be filed away.
    scene.pdf.unlink()
    assert target(load("invoices", given)).writes == []


def test_the_same_invoice_twice_in_one_load(scene: Scene, target: Target) -> None:
    given = invoice(scene)
    run = target(load("invoices", given, given, given), max_concurrency=8)
    assert run.writes == ALL
    check_invoice(scene, given)


def test_invoices_are_never_doubled_whatever_compare_is(scene: Scene, target: Target) -> None:
    given = invoice(scene)
    target(load("invoices", given), compare="none")
    assert target(load("invoices", given), compare="none").writes == []
    check_invoice(scene, given)


# What records may say


def test_references_by_the_names_that_vic_shows(scene: Scene, target: Target) -> None:
    """Also nulls that Vic does not take, from a warehouse whose columns are all there."""
    accounts, dimensions = scene.store.all("accounts")[:2], scene.store.all("dimensions")[:2]
    names = [one["externalId"] for one in dimensions]
    lines = [
        {"amount": Decimal("10.10"), "cost_account_external_id": accounts[0]["externalId"], "comment": None},
        {"AMOUNT": "0.90", "COST_ACCOUNT_EXTERNAL_ID": accounts[1]["externalId"], "DIMENSIONS_EXTERNAL_IDS": names},
    ]
    given = without(invoice(scene), "vendor", "lineItems") | {
        "VENDOR_EXTERNAL_ID": scene.vendor["externalId"],
        "line_items": lines,
        "totalAmount": Decimal("11.00"),
        "gl_date": None,
        "paymentRef": None,
        "bol_numbers": None,
        "paymentTerm": None,
    }
    run = target(load("invoices", given))
    shown = check_invoice(scene, given)
    assert shown["vendorInternalId"] == scene.vendor["internalId"]
    assert [line["costAccountExternalId"] for line in shown["lineItems"]] == [one["externalId"] for one in accounts]
    assert [line["amount"] for line in shown["lineItems"]] == [Decimal("10.10"), Decimal("0.90")]
    assert [one["externalId"] for one in shown["lineItems"][1]["dimensions"]] == names
    assert "WARNING" not in run.err


def test_an_invoice_waits_for_its_vendor_account_and_dimension(scene: Scene, target: Target) -> None:
    line = {"amount": "1", "costAccountExternalId": "NAUJA-S", "dimensionsExternalIds": ["NAUJAS-D"]}
    given = without(invoice(scene), "vendor") | {"vendorExternalId": "NAUJAS-T", "lineItems": [line]}
    at = {"externalUpdatedAt": AT}
    parents = [
        *load("accounts", at | {"externalId": "NAUJA-S", "number": "77", "name": "S"}),
        *load("dimensions", at | {"externalId": "NAUJAS-D", "name": "D", "type": "PROJECT"}),
        *load("vendors", at | {"externalId": "NAUJAS-T", "name": "T"}),
    ]
    run = target([*load("invoices", given), *parents, state(1)])
    assert run.states == [{"n": 1}]
    assert not run.rejects
    scene.store.change().only(invoices=(1, 0, 0), accounts=(1, 0, 0), dimensions=(1, 0, 0), vendors=(1, 0, 0))


def test_an_invoice_whose_parents_never_come_is_set_aside(scene: Scene, target: Target) -> None:
    given = without(invoice(scene), "vendor") | {"vendorExternalId": "NIEKAS"}
    run = target(load("invoices", given), expect=1)
    assert re.search(r"vendor NIEKAS", run.reasons[0])
    scene.store.untouched()


def test_an_invoice_is_deleted_by_the_erps_id(scene: Scene, target: Target) -> None:
    given = {"externalId": "PIRK/2 ą", "transactionType": "INVOICE"}
    target(load("invoices", given))
    scene.store.change()
    gone = given | {"_sdc_deleted_at": "2026-03-01T00:00:00Z"}
    assert target(load("invoices", gone)).writes == []
    scene.vicai.control.fault("lost", method="DELETE", path=f"{PREFIX}/invoices")
    run = target(load("invoices", gone), deletes="records")
    assert run.counts("invoices")["deleted"] == 1
    scene.store.change().only(invoices=(0, 0, 1))
    assert target(load("invoices", gone), deletes="records").counts("invoices")["unchanged"] == 1


# Training invoices


def test_a_new_training_invoice_needs_its_document(scene: Scene, target: Target) -> None:
    given = training_invoice(scene)
    run = target(load("training_invoices", without(given, "document")), expect=1)
    assert run.writes == []
    assert re.search(r"document.*documentBase64", run.reasons[0])
    scene.store.untouched()


def test_the_document_of_a_training_invoice_goes_with_the_first_load_only(scene: Scene, target: Target) -> None:
    given = training_invoice(scene)
    target(load("training_invoices", given))
    scene.store.change()
    scene.pdf.unlink()
    newer = given | {"externalUpdatedAt": LATER, "description": "Kita"}
    for compare in ("vic", "none"):
        run = target(load("training_invoices", newer), compare=compare)
        assert run.writes == [("PUT", "/trainingInvoices/BILAG-900001")]
    assert Documents(scene.vicai).sha256("trainingInvoices", "BILAG-900001") == scene.sha256


def test_lines_that_are_not_spoken_of_stay(scene: Scene, target: Target) -> None:
    given = training_invoice(scene)
    target(load("training_invoices", given))
    (before,) = scene.store.change().added("trainingInvoices")
    assert len(before["lineItems"]) == 2
    cases: list[tuple[Record, int, str]] = [
        ({}, 2, "merge"),
        ({"lineItems": None}, 2, "merge"),
        ({}, 2, "replace"),
        ({"lineItems": []}, 0, "merge"),
    ]
    for number, (lines_of, left, ways) in enumerate(cases):
        newer = without(given, "lineItems", "document") | {"poNumber": f"PO-{number}"} | lines_of
        run = target(load("training_invoices", newer), update_mode=ways)
        assert run.counts("training_invoices")["updated"] == 1
        ((_, after),) = scene.store.change().only(trainingInvoices=(0, 1, 0)).changed("trainingInvoices")
        assert (len(after["lineItems"]), after["poNumber"]) == (left, f"PO-{number}")
        assert target(load("training_invoices", newer), update_mode=ways).writes == []


def test_merge_keeps_what_replace_clears(scene: Scene, target: Target) -> None:
    given = training_invoice(scene)
    target(load("training_invoices", given))
    less = without(given, "description", "dueDate", "document") | {"externalUpdatedAt": LATER}
    target(load("training_invoices", less))
    (shown,) = scene.store.change().added("trainingInvoices")
    assert (shown["description"], shown["dueDate"]) == (given["description"], given["dueDate"])
    run = target(load("training_invoices", less), update_mode="replace")
    assert run.counts("training_invoices")["updated"] == 1
    ((_, after),) = scene.store.change().changed("trainingInvoices")
    assert (after.get("description"), after.get("dueDate")) == (None, None)
    assert target(load("training_invoices", less), update_mode="replace").writes == []


@one_in(2)
@pytest.mark.parametrize("compare", ["vic", "none"])
def test_a_new_name_of_an_account_does_not_meet_the_old_one(scene: Scene, target: Target, compare: str) -> None:
    """Vic shows an account by the ERP's id and by its own: merge keeps the one only where the other stays."""
    given = training_invoice(scene)
    first, second = (account["internalId"] for account in scene.store.all("accounts")[:2])
    both = {"kid": "1", "creditAccountExternalId": "KTO-2400", "creditAccountInternalId": first}
    target(load("training_invoices", given | {"invoiceInfo": both}))
    scene.store.change()
    cases: list[tuple[Record, Record]] = [
        ({"kid": "2"}, both | {"kid": "2"}),
        ({"kid": "3", "creditAccountExternalId": "KTO-2400"}, both | {"kid": "3"}),
        ({"kid": "3", "creditAccountExternalId": "KTO-1000"}, {"kid": "3", "creditAccountExternalId": "KTO-1000"}),
        ({"kid": "3", "creditAccountInternalId": second}, {"kid": "3", "creditAccountInternalId": second}),
    ]
    for said, expected in cases:
        newer = without(given, "document") | {"invoiceInfo": said}
        target(load("training_invoices", newer), compare=compare)
        ((_, after),) = scene.store.change().only(trainingInvoices=(0, 1, 0)).changed("trainingInvoices")
        assert after["invoiceInfo"] == expected
        assert target(load("training_invoices", newer)).writes == []


def test_an_older_training_invoice_does_not_overwrite_a_newer_one(scene: Scene, target: Target) -> None:
    given = training_invoice(scene)
    target(load("training_invoices", given | {"externalUpdatedAt": LATER}))
    scene.store.change()
    older = given | {"externalUpdatedAt": AT, "description": "Sena"}
    run = target(load("training_invoices", older))
    assert run.writes == []
    assert (run.counts("training_invoices")["unchanged"], run.counts("training_invoices")["older"]) == (0, 1)
    gone = older | {"_sdc_deleted_at": "2026-03-01T00:00:00Z"}
    assert target(load("training_invoices", gone), deletes="records").writes == []
    replayed = record("training_invoices", **older) | {
        "rejected": {"reason": "x", "at": "2026-03-01T00:00:00Z", "line": 2}
    }
    assert target([load("training_invoices", older)[0], replayed], compare="none").writes == []
    scene.store.untouched()


def test_a_training_invoice_is_deleted(scene: Scene, target: Target) -> None:
    given = training_invoice(scene)
    target(load("training_invoices", given))
    scene.store.change()
    gone = given | {"_sdc_deleted_at": "2026-03-01T00:00:00Z"}
    scene.vicai.control.fault("lost", method="DELETE", path=f"{PREFIX}/trainingInvoices")
    assert target(load("training_invoices", gone), deletes="records").counts("training_invoices")["deleted"] == 1
    scene.store.change().only(trainingInvoices=(0, 0, 1))
    assert target(load("training_invoices", gone), deletes="records").counts("training_invoices")["unchanged"] == 1


def test_a_training_invoice_waits_for_its_vendor(scene: Scene, target: Target) -> None:
    given = training_invoice(scene) | {"vendorExternalId": "NAUJAS-T"}
    vendor = {"externalId": "NAUJAS-T", "externalUpdatedAt": AT, "name": "T"}
    run = target([*load("training_invoices", given), *load("vendors", vendor)])
    assert not run.rejects
    scene.store.change().only(trainingInvoices=(1, 0, 0), vendors=(1, 0, 0))


def test_a_training_invoice_with_its_document_survives_what_networks_do(scene: Scene, target: Target) -> None:
    given = training_invoice(scene)
    for kind in ("reset", "lost", "truncate"):
        scene.vicai.control.fault(kind, method="PUT", path=f"{PREFIX}/trainingInvoices")
    run = target(load("training_invoices", given))
    assert len(run.writes) == 4
    (shown,) = scene.store.change().only(trainingInvoices=(1, 0, 0)).added("trainingInvoices")
    assert [line["amount"] for line in shown["lineItems"]] == [Decimal("12345678901234560.89"), 7]
    assert Documents(scene.vicai).sha256("trainingInvoices", "BILAG-900001") == scene.sha256
