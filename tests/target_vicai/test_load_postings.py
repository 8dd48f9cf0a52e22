"""What can be said once only: confirmations and rejections of invoices, errors of vendors, attachments."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.campaign import one_in
from tests.target_vicai.cases_documents import confirmation, rejection
from tests.target_vicai.conftest import PREFIX, Record, Target, command, lines, load, state
from tests.target_vicai.scene import AT, LATER, PDF, Scene

SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "peppol"


def becomes(scene: Scene, **members: Any) -> None:
    """The invoice that waits for the ERP is something else by now."""
    scene.vicai.control.vicai.touch("invoices", [scene.waiting], **members)
    scene.store.look()


# Confirmations


@pytest.mark.parametrize("status", ["READY_FOR_TRANSFER", "ready_for_transfer"])
def test_an_invoice_that_waits_for_transfer_is_confirmed(scene: Scene, target: Target, status: str) -> None:
    becomes(scene, status=status.upper())
    run = target(load("invoice_confirmations", confirmation(scene) | {"postingError": "PDF liko be priedo"}))
    assert run.counts("invoice_confirmations")["updated"] == 1
    ((_, after),) = scene.store.change().only(invoices=(0, 1, 0)).changed("invoices")
    assert (after["status"], after["externalId"], after["postingError"]) == (
        "TRANSFERRED",
        "DZ-55",
        "PDF liko be priedo",
    )


@pytest.mark.parametrize("status", ["posted", "TRANSFERRED"])
def test_one_that_is_confirmed_under_another_id_is_set_aside(scene: Scene, target: Target, status: str) -> None:
    becomes(scene, status=status, externalId="DZ-54")
    run = target(load("invoice_confirmations", confirmation(scene)), expect=1)
    assert run.writes == []
    assert re.search(rf"{scene.waiting} is {status.upper()} .* DZ-54; the record says DZ-55", run.reasons[0])
    scene.store.untouched()


@one_in(3)
@pytest.mark.parametrize("stream", ["invoice_confirmations", "invoice_rejections"])
@pytest.mark.parametrize("status", ["NOT_READY", "in_approvals"])
def test_nothing_is_said_of_an_invoice_that_vic_still_has(
    scene: Scene, target: Target, stream: str, status: str
) -> None:
    becomes(scene, status=status)
    given = confirmation(scene) if stream == "invoice_confirmations" else rejection(scene)
    run = target(load(stream, given), expect=1)
    assert run.writes == []
    assert re.search(rf"{scene.waiting} is {status.upper()} at Vic\.ai: it does not wait", run.reasons[0])
    scene.store.untouched()


def test_an_unknown_status_is_left_to_vic_to_judge(scene: Scene, target: Target) -> None:
    becomes(scene, status="READY_FOR_SOMETHING")
    run = target(load("invoice_confirmations", confirmation(scene)), expect=1)
    assert "READY_FOR_SOMETHING" in run.reasons[0]
    assert [method for method, _ in run.writes] == ["POST"]


@pytest.mark.parametrize("stream", ["invoice_confirmations", "invoice_rejections", "vendor_errors"])
def test_a_record_without_vics_id(scene: Scene, target: Target, stream: str) -> None:
    given = {"externalId": "DZ-55", "externalUpdatedAt": "2026-03-05T09:00:00", "reason": "x", "errors": []}
    run = target(load(stream, given), expect=1)
    assert "internalId is missing" in run.reasons[0]
    scene.store.untouched()


def test_a_confirmation_and_a_rejection_of_one_invoice_come_in_order(scene: Scene, target: Target) -> None:
    """The first counts; the second finds that it is too late, and none overtakes the other."""
    run = target(
        [*load("invoice_confirmations", confirmation(scene)), *load("invoice_rejections", rejection(scene))], expect=1
    )
    assert run.writes == [("POST", f"/invoices/{scene.waiting}/confirm")]
    assert "is POSTED at Vic.ai: it is too late to reject it" in run.reasons[0]


# Rejections


def test_a_rejection_of_a_line_and_of_the_whole(scene: Scene, target: Target) -> None:
    given = {"internalId": scene.waiting, "reason": "Blogas PVM kodas", "item": 0, "field": "vatCode"}
    target(load("invoice_rejections", given))
    assert target(load("invoice_rejections", given)).writes == []
    becomes(scene, status="READY_FOR_POST")
    whole = {"INTERNAL_ID": int(scene.waiting), "REASON": "Tiekėjas užblokuotas"}
    target(load("invoice_rejections", whole))
    ((_, after),) = scene.store.change().only(invoices=(0, 1, 0)).changed("invoices")
    assert (after["status"], after["postingError"]) == ("NOT_READY", "Tiekėjas užblokuotas")


def test_another_rejection_of_what_is_rejected_is_set_aside(scene: Scene, target: Target) -> None:
    target(load("invoice_rejections", rejection(scene)))
    scene.store.look()
    run = target(load("invoice_rejections", rejection(scene) | {"reason": "Kita priežastis"}), expect=1)
    assert run.writes == []
    scene.store.untouched()


def test_a_rejection_is_told_once_however_often_its_row_comes(scene: Scene, target: Target) -> None:
    """A tap sends its last row with every run, and a table that is read whole all of them: people have corrected since.

    An invoice that was corrected at Vic, and waits for the ERP again, must not bounce back.
    """
    row = {"internalId": scene.waiting, "reason": "Sąskaita KTO-9300 uždaryta", "externalUpdatedAt": AT}
    stream = "invoice_rejections"
    assert target(load(stream, row)).counts(stream)["updated"] == 1
    becomes(scene, status="READY_FOR_POST")
    for again in (row, row | {"externalUpdatedAt": AT, "item": None}):
        assert (run := target(load(stream, again))).counts(stream)["unchanged"] == 1
        assert run.writes == []
    scene.store.untouched()
    # The ERP has tried again, in vain.
    later = row | {"externalUpdatedAt": LATER}
    assert target(load(stream, later)).counts(stream)["updated"] == 1
    # By now it is rejected for another reason, or in the books: what was told before is no news.
    for status, error in (("NOT_READY", "Kita"), ("READY_FOR_TRANSFER", "Kita"), ("POSTED", None)):
        becomes(scene, status=status, postingError=error)
        assert (run := target(load(stream, row, later))).counts(stream)["unchanged"] == 2
        assert run.writes == []
        scene.store.untouched()


def test_a_rejection_without_a_time_that_may_be_meant_again_is_set_aside(
    scene: Scene, target: Target, tmp_path: Path
) -> None:
    stream, row = "invoice_rejections", rejection(scene)
    target(load(stream, row))
    becomes(scene, status="READY_FOR_TRANSFER")
    run = target(load(stream, row), expect=1)
    assert (run.writes, run.rejects[0]["rejected"]["code"]) == ([], "rejected_before")
    scene.store.untouched()
    # It is: the ERP's time says so, in the line of the reject file.
    said = [
        one | ({"record": one["record"] | {"externalUpdatedAt": AT}} if "record" in one else {})
        for one in run.reject_lines
    ]
    assert target(said).counts(stream)["updated"] == 1
    # One that is known only from what Vic shows is remembered, too; a plan remembers nothing.
    (tmp_path / "ledger.jsonl").unlink()
    target(load(stream, row), dry_run=True)
    assert target(load(stream, row)).counts(stream)["unchanged"] == 1
    becomes(scene, status="READY_FOR_POST")
    assert target(load(stream, row), expect=1).writes == []


# Vendor errors


def test_errors_of_an_unknown_vendor(scene: Scene, target: Target) -> None:
    run = target(load("vendor_errors", {"internalId": "999999", "errors": [{"message": "x"}]}), expect=1)
    assert "no vendor with the internalId 999999" in run.reasons[0]
    assert run.writes == []


def test_errors_that_are_missing_are_not_an_empty_list(scene: Scene, target: Target) -> None:
    """Null clears nothing: only a list that is empty says that all is well."""
    vendor = scene.vendor["internalId"]
    target(load("vendor_errors", {"internalId": vendor, "errors": [{"message": "Klaida"}]}))
    scene.store.look()
    run = target(load("vendor_errors", {"internalId": vendor, "errors": None}, {"internalId": vendor}), expect=1)
    assert ["errors is missing" in reason for reason in run.reasons] == [True, True]
    scene.store.untouched()


def test_a_lost_answer_to_cleared_errors(scene: Scene, target: Target) -> None:
    vendor = scene.vendor["internalId"]
    target(load("vendor_errors", {"internalId": vendor, "errors": [{"message": "Klaida"}]}))
    scene.vicai.control.fault("lost", method="DELETE", path=f"{PREFIX}/vendors")
    run = target(load("vendor_errors", {"internalId": vendor, "errors": []}))
    assert run.writes == [("DELETE", f"/vendors/{vendor}/errors")]
    assert target(load("vendor_errors", {"internalId": vendor, "errors": []})).writes == []


# Attachments and their ledger


def ledger(tmp_path: Path) -> list[Record]:
    """Its lines, without those of what has yet to be asked."""
    path = tmp_path / "ledger.jsonl"
    lines = [json.loads(text) for text in path.read_text().splitlines()] if path.exists() else []
    return [line for line in lines if not line["key"].startswith("attachment status: ")]


def given(scene: Scene) -> Record:
    return {"document": str(scene.pdf)}


def test_the_ledger_tells_what_was_sent(scene: Scene, target: Target, tmp_path: Path) -> None:
    target(load("attachments", given(scene)))
    (held,) = scene.store.change().only(attachments=(1, 0, 0)).added("attachments")
    begun, sent = ledger(tmp_path)
    assert (begun["state"], sent["state"]) == ("sending", "sent")
    assert (sent["key"], sent["id"]) == (scene.sha256, held["id"])
    assert begun["owner"] == scene.vicai.client_id
    assert (tmp_path / "ledger.jsonl").stat().st_mode & 0o777 == 0o600
    # The bytes count, not the name.
    other = scene.pdf.rename(scene.pdf.with_name("other.pdf"))
    run = target(load("attachments", {"document": str(other)}, {"document": f"file://{other}"}))
    assert run.writes == []
    assert run.counts("attachments")["unchanged"] == 2
    assert len(ledger(tmp_path)) == 2


def test_other_credentials_of_the_company_send_nothing_twice(scene: Scene, target: Target, tmp_path: Path) -> None:
    """Vic.ai gave out a new client id, or the company's name is that of another: a person tells."""
    target(load("attachments", given(scene)))
    scene.store.look()
    path = tmp_path / "ledger.jsonl"
    path.write_text(path.read_text().replace(f'"{scene.vicai.client_id}"', '"former-client"'))
    run = target(load("attachments", given(scene)), expect=1)
    told = run.rejects[0]["rejected"]
    assert (told["code"], told["params"]["other"], run.writes) == ("sent_with_another_key", "former-client", [])
    scene.store.untouched()
    path.write_text(path.read_text().replace('"former-client"', f'"{scene.vicai.client_id}"'))
    assert target(run.reject_lines).counts("attachments")["unchanged"] == 1
    # Another company's lines say nothing of ours.
    path.write_text(path.read_text().replace(f'"{scene.vicai.client_id}"', '"other"').replace("Fjordlys", "Nordlys"))
    assert target(load("attachments", given(scene))).counts("attachments")["created"] == 1


@pytest.mark.skipif(not SAMPLES.exists(), reason="the samples are not there")
def test_peppol_invoices_arrive_byte_for_byte(scene: Scene, target: Target) -> None:
    paths = sorted(SAMPLES.glob("*.xml"))
    assert paths
    target(load("attachments", *({"document": str(path)} for path in paths)), documents_from=[str(SAMPLES)])
    held = scene.store.change().only(attachments=(len(paths), 0, 0)).added("attachments")
    sums = {hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    assert {one["sha256"] for one in held} == sums


def test_one_attachment_many_times_at_once(scene: Scene, target: Target, tmp_path: Path) -> None:
    copies = [scene.pdf.with_name(f"{number}.pdf") for number in range(12)]
    for copy in copies:
        copy.write_bytes(PDF)
    run = target(load("attachments", *({"document": str(copy)} for copy in copies)))
    scene.store.change().only(attachments=(1, 0, 0))
    assert (run.counts("attachments")["created"], run.counts("attachments")["unchanged"]) == (1, 11)
    assert len(ledger(tmp_path)) == 2


def test_what_another_company_was_sent_does_not_count(scene: Scene, target: Target, tmp_path: Path) -> None:
    line = {"key": scene.sha256, "at": "2026-03-01T00:00:00Z", "owner": "kita", "state": "sent", "id": "1"}
    (tmp_path / "ledger.jsonl").write_text(json.dumps(line) + "\n")
    target(load("attachments", given(scene)))
    scene.store.change().only(attachments=(1, 0, 0))


@one_in(3)
@pytest.mark.parametrize("kind", ["lost", "reset", "truncate", "status"])
def test_in_doubt_it_is_set_aside_until_somebody_has_looked(
    scene: Scene, target: Target, tmp_path: Path, kind: str
) -> None:
    more = {"status": 500} if kind == "status" else {}
    scene.vicai.control.fault(kind, method="POST", path=f"{PREFIX}/attachments", **more)
    run = target([*load("attachments", given(scene)), state(1)], expect=1)
    assert run.states == [{"n": 1}], "it is safe in the reject file"
    assert len(run.writes) == 1
    path = tmp_path / "ledger.jsonl"
    assert scene.sha256 in run.reasons[0]
    assert str(path) in run.reasons[0]
    assert [line["state"] for line in ledger(tmp_path)] == ["sending"]
    scene.store.look()
    assert len(target(run.reject_lines, expect=1).rejects) == 1
    scene.store.untouched()
    # Somebody looks, and does what the message says.
    if kind in {"lost", "truncate"}:
        path.write_text(path.read_text().replace('"sending"', '"sent"'))
        assert target(run.reject_lines).counts("attachments")["unchanged"] == 1
        scene.store.untouched()
    else:
        path.write_text("")
        assert target(run.reject_lines).counts("attachments")["created"] == 1
        scene.store.change().only(attachments=(1, 0, 0))


@pytest.mark.parametrize(
    ("fault", "word"),
    [({"status": 422}, "refused"), ({"status": 403}, "refused"), ({"status": 429, "retry_after": 400}, "unsent")],
    ids=["422", "403", "429"],
)
def test_what_surely_did_not_arrive_is_sent_again(
    scene: Scene, target: Target, tmp_path: Path, fault: Record, word: str
) -> None:
    scene.vicai.control.fault("status", method="POST", path=f"{PREFIX}/attachments", **fault)
    run = target(load("attachments", given(scene)), expect=1)
    assert len(run.rejects) == (word == "refused")
    assert [line["state"] for line in ledger(tmp_path)] == ["sending", word]
    target(load("attachments", given(scene)))
    scene.store.change().only(attachments=(1, 0, 0))


def test_throttled_attachments_are_sent_once(scene: Scene, target: Target) -> None:
    scene.vicai.control.fault("status", method="POST", path=f"{PREFIX}/attachments", status=429, retry_after=0, times=2)
    run = target(load("attachments", given(scene)))
    assert len(run.writes) == 3
    scene.store.change().only(attachments=(1, 0, 0))


def test_killed_while_the_outcome_is_unknown(scene: Scene, target: Target, tmp_path: Path) -> None:
    """The intention is on the disk before the first byte leaves, so the next run knows what it does not know."""
    scene.vicai.control.fault("slow", method="POST", path=f"{PREFIX}/attachments", seconds=2)
    folder = tmp_path / "killed"
    folder.mkdir()
    process = subprocess.Popen(command(scene.vicai, folder, {}), stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin
    process.stdin.write(lines(load("attachments", given(scene))))
    process.stdin.close()
    deadline = time.monotonic() + 60
    while not scene.vicai.control.faults()[0]["hits"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert process.stderr
    process.stderr.close()
    run = target(load("attachments", given(scene)), expect=1)
    assert run.writes == []
    assert "may be at Vic.ai" in run.reasons[0]


def test_a_line_that_was_not_finished_is_none(scene: Scene, target: Target, tmp_path: Path) -> None:
    """A kill, or a full disk, in the middle of a line: nothing was sent after it."""
    target(load("attachments", {"documentBase64": "JVBERi0xLjQK"}))
    path = tmp_path / "ledger.jsonl"
    with path.open("a") as file:
        file.write('{"key":"' + scene.sha256[:20])
    scene.store.change()
    target(load("attachments", given(scene), {"documentBase64": "JVBERi0xLjQK"}))
    scene.store.change().only(attachments=(1, 0, 0))
    assert [line["state"] for line in ledger(tmp_path)] == ["sending", "sent", "sending", "sent"]


@pytest.mark.parametrize("content", ['{"key": 1}\n', "what?\n", b"\xff\xfe\n"], ids=["wrong", "text", "bytes"])
def test_a_ledger_that_cannot_be_read_stops_the_run(
    scene: Scene, target: Target, tmp_path: Path, content: str | bytes
) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    run = target([*load("attachments", given(scene)), state(1)], expect=1)
    assert run.states == []
    assert run.writes == []
    assert re.search(r"ledger_path: line 1 of .*ledger\.jsonl", run.complaints[-1])


@pytest.mark.parametrize(
    "content", [b"\0" * 300, b"notes", '{"key": "ą'.encode("utf-16")], ids=["NULs", "text", "UTF-16"]
)
def test_a_damaged_ledger_does_not_count_as_empty(scene: Scene, target: Target, tmp_path: Path, content: bytes) -> None:
    target(load("attachments", given(scene)))
    scene.store.look()
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(content)
    run = target([*load("attachments", given(scene)), state(1)], expect=1)
    assert (run.states, run.writes) == ([], [])
    assert re.search(r"ledger_path: line 1 of .*ledger\.jsonl is damaged", run.complaints[-1])
    assert path.read_bytes() == content
    scene.store.untouched()


def test_a_ledger_that_cannot_be_written_stops_the_run(scene: Scene, target: Target, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = target(load("attachments", given(scene)), ledger_path=str(tmp_path / "file" / "a.jsonl"), expect=1)
    assert run.writes == []
    assert "ledger_path" in run.complaints[-1]


def test_a_plan_leaves_the_ledger_alone(scene: Scene, target: Target, tmp_path: Path) -> None:
    run = target(load("attachments", given(scene)), dry_run=True)
    assert run.counts("attachments")["created"] == 1
    assert ledger(tmp_path) == []
    target(load("attachments", given(scene)))
    before = ledger(tmp_path)
    run = target(load("attachments", given(scene)), dry_run=True)
    assert run.counts("attachments")["unchanged"] == 1
    assert ledger(tmp_path) == before


def test_an_attachment_without_a_document(scene: Scene, target: Target) -> None:
    run = target(load("attachments", {"documentName": "a.pdf"}), expect=1)
    assert "document is missing" in run.reasons[0]


def test_many_attachments_are_each_sent_once(scene: Scene, target: Target, tmp_path: Path) -> None:
    contents = [PDF + os.urandom(40) for _ in range(30)]
    paths = [scene.pdf.with_name(f"m{number}.pdf") for number in range(30)]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    target(load("attachments", *({"document": str(path)} for path in paths)))
    held = scene.store.change().only(attachments=(30, 0, 0)).added("attachments")
    assert {one["sha256"] for one in held} == {hashlib.sha256(content).hexdigest() for content in contents}
    assert len(ledger(tmp_path)) == 60
