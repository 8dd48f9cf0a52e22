"""Exports as ERPs write them: split, renumbered each period, padded, of a company in any form, in any encoding."""

from __future__ import annotations

import codecs
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.core.companies import same_company
from ap_connectors.core.errors import Stop
from tap_saft.checking import check
from tap_saft.file_state import FileState
from tap_saft.sources import find
from tap_saft.streams import JournalLines
from tests.campaign import one_in
from tests.conftest import MakeCatalog, Run, RunTap
from tests.tap_saft.conftest import EVERYTHING, Write


def saft(
    *transactions: str,
    company: str = "912345678",
    created: str = "2026-02-01",
    total: str | None = None,
    masters: str = "",
    head: str = "",
) -> str:
    """A file; with `total` it says so of both sides, and of the number of transactions what it holds."""
    controls = f"<TotalDebit>{total}</TotalDebit><TotalCredit>{total}</TotalCredit>" if total else ""
    ledger = f"<Journal><JournalID>GL</JournalID>{''.join(transactions)}</Journal>" if transactions else ""
    return (
        f"{head}<AuditFile><Header><AuditFileDateCreated>{created}</AuditFileDateCreated><Company><RegistrationNumber>"
        f"{company}</RegistrationNumber></Company></Header><MasterFiles>{masters}</MasterFiles>"
        f"<GeneralLedgerEntries>{controls}{ledger}</GeneralLedgerEntries></AuditFile>"
    )


def transaction(number: int | str, period: str, amount: str = "100.00", date: str = "2026-01-05") -> str:
    """A transaction of two lines."""
    inside = f"<Period>{period}</Period><PeriodYear>2026</PeriodYear>" if period else ""
    sides = "".join(
        f"<Line><RecordID>{side}</RecordID><AccountID>1500</AccountID><{side}Amount><Amount>{amount}</Amount>"
        f"</{side}Amount></Line>"
        for side in ("Debit", "Credit")
    )
    return (
        f"<Transaction><TransactionID>{number}</TransactionID>{inside}<TransactionDate>{date}</TransactionDate>"
        f"{sides}</Transaction>"
    )


def table(run: Run) -> dict[Any, dict[str, Any]]:
    """What a warehouse that upserts by key has of the journals."""
    return {tuple(line[key] for key in JournalLines.key_fields): line for line in run.records["journal_lines"]}


# Numbering that begins anew


@pytest.mark.parametrize(
    ("january", "february"),
    [
        (("1", "2026-01-05"), ("2", "2026-02-05")),
        (("1", "2026-01-05"), ("2", "2026-01-05")),
        (("", "2026-01-05"), ("", "2026-02-05")),
        (("", "\n 2026-01-05"), ("", "2026-02-05T10:00:00")),
    ],
)
def test_numbers_that_begin_anew_each_period_overwrite_nothing(
    tap: RunTap, write: Write, january: tuple[str, str], february: tuple[str, str]
) -> None:
    for name, amount, (period, date) in (("jan.xml", "100.00", january), ("feb.xml", "777.00", february)):
        write(name, saft(transaction(1, period, amount, date), total=amount))
    run = tap()
    rows = table(run)
    assert len(rows) == len(run.records["journal_lines"]) == 4
    assert sum(line.get("debit_amount", 0) for line in rows.values()) == 877
    assert all(None not in key for key in rows)
    assert "come again" not in run.err


def test_numbers_that_come_again_from_another_file_are_noticed(tap: RunTap, write: Write) -> None:
    write("a.xml", saft(*(transaction(number, "1") for number in range(1, 4))))
    first = tap()
    assert "come again" not in first.err
    # The same transactions once more, among others: an export of the year so far.
    write("b.xml", saft(*(transaction(number, "1") for number in range(1, 6)), created="2026-02-02"))
    second = tap(state=first.state)
    assert "come again" not in second.err
    assert len(second.records["journal_lines"]) == 10
    # Other transactions under numbers that are taken.
    write("c.xml", saft(transaction(3, "1", "5.00"), transaction(4, "1"), created="2026-02-03"))
    third = tap(state=second.state)
    (warned,) = [line for line in third.err.splitlines() if "a.xml come again" in line]
    assert "c.xml: transactions that are in a.xml come again, with other contents: at least 1, for example 3" in warned
    assert "b.xml come again" in third.err
    # A file that is exported anew replaces itself; another company has numbers of its own.
    write("c.xml", saft(transaction(3, "1"), created="2026-02-04"))
    write("d.xml", saft(transaction(3, "1", "8.00"), created="2026-02-04", company="911111111"))
    assert "come again" not in tap(state=third.state).err


def test_of_large_files_a_sample_tells(write: Write) -> None:
    for name, amount in (("a.xml", "1.00"), ("b.xml", "2.00")):
        write(name, saft(*(transaction(number, "1", amount) for number in range(1000))))
    state, wanted = FileState({}), frozenset({"journal_lines"})
    one, two = find(str(write("a.xml", saft(*(transaction(n, "1", "1.00") for n in range(1000)))).parent))
    checked = check(one, wanted, state)
    state.done(one.name, checked.size, checked.sha256, wanted, checked.fingerprints)
    state = FileState(json.loads(json.dumps(state.bookmark())))
    assert len(json.dumps(state.bookmark())) < 5000
    (found,) = state.elsewhere(two.name, check(two, wanted, state).fingerprints).values()
    assert len(found) == 256
    assert not state.elsewhere("other", check(one, wanted, state).fingerprints)


# White space around ids

BLANKS = ("\n   {}\n", " {}", "{}\u00a0", "\u2003{}\u3000", "\t{}\x85", "\u200b{}\ufeff")


@one_in(3)
@pytest.mark.parametrize("form", BLANKS)
def test_white_space_around_an_id_goes_and_a_texts_stays(
    tap: RunTap, write: Write, catalog: MakeCatalog, form: str
) -> None:
    def file(form: str) -> str:
        def pad(text: str) -> str:
            return form.format(text)

        masters = (
            f"<GeneralLedgerAccounts><Account><AccountID>{pad('1500')}</AccountID><AccountDescription> a </"
            f"AccountDescription></Account></GeneralLedgerAccounts><Suppliers><Supplier><SupplierID>{pad('WS1')}"
            "</SupplierID><Name> Fisk\u00a0</Name></Supplier></Suppliers><TaxTable><TaxTableEntry>"
            f"<TaxType>{pad('MVA')}</TaxType><TaxCodeDetails><TaxCode>{pad('1')}</TaxCode></TaxCodeDetails></TaxTableEntry></TaxTable>"
            f"<AnalysisTypeTable><AnalysisTypeTableEntry><AnalysisType>{pad('A')}</AnalysisType><AnalysisID>{pad('10')}"
            "</AnalysisID></AnalysisTypeTableEntry></AnalysisTypeTable>"
        )
        line = (
            f"<Line><AccountID>{pad('1500')}</AccountID><SupplierID>{pad('WS1')}</SupplierID><CustomerID>{pad('')}"
            f"</CustomerID><Description> x </Description><Analysis><AnalysisType>{pad('A')}</AnalysisType><AnalysisID>"
            f"{pad('10')}</AnalysisID></Analysis></Line>"
        )
        ledger = (
            f"<Transaction><TransactionID>{pad('7')}</TransactionID><Period>{pad('1')}</Period><PeriodYear>{pad('2026')}"
            f"</PeriodYear>{line}</Transaction>"
        )
        return saft(ledger, masters=masters).replace("<JournalID>GL<", f"<JournalID>{pad('GL')}<")

    def records(text: str) -> Any:
        write("x.xml", text)
        found = tap(catalog=catalog(*EVERYTHING)).records
        return {stream: found[stream] for stream in EVERYTHING if stream != "header"}

    padded = records(file(form))
    assert padded == records(file("{}"))
    assert padded["accounts"][0]["name"] == " a "
    assert padded["vendors"][0]["name"] == padded["suppliers"][0]["name"] == " Fisk\u00a0"
    (line,) = padded["journal_lines"]
    assert (line["description"], line["account_id"], line["supplier_id"]) == (" x ", "1500", "WS1")
    assert line["analysis"] == [{"analysis_type": "A", "analysis_id": "10"}]
    assert "customer_id" not in line


@pytest.mark.parametrize("blank", ["", " ", "\n\u00a0\u2003"])
def test_a_blank_id_is_missing(write: Write, blank: str) -> None:
    supplier = f"<Suppliers><Supplier><SupplierID>{blank}</SupplierID></Supplier></Suppliers>"
    for text, words in (
        (saft(masters=supplier), "SupplierID is missing"),
        (saft(transaction(blank, "1")), "TransactionID is missing"),
    ):
        path = write("x.xml", text)
        with pytest.raises(Stop, match=words):
            check(find(str(path))[0], frozenset(EVERYTHING), FileState({}))


# Files of one export


def parts(
    names: tuple[str, ...], total: str = "200.00", created: tuple[str, ...] = ("2026-02-01",) * 3
) -> dict[str, str]:
    return {
        names[0]: saft(masters="<Suppliers><Supplier><SupplierID>1</SupplierID></Supplier></Suppliers>"),
        names[1]: saft(transaction(1, "1"), total=total, created=created[1]),
        names[2]: saft(transaction(2, "2"), total=total.removesuffix("0"), created=created[2]),
    }


NORWEGIAN = tuple(f"SAF-T Financial_912345678_20260201120000_{number}_3.xml" for number in (1, 2, 3))


@one_in(5)
@pytest.mark.parametrize("names", [NORWEGIAN, ("masters.xml", "january.xml", "february.xml")])
@pytest.mark.parametrize("packed", ["not", "together", "each"])
def test_files_of_one_export_are_added_up(
    tap: RunTap, write: Write, exports: Path, names: tuple[str, ...], packed: str
) -> None:
    for name, text in parts(names).items():
        if packed == "not":
            write(name, text)
        else:
            archive = "all.zip" if packed == "together" else name.replace(".xml", ".zip")
            with zipfile.ZipFile(exports / archive, "a") as file:
                file.writestr(name, text)
    run = tap()
    assert len(run.records["header"]) == 3
    assert len(run.records["journal_lines"]) == 4
    assert not tap(state=run.state).records


def test_a_copy_or_the_whole_beside_the_parts_counts_once(tap: RunTap, write: Write) -> None:
    for name, text in parts(("a.xml", "b.xml", "c.xml")).items():
        write(name, text)
    write("copy.xml", parts(("a", "b", "c"))["b"])
    write("whole.xml", saft(transaction(1, "1"), transaction(2, "2"), total="200.00"))
    assert len(tap().records["header"]) == 5


def test_a_part_that_comes_later_is_added_to_those_of_before(tap: RunTap, write: Write) -> None:
    (one, text_one), (two, text_two), (three, text_three) = parts(NORWEGIAN).items()
    write(one, text_one)
    write(two, text_two)
    first = tap(expect=1)
    assert "TotalDebit says 200.00, but the file holds 100.00 in debit" in first.complaints[-1]
    assert "by its name it is one of 3 files, of which path lacks 3" in first.complaints[-1]
    write(three, text_three)
    second = tap(state=first.state)
    assert [record["file"] for record in second.records["header"]] == [two, three]
    # One of them once more, with other words: the others are in STATE.
    write(two, text_two.replace("Debit</RecordID>", "D</RecordID>"))
    assert [record["file"] for record in tap(state=second.state).records["header"]] == [two]


@pytest.mark.parametrize(
    ("total", "created"), [("200.01", ("2026-02-01",) * 3), ("200.00", ("2026-02-01", "2026-02-01", "2026-02-02"))]
)
def test_what_does_not_add_up_is_refused(tap: RunTap, write: Write, total: str, created: tuple[str, ...]) -> None:
    for name, text in parts(("a.xml", "b.xml", "c.xml"), total, created).items():
        write(name, text)
    run = tap(expect=1)
    assert "journal_lines" not in run.records
    held = "the 2 files of this export hold 200.00" if total == "200.01" else "the file holds 100.00"
    assert f"b.xml: its control totals do not agree: TotalDebit says {total}, but {held} in debit" in run.complaints[-1]


# Whose company


@pytest.mark.parametrize("setting", ["912345678", "NO 912 345 678 MVA", " 912345678 ", "no912345678mva"])
@pytest.mark.parametrize(
    "written", ["912345678", "NO912345678MVA", "912 345 678", "912345678MVA", "912\u00a0345\u00a0678"]
)
def test_a_registration_number_in_any_form(written: str, setting: str) -> None:
    assert same_company(written, setting)


def test_numbers_that_differ() -> None:
    for one, other in [
        ("912345678", "912345679"),
        ("NO123456789", "LT123456789"),
        ("", ""),
        (" ", ""),
        (None, None),
        ("MVA", ""),
        ("SC123456", "123456"),
        ("0123", "123"),
    ]:
        assert not same_company(one, other)
    assert same_company("LT302320404", "302320404")
    assert same_company("sc123456", "SC 123456")


def test_company_id_is_compared_so_and_what_leaves_out_everything_is_warned_of(tap: RunTap, write: Write) -> None:
    write("a.xml", saft(transaction(1, "1"), company="NO 912 345 678 MVA"))
    first = tap(company_id="912345678")
    assert first.records["header"][0]["company_id"] == "NO 912 345 678 MVA"
    assert "none of" not in first.err
    wrong = tap(company_id="302320404")
    assert not wrong.records
    (warned,) = [line for line in wrong.err.splitlines() if "WARN" in line]
    assert "company_id is 302320404, and none of the 1 files is of that company" in warned
    assert "they are of NO 912 345 678 MVA" in warned
    # A file of another company beside what was read before is what the setting is for.
    write("b.xml", saft(company="911111111"))
    assert "none of" not in tap(company_id="912345678", state=first.state).err


# Encodings

NAMES = "Blåbær Ærø"


@one_in(3)
@pytest.mark.parametrize(
    ("bytes_of", "declared"),
    [
        *[("utf-8", name) for name in ("utf8", "UTF_8", "utf-8-sig", "UTF8", "utf-16", "US-ASCII")],
        *[("utf-8-sig", name) for name in ("UTF-8", "windows-1252", "utf-16")],
        *[("utf-16", name) for name in ("UTF-16", "utf16", "UTF-16LE", "utf-8", "unicode")],
        *[("utf-16-le", "UTF-16"), ("utf-16-be", "utf-16BE"), ("iso8859-15", "latin-9")],
        *[("cp1252", name) for name in ("windows-1252", "Windows1252", "cp1252", "CP-1252", "win-1252", "ms1252")],
        *[("latin-1", name) for name in ("ISO-8859-1", "iso_8859-1", "ISO8859-1", "latin1", "L1")],
    ],
)
def test_an_encoding_in_any_usual_spelling(tap: RunTap, exports: Path, bytes_of: str, declared: str) -> None:
    supplier = f"<Suppliers><Supplier><SupplierID>1</SupplierID><Name>{NAMES}</Name></Supplier></Suppliers>"
    head = f"<?xml version='1.0' encoding='{declared}'?>\n"
    (exports / "x.xml").write_bytes(saft(masters=supplier, head=head).encode(bytes_of))
    (found,) = tap().records["suppliers"]
    assert found["name"] == NAMES


def test_errors_of_wide_files_name_their_line(exports: Path) -> None:
    path = exports / "x.xml"
    path.write_bytes(
        saft("\n\n" + transaction(1, "1", "1,5"), head="<?xml version='1.0' encoding='utf16'?>\n").encode("utf-16")
    )
    with pytest.raises(Stop, match=r"x\.xml, line 4: DebitAmount is not a number"):
        check(find(str(path))[0], frozenset(EVERYTHING), FileState({}))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (codecs.BOM_UTF8, "it ends before any element"),
        (codecs.BOM_UTF16_LE, "it ends before any element"),
        (saft(head="<?xml version='1.0' encoding='utf-32'?>").encode("utf-32"), "UTF-32, which cannot be read"),
        (
            saft(head="<?xml version='1.0' encoding='\x1b[2J'?>").encode(),
            r"its encoding is \x1b[2J, which cannot be read",
        ),
        (
            saft(masters=NAMES, head="<?xml version='1.0' encoding='utf8'?>").encode("latin-1"),
            "the bytes there are not UTF-8",
        ),
    ],
)
def test_what_cannot_be_read_without_doubt_is_refused(exports: Path, content: bytes, words: str) -> None:
    path = exports / "x.xml"
    path.write_bytes(content)
    with pytest.raises(Stop) as stopped:
        check(find(str(path))[0], frozenset(EVERYTHING), FileState({}))
    assert words in str(stopped.value)
    assert str(stopped.value).isprintable()


# Many files, strange names


@pytest.mark.long
def test_of_thousands_of_small_files_the_output_is_not_state(tap: RunTap, exports: Path) -> None:
    with zipfile.ZipFile(exports / "all.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for number in range(600):
            packed.writestr(f"{number:04}.xml", saft(created=f"2026-02-{1 + number % 28:02}"))
    run = tap()
    assert len(run.records["header"]) == 600
    states = [line for line in run.out.splitlines() if '"STATE"' in line]
    # What each of the other streams ends with among them.
    assert len(states) < 20
    assert not tap(state=run.state).records


def test_names_in_a_zip_are_never_printed_raw(tap: RunTap, exports: Path) -> None:
    name = "a\x1b]0;owned\x07\u202e\n.xml"
    with zipfile.ZipFile(exports / "x.zip", "w") as packed:
        packed.writestr(name, saft())
        packed.writestr("b\x1b[2J.xml", "<AuditFile>")
    run = tap(expect=1)
    assert not {"\x1b", "\x07", "\u202e"} & set(run.err)
    assert r"x.zip/a\x1b]0;owned\x07\u202e\n.xml: read to its end" in run.err
    assert r"x.zip/b\x1b[2J.xml" in run.complaints[-1]
    # Records and STATE keep the name.
    assert run.records["header"][0]["file"] == f"x.zip/{name}"


def test_unknown_elements_are_declared_at_once_and_named_once(tap: RunTap, write: Write) -> None:
    def account(names: range) -> str:
        return f"<Account><AccountID>1</AccountID>{''.join(f'<X{number}>1</X{number}>' for number in names)}</Account>"

    def file(*accounts: str) -> str:
        return saft(masters=f"<GeneralLedgerAccounts>{''.join(accounts)}</GeneralLedgerAccounts>")

    write("a.xml", file(account(range(200)), account(range(200)).replace("ID>1<", "ID>2<")))
    write("b.xml", file(account(range(150, 250)).replace("ID>1<", "ID>3<")))
    run = tap()
    assert len(run.schemas["accounts"]) == 3
    assert [len([name for name in one if name.startswith("x")]) for one in run.records["accounts"]] == [200, 200, 100]
    first, second = [line for line in run.err.splitlines() if "the schema grows" in line]
    assert "x0, x1, " in first
    assert "and 180 more" in first
    assert "new fields: x200, x201, " in second
    write("c.xml", file(account(range(5000))))
    assert "accounts: more than 300 fields" in tap(expect=1).complaints[-1]
