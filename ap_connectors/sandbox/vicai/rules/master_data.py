"""Vendors, vendor groups, payment terms, tags, dimensions and tax codes, where they are more than records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from ap_connectors.sandbox.vicai import crud
from ap_connectors.sandbox.vicai.call import Call, Handler, Refusal, value_answer
from ap_connectors.sandbox.vicai.lists import token, token_position
from ap_connectors.sandbox.vicai.resources import Record
from ap_connectors.sandbox.vicai.store import Store

# Members of a vendor that a PUT cannot set, and so keeps.
_VENDOR_KEEPS = ("description",)
# What the live service keeps, too, unless it is nulled.
_LIVE_KEEPS = ("paymentTermId", "vendorGroupId", "poMatchingDocumentLevel", "tags")
_VENDOR_NULLS = (
    "email", "phone", "addressStreet", "addressCity", "addressState", "addressPostalCode", "countryCode",
    "confirmedAt", "paymentTermId", "vendorGroupId", "externalData",
)  # fmt: skip
_VENDOR_REFERENCES = {"paymentTermId": "paymentTerms", "vendorGroupId": "vendorGroups"}
_MOST_PAIRS = 20


class _VendorUser(msgspec.Struct):
    vendorInternalId: str | None = None  # noqa: N815 - the contract's name
    vendor: dict[str, object] | None = None


def write_vendor(call: Call) -> Response:
    """Write a vendor as it was sent: what is left out becomes null, or goes where null is not allowed."""
    found, store = crud.known(call), call.store
    body = crud.readable("Vendor", call.body, call.age)
    if not body.get("name"):
        raise Refusal(crud.refused_by(call.operation), "name can't be blank.")
    for name, resource in _VENDOR_REFERENCES.items():
        if (id_ := body.get(name)) is not None and id_ not in store[resource].by_id:
            raise Refusal(422, f"{name} {id_} does not exist.")
    before = {} if found is None else store.record(found)
    keeps = (*_VENDOR_KEEPS, *(_LIVE_KEEPS if call.age == "live" else ()))
    kept = {name: before[name] for name in keeps if name in before}
    if found is not None and "externalId" in before:
        kept["externalId"] = before["externalId"]
    answer = crud.put(call, found, {**dict.fromkeys(_VENDOR_NULLS), **kept, **body})
    written = store.record(crud.known(call) or store["vendors"].sorted("internal")[-1])
    if found is None or _told(before) != _told(written):
        store.events.happened("vendor_updated" if found else "vendor_created", written)
    return answer


def _told(vendor: Record) -> Record:
    return {name: value for name, value in vendor.items() if name != "internalUpdatedAt"}


def delete_vendor(call: Call) -> Response:
    """Delete a vendor that no invoice and no purchase order needs."""
    entry, store = call.entry(), call.store
    for resource, word in (("invoices", "an invoice"), ("purchaseOrders", "a purchase order")):
        if _uses(store, resource, entry.id):
            raise Refusal(409, f"The vendor can't be deleted: {word} uses it.")
    for tag in [t for t in store["vendorTags"].sorted("id") if store.record(t)["vendorId"] == entry.id]:
        store.delete("vendorTags", tag)
    return crud.delete(call)


def _uses(store: Store, resource: str, vendor: str) -> bool:
    decoder = msgspec.json.Decoder(_VendorUser)
    users = (decoder.decode(entry.body) for entry in store[resource].by_id.values())
    return any(vendor in (user.vendorInternalId, (user.vendor or {}).get("internalId")) for user in users)


def set_errors(call: Call) -> Response:
    """Show the errors that the ERP has with a vendor."""
    return _with_errors(call, call.body["errors"])


def clear_errors(call: Call) -> Response:
    """Show no errors any more."""
    return _with_errors(call, [])


def _with_errors(call: Call, errors: list[Record]) -> Response:
    entry = call.entry()
    record = {**call.store.record(entry), "errors": errors}
    return call.done(call.store.save("vendors", record, over=entry).body)


def create_vendor_tag(call: Call) -> Response:
    """Attach a tag to a vendor, once."""
    store = call.store
    wanted = {name: call.body[name] for name in ("vendorId", "tagId")}
    for name, resource in (("vendorId", "vendors"), ("tagId", "tags")):
        if wanted[name] not in store[resource].by_id:
            raise Refusal(422, f"{name} {wanted[name][:100]} does not exist.")
    if any(wanted.items() <= store.record(entry).items() for entry in store["vendorTags"].by_id.values()):
        raise Refusal(422, "The vendor has this tag already.")
    return crud.create(call)


def delete_tag(call: Call) -> Response:
    """Delete a tag, and take it off all vendors."""
    entry, store = call.entry(), call.store
    for tag in [t for t in store["vendorTags"].sorted("id") if store.record(t)["tagId"] == entry.id]:
        store.delete("vendorTags", tag)
    return crud.delete(call)


def _freeing(name: str) -> Handler:
    """Return how something is deleted that vendors refer to by the member `name`."""

    def delete(call: Call) -> Response:
        entry, store = call.entry(), call.store
        for vendor in list(store["vendors"].by_id.values()):
            record = store.record(vendor)
            if record.get(name) == entry.id:
                store.save("vendors", {**record, name: None}, over=vendor)
        return crud.delete(call)

    return delete


def write_dimension(call: Call) -> Response:
    """Write a dimension; a typeExternalId that is left out is cleared."""
    found = crud.known(call)
    before = {} if found is None else call.store.record(found)
    before.pop("typeExternalId", None)
    return crud.put(call, found, _displayed(crud.merged("Dimension", before, call.body, call.age)))


def create_dimension(call: Call) -> Response:
    """Create a dimension."""
    crud.ensure_unique(call, call.body.get("externalId"), None)
    entry = call.store.save("dimensions", _displayed(crud.readable("Dimension", call.body, call.age)))
    return call.done(entry.body, created=True)


def _displayed(record: Record) -> Record:
    words = (record.get("shortName"), record.get("name"))
    return {**record, "displayName": " ".join(word for word in words if word)}


def _named(handler: Callable[[Call], Response]) -> Handler:
    """Refuse a payment term without a name: a body may say null, an answer may not."""

    def named(call: Call) -> Response:
        if call.body["name"] is None:
            raise Refusal(422, "name can't be blank.")
        return handler(call)

    return named


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
    answer = value_answer([_shown_dependency(call.store, *one) for one in held[start : start + limit]])
    if start + limit < len(held):
        answer.headers["x-next"] = token(start + limit)
    return answer


def set_dependency(call: Call) -> Response:
    """Set one pair."""
    return value_answer(
        _set(call.store, [(call.entry().id, _dimension_of(call.store, call.body), call.body["active"])])[0]
    )


def set_dependencies(call: Call) -> Response:
    """Set up to twenty pairs, all of them or none."""
    given = call.body["dependencies"]
    if len(given) > _MOST_PAIRS:
        raise Refusal(422, f"dependencies: at most {_MOST_PAIRS} at once.")
    store = call.store
    pairs = [
        (_dimension_of(store, one["dimension"]), _dimension_of(store, one["dependent"]), one["active"]) for one in given
    ]
    return value_answer(_set(store, pairs))


def delete_dependency(call: Call) -> Response:
    """Forget one pair."""
    dependent = call.store.find("dimensions", call.system, call.ids["dependent_id"])
    pair = (call.entry().id, dependent.id if dependent else "")
    if pair not in call.store.dependencies:
        raise Refusal(404, "There is no such dependency.")
    del call.store.dependencies[pair]
    return call.done()


def _set(store: Store, pairs: list[tuple[str, str, bool]]) -> list[Record]:
    if wrong := next((one for one in pairs if one[0] == one[1]), None):
        raise Refusal(422, f"dimension {wrong[0]} can't depend on itself.")
    for dimension, dependent, active in pairs:
        store.dependencies[dimension, dependent] = active
    return [{"dimensionId": one[0], "dependentId": one[1], "active": one[2]} for one in pairs]


def _dimension_of(store: Store, reference: Mapping[str, Any]) -> str:
    if (id_ := reference.get("internalId")) is not None:
        entry = store.find("dimensions", "internal", id_)
    else:
        entry = store.find("dimensions", "external", reference["externalId"])
        if entry is not None and store.record(entry).get("type") != reference["type"]:
            entry = None
    if entry is None:
        raise Refusal(422, f"dimension is unknown: {', '.join(map(str, reference.values()))[:150]}.")
    return entry.id


def _shown_dependency(store: Store, dependent: str, active: bool) -> Record:
    entry = store["dimensions"].by_id.get(dependent)
    record = {} if entry is None else store.record(entry)
    told = {name: record[name] for name in ("externalId", "type") if record.get(name) is not None}
    return {"internalId": dependent, **told, "active": active}


HANDLERS: dict[str, Handler] = {
    "upsertVendor": write_vendor,
    "deleteVendor": delete_vendor,
    "setVendorRemoteErrors": set_errors,
    "clearVendorRemoteErrors": clear_errors,
    "createVendorTag": create_vendor_tag,
    "deleteTag": delete_tag,
    "deleteVendorGroup": _freeing("vendorGroupId"),
    "deletePaymentTerm": _freeing("paymentTermId"),
    "createPaymentTerm": _named(crud.create),
    "updatePaymentTerm": _named(crud.write),
    "createDimension": create_dimension,
    "upsertDimension": write_dimension,
    "listDimensionDependencies": list_dependencies,
    "replaceDimensionDependencies": set_dependency,
    "bulkUpsertDimensionDependencies": set_dependencies,
    "deleteDimensionDependency": delete_dependency,
}
