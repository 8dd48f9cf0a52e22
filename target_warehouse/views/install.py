"""Puts views into a warehouse, and takes them out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from ap_connectors.core.errors import Stop
from target_warehouse.dependents import columns_read
from target_warehouse.sql import literal, quoted
from target_warehouse.views.definition import DUCKDB, POSTGRESQL, SERVICES, Compiler, Lacking, View, views
from target_warehouse.warehouse import Warehouse

MADE_BY = "ap-views"
_VIEWS = "answers"


@dataclass(frozen=True)
class Places:
    """Where tables are, and where views go.

    Args:
        schemas: of the services.
        into: schema of the views.
    """

    schemas: Mapping[str, str]
    into: str

    @classmethod
    def beside(cls, schema: str) -> Places:
        """Return the schemas that belong to one: `acme_vicai`, `acme_ivesk`, `acme_saft`, views in `acme_answers`.

        A schema that names no service has the tables of all.
        """
        for service in SERVICES:
            if service in schema:
                before, after = schema.split(service, 1)
                return cls({one: before + one + after for one in SERVICES}, before + _VIEWS + after)
        return cls(dict.fromkeys(SERVICES, schema), _VIEWS if schema in {"main", "public"} else f"{schema}_{_VIEWS}")


@dataclass
class Outcome:
    """What became of the views: the names of those that are there, and of the others with what is missing.

    Those of the others that are from before, and cannot be dropped, are `kept`, with the reason.
    """

    made: list[str] = field(default_factory=list)
    left_out: dict[str, Lacking] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)


class Installer:
    """Installs views.

    Args:
        warehouse: a connection.
        places: of tables and views.
    """

    def __init__(self, warehouse: Warehouse, places: Places) -> None:
        self._warehouse, self.places = warehouse, places
        self._target = warehouse.in_schema(places.into)
        self._is_duckdb = warehouse.is_duckdb
        self._changed = False

    def apply(self) -> Outcome:
        """Make all views whose tables are there."""
        outcome = Outcome()
        self._check_name()
        compiler = self._compiler()
        existing = self.existing()
        if not any(table.stream for tables in self._tables.values() for table in tables.values()):
            schemas = ", ".join(dict.fromkeys(self.places.schemas.values()))
            raise Stop(f"There is no table of target-warehouse in the schemas {schemas}. Name the right one: --schema.")
        self._make_schema()
        for view in views().values():
            try:
                self._make(view, compiler, existing, outcome)
            except Lacking as lacking:
                outcome.left_out[view.name] = lacking
            else:
                outcome.made.append(view.name)
        outcome.kept = self._dropped(name for name in outcome.left_out if _is_ours(existing.get(name)))
        if self._is_duckdb and self._changed:
            # Views that people have made of ours.
            with self._target.transaction(changes_tables=True):
                pass
        return outcome

    def loaded(self, service: str) -> bool:
        """Return whether tables of a service are there; of one that is not used none are missed."""
        return any(table.stream for table in self._tables.get(service, {}).values())

    def drop(self) -> tuple[int, dict[str, str]]:
        """Remove the views that we have made; return how many went, and the others with the reason."""
        ours = [name for name, comment in self.existing().items() if _is_ours(comment)]
        kept = self._dropped(ours)
        if not self.existing() and ours:
            with self._changing():
                self._warehouse.execute(f"DROP SCHEMA {self._into}")
        return len(ours) - len(kept), kept

    @classmethod
    def reading(cls, warehouse: Warehouse) -> list[Installer]:
        """Return what installs the views anew that read the warehouse's schema."""
        if warehouse.is_duckdb:
            statement = "SELECT schema_name, comment FROM duckdb_views() WHERE database_name = current_database()"
        else:
            statement = (
                "SELECT n.nspname, obj_description(c.oid, 'pg_class') FROM pg_class AS c "
                "JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relkind = 'v'"
            )
        found = {
            into: Places(said["schemas"], into)
            for into, comment in warehouse.execute(statement)
            if (said := _said(comment)) and warehouse.schema in said["schemas"].values()
        }
        return [cls(warehouse, places) for places in found.values()]

    def compiled(self, view: View) -> str:
        """Return the SQL of a view.

        Raises:
            Lacking: tables or columns are missing.
        """
        return self._compiler().compile(view)

    def existing(self) -> dict[str, str | None]:
        """Return what is in the schema of the views by name, each with its comment."""
        schema = literal(self.places.into)
        if self._is_duckdb:
            of_it = f"WHERE database_name = current_database() AND schema_name = {schema}"
            statement = (
                f"SELECT view_name, comment FROM duckdb_views() {of_it} AND NOT internal "
                f"UNION ALL SELECT table_name, comment FROM duckdb_tables() {of_it}"
            )
        else:
            statement = (
                "SELECT c.relname, obj_description(c.oid, 'pg_class') FROM pg_class AS c JOIN pg_namespace AS n "
                f"ON n.oid = c.relnamespace WHERE n.nspname = {schema} AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
            )
        return dict(self._warehouse.execute(statement))

    @property
    def _into(self) -> str:
        return quoted(self.places.into)

    def _compiler(self) -> Compiler:
        schemas = self.places.schemas
        self._tables = {service: self._warehouse.in_schema(schema).tables() for service, schema in schemas.items()}
        return Compiler(DUCKDB if self._is_duckdb else POSTGRESQL, self._tables, schemas, self._into, _name)

    def _check_name(self) -> None:
        """Check that DuckDB does not take the file for one of its schemas, which it does where both have one name."""
        if not self._is_duckdb:
            return
        ((file,),) = self._warehouse.execute("SELECT current_database()")
        for schema in (*self.places.schemas.values(), self.places.into):
            if schema.lower() == str(file).lower():
                raise Stop(
                    f"The file {file} is called as its schema {schema}, and in views DuckDB cannot tell the two apart. "
                    "Give the file another name, such as warehouse.duckdb."
                )

    def _make_schema(self) -> None:
        """Make the schema of the views. PostgreSQL asks for the right to make one even if it is there."""
        there = f"SELECT to_regnamespace({literal(self._into)}) IS NOT NULL"
        if self._is_duckdb or not self._warehouse.execute(there)[0][0]:
            with self._changing():
                self._warehouse.execute(f"CREATE SCHEMA IF NOT EXISTS {self._into}")

    def _make(self, view: View, compiler: Compiler, existing: Mapping[str, str | None], outcome: Outcome) -> None:
        """Make a view, or leave it as it is if it is the same."""
        if view.name in existing and not _is_ours(existing[view.name]):
            raise Lacking(f"{self.places.into}.{view.name} is there already, and ap-views has not made it")
        if missing := [need for need in view.needs if need in outcome.left_out]:
            kind = type(outcome.left_out[missing[0]])
            raise kind(f"it reads the view {missing[0]}, which is left out")
        select = compiler.compile(view)
        self._check(compiler)
        name = f"{self._into}.{quoted(view.name)}"
        # The SQL has a cast for each column of another type, so an equal one has the same types.
        if existing.get(view.name) == self._comment(view, select, name):
            return
        self._changed = True
        with self._trouble(), self._changing():
            if view.name in existing and not self._is_duckdb:
                # PostgreSQL replaces only by a view of the same columns.
                with self._warehouse.views_aside(name):
                    self._warehouse.execute(f"DROP VIEW {name}")
                    self._warehouse.execute(f"CREATE VIEW {name} AS {select}")
            else:
                self._warehouse.execute(f"CREATE OR REPLACE VIEW {name} AS {select}")
            self._warehouse.execute(f"COMMENT ON VIEW {name} IS {literal(self._comment(view, select, name))}")

    def _comment(self, view: View, select: str, name: str) -> str:
        """Return what the comment of a view says; that of one which is as it was made says it still."""
        reads = "" if self._is_duckdb else columns_read(self._warehouse.execute, name)
        said = {
            "made_by": MADE_BY,
            "question": view.question,
            "schemas": self.places.schemas,
            "sha256": hashlib.sha256((select + reads).encode()).hexdigest(),
        }
        return json.dumps(said, ensure_ascii=False)

    def _check(self, compiler: Compiler) -> None:
        """Check that columns of text hold what a view wants."""
        for column, (value, table) in compiler.strict.items():
            try:
                with self._trouble():
                    self._warehouse.execute(f"SELECT count({value}) FROM {table}")
            except Lacking as lacking:
                raise Lacking(f"the column {column} has a value that does not fit: {lacking}") from None

    def _changing(self) -> AbstractContextManager[None]:
        """Change views alone: in PostgreSQL another run may be about to."""
        return self._target.transaction(changes_tables=not self._is_duckdb)

    def _dropped(self, names: Iterable[str]) -> dict[str, str]:
        """Drop views, those that read others before them; return those that have to stay, with the reason."""
        order, kept = list(views()), {}
        for name in sorted(names, key=lambda name: order.index(name) if name in order else len(order), reverse=True):
            try:
                with self._trouble(), self._changing():
                    self._warehouse.execute(f"DROP VIEW IF EXISTS {self._into}.{quoted(name)}")
            except Lacking as reason:
                kept[name] = str(reason)
        return kept

    @contextmanager
    def _trouble(self) -> Iterator[None]:
        """Make of what the database does not take a reason to leave a view out."""
        refusals: tuple[type[Exception], ...] = (Stop, *self._warehouse.refusals, *self._warehouse.dependent_errors)
        try:
            yield
        except refusals as error:
            words, *more = str(error).strip().splitlines()
            # PostgreSQL says here what reads a view.
            detail = next((f" ({line[8:].strip()})" for line in more if line.startswith("DETAIL:")), "")
            raise Lacking(words.rstrip(".") + detail) from None


def _name(schema: str, table: str) -> str:
    # Without the name of the file: a view is to work in a copy of it, whatever that is called.
    return f"{quoted(schema)}.{quoted(table)}"


def _said(comment: str | None) -> dict[str, Any] | None:
    """Return what the comment of a view of ours says; None of any other."""
    try:
        said = json.loads(comment or "")
    except ValueError:
        return None
    if not isinstance(said, dict) or said.get("made_by") != MADE_BY:
        return None
    schemas = said.get("schemas")
    return said if isinstance(schemas, dict) and schemas.keys() >= set(SERVICES) else None


def _is_ours(comment: str | None) -> bool:
    return _said(comment) is not None
