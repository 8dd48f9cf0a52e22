"""Compares the warehouse of each company with its service: `ap-tieout` with the settings of `companies.yml`.

`python -m ap_connectors.fleet.tie_out` prints a result for each comparison, as `ap-fleet run --format json` does.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from ap_connectors.core import cli
from ap_connectors.core.errors import Stop
from ap_connectors.core.redact import Redactor
from ap_connectors.fleet import batch, children, companies
from ap_connectors.fleet.members import Fleet
from ap_connectors.fleet.order import Order
from ap_connectors.fleet.pipelines import Pipeline
from ap_connectors.fleet.results import Result, Status
from ap_connectors.fleet.worker import Job, Settings

COMPARISONS = {"tap-vicai": "vic-warehouse", "tap-ivesk": "ivesk-warehouse"}
"""What `ap-tieout` compares, by the tap of a pipeline into a warehouse."""
_COMMAND = "ap-tieout"
_TIES, _DIFFERS = 0, 1


def is_comparable(pipeline: Pipeline) -> bool:
    """Return whether what a pipeline loads can be compared with where it came from."""
    return pipeline.to_warehouse and pipeline.tap in COMPARISONS


def work(fleet: Fleet, job: Job, until: float) -> Result:
    """Compare what a pipeline of a company has loaded; done means that it ties."""
    del until  # The batch kills what takes too long, and nothing is left half done.
    began, at = time.monotonic(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    status: Status = "failed"
    error, redact = "", Redactor()
    name = f"{job.pipeline.name}-tie-out"
    report = fleet.folder / "reports" / job.company.id / f"{name}.json"
    log = fleet.folder / "logs" / job.company.id / f"{name}.log"
    try:
        os.chdir(fleet.path.parent)
        given = Settings(fleet, job.company, job.pipeline)
        redact = given.redact
        for path in (report, log):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        report.unlink(missing_ok=True)
        target = given.of[job.pipeline.target]
        arguments = ["--warehouse", str(target["database"]), "--company", job.company.id, "--report", str(report)]
        arguments += ["--schema", str(target["schema"])] if target.get("schema") else []
        status, error = _compared(job.pipeline, given.of[job.pipeline.tap], arguments, str(log))
    except Exception as trouble:
        error = children.words(trouble)
    return Result(
        company=job.company.id,
        pipeline=job.pipeline.name,
        status=status,
        seconds=round(time.monotonic() - began, 3),
        error=redact(error, limit=500),
        report=str(report) if report.exists() else None,
        log=str(log),
        began=at,
    )


def _compared(pipeline: Pipeline, settings: dict[str, Any], arguments: Sequence[str], log: str) -> tuple[Status, str]:
    """Run the command in a process of its own; return how it ended, and the last line that it said."""

    def run() -> int:
        config = children.sealed(json.dumps(settings, ensure_ascii=False).encode())
        given = [COMPARISONS[pipeline.tap], "--config", f"/dev/fd/{config}", *arguments, "--brief"]
        return children.command(_COMMAND, given)

    opened = os.open(log, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    try:
        pid = children.fork(lambda: children.with_files((null, opened, opened), run))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.lseek(opened, 0, os.SEEK_SET)
        with os.fdopen(os.dup(opened), "rb") as file:
            lines = file.read().decode(errors="replace").strip().splitlines()
    finally:
        os.close(opened)
        os.close(null)
    if code == _TIES:
        return "done", ""
    said = lines[-1].removeprefix(f"{_COMMAND}: ") if lines else f"ended with status {code}"
    return "failed", said if code == _DIFFERS else f"could not be compared: {said}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 1 if something does not tie, 2 if nothing could begin."""
    parser = cli.parser("ap-fleet-tie-out", "Compare the warehouses of companies with their services.")
    parser.add_argument("--companies", default="companies.yml")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--pipeline", action="append", default=[])
    cli.runs(parser, _run, failed=2)
    return cli.main(parser, arguments)


def _run(given: argparse.Namespace) -> int:
    fleet = companies.read(given.companies)
    wanted = [fleet.pipeline(name) for name in given.pipeline] or list(fleet.pipelines.values())
    names = [pipeline.name for pipeline in wanted if is_comparable(pipeline)]
    if not names:
        raise Stop("There is nothing to compare: none of the pipelines loads a warehouse from Vic.ai or Įvesk.")

    def tell(result: Result) -> None:
        print(msgspec.json.encode(result).decode(), flush=True)  # noqa: T201

    results = batch.run(replace(fleet, retries=0), Order(given.only, names), tell, work)
    return 0 if all(one.is_done for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())
