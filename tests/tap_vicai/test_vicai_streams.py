"""What `tap-vicai` writes: every stream equals the sandbox's store, record by record; what was touched comes again."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.vicai import contract
from tap_vicai.streams import ALL
from tests.campaign import BOTH_AGES, further, one_in
from tests.conftest import MakeCatalog, Run, RunTap
from tests.tap_vicai.test_payment_batches import of_batch

Records = list[dict[str, Any]]

STREAMS_OF_TAP: tuple[Any, ...] = ALL
BY_NAME = {str(stream.name): stream for stream in STREAMS_OF_TAP}
AGES: tuple[contract.Age, ...] = (contract.FIRST, contract.LIVE)
RESOURCE_OF = {
    "accounts": "accounts",
    "dimensions": "dimensions",
    "vendors": "vendors",
    "vendor_groups": "vendorGroups",
    "tags": "tags",
    "vendor_tags": "vendorTags",
    "payment_terms": "paymentTerms",
    "tax_codes": "taxCodes",
    "vat_codes": "vatCodes",
    "purchase_orders": "purchaseOrders",
    "invoices": "invoices",
    "training_invoices": "trainingInvoices",
}
"""Streams that show a resource of the sandbox as it is, by stream; of either age, see `of_age`."""
INCREMENTAL = ("accounts", "dimensions", "vendors", "purchase_orders", "invoices")
WHOLE = ("vendor_groups", "tags", "vendor_tags", "payment_terms", "tax_codes", "vat_codes", "company")

VERSIONS = {"0.20": "0.20.0", "live": "10.40.4"}
ALL_STATES = {"invoice_states": ["ALL"]}


def ages_of(stream: Any) -> tuple[contract.Age, ...]:
    """The ages of the service that have a stream, or what it is derived from."""
    operation = getattr(stream, "operation", None)
    if operation is None:
        return ages_of(stream.parent_stream_type)
    return AGES if contract.operation(operation).since == contract.FIRST else (contract.LIVE,)


def of_age(streams: Iterable[str], age: str) -> list[str]:
    """Those of the streams that the service of an age has."""
    return [name for name in streams if age in ages_of(BY_NAME[name])]


def in_order(records: Records) -> Records:
    return sorted(records, key=lambda record: json.dumps(record, sort_keys=True, default=str))


def as_text(record: dict[str, Any], *names: str) -> dict[str, Any]:
    """A record whose numbers are text with their digits, as the tap writes decimals unless told otherwise."""
    return record | {name: str(record[name]) for name in names if record.get(name) is not None}


def line_items(vicai: SandboxProcess, invoices: Records) -> Records:
    return [
        as_text(line, "amount")
        | {"invoice_id": invoice["internalId"], "invoice_updated_at": invoice["internalUpdatedAt"]}
        for invoice in invoices
        for line in vicai.control.vicai.line_items(invoice["internalId"])
    ]


def order_lines(orders: Records) -> Records:
    return [
        line | {"purchase_order_id": order["internalId"], "purchase_order_updated_at": order["internalUpdatedAt"]}
        for order in orders
        for line in order["lineItems"]
    ]


def parts(batches: Records, kind: str) -> Records:
    return [part | of_batch(batch) for batch in batches for part in batch[kind]]


def everything(vicai: SandboxProcess) -> dict[str, Records]:
    """What all streams (but files) should hold by now."""
    age = vicai.control.vicai.options()["age"]
    held = {stream: vicai.control.vicai.records(RESOURCE_OF[stream]) for stream in of_age(RESOURCE_OF, age)}
    held["vat_codes"] = [as_text(code, "rate") for code in held["vat_codes"]]
    batches = vicai.control.vicai.records("paymentBatches")
    return held | {
        "invoice_line_items": line_items(vicai, held["invoices"]),
        "purchase_order_line_items": order_lines(held["purchase_orders"]),
        "payment_batches": batches,
        "payments": parts(batches, "payments"),
        "credits": parts(batches, "credits"),
        "company": [{"company": "Fjordlys Regnskap AS", "status": "PASS", "version": VERSIONS[age]}],
    }


def as_sent(stream: str, records: Records) -> Records:
    """The records without what the tap adds to a batch."""
    if stream == "payment_batches":
        return [{name: value for name, value in record.items() if name != "last_event_at"} for record in records]
    return records


STREAMS = [*RESOURCE_OF, "invoice_line_items", "purchase_order_line_items", "payment_batches", "payments", "credits"]


def check_everything(vicai: SandboxProcess, run: Run, streams: list[str]) -> None:
    held = everything(vicai)
    for stream in streams:
        got = as_sent(stream, run.records[stream])
        assert len(got) == len(held[stream]), stream
        assert in_order(got) == in_order(held[stream]), stream
        assert got, stream


@one_in(3)
@pytest.mark.parametrize(
    "options",
    [
        {"since_is": "exclusive", "cursors": "offset", "empty_page_every": 2, "instant_digits": 6},
        {"extra_fields": True, "last_cursor": "empty", "instant_digits": 0, "line_amounts": False},
        {"age": "0.20", "order": "shuffled", "token_seconds": 1},
        *further({}, {"age": "0.20"}, {"order": "shuffled"}, {"line_amounts": False}),
    ],
)
def test_all_records_equal_the_store(
    vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog, options: dict[str, Any]
) -> None:
    vicai.control.reset(documents=0, invoices=240, vicai=options)
    streams = of_age([*STREAMS, "company"], options.get("age", "live"))
    run = tap(catalog=catalog(*streams), **ALL_STATES)
    check_everything(vicai, run, streams)
    assert len(run.records["invoices"]) == 240
    # Some are longer than a double can hold.
    amounts = [line["lineItemTotal"] for line in run.records["invoice_line_items"]]
    assert any(len(amount) > 17 for amount in amounts)


def test_every_byte_of_a_value_leaves_as_it_came(vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog) -> None:
    """Decimals keep their zeros and digits, times their text: the JSON of each value is compared, not what it means."""
    vicai.control.reset(documents=0, invoices=120, vicai={"extra_fields": True})
    run = tap(catalog=catalog(*RESOURCE_OF), **ALL_STATES)
    for stream, resource in RESOURCE_OF.items():
        sent = {line.decode() for line in vicai.control.vicai.record_lines(resource)}
        lines = [line for line in run.lines if line.startswith(f'{{"type":"RECORD","stream":"{stream}"')]
        got = {line.partition('"record":')[2].rpartition(',"time_extracted"')[0] for line in lines}
        if stream == "vat_codes":  # a rate is a number there, and text with its digits here
            sent = {re.sub(r'"rate":([0-9.]+)', r'"rate":"\1"', line) for line in sent}
        assert got == sent, stream


def test_external_times_stay_as_they_are(vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog) -> None:
    odd = "2026-03-29T02:30:00.5"
    (vendor,) = vicai.control.vicai.add("vendors", externalUpdatedAt=odd, externalId="Ąžuolas/1")
    run = tap(catalog=catalog("vendors", "training_invoices"))
    (record,) = [record for record in run.records["vendors"] if record["internalId"] == vendor]
    assert record["externalUpdatedAt"] == odd
    for stream in ("vendors", "training_invoices"):
        assert "format" not in run.schemas[stream][0]["properties"]["externalUpdatedAt"]
    bookmark = run.state["bookmarks"]["training_invoices"]["replication_key_value"]
    assert "Z" not in bookmark
    vicai.control.clear_calls()
    tap(state=run.state, catalog=catalog("training_invoices"))
    (query,) = [call["query"] for call in vicai.control.calls() if call["path"].endswith("/trainingInvoices")]
    assert "since=" in query
    assert "Z" not in query
    assert "%2B" not in query


@one_in(2)
@BOTH_AGES
@pytest.mark.parametrize("since_is", ["inclusive", "exclusive"])
def test_touched_records_come_and_no_others(
    vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog, since_is: str, age: str
) -> None:
    incremental = of_age(INCREMENTAL, age)
    control, streams = vicai.control.vicai, catalog(*incremental)
    control.options(since_is=since_is, age=age)
    first = tap(catalog=streams, **ALL_STATES)
    nothing = tap(state=first.state, catalog=streams, **ALL_STATES)
    assert not any(nothing.records[stream] for stream in incremental)
    changed: dict[str, list[str]] = {}
    for stream in incremental:
        resource, bookmark = RESOURCE_OF[stream], first.state["bookmarks"][stream]
        ids = [record["internalId"] for record in control.records(resource)]
        changed[stream] = [*control.touch(resource, [ids[3], ids[-1]]), *control.add(resource)]
        if "replication_key_value" in bookmark:  # orders have two bookmarks, one for each status
            # One more at the very instant that the bookmark stands at, as a bulk update behind a page border would be.
            changed[stream] += control.touch(resource, [ids[7]], at=bookmark["replication_key_value"])
    second = tap(state=nothing.state, catalog=streams, **ALL_STATES)
    for stream in incremental:
        assert sorted(record["internalId"] for record in second.records[stream]) == sorted(changed[stream]), stream
        held = {record["internalId"]: record for record in control.records(RESOURCE_OF[stream])}
        assert all(record == held[record["internalId"]] for record in second.records[stream]), stream
    third = tap(state=second.state, catalog=streams, **ALL_STATES)
    assert not any(third.records[stream] for stream in incremental)


def test_training_invoices_follow_the_time_of_the_erp(vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog) -> None:
    first = tap(catalog=catalog("training_invoices"))
    newest = first.state["bookmarks"]["training_invoices"]["replication_key_value"]
    later = "2030-01-01T00:00:00"
    assert newest < later
    vicai.control.vicai.add("trainingInvoices", externalUpdatedAt=later, refNumber="later")
    second = tap(state=first.state, catalog=catalog("training_invoices"))
    assert [record["refNumber"] for record in second.records["training_invoices"]] == ["later"]
    third = tap(state=second.state, catalog=catalog("training_invoices"))
    assert third.records["training_invoices"] == []


@BOTH_AGES
def test_whole_lists_come_each_time(vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog, age: str) -> None:
    vicai.control.vicai.options(age=age)
    whole = of_age(WHOLE, age)
    first = tap(catalog=catalog(*whole))
    more = {stream: vicai.control.vicai.add(RESOURCE_OF[stream]) for stream in whole if stream in RESOURCE_OF}
    second = tap(state=first.state, catalog=catalog(*whole))
    held = everything(vicai)
    for stream in whole:
        assert first.records[stream], stream
        assert len(second.records[stream]) == len(first.records[stream]) + len(more.get(stream, ())), stream
        assert in_order(second.records[stream]) == in_order(held[stream]), stream


def test_many_records_of_one_instant_come_once(vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog) -> None:
    """A bulk update gives more than a page the same instant: all come, and the next run brings none of them again."""
    control = vicai.control.vicai
    for cursors in ("keyset", "offset"):
        control.options(cursors=cursors)
        first = tap(catalog=catalog("accounts"))
        last = control.records("accounts")[-1]["internalUpdatedAt"]
        at = last.replace("2026", "2027")
        control.touch("accounts", [r["internalId"] for r in control.records("accounts")], at=at)
        second = tap(state=first.state, catalog=catalog("accounts"))
        assert len(second.records["accounts"]) == len(control.records("accounts")) > 100
        third = tap(state=second.state, catalog=catalog("accounts"))
        assert third.records["accounts"] == []
        vicai.control.reset(documents=0, invoices=0)


def test_states_are_read_as_set(vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog) -> None:
    store = vicai.control.vicai.records("invoices")
    count = Counter(record["status"] for record in store)
    assert set(count) - {"APPROVED"} == {*contract.component("InvoiceState", contract.FIRST)["enum"]}
    posted = tap(catalog=catalog("invoices"))
    assert Counter(record["status"] for record in posted.records["invoices"]) == {"POSTED": count["POSTED"]}
    assert "replication_key_value" in posted.state["bookmarks"]["invoices"]
    two = tap(catalog=catalog("invoices"), invoice_states=["TRANSFERRED", "NOT_READY"])
    assert Counter(record["status"] for record in two.records["invoices"]) == {
        state: count[state] for state in ("TRANSFERRED", "NOT_READY")
    }
    # Who asks for more states later gets what was there before, too.
    more = tap(state=posted.state, catalog=catalog("invoices"), **ALL_STATES)
    assert len(more.records["invoices"]) == len(store)
    assert tap(state=more.state, catalog=catalog("invoices"), **ALL_STATES).records["invoices"] == []


def test_an_invoice_that_is_posted_at_last_comes(vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog) -> None:
    control = vicai.control.vicai
    first = tap(catalog=catalog("invoices"))
    waiting = next(r["internalId"] for r in control.records("invoices") if r["status"] == "READY_FOR_POST")
    control.touch("invoices", [waiting], status="POSTED", externalId="ERP-1")
    second = tap(state=first.state, catalog=catalog("invoices"))
    assert [(r["internalId"], r["status"]) for r in second.records["invoices"]] == [(waiting, "POSTED")]


def test_a_company_without_the_right_to_unposted_invoices(
    vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog
) -> None:
    vicai.control.vicai.options(unposted_allowed=False)
    run = tap(catalog=catalog("invoices", "invoice_line_items", "accounts", "vendors"), **ALL_STATES)
    assert run.records["invoices"] == []
    check_everything(vicai, run, ["accounts", "vendors"])
    (said,) = [line for line in run.err.splitlines() if "invoices, invoice_line_items are left out" in line]
    assert 'set invoice_states to ["POSTED"], or ask Vic.ai for it' in said
    assert "status 403" in said
    # One state of several may be allowed.
    run = tap(catalog=catalog("invoices"), invoice_states=["READY_FOR_POST", "POSTED"])
    assert {record["status"] for record in run.records["invoices"]} == {"POSTED"}
    # With the right given later, what was left out comes.
    vicai.control.vicai.options(unposted_allowed=True)
    later = tap(state=run.state, catalog=catalog("invoices"), invoice_states=["READY_FOR_POST", "POSTED"])
    assert {record["status"] for record in later.records["invoices"]} == {"READY_FOR_POST"}


def test_a_purchase_order_that_is_closed_or_opened_comes(
    vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog
) -> None:
    control = vicai.control.vicai
    streams = catalog("purchase_orders", "purchase_order_line_items")
    first = tap(catalog=streams)
    orders = control.records("purchaseOrders")
    assert {order["status"] for order in orders} == {"open", "closed"}
    opened = next(order["internalId"] for order in orders if order["status"] == "open")
    closed = next(order["internalId"] for order in orders if order["status"] == "closed")
    control.touch("purchaseOrders", [opened], status="closed")
    control.touch("purchaseOrders", [closed], status="open")
    second = tap(state=first.state, catalog=streams)
    assert {r["internalId"]: r["status"] for r in second.records["purchase_orders"]} == {
        opened: "closed",
        closed: "open",
    }
    touched = [order for order in control.records("purchaseOrders") if order["internalId"] in {opened, closed}]
    assert in_order(second.records["purchase_order_line_items"]) == in_order(order_lines(touched))
    assert tap(state=second.state, catalog=streams).records["purchase_orders"] == []


def test_new_fields_and_values_pass_and_the_schema_grows(
    vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog
) -> None:
    control = vicai.control.vicai
    news: dict[str, Any] = {
        "riskScore": Decimal("0.1234567890123456789"),
        "approval": {"by": "Žygimantas", "steps": [1, 2]},
        "status": "awaiting_Approval",
        "hold": None,
    }
    (made,) = control.add("invoices", **news)
    run = tap(catalog=catalog("invoices"), **ALL_STATES)
    (record,) = [record for record in run.records["invoices"] if record["internalId"] == made]
    assert news.items() <= record.items()
    before, after = run.schemas["invoices"][0]["properties"], run.schemas["invoices"][-1]["properties"]
    assert {"riskScore", "approval"} <= after.keys() - before.keys()
    assert "enum" not in json.dumps(run.schemas["invoices"])


def test_deselected_fields_stay_and_text_leaves_as_text(
    vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog
) -> None:
    wanted = catalog("invoices", without=(("invoices", "paymentInfo"), ("invoices", "vendor")))
    (stream,) = [entry for entry in wanted["streams"] if entry["tap_stream_id"] == "invoices"]
    stream["schema"]["properties"]["lineItems"] = {"type": ["string", "null"]}
    run = tap(catalog=wanted)
    held = {record["internalId"]: record for record in vicai.control.vicai.records("invoices")}
    assert len(run.records["invoices"]) > 100
    for record in run.records["invoices"]:
        assert not record.keys() & {"paymentInfo", "vendor"}
        lines = json.loads(record["lineItems"], parse_float=Decimal)
        assert lines == held[record["internalId"]]["lineItems"]


@pytest.mark.parametrize("stream", ["accounts", "vendors", "invoices", "purchase_orders"])
def test_start_date_leaves_out_what_has_not_changed_since(
    vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog, stream: str
) -> None:
    store = vicai.control.vicai.records(RESOURCE_OF[stream])
    instants = sorted(record["internalUpdatedAt"] for record in store)
    start = instants[len(instants) // 2]
    run = tap(catalog=catalog(stream), start_date=start, **ALL_STATES)
    expected = [record for record in store if record["internalUpdatedAt"] >= start]
    assert in_order(run.records[stream]) == in_order(expected)
    assert 0 < len(expected) < len(store)


def test_a_lone_payment_term_is_a_list_of_one(vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog) -> None:
    control = vicai.control.vicai
    control.options(lone_objects=True)
    for stream in ("payment_terms", "tax_codes"):
        rest = [record["id"] for record in control.records(RESOURCE_OF[stream])][1:]
        control.delete(RESOURCE_OF[stream], rest)
    run = tap(catalog=catalog("payment_terms", "tax_codes"))
    for stream in ("payment_terms", "tax_codes"):
        assert run.records[stream] == control.records(RESOURCE_OF[stream])
        assert len(run.records[stream]) == 1


def test_full_table_reads_everything_again(vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog) -> None:
    wanted = catalog("training_invoices", "payment_batches")
    for stream in wanted["streams"]:
        stream["replication_method"] = "FULL_TABLE"
    first = tap(catalog=wanted)
    second = tap(state=first.state, catalog=wanted)
    for stream in ("training_invoices", "payment_batches"):
        assert len(second.records[stream]) == len(first.records[stream]) > 0
