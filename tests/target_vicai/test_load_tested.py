"""Which test shows what of which stream, in which age: a stream that is added without them fails here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ap_connectors.vicai import contract
from target_vicai.streams import ALL
from tests.target_vicai import (
    test_load_faults,
    test_load_kill,
    test_load_postings,
    test_load_refusals,
    test_load_resources,
    world_shown,
)

Test = Callable[..., None]
AGES = (contract.FIRST, contract.LIVE)
BY_CASE: dict[str, Test] = {
    "created, unchanged": test_load_resources.test_created_once_then_unchanged,
    "updated": test_load_resources.test_updated,
    "rejected, replayed": test_load_resources.test_rejected_then_replayed,
    "lost answer": test_load_resources.test_a_lost_answer_doubles_nothing,
}
"""Tests that run through `CASES`."""
BY_WORLD: dict[str, dict[contract.Age, list[Test]]] = {
    "killed": {
        "live": [test_load_kill.test_killed_runs_together_are_exact],
        "0.20": [test_load_kill.test_killed_runs_to_an_older_service_are_exact],
    },
    "faults": {
        "live": [
            test_load_faults.test_a_bad_way_loses_and_doubles_nothing,
            test_load_refusals.test_a_bad_day_loses_and_doubles_nothing,
        ],
        "0.20": [test_load_faults.test_a_bad_way_to_an_older_service],
    },
}
"""Tests that load a whole `World`, of all its streams, by age."""
KINDS = (*BY_CASE, *BY_WORLD)
BY_HAND: dict[str, dict[str, Test | str]] = {
    "attachments": {
        "updated": "one is its bytes: others are another attachment",
        "lost answer": test_load_resources.test_an_attachment_whose_answer_is_lost_is_never_sent_blindly_again,
        "killed": test_load_kill.test_killed_uploads_are_never_doubled,
        "faults": test_load_postings.test_in_doubt_it_is_set_aside_until_somebody_has_looked,
    },
    "supporting_attachments": {"updated": "one is its bytes: others are another attachment"},
    "vendor_tags": {"updated": "a pair is there, or not"},
    "tax_codes": {"updated": test_load_resources.test_tax_codes_cannot_be_changed_and_say_so},
    "invoices": {"updated": test_load_resources.test_an_invoice_that_vic_has_already_is_left_to_vic},
    "invoice_confirmations": {"updated": test_load_postings.test_one_that_is_confirmed_under_another_id_is_set_aside},
    "invoice_rejections": {"updated": "an invoice that is with Vic again does not wait for the ERP"},
}
"""Tests that are about single streams; or why a stream has no such test."""


def run_with(test: Test) -> set[tuple[str, str]]:
    """The (age, stream) that a test is run with."""
    marks: list[Any] = getattr(test, "pytestmark", [])
    (cases,) = [mark.args[1] for mark in marks if mark.name == "parametrize" and mark.args[0] == ("age", "case")]
    return {(param.values[0], param.values[1].stream) for param in cases}


def ages_of(sink: Any) -> tuple[contract.Age, ...]:
    return AGES if contract.operation(sink.operation).since == contract.FIRST else (contract.LIVE,)


def untested() -> Iterator[str]:
    runs = {kind: run_with(test) for kind, test in BY_CASE.items()}
    for sink in ALL:
        for age in ages_of(sink):
            for kind in KINDS:
                if kind in BY_HAND.get(sink.name, {}):
                    continue
                in_world = kind in BY_WORLD and BY_WORLD[kind][age] and sink.name in world_shown.streams_of(age)
                if not in_world and (age, sink.name) not in runs.get(kind, set()):
                    yield f"{sink.name}, {kind}, {age}"


def test_every_stream_has_every_kind_of_test_in_every_age() -> None:
    missing = list(untested())
    assert not missing, (
        f"No test shows {'; '.join(missing)}. A case in cases_*.py brings all of it, but for "
        "what is not changed by it, or needs a test of its own: that test, or why it has none, goes into BY_HAND here."
    )


def test_no_row_is_left_over() -> None:
    assert BY_HAND.keys() <= {sink.name for sink in ALL}
    assert {kind for row in BY_HAND.values() for kind in row} <= set(KINDS)
