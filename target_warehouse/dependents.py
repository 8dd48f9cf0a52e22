"""Views that read a table, of whomever: they must not keep a column from becoming wider, and must still work then."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from ap_connectors.core.errors import Stop
from target_warehouse.sql import literal, quoted

OURS = '{"made_by": "ap-views"'
"""How comments of views begin that `ap-views` makes, and makes anew after a change of tables."""
Execute = Callable[[str], list[tuple[Any, ...]]]


def rebind(execute: Execute, catalog: str, error: type[Exception]) -> None:
    """Make the views of a DuckDB file anew, so that their columns have the types that tables have now.

    DuckDB casts to the types of before, which rounds; before 2.0 it refuses such views.

    Args:
        execute: executes a statement, outside a transaction.
        catalog: the file's name in DuckDB.
        error: what DuckDB raises.
    """
    of_file = f"NOT internal AND database_name = {literal(catalog)}"
    types = f"SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() WHERE {of_file} ORDER BY ALL"
    found = execute(f"SELECT schema_name, view_name, sql, comment FROM duckdb_views() WHERE {of_file}")
    before = execute(types) if found else []
    # One that reads another is in order only after that one.
    for _ in found:
        for schema, view, sql, comment in found:
            with contextlib.suppress(error):  # what it does not fit any more, it says itself
                # Tables without a schema before them are those beside the view.
                execute(f"SET search_path = {literal(quoted(schema))}")
                execute(sql.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1))
                if comment:
                    name = f"{quoted(catalog)}.{quoted(schema)}.{quoted(view)}"
                    execute(f"COMMENT ON VIEW {name} IS {literal(comment)}")
        execute("RESET search_path")
        after = execute(types)
        if after == before:
            return
        before = after


_READERS = """
WITH RECURSIVE reading (reader, depth) AS (
  SELECT {relation}::regclass::oid, 0
  UNION
  SELECT r.ev_class, reading.depth + 1 FROM reading
  JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
    AND d.refobjid = reading.reader
  JOIN pg_rewrite AS r ON r.oid = d.objid WHERE r.ev_class <> d.refobjid
)
SELECT n.nspname, c.relname, c.relkind::text, pg_get_viewdef(c.oid), obj_description(c.oid, 'pg_class'),
  pg_get_userbyid(c.relowner), ARRAY(SELECT format('GRANT %s ON %%s TO %s', a.privilege_type,
    CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
    FROM aclexplode(c.relacl) AS a WHERE a.grantee <> c.relowner)
FROM (SELECT reader, max(depth) AS depth FROM reading GROUP BY reader) AS r
JOIN pg_class AS c ON c.oid = r.reader JOIN pg_namespace AS n ON n.oid = c.relnamespace ORDER BY r.depth
"""

_READ = """
SELECT DISTINCT n.nspname, c.relname, a.attname FROM pg_rewrite AS r
JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
  AND d.refobjid <> r.ev_class
JOIN pg_class AS c ON c.oid = d.refobjid JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
WHERE r.ev_class = to_regclass({relation}) ORDER BY 1, 2, 3
"""


def columns_read(execute: Execute, relation: str) -> str:
    """Return the columns that a view of PostgreSQL reads, as they are called now.

    It goes on reading a table, or a column, that got another name, whatever has taken the former one.
    """
    return repr(execute(_READ.replace("{relation}", literal(relation))))


Savepoint = Callable[[], AbstractContextManager[Any]]


@contextlib.contextmanager
def aside(execute: Execute, relation: str, savepoint: Savepoint, error: type[Exception]) -> Iterator[None]:
    """Take down the views of PostgreSQL that read a relation while the block changes it, and make them again.

    Args:
        execute: executes a statement, inside a transaction.
        relation: the table or view, as SQL has it; the grants of a view that the block makes anew are given again.
        savepoint: opens a block that is undone by itself if it fails.
        error: what PostgreSQL raises.

    Raises:
        Stop: what reads it does not fit it any more; the transaction is to be undone.
    """
    itself, *readers = execute(_READERS.replace("{relation}", literal(relation)))
    for schema, name, kind, *_ in readers:
        if kind != "v":
            raise _in_the_way(relation, f"the materialized view {schema}.{name} reads it")
    for schema, name, *_ in reversed(readers):
        execute(f"DROP VIEW {quoted(schema)}.{quoted(name)}")
    yield
    if itself[2] == "v":
        _hand_over(execute, relation, *itself[4:])
    for schema, name, _, definition, *more in readers:
        view = f"{quoted(schema)}.{quoted(name)}"
        try:
            with savepoint():
                execute(f"CREATE VIEW {view} AS {definition}")
                _hand_over(execute, view, *more)
        except error as trouble:
            if not (more[0] or "").startswith(OURS):  # what installs ours tells of them
                reason = str(trouble).strip().splitlines()[0]
                raise _in_the_way(relation, f"the view {schema}.{name} reads it ({reason})") from None


def _in_the_way(relation: str, what: str) -> Stop:
    name = relation.replace('"', "")
    return Stop(
        f"{name} has to change, and PostgreSQL does not allow that while {what}. Nothing was "
        "changed. Drop the view, run again, and make it anew."
    )


def _hand_over(execute: Execute, view: str, comment: str | None, owner: str, grants: Sequence[str]) -> None:
    """Give a view that was made anew its comment, its readers and its owner."""
    if comment:
        execute(f"COMMENT ON VIEW {view} IS {literal(comment)}")
    for grant in grants:
        execute(grant % view)
    execute(f"ALTER VIEW {view} OWNER TO {quoted(owner)}")
