"""Gaps that `reconcile` found: closed, by runs that are made due and by what never arrived; kept for the page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from ap_connectors.core import instants
from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import Record, text
from ap_connectors.vicai.client import NotFound, VicaiClient
from ap_connectors.webhooks import documents
from ap_connectors.webhooks.database import RECONCILED, Database, NotStorable, now, now_ms
from ap_connectors.webhooks.inbox import Delivery, Inbox
from ap_connectors.webhooks.reconcile import NO_EVENT, NOT_PROCESSED, READY, STATES, Gap, Report
from ap_connectors.webhooks.runs import Runs, opened
from ap_connectors.webhooks.settings import Settings
from ap_connectors.webhooks.subscriptions import vicai_client

_encode = msgspec.json.Encoder().encode
_AT_ONCE = 100
_DAY = 86_400_000
_MOST = 200
"""Gaps that are kept by name, and lines on how they were closed."""


def repair(settings: Settings, report: Report) -> list[str]:
    """Close gaps; return lines that say how. Repairing twice does no harm.

    Raises:
        Stop: Vic.ai's credentials are wrong. Outage: Vic.ai or the inbox failed.
    """
    not_processed = [gap for gap in report.gaps if gap.kind == NOT_PROCESSED]
    no_event = [gap for gap in report.gaps if gap.kind == NO_EVENT and gap.key not in report.recorded]
    with opened(settings.inbox) as (inbox, runs):
        done = [_retry(runs, gap) for gap in not_processed]
        done += _store_recorded(inbox, report.recorded)
        waiting = [gap for gap in no_event if _kind(gap) in STATES]
        if waiting:
            client = vicai_client(settings)
            done += [_store_invoice(client, inbox, gap) for gap in waiting]
        for gap in no_event:
            if _kind(gap) not in STATES:
                done += _run_rules(settings, runs, gap)
    # One run closes the gaps of many documents.
    return list(dict.fromkeys(done))


def _kind(gap: Gap) -> str:
    return gap.event.partition(".")[2]


def _store_recorded(inbox: Inbox, recorded: Mapping[str, Delivery]) -> list[str]:
    """Store events of Vic.ai's record under their own ids; the runner then applies the rules to them."""
    stored: Counter[str] = Counter()
    lines = []
    pairs = list(recorded.items())
    for start in range(0, len(pairs), _AT_ONCE):
        batch = pairs[start : start + _AT_ONCE]
        try:
            inbox.store([delivery for _, delivery in batch])
            stored.update(delivery.kind for _, delivery in batch)
        except NotStorable:
            # One that the database does not accept must not keep out the others.
            for id_, delivery in batch:
                try:
                    inbox.store([delivery])
                    stored[delivery.kind] += 1
                except NotStorable as error:
                    lines.append(f"Event {id_} cannot be stored: {error}")
    return [f"{count} events vicai.{kind} of Vic.ai's record are stored now." for kind, count in stored.items()] + lines


def _retry(runs: Runs, gap: Gap) -> str:
    assert gap.job is not None  # noqa: S101 - every gap of this kind has one
    if gap.run is not None and runs.retry(gap.run):
        return f"Run {gap.run} of {gap.rule} is due now."
    return f"Run {runs.queue(gap.job, gap.request_id, [int(gap.key)])} of {gap.rule} is due now."


def _run_rules(settings: Settings, runs: Runs, gap: Gap) -> Sequence[str]:
    """Run the rules that the missing event would have run; their commands read whatever is new."""
    service, _, kind = gap.event.partition(".")
    wanting = [rule for rule in settings.rules if rule.wants(service, kind, gap.company)]
    if not wanting:
        return [f"No rule wants {gap.event}: there is no command to run."]
    return [f"Run {runs.queue(rule.name, None)} of {rule.shown} is due now." for rule in wanting]


def _store_invoice(client: VicaiClient, inbox: Inbox, gap: Gap) -> str:
    """Store an invoice as if its event had been received; the runner then applies the rules to it."""
    try:
        found = _invoice(client, gap.key)
        kind = _kind(gap)
        if found is None or text(found, "status") != STATES[kind]:
            return f"Invoice {gap.key} is not waiting any more."
        document, media_type = _document(client, gap.key)
        body = _encode(found)
        if kind in READY:
            body = _encode({"event": kind, "data": found})
        delivery = Delivery(
            service="vicai",
            kind=kind,
            dedup_key=f"{kind}:reconcile:{gap.key}:{text(found, 'internalUpdatedAt')}",
            company=text(found, "companyId"),
            request_id=None,
            body=body,
            document=document,
            document_name=f"{gap.key}.pdf" if media_type == "application/pdf" else None,
            document_type=media_type,
        )
        return f"Invoice {gap.key} is event {inbox.store([delivery])[0].id} now."
    except (Reject, NotStorable) as error:
        return f"Invoice {gap.key} cannot be fetched and stored: {error}"


def _invoice(client: VicaiClient, key: str) -> Record | None:
    try:
        return client.get("getInvoice", id=key, useSystem="INTERNAL")
    except NotFound:
        return None


def _document(client: VicaiClient, key: str) -> tuple[bytes | None, str | None]:
    try:
        return client.document("getInvoiceDocument", documents.whole, id=key, useSystem="INTERNAL")
    except NotFound:
        return None, None


def keep(database: Database, report: Report, mended: Sequence[str]) -> None:
    """Keep a report in place of the one before.

    Args:
        database: of the inbox.
        report: what was found.
        mended: lines on what was done about it.

    Raises:
        Outage: the inbox cannot be written.
    """
    found = {
        "days": round((now_ms() - report.since) / _DAY, 2),
        "covered": {name: instants.text(at) for name, at in _covered_now(report, covered(last(database))).items()},
        "count": len(report.gaps),
        "gaps": [gap.words for gap in report.gaps[:_MOST]],
        "mended": list(mended[:_MOST]),
        "compared": dict(report.compared),
        "notes": report.notes,
    }
    with database.writing() as connection:
        connection.execute(sa.delete(RECONCILED))
        connection.execute(RECONCILED.insert().values(id=1, at=now(), report=json.dumps(found, ensure_ascii=False)))


def covered(found: Mapping[str, Any] | None) -> dict[str, int]:
    """Return, for each service, from when on the next comparison has to look (milliseconds since 1970)."""
    return {name: instants.milliseconds(at) for name, at in ((found or {}).get("covered") or {}).items()}


def _covered_now(report: Report, before: Mapping[str, int]) -> dict[str, int]:
    reached = dict(before)
    for service in report.services:
        has_gaps = any(gap.event.startswith(f"{service}.") for gap in report.gaps)
        # What the one before left out stays to be compared.
        if report.since <= before.get(service, report.since):
            reached[service] = report.since if has_gaps else report.until
    return reached


def last(database: Database) -> dict[str, Any] | None:
    """Return the last report, with the instant `at`; None if there was none.

    Raises:
        Outage: the inbox cannot be read.
    """
    with database.reading() as connection:
        row = connection.execute(sa.select(RECONCILED.c.at, RECONCILED.c.report)).one_or_none()
    return None if row is None else {"at": row.at, **json.loads(row.report)}
