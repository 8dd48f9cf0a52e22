"""A plugin, tried with the settings of a company: does it run, and whose credentials are these?"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ap_connectors.core.companies import same_spelling
from ap_connectors.core.errors import ApError, Outage
from ap_connectors.core.raw_json import text
from ap_connectors.fleet import children
from ap_connectors.vicai.settings import client


class Failed(ApError):
    """A plugin has said why it could not run."""


@dataclass(frozen=True)
class Trial:
    """What is tried.

    Args:
        plugin: its command.
        until: when its time is over, by `time.monotonic`.
        tell: is told of warnings as they come, such as for what it waits.
    """

    plugin: str
    until: float
    tell: Callable[[str], None]


def tried(trial: Trial, settings: Mapping[str, Any]) -> tuple[str, str]:
    """Return what the trial has shown, and whose the credentials are if the service says so.

    Raises:
        Failed: it did not work.
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


def _captured(trial: Trial, do: Callable[[], int]) -> str:
    """Return what a process prints that does something.

    Raises:
        Failed: it did not end well. Outage: the service failed.
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
    raise Failed(
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
