"""`make demo` is a check itself: it must end with 0 when all ties, and with 1 when anything does not."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

import demo.__main__
from ap_connectors.sandbox.process import SandboxProcess
from demo import hooks, source
from demo.acts import Act, Places
from demo.books import Books, Sums
from demo.erp import story as erp_story
from demo.erp.report import differences as erp_differences
from demo.erp.target import Act as ErpAct
from demo.erp.target import Run as ErpRun
from demo.erp.target import Target
from demo.meltano import Meltano, Run
from demo.pipes import story as pipes_story
from demo.pipes.report import differences as pipes_differences
from demo.pipes.ties import Tie
from demo.project import ROOT, DemoError
from demo.story import ADDED, AGAIN, DOCUMENTS, Evidence
from demo.vic import books as vic_books
from demo.vic import source as vic_source
from demo.vic import story as vic_story

HOOKS = hooks.Evidence(hooks.CLICKED, ("done",))
PURCHASE = {"id": "a", "currency": "EUR", "total": Decimal("12.10")}
TRAINED = {
    "transactionType": "INVOICE",
    "currency": "EUR",
    "lineItems": [{"amount": "10.00", "invoiceLineItemInfo": {"vatAmount": "2.10"}}],
}
PIPES = pipes_story.Evidence(
    (pipes_story.Act("erp-to-vic, Again", {"created": 0}, {"created": 0}),),
    {"a": PURCHASE, "b": {**PURCHASE, "id": "b"}},
    Counter([json.dumps(TRAINED)]),
    {"b": "No mapping for account 9 (accounts)."},
    {"b": "Nobody has said what this is in Vic.ai: account 9."},
    (Tie("ivesk-warehouse", True, ""),),
)

# One worker, for the demo is played once.
pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def played(installed: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a demo that ended with 0, and what it said."""
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "demo", "--output", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return folder, done.stdout


@pytest.fixture(scope="module")
def books() -> Books:
    """What the demo's sandbox held at the end; the same seed and the same steps give the same documents."""
    with SandboxProcess(DOCUMENTS) as sandbox:
        sandbox.control.add(ADDED)
        sandbox.control.export(count=AGAIN)
        hooks.click(sandbox)
        return source.read(sandbox.control)


@pytest.fixture(scope="module")
def vic() -> vic_source.Source:
    """The same of Vic.ai."""
    with SandboxProcess(0, invoices=vic_story.INVOICES) as sandbox:
        vic_story.change(sandbox.control)
        return vic_source.read(sandbox.control)


def play_erp(folder: Path) -> erp_story.Evidence:
    """The ERP's part by itself: the real target, and a Vic.ai with few invoices."""
    with SandboxProcess(0, invoices=20) as sandbox:
        return erp_story.play(Places(folder), sandbox, lambda *_: None)


@pytest.fixture(scope="module")
def erp(tmp_path_factory: pytest.TempPathFactory) -> erp_story.Evidence:
    """What the ERP has sent, and what Vic.ai held before and after."""
    return play_erp(tmp_path_factory.mktemp("erp"))


@pytest.fixture
def demo_again(
    *,
    played: tuple[Path, str],
    books: Books,
    vic: vic_source.Source,
    erp: erp_story.Evidence,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., int]]:
    """Runs the demo without its runs: what the warehouse says is compared once more. Returns the exit status."""
    places = Places(played[0])
    shutil.copy(places.warehouse, tmp_path / "untouched")

    def run(
        sabotage: str = "select 1",
        *acts: Act,
        surprises: tuple[str, ...] = (),
        loaded: erp_story.Evidence | None = None,
    ) -> int:
        with duckdb.connect(str(places.warehouse)) as connection:
            connection.execute(sabotage)
        evidence = Evidence(books, acts, HOOKS, vic_story.Evidence(vic, (), surprises), loaded or erp, PIPES)
        monkeypatch.setattr(demo.__main__, "play", lambda *_: evidence)
        return demo.__main__.main(["--output", str(places.folder)])

    yield run
    shutil.copy(tmp_path / "untouched", places.warehouse)


def test_the_demo_ties(played: tuple[Path, str], books: Books, vic: vic_source.Source, erp: erp_story.Evidence) -> None:
    text = played[1]
    assert "It ties." in text
    assert "NOT" not in text
    said = [line.split() for line in text.splitlines()]
    tables: tuple[Mapping[str, Sums], ...] = (books.sums, vic_books.invoices(vic), vic_books.payments(vic))
    for currency, sums in ((currency, sums) for table in tables for currency, sums in table.items()):
        total = f"{sums.total:,.2f}"
        assert [currency, *[str(sums.documents)] * 2, *[str(sums.lines)] * 2, total, total, "ties"] in said
    for name in ("accounts", "vendors", "vat_codes", "training_invoices", "purchase_orders"):
        count = len(vic.records[name])
        assert f"{name} {count} {count}" in " ".join(text.split())
    words = " ".join(text.split())
    for name, records in erp.export.items():
        assert f"{name} {len(records)} {len(records)}" in words
    assert re.search(r"Load again nothing to do, 222 unchanged: \d+ GET, 0 POST, 0 PUT \d", words)
    assert re.search(r"Load 2 created, 10 updated, 1 set aside: \d+ GET, 2 POST, 10 PUT \d", words)
    assert "name is longer than 255 characters (300)" in words
    assert "225 records of 10 streams at Vic.ai, every field the same" in words
    assert "3 clicks, 3 events, 1 run of ivesk-to-warehouse: done" in words
    assert "Again nothing to do, 29 records unchanged" in words
    assert "explained to their accountants; again: 0 more" in words
    assert "Tie-out ivesk-warehouse ties; vic-warehouse ties; input-vic ties" in words
    assert re.search(r"Purchases: 82 in Įvesk = 73 training invoices at Vic\.ai \+ 9 set aside", words)
    assert len(text.splitlines()) <= 105


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"events": 2}, "3 documents were exported, and 2 events came"),
        ({"runs": ()}, "there were none"),
        ({"runs": ("done", "failed")}, "ended so: done, failed"),
    ],
)
def test_what_webhooks_lose_is_named(changed: dict[str, Any], said: str) -> None:
    assert list(hooks.differences(HOOKS)) == []
    (found,) = hooks.differences(dataclasses.replace(HOOKS, **changed))
    assert said in found


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"acts": (pipes_story.Act("erp-to-vic, Again", {"created": 1}, {"created": 0}),)}, "created is 1, not 0"),
        ({"trained": Counter()}, "2 purchases: 0 came, 1 were set aside"),
        ({"trained": Counter([json.dumps(TRAINED)] * 2)}, "2 purchases: 2 came, 1 were set aside"),
        ({"trained": Counter([json.dumps({**TRAINED, "currency": "NOK"})])}, "purchases in EUR: 12.10 in Įvesk, None"),
        ({"trained": Counter([json.dumps({**TRAINED, "transactionType": "CREDITNOTE"})])}, "-12.10 at Vic.ai"),
        ({"told": {}}, "0 documents have an error in Įvesk, 1 were set aside"),
        ({"ties": (Tie("vic-warehouse", False, "what it printed"),)}, "ap-tieout vic-warehouse finds differences"),
    ],
)
def test_what_the_pipelines_lose_or_double_is_named(changed: dict[str, Any], said: str) -> None:
    assert list(pipes_differences(PIPES)) == []
    found = list(pipes_differences(dataclasses.replace(PIPES, **changed)))
    assert any(said in one for one in found), found


def test_its_log_is_not_on_the_screen(played: tuple[Path, str]) -> None:
    folder, text = played
    assert "Run completed" in (folder / "meltano.log").read_text()
    assert "Run completed" not in text


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            "update ivesk.exported_documents set total = (total::decimal(38, 2) + 0.01)::varchar "
            "where id = (select min(id) from ivesk.exported_documents)",
            "total",
        ),
        (
            "update ivesk.exported_documents set vat = '0' where vat = '0.00' and "
            "id = (select min(id) from ivesk.exported_documents where vat = '0.00')",
            "vat 0.00 became 0",
        ),
        (
            "delete from ivesk.exported_document_lines where document_id = "
            "(select min(document_id) from ivesk.exported_document_lines) and line_number = 1",
            "lines became",
        ),
        (
            "update ivesk.document_files set sha256 = repeat('0', 64) where document_id = "
            "(select min(document_id) from ivesk.document_files)",
            "SHA-256",
        ),
        (
            "delete from ivesk.document_files where document_id = (select min(document_id) from ivesk.document_files)",
            "document_files does not tell of document",
        ),
        (
            "update vicai.invoices set totalAmount = (totalAmount::decimal(38, 2) + 0.01)::varchar "
            "where internalId = (select min(internalId) from vicai.invoices)",
            "invoices in NOK do not tie",
        ),
        (
            "update vicai.invoices set externalUpdatedAt = externalUpdatedAt || 'Z' "
            "where internalId = (select min(internalId) from vicai.invoices)",
            "externalUpdatedAt",
        ),
        (
            "delete from vicai.invoice_line_items "
            "where invoice_id = (select min(invoice_id) from vicai.invoice_line_items)"
            ' and "index" = 0',
            "is not in the warehouse",
        ),
        (
            "update vicai.payments set voidedAt = null where voidedAt = timestamp '2026-09-14 07:30:00'",
            "voidedAt 2026-09-14 07:30:00 became None",
        ),
        ("update vicai.purchase_orders set status = 'open'", "status closed became open"),
        ("update vicai.vat_codes set rate = '25.0' where rate = '25.00'", "rate 25.00 became 25.0"),
        ("delete from vicai.tags where id = (select min(id) from vicai.tags)", "tags 31 is not in the warehouse"),
        ("insert into vicai.training_invoices from vicai.training_invoices limit 1", "is in the warehouse only"),
        (
            "update vicai.invoice_documents set sha256 = repeat('0', 64) where invoice_id = "
            "(select min(invoice_id) from vicai.invoice_documents)",
            "SHA-256",
        ),
    ],
)
def test_what_does_not_tie_is_named_and_gives_status_1(
    demo_again: Callable[..., int], capsys: pytest.CaptureFixture[str], statement: str, words: str
) -> None:
    assert demo_again(statement) == 1
    text = capsys.readouterr().out
    assert "It does NOT tie" in text
    assert "It ties" not in text
    assert words in text


def test_a_run_that_read_too_much_or_too_little_gives_status_1(
    demo_again: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    fine = Act("First run", Run({"exported_documents": 2}, 1.0), {"exported_documents": 2})
    short = Act("Second run", Run({"exported_documents": 1}, 1.0), {"exported_documents": 0})
    assert demo_again("select 1", fine) == 0
    assert demo_again("select 1", fine, short) == 1
    assert "Second run: 1 records of exported_documents were read, not 0" in capsys.readouterr().out


def test_rows_that_changed_when_nothing_was_new_give_status_1(
    demo_again: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo_again(surprises=("Vic.ai, second run: rows have changed",)) == 1
    assert "rows have changed" in capsys.readouterr().out


@pytest.mark.parametrize("service", ["ivesk", "vicai"])
def test_a_missing_pdf_gives_status_1(
    demo_again: Callable[..., int],
    played: tuple[Path, str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    service: str,
) -> None:
    pdf = next((Places(played[0]).documents / service).rglob("*.pdf"))
    shutil.move(pdf, tmp_path / "away.pdf")
    assert demo_again() == 1
    assert "is not on disk" in capsys.readouterr().out
    shutil.move(tmp_path / "away.pdf", pdf)
    assert demo_again() == 0


def test_a_failed_run_gives_status_1_and_the_end_of_the_log(meltano: Callable[..., Meltano], tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="ended with status 1") as caught:
        meltano(TAP_IVESK_API_KEY="wrong").run("tap-ivesk", "target-duckdb")
    assert "api_key" in str(caught.value)
    assert "api_key" in (tmp_path / "meltano.log").read_text()


def test_somebody_elses_folder_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert demo.__main__.main(["--output", str(tmp_path)]) == 1
    assert "holds something that no demo has made" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_the_question_that_it_suggests_has_an_answer(played: tuple[Path, str]) -> None:
    command = next(line for line in played[1].splitlines() if "-m demo.sql" in line)
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert "UAB" in done.stdout


def spoilt(evidence: erp_story.Evidence, resource: str, having: str, old: str, new: str | None) -> erp_story.Evidence:
    """As if Vic.ai held something else in the one record of a resource that has these words; None = no record."""
    lines = dict(evidence.after.lines)
    (place,) = [place for place, line in lines.items() if place[0] == resource and having in line.decode()]
    text = lines.pop(place).decode()
    assert old in text
    if new is not None:
        lines[place] = text.replace(old, new, 1).encode()
    return dataclasses.replace(evidence, after=dataclasses.replace(evidence.after, lines=lines))


@pytest.mark.parametrize(
    ("resource", "having", "old", "new", "words"),
    [
        ("vendors", '"L-20003"', "+47 55 00 11 22", "+47 55 00 11 23", "phone '+47 55 00 11 22' became"),
        ("vendors", '"L-20012"', '"email":null', '"email":"faktura11@leverandor.example"', "email None became"),
        ("vendors", '"L-20001"', "12345678901234567.00", "12345678901234568.00", "externalData: kreditt"),
        ("vendors", '"L-20008"', '"saskaitos@ciobrelis.example"', "null", "email 'saskaitos@ciobrelis.example' became"),
        ("vendors", '"L-20005"', '"countryCode":"NO"', '"countryCode":"NO","managers":[{"name":"?"}]', "managers came"),
        ("vatCodes", '"SAFT-PVM1"', "21.0000000000000001", "21.000000000000000", "rate Decimal"),
        ("accounts", '"GL-1350"', "Ąžuolas AB", "Ąžuolas UAB", "Ąžuolas AB' became"),
        ("accounts", '"GL-3100"', ':07"', ':07Z"', "externalUpdatedAt"),
        ("paymentTerms", "1.500000000000000001", "1.500000000000000001", "1.5", "discountPercentage"),
        ("purchaseOrders", '"BEST-26001"', '"123456789012345.6789"', '"123456789012345.679"', "unitAmount"),
        ("purchaseOrders", '"BEST-26004"', '"closed"', '"open"', "status 'closed' became 'open'"),
        ("vendors", '"L-20082"', "", None, "vendors L-20082 is at Vic.ai 0 times"),
        ("dimensions", '"KST-105"', "KST-105", "KST-106", "dimensions KST-105 is at Vic.ai 0 times"),
        ("dimensions", '"KST-105"', "KST-105", "KST-104", "dimensions KST-104 is at Vic.ai 2 times"),
        ("accounts", '"KTO-1000"', '"name":"', '"name":"Ikke ', "of Vic.ai's has changed"),
        ("vendors", '"50000"', "", None, "of Vic.ai's is gone"),
    ],
)
def test_what_the_load_did_not_get_right_gives_status_1(
    *,
    demo_again: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    erp: erp_story.Evidence,
    resource: str,
    having: str,
    old: str,
    new: str | None,
    words: str,
) -> None:
    assert demo_again(loaded=spoilt(erp, resource, having, old, new)) == 1
    text = capsys.readouterr().out
    assert "It does NOT tie" in text
    assert words in text


def test_what_nobody_sent_gives_status_1(
    demo_again: Callable[..., int], capsys: pytest.CaptureFixture[str], erp: erp_story.Evidence
) -> None:
    export = {**erp.export, "tags": erp.export["tags"][1:]}
    assert demo_again(loaded=dataclasses.replace(erp, export=export)) == 1
    assert "came from nowhere" in capsys.readouterr().out
    export = {**erp.export, "tags": [*erp.export["tags"], erp.export["tags"][0]]}
    assert demo_again(loaded=dataclasses.replace(erp, export=export)) == 1
    assert "is in the file 2 times" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "fact", "value"),
    [
        (0, "touched", 1),
        (0, "state", "2026-01-05T06:30:00"),
        (1, "created", 221),
        (1, "writes", 233),
        (2, "writes", 1),
        (4, "writes", 13),
        (4, "rejected", 0),
        (4, "refused", 1),
        (4, "state", None),
        (5, "status", 1),
    ],
)
def test_a_load_that_did_too_much_or_too_little_gives_status_1(
    *,
    demo_again: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    erp: erp_story.Evidence,
    number: int,
    fact: str,
    value: object,
) -> None:
    act = erp.acts[number]
    assert act.run.facts[fact] != value
    other = ErpAct(act.name, ErpRun({**act.run.facts, fact: value}, act.run.calls, act.run.plan), act.expected)
    acts = (*erp.acts[:number], other, *erp.acts[number + 1 :])
    assert demo_again(loaded=dataclasses.replace(erp, acts=acts)) == 1
    assert f"{act.name}: {fact} is {value}, not" in capsys.readouterr().out


def test_what_the_erp_sent_can_be_looked_at(played: tuple[Path, str]) -> None:
    folder = Places(played[0]).erp
    assert "BEST-26001" in (folder / "master-data.jsonl").read_text(encoding="utf-8")
    assert "222 records" in (folder / "target.log").read_text(encoding="utf-8")
    plan = (folder / "plan-of-changes.txt").read_text(encoding="utf-8")
    assert "~ SAFT-13" in plan
    assert "12.00" in plan
    assert "11.11" in plan
    assert not [file for file in folder.iterdir() if "sandbox-secret" in file.read_text(encoding="utf-8")]


def test_a_careless_load_does_not_tie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real target, told to write all it gets and to clear what a record lacks: the demo has to notice."""
    load = Target._load

    def careless(self: Target, source: Path, settings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        careless = {"TARGET_VICAI_COMPARE": "none", "TARGET_VICAI_UPDATE_MODE": "replace"}
        return load(self, source, {**settings, **careless})

    monkeypatch.setattr(Target, "_load", careless)
    told = "\n".join(erp_differences(play_erp(tmp_path)))
    assert "ERP, second load: writes is" in told
    assert "ERP, third load: writes is" in told
    assert "vendors L-20008: email 'saskaitos@ciobrelis.example' became None" in told
