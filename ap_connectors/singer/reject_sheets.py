"""Rejects as sheets: the record as columns, the line as it came beside them; a corrected sheet is input again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from ap_connectors.core import sheets
from ap_connectors.core.errors import Stop
from ap_connectors.core.redact import printable
from ap_connectors.singer.reject_advice import field_and_value, order, what_to_do

ORIGINAL = "(original line: leave it as it is)"
LEAD = ("(what to do)", "(what is wrong)", "(field)", "(value)", "(stream)", "(key)", "(line)", "(code)")
"""Heads of the columns before the record's own; in brackets, as no field of a record is."""
_WIDE = frozenset(LEAD[:2])
_LONG = "(too long to show)"
_MOST = 2000
"""Characters of a field that are shown."""
_number = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?").fullmatch
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
    return sorted(read, key=lambda pair: order(str((pair[1].get("rejected") or {}).get("code"))))


def sheets_of(rejects: Iterable[Rejected], *, together: bool) -> list[sheets.Sheet]:
    """Return a sheet for each stream, or one for all of them (CSV has no more)."""
    streams: dict[str, list[tuple[Rejected, Message]]] = {}
    for one, message in in_order(rejects):
        streams.setdefault("rejects" if together else str(message.get("stream")), []).append((one, message))
    return [_sheet(name, found) for name, found in streams.items()]


def _sheet(name: str, found: Sequence[tuple[Rejected, Message]]) -> sheets.Sheet:
    fields = list(dict.fromkeys(field for _, message in found for field in message.get("record") or {}))
    pieces = [sheets.cut(one.line.decode()) for one, _ in found]
    rows = []
    for (one, message), piece in zip(found, pieces, strict=True):
        record = message.get("record") or {}
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


def messages(path: Path) -> Iterator[bytes]:
    """Yield the lines of Singer input that a corrected sheet stands for; what was not changed is as it came.

    Raises:
        Stop: it is no sheet of rejects, or a cell cannot be what it should be.
    """
    announced: dict[str, set[str]] = {}
    for where, cells in sheets.read(path):
        original = "".join(text for head, text in cells if head == ORIGINAL)
        try:
            message = json.loads(original, parse_float=Decimal)
            stream, record = message["stream"], message["record"]
        except (ValueError, KeyError, TypeError):
            raise Stop(
                f"{path}, {where}: the column “{ORIGINAL}” is missing or changed. Correct the other columns only, in a "
                "sheet that report_path has written."
            ) from None
        changed = dict(_changes(record, cells, f"{path}, {where}"))
        fields = {*record, *changed}
        if stream not in announced or not fields <= announced[stream]:
            announced[stream] = known = announced.get(stream, set()) | fields
            schema = {"type": "object", "properties": {name: {} for name in sorted(known)}}
            yield _encode({"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": []}) + b"\n"
        yield (_encode({**message, "record": {**record, **changed}}) if changed else original.encode()) + b"\n"


def _changes(record: Mapping[str, Any], cells: Iterable[tuple[str, str]], where: str) -> Iterator[tuple[str, Any]]:
    for head, text in cells:
        if not head or head == ORIGINAL or head in LEAD:
            continue
        before = record.get(head)
        shown = _cell(before)
        if _lines(text) in {_lines(shown), _lines(printable(shown))}:
            continue
        yield head, _value(before, text, f"{where}, {head}")


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")


def _value(before: Any, text: str, where: str) -> Any:
    """Return what a person wrote, in the kind of what was there."""
    if text == "":
        return None
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
