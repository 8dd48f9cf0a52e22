"""The warehouse, read only, whichever loader made it. Every value comes as text.

target-duckdb and target-postgres write names in lower case and empty text as null, and DuckDB's loader rounds numbers
in JSON. target-warehouse writes names as the service does, and keeps JSON byte for byte; it says in a comment of each
table that it made it, may keep rows of several companies in one, and may mark what was deleted at the service.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import msgspec

from ap_connectors.core.errors import Stop
from ap_connectors.tieout.databases import Engine, connect
from ap_connectors.tieout.snapshot import Fields

_COMPANY, _DELETED, _STATE = "company", "_sdc_deleted_at", "_state"
_INEXACT = ("DOUBLE", "FLOAT", "REAL")
_JSON = ("JSON", "STRUCT", "MAP")
TEXT = ("VARCHAR", "CHAR", "TEXT", "STRING", "CLOB", "NVARCHAR")
_text = msgspec.json.Decoder(str).decode


@dataclass(frozen=True)
class Column:
    """A column: its name as the database writes it, and its type in capitals."""

    name: str
    type: str


def spelling(name: str) -> str:
    """Return what all spellings of a name have in common; loaders write `internalId`, `internalid`, `internal_id`."""
    return name.replace("_", "").lower()


def quoted(name: str) -> str:
    """Return a name as SQL that means it exactly."""
    return '"' + name.replace('"', '""') + '"'


class Table:
    """A table of the warehouse; its columns are found whatever their spelling.

    Args:
        engine: asks the database.
        schema: where it is.
        name: of the table.
        columns: in their order.
        comment: what target-warehouse says of a table that it made.
        company: whose rows count, where they say whose they are.
    """

    def __init__(
        self,
        engine: Engine,
        schema: str,
        name: str,
        columns: Iterable[Column],
        *,
        comment: str | None = None,
        company: str | None = None,
    ) -> None:
        self.name = name
        self._engine = engine
        self._table = ".".join(quoted(part) for part in (engine.catalog, schema, name) if part)
        said = _said(comment)
        self._is_exact = said is not None
        self._by_company = bool(said and said.get("by_company"))
        own = {_COMPANY} if self._by_company else set()
        # A field of that name stands beside the column: `company_`.
        self._columns: dict[str, Column] = {}
        self._alike: dict[str, str] = {}
        for column in columns:
            if column.name not in own:
                other = self._columns.get(spelling(column.name))
                if other and other.name.lower() == column.name.lower():
                    self._alike[spelling(column.name)] = f"{other.name} and {column.name}"
                self._columns[spelling(column.name)] = column
        self._kept: list[str] = []
        if self._by_company and company is not None:
            self._kept.append(f"{quoted(_COMPANY)} = {_literal(company)}")
        if any(column.name == _DELETED for column in self._columns.values()):
            # What is marked as deleted at the service is not there either.
            self._kept.append(f"{quoted(_DELETED)} is null")

    def companies(self) -> list[str]:
        """Return whose rows the table has, if they say it."""
        if not self._by_company:
            return []
        found = self._engine.rows(f"select distinct {quoted(_COMPANY)} from {self._table}", self._table)  # noqa: S608 - as below
        return sorted(str(company) for (company,) in found)

    def count(self) -> int:
        """Return how many rows there are."""
        ((rows,),) = self._engine.rows(f"select count(*) from {self._table}{self._filter()}", self._table)  # noqa: S608 - as below
        return int(rows)

    def _filter(self, *more: str) -> str:
        conditions = [*self._kept, *more]
        return f" where {' and '.join(conditions)}" if conditions else ""

    @property
    def types(self) -> dict[str, str]:
        """Types of the columns by the `spelling` of their names, but for those that loaders add."""
        columns = self._columns.items()
        return {name: column.type for name, column in columns if not column.name.lower().startswith("_sdc_")}

    def has(self, name: str) -> bool:
        """Whether there is a column."""
        return spelling(name) in self._columns

    def spelled(self, name: str) -> str | None:
        """Return a column's name as the database writes it; None if it is not there."""
        column = self._columns.get(spelling(name))
        return column.name if column else None

    def require(self, names: Collection[str]) -> None:
        """Check that columns are there.

        Raises:
            Stop: one is not.
        """
        for name in names:
            if not self.has(name):
                raise Stop(
                    f"The warehouse's table {self.name} has no column {name}, without which nothing can be compared. "
                    "Is the field deselected? Select it and load the stream anew."
                )

    def require_exact(self, names: Collection[str]) -> None:
        """Check that columns of amounts keep every digit; those that are not there pass.

        Raises:
            Stop: one does not.
        """
        for name in names:
            column = self._columns.get(spelling(name))
            if column and column.type.startswith(_INEXACT):
                raise Stop(
                    f"The warehouse keeps {self.name}.{column.name} as {column.type}: digits are lost already, so no "
                    "sum of it can be exact. Load anew with target-warehouse, or with what decimals of the tap (see "
                    "docs/warehouse.md) makes of amounts."
                )

    def is_rounded_json(self, name: str) -> bool:
        """Whether a column holds JSON whose numbers DuckDB's loader has made doubles of."""
        column = self._columns.get(spelling(name))
        is_rounded = self._engine.name == "DuckDB" and not self._is_exact
        return is_rounded and column is not None and column.type.startswith(_JSON)

    def records(
        self, names: Collection[str], *, together: str | None = None, among: tuple[str, Collection[str]] | None = None
    ) -> Iterator[Fields]:
        """Yield the rows as text by our names; a column that is not there is None, and so is an empty text.

        Args:
            names: of the columns.
            together: column whose equal values are to come one after the other.
            among: column, and the values that the rows wanted have in it.

        Raises:
            Stop: two columns differ in capitals only.
        """
        here = [name for name in names if self.has(name)]
        if alike := next((self._alike[name] for name in map(spelling, here) if name in self._alike), None):
            raise Stop(
                f"The warehouse's table {self.name} has the columns {alike}, which differ in capitals only, so it is "
                "not clear which is meant. Rename or drop one."
            )
        if not here:
            return
        columns = ", ".join(self._as_text(name) for name in here)
        json_names = [name for name in here if self._columns[spelling(name)].type.startswith("JSON")]
        query = f"select {columns} from {self._table}"  # noqa: S608 - names are the warehouse's own
        for part in self._parts(together) if among is None else [self._condition(*among)]:
            for row in self._engine.rows(query + part, self._table):
                record: dict[str, str | None] = dict.fromkeys(names)
                record.update((name, value or None) for name, value in zip(here, row, strict=True))
                for name in json_names:
                    record[name] = _content(record[name])
                yield record

    def _parts(self, together: str | None) -> Iterator[str]:
        if together is None:
            yield self._filter()
            return
        column = self._quoted(together)
        for condition in self._engine.slices(self._table, column):
            yield f"{self._filter(condition)} order by {column}"

    def _condition(self, column: str, values: Collection[str]) -> str:
        listed = ", ".join(map(_literal, values))
        # Without a cast an index is used.
        is_text = self._columns[spelling(column)].type.startswith(TEXT)
        compared = self._quoted(column) if is_text else f"cast({self._quoted(column)} as varchar)"
        return self._filter(f"{compared} in ({listed or 'null'})")

    def _as_text(self, name: str) -> str:
        column = self._quoted(name)
        is_nested = self._engine.has_to_json and _is_nested(self._columns[spelling(name)].type)
        return f"cast({f'to_json({column})' if is_nested else column} as varchar)"

    def _quoted(self, name: str) -> str:
        return quoted(self._columns[spelling(name)].name)


def _is_nested(type_: str) -> bool:
    """Whether a column holds lists or structures, which databases write in ways of their own, unlike JSON."""
    # Lists of JSON are written as JSON; DuckDB's to_json would round their numbers.
    return type_.startswith(("STRUCT", "MAP")) or (type_.endswith("]") and not type_.startswith("JSON"))


def _content(value: str | None) -> str | None:
    """Return what a JSON column says: the content of a text, nothing of null, all else as it is."""
    if value == "null":
        return None
    if value is None or value[0] != '"':
        return value
    try:
        return _text(value) or None
    except msgspec.DecodeError:
        return value


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _said(comment: str | None) -> dict[str, Any] | None:
    """Return what target-warehouse says of a table in its comment; None of any other comment."""
    try:
        said = json.loads(comment or "")
    except ValueError:
        return None
    return said if isinstance(said, dict) and "stream" in said else None


class Warehouse:
    """One schema of a warehouse.

    Args:
        where: path of a DuckDB file, or a URL (`postgresql://...`).
        schema: where the tables are.
        company: whose rows are meant, where one schema has those of many.

    Raises:
        Stop: it cannot be opened (the message says why and shows no password), or it is not clear whose rows are meant.
    """

    def __init__(self, where: str, schema: str, company: str | None = None) -> None:
        self.schema = schema
        self._engine: Engine = connect(where)
        self.name = self._engine.name
        self._tables: dict[str, Table] = {}
        self._asked_for: set[str] = set()
        self._elsewhere: dict[str, set[str]] = {}
        found: dict[tuple[str, str], list[Column]] = {}
        for its_schema, table, column, type_ in self._engine.columns():
            found.setdefault((its_schema, table), []).append(Column(column, type_.upper()))
        comments = {(its_schema, table): comment for its_schema, table, comment in self._engine.tables()}
        self._views: set[str] = set()
        is_there = any(its_schema == schema for its_schema, _ in found)
        # Of names that differ in capitals only the one that is asked for counts: it comes last.
        for place, columns in sorted(found.items(), key=lambda one: one[0][1] == one[0][1].lower()):
            its_schema, table = place
            if its_schema == schema or (not is_there and its_schema.lower() == schema.lower()):
                self._tables[table.lower()] = Table(
                    self._engine, its_schema, table, columns, comment=comments.get(place), company=company
                )
                if place not in comments:
                    self._views.add(table.lower())
            elif place in comments:
                self._elsewhere.setdefault(table.lower(), set()).add(its_schema)
        self._require_company(company)

    def _require_company(self, company: str | None) -> None:
        """Check that it is clear whose rows are meant."""
        known = sorted({one for table in self._tables.values() for one in table.companies()})
        if not known or company in known or (company is None and len(known) == 1):
            return
        self._engine.close()
        names = f"{', '.join(known[:10])}{f' and {len(known) - 10} more' if len(known) > 10 else ''}"
        if company is None:
            raise Stop(f"--company is missing: the schema {self.schema} holds several companies. Name one of: {names}.")
        raise Stop(f"--company {company}: the schema {self.schema} holds nothing of it, but of: {names}.")

    def __enter__(self) -> Warehouse:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._engine.close()

    def find(self, name: str) -> Table | None:
        """Return a table, or None if it is missing."""
        self._asked_for.add(name)
        return self._tables.get(name)

    @property
    def others(self) -> list[str]:
        """Names of the schema's tables that were not asked for; without views and target-warehouse's own."""
        others = self._tables.keys() - self._asked_for - self._views
        return sorted(name for name in others if not (name == _STATE and self._tables[name].has("pipeline")))

    def table(self, name: str, job: str) -> Table:
        """Return a table.

        Raises:
            Stop: it is missing; the message names the `job` that fills it.
        """
        if found := self.find(name):
            return found
        others = ", ".join(sorted(self._elsewhere.get(name, ())))
        hint = f" There is one in the schema {others}: set --schema." if others else f" Has {job} run?"
        raise Stop(f"The warehouse has no table {name} in the schema {self.schema}.{hint}")
