"""Payments and credits, as the ERP reports them back: confirmed or failed, one by one or in bulk (live age)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from ap_connectors.sandbox.vicai import times
from ap_connectors.sandbox.vicai.call import Call, Handler, Refusal, value_answer
from ap_connectors.sandbox.vicai.resources import Record
from ap_connectors.sandbox.vicai.store import Store

_CLOSED = {"pending_approval", "rejected", "voided"}
MOST = 100


def _confirmed(one: Record, body: Mapping[str, Any]) -> None:
    one |= {"confirmedAt": body["confirmedAt"]}
    if body.get("remoteId") is not None:
        one["remoteId"] = body["remoteId"]


def _failed(one: Record, body: Mapping[str, Any]) -> None:
    one |= {"confirmedAt": None, "remoteErroredAt": body["remoteErroredAt"], "remoteError": body["remoteError"]}
    if body.get("remoteId") is not None:
        one["remoteId"] = body["remoteId"]


_DO = {"confirm": _confirmed, "fail": _failed}


def _one(call: Call) -> Response:
    _, many, _, verb = call.operation.path.split("/")
    [shown] = _write(call.store, many, verb, [{**call.body, "id": call.id}])
    return value_answer(shown)


def _bulk(call: Call) -> Response:
    _, many, verb = call.operation.path.split("/")
    bodies = call.body[many]
    if len(bodies) > MOST:
        raise Refusal(422, f"{many}: at most {MOST} at once.")
    return value_answer(_write(call.store, many, verb, bodies))


def _write(store: Store, many: str, verb: str, bodies: list[Record]) -> list[Record]:
    """Write all or none."""
    known = {batch.id: store.record(batch) for batch in store["paymentBatches"].by_id.values()}
    places = {one["id"]: (number, one) for number, batch in known.items() for one in batch.get(many) or ()}
    shown, changed = [], dict[str, None]()
    for body in bodies:
        if body["id"] not in places:
            raise Refusal(404, f"{many.capitalize()} {body['id']} does not exist.")
        number, one = places[body["id"]]
        if str(one.get("status")).lower() in _CLOSED:
            raise Refusal(422, f"{body['id']} is {one['status']}: it can't be {verb}ed.")
        name = "confirmedAt" if verb == "confirm" else "remoteErroredAt"
        try:
            times.read_utc(body[name])
        except (ValueError, OverflowError) as error:
            raise Refusal(422, f"{name}: {error}.") from None
        _DO[verb](one, body)
        changed[number] = None
        shown.append(one)
    store.confirmations += [(verb, body["id"]) for body in bodies]
    for number in changed:
        store.save("paymentBatches", known[number], over=store["paymentBatches"].by_id[number])
    return shown


HANDLERS: dict[str, Handler] = {
    **{f"{verb}{one}": _one for verb in ("confirm", "fail") for one in ("Payment", "Credit")},
    **{f"bulk{verb}{many}": _bulk for verb in ("Confirm", "Fail") for many in ("Payments", "Credits")},
}
