"""A run of Dagster: a batch of companies, each result told as it comes, and what failed told at the end."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dagster import (
    AssetCheckEvaluation,
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    DagsterEventType,
    Failure,
    MetadataValue,
    RetryRequested,
)

from ap_connectors.core.errors import Outage, Stop
from ap_connectors.fleet import apart, companies
from ap_connectors.fleet.dagster import lost
from ap_connectors.fleet.members import Fleet
from ap_connectors.fleet.results import Result, counts

RETRIES, PAUSES = 2, 10
"""Of a run some of whose companies met an outage, after the retries of the batch itself; each waits so many times
`retry_pause`."""
_PAUSE = 300.0
"""Seconds where the file, which would say it, cannot be read now."""
_NO_OUTPUTS = "did not yield or return expected outputs"
_BUSY_PAUSE = 5.0
"""Seconds before companies are tried again that another run had under way."""

_TO_RETRY = {"outage", "late", "busy"}
_settled: dict[str, list[Result]] = {}
"""By run: what an earlier try has found of companies that are not worth another."""

Event = AssetMaterialization | AssetCheckEvaluation


def batch(context: AssetExecutionContext, path: Path) -> Iterator[Event]:
    """Run what the run selects, for the companies of its partitions.

    Raises:
        Failure: some companies failed; the others are done, and told.
        RetryRequested: some met an outage, or the batch did; a company that failed otherwise is not tried again.
    """
    # Companies are told one by one, as outputs cannot be; of that Dagster tells as if something were missing.
    context.log.addFilter(lambda record: _NO_OUTPUTS not in record.getMessage())
    pause = _PAUSE
    try:
        fleet = companies.read(path)
        pause = PAUSES * fleet.retry_pause
        lost.hold(fleet, context.run.run_id, context.log)
        names = [one.path[-1] for one in context.selected_asset_keys]
        compared = [one.asset_key.path[-1] for one in context.selected_asset_check_keys]
        wanted = [name for name in fleet.pipelines if name in {*names, *compared}]
        ids = _companies(context, fleet, wanted)
        failed = _settled.pop(context.run.run_id, [])
        if names:
            settled = {one.company for one in failed}
            left = [id_ for id_ in _left(context, fleet, ids, names) if id_ not in settled]
            failed += yield from _run(context, fleet, left, names)
        if compared and not _to_retry(context, failed):
            failed += yield from _compare(context, fleet, ids, compared)
    except Stop as error:
        failure = Failure(str(error), allow_retries=False)
        if not isinstance(error, Outage) or context.retry_number >= RETRIES:
            raise failure from None
        context.log.warning(str(error))
        raise RetryRequested(RETRIES, pause) from failure
    if not failed:
        return
    failure = Failure(_words(fleet, failed, len(ids)), _facts_of_failed(failed), allow_retries=False)
    if _to_retry(context, failed):
        context.log.warning(failure.description or "")
        again = {one.company for one in failed if one.status in _TO_RETRY}
        _settled[context.run.run_id] = [one for one in failed if one.company not in again]
        raise RetryRequested(RETRIES, pause) from failure
    raise failure


def _to_retry(context: AssetExecutionContext, failed: Sequence[Result]) -> bool:
    return context.retry_number < RETRIES and any(one.status in _TO_RETRY for one in failed)


def _companies(context: AssetExecutionContext, fleet: Fleet, pipelines: Sequence[str]) -> list[str]:
    """Return the companies of the run's partitions that have such a pipeline."""
    there = {company.id: set(company.pipelines) for company in fleet.companies}
    gone = [id_ for id_ in context.partition_keys if id_ not in there]
    if gone:
        context.log.warning(f"Not in {fleet.path.name} any more, and left out: {', '.join(gone)}")
    return [id_ for id_ in context.partition_keys if there.get(id_, set()) & set(pipelines)]


def _left(context: AssetExecutionContext, fleet: Fleet, ids: Sequence[str], pipelines: Sequence[str]) -> Sequence[str]:
    """Return the companies that an earlier try of this run did not finish."""
    if not context.retry_number:
        return ids
    records = context.instance.get_records_for_run(context.run.run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION)
    done = {
        (event.partition, event.asset_key.path[-1])
        for record in records.records
        if (event := record.event_log_entry.dagster_event) and event.asset_key
    }
    return [
        id_
        for id_ in ids
        if any((id_, name) not in done for name in fleet.company(id_).pipelines if name in set(pipelines))
    ]


def _run(
    context: AssetExecutionContext, fleet: Fleet, ids: Sequence[str], pipelines: Sequence[str]
) -> Generator[Event, None, list[Result]]:
    """Run pipelines; wait for companies that another run has under way, for it may have begun before there was more."""
    failed: list[Result] = []
    until = time.monotonic() + fleet.time_limit
    while ids:
        busy: dict[str, Result] = {}
        try:
            with contextlib.closing(apart.stream(apart.RUN, fleet, ids, pipelines)) as results:
                for result in results:
                    if result.is_done:
                        yield AssetMaterialization(
                            AssetKey([result.pipeline]), partition=result.company, metadata=_facts(result)
                        )
                    elif result.status == "busy" and time.monotonic() < until:
                        busy[result.company] = result
                    else:
                        failed.append(result)
                        context.log.error(_line(fleet, result))
        except Stop:
            # The file may have been changed since it was read here; who has left it holds up no other.
            there = _companies(context, companies.read(fleet.path), pipelines)
            if not set(ids) - set(there):
                raise
            ids = [id_ for id_ in ids if id_ in there]
            continue
        ids = list(busy)
        if busy:
            context.log.info(f"Waiting for another run of {', '.join(busy)}")
            time.sleep(_BUSY_PAUSE)
    return failed


def _compare(
    context: AssetExecutionContext, fleet: Fleet, ids: Sequence[str], pipelines: Sequence[str]
) -> Generator[Event, None, list[Result]]:
    """Compare warehouses with their services; return those that could not be compared."""
    failed: list[Result] = []
    with contextlib.closing(apart.stream(apart.TIE_OUT, fleet, ids, pipelines)) as results:
        for result in results:
            yield AssetCheckEvaluation(
                asset_key=AssetKey([result.pipeline]),
                check_name="ties",
                passed=result.is_done,
                partition=result.company,
                description=result.error or "It ties.",
                metadata=_facts(result) | _sums(result),
            )
            if not result.is_done:
                context.log.error(_line(fleet, result))
            if not result.is_done and result.report is None:
                failed.append(result)
    return failed


# Words


def _line(fleet: Fleet, result: Result) -> str:
    return f"{fleet.company(result.company).called} {result.pipeline}: {result.status}: {result.error}"


def _words(fleet: Fleet, failed: Sequence[Result], companies: int) -> str:
    count = len({one.company for one in failed})
    ends = counts(Counter(one.status for one in failed))
    return "\n".join(
        (f"{count} of {companies} companies not done ({ends}); the others are.", *(_line(fleet, one) for one in failed))
    )


def _facts_of_failed(failed: Sequence[Result]) -> Mapping[str, Any]:
    told = [
        {"company": one.company, "pipeline": one.pipeline, "status": one.status, "error": one.error} for one in failed
    ]
    return {"failed": MetadataValue.json(told)}


def _facts(result: Result) -> dict[str, Any]:
    """Return what is shown of a result; it has no secret, for its process has masked them."""
    numbers = {name: getattr(result, name) for name in ("read", "written", "set_aside", "tries")}
    found: dict[str, Any] = {name: number for name, number in numbers.items() if number is not None}
    found["seconds"] = result.seconds
    for name, path in (("report", result.report), ("log", result.log)):
        if path:
            found[name] = MetadataValue.path(str(Path(path).resolve()))
    if result.rejects:
        found["rejects"] = MetadataValue.md("\n".join(f"- `{Path(path).resolve()}`" for path in result.rejects))
    if result.run_id:
        found["fleet_run"] = result.run_id
    return found


def _sums(result: Result) -> dict[str, Any]:
    """Return counts and sums of both sides by currency, exact."""
    if result.report is None:
        return {}
    with contextlib.suppress(ValueError, KeyError, OSError):
        streams = json.loads(Path(result.report).read_bytes())["streams"]
        rows = ["| stream | currency | source | total | warehouse | total |", "|---|---|--:|--:|--:|--:|"]
        for stream in streams:
            for row in stream["currencies"]:
                ours, theirs = row["source"], row["destination"]
                cells = (ours["documents"], ours["total"], theirs["documents"], theirs["total"])
                texts = " | ".join("" if cell is None else str(cell) for cell in cells)
                rows.append(f"| {stream['stream']} | {row['currency']} | {texts} |")
        return {"sums": MetadataValue.md("\n".join(rows))}
    return {}
