"""Which dimensions may be chosen together (Vic.ai API 10.40.4, Dimensions)."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import JsonObject, text, truth
from ap_connectors.singer.diff import Change
from ap_connectors.singer.sink import UNCHANGED, Outcome
from ap_connectors.vicai import contract
from target_vicai.approval import PLANNED
from target_vicai.bulk import BulkCalls
from target_vicai.context import LoadContext
from target_vicai.item import Item, missing_key
from target_vicai.sink import TEXT, VicSink

MOST = 20
"""Pairs of one call: all are set, or none."""


class _Pair(NamedTuple):
    dimension: str
    dependent: str
    active: bool


class DimensionDependencies(VicSink):
    """Pairs of dimensions that may be chosen together, many in one call (Dimensions, dependencies)."""

    name, operation = "dimension_dependencies", "bulkUpsertDimensionDependencies"
    key_field = "dimensionInternalId"
    extras: ClassVar[dict[str, Any]] = {
        f"{side}{name}": TEXT for side in ("dimension", "dependent") for name in ("InternalId", "ExternalId", "Type")
    }

    def __init__(self, context: LoadContext) -> None:
        super().__init__(context)
        self._calls = BulkCalls[_Pair](MOST, self._send)
        self._held: dict[str, dict[str, bool]] = {}
        self._lock = threading.Lock()

    def contract_schema(self) -> contract.Schema:
        """Return what is said of a pair beside its dimensions."""
        body = contract.inlined(contract.operation(self.operation).body["application/json"])
        active = body["properties"]["dependencies"]["items"]["properties"]["active"]
        return {"type": "object", "properties": {"active": active}}

    @property
    def list_keys(self) -> Sequence[str]:
        """No field tells rows apart: one dimension may depend on several."""
        return ()

    def key(self, body: JsonObject, extras: JsonObject) -> str:  # noqa: ARG002
        """Return both ids, Vic's or the ERP's."""
        return " -> ".join(_id(extras, side) for side in ("dimension", "dependent"))

    def load(self, item: Item) -> Outcome:
        """Set a pair that is not set like that."""
        pair = self._pair(item)
        active = self._of(pair.dimension).get(pair.dependent)
        if active is pair.active and self.writes_only_changes(item):
            return UNCHANGED
        self.context.approval.call(self.operation, [pair.dimension, pair.dependent, pair.active, active])
        self._calls.announce(pair)()
        with self._lock:
            self._held.setdefault(pair.dimension, {})[pair.dependent] = pair.active
        if active is None:
            return Outcome("created")
        return Outcome("updated", (Change("active", active, pair.active),))

    def delete(self, item: Item) -> Outcome:
        """Delete a pair."""
        pair = self._pair(item)
        if pair.dependent not in self._of(pair.dimension):
            return UNCHANGED
        arguments = {"id": pair.dimension, "dependent_id": pair.dependent, "useSystem": "INTERNAL"}
        outcome = self.call_delete(
            "deleteDimensionDependency", lambda: self._read(pair.dimension).get(pair.dependent), **arguments
        )
        with self._lock:
            self._held[pair.dimension].pop(pair.dependent, None)
        return outcome

    def _pair(self, item: Item) -> _Pair:
        """Return a pair by Vic's ids.

        Raises:
            Missing: a dimension is not there yet. Reject: the service is too old for this.
        """
        if not self.context.client.is_live:
            raise self.not_offered()
        dimension, dependent = (self._dimension(item.extras, side) for side in ("dimension", "dependent"))
        return _Pair(dimension, dependent, item.body.get("active") is not False)

    def _dimension(self, extras: Mapping[str, Any], side: str) -> str:
        if (id_ := extras.get(f"{side}InternalId")) is not None:
            return str(id_)
        found = self.find_parent("dimensions", extras[f"{side}ExternalId"]).record
        kind = extras.get(f"{side}Type")
        if kind is not None and found.get("type") not in {None, kind}:
            key = f"{extras[f'{side}ExternalId']} of type {kind}"
            raise Reject(
                f"Vic.ai has no dimension {key}; the one of this externalId is of type {found['type']}. Correct the "
                "type, or leave it out.",
                "unknown_reference",
                references=[{"kind": "dimension", "key": key}],
            )
        return str(found["internalId"])

    def _of(self, dimension: str) -> dict[str, bool]:
        """Return what depends on a dimension; asked for once."""
        with self._lock:
            known = self._held.get(dimension)
        if known is None:
            found = self._read(dimension)
            with self._lock:
                known = self._held.setdefault(dimension, found)
        return known

    def _read(self, dimension: str) -> dict[str, bool]:
        if dimension.startswith(PLANNED):
            return {}  # a plan creates it, so nothing depends on it yet
        found = self.context.client.whole_list("listDimensionDependencies", id=dimension, useSystem="INTERNAL")
        return {text(one, "internalId") or "": truth(one, "active") for one in found}

    def _send(self, pairs: Sequence[_Pair]) -> None:
        def find_done() -> JsonObject | None:
            shown = {dimension: self._read(dimension) for dimension in {pair.dimension for pair in pairs}}
            return {} if all(shown[one.dimension].get(one.dependent) is one.active for one in pairs) else None

        given = [
            {
                "dimension": {"internalId": one.dimension},
                "dependent": {"internalId": one.dependent},
                "active": one.active,
            }
            for one in pairs
        ]
        self.context.bulk_writer.send(self.operation, {"dependencies": given}, find_done=find_done)


def _id(extras: Mapping[str, Any], side: str) -> str:
    """Return the id of one side of a pair.

    Raises:
        Reject: it has none.
    """
    found = extras.get(f"{side}InternalId") or extras.get(f"{side}ExternalId")
    if not found:
        raise missing_key(f"{side}InternalId", f"{side}ExternalId")
    return str(found)
