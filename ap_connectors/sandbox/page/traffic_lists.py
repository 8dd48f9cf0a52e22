"""What connectors sent, webhooks, faults and calls, as lists for the page, the latest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from ap_connectors.sandbox.faults import Fault, FaultType
from ap_connectors.sandbox.page.listing import PAGE, Act, Cell, Listing, Row, count, moment, row
from ap_connectors.sandbox.tenants import LoggedCall
from ap_connectors.sandbox.webhooks import sender
from ap_connectors.sandbox.webhooks.dispatcher import Attempt

if TYPE_CHECKING:
    from ap_connectors.sandbox.tenants import Tenant


def received(tenant: Tenant, _: int) -> list[Listing]:
    """List what connectors have sent."""
    ivesk, vicai = tenant.services.ivesk.store, tenant.services.vicai.store
    uploads = [
        row(one.name, one.size if one.size is not None else "not put yet", Cell(one.sha256, "mono"), one.userdata)
        for one in ivesk.uploads.values()
    ]
    errors = [row(one["documentid"], one["companycode"], one["message"]) for one in ivesk.sync_errors]
    told = [row(verb, id_) for verb, id_ in vicai.confirmations]
    asked = [row(one) for one in vicai.synchronized]
    return [
        _latest("uploads", "Uploads to Įvesk", ("file name", "#bytes", "sha256", "userdata"), uploads),
        _latest("syncerrors", "Sync errors at Įvesk", ("document", "company", "message"), errors),
        _latest("told", "Payments confirmed or failed at Vic.ai", ("what", "payment or credit"), told),
        _latest("asked", "Synchronisations asked for", ("resource",), asked),
    ]


def webhooks(tenant: Tenant, _: int) -> list[Listing]:
    """List subscriptions, and the latest attempts to deliver."""
    store, dispatcher = tenant.services.vicai.store, tenant.dispatcher
    held = [
        row("Įvesk", one.event, sender.shown(one.target), one.state) for one in tenant.services.topics.subscriptions
    ]
    if (first := store.subscription) is not None:
        held.append(row("Vic.ai", ", ".join(first["events"]), sender.shown(first["callbackUrl"]), ""))
    held += [
        row("Vic.ai v2", ", ".join(v2["events"]), sender.shown(v2["callback_url"]), "") for v2 in store.subscriptions_v2
    ]
    heads = ("at", "service", "event", "to", "#attempt", "outcome", "#status", "why")
    attempts = [_attempt(one) for one in islice(reversed(dispatcher.latest), PAGE)]
    note = f"{dispatcher.count} attempts in all, {dispatcher.waiting} deliveries waiting."
    return [
        _latest("subscriptions", "Subscriptions", ("service", "events", "to", "state"), held),
        Listing("attempts", "Latest deliveries", heads, attempts, note=note),
    ]


def _attempt(one: Attempt) -> Row:
    kind = {"delivered": "good", "under way": ""}.get(one.outcome, "bad")
    url, outcome, status = Cell(one.url, "mono"), Cell(one.outcome, kind), Cell(one.status, "n")
    return row(moment(one.at, seconds=True), one.service, one.event, url, count(one.attempt), outcome, status, one.why)


def faults(tenant: Tenant, _: int) -> list[Listing]:
    """List the faults on order, and the options."""
    rows = [_fault(one) for one in tenant.faults.orders]
    heads = ("kind", "calls that begin with", "method", "#left", "#skips", "#hits")
    cancel = (Act("Cancel all", "/faults", verb="DELETE"),) if rows else ()
    return [
        Listing("faults", "Faults on order", heads, rows, acts=cancel),
        _options("options", "Options of Įvesk", tenant.services.ivesk.store.options),
        _options("vicai-options", "Options of Vic.ai", tenant.services.vicai.store.options),
    ]


def _fault(one: Fault) -> Row:
    left = Cell("∞" if one.left is None else one.left, "n")
    return row(one.order.kind, Cell(one.order.path, "mono"), one.order.method, left, count(one.skip), count(one.hits))


def fault_kinds() -> tuple[str, ...]:
    """Return the kinds of faults that can be ordered."""
    return get_args(FaultType)


def calls(tenant: Tenant, _: int) -> list[Listing]:
    """List the latest calls."""
    rows = [_call(one) for one in islice(reversed(tenant.calls.latest), PAGE)]
    heads = ("#n", "at", "method", "path", "query", "key", "#status", "fault")
    forget = (Act("Forget them", "/calls", verb="DELETE"),) if rows else ()
    return [Listing("calls", "Latest calls", heads, rows, note=f"{tenant.calls.count} in all.", acts=forget)]


def _call(one: LoggedCall) -> Row:
    # Without what signs a link.
    path, query = Cell(one.path, "mono"), Cell(one.query.partition("X-Amz-")[0], "mono")
    key, status = (
        Cell(one.key, "" if one.key == "ok" else "dim"),
        Cell(one.status, "n bad" if (one.status or 0) >= 400 else "n"),
    )
    return row(count(one.n), moment(one.at, seconds=True), one.method, path, query, key, status, Cell(one.fault, "bad"))


def _latest(id_: str, title: str, heads: Sequence[str], rows: Sequence[Row]) -> Listing:
    """Return a list of the latest rows, which are the last."""
    note = f"The latest {PAGE} of {len(rows)}." if len(rows) > PAGE else ""
    return Listing(id_, title, heads, rows[::-1][:PAGE], note=note)


def _options(id_: str, title: str, options: msgspec.Struct) -> Listing:
    values: Iterable[tuple[str, Any]] = msgspec.structs.asdict(options).items()
    rows = [
        row(Cell(name, "mono"), str(value).lower() if isinstance(value, bool) else str(value)) for name, value in values
    ]
    return Listing(id_, title, ("option", "value"), rows)
