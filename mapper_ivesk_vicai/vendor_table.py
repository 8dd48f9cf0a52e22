"""The vendor table: which vendor of the ERP's a seller is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ap_connectors.core.companies import Identity
from ap_connectors.core.errors import Stop
from ap_connectors.core.validate import id_text
from mapper_ivesk_vicai.tables import read_csv, word

SETTING = "vendor_table"
_FINDS = ("code", "vat", "seller_id")
_COLUMNS = ("country", *_FINDS, "external_id")


class _Row(NamedTuple):
    identity: Identity
    seller_id: str | None
    external_id: str


class VendorTable:
    """Rows of sellers, found by country and number, or by ivesk's id of the seller.

    Args:
        rows: each with its place, for messages.
    """

    def __init__(self, rows: Iterator[tuple[str, Mapping[str, str | None]]]) -> None:
        self._rows: dict[str, list[_Row]] = {}
        for where, said in rows:
            row = _row(where, said)
            for name in (*row.identity.numbers, *([f"id {row.seller_id}"] if row.seller_id else [])):
                self._rows.setdefault(name, []).append(row)

    def find(self, identity: Identity, seller_id: str | None) -> list[str]:
        """Return the ERP's ids of a seller; several if rows disagree."""
        by_number = (row for number in identity.numbers for row in self._rows.get(number, ()))
        found = [row.external_id for row in by_number if row.identity.relation(identity) == "same"]
        if seller_id:
            found += [row.external_id for row in self._rows.get(f"id {seller_id}", ())]
        return list(dict.fromkeys(found))


def _row(where: str, said: Mapping[str, str | None]) -> _Row:
    external_id = id_text(said.get("external_id") or "")
    if not external_id:
        raise Stop(f"{where}: external_id is empty.")
    if not any(said.get(name) for name in _FINDS):
        raise Stop(f"{where}: there is neither code nor vat nor seller_id.")
    identity = Identity.of(said.get("country"), said.get("code"), said.get("vat"))
    if not identity.numbers and not said.get("seller_id"):
        number = said.get("code") or said.get("vat")
        raise Stop(
            f"{where}: {number} tells no seller from another. Give its code or VAT number, or ivesk's seller_id."
        )
    if said.get("country") and identity.country is None:
        raise Stop(f"{where}: country {said['country']} is not a code of two letters, such as LT.")
    return _Row(identity, said.get("seller_id"), external_id)


def load_vendor_table(given: Any) -> VendorTable:
    """Return the table.

    Args:
        given: the setting: a list of objects, the JSON of one, or the path of a CSV file; None if it is not set.

    Raises:
        Stop: it cannot be read.
    """
    if isinstance(given, str) and given.lstrip().startswith("["):
        try:
            given = json.loads(given)
        except ValueError:
            raise Stop(f"{SETTING}: this is not JSON. Give a list of objects, or the path of a CSV file.") from None
    if isinstance(given, str):
        return VendorTable(read_csv(SETTING, given, ("external_id",), one_of=_FINDS))
    return VendorTable(_inline(given or []))


def _inline(rows: Any) -> Iterator[tuple[str, Mapping[str, str | None]]]:
    for place, row in enumerate(rows):
        where = f"{SETTING}[{place}]"
        if not isinstance(row, Mapping):
            raise Stop(f"{where} is not an object of {', '.join(_COLUMNS)}.")
        if unknown := sorted(row.keys() - set(_COLUMNS)):
            raise Stop(f"{where}: {unknown[0]} is unknown; known are {', '.join(_COLUMNS)}.")
        yield where, {name: word(where, value) for name, value in row.items()}
