"""Pipelines as assets, companies as their partitions, `ap-tieout` as their check: one step runs a batch."""

# No `from __future__ import annotations`: Dagster wants to see the class of a context, not its name.

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster
from dagster import AssetCheckKey, AssetCheckSpec, AssetExecutionContext, AssetKey, AssetSpec

from ap_connectors.fleet import tie_out
from ap_connectors.fleet.dagster import runs
from ap_connectors.fleet.members import Fleet
from ap_connectors.fleet.pipelines import Pipeline

COMPANIES = dagster.DynamicPartitionsDefinition(name="companies")
CHECK = "ties"
POOL_DUCKDB, POOL = "ap-fleet-duckdb", "ap-fleet"
"""Pools: runs whose companies share a DuckDB file, which has one writer; other runs."""

_STAGES: Mapping[str, int] = {"tap-vicai": 2, "tap-rejects": 1}
"""Taps that read what pipelines of an earlier stage have loaded or set aside at Vic.ai."""


def key(pipeline: str) -> AssetKey:
    """Return the asset of a pipeline."""
    # As a list: Dagster would take a text with hyphens for a path.
    return AssetKey([pipeline])


def in_use(fleet: Fleet) -> list[Pipeline]:
    """Return the pipelines that some company has, in the order of the file's first mention."""
    names = dict.fromkeys(name for company in fleet.companies for name in company.pipelines)
    return [fleet.pipelines[name] for name in names]


def pipelines(fleet: Fleet) -> dagster.AssetsDefinition:
    """Return all pipelines as the assets of one step.

    One step, because a pipeline that failed for one company must not keep the next one from running for the others,
    and because a batch runs a company's pipelines one after the other while it runs other companies' beside them.
    """
    used = in_use(fleet)
    path = fleet.path
    with warnings.catch_warnings():
        # Checks by partition are a preview in Dagster 1.13, to which pyproject.toml keeps us.
        warnings.simplefilter("ignore", dagster.PreviewWarning)

        @dagster.multi_asset(
            name="companies",
            specs=[_spec(one, used) for one in used],
            check_specs=[
                AssetCheckSpec(
                    CHECK,
                    asset=key(one.name),
                    description="ap-tieout: the warehouse has what the service has, each field and each sum.",
                    partitions_def=COMPANIES,
                )
                for one in used
                if tie_out.is_comparable(one)
            ],
            can_subset=True,
            backfill_policy=dagster.BackfillPolicy.single_run(),
            pool=pool(fleet),
        )
        def companies(context: AssetExecutionContext) -> Iterator[Any]:
            yield from runs.batch(context, path)

    return companies


def checks(fleet: Fleet) -> list[AssetCheckKey]:
    """Return the checks that there are."""
    return [AssetCheckKey(key(one.name), CHECK) for one in in_use(fleet) if tie_out.is_comparable(one)]


def _spec(pipeline: Pipeline, others: list[Pipeline]) -> AssetSpec:
    steps = " → ".join(pipeline.plugins)
    stage = _STAGES.get(pipeline.tap, 0)
    return AssetSpec(
        key(pipeline.name),
        deps=[
            key(other.name) for other in others if other.target == "target-vicai" and _STAGES.get(other.tap, 0) < stage
        ],
        # A company that failed, or does not have the pipeline, has no materialization.
        skippable=True,
        description=steps,
        group_name="fleet",
        kinds={Path(pipeline.target).name.removeprefix("target-")},
        partitions_def=COMPANIES,
    )


def pool(fleet: Fleet) -> str:
    """Return the pool of the fleet's runs."""
    files = [company.duckdb_file for company in fleet.companies if company.duckdb_file]
    return POOL_DUCKDB if len(set(files)) < len(files) else POOL
