"""`make demo` is a check itself: it must end with 0 when all ties, and with 1 when anything does not."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import duckdb
import pytest

import demo.__main__
from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.tieout import cli
from demo import commands, judge, story
from demo.meltano import Meltano
from demo.project import ROOT, DemoError, Places, Teller
from demo.story import Check, Story

# One worker, for the demo is played once.
pytestmark = [pytest.mark.e2e, pytest.mark.long]


@dataclass(frozen=True)
class Played:
    """A demo that has ended; its services still run."""

    places: Places
    services: SandboxProcess
    checks: list[Check]
    status: int
    out: str
    err: str


@pytest.fixture(scope="module")
def played(installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    places = Places(tmp_path_factory.mktemp("demo"))
    checks: list[Check] = []
    with story.sandbox() as services, pytest.MonkeyPatch.context() as patch:
        play = Story.play

        def noted(self: Story) -> list[Check]:
            checks.extend(play(self))
            return checks

        patch.setattr(demo.__main__, "sandbox", lambda: contextlib.nullcontext(services))
        patch.setattr(Story, "play", noted)
        with contextlib.redirect_stdout(StringIO()) as out, contextlib.redirect_stderr(StringIO()) as err:
            status = demo.__main__.main(["--output", str(places.folder)])
        yield Played(places, services, checks, status, out.getvalue(), err.getvalue())


@pytest.fixture
def judged_again(
    played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str]]]:
    """Runs the demo without its runs: one comparison is made once more. Returns the exit status and the page."""
    shutil.copy(played.places.warehouse, tmp_path / "untouched")
    settings = story.settings(played.places, played.services)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    def tieout(name: str, *arguments: str, **_: Any) -> subprocess.CompletedProcess[str]:
        """The command in this process: that saves its start."""
        with contextlib.redirect_stdout(StringIO()) as out:
            return subprocess.CompletedProcess(name, cli.run(arguments), out.getvalue())

    def run(comparison: str, sabotage: str = "select 1", *more: Check) -> tuple[int, str]:
        with duckdb.connect(str(played.places.warehouse)) as connection:
            connection.execute(sabotage)
        checks = [*played.checks, *more]
        monkeypatch.setattr(judge, "COMPARISONS", (comparison,))
        # The pages of the plan are no part of the judgement.
        monkeypatch.setattr(judge, "plan", lambda *_: None)
        if comparison != "input-vic":
            monkeypatch.setattr(commands, "run", tieout)
        monkeypatch.setattr(
            demo.__main__, "_play", lambda places, tell: demo.__main__.report(places, settings, checks, tell)
        )
        status = demo.__main__.main(["--output", str(played.places.folder)])
        return status, capsys.readouterr().out

    yield run
    shutil.copy(tmp_path / "untouched", played.places.warehouse)


def test_the_demo_ties(played: Played) -> None:
    assert (played.status, played.err) == (0, ""), played.out
    words = " ".join(played.out.split())
    assert "NOT" not in words
    assert played.out.splitlines()[-1].startswith("It ties: ")
    assert len(played.out.splitlines()) <= 53
    assert "12 companies 11 done, " in words
    assert "1 failed" in words
    assert "company-007 failed: client_id and client_secret are not accepted" in words
    assert "with the right key" in words
    assert "a SAF-T file: 12 accounts, 6 dimensions, 6 vendors, 5 vat codes" in words
    # What was bought is at Vic.ai or set aside, and each that was set aside is told to its accountant.
    bought, there, aside = map(
        int, re.findall(r"(\d+) purchases = (\d+) training invoices at Vic\.ai \+ (\d+) set aside", words)[0]
    )
    reasons = [int(count) for count in re.findall(r"(\d+) set aside: ", words)]
    assert bought == there + aside
    assert aside == sum(reasons) == 9
    assert reasons == [7, 1, 1]
    assert "1 set aside: It came before in this run, as document" in words, "a duplicate"
    assert "waits for approval: vendor 70101, NO8330001234567 -> NO9386011117947" in words
    assert "1 set aside: name is longer than 255 characters (294)" in words
    assert "9 reasons shown to the accountants in Įvesk" in words
    assert "again nothing new to read" in words
    assert "from the start 38 records read again, none written twice" in words
    assert "3 clicks on Export, 3 events, 1 run of ivesk-to-warehouse: done" in words
    assert "14 invoices, 31 lines" in words
    assert "ivesk-warehouse ties, vic-warehouse ties, input-vic ties" in words
    exported = played.services.control.ivesk()["exported"]
    assert f"{exported['count']} documents, Įvesk → DuckDB" in words
    assert not [check for check in played.checks if check.found != check.expected]


def test_sums_are_those_of_the_services(played: Played) -> None:
    """Asked of the control API, which neither the taps nor `ap-tieout` know."""
    sums: dict[str, Any] = {}
    for one in played.services.control.documents():
        sums[one["currency"]] = sums.get(one["currency"], 0) + one["total"]
    said = [line.split() for line in played.out.splitlines()]
    for currency in ("EUR", "NOK", "PLN"):
        total = f"{sums[currency]:,.2f}"
        assert [currency, total, total, "ties"] in [line[-4:] for line in said]


def test_amounts_look_real(played: Played) -> None:
    amounts = [float(amount.replace(",", "")) for amount in re.findall(r"[\d,]+\.\d\d", played.out)]
    assert max(amounts) < 100_000_000


def test_its_log_is_not_on_the_screen(played: Played) -> None:
    assert "Run completed" in played.places.file("meltano.log").read_text()
    assert "Run completed" not in played.out
    secrets = [file for file in played.places.folder.glob("*.log") if "sandbox-secret" in file.read_text("utf-8")]
    assert not secrets


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            "update ivesk.exported_documents set total = (total::decimal(38, 2) + 0.01) "
            "where id = (select min(id) from ivesk.exported_documents)",
            "total",
        ),
        (
            "update ivesk.exported_documents set vat = null where vat = 0 and "
            "id = (select min(id) from ivesk.exported_documents where vat = 0)",
            "vat 0.00 became nothing",
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
            "no row in document_files",
        ),
        (
            "update vicai.invoices set totalAmount = (totalAmount::decimal(38, 2) + 0.01) "
            "where internalId = (select min(internalId) from vicai.invoices)",
            "invoices, changed",
        ),
        (
            "update vicai.invoices set externalUpdatedAt = externalUpdatedAt + interval 2 hours "
            "where internalId = (select min(internalId) from vicai.invoices)",
            "externalUpdatedAt",
        ),
        (
            "delete from vicai.invoice_line_items "
            "where invoice_id = (select min(invoice_id) from vicai.invoice_line_items)"
            ' and "index" = 0',
            "invoice_line_items, missing",
        ),
        (
            "update vicai.payments set voidedAt = null where voidedAt = timestamp '2026-09-14 07:30:00'",
            "voidedAt 2026-09-14T07:30:00.000Z became nothing",
        ),
        ("update vicai.purchase_orders set status = 'open'", "status closed became open"),
        ("update vicai.vat_codes set rate = 25.000000001 where rate = 25", "rate 25.00 became 25.000000001"),
        ("delete from vicai.tags where id = (select min(id) from vicai.tags)", "tags, missing: "),
        ("insert into vicai.training_invoices from vicai.training_invoices limit 1", "training_invoices, doubled"),
        (
            "update vicai.invoice_documents set sha256 = repeat('0', 64) where invoice_id = "
            "(select min(invoice_id) from vicai.invoice_documents)",
            "SHA-256",
        ),
    ],
)
def test_what_does_not_tie_is_named_and_gives_status_1(
    judged_again: Callable[..., tuple[int, str]], statement: str, words: str
) -> None:
    status, text = judged_again("vic-warehouse" if "vicai." in statement else "ivesk-warehouse", statement)
    assert status == 1
    assert "It does NOT tie" in text
    assert "It ties" not in text
    assert words in text


@pytest.mark.parametrize(
    "check",
    [
        Check("again: new records read", 1, 0),
        Check("from the start: written", {"created": 0, "updated": 1}, {"created": 0, "updated": 0}),
        Check("ivesk-to-vic: purchases at Vic.ai or set aside", 81, 82),
        Check("ivesk-to-vic: training invoices more at Vic.ai", 2 * 73, 73),
        Check("errors-to-ivesk: purchases whose errors Įvesk shows", 8, 9),
        Check("ap-webhooks: events of exports", 2, 3),
        Check("ap-webhooks: how runs ended", ["done", "failed"], ["done"]),
        Check("ap-webhooks: how runs ended", [], ["done"]),
    ],
    ids=str,
)
def test_a_run_that_did_too_much_or_too_little_gives_status_1(
    played: Played, judged_again: Callable[..., tuple[int, str]], check: Check
) -> None:
    assert check.what in {one.what for one in played.checks}
    status, text = judged_again("ivesk-warehouse", "select 1", check)
    assert status == 1
    assert str(check) in text


@pytest.mark.parametrize(("service", "comparison"), [("ivesk", "ivesk-warehouse"), ("vicai", "vic-warehouse")])
def test_a_missing_or_changed_pdf_gives_status_1(
    played: Played, judged_again: Callable[..., tuple[int, str]], tmp_path: Path, service: str, comparison: str
) -> None:
    pdf = next((played.places.documents / service).rglob("*.pdf"))
    shutil.move(pdf, tmp_path / "away.pdf")
    status, text = judged_again(comparison)
    assert (status, f"{pdf.name} does not exist" in text) == (1, True)
    pdf.write_bytes((tmp_path / "away.pdf").read_bytes() + b" ")
    status, text = judged_again(comparison)
    assert (status, "SHA-256" in text) == (1, True)
    shutil.move(tmp_path / "away.pdf", pdf)
    assert judged_again(comparison)[0] == 0


def test_a_failed_run_gives_status_1_and_the_end_of_the_log(meltano: Callable[..., Meltano], tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="ended with status 1") as caught:
        meltano(TAP_IVESK_API_KEY="wrong").run("tap-ivesk", "target-warehouse")
    assert "api_key" in str(caught.value)
    assert "api_key" in (tmp_path / "meltano.log").read_text()


def test_somebody_elses_folder_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert demo.__main__.main(["--output", str(tmp_path)]) == 1
    assert "contains files that no demo has made" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_the_question_that_it_suggests_has_an_answer(played: Played) -> None:
    command = next(line for line in played.out.splitlines() if "ap-sql --database" in line)
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert "UAB" in done.stdout


def test_a_careless_load_does_not_tie(played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real target, told to write all it gets: the demo has to notice."""
    settings = story.settings
    monkeypatch.setattr(story, "settings", lambda *where: settings(*where) | {"TARGET_VICAI_COMPARE": "none"})
    for file in played.places.folder.glob("rejects-*.jsonl"):
        shutil.copy(file, tmp_path)
    shutil.copy(played.places.file("ledger-ivesk.jsonl"), tmp_path)
    careless = Story(Places(tmp_path), played.services, Teller())
    careless.from_the_start()
    told = [str(check) for check in careless.checks if check.found != check.expected]
    assert "from the start: unchanged: 0, not 29" in told
    assert any(one.startswith("from the start: written: {'created': 0, 'updated': 29") for one in told)


def test_what_vic_lost_or_changed_of_the_load_gives_status_1(
    played: Played, judged_again: Callable[..., tuple[int, str]]
) -> None:
    """The last test: what it does to Vic.ai stays."""
    assert judged_again("input-vic")[0] == 0
    vic = played.services.control.vicai
    messages = map(json.loads, played.places.file("input-purchases.jsonl").read_text("utf-8").splitlines())
    rejected = played.places.file("rejects-vicai.jsonl").read_text("utf-8")
    bought = [one["record"] for one in messages if one["type"] == "RECORD" and one["stream"] == "training_invoices"]
    one, other, *_ = [record for record in bought if record["externalId"] not in rejected]
    vic.touch("trainingInvoices", [one["externalId"]], currency="SEK")
    vic.delete("trainingInvoices", [other["externalId"]])
    vic.touch("accounts", [next(a["internalId"] for a in vic.records("accounts") if a["externalId"] == "1250")])
    status, text = judged_again("input-vic")
    assert status == 1
    assert f"currency {one['currency']} became SEK" in text
    assert f"training_invoices, missing: {other['externalId']}" in text
