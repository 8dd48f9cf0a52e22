"""`target-vicai`, measured: rejects, what is unchanged, writes, memory. What it did is read from the store."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

import msgspec

from ap_connectors.sandbox.control_client import VicaiControl
from ap_connectors.sandbox.process import SandboxError, SandboxProcess
from benchmarks import contestants, inputs
from benchmarks.contestants import Contestant, present
from benchmarks.inputs import Given
from benchmarks.list_server import PREFIX
from benchmarks.processes import Run, run
from benchmarks.reading import PACES, in_turn
from benchmarks.results import Aim, Order, Progress, Results, Row, Table, memory_aims, share_aim

RECORDS = 1_500
COMPARED, WRITTEN, HELD = 20 / 3, 2, 2_000 / 3
"""How many times as many records the other parts load: 10,000, 3,000 and 1,000,000."""
SPARE_SECONDS = 2.0
"""What a load may take beyond what the rate limit alone makes it last."""
UNCHANGED_SECONDS, LOOP_SHARE, MEGABYTES = 5.0, 0.7, 300.0

_LATENCY_MS = 50
_REQUESTS, _SECONDS = 500, 10
"""The limit that the service states."""
_LIMIT = {"rate_requests": _REQUESTS, "rate_seconds": _SECONDS}
_BY_VIC = {"internalId", "internalUpdatedAt"}
_decode = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode

Store = Mapping[str, bytes]
"""Records as they are served, by Vic's own id."""


def measured(order: Order, progress: Progress) -> Results:
    """Measure what is asked for."""
    records = order.records or RECORDS
    results = Results("target-vicai")
    if "rejects" in order.parts:
        rejects(records, results, progress)
    if "unchanged" in order.parts:
        unchanged(round(records * COMPARED), [contestants.COMPARING], results, progress)
    if "writes" in order.parts:
        rows = writes(round(records * WRITTEN), order.rounds, contestants.WRITERS, results, progress)
        ours, loop = (next(row for row in rows if row.name == one.name) for one in contestants.WRITERS)
        results.aims.append(share_aim(ours, loop, "the loop's writes a second", LOOP_SHARE))
    if "memory" in order.parts:
        memory(order.sizes(round(records * HELD)), results, progress)
    return results


def rejects(records: int, results: Results, progress: Progress) -> None:
    """Load new vendors, 1 % of them bad, with latency and under the service's limit."""
    rows = []
    loaders = present(contestants.reject_loaders(records), results.absent)
    for one in loaders:
        progress(f"rejects: {one.name}")
        # A sandbox each, so that none inherits what another has used up.
        with sandbox(latency_ms=_LATENCY_MS, **_LIMIT) as (service, place):
            given = new(service, place, records, bad=True)
            rows.append(load(service, place, one, given, results))
    contract, known = len(given.by_contract), len(given.by_service)
    title = f"{records:,} new vendors at {_LATENCY_MS} ms, {_REQUESTS} requests in {_SECONDS} s; one run each"
    reasons = f"{contract} against the contract, {known} for reasons that only the service knows"
    shown = ("seconds", "cpu_seconds", "loaded", "set_aside", "requests", "throttled", "ends")
    results.tables.append(Table("rejects", f"{title}\n{contract + known} are bad: {reasons}", shown, rows))
    # What the limit itself takes: each window but the last is waited for.
    most = (records - contract - 1) // _REQUESTS * _SECONDS + SPARE_SECONDS
    for one, row in zip(loaders, rows, strict=True):
        if one.ours:
            words = f"{row['seconds']:.1f} s, {one.name}; aim {most:.0f}; {row['throttled']} times 429; aim 0"
            results.aims.append(Aim(row["seconds"] <= most and not row["throttled"], words))
            done = f"every good vendor in, every bad one set aside, {one.name}"
            results.aims.append(Aim(not row["wrong"], done))


def unchanged(records: int, loaders: Sequence[Contestant], results: Results, progress: Progress) -> list[Row]:
    """Load what Vic has already, but for 12 names, under the service's limit."""
    rows = []
    for one in loaders:
        progress(f"unchanged: {records:,} vendors, {one.name}")
        with sandbox(**_LIMIT) as (service, place):
            _fill(service.control.vicai, records)
            given = inputs.known_vendors(place.folder / "input", service.control.vicai.record_lines(inputs.VENDORS))
            row, changes = load(service, place, one, given, results), len(given.write)
        rows.append(row)
        words = f"{row['seconds']:.1f} s for {changes} changes, {one.name}; aim {UNCHANGED_SECONDS:.0f}"
        quick = row["seconds"] <= UNCHANGED_SECONDS and not row["throttled"]
        results.aims.append(Aim(quick, f"{words}; {row['throttled']} times 429"))
        results.aims.append(Aim(row["writes"] == changes, f"{row['writes']:,} writes, {one.name}; aim {changes}"))
        if row["writes"] != changes:
            results.losses.append(f"{one.name}: {row['writes']:,} writes for {changes} changes")
    limit = f"{_REQUESTS} requests in {_SECONDS} s; one run each"
    title = f"{given.records:,} vendors that Vic has, {changes} of them changed, {limit}"
    shown = ("seconds", "cpu_seconds", "lists", "writes", "requests", "throttled")
    results.tables.append(Table("unchanged", title, shown, rows))
    return rows


def writes(records: int, rounds: int, loaders: Sequence[Contestant], results: Results, progress: Progress) -> list[Row]:
    """Load new vendors as fast as it goes: no limit, no latency; contestants in turn."""
    loaded: dict[str, int] = {}

    def load_and_start(one: Contestant) -> tuple[Run, Run]:
        with sandbox() as (service, place):
            given = new(service, place, records, bad=False)
            row = load(service, place, one, given, results)
            loaded[one.name] = min(row["loaded"], loaded.get(one.name, records))
            nothing = inputs.no_vendors(place.folder / "nothing")
            start = run(place.command(one), given=nothing.file)
        return Run(row["seconds"], row["cpu_seconds"]), start

    rows = in_turn(
        loaders, rounds, load_and_start, lambda one: {"records": records, "loaded": loaded[one.name]}, progress
    )
    loop = next((row for row in rows if row.name == contestants.LOOP.name), None)
    if loop:
        rows = [row.with_cells(of_loop=row["per_second_running"] / loop["per_second_running"]) for row in rows]
    title = f"{records:,} new vendors, no limit, {contestants.WORKERS} at once; medians of {rounds} rounds"
    shown = (*PACES, *(("of_loop",) if loop else ()), "loaded")
    results.tables.append(Table("writes", title, shown, rows))
    return rows


def memory(sizes: Sequence[int], results: Results, progress: Progress) -> None:
    """Load unchanged accounts from a list server; without a limit."""
    rows = []
    for size in sizes:
        progress(f"memory: {size:,} accounts")
        with lists(size) as (counts, place):
            given = inputs.known_accounts(place.folder / "input", size)
            command = place.command(contestants.UNLIMITED)
            taken = run(command, place.output, given=given.file)
            asked, acknowledged = counts(), place.acknowledged(given)
        cells = vars(taken) | {"per_second": size / taken.seconds, "lists": asked["pages"], "writes": asked["writes"]}
        rows.append(Row(f"{size:,} accounts", cells))
        if asked["writes"] or not acknowledged:
            state = "" if acknowledged else "; the last STATE did not come out"
            results.losses.append(f"{size:,} unchanged accounts: {asked['writes']:,} writes{state}")
    shown = ("seconds", "cpu_seconds", "per_second", "lists", "writes", "megabytes")
    results.tables.append(Table("memory", "Unchanged accounts from a list server, no limit; one run each", shown, rows))
    results.aims += memory_aims([row["megabytes"] for row in rows], MEGABYTES)


@dataclass(frozen=True)
class Place:
    """A service, and an empty folder for one run."""

    account: Mapping[str, str]
    folder: Path

    @property
    def output(self) -> Path:
        """Where a target's STATE lines go."""
        return self.folder / "output"

    @property
    def rejects(self) -> Path:
        """Where rows are set aside."""
        return self.folder / "rejects.jsonl"

    def command(self, one: Contestant) -> list[str]:
        """Return the whole command line."""
        config = self.folder / "config.json"
        settings = {**self.account, **one.settings}
        if one.catches:
            settings["rejects_path"] = str(self.rejects)
        config.write_text(json.dumps(settings), encoding="utf-8")
        return [part.format_map({"config": config, "folder": self.folder}) for part in one.command]

    def acknowledged(self, given: Given) -> bool:
        """Whether the last STATE that came out is the last one that went in."""
        lines = self.output.read_bytes().splitlines()
        return bool(lines) and json.loads(lines[-1]) == given.state


@contextmanager
def sandbox(**options: Any) -> Iterator[tuple[SandboxProcess, Place]]:
    """Start a sandbox without invoices and without a limit, unless `options` say otherwise."""
    with (
        SandboxProcess(0, vicai={"rate_requests": 0, **options}) as process,
        TemporaryDirectory(prefix="benchmarks-") as folder,
    ):
        secret = {"client_id": process.client_id, "client_secret": process.client_secret}
        yield process, Place({"api_url": process.vicai_url, **secret}, Path(folder))


@contextmanager
def lists(accounts: int) -> Iterator[tuple[Callable[[], dict[str, int]], Place]]:
    """Start a list server of so many accounts; give what tells how often `pages`, `writes` and more were asked for."""
    command = [sys.executable, "-m", "benchmarks.list_server", str(accounts)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
        TemporaryDirectory(prefix="benchmarks-") as folder,
    ):
        assert server.stdout is not None
        if not (url := server.stdout.readline().strip()):
            raise SandboxError("the list server did not start")
        try:
            account = {"api_url": f"{url}{PREFIX}", "client_id": "lists-client", "client_secret": "lists-secret"}
            yield lambda: json.loads(urlopen(f"{url}{PREFIX}/counts").read()), Place(account, Path(folder))
        finally:
            server.terminate()


def _kind(call: Mapping[str, Any]) -> str:
    if call["path"].endswith("/token"):
        return "tokens"
    if call["method"] != "GET":
        return "writes"
    return "lists" if call["path"].endswith(f"/{inputs.VENDORS}") else "others"


def _fill(vic: VicaiControl, records: int) -> None:
    """Make so many vendors that the ERP knows; delete those that it does not know."""
    while True:
        vendors = vic.records(inputs.VENDORS)
        unknown = [vendor["internalId"] for vendor in vendors if not vendor.get("externalId")]
        vic.delete(inputs.VENDORS, unknown)
        if (more := records - len(vendors) + len(unknown)) <= 0:
            return
        vic.add(inputs.VENDORS, more)


def new(service: SandboxProcess, place: Place, records: int, *, bad: bool) -> Given:
    """Write a file of new vendors."""
    terms = [term["id"] for term in service.control.vicai.records("paymentTerms")]
    return inputs.new_vendors(place.folder / "input", records, terms, bad=bad)


def load(service: SandboxProcess, place: Place, one: Contestant, given: Given, results: Results) -> Row:
    """Run a loader; return what it took, what it asked of the service, and what became of the store."""
    control = service.control
    before = _store(control.vicai.record_lines(inputs.VENDORS))
    control.clear_calls()
    taken = run(place.command(one), place.output, given=given.file, may_stop=bool(given.bad) and not one.ours)
    # The log keeps the latest 20,000 calls; no contestant makes more.
    calls = Counter(_kind(call) for call in control.calls())
    after = _store(control.vicai.record_lines(inputs.VENDORS))
    effect = _effect(given, before, after)
    bad, others = _aside(given, place.rejects)
    wrong = {
        "missing": effect["missing"],
        "with other values": effect["altered"],
        "changed, or there, for no reason": effect["strange"],
        "bad, not set aside": len(given.bad) - bad,
        "set aside for no reason, or twice": others,
        "times the last STATE did not come out": int(one.ours and not place.acknowledged(given)),
    }
    if one.ours:
        results.losses += [f"{one.name}: {number:,} {what}" for what, number in wrong.items() if number]
    cells = vars(taken) | {"ends": "stopped" if taken.status else "well"}
    cells |= {"loaded": effect["loaded"], "set_aside": bad + others, "wrong": sum(wrong.values())}
    cells |= {"lists": calls["lists"], "writes": calls["writes"], "requests": calls.total()}
    return Row(one.name, {**cells, "throttled": control.vicai.overview(sums=False)["throttled"]})


def _store(lines: Iterable[bytes]) -> Store:
    return {_decode(line)["internalId"]: line for line in lines}


def _effect(given: Given, before: Store, after: Store) -> dict[str, int]:
    """Return how many records are `loaded` as given, `missing`, or in Vic with other values than given (`altered`).

    `strange` is whatever else changed in the store: bad records that got in, doubles, others that were touched or went.
    """
    touched = [_decode(line) for key, line in after.items() if before.get(key) != line]
    old = {key: _decode(line) for key, line in before.items()}
    loaded = 0
    came: set[str] = set()
    for record in touched:
        external = str(record.get("externalId"))
        wanted = given.write.get(external)
        if wanted is not None and external not in came:
            came.add(external)
            loaded += _is_as_wanted(record, wanted, old.get(record["internalId"], {}))
    strange = len(touched) - len(came) + len(before.keys() - after.keys())
    missing = len(given.write.keys() - came)
    return {"loaded": loaded, "missing": missing, "altered": len(came) - loaded, "strange": strange}


def _aside(given: Given, rejects: Path) -> tuple[int, int]:
    """Return how many rejects are bad indeed, each counted once, and how many others or repetitions there are."""
    if not rejects.exists():
        return 0, 0
    messages = [_decode(line) for line in rejects.read_bytes().splitlines()]
    # Singer messages, or bare records one a line.
    records = [message.get("record", message) for message in messages if message.get("type", "RECORD") == "RECORD"]
    found = [record["externalId"] for record in records]
    bad = len(given.bad & set(found))
    return bad, len(found) - bad


def _is_as_wanted(record: Mapping[str, Any], wanted: Mapping[str, Any], was: Mapping[str, Any]) -> bool:
    """Whether a record has each value that was given, and of those that were not, each that it had."""
    expected = {**was, **wanted}
    return all(_said(record.get(name)) == _said(value) for name, value in expected.items() if name not in _BY_VIC)


def _said(value: Any) -> Any:
    """Return a value without its nulls: a member that is null and one that is absent say the same."""
    if isinstance(value, dict):
        return {name: _said(item) for name, item in value.items() if item is not None}
    return [_said(item) for item in value] if isinstance(value, list) else value
