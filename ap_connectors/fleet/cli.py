"""`ap-fleet`: run the pipelines of many companies, once; see what became of them."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from ap_connectors.core import cli
from ap_connectors.core.errors import ApError, Stop
from ap_connectors.core.progress import Progress
from ap_connectors.core.redact import printable, shortened
from ap_connectors.fleet import batch, check, children, companies, export, rejects, remove
from ap_connectors.fleet.history import History
from ap_connectors.fleet.members import Fleet
from ap_connectors.fleet.order import Order, jobs_of, left_out
from ap_connectors.fleet.results import Result, Status, counts, summary, table

DONE, FAILED, NOT_BEGUN = 0, 1, 2
_TOLD = 160
_CODES = "AP_WEBHOOKS_COMPANIES"
"""Codes of Įvesk that a rule of `ap-webhooks` tells its command; none: it is about all."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return cli.main(_parser(), arguments)


def _run(given: argparse.Namespace) -> int:
    fleet = companies.read(given.companies)
    if bool(given.since) != bool(given.stream):
        raise Stop("--from DATE and --stream NAME go together.")
    only = _listed(given.only)
    if given.events and (codes := _listed([os.environ.get(_CODES, "")])):
        only = [company.id for company in fleet.companies if company.codes & set(codes)]
        if not only:
            _line(
                f"No company of {fleet.path.name} has the code {' or '.join(codes)} (company_codes); nothing was run."
            )
            return DONE
    again = (given.stream, given.since) if given.stream else None
    order = Order(only, _listed(given.pipeline), given.jobs, again)
    if again and (others := left_out(fleet, order)):
        print(f"Left out, for {given.stream} is not read there: {', '.join(others)}.", file=sys.stderr)  # noqa: T201
    began = time.monotonic()
    as_json = given.format == "json"
    progress = _progress(fleet, order)
    teller = _Teller(fleet, progress)

    def on_result(result: Result) -> None:
        teller.tell(result)
        if as_json:
            _line(msgspec.json.encode(result).decode())

    results = batch.run(fleet, order, on_result, history=History(fleet))
    progress.end()
    if not as_json:
        for line in table(_ordered(fleet, results), _names(fleet)):
            _line(line)
        for line in rejects.lines(fleet, dict.fromkeys(one.company for one in _ordered(fleet, results))):
            _line(line)
        _line(summary(results, time.monotonic() - began))
    return DONE if all(one.is_done for one in results) else FAILED


def _progress(fleet: Fleet, order: Order) -> Progress:
    return Progress("ap-fleet", sum(map(len, jobs_of(fleet, order))), "pipelines", rated=False)


def _ordered(fleet: Fleet, results: Sequence[Result]) -> list[Result]:
    """Return results in the order of the file."""
    places = {company.id: place for place, company in enumerate(fleet.companies)}
    return sorted(results, key=lambda one: places[one.company])


class _Teller:
    """Says how far a batch is, and at once what is not done."""

    def __init__(self, fleet: Fleet, progress: Progress) -> None:
        self._fleet, self._progress = fleet, progress
        self._ends: Counter[Status] = Counter()

    def tell(self, result: Result, *, at_once: bool = True) -> None:
        """Tell of a result as it comes."""
        if not result.is_done:
            self._ends[result.status] += 1
            self._progress.note = counts(self._ends)
            self._progress.end()
        if not result.is_done and at_once:
            self.say(result)
        self._progress.advance()

    def say(self, result: Result) -> None:
        """Say what is not done, on standard error."""
        called = self._fleet.company(result.company).called
        said = printable(f"{called} {result.pipeline}: {result.status}: {result.error}")
        # The table, or the line of JSON, has the whole of it.
        print(shortened(said, _TOLD), file=sys.stderr, flush=True)  # noqa: T201


def _check(given: argparse.Namespace) -> int:
    fleet = companies.read(given.companies)
    order = Order(_listed(given.only), _listed(given.pipeline), given.jobs)
    progress = _progress(fleet, order)
    teller = _Teller(fleet, progress)
    results = batch.run(replace(fleet, retries=0), order, lambda one: teller.tell(one, at_once=False), check.work)
    progress.end()
    checked = check.Checked(fleet, _ordered(fleet, results))
    for line in {"table": checked.table, "json": checked.json, "csv": checked.csv}[given.format]():
        _line(line)
    if given.format != "table":
        for result in results:
            if not result.is_done:
                teller.say(result)
    if given.format == "csv":
        # A list has no place for them.
        for line in checked.dangers():
            print(printable(line), file=sys.stderr, flush=True)  # noqa: T201
    return DONE if all(one.is_done for one in results) else FAILED


def _status(given: argparse.Namespace) -> int:
    fleet = companies.read(given.companies)
    history = History(fleet)
    latest, under_way = history.latest(), history.under_way()
    only, wanted = set(_listed(given.only)), {fleet.pipeline(name).name for name in _listed(given.pipeline)}
    for name in only:
        fleet.company(name)
    rows: list[Result] = []
    for company in fleet.companies:
        for pipeline in company.pipelines if not only or company.id in only else ():
            if wanted and pipeline not in wanted:
                continue
            job = company.id, pipeline
            never = Result(company=company.id, pipeline=pipeline, status="not run")
            if began := under_way.get(job):
                words = f"its first run is under way, in the batch that began at {began}."
                never = msgspec.structs.replace(never, status="busy", error=words)
            rows.append(latest.get(job, never))
    _show(given, fleet, rows)
    if given.format != "json":
        for line in rejects.lines(fleet, (one.id for one in fleet.companies if not only or one.id in only)):
            _line(line)
    return DONE if all(one.is_done or one.status == "not run" for one in rows) else FAILED


def _history(given: argparse.Namespace) -> int:
    fleet = companies.read(given.companies)
    _show(given, fleet, History(fleet).results(_listed(given.only), given.limit))
    return DONE


def _show(given: argparse.Namespace, fleet: Fleet, results: Sequence[Result]) -> None:
    encoded = (msgspec.json.encode(one).decode() for one in results)
    for line in encoded if given.format == "json" else table(results, _names(fleet), when=True):
        _line(line)


def _names(fleet: Fleet) -> dict[str, str]:
    return {company.id: company.name for company in fleet.companies}


def _remove(given: argparse.Namespace) -> int:
    fleet = companies.read(given.companies)
    # What is probably meant is another client.
    if given.company not in {company.id for company in fleet.companies}:
        raise Stop(
            f"{fleet.path}: there is no company {given.company}; nothing was removed. If its entry was taken out "
            "already, put it back with its settings, remove what it has left, and take it out again."
        )
    company = fleet.company(given.company)
    steps, stores = remove.steps(fleet, company, rows=given.rows, files=given.files)
    if not given.yes:
        _line(f"{company.id} ({company.name}): with --yes these are removed:")
        for step in steps:
            _line(f"  {step.words}")
        stay = [f"{what} stay without --{what}" for what in ("rows", "files") if not getattr(given, what)]
        _line(f"{', '.join(stay).capitalize()}. " * bool(stay) + f"Then remove {company.id} from {fleet.list_name}.")
        return DONE
    for store in stores:
        store.lock()
    failed = False
    for step in steps:
        try:
            said = step.do()
        except (ApError, OSError) as error:
            # What comes behind it may be what tells a next run what is left.
            _line(f"{step.words}: not removed: {children.words(error)}")
            print("ap-fleet: nothing that comes behind it was removed. Run the same again.", file=sys.stderr)  # noqa: T201
            return FAILED
        failed = failed or said.startswith("not ")
        _line(f"{step.words}: {said}")
    _line(f"Now remove {company.id} from {fleet.list_name}, unless the next run is to load it anew.")
    return FAILED if failed else DONE


def _export(given: argparse.Namespace) -> int:
    for line in export.meltano(companies.read(given.companies), Path(given.folder)):
        _line(line)
    return DONE


def _line(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def _listed(given: Sequence[str] | None) -> list[str]:
    return [part for each in given or () for part in each.split(",") if part]


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser("ap-fleet", "Run the pipelines of many companies, once, side by side.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    run = _command(commands, "run", "run pipelines of companies, each once", _run)
    _which(run)
    run.add_argument(
        "--events", action="store_true", help="in a rule of ap-webhooks: only the companies that its events are about"
    )
    run.add_argument("--from", dest="since", metavar="DATE", help="read a stream anew from then on; needs --stream")
    run.add_argument("--stream", metavar="NAME", help="the stream that --from reads anew; no other is touched")
    run.add_argument(
        "--format", choices=("table", "json"), default="table", help="json: a line for each result as it comes"
    )
    check_ = _command(commands, "check", "connect to everything, and say whose credentials they are", _check)
    _which(check_)
    check_.add_argument(
        "--format",
        choices=("table", "json", "csv"),
        default="table",
        help="json: a line for each result, with its dangers; csv: id, name and expected_company, as the services call "
        "the companies",
    )
    for name, words, what in (
        ("status", "say how each pipeline of each company ended the last time", _status),
        ("history", "list the runs, newest last", _history),
    ):
        shown = _command(commands, name, words, what)
        shown.add_argument("--only", action="append", metavar="COMPANY", help=_ONLY)
        if name == "status":
            shown.add_argument("--pipeline", action="append", metavar="NAME", help=_ONLY.replace("company", "pipeline"))
        shown.add_argument("--format", choices=("table", "json"), default="table", help="json: a line for each result")
    shown.add_argument("--limit", type=_count, default=100, help="how many (default: 100)")
    gone = _command(
        commands, "remove", "end a client: its subscription, its STATE, on request its rows and files", _remove
    )
    gone.add_argument("company", metavar="COMPANY", help="its id")
    gone.add_argument("--rows", action="store_true", help="remove its rows in the warehouse, too")
    gone.add_argument("--files", action="store_true", help="remove its files, too: logs, rejects, documents and so on")
    gone.add_argument("--yes", action="store_true", help="do it; without it everything is only named")
    out = _command(commands, "export", "write a Meltano project that does the same", _export)
    out.add_argument("kind", choices=("meltano",), help="what to write")
    out.add_argument("--folder", default="meltano", help="where to (default: meltano)")
    return parser


_ONLY = "only this company; several: again, or with commas"


def _which(command: argparse.ArgumentParser) -> None:
    command.add_argument("--only", action="append", metavar="COMPANY", help=_ONLY)
    command.add_argument("--pipeline", action="append", metavar="NAME", help=_ONLY.replace("company", "pipeline"))
    command.add_argument("--jobs", type=_count, default=0, help="companies at once (default: twice the processors)")


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, words: str, run: cli.Run
) -> argparse.ArgumentParser:
    made = commands.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
    made.add_argument("--companies", default="companies.yml", metavar="FILE", help="the fleet (default: companies.yml)")
    cli.runs(made, run, failed=NOT_BEGUN)
    return made


def _count(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError("must be a whole number, 1 or more")
    return number
