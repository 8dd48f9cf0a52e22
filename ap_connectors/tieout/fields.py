"""What `--fields` and `--files` add to counts and sums: every field as it was sent, every file as it was stored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from decimal import Decimal

import fsspec
import msgspec

from ap_connectors.core.exact import NotAnAmountError, canonical
from ap_connectors.core.raw_json import Record, text
from ap_connectors.tieout.result import Comparison
from ap_connectors.tieout.snapshot import Fields, instant_or_none
from ap_connectors.tieout.warehouse import Table, spelling

_BATCH = 2000
"""Records that are held until the warehouse is asked for their rows."""
_CHUNK = 1 << 20
_TEXT = ("VARCHAR", "CHAR", "TEXT", "STRING", "CLOB", "NVARCHAR")
_TIME = ("TIMESTAMP", "DATETIME")
_exact_json = msgspec.json.Decoder(float_hook=Decimal)

_Key = tuple[str, ...]


class FieldCheck:
    """Compares the source's records, field by field, with the rows of the same key and version.

    Args:
        comparison: where differences are recorded.
        table: the rows; without it nothing is compared.
        key: fields that tell records apart; rows are looked up by the first.
        version: field that tells the states of a record apart, if the table has it.
        keyed: whether the table has one row for each key and version; else as many as were sent.
        alone: whether missing and additional rows are recorded here, since no other comparison does.
        volatile: fields that differ in every answer.

    Raises:
        Stop: the table lacks a field of the key.
    """

    def __init__(
        self,
        comparison: Comparison,
        table: Table | None,
        key: _Key,
        version: str | None = None,
        *,
        keyed: bool = True,
        alone: bool = False,
        volatile: _Key = (),
    ) -> None:
        self.active = table is not None
        if table:
            table.require(key)
        self._comparison = comparison
        self._table = table
        self._key = key
        self._names = (*key, version if table and version and table.has(version) else "")
        self._keyed, self._alone = keyed, alone
        self._volatile = frozenset(map(spelling, volatile))
        types = table.types if table else {}
        self._types = {name: type_ for name, type_ in types.items() if name not in self._volatile}
        self.rows = 0
        """How many rows there are of the versions that came."""
        self._waiting: list[Record] = []
        self._without_column: set[str] = set()

    def add(self, *records: Record) -> None:
        """Add records that belong together, with the fields that the tap adds to them."""
        if self._table:
            self._waiting += records
            # Without a key in the table, equal records have to be compared together.
            if self._keyed and len(self._waiting) >= _BATCH:
                self._compare(self._table)

    def finish(self) -> None:
        """Compare what is left, and note which fields have no column."""
        if self._table:
            self._compare(self._table)
            if self._without_column:
                names = ", ".join(sorted(self._without_column))
                self._comparison.notes.append(f"{self._table.name} has no column for {names}: not compared.")

    def _compare(self, table: Table) -> None:
        sent: dict[_Key, list[Record]] = {}
        for record in self._waiting:
            sent.setdefault(self._identity([text(record, name) for name in self._names]), []).append(record)
        self._waiting = []
        there: dict[_Key, list[Fields]] = {}
        for row in table.records(list(table.types), among=(self._key[0], {identity[0] for identity in sent})):
            there.setdefault(self._identity([row.get(spelling(name)) for name in self._names]), []).append(row)
        for identity, records in sent.items():
            rows = there.pop(identity, [])
            self.rows += len(rows)
            name = " ".join(identity[:-1])
            if self._alone and not rows:
                self._comparison.add("missing", name)
            for record in records[: len(rows)]:
                found = [list(self._differences(record, row)) for row in rows]
                fewest = min(found, key=len)
                rows.pop(found.index(fewest))
                if fewest:
                    self._comparison.add("field", name, words=", ".join(fewest))
            if rows and not self._keyed:
                self._comparison.add("doubled", name, words=f"{len(records) + len(rows)} times")
        if self._alone:
            # The rows of the same owners, in the same state of them, that the source does not have.
            states = {(identity[0], identity[-1]) for identity in sent}
            for identity, rows in there.items():
                if (identity[0], identity[-1]) in states:
                    self.rows += len(rows)
                    self._comparison.add("extra", " ".join(identity[:-1]))

    @staticmethod
    def _identity(values: list[str | None]) -> _Key:
        """Return a record's key, and last its version: the time, however it is written."""
        *key, version = values
        at = instant_or_none(version)
        return (*(value or "-" for value in key), str(at) if at is not None else version or "")

    def _differences(self, record: Record, row: Fields) -> Iterator[str]:
        named = {spelling(name): name for name in record}
        for field, name in named.items():
            if field not in self._types and field not in self._volatile and text(record, name):
                self._without_column.add(name)
        for field, type_ in self._types.items():
            name = named.get(field, field)
            ours, theirs = text(record, name) or None, row[field]
            if ours != theirs and not _same(type_, ours, theirs):
                yield f"{name} {_short(ours)} became {_short(theirs)}"


def _same(type_: str, ours: str | None, theirs: str | None) -> bool:
    """Whether a column of this type holds what was sent, in its own way of writing it."""
    if ours is None or theirs is None:
        return False
    if ours[0] in "{[":
        return _json(ours) == _json(theirs)
    if type_.startswith(_TEXT):
        return False
    if type_.startswith(_TIME):
        return (at := instant_or_none(ours)) is not None and at == instant_or_none(theirs)
    try:
        return canonical(ours) == canonical(theirs)
    except NotAnAmountError:
        return ours.lower() == theirs.lower()


def _json(value: str) -> object:
    try:
        return _exact_json.decode(value)
    except msgspec.DecodeError:
        return None


def _short(value: str | None) -> str:
    return "nothing" if value is None else value if len(value) <= 60 else f"{value[:59]}…"


def file_problem(path: str, sha256: str | None) -> str | None:
    """Return what is wrong with a stored file; None if its bytes have the SHA-256 that the warehouse states."""
    digest = hashlib.sha256()
    try:
        with fsspec.open(path, "rb") as file:
            for chunk in iter(lambda: file.read(_CHUNK), b""):
                digest.update(chunk)
    except FileNotFoundError:
        return f"{path} does not exist"
    except Exception as error:  # each file system has errors of its own
        return f"{path} cannot be read: {type(error).__name__}"
    return None if digest.hexdigest() == sha256 else f"the SHA-256 of {path} is not the one in the warehouse"
