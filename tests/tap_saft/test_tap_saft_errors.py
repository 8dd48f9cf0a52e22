"""What is wrong with a file is said with file and line, and nothing of it is loaded."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from ap_connectors.core.errors import Stop
from tap_saft.checking import check, peek, portions
from tap_saft.file_state import FileState
from tap_saft.sources import find
from tests.campaign import one_in
from tests.conftest import RunTap
from tests.tap_saft.conftest import EVERYTHING, NORWAY_110, Write

TEXT = NORWAY_110.read_text(encoding="utf-8")


def line_with(words: str, text: str = TEXT, nth: int = 1) -> int:
    found = [number for number, line in enumerate(text.splitlines(), 1) if words in line]
    return found[nth - 1]


def refused(tap: RunTap, *words: str, **settings: str) -> None:
    """The run ends with status 1, one message with these words, and not a single record."""
    run = tap(expect=1, **settings)
    assert not run.records
    (complaint,) = run.complaints
    for word in words:
        assert word in complaint, complaint
    assert "Traceback" not in run.err


def complaint(path: Path, *, wanted: frozenset[str] = frozenset(EVERYTHING)) -> str:
    """What a check of a file says; the command ends with it (as `refused` sees)."""
    with pytest.raises(Stop) as stopped:
        check(find(str(path))[0], wanted, FileState({}))
    return str(stopped.value)


DEBIT = "<n1:DebitAmount><n1:Amount>0.3</n1:Amount></n1:DebitAmount>"
ACCOUNT = "<n1:AccountID>2710</n1:AccountID>\n        "


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("<n1:Amount>0.3<", "<n1:Amount>12,50<", "DebitAmount is not a number: '12,50'"),
        ("<n1:Amount>250.00</n1:Amount></n1:D", "<n1:Amount>1 250.00</n1:Amount></n1:D", "not a number: '1 250.00'"),
        (">1234567890123456789.10<", ">1e5<", "OpeningDebitBalance is not a number: '1e5'"),
        ("<n1:TotalDebit>1250.30<", "<n1:TotalDebit>1.250,30<", "TotalDebit is not a number"),
        ("11.4000", "..", "ExchangeRate is not a number: '..'"),
        ("<n1:TaxPercentage>24.0<", "<n1:TaxPercentage>24 %<", "TaxPercentage is not a number: '24 %'"),
        (DEBIT, DEBIT + DEBIT, "DebitAmount occurs more than once"),
        ("</n1:Journal>", "&undefined;</n1:Journal>", "undefined entity"),
    ],
)
def test_a_wrong_value_is_found_with_its_line(write: Write, old: str, new: str, words: str) -> None:
    path = write("x.xml", NORWAY_110, (old, new))
    said = complaint(path)
    assert words in said
    line = line_with(new, path.read_text(encoding="utf-8"))
    assert f"x.xml, line {line}" in said
    assert "Nothing of" in said


@pytest.mark.parametrize(
    ("old", "begins", "words"),
    [
        (ACCOUNT, "<n1:AccountDescription>Inng", "AccountID is missing"),
        ("<n1:SupplierID>2000</n1:SupplierID>\n        <", "Fjord", "SupplierID is missing"),
        ("<n1:TaxCode>0</n1:TaxCode>", "<n1:TaxTableEntry>", "TaxCode is missing"),
        (
            "<n1:AnalysisID>100</n1:AnalysisID>\n        <n1:AnalysisIDDescription>Nytt",
            "Prosjekt",
            "AnalysisID is missing",
        ),
        ("<n1:TransactionID>1</n1:TransactionID>", "<n1:Line>", "TransactionID is missing"),
        ("<n1:RegistrationNumber>912345678</n1:RegistrationNumber>", "<n1:Company>", "does not name a company"),
    ],
)
def test_a_missing_id_is_found_with_the_line_of_its_record(write: Write, old: str, begins: str, words: str) -> None:
    path = write("x.xml", NORWAY_110, (old, old.partition("\n        ")[2]))
    said = complaint(path)
    assert words in said
    line = int(said.partition("x.xml, line ")[2].partition(":")[0])
    text = path.read_text(encoding="utf-8").splitlines()
    assert begins in "\n".join(text[line - 1 : line + 3])


def test_the_command_says_the_same_in_one_line(tap: RunTap, write: Write) -> None:
    path = write("x.xml", NORWAY_110, ("<n1:Amount>0.3</n1:Amount></n1:D", "<n1:Amount>12,50</n1:Amount></n1:D"))
    refused(tap, complaint(path))


def test_a_file_that_breaks_off_at_any_place(write: Write) -> None:
    whole = TEXT.encode()
    path = write("x.xml")
    for length in range(200, len(whole) - 2, 701):
        cut = whole[:length]
        path.write_bytes(cut)
        said = complaint(path)
        assert f"it breaks off there, after {length} bytes" in said
        assert abs(int(said.partition("x.xml, line ")[2].partition(":")[0]) - cut.count(b"\n") - 1) <= 2


def test_what_came_before_a_bad_file_is_loaded_and_in_state(tap: RunTap, write: Write) -> None:
    write("a.xml")
    write("b.xml", TEXT.replace("2026-02-01", "2026-03-01")[:-400])
    write("c.xml", NORWAY_110, ("2026-02-01", "2026-04-01"))
    run = tap(expect=1)
    assert [record["file"] for record in run.records["header"]] == ["a.xml"]
    assert len(run.records["journal_lines"]) == 5
    assert list(run.state["bookmarks"]["header"]["files"]) == ["a.xml"]
    assert run.messages[-1]["type"] == "STATE"
    write("b.xml", NORWAY_110, ("2026-02-01", "2026-03-01"))
    assert [record["file"] for record in tap(state=run.state).records["header"]] == ["b.xml", "c.xml"]


BOMB = """<?xml version="1.0"?>
<!DOCTYPE AuditFile [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc/hostname">]>
<AuditFile><Header><Company><RegistrationNumber>&b;&c;</RegistrationNumber></Company></Header></AuditFile>"""


def test_document_types_are_refused(tap: RunTap, write: Write) -> None:
    write("x.xml", BOMB)
    refused(tap, "x.xml, line 2: a DOCTYPE")
    # Also where no piece of the file holds the whole of it.
    path = write("y.xml", f"<?xml version='1.0'?><!--{' ' * 700_000}-->\n{BOMB.partition(chr(10))[2]}")
    assert "y.xml, line 2: a DOCTYPE" in complaint(path)


@one_in(2)
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "x.xml is empty: 0 bytes"),
        (b"   \n ", "x.xml, line 2, column 2: it ends before any element"),
        (b'{"not": "XML"}', "x.xml, line 1, column 1: it is not XML"),
        (b"%PDF-1.7\n\x00\x01", "it is not XML"),
        (b"\x1f\x8b\x08\x00", "packed with gzip"),
        (b"<Invoice xmlns='urn:x'/>", "x.xml, line 1: not a SAF-T Financial file: its root element is <Invoice>"),
        (b"<?xml version='1.0'?>\n<auditfile/>", "x.xml, line 2: not a SAF-T Financial file"),
        (b"<AuditFile/>", "it has no Header"),
        (
            "<AuditFile><Header>\n<Name>Bjørk".encode("latin-1"),
            "x.xml, line 2, column 9: the bytes there are not UTF-8",
        ),
        (
            b"<?xml version='1.0' encoding='klingon'?><AuditFile/>",
            "x.xml, line 1: it says that its encoding is klingon",
        ),
        (
            b"<?xml version='1.0' encoding='Shift_JIS'?><AuditFile/>",
            "x.xml, line 1: it says that its encoding is Shift_J",
        ),
        # The bytes are not UTF-16, so that name is not believed.
        (b"<?xml version='1.0' encoding='UTF-16'?><AuditFile/>", "x.xml: it has no Header"),
        (b"<AuditFile>" + b"<a>" * 100_000, "nested in each other"),
        (b"<AuditFile><MasterFiles><x>" + b"y" * 18_000_000, "belong to a single element or comment"),
        (b"<AuditFile><!--" + b"y" * 18_000_000, "belong to a single element or comment"),
    ],
)
def test_what_is_no_saf_t(exports: Path, content: bytes, words: str) -> None:
    path = exports / "x.xml"
    path.write_bytes(content)
    assert words in complaint(path)
    # A look at the header alone, for the order of files, leaves it at that.
    assert peek(find(str(path))[0]) is None


@pytest.mark.parametrize(
    ("name", "old", "words"),
    [
        ("TotalDebit", "1250.30", "TotalDebit says 1250.31, but the file holds 1250.30 in debit"),
        ("TotalCredit", "1250.3", "TotalCredit says 1250.31, but the file holds 1250.30 in credit"),
        ("NumberOfEntries", "3", "NumberOfEntries says 1250.31, but the file holds 3 transactions of 5 lines"),
    ],
)
def test_control_totals_are_exact(write: Write, name: str, old: str, words: str) -> None:
    path = write("x.xml", NORWAY_110, (f"<n1:{name}>{old}<", f"<n1:{name}>1250.31<"))
    for wanted in (EVERYTHING, ("accounts",)):
        checked = check(find(str(path))[0], frozenset(wanted), FileState({}))
        assert checked.totals.problems(checked.given) == [words]


def test_control_totals_refuse_or_warn(tap: RunTap, write: Write) -> None:
    write("x.xml", NORWAY_110, ("<n1:TotalDebit>1250.30<", "<n1:TotalDebit>1250.31<"))
    words = "TotalDebit says 1250.31, but the file holds 1250.30 in debit"
    refused(tap, "x.xml: its control totals do not agree", words, "control_totals: warn")
    run = tap(control_totals="warn")
    assert len(run.records["journal_lines"]) == 5
    assert words in run.err


def test_paths(tap: RunTap, exports: Path) -> None:
    refused(tap, f"path: {exports}/none.xml does not exist", path=f"{exports}/none.xml")
    refused(tap, "contains no .xml or .zip")
    refused(tap, "does not match any file", path=f"{exports}/*.xml")
    run = tap(path=None, expect=1)
    assert run.complaints[0].startswith("path is missing")
    secret = "ftp://user:hunter2@127.0.0.1:9/x.xml"
    assert "hunter2" not in tap(path=secret, expect=1).err


def test_broken_zip_files(tap: RunTap, exports: Path) -> None:
    path = exports / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.write(NORWAY_110, "a.xml")
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    refused(tap, "x.zip: the ZIP is broken or cut off")
    middle = len(whole) // 3
    path.write_bytes(whole[:middle] + b"\0\0\0\0" + whole[middle + 4 :])
    refused(tap, "x.zip/a.xml")
    directory = whole.rindex(b"PK\x01\x02")
    flagged = bytearray(whole)
    flagged[6] |= 1
    flagged[directory + 8] |= 1
    path.write_bytes(bytes(flagged))
    refused(tap, "a.xml in it is encrypted")
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("readme.txt", "nothing")
    refused(tap, "contains no .xml")


@pytest.mark.long
def test_a_bomb_in_a_zip(tap: RunTap, exports: Path) -> None:
    with zipfile.ZipFile(exports / "x.zip", "w", zipfile.ZIP_DEFLATED) as packed, packed.open("a.xml", "w") as member:
        for _ in range(300):
            member.write(b" " * (1 << 20))
    refused(tap, "more than 250 times")


def test_a_file_that_changes_between_check_and_reading(exports: Path, write: Write) -> None:
    path = write("x.xml")
    (source,) = find(str(path))
    wanted = frozenset({"journal_lines"})
    checked = check(source, wanted, FileState({}))
    assert sum(len(b["journal_lines"]) for b in portions(source, checked, wanted, FileState({}), print) if b) == 5
    whole = path.read_bytes()
    for changed in (whole.replace(b"Fjord", b"Fjard"), whole[:-1], whole + b"\n"):
        path.write_bytes(changed)
        with pytest.raises(Stop, match="was changed while it was read"):
            list(portions(source, checked, wanted, FileState({}), print))
