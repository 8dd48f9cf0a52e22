"""Which dimensions may be chosen together (live age)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from ap_connectors.sandbox.vicai.call import Call, Handler, Refusal, value_answer
from ap_connectors.sandbox.vicai.lists import token, token_position
from ap_connectors.sandbox.vicai.resources import Record
from ap_connectors.sandbox.vicai.store import Store

_MOST = 20


def list_dependencies(call: Call) -> Response:
    """Answer a page of what depends on a dimension."""
    dimension = call.entry().id
    held = [(pair[1], active) for pair, active in sorted(call.store.dependencies.items()) if pair[0] == dimension]
    start = 0
    if (cursor := call.query.get("cursor")) is not None:
        position = token_position(cursor, 422)
        if not isinstance(position, int):
            raise Refusal(422, "cursor is not one that x-next has given.")
        start = position
    limit = call.query.get("limit", 100)
    answer = value_answer([_shown(call.store, *one) for one in held[start : start + limit]])
    if start + limit < len(held):
        answer.headers["x-next"] = token(start + limit)
    return answer


def set_dependency(call: Call) -> Response:
    """Set one pair."""
    return value_answer(_write(call.store, [(call.entry().id, _found(call.store, call.body), call.body["active"])])[0])


def set_dependencies(call: Call) -> Response:
    """Set up to twenty pairs, all of them or none."""
    given = call.body["dependencies"]
    if len(given) > _MOST:
        raise Refusal(422, f"dependencies: at most {_MOST} at once.")
    store = call.store
    pairs = [(_found(store, one["dimension"]), _found(store, one["dependent"]), one["active"]) for one in given]
    return value_answer(_write(store, pairs))


def delete_dependency(call: Call) -> Response:
    """Forget one pair."""
    dependent = call.store.find("dimensions", call.system, call.ids["dependent_id"])
    pair = (call.entry().id, dependent.id if dependent else "")
    if pair not in call.store.dependencies:
        raise Refusal(404, "There is no such dependency.")
    del call.store.dependencies[pair]
    return call.done()


def _write(store: Store, pairs: list[tuple[str, str, bool]]) -> list[Record]:
    if wrong := next((one for one in pairs if one[0] == one[1]), None):
        raise Refusal(422, f"dimension {wrong[0]} can't depend on itself.")
    for dimension, dependent, active in pairs:
        store.dependencies[dimension, dependent] = active
    return [{"dimensionId": one[0], "dependentId": one[1], "active": one[2]} for one in pairs]


def _found(store: Store, reference: Mapping[str, Any]) -> str:
    if (id_ := reference.get("internalId")) is not None:
        entry = store.find("dimensions", "internal", id_)
    else:
        entry = store.find("dimensions", "external", reference["externalId"])
        if entry is not None and store.record(entry).get("type") != reference["type"]:
            entry = None
    if entry is None:
        raise Refusal(422, f"dimension is unknown: {', '.join(map(str, reference.values()))[:150]}.")
    return entry.id


def _shown(store: Store, dependent: str, active: bool) -> Record:
    entry = store["dimensions"].by_id.get(dependent)
    record = {} if entry is None else store.record(entry)
    told = {name: record[name] for name in ("externalId", "type") if record.get(name) is not None}
    return {"internalId": dependent, **told, "active": active}


HANDLERS: dict[str, Handler] = {
    "listDimensionDependencies": list_dependencies,
    "replaceDimensionDependencies": set_dependency,
    "bulkUpsertDimensionDependencies": set_dependencies,
    "deleteDimensionDependency": delete_dependency,
}
