"""Whose credentials of Vic.ai a company has had, where the file does not say whose they must be (`expected_company`).

What is loaded into Vic.ai would else go into whatever company the credentials are of that day. A warehouse knows it by
itself: the STATE in it has the tenant.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from ap_connectors.core.errors import ApError
from ap_connectors.fleet import plugins, values
from ap_connectors.fleet.members import Company, Fleet
from ap_connectors.fleet.state import FolderStore, PostgresStore, Store

_NAME = ".vicai"
"""Beside the states; no pipeline is called so."""
_EXPECTED, _FOUND = 'expected_company is "{0}"', 'what earlier runs loaded went to "{0}"'
_CHANGE, _WRITE = "change expected_company.", "write its name into the file, as expected_company."


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
