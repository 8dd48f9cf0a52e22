"""Tables from ivesk's codes to Vic's: inline in the settings, or in a CSV file; and what nobody has mapped."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ap_connectors.core.errors import Reject, Stop

Row = tuple[str | None, ...]
"""What a code becomes: a text for each of its table's columns; None for nothing."""


@dataclass(frozen=True)
class Kind:
    """A kind of code.

    Args:
        setting: where its table is given.
        what: what messages call such a code.
        key: column of the code.
        columns: columns of what it becomes; the first one is needed, the others are optional.
    """

    setting: str
    what: str
    key: str
    columns: tuple[str, ...]


VAT_CLASSES = Kind("vat_classes", "VAT class", "vat_class", ("vat_code",))
ACCOUNTS = Kind("accounts", "account", "code", ("account",))
OBJECTS = Kind("objects", "object", "object", ("dimension", "type"))
KINDS = (VAT_CLASSES, ACCOUNTS, OBJECTS)

Unmapped = Literal["reject", "pass", "leave_out"]


@dataclass
class Lack:
    """A code without a mapping: in how many documents, and the number of one of them."""

    documents: int
    example: str


class Table:
    """The table of one kind of code.

    Args:
        kind: of code.
        given: the setting: an object, the JSON of one, or the path of a CSV file; None if there is none.
        unmapped: what becomes of a code that the table lacks.

    Raises:
        Stop: the table cannot be read.
    """

    def __init__(self, kind: Kind, given: Any, unmapped: Unmapped) -> None:
        self.kind = kind
        self.lacks: dict[str, Lack] = {}
        self._unmapped = unmapped
        self._rows = {} if given is None else _read(kind, given)

    def find(self, code: str | None, lacking: dict[tuple[str, str], Table]) -> Row:
        """Return what a code becomes; empty texts where a field is to be left out.

        Args:
            code: as the document has it; None if it has none.
            lacking: takes up the code if the table lacks it.
        """
        nothing: Row = (None,) * len(self.kind.columns)
        if code is None:
            return nothing
        row = self._rows.get(code)
        if row is not None:
            return row
        lacking[self.kind.setting, code] = self
        return (code, *nothing[1:]) if self._unmapped == "pass" else nothing

    def note(self, code: str, document: str) -> None:
        """Count a document with a code that the table lacks."""
        lack = self.lacks.setdefault(code, Lack(0, document))
        lack.documents += 1


def check(lacking: Mapping[tuple[str, str], Table], document: str, unmapped: Unmapped) -> None:
    """Count what a document lacks.

    Raises:
        Reject: it lacks something, and is to be set aside for it.
    """
    for (_, code), table in lacking.items():
        table.note(code, document)
    if lacking and unmapped == "reject":
        named = ", ".join(f"{table.kind.what} {code} ({table.kind.setting})" for (_, code), table in lacking.items())
        raise Reject(f"No mapping for {named}.")


def _read(kind: Kind, given: Any) -> dict[str, Row]:
    if isinstance(given, str) and given.lstrip().startswith("{"):
        try:
            given = json.loads(given)
        except json.JSONDecodeError as error:
            raise Stop(f"{kind.setting}: no valid JSON at column {error.colno}: {error.msg}.") from None
    rows: dict[str, Row] = {}
    for where, code, row in _file(kind, given) if isinstance(given, str) else _inline(kind, given):
        if rows.setdefault(code, row) != row:
            raise Stop(f"{where}: {kind.what} {code} is mapped twice, to {rows[code][0]} and to {row[0]}.")
    return rows


def _inline(kind: Kind, given: Mapping[str, Any]) -> Iterator[tuple[str, str, Row]]:
    for code, value in given.items():
        where = f"{kind.setting}.{code}"
        members = value if isinstance(value, dict) else {kind.columns[0]: value}
        if unknown := sorted(members.keys() - set(kind.columns)):
            raise Stop(f"{where}: {unknown[0]} is unknown; known are {', '.join(kind.columns)}.")
        yield where, code.strip(), tuple(_word(where, members.get(column)) for column in kind.columns)


def _word(where: str, value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | None):
        raise Stop(f"{where} must be text in quotes.")
    return None if value is None else str(value).strip() or None


def _file(kind: Kind, path: str) -> Iterator[tuple[str, str, Row]]:
    rows = csv.reader(io.StringIO(_text(kind, path), newline=""), delimiter=_delimiter(_text(kind, path)), strict=True)
    try:
        names = [name.strip().lower() for name in next(rows, [])]
        if missing := [name for name in (kind.key, kind.columns[0]) if name not in names]:
            raise Stop(
                f"{kind.setting}: {path} has no column {' and no column '.join(missing)} in its first line; "
                f"it has {', '.join(filter(None, names)) or 'none'}."
            )
        for cells in rows:
            where = f"{kind.setting}: {path}, line {rows.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) <= names.index(kind.columns[0]):
                raise Stop(f"{where}: there is no cell for {kind.columns[0]}; leave an empty one if that is meant.")
            if len(cells) > len(names):
                raise Stop(f"{where}: {len(cells)} cells, but the first line names {len(names)} columns.")
            said = {name: cell.strip() or None for name, cell in zip(names, cells, strict=False)}
            code = said.get(kind.key)
            if code is None:
                raise Stop(f"{where}: {kind.key} is empty.")
            yield where, code, tuple(said.get(column) for column in kind.columns)
    except csv.Error as error:
        raise Stop(f"{kind.setting}: {path}, line {rows.line_num}: {error}.") from None


def _text(kind: Kind, path: str) -> str:
    try:
        return Path(path).expanduser().read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Stop(f"{kind.setting}: {path} is not UTF-8 text; save it as CSV UTF-8.") from None
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "it cannot be read"
        raise Stop(f"{kind.setting}: {path}: {reason}.") from None


def _delimiter(text: str) -> str:
    first = text.partition("\n")[0]
    return max(",;\t", key=first.count)
