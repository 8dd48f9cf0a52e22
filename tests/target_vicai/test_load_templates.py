"""Blank lists: their columns are those of the stream's page, and what a person fills in is loaded as it was typed."""

from __future__ import annotations

import shlex
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.utils import get_column_letter

from ap_connectors.core.errors import Stop
from target_vicai.streams import ALL, template
from tests.target_vicai.conftest import Target
from tests.target_vicai.store import Store
from tests.target_vicai.test_load_docs import Page

_WITH_PARTS = {"purchase_orders", "training_invoices", "invoices", "vendor_errors"}


@pytest.mark.parametrize("stream", [sink.name for sink in ALL])
def test_columns_are_those_of_the_page(stream: str) -> None:
    if stream in _WITH_PARTS:
        with pytest.raises(Stop, match=f"{stream} have parts, .* Lists can be made of accounts, dimensions"):
            template(stream)
        return
    blank, page = template(stream), {path.strip("`"): needed for path, _, _, needed, *_ in Page(stream).fields}
    assert set(blank.heads) <= page.keys()
    assert [head for head in blank.heads if "[]" in head or head.startswith("documentVendor")] == []
    needed = [head for head in blank.heads if page[head] and "." not in head]
    assert set(needed) <= {*blank.heads[: len(needed) + 1]}, "the key and what is needed stand first"
    assert all(blank.notes[head] for head in blank.heads)


def test_a_blank_list_is_filled_in_and_loaded(store: Store, target: Target, tmp_path: Path) -> None:
    path = tmp_path / "vendors spring.xlsx"
    run = target([], "--template", str(path))
    assert run.calls == []
    command = shlex.split(run.out.partition("load it: ")[2])
    assert (command[0], command[2:]) == ("target-vicai", ["--input", str(path)]), (
        "to be copied, with the blank in the name"
    )
    assert Path(command[1].removeprefix("--config=")).is_file()
    assert "has no rows below its first one" in target([], "--input", str(path), expect=1).complaints[-1]
    book = openpyxl.load_workbook(path)
    page = book.active
    assert page
    heads = {str(cell.value): number for number, cell in enumerate(page[1], 1)}
    note = page.cell(1, 1).comment
    formats = {head: page.column_dimensions[get_column_letter(number)] for head, number in heads.items()}
    assert note
    assert note.text == "Id in the ERP. Text, up to 255 characters. The key: needed."
    assert [formats[head].number_format for head in ("externalId", "externalUpdatedAt", "defaultPaymentInfo.bban")] == [
        "@",
        "yyyy-mm-dd hh:mm:ss",
        "@",
    ]
    typed: dict[str, Any] = {
        "externalId": "007",
        "externalUpdatedAt": datetime(2026, 3, 1),
        "name": "Ąžuolas",
        "taxInfo.is1099vendor": True,
        "defaultPaymentInfo.paymentTerm.count": 30,
        "defaultPaymentInfo.paymentTerm.unit": "DAYS",
    }
    for head, value in typed.items():
        page.cell(2, heads[head]).value = value
    book.save(path)
    content = path.read_bytes()
    run = target([], "--template", str(path), expect=1)
    assert "exists, and may have been filled in" in run.complaints[-1]
    assert path.read_bytes() == content
    assert target([], "--input", str(path)).counts("vendors")["created"] == 1
    store.look()
    made = store.one("vendors", externalId="007")
    assert (made["name"], made["taxInfo"]["is1099vendor"]) == ("Ąžuolas", True)
    assert made["defaultPaymentInfo"]["paymentTerm"] == {"count": 30, "unit": "DAYS"}
    target([], "--template", str(path := tmp_path / "tags.csv"))
    assert path.read_text("utf-8-sig").split() == ["id,value"]
    for name, words in (
        ("suppliers.xlsx", "suppliers is not a stream of target-vicai. Lists can be made of accounts"),
        ("vendors.ods", "has the ending .ods. Name a file that ends in .xlsx or .csv"),
        ("/proc/vendors.csv", "cannot be written"),
    ):
        assert words in target([], "--template", str(tmp_path / name), expect=1).complaints[-1]
