"""The loop closes: what Vic.ai refuses of ivesk's documents shows up in ivesk, once, whatever is run how often."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from ap_connectors.sandbox.process import SandboxProcess
from tests.conftest import Run, RunTap
from tests.tap_rejects.conftest import of
from tests.target_vicai.conftest import Record, Target, load
from tests.target_vicai.scene import PDF

AT = "2026-03-01T10:00:00"
COMPANY = "302320404"


@dataclass
class Scene:
    """Six documents that ivesk has (the sandbox takes errors of no others), and what the mapper makes of them."""

    sandbox: SandboxProcess
    folder: Path
    documents: list[str]
    pdf: str

    @property
    def mapped(self) -> list[Record]:
        """Two vendors, one of them no good, six invoices, one of them good, and a vendor of the ERP's."""
        first, second, third, fourth, fifth, sixth = self.documents
        return [
            *load(
                "vendors",
                vendor(first, countryCode="L1"),
                vendor(fourth, externalId="300000002", name="UAB „Beržas“"),
                {"externalId": "ERP-1", "externalUpdatedAt": AT, "name": "Ž" * 300},
            ),
            *load(
                "training_invoices",
                invoice(first, document=self.pdf),
                invoice(second, document=self.pdf),
                invoice(third, vendorExternalId="300000002"),
                invoice(fourth, vendorExternalId="300000002", document=self.pdf),
                invoice(fifth, vendorExternalId="300000002", document=self.pdf, dueDate="31.01.2026"),
                invoice(sixth, vendorExternalId="unknown", document=self.pdf),
            ),
        ]

    @property
    def files(self) -> str:
        return f"{self.folder}/run*/rejects.jsonl"

    @property
    def told(self) -> dict[str, str]:
        """What ivesk shows, by document; each has one error."""
        errors = self.sandbox.control.sync_errors()
        assert {error["companycode"] for error in errors} <= {COMPANY}
        assert set(Counter(error["documentid"] for error in errors).values()) <= {1}, errors
        return {error["documentid"]: error["message"] for error in errors}


@pytest.fixture
def scene(vicai: SandboxProcess, tmp_path: Path) -> Scene:
    pdf = tmp_path / "sąskaita.pdf"
    pdf.write_bytes(PDF)
    return Scene(vicai, tmp_path, vicai.control.add(6), str(pdf))


def vendor(document: str, /, **changed: Any) -> Record:
    given = {"externalId": "300000001", "externalUpdatedAt": AT, "name": "UAB „Ąžuolas“", "state": "CONFIRMED"}
    return of(document, **{**given, **changed})


def invoice(document: str, /, **changed: Any) -> Record:
    lines = [{"index": 0, "amount": 10, "costAccountExternalId": "KTO-1000"}]
    given = {"externalId": document, "externalUpdatedAt": AT, "transactionType": "INVOICE", "refNumber": "SF-1"}
    return of(document, **{**given, "vendorExternalId": "300000001", "lineItems": lines, **changed})


def post(sandbox: SandboxProcess, records: Iterable[Record]) -> None:
    for record in records:
        body = {name: record[name] for name in ("documentid", "companycode", "message")}
        answer = requests.post(
            f"{sandbox.ivesk_url}/pub/syncerrors", json=body, headers={"x-api-key": sandbox.api_key}, timeout=30
        )
        assert answer.status_code == 200, answer.text


def check_lithuanian(scene: Scene) -> None:
    said = scene.told
    first, second, third, _, fifth, sixth = scene.documents
    assert set(said) == {first, second, third, fifth, sixth}
    assert said[first] == said[second]
    assert said[first].startswith("Vic.ai nepriėmė pardavėjo UAB „Ąžuolas“ (300000001), todėl ir jo sąskaitų. ")
    assert "countryCode" in said[first]
    assert said[third].startswith("Nėra sąskaitos failo (PDF)")
    assert said[fifth].startswith("Netinkama data: apmokėjimo terminas – '31.01.2026'. Pataisykite Įvesk")
    assert "pardavėjas unknown" in said[sixth]
    assert all("request id" not in words and "[" not in words for words in said.values())


def test_each_refusal_is_told_once_in_three_runs(scene: Scene, target: Target, tap: RunTap) -> None:
    state: Record | None = None
    for _ in range(3):
        # Each load refuses the same again, into a file of its own.
        assert len(target(scene.mapped, expect=1).rejects) == 6 + 1
        run = tap(path=scene.files, state=state)
        state = run.state
        post(scene.sandbox, run.records["sync_errors"])
        check_lithuanian(scene)
    assert "vendors: 1 rejects do not stem from documents of ivesk" in run.err


def test_in_english(scene: Scene, target: Target, tap: RunTap) -> None:
    load = target(scene.mapped, expect=1)
    post(scene.sandbox, tap(path=str(load.reject_path), language="en").records["sync_errors"])
    first, second, third, _, fifth, sixth = scene.documents
    said = scene.told
    assert set(said) == {first, second, third, fifth, sixth}
    assert said[first] == said[second]
    assert said[first].startswith("Vic.ai did not take the seller UAB „Ąžuolas“ (300000001), and so none of ")
    assert said[third].startswith("The invoice's file (PDF) is missing")
    assert said[fifth].startswith("Not a date: due date, '31.01.2026'. Correct it in ivesk")
    assert "vendor unknown" in said[sixth]


def test_every_common_refusal_has_words(scene: Scene, target: Target, tap: RunTap) -> None:
    """What the target and the service really say is what the table knows."""
    folder, pdf = scene.folder, scene.pdf
    (folder / "empty.pdf").touch()
    (folder / "text.pdf").write_text("no pdf")
    seller = scene.sandbox.control.vicai.records("vendors")[0]["externalId"]
    for_training: list[Record] = [
        {"document": f"{folder}/nowhere.pdf"},
        {"document": f"{folder}/empty.pdf"},
        {"document": f"{folder}/text.pdf"},
        {"document": str(folder)},
        {"document": None, "documentBase64": "%"},
        {"documentType": "exe"},
        {"refNumber": "9" * 300},
        {"issueDate": "2026-02-30"},
        {"transactionType": None},
        {"lineItems": [{"index": 0}]},
        {"lineItems": [{"index": 0, "amount": "12,50"}]},
        {"currency": "E1R"},
        {"vendorExternalId": "unknown"},
    ]
    amount = {"amount": "10.00"}
    others: list[Record] = [
        {"lineItems": [{**amount, "costAccount": {"number": "nowhere"}}]},
        {"lineItems": [{**amount, "costAccount": {"externalId": "nowhere"}}]},
        {"lineItems": [{**amount, "dimensions": [{"name": "nowhere"}]}]},
        {"vendor": {"name": "unknown"}},
    ]
    base = invoice(scene.documents[0], vendorExternalId=seller, document=pdf, currency="EUR", issueDate="2026-03-01")
    whole = {**base, "totalAmount": "10.00", "lineItems": [amount]}
    trained = [{**base, "externalId": f"T-{place}", **one} for place, one in enumerate(for_training)]
    created = [
        {**whole, "externalId": f"I-{place}", "refNumber": f"R-{place}", **one} for place, one in enumerate(others)
    ]
    loaded = target([*load("training_invoices", *trained), *load("invoices", *created)], expect=1)
    assert len(loaded.rejects) == len(trained) + len(created), loaded.reasons
    said = tap(path=str(loaded.reject_path), language="en").records["sync_errors"]
    assert not [each for each in said if "[" in each["message"]]
    # Different causes are different errors; only how a file cannot be read is nothing to accountants.
    assert len(said) == len(loaded.rejects) - 3, [each["message"] for each in said]


# With the real target


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("target_ivesk") is None, reason="target-ivesk is not there")
def test_through_target_ivesk(scene: Scene, target: Target, tap: RunTap) -> None:
    """Three loads, three reports; before the last one the STATE is lost."""
    state: Record | None = None
    for turn in range(3):
        target(scene.mapped, expect=1)
        out = report(scene, tap(path=scene.files, state=None if turn == 2 else state))
        state = json.loads(out.splitlines()[-1])
        check_lithuanian(scene)


def report(scene: Scene, run: Run) -> str:
    """Pipe what the tap wrote into the real `target-ivesk`; return the STATEs that it writes."""
    settings = {
        "api_key": scene.sandbox.api_key,
        "api_url": scene.sandbox.ivesk_url,
        "ledger_path": str(scene.folder / "told.jsonl"),
        "rejects_path": str(scene.folder / "untold.jsonl"),
    }
    config = scene.folder / "target.json"
    config.write_text(json.dumps(settings))
    done = subprocess.run(
        [sys.executable, "-m", "target_ivesk", "--config", str(config)],
        input=run.out,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
