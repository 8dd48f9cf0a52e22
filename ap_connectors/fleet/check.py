"""`ap-fleet check`: connects to everything that a pipeline needs, and says whose credentials they are."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import msgspec

from ap_connectors.core.companies import same_spelling
from ap_connectors.core.errors import ApError, Outage
from ap_connectors.core.exact import counted
from ap_connectors.core.redact import Redactor, printable, shortened
from ap_connectors.fleet import children, dangers
from ap_connectors.fleet.members import Fleet
from ap_connectors.fleet.results import WIDE, Result, Status, counts
from ap_connectors.fleet.trial import Failed, Trial, tried
from ap_connectors.fleet.worker import Job, Settings, store

_SECONDS = 300.0
_UNSURE = {"same_client_id", "several_owners", "owner_is_another"}
"""Dangers with which a name is not offered."""


_LOOK_SWAPPED = (
    "; they look swapped. Set the right credentials; remove nothing before. If these are the right ones, write "
    "expected_company into the file, and check again."
)
_ROWS_ARE_WRONG = (
    ", as expected_company says. If it was merely renamed, change its name in the state. Else earlier runs had wrong "
    "credentials: `ap-fleet remove {0} --rows --files --yes` takes their rows out (the subscription to webhooks, too). "
    "Do so for every company that was mixed up; the next run begins anew."
)


def work(fleet: Fleet, job: Job, until: float) -> Result:
    """Try each plugin of a pipeline with a company's settings; nothing is read or written but what it takes to try."""
    began = time.monotonic()
    said: list[str] = []
    owners: dict[str, None] = {}
    status: Status = "done"
    error, redact = "", Redactor()
    os.chdir(fleet.path.parent)
    try:
        given = Settings(fleet, job.company, job.pipeline)
        redact = given.redact
        for plugin in job.pipeline.plugins:
            trial = Trial(plugin, min(until, time.monotonic() + _SECONDS), _teller(job, plugin, redact))
            told, owner = tried(trial, given.of[plugin])
            said.append(f"{plugin}: {told}")
            if owner:
                _require_own_rows(fleet, job, given, owner)
                owners[owner] = None
    except Outage as trouble:
        status, error = "outage", str(trouble)
    except Exception as trouble:
        status, error = "failed", children.words(trouble)
    return Result(
        company=job.company.id,
        pipeline=job.pipeline.name,
        status=status,
        seconds=round(time.monotonic() - began, 3),
        error=redact(error, limit=500),
        said=redact("; ".join(said), limit=1000),
        owners=tuple(owners),
    )


class Checked:
    """What a check has found.

    Args:
        fleet: that was checked.
        results: in the order of the file.
    """

    def __init__(self, fleet: Fleet, results: Sequence[Result]) -> None:
        self._fleet, self._results = fleet, results
        owners: dict[str, set[str]] = {}
        for one in results:
            owners.setdefault(one.company, set()).update(one.owners)
        self._companies = [company for company in fleet.companies if company.id in owners]
        self._dangers = dangers.found(fleet, owners)
        # Of two names, or two companies of one name, one is wrong.
        unsure = {id_ for one in self._dangers if one.kind in _UNSURE for id_ in one.companies}
        self._names = {id_: next(iter(names)) for id_, names in owners.items() if names and id_ not in unsure}

    def json(self) -> Iterator[str]:
        """Yield the results, each with the dangers of its company."""
        for one in self._results:
            own = tuple(danger for danger in self._dangers if one.company in danger.companies)
            yield msgspec.json.encode(msgspec.structs.replace(one, dangers=own)).decode()

    def csv(self) -> Iterator[str]:
        """Yield id, name and expected_company of each company, to be a list of companies."""
        names = ((one.id, one.name, one.expected_company or self._names.get(one.id, "")) for one in self._companies)
        for row in (("id", "name", "expected_company"), *names):
            text = io.StringIO()
            csv.writer(text, lineterminator="").writerow(row)
            yield text.getvalue()

    def dangers(self) -> Iterator[str]:
        """Yield what is dangerous, but for what is answered by a list with the names that were found."""
        told = [one for one in self._dangers if one.kind != dangers.UNCHECKED]
        yield from dangers.lines(self._fleet, told, len(self._companies))

    def table(self) -> Iterator[str]:
        """Yield what people read: names for `expected_company` where it is empty; what is wrong last."""
        failed = [one for one in self._results if not one.is_done]
        for one in self._results:
            if one.is_done:
                yield self._line(one, shortened(one.said, WIDE) if sys.stdout.isatty() else one.said)
        yield from self._names_to_write()
        yield from self.dangers()
        yield from (self._line(one, f"{one.status}: {one.error}") for one in failed)
        told = f"{len(self._results) - len(failed)} of {counted(len(self._results), 'pipeline')} can run"
        yield "; ".join([told, *([counts(Counter(one.status for one in failed))] if failed else [])]) + "."

    def _line(self, result: Result, said: str) -> str:
        return f"{self._fleet.company(result.company).called} {result.pipeline}: {said}"

    def _names_to_write(self) -> Iterator[str]:
        unchecked = [id_ for one in self._dangers if one.kind == dangers.UNCHECKED for id_ in one.companies]
        if missing := [id_ for id_ in unchecked if id_ in self._names]:
            yield (
                "These have no expected_company, so credentials of another company would not be noticed. If the names "
                "are right, write them into the file (as columns of a list: ap-fleet check --format csv):"
            )
            for id_ in missing:
                yield f"- id: {id_}\n  expected_company: {json.dumps(self._names[id_], ensure_ascii=False)}"


def _teller(job: Job, plugin: str, redact: Redactor) -> Callable[[str], None]:
    def tell(words: str) -> None:
        said = printable(redact(f"{job.company.called} {job.pipeline.name}: {plugin}: {words}"))
        print(said, file=sys.stderr, flush=True)  # noqa: T201

    return tell


def _require_own_rows(fleet: Fleet, job: Job, given: Settings, own: str) -> None:
    """Check that the rows that a pipeline has brought into the warehouse are those of the credentials' company.

    Raises:
        Failed: they are another company's. Outage: the warehouse did not answer.
    """
    if job.pipeline.tap != "tap-vicai" or not job.pipeline.to_warehouse:
        return
    try:
        state = store(fleet, job.company, job.pipeline, given.of[job.pipeline.target]).look()
        kept = json.loads(state or b"{}").get("bookmarks", {}).get("company", {}).get("tenant")
    except Outage as error:
        # Whose the rows are is not known yet, so no name may be offered.
        raise Outage(f"{job.pipeline.target}: {error}") from None
    except (ApError, ValueError):
        # What is wrong with the warehouse is told by the trial of its plugin.
        return
    if kept and not same_spelling(kept, own):
        is_sure = bool(given.of[job.pipeline.tap].get("expected_company"))
        raise Failed(
            f'the rows in the warehouse are of "{kept}", but these are the credentials of "{own}"'
            f"{_ROWS_ARE_WRONG.format(job.company.id) if is_sure else _LOOK_SWAPPED}"
        )
