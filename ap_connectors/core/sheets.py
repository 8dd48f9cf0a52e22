"""Tables for spreadsheets, written and read: every cell is text, so no digit and no zero is lost, and no formula runs.

In CSV a text that a spreadsheet would take for a formula, or make a number or a date of, begins with an apostrophe,
which reading takes off again.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any

from ap_connectors.core.errors import Stop
from ap_connectors.core.mistakes import OnMistake, at_once
from ap_connectors.core.redact import printable
from ap_connectors.core.validate import id_text

SUFFIXES = frozenset({".csv", ".xlsx"})
_MOST = 32_000
"""Characters of a cell; Excel takes 32,767. What is longer goes on in the next column of its name."""
_LARGE_PART, _MOST_TIMES = 100_000_000, 250
"""A part of a workbook is refused above so many bytes, if that is also so many times what it takes packed."""
_LEAP = datetime(1900, 3, 1)
"""Before it Excel counts a day that never was (29 February 1900), so that its dates are one off."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
_EXACT = 15
"""Digits that a number of a spreadsheet keeps."""
_plain_number = re.compile(r"0|[1-9][0-9]{0,14}").fullmatch
_number = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?").fullmatch
_month = re.compile(
    r"(jan|feb|mar|apr|ma[yi]|jun|jul|aug|sep|o[ck]t|nov|de[cs]|sau|[v]as|kov|bal|geg|bir|lie|rgp|rgs|spa|lap|gru)"
    r"[a-z]*[-/. ]?[0-9]{1,4}",
    re.IGNORECASE,
).fullmatch
_merged = re.compile(rb"<(?:\w+:)?mergeCell\s[^>]*?\bref=[\"']([^\"']+)").search
_elements = re.compile(rb"<(?:\w+:)?(row|col)\b([^>]*)>").finditer
_is_hidden = re.compile(rb"\bhidden=[\"'](?:1|true)[\"']").search
_attribute = re.compile(rb"\b(r|min|max)=[\"'](\d+)[\"']").findall
_NOT_UTF_8 = "{} is not UTF-8 text. Save it as “CSV UTF-8”, or as .xlsx."
_MOST_HIDDEN = 5
"""Hidden rows that a message names."""


class Retyped(str):
    """What a spreadsheet has made a number or a date of, as text; in CSV it may have."""

    __slots__ = ()


@dataclass(frozen=True)
class Sheet:
    """A table.

    Args:
        name: of the sheet.
        heads: of its columns.
        rows: cells as text; what a row lacks at its end is empty.
        hidden: heads of columns that people need not see.
        wide: heads of columns with sentences.
        notes: what people see who point at a head, by head.
        formats: of the empty cells of a column, by head, as spreadsheets write them ("@" is text).
    """

    name: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    hidden: frozenset[str] = frozenset()
    wide: frozenset[str] = field(default=frozenset())
    notes: Mapping[str, str] = field(default_factory=dict)
    formats: Mapping[str, str] = field(default_factory=dict)


def cut(text: str) -> list[str]:
    """Return a long text in pieces that fit into cells; they are read together if their columns have one name."""
    return [text[start : start + _MOST] for start in range(0, len(text), _MOST)] or [""]


def csv_bytes(sheet: Sheet) -> bytes:
    """Return a sheet as CSV: UTF-8 with a mark by which Excel knows it."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(map(_harmless, sheet.heads))
    writer.writerows([_harmless(cell) for cell in row] for row in sheet.rows)
    return out.getvalue().encode("utf-8-sig", errors="replace")


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) or _is_rewritten(cell) else cell


def _is_rewritten(cell: str) -> bool:
    """Return whether a spreadsheet that opens CSV makes something else of a text: 007, 1-2, 2026-03-01, Mar 1, true."""
    if cell[:1].isdigit():
        return not _plain_number(cell)
    return _month(cell) is not None or cell.lower() in {"true", "false"}


def xlsx_bytes(sheets: Sequence[Sheet]) -> bytes:
    """Return a workbook; openpyxl has to be installed."""
    from openpyxl import Workbook  # noqa: PLC0415 - an extra brings it
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415
    from openpyxl.comments import Comment  # noqa: PLC0415
    from openpyxl.styles import Alignment, Font  # noqa: PLC0415
    from openpyxl.utils import get_column_letter  # noqa: PLC0415

    book = Workbook(write_only=True)
    bold, wrapped = Font(bold=True), Alignment(wrap_text=True, vertical="top")
    for sheet in sheets:
        page = book.create_sheet("".join("_" if one in "[]:*?/\\" else one for one in sheet.name)[:31])
        page.freeze_panes = "A2"
        for number, head in enumerate(sheet.heads, 1):
            column = page.column_dimensions[get_column_letter(number)]
            column.hidden = head in sheet.hidden
            column.width = 60 if head in sheet.wide else 18
            if kind := sheet.formats.get(head):
                column.number_format = kind
        for number, row in enumerate([sheet.heads, *sheet.rows]):
            cells = []
            for head, text in zip(sheet.heads, row, strict=False):
                cell = WriteOnlyCell(page, value=printable(text) if head not in sheet.hidden else text)
                # Text, whatever it looks like: not a number, nor a formula.
                cell.data_type, cell.number_format, cell.quotePrefix = "s", "@", True
                if number == 0:
                    cell.font = bold
                    if note := sheet.notes.get(head):
                        cell.comment = Comment(note, "ap-connectors")
                elif head in sheet.wide:
                    cell.alignment = wrapped
                cells.append(cell)
            page.append(cells)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


@dataclass(frozen=True)
class Row:
    """A row of a sheet that is not empty.

    Args:
        page: the sheet of a workbook; empty in CSV.
        where: it stands, in words.
        number: counted from 1, as a spreadsheet shows it; the heads are row 1.
        cells: a cell for each head, with it.
        beyond: how many cells have something in them, and no head above.
        unseen: heads of hidden columns in which it has something.
    """

    page: str
    where: str
    number: int
    cells: Sequence[tuple[str, str]]
    beyond: int
    unseen: Sequence[str] = ()


def read(path: Path, *, escaped: bool = True, on_mistake: OnMistake = at_once) -> Generator[Row, None, None]:
    """Yield the rows of a sheet that are not empty.

    Args:
        path: of the file.
        escaped: whether `csv_bytes` has put apostrophes before cells of CSV.
        on_mistake: takes what is not clear: a formula, a number whose digits a spreadsheet has rounded, merged cells,
            or, at the end, rows that are hidden. Such a cell passes for an empty one then.

    Raises:
        Stop: the file cannot be read.
    """
    try:
        if path.suffix.lower() == ".csv":
            yield from _read_csv(path, escaped=escaped)
        else:
            yield from _read_xlsx(path, on_mistake)
    except OSError as error:
        raise Stop(f"{path} cannot be read: {error.strerror or type(error).__name__}.") from None
    except UnicodeDecodeError:
        raise Stop(_NOT_UTF_8.format(path)) from None
    except csv.Error as error:
        if "NUL" in str(error):  # Python 3.10
            raise Stop(_NOT_UTF_8.format(path)) from None
        raise Stop(
            f"{path} is not CSV: {error}. Look for a quotation mark that is not closed, or save it as .xlsx."
        ) from None


def _read_csv(path: Path, *, escaped: bool) -> Iterator[Row]:
    csv.field_size_limit(1 << 30)
    with path.open(encoding="utf-8-sig", newline="") as file:
        # Excel writes semicolons where the comma is the decimal sign.
        delimiter = max(",;\t", key=file.readline().count)
        file.seek(0)
        rows = csv.reader(file, delimiter=delimiter, strict=True)
        heads = [id_text(head) for head in next(rows, [])]
        _require_text(path, heads)
        for number, row in enumerate(rows, 2):
            _require_text(path, row)
            cells = [_unescaped(cell) for cell in row] if escaped else row
            yield from _row("", f"line {rows.line_num}", number, heads, cells)


def _require_text(path: Path, row: Sequence[str]) -> None:
    """Check that a row has no half of a character of UTF-16, whose Latin letters pass for UTF-8 with NULs.

    Raises:
        Stop: it has.
    """
    if any("\0" in cell for cell in row):
        raise Stop(_NOT_UTF_8.format(path))


def _unescaped(cell: str) -> str:
    """Return a cell that `csv_bytes` has written; a number without an apostrophe may have been typed with more."""
    return Retyped(cell) if _number(cell) else cell.removeprefix("'")


def _row(page: str, where: str, number: int, heads: Sequence[str], cells: Sequence[str]) -> Iterator[Row]:
    if any(cell.strip() for cell in cells):
        whole = [*cells, *[""] * (len(heads) - len(cells))]
        beyond = [cell for head, cell in zip_longest(heads, cells, fillvalue="") if cell.strip() and not head]
        yield Row(page, where, number, [*zip(heads, whole, strict=False)], len(beyond))


def _read_xlsx(path: Path, on_mistake: OnMistake) -> Iterator[Row]:
    from xml.etree.ElementTree import ParseError  # noqa: PLC0415
    from zipfile import BadZipFile  # noqa: PLC0415
    from zlib import error as zlib_error  # noqa: PLC0415

    from openpyxl.utils.exceptions import InvalidFileException  # noqa: PLC0415

    # Of bytes, as a file would stay open when a row is refused.
    content = io.BytesIO(path.read_bytes())
    try:
        yield from _rows_of_book(path, content, on_mistake)
    except (BadZipFile, InvalidFileException, KeyError, IndexError, ValueError, ParseError, EOFError, zlib_error):
        raise Stop(
            f"{path} is not an Excel workbook (.xlsx), or is damaged. Open it in a spreadsheet, and save it as .xlsx."
        ) from None


def _require_harmless(path: Path, archive: Any) -> None:
    """Refuse what would fill the memory, before it is unpacked: no spreadsheet writes either.

    Raises:
        Stop: a part unpacks to far more than its size, or declares entities.
    """
    for part in archive.infolist():
        bomb = part.file_size > _LARGE_PART and part.file_size > _MOST_TIMES * part.compress_size
        with archive.open(part) as opened:
            if bomb or b"<!DOCTYPE" in opened.read(4096):
                what = f"unpacks to {part.file_size} bytes" if bomb else "has a DOCTYPE"
                raise Stop(f"{path}: {part.filename} in it {what}, which can do harm. Save the list anew as .xlsx.")


def _rows_of_book(path: Path, content: IO[bytes], on_mistake: OnMistake) -> Iterator[Row]:
    from openpyxl.reader.excel import ExcelReader  # noqa: PLC0415

    # What `load_workbook` does; but only the reader tells which part of the file a sheet is.
    reader = ExcelReader(content, read_only=True, data_only=False)
    _require_harmless(path, reader.archive)
    reader.read()
    parts = {sheet.name: part.target for sheet, part in reader.parser.find_sheets()}
    hidden = []
    for page in reader.wb.worksheets:
        part = reader.archive.read(parts[page.title])
        _require_unmerged(path, part, on_mistake)
        unseen = _Unseen.of(part)
        # How large a sheet is, some programs write wrongly; what is beyond would be left out.
        page.reset_dimensions()
        if 1 in unseen.rows:
            hidden.append(f"sheet {page.title}, row 1")
        rows = page.iter_rows()
        heads = [id_text(str(head.value or "")) for head in next(rows, ())]
        for number, row in enumerate(rows, 2):
            where = f"sheet {page.title}, row {number}"
            places = (f"{path}, {where}, {head}".removesuffix(", ") for head in [*heads, *[""] * len(row)])
            texts = [_text(cell, place, on_mistake) for cell, place in zip(row, places, strict=False)]
            for found in _row(page.title, where, number, heads, texts):
                if page.sheet_state != "visible":
                    raise Stop(
                        f"{path}: the sheet {page.title} is hidden, and has rows. Show it if they are to be loaded, "
                        "else delete it; nothing was loaded."
                    )
                if number in unseen.rows:
                    hidden.append(where)
                heads_unseen = [
                    head
                    for column, (head, text) in enumerate(found.cells, 1)
                    if head and text.strip() and any(column in columns for columns in unseen.columns)
                ]
                yield replace(found, unseen=heads_unseen)
    _require_shown(path, hidden, on_mistake)


@dataclass(frozen=True)
class _Unseen:
    """Numbers of the rows and of the columns of a sheet that are hidden, by hand, by a filter or folded away."""

    rows: frozenset[int]
    columns: Sequence[range]

    @classmethod
    def of(cls, part: bytes) -> _Unseen:
        """Return those of a sheet, by the part of the file that it is; openpyxl passes over it when it streams."""
        rows, columns, number = set(), [], 0
        for element in _elements(part):
            numbers = {name: int(value) for name, value in _attribute(element[2])}
            is_row = element[1] == b"row"
            if is_row:
                number = numbers.get(b"r", number + 1)
            if _is_hidden(element[2]) and is_row:
                rows.add(number)
            elif _is_hidden(element[2]):
                columns.append(range(numbers.get(b"min", 0), numbers.get(b"max", 0) + 1))
        return cls(frozenset(rows), columns)


def _require_shown(path: Path, hidden: Sequence[str], on_mistake: OnMistake) -> None:
    """Check that no row with something in it is hidden: the file has it, and people do not see it."""
    if hidden:
        more = [f"{len(hidden) - _MOST_HIDDEN} more"] if len(hidden) > _MOST_HIDDEN else []
        rows = "1 row is hidden" if len(hidden) == 1 else f"{len(hidden)} rows are hidden"
        on_mistake(
            "hidden rows",
            f"{path}: {rows} by a filter or by hand ({'; '.join([*hidden[:_MOST_HIDDEN], *more])}), so it is not clear "
            "whether they are to be loaded; nothing was. Show them if they are; else delete them, or copy what is "
            "visible into a new file.",
        )


def _require_unmerged(path: Path, part: bytes, on_mistake: OnMistake) -> None:
    """Check that no cells are merged: all of them but the first are empty in the file, and do not look it."""
    if found := _merged(part):
        on_mistake(
            "merged cells",
            f"{path}: the cells {found[1].decode()} are merged, so only the first of them has the value. Unmerge them, "
            "and write into each cell what it is to have.",
        )


def _text(cell: Any, where: str, on_mistake: OnMistake) -> str:
    """Return a cell as text; what a spreadsheet has made a number of must have all its digits."""
    value = cell.value
    if value is None:
        return ""
    if cell.data_type in {"f", "e"}:
        kind = "a formula" if cell.data_type == "f" else f"an error ({value})"
        on_mistake(
            "formula" if cell.data_type == "f" else "error",
            f"{where}: this is {kind}, not a value. Put the value itself there: copy, and paste values only.",
        )
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, timedelta) or (isinstance(value, datetime) and value < _LEAP):
        kind = "a number of hours" if isinstance(value, timedelta) else f"a number that is shown as a day ({value:%Y})"
        on_mistake("number", f"{where}: this is {kind}. Make the cell text, and type it anew.")
        return ""
    if isinstance(value, datetime):
        is_day = (value.hour, value.minute, value.second) == (0, 0, 0)
        return Retyped(value.date().isoformat() if is_day else value.isoformat())
    if isinstance(value, date):
        return Retyped(value.isoformat())
    if isinstance(value, int | float):
        text = f"{Decimal(repr(value)):f}".removesuffix(".0")
        # Beyond the digits that it keeps, a spreadsheet writes zeros.
        if sum(one.isdigit() for one in text.strip("0.-")) > _EXACT or len(text.partition(".")[0].strip("-")) > _EXACT:
            on_mistake(
                "rounded",
                f"{where}: {text} is a number that the spreadsheet may have rounded. Make the cell text, and type it "
                "anew.",
            )
        # A column of the format 00000 shows zeros that its numbers do not have.
        zeros = cell.number_format or ""
        return Retyped(text.zfill(len(zeros)) if text.isdigit() and set(zeros) == {"0"} else text)
    return str(value)
