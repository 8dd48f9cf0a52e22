"""One try of one pipeline of one company: its secrets, its STATE, its plugins.

It runs in a process of its own, so that whatever happens here happens to this company alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ap_connectors.core import files, postgresql
from ap_connectors.core.errors import Outage, Stop
from ap_connectors.core.redact import Redactor
from ap_connectors.fleet import children, lineage, plugins, rejects, since, values
from ap_connectors.fleet.flow import GRACE, Flow, Start
from ap_connectors.fleet.members import Company, Fleet
from ap_connectors.fleet.owners import Owner, require_own_name
from ap_connectors.fleet.pipelines import Pipeline
from ap_connectors.fleet.results import Result, Status
from ap_connectors.fleet.state import Busy, DuckDBStore, FolderStore, PostgresStore, Store, WarehouseStore
from ap_connectors.ivesk import client as ivesk
from ap_connectors.vicai import client as vicai

__all__ = ["GRACE", "Job", "Settings", "store", "work"]

_STATE_EVERY = 1.0
"""Seconds between two writes of a STATE that a target puts out; what came after the last one is sent again."""
_ENDS: Mapping[str, str] = {
    "late": "it took longer than {0} s (time_limit) and was ended; the next run goes on from the last STATE.",
    "ended": "the batch was ended; the next run goes on from the last STATE.",
}


_OTHER_STATE = (
    "Look at the credentials first: if they are wrong, set the right ones, and the next run goes on; {same} in the "
    "state. Only if neither is so did earlier runs have wrong ones, and bring the other company's records: write "
    "{setting} into the file, then `ap-fleet remove {company} --rows --files --yes` takes them out (the subscription "
    "to webhooks, too), and the next run begins anew."
)
_OTHER_STATES = {
    vicai.RIGHT_STATE: {
        "same": "if the company was merely renamed, change its name",
        "setting": "expected_company",
    },
    ivesk.RIGHT_STATE: {
        "same": "if it is the same account, and these documents were deleted there, take account out of the bookmark",
        "setting": "company_codes of tap-ivesk",
    },
}
"""What takes the place of what a plugin says: a fleet is handed no state."""
_UNDER_ANOTHER = re.compile(r'(under the name "([^"]+)").*? Nothing was loaded\. Set the name that it has there\.')
_ROWS_OF_ANOTHER = (
    r"\1. Nothing was loaded. Look at the credentials first: if they are wrong, set the right ones, and the next run "
    r"goes on. If they are right, earlier runs of \2 had them: `ap-fleet remove \2 --rows --files --yes` takes those "
    r"rows out (the subscription to webhooks, too), and the next run begins anew."
)
"""The same for what target-warehouse says of rows that are another company's here."""
_TOO_MANY = "(max_rejects)"
"""In the message of a plugin that has set aside more than allowed."""


@dataclass(frozen=True)
class Job:
    """A pipeline of a company, to be run.

    Args:
        company: whose.
        pipeline: which.
        run_id: of the try.
        again: a stream that is read anew, and from when.
    """

    company: Company
    pipeline: Pipeline
    run_id: str
    again: tuple[str, str] | None = None


class Settings:
    """A company's settings in a pipeline, with its secrets; made in the process that needs them.

    Args:
        fleet: of the company.
        company: whose.
        pipeline: which.

    Raises:
        Stop: a secret cannot be had.
    """

    def __init__(self, fleet: Fleet, company: Company, pipeline: Pipeline) -> None:
        secrets: list[str] = []
        self.of: dict[str, dict[str, Any]] = {}
        """By plugin."""
        for plugin in dict.fromkeys(pipeline.plugins):
            known = plugins.schema(plugin).get("properties", {})
            self.of[plugin] = {}
            for name, value in fleet.settings_of(company, pipeline, plugin).items():
                found = self.of[plugin][name] = values.fetched(value, f"{plugin}: {name}", secrets)
                if known.get(name, {}).get("secret") and isinstance(found, str):
                    secrets += postgresql.passwords(found) if name == "database" else [found]
        self.redact = Redactor(filter(None, secrets))
        """Masks them in texts."""


def store(fleet: Fleet, company: Company, pipeline: Pipeline, given: Mapping[str, Any]) -> Store:
    """Return where the STATE is.

    Args:
        fleet: of the company.
        company: whose.
        pipeline: which.
        given: settings of the target, secrets included.

    Raises:
        Stop: the database of states cannot be named.
    """
    if not pipeline.to_warehouse:
        if fleet.state is not None:
            return PostgresStore(str(values.fetched(fleet.state, "state", [])), company.id, pipeline.name)
        return FolderStore(fleet.folder / "state", company.id, pipeline.name)
    database = str(given["database"])
    is_postgresql = postgresql.is_postgresql(database)
    schema = str(given.get("schema") or ("public" if is_postgresql else "main"))
    where = schema, str(given.get("state_id") or schema)
    if is_postgresql:
        return WarehouseStore(database, company.id, pipeline.name, *where)
    return DuckDBStore((fleet.folder / "state", company.id, pipeline.name), files.place(database), *where)


def log_of(fleet: Fleet, job: Job) -> Path:
    """Return the path of a job's log."""
    return fleet.folder / "logs" / job.company.id / f"{job.pipeline.name}.log"


def work(fleet: Fleet, job: Job, until: float) -> Result:
    """Run a job once; whatever fails is in the result.

    Args:
        fleet: of the job's company.
        job: what to run.
        until: when its time is over, by `time.monotonic`.
    """
    began, at = time.monotonic(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    run = _Run(fleet, job, until)
    lineage.began(fleet, job.run_id, job.company.id, job.pipeline)
    status: Status = "failed"
    try:
        status, error = run.run()
    except Busy as trouble:
        status, error = "busy", str(trouble)
    except Outage as trouble:
        status, error = "outage", str(trouble)
    except Exception as trouble:
        error = children.words(trouble)
    facts = run.facts()
    if _TOO_MANY in error and facts.get("rejects"):
        # The plugin that fails first speaks of its own file, and of its own command.
        name, has_mapper = job.pipeline.name, job.pipeline.mapper is not None
        error = rejects.advice(job.company.id, name, has_mapper=has_mapper, paths=facts["rejects"])
    result = Result(
        company=job.company.id,
        pipeline=job.pipeline.name,
        status=status,
        seconds=round(time.monotonic() - began, 3),
        error=run.redact(_for_a_fleet(error, job), limit=1000),
        began=at,
        run_id=job.run_id,
        **facts,
    )
    lineage.ended(fleet, result, job.pipeline)
    return result


def _for_a_fleet(error: str, job: Job) -> str:
    for said, words in _OTHER_STATES.items():
        error = error.replace(said, _OTHER_STATE.format(company=job.company.id, **words))
    return _UNDER_ANOTHER.sub(_ROWS_OF_ANOTHER, error)


class _Run:
    def __init__(self, fleet: Fleet, job: Job, until: float) -> None:
        self._fleet, self._job, self._until = fleet, job, until
        self._log = log_of(fleet, job)
        self._report = fleet.folder / "reports" / job.company.id / f"{job.pipeline.name}.json"
        self._rejects: dict[str, tuple[str, set[Path]]] = {}
        """By plugin: where its reject files are, and those that were there before."""
        self._store: Store | None = None
        self._flow: Flow | None = None
        self._owner: Owner | None = None
        self._signals: list[int] = []
        self._state: bytes | None = None
        self._kept_at = 0.0
        self.redact = Redactor()

    def run(self) -> tuple[Status, str]:
        """Run it; return how it ended, and why."""
        signal.signal(signal.SIGTERM, self._on_signal)
        os.chdir(self._fleet.path.parent)
        pipeline = self._job.pipeline
        given = Settings(self._fleet, self._job.company, pipeline)
        self.redact = given.redact
        self._store = store(self._fleet, self._job.company, pipeline, given.of[pipeline.target])
        self._store.lock()
        try:
            state = _checked(self._store.read())
        except Stop:
            if self._signals:
                return "ended", _ENDS["ended"]
            raise
        if self._job.again:
            state = since.set_back(state, *self._job.again)
        if not pipeline.to_warehouse:
            self._owner = Owner(self._fleet, self._job.company, pipeline.target, given.of[pipeline.target])
        if state is None or not pipeline.to_warehouse:
            for plugin in pipeline.plugins:
                require_own_name(self._fleet, self._job.company, plugin, given.of[plugin], self._until)
        self._make_room(given)
        self._flow = Flow(self._log, self.redact.mask, self._take_state, self._until)
        if self._signals:
            return "ended", _ENDS["ended"]
        self._flow.start(self._starts(given, state))
        if self._signals:
            self._flow.stop("ended")
        self._flow.follow()
        if self._owner:
            self._owner.learn(self._report)
        if self._state is not None:
            self._store.write(self._state)
        status, error = self._flow.ending()
        if self._owner:
            error = self._owner.words(error)
        if self._flow.stopped and status != "done":
            return self._flow.stopped, _ENDS[self._flow.stopped].format(self._fleet.time_limit)
        return status, error

    def facts(self) -> dict[str, Any]:
        """Return what the result says beside how it ended."""
        kinds = ((WarehouseStore, "warehouse"), (DuckDBStore, "warehouse"), (PostgresStore, "postgresql"))
        found: dict[str, Any] = {
            "state": next((name for kind, name in kinds if isinstance(self._store, kind)), "folder")
        }
        if self._flow is None:
            return found
        found["log"] = str(self._log)
        with contextlib.suppress(ValueError, KeyError, OSError):
            total = json.loads(self._report.read_bytes())["total"]
            written = sum(total[name] for name in ("created", "updated", "deleted"))
            found |= {"read": total["received"], "written": written, "set_aside": total["rejected"]}
            found["report"] = str(self._report)
        new = {plugin: sorted(_there(where) - before) for plugin, (where, before) in self._rejects.items()}
        found["rejects"] = tuple(str(path) for paths in new.values() for path in paths)
        if self._job.pipeline.mapper in new:
            mapped = sum(map(_rejects_in, new[self._job.pipeline.mapper or ""]))
            found["set_aside"] = found.get("set_aside", 0) + mapped
        return found

    def _make_room(self, given: Settings) -> None:
        """Move the last run's files out of the way, and remember which reject files there are."""
        try:
            for path in (self._log, self._report):
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._report.unlink(missing_ok=True)
            if self._log.exists():
                self._log.replace(self._log.with_suffix(".1.log"))
        except OSError as error:
            raise Stop(f"{error.filename}: logs and reports cannot be written there: {error.strerror}.") from None
        target = self._job.pipeline.target
        if plugins.has(target, "report_path"):
            given.of[target]["report_path"] = str(self._report)
        for plugin, settings in given.of.items():
            if where := settings.get("rejects_path"):
                self._rejects[plugin] = str(where), _there(str(where))

    def _starts(self, given: Settings, state: bytes | None) -> list[Start]:
        pipeline = self._job.pipeline
        starts = [
            Start(plugin, {"--config": json.dumps(given.of[plugin], ensure_ascii=False).encode()})
            for plugin in pipeline.plugins
        ]
        catalog = plugins.catalog(pipeline.tap, pipeline.select, given.of[pipeline.tap])
        for option, content in (("--catalog", catalog), ("--state", state)):
            if content is not None:
                starts[0].files[option] = content
        return starts

    def _take_state(self, state: bytes) -> None:
        """Keep a STATE; often enough."""
        self._state = state
        if self._store and time.monotonic() - self._kept_at >= _STATE_EVERY:
            self._store.write(state)
            self._state, self._kept_at = None, time.monotonic()

    def _on_signal(self, number: int, _: object) -> None:
        self._signals.append(number)
        if self._store:
            self._store.end()
        if self._flow:
            self._flow.stop("ended")


def _checked(state: bytes | None) -> bytes | None:
    """Return a state that a tap can read.

    Raises:
        Stop: it is damaged.
    """
    try:
        whole = {} if state is None else json.loads(state)
    except ValueError:
        whole = None
    if not isinstance(whole, dict):
        raise Stop("its STATE is damaged: it is not a JSON object. Restore it, or remove it to read everything anew.")
    return state


def _there(path: str) -> set[Path]:
    """Return the reject files that a setting may mean."""
    whole = Path(files.place(path))
    return set(whole.parent.glob(whole.name.replace("{timestamp}", "*"))) if whole.parent.is_dir() else set()


def _rejects_in(path: Path) -> int:
    with path.open("rb") as file:
        return sum(b'"rejected"' in line for line in file)
