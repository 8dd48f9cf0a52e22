"""A batch: each company on its own, whatever happens to the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ap_connectors.fleet import companies
from ap_connectors.fleet.batch import run_batch
from ap_connectors.fleet.results import Result
from tests.fleet.conftest import VIC, Fleet

SECRETS = ("sandbox-secret", "wrong-secret-4711")


def shown(fleet: Fleet) -> str:
    """Everything that the fleet has written."""
    files = [path for path in (fleet.folder / "output").rglob("*") if path.is_file()]
    return "\n".join(path.read_bytes().decode(errors="replace") for path in files)


def test_companies_fail_each_for_itself(fleet: Fleet) -> None:
    """A wrong key, no key, no right, an outage, a damaged state, another company: the others are complete."""
    wrong = {"client_id": "sandbox-client", "client_secret": SECRETS[1]}
    lacking = {"client_id": "sandbox-client", "client_secret": "${AP_NOT_THERE}"}
    gone = {**fleet.credentials, "api_url": "http://127.0.0.1:9/v0", "request_timeout": 1}
    fleet.write(
        fleet.company("one", expected_company="Fjordlys Regnskap AS"),
        fleet.company("wrong", settings={"tap-vicai": wrong}),
        fleet.company("lacking", settings={"tap-vicai": lacking}),
        fleet.company("gone", settings={"tap-vicai": gone}),
        fleet.company("other", expected_company="Kiti UAB"),
        fleet.company(
            "damaged",
            pipelines=["erp-to-vic"],
            settings={"tap-saft": {"path": "x.xml"}, "target-vicai": fleet.credentials},
        ),
        fleet.company("two"),
        retries=1,
    )
    state = fleet.folder / "output" / "state" / "damaged" / "erp-to-vic.json"
    state.parent.mkdir(parents=True)
    state.write_text("{", encoding="utf-8")
    found = fleet.run("--jobs=4", expect=1)
    ends = {name: result["status"] for name, result in found.items()}
    bad = dict.fromkeys(("wrong", "lacking", "other", "damaged"), "failed")
    assert ends == {"one": "done", "two": "done", "gone": "outage", **bad}
    assert "are not accepted" in found["wrong"]["error"]
    assert "the variable AP_NOT_THERE is not set" in found["lacking"]["error"]
    assert 'expected_company is "Kiti UAB"' in found["other"]["error"]
    assert "STATE is damaged" in found["damaged"]["error"]
    assert found["gone"]["tries"] == 2
    assert all("\n" not in result["error"] for result in found.values())
    assert fleet.is_complete("one")
    assert fleet.is_complete("two")
    assert not any(secret in shown(fleet) + json.dumps(found) for secret in SECRETS)
    # Nothing changed since: the next run goes on from the warehouse's state.
    again = fleet.run("--only=one,two")
    assert [result["written"] for result in again.values()] == [0, 0]
    assert fleet.is_complete("one")


def test_a_table_for_people_and_lines_of_json(fleet: Fleet) -> None:
    fleet.write(
        fleet.company("one"), fleet.company("bad", settings={"tap-vicai": {"client_id": "x", "client_secret": "y"}})
    )
    said = fleet.ask("run", expect=1)
    assert said.splitlines()[0].split() == ["company", "pipeline", "read", "written", "set", "aside", "seconds"]
    assert "1 of 2 pipelines done" in said
    assert "bad vic-to-warehouse: failed: tap-vicai: vicai: client_id and client_secret are not accepted" in said


def test_a_stream_is_read_anew_and_no_other(fleet: Fleet) -> None:
    fleet.write(fleet.company("one"))
    first = fleet.run()["one"]
    assert first["written"] == first["read"] > 0
    assert fleet.run()["one"]["written"] == 0
    moment = sorted(one["internalUpdatedAt"] for one in fleet.sandbox.control.vicai.records("invoices"))[0]
    again = fleet.run("--from", moment, "--stream", "invoices")["one"]
    posted = [one for one in fleet.sandbox.control.vicai.records("invoices") if one["status"] == "POSTED"]
    report = json.loads(Path(again["report"]).read_text(encoding="utf-8"))["streams"]
    assert report["invoices"]["received"] == len(posted)
    assert report["accounts"]["received"] == 0
    assert (
        "the state has no bookmark of it"
        in fleet.run("--from", moment, "--stream", "invoice", expect=1)["one"]["error"]
    )
    assert "go together" in fleet.ask("run", "--stream", "invoices", expect=2)


def test_a_state_in_a_folder_is_kept_and_not_overwritten(fleet: Fleet) -> None:
    """A pipeline that ends at Vic.ai: the folder keeps the STATE."""
    saft = Path(__file__).parent.parent.parent / "demo" / "saft"
    settings = {"tap-saft": {"path": str(saft)}, "target-vicai": {**fleet.credentials, "max_rejects": 1000}}
    fleet.write(fleet.company("one", pipelines=["erp-to-vic"], settings=settings))
    first = fleet.run()["one"]
    assert first["state"] == "folder"
    assert first["read"] > 0
    state = json.loads((fleet.folder / "output" / "state" / "one" / "erp-to-vic.json").read_text(encoding="utf-8"))
    assert state["bookmarks"]
    assert fleet.run()["one"]["read"] == 0


def test_for_programs_a_batch_is_a_process_of_its_own(fleet: Fleet) -> None:
    fleet.write(fleet.company("one"), fleet.company("two"))
    told: list[Result] = []
    found = run_batch(companies.read(fleet.path), ["two"], [VIC], jobs=1, on_result=told.append)
    assert [(one.company, one.status) for one in found] == [("two", "done")]
    assert told == found
    assert fleet.is_complete("two")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "onne"], "there is no company onne; did you mean one?"),
        (["--pipeline", "vic-to-warehous"], "there is no pipeline vic-to-warehous; did you mean vic-to-warehouse?"),
        (["--pipeline", "erp-to-vic"], "There is nothing to run"),
    ],
)
def test_what_cannot_begin_has_status_2(fleet: Fleet, arguments: list[str], said: str) -> None:
    fleet.write(fleet.company("one"))
    assert said in fleet.ask("run", *arguments, expect=2)
