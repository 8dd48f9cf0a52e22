"""Bad days: lost answers, places that expire, refusals, kills. Every document is there once, or a person is told."""

from __future__ import annotations

import itertools
import json
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.campaign import one_in, seeds
from tests.target_ivesk.conftest import API, STORAGE, Record, command, held, ledger, pdf, puts
from tests.target_vicai.conftest import Target, lines, load, state


@pytest.mark.parametrize("kind", ["lost", "reset", "truncate", "html", "status"])
def test_a_lost_answer_is_asked_for_at_the_same_place(
    ivesk: SandboxProcess, target: Target, tmp_path: Path, kind: str
) -> None:
    ivesk.control.fault(kind, method="PUT", path=STORAGE, times=2)
    ivesk.control.fault("reset", method="GET", path=f"{API}/uploadlocation")
    run = target([*load("documents", {"document": str(pdf(tmp_path))}), state(1)])
    assert run.states == [{"n": 1}]
    [upload] = ivesk.control.uploads()
    assert upload["sha256"] is not None
    tried = [path for method, path in run.writes if method == "PUT"]
    assert len(set(tried)) == 1
    # A status says "done" even where what follows it breaks off.
    assert len(tried) == (1 if kind == "truncate" else 3)
    assert [line["state"] for line in ledger(tmp_path)] == ["sending", "sent"]


AGAIN = [
    (400, "RequestTimeout"), (409, "OperationAborted"), (500, "InternalError"), (503, "SlowDown"), (400, "SlowDown"),
    (400, "IncompleteBody"), (400, "ThrottlingException"), (403, "RequestLimitExceeded"),
    (409, "ConditionalRequestConflict"), (503, "ServiceUnavailable"), (400, "ServerBusy"),
]  # fmt: skip
FINAL = [(400, "EntityTooLarge"), (400, "InvalidDigest"), (403, "AccessDenied"), (403, "SignatureDoesNotMatch")]
"""What object storage says in XML, and whether the same call may be made again."""


@one_in(3)
@pytest.mark.parametrize(("status", "code"), AGAIN + FINAL)
def test_what_the_storage_says_in_xml(
    ivesk: SandboxProcess, target: Target, tmp_path: Path, status: int, code: str
) -> None:
    again = (status, code) in AGAIN
    ivesk.control.fault("storage", method="PUT", path=STORAGE, status=status, code=code, retry_after=0)
    run = target([*load("documents", {"document": str(pdf(tmp_path))}), state(1)], expect=0 if again else 1)
    assert (run.states, len(held(ivesk)), puts(run)) == ([{"n": 1}], int(again), 1 + again)
    assert [code in reason for reason in run.reasons] == ([] if again else [True])


def test_a_storage_that_is_busy_for_long_is_an_outage(ivesk: SandboxProcess, target: Target, tmp_path: Path) -> None:
    ivesk.control.fault("storage", method="PUT", path=STORAGE, status=400, code="RequestTimeout", times=1000)
    messages = [*load("documents", {"document": str(pdf(tmp_path))}), state(1)]
    run = target(messages, expect=1)
    assert (run.states, run.rejects) == ([], [])
    assert "failed 6 times, last: status 400, RequestTimeout" in run.complaints[-1]
    ivesk.control.clear_faults()
    assert target(messages).states == [{"n": 1}], "it was surely not done, so no person is asked"


def test_throttling_is_obeyed(ivesk: SandboxProcess, target: Target, tmp_path: Path) -> None:
    for method, path in (("GET", f"{API}/uploadlocation"), ("PUT", STORAGE)):
        ivesk.control.fault("status", method=method, path=path, status=429, retry_after=0, times=2)
    run = target(load("documents", {"document": str(pdf(tmp_path))}))
    assert run.counts("documents")["throttled"] == 4
    assert len(held(ivesk)) == 1


@pytest.mark.parametrize("times", [1, 2])
def test_an_expired_place_is_exchanged_for_another(
    ivesk: SandboxProcess, target: Target, tmp_path: Path, times: int
) -> None:
    ivesk.control.fault("expired", method="PUT", path=STORAGE, times=times)
    run = target(load("documents", {"document": str(pdf(tmp_path)), "userdata": "u", "tags": "a"}))
    assert len({path for method, path in run.writes if method == "PUT"}) == times + 1
    [upload] = held(ivesk)
    assert (upload["userdata"], upload["options"]) == ("u", {"tags": ["a"]})
    assert len(ivesk.control.uploads()) == times + 1


def test_places_that_always_expire_are_an_outage(ivesk: SandboxProcess, target: Target, tmp_path: Path) -> None:
    ivesk.control.options(link_seconds=0)
    messages = [*load("documents", {"document": str(pdf(tmp_path))}), state(1)]
    run = target(messages, expect=1)
    assert (run.states, run.rejects, puts(run)) == ([], [], 3)
    assert "expired before" in run.complaints[-1]
    assert [line["state"] for line in ledger(tmp_path)] == ["sending", "unsent"]
    ivesk.control.options(link_seconds=60)
    assert target(messages).states == [{"n": 1}]
    assert len(held(ivesk)) == 1


def test_lost_and_then_expired_is_left_to_a_person(ivesk: SandboxProcess, target: Target, tmp_path: Path) -> None:
    """At the place that has expired the document may lie: another place would double it."""
    ivesk.control.fault("lost", method="PUT", path=STORAGE)
    ivesk.control.fault("expired", method="PUT", path=STORAGE)
    path = pdf(tmp_path)
    messages = [*load("documents", {"document": str(path)}), state(1)]
    run = target(messages, expect=1)
    assert run.states == [{"n": 1}], "it is safe in the reject file"
    assert len(ivesk.control.uploads()) == 1
    [line] = ledger(tmp_path)
    for words in (f"{path.name} may be at Įvesk", line["key"], str(tmp_path / "ledger.jsonl")):
        assert words in run.reasons[0]
    assert puts(target(run.reject_lines, expect=1)) == 0
    # Somebody looks, and does what the message says.
    book = tmp_path / "ledger.jsonl"
    book.write_text(book.read_text().replace('"sending"', '"sent"'))
    assert target(run.reject_lines).counts("documents")["unchanged"] == 1
    book.write_text("")
    assert target(run.reject_lines).counts("documents")["created"] == 1
    assert len(held(ivesk)) == 2


@pytest.mark.parametrize(("status", "words"), [(400, "refuses"), (404, "does not have"), (307, "refuses")])
def test_what_the_storage_refuses_is_set_aside(
    ivesk: SandboxProcess, target: Target, tmp_path: Path, status: int, words: str
) -> None:
    ivesk.control.fault("status", method="PUT", path=STORAGE, status=status)
    paths = [pdf(tmp_path, f"{number}.pdf", str(number)) for number in range(3)]
    messages = load("documents", *({"document": str(path)} for path in paths))
    run = target([*messages, state(1)], max_concurrency=1, expect=1)
    assert len(run.rejects) == 1
    assert words in run.reasons[0]
    assert len(held(ivesk)) == 2
    assert "refused" in [line["state"] for line in ledger(tmp_path)]
    assert target(run.reject_lines).counts("documents")["created"] == 1
    assert len(held(ivesk)) == 3


def test_what_the_service_refuses_is_set_aside(ivesk: SandboxProcess, target: Target, tmp_path: Path) -> None:
    ivesk.control.fault("status", method="GET", path=f"{API}/uploadlocation", status=400)
    run = target(load("documents", {"document": str(pdf(tmp_path))}), expect=1)
    assert "refuses it: status 400 (The sandbox was told to answer 400.)" in run.reasons[0]
    told = run.rejects[0]["rejected"]
    assert told["code"] == "service_refused"
    assert told["params"]["said"] == "The sandbox was told to answer 400."
    assert told["params"]["call"].startswith("GET /pub/uploadlocation/")
    assert not (tmp_path / "ledger.jsonl").exists()


def test_an_outage_ends_the_run_and_the_next_one_asks_a_person(
    ivesk: SandboxProcess, target: Target, tmp_path: Path
) -> None:
    paths = [pdf(tmp_path, f"{number}.pdf", str(number)) for number in range(3)]
    messages: list[Any] = []
    for number, path in enumerate(paths):
        messages += [*load("documents", {"document": str(path)}), state(number)]
    ivesk.control.fault("lost", method="PUT", path=STORAGE, after=1, times=1000)
    run = target(messages, "--log-level=debug", max_concurrency=1, expect=1)
    assert run.states == [{"n": 0}]
    assert "failed 6 times" in run.complaints[-1]
    assert [line["state"] for line in ledger(tmp_path)] == ["sending", "sent", "sending"]
    ivesk.control.clear_faults()
    again = target(messages[3:], expect=1)
    assert len(again.rejects) == 1
    assert again.counts("documents")["created"] == 1
    assert len(held(ivesk)) == 3


def test_a_last_line_without_an_end_counts(ivesk: SandboxProcess, target: Target, tmp_path: Path) -> None:
    """People edit the book, as they are told to, and some editors leave its last line without an end."""
    first, second = ({"document": str(pdf(tmp_path, f"{number}.pdf", number))} for number in "12")
    target(load("documents", first))
    book = tmp_path / "ledger.jsonl"
    book.write_bytes(book.read_bytes().splitlines()[-1])
    run = target(load("documents", first, second))
    assert (run.counts("documents")["unchanged"], run.counts("documents")["created"]) == (1, 1)
    assert [line["state"] for line in ledger(tmp_path)] == ["sent", "sending", "sent"]
    book.write_bytes(book.read_bytes().rstrip().replace(b'"sent","name":"2', b'"dispatched","name":"2'))
    run = target(load("documents", second), expect=1)
    assert "line 3 of" in run.complaints[-1]
    assert puts(run) == 0


def test_a_key_that_is_withdrawn_ends_the_run(ivesk: SandboxProcess, target: Target, tmp_path: Path) -> None:
    ivesk.control.fault("status", path=f"{API}/uploadlocation", status=401, times=1000)
    run = target([*load("documents", {"document": str(pdf(tmp_path))}), state(1)], expect=1)
    assert run.states == []
    assert "api_key is not accepted" in run.complaints[-1]
    assert not (tmp_path / "ledger.jsonl").exists()


@seeds(range(3))
def test_killed_uploads_are_there_once_or_a_person_is_told(
    ivesk: SandboxProcess, target: Target, tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    paths = [pdf(tmp_path, f"{number}.pdf", str(number)) for number in range(16)]
    messages: list[Any] = []
    for number, path in enumerate(paths):
        messages += [*load("documents", {"document": str(path)}), state(number)]
    ivesk.control.options(latency_ms=15)
    done = -1
    for attempt in itertools.count():
        assert attempt < 10
        folder = tmp_path / f"killed{attempt}"
        folder.mkdir()
        states, status = interrupted(ivesk, folder, messages[3 * (done + 1) :], dice)
        assert states == sorted(states)
        done = max([done, *states])
        if status in {0, 1}:
            break
    ivesk.control.options(latency_ms=0)
    rejects = [
        text for path in sorted(tmp_path.glob("killed*/rejects.jsonl")) for text in path.read_text().splitlines()
    ]
    aside = [json.loads(text) for text in rejects if '"RECORD"' in text]
    names = [upload["name"] for upload in held(ivesk)]
    assert len(names) == len(set(names)), "none twice"
    told = {Path(one["record"]["document"]).name for one in aside}
    assert {path.name for path in paths} <= {*names, *told}, "and none forgotten"
    assert all("may be at Įvesk" in one["rejected"]["reason"] for one in aside)
    assert done == len(paths) - 1
    again = target(messages, expect=None)
    assert puts(again) == 0


def interrupted(
    ivesk: SandboxProcess, folder: Path, messages: list[Record], dice: random.Random
) -> tuple[list[int], int]:
    """Load, and kill the target some time after its first uploads, or let it end; return STATEs and status."""
    ivesk.control.clear_calls()
    (folder / "in").write_bytes(lines(messages))
    after, how = dice.randrange(1, 8), dice.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
    with (
        (folder / "in").open("rb") as source,
        (folder / "out").open("wb") as out,
        (folder / "err").open("wb") as errors,
        subprocess.Popen(
            command(ivesk, folder, {"max_concurrency": 4}), stdin=source, stdout=out, stderr=errors
        ) as process,
    ):
        while process.poll() is None:
            if sum(call["method"] == "PUT" for call in ivesk.control.calls()) >= after:
                time.sleep(dice.uniform(0, 0.02))
                process.send_signal(how)
                break
            time.sleep(0.002)
        status = process.wait(60)
    assert status in {0, 1, -how, 128 + how}, (folder / "err").read_text()[-3000:]
    whole = (folder / "out").read_text().rpartition("\n")[0].splitlines()
    return [json.loads(text)["n"] for text in whole], status
