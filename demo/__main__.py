"""`python -m demo`: status 0 if everything ties, 1 if not, 130 if somebody stopped it."""

import argparse
import io
import signal
import sys
import time
from pathlib import Path

from ap_connectors.sandbox.process import SandboxError
from demo.acts import Places
from demo.project import OUTPUT, DemoError, claim
from demo.report import report
from demo.story import play

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Narrator:
    """Prints what begins at once, and what came of it, with the seconds it took, when it is known."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, title: str, outcome: str) -> None:
        """Prints a title, or the rest of the line that began with it, and further lines of the outcome below it."""
        if title:
            self._began = time.monotonic()
            print(f"  {title:12}", end="", flush=True)
        if outcome:
            first, *more = outcome.splitlines()
            lines = [f"{first:68} {time.monotonic() - self._began:5.1f} s", *(f"{'':14}{line}" for line in more)]
            print("\n".join(lines), flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Runs the demo."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder to write to (default: output/demo)")
    places = Places(parser.parse_args(arguments).output.resolve())
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    print("From Įvesk and Vic.ai to a warehouse, and from an ERP to Vic.ai: real commands, emulated services.\n")
    try:
        with claim(places.folder):
            evidence = play(places, Narrator())
            print()
            return 0 if report(evidence, places) else 1
    except (DemoError, SandboxError) as error:
        print(f"\n\nThe demo failed. {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\n\nStopped.", file=sys.stderr)
        return 130


def _stop(_number: int, _frame: object) -> None:
    # Once is enough: what follows is tidying up.
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    for each in STOPS:
        signal.signal(each, _stop)
    sys.exit(main())
