"""Tables from ivesk's codes and sellers to Vic's codes and vendors: inline in the settings, or in a CSV file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from ap_connectors.core import settings, text_files
from ap_connectors.core.companies import Identity
from ap_connectors.core.errors import Stop
from ap_connectors.core.validate import id_text

Row = tuple[str | None, ...]
"""What a code becomes: a text for each of its table's columns; None to leave the field out."""

Rows = Mapping[str, Row]
"""The rows of a table, by code."""
_VENDOR_TABLE = "vendor_table"
_FINDS = ("code", "vat", "seller_id")
_COLUMNS = ("country", *_FINDS, "external_id")


@dataclass(frozen=True)
class CodeTable:
    """A table of codes.

    Args:
        setting: where it is given.
        kind: of such a code, for programs.
        what: what messages call such a code.
        field: field of a line that holds the code.
        key: column of the code.
        columns: columns of what it becomes; the first one is required, the others are optional.
    """

    setting: str
    kind: str
    what: str
    field: str
    key: str
    columns: tuple[str, ...]

    @cached_property
    def nothing(self) -> Row:
        """The row of a line without a code."""
        return (None,) * len(self.columns)


VAT_CLASSES = CodeTable("vat_classes", "vat_class", "VAT class", "vatclass", "vat_class", ("vat_code",))
ACCOUNTS = CodeTable("accounts", "account", "account", "code", "code", ("account",))
OBJECTS = CodeTable("objects", "object", "object", "object", "object", ("dimension", "type"))
DOCTYPES = CodeTable("doctypes", "doctype", "kind of document", "doctype", "doctype", ("becomes",))
FIELDS = CodeTable("fields", "field", "field", "field", "field", ("label",))
TABLES = (VAT_CLASSES, ACCOUNTS, OBJECTS)
"""Those by which the codes of lines go."""


def load(table: CodeTable, given: Any) -> Rows:
    """Return the rows of a table.

    Args:
        table: which one.
        given: the setting: an object, the JSON of one, or the path of a CSV file; None if it is not set.

    Raises:
        Stop: the table cannot be read.
    """
    if given is None:
        return {}
    if isinstance(given, str) and given.lstrip().startswith("{"):
        given = settings.json_object(table.setting, given)
    rows: dict[str, Row] = {}
    for where, code, row in _file(table, given) if isinstance(given, str) else _inline(table, given):
        if rows.setdefault(code, row) != row:
            raise Stop(f"{where}: {table.what} {code} is mapped twice, to {rows[code][0]} and to {row[0]}.")
    return rows


def _inline(table: CodeTable, given: Mapping[str, Any]) -> Iterator[tuple[str, str, Row]]:
    for code, value in given.items():
        where = f"{table.setting}.{code}"
        members = value if isinstance(value, dict) else {table.columns[0]: value}
        if unknown := sorted(members.keys() - set(table.columns)):
            raise Stop(f"{where}: {unknown[0]} is unknown; known are {', '.join(table.columns)}.")
        yield where, code.strip(), tuple(word(where, members.get(column)) for column in table.columns)


def word(where: str, value: Any) -> str | None:
    """Return a value of an inline table as text; None if it is blank.

    Raises:
        Stop: it is neither text nor a whole number.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | None):
        raise Stop(f"{where} must be text in quotes.")
    return None if value is None else str(value).strip() or None


def _file(table: CodeTable, path: str) -> Iterator[tuple[str, str, Row]]:
    for where, said in read_csv(table.setting, path, (table.key, table.columns[0])):
        code = said.get(table.key)
        if code is None:
            raise Stop(f"{where}: {table.key} is empty.")
        yield where, code, tuple(said.get(column) for column in table.columns)


def read_csv(
    setting: str, path: str, needed: Sequence[str], *, one_of: Sequence[str] = ()
) -> Iterator[tuple[str, dict[str, str | None]]]:
    """Yield the rows of a CSV file: where each is, and its cells by the names of their columns; None for empty ones.

    Args:
        setting: that names the file.
        path: of the file.
        needed: columns that it must have; every row must have a cell for the last of them.
        one_of: columns of which it must have one.

    Raises:
        Stop: it cannot be read.
    """
    text = text_files.read(path, f"{setting}: {path}", hint="Save it as CSV UTF-8.")
    if not text.strip():
        raise Stop(f"{setting}: {path} is empty.")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    try:
        names = [name.strip().lower() for name in next(rows, [])]
        if twice := [name for name in dict.fromkeys(names) if name and names.count(name) > 1]:
            raise Stop(f"{setting}: {path} has the column {twice[0]} twice in its first line; leave one.")
        missing = [name for name in needed if name not in names]
        if one_of and not set(one_of) & set(names):
            missing.append(one_of[0])
        if missing:
            raise Stop(
                f"{setting}: {path} has no column {' and no column '.join(missing)} in its first line; "
                f"it has {', '.join(filter(None, names)) or 'none'}."
            )
        for cells in rows:
            where = f"{setting}: {path}, line {rows.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) <= names.index(needed[-1]):
                raise Stop(f"{where}: there is no cell for {needed[-1]}; leave an empty one if that is meant.")
            if len(cells) > len(names):
                raise Stop(f"{where}: {len(cells)} cells, but the first line names {len(names)} columns.")
            yield where, {name: cell.strip() or None for name, cell in zip(names, cells, strict=False)}
    except csv.Error as error:
        raise Stop(f"{setting}: {path}, line {rows.line_num}: {error}.") from None


def _delimiter(text: str) -> str:
    first = text.splitlines()[0]
    return max(",;\t", key=first.count)


class _VendorRow(NamedTuple):
    identity: Identity
    seller_id: str | None
    external_id: str


class VendorTable:
    """Rows of sellers, found by country and number, or by ivesk's id of the seller.

    Args:
        rows: each with its place, for messages.
    """

    def __init__(self, rows: Iterator[tuple[str, Mapping[str, str | None]]]) -> None:
        self._rows: dict[str, list[_VendorRow]] = {}
        for where, said in rows:
            row = _vendor_row(where, said)
            for name in (*row.identity.numbers, *([f"id {row.seller_id}"] if row.seller_id else [])):
                self._rows.setdefault(name, []).append(row)

    def find(self, identity: Identity, seller_id: str | None) -> list[str]:
        """Return the ERP's ids of a seller; several if rows disagree."""
        by_number = (row for number in identity.numbers for row in self._rows.get(number, ()))
        found = [row.external_id for row in by_number if row.identity.relation(identity) == "same"]
        if seller_id:
            found += [row.external_id for row in self._rows.get(f"id {seller_id}", ())]
        return list(dict.fromkeys(found))


def _vendor_row(where: str, said: Mapping[str, str | None]) -> _VendorRow:
    external_id = id_text(said.get("external_id") or "")
    if not external_id:
        raise Stop(f"{where}: external_id is empty.")
    if not any(said.get(name) for name in _FINDS):
        raise Stop(f"{where}: there is neither code nor vat nor seller_id.")
    identity = Identity.of(said.get("country"), said.get("code"), said.get("vat"))
    if not identity.numbers and not said.get("seller_id"):
        number = said.get("code") or said.get("vat")
        raise Stop(
            f"{where}: {number} tells no seller from another. Give its code or VAT number, or ivesk's seller_id."
        )
    if said.get("country") and identity.country is None:
        raise Stop(f"{where}: country {said['country']} is not a code of two letters, such as LT.")
    return _VendorRow(identity, said.get("seller_id"), external_id)


def load_vendor_table(given: Any) -> VendorTable:
    """Return the table.

    Args:
        given: the setting: a list of objects, the JSON of one, or the path of a CSV file; None if it is not set.

    Raises:
        Stop: it cannot be read.
    """
    if isinstance(given, str) and given.lstrip().startswith("["):
        try:
            given = json.loads(given)
        except ValueError:
            raise Stop(
                f"{_VENDOR_TABLE}: this is not JSON. Give a list of objects, or the path of a CSV file."
            ) from None
    if isinstance(given, str):
        return VendorTable(read_csv(_VENDOR_TABLE, given, ("external_id",), one_of=_FINDS))
    return VendorTable(_inline_vendors(given or []))


def _inline_vendors(rows: Any) -> Iterator[tuple[str, Mapping[str, str | None]]]:
    for place, row in enumerate(rows):
        where = f"{_VENDOR_TABLE}[{place}]"
        if not isinstance(row, Mapping):
            raise Stop(f"{where} is not an object of {', '.join(_COLUMNS)}.")
        if unknown := sorted(row.keys() - set(_COLUMNS)):
            raise Stop(f"{where}: {unknown[0]} is unknown; known are {', '.join(_COLUMNS)}.")
        yield where, {name: word(where, value) for name, value in row.items()}
