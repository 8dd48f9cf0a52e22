"""Vendors that documents name (`documentVendor`), found at Vic.ai by country and numbers, as target-vicai does it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ap_connectors.core.companies import DOCUMENT_VENDOR, Identity
from ap_connectors.core.exact import counted
from ap_connectors.tieout.input_fields import decoded
from ap_connectors.tieout.warehouse import spelling
from ap_connectors.vicai.client import VicaiClient

if TYPE_CHECKING:
    from ap_connectors.tieout.input_streams import Input, StreamInput

_VENDORS = "vendors"


def identity_of(given: Mapping[str, Any]) -> Identity | None:
    """Return who the vendor of a record is by its mark; None if it has none.

    Args:
        given: the record, its fields by `spelling`.
    """
    mark = given.get(spelling(DOCUMENT_VENDOR))
    if not isinstance(mark, Mapping):
        return None
    said = {spelling(name): value for name, value in mark.items()}
    tax = given.get("taxinfo")
    own = {**given, **({spelling(name): value for name, value in tax.items()} if isinstance(tax, Mapping) else {})}
    names = ("countrycode", "orgnumber", "taxid")
    return Identity.of(*(_text(said.get(name)) or _text(own.get(name)) for name in names))


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


class _VicVendors:
    """Vic's vendors, by number and by the ERP's id."""

    def __init__(self, client: VicaiClient) -> None:
        self._by_number: dict[str, list[tuple[Identity, str | None, bool]]] = {}
        self.keys: set[str] = set()
        for page in client.pages("listVendors", useSystem="INTERNAL"):
            for vendor in page:
                self._add(decoded(vendor))

    def _add(self, vendor: Mapping[str, Any]) -> None:
        tax = vendor.get("taxInfo")
        numbers = tax if isinstance(tax, Mapping) else {}
        facts = (vendor.get("countryCode"), numbers.get("orgNumber"), numbers.get("taxId"))
        identity, key = Identity.of(*map(_text, facts)), _text(vendor.get("externalId"))
        is_erps = not str(vendor.get("externalUpdatedAt") or "").startswith("1970-01-01T00:00:00")
        if key:
            self.keys.add(key)
        for number in identity.numbers:
            self._by_number.setdefault(number, []).append((identity, key, is_erps))

    def key_of(self, identity: Identity, own: str) -> str | None:
        """Return the ERP's id of the vendor that is meant, which may be the record's own; None without one."""
        found = [
            (key or own, is_erps)
            for number in identity.numbers
            for other, key, is_erps in self._by_number.get(number, ())
            if other.relation(identity) == "same"
        ]
        erps = list(dict.fromkeys(key for key, is_erps in found if is_erps))
        keys = erps if len(erps) == 1 else list(dict.fromkeys(key for key, _ in found))
        return keys[0] if len(keys) == 1 else own if own in self.keys else None


def settle(client: VicaiClient, given: Input) -> list[str]:
    """Put Vic's keys of vendors in place of those that documents made up, and leave vendors of documents out.

    What Vic.ai holds of such a vendor is the ERP's, or the newest invoice's: only that it is there is compared.

    Returns:
        Notes for the result.
    """
    marked = [stream for stream in given.streams.values() if stream.marks]
    if not marked:
        return []
    vendors = _VicVendors(client)
    for stream in marked:
        for key, identity in stream.marks.items():
            if stream.spec.stream == _VENDORS:
                if vendors.key_of(identity, key):
                    stream.drop(key)
            else:
                _rename(stream, key, vendors, identity)
    count = sum(len(stream.marks) for stream in marked if stream.spec.stream == _VENDORS)
    return (
        [f"vendors: {counted(count, 'vendor')} of documents: only whether Vic.ai has them was compared."]
        if count
        else []
    )


def _rename(stream: StreamInput, key: str, vendors: _VicVendors, identity: Identity) -> None:
    record = stream.records.get(key)
    field = next((name for name in record if spelling(name) == "vendorexternalid"), None)
    if field is None or not isinstance(record[field], str):
        return
    found = vendors.key_of(identity, record[field])
    if found and found != record[field]:
        stream.put(key, {**record, field: found})
