"""`target-vicai` and `tap-vicai` at distances: creates and child calls under the limit, from near and from far."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import contestants, loading, reading
from benchmarks.processes import run
from benchmarks.results import Aim, Order, Progress, Results, Row, Table

CREATES, CHILD_CALLS = 1_500, 600
DISTANCES_MS = (50, 300, 800)
"""Milliseconds that every answer of the service takes: a service near by, and on another continent."""
CREATE_SECONDS, CHILD_SECONDS, TIMES_LATENCY = 22.0, 12.0, 10.0
"""Aims: so many seconds, and ten times the latency beside; not one 429."""

_LIMIT = {"rate_requests": 500, "rate_seconds": 10}
_SHOWN = ("seconds", "cpu_seconds", "requests", "throttled")


def measured(order: Order, progress: Progress) -> Results:
    """Measure both at each distance; one run each."""
    results = Results("distances")
    if "distances" not in order.parts:
        return results
    creates, lines = [], []
    for distance in DISTANCES_MS:
        creates.append(_creates(distance, order.records or CREATES, results, progress))
        lines.append(_child_calls(distance, results, progress))
    limit = f"{_LIMIT['rate_requests']} requests in {_LIMIT['rate_seconds']} s; one run each"
    results.tables.append(
        Table("creates", f"{order.records or CREATES:,} new vendors, 1 % bad, {limit}", _SHOWN, creates)
    )
    results.tables.append(Table("child_calls", f"Lines of {CHILD_CALLS} invoices, {limit}", _SHOWN, lines))
    for what, rows, most in (("creates", creates, CREATE_SECONDS), ("child calls", lines, CHILD_SECONDS)):
        for distance, row in zip(DISTANCES_MS, rows, strict=True):
            aim = most + TIMES_LATENCY * distance / 1000
            words = f"{row['seconds']:.1f} s for the {what} at {distance} ms; aim {aim:.1f}"
            met = row["seconds"] <= aim and not row["throttled"]
            results.aims.append(Aim(met, f"{words}; {row['throttled']} times 429; aim 0"))
    return results


def _creates(distance: int, records: int, results: Results, progress: Progress) -> Row:
    progress(f"distances: creates at {distance} ms")
    one = contestants.target(f"target-vicai at {distance} ms", compare="none", max_rejects=records)
    # Latency begins with the load: the store is looked at from near by.
    with loading.sandbox(**_LIMIT) as (service, place):
        given = loading.new(service, place, records, bad=True)
        service.control.vicai.options(latency_ms=distance)
        return loading.load(service, place, one, given, results)


def _child_calls(distance: int, results: Results, progress: Progress) -> Row:
    progress(f"distances: child calls at {distance} ms")
    one = contestants.tap("tap-vicai", f"tap-vicai at {distance} ms", contestants.INVOICES, contestants.INVOICE_LINES)
    with reading.vicai(CHILD_CALLS, **_LIMIT) as source, TemporaryDirectory(prefix="benchmarks-") as folder:
        control = source.sandbox.control
        expected = sum(len(control.vicai.line_items(one["internalId"])) for one in control.vicai.records("invoices"))
        command = source.command(one, Path(folder))
        control.vicai.options(latency_ms=distance)
        control.clear_calls()
        taken = run(command, Path(folder) / "output")
        throttled = control.vicai.overview(sums=False)["throttled"]
        row = Row(one.name, vars(taken) | {"requests": len(control.calls()), "throttled": throttled})
        found = reading.VICAI.count(Path(folder))
        if found.line_records != expected:
            results.losses.append(f"{one.name}: {found.line_records:,} of {expected:,} lines")
        return row
