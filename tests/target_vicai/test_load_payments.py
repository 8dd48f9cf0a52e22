"""Payments and credits reported back from the ERP: many in one call, each once, whatever happens on the way."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests import preloaded
from tests.campaign import one_in, seeds
from tests.target_vicai.conftest import PREFIX, Record, Result, Target, command, fresh, lines, load, state
from tests.target_vicai.test_load_kill import interrupted
from tests.trouble import until

STREAM = "payment_confirmations"
NOWHERE = "00000000-0000-4000-a000-000000000000"
BOOKED, LATER = "2026-03-03T09:00:00Z", "2026-03-04T09:00:00Z"


class Report(NamedTuple):
    """A stream that tells what became of payments or credits."""

    stream: str
    part: str
    verb: str
    time_field: str

    def told(self, id_: str) -> Record:
        more = {"remoteError": "Bankas grąžino"} if self.verb == "fail" else {}
        return {"id": id_, self.time_field: BOOKED, "remoteId": f"MOK-{id_[:8]}"} | more

    def check(self, vicai: SandboxProcess, ids: list[str]) -> None:
        """Each was told of, once, and nothing besides; Vic shows it."""
        assert sorted(reported(vicai)) == sorted(ids)
        held = shown(vicai, self.part)
        for id_ in ids:
            assert self.told(id_).items() <= held[id_].items()


REPORTS = (
    Report(STREAM, "payments", "confirm", "confirmedAt"),
    Report("payment_failures", "payments", "fail", "remoteErroredAt"),
    Report("credit_confirmations", "credits", "confirm", "confirmedAt"),
    Report("credit_failures", "credits", "fail", "remoteErroredAt"),
)


@pytest.fixture
def paid(vicai: SandboxProcess) -> list[str]:
    """260 payments in three batches that the ERP has not answered yet."""
    return given_payments(vicai)


def given_payments(vicai: SandboxProcess, part: str = "payments") -> list[str]:
    fresh(vicai, invoices=30)
    control = vicai.control.vicai
    ids = [f"{n:08d}-0000-4000-a000-000000000000" for n in range(1, 261)]
    for number, batch in enumerate(control.records("paymentBatches")[:3]):
        parts = [
            {"id": id_, "amount": "10.00", "status": "acknowledged", "externalId": None}
            for id_ in ids[number * 90 : number * 90 + 90]
        ]
        becomes(vicai, batch, part, parts)
    return ids


def becomes(vicai: SandboxProcess, batch: Record, part: str, parts: list[Record]) -> None:
    """The payments or credits of a batch are these from now on."""
    changed: dict[str, Any] = {part: parts}
    vicai.control.vicai.touch("paymentBatches", [batch["id"]], **changed)


def confirmations(ids: list[str], **more: Any) -> list[Record]:
    return [{"id": id_, "confirmedAt": BOOKED, "remoteId": f"MOK-{id_[:8]}", **more} for id_ in ids]


def shown(vicai: SandboxProcess, part: str = "payments") -> dict[str, Record]:
    batches = vicai.control.vicai.records("paymentBatches")
    return {one["id"]: one for batch in batches for one in batch[part]}


def confirmed(vicai: SandboxProcess, ids: list[str]) -> None:
    held = shown(vicai)
    assert all((held[id_]["confirmedAt"], held[id_]["remoteId"]) == (BOOKED, f"MOK-{id_[:8]}") for id_ in ids)


def reported(vicai: SandboxProcess) -> list[str]:
    return [id_ for _, id_ in vicai.control.vicai.reported()["confirmations"]]


def test_many_go_in_few_calls_and_equal_ones_not_again(vicai: SandboxProcess, paid: list[str], target: Target) -> None:
    # While an answer is under way, others gather for the next call.
    vicai.control.vicai.options(latency_ms=200)
    run = target(load(STREAM, *confirmations(paid)))
    vicai.control.vicai.options(latency_ms=0)
    confirmed(vicai, paid)
    assert sorted(reported(vicai)) == sorted(paid)
    assert run.counts(STREAM)["updated"] == 260
    assert len(run.writes) < 26
    again = target(load(STREAM, *confirmations(paid)))
    assert (again.writes, again.counts(STREAM)["unchanged"]) == ([], 260)
    # The same instant, written otherwise, and a remoteId that the record does not tell.
    again = target(load(STREAM, {"id": paid[0], "confirmedAt": "2026-03-03T11:00:00.000+02:00"}))
    assert again.writes == []
    # The same payment, as SQL Server writes its id, in a column of fixed width.
    again = target(load(STREAM, {"id": f"{paid[0].upper()}  ", "confirmedAt": BOOKED}))
    assert (again.writes, again.counts(STREAM)["unchanged"]) == ([], 1)


def test_what_is_wrong_is_set_aside_alone(vicai: SandboxProcess, paid: list[str], target: Target) -> None:
    batch = vicai.control.vicai.records("paymentBatches")[0]
    parts = [one | ({"status": "voided"} if one["id"] == paid[5] else {}) for one in batch["payments"]]
    vicai.control.vicai.touch("paymentBatches", [batch["id"]], payments=parts)
    given = confirmations([*paid[:40], NOWHERE])
    given += [{"id": paid[41], "confirmedAt": "yesterday"}, {"confirmedAt": BOOKED}]
    run = target(load(STREAM, *given), expect=1)
    confirmed(vicai, [id_ for id_ in paid[:40] if id_ != paid[5]])
    assert shown(vicai)[paid[5]]["confirmedAt"] is None
    codes = {message["record"].get("id"): message["rejected"]["code"] for message in run.rejects}
    assert codes == {
        paid[5]: "service_refused",
        NOWHERE: "unknown_reference",
        paid[41]: "not_a_time",
        None: "missing_key",
    }
    assert run.counts(STREAM)["updated"] == 39


def test_a_failure_takes_back_a_confirmation_and_an_older_one_does_not_come_back(
    vicai: SandboxProcess, paid: list[str], target: Target
) -> None:
    failure = {"id": paid[0], "remoteErroredAt": LATER, "remoteError": "Bankas grąžino: sąskaita uždaryta"}
    both = [*load(STREAM, *confirmations(paid[:2])), *load("payment_failures", failure)]
    target(both)
    held = shown(vicai)
    assert (held[paid[0]]["confirmedAt"], held[paid[0]]["remoteError"]) == (None, failure["remoteError"])
    assert held[paid[1]]["confirmedAt"] == BOOKED
    # The whole tables come every hour.
    again = target(both)
    assert again.writes == []
    assert (again.counts(STREAM)["older"], again.counts("payment_failures")["unchanged"]) == (1, 1)
    assert "Vic.ai knows of something later" in again.err
    # It was booked after all.
    target(load(STREAM, {"id": paid[0], "confirmedAt": "2026-03-05T00:00:00Z"}))
    assert shown(vicai)[paid[0]]["confirmedAt"] == "2026-03-05T00:00:00Z"
    assert target(load("payment_failures", failure)).counts("payment_failures")["older"] == 1


@pytest.mark.parametrize("part", ["payments", "credits"])
def test_a_history_that_comes_every_hour_is_told_once(vicai: SandboxProcess, target: Target, part: str) -> None:
    """Booked, returned, booked again: no hour may make a payment that is booked one that has failed."""
    id_, *_ = given_payments(vicai, part)
    confirmations, failures = (f"{part.removesuffix('s')}_{what}" for what in ("confirmations", "failures"))
    times = [f"2026-03-0{day}T09:00:00.250Z" for day in range(3, 8)]
    history = [
        *load(confirmations, {"id": id_, "confirmedAt": times[0], "remoteId": "MOK-1"}),
        *load(failures, {"id": id_, "remoteErroredAt": times[1], "remoteError": "Grąžinta"}),
        *load(failures, {"id": id_, "remoteErroredAt": times[2], "remoteError": "Grąžinta dar kartą"}),
        *load(confirmations, {"id": id_, "confirmedAt": times[3], "remoteId": "MOK-2"}),
    ]
    target(history)
    assert (shown(vicai, part)[id_]["confirmedAt"], shown(vicai, part)[id_]["remoteId"]) == (times[3], "MOK-2")
    again = target(history)
    assert again.writes == []
    assert (again.counts(confirmations)["older"], again.counts(confirmations)["unchanged"]) == (1, 1)
    assert again.counts(failures)["older"] == 2
    failed = load(failures, {"id": id_, "remoteErroredAt": times[4], "remoteError": "Sąskaita uždaryta"})
    target([*history, *failed])
    assert target([*history, *failed]).writes == []
    assert shown(vicai, part)[id_]["remoteErroredAt"] == times[4]
    # What the service shows in whole seconds is the same time.
    batch = next(one for one in vicai.control.vicai.records("paymentBatches") if any(p["id"] == id_ for p in one[part]))
    cut = [one | ({"remoteErroredAt": "2026-03-07T09:00:00Z"} if one["id"] == id_ else {}) for one in batch[part]]
    becomes(vicai, batch, part, cut)
    assert target([*history, *failed]).writes == []


def test_a_reason_is_at_most_255_characters_long(paid: list[str], target: Target) -> None:
    failure = {"id": paid[0], "remoteErroredAt": LATER, "remoteError": "Ą" * 256}
    run = target(load("payment_failures", failure), expect=1)
    assert run.rejects[0]["rejected"]["code"] == "too_long"


def test_an_older_service_takes_none(vicai: SandboxProcess, target: Target) -> None:
    fresh(vicai, invoices=30, age="0.20")
    run = target(load(STREAM, *confirmations([NOWHERE])), expect=1)
    assert run.rejects[0]["rejected"]["code"] == "not_offered"
    assert run.writes == []


def test_a_plan_writes_nothing(vicai: SandboxProcess, paid: list[str], target: Target) -> None:
    run = target(load(STREAM, *confirmations(paid[:30])), dry_run=True)
    assert run.writes == []
    assert reported(vicai) == []
    assert run.counts(STREAM)["updated"] == 30


# Lost answers, faults, kills


@one_in(3)
@pytest.mark.parametrize(
    ("report", "kind"),
    [*((one, "lost") for one in REPORTS), (REPORTS[0], "truncate"), (REPORTS[0], "reset")],
    ids=lambda value: value.stream if isinstance(value, Report) else str(value),
)
def test_told_once_when_answers_are_lost(vicai: SandboxProcess, target: Target, report: Report, kind: str) -> None:
    """Done, and the answer lost; or cut off, or not done: the store counts each once, and a second run adds nothing."""
    ids = given_payments(vicai, report.part)
    vicai.control.fault(kind, method="POST", path=f"{PREFIX}/{report.part}", times=3)
    run = target(load(report.stream, *map(report.told, ids)))
    assert [fault["hits"] for fault in vicai.control.faults()] == [3]
    assert run.counts(report.stream)["updated"] == 260
    report.check(vicai, ids)
    again = target(load(report.stream, *map(report.told, ids)))
    assert (again.writes, again.counts(report.stream)["unchanged"]) == ([], 260)
    report.check(vicai, ids)


@one_in(3)
@pytest.mark.parametrize(
    ("report", "kind"),
    list(zip(REPORTS, [None, "lost"] * 2, strict=True)),
    ids=lambda value: value.stream if isinstance(value, Report) else str(value),
)
def test_one_that_is_gone_meanwhile_takes_no_other_with_it(
    vicai: SandboxProcess, target: Target, tmp_path: Path, report: Report, kind: str | None
) -> None:
    """Vic aborts a whole call because of one unknown id: the 99 others are told once, this one is set aside."""
    first, *hundred = given_payments(vicai, report.part)[:101]
    gone = hundred[41]
    folder = tmp_path / "run"
    folder.mkdir()
    vicai.control.clear_calls()
    source, sink = os.pipe()
    with (
        os.fdopen(source, "rb") as given,
        os.fdopen(sink, "wb") as pipe,
        (folder / "out").open("wb") as out,
        (folder / "err").open("wb") as errors,
        preloaded.start(command(vicai, folder, {}), stdin=given, stdout=out, stderr=errors) as process,
    ):
        pipe.write(lines(load(report.stream, report.told(first))))
        pipe.flush()
        # By now the target has read which payments there are.
        until(lambda: reported(vicai) == [first])
        for batch in vicai.control.vicai.records("paymentBatches"):
            if gone in (ids := [one["id"] for one in batch[report.part]]):
                kept = [one for one in batch[report.part] if one["id"] != gone]
                assert len(kept) == len(ids) - 1
                becomes(vicai, batch, report.part, kept)
        if kind is not None:
            vicai.control.fault(kind, method="POST", path=f"{PREFIX}/{report.part}", times=4)
        vicai.control.vicai.options(latency_ms=40)
        pipe.write(lines([*load(report.stream, *map(report.told, hundred))[1:], state(1)]))
        pipe.close()
        assert process.wait(60) == 1, (folder / "err").read_text()[-3000:]
    vicai.control.vicai.options(latency_ms=0)
    vicai.control.clear_faults()
    done = subprocess.CompletedProcess([], 1, (folder / "out").read_bytes(), (folder / "err").read_bytes())
    result = Result(done, folder, vicai.control.calls())
    assert result.states == [{"n": 1}]
    assert any(path == f"/{report.part}/{report.verb}" for _, path in result.writes)
    assert [(one["record"]["id"], one["rejected"]["code"]) for one in result.rejects] == [(gone, "not_found")]
    others = [first, *(id_ for id_ in hundred if id_ != gone)]
    report.check(vicai, others)
    again = target(load(report.stream, *map(report.told, [first, *hundred])), expect=1)
    assert (again.writes, again.counts(report.stream)["unchanged"]) == ([], 100)
    assert [(one["record"]["id"], one["rejected"]["code"]) for one in again.rejects] == [(gone, "unknown_reference")]
    report.check(vicai, others)


@seeds(range(20))
def test_faults_of_all_kinds(vicai: SandboxProcess, target: Target, seed: int) -> None:
    report = REPORTS[seed % len(REPORTS)]
    ids = given_payments(vicai, report.part)
    rng = random.Random(seed)
    for number, kind in enumerate(("lost", "reset", "truncate", "html", "status")):
        more = {"status": 503} if kind == "status" else {}
        for path in (report.part, "paymentBatches"):
            vicai.control.fault(kind, path=f"{PREFIX}/{path}", rate=0.08, seed=seed * 10 + number, times=40, **more)
    chosen = rng.sample(ids, 150)
    for _ in range(6):
        run = target(load(report.stream, *map(report.told, chosen)), expect=None)
        if run.status == 0:
            break
    vicai.control.clear_faults()
    target(load(report.stream, *map(report.told, chosen)))
    report.check(vicai, chosen)
    assert target(load(report.stream, *map(report.told, chosen))).writes == []


@seeds(range(50))
def test_killed_and_started_again(vicai: SandboxProcess, tmp_path: Path, seed: int) -> None:
    """A STATE that came out covers what Vic has; the next run brings the rest, and nothing twice."""
    report = REPORTS[seed % len(REPORTS)]
    ids = given_payments(vicai, report.part)
    dice = random.Random(seed)
    vicai.control.vicai.options(latency_ms=5)
    messages = load(report.stream, *map(report.told, ids))
    for place in range(len(ids), 0, -20):
        messages.insert(place + 1, state(place))
    # Some answers are lost besides.
    for number in range(2):
        vicai.control.fault("lost", path=f"{PREFIX}/{report.part}", rate=0.2, seed=seed * 10 + number)
    after, how = dice.randrange(0, 9), dice.choice([signal.SIGKILL, signal.SIGTERM])
    states, _ = interrupted(vicai, tmp_path / "killed", messages, after=after, how=how, wait=dice.uniform(0, 0.02))
    assert set(ids[: max([0, *states])]) <= set(reported(vicai))
    states, status = interrupted(vicai, tmp_path / "again", messages)
    assert (states[-1], status) == (len(ids), 0)
    report.check(vicai, ids)
