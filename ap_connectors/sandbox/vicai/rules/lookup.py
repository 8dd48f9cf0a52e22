"""References in bodies: a vendor, an account or a dimension by any of the ways in which the contract names it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ap_connectors.sandbox.vicai.call import Refusal
from ap_connectors.sandbox.vicai.resources import Entry, Record
from ap_connectors.sandbox.vicai.store import Store


def vendor(store: Store, reference: Mapping[str, Any]) -> Record:
    """Find the vendor that a VendorLookup means.

    Raises:
        Refusal: 422, it is unknown.
    """
    found = _by_id(store, "vendors", reference)
    if found is None and not {"internalId", "externalId"} & reference.keys():
        found = _first(store, "vendors", lambda record: _is_meant(record, reference))
    if found is None:
        told = ", ".join(f"{name} {value}" for name, value in reference.items())
        raise Refusal(422, f"vendor is unknown: {told[:150]}.")
    return store.record(found)


def account(store: Store, reference: Mapping[str, Any] | None) -> Record | None:
    """Find the account that a CostAccountInfo means; None if the reference is empty.

    Raises:
        Refusal: 422, it is unknown.
    """
    given = {name: value for name, value in (reference or {}).items() if value is not None}
    if not given:
        return None
    found = _by_id(store, "accounts", given)
    if found is None and "number" in given:
        found = _first(store, "accounts", lambda record: record.get("number") == given["number"])
    if found is None:
        raise Refusal(422, f"costAccount is unknown: {', '.join(map(str, given.values()))[:150]}.")
    return store.record(found)


def dimensions(store: Store, references: Iterable[Mapping[str, Any]] | None) -> list[Record]:
    """Find the dimensions that a list of DimensionRef means.

    Raises:
        Refusal: 422, one of them does not exist.
    """
    return [_dimension(store, reference) for reference in references or ()]


def _dimension(store: Store, reference: Mapping[str, Any]) -> Record:
    given = {name: value for name, value in reference.items() if value is not None}
    found = _by_id(store, "dimensions", given)
    if found is None and "name" in given:
        found = _first(store, "dimensions", lambda record: given.items() <= record.items())
    if found is None:
        raise Refusal(422, f"dimension is unknown: {', '.join(map(str, given.values()))[:150]}.")
    return store.record(found)


def _by_id(store: Store, resource: str, reference: Mapping[str, Any]) -> Entry | None:
    for system, name in (("internal", "internalId"), ("external", "externalId")):
        if (id_ := reference.get(name)) is not None:
            return store.find(resource, system, id_)
    return None


def _first(store: Store, resource: str, means: Callable[[Record], bool]) -> Entry | None:
    return next((entry for entry in store[resource].sorted("id") if means(store.record(entry))), None)


def _is_meant(record: Record, reference: Mapping[str, Any]) -> bool:
    tax, pay = record.get("taxInfo") or {}, record.get("defaultPaymentInfo") or {}
    held = {
        "name": {record.get("name")},
        "orgNumber": {tax.get("orgNumber")},
        "countryCode": {record.get("countryCode"), None},
        "bankAccount": {
            *(pay.get(name) for name in ("bankAccountNum", "bban", "bankGiro", "plusGiro")),
            (pay.get("internationalBankAccount") or {}).get("iban"),
        },
    }
    return all(value in held[name] for name, value in reference.items() if name in held and value is not None)
