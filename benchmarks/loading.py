"""`target-vicai`, measured: rejects, what is unchanged, writes, memory. What it did is read from the store."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import contestants, inputs, services
from benchmarks.contestants import Contestant, chosen
from benchmarks.inputs import Given
from benchmarks.processes import PACES, Measured, Run, in_turn, run
from benchmarks.results import Results, Row, progress
from benchmarks.services import LIMIT, LIMITED, Service

RECORDS = 1_500
COMPARED, WRITTEN = 20 / 3, 2
"""How many times as many records the other parts load: 10,000 and 3,000."""
CHANGES, MEMORY = 12, (10_000, 100_000)
SPARE_SECONDS = 2.0
"""What a load may take beyond what the rate limit alone makes it last."""
UNCHANGED_SECONDS, LOOP_SHARE, MEGABYTES = 5.0, 0.7, 300.0

_LATENCY_MS = 50
_BY_VIC = {"internalId", "internalUpdatedAt"}
_decode = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode

Store = Mapping[str, bytes]
"""Records as they are served, by Vic's own id."""


def rejects(results: Results) -> None:
    """Load new vendors, 1 % of them bad, with latency and under the service's limit."""
    records, rows = results.order.records or RECORDS, []
    loaders = chosen(contestants.reject_loaders(records), results)
    for one in loaders:
        row, given = create(one, records, _LATENCY_MS, results)
        rows.append(row)
        # What the limit itself takes: each window but the last is waited for.
        sent, size, seconds = records - len(given.by_contract), LIMIT["rate_requests"], LIMIT["rate_seconds"]
        most = (sent - 1) // size * seconds + SPARE_SECONDS
        if one.ours:
            words = f"{row['seconds']:.1f} s, {one.name}; aim {most:.0f}; {row['throttled']} times 429; aim 0"
            results.aim(row["seconds"] <= most and not row["throttled"], words)
            results.aim(not row["wrong"], f"every good vendor in, every bad one set aside, {one.name}")
    title = f"{records:,} new vendors at {_LATENCY_MS} ms, {LIMITED}; one run each"
    contract, service = len(given.by_contract), len(given.by_service)
    reasons = f"{contract} against the contract, {service} for reasons that only the service knows"
    shown = ("seconds", "cpu_seconds", "loaded", "set_aside", "requests", "throttled", "ends")
    results.table("rejects", f"{title}\n{contract + service} are bad: {reasons}", shown, rows)


def create(one: Contestant, records: int, latency_ms: int, results: Results) -> tuple[Row, Given]:
    """Load new vendors, 1 % of them bad, into a sandbox of its own: no contestant inherits what another has used up."""
    progress(f"creates: {one.name} at {latency_ms} ms")
    with services.vicai(**LIMIT) as service, services.empty_folder() as folder:
        given = inputs.new(folder / "input", service.vic, records, bad=True)
        # Latency begins with the load: the store is looked at from near by.
        service.vic.options(latency_ms=latency_ms)
        return load(service, folder, one, given, results), given


def unchanged(results: Results) -> None:
    """Load what Vic has already, but for 12 names, under the service's limit."""
    records, rows = round((results.order.records or RECORDS) * COMPARED), []
    for one in chosen([contestants.COMPARING], results):
        progress(f"unchanged: {records:,} vendors, {one.name}")
        row = compare(one, records, results, stream="vendors", changes=CHANGES, limit=LIMIT)
        rows.append(row)
        words = f"{row['seconds']:.1f} s for {CHANGES} changes, {one.name}; aim {UNCHANGED_SECONDS:.0f}"
        quick = row["seconds"] <= UNCHANGED_SECONDS and not row["throttled"]
        results.aim(quick, f"{words}; {row['throttled']} times 429")
        results.aim(row["writes"] == CHANGES, f"{row['writes']:,} writes, {one.name}; aim {CHANGES}")
    title = f"{records:,} vendors that Vic has, {CHANGES} of them changed, {LIMITED}; one run each"
    shown = ("seconds", "cpu_seconds", "lists", "writes", "requests", "throttled")
    results.table("unchanged", title, shown, rows)


def compare(
    one: Contestant, records: int, results: Results, *, stream: str, changes: int, limit: Mapping[str, int]
) -> Row:
    """Load so many records that Vic has, of which some are changed; nothing else may be written."""
    with services.vicai(**limit) as service, services.empty_folder() as folder:
        given = inputs.known(folder / "input", service.vic, stream, records, changes)
        row = load(service, folder, one, given, results)
    if row["writes"] != changes:
        results.losses.append(f"{one.name}: {row['writes']:,} writes for {changes} changes of {records:,} {stream}")
    return row


def writes(results: Results) -> None:
    """Load new vendors as fast as it goes: no limit, no latency; contestants in turn."""
    records, rounds = (results.order.records or RECORDS) * WRITTEN, results.order.rounds

    def load_and_start(one: Contestant) -> Iterator[Measured]:
        with services.vicai() as service, services.empty_folder() as folder:
            given = inputs.new(folder / "input", service.vic, records, bad=False)
            row = load(service, folder, one, given, results)
            idle = run(service.line(one, folder), given=inputs.nothing(folder / "nothing").file)
        whole = Run(row["seconds"], row["cpu_seconds"], row["megabytes"])
        yield Measured(one.name, whole, idle, {"records": records, "loaded": row["loaded"]})

    rows = in_turn(chosen([contestants.WRITING, contestants.LOOP], results), rounds, load_and_start)
    loop = next((row for row in rows if row.name == contestants.LOOP.name), None)
    if loop:
        for row in rows:
            row.cells["of_loop"] = row.times(loop, "per_second_running")
        results.share_aim(rows[0], loop, "the loop's writes a second", LOOP_SHARE)
    title = f"{records:,} new vendors, no limit, {contestants.WORKERS} at once; medians of {rounds} rounds"
    results.table("writes", title, (*PACES, *(("of_loop",) if loop else ()), "loaded"), rows)


def memory(results: Results) -> None:
    """Load unchanged accounts, without a limit."""
    rows = []
    for size in results.order.sizes(*MEMORY):
        progress(f"memory: {size:,} accounts")
        row = compare(contestants.UNLIMITED, size, results, stream="accounts", changes=0, limit={})
        rows.append(Row(f"{size:,} accounts", {**row.cells, "per_second": size / row["seconds"]}))
    shown = ("seconds", "cpu_seconds", "per_second", "lists", "writes", "megabytes")
    results.table("memory", "Unchanged accounts, no limit; one run each", shown, rows)
    results.memory_aims(rows, MEGABYTES)


def load(service: Service, folder: Path, one: Contestant, given: Given, results: Results) -> Row:
    """Run a loader; return what it took, what it asked of the service, and what became of the store."""
    control, output = service.sandbox.control, folder / "output"
    before = _store(service.vic.record_lines(given.stream))
    command = service.line(one, folder)
    control.clear_calls()
    taken = run(command, output, given=given.file, may_stop=bool(given.bad) and not one.ours)
    # The log keeps the latest 20,000 calls; no contestant makes more.
    calls = Counter(_kind(call, given.stream) for call in control.calls())
    effect = _effect(given, before, _store(service.vic.record_lines(given.stream)))
    bad, others = _aside(given, folder / "rejects.jsonl")
    states = output.read_bytes().splitlines()[-1:]
    wrong = {
        "missing": effect["missing"],
        "with other values": effect["altered"],
        "changed, or there, for no reason": effect["strange"],
        "bad, not set aside": len(given.bad) - bad,
        "set aside for no reason, or twice": others,
        "times the last STATE did not come out": int(one.ours and list(map(json.loads, states)) != [given.state]),
    }
    if one.ours:
        results.losses += [f"{one.name}: {number:,} {what}" for what, number in wrong.items() if number]
    cells = {**vars(taken), "ends": "stopped" if taken.status else "well"}
    cells |= {"loaded": effect["loaded"], "set_aside": bad + others, "wrong": sum(wrong.values())}
    cells |= {"lists": calls["lists"], "writes": calls["writes"], "requests": calls.total()}
    return Row(one.name, {**cells, "throttled": service.vic.overview(sums=False)["throttled"]})


def _kind(call: Mapping[str, Any], stream: str) -> str:
    if call["path"].endswith("/token"):
        return "tokens"
    if call["method"] != "GET":
        return "writes"
    return "lists" if call["path"].endswith(f"/{stream}") else "others"


def _store(lines: Iterable[bytes]) -> Store:
    return {_decode(line)["internalId"]: line for line in lines}


def _effect(given: Given, before: Store, after: Store) -> dict[str, int]:
    """Return how many records are `loaded` as given, `missing`, or in Vic with other values than given (`altered`).

    `strange` is whatever else changed in the store: bad records that got in, doubles, others that were touched or went.
    """
    touched = [_decode(line) for key, line in after.items() if before.get(key) != line]
    loaded = 0
    came: set[str] = set()
    for record in touched:
        external = str(record.get("externalId"))
        wanted = given.write.get(external)
        if wanted is not None and external not in came:
            came.add(external)
            old = before.get(record["internalId"])
            loaded += _is_as_wanted(record, wanted, _decode(old) if old else {})
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
