"""Lists of a spreadsheet as the input of a comparison."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from ap_connectors.core.errors import Stop
from ap_connectors.core.sheets import Sheet, csv_bytes
from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.singer.reject_sheets import ORIGINAL
from ap_connectors.tieout import input_fields, input_vic
from ap_connectors.tieout.input_fields import KnownFields
from ap_connectors.vicai import contract
from target_vicai.streams import ALL
from tests.tieout.conftest import TieOut

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
    # Each file by its bytes, and how many of its records count.
    assert [(one.name, one.read, one.compared) for one in both.files] == [(str(path), 2, 0), (str(repaired), 1, 1)]
    assert [one.sha256 for one in both.files] == [sha256(one.read_bytes()).hexdigest() for one in (path, repaired)]
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


def test_a_column_that_no_field_has_is_named_and_no_green_certificate(
    vicai: SandboxProcess, tie_input: TieOut, tmp_path: Path
) -> None:
    vendors = [one for one in vicai.control.vicai.records("vendors") if one.get("externalId")][:3]
    rows = [f"{one['externalId']};{one['name']};914782345;NO9386011117947" for one in vendors]
    path, page = tmp_path / "vendors.csv", tmp_path / "certificate.html"
    # A column that no row says anything in loses nothing.
    empty = [f"{row};" for row in rows]
    path.write_text("\n".join(["externalId;name;orgNumber;IBAN;paymentTermNam", *empty, ""]), "utf-8")
    found = tie_input(str(path), "--report", str(page))
    said = "Columns of the list that Vic.ai does not have: orgNumber, IBAN (misspelt?): not loaded and not compared."
    assert (found.status, found.err) == (0, "")
    assert said in found.out
    assert "does not show" not in found.out
    assert found.stream("vendors")["unknown_fields"] == ["orgNumber", "IBAN"]
    assert found.report["destination_address"] == vicai.vicai_url
    assert found.report["source_address"] is None
    digest = sha256(path.read_bytes()).hexdigest()
    assert found.report["inputs"] == [{"name": str(path), "sha256": digest, "records": 3, "compared": 3}]
    assert 'class="verdict warn"' in page.read_text("utf-8")
    assert f"Vic.ai, {vicai.vicai_url}" in page.read_text("utf-8")

    # Of messages they are fields, whether fields are compared or not; members of objects, too.
    record = {"externalId": vendors[0]["externalId"], "taxInfo": {"orgNo": "1", "orgNumber": None}, "nonsense": "x"}
    path = tmp_path / "given.jsonl"
    path.write_text(json.dumps({"type": "RECORD", "stream": "vendors", "record": record}) + "\n", "utf-8")
    found = tie_input(str(path), "--no-fields")
    assert "Fields of the input that Vic.ai does not have: taxInfo.orgNo, nonsense (misspelt?)" in found.out

    path = tmp_path / "vendors.csv"
    names = "\n".join(f"{one['externalId']};{one['name']}" for one in vendors)
    path.write_text(f"externalId;name\n{names}\n", "utf-8")
    found = tie_input(str(path), "--report", str(page))
    assert found.stream("vendors")["unknown_fields"] == []
    assert 'class="verdict good"' in page.read_text("utf-8")
    assert found.out.startswith("List → Vic.ai, Fjordlys Regnskap AS\n\nvendors: 3 in the list, 3 Vic.ai: ties\n")
    assert f"\nWritten: {page}\n" in found.out
    # A key says little to people; and who has misspelt a folder looks for the page elsewhere.
    path.write_text(path.read_text("utf-8") + "00990;Šiaulių Tiekimas UAB\n", "utf-8")
    elsewhere = tmp_path / "ouptut" / "certificate.html"
    found = tie_input(str(path), "--report", str(elsewhere), "--language", "lt")
    assert found.out.startswith("Sąrašas → Vic.ai, Fjordlys Regnskap AS\n\nTiekėjai: 4 sąraše, 3 Vic.ai: NESUTAMPA")
    assert "    Šiaulių Tiekimas UAB (00990)\n" in found.out
    assert f"\nĮrašyta: {elsewhere} (naujas aplankas)\n" in found.out


def test_what_the_target_takes_is_known() -> None:
    for sink in ALL:
        fields = KnownFields(sink.component or "")
        if not sink.component or sink.component not in input_fields._MASTER_DATA:
            continue
        body = contract.inlined(contract.operation(sink.operation).body["application/json"])
        record = dict.fromkeys([*body["properties"], *sink.extras], "x")
        assert list(fields.unknown(record)) == [], sink.name
        assert list(fields.unknown({**record, "nonsense": "x"})) == ["nonsense"], sink.name
