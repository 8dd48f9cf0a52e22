"""`ap-fleet`: run the pipelines of many companies, once; see what became of them."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

import msgspec

from ap_connectors.core import cli
from ap_connectors.core.errors import ApError, Stop
from ap_connectors.fleet import batch, companies
from ap_connectors.fleet.batch import Order
from ap_connectors.fleet.history import History
from ap_connectors.fleet.progress import Progress
from ap_connectors.fleet.results import Result, summary, table

DONE, FAILED, NOT_BEGUN = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return cli.main(_parser(), arguments)


def _run(given: argparse.Namespace) -> int:
    fleet = companies.read(given.companies)
    if bool(given.since) != bool(given.stream):
        raise Stop("--from DATE and --stream NAME go together.")
    order = Order(
        _listed(given.only), _listed(given.pipeline), given.jobs, (given.stream, given.since) if given.stream else None
    )
    began = time.monotonic()
    as_json = given.format == "json"
    progress = Progress(sum(map(len, batch.jobs_of(fleet, order))), quiet=as_json)
    history = History(fleet)

    def on_result(result: Result) -> None:
        progress.tell(result)
        if as_json:
            _line(msgspec.json.encode(result).decode())
        try:
            history.add(result)
        except (OSError, ApError) as error:
            print(f"ap-fleet: the history could not be written: {error}", file=sys.stderr)  # noqa: T201

    results = batch.run(fleet, order, on_result)
    progress.end()
    if not as_json:
        for line in table(results):
            _line(line)
        _line(summary(results, time.monotonic() - began))
    return DONE if all(one.is_done for one in results) else FAILED


def _line(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def _listed(given: Sequence[str] | None) -> list[str]:
    return [part for each in given or () for part in each.split(",") if part]


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser("ap-fleet", "Run the pipelines of many companies, once, side by side.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    run = _command(commands, "run", "run pipelines of companies, each once", _run)
    run.add_argument(
        "--only", action="append", metavar="COMPANY", help="only this company; several: again, or with commas"
    )
    run.add_argument(
        "--pipeline", action="append", metavar="NAME", help="only this pipeline; several: again, or with commas"
    )
    run.add_argument("--jobs", type=_jobs, default=0, help="companies at once (default: twice the processors)")
    run.add_argument("--from", dest="since", metavar="DATE", help="read a stream anew from then on; needs --stream")
    run.add_argument("--stream", metavar="NAME", help="the stream that --from reads anew; no other is touched")
    run.add_argument(
        "--format", choices=("table", "json"), default="table", help="json: a line for each result as it comes"
    )
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, words: str, run: cli.Run
) -> argparse.ArgumentParser:
    made = commands.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
    made.add_argument("--companies", default="companies.yml", metavar="FILE", help="the fleet (default: companies.yml)")
    cli.runs(made, run, failed=NOT_BEGUN, interrupted=FAILED)
    return made


def _jobs(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError("must be a whole number, 1 or more")
    return number
