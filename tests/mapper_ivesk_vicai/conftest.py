"""The real `mapper-ivesk-vicai`, run on Singer messages as tap-ivesk writes them."""

from __future__ import annotations

import functools
import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests import preloaded

Record = dict[str, Any]

COMPANY = "302320404"
OTHER = "302320405"
SELLER = "304111222"
VENDOR = f"LT-{SELLER}"
"""The key of the seller, where Vic.ai does not have it yet."""
MARK = {"countryCode": "LT", "name": "UAB „Žalia šaka“", "orgNumber": SELLER, "taxId": "LT100001234567"}
"""What an invoice says of the seller."""
TABLES = {
    "vat_classes": {"PVM1": "1", "PVM5": "0"},
    "accounts": {"6312": "KTO-6312", "6301": "KTO-6301"},
    "objects": {"ADM": "AVD-10", "GAM-2": {"dimension": "PRJ-2", "type": "PRJ"}},
}
_encode = msgspec.json.Encoder(decimal_format="number").encode


def line(**changes: Any) -> Record:
    """A line of 10.00 and 21 % VAT."""
    return {
        "lineid": "l-1",
        "code": "6312",
        "name": "Ąžuolinė lenta",
        "unit": "vnt.",
        "quantity": Decimal("2.000"),
        "price": Decimal("5.00"),
        "subtotal": Decimal("10.00"),
        "vat": Decimal("2.10"),
        "vatpercent": Decimal(21),
        "total": Decimal("12.10"),
        "vatclass": "PVM1",
        "warehouse": None,
        "object": None,
    } | changes


def document(**changes: Any) -> Record:
    """A purchase with one line, in euros; header and line agree. Its number goes by its id: d-1 is SF-1."""
    return {
        "id": "d-1",
        "date": "2026-03-05",
        "operationdate": None,
        "duedate": "2026-04-04",
        "paymentterm": 30,
        "docnum": f"SF-{str(changes.get('id', 'd-1')).removeprefix('d-')}",
        "ordernum": None,
        "doctype": "invoice",
        "subtotal": Decimal("10.00"),
        "vat": Decimal("2.10"),
        "total": Decimal("12.10"),
        "currency": "EUR",
        "currencyrate": None,
        "url": "https://storage.example/d-1/SF-1.pdf?signature=abc",
        "filename": "sąskaita.pdf",
        "sellerid": "s-1",
        "sellercode": SELLER,
        "sellervat": "LT100001234567",
        "sellername": "UAB „Žalia šaka“",
        "sellernameascii": 'UAB "Zalia saka"',
        "selleraddress": "Liepų g. 5, LT-01234 Vilnius",
        "sellercountry": "LT",
        "selleriban": "LT121000011101001000",
        "sellerisperson": False,
        "sellerisfavorite": False,
        "buyerid": "b-1",
        "buyercode": COMPANY,
        "buyervat": "LT100007654321",
        "buyername": "UAB „Kiemas“",
        "buyercountry": "LT",
        "buyerisperson": False,
        "buyerisfavorite": True,
        "exportedat": "2026-03-06T07:08:09.123Z",
        "lines": [line()],
    } | changes


def schema(stream: str = "exported_documents", *without: str) -> Record:
    properties: Record = {name: {} for name in (*document(), "digitizedat") if name not in without}
    return {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"type": "object", "properties": properties},
        "key_properties": ["id"],
    }


def record(fields: Record, stream: str = "exported_documents") -> Record:
    return {"type": "RECORD", "stream": stream, "record": fields}


def messages(*documents: Record) -> list[Record]:
    """The SCHEMA, and a RECORD for each document."""
    return [schema(), *map(record, documents)]


def encoded(said: Iterable[Record | bytes]) -> bytes:
    return b"".join((one if isinstance(one, bytes) else _encode(one)) + b"\n" for one in said)


class Mapped:
    """What the mapper wrote and how it ended; decimals with the digits that are there."""

    def __init__(self, done: subprocess.CompletedProcess[bytes], folder: Path) -> None:
        self.status, self.raw, self.err = done.returncode, done.stdout, done.stderr.decode()
        self.reject_path, self._report = folder / "rejects.jsonl", folder / "report.json"
        self.lines = [json.loads(one, parse_float=Decimal) for one in done.stdout.splitlines()]

    def records(self, stream: str) -> list[Record]:
        return [one["record"] for one in self.lines if one["type"] == "RECORD" and one["stream"] == stream]

    @property
    def only(self) -> Record:
        """The one training invoice."""
        (found,) = self.records("training_invoices")
        return found

    @functools.cached_property
    def rejects(self) -> list[Record]:
        if not self.reject_path.exists():
            return []
        said = [json.loads(one, parse_float=Decimal) for one in self.reject_path.read_text("utf-8").splitlines()]
        return [one for one in said if one["type"] == "RECORD"]

    @property
    def reasons(self) -> list[str]:
        assert all(one["rejected"]["company_code"] for one in self.rejects)
        return [one["rejected"]["reason"] for one in self.rejects]

    @functools.cached_property
    def report(self) -> Record:
        report: Record = json.loads(self._report.read_text("utf-8"))
        return report

    @property
    def complaints(self) -> list[str]:
        """The log's ERROR lines, without time and logger."""
        return [one.split(" | ", 3)[-1].strip() for one in self.err.splitlines() if "| ERROR" in one]

    @property
    def warnings(self) -> list[str]:
        """The log's WARNING lines, but for the SDK's about the end of this Python's life."""
        lines = [one for one in self.err.splitlines() if "| WARNING" in one and "EOLWarning" not in one]
        return [one.split(" | ", 3)[-1].strip() for one in lines]


Mapper = Callable[..., Mapped]


@pytest.fixture
def mapper(tmp_path: Path) -> Mapper:
    """Run the mapper: `mapper(messages, expect=1, unmapped="pass")`; keywords are settings, None leaves one out."""
    numbers = itertools.count(1)

    def run(
        said: Iterable[Record | bytes],
        *arguments: str,
        expect: int | None = 0,
        env: dict[str, str] | None = None,
        **changed: Any,
    ) -> Mapped:
        folder = tmp_path / f"map{next(numbers)}"
        folder.mkdir()
        done = preloaded.run([*command(folder, changed), *arguments], input=encoded(said), env=env)
        assert expect in {None, done.returncode}, done.stderr.decode()[-3000:]
        return Mapped(done, folder)

    return run


def command(folder: Path, changed: Record) -> list[str]:
    """The command that maps, with its settings in a file of `folder`."""
    files = {"rejects_path": str(folder / "rejects.jsonl"), "report_path": str(folder / "report.json")}
    chosen = {"company_code": COMPANY, **TABLES, **files} | changed
    config = folder / "config.json"
    config.write_text(json.dumps({name: value for name, value in chosen.items() if value is not None}), "utf-8")
    return [sys.executable, "-m", "mapper_ivesk_vicai", "--config", str(config)]
