"""What the tap writes, field by field, digit by digit."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from ap_connectors.core.raw_json import text as field_text
from ap_connectors.sandbox.process import SandboxProcess
from tap_ivesk.tap import TapIvesk
from tests.campaign import one_in
from tests.conftest import Run, RunTap

MakeCatalog = Callable[..., dict[str, Any]]

AWKWARD = {
    "subtotal": Decimal("1234567890123456.789"),
    "vat": Decimal("0.10"),
    "total": Decimal("1234567890123456.889"),
    "currencyrate": Decimal("3.45280000000000000000001"),
    "paymentterm": None,
    "docnum": 'Ąžuolas „ė“ \\ " / \n\t\u2028 😀 \u0000',
    "sellername": "漢字 עברית 𝔘",
}
LINE = {"price": Decimal("9999999999999999.999"), "quantity": Decimal("0.10"), "name": 'UAB „Žalias"\n'}


def without_link(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "url"}


def in_tap_form(document: dict[str, Any]) -> dict[str, Any]:
    """What the tap makes of a document of the store: as it is, but what the upload passed along is text."""
    for name in ("userdata", "sourcedata"):
        if isinstance(document.get(name), dict):
            document[name] = json.dumps(document[name], ensure_ascii=False, separators=(",", ":"))
    return document


@pytest.mark.parametrize("queue", ["exported", "digitized"])
def test_every_document_and_line_equals_the_store(
    sandbox: SandboxProcess, tap: RunTap, catalog: MakeCatalog, queue: str
) -> None:
    sandbox.control.add(2, overrides=AWKWARD, line_overrides=LINE)
    run = tap(catalog=catalog(f"{queue}_documents", f"{queue}_document_lines"))
    store = [in_tap_form(document) for document in sandbox.control.documents(queue)]
    assert [without_link(record) for record in run.records[f"{queue}_documents"]] == store
    expected = [
        line | {"document_id": document["id"], "line_number": number, f"{queue}at": document[f"{queue}at"]}
        for document in store
        for number, line in enumerate(document["lines"], 1)
    ]
    assert run.records[f"{queue}_document_lines"] == expected
    assert len(expected) > len(store) > 200


def test_every_digit_leaves_as_it_came(sandbox: SandboxProcess, tap: RunTap) -> None:
    """Compared as text: 0.10 is not 0.1, and 19 digits are 19 digits."""
    (id_,) = sandbox.control.add(1, overrides=AWKWARD, line_overrides=LINE)
    run = tap()
    line = next(line for line in run.lines if '"stream":"exported_documents"' in line and f'"id":"{id_}"' in line)
    for text in ('"subtotal":1234567890123456.789,', '"vat":0.10,', '"currencyrate":3.45280000000000000000001,'):
        assert text in line
    assert '"price":9999999999999999.999,' in line
    of_line = next(text for text in run.lines if '"stream":"exported_document_lines"' in text and id_ in text)
    assert '"quantity":0.10,"price":9999999999999999.999,' in of_line


def test_by_default_exported_documents_and_lines(tap: RunTap) -> None:
    assert set(tap().records) == {"exported_documents", "exported_document_lines"}


def test_lines_alone(sandbox: SandboxProcess, tap: RunTap, catalog: MakeCatalog) -> None:
    """Lines are read although their documents are not wanted, and the bookmark is kept."""
    run = tap(catalog=catalog("exported_document_lines"))
    assert set(run.records) == {"exported_document_lines"}
    assert len(run.records["exported_document_lines"]) == sum(len(d["lines"]) for d in sandbox.control.documents())
    sandbox.control.add(1)
    again = tap(catalog=catalog("exported_document_lines"), state=run.state)
    assert {line["document_id"] for line in again.records["exported_document_lines"]} == {
        sandbox.control.documents()[-1]["id"]
    }


def test_lines_cost_no_request(sandbox: SandboxProcess, tap: RunTap, catalog: MakeCatalog) -> None:
    tap(catalog=catalog("exported_documents"))
    documents_only = len(sandbox.control.calls())
    sandbox.control.clear_calls()
    tap()
    assert len(sandbox.control.calls()) == documents_only


def test_unheard_of_fields_arrive_and_are_declared(sandbox: SandboxProcess, tap: RunTap) -> None:
    sandbox.control.options(extra_fields=True)
    run = tap()
    store = [in_tap_form(document) for document in sandbox.control.documents()]
    assert [without_link(record) for record in run.records["exported_documents"]] == store
    for stream in ("exported_documents", "exported_document_lines"):
        declared = run.schemas[stream][-1]["properties"]
        for record in run.records[stream]:
            unknown = [name for name, value in record.items() if name not in declared and value is not None]
            assert not unknown
    # Each field is declared before the first record that has it.
    declared_by_now: dict[str, set[str]] = {}
    for message in run.messages:
        if message["type"] == "SCHEMA":
            declared_by_now[message["stream"]] = set(message["schema"]["properties"])
        elif message["type"] == "RECORD":
            present = {name for name, value in message["record"].items() if value is not None}
            assert present <= declared_by_now[message["stream"]]


def test_an_unheard_of_field_that_changes_its_type_becomes_text(sandbox: SandboxProcess, tap: RunTap) -> None:
    sandbox.control.reset(documents=0)
    for value in (None, 7, Decimal("0.10"), {"a": Decimal("1.00")}, "keturi"):
        sandbox.control.add(1, overrides={"novelty": value}, instant=None)
    run = tap()
    assert [record["novelty"] for record in run.records["exported_documents"]] == [
        None, 7, Decimal("0.10"), '{"a":1.00}', "keturi",
    ]  # fmt: skip
    types = [schema["properties"].get("novelty", {}).get("type") for schema in run.schemas["exported_documents"]]
    assert types == [None, ["number", "null"], ["string", "null"]]


def test_nulls_and_absent_fields_stay_what_they_are(sandbox: SandboxProcess, tap: RunTap) -> None:
    sandbox.control.reset(documents=0)
    sandbox.control.add(1, overrides={"total": None, "sellername": "", "lines": None}, remove=["buyercode", "vat"])
    run = tap()
    (record,) = run.records["exported_documents"]
    assert record["total"] is None
    assert record["sellername"] == ""
    assert record["lines"] is None
    assert not {"buyercode", "vat"} & set(record)
    assert run.records["exported_document_lines"] == []


def test_deselected_fields_stay_behind(sandbox: SandboxProcess, tap: RunTap, catalog: MakeCatalog) -> None:
    chosen = catalog(
        "exported_documents",
        "exported_document_lines",
        without=(("exported_documents", "lines"), ("exported_document_lines", "name")),
    )
    run = tap(catalog=chosen)
    assert len(run.records["exported_document_lines"]) == sum(len(d["lines"]) for d in sandbox.control.documents())
    assert all("lines" not in record for record in run.records["exported_documents"])
    assert all("name" not in record for record in run.records["exported_document_lines"])
    assert "lines" not in run.schemas["exported_documents"][0]["properties"]


def test_fields_declared_as_text_leave_as_their_exact_text(
    sandbox: SandboxProcess, tap: RunTap, catalog: MakeCatalog
) -> None:
    sandbox.control.reset(documents=0, extra_fields=True)
    (id_,) = sandbox.control.add(1, overrides=AWKWARD, line_overrides=LINE)
    chosen = catalog("exported_documents")
    properties = next(s for s in chosen["streams"] if s["tap_stream_id"] == "exported_documents")["schema"][
        "properties"
    ]
    for name in ("subtotal", "vat", "total", "currencyrate", "lines"):
        properties[name]["type"] = ["string", "null"]
    run = tap(catalog=chosen)
    (record,) = run.records["exported_documents"]
    assert record["id"] == id_
    assert (record["vat"], record["subtotal"]) == ("0.10", "1234567890123456.789")
    assert '"quantity":0.10' in record["lines"]
    # Numbers that the catalog never heard of follow the known ones.
    (store,) = sandbox.control.documents()
    unknown = {name for name, value in store.items() if name not in properties and isinstance(value, Decimal)}
    assert unknown
    assert all(record[name] == str(store[name]) for name in unknown)


def test_stream_maps_and_flattening_work_and_keep_digits(sandbox: SandboxProcess, tap: RunTap) -> None:
    sandbox.control.reset(documents=0)
    (id_,) = sandbox.control.add(1, overrides=AWKWARD | {"novelty": "nauja"})
    run = tap(
        stream_maps={"exported_documents": {"seller_upper": "sellercode", "sellername": None}},
        flattening_enabled=True,
        flattening_max_depth=1,
    )
    (record,) = run.records["exported_documents"]
    assert record["id"] == id_
    assert record["seller_upper"] == record["sellercode"]
    assert "sellername" not in record
    assert record["novelty"] == "nauja"
    assert record["subtotal"] == AWKWARD["subtotal"]
    assert '"vat":0.10' in run.out


def test_only_the_wanted_companies(sandbox: SandboxProcess, tap: RunTap) -> None:
    code = sandbox.control.documents()[0]["buyercode"]

    def belongs(document: dict[str, Any]) -> bool:
        own = [party for party in ("buyer", "seller") if document[f"{party}isfavorite"]]
        return code in [document[f"{party}code"] for party in own]

    run = tap(company_codes=[code])
    expected = [document["id"] for document in sandbox.control.documents() if belongs(document)]
    assert run.ids() == expected
    assert 0 < len(expected) < 300
    assert {line["document_id"] for line in run.records["exported_document_lines"]} == set(expected)
    left_out = len(sandbox.control.documents()) - len(expected)
    assert f"{left_out} documents of companies that are not in company_codes were left out" in run.err
    # What was left out is behind the bookmark all the same.
    assert tap(company_codes=[code], state=run.state).ids() == []
    assert "left out all" not in run.err
    assert tap(company_codes=["304567899", f"LT {code[:3]} {code[3:]}", ""]).ids() == expected
    # An empty variable does not stand for all companies.
    nameless = tap(company_codes=["", " "], expect=1)
    assert (nameless.ids(), nameless.states) == ([], [])
    assert "company_codes names no company: " in nameless.complaints[0]


def test_a_filter_that_leaves_out_everything_is_warned_of(sandbox: SandboxProcess, tap: RunTap) -> None:
    run = tap(company_codes=["100000001"])
    assert not run.ids()
    (warned,) = [line for line in run.err.splitlines() if "WARN" in line]
    assert f"company_codes left out all {len(sandbox.control.documents())} documents that came; they are of " in warned
    assert sandbox.control.documents()[0]["buyercode"] in warned
    # It is as if nothing had been read: nothing is behind the bookmark when the code, or the key, is put right.
    code = next(one["buyercode"] for one in sandbox.control.documents() if one["buyerisfavorite"])
    ours = tap(company_codes=[code]).ids()
    later = tap(company_codes=[code], state=run.state)
    assert later.ids() == ours != []
    # A bookmark before start_date does not count: reading begins there.
    begin: dict[str, Any] = {"start_date": "2020-01-02"}
    state = {"bookmarks": {"exported_documents": {"replication_key_value": "2020-01-01T00:00:00.000Z"}}}
    wrong = tap(company_codes=["100000001"], state=state, **begin)
    assert tap(company_codes=[code], state=wrong.state, **begin).ids() == ours
    # Once there was one, others are passed; nothing new is not nothing wanted.
    sandbox.control.add(1, overrides={"buyercode": "100000002", "buyerisfavorite": True, "sellerisfavorite": False})
    passed = tap(company_codes=[code], state=later.state)
    assert not passed.ids()
    assert "The bookmark is behind them" in passed.err
    assert "left out all" not in tap(company_codes=[code], state=passed.state).err


def test_only_one_kind_of_document(sandbox: SandboxProcess, tap: RunTap) -> None:
    run = tap(doctype="creditnote")
    expected = [d["id"] for d in sandbox.control.documents() if d["doctype"] == "creditnote"]
    assert run.ids() == expected != []


@pytest.mark.long
def test_several_kinds_of_documents(sandbox: SandboxProcess, tap: RunTap) -> None:
    """The service takes one kind only."""
    sandbox.control.add(1, overrides={"doctype": "memo"})
    held = sandbox.control.documents()
    expected = [d["id"] for d in held if d["doctype"] in {"invoice", "creditnote"}]
    assert {d["doctype"] for d in held} > {"invoice", "creditnote"}
    run = tap(doctype=["Invoice", " creditnote ", ""])
    assert run.ids() == expected
    assert f"{len(held) - len(expected)} documents of kinds that are not in doctype were left out" in run.err
    assert run.state == tap().state
    sandbox.control.clear_calls()
    one = [d["id"] for d in held if d["doctype"] == "creditnote"]
    assert tap(doctype=["creditnote"]).ids() == one
    assert all("doctype=creditnote" in call["query"] for call in sandbox.control.calls())
    assert len(tap(doctype=[]).ids()) == len(held)
    for text in ('["invoice", "creditnote"]', "invoice, creditnote"):
        assert tap(doctype=text).ids() == expected


def test_start_date(sandbox: SandboxProcess, tap: RunTap) -> None:
    expected = [d["id"] for d in sandbox.control.documents() if d["exportedat"] >= "2026-01-08"]
    assert tap(start_date="2026-01-08").ids() == expected != []


def test_incremental(sandbox: SandboxProcess, tap: RunTap) -> None:
    first = tap()
    assert tap(state=first.state).ids() == []
    new = sandbox.control.add(3)
    again = sandbox.control.export(count=2)
    second = tap(state=first.state)
    assert sorted(second.ids()) == sorted(new + again)
    third = tap(state=second.state)
    assert third.ids() == []
    # A run that found nothing ends with a STATE all the same, and it is the same.
    assert third.state == second.state
    # A person who sets the bookmark back leaves the rest of it as it was.
    held = sandbox.control.documents()
    back = held[200]["exportedat"]
    second.state["bookmarks"]["exported_documents"]["replication_key_value"] = back
    assert tap(state=second.state).ids() == [d["id"] for d in held if d["exportedat"] >= back]


def test_the_whole_table_when_the_catalog_wants_it(tap: RunTap, catalog: MakeCatalog) -> None:
    first = tap()
    chosen = catalog("exported_documents")
    for stream in chosen["streams"]:
        stream["replication_method"] = "FULL_TABLE"
    assert tap(catalog=chosen, state=first.state).ids() == first.ids() != []


def test_an_empty_queue_ends_well(sandbox: SandboxProcess, tap: RunTap) -> None:
    sandbox.control.reset(documents=0)
    run = tap()
    assert run.records == {}
    assert run.states
    sandbox.control.add(2)
    assert len(tap(state=run.state).ids()) == 2


def columns_setting(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"company_code": company, "column": column} for company, column in pairs]


def test_columns(sandbox: SandboxProcess, tap: RunTap, catalog: MakeCatalog) -> None:
    control = sandbox.control
    values = [{"code": f"S{n:03}", "description": "Skyrius „Ė“"} for n in range(250)]
    control.columns("302320404", "skyrius", values)
    control.columns("391016469", "skyrius", [{"code": "A", "modifiedat": "2026-02-01T00:00:00.000Z"}])
    wanted = columns_setting(("302320404", "skyrius"), ("391016469", "skyrius"))
    chosen = catalog("columns")
    first = tap(columns=wanted, catalog=chosen)
    assert sorted((r["company_code"], r["column"], r["code"]) for r in first.records["columns"]) == sorted(
        [("302320404", "skyrius", v["code"]) for v in values] + [("391016469", "skyrius", "A")]
    )
    assert first.records["columns"][0]["description"] == "Skyrius „Ė“"
    assert tap(columns=wanted, catalog=chosen, state=first.state).records["columns"] == []
    control.columns("391016469", "skyrius", [{"code": "B", "modifiedat": "2026-02-01T00:00:00.000Z"}])
    control.columns("302320404", "skyrius", [{"code": "S007", "description": "kitas"}])
    second = tap(columns=wanted, catalog=chosen, state=first.state)
    assert sorted((r["code"], r["description"]) for r in second.records["columns"]) == [("B", None), ("S007", "kitas")]
    assert tap(columns=wanted, catalog=chosen, state=second.state).records["columns"] == []


def test_a_column_that_changes_while_it_is_read(sandbox: SandboxProcess) -> None:
    """A value of a page that was read already changes, to an instant that is not the newest of the column."""

    def values(codes: range, month: int) -> list[dict[str, str]]:
        return [{"code": f"S{n:03}", "modifiedat": f"2026-{month:02}-01T00:00:00.000Z"} for n in codes]

    sandbox.control.columns("302320404", "skyrius", values(range(120), 2) + values(range(120, 250), 4))
    part = {"company_code": "302320404", "column": "skyrius"}
    config = {"api_key": sandbox.api_key, "api_url": sandbox.ivesk_url, "columns": [part]}
    batches = iter(TapIvesk(config=dict(config)).streams["columns"].read(part))  # type: ignore[attr-defined]
    next(batches)
    sandbox.control.columns("302320404", "skyrius", values(range(1, 2), 3))
    *_, last = batches
    state = {"bookmarks": {"columns": {"partitions": [{"context": part, **last.bookmark}]}}}
    again = TapIvesk(config=dict(config), state=state).streams["columns"].read(part)  # type: ignore[attr-defined]
    codes = [field_text(item, "code") for batch in again for item in batch.records]
    assert "S001" in codes
    assert len(codes) <= 2


def test_a_column_value_without_an_instant_always_comes(sandbox: SandboxProcess, tap: RunTap) -> None:
    """Whether it changed cannot be told."""
    control = sandbox.control
    control.columns("302320404", "skyrius", [{"code": "A", "modifiedat": "2026-02-01T00:00:00.000Z"}])
    control.columns("302320404", "skyrius", [{"code": "N"}])
    wanted = columns_setting(("302320404", "skyrius"))
    first = tap(columns=wanted)
    assert [r["code"] for r in first.records["columns"]] == ["A", "N"]
    assert {r["company_code"] for r in first.records["columns"]} == {"302320404"}


@one_in(3)
@pytest.mark.parametrize("lines", [[None], "x", {"a": 1}, [[]]])
def test_lines_of_another_shape_do_not_stop_the_rest(sandbox: SandboxProcess, tap: RunTap, lines: Any) -> None:
    sandbox.control.add(1, overrides={"lines": lines})
    after = sandbox.control.add(1)
    run = tap()
    assert run.ids()[-1:] == after
    assert run.records["exported_document_lines"][-1]["document_id"] == after[0]
    assert ("lines is not a list of objects" in run.err) == (lines != [None])


def test_a_stream_that_joins_late_or_again_says_what_it_misses(tap: RunTap, catalog: MakeCatalog) -> None:
    first = tap(catalog=catalog("exported_documents"))
    second = tap(state=first.state)
    assert "exported_document_lines was not read in the last run and begins at the bookmark" in second.err
    # Left out for one run, it has missed what that run read.
    third = tap(state=second.state, catalog=catalog("exported_documents"))
    fourth = tap(state=third.state)
    assert "exported_document_lines was not read in the last run" in fourth.err
    # So has a parent whose children alone were read.
    fifth = tap(state=fourth.state, catalog=catalog("exported_document_lines"))
    sixth = tap(state=fifth.state)
    assert "exported_documents was not read in the last run" in sixth.err
    assert "the last time" not in first.err + third.err + fifth.err + tap(state=sixth.state).err


def test_selected_by_default_when_set(sandbox: SandboxProcess, tap: RunTap, tmp_path: Any) -> None:
    sandbox.control.columns("302320404", "skyrius", [{"code": "S1"}])
    run = tap(columns=columns_setting(("302320404", "skyrius")), documents_dir=str(tmp_path / "files"))
    assert [record["code"] for record in run.records["columns"]] == ["S1"]
    assert len(run.records["document_files"]) == len(run.records["exported_documents"])


def test_connection_test_reads_one_record_of_each(sandbox: SandboxProcess, tap: RunTap) -> None:
    run = tap("--test")
    # One sentence for each stream, and nothing else: not a SCHEMA, RECORD or STATE.
    assert run.lines == [
        "columns: was not tried; it is read when columns is set.",
        "digitized_documents: can be read.",
        "digitized_document_lines: can be read.",
        "document_files: was not tried; it is read in a run only.",
        "exported_documents: can be read.",
        "exported_document_lines: can be read.",
    ]
    assert not run.complaints
    assert not [line for line in run.err.splitlines() if "METRIC" in line or "Beginning sync" in line]
    assert [call["status"] for call in sandbox.control.calls()] == [200] * len(sandbox.control.calls())
    refused = tap("--test", expect=1, api_key="wrong-key")
    # What is wrong with all of them is said once.
    assert not [line for line in refused.lines if "read:" in line or "can be read" in line]
    assert len(refused.complaints) == 1
    assert "the api_key is not accepted" in refused.complaints[0]


def test_a_run_ends_with_a_line_for_each_stream(sandbox: SandboxProcess, tap: RunTap) -> None:
    run = tap()
    at = run.state["bookmarks"]["exported_documents"]["replication_key_value"]
    said = [line.rpartition(" | ")[2] for line in run.err.splitlines() if " | INFO     | tap-ivesk  " in line][-2:]
    lines = len(run.records["exported_document_lines"])
    assert said == [
        f"exported_document_lines: {lines} records.",
        f"exported_documents: {len(run.ids())} records, read up to {at}.",
    ]


def test_a_run_that_fails_says_how_far_each_stream_came(
    sandbox: SandboxProcess, tap: RunTap, catalog: MakeCatalog
) -> None:
    sandbox.control.fault("status", path="/ivesk/api/pub/digitized", status=403, times=100)
    run = tap(catalog=catalog("digitized_documents", "exported_documents"), expect=1)
    assert "digitized_documents: 0 records; not finished." in run.err
    assert "exported_documents: 0 records; not begun." in run.err


def test_state_never_overtakes_its_records(tap: RunTap, sandbox: SandboxProcess) -> None:
    """Each STATE covers only documents written before it, and all of those."""
    sandbox.control.reset(documents=0)
    sandbox.control.add(400)
    run: Run = tap()
    written: dict[str, str] = {}
    for message in run.messages:
        if message["type"] == "RECORD" and message["stream"] == "exported_documents":
            written[message["record"]["id"]] = message["record"]["exportedat"]
        if message["type"] == "STATE":
            bookmark = message["value"]["bookmarks"]["exported_documents"]
            assert bookmark["replication_key_value"] == max(written.values())
            assert {id_ for ids in bookmark["seen"].values() for id_ in ids} <= set(written)
