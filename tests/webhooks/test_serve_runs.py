"""Stored events are processed: many by one run, again when it fails, and whatever is killed in between."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path

import requests

from tests.webhooks.serve_process import TOKEN, Webhooks, rule

REQUESTS = ("5b1f1c0e-6f0e-4a55-9d2c-1d0a4c8e7f21", "0d0ac8e7-1111-4a55-9d2c-5b1f1c0e7f21")


def covered(hooks: Webhooks) -> set[tuple[int, int]]:
    return {(row["run_id"], row["event_id"]) for row in hooks.rows("run_events")}


def test_a_hundred_events_make_one_run(tmp_path: Path) -> None:
    told = "$AP_WEBHOOKS_EVENT_COUNT $AP_WEBHOOKS_KINDS $AP_WEBHOOKS_COMPANIES $AP_WEBHOOKS_EVENT_IDS"
    script = f'echo "{told} ${{AP_WEBHOOKS_VICAI_TOKEN-none}}" >> done.txt'
    with Webhooks(tmp_path, rules=[rule(script, debounce="1s", max_wait="60s")]).serve() as hooks:
        for number in range(100):
            hooks.batch(number)
        hooks.wait_for(lambda: hooks.statuses() == ["done"])
        ids = ",".join(str(row["id"]) for row in hooks.rows("events"))
        assert hooks.lines() == [f"100 vicai.payment_batch_processed 7 {ids} none"]
        hooks.batch(100)
        hooks.wait_for(lambda: hooks.statuses() == ["done", "done"])
        assert len(hooks.lines()) == 2
        assert len(covered(hooks)) == 101
        # A duplicate is nothing new.
        hooks.batch(100)
        time.sleep(1.5)
        assert len(hooks.lines()) == 2


def test_debounce_ends_at_max_wait(tmp_path: Path) -> None:
    rules = [rule("echo $AP_WEBHOOKS_EVENT_COUNT >> done.txt", debounce="900ms", max_wait="1500ms")]
    with Webhooks(tmp_path, rules=rules).serve() as hooks:
        for number in range(10):
            hooks.batch(number)
            time.sleep(0.3)
        assert hooks.lines(), "events that never cease must not put the run off for ever"
        hooks.wait_for(lambda: sum(int(line) for line in hooks.lines()) >= 10)
        hooks.wait_for(lambda: set(hooks.statuses()) == {"done"})
        assert sum(int(line) for line in hooks.lines()) == 10


def test_a_clock_that_was_ahead_puts_nothing_off(tmp_path: Path) -> None:
    """What it had planned waited until then, and so did all events that came meanwhile."""
    rules = [rule("true", debounce="1h"), rule("test -e good", name="failed", retries=9)]
    with Webhooks(tmp_path, rules=rules, first_pause="1h").serve() as hooks:
        hooks.batch(1)
        hooks.wait_for(lambda: any(row["ended_at"] for row in hooks.rows("runs")))
        hooks.stop()
        with sqlite3.connect(tmp_path / "webhooks.db") as inbox:
            for name in ("created_at", "not_before", "due_by", "ended_at"):
                inbox.execute(f"UPDATE runs SET {name} = '2199' || substr({name}, 5)")
        (tmp_path / "good").touch()
        hooks.serve().wait_for(lambda: hooks.statuses() == ["done", "done"])


def test_each_sync_request_has_a_run_with_its_id(tmp_path: Path) -> None:
    rules = [rule("echo $TARGET_VICAI_REQUEST_ID >> done.txt", on=["vicai.syncRequest"])]
    with Webhooks(tmp_path, rules=rules).serve() as hooks:
        for request_id in (*REQUESTS, REQUESTS[0]):
            assert hooks.post("syncRequest", {"requestId": request_id}) == 200
        hooks.batch(1)  # no rule wants it
        hooks.wait_for(lambda: hooks.statuses() == ["done", "done"])
        assert sorted(hooks.lines()) == sorted(REQUESTS)
        listed = json.loads(hooks.run("events", "--format", "json"))["events"]
        assert listed == []


def test_killed_before_and_during_a_run(tmp_path: Path) -> None:
    script = "echo start >> done.txt; sleep 3; echo end >> done.txt"
    with Webhooks(tmp_path, rules=[rule(script, debounce="1s")]).serve() as hooks:
        hooks.batch(1)
        hooks.kill()
        assert hooks.lines() == []
        hooks.serve()
        hooks.wait_for(lambda: hooks.lines() == ["start"])
        hooks.kill()
        hooks.serve()
        # The command continues without the receiver; then it is retried, because its exit status is unknown.
        hooks.wait_for(lambda: hooks.statuses() == ["done"])
        assert hooks.lines() == ["start", "end"] * 2
        assert len(covered(hooks)) == 1


def test_killed_in_a_burst(tmp_path: Path) -> None:
    rules = [rule("echo run >> done.txt", debounce="100ms", max_wait="200ms")]
    with Webhooks(tmp_path, rules=rules).serve() as hooks:
        acknowledged: list[int] = []

        def send(numbers: range) -> None:
            # The kill may come before an answer, or in the middle of one.
            with requests.Session() as http, suppress(requests.RequestException):
                http.trust_env = False
                for number in numbers:
                    body = json.dumps({"event": "payment_batch_processed", "data": {"id": str(number)}})
                    headers = {"Authorization": f"Bearer {TOKEN}"}
                    if http.post(f"{hooks.url}/vicai/events", data=body, headers=headers, timeout=30).ok:
                        acknowledged.append(number)

        senders = [threading.Thread(target=send, args=(range(n, 1000, 8),)) for n in range(8)]
        for sender in senders:
            sender.start()
        hooks.wait_for(lambda: len(acknowledged) >= 400)
        hooks.kill()
        for sender in senders:
            sender.join()
        assert 400 <= len(acknowledged) < 1000
        hooks.serve()
        stored = {int(json.loads(row["body"])["data"]["id"]): row["id"] for row in hooks.rows("events")}
        assert set(acknowledged) <= stored.keys()

        def acted_on() -> set[int]:
            done = {row["id"] for row in hooks.rows("runs") if row["status"] == "done"}
            return {event for run, event in covered(hooks) if run in done}

        hooks.wait_for(lambda: {stored[number] for number in acknowledged} <= acted_on())
        hooks.wait_for(lambda: set(hooks.statuses()) == {"done"})
        assert len(hooks.lines()) >= len(hooks.statuses())


def test_of_two_receivers_one_acts_and_the_other_takes_over(tmp_path: Path) -> None:
    rules = [rule("echo run >> done.txt")]
    with Webhooks(tmp_path, rules=rules).serve() as first, Webhooks(tmp_path, rules=rules).serve() as second:
        second.batch(1)
        first.wait_for(lambda: first.statuses() == ["done"])
        time.sleep(1)
        assert first.lines() == ["run"]
        first.kill()
        second.batch(2)
        second.wait_for(lambda: second.statuses() == ["done", "done"])
        assert second.lines() == ["run", "run"]


def test_failed_runs_are_repeated_with_growing_pauses_then_by_hand(tmp_path: Path) -> None:
    script = "date +%s%N >> tries.txt; test -e good"
    with Webhooks(tmp_path, first_pause="400ms", rules=[rule(script, retries=2)]).serve() as hooks:
        hooks.batch(1)
        hooks.wait_for(lambda: hooks.statuses() == ["failed"])
        tries = [int(line) / 1e9 for line in hooks.lines("tries.txt")]
        assert len(tries) == 3
        assert tries[1] - tries[0] >= 0.4
        assert tries[2] - tries[1] >= 0.8
        [event] = json.loads(hooks.run("events", "--format", "json"))["events"]
        assert event["status"] == "failed"
        assert "ended with status 1" in hooks.run("runs")
        assert "there is no run 9" in hooks.run("retry", "9", expect=1)
        (tmp_path / "good").touch()
        assert "due now" in hooks.run("retry", "--failed")
        hooks.wait_for(lambda: hooks.statuses() == ["done"])
        assert "No event waits" in hooks.run("events")


def test_the_next_event_takes_along_what_failed(tmp_path: Path) -> None:
    with Webhooks(tmp_path, rules=[rule("test -e good", retries=0)]).serve() as hooks:
        hooks.batch(1)
        hooks.wait_for(lambda: hooks.statuses() == ["failed"])
        (tmp_path / "good").touch()
        hooks.batch(2)
        hooks.wait_for(lambda: hooks.statuses() == ["failed", "done"])
        assert {event for run, event in covered(hooks) if run == 2} == {1, 2}


def test_terminated_it_lets_a_run_finish_or_repeats_it(tmp_path: Path) -> None:
    script = "echo start >> done.txt; sleep $(cat seconds); echo end >> done.txt"
    (tmp_path / "seconds").write_text("2", encoding="utf-8")
    with Webhooks(tmp_path, rules=[rule(script)]).serve() as hooks:
        hooks.batch(1)
        hooks.wait_for(lambda: hooks.lines() == ["start"])
        assert hooks.stop() == 0
        assert (hooks.lines(), hooks.statuses()) == (["start", "end"], ["done"])
        (tmp_path / "seconds").write_text("60", encoding="utf-8")
        hooks.write(stop_seconds="100ms")
        hooks.serve()
        hooks.batch(2)
        hooks.wait_for(lambda: len(hooks.lines()) == 3)
        assert hooks.stop() == 0
        last = hooks.rows("runs")[-1]
        assert (last["status"], last["attempts"]) == ("waiting", 0)
        (tmp_path / "seconds").write_text("0", encoding="utf-8")
        hooks.serve()
        hooks.wait_for(lambda: hooks.statuses() == ["done", "done"])


def test_what_takes_too_long_is_ended(tmp_path: Path) -> None:
    rules = [rule("sleep 60 & echo $! > child; wait", timeout="1s", retries=0)]
    with Webhooks(tmp_path, rules=rules).serve() as hooks:
        hooks.batch(1)
        hooks.wait_for(lambda: hooks.statuses() == ["failed"])
        assert "timeout" in hooks.rows("runs")[0]["note"]
        child = Path("/proc") / hooks.lines("child")[0]
        hooks.wait_for(lambda: not child.exists() or b"sleep" not in (child / "cmdline").read_bytes())
