"""The certificate: what it says is what was compared, to the last digit, in each language, on paper and on a screen."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pypdf
import pytest

from ap_connectors.core.reject_codes import CODES
from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.tieout import certificate, certificate_words, render_words, sentence_words
from ap_connectors.tieout.compare import Options
from ap_connectors.tieout.result import DIFFERENCE_TYPES, Difference, InputFile, Rejected, Result
from ap_connectors.tieout.sentence_words import sentence
from tests.browser import Tab
from tests.tieout.conftest import Tables, TieOut

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

EVIL = "<script>alert(1)</script>"
BIG = "1234567890123456789.12"


@pytest.fixture
def broken(ivesk: Tables) -> list[str]:
    """A warehouse in which one document of each is missing, of another amount, with a script in it, without a file."""
    ids = [str(row[0]) for row in ivesk.sql("select id from exported_documents order by id")][:4]
    ivesk.sql(
        f"delete from exported_documents where id = '{ids[0]}'",
        f"update exported_documents set total = '{BIG}', currency = 'EUR' where id = '{ids[1]}'",
        f"update exported_documents set docnum = '{EVIL}' where id = '{ids[2]}'",
        f"delete from document_files where document_id = '{ids[3]}'",
        f"update document_files set path = '/srv/ap/{EVIL.replace('/', '')} ' || document_id",
    )
    return ids


def written(tie_ivesk: TieOut, folder: Path, *arguments: str) -> tuple[Path, Path]:
    page, data = folder / "certificate.html", folder / "certificate.json"
    result = tie_ivesk("--report", str(page), "--report", str(data), *arguments)
    assert (result.status, result.err) == (1, "")
    return page, data


def cells(page: Page, heading: str) -> list[list[str]]:
    rows = page.locator(f"h2:has-text('{heading}') ~ .listing >> nth=0").locator("tbody tr").all()
    return [[text.strip() for text in row.locator("th, td").all_inner_texts()] for row in rows]


def test_it_says_what_was_compared(
    *, sandbox: SandboxProcess, ivesk: Tables, broken: list[str], tie_ivesk: TieOut, browser: Browser, tmp_path: Path
) -> None:
    path, data = written(tie_ivesk, tmp_path)
    report = json.loads(data.read_bytes())
    documents = sandbox.control.documents()
    gone, changed, scripted, fileless = (next(one for one in documents if one["id"] == id_) for id_ in broken)
    with Tab(browser) as tab:
        page = tab.open(path)
        assert page.locator(".verdict").inner_text() == "It does not tie. Differences that count: 4."

        # Every month of every currency, both sides, as the test itself adds them up.
        expected: dict[tuple[str, str], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
        for one in documents:
            sums = expected[one["currency"], one["date"][:7]]
            sums[0] += Decimal(one["total"])
            theirs = (BIG, "EUR") if one is changed else (one["total"], one["currency"])
            if one is not gone:
                expected[theirs[1], one["date"][:7]][1] += Decimal(theirs[0])
        months = {"2025-12": "December 2025", "2026-01": "January 2026"}
        text = "\n".join("\t".join(row) for row in cells(page, "Counts and sums"))
        for ours, theirs_ in expected.values():
            assert f"{ours:,.2f}" in text
            assert f"{theirs_:,.2f}" in text
        assert all(name in text for name in months.values())
        ours, theirs_ = expected["EUR", changed["date"][:7]]
        assert f"{theirs_ - ours:+,.2f}" in text

        # Every difference with its document, its date and a link to its file.
        listed = {row[3]: row for row in cells(page, "Differences") if len(row) == 5}
        assert listed.keys() == set(broken)
        assert listed[gone["id"]][0] == gone["docnum"]
        assert BIG[:-16] in listed[changed["id"]][2].replace(",", "")
        assert listed[scripted["id"]][2] == f"docnum {scripted['docnum']} became {EVIL}"
        assert listed[fileless["id"]][2:] == ["no row in document_files", fileless["id"], ""]
        href = page.locator(f"tr:has-text('{changed['id']}') a").get_attribute("href")
        assert href == (Path("/srv/ap") / f"{EVIL.replace('/', '')} {changed['id']}").as_uri()
        for company in {row["company"] for row in report["streams"][0]["rows"]}:
            assert company in page.locator("dl.facts").inner_text()

        # The data is in the page, byte for byte, and its fingerprint.
        link = page.locator("a[download]").get_attribute("href") or ""
        assert base64.b64decode(link.partition(",")[2]) == data.read_bytes()
        assert hashlib.sha256(data.read_bytes()).hexdigest() in page.locator("main").inner_text()

        page.get_by_role("searchbox").fill(f"{gone['docnum']}")
        assert page.locator(".listing-searched tbody.group:visible").count() == 1
        assert (tab.complaints, tab.requests) == ([], [path.as_uri()])
        printed = pypdf.PdfReader(io.BytesIO(tab.pdf()))
    texts = "".join(one.extract_text() for one in printed.pages)
    assert "Prepared by" in texts
    assert {round(float(one.mediabox[3])) for one in printed.pages} == {842}


@pytest.mark.long
@pytest.mark.parametrize(
    ("language", "verdict", "amount", "words"),
    [
        ("lt", "Nesutampa. Neatitikimų: 4.", "→ 1 234 567 890 123 456 789,12", "lentelėje document_files nėra eilutės"),
        (
            "no",
            "Det stemmer ikke. Avvik som teller: 4.",
            "→ 1 234 567 890 123 456 789,12",
            "ingen rad i document_files",
        ),
    ],
)
def test_in_other_languages(
    *,
    broken: list[str],
    tie_ivesk: TieOut,
    browser: Browser,
    tmp_path: Path,
    language: str,
    verdict: str,
    amount: str,
    words: str,
) -> None:
    path, _ = written(tie_ivesk, tmp_path, "--language", language)
    # What is printed is in that language, too.
    printed = tie_ivesk("--language", language).out.replace("\xa0", " ")
    assert amount in printed
    assert words in printed
    assert printed.rstrip().splitlines()[-1].startswith(("NESUTAMPA: Eksp", "Det stemmer IKKE: Eksp"))
    english = ("became", "not compared", "lines of", "TIE", "  ties", "at the", "document_lines of", "period", " is ")
    assert not [one for one in english if one in printed], printed
    for scheme, width in (("light", 1280), ("dark", 320)):
        with Tab(browser, scheme=scheme, width=width) as tab:
            page = tab.open(path)
            said = page.locator("main").inner_text().replace("\xa0", " ")
            assert page.locator("html").get_attribute("lang") == language
            # Sums of 19 digits on both sides scroll in a wide window; in a narrow one each cell has a line.
            assert (tab.overflow, width == 320 and tab.sideways) == (0, False)
            assert tab.complaints == []
        assert verdict in said
        assert amount in said
        assert words in said
        assert not [one for one in ("became", "not compared", "lines of", "Differences") if one in said]


def test_on_standard_output(ivesk: Tables, tie_ivesk: TieOut) -> None:
    result = tie_ivesk("--format", "html")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("<!doctype html>")
    assert "What was compared ties (" in result.out


def _gaps(words: str) -> list[str]:
    return sorted(re.findall(r"{\w*}", words))


def test_every_word_in_every_language() -> None:
    for table in (certificate_words.WORDS, render_words.WORDS):
        english, *others = table.values()
        assert all(words.keys() == english.keys() for words in others)
        for words in others:
            assert [name for name in english if _gaps(words[name]) != _gaps(english[name])] == []
    assert certificate_words.KINDS.keys() == DIFFERENCE_TYPES.keys()


@pytest.mark.parametrize(
    ("english", "lithuanian", "norwegian"),
    [
        ("total 1,183.95 became nothing", "bendra suma 1 183,95 → nieko", "totalsum 1 183,95 → ingenting"),
        ("2026-01-05 19.83 EUR", "2026-01-05 19,83 EUR", "5. januar 2026 19,83 EUR"),
        ("date 2026-01-05 became 2026-02-05, 2 lines became 1", "data 2026-01-05 → 2026-02-05, eilučių 2 → 1", None),
        ("a sentence that no list knows", "a sentence that no list knows", "a sentence that no list knows"),
        (
            "3 records rejected, 1,200.00 NOK: left out of the sums of both sides.",
            None,
            "3 poster avvist (1 200,00 NOK)",
        ),
        ("3 records rejected: left out of the sums of both sides.", None, "3 poster avvist: utelatt"),
    ],
)
def test_sentences(english: str, lithuanian: str | None, norwegian: str | None) -> None:
    for language, expected in (("en", english), ("lt", lithuanian), ("no", norwegian)):
        assert sentence(language, english).replace("\xa0", " ").startswith(expected or "")


SAID = (
    "Files are not in the warehouse (documents_dir is not set): they are not compared.",
    "Files are looked for in the warehouse only: what is in them is not compared without --files.",
    "Only keys, times of change, dates, currencies and amounts are compared (--no-fields).",
    "Tables that are not compared: a, b.",
    "t has no column c, so VAT by code and what is owed are not told.",
    "t has no column for a, b: not compared.",
    "exported_documents.url is not compared: links are made anew for every answer.",
    "t.c is not compared: it is kept as JSON, whose numbers the loader rounds.",
    "t.c is not compared: the loader put it aside when the field's type changed.",
    "t.c is kept as JSON, whose numbers the loader rounds: lines are not compared. Load anew with target-warehouse, "
    "which keeps them (docs/upgrade.md).",
    "t is not compared (--no-line-items).",
    "t is not compared: 1 record.",
    "exported_document_lines is not in the warehouse: lines are not compared.",
    "2 rows of t of columns that the settings do not name: not compared.",
    "2 rows of t of companies or types that the settings do not name: not compared.",
    "The input has no records of streams that can be compared.",
    "Columns of the list that Vic.ai does not have: IBAN, orgNumber (misspelt?): not loaded and not compared.",
    "Fields of the input that Vic.ai does not have: IBAN (misspelt?): not loaded and not compared.",
    "Vic.ai holds 40 records that the input does not name; that does not matter here.",
    "name UAB is not at Vic.ai, rate 25 became 12",
    "it is not at Vic.ai; rejected: x",
    "It was refused. So each record was asked for by itself.",
    "vendors: 3 vendors of documents: only whether Vic.ai has them was compared.",
    "Lines of t are not in the warehouse: they are not compared.",
    "1 line of older exports left over in t.",
    "2 lines in t of documents that are not compared.",
    "the input says that it is deleted, and Vic.ai still has it",
    "the input says that it is not to be booked here, and Vic.ai still has it",
    "the record has no natural key",
    "it is not at Vic.ai",
    "it has no path",
    "/srv/a.pdf cannot be read: OSError",
    "/srv/a.pdf does not exist",
    "the SHA-256 of /srv/a.pdf is not the one in the warehouse",
    "3 lines became something that is not a list of lines",
    "its state of 2026-01-05T10:00:00Z is there without a time",
    "total is 'x', a line's vat is 'y'",
    "total 1.00 became nothing, the destination's total is '1,50', the destination's line has: vat is 'NaN'",
    "total 1.00 became 2.00; rejected: x",
    "its state of 2026-01-05T10:00:00Z is there as of 2026-01-06T10:00:00Z, its lines differ, "
    "though they add up to the same",
)
"""What comparisons say, in English."""
ENGLISH = re.compile(r"\b(the|is|are|not|of|became|compared|(?<!-)lines?|records?|rejected|which|only|its)\b")


@pytest.mark.parametrize("language", ["lt", "no"])
def test_no_english_is_left_over(language: str) -> None:
    found = {one: sentence(language, one) for one in SAID}
    assert not {one: told for one, told in found.items() if ENGLISH.search(told.replace("It was refused", ""))}


def test_only_what_a_browser_opens_is_a_link() -> None:
    links = {
        "https://storage.example/a.pdf": "https://storage.example/a.pdf",
        "/srv/ap/a b.pdf": "file:///srv/ap/a%20b.pdf",
        "javascript:alert(1)": "",
        "s3://bucket/a.pdf": "",
        "data:text/html,x": "",
        "documents/a.pdf": "",
        "": "",
    }
    found = {file: certificate._link(Difference("k", "l", file=file)) for file in links}
    assert found == links


BANK = Rejected(
    "The account X is wrong.", "bank_account", {"field": "defaultPaymentInfo.bban", "value": "LT121000011101001001"}
)


def of_a_list(*, dated: bool = False, unknown: bool = False) -> Result:
    """A list of vendors with what may happen to it: a field that differs, two rejects that explain, a correction."""
    comparison = Options().comparison("vendors")
    comparison.add("field", "007", "", "name A became B")
    comparison.add("explained", "00714", "", "defaultPaymentInfo.bban LT121000011101001001 is not at Vic.ai", BANK)
    comparison.add("explained", "00715", "", "it is not at Vic.ai", replace(BANK, code="of_a_later_version"))
    comparison.notes.append("Vic.ai holds 40 records that the input does not name; that does not matter here.")
    if dated:
        comparison.differences["field"].days["2026-01-05"] = 1
    if unknown:
        comparison.allowed = ("field",)
        comparison.unknown_fields = ["IBAN"]
    files = [InputFile("vendors 2026.xlsx", "0a" * 32, 12, 10), InputFile("rejects.xlsx", "0b" * 32, 2, 2)]
    result = Result("input-vic", "input", "Vic.ai", [comparison], files=[one.name for one in files], inputs=files)
    result.reject_files = [InputFile("rejects.jsonl", "0c" * 32, 3, 3)]
    result.destination_address = "http://127.0.0.1:8722/vicai/v0"
    return result


@pytest.mark.parametrize(
    ("language", "source", "some", "ages", "heads", "reason"),
    [
        ("en", "List", "10 of 12 records", "by age of the document", ["Record", "How it differs"], BANK.reason),
        ("lt", "Sąrašas", "įrašų: 10 iš 12", "amžių dienomis", ["Įrašas", "Kuo skiriasi"], "banko sąskaita LT121"),
        ("no", "Liste", "10 av 12 poster", "bilagets alder", ["Post", "Hva som avviker"], "kontonummeret LT121"),
    ],
)
def test_of_a_list(
    *,
    browser: Browser,
    tmp_path: Path,
    language: str,
    source: str,
    some: str,
    ages: str,
    heads: list[str],
    reason: str,
) -> None:
    """It names files, by their bytes, and the service; it has no empty column, and is one sheet of paper."""
    (path := tmp_path / "list.html").write_text(certificate.page(of_a_list(), b"{}", language), "utf-8")
    with Tab(browser, width=320) as tab:
        page = tab.open(path)
        told = page.locator("main").inner_text()
        assert (tab.overflow, tab.sideways, tab.complaints) == (0, False, [])
        # The head of a column stands beside its cell there.
        beside = "tr:has(> th[scope=row]) > td[data-head]"
        pads = page.eval_on_selector_all(beside, "all => all.map(one => getComputedStyle(one).paddingLeft)")
        assert [*dict.fromkeys(pads)] == ["128px"]
        listed = page.locator("h2 ~ .listing-searched thead th").all_inner_texts()
        assert [head.strip() for head in listed] == heads
        printed = pypdf.PdfReader(io.BytesIO(tab.pdf()))
    assert len(printed.pages) == 1
    for words in (f"{source} → Vic.ai", f"vendors 2026.xlsx: {some}", "0a" * 32, "0b" * 32, "rejects.jsonl", "0c" * 32):
        assert words in told
    assert "Vic.ai, http://127.0.0.1:8722/vicai/v0" in told
    assert reason in told
    # A reason of which only the sentence is known.
    assert told.count(BANK.reason) == 1 + (language == "en")
    # An option of a command is no word for a page that is signed.
    assert "--" not in told
    assert ages not in told
    assert ages in certificate.page(of_a_list(dated=True), b"{}", language)


def test_fields_that_were_not_loaded_are_no_green_certificate() -> None:
    page = certificate.page(of_a_list(unknown=True), b"{}")
    assert '<div class="verdict warn">' in page
    assert "they were not loaded: IBAN." in page
    assert page.count('<span class="badge warn">ties</span>') == 2
    assert '<span class="badge good">' not in page


def test_reasons_say_what_their_rejects_have() -> None:
    """Each code has the parameters that its words name."""
    for code, words in sentence_words._REASONS.items():
        for one in words:
            assert [name for name in re.findall(r"{(\w+)}", one) if name not in CODES[code]] == [], code
