"""What counts and sums cannot see: every field as it was sent and, with `--files`, every file as it was stored."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from decimal import Decimal
from typing import Any

import fsspec
import msgspec

from ap_connectors.core.exact import NotAnAmountError, canonical
from ap_connectors.core.raw_json import NULL, Record, text
from ap_connectors.tieout.result import Comparison
from ap_connectors.tieout.snapshot import Fields, instant_or_none
from ap_connectors.tieout.warehouse import TEXT, Table, spelling

_BATCH = 2000
"""Records that are held until the warehouse is asked for their rows."""
_CHUNK = 1 << 20
_PUT_ASIDE = re.compile(r"(.+?)\d{12}").fullmatch
"""How target-duckdb names a column whose type has changed: name_date_time."""
_exact_json = msgspec.json.Decoder(float_hook=Decimal)
_microseconds = re.compile(r":\d\d[.,]\d{3}(\d{1,3})").search
_as_json = msgspec.json.Encoder(decimal_format="number").encode
TRUE = frozenset({"true", "t", "1"})
"""How warehouses write true."""
_BOOLEANS: Mapping[bytes, Collection[str]] = {b"true": TRUE, b"false": {"false", "f", "0"}}
_AS_WRITTEN = (*TEXT, "ENUM")
"""Types whose values are compared letter by letter: 007 is not 7 there."""
_IN_ANY_CASE = ("BOOL", "UUID", "UNIQUEIDENTIFIER")
_ABSENT: Any = object()
"""What stands for a member of JSON that is not there."""

_Key = tuple[str, ...]
Compared = Callable[[str | None], object]
"""What is compared of a field's text."""


class FieldCheck:
    """Compares the source's records, field by field, with the rows of the same key and version.

    Args:
        comparison: where differences are recorded.
        table: the rows; without it nothing is compared.
        key: fields that tell records apart; rows are looked up by the first.
        version: field that tells the states of a record apart, if the table has it.
        keyed: whether the table has one row for each key and version; else as many as were sent.
        alone: whether missing and additional rows are recorded here, since no other comparison does.
        compared: what another comparison compares of fields, as functions of their text: here only the rest of them.
        not_compared: fields that are left out, and why; without a reason nothing is said of them.

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
        compared: Mapping[str, Compared] | None = None,
        not_compared: Mapping[str, str] | None = None,
    ) -> None:
        self.active = table is not None
        if table:
            table.require(key)
        self._comparison = comparison
        self._table = table
        self._key = key
        self._names = (*key, version if table and version and table.has(version) else "")
        self._keyed, self._alone = keyed, alone
        self._compared = {spelling(name): what for name, what in (compared or {}).items()}
        self._left_out = {spelling(name): why for name, why in (not_compared or {}).items()}
        types = table.types if table else {}
        for name in types:
            if (former := _PUT_ASIDE(name)) and former[1] in types:
                self._left_out[name] = "the loader put it aside when the field's type changed"
        self._types = {name: type_ for name, type_ in types.items() if name not in self._left_out}
        self.rows = 0
        """How many rows there are of the versions that came."""
        self._waiting: list[Record] = []
        self._owners: set[_Key] = set()
        self._without_column: set[str] = set()

    def add(self, *records: Record) -> None:
        """Add records that belong together, with the fields that the tap adds to them."""
        if self._table:
            self._waiting += records
            # Without a key in the table, equal records have to be compared together.
            if self._keyed and len(self._waiting) >= _BATCH:
                self._compare(self._table)

    def own(self, owner: str, version: str | None) -> None:
        """Say that the rows of an owner, in a state of it, are those that are added, even if there are not any."""
        self._owners.add(self._identity([owner, version if self._names[-1] else None]))

    def finish(self) -> None:
        """Compare what is left, and note what was not compared."""
        if table := self._table:
            self._compare(table)
            notes = self._comparison.not_compared
            for name, why in self._left_out.items():
                if why and (column := table.spelled(name)):
                    notes.append(f"{table.name}.{column} is not compared: {why}.")
            if self._without_column:
                names = ", ".join(sorted(self._without_column))
                notes.append(f"{table.name} has no column for {names}: not compared.")

    def _compare(self, table: Table) -> None:
        sent: dict[_Key, list[Record]] = {}
        for record in self._waiting:
            sent.setdefault(self._identity([text(record, name) for name in self._names]), []).append(record)
        self._waiting = []
        owners, self._owners = self._owners | {(identity[0], identity[-1]) for identity in sent}, set()
        there: dict[_Key, list[Fields]] = {}
        for row in table.records(list(table.types), among=(self._key[0], {owner for owner, _ in owners})):
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
            for identity, rows in there.items():
                if (identity[0], identity[-1]) in owners:
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
            if field not in self._types and field not in self._left_out and text(record, name):
                self._without_column.add(name)
        for field, type_ in self._types.items():
            name = named.get(field, field)
            ours, theirs = text(record, name) or None, row[field]
            sent = bytes(record.get(name, NULL))
            if ours == theirs or _same(type_, sent, ours, theirs) or self._is_told(field, ours, theirs):
                continue
            yield from _changes(name, ours, theirs)

    def _is_told(self, field: str, ours: str | None, theirs: str | None) -> bool:
        """Whether another comparison has told this difference."""
        return (what := self._compared.get(field)) is not None and what(ours) != what(theirs)


def _same(type_: str, sent: bytes, ours: str | None, theirs: str | None) -> bool:
    """Whether a column of this type holds what was sent, in its own way of writing it.

    Args:
        type_: of the column.
        sent: the field as the service wrote it.
        ours: its text.
        theirs: text of the column.
    """
    if ours is None or theirs is None:
        return False
    if sent[:1] in (b"{", b"["):
        held = _json(theirs)
        if "STRUCT" in type_:
            return held is not None and _stated(held) == _stated(_json(ours))
        return held is not None and held == _json(ours)
    if sent in _BOOLEANS:
        return theirs.lower() in _BOOLEANS[sent]
    at = _moment(ours)
    if at is not None and at == _moment(theirs):
        return True
    if type_.startswith(_AS_WRITTEN) or (type_.startswith("JSON") and sent[:1] == b'"'):
        return False
    try:
        return canonical(ours) == canonical(theirs)
    except NotAnAmountError:
        return type_.startswith(_IN_ANY_CASE) and ours.lower() == theirs.lower()


def _moment(value: str) -> tuple[int, str] | None:
    """Return an instant in milliseconds, and the microseconds that it has besides; None if it is something else."""
    at = instant_or_none(value)
    if at is None:
        return None
    more = _microseconds(value)
    return at, more[1].rstrip("0") if more else ""


def _json(value: str) -> object:
    try:
        return _exact_json.decode(value)
    except msgspec.DecodeError:
        return None


def _stated(value: Any) -> Any:
    """Return JSON without members that are null: a structure has all members in each row."""
    if isinstance(value, dict):
        return {name: _stated(member) for name, member in value.items() if member is not None}
    return [_stated(one) for one in value] if isinstance(value, list) else value


def amount(value: str | None) -> str | None:
    """Return what is compared of an amount: not how it is written."""
    try:
        return canonical(value)
    except NotAnAmountError:
        return None


def _changes(name: str, ours: str | None, theirs: str | None) -> Iterator[str]:
    """Yield what has become of a field; of JSON, of each member that differs."""
    members: list[str] = []
    if ours and theirs and ours[0] == theirs[0] and ours[0] in "{[" and (held := _json(theirs)) is not None:
        members = list(_members(name, _json(ours), held))
    # Texts that look like JSON may differ in letters only.
    yield from members or [f"{name} {_short(ours)} became {_short(theirs)}"]


def _members(name: str, ours: Any, theirs: Any) -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for member in {**ours, **theirs}:
            yield from _members(f"{name}.{member}", ours.get(member, _ABSENT), theirs.get(member, _ABSENT))
    elif isinstance(ours, list) and isinstance(theirs, list):
        for number, (mine, other) in enumerate(itertools.zip_longest(ours, theirs, fillvalue=_ABSENT)):
            yield from _members(f"{name}[{number}]", mine, other)
    elif ours != theirs:
        yield f"{name} {shown(ours)} became {shown(theirs)}"


def shown(value: Any) -> str:
    """Return a value for a message: text as it is, all else as JSON, and not all of what is long."""
    if value is _ABSENT or value is None or isinstance(value, str):
        return _short(None if value is _ABSENT else value)
    return _short(_as_json(value).decode())


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
