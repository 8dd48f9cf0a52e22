"""Lists that people keep in a spreadsheet, as Singer input: a row is a record, its heads are the names of the fields.

Nothing is guessed: a cell is text, an empty one says nothing, and what leaves a doubt ends the reading.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeGuard

from ap_connectors.core import sheets
from ap_connectors.core.errors import Stop
from ap_connectors.core.mistakes import Mistakes
from ap_connectors.core.settings import closest
from ap_connectors.core.validate import id_text
from ap_connectors.singer import listing, reject_sheets
from ap_connectors.singer.schema import canonical
from ap_connectors.singer.sink import ListColumns

_log = logging.getLogger(__name__)
_NOT_READ = frozenset({".xls", ".xlsm", ".xlsb", ".ods", ".numbers", ".html", ".htm", ".pdf"})
"""Endings of what a person may take for a sheet to be loaded."""
_day = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
_not_a_value = re.compile(
    r"-?[0-9](?:[.,][0-9]+)?E[-+][0-9]{2,}|#(?:[^\W\d_]+(?:/0)?[!?]|[^\W\d_]/[^\W\d_])|#{2,}"
).fullmatch
"""What a spreadsheet writes into CSV of a long number, of an error, and of what its column is too narrow for."""
_like_a_day = re.compile(r"[0-9]{1,4}[-./ ]+[0-9]{1,2}[-./ ]+[0-9]{1,4}(?:[^0-9].*)?").match
_MOST_NAMED = 5
"""Keys, or headings, that a message names."""
_MARKS = ("~${}", ".~lock.{}#")
"""What Excel and LibreOffice call the file that lies beside an open one."""
_is_mark = re.compile("|".join(re.escape(mark).replace(r"\{\}", ".+") for mark in _MARKS)).fullmatch
_is_padded = re.compile(r"0[0-9]+").fullmatch
_stream = re.compile(r"[A-Za-z]+(_[A-Za-z]+)*")


def is_sheet(name: Any) -> TypeGuard[str]:
    """Return whether a file of this name is a sheet.

    Raises:
        Stop: it is one that cannot be read.
    """
    if not isinstance(name, str):
        return False
    if _is_mark(Path(name).name):
        raise Stop(
            f"{name} is the mark of a sheet that is open, not the sheet. Save the sheet, close it, and name it itself."
        )
    suffix = Path(name).suffix.lower()
    if suffix in _NOT_READ:
        raise Stop(f"{name} cannot be loaded. Save it as .xlsx, or load a file of Singer messages (.jsonl).")
    return suffix in sheets.SUFFIXES


def stream_of(path: Path) -> str:
    """Return the stream that the name of a file begins with: "vat_codes - Kopi (2).xlsx"."""
    found = _stream.match(path.stem)
    return found.group() if found else path.stem


Tell = Callable[[str, Mapping[str, str | None], Sequence[str]], None]


def messages(
    path: Path,
    columns_of: Callable[[str], ListColumns] = lambda _: ListColumns(),
    tell: Tell = lambda *_: None,
    streams: Sequence[str] = (),
) -> Iterator[bytes]:
    """Return the lines of Singer input that a sheet stands for: corrected rejects, or a list.

    A list is read whole before anything of it goes on, and all that is wrong with it is told at once. Its n-th line is
    its n-th row, so that messages name the row.

    Args:
        path: of the sheet.
        columns_of: what the columns of a stream are called, by its name. Headings are checked where fields are known.
        tell: takes a list's stream, the headings of what is left out with the fields that may be meant, and those
            fields without a column that new records need.
        streams: those that a list may be of; none if that is not known.

    Raises:
        Stop: it cannot be read, or not without a guess.
    """
    listing.require("the input", str(path))
    for mark in _MARKS:
        if (beside := path.with_name(mark.format(path.name))).exists():
            _log.warning("%s is open elsewhere (%s is there): what is not saved yet is not read.", path, beside.name)
    mistakes = Mistakes()
    rows = sheets.read(path, escaped=False, on_mistake=mistakes.add)
    first = next(rows, None)
    if first is None:
        mistakes.tell()
        raise Stop(f"{path} has no rows below its first one, which names the fields.")
    if {reject_sheets.ORIGINAL, *reject_sheets.LEAD} & {head for head, _ in first.cells}:
        rows.close()
        return reject_sheets.messages(path, lambda stream: columns_of(stream).times)
    if streams:
        _check_name(path, streams)
    return _lines(path, first, rows, columns_of, tell=tell, mistakes=mistakes)


def _check_name(path: Path, streams: Sequence[str]) -> None:
    """Check that the name of a list begins with a stream.

    Raises:
        Stop: it does not.
    """
    stream, known = stream_of(path), {canonical(name): name for name in streams}
    if canonical(stream) in known:
        return
    words = (canonical(word) for word in re.findall(r"[A-Za-z_]+", path.stem))
    found = next((known[word] for word in words if word in known), None)
    meant = found or known.get(closest(canonical(stream), known) or "")
    hint = f" Is {meant}{path.suffix} meant?" if meant else ""
    raise Stop(
        f"{path}: the name of a list begins with its stream, and {stream} is not one of {', '.join(streams)}. Rename "
        f"the file.{hint}"
    )


def _lines(
    path: Path,
    first: sheets.Row,
    rows: Generator[sheets.Row, None, None],
    columns_of: Callable[[str], ListColumns],
    *,
    tell: Tell,
    mistakes: Mistakes,
) -> Iterator[bytes]:
    with closing(rows):
        lines = _list(path, [first, *rows], columns_of, tell, mistakes)
    yield from lines


def _list(
    path: Path,
    rows: Sequence[sheets.Row],
    columns_of: Callable[[str], ListColumns],
    tell: Tell,
    mistakes: Mistakes,
) -> list[bytes]:
    names = _names(path, [head for head, _ in rows[0].cells])
    stream = stream_of(path)
    columns = columns_of(stream)
    with mistakes.noting("heads"):
        _check_heads(path, stream, [".".join(name) for name in names if name[0]], columns)
    schema = {"type": "object", "properties": {name[0]: {} for name in names if name[0]}}
    times = {canonical(name) for name in columns.times}
    lines = [_line({"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": []})]
    if any(row.page != rows[0].page for row in rows):
        message = f"{path} has lists in more than one sheet. Save the one that is meant as a file of its own."
        mistakes.add("sheets", message)
        rows = [row for row in rows if row.page == rows[0].page]
    for row in rows:
        if row.beyond:
            more = "1 more cell" if row.beyond == 1 else f"{row.beyond} more cells"
            mistakes.add(
                "beyond",
                f"{path}, {row.where}: {more} than the first row has heads. The first row names the fields; in CSV a "
                "text with a comma stands in quotation marks.",
            )
        if row.unseen:
            mistakes.add(
                "hidden column",
                f"{path}, {row.where}: the hidden column {row.unseen[0]} has a value, which you may not see. Show the "
                "column if it is to be loaded, else delete it; nothing was loaded.",
            )
        lines += [b"\n"] * (row.number - len(lines) - 1)
        record = _record(
            names,
            [
                _value(text, f"{path}, {row.where}, {head}", mistakes, is_time=canonical(head) in times)
                for head, text in row.cells
            ],
        )
        lines.append(_line({"type": "RECORD", "stream": stream, "record": record}))
    keys = [canonical(name) for name in columns.keys]
    repeated: list[sheets.Row] = []
    with mistakes.noting("days"):
        _check_days(path, rows)
    with mistakes.noting("zeros"):
        _check_zeros(path, rows, keys)
    with mistakes.noting("one key"):
        repeated = _repeated(path, rows, keys)
    mistakes.tell()
    if columns.known:
        filled = {head: None for row in rows for head, text in row.cells if head and text.strip()}
        there = {*map(canonical, filled)}
        tell(stream, columns.left_out(filled), [name for name in columns.needed if canonical(name) not in there])
    for row in repeated:
        lines[row.number - 1] = b"\n"
    return lines


def _check_heads(path: Path, stream: str, heads: Sequence[str], columns: ListColumns) -> None:
    """Check that the key's column is there, and that no heading of a field that is needed is misspelt.

    Otherwise each row would be set aside by itself, for one mistake.

    Raises:
        Stop: it is not, or one is; or a column is there that no list may have.
    """
    refused = {canonical(name): why for name, why in columns.refused.items()}
    for head in heads:
        if why := refused.get(canonical(head.partition(".")[0])):
            member = head.partition(".")[2]
            field = columns.meant_by(member) if member else None
            todo = f"in a list use {field}" if field else "take the column out"
            raise Stop(f"{path}, {head}: {why}; {todo}. Nothing was loaded.")
    if not columns.known:
        return
    there = {canonical(head) for head in heads}
    keyless = bool(columns.keys) and not there & {canonical(name) for name in columns.keys}
    wanted = [name for name in columns.needed if canonical(name) not in there] + [*columns.keys] * keyless
    unknown = columns.left_out(heads)
    meant = {head: name for head, name in unknown.items() if name in wanted}
    if meant:
        told = "; ".join(f"{head}: did you mean {field}?" for head, field in meant.items())
        raise Stop(
            f"{path}: {stream} have no such field as the first row names: {told} Correct the heading; nothing was "
            "loaded."
        )
    if keyless:
        more = [f"{len(unknown) - _MOST_NAMED} more"] if len(unknown) > _MOST_NAMED else []
        others = f", and has {', '.join([*[*unknown][:_MOST_NAMED], *more])}" if unknown else ""
        raise Stop(
            f"{path}: no column is called {' or '.join(columns.keys)}, which is the key of {stream}. The first row "
            f"names the columns{others}. Correct the heading; nothing was loaded."
        )


def _repeated(path: Path, rows: Sequence[sheets.Row], keys: Sequence[str]) -> list[sheets.Row]:
    """Return the rows that say once more what another one says of the same key.

    Raises:
        Stop: rows say different things of one key: each load would take the first, and then the last.
    """
    firsts: dict[tuple[str, str], tuple[sheets.Row, dict[str, str]]] = {}
    again: list[sheets.Row] = []
    doubled: list[str] = []
    for row in rows:
        cells = {head.strip(): text.strip() for head, text in row.cells if text.strip()}
        by_name = {canonical(head): head for head in cells}
        head = next((by_name[name] for name in keys if name in by_name), None)
        if head is None:
            continue
        first, said = firsts.setdefault((canonical(head), id_text(cells[head])), (row, cells))
        if cells != said:
            differ = [name for name in {**said, **cells} if said.get(name) != cells.get(name)]
            doubled.append(
                f"{first.where} and {row.where} have the same {head} {cells[head]}: {', '.join(differ)} differ"
                + "s" * (len(differ) == 1)
            )
        elif first is not row:
            again.append(row)
    if doubled:
        more = [f"{len(doubled) - _MOST_NAMED} more"] if len(doubled) > _MOST_NAMED else []
        raise Stop(
            f"{path}: {'; '.join(doubled[:_MOST_NAMED] + more)}. Which row counts? Remove the other; nothing was "
            "loaded."
        )
    return again


def _check_days(path: Path, rows: Sequence[sheets.Row]) -> None:
    """Check that no column mixes days with other values: a spreadsheet makes a day of a code such as MAR-1.

    Raises:
        Stop: one has.
    """
    others = {head for row in rows for head, text in row.cells if text.strip() and not _like_a_day(text)}
    for row in rows:
        for head, text in row.cells:
            if head in others and _is_day(text):
                raise Stop(
                    f"{path}, {row.where}, {head}: this is the day {text}, and the column has other values than "
                    "days, too. If the spreadsheet has made a day of it, make the cell text, and type it anew."
                )


def _check_zeros(path: Path, rows: Sequence[sheets.Row], keys: Sequence[str]) -> None:
    """Check that no key is a number shorter than others that begin with zeros: who types 008 into such a cell gets 8.

    Raises:
        Stop: one is.
    """
    for key in keys:
        cells = [(row, head, text) for row in rows for head, text in row.cells if canonical(head) == key]
        padded = min((text for *_, text in cells if _is_padded(text.strip())), key=len, default="")
        for row, head, text in cells:
            if isinstance(text, sheets.Retyped) and text.isdigit() and len(text) < len(padded):
                raise Stop(
                    f"{path}, {row.where}, {head}: {text} is a number, and other rows have zeros in front ({padded}), "
                    "which a spreadsheet takes off numbers. Make the cell text, and type it anew; nothing was loaded."
                )


def _names(path: Path, heads: Sequence[str]) -> list[list[str]]:
    """Return the fields of the columns: `taxInfo.orgNumber` is a member of `taxInfo`."""
    names = [head.strip().split(".") for head in heads]
    doubled = [".".join(name) for name, times in Counter(map(tuple, names)).items() if times > 1 and name[0]]
    doubled += [".".join(name) for name in names for other in names if name == other[: len(name)] and name != other]
    if doubled:
        raise Stop(f"{path}: the first row names {doubled[0]} more than once. Which column counts? Remove the other.")
    return names


def _record(names: Sequence[Sequence[str]], cells: Sequence[str]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for (*parents, name), text in zip(names, cells, strict=False):
        if text.strip():
            place = record
            for parent in parents:
                place = place.setdefault(parent, {})
            place[name] = text
    return record


def _value(text: str, where: str, mistakes: Mistakes, *, is_time: bool) -> str:
    """Return a cell; a day that a spreadsheet has as a date, and a time to the minute, pass for fields that are times.

    What is not the value, but what a spreadsheet shows instead, is noted.
    """
    if _not_a_value(text):
        mistakes.add(
            "no value",
            f"{where}: {text} is what a spreadsheet shows instead of the value. Write the value with all its digits, "
            "and save the list as .xlsx, with the cell as text.",
        )
    if is_time:
        text = reject_sheets.with_seconds(text)
    return f"{text}T00:00:00" if _is_day(text) else text


def _is_day(text: str) -> bool:
    return isinstance(text, sheets.Retyped) and bool(_day(text))


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=False).encode() + b"\n"
