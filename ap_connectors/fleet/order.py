"""What a batch is told to run, and what is loaded before it forks."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ap_connectors.core import settings
from ap_connectors.core.errors import Stop
from ap_connectors.fleet import children, databases, plugins, values
from ap_connectors.fleet.members import Fleet
from ap_connectors.fleet.worker import Job
from ap_connectors.http.shared_window import FOLDER


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
    found = [jobs for jobs in found if jobs]
    if not found:
        raise Stop("There is nothing to run: none of the companies has such a pipeline.")
    return found


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
    for folder in ("logs", "reports", "state"):
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
