"""`python -m benchmarks`: measures, prints, and ends with status 1 if `tap-ivesk` lost something or anybody failed."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ap_sandbox.process import SandboxError
from benchmarks import measure, report
from benchmarks.processes import FailedError

PARTS = ("speed", "fidelity", "memory", "discovery")


def main() -> int:
    """Run the parts asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--documents", type=_positive, default=30_000, help="length of the queue (default: 30000)")
    parser.add_argument("--rounds", type=_positive, default=3, help="how often each contestant runs (default: 3)")
    parser.add_argument(
        "--memory", type=_positive, nargs="+", default=[10_000, 100_000], metavar="N", help="queue lengths"
    )
    parser.add_argument("--full", action="store_true", help="memory also at 1,000,000 documents; takes minutes")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS, help="some of the parts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    chosen = parser.parse_args()

    results = report.Results(chosen.documents, chosen.rounds)
    try:
        if "speed" in chosen.only:
            results.speed = measure.speed(chosen.documents, chosen.rounds, _progress)
        if "fidelity" in chosen.only:
            results.fidelity = measure.fidelity(_progress)
        if "discovery" in chosen.only:
            results.discovery = measure.discovery(_progress)
        if "memory" in chosen.only:
            results.memory = measure.memory(chosen.memory + [1_000_000] * chosen.full, _progress)
    except (FailedError, SandboxError) as error:
        print(error, file=sys.stderr)
        return 1
    print(report.text(results))
    if chosen.json:
        chosen.json.write_text(json.dumps(report.as_json(results), indent=2) + "\n", encoding="utf-8")
    return 1 if any(report.losses(results)) else 0


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError
    return number


def _progress(words: str) -> None:
    print(f"... {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
