"""A view as its file says it, and the SQL that it becomes in a database.

A file begins with comments: the question in the first line, then columns, units and signs, at last what it reads:

    -- reads vicai.invoices: internalId, refNumber?, totalAmount|amountSum decimal, issueDate date?
    -- needs payments

A column is text unless a kind follows; `?` says that the view does without it (NULL stands for it; of a table: no
rows), `|` that the first one counts that has a value. In the SQL `{vicai.invoices}` is that table without deleted rows,
`{views}` the schema of the views, `{decimal x}` and `{date x}` a text as a number or day, and `{quotient a ; b}` a
divided by b, rounded to 2 decimals, half away from zero. The column `company` is always there, empty if the table has
none.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from target_warehouse import kinds
from target_warehouse.declared import COMPANY, DELETED
from target_warehouse.kinds import Kind
from target_warehouse.sql import quoted
from target_warehouse.tables import Table

SERVICES = ("vicai", "ivesk", "saft")
_READS = re.compile(r"(\w+)\.(\w+)(\??): (.+)").fullmatch
_COLUMN = re.compile(r"([\w|]+)(?: (\w+))?(\??)").fullmatch
_PLACE = re.compile(r"\{(?:(views)|(decimal|date) ([^{}]+)|quotient ([^{};]+) ; ([^{};]+)|(\w+)\.(\w+))\}")


class Lacking(Exception):
    """A view cannot be made; the words say what is missing."""


class Absent(Lacking):
    """A view cannot be made, for a table is not there: perhaps it is not wanted.

    Args:
        words: what is missing.
        service: whose table is missing; empty if it is that of another view.
        table: that is missing, called as its stream.
    """

    def __init__(self, words: str, service: str = "", table: str = "") -> None:
        super().__init__(words)
        self.service, self.table = service, table


@dataclass(frozen=True)
class Column:
    """What a view reads of a table: the first of `names` that has a value, as `kind`."""

    names: Sequence[str]
    kind: str
    optional: bool


@dataclass(frozen=True)
class Source:
    """A table that a view reads: `service` says in which of the schemas it is."""

    service: str
    table: str
    columns: Sequence[Column]
    optional: bool


@dataclass(frozen=True)
class View:
    """A view.

    Args:
        name: of it.
        question: that it answers.
        text: of its file.
        body: the SQL with its places.
        sources: by `service.table`.
        needs: names of views that it reads.
    """

    name: str
    question: str
    text: str
    body: str
    sources: Mapping[str, Source]
    needs: Sequence[str]

    @classmethod
    def of(cls, name: str, text: str) -> View:
        """Read a file."""
        lines = text.splitlines()
        end = next(place for place, line in enumerate(lines) if not line.startswith("--"))
        head = [line.removeprefix("--").removeprefix(" ") for line in lines[:end]]
        # A line that is indented goes on with the one before.
        parts = re.sub(r"\n +", " ", "\n".join(head)).splitlines()
        sources = [_source(line.removeprefix("reads ")) for line in parts if line.startswith("reads ")]
        needs = [one for line in parts if line.startswith("needs ") for one in line.removeprefix("needs ").split(", ")]
        body = "\n".join(lines[end:]).strip()
        return cls(name, head[0], text, body, {f"{one.service}.{one.table}": one for one in sources}, needs)


def _source(line: str) -> Source:
    found = _READS(line)
    assert found, line  # noqa: S101 - the files are ours, and tests read them
    columns = []
    for text in found[4].split(", "):
        column = _COLUMN(text)
        assert column, text  # noqa: S101
        columns.append(Column(column[1].split("|"), column[2] or "text", bool(column[3])))
    return Source(found[1], found[2], columns, bool(found[3]))


@functools.cache
def views() -> Mapping[str, View]:
    """Return all views by name, those that others need before them."""
    folder = resources.files(__package__) / "sql"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    found = {
        name: View.of(name, file.read_text(encoding="utf-8"))
        for file in files
        for name in [file.name.removesuffix(".sql")]
    }
    ordered: dict[str, View] = {}

    def add(view: View) -> None:
        for need in view.needs:
            add(found[need])
        ordered.setdefault(view.name, view)

    for view in found.values():
        add(view)
    return ordered


@dataclass(frozen=True)
class Dialect:
    """What the databases say in different ways.

    Args:
        types: of the kinds of columns.
        number: pattern of texts that the type of decimals holds exactly.
        decimals: kinds of columns that views take as they are. All have the same places after the point, as DuckDB
            rounds silently where several come together.
        quotient: returns the SQL of a quotient, rounded to 2 decimals; its divisor is above zero.
    """

    types: Mapping[str, str]
    decimals: Collection[Kind]
    number: str
    quotient: Callable[[str, str], str]


def _of_integers(a: str, b: str) -> str:
    # Its division makes doubles of decimals; that of whole numbers is exact.
    a, b = (f"CAST({value} * 1000000000 AS HUGEINT)" for value in (f"abs({a})", b))
    return f"round(CAST((200 * {a} + {b}) // (2 * {b}) AS DECIMAL(38,2)) * CAST(0.01 AS DECIMAL(3,2)), 2)"


_TYPES = {"date": "DATE", "moment": "TIMESTAMP", "json": "JSON", "boolean": "BOOLEAN", "integer": "BIGINT"}
DUCKDB = Dialect(
    {"text": "VARCHAR", "decimal": "DECIMAL(38,9)", **_TYPES},
    {kinds.MOST_OF_DUCKDB},
    r"^-?[0-9]{1,29}(\.[0-9]{1,9}0*)?$",
    _of_integers,
)
POSTGRESQL = Dialect(
    {"text": "text", "decimal": "numeric", **_TYPES},
    {kinds.MOST_OF_POSTGRESQL},
    r"^-?[0-9]+(\.[0-9]+)?$",
    # The factor gives the quotient places enough, so that it is rounded once.
    lambda a, b: f"round(abs({a}) * 1.00000000000000000000 / ({b}), 2)",
)


class Compiler:
    """Makes SQL of views.

    Args:
        dialect: of the database.
        tables: of each service, by name, as they are; a service without a schema is not there.
        schemas: the schema of each service.
        into: the schema of the views, as SQL has it.
        name: returns what SQL calls a table of a schema.
    """

    def __init__(
        self,
        dialect: Dialect,
        tables: Mapping[str, Mapping[str, Table]],
        schemas: Mapping[str, str],
        into: str,
        name: Callable[[str, str], str],
    ) -> None:
        self._dialect, self._tables, self._schemas = dialect, tables, schemas
        self._into, self._name = into, name
        self.strict: dict[str, tuple[str, str]] = {}
        """Expressions that fail for a text that is not of its kind, by `schema.table.column`; with the table's name."""

    def compile(self, view: View) -> str:
        """Return the SELECT of a view.

        Raises:
            Lacking: tables or columns are missing.
        """
        self.strict.clear()
        read = {place: self._read(source) for place, source in view.sources.items()}
        if len(self._by_company(view)) > 1:
            raise Lacking(
                "some of the tables that it reads have the column company, others do not. Load all of them with the "
                "setting company, or all without"
            )
        return _PLACE.sub(lambda place: self._filled(place, read), view.body)

    def _by_company(self, view: View) -> set[bool]:
        """Return whether the tables that a view reads, through others too, say whose a row is."""
        tables = [self._tables.get(source.service, {}).get(source.table) for source in view.sources.values()]
        found = {table.by_company for table in tables if table}
        return found.union(*(self._by_company(views()[need]) for need in view.needs))

    def _filled(self, place: re.Match[str], read: Mapping[str, str]) -> str:
        views, kind, text, dividend, divisor, service, table = place.groups()
        if views:
            return self._into
        if kind:
            return self._as(kind, text)
        if dividend:
            rounded = self._dialect.quotient(dividend, divisor)
            return f"(CASE WHEN {divisor} > 0 THEN {rounded} * CASE WHEN {dividend} < 0 THEN -1 ELSE 1 END END)"
        return read[f"{service}.{table}"]

    def _as(self, kind: str, text: str) -> str:
        """Return a text as another kind; one that is not of it is an error that shows it, never another value."""
        type_ = self._dialect.types[kind]
        pattern = self._dialect.number if kind == "decimal" else "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
        return (
            f"(CASE WHEN ({text}) ~ '{pattern}' THEN CAST(({text}) AS {type_}) "
            f"ELSE CAST('not exact: ' || nullif(({text}), '') AS {type_}) END)"
        )

    def _read(self, source: Source) -> str:
        """Return the subquery that stands for a table."""
        table = self._tables.get(source.service, {}).get(source.table)
        if table is None or table.stream is None:
            if source.optional:
                return f"(SELECT {', '.join(self._nothing(source))} WHERE 1 = 0)"
            where = f"{self._schemas[source.service]}.{source.table}"
            if table:
                raise Lacking(f"the table {where} was not made by target-warehouse")
            told = f"the table {where} is not there: the stream {source.table} of tap-{source.service} was not loaded"
            raise Absent(told, source.service, source.table)
        columns = [quoted(COMPANY) if table.by_company else f"CAST('' AS VARCHAR) AS {quoted(COMPANY)}"]
        columns += [f"{self._value(source, table, column)} AS {quoted(column.names[0])}" for column in source.columns]
        gone = f" WHERE {quoted(DELETED)} IS NULL" if DELETED in table.columns else ""
        return f"(SELECT {', '.join(columns)} FROM {self._name(self._schemas[source.service], table.name)}{gone})"

    def _nothing(self, source: Source) -> Iterator[str]:
        yield f"CAST('' AS VARCHAR) AS {quoted(COMPANY)}"
        for column in source.columns:
            yield f"CAST(NULL AS {self._dialect.types[column.kind]}) AS {quoted(column.names[0])}"

    def _value(self, source: Source, table: Table, column: Column) -> str:
        where = f"{self._schemas[source.service]}.{table.name}"
        found = [name for name in column.names if name in table.columns]
        if not found and column.optional:
            return f"CAST(NULL AS {self._dialect.types[column.kind]})"
        if not found:
            raise Lacking(f"{where} has no column {' or '.join(column.names)}. Select the field in the catalog")
        values = []
        for name in found:
            kind = table.columns[name]
            value = self._converted(quoted(name), kind, column.kind)
            if value is None:
                now = kind or "a type that target-warehouse does not make"
                raise Lacking(f"the column {name} of {where} now holds {now}, of which no {column.kind} can be made")
            if value not in (quoted(name), None) and column.kind in {"decimal", "date"}:
                self.strict[f"{where}.{name}"] = value, self._name(self._schemas[source.service], table.name)
            values.append(value)
        return values[0] if len(values) == 1 else f"coalesce({', '.join(values)})"

    def _converted(self, name: str, kind: Kind | None, wanted: str) -> str | None:
        """Return a column as the kind that a view wants; None if that cannot be made of it exactly."""
        if kind is None:
            return None
        if (wanted, kind.name) in _AS_IT_IS:
            return name
        if wanted == "decimal" and kind in self._dialect.decimals:
            return name
        if wanted == "decimal" and kind == kinds.INTEGER:
            return f"CAST({name} AS {self._dialect.types[wanted]})"
        if wanted == "decimal" and kind.name in {"decimal", "huge"}:
            return self._as(wanted, f"CAST({name} AS VARCHAR)")
        if wanted in {"decimal", "date"} and kind == kinds.TEXT:
            return self._as(wanted, name)
        if wanted == "moment":
            return {"instant": f"({name} AT TIME ZONE 'UTC')", "wall": name}.get(kind.name)
        return f"CAST({name} AS VARCHAR)" if wanted == "text" and kind != kinds.JSON else None


_AS_IT_IS = {
    ("text", "text"),
    ("date", "date"),
    ("json", "json"),
    ("boolean", "boolean"),
    ("integer", "integer"),
}
