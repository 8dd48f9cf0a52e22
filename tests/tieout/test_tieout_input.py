"""What was given to the real target-vicai against what Vic.ai then holds."""

from __future__ import annotations

import base64
import json
import sys
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests import preloaded
from tests.tieout.conftest import Record, TieOut, vic_settings

BIG = Decimal("1234567890123456789.12")
PDF = base64.b64encode(b"%PDF-1.4\n% \xc4\x85\n%%EOF\n").decode()
AT = "2026-03-01T10:00:00.123"
UNKNOWN_VENDOR = "no-such-vendor"
_encode = msgspec.json.Encoder(decimal_format="number").encode


def line(index: int, amount: str, vat: str | None = None) -> Record:
    info = {} if vat is None else {"invoiceLineItemInfo": {"vatCode": "1", "vatAmount": Decimal(vat), "vatRate": "25"}}
    return {"index": index, "amount": Decimal(amount), "description": "Kėdė", **info}


def written(message: Record) -> str:
    """A message as a tap writes it; half a character, which only some would write, as an escape."""
    try:
        return _encode(message).decode()
    except UnicodeEncodeError:
        return json.dumps(message)


class Load:
    """A load's input: what the target was given, and what became of it."""

    def __init__(self, vicai: SandboxProcess, folder: Path) -> None:
        self.vicai, self.folder = vicai, folder
        self.more = ""
        vendors = [one["externalId"] for one in vicai.control.vicai.records("vendors") if one.get("externalId")]
        self.streams: dict[str, list[Record]] = {
            "accounts": [
                {"externalId": f"K-{n}", "externalUpdatedAt": AT, "number": f"9{n}", "name": f"Sąnaudos {n}"}
                for n in range(4)
            ],
            "tags": [{"value": f"Žyma {n}"} for n in range(2)],
            "training_invoices": [
                self._training("T-0", vendors[0], [line(0, "100.00", "25.00"), line(1, "0.10", "0.03")], "125.13"),
                self._training("T-1", vendors[1], [line(0, str(BIG))], None),
                self._training("T-2", vendors[1], [line(0, "7.77")], None, currency="EUR"),
                self._training("T-3", UNKNOWN_VENDOR, [line(0, "55.50")], None, currency="EUR"),
            ],
            "invoices": [
                {
                    "externalId": f"PIRK-{n}",
                    "transactionType": "INVOICE",
                    "refNumber": f"SF-{n}",
                    "issueDate": f"2026-0{n + 1}-15",
                    "currency": "EUR",
                    "totalAmount": f"{n}10.05",
                    "vendorExternalId": vendors[0],
                    "lineItems": [{"index": 0, "amount": Decimal(f"{n}10.05"), "costAccountExternalId": "K-1"}],
                    "documentBase64": PDF,
                }
                for n in range(3)
            ],
            "purchase_orders": [
                {
                    "poNumber": "UZS-1",
                    "externalId": "UZS-1",
                    "currencyId": "EUR",
                    "issuedOn": "2026-02-02",
                    "description": "Kėdės",
                    "deliverOn": "2026-03-01",
                    "vendorExternalId": vendors[0],
                    "lineItems": [
                        {
                            "lineNumber": 1,
                            "quantityRequested": "2",
                            "unitAmount": "12.50",
                            "lineItemTotal": "25.00",
                            "productNumber": "P1",
                            "productDescription": "Kėdė",
                            "unitOfMeasure": "vnt",
                            "matchingType": "two_way",
                            "quantityReceived": "0",
                            "quantityAccepted": "0",
                        }
                    ],
                }
            ],
            "vendor_errors": [],
        }

    @staticmethod
    def _training(key: str, vendor: str, lines: list[Record], total: str | None, currency: str = "NOK") -> Record:
        return {
            "external_id": key,
            "external_updated_at": AT,
            "transaction_type": "INVOICE",
            "ref_number": f"R-{key}",
            "issue_date": "2026-02-10",
            "vendor_external_id": vendor,
            "currency": currency,
            "line_items": lines,
            "document_base64": PDF,
            **({"total_amount": total} if total else {}),
        }

    @property
    def input(self) -> Path:
        path = self.folder / "input.jsonl"
        messages: list[Record] = []
        for stream, records in self.streams.items():
            messages.append({"type": "SCHEMA", "stream": stream, "schema": {"properties": {}}, "key_properties": []})
            messages += [{"type": "RECORD", "stream": stream, "record": one} for one in records]
        path.write_text("".join(f"{written(one)}\n" for one in messages) + self.more, encoding="utf-8")
        return path

    @property
    def rejects(self) -> Path:
        return self.folder / "rejects.jsonl"

    def run(self) -> None:
        config = self.folder / "config.json"
        settings = vic_settings(self.vicai) | {"rejects_path": str(self.rejects), "max_rejects": 9}
        config.write_text(json.dumps(settings | {"ledger_path": str(self.folder / "ledger.jsonl")}))
        command = [sys.executable, "-m", "target_vicai", "--config", str(config)]
        done = preloaded.run(command, input=self.input.read_bytes())
        assert done.returncode == 0, done.stderr.decode()


@pytest.fixture
def load(vicai: SandboxProcess, tmp_path: Path) -> Load:
    """A load that is done: one of its training invoices was rejected, for its vendor is unknown."""
    vicai.control.reset(documents=0, invoices=3, vicai={"rate_requests": 0})
    made = Load(vicai, tmp_path)
    made.run()
    return made


def test_all_ties_but_for_what_was_rejected(load: Load, tie_input: TieOut) -> None:
    result = tie_input(str(load.input), "--rejects", str(load.rejects), process=True)
    assert (result.status, result.err) == (0, ""), result.out
    assert result.found("training_invoices") == {"explained": (1, ["T-3"])}
    assert UNKNOWN_VENDOR in result.words("training_invoices", "explained")[0]
    assert "1 record rejected, 55.50 EUR" in result.out
    assert "It ties, but for 1 record rejected" in result.out
    for side in ("source", "destination"):
        assert Decimal(result.amount("training_invoices", "NOK", side, "subtotal")) == BIG + Decimal("100.10")
        assert result.amount("training_invoices", "EUR", side, "subtotal") == "7.77"
        assert Decimal(result.amount("invoices", "EUR", side)) == Decimal("330.15")
        assert result.amount("purchase_orders", "EUR", side) == "25"
    assert result.stream("accounts")["documents"] == {"source": 4, "destination": 4}
    periods = {row["period"] for row in result.stream("invoices")["rows"]}
    assert periods == {"2026-01", "2026-02", "2026-03"}


def test_codes_that_only_vic_has_are_no_difference(load: Load, tie_input: TieOut) -> None:
    for one in load.streams["training_invoices"][0]["line_items"]:
        del one["invoiceLineItemInfo"]["vatCode"]
    result = tie_input(str(load.input), "--rejects", str(load.rejects))
    assert result.status == 0
    assert "DOES NOT TIE" not in result.out
    assert "have no VAT code, and Vic.ai has one for them: VAT by code is not compared." in result.out


def test_a_record_that_is_nested_too_deeply(load: Load, tie_input: TieOut) -> None:
    """It is named, and the others are compared; the target sets it aside."""
    deep = "[" * 2000 + "]" * 2000
    account = (
        f'{{"externalId": "K-%s", "externalUpdatedAt": "{AT}", "number": "9%s", "name": "Sąnaudos %s", "x": {deep}}}'
    )
    lines = [f'{{"type": "RECORD", "stream": "accounts", "record": {account % (n, n, n)}}}' for n in (0, 9)]
    load.more = "".join(f"{one}\n" for one in lines)
    load.run()
    result = tie_input(str(load.input))
    assert result.status == 1, result.err
    assert result.found("accounts") == {"field": (1, ["K-0"]), "missing": (1, ["K-9"])}
    assert "is nested too deeply to be read, so it is not compared whole" in result.words("accounts", "field")[0]
    result = tie_input(str(load.input), "--rejects", str(load.rejects))
    assert (result.status, result.err) == (0, "")
    assert result.found("accounts") == {"explained": (2, ["K-0", "K-9"])}


def test_without_the_rejects_one_is_missing(load: Load, tie_input: TieOut) -> None:
    result = tie_input("-", given=load.input.read_bytes())
    assert result.status == 1
    assert result.found("training_invoices") == {"missing": (1, ["T-3"])}


def test_documents_that_are_not_booked(load: Load, tie_input: TieOut) -> None:
    """The mapper says of sales and of other companies' documents only that: they are no invoices that are missing."""
    given = load.streams["training_invoices"]
    given += [{"externalId": f"S-{n}", "ivesk_document_id": f"S-{n}", "ivesk_left_out_as": "sale"} for n in range(2)]
    given.append({"externalId": "M-1", "ivesk_document_id": "M-1", "ivesk_moved_to": "391016469"})
    given.append(given[2] | {"external_id": "T-4", "ref_number": "R-T-4", "ivesk_document_id": "T-4"})
    load.run()

    def found() -> dict[str, tuple[int, list[str]]]:
        return tie_input(str(load.input), "--rejects", str(load.rejects)).found("training_invoices")

    assert found() == {"explained": (1, ["T-3"])}
    given.append({"externalId": "T-4", "ivesk_document_id": "T-4", "ivesk_left_out_as": "proforma"})
    assert found() == {"explained": (1, ["T-3"]), "changed": (1, ["T-4"])}
    load.run()
    assert found() == {"explained": (2, ["T-3", "T-4"])}


def test_what_is_not_there_and_what_is_different(load: Load, tie_input: TieOut) -> None:
    vic = load.vicai.control.vicai
    gone = next(one["internalId"] for one in vic.records("accounts") if one.get("externalId") == "K-2")
    vic.delete("accounts", [gone])
    load.streams["training_invoices"][1]["line_items"][0]["amount"] += Decimal("0.01")
    load.streams["invoices"][2]["totalAmount"] = "210.06"
    load.streams["purchase_orders"][0]["lineItems"] *= 2
    load.streams["tags"] += [{"value": "Nauja"}, {"value": "pusė \ud800"}]
    load.streams["invoices"].append(load.streams["invoices"][0] | {"externalId": "PIRK-9"})
    result = tie_input(str(load.input), "--rejects", str(load.rejects))
    assert result.status == 1
    assert result.found("accounts") == {"missing": (1, ["K-2"])}
    assert result.found("tags") == {"missing": (2, ["Nauja", "pusė ?"])}
    assert result.found("training_invoices")["changed"] == (1, ["T-1"])
    assert f"{BIG + Decimal('0.01'):,} became {BIG:,}" in result.words("training_invoices", "changed")[0]
    invoices = result.found("invoices")
    assert (invoices["changed"], invoices["missing"]) == ((1, ["PIRK-2"]), (1, ["PIRK-9"]))
    assert result.found("purchase_orders")["changed"] == (1, ["UZS-1"])


def test_what_was_done_twice(load: Load, tie_input: TieOut) -> None:
    load.vicai.control.vicai.add("tags", 1, value="Žyma 0")
    load.vicai.control.vicai.add("purchaseOrders", 1, externalId=None, poNumber="UZS-1")
    result = tie_input(str(load.input), "--rejects", str(load.rejects))
    assert result.found("tags") == {"doubled": (1, ["Žyma 0"])}
    assert result.found("purchase_orders") == {"doubled": (1, ["UZS-1"])}
    assert result.status == 1


def test_another_order_of_the_same_number_is_not_ours(load: Load, tie_input: TieOut) -> None:
    load.vicai.control.vicai.add("purchaseOrders", 1, externalId="KITAS", poNumber="UZS-1")
    result = tie_input(str(load.input), "--rejects", str(load.rejects))
    assert result.status == 0, result.out


def test_header_against_lines_of_the_input(load: Load, tie_input: TieOut) -> None:
    load.streams["training_invoices"][0]["total_amount"] = "125.14"
    result = tie_input(str(load.input), "--rejects", str(load.rejects))
    assert result.status == 1
    assert result.found("training_invoices")["header"] == (1, ["T-0"])
    assert "total 125.14, its lines add up to 125.13 (+0.01)" in result.out


def test_complete_counts_what_else_there_is(load: Load, tie_input: TieOut) -> None:
    arguments = (str(load.input), "--rejects", str(load.rejects))
    assert "Vic.ai holds 130 records that" in tie_input(*arguments).out
    result = tie_input(*arguments, "--complete")
    assert result.status == 1
    assert result.found("accounts")["extra"][0] == 130


def test_namesakes_among_training_invoices_are_told_apart(load: Load, tie_input: TieOut) -> None:
    twin = load.streams["training_invoices"][2] | {"external_id": "T-9", "line_items": [line(0, "9.99")]}
    load.streams["training_invoices"].append(twin)
    found = tie_input(str(load.input), "--rejects", str(load.rejects)).found("training_invoices")
    assert found["missing"] == (1, ["T-9"])
    load.run()
    result = tie_input(str(load.input), "--rejects", str(load.rejects))
    assert result.status == 0, result.out
    assert result.amount("training_invoices", "EUR", "destination", "subtotal") == "17.76"


def test_deleted_records(load: Load, tie_input: TieOut) -> None:
    load.streams["accounts"].append(load.streams["accounts"][0] | {"_sdc_deleted_at": "2026-03-02T00:00:00Z"})
    arguments = (str(load.input), "--rejects", str(load.rejects))
    assert tie_input(*arguments).status == 0
    result = tie_input(*arguments, deletes="records")
    assert result.status == 1
    assert result.found("accounts") == {"changed": (1, ["K-0"])}


def test_streams_that_cannot_be_compared_are_said(load: Load, tie_input: TieOut) -> None:
    load.streams["vendor_errors"].append({"internalId": "1", "errors": []})
    result = tie_input(str(load.input), "--rejects", str(load.rejects))
    assert "vendor_errors is not compared: 1 record." in result.report["not_compared"]
    assert "vendor_errors is not compared: 1 record." in result.out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"2026-01-01 INFO a log line\n", "is not JSON at column 5"),
        (b'{"type": "RECORD", "stream": "tags", "record": 5}\n', "not a Singer message"),
        (b'{"type": 5}\n', "not a Singer message"),
        (b'{"type": "RECORD"}\n', "is of type RECORD, but has no 'stream'"),
    ],
)
def test_input_that_is_none(tmp_path: Path, tie_input: TieOut, content: bytes | None, said: str) -> None:
    path = tmp_path / "wrong.jsonl"
    if content is not None:
        path.write_bytes(content)
    result = tie_input(str(path))
    assert result.status == 2
    assert said in result.err
    assert str(path) in result.err


def test_an_input_of_other_streams_does_not_tie(tmp_path: Path, tie_input: TieOut) -> None:
    """What a tap called its list, before stream maps made vendors of it."""
    path = tmp_path / "suppliers.jsonl"
    schema = {"type": "SCHEMA", "stream": "suppliers", "schema": {"properties": {}}, "key_properties": []}
    record = {"type": "RECORD", "stream": "suppliers", "record": {"No": "50010"}}
    path.write_text(f"{json.dumps(schema)}\n{json.dumps(record)}\n", encoding="utf-8")
    result = tie_input(str(path))
    assert result.status == 2
    assert "Nothing of the input can be compared: suppliers (1 record)" in result.err


def test_usage_is_no_difference(tie_input: TieOut) -> None:
    result = tie_input(process=True)
    assert result.status == 2
    assert "usage: ap-tieout" in result.err
