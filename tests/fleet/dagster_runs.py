"""Runs of a fleet on Dagster, in the process of the test."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster
import pytest
from dagster import AssetKey, AssetSelection, DagsterInstance
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from ap_connectors.fleet import companies
from ap_connectors.fleet.dagster import assets, automation, location
from tests import preloaded
from tests.fleet.conftest import VIC, Fleet

START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


class Runs:
    """Runs of a fleet, in this process, with what Dagster remembers of them."""

    def __init__(self, fleet: Fleet, instance: DagsterInstance) -> None:
        self._fleet, self.instance = fleet, instance
        self.failure = ""

    @property
    def definitions(self) -> dagster.Definitions:
        return location.definitions(self._fleet.path)

    def run(self, first: str, last: str, *, checks: bool = False) -> bool:
        """Run a batch; return whether it went well."""
        read = companies.read(self._fleet.path)
        automation.keep_up(self.instance, read)
        made = assets.pipelines(read)
        selection = AssetSelection.checks(*assets.checks(read)) if checks else AssetSelection.all().without_checks()
        done = dagster.materialize(
            [made], selection=selection, instance=self.instance, tags={START: first, END: last}, raise_on_error=False
        )
        failures = [event.step_failure_data for event in done.all_events if event.is_step_failure]
        told = [one.user_failure_data.description or "" for one in failures if one.user_failure_data]
        self.failure = told[0] if told else ""
        return done.success

    def done(self, pipeline: str = VIC) -> set[str]:
        return set(self.instance.get_materialized_partitions(AssetKey([pipeline])))

    def failed(self, pipeline: str = VIC) -> set[str]:
        cache = get_and_update_asset_status_cache_value(
            self.instance, AssetKey([pipeline]), assets.COMPANIES, self.instance
        )
        assert cache
        subset = cache.deserialize_failed_partition_subsets(assets.COMPANIES)
        return set(subset.get_partition_keys())

    @property
    def told(self) -> str:
        """All that Dagster has kept of all runs."""
        runs = self.instance.get_runs()
        return "\n".join(str(event) for run in runs for event in self.instance.all_logs(run.run_id))


class Forked(preloaded.Piped):
    """What `subprocess.Popen` would start, from the process that has everything loaded."""

    def __init__(self, command: Sequence[str], **_: Any) -> None:
        source, sink = os.pipe()
        with os.fdopen(sink, "wb") as errors, Path(os.devnull).open() as stdin:
            super().__init__(lambda out: preloaded.start(command, stdin=stdin, stdout=out, stderr=errors))
        self.stderr = os.fdopen(source, "rb")

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self.stderr.close()

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def of(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    """Give the runs of a fleet to a test."""
    monkeypatch.setattr("ap_connectors.fleet.apart.Popen", Forked)
    with DagsterInstance.ephemeral() as instance:
        yield Runs(fleet, instance)
