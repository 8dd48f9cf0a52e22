"""Rejects as sheets: the record as columns, the line as it came beside them; a corrected sheet is input again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from ap_connectors.core import sheets
from ap_connectors.core.errors import Stop
from ap_connectors.core.exact import EXACT
from ap_connectors.core.instants import UTC
from ap_connectors.core.redact import printable
from ap_connectors.singer.listing import flat, with_member
from ap_connectors.singer.reject_advice import field_and_value, order, what_to_do
from ap_connectors.singer.schema import canonical

ORIGINAL = "(original line: leave it as it is)"
LEAD = ("(what to do)", "(what is wrong)", "(field)", "(value)", "(stream)", "(key)", "(line)", "(code)")
"""Heads of the columns before the record's own; in brackets, as no field of a record is."""
_VALUE = LEAD[3]
_WIDE = frozenset(LEAD[:2])
_LONG = "(too long to show)"
_MOST = 2000
"""Characters of a field that are shown."""
_MOST_COLUMNS = 200
"""Beyond that, as where names are data, objects stay whole: a spreadsheet takes 16,384 columns."""
_number = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?").fullmatch
_digits = re.compile(r"[-+]?\d+(\.\d+)?").fullmatch
_to_the_minute = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}").fullmatch
"""What people write of a time, and spreadsheets write into CSV where they show it without seconds."""
_shortened = re.compile(r"-?\d+([.,]\d+)?E[-+]?\d+", re.IGNORECASE).fullmatch
_encode = msgspec.json.Encoder(decimal_format="number").encode
Message = dict[str, Any]


@dataclass(frozen=True)
class Rejected:
    """A line of a reject file.

    Args:
        line: as it is there.
        key: what the run called the record; "" if that is not known.
    """

    line: bytes
    key: str = ""

    def message(self) -> Message:
        """Return it as a message, numbers exact."""
        found: Message = json.loads(self.line, parse_float=Decimal)
        return found


def of_file(path: str, since: str, keys: Mapping[int, str]) -> list[Rejected]:
    """Return what a run has added to a reject file.

    Args:
        path: of the file.
        since: when the run began (an instant, UTC).
        keys: natural keys by the number of the line in the run's input.
    """
    found = []
    for line in Path(path).read_bytes().splitlines():
        if b'"rejected"' not in line:
            continue
        rejected = json.loads(line).get("rejected") or {}
        if str(rejected.get("at") or "") >= since:
            found.append(Rejected(line, keys.get(int(rejected.get("line") or 0), "")))
    return found


def in_order(rejects: Iterable[Rejected]) -> list[tuple[Rejected, Message]]:
    """Return rejects with their messages in the order in which a person works them off."""
    read = [(one, one.message()) for one in rejects]
    return sorted(read, key=_turn)


def _turn(pair: tuple[Rejected, Message]) -> tuple[int, int]:
    """Return when it is a record's turn: by what is to be done, then as the input has them."""
    rejected = pair[1].get("rejected") or {}
    return order(str(rejected.get("code"))), int(rejected.get("line") or 0)


def sheets_of(rejects: Iterable[Rejected], *, together: bool) -> list[sheets.Sheet]:
    """Return a sheet for each stream, or one for all of them (CSV has no more)."""
    streams: dict[str, list[tuple[Rejected, Message]]] = {}
    for one, message in in_order(rejects):
        streams.setdefault("rejects" if together else str(message.get("stream")), []).append((one, message))
    return [_sheet(name, found) for name, found in streams.items()]


def _sheet(name: str, found: Sequence[tuple[Rejected, Message]]) -> sheets.Sheet:
    records = [message.get("record") or {} for _, message in found]
    flattened = [flat(record) for record in records]
    if len({field for record in flattened for field in record}) <= _MOST_COLUMNS:
        records = flattened
    fields = list(dict.fromkeys(field for record in records for field in record))
    pieces = [sheets.cut(one.line.decode()) for one, _ in found]
    rows = []
    for (one, message), record, piece in zip(found, records, pieces, strict=True):
        rows.append([*_lead(one, message), *(_cell(record.get(field)) for field in fields), *piece])
    heads = [*LEAD, *fields, *([ORIGINAL] * max(map(len, pieces)))]
    return sheets.Sheet(name, heads, rows, frozenset({ORIGINAL}), _WIDE)


def _lead(one: Rejected, message: Message) -> list[str]:
    rejected = message.get("rejected") or {}
    code = str(rejected.get("code") or "")
    field, value = field_and_value(rejected.get("params") or {})
    reason, line = str(rejected.get("reason") or ""), str(rejected.get("line") or "")
    return [what_to_do(code), reason, field, value, str(message.get("stream") or ""), one.key, line, code]


def _cell(value: Any) -> str:
    shown = as_text(value)
    return shown if len(shown) <= _MOST else _LONG


def as_text(value: Any) -> str:
    """Return a value as a cell: text as it is, nothing for null, all else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else _encode(value).decode()


def with_seconds(text: str) -> str:
    """Return a time to the minute as a whole one, and anything else as it is."""
    return f"{text.strip()}:00" if _to_the_minute(text.strip()) else text


def messages(path: Path, times_of: Callable[[str], Iterable[str]] = lambda _: ()) -> Iterator[bytes]:
    """Yield the lines of Singer input that a corrected sheet stands for; what was not changed is as it came.

    Args:
        path: of the sheet.
        times_of: which fields of a stream are times; a person may write them to the minute, as in a list.

    Raises:
        Stop: it is not a sheet of rejects, or it is unclear what was meant; or a cell cannot be what it should be.
    """
    rows = [_Row(path, row.where, row.cells) for row in sheets.read(path)]
    _check_heads(path, rows)
    announced: dict[str, set[str]] = {}
    for row in rows:
        stream, record = row.message["stream"], row.message["record"]
        times = {*map(canonical, times_of(stream))}
        changed = {
            head: with_seconds(value) if isinstance(value, str) and canonical(head) in times else value
            for head, value in row.changes()
        }
        for head, value in changed.items():
            record = with_member(record, head, value)
        fields = {*record}
        if stream not in announced or not fields <= announced[stream]:
            announced[stream] = known = announced.get(stream, set()) | fields
            schema = {"type": "object", "properties": {name: {} for name in sorted(known)}}
            yield _encode({"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": []}) + b"\n"
        whole = {**row.message, "record": record}
        yield (_encode(whole) if changed else row.original.encode()) + b"\n"


def _check_heads(path: Path, rows: Sequence[_Row]) -> None:
    """Check that no heading was changed: what stands below it would go nowhere.

    Raises:
        Stop: one was, or two are the same.
    """
    sheets_: dict[tuple[str, ...], set[str]] = {}
    for row in rows:
        sheets_.setdefault(row.heads, set()).update(row.fields)
    for heads, fields in sheets_.items():
        own = [head for head in heads if head and head != ORIGINAL]
        if twice := sorted({head for head in own if own.count(head) > 1}):
            raise Stop(f"{path}: two columns are called {twice[0]}. Remove one of them.")
        gone, new = sorted(fields - {*own}), [head for head in own if head not in fields and head not in LEAD]
        if gone and new:
            raise Stop(
                f"{path}: the column {', '.join(gone)} is gone, and {', '.join(new)} is new. If a heading was changed, "
                "write it as it was. A column that is added is a further field; for that no other may go."
            )


class _Row:
    """A row of a corrected sheet.

    Args:
        path: of the sheet.
        where: it stands there.
        cells: with their heads.

    Raises:
        Stop: it does not say which line it is about.
    """

    def __init__(self, path: Path, where: str, cells: Sequence[tuple[str, str]]) -> None:
        self._where, self._cells, self._is_csv = f"{path}, {where}", cells, path.suffix.lower() == ".csv"
        self.heads = tuple(head for head, _ in cells)
        self.original = "".join(text for head, text in cells if head == ORIGINAL)
        if ORIGINAL in self.heads and not self.original:
            raise Stop(
                f"{self._where}: this row is not of a record that was set aside (“{ORIGINAL}” is empty). New records "
                "come from where the others come from: take the row out."
            )
        try:
            self.message: Message = json.loads(self.original, parse_float=Decimal)
            self.message["stream"], self.message["record"].keys()
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Stop(
                f"{self._where}: the column “{ORIGINAL}” is missing or changed. Correct the other columns only, in a "
                "sheet that report_path has written."
            ) from None
        self.fields = flat(self.message["record"], [head for head in self.heads if head != ORIGINAL])
        """The fields that have columns of their own."""
        line, ours = str((self.message.get("rejected") or {}).get("line") or ""), dict(cells).get("(line)")
        if ours and line and ours != line:
            raise Stop(
                f"{self._where}: its cells are not of the line that stands at its end in “{ORIGINAL}” ({line}, not "
                f"{ours}). Sort whole rows, with the hidden column; begin with a sheet as report_path has written it."
            )

    def changes(self) -> Iterator[tuple[str, Any]]:
        """Yield the fields that a person has changed, and what they are now.

        Raises:
            Stop: the correction was written beside the reason, and not into the field.
        """
        self._check_value()
        for head, text in self._cells:
            before = self.fields.get(head)
            if head and head != ORIGINAL and head not in LEAD and not self._is_same(before, text, head):
                yield head, _value(before, text, f"{self._where}, {head}")

    def _check_value(self) -> None:
        field, shown = field_and_value((self.message.get("rejected") or {}).get("params") or {})
        text = dict(self._cells).get(_VALUE) or ""
        head = next((head for head in self.heads if head not in LEAD and canonical(head) == canonical(field)), field)
        is_equal = bool(_digits(text) and _digits(shown)) and Decimal(text) == Decimal(shown)
        is_same = _lines(text) in {"", _lines(shown), _lines(printable(shown))} or is_equal or _is_time(text, shown)
        if not is_same and text != dict(self._cells).get(head):
            into = f"the column {head}" if head else "the column of the field"
            raise Stop(
                f"{self._where}: {_VALUE} was changed, which only says what was wrong. Write {text} into {into}. "
                "Nothing was loaded."
            )

    def _is_same(self, before: Any, text: str, head: str) -> bool:
        """Return whether a cell says what was there, also if a spreadsheet has made a number or a date of it.

        Raises:
            Stop: it may be what a spreadsheet has made of it, or of what a person has typed.
        """
        shown, is_retyped = _cell(before), isinstance(text, sheets.Retyped)
        is_number = bool(_digits(text) and _digits(shown))
        if _lines(text) in {_lines(shown), _lines(printable(shown))}:
            # Text became a number there: it was typed anew. In CSV numbers look like texts.
            if is_number and is_retyped and not self._is_csv and self._is_at_fault(head):
                raise self._in_doubt(text, shown, head)
            return True
        if self._is_csv and _shortened(text):
            raise self._in_doubt(text, shown, head)
        if not is_number:
            return is_retyped and _is_time(text, shown)
        is_equal = Decimal(text) == Decimal(shown)
        if not is_retyped:
            return is_equal and not isinstance(before, str) and not _is_code(text)
        if text != _as_number(text):
            # No spreadsheet adds zeros by itself.
            return False
        if _is_code(shown) or (is_equal and self._is_at_fault(head)):
            raise self._in_doubt(text, shown, head)
        return is_equal

    def _is_at_fault(self, head: str) -> bool:
        """Return whether a field is the one for which the record was set aside."""
        field, _ = field_and_value((self.message.get("rejected") or {}).get("params") or {})
        return canonical(field) == canonical(head)

    def _in_doubt(self, text: str, shown: str, head: str) -> Stop:
        """Return what to say of a number that may have lost zeros, a plus or digits to a spreadsheet."""
        todo = "Make the cell text, and type it with all that belongs to it"
        if self._is_csv:
            todo = "Write it with all its digits, after an apostrophe; or take a sheet in .xlsx, whose cells are text"
        return Stop(
            f"{self._where}, {head}: {text} may be what a spreadsheet has made of it (zeros in front, a plus and long "
            f"numbers get lost), and the record had {shown or 'nothing'}. {todo}. Nothing was loaded."
        )


def _as_number(text: str) -> str:
    """Return a number as a spreadsheet writes it, without a plus and without zeros at both ends."""
    return f"{Decimal(text).normalize(EXACT):f}"


def _is_code(shown: str) -> bool:
    """Return whether the digits of a number say more than its value: 007, +4790011223."""
    return shown.startswith("+") or (shown.startswith("0") and not shown.startswith("0.") and shown != "0")


def _is_time(text: str, shown: str) -> bool:
    return UTC.knows(text) and UTC.knows(shown) and UTC.milliseconds(text) == UTC.milliseconds(shown)


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")


def _value(before: Any, text: str, where: str) -> Any:
    """Return what a person wrote, in the kind of what was there."""
    if text == "":
        return None
    if isinstance(text, sheets.Retyped):
        # A spreadsheet does not show the midnight of a time; and for a field that is a day, midnight passes.
        was_day = isinstance(before, str) and len(before) == 10 and UTC.knows(before)
        text = f"{text}T00:00:00" if not was_day and len(text) == 10 and UTC.knows(text) else str(text)
    if isinstance(before, bool) and text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if isinstance(before, int | Decimal) and not isinstance(before, bool) and _number(text):
        return Decimal(text)
    if isinstance(before, dict | list):
        try:
            return json.loads(text, parse_float=Decimal)
        except ValueError:
            raise Stop(f"{where}: this is not JSON any more. Keep its brackets, quotes and commas.") from None
    return text
