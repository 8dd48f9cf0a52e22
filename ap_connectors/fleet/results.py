"""What became of a pipeline of a company, and the table of a batch."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from ap_connectors.core.exact import counted
from ap_connectors.core.redact import printable, shortened

Status = Literal["done", "failed", "outage", "busy", "late", "ended", "cut off", "not run"]
"""done; failed: someone has to change something; outage: the next run goes on; busy: another run is under way; late: it
took longer than allowed; ended: the batch was ended by a signal; cut off: the batch was killed, and could not tell; not
run: there is no result yet."""

NAME = 24
"""So much is shown of a company's name."""
WIDE = 100
"""So long is a reason on a terminal; elsewhere it is whole."""


class Danger(msgspec.Struct, frozen=True):
    """What a check finds in the file that fails nothing, though records may come from the wrong company.

    Args:
        kind: "same_client_id", "same_api_key", "several_owners", "owner_is_another", "no_company_codes",
            "no_expected_company" or "idle_expected_company".
        companies: ids of those that it is about.
        message: for people.
    """

    kind: str
    companies: tuple[str, ...]
    message: str


class Result(msgspec.Struct, kw_only=True, frozen=True):
    """What became of one pipeline of one company.

    Args:
        company: its id.
        pipeline: its name.
        status: see `Status`.
        read: records that reached the target; None if it does not say.
        written: of them those that were created, changed or deleted.
        set_aside: of them, and of those before the mapper, those in reject files.
        seconds: it took, with retries.
        error: what failed, in one line; empty if nothing did.
        tries: it took.
        report: path of the target's report; None without one.
        rejects: paths of this run's reject files.
        log: path of the log.
        state: where the STATE is kept: "warehouse", "folder" or "postgresql".
        began: when, in UTC.
        run_id: of the last try, in history and lineage.
        said: what there is to say though all went well.
        batch: id of the batch, in the history.
        owners: whose the credentials are, as the service says; of a check.
        dangers: of the company; of a check.
    """

    company: str
    pipeline: str
    status: Status
    read: int | None = None
    written: int | None = None
    set_aside: int | None = None
    seconds: float = 0.0
    error: str = ""
    tries: int = 1
    report: str | None = None
    rejects: tuple[str, ...] = ()
    log: str | None = None
    state: str = ""
    began: str = ""
    run_id: str = ""
    said: str = ""
    batch: str = ""
    owners: tuple[str, ...] = ()
    dangers: tuple[Danger, ...] = ()

    @property
    def is_done(self) -> bool:
        """Whether all went well."""
        return self.status == "done"


def table(results: Sequence[Result], names: Mapping[str, str], *, when: bool = False) -> Iterator[str]:
    """Yield the lines of a table.

    Args:
        results: to show: of a batch those that failed come last, where a terminal shows them.
        names: of the companies, by their ids.
        when: show when each began, and leave them in their order.
    """
    shown = list(results) if when else sorted(results, key=lambda one: not one.is_done)
    cells = [
        ("company", "pipeline", "read", "written", "set aside", "seconds", ""),
        *(_cells(one, names.get(one.company, "")) for one in shown),
    ]
    times = ["began", *(one.began for one in shown)]
    wide = [max(len(row[place]) for row in cells) for place in range(6)]
    for row, time in zip(cells, times, strict=True):
        texts = [row[0].ljust(wide[0]), row[1].ljust(wide[1]), *(row[n].rjust(wide[n]) for n in range(2, 6)), row[6]]
        yield "  ".join([*([time.ljust(20)] if when else []), *texts]).rstrip()


def summary(results: Sequence[Result], seconds: float) -> str:
    """Return the last line: how many are done, how many ended otherwise, and how."""
    ends = Counter(one.status for one in results)
    told = f"{ends.pop('done', 0)} of {counted(len(results), 'pipeline')} done in {seconds:.1f} s"
    return f"{told}; {counts(ends)}." if ends else f"{told}."


def counts(ends: Mapping[Status, int]) -> str:
    """Return how many ended how, in the words of a result: "2 failed, 1 outage"."""
    return ", ".join(f"{count:,} {status}" for status, count in ends.items())


def _cells(result: Result, name: str) -> tuple[str, ...]:
    company = printable(f"{result.company} {shortened(name, NAME)}" if name != result.company else name).strip()
    counts = ("" if number is None else f"{number:,}" for number in (result.read, result.written, result.set_aside))
    said = "done" if result.is_done else f"{result.status}: {result.error}" if result.error else result.status
    if sys.stdout.isatty():
        said = shortened(said, WIDE)
    return (company, result.pipeline, *counts, f"{result.seconds:.1f}", printable(said))
