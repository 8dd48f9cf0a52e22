"""The fleet and its companies, as `companies.yml` describes them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ap_connectors.core import files, postgresql, settings
from ap_connectors.core.errors import Stop
from ap_connectors.core.redact import printable, shortened
from ap_connectors.fleet import plugins, values
from ap_connectors.fleet.pipelines import Pipeline
from ap_connectors.fleet.results import NAME
from ap_connectors.fleet.values import AsIs


@dataclass(frozen=True)
class Company:
    """A company of the fleet. Values may be places of secrets (`values.File`, ...), which its own process looks up.

    Args:
        id: short, unique, never changed: its rows, states and files have it.
        name: for people.
        expected_company: what the services call it; None: not checked.
        pipelines: names of those that it has, in the order in which they run.
        settings: by plugin, the defaults of all included.
        warehouse: path or URL; None without one.
    """

    id: str
    name: str
    expected_company: str | None
    pipelines: tuple[str, ...]
    settings: Mapping[str, Mapping[str, Any]]
    warehouse: Any

    @property
    def called(self) -> str:
        """Its id, and what people call it where the file says so."""
        name = shortened(printable(self.name), NAME)
        return self.id if self.name == self.id else f"{self.id} ({name})"

    @property
    def places(self) -> Mapping[str, str]:
        """What {company} and {COMPANY} in a setting mean: the id, and the id as variables spell it."""
        return {"company": self.id, "COMPANY": re.sub(r"\W", "_", self.id).upper()}

    @property
    def codes(self) -> set[str]:
        """Its registration codes at Įvesk, as `company_codes` has them."""
        found = (settings.get("company_codes") for settings in self.settings.values())
        return {str(code) for codes in found if isinstance(codes, list) for code in codes}

    @property
    def duckdb_file(self) -> str | None:
        """The warehouse, if it is a file; what is a secret is the URL of PostgreSQL."""
        if not isinstance(self.warehouse, str):
            return None
        where = files.place(os.path.expandvars(values.places(self.warehouse, self.places)))
        return None if postgresql.is_postgresql(where) else where


ALL, TIE_OUT = "all", "tie-out"
"""Among the schedules: all pipelines of each company in its order; comparing the warehouses with their services."""


@dataclass(frozen=True)
class Dagster:
    """How Dagster runs the fleet; `ap-fleet run` does not look at it.

    Args:
        schedules: when each pipeline runs for all companies that have it, by cron; those that are named here are on.
        timezone: of the schedules.
        batch: how many companies a run takes.
        inbox: of `ap-webhooks`: file or URL, {company} in it for one of each company; None: no events.
        on_failure: address or command that is told of failed runs.
    """

    schedules: Mapping[str, str] = field(default_factory=dict)
    timezone: str = "UTC"
    batch: int = 50
    inbox: Any = None
    on_failure: Any = None


@dataclass(frozen=True)
class Fleet:
    """What `companies.yml` says. Relative paths in it begin where it is.

    Args:
        path: of the file.
        companies: in its order.
        pipelines: by name, the file's own included.
        folder: for logs, reports, rejects, ledgers, documents and, unless `state` says otherwise, states.
        state: URL of a PostgreSQL database that keeps states and history; None: the folder does.
        time_limit: seconds that a pipeline of a company may take.
        retries: further tries after an outage.
        retry_pause: seconds before the first of them; each later one waits twice as long.
        lineage: address that OpenLineage events are sent to.
        dagster: how Dagster runs it.
        listed_in: the file that has the entries of the companies; None: this one.
    """

    path: Path
    companies: tuple[Company, ...]
    pipelines: Mapping[str, Pipeline]
    folder: Path
    state: Any = None
    time_limit: int = 3600
    retries: int = 2
    retry_pause: int = 30
    lineage: str | None = None
    dagster: Dagster = field(default_factory=Dagster)
    listed_in: Path | None = None
    _by_id: dict[str, Company] = field(default_factory=dict, repr=False, compare=False)

    @property
    def list_name(self) -> str:
        """The name of the file that has the entries of the companies."""
        return (self.listed_in or self.path).name

    def company(self, id_: str) -> Company:
        """Return a company.

        Raises:
            Stop: there is no such company.
        """
        if not self._by_id:
            self._by_id.update((each.id, each) for each in self.companies)
        if id_ not in self._by_id:
            raise Stop(f"{self.path}: there is no company {id_}{meant(id_, self._by_id)}")
        return self._by_id[id_]

    def pipeline(self, name: str) -> Pipeline:
        """Return a pipeline.

        Raises:
            Stop: there is no such pipeline.
        """
        if name not in self.pipelines:
            raise Stop(f"{self.path}: there is no pipeline {name}{meant(name, self.pipelines)}")
        return self.pipelines[name]

    def settings_of(self, company: Company, pipeline: Pipeline, plugin: str) -> dict[str, Any]:
        """Return a plugin's settings in a pipeline of a company, secrets as places."""
        chosen = dict(pipeline.settings.get(plugin, {}))
        for name in pipeline.names_of(plugin):
            chosen |= company.settings.get(name, {})
        if plugin == "target-warehouse":
            chosen |= {"database": company.warehouse, "company": company.id}
            chosen.setdefault("schema", pipeline.schema)
        elif company.expected_company and plugins.has(plugin, "expected_company"):
            chosen.setdefault("expected_company", AsIs(company.expected_company))
        names = {**company.places, "pipeline": pipeline.name, "folder": str(self.folder)}
        return {name: values.places(value, names) for name, value in chosen.items() if value is not None}


def meant(name: str, known: Iterable[str]) -> str:
    """Return how a message about an unknown name ends: with the known one that is probably meant, if there is one."""
    found = settings.closest(name, list(known))
    return f"; did you mean {found}?" if found else "."
