"""`tap-vicai` into a warehouse: beside the tap alone, a bare loop with Arrow, target-duckdb and target-postgres."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import contestants, services
from benchmarks.contestants import DUCKDB, POSTGRESQL, TAP_ALONE, Contestant, chosen
from benchmarks.processes import Measured, Run, in_turn, run
from benchmarks.results import Results, Row, progress
from benchmarks.services import Service

RECORDS, MEMORY, MEGABYTES, FLAT = 30_000, (30_000, 300_000), 400.0, 1.15
TIMES = {DUCKDB.name: 2.2, POSTGRESQL.name: 1.8}
"""What tap and loader may take, start-up left out, of what the tap alone takes."""
AGAIN = 1.2
"""The same, with nothing new."""
RIVALS = (
    (DUCKDB, contestants.TARGET_DUCKDB, 2.5),
    (POSTGRESQL, contestants.TUNED_POSTGRES, 4.0),
)
_TAP_SETTINGS = {contestants.TARGET_DUCKDB.name: {"decimals": "text"}}
_STREAM = "invoices"


def speed(results: Results) -> None:
    """Measure all loaders on the same invoices, in turn; ours also a second time, with nothing new.

    Beside another checkout only the loaders differ: they read a file, and nothing new is the same file once more.
    """
    size, rounds = results.order.records or RECORDS, results.order.rounds
    from_file = bool(results.order.against)
    loaders = chosen(contestants.LOADERS[from_file:], results)
    progress(f"speed: preparing {size:,} invoices")
    with services.vicai(size) as full, services.vicai() as empty, services.empty_folder() as lines:
        for service in (full, empty) if from_file else ():
            _messages(service, lines)

        def load(one: Contestant) -> Iterator[Measured]:
            with services.empty_folder() as folder, services.empty_folder() as other:
                place, nothing = (_Place(where, one, lines if from_file else None) for where in (folder, other))
                whole, idle = place.load(full), nothing.load(empty)
                count = place.count()
                if one.ours and one.database and count != size:
                    results.losses.append(f"{one.name}: {count:,} of {size:,} invoices")
                yield Measured(one.name, whole, idle, {"records": count} if one.database else {})
                if one.ours:
                    yield Measured(_again(one.name), place.load(full, since=True), idle, {})

        rows = in_turn(loaders, rounds, load)
    way = "from a file" if from_file else "from tap"
    title = f"{size:,} invoices and master data {way} to warehouse; medians of {rounds} rounds, in turn"
    shown = ("seconds", "cpu_seconds", "empty_seconds", "running_seconds", "megabytes", "records")
    results.table("speed", title, shown, rows)
    _judge({row.name: row for row in rows}, results)


def _again(name: str) -> str:
    return f"{name}, nothing new"


def _judge(rows: Mapping[str, Row], results: Results) -> None:
    def times(name: str, other: str) -> float:
        return rows[name].times(rows[other], "running_seconds") if name in rows and other in rows else math.nan

    for name, most in TIMES.items():
        beside = times(name, TAP_ALONE.name)
        results.aim(beside <= most, f"{beside:.2f} times the tap alone, {name}, running; aim {most}")
        beside = times(_again(name), _again(TAP_ALONE.name))
        results.aim(beside <= AGAIN, f"nothing new: {beside:.2f} times the tap alone, {name}, running; aim {AGAIN}")
    for ours, rival, least in RIVALS:
        beside = times(rival.name, ours.name)
        results.aim(beside >= least, f"{beside:.1f} times as fast as {rival.name}, running; aim {least}")


def memory(results: Results) -> None:
    """Measure the loader's own peak memory and time, reading from a file, by the number of invoices."""
    rows: dict[str, list[Row]] = {}
    for size in results.order.sizes(*MEMORY):
        progress(f"memory: {size:,} invoices")
        with services.vicai(size) as full, services.empty_folder() as lines:
            _messages(full, lines)
            for one in chosen([DUCKDB, POSTGRESQL], results):
                with services.empty_folder() as folder:
                    taken = _Place(folder, one, lines).load(full)
                rows.setdefault(one.name, []).append(Row(f"{size:,} invoices, {one.database}", vars(taken)))
    found = [row for several in rows.values() for row in several]
    results.table("memory", "The loader alone, from a file", ("seconds", "cpu_seconds", "megabytes"), found)
    for several in rows.values():
        results.memory_aims(several, MEGABYTES, FLAT)


def _messages(service: Service, folder: Path) -> None:
    """Read all of a service into a file of Singer messages, which has its port as a name."""
    run(service.line(TAP_ALONE, folder), _file(service, folder))


def _file(service: Service, folder: Path) -> Path:
    return folder / service.sandbox.url.rpartition(":")[2]


class _Place:
    """Where a loader writes, empty at first.

    Args:
        folder: Its files are there; a PostgreSQL database is its own.
        one: The loader, or the tap alone.
        lines: The folder with files of messages that it reads; `None`: it reads what the tap writes.
    """

    def __init__(self, folder: Path, one: Contestant, lines: Path | None) -> None:
        self._folder, self._one, self._lines = folder, one, lines
        self._loader = one.line(folder) if one.database else []

    def load(self, service: Service, *, since: bool = False) -> Run:
        """Run tap and loader once; `since` the state that the last run left."""
        output, state = self._folder / "output", self._folder / "state.json"
        if self._lines:
            return run(self._loader, output, given=_file(service, self._lines))
        shared = {**service.settings, **_TAP_SETTINGS.get(self._one.name, {})}
        tap = shlex.join([*TAP_ALONE.line(self._folder, shared), *(["--state", str(state)] if since else [])])
        if since:
            last = output.read_bytes().splitlines()[-1]
            # A loader's line is the state; the tap's is a message.
            state.write_bytes(last if self._loader else json.dumps(json.loads(last)["value"]).encode())
        command = f"set -o pipefail; {tap} | {shlex.join(self._loader)}" if self._loader else tap
        return run(["bash", "-c", command], output)

    def count(self) -> int:
        """Return how many invoices are there."""
        settings = {path.name: path for path in self._folder.glob("target-*.json")}
        found: Any = None
        if self._one.database == "postgresql":
            import psycopg  # noqa: PLC0415 - only where it is measured

            (file,) = settings.values()
            given = json.loads(file.read_text(encoding="utf-8"))
            with psycopg.connect(given.get("database") or given["sqlalchemy_url"]) as connection:
                found = connection.execute(f"SELECT count(*) FROM vicai.{_STREAM}".encode()).fetchone()
        elif self._one.database == "duckdb":
            import duckdb  # noqa: PLC0415

            with duckdb.connect(str(self._folder / "warehouse.duckdb"), read_only=True) as connection:
                query = "SELECT schema_name FROM duckdb_tables() WHERE table_name = ?"
                ((schema,),) = connection.execute(query, [_STREAM]).fetchall()
                found = connection.execute(f'SELECT count(*) FROM "{schema}".{_STREAM}').fetchone()
        return int(found[0]) if found else 0
