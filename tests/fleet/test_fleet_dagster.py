"""Dagster runs the fleet: each company is told for itself, events and schedules start what they should."""

from __future__ import annotations

import ast
import http.server
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster
import pytest
from dagster import AssetKey, RunRequest

from ap_connectors.core.errors import Stop
from ap_connectors.fleet import companies, members
from ap_connectors.fleet.dagster import assets, automation, events, location
from ap_connectors.fleet.pipelines import BY_NAME
from ap_connectors.webhooks.inbox import Delivery, Inbox
from tests.fleet.conftest import VIC, Fleet
from tests.fleet.dagster_runs import END, START, Runs
from tests.postgresql import empty_database, needs_postgresql

ROOT = Path(__file__).parent.parent.parent
IVESK = "ivesk-to-warehouse"


def wrong(number: int) -> dict[str, Any]:
    return {"id": f"c{number}", "settings": {"tap-vicai": {"client_id": "sandbox-client", "client_secret": "no-4711"}}}


def test_a_failed_company_hides_no_other_and_is_run_again_alone(fleet: Fleet, runs: Runs) -> None:
    """And what is in the warehouse is compared, each company for itself."""
    other = {**fleet.company(3), "pipelines": ["erp-to-vic"]}
    other["settings"] |= {"tap-saft": {"path": "none.xml"}, "target-vicai": fleet.credentials(3)}
    fleet.write(fleet.company(1), wrong(2), other, fleet.company(4))
    assert not runs.run("c1", "c4")
    first, *lines = runs.failure.splitlines()
    assert first == "2 of 4 companies not done (2 failed); the others are."
    assert sorted(line.split(": ")[:2] for line in lines) == [
        ["c2 vic-to-warehouse", "failed"],
        ["c3 erp-to-vic", "failed"],
    ]
    assert runs.done() == {"c1", "c4"}
    assert "c2" in runs.failed()
    assert [fleet.differences(number) for number in (1, 4)] == [set(), set()]
    (record, *_) = runs.instance.fetch_materializations(AssetKey([VIC]), limit=1).records
    assert record.asset_materialization
    facts = {name: value.value for name, value in record.asset_materialization.metadata.items()}
    report = json.loads(Path(str(facts["report"])).read_text("utf-8"))
    assert (facts["read"], facts["set_aside"]) == (report["total"]["received"], report["total"]["rejected"])
    assert not any(secret in runs.told for secret in ("no-4711", fleet.of(1).client_secret))
    # Mended: Dagster's "failed" are the companies to run again.
    fleet.write(fleet.company(1), fleet.company(2), fleet.company(4))
    assert runs.run("c2", "c2"), runs.failure
    assert "expected outputs" not in runs.told
    assert runs.done() == {"c1", "c2", "c4"}
    assert fleet.differences(2) == set()
    fleet.rows("DELETE FROM vicai.vendors WHERE company = 'c4'")
    assert runs.run("c1", "c4", checks=True), runs.failure
    assert "expected outputs" not in runs.told
    history = runs.instance.event_log_storage.get_asset_check_execution_history(
        dagster.AssetCheckKey(AssetKey([VIC]), assets.CHECK), limit=10
    )
    assert {(one.partition, one.status.value) for one in history} == {
        ("c1", "SUCCEEDED"),
        ("c2", "SUCCEEDED"),
        ("c4", "FAILED"),
        # It is not among the companies any more.
        ("c3", "PLANNED"),
    }
    (evaluation,) = [one.event for one in history if one.partition == "c1"]
    assert evaluation
    assert "| invoices | NOK |" in str(evaluation.dagster_event)


@pytest.mark.parametrize(
    ("wanted", "most", "found"),
    [
        ("abc", 50, ["ac"]),
        ("abcdef", 4, ["ad", "ef"]),
        ("ad", 50, ["ad"]),
        ("ae", 50, ["aa", "ee"]),
        ("ea", 50, ["aa", "ee"]),
        ("", 50, []),
    ],
)
def test_companies_of_a_run_are_neighbours(wanted: str, most: int, found: Sequence[str]) -> None:
    assert ["".join(span) for span in automation.spans("abcdef", list(wanted), most, gap=2)] == found


def store(place: str, *events: tuple[str, str | None]) -> None:
    """Receive events: of a service, and of a company as the service calls it."""
    inbox = Inbox(place)
    number = inbox.count()
    inbox.store(
        [
            Delivery(service, "on_exported", f"key-{number + index}", company, None, b"{}")
            for index, (service, company) in enumerate(events)
        ]
    )
    inbox.close()


def ivesk(fleet: Fleet, number: int, *codes: str) -> dict[str, Any]:
    key = fleet.of(number).api_key
    return {
        "id": f"c{number}",
        "pipelines": [VIC, IVESK],
        "settings": {"tap-vicai": fleet.credentials(number), "tap-ivesk": {"api_key": key, "company_codes": codes}},
    }


def look(runs: Runs, cursor: str | None) -> tuple[list[RunRequest], str]:
    """Have the sensor look once."""
    sensor = runs.definitions.resolve_sensor_def("inbox")
    context = dagster.build_sensor_context(runs.instance, cursor=cursor)
    data = sensor.evaluate_tick(context)
    return list(data.run_requests or []), data.cursor or ""


def companies_of(request: RunRequest) -> tuple[list[str], str, str]:
    assert request.asset_selection
    assert request.asset_check_keys == []
    return [key.path[-1] for key in request.asset_selection], request.tags[START], request.tags[END]


@pytest.mark.parametrize("database", ["file", pytest.param("postgresql", marks=needs_postgresql)])
def test_a_click_on_export_runs_that_company(fleet: Fleet, runs: Runs, database: str) -> None:
    place = empty_database("inbox") if database == "postgresql" else "webhooks.db"
    codes = {1: ["391016469"], 2: ["380020007", "380020014"], 3: []}
    fleet.write(*(ivesk(fleet, number, *codes[number]) for number in codes), dagster={"inbox": place})
    received = place if "://" in place else str(fleet.folder / place)
    store(received)
    assert look(runs, None) == ([], json.dumps({"inbox": 0}))
    store(received, ("ivesk", "380020014"), ("ivesk", "380020014"))
    (request,), cursor = look(runs, json.dumps({"inbox": 0}))
    assert companies_of(request) == ([IVESK], "c2", "c2")
    # The daemon was killed before it kept the cursor: the same run again, which Dagster knows by its key.
    assert look(runs, json.dumps({"inbox": 0})) == ([request], cursor)
    assert look(runs, cursor)[0] == []
    # A code that no company names goes to those that name none; an event without a company to all of the service.
    store(received, ("ivesk", "1"), ("vicai", None))
    found, cursor = look(runs, cursor)
    assert [companies_of(one) for one in found] == [([IVESK], "c3", "c3"), ([VIC], "c1", "c3")]
    keys = {one.run_key for one in found}
    # An older copy: from its first event on.
    found, _ = look(runs, json.dumps({"inbox": 99}))
    assert [companies_of(one)[1:] for one in found] == [("c2", "c3"), ("c1", "c3")]
    if database == "file":
        # Another one: its numbers have been before, its runs are others.
        Path(received).unlink()
        store(received, *[("ivesk", "1"), ("ivesk", "1"), ("ivesk", "1"), ("vicai", None)])
        found, _ = look(runs, json.dumps({"inbox": 99}))
        assert [companies_of(one)[1:] for one in found] == [("c3", "c3"), ("c1", "c3")]
        assert not keys & {one.run_key for one in found}


def test_an_inbox_for_each_company(fleet: Fleet, runs: Runs) -> None:
    """One that is not there holds up no other."""
    fleet.write(*fleet.companies(3), dagster={"inbox": "{company}.db"})
    for name in ("c1", "c2"):
        store(str(fleet.folder / f"{name}.db"))
    store(str(fleet.folder / "c2.db"), ("vicai", None))
    found, cursor = look(runs, None)
    assert [companies_of(one) for one in found] == [([VIC], "c2", "c2")]
    assert json.loads(cursor) == {"c1": 0, "c2": 1}
    fleet.write(fleet.company(3), dagster={"inbox": "{company}.db"})
    with pytest.raises(Stop, match="there is no file"):
        events.look(companies.read(fleet.path), {})


def test_schedules_are_off_unless_the_file_names_them(
    fleet: Fleet, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = {"batch": 2, "schedules": {VIC: "7 * * * *", "tie-out": "0 5 * * 1"}, "timezone": "Europe/Vilnius"}
    only = {**fleet.company(4), "pipelines": ["erp-to-vic"]}
    only["settings"] |= {"tap-saft": {"path": "none.xml"}, "target-vicai": fleet.credentials(4)}
    fleet.write(*fleet.companies(3), only, dagster=named)
    made = {one.name: one for one in runs.definitions.schedules or [] if isinstance(one, dagster.ScheduleDefinition)}
    found = {name: (one.cron_schedule, one.default_status.value) for name, one in made.items()}
    assert found == {
        "vic_to_warehouse": ("7 * * * *", "RUNNING"),
        "erp_to_vic": ("0 * * * *", "STOPPED"),
        "all": ("0 * * * *", "STOPPED"),
        "tie_out": ("0 5 * * 1", "RUNNING"),
    }
    assert {one.execution_timezone for one in made.values()} == {"Europe/Vilnius"}
    spans = {}
    for name, one in made.items():
        # Only an instance with a place on disk can be handed on here.
        context = dagster.build_schedule_context()
        monkeypatch.setattr(type(context), "instance", runs.instance)
        requests = one.evaluate_tick(context).run_requests or []
        assert len({request.run_key for request in requests}) == len(requests)
        spans[name] = [(request.tags[START], request.tags[END]) for request in requests]
    assert spans["vic_to_warehouse"] == spans["tie_out"] == [("c1", "c2"), ("c3", "c3")]
    assert spans["erp_to_vic"] == [("c4", "c4")]
    assert spans["all"] == [("c1", "c2"), ("c3", "c4")]


def test_partitions_follow_the_file(fleet: Fleet, runs: Runs) -> None:
    fleet.write(*fleet.companies(2))
    runs.instance.add_dynamic_partitions("companies", ["gone", "c2"])
    sensor = runs.definitions.resolve_sensor_def("companies_yml")
    data = sensor.evaluate_tick(dagster.build_sensor_context(runs.instance))
    asked = {type(one).__name__: list(one.partition_keys) for one in data.dynamic_partitions_requests or []}
    assert asked == {"AddDynamicPartitionsRequest": ["c1"], "DeleteDynamicPartitionsRequest": ["gone"]}


class _Ear(http.server.BaseHTTPRequestHandler):
    heard: list[dict[str, Any]]
    status = 200

    def do_POST(self) -> None:
        self.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.status if len(self.heard) > 1 else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_who_is_told_of_failed_runs(fleet: Fleet, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address, the second time it is tried; a command, which gets the same on its standard input."""
    _Ear.heard = []
    server = http.server.HTTPServer(("127.0.0.1", 0), _Ear)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("ap_connectors.fleet.dagster.failures._PAUSE", 0)
    address = f"http://127.0.0.1:{server.server_port}/token-4711"
    fleet.write(wrong(1), dagster={"on_failure": address})
    assert not runs.run("c1", "c1")

    def tell() -> None:
        (run,) = runs.instance.get_runs()
        logs = [record.dagster_event for record in runs.instance.all_logs(run.run_id) if record.dagster_event]
        context = dagster.build_run_status_sensor_context(
            "failures", next(event for event in logs if event.is_run_failure), runs.instance, run
        )
        runs.definitions.resolve_sensor_def("failures")(context.for_run_failure())

    tell()
    server.shutdown()
    assert _Ear.heard[0] == _Ear.heard[1]
    told = _Ear.heard[1]
    assert told["text"].startswith("ap-fleet: 1 of 1 companies not done (1 failed)")
    assert [(one["company"], one["pipeline"], one["status"]) for one in told["failed"]] == [("c1", VIC, "failed")]
    server.server_close()
    with pytest.raises(Stop, match=r"could not be told: 127.0.0.1:\d+ refuses connections") as caught:
        tell()
    assert "4711" not in str(caught.value)
    monkeypatch.setenv("AP_FLEET_ON_FAILURE", f"tee {fleet.folder / 'told.json'}")
    tell()
    assert json.loads((fleet.folder / "told.json").read_text("utf-8"))["failed"] == told["failed"]


def test_what_the_file_says_of_dagster_is_checked(fleet: Fleet) -> None:
    given = {"schedules": {"vic-to-warehous": "hourly"}, "batch": 0, "on_failure": "rm -rf", "inbx": "x"}
    fleet.write(fleet.company(1), dagster=given)
    with pytest.raises(Stop) as caught:
        companies.read(fleet.path)
    said = str(caught.value)
    for part in (
        "there is no pipeline vic-to-warehous; did you mean vic-to-warehouse?",
        "must be five fields of cron",
        "batch: must be a whole number, 1 or more.",
        "on_failure must be an address, or {command: [PROGRAM, ...]}.",
        "inbx is not known here; did you mean inbox?",
    ):
        assert part in said, said


def test_a_clone_has_an_example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AP_FLEET_COMPANIES", raising=False)
    monkeypatch.chdir(tmp_path)
    found = companies.read(location.place())
    assert [company.id for company in found.companies] == [f"company-{number:03}" for number in range(1, 13)]
    assert found.folder.resolve() == ROOT / "output/fleet"
    assert location.definitions(location.place()).resolve_all_asset_specs()
    monkeypatch.setattr(location, "_EXAMPLE", tmp_path / "none.yml")
    with pytest.raises(Stop, match="There is no companies"):
        location.place()


def test_ap_fleet_does_without_dagster() -> None:
    for path in (ROOT / "ap_connectors/fleet").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any("dagster" in name for name in names), path


def test_lineage_goes_on_from_stage_to_stage() -> None:
    names = ["vic-to-warehouse", "erp-to-vic", "ivesk-to-vic", "errors-to-ivesk"]
    whole = members.Company("c", "c", None, tuple(names), {}, "x.duckdb")
    made = assets.pipelines(members.Fleet(Path(), (whole,), BY_NAME, Path()))
    parents = {spec.key.path[-1]: sorted(dep.asset_key.path[-1] for dep in spec.deps) for spec in made.specs}
    first = ["erp-to-vic", "ivesk-to-vic"]
    assert parents == {"vic-to-warehouse": first, "errors-to-ivesk": first, "erp-to-vic": [], "ivesk-to-vic": []}
