"""`tap-ivesk` and `tap-vicai`, measured: speed, fidelity, lines, memory, discovery."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ap_connectors.ivesk import contract as ivesk_contract
from ap_connectors.vicai import contract as vicai_contract
from benchmarks import contestants, output, services
from benchmarks.contestants import EXACT, PLAIN, Contestant, chosen
from benchmarks.output import Comparison, Layout
from benchmarks.processes import HERE, PACES, Measured, in_turn, median, run
from benchmarks.results import Results, Row, progress
from benchmarks.services import LIMIT, LIMITED, Service

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
LINE_INVOICES, _LATENCY_MS = 600, 50


@dataclass(frozen=True)
class Tap:
    """What differs between the two taps."""

    name: str
    unit: str
    readers: Sequence[Contestant]
    service: Callable[..., AbstractContextManager[Service]]
    layout: Layout
    known: Callable[[], Mapping[str, Any]]
    store: Callable[[Service], Iterable[bytes]]
    remembered: Contestant
    """Whose memory is measured."""
    plain_times: float
    """How many times as fast as the plain tap ours aims to be."""
    rivals: Sequence[str] = ()
    not_compared: Sequence[str] = ()
    """Readers whose fidelity another one shows."""


IVESK = Tap(
    name="tap-ivesk",
    unit="documents",
    readers=contestants.IVESK_READERS,
    service=services.ivesk,
    layout=Layout(contestants.DOCUMENTS, "id", contestants.DOCUMENT_LINES, "lines"),
    known=ivesk_contract.schema,
    store=lambda service: service.sandbox.control.document_lines(),
    remembered=contestants.IVESK_READERS[1],
    plain_times=4.0,
    not_compared=(contestants.IVESK_READERS[1].name,),
)
VICAI = Tap(
    name="tap-vicai",
    unit="invoices",
    readers=contestants.VICAI_READERS,
    service=services.vicai,
    layout=Layout(contestants.INVOICES, "internalId", contestants.INVOICE_LINES, "lineitems"),
    known=lambda: vicai_contract.singer_schema("Invoice"),
    store=lambda service: service.vic.record_lines("invoices"),
    remembered=contestants.VICAI_READERS[0],
    plain_times=4.5,
    rivals=contestants.VICAI_RIVALS,
    # What dlt lays out in many tables as it comes, the tuned one keeps together.
    not_compared=("dlt, default",),
)


def speed(tap: Tap, results: Results) -> None:
    """Measure readers on the same records, in turn, and count what they write."""
    size, rounds = results.order.records or RECORDS, results.order.rounds
    readers = chosen(tap.readers, results)
    progress(f"speed: preparing {size:,} {tap.unit}")
    with tap.service(size) as full, tap.service(0) as empty:
        with full.ran(readers[-1]):
            pass  # fills the sandbox's cache

        def read(one: Contestant) -> Iterator[Measured]:
            with full.ran(one) as (whole, folder):
                count = output.count(folder, tap.layout)
            if one.ours and not count.records == count.all_records == size:
                results.losses.append(f"{one.name}: {count.records:,} {tap.unit} in {count.all_records:,} records")
            if one.ours and tap.layout.lines in one.streams and count.line_records != count.held_lines:
                results.losses.append(f"{one.name}: {count.line_records:,} of {count.held_lines:,} lines")
            with empty.ran(one) as (idle, _):
                yield Measured(one.name, whole, idle, vars(count))

        rows = in_turn(readers, rounds, read)
    by_name = {row.name: row for row in rows}
    plain, exact = by_name.get(PLAIN), by_name.get(EXACT)
    rivals = [by_name[name] for name in tap.rivals if name in by_name]
    rival = max(rivals, key=lambda row: row["per_second"], default=None)
    shown = [*PACES, "records"]
    if plain and exact:
        shown = [*PACES, "times_plain", *(["times_rival"] if rival else []), "of_loop", "records"]
        for row in rows:
            row.cells["times_plain"] = row.times(plain, "per_second")
            row.cells["times_rival"] = rival and row.times(rival, "per_second")
            row.cells["of_loop"] = row.times(exact, "per_second_running")
        results.times_aim(by_name[tap.name], plain, "the plain tap", tap.plain_times)
        if rival:
            results.times_aim(by_name[tap.name], rival, rival.name, RIVAL_TIMES)
        results.share_aim(by_name[tap.name], exact, "the exact loop", LOOP_SHARE)
    with_lines = [row for row in rows if row["line_records"]]
    title = f"{size:,} {tap.unit}; medians of {rounds} rounds, contestants in turn"
    table = results.table("speed", title, [*shown, *(["line_records"] if with_lines else [])], rows)
    for row in with_lines:
        both = row["all_records"] + row["line_records"]
        table.notes.append(f"{row.name}: {both:,} records, {both / row['seconds']:,.0f} a second")


def fidelity(tap: Tap, results: Results) -> None:
    """Compare what each writes with the store: some amounts have 19 digits, some fields no contract mentions."""
    found: dict[str, Comparison] = {}
    with tap.service(_FIDELITY_RECORDS, extra_fields=True, big_amounts=True) as full:
        if tap is IVESK:
            full.sandbox.control.add(_LONG_AMOUNTS, overrides={"total": _LONG})
        for one in chosen(tap.readers, results):
            if one.name not in tap.not_compared:
                progress(f"fidelity: {one.name}")
                with full.ran(one) as (_, folder):
                    found[one.name] = output.compare(folder, tap.layout, tap.store(full), tap.known())
    rows = [
        Row(
            name,
            {
                "numbers_same": kept.numbers.text(kept.numbers.same),
                "numbers_equal": kept.numbers.text(kept.numbers.equal),
                "unknown_equal": kept.unknown.text(kept.unknown.equal),
                "others_same": kept.others.text(kept.others.same),
            },
        )
        for name, kept in found.items()
    ]
    title = f"What came through of {_FIDELITY_RECORDS:,} {tap.unit}, of all that the service sent"
    results.table("fidelity", title, ("numbers_same", "numbers_equal", "unknown_equal", "others_same"), rows)
    lost = {what: share for what, share in vars(found[tap.name]).items() if share.same != share.sent}
    for what, share in lost.items():
        results.losses.append(f"{tap.name}: {share.same:,} of {share.sent:,} {what} came as they were sent")
    results.aim(not lost, "every digit and every unknown field kept")


def children(results: Results) -> None:
    """Measure the reading of Vic.ai's lines, one request for each invoice: without a limit, and under the service's."""
    for limited, readers in ((False, contestants.LINE_READERS), (True, contestants.LIMITED)):
        rows = []
        for one in chosen(readers, results):
            row = read_lines(one, _LATENCY_MS, LIMIT if limited else {}, results)
            rows.append(row)
            if one.ours:
                words = f"{row['seconds']:.1f} s for the lines, {row.name}; aim {LINES_SECONDS[limited]:.0f}"
                words += f"; {row['throttled']} times 429, under the limit; aim 0" if limited else ""
                results.aim(row["seconds"] <= LINES_SECONDS[limited] and not row["throttled"], words)
        limit = LIMITED if limited else "no limit"
        title = f"Lines of {LINE_INVOICES} invoices at {_LATENCY_MS} ms, {limit}; one run each"
        shown = ("seconds", "cpu_seconds", "line_records", "requests", "throttled")
        results.table("lines_limited" if limited else "lines", title, shown, rows)


def read_lines(one: Contestant, latency_ms: int, limit: Mapping[str, int], results: Results) -> Row:
    """Read the lines of all invoices from a sandbox of its own: no contestant inherits what another has used up."""
    progress(f"lines: {one.name} at {latency_ms} ms")
    with services.vicai(LINE_INVOICES, **limit) as service, services.empty_folder() as folder:
        expected = sum(len(service.vic.line_items(one["internalId"])) for one in service.vic.records("invoices"))
        # Latency begins with the read: catalog and store are looked at from near by.
        command, control = service.line(one, folder), service.sandbox.control
        service.vic.options(latency_ms=latency_ms)
        control.clear_calls()
        cells = vars(run(command, folder / "output")) | {"requests": len(control.calls())}
        cells["throttled"] = service.vic.overview(sums=False)["throttled"]
        cells |= vars(output.count(folder, VICAI.layout))
    if one.ours and cells["line_records"] != expected:
        results.losses.append(f"{one.name}: {cells['line_records']:,} of {expected:,} lines")
    return Row(one.name, cells)


def memory(tap: Tap, results: Results) -> None:
    """Measure the peak memory of our tap, by the number of records."""
    rows = []
    for size in results.order.sizes(*MEMORY):
        progress(f"memory: {size:,} {tap.unit}")
        with tap.service(size) as full, full.ran(tap.remembered) as (taken, _):
            rows.append(Row(f"{size:,} {tap.unit}", vars(taken)))
    results.table("memory", f"Peak memory of {tap.remembered.name}", ("megabytes",), rows)
    results.memory_aims(rows, MEGABYTES, FLAT)


def discovery(results: Results) -> None:
    """Measure what discovery adds to the SDK's own start."""
    progress("discovery")
    bare = [HERE, "-c", "import singer_sdk"]
    with services.ivesk(0) as queue, services.empty_folder() as folder:
        command = queue.discovery(IVESK.readers[0], folder)
        run(command)
        runs = [(run(command), run(bare)) for _ in range(_DISCOVERY_RUNS)]
    found, imported = (median(column) for column in zip(*runs, strict=True))
    rows = [Row("tap-ivesk --discover", vars(found)), Row("import singer_sdk", vars(imported))]
    results.table("discovery", "Discovery", ("seconds", "cpu_seconds"), rows)
    ratio = found.seconds / imported.seconds
    words = f"discovery takes {ratio:.2f} of the SDK's import; aim < {DISCOVERY_TIMES}"
    results.aim(ratio < DISCOVERY_TIMES, words)
