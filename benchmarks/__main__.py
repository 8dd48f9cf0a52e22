"""`python -m benchmarks`: measures, prints; status 1 if a command of ours lost something, or any command failed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from ap_connectors.sandbox.process import SandboxError
from benchmarks import contestants, fleet, loading, reading, warehouse, webhooks
from benchmarks.contestants import beside
from benchmarks.processes import FailedError
from benchmarks.results import Order, Results, machine
from benchmarks.services import LIMIT, LIMITED

_DISTANCES_MS = (50, 300, 800)
"""Milliseconds that every answer of the service takes: a service near by, and on another continent."""
_CREATE_SECONDS, _CHILD_SECONDS, _TIMES_LATENCY = 22.0, 12.0, 10.0
"""Aims: so many seconds, and ten times the latency beside; not one 429."""
Parts = Mapping[str, Callable[[Results], None]]


def _distances(results: Results) -> None:
    """Measure both at each distance; one run each."""
    records = results.order.records or loading.RECORDS
    creates, lines = [], []
    for distance in _DISTANCES_MS:
        target = contestants.creating(f"target-vicai at {distance} ms", records)
        tap = contestants.with_lines(f"tap-vicai at {distance} ms")
        creates.append(loading.create(target, records, distance, results)[0])
        lines.append(reading.read_lines(tap, distance, LIMIT, results))
    titles = {
        "creates": f"{records:,} new vendors, 1 % bad",
        "child calls": f"Lines of {reading.LINE_INVOICES} invoices",
    }
    for (what, title), rows, most in zip(
        titles.items(), (creates, lines), (_CREATE_SECONDS, _CHILD_SECONDS), strict=True
    ):
        shown = ("seconds", "cpu_seconds", "requests", "throttled")
        results.table(what.replace(" ", "_"), f"{title}, {LIMITED}; one run each", shown, rows)
        for distance, row in zip(_DISTANCES_MS, rows, strict=True):
            aim = most + _TIMES_LATENCY * distance / 1000
            words = f"{row['seconds']:.1f} s for the {what} at {distance} ms; aim {aim:.1f}"
            met = row["seconds"] <= aim and not row["throttled"]
            results.aim(met, f"{words}; {row['throttled']} times 429; aim 0")


def _reading(tap: reading.Tap, **more: Callable[[Results], None]) -> Parts:
    whole = {part.__name__: partial(part, tap) for part in (reading.speed, reading.fidelity, reading.memory)}
    return {**whole, **more}


SERVICES: Mapping[str, tuple[str, Parts]] = {
    "vicai": ("tap-vicai", _reading(reading.VICAI, children=reading.children)),
    "ivesk": ("tap-ivesk", _reading(reading.IVESK, discovery=reading.discovery)),
    "loading": (
        "target-vicai",
        {one.__name__: one for one in (loading.rejects, loading.unchanged, loading.writes, loading.memory)},
    ),
    "distances": ("distances", {"distances": _distances}),
    "warehouse": ("target-warehouse", {"speed": warehouse.speed, "memory": warehouse.memory}),
    "fleet": ("ap-fleet", {"speed": fleet.speed}),
    "webhooks": ("ap-webhooks", {"speed": webhooks.speed}),
}
"""What is measured: the name in the report, and the parts in their order."""
PARTS = tuple(dict.fromkeys(part for _, parts in SERVICES.values() for part in parts))
COMPARABLE = ("speed", "unchanged", "writes")
"""Parts that another checkout is measured in."""
NOISE = 1.1
"""CPU time that differs by less is the same; the time on the clock depends on what else the machine does."""


def main() -> int:
    """Run the parts asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--service", choices=(*SERVICES, "all"), default="all", help="what to measure (default: all)")
    parser.add_argument(
        "--records",
        type=_positive,
        help="documents or invoices to read (30000); vendors to load (1500; the other parts in proportion); companies "
        "of a fleet (500); webhooks (2000)",
    )
    parser.add_argument("--rounds", type=_positive, default=3, help="how often each contestant runs (default: 3)")
    parser.add_argument(
        "--memory", type=_positive, nargs="+", default=[], metavar="N", help="records for memory (10000 and 100000)"
    )
    parser.add_argument(
        "--only",
        choices=PARTS,
        nargs="+",
        default=PARTS,
        help="some of the parts (children: vicai; discovery: ivesk; rejects, unchanged, writes: loading)",
    )
    parser.add_argument(
        "--against", type=Path, metavar="CHECKOUT", help="measure this checkout's commands beside another's instead"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    chosen = parser.parse_args()

    other = chosen.against and chosen.against.resolve()
    parts = frozenset(chosen.only).intersection(COMPARABLE if other else PARTS)
    order = Order(chosen.records, chosen.rounds, tuple(chosen.memory), other)
    left_out = {"distances", "fleet", "webhooks"} if other else set()
    found: dict[str, Results] = {}
    print(machine())
    for name, (command, its_parts) in SERVICES.items():
        if chosen.service == name or (chosen.service == "all" and name not in left_out):
            found[name] = Results(command, order)
            try:
                for part in (one for one in its_parts if one in parts):
                    its_parts[part](found[name])
            except (FailedError, SandboxError) as error:
                print(error, file=sys.stderr)
                return 1
            if other:
                judge(other, found[name])
            print(f"\n{found[name].text()}", flush=True)
    if chosen.json:
        figures = {"machine": machine(), **{name: results.as_json() for name, results in found.items()}}
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 1 if any(results.losses for results in found.values()) else 0


def judge(other: Path, results: Results) -> None:
    """Say of each command how much time it takes beside the other checkout's."""
    results.name += f"{beside(other)} beside it"
    results.aims.clear()
    for table in results.tables:
        rows = {row.name: row for row in table.rows}
        for name, row in rows.items():
            ours = rows.get(name.replace(beside(other), ""))
            if ours is not None and ours is not row:
                cpu, clock = (ours[cell] / row[cell] for cell in ("cpu_seconds", "seconds"))
                words = f"{ours.name}: {cpu:.0%} of the other's CPU time, {clock:.0%} of its time on the clock"
                results.aim(cpu <= NOISE, f"{words}; aim {NOISE:.0%} of the CPU time")


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError
    return number


if __name__ == "__main__":
    sys.exit(main())
