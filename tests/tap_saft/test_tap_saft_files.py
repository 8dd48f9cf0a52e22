"""Which files are read, and when: new ones and changed ones, whole, each once, the older before the newer."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import fsspec
import pytest

from tap_saft.sources import find
from tests import preloaded, privileges
from tests.campaign import one_in
from tests.conftest import MakeCatalog, Run, RunTap, tap_command
from tests.tap_saft.conftest import ELSEWHERE, EVERYTHING, NORWAY_110, NORWAY_130, TO_VIC, Write


def known(state: dict[str, Any]) -> dict[str, Any]:
    files: dict[str, Any] = state["bookmarks"]["header"]["files"]
    return files


def test_unchanged_files_are_read_once_and_changed_ones_again(tap: RunTap, write: Write) -> None:
    write("a.xml")
    write("b.xml", NORWAY_110, ("912345678", "911111111"))
    first = tap()
    assert [record["file"] for record in first.records["header"]] == ["a.xml", "b.xml"]
    assert set(known(first.state)) == {"a.xml", "b.xml"}
    second = tap(state=first.state)
    assert not second.records
    write("b.xml", NORWAY_110, ("912345678", "911111111"), ("Fjord", "Fjard"))
    third = tap(state=second.states[-1] if second.states else first.state)
    assert [record["file"] for record in third.records["header"]] == ["b.xml"]
    assert "Fjard Papir AS" in [record["name"] for record in third.records["suppliers"]]


def test_state_holds_name_size_and_hash(tap: RunTap, write: Write) -> None:
    path = write("a.xml")
    run = tap()
    (header,) = run.records["header"]
    entry = known(run.state)["a.xml"]
    assert (entry["size"], entry["sha256"]) == (path.stat().st_size, header["file_sha256"])


def test_a_stream_that_joins_later_gets_every_file(tap: RunTap, write: Write, catalog: MakeCatalog) -> None:
    write("a.xml")
    first = tap(catalog=catalog("accounts"))
    assert set(first.records) == {"accounts"}
    second = tap(catalog=catalog("accounts", "suppliers"), state=first.state)
    assert set(second.records) == {"suppliers"}
    assert not tap(catalog=catalog("accounts", "suppliers"), state=second.state).records


def test_the_newest_file_has_the_last_word(tap: RunTap, write: Write) -> None:
    write("a.xml", NORWAY_110, ("2026-02-01", "2026-05-01"), ("Fjord", "Nyere"))
    write("b.xml", NORWAY_110)
    assert [record["file"] for record in tap().records["header"]] == ["b.xml", "a.xml"]


def test_records_keep_the_date_on_which_they_first_looked_so(tap: RunTap, write: Write, catalog: MakeCatalog) -> None:
    write("jan.xml")
    first = tap(catalog=catalog(*TO_VIC))
    later = ("2026-02-01", "2026-05-01")
    write(
        "may.xml", NORWAY_110, later, ("Leverandørgjeld", "Gjeld"), ("OpeningDebitBalance>0<", "OpeningDebitBalance>9<")
    )
    second = tap(catalog=catalog(*TO_VIC), state=first.state)
    dates = {
        (stream, record["externalId"]): record["externalUpdatedAt"]
        for stream in TO_VIC
        for record in second.records[stream]
    }
    assert len(dates) == 3 + 2 + 2 + 2
    changed = {key for key, date in dates.items() if date == "2026-05-01T00:00:00"}
    assert changed == {("accounts", "2400")}
    assert {dates[key] for key in dates.keys() - changed} == {"2026-02-01T00:00:00"}
    # What goes back to what it was is new all the same.
    write("june.xml", NORWAY_110, ("2026-02-01", "2026-06-01"))
    third = tap(catalog=catalog(*TO_VIC), state=second.state)
    back = [r["externalUpdatedAt"] for r in third.records["accounts"] if r["externalId"] == "2400"]
    assert back == ["2026-06-01T00:00:00"]


def test_a_file_whose_date_is_none(tap: RunTap, write: Write, catalog: MakeCatalog) -> None:
    """Vic.ai would have refused every record of it, new or not, for a time that is not one."""
    for number, written in enumerate(("2026-02-30", "٢٠٢٦-02-01", "2026-02-01T24:00:00", "01.02.2026", "0000-00-00")):
        write(f"{number}.xml", NORWAY_110, ("2026-02-01", written))
    records = tap(catalog=catalog(*TO_VIC)).records
    assert {record.get("externalUpdatedAt") for stream in TO_VIC for record in records[stream]} == {None}


def test_one_company_of_several(tap: RunTap, write: Write, exports: Path, catalog: MakeCatalog) -> None:
    """Vendors of one would be written over those of another: their ids are the same (2000)."""
    write("a.xml")
    write("as its ledger says.xml", NORWAY_110, ("912345678", "NO 912 345 678 MVA"), ("2026-02-01", "2026-01-01"))
    alone = tap(catalog=catalog(*TO_VIC))
    write("b.xml", NORWAY_110, ("912345678", "987654321"), ("2026-02-01", "2026-03-01"))
    told = "are of 2 companies (912345678, 987654321)"
    # Together, and a month later; also when the first company's files are no longer there.
    assert told in tap(catalog=catalog(*TO_VIC), expect=1).err
    later = tap(catalog=catalog(*TO_VIC), state=alone.state, expect=1)
    (exports / "a.xml").rename(exports / "a.old")
    (exports / "as its ledger says.xml").unlink()
    gone = tap(catalog=catalog("vendors"), state=alone.state, expect=1)
    for run in (later, gone):
        assert told in run.err
        assert not any(run.records.values())
    (exports / "a.old").rename(exports / "a.xml")
    both = tap(catalog=catalog("header", "suppliers"))
    assert {record["company_id"] for record in both.records["suppliers"]} == {"912345678", "987654321"}
    one = tap(catalog=catalog(*EVERYTHING), company_id="912345678")
    assert {record["company_id"] for records in one.records.values() for record in records} == {"912345678"}
    assert set(known(one.state)) == {"a.xml"}


@one_in(3)
@pytest.mark.parametrize("form", ["file", "folder", "glob", "url", "glob of folders"])
def test_forms_of_a_path(tap: RunTap, write: Write, exports: Path, form: str) -> None:
    write("a.XML")
    (exports / "readme.txt").write_text("no XML")
    (exports / "deeper").mkdir()
    (exports / "deeper" / "b.xml").write_text(ELSEWHERE.read_text(encoding="utf-8"), encoding="utf-8")
    path, names = {
        "file": (exports / "a.XML", ["a.XML"]),
        "folder": (exports, ["a.XML"]),
        "glob": (exports / "*.X*", ["a.XML"]),
        "url": (f"file://{exports}/a.XML", ["a.XML"]),
        "glob of folders": (exports / "**" / "*.[xX]*", ["a.XML", "deeper/b.xml"]),
    }[form]
    assert sorted(record["file"] for record in tap(path=str(path)).records["header"]) == names


def test_files_in_memory_of_another_file_system() -> None:
    with fsspec.open("memory://saft/a.xml", "wb") as file:
        file.write(NORWAY_110.read_bytes())
    (source,) = find("memory://saft/*.xml")
    with source.opened() as opened:
        assert opened.read(1 << 20) == NORWAY_110.read_bytes()
    assert source.name == "a.xml"


def test_zip_files(tap: RunTap, write: Write, exports: Path) -> None:
    plain = tap(path=str(NORWAY_110))
    with zipfile.ZipFile(exports / "export.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.write(NORWAY_110, "saft/one.xml")
        packed.write(NORWAY_130, "two.XML")
        packed.writestr("readme.txt", "nothing")
    run = tap()
    assert [record["file"] for record in run.records["header"]] == ["export.zip/saft/one.xml", "export.zip/two.XML"]
    assert run.records["journal_lines"][:5] == plain.records["journal_lines"]
    assert not tap(state=run.state).records


def test_a_kill_in_the_middle_loses_and_doubles_nothing(tap: RunTap, write: Write, tmp_path: Path) -> None:
    """Nothing of a half-read file is in STATE, so the next run brings it whole."""
    write("a.xml")
    line = "<Line><RecordID>{}</RecordID><AccountID>1</AccountID><DebitAmount><Amount>1</Amount></DebitAmount></Line>"
    write(
        "b.xml",
        "<AuditFile><Header><AuditFileDateCreated>2026-09-09</AuditFileDateCreated><Company><RegistrationNumber>1"
        "</RegistrationNumber></Company></Header><GeneralLedgerEntries><Journal><JournalID>J</JournalID><Transaction>"
        "<TransactionID>1</TransactionID>"
        + "".join(line.format(number) for number in range(40_000))
        + "</Transaction></Journal></GeneralLedgerEntries></AuditFile>",
    )
    config = tmp_path / "kill.json"
    config.write_text(json.dumps({"path": str(tmp_path / "exports")}))
    process = subprocess.Popen(
        [sys.executable, "-m", "tap_saft", "--config", str(config)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    guard = threading.Timer(60, process.kill)
    guard.start()
    assert process.stdout
    states, lines = [], 0
    for out in process.stdout:
        message = json.loads(out)
        if message["type"] == "STATE":
            states.append(message["value"])
        elif message.get("record", {}).get("company_id") == "1":
            lines += 1
            if lines == 1000:
                process.kill()
                break
    process.stdout.close()
    process.wait()
    guard.cancel()
    assert list(known(states[-1])) == ["a.xml"]
    rest = tap(state=states[-1])
    assert [record["file"] for record in rest.records["header"]] == ["b.xml"]
    assert [record["line_number"] for record in rest.records["journal_lines"]] == list(range(1, 40_001))


@pytest.mark.skipif(not privileges.can_be_dropped(), reason="nothing is forbidden to root")
def test_a_file_that_may_not_be_read(exports: Path, write: Write, tmp_path: Path) -> None:
    write("a.xml").chmod(0)
    command = tap_command(tmp_path, {"path": str(exports)}, module="tap_saft")
    run = Run.of(preloaded.run(command, unprivileged=True))
    assert run.status == 1
    assert "a.xml cannot be read: permission denied" in run.complaints[-1]
