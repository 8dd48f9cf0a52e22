"""`tap-ivesk` and `tap-vicai`, measured: speed, fidelity, lines, memory, discovery."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ap_connectors.ivesk import contract as ivesk_contract
from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.vicai import contract as vicai_contract
from benchmarks import contestants, output
from benchmarks.contestants import Contestant, present
from benchmarks.output import Comparison, Count
from benchmarks.processes import Run, median, run
from benchmarks.results import Aim, Order, Progress, Results, Row, Share, Table, memory_aims, share_aim, times_aim

RECORDS, MEMORY = 30_000, (10_000, 100_000)
"""What is read, unless told otherwise."""
MEGABYTES, FLAT = 150.0, 1.15
"""Memory counts as flat when the longest read takes at most this many times what the shortest takes."""
LOOP_SHARE, DISCOVERY_TIMES, RIVAL_TIMES = 0.6, 1.5, 2.5
LINES_SECONDS = {False: 4.0, True: 12.0}
"""Aims for the lines of all invoices: without a limit, and under the service's."""

_FIDELITY_RECORDS, _LONG_AMOUNTS = 1_000, 50
_LONG = Decimal("1234567890123456.780")
_DISCOVERY_RUNS = 5
_LINE_INVOICES, _LATENCY_MS = 600, 50
_REQUESTS, _SECONDS = 500, 10
"""The limit that the service states."""


class Source:
    """A running sandbox, and the files that point the contestants at it.

    Args:
        sandbox: the service that they read.
        settings: the settings that all of them share, credentials among them.
        folder: where the files go.
    """

    def __init__(self, sandbox: SandboxProcess, settings: Mapping[str, Any], folder: Path) -> None:
        self.sandbox = sandbox
        self.settings = settings
        self._folder = folder
        self._config = str(self._file("config", settings))

    def command(self, one: Contestant, folder: Path | None = None) -> list[str]:
        """Return the whole command line; `folder` is where it may write more than its standard output."""
        places: dict[str, Any] = {"folder": folder}
        places["config"] = self._file(f"{one.name}.config", {**self.settings, **one.settings})
        if one.streams:
            places["catalog"] = self._file(f"{one.name}.catalog", _select(self._catalog(one.command[0]), one.streams))
        return [part.format_map(places) for part in one.command]

    def discovery(self, tap: str) -> list[str]:
        """Return the command line with which a tap prints its catalog."""
        return [tap, "--config", self._config, "--discover"]

    @functools.cache  # noqa: B019 - it lives as long as the benchmark
    def _catalog(self, tap: str) -> bytes:
        return subprocess.run(self.discovery(tap), check=True, capture_output=True).stdout

    def _file(self, name: str, content: Any) -> Path:
        file = self._folder / f"{name}.json"
        file.write_text(json.dumps(content), encoding="utf-8")
        return file


def _select(catalog: bytes, streams: tuple[str, ...]) -> Any:
    content = json.loads(catalog)
    for stream in content["streams"]:
        root = next(entry["metadata"] for entry in stream["metadata"] if not entry["breadcrumb"])
        root["selected"] = stream["tap_stream_id"] in streams
    return content


@contextmanager
def ivesk(documents: int, **options: Any) -> Iterator[Source]:
    """Start a sandbox whose exported queue holds exactly so many documents."""
    with SandboxProcess(documents, start_seconds=300, **options) as sandbox, _folder() as folder:
        # Not every document has been exported, as in life.
        if missing := documents - sandbox.control.ivesk(sums=False)["exported"]["count"]:
            sandbox.control.add(missing)
        yield Source(sandbox, {"api_url": sandbox.ivesk_url, "api_key": sandbox.api_key}, folder)


@contextmanager
def vicai(invoices: int, **options: Any) -> Iterator[Source]:
    """Start a sandbox that holds so many invoices; without a limit of requests unless `options` say otherwise."""
    chosen = {"rate_requests": 0, **options}
    with SandboxProcess(0, invoices=invoices, start_seconds=300, vicai=chosen) as sandbox, _folder() as folder:
        account = {"client_id": sandbox.client_id, "client_secret": sandbox.client_secret}
        yield Source(sandbox, {"api_url": sandbox.vicai_url, **account, "invoice_states": ["ALL"]}, folder)


@contextmanager
def _folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="benchmarks-") as folder:
        yield Path(folder)


@dataclass(frozen=True)
class Service:
    """What differs between the two taps."""

    name: str
    unit: str
    readers: Sequence[Contestant]
    source: Callable[..., AbstractContextManager[Source]]
    stream: str
    lines: str
    key: str
    held_in: str
    known: Callable[[], Mapping[str, Any]]
    store: Callable[[Source], Iterable[bytes]]
    remembered: Contestant
    """Whose memory is measured."""
    plain_times: float
    """How many times as fast as the plain tap ours aims to be."""
    rivals: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()
    """Readers whose fidelity another one shows."""

    def count(self, folder: Path) -> Count:
        """Count what a contestant wrote."""
        return output.count(folder, self.stream, self.lines, self.key, self.held_in)


IVESK = Service(
    "tap-ivesk",
    "documents",
    contestants.IVESK_READERS,
    ivesk,
    contestants.DOCUMENTS,
    contestants.DOCUMENT_LINES,
    "id",
    "lines",
    ivesk_contract.schema,
    lambda source: source.sandbox.control.document_lines(),
    contestants.TAP_IVESK_LINES,
    4.0,
    not_compared=(contestants.TAP_IVESK_LINES.name,),
)
VICAI = Service(
    "tap-vicai",
    "invoices",
    contestants.VICAI_READERS,
    vicai,
    contestants.INVOICES,
    contestants.INVOICE_LINES,
    "internalId",
    "lineitems",
    lambda: vicai_contract.singer_schema("Invoice"),
    lambda source: source.sandbox.control.vicai.record_lines("invoices"),
    contestants.TAP_VICAI,
    4.5,
    contestants.VICAI_RIVALS,
    # What it lays out in many tables, the tuned one keeps together.
    (contestants.DLT.name,),
)


def measured(service: Service, order: Order, progress: Progress) -> Results:
    """Measure what is asked for."""
    results = Results(service.name)
    if "speed" in order.parts:
        speed(service, service.readers, order, results, progress)
    if "fidelity" in order.parts:
        fidelity(service, results, progress)
    if "children" in order.parts and service is VICAI:
        children(results, progress)
    if "memory" in order.parts:
        memory(service, order.sizes(*MEMORY), results, progress)
    if "discovery" in order.parts and service is IVESK:
        discovery(results, progress)
    return results


def speed(
    service: Service, readers: Sequence[Contestant], order: Order, results: Results, progress: Progress
) -> list[Row]:
    """Measure readers on the same records, in turn; what they write in the first round is counted."""
    size = order.records or RECORDS
    readers = present(readers, results.absent)
    counts: dict[str, Count] = {}
    progress(f"speed: preparing {size:,} {service.unit}")
    with service.source(size) as full, service.source(0) as empty:
        _once(full, readers[-1])  # fills the sandbox's cache

        def read(one: Contestant) -> tuple[Run, Run]:
            with _folder() as folder:
                whole = run(full.command(one, folder), folder / "output")
                if one.name not in counts:
                    counts[one.name] = service.count(folder)
            return whole, _once(empty, one)

        rows = in_turn(readers, order.rounds, read, lambda one: vars(counts[one.name]), progress)
    by_name = {row.name: row for row in rows}
    plain, exact = by_name.get("plain singer-sdk tap"), by_name.get(contestants.EXACT)
    rival = max((by_name[name] for name in service.rivals if name in by_name), key=_pace, default=None)
    shown = ("times_plain", *(("times_rival",) if service.rivals else ()), "of_loop") if plain and exact else ()
    if plain and exact:
        rows = [row.with_cells(**_beside(row, plain, rival, exact)) for row in rows]
        ours = by_name[service.name]
        results.aims.append(times_aim(ours, plain, "the plain tap", service.plain_times))
        results.aims += [times_aim(ours, rival, rival.name, RIVAL_TIMES)] if rival else []
        results.aims.append(share_aim(ours, exact, "the exact loop", LOOP_SHARE))
    title = f"{size:,} {service.unit}; medians of {order.rounds} rounds, contestants in turn"
    lines = ("line_records",) if any(row["line_records"] for row in rows) else ()
    table = Table("speed", title, (*PACES, *shown, "records", *lines), rows)
    results.tables.append(table)
    for one in readers:
        found = counts[one.name]
        if one.ours and not found.records == found.all_records == size:
            results.losses.append(f"{one.name}: {found.records:,} {service.unit} in {found.all_records:,} records")
        if one.ours and service.lines in one.streams:
            both = found.all_records + found.line_records
            pace = both / by_name[one.name]["seconds"]
            table.notes.append(f"{one.name}: {both:,} records, {pace:,.0f} a second")
            if found.line_records != found.held_lines:
                results.losses.append(f"{one.name}: {found.line_records:,} of {found.held_lines:,} lines")
    return rows


PACES = ("seconds", "cpu_seconds", "empty_seconds", "per_second", "per_second_running")


def in_turn(
    contestants: Sequence[Contestant],
    rounds: int,
    measure: Callable[[Contestant], tuple[Run, Run]],
    counted: Callable[[Contestant], Mapping[str, int]],
    progress: Progress,
) -> list[Row]:
    """Measure all in each round, so that a slow minute of the machine hits them alike; return rows of medians.

    Args:
        contestants: who is measured.
        rounds: how often.
        measure: runs one; returns the whole process, and the same command where there is nothing to do.
        counted: returns what one has done: its `records`, and more cells.
        progress: told what begins.
    """
    runs: dict[str, list[tuple[Run, Run]]] = {one.name: [] for one in contestants}
    for number in range(rounds):
        for one in contestants:
            progress(f"round {number + 1} of {rounds}, {one.name}")
            runs[one.name].append(measure(one))
    rows = []
    for one in contestants:
        whole, empty = (median(list(column)) for column in zip(*runs[one.name], strict=True))
        cells = {"seconds": whole.seconds, "cpu_seconds": whole.cpu_seconds, "empty_seconds": empty.seconds}
        records = counted(one)["records"]
        cells["per_second"] = records / whole.seconds
        cells["per_second_running"] = records / max(whole.seconds - empty.seconds, 1e-3)
        rows.append(Row(one.name, cells | dict(counted(one))))
    return rows


def _pace(row: Row) -> float:
    return float(row["per_second"])


def _beside(row: Row, plain: Row, rival: Row | None, exact: Row) -> dict[str, float | None]:
    return {
        "times_plain": _pace(row) / _pace(plain),
        "times_rival": _pace(row) / _pace(rival) if rival else None,
        "of_loop": row["per_second_running"] / exact["per_second_running"],
    }


def _once(source: Source, one: Contestant) -> Run:
    """Run a contestant, its output to a file as the others' is, and forget what it wrote."""
    with _folder() as folder:
        return run(source.command(one, folder), folder / "output")


def fidelity(service: Service, results: Results, progress: Progress) -> None:
    """Compare what each writes with the store: some amounts have 19 digits, some fields no contract mentions."""
    found: dict[str, Comparison] = {}
    options = {"extra_fields": True, "big_amounts": True}
    with service.source(_FIDELITY_RECORDS, **options) as full:
        if service is IVESK:
            full.sandbox.control.add(_LONG_AMOUNTS, overrides={"total": _LONG})
        for one in present(service.readers, results.absent):
            if one.name not in service.not_compared:
                progress(f"fidelity: {one.name}")
                with _folder() as folder:
                    run(full.command(one, folder), folder / "output")
                    store = service.store(full)
                    found[one.name] = output.compare(folder, service.stream, service.key, store, service.known())
    rows = []
    for name, kept in found.items():
        cells = {
            "numbers_same": Share(kept.numbers.same, kept.numbers.sent),
            "numbers_equal": Share(kept.numbers.equal, kept.numbers.sent),
            "unknown_equal": Share(kept.unknown.equal, kept.unknown.sent),
            "others_same": Share(kept.others.same, kept.others.sent),
        }
        rows.append(Row(name, cells))
    shown = ("numbers_same", "numbers_equal", "unknown_equal", "others_same")
    title = f"What came through of {_FIDELITY_RECORDS:,} {service.unit}, of all that the service sent"
    results.tables.append(Table("fidelity", title, shown, rows))
    ours = vars(found[service.name])
    for what, score in ours.items():
        if score.same != score.sent:
            results.losses.append(f"{service.name}: {score.same:,} of {score.sent:,} {what} came as they were sent")
    kept_all = all(score.same == score.sent for score in ours.values())
    results.aims.append(Aim(kept_all, "every digit and every unknown field kept"))


def children(results: Results, progress: Progress) -> None:
    """Measure the reading of Vic.ai's lines, one request for each invoice: without a limit, and under the service's."""
    with vicai(_LINE_INVOICES, latency_ms=_LATENCY_MS) as free:
        control = free.sandbox.control.vicai
        lines = sum(len(control.line_items(invoice["internalId"])) for invoice in control.records("invoices"))
        readers = present(contestants.LINE_READERS, results.absent)
        _lines_table(results, lines, False, [_read_lines(free, one, progress) for one in readers])
    rows = []
    for one in present(contestants.LIMITED, results.absent):
        # A sandbox each, so that none inherits what another has used up.
        limit = {"rate_requests": _REQUESTS, "rate_seconds": _SECONDS}
        with vicai(_LINE_INVOICES, latency_ms=_LATENCY_MS, **limit) as limited:
            rows.append(_read_lines(limited, one, progress))
    _lines_table(results, lines, True, rows)


def _read_lines(where: Source, one: Contestant, progress: Progress) -> tuple[Contestant, Row]:
    progress(f"children: {one.name}")
    with _folder() as folder:
        taken = run(where.command(one, folder), folder / "output")
        refused = where.sandbox.control.vicai.overview(sums=False)["throttled"]
        cells = {"seconds": taken.seconds, "cpu_seconds": taken.cpu_seconds, "throttled": refused}
        return one, Row(one.name, cells | vars(VICAI.count(folder)))


def _lines_table(results: Results, lines: int, limited: bool, found: list[tuple[Contestant, Row]]) -> None:
    limit = f"{_REQUESTS} requests in {_SECONDS} s" if limited else "no limit"
    title = f"Lines of {_LINE_INVOICES} invoices at {_LATENCY_MS} ms, {limit}; one run each"
    shown = ("seconds", "cpu_seconds", "line_records", "throttled")
    key = "lines_limited" if limited else "lines"
    results.tables.append(Table(key, title, shown, [row for _, row in found]))
    for one, row in found:
        if one.ours:
            words = f"{row['seconds']:.1f} s for the lines, {row.name}; aim {LINES_SECONDS[limited]:.0f}"
            if limited:
                words += f"; {row['throttled']} times 429, under the limit; aim 0"
            results.aims.append(Aim(row["seconds"] <= LINES_SECONDS[limited] and not row["throttled"], words))
            if row["line_records"] != lines:
                results.losses.append(f"{row.name}: {row['line_records']:,} of {lines:,} lines")


def memory(service: Service, sizes: Sequence[int], results: Results, progress: Progress) -> None:
    """Measure the peak memory of our tap, by the number of records."""
    rows = []
    for size in sizes:
        progress(f"memory: {size:,} {service.unit}")
        with service.source(size) as full:
            rows.append(Row(f"{size:,} {service.unit}", vars(run(full.command(service.remembered)))))
    results.tables.append(Table("memory", f"Peak memory of {service.remembered.name}", ("megabytes",), rows))
    results.aims += memory_aims([row["megabytes"] for row in rows], MEGABYTES, FLAT)


def discovery(results: Results, progress: Progress) -> None:
    """Measure what discovery adds to the SDK's own start."""
    progress("discovery")
    bare = [sys.executable, "-c", "import singer_sdk"]
    with ivesk(0) as queue:
        command = queue.discovery(contestants.TAP_IVESK.command[0])
        run(command)
        runs = [(run(command), run(bare)) for _ in range(_DISCOVERY_RUNS)]
    found, imported = (median(list(column)) for column in zip(*runs, strict=True))
    rows = [Row("tap-ivesk --discover", vars(found)), Row("import singer_sdk", vars(imported))]
    results.tables.append(Table("discovery", "Discovery", ("seconds", "cpu_seconds"), rows))
    ratio = found.seconds / imported.seconds
    words = f"discovery takes {ratio:.2f} of the SDK's import; aim < {DISCOVERY_TIMES}"
    results.aims.append(Aim(ratio < DISCOVERY_TIMES, words))
