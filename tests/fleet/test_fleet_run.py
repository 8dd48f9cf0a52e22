"""A batch: each company on its own, whatever happens to the others."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ap_connectors.fleet import companies
from ap_connectors.fleet.apart import run_batch
from ap_connectors.fleet.results import Result
from tests.fleet.conftest import VIC, Fleet, needs_postgresql

SAFT = str(Path(__file__).parent.parent.parent / "demo" / "saft")


@needs_postgresql
def test_companies_fail_each_for_itself(big_fleet: Fleet) -> None:
    """A wrong key, none, no right, an outage, a hang, a damaged state, another company: the others are complete."""
    fleet = big_fleet
    wrong = {"client_id": "sandbox-client", "client_secret": "wrong-secret-4711"}
    lacking = {"client_id": "sandbox-client", "client_secret": "${AP_NOT_THERE}"}
    fleet.of(3).control.fault("status", path="/vicai/v0/healthCheck", rate=1, status=403)
    fleet.of(4).control.fault("status", path="/vicai/v0/vendors", rate=1, status=503)
    fleet.of(5).control.fault("slow", path="/vicai/v0/vendors", rate=1, seconds=60)
    fleet.write(
        fleet.company(1, expected_company=fleet.name(1)),
        {"id": "wrong", "settings": {"tap-vicai": wrong}},
        {"id": "lacking", "settings": {"tap-vicai": lacking}},
        fleet.company(3),
        fleet.company(4),
        fleet.company(5),
        {"id": "stranger", "expected_company": "Kiti UAB", "settings": {"tap-vicai": fleet.credentials(6)}},
        {
            "id": "damaged",
            "pipelines": ["erp-to-vic"],
            "settings": {"tap-saft": {"path": SAFT}, "target-vicai": fleet.credentials(7)},
        },
        fleet.company(2),
        retries=1,
        time_limit=20,
    )
    state = fleet.folder / "output" / "state" / "damaged" / "erp-to-vic.json"
    state.parent.mkdir(parents=True)
    state.write_text("{", encoding="utf-8")
    found = fleet.run("--jobs=6", expect=1)
    ends = {name: result["status"] for name, result in found.items()}
    failed = dict.fromkeys(("wrong", "lacking", "stranger", "damaged", "c3"), "failed")
    assert ends == {"c1": "done", "c2": "done", "c4": "outage", "c5": "late", **failed}
    assert "are not accepted" in found["wrong"]["error"]
    assert "the variable AP_NOT_THERE is not set" in found["lacking"]["error"]
    assert 'expected_company is "Kiti UAB"' in found["stranger"]["error"]
    assert "STATE is damaged" in found["damaged"]["error"]
    assert "status 403" in found["c3"]["error"]
    assert "status 503" in found["c4"]["error"]
    assert "time_limit" in found["c5"]["error"]
    assert found["c4"]["tries"] == 2
    assert {result["tries"] for name, result in found.items() if name != "c4"} == {1}
    assert all("\n" not in result["error"] for result in found.values())
    assert not fleet.differences(1)
    assert not fleet.differences(2)
    assert fleet.rows("SELECT DISTINCT company FROM vicai.vendors ORDER BY 1") == [("c1",), ("c2",)]
    for secret in (fleet.of(1).client_secret, "wrong-secret-4711"):
        assert secret not in fleet.written + json.dumps(found)
    # What is mended goes on; nothing changed elsewhere.
    for number in (4, 5):
        fleet.of(number).control.clear_faults()
    again = fleet.run("--only=c1,c2", "--only=c4", "--only=c5")
    assert [again[name]["written"] for name in ("c1", "c2")] == [0, 0]
    assert not any(fleet.differences(number) for number in (1, 2, 4, 5))


def test_a_table_for_people(fleet: Fleet) -> None:
    name = "Ąžuolo ir partnerių knygynas Vilniuje"
    bad = {"id": "bad", "name": name, "settings": {"tap-vicai": {"client_id": "x", "client_secret": "y"}}}
    fleet.write(fleet.company(1), bad)
    if (full := Path("/dev/full")).exists():
        history = fleet.folder / "output" / "state" / "history.jsonl"
        history.parent.mkdir(parents=True)
        history.symlink_to(full)
    said = fleet.ask("run", expect=1)
    # That it cannot be written is said once, and holds up nothing.
    assert said.count(": the history could not be written: ") == full.exists()
    assert said.splitlines()[0].split() == ["company", "pipeline", "read", "written", "set", "aside", "seconds"]
    assert "1 of 2 pipelines done" in said
    assert "\nbad Ąžuolo ir partnerių…  vic-to-warehouse  " in said
    assert "bad (Ąžuolo ir partnerių…) vic-to-warehouse: failed: tap-vicai: vicai: client_id and client_" in said


@pytest.mark.long
def test_a_stream_is_read_anew_and_no_other(fleet: Fleet) -> None:
    fleet.write(fleet.company(1))
    first = fleet.run()["c1"]
    assert first["written"] == first["read"] > 0
    assert fleet.run()["c1"]["written"] == 0
    records = fleet.of(1).control.vicai.records("vendors")
    moment = sorted(one["internalUpdatedAt"] for one in records)[0]
    again = fleet.run("--from", moment, "--stream", "vendors")["c1"]
    report = json.loads(Path(again["report"]).read_text(encoding="utf-8"))["streams"]
    assert report["vendors"]["received"] == len(records)
    assert report["accounts"]["received"] == 0
    # The next run goes on from where reading anew has ended.
    report = json.loads(Path(fleet.run()["c1"]["report"]).read_text(encoding="utf-8"))["streams"]
    assert report["vendors"]["received"] == 0
    # What does not read the stream is left alone.
    settings = {"tap-saft": {"path": SAFT}, "target-vicai": fleet.credentials(2)}
    other = {"id": "c2", "pipelines": ["erp-to-vic"], "settings": settings}
    fleet.write(fleet.company(1), other)
    said = fleet.ask("run", "--from", moment, "--stream", "invoices")
    assert "Left out, for invoices is not read there: erp-to-vic." in said
    assert "1 of 1 pipeline done" in said
    meant = "--stream invoicess: vic-to-warehouse, erp-to-vic do not read such a stream; did you mean invoices?"
    assert meant in fleet.ask("run", "--from", moment, "--stream", "invoicess", expect=2)
    assert "go together" in fleet.ask("run", "--stream", "vendors", expect=2)


def test_a_state_in_a_folder_goes_on(fleet: Fleet) -> None:
    """A pipeline that ends at Vic.ai: the folder keeps the STATE."""
    settings = {"tap-saft": {"path": SAFT}, "target-vicai": {**fleet.credentials(1), "max_rejects": 1000}}
    fleet.write({"id": "c1", "pipelines": ["erp-to-vic"], "settings": settings})
    first = fleet.run()["c1"]
    assert first["state"] == "folder"
    assert first["read"] > 0
    state = json.loads((fleet.folder / "output" / "state" / "c1" / "erp-to-vic.json").read_text(encoding="utf-8"))
    assert state["bookmarks"]
    assert fleet.run()["c1"]["read"] == 0
    path = fleet.folder / "output" / "state" / "c1" / "erp-to-vic.json"
    goes_where_it_went(fleet, path.unlink)


def test_credentials_of_each_other_load_nothing(fleet: Fleet) -> None:
    """Before anything is loaded, the names in the file tell it, though no company is expected."""
    names = [fleet.name(1), fleet.name(2).upper()]

    def companies(*credentials: int) -> list[dict[str, Any]]:
        return [
            {
                "id": f"c{place}",
                "name": names[place - 1],
                "pipelines": ["erp-to-vic", VIC],
                "settings": {
                    "tap-saft": {"path": SAFT},
                    "tap-vicai": fleet.credentials(number),
                    "target-vicai": {**fleet.credentials(number), "max_rejects": 1000},
                },
            }
            for place, number in enumerate(credentials, 1)
        ]

    before = [fleet.of(number).control.vicai.records("vendors") for number in (1, 2)]
    fleet.write(*companies(2, 1))
    found = fleet.run(expect=1)
    assert len(found) == 4
    for one in found.values():
        assert "they look swapped. Nothing was loaded. Set the right credentials; if these" in one["error"], one
    assert [fleet.of(number).control.vicai.records("vendors") for number in (1, 2)] == before
    assert not (fleet.folder / fleet.warehouse).exists()
    fleet.write(*companies(1, 2))
    fleet.run()
    assert not fleet.differences(1)


def goes_where_it_went(fleet: Fleet, forget: Callable[[], object], **top: Any) -> None:
    """Load anew with the credentials of another company, of which the file says nothing; then it says so."""
    vic, names = fleet.of(2).control.vicai, [fleet.name(1), fleet.name(2)]
    before = vic.records("vendors")
    settings = {"tap-saft": {"path": SAFT}, "target-vicai": {**fleet.credentials(2), "max_rejects": 1000}}
    other = {"id": "c1", "pipelines": ["erp-to-vic"], "settings": settings}
    forget()
    fleet.write(other, **top)
    error = fleet.run(expect=1)["c1"]["error"]
    assert f'are of "{names[1]}"; what earlier runs loaded went to "{names[0]}". Nothing was loaded.' in error
    assert "write its name into the file, as expected_company." in error
    assert vic.records("vendors") == before
    fleet.write({**other, "expected_company": names[1]}, **top)
    assert fleet.run()["c1"]["written"] > 0
    assert vic.records("vendors") != before
    # From now on it is that one; who leaves is forgotten.
    fleet.write(other, **top)
    assert fleet.run()["c1"]["status"] == "done"
    assert "the name of its company at Vic.ai: removed" in fleet.ask("remove", "c1", "--yes")


@pytest.mark.long
@needs_postgresql
def test_a_state_in_postgresql_goes_on(big_fleet: Fleet) -> None:
    fleet = big_fleet
    settings = {"tap-saft": {"path": SAFT}, "target-vicai": {**fleet.credentials(1), "max_rejects": 1000}}
    company = {"id": "c1", "pipelines": ["erp-to-vic"], "settings": settings}
    fleet.write(company, state=fleet.warehouse)
    # Who only looks makes nothing.
    assert fleet.ask("status").splitlines()[1].endswith("not run")
    assert fleet.ask("history", "--format=json") == ""
    assert fleet.rows("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]
    first = fleet.run()["c1"]
    assert first["state"] == "postgresql"
    assert first["read"] > 0
    assert fleet.run()["c1"]["read"] == 0
    ((version,),) = fleet.rows("SELECT version FROM fleet_state WHERE pipeline = 'erp-to-vic'")
    assert version >= 1
    assert not (fleet.folder / "output" / "state" / "c1").exists()
    assert fleet.rows("SELECT company, result ->> 'status' FROM fleet_history") == [("c1", "done")] * 2
    assert fleet.ask("status").splitlines()[1].endswith("done")
    assert len(fleet.ask("history", "--only=c1", "--format=json").splitlines()) == 2
    assert len(fleet.ask("history", "--limit=1", "--format=json").splitlines()) == 1
    # What is old goes, but for the last of each pipeline.
    fleet.rows(
        "INSERT INTO fleet_history (id, at, company, pipeline, result) SELECT id, now() - interval '91 days', name, "
        "'erp-to-vic', json_build_object('company', name, 'pipeline', 'erp-to-vic', 'status', 'done') "
        "FROM (VALUES (-3, 'c1'), (-2, 'gone'), (-1, 'gone')) AS old (id, name)"
    )
    assert fleet.ask("history", "--only=other", "--format=json") == ""
    # Tables that are there take no right to make some, and looking none to write.
    own, database = urlsplit(fleet.warehouse), urlsplit(fleet.warehouse).path[1:]
    for rights, command in (("SELECT", "status"), ("SELECT, INSERT, UPDATE, DELETE", "run")):
        role = f"{command}_{database}"
        fleet.rows(
            f'DROP ROLE IF EXISTS "{role}"; CREATE ROLE "{role}" LOGIN; '
            f'GRANT {rights} ON ALL TABLES IN SCHEMA public TO "{role}"; '
            f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO "{role}"; REVOKE CREATE ON SCHEMA public FROM PUBLIC'
        )
        fleet.write(company, state=own._replace(netloc=f"{role}@{own.hostname}:{own.port}").geturl())
        said = fleet.ask(command)
        assert "done" in said
        assert "could not be written" not in said
    assert fleet.rows("SELECT company FROM fleet_history ORDER BY id") == [("gone",), *[("c1",)] * 3]
    fleet.rows("GRANT CREATE ON SCHEMA public TO PUBLIC")
    goes_where_it_went(
        fleet, lambda: fleet.rows("DELETE FROM fleet_state WHERE pipeline = 'erp-to-vic'"), state=fleet.warehouse
    )


@pytest.mark.long
def test_for_programs_a_batch_is_a_process_of_its_own(fleet: Fleet) -> None:
    fleet.write(*fleet.companies(2))
    told: list[Result] = []
    found = run_batch(companies.read(fleet.path), ["c2"], [VIC], jobs=1, on_result=told.append)
    assert [(one.company, one.status) for one in found] == [("c2", "done")]
    assert told == found
    assert not fleet.differences(2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "acmme"], "there is no company acmme; did you mean acme?"),
        (["--pipeline", "vic-to-warehous"], "there is no pipeline vic-to-warehous; did you mean vic-to-warehouse?"),
        (["--pipeline", "erp-to-vic"], "There is nothing to run"),
        (["--onyl", "acme"], "unrecognized arguments: --onyl acme; did you mean --only?"),
        (["--format", "jsn"], "; did you mean json?"),
    ],
)
def test_what_cannot_begin_has_status_2(fleet: Fleet, arguments: list[str], said: str) -> None:
    fleet.write({**fleet.company(1), "id": "acme"})
    assert said in fleet.ask("run", *arguments, expect=2)


@pytest.mark.long
def test_the_way_out_after_wrong_credentials(fleet: Fleet) -> None:
    """A first run with another company's credentials: what the message names brings the right records alone."""
    fleet.write({"id": "c1", "settings": {"tap-vicai": fleet.credentials(2)}})
    fleet.run()
    fleet.write(fleet.company(1, expected_company=fleet.name(1)))
    error = fleet.run(expect=1)["c1"]["error"]
    assert f'it is of "{fleet.name(2)}"' in error
    assert "Hand in" not in error
    (command,) = re.findall(r"`ap-fleet (.*?)`", error)
    fleet.ask(*command.split())
    fleet.run()
    assert not fleet.differences(1)
    assert fleet.run()["c1"]["written"] == 0


def test_files_that_cannot_be_written(fleet: Fleet) -> None:
    """Log, report and lock: the file and why, for that company alone."""
    fleet.write(*fleet.companies(4))
    output = fleet.folder / "output"
    for place in (f"logs/c1/{VIC}.1.log/x", f"logs/c1/{VIC}.log/x", f"reports/c2/{VIC}.json", f"state/c3/{VIC}.lock"):
        (output / place).mkdir(parents=True)
    found = fleet.run(expect=1)
    errors = {name: one["error"] for name, one in found.items()}
    assert errors.pop("c1").startswith(f"{output}/logs/c1/{VIC}.log: logs and reports cannot be written there: ")
    assert errors.pop("c2").startswith(f"{output}/reports/c2/{VIC}.json: logs and reports cannot be written there: ")
    assert errors == {"c3": f"{output}/state/c3/{VIC}.lock: the lock cannot be written: Is a directory.", "c4": ""}
