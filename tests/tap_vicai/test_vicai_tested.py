"""Which test shows what of which stream, in which age: a stream that is added without them fails here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ap_connectors.vicai import contract
from tests.tap_vicai import (
    test_children,
    test_live_streams,
    test_payment_batches,
    test_vicai_faults,
    test_vicai_kill,
    test_vicai_streams,
)
from tests.tap_vicai.test_vicai_streams import AGES, INCREMENTAL, STREAMS, STREAMS_OF_TAP, WHOLE, ages_of
from tests.tap_vicai.union import OF_AGE

KINDS = ("all records", "incremental", "killed", "faults")
"""All records equal the store; only what changed comes again; runs that were killed, or met faults, are whole."""

Test = Callable[..., None]
BY_LIST: list[tuple[str, Test, dict[str, Any]]] = [
    ("all records", test_vicai_streams.test_all_records_equal_the_store, dict.fromkeys(AGES, (*STREAMS, "company"))),
    ("incremental", test_vicai_streams.test_touched_records_come_and_no_others, dict.fromkeys(AGES, INCREMENTAL)),
    ("incremental", test_vicai_streams.test_whole_lists_come_each_time, dict.fromkeys(AGES, WHOLE)),
    ("killed", test_vicai_kill.test_union_of_killed_runs_is_complete, {"live": OF_AGE["live"]}),
    (
        "killed",
        test_vicai_kill.test_union_of_killed_runs_is_complete_at_an_older_service,
        {"0.20": OF_AGE["0.20"]},
    ),
    ("faults", test_vicai_faults.test_faults_lose_nothing, {"live": OF_AGE["live"]}),
    ("faults", test_vicai_faults.test_faults_of_an_older_service_lose_nothing, {"0.20": OF_AGE["0.20"]}),
]
"""Tests that run through lists of streams: the lists, by age."""
DELETIONS = test_live_streams.test_deletions_and_what_lifts_them
ATTACHMENTS = test_live_streams.test_supporting_attachments_and_their_files
COMPANIES = test_live_streams.test_companies_and_their_invoices
EVENTS = test_live_streams.test_every_recorded_event_comes_once
DEPENDENCIES = test_live_streams.test_dependencies_of_all_dimensions
BATCHES = test_payment_batches.test_every_event_arrives_once
DOCUMENTS = test_children.test_documents_of_invoices
OF_TRAINING = test_children.test_documents_of_training_invoices
BY_HAND: dict[str, dict[str, Test | str]] = {
    "invoice_line_items": {"incremental": test_children.test_lines_are_asked_for_changed_invoices_only},
    "purchase_order_line_items": {
        "incremental": test_vicai_streams.test_a_purchase_order_that_is_closed_or_opened_comes
    },
    "training_invoices": {"incremental": test_vicai_streams.test_training_invoices_follow_the_time_of_the_erp},
    "payment_batches": {"incremental": BATCHES},
    "payments": {"incremental": BATCHES},
    "credits": {"incremental": BATCHES},
    "company": dict.fromkeys(("killed", "faults"), "one record, of the request that begins every run"),
    "invoice_documents": {"all records": DOCUMENTS, "incremental": DOCUMENTS},
    "training_invoice_documents": {
        "all records": OF_TRAINING,
        "incremental": "documents come with their invoices, as invoice_documents",
        "killed": "as invoice_documents: one class reads both",
        "faults": "as invoice_documents: one class reads both",
    },
    "webhook_event_log": {"all records": EVENTS, "incremental": EVENTS},
    "invoice_deletions": {"all records": DELETIONS, "incremental": DELETIONS},
    "purchase_order_deletions": {"all records": DELETIONS, "incremental": DELETIONS},
    "supporting_attachments": {"all records": ATTACHMENTS, "incremental": ATTACHMENTS},
    "dimension_dependencies": {"all records": DEPENDENCIES, "incremental": DEPENDENCIES},
    "companies": {"all records": COMPANIES, "incremental": COMPANIES},
    "company_invoices": {"all records": COMPANIES, "incremental": COMPANIES},
}
"""Tests that are about single streams; or why a stream has no such test."""


def untested() -> Iterator[str]:
    for stream in STREAMS_OF_TAP:
        name = stream.name
        for age in ages_of(stream):
            for kind in KINDS:
                listed = any(kind == of and name in streams.get(age, ()) for of, _, streams in BY_LIST)
                if not listed and kind not in BY_HAND.get(name, {}):
                    yield f"{name}, {kind}, {age}"


def test_every_stream_has_every_kind_of_test_in_every_age() -> None:
    missing = list(untested())
    assert not missing, (
        f"No test shows {'; '.join(missing)}. What shows a resource of the sandbox as it is goes into RESOURCE_OF of "
        "test_vicai_streams.py, and into INCREMENTAL or WHOLE there. Anything else goes into LIVE of "
        "test_live_streams.py, into everything_of_today of union.py, and into BY_HAND here with a test of its own."
    )


@pytest.mark.parametrize("age", AGES)
def test_every_stream_of_an_age_is_in_whole_runs(age: contract.Age) -> None:
    apart = {"company", "training_invoice_documents"}
    of_tap = {stream.name for stream in STREAMS_OF_TAP if age in ages_of(stream)} - apart
    assert of_tap == set(OF_AGE[age]), (
        f"In one only of streams.ALL and union.OF_AGE: {sorted(of_tap ^ set(OF_AGE[age]))}. RESOURCE_OF of "
        "test_vicai_streams.py or LIVE of test_live_streams.py brings a stream into OF_AGE."
    )


def test_no_row_is_left_over() -> None:
    assert BY_HAND.keys() <= {stream.name for stream in STREAMS_OF_TAP}
    assert {kind for row in BY_HAND.values() for kind in row} <= set(KINDS)
