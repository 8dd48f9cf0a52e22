"""Who is told of a failed run: an address, or a command that the file or the environment names; never data."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dagster
import requests
from dagster import DefaultSensorStatus, RunFailureSensorContext

from ap_connectors.core.errors import Stop
from ap_connectors.core.validate import is_this_machine
from ap_connectors.fleet import companies, values
from ap_connectors.fleet.members import Fleet
from ap_connectors.http.session import describe

VARIABLE = "AP_FLEET_ON_FAILURE"
_TRIES, _PAUSE = 3, 2.0
_SECONDS = 10.0
_COMMAND_SECONDS = 60.0
_LONGEST = 3000


class _Refused(requests.RequestException):
    """The address has answered, and does not take the message."""


def has_hook(fleet: Fleet) -> bool:
    """Return whether somebody is to be told."""
    return bool(os.environ.get(VARIABLE, "").strip()) or fleet.dagster.on_failure is not None


def sensor(path: Path, *, on: bool) -> dagster.SensorDefinition:
    """Return what tells of failed runs, also of those whose process was killed."""

    @dagster.run_failure_sensor(
        name="failures",
        default_status=DefaultSensorStatus.RUNNING if on else DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=5,
        description=f"Tells the address or command of {VARIABLE}, or of on_failure in companies.yml, of failed runs.",
    )
    def failures(context: RunFailureSensorContext) -> None:
        hook = _hook(path)
        if hook is None:
            return
        message = _message(context)
        for left in reversed(range(_TRIES)):
            try:
                _tell(hook, message)
                break
            except (OSError, requests.RequestException, subprocess.SubprocessError) as error:
                if not left:
                    raise Stop(f"on_failure: could not be told: {_why(hook, error)}.") from None
                time.sleep(_PAUSE)

    return failures


def _hook(path: Path) -> str | tuple[str, ...] | None:
    """Return an address, or the words of a command."""
    if given := os.environ.get(VARIABLE, "").strip():
        return _checked(given) if given.startswith(("https://", "http://")) else tuple(shlex.split(given))
    hook = companies.read(path).dagster.on_failure
    if hook is None or isinstance(hook, values.Command):
        return hook.words if hook else None
    return _checked(str(values.fetched(hook, "on_failure", [])))


def _checked(address: str) -> str:
    """Return an address that a message about clients may be sent to.

    Raises:
        Stop: it may not. The message shows nothing of it.
    """
    where = urlsplit(address)
    if where.scheme == "https" or is_this_machine(where.hostname or ""):
        return address
    raise Stop("on_failure: the address must begin with https://, unless it is on this machine.")


def _why(hook: str | tuple[str, ...], error: Exception) -> str:
    """Say what went wrong, without the address, which may have a token, and without arguments."""
    if isinstance(hook, str):
        return str(error) if isinstance(error, _Refused) else describe(error, hook)
    program = hook[0]
    if isinstance(error, subprocess.TimeoutExpired):
        return f"the command {program} did not end within {_COMMAND_SECONDS:.0f} s"
    if isinstance(error, subprocess.CalledProcessError):
        return f"the command {program} ended with status {error.returncode}"
    return f"the command {program} cannot be run: {getattr(error, 'strerror', None) or 'the system refuses it'}"


def _message(context: RunFailureSensorContext) -> Mapping[str, Any]:
    """Return what is told: in words, and as data."""
    failed: Any = []
    words = context.failure_event.message or "The run failed."
    for event in context.get_step_failure_events():
        data = event.step_failure_data
        if data.user_failure_data is not None:
            words = data.user_failure_data.description or words
            if "failed" in data.user_failure_data.metadata:
                failed = data.user_failure_data.metadata["failed"].value
        elif data.error is not None:
            words = data.error.message
    run = context.dagster_run
    return {
        "text": f"ap-fleet: {words.strip()[:_LONGEST]}",
        "run_id": run.run_id,
        "job": run.job_name,
        "failed": failed,
    }


def _tell(hook: str | tuple[str, ...], message: Mapping[str, Any]) -> None:
    content = json.dumps(message, ensure_ascii=False).encode()
    if isinstance(hook, str):
        answer = requests.post(
            hook,
            data=content,
            headers={"Content-Type": "application/json"},
            timeout=_SECONDS,
            allow_redirects=False,
        )
        if not answer.ok:
            raise _Refused(f"it was answered with status {answer.status_code}")
        return
    subprocess.run(  # noqa: S603 - the person who writes companies.yml, or starts Dagster, names it
        hook, input=content, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_COMMAND_SECONDS, check=True
    )
