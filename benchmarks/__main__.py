"""`python -m benchmarks`: measures, prints; status 1 if a command of ours lost something, or any command failed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from ap_connectors.sandbox.process import SandboxError
from benchmarks import against, distances, fleet, loading, reading, warehouse
from benchmarks.processes import FailedError
from benchmarks.results import Order, Progress, Results, machine

SERVICES: Mapping[str, Callable[[Order, Progress], Results]] = {
    "vicai": partial(reading.measured, reading.VICAI),
    "ivesk": partial(reading.measured, reading.IVESK),
    "loading": loading.measured,
    "distances": distances.measured,
    "warehouse": warehouse.measured,
    "fleet": fleet.measured,
}
PARTS = ("speed", "fidelity", "children", "memory", "discovery", "rejects", "unchanged", "writes", "distances")


def main() -> int:
    """Run the parts asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--service", choices=(*SERVICES, "all"), default="all", help="what to measure (default: all)")
    parser.add_argument(
        "--records",
        type=_positive,
        help="documents or invoices to read (30000); vendors to load (1500; the other parts in proportion); companies "
        "of a fleet (500)",
    )
    parser.add_argument("--rounds", type=_positive, default=3, help="how often each contestant runs (default: 3)")
    parser.add_argument(
        "--memory",
        type=_positive,
        nargs="+",
        default=[],
        metavar="N",
        help="records to read (10000 and 100000), or unchanged ones to load (1000000)",
    )
    parser.add_argument("--full", action="store_true", help="memory also at 1,000,000 records; takes minutes")
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

    order = Order(frozenset(chosen.only), chosen.records, chosen.rounds, tuple(chosen.memory), chosen.full)
    found: dict[str, Results] = {}
    print(machine())
    for name, measured in SERVICES.items():
        if chosen.service in {name, "all"}:
            try:
                if chosen.against:
                    found[name] = against.measured(name, chosen.against.resolve(), order, _progress)
                else:
                    found[name] = measured(order, _progress)
            except (FailedError, SandboxError) as error:
                print(error, file=sys.stderr)
                return 1
            print(f"\n{found[name].text()}", flush=True)
    if chosen.json:
        figures = {"machine": machine(), **{name: results.as_json() for name, results in found.items()}}
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 1 if any(results.losses for results in found.values()) else 0


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError
    return number


def _progress(words: str) -> None:
    print(f"... {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
