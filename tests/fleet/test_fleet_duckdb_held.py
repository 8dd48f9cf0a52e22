"""A DuckDB file that another program has open: every command waits for it, says for whom, and ends in our words."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from ap_connectors.core import duckdb_files
from ap_connectors.core.errors import Stop
from tests import preloaded
from tests.campaign import one_in
from tests.duckdb_held import held
from tests.fleet.conftest import Fleet, wait_for
from tests.preloaded import Process

SHORT = {**os.environ, "AP_DUCKDB_WAIT": "0.3"}
RAW = ("IO Error", "https://", "Could not set lock")


def started(fleet: Fleet) -> Process | subprocess.Popen[bytes]:
    with Path(os.devnull).open("r+b") as null, (fleet.folder / "said").open("wb") as said:
        return preloaded.start(fleet.command("run", "--jobs=1"), stdin=null, stdout=null, stderr=said)


def waits(fleet: Fleet) -> bool:
    return b"waiting until it is free, 5 minutes at most" in (fleet.folder / "said").read_bytes()


@one_in(2)
@pytest.mark.parametrize("how", ["write", "read"])
def test_it_ends_in_words_once_the_wait_is_over(fleet: Fleet, how: str) -> None:
    """One company waits for all: a hundred would wait for a day."""
    fleet.write(*fleet.companies(2))
    fleet.run()
    path = fleet.folder / fleet.warehouse
    with held(path, how) as pid:
        done = fleet.done("run", "--format=json", "--jobs=1", env=SHORT)
        checked = fleet.done("check", "--jobs=1", env=SHORT)
        commands = [
            ["target_warehouse.ask", "select 1 as one"],
            ["target_warehouse.views.command", "apply"],
        ]
        others = [
            subprocess.run(
                [sys.executable, "-c", f"from {module} import main; main()", argument, f"--database={path}"],
                capture_output=True,
                env=SHORT,
                check=False,
            )
            for module, argument in commands
        ]
    holder = rf"warehouse\.duckdb is in use by python\S* \(process {pid}\)"
    waiting = rf"{holder}; waiting until it is free, 0\.3 s at most\."
    ended = rf"{holder}, which did not let go of it\."
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["company"], one["status"], one["tries"]) for one in results] == [
        ("c1", "outage", 3),
        ("c2", "outage", 3),
    ]
    assert all(re.search(ended, one["error"]) for one in results), results
    told = done.stderr.decode()
    assert len(re.findall(waiting, told)) == 1, told
    assert re.search(rf"^c1 vic-to-warehouse: \S*{waiting}$", told, re.MULTILINE), told
    shown = (done.stdout + done.stderr + checked.stdout + checked.stderr).decode()
    for other in others if how == "write" else others[1:]:
        said = other.stderr.decode()
        assert other.returncode == 1
        assert len(re.findall(waiting, said)) == len(re.findall(ended, said)) == 1, said
        shown += said
    if how == "write":
        said = (checked.stdout + checked.stderr).decode()
        assert checked.returncode == 1
        assert len(re.findall(waiting, said)) == 1, said
        assert len(re.findall(f"outage: target-warehouse: database: \\S*{ended}", said)) == 2, said
    else:
        # Many may read.
        assert (checked.returncode, others[0].returncode) == (0, 0)
    assert not [raw for raw in RAW if raw in shown]


@pytest.mark.long
def test_it_goes_on_once_the_file_is_free_and_a_signal_ends_the_wait(fleet: Fleet) -> None:
    fleet.write(*fleet.companies(2))
    fleet.run("--only=c1")
    with held(fleet.folder / fleet.warehouse):
        process = started(fleet)
        wait_for(lambda: waits(fleet))
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(60) == 1
        told = [json.loads(line) for line in fleet.ask("history", "--format=json").splitlines()]
        assert sorted((one["company"], one["status"]) for one in told[1:]) == [("c1", "ended"), ("c2", "ended")]
        process = started(fleet)
        wait_for(lambda: waits(fleet))
    assert process.wait(60) == 0, (fleet.folder / "said").read_text(encoding="utf-8")
    assert not any(fleet.differences(number) for number in (1, 2))


def test_a_file_that_was_never_made_is_made_anew(fleet: Fleet) -> None:
    """What a full disk or a kill leaves of the making of a file held up its company for good."""
    whole = fleet.folder / "whole.duckdb"
    duckdb.connect(whole).close()
    cut = {"c1": b"", "c2": whole.read_bytes()[:8192], "c3": b"a,b\n1,2\n"}
    for company, content in cut.items():
        (fleet.folder / f"{company}.duckdb").write_bytes(content)
    fleet.write(*fleet.companies(3), warehouse="{company}.duckdb")
    assert "c1 vic-to-warehouse: " in (said := fleet.ask("check", expect=1))
    assert said.count("is not there yet: the first load makes the file") == 2
    with pytest.raises(Stop, match=r"c1\.duckdb: the file is empty; the first load of target-warehouse makes it\."):
        duckdb_files.connect(str(fleet.folder / "c1.duckdb"), print, read_only=True)
    found = fleet.run(expect=1)
    assert {name: one["status"] for name, one in found.items()} == {"c1": "done", "c2": "done", "c3": "failed"}
    assert "c3.duckdb is not a DuckDB file" in found["c3"]["error"]
    assert (fleet.folder / "c3.duckdb").read_bytes() == cut["c3"]
