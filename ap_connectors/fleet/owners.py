"""Whose credentials of Vic.ai a company has, where the file does not say whose they must be (`expected_company`).

What is loaded into Vic.ai would else go into whatever company the credentials are of that day. A warehouse knows it by
itself: the STATE in it has the tenant.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ap_connectors.core.errors import ApError, Stop
from ap_connectors.fleet import dangers, plugins, trial, values
from ap_connectors.fleet.members import Company, Fleet
from ap_connectors.fleet.state import FolderStore, PostgresStore, Store

_NAME = ".vicai"
"""Beside the states; no pipeline is called so."""
_EXPECTED, _FOUND = 'expected_company is "{0}"', 'what earlier runs loaded went to "{0}"'
_CHANGE, _WRITE = "change expected_company.", "write its name into the file, as expected_company."
_SWAPPED = "Set the right credentials; if these are the right ones, write expected_company into the file."
_SECONDS = 120.0


def require_own_name(fleet: Fleet, company: Company, plugin: str, given: Mapping[str, Any], until: float) -> None:
    """Ask whose the credentials are before a company's first load, and compare with the names in the file.

    Args:
        fleet: of the company.
        company: whose.
        plugin: that has the credentials.
        given: its settings.
        until: when the time is over, by `time.monotonic`.

    Raises:
        Stop: another company of the file is called so. Outage: the service failed.
    """
    others = [one for one in fleet.companies if one is not company and (one.name != one.id or one.expected_company)]
    if not others or not {"client_id", "client_secret"} <= given.keys() or given.get("expected_company"):
        return
    # What is wrong with the credentials is told by the plugin.
    with contextlib.suppress(trial.Failed):
        limit = min(until, time.monotonic() + _SECONDS)
        _, own = trial.tried(trial.Trial(plugin, limit, lambda _: None), given)
        for danger in dangers.of_others(fleet, [company], {company.id: [own]}):
            raise Stop(f"{danger.message} Nothing was loaded. {_SWAPPED}")


class Owner:
    """Whose company at Vic.ai the target of a pipeline loads into; the pipeline's store is locked.

    Args:
        fleet: of the company.
        company: whose.
        target: the plugin.
        given: its settings; without `expected_company` they get what earlier runs have found.

    Raises:
        Stop, Outage: it cannot be read.
    """

    def __init__(self, fleet: Fleet, company: Company, target: str, given: dict[str, Any]) -> None:
        self._store: Store | None = None
        self._known, self._is_ours = "", False
        if not plugins.has(target, "expected_company"):
            return
        self._store = remembered(fleet, company)
        with contextlib.suppress(ValueError, AttributeError):
            self._known = str(json.loads(self._store.read() or b"{}").get("company") or "")
        self._is_ours = bool(self._known) and not given.get("expected_company")
        if self._is_ours:
            given["expected_company"] = self._known

    def learn(self, report: Path) -> None:
        """Remember whose company it was, as the target's report says."""
        with contextlib.suppress(OSError, ValueError, ApError):
            found = json.loads(report.read_bytes()).get("company")
            if self._store and found and found != self._known:
                self._store.write(json.dumps({"company": found}, ensure_ascii=False).encode())

    def words(self, error: str) -> str:
        """Return an error as it is where the file does not say what is expected."""
        if not self._is_ours:
            return error
        return error.replace(_EXPECTED.format(self._known), _FOUND.format(self._known)).replace(_CHANGE, _WRITE)


def remembered(fleet: Fleet, company: Company) -> Store:
    """Return where it is remembered."""
    if fleet.state is None:
        return FolderStore(fleet.folder / "state", company.id, _NAME)
    return PostgresStore(str(values.fetched(fleet.state, "state", [])), company.id, _NAME)
