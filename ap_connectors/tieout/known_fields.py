"""Which fields of master data Vic.ai takes or shows; what else an input has is misspelt, and was not loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ap_connectors.tieout.input_fields import FORMER_KEY, is_of_others
from ap_connectors.tieout.warehouse import spelling
from ap_connectors.vicai import contract

_MASTER_DATA = frozenset({"Account", "Dimension", "Vendor", "VatCode", "VendorGroup", "Tag", "PaymentTerm", "TaxCode"})
"""The contract's names of what Vic.ai shows."""
_OF_THE_TARGET = ("id", "paymentTermName", "vendorGroupName", FORMER_KEY)
"""Fields that target-vicai takes beside the contract's."""


class KnownFields:
    """Finds the fields of records that are not fields of Vic.ai.

    Args:
        component: of the contract ("Vendor"). Of what is not master data every field counts as known.
    """

    def __init__(self, component: str) -> None:
        schemas = [contract.component(component), _written(component)] if component in _MASTER_DATA else []
        # A free-form object is known by its name only, as the ERP alone knows its members.
        self._known = {path for schema in schemas for path in _paths(schema)}
        self._known.update(spelling(name) for name in _OF_THE_TARGET if schemas)

    def unknown(self, record: Mapping[str, Any]) -> Iterator[str]:
        """Yield the fields that have a value and are unknown, members of objects as "taxInfo.orgNumber"."""
        if self._known:
            yield from self._unknown({name: value for name, value in record.items() if not is_of_others(name)}, "")

    def _unknown(self, members: Mapping[str, Any], within: str) -> Iterator[str]:
        for name, value in members.items():
            path = f"{within}{name}"
            if value in (None, "", [], {}):
                continue
            if spelling(path) not in self._known:
                yield path
            elif isinstance(value, dict) and any(one.startswith(f"{spelling(path)}.") for one in self._known):
                yield from self._unknown(value, f"{path}.")


def _written(component: str) -> Mapping[str, Any]:
    """Return the schema of what the operation takes that the contract names for writing it."""
    operations = contract.operations()
    name = next(one for one in (f"upsert{component}", f"create{component}") if one in operations)
    schema: Mapping[str, Any] = contract.inlined(operations[name].body["application/json"])
    return schema


def _paths(schema: Mapping[str, Any], within: str = "") -> Iterator[str]:
    for one in (schema, *schema.get("oneOf", ()), *schema.get("anyOf", ()), *schema.get("allOf", ())):
        for name, member in one.get("properties", {}).items():
            yield f"{within}{spelling(name)}"
            yield from _paths(member, f"{within}{spelling(name)}.")
