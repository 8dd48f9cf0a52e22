"""`target-vicai` and `tap-vicai` at distances: creates and child calls under the limit, from near and from far."""

from __future__ import annotations

from benchmarks import contestants, loading, reading
from benchmarks.results import Results
from benchmarks.services import LIMIT, LIMITED

DISTANCES_MS = (50, 300, 800)
"""Milliseconds that every answer of the service takes: a service near by, and on another continent."""
CREATE_SECONDS, CHILD_SECONDS, TIMES_LATENCY = 22.0, 12.0, 10.0
"""Aims: so many seconds, and ten times the latency beside; not one 429."""


def measure(results: Results) -> None:
    """Measure both at each distance; one run each."""
    records = results.order.records or loading.RECORDS
    creates, lines = [], []
    for distance in DISTANCES_MS:
        target = contestants.creating(f"target-vicai at {distance} ms", records)
        tap = contestants.with_lines(f"tap-vicai at {distance} ms")
        creates.append(loading.create(target, records, distance, results)[0])
        lines.append(reading.read_lines(tap, distance, LIMIT, results))
    titles = {
        "creates": f"{records:,} new vendors, 1 % bad",
        "child calls": f"Lines of {reading.LINE_INVOICES} invoices",
    }
    for (what, title), rows, most in zip(
        titles.items(), (creates, lines), (CREATE_SECONDS, CHILD_SECONDS), strict=True
    ):
        shown = ("seconds", "cpu_seconds", "requests", "throttled")
        results.table(what.replace(" ", "_"), f"{title}, {LIMITED}; one run each", shown, rows)
        for distance, row in zip(DISTANCES_MS, rows, strict=True):
            aim = most + TIMES_LATENCY * distance / 1000
            words = f"{row['seconds']:.1f} s for the {what} at {distance} ms; aim {aim:.1f}"
            met = row["seconds"] <= aim and not row["throttled"]
            results.aim(met, f"{words}; {row['throttled']} times 429; aim 0")
