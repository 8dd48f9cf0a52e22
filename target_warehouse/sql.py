"""SQL that both databases take: a row is written, marked, removed. Text in, text out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from target_warehouse import kinds
from target_warehouse.declared import COMPANY, DELETED, VERSION


def quoted(name: str) -> str:
    """Return a name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


def listed(names: Iterable[str]) -> str:
    """Return names for a list of columns."""
    return ", ".join(map(quoted, names))


def same(one: str, other: str, pairs: Mapping[str, str] | Sequence[str]) -> str:
    """Return the condition that columns of two tables are equal: `{one's: other's}`, or names that both have."""
    names = pairs.items() if isinstance(pairs, Mapping) else [(name, name) for name in pairs]
    return " AND ".join(f"{one}.{quoted(a)} = {other}.{quoted(b)}" for a, b in names)


def mark(table: str, stage: str, keys: Mapping[str, str], when: str | None) -> str:
    """Return the statement that marks rows as deleted, those that are not yet.

    Args:
        table: to mark rows of.
        stage: what says which ones.
        keys: the columns of the table by which they are found, and those of the stage.
        when: the stage's column that says since when; without one, or a value in it, now.
    """
    deleted = quoted(DELETED)
    since = f"coalesce(s.{quoted(when)}, now())" if when else "now()"
    return (
        f"UPDATE {table} AS t SET {deleted} = {since} FROM {stage} AS s "
        f"WHERE {same('t', 's', keys)} AND t.{deleted} IS NULL"
    )


def unmark(table: str, stage: str, keys: Mapping[str, str]) -> str:
    """Return the statement that takes the mark from rows that a stage names."""
    deleted = quoted(DELETED)
    return (
        f"UPDATE {table} AS t SET {deleted} = NULL FROM {stage} AS s "
        f"WHERE {same('t', 's', keys)} AND t.{deleted} IS NOT NULL"
    )


def latest(
    events: str,
    stage: str,
    keys: Sequence[str],
    at: str | None,
    lifted_by: Mapping[str, Sequence[str]],
    *,
    as_text: bool,
) -> tuple[str, str]:
    """Return what names the objects that are gone, and those that are there again, by the last events of each.

    Events of one instant have no order, so they are counted: deleted and restored as often, what was before stays.

    Args:
        events: the table of all events: one that comes again must not undo a later one.
        stage: names the objects that events came about.
        keys: columns that name an object.
        at: the column that says when; without it every event counts.
        lifted_by: values of columns that say that a deletion was lifted.
        as_text: whether the column that says when holds text, or anything else that is no time.
    """
    lifted = " OR ".join(
        f"CAST(e.{quoted(name)} AS VARCHAR) IN ({', '.join(map(literal, values))})"
        for name, values in lifted_by.items()
        if values
    )
    if at is None or (not lifted and not as_text):
        return stage, ""
    if not lifted:
        moment = instant(f"e.{quoted(at)}", as_text=True)
        return f"(SELECT {listed(keys)}, {moment} AS {quoted(at)} FROM {stage} AS e)", ""
    by_time = (
        f"(SELECT {listed(keys)}, {order(f'e.{quoted(at)}', as_text=as_text)} AS _sdc_order, "
        f"min({instant(f'e.{quoted(at)}', as_text=as_text)}) AS {quoted(at)}, "
        f"sum(CASE WHEN ({lifted}) IS TRUE THEN -1 ELSE 1 END) AS _sdc_balance FROM {events} AS e "
        f"WHERE EXISTS (SELECT 1 FROM {stage} AS n WHERE {same('n', 'e', keys)}) GROUP BY {listed(keys)}, _sdc_order)"
    )
    place = f"row_number() OVER (PARTITION BY {listed(keys)} ORDER BY _sdc_order DESC NULLS LAST)"
    whole = f"(SELECT b.*, {place} AS _sdc_place FROM {by_time} AS b WHERE b._sdc_balance <> 0)"
    gone = f"(SELECT {listed([*keys, at])} FROM {whole} AS x WHERE x._sdc_place = 1 AND x._sdc_balance > 0)"
    back = (
        f"(SELECT DISTINCT {listed(keys)} FROM {stage} AS m "
        f"WHERE NOT EXISTS (SELECT 1 FROM {gone} AS g WHERE {same('g', 'm', keys)}))"
    )
    return gone, back


def remove(table: str, stage: str, keys: Mapping[str, str], condition: str = "") -> str:
    """Return the statement that removes rows which a stage names, and which a further condition is true for."""
    return f"DELETE FROM {table} AS t USING {stage} AS s WHERE {same('t', 's', keys)}{condition}"


def order(value: str, *, as_text: bool) -> str:
    """Return what tells a version to be earlier or later than others; as text its digits (`kinds.order`)."""
    if not as_text:
        return value
    text = f"CAST({value} AS VARCHAR)"
    digits = f"rpad(regexp_replace({text}, '[^0-9]', '', 'g'), {kinds.DIGITS}, '0')"
    return f"CASE WHEN {text} ~ '^{kinds.IN_UTC}$' THEN {digits} END"


def instant(value: str, *, as_text: bool) -> str:
    """Return an instant; of text null if it is not one that we can order."""
    if not as_text:
        return value
    text = f"CAST({value} AS VARCHAR)"
    return f"CASE WHEN {text} ~ '^{kinds.IN_UTC}$' THEN CAST({text} AS TIMESTAMPTZ) END"


def older(versions: Iterable[tuple[str, str]]) -> str:
    """Return the further condition that rows are of a former state: `(version of the table, version of the stage)`."""
    return "".join(f" AND {ours} < {theirs}" for ours, theirs in versions)


def of_company(company: str | None, alias: str = "t") -> str:
    """Return the further condition that rows are of the company."""
    return "" if company is None else f" AND {alias}.{quoted(COMPANY)} = {literal(company)}"


def former_versions(table: str, version: int, company: str | None, *, marks: bool) -> str:
    """Return the statement that marks or removes what a full load no longer has."""
    column = quoted(VERSION)
    condition = f"WHERE (t.{column} IS NULL OR t.{column} < {version}){of_company(company)}"
    if not marks:
        return f"DELETE FROM {table} AS t {condition}"
    deleted = quoted(DELETED)
    return f"UPDATE {table} AS t SET {deleted} = now() {condition} AND t.{deleted} IS NULL"
