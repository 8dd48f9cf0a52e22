"""A sandbox, a warehouse made of its data as the loader makes it, and the real `ap-tieout` run against both."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.tieout import cli
from tests.conftest import renewed

Record = dict[str, Any]

encode = msgspec.json.Encoder(decimal_format="number").encode


class Result:
    """How a comparison ended, and what it said."""

    def __init__(self, status: int, out: str, err: str, report: Path) -> None:
        self.status, self.out, self.err = status, out, err
        self.report: Record = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}

    def stream(self, name: str) -> Record:
        (found,) = [one for one in self.report["streams"] if one["stream"] == name]
        return dict(found)

    def found(self, stream: str) -> dict[str, tuple[int, list[str]]]:
        """The differences of a stream: how many of each kind, and the keys that are named."""
        told = self.stream(stream)["differences"]
        return {kind: (one["count"], [named["key"] for named in one["named"]]) for kind, one in told.items()}

    def words(self, stream: str, kind: str) -> list[str]:
        return [one["words"] for one in self.stream(stream)["differences"][kind]["named"]]

    def amount(self, stream: str, currency: str, side: str, name: str = "total") -> str:
        (row,) = [row for row in self.stream(stream)["currencies"] if row["currency"] == currency]
        return str(row[side][name])


TieOut = Callable[..., Result]


def run_tieout(
    folder: Path,
    settings: Record,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    given: bytes | None = None,
    process: bool = False,
) -> Result:
    """Run the command: what `main` runs, or, for what only a `process` shows, all of it in a process of its own."""
    config, report = folder / "tieout-config.json", folder / "tieout-report.json"
    config.write_text(json.dumps(settings), encoding="utf-8")
    config.chmod(0o600)
    report.unlink(missing_ok=True)
    command = [*arguments, "--report", str(report)]
    if env is None:
        command += ["--config", str(config)]
    if process or env is not None or given is not None:
        done = subprocess.run(
            [sys.executable, "-m", "ap_connectors.tieout", *command],
            input=given or b"",
            capture_output=True,
            timeout=120,
            env=os.environ | (env or {}),
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode(), report)
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        status = cli.run(command)
    return Result(status, out.getvalue(), err.getvalue(), report)


class Tables:
    """A DuckDB file, written as target-duckdb writes it: amounts as text, instants without a zone."""

    def __init__(self, path: Path, schema: str) -> None:
        self.path, self.schema = path, schema

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path)) as connection:
            connection.execute(f"create schema if not exists {self.schema}; set schema '{self.schema}'")
            for statement in statements:
                rows = connection.execute(statement).fetchall()
        return rows

    @contextmanager
    def broken(self, *statements: str) -> Iterator[None]:
        """Make a change that is undone at the end."""
        kept = shutil.copy(self.path, self.path.with_suffix(".kept"))
        self.sql(*statements)
        yield
        shutil.copy(kept, self.path)

    def fill(self, table: str, columns: Mapping[str, str], records: Iterable[Mapping[str, Any]]) -> None:
        """Make a table of some fields of records, whose names are those of the columns but for capitals."""
        rows = [{name.lower(): value(record.get(name), kind) for name, kind in columns.items()} for record in records]
        part = self.path.with_suffix(".json")
        part.write_bytes(b"\n".join(map(encode, rows)))
        texts = ", ".join(f"'{name.lower()}': 'varchar'" for name in columns)
        casts = ", ".join(f'"{name.lower()}"::{kind} as "{name.lower()}"' for name, kind in columns.items())
        source = f"read_json('{part}', format = 'newline_delimited', columns = {{{texts}}})"
        self.sql(f"create or replace table {table} as select {casts} from {source}")


def value(given: Any, kind: str) -> str | None:
    """A value as the loader leaves it: empty text is null, instants lose their zone, JSON is text."""
    if isinstance(given, dict | list):
        return encode(given).decode()
    if kind == "timestamp" and given:
        return str(given).replace("T", " ").removesuffix("Z")
    return None if given is None else str(given) or None


IVESK_DOCUMENT = {
    **dict.fromkeys(("id", "docnum", "doctype", "date", "currency", "buyercode", "sellercode"), "varchar"),
    **dict.fromkeys(("subtotal", "vat", "total", "currencyrate"), "varchar"),
    **dict.fromkeys(("buyerisfavorite", "sellerisfavorite"), "boolean"),
    "exportedat": "timestamp",
}
IVESK_LINE = {
    **dict.fromkeys(("document_id", "lineid", "name"), "varchar"),
    **dict.fromkeys(("quantity", "price", "subtotal", "vat", "vatpercent", "total"), "varchar"),
    "line_number": "hugeint",
    "exportedat": "timestamp",
}
FILE = dict.fromkeys(("path", "sha256", "error"), "varchar")


@pytest.fixture
def sandbox(_sandbox_process: SandboxProcess) -> SandboxProcess:
    """A sandbox of sixty documents: every test compares all of them, some of them ten times."""
    return renewed(_sandbox_process, documents=60)


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Warehouses as made for the first test that wants one: the sandbox begins with the same data each time."""
    return tmp_path_factory.mktemp("loaded")


@pytest.fixture
def ivesk(sandbox: SandboxProcess, loaded: Path, tmp_path: Path) -> Tables:
    """A warehouse with all that Įvesk has exported, files included."""
    kept = Tables(loaded / "of_ivesk.duckdb", "ivesk")
    if not kept.path.exists():
        load_ivesk(sandbox, kept)
    return Tables(Path(shutil.copy(kept.path, tmp_path / "warehouse.duckdb")), "ivesk")


def load_ivesk(sandbox: SandboxProcess, tables: Tables) -> None:
    documents = sandbox.control.documents()
    lines = [
        line | {"document_id": one["id"], "exportedat": one["exportedat"], "line_number": number}
        for one in documents
        for number, line in enumerate(one["lines"], 1)
    ]
    tables.fill("exported_documents", IVESK_DOCUMENT, documents)
    tables.fill("exported_document_lines", IVESK_LINE, lines)
    files = [{"document_id": one["id"], "path": f"x/{one['id']}.pdf", "sha256": "00"} for one in documents]
    tables.fill("document_files", {"document_id": "varchar", **FILE}, files)


@pytest.fixture
def tie_ivesk(sandbox: SandboxProcess, ivesk: Tables, tmp_path: Path) -> TieOut:
    """Run `ap-tieout ivesk-warehouse`."""

    def run(*arguments: str, env: Mapping[str, str] | None = None, process: bool = False, **changed: Any) -> Result:
        settings = {"api_key": sandbox.api_key, "api_url": sandbox.ivesk_url} | changed
        command = ("ivesk-warehouse", "--warehouse", str(ivesk.path), *arguments)
        return run_tieout(tmp_path, settings, *command, env=env, process=process)

    return run


VIC = {
    "invoices": {
        **dict.fromkeys(("internalId", "externalId", "currency", "issueDate", "lineItems", "status"), "varchar"),
        **dict.fromkeys(("amountWithoutTax", "amountTax", "totalAmount"), "varchar"),
        "internalUpdatedAt": "timestamp",
    },
    "purchase_orders": {
        **dict.fromkeys(("internalId", "externalId", "poNumber", "currencyId", "issuedOn", "amount"), "varchar"),
        "internalUpdatedAt": "timestamp",
    },
    "training_invoices": dict.fromkeys(
        ("vendorExternalId", "refNumber", "externalUpdatedAt", "currency", "issueDate", "lineItems"), "varchar"
    ),
    "vendors": {"internalId": "varchar", "externalId": "varchar", "internalUpdatedAt": "timestamp"},
    "accounts": {"internalId": "varchar", "externalId": "varchar", "internalUpdatedAt": "timestamp"},
    "tags": {"id": "varchar", "value": "varchar"},
    "payment_batches": {"id": "varchar", "name": "varchar", "last_event_at": "timestamp"},
}
_RESOURCE_OF = {
    "purchase_orders": "purchaseOrders",
    "training_invoices": "trainingInvoices",
    "payment_batches": "paymentBatches",
}
_ORDER_LINE = {
    **dict.fromkeys(("purchase_order_id", "lineItemTotal", "quantityRequested", "unitAmount"), "varchar"),
    "lineNumber": "hugeint",
    "purchase_order_updated_at": "timestamp",
}
PAYMENT = {**dict.fromkeys(("id", "batch_id", "amount", "currencyId"), "varchar"), "approvedAt": "timestamp"}


def latest(batch: Record) -> str | None:
    things = [batch, *batch["payments"], *batch["credits"]]
    return max((v for thing in things for n, v in thing.items() if n.endswith("At") and v), default=None)


def load_vic(sandbox: SandboxProcess, tables: Tables) -> None:
    vic = sandbox.control.vicai
    for table, columns in VIC.items():
        records = vic.records(_RESOURCE_OF.get(table, table))
        if table == "invoices":
            records = [one for one in records if one["status"] == "POSTED"]
            files = [{"invoice_id": one["internalId"], "path": "x.pdf"} for one in records]
            tables.fill("invoice_documents", {"invoice_id": "varchar", **FILE}, files)
        tables.fill(
            table, columns, [one | {"last_event_at": latest(one)} for one in records] if "batch" in table else records
        )
    lines = [
        line | {"purchase_order_id": one["internalId"], "purchase_order_updated_at": one["internalUpdatedAt"]}
        for one in vic.records("purchaseOrders")
        for line in one["lineItems"]
    ]
    tables.fill("purchase_order_line_items", _ORDER_LINE, lines)
    for part in ("payments", "credits"):
        batches = vic.records("paymentBatches")
        tables.fill(part, PAYMENT, [one | {"batch_id": batch["id"]} for batch in batches for one in batch[part]])
    tables.fill("company", {"company": "varchar"}, [{"company": vic.overview(sums=False)["options"]["company"]}])


def vic_settings(sandbox: SandboxProcess) -> Record:
    return {
        "client_id": sandbox.client_id,
        "client_secret": sandbox.client_secret,
        "api_url": sandbox.vicai_url,
        "rate_limit": {"requests": 500, "seconds": 1},
    }


@pytest.fixture
def vicai(sandbox: SandboxProcess) -> SandboxProcess:
    """A sandbox with a Vic.ai company of 60 invoices."""
    sandbox.control.reset(documents=0, invoices=60, vicai={"rate_requests": 0})
    return sandbox


@pytest.fixture
def vic(vicai: SandboxProcess, loaded: Path, tmp_path: Path) -> Tables:
    """A warehouse with what Vic.ai has."""
    kept = Tables(loaded / "of_vicai.duckdb", "vicai")
    if not kept.path.exists():
        load_vic(vicai, kept)
    return Tables(Path(shutil.copy(kept.path, tmp_path / "warehouse.duckdb")), "vicai")


@pytest.fixture
def tie_vic(vicai: SandboxProcess, vic: Tables, tmp_path: Path) -> TieOut:
    """Run `ap-tieout vic-warehouse`."""

    def run(*arguments: str, process: bool = False, env: Mapping[str, str] | None = None, **changed: Any) -> Result:
        command = ("vic-warehouse", "--warehouse", str(vic.path), *arguments)
        return run_tieout(tmp_path, vic_settings(vicai) | changed, *command, process=process, env=env)

    return run


@pytest.fixture
def tie_input(vicai: SandboxProcess, tmp_path: Path) -> TieOut:
    """Run `ap-tieout input-vic`."""

    def run(*arguments: str, given: bytes | None = None, process: bool = False, **changed: Any) -> Result:
        settings = vic_settings(vicai) | changed
        return run_tieout(tmp_path, settings, "input-vic", *arguments, given=given, process=process)

    return run
