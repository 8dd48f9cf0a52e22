"""`ap-fleet check`: connects to everything that a pipeline needs, and says whose credentials they are."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ap_connectors.core.companies import same_spelling
from ap_connectors.core.errors import ApError, Outage
from ap_connectors.core.exact import counted
from ap_connectors.core.raw_json import text
from ap_connectors.core.redact import Redactor, printable, shortened
from ap_connectors.fleet import children, dangers
from ap_connectors.fleet.members import Fleet
from ap_connectors.fleet.results import WIDE, Result, Status, counts
from ap_connectors.fleet.worker import Job, Settings, store
from ap_connectors.vicai.settings import client

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


class _Failed(ApError):
    """A plugin has said why it could not run."""


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
            trial = _Trial(plugin, min(until, time.monotonic() + _SECONDS), _teller(job, plugin, redact))
            told, owner = _tried(trial, given.of[plugin])
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


@dataclass(frozen=True)
class _Trial:
    plugin: str
    until: float
    tell: Callable[[str], None]
    """Is told of warnings as they come, such as for what it waits."""


def _teller(job: Job, plugin: str, redact: Redactor) -> Callable[[str], None]:
    def tell(words: str) -> None:
        said = printable(redact(f"{job.company.called} {job.pipeline.name}: {plugin}: {words}"))
        print(said, file=sys.stderr, flush=True)  # noqa: T201

    return tell


def _require_own_rows(fleet: Fleet, job: Job, given: Settings, own: str) -> None:
    """Check that the rows that a pipeline has brought into the warehouse are those of the credentials' company.

    Raises:
        _Failed: they are another company's. Outage: the warehouse did not answer.
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
        raise _Failed(
            f'the rows in the warehouse are of "{kept}", but these are the credentials of "{own}"'
            f"{_ROWS_ARE_WRONG.format(job.company.id) if is_sure else _LOOK_SWAPPED}"
        )


def _tried(trial: _Trial, settings: Mapping[str, Any]) -> tuple[str, str]:
    """Return what the trial has shown, and whose the credentials are if the service says so.

    Raises:
        _Failed: it did not work.
    """
    plugin = trial.plugin
    if {"client_id", "client_secret"} <= settings.keys():
        own = _captured(trial, lambda: _whose(settings))
        return f'the credentials of "{own}"' if own else "the credentials of a company without a name", own
    if plugin.startswith("mapper-"):
        # Without input it checks its settings and tables.
        _captured(trial, lambda: _run(plugin, settings, []))
        return "the settings are right", ""
    lines = _captured(trial, lambda: _run(plugin, settings, ["--test"])).splitlines()
    told = [line.removeprefix(f"{plugin}: ") for line in lines if line.strip()]
    return told[0].rstrip(".") if len(told) == 1 else f"{len(told)} streams can be read", ""


def _whose(settings: Mapping[str, Any]) -> int:
    """Print whose credentials of Vic.ai these are; say so if another company is expected."""
    vic = client(
        {**settings, "max_concurrency": 1}, timeout=settings.get("request_timeout") or 60, user_agent="ap-fleet"
    )
    try:
        own = (text(vic.company(), "company") or "").strip()
    except ApError as error:
        print(error)  # noqa: T201
        return children.OUTAGE if isinstance(error, Outage) else 1
    expected = (settings.get("expected_company") or "").strip()
    if not expected or same_spelling(own, expected):
        print(own)  # noqa: T201
    else:
        print(f'expected_company is "{expected}", but these are the credentials of "{own}".')  # noqa: T201
        return 1
    return 0


def _run(plugin: str, settings: Mapping[str, Any], arguments: list[str]) -> int:
    """Be a plugin's command."""
    config = children.sealed(json.dumps(settings, ensure_ascii=False).encode())
    return children.command(plugin, ["--config", f"/dev/fd/{config}", *arguments])


def _captured(trial: _Trial, do: Callable[[], int]) -> str:
    """Return what a process prints that does something.

    Raises:
        _Failed: it did not end well. Outage: the service failed.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as log, open(os.devnull, "rb") as null:  # noqa: PTH123
        files = (null.fileno(), out.fileno(), log.fileno())
        pid = children.fork(lambda: children.with_files(files, do))
        status = _waited(pid, trial.until, _follower(log.fileno(), trial.tell))
        out.seek(0)
        log.seek(0)
        printed, said = out.read().decode(errors="replace"), log.read().decode(errors="replace")
    if status == 0:
        return printed.strip()
    errors = [line.split(" | ")[-1].strip() for line in said.splitlines() if "| ERROR" in line]
    told = " ".join(errors) or printed.strip().split("\n")[-1] or said.strip().split("\n")[-1]
    if status == children.OUTAGE:
        raise Outage(f"{trial.plugin}: {told}")
    raise _Failed(
        f"{trial.plugin}: {told or 'it did not answer in time' if status >= 0 else 'it did not answer in time'}"
    )


def _follower(log: int, tell: Callable[[str], None]) -> Callable[[], None]:
    """Return what tells of the warnings that a log has gained."""
    place = 0

    def look() -> None:
        nonlocal place
        whole, end, _ = os.pread(log, 1 << 16, place).rpartition(b"\n")
        place += len(whole + end)
        for line in whole.decode(errors="replace").splitlines():
            if "| WARNING" in line:
                tell(line.split(" | ")[-1].strip())

    return look


def _waited(pid: int, until: float, look: Callable[[], None]) -> int:
    """Wait for a process, and look what it does meanwhile; kill it when its time is over. Return its status."""
    while time.monotonic() < until:
        found, status = os.waitpid(pid, os.WNOHANG)
        look()
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
