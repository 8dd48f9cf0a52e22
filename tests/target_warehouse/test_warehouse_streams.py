"""Every stream of tap-ivesk and tap-vicai in both databases: digit for digit, byte for byte."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from ap_connectors.sandbox.process import SandboxProcess
from tests import preloaded
from tests.conftest import catalogs, discovered, tap_command
from tests.duckdb_held import held as file_held
from tests.sandbox.emulated_vic import Vic
from tests.tap_vicai.test_vicai_streams import RESOURCE_OF
from tests.target_vicai.conftest import settings
from tests.target_warehouse.conftest import Database, Target, command, raw, schema

_message = msgspec.json.Decoder(dict[str, msgspec.Raw])
_text = msgspec.json.Decoder(str)


def sent(lines: bytes) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]], dict[str, list[dict[str, Any]]]]:
    """Schemas, keys and records (each value the bytes that were sent) by stream."""
    schemas: dict[str, dict[str, Any]] = {}
    keys: dict[str, list[str]] = {}
    records: dict[str, list[dict[str, Any]]] = {}
    for line in lines.splitlines():
        message = _message.decode(line)
        kind = _text.decode(message["type"])
        if kind == "SCHEMA":
            stream = _text.decode(message["stream"])
            schemas[stream] = json.loads(bytes(message["schema"]))
            keys[stream] = json.loads(bytes(message["key_properties"]))
        elif kind == "RECORD":
            records.setdefault(_text.decode(message["stream"]), []).append(_message.decode(message["record"]))
    return schemas, keys, records


def meant(raw: msgspec.Raw, type_: str) -> Any:
    """What a column of a type should hold of a value."""
    said = bytes(raw).decode()
    if said == "null":
        return None
    text = _text.decode(raw) if said[0] == '"' else said
    if type_ == "json":
        return said
    if type_.startswith(("decimal", "numeric")):
        return Decimal(text)
    if type_.startswith("timestamp"):
        moment = datetime.fromisoformat(
            re.sub(r"\.(\d+)", lambda found: "." + found[1].ljust(6, "0"), text).replace("Z", "+00:00")
        )
        return moment.astimezone(timezone.utc) if "with time zone" in type_ else moment
    if type_ == "date":
        return date.fromisoformat(text)
    if type_ in {"bigint", "boolean"}:
        return json.loads(said)
    return text


def present(rows: list[dict[str, Any]], key: list[str], parent: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The rows that there should be: the last of each key, of each parent those of its last state."""
    if parent and parent["version"]:
        ((version, _),) = parent["version"].items()
        by = list(parent["keys"])
        newest: dict[Any, bytes] = {}
        for row in rows:
            whose = tuple(bytes(row[name]) for name in by)
            newest[whose] = max(newest.get(whose, b""), bytes(row[version]))
        rows = [row for row in rows if bytes(row[version]) == newest[tuple(bytes(row[name]) for name in by)]]
    if not key:
        return rows
    return list({tuple(bytes(row[name]) for name in key): row for row in rows}.values())


def held(database: Database, table: str, types: dict[str, str]) -> Iterator[dict[str, Any]]:
    shown = ", ".join(f'cast("{name}" as varchar)' if type_ == "json" else f'"{name}"' for name, type_ in types.items())
    for row in database.rows(f'SELECT {shown} FROM "{table}"'):
        yield {
            name: value.astimezone(timezone.utc) if isinstance(value, datetime) and value.tzinfo else value
            for name, value in zip(types, row, strict=True)
        }


def held_by_vic(sandbox: SandboxProcess) -> dict[str, list[dict[str, Any]]]:
    """What Vic.ai's store itself holds, by the stream that shows it: each value the bytes that are served."""
    lines = {stream: sandbox.control.vicai.record_lines(resource) for stream, resource in RESOURCE_OF.items()}
    return {stream: [_message.decode(line) for line in found] for stream, found in lines.items()}


def check(
    database: Database, lines: bytes, service: Mapping[str, list[dict[str, Any]]] | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Compare the tables with what was sent, and with what the service holds; return the records by stream."""
    schemas, keys, records = sent(lines)
    for stream in records.keys() & (service or {}).keys():
        records[stream] = (service or {})[stream]
    for stream, came in records.items():
        rows = present(came, keys[stream], schemas[stream].get("x-parent"))
        types = database.types(stream)
        fields = [name for name in types if not name.startswith("_sdc_")]
        unkeyed = [name for name in types if name == "_sdc_row_id"]
        assert set(fields) >= {name for row in rows for name in row if bytes(row[name]) != b"null"}, stream
        assert bool(unkeyed) == (not keys[stream])
        wanted = [{name: meant(row.get(name, msgspec.Raw(b"null")), types[name]) for name in fields} for row in rows]
        found = list(held(database, stream, {name: types[name] for name in fields}))
        order = repr if not keys[stream] else lambda row, key=keys[stream]: [str(row[name]) for name in key]
        assert sorted(found, key=order) == sorted(wanted, key=order), stream
        for name, prop in schemas[stream]["properties"].items():
            assert name in types, (stream, name)
            if prop.get("format") in {"x-singer.decimal", "date", "date-time"} or "number" in prop["type"]:
                assert types[name] not in {"text", "varchar"}, (stream, name, "an amount or a time is no text")
            if "object" in prop["type"] or "array" in prop["type"]:
                assert types[name] == "json", (stream, name)
    return records


def pipe(tap: list[str], target: Target, **settings: Any) -> bytes:
    done = preloaded.run(tap)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    run = target(done.stdout, **settings)
    assert run.log() == []
    assert run.report["widened"] == []
    return done.stdout


def all_of(module: str) -> set[str]:
    """The streams that a tap says it has: none of them may be missing here."""
    return {stream["tap_stream_id"] for stream in json.loads(discovered(module))["streams"]}


def fill(sandbox: SandboxProcess) -> None:
    """Have something in every stream of tap-vicai."""
    sandbox.control.reset(
        documents=0, invoices=60, vicai={"rate_requests": 0, "extra_fields": True, "big_amounts": True, "companies": 2}
    )
    vic, control = Vic(sandbox), sandbox.control.vicai
    vic.login()
    vic.call("subscribe", body={"callbackUrl": "https://example.org/hooks", "accessToken": "t"})
    pair = [{"internalId": one["internalId"]} for one in control.records("dimensions")[:2]]
    dependency = {"dimension": pair[0], "dependent": pair[1], "active": True}
    vic.call("bulkUpsertDimensionDependencies", body={"dependencies": [dependency]})
    waiting = next(one["internalId"] for one in control.records("invoices") if one["status"] == "NOT_READY")
    file = {"file": ("1 følgeseddel „ąčę“.pdf", b"%PDF-1.7 x", "application/pdf")}
    vic.call("uploadInvoiceSupportingAttachment", waiting, files=file, params={"useSystem": "INTERNAL"})
    control.event("ping", data={"ąčę": None, "amount": Decimal("1.50"), "quoted": 'a\\\t"'})
    control.delete("invoices", [next(one["internalId"] for one in control.records("invoices"))])
    control.delete("purchaseOrders", [control.records("purchaseOrders")[0]["internalId"]])


def test_streams_of_vicai(sandbox: SandboxProcess, target: Target, database: Database, tmp_path: Path) -> None:
    fill(sandbox)
    config = settings(sandbox, tmp_path) | {"documents_from": None, "ledger_path": None, "invoice_states": ["ALL"]}
    config |= {"documents_dir": str(tmp_path / "files"), "company_ids": ["ALL"]}
    streams = all_of("tap_vicai")
    tap = tap_command(tmp_path, config, catalog=catalogs("tap_vicai")(*streams), module="tap_vicai")
    records = check(database, pipe(tap, target), held_by_vic(sandbox))
    assert {stream for stream in streams if records.get(stream)} == streams
    assert database.rows("SELECT tenant FROM _state")[0][0]
    (total,) = database.rows('SELECT sum("totalAmount") FROM invoices')[0]
    assert total == sum(Decimal(one["totalAmount"]) for one in sandbox.control.vicai.records("invoices"))
    # Nothing new: nothing is written.
    run = target(preloaded.run(tap).stdout)
    assert {run.report["total"][name] for name in ("created", "updated", "deleted", "rejected")} == {0}
    # What is deleted later is marked, with its lines, and nothing else is.
    gone = next(one["internalId"] for one in sandbox.control.vicai.records("invoices"))
    lines = database.rows(f"SELECT count(*) FROM invoice_line_items WHERE invoice_id = '{gone}'")
    sandbox.control.vicai.delete("invoices", [gone])
    target(preloaded.run(tap).stdout)
    marked = "SELECT {} FROM {} WHERE _sdc_deleted_at IS NOT NULL"
    assert database.rows(marked.format('"internalId"', "invoices")) == [(gone,)]
    assert database.rows(marked.format("count(*)", "invoice_line_items")) == lines


def test_streams_of_ivesk(sandbox: SandboxProcess, target: Target, database: Database, tmp_path: Path) -> None:
    sandbox.control.reset(documents=80)
    sandbox.control.add(2, overrides={"total": Decimal("1234567890123456789.123456789"), "docnum": "ŽĄ-„1“\\\t"})
    sandbox.control.columns("302320404", "skyrius", [{"code": "S1", "description": "Ūkis"}])
    config = {
        "api_key": sandbox.api_key,
        "api_url": sandbox.ivesk_url,
        "columns": [{"company_code": "302320404", "column": "skyrius"}],
        "documents_dir": str(tmp_path / "files"),
    }
    streams = all_of("tap_ivesk")
    tap = tap_command(tmp_path, config, catalog=catalogs("tap_ivesk")(*streams))
    written = pipe(tap, target)
    schemas, _, came = sent(written)
    service = {}
    for stream, queue in (("exported_documents", "exported"), ("digitized_documents", "digitized")):
        fields = schemas[stream]["properties"].keys() - {"url"}
        signed = {bytes(one["id"]): {"url": one["url"]} for one in came[stream]}  # another one each time
        documents = map(_message.decode, sandbox.control.document_lines(queue))
        service[stream] = [
            {name: one[name] for name in one.keys() & fields} | signed[bytes(one["id"])] for one in documents
        ]
    records = check(database, written, service)
    assert {stream for stream in streams if records.get(stream)} == streams


def test_test_makes_nothing(target: Target, database: Database, tmp_path: Path) -> None:
    """It says what the first load would make, and whether it may; a misspelt path is seen."""
    run = target([], "--test")
    assert "the schema stored of" in run.out
    made = "a database that is there" if database.is_postgresql else f"the file in {tmp_path}, which can be written to"
    assert f"is not there yet: the first load makes {'it, in ' * database.is_postgresql}{made}; a load could" in run.out
    if database.is_postgresql:
        assert not database.rows("SELECT 1 FROM pg_namespace WHERE nspname = 'stored'")
        name = f"reader_{os.getpid()}"
        database.rows(f"CREATE ROLE {name} LOGIN PASSWORD 'p'")
        try:
            reader = re.sub(r"//[^@/]*@?", f"//{name}:p@", database.url)
            run = target([], "--test", expect=1, database=reader)
        finally:
            database.rows(f"DROP ROLE {name}")
        assert f"the user {name} may not make the schema stored of the database" in run.complaint
        assert "GRANT CREATE ON DATABASE" in run.complaint
    else:
        assert not Path(database.url).exists()
        tmp_path.chmod(0o500)
        forbidden = [*command(tmp_path / "run-1", database), "--test"]
        done = preloaded.run(forbidden, unprivileged=True)
        tmp_path.chmod(0o700)
        assert f"{tmp_path} cannot be written to by this user" in done.stderr.decode()
    target([schema("rates", {"id": "string"}), raw("rates", '{"id": "7"}')])
    assert target([], "--test").out.endswith("is there; a load could begin.\n")
    if not database.is_postgresql:
        with file_held(database.url, "read") as pid:
            said = target([], "--test").out
        assert (
            f" is there; {Path(sys.executable).resolve().name} (process {pid}) has the file open now, and a load"
            in said
        )


def test_a_database_that_would_forget_is_refused(tmp_path: Path) -> None:
    """DuckDB opens CSV and `:memory:` as well: what is loaded there is gone at the end, and its STATE would be out."""
    there = tmp_path / "list.csv"
    there.write_text("a,b\n1,2\n")
    messages = (
        b'{"type":"SCHEMA","stream":"t","schema":{"properties":{"id":{"type":"string"}}},"key_properties":["id"]}\n'
        b'{"type":"RECORD","stream":"t","record":{"id":"1"}}\n{"type":"STATE","value":{"n":1}}\n'
    )
    for path in (str(there), ":memory:"):
        for option in ([], ["--test"]):
            done = preloaded.run([*command(tmp_path, Database(path)), *option], input=messages)
            assert (done.returncode, done.stdout) == (1, b""), done.stderr
            assert "is not a DuckDB file" in done.stderr.decode()
    assert there.read_text() == "a,b\n1,2\n"
