"""Lists of a spreadsheet as the input of a comparison."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ap_connectors.core.errors import Stop
from ap_connectors.core.sheets import Sheet, csv_bytes
from ap_connectors.singer.reject_sheets import ORIGINAL
from ap_connectors.tieout import input_vic

HEADS = "externalId;externalUpdatedAt;name;taxInfo.orgNumber\n"


def test_a_list_is_compared_as_it_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "vendors 2026.csv"
    path.write_text(f"{HEADS}007;2026-11-20T10:00:00;Ąžuolas;914782345\n;2026-11-20T10:00:00;x;\n", "utf-8")
    given = input_vic.read([str(path)]).streams["vendors"]
    assert list(given.names) == ["007"]
    assert given.keyless == [f"line 3 of {path}"]
    # What was repaired in the sheet of rejects counts, as it comes after the list.
    line = {"type": "RECORD", "stream": "vendors", "record": {"externalId": "007", "name": "A", "email": None}}
    sheet = Sheet("vendors", ["externalId", "name", ORIGINAL], [["007", "Ąžuolas AS", json.dumps(line)]])
    (repaired := tmp_path / "rejects.csv").write_bytes(csv_bytes(sheet))
    both = input_vic.read([str(path), str(repaired)])
    assert both.files == [str(path), str(repaired)]
    assert both.streams["vendors"].records.get("007") == {"externalId": "007", "name": "Ąžuolas AS", "email": None}
    path.write_text(f"{HEADS}007;;Ąžuolas;1\n007;;Ąžuolas;2\n", "utf-8")
    with pytest.raises(Stop, match=r"line 2 and line 3 have the same externalId 007: taxInfo\.orgNumber differs"):
        input_vic.read([str(path)])
    path.write_text(f"{HEADS}1;2;3;4;5\n", "utf-8")
    with pytest.raises(Stop, match="1 more cell"):
        input_vic.read([str(path)])
    path.write_text("External ID;name\n1;2\n3;4\n", "utf-8")
    with pytest.raises(Stop, match="did you mean externalId"):
        input_vic.read([str(path)])
    with pytest.raises(Stop, match="Save it as"):
        input_vic.read(["vendors.xls"])
