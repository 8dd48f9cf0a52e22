"""The page at `/`: an overview, and a view for each list; it asks for itself again every two seconds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException

from ap_connectors.core import pages
from ap_connectors.core.manners import MANNERS
from ap_connectors.sandbox import naming
from ap_connectors.sandbox.ivesk.control import companies
from ap_connectors.sandbox.page import record_lists, traffic_lists
from ap_connectors.sandbox.page.listing import Act, Cell, Listing, Row, amount, count, link
from ap_connectors.sandbox.vicai.control import sums

if TYPE_CHECKING:
    from ap_connectors.sandbox.tenants import Setup, Tenant, Tenants

_HERE = Path(__file__).parent
# With more documents or invoices than this, to sum them up would take too long for a page.
MOST_SUMMED = 2_000
View = Callable[["Tenant", int], list[Listing]]
VIEWS: dict[str, tuple[str, View]] = {
    "documents": ("Įvesk documents", record_lists.documents),
    "invoices": ("Invoices", record_lists.invoices),
    "vendors": ("Vendors", record_lists.vendors),
    "orders": ("Orders", record_lists.orders),
    "payments": ("Payments", record_lists.payments),
    "received": ("Uploads, reports", traffic_lists.received),
    "webhooks": ("Webhooks", traffic_lists.webhooks),
    "faults": ("Faults", traffic_lists.faults),
    "calls": ("Calls", traffic_lists.calls),
}
# What faults are ordered for: the beginning of a call's path.
_FAULTY = {
    "Įvesk": "/ivesk/api",
    "Vic.ai": "/vicai",
    "Vic.ai's tokens": "/vicai/v0/token",
    "files of both": "/storage",
}


def render(tenants: Tenants, tenant: Tenant, url: str, view: str = "", page: int = 1) -> str:
    """Return a view of a company as HTML.

    Args:
        tenants: All companies.
        tenant: The one that is shown.
        url: The sandbox's own address.
        view: One of `VIEWS`; empty = the overview.
        page: Of the list, from 1.

    Raises:
        HTTPException: 404, there is no such view.
    """
    if view and view not in VIEWS:
        raise HTTPException(404, f"There is no view {view[:40]!r}; there are {', '.join(VIEWS)}.")
    listings = VIEWS[view][1](tenant, page) if view else _overview(tenant)
    return pages.render(
        _HERE,
        "home",
        server=True,
        tenant=tenant,
        name=tenant.services.vicai.store.options.company,
        companies=[*tenants, tenants.unknown] if len(tenants) > 1 else [],
        view=view,
        views={"": "Overview", **{name: title for name, (title, _) in VIEWS.items()}},
        address=lambda **query: link("/", **{naming.PARAMETER: tenant.id, **query}),
        listings=listings,
        acts=[] if view else _acts(tenant),
        connect="" if view else _connect(tenant.setup, url),
        fault_kinds=traffic_lists.fault_kinds() if view == "faults" else (),
        faulty=_FAULTY,
    )


def _acts(tenant: Tenant) -> list[Act]:
    """Return the buttons of the overview: what an accountant does."""
    store = tenant.services.vicai.store
    found = [
        Act("Three new documents", "/ivesk/documents", {"count": 3, "export": False}, about="arrive at Įvesk"),
        Act("Export three", "/ivesk/export", {"new": 3}, about="documents that were not exported yet"),
        Act("Post an invoice", "/vicai/click", {"kind": "invoicePost"}),
        Act("Transfer an invoice", "/vicai/click", {"kind": "invoiceTransfer"}),
        Act("Ask for a sync", "/vicai/click", {"kind": "syncRequest"}),
        Act("A new vendor", "/vicai/click", {"kind": "vendorNew"}),
    ]
    return found + [one for one in (record_lists.voidable(store), record_lists.closable(store)) if one is not None]


def _overview(tenant: Tenant) -> list[Listing]:
    ivesk, vicai = tenant.services.ivesk.store, tenant.services.vicai.store

    def of(view: str) -> str:
        return link("/", **{naming.PARAMETER: tenant.id, "view": view})

    reports = sum(map(len, (ivesk.uploads, ivesk.sync_errors, vicai.confirmations, vicai.synchronized)))
    exported = f"{MANNERS['en'].number(len(ivesk.exported))} exported"
    held = [
        ("Documents at Įvesk", "documents", len(ivesk.digitized), exported),
        ("Invoices at Vic.ai", "invoices", len(vicai["invoices"]), _states(tenant)),
        ("Vendors", "vendors", len(vicai["vendors"]), ""),
        ("Purchase orders", "orders", len(vicai["purchaseOrders"]), ""),
        ("Payment batches", "payments", len(vicai["paymentBatches"]), ""),
        ("Uploads, reports", "received", reports, "files, sync errors, payments confirmed or failed, syncs asked for"),
        ("Deliveries of webhooks", "webhooks", tenant.dispatcher.count, f"{tenant.dispatcher.waiting} waiting"),
        ("Faults on order", "faults", len(tenant.faults.orders), ""),
        ("Calls", "calls", tenant.calls.count, f"{tenant.services.vicai.limit.throttled} refused by the rate limit"),
    ]
    rows = [Row((Cell(title, href=of(view)), count(number), Cell(note, "dim"))) for title, view, number, note in held]
    return [Listing("held", "What it holds", ("what", "#how many", ""), rows), *_sums(tenant)]


def _states(tenant: Tenant) -> str:
    entries = tenant.services.vicai.store["invoices"].by_id.values()
    if len(entries) > MOST_SUMMED:
        return ""
    posted = sum(entry.filter_value == "POSTED" for entry in entries)
    return f"{posted} posted"


def _sums(tenant: Tenant) -> Iterator[Listing]:
    ivesk, vicai = tenant.services.ivesk.store, tenant.services.vicai.store
    if ivesk.sums_known or len(ivesk.exported) <= MOST_SUMMED:
        found = sorted(ivesk.sums().items())
        rows = [
            Row((Cell(currency), count(one.documents), *map(amount, (one.subtotal, one.vat, one.total))))
            for currency, one in found
        ]
        heads = ("currency", "#documents", "#subtotal", "#VAT", "#total")
        yield Listing("exported", "Exported by Įvesk, by currency", heads, rows)
    if len(vicai["invoices"]) <= MOST_SUMMED:
        rows = [Row((Cell(name), count(number), amount(total))) for name, (number, total) in sums(vicai).items()]
        yield Listing("invoiced", "Invoices at Vic.ai, by currency", ("currency", "#invoices", "#total"), rows)
    if len(ivesk.digitized) <= MOST_SUMMED:
        rows = [
            Row((Cell(one["name"]), Cell(one["code"], "mono"), count(one["digitized"]), count(one["exported"])))
            for one in companies(ivesk)
        ]
        yield Listing("codes", "Companies at Įvesk", ("company", "code", "#digitized", "#exported"), rows)


def _connect(setup: Setup, url: str) -> str:
    """Return how a terminal is pointed at the company; a secret that the command was given is not told."""
    given: dict[str, Any] = {
        "TAP_IVESK_API_URL": f"{url}/ivesk/api",
        "TAP_IVESK_API_KEY": naming.shown(setup.api_key, type(setup).api_key),
        "TAP_VICAI_API_URL": f"{url}/vicai/v0",
        "TAP_VICAI_CLIENT_ID": setup.client_id,
        "TAP_VICAI_CLIENT_SECRET": naming.shown(setup.client_secret, type(setup).client_secret),
    }
    lines = [f"export {name}={json.dumps(value, ensure_ascii=False)}" for name, value in given.items()]
    return "\n".join([*lines, "tap-ivesk --config=ENV --test", "tap-vicai --config=ENV --test"])
