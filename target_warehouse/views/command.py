"""`ap-views`: install the views that answer questions into a warehouse, list them, show their SQL, take them out."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ap_connectors.core import cli, files, postgresql
from ap_connectors.core.errors import Stop
from target_warehouse.views.definition import SERVICES, Absent, Lacking, views
from target_warehouse.views.install import Installer, Places
from target_warehouse.warehouse import Warehouse

_MEMORY = 512


def main() -> None:
    """Run the command."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Do one thing; return the exit status."""
    return cli.main(_parser(), arguments)


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser("ap-views", "Views that answer questions about a warehouse: docs/warehouse.md.")
    what = parser.add_subparsers(dest="what", required=True)
    for name, words in (
        ("apply", "make all views whose tables are there"),
        ("list", "say which views there are, and what they answer"),
        ("show", "print the SQL of a view"),
        ("drop", "take the views out again"),
    ):
        command = what.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
        if name == "show":
            command.add_argument("view", help="name of the view")
        command.add_argument(
            "--database",
            default=os.environ.get("TARGET_WAREHOUSE_DATABASE"),
            help="DuckDB file, or URL of a PostgreSQL database; default: TARGET_WAREHOUSE_DATABASE",
        )
        command.add_argument(
            "--schema",
            default=os.environ.get("TARGET_WAREHOUSE_SCHEMA") or SERVICES[0],
            help="a schema that tables are in; the others are called alike: beside acme_vicai there are acme_ivesk and "
            "acme_saft, and the views go into acme_answers. Default: TARGET_WAREHOUSE_SCHEMA, or vicai",
        )
        for service in SERVICES:
            command.add_argument(f"--{service}", metavar="SCHEMA", help=f"the schema of tap-{service}, if not alike")
        command.add_argument("--into", metavar="SCHEMA", help="the schema of the views, if not alike")
        cli.runs(command, _do)
    return parser


def _do(given: argparse.Namespace) -> int:
    if not given.database:
        raise Stop("Name the database: --database FILE, or TARGET_WAREHOUSE_DATABASE.")
    places = Places.beside(given.schema)
    named = {service: schema for service in SERVICES if (schema := getattr(given, service))}
    places = replace(places, schemas={**places.schemas, **named}, into=given.into or places.into)
    warehouse = _warehouse(given.database)
    warehouse.connect(read_only=given.what in {"list", "show"})
    try:
        _with(Installer(warehouse, places), places, given)
    except warehouse.errors as error:
        raise Stop(postgresql.masked(str(error).strip().splitlines()[0], given.database)) from None
    finally:
        warehouse.close()
    return 0


def _with(installer: Installer, places: Places, given: argparse.Namespace) -> None:
    if given.what == "apply":
        outcome = installer.apply()
        for name, lacking in outcome.left_out.items():
            _tell(f"{name} is left out: {lacking}.")
        for name, reason in outcome.kept.items():
            _tell(f"{name} stays as it is, for it cannot be dropped: {reason}.")
        for service in SERVICES:
            if installer.loaded(service):
                _advise(f"tap-{service}", outcome.left_out.values(), service)
        sys.stdout.write(f"{len(outcome.made)} views are in the schema {places.into}: {', '.join(outcome.made)}\n")
    elif given.what == "drop":
        gone, kept = installer.drop()
        sys.stdout.write(f"{gone} views are dropped from the schema {places.into}.\n")
        if kept:
            stay = "; ".join(f"{name} ({reason})" for name, reason in kept.items())
            raise Stop(f"Not dropped: {stay}.")
    elif given.what == "list":
        there, width = installer.existing(), max(map(len, views()))
        for name, view in views().items():
            mark = "" if name in there else "  (not there)"
            sys.stdout.write(f"{name.ljust(width)}  {view.question}{mark}\n")
    elif given.view not in views():
        raise Stop(f"There is no view {given.view}. There are: {', '.join(views())}.")
    else:
        view = views()[given.view]
        try:
            select = installer.compiled(view)
        except Lacking as lacking:
            raise Stop(f"{view.name} cannot be made: {lacking}.") from None
        head = "\n".join(line for line in view.text.splitlines() if line.startswith("--"))
        sys.stdout.write(f"{head}\nCREATE OR REPLACE VIEW {places.into}.{view.name} AS\n{select}\n")


def _advise(tap: str, reasons: Iterable[Lacking], service: str) -> None:
    """Say how the tables of a service that are missing are loaded."""
    wanted = dict.fromkeys(one.table for one in reasons if isinstance(one, Absent) and one.service == service)
    if wanted:
        select = "; ".join(f"meltano select {tap} {stream} '*'" for stream in wanted)
        _tell(
            f"What is missing of {tap} is loaded by: {select}; meltano run --full-refresh {tap} target-warehouse. "
            f"Without Meltano, select them in a catalog ({tap} --discover > catalog.json), then run without --state."
        )


def _warehouse(database: str) -> Warehouse:
    if postgresql.is_postgresql(database):
        from target_warehouse.postgres import PostgreSQL  # noqa: PLC0415 - DuckDB does without it

        return PostgreSQL(database, "ap-views", _tell, "public", None)
    if not Path(files.place(database)).is_file():
        raise Stop(f"--database {database}: there is no such file. Name the DuckDB file that target-warehouse writes.")
    from target_warehouse.duckdb import DuckDB  # noqa: PLC0415 - PostgreSQL does without it

    return DuckDB(database, _MEMORY, _tell, "main", None)


def _tell(words: str) -> None:
    print(f"ap-views: {words}", file=sys.stderr)  # noqa: T201
