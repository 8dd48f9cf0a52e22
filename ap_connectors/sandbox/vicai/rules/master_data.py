"""Vendors, vendor groups, payment terms, tags, dimensions and tax codes, where they are more than records."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from starlette.responses import Response

from ap_connectors.sandbox.vicai import crud
from ap_connectors.sandbox.vicai.call import Call, Handler, Refusal
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
}
