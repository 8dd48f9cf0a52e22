"""`python -m demo`: status 0 if everything ties, 1 if not, 130 if it was interrupted."""

import argparse
import io
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ap_connectors.sandbox.process import SandboxError
from demo import fleet, judge
from demo.meltano import PLUGINS, install
from demo.project import OUTPUT, DemoError, Places, Teller, shown
from demo.story import Check, Story, sandbox

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_MOST = 8
"""Differences that are shown."""
_QUESTION = (
    "select sellername, count(*) as documents, sum(total) as euros from ivesk.exported_documents "
    "where currency = 'EUR' group by all order by euros desc limit 5"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder to write to (default: output/demo)")
    places = Places(parser.parse_args(arguments).output.resolve())
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    print("Įvesk and Vic.ai are emulated on this machine; the commands are those that run against the real ones.\n")
    try:
        with places.claimed():
            return 0 if _play(places, Teller()) else 1
    except (DemoError, SandboxError) as error:
        print(f"\n\nThe demo failed. {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\n\nStopped.", file=sys.stderr)
        return 130


def _play(places: Places, tell: Teller) -> bool:
    """Play and judge; return whether everything ties."""
    places.clear()
    tell.begin("$ meltano install")
    tell.end(f"{len(PLUGINS)} plugins {'installed' if install(*PLUGINS) else 'are installed already'}")
    tell.begin("$ ap-sandbox")
    with sandbox() as services:
        exported = services.control.ivesk(sums=False)["exported"]["count"]
        invoices = services.control.vicai.overview(sums=False)["invoices"]
        tell.end(f"{exported} documents exported in Įvesk, {invoices} invoices at Vic.ai")
        story = Story(places, services, tell)
        checks = story.play() + fleet.play(places, tell)
        return report(places, story.settings, checks, tell)


def report(places: Places, settings: Mapping[str, str], checks: Sequence[Check], tell: Teller) -> bool:
    """Compare, and print what a person wants to see; return whether everything ties."""
    tell.command("ap-tieout ivesk-warehouse, vic-warehouse, input-vic")
    tell.begin("all fields, files")
    ties = judge.compare(places, settings)
    judge.plan(places, settings)
    tell.end(", ".join(f"{tie.name} {'ties' if tie.ties else 'DOES NOT TIE'}" for tie in ties))
    print("", *judge.table(ties), "", sep="\n")
    problems = [str(one) for one in checks if one.found != one.expected]
    problems += [difference for tie in ties for difference in tie.differences()]
    if problems or not all(tie.ties for tie in ties):
        print(f"It does NOT tie ({len(problems)} differences); {shown(places.folder)}/tie-*.txt have all of them:")
        print(*(f"  {problem}" for problem in problems[:_MOST]), sep="\n")
        return False
    count = sum(stream["documents"]["destination"] for tie in ties for stream in tie.streams)
    files = sum(1 for path in places.documents.rglob("*") if path.is_file())
    print(f"Warehouse, PDFs, logs and reports are in {shown(places.folder)}; pages, too: tie-*.html (to sign),")
    print("rejects.html (what was set aside) and plan.html (what another try would do). Ask the warehouse:")
    sql = Path(sys.executable).with_name("ap-sql")
    print(f'  {shown(sql)} --database {shown(places.warehouse)} "{_QUESTION}"\n')
    print(f"It ties: {count:,} records, every field as it was sent, and {files:,} PDFs, every byte of them.")
    return True


def _stop(_number: int, _frame: object) -> None:
    # A second signal would interrupt the clean-up.
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    for each in STOPS:
        signal.signal(each, _stop)
    sys.exit(main())
