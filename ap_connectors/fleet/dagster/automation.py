"""What starts runs by itself: schedules, and events of the inbox; what keeps the partitions as `companies.yml` is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster
from dagster import (
    AssetCheckKey,
    AssetKey,
    AssetSelection,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    RunRequest,
    ScheduleEvaluationContext,
    SensorEvaluationContext,
    SkipReason,
)
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from ap_connectors.fleet import companies
from ap_connectors.fleet.dagster import assets, events, failures, lost
from ap_connectors.fleet.dagster.assets import COMPANIES
from ap_connectors.fleet.members import ALL, TIE_OUT, Fleet

HOURLY, DAILY = "0 * * * *", "30 4 * * *"
GAP = 8
"""Companies with nothing to do that a run takes along when they lie between two others: a run of its own costs more."""
CLIENT = "ap-fleet/client"
"""Tag of a run for one company: those of one client id may be limited to one at a time."""
_INBOX_SECONDS, _FILE_SECONDS = 1, 30
"""Seconds between two looks; Dagster looks every five seconds at most."""


def schedules(fleet: Fleet) -> list[dagster.ScheduleDefinition]:
    """Return a schedule for each pipeline, one for all in their order, and one for comparing; off unless named."""
    used = [one.name for one in assets.in_use(fleet)]
    made = [_schedule(fleet, name, [name]) for name in used]
    if used[1:]:
        made.append(_schedule(fleet, ALL, used))
    if assets.checks(fleet):
        made.append(_schedule(fleet, TIE_OUT, [one.asset_key.path[-1] for one in assets.checks(fleet)]))
    return made


def sensors(fleet: Fleet, pipelines: dagster.AssetsDefinition) -> list[dagster.SensorDefinition]:
    """Return the sensors: of the file, of the inbox if there is one, of failed runs and lost ones."""
    path = fleet.path
    runs = AssetSelection.assets(pipelines).without_checks()
    found: list[dagster.SensorDefinition] = [
        _file_sensor(path),
        failures.sensor(path, on=failures.has_hook(fleet)),
        lost.sensor(path, pipelines.keys),
    ]
    if events.has_inbox(fleet):

        @dagster.sensor(
            name="inbox",
            target=runs,
            minimum_interval_seconds=_INBOX_SECONDS,
            default_status=DefaultSensorStatus.RUNNING,
            description="Runs the pipelines of those companies that the services have sent an event of.",
        )
        def inbox(context: SensorEvaluationContext) -> dagster.SensorResult | SkipReason:
            fleet = companies.read(path)
            cursor = json.loads(context.cursor or "{}")
            news = events.look(fleet, cursor)
            for line in news.lines:
                context.log.warning(line)
            if news.cursor == cursor:
                return SkipReason("No event since the last look.")
            order = keep_up(context.instance, fleet)
            requests = [
                request
                for names, ids in news.wanted
                for request in _requests(fleet, order, ids, names, f"inbox {news.key}")
            ]
            return dagster.SensorResult(run_requests=requests, cursor=json.dumps(news.cursor))

        found.append(inbox)
    return found


def keep_up(instance: dagster.DagsterInstance, fleet: Fleet) -> Sequence[str]:
    """Add companies that are new in the file to the partitions; return all partitions in their order."""
    there = instance.get_dynamic_partitions(str(COMPANIES.name))
    new = [company.id for company in fleet.companies if company.id not in set(there)]
    if new:
        instance.add_dynamic_partitions(str(COMPANIES.name), new)
        there = instance.get_dynamic_partitions(str(COMPANIES.name))
    return there


def spans(order: Sequence[str], wanted: Sequence[str], most: int, gap: int = GAP) -> list[tuple[str, str]]:
    """Return first and last company of each run: Dagster takes companies that are neighbours in its order.

    Args:
        order: of all companies.
        wanted: those that are to run.
        most: so many are in a run at most.
        gap: so many others may lie between two of them.
    """
    places = {id_: place for place, id_ in enumerate(order)}
    found: list[tuple[int, int]] = []
    for place in sorted(places[id_] for id_ in set(wanted)):
        if found and place - found[-1][1] <= gap + 1 and place - found[-1][0] < most:
            found[-1] = found[-1][0], place
        else:
            found.append((place, place))
    return [(order[first], order[last]) for first, last in found]


def _requests(
    fleet: Fleet,
    order: Sequence[str],
    ids: Sequence[str],
    pipelines: Sequence[str],
    run_key: str,
    *,
    checks: bool = False,
) -> Iterator[RunRequest]:
    for first, last in spans(order, ids, fleet.dagster.batch):
        tags = {ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last}
        if first == last:
            tags[CLIENT] = _client(fleet, first)
        yield RunRequest(
            run_key=f"{run_key} {' '.join(pipelines)} {first} {last}",
            tags=tags,
            asset_selection=[] if checks else [assets.key(name) for name in pipelines],
            asset_check_keys=[AssetCheckKey(assets.key(name), assets.CHECK) for name in pipelines] if checks else [],
        )


def _client(fleet: Fleet, id_: str) -> str:
    """Return what tells the clients of Vic.ai apart: the id, or where it is; without one, the company."""
    given = fleet.company(id_).settings.get("tap-vicai", {}).get("client_id")
    return given if isinstance(given, str) and given else id_


def _schedule(fleet: Fleet, name: str, pipelines: Sequence[str]) -> dagster.ScheduleDefinition:
    path, is_check, known = fleet.path, name == TIE_OUT, fleet.dagster.schedules
    keys: list[AssetKey] = [assets.key(one) for one in pipelines]
    selected = (
        AssetSelection.checks(*(AssetCheckKey(one, assets.CHECK) for one in keys))
        if is_check
        else AssetSelection.assets(*keys).without_checks()
    )

    @dagster.schedule(
        name=re.sub(r"\W", "_", name),
        target=selected,
        cron_schedule=known.get(name, DAILY if is_check else HOURLY),
        execution_timezone=fleet.dagster.timezone,
        default_status=DefaultScheduleStatus.RUNNING if name in known else DefaultScheduleStatus.STOPPED,
        description=f"For all companies: {', '.join(pipelines)}{', compared by ap-tieout' if is_check else ''}.",
    )
    def schedule(context: ScheduleEvaluationContext) -> Iterator[RunRequest]:
        fleet = companies.read(path)
        order = keep_up(context.instance, fleet)
        ids = [company.id for company in fleet.companies if set(company.pipelines) & set(pipelines)]
        yield from _requests(fleet, order, ids, pipelines, "batch", checks=is_check)

    return schedule


def _file_sensor(path: Path) -> dagster.SensorDefinition:
    @dagster.sensor(
        name="companies_yml",
        minimum_interval_seconds=_FILE_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description="Keeps the partitions as companies.yml has them.",
    )
    def companies_yml(context: SensorEvaluationContext) -> dagster.SensorResult | SkipReason:
        listed = [company.id for company in companies.read(path).companies]
        there = context.instance.get_dynamic_partitions(str(COMPANIES.name))
        new = [id_ for id_ in listed if id_ not in set(there)]
        gone = [id_ for id_ in there if id_ not in set(listed)]
        if not new and not gone:
            return SkipReason("The partitions are as the file has them.")
        requests: list[Any] = [COMPANIES.build_add_request(new)] if new else []
        requests += [COMPANIES.build_delete_request(gone)] if gone else []
        return dagster.SensorResult(dynamic_partitions_requests=requests)

    return companies_yml
