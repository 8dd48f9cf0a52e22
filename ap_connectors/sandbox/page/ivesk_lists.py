"""Įvesk's documents, as a list for the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ap_connectors.sandbox import clock
from ap_connectors.sandbox.naming import PARAMETER
from ap_connectors.sandbox.page.listing import Act, Cell, Listing, Row, amount, link, moment, part

if TYPE_CHECKING:
    from ap_connectors.sandbox.tenant import Tenant


def documents(tenant: Tenant, page: int) -> list[Listing]:
    """List Įvesk's documents in the order in which they were digitized."""
    store = tenant.services.ivesk.store
    rows = []
    for place in part(len(store.digitized), page):
        number = store.digitized.numbers[place]
        document, exported = store.document(number), store.exported_at[number]
        id_ = store.id_of(number)
        pdf = link("/_control/ivesk/files", **{PARAMETER: tenant.id, "id": id_})
        name = _text(document, "docnum") or id_
        export = Act("Export", "/ivesk/export", {"ids": [id_]}, about=f"{name}, again" if exported else name)
        cells = (
            Cell(name, href=pdf),
            Cell(_text(document, "doctype")),
            Cell(_text(document, "sellername")),
            Cell(_text(document, "buyername")),
            amount(document.get("total")),
            Cell(_text(document, "currency")),
            moment(document.get("digitizedat")),
            moment(clock.iso(exported)) if exported else Cell("not yet", "dim"),
        )
        rows.append(Row(cells, (export,)))
    heads = ("document", "type", "seller", "buyer", "#total", "currency", "digitized", "exported")
    acts = (
        Act("Three new documents", "/ivesk/documents", {"count": 3, "export": False}),
        Act("Export three", "/ivesk/export", {"new": 3}),
    )
    return [Listing("documents", "Documents at Įvesk", heads, rows, len(store.digitized), page, acts=acts)]


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    return "" if value is None else str(value)
