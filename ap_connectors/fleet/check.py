"""`ap-fleet check`: connects to everything that a pipeline needs, and says whose credentials they are."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

from ap_connectors.core.companies import same_spelling
from ap_connectors.core.errors import ApError, Outage
from ap_connectors.core.raw_json import text
from ap_connectors.core.redact import Redactor
from ap_connectors.fleet import children
from ap_connectors.fleet.members import Fleet
from ap_connectors.fleet.results import Result, Status
from ap_connectors.fleet.worker import Job, Settings
from ap_connectors.vicai.settings import client

_SECONDS = 300.0


class _Failed(ApError):
    """A plugin has said why it could not run."""


def work(fleet: Fleet, job: Job, until: float) -> Result:
    """Try each plugin of a pipeline with a company's settings; nothing is read or written but what it takes to try."""
    began = time.monotonic()
    said: list[str] = []
    status: Status = "done"
    error, redact = "", Redactor()
    os.chdir(fleet.path.parent)
    try:
        given = Settings(fleet, job.company, job.pipeline)
        redact = given.redact
        for plugin in job.pipeline.plugins:
            said.append(f"{plugin}: {_tried(plugin, given.of[plugin], min(until, time.monotonic() + _SECONDS))}")
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
    )


def _tried(plugin: str, settings: Mapping[str, Any], until: float) -> str:
    """Return what the trial has shown.

    Raises:
        _Failed: it did not work.
    """
    if {"client_id", "client_secret"} <= settings.keys():
        return _captured(plugin, lambda: _whose(settings), until)
    if plugin.startswith("mapper-"):
        # Without input it checks its settings and tables.
        _captured(plugin, lambda: _run(plugin, settings, []), until)
        return "the settings are right"
    lines = _captured(plugin, lambda: _run(plugin, settings, ["--test"]), until).splitlines()
    told = [line.removeprefix(f"{plugin}: ") for line in lines if line.strip()]
    return told[0].rstrip(".") if len(told) == 1 else f"{len(told)} streams can be read"


def _whose(settings: Mapping[str, Any]) -> int:
    """Print whose credentials of Vic.ai these are; check the name, if one is expected."""
    vic = client(
        {**settings, "max_concurrency": 1}, timeout=settings.get("request_timeout") or 60, user_agent="ap-fleet"
    )
    try:
        own = (text(vic.company(), "company") or "").strip()
    except ApError as error:
        print(error)  # noqa: T201
        return children.OUTAGE if isinstance(error, Outage) else 1
    print(f'the credentials of "{own}"' if own else "the credentials of a company without a name")  # noqa: T201
    expected = (settings.get("expected_company") or "").strip()
    if expected and not same_spelling(own, expected):
        print(f'expected_company is "{expected}", but these are the credentials of "{own}".')  # noqa: T201
        return 1
    return 0


def _run(plugin: str, settings: Mapping[str, Any], arguments: list[str]) -> int:
    """Be a plugin's command."""
    config = children.sealed(json.dumps(settings, ensure_ascii=False).encode())
    return children.command(plugin, ["--config", f"/dev/fd/{config}", *arguments])


def _captured(plugin: str, do: Callable[[], int], until: float) -> str:
    """Return what a process prints that does something.

    Raises:
        _Failed: it did not end well. Outage: the service failed.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as log, open(os.devnull, "rb") as null:  # noqa: PTH123
        files = (null.fileno(), out.fileno(), log.fileno())
        pid = children.fork(lambda: children.with_files(files, do))
        status = _waited(pid, until)
        out.seek(0)
        log.seek(0)
        printed, said = out.read().decode(errors="replace"), log.read().decode(errors="replace")
    if status == 0:
        return printed.strip()
    errors = [line.split(" | ")[-1].strip() for line in said.splitlines() if "| ERROR" in line]
    told = " ".join(errors) or printed.strip().split("\n")[-1] or said.strip().split("\n")[-1]
    if status == children.OUTAGE:
        raise Outage(f"{plugin}: {told}")
    raise _Failed(f"{plugin}: {told or 'it did not answer in time' if status >= 0 else 'it did not answer in time'}")


def _waited(pid: int, until: float) -> int:
    """Wait for a process; kill it when its time is over. Return its status."""
    while time.monotonic() < until:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
