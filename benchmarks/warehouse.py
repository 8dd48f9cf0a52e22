"""`tap-vicai` into a warehouse: beside the tap alone, a bare loop with Arrow, target-duckdb and target-postgres."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.contestants import HERE
from benchmarks.processes import Run, median, run
from benchmarks.reading import Source, vicai
from benchmarks.results import Aim, Order, Progress, Results, Row, Table, memory_aims
from tests import postgresql

RECORDS, MEMORY, MEGABYTES, FLAT = 30_000, (30_000, 300_000), 400.0, 1.15
_TIMES = {"duckdb": 2.2, "postgresql": 1.8}
"""What tap and loader may take, start-up left out, of what the tap alone takes."""
_AGAIN, _RIVAL_DUCKDB, _RIVAL_POSTGRESQL = 1.2, 2.5, 4.0
_TAP = str(Path(HERE).with_name("tap-vicai"))
_OURS = str(Path(HERE).with_name("target-warehouse"))
_ENVIRONMENTS = Path(__file__).resolve().parent.parent / ".venv-bench-loaders"
_DECIMALS_AS_TEXT = {"decimals": "text"}


@dataclass(frozen=True)
class Loader:
    """A loader, or nothing where `command` is empty: the tap alone.

    Args:
        name: of it.
        database: that it loads into: duckdb, postgresql, or nothing.
        command: with `{config}`.
        settings: with `{file}`, `{url}`.
        tap: settings of the tap for it.
        package: what has to be installed in an environment of its own.
    """

    name: str
    database: str = ""
    command: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    tap: Mapping[str, Any] = field(default_factory=dict)
    package: str = ""

    @property
    def there(self) -> bool:
        """Whether it, and its database, are installed."""
        return self.database != "postgresql" or _has_postgresql()

    def at(self, checkout: Path, label: str) -> Loader:
        """Return the same loader as another checkout has it."""
        command = str(checkout / ".venv" / "bin" / Path(self.command[0]).name)
        return replace(self, name=f"{self.name}, {label}", command=(command, *self.command[1:]))


ALONE = Loader("tap-vicai alone")
DUCKDB = Loader("target-warehouse, DuckDB", "duckdb", (_OURS, "--config", "{config}"), {"database": "{file}"})
POSTGRESQL = Loader("target-warehouse, PostgreSQL", "postgresql", DUCKDB.command, {"database": "{url}"})
LOOP = Loader(
    "bare loop with Arrow", "duckdb", (HERE, "-m", "benchmarks.rivals.arrow_loop", "{config}"), {"path": "{file}"}
)
TARGET_DUCKDB = Loader(
    "target-duckdb 0.8.0",
    "duckdb",
    ("target-duckdb", "--config", "{config}"),
    {
        "path": "{file}",
        "default_target_schema": "vicai",
        "add_metadata_columns": True,
        "primary_key_required": False,
        "flush_all_streams": True,
    },
    _DECIMALS_AS_TEXT,
    "target-duckdb==0.8.0 duckdb<1.3",
)
_POSTGRES = {"sqlalchemy_url": "{url}", "default_target_schema": "vicai"}
_TUNED = {"use_copy": True, "validate_records": False, "sanitize_null_text_characters": True}
_PACKAGE = "meltanolabs-target-postgres==0.8.1"
TARGET_POSTGRES = Loader(
    "target-postgres 0.8.1, as it comes",
    "postgresql",
    ("target-postgres", "--config", "{config}"),
    _POSTGRES,
    {},
    _PACKAGE,
)
TUNED = Loader("target-postgres 0.8.1, tuned", "postgresql", TARGET_POSTGRES.command, _POSTGRES | _TUNED, {}, _PACKAGE)
ALL = (ALONE, DUCKDB, POSTGRESQL, LOOP, TARGET_DUCKDB, TUNED, TARGET_POSTGRES)


def measured(order: Order, progress: Progress) -> Results:
    """Measure what is asked for."""
    results = Results("target-warehouse")
    if "speed" in order.parts:
        speed(order, results, progress)
    if "memory" in order.parts:
        memory(order.sizes(*MEMORY), results, progress)
    return results


def speed(order: Order, results: Results, progress: Progress) -> None:
    """Measure all loaders on the same invoices, in turn; ours also a second time, with nothing new."""
    size = order.records or RECORDS
    loaders = [one for one in ALL if one.there and _installed(one, progress)]
    results.absent += [one.name for one in ALL if one not in loaders]
    runs: dict[str, list[tuple[Run, Run]]] = {}
    counts: dict[str, int] = {}
    progress(f"speed: preparing {size:,} invoices")
    with vicai(size) as full, vicai(0) as empty, _folder() as folder:
        for number in range(order.rounds):
            for one in loaders:
                if number and one == TARGET_POSTGRES:
                    continue  # a minute each
                progress(f"round {number + 1} of {order.rounds}, {one.name}")
                place = _Place(folder, one)
                whole = place.load(full)
                counts[one.name] = place.count()
                again = place.load(full, since=True) if one in (ALONE, DUCKDB, POSTGRESQL) else None
                idle = _Place(folder, one).load(empty)
                runs.setdefault(one.name, []).append((whole, idle))
                if again:
                    runs.setdefault(f"{one.name}, nothing new", []).append((again, idle))
    rows = []
    for name, measured_runs in runs.items():
        whole, idle = (median(list(column)) for column in zip(*measured_runs, strict=True))
        running = max(whole.seconds - idle.seconds, 1e-3)
        cells = {"seconds": whole.seconds, "cpu_seconds": whole.cpu_seconds, "empty_seconds": idle.seconds}
        megabytes = max(one.megabytes for one, _ in measured_runs)
        rows.append(
            Row(name, cells | {"running_seconds": running, "megabytes": megabytes, "records": counts.get(name)})
        )
    title = f"{size:,} invoices and master data from tap to warehouse; medians of {order.rounds} rounds, in turn"
    shown = ("seconds", "cpu_seconds", "empty_seconds", "running_seconds", "megabytes", "records")
    results.tables.append(Table("speed", title, shown, rows))
    _judge({row.name: row for row in rows}, size, results)


def _judge(rows: Mapping[str, Row], size: int, results: Results) -> None:
    alone = rows[ALONE.name]
    for one in (DUCKDB, POSTGRESQL):
        if one.name not in rows:
            continue
        ours, again = rows[one.name], rows[f"{one.name}, nothing new"]
        times = ours["running_seconds"] / alone["running_seconds"]
        most = _TIMES[one.database]
        results.aims.append(Aim(times <= most, f"{times:.2f} times the tap alone, {one.name}, running; aim {most}"))
        slower = again["running_seconds"] / rows[f"{ALONE.name}, nothing new"]["running_seconds"]
        words = f"nothing new: {slower:.2f} times the tap alone, {one.name}, running; aim {_AGAIN}"
        results.aims.append(Aim(slower <= _AGAIN, words))
        if ours["records"] != size:
            results.losses.append(f"{one.name}: {ours['records']:,} of {size:,} invoices")
    for mine, rival, least in (
        (DUCKDB, TARGET_DUCKDB, _RIVAL_DUCKDB),
        (POSTGRESQL, TUNED, _RIVAL_POSTGRESQL),
    ):
        if mine.name in rows and rival.name in rows:
            times = rows[rival.name]["running_seconds"] / rows[mine.name]["running_seconds"]
            results.aims.append(Aim(times >= least, f"{times:.1f} times as fast as {rival.name}, running; aim {least}"))


def loads(loaders: Sequence[Loader], order: Order, results: Results, progress: Progress) -> list[Row]:
    """Measure loaders that read the same invoices from a file, and then once more what is there already."""
    size = order.records or RECORDS
    runs: dict[str, list[Run]] = {}
    with vicai(size) as full, _folder() as folder:
        lines = folder / "lines"
        run(_tap(full, folder, {}), lines)
        for number in range(order.rounds):
            for one in loaders:
                progress(f"round {number + 1} of {order.rounds}, {one.name}")
                place = _Place(folder, one)
                command = [part.format(config=place.config) for part in one.command]
                runs.setdefault(one.name, []).append(run(command, given=lines))
                runs.setdefault(f"{one.name}, once more", []).append(run(command, given=lines))
    rows = [Row(name, vars(median(some))) for name, some in runs.items()]
    title = f"{size:,} invoices and master data from a file; medians of {order.rounds} rounds, in turn"
    results.tables.append(Table("speed", title, ("seconds", "cpu_seconds"), rows))
    return rows


def memory(sizes: list[int], results: Results, progress: Progress) -> None:
    """Measure the loader's own peak memory and time, reading from a file, by the number of invoices."""
    rows = []
    for size in sizes:
        progress(f"memory: {size:,} invoices")
        with vicai(size) as full, _folder() as folder:
            lines = folder / "lines"
            run(_tap(full, folder, {}), lines)
            for one in (DUCKDB, POSTGRESQL):
                if one.there:
                    place = _Place(folder, one)
                    taken = run([part.format(config=place.config) for part in one.command], given=lines)
                    rows.append(Row(f"{size:,} invoices, {one.database}", vars(taken)))
    results.tables.append(Table("memory", "The loader alone, from a file", ("seconds", "megabytes"), rows))
    for database in ("duckdb", "postgresql"):
        peaks = [row["megabytes"] for row in rows if row.name.endswith(database)]
        results.aims += memory_aims(peaks, MEGABYTES, FLAT)


class _Place:
    """Where a loader writes, empty at first."""

    def __init__(self, folder: Path, loader: Loader) -> None:
        self._loader = loader
        self._folder = Path(folder, loader.name.replace(" ", "-"))
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        self._file = self._folder / "warehouse.duckdb"
        self._url = postgresql.empty_database("bench") if loader.database == "postgresql" else ""
        given = {
            name: value.format(file=self._file, url=self._url) if isinstance(value, str) else value
            for name, value in loader.settings.items()
        }
        if Path(loader.command[0] if loader.command else "").name == Path(_OURS).name:
            given |= {"schema": "vicai", "rejects_path": str(self._folder / "rejects.jsonl")}
        self.config = self._folder / "config.json"
        self.config.write_text(json.dumps(given), encoding="utf-8")
        self.config.chmod(0o600)

    def load(self, source: Source, *, since: bool = False) -> Run:
        """Run tap and loader once; `since` the state that the last run left."""
        states = self._folder / "states"
        state = self._folder / "state.json"
        if since:
            state.write_bytes(states.read_bytes().splitlines()[-1])
        tap = shlex.join([*_tap(source, self._folder, self._loader.tap), *(["--state", str(state)] if since else [])])
        if not self._loader.command:
            # What the state is, only this tap's own output tells.
            last = (
                f'| grep -F \'"type":"STATE"\' | tail -1 | sed \'s/.*"value"://; s/}}$//\' > {shlex.quote(str(states))}'
            )
            if not since:
                subprocess.run(["bash", "-c", f"{tap} 2>/dev/null {last}"], check=True)
            return run(["bash", "-c", f"{tap} > /dev/null"])
        command = [part.format(config=self.config) for part in self._loader.command]
        if self._loader.package:
            command[0] = str(_environment(self._loader.package) / "bin" / command[0])
        loader = shlex.join(command)
        return run(["bash", "-c", f"set -o pipefail; {tap} | {loader} > {shlex.quote(str(states))}"])

    def count(self) -> int:
        """Return how many invoices are there."""
        if self._loader.database == "postgresql":
            import psycopg  # noqa: PLC0415 - only where it is measured

            with psycopg.connect(self._url) as connection:
                found = connection.execute("SELECT count(*) FROM vicai.invoices").fetchone()
                return int(found[0]) if found else 0
        if self._loader.database == "duckdb":
            import duckdb  # noqa: PLC0415

            with duckdb.connect(str(self._file), read_only=True) as connection:
                (schema,) = connection.execute(
                    "SELECT schema_name FROM duckdb_tables() WHERE table_name = 'invoices'"
                ).fetchall()[0]
                found = connection.execute(f'SELECT count(*) FROM "{schema}".invoices').fetchone()
                return int(found[0]) if found else 0
        return 0


def _tap(source: Source, folder: Path, settings: Mapping[str, Any]) -> list[str]:
    config = folder / "tap.json"
    config.write_text(json.dumps({**source.settings, **settings}), encoding="utf-8")
    config.chmod(0o600)
    return [_TAP, "--config", str(config)]


def _environment(package: str) -> Path:
    return _ENVIRONMENTS / "".join(letter for letter in package if letter.isalnum())


def _installed(one: Loader, progress: Progress) -> bool:
    """Install a loader into an environment of its own, once; return whether that worked."""
    if not one.package:
        return True
    place = _environment(one.package)
    if (place / "bin" / one.command[0]).exists():
        return True
    progress(f"installing {one.package}")
    uv = str(Path(HERE).with_name("uv"))
    made = subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(place)], check=False)
    into = [uv, "pip", "install", "--quiet", "--python", str(place / "bin" / "python"), *one.package.split()]
    return not made.returncode and not subprocess.run(into, check=False).returncode


def _has_postgresql() -> bool:
    return not postgresql.needs_postgresql.args[0]


@contextmanager
def _folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="benchmarks-") as folder:
        yield Path(folder)
