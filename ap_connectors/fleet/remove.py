"""`ap-fleet remove`: what a client leaves behind, named first, and then removed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ap_connectors.core import files, postgresql
from ap_connectors.core.exact import counted
from ap_connectors.fleet import databases, owners, plugins, worker
from ap_connectors.fleet.members import Company, Fleet
from ap_connectors.fleet.state import Store
from ap_connectors.vicai.settings import client
from ap_connectors.vicai.transport import Forbidden, NotFound, Refused

_FOLDERS = ("logs", "reports", "rejects", "ledgers", "documents", "state")


@dataclass(frozen=True)
class Step:
    """One thing that is removed.

    Args:
        words: what it is.
        do: removes it; returns what there is to say.
    """

    words: str
    do: Callable[[], str]


def steps(fleet: Fleet, company: Company, *, rows: bool, files: bool) -> tuple[list[Step], list[Store]]:
    """Return what removing a company consists of, and the locks of its pipelines, which have to be held meanwhile.

    Args:
        fleet: of the company.
        company: who leaves.
        rows: whether its rows in the warehouse go, too.
        files: whether its files go, too.

    Raises:
        Stop: a secret cannot be had, or a database not be opened.
    """
    found: list[Step] = []
    stores: list[Store] = []
    subscribed: set[str] = set()
    tables: dict[tuple[str, str], None] = {}
    for pipeline in (fleet.pipelines[name] for name in company.pipelines):
        given = worker.Settings(fleet, company, pipeline)
        for plugin in pipeline.plugins:
            settings = given.of[plugin]
            if {"client_id", "client_secret"} <= settings.keys() and settings["client_id"] not in subscribed:
                subscribed.add(settings["client_id"])
                found.append(
                    Step(f"the subscription to webhooks of Vic.ai (client {settings['client_id']})", _ends(settings))
                )
        store = worker.store(fleet, company, pipeline, given.of[pipeline.target])
        stores.append(store)
        if pipeline.to_warehouse:
            target = given.of[pipeline.target]
            tables[str(target["database"]), str(target.get("schema") or "")] = None
        else:
            found.append(Step(f"the STATE of {pipeline.name}", _forgets(store)))
    if any(
        not one.to_warehouse and plugins.has(one.target, "expected_company")
        for one in map(fleet.pipeline, company.pipelines)
    ):
        found.append(Step("the name of its company at Vic.ai", _forgets(owners.remembered(fleet, company))))
    for (database, schema), _ in tables.items():
        found += _in_warehouse(fleet, company, database, schema, rows=rows)
    for folder in (fleet.folder / name / company.id for name in _FOLDERS) if files else ():
        if folder.exists():
            found.append(Step(f"the files in {folder}", _deletes(folder)))
    return found, stores


def _ends(settings: dict[str, Any]) -> Callable[[], str]:
    def do() -> str:
        vic = client({**settings, "max_concurrency": 1}, timeout=60, user_agent="ap-fleet")
        try:
            vic.send("unsubscribe")
        except NotFound:
            return "there was none"
        except (Forbidden, Refused) as error:
            return f"not ended: {error}"
        return "ended"

    return do


def _forgets(store: Store) -> Callable[[], str]:
    return lambda: "removed" if store.remove() else "there was none"


def _deletes(folder: Path) -> Callable[[], str]:
    def do() -> str:
        shutil.rmtree(folder)
        return "removed"

    return do


def _in_warehouse(fleet: Fleet, company: Company, database: str, schema: str, *, rows: bool) -> Iterator[Step]:
    """Yield the steps in a schema: the STATE always, rows of every table that has the column company if asked for.

    The STATE goes first, or the next run would go on behind rows that are gone; whose the rows are is known as long as
    there are any, so that another company's cannot come among them.
    """
    if not postgresql.is_postgresql(database) and not (fleet.path.parent / files.place(database)).exists():
        return
    with databases.opened(database, fleet.path.parent) as opened:
        schema = schema or ("public" if opened.is_postgresql else "main")
        # Views show what the tables have.
        asked = (
            "SELECT c.table_name FROM information_schema.columns c JOIN information_schema.tables t ON "
            "t.table_schema = c.table_schema AND t.table_name = c.table_name AND t.table_type = 'BASE TABLE' "
            "WHERE c.table_schema = ? AND c.column_name = 'company' ORDER BY 1"
        )
        names = [str(name) for (name,) in opened.rows(asked, schema)]
        catalog = "" if opened.is_postgresql else f'"{opened.rows("SELECT current_database()")[0][0]}".'
        wanted = [name for name in names if rows or name == "_state"]
        counts = {}
        for name in wanted:
            table = f"{catalog}{_quoted(schema)}.{_quoted(name)}"
            ((count,),) = opened.rows(f"SELECT count(*) FROM {table} WHERE company = ?", company.id)  # noqa: S608
            counts[name, table] = int(count)
    whose = []
    for (name, table), count in counts.items():
        if count and name == "_state":
            yield Step(f"the STATE in {schema}._state", _forgets_in(fleet, company, database, table))
            whose = [Step(f"whose rows they were, in {schema}._state", _empties(fleet, company, database, table))]
        elif count:
            yield Step(f"{counted(count, 'row')} of {schema}.{name}", _empties(fleet, company, database, table))
    if rows:
        yield from whose


def _forgets_in(fleet: Fleet, company: Company, database: str, table: str) -> Callable[[], str]:
    def do() -> str:
        with databases.opened(database, fleet.path.parent, write=True) as opened:
            asked = f"SELECT DISTINCT tenant FROM {table} WHERE company = ?"  # noqa: S608
            for (tenant,) in opened.rows(asked, company.id):
                if tenant is None:
                    opened.rows(f"DELETE FROM {table} WHERE company = ? AND tenant IS NULL", company.id)  # noqa: S608
                    continue
                kept = json.dumps({"bookmarks": {"company": {"tenant": tenant}}}, ensure_ascii=False)
                opened.rows(f"UPDATE {table} SET state = ? WHERE company = ? AND tenant = ?", kept, company.id, tenant)  # noqa: S608
        return "removed"

    return do


def _empties(fleet: Fleet, company: Company, database: str, table: str) -> Callable[[], str]:
    def do() -> str:
        with databases.opened(database, fleet.path.parent, write=True) as opened:
            opened.rows(f"DELETE FROM {table} WHERE company = ?", company.id)  # noqa: S608
        return "removed"

    return do


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
