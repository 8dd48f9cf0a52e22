"""`check`, `status`, `history`, `remove`, `export`; events of OpenLineage."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import yaml

from demo import commands
from tests import preloaded
from tests.fleet.conftest import VIC, Fleet, children, needs_postgresql, wait_for


def test_check_says_whose_credentials_they_are(fleet: Fleet) -> None:
    names = [fleet.name(1), fleet.name(2)]
    ivesk = {
        "id": "c3",
        "pipelines": ["ivesk-to-warehouse"],
        "settings": {"tap-ivesk": {"api_key": fleet.of(3).api_key}},
    }
    fleet.write(
        fleet.company(1, expected_company=names[0]),
        fleet.company(2, expected_company=names[0]),
        ivesk,
        {"id": "bad", "settings": {"tap-vicai": {"client_id": "x", "client_secret": "wrong-secret-4711"}}},
    )
    said = fleet.ask("check", expect=1)
    assert (
        f'c1 vic-to-warehouse: tap-vicai: the credentials of "{names[0]}"; target-warehouse: the schema vicai' in said
    )
    wrong = f'expected_company is "{names[0]}", but these are the credentials of "{names[1]}"'
    assert f"c2 vic-to-warehouse: failed: tap-vicai: {wrong}" in said
    assert "c3 ivesk-to-warehouse: tap-ivesk: " in said
    assert "bad vic-to-warehouse: failed: tap-vicai: vicai: client_id and client_secret are not accepted" in said
    assert "wrong-secret-4711" not in said + fleet.written
    assert fleet.of(1).client_secret not in said
    # What is wrong is what a terminal shows last.
    assert [line.partition(":")[0] for line in said.splitlines()[-3:-1]] == [f"{one} {VIC}" for one in ("c2", "bad")]
    assert said.splitlines()[-1] == "2 of 4 pipelines can run; 2 failed."
    # What is not expected yet is ready to be written down.
    fleet.write(fleet.company(1, name="Mano, UAB"), fleet.company(2, expected_company=names[1]))
    said = fleet.ask("check")
    assert said.endswith(
        f'(as columns of a list: ap-fleet check --format csv):\n- id: c1\n  expected_company: "{names[0]}"\n'
        "2 of 2 pipelines can run.\n"
    )
    rows = list(csv.reader(fleet.ask("check", "--format=csv").splitlines()))
    assert rows == [["id", "name", "expected_company"], ["c1", "Mano, UAB", names[0]], ["c2", "c2", names[1]]]
    told = map(json.loads, fleet.ask("check", "--format=json").splitlines())
    assert [(one["company"], one["owners"]) for one in told] == [("c1", names[:1]), ("c2", names[1:])]


def test_check_says_what_is_dangerous_and_silent(fleet: Fleet) -> None:
    def reads(number: int, id_: str, **settings: Any) -> dict[str, Any]:
        of_tap = {"api_key": fleet.of(number).api_key, **settings}
        return {"id": id_, "pipelines": ["ivesk-to-warehouse"], "settings": {"tap-ivesk": of_tap}}

    fleet.write(
        fleet.company(1),
        {**fleet.company(1), "id": "copy", "name": "Kopija, UAB"},
        {**reads(3, "all"), "expected_company": "Mano, UAB"},
        reads(4, "one", company_codes=["1"]),
        reads(4, "two", company_codes=["2"]),
        reads(5, "three", company_codes=["3"]),
        reads(5, "same", company_codes=["3"]),
    )
    said = fleet.ask("check")
    assert "c1 and copy (Kopija, UAB) have the same client_id, so each gets the records of one company." in said
    assert "three and same have the same api_key, so each" in said
    assert "one and two" not in said
    assert "documents of another account would not be noticed: all.\n" in said
    assert "expected_company has no effect without a pipeline of Vic.ai: all.\n" in said
    assert "\ncopy (Kopija, UAB) vic-to-warehouse: tap-vicai: the credentials of" in said
    # One of the two is wrong, so neither gets the name.
    assert fleet.name(1) not in said.partition("have the same")[2]
    assert fleet.of(1).client_id not in said
    assert fleet.of(5).api_key not in said
    # Programs hear of it, too; and of a key that a company has which is not among those that are checked.
    lines = fleet.done("check", "--format=json").stdout.splitlines()
    told = {one["company"]: one["dangers"] for one in map(json.loads, lines)}
    assert {id_: [one["kind"] for one in those] for id_, those in told.items()} == {
        "c1": ["same_client_id", "no_expected_company"],
        "copy": ["same_client_id", "no_expected_company"],
        "all": ["no_company_codes", "idle_expected_company"],
        "one": [],
        "two": [],
        "three": ["same_api_key"],
        "same": ["same_api_key"],
    }
    assert told["c1"][0]["companies"] == ["c1", "copy"]
    assert all(one["message"] in said for one in told["three"] + told["all"])
    listed = fleet.done("check", "--format=csv", "--only=copy")
    assert listed.stdout.decode() == 'id,name,expected_company\ncopy,"Kopija, UAB",\n'
    assert "c1 and copy (Kopija, UAB) have the same client_id, so" in listed.stderr.decode()


@pytest.mark.long
@pytest.mark.parametrize("kind", ["fleet", pytest.param("big_fleet", marks=needs_postgresql)])
def test_check_offers_no_name_of_swapped_credentials(kind: str, request: pytest.FixtureRequest) -> None:
    fleet: Fleet = request.getfixturevalue(kind)
    own, other = fleet.name(1), fleet.name(2)

    def swapped(**more: Sequence[str]) -> list[dict[str, Any]]:
        companies = ({**fleet.company(3 - one), "id": f"c{one}"} for one in (1, 2))
        return [{**one, **{name: value[place] for name, value in more.items()}} for place, one in enumerate(companies)]

    # Before anything is loaded their names tell it.
    fleet.write(*swapped(name=[own.upper(), other]))
    said = fleet.ask("check")
    assert re.search(
        rf'\nc1 \(.*\) has the credentials of "{other}", which is what c2 \(.*\) is called here; they', said
    )
    assert "expected_company: " not in said
    fleet.write(fleet.company(1), fleet.company(2))
    fleet.run()
    fleet.write(*swapped())
    said = fleet.ask("check", expect=1)
    assert f'the rows in the warehouse are of "{own}", but these are the credentials of "{other}"; they look' in said
    assert "expected_company: " not in said
    told = fleet.run(expect=1)["c1"]["error"]
    assert told.index("Look at the credentials first") < told.index("ap-fleet remove c1 --rows")
    assert fleet.done("check", "--format=csv").stdout.decode() == "id,name,expected_company\nc1,c1,\nc2,c2,\n"
    # Once it is said whose they are, it is the rows that are wrong.
    fleet.write(*swapped(expected_company=[other, own]))
    said = fleet.ask("check", "--only=c1", expect=1)
    assert "they look swapped" not in said
    assert "as expected_company says. If it was merely renamed" in said
    assert "`ap-fleet remove c1 --rows --files --yes` takes" in said
    for one in ("c1", "c2"):
        assert "from companies.yml, unless" in fleet.ask("remove", one, "--rows", "--files", "--yes")
        if one == "c1":
            # The other one still has its rows.
            told = fleet.run("--only=c1", expect=1)["c1"]["error"]
            assert "`ap-fleet remove c2 --rows --files --yes` takes" in told
            assert "Set the name" not in told
    assert all(one["written"] == one["read"] > 0 for one in fleet.run().values())


def test_status_and_history(fleet: Fleet) -> None:
    fleet.write(fleet.company(1), {"id": "bad", "settings": {"tap-vicai": {"client_id": "x", "client_secret": "y"}}})
    # What was never run has not failed.
    assert [line.split()[-1] for line in fleet.ask("status").splitlines()[1:]] == ["run", "run"]
    assert "no pipeline vic-to-warehous; did you mean" in fleet.ask("status", "--pipeline=vic-to-warehous", expect=2)
    assert len(fleet.ask("status", f"--pipeline={VIC}").splitlines()) == 3
    assert (fleet.folder / "output").exists() is False
    fleet.run(expect=1)
    with (fleet.folder / "output" / "state" / "history.jsonl").open("ab") as file:
        # What a full disk, or the end of the machine, leaves of a line takes no other one with it.
        file.write(b'{"company": "c1", "pipe')
    assert (fleet.folder / "output").stat().st_mode & 0o777 == 0o700
    fleet.run("--only=c1")
    said = fleet.ask("status", expect=1)
    assert "are not accepted" in said
    assert len(fleet.ask("history").splitlines()) == 4
    lines = fleet.ask("history", "--only=c1", "--format=json", "--limit=1").splitlines()
    assert [(one["company"], one["status"]) for one in map(json.loads, lines)] == [("c1", "done")]
    fleet.ask("status", "--only=c1")


@needs_postgresql
def test_remove_names_everything_first(big_fleet: Fleet) -> None:
    fleet = big_fleet
    fleet.write(*fleet.companies(2))
    fleet.run()
    before = fleet.rows("SELECT count(*) FROM vicai.vendors")
    gone = fleet.ask("remove", "c11", "--rows", expect=2)
    assert "there is no company c11; nothing was removed. If its entry was taken out already, put it back" in gone
    assert "did you mean" not in gone
    assert "\nFiles stay without --files. Then remove" in fleet.ask("remove", "c1", "--rows")
    named = fleet.ask("remove", "c1", "--rows", "--files")
    assert "stay" not in named
    assert "rows of vicai.vendors" in named
    assert "the STATE in vicai._state" in named
    assert str(fleet.folder / "output" / "logs" / "c1") in named
    assert "the subscription to webhooks of Vic.ai" in named
    assert fleet.rows("SELECT count(*) FROM vicai.vendors") == before
    # Without --rows they stay.
    fleet.ask("remove", "c1", "--yes")
    assert fleet.rows("SELECT count(*) FROM vicai.vendors") == before
    states = dict(fleet.rows("SELECT company, state::text FROM vicai._state"))
    assert json.loads(states["c1"]) == {"bookmarks": {"company": {"tenant": fleet.name(1)}}}
    assert "invoices" in json.loads(states["c2"])["bookmarks"]
    # Another company's do not come among them; its own are read anew.
    fleet.write({"id": "c1", "settings": {"tap-vicai": fleet.credentials(3)}}, fleet.company(2))
    assert f'it is of "{fleet.name(1)}", the credentials' in fleet.run("--only=c1", expect=1)["c1"]["error"]
    assert fleet.rows("SELECT count(*) FROM vicai.vendors") == before
    fleet.write(*fleet.companies(2))
    assert fleet.run("--only=c1")["c1"]["read"] > 20
    said = fleet.ask("remove", "c1", "--rows", "--files", "--yes")
    assert "Now remove c1 from companies.yml" in said
    assert fleet.rows("SELECT DISTINCT company FROM vicai.vendors") == [("c2",)]
    assert fleet.rows("SELECT company FROM vicai._state") == [("c2",)]
    assert not (fleet.folder / "output" / "logs" / "c1").exists()
    assert (fleet.folder / "output" / "logs" / "c2").exists()
    assert fleet.run("--only=c2")["c2"]["written"] == 0


@pytest.mark.long
def test_export_of_a_meltano_project(fleet: Fleet) -> None:
    """Names, jobs and selection; no secret; Meltano runs it."""
    fleet.write(
        fleet.company(1),
        {"id": "c2", "settings": {"tap-vicai": {"client_id": "${C2_ID}", "client_secret": {"file": "x"}}}},
    )
    folder = fleet.folder / "project"
    said = fleet.ask("export", "meltano", "--folder", str(folder))
    assert "2 jobs of 2 companies" in said
    text = (folder / "meltano.yml").read_text(encoding="utf-8")
    assert fleet.of(1).client_secret not in text
    found = yaml.safe_load(text)
    assert [job["name"] for job in found["jobs"]] == [f"c1--{VIC}", f"c2--{VIC}"]
    assert found["jobs"][0]["tasks"] == [f"tap-vicai--c1--{VIC} target-warehouse--c1--{VIC}"]
    taps = {one["name"]: one for one in found["plugins"]["extractors"]}
    assert taps[f"tap-vicai--c2--{VIC}"]["config"]["client_secret"] == "${C2_TAP_VICAI_CLIENT_SECRET}"
    assert "invoices.*" in taps[f"tap-vicai--c1--{VIC}"]["select"]
    variables = (folder / ".env.example").read_text(encoding="utf-8").split()
    assert variables == ["C1_TAP_VICAI_CLIENT_SECRET=", "C2_ID=", "C2_TAP_VICAI_CLIENT_SECRET="]
    settings = {"C1_TAP_VICAI_CLIENT_SECRET": fleet.of(1).client_secret}
    preloaded.run_meltano([commands.path("meltano"), "run", f"c1--{VIC}"], commands.environment(settings), cwd=folder)
    assert not fleet.differences(1)
    assert "is there already" in fleet.ask("export", "meltano", "--folder", str(folder), expect=2)
    # What all have is one variable.
    fleet.write(*fleet.companies(2), warehouse="postgresql://ap@db/w")
    fleet.ask("export", "meltano", "--folder", str(folder.with_name("other")))
    variables = (folder.with_name("other") / ".env.example").read_text(encoding="utf-8").split()
    assert variables == ["C1_TAP_VICAI_CLIENT_SECRET=", "C2_TAP_VICAI_CLIENT_SECRET=", "TARGET_WAREHOUSE_DATABASE="]


@contextmanager
def collector() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """What takes OpenLineage events."""
    events: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/api/v1/lineage"
            events.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", events
        server.shutdown()


@pytest.mark.long
def test_events_of_openlineage(fleet: Fleet) -> None:
    with collector() as (address, events):
        fleet.write(
            fleet.company(1),
            {"id": "bad", "settings": {"tap-vicai": {"client_id": "x", "client_secret": "y"}}},
            lineage=address,
        )
        fleet.run("--jobs=1", expect=1)
    kinds = [(one["job"]["name"], one["eventType"]) for one in events]
    assert kinds == [(f"c1.{VIC}", "START"), (f"c1.{VIC}", "COMPLETE"), (f"bad.{VIC}", "START"), (f"bad.{VIC}", "FAIL")]
    assert events[0]["run"]["runId"] == events[1]["run"]["runId"]
    written = {one["name"]: one["outputFacets"]["outputStatistics"]["rowCount"] for one in events[1]["outputs"]}
    assert written["vicai.vendors"] == len(fleet.of(1).control.vicai.records("vendors"))
    assert "not accepted" in events[3]["run"]["facets"]["errorMessage"]["message"]


_NO_PATIENCE = "from ap_connectors.fleet import batch, cli; batch._MARGIN = 0; raise SystemExit(cli.main())"


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="processes are found by /proc")
def test_events_of_workers_that_cannot_tell(fleet: Fleet) -> None:
    """One is killed, one hangs beyond its time and its grace: the batch sends how they ended, each by its run."""
    for number in (1, 2):
        fleet.of(number).control.fault("slow", path="/vicai/v0/vendors", rate=1, seconds=30)
    command = [sys.executable, "-c", _NO_PATIENCE, "run", "--companies", str(fleet.path), "--jobs=1"]
    with collector() as (address, events):
        fleet.write(
            fleet.company(1),
            fleet.company(2),
            {"id": "bad", "settings": {"tap-vicai": {"client_id": "x", "client_secret": "y"}}},
            lineage=address,
            retries=0,
            time_limit=4,
        )
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for number, hurt in ((1, signal.SIGKILL), (2, signal.SIGSTOP)):
            wait_for(lambda number=number: len(events) == 2 * number - 1)
            # The process that sends the last event may be there still.
            os.kill(children(process.pid)[-1], hurt)
        said = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 1
    names = [f"{name}.{VIC}" for name in ("c1", "c2", "bad")]
    told = {name: [one for one in events if one["job"]["name"] == name] for name in names}
    assert {name: [one["eventType"] for one in told[name]] for name in names} == {
        name: ["START", "FAIL"] for name in names
    }
    for begin, end in told.values():
        assert begin["run"]["runId"] == end["run"]["runId"]
    words = [told[name][1]["run"]["facets"]["errorMessage"]["message"] for name in names[:2]]
    assert words[0].startswith("its process ended unexpectedly (SIGKILL, as when memory runs out)")
    assert words[1].startswith("it did not end within 4 s (time_limit), and was killed")
    assert "0 of 3 pipelines done" in said
    assert "; 1 outage, 1 late, 1 failed." in said
    ends = [json.loads(line)["status"] for line in fleet.ask("history", "--format=json").splitlines()]
    assert ends == ["outage", "late", "failed"]


def test_events_that_cannot_be_sent_only_warn(fleet: Fleet) -> None:
    fleet.write(fleet.company(1), lineage="http://127.0.0.1:9")
    said = fleet.ask("run")
    assert "OpenLineage: the event could not be sent: 127.0.0.1:9 refuses connections (nothing is listening" in said


@pytest.mark.long
@needs_postgresql
def test_what_cannot_be_removed_is_told_and_left_for_the_next_time(big_fleet: Fleet) -> None:
    fleet = big_fleet
    fleet.write(fleet.company(1))
    fleet.run()
    fleet.rows(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'kept for the auditor'; END $$; "
        "CREATE TRIGGER refuse BEFORE DELETE ON vicai.invoices EXECUTE FUNCTION refuse()"
    )
    said = fleet.ask("remove", "c1", "--rows", "--files", "--yes", expect=1)
    assert re.search(r"rows of vicai.invoices: not removed: PostgreSQL at \S+: kept for the auditor", said), said
    assert "ap-fleet: nothing that comes behind it was removed. Run the same again." in said
    assert (fleet.folder / "output" / "logs" / "c1").exists()
    fleet.rows("DROP TRIGGER refuse ON vicai.invoices")
    assert "Now remove c1 from companies.yml," in fleet.ask("remove", "c1", "--rows", "--files", "--yes")
    assert not (fleet.folder / "output" / "logs" / "c1").exists()
    for table in ("invoices", "vendors", "_state"):
        assert fleet.rows(f"SELECT count(*) FROM vicai.{table} WHERE company = 'c1'") == [(0,)]
