"""The recipes of docs/recipes.md, as they are written there."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from pathlib import Path

from ap_connectors.sandbox.process import SandboxProcess
from tests import preloaded
from tests.preloaded import ROOT

PAGE = (ROOT / "docs/recipes.md").read_text("utf-8")


def block(language: str, first: str) -> str:
    """The code block of a language that begins so."""
    (found,) = [
        text for text in re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE) if first in text
    ]
    return str(found)


def singer(stream: str, table: str) -> bytes:
    """What a tap of CSV files makes of a table: columns as they are called, all cells text."""
    rows = list(csv.DictReader(io.StringIO(table)))
    schema = {"properties": {name: {"type": ["null", "string"]} for name in rows[0]}}
    messages = [
        {"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": []},
        *({"type": "RECORD", "stream": stream, "record": row} for row in rows),
        {"type": "STATE", "value": {"bookmarks": {stream: {}}}},
    ]
    return "".join(json.dumps(message) + "\n" for message in messages).encode()


def test_a_list_of_suppliers_into_vicai(sandbox: SandboxProcess, tmp_path: Path) -> None:
    vic = sandbox.control.vicai
    settings = json.loads(block("json", "stream_maps"))
    config = tmp_path / "vic.json"
    config.write_text(json.dumps(settings))
    environment = {
        "TARGET_VICAI_CLIENT_ID": sandbox.client_id,
        "TARGET_VICAI_CLIENT_SECRET": sandbox.client_secret,
        "TARGET_VICAI_API_URL": sandbox.vicai_url,
    }
    command = [sys.executable, "-m", "target_vicai", "--config", str(config), "--config=ENV"]

    done = preloaded.run(command, input=singer("suppliers", block("csv", "Supplier no")), env=environment)
    assert done.returncode == 0, done.stderr.decode()
    loaded = {one["externalId"]: one for one in vic.records("vendors") if one.get("externalId") in {"50010", "50011"}}
    terms = {one["id"]: one["name"] for one in vic.records("paymentTerms")}
    assert [
        (one["name"], one["taxInfo"]["orgNumber"], terms[one["paymentTermId"]], one["externalUpdatedAt"])
        for _, one in sorted(loaded.items())
    ] == [
        ("Ąžuolas AS", "914782345", "30 dager netto", "2026-11-20T14:02:11"),
        ("Nordlys, Drift AS", "923456789", "14 dager netto", "2026-11-21T09:30:00"),
    ]
    # An empty cell clears nothing.
    later = (
        block("csv", "Supplier no").replace(",914782345,", ",,").replace("2026-11-20T14:02:11", "2026-11-25T08:00:00")
    )
    done = preloaded.run(command, input=singer("suppliers", later), env=environment)
    assert done.returncode == 0, done.stderr.decode()
    (kept,) = [one for one in vic.records("vendors") if one.get("externalId") == "50010"]
    assert (kept["taxInfo"]["orgNumber"], kept["externalUpdatedAt"]) == ("914782345", "2026-11-25T08:00:00")
