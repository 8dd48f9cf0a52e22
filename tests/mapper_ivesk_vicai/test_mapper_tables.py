"""Tables from ivesk's codes to Vic's, inline and as CSV; settings that are wrong; codes without a mapping."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.core.errors import Stop
from mapper_ivesk_vicai.tables import ACCOUNTS, OBJECTS, VAT_CLASSES, load
from tests.mapper_ivesk_vicai.conftest import COMPANY, Mapper, document, line, messages


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_csv_as_spreadsheets_write_it(tmp_path: Path, delimiter: str, encoding: str) -> None:
    rows = [
        ["Object", "note", " DIMENSION ", "type"],
        ["Žemė", '"a; b, c"', "PRJ-1", "PRJ"],
        ["ADM", "", " AVD-10 ", ""],
        [],
        ["GAM-2", "left out on purpose", "", ""],
        ["ADM", "the same again", "AVD-10", ""],
        ['"su ""kabutėmis"""', "", "X"],
    ]
    path = tmp_path / "objektai.csv"
    path.write_bytes("\r\n".join(delimiter.join(row) for row in rows).encode(encoding))
    table = load(OBJECTS, str(path))
    assert table.get("Žemė") == ("PRJ-1", "PRJ")
    assert table.get("ADM") == ("AVD-10", None)
    assert table.get("GAM-2") == (None, None)
    assert table.get('su "kabutėmis"') == ("X", None)
    assert table.get("adm") is None


def test_inline_in_all_its_forms() -> None:
    given = {"ADM": "AVD-10", " GAM-2 ": {"dimension": "PRJ-2", "type": "PRJ"}, "X": None, "7": 77}
    for table in (load(OBJECTS, given), load(OBJECTS, json.dumps(given))):
        assert table.get("ADM") == ("AVD-10", None)
        assert table.get("GAM-2") == ("PRJ-2", "PRJ")
        assert table.get("X") == (None, None)
        assert table.get("7") == ("77", None)
        assert table.get("Y") is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_as_spreadsheets_save_it(tmp_path: Path, encoding: str, end: str, delimiter: str) -> None:
    path = tmp_path / "pvm.csv"
    text = end.join(
        delimiter.join(row) for row in (("vat_class", "vat_code", "", ""), ("PVM1", "Ž1", "", ""), ("PVM2", "2"))
    )
    path.write_bytes(text.encode(encoding))
    assert load(VAT_CLASSES, str(path)) == {"PVM1": ("Ž1",), "PVM2": ("2",)}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "vat_classes: {path} is empty."),
        ("\ufeff\r\n", "vat_classes: {path} is empty."),
        (
            ",\nPVM1,1\n",
            "vat_classes: {path} has no column vat_class and no column vat_code in its first line; it has none.",
        ),
        (
            "vat_class,vat_code,VAT_Code \nPVM1,1,2\n",
            "vat_classes: {path} has the column vat_code twice in its first line; leave one.",
        ),
        (
            "vat_class,vat_code\nPVM1,\0\n",
            "vat_classes: {path}, line 2: has a NUL character, which no text has: the file is damaged. Restore it.",
        ),
        ("class,vat_code\n", "vat_classes: {path} has no column vat_class in its first line; it has class, vat_code."),
        ("vat_class,vat_code\nPVM1,1,2\n", "vat_classes: {path}, line 2: 3 cells, but the first line names 2 columns."),
        (
            "vat_class,vat_code\nPVM1\n",
            "vat_classes: {path}, line 2: there is no cell for vat_code; leave an empty one if that is meant.",
        ),
        ("vat_class,vat_code\n,1\n", "vat_classes: {path}, line 2: vat_class is empty."),
        (
            "vat_class,vat_code\nPVM1,1\nPVM1,2\n",
            "vat_classes: {path}, line 3: VAT class PVM1 is mapped twice, to 1 and to 2.",
        ),
        ('vat_class,vat_code\n"PVM1,1\n', "vat_classes: {path}, line 2: unexpected end of data."),
        (b"vat_class,vat_code\nPVM1,\xfe\n", "vat_classes: {path}, line 2: is not UTF-8 text. Save it as CSV UTF-8."),
        (None, "vat_classes: {path}: No such file or directory."),
    ],
)
def test_a_table_that_cannot_be_read_is_explained(tmp_path: Path, content: str | bytes | None, words: str) -> None:
    path = tmp_path / "pvm.csv"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(Stop) as stopped:
        load(VAT_CLASSES, str(path))
    assert str(stopped.value) == words.format(path=path)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            "{'PVM1': 1}",
            "accounts: invalid JSON at line 1, column 2: Expecting property name enclosed in double quotes.",
        ),
        ({"6312": 1.5}, "accounts.6312 must be text in quotes."),
        ({"6312": True}, "accounts.6312 must be text in quotes."),
        ({"6312": {"number": "1"}}, "accounts.6312: number is unknown; known are account."),
        ({"6312": "a", " 6312": "b"}, "accounts. 6312: account 6312 is mapped twice, to a and to b."),
    ],
)
def test_an_inline_table_that_cannot_be_read_is_explained(given: Any, words: str) -> None:
    with pytest.raises(Stop) as stopped:
        load(ACCOUNTS, given)
    assert str(stopped.value) == words


# Codes without a mapping

CODES = [line(code="99", vatclass="PVM32", object="X"), line(code="6312", vatclass="PVM1", object=None)]
DOUBLE = {part: 2 * document()[part] for part in ("subtotal", "vat", "total")}
LACKS = {
    name: {code: {"documents": 2, "example": "SF-1"}}
    for name, code in (("vat_classes", "PVM32"), ("accounts", "99"), ("objects", "X"))
}


def coded() -> list[dict[str, Any]]:
    return messages(*(document(id=f"d-{n}", docnum=f"SF-{n}", lines=CODES, **DOUBLE) for n in (1, 2)))


def test_pass_sends_the_code_as_it_is(mapper: Mapper) -> None:
    done = mapper(coded(), unmapped="pass")
    for found_one in done.records("training_invoices"):
        first, second = found_one["lineItems"]
        assert first["costAccountExternalId"] == "99"
        assert first["invoiceLineItemInfo"]["vatCode"] == "PVM32"
        assert first["dimensions"] == [{"externalId": "X"}]
        assert second["costAccountExternalId"] == "KTO-6312"
    assert done.report["unmapped"] == LACKS
    assert done.warnings == []


def test_leave_out_leaves_the_field_out_and_says_so_once(mapper: Mapper) -> None:
    done = mapper(coded(), unmapped="leave_out")
    for found_one in done.records("training_invoices"):
        first, second = found_one["lineItems"]
        assert not {"costAccountExternalId", "dimensions"} & first.keys()
        assert set(first["invoiceLineItemInfo"]) == {"vatAmount", "vatRate"}
        assert second["invoiceLineItemInfo"]["vatCode"] == "1"
    assert done.report["unmapped"] == LACKS
    assert done.warnings == [
        "2 lines of 2 documents have no account, for example SF-1: Vic.ai learns nothing from them. Give them one in "
        "ivesk.",
        "VAT class PVM32 has no mapping (vat_classes): 2 documents without it, for example SF-1.",
        "account 99 has no mapping (accounts): 2 documents without it, for example SF-1.",
        "object X has no mapping (objects): 2 documents without it, for example SF-1.",
    ]


# Settings


def test_settings_from_the_environment(mapper: Mapper, tmp_path: Path) -> None:
    path = tmp_path / "accounts.csv"
    path.write_text("code;account\n99;KTO-99\n")
    own = {
        "MAPPER_IVESK_VICAI_COMPANY_CODE": COMPANY,
        "MAPPER_IVESK_VICAI_VAT_CLASSES": '{"PVM32": "32", "PVM1": "1"}',
        "MAPPER_IVESK_VICAI_ACCOUNTS": json.dumps(str(path)),
        "MAPPER_IVESK_VICAI_UNMAPPED": "leave_out",
    }
    none = dict.fromkeys(("company_code", "vat_classes", "accounts", "objects"))
    done = mapper(coded(), "--config=ENV", env=own, **none)
    first = done.records("training_invoices")[0]["lineItems"][0]
    assert (first["costAccountExternalId"], first["invoiceLineItemInfo"]["vatCode"]) == ("KTO-99", "32")


def test_wrong_settings_are_explained(mapper: Mapper) -> None:
    wrong = {"company_code": None, "unmapped": "ignore", "vat_classes": 7, "invoice_as": "invoices"}
    done = mapper([], expect=1, **wrong)
    assert sorted(done.complaints[:-1]) == [
        "company_code is missing: set it in the file of --config, or as MAPPER_IVESK_VICAI_COMPANY_CODE with "
        "--config=ENV.",
        "invoice_as is not a setting; did you mean invoices_as?",
        "unmapped must be reject, pass or leave_out.",
        "vat_classes must be text in quotes or an object.",
    ]
    assert done.raw == b""
    assert mapper([], expect=1, accounts="nirgends.csv").complaints == [
        "accounts: nirgends.csv: No such file or directory."
    ]
