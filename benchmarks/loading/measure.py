"""The measurements: rejects, unchanged, writes, memory. Each gives plain figures; `report` puts them into words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ap_connectors.sandbox.control_client import VicaiControl
from ap_connectors.sandbox.process import SandboxProcess
from benchmarks.loading import contestants, effects, inputs
from benchmarks.loading.contestants import Loader
from benchmarks.loading.effects import Aside, Effect
from benchmarks.loading.inputs import Given
from benchmarks.loading.places import Place, lists, sandbox
from benchmarks.processes import Run, median, run, run_with_peak
from benchmarks.turns import Progress

LATENCY_MS = 50
REQUESTS, SECONDS = 500, 10
"""The limit that the service states."""
_LIMIT = {"rate_requests": REQUESTS, "rate_seconds": SECONDS}


@dataclass(frozen=True)
class Load:
    """One run: what it took, what was asked of the service, and what it did.

    Args:
        loader: who ran.
        taken: seconds, and the status at the end.
        calls: requests that the service counted, by kind; those that it refused with 429 are among them.
        throttled: how often it answered 429.
        effect: what became of the store.
        aside: what was set aside.
        acknowledged: the last STATE that came out is the last one that went in.
    """

    loader: Loader
    taken: Run
    calls: Counter[str]
    throttled: int
    effect: Effect
    aside: Aside
    acknowledged: bool

    @property
    def requests(self) -> int:
        """All requests."""
        return self.calls.total()

    @property
    def writes(self) -> int:
        """Those that change something."""
        return self.calls["writes"]


@dataclass(frozen=True)
class Rejects:
    """Everybody's load of new vendors, so many of which are bad."""

    records: int
    by_contract: int
    by_service: int
    loads: list[Load]


def rejects(records: int, progress: Progress) -> Rejects:
    """Load new vendors, 1 % of them bad, with latency and under the service's limit."""
    found: list[Load] = []
    for one in present(contestants.with_rejects(records)):
        progress(f"rejects: {one.name}")
        # A sandbox each, so that nobody inherits what another has used up.
        with sandbox(latency_ms=LATENCY_MS, **_LIMIT) as (service, place):
            given = _new(service, place, records, bad=True)
            found.append(_load(service, place, one, given))
    return Rejects(records, len(given.by_contract), len(given.by_service), found)


@dataclass(frozen=True)
class Unchanged:
    """A load of vendors that Vic has already, but for a few changes."""

    records: int
    changes: int
    load: Load


def unchanged(records: int, progress: Progress) -> Unchanged:
    """Load what Vic has already, but for 12 names, under the service's limit."""
    progress(f"unchanged: {records:,} vendors")
    with sandbox(**_LIMIT) as (service, place):
        _fill(service.control.vicai, records)
        given = inputs.known_vendors(place.folder / "input", service.control.vicai.record_lines(inputs.VENDORS))
        return Unchanged(given.records, len(given.write), _load(service, place, contestants.COMPARING, given))


@dataclass(frozen=True)
class Writing:
    """One contestant's medians; `loads` are its runs, `empty` the same command where there is nothing to load."""

    loader: Loader
    loads: list[Load]
    whole: Run
    empty: Run
    records: int

    @property
    def per_second(self) -> float:
        """Writes a second, start of the process included."""
        return self.records / self.whole.seconds

    @property
    def per_second_running(self) -> float:
        """Writes a second once it runs."""
        return self.records / max(self.whole.seconds - self.empty.seconds, 1e-3)


def writes(records: int, rounds: int, progress: Progress) -> list[Writing]:
    """Load new vendors as fast as it goes: no limit, no latency; contestants in turn."""
    loads: dict[str, list[Load]] = {}
    starts: dict[str, list[Run]] = {}
    for number in range(rounds):
        for one in present(contestants.WRITERS):
            progress(f"writes: round {number + 1} of {rounds}, {one.name}")
            with sandbox() as (service, place):
                given = _new(service, place, records, bad=False)
                loads.setdefault(one.name, []).append(_load(service, place, one, given))
                nothing = inputs.no_vendors(place.folder / "nothing")
                starts.setdefault(one.name, []).append(run(place.command(one), given=nothing.file))
    return [
        Writing(found[0].loader, found, median([load.taken for load in found]), median(starts[name]), records)
        for name, found in loads.items()
    ]


@dataclass(frozen=True)
class Memory:
    """A load of so many accounts that Vic has already: `megabytes` at its peak, and what was asked."""

    taken: Run
    megabytes: float
    asked: dict[str, int]
    acknowledged: bool


def memory(sizes: Sequence[int], progress: Progress) -> dict[int, Memory]:
    """Load unchanged accounts from a list server; without a limit."""
    found: dict[int, Memory] = {}
    for size in sizes:
        progress(f"memory: {size:,} accounts")
        with lists(size) as (server, place):
            given = inputs.known_accounts(place.folder / "input", size)
            command = place.command(contestants.UNLIMITED)
            taken, megabytes = run_with_peak(command, place.output, given=given.file)
            found[size] = Memory(taken, megabytes, server.counts(), _acknowledged(given, place))
    return found


def present(all_of_them: Sequence[Loader]) -> list[Loader]:
    """Return those whose packages are installed."""
    return [one for one in all_of_them if one.there]


def absent(all_of_them: Sequence[Loader]) -> Iterator[str]:
    """Name the others; our target once, whatever its settings."""
    missing = (one for one in all_of_them if not one.there)
    return (contestants.COMPARING.name if one.ours else one.name for one in missing)


def _kind(call: Mapping[str, Any]) -> str:
    if call["path"].endswith("/token"):
        return "tokens"
    if call["method"] != "GET":
        return "writes"
    return "lists" if call["path"].endswith(f"/{inputs.VENDORS}") else "others"


def _fill(vic: VicaiControl, records: int) -> None:
    """See to so many vendors that the ERP knows; those that it does not know go."""
    while True:
        vendors = vic.records(inputs.VENDORS)
        unknown = [vendor["internalId"] for vendor in vendors if not vendor.get("externalId")]
        vic.delete(inputs.VENDORS, unknown)
        if (more := records - len(vendors) + len(unknown)) <= 0:
            return
        vic.add(inputs.VENDORS, more)


def _new(service: SandboxProcess, place: Place, records: int, *, bad: bool) -> Given:
    terms = [term["id"] for term in service.control.vicai.records("paymentTerms")]
    return inputs.new_vendors(place.folder / "input", records, terms, bad=bad)


def _load(service: SandboxProcess, place: Place, one: Loader, given: Given) -> Load:
    control = service.control
    before = effects.store(control.vicai.record_lines(inputs.VENDORS))
    control.clear_calls()
    taken = run(place.command(one), place.output, given=given.file, may_stop=bool(given.bad) and not one.ours)
    # The log keeps the latest 20,000 calls: nobody here makes more.
    calls = Counter(_kind(call) for call in control.calls())
    throttled = control.vicai.overview(sums=False)["throttled"]
    after = effects.store(control.vicai.record_lines(inputs.VENDORS))
    found = effects.effect(given, before, after)
    return Load(one, taken, calls, throttled, found, effects.aside(given, place.rejects), _acknowledged(given, place))


def _acknowledged(given: Given, place: Place) -> bool:
    lines = place.output.read_bytes().splitlines()
    return bool(lines) and json.loads(lines[-1]) == given.state
