"""The whole of what Vic holds, before and after: what a load added, changed and removed, and nothing besides."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import requests

from ap_connectors.sandbox.process import SandboxProcess

Record = dict[str, Any]

OF_TODAY = frozenset(
    ("companyId", "companyExternalId", "insertedAt", "billStatus", "amountNet", "amountSum", "poMatchingDocumentLevel",
     "matchingType", "type", "purchaseOrderNumbers")
)  # fmt: skip
BY_VIC = frozenset({"internalId", "internalUpdatedAt", "id", "displayName"}) | OF_TODAY
"""Members that Vic gives, whatever was sent."""


@dataclass
class Part:
    """What became of one resource: records that are new, (before, after) of those that changed, records that went."""

    added: list[Record] = field(default_factory=list)
    changed: list[tuple[Record, Record]] = field(default_factory=list)
    removed: list[Record] = field(default_factory=list)


class Change:
    """The difference between two snapshots, by resource; resources where nothing happened are not in it."""

    def __init__(self, parts: dict[str, Part]) -> None:
        self.parts = parts

    def only(self, **counts: tuple[int, int, int]) -> Change:
        """Check that exactly so many records were added, changed and removed, by resource; all else is as it was."""
        nothing = (0, 0, 0)
        told = {name: (len(p.added), len(p.changed), len(p.removed)) for name, p in self.parts.items()}
        wrong = [name for name in {**told, **counts} if told.get(name, nothing) != counts.get(name, nothing)]
        assert not wrong, "\n".join(
            f"{name}: (added, changed, removed) is {told.get(name, nothing)}, not {counts.get(name, nothing)}: "
            f"{self.parts.get(name)}"
            for name in wrong
        )
        return self

    def added(self, resource: str) -> list[Record]:
        return self.parts[resource].added

    def changed(self, resource: str) -> list[tuple[Record, Record]]:
        return self.parts[resource].changed

    def removed(self, resource: str) -> list[Record]:
        return self.parts[resource].removed


class Snapshot:
    """All records of all resources by their key, as served at one moment."""

    def __init__(self, vicai: SandboxProcess) -> None:
        self.age: str = vicai.control.vicai.options()["age"]
        self.records: dict[str, dict[Any, Record]] = {}
        for resource, records in vicai.control.vicai.all_records().items():
            self.records[resource] = {key(record): record for record in records}
            # Two records of one key are one thing done twice.
            assert len(self.records[resource]) == len(records), resource

    def spelled(self, kind: str) -> str:
        """A kind of matching as the age of the service spells it."""
        return kind.lower() if self.age == "live" else kind.upper()

    def until(self, after: Snapshot) -> Change:
        """What happened between this snapshot and a later one."""
        return Change(dict(self._parts(after)))

    def _parts(self, after: Snapshot) -> Iterator[tuple[str, Part]]:
        for resource, before in self.records.items():
            now = after.records[resource]
            part = Part(
                [now[key] for key in now if key not in before],
                [(before[key], now[key]) for key in now if key in before and now[key] != before[key]],
                [before[key] for key in before if key not in now],
            )
            if part != Part():
                yield resource, part


def key(record: Record) -> Any:
    """What a record is told by: Vic's id, or for training invoices, which show none, what makes them one."""
    for name in ("internalId", "id", "callbackUrl"):
        if name in record:
            return record[name]
    return record["vendorExternalId"], record["refNumber"]


class Store:
    """Looks at the store again and again: `store.change()` is what happened since the last look."""

    def __init__(self, vicai: SandboxProcess) -> None:
        self.vicai = vicai
        self.now = Snapshot(vicai)

    def look(self) -> Snapshot:
        self.now = Snapshot(self.vicai)
        return self.now

    def change(self) -> Change:
        before, after = self.now, self.look()
        return before.until(after)

    def untouched(self) -> None:
        """Check that nothing at all happened since the last look."""
        self.change().only()

    def all(self, resource: str) -> list[Record]:
        """The records of a resource as they were at the last look."""
        return list(self.now.records[resource].values())

    def one(self, resource: str, **members: Any) -> Record:
        """The one record that has these members."""
        (found,) = [record for record in self.all(resource) if members.items() <= record.items()]
        return found


def covers(shown: Any, given: Any) -> bool:
    """Whether Vic shows what was given: all members of it, decimals by value, lists by length and order."""
    if isinstance(given, dict):
        return isinstance(shown, dict) and all(covers(shown.get(name), value) for name, value in given.items())
    if isinstance(given, list):
        return isinstance(shown, list) and len(shown) == len(given) and all(map(covers, shown, given))
    if isinstance(given, (int, Decimal)) and not isinstance(given, bool):
        return shown is not None and not isinstance(shown, (bool, dict, list)) and Decimal(str(shown)) == given
    return type(shown) is type(given) and bool(shown == given)


def made_up(shown: Record, given: Record, by_vic: frozenset[str] = frozenset()) -> Record:
    """Members that hold something that was not given."""
    ours = given.keys() | BY_VIC | by_vic
    return {name: value for name, value in shown.items() if name not in ours and value not in (None, [], {}, "")}


class Documents:
    """Reads documents as another client of Vic would."""

    def __init__(self, vicai: SandboxProcess) -> None:
        self._url = vicai.vicai_url
        grant = {"client_id": vicai.client_id, "client_secret": vicai.client_secret}
        self._session = requests.Session()
        self._session.trust_env = False
        answer = self._session.post(f"{self._url}/token", json=grant, timeout=30).json()
        self._session.headers["Authorization"] = f"Bearer {answer['access_token']}"

    def sha256(self, resource: str, external_id: str) -> str | None:
        """The document's SHA-256; None without a document."""
        answer = self._session.get(f"{self._url}/{resource}/{external_id}/document", timeout=30)
        self._session.close()
        return hashlib.sha256(answer.content).hexdigest() if answer.status_code == 200 else None

    def record(self, resource: str, external_id: str) -> Record:
        """One record by the ERP's id."""
        answer = self._session.get(f"{self._url}/{resource}/{external_id}", timeout=30)
        self._session.close()
        found: Record = answer.json()
        return found
