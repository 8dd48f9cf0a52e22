"""The start page: what the sandbox holds and what happened, for people. No scripts, no assets from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from ap_connectors.sandbox import clock, naming
from ap_connectors.sandbox.ivesk.control import companies
from ap_connectors.sandbox.ivesk.store import QUEUES, Store
from ap_connectors.sandbox.vicai.control import sums
from ap_connectors.sandbox.webhooks import sender

if TYPE_CHECKING:
    from ap_connectors.sandbox.tenant import Services, Setup, Tenant
    from ap_connectors.sandbox.tenants import Tenants

# Sums need every document made once; with more of them the page would take too long.
MOST_SUMMED = 5_000
MOST_CALLS = 50
_STYLE = """
:root { color-scheme: light dark; --line: #d8dce3; --soft: #f4f6f9; --text: #1d2430; --dim: #5d6878; --mark: #1f6f54; }
@media (prefers-color-scheme: dark) {
  :root { --line: #343b47; --soft: #1e232c; --text: #e6e9ef; --dim: #9aa5b5; --mark: #6fcfae; }
  body { background: #15191f; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin: 2rem 0 .4rem; font-size: 1.1rem; color: var(--mark); }
p.dim, td.dim { color: var(--dim); } table { border-collapse: collapse; width: 100%; }
.wide { overflow-x: auto; } th { text-align: left; color: var(--dim); font-weight: 600; }
th, td { padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: .8rem; overflow-x: auto; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
"""


def render(tenants: Tenants, tenant: Tenant, url: str) -> str:
    """Return the page of a company as HTML; `url` is the sandbox's own address."""
    services = tenant.services
    store = services.ivesk.store
    parts = [
        "<h1>ap-sandbox</h1>",
        '<p class="dim">An offline emulator for tests and demos. Everything here is invented and is lost when it '
        "stops.</p>",
        *_companies(tenants, tenant),
        *_howto(tenant.setup, url),
        "<h2>Documents by queue</h2>",
        _table(("queue", "#documents", "first", "last"), [_span(store, name) for name in reversed(QUEUES)]),
        "<h2>Documents by company</h2>",
        _table(
            ("company", "code", "#digitized", "#exported"),
            [(row["name"], row["code"], row["digitized"], row["exported"]) for row in companies(store)],
        ),
        "<h2>Exported, by currency</h2>",
        _sums(store),
        "<h2>Uploads</h2>",
        _table(
            ("file name", "#bytes", "sha256", "userdata"),
            [(u.name, u.size, u.sha256 or "not put yet", u.userdata) for u in _last(list(store.uploads.values()))],
        ),
        "<h2>Sync errors</h2>",
        _records(store.sync_errors, ("documentid", "companycode", "message")),
        "<h2>Webhook subscriptions</h2>",
        _table(
            ("name", "eventType", "target", "state"),
            [(s.name, s.event, sender.shown(s.target), s.state) for s in _last(services.topics.subscriptions)],
        ),
        *_vicai(services),
        f"<h2>Latest webhooks ({tenant.dispatcher.count} attempts in all, {tenant.dispatcher.waiting} waiting)</h2>",
        _table(
            ("at", "event", "url", "#attempt", "outcome", "#status", "why"),
            [
                (a.at, a.event, a.url, a.attempt, a.outcome, a.status, a.why)
                for a in islice(reversed(tenant.dispatcher.latest), MOST_CALLS)
            ],
        ),
        "<h2>Options of ivesk</h2>",
        _table(("option", "value"), [(k, _plain(v)) for k, v in msgspec.structs.asdict(store.options).items()]),
        "<h2>Faults on order</h2>",
        _table(
            ("kind", "path", "#left", "#skips", "#hits"),
            [
                (f.order.kind, f.order.path, "∞" if f.left is None else f.left, f.skip, f.hits)
                for f in tenant.faults.orders
            ],
        ),
        f"<h2>Latest calls ({tenant.calls.count} in all)</h2>",
        _table(
            ("#n", "at", "method", "path", "query", "key", "#status", "fault"),
            [
                (c.n, c.at, c.method, c.path, c.query.partition("X-Amz-")[0], c.key, c.status, c.fault)
                for c in islice(reversed(tenant.calls.latest), MOST_CALLS)
            ],
        ),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>ap-sandbox</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>\n'
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _companies(tenants: Tenants, shown: Tenant) -> Iterable[str]:
    if len(tenants) == 1:
        return
    links = [
        f"<b>{tenant.id}</b>" if tenant is shown else f'<a href="?company={tenant.id}">{tenant.id}</a>'
        for tenant in (*tenants, tenants.unknown)
    ]
    yield f"<h2>Company</h2><p>{' '.join(links)}</p>"


def _howto(setup: Setup, url: str) -> Iterable[str]:
    given = (setup.api_key, type(setup).api_key), (setup.client_secret, type(setup).client_secret)
    key, secret = (escape(json.dumps(naming.shown(*one))) for one in given)
    yield "<h2>Point tap-ivesk at it</h2>"
    config = f'"api_url": "{escape(url)}/ivesk/api", "api_key": {key}, "start_date": "2026-01-01T00:00:00Z"'
    yield f"<pre>echo '{{{config}}}' &gt; config.json\ntap-ivesk --config config.json</pre>"
    queue = escape(f"{url}/ivesk/api/pub/exported?from=2026-01-05T00:00:00.000Z")
    yield f"<pre>curl -H x-api-key:{key} '{queue}'</pre>"
    yield "<h2>Point tap-vicai at it</h2>"
    config = f'"api_url": "{escape(url)}/vicai/v0", "client_id": "{escape(setup.client_id)}", "client_secret": {secret}'
    yield f"<pre>echo '{{{config}}}' &gt; vicai.json\ntap-vicai --config vicai.json</pre>"


def _vicai(services: Services) -> Iterable[str]:
    store = services.vicai.store
    yield "<h2>Vic.ai: records</h2>"
    counts = [(name, len(collection)) for name, collection in store.collections.items()]
    yield _table(("resource", "#records"), counts)
    yield "<h2>Vic.ai: invoices, by currency</h2>"
    if len(store["invoices"]) > MOST_SUMMED:
        yield '<p class="dim">Too many to sum up for a page; <code>GET /_control/vicai</code> does it.</p>'
    else:
        rows = [(name, count, total) for name, (count, total) in sums(store).items()]
        yield _table(("currency", "#invoices", "#totalAmount"), rows)
    yield "<h2>Vic.ai: webhook subscription</h2>"
    found = [] if store.subscription is None else [store.subscription]
    yield _table(
        ("callbackUrl", "events"), [(sender.shown(one["callbackUrl"]), ", ".join(one["events"])) for one in found]
    )
    yield f"<h2>Vic.ai: options</h2><p>{services.vicai.limit.throttled} calls refused by the rate limit.</p>"
    yield _table(("option", "value"), [(k, _plain(v)) for k, v in msgspec.structs.asdict(store.options).items()])


def _span(store: Store, name: str) -> tuple[object, ...]:
    queue = store.queue(name)
    ends = (clock.iso(queue.instants[0]), clock.iso(queue.instants[-1])) if len(queue) else ("", "")
    return (name, len(queue), *ends)


def _sums(store: Store) -> str:
    if not store.sums_known and len(store.exported) > MOST_SUMMED:
        return '<p class="dim">Too many to sum up for a page; <code>GET /_control/ivesk</code> does it.</p>'
    rows = [(name, s.documents, s.subtotal, s.vat, s.total) for name, s in sorted(store.sums().items())]
    return _table(("currency", "#documents", "#subtotal", "#vat", "#total"), rows)


def _last(things: list[Any]) -> list[Any]:
    return things[-MOST_CALLS:]


def _records(records: list[dict[str, str]], names: Sequence[str]) -> str:
    return _table(names, [tuple(record[name] for name in names) for record in _last(records)])


def _plain(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table; a head that starts with # is a column of numbers."""
    if not rows:
        return '<p class="dim">None.</p>'
    kinds = [' class="n"' if head.startswith("#") else "" for head in heads]
    head = "".join(f"<th{kind}>{escape(head.lstrip('#'))}</th>" for kind, head in zip(kinds, heads, strict=True))
    body = "\n".join(
        "<tr>"
        + "".join(
            f"<td{kind}>{'' if cell is None else escape(str(cell))}</td>" for kind, cell in zip(kinds, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'
