"""Who is measured: commands of ours, and what one would use or write instead."""

from __future__ import annotations

import fcntl
import functools
import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.processes import HERE, ROOT, FailedError
from benchmarks.results import Results, progress
from tests import postgresql

_RIVALS = Path(__file__).with_name("rivals")
_OTHERS = ROOT / ".venv-bench"
"""Other projects' packages, each in an environment of its own because their pins differ from ours."""


@dataclass(frozen=True)
class Contestant:
    """One command. `ours` may not lose, double or make up anything; the others are only watched."""

    name: str
    command: tuple[str, ...]
    """With `{config}`, `{catalog}`, `{folder}` (an empty one to write to) and `{bin}` (of `package`)."""
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Added to the settings that all share; `{folder}` and `{url}` (of an empty PostgreSQL database) may be in them."""
    streams: tuple[str, ...] = ()
    """What a tap of ours is told to select; all if it has no `{catalog}`."""
    ours: bool = False
    package: str = ""
    """What is installed for it, of other projects, blanks between."""
    database: str = ""
    once: bool = False
    """Measured in the first round only, for it takes long."""

    def at(self, checkout: Path) -> Contestant:
        """Return the same command of ours as another checkout has it.

        Raises:
            FailedError: That checkout has no such command.
        """
        command = checkout / ".venv" / "bin" / Path(self.command[0]).name
        if not command.exists():
            raise FailedError(f"{command} does not exist: run `make .venv/.dev` in {checkout} first.")
        return replace(self, name=f"{self.name}{beside(checkout)}", command=(str(command), *self.command[1:]))

    def line(self, folder: Path, shared: Mapping[str, Any] | None = None, catalog: Path | None = None) -> list[str]:
        """Return the whole command line, its settings in a file in `folder`."""
        places: dict[str, Any] = {"folder": folder, "catalog": catalog, "bin": environment(self.package) / "bin"}
        settings = json.dumps({**(shared or {}), **self.settings}).replace("{folder}", str(folder))
        if "{url}" in settings:
            settings = settings.replace("{url}", postgresql.empty_database("bench"))
        places["config"] = folder / f"{Path(self.command[0]).name}.json"
        places["config"].touch(0o600)
        places["config"].write_text(settings, encoding="utf-8")
        return [part.format_map(places) for part in self.command]


@functools.cache
def beside(checkout: Path) -> str:
    """Return what is put behind the names of another checkout: its commit, or its folder where git knows none."""
    command = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return f", {found or checkout.name}"


def chosen(contestants: Iterable[Contestant], results: Results) -> list[Contestant]:
    """Return who is measured: all that can be had, or ours here and in another checkout; note who is absent."""
    there = [one for one in contestants if one.database != "postgresql" or has_postgresql()]
    if other := results.order.against:
        return [each for one in there if one.ours for each in (one, one.at(other))]
    there = [one for one in there if installed(one.package)]
    results.absent += [one.name for one in contestants if one not in there]
    return there


def has_postgresql() -> bool:
    """Whether a PostgreSQL server can be had here."""
    return not postgresql.needs_postgresql.args[0]


def environment(package: str) -> Path:
    """Return the folder of the environment that a package is installed in."""
    return _OTHERS / "".join(letter for letter in package if letter.isalnum())


@functools.cache
def installed(package: str) -> bool:
    """Install packages into an environment of their own, once; return whether they are there."""
    if not package:
        return True
    _OTHERS.mkdir(exist_ok=True)
    place = environment(package)
    # Several services are measured beside one another where tests do it.
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return (place / "installed").exists() or _install(package, place)


def _install(package: str, place: Path) -> bool:
    progress(f"installing {package} (once)")
    uv, python = str(Path(HERE).with_name("uv")), str(place / "bin" / "python")
    pins = ["--constraint", str(ROOT / "constraints-bench.txt")]
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", HERE, str(place)],
        [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *pins, *package.split()],
    ):
        if subprocess.run(command, check=False).returncode:
            return False
    (place / "installed").touch()
    return True


def ours(command: str, name: str = "", *streams: str, **settings: Any) -> Contestant:
    """Return a command of ours, called `name` where it is measured with other settings than usual."""
    line = (str(Path(HERE).with_name(command)), "--config", "{config}", *(("--catalog", "{catalog}") * bool(streams)))
    return Contestant(name or command, line, settings, streams, ours=True)


def rival(name: str, module: str, *arguments: str, **settings: Any) -> Contestant:
    """Return something of `rivals`."""
    return Contestant(name, (HERE, "-m", f"benchmarks.rivals.{module}", *arguments), settings)


def dlt(name: str, what: str, **settings: Any) -> Contestant:
    """Return dlt with what it does (`read`, `load`)."""
    command = ("{bin}/python", "-m", "benchmarks.rivals.dlt_vicai", what, "{config}", "{folder}")
    return Contestant(name, command, settings, package="dlt==1.31.0")


# Reading.

PLAIN, LOOSE, EXACT = "plain singer-sdk tap", "requests + json", "requests + msgspec, exact"
DOCUMENTS, DOCUMENT_LINES = "exported_documents", "exported_document_lines"
INVOICES, INVOICE_LINES = "invoices", "invoice_line_items"
_ALL = {"invoice_states": ["ALL"]}
# What one turns first where speed matters: workers, buffers, no compression, no tables of their own for lists.
_TUNED = {
    "source": {"parallelized": True, "max_table_nesting": 0},
    "environment": {
        "EXTRACT__WORKERS": "20",
        "EXTRACT__MAX_PARALLEL_ITEMS": "100",
        "NORMALIZE__WORKERS": "2",
        "DATA_WRITER__BUFFER_MAX_ITEMS": "20000",
        "DATA_WRITER__DISABLE_COMPRESSION": "true",
        "EXTRACT__DATA_WRITER__FILE_MAX_ITEMS": "10000",
    },
}
_AIRBYTE = Contestant(
    "airbyte-cdk, declarative",
    (
        "{bin}/source-declarative-manifest",
        "read",
        "--config={config}",
        f"--catalog={_RIVALS / 'airbyte-catalog.json'}",
        f"--manifest-path={_RIVALS / 'airbyte.yaml'}",
    ),
    package="airbyte-cdk==7.39.1",
)
IVESK_READERS = (
    ours("tap-ivesk", "", DOCUMENTS),
    ours("tap-ivesk", "tap-ivesk with lines", DOCUMENTS, DOCUMENT_LINES),
    rival(PLAIN, "plain_tap_ivesk", "--config", "{config}"),
    rival(LOOSE, "bare", "ivesk", "json", "{config}"),
    rival(EXACT, "bare", "ivesk", "msgspec", "{config}"),
)
VICAI_READERS = (
    ours("tap-vicai", "", INVOICES, **_ALL),
    rival(PLAIN, "plain_tap_vicai", "--config", "{config}"),
    dlt("dlt, default", "read"),
    dlt("dlt, tuned", "read", dlt=_TUNED),
    _AIRBYTE,
    rival(LOOSE, "bare", "vicai", "json", "{config}"),
    rival(EXACT, "bare", "vicai", "msgspec", "{config}"),
)
VICAI_RIVALS = ("dlt, default", "dlt, tuned", _AIRBYTE.name)
"""The fastest of these is the one to beat."""

NO_LIMIT: Mapping[str, Any] = {"rate_limit": {"requests": 1_000_000, "seconds": 1}}


def with_lines(name: str, **settings: Any) -> Contestant:
    """Return our tap with the lines of each invoice, with other settings than usual."""
    return ours("tap-vicai", name, INVOICES, INVOICE_LINES, **_ALL, **settings)


def _at_once(workers: int, **settings: Any) -> Contestant:
    return with_lines(f"tap-vicai, {workers} at once", max_concurrency=workers, **settings)


_DLT_20 = dlt("dlt, 20 workers", "read", lines=True, dlt=_TUNED)
LINE_READERS = (
    _at_once(8, **NO_LIMIT),
    _at_once(20, **NO_LIMIT),
    rival(PLAIN, "plain_tap_vicai", "--config", "{config}", lines=True),
    dlt("dlt, default", "read", lines=True),
    _DLT_20,
)
LIMITED = (_at_once(8), _at_once(20), _DLT_20)
"""Who is measured where the service allows 500 requests in 10 seconds; one request at a time never gets there."""

# Loading.

WORKERS = 8
"""Requests at once where there is no limit: the least of our default, and as many for the bare loop."""
_ASIDE: Mapping[str, Any] = {"rejects_path": "{folder}/rejects.jsonl"}
"""Refused rows are set aside; else the first one ends a loader."""
COMPARING = ours("target-vicai", **_ASIDE)
UNLIMITED = ours("target-vicai", **_ASIDE, **NO_LIMIT)
WRITING = ours("target-vicai", compare="none", max_concurrency=WORKERS, **_ASIDE, **NO_LIMIT)
LOOP = rival("requests + thread pool", "bare", "vendors", str(WORKERS), "{config}")


def creating(name: str, most: int, **settings: Any) -> Contestant:
    """Return our target as it loads new vendors, at most so many rejects."""
    return ours("target-vicai", name, compare="none", max_rejects=most, **_ASIDE, **settings)


def reject_loaders(rows: int) -> list[Contestant]:
    """Return who loads so many vendors, some of them bad."""
    # dlt loads whole files at once, one a worker: so these have to be as many as the workers.
    twenty = {"LOAD__WORKERS": "20", "NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS": str(max(1, rows // 20))}
    return [
        creating("target-vicai", rows),
        creating("target-vicai, 8 at once", rows, max_concurrency=8),
        dlt("dlt, default", "load"),
        dlt("dlt, caught, 1 worker", "load", dlt={"environment": {"LOAD__WORKERS": "1"}}, **_ASIDE),
        dlt("dlt, caught, 20 workers", "load", dlt={"environment": twenty}, **_ASIDE),
        rival("plain singer-sdk sink", "plain_target", "--config", "{config}"),
        rival("plain sink, caught", "plain_target", "--config", "{config}", **_ASIDE),
    ]


# Warehouses.

TAP_ALONE = ours("tap-vicai", "tap-vicai alone", **_ALL)
_WAREHOUSE = {"schema": "vicai", **_ASIDE}
_FILE = "{folder}/warehouse.duckdb"
DUCKDB = replace(ours("target-warehouse", "target-warehouse, DuckDB", database=_FILE, **_WAREHOUSE), database="duckdb")
POSTGRESQL = replace(
    ours("target-warehouse", "target-warehouse, PostgreSQL", database="{url}", **_WAREHOUSE), database="postgresql"
)
ARROW = replace(rival("bare loop with Arrow", "arrow_loop", "{config}", path=_FILE), database="duckdb")
TARGET_DUCKDB = Contestant(
    "target-duckdb 0.8.0",
    ("{bin}/target-duckdb", "--config", "{config}"),
    {
        "path": _FILE,
        "default_target_schema": "vicai",
        "add_metadata_columns": True,
        "primary_key_required": False,
        "flush_all_streams": True,
    },
    package="target-duckdb==0.8.0 duckdb<1.3",
    database="duckdb",
)
TARGET_POSTGRES = Contestant(
    "target-postgres 0.8.1, as it comes",
    ("{bin}/target-postgres", "--config", "{config}"),
    {"sqlalchemy_url": "{url}", "default_target_schema": "vicai"},
    package="meltanolabs-target-postgres==0.8.1",
    database="postgresql",
    once=True,
)
TUNED_POSTGRES = replace(
    TARGET_POSTGRES,
    name="target-postgres 0.8.1, tuned",
    settings={
        **TARGET_POSTGRES.settings,
        "use_copy": True,
        "validate_records": False,
        "sanitize_null_text_characters": True,
    },
    once=False,
)
LOADERS = (TAP_ALONE, DUCKDB, POSTGRESQL, ARROW, TARGET_DUCKDB, TUNED_POSTGRES, TARGET_POSTGRES)
