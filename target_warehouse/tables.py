"""Tables as they are and as they have to be, and rows as tables take them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ap_connectors.core.errors import Reject
from target_warehouse import kinds
from target_warehouse.declared import Link
from target_warehouse.kinds import Cell, Kind

EXTRACTED, RECEIVED, BATCHED, SEQUENCE = (
    "_sdc_extracted_at",
    "_sdc_received_at",
    "_sdc_batched_at",
    "_sdc_sequence",
)
METADATA: Mapping[str, Kind] = {
    EXTRACTED: kinds.INSTANT,
    RECEIVED: kinds.INSTANT,
    BATCHED: kinds.INSTANT,
    SEQUENCE: kinds.INTEGER,
}
"""Columns that `metadata_columns` adds."""


ORDERED = {kinds.INSTANT, kinds.WALL, kinds.DATE, kinds.INTEGER}
"""Kinds of versions that can be told to be earlier or later as they are."""


def are_ordered(one: Kind | None, other: Kind | None) -> bool:
    """Whether one version can be told to be earlier than another: a column of instants may have become one of text."""
    return (one == other and one in ORDERED) or {one, other} <= {kinds.INSTANT, kinds.TEXT}


@dataclass(frozen=True)
class Table:
    """A table as it is.

    Args:
        name: of it.
        columns: kinds by name; None for a type that we never make.
        stream: what it holds; None if another program made it.
        key: names of the columns that tell rows apart, the company's among them.
        made: names of the columns that we made; the others are the user's.
        parent: whose parts its rows are, by the names of columns.
        by_company: whether the first column says whose a row is.
    """

    name: str
    columns: Mapping[str, Kind | None]
    stream: str | None
    key: tuple[str, ...]
    made: frozenset[str]
    parent: Link | None = None
    by_company: bool = False


@dataclass(frozen=True)
class Widening:
    """A column that changed its kind.

    Args:
        table: what the stream is called.
        column: of it.
        before: what it held, or was declared to.
        after: what it holds now.
        value: the first that it could not hold.
        line: number of the line that has it; 0 where the SCHEMA declares something else now.
        key: of its record.
    """

    table: str
    column: str
    before: Kind
    after: Kind
    value: str = ""
    line: int = 0
    key: str = ""


@dataclass
class Settings:
    """What the user wants of tables: see the settings of the same names."""

    company: str | None
    deletes: str
    metadata_columns: bool


@dataclass
class Batch:
    """Rows as a table takes them: `columns` are cells with their kinds, by the names of columns."""

    stream: str
    table: str
    key: tuple[str, ...]
    columns: dict[str, tuple[Kind, Sequence[Cell]]]
    size: int
    compared: tuple[str, ...]
    """Columns whose change makes a row a changed one."""
    deletions: dict[str, tuple[Kind, Sequence[Cell]]]
    """Keys of what was deleted, and when (`_sdc_deleted_at`)."""
    duplicates: int = 0
    """How many rows came that a later one of the same key replaces."""
    numbers: Sequence[int] = ()
    """Of the rows, among all that came."""

    def part(self, start: int, end: int) -> Batch:
        """Return some of the rows, and nothing of the deletions."""
        columns = {name: (kind, cells[start:end]) for name, (kind, cells) in self.columns.items()}
        return replace(self, columns=columns, size=end - start, deletions={}, numbers=self.numbers[start:end])


@dataclass
class Plan:
    """What a stream needs."""

    table: Table
    """As it has to be."""
    before: Table | None
    batch: Batch
    deletions: Link | None = None
    """What its records say is deleted, by the names of columns."""
    widened: list[Widening] = field(default_factory=list)
    rejects: list[tuple[tuple[int, bytes], str | None, Reject]] = field(default_factory=list)
    """The line, the key and the reason of records that cannot be loaded."""

    @property
    def changes_table(self) -> bool:
        """Whether the table has to be made or changed first."""
        return self.table != self.before

    @property
    def widens(self) -> bool:
        """Whether a column that is there has to change its kind."""
        known = self.before.columns if self.before else {}
        return any(self.table.columns[name] != kind for name, kind in known.items())


class Database:
    """What plans have to know of a database."""

    most: Kind
    """The decimals that it has."""
    has_nul = True
    """Whether text may have NUL characters."""
    longest_name = 255
    names_of_its_own: frozenset[str] = frozenset()
    """Columns that every table has, so that no field can have the name."""
    most_columns: int | None = None
    """Of a table; None if there is no limit."""
    same_case = False
    """Whether names that differ in case only are one."""

    def used(self, table: str, column: str) -> tuple[bool, int]:
        """Return whether a column has any value, and the most digits before the point that one has."""
        raise NotImplementedError
