"""What a batch is told to run, and what is loaded before it forks."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ap_connectors.core import settings
from ap_connectors.core.errors import Stop
from ap_connectors.fleet import children, databases, plugins, values
from ap_connectors.fleet.members import Fleet, meant
from ap_connectors.fleet.worker import Job
from ap_connectors.http.rate_limit import FOLDER


@dataclass(frozen=True)
class Order:
    """What to run.

    Args:
        companies: their ids; empty: all.
        pipelines: their names; empty: all that each company has.
        jobs: how many companies at once; 0: twice the processors.
        again: a stream that is read anew, and from when.
    """

    companies: Sequence[str] = ()
    pipelines: Sequence[str] = ()
    jobs: int = 0
    again: tuple[str, str] | None = None


def jobs_of(fleet: Fleet, order: Order) -> list[list[Job]]:
    """Return the jobs, those of each company together.

    Raises:
        Stop: a company or a pipeline does not exist, or there is nothing to do.
    """
    wanted = [fleet.pipeline(name).name for name in order.pipelines]
    companies = [fleet.company(each) for each in dict.fromkeys(order.companies)] or list(fleet.companies)
    found = [
        [
            Job(company, fleet.pipelines[name], str(uuid.uuid4()), order.again)
            for name in company.pipelines
            if not wanted or name in wanted
        ]
        for company in companies
    ]
    if order.again:
        found = _that_read(fleet, order.again[0], found)
    found = [jobs for jobs in found if jobs]
    if not found:
        raise Stop("There is nothing to run: none of the companies has such a pipeline.")
    return found


def left_out(fleet: Fleet, order: Order) -> list[str]:
    """Return the pipelines that an order leaves out because they do not read the stream that is read anew."""
    chosen = {job.pipeline.name for jobs in jobs_of(fleet, order) for job in jobs}
    return sorted({job.pipeline.name for jobs in jobs_of(fleet, replace(order, again=None)) for job in jobs} - chosen)


def _that_read(fleet: Fleet, stream: str, found: Sequence[Sequence[Job]]) -> list[list[Job]]:
    """Return the jobs whose pipelines read a stream, or may read it: a program of someone else's does not say.

    Raises:
        Stop: none of them does.
    """
    known: dict[str, Collection[str] | None] = {}
    for job in (job for jobs in found for job in jobs):
        if job.pipeline.name not in known:
            known[job.pipeline.name] = _streams(fleet, job)
    chosen = [[job for job in jobs if (one := known[job.pipeline.name]) is None or stream in one] for jobs in found]
    if any(found) and not any(chosen):
        streams = {name for one in known.values() for name in one or ()}
        raise Stop(f"--stream {stream}: {', '.join(known)} do not read such a stream{meant(stream, streams)}")
    return chosen


def _streams(fleet: Fleet, job: Job) -> Collection[str] | None:
    tap = job.pipeline.tap
    catalog = plugins.catalog(tap, job.pipeline.select, fleet.settings_of(job.company, job.pipeline, tap))
    if catalog is None:
        return None
    streams = json.loads(catalog)["streams"]
    # Its own entry says whether a stream is selected.
    return {
        one["tap_stream_id"]
        for one in streams
        if any(not entry["breadcrumb"] and entry["metadata"].get("selected") for entry in one["metadata"])
    }


def warm(fleet: Fleet, jobs: Iterable[Job]) -> None:
    """Load what the workers need before they are forked; make the catalogs that they share."""
    names: dict[str, None] = {}
    for job in jobs:
        names.update(dict.fromkeys(job.pipeline.plugins))
        plugins.catalog(
            job.pipeline.tap,
            job.pipeline.select,
            fleet.settings_of(job.company, job.pipeline, job.pipeline.tap),
        )
        if job.pipeline.to_warehouse and job.company.duckdb_file is None:
            with contextlib.suppress(Stop):
                databases.driver("psycopg")
    # Once for all, instead of by each worker.
    settings.warn_if_some_are_open(_secret_files(fleet, jobs), "a secret")
    # The folder itself first: all in it is for this user alone, documents and reject files included.
    for folder in ("", "logs", "reports", "state"):
        try:
            (fleet.folder / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise Stop(f"folder: {fleet.folder / folder} cannot be made: {error.strerror}.") from None
    os.environ.setdefault(FOLDER, str(fleet.folder / "rate-limits"))
    children.preload(list(names))


def _secret_files(fleet: Fleet, jobs: Iterable[Job]) -> Iterator[Path]:
    for job in jobs:
        for plugin in job.pipeline.plugins:
            for value in fleet.settings_of(job.company, job.pipeline, plugin).values():
                yield from values.files(value)
